/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a packet to a verdict: address class by few nodes (polc/search.h), L4 class by
 * two loads, verdict by a walk through the tree of pages.  Indices are masked, so
 * neither a wrong table nor a wrong map can make a load leave its array.
 */
#ifndef POL_BPF_CLASSIFY_H
#define POL_BPF_CLASSIFY_H

#include "pkt.h"

_Static_assert((POL_PAGES_LEN & (POL_PAGES_LEN - 1)) == 0, "POL_PAGES_LEN: a power of two");
_Static_assert((POL_VERDICTS_LEN & (POL_VERDICTS_LEN - 1)) == 0, "POL_VERDICTS_LEN: likewise");
_Static_assert((POL_V4_NODES & (POL_V4_NODES - 1)) == 0, "POL_V4_NODES: likewise");
_Static_assert((POL_V6_NODES & (POL_V6_NODES - 1)) == 0, "POL_V6_NODES: likewise");
_Static_assert((POL_V4_CLASS_LEN & (POL_V4_CLASS_LEN - 1)) == 0, "POL_V4_CLASS_LEN: likewise");
_Static_assert((POL_V6_CLASS_LEN & (POL_V6_CLASS_LEN - 1)) == 0, "POL_V6_CLASS_LEN: likewise");
_Static_assert((POL_V6_LOW_LEN & (POL_V6_LOW_LEN - 1)) == 0, "POL_V6_LOW_LEN: likewise");
_Static_assert((POL_L4_CLASS_LEN & (POL_L4_CLASS_LEN - 1)) == 0, "POL_L4_CLASS_LEN: likewise");

static __always_inline __u32 pol_class_v4(__u32 addr)
{
	__u64 rest = pol_search4_rest(addr, POL_V4_SHIFT);
	__u32 at = pol_v4_top[pol_within(addr >> POL_V4_SHIFT, 1u << (32 - POL_V4_SHIFT))];

#pragma clang loop unroll(full)
	for (int i = 0; i < POL_V4_LEVELS; i++)
		at = pol_search4_next(pol_v4_node[pol_within(at, POL_V4_NODES)], rest);
	return pol_v4_class[pol_within(at, POL_V4_CLASS_LEN)];
}

/* The last of a group that is not above lo: halve it until one is left. */
static __always_inline __u32 pol_class_v6_low(__u32 first, __u64 lo)
{
	__u64 at = first, n = pol_v6_low[first & (POL_V6_LOW_LEN - 1)].n;

#pragma clang loop unroll(full)
	for (int d = 0; d < POL_V6_LOW_DEPTH; d++) {
		__u64 half = n >> 1, m;

		/* the depth is the largest group's, 64:ff9b::/96; most have two or three */
		if (!half)
			break;
		m = pol_lt(lo, pol_v6_low[(at + half) & (POL_V6_LOW_LEN - 1)].lo) - 1;

		pol_opaque(m);
		at += half & m;
		n -= half;
		pol_opaque(at);
		pol_opaque(n);
	}
	return pol_v6_low[at & (POL_V6_LOW_LEN - 1)].class;
}

/*
 * By the high halves, which tell nearly all addresses apart; by the low ones
 * where a prefix is longer than /64, or stands for an IPv4 one in 64:ff9b::/96.
 */
static __always_inline __u32 pol_class_v6(__u64 hi, __u64 lo)
{
	__u64 rest = pol_search6_rest(hi, POL_V6_SHIFT);
	__u32 at = pol_v6_top[pol_within(hi >> POL_V6_SHIFT, 1u << (64 - POL_V6_SHIFT))];

#pragma clang loop unroll(full)
	for (int i = 0; i < POL_V6_LEVELS; i++)
		at = pol_search6_next(pol_v6_node[pol_within(at, POL_V6_NODES)], rest);
	at = pol_v6_class[pol_within(at, POL_V6_CLASS_LEN)];
	if (pol_unlikely(at & POL_V6_LOW))
		return pol_class_v6_low(at & ~POL_V6_LOW, lo);
	return at;
}

/* Address class; hi and lo as they stand in struct pol_addr. */
__noinline int pol_class(__u64 hi_be, __u64 lo_be)
{
	__u64 hi = bpf_be64_to_cpu(hi_be), lo = bpf_be64_to_cpu(lo_be);
	__u64 not_v4 = hi | (lo >> 32 ^ 0xffff);

	/*
	 * One test of both: a branch on hi alone would tell the verifier that hi is 0, and
	 * newer ones (6.18) then follow both outcomes of every compare of the search below.
	 */
	pol_opaque(not_v4);
	if (!not_v4)
		return pol_class_v4((__u32)lo);
	return pol_class_v6(hi, lo);
}

/* Inside `pool`, which the compiler knows of each class. */
static __always_inline int pol_in_pool(const struct pol_addr *a)
{
#if POL_USES_POOL
	__u32 class = (__u32)pol_class(a->d_be[0], a->d_be[1]);

	if (class < POL_CLASSES_PADDED)
		return pol_pool_class[class / 32] >> class % 32 & 1;
#endif
	(void)a;
	return 0;
}

/*
 * Column of an address; 0 never is one that an endpoint has (tables.h), and is
 * what is returned for an endpoint that this generation does not know.
 */
static __always_inline int pol_column(const struct pol_addr *a, const struct pol_owner *o,
				      int from_host, __u32 *column)
{
	__u32 entity = POL_ENTITY_WORLD, slot, *c;

	if (from_host) {
		entity = POL_ENTITY_HOST;
	} else if (o && o->entity == POL_ENTITY_ENDPOINT) {
		slot = o->slot;
		c = bpf_map_lookup_elem(&addr_column, &slot);
		*column = c ? *c : 0;
		return *column ? 0 : -1;
	} else if (o) {
		entity = o->entity;
	}
	if (entity >= POL_ENTITY_STATIC_MAX)
		return -1;
	*column = entity * POL_CLASSES_PADDED + (__u32)pol_class(a->d_be[0], a->d_be[1]);
	return 0;
}

/* key: port in host order, or the ICMP type. */
static __always_inline __u32 pol_l4(__u8 proto, __u32 key)
{
	__u32 slot, page;

	switch (proto) {
	case IPPROTO_TCP: slot = POL_L4_TCP; break;
	case IPPROTO_UDP: slot = POL_L4_UDP; break;
	case IPPROTO_SCTP: slot = POL_L4_SCTP; break;
	case IPPROTO_ICMP: slot = POL_L4_ICMP; break;
	case IPPROTO_ICMPV6: slot = POL_L4_ICMPV6; break;
	default: return pol_proto_class[proto];
	}
	page = pol_l4_page[slot][pol_within(key >> 8, 256)];
	return pol_l4_class[pol_within(page * 256 + (key & 255), POL_L4_CLASS_LEN)];
}

/* Number of the verdict at (column, l4) in the tree of a row. */
static __always_inline __u32 pol_walk(__u32 root, __u32 column, __u32 l4)
{
	__u32 idx = root;

#pragma clang loop unroll(full)
	for (int s = POL_COLUMN_LEVELS - 1; s >= 0; s--) {
		__u32 at = (column >> (s * POL_PAGE_BITS)) & (POL_PAGE - 1);

		idx = pol_pages[pol_within((idx << POL_PAGE_BITS) + at, POL_PAGES_LEN)];
	}
#pragma clang loop unroll(full)
	for (int s = POL_L4_LEVELS - 1; s >= 0; s--) {
		__u32 at = (l4 >> (s * POL_PAGE_BITS)) & (POL_PAGE - 1);

		idx = pol_pages[pol_within((idx << POL_PAGE_BITS) + at, POL_PAGES_LEN)];
	}
	return idx & (POL_VERDICTS_LEN - 1);
}

#endif
