/* SPDX-License-Identifier: GPL-2.0-only */
/* The one renderer of diagnostics: text with carets, or JSON. */
#include "lang/diag.h"

#define PRINTED_MAX 100
#define LINE_MAX_CHARS 160 /* of a source line that is shown */

static const char *const severity_names[] = { "error", "warning", "note" };

/* ---- text that is safe to print ------------------------------------------------- */

static uint32_t decode(const unsigned char *p, size_t len)
{
	uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Characters that move the cursor, reorder the line, or cannot be seen. */
static bool unsafe(uint32_t c)
{
	return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0xad ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x2069) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

void pol_buf_clean(struct pol_buf *b, struct pol_str s)
{
	pol_buf_addz(b, "");
	for (size_t i = 0; i < s.n;) {
		const unsigned char *p = (const unsigned char *)s.p + i;
		size_t len = pol_utf8_len(p, s.n - i);
		uint32_t c = len ? decode(p, len) : p[0];

		if (!len)
			pol_buf_printf(b, "\\x%02x", c);
		else if (unsafe(c))
			pol_buf_printf(b, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
		else
			pol_buf_add(b, (struct pol_str){ s.p + i, len });
		i += len ? len : 1;
	}
}

/* ---- one piece of source with carets --------------------------------------------- */

struct paint {
	struct pol_buf *out;
	const struct pol_sources *sources;
	int width; /* of the gutter */
	bool colour;
};

static void colour(struct paint *p, const char *code)
{
	if (p->colour)
		pol_buf_printf(p->out, "\033[%sm", code);
}

static void gutter(struct paint *p, uint32_t line)
{
	colour(p, "1;34");
	if (line)
		pol_buf_printf(p->out, "%*u |", p->width, line);
	else
		pol_buf_printf(p->out, "%*s |", p->width, "");
	colour(p, "0");
}

/* The part of a long line that the span is in. */
static struct pol_str window(struct pol_str text, uint32_t column_byte, bool *cut_left)
{
	size_t from = 0;

	*cut_left = false;
	if (text.n > LINE_MAX_CHARS && column_byte > LINE_MAX_CHARS / 2) {
		from = column_byte - LINE_MAX_CHARS / 2;
		while (from < text.n && (text.p[from] & 0xc0) == 0x80)
			from++;
		*cut_left = true;
	}
	text = (struct pol_str){ text.p + from, text.n - from };
	if (text.n > LINE_MAX_CHARS) {
		text.n = LINE_MAX_CHARS;
		while (text.n && (text.p[text.n] & 0xc0) == 0x80)
			text.n--;
	}
	return text;
}

/* Blanks as wide as the cleaned text, tabs as tabs; returns the width in characters. */
static size_t blank(struct pol_buf *b, struct pol_str s)
{
	struct pol_buf clean = { 0 };
	size_t n = 0;

	pol_buf_clean(&clean, s);
	for (size_t i = 0; i < clean.n; i++) {
		if (((unsigned char)clean.p[i] & 0xc0) == 0x80)
			continue;
		n++;
		if (b)
			pol_buf_addc(b, clean.p[i] == '\t' ? '\t' : ' ');
	}
	pol_buf_free(&clean);
	return n;
}

static void carets(struct paint *p, const struct pol_diag_label *l, bool primary,
		   struct pol_str text, size_t start, size_t end, bool cut)
{
	size_t width;

	gutter(p, 0);
	pol_buf_addz(p->out, cut ? "    " : " ");
	blank(p->out, (struct pol_str){ text.p, start });
	width = blank(NULL, (struct pol_str){ text.p + start, end - start });
	colour(p, primary ? "1;31" : "1;34");
	for (size_t i = 0; i < (width ? width : 1); i++)
		pol_buf_addc(p->out, primary ? '^' : '-');
	if (l->text.n) {
		pol_buf_addc(p->out, ' ');
		pol_buf_clean(p->out, l->text);
	}
	colour(p, "0");
	pol_buf_addc(p->out, '\n');
}

/* Another label on the line that was just shown needs no second copy of it. */
static void snippet(struct paint *p, const struct pol_diag_label *l, bool primary, bool shown)
{
	struct pol_source *src = pol_source_of(p->sources, l->at);
	uint32_t line = pol_source_place(src, l->at.start).line;
	struct pol_str full = pol_source_line(src, line), text;
	uint32_t base = (uint32_t)(full.p - src->text.p);
	uint32_t start = l->at.start - base, end = l->at.end - base;
	bool cut;

	if (!full.n)
		start = end = 0;
	start = start > full.n ? (uint32_t)full.n : start;
	text = window(full, start, &cut);
	start -= (uint32_t)(text.p - full.p);
	end = end < start || !full.n ? start : end - (uint32_t)(text.p - full.p);
	end = end > text.n ? (uint32_t)text.n : end; /* a span of several lines: its first */
	start = start > text.n ? (uint32_t)text.n : start;
	end = end < start ? start : end;
	if (!shown) {
		gutter(p, line);
		if (text.n) {
			pol_buf_addz(p->out, cut ? " ..." : " ");
			pol_buf_clean(p->out, text);
			pol_buf_addz(p->out, text.p + text.n < full.p + full.n ? "..." : "");
		}
		pol_buf_addc(p->out, '\n');
	}
	carets(p, l, primary, text, start, end, cut);
}

/* Both on one line that is shown as a whole. */
static bool same_line(const struct pol_sources *s, struct pol_span a, struct pol_span b)
{
	struct pol_source *src = pol_source_of(s, a);
	uint32_t line;

	if (!src || a.file != b.file)
		return false;
	line = pol_source_place(src, a.start).line;
	return line == pol_source_place(src, b.start).line &&
	       pol_source_line(src, line).n <= LINE_MAX_CHARS;
}

static void arrow(struct paint *p, struct pol_span at, bool primary)
{
	colour(p, "1;34");
	pol_buf_printf(p->out, "%*s%s ", p->width, "", primary ? "-->" : ":::");
	colour(p, "0");
	pol_source_cite(p->out, p->sources, at, true);
	pol_buf_addc(p->out, '\n');
	gutter(p, 0);
	pol_buf_addc(p->out, '\n');
}

static int digits(uint32_t n)
{
	int d = 1;

	while (n >= 10) {
		n /= 10;
		d++;
	}
	return d;
}

static void widen(struct paint *p, struct pol_span at)
{
	struct pol_source *src = pol_source_of(p->sources, at);
	int d = src ? digits(pol_source_place(src, at.start).line) : 0;

	p->width = d > p->width ? d : p->width;
}

static void render_text(struct pol_buf *out, const struct pol_diag *g, const struct pol_sources *s,
			bool use_colour)
{
	struct paint p = { .out = out, .sources = s, .colour = use_colour, .width = 1 };
	bool shown = pol_source_of(s, g->primary.at) != NULL;

	widen(&p, g->primary.at);
	for (const struct pol_diag_label *l = g->also; l; l = l->next)
		widen(&p, l->at);
	colour(&p, g->severity == POL_ERROR     ? "1;31"
		   : g->severity == POL_WARNING ? "1;33"
						: "1;36");
	pol_buf_printf(out, "%s[P%04u]", severity_names[g->severity], g->code);
	colour(&p, "0;1");
	pol_buf_addz(out, ": ");
	pol_buf_clean(out, g->message);
	colour(&p, "0");
	pol_buf_addc(out, '\n');
	if (shown) {
		arrow(&p, g->primary.at, true);
		snippet(&p, &g->primary, true, false);
	}
	for (const struct pol_diag_label *l = g->also; l; l = l->next)
		if (same_line(s, g->primary.at, l->at))
			snippet(&p, l, false, true);
	for (const struct pol_diag_label *l = g->also; l; l = l->next) {
		if (!pol_source_of(s, l->at) || same_line(s, g->primary.at, l->at))
			continue;
		arrow(&p, l->at, false);
		snippet(&p, l, false, false);
	}
	if (shown && g->lines) {
		gutter(&p, 0);
		pol_buf_addc(out, '\n');
	}
	for (const struct pol_diag_line *l = g->lines; l; l = l->next) {
		pol_buf_printf(out, "%*s = %s: ", p.width, "", l->note ? "note" : "help");
		pol_buf_clean(out, l->text);
		pol_buf_addc(out, '\n');
	}
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void json_place(struct pol_buf *out, const char *key, struct pol_source *src,
		       uint32_t offset)
{
	struct pol_place at = pol_source_place(src, offset);

	pol_buf_printf(out, "\"%s\":{\"line\":%u,\"column\":%u,\"offset\":%u}", key, at.line,
		       at.column, offset);
}

static void json_span(struct pol_buf *out, const struct pol_diag_label *l,
		      const struct pol_sources *s)
{
	struct pol_source *src = pol_source_of(s, l->at);

	pol_buf_addz(out, "{\"file\":");
	pol_buf_json(out, src->path);
	pol_buf_addc(out, ',');
	json_place(out, "start", src, l->at.start);
	pol_buf_addc(out, ',');
	json_place(out, "end", src, l->at.end);
	pol_buf_addz(out, ",\"label\":");
	pol_buf_json(out, l->text);
	pol_buf_addc(out, '}');
}

static void json_lines(struct pol_buf *out, const struct pol_diag *g, bool note)
{
	bool first = true;

	for (const struct pol_diag_line *l = g->lines; l; l = l->next) {
		if (l->note != note)
			continue;
		if (!first)
			pol_buf_addc(out, ',');
		first = false;
		pol_buf_json(out, l->text);
	}
}

static void render_json(struct pol_buf *out, const struct pol_diag *g, const struct pol_sources *s)
{
	bool first = true;

	pol_buf_printf(out, "{\"severity\":\"%s\",\"code\":\"P%04u\",\"message\":",
		       severity_names[g->severity], g->code);
	pol_buf_json(out, g->message);
	pol_buf_addz(out, ",\"span\":");
	if (pol_source_of(s, g->primary.at))
		json_span(out, &g->primary, s);
	else
		pol_buf_addz(out, "null");
	pol_buf_addz(out, ",\"also\":[");
	for (const struct pol_diag_label *l = g->also; l; l = l->next) {
		if (!pol_source_of(s, l->at))
			continue;
		if (!first)
			pol_buf_addc(out, ',');
		first = false;
		json_span(out, l, s);
	}
	pol_buf_addz(out, "],\"help\":[");
	json_lines(out, g, false);
	pol_buf_addz(out, "],\"notes\":[");
	json_lines(out, g, true);
	pol_buf_addz(out, "]}");
}

/* ---- all ----------------------------------------------------------------------------------- */

void pol_diag_render(struct pol_buf *out, const struct pol_diag *g, const struct pol_sources *s,
		     const struct pol_render *how)
{
	if (how->json)
		render_json(out, g, s);
	else
		render_text(out, g, s, how->colour);
}

static void totals(struct pol_buf *out, const struct pol_diags *d, size_t printed)
{
	size_t all = d->n_errors + d->n_warnings;

	if (all > printed)
		pol_buf_printf(out, "... and %zu more\n\n", all - printed);
	if (d->n_errors)
		pol_buf_printf(out, "%zu error%s", d->n_errors, d->n_errors == 1 ? "" : "s");
	if (d->n_warnings)
		pol_buf_printf(out, "%s%zu warning%s", d->n_errors ? ", " : "", d->n_warnings,
			       d->n_warnings == 1 ? "" : "s");
	if (all)
		pol_buf_addc(out, '\n');
}

void pol_diags_render(struct pol_buf *out, const struct pol_diags *d, const struct pol_sources *s,
		      const struct pol_render *how)
{
	size_t max = how->max ? how->max : PRINTED_MAX, n = d->all.n < max ? d->all.n : max;

	if (how->json)
		pol_buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (how->json)
			pol_buf_addz(out, i ? ",\n" : "\n");
		pol_diag_render(out, d->all.v[i], s, how);
		if (!how->json)
			pol_buf_addc(out, '\n');
	}
	if (how->json && d->n_errors + d->n_warnings > n)
		pol_buf_printf(out, ",\n{\"more\":%zu}", d->n_errors + d->n_warnings - n);
	if (how->json)
		pol_buf_addz(out, n ? "\n]\n" : "]\n");
	else
		totals(out, d, n);
}
