/* SPDX-License-Identifier: GPL-2.0-only */
/* One header of the mix, as bench.c makes it and bench.bpf.h puts it into the packet. */
#ifndef POL_BENCH_FLOW_H
#define POL_BENCH_FLOW_H

#include <polc/abi.h>

#ifndef BENCH_FLOWS
#define BENCH_FLOWS 65536u	/* of the mix; a power of two */
#endif
#define BENCH_ENDPOINTS 64u	/* that live here; a power of two, numbers from 1 */

struct bench_flow {
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	__u8 proto;
	__u8 pad[3];
};

#endif
