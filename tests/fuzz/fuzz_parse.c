/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of scanner, parser, resolver, diagnostics, flows and formatter.
 *
 * The input is one policy (texts.h). What the fuzzer asks for beyond
 * not crashing: a text that parses is laid out, the layout parses to the same
 * tree, and laying it out again changes nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "lang/ast.h"
#include "lang/diag.h"
#include "lang/format.h"
#include "lang/resolve.h"
#include "texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void render(const struct pol_diags *d, const struct pol_sources *s)
{
	struct pol_buf out = { 0 };

	pol_diags_render(&out, d, s, &(struct pol_render){ .json = false });
	pol_diags_render(&out, d, s, &(struct pol_render){ .json = true });
	pol_diags_render(&out, d, s, &(struct pol_render){ .colour = true, .max = 3 });
	pol_buf_free(&out);
}

/* The first line is tried as a flow too. */
static void flow(struct pol_program *p, struct pol_str text, struct pol_diags *d)
{
	const char *eol = text.n ? memchr(text.p, '\n', text.n) : NULL;

	if (eol)
		text.n = (size_t)(eol - text.p);
	pol_flow_parse(p, text, d);
	pol_flow_parse(p, POL_STR("from any to world on tcp 80 GET \"/x\""), d);
}

static void whole_program(const struct pol_memory_file *files)
{
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_arena *a = pol_arena_new();
	struct pol_program *p;
	struct pol_diags d;

	pol_diags_init(&d, a);
	p = pol_load("a.pol", &fs, a, &d);
	flow(p, files[0].text, &d);
	pol_diags_sort(&d);
	render(&d, p->sources);
	pol_diags_free(&d);
	pol_program_free(p);
	pol_arena_free(a);
}

/* The layout of a text and its tree; false: it does not parse. */
static bool lay_out(struct pol_arena *a, struct pol_str text, struct pol_buf *layout,
		    struct pol_buf *tree)
{
	struct pol_program *p = pol_program_new(a);
	struct pol_source *src =
		pol_source_add(p->sources, POL_STR("x.pol"), POL_STR("x.pol"), text);
	struct pol_diags d, again;
	bool ok;

	pol_diags_init(&d, a);
	pol_diags_init(&again, a);
	ok = pol_format(p->sources, src, &d, layout) == 0;
	if (ok)
		pol_ast_dump(tree, pol_parse_file(p, src, &again));
	pol_diags_free(&d);
	pol_diags_free(&again);
	pol_program_free(p);
	return ok;
}

static void format_twice(struct pol_str text)
{
	struct pol_buf once = { 0 }, twice = { 0 }, tree = { 0 }, tree_again = { 0 };
	struct pol_arena *a = pol_arena_new();

	if (lay_out(a, text, &once, &tree)) {
		if (!lay_out(a, pol_arena_str(a, pol_buf_str(&once)), &twice, &tree_again))
			abort(); /* the layout does not parse */
		if (!pol_str_eq(pol_buf_str(&tree), pol_buf_str(&tree_again)))
			abort(); /* it means something else */
		if (!pol_str_eq(pol_buf_str(&once), pol_buf_str(&twice)))
			abort(); /* it has another layout */
	}
	pol_buf_free(&once);
	pol_buf_free(&twice);
	pol_buf_free(&tree);
	pol_buf_free(&tree_again);
	pol_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_memory_file files[FILES + 1];
	char *copy = malloc(n + 1); /* texts end in a NUL that is not counted; the input has none */

	if (!copy)
		return 0;
	if (n)
		memcpy(copy, data, n);
	copy[n] = '\0';
	cut(copy, n, files);
	whole_program(files);
	format_twice(files[0].text);
	free(copy);
	return 0;
}
