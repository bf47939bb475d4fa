/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters to tables (polc/tables.h, "filters").
 *
 * A first-match list over source, destination, ports and flags is cut into
 * classes a field at a time; cells of (source class, destination class) have
 * the lines that both satisfy.  Cross products are kept small by putting lines with wide and
 * with narrow prefixes into groups of their own (wide x wide, wide x narrow,
 * ...): where few nest, cells are about as many as lines.
 */
#ifndef POLC_FILTER_H
#define POLC_FILTER_H

#include <polc/tables.h>

#include "compiler/ir.h"
#include "lang/diag.h"

#define POL_FILTER_WORDS_MAX (1u << 24)	/* of all filters: 64 MiB */

/* How one family of one filter came out, for `--stats`. */
struct pol_filter_stats {
	uint32_t lines;			/* that can match in this family, special ones apart */
	uint32_t special;
	uint32_t records[2];		/* source, destination */
	uint32_t intervals[2];
	unsigned wide[2];		/* bits of a prefix: shorter is wide; 0: one group for all */
	unsigned groups;
	uint32_t cells;			/* that have lines */
	uint32_t kinds, patterns;
	uint32_t words;
};

struct pol_filters {
	size_t n;
	struct pol_filter_head *head;	/* n */
	struct pol_filter_half *half;	/* 2 * n: IPv4, IPv6 */
	struct pol_filter_stats *stats;	/* likewise */
	uint32_t *data;			/* the arena's */
	uint32_t words;			/* filled */
	uint32_t room;			/* of the array: the next power of two, and POL_FILTER_SLACK */
};

/* False after an error diagnostic: a filter that is past the budget, and what makes it so. */
bool pol_filters_build(const struct pol_ir *ir, struct pol_arena *arena, struct pol_filters *out,
		       struct pol_diags *diags);

#endif
