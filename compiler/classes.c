/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "blocks.h"

_Static_assert(POL_V6_LOW == POL_SEARCH_OWN, "a group is of one high half alone");

/* ---- intervals ------------------------------------------------------------------ */

static void gather_v4(struct pol_tables *t, const pol_bounds32 *b, struct pol_classes *c)
{
	if (!b->n || b->v[0].first)
		*pol_vec_push(&t->v4) = (struct pol_interval){ 0, pol_classes_get(c, 0) };
	for (size_t i = 0; i < b->n; i++)
		*pol_vec_push(&t->v4) =
			(struct pol_interval){ b->v[i].first, pol_classes_get(c, b->v[i].set) };
}

/* IPv6, as it is gathered: intervals of high halves, and low halves of those that need them. */
struct v6_fill {
	pol_intervals *high;
	POL_VEC(struct pol_v6_low) low;
	uint32_t most; /* of the largest group */
};

/* What begins where the one before does takes its place; what is as the one before goes on with it. */
static void v6_high(struct v6_fill *f, uint64_t first, uint32_t value)
{
	pol_intervals *all = f->high;

	if (all->n && all->v[all->n - 1].first == first)
		all->n--;
	if (!all->n || all->v[all->n - 1].value != value)
		*pol_vec_push(all) = (struct pol_interval){ first, value };
}

/* One high half: all n bounds that lie in it; `below` is the class before the first of them. */
static void v6_one(struct v6_fill *f, const struct pol_bound128 *b, size_t n, struct pol_classes *c,
		   uint32_t below)
{
	uint64_t high = (uint64_t)(b[0].first >> 64);
	size_t group = f->low.n;

	if (n == 1 && !(uint64_t)b[0].first) {
		v6_high(f, high, pol_classes_get(c, b[0].set));
		return;
	}
	if ((uint64_t)b[0].first)
		*pol_vec_push(&f->low) = (struct pol_v6_low){ .class = below };
	for (size_t i = 0; i < n; i++)
		*pol_vec_push(&f->low) = (struct pol_v6_low){ (uint64_t)b[i].first,
							      pol_classes_get(c, b[i].set), 0 };
	f->low.v[group].n = (uint32_t)(f->low.n - group);
	if (f->low.v[group].n > f->most)
		f->most = f->low.v[group].n;
	v6_high(f, high, POL_V6_LOW | (uint32_t)group);
	if (high != UINT64_MAX)
		v6_high(f, high + 1, f->low.v[f->low.n - 1].class);
}

static void gather_v6(struct pol_tables *t, const pol_bounds128 *b, struct pol_classes *c)
{
	struct v6_fill f = { .high = &t->v6 };
	uint32_t below;

	if (!b->n || b->v[0].first >> 64)
		v6_high(&f, 0, pol_classes_get(c, 0));
	for (size_t i = 0, from = 0; i < b->n; from = i) {
		while (i < b->n && b->v[i].first >> 64 == b->v[from].first >> 64)
			i++;
		below = pol_classes_get(c, from ? b->v[from - 1].set : 0);
		v6_one(&f, &b->v[from], i - from, c, below);
	}
	t->v6_bounds = (uint32_t)b->n;
	t->v6_lows = (uint32_t)f.low.n;
	for (t->v6_low_len = 1; t->v6_low_len < f.low.n; t->v6_low_len *= 2)
		;
	t->v6_low = pol_arena_alloc(t->arena, t->v6_low_len * sizeof(*t->v6_low));
	if (f.low.n)
		memcpy(t->v6_low, f.low.v, f.low.n * sizeof(*f.low.v));
	while (1u << t->v6_low_depth < f.most)
		t->v6_low_depth++;
	pol_vec_free(&f.low);
}

/* ---- addresses ---------------------------------------------------------------------- */

static size_t ranges_of(const struct pol_ir *ir, uint32_t aset)
{
	return ir->asets.v[aset].n4 + ir->asets.v[aset].n6;
}

/* The rule to blame for an address set: the first that uses it. */
static const struct pol_rule *user_of(const struct pol_ir *ir, uint32_t aset)
{
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_pred *p = &ir->preds.v[ir->rules.v[i].pred];

		for (size_t k = 0; k < p->n; k++)
			if (p->term[k].aset == aset)
				return &ir->rules.v[i];
	}
	return NULL;
}

static int too_many_bounds(struct pol_tabulation *b, size_t n)
{
	uint32_t worst = 0;
	const struct pol_rule *r;
	struct pol_diag *g;

	for (uint32_t i = 1; i < b->ir->asets.n; i++)
		if (b->aset_used[i] && (!worst || ranges_of(b->ir, i) > ranges_of(b->ir, worst)))
			worst = i;
	r = user_of(b->ir, worst);
	g = pol_diag(b->diags, POL_P0511, r ? r->span : POL_NO_SPAN,
		     "too many address ranges: %zu bounds, the data path searches at most %u", n,
		     POL_MAX_BOUNDS);
	pol_diag_label(b->diags, g, "%zu ranges of addresses here, the most of all rules",
		       ranges_of(b->ir, worst));
	pol_diag_help(b->diags, g, "aggregate prefixes, or drop those that another list covers");
	return -E2BIG;
}

/* Every aset that a rule asks for, and the pool, which tells WORLD from POOL. */
static void mark_used(struct pol_tabulation *b)
{
	for (size_t i = 0; i < b->ir->rules.n; i++) {
		const struct pol_pred *p = &b->ir->preds.v[b->ir->rules.v[i].pred];

		for (size_t k = 0; k < p->n; k++)
			b->aset_used[p->term[k].aset] = true;
		b->l4_used[b->ir->rules.v[i].l4] = true;
	}
	b->aset_used[b->ir->pool] = true;
	b->aset_used[0] = false;
	b->l4_used[0] = false;
}

/*
 * Classes are numbered by the first address that has them, IPv4 before IPv6:
 * the same addresses give the same numbers, wherever the sets are written down,
 * and a prefix with others inside is few runs of numbers.
 */
static int number_classes(struct pol_tabulation *b, const pol_bounds32 *v4, const pol_bounds128 *v6,
			  struct pol_classes *c)
{
	struct pol_tables *t = b->t;
	size_t most = v4->n > v6->n ? v4->n : v6->n;

	if (most > POL_MAX_BOUNDS)
		return too_many_bounds(b, most);
	gather_v4(t, v4, c);
	gather_v6(t, v6, c);
	pol_search_make(&t->v4_search, 4, &t->v4);
	pol_search_make(&t->v6_search, 6, &t->v6);
	t->nclasses = (uint32_t)c->set_of.n;
	t->nclasses_padded = (t->nclasses + POL_PAGE - 1) / POL_PAGE * POL_PAGE;
	b->aset_runs = pol_arena_alloc(t->arena, b->ir->asets.n * sizeof(*b->aset_runs));
	pol_classes_runs(c, t->arena, b->aset_runs, b->ir->asets.n);
	b->aset_runs[0] = pol_run_all(t->arena, t->nclasses_padded);
	return 0;
}

/* After the classes are numbered. */
static void mark_pool(struct pol_tabulation *b)
{
	struct pol_runs runs = b->aset_runs[b->ir->pool];
	struct pol_tables *t = b->t;

	if (runs.n)
		t->pool = pol_arena_alloc(t->arena, t->nclasses_padded / 32 * sizeof(*t->pool));
	for (size_t i = 0; i < runs.n; i++)
		for (uint32_t c = runs.run[i].lo; c <= runs.run[i].hi; c++)
			t->pool[c / 32] |= 1u << c % 32;
}

int pol_tabulate_addresses(struct pol_tabulation *b)
{
	pol_events32 e4 = { 0 };
	pol_events128 e6 = { 0 };
	pol_bounds32 v4 = { 0 };
	pol_bounds128 v6 = { 0 };
	struct pol_classes c;
	int r;

	mark_used(b);
	pol_classes_init(&c);
	for (uint32_t i = 1; i < b->ir->asets.n; i++) {
		const struct pol_aset *s = &b->ir->asets.v[i];

		if (!b->aset_used[i])
			continue;
		pol_events32_add(&e4, i, s->v4, s->n4);
		pol_events128_add(&e6, i, s->v6, s->n6);
	}
	pol_sweep32(&e4, c.sets, &v4);
	pol_vec_free(&e4);
	pol_sweep128(&e6, c.sets, &v6);
	pol_vec_free(&e6);
	r = number_classes(b, &v4, &v6, &c);
	if (!r)
		mark_pool(b);
	pol_vec_free(&v4);
	pol_vec_free(&v6);
	pol_classes_free(&c);
	return r;
}

/* ---- L4 ------------------------------------------------------------------------------- */

static const struct {
	uint8_t proto, slot;
	uint16_t max;
} l4_slots[] = {
	{ 1, POL_L4_ICMP, 255 },    { 6, POL_L4_TCP, 65535 },    { 17, POL_L4_UDP, 65535 },
	{ 58, POL_L4_ICMPV6, 255 }, { 132, POL_L4_SCTP, 65535 },
};

static int slot_of(uint32_t proto)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(l4_slots); i++)
		if (l4_slots[i].proto == proto)
			return (int)i;
	return -1;
}

/* A walk over the keys that packets have; `class` by table slot and value, or by protocol. */
struct l4_fill {
	struct pol_tabulation *b;
	struct pol_classes classes;
	uint32_t *class[POL_L4_SLOTS]; /* 65536 each */
	uint32_t proto[256];
};

/* One class for all keys from lo to hi, if there are any that a packet can have. */
static void l4_interval(struct l4_fill *f, uint32_t lo, uint32_t hi, uint32_t set)
{
	for (uint32_t proto = lo >> 16; proto <= hi >> 16 && proto <= 255; proto++) {
		uint32_t from = proto == lo >> 16 ? lo & 0xffff : 0;
		uint32_t to = proto == hi >> 16 ? hi & 0xffff : 0xffff;
		int slot = slot_of(proto);
		uint32_t max = slot < 0 ? 0 : l4_slots[slot].max;

		if (from > max)
			continue;
		if (slot < 0) {
			f->proto[proto] = pol_classes_get(&f->classes, set);
			continue;
		}
		for (uint32_t v = from; v <= to && v <= max; v++)
			f->class[l4_slots[slot].slot][v] = pol_classes_get(&f->classes, set);
	}
}

/* Pages of 256 that are equal are one. */
static void l4_pages(struct l4_fill *f)
{
	struct pol_tables *t = f->b->t;
	POL_VEC(uint16_t) cells = { 0 };
	uint32_t len = 256;

	for (unsigned slot = 0; slot < POL_L4_SLOTS; slot++) {
		for (unsigned high = 0; high < 256; high++) {
			/* ICMP types have no high byte: only page 0 is ever asked. */
			unsigned from = slot == POL_L4_ICMP || slot == POL_L4_ICMPV6 ? 0 : high;
			uint16_t page[256];
			size_t at = 0;

			for (unsigned i = 0; i < 256; i++)
				page[i] = (uint16_t)f->class[slot][from * 256 + i];
			while (at < cells.n && memcmp(&cells.v[at], page, sizeof(page)) != 0)
				at += 256;
			if (at == cells.n) {
				pol_vec_reserve(&cells, cells.n + 256);
				memcpy(&cells.v[cells.n], page, sizeof(page));
				cells.n += 256;
			}
			t->l4_page[slot][high] = (uint16_t)(at / 256);
		}
	}
	while (len < cells.n)
		len *= 2;
	t->l4_class_len = len;
	t->l4_class = pol_arena_alloc(t->arena, len * sizeof(*t->l4_class));
	memcpy(t->l4_class, cells.v, cells.n * sizeof(*cells.v));
	pol_vec_free(&cells);
}

static int too_many_l4(struct pol_tabulation *b, size_t n)
{
	const struct pol_rule *worst = NULL;
	struct pol_diag *g;

	for (size_t i = 0; i < b->ir->rules.n; i++) {
		const struct pol_rule *r = &b->ir->rules.v[i];

		if (!worst || b->ir->l4sets.v[r->l4].n > b->ir->l4sets.v[worst->l4].n)
			worst = r;
	}
	g = pol_diag(b->diags, POL_P0512, worst ? worst->span : POL_NO_SPAN,
		     "too many kinds of ports: the rules tell %zu apart, the tables hold %u", n,
		     POL_MAX_L4_CLASSES);
	if (worst)
		pol_diag_label(b->diags, g, "%zu ranges of ports here, the most of all rules",
			       b->ir->l4sets.v[worst->l4].n);
	pol_diag_help(b->diags, g, "use ranges of ports instead of single ones");
	return -E2BIG;
}

static void l4_sweep(struct l4_fill *f)
{
	const struct pol_ir *ir = f->b->ir;
	pol_events32 events = { 0 };
	pol_bounds32 bounds = { 0 };
	uint32_t set = 0, from = 0;

	for (uint32_t i = 1; i < ir->l4sets.n; i++)
		if (f->b->l4_used[i])
			pol_events32_add(&events, i, ir->l4sets.v[i].range, ir->l4sets.v[i].n);
	pol_sweep32(&events, f->classes.sets, &bounds);
	pol_vec_free(&events);
	for (size_t i = 0; i < bounds.n; i++) {
		if (bounds.v[i].first > from)
			l4_interval(f, from, bounds.v[i].first - 1, set);
		from = bounds.v[i].first;
		set = bounds.v[i].set;
	}
	if (from <= POL_L4_KEY_MAX)
		l4_interval(f, from, POL_L4_KEY_MAX, set);
	pol_vec_free(&bounds);
}

/* Classes count up with the keys, so that a range of ports is one run of classes or few. */
int pol_tabulate_l4(struct pol_tabulation *b)
{
	struct pol_tables *t = b->t;
	struct l4_fill f = { .b = b };
	uint32_t *cells = calloc((size_t)POL_L4_SLOTS * 65536, sizeof(*cells));
	uint32_t span = POL_PAGE;
	int r = 0;

	if (!cells)
		pol_no_memory();
	for (unsigned i = 0; i < POL_L4_SLOTS; i++)
		f.class[i] = cells + (size_t)i * 65536;
	pol_classes_init(&f.classes);
	l4_sweep(&f);
	t->nl4 = (uint32_t)f.classes.set_of.n;
	if (t->nl4 > POL_MAX_L4_CLASSES) {
		r = too_many_l4(b, t->nl4);
		goto out;
	}
	for (t->l4_levels = 1; span < t->nl4; t->l4_levels++)
		span *= POL_PAGE;
	for (unsigned i = 0; i < 256; i++)
		t->proto_class[i] = (uint16_t)f.proto[i];
	t->l4_page = pol_arena_alloc(t->arena, POL_L4_SLOTS * sizeof(*t->l4_page));
	l4_pages(&f);
	b->l4_runs = pol_arena_alloc(t->arena, b->ir->l4sets.n * sizeof(*b->l4_runs));
	pol_classes_runs(&f.classes, t->arena, b->l4_runs, b->ir->l4sets.n);
	b->l4_runs[0] = pol_run_all(t->arena, span);
out:
	pol_classes_free(&f.classes);
	free(cells);
	return r;
}
