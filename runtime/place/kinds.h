/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From labels and address classes to kinds (place.h), as dense numbers.  What
 * no selector asks for falls away first, so that a thousand endpoints with a
 * label of their own each still are one label kind.
 */
#ifndef PRT_KINDS_H
#define PRT_KINDS_H

#include "runtime/input/hostfile.h"
#include "runtime/input/object.h"

/* ---- different lists of numbers, numbered ------------------------------------ */

struct prt_list { uint32_t *v; uint32_t n; };
struct prt_lists {		/* zero-initialise */
	POL_VEC(struct prt_list) list;
	uint32_t *slot;		/* number + 1; 0 is free */
	uint32_t cap;		/* a power of two */
};
/* The number of an equal list, new or known: the first is 0. */
uint32_t prt_lists_add(struct prt_lists *l, const uint32_t *v, uint32_t n);
void prt_lists_free(struct prt_lists *l);

/* ---- kinds ---------------------------------------------------------------------- */

struct prt_label_kind {
	bool *holds;		/* by selector */
	uint32_t own;		/* its own kind */
};

struct prt_kinds {
	const struct prt_manifest *m;
	bool *key_has;		/* by key: some selector only asks whether it is there */
	uint32_t *key_value;	/* by key, scratch: atom + 1, 0: not there */
	struct prt_lists labels;	/* key, atom, key, atom: by label kind */
	struct prt_lists own;		/* blocks, ascending: by own kind */
	struct prt_lists peer;		/* predicates, ascending: by peer kind */
	struct prt_lists peer_of;	/* (label kind, class) -> index of peer_kind */
	POL_VEC(struct prt_label_kind) label_kind;
	POL_VEC(uint32_t) peer_kind;
	uint32_t *scratch;	/* blocks or predicates, whichever are more */
};

void prt_kinds_init(struct prt_kinds *k, const struct prt_manifest *m);
void prt_kinds_free(struct prt_kinds *k);
uint32_t prt_kinds_labels(struct prt_kinds *k, const struct prt_label *labels, size_t n);
uint32_t prt_kinds_own(const struct prt_kinds *k, uint32_t label_kind);
uint32_t prt_kinds_peer(struct prt_kinds *k, uint32_t label_kind, uint32_t address_class);

#endif
