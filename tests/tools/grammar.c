/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which productions of the grammar policies use: grammar FLOW FILE...
 *
 * Reads the files, and the flow as an `explain` of the last one would, with the trace of bison's parser, which this
 * program alone is built with. On standard error, among the rest: "Reducing stack by rule N (line L):", a line of
 * lang/parse.y. Exit code 1: a text is wrong.
 */
#include "base/base.h"
#include "lang/ast.h"
#include "lang/diag.h"
#include "lang/resolve.h"

extern int pol_yydebug;

static int read_policy(const char *path, const char *flow)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_program *p;
	struct pol_diags d;
	int wrong;

	pol_diags_init(&d, a);
	p = pol_load(path, NULL, a, &d);
	if (flow)
		pol_flow_parse(p, pol_str(flow), &d);
	wrong = d.n_errors > 0;
	pol_diags_free(&d);
	pol_program_free(p);
	pol_arena_free(a);
	return wrong;
}

int main(int argc, char **argv)
{
	int wrong = argc < 3;

	pol_yydebug = 1;
	for (int i = 2; i < argc; i++)
		wrong |= read_policy(argv[i], i == argc - 1 ? argv[1] : NULL);
	return wrong;
}
