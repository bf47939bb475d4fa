/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/lowering.h"

struct ranges {
	struct pol_range32 *v;
	size_t n, cap;
};

/* Protocols without ports or types, and `all`, take every value: whole protocols then join. */
static void add(struct pol_lowering *l, struct ranges *out, const struct pol_port *p)
{
	bool whole = p->all || !(pol_proto_has_ports(p->proto) || pol_proto_has_types(p->proto));

	if (p->flags.set || p->flags.clear)
		pol_lower_refuse(l, p->span, "a test of TCP flags in a policy");
	*pol_vec_push(out) = (struct pol_range32){
		POL_L4_KEY(p->proto, whole ? 0 : p->lo),
		POL_L4_KEY(p->proto, whole ? 65535 : p->hi),
	};
}

uint32_t pol_lower_ports(struct pol_lowering *l, const struct pol_ports *ports)
{
	struct ranges out = { 0 };
	uint32_t id;

	if (!ports)
		return 0;
	for (const struct pol_port *p = ports->of.first; p; p = p->next) {
		const struct pol_decl *d = p->name.text.p ? p->name.decl : NULL;

		if (!p->name.text.p)
			add(l, &out, p);
		for (size_t i = 0; d && i < d->port.n_flat; i++)
			add(l, &out, d->port.flat[i]);
	}
	id = pol_ir_l4set(&l->b, pol_l4set_of(l->arena, out.v, out.n));
	pol_vec_free(&out);
	return id;
}
