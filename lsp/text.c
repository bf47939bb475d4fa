/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>

#include "lang/diag.h"
#include "lsp/private.h"

/* ---- UTF-16 ---------------------------------------------------------------------- */

/* Bytes of the character at p, and its UTF-16 code units; what is not UTF-8 counts byte by byte. */
static size_t character(const char *p, size_t n, uint32_t *units)
{
	size_t len = pol_utf8_len((const unsigned char *)p, n);

	*units = len == 4 ? 2 : 1;
	return len ? len : 1;
}

static uint32_t units_of(const char *p, size_t n)
{
	uint32_t all = 0, units;

	for (size_t i = 0; i < n; all += units)
		i += character(p + i, n - i, &units);
	return all;
}

static uint32_t number(const json_t *position, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(position, key));

	return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

uint32_t lsp_offset(struct pol_str text, const json_t *position)
{
	uint32_t line = number(position, "line"), want = number(position, "character"), units;
	const char *end;
	size_t at = 0, stop;

	for (; line; line--) {
		const char *next = text.n > at ? memchr(text.p + at, '\n', text.n - at) : NULL;

		if (!next)
			return (uint32_t)text.n;
		at = (size_t)(next - text.p) + 1;
	}
	end = text.n > at ? memchr(text.p + at, '\n', text.n - at) : NULL;
	stop = end ? (size_t)(end - text.p) : text.n;
	if (end && stop > at && text.p[stop - 1] == '\r')
		stop--; /* ends the line too: what comes behind the line comes before it */
	while (at < stop && want) {
		size_t len = character(text.p + at, stop - at, &units);

		if (units > want)
			break; /* inside a surrogate pair: before it */
		want -= units;
		at += len;
	}
	return (uint32_t)at;
}

static json_t *position_of(struct pol_source *src, uint32_t offset)
{
	struct pol_place place = pol_source_place(src, offset);
	struct pol_str line = pol_source_line(src, place.line);
	size_t start = line.p ? (size_t)(line.p - src->text.p) : 0;

	return json_pack("{s:i, s:i}", "line", (int)place.line - 1, "character",
			 (int)units_of(src->text.p + start, offset > start ? offset - start : 0));
}

json_t *lsp_range(struct pol_source *src, struct pol_span at)
{
	uint32_t n = (uint32_t)src->text.n;

	if (at.start > n)
		at.start = n;
	if (at.end > n)
		at.end = n;
	return json_pack("{s:o, s:o}", "start", position_of(src, at.start), "end",
			 position_of(src, at.end));
}

json_t *lsp_location(const struct pol_sources *s, struct pol_span at)
{
	struct pol_source *src = pol_source_of(s, at);
	char *uri POL_CLEANUP(pol_cleanup_free) = src ? lsp_uri_of(src->path.p) : NULL;

	if (!uri)
		return NULL;
	return json_pack("{s:s, s:o}", "uri", uri, "range", lsp_range(src, at));
}

/* ---- strings ------------------------------------------------------------------------ */

/* Lines stay lines. */
json_t *lsp_string(struct pol_str s)
{
	struct pol_buf b = { 0 };
	json_t *v;

	for (size_t i = 0; i < s.n;) {
		const char *end = memchr(s.p + i, '\n', s.n - i);
		size_t n = end ? (size_t)(end - s.p) - i : s.n - i;

		pol_buf_clean(&b, (struct pol_str){ s.p + i, n });
		if (end)
			pol_buf_addc(&b, '\n');
		i += n + 1;
	}
	v = json_stringn_nocheck(b.p ? b.p : "", b.n);
	pol_buf_free(&b);
	return v;
}

/* ---- URIs (RFC 3986, RFC 8089) ---------------------------------------------------------- */

char *lsp_uri_of(const char *path)
{
	struct pol_buf b = { 0 };
	char *real POL_CLEANUP(pol_cleanup_free) = NULL;

	if (strstr(path, ":/") || strncmp(path, "untitled:", 9) == 0)
		return strdup(path); /* not of a file: it came as it is */
	if (path[0] != '/') {
		real = realpath(path, NULL);
		path = real ? real : path;
	}
	pol_buf_addz(&b, "file://");
	for (const char *p = path; *p; p++) {
		if (isalnum((unsigned char)*p) || strchr("/-._~", *p))
			pol_buf_addc(&b, *p);
		else
			pol_buf_printf(&b, "%%%02X", (unsigned char)*p);
	}
	return b.p;
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

char *lsp_path_of(const char *uri)
{
	struct pol_buf b = { 0 };
	const char *p = uri + 7;

	if (strncmp(uri, "file://", 7) != 0)
		return strdup(uri);
	p += strcspn(p, "/"); /* a host: only ours can be meant */
	for (; *p; p++) {
		if (*p == '%' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]) &&
		    (hex(p[1]) || hex(p[2]))) {
			pol_buf_addc(&b, (char)(hex(p[1]) << 4 | hex(p[2])));
			p += 2;
		} else {
			pol_buf_addc(&b, *p);
		}
	}
	return b.p ? b.p : strdup("");
}
