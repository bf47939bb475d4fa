/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fragments.  The first one carries the ports and is judged like a packet; the
 * others pass only behind it, and never below what it covered.
 */
#ifndef POL_BPF_FRAG_H
#define POL_BPF_FRAG_H

#include "pkt.h"

#ifndef POL_FRAG_TTL
#define POL_FRAG_TTL 30u	/* seconds; Linux: ipfrag_time 30 */
#endif

/* Of a group each device is judged for itself, so each has a record of its own. */
static __always_inline void pol_frag_key(struct pol_frag_key *k, const struct pol_pkt *p)
{
	k->src = p->src;
	k->dst = p->dst;
	k->id_be = p->frag_id;
	k->proto = p->frag_proto;
	if (p->group) {
		k->whose = POL_FRAG_GROUP + p->hook;
		k->ep = p->ep;
	}
}

/* What the first fragment came to.  A denied one takes back what an earlier one got. */
__noinline int pol_frag_first(struct pol_pkt *p, __u32 reason)
{
	struct pol_frag_key k = {};
	struct pol_frag f = {};

	if (!p)
		return POL_REASON_INTERNAL;
	pol_frag_key(&k, p);
	if (reason) {
		bpf_map_delete_elem(&frags, &k);
		return reason;
	}
	f.seen_ns = p->now * 1000000000ull;
	f.sport_be = p->sport_be;
	f.dport_be = p->dport_be;
	/* an IPv6 chain behind the fragment header counts as covered: l4_off lies behind it */
	f.next_offset = p->frag_off;
	f.pass = 1;
	f.to = p->local ? p->to : 0;
	f.gen = (__u32)pol_generation;
	return bpf_map_update_elem(&frags, &k, &f, BPF_ANY) ? POL_REASON_FRAG_FULL : 0;
}

/* RFC 1858, 3128: an offset inside the transport header can only be an attack. */
static __always_inline int pol_frag_hides(const struct pol_pkt *p)
{
	__u32 least = p->frag_proto == IPPROTO_TCP ? 20 : p->frag_proto == IPPROTO_SCTP ? 12 : 8;

	return p->frag_off < least;
}

__noinline int pol_frag_later(struct pol_pkt *p)
{
	struct pol_frag_key k = {};
	struct pol_frag *f;

	if (!p)
		return POL_REASON_INTERNAL;
	if (pol_frag_hides(p))
		return POL_REASON_FRAG_TINY;
	pol_frag_key(&k, p);
	f = bpf_map_lookup_elem(&frags, &k);
	if (!f || !f->pass || f->gen != (__u32)pol_generation ||
	    p->now > f->seen_ns / 1000000000ull + POL_FRAG_TTL)
		return POL_REASON_FRAG_UNKNOWN;
	if (p->frag_off < f->next_offset)
		return POL_REASON_FRAG_TINY;
	p->sport_be = f->sport_be;
	p->dport_be = f->dport_be;
	p->to = f->to;
	p->local = f->to != 0;
	p->from_state = 1;
	p->action = POL_ALLOW;
	return 0;
}

#endif
