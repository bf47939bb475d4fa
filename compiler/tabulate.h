/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IR to tables: equivalence classes of addresses and of L4 keys, and one
 * decision tree for each block (manifest.h, tables.h, base/table.h).
 */
#ifndef POLC_TABULATE_H
#define POLC_TABULATE_H

#include <polc/tables.h>

#include "base/table.h"
#include "filter/filter.h"
#include "lang/diag.h"
#include "ir.h"
#include "partition.h"
#include "search.h"

struct pol_block_row { uint32_t pred; uint32_t node; };	/* index into pol_tables.preds; L4 tree */

/*
 * All rules of one subject, direction and stage, and of audit policies or not.
 *
 * root: static columns; the columns of endpoints behind them are 0 (closed)
 *       until the loader fills them.
 * base: the rules whose predicate every endpoint satisfies, whatever its labels and address.
 * rows: for each other predicate, the rules that have it.
 * Where no rule of the block matches, a tree says POL_VERDICT_NONE.
 */
struct pol_block {
	uint32_t subject;		/* selector id of the IR */
	enum pol_direction direction;
	enum pol_stage stage;
	bool audit;
	uint32_t root;			/* over (static column, L4 class) */
	uint32_t base;			/* L4 tree */
	POL_VEC(struct pol_block_row) rows;
	uint32_t first_rule;		/* lowest rule id, for messages */
	uint32_t nrules;
	uint32_t npages;		/* pages that no block before it had */
};

/* What the loader can find out only on the host: labels, and the class of an endpoint's address. */
struct pol_peer_term { uint32_t sel, set; };	/* set: index into pol_tables.sets */
struct pol_peer_pred { struct pol_peer_term *term; size_t n; };	/* any term; sorted */

struct pol_tables {
	const struct pol_ir *ir;
	struct pol_arena *arena;	/* its own; holds every array below */
	/* addresses */
	pol_intervals v4, v6;		/* value: class; of v6 also POL_V6_LOW | group; not the arena's */
	struct pol_search_tables v4_search, v6_search; /* likewise */
	struct pol_v6_low *v6_low;
	uint32_t v6_low_len;		/* power of two */
	unsigned v6_low_depth;
	uint32_t v6_lows;		/* how many are filled */
	uint32_t v6_bounds;		/* of whole addresses */
	uint32_t nclasses, nclasses_padded;
	uint32_t *pool;			/* bit by class: inside `pool`; NULL: there is none */
	POL_VEC(uint32_t) sets;		/* asets of the IR that predicates of endpoints use; [0] = 0 */
	struct pol_runs *set_classes;	/* by index into sets: class numbers */
	/* L4 */
	uint16_t (*l4_page)[256];	/* [POL_L4_SLOTS] */
	uint16_t *l4_class;
	uint32_t l4_class_len;		/* power of two */
	uint16_t proto_class[256];
	uint32_t nl4;
	unsigned column_levels, l4_levels;
	/* decisions */
	POL_VEC(struct pol_peer_pred) preds;
	POL_VEC(struct pol_block) blocks;
	struct pol_table *table;
	struct pol_filters filters;
	uint32_t pages_len, verdicts_len;	/* capacity of the object's arrays, powers of two */
};

/* Room that the loader gets beyond what the compiler filled. */
struct pol_capacity {
	uint32_t endpoint_kinds;	/* columns for kinds of endpoints */
	bool kinds_asked;		/* by the user: room for as many, not for what the policy makes likely */
	uint32_t max_pages;		/* refuse beyond */
};
/* 768 kinds and up to 64 address classes are two levels of columns; 64 MiB. */
#define POL_KINDS_MAX 65535u	/* as many as there can be endpoints */
#define POL_CAPACITY_DEFAULT ((struct pol_capacity){ .endpoint_kinds = 768, .max_pages = 1u << 19 })

/*
 * NULL after an error diagnostic (over capacity: which rules cost what).
 * cap NULL: POL_CAPACITY_DEFAULT.  The IR must outlive the tables; free with pol_tables_free.
 */
struct pol_tables *pol_tabulate(const struct pol_ir *ir, const struct pol_capacity *cap,
				struct pol_diags *diags);
void pol_tables_free(struct pol_tables *t);	/* NULL is fine */
/* For qsort() of pointers to blocks: most pages first. */
int pol_block_by_cost(const void *pa, const void *pb);

#endif
