/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets and selectors of the IR as people write them in a policy. */
#ifndef POLC_DESCRIBE_H
#define POLC_DESCRIBE_H

#include "compiler/ir.h"

/* "tcp 80, tcp 8000-8010, icmp echo-request", "any", "any except tcp 22"; "nothing" for the empty set. */
void pol_describe_l4(struct pol_buf *b, struct pol_l4set s);
/* Single prefixes where a range is one, "10.0.0.1-10.0.0.9" where not; after `max` ranges "... and N more". */
void pol_describe_aset(struct pol_buf *b, const struct pol_aset *s, size_t max);
void pol_describe_sel(struct pol_buf *b, const struct pol_ir *ir, uint32_t sel);
void pol_describe_pred(struct pol_buf *b, const struct pol_ir *ir, uint32_t pred);
const char *pol_describe_action(enum pol_action a);	/* "allow" ... */
const char *pol_describe_stage(enum pol_stage s);	/* "admin", "main", "baseline" */
const char *pol_describe_direction(enum pol_direction d); /* "ingress", "egress" */

#endif
