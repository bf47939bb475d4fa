/* SPDX-License-Identifier: GPL-2.0-only */
/* A small random world around one host, and the flows that can be seen from it. */
#ifndef POLC_TESTS_RANDOM_H
#define POLC_TESTS_RANDOM_H

#include "tests/tools/genpolicy.h"
#include "verify/world.h"

#define RANDOM_LOCAL 6		/* endpoints at most; the harness has a device for each */
#define RANDOM_REMOTE 6

void world_random(struct world *w, struct gen_rng *r, const struct gen_policy *p);
/* New labels for everybody, nothing else: what a relabelled host looks like. */
void world_relabel(struct world *w, struct gen_rng *r);

/*
 * A random flow that one of the hooks judges: from a local endpoint to
 * anybody, or from anybody to a local endpoint, at the edges of what the
 * policy names.  `serial` makes it a flow of its own.
 */
struct flow world_flow(const struct world *w, struct gen_rng *r, const struct gen_policy *p,
		       uint32_t serial);

#endif
