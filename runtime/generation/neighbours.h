/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What others have on this host that sees packets before our hooks do, or steers
 * them by a mark of ours.  It is named and refused: beside it nobody could say what
 * is enforced.
 *
 *	XDP	runs before TC and can send a packet past it (XDP_TX, XDP_REDIRECT); but for a
 *		dispatcher of libxdp at an uplink, which is how the host's administrator runs programs
 *		beside others: filters and services join it, early (xdp.h)
 *	tcx	runs before clsact, and TCX_PASS skips it (net/core/dev.c, sch_handle_ingress)
 *	ip rule	would route packets that carry POL_MARK_JUDGED or POL_MARK_ANSWER by
 *		another table
 *	docker-proxy	forwards what anybody sends to a published port as traffic of this host, to
 *		which `option host open` opens everything.  One that is root's and in our network
 *		namespace: words alone anybody can have
 */
#ifndef POLC_RUNTIME_NEIGHBOURS_H
#define POLC_RUNTIME_NEIGHBOURS_H

#include <polc/abi.h>

#include "runtime/host/net.h"

/* kind: what the interface is for us.  -EBUSY, naming the program and how to remove it: somebody else's sees this interface's packets first. */
int prt_neighbours_check_link(const struct prt_link *link, enum pol_if_kind kind,
			      struct pol_err *e);
/* -EBUSY: a rule of policy routing, IPv4 or IPv6, takes packets with marks of ours. */
int prt_neighbours_check_rules(struct pol_err *e);

/* -EBUSY: the table or the priority of that way to the proxy has something of somebody else. */
int prt_neighbours_check_way(const struct prt_way *way, struct pol_err *e);

struct prt_published {		/* one docker-proxy */
	struct pol_addr to;
	char port[8], host_port[8];
	unsigned pid;
};
typedef POL_VEC(struct prt_published) prt_published;
/* All there are, or an error: nobody is missed. */
int prt_neighbours_published(prt_published *out, struct pol_err *e);
/* -EBUSY, naming the port: the endpoint of that name and address is published by one of them. */
int prt_neighbours_check_published(const prt_published *all, const char *name,
				   const struct pol_addr *a, struct pol_err *e);

#endif
