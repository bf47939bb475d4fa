/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs, said of a policy made small. */
#include <stdio.h>
#include <time.h>

#include "run.h"

#define MAX_REPORTS 5 /* differences printed by one process */
#define SHRINK_SECONDS 60 /* spent by one process on making policies small */

double run_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(const struct pol_buf *b)
{
	fwrite(b->p, 1, b->n, stdout);
	fflush(stdout);
}

void run_report(struct run *r, const struct gen_policy *p, const struct flow *f, const char *why)
{
	struct pol_buf out = { 0 };

	r->stats->differences++;
	if (r->reports++ >= MAX_REPORTS)
		return;
	pol_buf_printf(&out, "\nFAILED: --seed %llu --only %u\n", (unsigned long long)r->o->seed,
		       r->index);
	pol_buf_addz(&out, why);
	if (f) {
		pol_buf_addz(&out, "flow: ");
		flow_print(&out, f);
		pol_buf_addz(&out, "\nworld:\n");
		world_print(&out, &r->world);
	}
	pol_buf_addz(&out, "policy:\n");
	gen_policy_text(p, &out);
	print(&out);
	pol_buf_free(&out);
}

void run_broken(struct run *r, const char *what, const char *detail)
{
	struct pol_buf why = { 0 };

	r->stats->refused++;
	pol_buf_printf(&why, "%s: %s\n", what, detail);
	run_report(r, &r->policy, NULL, why.p);
	pol_buf_free(&why);
}
/* ---- shrinking ------------------------------------------------------------------------- */

/* Does the policy as it is now still differ on this flow?  Refused policies do not. */
static bool differs(struct run *r, const struct gen_policy *p, const struct flow *f, bool in_kernel)
{
	struct pol_buf text = { 0 }, messages = { 0 }, why = { 0 };
	struct run t = *r;
	struct generation *g = NULL;
	struct pol_eval_flow want;
	struct pol_err e = { 0 };
	bool different = false;

	gen_policy_text(p, &text);
	if (!build_policy(&t.build, text.p, r->paths, &messages, &e) &&
	    !build_place(&t.build, &t.world, &e)) {
		judge_expect(t.build.ir, &t.world, f, &want);
		if (!in_kernel) {
			different = !run_tables_agree(&t, f, &want, &why);
		} else if (!run_load(&t, 1, &g, &e)) {
			kernel_forget_flows(r->kernel);
			different = !run_new_agrees(&t, g, f, &want, &why);
			generation_free(g);
		}
	}
	build_free(&t.build);
	pol_buf_free(&text);
	pol_buf_free(&messages);
	pol_buf_free(&why);
	return different;
}

/* Tries the policy without one part; keeps it out if the difference stays. */
static bool drop(struct run *r, struct gen_policy *p, bool *dropped, const struct flow *f,
		 bool in_kernel)
{
	if (*dropped || run_now() > r->shrink_until)
		return false;
	*dropped = true;
	if (differs(r, p, f, in_kernel))
		return true;
	*dropped = false;
	return false;
}

static void shrink(struct run *r, struct gen_policy *p, const struct flow *f, bool in_kernel)
{
	bool again = true;

	if (r->shrink_until == 0)
		r->shrink_until = run_now() + SHRINK_SECONDS;
	while (again && run_now() < r->shrink_until) {
		again = false;
		for (size_t i = p->stmts.n; i-- > 0;) {
			struct gen_stmt *s = &p->stmts.v[i];

			if (!s->needed)
				again |= drop(r, p, &s->dropped, f, in_kernel);
			for (size_t j = 0; j < s->rules.n && !s->dropped; j++)
				again |= drop(r, p, &s->rules.v[j].dropped, f, in_kernel);
		}
	}
}

static void undrop(struct gen_policy *p)
{
	for (size_t i = 0; i < p->stmts.n; i++) {
		p->stmts.v[i].dropped = false;
		for (size_t j = 0; j < p->stmts.v[i].rules.n; j++)
			p->stmts.v[i].rules.v[j].dropped = false;
	}
}

void run_report_shrunk(struct run *r, const struct flow *f, bool in_kernel, const char *why)
{
	if (r->reports < MAX_REPORTS && differs(r, &r->policy, f, in_kernel))
		shrink(r, &r->policy, f, in_kernel);
	run_report(r, &r->policy, f, why);
	undrop(&r->policy);
}
