/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/explain.h"

#include "compiler/ranges.h"
#include "compiler/analysis/witness.h"

struct explaining {
	const struct pol_ir *ir;
	const struct pol_program *program;
	struct pol_arena *arena;
	struct pol_diags *diags;
};

/* ---- who ---------------------------------------------------------------------- */

static bool refuse(struct explaining *e, struct pol_span at, const char *why, const char *help)
{
	struct pol_diag *g =
		pol_diag(e->diags, POL_P0506, at, "a flow needs one peer on each side");

	pol_diag_label(e->diags, g, "%s", why);
	pol_diag_help(e->diags, g, "%s", help);
	return false;
}

static size_t count_labels(const struct pol_ast_sel *s)
{
	size_t n = 0;

	if (s->kind == POL_AST_SEL_EQ)
		return 1;
	for (const struct pol_ast_sel *o = s->kind == POL_AST_SEL_AND ? s->of.first : NULL; o;
	     o = o->next)
		n += count_labels(o);
	return n;
}

/* Only tests for equality, each key once: the selector is the label set. */
static bool take_labels(struct pol_label *v, size_t *n, const struct pol_ast_sel *s)
{
	if (s->kind == POL_AST_SEL_TRUE)
		return true;
	if (s->kind == POL_AST_SEL_EQ) {
		for (size_t i = 0; i < *n; i++)
			if (pol_str_eq(v[i].key, s->key.text))
				return false;
		v[(*n)++] = (struct pol_label){ s->key.text, s->values.first->value.text };
		return true;
	}
	if (s->kind != POL_AST_SEL_AND)
		return false;
	for (const struct pol_ast_sel *o = s->of.first; o; o = o->next)
		if (!take_labels(v, n, o))
			return false;
	return true;
}

static bool peer_labels(struct explaining *e, const struct pol_ast_peer *p,
			struct pol_eval_peer *out)
{
	struct pol_label *v =
		pol_arena_alloc(e->arena, (count_labels(p->selector) + 1) * sizeof(*v));
	size_t n = 0;

	*out = (struct pol_eval_peer){ .kind = POL_PEER_ENDPOINT };
	if (!take_labels(v, &n, p->selector))
		return refuse(e, p->span, "not a set of labels",
			      "write it as [app=frontend,tier=web]");
	out->labels = (struct pol_labels){ v, n };
	return true;
}

static bool peer_address(struct explaining *e, struct pol_prefix prefix, struct pol_eval_peer *out)
{
	struct pol_aset s = pol_aset_of_prefixes(e->arena, &prefix, 1);

	return pol_witness_address(e->ir, &s, prefix.addr.family, e->arena, out);
}

static struct pol_prefix host_prefix(struct pol_ip ip)
{
	return (struct pol_prefix){ ip, ip.family == 4 ? 32 : 128 };
}

static bool peer_name(struct explaining *e, const struct pol_ast_peer *p, struct pol_eval_peer *out)
{
	const struct pol_decl *d = p->name.decl;

	for (size_t i = 0; d && d->kind == POL_DECL_ENDPOINT && i < e->ir->classes.n; i++)
		if (pol_str_eq(e->ir->classes.v[i].name, d->name.text))
			return pol_witness_endpoint(e->ir, e->ir->classes.v[i].sel, e->arena,
						    out) ||
			       refuse(e, p->span, "found no labels that it selects",
				      "give the labels: [app=frontend]");
	for (size_t i = 0; d && d->kind == POL_DECL_CIDR && i < e->ir->cidrs.n; i++) {
		const struct pol_named_set *c = &e->ir->cidrs.v[i];
		const struct pol_aset *s = &e->ir->asets.v[c->aset];

		if (c->name.n && pol_str_eq(c->name, d->name.text))
			return pol_witness_address(e->ir, s, 4, e->arena, out) ||
			       pol_witness_address(e->ir, s, 6, e->arena, out) ||
			       refuse(e, p->span, "has no address", "give an address");
	}
	for (size_t i = 0; d && d->kind == POL_DECL_SERVICE && i < e->ir->services.n; i++) {
		const struct pol_ir_service *s = &e->ir->services.v[i];

		if (pol_str_eq(s->name, d->name.text))
			return peer_address(e, host_prefix(s->vip[0].addr), out);
	}
	return refuse(e, p->span, "neither an endpoint, a cidr nor a service",
		      "give an address or labels");
}

static bool peer_of(struct explaining *e, const struct pol_ast_peer *p, struct pol_eval_peer *out);

/* A member of a class, or labels, at this address. */
static bool peer_at(struct explaining *e, const struct pol_ast_peer *p, struct pol_eval_peer *out)
{
	if (!peer_of(e, p->left, out))
		return false;
	if (out->kind != POL_PEER_ENDPOINT && out->has_addr)
		return refuse(e, p->span, "has an address already", "write the address alone");
	out->has_addr = true;
	out->addr = p->right->prefix.addr;
	return true;
}

static bool peer_of(struct explaining *e, const struct pol_ast_peer *p, struct pol_eval_peer *out)
{
	*out = (struct pol_eval_peer){ .kind = POL_PEER_WORLD };
	switch (p->kind) {
	case POL_AST_PEER_NAME:
		return peer_name(e, p, out);
	case POL_AST_PEER_PREFIX:
		return peer_address(e, p->prefix, out);
	case POL_AST_PEER_SELECTOR:
		return peer_labels(e, p, out);
	case POL_AST_PEER_AT:
		return peer_at(e, p, out);
	case POL_AST_PEER_HOST:
		out->kind = POL_PEER_HOST;
		return true;
	case POL_AST_PEER_NODES:
		out->kind = POL_PEER_NODE;
		return true;
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
		return true;
	case POL_AST_PEER_UNION:
		if (p->of.n == 1)
			return peer_of(e, p->of.first, out);
		break;
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
		break;
	}
	return refuse(e, p->span, "not one peer",
		      "a name, an address, labels such as [app=frontend], "
		      "`world` or `host`");
}

/* ---- the question ------------------------------------------------------------- */

static bool key_of(struct explaining *e, const struct pol_flow *f, uint32_t *key)
{
	const struct pol_port *p = f->on ? f->on->of.first : NULL;

	if (p && p->name.text.p)
		p = p->name.decl && p->name.decl->port.n_flat == 1 ? p->name.decl->port.flat[0]
								   : NULL;
	if (!p || f->on->of.n != 1 ||
	    (p->lo != p->hi && (pol_proto_has_ports(p->proto) || pol_proto_has_types(p->proto))))
		return refuse(e, f->span, "not one protocol and port", "end it with: on tcp 80");
	*key = POL_L4_KEY(p->proto, p->lo);
	return true;
}

/* Without headers and to no host: lines that ask for some do not match it. A query may be there. */
static void ask_request(const struct pol_ir *ir, const struct pol_flow *f,
			struct pol_explanation *out)
{
	struct pol_http_request r = { .method = f->method.text, .path = f->path.text };
	const char *mark = r.path.n ? memchr(r.path.p, '?', r.path.n) : NULL;

	if (mark) {
		r.query = (struct pol_str){ mark, (size_t)(r.path.p + r.path.n - mark) };
		r.path.n -= r.query.n;
	}
	out->action = out->flow.action;
	out->request = f->method.text.p != NULL;
	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		out->line[d] = (struct pol_http_verdict){ .allow = true, .line = POL_HTTP_NO_LINE };
		if (!out->request || !out->flow.judged[d])
			continue;
		out->line[d] = pol_eval_request(ir, &out->flow.side[d], &r);
		if (out->action == POL_ALLOW && !out->line[d].allow)
			out->action = POL_DENY;
	}
}

/* ---- to a VIP ------------------------------------------------------------------- */

static const struct pol_ir_service *service_at(const struct pol_ir *ir,
					       const struct pol_eval_peer *to, uint32_t l4_key)
{
	for (size_t i = 0; to->has_addr && i < ir->services.n; i++) {
		const struct pol_ir_service *s = &ir->services.v[i];

		for (size_t k = 0; k < s->nvips; k++) {
			const struct pol_ir_vip *v = &s->vip[k];

			if (POL_L4_KEY(s->proto, v->port) == l4_key && pol_ip_eq(v->addr, to->addr))
				return s;
		}
	}
	return NULL;
}

/* The sender's side was asked about the VIP; each backend is asked about the sender. */
static void ask_backends(struct explaining *e, struct pol_explanation *x)
{
	const struct pol_ir_service *s = x->service;

	x->backend = pol_arena_alloc(e->arena, s->nbackends * sizeof(*x->backend));
	for (size_t i = 0; i < s->nbackends; i++) {
		const struct pol_ir_backend *b = &s->backend[i];
		struct pol_explanation *to = &x->backend[x->nbackends];
		bool found;

		if (!s->dsr && !b->by_class && b->addr.family != x->dst.addr.family)
			continue;
		x->nbackends++;

		*to = (struct pol_explanation){ .text = b->text,
						.src = x->src,
						.l4_key = POL_L4_KEY(s->proto, b->port),
						.program = x->program,
						.asked = x->asked };
		found = b->by_class ? pol_witness_endpoint(e->ir, b->sel, e->arena, &to->dst)
				    : peer_address(e, host_prefix(b->addr), &to->dst);
		if (found)
			pol_eval_flow(e->ir, &to->src, false, &to->dst, true, to->l4_key,
				      &to->flow);
		else
			to->flow.action = POL_DENY;
		ask_request(e->ir, x->asked, to);
		if (x->action == POL_ALLOW)
			x->action = to->action;
	}
}

/* ---- who has no address of his own ------------------------------------------------- */

static void judge(struct explaining *e, struct pol_explanation *x)
{
	pol_eval_flow(e->ir, &x->src, true, &x->dst, true, x->l4_key, &x->flow);
	ask_request(e->ir, x->asked, x);
	x->service = service_at(e->ir, &x->dst, x->l4_key);
	x->backend = NULL;
	x->nbackends = 0;
	if (x->service)
		ask_backends(e, x);
}

static bool same_flow(const struct pol_eval_flow *a, const struct pol_eval_flow *b)
{
	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		const struct pol_eval_side *x = &a->side[d], *y = &b->side[d];

		if (a->judged[d] != b->judged[d] || x->action != y->action || x->rule != y->rule ||
		    x->audit_rule != y->audit_rule || x->plain != y->plain ||
		    x->nhttp != y->nhttp ||
		    memcmp(x->http, y->http, x->nhttp * sizeof(*x->http)) != 0)
			return false;
	}
	return true;
}

static bool same_answer(const struct pol_explanation *a, const struct pol_explanation *b)
{
	if (!same_flow(&a->flow, &b->flow) || a->nbackends != b->nbackends)
		return false;
	for (size_t i = 0; i < a->nbackends; i++)
		if (!same_flow(&a->backend[i].flow, &b->backend[i].flow))
			return false;
	return true;
}

/* Its own address says nothing of an endpoint's flow with one who is none. */
static void stand_ins(struct explaining *e, const struct pol_eval_peer *p,
		      const struct pol_eval_peer *other, pol_stand_in_vec *out)
{
	if (p->has_addr || (p->kind == POL_PEER_ENDPOINT && other->kind != POL_PEER_ENDPOINT))
		*pol_vec_push(out) = (struct pol_stand_in){ *p, "" };
	else
		pol_witness_anywhere(e->ir, p, e->arena, out);
}

/* What is to be asked instead. */
static bool refuse_many(struct explaining *e, const struct pol_ast_peer *p,
			const struct pol_eval_peer *who, const char *why)
{
	struct pol_str text = pol_source_text(e->program->sources, p->span);
	struct pol_diag *g = pol_diag(e->diags, POL_P0506, p->span, "`%.*s` is not one peer here",
				      POL_STR_ARG(text));

	pol_diag_label(e->diags, g, "%s, and answers differ", why);
	if (who->kind == POL_PEER_ENDPOINT)
		pol_diag_help(e->diags, g, "say where it is: %.*s@10.0.0.1", POL_STR_ARG(text));
	else if (who->kind == POL_PEER_WORLD)
		pol_diag_help(e->diags, g, "give an address instead: 192.0.2.1");
	if (who->kind != POL_PEER_NODE)
		pol_diag_help(e->diags, g, "`polc list` says which addresses may do what");
	return false;
}

struct asked_for { /* who stands for both ends */
	pol_stand_in_vec src, dst;
};

/* The same for whoever stands for the names, or an error: then there is no answer for all of them. */
static bool judge_all(struct explaining *e, const struct pol_flow *flow,
		      const struct asked_for *who, struct pol_explanation *out)
{
	struct pol_explanation x = *out;
	const char *named = "rules name every address of a family";
	size_t first_src = SIZE_MAX;

	for (size_t i = 0; i < who->src.n; i++)
		for (size_t k = 0; k < who->dst.n; k++) {
			x.src = who->src.v[i].peer;
			x.dst = who->dst.v[k].peer;
			if (x.src.has_addr && x.dst.has_addr &&
			    x.src.addr.family != x.dst.addr.family && who->src.n + who->dst.n > 2)
				continue;
			judge(e, &x);
			if (first_src == SIZE_MAX) {
				*out = x;
				first_src = i;
			} else if (!same_answer(out, &x)) {
				return first_src != i ? refuse_many(e, flow->from, &x.src, named)
						      : refuse_many(e, flow->to, &x.dst, named);
			}
		}
	if (first_src == SIZE_MAX)
		return refuse(e, flow->span, "found no two addresses of one family",
			      "give addresses of one family");
	return true;
}

static bool ask_filters(struct explaining *e, const struct pol_flow *flow,
			const struct pol_eval_peer *from, const struct pol_eval_peer *to,
			struct pol_explanation *out)
{
	const struct pol_eval_peer *differs = pol_explain_filters(e->ir, e->arena, from, to, out);

	return !differs || refuse_many(e, differs == from ? flow->from : flow->to, differs,
				       "filters tell addresses apart");
}

bool pol_explain(const struct pol_ir *ir, const struct pol_program *program,
		 const struct pol_flow *flow, struct pol_arena *a, struct pol_diags *diags,
		 struct pol_explanation *out)
{
	struct explaining e = { ir, program, a, diags };
	struct asked_for who = { 0 };
	struct pol_eval_peer from, to;
	bool one;

	*out = (struct pol_explanation){
		.text = pol_source_text(program->sources, flow->span),
		.program = program,
		.asked = flow,
	};
	if (!key_of(&e, flow, &out->l4_key) || !peer_of(&e, flow->from, &out->src) ||
	    !peer_of(&e, flow->to, &out->dst))
		return false;
	from = out->src;
	to = out->dst;
	stand_ins(&e, &from, &to, &who.src);
	stand_ins(&e, &to, &from, &who.dst);
	one = judge_all(&e, flow, &who, out);
	pol_vec_free(&who.src);
	pol_vec_free(&who.dst);
	return one && ask_filters(&e, flow, &from, &to, out);
}
