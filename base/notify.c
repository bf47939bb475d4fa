/* SPDX-License-Identifier: GPL-2.0-only */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base.h"

void pol_notify_ready(void)
{
	static const char text[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	size_t n = path ? strlen(path) : 0;

	if (!n || n >= sizeof(to.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	memcpy(to.sun_path, path, n + 1);
	if (path[0] == '@') /* abstract: without an end */
		to.sun_path[0] = '\0';
	sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL, (void *)&to,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] != '@')));
}
