/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "compiler/analysis/diff.h"
#include "compiler/analysis/explain.h"
#include "compiler/analysis/fix.h"
#include "compiler/analysis/lint.h"
#include "compiler/analysis/sarif.h"
#include "compiler/graph.h"
#include "compiler/list.h"
#include "compiler/workloads.h"
#include "tool/verbs.h"

/* ---- polc list, polc explain -------------------------------------------------- */

static void print_list(const struct job *j, struct pol_buf *out)
{
	struct pol_list all;

	pol_list_make(j->ir, j->arena, &all);
	if (j->o->verb == POL_VERB_LIST)
		pol_list_print(&all, j->o->json_answer, out);
	else if (j->o->svg)
		pol_graph_svg(&all, j->arena, out);
	else
		pol_graph_dot(&all, out);
	pol_list_free(&all);
}

int verb_list(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = EXIT_BAD, wrong = 0;

	job_open(o, o->arg[0], &j);
	if (job_lower(&j)) {
		if (o->workloads)
			wrong = pol_list_workloads(j.ir, o->workloads, j.arena, &out, &e);
		else
			print_list(&j, &out);
		r = wrong ? tool_fail(&e, wrong == -EINVAL ? EXIT_BAD : EXIT_SYSTEM) : EXIT_DONE;
	}
	tool_print(stdout, &out);
	job_report(&j, stderr);
	job_close(&j);
	return r;
}

static struct pol_str flow_text(struct job *j)
{
	struct pol_buf text = { 0 };
	struct pol_str kept;

	for (int i = 1; i < j->o->n_args; i++) {
		pol_buf_addz(&text, i > 1 ? " " : "");
		pol_buf_addz(&text, j->o->arg[i]);
	}
	kept = pol_arena_str(j->arena, pol_buf_str(&text));
	pol_buf_free(&text);
	return kept;
}

int verb_explain(const struct pol_options *o)
{
	struct pol_explanation x;
	struct pol_buf out = { 0 };
	struct pol_flow *flow = NULL;
	struct job j;
	int r = EXIT_BAD;

	job_open(o, o->arg[0], &j);
	if (job_lower(&j))
		flow = pol_flow_parse(j.program, flow_text(&j), &j.diags);
	if (flow && pol_explain(j.ir, j.program, flow, j.arena, &j.diags, &x)) {
		pol_explain_print(j.ir, &x, o->json_answer, j.arena, &out);
		r = x.action == POL_ALLOW ? EXIT_DONE : EXIT_NO;
	}
	tool_print(stdout, &out);
	job_report(&j, stderr);
	job_close(&j);
	return r;
}

/* ---- polc lint ---------------------------------------------------------------- */

/* 0, or the code to end with. */
static int fix(const struct pol_options *o)
{
	const char *path = o->arg[0];
	struct pol_fix f = { .rules = 0 };
	struct pol_err e = { 0 };
	int r = pol_lint_fix(path, &f, &e);

	if (!r && (f.rules || f.prefixes))
		r = pol_write_file(path, f.text.p, f.text.n, &e);
	if (!r && f.unproved)
		fprintf(stderr,
			"polc: %s: that nothing changes could not be proved; left as it is\n",
			path);
	else if (!r)
		fprintf(stderr, "polc: %s: %u rules and %u prefixes taken out\n", path, f.rules,
			f.prefixes);
	pol_buf_free(&f.text);
	/* Errors are told by what follows. */
	return r == -EINVAL ? 0 : r ? tool_fail(&e, EXIT_SYSTEM) : 0;
}

static int lint_host(struct job *j, struct pol_err *e)
{
	pol_host_endpoints there = { 0 };
	int r = pol_hosts_read(j->o->host, j->arena, &there, e);

	if (!r)
		pol_lint_host(j->ir, j->program, &there, j->o->host, &j->diags);
	pol_vec_free(&there);
	return r;
}

int verb_lint(const struct pol_options *o)
{
	struct pol_render how = { .json = o->json_diags || o->json_answer,
				  .colour = tool_colour(o, stdout),
				  .max = POL_DIAG_KEEP };
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = o->fix ? fix(o) : 0;

	if (r)
		return r;
	r = EXIT_BAD;
	job_open(o, o->arg[0], &j);
	if (job_lower(&j)) {
		pol_lint(j.ir, j.program, j.arena, &j.diags);
		if (o->host && lint_host(&j, &e)) {
			job_close(&j);
			return tool_fail(&e, e.code == -EINVAL ? EXIT_BAD : EXIT_SYSTEM);
		}
		r = j.diags.n_warnings ? EXIT_NO : EXIT_DONE;
	}
	pol_diags_sort(&j.diags);
	if (o->sarif)
		pol_sarif(&out, &j.diags, j.program->sources);
	else if (j.diags.all.n || how.json)
		pol_diags_render(&out, &j.diags, j.program->sources, &how);
	tool_print(stdout, &out);
	job_close(&j);
	return r;
}

/* ---- polc diff ---------------------------------------------------------------- */

static bool fails(const struct pol_options *o, const struct pol_diff *d)
{
	bool widened = pol_diff_any(d, POL_CHANGE_WIDENED),
	     narrowed = pol_diff_any(d, POL_CHANGE_NARROWED), unclear = pol_diff_unclear(d);

	switch (o->fail_on) {
	case POL_FAIL_ON_ANY:
		return d->changes.n || d->services.n || d->filters.n || unclear;
	case POL_FAIL_ON_WIDEN:
		return widened || unclear;
	case POL_FAIL_ON_NARROW:
		return narrowed || unclear;
	case POL_FAIL_ON_NEVER:
		break;
	}
	return false;
}

int verb_diff(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_diff d;
	struct job j[2];
	int r = EXIT_BAD;
	bool right[2];

	for (int i = 0; i < 2; i++) {
		right[i] = job_lower(job_open(o, o->arg[i], &j[i]));
		if (!right[i])
			job_report(&j[i], stderr);
	}
	if (right[0] && right[1]) {
		const struct pol_ir *ir[] = { j[0].ir, j[1].ir };

		pol_diff_find(&d, ir, j[0].arena, 0);
		pol_diff_print(&d, o->json_answer, &out);
		r = fails(o, &d) ? EXIT_NO : EXIT_DONE;
		pol_diff_free(&d);
	}
	tool_print(stdout, &out);
	for (int i = 0; i < 2; i++)
		job_close(&j[i]);
	return r;
}
