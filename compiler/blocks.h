/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of tabulate.h: classes.c and blocks.c, called by tabulate.c. */
#ifndef POLC_BLOCKS_H
#define POLC_BLOCKS_H

#include "tabulate.h"

struct pol_tabulation {
	const struct pol_ir *ir;
	struct pol_tables *t;
	struct pol_diags *diags;
	struct pol_capacity cap;
	bool *aset_used, *l4_used;	/* by id; id 0 is never */
	struct pol_runs *aset_runs;	/* by aset: its address classes */
	struct pol_runs *l4_runs;	/* by l4set: its L4 classes */
	struct pol_runs *pred_columns;	/* by predicate: static columns where it holds; run NULL: not yet */
	uint32_t *peer_pred;		/* by predicate: index into t->preds, or one of these */
	uint32_t *peer_row;		/* by index into t->preds: scratch of a block, zero between blocks */
};
#define POL_PEER_NEVER UINT32_MAX	/* no endpoint satisfies it */
#define POL_PEER_ALWAYS (UINT32_MAX - 1)	/* every endpoint does */

#define POL_MAX_BOUNDS ((1u << 24) - 1)	/* of addresses of one family: POL_LEVELS6_MAX */
#define POL_MAX_L4_CLASSES 65535u
#define POL_MAX_VERDICTS (1u << 20)

/* 0, or -E2BIG with a diagnostic. */
int pol_tabulate_addresses(struct pol_tabulation *b);
int pol_tabulate_l4(struct pol_tabulation *b);
int pol_tabulate_blocks(struct pol_tabulation *b);

/* What id 0 stands for: everything. */
static inline struct pol_runs pol_run_all(struct pol_arena *a, uint32_t n)
{
	struct pol_runs r = { pol_arena_alloc(a, sizeof(*r.run)), 1 };

	r.run[0] = (struct pol_range32){ 0, n - 1 };
	return r;
}

#endif
