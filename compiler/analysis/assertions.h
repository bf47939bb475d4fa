/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_ASSERTIONS_H
#define POLC_ASSERTIONS_H

#include "compiler/analysis/space.h"
#include "lang/diag.h"

/*
 * Proves every assertion of the policy or adds an error with a flow that breaks
 * it (polc-policy(5) ASSERTIONS).  Exact; what the bound on steps leaves open is an error too.
 */
void pol_check_assertions(const struct pol_ir *ir, struct pol_arena *a, struct pol_diags *diags);
/* Does a flow that fits it have the other verdict? YES comes with one, which the evaluator confirms. */
enum pol_answer pol_assertion_breaks(const struct pol_ir *ir, const struct pol_assertion *assertion,
				     struct pol_arena *a, struct pol_point *flow);
/* Is a no of an assertion all that is wrong? */
bool pol_only_assertions_fail(const struct pol_diags *diags);

#endif
