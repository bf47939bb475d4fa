/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_EXPLAIN_H
#define POLC_EXPLAIN_H

#include "compiler/analysis/why.h"
#include "lang/resolve.h"

/* What a filter says of a packet of the flow that comes in by an uplink which has it. */
struct pol_filter_answer {
	const struct pol_ir_filter *filter;
	struct pol_eval_filter eval;
};

struct pol_explanation {
	struct pol_str text;		/* the flow as given */
	struct pol_eval_peer src, dst;
	uint32_t l4_key;
	struct pol_eval_flow flow;
	bool request;			/* asked about one: */
	struct pol_http_verdict line[POL_DIRECTIONS]; /* what each side says of it */
	enum pol_action action;		/* of the request, else of the flow; to a service, of the first backend that says no; or a filter's */
	/*
	 * To a VIP: whose it is, and for each of its backends (of a class, a typical member) the
	 * flow that it sees; there only ingress is judged. Else NULL.
	 */
	const struct pol_ir_service *service;
	struct pol_explanation *backend;
	size_t nbackends; /* that the VIP's family can have: of both with `dsr` */
	/*
	 * Filters, in order of the text; none where no packet of the flow need come in by an uplink:
	 * asked about its first packet, or where it is sent from here, about the first reply.
	 */
	struct pol_filter_answer *filter;
	size_t nfilters;
	struct pol_eval_packet packet;
	bool replies;
	size_t dropped; /* the first filter that ends it, which makes the answer a no; else nfilters */
	const struct pol_program *program;
	const struct pol_flow *asked;
};

/*
 * Judges a flow of a resolved program whose IR is ir; ends that are endpoints
 * are taken to live here. Names stand for typical members (witness.h); where those of one name get
 * different answers, that is an error.
 * False after an error diagnostic.
 */
bool pol_explain(const struct pol_ir *ir, const struct pol_program *program,
		 const struct pol_flow *flow, struct pol_arena *a, struct pol_diags *diags,
		 struct pol_explanation *out);

/*
 * explain_filter.c: the part of pol_explain about filters, and what is printed of it.  `from` and
 * `to` are the ends as asked for, where x may have who stands for them in policies.  Returned is
 * the one of them whose members get different answers, NULL if there is none.
 */
const struct pol_eval_peer *pol_explain_filters(const struct pol_ir *ir, struct pol_arena *a,
						const struct pol_eval_peer *from,
						const struct pol_eval_peer *to,
						struct pol_explanation *x);
void pol_explain_filters_text(const struct pol_ir *ir, const struct pol_explanation *x,
			      struct pol_buf *out);
void pol_explain_filters_json(const struct pol_ir *ir, const struct pol_explanation *x,
			      struct pol_buf *out);
/* The line to write before the one that drops, so that the packet passes. */
struct pol_str pol_explain_filter_edit(const struct pol_explanation *x, struct pol_arena *a);

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
