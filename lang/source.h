/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Texts and places in them.
 *
 * Every text that takes part in a compilation (policies, list files, a flow
 * given on the command line) is one source with a number; a span is a pair of
 * byte offsets into it. Lines and columns are computed only when something is
 * printed. Sources live as long as the arena that they were made in.
 */
#ifndef POLC_SOURCE_H
#define POLC_SOURCE_H

#include "base/base.h"

#define POL_NO_FILE UINT32_MAX

/* Bytes [start, end) of source `file`; an empty span is a point. */
struct pol_span {
	uint32_t file, start, end;
};

#define POL_NO_SPAN ((struct pol_span){ POL_NO_FILE, 0, 0 })

struct pol_source {
	uint32_t id;		/* = index in pol_sources, = pol_span.file */
	struct pol_str path;	/* as messages print it, NUL-terminated; unsanitised */
	struct pol_str name;	/* relative to the root file's folder: the same in every checkout */
	struct pol_str text;	/* NUL-terminated */
	bool list;		/* a `cidr ... file`, not a policy */
	uint32_t *line;		/* offsets of line starts; built on first use */
	size_t n_lines;
};

struct pol_sources {
	struct pol_arena *arena;
	POL_VEC(struct pol_source *) all;
};

/* Where something stands, for people: both count from 1, columns in characters (a tab is one). */
struct pol_place {
	uint32_t line, column;
};

struct pol_sources *pol_sources_new(struct pol_arena *a);
/* Frees what the arena does not own (the vector). NULL is fine. */
void pol_sources_free(struct pol_sources *s);

/* Keeps text (must live as long as s); name and path are copied. */
struct pol_source *pol_source_add(struct pol_sources *s, struct pol_str path, struct pol_str name,
				  struct pol_str text);
/* NULL for POL_NO_FILE. */
struct pol_source *pol_source_of(const struct pol_sources *s, struct pol_span at);
struct pol_place pol_source_place(struct pol_source *src, uint32_t offset);
/* Line number `line` (from 1) without its end; empty past the last one. */
struct pol_str pol_source_line(struct pol_source *src, uint32_t line);
/* The bytes of a span. */
struct pol_str pol_source_text(const struct pol_sources *s, struct pol_span at);

/* From the start of a to the end of b. */
struct pol_span pol_span_join(struct pol_span a, struct pol_span b);
bool pol_span_is_none(struct pol_span at);

/* Appends "path:line" or "path:line:column", sanitised; "(none)" for POL_NO_SPAN. */
void pol_source_cite(struct pol_buf *b, const struct pol_sources *s, struct pol_span at,
		     bool column);

/* ---- where texts come from --------------------------------------------------- */

/*
 * The whole file system as the language sees it: fuzzers and editors give
 * texts from memory. Functions return 0 or -errno and set e as pol_read_file does.
 */
struct pol_fs {
	/* The text, in the arena, NUL-terminated; larger than max: -EFBIG. */
	int (*read)(void *ctx, const char *path, size_t max, struct pol_arena *a,
		    struct pol_str *text, struct pol_err *e);
	/* What is equal for two paths of the same file. */
	int (*identity)(void *ctx, const char *path, struct pol_arena *a, struct pol_str *id,
			struct pol_err *e);
	void *ctx;
};

extern const struct pol_fs pol_fs_disk;
extern const struct pol_fs pol_fs_none;	/* has no file */

/* Files from memory: ctx of pol_fs_memory is this, ended by a NULL path. */
struct pol_memory_file {
	const char *path;
	struct pol_str text;
};

struct pol_fs pol_fs_memory(const struct pol_memory_file *files);

#endif
