/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/1 between the two halves of a connection.
 *
 * Requests are taken one after the other: what is pipelined behind one waits in the buffer until
 * that one is answered, so answers are in order and what a server sends belongs to one request.
 * While a side does not take what is there for it, nothing more is read from the other.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/buffer.h"
#include "proxy/exchange.h"

#define LEAST_BYTES 10000u /* of a request's body in limit.body seconds */
#define ROUNDS 8 /* of one turn, so that others get theirs */

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
	struct px_buffer up, down; /* from the client; from the server */
	struct px_body request, response;
	bool answering; /* the response's head is through */
	bool close; /* end after this request */
	bool upgrade; /* this request asks for one, and may */
	bool hurry; /* the timer is that of an unfinished head */
	bool more; /* there is something to do, without anything having to come */
	char method[8]; /* as far as framing needs it */
	struct px_exchange x;
	uint64_t body; /* bytes of this request's body */
	uint64_t came; /* those since the timer was set last */
	double taken; /* when the server last took some of them */
};

/* ---- answers of our own ------------------------------------------------------------------ */

/* Into the empty down buffer. */
static bool answer(struct relay *r, unsigned status, bool close)
{
	char rule[160];
	int n;

	if (!px_buffer_empty(&r->down)) /* an interim answer is still going out */
		return false;
	px_buffer_lend(&r->down, r->w->from_server);
	px_exchange_rule(&r->x, r->w, status, rule, sizeof(rule));
	n = snprintf(r->down.p, PX_BUFFER,
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

/*
 * The end of a connection whose client gets one more answer.  false: it has a part of another,
 * which is not to be taken for whole, so px_conn_free is to follow: it resets.
 */
static bool refuse(struct relay *r, unsigned status, const char *verdict, const char *why)
{
	bool said = !r->answering && answer(r, status, true);

	if (!said)
		px_conn_abort(r->c->client);
	px_exchange_end(&r->x, r->c, verdict, why);
	r->phase = PHASE_FLUSH;
	r->up.ok = r->up.at;
	px_conn_drop_server(r->c);
	px_conn_timer(r->c, 5);
	return said;
}

/* ---- requests ------------------------------------------------------------------------------------- */

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
	px_buffer_drop(&r->up, h->size);
	r->phase = PHASE_IDLE;
	px_conn_timer(r->c, r->w->limit.idle);
	return true;
}

/* While a request's body is missing it has to come at a least rate (body_came). */
static void wait_for_body(struct relay *r)
{
	r->came = 0;
	r->taken = ev_now(r->w->loop);
	px_conn_timer(r->c, r->request.done ? r->w->limit.idle : r->w->limit.body);
}

static bool allowed(struct relay *r, const struct px_head *h)
{
	if (h->framing == PX_BODY_LENGTH && px_conn_too_large(r->c, h->length))
		return refuse(r, 413, "refuse", "the body is too large");
	r->w->count.allowed++;
	r->phase = PHASE_ANSWER;
	r->upgrade = h->upgrade;
	px_body_begin(&r->request, h->framing, h->length, false);
	r->body = 0;
	r->up.ok += h->size;
	r->x.sent = h->size;
	if (r->down.eof)
		return refuse(r, 502, "fail", "the server closed before the request");
	if (r->c->server < 0 && !px_conn_onward(r->c))
		return refuse(r, 502, "fail", "cannot connect onward");
	if (!r->c->connecting)
		wait_for_body(r);
	return true;
}

static bool request_head(struct relay *r, size_t size)
{
	struct px_head *h = &r->w->request;
	struct px_fault fault = { 0 };
	bool ok = px_request(h, r->up.p + r->up.ok, size, &fault);
	size_t n = ok && h->method.n < sizeof(r->method) ? h->method.n : 0;

	r->up.seen = 0;
	r->answering = r->hurry = false;
	if (n)
		memcpy(r->method, h->method.p, n);
	r->method[n] = '\0';
	r->w->count.requests++;
	if (!ok) {
		r->w->count.refused++;
		return refuse(r, fault.status, "refuse", fault.why);
	}
	r->close = h->close || (h->minor0 && !h->keep_alive);
	switch (px_exchange_judge(&r->x, r->c, h)) {
	case PX_ALLOW:
		return allowed(r, h);
	case PX_DENY:
		return deny(r, h);
	case PX_UNKNOWN:
		break;
	}
	return refuse(r, 503, "fail", "the policy of this connection is not known");
}

/* Bytes behind up.ok of the body that is under way. */
static bool request_body(struct relay *r)
{
	long took = px_body_take(&r->request, r->up.p + r->up.ok, r->up.n - r->up.ok);

	if (took < 0)
		return refuse(r, 400, "refuse", "a body that breaks its framing");
	r->up.ok += (size_t)took;
	r->x.sent += (uint64_t)took;
	r->body += (uint64_t)took;
	/* with what the chunk has announced: nothing beyond the limit goes on */
	return !px_conn_too_large(r->c, r->body + px_body_opaque(&r->request)) ||
	       refuse(r, 413, "refuse", "the body is too large");
}

/* The part of a head that there is.  A whole one needs no timer. */
static bool part_of_head(struct relay *r)
{
	struct px_fault fault = { 0 };
	int size = px_head_find(r->up.p + r->up.ok, r->up.n - r->up.ok, &r->up.seen, &fault);

	if (size > 0)
		return request_head(r, (size_t)size);
	if (!size) {
		if (!r->hurry)
			px_conn_timer(r->c, r->w->limit.head);
		r->hurry = true;
		return true;
	}
	r->w->count.requests++;
	r->w->count.refused++;
	r->answering = r->hurry = false;
	r->method[0] = '\0';
	return refuse(r, fault.status, "refuse", fault.why);
}

/* false: the connection ends without another word. */
static bool take_request(struct relay *r)
{
	while (r->up.ok < r->up.n) {
		switch (r->phase) {
		case PHASE_TUNNEL:
			r->x.sent += r->up.n - r->up.ok;
			r->up.ok = r->up.n;
			return true;
		case PHASE_FLUSH:
		case PHASE_LINGER:
			return true;
		case PHASE_ANSWER:
			if (r->request.done)
				return true; /* pipelined: its turn comes */
			if (!request_body(r))
				return false;
			break;
		case PHASE_IDLE:
			if (!px_buffer_empty(&r->down)) /* the answer before is not out yet */
				return true;
			r->phase = PHASE_HEAD;
			r->x.began = ev_now(r->w->loop);
			break;
		case PHASE_HEAD:
			if (!part_of_head(r))
				return false;
			if (r->phase == PHASE_HEAD)
				return true;
			break;
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
	r->x.received += size;
	if (h->status < 200 && h->status != 101)
		return true; /* interim: the final one follows */
	r->answering = true;
	r->x.status = h->status;
	r->x.answered = ev_now(r->w->loop);
	if (h->upgrade) {
		r->phase = PHASE_TUNNEL;
		r->w->count.tunnels++;
		r->x.sent += r->up.n - r->up.ok;
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
	px_conn_timer(r->c, r->w->limit.idle);
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
		r->x.received += (uint64_t)took;
	}
	if (r->phase == PHASE_TUNNEL) {
		r->x.received += r->down.n - r->down.ok;
		r->down.ok = r->down.n;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

/* The end of a round: what may be written is.  false: the connection is gone. */
static bool flush(struct relay *r)
{
	struct px_conn *c = r->c;
	size_t before = r->up.n + r->up.piped;

	if (c->server >= 0 && !c->connecting && px_buffer_flush(&r->up, c->server) != PX_MOVED) {
		px_conn_kill(c, "the server's connection broke");
		return false;
	}
	if (!r->request.done && r->up.n + r->up.piped != before)
		r->taken = ev_now(r->w->loop);
	if (px_buffer_flush(&r->down, c->client) != PX_MOVED) {
		px_conn_kill(c, "the client's connection broke");
		return false;
	}
	return true;
}

/* Moves everything that can be moved.  false: the connection is gone. */
static bool move(struct relay *r)
{
	r->more = true;
	for (int round = 0; round < ROUNDS && r->more; round++) {
		size_t before = r->up.n + r->down.n;

		if (r->phase != PHASE_FLUSH && !take_request(r)) {
			px_conn_free(r->c, NULL);
			return false;
		}
		if (r->c->server >= 0 && !r->c->connecting && !take_response(r))
			return false;
		if (!flush(r))
			return false;
		r->more = r->up.n + r->down.n != before;
	}
	return true;
}

/* Has it come to its end?  Then it is gone: true. */
static bool ended(struct relay *r)
{
	bool nothing = px_buffer_empty(&r->up) && px_buffer_empty(&r->down);

	switch (r->phase) {
	case PHASE_IDLE:
		if (!nothing || !(r->up.eof || r->down.eof || r->w->draining))
			return false;
		break;
	case PHASE_HEAD: /* of a request that nobody would answer: as between requests */
		if (!r->up.eof && !r->down.eof)
			return false;
		break;
	case PHASE_ANSWER:
		if (!r->up.eof || r->request.done)
			return false;
		px_conn_kill(r->c, "the client closed within a request");
		return true;
	case PHASE_TUNNEL:
		if (!(r->up.eof || r->down.eof) || px_buffer_waits(&r->up) ||
		    px_buffer_waits(&r->down))
			return false;
		break;
	case PHASE_FLUSH:
		return false;
	case PHASE_LINGER:
		if (!r->up.eof)
			return false;
		break;
	}
	px_conn_free(r->c, NULL);
	return true;
}

/*
 * After an event: moves what can be moved, and waits for what cannot.  The connection may be gone
 * afterwards.
 */
static void pump(struct relay *r)
{
	struct px_conn *c = r->c;

	if (!move(r))
		return;
	if (r->phase == PHASE_FLUSH && !px_buffer_waits(&r->down)) {
		shutdown(c->client, SHUT_WR);
		r->phase = PHASE_LINGER;
		px_conn_timer(c, 2);
	}
	if (r->phase == PHASE_LINGER)
		px_buffer_free(&r->up, &r->w->pipes);
	if (ended(r))
		return;
	if (r->phase == PHASE_ANSWER && !c->connecting)
		px_buffer_pipe(&r->up, &r->w->pipes, &r->request);
	if (r->answering)
		px_buffer_pipe(&r->down, &r->w->pipes, &r->response);
	if (!px_buffer_keep(&r->up) || !px_buffer_keep(&r->down)) {
		px_conn_kill(c, "out of memory");
		return;
	}
	/* with more to do the next turn comes when the client takes more: at once, if it reads */
	px_conn_watch(c, &c->on_client, c->client,
		      px_buffer_room(&r->up) && r->phase != PHASE_FLUSH,
		      px_buffer_waits(&r->down) || r->more);
	if (!c->connecting)
		px_conn_watch(c, &c->on_server, c->server, px_buffer_room(&r->down),
			      px_buffer_waits(&r->up));
}

/* A body that trickles in holds the connection no longer than one that does not move. */
static void body_came(struct relay *r, size_t n)
{
	r->came += n;
	if (r->request.done || r->came >= LEAST_BYTES)
		wait_for_body(r);
}

/* Splices what is under way.  false: the connection is gone. */
static bool splice_up(struct relay *r)
{
	size_t got;
	enum px_moved how = px_buffer_splice(&r->up, r->c->client, r->c->server, &r->request, &got);

	r->x.sent += got;
	r->body += got;
	if (how != PX_MOVED) {
		px_conn_kill(r->c, how == PX_FROM_BROKE ? "the client's connection broke"
							: "the server's connection broke");
		return false;
	}
	if (!r->up.piped)
		r->taken = ev_now(r->w->loop);
	body_came(r, got);
	return true;
}

/* What comes from the client, into the buffer.  false: the connection is gone. */
static bool receive(struct relay *r)
{
	size_t got;

	if (px_buffer_fill(&r->up, r->w->from_client, r->c->client, &got) != PX_MOVED) {
		px_conn_kill(r->c, "the client's connection broke");
		return false;
	}
	if (r->phase == PHASE_TUNNEL)
		px_conn_timer(r->c, r->w->limit.idle);
	else if (r->phase == PHASE_ANSWER && !r->request.done && !r->c->connecting)
		body_came(r, got);
	return true;
}

/* What there is of a response when the server closes.  false: the connection is gone. */
static bool server_closed(struct relay *r)
{
	r->down.eof = true;
	if (!take_response(r))
		return false;
	if (r->phase != PHASE_ANSWER)
		return true;
	if (r->answering && r->response.framing == PX_BODY_CLOSE) {
		r->response.done = true;
		return true;
	}
	if (!r->answering && !r->down.n)
		return refuse(r, 502, "fail", "the server closed without an answer");
	px_conn_kill(r->c, "the server closed within a response");
	return false;
}

/* Splices what is under way.  false: the connection is gone. */
static bool splice_down(struct relay *r)
{
	size_t got;
	enum px_moved how =
		px_buffer_splice(&r->down, r->c->server, r->c->client, &r->response, &got);

	r->x.received += got;
	if (how == PX_TO_BROKE) {
		px_conn_kill(r->c, "the client's connection broke");
		return false;
	}
	return (how == PX_MOVED && !r->down.eof) || server_closed(r);
}

static bool answer_came(struct relay *r)
{
	size_t got;
	bool broke = px_buffer_fill(&r->down, r->w->from_server, r->c->server, &got) != PX_MOVED;

	/* or it would be the answer to the request that comes next */
	if (got && (r->phase == PHASE_IDLE || r->phase == PHASE_HEAD)) {
		px_conn_kill(r->c, "the server speaks unasked");
		return false;
	}
	return (!broke && !r->down.eof) || server_closed(r);
}

static void client(struct px_conn *c, int events)
{
	struct relay *r = c->relay;

	if (events & EV_READ && px_buffer_room(&r->up) &&
	    !(r->up.piping ? splice_up(r) : receive(r)))
		return;
	if (events & EV_WRITE && r->phase == PHASE_ANSWER) {
		if (r->request.done)
			px_conn_timer(c, r->w->limit.idle);
		if (r->down.piping && !splice_down(r))
			return;
	}
	pump(r);
}

static void server(struct px_conn *c, int events)
{
	struct relay *r = c->relay;

	if (events & EV_READ && px_buffer_room(&r->down) &&
	    !(r->down.piping ? splice_down(r) : answer_came(r)))
		return;
	if (events & EV_WRITE && r->up.piping && !splice_up(r))
		return;
	if (r->phase == PHASE_TUNNEL || (r->phase == PHASE_ANSWER && r->request.done))
		px_conn_timer(c, r->w->limit.idle);
	pump(r);
}

/* refuse, and what has to follow: the connection may be gone afterwards. */
static void give_up(struct relay *r, unsigned status, const char *verdict, const char *why)
{
	if (refuse(r, status, verdict, why))
		pump(r);
	else
		px_conn_free(r->c, NULL);
}

static void connected(struct px_conn *c, bool there)
{
	struct relay *r = c->relay;

	if (!there) {
		give_up(r, 502, "fail", "the server refuses the connection");
		return;
	}
	wait_for_body(r);
	pump(r);
}

/* The body is late: whose fault is it? */
static void late(struct relay *r)
{
	double left = r->taken + r->w->limit.idle - ev_now(r->w->loop);

	if (px_buffer_waits(&r->up) && left > 0) { /* the server has not yet taken what there is */
		px_conn_timer(r->c, left);
		return;
	}
	if (r->answering) {
		px_conn_kill(r->c, "nothing moved for too long");
		return;
	}
	if (px_buffer_waits(&r->up))
		give_up(r, 504, "fail", "the server does not read the request");
	else
		give_up(r, 408, "refuse", "the body came too slowly");
}

static void timeout(struct px_conn *c)
{
	struct relay *r = c->relay;

	if (r->phase == PHASE_HEAD) {
		r->answering = false;
		give_up(r, 408, "refuse", "the head took too long");
	} else if (r->phase == PHASE_ANSWER && !c->connecting && !r->request.done) {
		late(r);
	} else if (r->phase == PHASE_ANSWER && !r->answering) {
		give_up(r, 504, "fail",
			c->connecting ? "the server does not accept in time"
				      : "the server does not answer in time");
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

	if (!r) {
		px_conn_kill(c, NULL);
		return;
	}
	r->c = c;
	r->w = c->w;
	px_buffer_lend(&r->up, (char *)p);
	r->up.n = n;
	c->relay = r;
	pump(r);
}

static void drain(struct px_conn *c)
{
	struct relay *r = c->relay;

	if (r->phase == PHASE_IDLE && px_buffer_empty(&r->up) && px_buffer_empty(&r->down))
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
	px_buffer_free(&r->up, &r->w->pipes);
	px_buffer_free(&r->down, &r->w->pipes);
	px_exchange_free(&r->x);
	free(r);
}

const struct px_protocol px_http1 = { .name = "HTTP/1",
				      .begin = begin,
				      .client = client,
				      .server = server,
				      .connected = connected,
				      .timeout = timeout,
				      .drain = drain,
				      .free = end };
