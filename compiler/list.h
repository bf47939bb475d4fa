/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_LIST_H
#define POLC_LIST_H

#include "compiler/ir.h"

/*
 * Who may reach whom: each pair of endpoint definitions, `world`, `host` and
 * named sets of which one side at least is an endpoint, with the protocols and
 * ports that both sides allow, as the evaluator judges typical members
 * (witness.h). A line a pair, or a JSON array. Definitions that nobody can satisfy
 * have no line. Scratch memory is taken from a.
 */
void pol_list(const struct pol_ir *ir, struct pol_arena *a, bool json, struct pol_buf *out);

#endif
