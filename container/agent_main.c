/* SPDX-License-Identifier: GPL-2.0-only */
/* polc-agent: a daemon that follows a container engine; see polc-agent(8). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agent.h"
#include "base/notify.h"
#include "driver.h"
#include "runtime/input/quiet.h"

#define DOCKER_SOCKET "/run/docker.sock"
#define PLUGIN_SOCKET "/run/docker/plugins/polc.sock"

enum { EXIT_DONE = 0, EXIT_BAD = 2, EXIT_SYSTEM = 3 };

static volatile int stop, again;
static bool journal; /* standard error is the journal, which reads a level in front */

static const char help[] =
	"usage: polc-agent [OPTION...]\n"
	"\n"
	"Keeps the endpoints of the policy in force true to the containers of an engine.\n"
	"\n"
	"      --docker SOCKET   of the engine (" DOCKER_SOCKET ")\n"
	"      --plugin SOCKET   where the engine finds the network driver polc\n"
	"                        (" PLUGIN_SOCKET "); '': none\n"
	"      --hold PATTERN    interfaces of containers, closed from when they appear (veth*); '': none\n"
	"      --image-labels    labels that an image brings along count, too\n"
	"      --bpffs DIR       folder of the pins (" PRT_BPFFS_DEFAULT "; POLC_BPFFS)\n"
	"      --state-dir DIR   folder of the objects in force (" PRT_STATE_DEFAULT
	"; POLC_STATE_DIR)\n"
	"      --version, --help\n"
	"\n"
	"SIGHUP: look at everything again.  SIGTERM: end; what is in force stays.\n";

__attribute__((format(printf, 2, 3))) static void say(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (journal)
		fprintf(stderr, "<%d>", level);
	else
		fprintf(stderr, "polc-agent: %s", level <= LOG_ERR ? "error: " : "");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void on_signal(int number)
{
	if (number == SIGHUP)
		again = 1;
	else
		stop = 1;
}

static void catch_signals(void)
{
	struct sigaction s = { .sa_handler = on_signal };

	sigaction(SIGTERM, &s, NULL);
	sigaction(SIGINT, &s, NULL);
	sigaction(SIGHUP, &s, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

static int options(int argc, char **argv, struct cn_agent *a, const char **docker,
		   const char **plugin)
{
	static const struct option known[] = {
		{ "docker", required_argument, NULL, 'd' },
		{ "plugin", required_argument, NULL, 'p' },
		{ "hold", required_argument, NULL, 'l' },
		{ "image-labels", no_argument, NULL, 'i' },
		{ "bpffs", required_argument, NULL, 'b' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 'd':
			*docker = optarg;
			break;
		case 'p':
			*plugin = optarg;
			break;
		case 'l':
			a->hold = optarg;
			break;
		case 'i':
			a->docker.image_labels = true;
			break;
		case 'b':
			a->env.bpffs = optarg;
			break;
		case 's':
			a->env.state = optarg;
			break;
		case 'v':
			puts("polc-agent " POLC_VERSION);
			exit(EXIT_DONE);
		case 'h':
			fputs(help, stdout);
			exit(EXIT_DONE);
		default:
			return EXIT_BAD;
		}
	}
	if (optind == argc)
		return EXIT_DONE;
	fprintf(stderr, "polc-agent: error: `%s` is no option\n", prt_safe(argv[optind]));
	return EXIT_BAD;
}

/* ---- the driver, a process of its own (driver.h) ------------------------------------------------ */

static volatile pid_t driver; /* 0: none, or it has ended */

static void on_child(int number)
{
	(void)number;
	if (driver && waitpid(driver, NULL, WNOHANG) == driver) {
		driver = 0;
		stop = 1; /* whoever starts us starts both again */
	}
}

static int drive(const struct cn_agent *a, const char *docker, int plugin)
{
	struct cn_driver d = { .env = { .bpffs = a->env.bpffs, .state = a->env.state },
			       .docker = { .image_labels = a->docker.image_labels },
			       .links = -1,
			       .say = say };
	struct pol_err e = { 0 };
	int r = cn_driver_open(&d, docker, &e);

	r = r ? r : cn_driver_serve(&d, plugin, &stop, &e);
	cn_driver_close(&d);
	if (!r)
		return EXIT_DONE;
	say(LOG_ERR, "%s", e.text);
	return EXIT_SYSTEM;
}

/* Whoever calls waits in the socket, which is there before we say that we are ready. */
static int start_driver(const struct cn_agent *a, const char *docker, const char *plugin,
			struct pol_err *e)
{
	struct sigaction s = { .sa_handler = on_child };
	pid_t parent = getpid(), child;
	int fd POL_CLEANUP(pol_cleanup_fd) = -1, r;

	if (!*plugin)
		return 0;
	r = cn_driver_listen(plugin, &fd, e);
	if (r)
		return r;
	child = fork();
	if (child < 0)
		return pol_err(e, -errno, "cannot start the driver: %s", strerror(errno));
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_SYSTEM);
		signal(SIGHUP, SIG_IGN);
		exit(drive(a, docker, POL_TAKE_FD(fd)));
	}
	driver = child;
	sigaction(SIGCHLD, &s, NULL);
	on_child(SIGCHLD); /* it may have ended before */
	return 0;
}

/* false: it had ended by itself. */
static bool end_driver(const char *plugin)
{
	pid_t child = driver;

	if (!*plugin)
		return true;
	signal(SIGCHLD, SIG_DFL);
	if (!child)
		return false;
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	unlink(plugin);
	return true;
}

int main(int argc, char **argv)
{
	struct cn_agent a = { .links = -1, .hold = "veth*", .say = say };
	const char *docker = DOCKER_SOCKET, *plugin = PLUGIN_SOCKET;
	struct pol_err e = { 0 };
	int r;

	a.env.bpffs = from_environment("POLC_BPFFS", PRT_BPFFS_DEFAULT);
	a.env.state = from_environment("POLC_STATE_DIR", PRT_STATE_DEFAULT);
	journal = getenv("JOURNAL_STREAM") != NULL;
	if (options(argc, argv, &a, &docker, &plugin))
		return EXIT_BAD;
	json_set_alloc_funcs(pol_must_malloc, free);
	umask(077); /* pins are made with what it leaves */
	setlinebuf(stderr);
	catch_signals();
	prt_quiet_init(false);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = prt_env_privileges(&e);
	r = r ? r : start_driver(&a, docker, plugin, &e);
	r = r ? r : cn_agent_open(&a, docker, &e);
	r = r ? r : cn_agent_run(&a, &stop, &again, pol_notify_ready, &e);
	cn_agent_close(&a);
	if (!r && !end_driver(plugin))
		r = pol_err(&e, -ECHILD, "the driver has ended");
	curl_global_cleanup();
	if (!r)
		return EXIT_DONE;
	say(LOG_ERR, "%s", e.text);
	return EXIT_SYSTEM;
}
