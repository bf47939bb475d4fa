/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services at the uplink's XDP hook.
 *
 *   backend here		translated, and on to the stack: the TC hook judges it as what it now is
 *   elsewhere, `nat`		translated and out again, without the stack where the way out is known
 *				(struct pol_hop) and the device can send what a program gives it
 *   elsewhere, `dsr`		encapsulated (RFC 2003, RFC 2473) and out again
 *   from a listed balancer	unpacked, then as above
 *
 * What cannot go out from here is left for the stack: of `nat` translated, of `dsr` as it came, and
 * the TC hook encapsulates it (service_stack.h).  Our own answers go out likewise.  Never passed on:
 * fragments to a VIP, which have no ports; malformed packets to a VIP.  A packet whose hop limit
 * ends here is not touched: the stack answers for it as a router.
 */
#ifndef POL_BPF_SERVICE_EDGE_H
#define POL_BPF_SERVICE_EDGE_H

#include "edge_event.h"
#include "judge.h"
#include "service_answer.h"

#define POL_SVC_NOT (-1)	/* no service's packet */

/* ---- where it goes -------------------------------------------------------------------- */

/* Per CPU: where the way to an address leads, asked of the kernel once a second. */
struct pol_hop {
	struct pol_addr to;
	__u32 second;		/* + 1, in which it was asked; 0: never */
	__u32 ifindex;		/* 0: only the stack knows the way */
	__be32 mac[3];		/* destination and source of the frame */
	__u32 mtu;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_SVC_HOPS);
	__type(key, __u32);
	__type(value, struct pol_hop);
} svc_hops SEC(".maps");

/*
 * Neither a route nor a neighbour is known, or the way leads to a device that may not be able to
 * send a program's frames: the stack's business.  It asks for the neighbour too, so
 * the next packet finds it.
 */
__noinline int pol_hop_ask(struct xdp_md *ctx, struct pol_hop *h, __u32 v6)
{
	struct bpf_fib_lookup f = {};
	const struct pol_if *out;

	if (!h)
		return -1;
	f.family = v6 ? 10 : 2;
	f.ifindex = ctx->ingress_ifindex;
	if (v6)
		__builtin_memcpy(f.ipv6_dst, &h->to, sizeof(f.ipv6_dst));
	else
		f.ipv4_dst = h->to.w_be[3];
	h->ifindex = 0;
	h->mtu = 0;
	if (bpf_fib_lookup(ctx, &f, sizeof(f), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	h->mtu = f.mtu_result;
	out = pol_uplink_of(f.ifindex);
	if (!out || !(out->flags & POL_IF_DIRECT) || (__u16)h->mtu < 576)
		return 0;
	__builtin_memcpy(h->mac, f.dmac, 6);
	__builtin_memcpy((__u8 *)h->mac + 6, f.smac, 6);
	h->ifindex = f.ifindex;
	return 0;
}

static __always_inline struct pol_hop *pol_hop_place(const struct pol_addr *to)
{
	__u32 at = pol_mix(to->d_be[0] ^ to->d_be[1] * 0x9e3779b97f4a7c15ull) & (POL_SVC_HOPS - 1);

	return bpf_map_lookup_elem(&svc_hops, &at);
}

static __always_inline int pol_hop_known(const struct pol_hop *h, const struct pol_addr *to, __u32 now)
{
	return h->second == now + 1 && pol_same_addr(&h->to, to);
}

/* NULL: only the stack knows the way. */
static __always_inline struct pol_hop *pol_hop(struct xdp_md *ctx, const struct pol_addr *to, __u32 now)
{
	struct pol_hop *h = pol_hop_place(to);

	if (!h)
		return NULL;
	if (!pol_hop_known(h, to, now)) {
		h->to = *to;
		h->second = now + 1;
		pol_hop_ask(ctx, h, pol_is_v6(to));
	}
	return h->ifindex ? h : NULL;
}

static __always_inline int pol_hop_send(struct xdp_md *ctx, const struct pol_hop *h)
{
	__be32 *mac = pol_edge_at(ctx, 0, 12);

	if (!mac)
		return XDP_ABORTED;
	__builtin_memcpy(mac, h->mac, 12);
	return h->ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(h->ifindex, 0);
}

/* ---- translation ------------------------------------------------------------------------- */

/*
 * A frame from a local stack can have, in place of its checksum, the sum of the pseudo header alone
 * (see pol_csum_partial()).  Only devices of software bring such frames (POL_IF_SOFT), and the
 * mark that says so is lost when a program sends the frame: so those are the stack's to send.
 */
__noinline int pol_edge_half_sum(struct xdp_md *ctx, struct pol_edge *p)
{
	__be16 *check;

	if (!p)
		return 0;
	check = pol_edge_at(ctx, p->l4_off + (p->proto == IPPROTO_UDP ? 6 : 16), 2);
	/* 0: a datagram without one */
	return check && *check && *check == pol_fold(pol_pseudo(&p->src, &p->dst, p->v6, p->proto,
							   p->l3_len - (p->l4_off - p->l3_off)));
}

static __always_inline int pol_edge_half(struct xdp_md *ctx, struct pol_edge *p, __u32 what)
{
	return what & POL_IF_SOFT && (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) &&
	       pol_edge_half_sum(ctx, p);
}

/* The hop limit goes down by `hops`, and the address of one end becomes that of s->to. */
static __always_inline int pol_edge_l3(struct xdp_md *ctx, const struct pol_edge *p,
				       const struct pol_svc *s, __u64 diff, __u32 hops, const int reply)
{
	if (p->v6) {
		struct ipv6hdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));
		struct pol_addr *end;

		if (!ip)
			return -1;
		ip->hop_limit -= hops;
		end = (struct pol_addr *)(reply ? &ip->saddr : &ip->daddr);
		*end = s->to; /* two stores; of an in6_addr four */
	} else {
		struct iphdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));

		if (!ip)
			return -1;
		ip->ttl -= hops;
		if (reply)
			ip->saddr = s->to.w_be[3];
		else
			ip->daddr = s->to.w_be[3];
		ip->check = pol_svc_check(ip->check, diff + (__u16)~bpf_htons(hops << 8));
	}
	return 0;
}

/* Port and checksum of the transport header. */
static __always_inline int pol_edge_ports(struct xdp_md *ctx, const struct pol_edge *p,
					  const struct pol_svc *s, __u64 diff, int half, const int reply)
{
	__u32 at = p->proto == IPPROTO_TCP ? 16 : 6, udp = p->proto == IPPROTO_UDP;
	__be16 *l4 = pol_edge_at(ctx, p->l4_off, 18);
	__be16 *udp4 = pol_edge_at(ctx, p->l4_off, 8), *check, *port;

	if (!udp4 || (!udp && !l4))
		return -1;
	port = reply ? udp4 : udp4 + 1;
	check = udp ? udp4 + 3 : l4 + at / 2;
	if (!udp || *check) {
		if (half) {
			*check = pol_fold(*check + diff);
		} else {
			*check = pol_svc_check(*check, diff + pol_svc_diff_port(*port, s->to_port_be));
			/* 0 would say that there is none (RFC 768) */
			if (udp && !*check)
				*check = 0xffff;
		}
	}
	*port = s->to_port_be;
	return 0;
}

static __always_inline int pol_edge_translate(struct xdp_md *ctx, const struct pol_edge *p,
					      const struct pol_svc *s, __u32 hops, int half, const int reply)
{
	__u64 diff = pol_svc_diff_addr(reply ? &p->src : &p->dst, &s->to, p->v6);

	return pol_edge_ports(ctx, p, s, diff, half, reply) ||
	       pol_edge_l3(ctx, p, s, diff, hops, reply);
}

/* ---- encapsulation ----------------------------------------------------------------------- */

/*
 * RFC 2003, 3.1: the hop limit of what goes inside goes down, as on any hop.  Returns its class of
 * traffic, for the header outside, or -1.
 */
static __always_inline int pol_edge_inside(struct xdp_md *ctx, const struct pol_edge *p)
{
	if (p->v6) {
		struct ipv6hdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));

		if (!ip)
			return -1;
		ip->hop_limit--;
		return bpf_ntohl(*(__be32 *)ip) >> 20 & 0xff;
	} else {
		struct iphdr *ip = pol_edge_at(ctx, p->l3_off, sizeof(*ip));

		if (!ip)
			return -1;
		ip->ttl--;
		ip->check = pol_svc_check(ip->check, (__u16)~bpf_htons(0x0100));
		return ip->tos;
	}
}

/* The packet becomes what a packet to s->to carries. */
static __always_inline int pol_edge_wrap(struct xdp_md *ctx, const struct pol_edge *p,
					 const struct pol_svc *s, const struct pol_hop *h)
{
	int outer6 = pol_is_v6(&s->to), grow, tos;
	__u8 proto = p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	struct pol_addr from;
	__be16 *eth;
	void *ip;

	/* this host has no address to send from: the stack says so */
	if (pol_svc_from(s, outer6, &from))
		return XDP_PASS;
	tos = pol_edge_inside(ctx, p);
	if (tos < 0)
		return XDP_PASS;
	grow = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	if (bpf_xdp_adjust_head(ctx, -grow))
		return XDP_ABORTED;
	eth = pol_edge_at(ctx, 0, sizeof(struct ethhdr));
	ip = pol_edge_at(ctx, sizeof(struct ethhdr), sizeof(struct ipv6hdr));
	if (!eth || !ip)
		return XDP_ABORTED;
	eth[6] = outer6 ? POL_ETH_V6 : POL_ETH_V4;
	if (outer6)
		pol_outer_v6(ip, &from, &s->to, p->l3_len, tos, proto, pol_svc_spread(s));
	else
		pol_outer_v4(ip, &from, &s->to, p->l3_len, tos, proto);
	return pol_hop_send(ctx, h);
}

/* ---- to a VIP ------------------------------------------------------------------------------- */

/* May it go out from here?  Tags would have to be those of the way out. */
static __always_inline int pol_edge_leaves(const struct pol_edge *p, const struct pol_svc *s, __u32 what, int half)
{
	return what & POL_IF_DIRECT && !half && p->l3_off == sizeof(struct ethhdr) &&
	       !(s->flags & POL_SVC_LOCAL);
}

/* Bytes of the header that is put before a packet in a tunnel. */
static __always_inline __u32 pol_edge_outer(const struct pol_svc *s)
{
	return pol_is_v6(&s->to) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* Longer than the way out takes, with what is put before it. */
static __always_inline int pol_edge_too_big(const struct pol_edge *p, const struct pol_svc *s,
					    const struct pol_hop *h)
{
	return p->l3_len + (s->flags & POL_SVC_TUNNEL ? pol_edge_outer(s) : 0) > h->mtu;
}

/* By the connection's flags; h: the way out, or NULL: the stack's, or to an endpoint here. */
static __always_inline int pol_edge_go(struct xdp_md *ctx, struct pol_edge *p, const struct pol_svc *s,
				       const struct pol_hop *h, int half)
{
	if (s->flags & POL_SVC_TUNNEL)
		return h ? pol_edge_wrap(ctx, p, s, h) : XDP_PASS;
	if (pol_edge_translate(ctx, p, s, h ? 1 : 0, half, 0))
		return XDP_ABORTED;
	return h ? pol_hop_send(ctx, h) : XDP_PASS;
}

static __always_inline int pol_edge_serve(struct xdp_md *ctx, struct pol_edge *p, const struct pol_svc *s,
					  __u32 what)
{
	int half = pol_edge_half(ctx, p, what);
	struct pol_hop *h = pol_edge_leaves(p, s, what, half) ? pol_hop(ctx, &s->to, s->now) : NULL;

	if (pol_unlikely(h && pol_edge_too_big(p, s, h))) {
		if (s->flags & POL_SVC_TUNNEL) {
			pol_edge_drop(p, POL_REASON_SVC_TOO_BIG);
			return pol_edge_icmp(ctx, p, p->v6 ? 2 << 8 : 3 << 8 | 4, h->mtu - pol_edge_outer(s));
		}
		h = NULL; /* the stack says so */
	}
	return pol_edge_go(ctx, p, s, h, half);
}

static __always_inline void pol_svc_of(struct pol_svc *s, const struct pol_edge *p, int reply)
{
	__builtin_memset(s, 0, sizeof(*s));
	s->client = reply ? p->dst : p->src;
	s->other = reply ? p->src : p->dst;
	s->cport_be = bpf_htons(reply ? p->dport : p->sport);
	s->oport_be = bpf_htons(reply ? p->sport : p->dport);
	s->proto = p->proto;
	s->tcp_flags = p->tcp_flags;
	s->reply = reply;
	s->now = pol_seconds();
}

static __always_inline void pol_svc_to_vip(struct pol_svc *s, const struct pol_edge *p, __u32 service)
{
	pol_svc_of(s, p, 0);
	s->service = service;
	if (pol_likely(!p->given))
		return;
	s->to = p->chosen;
	s->to_port_be = s->oport_be;
	s->flags = p->given;
	s->fixed = 1;
}

/*
 * What most packets to a VIP are, see pol_svc_live().  POL_SVC_NOT: pol_edge_client()'s, as is what
 * the kernel has to be asked or told about: so no call is below this one.
 */
__noinline int pol_edge_live(struct xdp_md *ctx, struct pol_edge *p, __u32 service, __u32 what)
{
	struct pol_hop *h = NULL;
	struct pol_svc s;
	int half;

	if (!p || p->ttl <= 1)
		return POL_SVC_NOT;
	pol_svc_to_vip(&s, p, service);
	if (pol_unlikely(!pol_svc_live(&s)))
		return POL_SVC_NOT;
	half = pol_edge_half(ctx, p, what);
	if (pol_edge_leaves(p, &s, what, half)) {
		h = pol_hop_place(&s.to);
		if (!h || pol_unlikely(!pol_hop_known(h, &s.to, s.now)))
			return POL_SVC_NOT;
		if (!h->ifindex)
			h = NULL;
		else if (pol_unlikely(pol_edge_too_big(p, &s, h)))
			return POL_SVC_NOT;
	}
	pol_svc_count(&s, p->len, 0);
	return pol_edge_go(ctx, p, &s, h, half);
}

__noinline int pol_edge_client(struct xdp_md *ctx, struct pol_edge *p, __u32 service, __u32 what)
{
	struct pol_svc s;
	int reason = 0;

	if (!p || p->ttl <= 1)
		return XDP_PASS;
	pol_svc_to_vip(&s, p, service);
	if (!pol_svc_find(&s))
		reason = pol_svc_new(&s);
	pol_svc_count(&s, p->len, reason);
	if (reason == POL_REASON_SVC_DOWN)
		return what & POL_IF_DIRECT ? pol_edge_refuse(ctx, p) : XDP_PASS;
	if (reason)
		return pol_edge_drop(p, reason);
	return pol_edge_serve(ctx, p, &s, what);
}

/* ---- ICMP errors about what a VIP sent --------------------------------------------------------- */

/* The connection of the packet that an error quotes, sent by the VIP to the client: *at, its ports. */
static __always_inline int pol_edge_quoted(struct xdp_md *ctx, const struct pol_edge *p, struct pol_svc *s,
					   __u32 *at)
{
	__be16 port[4];

	if (p->v6) {
		struct ipv6hdr ip;

		if (bpf_xdp_load_bytes(ctx, p->l4_off + 8, &ip, sizeof(ip)) || ip.version != 6)
			return -1;
		__builtin_memcpy(&s->other, &ip.saddr, 16);
		__builtin_memcpy(&s->client, &ip.daddr, 16);
		s->proto = ip.nexthdr;
		*at = p->l4_off + 8 + sizeof(ip);
	} else {
		struct iphdr ip;

		if (bpf_xdp_load_bytes(ctx, p->l4_off + 8, &ip, sizeof(ip)) || ip.version != 4 ||
		    ip.ihl != 5 || ip.frag_off & bpf_htons(0x1fff))
			return -1;
		pol_from_v4(&s->other, ip.saddr);
		pol_from_v4(&s->client, ip.daddr);
		s->proto = ip.protocol;
		*at = p->l4_off + 8 + sizeof(ip);
	}
	if ((s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP) || !pol_same_addr(&s->other, &p->dst) ||
	    bpf_xdp_load_bytes(ctx, *at, port, sizeof(port)))
		return -1;
	s->oport_be = port[0];
	s->cport_be = port[1];
	return 0;
}

/* To the backend, as if it had been about its own packet. */
__noinline int pol_edge_requote(struct xdp_md *ctx, struct pol_edge *p, struct pol_svc *s, __u32 at)
{
	__u32 in, out;
	__u64 diff;
	__u16 check;

	if (!p || !s || bpf_xdp_load_bytes(ctx, p->l4_off + 2, &check, sizeof(check)))
		return -1;
	diff = pol_svc_diff_addr(&p->dst, &s->to, p->v6);
	/*
	 * IPv4: the quoted header's own checksum takes up the address, so the message's sum stays.
	 * IPv6: the address is in the pseudo header, and quoted.
	 */
	check = pol_svc_check(check, pol_svc_diff_port(s->oport_be, s->to_port_be) + (p->v6 ? 2 * diff : 0));
	if (bpf_xdp_store_bytes(ctx, p->l4_off + 2, &check, sizeof(check)) ||
	    bpf_xdp_store_bytes(ctx, at, &s->to_port_be, sizeof(s->to_port_be)))
		return -1;
	in = p->l4_off + 8, out = p->l3_off;
	if (p->v6)
		return bpf_xdp_store_bytes(ctx, in + 8, &s->to, 16) || bpf_xdp_store_bytes(ctx, out + 24, &s->to, 16);
	if (bpf_xdp_load_bytes(ctx, in + 10, &check, sizeof(check)))
		return -1;
	check = pol_svc_check(check, diff);
	if (bpf_xdp_store_bytes(ctx, in + 10, &check, sizeof(check)) ||
	    bpf_xdp_load_bytes(ctx, out + 10, &check, sizeof(check)))
		return -1;
	check = pol_svc_check(check, diff);
	return bpf_xdp_store_bytes(ctx, out + 10, &check, sizeof(check)) ||
	       bpf_xdp_store_bytes(ctx, in + 12, &s->to.w_be[3], 4) ||
	       bpf_xdp_store_bytes(ctx, out + 16, &s->to.w_be[3], 4);
}

/*
 * Of a connection that is known, or that a tunnel's end would have; a tunnel carries the message
 * as it is.  Passed on translated: it is rare, and the stack knows the way.
 */
__noinline int pol_edge_error(struct xdp_md *ctx, struct pol_edge *p, __u32 what)
{
	const struct pol_vip_slot *v;
	struct pol_svc s = {};
	struct pol_hop *h;
	__u32 at = 0;

	if (!p)
		return XDP_DROP;
	s.now = pol_seconds();
	if (p->ttl <= 1)
		return XDP_PASS;
	if (pol_edge_quoted(ctx, p, &s, &at))
		return pol_edge_drop(p, POL_REASON_ICMP_RELATED);
	v = pol_vip(&s.other, s.oport_be, s.proto);
	if (!v)
		return XDP_PASS; /* the VIP's address has other uses too */
	s.service = v->service;
	s.tcp_flags = POL_TCP_ACK;
	s.reply = 0;
	/* finding it must not keep it alive: errors are easily forged */
	s.hash = pol_svc_hash(&s);
	s.slot = pol_svc_in(&s, 0) ?: pol_svc_in(&s, 1);
	if (s.slot) {
		__u32 way;
		struct pol_svc_bucket *b = pol_svc_slot(s.slot, &way);

		if (!b)
			return pol_edge_drop(p, POL_REASON_ICMP_RELATED);
		s.to = b->entry[way].backend;
		s.to_port_be = b->entry[way].bport_be;
		s.flags = b->entry[way].flags;
	} else if (p->given || pol_svc_pick(&s) || !(s.flags & POL_SVC_TUNNEL)) {
		return pol_edge_drop(p, POL_REASON_ICMP_RELATED);
	}
	if (s.flags & POL_SVC_TUNNEL) {
		h = pol_edge_leaves(p, &s, what, 0) ? pol_hop(ctx, &s.to, s.now) : NULL;
		/* an error is not answered by another, and none is that long (RFC 1812, 4.3.2) */
		return h && pol_edge_too_big(p, &s, h) ? pol_edge_drop(p, POL_REASON_SVC_TOO_BIG)
						       : pol_edge_go(ctx, p, &s, h, 0);
	}
	return pol_edge_requote(ctx, p, &s, at) ? XDP_DROP : XDP_PASS;
}

static __always_inline int pol_edge_is_error(const struct pol_edge *p)
{
	if (p->proto == IPPROTO_ICMP)
		return p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12;
	return p->proto == IPPROTO_ICMPV6 && p->icmp_type >= 1 && p->icmp_type <= 4;
}

/* To a VIP's address, but to none of its ports. */
static __always_inline int pol_edge_vip_other(struct xdp_md *ctx, struct pol_edge *p, __u32 what)
{
	if (p->frag)
		return pol_edge_drop(p, POL_REASON_SVC_FRAGMENT);
	if ((p->proto == IPPROTO_ICMP && p->icmp_type == 8) ||
	    (p->proto == IPPROTO_ICMPV6 && p->icmp_type == 128))
		return what & POL_IF_DIRECT ? pol_edge_echo(ctx, p) : XDP_PASS;
	return pol_edge_is_error(p) ? pol_edge_error(ctx, p, what) : XDP_PASS;
}

/* what: POL_IF_* of the uplink. */
__noinline int pol_edge_vip(struct xdp_md *ctx, struct pol_edge *p, __u32 what)
{
	const struct pol_vip_slot *v = NULL;

	if (!p)
		return XDP_DROP;
	if (!p->frag && (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP))
		v = pol_vip(&p->dst, bpf_htons(p->dport), p->proto);
	if (pol_likely(v && !p->reason)) {
		int r = pol_edge_live(ctx, p, v->service, what);

		return pol_likely(r != POL_SVC_NOT) ? r : pol_edge_client(ctx, p, v->service, what);
	}
	if (!v && !pol_vip(&p->dst, 0, 0))
		return POL_SVC_NOT;
	return p->reason ? pol_edge_drop(p, p->reason) : pol_edge_vip_other(ctx, p, what);
}

/* ---- from a backend elsewhere -------------------------------------------------------------------- */

/*
 * Only where the way to the client is known here; else the stack forwards it, and it is
 * translated where it leaves (service_stack.h).
 */
__noinline int pol_edge_reply(struct xdp_md *ctx, struct pol_edge *p, __u32 what)
{
	struct pol_hop *h;
	struct pol_svc s;

	if (!p || p->frag || p->reason || p->ttl <= 1 || p->l3_off != sizeof(struct ethhdr) ||
	    !pol_svc_port(p->sport))
		return POL_SVC_NOT;
	pol_svc_of(&s, p, 1);
	if (!pol_svc_find(&s) || s.flags & (POL_SVC_LOCAL | POL_SVC_TUNNEL | POL_SVC_INSIDE))
		return POL_SVC_NOT;
	h = pol_hop(ctx, &s.client, s.now);
	if (!h || p->l3_len > h->mtu || pol_edge_half(ctx, p, what))
		return POL_SVC_NOT;
	return pol_edge_translate(ctx, p, &s, 1, 0, 1) ? XDP_ABORTED : pol_hop_send(ctx, h);
}

/* ---- from a balancer ----------------------------------------------------------------------------- */

/* The headers of what was inside: nothing of the outer ones may stay. */
__noinline int pol_edge_again(struct xdp_md *ctx, struct pol_edge *p)
{
	if (!p)
		return 0;
	__builtin_memset(p, 0, sizeof(*p));
	p->rule = POL_NO_RULE;
	pol_edge_parse(ctx, p);
	return 0;
}

/* Takes the outer header off. */
static __always_inline int pol_edge_unwrap(struct xdp_md *ctx, struct pol_edge *p)
{
	__be16 type = p->proto == IPPROTO_IPV6 ? POL_ETH_V6 : POL_ETH_V4;
	__u32 shrink = p->l4_off - p->l3_off;
	__u8 *eth = pol_edge_at(ctx, 0, 12), mac[12];

	if (!eth || shrink > 255 || p->l3_off != sizeof(struct ethhdr))
		return -1;
	__builtin_memcpy(mac, eth, 12);
	if (bpf_xdp_adjust_head(ctx, shrink))
		return -1;
	eth = pol_edge_at(ctx, 0, 14);
	if (!eth)
		return -1;
	__builtin_memcpy(eth, mac, 12);
	__builtin_memcpy(eth + 12, &type, 2);
	pol_edge_again(ctx, p);
	return 0;
}

/*
 * The host serves the VIP itself: nothing is translated.  The entry says that it was given this
 * connection, so that the TC hook, with the same policy, gives it to nobody else.  0, or a reason.
 */
__noinline int pol_edge_host(struct pol_edge *p)
{
	const struct pol_vip_slot *v;
	struct pol_svc s;

	if (!p)
		return POL_REASON_INTERNAL;
	if (p->reason || !pol_vip(&p->dst, 0, 0))
		return p->reason ?: POL_REASON_SVC_TUNNEL;
	v = p->frag ? NULL : pol_vip(&p->dst, bpf_htons(p->dport), p->proto);
	if (!v)
		return 0;
	pol_svc_to_vip(&s, p, v->service);
	return pol_svc_find(&s) ? 0 : pol_svc_new(&s);
}

#define POL_EDGE_OPENED (-2)	/* the packet is what was inside, for p->chosen */

/*
 * A balancer of the host file sends what a client sent to a VIP of ours, to an endpoint here or to
 * this host.  Who sent it is not proved: where others can forge that address, the network has
 * to keep them out.  Anything else in a tunnel is for the policy, as protocol 4 or 41.
 * A verdict, POL_SVC_NOT or POL_EDGE_OPENED.
 */
__noinline int pol_edge_unpack(struct xdp_md *ctx, struct pol_edge *p)
{
	struct pol_addr chosen, sender;
	const struct pol_owner *o;
	__u8 outer6;
	int r;

	if (!p)
		return XDP_DROP;
	outer6 = p->v6;
	chosen = p->dst;
	sender = p->src; /* a copy, as pol_owner_of() has it */
	if (!bpf_map_lookup_elem(&svc_balancers, &sender))
		return POL_SVC_NOT;
	o = pol_owner_of(&p->dst);
	if (!pol_is_here(o))
		return POL_SVC_NOT;
	if (p->reason || p->frag)
		return pol_edge_drop(p, p->reason ?: POL_REASON_SVC_FRAGMENT);
	if (pol_edge_unwrap(ctx, p))
		return pol_edge_drop(p, POL_REASON_SVC_TUNNEL);
	p->given = POL_SVC_LOCAL | POL_SVC_UNPACKED | (outer6 ? POL_SVC_OUTER6 : 0);
	p->chosen = chosen;
	if (o->entity == POL_ENTITY_HOST) {
		r = pol_edge_host(p);
		return r ? pol_edge_drop(p, r) : XDP_PASS;
	}
	if (pol_unlikely(p->v6 != outer6)) {
		const struct pol_if *i = pol_if_of(o->ifindex);

		if (!i || pol_is_zero(&i->addr[p->v6 & 1], 1))
			return pol_edge_drop(p, POL_REASON_SVC_TUNNEL);
		p->chosen = i->addr[p->v6 & 1];
	}
	return POL_EDGE_OPENED;
}

/* What to do with the packet, or POL_SVC_NOT. */
static __always_inline int pol_edge_service(struct xdp_md *ctx, struct pol_edge *p, const struct pol_if *uplink)
{
	int r;

	if (!pol_edge_is_ip(p))
		return POL_SVC_NOT;
#if POL_USES_DSR
	if (pol_unlikely(p->proto == IPPROTO_IPIP || p->proto == IPPROTO_IPV6)) {
		r = pol_edge_unpack(ctx, p);
		if (r >= 0)
			return r;
	}
#endif
	r = pol_edge_vip(ctx, p, uplink->flags);
	if (r != POL_SVC_NOT)
		return r;
	if (p->given) /* for none of our VIPs */
		return pol_edge_drop(p, POL_REASON_SVC_TUNNEL);
	return uplink->flags & POL_IF_DIRECT ? pol_edge_reply(ctx, p, uplink->flags) : POL_SVC_NOT;
}

#endif
