/* SPDX-License-Identifier: GPL-2.0-only */
/* Ports, ICMP types and HTTP rules of Cilium. */
#include "compiler/import/cilium.h"
#include "lang/ast.h"
#include "lang/regex.h"

/* ---- ports ----------------------------------------------------------------------------- */

static int read_number(struct pol_cilium *c, const struct pol_yaml *port,
		       const struct pol_yaml *end, struct pol_import_l4 *l4)
{
	uint32_t lo = 0, hi;
	int ret = 0;

	if (port->kind != POL_YAML_SCALAR || !pol_parse_u32(port->text, UINT32_MAX, &lo))
		return pol_import_port_of(c->o, port, end, l4);
	hi = lo;
	if (lo > 65535)
		return pol_yaml_err(c->o->doc, port, "a port is 0 to 65535");
	if (end)
		ret = pol_yaml_u32(c->o->doc, end, "endPort", lo ? lo : 1, 65535, &hi);
	if (!lo && end)
		return pol_yaml_err(c->o->doc, end, "port 0 is every port, and has no end");
	l4->all = !lo;
	l4->lo = (uint16_t)lo;
	l4->hi = (uint16_t)hi;
	return ret;
}

static int read_port(struct pol_cilium *c, const struct pol_yaml *at, bool http,
		     struct pol_import_rule *r)
{
	static const char *const known[] = { "port", "endPort", "protocol", NULL };
	static const char *const words[] = { "tcp", "udp", "sctp" };
	static const char *const protos[] = { "TCP", "UDP", "SCTP", "ANY" };
	const struct pol_yaml *port, *proto;
	struct pol_import_l4 l4 = { 0 };
	uint32_t which = 3;
	int ret = pol_import_known(c->o, at, "a port", known);

	if (ret)
		return ret;
	port = pol_import_get(at, "port");
	proto = pol_import_get(at, "protocol");
	if (!port)
		return pol_yaml_err(c->o->doc, at, "a port without a number");
	if (proto && proto->kind == POL_YAML_SCALAR && proto->text.n)
		ret = pol_yaml_choice(c->o->doc, proto, "protocol", protos, 4, &which);
	if (!ret)
		ret = read_number(c, port, pol_import_get(at, "endPort"), &l4);
	if (!ret && http && which != 0 && which != 3)
		ret = pol_yaml_err(c->o->doc, at, "HTTP is spoken over TCP");
	if (!ret && http && l4.all)
		ret = pol_yaml_err(c->o->doc, at, "HTTP rules need a port");
	/* ANY: what has ports. A proxied port is one of TCP, the others are closed. */
	for (uint32_t i = 0; !ret && i < 3; i++) {
		l4.proto = words[i];
		if (which == i || (which == 3 && (!http || !i)))
			*pol_vec_push(&r->on) = l4;
	}
	return ret;
}

static int read_ports(struct pol_cilium *c, const struct pol_yaml *at, bool http,
		      struct pol_import_rule *r)
{
	const struct pol_yaml *ports;
	int ret = pol_import_list(c->o, at, "ports", &ports);

	if (ret)
		return ret;
	if (http && (!ports || !ports->n))
		return pol_yaml_err(c->o->doc, at, "HTTP rules need a port");
	if (!ports || !ports->n)
		pol_import_warn(c->im, c->o, at, "toPorts without a port: it matches nothing");
	for (size_t i = 0; !ret && ports && i < ports->n; i++)
		ret = read_port(c, &ports->item[i], http, r);
	return ret;
}

int pol_cilium_ports(struct pol_cilium *c, const struct pol_yaml *at, bool deny,
		     struct pol_import_rule *r, bool *left_out)
{
	static const char *const known[] = {
		"ports",    "rules", "terminatingTLS", "originatingTLS", "serverNames",
		"listener", NULL,
	};
	static const char *const kinds[] = { "http", "dns", "kafka", "l7", "l7proto", NULL };
	const struct pol_yaml *rules, *http = NULL;
	int ret = pol_import_known(c->o, at, "toPorts", known);

	if (ret)
		return ret;
	for (size_t i = 2; !ret && known[i]; i++)
		if (pol_import_get(at, known[i])) {
			*left_out = !deny;
			ret = pol_import_cannot(c->im, c->o, at, "%s cannot be imported", known[i]);
		}
	rules = pol_import_get(at, "rules");
	if (!ret && rules)
		ret = pol_import_known(c->o, rules, "rules", kinds);
	if (!ret && rules)
		ret = pol_import_list(c->o, rules, "http", &http);
	if (!ret && deny && rules && rules->n)
		ret = pol_yaml_err(c->o->doc, rules, "a deny has no rules of its protocol");
	for (size_t i = 1; !ret && rules && kinds[i]; i++)
		if (pol_import_get(rules, kinds[i])) {
			*left_out = true;
			ret = pol_import_cannot(c->im, c->o, rules, "%s rules cannot be imported",
						kinds[i]);
		}
	if (!ret)
		ret = read_ports(c, at, http && http->n, r);
	if (!ret && http && http->n)
		ret = pol_cilium_http(c, http, &r->http);
	return ret;
}

/* ---- ICMP ---------------------------------------------------------------------------------- */

/* EchoRequest is echo-request. */
static int type_by_name(uint8_t proto, struct pol_str name)
{
	char text[64];
	size_t n = 0;

	for (size_t i = 0; i < name.n && n + 2 < sizeof(text); i++) {
		char ch = name.p[i];

		if (ch >= 'A' && ch <= 'Z') {
			if (i)
				text[n++] = '-';
			ch = (char)(ch - 'A' + 'a');
		}
		text[n++] = ch;
	}
	return pol_icmp_type(proto, (struct pol_str){ text, n });
}

static int read_field(struct pol_cilium *c, const struct pol_yaml *at, struct pol_import_rule *r)
{
	static const char *const known[] = { "family", "type", NULL };
	static const char *const families[] = { "IPv4", "IPv6" };
	const struct pol_yaml *family, *type;
	struct pol_import_l4 l4 = { 0 };
	uint32_t which = 0, number = 0;
	char q[POL_QUOTE];
	int ret = pol_import_known(c->o, at, "a field of icmps", known), named;

	if (ret)
		return ret;
	family = pol_import_get(at, "family");
	type = pol_import_get(at, "type");
	if (!type || type->kind != POL_YAML_SCALAR)
		return pol_yaml_err(c->o->doc, at, "a field of icmps needs a type");
	if (family)
		ret = pol_yaml_choice(c->o->doc, family, "family", families, 2, &which);
	if (ret)
		return ret;
	l4.proto = which ? "icmp6" : "icmp";
	named = type_by_name(which ? POL_PROTO_ICMP6 : POL_PROTO_ICMP, type->text);
	if (!pol_parse_u32(type->text, 255, &number)) {
		if (named < 0)
			return pol_yaml_err(c->o->doc, type, "unknown ICMP type `%s`",
					    pol_quote(type->text, q));
		number = (uint32_t)named;
	}
	l4.lo = l4.hi = (uint16_t)number;
	*pol_vec_push(&r->on) = l4;
	return 0;
}

int pol_cilium_icmps(struct pol_cilium *c, const struct pol_yaml *list, struct pol_import_rule *r)
{
	static const char *const known[] = { "fields", NULL };
	const struct pol_yaml *fields = NULL;
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n; i++) {
		ret = pol_import_known(c->o, &list->item[i], "icmps", known);
		if (!ret)
			ret = pol_import_list(c->o, &list->item[i], "fields", &fields);
		for (size_t k = 0; !ret && fields && k < fields->n; k++)
			ret = read_field(c, &fields->item[k], r);
	}
	return ret;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

static int add_quoted(struct pol_cilium *c, const struct pol_yaml *at, struct pol_str s, bool regex,
		      struct pol_buf *b)
{
	struct pol_regex_fault fault = { 0 };

	if (regex) {
		struct pol_arena *a = pol_arena_new();

		pol_regex_parse(a, s, &fault);
		pol_arena_free(a);
	}
	if (!pol_printable(s) || s.n > 4000)
		return pol_yaml_err(c->o->doc, at, "neither printable nor short text");
	if (fault.what)
		return pol_yaml_err(c->o->doc, at, "the regular expression %s", fault.what);
	pol_buf_addz(b, regex ? "~\"" : "\"");
	for (size_t i = 0; i < s.n; i++) {
		bool escaped = regex && s.p[i] == '\\' && i + 1 < s.n;

		if (s.p[i] == '"' || (s.p[i] == '\\' && !regex))
			pol_buf_addc(b, '\\');
		pol_buf_addc(b, s.p[i]);
		/* `\"` of a foreign expression is a quote as `"` is. */
		if (escaped && s.p[i + 1] != '"')
			pol_buf_addc(b, s.p[++i]);
		else if (escaped)
			b->p[--b->n] = '\0';
	}
	pol_buf_addc(b, '"');
	return 0;
}

/* Expressions are anchored at both ends there as here: ^ and $ say nothing. */
static struct pol_str without_anchors(struct pol_str s)
{
	if (s.n && s.p[0] == '^') {
		s.p++;
		s.n--;
	}
	if (s.n && s.p[s.n - 1] == '$' && (s.n < 2 || s.p[s.n - 2] != '\\'))
		s.n--;
	return s;
}

/* A method is an expression there; lists of words are what can be said of it. */
static int add_methods(struct pol_cilium *c, const struct pol_yaml *at, struct pol_str s,
		       struct pol_buf *b)
{
	bool word = false;

	if (!s.n)
		pol_buf_addc(b, '*');
	for (size_t i = 0; i < s.n; i++) {
		bool letter = (s.p[i] >= 'A' && s.p[i] <= 'Z') || (word && s.p[i] == '-');

		if (!letter && !(s.p[i] == '|' && word && i + 1 < s.n))
			return pol_yaml_err(c->o->doc, at,
					    "a method must be words, as in GET|HEAD");
		if (letter)
			pol_buf_addc(b, s.p[i]);
		else
			pol_buf_addz(b, ", ");
		word = letter;
	}
	return 0;
}

static int add_header(struct pol_cilium *c, const struct pol_yaml *at, struct pol_buf *b)
{
	struct pol_str s, name, value;
	const char *colon;
	char lower[128];
	int ret = pol_yaml_text(c->o->doc, at, "a header", &s);

	if (ret)
		return ret;
	colon = memchr(s.p, ':', s.n);
	name = (struct pol_str){ s.p, colon ? (size_t)(colon - s.p) : s.n };
	if (!name.n || name.n >= sizeof(lower) || !pol_import_plain(name, "-_"))
		return pol_yaml_err(c->o->doc, at, "not the name of a header");
	for (size_t i = 0; i < name.n; i++)
		lower[i] =
			(char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
	pol_buf_printf(b, "header \"%.*s\"", (int)name.n, lower);
	if (!colon)
		return 0;
	value = (struct pol_str){ colon + 1, s.n - name.n - 1 };
	while (value.n && value.p[0] == ' ') {
		value.p++;
		value.n--;
	}
	pol_buf_addz(b, " == ");
	return add_quoted(c, at, value, false, b);
}

/*
 * There the expression is matched with path and query together.  One that ends in `.*` takes any
 * query that follows; of any other only requests without a query are sure to be meant.
 */
static bool takes_queries(struct pol_str path)
{
	return !path.n ||
	       (path.n >= 2 && memcmp(path.p + path.n - 2, ".*", 2) == 0 &&
		!memchr(path.p, '|', path.n) && (path.n < 3 || path.p[path.n - 3] != '\\'));
}

/* What can be a host as the language has it; `:` of a group `(?:` and letters behind a backslash are no text. */
static bool is_plain_host(struct pol_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if ((s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			 (s.p[i] == ':' && (!i || s.p[i - 1] != '?')))
			return false;
	}
	return true;
}

static int add_conditions(struct pol_cilium *c, const struct pol_yaml *at, struct pol_str path,
			  struct pol_str host, struct pol_buf *b)
{
	const struct pol_yaml *headers = NULL;
	const char *word = " where ";
	int ret = pol_import_list(c->o, at, "headers", &headers);

	if (!ret && host.n) {
		pol_buf_printf(b, "%shost ", word);
		ret = add_quoted(c, at, without_anchors(host), true, b);
		word = " and ";
	}
	if (!ret && !takes_queries(without_anchors(path))) {
		pol_buf_printf(b, "%snot query", word);
		word = " and ";
	}
	for (size_t i = 0; !ret && headers && i < headers->n; i++) {
		pol_buf_addz(b, word);
		ret = add_header(c, &headers->item[i], b);
		word = " and ";
	}
	return ret;
}

static int add_line(struct pol_cilium *c, const struct pol_yaml *at, struct pol_buf *b)
{
	static const char *const known[] = { "path",    "method",        "host",
					     "headers", "headerMatches", NULL };
	struct pol_str path = { 0 }, method = { 0 }, host = { 0 };
	int ret = pol_import_known(c->o, at, "an HTTP rule", known);

	if (!ret)
		ret = pol_import_text_of(c->o, at, "path", &path);
	if (!ret)
		ret = pol_import_text_of(c->o, at, "method", &method);
	if (!ret)
		ret = pol_import_text_of(c->o, at, "host", &host);
	if (ret)
		return ret;
	if (pol_import_get(at, "headerMatches"))
		return pol_import_cannot(c->im, c->o, at, "headerMatches cannot be imported");
	if (!is_plain_host(host))
		return pol_import_cannot(
			c->im, c->o, at,
			"a host with a port or in capitals cannot be imported: here a host is "
			"its name alone, in lower case");
	pol_buf_addz(b, "allow ");
	ret = add_methods(c, at, method, b);
	pol_buf_addc(b, ' ');
	if (!ret)
		ret = add_quoted(c, at, path.n ? without_anchors(path) : POL_STR(".*"), true, b);
	if (!ret)
		ret = add_conditions(c, at, path, host, b);
	pol_buf_addz(b, ";\n");
	return ret;
}

int pol_cilium_http(struct pol_cilium *c, const struct pol_yaml *list, struct pol_str *out)
{
	struct pol_buf b = { 0 };
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n; i++)
		ret = add_line(c, &list->item[i], &b);
	pol_buf_addz(&b, "");
	*out = pol_import_take(c->im, &b);
	return ret;
}
