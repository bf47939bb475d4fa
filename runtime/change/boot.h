/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot order.  Pins are gone, containers are about to start, and nobody has said yet who is
 * who.  So, before the network and the engines:
 *
 *	1. the guard (guard.h): from here on nothing passes but by hooks of ours
 *	2. the last good policy (keep.h) takes force, as by a first apply, but without
 *	   import and grace: nothing lived before
 *	3. if there is none, or it cannot be read, or does not load: lockdown
 *
 * What the host file names and is not there yet is left out: an uplink, whose packets are those of
 * a stranger until then, and endpoints, whose addresses are closed.  `polload boot` again takes in
 * what has come meanwhile, `--watch` does so whenever an interface comes.  Endpoints that
 * came at run time are not kept: their agent names them again, and until then they are
 * closed.
 */
#ifndef POLC_RUNTIME_BOOT_H
#define POLC_RUNTIME_BOOT_H

#include "apply.h"
#include "runtime/host/guard.h"

struct prt_booted {
	bool already;		/* a policy was in force */
	bool applied;		/* out: the last good one, or what has come since */
	struct prt_applied how;
	bool locked;		/* failed, and so: lockdown */
	char waiting[256];	/* interfaces of the host file that are not there, for people */
};

/* Whatever fails, *out says whether it is lockdown now. */
int prt_boot(struct prt_env *env, struct prt_booted *out, struct pol_err *e);
/*
 * Takes in what the host file names whenever an interface comes, until *stop.  In a lockdown, and while
 * nothing is in force, it waits.  What is in force, and what is kept for the boot, it reads under the lock
 * under which it changes it: it undoes nobody's change.
 */
int prt_boot_watch(struct prt_env *env, const volatile int *stop,
		   void (*say)(const struct prt_booted *b, int r, const struct pol_err *e),
		   struct pol_err *e);

/*
 * Closes everything to and from containers until the next apply or boot.  *everything: their
 * addresses are not known, so that is forwarding as such.  Rules first, which wait for nobody; then
 * hooks, under the lock, and without it if who has it does not end: what a change puts in force behind
 * our back it closes itself (prt_boot_follow).
 */
int prt_lockdown(struct prt_env *env, bool *everything, struct pol_err *e);

/*
 * Interfaces of the host file that the world does not have: *text (at most `room` bytes), names for
 * people. True: one of them is there by now.
 */
bool prt_boot_waiting(const struct prt_hostfile *h, const struct prt_world *w, char *text,
		      size_t room);

/*
 * After a is in force: it is kept, the lockdown of before ends, and a guard closes what is closed now.
 * A lockdown that was asked for meanwhile stays, and what is in force now is closed by it too.
 */
struct prt_tx;
int prt_boot_follow(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e);
#define PRT_LOCKED_MEANWHILE \
	"a lockdown was asked for meanwhile, and stays: polload apply or polload boot lifts it"

#endif
