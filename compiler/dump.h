/* SPDX-License-Identifier: GPL-2.0-only */
/* What a pass leaves, as text for people and tests: `polc --dump=PASS`. */
#ifndef POLC_DUMP_H
#define POLC_DUMP_H

#include "compiler/ir.h"
#include "compiler/tabulate.h"
#include "lang/resolve.h"

/* In the order in which they run; the last four need tables. */
#define POL_PASSES(X)                                                                        \
	X(POL_PASS_AST, "ast", "syntax trees of all files")                                  \
	X(POL_PASS_IR, "ir", "sets, selectors and predicates")                               \
	X(POL_PASS_DECISIONS, "decisions", "rules in first-match order")                     \
	X(POL_PASS_CLASSES, "classes", "address and L4 classes")                             \
	X(POL_PASS_TABLES, "tables", "blocks and verdicts")                                  \
	X(POL_PASS_C, "c", "what clang is given")                                            \
	X(POL_PASS_MANIFEST, "manifest", "the object's sections for the loader")

#define POL_PASS_ITEM(id, name, what) id,
enum pol_pass { POL_PASSES(POL_PASS_ITEM) POL_PASS_MAX };
#undef POL_PASS_ITEM

/* POL_PASS_MAX if there is none of that name. */
enum pol_pass pol_pass_find(const char *name);
void pol_pass_help(struct pol_buf *out);	/* a line a pass */

void pol_dump_ast(const struct pol_program *p, struct pol_buf *out);
/* POL_PASS_IR, POL_PASS_DECISIONS */
void pol_dump_ir(const struct pol_ir *ir, enum pol_pass pass, struct pol_buf *out);
/* POL_PASS_CLASSES and later */
void pol_dump_tables(const struct pol_tables *t, enum pol_pass pass, struct pol_buf *out);

#endif
