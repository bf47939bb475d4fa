/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>

#include "lang/diag.h"
#include "lsp/private.h"

static int severity_of(enum pol_severity s)
{
	switch (s) {
	case POL_ERROR:
		return 1;
	case POL_WARNING:
		return 2;
	case POL_NOTE:
		break;
	}
	return 3; /* information */
}

/* What `polc check` would print, without the lines of source that the editor shows itself. */
static json_t *message_of(const struct pol_diag *g)
{
	struct pol_buf b = { 0 };
	json_t *text;

	pol_buf_add(&b, g->message);
	if (g->primary.text.n) {
		pol_buf_addz(&b, ": ");
		pol_buf_add(&b, g->primary.text);
	}
	for (const struct pol_diag_line *l = g->lines; l; l = l->next) {
		pol_buf_addz(&b, l->note ? "\nnote: " : "\nhelp: ");
		pol_buf_add(&b, l->text);
	}
	text = lsp_string(pol_buf_str(&b));
	pol_buf_free(&b);
	return text;
}

static json_t *related(const struct pol_sources *s, const struct pol_diag *g)
{
	json_t *all = json_array();

	for (const struct pol_diag_label *l = g->also; l; l = l->next) {
		json_t *at = lsp_location(s, l->at);

		if (at)
			json_array_append_new(all, json_pack("{s:o, s:o}", "location", at,
							     "message", lsp_string(l->text)));
	}
	return all;
}

static json_t *diagnostic(const struct pol_sources *s, const struct pol_diag *g,
			  struct pol_source *src)
{
	struct pol_span at = src ? g->primary.at : (struct pol_span){ 0, 0, 0 };
	struct pol_source *in = src ? src : s->all.v[0];
	char code[16];

	snprintf(code, sizeof(code), "P%04d", (int)g->code);
	return json_pack("{s:o, s:i, s:s, s:s, s:o, s:o}", "range", lsp_range(in, at), "severity",
			 severity_of(g->severity), "code", code, "source", "polc", "message",
			 message_of(g), "relatedInformation", related(s, g));
}

/* A text of names alone is there to be imported: that it has no default is no fault of it. */
static bool is_library(const struct pol_program *p)
{
	for (size_t i = 0; i < p->decls.n; i++)
		if (p->decls.v[i]->kind == POL_DECL_POLICY ||
		    p->decls.v[i]->kind == POL_DECL_FILTER)
			return false;
	return true;
}

json_t *lsp_diagnostics(struct lsp_doc *doc)
{
	json_t *all = json_object();

	json_object_set_new(all, doc->uri, json_array());
	pol_diags_sort(&doc->diags);
	for (size_t i = 0; doc->program->sources->all.n && i < doc->diags.all.n; i++) {
		const struct pol_diag *g = doc->diags.all.v[i];
		struct pol_source *src = pol_source_of(doc->program->sources, g->primary.at);
		/* The editor's own spelling of the root's name. */
		char *uri POL_CLEANUP(pol_cleanup_free) =
			!src || src->id == 0 ? strdup(doc->uri) : lsp_uri_of(src->path.p);

		if (g->code == POL_P0203 && is_library(doc->program))
			continue;
		if (!json_object_get(all, uri))
			json_object_set_new(all, uri, json_array());
		json_array_append_new(json_object_get(all, uri),
				      diagnostic(doc->program->sources, g, src));
	}
	return all;
}
