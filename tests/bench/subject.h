/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is measured by BPF_PROG_TEST_RUN: a policy of a given size loaded into the kernel, the
 * endpoints that it meets, and a mix of flows that it allows.
 */
#ifndef POLC_BENCH_SUBJECT_H
#define POLC_BENCH_SUBJECT_H

#include "tests/property/build.h"
#include "verify/kernel.h"
#include "bench_flow.h"
#include "benchpolicy.h"

#define BENCH_ENDPOINTS_MAX 16384u

/* What is run, in this order; NEW fills the connection table for ESTABLISHED. */
enum bench_step { EMPTY, HEADERS, PARSE, IDENTIFY, TABLES, JUDGE, NEW, ESTABLISHED, STEPS };
extern const char *const bench_step_names[STEPS];
extern const unsigned bench_families[2]; /* 4, 6: what index f of an array below stands for */

struct bench_paths {
	const char *clang, *include;
	const char *programs; /* the folder of bench.bpf.h */
	const char *scratch_dir;
};

struct bench_subject {
	/* to be set before bench_load() */
	struct bench_size size;
	unsigned nflows; /* of each family; a power of two */
	unsigned
		endpoints; /* that live here, and as many elsewhere; a power of two, numbers from 1 */
	unsigned buckets; /* of the connection table; 0: as many as the templates say */
	const char *templates;
	/* the rest is bench_load()'s */
	struct kernel *k; /* not owned */
	struct build build;
	struct generation *g;
	bench_prefixes_ prefixes;
	struct bench_flow *flows[2];
	struct bench_flow *live; /* .data.bench, mapped */
	double ns[2][STEPS]; /* a packet, in the last round */
};

/* Compiles and loads the policy as generation `number`; subjects of one kernel share its connection table. */
int bench_load(struct bench_subject *s, struct kernel *k, const struct bench_paths *paths,
	       uint64_t number, uint64_t seed, struct pol_err *e);
/* Runs all steps with the flows of family f and an empty connection table; -errno. */
int bench_round(struct bench_subject *s, unsigned f);

/* Of an environment variable; what it is otherwise. */
const char *bench_env(const char *name, const char *otherwise);
/* From the environment, with a new folder for scratch_dir, to be removed; -errno. */
int bench_paths_open(struct bench_paths *p);

#endif
