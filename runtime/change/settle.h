/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the rest agree with `active`.
 *
 * An apply changes everything by one store.  Before it and after it there is
 * work that a crash can interrupt, and none of it counts: whoever takes the lock next
 * looks which generation is in force and removes or completes the rest:
 *
 *   - folders of other generations, their objects, the slots of `root` that are not in force
 *   - hooks on interfaces that the generation in force does not name; and hooks
 *     that it names and are not there
 *   - endpoints whose adding or removal did not come to its end
 *
 * The same code is the tail of a successful apply and the undoing of a failed one.
 */
#ifndef POLC_RUNTIME_SETTLE_H
#define POLC_RUNTIME_SETTLE_H

#include "runtime/generation/attach.h"
#include "runtime/generation/world.h"

/* With generation g and its world in force.  Half-made endpoints are erased and leave *w. */
int prt_settle(struct prt_env *env, struct prt_shared *s, struct prt_gen *g, struct prt_world *w,
	       struct pol_err *e);
/* Only what a crash can have left, for commands that have to be quick. */
int prt_settle_quick(struct prt_env *env, struct prt_shared *s, struct prt_gen *g,
		     struct prt_world *w, struct pol_err *e);
/* Records of held interfaces (attach.h) that are gone. */
int prt_settle_held(const struct prt_shared *s, struct pol_err *e);
/* With nothing in force: hooks and pins go, and the objects; the folder stays. */
int prt_settle_nothing(const struct prt_env *env, struct pol_err *e);

/*
 * Hooks for all that the world names.  only_new: leave alone what has a
 * record, as before a flip, when the old generation still needs them.
 */
int prt_settle_attach(struct prt_env *env, const struct prt_shared *s, const struct prt_world *w,
		      bool only_new, struct pol_err *e);

/* Removes an endpoint of a live generation, from the packets' view first. Hooks of a held interface stay. */
int prt_settle_erase(const struct prt_shared *s, struct prt_gen *g, struct prt_member *m,
		     struct pol_err *e);

#endif
