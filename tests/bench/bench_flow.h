/* SPDX-License-Identifier: GPL-2.0-only */
/* One header of the mix, as subject.c makes it and bench.bpf.h puts it into the packet. */
#ifndef POL_BENCH_FLOW_H
#define POL_BENCH_FLOW_H

#include <polc/abi.h>

struct bench_flow {
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	__u8 proto;
	__u8 pad[3];
};

#endif
