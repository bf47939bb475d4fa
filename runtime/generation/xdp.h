/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The XDP hook of an uplink: where filters and services see a packet before the kernel has
 * made an skb of it.  Only uplinks that need it have it: of an object with neither, none.
 *
 * One program can hang there.  Nothing there: our stub, with nothing before it.  A dispatcher of
 * libxdp: the stub joins it (dispatcher.h), in whatever mode it hangs.  Ours is known by its name;
 * another one is refused, by name, and nothing of it is touched.
 */
#ifndef POLC_RUNTIME_XDP_H
#define POLC_RUNTIME_XDP_H

#include "runtime/host/net.h"
#include "shared.h"

/* Of struct prt_hook; numbers are those of the record. */
enum prt_xdp_mode {
	PRT_XDP_NONE = 0,
	PRT_XDP_NATIVE = 1,	/* in the driver */
	PRT_XDP_GENERIC = 2,	/* in the stack: works everywhere, costs an skb a packet */
};
const char *prt_xdp_mode_name(enum prt_xdp_mode mode);

/* Is it a stub of ours, of whatever life?  id 0: no. */
bool prt_xdp_is_stub(uint32_t prog_id);

/*
 * Hangs the stub there, in the driver if that can be, and notes it where it cannot.  What hangs
 * there already stays.  -EBUSY: somebody else's program does; -EOPNOTSUPP, -EPERM: a dispatcher that cannot
 * be joined.  The record in `hooks` must be there.
 */
int prt_xdp_attach(struct prt_env *env, const struct prt_shared *s, const struct prt_link *link,
		   struct pol_err *e);
/* Takes off a stub of ours; nothing there, or no such interface, is fine. */
int prt_xdp_detach(int hooks, uint32_t ifindex, struct pol_err *e);
/* Is it a dispatcher that hangs there, with our stub or without? */
bool prt_xdp_dispatcher(uint32_t ifindex);
/* How our stub hangs there, alone or in a dispatcher; NONE: it does not. */
enum prt_xdp_mode prt_xdp_attached(const struct prt_shared *s, uint32_t ifindex);

#endif
