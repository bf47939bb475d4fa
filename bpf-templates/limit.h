/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Token buckets of the verdicts' limits.  All must hold a token, or none is
 * charged: taken in order, given back when a later one is empty.
 */
#ifndef POL_BPF_LIMIT_H
#define POL_BPF_LIMIT_H

#include "ct.h"

#if POL_LIMITS_LEN

static __always_inline __u64 pol_prefix64(__u64 x_be, int len)
{
	if (len <= 0)
		return 0;
	if (len >= 64)
		return x_be;
	return x_be & bpf_cpu_to_be64(~0ull << (64 - len));
}

static __always_inline void pol_limit_source(struct pol_limit_key *key, const struct pol_limit *l,
					     const struct pol_addr *src, int v6)
{
	int len = v6 ? l->len6 : 96 + l->len4;

	key->source.d_be[0] = pol_prefix64(src->d_be[0], len);
	key->source.d_be[1] = pol_prefix64(src->d_be[1], len - 64);
}

/* The bucket of a key, made full if there is none; NULL if there is no room. */
static __always_inline struct pol_limit_cell *pol_limit_cell(const struct pol_limit_key *key,
							     __u64 full_ns)
{
	struct pol_limit_cell *c = bpf_map_lookup_elem(&limits, key), fresh = {};

	if (c)
		return c;
	fresh.empty_at_ns = full_ns;
	bpf_map_update_elem(&limits, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&limits, key);
}

static __always_inline int pol_same_limit_key(const struct pol_limit_key *a,
					      const struct pol_limit_key *b)
{
	return pol_same_addr(&a->source, &b->source) && ((a->limit ^ b->limit) | (a->ep ^ b->ep)) == 0;
}

static __always_inline __u64 pol_limit_burst(__u32 id)
{
	return id < POL_LIMITS_LEN ? pol_limits[id].burst_ns : 0;
}

/* Full again, or never used: the place is free. */
static __always_inline int pol_limit_idle(__u64 empty_at, __u64 now, __u64 burst)
{
	return !empty_at || (__s64)(now - empty_at) >= (__s64)burst;
}

static __always_inline __u32 pol_limit_set(const struct pol_limit_key *k)
{
	__u64 h = pol_mix(k->source.d_be[0] + pol_hash_seed[0]);

	h = pol_mix(h ^ k->source.d_be[1]);
	h = pol_mix(h ^ pol_hash_seed[1] ^ ((__u64)k->limit << 32 | k->ep));
	return h & (POL_LIMIT_SOURCES - 1) & ~(POL_LIMIT_WAYS - 1);
}

/* Takes a token from a bucket, or gives it back; -1: it is empty.  The lock is held. */
static __always_inline int pol_limit_move(__u64 *empty_at, __u64 now, __u64 cost, __u64 burst,
					  __u32 back)
{
	if ((__s64)(now - *empty_at) > (__s64)burst)
		*empty_at = now - burst;
	if (!back && (__s64)(now - *empty_at) < (__s64)cost)
		return -1;
	*empty_at += back ? -cost : cost;
	return 0;
}

enum { POL_LIMIT_NO_PLACE = 1 };

/* A source's own bucket: 0, -1, or POL_LIMIT_NO_PLACE where others have all four. */
__noinline int pol_limit_own(struct pol_limit_key *k, __u32 back)
{
	__u64 now = bpf_ktime_get_ns(), cost, burst, old;
	struct pol_limit_place *c, *use = NULL;
	const struct pol_limit *l;
	__u32 set, at;
	int mine, r = POL_LIMIT_NO_PLACE;

	if (!k || k->limit >= POL_LIMITS_LEN)
		return -1;
	l = &pol_limits[k->limit];
	pol_opaque(l); /* now, not behind the loop: on the stack verifiers before 6.3 forget the bounds */
	cost = l->ns_per_token, burst = l->burst_ns;
	set = pol_limit_set(k);
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < POL_LIMIT_WAYS; i++) {
		at = set + i;
		c = bpf_map_lookup_elem(&limit_sources, &at);
		if (!c)
			return -1;
		if (pol_same_limit_key(&c->key, k)) {
			use = c;
			break;
		}
		if (!use && pol_limit_idle(c->empty_at_ns, now, pol_limit_burst(c->key.limit)))
			use = c;
	}
	if (!use)
		return r;
	old = pol_limit_burst(use->key.limit);
	bpf_spin_lock(&use->lock);
	mine = pol_same_limit_key(&use->key, k);
	/* again, now that nobody else can take it */
	if (!mine && pol_limit_idle(use->empty_at_ns, now, old)) {
		use->key = *k;
		use->empty_at_ns = now - burst;
		mine = 1;
	}
	if (mine)
		r = pol_limit_move(&use->empty_at_ns, now, cost, burst, back);
	bpf_spin_unlock(&use->lock);
	return r;
}

/* The bucket that all sources of an endpoint share. */
__noinline int pol_limit_shared(struct pol_limit_key *k, __u32 back)
{
	__u64 now = bpf_ktime_get_ns(), cost, burst;
	struct pol_limit_cell *c;
	struct pol_limit_key key;
	int r;

	if (!k || k->limit >= POL_LIMITS_LEN)
		return -1;
	cost = pol_limits[k->limit].ns_per_token, burst = pol_limits[k->limit].burst_ns;
	key = *k; /* as pol_owner_of() has it */
	c = pol_limit_cell(&key, now - burst);
	if (!c)
		return -1;
	bpf_spin_lock(&c->lock);
	r = pol_limit_move(&c->empty_at_ns, now, cost, burst, back);
	bpf_spin_unlock(&c->lock);
	return r;
}

/*
 * A token of limit `id` from the source's bucket, or where others have all its places from the
 * shared one; `back` gives it back.  0: done.
 */
static __always_inline int pol_limit_one(struct pol_limit_key *key, __u32 id,
					 const struct pol_addr *src, int v6, __u32 back)
{
	const struct pol_limit *l;
	int r;

	if (id >= POL_LIMITS_LEN)
		return -1;
	l = &pol_limits[id];
	key->limit = id;
	if (l->per_source) {
		pol_limit_source(key, l, src, v6);
		r = pol_limit_own(key, back);
		if (r != POL_LIMIT_NO_PLACE)
			return r;
		__builtin_memset(&key->source, 0, sizeof(key->source));
	}
	return pol_limit_shared(key, back);
}

#if POL_USES_FILTERS
/* Of a filter's line: it belongs to no endpoint.  Global: verified once, not once a line. */
__noinline int pol_limit_line(__u32 id, struct pol_addr *src, __u32 v6)
{
	struct pol_limit_key key = {};

	/* Where no limit is per source clang would find them unused, and callers not pass them. */
	pol_opaque(id);
	pol_opaque(v6);
	return !src ? -1 : pol_limit_one(&key, id, src, v6, 0);
}
#endif

/* Token n (side * POL_VERDICT_LIMITS + i): takes one, or gives one back.  0: done. */
__noinline int pol_limit_token(struct pol_pkt *p, __u32 n, __u32 back)
{
	__u32 side = n / POL_VERDICT_LIMITS & 1, i = n % POL_VERDICT_LIMITS;
	const struct pol_verdict *v;
	struct pol_limit_key key = {};

	if (!p || !p->verdict[side])
		return 0;
	v = &pol_verdicts[(p->verdict[side] - 1) & (POL_VERDICTS_LEN - 1)];
	if (i >= v->nlimits)
		return 0;
	key.ep = p->judged_ep[side] | (__u32)p->incarnation[side] << 16;
	return pol_limit_one(&key, v->limit[i], &p->src, p->v6, back);
}

/* The rule whose bucket was empty is what decided. */
static __always_inline void pol_limit_blame(struct pol_pkt *p, __u32 n)
{
	__u32 side = n / POL_VERDICT_LIMITS & 1, i = n % POL_VERDICT_LIMITS, id;

	if (!p->verdict[side])
		return;
	id = pol_verdicts[(p->verdict[side] - 1) & (POL_VERDICTS_LEN - 1)].limit[i];
	p->direction = side;
	if (id < POL_LIMITS_LEN)
		p->rule[side] = pol_limits[id].rule;
}

__noinline int pol_limit_take(struct pol_pkt *p)
{
	__u32 n, taken;

	if (!p)
		return POL_REASON_INTERNAL;
	for (n = 0; n < 2 * POL_VERDICT_LIMITS; n++)
		if (pol_limit_token(p, n, 0))
			break;
	if (n == 2 * POL_VERDICT_LIMITS)
		return 0;
	pol_limit_blame(p, n);
	for (taken = 0; taken < 2 * POL_VERDICT_LIMITS && taken < n; taken++)
		pol_limit_token(p, taken, 1);
	return POL_REASON_LIMIT;
}

/* Sparing the calls where no verdict has a limit, which is nearly always. */
static __always_inline int pol_limited(const struct pol_pkt *p)
{
	__u32 n = 0;

	for (int side = 0; side < POL_DIRECTIONS; side++)
		if (p->verdict[side])
			n |= pol_verdicts[(p->verdict[side] - 1) & (POL_VERDICTS_LEN - 1)].nlimits;
	return n != 0;
}

#endif
#endif
