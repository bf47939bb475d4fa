/* SPDX-License-Identifier: GPL-2.0-only */
/* Both sessions of libnghttp2: how they are set up, and what they tell. */
#include "proxy/h2.h"

static struct px_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- field sections ----------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct px_end *e = user;
	struct px_stream *s;

	px_section_free(&e->section);
	e->section_began = ev_now(e->h->w->loop);
	if (e->side == PX_SERVER || f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = px_stream_new(e->h, f->hd.stream_id);
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, f->hd.stream_id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name,
		     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	struct px_end *e = user;

	(void)session;
	(void)f;
	return px_section_add(&e->section, name, value, flags) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void on_section(struct px_end *e, struct px_stream *s, const nghttp2_frame *f)
{
	struct px_section section = e->section;
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	e->section = (struct px_section){ 0 };
	e->section_began = 0;
	if (!s)
		px_section_free(&section); /* of a stream that we have done with */
	else if (e->side == PX_CLIENT && f->headers.cat == NGHTTP2_HCAT_REQUEST)
		px_stream_request(s, &section, end);
	else if (e->side == PX_SERVER && !s->answering)
		px_stream_response(s, &section, end);
	else
		px_stream_trailers(s, e->side, &section, end);
}

/* ---- frames ---------------------------------------------------------------------------- */

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct px_end *e = user;
	struct px_stream *s = stream_of(session, f->hd.stream_id);

	switch ((nghttp2_frame_type)f->hd.type) {
	case NGHTTP2_HEADERS:
		on_section(e, s, f);
		break;
	case NGHTTP2_DATA:
		if (s && f->hd.flags & NGHTTP2_FLAG_END_STREAM)
			px_stream_ended(s, e->side);
		break;
	case NGHTTP2_SETTINGS:
		e->settled = e->settled || !(f->hd.flags & NGHTTP2_FLAG_ACK);
		break;
	case NGHTTP2_PRIORITY:
	case NGHTTP2_RST_STREAM: /* on_stream_close tells */
	case NGHTTP2_PUSH_PROMISE: /* switched off: libnghttp2 ends the connection */
	case NGHTTP2_PING:
	case NGHTTP2_GOAWAY: /* streams that it leaves out are closed; then nothing is wanted any more */
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_ALTSVC:
	case NGHTTP2_ORIGIN:
	case NGHTTP2_PRIORITY_UPDATE:
		break;
	}
	return 0;
}

/* What a client provokes us to reset costs as much as a reset of its own (CVE-2025-8671). */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *f, int error, void *user)
{
	struct px_end *e = user;

	(void)session;
	(void)f;
	(void)error;
	px_purse_pay(&e->purse, 3);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		   void *user)
{
	struct px_end *e = user;
	struct px_stream *s = stream_of(session, id);

	(void)flags;
	if (s)
		px_stream_data(s, e->side, p, n);
	else
		nghttp2_session_consume(session, id, n);
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct px_end *e = user;
	struct px_stream *s = stream_of(session, f->hd.stream_id);

	if (!s || (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA))
		return 0;
	*(e->side == PX_CLIENT ? &s->x.received : &s->x.sent) += f->hd.length + 9;
	if (e->side == PX_CLIENT && f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		px_stream_answered(s);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct px_end *e = user;
	struct px_stream *s = stream_of(session, id);

	if (s)
		px_stream_closed(s, e->side, code);
	return 0;
}

/* ---- setting up ---------------------------------------------------------------------------- */

static const nghttp2_settings_entry of_server[] = {
	{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, PX_H2_STREAMS },
	{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, PX_H2_STREAM_WINDOW },
	{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, PX_H2_LIST_MAX },
	{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
	{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
};
static const nghttp2_settings_entry of_client[] = {
	{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 },
	{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, PX_H2_STREAM_WINDOW },
	{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, PX_H2_LIST_MAX },
};

static nghttp2_option *options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o))
		return NULL;
	nghttp2_option_set_no_http_messaging(o, 1);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	nghttp2_option_set_max_outbound_ack(o, 2000); /* a purse holds less */
	return o;
}

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c))
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	return c;
}

bool px_h2_session(struct px_h2 *h, enum px_side side)
{
	static nghttp2_option *o;
	static nghttp2_session_callbacks *c;
	struct px_end *e = &h->end[side];
	bool server = side == PX_CLIENT; /* that is what we are to it */

	o = o ? o : options();
	c = c ? c : callbacks();
	if (!o || !c)
		return false;
	if (server ? nghttp2_session_server_new2(&e->session, c, e, o)
		   : nghttp2_session_client_new2(&e->session, c, e, o)) {
		e->session = NULL;
		return false;
	}
	px_purse_begin(&e->purse, ev_now(h->w->loop), server);
	return !nghttp2_submit_settings(e->session, NGHTTP2_FLAG_NONE,
					server ? of_server : of_client,
					server ? POL_ARRAY_LEN(of_server)
					       : POL_ARRAY_LEN(of_client)) &&
	       !nghttp2_session_set_local_window_size(e->session, NGHTTP2_FLAG_NONE, 0,
						      PX_H2_WINDOW);
}
