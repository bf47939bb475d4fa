/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Headers as an XDP program sees them: in place, with a check of bounds before each load.  What
 * is accepted is what parse.h and transport.h accept, so that a packet which passes
 * here is not refused later for its form.
 *
 * Frames of several buffers: the first one holds the headers (drivers put a page there);
 * what lies behind it is only counted.
 */
#ifndef POL_BPF_EDGE_PARSE_H
#define POL_BPF_EDGE_PARSE_H

#include "parse.h"

/* What is known about the packet in hand; on the stack of the entry program. */
struct pol_edge {
	struct pol_addr src, dst;
	__u16 sport, dport;	/* host order; 0 where the protocol has none */
	__u8 proto;		/* transport, behind the extension headers */
	__u8 icmp_type, icmp_code;
	__u8 tcp_flags;
	__u8 v6;
	__u8 frag;		/* enum pol_frag_kind */
	__u8 reason;		/* enum pol_reason: what is wrong with it; 0: nothing */
	__u8 ttl;
	__be16 type_be;		/* ethertype, behind tags */
	__u16 frag_off;		/* bytes; of a first fragment: how many it covers */
	__u32 frag_id;		/* as it stands in the packet */
	__u32 l3_off, l4_off;	/* from the beginning of the frame */
	__u32 l3_len;		/* from l3_off on, as the header says */
	__u32 len;		/* of the frame, all buffers */
	__u32 ifindex;
	__u8 frag_proto;	/* names the datagram together with the id */
	__u8 ext_seen;
	__u8 limited;		/* a limit of a filter was empty */
	__u8 given;		/* POL_SVC_*: a balancer gave the connection to `chosen`; 0: none did */
	__u32 rule;		/* that decided last, or POL_NO_RULE */
	union {
		__u64 in_sets[2];	/* while filters look at it: dynamic sets that hold source, destination */
		struct pol_addr chosen;	/* and behind them: the backend, see `given` */
	};
};

/* Offsets are below; lets the verifier add them to a pointer. */
#define POL_EDGE_OFF 1023u

/* len bytes at off, or NULL. */
static __always_inline void *pol_edge_at(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (off > POL_EDGE_OFF || data + off + len > end)
		return NULL;
	return data + off;
}

static __always_inline int pol_edge_link(struct xdp_md *ctx, struct pol_edge *p)
{
	struct ethhdr *eth = pol_edge_at(ctx, 0, sizeof(*eth));
	__u32 off = sizeof(*eth);
	__be16 type, *tag;

	if (!eth)
		return POL_REASON_TRUNCATED;
	type = eth->h_proto;
#pragma clang loop unroll(full)
	for (int i = 0; i < POL_MAX_TAGS; i++) {
		if (pol_likely(!pol_is_tag(type)))
			break;
		tag = pol_edge_at(ctx, off, 4);
		if (!tag)
			return POL_REASON_TRUNCATED;
		type = tag[1];
		off += 4;
	}
	if (pol_is_tag(type))
		return POL_REASON_VLAN;
	p->l3_off = off;
	p->type_be = type;
	return 0;
}

/* A length of 0 is that of a GSO packet above 64 KiB, which can come only from a local veth. */
static __always_inline int pol_edge_l3_len(struct pol_edge *p, __u32 len, __u32 header, int unsaid)
{
	__u32 room = p->len - p->l3_off;

	if (pol_unlikely(unsaid && room > 65535))
		len = room;
	if (len < header || len > room)
		return POL_REASON_BAD_LENGTH;
	p->l3_len = len;
	return 0;
}

static __always_inline int pol_edge_fragment(struct pol_edge *p, __u32 off, int more, __u32 payload)
{
	if (!more && !off)
		return 0;
	p->frag_off = off ? off : payload;
	p->frag = off ? POL_FRAG_LATER : POL_FRAG_FIRST;
	if (!payload || (more && payload & 7) || off + payload > 65535)
		return POL_REASON_BAD_LENGTH;
	return 0;
}

/* See pol_v4_option(). */
__noinline int pol_edge_v4_option(struct xdp_md *ctx, __u32 at, __u32 end)
{
	__u8 *o = pol_edge_at(ctx, at, 1);

	if (!o)
		return -POL_REASON_TRUNCATED;
	if (*o == IPOPT_END)
		return end;
	if (*o == IPOPT_NOOP)
		return at + 1;
	if (*o == IPOPT_LSRR || *o == IPOPT_SSRR)
		return -POL_REASON_ROUTING_HEADER;
	o = pol_edge_at(ctx, at, 2);
	if (!o || at + 2 > end || o[1] < 2 || at + o[1] > end)
		return -POL_REASON_BAD_LENGTH;
	return at + o[1];
}

__noinline int pol_edge_v4_options(struct xdp_md *ctx, __u32 at, __u32 end)
{
	for (int i = 0; i < 40; i++) {
		int next;

		if (at >= end)
			return 0;
		next = pol_edge_v4_option(ctx, at, end);
		if (next <= 0)
			return -next;
		at = next;
	}
	return at < end ? POL_REASON_BAD_LENGTH : 0;
}

static __always_inline int pol_edge_v4(struct xdp_md *ctx, struct pol_edge *p)
{
	struct iphdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));
	__u32 ihl, tot, frag;
	int reason;

	if (!ip)
		return POL_REASON_TRUNCATED;
	if (ip->version != 4)
		return POL_REASON_BAD_VERSION;
	pol_from_v4(&p->src, ip->saddr);
	pol_from_v4(&p->dst, ip->daddr);
	p->proto = p->frag_proto = ip->protocol;
	p->ttl = ip->ttl;
	ihl = ip->ihl * 4;
	tot = bpf_ntohs(ip->tot_len);
	frag = bpf_ntohs(ip->frag_off);
	p->l4_off = p->l3_off + ihl;
	if (ihl < sizeof(*ip))
		return POL_REASON_BAD_LENGTH;
	reason = pol_edge_l3_len(p, tot, ihl, tot == 0);
	if (!reason && pol_unlikely(frag & 0x3fff)) {
		p->frag_id = ip->id;
		reason = pol_edge_fragment(p, (frag & 0x1fff) * 8, frag & 0x2000, p->l3_len - ihl);
	}
	if (!reason && pol_unlikely(ihl > sizeof(*ip)))
		reason = pol_edge_v4_options(ctx, p->l3_off + sizeof(*ip), p->l4_off);
	return reason;
}

#define POL_EDGE_SHORT(p) ((p)->frag ? POL_REASON_FRAG_TINY : POL_REASON_TRUNCATED)

/* See pol_ext_bit(). */
static __always_inline __u8 pol_edge_ext_bit(const struct pol_edge *p)
{
	switch (p->proto) {
	case IPPROTO_HOPOPTS: return p->l4_off == p->l3_off + sizeof(struct ipv6hdr);
	case IPPROTO_FRAGMENT: return 2;
	case IPPROTO_AH: return 4;
	case IPPROTO_DSTOPTS: return p->ext_seen & 8 ? 16 : 8;
	default: return 0;
	}
}

/* Steps over the extension header at p->l4_off of type p->proto. */
__noinline int pol_edge_ext(struct xdp_md *ctx, struct pol_edge *p)
{
	__u32 len, end, field;
	__u8 *h, type, bit;

	if (!p)
		return POL_REASON_INTERNAL;
	type = p->proto;
	if (type == IPPROTO_ROUTING)
		return POL_REASON_ROUTING_HEADER;
	bit = pol_edge_ext_bit(p);
	if (!bit || p->ext_seen & bit)
		return POL_REASON_EXT_HEADER;
	p->ext_seen |= bit;
	end = p->l3_off + p->l3_len;
	h = pol_edge_at(ctx, p->l4_off, 8);
	if (p->l4_off + 8 > end || !h)
		return POL_EDGE_SHORT(p);
	len = type == IPPROTO_AH ? (h[1] + 2) * 4 : type == IPPROTO_FRAGMENT ? 8 : (h[1] + 1) * 8;
	if (p->l4_off + len > end || len < 8)
		return POL_EDGE_SHORT(p);
	p->proto = h[0];
	p->l4_off += len;
	if (type != IPPROTO_FRAGMENT)
		return 0;
	field = (__u32)h[2] << 8 | h[3];
	p->frag_proto = h[0];
	__builtin_memcpy(&p->frag_id, h + 4, 4);
	return pol_edge_fragment(p, field & 0xfff8, field & 1, end - p->l4_off);
}

__noinline int pol_edge_exts(struct xdp_md *ctx, struct pol_edge *p)
{
	if (!p)
		return POL_REASON_INTERNAL;
	for (int i = 0; i < POL_MAX_EXT; i++) {
		int reason = pol_edge_ext(ctx, p);

		if (reason)
			return reason;
		if (p->frag == POL_FRAG_LATER || !pol_is_ext(p->proto))
			return 0;
	}
	return POL_REASON_EXT_HEADER;
}

static __always_inline int pol_edge_v6(struct xdp_md *ctx, struct pol_edge *p)
{
	struct ipv6hdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));
	__u32 len;
	int reason;

	if (!ip)
		return POL_REASON_TRUNCATED;
	if (ip->version != 6)
		return POL_REASON_BAD_VERSION;
	p->v6 = 1;
	pol_from_v6(&p->src, ip->saddr.in6_u.u6_addr32);
	pol_from_v6(&p->dst, ip->daddr.in6_u.u6_addr32);
	p->proto = ip->nexthdr;
	p->ttl = ip->hop_limit;
	len = bpf_ntohs(ip->payload_len);
	p->l4_off = p->l3_off + sizeof(*ip);
	reason = pol_edge_l3_len(p, sizeof(*ip) + len, sizeof(*ip), len == 0);
	if (!reason && pol_unlikely(pol_is_ext(p->proto)))
		reason = pol_edge_exts(ctx, p);
	return reason;
}

static __always_inline int pol_edge_tcp(struct xdp_md *ctx, struct pol_edge *p, __u32 room)
{
	struct tcphdr *tcp = pol_edge_at(ctx, p->l4_off, sizeof(*tcp));
	__u32 len;

	if (room < sizeof(*tcp))
		return POL_EDGE_SHORT(p);
	if (!tcp)
		return POL_REASON_TRUNCATED;
	p->sport = bpf_ntohs(tcp->source);
	p->dport = bpf_ntohs(tcp->dest);
	p->tcp_flags = ((__u8 *)tcp)[13];
	len = ((__u8 *)tcp)[12] >> 4 << 2;
	if (len < sizeof(*tcp))
		return POL_REASON_BAD_LENGTH;
	return len > room ? POL_EDGE_SHORT(p) : 0;
}

static __always_inline int pol_edge_udp(struct xdp_md *ctx, struct pol_edge *p, __u32 room)
{
	struct udphdr *udp = pol_edge_at(ctx, p->l4_off, sizeof(*udp));
	__u32 len;

	if (room < sizeof(*udp))
		return POL_EDGE_SHORT(p);
	if (!udp)
		return POL_REASON_TRUNCATED;
	p->sport = bpf_ntohs(udp->source);
	p->dport = bpf_ntohs(udp->dest);
	len = bpf_ntohs(udp->len);
	if (len == 0 && room > 65535)
		return 0;
	/* of a first fragment the rest of the datagram is still to come */
	return len < sizeof(*udp) || (len > room && !p->frag) ? POL_REASON_BAD_LENGTH : 0;
}

/* SCTP, ICMP and what has neither ports nor types. */
__noinline int pol_edge_rare(struct xdp_md *ctx, struct pol_edge *p)
{
	__u32 room, need;
	__u8 *h;

	if (!p)
		return POL_REASON_INTERNAL;
	if (p->proto == IPPROTO_SCTP)
		need = 12;
	else if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		need = 8;
	else
		return 0;
	if (p->proto != IPPROTO_SCTP && (p->proto == IPPROTO_ICMPV6) != p->v6)
		return POL_REASON_BAD_PROTOCOL;
	room = p->l3_len - (p->l4_off - p->l3_off);
	if (room < need)
		return POL_EDGE_SHORT(p);
	h = pol_edge_at(ctx, p->l4_off, 8);
	if (!h)
		return POL_REASON_TRUNCATED;
	if (p->proto == IPPROTO_SCTP) {
		p->sport = (__u16)h[0] << 8 | h[1];
		p->dport = (__u16)h[2] << 8 | h[3];
	} else {
		p->icmp_type = h[0];
		p->icmp_code = h[1];
	}
	return 0;
}

static __always_inline int pol_edge_l4(struct xdp_md *ctx, struct pol_edge *p)
{
	__u32 room = p->l3_len - (p->l4_off - p->l3_off);

	if (pol_unlikely(p->frag == POL_FRAG_LATER))
		return 0;
	if (p->proto == IPPROTO_TCP)
		return pol_edge_tcp(ctx, p, room);
	if (p->proto == IPPROTO_UDP)
		return pol_edge_udp(ctx, p, room);
	return pol_edge_rare(ctx, p);
}

/*
 * Fills *p, which is zeroed; what is wrong with the packet is p->reason.  type_be says whether it is
 * IP at all; of anything else nothing more is known than the link's header.  Global, so that the
 * verifier walks what follows once, not once for each kind of packet.
 */
__noinline int pol_edge_parse(struct xdp_md *ctx, struct pol_edge *p)
{
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	p->ifindex = ctx->ingress_ifindex;
	p->len = ctx->data_end - ctx->data;
	/* Only a frame of a whole page can have more buffers. */
	if (pol_unlikely(p->len >= 2048))
		p->len = bpf_xdp_get_buff_len(ctx);
	reason = pol_edge_link(ctx, p);
	if (!reason && p->type_be == POL_ETH_V4)
		reason = pol_edge_v4(ctx, p);
	else if (!reason && p->type_be == POL_ETH_V6)
		reason = pol_edge_v6(ctx, p);
	if (!reason && (p->type_be == POL_ETH_V4 || p->type_be == POL_ETH_V6))
		reason = pol_edge_l4(ctx, p);
	p->reason = reason;
	return reason;
}

#endif
