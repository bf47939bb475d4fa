/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core.h"

#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define LEARN 500e6 /* ns */
#define NEAR 0.95 /* of the additions a cycle of a core that is ours */
#define SUMS 6 /* in turn, each of which waits for itself: so many additions a cycle at most */
#define PER_BIN 0.05 /* of additions a cycle, of which are told apart */
#define BINS (SUMS * 20u)
#define SECOND 1e9 /* ns */
#define SHORT (SECOND / 4) /* that each figure may wait */
#define PATIENCE (10 * SECOND) /* if all together may */
#define TRIES 500 /* looks for a core of ours before a run */

static unsigned long looks[BINS], all_looks;
static double told; /* by the environment */
static double budget; /* ns that all may wait */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* An instruction of its own; a constant some processors would add for nothing. */
static inline uint64_t plus(uint64_t x, uint64_t y)
{
	__asm__ volatile("" : "+r"(x), "+r"(y));
	return x + y;
}

double bench_core_clock(unsigned turns)
{
	volatile uint64_t sink;
	uint64_t x = 1;
	double ns = now_ns();

	for (unsigned i = 0; i < turns; i++)
		x = plus(plus(plus(plus(plus(plus(plus(plus(x, i), i), i), i), i), i), i), i);
	ns = now_ns() - ns;
	sink = x;
	(void)sink;
	return 8.0 * turns / ns;
}

/* Additions a ns of SUMS sums in turn, which is more than a core has units to add with. */
static double wide(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
	double ns = now_ns();

	for (unsigned i = 0; i < 4000; i++) {
		a += i, b += i, c += i, d += i, e += i, f += i;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
		a += i, b += i, c += i, d += i, e += i, f += i;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	}
	return SUMS * 8000 / (now_ns() - ns);
}

/*
 * How many a cycle; the clock is what the quicker of two chains says, as the other may have been interrupted. Where both
 * were, it comes out too slow, and more additions a cycle than there are sums: that is no look.
 */
static double look(void)
{
	double before = bench_core_clock(1000), sums = wide(), after = bench_core_clock(1000);
	double clock = before > after ? before : after;
	unsigned bin = (unsigned)(sums / clock / PER_BIN);

	if (bin >= BINS)
		return 0;
	looks[bin]++;
	all_looks++;
	return sums / clock;
}

/* Which only one look in 500 was above: few are by mistake, and a core that is ours makes as many in each cycle. */
double bench_core_alone(void)
{
	unsigned long above = 0;
	unsigned bin = BINS;

	while (bin && above * 500 <= all_looks)
		above += looks[--bin];
	return bin * PER_BIN > told ? bin * PER_BIN : told;
}

void bench_core_learn(unsigned seconds)
{
	const char *additions = getenv("BENCH_ADDITIONS");
	double until = now_ns() + LEARN;
	cpu_set_t one;

	budget = seconds * SECOND;
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	told = additions ? strtod(additions, NULL) : 0;
	while (!told && now_ns() < until)
		look();
}

void bench_core_take(unsigned seconds)
{
	bench_core_learn(seconds);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
}

bool bench_core_is_ours(void)
{
	return look() >= NEAR * bench_core_alone();
}

static bool late(struct bench_core_runs *r)
{
	double now = now_ns();

	if (!r->began)
		r->began = now;
	return now > r->began + SHORT + (budget < PATIENCE ? budget : PATIENCE);
}

bool bench_core_more(struct bench_core_runs *r)
{
	return r->n[true] < r->wanted && !(late(r) && r->n[true] + r->n[false] >= r->wanted);
}

void bench_core_begin(struct bench_core_runs *r)
{
	r->ours = bench_core_is_ours();
	for (unsigned i = 0; i < TRIES && !r->ours && !late(r); i++)
		r->ours = bench_core_is_ours();
}

void bench_core_took(struct bench_core_runs *r, double ns)
{
	bool ours = r->ours && bench_core_is_ours();

	if (r->n[ours] < BENCH_CORE_RUNS)
		r->ns[ours][r->n[ours]++] = ns;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_core_mean(struct bench_core_runs *r)
{
	unsigned n = r->n[true], from, to;
	double sum = 0, waited = now_ns() - r->began - SHORT;

	budget -= waited > 0 ? waited : 0;
	budget = budget > 0 ? budget : 0;
	if (n < (r->wanted + 7) / 8) {
		for (unsigned i = 0; i < r->n[false] && n < BENCH_CORE_RUNS; i++)
			r->ns[true][n++] = r->ns[false][i];
		r->n[true] = n;
	}
	qsort(r->ns[true], n, sizeof(double), ascending);
	from = n / 4;
	to = n - from;
	for (unsigned i = from; i < to; i++)
		sum += r->ns[true][i];
	return n ? sum / (to - from) : 0;
}
