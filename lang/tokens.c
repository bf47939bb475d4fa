/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between scanner and parser: brackets, syntax errors, recovery.
 *
 * One mistake must cost one statement and no message about the next one. So
 * recovery is done here, where the brackets are known, and not by bison: a
 * forgotten `;` or `}` is put in; otherwise the rest of the statement, its
 * block included, is skipped and ended with a `;` for `error ";"` to take.
 */
#include "lang/syntax.h"

/* A text is given up after this many syntax errors. */
#define MAX_SYNTAX_ERRORS 200

bool pol_brace_is_union(int before)
{
	return before == T_FROM || before == T_TO || before == T_ON || before == T_EXCEPT ||
	       before == T_IN || before == T_COMMA || before == T_BACKEND || before == 'u';
}

static struct pol_token end_token(struct pol_parse *ctx)
{
	uint32_t n = (uint32_t)ctx->src->text.n;

	return (struct pol_token){
		.kind = T_END, .span = { ctx->src->id, n, n }, .first = true, .at_margin = true
	};
}

/* ---- brackets ------------------------------------------------------------------- */

static void too_deep(struct pol_parse *ctx, struct pol_span at)
{
	if (!ctx->stopped)
		pol_diag(ctx->diags, POL_P0105, at, "nested too deeply");
	ctx->stopped = true;
	ctx->errors++;
}

static void open_bracket(struct pol_parse *ctx, struct pol_token *t, char kind)
{
	t->bracket = kind;
	if (ctx->n_open == POL_MAX_BRACKETS) {
		too_deep(ctx, t->span);
		*t = end_token(ctx);
		return;
	}
	ctx->open_span[ctx->n_open] = t->span;
	ctx->open[ctx->n_open++] = kind;
}

/* Closes the innermost bracket that fits; ( [ and unions that were left open inside go with it. */
static void close_bracket(struct pol_parse *ctx, struct pol_token *t)
{
	unsigned n = ctx->n_open;

	while (n && (t->kind == T_RBRACE     ? ctx->open[n - 1] != 'b' && ctx->open[n - 1] != 'u'
		     : t->kind == T_RBRACKET ? ctx->open[n - 1] != '['
					     : ctx->open[n - 1] != '('))
		n--;
	if (!n)
		return; /* closes nothing: the parser will say so */
	if (t->kind != T_RBRACE)
		for (unsigned i = n; i < ctx->n_open; i++)
			if (ctx->open[i] == 'b')
				return; /* not across a block */
	t->bracket = ctx->open[n - 1];
	ctx->n_open = n - 1;
}

static void note_brackets(struct pol_parse *ctx, struct pol_token *t)
{
	if (t->kind == T_LBRACE)
		open_bracket(ctx, t, pol_brace_is_union(ctx->raw_kind) ? 'u' : 'b');
	else if (t->kind == T_LBRACKET)
		open_bracket(ctx, t, '[');
	else if (t->kind == T_LPAREN)
		open_bracket(ctx, t, '(');
	else if (t->kind == T_RBRACE || t->kind == T_RBRACKET || t->kind == T_RPAREN)
		close_bracket(ctx, t);
	ctx->raw_kind = t->kind == T_LBRACE && t->bracket == 'u' ? 'u' : t->kind;
}

static unsigned open_blocks(const struct pol_parse *ctx)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ctx->n_open; i++)
		n += ctx->open[i] == 'b';
	return n;
}

/* ---- tokens from the text ---------------------------------------------------------- */

static bool first_in_line(const struct pol_parse *ctx, uint32_t at, bool *margin)
{
	const char *p = ctx->src->text.p;
	uint32_t i = at;

	while (i && (p[i - 1] == ' ' || p[i - 1] == '\t'))
		i--;
	*margin = i == at && (!i || p[i - 1] == '\n');
	return !i || p[i - 1] == '\n';
}

/* A definition's name is remembered even if the definition turns out to be broken. */
static void note_definition(struct pol_parse *ctx, const struct pol_token *t, int before)
{
	bool defines = before == T_CIDR || before == T_PORT || before == T_ENDPOINT ||
		       before == T_SERVICE || before == T_FILTER;

	if (defines && (t->kind == T_NAME || t->kind == T_METHOD || t->kind >= T_ADMIN))
		*pol_vec_push(&ctx->maybe) = t->value.string.text;
}

static struct pol_token next_raw(struct pol_parse *ctx)
{
	struct pol_token t = { 0 };
	int before = ctx->raw_kind;

	if (ctx->stopped || ctx->at_end)
		return end_token(ctx);
	t.kind = pol_scan(&t.value, &t.span, ctx->scanner);
	ctx->at_end = !t.kind;
	if (ctx->at_end)
		return end_token(ctx);
	t.first = first_in_line(ctx, t.span.start, &t.at_margin);
	note_definition(ctx, &t, before);
	note_brackets(ctx, &t);
	return t;
}

static void put_back(struct pol_parse *ctx, struct pol_token t)
{
	if (ctx->n_queue < POL_ARRAY_LEN(ctx->queue))
		ctx->queue[ctx->n_queue++] = t;
}

static struct pol_token put_in(int kind, struct pol_span at)
{
	at.end = at.start;
	return (struct pol_token){ .kind = kind, .span = at, .put_in = true };
}

/* ---- recovery ------------------------------------------------------------------------ */

static bool starts_definition(const struct pol_token *t)
{
	return t->kind == T_IMPORT || t->kind == T_DEFAULT || t->kind == T_POOL ||
	       t->kind == T_OPTION || t->kind == T_CIDR || t->kind == T_PORT ||
	       t->kind == T_ENDPOINT || t->kind == T_POLICY || t->kind == T_SERVICE ||
	       t->kind == T_FILTER || t->kind == T_ASSERT;
}

/* Forgets brackets until `blocks` blocks are open and nothing inside the last one. */
static void close_to(struct pol_parse *ctx, unsigned blocks)
{
	while (ctx->n_open && (open_blocks(ctx) > blocks || ctx->open[ctx->n_open - 1] != 'b'))
		ctx->n_open--;
}

/* The same token may come back only so often: whatever the text, recovery ends. */
static void put_back_once(struct pol_parse *ctx, struct pol_token t)
{
	if (ctx->stuck++ < (t.kind == T_END ? 4 * POL_MAX_BRACKETS : 4))
		put_back(ctx, t);
	else if (t.kind == T_END)
		ctx->stopped = true;
}

/* From the token that was wrong to the end of its statement; returns the `;` for it. */
static struct pol_token skip_statement(struct pol_parse *ctx)
{
	struct pol_token t = ctx->last;
	unsigned blocks = open_blocks(ctx);
	bool first = true;

	if (t.kind == T_LBRACE && t.bracket == 'b')
		blocks--;
	if (t.kind == T_RBRACE && t.bracket == 'b')
		blocks++;
	for (;; t = next_raw(ctx), first = false) {
		unsigned now = open_blocks(ctx);

		if (!first)
			ctx->stuck = 0;
		if (t.kind == T_END || (t.at_margin && starts_definition(&t))) {
			close_to(ctx, blocks);
			put_back_once(ctx, t);
			return put_in(T_SEMI, t.span);
		}
		if (t.kind == T_RBRACE && t.bracket == 'b' && now < blocks) {
			/* The end of the block that the statement stands in. */
			put_back_once(ctx, t);
			return put_in(T_SEMI, t.span);
		}
		if (t.kind == T_RBRACE && (t.bracket == 'b' ? now == blocks : first && !t.bracket))
			return put_in(T_SEMI, t.span);
		if (t.kind == T_SEMI && now <= blocks) {
			close_to(ctx, blocks);
			return t;
		}
	}
}

static int deliver(struct pol_parse *ctx, struct pol_token t, POL_YYSTYPE *value,
		   struct pol_span *at)
{
	ctx->before = ctx->last;
	ctx->last = t;
	*value = t.value;
	*at = t.span;
	return t.kind;
}

int pol_yylex(POL_YYSTYPE *value, struct pol_span *at, struct pol_parse *ctx)
{
	struct pol_token t;

	if (!ctx->start_sent) {
		ctx->start_sent = true;
		*at = (struct pol_span){ ctx->src->id, 0, 0 };
		return ctx->flow ? T_START_FLOW : T_START_FILE;
	}
	if (ctx->last.kind == T_END && !ctx->n_queue && !ctx->skip)
		return 0;
	if (ctx->skip) {
		ctx->skip = false;
		t = ctx->flow ? end_token(ctx) : skip_statement(ctx);
	} else if (ctx->n_queue) {
		t = ctx->queue[--ctx->n_queue];
	} else {
		t = next_raw(ctx);
		ctx->stuck = 0;
	}
	return deliver(ctx, t, value, at);
}

/* ---- what to say --------------------------------------------------------------------- */

static bool has(const int *expected, size_t n, int kind)
{
	for (size_t i = 0; i < n; i++)
		if (expected[i] == kind)
			return true;
	return false;
}

/* "`from`", or "a number" as it is; bare: without its article. */
static void add_token(struct pol_buf *b, int kind, bool bare)
{
	const char *name = pol_token_name(kind);
	size_t article = strncmp(name, "a ", 2) == 0     ? 2
			 : strncmp(name, "an ", 3) == 0  ? 3
			 : strncmp(name, "the ", 4) == 0 ? 4
							 : 0;

	pol_buf_printf(b, article ? "%s" : "`%s`", bare ? name + article : name);
}

static bool is_soft(int kind)
{
	return kind >= T_ADMIN && kind <= T_WEIGHT;
}

static bool is_peer_start(int kind)
{
	return kind == T_ANY || kind == T_HOST || kind == T_NODES || kind == T_WORLD ||
	       kind == T_PUBLIC || kind == T_NONE || kind == T_PREFIX || kind == T_LBRACE ||
	       kind == T_LBRACKET || kind == T_NAME || kind == T_METHOD;
}

static bool is_port_start(int kind)
{
	return kind == T_TCP || kind == T_UDP || kind == T_SCTP || kind == T_ICMP ||
	       kind == T_ICMP6 || kind == T_PROTO || kind == T_NAME || kind == T_METHOD ||
	       kind == T_NUMBER || kind == T_RANGE;
}

/* Groups of tokens that have one name for people. */
static const struct group {
	int sign[3]; /* all expected: it is this group */
	bool (*member)(int kind);
	const char *text;
} groups[] = {
	{ { T_IMPORT, T_ENDPOINT, T_POLICY },
	  is_soft,
	  "a definition such as `endpoint` or `policy`" },
	{ { T_ANY, T_WORLD, T_PREFIX }, is_peer_start, "a peer: a name, a prefix, `any`, `world`" },
	{ { T_TCP, T_PROTO, T_NAME },
	  is_port_start,
	  "a protocol such as `tcp 443`, or a named port" },
};

static void add_choice(struct pol_buf *b, const char *text, int kind, bool first)
{
	if (!first)
		pol_buf_addz(b, ", ");
	if (text)
		pol_buf_addz(b, text);
	else
		add_token(b, kind, false);
}

/* The few things that it is useful to name; empty if there are too many. */
static void expected_text(struct pol_buf *b, const int *expected, size_t n)
{
	const struct group *group = NULL;
	bool name = has(expected, n, T_NAME);
	size_t said = 0;

	/* Where a name may stand, the words of definitions are only names. */
	for (size_t i = name ? 1 : 0; i < POL_ARRAY_LEN(groups) && !group; i++)
		if (has(expected, n, groups[i].sign[0]) && has(expected, n, groups[i].sign[1]) &&
		    has(expected, n, groups[i].sign[2]))
			group = &groups[i];
	if (group)
		add_choice(b, group->text, 0, said++ == 0);
	for (size_t i = 0; i < n; i++) {
		int k = expected[i];

		if ((group && group->member(k)) || (name && is_soft(k)) || k == T_COMMENT ||
		    k == T_END || (name && k == T_METHOD))
			continue;
		if (said == 6) {
			pol_buf_addz(b, ", ...");
			break;
		}
		add_choice(b, NULL, k, said++ == 0);
	}
}

static struct pol_span just_after(struct pol_span at)
{
	at.start = at.end;
	return at;
}

/* The statement was complete but for its `;`: put it in and go on where we are. */
static bool missing_semicolon(struct pol_parse *ctx, const int *expected, size_t n)
{
	const struct pol_token *t = &ctx->last;

	if (ctx->flow || !has(expected, n, T_SEMI) || has(expected, n, T_END) ||
	    !(t->first || t->kind == T_RBRACE || t->kind == T_END) || t->kind == T_SEMI)
		return false;
	if (t->first && (t->kind == T_COMMA || t->kind == T_LBRACE))
		return false;
	if (!pol_said(ctx, ctx->before.span))
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0112, just_after(ctx->before.span),
					"missing `;`"),
			       "expected `;` here");
	ctx->end_reported |= t->kind == T_END;
	put_back_once(ctx, *t);
	put_back(ctx, put_in(T_SEMI, just_after(ctx->before.span)));
	return true;
}

/* A definition, or the end, where a block is still open. */
static bool missing_brace(struct pol_parse *ctx, const int *expected, size_t n)
{
	struct pol_token t = ctx->last;
	struct pol_span at = t.span;
	struct pol_diag *g;

	if (!has(expected, n, T_RBRACE) || !ctx->n_open || ctx->open[ctx->n_open - 1] != 'b' ||
	    (t.kind != T_END && !(t.at_margin && starts_definition(&t))))
		return false;
	if (!ctx->end_reported) {
		g = pol_diag(ctx->diags, POL_P0113,
			     t.kind == T_END ? just_after(ctx->before.span) : at, "missing `}`");
		pol_diag_label(ctx->diags, g,
			       t.kind == T_END ? "expected `}` here" : "expected `}` before this");
		pol_diag_also(ctx->diags, g, ctx->open_span[ctx->n_open - 1],
			      "this `{` is not closed");
	}
	ctx->end_reported |= t.kind == T_END;
	ctx->n_open--;
	put_back_once(ctx, t);
	put_back(ctx, put_in(T_RBRACE, at));
	put_back(ctx, put_in(T_SEMI, at)); /* for `error ";"` */
	return true;
}

/* A misspelt word of the language. */
static bool help_spelling(struct pol_parse *ctx, struct pol_diag *g, struct pol_str word,
			  const int *expected, size_t n)
{
	unsigned distance, least = UINT32_MAX;
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *name = pol_token_name(expected[i]);

		if (!strchr(name, ' ') && pol_similar(word, pol_str(name), &distance) &&
		    distance < least) {
			least = distance;
			best = name;
		}
	}
	if (best)
		pol_diag_help(ctx->diags, g, "did you mean `%s`?", best);
	return best != NULL;
}

static bool is_word(const struct pol_parse *ctx, const char *word)
{
	return (ctx->last.kind == T_NAME || is_soft(ctx->last.kind)) &&
	       pol_str_is(ctx->last.value.string.text, word);
}

/* Mistakes that are made often, told by what was found and what could have stood there. */
static const char *usual_mistake(const struct pol_parse *ctx, const int *expected, size_t n)
{
	int kind = ctx->last.kind;
	bool name = has(expected, n, T_NAME), peer = name && has(expected, n, T_WORLD);
	bool after_peer = has(expected, n, T_EXCEPT);

	if (kind == T_ASSIGN && has(expected, n, T_EQ))
		return "`==` compares, `=` defines";
	if (kind == T_EQ && has(expected, n, T_ASSIGN))
		return "`=` defines, `==` compares";
	if (kind == T_STAR && peer)
		return "everybody is `any`";
	if (kind == T_STAR && name && has(expected, n, T_STRING) && ctx->before.kind == T_POLICY)
		return "a policy for everybody: `policy \"NAME\" on any`";
	if (kind == T_PREFIX && ctx->before.kind == T_LBRACKET)
		return "in brackets stand labels; an address stands alone: `2001:db8::1`";
	if ((kind == T_AND || kind == T_OR) && has(expected, n, T_COMMA) &&
	    has(expected, n, T_RBRACKET))
		return "the short form `[a=b,c=d]` has commas only; with `==` it is a selector";
	if (kind == T_STRING && peer)
		return "names of peers stand without quotes";
	if (kind == T_NOT && peer)
		return "`not` is for labels; of peers write `any except api`";
	if ((kind == T_AND || kind == T_OR) && after_peer)
		return "`{ a, b }` is who is in one of them, `a in b` who is in both";
	if ((kind == T_FROM || kind == T_TO) && after_peer && !has(expected, n, kind) &&
	    has(expected, n, T_SEMI))
		return "a rule has one direction; write one rule for each";
	if (after_peer && has(expected, n, T_ON) &&
	    ((is_port_start(kind) && kind != T_NAME && kind != T_METHOD) || is_word(ctx, "port") ||
	     is_word(ctx, "ports")))
		return "`on` stands before protocols and ports: `on tcp 80`";
	if (!name && has(expected, n, T_FROM) && has(expected, n, T_TO) && !ctx->flow)
		return "say the direction: `from` a peer, or `to` a peer";
	if (kind == T_ON && has(expected, n, T_SEMI))
		return "`on` stands once, before `log`, `name` and `limit`";
	if (!name && has(expected, n, T_BURST))
		return "a limit is written `limit 200/s burst 400`";
	if (!name && has(expected, n, T_ON) && ctx->before.kind == T_STRING)
		return "a policy with a quoted name says whom it is for: `on PEER`";
	if (kind == T_END)
		return "the text ends in the middle of a statement";
	return NULL;
}

static void help(struct pol_parse *ctx, struct pol_diag *g, const int *expected, size_t n)
{
	const struct pol_token *t = &ctx->last;
	bool word = t->kind == T_NAME || t->kind == T_METHOD || is_soft(t->kind);
	const char *text = usual_mistake(ctx, expected, n);

	if (text) {
		pol_diag_help(ctx->diags, g, "%s", text);
		return;
	}
	if (!word)
		return;
	if (has(expected, n, T_STRING) && !has(expected, n, T_NAME))
		pol_diag_help(ctx->diags, g, "put it in quotes: \"%.*s\"",
			      POL_STR_ARG(t->value.string.text));
	else if (t->kind == T_NAME && has(expected, n, T_METHOD) && has(expected, n, T_STAR))
		pol_diag_help(ctx->diags, g,
			      "methods are written in upper case: GET, or `*` for all");
	else if (!has(expected, n, T_NAME))
		help_spelling(ctx, g, t->value.string.text, expected, n);
}

static void say_unexpected(struct pol_parse *ctx, const int *expected, size_t n)
{
	const struct pol_token *t = &ctx->last;
	struct pol_buf found = { 0 }, want = { 0 };
	struct pol_diag *g;

	if (t->kind == T_NAME || t->kind == T_METHOD || is_soft(t->kind))
		pol_buf_printf(&found, "`%.*s`", POL_STR_ARG(t->value.string.text));
	else
		add_token(&found, t->kind, true);
	expected_text(&want, expected, n);
	g = pol_diag(ctx->diags, POL_P0110,
		     t->kind == T_END ? just_after(ctx->before.span) : t->span, "unexpected %s",
		     found.p);
	if (want.n)
		pol_diag_label(ctx->diags, g, "expected %s", want.p);
	help(ctx, g, expected, n);
	pol_buf_free(&found);
	pol_buf_free(&want);
}

/* Says what is wrong, once for each mistake, and decides how to go on. */
static void recover(struct pol_parse *ctx, const int *expected, size_t n)
{
	struct pol_token t = ctx->last;

	if (t.kind == T_SEMI && ctx->before.kind == T_RBRACE) {
		pol_diag_help(ctx->diags,
			      pol_diag(ctx->diags, POL_P0111, t.span, "no `;` after `}`"),
			      "remove it");
		return;
	}
	if (missing_brace(ctx, expected, n) || missing_semicolon(ctx, expected, n))
		return;
	/* After what was no token, the parser's own surprise is no news. */
	if (!(t.kind == T_END && ctx->end_reported) && !pol_said(ctx, t.span) &&
	    !(ctx->bad.end && ctx->bad.end == t.span.start))
		say_unexpected(ctx, expected, n);
	ctx->end_reported |= t.kind == T_END;
	ctx->skip = t.kind != T_SEMI;
}

void pol_syntax_error(struct pol_parse *ctx, const int *expected, size_t n)
{
	if (ctx->stopped)
		return;
	recover(ctx, expected, n);
	if (++ctx->errors < MAX_SYNTAX_ERRORS)
		return;
	pol_diag(ctx->diags, POL_P0110, ctx->last.span,
		 "too many syntax errors, the rest was not read");
	ctx->stopped = true;
}

void pol_syntax_memory(struct pol_parse *ctx)
{
	too_deep(ctx, ctx->last.span);
}
