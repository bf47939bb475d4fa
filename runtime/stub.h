/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs that hang on the hooks.  They never change: they read which
 * generation is in force and jump into it.  Without one, or when the jump
 * misses, the packet is counted and dropped.
 */
#ifndef POLC_RUNTIME_STUB_H
#define POLC_RUNTIME_STUB_H

#include <polc/abi.h>

#include "../base/base.h"

/* Pin, and name in the kernel, of a hook's stub. */
const char *prt_stub_name(enum pol_hook hook);

/* *fd is the caller's. */
int prt_stub_load(enum pol_hook hook, int active, int root, int drops, int *fd, struct pol_err *e);

#endif
