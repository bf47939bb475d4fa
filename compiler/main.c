/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * polc: the passes in their order, and what people see of them.
 *
 *	load      lang/resolve.h       text to checked syntax trees
 *	lower     compiler/lower.h     to the IR
 *	assert    compiler/assertions.h  what must hold
 *	tabulate  compiler/tabulate.h  to tables
 *	emit      compiler/emit.h      to C and the object
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sign.h"
#include "compiler/analysis/assertions.h"
#include "compiler/analysis/diff.h"
#include "compiler/dump.h"
#include "compiler/emit.h"
#include "compiler/analysis/explain.h"
#include "compiler/import/import.h"
#include "compiler/analysis/fix.h"
#include "compiler/analysis/lint.h"
#include "compiler/graph.h"
#include "compiler/list.h"
#include "compiler/lower.h"
#include "compiler/options.h"
#include "compiler/analysis/sarif.h"
#include "compiler/stats.h"
#include "compiler/workloads.h"
#include "lang/format.h"
#include "lsp/lsp.h"
#include "verify/verify.h"

enum { EXIT_DONE, EXIT_NO, EXIT_BAD, EXIT_SYSTEM };

/* ---- printing ----------------------------------------------------------------- */

static void print(FILE *to, struct pol_buf *b)
{
	if (b->n)
		fwrite(b->p, 1, b->n, to);
	pol_buf_free(b);
}

static int fail(const struct pol_err *e, int code)
{
	fprintf(stderr, "polc: error: %s\n", e->text[0] ? e->text : "unknown error");
	if (e->help[0])
		fprintf(stderr, "  = help: %s\n", e->help);
	return code;
}

static int usage(const struct pol_err *e)
{
	fail(e, EXIT_BAD);
	fputs("  = help: polc --help\n", stderr);
	return EXIT_BAD;
}

static bool colour_on(const struct pol_options *o, FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (o->colour != POL_COLOUR_AUTO)
		return o->colour == POL_COLOUR_ALWAYS;
	return !(no && no[0]) && isatty(fileno(to)) && !(term && strcmp(term, "dumb") == 0);
}

/* ---- one compilation ---------------------------------------------------------- */

struct job {
	const struct pol_options *o;
	const char *path;
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *program;
	struct pol_ir *ir;
	struct pol_tables *tables;
};

static struct job *job_open(const struct pol_options *o, const char *path, struct job *j)
{
	*j = (struct job){ .o = o, .path = path, .arena = pol_arena_new() };
	pol_diags_init(&j->diags, j->arena);
	j->program = pol_load(path, NULL, j->arena, &j->diags);
	return j;
}

static void job_close(struct job *j)
{
	pol_tables_free(j->tables);
	pol_program_free(j->program);
	pol_diags_free(&j->diags);
	pol_arena_free(j->arena);
}

static bool lower(struct job *j)
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

static bool tabulate(struct job *j)
{
	if (lower(j))
		make_tables(j);
	return j->tables != NULL;
}

/* What must hold before anything comes into force. */
static bool tabulate_proved(struct job *j)
{
	if (lower(j))
		pol_check_assertions(j->ir, j->arena, &j->diags);
	if (j->ir && (!j->diags.n_errors || pol_only_assertions_fail(&j->diags)))
		make_tables(j);
	return j->tables != NULL && !j->diags.n_errors;
}

static int exit_code(const struct job *j)
{
	if (!j->diags.n_errors)
		return EXIT_DONE;
	return pol_only_assertions_fail(&j->diags) ? EXIT_NO : EXIT_BAD;
}

static void report(struct job *j, FILE *to)
{
	struct pol_render how = { .json = j->o->json_diags, .colour = colour_on(j->o, to) };
	struct pol_buf out = { 0 };

	pol_diags_sort(&j->diags);
	if (j->diags.all.n || how.json)
		pol_diags_render(&out, &j->diags, j->program->sources, &how);
	print(to, &out);
}

/* ---- polc FILE ---------------------------------------------------------------- */

static int dump(struct job *j)
{
	enum pol_pass pass = pol_pass_find(j->o->dump);
	struct pol_buf out = { 0 };

	if (pass == POL_PASS_AST) {
		pol_dump_ast(j->program, &out);
	} else if (pass <= POL_PASS_DECISIONS) {
		if (lower(j))
			pol_dump_ir(j->ir, pass, &out);
	} else if (tabulate(j)) {
		pol_dump_tables(j->tables, pass, &out);
	}
	print(stdout, &out);
	report(j, stderr);
	return j->diags.n_errors ? EXIT_BAD : EXIT_DONE;
}

static bool is_stdout(const char *path)
{
	return path && (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0);
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
	print(stdout, &out);
	return r;
}

static int write_output(struct job *j, struct pol_err *e)
{
	struct pol_buf c = { 0 };
	const char *path = j->o->out;
	int r;

	if (!path)
		path = default_output(j).p;
	r = is_stdout(path) ? 0 : check_output(j, path, e);
	if (r)
		return r;
	if (!j->o->to_c)
		return is_stdout(path) ? object_to_stdout(j, e) : write_object(j, path, e);
	pol_emit_c(j->tables, &c);
	if (is_stdout(path))
		print(stdout, &c);
	else
		r = pol_write_file(path, c.p, c.n, e);
	pol_buf_free(&c);
	return r;
}

static int compile(const struct pol_options *o)
{
	struct pol_buf stats = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = EXIT_BAD;

	job_open(o, o->arg[0], &j);
	if (o->dump) {
		r = dump(&j);
	} else if (tabulate_proved(&j)) {
		report(&j, stderr);
		r = write_output(&j, &e);
		if (r)
			r = fail(&e, r == -EINVAL || r == -EISDIR ? EXIT_BAD : EXIT_SYSTEM);
		else if (o->stats)
			pol_stats(j.tables, &stats);
		/* The C or the object may be on standard output. */
		print(is_stdout(o->out) ? stderr : stdout, &stats);
	} else {
		report(&j, stderr);
		r = exit_code(&j);
	}
	job_close(&j);
	return r;
}

/* ---- polc check --------------------------------------------------------------- */

/* One JSON array for all files; text has no frame. */
static int check(const struct pol_options *o)
{
	struct pol_render how = { .json = true };
	struct pol_buf all = { 0 };
	int r = EXIT_DONE;
	struct job j;

	for (int i = 0; i < o->n_args; i++) {
		tabulate_proved(job_open(o, o->arg[i], &j));
		if (exit_code(&j) > r)
			r = exit_code(&j);
		if (!o->json_diags)
			report(&j, stdout);
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

static int list(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = EXIT_BAD, wrong = 0;

	job_open(o, o->arg[0], &j);
	if (lower(&j)) {
		if (o->workloads)
			wrong = pol_list_workloads(j.ir, o->workloads, j.arena, &out, &e);
		else
			print_list(&j, &out);
		r = wrong ? fail(&e, wrong == -EINVAL ? EXIT_BAD : EXIT_SYSTEM) : EXIT_DONE;
	}
	print(stdout, &out);
	report(&j, stderr);
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

static int explain(const struct pol_options *o)
{
	struct pol_explanation x;
	struct pol_buf out = { 0 };
	struct pol_flow *flow = NULL;
	struct job j;
	int r = EXIT_BAD;

	job_open(o, o->arg[0], &j);
	if (lower(&j))
		flow = pol_flow_parse(j.program, flow_text(&j), &j.diags);
	if (flow && pol_explain(j.ir, j.program, flow, j.arena, &j.diags, &x)) {
		pol_explain_print(j.ir, &x, o->json_answer, j.arena, &out);
		r = x.action == POL_ALLOW ? EXIT_DONE : EXIT_NO;
	}
	print(stdout, &out);
	report(&j, stderr);
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
		fprintf(stderr, "polc: %s: that nothing changes could not be proved; left as it is\n", path);
	else if (!r)
		fprintf(stderr, "polc: %s: %u rules and %u prefixes taken out\n", path, f.rules,
			f.prefixes);
	pol_buf_free(&f.text);
	/* Errors are told by what follows. */
	return r == -EINVAL ? 0 : r ? fail(&e, EXIT_SYSTEM) : 0;
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

static int lint(const struct pol_options *o)
{
	struct pol_render how = { .json = o->json_diags || o->json_answer,
				  .colour = colour_on(o, stdout),
				  .max = POL_DIAG_KEEP };
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	struct job j;
	int r = o->fix ? fix(o) : 0;

	if (r)
		return r;
	r = EXIT_BAD;
	job_open(o, o->arg[0], &j);
	if (lower(&j)) {
		pol_lint(j.ir, j.program, j.arena, &j.diags);
		if (o->host && lint_host(&j, &e)) {
			job_close(&j);
			return fail(&e, e.code == -EINVAL ? EXIT_BAD : EXIT_SYSTEM);
		}
		r = j.diags.n_warnings ? EXIT_NO : EXIT_DONE;
	}
	pol_diags_sort(&j.diags);
	if (o->sarif)
		pol_sarif(&out, &j.diags, j.program->sources);
	else if (j.diags.all.n || how.json)
		pol_diags_render(&out, &j.diags, j.program->sources, &how);
	print(stdout, &out);
	job_close(&j);
	return r;
}

/* ---- polc diff ---------------------------------------------------------------- */

static bool fails(const struct pol_options *o, const struct pol_diff *d)
{
	bool widened = pol_diff_count(d, POL_CHANGE_WIDENED),
	     narrowed = pol_diff_count(d, POL_CHANGE_NARROWED),
	     unclear = d->undecided || d->requests;

	switch (o->fail_on) {
	case POL_FAIL_ON_ANY:
		return d->changes.n || unclear;
	case POL_FAIL_ON_WIDEN:
		return widened || unclear;
	case POL_FAIL_ON_NARROW:
		return narrowed || unclear;
	case POL_FAIL_ON_NEVER:
		break;
	}
	return false;
}

static int diff(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_diff d;
	struct job j[2];
	int r = EXIT_BAD;
	bool right[2];

	for (int i = 0; i < 2; i++) {
		right[i] = lower(job_open(o, o->arg[i], &j[i]));
		if (!right[i])
			report(&j[i], stderr);
	}
	if (right[0] && right[1]) {
		const struct pol_ir *ir[] = { j[0].ir, j[1].ir };

		pol_diff_find(&d, ir, j[0].arena, 0);
		pol_diff_print(&d, o->json_answer, &out);
		r = fails(o, &d) ? EXIT_NO : EXIT_DONE;
		pol_diff_free(&d);
	}
	print(stdout, &out);
	for (int i = 0; i < 2; i++)
		job_close(&j[i]);
	return r;
}

/* ---- polc verify -------------------------------------------------------------- */

/* The policy that the object names: beside it, else here. */
static char *policy_of(const struct prt_object *o, const char *object, struct pol_err *e)
{
	const char *slash = strrchr(object, '/');
	struct pol_str name = o->manifest.policy;
	char *path;

	/* A name and no more, whatever the object says. */
	if (!name.n || memchr(name.p, '/', name.n) || pol_str_is(name, "..")) {
		pol_err(e, -EINVAL, "%s: does not say which policy it was made of", object);
		return NULL;
	}
	for (int beside = 1; beside >= 0; beside--) {
		if (asprintf(&path, "%.*s%.*s", slash && beside ? (int)(slash - object + 1) : 0,
			     object, POL_STR_ARG(name)) < 0)
			abort();
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	pol_err(e, -ENOENT, "%s: its policy %.*s is neither beside it nor here", object,
		POL_STR_ARG(name));
	pol_err_help(e, "polc verify OBJ FILE");
	return NULL;
}

static int verify_ir(struct job *j, const struct prt_object *object)
{
	struct ver_report report = { .arena = j->arena, .ir = j->ir, .object = object };
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	int r = ver_tables(&report, &e);

	if (!r && ver_equal(&report) && !j->o->tables_only)
		r = ver_packets(&report, j->o->host, &e);
	if (r) {
		pol_err_help(&e, "--tables-only compares the tables alone");
		return fail(&e, r == -EINVAL ? EXIT_BAD : EXIT_SYSTEM);
	}
	ver_print(&report, j->o->json_answer, &out);
	print(stdout, &out);
	return ver_equal(&report) ? EXIT_DONE : EXIT_NO;
}

static int verify(const struct pol_options *o)
{
	struct prt_object *object POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err e = { 0 };
	const char *policy = o->n_args > 1 ? o->arg[1] : NULL;
	char *found POL_CLEANUP(pol_cleanup_free) = NULL;
	int r = EXIT_BAD;
	struct job j;

	if (prt_object_open(o->arg[0], &object, &e))
		return fail(&e, EXIT_BAD);
	if (!policy && !(policy = found = policy_of(object, o->arg[0], &e)))
		return fail(&e, EXIT_BAD);
	if (lower(job_open(o, policy, &j)))
		r = verify_ir(&j, object);
	else
		report(&j, stderr);
	job_close(&j);
	return r;
}

/* ---- polc lsp ----------------------------------------------------------------- */

static int lsp(void)
{
	struct pol_err e = { 0 };
	int r = lsp_serve(STDIN_FILENO, STDOUT_FILENO, &e);

	return r < 0 ? fail(&e, r == -EBADMSG ? EXIT_BAD : EXIT_SYSTEM) : r;
}

/* ---- polc import -------------------------------------------------------------- */

static int write_or_print(const char *path, struct pol_buf *b, struct pol_err *e)
{
	int r = 0;

	if (!path || is_stdout(path))
		print(stdout, b);
	else
		r = pol_write_file(path, b->p, b->n, e);
	return r;
}

static int import(const struct pol_options *o)
{
	struct pol_import_options how = { .lax = o->lax };
	struct pol_import_result out = { 0 };
	struct pol_err e = { 0 };
	int r = pol_import(o->arg, (size_t)o->n_args, &how, &out, &e);
	int code = r == -EINVAL ? EXIT_BAD : EXIT_SYSTEM;

	print(stderr, &out.said);
	if (!r && o->host) {
		r = pol_write_file(o->host, out.host.p, out.host.n, &e);
		code = EXIT_SYSTEM;
	}
	if (!r) {
		r = write_or_print(o->out, &out.policy, &e);
		code = EXIT_SYSTEM;
	}
	pol_import_free(&out);
	return r ? fail(&e, code) : EXIT_DONE;
}

/* ---- polc --explain ----------------------------------------------------------- */

static int explain_code(const char *code)
{
	static const char *const severities[] = {
		[POL_ERROR] = "error",
		[POL_WARNING] = "warning",
		[POL_NOTE] = "note",
	};
	const struct pol_message *m = pol_message_find(code);
	struct pol_err e = { 0 };

	if (!m) {
		pol_err(&e, -EINVAL, "there is no diagnostic %s", code);
		pol_err_help(
			&e,
			"codes look like P0217 and stand in brackets behind `error` or `warning`");
		return fail(&e, EXIT_BAD);
	}
	printf("%s[P%04u]: %s\n\n%s", severities[m->severity], m->number, m->title, m->text);
	return EXIT_DONE;
}

/* ---- polc fmt ----------------------------------------------------------------- */

static int fmt_file(const struct pol_options *o, const char *path)
{
	struct pol_render how = { .json = o->json_diags, .colour = colour_on(o, stderr) };
	struct pol_buf out = { 0 }, said = { 0 };
	struct pol_err e = { 0 };
	bool same = false;
	int r = EXIT_BAD;

	if (pol_format_file(path, NULL, &how, &out, &same, &said) == 0) {
		r = o->check && !same ? EXIT_NO : EXIT_DONE;
		if (r == EXIT_NO) {
			pol_buf_clean(&said, pol_str(path));
			pol_buf_addz(&said, ": not in the canonical layout\n");
			print(stdout, &said);
		}
		if (o->write && !same && pol_write_file(path, out.p, out.n, &e))
			r = fail(&e, EXIT_SYSTEM);
		if (!o->write && !o->check)
			print(stdout, &out);
	}
	print(stderr, &said);
	pol_buf_free(&out);
	return r;
}

static int fmt(const struct pol_options *o)
{
	int worst = EXIT_DONE;

	for (int i = 0; i < o->n_args; i++) {
		int r = fmt_file(o, o->arg[i]);

		if (r > worst)
			worst = r;
	}
	return worst;
}

/* ---- polc keygen, polc sign --------------------------------------------------- */

static int keygen(const struct pol_options *o)
{
	struct pol_err e = { 0 };
	int r = pol_keygen(o->arg[0], &e);

	if (r)
		return fail(&e, r == -EEXIST ? EXIT_BAD : EXIT_SYSTEM);
	printf("%s: the secret key\n%s.pub: the public one\n", o->arg[0], o->arg[0]);
	return EXIT_DONE;
}

static int sign_file(const struct pol_secret_key *key, const char *path, struct pol_err *e)
{
	char *to POL_CLEANUP(pol_cleanup_free) = NULL;
	char *data POL_CLEANUP(pol_cleanup_free) = NULL;
	uint8_t signature[POL_SIGN_BYTES];
	size_t n;
	int r = pol_read_file(path, SIZE_MAX, &data, &n, e);

	if (r)
		return r;
	if (asprintf(&to, "%s" POL_SIGN_SUFFIX, path) < 0)
		abort();
	pol_sign(key, data, n, signature);
	return pol_write_file(to, signature, sizeof(signature), e);
}

static int sign(const struct pol_options *o)
{
	struct pol_secret_key key;
	struct pol_err e = { 0 };
	int r = pol_secret_key_read(o->key, &key, &e);

	if (r)
		return fail(&e, EXIT_BAD);
	for (int i = 0; i < o->n_args && !r; i++)
		r = sign_file(&key, o->arg[i], &e);
	pol_secret_key_wipe(&key);
	return r ? fail(&e, r == -ENOENT || r == -EISDIR ? EXIT_BAD : EXIT_SYSTEM) : EXIT_DONE;
}

/* ---- main --------------------------------------------------------------------- */

static int run(const struct pol_options *o)
{
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };

	if (o->dump && pol_pass_find(o->dump) == POL_PASS_MAX) {
		bool asked = strcmp(o->dump, "help") == 0;

		pol_pass_help(&out);
		print(asked ? stdout : stderr, &out);
		if (asked)
			return EXIT_DONE;
		pol_err(&e, -EINVAL, "--dump=%s: there is no such pass; those above are there",
			o->dump);
		return fail(&e, EXIT_BAD);
	}
	switch (o->verb) {
	case POL_VERB_COMPILE:
		return compile(o);
	case POL_VERB_CHECK:
		return check(o);
	case POL_VERB_FMT:
		return fmt(o);
	case POL_VERB_LIST:
	case POL_VERB_GRAPH:
		return list(o);
	case POL_VERB_EXPLAIN:
		return explain(o);
	case POL_VERB_KEYGEN:
		return keygen(o);
	case POL_VERB_SIGN:
		return sign(o);
	case POL_VERB_LINT:
		return lint(o);
	case POL_VERB_DIFF:
		return diff(o);
	case POL_VERB_VERIFY:
		return verify(o);
	case POL_VERB_LSP:
		return lsp();
	case POL_VERB_IMPORT:
		return import(o);
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
		r = explain_code(o.code);
	else
		r = run(&o);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		pol_err(&e, -EIO, "cannot write to standard output: %s", strerror(errno));
		return fail(&e, EXIT_SYSTEM);
	}
	return r;
}
