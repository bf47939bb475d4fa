/* SPDX-License-Identifier: GPL-2.0-only */
/* What the grammar cannot say about a policy set: root-only statements, peers, rules, tiers. */
#include "base/http.h"
#include "lang/resolving.h"

/* ---- statements of the root file ---------------------------------------------------- */

static bool only_in_root(struct pol_resolve *r, const struct pol_decl *d)
{
	struct pol_diag *g;

	if (d->span.file == 0)
		return true;
	g = pol_diag(r->d, POL_P0204, d->span, "`%s` stands only in the root file",
		     pol_decl_kind_name(d->kind));
	pol_diag_help(r->d, g, "move it to %.*s", POL_STR_ARG(r->p->sources->all.v[0]->path));
	return false;
}

static void given_twice(struct pol_resolve *r, const struct pol_decl *d,
			const struct pol_decl *first)
{
	struct pol_diag *g = pol_diag(r->d, POL_P0205, d->span, "`%s` given twice",
				      d->kind == POL_DECL_DEFAULT ? "default" : "option host open");

	pol_diag_also(r->d, g, first->span, "first here");
}

static void take_root(struct pol_resolve *r, struct pol_decl *d)
{
	struct pol_program *p = r->p;

	if (!only_in_root(r, d))
		return;
	if (d->kind == POL_DECL_DEFAULT) {
		if (p->dflt)
			given_twice(r, d, p->dflt);
		p->dflt = d;
		p->default_allow = d->dflt.allow;
	} else if (d->kind == POL_DECL_OPTION) {
		if (p->host_open_decl)
			given_twice(r, d, p->host_open_decl);
		p->host_open_decl = d;
		p->host_open = true;
	} else {
		for (const struct pol_ast_peer *m = d->pool.prefixes.first; m; m = m->next)
			*pol_vec_push(&p->pool) = m->prefix;
	}
}

static void check_root(struct pol_resolve *r)
{
	struct pol_diag *g;

	for (size_t i = 0; i < r->p->decls.n; i++) {
		struct pol_decl *d = r->p->decls.v[i];

		if (d->kind == POL_DECL_DEFAULT || d->kind == POL_DECL_POOL ||
		    d->kind == POL_DECL_OPTION)
			take_root(r, d);
	}
	if (r->p->dflt || r->p->syntax_errors || !r->p->sources->all.n)
		return;
	g = pol_diag(r->d, POL_P0203, (struct pol_span){ 0, 0, 0 }, "no `default` is given");
	pol_diag_help(r->d, g,
		      "say what happens to flows that no policy mentions: `default deny;` or "
		      "`default allow;`");
}

/* ---- peers -------------------------------------------------------------------------- */

static bool has_none(const struct pol_ast_peer *p, struct pol_span *at)
{
	switch (p->kind) {
	case POL_AST_PEER_NONE:
		*at = p->span;
		return true;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next)
			if (has_none(m, at))
				return true;
		return false;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
		return has_none(p->left, at) || has_none(p->right, at);
	case POL_AST_PEER_AT:
		return has_none(p->left, at);
	case POL_AST_PEER_NAME:
	case POL_AST_PEER_PREFIX:
	case POL_AST_PEER_SELECTOR:
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
		return false;
	}
	return false;
}

/* `a, b except c` could be read in two ways. */
static void check_braces(struct pol_resolve *r, const struct pol_ast_peer *p)
{
	struct pol_diag *g;

	for (const struct pol_ast_peer *m = p->of.first; m; m = m->next) {
		if (m->kind != POL_AST_PEER_EXCEPT && m->kind != POL_AST_PEER_IN)
			continue;
		g = pol_diag(r->d, POL_P0308, p->span, "a list with `%s` needs braces",
			     pol_peer_kind_name(m->kind));
		pol_diag_also(r->d, g, m->span, "binds tighter than the comma");
		pol_diag_help(r->d, g, "write `{ a, b } %s c`, or `{ a, { b %s c } }`",
			      pol_peer_kind_name(m->kind), pol_peer_kind_name(m->kind));
		return;
	}
}

/* What may stand before `@`: a class or labels. */
static void check_at(struct pol_resolve *r, const struct pol_ast_peer *p, bool in_flow)
{
	struct pol_diag *g;

	if (!in_flow) {
		g = pol_diag(r->d, POL_P0318, p->span, "`@` stands only in flows and assertions");
		pol_diag_help(r->d, g, "a rule names the class, or the address");
	} else if (p->left->kind != POL_AST_PEER_NAME && p->left->kind != POL_AST_PEER_SELECTOR) {
		pol_diag(r->d, POL_P0318, p->left->span,
			 "only an endpoint class or labels stand before `@`");
	}
}

void pol_check_peer(struct pol_resolve *r, const struct pol_ast_peer *p, bool in_flow)
{
	switch (p->kind) {
	case POL_AST_PEER_UNION:
		if (!p->braces)
			check_braces(r, p);
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next)
			pol_check_peer(r, m, in_flow);
		break;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
		pol_check_peer(r, p->left, in_flow);
		pol_check_peer(r, p->right, in_flow);
		break;
	case POL_AST_PEER_AT:
		check_at(r, p, in_flow);
		break;
	case POL_AST_PEER_NAME:
	case POL_AST_PEER_PREFIX:
	case POL_AST_PEER_SELECTOR:
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
		break;
	}
}

static void check_none(struct pol_resolve *r, const struct pol_ast_rule *rule, bool main_stage)
{
	struct pol_span at;
	struct pol_diag *g;

	if (!has_none(rule->peer, &at))
		return;
	if (rule->peer->kind != POL_AST_PEER_NONE) {
		g = pol_diag(r->d, POL_P0307, at, "`none` stands alone");
		pol_diag_help(r->d, g, "leave it out: beside other peers it adds nothing");
	} else if (rule->action != POL_AST_ALLOW || !main_stage) {
		g = pol_diag(r->d, POL_P0307, at, "this rule can match nothing");
		pol_diag_help(
			r->d, g,
			"`none` belongs to `allow` in an ordinary policy, where it closes the "
			"direction");
	}
}

/* ---- allow on a prefix of the pool ------------------------------------------------------ */

static bool overlap(struct pol_prefix a, struct pol_prefix b)
{
	if (a.addr.family != b.addr.family)
		return false;
	if (a.len > b.len)
		a.len = b.len;
	else
		b.len = a.len;
	a = pol_prefix_masked(a);
	b = pol_prefix_masked(b);
	return a.addr.hi == b.addr.hi && a.addr.lo == b.addr.lo;
}

/* The pool that a prefix lies in or covers; a single address is named on purpose. */
static const struct pol_prefix *pool_of(const struct pol_resolve *r, struct pol_prefix p)
{
	if (p.len == (p.addr.family == 4 ? 32 : 128))
		return NULL;
	for (size_t i = 0; i < r->p->pool.n; i++)
		if (overlap(p, r->p->pool.v[i]))
			return &r->p->pool.v[i];
	return NULL;
}

/* Computed once for a cidr: it may have half a million prefixes and be named by many rules. */
static const struct pol_prefix *cidr_in_pool(struct pol_resolve *r, struct pol_decl *d,
					     const struct pol_prefix **pool)
{
	if (!d->cidr.pool_known) {
		d->cidr.pool_known = true;
		if (!pol_spend(r, d->cidr.n_prefixes * r->p->pool.n))
			return NULL;
		for (size_t i = 0; i < d->cidr.n_prefixes && !d->cidr.in_pool; i++)
			if (pool_of(r, d->cidr.prefixes[i]))
				d->cidr.in_pool = &d->cidr.prefixes[i];
	}
	*pool = d->cidr.in_pool ? pool_of(r, *d->cidr.in_pool) : NULL;
	return d->cidr.in_pool;
}

static void warn_pool(struct pol_resolve *r, const struct pol_ast_peer *p, struct pol_prefix prefix,
		      struct pol_prefix pool)
{
	struct pol_str text = pol_source_text(r->p->sources, p->span);
	char a[POL_IP_TEXT], b[POL_IP_TEXT];
	struct pol_diag *g =
		pol_diag(r->d, POL_P0401, p->span, "this allows endpoints by their address");

	pol_diag_label(r->d, g, "`%s` overlaps pool `%s`", pol_prefix_format(prefix, a),
		       pol_prefix_format(pool, b));
	if (prefix.len < pool.len)
		pol_diag_help(r->d, g, "for addresses that are no endpoint write `world in %.*s`",
			      POL_STR_ARG(text));
	else
		pol_diag_help(
			r->d, g,
			"name the endpoints by their class; addresses outside are `world in %.*s`",
			POL_STR_ARG(text));
}

/* Prefixes that are allowed as such; `world in PREFIX` is the fix, not the mistake. */
static void check_pool(struct pol_resolve *r, const struct pol_ast_peer *p)
{
	const struct pol_prefix *pool, *prefix;

	switch (p->kind) {
	case POL_AST_PEER_PREFIX:
		pool = pool_of(r, p->prefix);
		if (pool)
			warn_pool(r, p, p->prefix, *pool);
		break;
	case POL_AST_PEER_NAME:
		if (!p->name.decl || p->name.decl->kind != POL_DECL_CIDR)
			break;
		prefix = cidr_in_pool(r, p->name.decl, &pool);
		if (prefix)
			warn_pool(r, p, *prefix, *pool);
		break;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next)
			check_pool(r, m);
		break;
	case POL_AST_PEER_EXCEPT:
		check_pool(r, p->left);
		break;
	case POL_AST_PEER_IN:
	case POL_AST_PEER_SELECTOR:
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_AT:
		break;
	}
}

/* ---- rules -------------------------------------------------------------------------------- */

/* No flags outside filters. */
static void check_ports(struct pol_resolve *r, const struct pol_ports *ports)
{
	for (const struct pol_port *p = ports ? ports->of.first : NULL; p; p = p->next) {
		struct pol_diag *g;

		if (p->name.text.p || !(p->flags.set | p->flags.clear))
			continue;
		g = pol_diag(r->d, POL_P0312, p->span, "TCP flags stand only in filters");
		pol_diag_help(r->d, g,
			      "a rule is about connections, whatever their packets look like");
	}
}

static void check_rule_http(struct pol_resolve *r, const struct pol_ast_rule *rule)
{
	struct pol_flat_ports ports = pol_flat(r, rule->on);
	bool ok = ports.n > 0;
	struct pol_diag *g;

	if (rule->action != POL_AST_ALLOW) {
		g = pol_diag(r->d, POL_P0302, rule->http->span, "`http` stands only on an `allow`");
		pol_diag_also(r->d, g, rule->action_span, "this rule is not one");
		pol_diag_help(
			r->d, g,
			"to deny requests, allow the port and write `deny` lines in its block");
	}
	for (size_t i = 0; i < ports.n; i++)
		ok &= ports.v[i]->proto == POL_PROTO_TCP && !ports.v[i]->all;
	if (!ok) {
		g = pol_diag(r->d, POL_P0303, rule->http->span, "`http` needs TCP ports");
		if (rule->on)
			pol_diag_also(r->d, g, rule->on->span, "not only TCP ports");
		pol_diag_help(r->d, g, "write `on tcp 80 http { ... }`");
	}
	pol_check_http(r, rule->http);
}

static void check_limit(struct pol_resolve *r, const struct pol_ast_rule *rule)
{
	struct pol_diag *g =
		pol_diag(r->d, POL_P0304, rule->limit->span, "`limit` stands only on an `allow`");

	pol_diag_also(r->d, g, rule->action_span, "this rule lets nothing through");
}

static void check_tier_rule(struct pol_resolve *r, const struct pol_policy *p,
			    const struct pol_ast_rule *rule)
{
	struct pol_diag *g = NULL;

	if (rule->action == POL_AST_REJECT)
		g = pol_diag(r->d, POL_P0306, rule->action_span, "no `reject` in a tier");
	else if (rule->http)
		g = pol_diag(r->d, POL_P0306, rule->http->span, "no `http` in a tier");
	else if (rule->limit)
		g = pol_diag(r->d, POL_P0306, rule->limit->span, "no `limit` in a tier");
	if (!g)
		return;
	pol_diag_also(r->d, g, p->tier_span, "the policy is in a tier");
	pol_diag_help(r->d, g, "tiers take `allow`, `deny` and `skip`, with `log` and `name`");
}

static void check_rule(struct pol_resolve *r, const struct pol_policy *p,
		       const struct pol_ast_rule *rule)
{
	bool tier = p->stage != POL_AST_STAGE_MAIN;
	struct pol_diag *g;

	pol_check_peer(r, rule->peer, false);
	check_none(r, rule, !tier);
	check_ports(r, rule->on);
	if (rule->action == POL_AST_SKIP && !tier) {
		g = pol_diag(r->d, POL_P0305, rule->action_span, "`skip` stands only in a tier");
		pol_diag_help(r->d, g,
			      "the order of rules does not matter here; leave the rule out");
	}
	if (tier)
		check_tier_rule(r, p, rule);
	if (rule->http && !tier)
		check_rule_http(r, rule);
	if (rule->limit && rule->action != POL_AST_ALLOW && !tier)
		check_limit(r, rule);
	if (rule->action == POL_AST_ALLOW)
		check_pool(r, rule->peer);
}

/* ---- policies -------------------------------------------------------------------------------- */

static void check_subject(struct pol_resolve *r, const struct pol_ast_peer *p, bool top)
{
	struct pol_diag *g;

	switch (p->kind) {
	case POL_AST_PEER_NAME:
	case POL_AST_PEER_SELECTOR:
		return;
	case POL_AST_PEER_ANY:
		if (top)
			return;
		break;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next)
			check_subject(r, m, false);
		return;
	case POL_AST_PEER_PREFIX:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
	case POL_AST_PEER_AT:
		break;
	}
	g = pol_diag(r->d, POL_P0317, p->span,
		     "a policy is for endpoint classes, or for `any` alone");
	pol_diag_help(r->d, g, "say by labels what it is for: `on [app == \"x\"]`");
}

/* A plain allow of everything that an http block is about: every request passes. */
static void check_void_http(struct pol_resolve *r, const struct pol_policy *p)
{
	for (const struct pol_ast_rule *h = p->rules.first; h; h = h->next) {
		if (!h->http || h->peer->kind != POL_AST_PEER_NAME)
			continue;
		for (const struct pol_ast_rule *a = p->rules.first; a; a = a->next) {
			struct pol_diag *g;
			bool same_peer = a->peer->kind == POL_AST_PEER_ANY ||
					 (a->peer->kind == POL_AST_PEER_NAME &&
					  a->peer->name.text.p == h->peer->name.text.p);

			if (a->http || a->action != POL_AST_ALLOW || a->egress != h->egress ||
			    !same_peer || !pol_spend(r, 1000) || !pol_ports_cover(r, a->on, h->on))
				continue;
			g = pol_diag(r->d, POL_P0402, h->http->span,
				     "the allow lines of this block are void");
			pol_diag_also(r->d, g, a->span, "this allows every request");
			pol_diag_help(r->d, g, "its deny lines still hold");
			return;
		}
	}
}

static void check_policy(struct pol_resolve *r, const struct pol_decl *d)
{
	const struct pol_policy *p = &d->policy;
	bool http = false;

	check_subject(r, p->subject, true);
	if (!p->rules.n && !r->p->syntax_errors) {
		struct pol_diag *g = pol_diag(r->d, POL_P0404, d->head,
					      "policy `%.*s` has no rules and changes "
					      "nothing",
					      POL_STR_ARG(d->name.text));

		pol_diag_help(r->d, g,
			      "to close a direction write `allow from none;` or `allow to none;`");
	}
	for (const struct pol_ast_rule *rule = p->rules.first; rule; rule = rule->next) {
		check_rule(r, p, rule);
		http |= rule->http != NULL;
	}
	if (http)
		check_void_http(r, p);
}

/* A command may ask about a request with a query. */
static struct pol_str path_of(const struct pol_flow *f)
{
	struct pol_str p = f->path.text;
	const char *mark = p.n ? memchr(p.p, '?', p.n) : NULL;

	if (mark)
		p.n = (size_t)(mark - p.p);
	return p;
}

static void check_assertion(struct pol_resolve *r, const struct pol_flow *f)
{
	pol_check_flow(r, f);
	if (f->path.text.p && path_of(f).n != f->path.text.n)
		pol_diag(r->d, POL_P0321, f->path.span, "an assertion is about every query");
}

void pol_check_flow(struct pol_resolve *r, const struct pol_flow *f)
{
	struct pol_flat_ports ports = pol_flat(r, f->on);
	bool ok = ports.n > 0;
	struct pol_span at;

	pol_check_peer(r, f->from, true);
	pol_check_peer(r, f->to, true);
	check_ports(r, f->on);
	if (has_none(f->from, &at) || has_none(f->to, &at))
		pol_diag(r->d, POL_P0307, at, "a flow needs two ends: `none` is nobody");
	for (size_t i = 0; i < ports.n; i++)
		ok &= ports.v[i]->proto == POL_PROTO_TCP && !ports.v[i]->all;
	if (f->method.text.p && !ok) {
		struct pol_diag *g =
			pol_diag(r->d, POL_P0303, f->method.span, "a request needs a TCP port");

		pol_diag_help(r->d, g, "write `on tcp 80 %.*s ...`", POL_STR_ARG(f->method.text));
	}
	if (f->path.text.p && (!f->path.text.n || f->path.text.p[0] != '/'))
		pol_diag(r->d, POL_P0321, f->path.span, "a path begins with `/`");
	else if (f->path.text.p && pol_http_path_fault(path_of(f)))
		pol_diag(r->d, POL_P0321, f->path.span, "every request of this path gets 400: %s",
			 pol_http_path_fault(path_of(f)));
}

void pol_pass_check(struct pol_resolve *r)
{
	check_root(r);
	for (size_t i = 0; i < r->p->decls.n; i++) {
		const struct pol_decl *d = r->p->decls.v[i];

		switch (d->kind) {
		case POL_DECL_POLICY:
			check_policy(r, d);
			break;
		case POL_DECL_SERVICE:
			pol_check_service(r, d);
			break;
		case POL_DECL_FILTER:
			pol_check_filter(r, d);
			break;
		case POL_DECL_ASSERT:
			check_assertion(r, d->assertion.flow);
			break;
		case POL_DECL_PORT:
			check_ports(r, d->port.ports);
			break;
		case POL_DECL_IMPORT:
		case POL_DECL_DEFAULT:
		case POL_DECL_POOL:
		case POL_DECL_OPTION:
		case POL_DECL_CIDR:
		case POL_DECL_ENDPOINT:
			break;
		}
	}
}
