/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an object asks of uplinks before the stack: which of its filters, and its services.
 */
#ifndef POLC_RUNTIME_EDGE_H
#define POLC_RUNTIME_EDGE_H

#include "runtime/input/object.h"
#include "world.h"

/*
 * Says of each uplink of *w which filters its packets meet and whether it needs the XDP hook.
 * -EINVAL: a filter is on an interface that is no uplink here; late: one that is not there is fine.
 */
int prt_edge_bind(const struct prt_manifest *m, bool audit, bool late, struct prt_world *w,
		  struct pol_err *e);

#endif
