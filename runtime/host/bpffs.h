/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The folder of pins:
 *
 *	FOLDER/active, root, ct, ...	what outlives a generation
 *	FOLDER/stub_NAME		the programs that hang on the hooks
 *	FOLDER/gen_N/...		maps and programs of generation N
 *	FOLDER/reader_N			locked by who reads events (watch.h); empty
 *
 * Names have no dots, bpffs refuses them.  Nothing is ever mounted here: a mount
 * is the administrator's choice, and the error names the command.
 */
#ifndef POLC_RUNTIME_BPFFS_H
#define POLC_RUNTIME_BPFFS_H

#include "runtime/input/env.h"

#define PRT_PATH 4096
#define PRT_BPFFS_READER "reader_"

/*
 * Opens the folder, making it (0700) if told so.  *dir is the caller's.  -ENOENT without an error
 * text: none there.
 */
int prt_bpffs_open(const struct prt_env *env, bool create, int *dir, struct pol_err *e);

/* FOLDER/name, or FOLDER/gen_N/name for a generation other than 0.  name may be "": the folder itself. */
int prt_bpffs_path(char out[PRT_PATH], const struct prt_env *env, uint64_t gen, const char *name,
		   struct pol_err *e);

int prt_bpffs_gen_make(const struct prt_env *env, uint64_t gen, struct pol_err *e);
/* Removes a generation's pins and folder; what is not there is fine. */
int prt_bpffs_gen_remove(const struct prt_env *env, uint64_t gen, struct pol_err *e);
/* The generations that have a folder, in no order. */
typedef POL_VEC(uint64_t) prt_gens;
int prt_bpffs_gens(const struct prt_env *env, prt_gens *out, struct pol_err *e);
/* Everything in the folder; and the folder itself. */
int prt_bpffs_clear(const struct prt_env *env, struct pol_err *e);
int prt_bpffs_remove(const struct prt_env *env, struct pol_err *e);

/* kind: "map" or "program", for the error. */
int prt_pin(const struct prt_env *env, uint64_t gen, const char *kind, const char *name, int fd,
	    struct pol_err *e);
/* *fd is the caller's.  -ENOENT without an error text: no such pin. */
int prt_pin_get(const struct prt_env *env, uint64_t gen, const char *kind, const char *name, int *fd,
		struct pol_err *e);
int prt_unpin(const struct prt_env *env, uint64_t gen, const char *name, struct pol_err *e);

#endif
