/* SPDX-License-Identifier: GPL-2.0-only */
/* New entries of the connection table, and who makes room for them. */
#ifndef POL_BPF_CT_INSERT_H
#define POL_BPF_CT_INSERT_H

#include "ct.h"
#include "transport.h"

static __always_inline int pol_ct_half_open(const struct pol_ct_entry *e)
{
	return pol_ct_is_half(e->state);
}

/* From outside: neither an endpoint of ours nor this host began it. */
static __always_inline int pol_ct_inbound(const struct pol_ct_entry *e)
{
	return !e->ep[POL_EGRESS] && !(e->flags & POL_CT_HOST);
}

/*
 * Was the entry begun by whoever begins p's flow?  An endpoint is a source by its number and
 * incarnation, and cannot pose as another; outside it is a /24 or a /48, which is
 * what one customer is given.
 */
static __always_inline int pol_ct_same_source(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	const struct pol_addr *a = &e->addr[e->flags & POL_CT_FLIPPED ? 1 : 0];
	__u64 hi = a->d_be[0] ^ p->src.d_be[0], lo = a->d_be[1] ^ p->src.d_be[1];

	if (p->from_host || e->flags & POL_CT_HOST)
		return p->from_host && e->flags & POL_CT_HOST;
	if (e->ep[POL_EGRESS] != p->judged_ep[POL_EGRESS] ||
	    e->incarnation[POL_EGRESS] != p->incarnation[POL_EGRESS])
		return 0;
	if (p->judged_ep[POL_EGRESS])
		return 1;
	return p->v6 ? !(hi & bpf_cpu_to_be64(~0xffffull)) :
		       !hi && !(lo & bpf_cpu_to_be64(~0xffull));
}

/*
 * Quotas without counters.  A counter for each source would have to be right for entries
 * that die in silence, for CPUs that race, and after a crash; one that leaks locks its source
 * out for good.  But the key of the hash is secret and spreads each source's flows evenly,
 * so the two buckets of a new flow (16 ways) are a fair sample of the table, and what
 * a source holds is counted in them, at the moment it wants more:
 *
 *   half-open		at most POL_QUOTA_HALF of a source, POL_QUOTA_INBOUND of all sources
 *			outside, or a flood from many prefixes would do what one cannot; over that,
 *			who holds little of it takes the place of the longest silent: an honest
 *			peer is half open for one turn, so a flood ends its own
 *   all		the last POL_QUOTA_SPARE free ways are only for who holds at most
 *			POL_QUOTA_SMALL; what comes from outside counts for the prefix and,
 *			apart from what it begins itself, for the endpoint that it goes to
 *
 *   closed		count as half open, but give way: over the share one of them makes room, so
 *			connections reset as fast as they open do not pile up behind their timeout
 *
 * So one source can have three quarters of an otherwise empty table, and a quarter stays
 * for the others whatever it does.  Dead entries do not count.  Within the sample the
 * number varies: a source with up to 1/10 of the table half open, or any share of a table that is
 * half empty, does not notice.  Two CPUs at once may exceed it by one.
 */
#ifndef POL_QUOTA_HALF
#define POL_QUOTA_HALF 6u
#endif
#ifndef POL_QUOTA_INBOUND
#define POL_QUOTA_INBOUND 10u
#endif
#ifndef POL_QUOTA_SPARE
#define POL_QUOTA_SPARE 4u
#endif
#ifndef POL_QUOTA_SMALL
#define POL_QUOTA_SMALL 2u
#endif

/* What one way adds to the sums, six bits each. */
#define POL_Q_LIVE 0		/* in use, or busy */
#define POL_Q_OWN 6		/* of p's source */
#define POL_Q_HALF 12		/* of those, half open */
#define POL_Q_TO 18		/* from outside, to p's endpoint */
#define POL_Q_INBOUND 24	/* from outside, half open */
#define POL_Q_CLOSED 30		/* of p's source, closed */
#define POL_Q_GET(sum, what) ((sum) >> (what) & 63)

__noinline __u64 pol_ct_weigh(struct pol_pkt *p, __u32 slot)
{
	struct pol_ct_bucket *b;
	struct pol_ct_entry *e;
	__u64 tag, half, sum = 1 << POL_Q_LIVE;
	__u32 way;

	b = p ? pol_ct_slot(slot, &way) : NULL;
	if (!b)
		return sum;
	tag = *(volatile __u64 *)&b->tag[way];
	if (!(tag & (POL_TAG_USED | POL_TAG_BUSY)))
		return 0;
	e = &b->entry[way];
	if (tag & POL_TAG_BUSY)
		return sum;
	if (pol_ct_dead(e, p->now))
		return 0;
	half = pol_ct_half_open(e);
	if (pol_ct_same_source(e, p))
		sum += 1 << POL_Q_OWN | half << POL_Q_HALF |
		       (__u64)(e->state == POL_CT_CLOSED) << POL_Q_CLOSED;
	if (!p->judged_ep[POL_EGRESS] && pol_ct_inbound(e)) {
		sum += half << POL_Q_INBOUND;
		if (e->ep[POL_INGRESS] == p->judged_ep[POL_INGRESS])
			sum += 1 << POL_Q_TO;
	}
	return sum;
}

/* Bit i: way i of the bucket is neither used nor busy. */
static __always_inline __u32 pol_ct_idle(__u32 no)
{
	struct pol_ct_bucket *b = bpf_map_lookup_elem(&ct, &no);

	return b ? pol_tags_match(b->tag, 0) : 0;
}

/* How many bits of an 8-bit mask are set. */
static __always_inline __u32 pol_bits(__u32 mask)
{
	mask = (mask & 0x55) + (mask >> 1 & 0x55);
	mask = (mask & 0x33) + (mask >> 2 & 0x33);
	return (mask & 0xf) + (mask >> 4);
}

/* Ways of the bucket that are free. */
__noinline __u32 pol_ct_empty(__u32 no)
{
	return pol_bits(pol_ct_idle(no));
}

/* From outside, and there is no more room for all that are half open.  As pol_ct_quota(). */
static __always_inline int pol_ct_displaces(struct pol_pkt *p, __u64 sum)
{
	if (POL_Q_GET(sum, POL_Q_HALF) > POL_QUOTA_SMALL || !POL_Q_GET(sum, POL_Q_INBOUND))
		return POL_REASON_CT_QUOTA;
	p->flags |= POL_PF_RECYCLE | POL_PF_DISPLACE;
	return 0;
}

/* 0, or POL_REASON_CT_QUOTA.  POL_PF_RECYCLE: room is to be made first. */
__noinline int pol_ct_quota(struct pol_pkt *p)
{
	__u32 first, second, free, closed;
	__u64 sum = 0;

	if (!p)
		return POL_REASON_INTERNAL;
	p->flags &= ~(POL_PF_RECYCLE | POL_PF_DISPLACE);
	first = pol_ct_bucket_no(p->key.hash, 0), second = pol_ct_bucket_no(p->key.hash, 1);
	free = pol_ct_empty(first) + pol_ct_empty(second);
	/* this host is not held to a quota; and too few to matter, the usual case */
	if (p->from_host || free > 2 * POL_CT_WAYS - POL_QUOTA_HALF)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * POL_CT_WAYS; i++) {
		__u32 no = i < POL_CT_WAYS ? first : second;

		sum += pol_ct_weigh(p, no * POL_CT_WAYS + i % POL_CT_WAYS + 1);
	}
	if (POL_Q_GET(sum, POL_Q_HALF) >= POL_QUOTA_HALF)
		return POL_REASON_CT_QUOTA;
	if (POL_Q_GET(sum, POL_Q_INBOUND) >= POL_QUOTA_INBOUND)
		return pol_ct_displaces(p, sum);
	closed = POL_Q_GET(sum, POL_Q_CLOSED);
	if (closed && closed + POL_Q_GET(sum, POL_Q_HALF) >= POL_QUOTA_HALF) {
		p->flags |= POL_PF_RECYCLE;
		return 0;
	}
	if (2 * POL_CT_WAYS - POL_Q_GET(sum, POL_Q_LIVE) > POL_QUOTA_SPARE)
		return 0;
	if (POL_Q_GET(sum, POL_Q_OWN) > POL_QUOTA_SMALL)
		return POL_REASON_CT_QUOTA;
	return POL_Q_GET(sum, POL_Q_TO) > POL_QUOTA_SMALL ? pol_ct_displaces(p, sum) : 0;
}

/*
 * How gladly a used slot is given up, 0 for never: dead, then of the same source closed, then
 * half open, the longest silent first.  An established flow is nobody's victim, and
 * what is half open only its own source's, unless both are from outside (POL_PF_DISPLACE).
 */
__noinline __u64 pol_ct_worth(struct pol_pkt *p, __u32 slot)
{
	struct pol_ct_bucket *b;
	struct pol_ct_entry *e;
	__u32 way, silent;

	b = p ? pol_ct_slot(slot, &way) : NULL;
	if (!b || (*(volatile __u64 *)&b->tag[way] & (POL_TAG_USED | POL_TAG_BUSY)) != POL_TAG_USED)
		return 0;
	e = &b->entry[way];
	silent = p->now - e->seen;
	if ((__s32)silent < 0)
		silent = 0;
	if (pol_ct_dead(e, p->now))
		return 3ull << 32 | silent;
	if (!pol_ct_same_source(e, p))
		return p->flags & POL_PF_DISPLACE && pol_ct_inbound(e) && pol_ct_half_open(e) ?
			       1ull << 32 | silent : 0;
	if (e->state == POL_CT_CLOSED)
		return 2ull << 32 | silent;
	return pol_ct_half_open(e) ? 1ull << 32 | silent : 0;
}

/* Where room is made: the slot of the best victim + 1, or 0. */
__noinline int pol_ct_victim(struct pol_pkt *p)
{
	__u32 first, second, slot = 0;
	__u64 best = 0;

	if (!p)
		return 0;
	first = pol_ct_bucket_no(p->key.hash, 0), second = pol_ct_bucket_no(p->key.hash, 1);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * POL_CT_WAYS; i++) {
		__u32 no = i < POL_CT_WAYS ? first : second;
		__u32 at = no * POL_CT_WAYS + i % POL_CT_WAYS + 1;
		__u64 w = pol_ct_worth(p, at);

		if (w > best) {
			best = w;
			slot = at;
		}
	}
	return slot;
}

/*
 * A free slot for the key + 1, or 0.  The first bucket is looked at first by every packet, so it
 * is taken while it has more than POL_CT_EVEN free ways; from there on the emptier one.  Of two
 * choices the emptier keeps all buckets nearly equal (Azar et al. 1994): the quarter that quotas
 * leave free is then free everywhere, and not in other buckets than those that a neighbour's
 * flow may have.
 */
#define POL_CT_EVEN 2u
__noinline __u32 pol_ct_free(struct pol_pkt *p)
{
	__u32 no, other, mask, way;

	if (!p)
		return 0;
	no = pol_ct_bucket_no(p->key.hash, 0);
	mask = pol_ct_idle(no);
	if (pol_bits(mask) <= POL_CT_EVEN) {
		__u32 second = pol_ct_bucket_no(p->key.hash, 1);

		other = pol_ct_idle(second);
		if (pol_bits(other) > pol_bits(mask)) {
			no = second;
			mask = other;
		}
	}
	if (!mask)
		return 0;
	way = pol_ct_home(p->key.hash);
	if (!(mask >> way & 1))
		way = pol_lowest(mask);
	return no * POL_CT_WAYS + way + 1;
}

static __always_inline void pol_ct_asked(struct pol_ct_entry *e, const struct pol_pkt *p)
{
#pragma clang loop unroll(full)
	for (int dir = 0; dir < POL_DIRECTIONS; dir++) {
		e->ep[dir] = p->judged_ep[dir];
		e->incarnation[dir] = p->incarnation[dir];
	}
}

static __always_inline void pol_ct_write(struct pol_ct_entry *e, const struct pol_pkt *p)
{
	e->addr[0].d_be[0] = p->key.addr[0];
	e->addr[0].d_be[1] = p->key.addr[1];
	e->addr[1].d_be[0] = p->key.addr[2];
	e->addr[1].d_be[1] = p->key.addr[3];
	__builtin_memcpy(e->port_be, &p->key.ports, sizeof(e->port_be));
	e->proto = p->proto;
	/* without SYN: picked up, and half open until the other side speaks */
	e->state = p->proto == IPPROTO_TCP && p->tcp_flags & POL_TCP_SYN ? POL_CT_SYN_SENT
									 : POL_CT_UNREPLIED;
	e->flags = (p->key.flipped ? POL_CT_FLIPPED : 0) | (p->local ? POL_CT_LOCAL : 0) |
		   (p->from_host ? POL_CT_HOST : 0) | (p->flags & POL_PF_FAR ? POL_CT_FAR : 0);
	e->icmp_type = p->type;
	e->gen = (__u32)pol_generation;
	e->rule[POL_INGRESS] = p->rule[POL_INGRESS];
	e->rule[POL_EGRESS] = p->rule[POL_EGRESS];
	e->seen = p->now;
	pol_ct_asked(e, p);
}

/*
 * Two CPUs can insert one flow at once.  Both look again after publishing; of two
 * equal entries the one in the lower slot stays, so at most one gives way.
 */
static __always_inline int pol_ct_twin(struct pol_pkt *p, __u32 mine)
{
	__u32 first = pol_ct_in(p, 0), second = pol_ct_in(p, 1);

	return (first && first < mine) || (second && second < mine);
}

/* The judged packet begins a flow: 0, or POL_REASON_CT_QUOTA or _FULL. */
__noinline int pol_ct_insert(struct pol_pkt *p)
{
	if (!p)
		return POL_REASON_INTERNAL;
	if (pol_ct_quota(p))
		return POL_REASON_CT_QUOTA;
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 3; tries++) {
		__u32 way, slot = p->flags & POL_PF_RECYCLE ? pol_ct_victim(p) : 0;
		struct pol_ct_bucket *b;
		__u64 tag, next;

		if (!slot)
			slot = pol_ct_free(p) ?: pol_ct_victim(p);
		if (!slot)
			return POL_REASON_CT_FULL;
		b = pol_ct_slot(slot, &way);
		if (!b)
			return POL_REASON_INTERNAL;
		tag = *(volatile __u64 *)&b->tag[way];
		next = (tag + 1) & POL_TAG_VERSION;
		if (tag & POL_TAG_BUSY ||
		    __sync_val_compare_and_swap(&b->tag[way], tag, POL_TAG_BUSY | next) != tag)
			continue;
		pol_ct_write(&b->entry[way], p);
		/* an exchange orders the entry before the tag on every machine */
		__sync_lock_test_and_set(&b->tag[way], POL_TAG_USED | pol_ct_sig(p->key.hash) | next);
		if (pol_ct_twin(p, slot))
			pol_ct_remove(p, slot);
		return 0;
	}
	return POL_REASON_CT_FULL;
}

#endif
