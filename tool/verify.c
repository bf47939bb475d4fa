/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <unistd.h>

#include "tool/verbs.h"
#include "verify/verify.h"

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
			pol_no_memory();
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
		return tool_fail(&e, r == -EINVAL ? EXIT_BAD : EXIT_SYSTEM);
	}
	ver_print(&report, j->o->json_answer, &out);
	tool_print(stdout, &out);
	return ver_equal(&report) ? EXIT_DONE : EXIT_NO;
}

int verb_verify(const struct pol_options *o)
{
	struct prt_object *object POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err e = { 0 };
	const char *policy = o->n_args > 1 ? o->arg[1] : NULL;
	char *found POL_CLEANUP(pol_cleanup_free) = NULL;
	int r = EXIT_BAD;
	struct job j;

	if (prt_object_open(o->arg[0], &object, &e))
		return tool_fail(&e, EXIT_BAD);
	if (!policy && !(policy = found = policy_of(object, o->arg[0], &e)))
		return tool_fail(&e, EXIT_BAD);
	if (job_lower(job_open(o, policy, &j)))
		r = verify_ir(&j, object);
	else
		job_report(&j, stderr);
	job_close(&j);
	return r;
}
