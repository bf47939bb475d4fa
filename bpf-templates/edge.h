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

#ifndef POL_USES_FILTERS
#define POL_USES_FILTERS 0
#endif

#include "edge_parse.h"

/* What the loader says of this uplink; NULL: it is none, which is an accident. */
static __always_inline const struct pol_if *pol_uplink_of(__u32 ifindex)
{
	__u32 near = ifindex & (POL_IF_NEAR - 1);
	const struct pol_if *i = bpf_map_lookup_elem(&if_near, &near);

	if (pol_unlikely(!i || i->ifindex != ifindex))
		i = bpf_map_lookup_elem(&ep_by_if, &ifindex);
	return i && i->kind == POL_IF_UPLINK ? i : NULL;
}

/* Counts; the caller returns what this returns. */
static __always_inline int pol_edge_drop(const struct pol_edge *p, __u32 reason)
{
	struct pol_count *c = bpf_map_lookup_elem(&drops, &reason);

	if (c) {
		c->packets++;
		c->bytes += p->len;
	}
	return XDP_DROP;
}

static __always_inline int pol_edge_is_ip(const struct pol_edge *p)
{
	return p->type_be == POL_ETH_V4 || p->type_be == POL_ETH_V6;
}

static __always_inline int pol_hook_xdp(struct xdp_md *ctx)
{
	const struct pol_if *uplink;
	struct pol_edge p;

	pol_edge_parse(ctx, &p);
	uplink = pol_uplink_of(p.ifindex);
	if (!uplink)
		return pol_edge_drop(&p, POL_REASON_NO_ENDPOINT);
	/* here: filters, services */
	return XDP_PASS;
}

#endif
