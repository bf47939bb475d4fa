/* SPDX-License-Identifier: GPL-2.0-only */
/* Documents to objects; lists of objects are taken apart. */
#include <errno.h>

#include "compiler/import/model.h"

#define KIND_NAME(id, name) [POL_IMPORT_##id] = name,
static const char *const kind_names[] = { POL_IMPORT_KINDS(KIND_NAME) };

const char *pol_import_kind_name(enum pol_import_kind k)
{
	return kind_names[k];
}

static bool ends_with(struct pol_str s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* A policy of another system that has the same name; 0 where it is what it seems. */
static int check_group(const struct pol_import_object *o, const struct pol_yaml *at,
		       struct pol_str version)
{
	static const char *const groups[][3] = {
		[POL_IMPORT_NETWORK_POLICY] = { "networking.k8s.io/v1", "extensions/v1beta1" },
		[POL_IMPORT_ADMIN] = { "policy.networking.k8s.io/v1alpha1" },
		[POL_IMPORT_BASELINE] = { "policy.networking.k8s.io/v1alpha1" },
		[POL_IMPORT_CLUSTER] = { "policy.networking.k8s.io/v1alpha2" },
		[POL_IMPORT_CILIUM] = { "cilium.io/v2" },
		[POL_IMPORT_CILIUM_CLUSTERWIDE] = { "cilium.io/v2" },
	};
	char q[POL_QUOTE];

	if ((size_t)o->kind >= POL_ARRAY_LEN(groups) || !groups[o->kind][0] || !version.n)
		return 0;
	for (size_t i = 0; groups[o->kind][i]; i++)
		if (pol_str_is(version, groups[o->kind][i]))
			return 0;
	return pol_yaml_err(o->doc, at, "%s of apiVersion `%s` is not known, only that of %s",
			    kind_names[o->kind], pol_quote(version, q), groups[o->kind][0]);
}

static int set_kind(struct pol_import_object *o, struct pol_str kind)
{
	struct pol_str version;
	char q[POL_QUOTE];
	int ret = pol_import_text_of(o, o->root, "apiVersion", &version);

	if (ret)
		return ret;
	for (size_t i = 1; i < POL_IMPORT_KIND_MAX; i++)
		if (pol_str_is(kind, kind_names[i]))
			o->kind = (enum pol_import_kind)i;
	/* What limits traffic may not be passed over: the result would be wider. */
	/* Others have a Service too. */
	if ((o->kind == POL_IMPORT_SERVICE || o->kind == POL_IMPORT_ENDPOINTS) &&
	    !pol_str_is(version, "v1"))
		o->kind = POL_IMPORT_OTHER;
	if (o->kind == POL_IMPORT_OTHER && ends_with(kind, "NetworkPolicy"))
		return pol_yaml_err(o->doc, o->root, "policies of kind `%s` cannot be imported",
				    pol_quote(kind, q));
	return check_group(o, o->root, version);
}

static int set_names(struct pol_import_object *o)
{
	char q[POL_QUOTE];
	int ret = pol_import_map(o, o->root, "metadata", &o->metadata);

	if (!ret)
		ret = pol_import_text_of(o, o->metadata, "name", &o->name);
	if (!ret)
		ret = pol_import_text_of(o, o->metadata, "namespace", &o->ns);
	if (ret)
		return ret;
	if (!o->ns.n)
		o->ns = POL_STR("default");
	if (!pol_import_plain(o->name, ".-:_") || !pol_import_plain(o->ns, ".-_"))
		return pol_yaml_err(o->doc, o->metadata, "`%s` is no name of Kubernetes",
				    pol_quote(pol_import_plain(o->name, ".-:_") ? o->ns : o->name,
					      q));
	if (!o->name.n)
		return pol_yaml_err(o->doc, o->metadata ? o->metadata : o->root,
				    "a %s without a name", kind_names[o->kind]);
	return 0;
}

static int add_object(struct pol_import *im, const struct pol_yaml_doc *doc,
		      const struct pol_yaml *root, struct pol_str list_kind);

static int add_items(struct pol_import *im, const struct pol_import_object *o, struct pol_str kind)
{
	const struct pol_yaml *items;
	int ret = pol_import_list(o, o->root, "items", &items);

	kind.n -= strlen("List");
	for (size_t i = 0; !ret && items && i < items->n; i++)
		ret = add_object(im, o->doc, &items->item[i], kind);
	return ret;
}

/* list_kind: what an item is that does not say it. */
static int add_object(struct pol_import *im, const struct pol_yaml_doc *doc,
		      const struct pol_yaml *root, struct pol_str list_kind)
{
	struct pol_import_object o = { .doc = doc, .root = root };
	struct pol_str kind;
	int ret;

	if (root->kind != POL_YAML_MAP)
		return pol_yaml_err(doc, root, "an object must be a mapping: key: value");
	ret = pol_import_text_of(&o, root, "kind", &kind);
	if (ret)
		return ret;
	if (!kind.n)
		kind = list_kind;
	if (ends_with(kind, "List"))
		return add_items(im, &o, kind);
	ret = set_kind(&o, kind);
	if (ret || o.kind == POL_IMPORT_OTHER)
		return ret;
	ret = set_names(&o);
	if (!ret)
		*pol_vec_push(&im->objects) = o;
	return ret;
}

int pol_import_read(struct pol_import *im, const char *path, struct pol_str text)
{
	static const struct pol_yaml_limits limits = {
		.depth = 64,
		.nodes = 1000000,
		.scalar = 1 << 20,
		.keys = 512,
		.anchors = 256,
	};
	struct pol_yaml_doc *doc = pol_arena_alloc(im->arena, sizeof(*doc));
	struct pol_yaml_stream all;
	int ret;

	*doc = (struct pol_yaml_doc){ pol_arena_str(im->arena, pol_str(path)).p, -EINVAL, im->arena,
				      im->err };
	ret = pol_yaml_parse_all(doc, text, &limits, &all);
	for (size_t i = 0; !ret && i < all.n; i++)
		ret = add_object(im, doc, &all.root[i], (struct pol_str){ "", 0 });
	return ret;
}
