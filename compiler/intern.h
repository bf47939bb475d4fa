/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IR under construction: one object for equal sets, selectors and
 * predicates.  Private to lowering (lower*.c).
 *
 * Sets given to pol_ir_*() must live in the arena of the IR.  A policy text
 * can ask for products of sets: POL_MAX_* bound them, and what would go beyond
 * makes `overflow` name the bound.  The caller turns that into a diagnostic.
 */
#ifndef POLC_INTERN_H
#define POLC_INTERN_H

#include "compiler/ir.h"
#include "compiler/ranges.h"

#define POL_MAX_TERMS 256u		/* of one predicate */
#define POL_MAX_SEL_SIZE 65536u		/* nodes of a selector written out as a tree */
#define POL_MAX_RANGES (1u << 24)	/* that set operations made, in all address sets together */
#define POL_MAX_WALKED (1u << 29)	/* ranges that they looked at */

#define POL_ASET_ALL 0u
#define POL_ASET_NONE 1u	/* always there, so that emptiness is a comparison */
#define POL_SEL_ID_TRUE 0u

struct pol_id_index {		/* hash set of ids */
	uint32_t *slot;		/* id + 1; 0 is free */
	uint64_t *hash;
	size_t cap, n;		/* cap: a power of two */
};

struct pol_aset_memo {
	uint64_t key;		/* op, a, b; 0 is free */
	uint32_t result;
};

struct pol_union_memo {
	uint32_t *id;		/* sorted, unique */
	size_t n;
	uint32_t result;
};

struct pol_builder {
	struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_id_index l4sets, asets, sels, preds;
	POL_VEC(uint32_t) sel_size;	/* by selector id: nodes of the tree */
	struct pol_aset_memo *memo;
	size_t memo_cap, memo_n;
	struct pol_id_index unions;	/* into: */
	POL_VEC(struct pol_union_memo) union_memo;
	uint64_t n_made, n_walked;	/* against POL_MAX_RANGES, POL_MAX_WALKED */
	const char *overflow;		/* NULL, or which bound was reached */
};

/* ir must be empty but for its arena; makes the objects of id 0 (and POL_ASET_NONE). */
void pol_builder_init(struct pol_builder *b, struct pol_ir *ir);
void pol_builder_free(struct pol_builder *b);	/* not the IR */

uint32_t pol_ir_l4set(struct pol_builder *b, struct pol_l4set s);
uint32_t pol_ir_aset(struct pol_builder *b, struct pol_aset s);
uint32_t pol_ir_pred(struct pol_builder *b, struct pol_term *term, size_t n);	/* sorts term */

bool pol_ir_exhausted(const struct pol_builder *b);	/* no more set operations, whatever the peer */
/* Memoised; POL_ASET_NONE after an overflow. */
uint32_t pol_ir_aset_op(struct pol_builder *b, enum pol_set_op op, uint32_t x, uint32_t y);
/* Of any number at once, since each union of two is a set of its own. Sorts id; else likewise. */
uint32_t pol_ir_aset_union(struct pol_builder *b, uint32_t *id, size_t n);

/* ---- selectors, in normal form (intern_sel.c) --------------------------------- */

uint32_t pol_ir_sel_in(struct pol_builder *b, struct pol_str key, struct pol_str *value, size_t n);
uint32_t pol_ir_sel_has(struct pol_builder *b, struct pol_str key);
uint32_t pol_ir_sel_not(struct pol_builder *b, uint32_t s);
/* op: POL_SEL_AND or POL_SEL_OR; of no operand: true, false. */
uint32_t pol_ir_sel_join(struct pol_builder *b, enum pol_sel_op op, const uint32_t *operand, size_t n);
bool pol_ir_sel_is_false(const struct pol_ir *ir, uint32_t s);	/* not(true); others may be so too */

/* ---- for intern_sel.c --------------------------------------------------------- */

/* The place for `hash`: where equal(ctx, id) says yes, or a free slot (slot 0). */
uint32_t *pol_id_find(struct pol_id_index *x, uint64_t hash, const struct pol_ir *ir,
		      bool (*equal)(const struct pol_ir *ir, uint32_t id, const void *want),
		      const void *want);
void pol_id_put(struct pol_id_index *x, uint32_t *slot, uint64_t hash, uint32_t id);

#endif
