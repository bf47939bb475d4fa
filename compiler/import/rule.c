/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/import/rule.h"

struct pol_import_rule *pol_import_rule_new(struct pol_import_policy *p, const struct pol_yaml *at,
					    const char *action, bool egress)
{
	struct pol_import_rule *r = pol_vec_push(&p->rules);

	*r = (struct pol_import_rule){ .at = at, .action = action, .egress = egress };
	return r;
}

void pol_import_policy_free(struct pol_import_policy *p)
{
	for (size_t i = 0; i < p->rules.n; i++) {
		pol_vec_free(&p->rules.v[i].peers);
		pol_vec_free(&p->rules.v[i].on);
	}
	pol_vec_free(&p->rules);
}

void pol_import_add_sel(struct pol_import_rule *r, struct pol_str sel)
{
	*pol_vec_push(&r->peers) = (struct pol_import_peer){ .sel = sel };
}

void pol_import_add_text(struct pol_import_rule *r, struct pol_str text, bool loose)
{
	*pol_vec_push(&r->peers) = (struct pol_import_peer){ .text = text, .loose = loose };
}

int pol_import_block(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *cidr, const struct pol_yaml *except,
		     struct pol_str *text)
{
	struct pol_buf b = { 0 };
	struct pol_prefix p;
	char t[POL_IP_TEXT];
	int ret = pol_import_prefix(o, cidr, &p);

	if (!ret)
		pol_buf_printf(&b, "world in %s", pol_prefix_format(p, t));
	for (size_t i = 0; !ret && except && i < except->n; i++) {
		ret = pol_import_prefix(o, &except->item[i], &p);
		pol_buf_printf(&b, "%s%s", i ? ", " : " except { ", pol_prefix_format(p, t));
	}
	if (except && except->n)
		pol_buf_addz(&b, " }");
	*text = pol_import_take(im, &b);
	return ret;
}

int pol_import_port_of(const struct pol_import_object *o, const struct pol_yaml *port,
		       const struct pol_yaml *end, struct pol_import_l4 *out)
{
	uint32_t lo, hi;
	bool number;
	char q[POL_QUOTE];
	int ret;

	if (port->kind != POL_YAML_SCALAR)
		return pol_yaml_err(o->doc, port, "a port must be a number or a name");
	number = !port->quoted && pol_parse_u32(port->text, UINT32_MAX, &lo);
	if (!number) {
		bool letter = false;

		for (size_t i = 0; i < port->text.n; i++)
			letter |= port->text.p[i] >= 'a' && port->text.p[i] <= 'z';
		if (!letter || port->text.n > 15 || !pol_import_plain(port->text, "-"))
			return pol_yaml_err(o->doc, port,
					    "`%s` is neither a port nor a port's name",
					    pol_quote(port->text, q));
		if (end)
			return pol_yaml_err(o->doc, end, "a named port has no end");
		out->name = port->text;
		return 0;
	}
	ret = pol_yaml_u32(o->doc, port, "a port", 1, 65535, &lo);
	hi = lo;
	if (!ret && end)
		ret = pol_yaml_u32(o->doc, end, "the last port", lo, 65535, &hi);
	out->lo = (uint16_t)lo;
	out->hi = (uint16_t)hi;
	return ret;
}
