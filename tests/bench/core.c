/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core.h"

#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define LOOKS 8000u /* to learn from */
#define NEAR 0.85 /* of the rate of a core that is ours */
#define PATIENCE 1e9 /* ns */
#define TRIES 500 /* looks for a core of ours before a run */

static double alone; /* additions a ns */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Six sums in turn: more than a core has units to add with. */
static double rate(void)
{
	enum { TURNS = 10000 };
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
	double ns = now_ns();

	for (unsigned i = 0; i < TURNS; i++) {
		a += i, b += i, c += i, d += i, e += i, f += i;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
		a += i, b += i, c += i, d += i, e += i, f += i;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	}
	return 12.0 * TURNS / (now_ns() - ns);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_core_take(void)
{
	static double seen[LOOKS];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	for (unsigned i = 0; i < LOOKS; i++)
		seen[i] = rate();
	qsort(seen, LOOKS, sizeof(*seen), ascending);
	alone = seen[LOOKS - LOOKS / 100]; /* the clock itself has moments that are faster still */
}

bool bench_core_is_ours(void)
{
	return rate() >= NEAR * alone;
}

static bool late(struct bench_core_runs *r)
{
	double now = now_ns();

	if (!r->until)
		r->until = now + PATIENCE;
	return now > r->until;
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

double bench_core_mean(struct bench_core_runs *r)
{
	unsigned n = r->n[true], from, to;
	double sum = 0;

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
