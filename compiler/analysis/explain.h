/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_EXPLAIN_H
#define POLC_EXPLAIN_H

#include "compiler/analysis/why.h"
#include "lang/resolve.h"

struct pol_explanation {
	struct pol_str text;		/* the flow as given */
	struct pol_eval_peer src, dst;
	uint32_t l4_key;
	struct pol_eval_flow flow;
	bool request;			/* asked about one: */
	struct pol_http_verdict line[POL_DIRECTIONS]; /* what each side says of it */
	enum pol_action action;		/* of the request, else of the flow; to a service, of the first backend that says no */
	/*
	 * To a VIP: whose it is, and for each of its backends (of a class, a typical member) the
	 * flow that it sees; there only ingress is judged. Else NULL.
	 */
	const struct pol_ir_service *service;
	struct pol_explanation *backend;
	size_t nbackends; /* that the VIP's family can have: of both with `dsr` */
	const struct pol_program *program;
	const struct pol_flow *asked;
};

/*
 * Judges a flow of a resolved program whose IR is ir; ends that are endpoints
 * are taken to live here. Names stand for typical members (witness.h).
 * False after an error diagnostic.
 */
bool pol_explain(const struct pol_ir *ir, const struct pol_program *program,
		 const struct pol_flow *flow, struct pol_arena *a, struct pol_diags *diags,
		 struct pol_explanation *out);

/* For a no, the fewest changes that would allow the flow: all of them together. Free the vector. */
void pol_explain_edits(const struct pol_ir *ir, const struct pol_explanation *x,
		       struct pol_arena *a, pol_edit_vec *out);

/*
 * Text: the verdict, then a line a side with the deciding rule, the rules that missed and on
 * what, and for a no the edits that would allow the flow. JSON: one object on one line;
 * "verdict" (allow, deny or reject) and "rule_at" (file:line) of the side that decides come first.
 * Scratch memory is the arena's.
 */
void pol_explain_print(const struct pol_ir *ir, const struct pol_explanation *x, bool json,
		       struct pol_arena *a, struct pol_buf *out);

#endif
