/* SPDX-License-Identifier: GPL-2.0-only */
#include "tool/job.h"

#include <unistd.h>

#include "compiler/analysis/assertions.h"
#include "compiler/lower.h"

/* ---- printing ----------------------------------------------------------------- */

void tool_print(FILE *to, struct pol_buf *b)
{
	if (b->n)
		fwrite(b->p, 1, b->n, to);
	pol_buf_free(b);
}

int tool_fail(const struct pol_err *e, int code)
{
	fprintf(stderr, "polc: error: %s\n", e->text[0] ? e->text : "unknown error");
	if (e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	return code;
}

bool tool_colour(const struct pol_options *o, FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (o->colour != POL_COLOUR_AUTO)
		return o->colour == POL_COLOUR_ALWAYS;
	return !(no && no[0]) && isatty(fileno(to)) && !(term && strcmp(term, "dumb") == 0);
}

bool tool_is_stdout(const char *path)
{
	return path && (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0);
}

/* ---- one compilation ---------------------------------------------------------- */

struct job *job_open(const struct pol_options *o, const char *path, struct job *j)
{
	*j = (struct job){ .o = o, .path = path, .arena = pol_arena_new() };
	pol_diags_init(&j->diags, j->arena);
	j->program = pol_load(path, NULL, j->arena, &j->diags);
	return j;
}

void job_close(struct job *j)
{
	pol_tables_free(j->tables);
	pol_program_free(j->program);
	pol_diags_free(&j->diags);
	pol_arena_free(j->arena);
}

bool job_lower(struct job *j)
{
	if (!j->diags.n_errors)
		j->ir = pol_lower(j->program, j->arena, &j->diags);
	return j->ir != NULL;
}

/* With the room that was asked for. */
static void make_tables(struct job *j)
{
	struct pol_capacity cap = POL_CAPACITY_DEFAULT;

	if (j->o->endpoint_kinds) {
		cap.endpoint_kinds = j->o->endpoint_kinds;
		cap.kinds_asked = true;
	}
	j->tables = pol_tabulate(j->ir, &cap, &j->diags);
}

bool job_tabulate(struct job *j)
{
	if (job_lower(j))
		make_tables(j);
	return j->tables != NULL;
}

/* What must hold before anything comes into force. */
bool job_tabulate_proved(struct job *j)
{
	if (job_lower(j))
		pol_check_assertions(j->ir, j->arena, &j->diags);
	if (j->ir && (!j->diags.n_errors || pol_only_assertions_fail(&j->diags)))
		make_tables(j);
	return j->tables != NULL && !j->diags.n_errors;
}

int job_exit_code(const struct job *j)
{
	if (!j->diags.n_errors)
		return EXIT_DONE;
	return pol_only_assertions_fail(&j->diags) ? EXIT_NO : EXIT_BAD;
}

void job_report(struct job *j, FILE *to)
{
	struct pol_render how = { .json = j->o->json_diags, .colour = tool_colour(j->o, to) };
	struct pol_buf out = { 0 };

	pol_diags_sort(&j->diags);
	if (j->diags.all.n || how.json)
		pol_diags_render(&out, &j->diags, j->program->sources, &how);
	tool_print(to, &out);
}
