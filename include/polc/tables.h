/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a generated C file defines before it includes "datapath.h" from the
 * templates, in this order.  The compiler writes these, the templates use
 * nothing else of the policy.
 *
 *   #include <polc/abi.h>
 *   #define POL_V4_DEPTH d          0..24; search steps over IPv4 bounds
 *   #define POL_V6_DEPTH d          0..24
 *   #define POL_COLUMN_LEVELS n     1..5: tree levels spent on the column
 *   #define POL_L4_LEVELS n         1..4: tree levels spent on the L4 class
 *   #define POL_CLASSES_PADDED n    address classes, rounded up to a multiple of POL_PAGE
 *   #define POL_PAGES_LEN n         elements of pol_pages: a power of two
 *   #define POL_VERDICTS_LEN n      elements of pol_verdicts: a power of two
 *   #define POL_RULES_LEN n         rules of the manifest, at least 1
 *   #define POL_LIMITS_LEN n        0: no limit code is compiled in
 *   #define POL_USES_LOG 0|1        some rule has `log`
 *   #define POL_USES_REJECT 0|1     some rule answers
 *   #define POL_USES_AUDIT 0|1      some policy only audits
 *   #define POL_USES_FILTERS 0|1    there is a `filter`
 *
 *   const __u32 pol_v4_key[1 << POL_V4_DEPTH]
 *         Bounds in host byte order, in Eytzinger order: element 1 is the
 *         root, 2i and 2i+1 follow i; element 0 unused.  A bound is the first
 *         address of an interval; the interval from 0 has none.  Padded with
 *         0xffffffff.
 *   const __u32 pol_v4_class[1 << POL_V4_DEPTH]
 *         Address class by rank, the rank being the number of bounds <= address;
 *         padded with the last class.
 *   const __u64 pol_v6_key[1 << POL_V6_DEPTH]
 *         The same over the high halves of IPv6 bounds, each once, padded with
 *         all ones.  Few prefixes are longer than /64, and what an IPv4 prefix
 *         means inside 64:ff9b::/96 has one high half in all.
 *   const struct pol_v6_slot pol_v6_slot[1 << POL_V6_DEPTH]
 *         By rank: the high half, padded with the last one.
 *   const struct pol_v6_low pol_v6_low[POL_V6_LOW_LEN], a power of two
 *         Groups of ascending low halves; the first of each is 0.
 *   #define POL_V6_LOW_DEPTH d      0..24; halvings of the largest group
 *   const __u16 pol_l4_page[POL_L4_SLOTS][256]
 *         High byte of port (or 0 for an ICMP type) -> page of pol_l4_class.
 *   const __u16 pol_l4_class[n * 256], POL_L4_CLASS_LEN = n * 256, a power of two
 *         Low byte -> L4 class.
 *   const __u16 pol_proto_class[256]
 *         L4 class of the other protocols, by protocol number.
 *   __u32 pol_pages[POL_PAGES_LEN] SEC(POL_SEC_PAGES)
 *   struct pol_verdict pol_verdicts[POL_VERDICTS_LEN] SEC(POL_SEC_VERDICTS)
 *   const struct pol_limit pol_limits[POL_LIMITS_LEN]      only if there are any
 *
 * and after "datapath.h", and "edge.h" if there are filters or services, the entry programs,
 * one line each, and the licence.
 */
#ifndef POLC_TABLES_H
#define POLC_TABLES_H

#include <linux/types.h>

enum pol_l4_slot {
	POL_L4_TCP, POL_L4_UDP, POL_L4_SCTP, POL_L4_ICMP, POL_L4_ICMPV6, POL_L4_SLOTS,
};

#define POL_V6_LOW 0x80000000u	/* not a class: a group begins there in pol_v6_low */

struct pol_v6_slot {
	__u64 hi;		/* the bound's high half, host byte order; 0 at rank 0 */
	__u32 above;		/* class of what lies above it, up to the next slot */
	__u32 equal;		/* class of all with this high half, or POL_V6_LOW | first of its group */
};

struct pol_v6_low {
	__u64 lo;		/* host byte order */
	__u32 class;		/* from here to the next of the group */
	__u32 n;		/* of a group's first: how many it has; else 0 */
};

#endif
