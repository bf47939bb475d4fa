/* SPDX-License-Identifier: GPL-2.0-only */
/* New entries of the connection table, and who makes room for them. */
#ifndef POL_BPF_CT_INSERT_H
#define POL_BPF_CT_INSERT_H

/*
 * How gladly a used slot is given up, 0 for never: expired, then half open or
 * closed, the longest silent first.  An established flow is nobody's victim.
 */
__noinline __u64 pol_ct_worth(__u32 slot, __u32 now)
{
	struct pol_ct_bucket *b;
	struct pol_ct_entry *e;
	__u32 way, silent;

	b = pol_ct_slot(slot, &way);
	if (!b || *(volatile __u64 *)&b->tag[way] & POL_TAG_BUSY)
		return 0;
	e = &b->entry[way];
	silent = now - e->seen;
	if ((__s32)silent < 0)
		silent = 0;
	if (pol_ct_expired(e, now))
		return 2ull << 32 | silent;
	switch (e->state) {
	case POL_CT_SYN_SENT:
	case POL_CT_SYN_RECV:
	case POL_CT_CLOSED:
	case POL_CT_UNREPLIED:
		return 1ull << 32 | silent;
	default:
		return 0;
	}
}

/* Both buckets are full: the slot of the best victim + 1, or 0. */
__noinline int pol_ct_victim(__u32 first, __u32 second, __u32 now)
{
	__u64 best = 0;
	__u32 slot = 0;

	for (__u32 i = 0; i < 2 * POL_CT_WAYS; i++) {
		__u32 no = i < POL_CT_WAYS ? first : second;
		__u32 at = no * POL_CT_WAYS + i % POL_CT_WAYS + 1;
		__u64 w = pol_ct_worth(at, now);

		if (w > best) {
			best = w;
			slot = at;
		}
	}
	return slot;
}

/* A slot of the bucket that is neither used nor busy, + 1; or 0. */
__noinline int pol_ct_free(__u32 no)
{
	struct pol_ct_bucket *b = bpf_map_lookup_elem(&ct, &no);
	__u64 mask = b ? pol_ct_match(b, 0) : 0;

	return mask ? no * POL_CT_WAYS + pol_lowest(mask) + 1 : 0;
}

/* A slot for the key + 1: free, or given up by another; 0 if there is none. */
static __always_inline __u32 pol_ct_room(const struct pol_ct_key *k, __u32 now)
{
	__u32 first = pol_ct_bucket_no(k->hash, 0), second = pol_ct_bucket_no(k->hash, 1);

	return pol_ct_free(first) ?: pol_ct_free(second) ?: pol_ct_victim(first, second, now);
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
	int asks = p->msg == POL_MSG_PLAIN &&
		   (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6);

	e->addr[0].d_be[0] = p->key.addr[0];
	e->addr[0].d_be[1] = p->key.addr[1];
	e->addr[1].d_be[0] = p->key.addr[2];
	e->addr[1].d_be[1] = p->key.addr[3];
	__builtin_memcpy(e->port_be, &p->key.ports, sizeof(e->port_be));
	e->proto = p->proto;
	e->state = p->proto == IPPROTO_TCP ? POL_CT_SYN_SENT : POL_CT_UNREPLIED;
	e->flags = (p->key.flipped ? POL_CT_FLIPPED : 0) | (p->local ? POL_CT_LOCAL : 0) |
		   (p->from_host ? POL_CT_HOST : 0) | (p->far ? POL_CT_FAR : 0);
	e->icmp_type = asks ? p->type : 0;
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

/* The judged packet begins a flow: 0, or POL_REASON_CT_FULL. */
__noinline int pol_ct_insert(struct pol_pkt *p)
{
	if (!p)
		return POL_REASON_INTERNAL;
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 3; tries++) {
		__u32 way, slot = pol_ct_room(&p->key, p->now);
		struct pol_ct_bucket *b;
		__u64 tag, next;

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
