/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The edge: what an uplink's packet meets before the kernel has built an skb of it.
 *
 *	parse -> filters (filter.h) -> services -> pass on
 *
 * Passing on is XDP_PASS: the stack, and with it the TC hook of the uplink, sees the packet as it
 * came.  A generated file includes this behind datapath.h if the policy has filters or services:
 *
 *	SEC("xdp.frags") int pol_xdp(struct xdp_md *ctx) { return pol_hook_xdp(ctx); }
 *
 * To add a stage: a header with one function that takes (ctx, const struct pol_edge *, uplink),
 * included and called here under its own POL_USES_.
 */
#ifndef POL_BPF_EDGE_H
#define POL_BPF_EDGE_H

#include "edge_event.h"
#include "edge_parse.h"
#include "filter.h"
#if POL_USES_SERVICES
#include "service_edge.h"
#endif

static __always_inline int pol_hook_xdp(struct xdp_md *ctx)
{
	const struct pol_if *uplink;
	struct pol_edge p = {};
	int reason = 0;

	pol_edge_parse(ctx, &p);
	uplink = pol_uplink_of(p.ifindex);
	if (!uplink)
		return pol_edge_drop(&p, POL_REASON_NO_ENDPOINT);
#if POL_USES_FILTERS
	reason = pol_filters(&p, uplink);
#endif
	if (reason)
		return pol_edge_count_drop(&p, reason);
#if POL_USES_SERVICES
	reason = pol_edge_service(ctx, &p, uplink);
	if (reason != POL_SVC_NOT)
		return reason;
#endif
	return XDP_PASS;
}

#endif
