/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/sarif.h"

static const char *level(enum pol_severity s)
{
	switch (s) {
	case POL_ERROR:
		return "error";
	case POL_WARNING:
		return "warning";
	case POL_NOTE:
		break;
	}
	return "note";
}

static void uri(struct pol_buf *out, struct pol_str path)
{
	static const char keep[] = "-._~/";
	struct pol_buf text = { 0 };

	pol_buf_addz(&text, "");
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || (c && strchr(keep, c));

		if (plain)
			pol_buf_addc(&text, (char)c);
		else
			pol_buf_printf(&text, "%%%02X", c);
	}
	pol_buf_json(out, pol_buf_str(&text));
	pol_buf_free(&text);
}

/* {"physicalLocation":...}, with a message where there is one. */
static void location(struct pol_buf *out, const struct pol_sources *s,
		     const struct pol_diag_label *l)
{
	struct pol_source *src = pol_source_of(s, l->at);
	struct pol_place a, b;

	pol_buf_addz(out, "{\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
	if (src) {
		a = pol_source_place(src, l->at.start);
		b = pol_source_place(src, l->at.end);
		uri(out, src->path);
		pol_buf_printf(out,
			       "},\"region\":{\"startLine\":%u,\"startColumn\":%u,"
			       "\"endLine\":%u,\"endColumn\":%u}}",
			       a.line, a.column, b.line, b.column);
	} else {
		pol_buf_addz(out, "\"\"}}");
	}
	if (l->text.n) {
		pol_buf_addz(out, ",\"message\":{\"text\":");
		pol_buf_json(out, l->text);
		pol_buf_addc(out, '}');
	}
	pol_buf_addc(out, '}');
}

static void message(struct pol_buf *out, const struct pol_diag *g)
{
	struct pol_buf text = { 0 };

	pol_buf_add(&text, g->message);
	for (const struct pol_diag_line *l = g->lines; l; l = l->next) {
		pol_buf_addz(&text, l->note ? "\n" : "\nhelp: ");
		pol_buf_add(&text, l->text);
	}
	pol_buf_addz(out, "\"message\":{\"text\":");
	pol_buf_json(out, pol_buf_str(&text));
	pol_buf_addc(out, '}');
	pol_buf_free(&text);
}

static void result(struct pol_buf *out, const struct pol_diag *g, const struct pol_sources *s)
{
	pol_buf_printf(out, "    {\"ruleId\":\"P%04u\",\"level\":\"%s\",", (unsigned)g->code,
		       level(g->severity));
	message(out, g);
	if (!pol_span_is_none(g->primary.at)) {
		pol_buf_addz(out, ",\"locations\":[");
		location(out, s, &g->primary);
		pol_buf_addc(out, ']');
	}
	for (const struct pol_diag_label *l = g->also; l; l = l->next) {
		pol_buf_addz(out, l == g->also ? ",\"relatedLocations\":[" : ",");
		location(out, s, l);
	}
	pol_buf_addz(out, g->also ? "]}" : "}");
}

/* Those that occur, in ascending order. */
static void rules(struct pol_buf *out, const struct pol_diags *d)
{
	const struct pol_message *m;
	bool first = true;

	for (size_t i = 0; (m = pol_message_at(i)); i++) {
		bool used = false;

		for (size_t k = 0; k < d->all.n && !used; k++)
			used = (unsigned)d->all.v[k]->code == m->number;
		if (!used)
			continue;
		pol_buf_printf(out, "%s    {\"id\":\"P%04u\",\"shortDescription\":{\"text\":",
			       first ? "" : ",\n", m->number);
		pol_buf_json(out, pol_str(m->title));
		pol_buf_addz(out, "},\"fullDescription\":{\"text\":");
		pol_buf_json(out, pol_str(m->text));
		pol_buf_addz(out, "}}");
		first = false;
	}
}

void pol_sarif(struct pol_buf *out, const struct pol_diags *d, const struct pol_sources *s)
{
	pol_buf_addz(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\","
			  "\"version\":\"2.1.0\",\"runs\":[{\n"
			  "  \"tool\":{\"driver\":{\"name\":\"polc\",\"rules\":[\n");
	rules(out, d);
	pol_buf_addz(out, "\n  ]}},\n  \"columnKind\":\"unicodeCodePoints\",\n  \"results\":[\n");
	for (size_t i = 0; i < d->all.n; i++) {
		if (i)
			pol_buf_addz(out, ",\n");
		result(out, d->all.v[i], s);
	}
	pol_buf_addz(out, "\n  ]");
	if (d->n_errors + d->n_warnings > d->all.n)
		pol_buf_printf(out, ",\n  \"properties\":{\"more\":%zu}",
			       d->n_errors + d->n_warnings - d->all.n);
	pol_buf_addz(out, "\n}]}\n");
}
