/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk over the object's tables beside the rules of the text, block by block.
 *
 * A tree is compared where the rules can tell columns apart, column by column; between these
 * places it must be the same everywhere, which a page says of itself.  The same again for L4
 * classes below a column.  So the work is in what the rules name, not in the size of the space.
 */
#include <errno.h>

#include "compiler/analysis/witness.h"
#include "compiler/describe.h"
#include "verify/private.h"

/* Of what kind the peer is whose column is looked at. */
enum side { SIDE_WORLD, SIDE_HOST, SIDE_NODE, SIDE_ENDPOINT, SIDE_NOBODY };

struct entry {
	uint32_t aset, mask, rule;
}; /* a term of a rule's predicate */

struct walk {
	struct ver_report *r;
	const struct pol_ir *ir;
	const struct prt_object *o;
	const struct prt_manifest *m;
	struct ver_cells address, l4;
	struct ver_preds preds;
	const uint32_t *sel_of;
	struct ver_lists *lists;
	struct ver_pairs same; /* (list, L4 tree) found equal */

	/* the block */
	const struct prt_block *block;
	const uint32_t *rule; /* of the text, by order */
	size_t nrules;
	POL_VEC(struct entry) entries; /* by aset */
	uint32_t *entry_of; /* by aset: first entry + 1, valid if stamp says so */
	uint32_t *entry_stamp, stamp;
	POL_VEC(uint32_t)
	marked; /* classes of addresses that its rules can tell apart, ascending */
	POL_VEC(uint32_t) gathered;

	/* the list */
	struct ver_list list;
	uint32_t *l4_next; /* by place in the list: next rule with the same ports, + 1 */
	size_t l4_room;
	uint32_t *l4_head, *l4_stamp, l4_now; /* by l4set */
	POL_VEC(uint32_t) l4_marked, matching;

	/* where we are, for the message */
	enum side side;
	const struct ver_cell *cell; /* of the peer's address */
	uint32_t pred; /* of the object; of SIDE_ENDPOINT, VER_ALWAYS: none */
};

/* ---- pages ----------------------------------------------------------------------- */

static uint32_t child(const struct walk *w, uint32_t page, uint32_t i)
{
	return w->o->pages[(size_t)page * POL_PAGE + i];
}

/* Is one node of height `leaf` all that stands below? Then *node is it. */
static bool uniform(struct walk *w, uint32_t page, unsigned height, unsigned leaf, uint32_t *node)
{
	uint32_t first, other;

	if (height == leaf) {
		*node = page;
		return true;
	}
	if (!uniform(w, child(w, page, 0), height - 1, leaf, &first))
		return false;
	for (uint32_t i = 1; i < POL_PAGE; i++) {
		if (child(w, page, i) == child(w, page, 0))
			continue;
		if (!uniform(w, child(w, page, i), height - 1, leaf, &other) || other != first)
			return false;
	}
	*node = first;
	return true;
}

static int by_number(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static size_t sort_unique(uint32_t *v, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_number);
	for (size_t i = 0; i < n; i++)
		if (!i || v[i] != v[i - 1])
			v[kept++] = v[i];
	return kept;
}

/* Does one of these lie in [lo, hi]? */
static bool any_between(const uint32_t *v, size_t n, uint64_t lo, uint64_t hi)
{
	size_t from = 0, to = n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (v[mid] < lo)
			from = mid + 1;
		else
			to = mid;
	}
	return from < n && v[from] <= hi;
}

/* ---- what is said of a difference ------------------------------------------------------ */

struct pol_str ver_say(const struct ver_report *r, const struct pol_verdict *v)
{
	struct pol_buf b = { 0 };
	struct pol_str kept;

	if (v->action == POL_NONE) {
		pol_buf_addz(&b, "no rule of this subject, direction and stage matches");
	} else if (v->rule >= r->ir->rules.n) {
		pol_buf_printf(&b, "%s by no rule",
			       v->action <= POL_SKIP ? pol_describe_action(v->action) : "nonsense");
	} else {
		const struct pol_rule *rule = &r->ir->rules.v[v->rule];

		pol_buf_printf(&b, "%s by ",
			       v->action <= POL_SKIP ? pol_describe_action(v->action) : "nonsense");
		pol_source_cite(&b, r->ir->sources, rule->span, false);
		pol_buf_addz(&b, " `");
		pol_buf_add(&b, rule->text);
		pol_buf_addz(&b, "`");
	}
	for (unsigned i = 0; i < v->nlimits && i < POL_VERDICT_LIMITS; i++)
		pol_buf_printf(&b, "%s%u", i ? ", " : ", limits ", v->limit[i]);
	for (unsigned i = 0; i < v->nhttp && i < POL_VERDICT_HTTP; i++)
		pol_buf_printf(&b, "%s%u", i ? ", " : ", http blocks ", v->http[i]);
	if (v->flags & POL_VF_LOG)
		pol_buf_addz(&b, ", logged");
	if (v->flags & POL_VF_PLAIN)
		pol_buf_addz(&b, ", beside a plain allow");
	kept = pol_arena_str(r->arena, pol_buf_str(&b));
	pol_buf_free(&b);
	return kept;
}

static void label_of(struct walk *w, uint32_t sel, struct pol_eval_peer *end)
{
	if (!pol_witness_endpoint(w->ir, sel, w->r->arena, end))
		*end = (struct pol_eval_peer){ .kind = POL_PEER_ENDPOINT };
}

static struct pol_eval_peer peer_of(struct walk *w)
{
	static const uint32_t kind[] = { [SIDE_WORLD] = POL_PEER_WORLD,
					 [SIDE_HOST] = POL_PEER_HOST,
					 [SIDE_NODE] = POL_PEER_NODE,
					 [SIDE_ENDPOINT] = POL_PEER_ENDPOINT };
	struct pol_eval_peer peer = { .kind = kind[w->side] };

	if (w->side == SIDE_ENDPOINT) {
		const struct prt_pred *p = w->pred == VER_ALWAYS ? NULL : &w->m->pred[w->pred];

		label_of(w, p && p->n ? w->sel_of[p->term[0].selector] : 0, &peer);
		return peer;
	}
	if (w->cell && w->cell->real) {
		peer.has_addr = true;
		peer.addr = w->cell->addr;
		if (w->side == SIDE_WORLD)
			peer.kind = pol_eval_kind(w->ir, peer.addr);
	}
	return peer;
}

static bool differ(struct walk *w, const struct ver_cell *l4, const struct pol_verdict *want,
		   const struct pol_verdict *got)
{
	bool own = w->block->direction == POL_EGRESS;
	struct pol_point p = { .l4_key = l4->key };
	struct pol_buf flow = { 0 };

	label_of(w, w->sel_of[w->block->subject], &p.end[own ? POL_SRC : POL_DST]);
	p.end[own ? POL_DST : POL_SRC] = peer_of(w);
	pol_point_print(&flow, w->ir, &p);
	w->r->first.flow = pol_arena_str(w->r->arena, pol_buf_str(&flow));
	pol_buf_free(&flow);
	w->r->first.text = ver_say(w->r, want);
	w->r->first.object = ver_say(w->r, got);
	return ver_differs(w->r, "tables", "a table of %s is not what the text says",
			   own ? "egress" : "ingress");
}

/* ---- L4 trees ------------------------------------------------------------------------------ */

static void use_list(struct walk *w, uint32_t number)
{
	const struct pol_ir *ir = w->ir;

	w->list = ver_lists_at(w->lists, number);
	if (w->list.n > w->l4_room) {
		w->l4_room = 2 * w->list.n;
		free(w->l4_next);
		w->l4_next = malloc(w->l4_room * sizeof(*w->l4_next));
		if (!w->l4_next)
			pol_no_memory();
	}
	w->l4_now++;
	w->l4_marked.n = 0;
	for (size_t i = w->list.n; i-- > 0;) {
		uint32_t l4 = ir->rules.v[w->list.rule[i]].l4;

		if (w->l4_stamp[l4] != w->l4_now) {
			w->l4_stamp[l4] = w->l4_now;
			w->l4_head[l4] = 0;
			for (size_t k = 0; l4 && k < w->l4.in[l4].n; k++)
				*pol_vec_push(&w->l4_marked) = w->l4.in[l4].v[k];
		}
		w->l4_next[i] = w->l4_head[l4];
		w->l4_head[l4] = (uint32_t)i + 1;
	}
	w->l4_marked.n = sort_unique(w->l4_marked.v, w->l4_marked.n);
}

static void match_l4(struct walk *w, uint32_t l4)
{
	if (w->l4_stamp[l4] != w->l4_now)
		return;
	for (uint32_t at = w->l4_head[l4]; at; at = w->l4_next[at - 1])
		*pol_vec_push(&w->matching) = at - 1;
}

/* Of the list in use, the verdict for a cell of ports. */
static void expect(struct walk *w, const struct ver_cell *cell, struct pol_verdict *out)
{
	w->matching.n = 0;
	match_l4(w, 0);
	for (size_t i = 0; i < cell->nsets; i++)
		match_l4(w, cell->set[i]);
	/* Places in the list are in the order of rules; one rule has one set of ports. */
	if (w->matching.n)
		qsort(w->matching.v, w->matching.n, sizeof(uint32_t), by_number);
	for (size_t i = 0; i < w->matching.n; i++)
		w->matching.v[i] = w->list.rule[w->matching.v[i]];
	ver_expect(w->ir, (struct ver_list){ w->matching.v, w->matching.n }, out);
}

static bool check_cell(struct walk *w, const struct ver_cell *cell, uint32_t verdict)
{
	const struct pol_verdict *got = &w->o->verdicts[verdict];
	struct pol_verdict want;

	expect(w, cell, &want);
	w->r->verdicts++;
	return memcmp(&want, got, sizeof(want)) == 0 || differ(w, cell, &want, got);
}

static bool walk_l4(struct walk *w, uint32_t node, unsigned height, uint32_t first)
{
	uint32_t span = 1u << (POL_PAGE_BITS * height), verdict;

	if (!any_between(w->l4_marked.v, w->l4_marked.n, first, first + span - 1) &&
	    uniform(w, node, height, 0, &verdict))
		return check_cell(w, &w->l4.v.v[w->l4.first[first]], verdict);
	if (!height) {
		for (uint32_t k = w->l4.first[first]; k < w->l4.first[first + 1]; k++)
			if (!check_cell(w, &w->l4.v.v[k], node))
				return false;
		return true;
	}
	for (uint32_t i = 0; i < POL_PAGE; i++)
		if (!walk_l4(w, child(w, node, i), height - 1, first + i * (span >> POL_PAGE_BITS)))
			return false;
	return true;
}

/* The rules of the list, and no others, must be what the L4 tree says. */
static bool check_row(struct walk *w, uint32_t list, uint32_t node)
{
	if (!ver_pairs_add(&w->same, list, node))
		return true;
	use_list(w, list);
	return walk_l4(w, node, w->m->l4_levels, 0);
}

/* ---- columns --------------------------------------------------------------------------------- */

static void gather(struct walk *w, uint32_t aset, uint32_t kind)
{
	if (w->entry_stamp[aset] != w->stamp)
		return;
	for (size_t i = w->entry_of[aset]; i < w->entries.n && w->entries.v[i].aset == aset; i++)
		if (w->entries.v[i].mask & kind)
			*pol_vec_push(&w->gathered) = w->entries.v[i].rule;
}

/* The rules of the block that match a peer of that kind in that cell. */
static uint32_t list_of(struct walk *w, uint32_t kind, const struct ver_cell *cell)
{
	w->gathered.n = 0;
	gather(w, 0, kind);
	for (size_t i = 0; i < cell->nsets; i++)
		gather(w, cell->set[i], kind);
	return ver_lists_get(w->lists, w->ir, w->gathered.v, w->gathered.n);
}

static bool in_pool(const struct walk *w, const struct ver_cell *cell)
{
	for (size_t i = 0; i < cell->nsets; i++)
		if (cell->set[i] == w->ir->pool)
			return true;
	return w->ir->pool == 0;
}

static bool check_column(struct walk *w, const struct ver_cell *cell, uint32_t node)
{
	static const uint32_t kind[] = { POL_PEER_WORLD, POL_PEER_HOST, POL_PEER_NODE };
	uint32_t k = kind[w->side];

	if (w->side == SIDE_WORLD && in_pool(w, cell))
		k = POL_PEER_POOL;
	w->cell = cell;
	w->r->columns++;
	return check_row(w, list_of(w, k, cell), node);
}

/* What the loader has not filled is closed. */
static bool check_closed(struct walk *w, uint32_t node)
{
	uint32_t verdict;

	if (uniform(w, node, w->m->l4_levels, 0, &verdict) && verdict == POL_VERDICT_CLOSED)
		return true;
	return ver_differs(w->r, "tables",
			   "a column that is left to the loader is not closed in the object");
}

static bool walk_columns(struct walk *w, uint32_t node, unsigned height, uint64_t first)
{
	uint32_t padded = w->m->classes_padded, row;
	unsigned l4 = w->m->l4_levels;
	uint64_t span = 1ull << (POL_PAGE_BITS * height);
	uint32_t class = (uint32_t)(first % padded);
	bool one_side =
		first >= 3 * (uint64_t)padded || first / padded == (first + span - 1) / padded;

	w->side = first >= 3 * (uint64_t)padded ? SIDE_NOBODY : (enum side)(first / padded);
	if (one_side && w->side == SIDE_NOBODY && uniform(w, node, l4 + height, l4, &row))
		return check_closed(w, row);
	if (one_side && w->side != SIDE_NOBODY &&
	    !any_between(w->marked.v, w->marked.n, class, class + span - 1) &&
	    uniform(w, node, l4 + height, l4, &row))
		return check_column(w, &w->address.v.v[w->address.first[class]], row);
	if (!height) {
		if (w->side == SIDE_NOBODY)
			return check_closed(w, node);
		for (uint32_t k = w->address.first[class]; k < w->address.first[class + 1]; k++)
			if (!check_column(w, &w->address.v.v[k], node))
				return false;
		return true;
	}
	for (uint32_t i = 0; i < POL_PAGE; i++)
		if (!walk_columns(w, child(w, node, i), height - 1,
				  first + i * (span >> POL_PAGE_BITS)))
			return false;
	return true;
}

/* ---- a block -------------------------------------------------------------------------------- */

static int by_aset(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	return (a->aset > b->aset) - (a->aset < b->aset);
}

static void mark_set(struct walk *w, uint32_t aset)
{
	for (size_t i = 0; i < w->address.in[aset].n; i++)
		*pol_vec_push(&w->marked) = w->address.in[aset].v[i];
}

/* Which addresses the rules of the block tell apart, and by what. */
static void index_block(struct walk *w)
{
	bool pool = false;

	w->stamp++;
	w->entries.n = w->marked.n = 0;
	for (size_t i = 0; i < w->nrules; i++) {
		const struct pol_rule *r = &w->ir->rules.v[w->rule[i]];
		const struct pol_pred *p = &w->ir->preds.v[r->pred];

		for (size_t k = 0; k < p->n; k++) {
			uint32_t mask = p->term[k].mask & ~(uint32_t)POL_PEER_ENDPOINT;

			if (!mask)
				continue;
			*pol_vec_push(&w->entries) = (struct entry){ p->term[k].aset, mask, r->id };
			pool = pool || !(mask & POL_PEER_WORLD) != !(mask & POL_PEER_POOL);
		}
	}
	if (w->entries.n)
		qsort(w->entries.v, w->entries.n, sizeof(*w->entries.v), by_aset);
	for (size_t i = 0; i < w->entries.n; i++) {
		uint32_t aset = w->entries.v[i].aset;

		if (w->entry_stamp[aset] == w->stamp)
			continue;
		w->entry_stamp[aset] = w->stamp;
		w->entry_of[aset] = (uint32_t)i;
		if (aset)
			mark_set(w, aset);
	}
	if (pool && w->ir->pool)
		mark_set(w, w->ir->pool);
	w->marked.n = sort_unique(w->marked.v, w->marked.n);
}

/* The rules whose predicate asks that of endpoints. */
static uint32_t list_asked(struct walk *w, uint32_t asked)
{
	w->gathered.n = 0;
	for (size_t i = 0; i < w->nrules; i++)
		if (w->preds.of_ir[w->ir->rules.v[w->rule[i]].pred] == asked)
			*pol_vec_push(&w->gathered) = w->rule[i];
	return ver_lists_get(w->lists, w->ir, w->gathered.v, w->gathered.n);
}

static bool check_rows(struct walk *w)
{
	struct ver_pairs there = { 0 };
	bool same = true;

	w->side = SIDE_ENDPOINT;
	w->cell = NULL;
	w->pred = VER_ALWAYS;
	same = check_row(w, list_asked(w, VER_ALWAYS), w->block->base);
	for (size_t i = 0; same && i < w->block->nrows; i++) {
		uint32_t asked = w->preds.of_object[w->block->row[i].pred];

		w->pred = w->block->row[i].pred;
		if (asked >= VER_ALWAYS || !ver_pairs_add(&there, asked, 0))
			same = ver_differs(
				w->r, "tables",
				"a block of the object has two rows for one predicate, or one too many");
		else
			same = check_row(w, list_asked(w, asked), w->block->row[i].node);
	}
	for (size_t i = 0; same && i < w->nrules; i++) {
		const struct pol_rule *r = &w->ir->rules.v[w->rule[i]];
		uint32_t asked = w->preds.of_ir[r->pred];

		if (asked < VER_ALWAYS && ver_pairs_add(&there, asked, 0)) {
			struct pol_verdict want;

			ver_expect(w->ir, (struct ver_list){ &w->rule[i], 1 }, &want);
			w->r->first.text = ver_say(w->r, &want);
			same = ver_differs(
				w->r, "tables",
				"the object has no row for the endpoints that a rule names");
		}
	}
	free(there.v);
	return same;
}

/* ---- all blocks -------------------------------------------------------------------------------- */

static int by_block(const void *pa, const void *pb, void *ctx)
{
	const struct pol_ir *ir = ctx;
	const struct pol_rule *a = &ir->rules.v[*(const uint32_t *)pa];
	const struct pol_rule *b = &ir->rules.v[*(const uint32_t *)pb];
	int c = pol_rule_block_cmp(a, b);

	return c ? c : (a->order > b->order) - (a->order < b->order);
}

/* The object's block of that subject, direction and stage. */
static const struct prt_block *block_of(struct walk *w, const struct pol_rule *r)
{
	for (size_t i = 0; i < w->m->nblocks; i++) {
		const struct prt_block *b = &w->m->block[i];

		if (w->sel_of[b->subject] == r->subject && b->direction == r->direction &&
		    (int)b->stage == (int)r->stage && b->audit == r->audit)
			return b;
	}
	return NULL;
}

static bool check_block(struct walk *w, const struct pol_rule *first)
{
	struct pol_verdict want;

	w->block = block_of(w, first);
	if (!w->block) {
		ver_expect(w->ir, (struct ver_list){ w->rule, 1 }, &want);
		w->r->first.text = ver_say(w->r, &want);
		return ver_differs(w->r, "tables", "the object has no table for these rules");
	}
	w->r->blocks++;
	index_block(w);
	return walk_columns(w, w->block->root, w->m->column_levels, 0) && check_rows(w);
}

static bool check_blocks(struct walk *w)
{
	const struct pol_ir *ir = w->ir;
	uint32_t *rules = pol_arena_alloc(w->r->arena, (ir->rules.n + 1) * sizeof(*rules));
	size_t end, n = 0;

	for (uint32_t i = 0; i < ir->rules.n; i++)
		rules[i] = i;
	qsort_r(rules, ir->rules.n, sizeof(*rules), by_block, (void *)ir);
	for (size_t at = 0; at < ir->rules.n; at = end, n++) {
		const struct pol_rule *first = &ir->rules.v[rules[at]];

		for (end = at + 1;
		     end < ir->rules.n && !pol_rule_block_cmp(first, &ir->rules.v[rules[end]]);
		     end++)
			;
		w->rule = rules + at;
		w->nrules = end - at;
		if (!check_block(w, first))
			return false;
	}
	return n == w->m->nblocks ||
	       ver_differs(w->r, "tables", "the object has %zu tables, the text makes %zu",
			   w->m->nblocks, n);
}

/* What rules name: no other set has to be told apart. */
static void find_used(const struct pol_ir *ir, bool *aset, bool *l4, bool *pred)
{
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_rule *r = &ir->rules.v[i];

		l4[r->l4] = pred[r->pred] = true;
		for (size_t k = 0; k < ir->preds.v[r->pred].n; k++)
			aset[ir->preds.v[r->pred].term[k].aset] = true;
	}
	aset[ir->pool] = true;
	aset[0] = l4[0] = false; /* everything */
}

static bool walk(struct walk *w, const bool *aset, const bool *l4, const bool *pred)
{
	struct pol_arena *a = w->r->arena;

	ver_cells_addresses(&w->address, w->ir, aset, w->o, a);
	ver_cells_l4(&w->l4, w->ir, l4, w->o, a);
	w->entry_of = pol_arena_alloc(a, w->ir->asets.n * sizeof(*w->entry_of));
	w->entry_stamp = pol_arena_alloc(a, w->ir->asets.n * sizeof(*w->entry_stamp));
	w->l4_head = pol_arena_alloc(a, w->ir->l4sets.n * sizeof(*w->l4_head));
	w->l4_stamp = pol_arena_alloc(a, w->ir->l4sets.n * sizeof(*w->l4_stamp));
	w->lists = ver_lists_new(a);
	return ver_predicates(w->r, w->sel_of, pred, &w->address, &w->preds) && check_blocks(w);
}

static void walk_free(struct walk *w)
{
	ver_cells_free(&w->address, w->ir->asets.n);
	ver_cells_free(&w->l4, w->ir->l4sets.n);
	ver_lists_free(w->lists);
	free(w->same.v);
	free(w->l4_next);
	pol_vec_free(&w->entries);
	pol_vec_free(&w->marked);
	pol_vec_free(&w->gathered);
	pol_vec_free(&w->l4_marked);
	pol_vec_free(&w->matching);
}

int ver_tables(struct ver_report *r, struct pol_err *e)
{
	struct pol_arena *a = r->arena;
	const struct pol_ir *ir = r->ir;
	bool *aset = pol_arena_alloc(a, ir->asets.n), *l4 = pol_arena_alloc(a, ir->l4sets.n);
	bool *pred = pol_arena_alloc(a, ir->preds.n);
	struct walk w = { .r = r, .ir = ir, .o = r->object, .m = &r->object->manifest };
	uint32_t *sel_of;

	r->tables_checked = true;
	if (!ver_names(r, e) || !ver_selectors(r, &sel_of))
		return e->code;
	w.sel_of = sel_of;
	find_used(ir, aset, l4, pred);
	walk(&w, aset, l4, pred);
	walk_free(&w);
	return 0;
}
