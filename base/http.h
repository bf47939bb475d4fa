/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading the image of HTTP rules (polc/http.h) and judging requests by it.
 * The proxy, the evaluator and the analyses use these functions and no others.
 */
#ifndef POLC_BASE_HTTP_H
#define POLC_BASE_HTTP_H

#include <polc/http.h>

#include "base.h"

struct pol_http_view {		/* points into the image, which must outlive it */
	const struct pol_http_image *image;
	const struct pol_http_rule *rules;
	const struct pol_http_line_info *lines;
	const struct pol_http_test *tests;
	const struct pol_http_automaton *automata;
	const __u32 *sets;
};

/*
 * Checks every offset, length, state, set and string, so that nothing below has
 * to.  The image is aligned to 4.  0, or -EINVAL with err saying what is wrong.
 */
int pol_http_open(struct pol_http_view *v, const void *image, size_t size, struct pol_err *err);
struct pol_str pol_http_string(const struct pol_http_view *v, __u32 s);

/* From `state` over n bytes; pure, for requests that come in pieces. */
__u32 pol_http_run(const struct pol_http_view *v, __u32 automaton, __u32 state,
		   const void *bytes, size_t n);

struct pol_http_field {
	struct pol_str name;	/* lower case */
	struct pol_str value;	/* without the white space around it */
};

struct pol_http_request {
	struct pol_str method;	/* as sent */
	struct pol_str host;	/* lower case, without port */
	struct pol_str path;	/* canonical, without query */
	struct pol_str query;	/* from its `?` on; empty: none */
	const struct pol_http_field *field;
	size_t nfields;
	bool upgrade;		/* asks for an upgrade, or is a CONNECT */
};

#define POL_HTTP_NO_LINE 0xffffffffu

struct pol_http_verdict {
	bool allow;
	__u32 line;		/* of the image: what decided; POL_HTTP_NO_LINE: no line matched */
	bool decoded;		/* denied, and as it was sent it would not have been */
};

/*
 * How a path or a query is read.  Servers look at a target as it came, or decode it first; so a request
 * is judged in each reading.  Decoded is, once, what may as well stand plain there; all other encoded
 * bytes stay encoded, in upper case.  It makes no segment, no dot segment and no other encoded byte.
 */
enum pol_http_reading {
	POL_HTTP_AS_SENT = 0,
	POL_HTTP_READ_PATH = 1,		/* `!$&'()*+,=:@` */
	POL_HTTP_READ_FIELDS = 2,	/* of a query: unreserved bytes and `!$'()*,:@/?[]` */
	POL_HTTP_READ_QUERY = 4,	/* and what parts its fields, `&=+;` */
};

/* s in that reading, in `out`, which has room for s.n bytes. */
struct pol_str pol_http_read(struct pol_str s, enum pol_http_reading how, char *out);

/*
 * One direction of a flow: the http rules that its verdict names (indices
 * ascending), and whether a plain allow stands beside them (POL_VF_PLAIN).
 * An index that the image does not have denies.  The request is judged in all its readings
 * (polc/http.h): who calls this has nothing to decode.
 */
struct pol_http_verdict pol_http_judge(const struct pol_http_view *v, const __u16 *rule,
				       size_t nrules, bool plain,
				       const struct pol_http_request *r);

/*
 * NULL if the path (what stands before `?`) is canonical, so that every server finds
 * the same segments in it; else why not, as a static text for a person.  What is not:
 *
 *	an empty one, or one that does not begin with `/`
 *	a byte that no path may contain unencoded (RFC 3986, 3.3: pchar and `/`), so also
 *	controls, space, NUL, `\`, `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}`, `#` and all above 0x7e
 *	`;`: parameters, which some servers cut off before they look up the path
 *	`//`, and segments `.` and `..`
 *	`%` without two upper-case hexadecimal digits (RFC 3986, 6.2.2.1)
 *	an encoded unreserved byte (6.2.2.2), so also encoded dots
 *	an encoded `/`, `\`, `;`, `%`, control, NUL or DEL
 *	encoded bytes that are not valid UTF-8 (RFC 3629), overlong forms and surrogates included
 */
const char *pol_http_path_fault(struct pol_str path);

#endif
