/* SPDX-License-Identifier: GPL-2.0-only */
#include "partition.h"

/* ---- sets of small numbers, hash-consed ------------------------------------------ */

struct pol_sets {
	POL_VEC(struct pol_set_node) node; /* [0] is the empty set */
	uint32_t *slot; /* node number, 0 is free */
	uint32_t cap; /* power of two */
};

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		pol_no_memory();
	return p;
}

struct pol_sets *pol_sets_new(void)
{
	struct pol_sets *s = zeroed(1, sizeof(*s));

	s->cap = 64;
	s->slot = zeroed(s->cap, sizeof(*s->slot));
	pol_vec_push(&s->node);
	return s;
}

void pol_sets_free(struct pol_sets *s)
{
	if (!s)
		return;
	pol_vec_free(&s->node);
	free(s->slot);
	free(s);
}

uint32_t pol_sets_count(const struct pol_sets *s)
{
	return (uint32_t)s->node.n;
}

struct pol_set_node pol_sets_node(const struct pol_sets *s, uint32_t set)
{
	return s->node.v[set];
}

static uint32_t *slot_of(uint32_t *slot, uint32_t cap, const struct pol_set_node *v,
			 struct pol_set_node n)
{
	uint32_t at = (uint32_t)pol_hash(&n, sizeof(n), 3) & (cap - 1);

	while (slot[at] && memcmp(&v[slot[at]], &n, sizeof(n)) != 0)
		at = (at + 1) & (cap - 1);
	return &slot[at];
}

static void sets_grow(struct pol_sets *s)
{
	uint32_t cap = s->cap * 2;
	uint32_t *slot;

	if (2 * (s->node.n + 1) <= s->cap)
		return;
	if (s->node.n > UINT32_MAX / 4)
		abort();
	slot = zeroed(cap, sizeof(*slot));
	for (uint32_t i = 1; i < s->node.n; i++)
		*slot_of(slot, cap, s->node.v, s->node.v[i]) = i;
	free(s->slot);
	s->slot = slot;
	s->cap = cap;
}

static uint32_t node(struct pol_sets *s, uint32_t label, uint32_t left, uint32_t right)
{
	struct pol_set_node n = { label, left, right };
	uint32_t *slot;

	sets_grow(s);
	slot = slot_of(s->slot, s->cap, s->node.v, n);
	if (!*slot) {
		*slot = (uint32_t)s->node.n;
		*pol_vec_push(&s->node) = n;
	}
	return *slot;
}

static bool is_leaf(struct pol_set_node n)
{
	return !n.left;
}

/* The deciding bit of a branch, 0 of a leaf: what is below a node has a smaller one. */
static uint32_t bit_of(struct pol_set_node n)
{
	return is_leaf(n) ? 0 : n.label & -n.label;
}

/* Do the bits above the deciding one agree? */
static bool is_above(struct pol_set_node n, uint32_t element)
{
	return !is_leaf(n) && !((n.label ^ element) & ~(2 * bit_of(n) - 1));
}

static uint32_t join(struct pol_sets *s, uint32_t a, uint32_t b)
{
	uint32_t la = s->node.v[a].label, lb = s->node.v[b].label;
	uint32_t bit = 1u << (31 - __builtin_clz(la ^ lb)), label = (la & ~(bit - 1)) | bit;

	return la & bit ? node(s, label, b, a) : node(s, label, a, b);
}

uint32_t pol_sets_toggle(struct pol_sets *s, uint32_t set, uint32_t element)
{
	struct pol_set_node n = s->node.v[set];
	uint32_t left = n.left, right = n.right;

	if (!set)
		return node(s, element, 0, 0);
	if (is_leaf(n) && n.label == element)
		return 0;
	if (!is_above(n, element))
		return join(s, set, node(s, element, 0, 0));
	if (element & bit_of(n))
		right = pol_sets_toggle(s, right, element);
	else
		left = pol_sets_toggle(s, left, element);
	if (!left || !right)
		return left | right;
	return node(s, n.label, left, right);
}

void pol_sets_diff(const struct pol_sets *s, uint32_t a, uint32_t b,
		   void (*call)(void *ctx, uint32_t element), void *ctx)
{
	struct pol_set_node na = s->node.v[a], nb = s->node.v[b];

	if (a == b)
		return;
	/* Make a the one that is to be opened: the one whose deciding bit is higher. */
	if (!a || (b && bit_of(na) < bit_of(nb))) {
		pol_sets_diff(s, b, a, call, ctx);
	} else if (is_leaf(na)) {
		call(ctx, na.label);
		if (b)
			call(ctx, nb.label);
	} else if (!b || !is_above(na, nb.label)) {
		pol_sets_diff(s, na.left, 0, call, ctx);
		pol_sets_diff(s, na.right, 0, call, ctx);
		pol_sets_diff(s, b, 0, call, ctx);
	} else if (na.label == nb.label && !is_leaf(nb)) {
		pol_sets_diff(s, na.left, nb.left, call, ctx);
		pol_sets_diff(s, na.right, nb.right, call, ctx);
	} else if (nb.label & bit_of(na)) {
		pol_sets_diff(s, na.left, 0, call, ctx);
		pol_sets_diff(s, na.right, b, call, ctx);
	} else {
		pol_sets_diff(s, na.left, b, call, ctx);
		pol_sets_diff(s, na.right, 0, call, ctx);
	}
}

/* ---- sweeps ------------------------------------------------------------------------ */

/* Both ends of a range are the same event: the element is toggled. */
void pol_events32_add(pol_events32 *e, uint32_t element, const struct pol_range32 *r, size_t n)
{
	pol_vec_reserve(e, e->n + 2 * n);
	for (size_t i = 0; i < n; i++) {
		*pol_vec_push(e) = (uint64_t)r[i].lo << 32 | element;
		if (r[i].hi != UINT32_MAX)
			*pol_vec_push(e) = (uint64_t)(r[i].hi + 1) << 32 | element;
	}
}

void pol_events128_add(pol_events128 *e, uint32_t element, const struct pol_range128 *r, size_t n)
{
	pol_vec_reserve(e, e->n + 2 * n);
	for (size_t i = 0; i < n; i++) {
		*pol_vec_push(e) = (struct pol_event128){ r[i].lo, element };
		if (r[i].hi != (pol_u128)-1)
			*pol_vec_push(e) = (struct pol_event128){ r[i].hi + 1, element };
	}
}

static int cmp_event32(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

static int cmp_event128(const void *pa, const void *pb)
{
	const struct pol_event128 *a = pa, *b = pb;

	if (a->at != b->at)
		return a->at > b->at ? 1 : -1;
	return (a->element > b->element) - (a->element < b->element);
}

void pol_sweep32(pol_events32 *e, struct pol_sets *s, pol_bounds32 *out)
{
	uint32_t set = 0;

	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), cmp_event32);
	for (size_t i = 0; i < e->n;) {
		uint32_t at = (uint32_t)(e->v[i] >> 32), was = set;

		for (; i < e->n && e->v[i] >> 32 == at; i++)
			set = pol_sets_toggle(s, set, (uint32_t)e->v[i]);
		if (set != was)
			*pol_vec_push(out) = (struct pol_bound32){ at, set };
	}
}

void pol_sweep128(pol_events128 *e, struct pol_sets *s, pol_bounds128 *out)
{
	uint32_t set = 0;

	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), cmp_event128);
	for (size_t i = 0; i < e->n;) {
		pol_u128 at = e->v[i].at;
		uint32_t was = set;

		for (; i < e->n && e->v[i].at == at; i++)
			set = pol_sets_toggle(s, set, e->v[i].element);
		if (set != was)
			*pol_vec_push(out) = (struct pol_bound128){ at, set };
	}
}

/* ---- classes ------------------------------------------------------------------------- */

void pol_classes_init(struct pol_classes *c)
{
	*c = (struct pol_classes){ .sets = pol_sets_new() };
	pol_classes_get(c, 0);
}

void pol_classes_free(struct pol_classes *c)
{
	pol_sets_free(c->sets);
	pol_vec_free(&c->set_of);
	pol_vec_free(&c->class_of);
}

uint32_t pol_classes_get(struct pol_classes *c, uint32_t set)
{
	if (set >= c->class_of.n) {
		pol_vec_reserve(&c->class_of, pol_sets_count(c->sets));
		c->class_of.n = pol_sets_count(c->sets);
	}
	if (!c->class_of.v[set]) {
		*pol_vec_push(&c->set_of) = set;
		c->class_of.v[set] = (uint32_t)c->set_of.n;
	}
	return c->class_of.v[set] - 1;
}

/* From one class to the next, only what differs begins or ends a run. */
struct run_walk {
	pol_runs_vec *runs; /* by element; hi == UINT32_MAX: still open */
	uint32_t class;
};

static void run_toggle(void *ctx, uint32_t element)
{
	struct run_walk *w = ctx;
	struct pol_range32 *last =
		w->runs[element].n ? &w->runs[element].v[w->runs[element].n - 1] : NULL;

	if (last && last->hi == UINT32_MAX)
		last->hi = w->class - 1;
	else
		*pol_vec_push(&w->runs[element]) = (struct pol_range32){ w->class, UINT32_MAX };
}

void pol_classes_runs(const struct pol_classes *c, struct pol_arena *a, struct pol_runs *out,
		      size_t count)
{
	struct run_walk w = { .runs = zeroed(count, sizeof(*w.runs)) };
	uint32_t was = 0;

	for (w.class = 0; w.class < c->set_of.n; w.class ++) {
		pol_sets_diff(c->sets, was, c->set_of.v[w.class], run_toggle, &w);
		was = c->set_of.v[w.class];
	}
	pol_sets_diff(c->sets, was, 0, run_toggle, &w);
	for (size_t i = 0; i < count; i++) {
		size_t bytes = w.runs[i].n * sizeof(*w.runs[i].v);

		out[i] = (struct pol_runs){ pol_arena_alloc(a, bytes), w.runs[i].n };
		if (bytes)
			memcpy(out[i].run, w.runs[i].v, bytes);
		pol_vec_free(&w.runs[i]);
	}
	free(w.runs);
}
