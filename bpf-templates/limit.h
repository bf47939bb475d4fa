/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Token buckets of the verdicts' limits.  All must hold a token, or none is
 * charged: taken in order, given back when a later one is empty.
 */
#ifndef POL_BPF_LIMIT_H
#define POL_BPF_LIMIT_H

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
					     const struct pol_pkt *p)
{
	int len = p->v6 ? l->len6 : 96 + l->len4;

	key->source.d_be[0] = pol_prefix64(p->src.d_be[0], len);
	key->source.d_be[1] = pol_prefix64(p->src.d_be[1], len - 64);
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

static __always_inline struct pol_limit_cell *pol_limit_find(const struct pol_limit *l,
							     struct pol_limit_key *key,
							     const struct pol_pkt *p, __u64 full)
{
	struct pol_limit_cell *shared, *own;

	/* the shared one first: it must exist when there is no room for more */
	shared = pol_limit_cell(key, full);
	if (!l->per_source)
		return shared;
	pol_limit_source(key, l, p);
	own = pol_limit_cell(key, full);
	return own ? own : shared;
}

/* Token n (side * POL_VERDICT_LIMITS + i): takes one, or gives one back.  0: done. */
__noinline int pol_limit_token(struct pol_pkt *p, __u32 n, __u32 back)
{
	__u32 side = n / POL_VERDICT_LIMITS & 1, i = n % POL_VERDICT_LIMITS, id;
	const struct pol_limit *l;
	const struct pol_verdict *v;
	struct pol_limit_key key = {};
	struct pol_limit_cell *c;
	__u64 now = bpf_ktime_get_ns(), cost, burst, full;
	int empty;

	if (!p || !p->verdict[side])
		return 0;
	v = &pol_verdicts[(p->verdict[side] - 1) & (POL_VERDICTS_LEN - 1)];
	if (i >= v->nlimits)
		return 0;
	id = v->limit[i];
	if (id >= POL_LIMITS_LEN)
		return -1;
	l = &pol_limits[id];
	cost = l->ns_per_token, burst = l->burst_ns, full = now - burst;
	key.limit = id;
	key.ep = p->judged_ep[side];
	c = pol_limit_find(l, &key, p, full);
	if (!c)
		return -1;
	bpf_spin_lock(&c->lock);
	if ((__s64)(now - c->empty_at_ns) > (__s64)burst)
		c->empty_at_ns = full;
	empty = !back && (__s64)(now - c->empty_at_ns) < (__s64)cost;
	if (!empty)
		c->empty_at_ns += back ? -cost : cost;
	bpf_spin_unlock(&c->lock);
	return empty ? -1 : 0;
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
