/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_SARIF_H
#define POLC_SARIF_H

#include "lang/diag.h"

/* Diagnostics as SARIF 2.1.0, for code review: one run, paths as given. */
void pol_sarif(struct pol_buf *out, const struct pol_diags *d, const struct pol_sources *s);

#endif
