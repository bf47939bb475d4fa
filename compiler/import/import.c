/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/import/import.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "compiler/import/rule.h"
#include "lang/format.h"

#define MAX_FILE (64u << 20) /* bytes of one file */
#define MAX_FOLDERS 8 /* in each other */

/* ---- input ----------------------------------------------------------------------------- */

static int read_one(struct pol_import *im, const char *path)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int ret = pol_read_file(path, MAX_FILE, &text, &n, im->err);

	return ret ? ret : pol_import_read(im, path, (struct pol_str){ text, n });
}

static bool wanted(const struct dirent *d)
{
	static const char *const suffix[] = { ".yaml", ".yml", ".json" };
	size_t n = strlen(d->d_name);

	for (size_t i = 0; i < POL_ARRAY_LEN(suffix); i++) {
		size_t k = strlen(suffix[i]);

		if (n > k && strcmp(d->d_name + n - k, suffix[i]) == 0)
			return true;
	}
	return false;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int read_path(struct pol_import *im, const char *path, unsigned depth);

static int read_folder(struct pol_import *im, const char *path, unsigned depth)
{
	struct dirent **names;
	int n = scandir(path, &names, visible, alphasort), ret = 0;

	if (n < 0)
		return pol_err(im->err, -errno, "%s: cannot read: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		struct pol_str sub = pol_arena_printf(im->arena, "%s/%s", path, names[i]->d_name);
		struct stat st;
		bool folder = stat(sub.p, &st) == 0 && S_ISDIR(st.st_mode);

		if (!ret && (folder || wanted(names[i])))
			ret = read_path(im, sub.p, depth + 1);
		free(names[i]);
	}
	free(names);
	return ret;
}

static int read_path(struct pol_import *im, const char *path, unsigned depth)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return pol_err(im->err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return read_one(im, path);
	if (depth > MAX_FOLDERS)
		return pol_err(im->err, -ELOOP, "%s: folders nested deeper than %u", path,
			       MAX_FOLDERS);
	return read_folder(im, path, depth);
}

/* ---- output ------------------------------------------------------------------------------ */

static int write_policy(struct pol_import *im, const struct pol_import_object *o)
{
	switch (o->kind) {
	case POL_IMPORT_NETWORK_POLICY:
		return pol_import_netpol(im, o);
	case POL_IMPORT_ADMIN:
	case POL_IMPORT_BASELINE:
	case POL_IMPORT_CLUSTER:
		return pol_import_tier(im, o);
	case POL_IMPORT_CILIUM:
	case POL_IMPORT_CILIUM_CLUSTERWIDE:
		return pol_import_cilium(im, o);
	case POL_IMPORT_OTHER:
	case POL_IMPORT_NAMESPACE:
	case POL_IMPORT_SERVICE:
	case POL_IMPORT_ENDPOINTS:
	case POL_IMPORT_ENDPOINT_SLICE:
	case POL_IMPORT_POD:
	case POL_IMPORT_DEPLOYMENT:
	case POL_IMPORT_REPLICA_SET:
	case POL_IMPORT_STATEFUL_SET:
	case POL_IMPORT_DAEMON_SET:
	case POL_IMPORT_JOB:
	case POL_IMPORT_CRON_JOB:
	case POL_IMPORT_REPLICATION_CONTROLLER:
	case POL_IMPORT_KIND_MAX:
		break;
	}
	return 0;
}

/* A text that does not parse is a mistake of ours, and still no reason to write it. */
static int lay_out(struct pol_import *im)
{
	struct pol_sources *s = pol_sources_new(im->arena);
	struct pol_source *src = pol_source_add(s, POL_STR("imported"), POL_STR("imported"),
						pol_arena_str(im->arena, pol_buf_str(&im->text)));
	struct pol_diags d;
	int ret;

	pol_diags_init(&d, im->arena);
	ret = pol_format(s, src, &d, &im->result->policy);
	if (ret) {
		struct pol_place at = { 0 };

		if (d.all.n)
			at = pol_source_place(src, d.all.v[0]->primary.at.start);
		pol_err(im->err, ret, "the imported text does not parse, line %u: %s", at.line,
			d.all.n ? d.all.v[0]->message.p : "");
	}
	pol_diags_free(&d);
	pol_sources_free(s);
	return ret;
}

/*
 * A host reaches its own pods whatever their policies say, but for what Cilium denies it: then no option does it, which
 * would stand before denials, but a rule of each policy that closes (write.c).
 */
static void put_head(struct pol_import *im)
{
	for (size_t i = 0; i < im->objects.n; i++) {
		const struct pol_import_object *o = &im->objects.v[i];

		if (o->kind == POL_IMPORT_CILIUM || o->kind == POL_IMPORT_CILIUM_CLUSTERWIDE)
			im->host_denied |= pol_cilium_denies_host(o);
	}
	pol_buf_printf(
		&im->text,
		"# Written by polc import. A pod's labels have their own names; `ns` is its\n"
		"# namespace, \"ns/KEY\" a label of that, \"port/PROTO/NAME\" a named port's number.\n"
		"\n"
		"# Kubernetes: what no policy selects is open, and a host reaches its own pods%s.\n"
		"default allow;\n%s\n"
		"# A pod that is not known yet is no part of the world if its network stands here:\n"
		"# pool 10.0.0.0/8;\n\n",
		im->host_denied
			? ", but\n# for what is denied it: each policy that closes allows it"
			: "",
		im->host_denied ? "" : "option host open;\n");
}

static bool is_known(const struct pol_import *im, struct pol_str ns)
{
	for (size_t i = 0; i < im->namespaces.n; i++)
		if (pol_str_eq(im->namespaces.v[i].name, ns))
			return true;
	return false;
}

/* Labels of a namespace that is not in the input are none, and `not in` holds where there are none. */
static void check_namespaces(struct pol_import *im, size_t from)
{
	if (!memmem(im->text.p + from, im->text.n - from, "\"ns/", 4))
		return;
	for (size_t i = 0; i < im->workloads.n; i++) {
		const struct pol_import_workload *w = &im->workloads.v[i];
		size_t first = 0;

		while (!pol_str_eq(im->workloads.v[first].ns, w->ns))
			first++;
		if (first == i && !is_known(im, w->ns))
			pol_import_warn(
				im, w->object, w->object->root,
				"namespace `%s` is not in the input: its labels are not known",
				w->ns.p);
	}
}

static int write_all(struct pol_import *im)
{
	int ret = pol_import_model(im);
	size_t policies;

	if (ret)
		return ret;
	put_head(im);
	pol_import_classes(im);
	pol_buf_addc(&im->text, '\n');
	policies = im->text.n;
	for (size_t i = 0; !ret && i < im->objects.n; i++)
		ret = write_policy(im, &im->objects.v[i]);
	if (!ret)
		ret = pol_import_deferred(im);
	if (ret)
		return ret;
	check_namespaces(im, policies);
	ret = lay_out(im);
	if (!ret)
		pol_import_host(im);
	return ret;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void close_import(struct pol_import *im)
{
	for (size_t i = 0; i < im->namespaces.n; i++)
		pol_vec_free(&im->namespaces.v[i].labels);
	for (size_t i = 0; i < im->workloads.n; i++) {
		pol_vec_free(&im->workloads.v[i].labels);
		pol_vec_free(&im->workloads.v[i].ports);
		pol_vec_free(&im->workloads.v[i].addresses);
	}
	for (size_t i = 0; i < im->deferred.n; i++)
		pol_import_policy_free(im->deferred.v[i]);
	pol_vec_free(&im->deferred);
	pol_vec_free(&im->closers);
	pol_vec_free(&im->namespaces);
	pol_vec_free(&im->workloads);
	pol_vec_free(&im->objects);
	pol_vec_free(&im->names);
	pol_buf_free(&im->text);
	pol_arena_free(im->arena);
}

static void open_import(struct pol_import *im, const struct pol_import_options *o,
			struct pol_import_result *out, struct pol_err *e)
{
	*im = (struct pol_import){ .arena = pol_arena_new(), .o = o, .err = e, .result = out };
}

int pol_import(char *const *path, size_t n, const struct pol_import_options *o,
	       struct pol_import_result *out, struct pol_err *e)
{
	struct pol_import im;
	int ret = 0;

	open_import(&im, o, out, e);
	for (size_t i = 0; !ret && i < n; i++)
		ret = read_path(&im, path[i], 0);
	if (!ret)
		ret = write_all(&im);
	close_import(&im);
	return ret;
}

int pol_import_text(const char *path, struct pol_str text, const struct pol_import_options *o,
		    struct pol_import_result *out, struct pol_err *e)
{
	struct pol_import im;
	int ret;

	open_import(&im, o, out, e);
	ret = pol_import_read(&im, path, text);
	if (!ret)
		ret = write_all(&im);
	close_import(&im);
	return ret;
}

void pol_import_free(struct pol_import_result *r)
{
	pol_buf_free(&r->policy);
	pol_buf_free(&r->host);
	pol_buf_free(&r->said);
}
