/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The HTTP rules of an object: one position-independent image, written by the
 * compiler into POL_SECTION_HTTP, kept by the loader in a read-only map of the
 * generation (POL_MAP_HTTP), mapped by the proxy, and read by the evaluator.
 * Who reads it checks it first, whole (base/http.h).
 *
 * Integers are in host byte order; offsets count bytes from the start of the
 * image and are multiples of 4.  An array is (offset, number of elements).
 *
 * A request is judged so, for each direction of its flow: the verdict of the
 * flow (polc/abi.h) names http rules by their index here.  Each automaton that
 * they name reads
 *
 *	METHOD SP host SP path
 *
 * once; host in lower case, without port; path without query, canonical.  SP is 0x20,
 * which none of the three can contain.  The state at the end has a set of
 * lines; those of the flow's rules whose conditions hold are the matching
 * lines.  A matching deny line denies; else POL_VF_PLAIN or a matching allow
 * line allows; else it is denied.  An upgrade or CONNECT needs a
 * matching allow line with POL_HTTP_WEBSOCKET.  Both directions must allow.
 *
 * A server may decode path or query before it looks at them.  So all of that holds for each
 * reading of the path (as sent; decoded) with each of the query (as sent; its fields decoded): a matching deny
 * line in any denies, and each must be allowed.  A deny line also denies where it
 * matches the query with what parts fields decoded.  base/http.h says which bytes that
 * is about; what has no `%` has one reading.
 */
#ifndef POLC_HTTP_H
#define POLC_HTTP_H

#include <linux/types.h>

#define POL_SECTION_HTTP ".polc.http"
#define POL_HTTP_MAGIC 0x70747468u	/* "http" in little-endian memory */
#define POL_HTTP_VERSION 1u

struct pol_http_array { __u32 at, n; };

struct pol_http_image {
	__u32 magic;
	__u32 version;
	__u32 size;			/* of the image in bytes */
	__u32 spare;
	struct pol_http_array rules;	/* struct pol_http_rule */
	struct pol_http_array lines;	/* struct pol_http_line_info */
	struct pol_http_array tests;	/* struct pol_http_test */
	struct pol_http_array automata;	/* struct pol_http_automaton */
	struct pol_http_array sets;	/* __u32: n, then n line numbers, ascending; element 0 is 0, the empty set */
	struct pol_http_array text;	/* bytes: strings, each a __u32 length, its bytes and 0, padded to 4 */
};

struct pol_http_rule {		/* an http block; index: what verdicts name */
	__u32 rule;		/* number of the policy's rule in POL_SECTION_RULES */
	__u32 automaton;
	__u32 line, nlines;	/* its lines */
};

#define POL_HTTP_DENY (1u << 0)		/* a deny line; else allow */
#define POL_HTTP_WEBSOCKET (1u << 1)

struct pol_http_line_info {
	__u32 http_rule;	/* index of its rule above */
	__u32 flags;		/* POL_HTTP_* */
	__u32 test, ntests;	/* header tests, all must hold */
	__u32 file;		/* string: as diagnostics show it */
	__u32 line;		/* in that file, from 1 */
	__u32 source;		/* string: the line as written, white space folded */
};

/* Allow: exactly one field line of that name, and it passes.  Deny: any that passes. */
/* In the place of a header's name: the target from its `?` on, and the empty text where there is none. */
#define POL_HTTP_QUERY ":query"
enum pol_http_test_kind { POL_HTTP_PRESENT = 0, POL_HTTP_EQUAL = 1, POL_HTTP_MATCH = 2 };
struct pol_http_test {
	__u32 name;		/* string, lower case */
	__u32 kind;		/* enum pol_http_test_kind */
	__u32 value;		/* EQUAL: string; MATCH: automaton over the value, any set but 0 accepts */
};

/*
 * Deterministic; state 0 is dead: it leads to itself and accepts nothing.
 * next state = next[state * classes + class[byte]].
 */
struct pol_http_automaton {
	__u32 states, classes;	/* 1..65536, 1..256 */
	__u32 start;
	__u32 class_at;		/* __u8[256] */
	__u32 next_at;		/* __u16[states * classes] */
	__u32 accept_at;	/* __u32[states]: index into sets */
};

#endif
