/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of http blocks that decide nothing.  All lines of rules that may meet on a flow are one
 * automaton; minimised, every state but the dead one is reached by some request line, so what a line
 * does is seen in the sets of its states.  Lines of another block count where that block's rule
 * matches every flow that the line's own rule matches.
 */
#include <stdlib.h>

#include "compiler/analysis/chain.h"
#include "compiler/analysis/lint.h"

#define STEPS 20000u /* boxes, for all pairs of rules; beyond, blocks are taken for apart */
#define PAIRS 1024u /* blocks of which pairs are remembered */

enum covers { COVERS_UNKNOWN, COVERS_NOT, COVERS };

struct linting {
	const struct pol_ir *ir;
	const struct pol_space *s;
	struct pol_diags *diags;
	uint8_t *covers; /* enum covers, by two numbers of blocks; NULL: too many */
	unsigned steps;
};

/* ---- which blocks hold wherever another does ------------------------------------------- */

/* In the box: does y match all that x matches? */
static bool holds_beside(struct linting *l, const struct pol_rule *x, const struct pol_rule *y,
			 const struct pol_box *b)
{
	enum pol_answer ax = pol_space_rule(l->s, 0, x, b), ay;
	bool both = true;

	if (ax == POL_NO)
		return true;
	ay = pol_space_rule(l->s, 0, y, b);
	if (ay == POL_YES)
		return true;
	if ((ax == POL_YES && ay == POL_NO) || !l->steps)
		return false;
	l->steps--;
	struct pol_cut cut = pol_cut_rule(l->s, 0, ax == POL_YES ? y : x, b);

	for (unsigned i = 0; i < 2 && both; i++) {
		struct pol_box part = pol_box_part(l->s, b, &cut, i);

		both = holds_beside(l, x, y, &part);
		pol_box_drop(&part, &cut);
	}
	return both;
}

static bool covers_now(struct linting *l, const struct pol_rule *x, const struct pol_rule *y)
{
	bool all = x->direction == y->direction && x->stage == y->stage && !y->audit;

	for (unsigned i = 0; i < POL_ROOTS && all; i++)
		if (pol_root_judges(i, x->direction)) {
			struct pol_box b = pol_root_box(l->s, i);

			all = holds_beside(l, x, y, &b);
		}
	return all && l->steps;
}

/* Numbers of blocks: wherever x holds, y does. */
static bool covers(struct linting *l, uint32_t x, uint32_t y)
{
	uint8_t *known = l->covers ? &l->covers[x * l->ir->https.n + y] : NULL;
	bool is;

	if (x == y)
		return true;
	if (!known)
		return false;
	if (*known != COVERS_UNKNOWN)
		return *known == COVERS;
	is = covers_now(l, &l->ir->rules.v[l->ir->https.v[x].rule],
			&l->ir->rules.v[l->ir->https.v[y].rule]);
	*known = is ? COVERS : COVERS_NOT;
	return is;
}

/* ---- what a line does --------------------------------------------------------------------- */

/* What stands in a state's set beside the line in question. */
struct beside {
	bool seen; /* the line matches in some state */
	bool needed; /* ... where nothing takes its place */
	bool denied; /* somewhere a deny does */
	uint32_t other; /* a line of another block that takes it somewhere, or POL_HTTP_NO_LINE */
};

/* Would the line be missed for the other?  Of two that are equal the second is too much. */
static bool takes_place(struct linting *l, uint32_t line, uint32_t other)
{
	const struct pol_http_line_info *x = &l->ir->http.lines[line],
					*o = &l->ir->http.lines[other];
	bool deny = o->flags & POL_HTTP_DENY;

	if (other == line || o->ntests || !covers(l, x->http_rule, o->http_rule))
		return false;
	if (deny && !(x->flags & POL_HTTP_DENY))
		return true;
	if (deny != !!(x->flags & POL_HTTP_DENY))
		return false;
	return other < line || (!deny && x->ntests) || !covers(l, o->http_rule, x->http_rule);
}

static void look_at_set(struct linting *l, const uint32_t *set, uint32_t line, struct beside *b)
{
	const struct pol_http_line_info *x = &l->ir->http.lines[line];
	bool in = false, deny = false, allow = false;

	for (uint32_t k = 1; k <= set[0]; k++)
		in |= set[k] == line;
	for (uint32_t k = 1; k <= set[0] && in; k++) {
		const struct pol_http_line_info *o = &l->ir->http.lines[set[k]];

		if (!takes_place(l, line, set[k]))
			continue;
		deny |= o->flags & POL_HTTP_DENY;
		allow |= !(o->flags & POL_HTTP_DENY);
		if (o->http_rule != x->http_rule && b->other == POL_HTTP_NO_LINE)
			b->other = set[k];
	}
	if (!in)
		return;
	b->seen = true;
	b->denied |= deny;
	b->needed |= !deny && (!allow || x->flags & (POL_HTTP_DENY | POL_HTTP_WEBSOCKET));
}

static const struct pol_http_line *line_of(const struct linting *l, uint32_t line)
{
	uint32_t block = l->ir->http.lines[line].http_rule;
	const struct pol_http_line *ast = l->ir->https.v[block].block->lines.first;

	for (uint32_t k = l->ir->http.rules[block].line; k < line; k++)
		ast = ast->next;
	return ast;
}

static void report(struct linting *l, uint32_t line, const struct beside *b)
{
	struct pol_diag *g = pol_diag(l->diags, POL_P0619, line_of(l, line)->span,
				      "this line decides no request");
	bool other = b->other != POL_HTTP_NO_LINE;

	pol_diag_label(l->diags, g,
		       !b->seen ? "it matches none"
		       : b->denied && other
			       ? "`deny` lines of blocks that hold with it take all that it matches"
		       : b->denied ? "`deny` lines of the block take all that it matches"
		       : other ? "other `allow` lines of blocks that hold with it have all of it"
			       : "other `allow` lines of the block have all of it");
	if (other)
		pol_diag_also(l->diags, g, line_of(l, b->other)->span, "such as this");
}

void pol_lint_http(const struct pol_ir *ir, const struct pol_space *s, struct pol_diags *diags)
{
	struct linting l = { .ir = ir, .s = s, .diags = diags, .steps = STEPS };
	const struct pol_http_view *v = &ir->http;
	size_t n = ir->https.n;

	l.covers = n && n <= PAIRS ? calloc(n, n) : NULL;
	for (size_t i = 0; i < n; i++) {
		const struct pol_http_rule *h = &v->rules[i];
		const struct pol_http_automaton *m = &v->automata[h->automaton];
		const uint32_t *accept = (const void *)((const char *)v->image + m->accept_at);

		for (uint32_t k = 0; k < h->nlines; k++) {
			struct beside b = { .other = POL_HTTP_NO_LINE };

			for (uint32_t state = 0; state < m->states; state++)
				look_at_set(&l, &v->sets[accept[state]], h->line + k, &b);
			if (!b.needed)
				report(&l, h->line + k, &b);
		}
	}
	free(l.covers);
}
