/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens most: live connections, drops and requests of the last interval, each sorted
 * by how often. Frames are lines of text; who shows them moves the cursor.
 */
#ifndef POLC_RUNTIME_TOP_H
#define POLC_RUNTIME_TOP_H

#include "monitor.h"

enum prt_top_pane { PRT_TOP_ALL, PRT_TOP_FLOWS, PRT_TOP_DROPS, PRT_TOP_REQUESTS };

struct prt_top {
	struct prt_stream s;
	struct prt_heap *drops, *requests;	/* of this interval */
	uint64_t began_ns, n[PRT_SEE_MAX];	/* since when, and how many of each */
	uint64_t lost[POL_EVENT_KINDS];
};

void prt_top_init(struct prt_top *t);
int prt_top_open(struct prt_env *env, const struct prt_query *q, struct prt_top *t, struct pol_err *e);
/* Takes what comes for so many ms. */
int prt_top_wait(struct prt_top *t, int ms, struct pol_err *e);
/*
 * A frame of at most `rows` lines of at most `columns` characters (0: no bound), or JSON; the next interval
 * begins.
 */
int prt_top_frame(struct prt_top *t, enum prt_top_pane pane, unsigned rows, unsigned columns,
		  struct pol_buf *out, struct pol_err *e);
void prt_top_close(struct prt_top *t);	/* after init */

/* On this terminal, until `q`, or *stop; or one frame after one interval. Makes the screen as it was. */
int prt_top_screen(struct prt_env *env, const struct prt_query *q, bool once, unsigned seconds,
		   const volatile int *stop, struct pol_err *e);

#endif
