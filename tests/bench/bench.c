/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nanoseconds per packet in the kernel, by BPF_PROG_TEST_RUN over a mix of headers (bench.bpf.h), as
 * lines of lib.sh's CSV on the standard output.
 *
 *	bench [--rounds N] [--seed S] [--templates FOLDER]... EXPERIMENT SUBJECT...
 *
 * A SUBJECT is a policy and the host that it meets:
 * "rules=1000,prefixes=0,flows=65536,endpoints=64" (what is left out is as it stands here; flows
 * and endpoints are powers of two). All are loaded at once; each round runs every step of every
 * one, so that whatever else the machine does meets all of them. A step is a peer of the CSV:
 * empty, headers (the packet is written), parse, identify, tables, judge, new, established
 * (bench.bpf.h).  Beside them stands `load`: one load that depends on the one before, from as much
 * memory as these flows' lines of the connection table take. No table can be quicker once its flows
 * do not fit the caches.
 *
 * With several folders of templates the same policies are built with each and measured in turn in
 * every round, which is how a change of the data path is compared with what was before; the steps
 * of the second are called new.2 and so on.
 *
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, POLC_BENCH (the folder of bench.bpf.h), TMPDIR.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "core.h"
#include "load.h"
#include "subject.h"

#define MAX_SUBJECTS 16
#define MAX_TEMPLATES 4
#define MAX_WORLDS 8

static struct bench_subject subjects[MAX_SUBJECTS][MAX_TEMPLATES];
static unsigned nsubjects;
static const char *templates[MAX_TEMPLATES];
static unsigned ntemplates;

/* Those with the same endpoints and a connection table of one size share it. */
static struct {
	unsigned buckets, endpoints;
	struct kernel *k;
} worlds[MAX_WORLDS];

static int world_of(const struct bench_subject *s, struct kernel **k, struct pol_err *e)
{
	unsigned i = 0;
	int r = 0;

	while (i < MAX_WORLDS && worlds[i].k &&
	       (worlds[i].buckets != s->buckets || worlds[i].endpoints != s->endpoints))
		i++;
	if (i == MAX_WORLDS)
		return pol_err(e, -E2BIG, "more than %d sizes of tables and hosts", MAX_WORLDS);
	worlds[i].buckets = s->buckets;
	worlds[i].endpoints = s->endpoints;
	if (!worlds[i].k)
		r = kernel_open(&worlds[i].k, RANDOM_LOCAL, e);
	*k = worlds[i].k;
	return r;
}

static int load(const struct bench_paths *paths, uint64_t seed, struct pol_err *e)
{
	int r = 0;

	for (unsigned i = 0; i < nsubjects && !r; i++)
		for (unsigned t = 0; t < ntemplates && !r; t++) {
			struct bench_subject *s = &subjects[i][t];
			struct kernel *k = NULL;

			s->size = subjects[i][0].size;
			s->nflows = subjects[i][0].nflows;
			s->endpoints = subjects[i][0].endpoints;
			s->buckets = subjects[i][0].buckets;
			s->templates = templates[t];
			r = world_of(s, &k, e);
			if (!r)
				r = bench_load(s, k, paths, 1 + i * ntemplates + t, seed, e);
		}
	return r;
}

/* ---- what comes out ------------------------------------------------------------------ */

static void print_case(const char *experiment, const struct bench_subject *s, unsigned f)
{
	printf("%s,rules=%u prefixes=%u flows=%u endpoints=%u family=v%u,", experiment,
	       s->size.rules, s->size.prefixes, s->nflows, s->endpoints, bench_families[f]);
}

static void print_round(const char *experiment, unsigned i, unsigned t, unsigned f, unsigned round)
{
	const struct bench_subject *s = &subjects[i][t];

	for (unsigned step = 0; step < STEPS; step++) {
		print_case(experiment, s, f);
		printf(t ? "%s.%u," : "%s,", bench_step_names[step], t + 1);
		printf("packet,ns,%u,%.1f\n", round + 1, s->ns[f][step]);
	}
}

/* Of a flow's tags and of its entry, one line each. */
static void print_load(const char *experiment, const struct bench_subject *s, unsigned round)
{
	double ns = bench_one_load(2 * (size_t)64 * s->nflows);

	for (unsigned f = 0; f < 2; f++) {
		print_case(experiment, s, f);
		printf("load,packet,ns,%u,%.1f\n", round + 1, ns);
	}
}

static int measure(const char *experiment, unsigned rounds, struct pol_err *e)
{
	int r = 0;

	bench_core_take(200);
	for (unsigned n = 0; n < rounds && !r; n++)
		for (unsigned i = 0; i < nsubjects && !r; i++) {
			for (unsigned f = 0; f < 2; f++)
				for (unsigned t = 0; t < ntemplates && !r; t++) {
					r = bench_round(&subjects[i][t], f);
					if (!r)
						print_round(experiment, i, t, f, n);
				}
			print_load(experiment, &subjects[i][0], n);
			fflush(stdout);
		}
	return r ? pol_err(e, r, "BPF_PROG_TEST_RUN: %s", strerror(-r)) : 0;
}

/* ---- what is asked ---------------------------------------------------------------------- */

static const struct option long_options[] = {
	{ "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },
	{ "templates", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 },
};

static bool power_of_two(unsigned n)
{
	return n && !(n & (n - 1));
}

static bool add_subject(char *text)
{
	static char *const keys[] = { "rules", "prefixes", "flows", "endpoints", NULL };
	struct bench_subject *s = &subjects[nsubjects++][0];
	unsigned v[] = { 1000, 0, 65536, 64 };

	while (*text) {
		char *value = NULL;
		int key = getsubopt(&text, keys, &value);

		if (key < 0 || !value)
			return false;
		v[key] = (unsigned)strtoul(value, NULL, 0);
	}
	s->size = (struct bench_size){ v[0], v[1] };
	s->nflows = v[2];
	s->endpoints = v[3];
	s->buckets = v[2] > 131072 ? 1u << 18 : 0; /* at most half full */
	return v[0] && power_of_two(v[2]) && power_of_two(v[3]) && v[3] <= BENCH_ENDPOINTS_MAX;
}

static bool parse_options(int argc, char **argv, unsigned *rounds, uint64_t *seed)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (c) {
		case 'r':
			*rounds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			*seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			if (ntemplates == MAX_TEMPLATES)
				return false;
			templates[ntemplates++] = optarg;
			break;
		default:
			return false;
		}
	if (!ntemplates)
		templates[ntemplates++] = bench_env("POLC_TEMPLATES", "bpf-templates");
	for (int i = optind + 1; i < argc; i++)
		if (nsubjects == MAX_SUBJECTS || !add_subject(argv[i]))
			return false;
	return nsubjects && *rounds;
}

int main(int argc, char **argv)
{
	struct bench_paths paths;
	unsigned rounds = 11;
	uint64_t seed = 1;
	struct pol_err e = { 0 };
	int r;

	if (!parse_options(argc, argv, &rounds, &seed)) {
		fputs("usage: bench [--rounds N] [--seed S] [--templates FOLDER]... EXPERIMENT SUBJECT...\n"
		      "       SUBJECT: rules=N,prefixes=N,flows=N,endpoints=N\n",
		      stderr);
		return 2;
	}
	if (bench_paths_open(&paths)) {
		perror("bench");
		return 1;
	}
	r = load(&paths, seed, &e);
	if (!r)
		r = measure(argv[optind], rounds, &e);
	for (unsigned i = 0; i < MAX_WORLDS; i++)
		if (worlds[i].k)
			kernel_close(worlds[i].k);
	rmdir(paths.scratch_dir);
	if (r)
		fprintf(stderr, "bench: %s\n", e.text);
	return r ? 1 : 0;
}
