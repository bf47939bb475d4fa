/* SPDX-License-Identifier: GPL-2.0-only */
/* polproxy: its options. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/notify.h"
#include "proxy/control.h"
#include "proxy/log.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0"
#endif

enum exit_code { EXIT_DONE = 0, EXIT_BAD = 2, EXIT_SYSTEM = 3 };

static const char help[] =
	"usage: polproxy [OPTION...]\n"
	"\n"
	"Judges the HTTP requests of flows that polload's data path hands to it.  polload apply starts\n"
	"it when a policy has http blocks; to run it under a service manager start it beforehand.\n"
	"\n"
	"      --control PATH   socket for polload (" POL_PROXY_CONTROL ")\n"
	"      --workers N      processes, 1 to 64 (1)\n"
	"      --port N         of the first worker on 127.0.0.1 and ::1, the others follow (15006)\n"
	"      --user NAME      whom workers run as (polproxy if there is one, else nobody)\n"
	"      --log FILE       access log, a JSON object a line; - is standard output (none)\n"
	"      --body-max N     bytes of a request's body; larger ones get 413 (any)\n"
	"      --timeout WHAT=N seconds, again for each: head (10), body (20), idle (75), connect (5)\n"
	"      --name-rules     say in a 403 which line of the policy it is by (X-Policy-Rule)\n"
	"      --replace        one that serves PATH already ends when its last request is done\n"
	"      --version, --help\n";

static int fail(const struct pol_err *e, enum exit_code code)
{
	fprintf(stderr, "polproxy: error: %s\n", e->text);
	if (e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	return code;
}

static void note(const char *text)
{
	fprintf(stderr, "polproxy: %s\n", text);
}

static int bad(const char *what, const char *value)
{
	struct pol_err e = { 0 };

	pol_err_help(&e, "polproxy --help");
	pol_err(&e, -EINVAL, "%s '%s'", what, value);
	return fail(&e, EXIT_BAD);
}

static bool number(const char *s, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(s, &end, 10);
	return s[0] >= '0' && s[0] <= '9' && !*end && !errno && *out >= 1 && *out <= max;
}

static bool set_limit(const char *text, struct px_limits *limit)
{
	static const char *const name[] = { "head", "body", "idle", "connect" };
	double *const what[] = { &limit->head, &limit->body, &limit->idle, &limit->connect };
	const char *eq = strchr(text, '=');
	unsigned long n;

	for (size_t i = 0; eq && i < POL_ARRAY_LEN(name); i++)
		if (pol_str_is((struct pol_str){ text, (size_t)(eq - text) }, name[i]) &&
		    number(eq + 1, 86400, &n)) {
			*what[i] = (double)n;
			return true;
		}
	return false;
}

/* getpwnam(3): that there is no such user has many numbers, which are none of these. */
static bool cannot_tell(void)
{
	return errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == EIO ||
	       errno == EINTR;
}

static int whom(const char *name, struct px_options *o, struct pol_err *e)
{
	const struct passwd *p;

	errno = 0;
	p = getpwnam(name ? name : "polproxy");
	if (!p && !name && !cannot_tell())
		p = getpwnam("nobody");
	if (!p && cannot_tell())
		return pol_err(e, -errno, "user '%s': cannot be looked up: %s",
			       name ? name : "polproxy", strerror(errno));
	if (!p)
		return pol_err(e, -ENOENT, "there is no user '%s'", name ? name : "nobody");
	o->user = p->pw_uid;
	o->group = p->pw_gid;
	return o->user ? 0 : pol_err(e, -EINVAL, "workers do not run as root");
}

static int open_log(const char *path, struct px_options *o, struct pol_err *e)
{
	o->log = path ? px_log_open(path, e) : -1;
	return path && o->log < 0 ? o->log : 0;
}

/* Two for each connection; as many as the system lets us have. */
static void raise_files(void)
{
	struct rlimit files = { 1 << 20, 1 << 20 };

	if (!setrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * The C library registers restartable sequences for each thread, of which nothing here makes use;
 * the kernel then writes to our memory after each switch of tasks, of which there are two a
 * request.  It has to be told before it begins (ld.so(8), GLIBC_TUNABLES), so this starts once more;
 * if that fails it goes on as it is.
 */
static void without_rseq(char **argv)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 || setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 0))
		return;
	self[n] = '\0';
	execv(self, argv);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "control", 1, NULL, 'c' },  { "workers", 1, NULL, 'w' },
		{ "port", 1, NULL, 'p' },     { "user", 1, NULL, 'u' },
		{ "log", 1, NULL, 'l' },      { "name-rules", 0, NULL, 'n' },
		{ "body-max", 1, NULL, 'b' }, { "timeout", 1, NULL, 't' },
		{ "replace", 0, NULL, 'r' },  { "version", 0, NULL, 'V' },
		{ "help", 0, NULL, 'h' },     { NULL, 0, NULL, 0 },
	};
	struct px_options o = { .control = POL_PROXY_CONTROL,
				.workers = 1,
				.port = POL_PROXY_PORT,
				.log = -1,
				.limit = PX_LIMITS_DEFAULT,
				.ready = pol_notify_ready,
				.note = note };
	const char *user = NULL, *log = NULL;
	struct pol_err e = { 0 };
	unsigned long n;
	int c, r;

	if (!getenv("GLIBC_TUNABLES"))
		without_rseq(argv);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c':
			o.control = optarg;
			break;
		case 'w':
			if (!number(optarg, POL_PROXY_WORKERS_MAX, &n))
				return bad("--workers is 1 to 64, not", optarg);
			o.workers = (unsigned)n;
			break;
		case 'p':
			if (!number(optarg, 65535 - POL_PROXY_WORKERS_MAX, &n))
				return bad("--port is no port:", optarg);
			o.port = (uint16_t)n;
			break;
		case 'u':
			user = optarg;
			break;
		case 'l':
			log = optarg;
			break;
		case 'n':
			o.name_rules = true;
			break;
		case 'b':
			if (!number(optarg, 1ul << 60, &n))
				return bad("--body-max is no number of bytes:", optarg);
			o.body_max = n;
			break;
		case 't':
			if (!set_limit(optarg, &o.limit))
				return bad(
					"--timeout is head, body, idle or connect, `=` and 1 to 86400 seconds, not",
					optarg);
			break;
		case 'r':
			o.replace = true;
			break;
		case 'V':
			puts("polproxy " POLC_VERSION);
			return EXIT_DONE;
		case 'h':
			fputs(help, stdout);
			return EXIT_DONE;
		default:
			return EXIT_BAD;
		}
	if (optind < argc)
		return bad("unexpected argument", argv[optind]);
	r = whom(user, &o, &e);
	r = r ? r : open_log(log, &o, &e);
	if (!r)
		raise_files();
	r = r ? r : px_control_run(&o, &e);
	return r ? fail(&e, r == -EINVAL || r == -ENOENT ? EXIT_BAD : EXIT_SYSTEM) : EXIT_DONE;
}
