/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last good policy, for the next boot: what was in force last, in the state folder.
 *
 *	STATE/good			a symbolic link to
 *	STATE/good-HASH/manifest	what belongs together, and the SHA-256 of each;
 *					its own SHA-256 is the folder's name
 *	STATE/good-HASH/policy.bpf.o	the object that was loaded, .sig its signature,
 *			host.yaml	and the host file, if there were any
 *
 * A folder is written whole under another name, made durable, renamed, and then the link
 * is: wherever a crash or a loss of power comes between, the link leads to the older one or to
 * the newer, and both are whole.  The older one then goes.
 *
 * What stands here is not trusted: hashes tell a damaged disk and half a restore, and whose it
 * is, who signed it and what is in it is asked again as of any file (admit.h).
 */
#ifndef POLC_RUNTIME_KEEP_H
#define POLC_RUNTIME_KEEP_H

#include "apply.h"
#include "runtime/host/guard.h"

#define PRT_HASH 32 /* bytes of SHA-256 */

struct prt_kept {
	char folder[4096];
	uint8_t object[PRT_HASH], host[PRT_HASH], signature[PRT_HASH];
	bool has_host, has_signature;
	bool audit, anybody_bpf;	/* of the apply */
	prt_ranges closed;		/* addresses of endpoints here: guard.h */
};
void prt_kept_free(struct prt_kept *k);	/* zeroed is fine */

/* After a: what is in force.  Without a host file that of before stays. */
int prt_keep_put(const struct prt_env *env, const struct prt_apply *a, const prt_ranges *closed,
		 struct pol_err *e);
/* -ENOENT without an error text: nothing is kept. */
int prt_keep_open(const struct prt_env *env, struct prt_kept *out, struct pol_err *e);
/* The way in, as of files that are given (admit.h), and the hashes. */
int prt_keep_admit(const struct prt_env *env, const struct prt_kept *k, struct prt_object **out,
		   struct pol_err *e);
int prt_keep_admit_host(const struct prt_kept *k, struct prt_hostfile **out, /* NULL: none is kept */
			struct pol_err *e);
/* Is all of it there, undamaged?  A look, not a way in. */
int prt_keep_check(const struct prt_kept *k, struct pol_err *e);
bool prt_keep_is(const struct prt_kept *k, const struct prt_object *o);
/* That nothing is kept is fine. */
int prt_keep_forget(const struct prt_env *env, struct pol_err *e);

#endif
