/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>

#include "compiler/import/model.h"

bool pol_import_null(const struct pol_yaml *at)
{
	return at->kind == POL_YAML_SCALAR && !at->quoted &&
	       (!at->text.n || pol_str_is(at->text, "null") || pol_str_is(at->text, "~"));
}

const struct pol_yaml *pol_import_get(const struct pol_yaml *map, const char *key)
{
	if (!map || map->kind != POL_YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (pol_str_is(map->item[2 * i].text, key))
			return pol_import_null(&map->item[2 * i + 1]) ? NULL
								      : &map->item[2 * i + 1];
	return NULL;
}

static int get_kind(const struct pol_import_object *o, const struct pol_yaml *map, const char *key,
		    enum pol_yaml_kind kind, const char *must, const struct pol_yaml **out)
{
	*out = pol_import_get(map, key);
	if (!*out || (*out)->kind == kind)
		return 0;
	return pol_yaml_err(o->doc, *out, "%s must be a %s", key, must);
}

int pol_import_map(const struct pol_import_object *o, const struct pol_yaml *map, const char *key,
		   const struct pol_yaml **out)
{
	return get_kind(o, map, key, POL_YAML_MAP, "mapping: key: value", out);
}

int pol_import_list(const struct pol_import_object *o, const struct pol_yaml *map, const char *key,
		    const struct pol_yaml **out)
{
	return get_kind(o, map, key, POL_YAML_LIST, "list: [...]", out);
}

int pol_import_text_of(const struct pol_import_object *o, const struct pol_yaml *map,
		       const char *key, struct pol_str *out)
{
	const struct pol_yaml *at;
	int ret = get_kind(o, map, key, POL_YAML_SCALAR, "single value", &at);

	if (!ret)
		*out = at ? at->text : (struct pol_str){ "", 0 };
	return ret;
}

int pol_import_known(const struct pol_import_object *o, const struct pol_yaml *map,
		     const char *what, const char *const *key)
{
	char q[POL_QUOTE];

	if (map->kind != POL_YAML_MAP)
		return pol_yaml_err(o->doc, map, "%s must be a mapping: key: value", what);
	for (size_t i = 0; i < map->n; i++) {
		const struct pol_yaml *k = &map->item[2 * i];
		size_t j = 0;

		while (key[j] && !pol_str_is(k->text, key[j]))
			j++;
		if (!key[j])
			return pol_yaml_err(o->doc, k, "unknown key `%s` in %s",
					    pol_quote(k->text, q), what);
	}
	return 0;
}

bool pol_import_plain(struct pol_str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c && strchr(more, c))))
			return false;
	}
	return s.n <= 253 + 1 + 63;
}

bool pol_import_is_key(struct pol_str s, const char *more)
{
	char chars[8] = ".-_/";
	const char *slash = memchr(s.p, '/', s.n);

	strncat(chars, more, sizeof(chars) - strlen(chars) - 1);
	return s.n && pol_import_plain(s, chars) &&
	       (!slash || !memchr(slash + 1, '/', s.n - (size_t)(slash + 1 - s.p)));
}

static void clear_host_bits(struct pol_prefix *p)
{
	unsigned bits = p->addr.family == 4 ? 32 : 128, drop = bits - p->len;

	if (drop >= 64) {
		p->addr.lo = 0;
		p->addr.hi = drop >= 128 ? 0 : p->addr.hi >> (drop - 64) << (drop - 64);
	} else {
		p->addr.lo = p->addr.lo >> drop << drop;
	}
}

int pol_import_prefix(const struct pol_import_object *o, const struct pol_yaml *at,
		      struct pol_prefix *out)
{
	struct pol_str s, address;
	const char *slash;
	uint32_t len = 0;
	enum pol_ip_error wrong;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(o->doc, at, "a prefix", &s);

	if (ret)
		return ret;
	slash = memchr(s.p, '/', s.n);
	address = (struct pol_str){ s.p, slash ? (size_t)(slash - s.p) : s.n };
	wrong = pol_prefix_parse(address, out);
	if (wrong)
		return pol_yaml_err(o->doc, at, "`%s` is no prefix: %s", pol_quote(s, q),
				    pol_ip_error_text(wrong));
	if (!slash)
		return 0;
	s = (struct pol_str){ slash + 1, s.n - address.n - 1 };
	if (!pol_parse_u32(s, out->addr.family == 4 ? 32 : 128, &len))
		return pol_yaml_err(o->doc, at, "`%s` is no length of a prefix", pol_quote(s, q));
	out->len = (uint8_t)len;
	clear_host_bits(out);
	return 0;
}

uint8_t pol_import_proto(struct pol_str s)
{
	return pol_str_is(s, "TCP")    ? 6
	       : pol_str_is(s, "UDP")  ? 17
	       : pol_str_is(s, "SCTP") ? 132
				       : 0;
}

/* ---- warnings ---------------------------------------------------------------------- */

static void warn(struct pol_import *im, const struct pol_import_object *o,
		 const struct pol_yaml *at, const char *text)
{
	pol_buf_printf(&im->result->said, "%s:%u:%u: warning: %s\n", o->doc->path,
		       at ? at->line : 1, at ? at->column : 1, text);
}

void pol_import_warn(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, const char *fmt, ...)
{
	char text[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	warn(im, o, at, text);
}

int pol_import_cannot(struct pol_import *im, const struct pol_import_object *o,
		      const struct pol_yaml *at, const char *fmt, ...)
{
	char text[320];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (im->o->lax) {
		strncat(text, "; left out, closed", sizeof(text) - strlen(text) - 1);
		warn(im, o, at, text);
		return 0;
	}
	ret = pol_yaml_err(o->doc, at, "%s", text);
	pol_err_help(im->err, "--lax leaves it out closed");
	return ret;
}
