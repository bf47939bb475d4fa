/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The program that names the proxy's listener for connections which begin anew (bpf-templates/timewait.h).
 * It hangs at the look-up for listeners of this network namespace (sk_lookup), by a link that is
 * pinned, and only while a policy with http rules is in force.  Others' programs there are not
 * touched: what ours does not know it leaves to them.
 */
#ifndef POLC_RUNTIME_LOOKUP_H
#define POLC_RUNTIME_LOOKUP_H

#include "runtime/input/env.h"

/*
 * Hangs `prog` there; what hung there before is replaced in one step.  -1: the object has none, so
 * nothing hangs there.
 */
int prt_lookup_attach(const struct prt_env *env, int prog, struct pol_err *e);
/* Nothing there is fine. */
int prt_lookup_detach(const struct prt_env *env, struct pol_err *e);
bool prt_lookup_attached(const struct prt_env *env);

#endif
