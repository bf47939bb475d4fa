/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ARP, neighbour discovery, group membership and DHCP: what keeps a link going
 * passes without a rule, what would let an endpoint speak for others never does.
 */
#ifndef POL_BPF_LINK_H
#define POL_BPF_LINK_H

#include "parse.h"

enum { POL_LINK_PASS = -1, POL_LINK_NONE = 0 }; /* else a reason */

struct pol_arp {
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
} __attribute__((packed));

static __always_inline int pol_arp_read(struct __sk_buff *skb, __u32 off, struct pol_arp *a)
{
	if (bpf_skb_load_bytes(skb, off, a, sizeof(*a)))
		return POL_REASON_TRUNCATED;
	if (a->htype != bpf_htons(1) || a->ptype != POL_ETH_V4 || a->hlen != 6 || a->plen != 4)
		return POL_REASON_BAD_LENGTH;
	if (a->op != bpf_htons(1) && a->op != bpf_htons(2))
		return POL_REASON_BAD_PROTOCOL;
	return 0;
}

static __always_inline int pol_same_mac(const __u8 *a, const __u8 *b)
{
	__u8 x = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < 6; i++)
		x |= a[i] ^ b[i];
	return x == 0;
}

/* From an endpoint: it may only speak of its own address, and of its own card. */
__noinline int pol_arp_out(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_arp a = {};
	__u8 from[6];
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	reason = pol_arp_read(skb, p->l3_off, &a);
	if (reason)
		return reason;
	p->src.w_be[2] = POL_V4_MAPPED_BE;
	p->dst.w_be[2] = POL_V4_MAPPED_BE;
	__builtin_memcpy(&p->src.w_be[3], a.spa, 4);
	__builtin_memcpy(&p->dst.w_be[3], a.tpa, 4);
	if (bpf_skb_load_bytes(skb, 6, from, sizeof(from)) || !pol_same_mac(from, a.sha))
		return POL_REASON_SPOOFED_ARP;
	if (p->src.w_be[3] == 0 && a.op == bpf_htons(1))
		return 0;
	return pol_owned_by(&p->src, p->ep) ? 0 : POL_REASON_SPOOFED_ARP;
}

__noinline int pol_arp_in(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_arp a = {};

	return p ? pol_arp_read(skb, p->l3_off, &a) : POL_REASON_INTERNAL;
}

static __always_inline int pol_is_link_local(const struct pol_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/*
 * May this endpoint speak of this address?  Its own; and a link-local one, which
 * nobody tells us: where the MAC is known, the one that is made of it (RFC 4291,
 * appendix A), so that the router's cannot be taken.
 */
static __always_inline int pol_nd_mine(struct __sk_buff *skb, const struct pol_addr *a, __u32 ep)
{
	__u32 ifindex = skb->ifindex;
	const struct pol_if *i;

	if (pol_owned_by(a, ep))
		return 1;
	if (!pol_is_link_local(a))
		return 0;
	i = bpf_map_lookup_elem(&ep_by_if, &ifindex);
	if (!i)
		return 0;
	if (!(i->flags & POL_IF_HAS_MAC))
		return 1;
	return a->b[8] == (i->mac[0] ^ 2) && a->b[9] == i->mac[1] && a->b[10] == i->mac[2] &&
	       a->b[11] == 0xff && a->b[12] == 0xfe && a->b[13] == i->mac[3] &&
	       a->b[14] == i->mac[4] && a->b[15] == i->mac[5];
}

/* A group that no router forwards to: of the interface or the link (RFC 4291, 2.7). */
static __always_inline int pol_is_near_group(const struct pol_addr *a)
{
	return a->b[0] == 0xff && (a->b[1] & 0xf) <= 2;
}

/* Does the frame stay on the bridge whose port this device is?  Not what is for the host. */
static __always_inline int pol_bridged_on(struct __sk_buff *skb)
{
	const struct pol_if *i = pol_if_of(skb->ifindex);
	__u8 to[6];

	if (!i || !(i->flags & POL_IF_PORT) || pol_same_mac(i->host_mac, (__u8[6]){ 0 }))
		return 0;
	/* PACKET_HOST: to the port's own MAC, which the bridge takes for its own as well */
	return skb->pkt_type != 0 && !bpf_skb_load_bytes(skb, 0, to, sizeof(to)) &&
	       !pol_same_mac(to, i->host_mac);
}

/*
 * Would this host forward it, out to where no device of ours judges what is delivered?  Then it is
 * no neighbour's business but a message like any other, in which anything could be said.  On the
 * link stay what is for this host or an endpoint, whose device judges it, and what a port of
 * a bridge sends to another MAC than the bridge's.
 */
static __always_inline int pol_forwarded(struct __sk_buff *skb, const struct pol_pkt *p)
{
	const struct pol_owner *o;

	if (pol_is_near_group(&p->dst) || pol_is_link_local(&p->dst))
		return 0;
	o = pol_owner_of(&p->dst);
	if (o && (o->entity == POL_ENTITY_HOST || o->ifindex))
		return 0;
	return p->group || !pol_bridged_on(skb);
}

/* NS and NA from an endpoint. */
static __always_inline int pol_nd_out(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_addr target;

	/* RFC 6980; RFC 4861, 7.1; nobody puts other headers before it but to hide it */
	if (p->frag || p->ttl != 255 || p->ext_seen)
		return POL_REASON_LINK_CONTROL;
	if (p->l3_off + p->l3_len < p->l4_off + 24 ||
	    bpf_skb_load_bytes(skb, p->l4_off + 8, &target, sizeof(target)))
		return POL_REASON_TRUNCATED;
	if (p->type == 135 && pol_is_zero(&p->src, 1)) { /* duplicate address detection */
		if (!pol_is_near_group(&p->dst))
			return POL_REASON_LINK_CONTROL;
		return pol_nd_mine(skb, &target, p->ep) ? POL_LINK_PASS : POL_REASON_SPOOFED_ARP;
	}
	if (!pol_nd_mine(skb, &p->src, p->ep))
		return POL_REASON_SPOOFED_ARP;
	if (p->type == 136 && !pol_nd_mine(skb, &target, p->ep))
		return POL_REASON_SPOOFED_ARP;
	return pol_forwarded(skb, p) ? POL_LINK_NONE : POL_LINK_PASS;
}

static __always_inline int pol_icmp6_out(struct __sk_buff *skb, struct pol_pkt *p)
{
	switch (p->type) {
	case 134: /* router advertisement */
	case 137: /* redirect */
		return POL_REASON_LINK_CONTROL;
	case 135:
	case 136:
		return pol_nd_out(skb, p);
	case 133: /* router solicitation */
	case 131: /* MLD: report, done, report v2 */
	case 132:
	case 143:
		if (p->frag)
			return POL_REASON_LINK_CONTROL;
		/* to a router far away it would be a message like any other */
		if (p->ttl != (p->type == 133 ? 255 : 1) ||
		    (!pol_is_near_group(&p->dst) && !pol_is_link_local(&p->dst)))
			return POL_LINK_NONE;
		if (pol_is_zero(&p->src, 1) || pol_nd_mine(skb, &p->src, p->ep))
			return POL_LINK_PASS;
		return POL_REASON_SPOOFED;
	default:
		return POL_LINK_NONE;
	}
}

static __always_inline int pol_dhcp_out(const struct pol_pkt *p)
{
	const struct pol_owner *to;
	__be16 server = p->v6 ? bpf_htons(547) : bpf_htons(67);
	__be16 client = p->v6 ? bpf_htons(546) : bpf_htons(68);

	/* an answer; a server of another kind that sits at that port answers other ports */
	if (p->sport_be == server && p->dport_be == client)
		return POL_REASON_LINK_CONTROL;
	if (p->frag || p->sport_be != client || p->dport_be != server)
		return POL_LINK_NONE;
	/* without an address yet */
	if (p->v6 ? pol_is_link_local(&p->src) && pol_is_near_group(&p->dst)
		  : p->src.w_be[3] == 0 && p->dst.w_be[3] == 0xffffffff)
		return POL_LINK_PASS;
	if (!pol_owned_by(&p->src, p->ep))
		return POL_REASON_SPOOFED;
	/* to renew: of this host or by broadcast; to one elsewhere it needs a rule, see pol_dhcp_near() */
	if (p->v6 ? pol_is_near_group(&p->dst) : p->dst.w_be[3] == 0xffffffff)
		return POL_LINK_PASS;
	to = pol_owner_of(&p->dst);
	return to && to->entity == POL_ENTITY_HOST ? POL_LINK_PASS : POL_LINK_NONE;
}

/* What an endpoint sends. */
__noinline int pol_link_out(struct __sk_buff *skb, struct pol_pkt *p)
{
	if (!p)
		return POL_REASON_INTERNAL;
	if (p->frag == POL_FRAG_LATER)
		return POL_LINK_NONE;
	if (p->proto == IPPROTO_UDP)
		return pol_dhcp_out(p);
	if (p->proto == IPPROTO_ICMPV6)
		return pol_icmp6_out(skb, p);
	if (p->v6)
		return POL_LINK_NONE;
	/* router advertisement and redirect of IPv4 */
	if (p->proto == IPPROTO_ICMP && (p->type == 9 || p->type == 5))
		return POL_REASON_LINK_CONTROL;
	if (p->proto == IPPROTO_IGMP && !p->frag && pol_is_group(&p->dst, 0))
		return p->src.w_be[3] == 0 || pol_owned_by(&p->src, p->ep) ? POL_LINK_PASS
									   : POL_REASON_SPOOFED;
	return POL_LINK_NONE;
}

/*
 * Neighbour discovery and router advertisements prove by their hop limit that no router
 * forwarded them (RFC 4861, 6.1 and 7.1), group membership by a link-local source (RFC 3810,
 * 5.1.14): without that they are a stranger's, and need a rule like anything else.
 */
static __always_inline int pol_icmp6_near(const struct pol_pkt *p)
{
	if (p->ext_seen && p->type >= 133 && p->type <= 137)
		return 0;
	switch (p->type) {
	case 134:
		return p->ttl == 255 && pol_is_link_local(&p->src);
	case 135:
	case 136:
		return p->ttl == 255;
	case 130:
	case 131:
	case 132:
	case 143:
		return p->ttl == 1 && p->group && (pol_is_link_local(&p->src) || pol_is_zero(&p->src, 1));
	default:
		return 0;
	}
}

/*
 * A DHCP answer: broadcast, of this host, or from a link-local address, which nothing
 * forwards.  Other unicast may come from anywhere: from a server elsewhere it needs a
 * rule, or its client turns to broadcast when it has waited (RFC 2131, 4.4.5: T2).
 */
static __always_inline int pol_dhcp_near(const struct pol_pkt *p)
{
	const struct pol_owner *o;

	if (p->group || p->from_host)
		return 1;
	if (p->v6)
		return pol_is_link_local(&p->src);
	o = pol_owner_of(&p->src);
	return o && o->entity == POL_ENTITY_HOST;
}

/* What is delivered to an endpoint. */
__noinline int pol_link_in(struct pol_pkt *p)
{
	if (!p || p->frag)
		return POL_LINK_NONE;
	if (p->proto == IPPROTO_ICMPV6)
		return p->v6 && pol_icmp6_near(p) ? POL_LINK_PASS : POL_LINK_NONE;
	if (p->proto == IPPROTO_IGMP && !p->v6 && p->group)
		return POL_LINK_PASS;
	if (p->proto == IPPROTO_UDP && p->sport_be == (p->v6 ? bpf_htons(547) : bpf_htons(67)) &&
	    p->dport_be == (p->v6 ? bpf_htons(546) : bpf_htons(68)))
		return pol_dhcp_near(p) ? POL_LINK_PASS : POL_LINK_NONE;
	return POL_LINK_NONE;
}

#endif
