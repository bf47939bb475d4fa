/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs that hang on the hooks.  They never change: they read which
 * generation is in force and jump into it.  Without one, or when the jump
 * misses, the packet is counted and dropped.  The one of lo leaves alone what does not carry
 * POL_MARK_PROXY.
 */
#ifndef POLC_RUNTIME_STUB_H
#define POLC_RUNTIME_STUB_H

#include <polc/abi.h>

#include "base/base.h"

/* Pin, and name in the kernel, of a hook's stub. */
const char *prt_stub_name(enum pol_hook hook);

/* root: root_xdp for POL_HOOK_XDP.  *fd is the caller's. */
int prt_stub_load(enum pol_hook hook, int active, int root, int drops, int *fd, struct pol_err *e);

/*
 * The same as the stub of POL_HOOK_XDP, as an extension that stands in a dispatcher of libxdp
 * (dispatcher.h): its pin and name, and, in its BTF, where it wants to stand.  Programs have
 * 50 if they say nothing, and a lower number is earlier.
 */
#define PRT_XDP_JOINER "polload_xdp"
#define PRT_XDP_PRIORITY 5u
int prt_stub_load_joiner(int active, int root, int drops, int *fd, struct pol_err *e);

/* What stands in root_xdp for a generation without filters and services: passes everything on. */
#define PRT_XDP_PASS "xdp_pass"
int prt_stub_load_pass(int *fd, struct pol_err *e);
/* The same for the hooks of TC: what stands in root while everything is being removed. */
int prt_stub_load_pass_tc(int *fd, struct pol_err *e);

#endif
