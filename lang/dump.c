/* SPDX-License-Identifier: GPL-2.0-only */
/* The tree as text, without places: for --dump, and to compare two texts of one meaning. */
#include "lang/ast.h"

static void string(struct pol_buf *b, struct pol_str s)
{
	pol_buf_json(b, s);
}

static void values(struct pol_buf *b, const struct pol_label_values *v)
{
	for (const struct pol_label_value *i = v->first; i; i = i->next) {
		pol_buf_addc(b, ' ');
		string(b, i->value.text);
	}
}

void pol_sel_dump(struct pol_buf *b, const struct pol_ast_sel *s)
{
	pol_buf_printf(b, "(%s", pol_sel_kind_name(s->kind));
	switch (s->kind) {
	case POL_AST_SEL_TRUE:
		break;
	case POL_AST_SEL_EQ:
	case POL_AST_SEL_NE:
	case POL_AST_SEL_IN:
	case POL_AST_SEL_NOT_IN:
	case POL_AST_SEL_HAS:
		pol_buf_addc(b, ' ');
		string(b, s->key.text);
		values(b, &s->values);
		break;
	case POL_AST_SEL_NOT:
	case POL_AST_SEL_AND:
	case POL_AST_SEL_OR:
		for (const struct pol_ast_sel *m = s->of.first; m; m = m->next) {
			pol_buf_addc(b, ' ');
			pol_sel_dump(b, m);
		}
		break;
	}
	pol_buf_addc(b, ')');
}

void pol_peer_dump(struct pol_buf *b, const struct pol_ast_peer *p)
{
	char text[POL_IP_TEXT];

	if (!p) {
		pol_buf_addc(b, '-');
		return;
	}
	switch (p->kind) {
	case POL_AST_PEER_NAME:
		string(b, p->name.text);
		return;
	case POL_AST_PEER_PREFIX:
		pol_buf_addz(b, pol_prefix_format(p->prefix, text));
		return;
	case POL_AST_PEER_SELECTOR:
		pol_sel_dump(b, p->selector);
		return;
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
		pol_buf_addz(b, pol_peer_kind_name(p->kind));
		return;
	case POL_AST_PEER_UNION:
		pol_buf_addz(b, "(union");
		for (const struct pol_ast_peer *m = p->of.first; m; m = m->next) {
			pol_buf_addc(b, ' ');
			pol_peer_dump(b, m);
		}
		pol_buf_addc(b, ')');
		return;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
	case POL_AST_PEER_AT:
		pol_buf_printf(b, "(%s ", pol_peer_kind_name(p->kind));
		pol_peer_dump(b, p->left);
		pol_buf_addc(b, ' ');
		pol_peer_dump(b, p->right);
		pol_buf_addc(b, ')');
		return;
	}
}

static void ports(struct pol_buf *b, const char *key, const struct pol_ports *list)
{
	if (!list)
		return;
	pol_buf_printf(b, " %s(", key);
	for (const struct pol_port *p = list->of.first; p; p = p->next) {
		pol_buf_addz(b, p == list->of.first ? "" : " ");
		if (p->name.text.p) {
			string(b, p->name.text);
			continue;
		}
		pol_buf_printf(b, "%u:%u-%u", p->proto, p->lo, p->hi);
		if (p->flags.set | p->flags.clear)
			pol_buf_printf(b, "/%u/%u", p->flags.set, p->flags.clear);
	}
	pol_buf_addc(b, ')');
}

static void limit(struct pol_buf *b, const struct pol_ast_limit *l)
{
	if (!l)
		return;
	pol_buf_printf(b, " limit(%u/%u %u", l->rate, l->seconds, l->burst);
	if (l->per_source)
		pol_buf_printf(b, " source %u %u", l->len4, l->len6);
	pol_buf_addc(b, ')');
}

static void log_and_name(struct pol_buf *b, bool log, const struct pol_string *name)
{
	pol_buf_addz(b, log ? " log" : "");
	if (!name->text.p)
		return;
	pol_buf_addz(b, " name ");
	string(b, name->text);
}

static void http_line(struct pol_buf *b, const struct pol_http_line *l)
{
	static const char *const tests[] = { "present", "==", "~", "absent" };

	pol_buf_printf(b, " (%s", pol_action_name(l->action));
	for (const struct pol_method *m = l->methods.first; m; m = m->next)
		pol_buf_printf(b, " %.*s", POL_STR_ARG(m->name.text));
	pol_buf_addz(b, l->regex ? " ~" : " ");
	string(b, l->path.text);
	for (const struct pol_cond *c = l->where.first; c; c = c->next) {
		pol_buf_addz(b, c->host ? " (host" : c->query ? " (query" : " (header ");
		if (!c->host && !c->query)
			string(b, c->header.text);
		pol_buf_printf(b, " %s ", tests[c->test]);
		string(b, c->value.text);
		pol_buf_addc(b, ')');
	}
	pol_buf_addz(b, l->websocket ? " websocket)" : ")");
}

static void rule(struct pol_buf *b, const struct pol_ast_rule *r)
{
	pol_buf_printf(b, "\n  %s %s ", pol_action_name(r->action), r->egress ? "to" : "from");
	pol_peer_dump(b, r->peer);
	ports(b, "on", r->on);
	log_and_name(b, r->log, &r->name);
	limit(b, r->limit);
	if (!r->http)
		return;
	pol_buf_addz(b, " http(");
	for (const struct pol_http_line *l = r->http->lines.first; l; l = l->next)
		http_line(b, l);
	pol_buf_addc(b, ')');
}

static void policy(struct pol_buf *b, const struct pol_policy *p)
{
	static const char *const stages[] = { "admin", "main", "baseline" };

	pol_buf_addz(b, " on ");
	pol_peer_dump(b, p->subject);
	pol_buf_printf(b, " %s %u%s", stages[p->stage], p->tier, p->audit ? " audit" : "");
	for (const struct pol_ast_rule *r = p->rules.first; r; r = r->next)
		rule(b, r);
}

static void cidr(struct pol_buf *b, const struct pol_decl *d)
{
	char text[POL_IP_TEXT];

	pol_buf_addz(b, d->cidr.dynamic ? " dynamic" : "");
	for (const struct pol_cidr_item *i = d->cidr.items.first; i; i = i->next) {
		pol_buf_addc(b, ' ');
		switch (i->kind) {
		case POL_CIDR_PREFIX:
			pol_buf_addz(b, pol_prefix_format(i->prefix, text));
			break;
		case POL_CIDR_NAME:
			string(b, i->name.text);
			break;
		case POL_CIDR_FILE:
			pol_buf_addz(b, i->file.or_none ? "file-or-none " : "file ");
			string(b, i->file.path.text);
			break;
		}
	}
}

static void check(struct pol_buf *b, const struct pol_check *c)
{
#define NAME(id, text) text,
	static const char *const name[] = { POL_CHECK_MARKS(NAME) };
#undef NAME

	pol_buf_addz(b, c->path.text.p ? "\n  check http " : "\n  check tcp");
	if (c->path.text.p)
		pol_buf_json(b, c->path.text);
	for (size_t i = 0; i < POL_CHECK_MARK_MAX; i++)
		if (c->mark[i].value)
			pol_buf_printf(b, " %s %u", name[i], c->mark[i].value);
}

static void service(struct pol_buf *b, const struct pol_decl *d)
{
	for (const struct pol_vip *v = d->service.vips.first; v; v = v->next) {
		pol_buf_addz(b, "\n  vip");
		for (const struct pol_ast_peer *a = v->addresses.first; a; a = a->next) {
			pol_buf_addc(b, ' ');
			pol_peer_dump(b, a);
		}
		ports(b, "on", v->on);
	}
	for (const struct pol_backend *k = d->service.backends.first; k; k = k->next) {
		pol_buf_addz(b, "\n  backend ");
		pol_peer_dump(b, k->peer);
		ports(b, "on", k->on);
		pol_buf_printf(b, " weight %u", k->weight);
	}
	pol_buf_printf(b, "\n  %s %s", d->service.random ? "random" : "maglev",
		       d->service.dsr ? "dsr" : "nat");
	if (!pol_span_is_none(d->service.check.span))
		check(b, &d->service.check);
}

static void filter(struct pol_buf *b, const struct pol_decl *d)
{
	pol_buf_addz(b, " on");
	values(b, &d->filter.interfaces);
	for (const struct pol_filter_rule *f = d->filter.rules.first; f; f = f->next) {
		pol_buf_printf(b, "\n  %s from ", pol_action_name(f->action));
		pol_peer_dump(b, f->from);
		pol_buf_addz(b, " to ");
		pol_peer_dump(b, f->to);
		ports(b, "on", f->on);
		ports(b, "sport", f->sport);
		limit(b, f->limit);
		log_and_name(b, f->log, &f->name);
	}
}

static void assertion(struct pol_buf *b, const struct pol_decl *d)
{
	const struct pol_flow *f = d->assertion.flow;

	pol_buf_addz(b, d->assertion.allow ? " allow from " : " deny from ");
	pol_peer_dump(b, f->from);
	pol_buf_addz(b, " to ");
	pol_peer_dump(b, f->to);
	ports(b, "on", f->on);
	if (f->method.text.p) {
		pol_buf_printf(b, " %.*s ", POL_STR_ARG(f->method.text));
		string(b, f->path.text);
	}
}

static void declaration(struct pol_buf *b, const struct pol_decl *d)
{
	pol_buf_addz(b, pol_decl_kind_name(d->kind));
	if (d->name.text.p) {
		pol_buf_addc(b, ' ');
		string(b, d->name.text);
	}
	switch (d->kind) {
	case POL_DECL_IMPORT:
		pol_buf_addc(b, ' ');
		string(b, d->import.path.text);
		break;
	case POL_DECL_DEFAULT:
		pol_buf_addz(b, d->dflt.allow ? " allow" : " deny");
		break;
	case POL_DECL_POOL:
		for (const struct pol_ast_peer *p = d->pool.prefixes.first; p; p = p->next) {
			pol_buf_addc(b, ' ');
			pol_peer_dump(b, p);
		}
		break;
	case POL_DECL_OPTION:
		pol_buf_addz(b, " host open");
		break;
	case POL_DECL_CIDR:
		cidr(b, d);
		break;
	case POL_DECL_PORT:
		ports(b, "=", d->port.ports);
		break;
	case POL_DECL_ENDPOINT:
		pol_buf_addc(b, ' ');
		pol_sel_dump(b, d->endpoint.selector);
		break;
	case POL_DECL_POLICY:
		policy(b, &d->policy);
		break;
	case POL_DECL_SERVICE:
		service(b, d);
		break;
	case POL_DECL_FILTER:
		filter(b, d);
		break;
	case POL_DECL_ASSERT:
		assertion(b, d);
		break;
	}
	pol_buf_addc(b, '\n');
}

void pol_ast_dump(struct pol_buf *b, const struct pol_file *f)
{
	pol_buf_addz(b, "");
	for (const struct pol_decl *d = f->decls.first; d; d = d->next)
		declaration(b, d);
}
