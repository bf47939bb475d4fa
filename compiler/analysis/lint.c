/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/lint.h"

#include "compiler/ranges.h"

#define SHOWN 4u /* blockers of one rule */

struct report {
	const struct pol_ir *ir;
	const struct pol_program *program;
	const struct pol_space *space;
	struct pol_arena *arena;
	struct pol_diags *diags;
};

/* ---- rules ------------------------------------------------------------------------ */

static const char *past(enum pol_action a)
{
	switch (a) {
	case POL_ALLOW:
		return "allowed";
	case POL_REJECT:
		return "rejected";
	case POL_SKIP:
		return "skipped";
	case POL_DENY:
	case POL_NONE:
		break;
	}
	return "denied";
}

/* Other actions first: they are what matters. */
static void add_blockers(struct report *r, struct pol_diag *g, const struct pol_rule *x,
			 const struct pol_rule_life *life)
{
	size_t shown = 0;

	for (int same = 0; same < 2; same++) {
		for (size_t i = 0; i < life->n_blockers; i++) {
			const struct pol_rule *b = &r->ir->rules.v[life->blocker[i]];

			if ((b->action == x->action) != same || shown++ >= SHOWN)
				continue;
			pol_diag_also(r->diags, g, b->span, "%s by this%s", past(b->action),
				      b->action == x->action ? " already" : "");
		}
	}
	if (shown > SHOWN)
		pol_diag_note(r->diags, g, "and by %zu more rules", shown - SHOWN);
}

static void add_flow(struct report *r, struct pol_diag *g, const struct pol_point *p)
{
	struct pol_buf text = { 0 };
	struct pol_eval_flow f;

	/* Not kept: the evaluator, which walks all rules, need not be asked. */
	if (g == &r->diags->spare)
		return;
	pol_point_judge(r->ir, p, &f);
	pol_point_print(&text, r->ir, p);
	pol_diag_note(r->diags, g, "for example: %s: %s", text.p, past(f.action));
	pol_buf_free(&text);
}

static void say_dead(struct report *r, const struct pol_rule *x, const struct pol_rule_life *life)
{
	struct pol_diag *g = pol_diag(r->diags, POL_P0611, x->span, "this rule never decides");

	pol_diag_label(r->diags, g, "all that it matches is decided before");
	add_blockers(r, g, x, life);
	add_flow(r, g, &life->flow);
	pol_diag_help(r->diags, g, "remove it, or narrow what comes before it");
}

static void say_redundant(struct report *r, const struct pol_rule *x,
			  const struct pol_rule_life *life)
{
	struct pol_diag *g = pol_diag(r->diags, POL_P0612, x->span, "this rule changes nothing");

	pol_diag_label(r->diags, g, "redundant");
	add_blockers(r, g, x, life);
	pol_diag_help(r->diags, g, "remove it");
}

static void say_conflict(struct report *r, const struct pol_rule *x,
			 const struct pol_rule_life *life)
{
	const struct pol_rule *b = &r->ir->rules.v[life->conflict];
	struct pol_diag *g = pol_diag(r->diags, POL_P0613, x->span,
				      "another policy denies a part of what this allows");

	pol_diag_label(r->diags, g, "allowed here");
	pol_diag_also(r->diags, g, b->span, "%s by this", past(b->action));
	add_flow(r, g, &life->conflict_flow);
}

static void say_rule(struct report *r, const struct pol_rule *x, const struct pol_rule_life *life)
{
	switch (life->life) {
	case POL_LIFE_DEAD:
		say_dead(r, x, life);
		return;
	case POL_LIFE_REDUNDANT:
		say_redundant(r, x, life);
		return;
	case POL_LIFE_UNDECIDED:
		pol_diag_label(r->diags,
			       pol_diag(r->diags, POL_P0618, x->span,
					"cannot tell whether this rule ever decides"),
			       "too many cases");
		return;
	case POL_LIFE_LIVE:
		if (life->conflict != POL_NO_RULE)
			say_conflict(r, x, life);
		return;
	case POL_LIFE_VOID:
	case POL_LIFE_UNASKED:
		return;
	}
}

static void lint_rules(struct report *r)
{
	const struct pol_rule_life *life = pol_lint_rules(r->space, r->arena, 0);

	for (size_t i = 0; i < r->ir->rules.n; i++)
		say_rule(r, &r->ir->rules.v[i], &life[i]);
}

/* ---- who nobody can be --------------------------------------------------------------- */

static bool impossible(struct report *r, uint32_t sel)
{
	struct pol_want want = { sel, true };
	uint64_t steps = POL_LINT_SOLVE_STEPS;

	return pol_solve(r->ir, &want, 1, &steps, r->arena, NULL) == POL_NO;
}

static bool nobody(struct report *r, uint32_t pred)
{
	const struct pol_pred *p = &r->ir->preds.v[pred];

	for (size_t i = 0; i < p->n; i++)
		if (!p->term[i].sel || !impossible(r, p->term[i].sel))
			return false;
	return true;
}

static void say_impossible(struct report *r, struct pol_span at, const char *what)
{
	struct pol_diag *g = pol_diag(r->diags, POL_P0615, at, "no endpoint can be %s", what);

	pol_diag_label(r->diags, g, "nothing satisfies the selector");
}

/* Rules of the IR stand in the order of the text. */
static void lint_peers(struct report *r)
{
	size_t id = 0;

	for (size_t i = 0; i < r->program->decls.n; i++) {
		const struct pol_decl *d = r->program->decls.v[i];

		if (d->kind != POL_DECL_POLICY)
			continue;
		if (d->policy.rules.first && d->policy.subject_written &&
		    impossible(r, r->ir->rules.v[id].subject))
			say_impossible(r, d->policy.subject->span, "the subject of this policy");
		for (const struct pol_ast_rule *x = d->policy.rules.first; x; x = x->next, id++)
			if (x->peer->kind != POL_AST_PEER_NONE &&
			    nobody(r, r->ir->rules.v[id].pred))
				pol_diag_label(r->diags,
					       pol_diag(r->diags, POL_P0616, x->peer->span,
							"this rule matches nobody"),
					       "no peer can be this");
	}
}

/* ---- labels that may be missing --------------------------------------------------------- */

/* Is there a label set in the box that satisfies the selector? False, too, if that is too much to ask. */
static bool satisfiable(const struct pol_space *s, uint32_t sel, const struct pol_box *b,
			uint64_t *steps)
{
	struct pol_term t = { .mask = POL_PEER_ENDPOINT, .sel = sel };
	enum pol_answer a;
	struct pol_cut cut;
	bool found = false;

	pol_steps_spend(steps, pol_space_term_steps(s, 0, &t));
	if (!*steps)
		return false;
	a = pol_space_sel(s, 0, sel, b->end[POL_SRC].labels);
	if (a != POL_UNDECIDED)
		return a == POL_YES;
	cut = pol_cut_term(s, 0, &t, b, POL_SRC);
	for (unsigned i = 0; i < 2 && !found && *steps; i++) {
		struct pol_box part = pol_box_part(s, b, &cut, i);

		pol_steps_spend(steps, pol_box_part_steps(s, &cut));
		found = satisfiable(s, sel, &part, steps);
		pol_box_drop(&part, &cut);
	}
	return found;
}

static bool holds_without(const struct pol_space *s, uint32_t sel, uint32_t key)
{
	uint64_t *labels = malloc((s->words + 1) * sizeof(*labels));
	struct pol_box b = pol_box_all(s, 4, POL_PEER_ENDPOINT, POL_PEER_ENDPOINT);
	uint64_t steps = POL_LINT_SOLVE_STEPS;
	bool found;

	if (!labels)
		pol_no_memory();
	memcpy(labels, s->any, s->words * sizeof(*labels));
	memset(labels + s->key[key].word, 0, s->key[key].words * sizeof(*labels));
	labels[s->key[key].word] = 1;
	b.end[POL_SRC].labels = labels;
	found = satisfiable(s, sel, &b, &steps);
	free(labels);
	return found;
}

/* The first test for a value that the selector negates; its key, or UINT32_MAX. */
static uint32_t negated_key(const struct pol_space *s, uint32_t sel)
{
	const struct pol_sel *x = &s->ir[0]->sels.v[sel];

	if (x->op == POL_SEL_NOT && s->ir[0]->sels.v[x->operand[0]].op == POL_SEL_IN)
		return s->sel[0][x->operand[0]].key;
	for (size_t i = 0; x->operand && i < x->n; i++) {
		uint32_t key = negated_key(s, x->operand[i]);

		if (key != UINT32_MAX)
			return key;
	}
	return UINT32_MAX;
}

static bool names(const struct pol_ast_peer *p, const struct pol_decl *d)
{
	if (p->kind == POL_AST_PEER_NAME)
		return p->name.decl == d;
	if (p->kind == POL_AST_PEER_EXCEPT || p->kind == POL_AST_PEER_IN)
		return names(p->left, d) || (p->kind == POL_AST_PEER_IN && names(p->right, d));
	for (const struct pol_ast_peer *o = p->kind == POL_AST_PEER_UNION ? p->of.first : NULL; o;
	     o = o->next)
		if (names(o, d))
			return true;
	return false;
}

/* The first allow that names the endpoint as its peer. */
static const struct pol_ast_rule *allow_naming(const struct report *r, const struct pol_decl *d)
{
	for (size_t i = 0; i < r->program->decls.n; i++) {
		const struct pol_decl *p = r->program->decls.v[i];

		for (const struct pol_ast_rule *x =
			     p->kind == POL_DECL_POLICY ? p->policy.rules.first : NULL;
		     x; x = x->next)
			if (x->action == POL_AST_ALLOW && names(x->peer, d))
				return x;
	}
	return NULL;
}

static void lint_missing(struct report *r, const struct pol_decl *d, uint32_t sel)
{
	uint32_t key = negated_key(r->space, sel);
	const struct pol_ast_rule *x;
	struct pol_diag *g;

	if (key == UINT32_MAX || !holds_without(r->space, sel, key))
		return;
	x = allow_naming(r, d);
	if (!x)
		return;
	g = pol_diag(r->diags, POL_P0617, d->endpoint.selector->span,
		     "endpoints without the label `%.*s` are allowed too",
		     POL_STR_ARG(r->space->key[key].name));
	pol_diag_label(r->diags, g, "also true where `%.*s` is missing",
		       POL_STR_ARG(r->space->key[key].name));
	pol_diag_also(r->diags, g, x->span, "allowed here");
	pol_diag_help(r->diags, g, "add `and has(%.*s)` if the label must be there",
		      POL_STR_ARG(r->space->key[key].name));
}

static void lint_endpoints(struct report *r)
{
	size_t class = 0;

	for (size_t i = 0; i < r->program->decls.n; i++) {
		const struct pol_decl *d = r->program->decls.v[i];
		uint32_t sel;

		if (d->kind != POL_DECL_ENDPOINT)
			continue;
		sel = r->ir->classes.v[class ++].sel;
		if (impossible(r, sel))
			say_impossible(r, d->endpoint.selector->span, "this");
		else
			lint_missing(r, d, sel);
	}
}

/* ---- prefixes inside others ---------------------------------------------------------------- */

struct written {
	struct pol_prefix prefix;
	struct pol_span at;
};
typedef POL_VEC(struct written) written_vec;

static int by_place(const void *pa, const void *pb)
{
	const struct written *a = pa, *b = pb;
	pol_u128 x = pol_u128_of(a->prefix.addr), y = pol_u128_of(b->prefix.addr);

	if (a->prefix.addr.family != b->prefix.addr.family)
		return a->prefix.addr.family < b->prefix.addr.family ? -1 : 1;
	if (x != y)
		return x < y ? -1 : 1;
	if (a->prefix.len != b->prefix.len)
		return a->prefix.len < b->prefix.len ? -1 : 1;
	return (a->at.start > b->at.start) - (a->at.start < b->at.start);
}

static void say_inside(struct report *r, const struct written *in, const struct written *out)
{
	char small[POL_IP_TEXT], large[POL_IP_TEXT];
	struct pol_diag *g;

	pol_prefix_format(in->prefix, small);
	pol_prefix_format(out->prefix, large);
	g = pol_diag(r->diags, POL_P0614, in->at, "`%s` lies inside `%s`", small, large);
	pol_diag_label(r->diags, g, "adds nothing");
	pol_diag_also(r->diags, g, out->at, "has it already");
}

/* After sorting, what holds a prefix is the last one that is not itself inside another. */
static void lint_prefixes(struct report *r, written_vec *v)
{
	const struct written *open = NULL;

	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_place);
	for (size_t i = 0; i < v->n; i++) {
		const struct written *x = &v->v[i];

		if (open && open->prefix.addr.family == x->prefix.addr.family &&
		    pol_prefix_range(open->prefix).hi >= pol_prefix_range(x->prefix).hi)
			say_inside(r, x, open);
		else
			open = x;
	}
	v->n = 0;
}

static void lint_unions(struct report *r, const struct pol_ast_peer *p, written_vec *v)
{
	if (p->kind == POL_AST_PEER_EXCEPT || p->kind == POL_AST_PEER_IN) {
		lint_unions(r, p->left, v);
		lint_unions(r, p->right, v);
	}
	if (p->kind != POL_AST_PEER_UNION)
		return;
	for (const struct pol_ast_peer *o = p->of.first; o; o = o->next)
		lint_unions(r, o, v);
	for (const struct pol_ast_peer *o = p->of.first; o; o = o->next)
		if (o->kind == POL_AST_PEER_PREFIX)
			*pol_vec_push(v) = (struct written){ o->prefix, o->span };
	lint_prefixes(r, v);
}

static void lint_sets(struct report *r)
{
	written_vec v = { 0 };

	for (size_t i = 0; i < r->program->decls.n; i++) {
		const struct pol_decl *d = r->program->decls.v[i];

		for (const struct pol_cidr_item *c = d->kind == POL_DECL_CIDR ? d->cidr.items.first
									      : NULL;
		     c; c = c->next)
			if (c->kind == POL_CIDR_PREFIX)
				*pol_vec_push(&v) = (struct written){ c->prefix, c->span };
		lint_prefixes(r, &v);
		for (const struct pol_ast_rule *x =
			     d->kind == POL_DECL_POLICY ? d->policy.rules.first : NULL;
		     x; x = x->next)
			lint_unions(r, x->peer, &v);
		for (const struct pol_filter_rule *x =
			     d->kind == POL_DECL_FILTER ? d->filter.rules.first : NULL;
		     x; x = x->next) {
			if (x->from)
				lint_unions(r, x->from, &v);
			if (x->to)
				lint_unions(r, x->to, &v);
		}
	}
	pol_vec_free(&v);
}

/* ---- everything ------------------------------------------------------------------------------ */

void pol_lint(const struct pol_ir *ir, const struct pol_program *program, struct pol_arena *a,
	      struct pol_diags *diags)
{
	struct pol_space space;
	struct report r = { ir, program, &space, a, diags };

	pol_space_init(&space, a, &ir, 1);
	lint_endpoints(&r);
	lint_peers(&r);
	lint_sets(&r);
	lint_rules(&r);
	pol_lint_http(ir, &space, diags);
	pol_lint_filters(ir, &space, diags);
	pol_lint_services(ir, program, a, diags);
}
