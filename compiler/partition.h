/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Equivalence classes: points that lie in the same sets are one class.
 *
 * A sweep over all bounds of all sets keeps the set of those sets that the
 * current point is in.  These sets of sets are hash-consed: equal ones are one
 * number, so finding the class of an interval is a lookup, and no two
 * different ones can ever be taken for each other, whatever the policy's author
 * chooses (numbers stand for content that was compared, not for hashes).
 */
#ifndef POLC_PARTITION_H
#define POLC_PARTITION_H

#include "ranges.h"

/* ---- sets of small numbers, hash-consed ------------------------------------------ */

/*
 * Patricia trees (Morrison 1968; as sets: Okasaki and Gill 1998).  0 is the
 * empty set; a set of one element is a leaf; others are two smaller sets that
 * differ first in one bit.  A toggle makes only the nodes on one path, so the
 * sets of neighbouring intervals share the rest.
 */
struct pol_set_node {
	uint32_t label;		/* leaf: the element; else the common bits above, then the deciding bit */
	uint32_t left, right;	/* sets without and with that bit; a leaf has 0, 0 */
};

struct pol_sets;
struct pol_sets *pol_sets_new(void);
void pol_sets_free(struct pol_sets *s);	/* NULL is fine */
uint32_t pol_sets_count(const struct pol_sets *s);	/* numbers are below; operands before users */
struct pol_set_node pol_sets_node(const struct pol_sets *s, uint32_t set);
/* The set with the element put in, or taken out if it was in. */
uint32_t pol_sets_toggle(struct pol_sets *s, uint32_t set, uint32_t element);
/* Calls for each element that is in exactly one of both, ascending within shared prefixes. */
void pol_sets_diff(const struct pol_sets *s, uint32_t a, uint32_t b,
		   void (*call)(void *ctx, uint32_t element), void *ctx);

/* ---- sweeps ------------------------------------------------------------------------ */

struct pol_bound32 { uint32_t first, set; };	/* from `first` on the point is in `set` */
struct pol_bound128 { pol_u128 first; uint32_t set; };
typedef POL_VEC(struct pol_bound32) pol_bounds32;
typedef POL_VEC(struct pol_bound128) pol_bounds128;

/*
 * Gather all ranges, tagged by the element that they belong to, then sweep:
 * a bound for each place where the set changes, ascending; the part before
 * the first one is in the empty set.  Ranges of one element must be disjoint.
 */
struct pol_event128 { pol_u128 at; uint32_t element; };
typedef POL_VEC(uint64_t) pol_events32;		/* place << 32 | element */
typedef POL_VEC(struct pol_event128) pol_events128;

void pol_events32_add(pol_events32 *e, uint32_t element, const struct pol_range32 *r, size_t n);
void pol_events128_add(pol_events128 *e, uint32_t element, const struct pol_range128 *r, size_t n);
void pol_sweep32(pol_events32 *e, struct pol_sets *s, pol_bounds32 *out);
void pol_sweep128(pol_events128 *e, struct pol_sets *s, pol_bounds128 *out);

/* ---- classes ------------------------------------------------------------------------- */

/* Class 0 is that of the empty set, whether or not a point has it; others count from the first asked. */
struct pol_classes {
	struct pol_sets *sets;
	POL_VEC(uint32_t) set_of;	/* by class */
	POL_VEC(uint32_t) class_of;	/* by set: class + 1, or 0 */
};

void pol_classes_init(struct pol_classes *c);
void pol_classes_free(struct pol_classes *c);
uint32_t pol_classes_get(struct pol_classes *c, uint32_t set);

/* Numbers as ascending ranges: classes that lie in a set, columns where a predicate holds. */
struct pol_runs { struct pol_range32 *run; size_t n; };
typedef POL_VEC(struct pol_range32) pol_runs_vec;
/* The classes inside each of `count` elements; out has `count`, memory is the arena's. */
void pol_classes_runs(const struct pol_classes *c, struct pol_arena *a, struct pol_runs *out,
		      size_t count);

#endif
