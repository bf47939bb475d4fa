/* SPDX-License-Identifier: GPL-2.0-only */
#include "yaml.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

/* ---- messages ------------------------------------------------------------ */

static int err_at(const struct prt_yaml_doc *doc, size_t line, size_t column, const char *text)
{
	return pol_err(doc->err, doc->code, "%s:%zu:%zu: %s", doc->path, line, column, text);
}

int prt_yaml_err(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_at(doc, at ? at->line : 1, at ? at->column : 1, text);
}

/* ---- events to nodes ----------------------------------------------------- */

struct reader {
	const struct prt_yaml_doc *doc;
	const struct prt_yaml_limits *limits;
	struct pol_str text;
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; deleted before the next */
	size_t nodes;
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

/* What makes a node more than data. */
static int refuse_extras(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT)
		return fail(r, "aliases (`*name`) are not accepted here");
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor)
		return fail(r, "anchors (`&name`) are not accepted here");
	if (tag)
		return fail(r, "tags (`!name`) are not accepted here");
	return 0;
}

static int read_node(struct reader *r, unsigned depth, struct prt_yaml *out);

static int read_scalar(struct reader *r, struct prt_yaml *out)
{
	struct pol_str s = { (const char *)r->event.data.scalar.value,
			     r->event.data.scalar.length };

	if (s.n > r->limits->scalar)
		return fail(r, "longer than %zu bytes", r->limits->scalar);
	out->kind = PRT_YAML_SCALAR;
	out->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	out->text = pol_arena_str(r->doc->arena, s);
	return 0;
}

static int check_key(struct reader *r, const struct prt_yaml *pairs, size_t n)
{
	const struct prt_yaml *key = &pairs[2 * n];
	char q[PRT_QUOTE];

	if (key->kind != PRT_YAML_SCALAR)
		return prt_yaml_err(r->doc, key, "a key must be a single word");
	if (!key->quoted && pol_str_is(key->text, "<<"))
		return prt_yaml_err(r->doc, key, "merge keys (`<<`) are not accepted here");
	if (n >= r->limits->keys)
		return prt_yaml_err(r->doc, key, "more than %zu keys", r->limits->keys);
	for (size_t i = 0; i < n; i++)
		if (pol_str_eq(pairs[2 * i].text, key->text))
			return prt_yaml_err(r->doc, key, "key `%s` is already on line %u",
					    prt_quote(key->text, q), pairs[2 * i].line);
	return 0;
}

typedef POL_VEC(struct prt_yaml) yaml_vec;

static int read_items(struct reader *r, unsigned depth, bool map, yaml_vec *items)
{
	yaml_event_type_t end = map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

	for (;;) {
		struct prt_yaml child;
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

static int read_collection(struct reader *r, unsigned depth, struct prt_yaml *out)
{
	bool map = r->event.type == YAML_MAPPING_START_EVENT;
	yaml_vec items = { 0 };
	int ret;

	if (depth >= r->limits->depth)
		return fail(r, "nested deeper than %u", r->limits->depth);
	ret = read_items(r, depth + 1, map, &items);
	if (!ret) {
		struct prt_yaml *copy = NULL;

		if (items.n) {
			copy = pol_arena_alloc(r->doc->arena, items.n * sizeof(*copy));
			memcpy(copy, items.v, items.n * sizeof(*copy));
		}
		out->kind = map ? PRT_YAML_MAP : PRT_YAML_LIST;
		out->n = map ? items.n / 2 : items.n;
		out->item = copy;
	}
	pol_vec_free(&items);
	return ret;
}

static int read_node(struct reader *r, unsigned depth, struct prt_yaml *out)
{
	int ret = refuse_extras(r);

	if (ret)
		return ret;
	if (++r->nodes > r->limits->nodes)
		return fail(r, "more than %zu values", r->limits->nodes);
	*out = (struct prt_yaml){ .line = (uint32_t)r->event.start_mark.line + 1,
				  .column = (uint32_t)r->event.start_mark.column + 1 };
	if (r->event.type == YAML_SCALAR_EVENT)
		return read_scalar(r, out);
	return read_collection(r, depth, out);
}

static int read_stream(struct reader *r, struct prt_yaml *root)
{
	int ret = next(r);

	if (!ret)
		ret = next(r);
	if (ret)
		return ret;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return fail(r, "there is nothing here");
	if (r->event.data.document_start.tag_directives.start !=
	    r->event.data.document_start.tag_directives.end)
		return fail(r, "tags (`%%TAG`) are not accepted here");
	ret = next(r);
	if (!ret)
		ret = read_node(r, 0, root);
	if (!ret)
		ret = next(r); /* end of the document */
	if (!ret)
		ret = next(r);
	if (!ret && r->event.type != YAML_STREAM_END_EVENT)
		return fail(r, "a second document; only one is accepted");
	return ret;
}

int prt_yaml_parse(const struct prt_yaml_doc *doc, struct pol_str text,
		   const struct prt_yaml_limits *limits, struct prt_yaml *root)
{
	struct reader r = { .doc = doc, .limits = limits, .text = text };
	struct prt_yaml node;
	int ret;

	if (!yaml_parser_initialize(&r.parser))
		return pol_err(doc->err, -ENOMEM, "%s: out of memory", doc->path);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
	ret = read_stream(&r, &node);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	if (!ret)
		*root = node;
	return ret;
}

/* ---- values -------------------------------------------------------------- */

int prt_yaml_list(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what)
{
	if (at->kind != PRT_YAML_LIST)
		return prt_yaml_err(doc, at, "%s must be a list: [...]", what);
	return 0;
}

int prt_yaml_text(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		  struct pol_str *out)
{
	if (at->kind != PRT_YAML_SCALAR)
		return prt_yaml_err(doc, at, "%s must be a single value", what);
	if (!at->text.n && !at->quoted)
		return prt_yaml_err(doc, at, "%s has no value", what);
	*out = at->text;
	return 0;
}

bool prt_parse_u32(struct pol_str s, uint32_t max, uint32_t *out)
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

int prt_yaml_u32(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		 uint32_t min, uint32_t max, uint32_t *out)
{
	struct pol_str s;
	char q[PRT_QUOTE];
	uint32_t v = 0;
	int ret = prt_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	if (at->quoted || !prt_parse_u32(s, max, &v) || v < min)
		return prt_yaml_err(doc, at, "%s must be a number from %u to %u, not `%s`", what,
				    min, max, prt_quote(s, q));
	*out = v;
	return 0;
}

int prt_yaml_bool(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		  bool *out)
{
	struct pol_str s;
	char q[PRT_QUOTE];
	int ret = prt_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	if (at->quoted || (!pol_str_is(s, "true") && !pol_str_is(s, "false")))
		return prt_yaml_err(doc, at, "%s must be true or false, not `%s`", what,
				    prt_quote(s, q));
	*out = s.p[0] == 't';
	return 0;
}

int prt_yaml_choice(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		    const char *const *name, size_t n, uint32_t *out)
{
	struct pol_str s;
	char q[PRT_QUOTE];
	int ret = prt_yaml_text(doc, at, what, &s);

	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++)
		if (pol_str_is(s, name[i])) {
			*out = (uint32_t)i;
			return 0;
		}
	return prt_yaml_err(doc, at, "unknown %s `%s`", what, prt_quote(s, q));
}

static int unknown_key(const struct prt_yaml_doc *doc, const struct prt_yaml *at, const char *what,
		       const char *const *key, size_t nkeys)
{
	const char *near = prt_suggest(at->text, key, nkeys);
	char q[PRT_QUOTE], known[200] = "";
	size_t used = 0;
	int ret;

	ret = prt_yaml_err(doc, at, "unknown key `%s` in %s", prt_quote(at->text, q), what);
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

int prt_yaml_map(const struct prt_yaml_doc *doc, const struct prt_yaml *map, const char *what,
		 const char *const *key, size_t nkeys, const struct prt_yaml **value)
{
	if (map->kind != PRT_YAML_MAP)
		return prt_yaml_err(doc, map, "%s must be a mapping: key: value", what);
	memset(value, 0, nkeys * sizeof(*value));
	for (size_t i = 0; i < map->n; i++) {
		const struct prt_yaml *k = &map->item[2 * i];
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

bool prt_printable(struct pol_str s)
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

const char *prt_quote(struct pol_str s, char out[PRT_QUOTE])
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	size_t n = 0;

	while (p < end) {
		uint32_t c;
		const unsigned char *q = utf8_next(p, end, &c);

		if (n + 8 > PRT_QUOTE)
			break;
		if (q && shows(c)) {
			memcpy(out + n, p, (size_t)(q - p));
			n += (size_t)(q - p);
			p = q;
		} else {
			n += (size_t)snprintf(out + n, PRT_QUOTE - n, "\\x%02x", *p++);
		}
	}
	snprintf(out + n, PRT_QUOTE - n, "%s", p < end ? "..." : "");
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

const char *prt_suggest(struct pol_str s, const char *const *word, size_t n)
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
