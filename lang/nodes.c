/* SPDX-License-Identifier: GPL-2.0-only */
/* Constructors for the grammar's actions: nodes, and what is wrong with one node alone. */
#include "lang/syntax.h"

/* ---- names and values ----------------------------------------------------------- */

struct pol_name pol_node_name(struct pol_string s)
{
	return (struct pol_name){ .text = s.text, .span = s.span };
}

struct pol_label_values pol_node_value(struct pol_parse *ctx, struct pol_label_values list,
				       struct pol_string s)
{
	struct pol_label_value *v = POL_NEW(ctx, pol_label_value);

	v->value = s;
	POL_APPEND(&list, v);
	return list;
}

static uint32_t deeper(struct pol_parse *ctx, uint32_t a, uint32_t b, struct pol_span at)
{
	uint32_t depth = (a > b ? a : b) + 1;

	if (depth <= POL_MAX_DEPTH)
		return depth;
	if (!ctx->too_deep)
		pol_diag(ctx->diags, POL_P0105, at, "nested too deeply");
	ctx->too_deep = true;
	return 0;
}

/* ---- selectors -------------------------------------------------------------------- */

struct pol_ast_sel *pol_node_sel(struct pol_parse *ctx, enum pol_ast_sel_kind kind,
				 struct pol_span at, struct pol_string key,
				 struct pol_label_values values)
{
	struct pol_ast_sel *s = POL_NEW(ctx, pol_ast_sel);

	*s = (struct pol_ast_sel){
		.kind = kind, .span = at, .depth = 1, .key = key, .values = values
	};
	if (kind != POL_AST_SEL_TRUE && !key.text.n)
		pol_diag(ctx->diags, POL_P0332, key.span, "empty label key");
	return s;
}

struct pol_ast_sel *pol_node_sel_not(struct pol_parse *ctx, struct pol_span at,
				     struct pol_ast_sel *of)
{
	struct pol_ast_sel *s = POL_NEW(ctx, pol_ast_sel);
	uint32_t depth = deeper(ctx, of->depth, 0, at);

	if (!depth)
		return of;
	*s = (struct pol_ast_sel){ .kind = POL_AST_SEL_NOT, .span = at, .depth = depth };
	POL_APPEND(&s->of, of);
	return s;
}

/* A joined node grows as long as nothing else was made of it: `(a or b) or c` has a wider span. */
static bool can_grow(const struct pol_ast_sel *s, enum pol_ast_sel_kind kind)
{
	return s->kind == kind && s->span.end == s->of.last->span.end &&
	       s->span.start == s->of.first->span.start;
}

struct pol_ast_sel *pol_node_sel_join(struct pol_parse *ctx, enum pol_ast_sel_kind kind,
				      struct pol_ast_sel *left, struct pol_ast_sel *right)
{
	struct pol_span at = pol_span_join(left->span, right->span);
	struct pol_ast_sel *s = left;
	uint32_t depth =
		deeper(ctx, can_grow(left, kind) ? left->depth - 1 : left->depth, right->depth, at);

	if (!depth)
		return left;
	if (!can_grow(left, kind)) {
		s = POL_NEW(ctx, pol_ast_sel);
		s->kind = kind;
		POL_APPEND(&s->of, left);
	}
	s->depth = depth;
	s->span = at;
	POL_APPEND(&s->of, right);
	return s;
}

/* ---- peers ---------------------------------------------------------------------------- */

struct pol_ast_peer *pol_node_peer(struct pol_parse *ctx, enum pol_ast_peer_kind kind,
				   struct pol_span at)
{
	struct pol_ast_peer *p = POL_NEW(ctx, pol_ast_peer);

	p->kind = kind;
	p->span = at;
	p->depth = 1;
	return p;
}

struct pol_ast_peer *pol_node_peer_name(struct pol_parse *ctx, struct pol_string name)
{
	struct pol_ast_peer *p = pol_node_peer(ctx, POL_AST_PEER_NAME, name.span);

	p->name = pol_node_name(name);
	return p;
}

struct pol_ast_peer *pol_node_peer_prefix(struct pol_parse *ctx, struct pol_prefix prefix,
					  struct pol_span at)
{
	struct pol_ast_peer *p = pol_node_peer(ctx, POL_AST_PEER_PREFIX, at);

	p->prefix = prefix;
	return p;
}

struct pol_ast_peer *pol_node_peer_sel(struct pol_parse *ctx, struct pol_ast_sel *s,
				       struct pol_span at)
{
	struct pol_ast_peer *p = pol_node_peer(ctx, POL_AST_PEER_SELECTOR, at);

	p->selector = s ? s
			: pol_node_sel(ctx, POL_AST_SEL_TRUE, at, (struct pol_string){ 0 },
				       (struct pol_label_values){ 0 });
	return p;
}

struct pol_ast_peer *pol_node_peer_pair(struct pol_parse *ctx, enum pol_ast_peer_kind kind,
					struct pol_ast_peer *left, struct pol_ast_peer *right)
{
	struct pol_span at = pol_span_join(left->span, right->span);
	uint32_t depth = deeper(ctx, left->depth, right->depth, at);
	struct pol_ast_peer *p;

	if (!depth)
		return left;
	if (kind == POL_AST_PEER_AT &&
	    right->prefix.len != (right->prefix.addr.family == 4 ? 32 : 128)) {
		struct pol_diag *g = pol_diag(ctx->diags, POL_P0318, right->span,
					      "one address, not a prefix, stands after `@`");

		pol_diag_label(ctx->diags, g, "a prefix");
	}
	p = pol_node_peer(ctx, kind, at);
	p->depth = depth;
	p->left = left;
	p->right = right;
	return p;
}

struct pol_ast_peer *pol_node_peer_union(struct pol_parse *ctx, struct pol_peers of, bool braces,
					 struct pol_span at)
{
	struct pol_ast_peer *p = pol_node_peer(ctx, POL_AST_PEER_UNION, at);
	uint32_t most = 0;

	for (const struct pol_ast_peer *m = of.first; m; m = m->next)
		most = m->depth > most ? m->depth : most;
	p->depth = deeper(ctx, most, 0, at);
	if (!p->depth)
		return of.first;
	p->of = of;
	p->braces = braces;
	return p;
}

struct pol_peers pol_node_prefixes(struct pol_parse *ctx, struct pol_peers list,
				   struct pol_prefix p, struct pol_span at)
{
	POL_APPEND(&list, pol_node_peer_prefix(ctx, p, at));
	return list;
}

/* ---- ports ------------------------------------------------------------------------------ */

struct pol_port *pol_node_port_name(struct pol_parse *ctx, struct pol_string name)
{
	struct pol_port *p = POL_NEW(ctx, pol_port);

	p->span = name.span;
	p->name = pol_node_name(name);
	return p;
}

static void check_range(struct pol_parse *ctx, struct pol_range *r, uint32_t max, const char *what,
			struct pol_span at)
{
	if (r->lo > max || r->hi > max) {
		if (pol_said(ctx, at)) {
			*r = (struct pol_range){ 0, 0 };
			return;
		}
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0121, at, "%s out of range", what),
			       "0 to %u", max);
		*r = (struct pol_range){ 0, 0 };
	} else if (r->lo > r->hi) {
		struct pol_diag *g =
			pol_diag(ctx->diags, POL_P0122, at, "the range ends before it begins");

		pol_diag_help(ctx->diags, g, "write `%u-%u`", r->hi, r->lo);
		*r = (struct pol_range){ r->hi, r->lo };
	}
}

struct pol_port *pol_node_port(struct pol_parse *ctx, int proto, struct pol_range r,
			       struct pol_span at)
{
	struct pol_port *p = POL_NEW(ctx, pol_port);
	bool types = proto >= 0 && pol_proto_has_types((uint8_t)proto);

	check_range(ctx, &r, types ? 255 : 65535, types ? "ICMP type" : "port", at);
	p->span = at;
	p->proto = proto < 0 ? 0 : (uint8_t)proto;
	p->repeated = proto < 0;
	p->lo = (uint16_t)r.lo;
	p->hi = (uint16_t)r.hi;
	return p;
}

struct pol_port *pol_node_sport(struct pol_parse *ctx, struct pol_range r, struct pol_span at)
{
	struct pol_port *p = pol_node_port(ctx, 0, r, at);

	p->all = false;
	return p;
}

struct pol_port *pol_node_port_all(struct pol_parse *ctx, int proto, struct pol_span at)
{
	struct pol_port *p = POL_NEW(ctx, pol_port);

	(void)ctx;
	p->span = at;
	p->proto = (uint8_t)proto;
	p->all = true;
	p->hi = pol_proto_has_types(p->proto) ? 255 : 65535;
	return p;
}

struct pol_port *pol_node_port_proto(struct pol_parse *ctx, struct pol_number n, struct pol_span at)
{
	struct pol_range r = { n.value, n.value };
	struct pol_port *p;

	check_range(ctx, &r, 255, "protocol number", n.span);
	p = pol_node_port_all(ctx, (int)r.lo, at);
	p->by_number = true;
	return p;
}

static const struct flag_word {
	const char *text;
	struct pol_tcp_flags flags;
} flag_words[] = {
	{ "syn", { 2, 16 } }, /* the first packet of a connection */
	{ "syn-ack", { 18, 0 } }, { "ack", { 16, 0 } }, { "fin", { 1, 0 } },
	{ "rst", { 4, 0 } },      { "psh", { 8, 0 } },  { "urg", { 32, 0 } },
};

static bool tcp_flag(struct pol_str word, struct pol_tcp_flags *out)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(flag_words); i++)
		if (pol_str_is(word, flag_words[i].text)) {
			*out = flag_words[i].flags;
			return true;
		}
	return false;
}

static void icmp_word(struct pol_parse *ctx, struct pol_port *p, struct pol_string word)
{
	int type = pol_icmp_type(p->proto, word.text);
	uint8_t other = p->proto == POL_PROTO_ICMP ? POL_PROTO_ICMP6 : POL_PROTO_ICMP;
	const char *best = NULL, *other_name = pol_proto_name(other);
	unsigned distance, least = UINT32_MAX;
	struct pol_diag *g;

	if (type >= 0) {
		p->all = false;
		p->lo = p->hi = (uint16_t)type;
		p->type = word.text;
		return;
	}
	g = pol_diag(ctx->diags, POL_P0226, word.span, "unknown %s type `%.*s`",
		     pol_proto_name(p->proto), POL_STR_ARG(word.text));
	if (pol_icmp_type(other, word.text) >= 0) {
		pol_diag_help(ctx->diags, g, "%s has it: `%s %.*s`", other_name, other_name,
			      POL_STR_ARG(word.text));
		return;
	}
	for (int t = 0; t < 256; t++) {
		const char *name = pol_icmp_type_name(p->proto, (uint8_t)t);

		if (name && pol_similar(word.text, pol_str(name), &distance) && distance < least) {
			least = distance;
			best = name;
		}
	}
	if (best)
		pol_diag_help(ctx->diags, g, "did you mean `%s`?", best);
	else
		pol_diag_help(ctx->diags, g, "types can be given by number too: `%s 8`",
			      pol_proto_name(p->proto));
}

struct pol_port *pol_node_port_word(struct pol_parse *ctx, struct pol_port *p,
				    struct pol_string word, struct pol_span at)
{
	struct pol_diag *g;

	p->span = at;
	if (pol_proto_has_types(p->proto) && p->all) {
		icmp_word(ctx, p, word);
		return p;
	}
	if (p->proto == POL_PROTO_TCP && tcp_flag(word.text, &p->flags))
		return p;
	g = pol_diag(ctx->diags, POL_P0227, word.span, "`%.*s` is no port and no flag of %s",
		     POL_STR_ARG(word.text), pol_proto_name(p->proto));
	if (p->all)
		pol_diag_help(ctx->diags, g, "a named port stands without its protocol: `on %.*s`",
			      POL_STR_ARG(word.text));
	return p;
}

/* A bare number repeats the protocol, but only right after a number. */
struct pol_port_list pol_node_port_add(struct pol_parse *ctx, struct pol_port_list list,
				       struct pol_port *p)
{
	const struct pol_port *last = list.last;

	if (p->repeated && !p->name.text.p) {
		bool fits = last && !last->name.text.p && !last->all && !last->type.p &&
			    !last->by_number;

		if (fits) {
			p->proto = last->proto;
			p->flags = last->flags;
			if (pol_proto_has_types(p->proto) && p->hi > 255)
				pol_diag_label(ctx->diags,
					       pol_diag(ctx->diags, POL_P0121, p->span,
							"ICMP type out of range"),
					       "0 to 255");
		} else if (!pol_said(ctx, p->span)) {
			struct pol_diag *g = pol_diag(ctx->diags, POL_P0123, p->span,
						      "a port without a protocol");

			pol_diag_help(ctx->diags, g, "write `tcp %u`, or `udp %u`", p->lo, p->lo);
		}
	}
	POL_APPEND(&list, p);
	return list;
}

struct pol_ports *pol_node_ports(struct pol_parse *ctx, struct pol_port_list list,
				 struct pol_span at)
{
	struct pol_ports *p = POL_NEW(ctx, pol_ports);

	p->of = list;
	p->span = at;
	return p;
}
