/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_WORKLOADS_H
#define POLC_WORKLOADS_H

#include "compiler/ir.h"

/*
 * `polc list --workloads=PATH`: what may pass between the endpoints and remotes of a
 * host file, and between each and the world, in the form that other analysers have:
 *
 *	default/web[Deployment] => default/db[Deployment] : TCP 5432
 *	10.0.0.0-10.255.255.255[External] => default/web[Deployment] : All Connections
 *
 * Every pair of which something may pass, in the order of the file, none with itself; names
 * are compared up to a '#', what stands behind is one more replica. Addresses outside are IPv4
 * ranges, as long as they can be. What is listed are ports from 1 of TCP, UDP and SCTP; all of
 * them are "All Connections". Only names, labels and addresses are read. 0 or -errno.
 */
int pol_list_workloads(const struct pol_ir *ir, const char *path, struct pol_arena *a,
		       struct pol_buf *out, struct pol_err *e);

#endif
