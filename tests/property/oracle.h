/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A third opinion: the rules of the language applied to the syntax tree, rule by
 * rule and peer by peer, without sets, orders or blocks.  The evaluator and the tables
 * both stand on lower.c; this shares nothing with it.
 */
#ifndef POLC_TESTS_ORACLE_H
#define POLC_TESTS_ORACLE_H

#include "compiler/eval.h"
#include "lang/resolve.h"

struct oracle_answer {
	enum pol_action action;		/* ALLOW, DENY or REJECT */
	struct pol_span span;		/* of the deciding rule; POL_NO_SPAN: none that was written */
	bool audited;			/* audit policies would deny it */
};

/* As pol_eval_side; peer->kind WORLD and POOL are told apart here, by `pool` of the text. */
void oracle_side(const struct pol_program *program, struct pol_labels own, enum pol_direction dir,
		 const struct pol_eval_peer *peer, uint8_t proto, uint16_t value,
		 struct oracle_answer *out);

#endif
