/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The evaluator, the tables as the loader places them, and the programs in the
 * kernel always say the same: verdict, deciding rules, audit rule, limits; and what the
 * text says (oracle.h).
 *
 *	property [--policies N] [--packets N] [--flows N] [--seed S] [--only I]
 *		 [--seconds T] [--jobs J] [--no-kernel] [--self-test]
 *
 * For each random policy: a random world around it; --flows flows at the edges of
 * what it names through the placed tables in user space, --packets of them through
 * BPF_PROG_TEST_RUN at the hook where they would be met; then answers and later packets
 * of the flows that were let through, and both again after a generation with other labels.
 *
 * The seed is printed; --seed S --only I runs one policy of that run again.  A
 * difference prints policy, world, flow and both verdicts, after the policy has been
 * shrunk as far as it still differs.  --self-test falsifies tables, programs and the
 * evaluator's rules, and fails unless each is noticed.
 *
 * Exit: 0 no difference; 1 differences; 77 the kernel's part could not run.
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE (folders in the source tree), TMPDIR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkdtemp and the rest with -std=c11 */
#endif
#include <getopt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define MAX_JOBS 16

static void test_policy(struct run *r)
{
	static const struct gen_options plain;
	struct pol_buf text = { 0 }, messages = { 0 };
	struct pol_err e = { 0 };

	gen_policy(&r->policy, r->seed, &plain);
	r->rng.state = r->seed ^ 0x5eed;
	world_random(&r->world, &r->rng, &r->policy);
	gen_policy_text(&r->policy, &text);
	if (build_policy(&r->build, text.p, r->paths, &messages, &e)) {
		run_broken(r, "the policy was refused", messages.n ? messages.p : e.text);
	} else if (build_place(&r->build, &r->world, &e)) {
		run_broken(r, "the endpoints could not be placed", e.text);
	} else if (r->o->self_test) {
		run_self_test(r);
	} else if (run_compare_tables(r) && r->kernel) {
		run_compare_kernel(r);
	}
	r->stats->policies++;
	build_free(&r->build);
	gen_policy_free(&r->policy);
	pol_buf_free(&text);
	pol_buf_free(&messages);
}

static void work(const struct options *o, const struct build_paths *paths, unsigned job,
		 struct stats *stats)
{
	struct run r = { .o = o, .paths = paths, .stats = stats };
	struct pol_err e = { 0 };
	double end = run_now() + o->seconds;

	if (!o->kernel)
		snprintf(stats->skipped, sizeof(stats->skipped), "not asked for");
	else if (kernel_open(&r.kernel, RANDOM_LOCAL, &e))
		snprintf(stats->skipped, sizeof(stats->skipped), "%s", e.text);
	for (unsigned i = job; o->seconds ? run_now() < end : i < o->policies; i += o->jobs) {
		struct gen_rng mix;

		if (o->only >= 0)
			i = (unsigned)o->only;
		mix.state = o->seed + i;
		r.index = i;
		r.seed = gen_next(&mix);
		test_policy(&r);
		if (o->only >= 0)
			break;
	}
	kernel_close(r.kernel);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: property [--policies N] [--packets N] [--flows N] [--seed S] [--only I]\n"
	      "                [--seconds T] [--jobs J] [--no-kernel] [--self-test]\n",
	      stderr);
	return 2;
}

static const struct option long_options[] = {
	{ "policies", required_argument, NULL, 'p' }, { "packets", required_argument, NULL, 'n' },
	{ "flows", required_argument, NULL, 'f' },    { "seed", required_argument, NULL, 's' },
	{ "only", required_argument, NULL, 'o' },     { "seconds", required_argument, NULL, 't' },
	{ "jobs", required_argument, NULL, 'j' },     { "no-kernel", no_argument, NULL, 'k' },
	{ "self-test", no_argument, NULL, 'm' },      { NULL, 0, NULL, 0 },
};

static bool parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		unsigned long long value = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'p':
			o->policies = (unsigned)value;
			break;
		case 'n':
			o->packets = (unsigned)value;
			break;
		case 'f':
			o->flows = (unsigned)value;
			break;
		case 's':
			o->seed = value;
			break;
		case 'o':
			o->only = (long)value;
			break;
		case 't':
			o->seconds = (unsigned)value;
			break;
		case 'j':
			o->jobs = (unsigned)value;
			break;
		case 'k':
			o->kernel = false;
			break;
		case 'm':
			o->self_test = true;
			break;
		default:
			return false;
		}
	}
	if (o->only >= 0)
		o->jobs = 1;
	return optind == argc && o->jobs >= 1 && o->jobs <= MAX_JOBS && o->packets <= 60000;
}

static void add(struct stats *sum, const struct stats *s)
{
	sum->policies += s->policies;
	sum->refused += s->refused;
	sum->flows += s->flows;
	sum->packets += s->packets;
	sum->later += s->later;
	sum->again += s->again;
	sum->differences += s->differences;
	sum->spoiled += s->spoiled;
	sum->noticed += s->noticed;
	sum->unknown[0] += s->unknown[0];
	sum->unknown[1] += s->unknown[1];
	sum->kernel_ran |= s->kernel_ran;
	for (unsigned i = 0; i <= POL_ALLOW; i++)
		sum->tally.action[i] += s->tally.action[i];
	for (unsigned i = 0; i <= POL_IMPLICIT_HOST; i++)
		sum->tally.implicit[i] += s->tally.implicit[i];
	sum->tally.audited += s->tally.audited;
	sum->tally.limited += s->tally.limited;
	sum->tally.both_sides += s->tally.both_sides;
	if (s->skipped[0])
		memcpy(sum->skipped, s->skipped, sizeof(sum->skipped));
}

static int conclude(const struct options *o, const struct stats *s, bool died)
{
	const struct tally *t = &s->tally;

	printf("%llu policies, %llu flows through the tables, %llu packets through the programs\n"
	       "(allow %llu, deny %llu, reject %llu; decided by rules %llu, closed %llu, default %llu, host %llu;\n"
	       " both ends here %llu, audited %llu, limited %llu; later packets of %llu flows, judged again %llu;\n"
	       " by an uplink to nobody here: passed on %llu, of the pool %llu)\n",
	       (unsigned long long)s->policies, (unsigned long long)s->flows,
	       (unsigned long long)s->packets, (unsigned long long)t->action[POL_ALLOW],
	       (unsigned long long)t->action[POL_DENY], (unsigned long long)t->action[POL_REJECT],
	       (unsigned long long)t->implicit[POL_EXPLICIT],
	       (unsigned long long)t->implicit[POL_IMPLICIT_CLOSED],
	       (unsigned long long)t->implicit[POL_IMPLICIT_DEFAULT],
	       (unsigned long long)t->implicit[POL_IMPLICIT_HOST],
	       (unsigned long long)t->both_sides, (unsigned long long)t->audited,
	       (unsigned long long)t->limited, (unsigned long long)s->later,
	       (unsigned long long)s->again, (unsigned long long)s->unknown[0],
	       (unsigned long long)s->unknown[1]);
	if (o->self_test)
		printf("%llu falsified, %llu noticed\n", (unsigned long long)s->spoiled,
		       (unsigned long long)s->noticed);
	printf("%llu differences, %llu policies not tested\n", (unsigned long long)s->differences,
	       (unsigned long long)s->refused);
	if (s->differences || s->refused || died || !s->policies)
		return 1;
	if (o->self_test && (s->noticed != s->spoiled || !s->spoiled))
		return 1;
	if (o->kernel && !s->kernel_ran) {
		printf("SKIP: the programs could not be run: %s\n", s->skipped);
		return 77;
	}
	return 0;
}

static bool run_jobs(const struct options *o, const struct build_paths *paths, struct stats *stats)
{
	bool died = false;
	int status;

	for (unsigned j = 0; j < o->jobs; j++) {
		char own[300];
		struct build_paths mine = *paths;

		fflush(stdout);
		if (fork() != 0)
			continue;
		snprintf(own, sizeof(own), "%s/%u", paths->scratch_dir, j);
		mine.scratch_dir = own;
		if (mkdir(own, 0700))
			_exit(1);
		work(o, &mine, j, &stats[j]);
		rmdir(own);
		exit(0);
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			printf("FAILED: a process died (status 0x%x)\n", (unsigned)status);
			died = true;
		}
	return died;
}

static const char *env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

static unsigned cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_JOBS ? MAX_JOBS : (unsigned)n;
}

int main(int argc, char **argv)
{
	struct options o = {
		.policies = 300,
		.packets = 2000,
		.flows = 20000,
		.jobs = cpus(),
		.only = -1,
		.kernel = true,
		.seed = (uint64_t)time(NULL),
	};
	struct build_paths paths = {
		.clang = env("CLANG", "clang"),
		.templates = env("POLC_TEMPLATES", "bpf-templates"),
		.include = env("POLC_INCLUDE", "include"),
	};
	struct stats *stats, sum = { 0 };
	char dir[256];
	bool died;

	if (!parse_options(argc, argv, &o))
		return usage();
	snprintf(dir, sizeof(dir), "%s/polc-property.XXXXXX", env("TMPDIR", "/tmp"));
	stats = mmap(NULL, MAX_JOBS * sizeof(*stats), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED || !mkdtemp(dir)) {
		perror("property");
		return 1;
	}
	paths.scratch_dir = dir;
	printf("seed %llu\n", (unsigned long long)o.seed);
	died = run_jobs(&o, &paths, stats);
	rmdir(dir);
	for (unsigned j = 0; j < o.jobs; j++)
		add(&sum, &stats[j]);
	return conclude(&o, &sum, died);
}
