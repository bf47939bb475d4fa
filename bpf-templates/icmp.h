/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP errors: let through only to the one whose packet they quote, and only if
 * that packet belongs to a live flow.  They neither make nor refresh state.
 */
#ifndef POL_BPF_ICMP_H
#define POL_BPF_ICMP_H

#include "ct.h"
#include "transport.h"

/* Where the quoted transport header is, in p's own terms; 0 or -1. */
struct pol_quote {
	struct pol_addr src, dst;
	__u32 off;
	__u8 proto;
	__u8 pad[3];
};

static __always_inline int pol_quote_v4(struct __sk_buff *skb, struct pol_quote *q)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, q->off, &ip, sizeof(ip)))
		return -1;
	if (ip.version != 4 || ip.ihl < 5 || ip.frag_off & bpf_htons(0x1fff))
		return -1;
	q->src.w_be[2] = POL_V4_MAPPED_BE;
	q->src.w_be[3] = ip.saddr;
	q->dst.w_be[2] = POL_V4_MAPPED_BE;
	q->dst.w_be[3] = ip.daddr;
	q->proto = ip.protocol;
	q->off += ip.ihl * 4;
	return 0;
}

static __always_inline int pol_quote_v6(struct __sk_buff *skb, struct pol_quote *q)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, q->off, &ip, sizeof(ip)) || ip.version != 6)
		return -1;
	__builtin_memcpy(&q->src, &ip.saddr, sizeof(q->src));
	__builtin_memcpy(&q->dst, &ip.daddr, sizeof(q->dst));
	q->proto = ip.nexthdr;
	q->off += sizeof(ip);
#pragma clang loop unroll(disable)
	for (int i = 0; i < 3 && pol_is_ext(q->proto); i++) {
		__u8 h[8];

		if (bpf_skb_load_bytes(skb, q->off, h, sizeof(h)))
			return -1;
		if (q->proto == IPPROTO_FRAGMENT && (h[2] || h[3] & 0xf8))
			return -1;
		if (q->proto == IPPROTO_AH || q->proto == IPPROTO_ROUTING)
			return -1;
		q->off += q->proto == IPPROTO_FRAGMENT ? 8 : (h[1] + 1) * 8;
		q->proto = h[0];
	}
	return 0;
}

/* Sets the key of the quoted packet's flow. */
static __always_inline int pol_quote_key(struct __sk_buff *skb, struct pol_pkt *p,
					 struct pol_quote *q)
{
	__be16 sport = 0, dport = 0;
	__u8 h[8] = {};
	int asks = 0;

	if (q->off + 8 > p->l3_off + p->l3_len || bpf_skb_load_bytes(skb, q->off, h, sizeof(h)))
		return -1;
	if (q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP || q->proto == IPPROTO_SCTP) {
		__builtin_memcpy(&sport, h, 2);
		__builtin_memcpy(&dport, h + 2, 2);
	} else if (q->proto == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		__u8 msg = pol_icmp_msg(h[0], p->v6, &asks);

		if (msg == POL_MSG_ERROR || msg == POL_MSG_ALONE)
			return -1;
		__builtin_memcpy(asks ? &sport : &dport, h + 4, 2);
	}
	pol_ct_key_of(p, &q->src, &q->dst, (__u32)sport << 16 | dport, q->proto);
	return 0;
}

static __always_inline int pol_error_type(const struct pol_pkt *p)
{
	if (p->v6)
		return p->type >= 1 && p->type <= 4;
	return p->type == 3 || p->type == 11 || p->type == 12;
}

/*
 * A "too big" that would make a sender cut its packets smaller than any link may be
 * (RFC 8200, 5: 1280; IPv4: 576, what every host takes, RFC 791) can only be meant to
 * slow it down.  An IPv4 router older than RFC 1191 says 0: the sender then guesses, so it
 * is refused too.
 */
static __always_inline int pol_mtu_ok(struct __sk_buff *skb, const struct pol_pkt *p)
{
	__u8 h[8];
	__u32 mtu;

	if (p->v6 ? p->type != 2 : p->type != 3)
		return 1;
	if (bpf_skb_load_bytes(skb, p->l4_off, h, sizeof(h)))
		return 0;
	mtu = (__u32)h[6] << 8 | h[7];
	if (p->v6)
		return ((__u32)h[4] << 24 | (__u32)h[5] << 16 | mtu) >= 1280;
	return h[1] != 4 || mtu >= 576;
}

#ifndef POL_ICMP_RATE
#define POL_ICMP_RATE 100u	/* errors a second that one endpoint sends or gets */
#endif

/* Two CPUs that race may let one or two more pass; an add would cost every packet its lock. */
static __always_inline int pol_icmp_rate_ok(__u32 ep, __u32 now)
{
	__u64 *w = bpf_map_lookup_elem(&icmp_rates, &ep), was;

	if (!w)
		return 0;
	was = *(volatile __u64 *)w;
	if (was >> 32 != now)
		was = (__u64)now << 32;
	if ((__u32)was >= POL_ICMP_RATE)
		return 0;
	*(volatile __u64 *)w = was + 1;
	return 1;
}

__noinline int pol_icmp_error(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_quote q = {};
	struct pol_owner *to;
	struct pol_ct_entry *e;

	if (!p)
		return POL_REASON_INTERNAL;
	q.off = p->l4_off + 8;
	if (!pol_error_type(p) || (p->v6 ? pol_quote_v6(skb, &q) : pol_quote_v4(skb, &q)) ||
	    !pol_same_addr(&q.src, &p->dst) || pol_quote_key(skb, p, &q) ||
	    !pol_mtu_ok(skb, p))
		return POL_REASON_ICMP_RELATED;
	/* the endpoint at hand has a part in the flow: an error is no way around policies for a third one */
	e = pol_ct_entry(p);
	if (!e || pol_ct_expired(e, p->now) || !pol_ct_valid(e) ||
	    (e->ep[POL_EGRESS] != p->ep && e->ep[POL_INGRESS] != p->ep))
		return POL_REASON_ICMP_RELATED;
	if (!pol_icmp_rate_ok(p->ep, p->now))
		return POL_REASON_ICMP_RATE;
	p->rule[POL_INGRESS] = e->rule[POL_INGRESS];
	p->rule[POL_EGRESS] = e->rule[POL_EGRESS];
	to = pol_local_owner(&p->dst);
	p->local = to != NULL;
	p->to = to ? to->ep : 0;
	p->from_state = 1;
	p->action = POL_ALLOW;
#if POL_USES_HTTP
	if (q.proto == IPPROTO_TCP)
		p->proxy = pol_proxied(e);
	if (p->proxy)
		p->tell |= POL_TELL_HAND; /* about what the proxy sent: it is for this host */
#endif
	return 0;
}

#endif
