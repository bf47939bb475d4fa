/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/1 between the two halves of a connection.
 *
 * Requests are taken one after the other: what is pipelined behind one waits in the buffer until
 * that one is answered, so answers are in order and what a server sends belongs to one request.
 * Each direction has one buffer, only while it holds something; only bytes that have been judged
 * (ok) are ever written.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/exchange.h"

#define BUFFER PX_HEAD_MAX
#define LEAST_BYTES 1024u /* of a request's body in limit.idle seconds */

struct buffer {
	char *p; /* BUFFER bytes while there is something in it; else NULL */
	size_t at, ok, n; /* at: written so far; ok: up to here it may be; n: what there is */
	size_t seen; /* of a head behind ok */
	bool eof; /* no more will come */
};

enum phase {
	PHASE_IDLE, /* before the first byte of a request */
	PHASE_HEAD, /* inside a request's head */
	PHASE_ANSWER, /* a request is under way */
	PHASE_TUNNEL, /* upgraded: bytes are no longer ours to read */
	PHASE_FLUSH, /* what is left goes to the client, then it ends */
	PHASE_LINGER, /* all said; closing now could destroy it on its way (RFC 9112, 9.6) */
};

struct relay {
	struct px_conn *c;
	struct px_worker *w; /* c's */
	enum phase phase;
	struct buffer up, down; /* from the client; from the server */
	struct px_body request, response;
	bool answering; /* the response's head is through */
	bool close; /* end after this request */
	bool upgrade; /* this request asks for one, and may */
	char method[8]; /* as far as framing needs it */
	struct px_exchange x;
	uint64_t got, mark; /* from the client; when the timer was set last */
};

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

/* ---- answers of our own ------------------------------------------------------------------ */

/* Into the empty down buffer. */
static bool answer(struct relay *r, unsigned status, bool close)
{
	char rule[160];
	int n;

	if (r->down.n) /* an interim answer is still going out */
		return false;
	if (!r->down.p)
		r->down.p = malloc(BUFFER);
	if (!r->down.p)
		return false;
	px_exchange_rule(&r->x, r->w, status, rule, sizeof(rule));
	n = snprintf(r->down.p, BUFFER,
		     "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		     "Cache-Control: no-store\r\n%s%s%s%s\r\n%s\n",
		     status, px_phrase(status), strlen(px_phrase(status)) + 1,
		     close ? "Connection: close\r\n" : "", rule[0] ? "X-Policy-Rule: " : "", rule,
		     rule[0] ? "\r\n" : "", px_phrase(status));
	if (!strcmp(r->method, "HEAD")) /* its answer has no body */
		n -= (int)strlen(px_phrase(status)) + 1;
	r->down.at = 0;
	r->down.ok = r->down.n = (size_t)n;
	r->x.status = status;
	return true;
}

/* The end of a connection whose client gets one more answer. */
static bool refuse(struct relay *r, unsigned status, const char *verdict, const char *why)
{
	bool said = !r->answering && answer(r, status, true);

	if (!said) /* what the client has is not to be taken for whole */
		px_conn_abort(r->c->client);
	px_exchange_end(&r->x, r->c, verdict, why);
	r->phase = PHASE_FLUSH;
	r->up.ok = r->up.at;
	px_conn_drop_server(r->c);
	px_conn_timer(r->c, 5);
	return said;
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void judge(struct relay *r, const struct px_head *h)
{
	struct pol_http_request q = { .method = h->method,
				      .host = { h->host, h->nhost },
				      .path = h->path,
				      .query = { h->path.p + h->path.n, h->target.n - h->path.n },
				      .field = h->field,
				      .nfields = h->nfields,
				      .upgrade = h->upgrade };

	px_exchange_judged(&r->x, px_conn_judge(r->c, &q));
}

/* Denied: with a body behind it there is no telling where the next request begins but to read it. */
static bool deny(struct relay *r, const struct px_head *h)
{
	bool close = r->close || h->framing != PX_BODY_NONE || h->minor0 || r->w->draining;

	r->w->count.denied++;
	if (close)
		return refuse(r, 403, "deny", NULL);
	if (!answer(r, 403, false))
		return false;
	px_exchange_end(&r->x, r->c, "deny", NULL);
	/* its bytes go nowhere */
	memmove(r->up.p + r->up.ok, r->up.p + r->up.ok + h->size, r->up.n - r->up.ok - h->size);
	r->up.n -= h->size;
	r->phase = PHASE_IDLE;
	px_conn_timer(r->c, r->w->limit.idle);
	return true;
}

static bool request_head(struct relay *r, size_t size)
{
	struct px_head *h = &r->w->request;
	struct px_fault fault = { 0 };
	bool ok = px_request(h, r->up.p + r->up.ok, size, &fault);

	r->up.seen = 0;
	r->answering = false;
	snprintf(r->method, sizeof(r->method), "%.*s",
		 ok ? (int)(h->method.n < 7 ? h->method.n : 7) : 0, ok ? h->method.p : "");
	r->w->count.requests++;
	if (!ok) {
		r->w->count.refused++;
		return refuse(r, fault.status, "refuse", fault.why);
	}
	px_exchange_keep(&r->x, r->w, h->method, (struct pol_str){ h->host, h->nhost }, h->path);
	judge(r, h);
	r->close = h->close || (h->minor0 && !h->keep_alive);
	if (r->x.verdict.answer == PX_UNKNOWN)
		return refuse(r, 503, "fail", "the policy of this connection is not known");
	if (r->x.verdict.answer == PX_DENY)
		return deny(r, h);
	r->w->count.allowed++;
	r->phase = PHASE_ANSWER;
	r->upgrade = h->upgrade;
	px_body_begin(&r->request, h->framing, h->length, false);
	r->up.ok += size;
	if (r->c->server < 0 && !px_conn_onward(r->c))
		return refuse(r, 502, "fail", "cannot connect onward");
	if (!r->c->connecting)
		px_conn_timer(r->c, r->w->limit.idle);
	return true;
}

/* false: the connection is gone or ends. */
static bool take_request(struct relay *r)
{
	struct px_fault fault = { 0 };
	long took;
	int size;

	while (r->up.ok < r->up.n) {
		size_t n = r->up.n - r->up.ok;

		switch (r->phase) {
		case PHASE_TUNNEL:
			r->up.ok = r->up.n;
			return true;
		case PHASE_FLUSH:
		case PHASE_LINGER:
			return true;
		case PHASE_ANSWER:
			if (r->request.done)
				return true; /* pipelined: its turn comes */
			took = px_body_take(&r->request, r->up.p + r->up.ok, n);
			if (took < 0)
				return refuse(r, 400, "refuse", "a body that breaks its framing");
			r->up.ok += (size_t)took;
			break;
		case PHASE_IDLE:
			if (r->down.n) /* our own answer to the one before is not out yet */
				return true;
			r->phase = PHASE_HEAD;
			r->x.began = ev_now(r->w->loop);
			px_conn_timer(r->c, r->w->limit.head);
			break;
		case PHASE_HEAD:
			size = px_head_find(r->up.p + r->up.ok, n, &r->up.seen, &fault);
			if (!size)
				return true;
			if (size > 0) {
				if (!request_head(r, (size_t)size))
					return false;
				break;
			}
			r->w->count.requests++;
			r->w->count.refused++;
			r->answering = false;
			r->method[0] = '\0';
			return refuse(r, fault.status, "refuse", fault.why);
		}
	}
	return true;
}

/* ---- responses ---------------------------------------------------------------------------------------- */

static bool response_head(struct relay *r, size_t size)
{
	struct px_head *h = &r->w->response;
	struct px_fault fault = { 0 };

	if (!px_response(h, r->down.p + r->down.ok, size, r->method, r->upgrade, &fault)) {
		if (!r->answering && r->down.ok == 0) {
			r->down.n = 0;
			return refuse(r, 502, "fail", fault.why);
		}
		px_conn_kill(r->c, fault.why);
		return false;
	}
	r->down.seen = 0;
	r->down.ok += size;
	if (h->status < 200 && h->status != 101)
		return true; /* interim: the final one follows */
	r->answering = true;
	r->x.status = h->status;
	if (h->upgrade) {
		r->phase = PHASE_TUNNEL;
		r->w->count.tunnels++;
		r->up.ok = r->up.n;
		return true;
	}
	r->close = r->close || h->close || h->framing == PX_BODY_CLOSE ||
		   (h->minor0 && !h->keep_alive);
	px_body_begin(&r->response, h->framing, h->length, true);
	return true;
}

/* The response is whole. */
static bool answered(struct relay *r)
{
	/* a server that answers before it has read all: where the next request begins is unclear */
	bool end = r->close || !r->request.done || r->w->draining || r->down.eof;

	if (r->down.ok < r->down.n) {
		px_conn_kill(r->c, "bytes behind the end of the response");
		return false;
	}
	px_exchange_end(&r->x, r->c, "allow", NULL);
	r->phase = end ? PHASE_FLUSH : PHASE_IDLE;
	px_conn_timer(r->c, end ? 5 : r->w->limit.idle);
	return true;
}

static bool take_response(struct relay *r)
{
	struct px_fault fault = { 0 };
	long took;
	int size;

	while (r->phase == PHASE_ANSWER &&
	       (r->down.ok < r->down.n || (r->answering && r->response.done))) {
		size_t n = r->down.n - r->down.ok;

		if (!r->answering) {
			size = px_head_find(r->down.p + r->down.ok, n, &r->down.seen, &fault);
			if (!size)
				break;
			if (size < 0) {
				px_conn_kill(r->c, fault.why);
				return false;
			}
			if (!response_head(r, (size_t)size))
				return false;
			continue;
		}
		if (r->response.done)
			return answered(r);
		took = px_body_take(&r->response, r->down.p + r->down.ok, n);
		if (took < 0) {
			px_conn_kill(r->c, "a response that breaks its framing");
			return false;
		}
		r->down.ok += (size_t)took;
	}
	if (r->phase == PHASE_TUNNEL)
		r->down.ok = r->down.n;
	if (r->phase == PHASE_IDLE && r->down.n > r->down.ok) {
		px_conn_kill(r->c, "the server speaks unasked");
		return false;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

/* Moves everything that can be moved.  The connection may be gone afterwards. */
static void pump(struct relay *r)
{
	for (int round = 0; round < 4; round++) {
		size_t before = r->up.n + r->down.n;

		if (r->phase != PHASE_FLUSH && !take_request(r)) {
			if (r->phase != PHASE_FLUSH || !r->down.n) {
				px_conn_free(r->c, NULL);
				return;
			}
		}
		if (r->c->server >= 0 && !r->c->connecting) {
			if (!take_response(r))
				return;
			if (r->c->server >= 0 &&
			    buffer_flush(&r->up, r->c->server, &r->x.sent) < 0) {
				px_conn_kill(r->c, "the server's connection broke");
				return;
			}
		}
		if (buffer_flush(&r->down, r->c->client, &r->x.received) < 0) {
			px_conn_kill(r->c, "the client's connection broke");
			return;
		}
		if (r->up.n + r->down.n == before)
			break;
	}
	buffer_tidy(&r->up);
	if (r->phase == PHASE_FLUSH && r->down.at == r->down.ok) {
		shutdown(r->c->client, SHUT_WR);
		r->phase = PHASE_LINGER;
		px_conn_timer(r->c, 2);
	}
	if (r->phase == PHASE_LINGER) {
		r->up.at = r->up.ok = r->up.n;
		buffer_tidy(&r->up);
		if (r->up.eof)
			px_conn_free(r->c, NULL);
		else
			px_conn_watch(r->c, &r->c->on_client, r->c->client, true, false);
		return;
	}
	if (r->phase == PHASE_ANSWER && r->up.eof && !r->request.done && r->up.ok == r->up.n) {
		px_conn_kill(r->c, "the client closed within a request");
		return;
	}
	if (r->phase == PHASE_IDLE && !r->up.n && !r->down.n &&
	    (r->up.eof || r->down.eof || r->w->draining)) {
		px_conn_free(r->c, NULL);
		return;
	}
	if (r->phase == PHASE_HEAD && r->up.eof) {
		px_conn_free(r->c, NULL);
		return;
	}
	if (r->phase == PHASE_TUNNEL && (r->up.eof || r->down.eof) && r->up.at == r->up.ok &&
	    r->down.at == r->down.ok) {
		px_conn_free(r->c, NULL);
		return;
	}
	px_conn_watch(r->c, &r->c->on_client, r->c->client,
		      buffer_room(&r->up) && r->phase != PHASE_FLUSH, r->down.at < r->down.ok);
	px_conn_watch(r->c, &r->c->on_server, r->c->server,
		      !r->c->connecting && buffer_room(&r->down),
		      r->c->connecting || r->up.at < r->up.ok);
}

static void client(struct px_conn *c, int events)
{
	struct relay *r = c->relay;

	if (events & EV_READ && buffer_room(&r->up) &&
	    buffer_fill(&r->up, c->client, &r->got) < 0) {
		px_conn_kill(c, "the client's connection broke");
		return;
	}
	/* a body that trickles in holds the connection no longer than one that does not move */
	if (r->phase == PHASE_TUNNEL ||
	    (r->phase == PHASE_ANSWER && !c->connecting && r->got - r->mark >= LEAST_BYTES)) {
		r->mark = r->got;
		px_conn_timer(c, r->w->limit.idle);
	}
	pump(r);
}

/* What there is of a response when the server closes. */
static bool server_closed(struct relay *r)
{
	if (r->phase == PHASE_ANSWER && r->answering && r->response.framing == PX_BODY_CLOSE) {
		r->response.done = true;
		return true;
	}
	if (r->phase == PHASE_ANSWER && !r->answering && !r->down.n)
		return refuse(r, 502, "fail", "the server closed without an answer");
	if (r->phase != PHASE_ANSWER)
		return true;
	px_conn_kill(r->c, "the server closed within a response");
	return false;
}

static void moved(struct relay *r)
{
	if (r->phase == PHASE_ANSWER || r->phase == PHASE_TUNNEL)
		px_conn_timer(r->c, r->w->limit.idle);
	pump(r);
}

static void server(struct px_conn *c, int events)
{
	struct relay *r = c->relay;
	uint64_t none = 0;

	if (events & EV_READ && buffer_room(&r->down)) {
		int got = buffer_fill(&r->down, c->server, &none);

		if (got < 0 || r->down.eof) {
			r->down.eof = true;
			if (!take_response(r) || (r->phase != PHASE_FLUSH && !server_closed(r)))
				return;
		}
	}
	moved(r);
}

static void connected(struct px_conn *c, bool there)
{
	struct relay *r = c->relay;

	if (there) {
		moved(r);
		return;
	}
	refuse(r, 502, "fail", "the server refuses the connection");
	pump(r);
}

static void timeout(struct px_conn *c)
{
	struct relay *r = c->relay;

	if (r->phase == PHASE_HEAD) {
		r->answering = false;
		refuse(r, 408, "refuse", "the head took too long");
		pump(r);
	} else if (r->phase == PHASE_ANSWER && !r->answering) {
		refuse(r, 504, "fail",
		       c->connecting ? "the server does not accept in time"
				     : "the server does not answer in time");
		pump(r);
	} else if (r->phase == PHASE_ANSWER) {
		px_conn_kill(c, "nothing moved for too long");
	} else {
		px_conn_free(c, NULL);
	}
}

/* ---- the beginning, and the end ----------------------------------------------------------------------------- */

static void begin(struct px_conn *c, const char *p, size_t n)
{
	struct relay *r = calloc(1, sizeof(*r));
	char *first = malloc(BUFFER);

	if (!r || !first) {
		free(r);
		free(first);
		px_conn_kill(c, NULL);
		return;
	}
	memcpy(first, p, n);
	r->c = c;
	r->w = c->w;
	r->up.p = first;
	r->up.n = r->got = n;
	c->relay = r;
	pump(r);
}

static void drain(struct px_conn *c)
{
	struct relay *r = c->relay;

	if (r->phase == PHASE_IDLE && !r->up.n && !r->down.n)
		px_conn_free(c, NULL);
}

static void end(struct px_conn *c, const char *why)
{
	struct relay *r = c->relay;

	if (!r)
		return;
	if (r->phase == PHASE_ANSWER)
		px_exchange_end(&r->x, c, "fail", why ? why : "the connection ended");
	else if (r->phase == PHASE_TUNNEL)
		px_exchange_end(&r->x, c, "allow", NULL);
	free(r->up.p);
	free(r->down.p);
	px_exchange_free(&r->x);
	free(r);
}

const struct px_protocol px_http1 = { .begin = begin,
				      .client = client,
				      .server = server,
				      .connected = connected,
				      .timeout = timeout,
				      .drain = drain,
				      .free = end };
