/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One polload at a time on one folder of pins.  The lock is flock(2) on the
 * folder itself: it needs no file of its own, ends with its process however
 * that ends, and cannot be left behind.  Readers share it.
 */
#ifndef POLC_RUNTIME_LOCK_H
#define POLC_RUNTIME_LOCK_H

#include "bpffs.h"

enum prt_lock_kind { PRT_LOCK_SHARED, PRT_LOCK_EXCLUSIVE };

/* How long a second polload waits before it gives up and says who is first. */
#define PRT_LOCK_WAIT_MS 10000

/*
 * *fd keeps the lock while it is open.  -ENOENT without an error text: no folder,
 * so nothing is in force (never with PRT_LOCK_EXCLUSIVE and create).  -EBUSY: somebody holds it.
 */
int prt_lock(const struct prt_env *env, enum prt_lock_kind kind, bool create, int *fd,
	     struct pol_err *e);

#endif
