/* SPDX-License-Identifier: GPL-2.0-only */
#include "labels.h"

#include <errno.h>
#include <unistd.h>

#include "base/yaml.h"
#include "runtime/input/endpoint.h"
#include "runtime/input/env.h"
#include "runtime/input/input.h"

#define FILE_MAX (64u << 10) /* bytes; the labels themselves have far less room */

static const char *const reserved[] = { "cni.", "docker.", "k8s." };

void cn_labels_free(struct cn_labels *l)
{
	pol_vec_free(&l->v);
}

static bool is_reserved(struct pol_str key)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(reserved); i++) {
		if (key.n >= strlen(reserved[i]) &&
		    !memcmp(key.p, reserved[i], strlen(reserved[i])))
			return true;
	}
	return false;
}

static int add(struct cn_labels *l, const char *source, struct pol_str key, struct pol_str value,
	       struct pol_err *e)
{
	char why[PRT_WHY], q[POL_QUOTE];
	const char *wrong = prt_check_label(key, value, why);

	if (wrong)
		return pol_err(e, -EINVAL, "%s: %s", source, wrong);
	for (size_t i = 0; i < l->v.n; i++) {
		if (!pol_str_eq(l->v.v[i].key, key))
			continue;
		if (pol_str_eq(l->v.v[i].value, value))
			return 0;
		pol_err_help(e, "one of the two decides what the container may do: take one away");
		return pol_err(e, -EINVAL, "%s: label `%s` has another value elsewhere", source,
			       pol_quote(key, q));
	}
	if (l->v.n >= POL_EP_LABELS / 3)
		return pol_err(e, -EINVAL, "%s: too many labels", source);
	*pol_vec_push(&l->v) =
		(struct prt_label){ pol_arena_str(l->arena, key), pol_arena_str(l->arena, value) };
	return 0;
}

int cn_labels_add(struct cn_labels *l, const char *source, struct pol_str key, struct pol_str value,
		  struct pol_err *e)
{
	char q[POL_QUOTE];

	if (is_reserved(key)) {
		pol_err_help(e, "keys that begin with cni., docker. or k8s. are set by polc alone");
		return pol_err(e, -EINVAL, "%s: label `%s` is reserved", source, pol_quote(key, q));
	}
	return add(l, source, key, value, e);
}

int cn_labels_fact(struct cn_labels *l, const char *key, const char *value, struct pol_err *e)
{
	return value && *value ? add(l, "the runtime", pol_str(key), pol_str(value), e) : 0;
}

/* ---- JSON ---------------------------------------------------------------------------- */

static int not_text(const char *source, struct pol_err *e)
{
	return pol_err(e, -EINVAL, "%s: labels are an object of texts, or a list of {key, value}",
		       source);
}

static struct pol_str text(const json_t *v)
{
	return (struct pol_str){ json_string_value(v), json_string_length(v) };
}

static int from_list(struct cn_labels *l, const char *source, const json_t *list, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		const json_t *one = json_array_get(list, i);
		const json_t *key = json_object_get(one, "key");
		const json_t *value = json_object_get(one, "value");

		if (!json_is_string(key) || !json_is_string(value))
			return not_text(source, e);
		r = cn_labels_add(l, source, text(key), text(value), e);
	}
	return r;
}

int cn_labels_json(struct cn_labels *l, const char *source, const json_t *labels, struct pol_err *e)
{
	json_t *map = (json_t *)labels; /* the iterators of jansson 2.13 want it writable */
	const char *key;
	json_t *value;
	int r = 0;

	if (!labels || json_is_null(labels))
		return 0;
	if (json_is_array(labels))
		return from_list(l, source, labels, e);
	if (!json_is_object(labels))
		return not_text(source, e);
	json_object_foreach(map, key, value)
	{
		if (!json_is_string(value))
			return not_text(source, e);
		r = cn_labels_add(l, source, pol_str(key), text(value), e);
		if (r)
			return r;
	}
	return 0;
}

int cn_labels_file(struct cn_labels *l, const char *path, struct pol_err *e)
{
	struct prt_input in = { 0 };
	json_error_t wrong;
	json_t *json = NULL;
	int r;

	if (access(path, F_OK) && errno == ENOENT)
		return -ENOENT;
	r = prt_input_read(path, PRT_INPUT_REGULAR, FILE_MAX, &in, e);
	r = r ? r : prt_input_owner_check(&in, e);
	if (!r) {
		json = json_loadb(in.data, in.size, JSON_REJECT_DUPLICATES, &wrong);
		if (!json)
			r = pol_err(e, -EINVAL, "%s:%d:%d: %s", path, wrong.line, wrong.column,
				    prt_safe(wrong.text));
	}
	r = r ? r : cn_labels_json(l, path, json, e);
	json_decref(json);
	prt_input_free(&in);
	return r;
}

/* ---- as the maps have them ----------------------------------------------------------- */

const char *cn_label_of(const char packed[POL_EP_LABELS], const char *key)
{
	for (size_t at = 0; at < POL_EP_LABELS && packed[at];) {
		size_t k = strnlen(packed + at, POL_EP_LABELS - at);
		const char *value = packed + at + k + 1;
		size_t n;

		if (at + k + 1 >= POL_EP_LABELS)
			break;
		n = strnlen(value, POL_EP_LABELS - at - k - 1);
		if (at + k + 1 + n >= POL_EP_LABELS)
			break;
		if (!strcmp(packed + at, key))
			return value;
		at += k + 1 + n + 1;
	}
	return "";
}
