/* SPDX-License-Identifier: GPL-2.0-only */
/* LabelSelectors to selectors of the language. */
#include <stdio.h>

#include "compiler/import/rule.h"

struct pol_str pol_import_take(struct pol_import *im, struct pol_buf *b)
{
	struct pol_str s = pol_arena_str(im->arena, pol_buf_str(b));

	pol_buf_free(b);
	return s;
}

struct pol_str pol_import_short(struct pol_import *im, struct pol_str name, size_t max)
{
	if (name.n <= max)
		return name;
	return pol_arena_printf(im->arena, "%.*s_%016llx", (int)max - 17, name.p,
				(unsigned long long)pol_hash(name.p, name.n, 0));
}

void pol_import_term(struct pol_buf *b, const char *fmt, ...)
{
	char text[1400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (b->n)
		pol_buf_addz(b, " and ");
	pol_buf_addz(b, text);
}

/* Names of the language but its words; what is in doubt is quoted. */
static bool bare(struct pol_str key)
{
	static const char *const words[] = {
		"allow", "and",  "any", "deny",  "drop",   "except", "from",   "has",
		"host",  "icmp", "in",  "icmp6", "icmpv6", "limit",  "nodes",  "none",
		"not",   "on",   "or",  "pass",  "proto",  "public", "reject", "sctp",
		"skip",  "tcp",  "to",  "true",  "udp",    "where",  "world",
	};
	char c = key.n ? key.p[0] : '0';

	if (memchr(key.p, '/', key.n) || memchr(key.p, ':', key.n) || (c >= '0' && c <= '9') ||
	    c == '.' || c == '-')
		return false;
	for (size_t i = 0; i < POL_ARRAY_LEN(words); i++)
		if (pol_str_is(key, words[i]))
			return false;
	return true;
}

void pol_import_key(struct pol_buf *b, struct pol_str key)
{
	const char *q = bare(key) ? "" : "\"";

	pol_buf_printf(b, "%s%.*s%s", q, POL_STR_ARG(key), q);
}

static bool cut(struct pol_str *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n <= n || memcmp(s->p, prefix, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* Sources before the colon say where a label came from; here they all come from Kubernetes. */
static int cilium_key(const struct pol_import_object *o, const struct pol_yaml *at,
		      struct pol_str key, struct pol_buf *out)
{
	char q[POL_QUOTE];

	if (!cut(&key, "k8s:"))
		cut(&key, "any:");
	if (memchr(key.p, ':', key.n))
		return pol_yaml_err(o->doc, at, "labels of that source cannot be imported: `%s`",
				    pol_quote(key, q));
	if (pol_str_is(key, "io.kubernetes.pod.namespace"))
		pol_buf_addz(out, "ns");
	else if (cut(&key, "io.cilium.k8s.namespace.labels."))
		pol_buf_printf(out,
			       pol_str_is(key, "kubernetes.io/metadata.name") ? "ns"
									      : "\"ns/%.*s\"",
			       POL_STR_ARG(key));
	else if (cut(&key, "io.cilium.k8s.policy."))
		return pol_yaml_err(o->doc, at, "selecting by `%s` cannot be imported",
				    pol_quote(key, q));
	else
		pol_import_key(out, key);
	return 0;
}

static int key_text(const struct pol_import_object *o, const struct pol_yaml *at,
		    enum pol_import_scope scope, struct pol_buf *out)
{
	struct pol_str key;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(o->doc, at, "a label key", &key);

	if (ret)
		return ret;
	if (!pol_import_is_key(key, scope == POL_IMPORT_SCOPE_CILIUM ? ":" : ""))
		return pol_yaml_err(o->doc, at, "`%s` is no label key", pol_quote(key, q));
	if (scope != POL_IMPORT_SCOPE_NS &&
	    (pol_str_is(key, "ns") || (key.n > 3 && memcmp(key.p, "ns/", 3) == 0)))
		return pol_yaml_err(o->doc, at, "the label key `%s` stands for namespaces here",
				    pol_quote(key, q));
	if (scope == POL_IMPORT_SCOPE_CILIUM)
		return cilium_key(o, at, key, out);
	if (scope == POL_IMPORT_SCOPE_POD)
		pol_import_key(out, key);
	else if (pol_str_is(key, "kubernetes.io/metadata.name"))
		pol_buf_addz(out, "ns");
	else
		pol_buf_printf(out, "\"ns/%.*s\"", POL_STR_ARG(key));
	return 0;
}

void pol_import_only_pods(struct pol_buf *b)
{
	if (!b->n || (strncmp(b->p, "ns == ", 6) != 0 && strncmp(b->p, "ns in ", 6) != 0))
		pol_import_term(b, "has(ns)");
}

static int value_text(const struct pol_import_object *o, const struct pol_yaml *at,
		      struct pol_str *out)
{
	char q[POL_QUOTE];

	if (at->kind != POL_YAML_SCALAR || !pol_import_plain(at->text, ".-_"))
		return pol_yaml_err(o->doc, at, "`%s` is no label value",
				    at->kind == POL_YAML_SCALAR ? pol_quote(at->text, q) : "...");
	*out = pol_import_null(at) ? POL_STR("") : at->text;
	return 0;
}

static int match_labels(const struct pol_import_object *o, const struct pol_yaml *map,
			enum pol_import_scope scope, struct pol_buf *b)
{
	struct pol_buf key = { 0 };
	int ret = 0;

	for (size_t i = 0; !ret && map && i < map->n; i++) {
		struct pol_str value;

		ret = key_text(o, &map->item[2 * i], scope, &key);
		if (!ret)
			ret = value_text(o, &map->item[2 * i + 1], &value);
		if (!ret)
			pol_import_term(b, "%s == \"%.*s\"", key.p, POL_STR_ARG(value));
		pol_buf_free(&key);
	}
	return ret;
}

static int add_values(const struct pol_import_object *o, const struct pol_yaml *values,
		      struct pol_buf *b)
{
	int ret = 0;

	pol_buf_addc(b, '(');
	for (size_t i = 0; !ret && i < values->n; i++) {
		struct pol_str value;

		ret = value_text(o, &values->item[i], &value);
		if (!ret)
			pol_buf_printf(b, "%s\"%.*s\"", i ? ", " : "", POL_STR_ARG(value));
	}
	pol_buf_addc(b, ')');
	return ret;
}

static int match_expression(const struct pol_import_object *o, const struct pol_yaml *e,
			    enum pol_import_scope scope, struct pol_buf *b)
{
	static const char *const known[] = { "key", "operator", "values", NULL };
	static const char *const ops[] = { "In", "NotIn", "Exists", "DoesNotExist" };
	const struct pol_yaml *key, *op, *values;
	uint32_t which = 0;
	struct pol_buf text = { 0 };
	int ret = pol_import_known(o, e, "a match expression", known);

	if (ret)
		return ret;
	key = pol_import_get(e, "key");
	op = pol_import_get(e, "operator");
	if (!key || !op)
		return pol_yaml_err(o->doc, e, "a match expression needs a key and an operator");
	ret = pol_yaml_choice(o->doc, op, "operator", ops, POL_ARRAY_LEN(ops), &which);
	if (!ret)
		ret = pol_import_list(o, e, "values", &values);
	if (!ret && (which < 2) != (values && values->n))
		ret = pol_yaml_err(o->doc, e, which < 2 ? "%s needs values" : "%s has no values",
				   ops[which]);
	if (!ret)
		ret = key_text(o, key, scope, &text);
	if (!ret) {
		pol_buf_printf(b, "%s", b->n ? " and " : "");
		pol_buf_printf(b,
			       which == 0   ? "%s in "
			       : which == 1 ? "%s not in "
			       : which == 2 ? "has(%s)"
					    : "not has(%s)",
			       text.p);
		if (which < 2)
			ret = add_values(o, values, b);
	}
	pol_buf_free(&text);
	return ret;
}

int pol_import_selector(const struct pol_import_object *o, const struct pol_yaml *sel,
			enum pol_import_scope scope, struct pol_buf *b)
{
	static const char *const known[] = { "matchLabels", "matchExpressions", NULL };
	const struct pol_yaml *labels, *list;
	int ret;

	if (!sel)
		return 0;
	ret = pol_import_known(o, sel, "a selector", known);
	if (!ret)
		ret = pol_import_map(o, sel, "matchLabels", &labels);
	if (!ret)
		ret = pol_import_list(o, sel, "matchExpressions", &list);
	if (!ret)
		ret = match_labels(o, labels, scope, b);
	for (size_t i = 0; !ret && list && i < list->n; i++)
		ret = match_expression(o, &list->item[i], scope, b);
	return ret;
}
