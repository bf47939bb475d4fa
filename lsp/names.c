/* SPDX-License-Identifier: GPL-2.0-only */
#include "lsp/private.h"

struct visit {
	void (*call)(void *ctx, const struct lsp_name *n);
	void *ctx;
};

static void name(const struct visit *v, const struct pol_name *n)
{
	struct lsp_name found = { .span = n->span, .text = n->text, .decl = n->decl };

	if (n->text.p)
		v->call(v->ctx, &found);
}

static void definition(const struct visit *v, const struct pol_decl *d)
{
	struct lsp_name found = {
		.span = d->name.span, .text = d->name.text, .decl = d, .definition = true
	};

	if (d->name.text.p)
		v->call(v->ctx, &found);
}

static void source(const struct visit *v, struct pol_span at, struct pol_str text,
		   const struct pol_source *to)
{
	struct lsp_name found = { .span = at, .text = text, .source = to };

	v->call(v->ctx, &found);
}

/* Nesting is bounded by POL_MAX_DEPTH. */
static void peer(const struct visit *v, const struct pol_ast_peer *p)
{
	if (!p)
		return;
	switch (p->kind) {
	case POL_AST_PEER_NAME:
		name(v, &p->name);
		break;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *i = p->of.first; i; i = i->next)
			peer(v, i);
		break;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
	case POL_AST_PEER_AT:
		peer(v, p->left);
		peer(v, p->right);
		break;
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

static void ports(const struct visit *v, const struct pol_ports *p)
{
	for (const struct pol_port *i = p ? p->of.first : NULL; i; i = i->next)
		name(v, &i->name);
}

static void cidr(const struct visit *v, const struct pol_decl *d)
{
	for (const struct pol_cidr_item *i = d->cidr.items.first; i; i = i->next) {
		if (i->kind == POL_CIDR_NAME)
			name(v, &i->name);
		else if (i->kind == POL_CIDR_FILE)
			source(v, i->span, i->file.path.text, i->file.source);
	}
}

static void policy(const struct visit *v, const struct pol_decl *d)
{
	if (d->policy.subject_written)
		definition(v, d);
	peer(v, d->policy.subject);
	for (const struct pol_ast_rule *r = d->policy.rules.first; r; r = r->next) {
		peer(v, r->peer);
		ports(v, r->on);
	}
}

static void service(const struct visit *v, const struct pol_decl *d)
{
	definition(v, d);
	for (const struct pol_vip *i = d->service.vips.first; i; i = i->next)
		ports(v, i->on);
	for (const struct pol_backend *i = d->service.backends.first; i; i = i->next) {
		peer(v, i->peer);
		ports(v, i->on);
	}
}

static void filter(const struct visit *v, const struct pol_decl *d)
{
	definition(v, d);
	for (const struct pol_filter_rule *r = d->filter.rules.first; r; r = r->next) {
		peer(v, r->from);
		peer(v, r->to);
		ports(v, r->on);
	}
}

static void declaration(const struct visit *v, const struct pol_decl *d)
{
	switch (d->kind) {
	case POL_DECL_IMPORT:
		source(v, d->import.path.span, d->import.path.text,
		       d->import.file ? d->import.file->source : NULL);
		break;
	case POL_DECL_CIDR:
		definition(v, d);
		cidr(v, d);
		break;
	case POL_DECL_PORT:
		definition(v, d);
		ports(v, d->port.ports);
		break;
	case POL_DECL_ENDPOINT:
		definition(v, d);
		break;
	case POL_DECL_POLICY:
		policy(v, d);
		break;
	case POL_DECL_SERVICE:
		service(v, d);
		break;
	case POL_DECL_FILTER:
		filter(v, d);
		break;
	case POL_DECL_ASSERT:
		if (d->assertion.flow) {
			peer(v, d->assertion.flow->from);
			peer(v, d->assertion.flow->to);
			ports(v, d->assertion.flow->on);
		}
		break;
	case POL_DECL_DEFAULT:
	case POL_DECL_POOL:
	case POL_DECL_OPTION:
		break;
	}
}

void lsp_names(const struct pol_program *p, void (*call)(void *ctx, const struct lsp_name *n),
	       void *ctx)
{
	struct visit v = { call, ctx };

	for (size_t i = 0; i < p->files.n; i++)
		for (const struct pol_decl *d = p->files.v[i] ? p->files.v[i]->decls.first : NULL;
		     d; d = d->next)
			declaration(&v, d);
}

struct search {
	uint32_t file, offset;
	struct lsp_name *out;
	bool found;
};

static void compare(void *ctx, const struct lsp_name *n)
{
	struct search *s = ctx;

	/* Between two names that touch the first one wins. */
	if (s->found || n->span.file != s->file || s->offset < n->span.start ||
	    s->offset > n->span.end)
		return;
	*s->out = *n;
	s->found = true;
}

bool lsp_name_at(const struct pol_program *p, uint32_t offset, struct lsp_name *out)
{
	struct search s = { .file = 0, .offset = offset, .out = out };

	lsp_names(p, compare, &s);
	return s.found;
}
