/* SPDX-License-Identifier: GPL-2.0-only */
#include "ranges.h"

/* Is a point kept that lies in neither, in x, in y, in both? */
static const bool kept[][2][2] = {
	[POL_SET_UNION] = { { false, true }, { true, true } },
	[POL_SET_INTERSECT] = { { false, false }, { false, true } },
	[POL_SET_SUBTRACT] = { { false, false }, { true, false } },
};

/*
 * The same algebra for both widths.  combine walks the bounds of both lists:
 * from `at` to `end` nothing begins or ends, so one answer holds there.
 * out has room for nx + ny.
 */
#define RANGE_ALGEBRA(bits, range, value)                                                          \
	static int cmp##bits(const void *pa, const void *pb)                                       \
	{                                                                                          \
		const range *a = pa, *b = pb;                                                      \
                                                                                                   \
		return (a->lo > b->lo) - (a->lo < b->lo);                                          \
	}                                                                                          \
                                                                                                   \
	size_t pol_range##bits##_normalise(range *r, size_t n)                                     \
	{                                                                                          \
		size_t out = 0, i = 1;                                                             \
                                                                                                   \
		while (i < n && r[i - 1].lo <= r[i].lo)                                            \
			i++;                                                                       \
		if (i < n)                                                                         \
			qsort(r, n, sizeof(*r), cmp##bits);                                        \
		for (i = 0; i < n; i++) {                                                          \
			if (out && (r[out - 1].hi >= r[i].lo || r[out - 1].hi + 1 == r[i].lo)) {   \
				if (r[i].hi > r[out - 1].hi)                                       \
					r[out - 1].hi = r[i].hi;                                   \
			} else {                                                                   \
				r[out++] = r[i];                                                   \
			}                                                                          \
		}                                                                                  \
		return out;                                                                        \
	}                                                                                          \
                                                                                                   \
	size_t pol_range##bits##_combine(enum pol_set_op op, const range *x, size_t nx,            \
					 const range *y, size_t ny, range *out)                    \
	{                                                                                          \
		size_t i = 0, j = 0, n = 0;                                                        \
		value at = 0, end;                                                                 \
                                                                                                   \
		while (i < nx || j < ny) {                                                         \
			bool in_x = i < nx && x[i].lo <= at, in_y = j < ny && y[j].lo <= at;       \
                                                                                                   \
			end = (value)-1;                                                           \
			if (i < nx)                                                                \
				end = in_x ? x[i].hi : x[i].lo - 1;                                \
			if (j < ny && (in_y ? y[j].hi : y[j].lo - 1) < end)                        \
				end = in_y ? y[j].hi : y[j].lo - 1;                                \
			if (kept[op][in_x][in_y]) {                                                \
				if (n && out[n - 1].hi + 1 == at)                                  \
					out[n - 1].hi = end;                                       \
				else                                                               \
					out[n++] = (range){ at, end };                             \
			}                                                                          \
			i += in_x && x[i].hi == end;                                               \
			j += in_y && y[j].hi == end;                                               \
			at = end + 1;                                                              \
		}                                                                                  \
		return n;                                                                          \
	}                                                                                          \
                                                                                                   \
	/* Index of the first range that ends at v or later. */                                    \
	static size_t seek##bits(const range *r, size_t n, value v)                                \
	{                                                                                          \
		size_t lo = 0;                                                                     \
                                                                                                   \
		while (n > 0) {                                                                    \
			size_t half = n / 2;                                                       \
                                                                                                   \
			if (r[lo + half].hi < v) {                                                 \
				lo += half + 1;                                                    \
				n -= half + 1;                                                     \
			} else {                                                                   \
				n = half;                                                          \
			}                                                                          \
		}                                                                                  \
		return lo;                                                                         \
	}                                                                                          \
                                                                                                   \
	static bool subset##bits(const range *x, size_t nx, const range *y, size_t ny)             \
	{                                                                                          \
		for (size_t i = 0; i < nx; i++) {                                                  \
			size_t j = seek##bits(y, ny, x[i].lo);                                     \
                                                                                                   \
			if (j == ny || y[j].lo > x[i].lo || y[j].hi < x[i].hi)                     \
				return false;                                                      \
		}                                                                                  \
		return true;                                                                       \
	}                                                                                          \
                                                                                                   \
	static bool overlap##bits(const range *x, size_t nx, const range *y, size_t ny)            \
	{                                                                                          \
		for (size_t i = 0; i < nx; i++) {                                                  \
			size_t j = seek##bits(y, ny, x[i].lo);                                     \
                                                                                                   \
			if (j < ny && y[j].lo <= x[i].hi)                                          \
				return true;                                                       \
		}                                                                                  \
		return false;                                                                      \
	}

RANGE_ALGEBRA(32, struct pol_range32, uint32_t)
RANGE_ALGEBRA(128, struct pol_range128, pol_u128)

static void *copy(struct pol_arena *a, const void *p, size_t n)
{
	return n ? memcpy(pol_arena_alloc(a, n), p, n) : NULL;
}

static struct pol_range32 *copy32(struct pol_arena *a, const struct pol_range32 *r, size_t n)
{
	return copy(a, r, n * sizeof(*r));
}

static struct pol_range128 *copy128(struct pol_arena *a, const struct pol_range128 *r, size_t n)
{
	return copy(a, r, n * sizeof(*r));
}

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		pol_no_memory();
	return p;
}

/* ---- L4 sets --------------------------------------------------------------- */

struct pol_l4set pol_l4set_all(struct pol_arena *a)
{
	return pol_l4set_of(a, &(struct pol_range32){ 0, POL_L4_KEY_MAX }, 1);
}

struct pol_l4set pol_l4set_of(struct pol_arena *a, const struct pol_range32 *r, size_t n)
{
	struct pol_l4set s = { .range = copy32(a, r, n) };

	s.n = pol_range32_normalise(s.range, n);
	return s;
}

struct pol_l4set pol_l4set_combine(struct pol_arena *a, enum pol_set_op op, struct pol_l4set x,
				   struct pol_l4set y)
{
	struct pol_range32 *out = room(x.n + y.n, sizeof(*out));
	struct pol_l4set s = { .n = pol_range32_combine(op, x.range, x.n, y.range, y.n, out) };

	s.range = copy32(a, out, s.n);
	free(out);
	return s;
}

bool pol_l4set_equal(struct pol_l4set x, struct pol_l4set y)
{
	return x.n == y.n && (!x.n || memcmp(x.range, y.range, x.n * sizeof(*x.range)) == 0);
}

bool pol_l4set_contains(struct pol_l4set x, uint32_t key)
{
	size_t i = seek32(x.range, x.n, key);

	return i < x.n && x.range[i].lo <= key;
}

bool pol_l4set_subset(struct pol_l4set x, struct pol_l4set of)
{
	return subset32(x.range, x.n, of.range, of.n);
}

bool pol_l4set_overlap(struct pol_l4set x, struct pol_l4set y)
{
	return overlap32(x.range, x.n, y.range, y.n);
}

uint64_t pol_l4set_hash(struct pol_l4set x)
{
	return pol_hash(x.range, x.n * sizeof(*x.range), 4);
}

/* ---- address sets ------------------------------------------------------------ */

struct pol_aset pol_aset_all(struct pol_arena *a)
{
	return pol_aset_of(a, &(struct pol_range32){ 0, UINT32_MAX }, 1,
			   &(struct pol_range128){ 0, (pol_u128)-1 }, 1);
}

struct pol_aset pol_aset_of(struct pol_arena *a, const struct pol_range32 *v4, size_t n4,
			    const struct pol_range128 *v6, size_t n6)
{
	struct pol_aset s = { .v4 = copy32(a, v4, n4), .v6 = copy128(a, v6, n6) };

	s.n4 = pol_range32_normalise(s.v4, n4);
	s.n6 = pol_range128_normalise(s.v6, n6);
	return s;
}

/* Of gathered ranges, which go. */
static struct pol_aset aset_take(struct pol_arena *a, struct pol_range32 *v4, size_t n4,
				 struct pol_range128 *v6, size_t n6)
{
	struct pol_aset s = {
		.n4 = pol_range32_normalise(v4, n4),
		.n6 = pol_range128_normalise(v6, n6),
	};

	s.v4 = copy32(a, v4, s.n4);
	s.v6 = copy128(a, v6, s.n6);
	free(v4);
	free(v6);
	return s;
}

struct pol_aset pol_aset_of_prefixes(struct pol_arena *a, const struct pol_prefix *p, size_t n)
{
	struct pol_range32 *v4 = room(n, sizeof(*v4));
	struct pol_range128 *v6 = room(n, sizeof(*v6));
	size_t n4 = 0, n6 = 0;

	for (size_t i = 0; i < n; i++) {
		struct pol_range128 r = pol_prefix_range(p[i]);

		if (p[i].addr.family == 4) {
			v4[n4++] = (struct pol_range32){ (uint32_t)r.lo, (uint32_t)r.hi };
			r.lo |= POL_NAT64_PREFIX;
			r.hi |= POL_NAT64_PREFIX;
		}
		v6[n6++] = r;
	}
	return aset_take(a, v4, n4, v6, n6);
}

struct pol_aset pol_aset_combine(struct pol_arena *a, enum pol_set_op op, struct pol_aset x,
				 struct pol_aset y)
{
	struct pol_range32 *v4 = room(x.n4 + y.n4, sizeof(*v4));
	struct pol_range128 *v6 = room(x.n6 + y.n6, sizeof(*v6));
	struct pol_aset s = {
		.n4 = pol_range32_combine(op, x.v4, x.n4, y.v4, y.n4, v4),
		.n6 = pol_range128_combine(op, x.v6, x.n6, y.v6, y.n6, v6),
	};

	s.v4 = copy32(a, v4, s.n4);
	s.v6 = copy128(a, v6, s.n6);
	free(v4);
	free(v6);
	return s;
}

struct pol_aset pol_aset_union(struct pol_arena *a, const struct pol_aset *v, const uint32_t *id,
			       size_t n)
{
	struct pol_range32 *v4;
	struct pol_range128 *v6;
	size_t n4 = 0, n6 = 0;

	for (size_t i = 0; i < n; i++) {
		n4 += v[id[i]].n4;
		n6 += v[id[i]].n6;
	}
	v4 = room(n4, sizeof(*v4));
	v6 = room(n6, sizeof(*v6));
	n4 = n6 = 0;
	for (size_t i = 0; i < n; i++) {
		const struct pol_aset *x = &v[id[i]];

		for (size_t k = 0; k < x->n4; k++)
			v4[n4++] = x->v4[k];
		for (size_t k = 0; k < x->n6; k++)
			v6[n6++] = x->v6[k];
	}
	return aset_take(a, v4, n4, v6, n6);
}

bool pol_aset_empty(struct pol_aset x)
{
	return x.n4 == 0 && x.n6 == 0;
}

bool pol_aset_equal(struct pol_aset x, struct pol_aset y)
{
	return x.n4 == y.n4 && x.n6 == y.n6 &&
	       (!x.n4 || memcmp(x.v4, y.v4, x.n4 * sizeof(*x.v4)) == 0) &&
	       (!x.n6 || memcmp(x.v6, y.v6, x.n6 * sizeof(*x.v6)) == 0);
}

bool pol_aset_contains(struct pol_aset x, struct pol_ip ip)
{
	pol_u128 v = pol_u128_of(ip);
	size_t i;

	if (ip.family == 4) {
		i = seek32(x.v4, x.n4, (uint32_t)v);
		return i < x.n4 && x.v4[i].lo <= (uint32_t)v;
	}
	i = seek128(x.v6, x.n6, v);
	return i < x.n6 && x.v6[i].lo <= v;
}

bool pol_aset_subset(struct pol_aset x, struct pol_aset of)
{
	return subset32(x.v4, x.n4, of.v4, of.n4) && subset128(x.v6, x.n6, of.v6, of.n6);
}

bool pol_aset_overlap(struct pol_aset x, struct pol_aset y)
{
	return overlap32(x.v4, x.n4, y.v4, y.n4) || overlap128(x.v6, x.n6, y.v6, y.n6);
}

uint64_t pol_aset_hash(struct pol_aset x)
{
	return pol_hash(x.v6, x.n6 * sizeof(*x.v6), pol_hash(x.v4, x.n4 * sizeof(*x.v4), 6));
}

/* ---- single addresses ---------------------------------------------------------- */

pol_u128 pol_u128_of(struct pol_ip ip)
{
	return (pol_u128)ip.hi << 64 | ip.lo;
}

struct pol_ip pol_ip_of(pol_u128 value, uint8_t family)
{
	return (struct pol_ip){ .hi = (uint64_t)(value >> 64),
				.lo = (uint64_t)value,
				.family = family };
}

struct pol_range128 pol_prefix_range(struct pol_prefix p)
{
	unsigned bits = p.addr.family == 4 ? 32 : 128, free_bits = bits - p.len;
	pol_u128 mask = free_bits == 128 ? (pol_u128)-1 : ((pol_u128)1 << free_bits) - 1;
	pol_u128 v = pol_u128_of(p.addr);

	return (struct pol_range128){ v & ~mask, v | mask };
}
