/* SPDX-License-Identifier: GPL-2.0-only */
/* What a placement is made of: shared by place.c and place_change.c alone. */
#ifndef PRT_PLACE_PRIVATE_H
#define PRT_PLACE_PRIVATE_H

#include "image.h"
#include "kinds.h"
#include "place.h"

struct own {			/* an own kind */
	uint32_t root[POL_DIRECTIONS];
	uint32_t users;
	bool placed;		/* has roots that hold for every column */
};

struct peer {			/* a peer kind */
	uint32_t column;	/* 0: none */
	uint32_t users;
};

struct ep {
	bool known, local;
	uint32_t own;
	uint32_t npeers;
	uint32_t *peer;		/* by address */
};

struct prt_place {
	const struct prt_object *o;
	struct prt_kinds kinds;
	struct prt_image *image;
	struct pol_table *work;	/* NULL until something is combined */
	bool audits;		/* some block only audits */
	bool adopted;		/* the image's live maps have not been marked yet */
	POL_VEC(struct own) own;
	POL_VEC(struct peer) peer;
	POL_VEC(struct ep) ep;	/* by number */
	POL_VEC(uint32_t) column; /* those that were ever in use, from the first of endpoints on: peer kind + 1, 0: none now */
	POL_VEC(uint32_t) torn;	/* further roots that are in force somewhere */
	uint32_t endpoints;
};

/* Enters an endpoint with its kinds; what the kinds have or lack is for the caller. */
int prt_place_enter(struct prt_place *p, const struct prt_place_ep *given, struct pol_err *e);
void prt_place_leave(struct prt_place *p, uint32_t number);

uint32_t prt_place_columns_max(const struct prt_place *p);
/* Columns of endpoints, counted from the first one; kind + 1, 0: none. */
uint32_t prt_place_column_kind(const struct prt_place *p, uint32_t i);
void prt_place_column_set(struct prt_place *p, uint32_t i, uint32_t kind_plus_1);

#endif
