/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layout of a policy text. Tokens become pieces, pieces become lines, lines
 * are aligned and printed. Only where tokens stand is decided here; line
 * breaks of the input count in two ways: a blank line between statements
 * stays, and a comment stays where it is, behind its line or alone.
 */
#include "lang/format.h"

#include "lang/resolve.h"
#include "lang/syntax.h"

#include <errno.h>

#define INDENT 4
#define WIDTH 100
#define ALIGN_MAX 40 /* longer names are not aligned with */
#define COMMENT_MAX 72 /* comments are not aligned further right than this */

struct piece {
	struct pol_str text;
	bool space; /* before it */
	enum { NO_BREAK, POOR_BREAK, GOOD_BREAK } may_break; /* a long line, before it */
};

struct out_line {
	struct pol_str text; /* with indentation; empty for a comment alone */
	struct pol_str comment;
	int kind; /* first token, for alignment; 0: none */
	size_t equals; /* offset of the `=` to align, 0: none */
	bool blank; /* an empty line before it */
	bool alone; /* a comment alone in its line */
};

struct layout {
	struct pol_arena *arena;
	const struct pol_source *src;
	POL_VEC(struct piece) pieces; /* of the statement being read */
	POL_VEC(struct out_line) lines;
	unsigned depth; /* blocks */
	unsigned brackets, parens; /* open [ and ( */
	char open[POL_MAX_BRACKETS]; /* 'b' block or 'u' union */
	unsigned n_open;
	int first,
		last; /* kinds of the statement's first, and of the last token; 'u': a union's { */
	bool blank; /* before the next line */
	bool broken; /* the statement has been broken: what follows is indented */
	size_t start; /* its first line */
	uint32_t end; /* of the last token or comment */
};

/* ---- pieces to lines --------------------------------------------------------- */

static struct out_line *new_line(struct layout *l)
{
	struct out_line *line = pol_vec_push(&l->lines);

	*line = (struct out_line){ .blank = l->blank && l->lines.n > 1 };
	l->blank = false;
	return line;
}

static size_t columns(struct pol_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* How many pieces from `from` fit into one line; at least one. */
static size_t fitting(const struct layout *l, size_t from, size_t indent)
{
	size_t used = indent, best[] = { 0, 0, 0 }, i;

	for (i = from; i < l->pieces.n; i++) {
		const struct piece *p = &l->pieces.v[i];

		if (i > from)
			best[p->may_break] = i - from;
		used += columns(p->text) + (i > from && p->space);
		if (used > WIDTH && best[GOOD_BREAK])
			return best[GOOD_BREAK];
		if (used > WIDTH && best[POOR_BREAK])
			return best[POOR_BREAK];
	}
	return i - from;
}

static void put_line(struct layout *l, size_t from, size_t n, size_t indent, bool whole)
{
	struct out_line *line = new_line(l);
	struct pol_buf b = { 0 };

	for (size_t i = 0; i < indent; i++)
		pol_buf_addc(&b, ' ');
	for (size_t i = from; i < from + n; i++) {
		const struct piece *p = &l->pieces.v[i];

		if (i > from && p->space)
			pol_buf_addc(&b, ' ');
		if (whole && !line->equals && pol_str_is(p->text, "=") && p->space)
			line->equals = b.n;
		pol_buf_add(&b, p->text);
	}
	line->text = pol_arena_str(l->arena, pol_buf_str(&b));
	line->kind = l->first;
	pol_buf_free(&b);
}

/* Ends the line that is being made; `more`: the statement goes on in the next one. */
static void flush(struct layout *l, bool more)
{
	for (size_t from = 0; from < l->pieces.n;) {
		size_t indent = (l->depth + l->broken) * INDENT;
		size_t n = fitting(l, from, indent);
		bool whole = !more && !l->broken && n == l->pieces.n;

		if (!l->broken)
			l->start = l->lines.n;
		put_line(l, from, n, indent, whole);
		from += n;
		l->broken = true;
	}
	l->pieces.n = 0;
	if (!more) {
		l->broken = false;
		l->first = 0;
	}
}

/* A block at top level stands apart, together with the comment right above it. */
static void stand_apart(struct layout *l)
{
	size_t i = l->start;

	if (l->depth || i >= l->lines.n)
		return;
	while (i && !l->lines.v[i].blank && l->lines.v[i - 1].alone)
		i--;
	if (i)
		l->lines.v[i].blank = true;
}

/* ---- comments ---------------------------------------------------------------- */

static struct pol_str trimmed(struct pol_str s)
{
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

static void comment(struct layout *l, struct pol_str text, bool own_line)
{
	struct out_line *line;

	text = trimmed(text);
	if (!own_line) { /* the text before it ends here, finished or not */
		flush(l, l->first != 0);
		l->lines.v[l->lines.n - 1].comment = text;
		return;
	}
	if (l->pieces.n)
		flush(l, true);
	line = new_line(l);
	line->alone = true;
	line->comment = text;
	line->text =
		pol_arena_printf(l->arena, "%*s", (int)((l->depth + (l->first != 0)) * INDENT), "");
}

/* ---- tokens ------------------------------------------------------------------ */

static bool breaks_before(int kind, int last)
{
	return last == T_COMMA || kind == T_AND || kind == T_OR || kind == T_WHERE ||
	       kind == T_LIMIT || kind == T_ON;
}

static bool space_before(const struct layout *l, int kind)
{
	if (kind == T_COMMA || kind == T_SEMI || kind == T_RPAREN || kind == T_RBRACKET ||
	    kind == T_AT)
		return false;
	if (l->last == T_LPAREN || l->last == T_LBRACKET || l->last == T_AT)
		return false;
	if (kind == T_LPAREN && l->last == T_HAS)
		return false;
	/* [app=x,tier=y], but [app in ("a", "b")] */
	return !(l->brackets &&
		 (kind == T_ASSIGN || l->last == T_ASSIGN || (l->last == T_COMMA && !l->parens)));
}

static void push(struct layout *l, int kind, struct pol_str text)
{
	struct piece *p = pol_vec_push(&l->pieces);

	*p = (struct piece){ .text = text,
			     .space = space_before(l, kind),
			     .may_break = !breaks_before(kind, l->last) || l->brackets ? NO_BREAK
					  : l->parens                                  ? POOR_BREAK
						      : GOOD_BREAK };
	if (!l->first)
		l->first = kind;
}

/* `~  "x"` may have blanks inside. */
static struct pol_str regex_text(struct layout *l, struct pol_str s)
{
	size_t quote = 1;

	while (quote < s.n && s.p[quote] != '"')
		quote++;
	if (quote == 1)
		return s;
	return pol_arena_printf(l->arena, "~%.*s", (int)(s.n - quote), s.p + quote);
}

static void open_brace(struct layout *l, struct pol_str text, int next)
{
	bool is_union = pol_brace_is_union(l->last);

	push(l, T_LBRACE, text);
	if (l->n_open < POL_MAX_BRACKETS)
		l->open[l->n_open++] = is_union ? 'u' : 'b';
	if (is_union) {
		l->last = 'u';
		return;
	}
	l->last = T_LBRACE;
	if (next == T_RBRACE) { /* { } */
		l->open[l->n_open - 1] = 'e';
		return;
	}
	flush(l, false);
	stand_apart(l);
	l->depth++;
}

static void close_brace(struct layout *l, struct pol_str text)
{
	char kind = l->n_open ? l->open[--l->n_open] : 'b';

	l->last = T_RBRACE;
	if (kind == 'u') {
		push(l, T_RBRACE, text);
		return;
	}
	l->blank = false;
	if (kind == 'b' && l->depth)
		l->depth--;
	push(l, T_RBRACE, text);
	flush(l, false);
	if (kind == 'e')
		stand_apart(l);
	l->blank = l->depth == 0;
}

static void token(struct layout *l, int kind, struct pol_str text, int next)
{
	if (kind == T_LBRACE) {
		open_brace(l, text, next);
		return;
	}
	if (kind == T_RBRACE) {
		close_brace(l, text);
		return;
	}
	push(l, kind, kind == T_REGEX ? regex_text(l, text) : text);
	l->brackets += kind == T_LBRACKET;
	l->brackets -= kind == T_RBRACKET && l->brackets;
	l->parens += kind == T_LPAREN;
	l->parens -= kind == T_RPAREN && l->parens;
	l->last = kind;
	if (kind == T_SEMI) {
		flush(l, false);
		l->brackets = l->parens = 0;
	}
}

/* ---- alignment --------------------------------------------------------------- */

static void pad(struct layout *l, struct out_line *line, size_t to)
{
	struct pol_buf b = { 0 };

	pol_buf_add(&b, (struct pol_str){ line->text.p, line->equals });
	while (b.n < to)
		pol_buf_addc(&b, ' ');
	pol_buf_add(&b,
		    (struct pol_str){ line->text.p + line->equals, line->text.n - line->equals });
	line->text = pol_arena_str(l->arena, pol_buf_str(&b));
	line->equals = to;
	pol_buf_free(&b);
}

/* Definitions of one kind in neighbouring lines have their `=` in one column. */
static void align_definitions(struct layout *l)
{
	for (size_t i = 0; i < l->lines.n;) {
		size_t n = 1, most = l->lines.v[i].equals;

		while (i + n < l->lines.n && !l->lines.v[i + n].blank && !l->lines.v[i + n].alone &&
		       l->lines.v[i + n].kind && l->lines.v[i + n].kind == l->lines.v[i].kind) {
			if (l->lines.v[i + n].equals > most)
				most = l->lines.v[i + n].equals;
			n++;
		}
		for (size_t k = i; k < i + n && most <= ALIGN_MAX; k++)
			if (l->lines.v[k].equals)
				pad(l, &l->lines.v[k], most);
		i += n;
	}
}

static bool has_side_comment(const struct out_line *line)
{
	return line->comment.p && !line->alone;
}

static void print_line(const struct out_line *line, size_t column, struct pol_buf *out)
{
	if (line->blank)
		pol_buf_addc(out, '\n');
	pol_buf_add(out, line->text);
	if (has_side_comment(line)) {
		pol_buf_addz(out, "  ");
		for (size_t at = columns(line->text) + 2; at < column; at++)
			pol_buf_addc(out, ' ');
	}
	pol_buf_add(out, line->comment);
	pol_buf_addc(out, '\n');
}

/* Comments behind the lines of one paragraph stand in one column. */
static void print(const struct layout *l, struct pol_buf *out)
{
	for (size_t i = 0; i < l->lines.n;) {
		size_t column = 0, n = 0;

		do {
			const struct out_line *line = &l->lines.v[i + n++];
			size_t end = columns(line->text) + 2;

			if (has_side_comment(line) && end > column && end <= COMMENT_MAX)
				column = end;
		} while (i + n < l->lines.n && !l->lines.v[i + n].blank);
		for (size_t k = i; k < i + n; k++)
			print_line(&l->lines.v[k], column, out);
		i += n;
	}
}

/* ---- all --------------------------------------------------------------------- */

struct scanned {
	int kind;
	struct pol_span span;
};

struct scanned_list {
	POL_VEC(struct scanned) all;
};

static unsigned newlines(const struct layout *l, uint32_t from, uint32_t to)
{
	unsigned n = 0;

	for (uint32_t i = from; i < to; i++)
		n += l->src->text.p[i] == '\n';
	return n;
}

static void lay_out(struct layout *l, const struct scanned_list *t)
{
	for (size_t i = 0; i < t->all.n; i++) {
		const struct scanned *s = &t->all.v[i];
		struct pol_str text = { l->src->text.p + s->span.start,
					s->span.end - s->span.start };
		unsigned lines = newlines(l, l->end, s->span.start);
		int next = i + 1 < t->all.n ? t->all.v[i + 1].kind : 0;
		bool after_open = l->last == T_LBRACE && !l->pieces.n && l->lines.n &&
				  !l->lines.v[l->lines.n - 1].alone;

		/* Blank lines count between statements, not in them and not after a `{`. */
		if (lines > 1 && !l->first && !after_open)
			l->blank = true;
		if (s->kind == T_COMMENT)
			comment(l, text, lines > 0 || (!l->lines.n && !l->pieces.n));
		else
			token(l, s->kind, text, next);
		l->end = s->span.end;
	}
}

static void scan_all(struct pol_parse *ctx, struct scanned_list *out)
{
	struct scanned s;
	POL_YYSTYPE value;

	pol_scan_init(ctx);
	while ((s.kind = pol_scan(&value, &s.span, ctx->scanner)))
		*pol_vec_push(&out->all) = s;
	pol_scan_end(ctx);
}

int pol_format(struct pol_sources *s, struct pol_source *src, struct pol_diags *d,
	       struct pol_buf *out)
{
	struct pol_program *p = pol_program_new(s->arena);
	size_t errors = d->n_errors;
	struct scanned_list tokens = { 0 };
	struct layout l = { .arena = s->arena, .src = src };
	struct pol_diags scrap;

	pol_parse_file(p, src, d);
	if (d->n_errors == errors) {
		struct pol_parse ctx = { .arena = s->arena,
					 .names = p->names,
					 .diags = &scrap,
					 .src = src,
					 .comments = true };

		pol_diags_init(&scrap, s->arena);
		scan_all(&ctx, &tokens);
		pol_diags_free(&scrap);
		lay_out(&l, &tokens);
		align_definitions(&l);
		print(&l, out);
	}
	pol_vec_free(&tokens.all);
	pol_vec_free(&l.pieces);
	pol_vec_free(&l.lines);
	pol_program_free(p);
	return d->n_errors == errors ? 0 : -EINVAL;
}

int pol_format_file(const char *path, const struct pol_fs *fs, const struct pol_render *how,
		    struct pol_buf *out, bool *same, struct pol_buf *said)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_sources *s = pol_sources_new(a);
	struct pol_err e = { 0 };
	struct pol_source *src;
	struct pol_diags d;
	struct pol_str text;
	int r;

	pol_diags_init(&d, a);
	if (!fs)
		fs = &pol_fs_disk;
	*same = false;
	r = fs->read(fs->ctx, path, POL_MAX_POLICY, a, &text, &e);
	if (r) {
		pol_diag(&d, POL_P0101, POL_NO_SPAN, "%s", e.text);
	} else {
		src = pol_source_add(s, pol_str(path), pol_str(path), text);
		r = pol_format(s, src, &d, out);
		*same = !r && pol_str_eq(pol_buf_str(out), text);
	}
	pol_diags_sort(&d);
	pol_diags_render(said, &d, s, how);
	pol_diags_free(&d);
	pol_sources_free(s);
	pol_arena_free(a);
	return r;
}
