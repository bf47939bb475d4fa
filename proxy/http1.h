/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/1.1 heads and bodies (RFC 9110, RFC 9112), as strictly as a policy needs.
 *
 * What is matched must be what the server reads.  So nothing is repaired, guessed or joined: a
 * message that two readers could understand differently is refused whole, and what passes is
 * forwarded byte for byte.  No allocation; slices point into the caller's buffer.
 */
#ifndef POLC_PROXY_HTTP1_H
#define POLC_PROXY_HTTP1_H

#include "base/http.h"

#define PX_HEAD_MAX 16384u	/* bytes of a head */
#define PX_TARGET_MAX 8000u	/* bytes; RFC 9110, 4.1 asks for this much */
#define PX_FIELDS_MAX 100u
#define PX_METHOD_MAX 64u

enum px_framing {
	PX_BODY_NONE,
	PX_BODY_LENGTH,
	PX_BODY_CHUNKED,
	PX_BODY_CLOSE,		/* of a response: until the server closes */
};

/* What must not be: the status to answer, and why, for a person. 0: nothing. */
struct px_fault {
	unsigned status;
	const char *why;
};

/* Fields that say how to read an HTTP/1 message. */
enum px_known {
	PX_HOST,
	PX_ENCODING,	/* Transfer-Encoding */
	PX_LENGTH,	/* Content-Length */
	PX_CONNECTION,
	PX_EXPECT,
	PX_UPGRADE,
	PX_TE,
	PX_HTTP2,	/* HTTP2-Settings */
	PX_KNOWN,	/* any other */
};

struct px_head {
	size_t size;		/* bytes, the empty line included */
	bool minor0;		/* HTTP/1.0 */
	/* request */
	struct pol_str method, target, path;
	/* response */
	unsigned status;
	/* fields; names in lower case, in `names` */
	struct pol_http_field field[PX_FIELDS_MAX];
	size_t nfields;
	struct {		/* noted by px_request and px_response */
		uint8_t times, last; /* last: the place of the last of them in field */
	} known[PX_KNOWN + 1];
	char names[PX_HEAD_MAX];
	char host[256];		/* lower case, without port */
	size_t nhost;
	enum px_framing framing;
	uint64_t length;	/* PX_BODY_LENGTH */
	bool close, keep_alive;	/* named by Connection */
	bool upgrade;		/* asks for, or (101) makes an upgrade */
	bool expects;		/* Expect: 100-continue */
};

/*
 * Is a whole head there?  *seen: how far earlier calls looked, 0 at first.  Its size; 0: not
 * yet; -1: it cannot become one that is accepted (too large, or a line end that is none).
 */
int px_head_find(const char *p, size_t n, size_t *seen, struct px_fault *fault);

/* A whole head of n bytes.  true: *h is filled.  false: *fault says why not. */
bool px_request(struct px_head *h, const char *p, size_t n, struct px_fault *fault);
/* request: what it answers; decides which body it has. */
bool px_response(struct px_head *h, const char *p, size_t n, const char *method, bool upgrade,
		 struct px_fault *fault);

/* ---- what holds in every version ---------------------------------------------------- */

/* A byte of a name (tchar: RFC 9110, 5.6.2). */
bool px_is_token(unsigned char c);
/* Of a value (5.5): field-vchar, SP and HTAB; obs-text, which is how UTF-8 comes. */
bool px_is_value(unsigned char c);

/* Of fields of that name (lower case) how many there are; *v: the value of the last. */
unsigned px_head_count(const struct px_head *h, const char *name, struct pol_str *v);

/* Each takes what is named here from *h; false: *fault says why not. */
/*
 * method: a name without small letters.  Case counts (RFC 9110, 9.1) and a policy's methods are in
 * capitals, but there are servers that fold it: what no line denies would become what one does.
 */
bool px_head_method(const struct px_head *h, struct px_fault *fault);
/* method, target -> path: canonical, query well formed. */
bool px_head_target(struct px_head *h, struct px_fault *fault);
/* v -> host: port and brackets off, lower case.  RFC 3986, 3.2.2, without what servers read differently. */
bool px_head_host(struct px_head *h, struct pol_str v, struct px_fault *fault);
/* v -> length, framing */
bool px_head_length(struct px_head *h, struct pol_str v, struct px_fault *fault);
/* fields: none that servers take for another method or another path than was judged */
bool px_head_overrides(const struct px_head *h, struct px_fault *fault);
/* minor0, fields -> expects */
bool px_head_expect(struct px_head *h, struct px_fault *fault);

/* ---- bodies ------------------------------------------------------------------------ */

/* Follows a body without keeping it. */
struct px_body {
	enum px_framing framing;
	uint8_t state;
	bool done;
	bool trailers;		/* may follow the chunks */
	uint64_t left;		/* of the body, or of the chunk */
	uint32_t line;		/* bytes of the line, or of all trailers, so far */
};

/*
 * Trailers of a request are refused: servers that merge them into the header would read there
 * what nobody has judged.
 */
void px_body_begin(struct px_body *b, enum px_framing framing, uint64_t length, bool trailers);
/*
 * The next n bytes: how many of them belong to the body.  Fewer than n: it ended there
 * (b->done).  -1: they break the framing.
 */
long px_body_take(struct px_body *b, const char *p, size_t n);

/* So many of the bytes that come next are content and nothing else, whatever they are; else 0. */
uint64_t px_body_opaque(const struct px_body *b);
/* n of them have passed unseen. */
void px_body_skip(struct px_body *b, uint64_t n);

#endif
