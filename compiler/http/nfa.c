/* SPDX-License-Identifier: GPL-2.0-only */
/* Patterns to one nondeterministic automaton; built from the end to the beginning. */
#include "compiler/http/automaton.h"

#define NOWHERE UINT32_MAX

void pol_nfa_free(struct pol_nfa *n)
{
	pol_vec_free(&n->state);
	pol_vec_free(&n->sets);
	pol_vec_free(&n->start);
}

static uint32_t add(struct pol_nfa *n, struct pol_nfa_state s)
{
	if (n->state.n >= POL_NFA_STATES_MAX) {
		n->full = true;
		return 0;
	}
	*pol_vec_push(&n->state) = s;
	return (uint32_t)n->state.n - 1;
}

static uint32_t set_number(struct pol_nfa *n, const struct pol_byteset *s)
{
	for (size_t i = 0; i < n->sets.n; i++)
		if (memcmp(&n->sets.v[i], s, sizeof(*s)) == 0)
			return (uint32_t)i;
	*pol_vec_push(&n->sets) = *s;
	return (uint32_t)n->sets.n - 1;
}

static uint32_t bytes(struct pol_nfa *n, const struct pol_byteset *s, uint32_t to)
{
	return add(n, (struct pol_nfa_state){
			      .kind = POL_NFA_BYTES, .to = { to, to }, .set = set_number(n, s) });
}

static uint32_t either(struct pol_nfa *n, uint32_t a, uint32_t b)
{
	return a == b ? a : add(n, (struct pol_nfa_state){ .kind = POL_NFA_SPLIT, .to = { a, b } });
}

static uint32_t literal(struct pol_nfa *n, struct pol_str s, uint32_t to)
{
	for (size_t i = s.n; i-- > 0;) {
		struct pol_byteset one = { { 0 } };

		pol_byteset_add(&one, (unsigned char)s.p[i]);
		to = bytes(n, &one, to);
	}
	return to;
}

/* As often as one likes, none included. */
static uint32_t star(struct pol_nfa *n, const struct pol_byteset *s, uint32_t to)
{
	uint32_t loop = add(n, (struct pol_nfa_state){ .kind = POL_NFA_SPLIT, .to = { to, to } });
	uint32_t once = bytes(n, s, loop); /* may move the vector */

	if (!n->full)
		n->state.v[loop].to[0] = once;
	return loop;
}

/* Every byte but what parts method, host and path, and controls. */
static struct pol_byteset visible(void)
{
	struct pol_byteset s = { { 0 } };

	pol_byteset_range(&s, 0x21, 0xff);
	return s;
}

/* ---- regular expressions ------------------------------------------------------------------- */

struct walk {
	struct pol_nfa *n;
	struct pol_byteset within; /* no expression matches a byte outside */
};

static uint32_t expression(struct walk *w, const struct pol_re *e, uint32_t to);

static uint32_t repeat(struct walk *w, const struct pol_re *e, uint32_t to)
{
	uint32_t loop;

	if (e->max == UINT32_MAX) {
		loop = add(w->n, (struct pol_nfa_state){ .kind = POL_NFA_SPLIT, .to = { to, to } });
		if (w->n->full)
			return 0;
		/* by way of a local: the vector may move */
		to = expression(w, e->a, loop);
		w->n->state.v[loop].to[0] = to;
		to = loop;
	} else {
		uint32_t end = to;

		for (uint32_t i = e->min; i < e->max && !w->n->full; i++)
			to = either(w->n, expression(w, e->a, to), end);
	}
	for (uint32_t i = 0; i < e->min && !w->n->full; i++)
		to = expression(w, e->a, to);
	return to;
}

static uint32_t expression(struct walk *w, const struct pol_re *e, uint32_t to)
{
	struct pol_byteset s;

	/* sequences and alternatives hang on their left side: long ones take no stack */
	for (; e->kind == POL_RE_CAT && !w->n->full; e = e->a)
		to = expression(w, e->b, to);
	switch (e->kind) {
	case POL_RE_EMPTY:
		return to;
	case POL_RE_BYTES:
		for (int i = 0; i < 4; i++)
			s.w[i] = e->set.w[i] & w->within.w[i];
		return bytes(w->n, &s, to);
	case POL_RE_ALT: {
		uint32_t all = NOWHERE, one;

		for (; e->kind == POL_RE_ALT && !w->n->full; e = e->a) {
			one = expression(w, e->b, to);
			all = all == NOWHERE ? one : either(w->n, all, one);
		}
		one = expression(w, e, to);
		return either(w->n, all == NOWHERE ? one : all, one);
	}
	case POL_RE_REPEAT:
		return repeat(w, e, to);
	case POL_RE_CAT:
		break;
	}
	return to;
}

/* The language's check has refused what cannot be read; such a one would match nothing here. */
static uint32_t regex(struct pol_nfa *n, struct pol_str text, struct pol_byteset within,
		      uint32_t to)
{
	struct walk w = { n, within };
	struct pol_byteset none = { { 0 } };
	struct pol_arena *a = pol_arena_new();
	struct pol_regex_fault fault;
	const struct pol_re *e = pol_regex_parse(a, text, &fault);
	uint32_t from = e ? expression(&w, e, to) : bytes(n, &none, to);

	pol_arena_free(a);
	return from;
}

/* ---- the parts of a line --------------------------------------------------------------------- */

/* `*` is one segment, which has at least one byte; a final `/` and `**`: nothing, or a slash and all below. */
static uint32_t pattern(struct pol_nfa *n, struct pol_str p, uint32_t to)
{
	struct pol_byteset any = visible(), segment = any, slash = { { 0 } };

	pol_byteset_add(&slash, '/');
	for (int i = 0; i < 4; i++)
		segment.w[i] &= ~slash.w[i];
	if (p.n >= 3 && memcmp(p.p + p.n - 3, "/**", 3) == 0) {
		to = either(n, bytes(n, &slash, star(n, &any, to)), to);
		p.n -= 3;
	}
	while (p.n) {
		size_t from = p.n;

		while (from && p.p[from - 1] != '/')
			from--;
		if (p.n - from == 1 && p.p[from] == '*')
			to = bytes(n, &segment, star(n, &segment, to));
		else
			to = literal(n, (struct pol_str){ p.p + from, p.n - from }, to);
		if (from)
			to = bytes(n, &slash, to);
		p.n = from ? from - 1 : 0;
	}
	return to;
}

/* The language allows one test of the host a line. */
static uint32_t host(struct pol_nfa *n, const struct pol_http_line *l, uint32_t to)
{
	struct pol_byteset any = visible();

	for (const struct pol_cond *c = l->where.first; c; c = c->next) {
		if (!c->host)
			continue;
		if (c->test == POL_COND_MATCH)
			return regex(n, c->value.text, any, to);
		return literal(n, c->value.text, to);
	}
	return star(n, &any, to);
}

static uint32_t methods(struct pol_nfa *n, const struct pol_http_line *l, uint32_t to)
{
	struct pol_byteset any = visible();
	uint32_t all = NOWHERE;

	for (const struct pol_method *m = l->methods.first; m; m = m->next) {
		uint32_t one = literal(n, m->name.text, to);

		all = all == NOWHERE ? one : either(n, all, one);
	}
	return all == NOWHERE ? star(n, &any, to) : all;
}

static uint32_t accept(struct pol_nfa *n, uint32_t mark)
{
	return add(n, (struct pol_nfa_state){ .kind = POL_NFA_ACCEPT, .mark = mark });
}

void pol_nfa_line(struct pol_nfa *n, const struct pol_http_line *l, uint32_t mark)
{
	uint32_t to = accept(n, mark);

	to = l->regex ? regex(n, l->path.text, visible(), to) : pattern(n, l->path.text, to);
	to = host(n, l, literal(n, POL_STR(" "), to));
	to = methods(n, l, literal(n, POL_STR(" "), to));
	*pol_vec_push(&n->start) = to;
}

void pol_nfa_value(struct pol_nfa *n, struct pol_str text, uint32_t mark)
{
	struct pol_byteset every = { { ~0ull, ~0ull, ~0ull, ~0ull } };

	*pol_vec_push(&n->start) = regex(n, text, every, accept(n, mark));
}
