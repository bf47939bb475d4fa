/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Endpoints that live outside of their policy's `pool`.
 *
 * They are enforced as all are.  But an address of the pool that nobody has is nobody's, and closed at boot,
 * while another one is the world's: before such an endpoint is known here, or on another host, and once it is
 * gone, rules about the world hold for it.  That is said, and not refused: a container in two networks may be
 * meant to be the policy's in one.
 */
#ifndef POLC_RUNTIME_POOL_H
#define POLC_RUNTIME_POOL_H

#include "runtime/generation/world.h"
#include "runtime/input/object.h"

/* A note about these n members, if the policy has a pool and not all their addresses. */
void prt_pool_note(struct prt_env *env, const struct prt_manifest *m, const struct prt_member *v,
		   size_t n);

#endif
