/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client's port that connects again to where the proxy closed first.
 *
 * The proxy's socket of that connection is in TIME_WAIT for a minute.  A listener assigned to the
 * new SYN does not get it through: what it would make of it has the same addresses as the TIME_WAIT
 * socket, and the kernel drops it for that without a word (reqsk_queue_hash_req, since 6.10).  So it
 * is the TIME_WAIT socket that gets the SYN.  It judges whether that is a new connection (RFC 6191), as it
 * does on every host, and then asks who listens at the server's address (tcp_v4_rcv, TCP_TW_SYN).
 * Nobody does; pol_listener, a program for such look-ups (sk_lookup, Linux 5.9), names the proxy's
 * listener.
 *
 * That program sees every look-up for a listener in this network namespace, and no mark.  It names the
 * listener only for a leave in proxy_again, that the SYN in hand wrote when it was judged and
 * assigned: same addresses and ports, used once, for a second.  All else passes it by: nobody reaches the
 * proxy through it who was not redirected.  The listeners stand in a SOCKMAP that the proxy fills
 * when it is told of a policy (polc/proxy.h; kernels after 7.2 let no program do it); one that is
 * closed leaves it by itself, and then nobody listens.
 */
#ifndef POL_BPF_TIMEWAIT_H
#define POL_BPF_TIMEWAIT_H

#include "ct.h"
#include "transport.h"

#if POL_USES_HTTP

/* Leave for the SYN in hand to open a connection at listener `n` of the proxy.  1, or -1: there is none. */
static __always_inline int pol_again_leave(const struct pol_pkt *p, __u32 n)
{
	struct pol_proxy_again a = { .listener = n, .at_ns = bpf_ktime_get_ns() };
	struct pol_proxy_key k = {};

	k.src = p->src;
	k.dst = p->dst;
	k.sport_be = p->sport_be;
	k.dport_be = p->dport_be;
	return bpf_map_update_elem(&proxy_again, &k, &a, BPF_ANY) ? -1 : 1;
}

/* The fields of the family that it is not of are zero (bpf_sk_lookup in linux/bpf.h). */
static __always_inline void pol_lookup_key(struct pol_proxy_key *k, const struct bpf_sk_lookup *l)
{
	__u32 remote = l->remote_ip4, local = l->local_ip4;

#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++) {
		k->src.w_be[i] = l->remote_ip6[i];
		k->dst.w_be[i] = l->local_ip6[i];
	}
	if (l->family == 2 /* AF_INET */) {
		k->src.w_be[2] = k->dst.w_be[2] = POL_V4_MAPPED_BE;
		k->src.w_be[3] = remote;
		k->dst.w_be[3] = local;
	}
	k->sport_be = l->remote_port;
	k->dport_be = bpf_htons(l->local_port);
}

/* Who listens at l->local_*, for l->remote_*? */
SEC("?sk_lookup") int pol_listener(struct bpf_sk_lookup *l)
{
	struct pol_proxy_again *a, had;
	struct pol_proxy_key k = {};
	struct bpf_sock *sk;

	if (l->protocol != IPPROTO_TCP)
		return SK_PASS;
	pol_lookup_key(&k, l);
	a = bpf_map_lookup_elem(&proxy_again, &k);
	if (!a)
		return SK_PASS;
	had = *a;
	if (bpf_map_delete_elem(&proxy_again, &k) || bpf_ktime_get_ns() - had.at_ns > POL_AGAIN_NS)
		return SK_PASS;
	sk = bpf_map_lookup_elem(&proxy_listeners, &had.listener);
	if (!sk)
		return SK_PASS;
	bpf_sk_assign(l, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT);
	bpf_sk_release(sk);
	return SK_PASS;
}

#endif /* POL_USES_HTTP */

#endif
