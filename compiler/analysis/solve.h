/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is there an endpoint that satisfies these selectors and not those?
 *
 * Exact search over the label sets that the selectors can tell apart: for each
 * key that they mention, missing, one of the values that they mention, or some
 * other value.
 */
#ifndef POLC_SOLVE_H
#define POLC_SOLVE_H

#include "compiler/eval.h"

struct pol_want {
	uint32_t sel;
	bool value;	/* must hold, or must not */
};

enum pol_answer { POL_NO, POL_YES, POL_UNDECIDED };

/*
 * *steps is what may still be spent (tests of one selector node) and is counted down; at 0
 * the answer is UNDECIDED. For YES, found (may be NULL) gets the fewest labels that do, in
 * the arena: missing labels first, then the smallest values in order of the keys.
 */
enum pol_answer pol_solve(const struct pol_ir *ir, const struct pol_want *want, size_t n,
			  uint64_t *steps, struct pol_arena *a, struct pol_labels *found);

#endif
