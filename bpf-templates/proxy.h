/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows with HTTP rules go through the proxy on this host (polc/proxy.h), which answers as the
 * server and connects onward as the client.  Two entries of the connection table:
 *
 *	POL_CT_PROXY	client:cport -> server:port, opened where the client's packets come in;
 *			all of them are assigned to the proxy's socket, and what answers
 *			must come from this host
 *	POL_CT_ONWARD	client:oport -> server:port, opened by the proxy with a credit that the
 *			redirect wrote, judged once more as the client's; what answers is
 *			assigned to the proxy's socket, or it would be forwarded past it
 *
 * Neither side of the one can be spoken from a place of the other (pol_proxy_place): the client
 * cannot speak into the onward connection, the server not into the client's, and no packet of
 * either reaches an endpoint but from this host's stack.  Marks route and authorise nothing: the
 * sockets are the proxy's because only CAP_NET_RAW or CAP_NET_ADMIN sets SO_MARK, the onward
 * connection is its own because of the credit.
 *
 * bpf_sk_assign() works at TC ingress alone, and is of no use on a port of a bridge, which takes the
 * frame before the stack.  What is met first at the receiver's device (from this host itself, from
 * a port that is nobody's, translated on its way: POL_CT_LATE) and what comes by a bridge's port is sent
 * out by lo, marked, and assigned where it comes in there (pol_by_lo, pol_lo_in).  Past the
 * receiver's device it keeps its place in the kernel's connection tracking on that way, so what
 * the proxy answers is translated back; a way that ends in an ingress hook at once would lose it.
 */
#ifndef POL_BPF_PROXY_H
#define POL_BPF_PROXY_H

#include "ct.h"
#include "timewait.h"
#include "transport.h"

#if POL_USES_HTTP

#define POL_TCP_ESTABLISHED 1	/* BPF_TCP_ESTABLISHED, _TIME_WAIT, _LISTEN (linux/bpf.h) */
#define POL_TCP_TIME_WAIT 6
#define POL_TCP_LISTEN 10

/* The sockets of the flow's two ends, as the packet names them. */
static __always_inline __u32 pol_tuple(struct bpf_sock_tuple *t, const struct pol_pkt *p)
{
	if (!p->v6) {
		t->ipv4.saddr = p->src.w_be[3];
		t->ipv4.daddr = p->dst.w_be[3];
		t->ipv4.sport = p->sport_be;
		t->ipv4.dport = p->dport_be;
		return sizeof(t->ipv4);
	}
	__builtin_memcpy(t->ipv6.saddr, &p->src, sizeof(p->src));
	__builtin_memcpy(t->ipv6.daddr, &p->dst, sizeof(p->dst));
	t->ipv6.sport = p->sport_be;
	t->ipv6.dport = p->dport_be;
	return sizeof(t->ipv6);
}

/* Is a packet of such a flow, in that direction, for a socket of the proxy?  Else the proxy sent it. */
static __always_inline int pol_proxy_takes(__u8 type, int reply)
{
	return type == POL_CT_PROXY ? !reply : reply;
}

static __always_inline int pol_proxys(const struct bpf_sock *full)
{
	return (full->mark & POL_MARK_MASK) == POL_MARK_ONWARD;
}

/*
 * Assigns the packet to the proxy's socket of its connection, at an ingress hook.  3: one in TIME_WAIT,
 * which will ask for a listener (timewait.h); 2: one that is established; 1: one that begins or
 * ends; 0: there is none; -1: the kernel refuses.  A full socket without our mark is somebody's who bound
 * a foreign address (IPV6_FREEBIND needs no privilege).
 */
#define POL_STEERED_LIVE 2
#define POL_STEERED_AGAIN 3
__noinline int pol_steer_connection(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk, *full;
	int ret = 0;
	__u32 len;

	if (!p)
		return -1;
	len = pol_tuple(&t, p);
	sk = bpf_skc_lookup_tcp(skb, &t, len, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	full = bpf_sk_fullsock(sk);
	if (full ? full->state != POL_TCP_LISTEN && pol_proxys(full) : 1)
		ret = p->hook != POL_HOOK_EP_IN && bpf_sk_assign(skb, sk, 0) ? -1
		      : full && full->state == POL_TCP_ESTABLISHED	     ? POL_STEERED_LIVE
		      : sk->state == POL_TCP_TIME_WAIT && p->tcp_flags & POL_TCP_SYN ?
									       POL_STEERED_AGAIN :
									       1;
	bpf_sk_release(sk);
	return ret;
}

/*
 * Assigns it to the listener, or with `again` lets the socket that it is assigned to find that.  1,
 * 0: there is none; -1: the kernel refuses.
 */
__noinline int pol_steer_listener(struct __sk_buff *skb, struct pol_pkt *p, __u32 again)
{
	__u32 zero = 0, len, worker;
	struct pol_proxy_self *self = bpf_map_lookup_elem(&proxy_self, &zero);
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__be16 dport;
	int ret = 0;

	if (!p)
		return -1;
	if (!self || !self->workers)
		return 0;
	len = pol_tuple(&t, p);
	worker = (__u32)p->key.hash % self->workers;
	dport = bpf_htons(self->port + worker);
	if (p->v6) {
		__builtin_memset(t.ipv6.daddr, 0, sizeof(t.ipv6.daddr));
		t.ipv6.daddr[3] = bpf_htonl(1);
		t.ipv6.dport = dport;
	} else {
		t.ipv4.daddr = bpf_htonl(0x7f000001);
		t.ipv4.dport = dport;
	}
	sk = bpf_sk_lookup_tcp(skb, &t, len, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	if (sk->state == POL_TCP_LISTEN && pol_proxys(sk)) {
		if (again)
			ret = pol_again_leave(p, POL_AGAIN_LISTENER(worker, p->v6));
		else
			ret = bpf_sk_assign(skb, sk, 0) ? -1 : 1;
	}
	bpf_sk_release(sk);
	return ret;
}

/*
 * 0, or a reason.  Without a socket of its own a packet of the client goes to the listener: a
 * SYN opens, an ACK may answer a SYN cookie, all else is reset by the stack.
 */
__noinline int pol_steer(struct __sk_buff *skb, struct pol_pkt *p)
{
	int ret;

	if (!p)
		return POL_REASON_INTERNAL;
	ret = pol_steer_connection(skb, p);
	if (!ret || ret == POL_STEERED_AGAIN)
		ret = p->proxy == POL_CT_PROXY ? pol_steer_listener(skb, p, ret) : 0;
	return ret > 0 ? 0 : POL_REASON_NO_PROXY;
}

/* Is this a place where such a packet can be?  If so, and it is for the proxy, sets POL_TELL_HAND. */
static __always_inline int pol_proxy_place(struct pol_pkt *p, const struct pol_ct_entry *e,
					   int reply)
{
	int late = !!(e->icmp_type & POL_CT_LATE), by_host;

	if (p->frag)
		return 0;
	if (!pol_proxy_takes(p->proxy, reply))
		return p->hook == POL_HOOK_EP_IN && p->from_host;
	if (late != (p->hook == POL_HOOK_EP_IN))
		return 0;
	by_host = p->proxy == POL_CT_PROXY && e->flags & POL_CT_HOST;
	if (late && by_host != p->from_host)
		return 0;
	p->tell |= POL_TELL_HAND;
	return 1;
}

/*
 * A SYN comes from where the flow's packets cannot: is it another's, with the same addresses and
 * ports?  Then it is judged anew, if the connection of that name is over.
 *
 *	POL_CT_PROXY	At the receiver's device.  Masquerading gives a container this host's
 *			address, and a port that is free to the kernel's connection tracking,
 *			which forgets sooner than we do and knows nothing of what came before
 *			its rules.  Over is what the proxy has no live socket of, or what
 *			another began would be told to be his.
 *	POL_CT_ONWARD	The client itself takes the port that the proxy took for it.
 */
static __always_inline int pol_proxy_anew(struct __sk_buff *skb, struct pol_pkt *p,
					  const struct pol_ct_entry *e, int reply)
{
	int socket;

	if (p->frag || reply ||
	    (p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK | POL_TCP_RST | POL_TCP_FIN)) != POL_TCP_SYN)
		return 0;
	if (p->proxy == POL_CT_ONWARD)
		return e->state == POL_CT_CLOSED;
	if (p->hook != POL_HOOK_EP_IN)
		return 0;
	socket = pol_steer_connection(skb, p); /* at this hook it only looks */
	return !socket || socket == POL_STEERED_AGAIN;
}

/*
 * Does no hook see what is sent against this packet?  It leaves by an uplink, by lo, or with
 * other addresses.
 */
static __always_inline int pol_proxy_one_sided(const struct pol_pkt *p)
{
	return p->hook != POL_HOOK_EP_OUT && p->tell & POL_TELL_HAND;
}

/* POL_CT_LATE, if what opens this flow is at an endpoint's device on its way to the proxy. */
static __always_inline __u8 pol_proxy_late(const struct pol_pkt *p)
{
	return p->hook == POL_HOOK_EP_IN && p->tell & POL_TELL_HAND ? POL_CT_LATE : 0;
}

/* May an HTTP flow begin here?  Sets p->proxy. */
static __always_inline int pol_proxy_begin(struct pol_pkt *p, int tracked)
{
	if (p->proxy == POL_CT_ONWARD)
		return 0;
	if (!(p->flags & POL_PF_HTTP))
		return 0;
	if (p->frag)
		return POL_REASON_HTTP_FRAGMENT;
	if (!tracked || p->proto != IPPROTO_TCP)
		return POL_REASON_HTTP_NO_INGRESS;
	p->proxy = POL_CT_PROXY;
	p->tell = POL_TELL_FLOW | POL_TELL_CREDIT | POL_TELL_HAND;
	return 0;
}

/* One more onward connection of this client to this server. */
static __always_inline int pol_proxy_credit(const struct pol_pkt *p)
{
	struct pol_onward_key k = {};
	struct pol_onward first = {}, *o;

	k.src = p->src;
	k.dst = p->dst;
	k.dport_be = p->dport_be;
	first.credits = 1;
	first.seen = p->now;
	first.host = p->from_host;
	o = bpf_map_lookup_elem(&proxy_onward, &k);
	if (!o && !bpf_map_update_elem(&proxy_onward, &k, &first, BPF_NOEXIST))
		return 0;
	if (!o)
		o = bpf_map_lookup_elem(&proxy_onward, &k);
	if (!o)
		return POL_REASON_PROXY_FULL;
	/* a client that opens and never speaks cannot pile them up; the cap needs not be exact */
	if (o->credits < POL_ONWARD_MAX)
		__sync_fetch_and_add(&o->credits, 1);
	o->seen = p->now;
	o->host = p->from_host;
	return 0;
}

static __always_inline void pol_proxy_side(struct pol_proxy_side *s, const struct pol_pkt *p, int dir)
{
	const struct pol_verdict *v = &pol_verdicts[(p->verdict[dir] - 1) & (POL_VERDICTS_LEN - 1)];

	s->judged = p->verdict[dir] != 0;
	s->rule = p->rule[dir];
	s->nhttp = v->nhttp;
	s->plain = !!(v->flags & POL_VF_PLAIN);
	__builtin_memcpy(s->http, v->http, sizeof(s->http));
}

static __always_inline int pol_proxy_flow(const struct pol_pkt *p, __u32 ifindex)
{
	int reply = p->tell & POL_TELL_REPLY;
	struct pol_proxy_key k = {};
	struct pol_proxy_flow *f;
	__u32 zero = 0;

	f = bpf_map_lookup_elem(&proxy_scratch, &zero);
	if (!f)
		return POL_REASON_INTERNAL;
	k.src = reply ? p->dst : p->src;
	k.dst = reply ? p->src : p->dst;
	k.sport_be = reply ? p->dport_be : p->sport_be;
	k.dport_be = reply ? p->sport_be : p->dport_be;
	f->gen = pol_generation;
	f->ep[POL_INGRESS] = p->judged_ep[POL_INGRESS];
	f->ep[POL_EGRESS] = p->judged_ep[POL_EGRESS];
	f->incarnation[POL_INGRESS] = p->incarnation[POL_INGRESS];
	f->incarnation[POL_EGRESS] = p->incarnation[POL_EGRESS];
	f->seen = p->now;
	f->ifindex = ifindex;
	pol_proxy_side(&f->side[POL_INGRESS], p, POL_INGRESS);
	pol_proxy_side(&f->side[POL_EGRESS], p, POL_EGRESS);
	return bpf_map_update_elem(&proxy_flows, &k, f, BPF_ANY) ? POL_REASON_PROXY_FULL : 0;
}

/* What the proxy will know of the flow that was just judged.  0, or a reason: then the flow is forgotten. */
__noinline int pol_proxy_tell(struct pol_pkt *p, __u32 ifindex)
{
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	reason = pol_proxy_flow(p, ifindex);
	if (!reason && p->tell & POL_TELL_CREDIT)
		reason = pol_proxy_credit(p);
	if (reason && pol_ct_seek(p))
		pol_ct_remove(p, p->slot);
	return reason;
}

/*
 * Is what this host sends the proxy's?  A credit that was not used up (a request that got 403) must be
 * of no use to a container in the host's network with CAP_NET_RAW, whatever mark and address it takes:
 * it is not the proxy's user, and if it can become that, not in the proxy's cgroup.
 */
static __always_inline int pol_proxy_sent(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct pol_proxy_self *self = bpf_map_lookup_elem(&proxy_self, &zero);

	return self && self->workers && bpf_get_socket_uid(skb) == self->uid &&
	       (!self->cgroup || bpf_skb_cgroup_id(skb) == self->cgroup);
}

/*
 * Takes a credit for the connection client -> server, which is the client's from then on.  reply: the
 * packet in hand answers it.  Which generation wrote the credit plays no part: the flow is
 * judged anew.
 */
__noinline int pol_proxy_spend(struct pol_pkt *p, __u32 reply)
{
	struct pol_onward_key k = {};
	struct pol_onward *o;
	__u32 had;

	if (!p)
		return POL_REASON_INTERNAL;
	k.src = reply ? p->dst : p->src;
	k.dst = reply ? p->src : p->dst;
	k.dport_be = reply ? p->sport_be : p->dport_be;
	o = bpf_map_lookup_elem(&proxy_onward, &k);
	if (!o || (__s32)(p->now - o->seen) > POL_ONWARD_SECONDS)
		return POL_REASON_PROXY_CREDIT;
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 8; tries++) {
		had = *(volatile __u32 *)&o->credits;
		if (!had)
			return POL_REASON_PROXY_CREDIT;
		if (__sync_val_compare_and_swap(&o->credits, had, had - 1) == had) {
			p->from_host = o->host & !reply;
			return 0;
		}
	}
	return POL_REASON_PROXY_CREDIT;
}

/*
 * The state of a flow of which only what the proxy gets is seen by a hook.  Established is what is
 * so to the stack: a handshake that nobody ended is not, and a forged RST or FIN, which the stack
 * did not take, changes nothing for long.  POL_CT_FREE: the tuple is used anew.
 */
__noinline __u32 pol_proxy_state(struct __sk_buff *skb, struct pol_pkt *p, __u32 state)
{
	if (!p || p->tcp_flags & POL_TCP_RST)
		return POL_CT_CLOSED;
	if ((p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK)) == POL_TCP_SYN)
		return state == POL_CT_CLOSED || state == POL_CT_CLOSING ? POL_CT_FREE : state;
	if (p->tcp_flags & POL_TCP_FIN)
		return POL_CT_CLOSING;
	if (state != POL_CT_ESTABLISHED && pol_steer_connection(skb, p) == POL_STEERED_LIVE)
		return POL_CT_ESTABLISHED;
	return state;
}

/*
 * Out by lo, to come in again there: the one device that loses nothing of a packet.  Its old route has to
 * go, or it would be forwarded by that; a route for tunnel metadata in its place counts for
 * none (skb_valid_dst, include/net/dst.h) and is proof at lo: a socket that sets our mark gets there
 * by our routing rule, but without.
 */
__noinline int pol_by_lo(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct bpf_tunnel_key proof = { .tunnel_id = POL_MARK_PROXY };
	__u8 mac[6] = {};

	if (!p || p->l3_off != sizeof(struct ethhdr) || skb->vlan_present)
		return POL_REASON_HTTP_NO_INGRESS;
	/* for this host, whoever it was for: what the kernel has found of that stays otherwise */
	if (bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0) || bpf_skb_change_type(skb, 0) ||
	    bpf_skb_set_tunnel_key(skb, &proof, sizeof(proof), 0))
		return POL_REASON_INTERNAL;
	return 0;
}

/* What pol_by_lo() has sent, of a flow that is the proxy's.  0, or a reason. */
__noinline int pol_lo_flow(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct bpf_tunnel_key proof = {};
	struct pol_ct_entry *e;

	if (!p)
		return POL_REASON_INTERNAL;
	if (bpf_skb_get_tunnel_key(skb, &proof, sizeof(proof), 0))
		return POL_REASON_PROXY_FOREIGN;
	if (p->msg == POL_MSG_ERROR)
		return 0;
	pol_ct_key_of(p, &p->src, &p->dst, (__u32)p->sport_be << 16 | p->dport_be, p->proto);
	e = pol_ct_entry(p);
	p->proxy = e ? pol_proxied(e) : 0;
	if (!p->proxy || !pol_proxy_takes(p->proxy, p->key.flipped != (e->flags & POL_CT_FLIPPED)))
		return POL_REASON_REDIRECT_LOST;
	return pol_steer(skb, p);
}

#endif /* POL_USES_HTTP */

#endif
