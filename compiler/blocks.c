/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "blocks.h"

/* The block being made.  Trees grow in a table of its own; only results go into the object's. */
struct building {
	struct pol_tabulation *b;
	struct pol_block *block;
	const uint32_t *rules; /* ids, by predicate, then order */
	size_t nrules;
	struct pol_table *work;
	POL_VEC(struct group) groups;
	struct pol_sets *sets; /* of groups */
	POL_VEC(uint32_t) row_of; /* by set of groups: L4 tree + 1, or 0 */
	POL_VEC(struct segment) segments;
	size_t next_segment; /* of place_rows */
};

struct group { /* rules with one predicate */
	uint32_t pred;
	uint32_t row; /* L4 tree */
	size_t first, n; /* in rules */
};

struct segment { /* of static columns, up to the next one */
	uint32_t first;
	uint32_t row;
};

/* ---- verdicts and L4 rows ------------------------------------------------------ */

static const struct pol_rule *default_rule(const struct pol_ir *ir, enum pol_direction d)
{
	for (size_t i = ir->rules.n; i-- > 0;)
		if (ir->rules.v[i].implicit == POL_IMPLICIT_DEFAULT &&
		    ir->rules.v[i].direction == d)
			return &ir->rules.v[i];
	return NULL;
}

/*
 * Order 0 is left to POL_VERDICT_CLOSED: two verdicts of equal order would be
 * combined differently from left and right.
 *
 * After a skip in the last tiers only `default` is left, which asks nothing of
 * the flow: such a skip gives the default's verdict itself, else it would
 * hide the default, which stands in the same stage.
 */
static uint32_t verdict_of(struct building *g, const struct pol_rule *r)
{
	const struct pol_rule *says = r, *dflt;
	struct pol_verdict v = { .order = r->order + 1, .audit_rule = POL_NO_RULE };

	if (r->stage == POL_STAGE_BASELINE && r->action == POL_SKIP) {
		dflt = default_rule(g->b->ir, r->direction);
		says = dflt ? dflt : r;
	}
	v.rule = says->id;
	v.action = (uint8_t)says->action;
	if (says->log)
		v.flags |= POL_VF_LOG;
	if (r->stage == POL_STAGE_MAIN && r->action == POL_ALLOW)
		v.flags |= POL_VF_ADDS;
	if (says->limit >= 0) {
		v.limit[0] = (uint32_t)says->limit;
		v.nlimits = 1;
	}
	if (says->http >= 0) {
		v.http[0] = (uint16_t)says->http;
		v.nhttp = 1;
	} else if (v.flags & POL_VF_ADDS && g->b->ir->https.n) {
		v.flags |= POL_VF_PLAIN;
	}
	return pol_table_verdict(g->work, &v);
}

static void make_row(struct building *g, struct group *group)
{
	const struct pol_tabulation *b = g->b;
	unsigned levels = b->t->l4_levels;

	group->row = pol_table_uniform(g->work, POL_VERDICT_NONE, 0, levels);
	for (size_t i = 0; i < group->n; i++) {
		const struct pol_rule *r = &b->ir->rules.v[g->rules[group->first + i]];
		uint32_t v = verdict_of(g, r);

		for (size_t k = 0; k < b->l4_runs[r->l4].n; k++)
			group->row = pol_table_combine_range(g->work, group->row, levels,
							     b->l4_runs[r->l4].run[k].lo,
							     b->l4_runs[r->l4].run[k].hi, v);
	}
}

static void make_groups(struct building *g)
{
	const struct pol_ir *ir = g->b->ir;

	for (size_t i = 0; i < g->nrules; i++) {
		uint32_t pred = ir->rules.v[g->rules[i]].pred;

		if (!g->groups.n || g->groups.v[g->groups.n - 1].pred != pred)
			*pol_vec_push(&g->groups) = (struct group){ .pred = pred, .first = i };
		g->groups.v[g->groups.n - 1].n++;
	}
	for (size_t i = 0; i < g->groups.n; i++)
		make_row(g, &g->groups.v[i]);
}

/* ---- static columns --------------------------------------------------------------- */

static void add_runs(pol_runs_vec *out, struct pol_runs r, uint32_t shift)
{
	for (size_t i = 0; i < r.n; i++)
		*pol_vec_push(out) =
			(struct pol_range32){ r.run[i].lo + shift, r.run[i].hi + shift };
}

/* WORLD and POOL share columns; the class tells which an address is. */
static void add_world(struct pol_tabulation *b, const struct pol_term *term, pol_runs_vec *out)
{
	struct pol_runs all = b->aset_runs[term->aset], pool = b->aset_runs[b->ir->pool], part;
	struct pol_range32 *room;
	bool world = term->mask & POL_PEER_WORLD, in_pool = term->mask & POL_PEER_POOL;

	if (world && in_pool) {
		add_runs(out, all, 0);
	} else if (world || in_pool) {
		room = calloc(all.n + pool.n + 1, sizeof(*room));
		if (!room)
			pol_no_memory();
		part.run = room;
		part.n = pol_range32_combine(world ? POL_SET_SUBTRACT : POL_SET_INTERSECT, all.run,
					     all.n, pool.run, pool.n, room);
		add_runs(out, part, 0);
		free(room);
	}
}

/* Where the predicate holds, as columns; computed once for all blocks. */
static struct pol_runs columns_of(struct pol_tabulation *b, uint32_t pred)
{
	const struct pol_pred *p = &b->ir->preds.v[pred];
	struct pol_runs *runs = &b->pred_columns[pred];
	uint32_t padded = b->t->nclasses_padded;
	pol_runs_vec found = { 0 };

	if (runs->run)
		return *runs;
	for (size_t i = 0; i < p->n; i++) {
		add_world(b, &p->term[i], &found);
		if (p->term[i].mask & POL_PEER_HOST)
			add_runs(&found, b->aset_runs[p->term[i].aset], POL_ENTITY_HOST * padded);
		if (p->term[i].mask & POL_PEER_NODE)
			add_runs(&found, b->aset_runs[p->term[i].aset], POL_ENTITY_NODE * padded);
	}
	runs->n = pol_range32_normalise(found.v, found.n);
	runs->run = pol_arena_alloc(b->t->arena, (runs->n + 1) * sizeof(*runs->run));
	if (runs->n)
		memcpy(runs->run, found.v, runs->n * sizeof(*runs->run));
	pol_vec_free(&found);
	return *runs;
}

/*
 * The row of a set of groups.  Combining is idempotent and order plays no
 * part, so halves of a set that other columns share are combined only once.
 */
static uint32_t row_of(struct building *g, uint32_t set)
{
	struct pol_set_node n = pol_sets_node(g->sets, set);
	uint32_t row;

	if (!set)
		return pol_table_uniform(g->work, POL_VERDICT_NONE, 0, g->b->t->l4_levels);
	if (g->row_of.v[set])
		return g->row_of.v[set] - 1;
	if (!n.left)
		row = g->groups.v[n.label].row;
	else
		row = pol_table_apply(g->work, POL_OP_COMBINE, row_of(g, n.left),
				      row_of(g, n.right), g->b->t->l4_levels);
	g->row_of.v[set] = row + 1;
	return row;
}

/* A sweep over the columns: which groups hold from where on. */
static void make_segments(struct building *g)
{
	pol_events32 events = { 0 };
	pol_bounds32 bounds = { 0 };

	for (uint32_t i = 0; i < g->groups.n; i++) {
		struct pol_runs runs = columns_of(g->b, g->groups.v[i].pred);

		pol_events32_add(&events, i, runs.run, runs.n);
	}
	pol_sweep32(&events, g->sets, &bounds);
	pol_vec_free(&events);
	pol_vec_reserve(&g->row_of, pol_sets_count(g->sets));
	g->row_of.n = pol_sets_count(g->sets);
	if (!bounds.n || bounds.v[0].first > 0)
		*pol_vec_push(&g->segments) = (struct segment){ 0, row_of(g, 0) };
	for (size_t i = 0; i < bounds.n; i++)
		if (bounds.v[i].first < 3 * g->b->t->nclasses_padded)
			*pol_vec_push(&g->segments) =
				(struct segment){ bounds.v[i].first, row_of(g, bounds.v[i].set) };
	/* Columns of endpoints are closed until the loader fills them; the second one ends the list. */
	*pol_vec_push(&g->segments) = (struct segment){ 3 * g->b->t->nclasses_padded, 0 };
	*pol_vec_push(&g->segments) = (struct segment){ UINT32_MAX, 0 };
	pol_vec_free(&bounds);
}

/* The tree over the columns from `first` on, `height` levels of them, segments taken in order. */
static uint32_t place_rows(struct building *g, uint32_t first, unsigned height)
{
	unsigned l4 = g->b->t->l4_levels;
	uint32_t child[POL_PAGE], span = 1u << (POL_PAGE_BITS * height);

	while (g->segments.v[g->next_segment + 1].first <= first)
		g->next_segment++;
	if (g->segments.v[g->next_segment + 1].first - first >= span)
		return pol_table_uniform(g->work, g->segments.v[g->next_segment].row, l4,
					 l4 + height);
	for (uint32_t i = 0; i < POL_PAGE; i++)
		child[i] = place_rows(g, first + i * (span >> POL_PAGE_BITS), height - 1);
	return pol_table_page(g->work, child);
}

/* ---- endpoints as peers -------------------------------------------------------------- */

static void make_peer_rows(struct building *g)
{
	unsigned levels = g->b->t->l4_levels;

	g->block->base = pol_table_uniform(g->work, POL_VERDICT_NONE, 0, levels);
	for (size_t i = 0; i < g->groups.n; i++) {
		uint32_t peer = g->b->peer_pred[g->groups.v[i].pred], row = g->groups.v[i].row;
		uint32_t *at;

		if (peer == POL_PEER_NEVER)
			continue;
		if (peer == POL_PEER_ALWAYS) {
			g->block->base = pol_table_apply(g->work, POL_OP_COMBINE, g->block->base,
							 row, levels);
			continue;
		}
		/* Different predicates may ask the same of endpoints. */
		at = &g->b->peer_row[peer];
		if (!*at) {
			*pol_vec_push(&g->block->rows) = (struct pol_block_row){ peer, row };
			*at = (uint32_t)g->block->rows.n;
		} else {
			g->block->rows.v[*at - 1].node =
				pol_table_apply(g->work, POL_OP_COMBINE,
						g->block->rows.v[*at - 1].node, row, levels);
		}
	}
	for (size_t i = 0; i < g->block->rows.n; i++)
		g->b->peer_row[g->block->rows.v[i].pred] = 0;
}

/* ---- what went wrong ------------------------------------------------------------------- */

/* The rules of a block with `limit` that hold on one flow: found again, for the message. */
static void too_many_limits(struct building *g)
{
	const struct pol_ir *ir = g->b->ir;
	struct pol_diag *d = NULL;
	unsigned said = 0;

	for (size_t i = 0; i < g->nrules; i++) {
		const struct pol_rule *r = &ir->rules.v[g->rules[i]];

		if (r->limit < 0)
			continue;
		if (!d) {
			d = pol_diag(g->b->diags, POL_P0514, r->span,
				     "more than %u limits on one flow", POL_VERDICT_LIMITS);
			pol_diag_label(g->b->diags, d, "this is one of them");
		} else if (said++ < POL_VERDICT_LIMITS) {
			pol_diag_also(g->b->diags, d, r->span, "and this may be one");
		}
	}
	if (d)
		pol_diag_help(g->b->diags, d,
			      "every matching allow's limit counts: make peers or ports disjoint, "
			      "or put one limit on their union");
}

/* Likewise. */
static void too_many_http(struct building *g)
{
	const struct pol_ir *ir = g->b->ir;
	struct pol_diag *d = NULL;
	unsigned said = 0;

	for (size_t i = 0; i < g->nrules; i++) {
		const struct pol_rule *r = &ir->rules.v[g->rules[i]];

		if (r->http < 0)
			continue;
		if (!d) {
			d = pol_diag(g->b->diags, POL_P0516, r->span,
				     "more than %u http blocks on one flow", POL_VERDICT_HTTP);
			pol_diag_label(g->b->diags, d, "this is one of them");
		} else if (said++ < 8) {
			pol_diag_also(g->b->diags, d, r->span, "and this may be one");
		}
	}
	if (d)
		pol_diag_help(g->b->diags, d,
			      "the lines of every matching block count: put them into one block");
}

int pol_block_by_cost(const void *pa, const void *pb)
{
	const struct pol_block *a = *(const struct pol_block *const *)pa;
	const struct pol_block *b = *(const struct pol_block *const *)pb;

	if (a->npages != b->npages)
		return a->npages < b->npages ? 1 : -1;
	return (a->first_rule > b->first_rule) - (a->first_rule < b->first_rule);
}

/* The dearest blocks so far; the one that did not fit counts with what it had taken. */
static void too_many_pages(struct building *g)
{
	struct pol_tables *t = g->b->t;
	const struct pol_ir *ir = g->b->ir;
	POL_VEC(const struct pol_block *) order = { 0 };
	struct pol_diag *d;

	g->block->npages = pol_table_npages(g->work);
	for (const struct pol_block *k = t->blocks.v; k <= g->block; k++)
		*pol_vec_push(&order) = k;
	qsort(order.v, order.n, sizeof(*order.v), pol_block_by_cost);
	d = pol_diag(g->b->diags, POL_P0513, ir->rules.v[order.v[0]->first_rule].span,
		     "decision tables are too large: more than %u pages of %u bytes",
		     g->b->cap.max_pages, POL_PAGE * 4);
	pol_diag_label(g->b->diags, d,
		       "%u pages for the %u rules of this subject, direction and stage",
		       order.v[0]->npages, order.v[0]->nrules);
	for (size_t i = 1; i < order.n && i < 4; i++)
		pol_diag_also(g->b->diags, d, ir->rules.v[order.v[i]->first_rule].span,
			      "%u pages for %u rules", order.v[i]->npages, order.v[i]->nrules);
	pol_diag_note(g->b->diags, d, "there are %u classes of addresses and %u of ports",
		      t->nclasses, t->nl4);
	pol_diag_help(g->b->diags, d,
		      "pages grow with the pairs of address and port classes that are told apart: "
		      "use the same port lists for many prefixes");
	pol_vec_free(&order);
}

/* ---- one block, all blocks ---------------------------------------------------------------- */

static int publish(struct building *g)
{
	struct pol_block *k = g->block;
	struct pol_tables *t = g->b->t;
	size_t n = 2 + k->rows.n;
	struct pol_table_ref *ref = calloc(n, sizeof(*ref));
	uint32_t before = pol_table_npages(t->table);
	int r;

	if (!ref)
		pol_no_memory();
	ref[0] = (struct pol_table_ref){ k->root, t->column_levels + t->l4_levels };
	ref[1] = (struct pol_table_ref){ k->base, t->l4_levels };
	for (size_t i = 0; i < k->rows.n; i++)
		ref[2 + i] = (struct pol_table_ref){ k->rows.v[i].node, t->l4_levels };
	r = pol_table_import(t->table, g->work, ref, n);
	k->root = ref[0].node;
	k->base = ref[1].node;
	for (size_t i = 0; i < k->rows.n; i++)
		k->rows.v[i].node = ref[2 + i].node;
	k->npages = pol_table_npages(t->table) - before;
	free(ref);
	return r;
}

static int make_block(struct pol_tabulation *b, struct pol_block *block, const uint32_t *rules,
		      size_t nrules)
{
	struct building g = { .b = b, .block = block, .rules = rules, .nrules = nrules };
	int r;

	/* Steps on the way may take more than the result. */
	g.work = pol_table_new(4 * b->cap.max_pages, POL_MAX_VERDICTS);
	g.sets = pol_sets_new();
	make_groups(&g);
	make_segments(&g);
	block->root = place_rows(&g, 0, b->t->column_levels);
	make_peer_rows(&g);
	r = pol_table_failed(g.work);
	if (!r)
		r = publish(&g);
	if (r == -E2BIG)
		too_many_limits(&g);
	else if (r == -EMLINK)
		too_many_http(&g);
	else if (r)
		too_many_pages(&g);
	pol_vec_free(&g.groups);
	pol_vec_free(&g.row_of);
	pol_vec_free(&g.segments);
	pol_sets_free(g.sets);
	pol_table_free(g.work);
	return r;
}

static int rule_cmp(const void *pa, const void *pb, void *ctx)
{
	const struct pol_ir *ir = ctx;
	const struct pol_rule *a = &ir->rules.v[*(const uint32_t *)pa];
	const struct pol_rule *b = &ir->rules.v[*(const uint32_t *)pb];
	int c = pol_rule_block_cmp(a, b);

	if (c)
		return c;
	if (a->pred != b->pred)
		return a->pred < b->pred ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

int pol_tabulate_blocks(struct pol_tabulation *b)
{
	const struct pol_ir *ir = b->ir;
	uint32_t *rules = pol_arena_alloc(b->t->arena, (ir->rules.n + 1) * sizeof(*rules));
	size_t end;

	for (uint32_t i = 0; i < ir->rules.n; i++)
		rules[i] = i;
	qsort_r(rules, ir->rules.n, sizeof(*rules), rule_cmp, (void *)ir);
	for (size_t at = 0; at < ir->rules.n; at = end) {
		const struct pol_rule *first = &ir->rules.v[rules[at]];
		struct pol_block *k = pol_vec_push(&b->t->blocks);

		*k = (struct pol_block){ .subject = first->subject,
					 .direction = first->direction,
					 .stage = first->stage,
					 .audit = first->audit,
					 .first_rule = first->id };
		for (end = at;
		     end < ir->rules.n && !pol_rule_block_cmp(first, &ir->rules.v[rules[end]]);
		     end++)
			if (rules[end] < k->first_rule)
				k->first_rule = rules[end];
		k->nrules = (uint32_t)(end - at);
		if (make_block(b, k, rules + at, end - at))
			return -E2BIG;
	}
	return 0;
}
