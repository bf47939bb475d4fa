/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses: intervals that lie in the same sets, their rows, and how they are found. */
#include "compiler/filter/build.h"

/* ---- partition ---------------------------------------------------------------------- */

typedef POL_VEC(uint32_t) u32s;

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void elements(const struct pol_sets *s, uint32_t set, u32s *out)
{
	struct pol_set_node n;

	if (!set)
		return;
	n = pol_sets_node(s, set);
	if (!n.left && !n.right) {
		*pol_vec_push(out) = n.label;
		return;
	}
	elements(s, n.left, out);
	elements(s, n.right, out);
}

/* The sweep's sets as lists, each made once. */
static uint32_t list_of(struct half_side *side, const struct pol_sets *s, uint32_t set, u32s *memo,
			u32s *tmp)
{
	while (memo->n <= set)
		*pol_vec_push(memo) = UINT32_MAX;
	if (memo->v[set] == UINT32_MAX) {
		tmp->n = 0;
		elements(s, set, tmp);
		if (tmp->n)
			qsort(tmp->v, tmp->n, sizeof(*tmp->v), by_number);
		memo->v[set] = pol_lists_get(&side->sets, tmp->v, tmp->n);
	}
	return memo->v[set];
}

static void partition_side(const struct half *h, struct half_side *side)
{
	struct pol_sets *s = pol_sets_new();
	pol_events32 e4 = { 0 };
	pol_events128 e6 = { 0 };
	u32s memo = { 0 }, tmp = { 0 };

	for (uint32_t i = 0; i < side->aset.n; i++) {
		const struct pol_aset *a = &h->ir->asets.v[side->aset.v[i]];

		if (h->family == 4)
			pol_events32_add(&e4, i, a->v4, a->n4);
		else
			pol_events128_add(&e6, i, a->v6, a->n6);
	}
	pol_sweep32(&e4, s, &side->v4);
	pol_sweep128(&e6, s, &side->v6);
	for (size_t i = 0; i < side->v4.n; i++)
		side->v4.v[i].set = list_of(side, s, side->v4.v[i].set, &memo, &tmp);
	for (size_t i = 0; i < side->v6.n; i++)
		side->v6.v[i].set = list_of(side, s, side->v6.v[i].set, &memo, &tmp);
	pol_vec_free(&e4);
	pol_vec_free(&e6);
	pol_vec_free(&memo);
	pol_vec_free(&tmp);
	pol_sets_free(s);
}

void pol_half_partition(struct half *h)
{
	for (int i = 0; i < 2; i++)
		partition_side(h, &h->side[i]);
}

/* ---- records ----------------------------------------------------------------------------- */

/* What a list of asets comes to: its class in each group, and the special lines that it satisfies. */
static void make_records(struct half *h, int which)
{
	struct half_side *side = &h->side[which];
	uint8_t *used = calloc(side->aset.n + 1, 1); /* by aset: bit n, by a line of group n */
	u32s tmp = { 0 };

	if (!used)
		pol_no_memory();
	for (size_t i = 0; i < h->lines.n; i++)
		if (!h->lines.v[i].special)
			used[h->lines.v[i].set[which]] |=
				(uint8_t)(1u << pol_half_group(h, &h->lines.v[i]));
	side->record_of.n = 0;
	for (uint32_t set = 0; set < pol_lists_count(&side->sets); set++) {
		const uint32_t *e = pol_lists_at(&side->sets, set);
		size_t n = pol_lists_len(&side->sets, set);
		uint32_t record[POL_FILTER_GROUPS + 2];
		uint64_t mask = 0;

		for (unsigned g = 0; g < POL_FILTER_GROUPS; g++) {
			tmp.n = 0;
			for (size_t i = 0; i < n; i++)
				if (used[e[i]] >> g & 1)
					*pol_vec_push(&tmp) = e[i];
			record[g] = pol_lists_get(&side->class[g], tmp.v, tmp.n);
		}
		for (size_t i = 0; i < n; i++)
			mask |= side->mask.v[e[i]];
		record[POL_FILTER_GROUPS] = (uint32_t)mask;
		record[POL_FILTER_GROUPS + 1] = (uint32_t)(mask >> 32);
		*pol_vec_push(&side->record_of) =
			pol_lists_get(&side->records, record, POL_ARRAY_LEN(record));
	}
	pol_vec_free(&tmp);
	free(used);
}

void pol_half_records(struct half *h)
{
	for (int i = 0; i < 2; i++) {
		struct half_side *side = &h->side[i];

		for (unsigned g = 0; g < POL_FILTER_GROUPS; g++) {
			pol_lists_free(&side->class[g]);
			pol_lists_init(&side->class[g]);
		}
		pol_lists_free(&side->records);
		pol_lists_init(&side->records);
		make_records(h, i);
	}
}

static bool too_wide(const struct half_side *side)
{
	bool is = false;

	for (unsigned g = 0; g < POL_FILTER_GROUPS; g++)
		is = is || pol_lists_count(&side->class[g]) > 65536;
	return is;
}

/* Row i: classes and special lines of record[i]. */
static void write_rows(struct half *h, int which, const u32s *record)
{
	struct half_side *side = &h->side[which];
	struct pol_filter_side *to = &h->head->side[which];
	bool wide = h->head->flags & POL_FILTER_WIDE;
	size_t words = record->n * POL_FILTER_GROUPS / (wide ? 1 : 2);

	to->row = pol_words_room(h->out, words, 2) / 2;
	to->mask = pol_words_room(h->out, h->nspecial ? record->n * 2 : 0, 2) / 2;
	h->stats->records[which] = pol_lists_count(&side->records);
	for (size_t r = 0; r < record->n && !h->out->full; r++) {
		const uint32_t *v = pol_lists_at(&side->records, record->v[r]);

		for (unsigned g = 0; record->v[r] && g < POL_FILTER_GROUPS; g++) {
			size_t at = r * POL_FILTER_GROUPS + g;

			if (wide)
				h->out->w.v[2 * (size_t)to->row + at] = v[g];
			else
				pol_words_put16(h->out, 4 * (size_t)to->row + at, v[g]);
		}
		if (record->v[r] && h->nspecial)
			memcpy(&h->out->w.v[((size_t)to->mask + r) * 2], v + POL_FILTER_GROUPS,
			       2 * sizeof(*v));
	}
}

/* ---- IPv4: polc/search.h -------------------------------------------------------------------- */

static void gather_v4(const struct half_side *side, pol_intervals *out)
{
	if (!side->v4.n || side->v4.v[0].first)
		*pol_vec_push(out) = (struct pol_interval){ 0, side->record_of.v[0] };
	for (size_t i = 0; i < side->v4.n; i++) {
		struct pol_interval next = { side->v4.v[i].first,
					     side->record_of.v[side->v4.v[i].set] };

		if (!out->n || out->v[out->n - 1].value != next.value)
			*pol_vec_push(out) = next;
	}
}

static void write_search(struct half *h, struct pol_filter_side *to, const pol_intervals *all)
{
	struct pol_search_tables t;

	pol_search_make(&t, 4, all);
	to->shift = t.s.shift;
	to->levels = t.s.levels;
	to->top = pol_words_room(h->out, t.top.n / 2, 1) * 2;
	for (size_t i = 0; i < t.top.n && !h->out->full; i++)
		pol_words_put16(h->out, to->top + i, t.top.v[i]);
	to->elem = pol_words_room(h->out, t.node.n * 2, 2 * POL_NODE4_DOUBLES) / 2;
	for (size_t i = 0; i < t.node.n && !h->out->full; i++)
		pol_words_put64(h->out, ((size_t)to->elem + i) * 2, t.node.v[i]);
	pol_search_free(&t);
}

static void write_v4(struct half *h, int which)
{
	pol_intervals all = { 0 };
	u32s record = { 0 };

	gather_v4(&h->side[which], &all);
	write_search(h, &h->head->side[which], &all);
	for (size_t i = 0; i < all.n; i++)
		*pol_vec_push(&record) = all.v[i].value;
	write_rows(h, which, &record);
	h->stats->intervals[which] = (uint32_t)all.n;
	pol_vec_free(&record);
	pol_vec_free(&all);
}

/* ---- IPv6: leading bits of the high half, then halving ------------------------------------------ */

#define TOP_BITS 16 /* most leading bits that a table is made of */

static unsigned steps_of(size_t most)
{
	unsigned steps = 0;

	for (; most > 1; most -= most / 2)
		steps++;
	return steps;
}

/* By the leading bits of what is searched: the last element that begins at or below them. */
static void write_top(struct half *h, struct pol_filter_side *to, const pol_intervals *all)
{
	unsigned bits = TOP_BITS, steps = steps_of(pol_search_most(all, 64 - bits));
	size_t at = 0;

	/* as few as leave no more to halve than the most would: what is small stays in the cache */
	while (bits > 1 && steps_of(pol_search_most(all, 64 - bits + 1)) <= steps)
		bits--;
	to->shift = 64 - bits;
	to->most = (uint32_t)pol_search_most(all, to->shift);
	to->top = pol_words_room(h->out, (size_t)1 << bits, 1);
	for (size_t t = 0; t < (size_t)1 << bits && !h->out->full; t++) {
		while (at + 1 < all->n && all->v[at + 1].first <= (uint64_t)t << to->shift)
			at++;
		h->out->w.v[to->top + t] = (uint32_t)at;
	}
}

/* IPv6 as intervals of whole addresses. */
struct interval6 {
	pol_u128 first;
	uint32_t record;
};
typedef POL_VEC(struct interval6) intervals6;

static void gather_v6(const struct half_side *side, intervals6 *out)
{
	if (!side->v6.n || side->v6.v[0].first)
		*pol_vec_push(out) = (struct interval6){ 0, side->record_of.v[0] };
	for (size_t i = 0; i < side->v6.n; i++) {
		struct interval6 next = { side->v6.v[i].first,
					  side->record_of.v[side->v6.v[i].set] };

		if (!out->n || out->v[out->n - 1].record != next.record)
			*pol_vec_push(out) = next;
	}
}

struct slots6 {
	pol_intervals
		high; /* to the next; value: record of what equals it, or POL_V6_LOW | group */
	u32s above; /* record of what lies above it, up to the next */
	POL_VEC(struct pol_v6_low) low;
};

/* One high half: intervals v[0..n) begin in it; `before` holds below the first of them. */
static void one_high(struct slots6 *s, const struct interval6 *v, size_t n, uint32_t before)
{
	struct pol_interval high = { (uint64_t)(v[0].first >> 64), v[0].record };
	size_t group = s->low.n;

	if (n > 1 || (uint64_t)v[0].first) {
		high.value = POL_V6_LOW | (uint32_t)group;
		if ((uint64_t)v[0].first)
			*pol_vec_push(&s->low) = (struct pol_v6_low){ .class = before };
		for (size_t i = 0; i < n; i++)
			*pol_vec_push(&s->low) = (struct pol_v6_low){ .lo = (uint64_t)v[i].first,
								      .class = v[i].record };
		s->low.v[group].n = (uint32_t)(s->low.n - group);
	}
	*pol_vec_push(&s->high) = high;
	*pol_vec_push(&s->above) = v[n - 1].record;
}

static void write_slots(struct half *h, int which, const struct slots6 *s)
{
	struct pol_filter_side *to = &h->head->side[which];
	struct pol_words *out = h->out;
	size_t n = s->high.n, all;

	write_top(h, to, &s->high);
	all = n + to->most;
	to->elem = pol_words_room(out, all * 2, 2) / 2;
	to->slot = pol_words_room(out, all * 2, 2);
	to->low = pol_words_room(out, s->low.n * 4, 2) / 2;
	for (size_t i = 0; i < all && !out->full; i++) {
		size_t k = i < n ? i : n - 1;

		pol_words_put64(out, ((size_t)to->elem + i) * 2, s->high.v[k].first);
		out->w.v[to->slot + 2 * i] = s->above.v[k];
		out->w.v[to->slot + 2 * i + 1] = s->high.v[k].value;
	}
	for (size_t i = 0; i < s->low.n && !out->full; i++) {
		pol_words_put64(out, ((size_t)to->low + 2 * i) * 2, s->low.v[i].lo);
		pol_words_put64(out, ((size_t)to->low + 2 * i + 1) * 2,
				(uint64_t)s->low.v[i].class << 32 | s->low.v[i].n);
	}
}

static void write_v6(struct half *h, int which)
{
	intervals6 all = { 0 };
	struct slots6 s = { 0 };
	u32s record = { 0 };

	gather_v6(&h->side[which], &all);
	for (size_t i = 0, end; i < all.n; i = end) {
		for (end = i + 1; end < all.n && all.v[end].first >> 64 == all.v[i].first >> 64;)
			end++;
		one_high(&s, all.v + i, end - i, i ? all.v[i - 1].record : 0);
	}
	write_slots(h, which, &s);
	for (uint32_t r = 0; r < pol_lists_count(&h->side[which].records); r++)
		*pol_vec_push(&record) = r;
	write_rows(h, which, &record);
	h->stats->intervals[which] = (uint32_t)all.n;
	pol_vec_free(&record);
	pol_vec_free(&s.high);
	pol_vec_free(&s.above);
	pol_vec_free(&s.low);
	pol_vec_free(&all);
}

void pol_half_write_addresses(struct half *h)
{
	for (int i = 0; i < 2; i++)
		if (too_wide(&h->side[i]))
			h->head->flags |= POL_FILTER_WIDE;
	for (int i = 0; i < 2; i++) {
		if (h->family == 4)
			write_v4(h, i);
		else
			write_v6(h, i);
	}
}
