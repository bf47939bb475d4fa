/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is right but cannot be meant: rules that decide nothing, peers that
 * nobody can be, prefixes inside others.  Exact: a rule is named only if no
 * flow at all needs it, whatever endpoints will come.
 */
#ifndef POLC_LINT_H
#define POLC_LINT_H

#include "compiler/analysis/space.h"
#include "compiler/hosts.h"
#include "lang/resolve.h"

#define POL_LINT_SOLVE_STEPS 1000000u

enum pol_life {
	POL_LIFE_LIVE,		/* a flow is decided by it, and differently without it */
	POL_LIFE_DEAD,		/* rules with another action come before it everywhere */
	POL_LIFE_REDUNDANT,	/* rules with the same action say the same */
	POL_LIFE_VOID,		/* it matches no flow */
	POL_LIFE_UNDECIDED,	/* too many cases */
	POL_LIFE_UNASKED,	/* not written, or of an audit policy */
};

struct pol_rule_life {
	enum pol_life life;
	uint32_t *blocker;	/* DEAD, REDUNDANT: rules that cover it together */
	size_t n_blockers;
	struct pol_point flow;	/* LIVE: one that it decides; DEAD: one that it would like to */
	uint32_t conflict;	/* LIVE allow: a deny of another policy that takes a part; POL_NO_RULE */
	struct pol_point conflict_flow;
};

/*
 * By rule id. Dead and redundant rules may be removed all at once: none is a blocker of
 * another. steps: work (space.h) for each rule; 0: the usual bound.
 */
struct pol_rule_life *pol_lint_rules(const struct pol_space *s, struct pol_arena *a, uint64_t steps);

/* What nobody of these endpoints is: definitions, subjects and peers. `where`: the host file, for messages. */
void pol_lint_host(const struct pol_ir *ir, const struct pol_program *program,
		   const pol_host_endpoints *there, const char *where, struct pol_diags *diags);

/* Lines of http blocks that decide nothing, beside those of every block that holds wherever theirs does. */
void pol_lint_http(const struct pol_ir *ir, const struct pol_space *s, struct pol_diags *diags);

/* Lines of filters that no packet gets to, and those that earlier ones make redundant. */
void pol_lint_filters(const struct pol_ir *ir, const struct pol_space *s, struct pol_diags *diags);

/* Backends that nobody can be, and those whose policy does not let the host check them. */
void pol_lint_services(const struct pol_ir *ir, const struct pol_program *program,
		       struct pol_arena *a, struct pol_diags *diags);

/* Everything else, as diagnostics. */
void pol_lint(const struct pol_ir *ir, const struct pol_program *program, struct pol_arena *a,
	      struct pol_diags *diags);

#endif
