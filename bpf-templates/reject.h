/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answer to a rejected packet, made of the packet itself and sent back where
 * it came from: out of the device it came in by, or into the host's stack if the
 * host sent it.  TCP gets a RST (RFC 9293, 3.10.7.1), the rest an unreachable.
 * A connection that is cut off in its life ends with a RST for either end.
 */
#ifndef POL_BPF_REJECT_H
#define POL_BPF_REJECT_H

#include "event.h"
#include "transport.h"

#if POL_USES_REJECT || POL_USES_HTTP || POL_USES_SERVICES

/* How much of the packet an unreachable quotes, its header included. */
#define POL_QUOTE 128u
#define POL_ANSWER_TTL 64

static __always_inline void pol_answer_ip4(struct iphdr *ip, const struct pol_pkt *p, __u32 len,
					   __u8 proto, int on)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(len);
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = POL_ANSWER_TTL;
	ip->protocol = proto;
	ip->saddr = on ? p->src.w_be[3] : p->dst.w_be[3];
	ip->daddr = on ? p->dst.w_be[3] : p->src.w_be[3];
	ip->check = ~pol_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void pol_answer_ip6(struct ipv6hdr *ip, const struct pol_pkt *p, __u32 len,
					   __u8 proto, int on)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = proto;
	ip->hop_limit = POL_ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, on ? &p->src : &p->dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, on ? &p->dst : &p->src, sizeof(ip->daddr));
}

/*
 * The steps of an answer are functions of their own and follow one another, so that
 * their buffers need not be on the stack together.  on: the way that the packet went, not back.
 */
__noinline int pol_answer_ip(struct __sk_buff *skb, struct pol_pkt *p, __u32 payload, __u32 proto, int on)
{
	if (!p)
		return -1;
	if (p->v6) {
		struct ipv6hdr ip;

		pol_answer_ip6(&ip, p, payload, proto, on);
		return bpf_skb_store_bytes(skb, p->l3_off, &ip, sizeof(ip), 0);
	} else {
		struct iphdr ip;

		pol_answer_ip4(&ip, p, payload + sizeof(ip), proto, on);
		return bpf_skb_store_bytes(skb, p->l3_off, &ip, sizeof(ip), 0);
	}
}

static __always_inline __u32 pol_ip_header(const struct pol_pkt *p)
{
	return p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/*
 * A segment from a local stack has only the sum of its pseudo header in place of a
 * checksum and is marked so (CHECKSUM_PARTIAL), which a program can neither see nor
 * change: the device will add the rest.  It is recognised by that sum, and the
 * answer gets the same.
 */
static __always_inline int pol_csum_partial(struct __sk_buff *skb, const struct pol_pkt *p,
					    __u16 check, __u32 len)
{
	return skb->gso_size || check == pol_fold(pol_pseudo(&p->src, &p->dst, p->v6, IPPROTO_TCP, len));
}

/* Completes the RST and writes it at `at`. */
static __always_inline int pol_put_rst(struct __sk_buff *skb, const struct pol_pkt *p, __u32 at,
				       struct tcphdr *rst, int partial)
{
	__u64 sum = pol_pseudo(&p->src, &p->dst, p->v6, IPPROTO_TCP, sizeof(*rst));

	rst->doff = sizeof(*rst) / 4;
	rst->rst = 1;
	if (partial)
		rst->check = pol_fold(sum);
	else
		rst->check = ~pol_fold(sum + (__u32)bpf_csum_diff(NULL, 0, (__be32 *)rst,
								  sizeof(*rst), 0));
	return bpf_skb_store_bytes(skb, at, rst, sizeof(*rst), 0);
}

/* Cuts the packet to its answer's size and writes the RST; its length, or 0. */
__noinline int pol_answer_rst(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct tcphdr in, rst = {};
	__u32 len, at;
	int partial;

	if (!p || p->tcp_flags & POL_TCP_RST || bpf_skb_load_bytes(skb, p->l4_off, &in, sizeof(in)))
		return 0;
	at = p->l3_off + pol_ip_header(p);
	len = p->l3_len - (p->l4_off - p->l3_off);
	partial = pol_csum_partial(skb, p, in.check, len);
	rst.source = in.dest;
	rst.dest = in.source;
	if (in.ack) {
		rst.seq = in.ack_seq;
	} else {
		rst.ack = 1;
		rst.ack_seq = bpf_htonl(bpf_ntohl(in.seq) + len - in.doff * 4 + in.syn + in.fin);
	}
	p->seq_be = in.seq;
	if (bpf_skb_change_tail(skb, at + sizeof(rst), 0) || pol_put_rst(skb, p, at, &rst, partial))
		return 0;
	return sizeof(rst);
}

/* What pol_answer_rst() wrote, turned around: a RST for whom the packet was for; its length, or 0. */
__noinline int pol_rst_on(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct tcphdr back, rst = {};
	__u32 at;

	if (!p)
		return 0;
	at = p->l3_off + pol_ip_header(p);
	if (bpf_skb_load_bytes(skb, at, &back, sizeof(back)))
		return 0;
	rst.source = back.dest;
	rst.dest = back.source;
	rst.seq = p->seq_be;
	return pol_put_rst(skb, p, at, &rst, pol_csum_partial(skb, p, back.check, sizeof(back)))
		       ? 0 : sizeof(rst);
}

/* Type and code: port unreachable for UDP, administratively prohibited for the rest. */
static __always_inline __u16 pol_unreachable(const struct pol_pkt *p)
{
	int udp = p->proto == IPPROTO_UDP;

	return p->v6 ? 1 << 8 | (udp ? 4 : 1) : 3 << 8 | (udp ? 3 : 13);
}

/* The same with an ICMP error, which quotes the packet; mtu: of "too big", else 0. */
__noinline int pol_answer_icmp(struct __sk_buff *skb, struct pol_pkt *p, __u32 type_code, __u32 mtu)
{
	struct {
		__be16 type_code;
		__u16 check;
		__be32 mtu_be;
		__u8 quote[POL_QUOTE];
	} icmp = {};
	__u32 n, at;
	__u64 sum;

	if (!p)
		return 0;
	n = p->l3_len > POL_QUOTE ? POL_QUOTE : p->l3_len;
	if (!n)
		return 0;
	/* the same, but verifiers before 6.8 learn nothing from "not 0" */
	n = pol_within(n - 1, POL_QUOTE) + 1;
	if (bpf_skb_load_bytes(skb, p->l3_off, icmp.quote, n))
		return 0;
	icmp.type_code = bpf_htons(type_code);
	icmp.mtu_be = bpf_htonl(mtu);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&icmp, sizeof(icmp), 0);
	n += 8;
	if (p->v6)
		sum += pol_pseudo(&p->src, &p->dst, p->v6, IPPROTO_ICMPV6, n);
	icmp.check = ~pol_fold(sum);
	at = p->l3_off + pol_ip_header(p);
	if (bpf_skb_change_tail(skb, at + n, 0))
		return 0;
	pol_opaque(n);
	if (n < 1 || n > sizeof(icmp) || bpf_skb_store_bytes(skb, at, &icmp, n, 0))
		return 0;
	return n;
}

__noinline int pol_answer_eth(struct __sk_buff *skb)
{
	__u8 mac[12], back[12];

	if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
		return -1;
	__builtin_memcpy(back, mac + 6, 6);
	__builtin_memcpy(back + 6, mac, 6);
	return bpf_skb_store_bytes(skb, 0, back, sizeof(back), 0);
}

/* RFC 1122, 3.2.2: never to a fragment, a group, or nobody. */
static __always_inline int pol_answerable(const struct pol_pkt *p)
{
	return !p->frag && !p->group && !pol_is_zero(&p->src, p->v6) &&
	       p->msg != POL_MSG_ERROR && p->msg != POL_MSG_ALONE;
}

/* Makes an answer of the packet: an ICMP error, or with type_code 0 a RST.  0 or -1. */
static __always_inline int pol_answer_make(struct __sk_buff *skb, struct pol_pkt *p,
					   __u32 type_code, __u32 mtu)
{
	__u32 proto = IPPROTO_TCP;
	int len;

	if (!pol_answerable(p) || !pol_rate_take(POL_RATE_ANSWER))
		return -1;
	if (type_code)
		proto = p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	len = type_code ? pol_answer_icmp(skb, p, type_code, mtu) : pol_answer_rst(skb, p);
	return len <= 0 || pol_answer_ip(skb, p, len, proto, 0) || pol_answer_eth(skb) ? -1 : 0;
}

/* Marks the answer for its way back; the flags of the redirect to the device in hand. */
static __always_inline __u64 pol_answer_mark(struct __sk_buff *skb, const struct pol_pkt *p)
{
	int into = p->hook == POL_HOOK_EP_IN;

	skb->mark = (skb->mark & ~POL_MARK_MASK) | (into ? POL_MARK_ANSWER : POL_MARK_JUDGED);
	if (!into)
		skb->tc_index = (__u16)p->ep; /* of who hears it; nothing reads it behind an uplink */
	return into ? BPF_F_INGRESS : 0;
}

/* Back with an ICMP error; type_code 0: a RST. */
__noinline int pol_answer_with(struct __sk_buff *skb, struct pol_pkt *p, __u32 type_code, __u32 mtu)
{
	if (!p || pol_answer_make(skb, p, type_code, mtu))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, pol_answer_mark(skb, p));
}

/*
 * A live connection is over, and both ends are to know: who waits for an answer sends nothing, so
 * that nothing of his could be answered, and would wait for ever.  The sender's RST goes back in a
 * copy; the packet itself becomes the other's, and goes its way like one that passes: its sequence
 * number is all that is left of it.  A RST is not answered, so none is made of one that loops.
 */
__noinline int pol_answer_both(struct __sk_buff *skb, struct pol_pkt *p)
{
	int len;

	if (!p || p->proto != IPPROTO_TCP || pol_answer_make(skb, p, 0, 0))
		return TC_ACT_SHOT;
	bpf_clone_redirect(skb, skb->ifindex, pol_answer_mark(skb, p));
	len = pol_rst_on(skb, p);
	if (len <= 0 || pol_answer_ip(skb, p, len, IPPROTO_TCP, 1) || pol_answer_eth(skb))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

static __always_inline int pol_answer(struct __sk_buff *skb, struct pol_pkt *p)
{
	return pol_answer_with(skb, p, p->proto == IPPROTO_TCP ? 0 : pol_unreachable(p), 0);
}

#endif
#endif
