/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The data path.  A generated file defines the constants and tables of
 * <polc/tables.h>, includes this, and wraps each hook:
 *
 *	SEC("tc") int pol_ep_out(struct __sk_buff *skb) { return pol_hook_ep_out(skb); }
 *
 * Every hook returns TC_ACT_OK, TC_ACT_SHOT or what bpf_redirect() returned for an
 * answer; nothing falls through.
 */
#ifndef POL_BPF_DATAPATH_H
#define POL_BPF_DATAPATH_H

#ifndef POL_USES_HTTP
#define POL_USES_HTTP 0
#endif
#ifndef POL_USES_SERVICES
#define POL_USES_SERVICES 0
#endif
#ifndef POL_USES_FILTERS
#define POL_USES_FILTERS 0
#endif

#include "maps.h"
#include "pkt.h"
#include "event.h"
#include "parse.h"
#include "transport.h"
#include "classify.h"
#include "judge.h"
#include "ct.h"
#include "limit.h"
#include "ct_insert.h"
#include "tcp.h"
#include "frag.h"
#include "icmp.h"
#include "link.h"
#include "reject.h"
#include "timewait.h"
#include "proxy.h"
#include "flow.h"
#include "handover.h"
#include "ask.h"
#if POL_USES_SERVICES
#include "service.h"
#include "service_stack.h"
#endif

static __always_inline void pol_begin(struct pol_pkt *p, __u8 hook)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->hook = hook;
	p->rule[POL_INGRESS] = p->rule[POL_EGRESS] = p->audit_rule = POL_NO_RULE;
}

static __always_inline void pol_mark(struct __sk_buff *skb, __u32 bits)
{
	__u32 mark = (skb->mark & ~POL_MARK_MASK) | bits;

	if (skb->mark != mark)
		skb->mark = mark;
}

/* Judged, for this endpoint's device; 0: for none here.  abi.h, POL_MARK_JUDGED. */
static __always_inline void pol_mark_judged(struct __sk_buff *skb, __u16 to)
{
	pol_mark(skb, to ? POL_MARK_JUDGED : 0);
	if (to)
		skb->tc_classid = to;
}

static __always_inline int pol_is_judged(const struct __sk_buff *skb, const struct pol_if *i)
{
	return (skb->mark & POL_MARK_MASK) == POL_MARK_JUDGED && skb->ingress_ifindex &&
	       skb->tc_index == (__u16)i->ep;
}

/* The packet is done with; `watched`: a shadow may look at what was judged (ask.h). */
static __always_inline int pol_leave(struct __sk_buff *skb, struct pol_pkt *p, int ret,
				     const int watched)
{
	return watched && p->flags & POL_PF_ASKED ? pol_watch(skb, p, ret) : ret;
}

/*
 * The end of a packet that the policy was asked about; to: whose device it goes to, 0 if no other
 * hook follows.
 */
static __always_inline int pol_end(struct __sk_buff *skb, struct pol_pkt *p, int reason,
				   __u16 to, const int watched)
{
	int ret = TC_ACT_SHOT;

	if (pol_unlikely(reason)) {
		pol_shot(skb, p, reason);
#if POL_USES_REJECT || POL_USES_SERVICES
		if (reason == POL_REASON_REJECT)
			ret = pol_answer(skb, p);
#endif
#if POL_USES_HTTP
		if (reason == POL_REASON_HTTP_GAINED) {
			ret = pol_answer_both(skb, p);
			if (ret == TC_ACT_OK)
				pol_mark_judged(skb, to);
		}
#endif
		return pol_leave(skb, p, ret, watched);
	}
	pol_mark_judged(skb, to);
	return pol_leave(skb, p, TC_ACT_OK, watched);
}

static __always_inline int pol_end_link(struct __sk_buff *skb, struct pol_pkt *p, __u32 mark)
{
	p->action = POL_ALLOW;
	pol_passed(skb, p);
	pol_mark(skb, mark);
	return TC_ACT_OK;
}

static __always_inline int pol_is_proxys(const struct pol_pkt *p, int reason)
{
	return POL_USES_HTTP && pol_unlikely(!reason && p->tell & POL_TELL_HAND);
}

/* The end of a packet for the proxy.  by_lo: no socket can be assigned here. */
static __always_inline int pol_to_proxy(struct __sk_buff *skb, struct pol_pkt *p, int by_lo)
{
	int reason = 0;

#if POL_USES_HTTP
	if (by_lo)
		reason = pol_by_lo(skb, p);
	else if (p->proto == IPPROTO_TCP)
		reason = pol_steer(skb, p);
#endif
	if (reason)
		return pol_shot(skb, p, reason);
	pol_mark(skb, POL_MARK_PROXY);
	return by_lo ? bpf_redirect(POL_LO_IFINDEX, 0) : TC_ACT_OK;
}

/* The endpoint at this device: its number into p->ep. */
static __always_inline const struct pol_if *pol_device(struct __sk_buff *skb, struct pol_pkt *p)
{
	const struct pol_if *i = pol_if_of(skb->ifindex);

	if (i)
		p->ep = i->ep;
	return i;
}

/* Does the endpoint of this device own the address? */
static __always_inline int pol_own(const struct pol_if *i, const struct pol_addr *a, int v6)
{
	const struct pol_owner *o;

	if (pol_same_addr(&i->addr[v6 & 1], a))
		return 1;
	o = pol_local(pol_owner_here(a));
	return o && o->ep == i->ep;
}

static __always_inline int pol_mac_ok(struct __sk_buff *skb, struct pol_pkt *p,
				      const struct pol_if *i)
{
	struct ethhdr *eth;

	if (!(i->flags & POL_IF_HAS_MAC))
		return 1;
	eth = pol_header(skb, 0, sizeof(*eth), p->buf);
	return eth && pol_same_mac(eth->h_source, i->mac);
}

static __always_inline int pol_eth_group(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u8 *first = pol_header(skb, 0, 1, p->buf);

	return first && *first & 1;
}

static __always_inline int pol_is_ip(const struct pol_pkt *p)
{
	return p->type_be == POL_ETH_V4 || p->type_be == POL_ETH_V6;
}

/* What a container sends. */
static __always_inline int pol_at_ep_out(struct __sk_buff *skb, const int watched)
{
	const struct pol_if *i;
	struct pol_pkt p;
	int reason;

	if (pol_unlikely((skb->mark & POL_MARK_MASK) == POL_MARK_ANSWER)) {
		pol_mark(skb, 0);
		return TC_ACT_OK;
	}
	pol_begin(&p, POL_HOOK_EP_OUT);
	i = pol_device(skb, &p);
	if (!i)
		return pol_shot(skb, &p, POL_REASON_NO_ENDPOINT);
	reason = pol_parse(skb, &p);
	if (!reason && !pol_mac_ok(skb, &p, i))
		reason = POL_REASON_SPOOFED_MAC;
	if (pol_unlikely(!reason && !pol_is_ip(&p))) {
		reason = p.type_be == POL_ETH_ARP ? pol_arp_out(skb, &p) : POL_REASON_ETHERTYPE;
		return reason ? pol_shot(skb, &p, reason) : pol_end_link(skb, &p, 0);
	}
	if (!reason)
		reason = p.reason;
	if (!reason && p.proto != IPPROTO_TCP)
		reason = pol_link_out(skb, &p);
	/* no mark: it was not judged, and whether it may be delivered depends on what it then is */
	if (reason == POL_LINK_PASS)
		return pol_end_link(skb, &p, 0);
	if (!reason && pol_bad_address(&p))
		reason = POL_REASON_BAD_ADDRESS;
	if (!reason && !pol_own(i, &p.src, p.v6))
		reason = POL_REASON_SPOOFED;
	if (!reason && !pol_flow_live(skb, &p)) {
#if POL_USES_SERVICES
		p.served = pol_stack_inside(&p, 1);
#endif
		reason = pol_flow(skb, &p);
	}
	if (pol_is_proxys(&p, reason))
		return pol_leave(skb, &p, pol_to_proxy(skb, &p, i->flags & POL_IF_PORT), watched);
#if POL_USES_SERVICES
	if (!reason && !p.local) {
		reason = pol_stack_client(skb, &p);
		if (reason)
			return pol_leave(skb, &p, pol_stack_end(skb, &p, reason), watched);
	}
#endif
	if (!reason && p.type == POL_CT_DIRECT) {
		reason = pol_handover(skb, &p, skb->ifindex);
		if (reason != TC_ACT_OK)
			return pol_leave(skb, &p, reason, watched);
	}
	return pol_end(skb, &p, reason, p.local ? p.to : 0, watched);
}

/* What is delivered to a container. */
static __always_inline int pol_at_ep_in(struct __sk_buff *skb, const int watched)
{
	const struct pol_if *i;
	struct pol_pkt p;
	int reason, own;

	pol_begin(&p, POL_HOOK_EP_IN);
	i = pol_device(skb, &p);
	if (!i)
		return pol_shot(skb, &p, POL_REASON_NO_ENDPOINT);
	reason = pol_parse(skb, &p);
	if (pol_unlikely(!reason && !pol_is_ip(&p))) {
		reason = p.type_be == POL_ETH_ARP ? pol_arp_in(skb, &p) : POL_REASON_ETHERTYPE;
		return reason ? pol_shot(skb, &p, reason) : pol_end_link(skb, &p, 0);
	}
	if (!reason)
		reason = p.reason;
#if POL_USES_SERVICES
	if (!reason && pol_unlikely(p.msg == POL_MSG_ERROR || pol_stack_inside(&p, 1))) {
		if (pol_stack_answer(skb, 1) < 0)
			return pol_shot(skb, &p, POL_REASON_INTERNAL);
		/* what it now is: the VIP's answer, or an error, to what the client's policy allowed */
		pol_begin(&p, POL_HOOK_EP_IN);
		p.ep = i->ep;
		reason = pol_parse(skb, &p) ?: p.reason;
	}
#endif
	if (reason)
		return pol_shot(skb, &p, reason);
	own = pol_own(i, &p.dst, p.v6);
	if (own && pol_is_judged(skb, i)) {
		pol_mark(skb, 0);
		return TC_ACT_OK;
	}
	p.group |= !own && pol_eth_group(skb, &p);
	p.from_host = skb->ingress_ifindex == 0;
#if POL_USES_HTTP
	if ((skb->mark & POL_MARK_MASK) == POL_MARK_PROXY && !p.from_host)
		return pol_shot(skb, &p, POL_REASON_REDIRECT_LOST);
	if (p.from_host && p.proto == IPPROTO_TCP &&
		  (skb->mark & POL_MARK_MASK) == POL_MARK_ONWARD)
		p.tell = POL_TELL_CLAIM;
#endif
	/* a link-local address is the endpoint's, though nobody tells us */
	if (p.proto != IPPROTO_TCP && pol_link_in(&p) == POL_LINK_PASS &&
	    (own || p.group || (p.v6 && pol_is_link_local(&p.dst))))
		return pol_end_link(skb, &p, 0);
	if (pol_bad_address(&p))
		reason = POL_REASON_BAD_ADDRESS;
	else if (!own && !p.group)
		reason = POL_REASON_DST_NOT_OWNER;
	if (!reason && !pol_flow_live(skb, &p)) {
#if POL_USES_SERVICES
		p.served = pol_stack_inside(&p, 0);
#endif
		reason = pol_flow(skb, &p);
	}
	if (pol_is_proxys(&p, reason))
		return pol_leave(skb, &p, pol_to_proxy(skb, &p, 1), watched);
	return pol_end(skb, &p, reason, 0, watched);
}

#if !POL_USES_SERVICES
static __always_inline int pol_hook_uplink_out(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_OK;
}
#endif

/* Is the uplink a port of a bridge? */
static __always_inline int pol_uplink_port(__u32 ifindex)
{
	const struct pol_if *i = bpf_map_lookup_elem(&ep_by_if, &ifindex);

	return i && i->flags & POL_IF_PORT;
}

static __always_inline int pol_uplink_end(struct __sk_buff *skb, struct pol_pkt *p, int reason,
					  const int watched)
{
	if (pol_is_proxys(p, reason))
		return pol_leave(skb, p, pol_to_proxy(skb, p, pol_uplink_port(skb->ifindex)),
				 watched);
	return pol_end(skb, p, reason, p->ep, watched);
}

/* As pol_flow_spoofed(), with the packet on the stack. */
static __always_inline int pol_uplink_spoofed(const struct pol_pkt *p)
{
	return pol_is_here(pol_owner_here(&p->src));
}

/* What comes in by an uplink and is of no live flow: ours only if it is for an endpoint that lives here. */
static __always_inline int pol_uplink_other(struct __sk_buff *skb, struct pol_pkt *p,
					    const int watched)
{
	struct pol_owner *to = pol_owner_here(&p->dst);
	int reason;

	if (!to || !to->ifindex) {
		if (pol_uplink_spoofed(p))
			return pol_shot(skb, p, POL_REASON_SPOOFED);
#if POL_USES_SERVICES
		reason = pol_stack_uplink(skb, p);
		if (reason)
			return pol_stack_end(skb, p, reason);
#endif
		/* a container may be there of which nobody has said yet what it is */
		if (!to && pol_in_pool(&p->dst))
			return pol_shot(skb, p, POL_REASON_NO_ENDPOINT);
		return TC_ACT_OK;
	}
	p->ep = to->ep;
	reason = p->reason;
#if POL_USES_SERVICES
	/* an answer to a client here, or an error, judged at its device once it is the VIP's */
	if (!reason) {
		int served = pol_stack_for_client(skb, p);

		if (pol_unlikely(served))
			return served < 0	       ? pol_shot(skb, p, POL_REASON_INTERNAL) :
			       pol_uplink_spoofed(p) ? pol_shot(skb, p, POL_REASON_SPOOFED) :
						       pol_end_link(skb, p, 0);
	}
#endif
	if (!reason && p->proto != IPPROTO_TCP && pol_link_in(p) == POL_LINK_PASS) {
		if (!pol_uplink_spoofed(p))
			return pol_end_link(skb, p, 0);
		reason = POL_REASON_SPOOFED;
	}
	if (!reason && pol_bad_address(p))
		reason = POL_REASON_BAD_ADDRESS;
	if (!reason)
		reason = pol_flow(skb, p);
	return pol_uplink_end(skb, p, reason, watched);
}

static __always_inline int pol_at_uplink_in(struct __sk_buff *skb, const int watched)
{
	struct pol_pkt p;
	int reason;

	pol_begin(&p, POL_HOOK_UPLINK_IN);
	reason = pol_parse(skb, &p);
	if (reason)
		return pol_shot(skb, &p, reason);
	if (p.reason || !pol_is_ip(&p) || !pol_flow_live(skb, &p)) {
		pol_mark(skb, 0);
		return pol_is_ip(&p) ? pol_uplink_other(skb, &p, watched) : TC_ACT_OK;
	}
	return pol_uplink_end(skb, &p, 0, watched);
}

/*
 * What comes in by lo with POL_MARK_PROXY; the rest of lo's traffic does not come here
 * (runtime/generation/stub.h).
 */
static __always_inline int pol_hook_lo_in(struct __sk_buff *skb)
{
	int reason = POL_REASON_REDIRECT_LOST;
	struct pol_pkt p;

	pol_begin(&p, POL_HOOK_LO_IN);
#if POL_USES_HTTP
	reason = pol_parse(skb, &p);
	if (!reason)
		reason = p.reason;
	if (!reason)
		reason = pol_lo_flow(skb, &p);
#endif
	return reason ? pol_shot(skb, &p, reason) : TC_ACT_OK;
}

static __always_inline int pol_hook_ep_out(struct __sk_buff *skb)
{
	return pol_at_ep_out(skb, 0);
}

static __always_inline int pol_hook_ep_in(struct __sk_buff *skb)
{
	return pol_at_ep_in(skb, 0);
}

static __always_inline int pol_hook_uplink_in(struct __sk_buff *skb)
{
	return pol_at_uplink_in(skb, 0);
}

/* "?": libbpf loads them only when it is told to; ask.h says what for. */
SEC("?tc") int pol_ep_out_watched(struct __sk_buff *skb) { return pol_at_ep_out(skb, 1); }
SEC("?tc") int pol_ep_in_watched(struct __sk_buff *skb) { return pol_at_ep_in(skb, 1); }
SEC("?tc") int pol_uplink_in_watched(struct __sk_buff *skb) { return pol_at_uplink_in(skb, 1); }
SEC("?tc") int pol_shadow(struct __sk_buff *skb) { return pol_beside(skb); }
SEC("?tc") int pol_ask(struct __sk_buff *skb) { return pol_ask_enter(skb); }

#endif
