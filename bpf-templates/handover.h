/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Local delivery without the host's stack: what a container sent and both ends' policies
 * allowed is handed to the peer of the receiver's veth, as a router would have done.
 *
 * Only where that changes nothing but the cost: the frame is addressed to this host as a
 * router, both devices are veths whose peers are elsewhere and no ports of a bridge, and
 * the flow is POL_CT_DIRECT, so that no translation is skipped half way.  All else, and
 * what needs an ICMP error (hop limit, MTU), goes by the stack with POL_MARK_JUDGED.
 */
#ifndef POL_BPF_HANDOVER_H
#define POL_BPF_HANDOVER_H

#include "flow.h"

#define POL_L2 (sizeof(struct ethhdr))

/* Where the packet goes if it may be handed over. */
static __always_inline const struct pol_if *pol_handover_to(struct __sk_buff *skb,
							    const struct pol_pkt *p,
							    const struct pol_if *from)
{
	const struct pol_owner *o;
	const struct pol_if *to;

	if (!pol_not_icmp(p) || p->type != POL_CT_DIRECT || !(from->flags & POL_IF_PEER) || p->frag || p->ttl <= 1)
		return NULL;
	/* options are the router's business; PACKET_HOST: addressed to the device itself */
	if (p->l3_off != POL_L2 || skb->vlan_present || skb->pkt_type != 0 ||
	    (!p->v6 && p->l4_off != POL_L2 + sizeof(struct iphdr)))
		return NULL;
	o = pol_local_owner(&p->dst);
	to = o ? pol_if_of(o->ifindex) : NULL;
	if (!to || to->ep != o->ep || !(to->flags & POL_IF_PEER) || o->ifindex == skb->ifindex)
		return NULL;
	return to;
}

/* The hop limit goes down by one and the frame goes from the device to the container. */
static __always_inline int pol_handover_headers(struct __sk_buff *skb, const struct pol_pkt *p,
						const struct pol_if *to)
{
	__u8 mac[12];

	if (p->v6) {
		__u8 hop[2];	/* with the next header: RECOMPUTE_CSUM sums 16-bit words */

		if (bpf_skb_load_bytes(skb, POL_L2 + 6, hop, sizeof(hop)))
			return -1;
		hop[1]--;
		if (bpf_skb_store_bytes(skb, POL_L2 + 6, hop, sizeof(hop), BPF_F_RECOMPUTE_CSUM))
			return -1;
	} else {
		__be16 word[2];	/* TTL and protocol; checksum (RFC 1141) */
		__u32 sum;

		if (bpf_skb_load_bytes(skb, POL_L2 + 8, word, sizeof(word)))
			return -1;
		word[0] -= bpf_htons(0x0100);
		sum = (__u32)word[1] + bpf_htons(0x0100);
		word[1] = sum + (sum >= 0xffff);
		/* the sum of the whole header stays: nothing to recompute */
		if (bpf_skb_store_bytes(skb, POL_L2 + 8, word, sizeof(word), 0))
			return -1;
	}
	__builtin_memcpy(mac, to->mac, 6);
	__builtin_memcpy(mac + 6, to->host_mac, 6);
	return bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0);
}

/* TC_ACT_REDIRECT; TC_ACT_OK: by the stack; TC_ACT_SHOT. */
__noinline int pol_handover(struct __sk_buff *skb, struct pol_pkt *p, __u32 ifindex)
{
	const struct pol_if *from = pol_if_of(ifindex), *to;
	__u32 mtu = 0;

	if (!p || !from)
		return TC_ACT_OK;
	to = pol_handover_to(skb, p, from);
	if (!to || bpf_check_mtu(skb, to->ifindex, &mtu, 0, BPF_MTU_CHK_SEGS))
		return TC_ACT_OK;
	if (pol_handover_headers(skb, p, to))
		return TC_ACT_SHOT;
	skb->mark = 0;	/* before Linux 6.18 the mark would go along */
	return bpf_redirect_peer(to->ifindex, 0);
}

#endif
