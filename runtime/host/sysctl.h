/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Settings of the kernel without which packets of others do not get to the proxy by lo
 * (bpf-templates/proxy.h, pol_by_lo).  They are changed when lo is hooked, which is recorded there
 * (struct prt_hook), and put back when it is no more.
 *
 *	net.ipv4.conf.lo.accept_local 1
 *		a packet that comes in there may have an address of this host as its source
 *	net.ipv4.conf.lo.src_valid_mark 1
 *		its source is looked up with its mark: by the route of the proxy, which makes every
 *		address one of lo, whatever rp_filter says (net/ipv4/fib_frontend.c, fib_validate_source)
 *	net.ipv4.tcp_early_demux 0
 *		what the host has translated to a connection of the proxy is found to be the proxy's
 *		before it is routed, and what has a socket is never forwarded, to where we meet it
 *		(net/ipv4/ip_forward.c, skb->sk).  Without it the route of TCP segments for this host
 *		itself is looked up for each; IPv6 reads the same word
 */
#ifndef POLC_RUNTIME_SYSCTL_H
#define POLC_RUNTIME_SYSCTL_H

#include <polc/abi.h>

#include "base/base.h"

/* Bit n: the n-th of them is not as it has to be. */
uint8_t prt_sysctl_differ(void);
/* The name of the first of these; NULL: none. */
const char *prt_sysctl_name(uint8_t which);
/* Makes these as they have to be, or undoes it; what is so already is fine. */
int prt_sysctl_set(uint8_t which, bool on, struct pol_err *e);

#endif
