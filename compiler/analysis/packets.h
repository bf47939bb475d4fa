/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packets that filters see, as exact sets: boxes as in space.h, with what only filters ask
 * for: source ports, TCP flags, and what dynamic sets hold at run time.  Ends are addresses alone.
 */
#ifndef POLC_PACKETS_H
#define POLC_PACKETS_H

#include "compiler/analysis/space.h"

struct pol_packets {
	struct pol_box box;		/* addresses, protocol and destination port or type */
	uint32_t sport_lo, sport_hi;
	uint8_t set, clear;		/* TCP flags that are known */
	uint64_t in[POL_ENDS], out[POL_ENDS]; /* dynamic sets that are known to hold the address, or not to */
};

struct pol_packets pol_packets_all(const struct pol_space *s, uint8_t family);
/* The smallest box around what the line can match in its family; false: nothing. */
bool pol_packets_hull(const struct pol_space *s, size_t ir, const struct pol_filter_line *l,
		      uint8_t family, struct pol_packets *out);
bool pol_packets_meet(const struct pol_packets *a, const struct pol_packets *b);

/* Does the line match all, none, or must the box be cut?  Dynamic sets by the bits of the line. */
enum pol_answer pol_packets_line(const struct pol_space *s, size_t ir,
				 const struct pol_filter_line *l, const struct pol_packets *b);
/* For what is UNDECIDED: two parts, neither empty. */
void pol_packets_cut(const struct pol_space *s, size_t ir, const struct pol_filter_line *l,
		     const struct pol_packets *b, struct pol_packets part[2]);
/* Wherever x matches, y does, for sure; false may also be because several terms do it together. */
bool pol_packets_within(const struct pol_ir *ir, const struct pol_filter_line *x,
			const struct pol_filter_line *y);

/* One of them, as people write it: "from 198.51.100.7 to 203.0.113.8 on tcp 80 syn sport 53". */
void pol_packets_print(struct pol_buf *out, const struct pol_space *s, const struct pol_packets *b);

#endif
