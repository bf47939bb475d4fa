/* SPDX-License-Identifier: GPL-2.0-only */
/* Namespaces, and workloads with the labels that policies select them by. */
#include "compiler/import/model.h"

#define METADATA_NAME "kubernetes.io/metadata.name"

/* ---- labels ---------------------------------------------------------------------- */

static void add_label(struct pol_import *im, pol_import_labels *to, struct pol_str key,
		      struct pol_str value)
{
	*pol_vec_push(to) = (struct pol_import_label){ pol_arena_str(im->arena, key),
						       pol_arena_str(im->arena, value) };
}

/* Our own keys `ns` and "ns/..." must not be in the hands of whoever labels pods. */
static bool reserved(struct pol_str key)
{
	return pol_str_is(key, "ns") || (key.n > 3 && memcmp(key.p, "ns/", 3) == 0);
}

static int read_labels(struct pol_import *im, const struct pol_import_object *o,
		       const struct pol_yaml *metadata, bool of_ns, pol_import_labels *to)
{
	const struct pol_yaml *labels;
	int ret = pol_import_map(o, metadata, "labels", &labels);
	char q[POL_QUOTE];

	for (size_t i = 0; !ret && labels && i < labels->n; i++) {
		const struct pol_yaml *key = &labels->item[2 * i], *value = key + 1;

		if (value->kind != POL_YAML_SCALAR || !pol_import_plain(value->text, ".-_") ||
		    !pol_import_is_key(key->text, ""))
			return pol_yaml_err(o->doc, key, "`%s` is no label of Kubernetes",
					    pol_quote(key->text, q));
		if (!of_ns && reserved(key->text))
			return pol_yaml_err(o->doc, key,
					    "a pod's label `%s` would pass for its namespace's",
					    pol_quote(key->text, q));
		if (of_ns && pol_str_is(key->text, METADATA_NAME))
			continue; /* is always the name, and that is `ns` */
		add_label(im, to,
			  of_ns ? pol_arena_printf(im->arena, "ns/%s", key->text.p) : key->text,
			  pol_import_null(value) ? POL_STR("") : value->text);
	}
	return ret;
}

static int read_namespace(struct pol_import *im, const struct pol_import_object *o)
{
	struct pol_import_ns ns = { .name = o->name };
	int ret = read_labels(im, o, o->metadata, true, &ns.labels);

	for (size_t i = 0; !ret && i < im->namespaces.n; i++)
		if (pol_str_eq(im->namespaces.v[i].name, ns.name))
			ret = pol_yaml_err(o->doc, o->root, "namespace `%s` is there already",
					   ns.name.p);
	*pol_vec_push(&im->namespaces) = ns;
	return ret;
}

/* ---- named ports ---------------------------------------------------------------------- */

static int read_port(struct pol_import_workload *w, const struct pol_yaml *port)
{
	const struct pol_import_object *o = w->object;
	const struct pol_yaml *number = pol_import_get(port, "containerPort");
	struct pol_import_port p = { 0 };
	struct pol_str proto = { 0 };
	uint32_t value;
	int ret = pol_import_text_of(o, port, "name", &p.name);

	if (!ret)
		ret = pol_import_text_of(o, port, "protocol", &proto);
	if (ret || !p.name.n || !number)
		return ret;
	p.proto = proto.n ? pol_import_proto(proto) : 6;
	if (!p.proto || !pol_import_plain(p.name, "-"))
		return pol_yaml_err(o->doc, port, "neither a name nor a protocol of Kubernetes");
	ret = pol_yaml_u32(o->doc, number, "containerPort", 1, 65535, &value);
	if (ret)
		return ret;
	p.number = (uint16_t)value;
	for (size_t i = 0; i < w->ports.n; i++)
		if (w->ports.v[i].proto == p.proto && pol_str_eq(w->ports.v[i].name, p.name))
			return w->ports.v[i].number == p.number
				       ? 0
				       : pol_yaml_err(o->doc, port,
						      "port name `%s` has two numbers", p.name.p);
	*pol_vec_push(&w->ports) = p;
	return 0;
}

static int read_ports(struct pol_import_workload *w, const struct pol_yaml *spec, const char *key)
{
	const struct pol_yaml *all, *ports;
	int ret = pol_import_list(w->object, spec, key, &all);

	for (size_t i = 0; !ret && all && i < all->n; i++) {
		ret = pol_import_list(w->object, &all->item[i], "ports", &ports);
		for (size_t k = 0; !ret && ports && k < ports->n; k++)
			ret = read_port(w, &ports->item[k]);
	}
	return ret;
}

/* ---- workloads ---------------------------------------------------------------------------- */

static int read_address(struct pol_import_workload *w, const struct pol_yaml *at)
{
	struct pol_prefix p;
	int ret = pol_import_prefix(w->object, at, &p);

	for (size_t i = 0; !ret && i < w->addresses.n; i++)
		if (pol_str_eq(w->addresses.v[i], at->text))
			return 0;
	if (!ret)
		*pol_vec_push(&w->addresses) = at->text;
	return ret;
}

static int read_addresses(struct pol_import_workload *w)
{
	const struct pol_yaml *status = pol_import_get(w->object->root, "status"), *ips;
	const struct pol_yaml *one = pol_import_get(status, "podIP");
	int ret = pol_import_list(w->object, status, "podIPs", &ips);

	if (!ret && one)
		ret = read_address(w, one);
	for (size_t i = 0; !ret && ips && i < ips->n; i++) {
		const struct pol_yaml *ip = pol_import_get(&ips->item[i], "ip");

		if (ip)
			ret = read_address(w, ip);
	}
	return ret;
}

/* The controller's name and kind, as other tools print a pod that has one. */
static int read_owner(struct pol_import_workload *w)
{
	const struct pol_import_object *o = w->object;
	const struct pol_yaml *owners;
	int ret = pol_import_list(o, o->metadata, "ownerReferences", &owners);
	char q[POL_QUOTE];

	for (size_t i = 0; !ret && owners && i < owners->n; i++) {
		const struct pol_yaml *owner = &owners->item[i],
				      *controller = pol_import_get(owner, "controller");
		bool is = false;
		struct pol_str kind;

		if (controller)
			ret = pol_yaml_bool(o->doc, controller, "controller", &is);
		if (ret || !is)
			continue;
		ret = pol_import_text_of(o, owner, "name", &w->name);
		if (!ret)
			ret = pol_import_text_of(o, owner, "kind", &kind);
		if (!ret && kind.n)
			w->kind = kind;
		if (!ret && (!pol_import_plain(w->name, ".-") || !pol_import_plain(w->kind, "")))
			ret = pol_yaml_err(o->doc, owner, "`%s` is no owner's name",
					   pol_quote(w->name, q));
		return ret;
	}
	return ret;
}

static int read_pod(struct pol_import *im, struct pol_import_workload *w,
		    const struct pol_yaml *metadata, const struct pol_yaml *spec)
{
	int ret = read_labels(im, w->object, metadata, false, &w->labels);
	const struct pol_yaml *of_node = pol_import_get(spec, "hostNetwork");

	if (!ret && of_node)
		ret = pol_yaml_bool(w->object->doc, of_node, "hostNetwork", &w->of_node);
	if (!ret)
		ret = read_ports(w, spec, "containers");
	/* Those that keep running are containers as others are. */
	return ret ? ret : read_ports(w, spec, "initContainers");
}

static int read_template(struct pol_import *im, struct pol_import_workload *w)
{
	const struct pol_yaml *spec = pol_import_get(w->object->root, "spec"), *template;
	int ret = 0;

	if (w->object->kind == POL_IMPORT_CRON_JOB)
		spec = pol_import_get(pol_import_get(spec, "jobTemplate"), "spec");
	template = pol_import_get(spec, "template");
	if (!template || template->kind != POL_YAML_MAP)
		return pol_yaml_err(w->object->doc, w->object->root, "%s without a template",
				    pol_import_kind_name(w->object->kind));
	ret = read_pod(im, w, pol_import_get(template, "metadata"),
		       pol_import_get(template, "spec"));
	return ret;
}

static bool same_labels(const pol_import_labels *a, const pol_import_labels *b)
{
	size_t found = 0;

	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			found += pol_str_eq(a->v[i].key, b->v[k].key) &&
				 pol_str_eq(a->v[i].value, b->v[k].value);
	return found == a->n && found == b->n;
}

/* Replicas of one owner are one workload; what they have of their own is their address. */
static bool join(struct pol_import *im, const struct pol_import_workload *w)
{
	for (size_t i = 0; i < im->workloads.n; i++) {
		struct pol_import_workload *o = &im->workloads.v[i];

		if (!pol_str_eq(o->ns, w->ns) || !pol_str_eq(o->name, w->name) ||
		    !pol_str_eq(o->kind, w->kind) || !same_labels(&o->labels, &w->labels))
			continue;
		if (w->addresses.n || o->addresses.n)
			continue;
		return true;
	}
	return false;
}

static void add_ns_labels(struct pol_import *im, struct pol_import_workload *w)
{
	add_label(im, &w->labels, POL_STR("ns"), w->ns);
	for (size_t i = 0; i < im->namespaces.n; i++)
		for (size_t k = 0; pol_str_eq(im->namespaces.v[i].name, w->ns) &&
				   k < im->namespaces.v[i].labels.n;
		     k++)
			*pol_vec_push(&w->labels) = im->namespaces.v[i].labels.v[k];
	for (size_t i = 0; i < w->ports.n; i++) {
		const struct pol_import_port *p = &w->ports.v[i];

		add_label(im, &w->labels,
			  pol_arena_printf(im->arena, "port/%s/%s",
					   p->proto == 6    ? "tcp"
					   : p->proto == 17 ? "udp"
							    : "sctp",
					   p->name.p),
			  pol_arena_printf(im->arena, "%u", p->number));
	}
}

static int read_workload(struct pol_import *im, const struct pol_import_object *o)
{
	struct pol_import_workload w = {
		.object = o,
		.ns = o->ns,
		.name = o->name,
		.kind = pol_str(pol_import_kind_name(o->kind)),
	};
	int ret = 0;

	if (o->kind == POL_IMPORT_POD) {
		ret = read_owner(&w);
		if (!ret)
			ret = read_pod(im, &w, o->metadata, pol_import_get(o->root, "spec"));
		if (!ret)
			ret = read_addresses(&w);
	} else {
		ret = read_template(im, &w);
	}
	/* To whoever meets it there it is the node. */
	if (!ret && w.of_node && w.addresses.n) {
		pol_import_warn(im, o, o->root, "%s `%s` has its node's addresses, left out",
				w.kind.p, w.name.p);
		w.addresses.n = 0;
	}
	if (!ret) {
		add_ns_labels(im, &w);
		if (!join(im, &w)) {
			*pol_vec_push(&im->workloads) = w;
			return 0;
		}
	}
	pol_vec_free(&w.labels);
	pol_vec_free(&w.ports);
	pol_vec_free(&w.addresses);
	return ret;
}

int pol_import_model(struct pol_import *im)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < im->objects.n; i++)
		if (im->objects.v[i].kind == POL_IMPORT_NAMESPACE)
			ret = read_namespace(im, &im->objects.v[i]);
	for (size_t i = 0; !ret && i < im->objects.n; i++)
		if (im->objects.v[i].kind >= POL_IMPORT_POD &&
		    im->objects.v[i].kind <= POL_IMPORT_REPLICATION_CONTROLLER)
			ret = read_workload(im, &im->objects.v[i]);
	return ret;
}
