/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asking a loaded generation about flows without packets: its program pol_ask
 * (bpf-templates/ask.h) judges them by its own tables, as it would judge their packets.
 */
#ifndef POLC_RUNTIME_ASK_H
#define POLC_RUNTIME_ASK_H

#include "world.h"

/* In and out: a.  g must have been loaded with PRT_LOAD_ASK. */
int prt_ask(const struct prt_gen *g, struct pol_asked *a, struct pol_err *e);

/* What came of the flows that lived before the first apply. */
struct prt_imported {
	size_t entered;		/* the policy allows them */
	size_t denied;
	size_t http;		/* of those entered: HTTP rules hold, so they will be reset */
	size_t full;		/* no room, or more than their source's share */
};

/*
 * Enters what the kernel knows of live flows (kernflows.h) in the connection table of a generation
 * that is not in force yet, each judged by it.
 */
int prt_import(const struct prt_gen *g, const struct prt_world *w, struct prt_imported *out,
	       struct pol_err *e);

#endif
