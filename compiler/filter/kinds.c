/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands behind IP: destination port or type, source port and flags are cut into classes
 * each, and a packet's kind is which predicates of lines hold for its three classes.
 */
#include "compiler/filter/build.h"

#define KINDS_WORK (1u << 22) /* triples of classes */

typedef POL_VEC(uint32_t) u32s;
typedef POL_VEC(uint64_t) u64s;

/* Points that lie in the same of some sets of ranges. */
struct field {
	u32s set; /* l4set ids */
	pol_bounds32 bounds; /* `set`: a class */
	struct pol_classes classes;
	uint64_t *has; /* by class and set: bits */
	size_t row; /* words of a class in `has` */
};

static uint32_t index_of(u32s *v, uint32_t x)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->v[i] == x)
			return i;
	*pol_vec_push(v) = x;
	return (uint32_t)v->n - 1;
}

static void mark(struct field *f, const struct pol_sets *s, uint32_t class, uint32_t set)
{
	struct pol_set_node n;

	if (!set)
		return;
	n = pol_sets_node(s, set);
	if (!n.left && !n.right) {
		f->has[class * f->row + n.label / 64] |= 1ull << n.label % 64;
		return;
	}
	mark(f, s, class, n.left);
	mark(f, s, class, n.right);
}

static void cut(struct field *f, const struct pol_ir *ir)
{
	pol_events32 e = { 0 };

	pol_classes_init(&f->classes);
	for (uint32_t i = 0; i < f->set.n; i++)
		pol_events32_add(&e, i, ir->l4sets.v[f->set.v[i]].range,
				 ir->l4sets.v[f->set.v[i]].n);
	pol_sweep32(&e, f->classes.sets, &f->bounds);
	for (size_t i = 0; i < f->bounds.n; i++)
		f->bounds.v[i].set = pol_classes_get(&f->classes, f->bounds.v[i].set);
	pol_vec_free(&e);
	f->row = f->set.n / 64 + 1;
	f->has = calloc(f->classes.set_of.n * f->row, sizeof(*f->has));
	if (!f->has)
		pol_no_memory();
	for (uint32_t c = 0; c < f->classes.set_of.n; c++)
		mark(f, f->classes.sets, c, f->classes.set_of.v[c]);
}

static void field_free(struct field *f)
{
	pol_vec_free(&f->set);
	pol_vec_free(&f->bounds);
	pol_classes_free(&f->classes);
	free(f->has);
}

static bool has(const struct field *f, uint32_t class, uint32_t set)
{
	return f->has[class * f->row + set / 64] >> set % 64 & 1;
}

static uint32_t class_at(const struct field *f, uint32_t key)
{
	size_t lo = 0, hi = f->bounds.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->bounds.v[mid].first <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? f->bounds.v[lo - 1].set : 0;
}

/* ---- tables of ports ------------------------------------------------------------------ */

/* 256 pages of 256 classes from `key` on; equal pages are one.  Returns by `page` their numbers. */
static void port_pages(const struct field *f, uint32_t key, struct pol_lists *pages,
		       uint32_t page[256])
{
	uint32_t v[256];
	size_t at = 0;

	for (uint32_t high = 0; high < 256; high++) {
		for (uint32_t low = 0; low < 256; low++) {
			uint32_t k = key + high * 256 + low;

			while (at < f->bounds.n && f->bounds.v[at].first <= k)
				at++;
			v[low] = at ? f->bounds.v[at - 1].set : 0;
		}
		page[high] = pol_lists_get(pages, v, 256) - 1; /* list 0 is the empty one */
	}
}

static uint32_t write_pages(struct pol_words *out, const struct pol_lists *pages)
{
	uint32_t n = pol_lists_count(pages) - 1;
	uint32_t at = pol_words_room(out, (size_t)n * 128, 1) * 2;

	for (uint32_t p = 0; p < n && !out->full; p++)
		for (uint32_t i = 0; i < 256; i++)
			pol_words_put16(out, at + (size_t)p * 256 + i,
					pol_lists_at(pages, p + 1)[i]);
	return at;
}

static uint32_t write_numbers(struct pol_words *out, const uint32_t *v, size_t n)
{
	uint32_t at = pol_words_room(out, n / 2, 1) * 2;

	for (size_t i = 0; i < n && !out->full; i++)
		pol_words_put16(out, at + i, v[i]);
	return at;
}

/* Of a protocol that has neither ports nor types: one class whatever they are. */
static void same_page(uint32_t class, struct pol_lists *pages, uint32_t page[256])
{
	uint32_t v[256];

	for (unsigned i = 0; i < 256; i++)
		v[i] = class;
	v[0] = pol_lists_get(pages, v, 256) - 1;
	for (unsigned i = 0; i < 256; i++)
		page[i] = v[0];
}

static bool has_values(uint32_t proto)
{
	return proto == 6 || proto == 17 || proto == 132 || proto == 1 || proto == 58;
}

static void write_l4(struct half *h, const struct field *l4)
{
	uint32_t page[256], row[256];
	struct pol_lists pages, rows;

	pol_lists_init(&pages);
	pol_lists_init(&rows);
	for (uint32_t p = 0; p < 256; p++) {
		if (has_values(p))
			port_pages(l4, POL_L4_KEY(p, 0), &pages, page);
		else
			same_page(class_at(l4, POL_L4_KEY(p, 0)), &pages, page);
		row[p] = pol_lists_get(&rows, page, 256) - 1;
	}
	h->head->l4_row = write_numbers(h->out, row, 256);
	h->head->l4_page = write_pages(h->out, &rows);
	h->head->l4_class = write_pages(h->out, &pages);
	pol_lists_free(&pages);
	pol_lists_free(&rows);
}

static void write_sports(struct half *h, const struct field *sport)
{
	struct pol_lists pages;
	uint32_t page[256];

	pol_lists_init(&pages);
	port_pages(sport, 0, &pages, page);
	h->head->sport_page = write_numbers(h->out, page, 256);
	h->head->sport_class = write_pages(h->out, &pages);
	pol_lists_free(&pages);
}

/* ---- flags ---------------------------------------------------------------------------------- */

struct flags {
	u32s pair; /* set << 8 | clear */
	uint32_t class[256];
	u64s has; /* by class: pairs that hold; at most 64 */
};

static void cut_flags(struct flags *f)
{
	for (uint32_t v = 0; v < 256; v++) {
		uint64_t holds = 0;
		uint32_t c = 0;

		for (uint32_t i = 0; i < f->pair.n && i < 64; i++) {
			uint32_t set = f->pair.v[i] >> 8, clear = f->pair.v[i] & 255;

			if ((v & set) == set && !(v & clear))
				holds |= 1ull << i;
		}
		while (c < f->has.n && f->has.v[c] != holds)
			c++;
		if (c == f->has.n)
			*pol_vec_push(&f->has) = holds;
		f->class[v] = c;
	}
}

/* ---- kinds --------------------------------------------------------------------------------------- */

struct term {
	uint32_t l4, sport, flags, pred;
};
typedef POL_VEC(struct term) terms;

static void collect(const struct half *h, struct field *l4, struct field *sport, struct flags *fl,
		    terms *out)
{
	for (uint32_t p = 1; p < pol_lists_count(&h->preds); p++) {
		const uint32_t *w = pol_lists_at(&h->preds, p);

		for (size_t i = 0; i < pol_lists_len(&h->preds, p); i += 3)
			*pol_vec_push(out) = (struct term){
				.l4 = index_of(&l4->set, w[i]),
				.sport = index_of(&sport->set, w[i + 1]),
				.flags = index_of(&fl->pair, w[i + 2]),
				.pred = p,
			};
	}
}

/* Terms come by ascending pred, so the list is sorted. */
static void kind_of(const terms *t, const u32s *some, const struct field *sport, uint32_t sc,
		    uint64_t flags, u32s *out)
{
	out->n = 0;
	for (size_t i = 0; i < some->n; i++) {
		const struct term *x = &t->v[some->v[i]];

		if (out->n && out->v[out->n - 1] == x->pred)
			continue;
		if (has(sport, sc, x->sport) && flags >> x->flags & 1)
			*pol_vec_push(out) = x->pred;
	}
}

static void write_kinds(struct half *h, const struct field *l4, const struct field *sport,
			const struct flags *fl, const terms *t)
{
	uint32_t nl4 = (uint32_t)l4->classes.set_of.n;
	u32s some = { 0 }, holds = { 0 };
	uint32_t at;

	h->head->nsports = (uint16_t)sport->classes.set_of.n;
	h->head->nflags = (uint16_t)fl->has.n;
	at = h->head->kind =
		pol_words_room(h->out, (size_t)nl4 * h->head->nsports * h->head->nflags, 1);
	for (uint32_t c = 0; c < nl4 && !h->out->full; c++) {
		some.n = 0;
		for (uint32_t i = 0; i < t->n; i++)
			if (has(l4, c, t->v[i].l4))
				*pol_vec_push(&some) = i;
		for (uint32_t s = 0; s < h->head->nsports; s++)
			for (uint32_t f = 0; f < h->head->nflags; f++) {
				kind_of(t, &some, sport, s, fl->has.v[f], &holds);
				h->out->w.v[at++] = pol_lists_get(&h->kinds, holds.v, holds.n);
			}
	}
	pol_vec_free(&some);
	pol_vec_free(&holds);
}

static void write_masks(struct half *h)
{
	uint32_t n = pol_lists_count(&h->kinds);

	h->head->nkinds = h->stats->kinds = n;
	h->head->kind_mask = pol_words_room(h->out, (size_t)n * 2, 2) / 2;
	for (uint32_t k = 0; k < n && !h->out->full; k++) {
		const uint32_t *p = pol_lists_at(&h->kinds, k);
		uint64_t mask = h->pred_mask.v[0];

		for (size_t i = 0; i < pol_lists_len(&h->kinds, k); i++)
			mask |= h->pred_mask.v[p[i]];
		pol_words_put64(h->out, ((size_t)h->head->kind_mask + k) * 2, mask);
	}
}

bool pol_half_kinds(struct half *h)
{
	struct field l4 = { 0 }, sport = { 0 };
	struct flags fl = { 0 };
	terms t = { 0 };

	pol_lists_init(&h->kinds);
	collect(h, &l4, &sport, &fl, &t);
	cut(&l4, h->ir);
	cut(&sport, h->ir);
	cut_flags(&fl);
	if (fl.pair.n > 64)
		h->refused = "it tests more than 64 combinations of TCP flags";
	else if (l4.classes.set_of.n > 65535 || sport.classes.set_of.n > 65535 ||
		 l4.classes.set_of.n * sport.classes.set_of.n * fl.has.n > KINDS_WORK)
		h->refused = "its ports, source ports and flags cross in too many ways";
	if (!h->refused) {
		write_l4(h, &l4);
		write_sports(h, &sport);
		h->head->flag_class = write_numbers(h->out, fl.class, 256);
		write_kinds(h, &l4, &sport, &fl, &t);
		write_masks(h);
	}
	field_free(&l4);
	field_free(&sport);
	pol_vec_free(&fl.pair);
	pol_vec_free(&fl.has);
	pol_vec_free(&t);
	return !h->refused;
}
