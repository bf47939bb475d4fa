/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub of XDP behind a dispatcher of libxdp (runtime/host/libxdp.h), where one hangs at an
 * uplink.
 *
 * It is an extension program that replaces a function of the dispatcher, does what the stub
 * does, and is one for all interfaces and all generations: an apply changes `active` and no
 * dispatcher.  It runs at PRT_XDP_PRIORITY, and what is behind it sees only what it passes.
 * Others come and go: each change is a new dispatcher, into which libxdp takes ours by its
 * pin.
 *
 * Whether it stands in the dispatcher that hangs there is asked of the kernel, not of libxdp's
 * pins.
 */
#ifndef POLC_RUNTIME_DISPATCHER_H
#define POLC_RUNTIME_DISPATCHER_H

#include "runtime/host/net.h"
#include "shared.h"

/* By its name: that libxdp knows it is found out when it is joined. */
bool prt_dispatcher_is(uint32_t prog_id);
/* Does this polload's stub stand in it? */
bool prt_dispatcher_has(const struct prt_shared *s, uint32_t prog_id);

/*
 * Our stub stands in the dispatcher at the interface, and no stub of an earlier life does.
 * -EOPNOTSUPP, -EPERM and others: it cannot be, and the dispatcher is as it was.
 */
int prt_dispatcher_join(struct prt_env *env, const struct prt_shared *s,
			const struct prt_link *link, uint32_t prog_id, struct pol_err *e);
/* Takes out all stubs of ours, of whatever life; without one libxdp is not asked. */
int prt_dispatcher_leave(uint32_t ifindex, uint32_t prog_id, struct pol_err *e);

#endif
