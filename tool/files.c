/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <unistd.h>

#include "base/sign.h"
#include "compiler/import/import.h"
#include "lang/format.h"
#include "lsp/lsp.h"
#include "tool/verbs.h"

/* ---- polc lsp ----------------------------------------------------------------- */

int verb_lsp(void)
{
	struct pol_err e = { 0 };
	int r = lsp_serve(STDIN_FILENO, STDOUT_FILENO, &e);

	return r < 0 ? tool_fail(&e, r == -EBADMSG ? EXIT_BAD : EXIT_SYSTEM) : r;
}

/* ---- polc import -------------------------------------------------------------- */

static int write_or_print(const char *path, struct pol_buf *b, struct pol_err *e)
{
	int r = 0;

	if (!path || tool_is_stdout(path))
		tool_print(stdout, b);
	else
		r = pol_write_file(path, b->p, b->n, e);
	return r;
}

int verb_import(const struct pol_options *o)
{
	struct pol_import_options how = { .lax = o->lax };
	struct pol_import_result out = { 0 };
	struct pol_err e = { 0 };
	int r = pol_import(o->arg, (size_t)o->n_args, &how, &out, &e);
	int code = r == -EINVAL ? EXIT_BAD : EXIT_SYSTEM;

	tool_print(stderr, &out.said);
	if (!r && o->host) {
		r = pol_write_file(o->host, out.host.p, out.host.n, &e);
		code = EXIT_SYSTEM;
	}
	if (!r) {
		r = write_or_print(o->out, &out.policy, &e);
		code = EXIT_SYSTEM;
	}
	pol_import_free(&out);
	return r ? tool_fail(&e, code) : EXIT_DONE;
}

/* ---- polc --explain ----------------------------------------------------------- */

int verb_explain_code(const char *code)
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
		return tool_fail(&e, EXIT_BAD);
	}
	printf("%s[P%04u]: %s\n\n%s", severities[m->severity], m->number, m->title, m->text);
	return EXIT_DONE;
}

/* ---- polc fmt ----------------------------------------------------------------- */

static int fmt_file(const struct pol_options *o, const char *path)
{
	struct pol_render how = { .json = o->json_diags, .colour = tool_colour(o, stderr) };
	struct pol_buf out = { 0 }, said = { 0 };
	struct pol_err e = { 0 };
	bool same = false;
	int r = EXIT_BAD;

	if (pol_format_file(path, NULL, &how, &out, &same, &said) == 0) {
		r = o->check && !same ? EXIT_NO : EXIT_DONE;
		if (r == EXIT_NO) {
			pol_buf_clean(&said, pol_str(path));
			pol_buf_addz(&said, ": not in the canonical layout\n");
			tool_print(stdout, &said);
		}
		if (o->write && !same && pol_write_file(path, out.p, out.n, &e))
			r = tool_fail(&e, EXIT_SYSTEM);
		if (!o->write && !o->check)
			tool_print(stdout, &out);
	}
	tool_print(stderr, &said);
	pol_buf_free(&out);
	return r;
}

int verb_fmt(const struct pol_options *o)
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

int verb_keygen(const struct pol_options *o)
{
	struct pol_err e = { 0 };
	int r = pol_keygen(o->arg[0], &e);

	if (r)
		return tool_fail(&e, r == -EEXIST ? EXIT_BAD : EXIT_SYSTEM);
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
		pol_no_memory();
	pol_sign(key, data, n, signature);
	return pol_write_file(to, signature, sizeof(signature), e);
}

int verb_sign(const struct pol_options *o)
{
	struct pol_secret_key key;
	struct pol_err e = { 0 };
	int r = pol_secret_key_read(o->key, &key, &e);

	if (r)
		return tool_fail(&e, EXIT_BAD);
	for (int i = 0; i < o->n_args && !r; i++)
		r = sign_file(&key, o->arg[i], &e);
	pol_secret_key_wipe(&key);
	return r ? tool_fail(&e, r == -ENOENT || r == -EISDIR ? EXIT_BAD : EXIT_SYSTEM) : EXIT_DONE;
}
