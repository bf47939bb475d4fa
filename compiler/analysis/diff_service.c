/* SPDX-License-Identifier: GPL-2.0-only */
/* Services that two policies have, by name and by what they say. */
#include "compiler/describe.h"
#include "compiler/analysis/diffing.h"

/* Everything of it, as text: what is the same says the same. */
static void say(const struct pol_ir_service *s, struct pol_buf *out)
{
	char ip[POL_IP_TEXT];

	pol_buf_printf(out, "%u %d %d %d %.*s", s->proto, s->random, s->dsr, s->checked,
		       POL_STR_ARG(s->path));
	for (unsigned i = 0; s->checked && i < POL_CHECK_MARK_MAX; i++)
		pol_buf_printf(out, " %u", s->check[i]);
	for (size_t i = 0; i < s->nvips; i++)
		pol_buf_printf(out, " vip %s %u", pol_ip_format(s->vip[i].addr, ip),
			       s->vip[i].port);
	for (size_t i = 0; i < s->nbackends; i++)
		pol_buf_printf(out, " backend %.*s %u %u", POL_STR_ARG(s->backend[i].text),
			       s->backend[i].port, s->backend[i].weight);
}

static bool same(const struct pol_ir_service *a, const struct pol_ir_service *b)
{
	struct pol_buf x = { 0 }, y = { 0 };
	bool is;

	say(a, &x);
	say(b, &y);
	is = pol_str_eq(pol_buf_str(&x), pol_buf_str(&y));
	pol_buf_free(&x);
	pol_buf_free(&y);
	return is;
}

static const struct pol_ir_service *named(const struct pol_ir *ir, struct pol_str name)
{
	for (size_t i = 0; i < ir->services.n; i++)
		if (pol_str_eq(ir->services.v[i].name, name))
			return &ir->services.v[i];
	return NULL;
}

void pol_diff_services(struct pol_diff *d, const struct pol_ir *const ir[2])
{
	for (size_t i = 0; i < ir[0]->services.n; i++) {
		const struct pol_ir_service *was = &ir[0]->services.v[i];
		const struct pol_ir_service *is = named(ir[1], was->name);

		if (!is || !same(was, is))
			*pol_vec_push(&d->services) = (struct pol_service_change){ { was, is } };
	}
	for (size_t i = 0; i < ir[1]->services.n; i++)
		if (!named(ir[0], ir[1]->services.v[i].name))
			*pol_vec_push(&d->services) =
				(struct pol_service_change){ { NULL, &ir[1]->services.v[i] } };
}
