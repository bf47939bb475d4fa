/* SPDX-License-Identifier: GPL-2.0-only */
#include "lang/format.h"
#include "lsp/private.h"

/* The editor's text, as the last analysis had it: the document is fresh when it is asked. */
static uint32_t offset_of(const struct lsp_doc *doc, const json_t *position)
{
	return lsp_offset(pol_buf_str(&doc->text), position);
}

/* ---- definitions and references ------------------------------------------------- */

json_t *lsp_definition(struct lsp_doc *doc, const json_t *position)
{
	struct lsp_name at;
	json_t *where = NULL;

	if (!lsp_name_at(doc->program, offset_of(doc, position), &at))
		return json_null();
	if (at.decl)
		where = lsp_location(doc->program->sources, at.decl->name.span);
	else if (at.source)
		where = lsp_location(doc->program->sources,
				     (struct pol_span){ at.source->id, 0, 0 });
	return where ? where : json_null();
}

struct collect {
	const struct lsp_doc *doc;
	const struct pol_decl *decl;
	bool declaration;
	json_t *all;
};

static void collect(void *ctx, const struct lsp_name *n)
{
	struct collect *c = ctx;
	json_t *at;

	if (n->decl != c->decl || (n->definition && !c->declaration))
		return;
	at = lsp_location(c->doc->program->sources, n->span);
	if (at)
		json_array_append_new(c->all, at);
}

json_t *lsp_references(struct lsp_doc *doc, const json_t *position, bool declaration)
{
	struct collect c = { .doc = doc, .declaration = declaration };
	struct lsp_name at;

	if (!lsp_name_at(doc->program, offset_of(doc, position), &at) || !at.decl)
		return json_null();
	c.decl = at.decl;
	c.all = json_array();
	lsp_names(doc->program, collect, &c);
	return c.all;
}

/* ---- symbols ---------------------------------------------------------------------- */

/* SymbolKind of the protocol. */
static int kind_of(const struct pol_decl *d)
{
	switch (d->kind) {
	case POL_DECL_ENDPOINT:
		return 5; /* class */
	case POL_DECL_POLICY:
		return 3; /* namespace */
	case POL_DECL_SERVICE:
		return 11; /* interface */
	case POL_DECL_FILTER:
		return 12; /* function */
	case POL_DECL_CIDR:
	case POL_DECL_PORT:
		return 14; /* constant */
	case POL_DECL_IMPORT:
		return 2; /* module */
	case POL_DECL_ASSERT:
		return 24; /* event */
	case POL_DECL_DEFAULT:
	case POL_DECL_POOL:
	case POL_DECL_OPTION:
		break;
	}
	return 7; /* property */
}

static json_t *name_of(const struct pol_decl *d)
{
	return lsp_string(d->name.text.n               ? d->name.text
			  : d->kind == POL_DECL_IMPORT ? d->import.path.text
						       : pol_str(pol_decl_kind_name(d->kind)));
}

json_t *lsp_symbols(struct lsp_doc *doc)
{
	const struct pol_program *p = doc->program;
	json_t *all = json_array();

	for (const struct pol_decl *d = p->files.n && p->files.v[0] ? p->files.v[0]->decls.first
								    : NULL;
	     d; d = d->next) {
		struct pol_source *src = p->sources->all.v[0];

		json_array_append_new(
			all, json_pack("{s:o, s:s, s:i, s:o, s:o}", "name", name_of(d), "detail",
				       pol_decl_kind_name(d->kind), "kind", kind_of(d), "range",
				       lsp_range(src, d->span), "selectionRange",
				       lsp_range(src, d->name.text.n ? d->name.span : d->head)));
	}
	return all;
}

/* ---- layout ------------------------------------------------------------------------- */

static json_t *edit(struct pol_source *src, struct pol_str now)
{
	struct pol_str old = src->text;
	size_t from = 0, same = 0;
	struct pol_span at;

	/* Whole lines that differ, so that the cursor stays where it can. */
	while (from < old.n && from < now.n && old.p[from] == now.p[from])
		from++;
	while (from && old.p[from - 1] != '\n')
		from--;
	while (same < old.n - from && same < now.n - from &&
	       old.p[old.n - same - 1] == now.p[now.n - same - 1])
		same++;
	while (same && old.p[old.n - same - 1] != '\n')
		same--;
	at = (struct pol_span){ src->id, (uint32_t)from, (uint32_t)(old.n - same) };
	return json_pack("{s:o, s:o}", "range", lsp_range(src, at), "newText",
			 json_stringn(now.p + from, now.n - same - from));
}

/* NULL edits where the text does not parse: its mistakes are shown already. */
json_t *lsp_formatting(struct lsp_doc *doc)
{
	struct pol_source *src =
		doc->program->sources->all.n ? doc->program->sources->all.v[0] : NULL;
	struct pol_buf now = { 0 };
	struct pol_diags ignored;
	json_t *all = json_null();

	if (!src)
		return all;
	pol_diags_init(&ignored, doc->arena);
	if (pol_format(doc->program->sources, src, &ignored, &now) == 0) {
		all = json_array();
		if (!pol_str_eq(src->text, pol_buf_str(&now)))
			json_array_append_new(all, edit(src, pol_buf_str(&now)));
	}
	pol_diags_free(&ignored);
	pol_buf_free(&now);
	return all;
}
