/* SPDX-License-Identifier: GPL-2.0-only */
#include "message.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

union ancillary {
	struct cmsghdr align;
	char room[CMSG_SPACE(POL_PROXY_FDS * sizeof(int))];
};

/* The kernel fills what there is: with space for one more, a peer's one too many would be behind `fds`. */
_Static_assert(sizeof(union ancillary) == CMSG_LEN(POL_PROXY_FDS * sizeof(int)),
	       "room for so many descriptors, and no more");

int pol_message_send(int fd, const struct pol_proxy_msg *m, const int *fds, size_t n)
{
	struct iovec v = { .iov_base = (void *)m, .iov_len = sizeof(*m) };
	union ancillary a = { .room = { 0 } };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		h.msg_control = a.room;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)sizeof(*m) ? 0 : -errno;
}

int pol_message_receive(int fd, struct pol_proxy_msg *m, int fds[POL_PROXY_FDS])
{
	struct iovec v = { .iov_base = m, .iov_len = sizeof(*m) };
	union ancillary a = { .room = { 0 } };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = a.room,
			    .msg_controllen = sizeof(a.room) };
	ssize_t got;

	for (size_t i = 0; i < POL_PROXY_FDS; i++)
		fds[i] = -1;
	do
		got = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	if (!got)
		return -EPIPE;
	if (got != sizeof(*m) || h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    m->version != POL_PROXY_VERSION)
		return -EPROTO;
	m->text[POL_PROXY_TEXT - 1] = '\0';
	return 0;
}
