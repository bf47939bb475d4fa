/* SPDX-License-Identifier: GPL-2.0-only */
/* Services that cannot serve: backends that nobody can be, or that this host may not ask how they are. */
#include "compiler/analysis/lint.h"
#include "compiler/analysis/witness.h"

static const struct pol_decl *decl_of(const struct pol_program *program,
				      const struct pol_ir_service *s)
{
	for (size_t i = 0; i < program->decls.n; i++) {
		const struct pol_decl *d = program->decls.v[i];

		if (d->kind == POL_DECL_SERVICE && pol_str_eq(d->name.text, s->name))
			return d;
	}
	return NULL;
}

/* `polload health` asks from the host, without headers. */
static bool may_check(const struct pol_ir *ir, const struct pol_ir_service *s,
		      const struct pol_eval_side *side)
{
	struct pol_http_request r = { .method = POL_STR("GET"), .path = s->path };

	if (side->action != POL_ALLOW)
		return false;
	return !s->path.n || !side->nhttp || pol_eval_request(ir, side, &r).allow;
}

static void lint_check(const struct pol_ir *ir, const struct pol_ir_service *s,
		       const struct pol_decl *d, const struct pol_ir_backend *b,
		       const struct pol_backend *written, const struct pol_eval_peer *member,
		       struct pol_diags *diags)
{
	struct pol_eval_peer host = { .kind = POL_PEER_HOST };
	struct pol_eval_side side;
	struct pol_diag *g;

	pol_eval_side(ir, member->labels, POL_INGRESS, &host, POL_L4_KEY(s->proto, b->port), &side);
	if (may_check(ir, s, &side))
		return;
	g = pol_diag(diags, POL_P0621, written->peer->span,
		     "this backend does not let its host check it");
	pol_diag_label(diags, g, "it will count as down");
	pol_diag_also(diags, g, d->service.check.span, "checked from `host`");
	pol_diag_also(diags, g, ir->rules.v[side.rule].span,
		      side.action == POL_ALLOW ? "the request is denied here" : "denied by this");
	pol_diag_help(diags, g, "write `allow from host on %s %u;` in a policy on it",
		      s->proto == 6 ? "tcp" : "udp", b->port);
}

static void lint_backends(const struct pol_ir *ir, const struct pol_ir_service *s,
			  const struct pol_decl *d, struct pol_arena *a, struct pol_diags *diags)
{
	const struct pol_backend *written = d->service.backends.first;

	for (size_t i = 0; i < s->nbackends && written; i++, written = written->next) {
		const struct pol_ir_backend *b = &s->backend[i];
		uint64_t steps = POL_LINT_SOLVE_STEPS;
		struct pol_want want = { b->sel, true };
		struct pol_eval_peer member;

		if (!b->by_class)
			continue;
		if (pol_solve(ir, &want, 1, &steps, a, NULL) == POL_NO)
			pol_diag_label(diags,
				       pol_diag(diags, POL_P0615, written->peer->span,
						"no endpoint can be this backend"),
				       "nothing satisfies the selector");
		else if (s->checked && pol_witness_endpoint(ir, b->sel, a, &member))
			lint_check(ir, s, d, b, written, &member, diags);
	}
}

void pol_lint_services(const struct pol_ir *ir, const struct pol_program *program,
		       struct pol_arena *a, struct pol_diags *diags)
{
	for (size_t i = 0; i < ir->services.n; i++) {
		const struct pol_decl *d = decl_of(program, &ir->services.v[i]);

		if (d)
			lint_backends(ir, &ir->services.v[i], d, a, diags);
	}
}
