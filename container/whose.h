/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which container a network namespace belongs to, as the kernel says it: a process that is in the
 * namespace is in a cgroup that the engine named after the container (cgroups(7), proc(5)).
 *
 * Read from the top: what a container makes in its own part of the hierarchy comes behind its
 * name and counts for nothing.
 */
#ifndef CN_WHOSE_H
#define CN_WHOSE_H

#include "link.h"

/*
 * netns: the number that netlink has here for it (struct prt_link, peer_netns).  -ENOENT without an
 * error text: no process of a container is there (yet).  -EEXIST: of several containers.
 */
int cn_whose(int32_t netns, char id[CN_ID], struct pol_err *e);

/* The container of a process, by its cgroups; false: it is none's, or has ended. */
bool cn_process_id(const char *pid, char id[CN_ID]);

/* The id in a line of /proc/PID/cgroup; false: there is none.  Ids are 64 hexadecimal digits. */
bool cn_cgroup_id(const char *line, char id[CN_ID]);

#endif
