/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The automata of http blocks against PCRE2, and against a glob matcher of this test's own.
 *
 *	automaton [--seed N] [--sets N] [--strings N] [--self-test]
 *
 * Each rule set is a policy of random http blocks, read by the language as any
 * other.  Requests are samples of its own patterns, whole or with a few bytes changed, so
 * that many fit and many nearly do, with some bytes percent-encoded.  Compared is the set of lines that
 * match, and by another way, which decodes for itself, what pol_http_judge() says.  --self-test changes single transitions
 * and accepting states and wants most of that noticed.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <getopt.h>
#include <pcre2.h>
#include <stdio.h>

#include "compiler/http/http.h"
#include "lang/resolve.h"

#define LINES_MAX 64
#define BLOCKS_MAX 6

/* ---- chance: splitmix64 -------------------------------------------------------------- */

static uint64_t state;

static uint64_t chance(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned)(chance() % n);
}

/* ---- random expressions, and strings that fit them -------------------------------------- */

struct tree {
	enum { LITERAL, CLASS, SEQUENCE, CHOICE, REPEAT } kind;
	char byte;
	const char *class, *members;
	struct tree *a, *b;
	unsigned min, max; /* max 9: none */
	const char *suffix;
};

static struct pol_arena *arena;

static struct tree *grow(unsigned depth)
{
	static const char bytes[] = "aabbc01/-_.~x@:&=";
	static const char *const classes[][2] = {
		{ "[a-c]", "abc" },       { "[^/]", "a0-" },   { "\\d", "0123" },
		{ "\\w", "ab0_" },        { ".", "ab/0~" },    { "[ab0-3]", "ab02" },
		{ "[[:alpha:]]", "abx" }, { "[^a-z]", "0/-" }, { "\\W", "/-." },
		{ "\\D", "a/." },
	};
	struct tree *t = pol_arena_alloc(arena, sizeof(*t));
	unsigned what = below(depth ? 12 : 5);

	if (what < 4) {
		t->kind = LITERAL;
		t->byte = bytes[below(sizeof(bytes) - 1)];
	} else if (what == 4) {
		unsigned c = below(POL_ARRAY_LEN(classes));

		t->kind = CLASS;
		t->class = classes[c][0];
		t->members = classes[c][1];
	} else if (what < 9) {
		t->kind = SEQUENCE;
		t->a = grow(depth - 1);
		t->b = grow(depth - 1);
	} else if (what == 9) {
		t->kind = CHOICE;
		t->a = grow(depth - 1);
		t->b = grow(depth - 1);
	} else {
		static const struct {
			const char *suffix;
			unsigned min, max;
		} kinds[] = { { "*", 0, 9 },   { "+", 1, 9 },     { "?", 0, 1 },
			      { "{2}", 2, 2 }, { "{1,3}", 1, 3 }, { "{2,}", 2, 9 },
			      { "*?", 0, 9 },  { "{0}", 0, 0 },   { "{0,2}?", 0, 2 } };
		unsigned k = below(POL_ARRAY_LEN(kinds));

		t->kind = REPEAT;
		t->a = grow(depth - 1);
		t->suffix = kinds[k].suffix;
		t->min = kinds[k].min;
		t->max = kinds[k].max;
	}
	return t;
}

static void print(const struct tree *t, struct pol_buf *b)
{
	switch (t->kind) {
	case LITERAL:
		if (strchr(".-", t->byte))
			pol_buf_addc(b, '\\');
		pol_buf_addc(b, t->byte);
		break;
	case CLASS:
		pol_buf_addz(b, t->class);
		break;
	case SEQUENCE:
		print(t->a, b);
		print(t->b, b);
		break;
	case CHOICE:
		pol_buf_addz(b, below(2) ? "(" : "(?:");
		print(t->a, b);
		pol_buf_addc(b, '|');
		print(t->b, b);
		pol_buf_addc(b, ')');
		break;
	case REPEAT:
		pol_buf_addz(b, "(?:");
		print(t->a, b);
		pol_buf_addc(b, ')');
		pol_buf_addz(b, t->suffix);
		break;
	}
}

static void sample(const struct tree *t, struct pol_buf *b)
{
	unsigned n;

	switch (t->kind) {
	case LITERAL:
		pol_buf_addc(b, t->byte);
		break;
	case CLASS:
		pol_buf_addc(b, t->members[below((unsigned)strlen(t->members))]);
		break;
	case SEQUENCE:
		sample(t->a, b);
		sample(t->b, b);
		break;
	case CHOICE:
		sample(below(2) ? t->a : t->b, b);
		break;
	case REPEAT:
		n = t->min + below((t->max == 9 ? t->min + 3 : t->max) - t->min + 1);
		for (unsigned i = 0; i < n && b->n < 200; i++)
			sample(t->a, b);
		break;
	}
}

/* ---- random lines ---------------------------------------------------------------------------- */

struct line {
	bool deny;
	const char *methods[3]; /* none: any */
	const char *host; /* NULL: any */
	struct tree *host_re;
	struct pol_str host_text;
	struct pol_buf glob; /* or */
	struct tree *re;
	struct pol_str re_text;
	bool query; /* tested */
	struct tree *query_re;
	struct pol_str query_text;
	pcre2_code *code, *host_code, *query_code;
};

struct rules {
	struct line line[LINES_MAX];
	unsigned n;
	unsigned block_end[BLOCKS_MAX]; /* lines of block i end here */
	unsigned blocks;
	struct pol_buf text;
};

static const char *const method_names[] = { "GET", "HEAD", "POST", "PUT", "DELETE" };
static const char *const host_names[] = { "a", "b.example", "api.b.example", "10.0.0.1" };
static const char *const segments[] = { "a", "b", "ab", "v1", "x-0", "a.b", "@a", "a:b", "*", "*" };

static pcre2_code *pcre(struct pol_str text)
{
	int code;
	size_t at;
	pcre2_code *c =
		pcre2_compile((PCRE2_SPTR)text.p, text.n,
			      PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL, &code, &at, NULL);

	if (!c) {
		fprintf(stderr, "PCRE2 does not take %.*s\n", POL_STR_ARG(text));
		abort();
	}
	return c;
}

static struct tree *expression(struct pol_str *text, const char *prefix)
{
	struct pol_buf b = { 0 };
	struct tree *t = grow(4);

	pol_buf_addz(&b, prefix);
	print(t, &b);
	*text = pol_arena_str(arena, pol_buf_str(&b));
	pol_buf_free(&b);
	return t;
}

static void random_line(struct line *l)
{
	unsigned n;

	*l = (struct line){ .deny = !below(4) };
	if (below(3))
		for (unsigned i = 0; i < 1 + below(3); i++)
			l->methods[i] = method_names[below(5)];
	switch (below(4)) {
	case 0:
		l->host = host_names[below(4)];
		break;
	case 1:
		l->host_re = expression(&l->host_text, "");
		l->host_code = pcre(l->host_text);
		break;
	}
	if (!below(4)) {
		l->query = true;
		l->query_re = expression(&l->query_text, "");
		l->query_code = pcre(l->query_text);
	}
	if (below(2)) {
		l->re = expression(&l->re_text, "/");
		l->code = pcre(l->re_text);
		return;
	}
	n = below(4);
	for (unsigned i = 0; i < n; i++)
		pol_buf_printf(&l->glob, "/%s", segments[below(POL_ARRAY_LEN(segments))]);
	pol_buf_addz(&l->glob, below(3) ? (n ? "" : "/") : below(3) ? "/**" : "/");
}

static void write_line(struct pol_buf *b, const struct line *l)
{
	pol_buf_addz(b, l->deny ? "deny " : "allow ");
	for (unsigned i = 0; i < 3 && l->methods[i]; i++)
		pol_buf_printf(b, "%s%s", i ? ", " : "", l->methods[i]);
	if (!l->methods[0])
		pol_buf_addc(b, '*');
	pol_buf_printf(b, " %s\"%.*s\"", l->re ? "~" : "",
		       POL_STR_ARG(l->re ? l->re_text : pol_buf_str(&l->glob)));
	if (l->host)
		pol_buf_printf(b, " where host == \"%s\"", l->host);
	if (l->host_re)
		pol_buf_printf(b, " where host ~\"%.*s\"", POL_STR_ARG(l->host_text));
	if (l->query)
		pol_buf_printf(b, " %s query ~\"%.*s\"", l->host || l->host_re ? "and" : "where",
			       POL_STR_ARG(l->query_text));
	pol_buf_addz(b, ";\n");
}

static void random_rules(struct rules *r)
{
	r->blocks = 1 + below(BLOCKS_MAX);
	pol_buf_addz(&r->text, "default deny;\npolicy p on any {\n");
	for (unsigned k = 0; k < r->blocks; k++) {
		pol_buf_printf(&r->text, "allow from any on tcp %u http {\n", 80 + k);
		for (unsigned i = 0; i < below(LINES_MAX / BLOCKS_MAX); i++) {
			random_line(&r->line[r->n]);
			write_line(&r->text, &r->line[r->n++]);
		}
		r->block_end[k] = r->n;
		pol_buf_addz(&r->text, "}\n");
	}
	pol_buf_addz(&r->text, "}\n");
}

static void free_rules(struct rules *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		pcre2_code_free(r->line[i].code);
		pcre2_code_free(r->line[i].host_code);
		pcre2_code_free(r->line[i].query_code);
		pol_buf_free(&r->line[i].glob);
	}
	pol_buf_free(&r->text);
}

/* ---- what the other side says --------------------------------------------------------------------- */

static bool pcre_fits(const pcre2_code *c, struct pol_str s)
{
	static pcre2_match_data *md;

	if (!md)
		md = pcre2_match_data_create(1, NULL);
	return pcre2_match(c, (PCRE2_SPTR)s.p, s.n, 0, 0, md, NULL) >= 0;
}

/* Segment by segment, from the front. */
static bool glob_fits(struct pol_str g, struct pol_str p)
{
	while (g.n && p.n) {
		size_t gn = 1, pn = 1;

		if (pol_str_is(g, "/**"))
			return p.p[0] == '/';
		while (gn < g.n && g.p[gn] != '/')
			gn++;
		while (pn < p.n && p.p[pn] != '/')
			pn++;
		if (p.p[0] != '/' ||
		    (gn == 2 && g.p[1] == '*' ? pn < 2 : gn != pn || memcmp(g.p, p.p, gn) != 0))
			return false;
		g = (struct pol_str){ g.p + gn, g.n - gn };
		p = (struct pol_str){ p.p + pn, p.n - pn };
	}
	return !p.n && (!g.n || pol_str_is(g, "/**"));
}

static bool line_fits(const struct line *l, const struct pol_http_request *r)
{
	bool method = !l->methods[0];

	for (unsigned i = 0; i < 3 && l->methods[i]; i++)
		method |= pol_str_is(r->method, l->methods[i]);
	return method && (!l->host || pol_str_is(r->host, l->host)) &&
	       (!l->host_code || pcre_fits(l->host_code, r->host)) &&
	       (l->code ? pcre_fits(l->code, r->path) : glob_fits(pol_buf_str(&l->glob), r->path));
}

/* What stands behind the question mark; a query that is empty has one. */
static bool query_fits(const struct line *l, struct pol_str q)
{
	return !l->query || (q.n && pcre_fits(l->query_code, (struct pol_str){ q.p + 1, q.n - 1 }));
}

/* ---- the readings of a request ------------------------------------------------------------------------- */

#define DATA "-._~!$'()*,:@/?[]" /* and letters and digits: what a query may have */

/* Each encoded byte once: decoded if it is one of these (and all letters and digits, if asked), else in upper case. */
static struct pol_str decoded(struct pol_str s, const char *which, bool alnum)
{
	char *out = pol_arena_alloc(arena, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char two[3] = "", *end = two;
		unsigned long c = 0;

		if (s.p[i] == '%' && i + 2 < s.n) {
			memcpy(two, s.p + i + 1, 2);
			c = strtoul(two, &end, 16);
		}
		if (end != two + 2) {
			out[n++] = s.p[i];
			continue;
		}
		i += 2;
		if (c && c < 0x80 && (strchr(which, (int)c) || (alnum && isalnum((int)c))))
			out[n++] = (char)c;
		else
			n += (size_t)sprintf(out + n, "%%%02lX", c);
	}
	return (struct pol_str){ out, n };
}

/* Allowed in each reading, denied in none, and not by a query all of which is decoded. */
static bool allowed(const struct rules *r, const struct pol_http_request *q)
{
	const struct pol_str path[] = { q->path, decoded(q->path, "!$&'()*+,:=@", false) };
	const struct pol_str query[] = { q->query, decoded(q->query, DATA, true),
					 decoded(q->query, DATA "&=+;", true) };

	for (unsigned p = 0; p < 2; p++)
		for (unsigned k = 0; k < 3; k++) {
			struct pol_http_request one = *q;
			bool allow = k == 2;

			one.path = path[p];
			for (unsigned i = 0; i < r->n; i++) {
				bool fits = line_fits(&r->line[i], &one) &&
					    query_fits(&r->line[i], query[k]);

				if (fits && r->line[i].deny)
					return false;
				allow |= fits;
			}
			if (!allow)
				return false;
		}
	return true;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

/* Some of these bytes, from there on; NULL: of all. */
static void encode(struct pol_buf *b, size_t from, const char *which)
{
	struct pol_str s = pol_arena_str(arena, pol_buf_str(b));

	b->n = from;
	for (size_t i = from; i < s.n; i++)
		if (below(3) || (which && !strchr(which, s.p[i])))
			pol_buf_addc(b, s.p[i]);
		else
			pol_buf_printf(b, !which && below(2) ? "%%%02x" : "%%%02X",
				       (unsigned)(unsigned char)s.p[i]);
}

static void mutate(struct pol_buf *b, size_t from)
{
	static const char bytes[] = "ab0/-.x~*@:&=";

	for (unsigned n = below(3); n; n--) {
		size_t at = from + below((unsigned)(b->n - from + 1));

		if (at < b->n && below(2))
			b->p[at] = bytes[below(sizeof(bytes) - 1)];
		else if (at < b->n && below(2))
			memmove(b->p + at, b->p + at + 1, b->n-- - at);
		else
			pol_buf_addc(b, bytes[below(sizeof(bytes) - 1)]);
	}
}

static void sample_glob(struct pol_str g, struct pol_buf *b)
{
	for (size_t i = 0; i < g.n; i++)
		if (g.p[i] != '*')
			pol_buf_addc(b, g.p[i]);
		else
			pol_buf_addz(b, segments[below(6)]);
}

static struct pol_str taken(struct pol_buf *b)
{
	struct pol_str s = pol_arena_str(arena, pol_buf_str(b));

	pol_buf_free(b);
	return s;
}

static struct pol_str random_query(const struct line *l)
{
	struct pol_buf b = { 0 };

	if (!below(l->query ? 6 : 2))
		return taken(&b);
	pol_buf_addc(&b, '?');
	if (l->query)
		sample(l->query_re, &b);
	if (below(2))
		mutate(&b, 1);
	if (!below(3))
		encode(&b, 1, NULL);
	return taken(&b);
}

static struct pol_http_request random_request(const struct rules *r)
{
	const struct line *l = &r->line[below(r->n)];
	struct pol_http_request q = { .method = pol_str(method_names[below(5)]) };
	struct pol_buf b = { 0 };

	if (l->methods[0] && below(4))
		q.method = pol_str(l->methods[0]);
	if (l->host_re && below(4))
		sample(l->host_re, &b);
	else
		pol_buf_addz(&b, l->host && below(4) ? l->host : host_names[below(4)]);
	if (!below(6))
		mutate(&b, 0);
	q.host = taken(&b);
	if (l->re) {
		pol_buf_addc(&b, '/');
		sample(l->re, &b);
	} else {
		sample_glob(pol_buf_str(&l->glob), &b);
	}
	if (below(2))
		mutate(&b, 1);
	if (!below(3))
		encode(&b, 1, "!$&'()*+,:=@");
	q.path = taken(&b);
	q.query = random_query(l);
	return q;
}

/* ---- comparing ------------------------------------------------------------------------------------------- */

static unsigned long compared, fitting;

static const __u32 *lines_of(const struct pol_http_view *v, __u32 automaton,
			     const struct pol_http_request *q)
{
	const struct pol_http_automaton *a = &v->automata[automaton];
	const __u32 *accept = (const void *)((const char *)v->image + a->accept_at);
	struct pol_buf b = { 0 };
	__u32 s;

	pol_buf_printf(&b, "%.*s %.*s %.*s", POL_STR_ARG(q->method), POL_STR_ARG(q->host),
		       POL_STR_ARG(q->path));
	s = pol_http_run(v, automaton, a->start, b.p, b.n);
	pol_buf_free(&b);
	return v->sets + accept[s];
}

static bool in_set(const __u32 *set, __u32 line)
{
	for (__u32 i = 1; i <= set[0]; i++)
		if (set[i] == line)
			return true;
	return false;
}

/* The number of a line that is judged differently, or -1. */
static int differs(const struct rules *r, const struct pol_http_view *v,
		   const struct pol_http_request *q)
{
	__u16 all[BLOCKS_MAX];

	for (unsigned k = 0, i = 0; k < r->blocks; k++) {
		const __u32 *set = lines_of(v, v->rules[k].automaton, q);

		all[k] = (__u16)k;
		for (; i < r->block_end[k]; i++) {
			bool fits = line_fits(&r->line[i], q);

			compared++;
			fitting += fits;
			if (fits != in_set(set, i))
				return (int)i;
		}
	}
	return pol_http_judge(v, all, r->blocks, false, q).allow == allowed(r, q) ? -1 : 0;
}

static bool broken; /* a policy of this test was refused */
static unsigned long refused;

static struct pol_str compile(const struct rules *r, struct pol_buf *image)
{
	struct pol_memory_file files[] = { { "r.pol", pol_buf_str(&r->text) },
					   { NULL, { NULL, 0 } } };
	struct pol_fs fs = pol_fs_memory(files);
	uint32_t cap =
		below(3) ? 60000 : 200; /* the small one: groups are cut, some rules refused */
	POL_VEC(struct pol_http_source) source = { 0 };
	struct pol_program *p;
	struct pol_diags d;

	pol_diags_init(&d, arena);
	p = pol_load("r.pol", &fs, arena, &d);
	for (size_t i = 0; i < p->decls.n; i++)
		if (p->decls.v[i]->kind == POL_DECL_POLICY)
			for (const struct pol_ast_rule *a = p->decls.v[i]->policy.rules.first; a;
			     a = a->next) {
				struct pol_http_source s = { .rule = (uint32_t)source.n,
							     .group = below(2),
							     .block = a->http };

				*pol_vec_push(&source) = s;
			}
	if (d.n_errors || pol_http_compile(source.v, source.n, p->sources, &d, cap, image, NULL))
		image->n = 0;
	if (d.n_errors && (cap > 200 || d.all.v[0]->code != POL_P0515)) {
		struct pol_render how = { .json = false };
		struct pol_buf text = { 0 };

		pol_diags_render(&text, &d, p->sources, &how);
		fprintf(stderr, "%s\n%s", r->text.p, text.p ? text.p : "");
		pol_buf_free(&text);
		broken = true;
	}
	pol_vec_free(&source);
	pol_diags_free(&d);
	pol_program_free(p);
	return pol_buf_str(image);
}

static bool one_set(unsigned long strings)
{
	struct rules r = { .n = 0 };
	struct pol_buf image = { 0 };
	struct pol_http_view v;
	struct pol_err e = { 0 };
	struct pol_str bytes;
	bool ok = true;

	while (!r.n) {
		free_rules(&r);
		r = (struct rules){ .n = 0 };
		random_rules(&r);
	}
	bytes = compile(&r, &image);
	if (!bytes.n || pol_http_open(&v, bytes.p, bytes.n, &e)) {
		if (bytes.n)
			printf("%s\n%s\n", e.text, r.text.p);
		refused++;
		ok = !bytes.n && !broken; /* more than the cap of 200 states */
		strings = 0;
	}
	for (unsigned long i = 0; i < strings && ok; i++) {
		struct pol_http_request q = random_request(&r);
		int line = differs(&r, &v, &q);

		ok = line < 0;
		if (!ok)
			printf("%sline %d differs on %.*s %.*s %.*s%.*s\n", r.text.p, line,
			       POL_STR_ARG(q.method), POL_STR_ARG(q.host), POL_STR_ARG(q.path),
			       POL_STR_ARG(q.query));
	}
	free_rules(&r);
	pol_buf_free(&image);
	return ok;
}

/* One wrong transition or accepting state in each of `sets` images; how many are noticed. */
static unsigned long falsified(unsigned long sets, unsigned long strings)
{
	unsigned long noticed = 0;

	for (unsigned long n = 0; n < sets; n++) {
		struct rules r = { .n = 0 };
		struct pol_buf image = { 0 };
		struct pol_http_view v;
		struct pol_err e = { 0 };
		bool found = false;

		arena = pol_arena_new();
		while (!r.n || !compile(&r, &image).n) {
			free_rules(&r);
			r = (struct rules){ .n = 0 };
			random_rules(&r);
		}
		if (!pol_http_open(&v, image.p, image.n, &e)) {
			const struct pol_http_automaton *a = &v.automata[v.rules[0].automaton];
			uint16_t *next = (void *)(image.p + a->next_at);

			for (uint32_t k = a->start * a->classes, i = 0; i < a->classes; i++)
				next[k + i] = 0; /* nothing begins any more */
		}
		for (unsigned long i = 0; i < strings && !found; i++) {
			struct pol_http_request q = random_request(&r);

			found = differs(&r, &v, &q) >= 0;
		}
		noticed += found;
		free_rules(&r);
		pol_buf_free(&image);
		pol_arena_free(arena);
	}
	return noticed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", 1, NULL, 's' },
						 { "sets", 1, NULL, 'n' },
						 { "strings", 1, NULL, 'm' },
						 { "self-test", 0, NULL, 't' },
						 { NULL, 0, NULL, 0 } };
	unsigned long seed = 1, sets = 1000, strings = 1000, bad = 0;
	bool self_test = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == '?')
			return 2;
		self_test |= o == 't';
		if (o != 't')
			*(o == 's'   ? &seed
			  : o == 'n' ? &sets
				     : &strings) = strtoul(optarg, NULL, 10);
	}
	state = seed;
	if (self_test) {
		unsigned long noticed = falsified(sets, strings);

		printf("%lu of %lu falsified images noticed\n", noticed, sets);
		return noticed * 10 >= sets * 9 ? 0 : 1;
	}
	for (unsigned long i = 0; i < sets && !bad; i++) {
		arena = pol_arena_new();
		bad += !one_set(strings);
		pol_arena_free(arena);
	}
	printf("seed %lu: %lu rule sets, %lu refused as too large, %lu lines asked, %lu fitting, %s\n",
	       seed, sets, refused, compared, fitting, bad ? "a difference" : "no difference");
	return bad || refused * 10 > sets ? 1 : 0;
}
