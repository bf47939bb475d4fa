/* SPDX-License-Identifier: GPL-2.0-only */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading --------------------------------------------------------------- */

/* Reads to the end: up to `max` bytes, and not one more is kept. */
static int slurp(const char *path, int fd, size_t expected, size_t max, struct prt_input *in,
		 struct pol_err *e)
{
	size_t cap = expected + 2; /* one byte more shows that it grew */
	ssize_t got;

	in->data = malloc(cap);
	for (;;) {
		if (in->data && in->size + 1 == cap) {
			cap *= 2;
			in->data = reallocarray(in->data, cap, 1);
		}
		if (!in->data)
			return pol_err(e, -ENOMEM, "%s: out of memory", path);
		got = read(fd, in->data + in->size, cap - in->size - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pol_err(e, -errno, "%s: cannot read: %s", path, strerror(errno));
		if (!got)
			break;
		in->size += (size_t)got;
		if (in->size > max)
			return pol_err(e, -EFBIG, "%s: larger than %zu MiB", path, max >> 20);
	}
	in->data[in->size] = '\0';
	return 0;
}

/* The name that the kernel has for an open file. */
static char *name_of(int fd)
{
	char link[64], name[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	if (n <= 0 || name[0] != '/')
		return NULL;
	name[n] = '\0';
	return strdup(name);
}

static int read_open(const char *path, int fd, enum prt_input_kind kind, size_t max,
		     struct prt_input *in, struct pol_err *e)
{
	struct stat st;
	bool regular;
	int ret;

	if (fstat(fd, &st) < 0)
		return pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	regular = S_ISREG(st.st_mode);
	if (S_ISDIR(st.st_mode))
		return pol_err(e, kind == PRT_INPUT_REGULAR ? -EINVAL : -EISDIR,
			       "%s: is a directory", path);
	if (!regular && kind == PRT_INPUT_REGULAR)
		return pol_err(e, -EINVAL, "%s: not a regular file", path);
	if (regular && (uint64_t)st.st_size > max)
		return pol_err(e, -EFBIG, "%s: larger than %zu MiB", path, max >> 20);
	in->path = path;
	in->uid = st.st_uid;
	in->mode = st.st_mode;
	ret = slurp(path, fd, regular ? (size_t)st.st_size : 4096, max, in, e);
	/* Files of /proc say 0 and have contents; an object is never one. */
	if (!ret && kind == PRT_INPUT_REGULAR && in->size != (size_t)st.st_size)
		ret = pol_err(e, -EAGAIN, "%s: changed while it was read", path);
	if (!ret && regular)
		in->real = name_of(fd);
	return ret;
}

int prt_input_read(const char *path, enum prt_input_kind kind, size_t max, struct prt_input *out,
		   struct pol_err *e)
{
	/* Not waiting for the writer of a pipe where no pipe will do. */
	int wait = kind == PRT_INPUT_REGULAR ? O_NONBLOCK : 0;
	int fd POL_CLEANUP(pol_cleanup_fd) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | wait);
	struct prt_input in = { 0 };
	int ret;

	if (fd < 0)
		return pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	ret = read_open(path, fd, kind, max, &in, e);
	if (ret)
		prt_input_free(&in);
	else
		*out = in;
	return ret;
}

void prt_input_free(struct prt_input *in)
{
	free(in->data);
	free(in->real);
	*in = (struct prt_input){ 0 };
}

/* ---- whose it is ------------------------------------------------------------ */

static bool trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static bool others_write(mode_t mode)
{
	return mode & (S_IWGRP | S_IWOTH);
}

static int check_file(const struct prt_input *in, struct pol_err *e)
{
	if (!trusted(in->uid)) {
		pol_err_help(e, "once you trust what is in it: chown root %s", in->path);
		return pol_err(e, -EPERM, "%s: belongs to user %u, not to root", in->path,
			       (unsigned)in->uid);
	}
	if (others_write(in->mode)) {
		pol_err_help(e, "once you trust what is in it: chmod go-w %s", in->path);
		return pol_err(e, -EPERM, "%s: others than root can write to it (mode %04o)",
			       in->path, (unsigned)(in->mode & 07777));
	}
	return 0;
}

static int check_stat(const char *file, const char *folder, const struct stat *st,
		      struct pol_err *e)
{
	if (trusted(st->st_uid) && (!others_write(st->st_mode) || st->st_mode & S_ISVTX))
		return 0;
	pol_err_help(e, "keep it where only root can write, say in /etc/polc: who can rename files in a folder chooses which one is read");
	if (!trusted(st->st_uid))
		return pol_err(e, -EPERM, "%s: folder %s belongs to user %u, not to root", file,
			       folder, (unsigned)st->st_uid);
	return pol_err(e, -EPERM, "%s: others than root can write to folder %s (mode %04o)", file,
		       folder, (unsigned)(st->st_mode & 07777));
}

/* One step on the way to a file: a symbolic link, and the folder that it is or leads to. */
static int check_step(const struct prt_input *in, const char *step, bool last, struct pol_err *e)
{
	struct stat st;

	if (lstat(step, &st)) /* the file may have got a new name since; its bytes are ours */
		return last ? 0 : pol_err(e, -errno, "%s: %s: %s", in->path, step, strerror(errno));
	if (S_ISLNK(st.st_mode) && !trusted(st.st_uid)) {
		pol_err_help(e, "name the file itself");
		return pol_err(e, -EPERM, "%s: the symbolic link %s belongs to user %u, not to root",
			       in->path, step, (unsigned)st.st_uid);
	}
	if (last)
		return 0; /* the file: as it was open, not as it is now */
	if (S_ISLNK(st.st_mode) && stat(step, &st))
		return pol_err(e, -errno, "%s: %s: %s", in->path, step, strerror(errno));
	return check_stat(in->path, step, &st, e);
}

static int check_way(const struct prt_input *in, const char *absolute, struct pol_err *e)
{
	char step[PATH_MAX];
	int ret = 0;

	for (size_t i = 0; absolute[i] && !ret; i++) {
		bool last = !absolute[i + 1];
		size_t n = last || !i ? i + 1 : i;

		if ((absolute[i] != '/' && !last) || n >= sizeof(step))
			continue;
		memcpy(step, absolute, n);
		step[n] = '\0';
		ret = check_step(in, step, last, e);
	}
	return ret;
}

int prt_input_owner_check(const struct prt_input *in, struct pol_err *e)
{
	char given[PATH_MAX + PATH_MAX], cwd[PATH_MAX] = "";
	int ret = check_file(in, e);

	if (ret || !in->real)
		return ret;
	if (in->path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return pol_err(e, -errno, "%s: the working folder has gone", in->path);
	snprintf(given, sizeof(given), "%s%s%s", cwd, *cwd ? "/" : "", in->path);
	ret = check_way(in, given, e);
	return ret ? ret : check_way(in, in->real, e);
}

int prt_input_folder_check(const char *path, int fd, struct pol_err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return pol_err(e, -errno, "%s: %s", path, strerror(errno));
	if (trusted(st.st_uid) && !others_write(st.st_mode))
		return 0;
	pol_err_help(e, "chown root %s; chmod go-w %s", path, path);
	return pol_err(e, -EPERM, "%s: others than root can write to this folder", path);
}
