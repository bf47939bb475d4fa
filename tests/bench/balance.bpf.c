/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs around a balancer that is measured; balance.c loads them. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile struct {
	__u8 from_mac[6], to_mac[6];
	__u32 to_device, flows;
	__be32 vip_be[4];
} set = { .flows = 1 };
struct {
	__u64 at; /* of the next packet */
	__u64 arrived;
} counts = {};

#define PAYLOAD 18 /* bytes, all zero */

/* Neighbours in time are no neighbours in a table. */
static __always_inline __u32 next_flow(void)
{
	return ((__u32)counts.at++ * 2654435761u >> 8) & (set.flows - 1);
}

static __always_inline void ethernet(struct ethhdr *eth, __be16 type)
{
	for (int i = 0; i < 6; i++) {
		eth->h_dest[i] = set.to_mac[i];
		eth->h_source[i] = set.from_mac[i];
	}
	eth->h_proto = type;
}

static __always_inline __u32 halves(__be32 word)
{
	return (word >> 16) + (word & 0xffff);
}

static __always_inline __u16 check_of(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* ends: the sum of both addresses; with a checksum, as hosts send it. */
static __always_inline void datagram(struct udphdr *udp, __u32 flow, __u32 ends)
{
	udp->source = bpf_htons(10000 + flow % 16);
	udp->dest = bpf_htons(80);
	udp->len = bpf_htons(sizeof(*udp) + PAYLOAD);
	udp->check =
		check_of(ends + bpf_htons(IPPROTO_UDP) + 2 * udp->len + udp->source + udp->dest);
}

/*
 * These write the next packet, all of it but its payload: frames come back as others left them.  Flow n
 * is from address n / 16 of a network and one of 16 ports.
 */
SEC("xdp") int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = data + sizeof(*eth) + sizeof(*ip);
	__u32 flow = next_flow(), ends;

	if ((void *)(udp + 1) + PAYLOAD > end)
		return XDP_ABORTED;
	ethernet(eth, bpf_htons(ETH_P_IP));
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*udp) + PAYLOAD);
	ip->saddr = bpf_htonl(0xc6120001 + flow / 16); /* 198.18.0.0/15 */
	ip->daddr = set.vip_be[0];
	ends = halves(ip->saddr) + halves(ip->daddr);
	ip->check =
		check_of(ends + bpf_htons(0x4500) + ip->tot_len + bpf_htons(64 << 8 | IPPROTO_UDP));
	datagram(udp, flow, ends);
	return bpf_redirect(set.to_device, 0);
}

SEC("xdp") int generate6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct ipv6hdr *ip = data + sizeof(*eth);
	struct udphdr *udp = data + sizeof(*eth) + sizeof(*ip);
	__u32 flow = next_flow(), ends = 0;
	__be32 *from;

	if ((void *)(udp + 1) + PAYLOAD > end)
		return XDP_ABORTED;
	ethernet(eth, bpf_htons(ETH_P_IPV6));
	__builtin_memset(ip, 0, 8);
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(*udp) + PAYLOAD);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = 64;
	from = ip->saddr.in6_u.u6_addr32; /* 2001:db8:18::/64 */
	from[0] = bpf_htonl(0x20010db8);
	from[1] = bpf_htonl(0x00180000);
	from[2] = 0;
	from[3] = bpf_htonl(1 + flow / 16);
	for (int i = 0; i < 4; i++) {
		ip->daddr.in6_u.u6_addr32[i] = set.vip_be[i];
		ends += halves(from[i]) + halves(set.vip_be[i]);
	}
	datagram(udp, flow, ends);
	return bpf_redirect(set.to_device, 0);
}

/* In the balancer's place: the least that a program can do. */
SEC("xdp") int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp") int forward(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return XDP_ABORTED;
	ethernet(eth, eth->h_proto);
	return bpf_redirect(set.to_device, 0);
}

/* Where they end: frames of XDP, and packets of the stack. */
SEC("xdp") int swallow(struct xdp_md *ctx)
{
	counts.arrived++;
	return XDP_DROP;
}

SEC("tc") int sink(struct __sk_buff *skb)
{
	counts.arrived++;
	return 2; /* TC_ACT_SHOT */
}

char LICENSE[] SEC("license") = "GPL";
