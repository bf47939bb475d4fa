/* SPDX-License-Identifier: GPL-2.0-only */
/* What both forms of `polc list` share: two ends, and what may pass between them. */
#ifndef POLC_LISTING_H
#define POLC_LISTING_H

#include "compiler/eval.h"

/* One who stands for a name; its rules, by direction, without those that cannot concern it. */
struct pol_list_member {
	struct pol_str name;
	const char *family; /* "", "v4", "v6" or "10.0.0.0/8": which addresses of the name it stands for */
	struct pol_eval_peer peer;
	struct pol_ir rules[POL_DIRECTIONS]; /* of an endpoint */
};

void pol_list_member_set(const struct pol_ir *ir, struct pol_str name, const char *family,
			 const struct pol_eval_peer *peer, struct pol_list_member *m);
void pol_list_member_free(struct pol_list_member *m);

struct pol_list_ports {
	struct pol_l4set all, http;	/* http: those of them where requests are judged */
};

/* What both sides allow, audit policies left out; in the arena. */
struct pol_list_ports pol_list_allowed(const struct pol_ir *ir, struct pol_arena *a,
				  const struct pol_list_member *src,
				  const struct pol_list_member *dst);

#endif
