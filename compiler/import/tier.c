/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy: tiers, where
 * the first rule that matches decides. `networks` are addresses whoever has them, also pods.
 */
#include "compiler/import/rule.h"

static const char *const actions[] = { "Allow", "Accept", "Deny", "Pass" };
static const char *const words[] = { "allow", "allow", "deny", "skip" };

static int pods_text(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *spaces, const struct pol_yaml *pods,
		     struct pol_str *out)
{
	struct pol_buf b = { 0 };
	int ret = pol_import_selector(o, spaces, POL_IMPORT_SCOPE_NS, &b);

	pol_import_only_pods(&b);
	if (!ret)
		ret = pol_import_selector(o, pods, POL_IMPORT_SCOPE_POD, &b);
	*out = pol_import_take(im, &b);
	return ret;
}

/* { namespaces: SELECTOR } or { pods: { namespaceSelector, podSelector } }. */
static int read_pods(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, struct pol_str *out)
{
	static const char *const known[] = { "namespaceSelector", "podSelector", NULL };
	const struct pol_yaml *pods = pol_import_get(at, "pods");
	int ret;

	if (!pods)
		return pods_text(im, o, pol_import_get(at, "namespaces"), NULL, out);
	if (pol_import_get(at, "namespaces"))
		return pol_yaml_err(o->doc, at, "either namespaces or pods, not both");
	ret = pol_import_known(o, pods, "pods", known);
	return ret ? ret
		   : pods_text(im, o, pol_import_get(pods, known[0]),
			       pol_import_get(pods, known[1]), out);
}

/* ---- peers ---------------------------------------------------------------------------- */

/* What cannot be told apart is denied instead, so that no later rule lets it pass. */
static int leave_out(struct pol_import *im, const struct pol_import_object *o,
		     struct pol_import_policy *p, size_t rule, const struct pol_yaml *at,
		     const char *what, const char *closed)
{
	struct pol_import_rule *r = &p->rules.v[rule];
	int ret = pol_import_cannot(im, o, at, "%s cannot be told apart in the language", what);

	if (ret || strcmp(r->action, "allow") == 0)
		return ret;
	r = pol_import_rule_new(p, at, "deny", r->egress);
	r->any_l4 = true;
	pol_import_add_text(r, pol_str(closed), false);
	return 0;
}

static int read_nodes(struct pol_import *im, const struct pol_import_object *o,
		      struct pol_import_policy *p, size_t rule, const struct pol_yaml *nodes)
{
	struct pol_buf b = { 0 };
	int ret = pol_import_selector(o, nodes, POL_IMPORT_SCOPE_POD, &b);
	bool all = !b.n;

	pol_buf_free(&b);
	if (ret)
		return ret;
	if (!all)
		return leave_out(im, o, p, rule, nodes, "nodes with labels", "{ nodes, host }");
	pol_import_add_text(&p->rules.v[rule], POL_STR("{ nodes, host }"), false);
	return 0;
}

static int read_networks(struct pol_import *im, const struct pol_import_object *o,
			 struct pol_import_rule *r, const struct pol_yaml *list)
{
	struct pol_buf b = { 0 };
	char t[POL_IP_TEXT];
	int ret = pol_yaml_list(o->doc, list, "networks");

	for (size_t i = 0; !ret && i < list->n; i++) {
		struct pol_prefix prefix;

		ret = pol_import_prefix(o, &list->item[i], &prefix);
		pol_buf_printf(&b, "%s%s", i ? ", " : "{ ", pol_prefix_format(prefix, t));
	}
	if (!ret && !list->n)
		ret = pol_yaml_err(o->doc, list, "networks is empty");
	pol_buf_addz(&b, " }");
	pol_import_add_text(r, pol_import_take(im, &b), false);
	return ret;
}

static int read_peer(struct pol_import *im, const struct pol_import_object *o,
		     struct pol_import_policy *p, size_t rule, const struct pol_yaml *at)
{
	static const char *const known[] = { "namespaces", "pods",        "nodes",
					     "networks",   "domainNames", NULL };
	const struct pol_yaml *nodes, *networks, *names;
	struct pol_str text;
	int ret = pol_import_known(o, at, "a peer", known);

	if (ret)
		return ret;
	nodes = pol_import_get(at, "nodes");
	networks = pol_import_get(at, "networks");
	names = pol_import_get(at, "domainNames");
	if (at->n != 1 || pol_import_null(&at->item[1]))
		return pol_yaml_err(o->doc, at, "a peer selects exactly one kind of thing");
	if ((nodes || networks || names) && !p->rules.v[rule].egress)
		return pol_yaml_err(o->doc, at, "ingress has namespaces and pods only");
	if (nodes)
		return read_nodes(im, o, p, rule, nodes);
	if (names)
		return leave_out(im, o, p, rule, names, "domain names", "world");
	if (networks)
		return read_networks(im, o, &p->rules.v[rule], networks);
	ret = read_pods(im, o, at, &text);
	if (!ret)
		pol_import_add_sel(&p->rules.v[rule], text);
	return ret;
}

/* ---- ports ------------------------------------------------------------------------------ */

static int set_proto(const struct pol_import_object *o, const struct pol_yaml *at,
		     struct pol_import_l4 *l4)
{
	struct pol_str proto = { 0 };
	int ret = pol_import_text_of(o, at, "protocol", &proto);

	if (ret)
		return ret;
	switch (proto.n ? pol_import_proto(proto) : 6) {
	case 6:
		l4->proto = "tcp";
		return 0;
	case 17:
		l4->proto = "udp";
		return 0;
	case 132:
		l4->proto = "sctp";
		return 0;
	}
	return pol_yaml_err(o->doc, at, "a protocol must be TCP, UDP or SCTP");
}

/* number: { port } or { number }; range: { start, end }. */
static int read_numbers(const struct pol_import_object *o, const struct pol_yaml *at,
			const char *lo, const char *hi, struct pol_import_l4 *l4)
{
	const struct pol_yaml *first = pol_import_get(at, lo);
	const struct pol_yaml *last = hi ? pol_import_get(at, hi) : NULL;
	int ret;

	if (!first || (hi && !last))
		return pol_yaml_err(o->doc, at, "a port is missing");
	ret = pol_import_port_of(o, first, last, l4);
	if (!ret && l4->name.n)
		ret = pol_yaml_err(o->doc, first, "a port must be a number here");
	return ret;
}

/* v1alpha1: { portNumber: { protocol, port } }, { portRange: { protocol, start, end } }, { namedPort }. */
static int read_port(const struct pol_import_object *o, const struct pol_yaml *at,
		     struct pol_import_rule *r)
{
	static const char *const known[] = { "portNumber", "portRange", "namedPort", NULL };
	static const char *const one[] = { "protocol", "port", NULL };
	static const char *const range[] = { "protocol", "start", "end", NULL };
	const struct pol_yaml *number, *span, *name;
	struct pol_import_l4 l4 = { 0 };
	int ret = pol_import_known(o, at, "a port", known);

	if (ret)
		return ret;
	number = pol_import_get(at, known[0]);
	span = pol_import_get(at, known[1]);
	name = pol_import_get(at, known[2]);
	if (!number + !span + !name != 2)
		return pol_yaml_err(o->doc, at,
				    "a port is one of portNumber, portRange, namedPort");
	if (name) {
		ret = pol_import_port_of(o, name, NULL, &l4);
		if (!ret && !l4.name.n)
			ret = pol_yaml_err(o->doc, name, "namedPort is a name");
	} else {
		ret = pol_import_known(o, number ? number : span, "a port", number ? one : range);
		if (!ret)
			ret = set_proto(o, number ? number : span, &l4);
		if (!ret)
			ret = read_numbers(o, number ? number : span, number ? "port" : "start",
					   number ? NULL : "end", &l4);
	}
	*pol_vec_push(&r->on) = l4;
	return ret;
}

/* { destinationPort: { number } } or { destinationPort: { range: { start, end } } }. */
static int read_destination(const struct pol_import_object *o, const struct pol_yaml *at,
			    struct pol_import_l4 *l4)
{
	static const char *const known[] = { "destinationPort", NULL };
	static const char *const which[] = { "number", "range", NULL };
	const struct pol_yaml *port, *range;
	int ret = pol_import_known(o, at, "a protocol", known);

	if (ret)
		return ret;
	port = pol_import_get(at, known[0]);
	l4->all = !port;
	if (!port)
		return 0;
	ret = pol_import_known(o, port, known[0], which);
	range = pol_import_get(port, "range");
	if (!ret && range && pol_import_get(port, "number"))
		ret = pol_yaml_err(o->doc, port, "either number or range, not both");
	if (ret)
		return ret;
	return range ? read_numbers(o, range, "start", "end", l4)
		     : read_numbers(o, port, "number", NULL, l4);
}

/* v1alpha2: { tcp: ... }, { udp: ... }, { sctp: ... }, { destinationNamedPort }. */
static int read_protocol(const struct pol_import_object *o, const struct pol_yaml *at,
			 struct pol_import_rule *r)
{
	static const char *const known[] = { "tcp", "udp", "sctp", "destinationNamedPort", NULL };
	const struct pol_yaml *what = NULL;
	struct pol_import_l4 l4 = { 0 };
	size_t i = 0;
	int ret = pol_import_known(o, at, "a protocol", known);

	if (ret)
		return ret;
	if (at->n != 1)
		return pol_yaml_err(o->doc, at,
				    "a protocol is one of tcp, udp, sctp or a named port");
	while (!what && known[i])
		what = pol_import_get(at, known[i++]);
	if (!what)
		return pol_yaml_err(o->doc, at, "a protocol has no value");
	if (i <= 3) {
		l4.proto = known[i - 1];
		ret = read_destination(o, what, &l4);
	} else {
		ret = pol_import_port_of(o, what, NULL, &l4);
		if (!ret && !l4.name.n)
			ret = pol_yaml_err(o->doc, what, "destinationNamedPort is a name");
	}
	*pol_vec_push(&r->on) = l4;
	return ret;
}

/* ---- rules -------------------------------------------------------------------------------- */

static int read_action(const struct pol_import_object *o, const struct pol_yaml *at,
		       const char **word)
{
	const struct pol_yaml *action = pol_import_get(at, "action");
	uint32_t which;
	int ret;

	if (!action)
		return pol_yaml_err(o->doc, at, "a rule without an action");
	ret = pol_yaml_choice(o->doc, action, "action", actions, POL_ARRAY_LEN(actions), &which);
	if (!ret && (which == 1) != (o->kind == POL_IMPORT_CLUSTER) && which < 2)
		ret = pol_yaml_err(o->doc, action, "the action is called %s in a %s",
				   o->kind == POL_IMPORT_CLUSTER ? "Accept" : "Allow",
				   pol_import_kind_name(o->kind));
	if (!ret && which == 3 && o->kind == POL_IMPORT_BASELINE)
		ret = pol_yaml_err(o->doc, action, "nothing follows the baseline: it has no Pass");
	*word = ret ? NULL : words[which];
	return ret;
}

static int read_rule_name(const struct pol_import_object *o, const struct pol_yaml *at,
			  struct pol_str *name)
{
	int ret = pol_import_text_of(o, at, "name", name);

	if (!ret && (!pol_printable(*name) || memchr(name->p, '"', name->n) ||
		     memchr(name->p, '\\', name->n) || name->n > 100))
		ret = pol_yaml_err(o->doc, at, "the name of a rule must be plain text");
	return ret;
}

static int read_on(const struct pol_import_object *o, const struct pol_yaml *at,
		   struct pol_import_rule *r)
{
	const struct pol_yaml *ports, *protocols;
	int ret = pol_import_list(o, at, "ports", &ports);

	if (!ret)
		ret = pol_import_list(o, at, "protocols", &protocols);
	if (!ret && ports && protocols)
		ret = pol_yaml_err(o->doc, at, "either ports or protocols, not both");
	if (!ret && ((ports && !ports->n) || (protocols && !protocols->n)))
		ret = pol_yaml_err(o->doc, at, "an empty list of ports");
	r->any_l4 = !ports && !protocols;
	for (size_t i = 0; !ret && ports && i < ports->n; i++)
		ret = read_port(o, &ports->item[i], r);
	for (size_t i = 0; !ret && protocols && i < protocols->n; i++)
		ret = read_protocol(o, &protocols->item[i], r);
	return ret;
}

static int read_rule(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, bool egress, struct pol_import_policy *p)
{
	const char *const known[] = {
		"name", "action", egress ? "to" : "from", "ports", "protocols", NULL,
	};
	const struct pol_yaml *peers;
	const char *action = NULL;
	size_t rule = p->rules.n;
	int ret = pol_import_known(o, at, "a rule", known);

	if (!ret)
		ret = read_action(o, at, &action);
	if (!ret)
		ret = pol_import_list(o, at, known[2], &peers);
	if (!ret && (!peers || !peers->n))
		ret = pol_yaml_err(o->doc, at, "a rule without peers");
	if (ret)
		return ret;
	pol_import_rule_new(p, at, action, egress);
	ret = read_rule_name(o, at, &p->rules.v[rule].name);
	if (!ret)
		ret = read_on(o, at, &p->rules.v[rule]);
	for (size_t i = 0; !ret && i < peers->n; i++)
		ret = read_peer(im, o, p, rule, &peers->item[i]);
	return ret;
}

/* ---- the policy ------------------------------------------------------------------------------ */

static int read_tier(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *spec, struct pol_import_policy *p)
{
	static const char *const tiers[] = { "Admin", "Baseline" };
	const struct pol_yaml *priority = pol_import_get(spec, "priority");
	const struct pol_yaml *tier = pol_import_get(spec, "tier");
	uint32_t number = 0, which = o->kind == POL_IMPORT_BASELINE;
	int ret = 0;

	if (!which && !priority)
		return pol_yaml_err(o->doc, spec, "a %s without a priority",
				    pol_import_kind_name(o->kind));
	if (o->kind == POL_IMPORT_CLUSTER && !tier)
		return pol_yaml_err(o->doc, spec, "a ClusterNetworkPolicy without a tier");
	if (priority)
		ret = pol_yaml_u32(o->doc, priority, "priority", 0, 1000, &number);
	if (!ret && tier)
		ret = pol_yaml_choice(o->doc, tier, "tier", tiers, 2, &which);
	/* The first thousand of the baseline belong to open.c, the very last to the oldest kind. */
	if (o->kind == POL_IMPORT_BASELINE)
		number = 1001;
	p->tier = pol_arena_printf(im->arena, "tier %s %u", which ? "baseline" : "admin",
				   which ? 1000 + number : number);
	p->name = pol_arena_printf(im->arena, "%s/%s", which ? "baseline" : "admin", o->name.p);
	return ret;
}

static int read_subject(struct pol_import *im, const struct pol_import_object *o,
			const struct pol_yaml *spec, struct pol_import_policy *p)
{
	static const char *const known[] = { "namespaces", "pods", NULL };
	const struct pol_yaml *subject = pol_import_get(spec, "subject");
	int ret;

	if (!subject)
		return pol_yaml_err(o->doc, spec, "a %s without a subject",
				    pol_import_kind_name(o->kind));
	ret = pol_import_known(o, subject, "a subject", known);
	if (!ret && (subject->n != 1 || pol_import_null(&subject->item[1])))
		ret = pol_yaml_err(o->doc, subject, "a subject is namespaces or pods");
	return ret ? ret : read_pods(im, o, subject, &p->subject);
}

static int check_spec(const struct pol_import_object *o, const struct pol_yaml *spec)
{
	static const char *const admin[] = { "priority", "subject", "ingress", "egress", NULL };
	static const char *const base[] = { "subject", "ingress", "egress", NULL };
	static const char *const cluster[] = { "tier",    "priority", "subject",
					       "ingress", "egress",   NULL };

	if (!spec)
		return pol_yaml_err(o->doc, o->root, "a policy without a spec");
	return pol_import_known(o, spec, pol_import_kind_name(o->kind),
				o->kind == POL_IMPORT_ADMIN      ? admin
				: o->kind == POL_IMPORT_BASELINE ? base
								 : cluster);
}

int pol_import_tier(struct pol_import *im, const struct pol_import_object *o)
{
	const struct pol_yaml *spec = pol_import_get(o->root, "spec"), *rules;
	struct pol_import_policy p = { .object = o };
	int ret = check_spec(o, spec);

	if (!ret)
		ret = read_tier(im, o, spec, &p);
	if (!ret)
		ret = read_subject(im, o, spec, &p);
	for (int dir = 0; !ret && dir < 2; dir++) {
		ret = pol_import_list(o, spec, dir ? "egress" : "ingress", &rules);
		for (size_t i = 0; !ret && rules && i < rules->n; i++)
			ret = read_rule(im, o, &rules->item[i], dir, &p);
	}
	if (!ret)
		return pol_import_write(im, &p);
	pol_import_policy_free(&p);
	return ret;
}
