/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection table, seen from outside while packets write to it.
 */
#ifndef POLC_RUNTIME_FLOWS_H
#define POLC_RUNTIME_FLOWS_H

#include "world.h"

typedef POL_VEC(struct pol_ct_entry) prt_flows;

/* Every entry that was whole when it was read and has not timed out, in the order of the table. */
int prt_flows_read(const struct prt_shared *s, prt_flows *out, struct pol_err *e);

/*
 * Flows of an endpoint that goes are judged anew, as those of an older
 * generation are, whoever has its addresses by then.  It is one store of a
 * word that packets only compare, so no lock is needed: if the place was given to
 * another flow meanwhile, that one is judged once more than needed.
 */
int prt_flows_forget(const struct prt_shared *s, const struct prt_member *m, struct pol_err *e);

/* Seconds without a packet after which an entry of that state means nothing. */
unsigned prt_flow_timeout(enum pol_ct_state state);
const char *prt_flow_state_name(uint8_t state);

#endif
