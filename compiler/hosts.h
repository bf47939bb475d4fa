/* SPDX-License-Identifier: GPL-2.0-only */
/* The endpoints of a host file, as questions about a policy need them. */
#ifndef POLC_HOSTS_H
#define POLC_HOSTS_H

#include "compiler/eval.h"

struct pol_host_endpoint {
	struct pol_str name;
	struct pol_eval_peer peer;	/* with its first address */
};
typedef POL_VEC(struct pol_host_endpoint) pol_host_endpoints;

/*
 * Endpoints and remotes, in the order of the file; only names, labels and addresses are read
 * (polload checks the rest).  0, -EINVAL or another -errno. Texts are the arena's, free the vector.
 */
int pol_hosts_read(const char *path, struct pol_arena *a, pol_host_endpoints *out,
		   struct pol_err *e);

#endif
