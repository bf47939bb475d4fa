/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the core is ours alone.  On a virtual machine its other hyperthread may be somebody else's, for some
 * milliseconds at a time or for minutes: the units that execute and the first two caches are shared then, and the same packet
 * costs up to twice as much.  Neither the clock nor a chain of dependent instructions shows it; how many additions that do not
 * wait for each other fit into a cycle does: it is the same number whenever the core is ours, and a quarter less or
 * worse when it is not. So short runs are measured between two looks at that, and count where the core was ours at both.
 */
#ifndef POLC_BENCH_CORE_H
#define POLC_BENCH_CORE_H

#include <stdbool.h>

/*
 * Stays on the CPU it is on, and knows what that can do alone: $BENCH_ADDITIONS a cycle, or what half a second of looking says.
 * All figures together may wait for so many seconds.
 */
void bench_core_learn(unsigned seconds);
/* And before everybody else, where that is allowed. */
void bench_core_take(unsigned seconds);
/* GHz: additions a ns of which each waits for the one before, whoever else is on the core.  3 us for a thousand turns. */
double bench_core_clock(unsigned turns);
/* Additions a cycle when it is ours. */
double bench_core_alone(void);
/* Is it, just now?  10 us. */
bool bench_core_is_ours(void);

#define BENCH_CORE_RUNS 4096u

/* Short runs of one thing, of equally many packets: those on a core that was ours, and all. */
struct bench_core_runs {
	unsigned wanted, n[2]; /* [1]: ours */
	double ns[2][BENCH_CORE_RUNS];
	double began; /* ns, of CLOCK_MONOTONIC; 0: not yet */
	bool ours; /* when the one that goes on began */
};

/*
 * Is another run wanted?  Until there are as many as wanted (at most BENCH_CORE_RUNS) on a core of ours, or
 * for ten seconds (a quarter, when all that may be waited is over) and then as many of any kind.
 */
bool bench_core_more(struct bench_core_runs *r);
/* Before a run, which begins on a core of ours if there is one within some milliseconds. */
void bench_core_begin(struct bench_core_runs *r);
/* What it took. */
void bench_core_took(struct bench_core_runs *r, double ns);
/* The mean of the middle half of the runs on a core of ours; of all, if those are less than an eighth of what was wanted. */
double bench_core_mean(struct bench_core_runs *r);

#endif
