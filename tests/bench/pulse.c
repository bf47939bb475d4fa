/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the machine is just now, as lines of ./lib.sh's CSV: taken again and again while `make bench`
 * runs, it says how noisy the machine was.
 *
 *	pulse ROUND
 *
 *	machine,-,clock,rate,GHz	additions that each need the one before, one a cycle
 *	machine,-,empty,packet,ns	a run of an empty program by BPF_PROG_TEST_RUN, the median of 9
 *	machine,-,alone,additions,a cycle	independent ones, of a core that is ours (core.h)
 *	machine,-,ours,share,%	in how many moments of a tenth of a second the core was ours alone (core.h)
 *	machine,bytes=N,load,load,ns	a load that needs the one before, from so much memory (load.h)
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "load.h"

#define TURNS 6250000u
#define RUNS 9
#define REPEAT 200000
#define MOMENTS 10000u

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* 0: it cannot be run. */
static uint32_t empty_program(void)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint8_t frame[64] = { 0 };
	uint32_t ns[RUNS];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = REPEAT);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", code, 2, NULL);

	for (int i = 0; i < RUNS; i++) {
		if (fd < 0 || bpf_prog_test_run_opts(fd, &o))
			return 0;
		ns[i] = o.duration;
	}
	qsort(ns, RUNS, sizeof(*ns), ascending);
	return ns[RUNS / 2];
}

/* % */
static double share_ours(void)
{
	unsigned ours = 0;

	for (unsigned i = 0; i < MOMENTS; i++)
		ours += bench_core_is_ours();
	return 100.0 * ours / MOMENTS;
}

int main(int argc, char **argv)
{
	static const unsigned mib[] = { 1, 2, 4, 8, 16, 64, 256 };
	uint32_t empty;

	if (argc != 2) {
		fputs("usage: pulse ROUND\n", stderr);
		return 2;
	}
	bench_core_take(0);
	printf("machine,-,alone,additions,a cycle,%s,%.2f\n", argv[1], bench_core_alone());
	printf("machine,-,ours,share,%%,%s,%.1f\n", argv[1], share_ours());
	printf("machine,-,clock,rate,GHz,%s,%.3f\n", argv[1], bench_core_clock(TURNS));
	empty = empty_program();
	if (empty)
		printf("machine,-,empty,packet,ns,%s,%u\n", argv[1], empty);
	for (unsigned i = 0; i < sizeof(mib) / sizeof(mib[0]); i++)
		printf("machine,bytes=%zu,load,load,ns,%s,%.1f\n", (size_t)mib[i] << 20, argv[1],
		       bench_one_load((size_t)mib[i] << 20));
	return 0;
}
