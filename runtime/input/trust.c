/* SPDX-License-Identifier: GPL-2.0-only */
#include "trust.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/sign.h"

#define KEYS_MAX 1024u
#define PATH_LEN 4096

struct key {
	struct pol_public_key key;
	char name[256];
};

struct keys {
	const char *folder;
	POL_VEC(struct key) all;
};

/* ---- the folder ------------------------------------------------------------- */

static int read_key(struct keys *keys, const char *name, struct pol_err *e)
{
	struct prt_input in = { 0 };
	char path[PATH_LEN];
	struct key *key;
	int r;

	if (keys->all.n == KEYS_MAX)
		return pol_err(e, -E2BIG, "%s: more than %u keys", keys->folder, KEYS_MAX);
	if (snprintf(path, sizeof(path), "%s/%s", keys->folder, name) >= (int)sizeof(path))
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", keys->folder);
	key = pol_vec_push(&keys->all);
	snprintf(key->name, sizeof(key->name), "%s", name);
	r = prt_input_read(path, PRT_INPUT_REGULAR, POL_KEY_FILE_MAX, &in, e);
	r = r ? r : prt_input_owner_check(&in, e);
	r = r ? r : pol_public_key_parse(path, (struct pol_str){ in.data, in.size }, &key->key, e);
	prt_input_free(&in);
	return r;
}

/* Other names would be keys that count for nothing, and nobody would notice. */
static int check_name(const struct keys *keys, const char *name, struct pol_err *e)
{
	size_t n = strlen(name);

	if (n > 4 && !strcmp(name + n - 4, ".pub"))
		return 0;
	pol_err_help(e, "only public keys belong there, named NAME.pub, or hidden files");
	return pol_err(e, -EINVAL, "%s/%s: not the name of a key", keys->folder, prt_safe(name));
}

static int read_folder(struct keys *keys, DIR *d, struct pol_err *e)
{
	struct dirent *f;
	int r = 0;

	while (!r && (errno = 0, f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		r = check_name(keys, f->d_name, e);
		r = r ? r : read_key(keys, f->d_name, e);
	}
	if (!r && errno)
		r = pol_err(e, -errno, "%s: cannot read: %s", keys->folder, strerror(errno));
	return r;
}

/* A folder that was named must be there: a slip of the pen must not turn the check off. */
static int read_keys(const struct prt_env *env, struct keys *keys, struct pol_err *e)
{
	DIR *d;
	int r;

	keys->folder = env->trust ? env->trust : PRT_TRUST_DEFAULT;
	r = prt_folder_owner_check(keys->folder, e);
	if (r)
		return r;
	d = opendir(keys->folder);
	if (!d && errno == ENOENT && !env->trust)
		return 0;
	if (!d)
		return pol_err(e, -errno, "%s: cannot open the trust folder: %s", keys->folder,
			       strerror(errno));
	r = read_folder(keys, d, e);
	closedir(d);
	return r;
}

/* ---- the signature ------------------------------------------------------------- */

/* *there is false when there is no such file. */
static int read_signature(const char *object, uint8_t out[POL_SIGN_BYTES], size_t *n, bool *there,
			  struct pol_err *e)
{
	struct prt_input in = { 0 };
	struct pol_err why = { 0 };
	char path[PATH_LEN];
	int r;

	if (snprintf(path, sizeof(path), "%s" POL_SIGN_SUFFIX, object) >= (int)sizeof(path))
		return pol_err(e, -ENAMETOOLONG, "%.200s: name too long", object);
	r = prt_input_read(path, PRT_INPUT_REGULAR, POL_SIGN_BYTES, &in, &why);
	*there = r != -ENOENT;
	*n = in.size;
	if (!r)
		memcpy(out, in.data, in.size);
	prt_input_free(&in);
	if (!r || r == -ENOENT || r == -EFBIG)
		return 0;
	return pol_err(e, r, "%s", why.text);
}

static void find_key(const struct keys *keys, const struct prt_input *in,
		     const uint8_t signature[POL_SIGN_BYTES], struct prt_signature *out)
{
	for (size_t i = 0; i < keys->all.n && out->is != PRT_SIGNED_BY; i++) {
		const struct key *key = &keys->all.v[i];

		if (!pol_sign_verify(&key->key, in->data, in->size, signature))
			continue;
		out->is = PRT_SIGNED_BY;
		memcpy(out->key, key->name, sizeof(out->key));
	}
}

int prt_trust_look(const struct prt_env *env, const struct prt_input *in, struct prt_signature *out,
		   struct pol_err *e)
{
	uint8_t signature[POL_SIGN_BYTES];
	struct keys keys = { 0 };
	bool there = false;
	size_t n = 0;
	int r = read_keys(env, &keys, e);

	r = r ? r : read_signature(in->path, signature, &n, &there, e);
	if (!r) {
		*out = (struct prt_signature){ .nkeys = keys.all.n };
		out->is = !there        ? PRT_SIGNED_NOT
			  : !keys.all.n ? PRT_SIGNED_UNKNOWN
					: PRT_SIGNED_WRONG;
		out->whole = there && n == POL_SIGN_BYTES;
		if (out->whole) {
			memcpy(out->bytes, signature, sizeof(out->bytes));
			find_key(&keys, in, signature, out);
		}
	}
	pol_vec_free(&keys.all);
	return r;
}

int prt_trust_check(const struct prt_env *env, const struct prt_input *in,
		    struct prt_signature *out, struct pol_err *e)
{
	const char *folder = env->trust ? env->trust : PRT_TRUST_DEFAULT;
	int r = prt_trust_look(env, in, out, e);

	if (r || !out->nkeys || out->is == PRT_SIGNED_BY)
		return r;
	if (out->is == PRT_SIGNED_NOT) {
		pol_err_help(
			e, "polc sign --key FILE %s; this host takes only what a key in %s signed",
			in->path, folder);
		return pol_err(e, -EKEYREJECTED, "%s: not signed: there is no %s" POL_SIGN_SUFFIX,
			       in->path, in->path);
	}
	pol_err_help(
		e,
		"the object or its " POL_SIGN_SUFFIX
		" was changed, or another key signed it; do not sign again before you know which");
	return pol_err(e, -EKEYREJECTED, "%s: no key in %s signed this object", in->path, folder);
}
