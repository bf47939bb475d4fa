/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Endpoints that come and go while a generation is in force.
 *
 * Adding writes, in this order: the hooks (its packets drop: the interface
 * belongs to nobody), a record that is marked half made, pages and verdicts,
 * roots, columns, its addresses, its interface, and the record without the mark.
 * A crash in between leaves a closed endpoint that the next run erases.
 */
#ifndef POLC_RUNTIME_ENDPOINTS_H
#define POLC_RUNTIME_ENDPOINTS_H

#include "hostfile.h"
#include "env.h"

/* -ENODEV: no such interface; -EEXIST: name, interface or address is taken; -ENOENT: no policy in force. */
int prt_endpoint_add(struct prt_env *env, const struct prt_endpoint *ep, struct pol_err *e);
/* -ENOENT: none of that name. */
int prt_endpoint_del(struct prt_env *env, const char *name, struct pol_err *e);

#endif
