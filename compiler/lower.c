/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdlib.h>

#include "compiler/lowering.h"

/* ---- what is refused ---------------------------------------------------------- */

void pol_lower_refuse(struct pol_lowering *l, struct pol_span at, const char *what)
{
	struct pol_diag *g =
		pol_diag(l->diags, POL_P0501, at, "%s cannot be enforced by this version", what);

	pol_diag_label(l->diags, g, "not supported yet");
	pol_diag_help(l->diags, g,
		      "leave it out: what cannot be enforced is refused, never ignored");
}

void pol_lower_check_overflow(struct pol_lowering *l, struct pol_span at, const char *what)
{
	struct pol_diag *g;

	if (!l->b.overflow)
		return;
	if (l->exhausted) {
		l->b.overflow = NULL;
		return;
	}
	l->exhausted = pol_ir_exhausted(&l->b);
	g = pol_diag(l->diags, POL_P0503, at, "%s is too complex: %s", what, l->b.overflow);
	pol_diag_label(l->diags, g, "too complex");
	pol_diag_help(
		l->diags, g,
		l->exhausted
			? "share one `cidr` among the rules that leave out or intersect large sets"
			: "use several rules, or an endpoint definition of its own for a part of it");
	/* So that every other mistake is still found. */
	l->b.overflow = NULL;
}

/* ---- limits ------------------------------------------------------------------- */

int32_t pol_lower_limit(struct pol_lowering *l, const struct pol_ast_limit *from, uint32_t rule)
{
	uint64_t ns = (uint64_t)from->seconds * 1000000000u / from->rate;
	struct pol_limit *to;
	struct pol_diag *g;

	/* Half of u64, so that the data path can add the clock to it. */
	if (ns == 0 || from->burst > (UINT64_MAX >> 1) / ns) {
		g = pol_diag(l->diags, POL_P0504, from->span, "limit is out of range");
		pol_diag_label(l->diags, g,
			       ns ? "a full bucket would last more than 292 years"
				  : "more than one in a nanosecond");
		return -1;
	}
	to = pol_vec_push(&l->ir->limits);
	to->ns_per_token = ns;
	to->burst_ns = from->burst * ns;
	to->rule = rule;
	to->per_source = from->per_source;
	to->len4 = from->per_source ? from->len4 : 0;
	to->len6 = from->per_source ? from->len6 : 0;
	return (int32_t)(l->ir->limits.n - 1);
}

/* ---- rules -------------------------------------------------------------------- */

/* Source text on one line: runs of white space and comments become one space. */
struct pol_str pol_lower_text(struct pol_lowering *l, struct pol_span at)
{
	struct pol_str s = pol_source_text(l->program->sources, at);
	char *out = pol_arena_alloc(l->arena, s.n + 1);
	bool quoted = false, gap = false;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!quoted && c == '#') {
			while (i + 1 < s.n && s.p[i + 1] != '\n')
				i++;
			gap = true;
			continue;
		}
		if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
			gap = true;
			continue;
		}
		if (gap && n)
			out[n++] = ' ';
		gap = false;
		out[n++] = c;
		if (quoted && c == '\\' && i + 1 < s.n)
			out[n++] = s.p[++i];
		else if (c == '"')
			quoted = !quoted;
	}
	return (struct pol_str){ out, n };
}

/* Of a rule with an http block its head alone: the lines have places of their own. */
static struct pol_str rule_text(struct pol_lowering *l, const struct pol_ast_rule *r)
{
	struct pol_span head = r->span;

	if (!r->http)
		return pol_lower_text(l, head);
	head.end = r->http->span.start;
	return pol_arena_printf(l->arena, "%s http {...}", pol_lower_text(l, head).p);
}

static enum pol_stage stage_of(enum pol_ast_stage s)
{
	switch (s) {
	case POL_AST_STAGE_ADMIN:
		return POL_STAGE_ADMIN;
	case POL_AST_STAGE_MAIN:
		return POL_STAGE_MAIN;
	case POL_AST_STAGE_BASELINE:
		return POL_STAGE_BASELINE;
	}
	return POL_STAGE_MAIN;
}

static enum pol_action default_action(const struct pol_lowering *l)
{
	return l->program->default_allow ? POL_ALLOW : POL_DENY;
}

static enum pol_action action_of(const struct pol_ast_rule *r)
{
	switch (r->action) {
	case POL_AST_ALLOW:
		return POL_ALLOW;
	case POL_AST_REJECT:
		return POL_REJECT;
	case POL_AST_SKIP:
		return POL_SKIP;
	case POL_AST_DENY:
	case POL_AST_DROP: /* of filters: not in policies */
	case POL_AST_PASS:
	case POL_AST_LIMIT:
		break;
	}
	return POL_DENY;
}

static struct pol_rule *rule_new(struct pol_lowering *l, enum pol_implicit implicit)
{
	struct pol_rule *r = pol_vec_push(&l->ir->rules);

	r->id = (uint32_t)(l->ir->rules.n - 1);
	r->implicit = implicit;
	r->limit = -1;
	r->http = -1;
	r->action = POL_DENY;
	r->span = POL_NO_SPAN;
	return r;
}

static void lower_rule(struct pol_lowering *l, const struct pol_decl *d, uint32_t subject,
		       const struct pol_ast_rule *from)
{
	enum pol_stage stage = stage_of(d->policy.stage);
	bool plain_allow = stage == POL_STAGE_MAIN && from->action == POL_AST_ALLOW;
	uint32_t pred = pol_lower_peer(l, from->peer);
	uint32_t l4 = pol_lower_ports(l, from->on);
	struct pol_rule *r = rule_new(l, POL_EXPLICIT);

	r->stage = stage;
	r->priority = stage == POL_STAGE_MAIN ? 0 : (int32_t)d->policy.tier;
	r->direction = from->egress ? POL_EGRESS : POL_INGRESS;
	r->action = action_of(from);
	r->subject = subject;
	r->pred = pred;
	r->l4 = l4;
	r->audit = d->policy.audit;
	r->log = from->log;
	r->policy = d->name.text;
	r->name = from->name.text;
	r->text = rule_text(l, from);
	r->span = from->span;
	if (from->http && plain_allow)
		r->http = pol_lower_http(l, from->http, r->id);
	if (from->limit && plain_allow)
		r->limit = pol_lower_limit(l, from->limit, r->id);
	else if (from->limit)
		pol_lower_refuse(l, from->limit->span, "a limit on anything but an ordinary allow");
}

static void lower_policy(struct pol_lowering *l, const struct pol_decl *d)
{
	uint32_t subject = pol_lower_subject(l, d->policy.subject);

	pol_lower_check_overflow(l, d->head, "this subject");
	for (const struct pol_ast_rule *r = d->policy.rules.first; r; r = r->next)
		lower_rule(l, d, subject, r);
}

/* ---- rules that nobody wrote -------------------------------------------------- */

static void add_host_open(struct pol_lowering *l)
{
	struct pol_term host = { .mask = POL_PEER_HOST };
	struct pol_rule *r = rule_new(l, POL_IMPLICIT_HOST);

	r->stage = POL_STAGE_ADMIN;
	r->direction = POL_INGRESS;
	r->action = POL_ALLOW;
	r->pred = pol_ir_pred(&l->b, &host, 1);
	r->text = POL_STR("option host open");
	if (l->program->host_open_decl)
		r->span = l->program->host_open_decl->span;
}

static bool has_direction(const struct pol_policy *p, bool egress)
{
	for (const struct pol_ast_rule *r = p->rules.first; r; r = r->next)
		if (r->egress == egress)
			return true;
	return false;
}

static void add_closed(struct pol_lowering *l, const struct pol_decl *d, enum pol_direction dir)
{
	uint32_t subject = pol_lower_subject(l, d->policy.subject);
	struct pol_rule *r = rule_new(l, POL_IMPLICIT_CLOSED);

	r->stage = POL_STAGE_MAIN;
	r->direction = dir;
	r->subject = subject;
	r->audit = d->policy.audit;
	r->policy = d->name.text;
	r->text = pol_arena_printf(l->arena, "nothing in policy \"%.*s\" allows it %s",
				   POL_STR_ARG(d->name.text), dir == POL_EGRESS ? "out" : "in");
	r->span = pol_span_is_none(d->name.span) ? d->head : d->name.span;
}

static void add_default(struct pol_lowering *l, enum pol_direction dir)
{
	struct pol_rule *r = rule_new(l, POL_IMPLICIT_DEFAULT);

	r->stage = POL_STAGE_BASELINE;
	r->direction = dir;
	r->action = default_action(l);
	r->text = l->program->default_allow ? POL_STR("default allow") : POL_STR("default deny");
	if (l->program->dflt)
		r->span = l->program->dflt->span;
}

static void add_implicit(struct pol_lowering *l)
{
	if (l->program->host_open)
		add_host_open(l);
	for (size_t i = 0; i < l->program->decls.n; i++) {
		const struct pol_decl *d = l->program->decls.v[i];

		if (d->kind != POL_DECL_POLICY || d->policy.stage != POL_AST_STAGE_MAIN)
			continue;
		if (has_direction(&d->policy, false))
			add_closed(l, d, POL_INGRESS);
		if (has_direction(&d->policy, true))
			add_closed(l, d, POL_EGRESS);
	}
	add_default(l, POL_INGRESS);
	add_default(l, POL_EGRESS);
}

/* ---- the one order ------------------------------------------------------------ */

static int action_rank(enum pol_action a)
{
	switch (a) {
	case POL_DENY:
		return 1;
	case POL_REJECT:
		return 2;
	case POL_ALLOW:
	case POL_SKIP:
	case POL_NONE:
		break;
	}
	return 3;
}

/* ir.h, "The first-match order". */
static int group(const struct pol_rule *r)
{
	switch (r->implicit) {
	case POL_IMPLICIT_HOST:
		return -1;
	case POL_IMPLICIT_CLOSED:
		return 4;
	case POL_IMPLICIT_DEFAULT:
		return 6;
	case POL_EXPLICIT:
		break;
	}
	switch (r->stage) {
	case POL_STAGE_ADMIN:
		return 0;
	case POL_STAGE_MAIN:
		return action_rank(r->action);
	case POL_STAGE_BASELINE:
	case POL_STAGES:
		break;
	}
	return 5;
}

static int rule_cmp(const void *pa, const void *pb)
{
	const struct pol_rule *a = *(struct pol_rule *const *)pa,
			      *b = *(struct pol_rule *const *)pb;
	int c = group(a) - group(b);

	if (!c && a->priority != b->priority)
		c = a->priority < b->priority ? -1 : 1;
	return c ? c : (a->id > b->id) - (a->id < b->id);
}

static void put_in_order(struct pol_ir *ir)
{
	POL_VEC(struct pol_rule *) rules = { 0 };

	for (size_t i = 0; i < ir->rules.n; i++)
		*pol_vec_push(&rules) = &ir->rules.v[i];
	qsort(rules.v, rules.n, sizeof(*rules.v), rule_cmp);
	for (size_t i = 0; i < rules.n; i++) {
		rules.v[i]->order = (uint32_t)i;
		*pol_vec_push(&ir->by_order) = rules.v[i]->id;
	}
	pol_vec_free(&rules);
}

/* ---- names -------------------------------------------------------------------- */

static void add_names(struct pol_lowering *l)
{
	for (size_t i = 0; i < l->program->decls.n; i++) {
		const struct pol_decl *d = l->program->decls.v[i];

		if (d->kind == POL_DECL_ENDPOINT) {
			uint32_t sel = pol_lower_endpoint(l, d);

			*pol_vec_push(&l->ir->classes) =
				(struct pol_class){ d->name.text, sel, d->name.span };
		} else if (d->kind == POL_DECL_CIDR) {
			uint32_t aset = pol_lower_cidr(l, d);

			*pol_vec_push(&l->ir->cidrs) =
				(struct pol_named_set){ d->name.text, aset, d->name.span };
		} else if (d->kind == POL_DECL_SERVICE) {
			pol_lower_service(l, d);
		}
	}
}

/*
 * Last and without a name: every prefix that the policy names, so that the
 * evaluator knows an address outside of all. `public` names the special ones.
 */
static void add_unnamed(struct pol_lowering *l)
{
	uint32_t all = pol_ir_aset(&l->b, pol_aset_of_prefixes(l->arena, l->named.v, l->named.n));

	if (l->uses_public) {
		uint32_t special = pol_ir_aset(&l->b, pol_special_purpose(l->arena));
		uint32_t more = pol_ir_aset_op(&l->b, POL_SET_UNION, all, special);

		all = more == POL_ASET_ALL ? all : more;
	}
	*pol_vec_push(&l->ir->cidrs) = (struct pol_named_set){ .aset = all, .span = POL_NO_SPAN };
}

/* ---- assertions --------------------------------------------------------------- */

static bool has_address(const struct pol_ast_peer *p)
{
	return p->kind == POL_AST_PEER_AT;
}

static void add_assertions(struct pol_lowering *l)
{
	l->asserting = true;
	for (size_t i = 0; i < l->program->decls.n; i++) {
		const struct pol_decl *d = l->program->decls.v[i];
		const struct pol_flow *f = d->kind == POL_DECL_ASSERT ? d->assertion.flow : NULL;
		struct pol_assertion to = { .span = d->head };

		if (!f)
			continue;
		to.allow = d->assertion.allow;
		to.pred[0] = pol_lower_peer(l, f->from);
		to.pred[1] = pol_lower_peer(l, f->to);
		to.exact[0] = has_address(f->from);
		to.exact[1] = has_address(f->to);
		to.l4 = pol_lower_ports(l, f->on);
		to.method = f->method.text;
		to.path = f->path.text;
		*pol_vec_push(&l->ir->assertions) = to;
	}
}

/* ---- the whole ---------------------------------------------------------------- */

/* Vectors grow on the heap; a finished IR is the arena's alone. */
#define TO_ARENA(a, vec)                                                                           \
	do {                                                                                       \
		void *kept_ = pol_arena_alloc((a), ((vec)->n + 1) * sizeof(*(vec)->v));            \
		if ((vec)->n)                                                                      \
			memcpy(kept_, (vec)->v, (vec)->n * sizeof(*(vec)->v));                     \
		free((vec)->v);                                                                    \
		(vec)->v = kept_;                                                                  \
		(vec)->cap = (vec)->n;                                                             \
	} while (0)

static void settle(struct pol_ir *ir)
{
	TO_ARENA(ir->arena, &ir->sels);
	TO_ARENA(ir->arena, &ir->l4sets);
	TO_ARENA(ir->arena, &ir->asets);
	TO_ARENA(ir->arena, &ir->preds);
	TO_ARENA(ir->arena, &ir->rules);
	TO_ARENA(ir->arena, &ir->by_order);
	TO_ARENA(ir->arena, &ir->limits);
	TO_ARENA(ir->arena, &ir->classes);
	TO_ARENA(ir->arena, &ir->cidrs);
	TO_ARENA(ir->arena, &ir->assertions);
	TO_ARENA(ir->arena, &ir->filters);
	TO_ARENA(ir->arena, &ir->dynamics);
	TO_ARENA(ir->arena, &ir->services);
	TO_ARENA(ir->arena, &ir->https);
}

static void lower_program(struct pol_lowering *l)
{
	struct pol_program *p = l->program;

	l->ir->default_action = default_action(l);
	l->ir->host_open = p->host_open;
	l->ir->pool = pol_ir_aset(&l->b, pol_aset_of_prefixes(l->arena, p->pool.v, p->pool.n));
	add_names(l);
	for (size_t i = 0; i < p->decls.n; i++)
		if (p->decls.v[i]->kind == POL_DECL_POLICY)
			lower_policy(l, p->decls.v[i]);
	pol_lower_check_tiers(l);
	add_implicit(l);
	put_in_order(l->ir);
	pol_lower_http_image(l);
	pol_lower_filters(l);
	add_unnamed(l);
	add_assertions(l);
}

struct pol_ir *pol_lower(struct pol_program *program, struct pol_arena *arena,
			 struct pol_diags *diags)
{
	struct pol_lowering l = { .program = program, .arena = arena, .diags = diags };
	size_t before = diags->n_errors;

	l.ir = pol_arena_alloc(arena, sizeof(*l.ir));
	l.ir->arena = arena;
	l.ir->sources = program->sources;
	l.decl_id = pol_arena_alloc(arena, (program->decls.n + 1) * sizeof(*l.decl_id));
	memset(l.decl_id, 0xff, program->decls.n * sizeof(*l.decl_id));
	pol_builder_init(&l.b, l.ir);
	lower_program(&l);
	settle(l.ir);
	pol_builder_free(&l.b);
	pol_vec_free(&l.named);
	pol_vec_free(&l.noted);
	return diags->n_errors > before ? NULL : l.ir;
}
