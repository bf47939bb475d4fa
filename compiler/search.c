/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/search.h"

/* ---- how many levels ------------------------------------------------------------------ */

struct shape { /* of a family's nodes */
	unsigned bits; /* of what is searched */
	unsigned rest; /* of it that a node can tell apart */
	unsigned ways, doubles;
};

static const struct shape shape4 = { 32, POL_NODE4_BITS, POL_NODE4_WAYS, POL_NODE4_DOUBLES };
static const struct shape shape6 = { 64, POL_NODE6_BITS, POL_NODE6_WAYS, POL_NODE6_DOUBLES };

size_t pol_search_most(const pol_intervals *all, unsigned shift)
{
	size_t most = 1, begin = 0;

	for (size_t i = 1; i < all->n; i++) {
		uint64_t first = all->v[i].first;

		/* what begins where the leading bits do leaves nothing of those before */
		if (first >> shift != all->v[i - 1].first >> shift)
			begin = first & ((1ull << shift) - 1) ? i - 1 : i;
		if (i - begin + 1 > most)
			most = i - begin + 1;
	}
	return most;
}

static unsigned levels_of(const struct shape *shape, size_t most)
{
	unsigned levels = 1;

	for (; most > shape->ways; most = (most + shape->ways - 1) / shape->ways)
		levels++;
	return levels;
}

/* As few levels as leading bits can bring about, and as few of these as that takes. */
static void choose(struct pol_search *s, const struct shape *shape, const pol_intervals *all)
{
	unsigned least = levels_of(shape, pol_search_most(all, shape->bits - POL_SEARCH_LEAD));

	s->shift = shape->rest;
	while ((s->levels = levels_of(shape, pol_search_most(all, s->shift))) > least)
		s->shift--;
}

/* ---- nodes ------------------------------------------------------------------------------ */

/* A run of intervals, among which a node has the choice. */
struct span {
	uint32_t first, n;
};
typedef POL_VEC(struct span) spans;

/* By the leading bits, a root; those that leave no choice share one for each value. */
static void make_roots(struct pol_search_tables *t, const struct shape *shape,
		       const pol_intervals *all, spans *roots)
{
	size_t n = (size_t)1 << (shape->bits - t->s.shift), at = 0;
	uint32_t values = 0, *lone;

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].value < POL_SEARCH_OWN && all->v[i].value >= values)
			values = all->v[i].value + 1;
	lone = calloc((size_t)values + 1, sizeof(*lone)); /* root + 1 */
	if (!lone)
		pol_no_memory();
	for (size_t lead = 0; lead < n; lead++) {
		uint64_t first = (uint64_t)lead << t->s.shift;
		uint64_t last = first | ((1ull << t->s.shift) - 1);
		struct span span = { .n = 1 };
		uint32_t root = 0, *same = NULL;

		while (at + 1 < all->n && all->v[at + 1].first <= first)
			at++;
		span.first = (uint32_t)at;
		for (; at + 1 < all->n && all->v[at + 1].first <= last; at++)
			span.n++;
		if (span.n == 1 && all->v[at].value < POL_SEARCH_OWN)
			root = *(same = &lone[all->v[at].value]);
		if (!root) {
			*pol_vec_push(roots) = span;
			root = (uint32_t)roots->n;
			if (same)
				*same = root;
		}
		*pol_vec_push(&t->top) = (uint16_t)(root - 1);
	}
	free(lone);
}

/* Bound k of a node. */
static void put_bound(__u64 *node, const struct shape *shape, unsigned k, uint64_t bound)
{
	if (shape == &shape4)
		node[k / 3] |= bound << k % 3 * (POL_NODE4_BITS + 1);
	else
		node[k] = bound;
}

/* A node over `span`, each child of which has `child` intervals; `below` is the number of the first. */
static void make_node(struct pol_search_tables *t, const struct shape *shape,
		      const pol_intervals *all, struct span span, size_t child, uint32_t below)
{
	size_t at = t->node.n;
	__u64 *node;

	for (unsigned i = 0; i < shape->doubles; i++)
		*pol_vec_push(&t->node) = 0;
	node = &t->node.v[at];
	for (unsigned k = 0; k + 1 < shape->ways; k++) {
		size_t i = (k + 1) * child;

		put_bound(node, shape, k,
			  i < span.n ? all->v[span.first + i].first & ((1ull << t->s.shift) - 1)
				     : 1ull << shape->rest);
	}
	node[shape->doubles - 1] = below;
}

/* Nodes level by level, the roots first. */
static void make_nodes(struct pol_search_tables *t, const struct shape *shape,
		       const pol_intervals *all, spans *level)
{
	uint32_t next = (uint32_t)level->n;
	size_t child = 1;

	for (unsigned l = 1; l < t->s.levels; l++)
		child *= shape->ways;
	for (; child; child /= shape->ways) {
		spans below = { 0 };

		for (size_t i = 0; i < level->n; i++) {
			struct span span = level->v[i];

			make_node(t, shape, all, span, child, child > 1 ? next : span.first);
			for (size_t at = 0; child > 1 && at < span.n; at += child, next++)
				*pol_vec_push(&below) = (struct span){
					span.first + (uint32_t)at,
					(uint32_t)(span.n - at < child ? span.n - at : child)
				};
		}
		pol_vec_free(level);
		*level = below;
	}
}

void pol_search_make(struct pol_search_tables *t, int family, const pol_intervals *all)
{
	const struct shape *shape = family == 4 ? &shape4 : &shape6;
	spans roots = { 0 };

	*t = (struct pol_search_tables){ 0 };
	choose(&t->s, shape, all);
	make_roots(t, shape, all, &roots);
	make_nodes(t, shape, all, &roots);
	pol_vec_free(&roots);
}

void pol_search_free(struct pol_search_tables *t)
{
	pol_vec_free(&t->top);
	pol_vec_free(&t->node);
}
