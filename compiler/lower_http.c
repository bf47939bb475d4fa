/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The http blocks of a policy set, as one image (polc/http.h).
 *
 * Rules that may meet on one flow share an automaton, so that a request is read
 * once: those of one subject and direction that are connected by ports in
 * common.  What meets by other ways is read by two automata, with the same answer.
 */
#include "compiler/lowering.h"

int32_t pol_lower_http(struct pol_lowering *l, const struct pol_http *block, uint32_t rule)
{
	struct pol_ir_http *h;
	struct pol_diag *g;
	struct pol_span at = block->span;

	if (l->ir->https.n > UINT16_MAX) { /* verdicts number them with 16 bits */
		at.end = at.start + 4 < at.end ? at.start + 4 : at.end;
		g = pol_diag(l->diags, POL_P0517, at, "more than %u http blocks", UINT16_MAX + 1);
		pol_diag_label(l->diags, g, "one too many");
		pol_diag_help(l->diags, g, "put lines for the same peers and ports into one block");
		return -1;
	}
	h = pol_vec_push(&l->ir->https);
	*h = (struct pol_ir_http){ .rule = rule,
				   .block = block,
				   .group = (uint32_t)l->ir->https.n - 1 };
	return (int32_t)(l->ir->https.n - 1);
}

/* Groups are named by their first member (Galler, Fischer 1964). */
static uint32_t group_of(struct pol_ir *ir, uint32_t i)
{
	while (ir->https.v[i].group != i) {
		ir->https.v[i].group = ir->https.v[ir->https.v[i].group].group;
		i = ir->https.v[i].group;
	}
	return i;
}

static bool may_meet(const struct pol_ir *ir, uint32_t i, uint32_t j)
{
	const struct pol_rule *a = &ir->rules.v[ir->https.v[i].rule];
	const struct pol_rule *b = &ir->rules.v[ir->https.v[j].rule];

	return a->subject == b->subject && a->direction == b->direction &&
	       pol_l4set_overlap(ir->l4sets.v[a->l4], ir->l4sets.v[b->l4]);
}

static void make_groups(struct pol_ir *ir)
{
	uint32_t n = (uint32_t)ir->https.n, a, b;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++) {
			if (!may_meet(ir, i, j))
				continue;
			a = group_of(ir, i);
			b = group_of(ir, j);
			ir->https.v[a < b ? b : a].group = a < b ? a : b;
		}
	for (uint32_t i = 0; i < n; i++)
		ir->https.v[i].group = group_of(ir, i);
}

void pol_lower_http_image(struct pol_lowering *l)
{
	struct pol_ir *ir = l->ir;
	struct pol_http_source *source;
	struct pol_buf image = { 0 };
	struct pol_err e = { 0 };

	if (!ir->https.n)
		return;
	make_groups(ir);
	source = pol_arena_alloc(l->arena, ir->https.n * sizeof(*source));
	for (size_t i = 0; i < ir->https.n; i++)
		source[i] = (struct pol_http_source){ ir->https.v[i].rule, ir->https.v[i].group,
						      ir->https.v[i].block };
	if (!pol_http_compile(source, ir->https.n, ir->sources, l->diags, POL_HTTP_STATES_MAX,
			      &image, &ir->http_stats)) {
		ir->http_image = pol_arena_str(l->arena, pol_buf_str(&image));
		/* What our own compiler makes is what our own reader takes. */
		if (pol_http_open(&ir->http, ir->http_image.p, ir->http_image.n, &e))
			abort();
	}
	pol_buf_free(&image);
}
