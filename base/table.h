/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decision tables: persistent, hash-consed trees of pages (polc/abi.h,
 * "the decision tables").
 *
 * The compiler builds the tables of each block with these functions and the
 * loader combines them on the host with the same ones; the data path walks
 * the result.  A tree has a height: the number of levels down to verdicts.
 * Nodes of height 0 are verdict numbers, others are page numbers.  Equal
 * subtrees are the same page, so equality is ==, and every operation is
 * memoised on pairs of nodes (Bryant 1986, with 32-way nodes and no skipped
 * levels, so that the walk has no branches).
 *
 * Pages are never changed once made.  Publishing a new root is therefore one
 * aligned 32-bit store.
 */
#ifndef POLC_TABLE_H
#define POLC_TABLE_H

#include <polc/abi.h>

#include "base.h"
#include "search.h"

struct pol_table;

/* Room for that many pages and verdicts at most; reaching it is -ENOSPC. */
struct pol_table *pol_table_new(uint32_t max_pages, uint32_t max_verdicts);
/* Takes up what is in an object or a live map; the first two verdicts must be the fixed ones. */
int pol_table_load(struct pol_table *t, const uint32_t *pages, uint32_t npages,
		   const struct pol_verdict *verdicts, uint32_t nverdicts);
void pol_table_free(struct pol_table *t);

uint32_t pol_table_npages(const struct pol_table *t);
uint32_t pol_table_nverdicts(const struct pol_table *t);
const uint32_t *pol_table_pages(const struct pol_table *t);	/* npages * POL_PAGE */
const struct pol_verdict *pol_table_verdicts(const struct pol_table *t);

/*
 * Sticky failure: once room or memory ran out every operation returns node 0
 * (closed) and this tells -ENOSPC; check it before anything is published.
 */
int pol_table_failed(const struct pol_table *t);

/* ---- verdicts --------------------------------------------------------------- */

/*
 * Number of an equal verdict, new or known.  Limits and http rules must be sorted; they
 * are dropped unless ALLOW.  More than there is room for fails the table with -EINVAL.
 */
uint32_t pol_table_verdict(struct pol_table *t, const struct pol_verdict *given);

enum pol_table_op {
	POL_OP_COMBINE,	/* lower order wins; ADDS allows add up; commutative, associative, idempotent */
	POL_OP_RESOLVE,	/* a decides unless it is NONE or SKIP, then b */
	POL_OP_AUDIT,	/* a is in force, b what an audit would say: a with audit_rule set where b denies what a allows */
};

/*
 * More than POL_VERDICT_LIMITS limits on one flow: fails the table with -E2BIG; more than
 * POL_VERDICT_HTTP http rules: with -EMLINK.
 * A node that is no page of this table (a hostile object): -EINVAL.
 */
uint32_t pol_table_apply(struct pol_table *t, enum pol_table_op op, uint32_t a, uint32_t b,
			 unsigned height);

/* ---- trees ------------------------------------------------------------------- */

/* The tree of that height with one node (of height `leaf_height`) everywhere. */
uint32_t pol_table_uniform(struct pol_table *t, uint32_t node, unsigned leaf_height, unsigned height);

/* The node above 32 nodes of equal height. */
uint32_t pol_table_page(struct pol_table *t, const uint32_t child[POL_PAGE]);

/* a with verdict v combined in for keys lo..hi (inclusive). */
uint32_t pol_table_combine_range(struct pol_table *t, uint32_t a, unsigned height,
				 uint64_t lo, uint64_t hi, uint32_t verdict);

/* a with the subtree at `key` (in units of subtrees of leaf_height) replaced by node. */
uint32_t pol_table_set(struct pol_table *t, uint32_t a, unsigned height, unsigned leaf_height,
		       uint64_t key, uint32_t node);

/* The node of height leaf_height under `key` (in the same units); leaf_height 0: a verdict number. */
uint32_t pol_table_get(const struct pol_table *t, uint32_t a, unsigned height,
		       unsigned leaf_height, uint64_t key);

/*
 * Copies trees of another table, only what they reach, and replaces the
 * numbers in ref by those of t.  For working in a large table of one's own and
 * publishing nothing but results.  Returns pol_table_failed(t).
 */
struct pol_table_ref {
	uint32_t node;
	unsigned height;
};
int pol_table_import(struct pol_table *t, const struct pol_table *from, struct pol_table_ref *ref,
		     size_t n);

/* ---- addresses ------------------------------------------------------------------ */

/*
 * The address class tables of polc/tables.h, as user space searches them: the
 * loader classes the addresses of endpoints with the very bytes that the data
 * path will use.  Arrays belong to the caller.
 */
struct pol_class_tables {
	struct pol_searched v4, v6;	/* sound */
	const uint32_t *v4_class, *v6_class;	/* by interval */
	const struct pol_v6_low *v6_low;
};
uint32_t pol_class_of(const struct pol_class_tables *c, struct pol_ip ip);

#endif
