/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nanoseconds per packet in the kernel, by BPF_PROG_TEST_RUN over a mix of
 * 65,536 headers (bench.bpf.h), for policies of 10 to 10,000 rules and 100,000 prefixes.
 *
 *	bench [--rounds N] [--seed S] [--csv FILE] [--size RULES[/PREFIXES]]...
 *
 * All objects are loaded at once; each round runs every program of every object
 * once, so that whatever else the machine does meets all of them.  Printed are medians
 * and, in brackets, the 10th and 90th percentile; differences are taken within a round.
 * The CSV has every single measurement.
 *
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, POLC_BENCH (the folder of bench.bpf.h), TMPDIR.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "subject.h"

#define MAX_SIZES 16
#define ALL_STEPS ((1u << STEPS) - 1)
#define MIX 65536u

static struct bench_subject subjects[MAX_SIZES];
static unsigned nsubjects;

static void row(const struct bench_subject *s, unsigned f, unsigned rounds)
{
	const struct prt_manifest *m = &s->build.object->manifest;

	printf("| %u", s->size.rules);
	if (s->size.prefixes)
		printf(" + %u prefixes", s->size.prefixes);
	printf(" | v%u |", bench_families[f]);
	bench_cell(s, f, EMPTY, STEPS, rounds);
	bench_cell(s, f, HEADERS, EMPTY, rounds);
	bench_cell(s, f, PARSE, HEADERS, rounds);
	bench_cell(s, f, TABLES, PARSE, rounds);
	bench_cell(s, f, IDENTIFY, PARSE, rounds);
	bench_cell(s, f, JUDGE, PARSE, rounds);
	bench_cell(s, f, NEW, HEADERS, rounds);
	bench_cell(s, f, ESTABLISHED, HEADERS, rounds);
	printf(" %u | %u | %u |\n", m->address_classes, m->l4_classes,
	       prt_place_npages(s->build.place));
}

static void print_table(unsigned rounds)
{
	printf("\nns per packet, median [10th, 90th percentile] of %u rounds of %u packets\n\n",
	       rounds, MIX);
	printf("| rules | family | empty | + header written | + parsed | tables over parsed | "
	       "identities over parsed | classified over parsed | new flow | established flow | "
	       "address classes | L4 classes | pages |\n");
	printf("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned f = 0; f < 2; f++)
		for (unsigned i = 0; i < nsubjects; i++)
			row(&subjects[i], f, rounds);
	printf("\ntables: address class, L4 class and the walk to the verdict; identities: whose source and "
	       "destination are (two hash look-ups); classified: both, as every new flow is; new and "
	       "established flow: the whole program over the written header\n");
}

static int write_csv(const char *path, unsigned rounds)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		perror(path);
		return 1;
	}
	fputs("rules,prefixes,family,step,round,ns\n", out);
	for (unsigned i = 0; i < nsubjects; i++)
		for (unsigned f = 0; f < 2; f++)
			for (unsigned step = 0; step < STEPS; step++)
				for (unsigned n = 0; n < rounds; n++)
					fprintf(out, "%u,%u,v%u,%s,%u,%.0f\n",
						subjects[i].size.rules, subjects[i].size.prefixes,
						bench_families[f], bench_step_names[step], n,
						subjects[i].ns[f][step][n]);
	return fclose(out) ? 1 : 0;
}

static int bench(const struct bench_paths *paths, unsigned rounds, uint64_t seed, struct pol_err *e)
{
	struct kernel *k = NULL;
	int r = kernel_open(&k, RANDOM_LOCAL, e);

	for (unsigned i = 0; i < nsubjects && !r; i++)
		r = bench_load(&subjects[i], k, paths, 1 + i, seed, e);
	for (unsigned n = 0; n < rounds && !r; n++)
		for (unsigned i = 0; i < nsubjects && !r; i++)
			for (unsigned f = 0; f < 2 && !r; f++) {
				r = bench_round(&subjects[i], f, n, ALL_STEPS);
				if (r)
					pol_err(e, r, "BPF_PROG_TEST_RUN: %s", strerror(-r));
			}
	for (unsigned i = 0; i < nsubjects && r; i++)
		bench_unload(&subjects[i]);
	kernel_close(k);
	return r;
}

static const struct option long_options[] = {
	{ "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },
	{ "csv", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 },
};

static void add_size(const char *text)
{
	char *end;
	struct bench_subject *s = &subjects[nsubjects++];

	s->size.rules = (unsigned)strtoul(text, &end, 0);
	s->size.prefixes = *end == '/' ? (unsigned)strtoul(end + 1, NULL, 0) : 0;
	s->nflows = MIX;
	s->templates = bench_env("POLC_TEMPLATES", "bpf-templates");
}

static bool parse_options(int argc, char **argv, unsigned *rounds, uint64_t *seed, const char **csv)
{
	static const char *const usual[] = { "10", "100", "1000", "10000", "100/100000" };
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (c) {
		case 'r':
			*rounds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			*seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			*csv = optarg;
			break;
		case 'n':
			if (nsubjects < MAX_SIZES)
				add_size(optarg);
			break;
		default:
			return false;
		}
	for (unsigned i = 0, some = nsubjects; !some && i < POL_ARRAY_LEN(usual); i++)
		add_size(usual[i]);
	return optind == argc && *rounds >= 1 && *rounds <= BENCH_ROUNDS_MAX;
}

int main(int argc, char **argv)
{
	struct bench_paths paths;
	unsigned rounds = 21;
	uint64_t seed = 1;
	const char *csv = NULL;
	struct pol_err e = { 0 };
	int r;

	if (!parse_options(argc, argv, &rounds, &seed, &csv)) {
		fputs("usage: bench [--rounds N] [--seed S] [--csv FILE] [--size RULES[/PREFIXES]]...\n",
		      stderr);
		return 2;
	}
	if (bench_paths_open(&paths)) {
		perror("bench");
		return 1;
	}
	r = bench(&paths, rounds, seed, &e);
	rmdir(paths.scratch_dir);
	if (r) {
		fprintf(stderr, "bench: %s\n", e.text);
		return 1;
	}
	print_table(rounds);
	return csv ? write_csv(csv, rounds) : 0;
}
