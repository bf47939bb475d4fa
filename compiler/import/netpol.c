/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NetworkPolicy of Kubernetes, to the letter:
 *
 *	podSelector {} or missing        every pod of the namespace
 *	policyTypes missing              Ingress; Egress too if there is an egress rule
 *	ingress missing or []            nothing may come in
 *	- {}  (from missing or [])       everything may
 *	ports missing or []              every protocol and port
 *	namespaceSelector missing        pods of the policy's own namespace
 *	ipBlock                          addresses outside, never pods
 */
#include "compiler/import/rule.h"

static int pod_peer(struct pol_import *im, const struct pol_import_object *o,
		    const struct pol_yaml *pods, const struct pol_yaml *spaces,
		    struct pol_import_rule *r)
{
	struct pol_buf b = { 0 };
	int ret;

	if (!spaces)
		pol_import_term(&b, "ns == \"%s\"", o->ns.p);
	ret = pol_import_selector(o, spaces, POL_IMPORT_SCOPE_NS, &b);
	pol_import_only_pods(&b);
	if (!ret)
		ret = pol_import_selector(o, pods, POL_IMPORT_SCOPE_POD, &b);
	pol_import_add_sel(r, pol_import_take(im, &b));
	return ret;
}

static int block_peer(struct pol_import *im, const struct pol_import_object *o,
		      const struct pol_yaml *block, struct pol_import_rule *r)
{
	static const char *const known[] = { "cidr", "except", NULL };
	const struct pol_yaml *except, *cidr;
	struct pol_str text;
	int ret = pol_import_known(o, block, "an ipBlock", known);

	if (!ret)
		ret = pol_import_list(o, block, "except", &except);
	if (ret)
		return ret;
	cidr = pol_import_get(block, "cidr");
	if (!cidr)
		return pol_yaml_err(o->doc, block, "an ipBlock without a cidr");
	ret = pol_import_block(im, o, cidr, except, &text);
	if (!ret)
		pol_import_add_text(r, text, true);
	return ret;
}

static int read_peer(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, struct pol_import_rule *r)
{
	static const char *const known[] = { "podSelector", "namespaceSelector", "ipBlock", NULL };
	const struct pol_yaml *pods, *spaces, *block;
	int ret = pol_import_known(o, at, "a peer", known);

	if (ret)
		return ret;
	pods = pol_import_get(at, known[0]);
	spaces = pol_import_get(at, known[1]);
	block = pol_import_get(at, known[2]);
	if (!pods && !spaces && !block)
		return pol_yaml_err(o->doc, at, "a peer that selects nothing");
	if (block && (pods || spaces))
		return pol_yaml_err(o->doc, at, "a peer has an ipBlock or selectors, not both");
	return block ? block_peer(im, o, block, r) : pod_peer(im, o, pods, spaces, r);
}

static int read_port(const struct pol_import_object *o, const struct pol_yaml *at,
		     struct pol_import_rule *r)
{
	static const char *const known[] = { "port", "protocol", "endPort", NULL };
	const struct pol_yaml *port, *end;
	struct pol_import_l4 l4 = { 0 };
	struct pol_str proto = { 0 };
	int ret = pol_import_known(o, at, "a port", known);

	if (!ret)
		ret = pol_import_text_of(o, at, "protocol", &proto);
	if (ret)
		return ret;
	port = pol_import_get(at, "port");
	end = pol_import_get(at, "endPort");
	switch (proto.n ? pol_import_proto(proto) : 6) {
	case 6:
		l4.proto = "tcp";
		break;
	case 17:
		l4.proto = "udp";
		break;
	case 132:
		l4.proto = "sctp";
		break;
	default:
		return pol_yaml_err(o->doc, at, "a protocol must be TCP, UDP or SCTP");
	}
	l4.all = !port;
	if (port)
		ret = pol_import_port_of(o, port, end, &l4);
	else if (end)
		ret = pol_yaml_err(o->doc, end, "endPort without port");
	*pol_vec_push(&r->on) = l4;
	return ret;
}

static int read_rule(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, bool egress, struct pol_import_policy *p)
{
	const char *const known[] = { egress ? "to" : "from", "ports", NULL };
	struct pol_import_rule *r = pol_import_rule_new(p, at, "allow", egress);
	const struct pol_yaml *peers, *ports;
	int ret = pol_import_known(o, at, "a rule", known);

	if (!ret)
		ret = pol_import_list(o, at, known[0], &peers);
	if (!ret)
		ret = pol_import_list(o, at, "ports", &ports);
	if (ret)
		return ret;
	r->any_peer = !peers || !peers->n;
	r->any_l4 = !ports || !ports->n;
	for (size_t i = 0; !ret && peers && i < peers->n; i++)
		ret = read_peer(im, o, &peers->item[i], r);
	for (size_t i = 0; !ret && ports && i < ports->n; i++)
		ret = read_port(o, &ports->item[i], r);
	return ret;
}

/* closed: the directions that the policy isolates. */
static int read_types(const struct pol_import_object *o, const struct pol_yaml *spec,
		      const struct pol_yaml *egress, bool closed[2])
{
	static const char *const names[] = { "Ingress", "Egress" };
	const struct pol_yaml *types;
	uint32_t which;
	int ret = pol_import_list(o, spec, "policyTypes", &types);

	if (ret)
		return ret;
	if (!types || !types->n) {
		closed[0] = true;
		closed[1] = egress && egress->n;
		return 0;
	}
	for (size_t i = 0; !ret && i < types->n; i++) {
		ret = pol_yaml_choice(o->doc, &types->item[i], "policy type", names, 2, &which);
		if (!ret)
			closed[which] = true;
	}
	return ret;
}

static int read_section(struct pol_import *im, const struct pol_import_object *o,
			const struct pol_yaml *rules, bool egress, struct pol_import_policy *p)
{
	int ret = 0;

	if (rules && rules->n && !p->closed[egress])
		pol_import_warn(im, o, rules, "policyTypes leaves %s out: its rules do nothing",
				egress ? "egress" : "ingress");
	for (size_t i = 0; !ret && rules && p->closed[egress] && i < rules->n; i++)
		ret = read_rule(im, o, &rules->item[i], egress, p);
	return ret;
}

int pol_import_netpol(struct pol_import *im, const struct pol_import_object *o)
{
	static const char *const known[] = { "podSelector", "ingress", "egress", "policyTypes",
					     NULL };
	const struct pol_yaml *spec = pol_import_get(o->root, "spec"), *rules[2];
	struct pol_import_policy p = {
		.object = o,
		.name = pol_arena_printf(im->arena, "%s/%s", o->ns.p, o->name.p),
	};
	struct pol_buf b = { 0 };
	int ret;

	if (!spec)
		return pol_yaml_err(o->doc, o->root, "a NetworkPolicy without a spec");
	ret = pol_import_known(o, spec, "a NetworkPolicy", known);
	if (!ret)
		ret = pol_import_list(o, spec, "ingress", &rules[0]);
	if (!ret)
		ret = pol_import_list(o, spec, "egress", &rules[1]);
	if (!ret)
		ret = read_types(o, spec, rules[1], p.closed);
	pol_import_term(&b, "ns == \"%s\"", o->ns.p);
	if (!ret)
		ret = pol_import_selector(o, pol_import_get(spec, "podSelector"),
					  POL_IMPORT_SCOPE_POD, &b);
	p.subject = pol_import_take(im, &b);
	for (int dir = 0; !ret && dir < 2; dir++)
		ret = read_section(im, o, rules[dir], dir, &p);
	if (!ret)
		return pol_import_write(im, &p);
	pol_import_policy_free(&p);
	return ret;
}
