/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules of equal tier have no order among policies: an error where one
 * endpoint can be the subject of both.
 */
#include <stdlib.h>

#include "compiler/lowering.h"
#include "compiler/analysis/solve.h"

#define STEPS_PAIR 1000000u /* for one pair of subjects */
#define STEPS_ALL 100000000u /* for all pairs together */

struct tier {
	const struct pol_decl *decl;
	uint32_t subject;
};

static int tier_cmp(const void *pa, const void *pb)
{
	const struct tier *a = pa, *b = pb;
	const struct pol_policy *x = &a->decl->policy, *y = &b->decl->policy;

	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	if (x->tier != y->tier)
		return x->tier < y->tier ? -1 : 1;
	return (a->decl->index > b->decl->index) - (a->decl->index < b->decl->index);
}

static bool same_tier(const struct tier *a, const struct tier *b)
{
	return a->decl->policy.stage == b->decl->policy.stage &&
	       a->decl->policy.tier == b->decl->policy.tier;
}

static struct pol_span tier_span(const struct pol_decl *d)
{
	return pol_span_is_none(d->policy.tier_span) ? d->head : d->policy.tier_span;
}

static void report(struct pol_lowering *l, const struct tier *first, const struct tier *second,
		   enum pol_answer overlap)
{
	enum pol_code code = overlap == POL_YES ? POL_P0502 : POL_P0505;
	struct pol_diag *g;

	g = pol_diag(
		l->diags, code, tier_span(second->decl),
		overlap == POL_YES
			? "tier %u of policy `%.*s` and of policy `%.*s` select the same endpoints"
			: "cannot tell whether tier %u of policy `%.*s` and of policy `%.*s` overlap",
		second->decl->policy.tier, POL_STR_ARG(second->decl->name.text),
		POL_STR_ARG(first->decl->name.text));
	pol_diag_label(l->diags, g, "same number");
	pol_diag_also(l->diags, g, tier_span(first->decl), "first here");
	pol_diag_help(l->diags, g, "give one of them another number: the lower one is asked first");
}

/* One message a policy is enough; and one for all, once the steps are spent. */
static void check(struct pol_lowering *l, const struct tier *t, size_t first, size_t at,
		  uint64_t *all)
{
	for (size_t i = first; i < at; i++) {
		struct pol_want both[] = { { t[i].subject, true }, { t[at].subject, true } };
		uint64_t steps = *all < STEPS_PAIR ? *all : STEPS_PAIR, given = steps;
		enum pol_answer overlap = pol_solve(l->ir, both, 2, &steps, l->arena, NULL);

		*all -= given - steps;
		if (overlap != POL_NO) {
			report(l, &t[i], &t[at], overlap);
			return;
		}
	}
}

void pol_lower_check_tiers(struct pol_lowering *l)
{
	POL_VEC(struct tier) tiers = { 0 };
	uint64_t steps = STEPS_ALL;
	size_t first = 0;

	for (size_t i = 0; i < l->program->decls.n; i++) {
		const struct pol_decl *d = l->program->decls.v[i];

		if (d->kind == POL_DECL_POLICY && d->policy.stage != POL_AST_STAGE_MAIN) {
			uint32_t subject = pol_lower_subject(l, d->policy.subject);

			*pol_vec_push(&tiers) = (struct tier){ d, subject };
		}
	}
	if (tiers.n)
		qsort(tiers.v, tiers.n, sizeof(*tiers.v), tier_cmp);
	for (size_t i = 1; i < tiers.n && steps; i++) {
		if (!same_tier(&tiers.v[first], &tiers.v[i]))
			first = i;
		check(l, tiers.v, first, i, &steps);
	}
	pol_vec_free(&tiers);
}
