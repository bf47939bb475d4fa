/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The comparisons.  Each returns true where both sides agree; else what they
 * said, for a person, is in `why`.
 */
#ifndef POLC_TESTS_CHECK_H
#define POLC_TESTS_CHECK_H

#include "build.h"
#include "verify/judge.h"

/* What decided, for the summary: a test whose every packet falls to `default` shows little. */
struct tally {
	uint64_t action[POL_ALLOW + 1];
	uint64_t implicit[POL_IMPLICIT_HOST + 1];	/* by enum pol_implicit */
	uint64_t audited, limited, both_sides;
};

void check_tally(struct tally *t, const struct build *b, const struct pol_eval_flow *f);

/* The evaluator against the language itself (oracle.h): does the IR say what the text says? */
bool check_lowering(const struct build *b, const struct world *w, const struct flow *f,
		    const struct pol_eval_flow *expect, struct pol_buf *why);

/* The tables as the loader placed them, walked in user space, against the evaluator. */
bool check_tables(const struct build *b, const struct world *w, const struct flow *f,
		  const struct pol_eval_flow *expect, struct pol_buf *why);

#endif
