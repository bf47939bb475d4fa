/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What closes this host where no hook of ours hangs: rules of nf_tables, which need no device to
 * exist and nobody to watch.
 *
 * The guard (tables `polc_guard`) stands on a host that boots closed (boot.h), as long as it
 * does.  Interfaces with our hooks are known to it; everywhere else nothing passes that is from or to
 * a closed address: `pool`, and what the host file gives to endpoints here.  So a container that
 * nobody has named yet, before the agent runs or beside it, has nobody to talk to:
 *
 *	routed		to this host and beyond it (prerouting), and to it (postrouting: after what was
 *			translated, and from this host itself)
 *	bridged		from one port to another, ARP and neighbour discovery in such a name too
 *	spoofed		from a veth or a bridge with another source: unless the way back leads by where
 *			it came in (fib), and never without a source or by a link-local one
 *
 * Lockdown (tables `polc_lockdown`) is the same with nothing known to it: containers have nobody,
 * whatever hooks there are.  Where even the closed addresses are not known, nothing is
 * forwarded, and nothing is bridged from or to a veth.  What this host itself does with others
 * goes on: somebody has to come in and mend it.
 *
 * All of a change is there at once or not at all (nft.h).
 */
#ifndef POLC_RUNTIME_GUARD_H
#define POLC_RUNTIME_GUARD_H

#include "runtime/input/object.h"

enum prt_guard { PRT_GUARD, PRT_LOCKDOWN, PRT_GUARDS };

typedef POL_VEC(struct prt_pool_range) prt_ranges; /* of either family, in any order */
typedef POL_VEC(uint32_t) prt_devices; /* ifindexes */

/* Makes it, or makes it anew.  -EOPNOTSUPP: the kernel has no nf_tables. */
int prt_guard_make(const prt_ranges *closed, const prt_devices *hooked, struct pol_err *e);
/* closed: NULL, or empty: not known. */
int prt_guard_lockdown(const prt_ranges *closed, struct pol_err *e);
/* That it is not there is fine. */
int prt_guard_remove(enum prt_guard which, struct pol_err *e);

/*
 * Which one is there, by the kernel's numbers of its tables: one that was made anew has others.  Who ends a
 * lockdown ends that which it saw when it was told to, and none that somebody asks for meanwhile: that takes no lock.
 */
struct prt_guard_id {
	uint64_t handle[2]; /* inet, bridge; 0: none */
};
int prt_guard_which(enum prt_guard which, struct prt_guard_id *out, struct pol_err *e);
bool prt_guard_same(const struct prt_guard_id *a, const struct prt_guard_id *b);
/* That this one is not there any more is fine. */
int prt_guard_remove_that(enum prt_guard which, const struct prt_guard_id *id, struct pol_err *e);

/* What a change that was cut off has left: closed to who comes later.  Who calls this holds the lock. */
int prt_guard_tidy(struct pol_err *e);

/* Our hooks hang there, from now on or no more.  Without a guard: nothing. */
int prt_guard_device(uint32_t ifindex, bool hooked, struct pol_err *e);

struct prt_guard_seen {
	bool there;
	bool everything; /* of a lockdown: the closed addresses were not known */
	bool no_bridges, no_spoofing; /* the kernel lacks what it takes to see to these */
	uint64_t packets; /* that it dropped */
};
int prt_guard_look(enum prt_guard which, struct prt_guard_seen *out, struct pol_err *e);

#endif
