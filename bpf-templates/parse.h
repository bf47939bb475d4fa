/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Link and network headers.  Functions return 0 or an enum pol_reason.  Headers
 * are read in place where they are linear and copied where they are not; nothing
 * is pulled, because a pull copies a cloned packet (all that TCP sends is).
 */
#ifndef POL_BPF_PARSE_H
#define POL_BPF_PARSE_H

#include "pkt.h"

#define POL_ETH_ARP bpf_htons(ETH_P_ARP)
#define POL_ETH_V4 bpf_htons(ETH_P_IP)
#define POL_ETH_V6 bpf_htons(ETH_P_IPV6)
#define POL_MAX_TAGS 2

/* Bounds any header offset: two tags, the longest IPv4 header, eight extensions. */
#define POL_MAX_OFF 16383u

/* len bytes at off, in the packet or copied to buf; NULL if the packet is shorter. */
static __always_inline void *pol_header(struct __sk_buff *skb, __u32 off, __u32 len, void *buf)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (off > POL_MAX_OFF)
		return NULL;
	if (pol_likely(data + off + len <= end))
		return data + off;
	return bpf_skb_load_bytes(skb, off, buf, len) ? NULL : buf;
}

static __always_inline int pol_is_tag(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/*
 * Ethertype behind at most `tags` tags (those in metadata count); sets l3_off.
 */
static __always_inline int pol_parse_eth(struct __sk_buff *skb, struct pol_pkt *p, int tags)
{
	struct ethhdr *eth = pol_header(skb, 0, sizeof(*eth), p->buf);
	__u32 off = sizeof(*eth);
	__be16 type;

	if (!eth)
		return POL_REASON_TRUNCATED;
	type = eth->h_proto;
	if (skb->vlan_present && tags-- == 0)
		return POL_REASON_VLAN;
	if (pol_unlikely(pol_is_tag(type))) {
#pragma clang loop unroll(full)
		for (int i = 0; i < POL_MAX_TAGS; i++) {
			if (!pol_is_tag(type))
				break;
			if (tags-- <= 0)
				return POL_REASON_VLAN;
			if (bpf_skb_load_bytes(skb, off + 2, &type, sizeof(type)))
				return POL_REASON_TRUNCATED;
			off += 4;
		}
		if (pol_is_tag(type))
			return POL_REASON_VLAN;
	}
	p->l3_off = off;
	p->type_be = type;
	return 0;
}

/*
 * The IPv4 option at `at`, options ending at `end`: where the next one starts, or
 * minus a reason.  A source route lets the sender choose the real destination.
 */
__noinline int pol_v4_option(struct __sk_buff *skb, __u32 at, __u32 end)
{
	__u8 opt[2];

	if (bpf_skb_load_bytes(skb, at, opt, 1))
		return -POL_REASON_TRUNCATED;
	if (opt[0] == IPOPT_END)
		return end;
	if (opt[0] == IPOPT_NOOP)
		return at + 1;
	if (opt[0] == IPOPT_LSRR || opt[0] == IPOPT_SSRR)
		return -POL_REASON_ROUTING_HEADER;
	if (at + 2 > end || bpf_skb_load_bytes(skb, at, opt, 2))
		return -POL_REASON_BAD_LENGTH;
	if (opt[1] < 2 || at + opt[1] > end)
		return -POL_REASON_BAD_LENGTH;
	return at + opt[1];
}

__noinline int pol_v4_options(struct __sk_buff *skb, __u32 at, __u32 end)
{
	for (int i = 0; i < 40; i++) {
		int next;

		if (at >= end)
			return 0;
		next = pol_v4_option(skb, at, end);
		if (next <= 0)
			return -next;
		at = next;
	}
	return at < end ? POL_REASON_BAD_LENGTH : 0;
}

/* Fragment fields; a datagram cannot end behind 65,535 bytes. */
static __always_inline int pol_fragment(struct pol_pkt *p, __u32 off, int more, __u32 payload)
{
	if (!more && !off)
		return 0;
	p->frag_off = off ? off : payload;
	p->frag = off ? POL_FRAG_LATER : POL_FRAG_FIRST;
	if (!payload || (more && payload & 7) || off + payload > 65535)
		return POL_REASON_BAD_LENGTH;
	return 0;
}

/* Lengths of the network header against the frame; gso: BIG TCP says 0. */
static __always_inline int pol_l3_len(struct __sk_buff *skb, struct pol_pkt *p, __u32 len,
				      __u32 header, int unsaid)
{
	__u32 room = skb->len - p->l3_off;

	if (unsaid && skb->gso_segs)
		len = room;
	if (len < header || len > room)
		return POL_REASON_BAD_LENGTH;
	p->l3_len = len;
	return 0;
}

/*
 * Returns what makes the addresses unreadable; what else is wrong is left in
 * p->reason, because at an uplink it matters only for our endpoints' packets.
 */
static __always_inline int pol_parse_v4(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct iphdr *ip = pol_header(skb, p->l3_off, sizeof(*ip), p->buf);
	__u32 ihl, tot, frag;

	if (!ip)
		return POL_REASON_TRUNCATED;
	if (ip->version != 4)
		return POL_REASON_BAD_VERSION;
	pol_from_v4(&p->src, ip->saddr);
	pol_from_v4(&p->dst, ip->daddr);
	p->proto = ip->protocol;
	p->ttl = ip->ttl;
	p->frag_proto = ip->protocol;
	p->frag_id = ip->id;
	ihl = ip->ihl * 4;
	tot = bpf_ntohs(ip->tot_len);
	frag = bpf_ntohs(ip->frag_off);
	p->l4_off = p->l3_off + ihl;
	if (ihl < sizeof(*ip)) {
		p->reason = POL_REASON_BAD_LENGTH;
		return 0;
	}
	p->reason = pol_l3_len(skb, p, tot, ihl, tot == 0);
	if (!p->reason && pol_unlikely(ihl > sizeof(*ip)))
		p->reason = pol_v4_options(skb, p->l3_off + sizeof(*ip), p->l4_off);
	if (!p->reason && pol_unlikely(frag & 0x3fff))
		p->reason = pol_fragment(p, (frag & 0x1fff) * 8, frag & 0x2000, p->l3_len - ihl);
	return 0;
}

/* A header that a first fragment does not hold whole is hidden from us. */
#define POL_SHORT(p) ((p)->frag ? POL_REASON_FRAG_TINY : POL_REASON_TRUNCATED)

static __always_inline int pol_is_ext(__u8 h)
{
	return h == IPPROTO_HOPOPTS || h == IPPROTO_ROUTING || h == IPPROTO_FRAGMENT ||
	       h == IPPROTO_AH || h == IPPROTO_DSTOPTS || h == 135 || h == 139 || h == 140;
}

#define POL_MAX_EXT 8

/* Each kind once, destination options twice (RFC 8200, 4.1): its bit, or 0. */
static __always_inline __u8 pol_ext_bit(const struct pol_pkt *p)
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
__noinline int pol_ext_one(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u32 len, end, field;
	__u8 h[8], type, bit;

	if (!p)
		return POL_REASON_INTERNAL;
	type = p->proto;
	if (type == IPPROTO_ROUTING)
		return POL_REASON_ROUTING_HEADER;
	bit = pol_ext_bit(p);
	if (!bit || p->ext_seen & bit)
		return POL_REASON_EXT_HEADER;
	p->ext_seen |= bit;
	end = p->l3_off + p->l3_len;
	if (p->l4_off + 8 > end || bpf_skb_load_bytes(skb, p->l4_off, h, sizeof(h)))
		return POL_SHORT(p);
	len = type == IPPROTO_AH ? (h[1] + 2) * 4 : type == IPPROTO_FRAGMENT ? 8 : (h[1] + 1) * 8;
	if (p->l4_off + len > end || len < 8)
		return POL_SHORT(p);
	p->proto = h[0];
	p->l4_off += len;
	if (type != IPPROTO_FRAGMENT)
		return 0;
	field = (__u32)h[2] << 8 | h[3];
	p->frag_proto = h[0];
	__builtin_memcpy(&p->frag_id, h + 4, 4);
	return pol_fragment(p, field & 0xfff8, field & 1, end - p->l4_off);
}

__noinline int pol_parse_ext(struct __sk_buff *skb, struct pol_pkt *p)
{
	if (!p)
		return POL_REASON_INTERNAL;
	for (int i = 0; i < POL_MAX_EXT; i++) {
		int reason = pol_ext_one(skb, p);

		if (reason)
			return reason;
		if (p->frag == POL_FRAG_LATER || !pol_is_ext(p->proto))
			return 0;
	}
	return POL_REASON_EXT_HEADER;
}

static __always_inline int pol_parse_v6(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct ipv6hdr *ip = pol_header(skb, p->l3_off, sizeof(*ip), p->buf);
	__u32 len;

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
	p->reason = pol_l3_len(skb, p, len + sizeof(*ip), sizeof(*ip), len == 0);
	if (!p->reason && pol_unlikely(pol_is_ext(p->proto)))
		p->reason = pol_parse_ext(skb, p);
	return 0;
}

/* Loopback, unspecified, multicast as source, IPv4 in disguise. */
static __always_inline int pol_bad_v4(__be32 addr_be)
{
	__u32 top = bpf_ntohl(addr_be) >> 24;

	return top == 127 || top == 0;
}

static __always_inline int pol_bad_v6(const struct pol_addr *a)
{
	return a->d_be[0] == 0 && (a->w_be[2] == POL_V4_MAPPED_BE ||
				   (a->w_be[2] == 0 && bpf_ntohl(a->w_be[3]) <= 1));
}

static __always_inline int pol_is_group(const struct pol_addr *a, int v6)
{
	__u32 v4 = bpf_ntohl(a->w_be[3]);

	return v6 ? a->b[0] == 0xff : v4 >> 28 == 0xe || v4 == 0xffffffff;
}

static __always_inline int pol_is_zero(const struct pol_addr *a, int v6)
{
	return v6 ? (a->d_be[0] | a->d_be[1]) == 0 : a->w_be[3] == 0;
}

static __always_inline int pol_bad_address(const struct pol_pkt *p)
{
	if (pol_is_group(&p->src, p->v6))
		return 1;
	return p->v6 ? pol_bad_v6(&p->src) || pol_bad_v6(&p->dst)
		     : pol_bad_v4(p->src.w_be[3]) || pol_bad_v4(p->dst.w_be[3]);
}

#endif
