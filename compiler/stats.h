/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_STATS_H
#define POLC_STATS_H

#include "tabulate.h"

/* What `polc --stats` prints: sizes, classes, depths, what a lookup costs, and which rules cost most. */
void pol_stats(const struct pol_tables *t, struct pol_buf *out);

#endif
