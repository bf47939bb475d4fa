/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may follow: decided by the words before the cursor, since the text around it is seldom
 * whole.  A look back over the statement, the block that it stands in, and no more.
 */
#include <ctype.h>

#include "lsp/private.h"

#define LOOK_BACK 65536 /* bytes */

enum block { TOP, POLICY, TIER, SERVICE, FILTER, HTTP };

struct context {
	enum block block;
	struct pol_str word[64]; /* of the statement, the one being written left out */
	size_t nwords;
	bool inside_text; /* a comment or a string */
};

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

static enum block block_after(const struct context *c)
{
	static const struct {
		const char *word;
		enum block block;
	} opens[] = {
		{ "policy", POLICY },
		{ "service", SERVICE },
		{ "filter", FILTER },
	};

	for (size_t i = 0; i < c->nwords; i++)
		if (pol_str_is(c->word[i], "http"))
			return HTTP;
	for (size_t i = 0; c->nwords && i < POL_ARRAY_LEN(opens); i++) {
		if (!pol_str_is(c->word[0], opens[i].word))
			continue;
		for (size_t k = 1; k < c->nwords; k++)
			if (opens[i].block == POLICY && pol_str_is(c->word[k], "tier"))
				return TIER;
		return opens[i].block;
	}
	return c->block;
}

static void push(struct context *c, struct pol_str word)
{
	if (c->nwords == POL_ARRAY_LEN(c->word)) {
		memmove(c->word + 1, c->word + 2, (c->nwords - 2) * sizeof(*c->word));
		c->nwords--;
	}
	c->word[c->nwords++] = word;
}

/* A union's brace is part of a statement; a block's begins one. */
static bool opens_union(const struct context *c)
{
	static const char *const before[] = { "from", "to", "except", "in",
					      ",",    "{",  "on",     "backend" };

	for (size_t i = 0; c->nwords && i < POL_ARRAY_LEN(before); i++)
		if (pol_str_is(c->word[c->nwords - 1], before[i]))
			return true;
	return false;
}

static size_t skip_text(struct context *c, struct pol_str t, size_t i)
{
	char quote = t.p[i];

	for (i++; i < t.n && t.p[i] != '\n'; i++) {
		if (quote != '#' && t.p[i] == quote)
			return i + 1;
		i += quote == '"' && t.p[i] == '\\';
	}
	c->inside_text = i >= t.n;
	return i;
}

static void look(struct context *c, struct pol_str t)
{
	enum block outer[16] = { TOP };
	unsigned depth = 0, unions = 0;

	for (size_t i = 0; i < t.n;) {
		size_t from = i;

		if (t.p[i] == '#' || t.p[i] == '"' || t.p[i] == '\'') {
			i = skip_text(c, t, i);
			if (t.p[from] != '#')
				push(c, (struct pol_str){ "\"", 1 });
			continue;
		}
		while (i < t.n && in_word(t.p[i]))
			i++;
		if (i > from) {
			if (i < t.n) /* else it is being written */
				push(c, (struct pol_str){ t.p + from, i - from });
			continue;
		}
		i++;
		if (isspace((unsigned char)t.p[from]))
			continue;
		if (t.p[from] == '{' && opens_union(c)) {
			unions++;
		} else if (t.p[from] == '{') {
			enum block inner = block_after(c);

			if (depth < POL_ARRAY_LEN(outer))
				outer[depth] = c->block;
			depth++;
			c->block = inner;
			c->nwords = unions = 0;
			continue;
		} else if (t.p[from] == '}' && unions) {
			unions--;
		} else if (t.p[from] == '}' && depth) {
			depth--;
			c->block = depth < POL_ARRAY_LEN(outer) ? outer[depth] : TOP;
			/* What an http block ends is a rule, and goes on. */
			c->nwords = 0;
			continue;
		} else if (t.p[from] == ';') {
			c->nwords = unions = 0;
			continue;
		}
		push(c, (struct pol_str){ t.p + from, 1 });
	}
}

/* ---- what fits -------------------------------------------------------------------- */

struct list {
	const struct lsp_doc *doc;
	json_t *all;
};

/* CompletionItemKind of the protocol. */
enum { ITEM_FUNCTION = 3, ITEM_CLASS = 7, ITEM_KEYWORD = 14, ITEM_CONSTANT = 21 };

static void item(struct list *l, struct pol_str text, int kind, const char *detail)
{
	json_array_append_new(l->all, json_pack("{s:o, s:i, s:s}", "label", lsp_string(text),
						"kind", kind, "detail", detail));
}

static void keywords(struct list *l, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		item(l, (struct pol_str){ words, n }, ITEM_KEYWORD, "");
		words += n + (words[n] == ' ');
	}
}

static void declared(struct list *l, enum pol_decl_kind kind, int item_kind)
{
	const struct pol_program *p = l->doc->program;

	for (size_t i = 0; i < p->decls.n; i++)
		if (p->decls.v[i]->kind == kind && p->decls.v[i]->name.text.n)
			item(l, p->decls.v[i]->name.text, item_kind, pol_decl_kind_name(kind));
}

static void peers(struct list *l)
{
	declared(l, POL_DECL_ENDPOINT, ITEM_CLASS);
	declared(l, POL_DECL_CIDR, ITEM_CONSTANT);
	declared(l, POL_DECL_SERVICE, ITEM_CLASS);
	keywords(l, "any host nodes world public");
}

static void protocols(struct list *l)
{
	declared(l, POL_DECL_PORT, ITEM_CONSTANT);
	keywords(l, "tcp udp sctp icmp icmp6 proto");
}

static void types(struct list *l, uint8_t proto)
{
	for (unsigned i = 0; i < 256; i++) {
		const char *name = pol_icmp_type_name(proto, (uint8_t)i);

		if (name)
			item(l, pol_str(name), ITEM_CONSTANT, "type");
	}
}

static void begin(struct list *l, enum block block)
{
	static const char *const first[] = {
		[TOP] = "import default pool option cidr port endpoint policy service filter assert",
		[POLICY] = "allow deny reject",
		[TIER] = "allow deny reject skip",
		[SERVICE] = "vip backend balance mode check",
		[FILTER] = "drop pass limit",
		[HTTP] = "allow deny",
	};

	keywords(l, first[block]);
}

static bool is_one_of(struct pol_str word, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		if (pol_str_eq(word, (struct pol_str){ words, n }))
			return true;
		words += n + (words[n] == ' ');
	}
	return false;
}

/* Of the last `from`, `to` or `on`: which list the cursor is in. */
static struct pol_str clause_of(const struct context *c)
{
	for (size_t i = c->nwords; i-- > 0;)
		if (is_one_of(c->word[i], "from to on"))
			return c->word[i];
	return (struct pol_str){ "", 0 };
}

static void next(struct list *l, const struct context *c)
{
	struct pol_str last = c->word[c->nwords - 1], first = c->word[0], clause = clause_of(c);
	bool expects = is_one_of(last, "from to except in on , { backend");

	if (c->block == HTTP) {
		if (is_one_of(last, "allow deny ,"))
			keywords(l, "GET HEAD POST PUT DELETE PATCH OPTIONS");
		else if (is_one_of(last, "where and"))
			keywords(l, "host header query not");
		else
			keywords(l, "where websocket");
	} else if (is_one_of(last, "icmp icmp6")) {
		types(l, pol_str_is(last, "icmp") ? POL_PROTO_ICMP : POL_PROTO_ICMP6);
	} else if (expects && pol_str_is(clause, "on") && !is_one_of(last, "from to")) {
		protocols(l);
	} else if (pol_str_is(first, "policy") && (c->nwords == 1 || pol_str_is(last, "on"))) {
		declared(l, POL_DECL_ENDPOINT, ITEM_CLASS);
		keywords(l, "any");
	} else if (pol_str_is(first, "policy")) {
		keywords(l, pol_str_is(last, "tier") ? "admin baseline" : "on tier audit");
	} else if (pol_str_is(first, "endpoint")) {
		keywords(l, "in not has and or true");
	} else if (pol_str_is(first, "cidr")) {
		declared(l, POL_DECL_CIDR, ITEM_CONSTANT);
		keywords(l, "file none dynamic");
	} else if (pol_str_is(first, "port")) {
		protocols(l);
	} else if (pol_str_is(first, "default")) {
		keywords(l, "deny allow");
	} else if (pol_str_is(first, "option")) {
		keywords(l, "host open");
	} else if (pol_str_is(last, "assert")) {
		keywords(l, "allow deny");
	} else if (is_one_of(last, "allow deny reject skip drop pass")) {
		keywords(l, "from to on");
	} else if (pol_str_is(last, "balance")) {
		keywords(l, "maglev random");
	} else if (pol_str_is(last, "mode")) {
		keywords(l, "nat dsr");
	} else if (expects) {
		peers(l);
	} else {
		keywords(l, "on except in to log name limit http per source burst");
	}
}

json_t *lsp_complete(struct lsp_doc *doc, const json_t *position)
{
	struct pol_str text = pol_buf_str(&doc->text);
	struct list l = { .doc = doc, .all = json_array() };
	struct context c = { .block = TOP };
	size_t from = 0;

	text.n = lsp_offset(text, position);
	if (text.n > LOOK_BACK) {
		/* At the margin a declaration begins, as the formatter lays them out. */
		for (from = text.n - LOOK_BACK; from < text.n; from++)
			if (text.p[from - 1] == '\n' && isalpha((unsigned char)text.p[from]))
				break;
	}
	look(&c, (struct pol_str){ text.p + from, text.n - from });
	if (c.inside_text)
		return l.all;
	if (c.nwords)
		next(&l, &c);
	else
		begin(&l, c.block);
	return l.all;
}
