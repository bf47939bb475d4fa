/* SPDX-License-Identifier: GPL-2.0-only */
/* A stream: a request on its way to the server, and what comes back. */
#include <stdio.h>

#include "proxy/h2.h"

#define LEAST_BYTES 1024u /* of a request's body in limit.idle seconds */
#define NUMBER 24 /* bytes of one as text */

/* ---- queues ------------------------------------------------------------------------- */

static void queue_free(struct px_queue *q)
{
	free(q->p);
	*q = (struct px_queue){ 0 };
}

/* The windows bound what there can be. */
static bool queue_put(struct px_queue *q, const void *p, size_t n)
{
	if (q->at && q->n + n > q->size) {
		memmove(q->p, q->p + q->at, q->n - q->at);
		q->n -= q->at;
		q->at = 0;
	}
	if (q->n + n > q->size) {
		uint32_t size = q->size ? q->size : 2048;
		void *more;

		while (size < q->n + n)
			size *= 2;
		more = realloc(q->p, size);
		if (!more)
			return false;
		q->p = more;
		q->size = size;
	}
	memcpy(q->p + q->n, p, n);
	q->n += (uint32_t)n;
	return true;
}

static size_t queue_take(struct px_queue *q, void *p, size_t n)
{
	size_t all = q->n - q->at;

	n = n < all ? n : all;
	if (n)
		memcpy(p, q->p + q->at, n);
	q->at += (uint32_t)n;
	if (n == all)
		queue_free(q);
	return n;
}

/* ---- life ------------------------------------------------------------------------------- */

static nghttp2_session *session(const struct px_stream *s, enum px_side side)
{
	return s->h->end[side].session;
}

static void moved(struct px_stream *s)
{
	s->moved = ev_now(s->h->w->loop);
	s->trickle = 0;
}

struct px_stream *px_stream_new(struct px_h2 *h, int32_t id)
{
	struct px_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->h = h;
	s->id[PX_CLIENT] = id;
	s->open[PX_CLIENT] = true;
	s->link = h->end_of;
	*s->link = s;
	h->end_of = &s->next;
	h->streams++;
	s->x.began = ev_now(h->w->loop);
	moved(s);
	return s;
}

/* What waits for a session that takes no more of it: its window is given back. */
static void discard(struct px_stream *s, enum px_side from)
{
	struct px_body2 *b = &s->from[from];
	size_t n = b->q.n - b->q.at;

	queue_free(&b->q);
	px_section_free(&b->trailers);
	if (!n || !session(s, from) || (from == PX_SERVER && s->ours))
		return;
	if (s->open[from])
		nghttp2_session_consume(session(s, from), s->id[from], n);
	else
		nghttp2_session_consume_connection(session(s, from), n);
}

void px_stream_free(struct px_stream *s, const char *why)
{
	struct px_h2 *h = s->h;

	for (enum px_side side = PX_CLIENT; side < PX_SIDES; side++) {
		discard(s, side);
		if (s->open[side] && session(s, side))
			nghttp2_session_set_stream_user_data(session(s, side), s->id[side], NULL);
	}
	px_section_free(&s->waiting);
	if (s->verdict && why)
		px_exchange_end(&s->x, h->c, "fail", why);
	else if (s->verdict)
		px_exchange_end(&s->x, h->c, s->verdict, s->why);
	px_exchange_free(&s->x);
	*s->link = s->next;
	*(s->next ? &s->next->link : &h->end_of) = s->link;
	h->streams--;
	h->idle = ev_now(h->w->loop);
	free(s);
}

static void reset(struct px_stream *s, enum px_side side, uint32_t code)
{
	if (session(s, side))
		nghttp2_submit_rst_stream(session(s, side), NGHTTP2_FLAG_NONE, s->id[side], code);
}

/* The server is to do no more for it. */
static void leave_server(struct px_stream *s, uint32_t code)
{
	px_section_free(&s->waiting);
	if (!s->open[PX_SERVER])
		return;
	reset(s, PX_SERVER, code);
	nghttp2_session_set_stream_user_data(session(s, PX_SERVER), s->id[PX_SERVER], NULL);
	s->open[PX_SERVER] = false;
}

static void fail(struct px_stream *s, const char *verdict, const char *why)
{
	if (s->verdict && strcmp(s->verdict, "allow") != 0)
		return; /* the first reason counts */
	s->verdict = verdict;
	s->why = why;
}

/* ---- bodies to a session -------------------------------------------------------------------- */

static int add_trailers(struct px_stream *s, enum px_side to)
{
	struct px_section *t = &s->from[px_other(to)].trailers;
	nghttp2_nv nv[PX_SECTION_MAX];
	size_t n = px_section_out(t, nv);
	int r = nghttp2_submit_trailer(session(s, to), s->id[to], nv, n);

	px_section_free(t);
	return r;
}

static ssize_t read_body(nghttp2_session *to_session, int32_t id, uint8_t *p, size_t n,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct px_end *to = user;
	enum px_side from = px_other(to->side);
	struct px_stream *s = nghttp2_session_get_stream_user_data(to_session, id);
	struct px_body2 *b;

	(void)source;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	b = &s->from[from];
	n = queue_take(&b->q, p, n);
	if (n && session(s, from) && !(from == PX_SERVER && s->ours))
		nghttp2_session_consume(session(s, from), s->id[from], n);
	if (n && to->side == PX_CLIENT)
		moved(s);
	if (!b->q.n && b->ended) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (b->trailers.n) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (add_trailers(s, to->side))
				return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
		return (ssize_t)n;
	}
	b->deferred = !n;
	return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

/* There is something for the session that waits for it. */
static void resume(struct px_stream *s, enum px_side from)
{
	enum px_side to = px_other(from);

	if (!s->from[from].deferred || !session(s, to))
		return;
	s->from[from].deferred = false;
	nghttp2_session_resume_data(session(s, to), s->id[to]);
}

static const nghttp2_data_provider body = { .read_callback = read_body };

/* Streams take turns; what clients say of priorities is not asked for. */
static void respond(struct px_stream *s, const nghttp2_nv *nv, size_t n, bool end)
{
	nghttp2_extpri turns = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1 };
	nghttp2_session *client = session(s, PX_CLIENT);

	nghttp2_session_change_extpri_stream_priority(client, s->id[PX_CLIENT], &turns, 1);
	if (nghttp2_submit_response(client, s->id[PX_CLIENT], nv, n, end ? NULL : &body))
		reset(s, PX_CLIENT, NGHTTP2_INTERNAL_ERROR);
}

/* ---- answers of our own ------------------------------------------------------------------------ */

static nghttp2_nv pair(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0 };
}

/* What a gRPC client understands: trailers alone (gRPC over HTTP/2, "Responses"). */
static size_t denied_call(nghttp2_nv *nv)
{
	nv[0] = pair(":status", "200");
	nv[1] = pair("content-type", "application/grpc");
	nv[2] = pair("grpc-status", "7");
	nv[3] = pair("grpc-message", "denied by policy");
	return 4;
}

/* A status, and its phrase as a body. */
static size_t plain(struct px_stream *s, unsigned status, nghttp2_nv *nv, char *code, char *length)
{
	const char *phrase = px_phrase(status);
	struct px_queue *q = &s->from[PX_SERVER].q;

	snprintf(code, NUMBER, "%u", status);
	snprintf(length, NUMBER, "%zu", strlen(phrase) + 1);
	nv[0] = pair(":status", code);
	nv[1] = pair("content-type", "text/plain");
	nv[2] = pair("content-length", length);
	nv[3] = pair("cache-control", "no-store");
	if (!s->head_only && (!queue_put(q, phrase, strlen(phrase)) || !queue_put(q, "\n", 1)))
		queue_free(q);
	return 4;
}

static void answer(struct px_stream *s, unsigned status)
{
	char code[NUMBER], length[NUMBER], rule[160];
	nghttp2_nv nv[5];
	size_t n;

	discard(s, PX_SERVER);
	s->ours = s->answering = true;
	s->tunnel = false;
	n = s->grpc && status == 403 ? denied_call(nv) : plain(s, status, nv, code, length);
	s->x.status = s->grpc && status == 403 ? 200 : status;
	px_exchange_rule(&s->x, s->h->w, status, rule, sizeof(rule));
	if (rule[0])
		nv[n++] = pair("x-policy-rule", rule);
	s->from[PX_SERVER].ended = true;
	respond(s, nv, n, !s->from[PX_SERVER].q.n);
}

static void refuse(struct px_stream *s, unsigned status, const char *verdict, const char *why)
{
	fail(s, verdict, why);
	leave_server(s, NGHTTP2_CANCEL);
	discard(s, PX_CLIENT);
	moved(s);
	if (!s->open[PX_CLIENT])
		return;
	if (s->answering) /* what the client has is not to be taken for whole */
		reset(s, PX_CLIENT, NGHTTP2_INTERNAL_ERROR);
	else
		answer(s, status);
}

void px_stream_answered(struct px_stream *s)
{
	s->answered = true;
	if (!s->from[PX_CLIENT].ended && !s->open[PX_SERVER]) /* no more of the request is wanted */
		reset(s, PX_CLIENT, NGHTTP2_NO_ERROR);
}

void px_stream_expired(struct px_stream *s)
{
	if (!s->open[PX_CLIENT]) {
		fail(s, "fail", "the server does not read the request");
		leave_server(s, NGHTTP2_CANCEL);
		px_stream_free(s, NULL);
	} else if (s->answering) {
		fail(s, "fail", "nothing moved for too long");
		leave_server(s, NGHTTP2_CANCEL);
		moved(s);
		reset(s, PX_CLIENT, NGHTTP2_CANCEL);
	} else if (!s->verdict) {
		return; /* its head is under way, which has a time of its own */
	} else if (s->from[PX_CLIENT].ended || s->from[PX_CLIENT].q.n || s->tunnel) {
		refuse(s, 504, "fail", "the server does not answer in time");
	} else {
		refuse(s, 408, "refuse", "the body came too slowly");
	}
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void submit(struct px_stream *s)
{
	nghttp2_session *server = session(s, PX_SERVER);
	const struct px_body2 *b = &s->from[PX_CLIENT];
	nghttp2_nv nv[PX_SECTION_MAX];
	size_t n = px_section_out(&s->waiting, nv);
	int32_t id;

	if (s->tunnel &&
	    nghttp2_session_get_remote_settings(server, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) !=
		    1) {
		refuse(s, 502, "fail", "the server takes no websockets over HTTP/2");
		return;
	}
	if (!nghttp2_session_check_request_allowed(server)) {
		/* "refused" tells that nothing was done, so the client may try again */
		px_section_free(&s->waiting);
		fail(s, "fail", "the server takes no more streams");
		reset(s, PX_CLIENT, NGHTTP2_REFUSED_STREAM);
		return;
	}
	id = nghttp2_submit_request(server, NULL, nv, n, b->ended && !b->q.n ? NULL : &body, s);
	px_section_free(&s->waiting);
	if (id < 0) {
		refuse(s, 502, "fail", "the server takes no more streams");
		return;
	}
	s->id[PX_SERVER] = id;
	s->open[PX_SERVER] = true;
}

/* How many more streams the server takes; where it takes none any more, each is to be refused. */
static uint32_t room(const struct px_h2 *h)
{
	nghttp2_session *server = h->end[PX_SERVER].session;
	uint32_t most =
		nghttp2_session_get_remote_settings(server,
						    NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (!nghttp2_session_check_request_allowed(server))
		return UINT32_MAX;
	for (const struct px_stream *s = h->first; s && most; s = s->next)
		most -= s->open[PX_SERVER];
	return most;
}

void px_streams_submit(struct px_h2 *h)
{
	const struct px_end *server = &h->end[PX_SERVER];
	uint32_t left;

	if (!h->waits || server->out_n)
		return;
	h->waits = false;
	left = room(h);
	for (struct px_stream *s = h->first; s; s = s->next) {
		if (!s->waiting.n)
			continue;
		/* whether it takes websockets stands in its SETTINGS */
		if (left && (!s->tunnel || server->settled)) {
			submit(s);
			left -= s->open[PX_SERVER];
		} else {
			h->waits = true;
		}
	}
}

static bool is_grpc(const struct px_head *h)
{
	static const char type[] = "application/grpc";
	struct pol_str v;

	return px_head_count(h, "content-type", &v) == 1 && v.n >= sizeof(type) - 1 &&
	       !memcmp(v.p, type, sizeof(type) - 1) &&
	       (v.n == sizeof(type) - 1 || strchr("+;", v.p[sizeof(type) - 1]));
}

/* It may pass. */
static void pass(struct px_stream *s, const struct px_head *h, struct px_section *section)
{
	struct px_body2 *b = &s->from[PX_CLIENT];

	if (h->framing == PX_BODY_LENGTH && px_conn_too_large(s->h->c, h->length)) {
		px_section_free(section);
		refuse(s, 413, "refuse", "the body is too large");
		return;
	}
	s->h->w->count.allowed++;
	s->verdict = "allow";
	s->tunnel = h->upgrade;
	b->counted = h->framing == PX_BODY_LENGTH;
	b->left = h->length;
	if (!px_h2_onward(s->h)) {
		px_section_free(section);
		refuse(s, 502, "fail", s->h->lost ? "the server is gone" : "cannot connect onward");
		return;
	}
	s->waiting = *section;
	s->h->waits = true;
}

void px_stream_request(struct px_stream *s, struct px_section *section, bool end)
{
	struct px_worker *w = s->h->w;
	struct px_head *h = &w->request;
	struct px_fault fault = { 0 };
	bool ok = px_h2_request(h, section, end, &fault);

	w->count.requests++;
	s->from[PX_CLIENT].ended = end;
	moved(s);
	if (!ok) {
		w->count.refused++;
		px_section_free(section);
		px_purse_pay(&s->h->end[PX_CLIENT].purse, 1);
		refuse(s, fault.status, "refuse", fault.why);
		return;
	}
	s->head_only = pol_str_is(h->method, "HEAD");
	s->grpc = is_grpc(h);
	switch (px_exchange_judge(&s->x, s->h->c, h)) {
	case PX_ALLOW:
		pass(s, h, section);
		return;
	case PX_DENY:
		w->count.denied++;
		refuse(s, 403, "deny", NULL);
		break;
	case PX_UNKNOWN:
		refuse(s, 503, "fail", "the policy of this connection is not known");
		break;
	}
	px_section_free(section);
}

/* ---- responses ---------------------------------------------------------------------------------------- */

void px_stream_response(struct px_stream *s, struct px_section *section, bool end)
{
	struct px_head *h = &s->h->w->response;
	struct px_body2 *b = &s->from[PX_SERVER];
	struct px_fault fault = { 0 };
	nghttp2_nv nv[PX_SECTION_MAX];

	if (!px_h2_response(h, section, end, s->head_only, s->tunnel, &fault)) {
		refuse(s, 502, "fail", fault.why);
	} else if (h->status < 200) {
		px_purse_pay(&s->h->end[PX_SERVER].purse, 1);
		nghttp2_submit_headers(session(s, PX_CLIENT), NGHTTP2_FLAG_NONE, s->id[PX_CLIENT],
				       NULL, nv, px_section_out(section, nv), NULL);
	} else {
		s->answering = true;
		s->x.status = h->status;
		s->tunnel = s->tunnel && h->status < 300;
		s->h->w->count.tunnels += s->tunnel;
		b->counted = h->framing == PX_BODY_LENGTH;
		b->left = h->length;
		b->ended = end;
		respond(s, nv, px_section_out(section, nv), end);
	}
	moved(s);
	px_section_free(section);
}

/* ---- bodies and their ends -------------------------------------------------------------------------------- */

/* A side breaks what it announced. */
static void broken(struct px_stream *s, enum px_side from, const char *why)
{
	if (from == PX_CLIENT)
		refuse(s, 400, "refuse", why);
	else
		refuse(s, 502, "fail", why);
}

void px_stream_trailers(struct px_stream *s, enum px_side from, struct px_section *section,
			bool end)
{
	struct px_body2 *b = &s->from[from];
	struct px_fault fault = { 0 };

	if (s->ours && from == PX_CLIENT) {
		b->ended = end;
	} else if (from == PX_CLIENT) {
		/* servers that merge them into the header would read there what nobody has judged */
		b->ended = end;
		broken(s, from, "trailers of a request");
	} else if (!end || b->ended || s->tunnel) {
		broken(s, from, "a head where none may be");
	} else if (b->counted && b->left) {
		broken(s, from, "a body that is shorter than announced");
	} else if (!px_h2_trailers(section, &fault)) {
		broken(s, from, fault.why);
	} else {
		b->trailers = *section;
		*section = (struct px_section){ 0 };
		b->ended = true;
		resume(s, from);
	}
	px_section_free(section);
}

void px_stream_data(struct px_stream *s, enum px_side from, const uint8_t *p, size_t n)
{
	struct px_body2 *b = &s->from[from];

	if (s->ours || !s->open[PX_CLIENT] ||
	    (from == PX_CLIENT && !s->open[PX_SERVER] && !s->waiting.n)) {
		nghttp2_session_consume(session(s, from), s->id[from], n);
		return;
	}
	if ((from == PX_SERVER && !s->answering) || (b->counted && n > b->left) ||
	    !queue_put(&b->q, p, n)) {
		nghttp2_session_consume(session(s, from), s->id[from], n);
		broken(s, from, "a body that is longer than announced");
		return;
	}
	s->body += from == PX_CLIENT ? n : 0;
	if (from == PX_CLIENT && !s->tunnel && px_conn_too_large(s->h->c, s->body)) {
		refuse(s, 413, "refuse", "the body is too large");
		return;
	}
	b->left -= b->counted ? n : 0;
	px_purse_earn(&s->h->end[px_other(from)].purse, 2 + (double)n / 1024);
	/* a body that trickles in holds the stream no longer than one that does not move */
	s->trickle += (uint32_t)n;
	if (from == PX_SERVER || s->tunnel || s->trickle >= LEAST_BYTES)
		moved(s);
	resume(s, from);
}

void px_stream_ended(struct px_stream *s, enum px_side from)
{
	struct px_body2 *b = &s->from[from];

	b->ended = true;
	if (s->ours)
		return;
	if ((b->counted && b->left) || (from == PX_SERVER && !s->answering)) {
		broken(s, from, "a body that is shorter than announced");
		return;
	}
	resume(s, from);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void client_closed(struct px_stream *s, uint32_t code)
{
	bool whole = s->from[PX_CLIENT].ended && s->answered;

	/* without a word of error, but before the answer: that is a reset like any other */
	if (whole || (s->answered && code == NGHTTP2_NO_ERROR))
		px_purse_earn(&s->h->end[PX_CLIENT].purse, 4);
	discard(s, PX_SERVER);
	/* the server still reads; of such streams libnghttp2 counts none as the client's */
	if (whole && s->open[PX_SERVER] && s->h->streams <= 2 * PX_H2_STREAMS)
		return;
	if (!s->answered)
		fail(s, "fail", "the client reset the stream");
	leave_server(s, NGHTTP2_CANCEL);
}

static void server_closed(struct px_stream *s, uint32_t code)
{
	discard(s, PX_CLIENT);
	if (!s->open[PX_CLIENT] || s->ours)
		return;
	if (s->answering && s->from[PX_SERVER].ended) {
		/* it may stop the client by that (RFC 9113, 8.1) */
		if (s->answered && !s->from[PX_CLIENT].ended)
			reset(s, PX_CLIENT, NGHTTP2_NO_ERROR);
	} else if (s->answering || code == NGHTTP2_REFUSED_STREAM) { /* as in submit() */
		fail(s, "fail", "the server reset the stream");
		reset(s, PX_CLIENT, code ? code : NGHTTP2_INTERNAL_ERROR);
	} else {
		refuse(s, 502, "fail", "the server reset the stream");
	}
}

void px_stream_closed(struct px_stream *s, enum px_side side, uint32_t code)
{
	s->open[side] = false;
	if (side == PX_CLIENT)
		client_closed(s, code);
	else
		server_closed(s, code);
	if (!s->open[PX_CLIENT] && !s->open[PX_SERVER])
		px_stream_free(s, NULL);
}

void px_stream_lost(struct px_stream *s, unsigned status, const char *why)
{
	bool had = s->open[PX_SERVER] || s->waiting.n;

	s->open[PX_SERVER] = false;
	px_section_free(&s->waiting);
	if (!s->open[PX_CLIENT])
		px_stream_free(s, NULL);
	else if (had && !(s->answering && s->from[PX_SERVER].ended))
		refuse(s, status, "fail", why);
}
