/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

#include "compiler/analysis/assertions.h"
#include "compiler/analysis/lint.h"
#include "compiler/lower.h"
#include "lsp/private.h"

#define LINT_MAX (1u << 20) /* bytes of text; larger ones are linted by `polc lint` alone */

/* ---- open texts ------------------------------------------------------------------ */

struct lsp_doc *lsp_doc_find(const struct lsp_docs *d, const char *uri)
{
	for (size_t i = 0; uri && i < d->v.n; i++)
		if (strcmp(d->v.v[i]->uri, uri) == 0)
			return d->v.v[i];
	return NULL;
}

struct lsp_doc *lsp_doc_open(struct lsp_docs *d, const char *uri, struct pol_str text,
			     json_int_t version)
{
	struct lsp_doc *doc;

	if (d->v.n == LSP_DOCUMENTS_MAX)
		return NULL;
	doc = calloc(1, sizeof(*doc));
	if (!doc)
		pol_no_memory();
	doc->uri = strdup(uri);
	doc->path = lsp_path_of(uri);
	doc->real = realpath(doc->path, NULL);
	if (!doc->real)
		doc->real = strdup(doc->path);
	doc->version = version;
	doc->dirty = true;
	pol_buf_add(&doc->text, text);
	*pol_vec_push(&d->v) = doc;
	return doc;
}

static void forget_analysis(struct lsp_doc *doc)
{
	if (!doc->arena)
		return;
	pol_program_free(doc->program);
	pol_diags_free(&doc->diags);
	pol_arena_free(doc->arena);
	doc->arena = NULL;
	doc->program = NULL;
	doc->ir = NULL;
}

void lsp_doc_close(struct lsp_docs *d, struct lsp_doc *doc)
{
	for (size_t i = 0; i < d->v.n; i++)
		if (d->v.v[i] == doc)
			d->v.v[i] = d->v.v[--d->v.n];
	forget_analysis(doc);
	json_decref(doc->published);
	pol_buf_free(&doc->text);
	free(doc->uri);
	free(doc->path);
	free(doc->real);
	free(doc);
}

void lsp_doc_edit(struct lsp_doc *doc, const json_t *range, struct pol_str text)
{
	struct pol_str old = pol_buf_str(&doc->text);
	struct pol_buf changed = { 0 };
	uint32_t from = 0, to = (uint32_t)old.n;

	if (range) {
		from = lsp_offset(old, json_object_get(range, "start"));
		to = lsp_offset(old, json_object_get(range, "end"));
	}
	if (to < from)
		to = from;
	pol_buf_add(&changed, (struct pol_str){ old.p, from });
	pol_buf_add(&changed, text);
	pol_buf_add(&changed, (struct pol_str){ old.p + to, old.n - to });
	pol_buf_free(&doc->text);
	doc->text = changed;
}

void lsp_doc_touch(struct lsp_docs *d, const struct lsp_doc *doc)
{
	for (size_t i = 0; i < d->v.n; i++) {
		struct lsp_doc *other = d->v.v[i];
		const struct pol_sources *s = other->program ? other->program->sources : NULL;

		if (other == doc)
			other->dirty = true;
		for (size_t k = 0; s && k < s->all.n && !other->dirty; k++) {
			char *real POL_CLEANUP(pol_cleanup_free) =
				realpath(s->all.v[k]->path.p, NULL);

			other->dirty = strcmp(real ? real : s->all.v[k]->path.p, doc->real) == 0;
		}
	}
}

/* ---- files as the editor has them ------------------------------------------------- */

static const struct lsp_doc *held(const struct lsp_docs *d, const char *path)
{
	char *real POL_CLEANUP(pol_cleanup_free) = realpath(path, NULL);

	for (size_t i = 0; i < d->v.n; i++)
		if (strcmp(d->v.v[i]->real, real ? real : path) == 0)
			return d->v.v[i];
	return NULL;
}

static int read_text(void *ctx, const char *path, size_t max, struct pol_arena *a,
		     struct pol_str *text, struct pol_err *e)
{
	const struct lsp_doc *doc = held(ctx, path);
	const struct pol_fs *files = ((struct lsp_docs *)ctx)->files;

	if (!doc)
		return files->read(files->ctx, path, max, a, text, e);
	if (doc->text.n > max)
		return pol_err(e, -EFBIG, "%s: larger than %zu bytes", path, max);
	*text = pol_arena_str(a, pol_buf_str(&doc->text));
	return 0;
}

static int identity(void *ctx, const char *path, struct pol_arena *a, struct pol_str *id,
		    struct pol_err *e)
{
	const struct lsp_doc *doc = held(ctx, path);
	const struct pol_fs *files = ((struct lsp_docs *)ctx)->files;

	if (!doc)
		return files->identity(files->ctx, path, a, id, e);
	*id = pol_arena_str(a, pol_str(doc->real));
	return 0;
}

/* ---- analysis ------------------------------------------------------------------------ */

bool lsp_doc_refresh(struct lsp_docs *d, struct lsp_doc *doc)
{
	struct pol_fs fs = { read_text, identity, d };

	if (!doc->dirty)
		return false;
	doc->dirty = false;
	forget_analysis(doc);
	doc->arena = pol_arena_new();
	pol_diags_init(&doc->diags, doc->arena);
	doc->program = pol_load(doc->path, &fs, doc->arena, &doc->diags);
	if (!doc->diags.n_errors)
		doc->ir = pol_lower(doc->program, doc->arena, &doc->diags);
	if (doc->ir)
		pol_check_assertions(doc->ir, doc->arena, &doc->diags);
	if (doc->ir && !doc->diags.n_errors && doc->text.n <= LINT_MAX)
		pol_lint(doc->ir, doc->program, doc->arena, &doc->diags);
	return true;
}
