/* SPDX-License-Identifier: GPL-2.0-only */
#include "base/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

/* ---- messages ------------------------------------------------------------ */

static int err_at(const struct pol_yaml_doc *doc, size_t line, size_t column, const char *text)
{
	return pol_err(doc->err, doc->code, "%s:%zu:%zu: %s", doc->path, line, column, text);
}

int pol_yaml_err(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_at(doc, at ? at->line : 1, at ? at->column : 1, text);
}

/* ---- events to nodes ----------------------------------------------------- */

/* A node that aliases may stand for, and what it counts as wherever they do. */
struct anchor {
	struct pol_str name;
	struct pol_yaml node;
	size_t nodes;
	unsigned height;
};

struct reader {
	const struct pol_yaml_doc *doc;
	const struct pol_yaml_limits *limits;
	struct pol_str text;
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; deleted before the next */
	size_t nodes;
	unsigned deepest; /* depth of the deepest node since it was last set back */
	POL_VEC(struct anchor) anchors; /* of this document */
};

POL_PRINTF(2, 3) static int fail(struct reader *r, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_at(r->doc, r->event.start_mark.line + 1, r->event.start_mark.column + 1, text);
}

/* libyaml gives an offset and no mark for bytes that it cannot read. */
static int fail_encoding(struct reader *r)
{
	size_t line = 1, column = 1, end = r->parser.problem_offset;

	for (size_t i = 0; i < end && i < r->text.n; i++) {
		unsigned char c = (unsigned char)r->text.p[i];

		if (c == '\n') {
			line++;
			column = 1;
		} else if ((c & 0xc0) != 0x80) {
			column++;
		}
	}
	return err_at(r->doc, line, column, "not UTF-8 text, or a control character");
}

static bool line_has(struct pol_str text, size_t line, const char *what)
{
	const char *p = text.p, *end = p + text.n, *stop;

	for (; p && line; line--) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return false;
	stop = memchr(p, '\n', (size_t)(end - p));
	return memmem(p, (size_t)((stop ? stop : end) - p), what, strlen(what)) != NULL;
}

static int fail_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	char text[384];
	int ret;

	if (p->error == YAML_MEMORY_ERROR)
		return pol_err(r->doc->err, -ENOMEM, "%s: out of memory", r->doc->path);
	if (p->error == YAML_READER_ERROR)
		return fail_encoding(r);
	snprintf(text, sizeof(text), "%s%s%s", p->problem ? p->problem : "not YAML",
		 p->context ? " " : "", p->context ? p->context : "");
	ret = err_at(r->doc, p->problem_mark.line + 1, p->problem_mark.column + 1, text);
	if (line_has(r->text, p->problem_mark.line, "::"))
		pol_err_help(r->doc->err, "an address with `::` at an end must stand in quotes");
	return ret;
}

static int next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		r->event = (yaml_event_t){ 0 };
		return fail_syntax(r);
	}
	return 0;
}

/* What makes a node more than data. *anchor: its name, or NULL. */
static int refuse_extras(struct reader *r, const yaml_char_t **anchor)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *tag = NULL;

	*anchor = NULL;
	if (e->type == YAML_SCALAR_EVENT) {
		*anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		*anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		*anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (*anchor && !r->limits->anchors)
		return fail(r, "anchors (`&name`) are not accepted here");
	if (*anchor && r->anchors.n >= r->limits->anchors)
		return fail(r, "more than %zu anchors", r->limits->anchors);
	if (tag)
		return fail(r, "tags (`!name`) are not accepted here");
	return 0;
}

/* The newest of that name: a later anchor hides an earlier one. */
static const struct anchor *find_anchor(const struct reader *r, struct pol_str name)
{
	for (size_t i = r->anchors.n; i > 0; i--)
		if (pol_str_eq(r->anchors.v[i - 1].name, name))
			return &r->anchors.v[i - 1];
	return NULL;
}

/* Copies nothing below the node, but counts it all: what walks the tree walks it all. */
static int read_alias(struct reader *r, unsigned depth, struct pol_yaml *out)
{
	struct pol_str name = pol_str((const char *)r->event.data.alias.anchor);
	const struct anchor *a = find_anchor(r, name);
	char q[POL_QUOTE];

	if (!r->limits->anchors)
		return fail(r, "aliases (`*name`) are not accepted here");
	if (!a)
		return fail(r, "alias `*%s` stands for nothing before it", pol_quote(name, q));
	if (a->nodes > r->limits->nodes - r->nodes)
		return fail(r, "more than %zu values, aliases written out", r->limits->nodes);
	if (depth + a->height > r->limits->depth)
		return fail(r, "nested deeper than %u, aliases written out", r->limits->depth);
	r->nodes += a->nodes;
	if (depth + a->height > r->deepest)
		r->deepest = depth + a->height;
	*out = a->node;
	return 0;
}

static int read_node(struct reader *r, unsigned depth, struct pol_yaml *out);

static int read_scalar(struct reader *r, struct pol_yaml *out)
{
	struct pol_str s = { (const char *)r->event.data.scalar.value,
			     r->event.data.scalar.length };

	if (s.n > r->limits->scalar)
		return fail(r, "longer than %zu bytes", r->limits->scalar);
	out->kind = POL_YAML_SCALAR;
	out->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	out->text = pol_arena_str(r->doc->arena, s);
	return 0;
}

static int check_key(struct reader *r, const struct pol_yaml *pairs, size_t n)
{
	const struct pol_yaml *key = &pairs[2 * n];
	char q[POL_QUOTE];

	if (key->kind != POL_YAML_SCALAR)
		return pol_yaml_err(r->doc, key, "a key must be a single word");
	if (!key->quoted && pol_str_is(key->text, "<<"))
		return pol_yaml_err(r->doc, key, "merge keys (`<<`) are not accepted here");
	if (n >= r->limits->keys)
		return pol_yaml_err(r->doc, key, "more than %zu keys", r->limits->keys);
	for (size_t i = 0; i < n; i++)
		if (pol_str_eq(pairs[2 * i].text, key->text))
			return pol_yaml_err(r->doc, key, "key `%s` is already on line %u",
					    pol_quote(key->text, q), pairs[2 * i].line);
	return 0;
}

typedef POL_VEC(struct pol_yaml) yaml_vec;

static int read_items(struct reader *r, unsigned depth, bool map, yaml_vec *items)
{
	yaml_event_type_t end = map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

	for (;;) {
		struct pol_yaml child;
		int ret = next(r);

		if (ret)
			return ret;
		if (r->event.type == end)
			return 0;
		ret = read_node(r, depth, &child);
		if (ret)
			return ret;
		*pol_vec_push(items) = child;
		if (map && items->n % 2) {
			ret = check_key(r, items->v, items->n / 2);
			if (ret)
				return ret;
		}
	}
}

static int read_collection(struct reader *r, unsigned depth, struct pol_yaml *out)
{
	bool map = r->event.type == YAML_MAPPING_START_EVENT;
	yaml_vec items = { 0 };
	int ret;

	if (depth >= r->limits->depth)
		return fail(r, "nested deeper than %u", r->limits->depth);
	ret = read_items(r, depth + 1, map, &items);
	if (!ret) {
		struct pol_yaml *copy = NULL;

		if (items.n) {
			copy = pol_arena_alloc(r->doc->arena, items.n * sizeof(*copy));
			memcpy(copy, items.v, items.n * sizeof(*copy));
		}
		out->kind = map ? POL_YAML_MAP : POL_YAML_LIST;
		out->n = map ? items.n / 2 : items.n;
		out->item = copy;
	}
	pol_vec_free(&items);
	return ret;
}

static int read_value(struct reader *r, unsigned depth, struct pol_yaml *out)
{
	if (++r->nodes > r->limits->nodes)
		return fail(r, "more than %zu values", r->limits->nodes);
	if (depth > r->deepest)
		r->deepest = depth;
	*out = (struct pol_yaml){ .line = (uint32_t)r->event.start_mark.line + 1,
				  .column = (uint32_t)r->event.start_mark.column + 1 };
	if (r->event.type == YAML_SCALAR_EVENT)
		return read_scalar(r, out);
	return read_collection(r, depth, out);
}

static int read_node(struct reader *r, unsigned depth, struct pol_yaml *out)
{
	const yaml_char_t *name;
	struct anchor a = { .nodes = r->nodes };
	unsigned above = r->deepest;
	int ret;

	if (r->event.type == YAML_ALIAS_EVENT)
		return read_alias(r, depth, out);
	ret = refuse_extras(r, &name);
	if (ret)
		return ret;
	if (name)
		a.name = pol_arena_str(r->doc->arena, pol_str((const char *)name));
	r->deepest = depth;
	ret = read_value(r, depth, out);
	if (!ret && name) {
		a.node = *out;
		a.nodes = r->nodes - a.nodes;
		a.height = r->deepest - depth;
		*pol_vec_push(&r->anchors) = a;
	}
	if (r->deepest < above)
		r->deepest = above;
	return ret;
}

/* From its start event; false in *any for a document with nothing in it. */
static int read_document(struct reader *r, struct pol_yaml *root, bool *any)
{
	int ret;

	if (r->event.data.document_start.tag_directives.start !=
	    r->event.data.document_start.tag_directives.end)
		return fail(r, "tags (`%%TAG`) are not accepted here");
	r->anchors.n = 0;
	ret = next(r);
	if (!ret)
		ret = read_node(r, 0, root);
	if (!ret)
		ret = next(r); /* end of the document */
	if (!ret)
		ret = next(r);
	*any = !ret && !(root->kind == POL_YAML_SCALAR && !root->quoted && !root->text.n);
	return ret;
}

static int read_stream(struct reader *r, struct pol_yaml *root)
{
	bool any;
	int ret = next(r);

	if (!ret)
		ret = next(r);
	if (ret)
		return ret;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return fail(r, "there is nothing here");
	ret = read_document(r, root, &any);
	if (!ret && r->event.type != YAML_STREAM_END_EVENT)
		return fail(r, "a second document; only one is accepted");
	return ret;
}

static int start(struct reader *r)
{
	if (!yaml_parser_initialize(&r->parser))
		return pol_err(r->doc->err, -ENOMEM, "%s: out of memory", r->doc->path);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.p, r->text.n);
	return 0;
}

static void stop(struct reader *r)
{
	yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
	pol_vec_free(&r->anchors);
}

int pol_yaml_parse(const struct pol_yaml_doc *doc, struct pol_str text,
		   const struct pol_yaml_limits *limits, struct pol_yaml *root)
{
	struct reader r = { .doc = doc, .limits = limits, .text = text };
	struct pol_yaml node;
	int ret = start(&r);

	if (ret)
		return ret;
	ret = read_stream(&r, &node);
	stop(&r);
	if (!ret)
		*root = node;
	return ret;
}

static int read_documents(struct reader *r, yaml_vec *roots)
{
	int ret = next(r);

	if (!ret)
		ret = next(r);
	while (!ret && r->event.type != YAML_STREAM_END_EVENT) {
		struct pol_yaml root;
		bool any;

		ret = read_document(r, &root, &any);
		if (any)
			*pol_vec_push(roots) = root;
	}
	return ret;
}

int pol_yaml_parse_all(const struct pol_yaml_doc *doc, struct pol_str text,
		       const struct pol_yaml_limits *limits, struct pol_yaml_stream *out)
{
	struct reader r = { .doc = doc, .limits = limits, .text = text };
	yaml_vec roots = { 0 };
	struct pol_yaml *copy = NULL;
	int ret = start(&r);

	if (ret)
		return ret;
	ret = read_documents(&r, &roots);
	stop(&r);
	if (!ret && roots.n) {
		copy = pol_arena_alloc(doc->arena, roots.n * sizeof(*copy));
		memcpy(copy, roots.v, roots.n * sizeof(*copy));
	}
	if (!ret)
		*out = (struct pol_yaml_stream){ copy, roots.n };
	pol_vec_free(&roots);
	return ret;
}

/* ---- values -------------------------------------------------------------- */

int pol_yaml_list(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what)
{
	if (at->kind != POL_YAML_LIST)
		return pol_yaml_err(doc, at, "%s must be a list: [...]", what);
	return 0;
}

int pol_yaml_text(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		  struct pol_str *out)
{
	if (at->kind != POL_YAML_SCALAR)
		return pol_yaml_err(doc, at, "%s must be a single value", what);
	if (!at->text.n && !at->quoted)
		return pol_yaml_err(doc, at, "%s has no value", what);
	*out = at->text;
	return 0;
}

bool pol_parse_u32(struct pol_str s, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (!s.n || s.n > 10 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

int pol_yaml_u32(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		 uint32_t min, uint32_t max, uint32_t *out)
{
	struct pol_str s;
	char q[POL_QUOTE];
	uint32_t v = 0;
	int ret = pol_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	if (at->quoted || !pol_parse_u32(s, max, &v) || v < min)
		return pol_yaml_err(doc, at, "%s must be a number from %u to %u, not `%s`", what,
				    min, max, pol_quote(s, q));
	*out = v;
	return 0;
}

int pol_yaml_bool(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		  bool *out)
{
	struct pol_str s;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	if (at->quoted || (!pol_str_is(s, "true") && !pol_str_is(s, "false")))
		return pol_yaml_err(doc, at, "%s must be true or false, not `%s`", what,
				    pol_quote(s, q));
	*out = s.p[0] == 't';
	return 0;
}

int pol_yaml_choice(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		    const char *const *name, size_t n, uint32_t *out)
{
	struct pol_str s;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++)
		if (pol_str_is(s, name[i])) {
			*out = (uint32_t)i;
			return 0;
		}
	return pol_yaml_err(doc, at, "unknown %s `%s`", what, pol_quote(s, q));
}

static int unknown_key(const struct pol_yaml_doc *doc, const struct pol_yaml *at, const char *what,
		       const char *const *key, size_t nkeys)
{
	const char *near = pol_suggest(at->text, key, nkeys);
	char q[POL_QUOTE], known[200] = "";
	size_t used = 0;
	int ret;

	ret = pol_yaml_err(doc, at, "unknown key `%s` in %s", pol_quote(at->text, q), what);
	if (near) {
		pol_err_help(doc->err, "did you mean `%s`?", near);
		return ret;
	}
	for (size_t i = 0; i < nkeys && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
					 key[i]);
	pol_err_help(doc->err, "known are %s", known);
	return ret;
}

int pol_yaml_map(const struct pol_yaml_doc *doc, const struct pol_yaml *map, const char *what,
		 const char *const *key, size_t nkeys, const struct pol_yaml **value)
{
	if (map->kind != POL_YAML_MAP)
		return pol_yaml_err(doc, map, "%s must be a mapping: key: value", what);
	memset(value, 0, nkeys * sizeof(*value));
	for (size_t i = 0; i < map->n; i++) {
		const struct pol_yaml *k = &map->item[2 * i];
		size_t j = 0;

		while (j < nkeys && !pol_str_is(k->text, key[j]))
			j++;
		if (j == nkeys)
			return unknown_key(doc, k, what, key, nkeys);
		value[j] = k + 1;
	}
	return 0;
}

/* ---- words --------------------------------------------------------------- */

static const unsigned char *utf8_next(const unsigned char *p, const unsigned char *end, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	*c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	if ((len > 1 && (p[0] < 0xc2 || p[0] > 0xf4)) || (size_t)(end - p) < len)
		return NULL;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return NULL;
		*c = *c << 6 | (p[i] & 0x3fu);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
		return NULL;
	return p + len;
}

/* What would act on a terminal or hide in a line instead of being seen. */
static bool shows(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0xad &&
	       !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff && !(c >= 0xfff9 && c <= 0xfffb) &&
	       !(c >= 0xe0000 && c <= 0xe0fff);
}

bool pol_printable(struct pol_str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	uint32_t c;

	while (p && p < end) {
		p = utf8_next(p, end, &c);
		if (p && !shows(c))
			return false;
	}
	return p || !s.n;
}

const char *pol_quote(struct pol_str s, char out[POL_QUOTE])
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	size_t n = 0;

	while (p < end) {
		uint32_t c;
		const unsigned char *q = utf8_next(p, end, &c);

		if (n + 8 > POL_QUOTE)
			break;
		if (q && shows(c)) {
			memcpy(out + n, p, (size_t)(q - p));
			n += (size_t)(q - p);
			p = q;
		} else {
			n += (size_t)snprintf(out + n, POL_QUOTE - n, "\\x%02x", *p++);
		}
	}
	snprintf(out + n, POL_QUOTE - n, "%s", p < end ? "..." : "");
	return out;
}

/* Edits from one word to the other: insert, delete, replace, swap neighbours. */
static size_t distance(struct pol_str a, struct pol_str b)
{
	size_t row[3][34] = { 0 };

	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t d = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			if (up[j] + 1 < d)
				d = up[j] + 1;
			if (now[j - 1] + 1 < d)
				d = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && up2[j - 2] + 1 < d)
				d = up2[j - 2] + 1;
			now[j] = d;
		}
	}
	return row[a.n % 3][b.n];
}

const char *pol_suggest(struct pol_str s, const char *const *word, size_t n)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;

	if (!s.n || s.n > 32)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct pol_str w = pol_str(word[i]);
		size_t d = w.n <= 32 ? distance(s, w) : SIZE_MAX;

		if (d < least && d <= 1 + w.n / 4) {
			least = d;
			best = word[i];
		}
	}
	return best;
}
