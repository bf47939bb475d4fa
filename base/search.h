/* SPDX-License-Identifier: GPL-2.0-only */
/* The search of polc/search.h in user space.  Arrays belong to the caller. */
#ifndef POLC_BASE_SEARCH_H
#define POLC_BASE_SEARCH_H

#include <polc/search.h>

#include "base.h"

struct pol_searched {
	int family;		/* 4: addresses; 6: high halves */
	struct pol_search s;
	const uint16_t *top;	/* one for each value of the leading bits */
	const __u64 *node;
	size_t nodes, intervals;	/* so many there are; not all need be in use */
};

/* Leading bits; what is searched has as many more as s.shift says. */
static inline unsigned pol_search_lead(int family, struct pol_search s)
{
	return (family == 4 ? 32 : 64) - s.shift;
}

/* Doubles of a node. */
static inline size_t pol_search_doubles(int family)
{
	return family == 4 ? POL_NODE4_DOUBLES : POL_NODE6_DOUBLES;
}

/*
 * All else here wants a search that is sound, which is to be asked of what comes from outside: every number
 * points inside, bounds ascend, and nodes stand as the compiler puts them (polc/tables.h), so
 * what a node has below it no other one has; and a root with bounds stands for one value of the leading bits.
 */
bool pol_search_sound(const struct pol_searched *v);

/* The interval. */
uint32_t pol_search_find(const struct pol_searched *v, uint64_t x);

/* Calls for each place where an interval may begin, some more than once. */
void pol_search_places(const struct pol_searched *v, void (*call)(void *ctx, uint64_t first),
		       void *ctx);

#endif
