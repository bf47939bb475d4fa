/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/worker.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proxy/message.h"

struct running {
	struct px_worker w;
	const struct px_start *start;
	ev_io on_listener[2], on_control;
	ev_timer on_quiet;	/* of a drain: are we done? */
};

/* ---- what it may do ---------------------------------------------------------------- */

/* Only what makes a foreign address ours and marks a socket; no way to get more. */
static int drop_privileges(const struct px_start *s)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct cap[2] = { 0 };

	cap[0].permitted = cap[0].effective = 1u << CAP_NET_RAW;
	if (prctl(PR_SET_KEEPCAPS, 1))
		return -errno;
	if (s->user && (setgroups(0, NULL) || setresgid(s->group, s->group, s->group) ||
			setresuid(s->user, s->user, s->user)))
		return -errno;
	if (syscall(SYS_capset, &head, cap) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	return 0;
}

static int shut_kernel(void)
{
	static const int calls[] = {
		SCMP_SYS(read),		SCMP_SYS(write),	SCMP_SYS(close),
		SCMP_SYS(recvfrom),	SCMP_SYS(sendto),	SCMP_SYS(recvmsg),
		SCMP_SYS(sendmsg),	SCMP_SYS(accept4),	SCMP_SYS(connect),
		SCMP_SYS(bind),		SCMP_SYS(shutdown),	SCMP_SYS(setsockopt),
		SCMP_SYS(getsockopt),	SCMP_SYS(getsockname),	SCMP_SYS(getpeername),
		SCMP_SYS(epoll_ctl),	SCMP_SYS(epoll_wait),	SCMP_SYS(epoll_pwait),
		SCMP_SYS(poll),		SCMP_SYS(select),	SCMP_SYS(pselect6),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
		SCMP_SYS(brk),		SCMP_SYS(munmap),	SCMP_SYS(mremap),
		SCMP_SYS(madvise),	SCMP_SYS(futex),	SCMP_SYS(rt_sigreturn),
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(exit_group),
		SCMP_SYS(exit),		SCMP_SYS(sched_yield),	SCMP_SYS(getpid),
		SCMP_SYS(fcntl),	SCMP_SYS(newfstatat),	SCMP_SYS(eventfd2),
		SCMP_SYS(splice),	SCMP_SYS(pipe2),
	};
	static const uint32_t bpf[] = { BPF_MAP_LOOKUP_ELEM, BPF_OBJ_GET_INFO_BY_FD };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = f ? 0 : -ENOMEM;

	for (size_t i = 0; i < POL_ARRAY_LEN(calls) && !r; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < POL_ARRAY_LEN(bpf) && !r; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_EQ, bpf[i]));
	/* TCP and nothing else: no raw sockets with that capability */
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET6),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	/* memory that is no program */
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	r = r ? r : seccomp_load(f);
	seccomp_release(f);
	return r;
}

/* ---- what the parent says ------------------------------------------------------------- */

static void status(const struct px_worker *w, struct pol_proxy_msg *m)
{
	const struct px_counters *n = &w->count;

	snprintf(m->text, sizeof(m->text),
		 "%llu %llu %llu %llu %llu %llu %llu %llu %llu",
		 (unsigned long long)n->connections, (unsigned long long)n->requests,
		 (unsigned long long)n->allowed, (unsigned long long)n->denied,
		 (unsigned long long)n->refused, (unsigned long long)n->failed,
		 (unsigned long long)n->tunnels, (unsigned long long)n->open,
		 (unsigned long long)n->log_lost);
}

static void obey(struct running *r, struct pol_proxy_msg *m, int fds[POL_PROXY_FDS])
{
	struct pol_err e = { 0 };

	m->status = 0;
	switch ((enum pol_proxy_op)m->op) {
	case POL_PROXY_LOAD:
		m->status = px_policy_load(&r->w.policy, m->gen, fds, &e);
		r->w.epoch++;
		for (size_t i = 0; i < POL_PROXY_FDS; i++)
			fds[i] = -1;
		snprintf(m->text, sizeof(m->text), "%s", e.text);
		break;
	case POL_PROXY_FORGET:
		px_policy_forget(&r->w.policy, m->gen);
		r->w.epoch++;
		break;
	case POL_PROXY_STATUS:
		status(&r->w, m);
		break;
	case POL_PROXY_DRAIN:
		for (int i = 0; i < 2; i++)
			ev_io_stop(r->w.loop, &r->on_listener[i]);
		px_conn_drain(&r->w);
		ev_timer_start(r->w.loop, &r->on_quiet);
		break;
	case POL_PROXY_WATCH:
		m->status = px_taps_add(&r->w.taps, fds[0]);
		fds[0] = -1;
		break;
	case POL_PROXY_HELLO:
		break;
	default:
		m->status = -EINVAL;
	}
}

static void on_control(struct ev_loop *loop, ev_io *io, int events)
{
	struct running *r = io->data;
	struct pol_proxy_msg m;
	int fds[POL_PROXY_FDS];
	int got = px_message_receive(io->fd, &m, fds);

	(void)events;
	if (got == -EPIPE)
		_exit(0); /* the parent is gone: nobody would tell of the next policy */
	if (!got)
		obey(r, &m, fds);
	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		pol_cleanup_fd(&fds[i]);
	if (!got && px_message_send(io->fd, &m, NULL, 0))
		ev_break(loop, EVBREAK_ALL);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void on_listener(struct ev_loop *loop, ev_io *io, int events)
{
	struct running *r = io->data;

	(void)loop;
	(void)events;
	/* a few at a time, so that those who are in do not wait for those who come */
	for (int i = 0; i < 16; i++) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		px_conn_accept(&r->w, fd);
	}
}

static void on_quiet(struct ev_loop *loop, ev_timer *t, int events)
{
	struct running *r = t->data;

	(void)events;
	if (!r->w.first)
		ev_break(loop, EVBREAK_ALL);
}

void px_worker_run(const struct px_start *s)
{
	struct running r = { .start = s };
	int failed;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* the parent tells us to drain */
	signal(SIGINT, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r.w.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	r.w.log = s->log;
	px_taps_init(&r.w.taps);
	r.w.limit = s->limit;
	r.w.name_rules = s->name_rules;
	tzset(); /* or the first line of the log would want to open a file */
	failed = r.w.loop ? drop_privileges(s) : -ENOMEM;
	failed = failed ? failed : shut_kernel();
	if (failed) {
		struct pol_err e = { 0 };

		pol_err(&e, failed, "a worker cannot shut itself in: %s", strerror(-failed));
		s->note(e.text);
		_exit(3);
	}
	for (int i = 0; i < 2; i++) {
		ev_io_init(&r.on_listener[i], on_listener, s->listener[i], EV_READ);
		r.on_listener[i].data = &r;
		if (s->listener[i] >= 0)
			ev_io_start(r.w.loop, &r.on_listener[i]);
	}
	ev_io_init(&r.on_control, on_control, s->control, EV_READ);
	r.on_control.data = &r;
	ev_io_start(r.w.loop, &r.on_control);
	ev_timer_init(&r.on_quiet, on_quiet, 0, 0.1);
	r.on_quiet.data = &r;
	ev_run(r.w.loop, 0);
	_exit(0);
}
