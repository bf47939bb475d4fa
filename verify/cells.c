/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/cells.h"

#include <netinet/in.h>

#include "compiler/ranges.h"

/* ---- gathering ---------------------------------------------------------------- */

struct found { /* a cell, before its sets are spelled out */
	uint32_t class, set; /* set: of pol_sets */
	struct pol_ip addr;
	uint32_t key;
};

struct gather {
	struct pol_sets *sets;
	POL_VEC(struct found) found;
	uint32_t *slot; /* hash of (class, set): index into found, + 1 */
	size_t cap;
};

static size_t slot_of(const struct gather *g, uint32_t class, uint32_t set)
{
	uint32_t pair[2] = { class, set };
	size_t at = pol_hash(pair, sizeof(pair), 11) & (g->cap - 1);

	while (g->slot[at]) {
		const struct found *f = &g->found.v[g->slot[at] - 1];

		if (f->class == class && f->set == set)
			break;
		at = (at + 1) & (g->cap - 1);
	}
	return at;
}

static void grow(struct gather *g)
{
	free(g->slot);
	g->cap = g->cap ? 2 * g->cap : 1024;
	g->slot = calloc(g->cap, sizeof(*g->slot));
	if (!g->slot)
		pol_no_memory();
	for (size_t i = 0; i < g->found.n; i++)
		g->slot[slot_of(g, g->found.v[i].class, g->found.v[i].set)] = (uint32_t)i + 1;
}

static void add(struct gather *g, struct found f)
{
	size_t at;

	if (2 * g->found.n >= g->cap)
		grow(g);
	at = slot_of(g, f.class, f.set);
	if (g->slot[at])
		return;
	*pol_vec_push(&g->found) = f;
	g->slot[at] = (uint32_t)g->found.n;
}

/* ---- from sets of sets to lists -------------------------------------------------- */

static int by_class(const void *pa, const void *pb)
{
	const struct found *a = pa, *b = pb;

	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	return (a->set > b->set) - (a->set < b->set);
}

typedef POL_VEC(uint32_t) numbers;

static void add_member(void *ctx, uint32_t element)
{
	numbers *n = ctx;

	*pol_vec_push(n) = element;
}

static int by_number(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static void spell(struct ver_cell *c, const struct gather *g, uint32_t set, struct pol_arena *a)
{
	numbers members = { 0 };

	pol_sets_diff(g->sets, 0, set, add_member, &members);
	if (members.n)
		qsort(members.v, members.n, sizeof(*members.v), by_number);
	c->nsets = members.n;
	c->set = pol_arena_alloc(a, (members.n + 1) * sizeof(*c->set));
	if (members.n)
		memcpy(c->set, members.v, members.n * sizeof(*c->set));
	pol_vec_free(&members);
}

static void finish(struct ver_cells *c, struct gather *g, uint32_t nclasses, size_t nsets,
		   struct pol_arena *a)
{
	size_t at = 0;

	if (g->found.n)
		qsort(g->found.v, g->found.n, sizeof(*g->found.v), by_class);
	c->nclasses = nclasses;
	c->first = pol_arena_alloc(a, (nclasses + 1) * sizeof(*c->first));
	c->in = calloc(nsets, sizeof(*c->in));
	if (!c->in)
		pol_no_memory();
	for (uint32_t class = 0; class < nclasses; class ++) {
		c->first[class] = (uint32_t)c->v.n;
		for (; at < g->found.n && g->found.v[at].class == class; at++) {
			struct ver_cell *cell = pol_vec_push(&c->v);

			*cell = (struct ver_cell){ .class = class,
						   .real = true,
						   .addr = g->found.v[at].addr,
						   .key = g->found.v[at].key };
			spell(cell, g, g->found.v[at].set, a);
			for (size_t i = 0; i < cell->nsets; i++) {
				__typeof__(*c->in) *in = &c->in[cell->set[i]];

				if (!in->n || in->v[in->n - 1] != class)
					*pol_vec_push(in) = class;
			}
		}
		if (c->first[class] == c->v.n)
			*pol_vec_push(&c->v) = (struct ver_cell){ .class = class };
	}
	c->first[nclasses] = (uint32_t)c->v.n;
	pol_vec_free(&g->found);
	free(g->slot);
	pol_sets_free(g->sets);
}

void ver_cells_free(struct ver_cells *c, size_t nsets)
{
	for (size_t i = 0; c->in && i < nsets; i++)
		pol_vec_free(&c->in[i]);
	free(c->in);
	pol_vec_free(&c->v);
	c->in = NULL;
}

/* ---- addresses ----------------------------------------------------------------------- */

typedef POL_VEC(pol_u128) places;

static int by_place(const void *pa, const void *pb)
{
	pol_u128 a = *(const pol_u128 *)pa, b = *(const pol_u128 *)pb;

	return (a > b) - (a < b);
}

static void cut(places *p, pol_u128 at)
{
	*pol_vec_push(p) = at;
}

/* At a high half as a whole: where it begins and where the next one does. */
static void cut_high(places *p, uint64_t hi)
{
	cut(p, (pol_u128)hi << 64);
	if (hi != UINT64_MAX)
		cut(p, ((pol_u128)hi + 1) << 64);
}

static void cut_v4(void *p, uint64_t first)
{
	cut(p, first);
}

static void cut_v6(void *p, uint64_t first)
{
	cut(p, (pol_u128)first << 64);
}

struct low_cuts {
	const struct pol_class_tables *t;
	places *p;
};

/* Groups of low halves, each of one high half (runtime/input/object.c). */
static void cut_group(void *ctx, uint64_t first)
{
	struct low_cuts *c = ctx;
	uint32_t class = c->t->v6_class[pol_search_find(&c->t->v6, first)];
	const struct pol_v6_low *low = &c->t->v6_low[class & ~POL_V6_LOW];

	if (!(class & POL_V6_LOW))
		return;
	cut_high(c->p, first);
	for (uint32_t k = 0; k < low->n; k++)
		cut(c->p, (pol_u128)first << 64 | low[k].lo);
}

static void object_cuts(const struct pol_class_tables *t, uint8_t family, places *p)
{
	struct low_cuts low = { t, p };

	cut(p, 0);
	pol_search_places(family == 4 ? &t->v4 : &t->v6, family == 4 ? cut_v4 : cut_v6, p);
	if (family == 6)
		pol_search_places(&t->v6, cut_group, &low);
}

static void walk_family(struct gather *g, const struct prt_object *o, uint8_t family,
			const pol_bounds128 *bounds)
{
	places p = { 0 };
	uint32_t set = 0;
	size_t next = 0;

	object_cuts(&o->classes, family, &p);
	for (size_t i = 0; i < bounds->n; i++)
		if (family == 6 || bounds->v[i].first <= UINT32_MAX)
			cut(&p, bounds->v[i].first);
	qsort(p.v, p.n, sizeof(*p.v), by_place);
	for (size_t i = 0; i < p.n; i++) {
		struct pol_ip ip = pol_ip_of(p.v[i], family);

		if (i && p.v[i] == p.v[i - 1])
			continue;
		for (; next < bounds->n && bounds->v[next].first <= p.v[i]; next++)
			set = bounds->v[next].set;
		add(g, (struct found){ pol_class_of(&o->classes, ip), set, ip, 0 });
	}
	pol_vec_free(&p);
}

void ver_cells_addresses(struct ver_cells *c, const struct pol_ir *ir, const bool *used,
			 const struct prt_object *o, struct pol_arena *a)
{
	struct gather g = { .sets = pol_sets_new() };
	pol_events128 v4 = { 0 }, v6 = { 0 };
	pol_bounds128 bounds = { 0 };

	*c = (struct ver_cells){ 0 };
	for (uint32_t i = 1; i < ir->asets.n; i++) {
		const struct pol_aset *s = &ir->asets.v[i];

		if (!used[i])
			continue;
		for (size_t k = 0; k < s->n4; k++) {
			struct pol_range128 wide = { s->v4[k].lo, s->v4[k].hi };

			pol_events128_add(&v4, i, &wide, 1);
		}
		pol_events128_add(&v6, i, s->v6, s->n6);
	}
	pol_sweep128(&v4, g.sets, &bounds);
	walk_family(&g, o, 4, &bounds);
	pol_vec_free(&bounds);
	pol_sweep128(&v6, g.sets, &bounds);
	walk_family(&g, o, 6, &bounds);
	pol_vec_free(&bounds);
	pol_vec_free(&v4);
	pol_vec_free(&v6);
	finish(c, &g, o->manifest.classes_padded, ir->asets.n, a);
}

/* ---- ports and types --------------------------------------------------------------------- */

/* How many values a packet of the protocol can have. */
static uint32_t values_of(unsigned proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return 65536;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 256;
	default:
		return 1;
	}
}

void ver_cells_l4(struct ver_cells *c, const struct pol_ir *ir, const bool *used,
		  const struct prt_object *o, struct pol_arena *a)
{
	struct gather g = { .sets = pol_sets_new() };
	pol_events32 events = { 0 };
	pol_bounds32 bounds = { 0 };
	uint32_t set = 0;
	size_t next = 0;

	*c = (struct ver_cells){ 0 };
	for (uint32_t i = 1; i < ir->l4sets.n; i++)
		if (used[i])
			pol_events32_add(&events, i, ir->l4sets.v[i].range, ir->l4sets.v[i].n);
	pol_sweep32(&events, g.sets, &bounds);
	for (unsigned proto = 0; proto < 256; proto++) {
		for (uint32_t value = 0; value < values_of(proto); value++) {
			uint32_t key = POL_L4_KEY(proto, value);

			for (; next < bounds.n && bounds.v[next].first <= key; next++)
				set = bounds.v[next].set;
			add(&g, (struct found){ prt_l4_class(o, (uint8_t)proto, (uint16_t)value),
						set,
						{ 0 },
						key });
		}
	}
	pol_vec_free(&events);
	pol_vec_free(&bounds);
	finish(c, &g, 1u << (POL_PAGE_BITS * o->manifest.l4_levels), ir->l4sets.n, a);
}
