/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A layered drawing of a directed graph, left to right (Sugiyama, Tagawa and Toda 1981): ranks by
 * longest path, edges cut into pieces from rank to rank, order by medians, places by least
 * squares.  A label has a place of its own between two ranks, so nothing is drawn over
 * anything else.  The same graph gives the same drawing.
 */
#ifndef POLC_LAYOUT_H
#define POLC_LAYOUT_H

#include "base/base.h"

struct pol_layout_node {
	double w, h;		/* given: size */
	int side;		/* given: -1 leftmost if nothing leads to it, 1 rightmost if nothing leaves it, 0 */
	double x, y;		/* found: centre */
};

struct pol_layout_point { double x, y; };

struct pol_layout_edge {
	uint32_t from, to;	/* given; from != to */
	double w, h;		/* given: size of its label */
	struct pol_layout_point label;	/* found: its centre */
	/*
	 * found: the way, from left to right, every second step of it straight, the first too.
	 * Memory is the arena's.
	 */
	struct pol_layout_point *way;
	size_t nway;
	bool backward;		/* found: the way begins at `to` */
};

struct pol_layout {
	struct pol_layout_node *node;
	size_t nnodes;
	struct pol_layout_edge *edge;
	size_t nedges;
	double width, height;	/* found */
};

void pol_layout(struct pol_layout *l, struct pol_arena *a);

#endif
