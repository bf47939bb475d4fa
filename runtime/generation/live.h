/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in force, opened and locked.
 */
#ifndef POLC_RUNTIME_LIVE_H
#define POLC_RUNTIME_LIVE_H

#include "runtime/host/lock.h"
#include "world.h"

struct prt_live {
	int lock;
	struct prt_shared shared;
	struct prt_gen gen;
	struct prt_world world;
};

void prt_live_init(struct prt_live *l);
void prt_live_close(struct prt_live *l);	/* after init */

/*
 * PRT_LOCK_SHARED: to look; PRT_LOCK_EXCLUSIVE: to change.  -ENOENT with an error text: no policy is in force.
 * After an error nothing is open, and the lock is another's to take: ours, in what comes next.
 */
int prt_live_open(const struct prt_env *env, enum prt_lock_kind kind, struct prt_live *l,
		  struct pol_err *e);

#endif
