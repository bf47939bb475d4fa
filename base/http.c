/* SPDX-License-Identifier: GPL-2.0-only */
#include "base/http.h"

#include <errno.h>

_Static_assert(sizeof(struct pol_http_image) == 64, "polc/http.h: the header");
_Static_assert(sizeof(struct pol_http_rule) == 16, "polc/http.h: a rule");
_Static_assert(sizeof(struct pol_http_line_info) == 28, "polc/http.h: a line");
_Static_assert(sizeof(struct pol_http_automaton) == 24, "polc/http.h: an automaton");

/* ---- opening --------------------------------------------------------------------- */

struct opening {
	const struct pol_http_image *h;
	struct pol_err *err;
};

static bool bad(const struct opening *o, const char *what)
{
	pol_err(o->err, -EINVAL, "the image of HTTP rules: %s", what);
	return false;
}

static bool inside(const struct opening *o, uint64_t at, uint64_t bytes)
{
	return at % 4 == 0 && at >= sizeof(*o->h) && at <= o->h->size && bytes <= o->h->size - at;
}

static bool array_ok(const struct opening *o, struct pol_http_array a, size_t size)
{
	return inside(o, a.at, (uint64_t)a.n * size);
}

static const void *at(const struct pol_http_image *h, uint32_t offset)
{
	return (const char *)h + offset;
}

/* Offsets of strings count from the start of the image, as all do. */
static bool string_ok(const struct opening *o, uint32_t s)
{
	const struct pol_http_array *text = &o->h->text;
	uint32_t len, left;

	if (s % 4 || s < text->at || s - text->at >= text->n || text->n - (s - text->at) < 5)
		return false;
	left = text->n - (s - text->at) - 5;
	memcpy(&len, at(o->h, s), sizeof(len));
	return len <= left && ((const char *)at(o->h, s))[4 + len] == '\0';
}

static bool set_ok(const struct pol_http_view *v, uint32_t set)
{
	uint32_t all = v->image->sets.n, n;

	if (set >= all)
		return false;
	n = v->sets[set];
	if (n >= all - set)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (v->sets[set + 1 + i] >= v->image->lines.n ||
		    (i && v->sets[set + 1 + i] <= v->sets[set + i]))
			return false;
	return true;
}

/* Accepting states of an automaton over header values have any other set than 0; so they are checked too. */
static bool automaton_ok(const struct opening *o, const struct pol_http_view *v,
			 const struct pol_http_automaton *a)
{
	const uint8_t *class;
	const uint16_t *next;
	const uint32_t *accept;
	uint64_t cells = (uint64_t)a->states * a->classes;

	if (!a->states || a->states > 65536 || !a->classes || a->classes > 256 ||
	    a->start >= a->states || !inside(o, a->class_at, 256) ||
	    !inside(o, a->next_at, cells * 2) || !inside(o, a->accept_at, a->states * 4ull))
		return bad(o, "an automaton that lies outside");
	class = at(o->h, a->class_at);
	next = at(o->h, a->next_at);
	accept = at(o->h, a->accept_at);
	for (unsigned i = 0; i < 256; i++)
		if (class[i] >= a->classes)
			return bad(o, "a class that its automaton does not have");
	for (uint64_t i = 0; i < cells; i++)
		if (next[i] >= a->states || (i < a->classes && next[i]))
			return bad(o, "a state that its automaton does not have");
	for (uint32_t i = 0; i < a->states; i++)
		if (!set_ok(v, accept[i]) || (!i && accept[i]))
			return bad(o, "a set of lines that makes no sense");
	return true;
}

static bool line_ok(const struct opening *o, const struct pol_http_view *v, uint32_t i)
{
	const struct pol_http_line_info *l = &v->lines[i];
	const struct pol_http_rule *r = v->rules;

	if (l->http_rule >= o->h->rules.n || l->flags & ~(POL_HTTP_DENY | POL_HTTP_WEBSOCKET) ||
	    l->test > o->h->tests.n || l->ntests > o->h->tests.n - l->test)
		return bad(o, "a line that names what is not there");
	r += l->http_rule;
	if (i < r->line || i - r->line >= r->nlines)
		return bad(o, "a line that belongs to no rule");
	if (!string_ok(o, l->file) || !string_ok(o, l->source))
		return bad(o, "a line without its text");
	return true;
}

static bool test_ok(const struct opening *o, const struct pol_http_test *t)
{
	bool value = t->kind == POL_HTTP_PRESENT ? !t->value
		     : t->kind == POL_HTTP_EQUAL ? string_ok(o, t->value)
						 : t->value < o->h->automata.n;

	return t->kind <= POL_HTTP_MATCH && string_ok(o, t->name) && value
		       ? true
		       : bad(o, "a header test that makes no sense");
}

static bool parts_ok(const struct opening *o, const struct pol_http_view *v)
{
	const struct pol_http_image *h = o->h;
	uint32_t line = 0;

	for (uint32_t i = 0; i < h->rules.n; i++) {
		if (v->rules[i].automaton >= h->automata.n || v->rules[i].line != line ||
		    v->rules[i].nlines > h->lines.n - line)
			return bad(o, "a rule that names what is not there");
		line += v->rules[i].nlines;
	}
	if (line != h->lines.n)
		return bad(o, "lines of no rule");
	for (uint32_t i = 0; i < h->lines.n; i++)
		if (!line_ok(o, v, i))
			return false;
	for (uint32_t i = 0; i < h->tests.n; i++)
		if (!test_ok(o, &v->tests[i]))
			return false;
	for (uint32_t i = 0; i < h->automata.n; i++)
		if (!automaton_ok(o, v, &v->automata[i]))
			return false;
	return true;
}

int pol_http_open(struct pol_http_view *v, const void *image, size_t size, struct pol_err *err)
{
	const struct pol_http_image *h = image;
	struct opening o = { .h = h, .err = err };

	*v = (struct pol_http_view){ 0 };
	if ((uintptr_t)image % 4 || size < sizeof(*h) || h->magic != POL_HTTP_MAGIC)
		return pol_err(err, -EINVAL, "this is no image of HTTP rules");
	if (h->version != POL_HTTP_VERSION)
		return pol_err(err, -EINVAL, "HTTP rules of version %u; this program reads %u",
			       h->version, POL_HTTP_VERSION);
	if (h->size < sizeof(*h) || h->size > size || h->spare)
		return pol_err(err, -EINVAL, "the image of HTTP rules: a length that lies");
	if (!array_ok(&o, h->rules, sizeof(*v->rules)) ||
	    !array_ok(&o, h->lines, sizeof(*v->lines)) ||
	    !array_ok(&o, h->tests, sizeof(*v->tests)) ||
	    !array_ok(&o, h->automata, sizeof(*v->automata)) ||
	    !array_ok(&o, h->sets, sizeof(*v->sets)) || !array_ok(&o, h->text, 1) || !h->sets.n)
		return pol_err(err, -EINVAL, "the image of HTTP rules: a part that lies outside");
	v->image = h;
	v->rules = at(h, h->rules.at);
	v->lines = at(h, h->lines.at);
	v->tests = at(h, h->tests.at);
	v->automata = at(h, h->automata.at);
	v->sets = at(h, h->sets.at);
	return v->sets[0] ? pol_err(err, -EINVAL, "the image of HTTP rules: set 0 is not empty")
	       : parts_ok(&o, v) ? 0
				 : -EINVAL;
}

struct pol_str pol_http_string(const struct pol_http_view *v, __u32 s)
{
	const char *p = at(v->image, s);
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return (struct pol_str){ p + 4, n };
}

/* ---- readings ------------------------------------------------------------------------ */

#define PATH POL_HTTP_READ_PATH
#define VALUE (POL_HTTP_READ_FIELDS | POL_HTTP_READ_QUERY)
#define ANYWHERE (PATH | VALUE)

/*
 * Where an encoded byte may as well stand plain.  In a path no unreserved one, as it is refused there;
 * in a query also what browsers do not encode, `[` and `]`.  What parts the fields of a query is data
 * while it is encoded.
 */
static const uint8_t plain_in[256] = {
	['!'] = ANYWHERE,
	['$'] = ANYWHERE,
	['&'] = PATH | POL_HTTP_READ_QUERY,
	['\'' ... '*'] = ANYWHERE,
	['+'] = PATH | POL_HTTP_READ_QUERY,
	[','] = ANYWHERE,
	['-' ... '9'] = VALUE,
	[':'] = ANYWHERE,
	[';'] = POL_HTTP_READ_QUERY,
	['='] = PATH | POL_HTTP_READ_QUERY,
	['?'] = VALUE,
	['@'] = ANYWHERE,
	['A' ... '['] = VALUE,
	[']'] = VALUE,
	['_'] = VALUE,
	['a' ... 'z'] = VALUE,
	['~'] = VALUE,
};

/* Upper case alone: `%2f` and `%2F` are the same byte, and only one of them is canonical. */
static int hex(unsigned char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hex_any(unsigned char c)
{
	return hex(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
}

/* The byte that is encoded at the beginning of s, or -1. */
static int encoded(struct pol_str s)
{
	int hi, lo;

	if (s.n < 3 || s.p[0] != '%')
		return -1;
	hi = hex_any((unsigned char)s.p[1]);
	lo = hex_any((unsigned char)s.p[2]);
	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/*
 * Takes off s what is read next: all up to a percent sign, or one encoded byte, which is then in `room`.
 * What was decoded is not looked at again, so `%2540` is never an `@`.
 */
static struct pol_str next_piece(struct pol_str *s, enum pol_http_reading how, char room[3])
{
	static const char digit[] = "0123456789ABCDEF";
	const char *sign = how == POL_HTTP_AS_SENT ? NULL : memchr(s->p, '%', s->n);
	struct pol_str piece = { s->p, sign ? (size_t)(sign - s->p) : s->n };
	int c = piece.n ? -1 : encoded(*s);

	if (!piece.n)
		piece.n = c < 0 ? 1 : 3;
	s->p += piece.n;
	s->n -= piece.n;
	if (c < 0)
		return piece;
	if (plain_in[c] & how) {
		room[0] = (char)c;
		return (struct pol_str){ room, 1 };
	}
	room[0] = '%';
	room[1] = digit[c >> 4];
	room[2] = digit[c & 15];
	return (struct pol_str){ room, 3 };
}

static bool reads_otherwise(struct pol_str s, enum pol_http_reading how)
{
	char room[3];

	while (s.n) {
		const char *from = s.p;
		struct pol_str piece = next_piece(&s, how, room);

		if (piece.n != (size_t)(s.p - from) || memcmp(piece.p, from, piece.n) != 0)
			return true;
	}
	return false;
}

struct pol_str pol_http_read(struct pol_str s, enum pol_http_reading how, char *out)
{
	struct pol_str all = { out, 0 };
	char room[3];

	while (s.n) {
		struct pol_str piece = next_piece(&s, how, room);

		memcpy(out + all.n, piece.p, piece.n);
		all.n += piece.n;
	}
	return all;
}

/* ---- judging ------------------------------------------------------------------------- */

__u32 pol_http_run(const struct pol_http_view *v, __u32 automaton, __u32 state, const void *bytes,
		   size_t n)
{
	const struct pol_http_automaton *a = &v->automata[automaton];
	const uint16_t *next = at(v->image, a->next_at);
	const uint8_t *class = at(v->image, a->class_at);
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		state = next[(size_t)state * a->classes + class[p[i]]];
	return state;
}

static __u32 run_read(const struct pol_http_view *v, __u32 automaton, __u32 state, struct pol_str s,
		      enum pol_http_reading how)
{
	char room[3];

	while (s.n) {
		struct pol_str piece = next_piece(&s, how, room);

		state = pol_http_run(v, automaton, state, piece.p, piece.n);
	}
	return state;
}

static bool equal_read(struct pol_str want, struct pol_str s, enum pol_http_reading how)
{
	char room[3];

	while (s.n) {
		struct pol_str piece = next_piece(&s, how, room);

		if (piece.n > want.n || memcmp(piece.p, want.p, piece.n) != 0)
			return false;
		want = (struct pol_str){ want.p + piece.n, want.n - piece.n };
	}
	return !want.n;
}

static __u32 accepted(const struct pol_http_view *v, __u32 automaton, __u32 state)
{
	const uint32_t *accept = at(v->image, v->automata[automaton].accept_at);

	return accept[state];
}

static __u32 set_of(const struct pol_http_view *v, __u32 automaton,
		    const struct pol_http_request *r, enum pol_http_reading path)
{
	__u32 s = v->automata[automaton].start;

	s = pol_http_run(v, automaton, s, r->method.p, r->method.n);
	s = pol_http_run(v, automaton, s, " ", 1);
	s = pol_http_run(v, automaton, s, r->host.p, r->host.n);
	s = pol_http_run(v, automaton, s, " ", 1);
	s = run_read(v, automaton, s, r->path, path);
	return accepted(v, automaton, s);
}

static bool value_passes(const struct pol_http_view *v, const struct pol_http_test *t,
			 struct pol_str value, enum pol_http_reading how)
{
	if (t->kind == POL_HTTP_PRESENT)
		return true;
	if (t->kind == POL_HTTP_EQUAL)
		return equal_read(pol_http_string(v, t->value), value, how);
	return accepted(v, t->value,
			run_read(v, t->value, v->automata[t->value].start, value, how));
}

static bool test_holds(const struct pol_http_view *v, const struct pol_http_test *t, bool deny,
		       const struct pol_http_request *r, enum pol_http_reading query)
{
	struct pol_str name = pol_http_string(v, t->name);
	size_t there = 0, pass = 0;

	if (pol_str_is(name, POL_HTTP_QUERY)) /* no field has a colon in its name */
		return value_passes(v, t, r->query, query);
	for (size_t i = 0; i < r->nfields; i++)
		if (pol_str_eq(r->field[i].name, name)) {
			there++;
			pass += value_passes(v, t, r->field[i].value, POL_HTTP_AS_SENT);
		}
	return deny ? pass > 0 : there == 1 && pass == 1;
}

static bool line_holds(const struct pol_http_view *v, const struct pol_http_line_info *l,
		       const struct pol_http_request *r, enum pol_http_reading query)
{
	for (uint32_t i = 0; i < l->ntests; i++)
		if (!test_holds(v, &v->tests[l->test + i], l->flags & POL_HTTP_DENY, r, query))
			return false;
	return true;
}

/*
 * Readings of a query, in this order; only deny lines are asked about the last, in which what a field holds
 * looks as if it parted fields: an allow that had to hold there could let `R%26D` pass only with `R&D`.
 */
static const enum pol_http_reading query_reading[] = { POL_HTTP_AS_SENT, POL_HTTP_READ_FIELDS,
						       POL_HTTP_READ_QUERY };
#define QUERY_READINGS POL_ARRAY_LEN(query_reading)
#define ALLOW_READINGS (QUERY_READINGS - 1)

struct judging {
	const struct pol_http_view *v;
	const __u16 *rule;
	size_t nrules;
	const struct pol_http_request *r;
	enum pol_http_reading path;
	size_t queries; /* readings of the query that are to be tried */
	__u32 deny[QUERY_READINGS], allow[QUERY_READINGS]; /* first lines of each kind that match */
};

static bool in_force(const struct judging *j, uint32_t http_rule)
{
	for (size_t i = 0; i < j->nrules; i++)
		if (j->rule[i] == http_rule)
			return true;
	return false;
}

static void take_line(struct judging *j, uint32_t line)
{
	const struct pol_http_line_info *l = &j->v->lines[line];
	bool deny = l->flags & POL_HTTP_DENY;
	__u32 *first = deny ? j->deny : j->allow;

	if (!in_force(j, l->http_rule) ||
	    (!deny && j->r->upgrade && !(l->flags & POL_HTTP_WEBSOCKET)))
		return;
	for (size_t i = 0; i < j->queries; i++)
		if (line < first[i] && line_holds(j->v, l, j->r, query_reading[i]))
			first[i] = line;
}

static void run_automaton(struct judging *j, uint32_t automaton)
{
	const __u32 *set = j->v->sets + set_of(j->v, automaton, j->r, j->path);

	for (uint32_t i = 0; i < set[0]; i++)
		take_line(j, set[1 + i]);
}

static void run_automata(struct judging *j)
{
	for (size_t i = 0; i < j->nrules; i++) {
		uint32_t a = j->v->rules[j->rule[i]].automaton;
		bool done = false;

		for (size_t k = 0; k < i; k++)
			done |= j->v->rules[j->rule[k]].automaton == a;
		if (!done)
			run_automaton(j, a);
	}
}

/* The path in one reading, with the query in each; `plain`: no allow line is needed. */
static struct pol_http_verdict judge_path(struct judging *j, enum pol_http_reading path, bool plain)
{
	struct pol_http_verdict deny = { .allow = false };

	j->path = path;
	for (size_t i = 0; i < QUERY_READINGS; i++)
		j->deny[i] = j->allow[i] = POL_HTTP_NO_LINE;
	run_automata(j);
	for (size_t i = 0; i < j->queries; i++) {
		bool lacks = i < ALLOW_READINGS && !plain && j->allow[i] == POL_HTTP_NO_LINE;

		deny.line = j->deny[i];
		deny.decoded = path != POL_HTTP_AS_SENT || i;
		if (lacks || deny.line != POL_HTTP_NO_LINE)
			return deny;
	}
	return (struct pol_http_verdict){ .allow = true, .line = j->allow[0] };
}

/*
 * A server may decode the path and look at the query as it came, or the other way round: each reading of
 * one is tried with each of the other.
 */
struct pol_http_verdict pol_http_judge(const struct pol_http_view *v, const __u16 *rule,
				       size_t nrules, bool plain, const struct pol_http_request *r)
{
	struct judging j = { .v = v, .rule = rule, .nrules = nrules, .r = r };
	struct pol_http_verdict sent, read;

	for (size_t i = 0; i < nrules; i++)
		if (rule[i] >= v->image->rules.n)
			return (struct pol_http_verdict){ .line = POL_HTTP_NO_LINE };
	plain = plain && !r->upgrade;
	j.queries = reads_otherwise(r->query, POL_HTTP_READ_QUERY) ? QUERY_READINGS : 1;
	sent = judge_path(&j, POL_HTTP_AS_SENT, plain);
	if (!sent.allow || !reads_otherwise(r->path, POL_HTTP_READ_PATH))
		return sent;
	read = judge_path(&j, POL_HTTP_READ_PATH, plain);
	return read.allow ? sent : read;
}

/* ---- paths --------------------------------------------------------------------------------- */

static bool unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static const char *encoded_fault(unsigned char c)
{
	if (unreserved(c))
		return c == '.' ? "an encoded dot" : "an encoded unreserved character";
	switch (c) {
	case 0:
		return "an encoded NUL";
	case '/':
		return "an encoded slash";
	case '\\':
		return "an encoded backslash";
	case ';':
		return "an encoded semicolon";
	case '%':
		return "an encoded percent sign";
	default:
		return c < 0x20 || c == 0x7f ? "an encoded control character" : NULL;
	}
}

/* What UTF-8 may follow (RFC 3629, 4): how many continuation bytes, the first of them within lo..hi. */
struct utf8 {
	unsigned left;
	unsigned char lo, hi;
};

static bool utf8_next(struct utf8 *u, unsigned char c)
{
	if (u->left) {
		if (c < u->lo || c > u->hi)
			return false;
		*u = (struct utf8){ u->left - 1, 0x80, 0xbf };
		return true;
	}
	if (c < 0x80)
		return true;
	if (c < 0xc2 || c > 0xf4)
		return false;
	u->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	u->lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	u->hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	return true;
}

static const char *plain_fault(unsigned char c)
{
	if (c == ';')
		return "a semicolon";
	if (c == '#')
		return "a fragment";
	if (c == '\\')
		return "a backslash";
	return c > 0x20 && c < 0x7f && (unreserved(c) || strchr("/!$&'()*+,=:@", c))
		       ? NULL
		       : "a character that has to be encoded";
}

/* [from, to) lies between slashes; `last`: to is the end. */
static const char *segment_fault(struct pol_str p, size_t from, size_t to, bool last)
{
	size_t n = to - from;

	if (!n && !last)
		return "an empty segment";
	if ((n == 1 && p.p[from] == '.') || (n == 2 && p.p[from] == '.' && p.p[from + 1] == '.'))
		return "a dot segment";
	return NULL;
}

/* One byte or one triplet at *i. */
static const char *next_fault(struct pol_str p, size_t *i, struct utf8 *u)
{
	unsigned char c = (unsigned char)p.p[*i];
	const char *fault;
	int hi, lo;

	if (c != '%') {
		++*i;
		fault = plain_fault(c);
		return fault ? fault : u->left ? "bad UTF-8" : NULL;
	}
	if (p.n - *i < 3)
		return "a percent sign without two digits";
	hi = hex((unsigned char)p.p[*i + 1]);
	lo = hex((unsigned char)p.p[*i + 2]);
	if (hi < 0 || lo < 0)
		return "a percent sign without two upper-case digits";
	*i += 3;
	c = (unsigned char)(hi << 4 | lo);
	fault = encoded_fault(c);
	return fault ? fault : utf8_next(u, c) ? NULL : "bad UTF-8";
}

/* What most paths are made of: pchar (RFC 3986, 3.3) but `%` and `;`. */
static const bool common[256] = {
	['!'] = true,         ['$'] = true,         ['&' ... '.'] = true,
	['0' ... ':'] = true, ['='] = true,         ['@' ... 'Z'] = true,
	['_'] = true,         ['a' ... 'z'] = true, ['~'] = true,
};

const char *pol_http_path_fault(struct pol_str path)
{
	const char *fault = NULL;
	struct utf8 u = { 0 };
	size_t from = 1;

	if (!path.n || path.p[0] != '/')
		return "no slash at the beginning";
	for (size_t i = 1; i < path.n && !fault;) {
		if (common[(unsigned char)path.p[i]] && !u.left) {
			i++;
			continue;
		}
		if (path.p[i] == '/') {
			fault = segment_fault(path, from, i, false);
			from = i + 1;
		}
		if (!fault)
			fault = next_fault(path, &i, &u);
	}
	if (!fault)
		fault = segment_fault(path, from, path.n, true);
	return fault ? fault : u.left ? "bad UTF-8" : NULL;
}
