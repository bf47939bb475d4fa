/* SPDX-License-Identifier: GPL-2.0-only */
/* What netlink.h makes of answers, which a socket pair gives in the kernel's place. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/host/netlink.h"

static unsigned tests, failures;

static void check(const char *what, int expected, int seen)
{
	tests++;
	failures += expected != seen;
	printf("%sok %u - %s\n", expected == seen ? "" : "not ", tests, what);
	if (expected != seen)
		printf("# expected %d, seen %d\n", expected, seen);
}

struct part { /* of an answer; messages of one datagram, until a type 0 */
	uint16_t type, flags;
	uint32_t len; /* beside the header */
	int code; /* what it begins with */
};

static size_t put(char *room, const struct part *p)
{
	struct nlmsghdr *h = (void *)room;

	*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(p->len),
				.nlmsg_type = p->type,
				.nlmsg_flags = p->flags };
	memset(NLMSG_DATA(h), 0, NLMSG_ALIGN(p->len));
	memcpy(NLMSG_DATA(h), &p->code, p->len < sizeof(p->code) ? p->len : sizeof(p->code));
	return NLMSG_ALIGN(h->nlmsg_len);
}

static void count(const struct nlmsghdr *h, void *ctx)
{
	int *n = ctx;

	*n += h->nlmsg_type == RTM_NEWLINK;
}

/* What a question comes to that is answered so; *taken: messages before the end. */
static int answered(const struct part *parts, int *taken)
{
	const struct nlmsghdr q = { .nlmsg_len = sizeof(q), .nlmsg_type = RTM_GETLINK };
	_Alignas(struct nlmsghdr) char room[1024];
	size_t n = 0;
	int fd[2], r;

	*taken = 0;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fd))
		return 1;
	for (; parts->type; parts++)
		n += put(room + n, parts);
	r = send(fd[1], room, n, 0) == (ssize_t)n ? prt_netlink_ask(fd[0], &q, count, taken) : 1;
	close(fd[0]);
	close(fd[1]);
	return r;
}

#define LINK                                                                                       \
	{                                                                                          \
		RTM_NEWLINK, NLM_F_MULTI, 16, 0                                                    \
	}

int main(void)
{
	static const struct part whole[] = { LINK, LINK, { NLMSG_DONE, NLM_F_MULTI, 4, 0 }, { 0 } };
	static const struct part bare[] = { LINK, { NLMSG_DONE, NLM_F_MULTI, 0, 0 }, { 0 } };
	static const struct part failed[] = { LINK,
					      { NLMSG_DONE, NLM_F_MULTI, 4, -ENOMEM },
					      { 0 } };
	static const struct part changed[] = { LINK,
					       { NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, 4, 0 },
					       { 0 } };
	static const struct part refused[] = { { NLMSG_ERROR, 0, sizeof(struct nlmsgerr), -EPERM },
					       { 0 } };
	static const struct part done[] = { LINK,
					    { NLMSG_ERROR, 0, sizeof(struct nlmsgerr), 0 },
					    { 0 } };
	int n;

	check("a dump", 0, answered(whole, &n));
	check("... has all of it", 2, n);
	check("a dump without a number at its end", 0, answered(bare, &n));
	check("a dump that the kernel could not go on with", -ENOMEM, answered(failed, &n));
	check("a dump that a change came between", -EINTR, answered(changed, &n));
	check("a question that is refused", -EPERM, answered(refused, &n));
	check("one answer and its acknowledgement", 0, answered(done, &n));
	check("... is taken", 1, n);
	printf("1..%u\n", tests);
	return failures != 0;
}
