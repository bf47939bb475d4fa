/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of a Cilium policy. */
#ifndef POLC_IMPORT_CILIUM_H
#define POLC_IMPORT_CILIUM_H

#include "compiler/import/rule.h"

struct pol_cilium {
	struct pol_import *im;
	const struct pol_import_object *o;
	struct pol_import_policy *p;
	bool clusterwide;
};

/* The peers of one rule; `none` selects nothing, `left_out` cannot be said. */
struct pol_cilium_peers {
	POL_VEC(struct pol_import_peer) of;
	bool any, left_out;
};

/* Terms of a selector of endpoints, with the policy's namespace where it says none. */
int pol_cilium_selector(struct pol_cilium *c, const struct pol_yaml *sel, struct pol_str *out);
/* The first key of a selector that labels of this host do not have, or NULL. */
const struct pol_yaml *pol_cilium_foreign(const struct pol_yaml *sel);
int pol_cilium_peers(struct pol_cilium *c, const struct pol_yaml *rule, bool egress, bool deny,
		     struct pol_cilium_peers *out);

/* One element of toServices; *why: that it cannot be said, and in what words. */
int pol_cilium_service(struct pol_cilium *c, const struct pol_yaml *at,
		       struct pol_cilium_peers *out, const char **why);
/* One element of toPorts, or icmps, into r; *left_out: it cannot be said. */
int pol_cilium_ports(struct pol_cilium *c, const struct pol_yaml *at, bool deny,
		     struct pol_import_rule *r, bool *left_out);
int pol_cilium_icmps(struct pol_cilium *c, const struct pol_yaml *list, struct pol_import_rule *r);
/* The lines of an http block. */
int pol_cilium_http(struct pol_cilium *c, const struct pol_yaml *list, struct pol_str *out);

#endif
