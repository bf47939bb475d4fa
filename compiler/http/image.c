/* SPDX-License-Identifier: GPL-2.0-only */
/* From rules to groups, automata, and the bytes of polc/http.h. */
#include "compiler/http/automaton.h"

#include <ctype.h>
#include <errno.h>

struct writing {
	const struct pol_http_source *source;
	size_t n;
	const struct pol_sources *sources;
	struct pol_diags *d;
	uint32_t max;
	struct pol_http_stats *stats;
	bool failed;

	POL_VEC(struct pol_http_rule) rules;
	POL_VEC(struct pol_http_line_info) lines;
	POL_VEC(const struct pol_http_line *) ast; /* by line */
	POL_VEC(struct pol_http_test) tests;
	POL_VEC(struct pol_http_automaton) automata;
	POL_VEC(uint32_t) sets;
	struct pol_buf tables; /* class, next, accept of all automata */
	struct pol_buf text;
	uint32_t *slot; /* hash table over text: offset of a string plus 1 */
	size_t nslots, nstrings;
};

/* ---- strings: offsets within their part until all is laid out ---------------------------- */

static uint32_t *string_slot(struct writing *w, struct pol_str s)
{
	size_t i = pol_hash(s.p, s.n, 0) & (w->nslots - 1);
	uint32_t have;

	for (; w->slot[i]; i = (i + 1) & (w->nslots - 1)) {
		memcpy(&have, w->text.p + w->slot[i] - 1, 4);
		if (pol_str_eq(s, (struct pol_str){ w->text.p + w->slot[i] + 3, have }))
			break;
	}
	return &w->slot[i];
}

static void more_slots(struct writing *w)
{
	uint32_t *old = w->slot, have;
	size_t nold = w->nslots, cap = 0;

	w->nslots = nold ? nold * 2 : 256;
	w->slot = NULL;
	pol_vec_grow((void **)&w->slot, &cap, w->nslots, sizeof(*w->slot));
	for (size_t i = 0; i < nold; i++)
		if (old[i]) {
			memcpy(&have, w->text.p + old[i] - 1, 4);
			*string_slot(w, (struct pol_str){ w->text.p + old[i] + 3, have }) = old[i];
		}
	free(old);
}

static uint32_t string(struct writing *w, struct pol_str s)
{
	uint32_t n = (uint32_t)s.n, *slot;

	if (w->nstrings * 2 >= w->nslots)
		more_slots(w);
	slot = string_slot(w, s);
	if (*slot)
		return *slot - 1;
	w->nstrings++;
	*slot = (uint32_t)w->text.n + 1;
	pol_buf_add(&w->text, (struct pol_str){ (const char *)&n, 4 });
	pol_buf_add(&w->text, s);
	do
		pol_buf_addc(&w->text, '\0');
	while (w->text.n % 4);
	return *slot - 1;
}

static uint32_t folded(struct writing *w, struct pol_str s)
{
	struct pol_buf b = { 0 };
	uint32_t at;

	for (size_t i = 0; i < s.n; i++) {
		bool space = isspace((unsigned char)s.p[i]);

		if (!space)
			pol_buf_addc(&b, s.p[i]);
		else if (b.n && b.p[b.n - 1] != ' ')
			pol_buf_addc(&b, ' ');
	}
	at = string(w, pol_buf_str(&b));
	pol_buf_free(&b);
	return at;
}

static uint32_t lower(struct writing *w, struct pol_str s)
{
	struct pol_buf b = { 0 };
	uint32_t at;

	for (size_t i = 0; i < s.n; i++)
		pol_buf_addc(&b, (char)tolower((unsigned char)s.p[i]));
	at = string(w, pol_buf_str(&b));
	pol_buf_free(&b);
	return at;
}

/* ---- automata ------------------------------------------------------------------------------- */

static uint32_t put(struct pol_buf *b, const void *p, size_t n)
{
	uint32_t at = (uint32_t)b->n;

	pol_buf_add(b, (struct pol_str){ p, n });
	while (b->n % 4)
		pol_buf_addc(b, '\0');
	return at;
}

/* Its place in w->automata. */
static uint32_t put_automaton(struct writing *w, const struct pol_dfa *d)
{
	size_t cells = (size_t)d->states * d->classes, base = w->sets.n;
	struct pol_http_automaton *a = pol_vec_push(&w->automata);
	POL_VEC(uint16_t) next = { 0 };
	POL_VEC(uint32_t) accept = { 0 };

	for (size_t i = 1; i < d->marks.n; i++)
		*pol_vec_push(&w->sets) = d->marks.v[i];
	for (size_t i = 0; i < cells; i++)
		*pol_vec_push(&next) = (uint16_t)d->next[i];
	for (uint32_t i = 0; i < d->states; i++)
		*pol_vec_push(&accept) = d->accept[i] ? (uint32_t)(base + d->accept[i] - 1) : 0;
	a->states = d->states;
	a->classes = d->classes;
	a->start = d->start;
	a->class_at = put(&w->tables, d->class, sizeof(d->class));
	a->next_at = put(&w->tables, next.v, cells * sizeof(*next.v));
	a->accept_at = put(&w->tables, accept.v, accept.n * sizeof(*accept.v));
	pol_vec_free(&next);
	pol_vec_free(&accept);
	w->stats->automata++;
	w->stats->states += d->states;
	if (d->states > w->stats->largest)
		w->stats->largest = d->states;
	return (uint32_t)w->automata.n - 1;
}

/* 0 or -E2BIG. What is made on the way may be twice as large as what comes out. */
static int smallest(struct pol_dfa *d, const struct pol_nfa *n, uint32_t max)
{
	int ret = pol_dfa_of(d, n, 2 * max);

	if (ret)
		return ret;
	pol_dfa_minimise(d);
	if (d->states <= max)
		return 0;
	pol_dfa_free(d);
	return -E2BIG;
}

/* The lines of these rules in one automaton. */
static int together(struct writing *w, const uint32_t *rule, size_t n, struct pol_dfa *d)
{
	struct pol_nfa nfa = { .full = false };
	int ret;

	for (size_t i = 0; i < n; i++) {
		const struct pol_http_rule *r = &w->rules.v[rule[i]];

		for (uint32_t l = r->line; l < r->line + r->nlines; l++)
			pol_nfa_line(&nfa, w->ast.v[l], l);
	}
	ret = smallest(d, &nfa, w->max);
	pol_nfa_free(&nfa);
	return ret;
}

/* States of one line by itself, max + 1 if they are more than that. */
static uint32_t size_of_line(struct writing *w, uint32_t line)
{
	struct pol_nfa nfa = { .full = false };
	struct pol_dfa d;
	uint32_t size = w->max + 1;

	pol_nfa_line(&nfa, w->ast.v[line], line);
	if (!smallest(&d, &nfa, w->max)) {
		size = d.states;
		pol_dfa_free(&d);
	}
	pol_nfa_free(&nfa);
	return size;
}

/* The lines that multiply are those that are large alone: names the three largest. */
static void too_large(struct writing *w, const struct pol_http_rule *r)
{
	struct pol_diag *g =
		pol_diag(w->d, POL_P0515, w->source[r - w->rules.v].block->span,
			 "the automaton of this block has more than %u states", w->max);
	uint32_t said[3] = { POL_HTTP_NO_LINE, POL_HTTP_NO_LINE, POL_HTTP_NO_LINE };

	w->failed = true;
	for (size_t k = 0; k < POL_ARRAY_LEN(said) && k < r->nlines; k++) {
		uint32_t largest = 0;

		for (uint32_t l = r->line; l < r->line + r->nlines; l++) {
			uint32_t size = size_of_line(w, l);

			if (size > largest && l != said[0] && l != said[1]) {
				largest = size;
				said[k] = l;
			}
		}
		pol_diag_also(w->d, g, w->ast.v[said[k]]->path.span,
			      largest > w->max ? "more than %u states by itself"
					       : "%u states by itself",
			      largest > w->max ? w->max : largest);
	}
	pol_diag_help(w->d, g,
		      "patterns with several `.*` multiply: write what stands between "
		      "them, or put them into rules of their own");
}

static void group_automata(struct writing *w, const uint32_t *rule, size_t n)
{
	struct pol_dfa d;
	uint32_t no;

	if (together(w, rule, n, &d) == 0) {
		no = put_automaton(w, &d);
		for (size_t i = 0; i < n; i++)
			w->rules.v[rule[i]].automaton = no;
		pol_dfa_free(&d);
	} else if (n == 1) {
		too_large(w, &w->rules.v[rule[0]]);
	} else {
		w->stats->split++;
		group_automata(w, rule, n / 2);
		group_automata(w, rule + n / 2, n - n / 2);
	}
}

struct member {
	uint32_t group, rule;
};

static int by_group(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (x->rule > y->rule) - (x->rule < y->rule);
}

static void all_automata(struct writing *w)
{
	POL_VEC(struct member) all = { 0 };
	POL_VEC(uint32_t) rule = { 0 };

	for (size_t i = 0; i < w->n; i++)
		*pol_vec_push(&all) = (struct member){ w->source[i].group, (uint32_t)i };
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_group);
	for (size_t i = 0; i < all.n; i++) {
		*pol_vec_push(&rule) = all.v[i].rule;
		if (i + 1 == all.n || all.v[i + 1].group != all.v[i].group) {
			group_automata(w, rule.v, rule.n);
			rule.n = 0;
		}
	}
	pol_vec_free(&all);
	pol_vec_free(&rule);
}

/* One that is too large is said where its automaton is made. */
static void check_reading(struct writing *w, const struct pol_string *re, enum pol_http_reading how)
{
	struct pol_nfa nfa = { .full = false };
	struct pol_dfa d;
	struct pol_diag *g;

	if (!re->text.n || !memchr(re->text.p, '%', re->text.n))
		return;
	pol_nfa_value(&nfa, re->text, 0);
	if (!smallest(&d, &nfa, w->max)) {
		if (!pol_dfa_accepts_read(&d, how)) {
			g = pol_diag(w->d, POL_P0335, re->span,
				     "this matches only spellings that are decoded");
			pol_diag_help(w->d, g,
				      "requests are judged decoded, too: name both spellings, "
				      "as in (@|%%40), with digits in upper case");
			w->failed = true;
		}
		pol_dfa_free(&d);
	}
	pol_nfa_free(&nfa);
}

/* ---- lines ------------------------------------------------------------------------------------- */

static uint32_t value_automaton(struct writing *w, const struct pol_cond *c, struct pol_str value,
				uint32_t line)
{
	struct pol_nfa nfa = { .full = false };
	struct pol_dfa d;
	uint32_t no = 0;

	pol_nfa_value(&nfa, value, line);
	if (!smallest(&d, &nfa, w->max)) {
		no = put_automaton(w, &d);
		pol_dfa_free(&d);
	} else {
		pol_diag(w->d, POL_P0515, c->value.span,
			 "the automaton of this expression has more than %u states", w->max);
		w->failed = true;
	}
	pol_nfa_free(&nfa);
	return no;
}

/* The query counts from its question mark on, so that none at all is the empty text (polc/http.h). */
static struct pol_str with_mark(struct writing *w, const struct pol_cond *c)
{
	if (!c->query || c->test == POL_COND_ABSENT)
		return c->value.text;
	return pol_arena_printf(w->d->arena, c->test == POL_COND_MATCH ? "\\?(%.*s)" : "?%.*s",
				POL_STR_ARG(c->value.text));
}

static void add_test(struct writing *w, const struct pol_cond *c, uint32_t line)
{
	struct pol_http_test t = { .name = c->query ? string(w, POL_STR(POL_HTTP_QUERY))
						    : lower(w, c->header.text) };

	switch (c->test) {
	case POL_COND_PRESENT:
		t.kind = POL_HTTP_PRESENT;
		break;
	case POL_COND_EQ:
	case POL_COND_ABSENT:
		t.kind = POL_HTTP_EQUAL;
		t.value = string(w, with_mark(w, c));
		break;
	case POL_COND_MATCH:
		if (c->query)
			check_reading(w, &c->value, POL_HTTP_READ_FIELDS);
		t.kind = POL_HTTP_MATCH;
		t.value = value_automaton(w, c, with_mark(w, c), line);
		break;
	}
	*pol_vec_push(&w->tests) = t;
}

static void add_line(struct writing *w, const struct pol_http_line *l, uint32_t http_rule)
{
	struct pol_source *src = pol_source_of(w->sources, l->span);
	uint32_t no = (uint32_t)w->lines.n;
	struct pol_http_line_info info = {
		.http_rule = http_rule,
		.flags = (l->action == POL_AST_DENY ? POL_HTTP_DENY : 0) |
			 (l->websocket ? POL_HTTP_WEBSOCKET : 0),
		.test = (uint32_t)w->tests.n,
		.file = string(w, src ? src->name : POL_STR("")),
		.line = src ? pol_source_place(src, l->span.start).line : 0,
		.source = folded(w, pol_source_text(w->sources, l->span)),
	};

	if (l->regex)
		check_reading(w, &l->path, POL_HTTP_READ_PATH);
	for (const struct pol_cond *c = l->where.first; c; c = c->next)
		if (!c->host)
			add_test(w, c, no);
	info.ntests = (uint32_t)w->tests.n - info.test;
	*pol_vec_push(&w->lines) = info;
	*pol_vec_push(&w->ast) = l;
}

static void all_lines(struct writing *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct pol_http_rule r = { .rule = w->source[i].rule,
					   .line = (uint32_t)w->lines.n };

		for (const struct pol_http_line *l = w->source[i].block->lines.first; l;
		     l = l->next)
			add_line(w, l, (uint32_t)i);
		r.nlines = (uint32_t)w->lines.n - r.line;
		*pol_vec_push(&w->rules) = r;
	}
}

/* ---- the layout ------------------------------------------------------------------------------------ */

static void move_strings(struct writing *w, uint32_t by)
{
	for (size_t i = 0; i < w->lines.n; i++) {
		w->lines.v[i].file += by;
		w->lines.v[i].source += by;
	}
	for (size_t i = 0; i < w->tests.n; i++) {
		w->tests.v[i].name += by;
		if (w->tests.v[i].kind == POL_HTTP_EQUAL)
			w->tests.v[i].value += by;
	}
}

static void move_tables(struct writing *w, uint32_t by)
{
	for (size_t i = 0; i < w->automata.n; i++) {
		w->automata.v[i].class_at += by;
		w->automata.v[i].next_at += by;
		w->automata.v[i].accept_at += by;
	}
}

static struct pol_http_array place(uint32_t *end, size_t n, size_t size)
{
	struct pol_http_array a = { *end, (uint32_t)n };

	*end += (uint32_t)(n * size);
	return a;
}

#define PLACE(part, end) place(end, (part).n, sizeof(*(part).v))
#define BYTES(part) ((struct pol_str){ (const char *)(part).v, (part).n * sizeof(*(part).v) })

static void lay_out(struct writing *w, struct pol_buf *out)
{
	struct pol_http_image h = { .magic = POL_HTTP_MAGIC, .version = POL_HTTP_VERSION };
	uint32_t end = sizeof(h);

	h.rules = PLACE(w->rules, &end);
	h.lines = PLACE(w->lines, &end);
	h.tests = PLACE(w->tests, &end);
	h.automata = PLACE(w->automata, &end);
	h.sets = PLACE(w->sets, &end);
	move_tables(w, end);
	end += (uint32_t)w->tables.n;
	h.text = (struct pol_http_array){ end, (uint32_t)w->text.n };
	move_strings(w, end);
	h.size = end + (uint32_t)w->text.n;
	pol_buf_add(out, (struct pol_str){ (const char *)&h, sizeof(h) });
	pol_buf_add(out, BYTES(w->rules));
	pol_buf_add(out, BYTES(w->lines));
	pol_buf_add(out, BYTES(w->tests));
	pol_buf_add(out, BYTES(w->automata));
	pol_buf_add(out, BYTES(w->sets));
	pol_buf_add(out, pol_buf_str(&w->tables));
	pol_buf_add(out, pol_buf_str(&w->text));
}

int pol_http_compile(const struct pol_http_source *source, size_t n,
		     const struct pol_sources *sources, struct pol_diags *d, uint32_t max_states,
		     struct pol_buf *out, struct pol_http_stats *stats)
{
	struct pol_http_stats own;
	struct writing w = { .source = source,
			     .n = n,
			     .sources = sources,
			     .d = d,
			     .max = max_states < POL_HTTP_STATES_MAX ? max_states
								     : POL_HTTP_STATES_MAX,
			     .stats = stats ? stats : &own };

	*w.stats = (struct pol_http_stats){ 0 };
	*pol_vec_push(&w.sets) = 0;
	all_lines(&w);
	all_automata(&w);
	if (!w.failed)
		lay_out(&w, out);
	pol_vec_free(&w.rules);
	pol_vec_free(&w.lines);
	pol_vec_free(&w.ast);
	pol_vec_free(&w.tests);
	pol_vec_free(&w.automata);
	pol_vec_free(&w.sets);
	pol_buf_free(&w.tables);
	pol_buf_free(&w.text);
	free(w.slot);
	return w.failed ? -EINVAL : 0;
}
