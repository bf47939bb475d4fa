/* SPDX-License-Identifier: GPL-2.0-only */
#include "netlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REPLY_MAX 65536 /* more than any kernel puts into one message of a dump */

int prt_netlink_open(int protocol)
{
	const struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* A dump that the kernel could not go on with ends as one that is complete does, but for a negative number. */
static int end_of_dump(const struct nlmsghdr *h)
{
	int code = 0;

	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(code)))
		memcpy(&code, NLMSG_DATA(h), sizeof(code));
	return code < 0 ? code : 1;
}

/*
 * 1: the answer is complete; 0: more is to come; -errno.  Requests that are not
 * dumps ask for an acknowledgement: some have no answer at all (a built-in qdisc).
 */
static int take_batch(const char *p, ssize_t left, prt_netlink_take take, void *ctx)
{
	const struct nlmsghdr *h = (const void *)p;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type == NLMSG_DONE)
			return end_of_dump(h);
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *err = NLMSG_DATA(h);

			return err->error ? err->error : 1;
		}
		take(h, ctx);
	}
	return 0;
}

int prt_netlink_ask(int fd, const struct nlmsghdr *q, prt_netlink_take take, void *ctx)
{
	char *reply POL_CLEANUP(pol_cleanup_free) = malloc(REPLY_MAX);
	int r = 0;

	if (!reply)
		return -ENOMEM;
	if (send(fd, q, q->nlmsg_len, 0) < 0)
		return -errno;
	while (!r) {
		ssize_t n = recv(fd, reply, REPLY_MAX, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		r = take_batch(reply, n, take, ctx);
	}
	return r < 0 ? r : 0;
}

const struct rtattr *prt_netlink_find(const struct rtattr *a, int left, unsigned short type)
{
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	}
	return NULL;
}

const struct rtattr *prt_netlink_nested(const struct rtattr *in, unsigned short type)
{
	return in ? prt_netlink_find(RTA_DATA(in), (int)RTA_PAYLOAD(in), type) : NULL;
}
