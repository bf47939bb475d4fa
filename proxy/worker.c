/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/message.h"
#include "proxy/confine.h"
#include "proxy/log.h"

/*
 * Who is in does not wait for who comes: in each turn of the loop all connections have theirs first, then so
 * many are accepted.
 */
#define ACCEPTS 4

struct running {
	struct px_worker w;
	const struct px_start *start;
	ev_io on_listener[2], on_control;
	ev_timer on_quiet; /* of a drain: are we done? */
	ev_timer on_late; /* of forgotten generations: is their time over? */
	ev_timer on_room; /* of descriptors there were none: are there again? */
	ev_prepare on_sleep;
};

/* ---- what the parent says ------------------------------------------------------------- */

static void status(const struct px_worker *w, struct pol_proxy_msg *m)
{
	const struct px_counters *n = &w->count;

	snprintf(m->text, sizeof(m->text), "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
		 (unsigned long long)n->connections, (unsigned long long)n->requests,
		 (unsigned long long)n->allowed, (unsigned long long)n->denied,
		 (unsigned long long)n->refused, (unsigned long long)n->failed,
		 (unsigned long long)n->tunnels, (unsigned long long)n->open,
		 (unsigned long long)n->log_lost, (unsigned long long)n->turned_away);
}

static void listen_for(struct running *r, bool more)
{
	for (int i = 0; i < 2; i++)
		if (!more)
			ev_io_stop(r->w.loop, &r->on_listener[i]);
		else if (r->start->listener[i] >= 0)
			ev_io_start(r->w.loop, &r->on_listener[i]);
}

/* The parent has closed its own: the port is free, and who comes does not wait for nobody. */
static void listen_no_more(struct running *r)
{
	listen_for(r, false);
	for (int i = 0; i < 2 && !r->w.draining; i++)
		if (r->start->listener[i] >= 0)
			close(r->start->listener[i]);
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
		px_policy_forget(&r->w.policy, m->gen, ev_now(r->w.loop));
		ev_timer_again(r->w.loop, &r->on_late);
		r->w.epoch++;
		break;
	case POL_PROXY_STATUS:
		status(&r->w, m);
		break;
	case POL_PROXY_DRAIN:
		listen_no_more(r);
		px_conn_drain(&r->w);
		ev_timer_start(r->w.loop, &r->on_quiet);
		break;
	case POL_PROXY_WATCH:
		m->status = px_taps_add(&r->w.taps, fds[0]);
		fds[0] = -1;
		break;
	case POL_PROXY_HELLO: /* it has told all that there is to know: who came before that, waits */
		listen_for(r, !r->w.draining);
		break;
	case POL_PROXY_LISTENERS: /* the parent's */
	default:
		m->status = -EINVAL;
	}
}

static _Noreturn void end(struct running *r)
{
	px_log_flush(&r->w);
	_exit(0);
}

static void on_control(struct ev_loop *loop, ev_io *io, int events)
{
	struct running *r = io->data;
	struct pol_proxy_msg m;
	int fds[POL_PROXY_FDS];
	int got = pol_message_receive(io->fd, &m, fds);

	(void)events;
	if (got == -EPIPE)
		end(r); /* the parent is gone: nobody would tell of the next policy */
	if (!got)
		obey(r, &m, fds);
	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		pol_cleanup_fd(&fds[i]);
	if (!got && pol_message_send(io->fd, &m, NULL, 0))
		ev_break(loop, EVBREAK_ALL);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void on_late(struct ev_loop *loop, ev_timer *t, int events)
{
	struct running *r = t->data;

	(void)events;
	if (!px_policy_expire(&r->w.policy, ev_now(loop)))
		ev_timer_stop(loop, t);
}

static void on_room(struct ev_loop *loop, ev_timer *t, int events)
{
	struct running *r = t->data;

	(void)events;
	ev_timer_stop(loop, t);
	if (!r->w.draining)
		listen_for(r, true);
}

static void on_sleep(struct ev_loop *loop, ev_prepare *p, int events)
{
	struct running *r = p->data;

	(void)loop;
	(void)events;
	px_log_flush(&r->w);
}

static void on_listener(struct ev_loop *loop, ev_io *io, int events)
{
	struct running *r = io->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage peer;
		socklen_t n = sizeof(peer);
		int fd = accept4(io->fd, (void *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			/* who waits in the queue would wake us all the time */
			listen_for(r, false);
			ev_timer_again(r->w.loop, &r->on_room);
		}
		if (fd < 0)
			return;
		px_conn_accept(&r->w, fd, &peer);
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
	struct rlimit files;
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
	r.w.body_max = s->body_max;
	px_log_begin(&r.w);
	px_conn_begin(&r.w, getrlimit(RLIMIT_NOFILE, &files) ? 1024 : files.rlim_cur);
	tzset(); /* or the first line of the log would want to open a file */
	failed = r.w.loop ? px_confine_privileges(s->user, s->group) : -ENOMEM;
	failed = failed ? failed : px_confine_calls();
	if (failed) {
		struct pol_err e = { 0 };

		pol_err(&e, failed, "a worker cannot shut itself in: %s", strerror(-failed));
		s->note(e.text);
		_exit(3);
	}
	for (int i = 0; i < 2; i++) {
		ev_io_init(&r.on_listener[i], on_listener, s->listener[i], EV_READ);
		r.on_listener[i].data = &r;
		ev_set_priority(&r.on_listener[i], EV_MINPRI);
	}
	ev_timer_init(&r.on_late, on_late, 0, 1);
	r.on_late.data = &r;
	ev_timer_init(&r.on_room, on_room, 0, 0.1);
	ev_prepare_init(&r.on_sleep, on_sleep);
	r.on_room.data = r.on_sleep.data = &r;
	if (s->log >= 0)
		ev_prepare_start(r.w.loop, &r.on_sleep);
	ev_io_init(&r.on_control, on_control, s->control, EV_READ);
	r.on_control.data = &r;
	ev_io_start(r.w.loop, &r.on_control);
	ev_timer_init(&r.on_quiet, on_quiet, 0, 0.1);
	r.on_quiet.data = &r;
	ev_run(r.w.loop, 0);
	end(&r);
}
