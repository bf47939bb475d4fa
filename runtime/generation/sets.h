/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic sets: what is added at run time to a `cidr NAME dynamic`.
 *
 * A set is one map, made whole beside the one that is there and put in its place in one step:
 * no packet sees half a change, and a crash leaves the old set or the new one.  Sets are the host's, by
 * name: they outlive generations, those too that do not name them.  What the text of the policy
 * lists is in the tables of its object and is not changed here.
 */
#ifndef POLC_RUNTIME_SETS_H
#define POLC_RUNTIME_SETS_H

#include "runtime/input/object.h"
#include "shared.h"

#define PRT_SET_PREFIXES (8u << 20)	/* of one set */

/* The place of each dynamic set of an object; a new name gets a free one.  -ENOSPC: there is none. */
int prt_sets_places(const struct prt_shared *s, const struct prt_manifest *m,
		    uint32_t slot[POL_SETS_MAX], struct pol_err *e);

enum prt_set_change { PRT_SET_ADD, PRT_SET_DEL, PRT_SET_REPLACE };

struct prt_set_changed {
	size_t before, after;	/* prefixes */
};

typedef POL_VEC(struct pol_prefix) prt_prefixes;

/* One prefix or address a line, `#` comments.  -EINVAL: PATH:LINE and what is wrong with it. */
int prt_prefixes_read(const char *path, prt_prefixes *out, struct pol_err *e);

/*
 * All of it or nothing.  -ENOENT: no set of that name, or (DEL) a prefix that nobody added; adding what
 * is there already is fine.
 */
int prt_sets_change(struct prt_env *env, const char *name, enum prt_set_change what,
		    const prt_prefixes *with, struct prt_set_changed *out, struct pol_err *e);

/* What `replace` writes, into place `place` of a map of maps like `sets`; for tests. */
int prt_sets_put(int sets, uint32_t place, const prt_prefixes *all, struct pol_err *e);

/* Names and sizes of all sets, or what is in one, a prefix a line. */
int prt_sets_show(struct prt_env *env, const char *name, struct pol_buf *out, struct pol_err *e);

#endif
