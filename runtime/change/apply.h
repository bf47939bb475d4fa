/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The transaction that puts a policy in force.
 *
 *   1. lock; complete or remove what a crash left (settle.h)
 *   2. read the world of the generation in force, make the next one's
 *   3. load generation N + 1, fill its maps: nobody sees them yet.  If there is no N: enter
 *	the flows that the kernel knows of (ask.h)
 *   4. keep its object; pin it
 *   5. hang stubs on interfaces that are new.  Their packets are dropped from
 *      now on until 7: N knows no such endpoint (or there is no N), so they are never
 *      judged by a policy that does not mean them, and closed comes before open
 *   6. enter its programs in the idle slots of `root`
 *   7. store N + 1 in `active`: policy, endpoints and addresses change together
 *   8. wait until no packet is in N; take hooks off interfaces that are no
 *      longer named; remove N
 *
 * Whatever fails before 7 is undone by the code that cleans up after a crash; after 7
 * nothing can fail that matters, and what is left over goes with the next run.
 */
#ifndef POLC_RUNTIME_APPLY_H
#define POLC_RUNTIME_APPLY_H

#include "runtime/generation/ask.h"
#include "runtime/input/hostfile.h"
#include "runtime/input/object.h"
#include "runtime/generation/world.h"

struct prt_apply {
	const struct prt_object *object;
	const struct prt_hostfile *host;	/* NULL: endpoints and uplinks stay as they are */
	const struct prt_world *world;		/* not NULL: this one, whatever the host file says */
	bool audit;
	bool late;		/* interfaces of the host file that are not there are left out (boot.h) */
	/* For the next boot (keep.h): */
	struct pol_str host_text;	/* of the world, where there is no host file; n == 0: the one of before */
	bool anybody_bpf;	/* --allow-unprivileged-bpf */
	bool again;		/* it was in force before: what was allowed then is still */
	/* Of a first apply: */
	bool no_import;		/* flows that the kernel knows of are not entered */
	uint32_t grace;		/* seconds in which others are picked up; see flow.h of the data path */
};

#define PRT_GRACE_SECONDS 60u	/* unless told otherwise */
#define PRT_GRACE_MAX 600u

struct prt_applied {
	uint64_t generation, previous;
	size_t endpoints, remotes, uplinks;
	struct prt_imported imported;	/* of a first apply */
	char policy[128];
};

int prt_apply(struct prt_env *env, const struct prt_apply *a, struct prt_applied *out,
	      struct pol_err *e);

/* The object before this one, with today's endpoints.  -ENOENT: there is none to go back to. */
int prt_rollback(struct prt_env *env, struct prt_applied *out, struct pol_err *e);

/* Starts the proxy if the policy in force needs one that does not answer, and tells it that policy. */
int prt_proxy_again(struct prt_env *env, struct pol_err *e);

/* Detaches all and leaves nothing behind.  *was_there: there was something. */
int prt_remove(struct prt_env *env, bool *was_there, struct pol_err *e);

#endif
