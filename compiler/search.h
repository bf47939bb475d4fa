/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the tables of polc/search.h. */
#ifndef POLC_COMPILER_SEARCH_H
#define POLC_COMPILER_SEARCH_H

#include "base/search.h"

/* Ascending; each up to the next one, the first from 0 on. */
struct pol_interval {
	uint64_t first;		/* IPv4 address, or high half of an IPv6 one */
	uint32_t value;		/* what is found. Of one value below POL_SEARCH_OWN any may be found instead */
};
typedef POL_VEC(struct pol_interval) pol_intervals;

#define POL_SEARCH_OWN 0x80000000u

struct pol_search_tables {
	struct pol_search s;
	POL_VEC(uint16_t) top;		/* root by the leading bits */
	POL_VEC(__u64) node;		/* level by level, the roots first */
};

/* Most intervals among which the bits in front of the last `shift` leave the choice. */
size_t pol_search_most(const pol_intervals *all, unsigned shift);

/* family: 4 or 6; at least one interval.  Free with pol_search_free. */
void pol_search_make(struct pol_search_tables *t, int family, const pol_intervals *all);
void pol_search_free(struct pol_search_tables *t);
static inline uint64_t pol_power_of_two(uint64_t n) /* the least that is not below n: lengths of tables */
{
	uint64_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

#endif
