/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the uplink's XDP hook answers itself, in a VIP's name: echoes, ICMP errors, RST.  The packet
 * becomes the answer and goes back where it came from; each function returns what XDP is to do.
 *
 * Rare packets are read and written by helpers: slower, and the verifier has little to follow.
 */
#ifndef POL_BPF_SERVICE_ANSWER_H
#define POL_BPF_SERVICE_ANSWER_H

#include "edge_event.h"
#include "service.h"

/* The frame goes back where it came from. */
__noinline int pol_edge_back(struct xdp_md *ctx)
{
	__u8 was[12], now[12];

	if (bpf_xdp_load_bytes(ctx, 0, was, sizeof(was)))
		return -1;
	__builtin_memcpy(now, was + 6, 6);
	__builtin_memcpy(now + 6, was, 6);
	return bpf_xdp_store_bytes(ctx, 0, now, sizeof(now));
}

/* An IP header from the packet's destination to its source, at l3_off. */
__noinline int pol_edge_answer_ip(struct xdp_md *ctx, struct pol_edge *p, __u32 payload, __u32 proto)
{
	if (!p)
		return -1;
	if (p->v6) {
		struct pol_outer_v6 ip;

		pol_outer_v6(&ip, &p->dst, &p->src, payload, 0, proto, 0);
		return bpf_xdp_store_bytes(ctx, p->l3_off, &ip, sizeof(ip));
	} else {
		struct iphdr ip;

		pol_outer_v4(&ip, &p->dst, &p->src, payload, 0, proto);
		return bpf_xdp_store_bytes(ctx, p->l3_off, &ip, sizeof(ip));
	}
}

/* An echo to a VIP: answered here, whoever serves it. */
__noinline int pol_edge_echo(struct xdp_md *ctx, struct pol_edge *p)
{
	__u16 h[2];

	if (!p || bpf_xdp_load_bytes(ctx, p->l4_off, h, sizeof(h)) || pol_edge_back(ctx))
		return XDP_DROP;
	if (p->v6) {
		struct pol_addr ends[2] = { p->dst, p->src };

		h[1] = pol_svc_check(h[1], pol_svc_diff_port(bpf_htons(128 << 8), bpf_htons(129 << 8)));
		h[0] += bpf_htons(1 << 8);
		if (bpf_xdp_store_bytes(ctx, p->l3_off + 8, ends, sizeof(ends)))
			return XDP_DROP;
	} else {
		__be32 ends[2] = { p->dst.w_be[3], p->src.w_be[3] };

		/* of nothing but zeros the sum is -0: 0 would be wrong, and -0 is right in any case */
		h[1] = pol_svc_check(h[1], pol_svc_diff_port(bpf_htons(8 << 8), 0)) ?: 0xffff;
		h[0] -= bpf_htons(8 << 8);
		if (bpf_xdp_store_bytes(ctx, p->l3_off + 12, ends, sizeof(ends)))
			return XDP_DROP;
	}
	return bpf_xdp_store_bytes(ctx, p->l4_off, h, sizeof(h)) ? XDP_DROP : XDP_TX;
}

#define POL_EDGE_QUOTE 64u

struct pol_edge_error {
	__be16 type_code;
	__u16 check;
	__be32 mtu_be;
	__u8 quote[POL_EDGE_QUOTE];
};

/* Header and quotation of an ICMP error, at `at`; how many bytes, or 0. */
__noinline int pol_edge_icmp_body(struct xdp_md *ctx, struct pol_edge *p, __u32 type_code, __u32 mtu)
{
	struct pol_edge_error m = {};
	__u32 n, at;
	__u64 sum;

	if (!p)
		return 0;
	n = p->l3_len > POL_EDGE_QUOTE ? POL_EDGE_QUOTE : p->l3_len;
	if (!n)
		return 0;
	n = pol_within(n - 1, POL_EDGE_QUOTE) + 1; /* as pol_answer_icmp() has it */
	if (bpf_xdp_load_bytes(ctx, p->l3_off, m.quote, n))
		return 0;
	m.type_code = bpf_htons(type_code);
	m.mtu_be = bpf_htonl(mtu);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&m, sizeof(m), 0);
	n += 8;
	if (p->v6)
		sum += pol_pseudo(&p->src, &p->dst, p->v6, IPPROTO_ICMPV6, n);
	m.check = ~pol_fold(sum);
	at = p->l3_off + (p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (bpf_xdp_adjust_tail(ctx, (int)(at + n) - (int)p->len))
		return 0;
	pol_opaque(n);
	if (n < 1 || n > sizeof(m) || bpf_xdp_store_bytes(ctx, at, &m, n))
		return 0;
	return n;
}

/* An ICMP error to the sender, in the VIP's name; mtu: of "too big", else 0. */
__noinline int pol_edge_icmp(struct xdp_md *ctx, struct pol_edge *p, __u32 type_code, __u32 mtu)
{
	int n;

	if (!p || !pol_rate_take(POL_RATE_ANSWER))
		return XDP_DROP;
	n = pol_edge_icmp_body(ctx, p, type_code, mtu);
	if (n <= 0 || pol_edge_answer_ip(ctx, p, n, p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    pol_edge_back(ctx))
		return XDP_DROP;
	return XDP_TX;
}

/* A RST in the VIP's name (RFC 9293, 3.10.7.1). */
__noinline int pol_edge_rst(struct xdp_md *ctx, struct pol_edge *p)
{
	struct tcphdr in, rst = {};
	__u32 at, len;
	__u64 sum;

	if (!p || p->tcp_flags & POL_TCP_RST || !pol_rate_take(POL_RATE_ANSWER) ||
	    bpf_xdp_load_bytes(ctx, p->l4_off, &in, sizeof(in)))
		return XDP_DROP;
	len = p->l3_len - (p->l4_off - p->l3_off) - in.doff * 4;
	rst.source = in.dest;
	rst.dest = in.source;
	rst.doff = sizeof(rst) / 4;
	rst.rst = 1;
	if (in.ack) {
		rst.seq = in.ack_seq;
	} else {
		rst.ack = 1;
		rst.ack_seq = bpf_htonl(bpf_ntohl(in.seq) + len + in.syn + in.fin);
	}
	sum = pol_pseudo(&p->src, &p->dst, p->v6, IPPROTO_TCP, sizeof(rst)) +
	      (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&rst, sizeof(rst), 0);
	rst.check = ~pol_fold(sum);
	at = p->l3_off + (p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (bpf_xdp_adjust_tail(ctx, (int)(at + sizeof(rst)) - (int)p->len) ||
	    bpf_xdp_store_bytes(ctx, at, &rst, sizeof(rst)) ||
	    pol_edge_answer_ip(ctx, p, sizeof(rst), IPPROTO_TCP) || pol_edge_back(ctx))
		return XDP_DROP;
	return XDP_TX;
}

/* Nobody serves the VIP now: said, not kept quiet. */
static __always_inline int pol_edge_refuse(struct xdp_md *ctx, struct pol_edge *p)
{
	pol_edge_drop(p, POL_REASON_SVC_DOWN);
	if (p->proto == IPPROTO_TCP)
		return pol_edge_rst(ctx, p);
	return pol_edge_icmp(ctx, p, p->v6 ? 1 << 8 | 4 : 3 << 8 | 3, 0);
}

#endif
