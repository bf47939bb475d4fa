/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/input/input.h"

int prt_bpffs_path(char out[PRT_PATH], const struct prt_env *env, uint64_t gen, const char *name,
		   struct pol_err *e)
{
	char folder[32] = "";
	int n;

	if (gen)
		snprintf(folder, sizeof(folder), "/gen_%" PRIu64, gen);
	n = snprintf(out, PRT_PATH, "%s%s%s%s", env->bpffs, folder, *name ? "/" : "", name);
	if (n < 0 || n >= PRT_PATH)
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", env->bpffs);
	return 0;
}

/* ---- the folder ---------------------------------------------------------------- */

static int no_bpffs(const char *path, struct pol_err *e)
{
	pol_err_help(e, "mount one: mount -t bpf bpf /sys/fs/bpf");
	return pol_err(e, -ENOSYS, "%s: not on a BPF file system", path);
}

static int check_parent(const struct prt_env *env, struct pol_err *e)
{
	char parent[PRT_PATH];
	struct statfs fs;
	char *slash;

	if (snprintf(parent, sizeof(parent), "%s", env->bpffs) >= (int)sizeof(parent))
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", env->bpffs);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return pol_err(e, -EINVAL, "%s: not a folder of a BPF file system", env->bpffs);
	*slash = '\0';
	if (statfs(parent, &fs))
		return pol_err(e, -errno, "%s: %s", parent, strerror(errno));
	/* The BPF file system's number does not fit every f_type. */
	return (uint32_t)fs.f_type == (uint32_t)BPF_FS_MAGIC ? 0 : no_bpffs(env->bpffs, e);
}

/* Whoever can write here could replace the programs' maps: only we may. */
static int check_folder(const struct prt_env *env, int dir, struct pol_err *e)
{
	struct statfs fs;
	struct stat st;

	if (fstat(dir, &st) || fstatfs(dir, &fs))
		return pol_err(e, -errno, "%s: %s", env->bpffs, strerror(errno));
	if ((uint32_t)fs.f_type != (uint32_t)BPF_FS_MAGIC)
		return no_bpffs(env->bpffs, e);
	if (st.st_uid == geteuid() && !(st.st_mode & 077))
		return 0;
	pol_err_help(e, "it must belong to the user who runs polload, with mode 0700");
	return pol_err(e, -EPERM, "%s: others may enter this folder", env->bpffs);
}

int prt_bpffs_open(const struct prt_env *env, bool create, int *dir, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	bool made = false;
	int r;

	if (create) {
		/* Who can rename above it could show us another folder tomorrow. */
		r = prt_folder_owner_check(env->bpffs, e);
		r = r ? r : check_parent(env, e);
		if (r)
			return r;
		made = !mkdir(env->bpffs, 0700);
		if (!made && errno != EEXIST)
			return pol_err(e, -errno, "%s: cannot make the folder: %s", env->bpffs,
				       strerror(errno));
	}
	fd = open(env->bpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && !create)
		return -ENOENT;
	r = fd < 0 ? pol_err(e, -errno, "%s: cannot open: %s", env->bpffs, strerror(errno))
		   : check_folder(env, fd, e);
	if (r && made)
		rmdir(env->bpffs);
	if (!r)
		*dir = POL_TAKE_FD(fd);
	return r;
}

/* ---- generations ---------------------------------------------------------------- */

int prt_bpffs_gen_make(const struct prt_env *env, uint64_t gen, struct pol_err *e)
{
	char path[PRT_PATH];
	int r = prt_bpffs_path(path, env, gen, "", e);

	if (r)
		return r;
	if (mkdir(path, 0700))
		return pol_err(e, -errno, "%s: cannot make the folder: %s", path, strerror(errno));
	return 0;
}

static bool is_reader(const char *name)
{
	return !strncmp(name, PRT_BPFFS_READER, sizeof(PRT_BPFFS_READER) - 1);
}

/*
 * Unlinks the files of a folder, and the places of readers; other folders inside it make it
 * fail.  A folder that is not there is fine.
 */
static int empty_folder(const char *path, struct pol_err *e)
{
	DIR *d = opendir(path);
	struct dirent *f;
	int r = 0;

	if (!d)
		return errno == ENOENT
			       ? 0
			       : pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	while ((f = pol_readdir(d, path, &r, e))) {
		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), f->d_name, is_reader(f->d_name) ? AT_REMOVEDIR : 0) &&
		    errno != ENOENT && !r)
			r = pol_err(e, -errno, "%s/%s: cannot remove: %s", path, f->d_name,
				    strerror(errno));
	}
	closedir(d);
	return r;
}

static int remove_folder(const char *path, struct pol_err *e)
{
	int r = empty_folder(path, e);

	if (!r && rmdir(path) && errno != ENOENT)
		r = pol_err(e, -errno, "%s: cannot remove: %s", path, strerror(errno));
	return r;
}

int prt_bpffs_gen_remove(const struct prt_env *env, uint64_t gen, struct pol_err *e)
{
	char path[PRT_PATH];
	int r = prt_bpffs_path(path, env, gen, "", e);

	return r ? r : remove_folder(path, e);
}

int prt_bpffs_gens(const struct prt_env *env, prt_gens *out, struct pol_err *e)
{
	DIR *d = opendir(env->bpffs);
	struct dirent *f;
	int r = 0;

	if (!d)
		return pol_err(e, -errno, "%s: cannot open: %s", env->bpffs, strerror(errno));
	while ((f = pol_readdir(d, env->bpffs, &r, e))) {
		uint64_t gen;
		char end;

		if (sscanf(f->d_name, "gen_%" SCNu64 "%c", &gen, &end) == 1 && gen)
			*pol_vec_push(out) = gen;
	}
	closedir(d);
	return r;
}

int prt_bpffs_clear(const struct prt_env *env, struct pol_err *e)
{
	prt_gens gens = { 0 };
	int r = prt_bpffs_gens(env, &gens, e);

	for (size_t i = 0; i < gens.n && !r; i++)
		r = prt_bpffs_gen_remove(env, gens.v[i], e);
	pol_vec_free(&gens);
	return r ? r : empty_folder(env->bpffs, e);
}

int prt_bpffs_remove(const struct prt_env *env, struct pol_err *e)
{
	int r = prt_bpffs_clear(env, e);

	if (!r && rmdir(env->bpffs) && errno != ENOENT)
		r = pol_err(e, -errno, "%s: cannot remove: %s", env->bpffs, strerror(errno));
	return r;
}

/* ---- pins -------------------------------------------------------------------------- */

int prt_pin(const struct prt_env *env, uint64_t gen, const char *kind, const char *name, int fd,
	    struct pol_err *e)
{
	char path[PRT_PATH];
	int r = prt_bpffs_path(path, env, gen, name, e);

	if (r)
		return r;
	if (bpf_obj_pin(fd, path))
		return pol_err(e, -errno, "%s '%s': cannot pin at %s: %s", kind, name, path,
			       strerror(errno));
	return 0;
}

int prt_pin_get(const struct prt_env *env, uint64_t gen, const char *kind, const char *name,
		int *fd, struct pol_err *e)
{
	char path[PRT_PATH];
	int r = prt_bpffs_path(path, env, gen, name, e), got;

	if (r)
		return r;
	got = bpf_obj_get(path);
	if (got < 0 && errno == ENOENT)
		return -ENOENT;
	if (got < 0)
		return pol_err(e, -errno, "%s '%s': cannot open %s: %s", kind, name, path,
			       strerror(errno));
	*fd = got;
	return 0;
}

int prt_unpin(const struct prt_env *env, uint64_t gen, const char *name, struct pol_err *e)
{
	char path[PRT_PATH];
	int r = prt_bpffs_path(path, env, gen, name, e);

	if (r)
		return r;
	if (unlink(path) && errno != ENOENT)
		return pol_err(e, -errno, "%s: cannot remove: %s", path, strerror(errno));
	return 0;
}
