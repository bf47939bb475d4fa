/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polc: the passes in their order, and what people see of them.
 *
 *	load      lang/resolve.h       text to checked syntax trees
 *	lower     compiler/lower.h     to the IR
 *	assert    compiler/analysis/assertions.h  what must hold
 *	tabulate  compiler/tabulate.h  to tables
 *	emit      compiler/emit.h      to C and the object
 */
#include <errno.h>

#include "compiler/dump.h"
#include "tool/verbs.h"

static int usage(const struct pol_err *e)
{
	tool_fail(e, EXIT_BAD);
	if (!e->help[0])
		fputs("  = help: polc --help\n", stderr);
	return EXIT_BAD;
}

static int run(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };

	if (o->dump && pol_pass_find(o->dump) == POL_PASS_MAX) {
		bool asked = strcmp(o->dump, "help") == 0;

		pol_pass_help(&out);
		tool_print(asked ? stdout : stderr, &out);
		if (asked)
			return EXIT_DONE;
		pol_err(&e, -EINVAL, "--dump=%s: there is no such pass; those above are there",
			o->dump);
		return tool_fail(&e, EXIT_BAD);
	}
	switch (o->verb) {
	case POL_VERB_COMPILE:
		return verb_compile(o);
	case POL_VERB_CHECK:
		return verb_check(o);
	case POL_VERB_FMT:
		return verb_fmt(o);
	case POL_VERB_LIST:
	case POL_VERB_GRAPH:
		return verb_list(o);
	case POL_VERB_EXPLAIN:
		return verb_explain(o);
	case POL_VERB_KEYGEN:
		return verb_keygen(o);
	case POL_VERB_SIGN:
		return verb_sign(o);
	case POL_VERB_LINT:
		return verb_lint(o);
	case POL_VERB_DIFF:
		return verb_diff(o);
	case POL_VERB_VERIFY:
		return verb_verify(o);
	case POL_VERB_LSP:
		return verb_lsp();
	case POL_VERB_IMPORT:
		return verb_import(o);
	case POL_VERB_MAX:
		break;
	}
	return EXIT_BAD;
}

int main(int argc, char **argv)
{
	struct pol_options o;
	struct pol_err e = { 0 };
	int r;

	if (pol_options_parse(argc, argv, &o, &e))
		return usage(&e);
	if (o.help)
		fputs(pol_options_help(o.verb), stdout), r = EXIT_DONE;
	else if (o.version)
		puts("polc " POLC_VERSION), r = EXIT_DONE;
	else if (o.code)
		r = verb_explain_code(o.code);
	else
		r = run(&o);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		pol_err(&e, -EIO, "cannot write to standard output: %s", strerror(errno));
		return tool_fail(&e, EXIT_SYSTEM);
	}
	return r;
}
