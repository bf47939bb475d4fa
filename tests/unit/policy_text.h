/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests that begin with a policy as text. */
#ifndef POLC_TESTS_POLICY_TEXT_H
#define POLC_TESTS_POLICY_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compiler/analysis/explain.h"
#include "compiler/lower.h"

struct policy {
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *program;
	struct pol_ir *ir;	/* NULL after an error */
};

static struct policy policy_read(const char *text)
{
	struct pol_memory_file files[] = { { "t.pol", pol_str(text) }, { NULL, { NULL, 0 } } };
	struct pol_fs fs = pol_fs_memory(files);
	struct policy p = { .arena = pol_arena_new() };

	pol_diags_init(&p.diags, p.arena);
	p.program = pol_load("t.pol", &fs, p.arena, &p.diags);
	if (!p.diags.n_errors)
		p.ir = pol_lower(p.program, p.arena, &p.diags);
	return p;
}

static void policy_free(struct policy *p)
{
	pol_program_free(p->program);
	pol_diags_free(&p->diags);
	pol_arena_free(p->arena);
}

static void policy_say(const struct policy *p)
{
	struct pol_buf out = { 0 };
	struct pol_render how = { 0 };

	pol_diags_render(&out, &p->diags, p->program->sources, &how);
	if (out.n)
		fprintf(stderr, "%s", out.p);
	pol_buf_free(&out);
}

/* One that must be right. */
static inline struct policy policy_ok(const char *text)
{
	struct policy p = policy_read(text);

	if (!p.ir)
		policy_say(&p);
	assert_non_null(p.ir);
	return p;
}

/* One that must be refused with this code, its message containing `part`. */
static inline void policy_refused(const char *text, enum pol_code code, const char *part)
{
	struct policy p = policy_read(text);
	bool found = false;

	for (size_t i = 0; i < p.diags.all.n; i++)
		found = found || (p.diags.all.v[i]->code == code && strstr(p.diags.all.v[i]->message.p, part));
	if (!found)
		policy_say(&p);
	assert_true(found);
	assert_null(p.ir);
	policy_free(&p);
}

static inline struct pol_explanation policy_explain(struct policy *p, const char *flow)
{
	struct pol_flow *f = pol_flow_parse(p->program, pol_str(flow), &p->diags);
	struct pol_explanation x = { 0 };

	if (!f || !pol_explain(p->ir, p->program, f, p->arena, &p->diags, &x)) {
		policy_say(p);
		fail_msg("flow not understood: %s", flow);
	}
	return x;
}

/* The verdict on a flow and the text of the deciding rule (NULL: any). */
static inline void expect(struct policy *p, const char *flow, enum pol_action action, const char *rule)
{
	struct pol_explanation x = policy_explain(p, flow);
	const struct pol_eval_side *side = &x.flow.side[x.flow.decided_by];

	if (x.flow.action != action)
		fail_msg("%s: action %d, not %d", flow, x.flow.action, action);
	if (rule && !pol_str_is(p->ir->rules.v[side->rule].text, rule))
		fail_msg("%s: decided by `%.*s`, not `%s`", flow,
			 POL_STR_ARG(p->ir->rules.v[side->rule].text), rule);
}

static inline void allows(struct policy *p, const char *flow)
{
	expect(p, flow, POL_ALLOW, NULL);
}

static inline void denies(struct policy *p, const char *flow)
{
	expect(p, flow, POL_DENY, NULL);
}

#endif
