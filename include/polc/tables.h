/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a generated C file defines before it includes "datapath.h" from the
 * templates, in this order.  The compiler writes these, the templates use
 * nothing else of the policy.
 *
 *   #include <polc/abi.h>
 *   #define POL_V4_SHIFT, POL_V6_SHIFT      of the search for an address, polc/search.h
 *   #define POL_V4_LEVELS, POL_V6_LEVELS    likewise
 *   #define POL_V4_NODES, POL_V6_NODES      elements of pol_v4_node, pol_v6_node: powers of two
 *   #define POL_V4_CLASS_LEN, POL_V6_CLASS_LEN      of pol_v4_class, pol_v6_class: likewise
 *   #define POL_V6_LOW_LEN, POL_V6_LOW_DEPTH        see pol_v6_low
 *   #define POL_COLUMN_LEVELS n     1..5: tree levels spent on the column
 *   #define POL_L4_LEVELS n         1..4: tree levels spent on the L4 class
 *   #define POL_CLASSES_PADDED n    address classes, rounded up to a multiple of POL_PAGE
 *   #define POL_USES_POOL 0|1       there is a `pool`
 *   #define POL_PAGES_LEN n         elements of pol_pages: a power of two
 *   #define POL_VERDICTS_LEN n      elements of pol_verdicts: a power of two
 *   #define POL_RULES_LEN n         rules of the manifest, at least 1
 *   #define POL_LIMITS_LEN n        0: no limit code is compiled in
 *   #define POL_USES_REJECT 0|1     some rule answers
 *   #define POL_USES_AUDIT 0|1      some policy only audits
 *   #define POL_USES_FILTERS 0|1    there is a `filter`; then also
 *   #define POL_FILTERS n
 *   #define POL_EACH_FILTER(X) X(0) X(1) ...
 *   #define POL_FILTER_WORDS n      of pol_filter_data, without slack: a power of two
 *   #define POL_DYNAMIC_SETS n      0: no filter names one
 *   #define POL_DYNAMIC_SRC, POL_DYNAMIC_DST    bits: those that are asked about sources, destinations
 *   #define POL_USES_FILTER_LIMITS 0|1, POL_USES_FILTER_LOG 0|1
 *
 *   const struct pol_search pol_v4_search, pol_v6_search
 *         POL_V4_SHIFT and so on, for user space.
 *   const __u16 pol_v4_top[1 << (32 - POL_V4_SHIFT)], pol_v6_top[1 << (64 - POL_V6_SHIFT)]
 *         Root by the leading bits of the address, or of its high half.
 *   const __u64 pol_v4_node[POL_V4_NODES][POL_NODE4_DOUBLES], pol_v6_node[POL_V6_NODES][POL_NODE6_DOUBLES]
 *         Level by level, without a gap: the first child of a node is the first that none before it has.
 *   const __u32 pol_v4_class[POL_V4_CLASS_LEN]
 *         Address class by interval.
 *   const __u32 pol_v6_class[POL_V6_CLASS_LEN]
 *         The same by interval of high halves; or POL_V6_LOW | first of its group, of one high half
 *         of which the low one tells.  Few prefixes are longer than /64, and what an IPv4 prefix means
 *         inside 64:ff9b::/96 has one high half in all.
 *   const struct pol_v6_low pol_v6_low[POL_V6_LOW_LEN], a power of two
 *         Groups of ascending low halves; the first of each is 0.
 *   #define POL_V6_LOW_DEPTH d      0..24; halvings of the largest group
 *   const __u32 pol_pool_class[POL_CLASSES_PADDED / 32]      only if there is a pool
 *         Bit by address class: its addresses lie in `pool`.
 *   const __u16 pol_l4_page[POL_L4_SLOTS][256]
 *         High byte of port (or 0 for an ICMP type) -> page of pol_l4_class.
 *   const __u16 pol_l4_class[n * 256], POL_L4_CLASS_LEN = n * 256, a power of two
 *         Low byte -> L4 class.
 *   const __u16 pol_proto_class[256]
 *         L4 class of the other protocols, by protocol number.
 *   __u32 pol_pages[POL_PAGES_LEN] SEC(POL_SEC_PAGES)
 *   struct pol_verdict pol_verdicts[POL_VERDICTS_LEN] SEC(POL_SEC_VERDICTS)
 *   const struct pol_filter_head pol_filter_head[POL_FILTERS]
 *   const struct pol_filter_half pol_filter_half[POL_FILTERS * 2]   IPv4, IPv6
 *   const volatile __u32 pol_filter_data[POL_FILTER_WORDS + POL_FILTER_SLACK] SEC(POL_SEC_FILTER)
 *   const struct pol_limit pol_limits[POL_LIMITS_LEN]      only if there are any
 *
 * and after "datapath.h", and "edge.h" if there are filters or services, the entry programs,
 * one line each, and the licence.
 */
#ifndef POLC_TABLES_H
#define POLC_TABLES_H

#include <linux/types.h>
#include <polc/search.h>

enum pol_l4_slot {
	POL_L4_TCP, POL_L4_UDP, POL_L4_SCTP, POL_L4_ICMP, POL_L4_ICMPV6, POL_L4_SLOTS,
};

enum pol_filter_action { POL_FILTER_DROP = 0, POL_FILTER_PASS = 1, POL_FILTER_LIMIT = 2 };

#define POL_FILTERS_MAX 64	/* of an object */
#define POL_FILTER_SPECIAL 64	/* lines of a filter that limit or name a dynamic set */
#define POL_DYNAMIC_MAX 64	/* dynamic sets of an object: POL_SETS_MAX */

#define POL_V6_LOW 0x80000000u	/* not a class: a group begins there in pol_v6_low */

struct pol_v6_low {
	__u64 lo;		/* host byte order */
	__u32 class;		/* from here to the next of the group */
	__u32 n;		/* of a group's first: how many it has; else 0 */
};

/* ---- filters -------------------------------------------------------------- */

/*
 * A filter's tables lie in one array of words, pol_filter_data, in a section of its own; what is
 * said to be a place counts words, doubles (u64), halves (u16) or bytes from its beginning.
 *
 * A packet's answer is found in five steps, for each family apart:
 *
 *  1. source and destination, each: the row of the interval that holds the address
 *  2. protocol and destination port (or ICMP type), source port, TCP flags: three classes,
 *     and by them the packet's kind
 *  3. for each group of lines: the rows' two classes of that group name a cell, which has
 *     the lines that both addresses satisfy, in order; a perfect hash finds it, so one place
 *     is looked at ("hash, displace": Pagh 1999; Belazzougui, Botelho, Dietzfelbinger 2009)
 *  4. by the cell's pattern and the kind: which of them is the first that holds
 *  5. the least of all groups; none: the filter's last line, which is unconditional
 *
 * What it costs is how many loads wait for another, and how much of the cache all of it takes: nothing
 * is behind a number that could stand where the number does, and heads are constants of the program.
 *
 * Lines that limit or name a dynamic set are beside that: bits of a mask, which is the
 * conjunction of what the two rows and the kind say.
 */
#define POL_FILTER_GROUPS 4	/* by width of source and destination; classes of a row */

/*
 * The interval that holds an address: of IPv4 as polc/search.h says.  Of IPv6 by the leading bits, and then
 * halving:
 *
 * `top` has the last high half that is not above all addresses that begin so; the one in
 * question is among the `most` from there on, of which as many as it takes are skipped by halves,
 * always the same number of times.  Behind the last are copies of it, for who looks that far.
 */
struct pol_filter_side {
	__u32 top;		/* by the leading bits. IPv4: halves, a node; IPv6: words, an element */
	__u32 shift;		/* of IPv4 (at most POL_NODE4_BITS) or of the high half, to get the leading bits */
	__u32 elem;		/* where they begin, doubles: IPv4: nodes, POL_NODE4_DOUBLES each; IPv6: high halves */
	__u32 slot;		/* IPv6, two words each: row above it; row of what equals it, or POL_V6_LOW | group */
	__u32 low;		/* IPv6, two doubles each: low half; row << 32 | length of the group at its first */
	__u32 row;		/* doubles: classes by group in 16 bits each; if POL_FILTER_WIDE two, in 32 */
	__u32 mask;		/* doubles: by row, the special lines that it satisfies */
	union {
		__u32 levels;	/* IPv4, at least 1 */
		__u32 most;	/* IPv6 */
	};
};

#define POL_FILTER_SLACK 16	/* words behind the last that something may be at */

/*
 * A class of each side names a cell; class 0 is of no line, and so of no cell.  Hashed: the key times mul.  Its
 * leading bits are the bucket, which says by what odd number bits 24 to 55 are multiplied to
 * spread over all cells.
 */
struct pol_filter_group {
	__u64 mul;		/* odd */
	__u32 spread;		/* halves: by bucket, that odd number */
	__u32 shift;		/* to get the bucket */
	__u32 cell;		/* doubles, two each */
	__u32 cells;		/* those that nobody has: zero */
};

/*
 * A cell's first double is its pattern << 40 | key; the second what its lines say (POL_FILTER_SAYS + 1), the
 * first of them in the leading bits below the sign; or, of more lines than have room or such as
 * have none, the sign and a place of words: 0, and then what the lines say.
 */
#define POL_FILTER_CLASS_BITS 20
#define POL_FILTER_KEY_BITS (2 * POL_FILTER_CLASS_BITS)
#define POL_FILTER_KEY(src, dst) ((__u64)(src) << POL_FILTER_CLASS_BITS | (dst))
#define POL_FILTER_LINE_BITS 21
#define POL_FILTER_CELL_LINES 3
#define POL_FILTER_LIST (1ull << 63)

#define POL_FILTER_WIDE 1u	/* some class is above 65535 */
#define POL_FILTER_LONG 2u	/* some cell has more than 255 lines: patterns are halves, else bytes */

struct pol_filter_half {	/* of a filter, for one family */
	struct pol_filter_side side[2];	/* source, destination */
	struct pol_filter_group group[POL_FILTER_GROUPS];
	__u16 ngroups;
	__u16 flags;		/* POL_FILTER_WIDE, POL_FILTER_LONG */
	__u32 pattern;		/* bytes or halves: [pattern][kind], which line of a cell is the first that holds, from 1; 0: none */
	__u32 l4_row;		/* halves: [256], row of l4_page by protocol */
	__u32 l4_page;		/* halves: [row][256], page of l4_class by high byte of port or type */
	__u32 l4_class;		/* halves: pages of 256 */
	__u32 sport_page;	/* halves: [256] */
	__u32 sport_class;	/* halves: pages of 256 */
	__u32 flag_class;	/* halves: [256] */
	__u16 nsports, nflags;	/* classes */
	__u32 kind;		/* words: [l4 class][source port class][flag class] */
	__u32 kind_mask;	/* doubles: by kind, the special lines that it satisfies */
	__u32 nkinds;
};

/* What a line does.  The least wins, so the number stands above. */
#define POL_FILTER_SAYS(line, log, action) ((__u32)(line) << 2 | !!(log) << 1 | ((action) == POL_FILTER_PASS))
#define POL_FILTER_NONE 0xffffffffu

struct pol_filter_head {
	__u64 limits;		/* which special lines limit; the others decide */
	__u32 rule;		/* of line 0, in reports */
	__u32 last;		/* POL_FILTER_SAYS of the last line */
	__u32 special;		/* words: POL_FILTER_SAYS of each special line */
	__u32 limit;		/* words: of each special line, index into pol_limits */
	__u32 nspecial;
	__u32 dynamic;		/* doubles: by dynamic set, lines with it as source, as destination */
};

#endif
