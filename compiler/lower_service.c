/* SPDX-License-Identifier: GPL-2.0-only */
/* Services: who is asked for, and who serves. */
#include <netinet/in.h>
#include <polc/service.h>

#include "compiler/lowering.h"

/* lang checked that it is exactly one. */
static const struct pol_port *port_of(const struct pol_ports *on)
{
	const struct pol_port *p = on->of.first;
	const struct pol_decl *d = p && p->name.text.p ? p->name.decl : NULL;

	return d ? d->port.n_flat ? d->port.flat[0] : NULL : p;
}

static size_t count_vips(const struct pol_decl *d)
{
	size_t n = 0;

	for (const struct pol_vip *v = d->service.vips.first; v; v = v->next)
		n += v->addresses.n;
	return n;
}

static bool same_vip(const struct pol_ir_vip *a, const struct pol_ir_vip *b)
{
	return pol_ip_eq(a->addr, b->addr) && a->port == b->port;
}

/* With those of the services before, and of this one. */
static void check_twice(struct pol_lowering *l, const struct pol_ir_service *s,
			const struct pol_ir_vip *v)
{
	for (size_t i = 0; i <= l->ir->services.n; i++) {
		const struct pol_ir_service *o = i < l->ir->services.n ? &l->ir->services.v[i] : s;

		for (size_t k = 0; o->proto == s->proto && k < o->nvips; k++) {
			struct pol_diag *g;

			if (!same_vip(&o->vip[k], v))
				continue;
			g = pol_diag(l->diags, POL_P0334, v->span,
				     "this address and port are a VIP already");
			pol_diag_also(l->diags, g, o->vip[k].span, "here");
			return;
		}
	}
}

static void add_vips(struct pol_lowering *l, const struct pol_decl *d, struct pol_ir_service *s)
{
	s->vip = pol_arena_alloc(l->arena, (count_vips(d) + 1) * sizeof(*s->vip));
	for (const struct pol_vip *v = d->service.vips.first; v; v = v->next)
		for (const struct pol_ast_peer *a = v->addresses.first; a; a = a->next) {
			const struct pol_port *port = port_of(v->on);
			struct pol_ir_vip vip = { .addr = a->prefix.addr,
						  .port = port ? (uint16_t)port->lo : 0,
						  .span = a->span };

			if (port)
				s->proto = port->proto;
			check_twice(l, s, &vip);
			s->vip[s->nvips++] = vip;
		}
}

static void add_backends(struct pol_lowering *l, const struct pol_decl *d, struct pol_ir_service *s)
{
	s->backend = pol_arena_alloc(l->arena, (d->service.backends.n + 1) * sizeof(*s->backend));
	for (const struct pol_backend *b = d->service.backends.first; b; b = b->next) {
		const struct pol_port *port = port_of(b->on);
		struct pol_ir_backend *to = &s->backend[s->nbackends++];

		*to = (struct pol_ir_backend){ .port = port ? (uint16_t)port->lo : 0,
					       .weight = b->weight,
					       .text = pol_source_text(l->program->sources,
								       b->peer->span) };
		if (b->peer->kind == POL_AST_PEER_PREFIX) {
			to->addr = b->peer->prefix.addr;
		} else if (b->peer->kind == POL_AST_PEER_SELECTOR) {
			to->by_class = true;
			to->sel = pol_lower_sel(l, b->peer->selector);
		} else if (b->peer->kind == POL_AST_PEER_NAME && b->peer->name.decl) {
			to->by_class = true;
			to->sel = pol_lower_endpoint(l, b->peer->name.decl);
		}
	}
}

/*
 * A translated packet stays in its family; endpoints can have addresses of both, but where all
 * backends are addresses, each VIP needs one of its own.
 */
static void check_families(struct pol_lowering *l, const struct pol_ir_service *s)
{
	for (size_t i = 0; i < s->nvips; i++) {
		bool can = s->dsr;

		for (size_t k = 0; k < s->nbackends; k++)
			can = can || s->backend[k].by_class ||
			      s->backend[k].addr.family == s->vip[i].addr.family;
		if (!can)
			pol_diag_help(l->diags,
				      pol_diag(l->diags, POL_P0316, s->vip[i].span,
					       "no backend has an IPv%u address",
					       s->vip[i].addr.family),
				      "name one, or use `mode dsr`, whose tunnels carry both");
	}
}

void pol_lower_service(struct pol_lowering *l, const struct pol_decl *d)
{
	static const uint32_t usual[] = { [POL_CHECK_EVERY] = 5,
					  [POL_CHECK_TIMEOUT] = 2,
					  [POL_CHECK_RISE] = 2,
					  [POL_CHECK_FALL] = 3 };
	const struct pol_check *c = &d->service.check;
	struct pol_ir_service s = { .name = d->name.text,
				    .span = d->head,
				    .random = d->service.random,
				    .dsr = d->service.dsr };

	add_vips(l, d, &s);
	add_backends(l, d, &s);
	check_families(l, &s);
	s.checked = !pol_span_is_none(c->span);
	s.path = c->path.text;
	for (size_t i = 0; i < POL_CHECK_MARK_MAX; i++)
		s.check[i] = c->mark[i].value ? c->mark[i].value : usual[i];
	/* shorter checks than the usual timeout have one that fits */
	if (!c->mark[POL_CHECK_TIMEOUT].value &&
	    s.check[POL_CHECK_TIMEOUT] > s.check[POL_CHECK_EVERY])
		s.check[POL_CHECK_TIMEOUT] = s.check[POL_CHECK_EVERY];
	*pol_vec_push(&l->ir->services) = s;
	if (l->ir->services.n == POL_SERVICES_MAX / 2 + 1)
		pol_diag(l->diags, POL_P0503, d->head, "too many services: there is room for %u",
			 POL_SERVICES_MAX / 2);
}

size_t pol_lower_vips(struct pol_lowering *l, const struct pol_decl *d,
		      const struct pol_prefix **out)
{
	struct pol_prefix *v = pol_arena_alloc(l->arena, (count_vips(d) + 1) * sizeof(*v));
	size_t n = 0;

	for (const struct pol_vip *i = d->service.vips.first; i; i = i->next)
		for (const struct pol_ast_peer *p = i->addresses.first; p; p = p->next)
			v[n++] = p->prefix;
	*out = v;
	return n;
}
