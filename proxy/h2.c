/* SPDX-License-Identifier: GPL-2.0-only */
/* HTTP/2: the connection's two sessions, their sockets, times and ends. */
#include "proxy/h2.h"

#include <errno.h>
#include <sys/socket.h>

#define QUEUE_MAX 300 /* frames that wait for a client: more of it is not read then */
#define LEAVE_SECONDS 1 /* from "open no more" to which stream is the last one */
#define LINGER_SECONDS 2 /* RFC 9112, 9.6 holds here too */
#define END_SECONDS 5 /* for what is still to be written */

static double now(const struct px_h2 *h)
{
	return ev_now(h->w->loop);
}

static int fd_of(const struct px_h2 *h, enum px_side side)
{
	return side == PX_CLIENT ? h->c->client : h->c->server;
}

/* ---- ends ----------------------------------------------------------------------------- */

static void session_free(struct px_end *e)
{
	nghttp2_session_del(e->session);
	e->session = NULL;
	px_section_free(&e->section);
	e->section_began = 0;
	free(e->out);
	e->out = NULL;
	e->out_at = e->out_n = 0;
}

/* The client may not open more streams; which was the last one is said a little later (6.8). */
static void leave(struct px_h2 *h)
{
	if (h->leaving)
		return;
	h->leaving = now(h);
	nghttp2_submit_shutdown_notice(h->end[PX_CLIENT].session);
}

static void say_last(struct px_h2 *h)
{
	nghttp2_session *s = h->end[PX_CLIENT].session;

	if (h->told)
		return;
	h->leaving = h->leaving ? h->leaving : now(h);
	h->told = true;
	nghttp2_submit_goaway(s, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s),
			      NGHTTP2_NO_ERROR, NULL, 0);
}

/* Nothing more is taken; streams under way are lost. */
static void terminate(struct px_h2 *h, uint32_t code)
{
	if (h->ending)
		return;
	h->ending = now(h);
	nghttp2_session_terminate_session(h->end[PX_CLIENT].session, code);
}

/*
 * There is no server any more, and there will be none on this connection: its credit is spent.  What is
 * under way fails; new requests belong on another connection.
 */
static void server_gone(struct px_h2 *h, unsigned status, const char *why)
{
	struct px_stream *next;

	h->lost = true;
	px_conn_drop_server(h->c);
	session_free(&h->end[PX_SERVER]);
	for (struct px_stream *s = h->first; s; s = next) {
		next = s->next;
		px_stream_lost(s, status, why);
	}
	say_last(h);
}

static const char *lost_because(const struct px_end *server)
{
	return server->settled ? "the server ended the connection"
			       : "the server does not speak HTTP/2";
}

bool px_h2_onward(struct px_h2 *h)
{
	struct px_end *e = &h->end[PX_SERVER];

	if (e->session)
		return true;
	if (h->lost)
		return false;
	if (!px_h2_session(h, PX_SERVER) || (h->c->server < 0 && !px_conn_onward(h->c))) {
		session_free(e);
		h->lost = true;
		say_last(h);
		return false;
	}
	h->connect = now(h);
	return true;
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* What was kept goes first.  1: all is out; 0: the socket takes no more now; -1: it failed. */
static int flush_kept(struct px_end *e, int fd)
{
	while (e->out_at < e->out_n) {
		ssize_t put = send(fd, e->out + e->out_at, e->out_n - e->out_at,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN ? 0 : -1;
		e->out_at += (uint32_t)put;
	}
	free(e->out);
	e->out = NULL;
	e->out_at = e->out_n = 0;
	return 1;
}

/* Frames of the session, as many as are written at once; a negative number: it is broken. */
static ssize_t gather(struct px_end *e, char *to)
{
	size_t n = 0;

	/* one call yields at most a frame of 16 KiB with its header and padding */
	while (n + 17000 <= PX_H2_OUT) {
		const uint8_t *p;
		ssize_t got = nghttp2_session_mem_send(e->session, &p);

		if (got < 0)
			return got;
		if (!got)
			break;
		memcpy(to + n, p, (size_t)got);
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* As flush_kept, with all that the session has to say. */
static int flush(struct px_end *e, int fd)
{
	char *bytes = e->h->w->scratch;

	for (;;) {
		int r = flush_kept(e, fd);
		ssize_t n, put;

		if (r <= 0)
			return r;
		n = gather(e, bytes);
		if (n <= 0)
			return n ? -1 : 1;
		do
			put = send(fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (put < 0 && errno == EINTR);
		if (put < 0 && errno != EAGAIN)
			return -1;
		put = put < 0 ? 0 : put;
		if (put == n)
			continue;
		e->out = malloc((size_t)(n - put));
		if (!e->out)
			return -1;
		memcpy(e->out, bytes + put, (size_t)(n - put));
		e->out_n = (uint32_t)(n - put);
	}
}

/* Bytes of that side.  false: its session cannot go on. */
static bool take(struct px_end *e, const char *p, size_t n)
{
	if (px_purse_take(&e->purse, now(e->h), p, n)) {
		if (nghttp2_session_mem_recv(e->session, (const uint8_t *)p, n) < 0)
			return false;
		if (e->purse.coins > 0)
			return true;
	}
	e->h->w->count.refused++;
	if (e->side == PX_SERVER)
		return false;
	terminate(e->h, NGHTTP2_ENHANCE_YOUR_CALM);
	return true;
}

/* 1: something came; 0: nothing now; -1: the socket failed, or what came cannot be read. */
static int receive(struct px_end *e, int fd)
{
	struct px_worker *w = e->h->w;
	ssize_t got = recv(fd, w->scratch, sizeof(w->scratch), MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!got) {
		e->eof = true;
		return 1;
	}
	return take(e, w->scratch, (size_t)got) ? 1 : -1;
}

/* ---- times ------------------------------------------------------------------------------------ */

/* The earliest time at which something is too late. */
static double deadline(const struct px_h2 *h)
{
	const struct px_limits *l = &h->w->limit;
	double t = h->streams ? now(h) + l->idle : h->idle + l->idle;

	for (const struct px_stream *s = h->first; s; s = s->next)
		t = s->moved + l->idle < t ? s->moved + l->idle : t;
	for (enum px_side side = PX_CLIENT; side < PX_SIDES; side++) {
		double began = h->end[side].section_began;

		if (began && began + l->head < t)
			t = began + l->head;
	}
	if (h->c->connecting && h->connect + l->connect < t)
		t = h->connect + l->connect;
	if (h->leaving && !h->told && h->leaving + LEAVE_SECONDS < t)
		t = h->leaving + LEAVE_SECONDS;
	if (h->ending && h->ending + END_SECONDS < t)
		t = h->ending + END_SECONDS;
	return t;
}

/* Is it past that, and what of? */
static bool passed(const struct px_h2 *h, double since, double seconds)
{
	return since && now(h) >= since + seconds - 0.001;
}

/* The timer is not moved for what is later than it. */
static void arm(struct px_h2 *h)
{
	struct px_conn *c = h->c;
	double t = now(h) + h->w->limit.idle;

	if (!ev_is_active(&c->timer) || h->end[PX_CLIENT].section_began ||
	    h->end[PX_SERVER].section_began || h->leaving || h->ending || c->connecting)
		t = deadline(h);
	if (!ev_is_active(&c->timer) || c->deadline > t)
		px_conn_timer(c, t > now(h) ? t - now(h) : 0);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static bool over(const struct px_end *e)
{
	return !e->out_n && !nghttp2_session_want_read(e->session) &&
	       !nghttp2_session_want_write(e->session);
}

static void finish(struct px_h2 *h)
{
	struct px_conn *c = h->c;

	if (h->end[PX_CLIENT].eof) {
		px_conn_free(c, NULL);
		return;
	}
	px_conn_drop_server(c);
	shutdown(c->client, SHUT_WR);
	h->lingering = true;
	px_conn_watch(c, &c->on_client, c->client, true, false);
	px_conn_timer(c, LINGER_SECONDS);
}

static void write_server(struct px_h2 *h)
{
	struct px_end *server = &h->end[PX_SERVER];

	if (flush(server, h->c->server) < 0) {
		server_gone(h, 502, "the server's connection broke");
		return;
	}
	px_streams_submit(h);
	if (over(server))
		server_gone(h, 502, lost_because(server));
}

/* Whether both sockets are there; the connection may be gone, or ends. */
static bool write_both(struct px_h2 *h)
{
	struct px_end *client = &h->end[PX_CLIENT], *server = &h->end[PX_SERVER];
	bool more = true;

	/* what one side takes opens windows of the other */
	for (int round = 0; round < 8 && more; round++) {
		if (server->session && !h->c->connecting)
			write_server(h);
		if (flush(client, h->c->client) < 0) {
			px_conn_kill(h->c, "the client's connection broke");
			return false;
		}
		more = server->session && !h->c->connecting && !server->out_n &&
		       nghttp2_session_want_write(server->session);
	}
	return true;
}

/* Moves everything that can be moved.  The connection may be gone afterwards. */
static void pump(struct px_h2 *h)
{
	struct px_conn *c = h->c;
	struct px_end *client = &h->end[PX_CLIENT], *server = &h->end[PX_SERVER];

	if (!write_both(h))
		return;
	if (client->eof && h->streams) { /* it cannot hear what the server says */
		px_conn_abort(c->server);
		px_conn_free(c, "the client closed within a request");
		return;
	}
	if (over(client) || client->eof) {
		finish(h);
		return;
	}
	arm(h);
	px_conn_watch(c, &c->on_client, c->client,
		      !client->eof && !h->ending &&
			      nghttp2_session_get_outbound_queue_size(client->session) < QUEUE_MAX,
		      client->out_n || nghttp2_session_want_write(client->session));
	if (server->session)
		px_conn_watch(c, &c->on_server, c->server, !c->connecting,
			      c->connecting || server->out_n ||
				      nghttp2_session_want_write(server->session));
}

static void client(struct px_conn *c, int events)
{
	struct px_h2 *h = c->relay;

	if (h->lingering) {
		ssize_t got = recv(c->client, h->w->scratch, sizeof(h->w->scratch), MSG_DONTWAIT);

		if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
			px_conn_free(c, NULL);
		return;
	}
	if (events & EV_READ && !h->end[PX_CLIENT].eof && !h->ending &&
	    receive(&h->end[PX_CLIENT], fd_of(h, PX_CLIENT)) < 0) {
		px_conn_kill(c, "the client's connection broke");
		return;
	}
	pump(h);
}

static void server(struct px_conn *c, int events)
{
	struct px_h2 *h = c->relay;
	struct px_end *e = &h->end[PX_SERVER];

	if (events & EV_READ && e->session) {
		int got = receive(e, fd_of(h, PX_SERVER));

		if (got < 0 || e->eof)
			server_gone(h, 502, lost_because(e));
	}
	pump(h);
}

static void connected(struct px_conn *c, bool there)
{
	struct px_h2 *h = c->relay;

	if (!there)
		server_gone(h, 502, "the server refuses the connection");
	pump(h);
}

static void timeout(struct px_conn *c)
{
	struct px_h2 *h = c->relay;
	const struct px_limits *l = &h->w->limit;
	struct px_end *end = h->end;
	struct px_stream *next;

	if (h->lingering || passed(h, h->ending, END_SECONDS)) {
		px_conn_free(c, "nothing moved for too long");
		return;
	}
	if (c->connecting && passed(h, h->connect, l->connect))
		server_gone(h, 504, "the server does not accept in time");
	if (passed(h, end[PX_SERVER].section_began, l->head))
		server_gone(h, 502, "the server's head took too long");
	for (struct px_stream *s = h->first; s; s = next) {
		next = s->next;
		if (passed(h, s->moved, l->idle))
			px_stream_expired(s);
	}
	if (passed(h, end[PX_CLIENT].section_began, l->head)) {
		h->w->count.refused++;
		terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	if (!h->streams && passed(h, h->idle, l->idle))
		terminate(h, NGHTTP2_NO_ERROR);
	if (passed(h, h->leaving, LEAVE_SECONDS))
		say_last(h);
	pump(h);
}

/* ---- the beginning, and the end ------------------------------------------------------------------- */

static void begin(struct px_conn *c, const char *p, size_t n)
{
	struct px_h2 *h = calloc(1, sizeof(*h));

	if (!h) {
		px_conn_kill(c, NULL);
		return;
	}
	h->c = c;
	h->w = c->w;
	h->end_of = &h->first;
	h->idle = now(h);
	for (enum px_side side = PX_CLIENT; side < PX_SIDES; side++) {
		h->end[side].h = h;
		h->end[side].side = side;
	}
	c->relay = h;
	if (!px_h2_session(h, PX_CLIENT) || !take(&h->end[PX_CLIENT], p, n)) {
		px_conn_kill(c, "the client's connection broke");
		return;
	}
	if (h->w->draining)
		leave(h);
	pump(h);
}

static void drain(struct px_conn *c)
{
	struct px_h2 *h = c->relay;

	if (h->lingering || h->ending)
		return;
	leave(h);
	pump(h);
}

static void end(struct px_conn *c, const char *why)
{
	struct px_h2 *h = c->relay;

	if (!h)
		return;
	while (h->first)
		px_stream_free(h->first, why ? why : "the connection ended");
	session_free(&h->end[PX_CLIENT]);
	session_free(&h->end[PX_SERVER]);
	free(h);
}

const struct px_protocol px_http2 = { .name = "HTTP/2",
				      .begin = begin,
				      .client = client,
				      .server = server,
				      .connected = connected,
				      .timeout = timeout,
				      .drain = drain,
				      .free = end };
