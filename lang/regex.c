/* SPDX-License-Identifier: GPL-2.0-only */
#include "lang/regex.h"

#include <ctype.h>

struct reader {
	struct pol_arena *arena;
	struct pol_str s;
	size_t at;
	unsigned depth;
	struct pol_regex_fault *fault;
};

static const struct pol_re *fail(struct reader *r, const char *what, size_t at, size_t n)
{
	if (!r->fault->what)
		*r->fault = (struct pol_regex_fault){ what, at, n };
	return NULL;
}

static bool failed(const struct reader *r)
{
	return r->fault->what != NULL;
}

static bool more(const struct reader *r)
{
	return r->at < r->s.n;
}

/* The byte `ahead` of here; 0 past the end. */
static char peek(const struct reader *r, size_t ahead)
{
	return r->at + ahead < r->s.n ? r->s.p[r->at + ahead] : '\0';
}

static struct pol_re *node(struct reader *r, enum pol_re_kind kind)
{
	struct pol_re *n = pol_arena_alloc(r->arena, sizeof(*n));

	n->kind = kind;
	return n;
}

static const struct pol_re *pair(struct reader *r, enum pol_re_kind kind, const struct pol_re *a,
				 const struct pol_re *b)
{
	struct pol_re *n = node(r, kind);

	n->a = a;
	n->b = b;
	return n;
}

static void invert(struct pol_byteset *s)
{
	for (int i = 0; i < 4; i++)
		s->w[i] = ~s->w[i];
}

static void unite(struct pol_byteset *s, const struct pol_byteset *with)
{
	for (int i = 0; i < 4; i++)
		s->w[i] |= with->w[i];
}

/* ---- escapes ---------------------------------------------------------------- */

/* \d and its like; false: c names no class. */
static bool class_escape(char c, struct pol_byteset *s)
{
	struct pol_byteset set = { { 0 } };

	switch (tolower((unsigned char)c)) {
	case 'd':
		pol_byteset_range(&set, '0', '9');
		break;
	case 'w':
		pol_byteset_range(&set, '0', '9');
		pol_byteset_range(&set, 'A', 'Z');
		pol_byteset_range(&set, 'a', 'z');
		pol_byteset_add(&set, '_');
		break;
	case 's':
		pol_byteset_range(&set, '\t', '\r');
		pol_byteset_add(&set, ' ');
		break;
	default:
		return false;
	}
	if (isupper((unsigned char)c))
		invert(&set);
	unite(s, &set);
	return true;
}

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* At a backslash: the byte that it stands for, or -1 with a fault. */
static int byte_escape(struct reader *r)
{
	static const char plain[] = "t\tn\nr\rf\fe\033a\a";
	char c = peek(r, 1);

	if (r->at + 1 >= r->s.n) {
		fail(r, "ends in a backslash", r->at, 1);
		return -1;
	}
	if (c == 'x') {
		int hi = hex(peek(r, 2)), lo = hex(peek(r, 3));

		if (hi < 0 || lo < 0) {
			fail(r, "has a `\\x` without two hexadecimal digits", r->at, 2);
			return -1;
		}
		r->at += 4;
		return hi << 4 | lo;
	}
	for (size_t i = 0; plain[i]; i += 2)
		if (c == plain[i]) {
			r->at += 2;
			return (unsigned char)plain[i + 1];
		}
	if (isalnum((unsigned char)c)) {
		fail(r,
		     c >= '1' && c <= '9'  ? "has a back-reference"
		     : strchr("bBAzZG", c) ? "has a test of a position"
					   : "has an escape that is not regular or not known",
		     r->at, 2);
		return -1;
	}
	r->at += 2;
	return (unsigned char)c;
}

/* ---- classes ---------------------------------------------------------------- */

static bool posix_class(struct pol_str name, struct pol_byteset *s)
{
	static const struct {
		const char *name;
		int (*is)(int);
	} known[] = {
		{ "alpha", isalpha }, { "digit", isdigit },   { "alnum", isalnum },
		{ "upper", isupper }, { "lower", islower },   { "punct", ispunct },
		{ "space", isspace }, { "xdigit", isxdigit }, { "print", isprint },
		{ "graph", isgraph }, { "cntrl", iscntrl },   { "blank", isblank },
	};

	for (size_t k = 0; k < POL_ARRAY_LEN(known); k++)
		if (pol_str_is(name, known[k].name)) {
			/* ASCII alone, whatever the locale */
			for (int c = 0; c < 128; c++)
				if (known[k].is(c))
					pol_byteset_add(s, (unsigned char)c);
			return true;
		}
	return false;
}

/* At "[:": 1 read, 0 none here, -1 fault. */
static int named_class(struct reader *r, struct pol_byteset *s)
{
	size_t end = r->at + 2;
	struct pol_str name;

	if (peek(r, 0) != '[' || peek(r, 1) != ':')
		return 0;
	while (end < r->s.n && islower((unsigned char)r->s.p[end]))
		end++;
	if (end + 1 >= r->s.n || r->s.p[end] != ':' || r->s.p[end + 1] != ']') {
		fail(r, "has a `[:` that names no class", r->at, 2);
		return -1;
	}
	name = (struct pol_str){ r->s.p + r->at + 2, end - r->at - 2 };
	if (!posix_class(name, s)) {
		fail(r, "has a class of unknown name", r->at, end + 2 - r->at);
		return -1;
	}
	r->at = end + 2;
	return 1;
}

/* One end of a range, or one byte; -2: a class was added instead; -1: fault. */
static int class_item(struct reader *r, struct pol_byteset *s)
{
	int named = named_class(r, s);

	if (named)
		return named < 0 ? -1 : -2;
	if (peek(r, 0) != '\\')
		return (unsigned char)r->s.p[r->at++];
	if (class_escape(peek(r, 1), s)) {
		r->at += 2;
		return -2;
	}
	if (peek(r, 1) == 'b') { /* inside a class a backspace; nobody means it */
		fail(r, "has a test of a position", r->at, 2);
		return -1;
	}
	return byte_escape(r);
}

static bool class_range(struct reader *r, struct pol_byteset *s)
{
	size_t from = r->at;
	int lo = class_item(r, s), hi;

	if (lo == -1)
		return false;
	if (peek(r, 0) != '-' || peek(r, 1) == ']' || r->at + 1 >= r->s.n) {
		if (lo >= 0)
			pol_byteset_add(s, (unsigned char)lo);
		return true;
	}
	r->at++;
	hi = class_item(r, s);
	if (hi == -1)
		return false;
	if (lo < 0 || hi < 0 || hi < lo) {
		fail(r,
		     hi >= 0 && lo >= 0 ? "has a range whose end comes before its beginning"
					: "has a range from or to a class",
		     from, r->at - from);
		return false;
	}
	pol_byteset_range(s, (unsigned)lo, (unsigned)hi);
	return true;
}

static const struct pol_re *char_class(struct reader *r)
{
	struct pol_re *n = node(r, POL_RE_BYTES);
	size_t from = r->at++;
	bool other = peek(r, 0) == '^', first = true;

	r->at += other;
	while (more(r) && (first || peek(r, 0) != ']')) {
		first = false;
		if (!class_range(r, &n->set))
			return NULL;
	}
	if (!more(r))
		return fail(r, "has an unclosed `[`", from, 1);
	r->at++;
	if (other)
		invert(&n->set);
	return n;
}

/* ---- from atoms to alternatives ------------------------------------------------ */

static const struct pol_re *alternatives(struct reader *r);

static const struct pol_re *group(struct reader *r)
{
	const struct pol_re *in;
	size_t from = r->at++;

	if (peek(r, 0) == '*')
		return fail(r, "has a verb", from, 2);
	if (peek(r, 0) == '?') {
		if (peek(r, 1) != ':')
			return fail(r, "has a look-around or another extension", from, 3);
		r->at += 2;
	}
	if (++r->depth > POL_REGEX_DEPTH)
		return fail(r, "has groups that are nested too deeply", from, 1);
	in = alternatives(r);
	r->depth--;
	if (!in)
		return NULL;
	if (peek(r, 0) != ')')
		return fail(r, "has an unclosed `(`", from, 1);
	r->at++;
	return in;
}

static const struct pol_re *one_byte(struct reader *r, int c)
{
	struct pol_re *n;

	if (c < 0)
		return NULL;
	n = node(r, POL_RE_BYTES);
	pol_byteset_add(&n->set, (unsigned char)c);
	return n;
}

static const struct pol_re *atom(struct reader *r)
{
	struct pol_re *n;
	char c = peek(r, 0);

	switch (c) {
	case '(':
		return group(r);
	case '[':
		return char_class(r);
	case '.':
		n = node(r, POL_RE_BYTES);
		invert(&n->set);
		r->at++;
		return n;
	case '*':
	case '+':
	case '?':
		return fail(r, "repeats nothing", r->at, 1);
	case '{':
		return fail(r, "has a `{` that repeats nothing: write `\\{`", r->at, 1);
	case '^':
	case '$':
		return fail(r, "has an anchor inside: it is anchored at both ends as it is", r->at,
			    1);
	case '\\':
		n = node(r, POL_RE_BYTES);
		if (!class_escape(peek(r, 1), &n->set))
			return one_byte(r, byte_escape(r));
		r->at += 2;
		return n;
	default:
		r->at++;
		return one_byte(r, (unsigned char)c);
	}
}

/* Digits at *at; false: none, or more than POL_REGEX_REPEAT. */
static bool count(const struct reader *r, size_t *at, uint32_t *out)
{
	size_t from = *at;

	for (*out = 0; *at < r->s.n && isdigit((unsigned char)r->s.p[*at]); ++*at)
		if (*out <= POL_REGEX_REPEAT)
			*out = *out * 10 + (uint32_t)(r->s.p[*at] - '0');
	return *at > from && *out <= POL_REGEX_REPEAT;
}

/* At `{`. */
static bool bounds(struct reader *r, uint32_t *min, uint32_t *max)
{
	size_t at = r->at + 1;
	bool ok = count(r, &at, min);

	*max = *min;
	if (ok && at < r->s.n && r->s.p[at] == ',') {
		at++;
		*max = UINT32_MAX;
		if (at < r->s.n && r->s.p[at] != '}')
			ok = count(r, &at, max);
	}
	if (!ok || at >= r->s.n || r->s.p[at] != '}' || *max < *min) {
		fail(r, "has a repeat that is not {m}, {m,} or {m,n}, at most 1000", r->at, 1);
		return false;
	}
	r->at = at + 1;
	return true;
}

static bool is_repeat(char c)
{
	return c == '*' || c == '+' || c == '?' || c == '{';
}

static const struct pol_re *repeated(struct reader *r)
{
	const struct pol_re *of = atom(r);
	struct pol_re *n;
	size_t from = r->at;

	if (!of || !more(r) || !is_repeat(peek(r, 0)))
		return of;
	n = node(r, POL_RE_REPEAT);
	n->a = of;
	n->min = peek(r, 0) == '+';
	n->max = peek(r, 0) == '?' ? 1 : UINT32_MAX;
	if (peek(r, 0) != '{')
		r->at++;
	else if (!bounds(r, &n->min, &n->max))
		return NULL;
	if (peek(r, 0) == '?')
		r->at++; /* lazy */
	else if (more(r) && peek(r, 0) == '+')
		return fail(r, "has a possessive repeat", from, r->at + 1 - from);
	if (more(r) && is_repeat(peek(r, 0)))
		return fail(r, "repeats a repeat", from, r->at + 1 - from);
	return n;
}

static const struct pol_re *sequence(struct reader *r)
{
	const struct pol_re *all = NULL, *next;

	if (!r->depth && peek(r, 0) == '^')
		r->at++;
	while (more(r) && peek(r, 0) != '|' && peek(r, 0) != ')') {
		if (!r->depth && peek(r, 0) == '$' && (r->at + 1 == r->s.n || peek(r, 1) == '|')) {
			r->at++;
			break;
		}
		next = repeated(r);
		if (!next)
			return NULL;
		all = all ? pair(r, POL_RE_CAT, all, next) : next;
	}
	return all ? all : node(r, POL_RE_EMPTY);
}

static const struct pol_re *alternatives(struct reader *r)
{
	const struct pol_re *all = sequence(r), *next;

	while (all && more(r) && peek(r, 0) == '|') {
		r->at++;
		next = sequence(r);
		all = next ? pair(r, POL_RE_ALT, all, next) : NULL;
	}
	return all;
}

const struct pol_re *pol_regex_parse(struct pol_arena *a, struct pol_str text,
				     struct pol_regex_fault *fault)
{
	struct reader r = { .arena = a, .s = text, .fault = fault };
	const struct pol_re *all;

	*fault = (struct pol_regex_fault){ 0 };
	if (!text.n)
		return fail(&r, "is empty", 0, 0);
	if (memchr(text.p, '\0', text.n))
		return fail(&r, "contains a NUL", 0, 0);
	all = alternatives(&r);
	if (all && !failed(&r) && more(&r))
		return fail(&r, "has a `)` too many", r.at, 1);
	return failed(&r) ? NULL : all;
}
