/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_LOWER_H
#define POLC_LOWER_H

#include "lang/resolve.h"
#include "ir.h"

/*
 * AST to IR.  The program must have resolved without errors.  What this
 * version cannot enforce (service, filter ...) is an error diagnostic that
 * names the construct; so are overlapping tiers of equal number.  Returns NULL
 * after an error.
 */
struct pol_ir *pol_lower(struct pol_program *program, struct pol_arena *arena,
			 struct pol_diags *diags);

#endif
