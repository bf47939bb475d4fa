/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of one direction that are still in question inside a box, first
 * match first: what does not match is gone, and so is all behind a rule that
 * matches the whole box.
 */
#ifndef POLC_CHAIN_H
#define POLC_CHAIN_H

#include "compiler/analysis/space.h"

struct pol_chain {
	size_t ir;		/* number of the policy in the space */
	uint32_t *rule;		/* ids; malloc'ed */
	size_t n;
	bool judged;		/* false: no endpoint at that end, so nothing is asked: allowed */
	bool ended;		/* the last rule matches the whole box: nothing comes behind it */
	bool decided;		/* the first rule matches the whole box: it decides */
	uint32_t skip[POL_STAGES]; /* id + 1 of a skip that takes the whole box past the stage, or 0 */
	uint32_t actions;	/* 1 << enum pol_action, of all that may decide */
};

/* Every rule in force of a direction; audit policies decide nothing. */
struct pol_chain pol_chain_all(const struct pol_space *s, size_t ir, enum pol_direction dir);
struct pol_chain pol_chain_unjudged(size_t ir);
/*
 * What is left of it inside the box, in a chain of its own. *steps is counted down by
 * the work that it is (space.h) and stays at 0; then the result must not be used.
 */
struct pol_chain pol_chain_narrow(const struct pol_space *s, const struct pol_chain *c,
				  const struct pol_box *b, uint64_t *steps);
void pol_chain_free(struct pol_chain *c);

/* Deciding rule of a chain that is decided; NULL: not judged. */
const struct pol_rule *pol_chain_rule(const struct pol_space *s, const struct pol_chain *c);
/* Of one that is not: the cut by its first rule. */
struct pol_cut pol_chain_cut(const struct pol_space *s, const struct pol_chain *c,
			     const struct pol_box *b);

/* ---- both directions ----------------------------------------------------------- */

struct pol_chains {
	struct pol_chain dir[POL_DIRECTIONS];
};

#define POL_BIT(action) (1u << (action))
#define POL_BITS_DENY (POL_BIT(POL_DENY) | POL_BIT(POL_REJECT))

struct pol_chains pol_chains_narrow(const struct pol_space *s, const struct pol_chains *c,
				    const struct pol_box *b, uint64_t *steps);
void pol_chains_free(struct pol_chains *c);
/* What flows of the box may meet, as POL_BITs: both sides together. */
uint32_t pol_chains_actions(const struct pol_chains *c);
/* NULL, or the side that must be known next to tell the verdict of the flow. */
const struct pol_chain *pol_chains_open(const struct pol_chains *c);
/* Of flows whose verdict is known: the deciding rule, as the evaluator reports it. */
const struct pol_rule *pol_chains_rule(const struct pol_space *s, const struct pol_chains *c);

/*
 * The parts of the flow space that somebody judges, one after the other: which
 * end is an endpoint, and which family.
 */
#define POL_ROOTS 6
struct pol_box pol_root_box(const struct pol_space *s, unsigned i);
bool pol_root_judges(unsigned i, enum pol_direction dir);

#endif
