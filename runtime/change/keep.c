/* SPDX-License-Identifier: GPL-2.0-only */
#include "keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sign.h"
#include "runtime/input/admit.h"
#include "runtime/generation/store.h"

#define LINK "good"
#define FRESH "good.new"
#define FRESH_LINK "good.link"
#define PREFIX "good-"
#define OBJECT "policy.bpf.o"
#define HOST "host.yaml"
#define MANIFEST "manifest"
#define MANIFEST_MAX (16u << 20)
#define HEX (2 * PRT_HASH)
#define NAME_LEN (sizeof(PREFIX) + HEX)

void prt_kept_free(struct prt_kept *k)
{
	pol_vec_free(&k->closed);
	*k = (struct prt_kept){ 0 };
}

static void hash(const void *p, size_t n, uint8_t out[PRT_HASH])
{
	crypto_hash_sha256(out, p, n);
}

static void add_hash(struct pol_buf *b, const char *key, const void *p, size_t n)
{
	uint8_t h[PRT_HASH];

	hash(p, n, h);
	pol_buf_addz(b, key);
	for (size_t i = 0; i < PRT_HASH; i++)
		pol_buf_printf(b, "%02x", h[i]);
	pol_buf_addc(b, '\n');
}

static int failed(const struct prt_env *env, const char *what, const char *name, struct pol_err *e)
{
	return pol_err(e, -errno, "%s/%s: cannot %s: %s", env->state, name, what, strerror(errno));
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Of what is in force; the pointers are others'. */
struct bundle {
	struct pol_str object, signature, host; /* n == 0: none */
	struct pol_buf manifest;
	char name[NAME_LEN];
};

static void describe(struct bundle *b, bool audit, bool anybody_bpf, const prt_ranges *closed)
{
	char text[POL_IP_TEXT];
	struct pol_buf name = { 0 };

	pol_buf_addz(&b->manifest, "polc-good 1\n");
	add_hash(&b->manifest, "object ", b->object.p, b->object.n);
	if (b->signature.n)
		add_hash(&b->manifest, "signature ", b->signature.p, b->signature.n);
	if (b->host.n)
		add_hash(&b->manifest, "host ", b->host.p, b->host.n);
	if (audit)
		pol_buf_addz(&b->manifest, "audit\n");
	if (anybody_bpf)
		pol_buf_addz(&b->manifest, "anybody-bpf\n");
	for (size_t i = 0; i < closed->n; i++) {
		pol_buf_printf(&b->manifest, "closed %s-", pol_ip_format(closed->v[i].first, text));
		pol_buf_printf(&b->manifest, "%s\n", pol_ip_format(closed->v[i].last, text));
	}
	add_hash(&name, PREFIX, b->manifest.p, b->manifest.n);
	snprintf(b->name, sizeof(b->name), "%.*s", (int)(name.n - 1), name.p);
	pol_buf_free(&name);
}

static int write_one(const struct prt_env *env, int dir, const char *name, struct pol_str s,
		     struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(env, "create", name, e);
	for (size_t at = 0; at < s.n;) {
		ssize_t n = write(fd, s.p + at, s.n - at);

		if (n < 0 && errno != EINTR)
			return failed(env, "write", name, e);
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) ? failed(env, "write", name, e) : 0;
}

static int write_bundle(const struct prt_env *env, int state, const struct bundle *b,
			struct pol_err *e)
{
	int dir POL_CLEANUP(pol_cleanup_fd) = -1;
	int r;

	if (mkdirat(state, FRESH, 0700))
		return failed(env, "make", FRESH, e);
	dir = openat(state, FRESH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return failed(env, "open", FRESH, e);
	r = write_one(env, dir, OBJECT, b->object, e);
	if (!r && b->signature.n)
		r = write_one(env, dir, OBJECT POL_SIGN_SUFFIX, b->signature, e);
	if (!r && b->host.n)
		r = write_one(env, dir, HOST, b->host, e);
	r = r ? r : write_one(env, dir, MANIFEST, pol_buf_str(&b->manifest), e);
	if (!r && fsync(dir))
		r = failed(env, "write", FRESH, e);
	if (!r && renameat(state, FRESH, state, b->name))
		r = failed(env, "rename", FRESH, e);
	if (!r && fsync(state))
		r = failed(env, "write", b->name, e);
	return r;
}

/* The instant at which the newer one counts. */
static int point(const struct prt_env *env, int state, const char *name, struct pol_err *e)
{
	unlinkat(state, FRESH_LINK, 0);
	if (symlinkat(name, state, FRESH_LINK) || renameat(state, FRESH_LINK, state, LINK) ||
	    fsync(state))
		return failed(env, "write", LINK, e);
	return 0;
}

/* ---- removing ---------------------------------------------------------------------------------- */

/* A folder of files; what is not there is fine. */
static int remove_folder(const struct prt_env *env, int state, const char *name, struct pol_err *e)
{
	int fd = openat(state, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;

	if (!d) {
		int r = errno == ENOENT ? 0 : failed(env, "open", name, e);

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((f = readdir(d))) {
		if (strcmp(f->d_name, ".") && strcmp(f->d_name, ".."))
			unlinkat(dirfd(d), f->d_name, 0);
	}
	closedir(d);
	return unlinkat(state, name, AT_REMOVEDIR) && errno != ENOENT
		       ? failed(env, "remove", name, e)
		       : 0;
}

/* All but that one; NULL: all. */
static int prune(const struct prt_env *env, int state, const char *keep, struct pol_err *e)
{
	int fd = openat(state, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return failed(env, "open", ".", e);
	}
	while (!r && (f = pol_readdir(d, env->state, &r, e))) {
		bool ours = !strncmp(f->d_name, PREFIX, sizeof(PREFIX) - 1) ||
			    !strcmp(f->d_name, FRESH);

		if (ours && (!keep || strcmp(f->d_name, keep)))
			r = remove_folder(env, state, f->d_name, e);
	}
	closedir(d);
	return r;
}

static int open_state(const struct prt_env *env, bool create, int *out, struct pol_err *e)
{
	int r = prt_store_folder(env, create, e);

	if (r)
		return r;
	*out = open(env->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? failed(env, "open", ".", e) : 0;
}

int prt_keep_forget(const struct prt_env *env, struct pol_err *e)
{
	int state POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = open_state(env, false, &state, e);

	if (r == -ENOENT && !e->text[0])
		return 0;
	if (!r && ((unlinkat(state, LINK, 0) && errno != ENOENT) || fsync(state)))
		r = failed(env, "remove", LINK, e);
	unlinkat(state, FRESH_LINK, 0);
	return r ? r : prune(env, state, NULL, e);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int broken(const struct prt_kept *k, const char *what, struct pol_err *e)
{
	pol_err_help(e, "polload apply OBJECT -H HOST.yaml keeps another one");
	return pol_err(e, -ENOEXEC, "%s: %s: damaged, or not written by polload", k->folder, what);
}

static bool read_hash(struct pol_str s, uint8_t out[PRT_HASH])
{
	size_t n = 0;

	return s.n == HEX && !sodium_hex2bin(out, PRT_HASH, s.p, s.n, NULL, &n, NULL) &&
	       n == PRT_HASH;
}

static bool read_closed(struct pol_str s, struct prt_kept *k)
{
	const char *dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	struct pol_prefix first, last;

	if (!dash || memchr(s.p, '/', s.n) ||
	    pol_prefix_parse((struct pol_str){ s.p, (size_t)(dash - s.p) }, &first) ||
	    pol_prefix_parse((struct pol_str){ dash + 1, s.n - (size_t)(dash - s.p) - 1 }, &last) ||
	    first.addr.family != last.addr.family)
		return false;
	*pol_vec_push(&k->closed) = (struct prt_pool_range){ first.addr, last.addr };
	return true;
}

static bool take(struct pol_str *line, const char *key)
{
	size_t n = strlen(key);

	if (line->n < n || memcmp(line->p, key, n))
		return false;
	line->p += n;
	line->n -= n;
	return true;
}

static bool read_line(struct pol_str s, struct prt_kept *k)
{
	if (take(&s, "object "))
		return read_hash(s, k->object);
	if (take(&s, "signature "))
		return (k->has_signature = read_hash(s, k->signature));
	if (take(&s, "host "))
		return (k->has_host = read_hash(s, k->host));
	if (take(&s, "closed "))
		return read_closed(s, k);
	k->audit |= pol_str_is(s, "audit");
	k->anybody_bpf |= pol_str_is(s, "anybody-bpf");
	return pol_str_is(s, "audit") || pol_str_is(s, "anybody-bpf") ||
	       pol_str_is(s, "polc-good 1");
}

static bool read_lines(const struct prt_input *in, struct prt_kept *k)
{
	for (const char *p = in->data, *stop = p + in->size; p < stop;) {
		const char *nl = memchr(p, '\n', (size_t)(stop - p));

		if (!nl || !read_line((struct pol_str){ p, (size_t)(nl - p) }, k))
			return false;
		p = nl + 1;
	}
	return in->size > 0;
}

static int read_manifest(struct prt_kept *k, const char *name, struct pol_err *e)
{
	uint8_t is[PRT_HASH], said[PRT_HASH];
	struct prt_input in = { 0 };
	char path[sizeof(k->folder) + sizeof(MANIFEST) + 1];
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->folder, MANIFEST);
	r = prt_input_read(path, PRT_INPUT_REGULAR, MANIFEST_MAX, &in, e);
	r = r ? r : prt_input_owner_check(&in, e);
	if (!r) {
		hash(in.data, in.size, is);
		if (!read_hash(pol_str(name + sizeof(PREFIX) - 1), said) ||
		    memcmp(is, said, sizeof(is)) || !read_lines(&in, k))
			r = broken(k, MANIFEST, e);
	}
	prt_input_free(&in);
	return r;
}

int prt_keep_open(const struct prt_env *env, struct prt_kept *out, struct pol_err *e)
{
	int state POL_CLEANUP(pol_cleanup_fd) = -1;
	char name[NAME_LEN] = "";
	ssize_t n;
	int r = open_state(env, false, &state, e);

	if (r)
		return r;
	*out = (struct prt_kept){ 0 };
	n = readlinkat(state, LINK, name, sizeof(name));
	if (n < 0 && errno == ENOENT)
		return -ENOENT;
	if (n < 0 && errno != EINVAL) /* that is: no link at all */
		return pol_err(e, -errno, "%s/%s: cannot read: %s", env->state, LINK,
			       strerror(errno));
	/* longer than ours, or anything but a name of ours beside it: nobody is led away */
	snprintf(out->folder, sizeof(out->folder), "%s/%s", env->state, LINK);
	if (n != (ssize_t)NAME_LEN - 1 || strncmp(name, PREFIX, sizeof(PREFIX) - 1))
		return broken(out, "not a link of ours", e);
	name[n] = '\0';
	if (snprintf(out->folder, sizeof(out->folder), "%s/%s", env->state, name) >=
	    (int)sizeof(out->folder))
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", env->state);
	r = read_manifest(out, name, e);
	if (r)
		pol_vec_free(&out->closed);
	/* the link led to nothing: not the same as nothing kept */
	return r == -ENOENT ? -ENOEXEC : r;
}

static int check(const struct prt_kept *k, const char *name, struct pol_str s,
		 const uint8_t said[PRT_HASH], struct pol_err *e)
{
	uint8_t is[PRT_HASH];

	hash(s.p, s.n, is);
	return memcmp(is, said, sizeof(is)) ? broken(k, name, e) : 0;
}

int prt_keep_admit(const struct prt_env *env, const struct prt_kept *k, struct prt_object **out,
		   struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	char path[sizeof(k->folder) + 32];
	int r;

	*out = NULL;
	snprintf(path, sizeof(path), "%s/%s", k->folder, OBJECT);
	r = prt_admit_object(env, path, &o, e);
	r = r ? r : check(k, OBJECT, (struct pol_str){ o->data, o->size }, k->object, e);
	if (!r && k->has_signature != o->has_signature)
		r = broken(k, OBJECT POL_SIGN_SUFFIX, e);
	if (!r && k->has_signature)
		r = check(k, OBJECT POL_SIGN_SUFFIX,
			  (struct pol_str){ (const char *)o->signature, POL_SIGN_BYTES },
			  k->signature, e);
	if (!r)
		*out = POL_TAKE_PTR(o);
	return r;
}

int prt_keep_admit_host(const struct prt_kept *k, struct prt_hostfile **out, struct pol_err *e)
{
	struct prt_hostfile *h POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	char path[sizeof(k->folder) + 32];
	int r;

	*out = NULL;
	if (!k->has_host)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", k->folder, HOST);
	r = prt_admit_host(path, &h, e);
	r = r ? r : check(k, HOST, h->text, k->host, e);
	if (!r)
		*out = POL_TAKE_PTR(h);
	return r;
}

/* ---- what is in force --------------------------------------------------------------------------------- */

static int whole(const struct prt_kept *k, const char *name, size_t max,
		 const uint8_t said[PRT_HASH], struct pol_err *e)
{
	char path[sizeof(k->folder) + 32];
	struct prt_input in = { 0 };
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->folder, name);
	r = prt_input_read(path, PRT_INPUT_REGULAR, max, &in, e);
	r = r ? r : prt_input_owner_check(&in, e);
	r = r ? r : check(k, name, (struct pol_str){ in.data, in.size }, said, e);
	prt_input_free(&in);
	return r;
}

int prt_keep_check(const struct prt_kept *k, struct pol_err *e)
{
	int r = whole(k, OBJECT, PRT_OBJECT_MAX, k->object, e);

	if (!r && k->has_signature)
		r = whole(k, OBJECT POL_SIGN_SUFFIX, POL_SIGN_BYTES, k->signature, e);
	if (!r && k->has_host)
		r = whole(k, HOST, PRT_HOSTFILE_MAX, k->host, e);
	return r;
}

bool prt_keep_is(const struct prt_kept *k, const struct prt_object *o)
{
	uint8_t is[PRT_HASH];

	hash(o->data, o->size, is);
	return !memcmp(is, k->object, sizeof(is));
}

/* Is it there already, undamaged? */
static bool same(const char *name, const struct prt_kept *before)
{
	size_t n = strlen(before->folder), m = strlen(name);
	struct pol_err why = { 0 };

	return n > m && !strcmp(before->folder + n - m, name) && !prt_keep_check(before, &why);
}

/* The system did not let us read; any other trouble is one of what stands there. */
static bool unread(int r)
{
	return r == -EIO || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EACCES;
}

/* The host file of before, if this change had none.  A damaged one is none. */
static int take_host(const struct prt_kept *before, struct prt_input *in, struct bundle *b,
		     struct pol_err *e)
{
	char path[sizeof(before->folder) + 32];
	uint8_t is[PRT_HASH];
	struct pol_err why = { 0 };
	int r;

	if (!before->has_host)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", before->folder, HOST);
	r = prt_input_read(path, PRT_INPUT_REGULAR, PRT_HOSTFILE_MAX, in, &why);
	if (r)
		return unread(r) ? pol_err(e, r, "%s", why.text) : 0;
	hash(in->data, in->size, is);
	if (!memcmp(is, before->host, sizeof(is)))
		b->host = (struct pol_str){ in->data, in->size };
	return 0;
}

/* What was kept.  That there is nothing, or that it is damaged, is fine; that it cannot be told is not. */
static int look_before(const struct prt_env *env, struct prt_kept *before, struct pol_err *e)
{
	struct pol_err why = { 0 };
	int r = prt_keep_open(env, before, &why);

	return unread(r) ? pol_err(e, r, "%s", why.text) : 0;
}

int prt_keep_put(const struct prt_env *env, const struct prt_apply *a, const prt_ranges *closed,
		 struct pol_err *e)
{
	int state POL_CLEANUP(pol_cleanup_fd) = -1;
	struct bundle b = { .object = { a->object->data, a->object->size } };
	struct prt_kept before = { 0 };
	struct prt_input in = { 0 };
	int r = open_state(env, true, &state, e);

	r = r ? r : look_before(env, &before, e);
	if (r)
		return r;
	if (a->object->has_signature)
		b.signature =
			(struct pol_str){ (const char *)a->object->signature, POL_SIGN_BYTES };
	if (a->host)
		b.host = a->host->text;
	else if (a->host_text.n)
		b.host = a->host_text;
	else
		r = take_host(&before, &in, &b, e);
	describe(&b, a->audit, a->anybody_bpf || (a->again && before.anybody_bpf), closed);
	if (!r && !same(b.name, &before)) {
		r = remove_folder(env, state, FRESH, e);
		r = r ? r : remove_folder(env, state, b.name, e); /* damaged, or left over */
		r = r ? r : write_bundle(env, state, &b, e);
		r = r ? r : point(env, state, b.name, e);
	}
	r = r ? r : prune(env, state, b.name, e);
	prt_kept_free(&before);
	prt_input_free(&in);
	pol_buf_free(&b.manifest);
	return r;
}
