/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking the policy: the row of each end that lives here, at the peer's column. */
#ifndef POL_BPF_JUDGE_H
#define POL_BPF_JUDGE_H

#include "classify.h"

/* Ports of the one who answers, or the ICMP type of the query. */
static __always_inline __u32 pol_judge_l4(const struct pol_pkt *p)
{
	switch (p->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return pol_l4(p->proto, p->type);
	default:
		return pol_l4(p->proto, bpf_ntohs(p->rev ? p->sport_be : p->dport_be));
	}
}

static __always_inline int pol_judge_verdict(struct pol_pkt *p,
					     __u32 dir, __u32 number, __u32 ep_flags)
{
	const struct pol_verdict *v = &pol_verdicts[number & (POL_VERDICTS_LEN - 1)];

	p->rule[dir] = v->rule;
	p->verdict[dir] = number + 1;
	p->action = v->action;
	p->flags |= v->flags;
	if (ep_flags & POL_EP_AUDIT)
		p->flags |= POL_PF_AUDIT;
	else if (v->nhttp)
		p->flags |= POL_PF_HTTP;
	if (p->audit_rule == POL_NO_RULE)
		p->audit_rule = v->audit_rule;
	if (v->action == POL_ALLOW)
		return 0;
	p->reason = v->action == POL_REJECT ? POL_REASON_REJECT : POL_REASON_POLICY;
	if (!(ep_flags & POL_EP_AUDIT))
		return p->reason;
	p->flags |= POL_PF_AUDITED;
	p->audited[dir & 1] = p->reason;
	p->reason = 0;
	p->verdict[dir] = 0;
	return 0;
}

/* One direction of endpoint `ep` against its peer. */
static __always_inline int pol_judge_side(struct pol_pkt *p, __u32 dir,
					  __u32 ep, const struct pol_addr *peer,
					  const struct pol_owner *owner, int from_host, __u32 l4)
{
	struct pol_ep_state *st = bpf_map_lookup_elem(&ep_state, &ep);
	__u32 column = 0;

	p->direction = dir;
	p->judged_ep[dir] = ep;
	if (!st || !st->root[dir] || pol_column(peer, owner, from_host, &column))
		return POL_REASON_NO_CLASS;
	p->incarnation[dir] = st->incarnation;
	return pol_judge_verdict(p, dir, pol_walk(st->root[dir], column, l4), st->flags);
}

/* The address is this host's or that of an endpoint on it. */
static __always_inline int pol_is_here(const struct pol_owner *o)
{
	return o && (o->entity == POL_ENTITY_HOST ||
		     (o->entity == POL_ENTITY_ENDPOINT && o->ifindex));
}

/*
 * Judges the flow in the direction of its originator: the packet's sender, or with
 * p->rev its receiver.  Both ends that live here must allow; the egress side is
 * asked first, and the first that does not allow decides.  Returns a reason.
 */
__noinline int pol_judge(struct pol_pkt *p)
{
	struct pol_owner *os, *od;
	struct pol_addr src, dst;
	__u32 from = 0, to = 0, l4;
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	src = p->rev ? p->dst : p->src;
	dst = p->rev ? p->src : p->dst;
	os = bpf_map_lookup_elem(&ep_by_addr, &src);
	od = bpf_map_lookup_elem(&ep_by_addr, &dst);
	/* what a backend begins itself at its device is asked of it, whoever was its client before */
	if (os && !p->from_host && !(p->served && (p->rev || p->hook != POL_HOOK_EP_OUT)) &&
	    os->entity == POL_ENTITY_ENDPOINT && os->ifindex)
		from = os->ep;
	if (od && od->entity == POL_ENTITY_ENDPOINT && od->ifindex)
		to = od->ep;
	if (p->group) {
		/* each receiver's device judges for the receiver, the sender's for the sender */
		to = p->hook == POL_HOOK_EP_IN ? p->ep : 0;
		from = p->hook == POL_HOOK_EP_OUT ? p->ep : 0;
	}
	if (!from && !to)
		return POL_REASON_NO_ENDPOINT;
	p->local = from && to;
	p->to = p->rev ? from : to;
	p->flags = !p->local && !p->from_host && !pol_is_here(from ? od : os) ? POL_PF_FAR : 0;
	p->audit_rule = p->rule[POL_EGRESS] = p->rule[POL_INGRESS] = POL_NO_RULE;
	p->verdict[POL_EGRESS] = p->verdict[POL_INGRESS] = 0;
	p->judged_ep[POL_EGRESS] = p->judged_ep[POL_INGRESS] = 0;
	p->audited[POL_EGRESS] = p->audited[POL_INGRESS] = 0;
	p->incarnation[POL_EGRESS] = p->incarnation[POL_INGRESS] = 0;
	l4 = pol_judge_l4(p);
	if (from) {
		reason = pol_judge_side(p, POL_EGRESS, from, &dst, od, 0, l4);
		if (reason)
			return reason;
	}
	return to ? pol_judge_side(p, POL_INGRESS, to, &src, os, p->from_host, l4) : 0;
}

#endif
