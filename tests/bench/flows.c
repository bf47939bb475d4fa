/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the first and every later packet of a flow cost, by BPF_PROG_TEST_RUN at the uplink's hook,
 * where the table holds 1,024, 65,536 or 1,048,576 flows and each packet is of another one.
 *
 *	flows [--rounds N] [--seed S] [--rules N] [--templates FOLDER]...
 *
 * With several folders of templates the same policies are built with each and measured in turn
 * in every round: that is how a change of the data path is compared with what was before.
 * Printed are medians and, in brackets, the 10th and 90th percentile, of what a
 * packet costs more than one whose headers were only parsed, in the same round.  Beside them stands
 * what this machine takes for one load that depends on the one before, from as much memory as
 * those flows' lines of the table take, in pages of 4 KiB like the table's: no table can be quicker
 * than that once its flows do not fit the caches.
 *
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, POLC_BENCH (the folder of bench.bpf.h), TMPDIR.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "subject.h"

#define MAX_TEMPLATES 4
#define STEPS_HERE (1u << HEADERS | 1u << PARSE | 1u << NEW | 1u << ESTABLISHED)

/* A table is at most half full: the last one is eight times as large as usual. */
static const struct {
	unsigned flows, buckets;
} sizes[] = {
	{ 1024, 0 },
	{ 65536, 0 },
	{ 1048576, 1u << 18 },
};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct bench_subject subjects[SIZES][MAX_TEMPLATES];
static const char *templates[MAX_TEMPLATES];
static unsigned ntemplates;

/* Tables of two sizes are two worlds. */
static struct kernel *worlds[SIZES];

static int load(const struct bench_paths *paths, unsigned rules, uint64_t seed, struct pol_err *e)
{
	int r = 0;

	for (unsigned i = 0; i < SIZES && !r; i++) {
		if (i && sizes[i].buckets == sizes[i - 1].buckets)
			worlds[i] = worlds[i - 1];
		else
			r = kernel_open(&worlds[i], RANDOM_LOCAL, e);
		for (unsigned t = 0; t < ntemplates && !r; t++) {
			struct bench_subject *s = &subjects[i][t];

			s->size.rules = rules;
			s->nflows = sizes[i].flows;
			s->buckets = sizes[i].buckets;
			s->templates = templates[t];
			r = bench_load(s, worlds[i], paths, 1 + i * ntemplates + t, seed, e);
		}
	}
	return r;
}

static int measure(unsigned rounds, struct pol_err *e)
{
	int r = 0;

	for (unsigned n = 0; n < rounds && !r; n++)
		for (unsigned i = 0; i < SIZES && !r; i++)
			for (unsigned f = 0; f < 2 && !r; f++)
				for (unsigned t = 0; t < ntemplates && !r; t++)
					r = bench_round(&subjects[i][t], f, n, STEPS_HERE);
	return r ? pol_err(e, r, "BPF_PROG_TEST_RUN: %s", strerror(-r)) : 0;
}

#define LINE 64u
#define LOADS 2000000u

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ns for a load that has to wait for the one before, anywhere in so many bytes; 0: no memory. */
static double one_load(size_t bytes)
{
	size_t lines = bytes / LINE;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct gen_rng r = { 1 };
	uint32_t at = 0;
	double ns;

	if (p == MAP_FAILED)
		return 0;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < lines; i++)
		*(uint32_t *)(p + i * LINE) = (uint32_t)i;
	/* one cycle through all lines (Sattolo) */
	for (size_t i = lines - 1; i > 0; i--) {
		uint32_t *a = (uint32_t *)(p + i * LINE);
		uint32_t *b = (uint32_t *)(p + gen_below(&r, (uint32_t)i) * LINE), t = *a;

		*a = *b;
		*b = t;
	}
	for (unsigned i = 0; i < LOADS; i++)
		at = *(volatile uint32_t *)(p + at * (size_t)LINE);
	ns = cpu_ns();
	for (unsigned i = 0; i < LOADS; i++)
		at = *(volatile uint32_t *)(p + at * (size_t)LINE);
	ns = (cpu_ns() - ns) / LOADS;
	munmap(p, bytes);
	return ns;
}

/* Of its tags and of its entry, one line each. */
static double load_of(unsigned i)
{
	return one_load(2 * (size_t)LINE * sizes[i].flows);
}

static void print_table(unsigned rules, unsigned rounds)
{
	printf("\nns per packet over one that is only parsed, %u rules, median [10th, 90th percentile] of %u rounds\n\n",
	       rules, rounds);
	printf("| flows | family |%s parsing | new flow | established flow | one load |%s\n",
	       ntemplates > 1 ? " templates |" : "", ntemplates > 1 ? " to the first |" : "");
	printf("|---|---|%s---|---|---|---|%s\n", ntemplates > 1 ? "---|" : "",
	       ntemplates > 1 ? "---|" : "");
	for (unsigned i = 0; i < SIZES; i++) {
		double load = load_of(i);

		for (unsigned f = 0; f < 2; f++)
			for (unsigned t = 0; t < ntemplates; t++) {
				const struct bench_subject *s = &subjects[i][t];

				printf("| %u | v%u |", s->nflows, bench_families[f]);
				if (ntemplates > 1)
					printf(" %s |", templates[t]);
				bench_cell(s, f, PARSE, HEADERS, rounds);
				bench_cell(s, f, NEW, PARSE, rounds);
				bench_cell(s, f, ESTABLISHED, PARSE, rounds);
				printf(" %.0f |", load);
				if (ntemplates > 1)
					printf(" %.2f |",
					       bench_median(s, f, ESTABLISHED, PARSE, rounds) /
						       bench_median(&subjects[i][0], f, ESTABLISHED,
								    PARSE, rounds));
				putchar('\n');
			}
	}
}

static const struct option long_options[] = {
	{ "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },
	{ "rules", required_argument, NULL, 'n' },
	{ "templates", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 },
};

static bool parse_options(int argc, char **argv, unsigned *rounds, uint64_t *seed, unsigned *rules)
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
		case 'n':
			*rules = (unsigned)strtoul(optarg, NULL, 0);
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
	return optind == argc && *rounds >= 1 && *rounds <= BENCH_ROUNDS_MAX && *rules;
}

int main(int argc, char **argv)
{
	struct bench_paths paths;
	unsigned rounds = 15, rules = 1000;
	uint64_t seed = 1;
	struct pol_err e = { 0 };
	int r;

	if (!parse_options(argc, argv, &rounds, &seed, &rules)) {
		fputs("usage: flows [--rounds N] [--seed S] [--rules N] [--templates FOLDER]...\n",
		      stderr);
		return 2;
	}
	if (bench_paths_open(&paths)) {
		perror("flows");
		return 1;
	}
	r = load(&paths, rules, seed, &e);
	if (!r)
		r = measure(rounds, &e);
	rmdir(paths.scratch_dir);
	if (r) {
		fprintf(stderr, "flows: %s\n", e.text);
		return 1;
	}
	print_table(rules, rounds);
	return 0;
}
