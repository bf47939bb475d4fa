/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks of HTTP blocks, services and filters. */
#include "base/http.h"
#include "lang/regex.h"
#include "lang/resolving.h"

#include <ctype.h>

/* ---- ports ----------------------------------------------------------------------- */

static bool one_covers(const struct pol_port *a, const struct pol_port *b)
{
	return a->proto == b->proto && a->lo <= b->lo && a->hi >= b->hi;
}

bool pol_ports_cover(struct pol_resolve *r, const struct pol_ports *wide,
		     const struct pol_ports *narrow)
{
	struct pol_flat_ports a = pol_flat(r, wide), b = pol_flat(r, narrow);

	if (!wide)
		return true;
	for (size_t i = 0; i < b.n; i++) {
		bool found = false;

		for (size_t j = 0; j < a.n && !found; j++)
			found = one_covers(a.v[j], b.v[i]);
		if (!found)
			return false;
	}
	return narrow != NULL;
}

/* Exactly one TCP, UDP or SCTP port, or NULL and a diagnostic. */
static const struct pol_port *single_port(struct pol_resolve *r, const struct pol_ports *ports,
					  const char *whose)
{
	struct pol_flat_ports f = pol_flat(r, ports);

	if (!f.n)
		return NULL; /* unknown names: said already */
	if (f.n > 1 || f.v[0]->all || f.v[0]->lo != f.v[0]->hi ||
	    !pol_proto_has_ports(f.v[0]->proto) || f.v[0]->flags.set) {
		pol_diag(r->d, POL_P0315, ports->span, "%s has one protocol and one port", whose);
		return NULL;
	}
	return f.v[0];
}

/* ---- HTTP ---------------------------------------------------------------------------- */

static bool path_segment_ok(struct pol_str p, size_t from, size_t to, bool last)
{
	struct pol_str s = { p.p + from, to - from };

	if (pol_str_is(s, "*"))
		return true;
	if (pol_str_is(s, "**"))
		return last;
	return !memchr(s.p, '*', s.n);
}

/* The text would match only one of the readings of a request. */
static void check_spelling(struct pol_resolve *r, const struct pol_string *s,
			   enum pol_http_reading how)
{
	struct pol_str t = s->text, read;
	struct pol_diag *g;
	char out[3];

	for (; t.n >= 3; t.p++, t.n--) {
		read = pol_http_read((struct pol_str){ t.p, 3 }, how, out);
		if (t.p[0] != '%' || pol_str_eq(read, (struct pol_str){ t.p, 3 }))
			continue;
		g = pol_diag(r->d, POL_P0335, s->span, "`%.3s` is read as `%.*s`, too", t.p,
			     POL_STR_ARG(read));
		pol_diag_help(r->d, g,
			      "%san expression can name both spellings: ~\"(%s%.*s|%.3s)\"",
			      read.p[0] == '*' && how == POL_HTTP_READ_PATH ? "" : "write it so; ",
			      strchr("$().*+?[]", read.p[0]) ? "\\" : "", POL_STR_ARG(read), t.p);
		return;
	}
}

static void check_pattern(struct pol_resolve *r, const struct pol_string *path)
{
	struct pol_str p = path->text;
	struct pol_diag *g;
	bool ok = true;
	size_t from = 1;

	if (!p.n || p.p[0] != '/') {
		g = pol_diag(r->d, POL_P0321, path->span, "a path begins with `/`");
		pol_diag_help(r->d, g, "the host does not belong to it: `where host == \"...\"`");
		return;
	}
	for (size_t i = 1; i <= p.n; i++)
		if (i == p.n || p.p[i] == '/') {
			ok &= path_segment_ok(p, from, i, i == p.n);
			from = i + 1;
		}
	if (!ok) {
		g = pol_diag(r->d, POL_P0321, path->span,
			     "`*` is one whole segment, `**` the rest of the path");
		pol_diag_help(r->d, g,
			      "for anything else write a regular expression: ~\"/v[0-9]+/x\"");
	} else if (memchr(p.p, '?', p.n) || memchr(p.p, '#', p.n)) {
		g = pol_diag(r->d, POL_P0321, path->span, "the query is not part of a path");
		pol_diag_help(r->d, g, "leave out what follows the `?`");
	} else if (pol_http_path_fault(p)) {
		/* `*` is a byte that a path may have: the pattern is canonical where what it matches is */
		g = pol_diag(r->d, POL_P0321, path->span,
			     "no request can have this path: it has %s", pol_http_path_fault(p));
		pol_diag_help(r->d, g,
			      "paths are compared as they are sent, and only canonical ones "
			      "are: upper-case digits after `%%`, no `//`, `;` or dot segments");
	} else {
		check_spelling(r, path, POL_HTTP_READ_PATH);
	}
}

/* Where bytes [at, at + n) of a string's value stand, if it was written without escapes of quotes. */
static struct pol_span inside(const struct pol_string *s, size_t at, size_t n)
{
	struct pol_span span = s->span;

	if (!n || span.end - span.start < s->text.n + 2 || span.end - span.start > s->text.n + 4)
		return span;
	span.start = span.end - 1 - (uint32_t)(s->text.n - at);
	span.end = span.start + (uint32_t)n;
	return span;
}

static void check_regex(struct pol_resolve *r, const struct pol_string *re)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_regex_fault fault;
	struct pol_diag *g;

	if (!pol_regex_parse(a, re->text, &fault)) {
		g = pol_diag(r->d, POL_P0322, inside(re, fault.at, fault.n),
			     "the regular expression %s", fault.what);
		pol_diag_help(r->d, g, "expressions must be regular: they become one automaton");
	}
	pol_arena_free(a);
}

static void check_cond(struct pol_resolve *r, const struct pol_cond *c)
{
	bool upper = false;
	struct pol_diag *g;

	for (size_t i = 0; i < c->value.text.n; i++)
		upper |= isupper((unsigned char)c->value.text.p[i]) != 0;
	if (c->test == POL_COND_MATCH)
		check_regex(r, &c->value);
	if (c->query && c->test == POL_COND_EQ)
		check_spelling(r, &c->value, POL_HTTP_READ_FIELDS);
	if (c->host && c->test == POL_COND_EQ &&
	    (upper || memchr(c->value.text.p, ':', c->value.text.n))) {
		g = pol_diag(r->d, POL_P0325, c->value.span, "this host can never match");
		pol_diag_help(r->d, g, "hosts are compared in lower case and without the port");
	}
	if (!c->host && !c->query && !c->header.text.n)
		pol_diag(r->d, POL_P0332, c->header.span, "empty header name");
}

static void check_one_host(struct pol_resolve *r, const struct pol_http_line *l)
{
	const struct pol_cond *first = NULL;
	struct pol_diag *g;

	for (const struct pol_cond *c = l->where.first; c; c = c->next) {
		if (c->host && first) {
			g = pol_diag(r->d, POL_P0325, c->span, "a second test of the host");
			pol_diag_also(r->d, g, first->span, "the first");
			pol_diag_help(r->d, g, "say it in one: host ~\"(www|api)\\.example\"");
		}
		if (c->host && !first)
			first = c;
	}
}

void pol_check_http(struct pol_resolve *r, const struct pol_http *h)
{
	for (const struct pol_http_line *l = h->lines.first; l; l = l->next) {
		check_one_host(r, l);
		if (l->regex)
			check_regex(r, &l->path);
		else
			check_pattern(r, &l->path);
		for (const struct pol_cond *c = l->where.first; c; c = c->next)
			check_cond(r, c);
	}
}

/* ---- services --------------------------------------------------------------------------- */

static void check_vip(struct pol_resolve *r, const struct pol_vip *v)
{
	for (const struct pol_ast_peer *a = v->addresses.first; a; a = a->next)
		if (a->prefix.len != (a->prefix.addr.family == 4 ? 32 : 128))
			pol_diag(r->d, POL_P0315, a->span, "a VIP is one address, not a prefix");
}

static void check_backend(struct pol_resolve *r, const struct pol_backend *b,
			  const struct pol_port *vip_port, bool dsr)
{
	const struct pol_port *port = single_port(r, b->on, "a backend");
	bool ok = b->peer->kind == POL_AST_PEER_SELECTOR ||
		  (b->peer->kind == POL_AST_PEER_NAME &&
		   (!b->peer->name.decl || b->peer->name.decl->kind == POL_DECL_ENDPOINT)) ||
		  (b->peer->kind == POL_AST_PEER_PREFIX &&
		   b->peer->prefix.len == (b->peer->prefix.addr.family == 4 ? 32 : 128));
	struct pol_diag *g;

	pol_check_peer(r, b->peer, false);
	if (!ok)
		pol_diag(r->d, POL_P0311, b->peer->span,
			 "a backend is an endpoint class or one address");
	if (!port || !vip_port)
		return;
	if (port->proto != vip_port->proto || (dsr && port->lo != vip_port->lo)) {
		g = pol_diag(r->d, POL_P0316, b->on->span,
			     dsr && port->proto == vip_port->proto
				     ? "with `mode dsr` backend and VIP have one port"
				     : "backend and VIP have one protocol");
		pol_diag_also(r->d, g, vip_port->span, "the VIP's");
	}
}

static void check_check(struct pol_resolve *r, const struct pol_check *c)
{
	const struct pol_number *every = &c->mark[POL_CHECK_EVERY],
				*timeout = &c->mark[POL_CHECK_TIMEOUT];
	bool plain = c->path.text.n && c->path.text.p[0] == '/';

	if (pol_span_is_none(c->span))
		return;
	for (size_t i = 0; i < c->path.text.n; i++)
		plain &= c->path.text.p[i] > ' ' && c->path.text.p[i] < 0x7f;
	if (c->path.text.p && !plain)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0333, c->path.span,
				       "no server can be asked for this path"),
			      "it begins with `/` and has no blanks: \"/live\"");
	if (every->value && timeout->value > every->value)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0333, timeout->span,
				       "the timeout is longer than the time between two checks"),
			      "write `every %u`, or a shorter timeout", timeout->value);
}

/* All VIPs of a service have one protocol; with `dsr`, where ports stay, one port. */
static void check_vip_port(struct pol_resolve *r, const struct pol_vip *v, const struct pol_port *p,
			   const struct pol_port *first, bool dsr)
{
	struct pol_diag *g;

	if (p->proto == 132)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0315, v->on->span, "a VIP is on TCP or UDP"),
			      "SCTP has addresses of its own inside, and cannot be sent elsewhere");
	if (p->proto == first->proto && (!dsr || p->lo == first->lo))
		return;
	g = pol_diag(r->d, POL_P0316, v->on->span,
		     p->proto == first->proto
			     ? "with `mode dsr` all VIPs of a service have one port"
			     : "all VIPs of a service have one protocol");
	pol_diag_also(r->d, g, first->span, "the first");
	pol_diag_help(r->d, g, "write a second service with the same backends");
}

void pol_check_service(struct pol_resolve *r, const struct pol_decl *d)
{
	const struct pol_port *port = NULL;

	for (const struct pol_vip *v = d->service.vips.first; v; v = v->next) {
		const struct pol_port *p = single_port(r, v->on, "a VIP");

		check_vip(r, v);
		port = port ? port : p;
		if (p)
			check_vip_port(r, v, p, port, d->service.dsr);
	}
	check_check(r, &d->service.check);
	if (!r->p->syntax_errors && !d->service.vips.n)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0313, d->head, "service `%.*s` has no VIP",
				       POL_STR_ARG(d->name.text)),
			      "write `vip ADDRESS on tcp 80;`");
	if (!r->p->syntax_errors && !d->service.backends.n)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0314, d->head, "service `%.*s` has no backend",
				       POL_STR_ARG(d->name.text)),
			      "write `backend CLASS on tcp 8080;`");
	for (const struct pol_backend *b = d->service.backends.first; b; b = b->next)
		check_backend(r, b, port, d->service.dsr);
}

/* ---- filters ------------------------------------------------------------------------------- */

static void filter_peer(struct pol_resolve *r, const struct pol_ast_peer *p)
{
	bool ok = false;

	switch (p->kind) {
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_PREFIX:
		return;
	case POL_AST_PEER_NAME: /* a service's name is its VIP */
		ok = !p->name.decl || p->name.decl->kind != POL_DECL_ENDPOINT;
		break;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next)
			filter_peer(r, m);
		return;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
		filter_peer(r, p->left);
		filter_peer(r, p->right);
		return;
	case POL_AST_PEER_SELECTOR:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_AT:
		break;
	}
	if (!ok)
		pol_diag_help(
			r->d,
			pol_diag(r->d, POL_P0311, p->span, "filters know prefixes and `any` only"),
			"an uplink knows no endpoints: write the prefix, or a rule in a policy");
}

static bool unconditional(const struct pol_filter_rule *f)
{
	return f->action != POL_AST_LIMIT && (!f->from || f->from->kind == POL_AST_PEER_ANY) &&
	       (!f->to || f->to->kind == POL_AST_PEER_ANY) && !f->on && !f->sport;
}

static void check_sport(struct pol_resolve *r, const struct pol_filter_rule *f)
{
	struct pol_flat_ports ports = pol_flat(r, f->on);
	bool ok = ports.n > 0;

	for (size_t i = 0; i < ports.n; i++)
		ok &= pol_proto_has_ports(ports.v[i]->proto);
	if (!ok)
		pol_diag_help(r->d,
			      pol_diag(r->d, POL_P0327, f->sport->span,
				       "`sport` needs a protocol with ports"),
			      "write `on udp sport 53`");
}

static void check_interfaces(struct pol_resolve *r, const struct pol_decl *d)
{
	for (const struct pol_label_value *v = d->filter.interfaces.first; v; v = v->next)
		if (!v->value.text.n || v->value.text.n > 15)
			pol_diag(r->d, POL_P0330, v->value.span,
				 "an interface name has 1 to 15 characters");
}

/* Whether packets of connections from inside can come back. */
static bool passes_replies(const struct pol_decl *d)
{
	for (const struct pol_filter_rule *f = d->filter.rules.first; f; f = f->next) {
		if (f->action != POL_AST_PASS)
			continue;
		if (!f->on || f->sport)
			return true;
		for (const struct pol_port *p = f->on->of.first; p; p = p->next)
			if (p->all || p->hi >= 32768 || p->flags.set & 16)
				return true;
	}
	return false;
}

static void check_filter_end(struct pol_resolve *r, const struct pol_decl *d)
{
	const struct pol_filter_rule *last = d->filter.rules.last;
	struct pol_diag *g;

	if (!last || !unconditional(last)) {
		g = pol_diag(r->d, POL_P0309, last ? last->span : d->head,
			     "a filter ends in `pass;` or `drop;`");
		pol_diag_label(r->d, g, last ? "the last rule has conditions" : "no rules");
		pol_diag_help(r->d, g, "say what happens to packets that no rule matches");
	} else if (last->action == POL_AST_DROP && !passes_replies(d)) {
		g = pol_diag(r->d, POL_P0403, last->span,
			     "this filter drops the replies to connections from inside");
		pol_diag_help(
			r->d, g,
			"filters have no state: pass replies before, say with `pass on tcp ack;` and "
			"`pass on udp sport 53;`");
	}
}

void pol_check_filter(struct pol_resolve *r, const struct pol_decl *d)
{
	check_interfaces(r, d);
	for (const struct pol_filter_rule *f = d->filter.rules.first; f; f = f->next) {
		if (f->from) {
			pol_check_peer(r, f->from, false);
			filter_peer(r, f->from);
		}
		if (f->to) {
			pol_check_peer(r, f->to, false);
			filter_peer(r, f->to);
		}
		if (f->sport)
			check_sport(r, f);
		if (f->next && unconditional(f)) {
			struct pol_diag *g = pol_diag(r->d, POL_P0310, f->next->span,
						      "this and what follows is never reached");

			pol_diag_also(r->d, g, f->span, "this matches every packet");
			return;
		}
	}
	if (!r->p->syntax_errors)
		check_filter_end(r, d);
}
