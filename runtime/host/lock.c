/* SPDX-License-Identifier: GPL-2.0-only */
#include "lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 5

/* Who holds the lock, from /proc/locks; 0: not to be found out. */
static long holder(int fd)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	struct stat st;
	size_t n;

	if (fstat(fd, &st) || pol_read_file("/proc/locks", 1u << 24, &text, &n, NULL))
		return 0;
	for (char *line = text; line && *line;) {
		char *next = strchr(line, '\n');
		unsigned major_no, minor_no;
		unsigned long ino;
		long pid;

		if (next)
			*next++ = '\0';
		if (sscanf(line, "%*[^:]: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &major_no, &minor_no,
			   &ino) == 4 &&
		    ino == st.st_ino && major_no == major(st.st_dev) &&
		    minor_no == minor(st.st_dev))
			return pid;
		line = next;
	}
	return 0;
}

static int busy(const struct prt_env *env, int fd, struct pol_err *e)
{
	long pid = holder(fd);

	pol_err_help(e, "wait for it to end, then try again");
	if (pid > 0)
		return pol_err(e, -EBUSY, "%s: in use by another polload (process %ld)", env->bpffs,
			       pid);
	return pol_err(e, -EBUSY, "%s: in use by another polload", env->bpffs);
}

/* `polload remove` may have taken the folder away while we waited for it. */
static bool still_there(const struct prt_env *env, int fd)
{
	struct stat mine, now;

	return !fstat(fd, &mine) && !lstat(env->bpffs, &now) && mine.st_ino == now.st_ino &&
	       mine.st_dev == now.st_dev;
}

int prt_lock(const struct prt_env *env, enum prt_lock_kind kind, bool create, int *fd,
	     struct pol_err *e)
{
	int op = (kind == PRT_LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH) | LOCK_NB;
	int clock = prt_env_clock(e);

	if (clock)
		return clock;
	for (int waited = 0;; waited += PAUSE_MS) {
		int dir POL_CLEANUP(pol_cleanup_fd) = -1;
		int r = prt_bpffs_open(env, create, &dir, e);

		if (r)
			return r;
		if (!flock(dir, op)) {
			if (!still_there(env, dir))
				continue;
			*fd = POL_TAKE_FD(dir);
			return 0;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			r = pol_err(e, -errno, "%s: cannot lock: %s", env->bpffs, strerror(errno));
			if (create)
				rmdir(env->bpffs); /* if it is empty, we made it */
			return r;
		}
		if (waited >= PRT_LOCK_WAIT_MS)
			return busy(env, dir, e);
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
	}
}
