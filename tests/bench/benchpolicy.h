/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies of a given size for measurements: classes of endpoints, each with rules
 * from other classes, prefixes and sets, on ports, lists and ranges.  Seeded: the
 * same arguments give the same text.
 */
#ifndef POLC_BENCHPOLICY_H
#define POLC_BENCHPOLICY_H

#include "tests/tools/genpolicy.h"

#define BENCH_POOL4 0x0a000000u		/* 10.0.0.0/12 */
#define BENCH_POOL6 0xfd00000100000000u	/* fd00:1::/48 */

struct bench_size {
	unsigned rules;
	unsigned prefixes;	/* in list files' place; 0: none but those of the rules */
};

/* How many classes (label app = "app-0" ...) a policy of that size has. */
unsigned bench_classes(struct bench_size s);

/*
 * The text.  With `list` the prefixes go there, one a line, and the text names the
 * file `list_name`; else they stand in the text.  Prefixes used are added to
 * `used`, those of lists and rules, so that traffic can be made for them.
 */
typedef POL_VEC(struct pol_prefix) bench_prefixes_;
void bench_policy(struct bench_size s, uint64_t seed, struct pol_buf *text, struct pol_buf *list,
		  const char *list_name, bench_prefixes_ *used);

#endif
