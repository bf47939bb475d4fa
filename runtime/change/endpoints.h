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

#include "runtime/input/env.h"
#include "runtime/generation/live.h"

/* -ENODEV: no such interface; -EEXIST: name, interface or address is taken; -ENOENT: no policy in force. */
int prt_endpoint_add(struct prt_env *env, const struct prt_endpoint *ep, struct pol_err *e);
/*
 * -ENOENT: none of that name.  hold: the hooks stay and drop everything, as long as the interface
 * is there: who removes an endpoint before its container is gone leaves no open door.
 */
int prt_endpoint_del(struct prt_env *env, const char *name, bool hold, struct pol_err *e);

/*
 * Closes the interface of a container that is not an endpoint yet (attach.h).  That it is one, or
 * is held, already is fine.  An endpoint whose interface was another one, of the same number, has none any more.  -ENODEV: no such interface; -EINVAL: nothing can be judged there;
 * -ENOENT: no policy in force.
 */
int prt_endpoint_hold(struct prt_env *env, const char *interface, struct pol_err *e);

/* Are the hooks of an endpoint's interface in place? */
int prt_endpoint_hooked(struct prt_env *env, uint32_t ifindex, bool *hooked, struct pol_err *e);

/*
 * Forgets held interfaces that are gone, and addresses of this host that went with them.  -ENOENT:
 * no policy in force.
 */
int prt_endpoint_sweep(struct prt_env *env, struct pol_err *e);
/* Another name for the same endpoint: nothing else changes.  -EEXIST: it is taken. */
int prt_endpoint_rename(struct prt_env *env, const char *from, const char *to, struct pol_err *e);

/*
 * The other end of an endpoint's veth has come into a namespace of its own: from now on packets can be
 * handed to it (bpf-templates/handover.h).  That there is no endpoint there is fine.
 */
int prt_endpoint_meet(struct prt_env *env, uint32_t ifindex, struct pol_err *e);

typedef bool (*prt_endpoint_fn)(const struct prt_member *m, void *ctx);
/*
 * Calls `fn` with each endpoint that lives here until it says true.  What is half made or half removed is
 * removed before.  -ENOENT: no policy in force.
 */
int prt_endpoint_each(struct prt_env *env, prt_endpoint_fn fn, void *ctx, struct pol_err *e);

/* Rows and columns for the last member of the world, written to the tables of *o, its generation's, which may be live. */
int prt_place_last(struct prt_live *l, const struct prt_object *o, struct pol_err *e);

#endif
