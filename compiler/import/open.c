/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies that close nothing (enableDefaultDeny: false).
 *
 * In the language a policy with a rule closes its direction. So these wait until all
 * others are known: where one of those closes the direction, their rules are rules as others are;
 * where none does, only their denials say anything, and stand in the baseline, which decides
 * where no ordinary policy does.
 */
#include <errno.h>

#include "compiler/import/rule.h"

/* "(A) or (B)": the subjects that some policy closes in that direction; empty: none. */
static struct pol_str closed_subjects(struct pol_import *im, bool egress)
{
	struct pol_buf b = { 0 };

	pol_buf_addz(&b, "");
	for (size_t i = 0; i < im->closers.n; i++)
		if (im->closers.v[i].egress == egress)
			pol_buf_printf(&b, "%s(%s)", b.n ? " or " : "", im->closers.v[i].subject.p);
	return pol_import_take(im, &b);
}

/* Of p the rules of one direction, or only its denials; the lists stay p's. */
static struct pol_import_policy part(const struct pol_import_policy *p, bool egress, bool denials)
{
	struct pol_import_policy out = { .object = p->object,
					 .name = p->name,
					 .subject = p->subject };

	for (size_t i = 0; i < p->rules.n; i++)
		if (p->rules.v[i].egress == egress &&
		    (!denials || strcmp(p->rules.v[i].action, "deny") == 0))
			*pol_vec_push(&out.rules) = p->rules.v[i];
	return out;
}

static void put_part(struct pol_import *im, struct pol_import_policy *p)
{
	if (p->rules.n)
		pol_import_put(im, p);
	pol_vec_free(&p->rules);
}

static void put_open(struct pol_import *im, const struct pol_import_policy *p, bool egress,
		     size_t number)
{
	const char *word = egress ? "egress" : "ingress";
	struct pol_str closed = closed_subjects(im, egress);
	struct pol_import_policy among = part(p, egress, false), else_ = part(p, egress, true);

	among.subject = pol_arena_printf(im->arena, "(%s) and (%s)", p->subject.p, closed.p);
	among.name = pol_arena_printf(im->arena, "%s %s, closed by others", p->name.p, word);
	if (closed.n)
		put_part(im, &among);
	else
		pol_vec_free(&among.rules);
	if (closed.n)
		else_.subject =
			pol_arena_printf(im->arena, "(%s) and not (%s)", p->subject.p, closed.p);
	else_.name = pol_arena_printf(im->arena, "%s %s, open", p->name.p, word);
	else_.tier = pol_arena_printf(im->arena, "tier baseline %zu", 2 * number + egress);
	put_part(im, &else_);
}

int pol_import_defer(struct pol_import *im, struct pol_import_policy *p)
{
	struct pol_import_policy *kept = pol_arena_alloc(im->arena, sizeof(*kept));
	int ret = 0;

	/* Where nothing closes, a request would have to be judged that no rule may touch. */
	for (size_t i = 0; !ret && i < p->rules.n; i++)
		if (p->rules.v[i].http.p && p->open[p->rules.v[i].egress])
			ret = pol_yaml_err(p->object->doc, p->rules.v[i].at,
					   "HTTP rules of a policy that closes nothing");
	*kept = *p;
	*pol_vec_push(&im->deferred) = kept;
	return ret;
}

int pol_import_deferred(struct pol_import *im)
{
	for (size_t i = 0; i < im->deferred.n; i++) {
		const struct pol_import_policy *p = im->deferred.v[i];

		for (int dir = 0; dir < 2; dir++) {
			struct pol_import_policy own = part(p, dir, false);

			own.closed[dir] = p->closed[dir];
			own.name = pol_arena_printf(im->arena, "%s %s", p->name.p,
						    dir ? "egress" : "ingress");
			if (p->open[dir])
				put_open(im, p, dir, i);
			else if (own.closed[dir])
				pol_import_put(im, &own);
			pol_vec_free(&own.rules);
		}
	}
	/* Each has two numbers of the first thousand of the baseline; others follow (tier.c). */
	if (im->deferred.n > 500)
		return pol_err(im->err, -EINVAL, "more than 500 policies that close nothing");
	return 0;
}
