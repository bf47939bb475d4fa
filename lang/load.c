/* SPDX-License-Identifier: GPL-2.0-only */
/* From a path to parsed files in order of their declarations. */
#include "lang/resolving.h"

#include <ctype.h>
#include <errno.h>

/* ---- paths ------------------------------------------------------------------- */

static size_t folder_length(struct pol_str path)
{
	size_t n = path.n;

	while (n && path.p[n - 1] != '/')
		n--;
	return n;
}

struct pol_str pol_path_beside(struct pol_resolve *r, struct pol_str base, struct pol_str written)
{
	while (written.n > 2 && written.p[0] == '.' && written.p[1] == '/')
		written = (struct pol_str){ written.p + 2, written.n - 2 };
	if (written.n && written.p[0] == '/')
		return pol_arena_str(r->p->arena, written);
	return pol_arena_printf(r->p->arena, "%.*s%.*s", (int)folder_length(base), base.p,
				POL_STR_ARG(written));
}

static struct pol_str base_name(struct pol_str path)
{
	size_t n = folder_length(path);

	return (struct pol_str){ path.p + n, path.n - n };
}

/* ---- reading --------------------------------------------------------------------- */

static void cannot_read(struct pol_resolve *r, struct pol_str path, int code, size_t max,
			struct pol_span at)
{
	struct pol_buf reason = { 0 };

	if (code == -EFBIG) {
		pol_diag(r->d, POL_P0102, at, "`%.*s` is larger than %zu MiB", POL_STR_ARG(path),
			 max >> 20);
		return;
	}
	pol_buf_addz(&reason, strerror(-code));
	reason.p[0] = (char)tolower((unsigned char)reason.p[0]);
	pol_diag(r->d, POL_P0101, at, "cannot read `%.*s`: %s", POL_STR_ARG(path), reason.p);
	pol_buf_free(&reason);
}

struct pol_source *pol_read_source(struct pol_resolve *r, struct pol_str path, struct pol_str name,
				   size_t max, struct pol_span at, bool missing_ok, bool *missing)
{
	struct pol_err e = { 0 };
	struct pol_str text;
	int code = r->fs->read(r->fs->ctx, path.p, max, r->p->arena, &text, &e);

	*missing = code == -ENOENT;
	if (!code)
		return pol_source_add(r->p->sources, path, name, text);
	if (!*missing || !missing_ok)
		cannot_read(r, path, code, max, at);
	return NULL;
}

/* ---- imports ------------------------------------------------------------------------ */

static void import_cycle(struct pol_resolve *r, size_t first, struct pol_span at)
{
	struct pol_diag *g = pol_diag(r->d, POL_P0201, at, "import cycle");
	struct pol_str path = r->loaded.v[first].file->source->path;
	unsigned shown = 0;

	pol_diag_label(r->d, g, "imports `%.*s` again", POL_STR_ARG(path));
	for (size_t i = first + 1; i < r->loaded.n; i++)
		if (r->loaded.v[i].loading && shown++ < 8)
			pol_diag_also(r->d, g, r->loaded.v[i].import, "by way of this import");
}

static struct pol_file *load_file(struct pol_resolve *r, struct pol_str path, struct pol_str name,
				  struct pol_span at);

static void load_declarations(struct pol_resolve *r, struct pol_file *f)
{
	struct pol_decl *next;

	for (struct pol_decl *d = f->decls.first; d; d = next) {
		next = d->next;
		if (d->kind == POL_DECL_IMPORT) {
			d->import.file =
				load_file(r,
					  pol_path_beside(r, f->source->path, d->import.path.text),
					  pol_path_beside(r, f->source->name, d->import.path.text),
					  d->import.path.span);
			continue;
		}
		d->index = (uint32_t)r->p->decls.n;
		*pol_vec_push(&r->p->decls) = d;
	}
}

/* A file loaded before; *again: nothing more to do. */
static struct pol_file *loaded_before(struct pol_resolve *r, struct pol_str id, struct pol_span at,
				      bool *again)
{
	for (size_t i = 0; i < r->loaded.n; i++) {
		if (!pol_str_eq(r->loaded.v[i].id, id))
			continue;
		*again = true;
		if (r->loaded.v[i].loading)
			import_cycle(r, i, at);
		return r->loaded.v[i].file;
	}
	return NULL;
}

static struct pol_file *load_file(struct pol_resolve *r, struct pol_str path, struct pol_str name,
				  struct pol_span at)
{
	size_t index = r->loaded.n;
	struct pol_err e = { 0 };
	struct pol_source *src;
	struct pol_file *f;
	struct pol_str id;
	bool again = false, missing;
	int code = r->fs->identity(r->fs->ctx, path.p, r->p->arena, &id, &e);

	if (code) {
		cannot_read(r, path, code, POL_MAX_POLICY, at);
		return NULL;
	}
	f = loaded_before(r, id, at, &again);
	if (again)
		return f;
	if (index == POL_MAX_FILES) {
		pol_diag(r->d, POL_P0125, at, "more than %d policy files", POL_MAX_FILES);
		return NULL;
	}
	src = pol_read_source(r, path, name, POL_MAX_POLICY, at, false, &missing);
	if (!src)
		return NULL;
	f = pol_parse_file(r->p, src, r->d);
	*pol_vec_push(&r->loaded) =
		(struct pol_loaded){ .id = id, .file = f, .import = at, .loading = true };
	*pol_vec_push(&r->p->files) = f;
	load_declarations(r, f);
	r->loaded.v[index].loading = false;
	return f;
}

void pol_pass_load(struct pol_resolve *r, const char *path)
{
	load_file(r, pol_str(path), base_name(pol_str(path)), POL_NO_SPAN);
}
