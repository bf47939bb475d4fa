/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/why.h"

#include "compiler/describe.h"
#include "compiler/ranges.h"

const char *pol_miss_name(enum pol_miss m)
{
#define MISS_NAME(id, name) [id] = name,
	static const char *const names[] = { POL_MISSES(MISS_NAME) };

	return names[m];
}

/* ---- what missed ---------------------------------------------------------------- */

/* How far the nearest term of the predicate came. */
static uint32_t peer_miss(const struct pol_side_question *q, uint32_t pred)
{
	const struct pol_pred *p = &q->ir->preds.v[pred];
	uint32_t best = POL_MISS_PEER;

	for (size_t i = 0; i < p->n; i++) {
		uint32_t miss = POL_MISS_ADDRESS;

		if (!(p->term[i].mask & q->peer->kind))
			continue;
		if (p->term[i].sel && !pol_eval_sel(q->ir, p->term[i].sel, q->peer->labels))
			miss = POL_MISS_LABELS;
		if (miss > best)
			best = miss;
	}
	return 1u << best;
}

static uint32_t l4_miss(const struct pol_side_question *q, const struct pol_l4set *s)
{
	uint32_t lo = q->l4_key & ~0xffffu, hi = lo | 0xffff;

	for (size_t i = 0; i < s->n; i++)
		if (s->range[i].lo <= hi && s->range[i].hi >= lo)
			return 1u << POL_MISS_PORT;
	return 1u << POL_MISS_PROTOCOL;
}

/* 0: it matches. */
static uint32_t misses(const struct pol_side_question *q, const struct pol_rule *r)
{
	const struct pol_l4set *l4 = &q->ir->l4sets.v[r->l4];
	uint32_t out = 0;

	if (!pol_eval_pred(q->ir, r->pred, q->peer))
		out |= peer_miss(q, r->pred);
	if (!pol_l4set_contains(*l4, q->l4_key))
		out |= l4_miss(q, l4);
	return out;
}

static bool concerns(const struct pol_side_question *q, const struct pol_rule *r)
{
	return !r->audit && r->direction == q->dir && pol_eval_sel(q->ir, r->subject, q->own);
}

static int by_distance(const void *pa, const void *pb)
{
	const struct pol_missed *a = pa, *b = pb;
	int na = __builtin_popcount(a->fields), nb = __builtin_popcount(b->fields);

	return na != nb ? na - nb : (a->rule > b->rule) - (a->rule < b->rule);
}

void pol_why_missed(const struct pol_side_question *q, pol_missed_vec *out)
{
	uint32_t end = q->rule == POL_NO_RULE ? 0 : q->ir->rules.v[q->rule].order;
	bool skipped[POL_STAGES] = { false };

	for (uint32_t i = 0; i < end; i++) {
		const struct pol_rule *r = &q->ir->rules.v[q->ir->by_order.v[i]];
		uint32_t m;

		if (r->implicit || !concerns(q, r))
			continue;
		m = misses(q, r);
		if (!m && skipped[r->stage])
			m = 1u << POL_MISS_SKIPPED;
		else if (!m && r->action == POL_SKIP)
			skipped[r->stage] = true;
		if (m)
			*pol_vec_push(out) = (struct pol_missed){ r->id, m };
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_distance);
}

/* ---- what would allow it ------------------------------------------------------------ */

#define TIERS 65536 /* numbers of one stage */

struct editing {
	const struct pol_side_question *q;
	const struct pol_program *program;
	struct pol_arena *a;
	struct pol_str own, who, on;
	const struct pol_rule
		*before; /* of the last tiers, the first that the flow meets; NULL: none */
	pol_edit_vec *out;
	bool tier_used[TIERS]; /* of the last tiers */
	bool failed; /* nothing that could be written would allow it */
};

static const char *preposition(const struct editing *e)
{
	return e->q->dir == POL_EGRESS ? "to" : "from";
}

/* The first test of the rule's text that is not the whole: its peer, from the tree. */
static const struct pol_ast_rule *ast_of(const struct editing *e, const struct pol_rule *r)
{
	for (size_t i = 0; i < e->program->decls.n; i++) {
		const struct pol_decl *d = e->program->decls.v[i];

		if (d->kind != POL_DECL_POLICY || d->span.file != r->span.file)
			continue;
		for (const struct pol_ast_rule *x = d->policy.rules.first; x; x = x->next)
			if (x->span.start == r->span.start)
				return x;
	}
	return NULL;
}

/* `deny from any` becomes `deny from { any } except { frontend }`. */
static void except(struct editing *e, const struct pol_rule *r)
{
	const struct pol_ast_rule *x = ast_of(e, r);
	struct pol_span rest;
	struct pol_edit *to;

	if (!x)
		return;
	rest = (struct pol_span){ r->span.file, x->peer->span.end, r->span.end };
	to = pol_vec_push(e->out);
	*to = (struct pol_edit){
		.dir = e->q->dir,
		.replaces = true,
		.at = r->span,
		.policy = r->policy,
		.text = pol_arena_printf(e->a, "%s %s { %.*s } except { %.*s }%.*s;",
					 pol_action_name(x->action), preposition(e),
					 POL_STR_ARG(pol_source_text(e->program->sources,
								     x->peer->span)),
					 POL_STR_ARG(e->who),
					 POL_STR_ARG(pol_source_text(e->program->sources, rest))),
	};
}

static struct pol_str allow_text(struct editing *e)
{
	return pol_arena_printf(e->a, "allow %s %.*s %.*s;", preposition(e), POL_STR_ARG(e->who),
				POL_STR_ARG(e->on));
}

/* To a policy that closes the direction. */
static void add_allow(struct editing *e, const struct pol_rule *closed)
{
	*pol_vec_push(e->out) = (struct pol_edit){ .dir = e->q->dir,
						   .at = closed->span,
						   .policy = closed->policy,
						   .text = allow_text(e) };
}

static void tiers_in_use(struct editing *e)
{
	for (size_t i = 0; i < e->program->decls.n; i++) {
		const struct pol_decl *d = e->program->decls.v[i];

		if (d->kind == POL_DECL_POLICY && d->policy.stage == POL_AST_STAGE_BASELINE)
			e->tier_used[d->policy.tier] = true;
	}
	/* Nor may the other side's new policy have it. */
	for (size_t i = 0; i < e->out->n; i++)
		if (pol_span_is_none(e->out->v[i].at))
			e->tier_used[e->out->v[i].tier] = true;
}

/*
 * Before the first of the last tiers that has something against it, else behind all, or as far
 * behind as there is room: none of them has a word on the flow. -1: no room.
 */
static int32_t choose_tier(const struct editing *e)
{
	int32_t tier = e->before ? e->before->priority - 1 : TIERS - 1;
	bool behind_all = tier == TIERS - 1 && !e->tier_used[tier];

	while (tier >= 0 && e->tier_used[tier])
		tier--;
	while (behind_all && tier > 0 && !e->tier_used[tier - 1])
		tier--;
	return tier;
}

/* "new ingress", or the first of "new ingress 2" and so on that no policy has. */
static struct pol_str choose_name(const struct editing *e)
{
	const char *dir = e->q->dir == POL_EGRESS ? "egress" : "ingress";
	struct pol_str name = pol_arena_printf(e->a, "new %s", dir);

	for (unsigned i = 2; pol_program_find_policy(e->program, name); i++)
		name = pol_arena_printf(e->a, "new %s %u", dir, i);
	return name;
}

/* A baseline policy closes nothing. */
static void add_policy(struct editing *e, int32_t tier)
{
	e->failed = tier < 0;
	if (e->failed)
		return;
	*pol_vec_push(e->out) = (struct pol_edit){
		.dir = e->q->dir,
		.at = POL_NO_SPAN,
		.tier = tier,
		.text = pol_arena_printf(e->a, "policy \"%.*s\" on %.*s tier baseline %d { %.*s }",
					 POL_STR_ARG(choose_name(e)), POL_STR_ARG(e->own), tier,
					 POL_STR_ARG(allow_text(e))),
	};
}

/* True when the side allows the flow after the edits so far. */
static bool edit(struct editing *e, const struct pol_rule *r)
{
	switch (r->implicit) {
	case POL_IMPLICIT_CLOSED:
		add_allow(e, r);
		return true;
	case POL_IMPLICIT_DEFAULT:
		if (r->action != POL_ALLOW)
			add_policy(e, choose_tier(e));
		return true;
	case POL_IMPLICIT_HOST:
		return true;
	case POL_EXPLICIT:
		break;
	}
	if (r->action == POL_ALLOW)
		return true;
	except(e, r);
	return false;
}

static void find_edits(struct editing *e)
{
	const struct pol_side_question *q = e->q;
	bool skipped[POL_STAGES] = { false };

	for (size_t i = 0; i < q->ir->by_order.n; i++) {
		const struct pol_rule *r = &q->ir->rules.v[q->ir->by_order.v[i]];

		if ((skipped[r->stage] && r->implicit != POL_IMPLICIT_DEFAULT) || !concerns(q, r) ||
		    misses(q, r))
			continue;
		if (r->stage == POL_STAGE_BASELINE && !r->implicit && r->action != POL_ALLOW) {
			e->before = r;
			if (choose_tier(e) >= 0) {
				add_policy(e, choose_tier(e));
				return;
			}
			/* No number is left before it: it must let the flow by. */
			e->before = NULL;
			except(e, r);
		} else if (r->action == POL_SKIP) {
			skipped[r->stage] = true;
		} else if (edit(e, r)) {
			return;
		}
	}
}

bool pol_why_edits(const struct pol_side_question *q, const struct pol_program *program,
		   struct pol_str own_text, struct pol_str who, struct pol_str on,
		   struct pol_arena *a, pol_edit_vec *out)
{
	struct editing e = { .q = q,
			     .program = program,
			     .a = a,
			     .own = own_text,
			     .who = who,
			     .on = on,
			     .out = out };

	tiers_in_use(&e);
	find_edits(&e);
	return !e.failed;
}
