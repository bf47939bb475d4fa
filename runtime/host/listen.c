/* SPDX-License-Identifier: GPL-2.0-only */
#include "listen.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/input/env.h"

#define BACKLOG 64

int prt_listen_unix(const char *path, int *fd, struct pol_err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s POL_CLEANUP(pol_cleanup_fd) = -1;
	struct stat st;
	mode_t old;
	int r;

	if (!*path || strlen(path) >= sizeof(at.sun_path))
		return pol_err(e, -EINVAL, "unix:%s: no path for a socket", prt_safe(path));
	strcpy(at.sun_path, path);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s >= 0 && !connect(s, (void *)&at, sizeof(at)))
		return pol_err(e, -EADDRINUSE, "%s: somebody serves it already", path);
	pol_cleanup_fd(&s);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path); /* of one that ended otherwise */
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	old = umask(0177);
	r = s < 0 || bind(s, (void *)&at, sizeof(at));
	umask(old);
	if (r || listen(s, BACKLOG))
		return pol_err(e, -errno, "%s: cannot listen: %s", path, strerror(errno));
	*fd = POL_TAKE_FD(s);
	return 0;
}
