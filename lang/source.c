/* SPDX-License-Identifier: GPL-2.0-only */
#include "lang/source.h"

#include "lang/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- spans ------------------------------------------------------------------- */

struct pol_span pol_span_join(struct pol_span a, struct pol_span b)
{
	if (b.file != a.file)
		return a;
	a.end = b.end > a.end ? b.end : a.end;
	return a;
}

bool pol_span_is_none(struct pol_span at)
{
	return at.file == POL_NO_FILE;
}

/* ---- sources ------------------------------------------------------------------- */

struct pol_sources *pol_sources_new(struct pol_arena *a)
{
	struct pol_sources *s = pol_arena_alloc(a, sizeof(*s));

	s->arena = a;
	return s;
}

void pol_sources_free(struct pol_sources *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->all.n; i++)
		free(s->all.v[i]->line);
	pol_vec_free(&s->all);
}

struct pol_source *pol_source_add(struct pol_sources *s, struct pol_str path, struct pol_str name,
				  struct pol_str text)
{
	struct pol_source *src = pol_arena_alloc(s->arena, sizeof(*src));

	src->id = (uint32_t)s->all.n;
	src->path = pol_arena_str(s->arena, path);
	src->name = pol_arena_str(s->arena, name);
	src->text = text;
	*pol_vec_push(&s->all) = src;
	return src;
}

struct pol_source *pol_source_of(const struct pol_sources *s, struct pol_span at)
{
	return s && at.file < s->all.n ? s->all.v[at.file] : NULL;
}

struct pol_str pol_source_text(const struct pol_sources *s, struct pol_span at)
{
	const struct pol_source *src = pol_source_of(s, at);

	if (!src || at.start > at.end || at.end > src->text.n)
		return POL_STR("");
	return (struct pol_str){ src->text.p + at.start, at.end - at.start };
}

/* ---- lines ------------------------------------------------------------------------ */

static void index_lines(struct pol_source *src)
{
	POL_VEC(uint32_t) v = { 0 };

	if (src->line)
		return;
	*pol_vec_push(&v) = 0;
	for (size_t i = 0; i < src->text.n; i++)
		if (src->text.p[i] == '\n')
			*pol_vec_push(&v) = (uint32_t)i + 1;
	src->line = v.v;
	src->n_lines = v.n;
}

struct pol_str pol_source_line(struct pol_source *src, uint32_t line)
{
	uint32_t start, end;

	index_lines(src);
	if (!line || line > src->n_lines)
		return POL_STR("");
	start = src->line[line - 1];
	end = line < src->n_lines ? src->line[line] - 1 : (uint32_t)src->text.n;
	if (end > start && src->text.p[end - 1] == '\r')
		end--;
	return (struct pol_str){ src->text.p + start, end - start };
}

static uint32_t characters(const char *p, uint32_t n)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; count++) {
		size_t len = pol_utf8_len((const unsigned char *)p + i, n - i);

		i += len ? (uint32_t)len : 1;
	}
	return count;
}

struct pol_place pol_source_place(struct pol_source *src, uint32_t offset)
{
	size_t lo = 0, hi;

	index_lines(src);
	if (offset > src->text.n)
		offset = (uint32_t)src->text.n;
	hi = src->n_lines;
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;

		if (src->line[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return (struct pol_place){ (uint32_t)lo + 1,
				   characters(src->text.p + src->line[lo], offset - src->line[lo]) +
					   1 };
}

void pol_source_cite(struct pol_buf *b, const struct pol_sources *s, struct pol_span at,
		     bool column)
{
	struct pol_source *src = pol_source_of(s, at);
	struct pol_place place;

	if (!src) {
		pol_buf_addz(b, "(none)");
		return;
	}
	place = pol_source_place(src, at.start);
	pol_buf_clean(b, src->path);
	pol_buf_printf(b, ":%u", place.line);
	if (column)
		pol_buf_printf(b, ":%u", place.column);
}

/* ---- file systems ------------------------------------------------------------------- */

static int disk_read(void *ctx, const char *path, size_t max, struct pol_arena *a,
		     struct pol_str *text, struct pol_err *e)
{
	char *data POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n = 0;
	int r = pol_read_file(path, max, &data, &n, e);

	(void)ctx;
	if (r)
		return r;
	*text = pol_arena_str(a, (struct pol_str){ data, n });
	return 0;
}

static int disk_identity(void *ctx, const char *path, struct pol_arena *a, struct pol_str *id,
			 struct pol_err *e)
{
	char *real POL_CLEANUP(pol_cleanup_free) = realpath(path, NULL);

	(void)ctx;
	if (!real)
		return pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	*id = pol_arena_str(a, pol_str(real));
	return 0;
}

const struct pol_fs pol_fs_disk = { disk_read, disk_identity, NULL };

static const struct pol_memory_file *memory_find(void *ctx, const char *path)
{
	const struct pol_memory_file *f = ctx;

	while (f && f->path && strcmp(f->path, path))
		f++;
	return f && f->path ? f : NULL;
}

static int memory_read(void *ctx, const char *path, size_t max, struct pol_arena *a,
		       struct pol_str *text, struct pol_err *e)
{
	const struct pol_memory_file *f = memory_find(ctx, path);

	if (!f)
		return pol_err(e, -ENOENT, "%s: cannot open: %s", path, strerror(ENOENT));
	if (f->text.n > max)
		return pol_err(e, -EFBIG, "%s: larger than %zu bytes", path, max);
	*text = pol_arena_str(a, f->text);
	return 0;
}

static int memory_identity(void *ctx, const char *path, struct pol_arena *a, struct pol_str *id,
			   struct pol_err *e)
{
	if (!memory_find(ctx, path))
		return pol_err(e, -ENOENT, "%s: cannot open: %s", path, strerror(ENOENT));
	*id = pol_arena_str(a, pol_str(path));
	return 0;
}

const struct pol_fs pol_fs_none = { memory_read, memory_identity, NULL };

struct pol_fs pol_fs_memory(const struct pol_memory_file *files)
{
	return (struct pol_fs){ memory_read, memory_identity, (void *)files };
}
