/* SPDX-License-Identifier: GPL-2.0-only */
#include "admit.h"

#include <bpf/libbpf.h>
#include <errno.h>

#include "contain.h"
#include "quiet.h"

/* ---- in the child ------------------------------------------------------------- */

/* All that anybody reads of an object before the kernel's verifier: we, and libbpf. */
static int rehearse_object(void *ctx, struct pol_err *e)
{
	struct prt_input *in = ctx;
	struct prt_rules rules = { 0 };
	struct prt_object *o;
	int r = prt_object_parse(in->path, POL_TAKE_PTR(in->data), in->size, &o, e);

	r = r ? r : prt_rules_parse(o, &rules, e);
	if (!r && !bpf_object__open_mem(o->data, o->size, NULL))
		r = prt_quiet_unread(in->path, e);
	return r; /* the process ends: nothing is freed */
}

static int rehearse_host(void *ctx, struct pol_err *e)
{
	const struct prt_input *in = ctx;
	struct prt_hostfile *h;

	return prt_hostfile_parse(in->path, (struct pol_str){ in->data, in->size }, &h, e);
}

/* ---- the way in ----------------------------------------------------------------- */

static int parse_object(struct prt_input *in, struct prt_object **out, struct pol_err *e)
{
	int r = prt_contain(in->path, rehearse_object, in, e);

	return r ? r : prt_object_parse(in->path, POL_TAKE_PTR(in->data), in->size, out, e);
}

int prt_admit_object(const struct prt_env *env, const char *path, struct prt_object **out,
		     struct pol_err *e)
{
	struct prt_signature signature = { 0 };
	struct prt_input in = { 0 };
	int r = prt_input_read(path, PRT_INPUT_REGULAR, PRT_OBJECT_MAX, &in, e);

	r = r ? r : prt_input_owner_check(&in, e);
	r = r ? r : prt_trust_check(env, &in, &signature, e);
	r = r ? r : parse_object(&in, out, e);
	if (!r && signature.whole) {
		(*out)->has_signature = true;
		memcpy((*out)->signature, signature.bytes, sizeof((*out)->signature));
	}
	prt_input_free(&in);
	return r;
}

int prt_admit_host(const char *path, struct prt_hostfile **out, struct pol_err *e)
{
	struct prt_input in = { 0 };
	int r = prt_input_read(path, PRT_INPUT_ANY, PRT_HOSTFILE_MAX, &in, e);

	r = r ? r : prt_input_owner_check(&in, e);
	r = r ? r : prt_contain(path, rehearse_host, &in, e);
	r = r ? r : prt_hostfile_parse(path, (struct pol_str){ in.data, in.size }, out, e);
	prt_input_free(&in);
	return r;
}

int prt_look_object(const char *path, struct prt_looked *looked, struct prt_object **out,
		    struct pol_err *e)
{
	struct prt_input in = { 0 };
	int r = prt_input_read(path, PRT_INPUT_REGULAR, PRT_OBJECT_MAX, &in, e);

	/* Whoever may read the object may ask, so trouble with the keys is part of the answer. */
	if (!r && looked)
		prt_trust_look(looked->env, &in, &looked->signature, &looked->trouble);
	r = r ? r : parse_object(&in, out, e);
	prt_input_free(&in);
	return r;
}
