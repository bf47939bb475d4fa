/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/control.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/message.h"

#define CLIENTS_MAX 8
#define PATIENCE 10 /* seconds that a worker may take to answer us */
#define RESTART_MS 200 /* before one that died young is started again */

struct worker {
	pid_t pid; /* 0: not running */
	int control;
	int listener[2];
	struct timespec started;
	uint16_t asked; /* the number of the last question */
};

struct generation {
	uint64_t number;
	int fd[POL_PROXY_FDS];
};

struct parent {
	const struct px_options *o;
	struct worker *worker;
	POL_VEC(struct generation) gens;
	int listener, signals;
	int client[CLIENTS_MAX];
	struct px_taps taps; /* kept for workers that are started later */
	bool draining;
};

/* ---- listeners ------------------------------------------------------------------------ */

/*
 * On loopback only: a wildcard address could be reached directly.  The mark tells the data path
 * that the socket is ours; setting it takes a privilege.
 */
static int listen_at(int family, uint16_t port, int *out, struct pol_err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	bool is4 = family == AF_INET;
	uint32_t mark = POL_MARK_ONWARD;
	int one = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*out = fd;
	if (fd >= 0)
		px_conn_options(fd);
	if (fd < 0 && errno == EAFNOSUPPORT)
		return 0; /* a host without IPv6 has no such flows */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (!is4 && setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one))) ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    setsockopt(fd, is4 ? SOL_IP : SOL_IPV6, is4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one,
		       sizeof(one)))
		return pol_err(e, -errno, "cannot make a transparent socket: %s", strerror(errno));
	if (bind(fd, is4 ? (void *)&v4 : (void *)&v6, is4 ? sizeof(v4) : sizeof(v6)) ||
	    listen(fd, 4096)) {
		pol_err_help(e, "another port: `proxy: {port: N}` in the host file");
		return pol_err(e, -errno, "cannot listen on port %u of %s: %s", port,
			       is4 ? "127.0.0.1" : "::1", strerror(errno));
	}
	return 0;
}

static int make_listeners(struct parent *p, struct pol_err *e)
{
	int r = 0;

	for (unsigned i = 0; i < p->o->workers && !r; i++) {
		uint16_t port = (uint16_t)(p->o->port + i);

		r = listen_at(AF_INET, port, &p->worker[i].listener[0], e);
		r = r ? r : listen_at(AF_INET6, port, &p->worker[i].listener[1], e);
	}
	return r;
}

/* One that serves there takes no more connections from now on; its ports and its socket are free. */
static int end_other(const struct px_options *o, struct pol_err *e)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	struct pol_proxy_msg m = { .version = POL_PROXY_VERSION, .op = POL_PROXY_DRAIN };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int none[POL_PROXY_FDS], r;
	int fd POL_CLEANUP(pol_cleanup_fd) = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(o->control) >= sizeof(at.sun_path))
		return 0; /* make_control() says so */
	strcpy(at.sun_path, o->control);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (void *)&at, sizeof(at)))
		return 0;
	r = pol_message_send(fd, &m, NULL, 0);
	r = r ? r : pol_message_receive(fd, &m, none);
	r = r ? r : m.status;
	return r ? pol_err(e, r, "%s: the polproxy there does not give way: %s", o->control,
			   strerror(-r))
		 : 0;
}

static int make_control(struct parent *p, struct pol_err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	if (strlen(p->o->control) >= sizeof(at.sun_path))
		return pol_err(e, -EINVAL, "%s: too long for a socket", p->o->control);
	strcpy(at.sun_path, p->o->control);
	p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->listener < 0)
		return pol_err(e, -errno, "cannot make a socket: %s", strerror(errno));
	if (!connect(p->listener, (void *)&at, sizeof(at)))
		return pol_err(e, -EADDRINUSE, "%s: a polproxy serves it already", p->o->control);
	close(p->listener);
	p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(p->o->control);
	old = umask(0177);
	r = bind(p->listener, (void *)&at, sizeof(at)) || listen(p->listener, CLIENTS_MAX);
	umask(old);
	return r ? pol_err(e, -errno, "%s: cannot listen: %s", p->o->control, strerror(errno)) : 0;
}

/* ---- workers ------------------------------------------------------------------------------ */

/*
 * One question, one answer.  Who was given up may answer all the same, later: questions have
 * numbers, where answers to polload have the port.
 */
static int ask(struct worker *w, struct pol_proxy_msg *m, const int *fds, size_t n)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	int none[POL_PROXY_FDS], r;

	if (!w->pid)
		return -ESRCH;
	setsockopt(w->control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(w->control, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	m->port = ++w->asked;
	r = pol_message_send(w->control, m, fds, n);
	do
		r = r ? r : pol_message_receive(w->control, m, none);
	while (!r && m->port != w->asked);
	return r ? r : m->status;
}

static int load(struct worker *w, const struct generation *g, struct pol_proxy_msg *m)
{
	*m = (struct pol_proxy_msg){ .version = POL_PROXY_VERSION,
				     .op = POL_PROXY_LOAD,
				     .gen = g->number };
	return ask(w, m, g->fd, POL_PROXY_FDS);
}

static int watch(struct worker *w, int fd)
{
	struct pol_proxy_msg m = { .version = POL_PROXY_VERSION, .op = POL_PROXY_WATCH };

	return ask(w, &m, &fd, 1);
}

static void child(const struct parent *p, const struct worker *w, int control)
{
	struct px_start s = { .listener = { w->listener[0], w->listener[1] },
			      .control = control,
			      .log = p->o->log,
			      .user = p->o->user,
			      .group = p->o->group,
			      .limit = p->o->limit,
			      .body_max = p->o->body_max,
			      .name_rules = p->o->name_rules,
			      .note = p->o->note };
	sigset_t none;

	/* of what the parent holds a worker keeps its own alone */
	for (unsigned i = 0; i < p->o->workers; i++) {
		if (&p->worker[i] == w)
			continue;
		close(p->worker[i].listener[0]);
		close(p->worker[i].listener[1]);
		if (p->worker[i].pid)
			close(p->worker[i].control);
	}
	for (size_t i = 0; i < p->gens.n; i++)
		for (size_t k = 0; k < POL_PROXY_FDS; k++)
			close(p->gens.v[i].fd[k]);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (p->client[i] >= 0)
			close(p->client[i]);
	for (size_t i = 0; i < POL_PROXY_READERS; i++)
		if (p->taps.v[i].fd >= 0)
			close(p->taps.v[i].fd);
	close(p->listener);
	close(p->signals);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	px_worker_run(&s);
}

static int start(struct parent *p, struct worker *w, struct pol_err *e)
{
	struct pol_proxy_msg m;
	int pair[2], r = 0;

	clock_gettime(CLOCK_MONOTONIC, &w->started);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return pol_err(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	w->pid = fork();
	if (w->pid < 0) {
		w->pid = 0;
		close(pair[0]);
		close(pair[1]);
		return pol_err(e, -errno, "cannot start a worker: %s", strerror(errno));
	}
	if (!w->pid) {
		close(pair[0]);
		child(p, w, pair[1]);
	}
	close(pair[1]);
	w->control = pair[0];
	for (size_t i = 0; i < p->gens.n && !r; i++)
		r = load(w, &p->gens.v[i], &m);
	for (size_t i = 0; i < POL_PROXY_READERS && !r; i++)
		if (p->taps.v[i].fd >= 0)
			watch(w, p->taps.v[i].fd);
	m = (struct pol_proxy_msg){ .version = POL_PROXY_VERSION, .op = POL_PROXY_HELLO };
	r = r ? r : ask(w, &m, NULL, 0);
	if (!r)
		return 0;
	kill(w->pid, SIGKILL); /* and the next one is tried */
	return pol_err(e, r, "a new worker does not begin: %s", strerror(-r));
}

static long lived_ms(const struct worker *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - w->started.tv_sec) * 1000 +
	       (now.tv_nsec - w->started.tv_nsec) / 1000000;
}

/* The dead.  The listeners are ours, so who connects meanwhile waits in their queues, and is served. */
static void bury(struct parent *p)
{
	struct pol_err e = { 0 };
	pid_t pid;
	int how;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
		for (unsigned i = 0; i < p->o->workers; i++) {
			struct worker *w = &p->worker[i];

			if (w->pid != pid)
				continue;
			w->pid = 0;
			pol_cleanup_fd(&w->control);
			if (p->draining)
				continue;
			pol_err(&e, -ECHILD, "a worker ended (%s %d) and is started again",
				WIFSIGNALED(how) ? "signal" : "exit code",
				WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
			p->o->note(e.text);
			e = (struct pol_err){ 0 };
		}
}

/*
 * Who is missing starts again at once, or after RESTART_MS if it could not live for a second; who cannot be
 * started is tried again in the next turn.
 */
static void revive(struct parent *p)
{
	for (unsigned i = 0; i < p->o->workers && !p->draining; i++) {
		struct worker *w = &p->worker[i];
		struct pol_err e = { 0 };

		if (w->pid)
			continue;
		if (lived_ms(w) < 1000)
			usleep(RESTART_MS * 1000);
		if (start(p, w, &e))
			p->o->note(e.text);
	}
}

/* ---- what polload asks ------------------------------------------------------------------------- */

static void forget(struct parent *p, uint64_t number)
{
	for (size_t i = 0; i < p->gens.n; i++)
		if (p->gens.v[i].number == number) {
			for (size_t k = 0; k < POL_PROXY_FDS; k++)
				close(p->gens.v[i].fd[k]);
			p->gens.v[i--] = p->gens.v[--p->gens.n];
		}
}

/* All workers or none: one that refuses makes the others forget it. */
static int load_all(struct parent *p, struct pol_proxy_msg *m, int fds[POL_PROXY_FDS])
{
	struct generation g = { .number = m->gen };
	int r = 0;

	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		if (fds[i] < 0)
			return -EINVAL;
	memcpy(g.fd, fds, sizeof(g.fd));
	for (unsigned i = 0; i < p->o->workers && !r; i++)
		r = load(&p->worker[i], &g, m);
	for (unsigned i = 0; i < p->o->workers && r; i++) {
		struct pol_proxy_msg undo = { .version = POL_PROXY_VERSION,
					      .op = POL_PROXY_FORGET,
					      .gen = g.number };

		ask(&p->worker[i], &undo, NULL, 0);
	}
	if (r)
		return r;
	forget(p, g.number);
	*pol_vec_push(&p->gens) = g;
	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		fds[i] = -1;
	return 0;
}

static void status(struct parent *p, struct pol_proxy_msg *m)
{
	static const char *const name[] = { "connections", "requests",   "allowed", "denied",
					    "refused",     "failed",     "tunnels", "open",
					    "log_lost",    "turned_away" };
	unsigned long long sum[POL_ARRAY_LEN(name)] = { 0 };
	unsigned alive = 0;
	int at;

	for (unsigned i = 0; i < p->o->workers; i++) {
		struct pol_proxy_msg q = { .version = POL_PROXY_VERSION, .op = POL_PROXY_STATUS };
		unsigned long long v[POL_ARRAY_LEN(name)] = { 0 };

		if (ask(&p->worker[i], &q, NULL, 0))
			continue;
		alive++;
		if (sscanf(q.text, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0],
			   &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9]) == 10)
			for (size_t k = 0; k < POL_ARRAY_LEN(name); k++)
				sum[k] += v[k];
	}
	at = snprintf(m->text, sizeof(m->text), "{\"workers\":%u", alive);
	for (size_t k = 0; k < POL_ARRAY_LEN(name); k++)
		at += snprintf(m->text + at, sizeof(m->text) - (size_t)at, ",\"%s\":%llu", name[k],
			       sum[k]);
	snprintf(m->text + at, sizeof(m->text) - (size_t)at, "}");
}

static void hello(struct parent *p, struct pol_proxy_msg *m)
{
	int at = 0;

	m->gen = p->o->user;
	m->text[0] = '\0';
	for (size_t i = 0; i < p->gens.n && at < 900; i++)
		at += snprintf(m->text + at, sizeof(m->text) - (size_t)at, "%s%llu", i ? " " : "",
			       (unsigned long long)p->gens.v[i].number);
}

/* A worker that cannot be told would never end, nor would we: its connections end now. */
static void drain(struct parent *p)
{
	p->draining = true;
	/* Whoever is asked next is our successor. */
	unlink(p->o->control);
	pol_cleanup_fd(&p->listener);
	for (unsigned i = 0; i < p->o->workers; i++) {
		struct pol_proxy_msg m = { .version = POL_PROXY_VERSION, .op = POL_PROXY_DRAIN };
		struct worker *w = &p->worker[i];
		struct pol_err e = { 0 };
		int r;

		pol_cleanup_fd(&w->listener[0]);
		pol_cleanup_fd(&w->listener[1]);
		r = ask(w, &m, NULL, 0);
		if (!r || !w->pid)
			continue;
		pol_err(&e, r, "a worker cannot be told to end, and is killed: %s", strerror(-r));
		p->o->note(e.text);
		kill(w->pid, SIGKILL);
	}
}

/* A reader of requests: its socket goes to all workers. */
static int watch_all(struct parent *p, int fds[POL_PROXY_FDS])
{
	int fd = fds[0], type = 0, r;
	socklen_t n = sizeof(type);

	/* anything else could make a worker wait, or be what it must not write to */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &n) || type != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || type != SOCK_SEQPACKET)
		return -EINVAL;
	fds[0] = -1;
	r = px_taps_add(&p->taps, fd);
	for (unsigned i = 0; i < p->o->workers && !r; i++)
		r = watch(&p->worker[i], fd);
	return r;
}

/* The map is polload's; who may write to it may name sockets there, and nothing of the policy. */
static int enter_listeners(const struct parent *p, int map)
{
	int r = 0;

	for (uint32_t i = 0; i < 2 * p->o->workers && !r; i++) {
		uint32_t at = POL_AGAIN_LISTENER(i / 2, i % 2);
		uint64_t fd = (uint64_t)p->worker[i / 2].listener[i % 2];

		if (p->worker[i / 2].listener[i % 2] >= 0 &&
		    bpf_map_update_elem(map, &at, &fd, BPF_ANY))
			r = -errno;
	}
	return r;
}

static void obey(struct parent *p, struct pol_proxy_msg *m, int fds[POL_PROXY_FDS])
{
	m->status = 0;
	switch ((enum pol_proxy_op)m->op) {
	case POL_PROXY_HELLO:
		hello(p, m);
		break;
	case POL_PROXY_LOAD:
		m->status = load_all(p, m, fds);
		break;
	case POL_PROXY_FORGET:
		for (unsigned i = 0; i < p->o->workers; i++) {
			struct pol_proxy_msg q = { .version = POL_PROXY_VERSION,
						   .op = POL_PROXY_FORGET,
						   .gen = m->gen };

			ask(&p->worker[i], &q, NULL, 0);
		}
		forget(p, m->gen);
		break;
	case POL_PROXY_STATUS:
		status(p, m);
		break;
	case POL_PROXY_DRAIN:
		drain(p);
		break;
	case POL_PROXY_WATCH:
		m->status = watch_all(p, fds);
		break;
	case POL_PROXY_LISTENERS:
		m->status = enter_listeners(p, fds[0]);
		break;
	default:
		m->status = -EINVAL;
	}
	m->workers = (uint16_t)p->o->workers;
	m->port = p->o->port;
}

static void serve(struct parent *p, int *client)
{
	struct pol_proxy_msg m;
	int fds[POL_PROXY_FDS], r = pol_message_receive(*client, &m, fds);

	if (!r)
		obey(p, &m, fds);
	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		pol_cleanup_fd(&fds[i]);
	if (r || pol_message_send(*client, &m, NULL, 0))
		pol_cleanup_fd(client);
}

static void admit(struct parent *p)
{
	struct ucred who = { 0 };
	socklen_t n = sizeof(who);
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) && who.uid == 0)
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (p->client[i] < 0) {
				p->client[i] = fd;
				return;
			}
	close(fd);
}

/* ---- the loop --------------------------------------------------------------------------------------- */

static bool running(const struct parent *p)
{
	for (unsigned i = 0; i < p->o->workers; i++)
		if (p->worker[i].pid)
			return true;
	return !p->draining;
}

static void loop(struct parent *p)
{
	struct signalfd_siginfo s;

	while (running(p)) {
		struct pollfd f[2 + CLIENTS_MAX] = { { .fd = p->listener, .events = POLLIN },
						     { .fd = p->signals, .events = POLLIN } };

		for (size_t i = 0; i < CLIENTS_MAX; i++)
			f[2 + i] = (struct pollfd){ .fd = p->client[i], .events = POLLIN };
		if (poll(f, POL_ARRAY_LEN(f), 1000) < 0 && errno != EINTR) {
			/* Workers go on, and so do we when there is memory again. */
			p->o->note("no memory to wait in; trying again");
			usleep(200000);
		}
		if (f[1].revents && read(p->signals, &s, sizeof(s)) == sizeof(s) &&
		    s.ssi_signo != SIGCHLD && !p->draining)
			drain(p);
		bury(p);
		revive(p);
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (p->client[i] >= 0 && f[2 + i].revents)
				serve(p, &p->client[i]);
		if (f[0].revents)
			admit(p);
	}
}

int px_control_run(const struct px_options *o, struct pol_err *e)
{
	struct parent p = { .o = o, .listener = -1, .signals = -1 };
	sigset_t set;
	int r;

	p.worker = calloc(o->workers, sizeof(*p.worker));
	if (!p.worker)
		return pol_err(e, -ENOMEM, "no memory for the workers");
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		p.client[i] = -1;
	px_taps_init(&p.taps);
	for (unsigned i = 0; i < o->workers; i++)
		p.worker[i] = (struct worker){ .control = -1, .listener = { -1, -1 } };
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = p.signals < 0 ? pol_err(e, -errno, "no signals can be waited for: %s", strerror(errno))
			  : 0;
	r = r || !o->replace ? r : end_other(o, e);
	r = r ? r : make_listeners(&p, e);
	r = r ? r : make_control(&p, e);
	for (unsigned i = 0; i < o->workers && !r; i++)
		r = start(&p, &p.worker[i], e);
	if (!r && o->ready)
		o->ready();
	if (!r)
		loop(&p);
	if (p.listener >= 0 && r != -EADDRINUSE)
		unlink(o->control);
	for (unsigned i = 0; i < o->workers; i++)
		if (p.worker[i].pid)
			kill(p.worker[i].pid, SIGKILL);
	free(p.worker);
	pol_vec_free(&p.gens);
	return r;
}
