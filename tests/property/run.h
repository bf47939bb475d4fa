/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One process of the property test: the policy in its hands, what it counts, and what may be done with
 * it.  compare.c compares, report.c says what differs, spoil.c falsifies.
 */
#ifndef POLC_TESTS_RUN_H
#define POLC_TESTS_RUN_H

#include "check.h"

struct options {
	unsigned policies, packets, flows, seconds, jobs;
	uint64_t seed;
	long only; /* -1: all */
	bool kernel, self_test;
};

struct stats { /* of one process, in memory shared with the parent */
	uint64_t policies, refused, flows, packets, later, again, differences, spoiled, noticed;
	uint64_t unknown[2]; /* by uplink, to nobody here: passed on, dropped */
	struct tally tally;
	bool kernel_ran;
	char skipped[600]; /* why the kernel's part did not run */
};

/* One policy being tested. */
struct run {
	const struct options *o;
	const struct build_paths *paths;
	struct kernel *kernel; /* NULL: not to be had */
	struct stats *stats;
	struct gen_rng rng;
	uint64_t seed; /* of this policy alone */
	unsigned index;
	struct gen_policy policy;
	struct world world;
	struct build build;
	unsigned reports;
	double shrink_until; /* 0: nothing shrunk yet */
};

/* Seconds of CLOCK_MONOTONIC. */
double run_now(void);

/* A difference, counted and printed: of p on f (NULL: on no flow in particular); why ends in a line's end. */
void run_report(struct run *r, const struct gen_policy *p, const struct flow *f, const char *why);
/* The same, of a policy made as small as it can be while it differs. */
void run_report_shrunk(struct run *r, const struct flow *f, bool in_kernel, const char *why);
/* An error that is no difference but keeps the policy from being tested. */
void run_broken(struct run *r, const char *what, const char *detail);

/* The policy as it is built now, as a generation in the kernel. */
int run_load(struct run *r, uint64_t number, struct generation **g, struct pol_err *e);
/* The first one; false: it is said, or the kernel's part is given up. */
bool run_load_first(struct run *r, struct generation **g);
/* Does this flow get what is wanted: as a first packet; in the tables.  why: a line for each that differs. */
bool run_new_agrees(struct run *r, struct generation *g, const struct flow *f,
		    const struct pol_eval_flow *want, struct pol_buf *why);
bool run_tables_agree(struct run *r, const struct flow *f, const struct pol_eval_flow *want,
		      struct pol_buf *why);

/* All of it: in user space, stopping at the first difference; in the kernel; falsified. */
bool run_compare_tables(struct run *r);
void run_compare_kernel(struct run *r);
void run_self_test(struct run *r);

#endif
