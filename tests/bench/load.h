/* SPDX-License-Identifier: GPL-2.0-only */
/* What this machine takes for a load that has to wait for the one before: no table can be quicker. */
#ifndef POLC_BENCH_LOAD_H
#define POLC_BENCH_LOAD_H

#include <stddef.h>

/* ns a load, anywhere in so many bytes, in pages of 4 KiB as tables of the kernel are; 0: no memory. */
double bench_one_load(size_t bytes);

#endif
