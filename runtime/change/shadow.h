/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shadow: a policy loaded beside the one in force, asked about each flow that this one judges,
 * obeyed by nobody (bpf-templates/ask.h).
 *
 *	begin	load the shadow as generation S, and the _watched programs of N over N's own maps;
 *		say so in `meta`; pin; enter S in `shadow`, the watched programs in N's
 *		slots of `root`; ask both about each live flow; `shadow_on`
 *	end	not `shadow_on`; N's own programs back; leave `shadow`; wait until no packet is in
 *		them; remove S
 *
 * Both sets of programs of N enforce the same, so a crash anywhere changes no verdict, and the next
 * run ends what did not begin or end: `meta` says what there is before anything is.  With
 * a change of generation the shadow ends, for it stands beside one and no other.
 */
#ifndef POLC_RUNTIME_SHADOW_H
#define POLC_RUNTIME_SHADOW_H

#include "apply.h"
#include "runtime/generation/world.h"

struct prt_shadowed {
	uint64_t beside;		/* the generation in force */
	struct pol_shadow_sums sums;	/* of the flows that lived */
	char policy[128];
};

/* -ENOENT: nothing is in force.  A shadow that there is goes first. */
int prt_shadow_begin(struct prt_env *env, const struct prt_apply *a, struct prt_shadowed *out,
		     struct pol_err *e);
/* Its policy takes force, as by an apply.  -ENOENT: there is no shadow. */
int prt_shadow_commit(struct prt_env *env, struct prt_applied *out, struct pol_err *e);
/* It ends, and nothing else.  -ENOENT: there is no shadow. */
int prt_shadow_drop(struct prt_env *env, struct pol_err *e);

/* ---- for those who change what is in force -------------------------------------------- */

/* The generation that stands beside this one, or 0. */
uint64_t prt_shadow_of(const struct prt_shared *s, uint64_t active);
/* Ends a shadow that did not begin wholly, or stands beside another generation than `g`. */
int prt_shadow_settle(const struct prt_env *env, struct prt_shared *s, struct prt_gen *g,
		      struct pol_err *e);
/*
 * What came to the endpoints of the generation in force comes to those of the shadow.  Trouble is a
 * note: the shadow then calls that endpoint's flows closed.
 */
void prt_shadow_add_endpoint(struct prt_env *env, struct prt_shared *s, uint64_t active,
			     const struct prt_member *m);
void prt_shadow_del_endpoint(struct prt_env *env, struct prt_shared *s, uint64_t active,
			     const char *name);

#endif
