/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regular expressions of a policy: `~"re"`, anchored at both ends, over bytes.
 *
 * The syntax is the part of PCRE2's that is regular, and means what PCRE2 means
 * by it in byte mode with DOTALL: literals, `.`, classes with ranges, negation and
 * POSIX names, \d \w \s \D \W \S, \t \n \r \f \xHH, escaped punctuation, groups ( ) and
 * (?: ), |, * + ? {m} {m,} {m,n} and their lazy forms, which match the same whole strings.
 * `^` may begin and `$` may end an alternative of the whole; both say what holds anyway.
 * Everything else is a fault, never something that quietly means less.
 */
#ifndef POLC_REGEX_H
#define POLC_REGEX_H

#include "base/base.h"

#define POL_REGEX_DEPTH 100	/* of groups */
#define POL_REGEX_REPEAT 1000	/* largest count in {m,n} */

enum pol_re_kind { POL_RE_EMPTY, POL_RE_BYTES, POL_RE_CAT, POL_RE_ALT, POL_RE_REPEAT };

struct pol_byteset {
	uint64_t w[4];
};

struct pol_re {
	enum pol_re_kind kind;
	struct pol_byteset set;		/* BYTES */
	const struct pol_re *a, *b;	/* CAT, ALT; REPEAT: a */
	uint32_t min, max;		/* REPEAT; max UINT32_MAX: no bound */
};

struct pol_regex_fault {
	const char *what;	/* "has a back-reference" */
	size_t at, n;		/* the offending bytes of the text */
};

/* NULL and a fault, or the tree, in the arena. */
const struct pol_re *pol_regex_parse(struct pol_arena *a, struct pol_str text,
				     struct pol_regex_fault *fault);

static inline void pol_byteset_add(struct pol_byteset *s, unsigned char c)
{
	s->w[c >> 6] |= 1ull << (c & 63);
}

static inline bool pol_byteset_has(const struct pol_byteset *s, unsigned char c)
{
	return s->w[c >> 6] >> (c & 63) & 1;
}

static inline void pol_byteset_range(struct pol_byteset *s, unsigned lo, unsigned hi)
{
	for (unsigned c = lo; c <= hi; c++)
		pol_byteset_add(s, (unsigned char)c);
}

#endif
