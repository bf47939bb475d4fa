/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the server share. */
#ifndef POLC_LSP_PRIVATE_H
#define POLC_LSP_PRIVATE_H

#include <jansson.h>

#include "compiler/ir.h"
#include "lang/resolve.h"
#include "lsp/lsp.h"

/* ---- documents.c: open texts, and what follows from them ------------------------------- */

struct lsp_doc {
	char *uri, *path, *real;	/* real: what other paths to the same file lead to */
	struct pol_buf text;
	json_int_t version;
	bool dirty;			/* not analysed since it changed */
	/* of the last analysis; NULL: none yet */
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *program;	/* the document is its root */
	struct pol_ir *ir;		/* NULL if there were errors */
	json_t *published;		/* URI -> true, for each that has diagnostics by this one */
};

struct lsp_docs {
	const struct pol_fs *files;	/* of what is not open */
	POL_VEC(struct lsp_doc *) v;
};

struct lsp_doc *lsp_doc_find(const struct lsp_docs *d, const char *uri);
/* NULL: too many. */
struct lsp_doc *lsp_doc_open(struct lsp_docs *d, const char *uri, struct pol_str text,
			     json_int_t version);
void lsp_doc_close(struct lsp_docs *d, struct lsp_doc *doc);
/* Marks it, and all that import it. */
void lsp_doc_touch(struct lsp_docs *d, const struct lsp_doc *doc);
/* Analyses it if it is dirty. True: it was. */
bool lsp_doc_refresh(struct lsp_docs *d, struct lsp_doc *doc);
/* The text between two positions becomes another one. range NULL: the whole. */
void lsp_doc_edit(struct lsp_doc *doc, const json_t *range, struct pol_str text);

/* ---- text.c: places and strings --------------------------------------------------------- */

/* Offset of a position (lines, UTF-16 code units); beyond a line is its end, beyond all the end. */
uint32_t lsp_offset(struct pol_str text, const json_t *position);
json_t *lsp_range(struct pol_source *src, struct pol_span at);
json_t *lsp_location(const struct pol_sources *s, struct pol_span at);	/* NULL: it has none */
json_t *lsp_string(struct pol_str s);		/* made harmless; never NULL */
char *lsp_uri_of(const char *path);		/* malloc'ed */
char *lsp_path_of(const char *uri);		/* malloc'ed */

/* ---- names.c: what stands where ----------------------------------------------------------- */

struct lsp_name {
	struct pol_span span;
	struct pol_str text;
	const struct pol_decl *decl;	/* what it names, NULL: nothing that is known */
	const struct pol_source *source; /* of an import or a list file: what it leads to */
	bool definition;
};

/* Calls for every name of all files. */
void lsp_names(const struct pol_program *p, void (*call)(void *ctx, const struct lsp_name *n),
	       void *ctx);
/* The name at an offset of the root, its end included; false: none. */
bool lsp_name_at(const struct pol_program *p, uint32_t offset, struct lsp_name *out);

/* ---- answers: results of requests, never NULL -------------------------------------------- */

json_t *lsp_definition(struct lsp_doc *doc, const json_t *position);
json_t *lsp_references(struct lsp_doc *doc, const json_t *position, bool declaration);
json_t *lsp_hover(struct lsp_doc *doc, const json_t *position);
json_t *lsp_complete(struct lsp_doc *doc, const json_t *position);
json_t *lsp_symbols(struct lsp_doc *doc);
json_t *lsp_formatting(struct lsp_doc *doc);

/* diagnostics.c: for each file with some by this document: URI -> array. */
json_t *lsp_diagnostics(struct lsp_doc *doc);

#endif
