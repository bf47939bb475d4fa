/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Algebra of sorted ranges: L4 sets and address sets.
 *
 * Sets are values: operands stay as they are, results live in the arena and
 * are canonical (sorted, disjoint, not adjacent), so equal sets have equal
 * bytes.  Every operation is linear in the ranges of its operands but the
 * ones that sort (pol_*_of, the union of many).
 */
#ifndef POLC_RANGES_H
#define POLC_RANGES_H

#include "ir.h"

enum pol_set_op { POL_SET_UNION, POL_SET_INTERSECT, POL_SET_SUBTRACT };

/* Sorts and joins what overlaps or touches, in place; returns the new length. */
size_t pol_range32_normalise(struct pol_range32 *r, size_t n);
size_t pol_range128_normalise(struct pol_range128 *r, size_t n);
/* Of two normalised lists; out has room for nx + ny. */
size_t pol_range32_combine(enum pol_set_op op, const struct pol_range32 *x, size_t nx,
			   const struct pol_range32 *y, size_t ny, struct pol_range32 *out);
size_t pol_range128_combine(enum pol_set_op op, const struct pol_range128 *x, size_t nx,
			    const struct pol_range128 *y, size_t ny, struct pol_range128 *out);

/* ---- L4 sets --------------------------------------------------------------- */

struct pol_l4set pol_l4set_all(struct pol_arena *a);	/* every key, also those no packet has */
/* Of any ranges, in any order; they are copied. */
struct pol_l4set pol_l4set_of(struct pol_arena *a, const struct pol_range32 *r, size_t n);
struct pol_l4set pol_l4set_combine(struct pol_arena *a, enum pol_set_op op, struct pol_l4set x,
				   struct pol_l4set y);
bool pol_l4set_equal(struct pol_l4set x, struct pol_l4set y);
bool pol_l4set_contains(struct pol_l4set x, uint32_t key);
bool pol_l4set_subset(struct pol_l4set x, struct pol_l4set of);
bool pol_l4set_overlap(struct pol_l4set x, struct pol_l4set y);
uint64_t pol_l4set_hash(struct pol_l4set x);

/* ---- address sets ------------------------------------------------------------ */

struct pol_aset pol_aset_all(struct pol_arena *a);
struct pol_aset pol_aset_of(struct pol_arena *a, const struct pol_range32 *v4, size_t n4,
			    const struct pol_range128 *v6, size_t n6);
/* An IPv4 prefix also counts inside 64:ff9b::/96 (ir.h); any order, duplicates are fine. */
struct pol_aset pol_aset_of_prefixes(struct pol_arena *a, const struct pol_prefix *p, size_t n);
struct pol_aset pol_aset_combine(struct pol_arena *a, enum pol_set_op op, struct pol_aset x,
				 struct pol_aset y);
/* The union of v[id[0]] to v[id[n - 1]], all at once: two at a time it would be quadratic. */
struct pol_aset pol_aset_union(struct pol_arena *a, const struct pol_aset *v, const uint32_t *id,
			       size_t n);
bool pol_aset_empty(struct pol_aset x);
bool pol_aset_equal(struct pol_aset x, struct pol_aset y);
bool pol_aset_contains(struct pol_aset x, struct pol_ip ip);
bool pol_aset_subset(struct pol_aset x, struct pol_aset of);
bool pol_aset_overlap(struct pol_aset x, struct pol_aset y);
uint64_t pol_aset_hash(struct pol_aset x);

/* ---- single addresses ---------------------------------------------------------- */

#define POL_NAT64_PREFIX ((pol_u128)0x0064ff9b00000000u << 64)	/* 64:ff9b::/96 */

pol_u128 pol_u128_of(struct pol_ip ip);		/* IPv4: the 32 bits */
struct pol_ip pol_ip_of(pol_u128 value, uint8_t family);
struct pol_range128 pol_prefix_range(struct pol_prefix p);	/* in its own family */

#endif
