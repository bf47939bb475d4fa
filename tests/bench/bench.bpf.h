/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs that are measured, beside the real ones in the same object:
 * each run takes the next of BENCH_FLOWS headers, writes it into the packet and then
 * does one more step than the program before.  One warm packet again and again
 * would flatter every branch and every cache.
 *
 * Included behind the templates' datapath.h, where BENCH_FLOWS and BENCH_ENDPOINTS (that live here;
 * numbers from 1) are defined, powers of two.
 */
#ifndef POL_BENCH_BPF_H
#define POL_BENCH_BPF_H

#include "bench_flow.h"

struct bench_flow bench_flows[BENCH_FLOWS] SEC(".data.bench");
__u32 bench_at;
volatile __u64 bench_sink;

struct bench_v4 {
	struct ethhdr eth;
	struct iphdr ip;
	__be16 port[2];
} __attribute__((packed));
struct bench_v6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	__be16 port[2];
} __attribute__((packed));

static __always_inline int bench_header(struct __sk_buff *skb)
{
	const struct bench_flow *f = &bench_flows[bench_at++ & (BENCH_FLOWS - 1)];
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct bench_v4 *h = data;

		if (data + sizeof(*h) > end)
			return -1;
		h->ip.saddr = f->src.w_be[3];
		h->ip.daddr = f->dst.w_be[3];
		h->ip.protocol = f->proto;
		h->port[0] = f->sport_be;
		h->port[1] = f->dport_be;
	} else {
		struct bench_v6 *h = data;

		if (data + sizeof(*h) > end)
			return -1;
		__builtin_memcpy(&h->ip.saddr, &f->src, 16);
		__builtin_memcpy(&h->ip.daddr, &f->dst, 16);
		h->ip.nexthdr = f->proto;
		h->port[0] = f->sport_be;
		h->port[1] = f->dport_be;
	}
	return 0;
}

static __always_inline int bench_parsed(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (bench_header(skb))
		return -1;
	pol_begin(p, POL_HOOK_UPLINK_IN);
	reason = pol_parse(skb, p);
	return reason ? reason : p->reason;
}

SEC("tc") int bench_empty(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_OK;
}

SEC("tc") int bench_headers(struct __sk_buff *skb)
{
	return bench_header(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc") int bench_parse(struct __sk_buff *skb)
{
	struct pol_pkt p;

	if (bench_parsed(skb, &p))
		return TC_ACT_SHOT;
	bench_sink += p.src.d_be[1] + p.dst.d_be[1] + p.dport_be;
	return TC_ACT_OK;
}

/* Whose the two addresses are: what every judgement begins with. */
SEC("tc") int bench_identify(struct __sk_buff *skb)
{
	struct pol_owner *from, *to;
	struct pol_pkt p;

	if (bench_parsed(skb, &p))
		return TC_ACT_SHOT;
	from = bpf_map_lookup_elem(&ep_by_addr, &p.src);
	to = bpf_map_lookup_elem(&ep_by_addr, &p.dst);
	bench_sink += (from ? from->ep : 0) + (to ? to->ep : 0) + p.dport_be;
	return TC_ACT_OK;
}

/* The tables alone, as if the destination's row and the source's entity were known. */
SEC("tc") int bench_tables(struct __sk_buff *skb)
{
	__u32 ep, column = 0, l4;
	struct pol_ep_state *st;
	struct pol_pkt p;

	if (bench_parsed(skb, &p))
		return TC_ACT_SHOT;
	ep = 1 + (bench_at & (BENCH_ENDPOINTS - 1));
	st = bpf_map_lookup_elem(&ep_state, &ep);
	if (!st || pol_column(&p.src, NULL, 0, &column))
		return TC_ACT_SHOT;
	l4 = pol_l4(p.proto, bpf_ntohs(p.dport_be));
	bench_sink += pol_verdicts[pol_walk(st->root[POL_INGRESS], column, l4)].rule;
	return TC_ACT_OK;
}

SEC("tc") int bench_judge(struct __sk_buff *skb)
{
	struct pol_pkt p;

	if (bench_parsed(skb, &p))
		return TC_ACT_SHOT;
	bench_sink += pol_judge(&p) + p.rule[POL_INGRESS];
	return TC_ACT_OK;
}

/* Everything; new or established flows by what the connection table holds. */
SEC("tc") int bench_whole(struct __sk_buff *skb)
{
	return bench_header(skb) ? TC_ACT_SHOT : pol_hook_uplink_in(skb);
}

#endif
