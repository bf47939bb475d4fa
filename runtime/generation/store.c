/* SPDX-License-Identifier: GPL-2.0-only */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/input/hostfile.h"
#include "runtime/input/input.h"

#define NAME_MAX_LEN 4096

#define OBJECT "bpf.o"
#define SIGNATURE "sig"
#define HOST "host"

static int gen_path(char out[NAME_MAX_LEN], const struct prt_env *env, uint64_t gen,
		    const char *what, struct pol_err *e)
{
	int n = snprintf(out, NAME_MAX_LEN, "%s/gen-%" PRIu64 ".%s", env->state, gen, what);

	if (n < 0 || n >= NAME_MAX_LEN)
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", env->state);
	return 0;
}

/*
 * What stands here was judged when it was applied and is loaded again without a second
 * look, so nobody else may write here, or put another folder in this one's place.
 */
static int check_folder(const struct prt_env *env, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	struct stat st;
	int r = prt_folder_owner_check(env->state, e);

	if (r)
		return r;
	fd = open(env->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return errno == ENOENT ? -ENOENT
				       : pol_err(e, -errno, "%s: %s", env->state, strerror(errno));
	if (st.st_uid == geteuid() && !(st.st_mode & 077))
		return 0;
	pol_err_help(e, "it must belong to the user who runs polload, with mode 0700");
	return pol_err(e, -EPERM, "%s: others may enter this folder", env->state);
}

/* And the one above it. */
static int make_folder(const struct prt_env *env, struct pol_err *e)
{
	char above[NAME_MAX_LEN];
	char *slash;

	if (snprintf(above, sizeof(above), "%s", env->state) >= (int)sizeof(above))
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", env->state);
	slash = strrchr(above, '/');
	if (slash && slash != above) {
		*slash = '\0';
		mkdir(above, 0755); /* if it fails so does the next */
	}
	if (mkdir(env->state, 0700) && errno != EEXIST)
		return pol_err(e, -errno, "%s: cannot make the folder: %s", env->state,
			       strerror(errno));
	return check_folder(env, e);
}

int prt_store_folder(const struct prt_env *env, bool create, struct pol_err *e)
{
	return create ? make_folder(env, e) : check_folder(env, e);
}

static int put(const struct prt_env *env, uint64_t gen, const char *what, const void *p, size_t n,
	       struct pol_err *e)
{
	char path[NAME_MAX_LEN];
	int r = gen_path(path, env, gen, what, e);

	r = r ? r : pol_write_file(path, p, n, e);
	if (r == -ENOSPC)
		pol_err_help(
			e,
			"the objects of two generations are kept there, for rollback and endpoint add");
	return r;
}

int prt_store_put(const struct prt_env *env, uint64_t gen, const struct prt_object *o,
		  struct pol_err *e)
{
	int r = make_folder(env, e);

	r = r ? r : put(env, gen, OBJECT, o->data, o->size, e);
	if (!r && o->has_signature)
		r = put(env, gen, SIGNATURE, o->signature, sizeof(o->signature), e);
	return r;
}

int prt_store_put_host(const struct prt_env *env, uint64_t gen, struct pol_str text,
		       struct pol_err *e)
{
	return put(env, gen, HOST, text.p, text.n, e);
}

/* That it is not there is fine: n stays 0. */
static int get(const struct prt_env *env, uint64_t gen, const char *what, size_t max, char **out,
	       size_t *n, struct pol_err *e)
{
	char path[NAME_MAX_LEN];
	int r = gen_path(path, env, gen, what, e);

	*out = NULL;
	*n = 0;
	if (r || (access(path, F_OK) && errno == ENOENT))
		return r;
	return pol_read_file(path, max, out, n, e);
}

int prt_store_get_host(const struct prt_env *env, uint64_t gen, char **out, size_t *n,
		       struct pol_err *e)
{
	return get(env, gen, HOST, PRT_HOSTFILE_MAX, out, n, e);
}

static int get_signature(const struct prt_env *env, uint64_t gen, struct prt_object *o,
			 struct pol_err *e)
{
	char *p POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int r = get(env, gen, SIGNATURE, sizeof(o->signature), &p, &n, e);

	o->has_signature = !r && n == sizeof(o->signature);
	if (o->has_signature)
		memcpy(o->signature, p, n);
	return r;
}

int prt_store_get(const struct prt_env *env, uint64_t gen, struct prt_object **out,
		  struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	char path[NAME_MAX_LEN];
	int r = gen_path(path, env, gen, OBJECT, e);

	if (r)
		return r;
	r = check_folder(env, e);
	if (r && r != -ENOENT)
		return r;
	if (access(path, F_OK) && errno == ENOENT) {
		pol_err_help(e, "give the --state-dir that was given to apply, or apply again");
		return pol_err(e, -ENOENT, "%s: the object of generation %" PRIu64 " is not there",
			       path, gen);
	}
	r = prt_object_open(path, &o, e);
	r = r ? r : get_signature(env, gen, o, e);
	if (!r)
		*out = POL_TAKE_PTR(o);
	return r;
}

/* A write that did not end left a name with a suffix: *gen is 0 then. */
static bool is_ours(const char *name, uint64_t *gen)
{
	static const char *const what[] = { OBJECT, SIGNATURE, HOST };
	int end = 0;

	if (sscanf(name, "gen-%" SCNu64 ".%n", gen, &end) != 1 || !end)
		return false;
	for (size_t i = 0; i < POL_ARRAY_LEN(what); i++) {
		const char *behind = name + end + strlen(what[i]);

		if (strncmp(name + end, what[i], strlen(what[i])) || (*behind && *behind != '.'))
			continue;
		if (*behind)
			*gen = 0;
		return true;
	}
	return false;
}

static bool among(uint64_t gen, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i] == gen)
			return true;
	}
	return false;
}

int prt_store_prune(const struct prt_env *env, const uint64_t *keep, size_t n, struct pol_err *e)
{
	DIR *d = opendir(env->state);
	struct dirent *f;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0
				       : pol_err(e, -errno, "%s: cannot open: %s", env->state,
						 strerror(errno));
	while ((f = pol_readdir(d, env->state, &r, e))) {
		uint64_t gen;

		if (!is_ours(f->d_name, &gen) || (gen && among(gen, keep, n)))
			continue;
		if (unlinkat(dirfd(d), f->d_name, 0) && !r)
			r = pol_err(e, -errno, "%s/%s: cannot remove: %s", env->state, f->d_name,
				    strerror(errno));
	}
	closedir(d);
	return r;
}

int prt_store_remove(const struct prt_env *env, struct pol_err *e)
{
	int r = prt_store_prune(env, NULL, 0, e);

	if (!r && rmdir(env->state) && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
		r = pol_err(e, -errno, "%s: cannot remove: %s", env->state, strerror(errno));
	return r;
}
