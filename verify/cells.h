/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cells: the addresses, or L4 keys, that are one class to the object and lie in the same sets
 * of the text.  Neither side tells the members of a cell apart, so one of them stands for all.
 *
 * They are found by a walk over the bounds of both: the object's search can only change its
 * answer at a value that it holds, whatever else is wrong with it.
 */
#ifndef POLC_VERIFY_CELLS_H
#define POLC_VERIFY_CELLS_H

#include "compiler/ir.h"
#include "compiler/partition.h"
#include "runtime/input/object.h"

struct ver_cell {
	uint32_t class;
	uint32_t *set;		/* ids of the IR's sets that it lies in, ascending, without 0 */
	size_t nsets;
	bool real;		/* false: no address or key has this class; it lies in no set */
	struct pol_ip addr;	/* one of its members */
	uint32_t key;		/* or this, POL_L4_KEY */
};

struct ver_cells {
	POL_VEC(struct ver_cell) v;	/* by class */
	uint32_t nclasses;		/* classes that tables have room for */
	uint32_t *first;		/* by class: its cells begin there; one more ends them */
	POL_VEC(uint32_t) *in;		/* by set: the classes with a cell in it, ascending */
};

/* used: by id, the sets that count. Memory is malloc'ed. */
void ver_cells_addresses(struct ver_cells *c, const struct pol_ir *ir, const bool *used,
			 const struct prt_object *o, struct pol_arena *a);
void ver_cells_l4(struct ver_cells *c, const struct pol_ir *ir, const bool *used,
		  const struct prt_object *o, struct pol_arena *a);
void ver_cells_free(struct ver_cells *c, size_t nsets);

#endif
