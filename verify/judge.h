/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel did with a packet beside what the evaluator says of it.  Each returns true
 * where both agree; else what they said, for a person, is in `why`.
 */
#ifndef POLC_VERIFY_JUDGE_H
#define POLC_VERIFY_JUDGE_H

#include "verify/kernel.h"

void judge_expect(const struct pol_ir *ir, const struct world *w, const struct flow *f,
		  struct pol_eval_flow *out);

/* Of a packet that had to be judged. */
bool judge_new(const struct seen *s, const struct flow *f, const struct pol_eval_flow *expect,
	       struct pol_buf *why);
/* ... that had to pass because its flow is known. */
bool judge_known(const struct seen *s, struct pol_buf *why);
/* ... of a live flow after a change of policy: judged again, in the direction of the originator. */
bool judge_again(const struct seen *s, const struct pol_eval_flow *expect, struct pol_buf *why);

const char *judge_action(unsigned action);
const char *judge_direction(enum pol_direction d);
void judge_say_side(struct pol_buf *why, const char *who, unsigned action, uint32_t rule,
		    uint32_t audit, bool log, size_t nlimits);

#endif
