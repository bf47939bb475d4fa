/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows that the kernel knows of by itself: what its own connection tracking has, and the
 * sockets of this host and of the endpoints on it.
 */
#ifndef POLC_RUNTIME_KERNFLOWS_H
#define POLC_RUNTIME_KERNFLOWS_H

#include "world.h"

struct prt_kernel_flow {
	struct pol_addr src, dst;	/* src began it */
	__be16 sport_be, dport_be;
	uint8_t proto;			/* TCP or UDP */
	uint8_t state;			/* enum pol_ct_state */
	uint8_t direct;			/* no address is translated on its way */
	uint32_t order;			/* of finding it: what says most comes first */
};
typedef POL_VEC(struct prt_kernel_flow) prt_kernel_flows;

/*
 * All that live, each once.  A translated flow gives two: as who began it sends
 * it, and as who answers sees it.  What cannot be asked (no connection tracking in the
 * kernel, no right to enter a namespace) is left out; fails only for want of memory.
 *
 * Sockets of a namespace are believed about an address only if an endpoint of `w` has it whose veth
 * leads into that very namespace: anybody can make a namespace in which he has any address.
 */
void prt_kernel_flows_read(const struct prt_world *w, prt_kernel_flows *out);

#endif
