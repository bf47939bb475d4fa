/* SPDX-License-Identifier: GPL-2.0-only */
/* Peers of Cilium: endpoints, entities, CIDRs. */
#include "compiler/import/cilium.h"

static bool has_prefix(struct pol_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

/* The key without where it came from. */
static struct pol_str bare_key(struct pol_str key)
{
	if (has_prefix(key, "k8s:") || has_prefix(key, "any:"))
		key = (struct pol_str){ key.p + 4, key.n - 4 };
	return key;
}

static bool is_ns(struct pol_str key)
{
	return pol_str_is(key, "io.kubernetes.pod.namespace") ||
	       has_prefix(key, "io.cilium.k8s.namespace.labels.");
}

static bool is_foreign(struct pol_str key)
{
	return memchr(key.p, ':', key.n) || has_prefix(key, "io.cilium.k8s.policy.");
}

/* The first key that the test holds for. */
static const struct pol_yaml *find_key(const struct pol_yaml *sel, bool (*test)(struct pol_str))
{
	const struct pol_yaml *labels = pol_import_get(sel, "matchLabels");
	const struct pol_yaml *list = pol_import_get(sel, "matchExpressions");

	for (size_t i = 0; labels && labels->kind == POL_YAML_MAP && i < labels->n; i++)
		if (test(bare_key(labels->item[2 * i].text)))
			return &labels->item[2 * i];
	for (size_t i = 0; list && list->kind == POL_YAML_LIST && i < list->n; i++) {
		const struct pol_yaml *key = pol_import_get(&list->item[i], "key");

		if (key && key->kind == POL_YAML_SCALAR && test(bare_key(key->text)))
			return key;
	}
	return NULL;
}

const struct pol_yaml *pol_cilium_foreign(const struct pol_yaml *sel)
{
	return find_key(sel, is_foreign);
}

/* A subject lies in the policy's namespace whatever it says; one that says so is in doubt. */
static int check_ns(struct pol_cilium *c, const struct pol_yaml *sel)
{
	const struct pol_yaml *key = find_key(sel, is_ns);

	if (!key || c->clusterwide || c->p->subject.n)
		return 0;
	return pol_yaml_err(c->o->doc, key,
			    "the subject of a CiliumNetworkPolicy is in its own namespace");
}

int pol_cilium_selector(struct pol_cilium *c, const struct pol_yaml *sel, struct pol_str *out)
{
	struct pol_buf b = { 0 };
	int ret = check_ns(c, sel);

	if (!c->clusterwide && !find_key(sel, is_ns))
		pol_import_term(&b, "ns == \"%s\"", c->o->ns.p);
	if (!ret)
		ret = pol_import_selector(c->o, sel, POL_IMPORT_SCOPE_CILIUM, &b);
	pol_import_only_pods(&b);
	*out = pol_import_take(c->im, &b);
	return ret;
}

/* ---- kinds of peers --------------------------------------------------------------------- */

static void add_text(struct pol_cilium_peers *out, struct pol_str text)
{
	*pol_vec_push(&out->of) = (struct pol_import_peer){ .text = text, .loose = true };
}

static int leave_out(struct pol_cilium *c, const struct pol_yaml *at, bool deny,
		     struct pol_cilium_peers *out, const char *what)
{
	int ret = pol_import_cannot(c->im, c->o, at, "%s cannot be imported", what);

	out->any |= deny;
	return ret;
}

static int read_endpoints(struct pol_cilium *c, const struct pol_yaml *list, bool deny,
			  struct pol_cilium_peers *out)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n; i++) {
		const struct pol_yaml *foreign = pol_cilium_foreign(&list->item[i]);
		struct pol_str sel;

		if (foreign) {
			ret = leave_out(c, foreign, deny, out, "selecting by such a label");
			continue;
		}
		ret = pol_cilium_selector(c, &list->item[i], &sel);
		if (!ret)
			*pol_vec_push(&out->of) = (struct pol_import_peer){ .sel = sel };
	}
	return ret;
}

static int read_entity(struct pol_cilium *c, const struct pol_yaml *at, bool deny,
		       struct pol_cilium_peers *out)
{
	static const char *const texts[][2] = {
		{ "all", "any" },
		{ "world", "world" },
		{ "world-ipv4", "world in 0.0.0.0/0" },
		{ "world-ipv6", "world in ::/0" },
		{ "host", "host" },
		{ "remote-node", "nodes" },
		{ "cluster", "{ [ ], host, nodes }" },
		{ "none", NULL },
	};
	struct pol_str name;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(c->o->doc, at, "an entity", &name);

	if (ret)
		return ret;
	for (size_t i = 0; i < POL_ARRAY_LEN(texts); i++) {
		if (!pol_str_is(name, texts[i][0]))
			continue;
		if (i == 0)
			out->any = true;
		else if (texts[i][1])
			add_text(out, pol_str(texts[i][1]));
		return 0;
	}
	return leave_out(c, at, deny, out,
			 pol_arena_printf(c->im->arena, "entity `%s`", pol_quote(name, q)).p);
}

static int read_cidr_set(struct pol_cilium *c, const struct pol_yaml *at, bool deny,
			 struct pol_cilium_peers *out)
{
	static const char *const known[] = { "cidr", "except", "cidrGroupRef", "cidrGroupSelector",
					     NULL };
	const struct pol_yaml *except, *cidr;
	struct pol_str text;
	int ret = pol_import_known(c->o, at, "a CIDR set", known);

	if (!ret)
		ret = pol_import_list(c->o, at, "except", &except);
	if (ret)
		return ret;
	cidr = pol_import_get(at, "cidr");
	if (pol_import_get(at, "cidrGroupRef") || pol_import_get(at, "cidrGroupSelector"))
		return leave_out(c, at, deny, out, "a CIDR group");
	if (!cidr)
		return pol_yaml_err(c->o->doc, at, "a CIDR set without a cidr");
	ret = pol_import_block(c->im, c->o, cidr, except, &text);
	if (!ret)
		add_text(out, text);
	return ret;
}

static int read_cidr(struct pol_cilium *c, const struct pol_yaml *at, struct pol_cilium_peers *out)
{
	struct pol_str text;
	int ret = pol_import_block(c->im, c->o, at, NULL, &text);

	if (!ret)
		add_text(out, text);
	return ret;
}

static int read_services(struct pol_cilium *c, const struct pol_yaml *list, bool deny,
			 struct pol_cilium_peers *out)
{
	const char *why;
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n; i++) {
		ret = pol_cilium_service(c, &list->item[i], out, &why);
		if (!ret && why)
			ret = leave_out(c, &list->item[i], deny, out, why);
	}
	return ret;
}

/* ---- all of a rule ------------------------------------------------------------------------- */

enum l3 { ENDPOINTS, CIDR, CIDR_SET, ENTITIES, NODES, GROUPS, SERVICES, FQDNS, L3_MAX };

static int read_kind(struct pol_cilium *c, enum l3 kind, const char *key,
		     const struct pol_yaml *list, bool deny, struct pol_cilium_peers *out)
{
	int ret = 0;

	if (kind == ENDPOINTS)
		return read_endpoints(c, list, deny, out);
	if (kind == SERVICES)
		return read_services(c, list, deny, out);
	if (kind >= NODES)
		return leave_out(c, list, deny, out, key);
	for (size_t i = 0; !ret && i < list->n; i++) {
		const struct pol_yaml *at = &list->item[i];

		ret = kind == CIDR       ? read_cidr(c, at, out)
		      : kind == CIDR_SET ? read_cidr_set(c, at, deny, out)
					 : read_entity(c, at, deny, out);
	}
	return ret;
}

int pol_cilium_peers(struct pol_cilium *c, const struct pol_yaml *rule, bool egress, bool deny,
		     struct pol_cilium_peers *out)
{
	static const char *const keys[2][L3_MAX] = {
		{ "fromEndpoints", "fromCIDR", "fromCIDRSet", "fromEntities", "fromNodes",
		  "fromGroups" },
		{ "toEndpoints", "toCIDR", "toCIDRSet", "toEntities", "toNodes", "toGroups",
		  "toServices", "toFQDNs" },
	};
	const struct pol_yaml *list, *ports = pol_import_get(rule, "toPorts");
	const struct pol_yaml *icmps = pol_import_get(rule, "icmps");
	unsigned kinds = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < L3_MAX && keys[egress][i]; i++) {
		ret = pol_import_list(c->o, rule, keys[egress][i], &list);
		if (ret || !list)
			continue;
		if (kinds++)
			return pol_yaml_err(c->o->doc, list, "a second kind of peer in one rule");
		ret = read_kind(c, (enum l3)i, keys[egress][i], list, deny, out);
	}
	if (!kinds && ((ports && ports->n) || (icmps && icmps->n)))
		out->any = true;
	return ret;
}
