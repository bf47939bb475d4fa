/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between a placement (place.h) and the mapped tables of a generation.
 */
#ifndef POLC_RUNTIME_PUBLISH_H
#define POLC_RUNTIME_PUBLISH_H

#include "runtime/place/place.h"
#include "world.h"

/* Endpoints as the placement wants them, in the order of the world; memory is the arena's. */
int prt_publish_eps(struct pol_arena *arena, const struct prt_world *w, struct prt_place_ep **out,
		    struct pol_err *e);

/* Writes an update in the order that place.h asks for; step 4 is the caller's.  The generation may be live. */
int prt_publish(struct prt_gen *g, const struct prt_world *w, const struct prt_place *p,
		const struct prt_place_update *u, struct pol_err *e);

/* Takes up a live generation: its tables, and each endpoint's roots and columns. */
int prt_publish_adopt(const struct prt_gen *g, const struct prt_world *w,
		      const struct prt_place_ep *eps, struct prt_place *p, struct pol_err *e);

#endif
