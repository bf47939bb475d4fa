/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one array that all tables of the filters of a policy are in (polc/tables.h), by the widths in
 * which it is read.  Indices count elements of that width, and are masked.
 */
#ifndef POL_BPF_FILTER_ARRAY_H
#define POL_BPF_FILTER_ARRAY_H

#include "maps.h"

#if POL_USES_FILTERS

_Static_assert((POL_FILTER_WORDS & (POL_FILTER_WORDS - 1)) == 0, "POL_FILTER_WORDS: a power of two");

static __always_inline __u32 pol_filter_word(__u32 at)
{
	return pol_filter_data[at & (POL_FILTER_WORDS - 1)];
}

static __always_inline __u64 pol_filter_double(__u32 at)
{
	return ((const volatile __u64 *)pol_filter_data)[at & (POL_FILTER_WORDS / 2 - 1)];
}

/* POL_NODE4_DOUBLES of them; the last ones may be in the slack. */
static __always_inline const volatile __u64 *pol_filter_node(__u32 at)
{
	return (const volatile __u64 *)pol_filter_data + (at & (POL_FILTER_WORDS / 2 - 1));
}

static __always_inline __u32 pol_filter_half_word(__u32 at)
{
	return ((const volatile __u16 *)pol_filter_data)[at & (2 * POL_FILTER_WORDS - 1)];
}

static __always_inline __u32 pol_filter_byte(__u32 at)
{
	return ((const volatile __u8 *)pol_filter_data)[at & (4 * POL_FILTER_WORDS - 1)];
}

#endif
#endif
