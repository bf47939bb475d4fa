/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs around a balancer that is measured; balance.c loads them. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile struct {
	__u8 from_mac[6], to_mac[6];
	__u32 to_device, flows;
	__be32 vip_be;
} set = { .flows = 1 };
struct {
	__u64 at; /* of the next packet */
	__u64 arrived;
} counts = {};

/*
 * Writes the next packet, all of it: frames come back as others left them.  Flow n is from
 * 198.18.0.0/15 + n / 16 and one of 16 ports; neighbours in time are no neighbours in a table.
 */
SEC("xdp") int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = data + sizeof(*eth) + sizeof(*ip);
	__u32 flow = ((__u32)counts.at++ * 2654435761u >> 8) & (set.flows - 1), sum;

	if ((void *)(udp + 1) + 18 > end)
		return XDP_ABORTED;
	for (int i = 0; i < 6; i++) {
		eth->h_dest[i] = set.to_mac[i];
		eth->h_source[i] = set.from_mac[i];
	}
	eth->h_proto = bpf_htons(ETH_P_IP);
	__builtin_memset(ip, 0, sizeof(*ip) + sizeof(*udp));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*udp) + 18);
	ip->saddr = bpf_htonl(0xc6120001 + flow / 16);
	ip->daddr = set.vip_be;
	sum = 0x4500 + sizeof(*ip) + sizeof(*udp) + 18 + (64 << 8 | IPPROTO_UDP);
	sum += (bpf_ntohl(ip->saddr) >> 16) + (bpf_ntohl(ip->saddr) & 0xffff);
	sum += (bpf_ntohl(ip->daddr) >> 16) + (bpf_ntohl(ip->daddr) & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons(~sum);
	udp->source = bpf_htons(10000 + flow % 16);
	udp->dest = bpf_htons(80);
	udp->len = bpf_htons(sizeof(*udp) + 18);
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
	for (int i = 0; i < 6; i++) {
		eth->h_dest[i] = set.to_mac[i];
		eth->h_source[i] = set.from_mac[i];
	}
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
