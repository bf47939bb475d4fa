/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * toServices: services without a selector, which stand for addresses outside the cluster.  Which
 * ones, the Endpoints and EndpointSlices of the input say.
 */
#include "compiler/import/cilium.h"

#define SERVICE_NAME "kubernetes.io/service-name"

/* ---- selectors over a service's own labels -------------------------------------------- */

static bool label_of(const struct pol_import_object *o, struct pol_str key, struct pol_str *value)
{
	const struct pol_yaml *labels = pol_import_get(o->metadata, "labels");

	for (size_t i = 0; labels && labels->kind == POL_YAML_MAP && i < labels->n; i++) {
		if (!pol_str_eq(labels->item[2 * i].text, key) ||
		    labels->item[2 * i + 1].kind != POL_YAML_SCALAR)
			continue;
		*value = labels->item[2 * i + 1].text;
		return true;
	}
	return false;
}

static int match_expression(struct pol_cilium *c, const struct pol_yaml *at,
			    const struct pol_import_object *o, bool *fits)
{
	struct pol_str key = { 0 }, op = { 0 }, value = { 0 };
	const struct pol_yaml *values;
	bool there, among = false, negative;
	int ret = pol_import_text_of(c->o, at, "key", &key);

	if (!ret)
		ret = pol_import_text_of(c->o, at, "operator", &op);
	if (!ret)
		ret = pol_import_list(c->o, at, "values", &values);
	if (ret)
		return ret;
	there = label_of(o, key, &value);
	for (size_t i = 0; there && values && i < values->n; i++)
		among = among || (values->item[i].kind == POL_YAML_SCALAR &&
				  pol_str_eq(values->item[i].text, value));
	negative = pol_str_is(op, "NotIn") || pol_str_is(op, "DoesNotExist");
	if (pol_str_is(op, "Exists") || pol_str_is(op, "DoesNotExist"))
		*fits = there != negative;
	else if (pol_str_is(op, "In") || pol_str_is(op, "NotIn"))
		*fits = among != negative;
	else
		return pol_yaml_err(c->o->doc, at, "no such operator");
	return 0;
}

static int match_labels(struct pol_cilium *c, const struct pol_yaml *sel,
			const struct pol_import_object *o, bool *fits)
{
	static const char *const known[] = { "matchLabels", "matchExpressions", NULL };
	const struct pol_yaml *labels, *expressions;
	struct pol_str value;
	int ret = pol_import_known(c->o, sel, "a selector of services", known);

	*fits = true;
	if (!ret)
		ret = pol_import_map(c->o, sel, "matchLabels", &labels);
	if (!ret)
		ret = pol_import_list(c->o, sel, "matchExpressions", &expressions);
	for (size_t i = 0; !ret && labels && *fits && i < labels->n; i++)
		*fits = label_of(o, labels->item[2 * i].text, &value) &&
			pol_str_eq(value, labels->item[2 * i + 1].text);
	for (size_t i = 0; !ret && expressions && *fits && i < expressions->n; i++)
		ret = match_expression(c, &expressions->item[i], o, fits);
	return ret;
}

/* ---- addresses --------------------------------------------------------------------------- */

static int add_address(struct pol_cilium *c, const struct pol_import_object *from,
		       const struct pol_yaml *ip, struct pol_cilium_peers *out, unsigned *n)
{
	struct pol_str text;
	int ret = ip ? pol_import_block(c->im, from, ip, NULL, &text) : 0;

	if (ret || !ip)
		return ret;
	*pol_vec_push(&out->of) = (struct pol_import_peer){ .text = text, .loose = true };
	++*n;
	return 0;
}

/* What is not ready gets no traffic, and is none of the service's. */
static int from_endpoints(struct pol_cilium *c, const struct pol_import_object *o,
			  struct pol_cilium_peers *out, unsigned *n)
{
	const struct pol_yaml *subsets, *all;
	int ret = pol_import_list(o, o->root, "subsets", &subsets);

	for (size_t i = 0; !ret && subsets && i < subsets->n; i++) {
		ret = pol_import_list(o, &subsets->item[i], "addresses", &all);
		for (size_t k = 0; !ret && all && k < all->n; k++)
			ret = add_address(c, o, pol_import_get(&all->item[k], "ip"), out, n);
	}
	return ret;
}

static int from_slice(struct pol_cilium *c, const struct pol_import_object *o,
		      struct pol_cilium_peers *out, unsigned *n, const char **why)
{
	const struct pol_yaml *all, *addresses, *ready;
	struct pol_str kind = { 0 };
	int ret = pol_import_text_of(o, o->root, "addressType", &kind);

	if (!ret)
		ret = pol_import_list(o, o->root, "endpoints", &all);
	if (pol_str_is(kind, "FQDN"))
		*why = "toServices of a service that stands for names";
	if (ret || *why)
		return ret;
	for (size_t i = 0; !ret && all && i < all->n; i++) {
		ready = pol_import_get(pol_import_get(&all->item[i], "conditions"), "ready");
		if (ready && pol_str_is(ready->text, "false"))
			continue;
		ret = pol_import_list(o, &all->item[i], "addresses", &addresses);
		for (size_t k = 0; !ret && addresses && k < addresses->n; k++)
			ret = add_address(c, o, &addresses->item[k], out, n);
	}
	return ret;
}

/* Of one service; *why: some of them are not to be known. */
static int addresses_of(struct pol_cilium *c, const struct pol_import_object *service,
			struct pol_cilium_peers *out, const char **why)
{
	struct pol_str of;
	unsigned n = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < c->im->objects.n; i++) {
		const struct pol_import_object *o = &c->im->objects.v[i];

		if (!pol_str_eq(o->ns, service->ns))
			continue;
		if (o->kind == POL_IMPORT_ENDPOINTS && pol_str_eq(o->name, service->name))
			ret = from_endpoints(c, o, out, &n);
		else if (o->kind == POL_IMPORT_ENDPOINT_SLICE &&
			 label_of(o, POL_STR(SERVICE_NAME), &of) && pol_str_eq(of, service->name))
			ret = from_slice(c, o, out, &n, why);
	}
	if (!ret && !n && !*why)
		*why = "toServices of a service whose endpoints are not in the input";
	return ret;
}

/* ---- one element -------------------------------------------------------------------------- */

struct wanted {
	struct pol_str name, ns; /* ns empty: any */
	const struct pol_yaml *selector; /* or NULL */
};

static int read_wanted(struct pol_cilium *c, const struct pol_yaml *at, struct wanted *w)
{
	static const char *const known[] = { "k8sService", "k8sServiceSelector", NULL };
	const struct pol_yaml *one, *many;
	int ret = pol_import_known(c->o, at, "a service", known);

	*w = (struct wanted){ .ns = { "", 0 } };
	if (!ret)
		ret = pol_import_map(c->o, at, "k8sService", &one);
	if (!ret)
		ret = pol_import_map(c->o, at, "k8sServiceSelector", &many);
	if (ret)
		return ret;
	if (!one == !many)
		return pol_yaml_err(c->o->doc, at, "either k8sService or k8sServiceSelector");
	ret = pol_import_text_of(c->o, one ? one : many, "namespace", &w->ns);
	if (!ret && one)
		ret = pol_import_text_of(c->o, one, "serviceName", &w->name);
	if (!ret && many)
		ret = pol_import_map(c->o, many, "selector", &w->selector);
	if (!ret && ((one && !w->name.n) || (many && !w->selector)))
		return pol_yaml_err(c->o->doc, at, "which service?");
	if (!w->ns.n && one && !c->clusterwide)
		w->ns = c->o->ns;
	return ret;
}

static int is_wanted(struct pol_cilium *c, const struct wanted *w,
		     const struct pol_import_object *o, bool *yes)
{
	*yes = o->kind == POL_IMPORT_SERVICE && (!w->ns.n || pol_str_eq(w->ns, o->ns)) &&
	       (w->selector || pol_str_eq(w->name, o->name));
	return *yes && w->selector ? match_labels(c, w->selector, o, yes) : 0;
}

int pol_cilium_service(struct pol_cilium *c, const struct pol_yaml *at,
		       struct pol_cilium_peers *out, const char **why)
{
	struct wanted w;
	unsigned services = 0;
	int ret = read_wanted(c, at, &w);

	*why = NULL;
	for (size_t i = 0; !ret && i < c->im->objects.n; i++) {
		const struct pol_import_object *o = &c->im->objects.v[i];
		const struct pol_yaml *selector;
		bool yes;

		ret = is_wanted(c, &w, o, &yes);
		if (ret || !yes)
			continue;
		services++;
		ret = pol_import_map(o, pol_import_get(o->root, "spec"), "selector", &selector);
		if (!ret && selector && selector->n)
			*why = "toServices of a service with a selector (its pods are toEndpoints)";
		else if (!ret)
			ret = addresses_of(c, o, out, why);
	}
	if (!ret && !services)
		*why = "toServices of a service that is not in the input";
	return ret;
}
