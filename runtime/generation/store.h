/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state folder: the objects of the generation in force and of the one before it, for `rollback`
 * and for changes of endpoints, and of a shadow; each with what signed it.  Which of them counts is
 * said by `active` alone; others are left-overs.
 */
#ifndef POLC_RUNTIME_STORE_H
#define POLC_RUNTIME_STORE_H

#include "runtime/input/env.h"
#include "runtime/input/object.h"

/*
 * The folder itself, checked: nobody else may write here, or enter.  create: made if need be; else
 * -ENOENT without an error text.
 */
int prt_store_folder(const struct prt_env *env, bool create, struct pol_err *e);

/* The bytes that were checked and loaded, under the number of their generation. */
int prt_store_put(const struct prt_env *env, uint64_t gen, const struct prt_object *o,
		  struct pol_err *e);
/* The host file that came with it, for who puts it in force later.  *out: n == 0, there is none. */
int prt_store_put_host(const struct prt_env *env, uint64_t gen, struct pol_str text,
		       struct pol_err *e);
int prt_store_get_host(const struct prt_env *env, uint64_t gen, char **out, size_t *n,
		       struct pol_err *e);
/* *out: free with prt_object_free.  -ENOENT with an error text: it is not there. */
int prt_store_get(const struct prt_env *env, uint64_t gen, struct prt_object **out,
		  struct pol_err *e);
/* Removes all but those of these generations. */
int prt_store_prune(const struct prt_env *env, const uint64_t *keep, size_t n, struct pol_err *e);
/* Removes all, and the folder if nothing else is in it. */
int prt_store_remove(const struct prt_env *env, struct pol_err *e);

#endif
