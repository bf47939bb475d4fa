/* SPDX-License-Identifier: GPL-2.0-only */
#include "maglev.h"

#define SHARES 500u /* places for the least weight */
#define NOBODY 0xffffu

_Static_assert(POL_MAGLEV_BACKENDS < NOBODY, "an index fits a place");

uint32_t pol_maglev_size(const struct pol_maglev *b, size_t n)
{
	/* the largest primes below powers of two; 131,071 and 524,287 are Mersenne's */
	static const uint32_t prime[] = { 16381, 32749, 65521, 131071, 262139, 524287, 1048573 };
	uint64_t sum = 0, least = UINT32_MAX;
	size_t i = 0;

	for (size_t k = 0; k < n; k++) {
		sum += b[k].weight;
		if (b[k].weight && b[k].weight < least)
			least = b[k].weight;
	}
	while (i + 1 < POL_ARRAY_LEN(prime) && (uint64_t)prime[i] * least < sum * SHARES)
		i++;
	return prime[i];
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* One backend's own order of all places: at, at + skip, ... modulo the prime. */
struct turn {
	uint32_t at, skip;
	uint32_t credit;
	uint16_t backend;
	uint64_t id;
};

static int by_id(const void *pa, const void *pb)
{
	const struct turn *a = pa, *b = pb;

	return (a->id > b->id) - (a->id < b->id);
}

/* Who takes part, in an order that does not depend on that of b; how many. */
static size_t turns_of(const struct pol_maglev *b, size_t n, uint32_t size, struct turn *t)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		if (!b[i].weight)
			continue;
		t[m++] =
			(struct turn){ .at = (uint32_t)(mix(b[i].id ^ 0x6f6666736574u) % size),
				       .skip = (uint32_t)(mix(b[i].id ^ 0x736b6970u) % (size - 1)) +
					       1,
				       .backend = (uint16_t)i,
				       .id = b[i].id };
	}
	if (m)
		qsort(t, m, sizeof(*t), by_id);
	return m;
}

static void take_place(struct turn *t, uint16_t *ring, uint32_t size)
{
	while (ring[t->at] != NOBODY)
		t->at = (t->at + t->skip) % size;
	ring[t->at] = t->backend;
}

/* In rounds: the heaviest takes a place in each, the others in as many as their weight says. */
static void fill_all(const struct pol_maglev *b, struct turn *t, size_t m, uint16_t *ring,
		     uint32_t size)
{
	uint32_t most = 0, left = size;

	for (size_t i = 0; i < m; i++)
		most = b[t[i].backend].weight > most ? b[t[i].backend].weight : most;
	while (left)
		for (size_t i = 0; i < m && left; i++) {
			t[i].credit += b[t[i].backend].weight;
			if (t[i].credit < most)
				continue;
			t[i].credit -= most;
			take_place(&t[i], ring, size);
			left--;
		}
}

/* Who serves place `at`, whose backend is not up: weighted as the ring is, the same everywhere. */
static uint16_t instead(const struct pol_maglev *b, const struct turn *t, size_t m,
			const uint16_t *ring, uint32_t size, uint32_t at)
{
	uint64_t x = at;

	for (unsigned tries = 0; tries < 64; tries++) {
		x = mix(x + 0x9e3779b97f4a7c15u);
		if (b[ring[x % size]].up)
			return ring[x % size];
	}
	/* hardly anybody is: the next one, from somewhere on */
	for (size_t i = 0; i < m; i++)
		if (b[t[(x + i) % m].backend].up)
			return t[(x + i) % m].backend;
	return NOBODY;
}

size_t pol_maglev_fill(const struct pol_maglev *b, size_t n, uint16_t *ring, uint32_t size)
{
	struct turn *t = calloc(n + 1, sizeof(*t));
	uint16_t *all = malloc(size * sizeof(*all));
	size_t m, up = 0;

	if (!t || !all)
		pol_no_memory();
	m = turns_of(b, n, size, t);
	for (size_t i = 0; i < m; i++)
		up += b[t[i].backend].up;
	if (up) {
		memset(all, 0xff, size * sizeof(*all));
		fill_all(b, t, m, all, size);
		for (uint32_t i = 0; i < size; i++) {
			uint16_t who = b[all[i]].up ? all[i] : instead(b, t, m, all, size, i);

			__atomic_store_n(&ring[i], who, __ATOMIC_RELAXED);
		}
	}
	free(all);
	free(t);
	return up;
}
