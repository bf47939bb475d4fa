/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/dump.h"
#include "compiler/emit.h"
#include "compiler/stats.h"
#include "tool/verbs.h"

/* ---- polc FILE ---------------------------------------------------------------- */

static int dump(struct job *j)
{
	enum pol_pass pass = pol_pass_find(j->o->dump);
	struct pol_buf out = { 0 };

	if (pass == POL_PASS_AST) {
		pol_dump_ast(j->program, &out);
	} else if (pass <= POL_PASS_DECISIONS) {
		if (job_lower(j))
			pol_dump_ir(j->ir, pass, &out);
	} else if (job_tabulate(j)) {
		pol_dump_tables(j->tables, pass, &out);
	}
	tool_print(stdout, &out);
	job_report(j, stderr);
	return j->diags.n_errors ? EXIT_BAD : EXIT_DONE;
}

/* FILE.pol to FILE.bpf.o beside it. */
static struct pol_str default_output(struct job *j)
{
	struct pol_str path = pol_str(j->path), suffix = POL_STR(".pol");

	if (path.n > suffix.n && memcmp(path.p + path.n - suffix.n, suffix.p, suffix.n) == 0)
		path.n -= suffix.n;
	return pol_arena_printf(j->arena, "%.*s.bpf.%c", POL_STR_ARG(path), j->o->to_c ? 'c' : 'o');
}

/* Writing over a source would lose it. */
static int check_output(const struct job *j, const char *out, struct pol_err *e)
{
	struct stat to, from;

	if (stat(out, &to) != 0)
		return 0;
	if (S_ISDIR(to.st_mode))
		return pol_err(e, -EISDIR, "%s: is a directory", out);
	for (size_t i = 0; i < j->program->sources->all.n; i++) {
		const char *path = j->program->sources->all.v[i]->path.p;

		if (stat(path, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
			return pol_err(e, -EINVAL, "%s: would be written over by its own output",
				       out);
	}
	return 0;
}

static const char *choose(const char *given, const char *env, const char *built_in)
{
	const char *set = getenv(env);

	return given ? given : set && set[0] ? set : built_in;
}

static int write_object(struct job *j, const char *path, struct pol_err *e)
{
	struct pol_object_options how = {
		.clang = choose(j->o->clang, "POLC_CLANG", POLC_CLANG),
		.templates = choose(j->o->templates, "POLC_TEMPLATES", POLC_TEMPLATEDIR),
		.include = choose(j->o->include, "POLC_INCLUDE", POLC_INCLUDEDIR),
	};

	return pol_object_write(j->tables, &how, path, e);
}

/* To standard output by a file of our own, so that half an object is never sent. */
static int object_to_stdout(struct job *j, struct pol_err *e)
{
	const char *dir = getenv("TMPDIR");
	struct pol_str path =
		pol_arena_printf(j->arena, "%s/polc.XXXXXX", dir && dir[0] ? dir : "/tmp");
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	struct pol_buf out = { 0 };
	int r;

	if (isatty(STDOUT_FILENO))
		return pol_err(e, -EINVAL,
			       "standard output is a terminal: an object is not for people");
	fd = mkstemp((char *)path.p);
	if (fd < 0)
		return pol_err(e, -errno, "%s: cannot create: %s", path.p, strerror(errno));
	r = write_object(j, path.p, e);
	if (!r)
		r = pol_read_file(path.p, SIZE_MAX, &out.p, &out.n, e);
	unlink(path.p);
	tool_print(stdout, &out);
	return r;
}

static int write_output(struct job *j, struct pol_err *e)
{
	struct pol_buf c = { 0 };
	const char *path = j->o->out;
	int r;

	if (!path)
		path = default_output(j).p;
	r = tool_is_stdout(path) ? 0 : check_output(j, path, e);
	if (r)
		return r;
	if (!j->o->to_c)
		return tool_is_stdout(path) ? object_to_stdout(j, e) : write_object(j, path, e);
	pol_emit_c(j->tables, &c);
	if (tool_is_stdout(path))
		tool_print(stdout, &c);
	else
		r = pol_write_file(path, c.p, c.n, e);
	pol_buf_free(&c);
	return r;
}

int verb_compile(const struct pol_options *o)
{
	struct pol_buf stats = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = EXIT_BAD;

	job_open(o, o->arg[0], &j);
	if (o->dump) {
		r = dump(&j);
	} else if (job_tabulate_proved(&j)) {
		job_report(&j, stderr);
		r = write_output(&j, &e);
		if (r)
			r = tool_fail(&e, r == -EINVAL || r == -EISDIR ? EXIT_BAD : EXIT_SYSTEM);
		else if (o->stats)
			pol_stats(j.tables, &stats);
		/* The C or the object may be on standard output. */
		tool_print(tool_is_stdout(o->out) ? stderr : stdout, &stats);
	} else {
		job_report(&j, stderr);
		r = job_exit_code(&j);
	}
	job_close(&j);
	return r;
}

/* ---- polc check --------------------------------------------------------------- */

/* One JSON array for all files; text has no frame. */
int verb_check(const struct pol_options *o)
{
	struct pol_render how = { .json = true };
	struct pol_buf all = { 0 };
	int r = EXIT_DONE;
	struct job j;

	for (int i = 0; i < o->n_args; i++) {
		job_tabulate_proved(job_open(o, o->arg[i], &j));
		if (job_exit_code(&j) > r)
			r = job_exit_code(&j);
		if (!o->json_diags)
			job_report(&j, stdout);
		pol_diags_sort(&j.diags);
		for (size_t k = 0; o->json_diags && k < j.diags.all.n; k++) {
			pol_buf_addz(&all, all.n ? ",\n" : "");
			pol_diag_render(&all, j.diags.all.v[k], j.program->sources, &how);
			while (all.n && all.p[all.n - 1] == '\n')
				all.p[--all.n] = '\0';
		}
		job_close(&j);
	}
	if (o->json_diags)
		printf("[%s%s%s]\n", all.n ? "\n" : "", all.n ? all.p : "", all.n ? "\n" : "");
	pol_buf_free(&all);
	return r;
}
