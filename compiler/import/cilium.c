/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy, to the letter:
 *
 *	ingress: [{}]        an empty rule selects nothing: closed, and nothing more
 *	ingress: []          says nothing, as if it were not there
 *	fromEndpoints: []    nothing;  [{}] everything in the namespace
 *	toPorts alone        any peer
 *	toPorts: [{}]        no port at all
 *	CIDRs                addresses outside, never pods or nodes
 *	enableDefaultDeny    false: the policy adds rules, and closes nothing
 *
 * What is left out of an allow is closed; of a deny the rest stays, and denies more.
 */
#include "compiler/import/cilium.h"

/* ---- rules --------------------------------------------------------------------------- */

static struct pol_import_rule *new_rule(struct pol_cilium *c, const struct pol_yaml *at,
					bool egress, bool deny,
					const struct pol_cilium_peers *peers)
{
	struct pol_import_rule *r = pol_import_rule_new(c->p, at, deny ? "deny" : "allow", egress);

	r->any_peer = peers->any;
	/*
	 * Which peers a named port is looked up for differs between versions: all pods' number for whoever is
	 * asked, or each peer's own. An allowance is of the second, a denial of both.
	 */
	r->any_holder = deny;
	for (size_t i = 0; i < peers->of.n; i++)
		*pol_vec_push(&r->peers) = peers->of.v[i];
	return r;
}

static void drop_rule(struct pol_cilium *c)
{
	struct pol_import_rule *r = &c->p->rules.v[--c->p->rules.n];

	pol_vec_free(&r->peers);
	pol_vec_free(&r->on);
}

static int add_ports(struct pol_cilium *c, const struct pol_yaml *list, bool egress, bool deny,
		     const struct pol_cilium_peers *peers)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n; i++) {
		struct pol_import_rule *r = new_rule(c, &list->item[i], egress, deny, peers);
		bool left_out = false;

		ret = pol_cilium_ports(c, &list->item[i], deny, r, &left_out);
		if (!ret && left_out)
			drop_rule(c);
	}
	return ret;
}

/* What stands beside peers and ports, and cannot be said; *drop: the rule goes with it. */
static int check_rest(struct pol_cilium *c, const struct pol_yaml *at, bool *drop)
{
	const struct pol_yaml *auth = pol_import_get(at, "authentication");
	const struct pol_yaml *old = pol_import_get(at, "auth");
	struct pol_str mode = { "", 0 };
	int ret = 0;

	if (pol_import_get(at, "fromRequires") || pol_import_get(at, "toRequires"))
		return pol_yaml_err(c->o->doc, at,
				    "fromRequires and toRequires cannot be imported");
	if (auth)
		ret = pol_import_text_of(c->o, auth, "mode", &mode);
	if (ret || (!old && (!auth || pol_str_is(mode, "disabled"))))
		return ret;
	*drop = true;
	return pol_import_cannot(c->im, c->o, old ? old : auth,
				 "authentication cannot be required");
}

static int read_rule(struct pol_cilium *c, const struct pol_yaml *at, bool egress, bool deny)
{
	static const char *const in[] = {
		"fromEndpoints", "fromRequires",   "fromCIDR",   "fromCIDRSet",
		"fromEntities",  "fromNodes",      "fromGroups", "toPorts",
		"icmps",         "authentication", "auth",       NULL,
	};
	static const char *const out[] = {
		"toEndpoints", "toRequires", "toCIDR",  "toCIDRSet", "toEntities",
		"toNodes",     "toGroups",   "toPorts", "icmps",     "authentication",
		"auth",        "toServices", "toFQDNs", NULL,
	};
	struct pol_cilium_peers peers = { 0 };
	const struct pol_yaml *ports, *icmps;
	bool drop = false;
	int ret = pol_import_known(c->o, at, "a rule", egress ? out : in);

	if (!ret)
		ret = check_rest(c, at, &drop);
	if (!ret)
		ret = pol_import_list(c->o, at, "toPorts", &ports);
	if (!ret)
		ret = pol_import_list(c->o, at, "icmps", &icmps);
	if (!ret && ports && ports->n && icmps && icmps->n)
		ret = pol_yaml_err(c->o->doc, at, "either toPorts or icmps, not both");
	if (!ret)
		ret = pol_cilium_peers(c, at, egress, deny, &peers);
	if (ret || (!deny && (drop || peers.left_out)) || (!peers.any && !peers.of.n))
		goto out;
	if (ports && ports->n)
		ret = add_ports(c, ports, egress, deny, &peers);
	else if (icmps && icmps->n)
		ret = pol_cilium_icmps(c, icmps, new_rule(c, at, egress, deny, &peers));
	else
		new_rule(c, at, egress, deny, &peers)->any_l4 = true;
out:
	pol_vec_free(&peers.of);
	return ret;
}

/* ---- policies ---------------------------------------------------------------------------- */

static int read_subject(struct pol_cilium *c, const struct pol_yaml *spec)
{
	const struct pol_yaml *sel = pol_import_get(spec, "endpointSelector");

	if (pol_import_get(spec, "nodeSelector"))
		return pol_yaml_err(c->o->doc, spec,
				    "policies of hosts (nodeSelector) cannot be imported");
	if (!sel)
		return pol_yaml_err(c->o->doc, spec, "a policy without an endpointSelector");
	return pol_cilium_selector(c, sel, &c->p->subject);
}

static int read_default_deny(struct pol_cilium *c, const struct pol_yaml *spec)
{
	static const char *const known[] = { "ingress", "egress", NULL };
	const struct pol_yaml *at = pol_import_get(spec, "enableDefaultDeny");
	int ret = at ? pol_import_known(c->o, at, "enableDefaultDeny", known) : 0;

	for (int dir = 0; !ret && at && dir < 2; dir++) {
		const struct pol_yaml *value = pol_import_get(at, known[dir]);
		bool closes = true;

		if (value)
			ret = pol_yaml_bool(c->o->doc, value, known[dir], &closes);
		c->p->open[dir] = !closes;
	}
	return ret;
}

static int read_section(struct pol_cilium *c, const struct pol_yaml *spec, const char *key,
			bool egress, bool deny)
{
	const struct pol_yaml *rules;
	int ret = pol_import_list(c->o, spec, key, &rules);

	if (!ret && rules && rules->n)
		c->p->closed[egress] = !c->p->open[egress];
	for (size_t i = 0; !ret && rules && i < rules->n; i++)
		ret = read_rule(c, &rules->item[i], egress, deny);
	return ret;
}

static int read_spec(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *spec, unsigned number)
{
	static const char *const known[] = {
		"endpointSelector",
		"nodeSelector",
		"ingress",
		"ingressDeny",
		"egress",
		"egressDeny",
		"description",
		"labels",
		"enableDefaultDeny",
		"log",
		NULL,
	};
	static const char *const section[] = { "ingress", "ingressDeny", "egress", "egressDeny" };
	struct pol_import_policy p = { .object = o };
	struct pol_cilium c = { im, o, &p, o->kind == POL_IMPORT_CILIUM_CLUSTERWIDE };
	int ret = pol_import_known(o, spec, "a policy", known);

	p.name = pol_arena_printf(im->arena, "cilium/%s%s%s", c.clusterwide ? "" : o->ns.p,
				  c.clusterwide ? "" : "/", o->name.p);
	if (number)
		p.name = pol_arena_printf(im->arena, "%s %u", p.name.p, number);
	if (!ret)
		ret = read_subject(&c, spec);
	if (!ret)
		ret = read_default_deny(&c, spec);
	for (size_t i = 0; !ret && i < POL_ARRAY_LEN(section); i++)
		ret = read_section(&c, spec, section[i], i >= 2, i % 2);
	if (!ret)
		return pol_import_write(im, &p);
	pol_import_policy_free(&p);
	return ret;
}

/*
 * Only shapes are asked here; what is wrong in them is said when they are read.  CIDRs are never nodes, nor are
 * endpoints unless a label says so.
 */
static bool may_be_host(const struct pol_yaml *rule)
{
	static const char *const never[] = { "world", "world-ipv4", "world-ipv6", "remote-node",
					     "none" };
	const struct pol_yaml *endpoints = pol_import_get(rule, "fromEndpoints");
	const struct pol_yaml *entities = pol_import_get(rule, "fromEntities");
	bool may = !endpoints && !entities;

	if (pol_import_get(rule, "fromCIDR") || pol_import_get(rule, "fromCIDRSet"))
		return false;
	for (size_t i = 0; endpoints && endpoints->kind == POL_YAML_LIST && i < endpoints->n; i++)
		may |= pol_cilium_foreign(&endpoints->item[i]) != NULL;
	for (size_t i = 0; entities && entities->kind == POL_YAML_LIST && i < entities->n; i++) {
		size_t k = 0;

		while (k < POL_ARRAY_LEN(never) && (entities->item[i].kind != POL_YAML_SCALAR ||
						    !pol_str_is(entities->item[i].text, never[k])))
			k++;
		may |= k == POL_ARRAY_LEN(never);
	}
	return may;
}

static bool spec_denies_host(const struct pol_yaml *spec)
{
	const struct pol_yaml *rules = pol_import_get(spec, "ingressDeny");

	for (size_t i = 0; rules && rules->kind == POL_YAML_LIST && i < rules->n; i++)
		if (may_be_host(&rules->item[i]))
			return true;
	return false;
}

bool pol_cilium_denies_host(const struct pol_import_object *o)
{
	const struct pol_yaml *specs = pol_import_get(o->root, "specs");

	for (size_t i = 0; specs && specs->kind == POL_YAML_LIST && i < specs->n; i++)
		if (spec_denies_host(&specs->item[i]))
			return true;
	return spec_denies_host(pol_import_get(o->root, "spec"));
}

int pol_import_cilium(struct pol_import *im, const struct pol_import_object *o)
{
	const struct pol_yaml *spec, *specs;
	int ret = pol_import_map(o, o->root, "spec", &spec);

	if (!ret)
		ret = pol_import_list(o, o->root, "specs", &specs);
	if (!ret && !spec && !specs)
		ret = pol_yaml_err(o->doc, o->root, "a policy without spec or specs");
	if (!ret && spec)
		ret = read_spec(im, o, spec, 0);
	for (size_t i = 0; !ret && specs && i < specs->n; i++)
		ret = read_spec(im, o, &specs->item[i], (unsigned)i + 1);
	return ret;
}
