/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/2 (RFC 9113) between the two halves of a connection.
 *
 * libnghttp2 does frames, header compression, windows and the states of streams: one session is the
 * server towards the client, one the client towards the server.  What HTTP is, is ours, by the same
 * rules as for HTTP/1 (its own checks are off): requests are judged stream by stream, what passes is
 * submitted to the other session field for field, what does not is answered here.
 *
 * Bytes of bodies wait in the stream between both sessions, and the window that they take is given
 * back only when they have left: so a reader that is slow slows the writer, and no connection
 * holds more than its windows in either direction.
 */
#ifndef POLC_PROXY_H2_H
#define POLC_PROXY_H2_H

#include <nghttp2/nghttp2.h>

#include "proxy/exchange.h"

#define PX_H2_STREAMS 100u		/* at a time; as many more are over for the client alone */
#define PX_H2_LIST_MAX PX_HEAD_MAX	/* bytes of a field section as RFC 9113, 6.5.2 counts them */
#define PX_H2_STREAM_WINDOW 65535	/* bytes */
#define PX_H2_WINDOW (1 << 20)		/* of a connection, each direction */
#define PX_H2_OUT 65536			/* bytes written at once */

enum px_side { PX_CLIENT, PX_SERVER, PX_SIDES };

static inline enum px_side px_other(enum px_side s)
{
	return s == PX_CLIENT ? PX_SERVER : PX_CLIENT;
}

/* ---- field sections (h2head.c) ------------------------------------------------------ */

struct px_section_field {
	nghttp2_rcbuf *name, *value;	/* held */
	uint8_t flags;			/* NGHTTP2_NV_FLAG_NO_INDEX is handed on (RFC 7541, 6.2.3) */
};

/* A field section while it comes in, and until it is handed on. */
struct px_section {
	struct px_section_field *field;
	uint32_t n, room;
	uint32_t size;			/* as RFC 9113 counts; over PX_H2_LIST_MAX nothing is kept */
	bool large;
};

/* Holds name and value. false: out of memory. */
bool px_section_add(struct px_section *s, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags);
void px_section_free(struct px_section *s);
/* As libnghttp2 takes them; the array is the caller's, of PX_FIELDS_MAX + 8. */
#define PX_SECTION_MAX (PX_FIELDS_MAX + 8)
size_t px_section_out(const struct px_section *s, nghttp2_nv *out);

/*
 * A request's: fills *h as px_request does, with slices of the section and (cookies that came in
 * several fields, as the server joins them: RFC 9113, 8.2.3) of h->names.  end: no body follows.
 * An extended CONNECT for a websocket (RFC 8441) becomes what it is over HTTP/1: a GET with upgrade.
 */
bool px_h2_request(struct px_head *h, const struct px_section *s, bool end, struct px_fault *fault);
/* A response's; head_only: it answers HEAD.  upgrade: it answers a websocket's request. */
bool px_h2_response(struct px_head *h, const struct px_section *s, bool end, bool head_only, bool upgrade,
		    struct px_fault *fault);
bool px_h2_trailers(const struct px_section *s, struct px_fault *fault);

/* ---- floods (h2flood.c) ------------------------------------------------------------- */

/*
 * Frames that move nothing are paid from a purse: PING, SETTINGS, RST_STREAM (CVE-2023-44487),
 * CONTINUATION (CVE-2024-27316), WINDOW_UPDATE, PRIORITY, empty DATA, unknown ones.  Time fills it, requests
 * that end in order do, and bodies that the *other* side sends: what answers those, WINDOW_UPDATE and the
 * PINGs by which gRPC measures, costs nothing.  Frames are counted here, by their headers, before
 * libnghttp2 sees them: its own limits are others in each version.
 */
struct px_purse {
	double coins, when;
	uint32_t left;		/* bytes of the frame at hand */
	uint32_t block;		/* bytes of the field section at hand, compressed */
	uint8_t have;		/* bytes of the frame header */
	uint8_t head[9];
	uint8_t preface;	/* bytes of it still to come */
};

void px_purse_begin(struct px_purse *p, double now, bool client);
/* The next n bytes of a connection.  false: too much. */
bool px_purse_take(struct px_purse *p, double now, const char *bytes, size_t n);
void px_purse_pay(struct px_purse *p, double coins);	/* false above, when it has become empty */
void px_purse_earn(struct px_purse *p, double coins);

/* ---- connections (h2.c) and streams (h2stream.c) ------------------------------------- */

struct px_queue {		/* of bytes; no memory while it is empty */
	char *p;
	uint32_t at, n, size;
};

struct px_body2 {		/* what one side sends on a stream behind the head */
	struct px_queue q;
	bool ended;		/* all is in q */
	bool deferred;		/* the other session waits for more */
	bool counted;		/* by content-length ... */
	uint64_t left;		/* ... so many bytes are still to come */
	struct px_section trailers;
};

struct px_stream {
	struct px_h2 *h;
	struct px_stream *next, **link;
	int32_t id[PX_SIDES];	/* 0: not there */
	bool open[PX_SIDES];
	struct px_body2 from[PX_SIDES];
	struct px_section waiting; /* the head, until the server takes it (px_streams_submit) */
	struct px_exchange x;
	const char *verdict, *why; /* for the log; NULL: its head is not there yet */
	bool head_only;		/* HEAD */
	bool grpc;
	bool tunnel;		/* a websocket */
	bool ours;		/* the answer is */
	bool answering;		/* the final response's head is through */
	bool answered;		/* the answer's last frame is out */
	uint32_t trickle;	/* bytes from the client since it moved */
	uint64_t body;		/* bytes of the request's, so far */
	double moved;
};

struct px_end {
	struct px_h2 *h;
	enum px_side side;
	nghttp2_session *session; /* NULL: none yet, or it is over */
	struct px_purse purse;
	struct px_section section; /* the field section that is coming in */
	double section_began;	/* 0: none is */
	char *out;		/* what the socket did not take */
	uint32_t out_at, out_n;
	bool eof;
	bool settled;		/* its SETTINGS came */
};

struct px_h2 {
	struct px_conn *c;
	struct px_worker *w;
	struct px_end end[PX_SIDES];
	struct px_stream *first, **end_of; /* in the order in which they came */
	unsigned streams;
	bool waits;		/* perhaps the head of one does */
	double idle;		/* since when there are no streams */
	double connect;		/* since when it connects onward */
	double leaving;		/* since when the client knows that it is to open no more; 0: not so */
	double ending;		/* since when nothing is taken any more; 0: not so */
	bool told;		/* which stream was the last one */
	bool lost;		/* there was a server, and it is gone, or there can be none */
	bool lingering;
};

/* A session with its callbacks and settings; false: out of memory. */
bool px_h2_session(struct px_h2 *h, enum px_side side);
/* A way onward, for the first stream that may pass.  false: there is none. */
bool px_h2_onward(struct px_h2 *h);

/* NULL: out of memory. */
struct px_stream *px_stream_new(struct px_h2 *h, int32_t id);
/*
 * What comes on a stream.  Its head; interim and final responses; trailers; body; the end of it.  They
 * answer, hand on or reset; the section is taken over or freed.
 */
void px_stream_request(struct px_stream *s, struct px_section *section, bool end);
void px_stream_response(struct px_stream *s, struct px_section *section, bool end);
void px_stream_trailers(struct px_stream *s, enum px_side from, struct px_section *section, bool end);
void px_stream_data(struct px_stream *s, enum px_side from, const uint8_t *p, size_t n);
void px_stream_ended(struct px_stream *s, enum px_side from);
/* The session of that side has done with it.  May free it. */
void px_stream_closed(struct px_stream *s, enum px_side side, uint32_t code);
/* The server's half is gone without libnghttp2 having said so.  May free it. */
void px_stream_lost(struct px_stream *s, unsigned status, const char *why);
/*
 * Hands the server, whose socket is there, the heads that wait, as many as it takes at a time.
 * What libnghttp2 has been given it keeps until it can be sent, reset or not: so it gets none while
 * the socket takes nothing, and none beyond the server's limit.
 */
void px_streams_submit(struct px_h2 *h);
/* The last frame of the answer is out. */
void px_stream_answered(struct px_stream *s);
/* Nothing moved for too long.  May free it. */
void px_stream_expired(struct px_stream *s);
/* The connection ends. */
void px_stream_free(struct px_stream *s, const char *why);

#endif
