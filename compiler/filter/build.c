/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/filter/build.h"

/* ---- lines of one family ---------------------------------------------------------------- */

/* How many addresses a set has in this family; the whole of IPv6 is one too few. */
static pol_u128 size_of(const struct half *h, uint32_t aset)
{
	const struct pol_aset *a = &h->ir->asets.v[aset];
	pol_u128 n = h->family == 4 ? a->n4 : 0;

	for (size_t i = 0; h->family == 4 && i < a->n4; i++)
		n += a->v4[i].hi - a->v4[i].lo;
	for (size_t i = 0; h->family == 6 && i < a->n6; i++)
		n += a->v6[i].hi - a->v6[i].lo;
	return n;
}

static bool any_of_family(const struct half *h, const struct pol_filter_end *e)
{
	const struct pol_aset *a = &h->ir->asets.v[e->aset];

	return e->dynamic || (h->family == 4 ? a->n4 : a->n6);
}

struct numbers { /* aset id -> index + 1, a side each */
	uint32_t *of[2];
};

static uint32_t set_of(struct half *h, struct numbers *nr, int which, uint32_t aset)
{
	struct half_side *side = &h->side[which];

	if (!nr->of[which][aset]) {
		*pol_vec_push(&side->aset) = aset;
		*pol_vec_push(&side->mask) = 0;
		*pol_vec_push(&side->size) = size_of(h, aset);
		nr->of[which][aset] = (uint32_t)side->aset.n;
	}
	return nr->of[which][aset] - 1;
}

static uint32_t pred_of(struct half *h, const struct pol_filter_line *l)
{
	POL_VEC(uint32_t) words = { 0 };
	uint32_t pred;

	for (size_t i = 0; i < l->n; i++) {
		*pol_vec_push(&words) = l->term[i].l4;
		*pol_vec_push(&words) = l->term[i].sport;
		*pol_vec_push(&words) = (uint32_t)l->term[i].set << 8 | l->term[i].clear;
	}
	pred = pol_lists_get(&h->preds, words.v, words.n);
	pol_vec_free(&words);
	while (h->pred_mask.n < pol_lists_count(&h->preds))
		*pol_vec_push(&h->pred_mask) = 0;
	return pred;
}

static bool is_special(const struct pol_filter_line *l)
{
	return l->action == POL_FILTER_LIMIT || l->src.dynamic || l->dst.dynamic;
}

static void collect(struct half *h, struct numbers *nr)
{
	unsigned bit = 0;

	pol_lists_init(&h->preds);
	*pol_vec_push(&h->pred_mask) = 0;
	for (uint32_t i = 0; i + 1 < h->f->n; i++) {
		const struct pol_filter_line *l = &h->f->line[i];
		struct half_line to = { .line = i, .special = is_special(l), .bit = bit };

		bit += to.special;
		if (!any_of_family(h, &l->src) || !any_of_family(h, &l->dst))
			continue;
		to.says = POL_FILTER_SAYS(i, l->log, l->action);
		to.set[0] = set_of(h, nr, 0, l->src.aset);
		to.set[1] = set_of(h, nr, 1, l->dst.aset);
		to.pred = pred_of(h, l);
		if (to.special) {
			h->side[0].mask.v[to.set[0]] |= 1ull << to.bit;
			h->side[1].mask.v[to.set[1]] |= 1ull << to.bit;
			h->pred_mask.v[to.pred] |= 1ull << to.bit;
			h->stats->special++;
		} else {
			h->stats->lines++;
		}
		*pol_vec_push(&h->lines) = to;
	}
	h->nspecial = bit;
}

static void half_free(struct half *h)
{
	for (int i = 0; i < 2; i++) {
		struct half_side *s = &h->side[i];

		pol_vec_free(&s->aset);
		pol_vec_free(&s->mask);
		pol_vec_free(&s->size);
		pol_lists_free(&s->sets);
		pol_vec_free(&s->v4);
		pol_vec_free(&s->v6);
		pol_vec_free(&s->record_of);
		pol_lists_free(&s->records);
		for (unsigned g = 0; g < POL_FILTER_GROUPS; g++)
			pol_lists_free(&s->class[g]);
	}
	pol_vec_free(&h->lines);
	pol_lists_free(&h->preds);
	pol_vec_free(&h->pred_mask);
	pol_lists_free(&h->kinds);
}

/* ---- one filter ------------------------------------------------------------------------------ */

static void refuse(struct pol_diags *diags, const struct half *h)
{
	const struct pol_ir_filter *f = h->f;
	struct pol_diag *g = pol_diag(diags, POL_P0503, f->span, "filter `%.*s` is too complex: %s",
				      POL_STR_ARG(f->name), h->refused);

	pol_diag_label(diags, g, "too complex, for IPv%d", h->family);
	for (size_t i = 0; i < h->nheavy; i++) {
		const struct heavy_line *x = &h->heavy[i];

		if (x->patterns)
			pol_diag_also(diags, g, f->line[x->line].span,
				      "what it asks is in %u of them", x->patterns);
		else
			pol_diag_also(
				diags, g, f->line[x->line].span,
				"%u x %u cells: parts of its source and its destination that other lines tell apart",
				x->classes[0], x->classes[1]);
	}
	pol_diag_help(
		diags, g,
		h->patterns
			? "give lines that do the same one list of ports, or split the filter"
			: "join prefixes of lines that do the same into one `cidr`, or split the filter");
}

/* False after a diagnostic. */
static bool build_half(const struct pol_ir *ir, const struct pol_ir_filter *f, int family,
		       struct pol_words *out, struct pol_filter_half *head,
		       struct pol_filter_stats *stats, struct pol_diags *diags)
{
	struct half h = {
		.ir = ir, .f = f, .family = family, .out = out, .head = head, .stats = stats
	};
	struct numbers nr = { { calloc(ir->asets.n, 4), calloc(ir->asets.n, 4) } };
	size_t before = out->w.n;
	bool ok;

	if (!nr.of[0] || !nr.of[1])
		pol_no_memory();
	pol_lists_init(&h.side[0].sets);
	pol_lists_init(&h.side[1].sets);
	collect(&h, &nr);
	if (pol_half_kinds(&h)) {
		pol_half_partition(&h);
		if (pol_half_cells(&h))
			pol_half_write_addresses(&h);
		if (!h.refused && out->full)
			h.refused = "its tables would take more than 64 MiB";
		if (h.refused && !h.patterns)
			pol_half_heavy(&h);
	}
	stats->words = (uint32_t)(out->w.n - before);
	ok = !h.refused;
	if (!ok)
		refuse(diags, &h);
	half_free(&h);
	free(nr.of[0]);
	free(nr.of[1]);
	return ok;
}

static void write_head(const struct pol_ir *ir, const struct pol_ir_filter *f,
		       struct pol_filter_head *head, struct pol_words *out)
{
	const struct pol_filter_line *last = &f->line[f->n - 1];
	unsigned bit = 0;

	head->rule = f->line[0].rule;
	head->last = POL_FILTER_SAYS(f->n - 1, last->log, last->action);
	head->special = pol_words_room(out, POL_FILTER_SPECIAL, 1);
	head->limit = pol_words_room(out, POL_FILTER_SPECIAL, 1);
	head->dynamic = pol_words_room(out, (ir->dynamics.n + 1) * 4, 2) / 2;
	if (out->full)
		return;
	for (uint32_t i = 0; i + 1 < f->n; i++) {
		const struct pol_filter_line *l = &f->line[i];

		if (!is_special(l))
			continue;
		if (l->action == POL_FILTER_LIMIT) {
			head->limits |= 1ull << bit;
			out->w.v[head->limit + bit] = (uint32_t)l->limit;
		}
		out->w.v[head->special + bit] = POL_FILTER_SAYS(i, l->log, l->action);
		for (size_t d = 0; d < ir->dynamics.n; d++) {
			uint32_t *at = &out->w.v[(head->dynamic + 2 * d) * 2];

			if (l->src.dynamic >> d & 1)
				at[bit / 32] |= 1u << bit % 32;
			if (l->dst.dynamic >> d & 1)
				at[2 + bit / 32] |= 1u << bit % 32;
		}
		bit++;
	}
	head->nspecial = bit;
}

bool pol_filters_build(const struct pol_ir *ir, struct pol_arena *arena, struct pol_filters *out,
		       struct pol_diags *diags)
{
	struct pol_words w = { 0 };
	bool ok = true;

	*out = (struct pol_filters){ .n = ir->filters.n };
	out->head = pol_arena_alloc(arena, (out->n + 1) * sizeof(*out->head));
	out->half = pol_arena_alloc(arena, (2 * out->n + 1) * sizeof(*out->half));
	out->stats = pol_arena_alloc(arena, (2 * out->n + 1) * sizeof(*out->stats));
	pol_words_room(&w, 16, 1); /* place 0 is never one: what nobody filled reads zero */
	for (size_t i = 0; i < out->n && ok; i++) {
		const struct pol_ir_filter *f = &ir->filters.v[i];

		write_head(ir, f, &out->head[i], &w);
		for (int k = 0; k < 2 && ok; k++)
			ok = build_half(ir, f, k ? 6 : 4, &w, &out->half[2 * i + k],
					&out->stats[2 * i + k], diags);
	}
	out->words = (uint32_t)w.w.n;
	for (out->room = 16; out->room < out->words;)
		out->room *= 2;
	out->room += POL_FILTER_SLACK;
	out->data = pol_arena_alloc(arena, (size_t)out->words * sizeof(*out->data));
	if (w.w.n)
		memcpy(out->data, w.w.v, w.w.n * sizeof(*out->data));
	pol_vec_free(&w.w);
	return ok;
}
