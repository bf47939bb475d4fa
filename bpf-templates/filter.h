/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters: ordered lines without state, first match wins, decided by tables (polc/tables.h).
 *
 * Indices are masked, so neither a wrong table nor a wrong packet can make a load leave its
 * array.  Of a datagram in fragments the first one is judged; the others pass behind one that passed.
 */
#ifndef POL_BPF_FILTER_H
#define POL_BPF_FILTER_H

#include "edge_event.h"
#include "filter_array.h"
#include "frag.h"
#include "limit.h"

#if POL_USES_FILTERS

/* ---- addresses ------------------------------------------------------------------- */

#define POL_FILTER_STEPS 24	/* halvings of as many elements as fit */

/*
 * Both sides' searches wait for nothing but themselves, and their number of loads for nothing at all, so
 * the processor does them side by side.
 */
static __always_inline __u32 pol_filter_v4(const struct pol_filter_side *s, __u32 addr)
{
	__u64 rest = pol_search4_rest(addr, s->shift);
	__u32 at = pol_filter_half_word(s->top + (addr >> (s->shift & 31)));

#pragma clang loop unroll(full)
	for (__u32 i = 0; i < POL_LEVELS4_MAX; i++) {
		if (i >= s->levels)
			break;
		at = pol_search4_next(pol_filter_node(s->elem + at * POL_NODE4_DOUBLES), rest);
	}
	return at;
}

/* Which of the side's high halves is the last that is not above x. */
static __always_inline __u32 pol_filter_high(const struct pol_filter_side *s, __u64 x)
{
	__u64 at = pol_filter_word(s->top + (__u32)(x >> (s->shift & 63))), left = s->most;

#pragma clang loop unroll(full)
	for (int i = 0; i < POL_FILTER_STEPS; i++) {
		__u64 half = left >> 1, above;

		if (!half)
			break;
		above = -pol_lt(x, pol_filter_double(s->elem + at + half));
		pol_opaque(above);
		at += half & ~above;
		left -= half;
	}
	return at;
}

/*
 * The last of the n elements of a group of low halves that is not above lo; global, that the
 * verifier walks the loop once.
 */
__noinline __u64 pol_filter_low(__u32 at, __u32 n, __u64 lo)
{
	__u64 place = at, left = n;

	for (int i = 0; i < POL_FILTER_STEPS; i++) {
		__u64 half = left >> 1, m;

		if (!half)
			break;
		m = pol_lt(lo, pol_filter_double(place + 2 * half)) - 1;
		pol_opaque(m);
		place += 2 * half & m;
		left -= half;
		pol_opaque(place);
		pol_opaque(left);
	}
	return place;
}

/* Few prefixes are longer than /64: one look at the low half, unless it has a group of its own. */
static __always_inline __u32 pol_filter_v6(const struct pol_filter_side *s, __u64 hi, __u64 lo)
{
	__u32 at = pol_filter_high(s, hi), low;

	if (pol_filter_double(s->elem + at) != hi)
		return pol_filter_word(s->slot + 2 * at);
	low = pol_filter_word(s->slot + 2 * at + 1);
	if (pol_likely(!(low & POL_V6_LOW)))
		return low;
	low = s->low + 2 * (low & ~POL_V6_LOW);
	at = pol_filter_low(low, (__u32)pol_filter_double(low + 1), lo);
	return pol_filter_double(at + 1) >> 32;
}

static __always_inline __u32 pol_filter_row(const struct pol_filter_side *s, const struct pol_addr *a,
					    int v6)
{
	__u64 hi;
	__u32 addr;

	/*
	 * Opaque: the leading 16 bits of what is turned round would be a be16, whose result may be
	 * anything to verifiers before Linux 6.10, so no index.
	 */
	if (v6) {
		hi = bpf_be64_to_cpu(a->d_be[0]);
		pol_opaque(hi);
		return pol_filter_v6(s, hi, bpf_be64_to_cpu(a->d_be[1]));
	}
	addr = bpf_ntohl(a->w_be[3]);
	pol_opaque(addr);
	return pol_filter_v4(s, addr);
}

/* All classes of a row, read at once. */
struct pol_filter_classes {
	__u64 d[2];
};

static __always_inline void pol_filter_classes(const struct pol_filter_half *h, __u32 side, __u32 row,
					       struct pol_filter_classes *to)
{
	int wide = h->flags & POL_FILTER_WIDE;

	to->d[0] = pol_filter_double(h->side[side].row + (row << !!wide));
	to->d[1] = wide ? pol_filter_double(h->side[side].row + 2 * row + 1) : 0;
}

static __always_inline __u64 pol_filter_class(const struct pol_filter_half *h,
					      const struct pol_filter_classes *c, __u32 g)
{
	if (h->flags & POL_FILTER_WIDE)
		return c->d[g / 2] >> g % 2 * 32 & 0xffffffff;
	return c->d[0] >> g * 16 & 0xffff;
}

/* ---- kinds -------------------------------------------------------------------------- */

static __always_inline __u32 pol_filter_kind(const struct pol_filter_half *h, const struct pol_edge *p)
{
	__u32 key = p->dport | p->icmp_type; /* a protocol has one of them, or none */
	__u32 row = pol_filter_half_word(h->l4_row + p->proto), page, at;

	page = pol_filter_half_word(h->l4_page + row * 256 + (key >> 8));
	at = pol_filter_half_word(h->l4_class + page * 256 + (key & 255));
	/* one class: few filters ask for source ports or flags */
	if (h->nsports > 1) {
		page = pol_filter_half_word(h->sport_page + (p->sport >> 8));
		at = at * h->nsports + pol_filter_half_word(h->sport_class + page * 256 + (p->sport & 255));
	}
	if (h->nflags > 1)
		at = at * h->nflags + pol_filter_half_word(h->flag_class + p->tcp_flags);
	return pol_filter_word(h->kind + at);
}

/* ---- cells ---------------------------------------------------------------------------- */

/*
 * What the first line of group g says that holds, or POL_FILTER_NONE.  Two ways out before the end: nobody can
 * guess them, but what waits for a cell then is the guess alone, and the next packet goes on meanwhile.
 */
static __always_inline __u32 pol_filter_cell(const struct pol_filter_half *h, __u32 g, __u64 src, __u64 dst,
					     __u32 kind)
{
	__u64 key = POL_FILTER_KEY(src, dst), hashed = key * h->group[g].mul, cell, says;
	__u32 spread, at, nth;

	if (!src || !dst)
		return POL_FILTER_NONE;
	spread = pol_filter_half_word(h->group[g].spread + (__u32)(hashed >> (h->group[g].shift & 63)));
	at = (__u64)((__u32)(hashed >> 24) * spread) * h->group[g].cells >> 32;
	at = h->group[g].cell + 2 * at;
	pol_opaque(at); /* clang knows its bounds and would not mask it; verifiers before 6.10 do not know them */
	cell = pol_filter_double(at);
	if ((cell ^ key) << (64 - POL_FILTER_KEY_BITS))
		return POL_FILTER_NONE;
	says = pol_filter_double(at + 1);
	at = (__u32)(cell >> POL_FILTER_KEY_BITS) * h->nkinds + kind + h->pattern;
	nth = h->flags & POL_FILTER_LONG ? pol_filter_half_word(at) : pol_filter_byte(at);
	if (says & POL_FILTER_LIST)
		return pol_filter_word((__u32)says + nth) - 1;
	says >>= 63 - nth * POL_FILTER_LINE_BITS & 63;
	return (says & (1u << POL_FILTER_LINE_BITS) - 1) - 1;
}

static __always_inline __u32 pol_filter_less(__u64 x, __u64 y)
{
	__s64 less = x - y;

	pol_opaque(less);
	return y + (less & less >> 63);
}

/* ---- one filter -------------------------------------------------------------------------- */

#if POL_DYNAMIC_SETS
#include "filter_dynamic.h"
#endif

/* Lines that limit or name a dynamic set: which hold, as bits. */
static __always_inline __u64 pol_filter_holds(const struct pol_filter_head *head,
					      const struct pol_filter_half *h, struct pol_edge *p,
					      __u32 src, __u32 dst, __u32 kind)
{
	__u64 s = pol_filter_double(h->side[0].mask + src), d = pol_filter_double(h->side[1].mask + dst);

#if POL_DYNAMIC_SETS
	s |= pol_dynamic_lines(head, p->in_sets[0], 0);
	d |= pol_dynamic_lines(head, p->in_sets[1], 1);
#endif
	return s & d & pol_filter_double(h->kind_mask + kind);
}

#if POL_USES_FILTER_LIMITS
/* 0, or what the first of the limits says that stands before `says` and is empty, + 1. */
__noinline __u32 pol_filter_limits(struct pol_edge *p, __u32 f, __u32 says, __u64 holds)
{
	const struct pol_filter_head *head;

	if (!p || f >= POL_FILTERS)
		return 0;
	head = &pol_filter_head[f];
	for (int i = 0; i < POL_FILTER_SPECIAL; i++) {
		__u32 bit, mine;

		if (!holds)
			break;
		bit = pol_lowest64(holds);
		holds &= holds - 1;
		mine = pol_filter_word(head->special + bit);
		if (mine >= says)
			break;
		if (pol_limit_line(pol_filter_word(head->limit + bit), &p->src, p->v6))
			return mine + 1;
	}
	return 0;
}
#endif

/*
 * What the filter says: POL_FILTER_SAYS of the line that decides; p->limited tells an empty
 * limit.  f and v6 are constants, and with them all that the heads say: most of what is asked of
 * them here costs nothing.
 */
static __always_inline __u32 pol_filter_says(struct pol_edge *p, __u32 f, int v6)
{
	const struct pol_filter_head *head = &pol_filter_head[f];
	const struct pol_filter_half *h = &pol_filter_half[2 * f + v6];
	__u32 src, dst, kind, says = head->last, mine;
	struct pol_filter_classes of[2];
	__u64 holds;

	src = pol_filter_row(&h->side[0], &p->src, v6);
	dst = pol_filter_row(&h->side[1], &p->dst, v6);
	pol_filter_classes(h, 0, src, &of[0]);
	pol_filter_classes(h, 1, dst, &of[1]);
	kind = pol_filter_kind(h, p);
#pragma clang loop unroll(full)
	for (__u32 g = 0; g < POL_FILTER_GROUPS; g++) {
		if (g >= h->ngroups)
			break;
		mine = pol_filter_cell(h, g, pol_filter_class(h, &of[0], g),
				       pol_filter_class(h, &of[1], g), kind);
		says = pol_filter_less(mine, says);
	}
	if (!head->nspecial)
		return says;
	holds = pol_filter_holds(head, h, p, src, dst, kind);
	if (holds & ~head->limits) {
		mine = pol_filter_word(head->special + pol_lowest64(holds & ~head->limits));
		if (mine < says)
			says = mine;
	}
#if POL_USES_FILTER_LIMITS
	if (holds & head->limits) {
		mine = pol_filter_limits(p, f, says, holds & head->limits);
		if (mine) {
			p->limited = 1;
			return mine - 1;
		}
	}
#endif
	return says;
}

/* A function each, which the verifier walks apart. */
#define POL_FILTER_FUNCTIONS(f)                                                                   \
	__noinline __u32 pol_filter_v4_##f(struct pol_edge *p)                                    \
	{                                                                                         \
		return p ? pol_filter_says(p, f, 0) : 0;                                          \
	}                                                                                         \
	__noinline __u32 pol_filter_v6_##f(struct pol_edge *p)                                    \
	{                                                                                         \
		return p ? pol_filter_says(p, f, 1) : 0;                                          \
	}

POL_EACH_FILTER(POL_FILTER_FUNCTIONS)

/* ---- fragments ------------------------------------------------------------------------------- */

#ifndef POL_EDGE_FRAGS_MAX
#define POL_EDGE_FRAGS_MAX 8192u
#endif

/*
 * A table of its own, beside that of the TC hooks: what passed here is not what they let
 * through.  Bounded: whoever floods it loses fragments, of others too, never packets.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, POL_EDGE_FRAGS_MAX);
	__type(key, struct pol_frag_key);
	__type(value, struct pol_frag);
} edge_frags SEC(".maps");

static __always_inline void pol_edge_frag_key(struct pol_frag_key *k, const struct pol_edge *p)
{
	k->src = p->src;
	k->dst = p->dst;
	k->id_be = p->frag_id;
	k->proto = p->frag_proto;
}

/* A dropped one takes back what an earlier one got. */
__noinline int pol_edge_frag_first(struct pol_edge *p, __u32 reason)
{
	struct pol_frag_key k = {};
	struct pol_frag f = {};

	if (!p)
		return POL_REASON_INTERNAL;
	pol_edge_frag_key(&k, p);
	if (reason) {
		bpf_map_delete_elem(&edge_frags, &k);
		return reason;
	}
	f.seen_ns = (__u64)pol_seconds() * 1000000000ull;
	f.next_offset = p->frag_off;
	f.pass = 1;
	f.gen = (__u32)pol_generation;
	return bpf_map_update_elem(&edge_frags, &k, &f, BPF_ANY) ? POL_REASON_FRAG_FULL : 0;
}

/* See pol_frag_hides() and pol_frag_later(). */
__noinline int pol_edge_frag_later(struct pol_edge *p)
{
	struct pol_frag_key k = {};
	struct pol_frag *f;
	__u32 least;

	if (!p)
		return POL_REASON_INTERNAL;
	least = p->frag_proto == IPPROTO_TCP ? 20 : p->frag_proto == IPPROTO_SCTP ? 12 : 8;
	if (p->frag_off < least)
		return POL_REASON_FRAG_TINY;
	pol_edge_frag_key(&k, p);
	f = bpf_map_lookup_elem(&edge_frags, &k);
	if (!f || !f->pass || f->gen != (__u32)pol_generation ||
	    pol_seconds() > f->seen_ns / 1000000000ull + POL_FRAG_TTL)
		return POL_REASON_FRAG_UNKNOWN;
	return p->frag_off < f->next_offset ? POL_REASON_FRAG_TINY : 0;
}

/* ---- all filters of an uplink --------------------------------------------------------------------- */

static __always_inline void pol_filter_count(const struct pol_edge *p, __u32 rule)
{
	struct pol_rule_hits *h = bpf_map_lookup_elem(&rule_hits, &rule);

	if (!h)
		return;
	h->packets++;
	h->bytes += p->len;
	h->last_ns = (__u64)pol_seconds() * 1000000000ull;
}

#define POL_SAYS_PASS 1u
#define POL_SAYS_LOG 2u

/* One filter has spoken: 0 if the packet goes on, else why it does not. */
static __always_inline int pol_filter_meet(struct pol_edge *p, __u32 f, __u32 says)
{
	__u32 rule = pol_filter_head[f].rule + (says >> 2);
	int reason = p->limited ? POL_REASON_LIMIT : says & POL_SAYS_PASS ? 0 : POL_REASON_FILTER;

	p->rule = rule;
	pol_filter_count(p, rule);
#if POL_USES_FILTER_LOG
	if (says & POL_SAYS_LOG)
		pol_edge_event(p, reason ? POL_EVENT_DROP : POL_EVENT_NEW, reason);
#endif
	return reason;
}

#define POL_FILTER_ASK(f)                                                                         \
	if (!reason && filters >> f & 1)                                                          \
		reason = pol_filter_meet(p, f, p->v6 ? pol_filter_v6_##f(p) : pol_filter_v4_##f(p));

static __always_inline int pol_filter_chain(struct pol_edge *p, __u64 filters)
{
	int reason = 0;

	if (p->reason)
		return p->reason;
	if (pol_unlikely(p->frag == POL_FRAG_LATER))
		return pol_edge_frag_later(p);
#if POL_DYNAMIC_SETS
	pol_dynamic_look(p);
#endif
	POL_EACH_FILTER(POL_FILTER_ASK)
	if (pol_unlikely(p->frag == POL_FRAG_FIRST))
		reason = pol_edge_frag_first(p, reason);
	return reason;
}

/*
 * Every filter that the uplink has, in the order of the text: a packet must pass all.  What is not IP
 * passes, as it does at TC: filters know nothing of it, and without ARP there is no IP.
 */
static __always_inline int pol_filters(struct pol_edge *p, const struct pol_if *uplink)
{
	int reason;

	p->rule = POL_NO_RULE;
	if (!uplink->filters || (!p->reason && !pol_edge_is_ip(p)))
		return 0;
	reason = pol_filter_chain(p, uplink->filters);
	pol_edge_scratch(p, reason);
	if (reason && pol_unlikely(uplink->flags & POL_IF_AUDIT)) {
		pol_edge_event(p, POL_EVENT_AUDIT, reason);
		return 0;
	}
	return reason;
}

#endif
#endif
