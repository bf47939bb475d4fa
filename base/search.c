/* SPDX-License-Identifier: GPL-2.0-only */
#include "search.h"

static const __u64 *node_at(const struct pol_searched *v, size_t at)
{
	return v->node + at * pol_search_doubles(v->family);
}

static unsigned most_bounds(const struct pol_searched *v)
{
	return v->family == 4 ? POL_NODE4_WAYS - 1 : POL_NODE6_WAYS - 1;
}

static uint64_t bound_at(const struct pol_searched *v, const __u64 *node, unsigned k)
{
	if (v->family == 6)
		return node[k];
	return node[k / 3] >> k % 3 * (POL_NODE4_BITS + 1) & ((2ull << POL_NODE4_BITS) - 1);
}

static uint64_t no_bound(const struct pol_searched *v)
{
	return 1ull << (v->family == 4 ? POL_NODE4_BITS : POL_NODE6_BITS);
}

/* How many bounds the node has; -1: it is none of ours. */
static int bounds_of(const struct pol_searched *v, const __u64 *node)
{
	uint64_t none = no_bound(v), before = 0;
	unsigned most = most_bounds(v);
	int n = 0;

	for (unsigned k = 0; k < most; k++) {
		uint64_t bound = bound_at(v, node, k);

		if (bound == none)
			continue;
		if ((unsigned)n < k || bound >> v->s.shift || (k && bound <= before))
			return -1;
		before = bound;
		n++;
	}
	if (v->family == 4 && (node[0] | node[1] | node[2]) >> 63)
		return -1;
	return n;
}

static uint64_t below(const struct pol_searched *v, const __u64 *node)
{
	return node[pol_search_doubles(v->family) - 1];
}

/* No node under this root has a bound: what many leading bits may share. */
static bool is_lone(const struct pol_searched *v, uint64_t at)
{
	for (unsigned l = 0; l < v->s.levels; l++) {
		if (at >= v->nodes || bounds_of(v, node_at(v, at)) != 0)
			return false;
		at = below(v, node_at(v, at));
	}
	return true;
}

/* How many roots there are: they are numbered as the leading bits meet them; 0: they are not. */
static size_t roots_of(const struct pol_searched *v)
{
	size_t n = 0, lone = SIZE_MAX;

	for (size_t lead = 0; lead >> pol_search_lead(v->family, v->s) == 0; lead++) {
		if (v->top[lead] > n || v->top[lead] >= v->nodes)
			return 0;
		if (v->top[lead] == n) {
			n++;
		} else if (v->top[lead] != lone) {
			lone = v->top[lead];
			if (!is_lone(v, lone))
				return 0;
		}
	}
	return n;
}

bool pol_search_sound(const struct pol_searched *v)
{
	unsigned lead = pol_search_lead(v->family, v->s), most = POL_LEVELS6_MAX;
	size_t begin = 0, end, next;

	if (v->family == 4)
		most = POL_LEVELS4_MAX;
	if (lead < 1 || lead > POL_SEARCH_LEAD || !v->s.levels || v->s.levels > most)
		return false;
	if (v->family == 4 && v->s.shift > POL_NODE4_BITS)
		return false;
	end = next = roots_of(v);
	for (unsigned l = 0; l < v->s.levels; begin = end, end = next, l++) {
		if (begin == end || end > v->nodes)
			return false;
		for (size_t i = begin; i < end; i++) {
			int n = bounds_of(v, node_at(v, i));
			uint64_t to = below(v, node_at(v, i));

			if (n < 0 || (l + 1 < v->s.levels ? to != next
							  : to >= v->intervals ||
								    v->intervals - to <= (size_t)n))
				return false;
			next += l + 1 < v->s.levels ? (size_t)n + 1 : 0;
		}
	}
	return true;
}

uint32_t pol_search_find(const struct pol_searched *v, uint64_t x)
{
	uint32_t at = v->top[x >> v->s.shift];
	uint64_t rest = v->family == 4 ? pol_search4_rest((uint32_t)x, v->s.shift)
				       : pol_search6_rest(x, v->s.shift);

	for (unsigned l = 0; l < v->s.levels; l++)
		at = v->family == 4 ? pol_search4_next(node_at(v, at), rest)
				    : pol_search6_next(node_at(v, at), rest);
	return at;
}

static void places_below(const struct pol_searched *v, const __u64 *node, unsigned level,
			 uint64_t lead, void (*call)(void *ctx, uint64_t first), void *ctx)
{
	unsigned n = 0;

	for (; n < most_bounds(v) && bound_at(v, node, n) != no_bound(v); n++)
		call(ctx, lead | bound_at(v, node, n));
	for (unsigned k = 0; k <= n && level + 1 < v->s.levels; k++)
		places_below(v, node_at(v, below(v, node) + k), level + 1, lead, call, ctx);
}

void pol_search_places(const struct pol_searched *v, void (*call)(void *ctx, uint64_t first),
		       void *ctx)
{
	for (uint64_t lead = 0; lead >> pol_search_lead(v->family, v->s) == 0; lead++) {
		call(ctx, lead << v->s.shift);
		places_below(v, node_at(v, v->top[lead]), 0, lead << v->s.shift, call, ctx);
	}
}
