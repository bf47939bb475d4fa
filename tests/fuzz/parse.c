/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of scanner, parser, resolver, diagnostics and formatter.
 *
 * Input is one policy file; a byte 0x1e cuts it into several files, the second
 * called b.pol, then c.pol ... and l.txt last, so that imports and lists are reached.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"
#include "lang/ast.h"
#include "lang/diag.h"
#include "lang/format.h"
#include "lang/resolve.h"
#include "lang/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FILES 4

static const char *const names[FILES] = { "a.pol", "b.pol", "c.pol", "l.txt" };

static size_t cut(const char *p, size_t n, struct pol_memory_file files[FILES + 1])
{
	size_t count = 0;

	while (count < FILES) {
		const char *end = count + 1 < FILES ? memchr(p, 0x1e, n) : NULL;
		size_t len = end ? (size_t)(end - p) : n;

		files[count].path = names[count];
		files[count].text = (struct pol_str){ p, len };
		count++;
		if (!end)
			break;
		p = end + 1;
		n -= len + 1;
	}
	files[count] = (struct pol_memory_file){ 0 };
	return count;
}

static void render(const struct pol_diags *d, const struct pol_sources *s)
{
	struct pol_buf out = { 0 };

	pol_diags_render(&out, d, s, &(struct pol_render){ .json = false });
	pol_diags_render(&out, d, s, &(struct pol_render){ .json = true });
	pol_diags_render(&out, d, s, &(struct pol_render){ .colour = true, .max = 3 });
	pol_buf_free(&out);
}

static void whole_program(const struct pol_fs *fs)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_diags diags;
	struct pol_program *program;

	pol_diags_init(&diags, a);
	program = pol_load("a.pol", fs, a, &diags);
	pol_diags_sort(&diags);
	render(&diags, program->sources);
	if (!diags.n_errors)
		pol_flow_parse(program, POL_STR("from any to world on tcp 80 GET \"/x\""), &diags);
	pol_program_free(program);
	pol_diags_free(&diags);
	pol_arena_free(a);
}

static struct pol_source *add(struct pol_program *p, struct pol_arena *a, struct pol_str text)
{
	return pol_source_add(p->sources, POL_STR("a.pol"), POL_STR("a.pol"), pol_arena_str(a, text));
}

/* The tree as text; false if it does not parse. */
static bool dump(struct pol_program *p, struct pol_source *src, struct pol_diags *d,
		 struct pol_buf *out)
{
	struct pol_file *f = pol_parse_file(p, src, d);

	if (!f || d->n_errors)
		return false;
	pol_ast_dump(out, f);
	return true;
}

/* What parses has a layout, which means the same and is its own layout. */
static void layout(struct pol_str text)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_program *p = pol_program_new(a);
	struct pol_buf once = { 0 }, twice = { 0 }, tree = { 0 }, again = { 0 };
	struct pol_source *src = add(p, a, text);
	struct pol_diags d;

	pol_diags_init(&d, a);
	if (!pol_format(p->sources, src, &d, &once)) {
		struct pol_source *laid = add(p, a, pol_buf_str(&once));

		if (pol_format(p->sources, laid, &d, &twice))
			abort();
		if (!pol_str_eq(pol_buf_str(&once), pol_buf_str(&twice)))
			abort();
		if (dump(p, src, &d, &tree) &&
		    (!dump(p, laid, &d, &again) || !pol_str_eq(pol_buf_str(&tree), pol_buf_str(&again))))
			abort();
	}
	pol_buf_free(&once);
	pol_buf_free(&twice);
	pol_buf_free(&tree);
	pol_buf_free(&again);
	pol_diags_free(&d);
	pol_program_free(p);
	pol_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_memory_file files[FILES + 1];
	struct pol_fs fs;

	/* Texts end in a NUL that is not counted; the input has none. */
	char *copy = malloc(n + 1);

	memcpy(copy, data, n);
	copy[n] = 0;
	cut(copy, n, files);
	fs = pol_fs_memory(files);
	whole_program(&fs);
	layout(files[0].text);
	free(copy);
	return 0;
}
