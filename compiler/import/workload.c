/* SPDX-License-Identifier: GPL-2.0-only */
/* Workloads as classes of the policy, and as a host file. */
#include "compiler/import/rule.h"

/* Bytes; the language takes 255, a host file 63, and a number may follow. */
#define CLASS_MAX 240
#define HOST_MAX 56

/* Names of classes begin with a letter; a dot keeps them apart from the language's words. */
static struct pol_str class_name(struct pol_import *im, const struct pol_import_workload *w)
{
	char first = w->ns.p[0];
	bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
	struct pol_str name =
		pol_arena_printf(im->arena, "%s%s.%s", letter ? "" : "_", w->ns.p, w->name.p);

	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == ':')
			((char *)name.p)[i] = '_';
	return pol_import_short(im, name, CLASS_MAX);
}

static struct pol_str class_text(struct pol_import *im, const struct pol_import_workload *w)
{
	struct pol_buf b = { 0 }, key = { 0 };

	pol_import_term(&b, "ns == \"%s\"", w->ns.p);
	for (size_t i = 0; i < w->labels.n && !pol_str_is(w->labels.v[i].key, "ns"); i++) {
		pol_import_key(&key, w->labels.v[i].key);
		pol_import_term(&b, "%s == \"%s\"", key.p, w->labels.v[i].value.p);
		pol_buf_free(&key);
	}
	return pol_import_take(im, &b);
}

static bool taken(const struct pol_str *names, size_t n, struct pol_str name)
{
	for (size_t i = 0; i < n; i++)
		if (pol_str_eq(names[i], name))
			return true;
	return false;
}

void pol_import_classes(struct pol_import *im)
{
	POL_VEC(struct pol_str) names = { 0 };
	char q[POL_QUOTE];

	for (size_t i = 0; i < im->workloads.n; i++) {
		const struct pol_import_workload *w = &im->workloads.v[i];
		struct pol_str base = class_name(im, w), name = base;

		for (unsigned n = 2; taken(names.v, names.n, name); n++)
			name = pol_arena_printf(im->arena, "%s_%u", base.p, n);
		*pol_vec_push(&names) = name;
		pol_buf_printf(&im->text, "# %s %s/%s, %s:%u\n", w->kind.p, w->ns.p, w->name.p,
			       pol_quote(pol_str(w->object->doc->path), q), w->object->root->line);
		pol_buf_printf(&im->text, "endpoint %s = %s;\n", name.p, class_text(im, w).p);
	}
	pol_vec_free(&names);
}

void pol_import_host(struct pol_import *im)
{
	struct pol_buf *b = &im->result->host;
	POL_VEC(struct pol_str) names = { 0 };

	pol_buf_addz(
		b,
		"# Workloads and their labels, by polc import. What runs on this host belongs\n"
		"# under `endpoints`, with its interface; addresses that are missing must be added.\n"
		"host: imported\n");
	pol_buf_addz(b, im->workloads.n ? "remote:\n" : "remote: []\n");
	for (size_t i = 0; i < im->workloads.n; i++) {
		const struct pol_import_workload *w = &im->workloads.v[i];
		struct pol_str full =
			pol_arena_printf(im->arena, "%s/%s[%s]", w->ns.p, w->name.p, w->kind.p);
		struct pol_str base = pol_import_short(im, full, HOST_MAX), name = base;

		for (unsigned n = 2; taken(names.v, names.n, name); n++)
			name = pol_arena_printf(im->arena, "%s#%u", base.p, n);
		*pol_vec_push(&names) = name;
		pol_buf_printf(b, "  - name: \"%s\"", name.p);
		if (full.n > HOST_MAX)
			pol_buf_printf(b, " # %s", full.p);
		pol_buf_addz(b, "\n    labels:\n");
		for (size_t k = 0; k < w->labels.n; k++)
			pol_buf_printf(b, "      \"%s\": \"%s\"\n", w->labels.v[k].key.p,
				       w->labels.v[k].value.p);
		for (size_t k = 0; k < w->addresses.n; k++)
			pol_buf_printf(b, "%s\"%s\"%s", k ? ", " : "    addresses: [",
				       w->addresses.v[k].p, k + 1 < w->addresses.n ? "" : "]\n");
	}
	pol_vec_free(&names);
}
