/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection table: an array of buckets, each a line of tags and eight
 * entries.  A flow lives in one of two buckets.  Readers take no lock: find the
 * tag, compare the whole key, read the tag again.  Writers own a slot from the
 * compare-and-swap of its tag to BUSY until they publish it.
 *
 * Tag: USED, BUSY, 40 bits of signature, 22 bits of version; the version
 * outlives the entry, so a slot that changed hands never looks the same.
 */
#ifndef POL_BPF_CT_H
#define POL_BPF_CT_H

#include "pkt.h"

#define POL_TAG_SHIFT 22
#define POL_TAG_VERSION ((1ull << POL_TAG_SHIFT) - 1)
#define POL_TAG_SIG (POL_TAG_BUSY - (1ull << POL_TAG_SHIFT))

/* Not static: clang would merge it into a section that has no BTF. */
const __u32 pol_ct_timeouts[8] = {
	[POL_CT_SYN_SENT] = POL_CT_T_SYN_SENT,
	[POL_CT_SYN_RECV] = POL_CT_T_SYN_RECV,
	[POL_CT_ESTABLISHED] = POL_CT_T_ESTABLISHED,
	[POL_CT_CLOSING] = POL_CT_T_CLOSING,
	[POL_CT_CLOSED] = POL_CT_T_CLOSED,
	[POL_CT_UNREPLIED] = POL_CT_T_UNREPLIED,
	[POL_CT_REPLYING] = POL_CT_T_REPLYING,
};
_Static_assert(POL_CT_STATE_MAX == POL_ARRAY_LEN(pol_ct_timeouts), "a timeout for each state");

static __always_inline __u32 pol_ct_timeout(__u8 state)
{
	return pol_ct_timeouts[state & (POL_ARRAY_LEN(pol_ct_timeouts) - 1)];
}

/*
 * Key of the hash, spread from the host's seed at the first packet of this object.
 * Two CPUs may do it at once: both write the same words.
 */
#define POL_HASH_WORDS 6
static volatile __u64 pol_hash_key[POL_HASH_WORDS];

static __always_inline __u64 pol_mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

__noinline int pol_hash_spread(void)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < POL_HASH_WORDS; i++) {
		__u64 x = pol_mix(pol_hash_seed[0] + (i + 1) * 0x9e3779b97f4a7c15ull);

		/* odd: even, all of it zero, means "not spread yet" */
		pol_hash_key[i] = pol_mix(x ^ pol_hash_seed[1]) | 1;
	}
	return 0;
}

/* One term of NH. */
static __always_inline __u64 pol_nh(__u64 m, __u64 k)
{
	return (__u64)(__u32)((__u32)m + (__u32)k) *
	       (__u64)(__u32)((__u32)(m >> 32) + (__u32)(k >> 32));
}

/*
 * NH, the inner hash of UMAC (RFC 4418): whatever two tuples an attacker chooses,
 * over the secret key they agree with probability 2^-32, because the difference of
 * their sums holds a product with a key word.  (A chain of multiply and xor-shift
 * has differences that cancel under every key.)  Nobody sees a hash, so the key
 * cannot be solved for from outputs.  The finish only spreads the bits.
 */
static __always_inline __u64 pol_ct_hash(const struct pol_ct_key *k)
{
	__u64 k0 = pol_hash_key[0], k1 = pol_hash_key[1], k2 = pol_hash_key[2];
	__u64 k3 = pol_hash_key[3], k4 = pol_hash_key[4], k5 = pol_hash_key[5], h;

	if (pol_unlikely(!(k0 & k1 & k2 & k3 & k4 & k5 & 1))) {
		pol_hash_spread();
		k0 = pol_hash_key[0], k1 = pol_hash_key[1], k2 = pol_hash_key[2];
		k3 = pol_hash_key[3], k4 = pol_hash_key[4], k5 = pol_hash_key[5];
	}
	h = pol_nh(k->addr[0], k0) + pol_nh(k->addr[1], k1) + pol_nh(k->addr[2], k2) +
	    pol_nh(k->addr[3], k3) + pol_nh((__u64)k->proto << 32 | k->ports, k4);
	h = (h ^ h >> 32) * k5;
	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 32;
}

/* Both directions of a flow give the same key; flipped tells them apart. */
static __always_inline void pol_ct_key_set(struct pol_ct_key *k, const struct pol_addr *src,
					   const struct pol_addr *dst, __be16 sport_be,
					   __be16 dport_be, __u8 proto)
{
	__u64 s0 = src->d_be[0], s1 = src->d_be[1], d0 = dst->d_be[0], d1 = dst->d_be[1];
	__u64 hi = pol_lt(d0, s0), same = s0 == d0, flip, m;
	__u32 ps = sport_be, pd = dport_be;

	flip = hi | (same & pol_lt(d1, s1));
	if (pol_unlikely(same && s1 == d1))
		flip = pd < ps;
	m = -flip;
	pol_opaque(m);
	k->addr[0] = s0 ^ ((s0 ^ d0) & m);
	k->addr[1] = s1 ^ ((s1 ^ d1) & m);
	k->addr[2] = d0 ^ ((s0 ^ d0) & m);
	k->addr[3] = d1 ^ ((s1 ^ d1) & m);
	ps ^= (ps ^ pd) & (__u32)m;
	pd = sport_be ^ dport_be ^ ps;
	k->ports = ps | pd << 16;
	k->proto = proto;
	k->flipped = flip;
	k->hash = pol_ct_hash(k);
}

__noinline int pol_ct_key_of(struct pol_pkt *p, struct pol_addr *src, struct pol_addr *dst,
			     __u32 ports, __u32 proto)
{
	if (!p || !src || !dst)
		return 0;
	pol_ct_key_set(&p->key, src, dst, ports >> 16, ports & 0xffff, proto);
	return 0;
}

static __always_inline __u64 pol_ct_sig(__u64 hash)
{
	return (hash * 0x9e3779b97f4a7c15ull) & POL_TAG_SIG;
}

/* Of two buckets, never the same. */
static __always_inline __u32 pol_ct_bucket_no(__u64 hash, int second)
{
	__u32 first = hash & (POL_CT_BUCKETS - 1), other = (hash >> 32) & (POL_CT_BUCKETS - 1);

	return second ? other ^ (other == first) : first;
}

/*
 * The way of its bucket where a flow is put if that is free.  Most flows are found there, so a
 * reader need not wait for the line of tags to know which entry to load: both lines, neither
 * near, come at the same time.
 */
static __always_inline __u32 pol_ct_home(__u64 hash)
{
	return hash >> 61;
}
_Static_assert(POL_CT_WAYS == 8, "three bits of the hash name a way");

static __always_inline int pol_ct_same(const struct pol_ct_entry *e, const struct pol_ct_key *k)
{
	__u32 ports;

	__builtin_memcpy(&ports, e->port_be, sizeof(ports));
	return ((e->addr[0].d_be[0] ^ k->addr[0]) | (e->addr[0].d_be[1] ^ k->addr[1]) |
		(e->addr[1].d_be[0] ^ k->addr[2]) | (e->addr[1].d_be[1] ^ k->addr[3]) |
		(ports ^ k->ports) | (e->proto ^ k->proto)) == 0;
}

/* Index of the lowest set bit of an 8-bit mask that is not 0, without branches. */
static __always_inline __u32 pol_lowest(__u64 m)
{
	__u64 a = 0xaa, b = 0xcc, c = 0xf0;

	m &= -m;
	a &= m, b &= m, c &= m;
	return (-a >> 63) | (-b >> 63) << 1 | (-c >> 63) << 2;
}

/* Bit i: tag i of a bucket is in use and carries the signature of want. */
static __always_inline __u64 pol_tags_match(const __u64 *tag, __u64 want)
{
	__u64 mask = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < POL_CT_WAYS; i++) {
		__u64 x = (*(volatile __u64 *)&tag[i] ^ want) >> POL_TAG_SHIFT;

		pol_opaque(x);
		mask |= ((x - 1) >> 63) << i;
	}
	return mask;
}

/* The flow's way in this bucket, or POL_CT_WAYS; *tag: as it was before the key was read. */
static __always_inline __u32 pol_ct_way(struct pol_ct_bucket *b, const struct pol_ct_key *k,
					__u64 *tag)
{
	__u64 mask = pol_tags_match(b->tag, POL_TAG_USED | pol_ct_sig(k->hash));

	/* a second candidate with the same 40 bits: a duplicate on its way out */
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 2 && mask; tries++) {
		__u32 way = pol_lowest(mask);

		pol_opaque(way);
		way &= POL_CT_WAYS - 1;
		*tag = *(volatile __u64 *)&b->tag[way];
		if (pol_ct_same(&b->entry[way], k))
			return way;
		mask &= mask - 1;
	}
	return POL_CT_WAYS;
}

/* The slot + 1 of p->key in its first or second bucket; 0: not there. */
__noinline int pol_ct_in(struct pol_pkt *p, __u32 second)
{
	struct pol_ct_bucket *b;
	__u32 no, way;
	__u64 tag;

	if (!p)
		return 0;
	no = pol_ct_bucket_no(p->key.hash, second);
	b = bpf_map_lookup_elem(&ct, &no);
	if (!b)
		return 0;
	way = pol_ct_way(b, &p->key, &tag);
	return way < POL_CT_WAYS ? no * POL_CT_WAYS + way + 1 : 0;
}

/*
 * Finds the flow of p->key in either bucket and returns p->slot; 0 if there is none.
 * Whoever uses the entry compares its key again: the slot may change hands meanwhile.
 */
static __always_inline __u32 pol_ct_seek(struct pol_pkt *p)
{
	p->slot = pol_ct_in(p, 0);
	if (!p->slot)
		p->slot = pol_ct_in(p, 1);
	return p->slot;
}

static __always_inline struct pol_ct_bucket *pol_ct_slot(__u32 slot, __u32 *way)
{
	__u32 no = (slot - 1) / POL_CT_WAYS;

	*way = (slot - 1) & (POL_CT_WAYS - 1);
	return bpf_map_lookup_elem(&ct, &no);
}

/* The entry of p->key, looked up once more; NULL if there is none. */
static __always_inline struct pol_ct_entry *pol_ct_entry(struct pol_pkt *p)
{
	struct pol_ct_bucket *b;
	__u32 way;

	if (!pol_ct_seek(p))
		return NULL;
	b = pol_ct_slot(p->slot, &way);
	return b && pol_ct_same(&b->entry[way], &p->key) ? &b->entry[way] : NULL;
}

/*
 * Both endpoints that were asked are still there: whoever got a number or an address
 * since then inherits nothing.  Endpoint 0 is none, and has incarnation 0.
 */
static __always_inline int pol_ct_ends_live(const struct pol_ct_entry *e)
{
	__u32 from = e->ep[POL_EGRESS], to = e->ep[POL_INGRESS];
	const struct pol_ep_state *f, *t;

	f = bpf_map_lookup_elem(&ep_state, &from);
	t = bpf_map_lookup_elem(&ep_state, &to);
	return f && t && (__u16)f->incarnation == e->incarnation[POL_EGRESS] &&
	       (__u16)t->incarnation == e->incarnation[POL_INGRESS];
}

/* Judged by this generation, too. */
static __always_inline int pol_ct_valid(const struct pol_ct_entry *e)
{
	return e->gen == (__u32)pol_generation && pol_ct_ends_live(e);
}

static __always_inline int pol_ct_expired(const struct pol_ct_entry *e, __u32 now)
{
	/* signed: another CPU's coarse clock may be a tick ahead of ours */
	return (__s32)(now - e->seen) > (__s32)pol_ct_timeout(e->state);
}

static __always_inline int pol_ct_dead(const struct pol_ct_entry *e, __u32 now)
{
	return pol_ct_expired(e, now) || !pol_ct_ends_live(e);
}

/* POL_CT_PROXY or POL_CT_ONWARD; 0: the proxy has no part in it. */
static __always_inline __u8 pol_proxied(const struct pol_ct_entry *e)
{
	if (!POL_USES_HTTP || e->proto != IPPROTO_TCP)
		return 0;
	return e->icmp_type & (POL_CT_PROXY | POL_CT_ONWARD);
}

/*
 * As pol_ct_dead(), for a packet of the flow itself.  A RST is anybody's who knows the ports: what it closed
 * without both FINs may have its place taken by others soon, but while nobody does it lives as long as one that is
 * half closed.
 */
static __always_inline int pol_ct_gone(const struct pol_ct_entry *e, __u32 now)
{
	const __u8 said = POL_CT_REPLIED | POL_CT_FIN_ORIG | POL_CT_FIN_REPLY;
	__u8 state = e->state;

	if (state == POL_CT_CLOSED && e->flags & POL_CT_REPLIED && (e->flags & said) != said &&
	    !pol_proxied(e))
		state = POL_CT_CLOSING;
	return (__s32)(now - e->seen) > (__s32)pol_ct_timeout(state) || !pol_ct_ends_live(e);
}

static __always_inline int pol_ct_is_half(__u8 state)
{
	return state == POL_CT_SYN_SENT || state == POL_CT_SYN_RECV || state == POL_CT_UNREPLIED;
}

/* Frees the slot if p's flow is still there; a new owner is left alone. */
__noinline int pol_ct_remove(struct pol_pkt *p, __u32 slot)
{
	struct pol_ct_bucket *b;
	__u32 way;
	__u64 tag;

	b = p ? pol_ct_slot(slot, &way) : NULL;
	if (!b)
		return 0;
	tag = *(volatile __u64 *)&b->tag[way];
	if ((tag & ~POL_TAG_VERSION) != (POL_TAG_USED | pol_ct_sig(p->key.hash)))
		return 0;
	if (!pol_ct_same(&b->entry[way], &p->key))
		return 0;
	__sync_val_compare_and_swap(&b->tag[way], tag, (tag + 1) & POL_TAG_VERSION);
	return 0;
}

#endif
