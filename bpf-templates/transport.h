/* SPDX-License-Identifier: GPL-2.0-only */
/* Transport headers: ports, flags, ICMP types, and what each means for a flow. */
#ifndef POL_BPF_TRANSPORT_H
#define POL_BPF_TRANSPORT_H

#include "parse.h"

#define POL_TCP_FIN 0x01
#define POL_TCP_SYN 0x02
#define POL_TCP_RST 0x04
#define POL_TCP_ACK 0x10

/*
 * RFC 9293: all but the first SYN and a RST carry ACK; SYN, FIN and RST exclude
 * each other.
 */
static __always_inline int pol_bad_flags(__u8 f)
{
	__u8 kind = f & (POL_TCP_FIN | POL_TCP_SYN | POL_TCP_RST);

	return kind & (kind - 1) || !(f & (POL_TCP_SYN | POL_TCP_RST | POL_TCP_ACK));
}

static __always_inline int pol_parse_tcp(struct __sk_buff *skb, struct pol_pkt *p, __u32 room)
{
	struct tcphdr *tcp;
	__u32 len;

	if (room < sizeof(*tcp))
		return POL_SHORT(p);
	tcp = pol_header(skb, p->l4_off, sizeof(*tcp), p->buf);
	if (!tcp)
		return POL_REASON_TRUNCATED;
	p->sport_be = tcp->source;
	p->dport_be = tcp->dest;
	p->tcp_flags = ((__u8 *)tcp)[13];
	len = ((__u8 *)tcp)[12] >> 4 << 2;
	if (len < sizeof(*tcp))
		return POL_REASON_BAD_LENGTH;
	if (len > room)
		return POL_SHORT(p);
	return pol_bad_flags(p->tcp_flags) ? POL_REASON_BAD_FLAGS : 0;
}

static __always_inline int pol_parse_udp(struct __sk_buff *skb, struct pol_pkt *p, __u32 room)
{
	struct udphdr *udp;
	__u32 len;

	if (room < sizeof(*udp))
		return POL_SHORT(p);
	udp = pol_header(skb, p->l4_off, sizeof(*udp), p->buf);
	if (!udp)
		return POL_REASON_TRUNCATED;
	p->sport_be = udp->source;
	p->dport_be = udp->dest;
	len = bpf_ntohs(udp->len);
	if (len == 0 && room > 65535 && skb->gso_segs)
		return 0;
	/* of a first fragment the rest of the datagram is still to come */
	if (len < sizeof(*udp) || (len > room && !p->frag))
		return POL_REASON_BAD_LENGTH;
	return 0;
}

static __always_inline int pol_parse_sctp(struct __sk_buff *skb, struct pol_pkt *p, __u32 room)
{
	__be16 port[2];

	if (room < 12)
		return POL_SHORT(p);
	if (bpf_skb_load_bytes(skb, p->l4_off, port, sizeof(port)))
		return POL_REASON_TRUNCATED;
	p->sport_be = port[0];
	p->dport_be = port[1];
	return 0;
}

/*
 * Queries may begin a flow, answers need one, errors need the flow inside them.
 * RFC 792: 3, 11, 12 are errors that we let pass; 4 and 5 are never let pass.
 * RFC 4443: below 128 are errors, 1 to 4 the known ones.  139/140: RFC 4620.
 */
static __always_inline __u8 pol_icmp_msg(__u8 type, int v6, int *asks)
{
	*asks = 0;
	if (v6) {
		*asks = type == 128 || type == 139;
		if (type < 128)
			return POL_MSG_ERROR;
		return *asks ? POL_MSG_PLAIN :
		       type == 129 || type == 140 ? POL_MSG_ANSWER : POL_MSG_ALONE;
	}
	*asks = type == 8 || type == 13 || type == 15 || type == 17;
	if (type == 0 || type == 14 || type == 16 || type == 18)
		return POL_MSG_ANSWER;
	if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)
		return POL_MSG_ERROR;
	return *asks ? POL_MSG_PLAIN : POL_MSG_ALONE;
}

/* The type that answers a query. */
static __always_inline __u8 pol_icmp_answer(__u8 query, int v6)
{
	return v6 || query != 8 ? query + 1 : 0;
}

static __always_inline int pol_parse_icmp(struct __sk_buff *skb, struct pol_pkt *p, __u32 room)
{
	__u8 h[8];
	int asks;

	if (room < sizeof(h))
		return POL_SHORT(p);
	if (bpf_skb_load_bytes(skb, p->l4_off, h, sizeof(h)))
		return POL_REASON_TRUNCATED;
	p->type = h[0];
	p->msg = pol_icmp_msg(h[0], p->v6, &asks);
	if (asks)
		__builtin_memcpy(&p->sport_be, h + 4, 2);
	else if (p->msg == POL_MSG_ANSWER)
		__builtin_memcpy(&p->dport_be, h + 4, 2);
	return 0;
}

__noinline int pol_parse_rare(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u32 room;

	if (!p)
		return POL_REASON_INTERNAL;
	room = p->l3_len - (p->l4_off - p->l3_off);
	switch (p->proto) {
	case IPPROTO_SCTP:
		return pol_parse_sctp(skb, p, room);
	case IPPROTO_ICMP:
		return p->v6 ? POL_REASON_BAD_PROTOCOL : pol_parse_icmp(skb, p, room);
	case IPPROTO_ICMPV6:
		return p->v6 ? pol_parse_icmp(skb, p, room) : POL_REASON_BAD_PROTOCOL;
	default:
		return 0;
	}
}

static __always_inline int pol_parse_l4(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u32 room = p->l3_len - (p->l4_off - p->l3_off);

	if (pol_unlikely(p->frag == POL_FRAG_LATER))
		return 0;
	if (p->proto == IPPROTO_TCP)
		return pol_parse_tcp(skb, p, room);
	if (p->proto == IPPROTO_UDP)
		return pol_parse_udp(skb, p, room);
	return pol_parse_rare(skb, p);
}

/*
 * All headers: of ARP and other ethertypes only the link's.  Returns what makes the
 * addresses unreadable; what else is wrong is left in p->reason, because at an
 * uplink it matters only for our endpoints' packets.
 */
__noinline int pol_parse(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	reason = pol_parse_eth(skb, p, p->hook == POL_HOOK_UPLINK_IN ? POL_MAX_TAGS : 0);
	if (reason)
		return reason;
	if (p->type_be == POL_ETH_V4)
		reason = pol_parse_v4(skb, p);
	else if (p->type_be == POL_ETH_V6)
		reason = pol_parse_v6(skb, p);
	else
		return 0;
	if (reason)
		return reason;
	p->group = pol_is_group(&p->dst, p->v6);
	if (!p->reason)
		p->reason = pol_parse_l4(skb, p);
	return 0;
}

#endif
