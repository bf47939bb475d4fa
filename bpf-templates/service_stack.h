/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services at the TC hooks: what XDP does not see, or cannot do.
 *
 *   answers of backends	become the VIP's where the stack has done its work: at the egress of an
 *				uplink, and of the device of a client that lives here
 *   clients that live here	what they send to a VIP goes to a backend once their own policy has
 *				allowed the VIP; the backend's is asked as for any other client
 *   encapsulation		of what XDP left, with the stack's neighbours
 *
 * What this host itself sends to a VIP goes where its routes say: it is not balanced here.
 */
#ifndef POL_BPF_SERVICE_STACK_H
#define POL_BPF_SERVICE_STACK_H

#include "event.h"
#include "frag.h"
#include "icmp.h"
#include "reject.h"
#include "service.h"

/* ---- translation ---------------------------------------------------------------------------- */

struct pol_place {		/* of what is translated */
	__u32 l3_off, l4_off;	/* l4_off 0: a later fragment, which has no transport header */
	__u8 v6, proto;
	__u8 src;		/* the source end, else the destination */
	__u8 pad;
	__u16 frag, later;	/* of a fragment; of one that is not the first */
	__u32 id;
};

/* The checksums follow; a sum that the device is still to complete is known to the kernel. */
static __always_inline int pol_stack_l4(struct __sk_buff *skb, const struct pol_place *at,
					const struct pol_addr *old, const struct pol_addr *new, __be16 port_be)
{
	__u32 check = at->l4_off + (at->proto == IPPROTO_TCP ? 16 : 6);
	__u32 port = at->l4_off + (at->src ? 0 : 2);
	__u64 udp = at->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__be16 was;
	int err;

	if (!at->l4_off)
		return 0;
	if (bpf_skb_load_bytes(skb, port, &was, sizeof(was)))
		return -1;
	if (at->v6) {
		__s64 diff = bpf_csum_diff((__be32 *)old, 16, (__be32 *)new, 16, 0);

		err = bpf_l4_csum_replace(skb, check, 0, diff, BPF_F_PSEUDO_HDR | udp);
	} else {
		err = bpf_l4_csum_replace(skb, check, old->w_be[3], new->w_be[3],
					  BPF_F_PSEUDO_HDR | udp | 4);
	}
	return err || bpf_l4_csum_replace(skb, check, was, port_be, udp | 2) ||
	       bpf_skb_store_bytes(skb, port, &port_be, sizeof(port_be), 0);
}

__noinline int pol_stack_translate(struct __sk_buff *skb, const struct pol_place *at,
				   const struct pol_addr *old, const struct pol_addr *new, __u32 port_be)
{
	if (!at || !old || !new || pol_stack_l4(skb, at, old, new, port_be))
		return -1;
	if (at->v6)
		return bpf_skb_store_bytes(skb, at->l3_off + (at->src ? 8 : 24), new, 16, 0);
	return bpf_l3_csum_replace(skb, at->l3_off + 10, old->w_be[3], new->w_be[3], 4) ||
	       bpf_skb_store_bytes(skb, at->l3_off + (at->src ? 12 : 16), &new->w_be[3], 4, 0);
}

/* ---- segments that have to fit a tunnel -------------------------------------------------------- */

/*
 * A client's segments will be carried to us with an outer header: the backend's SYN-ACK must not
 * ask for larger ones than then fit.
 */
__noinline int pol_stack_clamp(struct __sk_buff *skb, __u32 l4_off, __u32 headers)
{
	__u32 mtu = 0, at = l4_off + sizeof(struct tcphdr), most;
	__u8 opt[4], doff;

	if (bpf_check_mtu(skb, 0, &mtu, 0, 0) < 0 || mtu < 576 ||
	    bpf_skb_load_bytes(skb, l4_off + 12, &doff, 1))
		return 0;
	most = mtu - headers;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 10; i++) {
		__be16 mss;

		if (at + 4 > l4_off + (doff >> 4) * 4 || bpf_skb_load_bytes(skb, at, opt, 4) || opt[0] == 0)
			return 0;
		if (opt[0] == 1) {
			at++;
			continue;
		}
		if (opt[0] != 2) {
			at += opt[1] < 2 ? 40 : opt[1];
			continue;
		}
		__builtin_memcpy(&mss, opt + 2, 2);
		if (bpf_ntohs(mss) <= most)
			return 0;
		opt[2] = most >> 8, opt[3] = most;
		/* the option may stand at an odd place: its bytes then count the other way round */
		{
			__be16 now;

			__builtin_memcpy(&now, opt + 2, 2);
			if (at & 1) {
				mss = __builtin_bswap16(mss);
				now = __builtin_bswap16(now);
			}
			bpf_l4_csum_replace(skb, l4_off + 16, mss, now, 2);
		}
		bpf_skb_store_bytes(skb, at + 2, opt + 2, 2, 0);
		return 0;
	}
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* Addresses of what leaves; -1: nothing that a backend could answer. */
__noinline int pol_stack_parse(struct __sk_buff *skb, struct pol_svc *s, struct pol_place *at)
{
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
		__u8 b[14];
	} buf;

	if (!s || !at)
		return -1;
	at->l3_off = sizeof(struct ethhdr);
	at->src = 1;
	if (skb->protocol == POL_ETH_V4) {
		struct iphdr *ip = pol_header(skb, at->l3_off, sizeof(*ip), &buf);

		if (!ip || ip->version != 4)
			return -1;
		pol_from_v4(&s->client, ip->daddr);
		pol_from_v4(&s->other, ip->saddr);
		at->proto = ip->protocol;
		at->l4_off = at->l3_off + ip->ihl * 4;
		at->frag = bpf_ntohs(ip->frag_off) & 0x3fff;
		at->later = at->frag & 0x1fff;
		at->id = ip->id;
	} else if (skb->protocol == POL_ETH_V6) {
		struct ipv6hdr *ip = pol_header(skb, at->l3_off, sizeof(*ip), &buf);

		if (!ip || ip->version != 6)
			return -1;
		__builtin_memcpy(&s->client, &ip->daddr, 16);
		__builtin_memcpy(&s->other, &ip->saddr, 16);
		at->v6 = 1;
		at->proto = ip->nexthdr;
		at->l4_off = at->l3_off + sizeof(*ip);
		if (at->proto == IPPROTO_FRAGMENT) {
			__u8 *f = pol_header(skb, at->l4_off, 8, &buf);

			if (!f)
				return -1;
			at->proto = f[0];
			at->frag = ((__u32)f[2] << 8 | f[3]) & 0xfff9;
			at->later = at->frag & 0xfff8;
			__builtin_memcpy(&at->id, f + 4, 4);
			at->l4_off += 8;
		}
	} else {
		return -1;
	}
	s->proto = at->proto;
	return 0;
}

/* Ports and flags of a transport header. */
static __always_inline int pol_stack_ports(struct __sk_buff *skb, struct pol_svc *s, __u32 l4_off)
{
	__u8 buf[14], *h;

	if (s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP)
		return -1;
	h = pol_header(skb, l4_off, s->proto == IPPROTO_TCP ? 14 : 8, buf);
	if (!h)
		return -1;
	__builtin_memcpy(&s->oport_be, h, 2);
	__builtin_memcpy(&s->cport_be, h + 2, 2);
	if (s->proto == IPPROTO_TCP)
		s->tcp_flags = h[13];
	return 0;
}

/* The key of fragments of answers, by what they were before. */
static __always_inline void pol_stack_frag_key(struct pol_frag_key *k, const struct pol_svc *s, __u32 id)
{
	k->src = s->other;
	k->dst = s->client;
	k->id_be = id;
	k->proto = s->proto;
	k->whose = POL_FRAG_ANSWER;
}

/* A later fragment has its ports from the first, which was translated on its way out. */
__noinline int pol_stack_frag_later(struct pol_svc *s, __u32 id)
{
	struct pol_frag_key k = {};
	struct pol_frag *f;

	if (!s)
		return -1;
	pol_stack_frag_key(&k, s, id);
	f = bpf_map_lookup_elem(&frags, &k);
	if (!f || s->now > f->seen_ns / 1000000000ull + POL_FRAG_TTL)
		return -1;
	s->oport_be = f->sport_be;
	s->cport_be = f->dport_be;
	return 0;
}

__noinline int pol_stack_frag_first(struct pol_svc *s, __u32 id)
{
	struct pol_frag_key k = {};
	struct pol_frag f = {};

	if (!s)
		return 0;
	f.seen_ns = s->now * 1000000000ull;
	pol_stack_frag_key(&k, s, id);
	f.sport_be = s->oport_be;
	f.dport_be = s->cport_be;
	return bpf_map_update_elem(&frags, &k, &f, BPF_ANY);
}

/*
 * Where the ports stand that an error quotes, if it is by or from behind a backend and about what its
 * client sent, else 0; s becomes the quoted connection's.
 */
#define POL_STACK_OWN (1u << 31) /* and the backend itself says it, not a router on the way */
__noinline __u32 pol_stack_error_of(struct __sk_buff *skb, struct pol_svc *s, const struct pol_place *at)
{
	struct pol_quote q = {};
	__be16 port[2];
	__u32 own;
	__u8 type;

	if (!s || !at || bpf_skb_load_bytes(skb, at->l4_off, &type, 1))
		return 0;
	if (at->v6 ? type < 1 || type > 4 : type != 3 && type != 11 && type != 12)
		return 0;
	q.off = at->l4_off + 8;
	if (at->v6 ? pol_quote_v6(skb, &q) : pol_quote_v4(skb, &q))
		return 0;
	if ((q.proto != IPPROTO_TCP && q.proto != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, q.off, port, sizeof(port)) || !pol_svc_port(bpf_ntohs(port[1])))
		return 0;
	/* quoted: from the client to the backend */
	if (!pol_same_addr(&q.src, &s->client))
		return 0;
	own = pol_same_addr(&s->other, &q.dst) ? POL_STACK_OWN : 0;
	s->other = q.dst;
	s->proto = q.proto;
	s->cport_be = port[0];
	s->oport_be = port[1];
	return q.off | own;
}

/* The VIP that the quoted connection is of, into s->to. */
static __always_inline int pol_stack_error_vip(struct pol_svc *s)
{
	struct pol_svc_bucket *b;
	__u32 way;

	s->hash = pol_svc_hash(s);
	s->slot = pol_svc_in(s, 0) ?: pol_svc_in(s, 1);
	b = s->slot ? pol_svc_slot(s->slot, &way) : NULL;
	if (!b)
		return -1;
	s->to = b->entry[way].vip;
	s->to_port_be = b->entry[way].vport_be;
	return 0;
}

/* The client knows only the VIP: 1: the error speaks of that now; 0, -1: as pol_stack_answer() */
__noinline int pol_stack_error(struct __sk_buff *skb, struct pol_svc *s, struct pol_place *at)
{
	__u32 quoted = pol_stack_error_of(skb, s, at), off = quoted & ~POL_STACK_OWN;
	__u64 diff;

	if (!s || !at || !off || pol_stack_error_vip(s))
		return 0;
	/* the quoted destination, and its port */
	if (at->v6) {
		diff = bpf_csum_diff((__be32 *)&s->other, 16, (__be32 *)&s->to, 16, 0);
		if (bpf_l4_csum_replace(skb, at->l4_off + 2, 0, diff, 0) ||
		    bpf_skb_store_bytes(skb, at->l4_off + 8 + 24, &s->to, 16, 0))
			return -1;
	} else if (bpf_l3_csum_replace(skb, at->l4_off + 8 + 10, s->other.w_be[3], s->to.w_be[3], 4) ||
		   bpf_skb_store_bytes(skb, at->l4_off + 8 + 16, &s->to.w_be[3], 4, 0)) {
		return -1;
	}
	if (bpf_l4_csum_replace(skb, at->l4_off + 2, s->oport_be, s->to_port_be, 2) ||
	    bpf_skb_store_bytes(skb, off + 2, &s->to_port_be, 2, 0))
		return -1;
	if (!(quoted & POL_STACK_OWN))
		return 1; /* a router on the way says it in its own name */
	/* diff is that of the source too, which is the same address */
	if (at->v6 && bpf_l4_csum_replace(skb, at->l4_off + 2, 0, diff, BPF_F_PSEUDO_HDR))
		return -1;
	at->l4_off = 0; /* an address without a port */
	return pol_stack_translate(skb, at, &s->other, &s->to, 0) ? -1 : 1;
}

/*
 * The packet is an answer of a backend: it becomes the VIP's.  1: it was translated; 0: it is no
 * answer; -1: that failed half way, drop it.
 */
__noinline int pol_stack_answer(struct __sk_buff *skb, __u32 inside)
{
	struct pol_place at = {};
	struct pol_svc s = {};

	if (pol_stack_parse(skb, &s, &at))
		return 0;
	s.reply = 1;
	s.now = pol_seconds();
	if (pol_unlikely(at.proto == IPPROTO_ICMP || at.proto == IPPROTO_ICMPV6))
		return at.frag ? 0 : pol_stack_error(skb, &s, &at);
	if (pol_unlikely(at.later)) {
		if (pol_stack_frag_later(&s, at.id))
			return 0;
		at.l4_off = 0;
	} else if (pol_stack_ports(skb, &s, at.l4_off) || !pol_svc_port(bpf_ntohs(s.oport_be))) {
		return 0;
	}
	if (!pol_svc_find(&s) || s.flags & POL_SVC_TUNNEL || !(s.flags & POL_SVC_INSIDE) != !inside)
		return 0;
	if (pol_unlikely(at.frag && at.l4_off))
		pol_stack_frag_first(&s, at.id);
	if (pol_unlikely(s.flags & POL_SVC_UNPACKED && at.l4_off && at.proto == IPPROTO_TCP &&
			 s.tcp_flags & POL_TCP_SYN))
		pol_stack_clamp(skb, at.l4_off,
				(at.v6 ? 60 : 40) + (s.flags & POL_SVC_OUTER6 ? 40 : 20));
	return pol_stack_translate(skb, &at, &s.other, &s.to, s.to_port_be) ? -1 : 1;
}

/* ---- encapsulation ---------------------------------------------------------------------------------- */

static __always_inline int pol_stack_hop_down(struct __sk_buff *skb, const struct pol_pkt *p)
{
	__u8 ttl = p->ttl - 1;
	__be16 word[2];
	__u32 sum;

	if (p->v6)
		return bpf_skb_store_bytes(skb, p->l3_off + 7, &ttl, 1, 0);
	if (bpf_skb_load_bytes(skb, p->l3_off + 8, word, sizeof(word)))
		return -1;
	word[0] -= bpf_htons(0x0100);
	sum = (__u32)word[1] + bpf_htons(0x0100);
	word[1] = sum + (sum >= 0xffff);
	return bpf_skb_store_bytes(skb, p->l3_off + 8, word, sizeof(word), 0);
}

/* The device by which the stack would send to s->to; 0: none. */
__noinline __u32 pol_stack_way(struct __sk_buff *skb, struct pol_svc *s)
{
	struct bpf_fib_lookup f = {};
	int r;

	if (!s)
		return 0;
	f.ifindex = skb->ifindex;
	f.family = pol_is_v6(&s->to) ? 10 : 2;
	if (f.family == 10)
		__builtin_memcpy(f.ipv6_dst, &s->to, sizeof(f.ipv6_dst));
	else
		f.ipv4_dst = s->to.w_be[3];
	r = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	return r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH ? f.ifindex : 0;
}

__noinline int pol_stack_outer(struct __sk_buff *skb, struct pol_pkt *p, struct pol_svc *s)
{
	struct pol_addr from;
	__u8 proto, h[2];
	__be16 type;

	if (!p || !s || bpf_skb_load_bytes(skb, p->l3_off, h, sizeof(h)))
		return -1;
	proto = p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	if (pol_is_v6(&s->to)) {
		struct pol_outer_v6 ip;

		type = POL_ETH_V6;
		if (pol_svc_from(s, 1, &from) || bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
			return -1;
		pol_outer_v6(&ip, &from, &s->to, p->l3_len, p->v6 ? h[0] << 4 | h[1] >> 4 : h[1], proto,
			     pol_svc_spread(s));
		if (bpf_skb_store_bytes(skb, p->l3_off, &ip, sizeof(ip), 0))
			return -1;
	} else {
		struct iphdr ip;

		type = POL_ETH_V4;
		if (pol_svc_from(s, 0, &from) || bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
			return -1;
		pol_outer_v4(&ip, &from, &s->to, p->l3_len, p->v6 ? h[0] << 4 | h[1] >> 4 : h[1], proto);
		if (bpf_skb_store_bytes(skb, p->l3_off, &ip, sizeof(ip), 0))
			return -1;
	}
	return bpf_skb_store_bytes(skb, p->l3_off - 2, &type, sizeof(type), 0);
}

/* Out again, encapsulated to s->to: POL_STACK_SENT, or a reason. */
#define POL_STACK_SENT (-1)
__noinline int pol_stack_wrap(struct __sk_buff *skb, struct pol_pkt *p, struct pol_svc *s)
{
	__u32 out, mtu = 0;
	int more;

	if (!p || !s)
		return POL_REASON_INTERNAL;
	out = pol_stack_way(skb, s);
	more = pol_is_v6(&s->to) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	if (!out || p->l3_off != sizeof(struct ethhdr))
		return POL_REASON_SVC_TUNNEL;
	if (bpf_check_mtu(skb, out, &mtu, more, BPF_MTU_CHK_SEGS) > 0 ||
	    (!skb->gso_size && bpf_check_mtu(skb, out, &mtu, more, 0) > 0)) {
		p->mtu = mtu - more;
		return POL_REASON_SVC_TOO_BIG;
	}
	if (pol_stack_hop_down(skb, p) || pol_stack_outer(skb, p, s))
		return POL_REASON_INTERNAL;
	return bpf_redirect_neigh(out, NULL, 0, 0) == TC_ACT_REDIRECT ? POL_STACK_SENT : POL_REASON_INTERNAL;
}

static __always_inline void pol_stack_of(struct pol_svc *s, const struct pol_pkt *p, int reply)
{
	s->client = reply ? p->dst : p->src;
	s->other = reply ? p->src : p->dst;
	s->cport_be = reply ? p->dport_be : p->sport_be;
	s->oport_be = reply ? p->sport_be : p->dport_be;
	s->proto = p->proto;
	s->tcp_flags = p->tcp_flags;
	s->reply = reply;
}

static __always_inline int pol_stack_has_ports(const struct pol_pkt *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
}

/* Of an error: the connection that it quotes, if that is a VIP's. */
__noinline int pol_stack_quoted(struct __sk_buff *skb, struct pol_pkt *p, struct pol_svc *s)
{
	struct pol_quote q = {};
	__be16 port[2];

	if (!p || !s || p->msg != POL_MSG_ERROR || !pol_vip(&p->dst, 0, 0))
		return -1;
	q.off = p->l4_off + 8;
	if ((p->v6 ? pol_quote_v6(skb, &q) : pol_quote_v4(skb, &q)) ||
	    bpf_skb_load_bytes(skb, q.off, port, sizeof(port)) || !pol_same_addr(&q.src, &p->dst))
		return -1;
	s->client = q.dst;
	s->other = q.src;
	s->oport_be = port[0];
	s->cport_be = port[1];
	s->proto = q.proto;
	s->tcp_flags = POL_TCP_ACK;
	return 0;
}

/* An echo to a VIP, answered as pol_edge_echo() does. */
__noinline int pol_stack_echo(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u8 type;
	__be16 was, now;

	if (!p)
		return POL_REASON_INTERNAL;
	type = p->v6 ? 129 : 0;
	was = bpf_htons(p->type << 8);
	now = bpf_htons(type << 8);
	/* 0 is made -0 */
	if (bpf_l4_csum_replace(skb, p->l4_off + 2, was, now, BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | 2) ||
	    bpf_skb_store_bytes(skb, p->l4_off, &type, 1, 0) || pol_answer_eth(skb))
		return POL_REASON_INTERNAL;
	/* the two addresses change places: no sum changes */
	if (p->v6) {
		struct pol_addr ends[2] = { p->dst, p->src };

		if (bpf_skb_store_bytes(skb, p->l3_off + 8, ends, sizeof(ends), 0))
			return POL_REASON_INTERNAL;
	} else {
		__be32 ends[2] = { p->dst.w_be[3], p->src.w_be[3] };

		if (bpf_skb_store_bytes(skb, p->l3_off + 12, ends, sizeof(ends), 0))
			return POL_REASON_INTERNAL;
	}
	return bpf_redirect(skb->ifindex, 0) == TC_ACT_REDIRECT ? POL_STACK_SENT : POL_REASON_INTERNAL;
}

/*
 * From an uplink, to a VIP: XDP left it because it has to be encapsulated and only the stack knows
 * the way, or answered by a device that may not send what XDP gives it.  0: it is no such
 * packet; else as pol_stack_wrap().
 */
__noinline int pol_stack_uplink(struct __sk_buff *skb, struct pol_pkt *p)
{
	const struct pol_vip_slot *v;
	struct pol_svc s = {};

	if (!p || p->reason || p->ttl <= 1 || p->frag)
		return 0;
	if ((p->proto == IPPROTO_ICMP && p->type == 8) || (p->proto == IPPROTO_ICMPV6 && p->type == 128))
		return pol_vip(&p->dst, 0, 0) ? pol_stack_echo(skb, p) : 0;
	if (pol_stack_has_ports(p))
		pol_stack_of(&s, p, 0);
	else if (pol_stack_quoted(skb, p, &s))
		return 0;
	v = pol_vip(&s.other, s.oport_be, s.proto);
	if (!v)
		return 0;
	s.service = v->service;
	s.now = pol_seconds();
	if (!pol_svc_find(&s) && pol_svc_pick(&s))
		return pol_stack_has_ports(p) ? POL_REASON_SVC_DOWN : POL_REASON_ICMP_RELATED;
	return s.flags & POL_SVC_TUNNEL ? pol_stack_wrap(skb, p, &s) : 0;
}

/* ---- a client that lives here ------------------------------------------------------------------------ */

/* Is it on its way between a client here and the backend that it was given?  To a VIP nothing goes in parts. */
__noinline int pol_stack_inside(struct pol_pkt *p, int reply)
{
	struct pol_svc_bucket *b;
	struct pol_svc s = {};
	__u32 way;

	if (!p || (p->frag && !reply) || !pol_stack_has_ports(p))
		return 0;
	pol_stack_of(&s, p, reply);
	s.now = pol_seconds();
	if (pol_unlikely(p->frag == POL_FRAG_LATER) && pol_stack_frag_later(&s, p->frag_id))
		return 0;
	if (!pol_svc_port(bpf_ntohs(s.oport_be)))
		return 0;
	s.reply = 1;
	s.hash = pol_svc_hash(&s);
	s.slot = pol_svc_in(&s, 0) ?: pol_svc_in(&s, 1);
	b = s.slot ? pol_svc_slot(s.slot, &way) : NULL;
	return b && b->entry[way].flags & POL_SVC_INSIDE && pol_svc_same(&b->entry[way], &s);
}

/*
 * What came in for an endpoint here: 1: it is of a VIP's connection of its own, or an error about one, which now
 * speaks of the VIP; 0: it is not; -1: that failed half way, drop it.
 */
static __always_inline int pol_stack_for_client(struct __sk_buff *skb, struct pol_pkt *p)
{
	return p->msg == POL_MSG_ERROR ? pol_stack_answer(skb, 1) : pol_stack_inside(p, 1);
}

/* Its policy has allowed the VIP, if that is one.  0: go on; else as pol_stack_wrap(). */
__noinline int pol_stack_client(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_place at = {};
	struct pol_svc s = {};
	const struct pol_vip_slot *v;
	int reason = 0;

	if (!p || !pol_stack_has_ports(p))
		return 0;
	if (p->frag)
		return pol_vip(&p->dst, 0, 0) ? POL_REASON_SVC_FRAGMENT : 0;
	pol_stack_of(&s, p, 0);
	v = pol_vip(&s.other, s.oport_be, s.proto);
	if (!v)
		return 0;
	s.service = v->service;
	s.now = pol_seconds();
	s.flags = POL_SVC_INSIDE;
	if (!pol_svc_find(&s))
		reason = pol_svc_new(&s);
	pol_svc_count(&s, skb->len, reason);
	if (reason)
		return reason;
	if (s.flags & POL_SVC_TUNNEL)
		return pol_stack_wrap(skb, p, &s);
	at.l3_off = p->l3_off;
	at.l4_off = p->l4_off;
	at.v6 = p->v6;
	at.proto = p->proto;
	return pol_stack_translate(skb, &at, &p->dst, &s.to, s.to_port_be) ? POL_REASON_INTERNAL : 0;
}

/* What the functions above return, if it is not 0, to a verdict. */
static __always_inline int pol_stack_end(struct __sk_buff *skb, struct pol_pkt *p, int r)
{
	if (r == POL_STACK_SENT)
		return TC_ACT_REDIRECT;
	pol_shot(skb, p, r);
	if (r == POL_REASON_SVC_DOWN)
		return pol_answer(skb, p);
	if (r == POL_REASON_SVC_TOO_BIG)
		return pol_answer_with(skb, p, p->v6 ? 2 << 8 : 3 << 8 | 4, p->mtu);
	return TC_ACT_SHOT;
}

/* ---- hooks ---------------------------------------------------------------------------------------------- */

/* What leaves by an uplink: only answers of backends are touched. */
static __always_inline int pol_hook_uplink_out(struct __sk_buff *skb)
{
	return pol_stack_answer(skb, 0) < 0 ? TC_ACT_SHOT : TC_ACT_OK;
}

#endif
