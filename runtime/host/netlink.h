/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One question to the kernel by netlink, and all of its answer.
 */
#ifndef POLC_RUNTIME_NETLINK_H
#define POLC_RUNTIME_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/base.h"

/* Called for each message of the answer; h->nlmsg_len bytes lie behind it. */
typedef void (*prt_netlink_take)(const struct nlmsghdr *h, void *ctx);

/* A socket of that protocol (NETLINK_ROUTE, ...) in the network namespace of the caller, or -errno. */
int prt_netlink_open(int protocol);
/*
 * q: the request, nlmsg_len bytes.  Returns when the answer is complete, or -errno: what the kernel
 * answered, or -EINTR if a dump was changed under it.  Requests that are not dumps ask for an
 * acknowledgement (NLM_F_ACK).
 */
int prt_netlink_ask(int fd, const struct nlmsghdr *q, prt_netlink_take take, void *ctx);

/* The first attribute of that type in `left` bytes, or NULL; flags of the type are ignored. */
const struct rtattr *prt_netlink_find(const struct rtattr *a, int left, unsigned short type);
/* The same inside another one; NULL is fine. */
const struct rtattr *prt_netlink_nested(const struct rtattr *in, unsigned short type);

#endif
