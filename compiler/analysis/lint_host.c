/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/lint.h"

struct asked {
	const struct pol_ir *ir;
	const pol_host_endpoints *there;
	const char *where;
	struct pol_diags *diags;
};

static bool anybody(const struct asked *q, uint32_t sel)
{
	for (size_t i = 0; i < q->there->n; i++)
		if (pol_eval_sel(q->ir, sel, q->there->v[i].peer.labels))
			return true;
	return false;
}

/* Only endpoints are meant, and none of these is: addresses are not known of all of them. */
static bool no_peer(const struct asked *q, uint32_t pred)
{
	const struct pol_pred *p = &q->ir->preds.v[pred];

	for (size_t i = 0; i < p->n; i++)
		if (p->term[i].mask != POL_PEER_ENDPOINT || anybody(q, p->term[i].sel))
			return false;
	return p->n > 0;
}

static void say(const struct asked *q, struct pol_span at, const char *what)
{
	struct pol_diag *g =
		pol_diag(q->diags, POL_P0620, at, "no endpoint of %s is %s", q->where, what);

	pol_diag_label(q->diags, g, "nobody there");
}

/* Definitions by their names; what is written on the spot where it stands. */
static bool by_name(const struct pol_ast_peer *p)
{
	return p->kind == POL_AST_PEER_NAME;
}

static void policy(const struct asked *q, const struct pol_decl *d, size_t *id)
{
	const struct pol_ast_peer *subject = d->policy.subject;

	if (d->policy.rules.first && !by_name(subject) && !anybody(q, q->ir->rules.v[*id].subject))
		say(q, subject->span, "the subject of this policy");
	for (const struct pol_ast_rule *x = d->policy.rules.first; x; x = x->next, (*id)++)
		if (!by_name(x->peer) && no_peer(q, q->ir->rules.v[*id].pred))
			say(q, x->peer->span, "such a peer");
}

static void service(const struct asked *q, const struct pol_decl *d, const struct pol_ir_service *s)
{
	const struct pol_backend *b = d->service.backends.first;

	for (size_t i = 0; b && i < s->nbackends; i++, b = b->next)
		if (s->backend[i].by_class && !by_name(b->peer) && !anybody(q, s->backend[i].sel))
			say(q, b->peer->span, "such a backend");
}

void pol_lint_host(const struct pol_ir *ir, const struct pol_program *program,
		   const pol_host_endpoints *there, const char *where, struct pol_diags *diags)
{
	struct asked q = { ir, there, where, diags };
	size_t id = 0, class = 0, services = 0;

	/* Rules, classes and services of the IR stand in the order of the text. */
	for (size_t i = 0; i < program->decls.n; i++) {
		const struct pol_decl *d = program->decls.v[i];

		if (d->kind == POL_DECL_ENDPOINT && class < ir->classes.n &&
		    !anybody(&q, ir->classes.v[class ++].sel)) {
			struct pol_diag *g = pol_diag(diags, POL_P0620, d->name.span,
						      "no endpoint of %s is `%.*s`", where,
						      POL_STR_ARG(d->name.text));

			pol_diag_label(diags, g, "nobody there");
		} else if (d->kind == POL_DECL_POLICY) {
			policy(&q, d, &id);
		} else if (d->kind == POL_DECL_SERVICE && services < ir->services.n) {
			service(&q, d, &ir->services.v[services++]);
		}
	}
}
