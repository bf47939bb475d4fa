/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of many intervals holds an address: the search of policies and of filters, in the kernel and in
 * user space, over the same tables (polc/tables.h).  compiler/search.h makes them.
 *
 * The leading bits of the address, by a table of halves (u16), name a node; a node says with one look which
 * is the next, and one of the last level which interval.  Each level waits for the one before and for
 * nothing else, so what counts is how few there are; their number is the same for all addresses.
 *
 * A node is of doubles (u64): ascending bounds, each the first address of an interval without its
 * leading bits, and last the number of what lies below the first bound: a node, or an interval.
 * What follows that has the numbers that follow.
 *
 * IPv4: nine bounds, three to a double, in POL_NODE4_BITS each with one bit more above them: half a cache line.
 * (Rest of the address, in each of the three, with that bit set) - bounds leaves the bit of each bound that is
 * not above the address.  A bound that is not there is that bit alone, which no address reaches.
 *
 * IPv6, by the high half of the address: seven bounds, a double each: one cache line.  There is at least
 * one leading bit, so bound - rest - 1 has the topmost bit if the bound is not above the address.  A bound that
 * is not there is that bit alone.
 */
#ifndef POLC_SEARCH_H
#define POLC_SEARCH_H

#include <linux/types.h>

struct pol_search {
	__u32 shift;		/* to get the leading bits: at most POL_NODE4_BITS, POL_NODE6_BITS */
	__u32 levels;		/* of nodes, at least 1 */
};

#define POL_SEARCH_LEAD 16	/* leading bits at most, so that a root is a half */

#define POL_NODE4_BITS 20
#define POL_NODE4_WAYS 10
#define POL_NODE4_DOUBLES 4
#define POL_NODE4_EACH (1ull | 1ull << (POL_NODE4_BITS + 1) | 1ull << 2 * (POL_NODE4_BITS + 1))
#define POL_NODE4_ABOVE (POL_NODE4_EACH << POL_NODE4_BITS)
#define POL_LEVELS4_MAX 5	/* 16 leading bits leave no more than 65,536 intervals to tell apart */

#define POL_NODE6_BITS 63
#define POL_NODE6_WAYS 8
#define POL_NODE6_DOUBLES 8
#define POL_LEVELS6_MAX 9	/* 2^25 intervals: each of 2^24 bounds may be in a high half of its own */

/* What the nodes are asked with. */
static inline __attribute__((always_inline)) __u64 pol_search4_rest(__u32 addr, __u32 shift)
{
	return (addr & ((1u << (shift & 31)) - 1)) * POL_NODE4_EACH + POL_NODE4_ABOVE;
}

static inline __attribute__((always_inline)) __u64 pol_search6_rest(__u64 high, __u32 shift)
{
	return (high & ((1ull << (shift & 63)) - 1)) + 1;
}

/* Number of the next node, or of the interval. */
static inline __attribute__((always_inline)) __u32 pol_search4_next(const volatile __u64 *node, __u64 rest)
{
	__u64 n = ((rest - node[0]) & POL_NODE4_ABOVE) + ((rest - node[1]) & POL_NODE4_ABOVE) +
		  ((rest - node[2]) & POL_NODE4_ABOVE);

	n >>= POL_NODE4_BITS;
	n += (n >> (POL_NODE4_BITS + 1)) + (n >> 2 * (POL_NODE4_BITS + 1));
	return (__u32)(node[3] + (n & 15));
}

static inline __attribute__((always_inline)) __u32 pol_search6_next(const volatile __u64 *node, __u64 rest)
{
	__u64 n = node[POL_NODE6_DOUBLES - 1];

	for (int i = 0; i < POL_NODE6_DOUBLES - 1; i++)
		n += (node[i] - rest) >> 63;
	return (__u32)n;
}

#endif
