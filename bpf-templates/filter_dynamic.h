/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets that change while the policy is in force (polc/abi.h, "dynamic sets").  What is in one is a
 * map of its own, and `sets` names it: a change is one store, so a packet meets the set before or
 * the set after, however many prefixes come and go.
 */
#ifndef POL_BPF_FILTER_DYNAMIC_H
#define POL_BPF_FILTER_DYNAMIC_H

#include "edge_parse.h"
#include "filter_array.h"

struct pol_set_image {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	/* sizes: of a type that only a map inside a map names clang writes no more than the name */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct pol_set_line));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POL_DYNAMIC_MAX);
	__type(key, __u32);
	__array(values, struct pol_set_image);
} sets SEC(".maps");

/* Set by the loader: which place of `sets` a set of this object has. */
const volatile __u32 pol_set_slot[POL_DYNAMIC_MAX] = {};

static __always_inline __u64 pol_set_double(void *image, __u32 at)
{
	__u32 line = at >> 3;
	struct pol_set_line *l = bpf_map_lookup_elem(image, &line);

	return l ? l->d[at & 7] : 0;
}

/* 1 if bound `at` is not above the address. */
static __always_inline int pol_set_below(void *image, const struct pol_set_half *h, __u32 at,
					 __u64 hi, __u64 lo, int v6)
{
	__u64 bound;

	if (!v6) {
		bound = pol_set_double(image, h->bound + (at >> 1));
		return (__u32)(at & 1 ? bound >> 32 : bound) <= hi;
	}
	bound = pol_set_double(image, h->bound + 2 * at);
	return bound < hi || (bound == hi && pol_set_double(image, h->bound + 2 * at + 1) <= lo);
}

#define POL_SET_STEPS 24

/* Bounds begin and end ranges in turn: an odd number of them below an address, and it is inside. */
__noinline int pol_set_has(__u32 slot, struct pol_addr *a, __u32 v6)
{
	struct pol_set_half h;
	struct pol_set_line *l;
	__u32 zero = 0, n, at;
	__u64 hi, lo, t, bucket;
	void *image;

	pol_opaque(v6);
	if (!a)
		return 0;
	image = bpf_map_lookup_elem(&sets, &slot);
	if (!image)
		return 0;
	l = bpf_map_lookup_elem(image, &zero);
	if (!l)
		return 0;
	__builtin_memcpy(&h, &l->d[v6 ? 4 : 0], sizeof(h));
	hi = v6 ? bpf_be64_to_cpu(a->d_be[0]) : bpf_ntohl(a->w_be[3]);
	lo = v6 ? bpf_be64_to_cpu(a->d_be[1]) : 0;
	if (!h.n || hi < h.base)
		return 0;
	t = (hi - h.base) >> (h.shift & 63);
	if (t >= h.buckets)
		return h.n & 1;
	bucket = pol_set_double(image, h.bucket + t);
	at = bucket >> 32;
	n = bucket;
	for (int i = 0; i < POL_SET_STEPS; i++) {
		__u32 half = n >> 1;

		if (!n)
			break;
		if (pol_set_below(image, &h, at + half, hi, lo, v6)) {
			at += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return at & 1;
}

/* Which sets hold source and destination. */
static __always_inline void pol_dynamic_look(struct pol_edge *p)
{
	for (__u32 d = 0; d < POL_DYNAMIC_SETS; d++) {
		__u32 slot = pol_set_slot[d];

		if (POL_DYNAMIC_SRC >> d & 1)
			p->in_sets[0] |= (__u64)(pol_set_has(slot, &p->src, p->v6) & 1) << d;
		if (POL_DYNAMIC_DST >> d & 1)
			p->in_sets[1] |= (__u64)(pol_set_has(slot, &p->dst, p->v6) & 1) << d;
	}
}

/*
 * The special lines of a filter whose source (side 0) or destination is in one of these sets.  Asks those
 * alone that hold it: a question for each set would double the verifier's paths as often.
 */
static __always_inline __u64 pol_dynamic_lines(const struct pol_filter_head *head, __u64 in, int side)
{
	__u64 lines = 0;

#pragma clang loop unroll(disable)
	for (__u32 n = 0; n < POL_DYNAMIC_SETS; n++) {
		if (!in)
			break;
		lines |= pol_filter_double(head->dynamic + 2 * pol_lowest64(in) + side);
		in &= in - 1;
	}
	return lines;
}

#endif
