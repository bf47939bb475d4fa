/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_LIST_H
#define POLC_LIST_H

#include "compiler/ir.h"

/*
 * Who may reach whom: each pair of endpoint definitions, `world`, `host` and
 * named sets of which one side at least is an endpoint, with the protocols and
 * ports that both sides allow, as the evaluator judges typical members
 * (witness.h). A line a pair, a JSON array, or a graph for Graphviz. Definitions that
 * nobody can satisfy have no line. Scratch memory is taken from a.
 */
enum pol_list_format { POL_LIST_TEXT, POL_LIST_JSON, POL_LIST_DOT };
void pol_list(const struct pol_ir *ir, struct pol_arena *a, enum pol_list_format format,
	      struct pol_buf *out);

#endif
