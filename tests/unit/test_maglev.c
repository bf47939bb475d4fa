/* SPDX-License-Identifier: GPL-2.0-only */
/* Maglev: what the load is, and who moves; and the table of VIPs. */
#include <arpa/inet.h>
#include <polc/service.h>
#include <stdio.h>

#include "base/maglev.h"

static unsigned tests, failures;

static void check(bool good, const char *what, double seen)
{
	tests++;
	failures += !good;
	printf("%sok %u - %s (%.4f)\n", good ? "" : "not ", tests, what, seen);
}

static struct pol_maglev *some(size_t n, uint32_t (*weight)(size_t))
{
	struct pol_maglev *b = calloc(n, sizeof(*b));

	for (size_t i = 0; b && i < n; i++) {
		uint64_t name[2] = { 0x0a000000 + i, 8080 };

		b[i] = (struct pol_maglev){ pol_hash(name, sizeof(name), 0), weight(i), true };
	}
	return b;
}

static uint32_t equal(size_t i)
{
	(void)i;
	return 1;
}

static uint32_t mixed(size_t i)
{
	return 1 + (uint32_t)(i % 5);
}

static uint16_t *ring_of(const struct pol_maglev *b, size_t n, uint32_t size)
{
	uint16_t *ring = calloc(size, sizeof(*ring));

	if (!ring || !pol_maglev_fill(b, n, ring, size))
		abort();
	return ring;
}

/* The largest difference of a backend's share from its weight, relative to it. */
static double off(const struct pol_maglev *b, size_t n, const uint16_t *ring, uint32_t size)
{
	uint32_t *has = calloc(n, sizeof(*has));
	double sum = 0, worst = 0, d;

	for (uint32_t i = 0; i < size; i++)
		has[ring[i]]++;
	for (size_t i = 0; i < n; i++)
		sum += b[i].up ? b[i].weight : 0;
	for (size_t i = 0; i < n; i++) {
		double want = b[i].up ? size * b[i].weight / sum : 0;

		d = has[i] > want ? has[i] - want : want - has[i];
		d = want > 0 ? d / want : d;
		worst = d > worst ? d : worst;
	}
	free(has);
	return worst;
}

static void load(size_t n, uint32_t (*weight)(size_t), const char *what)
{
	struct pol_maglev *b = some(n, weight);
	uint32_t size = pol_maglev_size(b, n);
	uint16_t *ring = ring_of(b, n, size);
	double d = off(b, n, ring, size);

	printf("# %zu backends: %u places\n", n, size);
	check(d < 0.02, what, d);
	free(ring);
	free(b);
}

/* Places that changed, of those that were not `gone`'s. */
static double moved(const uint16_t *old, const uint16_t *new, uint32_t size, uint16_t gone)
{
	uint32_t others = 0, changed = 0;

	for (uint32_t i = 0; i < size; i++) {
		others += old[i] != gone;
		changed += old[i] != gone && old[i] != new[i];
	}
	return (double)changed / others;
}

/* Removed from the set altogether, as by another policy. */
static void removal(size_t n, uint16_t gone)
{
	struct pol_maglev *b = some(n, equal);
	uint32_t size = pol_maglev_size(b, n);
	uint16_t *old = ring_of(b, n, size), *new;
	double d;

	b[gone].weight = 0;
	new = ring_of(b, n, size);
	d = moved(old, new, size, gone);
	check(d < 0.02, "one of 100 is removed: others that move", d);
	free(old);
	free(new);
	free(b);
}

/* Down or drained: it keeps its places, others serve them. */
static void down(size_t n, uint16_t gone)
{
	struct pol_maglev *b = some(n, mixed);
	uint32_t size = pol_maglev_size(b, n);
	uint16_t *old = ring_of(b, n, size), *new, *back;
	bool left = false;
	double d;

	b[gone].up = false;
	new = ring_of(b, n, size);
	for (uint32_t i = 0; i < size; i++)
		left |= new[i] == gone;
	check(!left, "a backend that is down is nowhere in the ring", left);
	d = moved(old, new, size, gone);
	check(d == 0, "one of 100 goes down: others that move", d);
	d = off(b, n, new, size);
	check(d < 0.05, "... and the load of the others", d);
	b[gone].up = true;
	back = ring_of(b, n, size);
	check(memcmp(old, back, size * sizeof(*old)) == 0, "back again: the ring is as it was", 0);
	free(old);
	free(new);
	free(back);
	free(b);
}

static void order(void)
{
	struct pol_maglev *b = some(7, mixed), turned[7];
	uint32_t size = pol_maglev_size(b, 7), differ = 0;
	uint16_t *x = ring_of(b, 7, size), *y;

	for (size_t i = 0; i < 7; i++)
		turned[i] = b[6 - i];
	y = ring_of(turned, 7, size);
	for (uint32_t i = 0; i < size; i++)
		differ += x[i] != 6 - y[i];
	check(!differ, "the order in which backends are given means nothing", differ);
	free(x);
	free(y);
	free(b);
}

static void edges(void)
{
	struct pol_maglev one[] = { { 1, 1, true }, { 2, 65535, false }, { 3, 0, true } };
	uint32_t size = pol_maglev_size(one, 3), wrong = 0;
	uint16_t *ring = ring_of(one, 3, size);

	for (uint32_t i = 0; i < size; i++)
		wrong += ring[i] != 0;
	check(size == 1048573 && !wrong, "hardly anybody is up: he gets it all", wrong);
	one[0].up = false;
	check(!pol_maglev_fill(one, 3, ring, size) && ring[0] == 0,
	      "nobody is up: nothing is written", 0);
	check(!pol_maglev_fill(NULL, 0, ring, size), "nobody at all", 0);
	free(ring);
}

/*
 * Places of a table of 1,000 addresses that differ in byte `at`, or the one above it: as
 * emit_service.c makes it.
 */
static void vips(const char *what, unsigned at, bool port)
{
	uint32_t len = 4096;
	bool ok = false;

	for (; !ok && len < 1u << 20; len *= ok ? 1 : 2) {
		bool *taken = calloc(len, sizeof(*taken));

		ok = taken;
		for (unsigned i = 0; ok && i < 1000; i++) {
			struct pol_addr a = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10 } };
			uint32_t place, probe = 0;

			if (!port) {
				a.b[at] = (uint8_t)i;
				a.b[at - 1] ^= (uint8_t)(i >> 8);
			}
			place = pol_vip_hash(&a, htons((uint16_t)(port ? 1 + i : 80)), 6);
			while (probe < POL_VIP_PROBES && taken[(place + probe) & (len - 1)])
				probe++;
			ok = probe < POL_VIP_PROBES;
			taken[(place + probe) & (len - 1)] = true;
		}
		free(taken);
	}
	check(ok && len <= 32768, what, len);
}

int main(void)
{
	load(10, equal, "load of 10 backends is their weight");
	load(10, mixed, "load of 10 backends with weights 1 to 5");
	load(1000, equal, "load of 1,000 backends is their weight");
	load(1000, mixed, "load of 1,000 backends with weights 1 to 5");
	removal(100, 0);
	removal(100, 57);
	down(100, 3);
	order();
	edges();
	vips("VIPs that differ in the last byte", 15, false);
	vips("... in the third", 14, false);
	vips("... in the first", 13, false);
	vips("... in the subnet of IPv6", 7, false);
	vips("... in the port", 0, true);
	printf("1..%u\n", tests);
	return failures != 0;
}
