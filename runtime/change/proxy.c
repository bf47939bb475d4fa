/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/message.h"

#define PATIENCE 15 /* seconds for an answer */
#define START_TRIES (PATIENCE * 20) /* of 50 ms */

void prt_proxy_init(struct prt_proxy *p)
{
	*p = (struct prt_proxy){ .fd = -1 };
}

void prt_proxy_close(struct prt_proxy *p)
{
	pol_cleanup_fd(&p->fd);
}

/* ---- asking --------------------------------------------------------------------------- */

static int ask_with(const struct prt_proxy *p, struct pol_proxy_msg *m, const int *fds, size_t n,
		    const char *what, struct pol_err *e)
{
	int r = pol_message_send(p->fd, m, fds, n);
	ssize_t got = r ? 0 : recv(p->fd, m, sizeof(*m), 0);

	if (!r && got != (ssize_t)sizeof(*m))
		r = got < 0 ? -errno : -EPIPE;
	if (r)
		return pol_err(e, r, "polproxy does not answer: %s", strerror(-r));
	m->text[POL_PROXY_TEXT - 1] = '\0';
	if (m->version != POL_PROXY_VERSION)
		return pol_err(e, -EPROTONOSUPPORT, "polproxy is of another version; restart it");
	if (m->status)
		return pol_err(e, m->status, "polproxy cannot %s: %s", what,
			       m->text[0] ? prt_safe(m->text) : strerror(-m->status));
	return 0;
}

static int ask(const struct prt_proxy *p, struct pol_proxy_msg *m, const int *fds, const char *what,
	       struct pol_err *e)
{
	return ask_with(p, m, fds, fds ? POL_PROXY_FDS : 0, what, e);
}

static struct pol_proxy_msg request(enum pol_proxy_op op, uint64_t gen)
{
	return (struct pol_proxy_msg){ .version = POL_PROXY_VERSION, .op = op, .gen = gen };
}

/* Where the version 2 hierarchy is mounted; it may stand beside version 1. */
static bool cgroup_mount(char out[PATH_MAX])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f))) {
		found = !strcmp(m->mnt_type, "cgroup2");
		if (found)
			snprintf(out, PATH_MAX, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

/* The id is the number of the folder's inode (kernfs). */
static uint64_t cgroup_of(pid_t pid)
{
	char path[64], mount[PATH_MAX], folder[2 * PATH_MAX], line[PATH_MAX];
	uint64_t id = 0;
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	f = cgroup_mount(mount) ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3))
			continue;
		snprintf(folder, sizeof(folder), "%s%s", mount, line + 3);
		if (!stat(folder, &st))
			id = st.st_ino;
	}
	if (f)
		fclose(f);
	return id;
}

static int dial(const char *path, struct prt_proxy *p)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct pol_proxy_msg m = request(POL_PROXY_HELLO, 0);
	struct ucred who = { .uid = 1 };
	socklen_t n = sizeof(who);
	int r;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r = connect(p->fd, (void *)&at, sizeof(at)) ? -errno : 0;
	/* whoever serves it gets our maps: nobody but root may */
	if (!r && (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &who, &n) || who.uid != 0))
		r = -EPERM;
	r = r ? r : ask(p, &m, NULL, "say hello", NULL);
	p->port = m.port;
	p->workers = m.workers;
	p->uid = (uint32_t)m.gen;
	p->cgroup = r ? 0 : cgroup_of(who.pid);
	if (r)
		prt_proxy_close(p);
	return r;
}

/* ---- starting -------------------------------------------------------------------------- */

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 8 ? 8 : (unsigned)n;
}

struct arguments {
	const char *v[32];
	char text[1024]; /* of those that are made here */
	size_t n, used;
};

/* `--name value`, if there is one. */
static void add_option(struct arguments *a, const char *name, const char *value)
{
	if (!value)
		return;
	a->v[a->n++] = name;
	a->v[a->n++] = value;
}

/* `--name prefix=N`, or `--name N`; 0: polproxy's own choice. */
static void add_number(struct arguments *a, const char *name, const char *prefix, uint32_t n)
{
	char *at = a->text + a->used;

	if (!n)
		return;
	a->used += 1 + (size_t)snprintf(at, sizeof(a->text) - a->used, "%s%s%u", prefix,
					prefix[0] ? "=" : "", n);
	add_option(a, name, at);
}

static void become_proxy(const struct prt_env *env, const struct prt_hostfile *host)
{
	static const struct prt_hostfile nothing;
	struct arguments a = { .v = { env->proxy }, .n = 1 };
	int null = open("/dev/null", O_RDWR);

	host = host ? host : &nothing;
	add_option(&a, "--control", env->proxy_socket);
	add_option(&a, "--log", env->proxy_log);
	add_number(&a, "--workers", "", host->proxy_workers ? host->proxy_workers : processors());
	add_number(&a, "--port", "", host->proxy_port);
	add_number(&a, "--body-max", "", host->proxy_body_max);
	for (size_t i = 0; i < PRT_PROXY_TIMEOUTS; i++)
		add_number(&a, "--timeout", prt_proxy_timeout[i], host->proxy_timeout[i]);
	if (host->proxy_name_rules)
		a.v[a.n++] = "--name-rules";
	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 2)
		close(null);
	execv(env->proxy, (char **)a.v);
	_exit(127);
}

/* Twice forked, so that nobody has to wait for it. */
static int start_proxy(const struct prt_env *env, const struct prt_hostfile *host,
		       struct pol_err *e)
{
	char *path POL_CLEANUP(pol_cleanup_free) = strdup(env->proxy_socket);
	pid_t pid;
	int how;

	if (access(env->proxy, X_OK)) {
		pol_err_help(e, "install polproxy, or say where it is with POLPROXY=PATH");
		return pol_err(e, -errno,
			       "%s: the policy has http blocks, and polproxy is not there: %s",
			       env->proxy, strerror(errno));
	}
	if (mkdir(dirname(path), 0700) && errno != EEXIST)
		return pol_err(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	pid = fork();
	if (!pid) {
		if (!fork())
			become_proxy(env, host);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &how, 0) < 0)
		return pol_err(e, -errno, "cannot start polproxy: %s", strerror(errno));
	return 0;
}

int prt_proxy_open(const struct prt_env *env, bool start, const struct prt_hostfile *host,
		   struct prt_proxy *p, struct pol_err *e)
{
	int r = dial(env->proxy_socket, p);

	/* one that dies takes its connections first, and then its socket */
	for (int i = 0; i < START_TRIES && r == -ECONNRESET; i++) {
		usleep(50000);
		r = dial(env->proxy_socket, p);
	}
	if (!r)
		return 0;
	if (r == -EPIPE) {
		pol_err_help(
			e,
			"end it (SIGTERM); `polload proxy` or the next apply starts its successor");
		return pol_err(e, -EPROTONOSUPPORT, "%s: the polproxy there is of another version",
			       env->proxy_socket);
	}
	if (r != -ENOENT && r != -ECONNREFUSED)
		return pol_err(e, r, "%s: cannot reach polproxy: %s", env->proxy_socket,
			       strerror(-r));
	if (!start)
		return -ENOENT;
	r = start_proxy(env, host, e);
	if (r)
		return r;
	r = -ENOENT;
	for (int i = 0; i < START_TRIES && r; i++) {
		usleep(50000);
		r = dial(env->proxy_socket, p);
	}
	if (r) {
		pol_err_help(e, "start it by hand and see what it says: %s --control %s",
			     env->proxy, env->proxy_socket);
		return pol_err(e, -ETIMEDOUT, "polproxy does not start");
	}
	return 0;
}

/* ---- generations ------------------------------------------------------------------------- */

/* A descriptor that can be read and not written. */
static int read_only(int fd)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, opts, .open_flags = BPF_F_RDONLY);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	return bpf_map_get_fd_by_id_opts(info.id, &opts);
}

/* A policy of an older polc has no such map: then a port that the proxy closed waits for its TIME_WAIT. */
static int enter_listeners(const struct prt_proxy *p, const struct prt_shared *s, struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_LISTENERS, 0);
	const int *map = &s->map[PRT_SHARED_PROXY_LISTENERS];

	return *map < 0 ? 0 : ask_with(p, &m, map, 1, "say where it listens", e);
}

int prt_proxy_load(const struct prt_proxy *p, const struct prt_gen *g, const struct prt_shared *s,
		   struct pol_err *e)
{
	const struct pol_proxy_self self = {
		.cgroup = p->cgroup, .uid = p->uid, .port = p->port, .workers = p->workers
	};
	const int from[POL_PROXY_FDS] = { [POL_PROXY_FD_HTTP] = g->fd[PRT_GEN_HTTP],
					  [POL_PROXY_FD_EP_INFO] = g->fd[PRT_GEN_EP_INFO],
					  [POL_PROXY_FD_EP_BY_ADDR] = g->fd[PRT_GEN_EP_BY_ADDR],
					  [POL_PROXY_FD_FLOWS] = s->map[PRT_SHARED_PROXY_FLOWS] };
	struct pol_proxy_msg m = request(POL_PROXY_LOAD, g->number);
	int fd[POL_PROXY_FDS], r = 0;

	for (size_t i = 0; i < POL_PROXY_FDS; i++) {
		/* the frozen one nobody can write, and only a writable descriptor can be mapped shared */
		fd[i] = i == POL_PROXY_FD_HTTP ? fcntl(from[i], F_DUPFD_CLOEXEC, 3)
					       : read_only(from[i]);
		if (fd[i] < 0 && !r)
			r = pol_err(e, fd[i], "cannot hand a map to polproxy: %s",
				    strerror(-fd[i]));
	}
	r = r ? r : ask(p, &m, fd, "take the policy", e);
	r = r ? r : enter_listeners(p, s, e);
	if (!r &&
	    bpf_map_update_elem(s->map[PRT_SHARED_PROXY_SELF], &(uint32_t){ 0 }, &self, BPF_ANY))
		r = pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_PROXY_SELF,
			    strerror(errno));
	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		pol_cleanup_fd(&fd[i]);
	return r;
}

int prt_proxy_forget(const struct prt_proxy *p, uint64_t gen, struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_FORGET, gen);

	return ask(p, &m, NULL, "forget a policy", e);
}

/* The generations that it names. */
static int known(const struct prt_proxy *p, char text[POL_PROXY_TEXT], struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_HELLO, 0);
	int r = ask(p, &m, NULL, "say hello", e);

	memcpy(text, m.text, POL_PROXY_TEXT);
	return r;
}

int prt_proxy_keep(const struct prt_proxy *p, uint64_t keep, struct pol_err *e)
{
	char text[POL_PROXY_TEXT], *at = text, *end;
	int r = known(p, text, e);

	while (!r) {
		uint64_t gen = strtoull(at, &end, 10);

		if (end == at)
			break;
		at = end;
		if (gen != keep)
			r = prt_proxy_forget(p, gen, e);
	}
	return r;
}

bool prt_proxy_knows(const struct prt_proxy *p, uint64_t gen)
{
	char text[POL_PROXY_TEXT], *at = text, *end;

	if (known(p, text, NULL))
		return false;
	for (;;) {
		uint64_t one = strtoull(at, &end, 10);

		if (end == at)
			return false;
		if (one == gen)
			return true;
		at = end;
	}
}

int prt_proxy_status(const struct prt_proxy *p, char text[POL_PROXY_TEXT], struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_STATUS, 0);
	int r = ask(p, &m, NULL, "tell how it is", e);

	memcpy(text, m.text, POL_PROXY_TEXT);
	return r;
}

int prt_proxy_watch(const struct prt_proxy *p, int *fd, struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_WATCH, 0);
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return pol_err(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	r = ask_with(p, &m, &pair[1], 1, "be watched", e);
	close(pair[1]);
	if (r)
		close(pair[0]);
	else
		*fd = pair[0];
	return r;
}

int prt_proxy_drain(const struct prt_proxy *p, struct pol_err *e)
{
	struct pol_proxy_msg m = request(POL_PROXY_DRAIN, 0);

	return ask(p, &m, NULL, "end", e);
}
