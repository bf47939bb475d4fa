/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hooks: our filters at the clsact qdisc of an interface.  clsact, because
 * attaching there costs 0.1 ms; a tcx link waits for a grace period each time.
 */
#ifndef POLC_RUNTIME_ATTACH_H
#define POLC_RUNTIME_ATTACH_H

#include "runtime/host/net.h"
#include "shared.h"

/* By these two our filters are known; the handle reads "polc". */
#define PRT_TC_HANDLE 0x706f6c63u
#define PRT_TC_PRIORITY 1u

/*
 * -EINVAL, naming the interface and the reason: a kind of device at which
 * traffic cannot be judged, because there is no side of it on this host.
 * -EBUSY: somebody else's program is there before us (neighbours.h).
 */
int prt_attach_check(const struct prt_link *link, enum pol_if_kind kind, struct pol_err *e);

/*
 * Hangs the stubs of that kind on the interface; what hangs there already stays.  egress: of an
 * uplink, whether it has a hook there, for services.  Recorded in `hooks` first.  -ENODEV: the
 * interface is gone.
 */
enum prt_egress { PRT_EGRESS_KEEP, PRT_EGRESS_OFF, PRT_EGRESS_ON };
int prt_attach(const struct prt_shared *s, const struct prt_link *link, enum pol_if_kind kind,
	       enum prt_egress egress, struct pol_err *e);

/*
 * The same for a container's interface of which nobody says yet, or says no more, whose it is: its
 * hooks drop everything until an endpoint is added there, and again when that is removed.
 * They go with the interface, or with prt_detach().
 */
int prt_hold(const struct prt_shared *s, const struct prt_link *link, struct pol_err *e);

/* What is recorded of an interface; zero (no kind): nothing. */
int prt_hook_of(int hooks, uint32_t ifindex, struct prt_hook *out, struct pol_err *e);

/*
 * Takes them off, the qdisc too if we made it and nobody else uses it, and the record.  An
 * interface that is gone is fine.
 */
int prt_detach(int hooks, uint32_t ifindex, struct pol_err *e);

/* All that `hooks` knows. */
int prt_detach_all(int hooks, struct pol_err *e);

/* Is every hook of that kind in place, with our stub?  1: yes, 0: no, -errno: nobody can tell. */
int prt_attached(const struct prt_shared *s, uint32_t ifindex, enum pol_if_kind kind, bool out);

/* Does anything of ours hang at an endpoint's device?  Likewise. */
int prt_attached_any(uint32_t ifindex);

/* Records of `hooks`. */
struct prt_hook_at {
	uint32_t ifindex;
	struct prt_hook hook;
};
typedef POL_VEC(struct prt_hook_at) prt_hooks;
int prt_hooks_read(int hooks, prt_hooks *out, struct pol_err *e);

#endif
