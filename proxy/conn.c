/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"

#define BUFFER PX_HEAD_MAX
#define LEAST_BYTES 1024u	/* of a request's body in limit.idle seconds */

struct buffer {
	char *p;		/* BUFFER bytes while there is something in it; else NULL */
	size_t at, ok, n;	/* at: written so far; ok: up to here it may be; n: what there is */
	size_t seen;		/* of a head behind ok */
	bool eof;		/* no more will come */
};

enum phase {
	PHASE_IDLE,		/* before the first byte of a request */
	PHASE_HEAD,		/* inside a request's head */
	PHASE_ANSWER,		/* a request is under way */
	PHASE_TUNNEL,		/* upgraded: bytes are no longer ours to read */
	PHASE_FLUSH,		/* what is left goes to the client, then it ends */
	PHASE_LINGER,		/* all said; closing now could destroy it on its way (RFC 9112, 9.6) */
};

struct px_conn {
	struct px_worker *w;
	struct px_conn *next, **link;
	int client, server;	/* server -1: not connected yet */
	bool connecting;
	ev_io on_client, on_server;
	ev_timer timer;
	double deadline;	/* what the timer stands for; it may go off earlier */
	struct pol_proxy_key key;
	struct pol_proxy_flow flow;	/* how the data path judged it, as of ... */
	uint64_t epoch;			/* ... that of the worker */
	enum phase phase;
	struct buffer up, down;	/* from the client; from the server */
	struct px_body request, response;
	bool answering;		/* the response's head is through */
	bool close;		/* end after this request */
	bool upgrade;		/* this request asks for one, and may */
	char method[8];		/* as far as framing needs it */
	/* for the log */
	struct pol_str log_method, log_host, log_path;
	char *log_text;
	struct px_verdict verdict;
	bool judged;
	unsigned status;
	uint64_t sent, received;
	uint64_t got, mark;	/* from the client; when the timer was set last */
	double began;
	char source[POL_EP_NAME], destination[POL_EP_NAME];
};

static void on_client(struct ev_loop *loop, ev_io *io, int events);
static void on_server(struct ev_loop *loop, ev_io *io, int events);
static void on_timer(struct ev_loop *loop, ev_timer *t, int events);

/* ---- life --------------------------------------------------------------------------- */

static void log_request(struct px_conn *c, const char *verdict, const char *why)
{
	struct px_record r = { .key = c->key, .source = c->source, .destination = c->destination,
			       .method = c->log_method, .host = c->log_host, .path = c->log_path,
			       .verdict = verdict, .why = why,
			       .judged = c->judged ? &c->verdict : NULL, .status = c->status,
			       .sent = c->sent, .received = c->received,
			       .seconds = ev_now(c->w->loop) - c->began };

	px_log(c->w, &r);
	free(c->log_text);
	c->log_text = NULL;
	c->log_method = c->log_host = c->log_path = (struct pol_str){ NULL, 0 };
	c->judged = false;
	c->status = 0;
	c->sent = c->received = 0;
}

static void conn_free(struct px_conn *c)
{
	ev_io_stop(c->w->loop, &c->on_client);
	ev_io_stop(c->w->loop, &c->on_server);
	ev_timer_stop(c->w->loop, &c->timer);
	if (c->phase == PHASE_ANSWER || c->phase == PHASE_TUNNEL)
		log_request(c, c->phase == PHASE_TUNNEL ? "allow" : "fail",
			    c->phase == PHASE_TUNNEL ? NULL : "the connection ended");
	pol_cleanup_fd(&c->client);
	pol_cleanup_fd(&c->server);
	free(c->up.p);
	free(c->down.p);
	free(c->log_text);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->w->count.open--;
	free(c);
}

/* RST instead of FIN: what the client or server has got is not to be taken for whole. */
static void abort_socket(int fd)
{
	struct linger now = { .l_onoff = 1 };

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void conn_kill(struct px_conn *c, const char *why)
{
	c->w->count.failed++;
	if (c->phase == PHASE_ANSWER) {
		log_request(c, "fail", why);
		c->phase = PHASE_FLUSH;
	}
	abort_socket(c->client);
	abort_socket(c->server);
	conn_free(c);
}

/* One that goes off too early is set again: moving it at each event would cost more. */
static void timer(struct px_conn *c, double seconds)
{
	double now = ev_now(c->w->loop), before = c->deadline;

	c->deadline = now + seconds;
	if (ev_is_active(&c->timer) && before <= c->deadline)
		return;
	ev_timer_stop(c->w->loop, &c->timer);
	ev_timer_set(&c->timer, seconds, 0);
	ev_timer_start(c->w->loop, &c->timer);
}

/* ---- buffers --------------------------------------------------------------------------- */

static void buffer_tidy(struct buffer *b)
{
	if (b->at == b->n) { /* an idle connection holds no buffer */
		free(b->p);
		b->p = NULL;
		b->at = b->ok = b->n = 0;
	} else if (b->at && b->at == b->ok) {
		memmove(b->p, b->p + b->at, b->n - b->at);
		b->n -= b->at;
		b->at = b->ok = 0;
	}
}

static bool buffer_room(const struct buffer *b)
{
	return b->n < BUFFER && !b->eof;
}

/* 1: something came; 0: nothing now; -1: the socket failed. */
static int buffer_fill(struct buffer *b, int fd, uint64_t *count)
{
	ssize_t got;

	if (!b->p)
		b->p = malloc(BUFFER);
	if (!b->p)
		return -1;
	got = recv(fd, b->p + b->n, BUFFER - b->n, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!got)
		b->eof = true;
	b->n += (size_t)got;
	*count += (uint64_t)got;
	return 1;
}

/* Writes what may be written.  -1: the socket failed. */
static int buffer_flush(struct buffer *b, int fd, uint64_t *count)
{
	while (b->at < b->ok) {
		ssize_t put = send(fd, b->p + b->at, b->ok - b->at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN ? 0 : -1;
		b->at += (size_t)put;
		*count += (uint64_t)put;
	}
	buffer_tidy(b);
	return 0;
}

static void watch(struct px_conn *c, ev_io *io, int fd, bool read, bool write)
{
	int events = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);

	if (fd < 0 || (ev_is_active(io) && (io->events & (EV_READ | EV_WRITE)) == events))
		return;
	ev_io_stop(c->w->loop, io);
	if (!events)
		return;
	ev_io_set(io, fd, events);
	ev_io_start(c->w->loop, io);
}

/* ---- answers of our own ------------------------------------------------------------------ */

static const char *phrase(unsigned status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 408: return "Request Timeout";
	case 414: return "URI Too Long";
	case 417: return "Expectation Failed";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	default: return "HTTP Version Not Supported";
	}
}

/* Which line it was is for the log, and for the client only where that was asked for. */
static void name_rule(const struct px_conn *c, unsigned status, char *out, size_t size)
{
	const struct px_verdict *v = &c->verdict;
	const struct pol_http_line_info *l;
	struct pol_str file;

	out[0] = '\0';
	if (status != 403 || !c->w->name_rules || !c->judged || !v->gen || !v->gen->image)
		return;
	if (v->line == POL_HTTP_NO_LINE) {
		snprintf(out, size, "X-Policy-Rule: none\r\n");
		return;
	}
	l = &v->gen->view.lines[v->line];
	file = pol_http_string(&v->gen->view, l->file);
	/* The name of a file is its author's: nothing in it may end the line. */
	snprintf(out, size, "X-Policy-Rule: %.*s:%u", (int)(file.n < 128 ? file.n : 128), file.p,
		 l->line);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
	strcat(out, "\r\n");
}

/* Into the empty down buffer. */
static bool answer(struct px_conn *c, unsigned status, bool close)
{
	char rule[256];
	int n;

	if (c->down.n) /* an interim answer is still going out */
		return false;
	if (!c->down.p)
		c->down.p = malloc(BUFFER);
	if (!c->down.p)
		return false;
	name_rule(c, status, rule, sizeof(rule));
	n = snprintf(c->down.p, BUFFER,
		     "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		     "Cache-Control: no-store\r\n%s%s\r\n%s\n",
		     status, phrase(status), strlen(phrase(status)) + 1,
		     close ? "Connection: close\r\n" : "", rule, phrase(status));
	if (!strcmp(c->method, "HEAD")) /* its answer has no body */
		n -= (int)strlen(phrase(status)) + 1;
	c->down.at = 0;
	c->down.ok = c->down.n = (size_t)n;
	c->status = status;
	return true;
}

/* The end of a connection whose client gets one more answer. */
static bool refuse(struct px_conn *c, unsigned status, const char *verdict, const char *why)
{
	bool said = !c->answering && answer(c, status, true);

	if (!said) /* what the client has is not to be taken for whole */
		abort_socket(c->client);
	log_request(c, verdict, why);
	c->phase = PHASE_FLUSH;
	c->up.ok = c->up.at;
	if (c->server >= 0) {
		ev_io_stop(c->w->loop, &c->on_server);
		abort_socket(c->server);
		pol_cleanup_fd(&c->server);
	}
	timer(c, 5);
	return said;
}

/* ---- onward ---------------------------------------------------------------------------------- */

static socklen_t to_sockaddr(const struct pol_addr *a, __be16 port_be, struct sockaddr_storage *s)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in *v4 = (void *)s;
	struct sockaddr_in6 *v6 = (void *)s;

	memset(s, 0, sizeof(*s));
	if (!memcmp(a->b, mapped, sizeof(mapped))) {
		v4->sin_family = AF_INET;
		v4->sin_port = port_be;
		memcpy(&v4->sin_addr, a->b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port_be;
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}

static int onward_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	uint32_t mark = POL_MARK_ONWARD;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    (family == AF_INET ? setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one))
			       : setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &one, sizeof(one)))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * A port below those that clients choose by themselves (Linux: 32768 and up), and of none of
 * this client's redirected connections: to the data path the tuples of both halves must differ.
 */
static __be16 onward_port(const struct px_conn *c)
{
	struct pol_proxy_key k = c->key;
	struct pol_proxy_flow f;
	uint16_t r;

	for (int tries = 0; tries < 8; tries++) {
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			break;
		k.sport_be = htons((uint16_t)(1024 + r % (32768 - 1024)));
		if (px_policy_flow(&c->w->policy, &k, &f))
			return k.sport_be;
	}
	return 0;
}

/* From the client's address to where the client wanted to go. */
static bool onward(struct px_conn *c)
{
	struct sockaddr_storage from, to;
	socklen_t n = to_sockaddr(&c->key.dst, c->key.dport_be, &to);

	for (int tries = 0; tries < 16; tries++) {
		__be16 port_be = onward_port(c);
		int fd = port_be ? onward_socket(to.ss_family) : -1;

		if (fd < 0)
			return false;
		to_sockaddr(&c->key.src, port_be, &from);
		if (!bind(fd, (void *)&from, n) &&
		    (!connect(fd, (void *)&to, n) || errno == EINPROGRESS)) {
			c->server = fd;
			c->connecting = true;
			timer(c, c->w->limit.connect);
			return true;
		}
		close(fd);
		if (errno != EADDRINUSE && errno != EADDRNOTAVAIL)
			return false;
	}
	return false;
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* The log wants them after the buffer has moved on. */
static void keep_for_log(struct px_conn *c, const struct px_head *h)
{
	size_t n = h->method.n + h->nhost + h->path.n;

	if (c->w->log < 0)
		return;
	c->log_text = malloc(n + 1);
	if (!c->log_text)
		return;
	memcpy(c->log_text, h->method.p, h->method.n);
	memcpy(c->log_text + h->method.n, h->host, h->nhost);
	memcpy(c->log_text + h->method.n + h->nhost, h->path.p, h->path.n);
	c->log_method = (struct pol_str){ c->log_text, h->method.n };
	c->log_host = (struct pol_str){ c->log_text + h->method.n, h->nhost };
	c->log_path = (struct pol_str){ c->log_text + h->method.n + h->nhost, h->path.n };
}

static void judge(struct px_conn *c, const struct px_head *h)
{
	struct pol_http_request r = { .method = h->method, .host = { h->host, h->nhost },
				      .path = h->path, .query = { h->path.p + h->path.n, h->target.n - h->path.n },
				      .field = h->field, .nfields = h->nfields,
				      .upgrade = h->upgrade };
	c->verdict = (struct px_verdict){ .answer = PX_UNKNOWN, .rule = POL_NO_RULE,
					  .line = POL_HTTP_NO_LINE };
	/*
	 * After a flip the data path judges the flow again, with the packets of this request at the
	 * latest; while a newer generation is loaded than the one that judged it, that may be any moment.
	 */
	if ((c->epoch != c->w->epoch || c->flow.gen != px_policy_newest(&c->w->policy)) &&
	    !px_policy_flow(&c->w->policy, &c->key, &c->flow))
		c->epoch = c->w->epoch;
	if (c->epoch == c->w->epoch)
		c->verdict = px_policy_judge(&c->w->policy, &c->flow, &r);
	/* a tunnel to wherever: no line can allow it, and none is needed to deny it */
	if (pol_str_is(h->method, "CONNECT") && c->verdict.answer == PX_ALLOW)
		c->verdict.answer = PX_DENY;
	c->judged = true;
}

/* Denied: with a body behind it there is no telling where the next request begins but to read it. */
static bool deny(struct px_conn *c, const struct px_head *h)
{
	bool close = c->close || h->framing != PX_BODY_NONE || h->minor0 || c->w->draining;

	c->w->count.denied++;
	if (close)
		return refuse(c, 403, "deny", NULL);
	if (!answer(c, 403, false))
		return false;
	log_request(c, "deny", NULL);
	/* its bytes go nowhere */
	memmove(c->up.p + c->up.ok, c->up.p + c->up.ok + h->size, c->up.n - c->up.ok - h->size);
	c->up.n -= h->size;
	c->phase = PHASE_IDLE;
	timer(c, c->w->limit.idle);
	return true;
}

static bool request_head(struct px_conn *c, size_t size)
{
	struct px_head *h = &c->w->request;
	struct px_fault fault = { 0 };
	bool ok = px_request(h, c->up.p + c->up.ok, size, &fault);

	c->up.seen = 0;
	c->answering = false;
	snprintf(c->method, sizeof(c->method), "%.*s", ok ? (int)(h->method.n < 7 ? h->method.n : 7) : 0,
		 ok ? h->method.p : "");
	c->w->count.requests++;
	if (!ok) {
		c->w->count.refused++;
		return refuse(c, fault.status, "refuse", fault.why);
	}
	keep_for_log(c, h);
	judge(c, h);
	c->close = h->close || (h->minor0 && !h->keep_alive);
	if (c->verdict.answer == PX_UNKNOWN)
		return refuse(c, 503, "fail", "the policy of this connection is not known");
	if (c->verdict.answer == PX_DENY)
		return deny(c, h);
	c->w->count.allowed++;
	c->phase = PHASE_ANSWER;
	c->upgrade = h->upgrade;
	px_body_begin(&c->request, h->framing, h->length, false);
	c->up.ok += size;
	if (c->server < 0 && !onward(c))
		return refuse(c, 502, "fail", "cannot connect onward");
	if (!c->connecting)
		timer(c, c->w->limit.idle);
	return true;
}

/* false: the connection is gone or ends. */
static bool take_request(struct px_conn *c)
{
	struct px_fault fault = { 0 };
	long took;
	int size;

	while (c->up.ok < c->up.n) {
		size_t n = c->up.n - c->up.ok;

		switch (c->phase) {
		case PHASE_TUNNEL:
			c->up.ok = c->up.n;
			return true;
		case PHASE_FLUSH:
		case PHASE_LINGER:
			return true;
		case PHASE_ANSWER:
			if (c->request.done)
				return true; /* pipelined: its turn comes */
			took = px_body_take(&c->request, c->up.p + c->up.ok, n);
			if (took < 0)
				return refuse(c, 400, "refuse", "a body that breaks its framing");
			c->up.ok += (size_t)took;
			break;
		case PHASE_IDLE:
			if (c->down.n) /* our own answer to the one before is not out yet */
				return true;
			c->phase = PHASE_HEAD;
			c->began = ev_now(c->w->loop);
			timer(c, c->w->limit.head);
			break;
		case PHASE_HEAD:
			size = px_head_find(c->up.p + c->up.ok, n, &c->up.seen, &fault);
			if (!size)
				return true;
			if (size > 0) {
				if (!request_head(c, (size_t)size))
					return false;
				break;
			}
			c->w->count.requests++;
			c->w->count.refused++;
			c->answering = false;
			c->method[0] = '\0';
			return refuse(c, fault.status, "refuse", fault.why);
		}
	}
	return true;
}

/* ---- responses ---------------------------------------------------------------------------------------- */

static bool response_head(struct px_conn *c, size_t size)
{
	struct px_head *h = &c->w->response;
	struct px_fault fault = { 0 };

	if (!px_response(h, c->down.p + c->down.ok, size, c->method, c->upgrade, &fault)) {
		if (!c->answering && c->down.ok == 0) {
			c->down.n = 0;
			return refuse(c, 502, "fail", fault.why);
		}
		conn_kill(c, fault.why);
		return false;
	}
	c->down.seen = 0;
	c->down.ok += size;
	if (h->status < 200 && h->status != 101)
		return true; /* interim: the final one follows */
	c->answering = true;
	c->status = h->status;
	if (h->upgrade) {
		c->phase = PHASE_TUNNEL;
		c->w->count.tunnels++;
		c->up.ok = c->up.n;
		return true;
	}
	c->close = c->close || h->close || h->framing == PX_BODY_CLOSE || (h->minor0 && !h->keep_alive);
	px_body_begin(&c->response, h->framing, h->length, true);
	return true;
}

/* The response is whole. */
static bool answered(struct px_conn *c)
{
	/* a server that answers before it has read all: where the next request begins is unclear */
	bool end = c->close || !c->request.done || c->w->draining || c->down.eof;

	if (c->down.ok < c->down.n) {
		conn_kill(c, "bytes behind the end of the response");
		return false;
	}
	log_request(c, "allow", NULL);
	c->phase = end ? PHASE_FLUSH : PHASE_IDLE;
	timer(c, end ? 5 : c->w->limit.idle);
	return true;
}

static bool take_response(struct px_conn *c)
{
	struct px_fault fault = { 0 };
	long took;
	int size;

	while (c->phase == PHASE_ANSWER && (c->down.ok < c->down.n || (c->answering && c->response.done))) {
		size_t n = c->down.n - c->down.ok;

		if (!c->answering) {
			size = px_head_find(c->down.p + c->down.ok, n, &c->down.seen, &fault);
			if (!size)
				break;
			if (size < 0) {
				conn_kill(c, fault.why);
				return false;
			}
			if (!response_head(c, (size_t)size))
				return false;
			continue;
		}
		if (c->response.done)
			return answered(c);
		took = px_body_take(&c->response, c->down.p + c->down.ok, n);
		if (took < 0) {
			conn_kill(c, "a response that breaks its framing");
			return false;
		}
		c->down.ok += (size_t)took;
	}
	if (c->phase == PHASE_TUNNEL)
		c->down.ok = c->down.n;
	if (c->phase == PHASE_IDLE && c->down.n > c->down.ok) {
		conn_kill(c, "the server speaks unasked");
		return false;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

/* Moves everything that can be moved.  The connection may be gone afterwards. */
static void pump(struct px_conn *c)
{
	for (int round = 0; round < 4; round++) {
		size_t before = c->up.n + c->down.n;

		if (c->phase != PHASE_FLUSH && !take_request(c)) {
			if (c->phase != PHASE_FLUSH || !c->down.n) {
				conn_free(c);
				return;
			}
		}
		if (c->server >= 0 && !c->connecting) {
			if (!take_response(c))
				return;
			if (c->server >= 0 && buffer_flush(&c->up, c->server, &c->sent) < 0) {
				conn_kill(c, "the server's connection broke");
				return;
			}
		}
		if (buffer_flush(&c->down, c->client, &c->received) < 0) {
			conn_kill(c, "the client's connection broke");
			return;
		}
		if (c->up.n + c->down.n == before)
			break;
	}
	buffer_tidy(&c->up);
	if (c->phase == PHASE_FLUSH && c->down.at == c->down.ok) {
		shutdown(c->client, SHUT_WR);
		c->phase = PHASE_LINGER;
		timer(c, 2);
	}
	if (c->phase == PHASE_LINGER) {
		c->up.at = c->up.ok = c->up.n;
		buffer_tidy(&c->up);
		if (c->up.eof)
			conn_free(c);
		else
			watch(c, &c->on_client, c->client, true, false);
		return;
	}
	if (c->phase == PHASE_ANSWER && c->up.eof && !c->request.done && c->up.ok == c->up.n) {
		conn_kill(c, "the client closed within a request");
		return;
	}
	if (c->phase == PHASE_IDLE && !c->up.n && !c->down.n && (c->up.eof || c->down.eof || c->w->draining)) {
		conn_free(c);
		return;
	}
	if (c->phase == PHASE_HEAD && c->up.eof) {
		conn_free(c);
		return;
	}
	if (c->phase == PHASE_TUNNEL && (c->up.eof || c->down.eof) && c->up.at == c->up.ok &&
	    c->down.at == c->down.ok) {
		conn_free(c);
		return;
	}
	watch(c, &c->on_client, c->client,
	      buffer_room(&c->up) && c->phase != PHASE_FLUSH, c->down.at < c->down.ok);
	watch(c, &c->on_server, c->server, !c->connecting && buffer_room(&c->down),
	      c->connecting || c->up.at < c->up.ok);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
	struct px_conn *c = io->data;

	(void)loop;
	if (events & EV_READ && buffer_room(&c->up) && buffer_fill(&c->up, c->client, &c->got) < 0) {
		conn_kill(c, "the client's connection broke");
		return;
	}
	/* a body that trickles in holds the connection no longer than one that does not move */
	if (c->phase == PHASE_TUNNEL ||
	    (c->phase == PHASE_ANSWER && !c->connecting && c->got - c->mark >= LEAST_BYTES)) {
		c->mark = c->got;
		timer(c, c->w->limit.idle);
	}
	pump(c);
}

/* What there is of a response when the server closes. */
static bool server_closed(struct px_conn *c)
{
	if (c->phase == PHASE_ANSWER && c->answering && c->response.framing == PX_BODY_CLOSE) {
		c->response.done = true;
		return true;
	}
	if (c->phase == PHASE_ANSWER && !c->answering && !c->down.n)
		return refuse(c, 502, "fail", "the server closed without an answer");
	if (c->phase != PHASE_ANSWER)
		return true;
	conn_kill(c, "the server closed within a response");
	return false;
}

static void on_server(struct ev_loop *loop, ev_io *io, int events)
{
	struct px_conn *c = io->data;
	socklen_t n = sizeof(int);
	int error = 0;

	(void)loop;
	if (c->connecting) {
		getsockopt(c->server, SOL_SOCKET, SO_ERROR, &error, &n);
		c->connecting = false;
		if (error) {
			refuse(c, 502, "fail", "the server refuses the connection");
			pump(c);
			return;
		}
	} else if (events & EV_READ && buffer_room(&c->down)) {
		uint64_t none = 0;
		int r = buffer_fill(&c->down, c->server, &none);

		if (r < 0 || c->down.eof) {
			c->down.eof = true;
			if (!take_response(c) || (c->phase != PHASE_FLUSH && !server_closed(c)))
				return;
		}
	}
	if (c->phase == PHASE_ANSWER || c->phase == PHASE_TUNNEL)
		timer(c, c->w->limit.idle);
	pump(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct px_conn *c = t->data;
	double left = c->deadline - ev_now(loop);

	(void)events;
	if (left > 0.001) {
		ev_timer_set(t, left, 0);
		ev_timer_start(loop, t);
		return;
	}
	if (c->phase == PHASE_HEAD) {
		c->answering = false;
		refuse(c, 408, "refuse", "the head took too long");
		pump(c);
	} else if (c->phase == PHASE_ANSWER && !c->answering) {
		refuse(c, 504, "fail", c->connecting ? "the server does not accept in time"
						     : "the server does not answer in time");
		pump(c);
	} else if (c->phase == PHASE_ANSWER) {
		conn_kill(c, "nothing moved for too long");
	} else {
		conn_free(c);
	}
}

/* ---- the beginning ------------------------------------------------------------------------------------------ */

static bool from_sockaddr(const struct sockaddr_storage *s, struct pol_addr *a, __be16 *port_be)
{
	const struct sockaddr_in *v4 = (const void *)s;
	const struct sockaddr_in6 *v6 = (const void *)s;

	if (s->ss_family == AF_INET) {
		memset(a, 0, sizeof(*a));
		a->b[10] = a->b[11] = 0xff;
		memcpy(a->b + 12, &v4->sin_addr, 4);
		*port_be = v4->sin_port;
		return (ntohl(v4->sin_addr.s_addr) >> 24) != 127;
	}
	memcpy(a->b, &v6->sin6_addr, 16);
	*port_be = v6->sin6_port;
	return s->ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) &&
	       !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
}

/*
 * Who it is stands in the entry that the redirect wrote, and nowhere else: who dials the listener
 * itself has none, and comes to a loopback address besides.
 */
static bool identify(struct px_conn *c)
{
	struct sockaddr_storage peer, name;
	socklen_t n = sizeof(peer), m = sizeof(name);
	if (getpeername(c->client, (void *)&peer, &n) || getsockname(c->client, (void *)&name, &m) ||
	    !from_sockaddr(&peer, &c->key.src, &c->key.sport_be) ||
	    !from_sockaddr(&name, &c->key.dst, &c->key.dport_be) ||
	    px_policy_flow(&c->w->policy, &c->key, &c->flow) ||
	    px_policy_is_host(&c->w->policy, &c->key.dst))
		return false;
	c->epoch = c->w->epoch;
	if (c->w->log < 0)
		return true;
	px_policy_name(&c->w->policy, c->flow.gen, c->flow.ep[POL_EGRESS], c->source);
	px_policy_name(&c->w->policy, c->flow.gen, c->flow.ep[POL_INGRESS], c->destination);
	return true;
}

void px_conn_accept(struct px_worker *w, int fd)
{
	struct px_conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c) {
		close(fd);
		return;
	}
	c->w = w;
	c->client = fd;
	c->server = -1;
	c->next = w->first;
	c->link = &w->first;
	if (c->next)
		c->next->link = &c->next;
	w->first = c;
	w->count.open++;
	ev_init(&c->on_client, on_client);
	ev_init(&c->on_server, on_server);
	ev_init(&c->timer, on_timer);
	c->on_client.data = c->on_server.data = c->timer.data = c;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!identify(c)) {
		w->count.failed++;
		abort_socket(fd);
		conn_free(c);
		return;
	}
	w->count.connections++;
	timer(c, w->limit.idle);
	pump(c);
}

void px_conn_drain(struct px_worker *w)
{
	struct px_conn *next;

	w->draining = true;
	for (struct px_conn *c = w->first; c; c = next) {
		next = c->next;
		if (c->phase == PHASE_IDLE && !c->up.n && !c->down.n)
			conn_free(c);
	}
}
