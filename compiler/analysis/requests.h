/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of a connection that is allowed with http rules: is there one that passes, or one
 * that does not?  Exact: the product of all automata that the rules name is walked, so an
 * answer is about every method, host and path; and its witness is a shortest one.
 */
#ifndef POLC_REQUESTS_H
#define POLC_REQUESTS_H

#include "compiler/eval.h"
#include "compiler/analysis/solve.h"

struct pol_requests {
	const struct pol_ir *ir;
	const struct pol_eval_side *side[POL_DIRECTIONS];	/* NULL: not judged; else ALLOW */
	struct pol_str method, path;	/* p NULL: every one */
	bool allowed;			/* look for one that passes; else for one that does not */
	/* With `allowed`: that passes here and does not there, by another policy; NULL: anywhere. */
	const struct pol_requests *but;
};

struct pol_request_witness {	/* memory: the arena's; p NULL: all pass alike */
	struct pol_str method, host, path;
};

/*
 * UNDECIDED: *budget (product states) ran out; or only headers decide, and rules that allow and
 * rules that deny ask for some at once, or both policies ask for other ones.
 */
enum pol_answer pol_requests_find(const struct pol_requests *q, uint64_t *budget,
				  struct pol_arena *a, struct pol_request_witness *out);

#endif
