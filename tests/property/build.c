/* SPDX-License-Identifier: GPL-2.0-only */
#include "build.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "compiler/emit.h"
#include "compiler/lower.h"
#include "compiler/tabulate.h"

struct rest {
	struct pol_diags diags;
	struct pol_tables *tables;
};

static int refused(struct build *b, struct pol_buf *messages)
{
	struct rest *rest = b->rest;
	struct pol_render how = { 0 };

	pol_diags_render(messages, &rest->diags, b->program->sources, &how);
	return -EINVAL;
}

static int open_object(struct build *b, const struct build_paths *paths, struct pol_err *e)
{
	struct pol_object_options o = {
		.clang = paths->clang,
		.templates = paths->templates,
		.include = paths->include,
	};
	struct rest *rest = b->rest;
	char path[256];
	int r;

	snprintf(path, sizeof(path), "%s/policy.bpf.o", paths->scratch_dir);
	r = pol_object_write(rest->tables, &o, path, e);
	if (!r)
		r = prt_object_open(path, &b->object, e);
	unlink(path);
	return r;
}

int build_policy(struct build *b, const char *text, const struct build_paths *paths,
		 struct pol_buf *messages, struct pol_err *e)
{
	struct pol_memory_file files[] = { { "random.pol", pol_str(text) }, { 0 } };
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_capacity capacity = { .endpoint_kinds = 1024, .max_pages = 1 << 19 };
	struct rest *rest = calloc(1, sizeof(*rest));

	memset(b, 0, sizeof(*b));
	b->rest = rest;
	b->arena = pol_arena_new();
	pol_diags_init(&rest->diags, b->arena);
	b->program = pol_load("random.pol", &fs, b->arena, &rest->diags);
	if (rest->diags.n_errors)
		return refused(b, messages);
	b->ir = pol_lower(b->program, b->arena, &rest->diags);
	if (!b->ir)
		return refused(b, messages);
	rest->tables = pol_tabulate(b->ir, &capacity, &rest->diags);
	if (!rest->tables)
		return refused(b, messages);
	return open_object(b, paths, e);
}

void build_free(struct build *b)
{
	struct rest *rest = b->rest;

	prt_place_free(b->place);
	prt_object_free(b->object);
	if (rest) {
		pol_tables_free(rest->tables);
		pol_program_free(b->program);
		pol_diags_free(&rest->diags);
		free(rest);
	}
	pol_arena_free(b->arena);
	memset(b, 0, sizeof(*b));
}

int build_place(struct build *b, const struct world *w, struct pol_err *e)
{
	prt_place_free(b->place);
	b->place = NULL;
	return world_place_all(w, b->object, &b->place, e);
}
