/* SPDX-License-Identifier: GPL-2.0-only */
#include "tabulate.h"

#include "blocks.h"

/* ---- predicates that the loader decides -------------------------------------------- */

static int term_cmp(const void *pa, const void *pb)
{
	const struct pol_peer_term *a = pa, *b = pb;

	if (a->sel != b->sel)
		return a->sel < b->sel ? -1 : 1;
	return (a->set > b->set) - (a->set < b->set);
}

/* Only what it asks of endpoints; asets are numbered as they come up. */
static struct pol_peer_pred project(struct pol_tabulation *b, uint32_t pred, uint32_t *set_of)
{
	const struct pol_pred *p = &b->ir->preds.v[pred];
	struct pol_peer_pred out = {
		.term = pol_arena_alloc(b->t->arena, (p->n + 1) * sizeof(*out.term)),
	};
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		uint32_t aset = p->term[i].aset;

		if (!(p->term[i].mask & POL_PEER_ENDPOINT))
			continue;
		if (aset && !set_of[aset]) {
			set_of[aset] = (uint32_t)b->t->sets.n;
			*pol_vec_push(&b->t->sets) = aset;
		}
		out.term[n++] = (struct pol_peer_term){ p->term[i].sel, set_of[aset] };
	}
	if (n)
		qsort(out.term, n, sizeof(*out.term), term_cmp);
	for (size_t i = 0; i < n; i++)
		if (!i || term_cmp(&out.term[i], &out.term[i - 1]))
			out.term[out.n++] = out.term[i];
	return out;
}

static bool same_pred(struct pol_peer_pred a, struct pol_peer_pred b)
{
	return a.n == b.n && memcmp(a.term, b.term, a.n * sizeof(*a.term)) == 0;
}

/* Index of an equal one among those seen, by hash; slot holds index + 1. */
static uint32_t *pred_slot(const struct pol_tables *t, uint32_t *slot, size_t cap,
			   struct pol_peer_pred p)
{
	size_t at = pol_hash(p.term, p.n * sizeof(*p.term), 5) & (cap - 1);

	while (slot[at] && !same_pred(t->preds.v[slot[at] - 1], p))
		at = (at + 1) & (cap - 1);
	return &slot[at];
}

static void peer_preds(struct pol_tabulation *b)
{
	struct pol_tables *t = b->t;
	size_t npreds = b->ir->preds.n, cap = 64;
	uint32_t *set_of = pol_arena_alloc(t->arena, b->ir->asets.n * sizeof(*set_of)), *slot;

	while (cap < 2 * npreds)
		cap *= 2;
	slot = pol_arena_alloc(t->arena, cap * sizeof(*slot));
	b->peer_pred = pol_arena_alloc(t->arena, npreds * sizeof(*b->peer_pred));
	*pol_vec_push(&t->sets) = 0;
	memset(b->peer_pred, 0xff, npreds * sizeof(*b->peer_pred));
	for (size_t i = 0; i < b->ir->rules.n; i++) {
		uint32_t pred = b->ir->rules.v[i].pred, *at;
		struct pol_peer_pred p;

		if (b->peer_pred[pred] != POL_PEER_NEVER)
			continue;
		p = project(b, pred, set_of);
		if (!p.n)
			continue;
		if (p.term[0].sel == 0 && p.term[0].set == 0) {
			b->peer_pred[pred] = POL_PEER_ALWAYS;
			continue;
		}
		at = pred_slot(t, slot, cap, p);
		if (!*at) {
			*pol_vec_push(&t->preds) = p;
			*at = (uint32_t)t->preds.n;
		}
		b->peer_pred[pred] = *at - 1;
	}
	b->peer_row = pol_arena_alloc(t->arena, (t->preds.n + 1) * sizeof(*b->peer_row));
	t->set_classes = pol_arena_alloc(t->arena, t->sets.n * sizeof(*t->set_classes));
	for (size_t i = 0; i < t->sets.n; i++)
		t->set_classes[i] = b->aset_runs[t->sets.v[i]];
	t->set_classes[0] = pol_run_all(t->arena, t->nclasses);
}

/* ---- room --------------------------------------------------------------------------- */

/*
 * What the loader may add beside the trees of single blocks.  Kinds of
 * endpoints differ by the predicates and subjects that they satisfy, so there
 * are hardly more kinds on one host than twice the selectors of the policy,
 * unless the user asked for room for a number of them.  Each subject's kind needs
 * two trees over the columns of all peer kinds, and its own copy of what all
 * endpoints share, merged with its own rules: 1,000 kinds are
 * 2 * 1000 * (32 + 4) pages, 9 MiB.
 */
static uint64_t loader_pages(const struct pol_tables *t, const struct pol_capacity *cap)
{
	uint64_t kinds = 2 * (t->preds.n + t->ir->classes.n) + 16, subjects = 8, shared = 0;

	if (cap->kinds_asked || kinds > cap->endpoint_kinds)
		kinds = cap->endpoint_kinds;
	for (size_t i = 0; i < t->blocks.n; i++) {
		subjects += i && t->blocks.v[i].subject != t->blocks.v[i - 1].subject;
		shared += t->blocks.v[i].subject ? 0 : t->blocks.v[i].npages;
	}
	if (subjects > kinds)
		subjects = kinds;
	return subjects * (2 * (kinds / POL_PAGE + 1 + t->column_levels + t->l4_levels) + shared);
}

/* All twice: merged trees of a host are about as many as those they are made of, and kinds come and go. */
static void set_room(struct pol_tabulation *b)
{
	struct pol_tables *t = b->t;
	uint64_t used = pol_table_npages(t->table), verdicts = pol_table_nverdicts(t->table);
	uint64_t pages = pol_power_of_two(2 * used + 2 * loader_pages(t, &b->cap));
	uint64_t most = pol_power_of_two(b->cap.max_pages);
	bool audit = false;

	for (size_t i = 0; i < t->blocks.n; i++)
		audit = audit || t->blocks.v[i].audit;
	if (pages < 2048)
		pages = 2048; /* 256 KiB: room enough for dozens of kinds, whatever was guessed */
	if (pages > most)
		pages = most;
	t->pages_len = (uint32_t)(pages * POL_PAGE);
	/* Merging blocks makes verdicts with limits of both; an audit one for each pair of rules at worst. */
	t->verdicts_len = (uint32_t)pol_power_of_two((audit ? 8 : 2) * verdicts + 256);
}

/* Pages of the last level end up as columns of endpoint kinds. */
static unsigned levels_for(uint64_t columns)
{
	unsigned levels = 1;

	while (1ull << (POL_PAGE_BITS * levels) < columns)
		levels++;
	return levels;
}

/* ---- the whole -------------------------------------------------------------------------- */

struct pol_tables *pol_tabulate(const struct pol_ir *ir, const struct pol_capacity *cap,
				struct pol_diags *diags)
{
	struct pol_tables *t = calloc(1, sizeof(*t));
	struct pol_tabulation b = {
		.ir = ir, .t = t, .diags = diags, .cap = cap ? *cap : POL_CAPACITY_DEFAULT
	};

	if (!t)
		pol_no_memory();
	t->ir = ir;
	t->arena = pol_arena_new();
	b.aset_used = pol_arena_alloc(t->arena, ir->asets.n);
	b.l4_used = pol_arena_alloc(t->arena, ir->l4sets.n);
	b.pred_columns = pol_arena_alloc(t->arena, ir->preds.n * sizeof(*b.pred_columns));
	if (pol_tabulate_addresses(&b) || pol_tabulate_l4(&b))
		goto fail;
	t->column_levels = levels_for(3 * (uint64_t)t->nclasses_padded + b.cap.endpoint_kinds);
	t->table = pol_table_new(b.cap.max_pages, POL_MAX_VERDICTS);
	peer_preds(&b);
	if (pol_tabulate_blocks(&b))
		goto fail;
	set_room(&b);
	if (!pol_filters_build(ir, t->arena, &t->filters, diags))
		goto fail;
	return t;
fail:
	pol_tables_free(t);
	return NULL;
}

void pol_tables_free(struct pol_tables *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->blocks.n; i++)
		pol_vec_free(&t->blocks.v[i].rows);
	pol_vec_free(&t->v4);
	pol_vec_free(&t->v6);
	pol_search_free(&t->v4_search);
	pol_search_free(&t->v6_search);
	pol_vec_free(&t->blocks);
	pol_vec_free(&t->preds);
	pol_vec_free(&t->sets);
	pol_table_free(t->table);
	pol_arena_free(t->arena);
	free(t);
}
