/* SPDX-License-Identifier: GPL-2.0-only */
/* Constructors for rules, limits, filters, services and definitions. */
#include "lang/syntax.h"

/* ---- limits ----------------------------------------------------------------------- */

struct pol_ast_limit *pol_node_limit(struct pol_parse *ctx, struct pol_rate rate,
				     struct pol_number burst, struct pol_span at)
{
	struct pol_ast_limit *l = POL_NEW(ctx, pol_ast_limit);

	*l = (struct pol_ast_limit){ .span = at,
				     .rate = rate.count,
				     .seconds = rate.seconds,
				     .burst = burst.value,
				     .len4 = 32,
				     .len6 = 64 };
	if (!burst.value)
		pol_diag_help(ctx->diags,
			      pol_diag(ctx->diags, POL_P0124, burst.span,
				       "a burst of 0 lets nothing through"),
			      "the burst is how many may come at once: at least 1");
	return l;
}

static void source_length(struct pol_parse *ctx, uint8_t *len, const struct pol_number *n,
			  uint32_t max)
{
	if (!n)
		return;
	if (!n->value || n->value > max) {
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0319, n->span,
					"prefix length out of range"),
			       "1 to %u", max);
		return;
	}
	*len = (uint8_t)n->value;
}

/* `/24` is IPv4's, `/24 /56` both; one above 32 can only be IPv6's. */
struct pol_ast_limit *pol_node_limit_source(struct pol_parse *ctx, struct pol_ast_limit *l,
					    struct pol_span at, const struct pol_number *a,
					    const struct pol_number *b)
{
	l->span = at;
	l->per_source = true;
	if (a && !b && a->value > 32) {
		source_length(ctx, &l->len6, a, 128);
		return l;
	}
	source_length(ctx, &l->len4, a, 32);
	source_length(ctx, &l->len6, b, 128);
	return l;
}

/* ---- attributes ---------------------------------------------------------------------- */

static void twice(struct pol_parse *ctx, const char *what, struct pol_span at,
		  struct pol_span earlier)
{
	struct pol_diag *g = pol_diag(ctx->diags, POL_P0301, at, "%s given twice", what);

	pol_diag_also(ctx->diags, g, earlier, "first here");
}

struct pol_attrs pol_attr_log(struct pol_parse *ctx, struct pol_attrs a, struct pol_span at)
{
	if (a.log)
		twice(ctx, "`log`", at, a.log_span);
	a.log = true;
	a.log_span = at;
	return a;
}

static void check_name(struct pol_parse *ctx, struct pol_string s)
{
	if (!s.text.n)
		pol_diag(ctx->diags, POL_P0332, s.span, "empty name");
}

struct pol_attrs pol_attr_name(struct pol_parse *ctx, struct pol_attrs a, struct pol_string s)
{
	if (a.name.text.p)
		twice(ctx, "`name`", s.span, a.name.span);
	check_name(ctx, s);
	a.name = s;
	return a;
}

struct pol_attrs pol_attr_limit(struct pol_parse *ctx, struct pol_attrs a, struct pol_ast_limit *l)
{
	if (a.limit)
		twice(ctx, "`limit`", l->span, a.limit->span);
	a.limit = l;
	return a;
}

struct pol_attrs pol_attr_audit(struct pol_parse *ctx, struct pol_attrs a, struct pol_span at)
{
	if (a.audit)
		twice(ctx, "`audit`", at, a.audit_span);
	a.audit = true;
	a.audit_span = at;
	return a;
}

struct pol_attrs pol_attr_tier(struct pol_parse *ctx, struct pol_attrs a, enum pol_ast_stage stage,
			       struct pol_number n, struct pol_span at)
{
	if (a.stage != POL_AST_STAGE_MAIN)
		twice(ctx, "`tier`", at, a.tier_span);
	if (n.value > 65535)
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0326, n.span, "tier out of range"),
			       "0 to 65535");
	a.stage = stage;
	a.tier = n.value & 0xffff;
	a.tier_span = at;
	return a;
}

struct pol_ast_rule *pol_node_rule(struct pol_parse *ctx, enum pol_ast_action action,
				   struct pol_span action_span, bool egress,
				   struct pol_ast_peer *peer, struct pol_ports *on,
				   struct pol_attrs a, struct pol_span at)
{
	struct pol_ast_rule *r = POL_NEW(ctx, pol_ast_rule);

	*r = (struct pol_ast_rule){ .span = at,
				    .action = action,
				    .action_span = action_span,
				    .egress = egress,
				    .peer = peer,
				    .on = on,
				    .log = a.log,
				    .log_span = a.log_span,
				    .name = a.name,
				    .limit = a.limit };
	return r;
}

struct pol_cond *pol_node_cond(struct pol_parse *ctx, const struct pol_string *header,
			       enum pol_cond_test test, struct pol_string value, struct pol_span at)
{
	struct pol_cond *c = POL_NEW(ctx, pol_cond);

	c->span = at;
	c->host = !header;
	if (header)
		c->header = *header;
	c->test = test;
	c->value = value;
	return c;
}

struct pol_cond *pol_node_query(struct pol_parse *ctx, enum pol_cond_test test,
				struct pol_string value, struct pol_span at)
{
	struct pol_cond *c = POL_NEW(ctx, pol_cond);

	c->span = at;
	c->query = true;
	c->test = test;
	c->value = value;
	return c;
}

/* ---- filters ---------------------------------------------------------------------------- */

struct pol_filter_rule *pol_filter_from(struct pol_parse *ctx, struct pol_filter_rule *r,
					struct pol_ast_peer *p)
{
	if (r->from)
		twice(ctx, "`from`", p->span, r->from->span);
	r->from = p;
	return r;
}

struct pol_filter_rule *pol_filter_to(struct pol_parse *ctx, struct pol_filter_rule *r,
				      struct pol_ast_peer *p)
{
	if (r->to)
		twice(ctx, "`to`", p->span, r->to->span);
	r->to = p;
	return r;
}

struct pol_filter_rule *pol_filter_on(struct pol_parse *ctx, struct pol_filter_rule *r,
				      struct pol_ports *p)
{
	if (r->on)
		twice(ctx, "`on`", p->span, r->on->span);
	r->on = p;
	return r;
}

struct pol_filter_rule *pol_filter_sport(struct pol_parse *ctx, struct pol_filter_rule *r,
					 struct pol_ports *p)
{
	if (r->sport)
		twice(ctx, "`sport`", p->span, r->sport->span);
	r->sport = p;
	return r;
}

struct pol_filter_rule *pol_filter_log(struct pol_parse *ctx, struct pol_filter_rule *r,
				       struct pol_span at)
{
	if (r->log)
		twice(ctx, "`log`", at, r->log_span);
	r->log = true;
	r->log_span = at;
	return r;
}

struct pol_filter_rule *pol_filter_name(struct pol_parse *ctx, struct pol_filter_rule *r,
					struct pol_string s)
{
	if (r->name.text.p)
		twice(ctx, "`name`", s.span, r->name.span);
	check_name(ctx, s);
	r->name = s;
	return r;
}

/* ---- services ------------------------------------------------------------------------------ */

struct pol_decl *pol_node_service(struct pol_parse *ctx)
{
	struct pol_decl *d = pol_node_decl(ctx, POL_DECL_SERVICE, POL_NO_SPAN, POL_NO_SPAN);

	d->service.balance_span = d->service.mode_span = d->service.check.span = POL_NO_SPAN;
	return d;
}

void pol_service_vip(struct pol_parse *ctx, struct pol_peers addresses, struct pol_ports *on,
		     struct pol_span at)
{
	struct pol_vip *v = POL_NEW(ctx, pol_vip);

	v->span = at;
	v->addresses = addresses;
	v->on = on;
	POL_APPEND(&ctx->service->service.vips, v);
}

void pol_service_backend(struct pol_parse *ctx, struct pol_ast_peer *peer, struct pol_ports *on,
			 struct pol_number weight, struct pol_span at)
{
	struct pol_backend *b = POL_NEW(ctx, pol_backend);

	if (!weight.value || weight.value > 65535)
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0331, weight.span, "weight out of range"),
			       "1 to 65535");
	b->span = at;
	b->peer = peer;
	b->on = on;
	b->weight = weight.value;
	POL_APPEND(&ctx->service->service.backends, b);
}

void pol_service_balance(struct pol_parse *ctx, bool random, struct pol_span at)
{
	if (!pol_span_is_none(ctx->service->service.balance_span))
		twice(ctx, "`balance`", at, ctx->service->service.balance_span);
	ctx->service->service.random = random;
	ctx->service->service.balance_span = at;
}

void pol_service_mode(struct pol_parse *ctx, bool dsr, struct pol_span at)
{
	if (!pol_span_is_none(ctx->service->service.mode_span))
		twice(ctx, "`mode`", at, ctx->service->service.mode_span);
	ctx->service->service.dsr = dsr;
	ctx->service->service.mode_span = at;
}

void pol_service_check_begin(struct pol_parse *ctx)
{
	memset(ctx->service->service.check.mark, 0, sizeof(ctx->service->service.check.mark));
}

void pol_service_check(struct pol_parse *ctx, struct pol_string path, struct pol_span at)
{
	struct pol_check *c = &ctx->service->service.check;

	if (!pol_span_is_none(c->span))
		twice(ctx, "`check`", at, c->span);
	c->path = path;
	c->span = at;
}

void pol_service_check_mark(struct pol_parse *ctx, enum pol_check_mark mark, struct pol_number n)
{
	static const struct {
		const char *name, *range;
		uint32_t most;
	} known[] = {
		[POL_CHECK_EVERY] = { "`every`", "1 to 3600 seconds", 3600 },
		[POL_CHECK_TIMEOUT] = { "`timeout`", "1 to 60 seconds", 60 },
		[POL_CHECK_RISE] = { "`rise`", "1 to 100", 100 },
		[POL_CHECK_FALL] = { "`fall`", "1 to 100", 100 },
	};
	struct pol_number *to = &ctx->service->service.check.mark[mark];

	if (!n.value || n.value > known[mark].most)
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0333, n.span, "%s out of range",
					known[mark].name),
			       "%s", known[mark].range);
	if (to->value)
		twice(ctx, known[mark].name, n.span, to->span);
	*to = n;
}

/* ---- definitions --------------------------------------------------------------------------- */

struct pol_decl *pol_node_decl(struct pol_parse *ctx, enum pol_decl_kind kind, struct pol_span at,
			       struct pol_span head)
{
	struct pol_decl *d = POL_NEW(ctx, pol_decl);

	d->kind = kind;
	d->span = at;
	d->head = head;
	return d;
}

struct pol_decl *pol_node_named(struct pol_parse *ctx, enum pol_decl_kind kind,
				struct pol_string name, struct pol_span at, struct pol_span head)
{
	struct pol_decl *d = pol_node_decl(ctx, kind, at, head);

	check_name(ctx, name);
	d->name = pol_node_name(name);
	return d;
}
