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
	pol_err_help(
		e,
		"keep it where only root can write, say in /etc/polc: who can rename files in a folder chooses which one is read");
	if (!trusted(st->st_uid))
		return pol_err(e, -EPERM, "%s: folder %s belongs to user %u, not to root", file,
			       folder, (unsigned)st->st_uid);
	return pol_err(e, -EPERM, "%s: others than root can write to folder %s (mode %04o)", file,
		       folder, (unsigned)(st->st_mode & 07777));
}

/* One step on the way to a file: a symbolic link, and the folder that it is or leads to. */
static int check_step(const char *file, const char *step, bool folder, struct pol_err *e)
{
	struct stat st;

	if (lstat(step, &st))
		return -errno;
	if (S_ISLNK(st.st_mode) && !trusted(st.st_uid)) {
		pol_err_help(e, "name the file itself");
		return pol_err(e, -EPERM,
			       "%s: the symbolic link %s belongs to user %u, not to root", file,
			       step, (unsigned)st.st_uid);
	}
	if (!folder)
		return 0; /* a file counts as it was open, not as it is now */
	if (S_ISLNK(st.st_mode) && stat(step, &st))
		return -errno;
	return check_stat(file, step, &st, e);
}

/* Every step of an absolute path; what is not there (any more) is nobody's. */
static int check_way(const char *file, const char *absolute, bool to_folder, struct pol_err *e)
{
	char step[PATH_MAX];

	for (size_t i = 0; absolute[i]; i++) {
		bool last = !absolute[i + 1];
		size_t n = last || !i ? i + 1 : i;
		int ret;

		if (absolute[i] != '/' && !last)
			continue;
		if (n >= sizeof(step))
			return pol_err(e, -ENAMETOOLONG, "%s: name too long", file);
		memcpy(step, absolute, n);
		step[n] = '\0';
		ret = check_step(file, step, to_folder || !last || absolute[i] == '/', e);
		if (ret == -ENOENT)
			return 0;
		if (ret)
			return pol_err(e, ret, "%s: %s: %s", file, step, strerror(-ret));
	}
	return 0;
}

static int check_given(const char *path, bool folder, struct pol_err *e)
{
	char given[PATH_MAX + PATH_MAX], cwd[PATH_MAX] = "";

	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return pol_err(e, -errno, "%s: the working folder has gone", path);
	snprintf(given, sizeof(given), "%s%s%s", cwd, *cwd ? "/" : "", path);
	return check_way(path, given, folder, e);
}

/*
 * Where fs.protected_symlinks is set the kernel does not follow somebody's link in a sticky folder,
 * and says no more than EACCES.
 */
static int cannot_open(const char *path, int why, struct pol_err *e)
{
	int ret = why == EACCES ? check_given(path, false, e) : 0;

	return ret ? ret : pol_err(e, -why, "%s: cannot open: %s", path, strerror(why));
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
		return cannot_open(path, errno, e);
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

int prt_input_owner_check(const struct prt_input *in, struct pol_err *e)
{
	int ret = check_file(in, e);

	if (ret || !in->real)
		return ret;
	ret = check_given(in->path, false, e);
	return ret ? ret : check_way(in->path, in->real, false, e);
}

int prt_folder_owner_check(const char *path, struct pol_err *e)
{
	char *real POL_CLEANUP(pol_cleanup_free) = realpath(path, NULL);
	int ret = check_given(path, true, e);

	return ret || !real ? ret : check_way(path, real, true, e);
}
