/* SPDX-License-Identifier: GPL-2.0-only */
/* One namespace: who is called what, and what every name in the text means. */
#include "lang/resolving.h"

/* ---- the table ------------------------------------------------------------------ */

/* Names are interned: the pointer is the key. */
struct pol_name_table {
	struct pol_decl **slot;
	size_t n, cap;
};

static size_t slot_of(const struct pol_name_table *t, struct pol_str name, bool policy)
{
	size_t i = pol_hash(&name.p, sizeof(name.p), policy) & (t->cap - 1);

	while (t->slot[i] && (t->slot[i]->name.text.p != name.p ||
			      (t->slot[i]->kind == POL_DECL_POLICY) != policy))
		i = (i + 1) & (t->cap - 1);
	return i;
}

static void table_make(struct pol_resolve *r)
{
	struct pol_name_table *t = pol_arena_alloc(r->p->arena, sizeof(*t));

	t->cap = 64;
	while (t->cap < 2 * r->p->decls.n)
		t->cap *= 2;
	t->slot = pol_arena_alloc(r->p->arena, t->cap * sizeof(*t->slot));
	r->p->table = t;
}

static struct pol_decl *find(const struct pol_program *p, struct pol_str name, bool policy)
{
	return p->table ? p->table->slot[slot_of(p->table, name, policy)] : NULL;
}

struct pol_decl *pol_program_find(const struct pol_program *p, struct pol_str name)
{
	return find(p, pol_intern(p->names, name), false);
}

struct pol_decl *pol_program_find_policy(const struct pol_program *p, struct pol_str name)
{
	return find(p, pol_intern(p->names, name), true);
}

static void define(struct pol_resolve *r, struct pol_decl *d)
{
	bool policy = d->kind == POL_DECL_POLICY;
	struct pol_decl **slot = &r->p->table->slot[slot_of(r->p->table, d->name.text, policy)];
	struct pol_diag *g;

	if (!*slot) {
		*slot = d;
		r->p->table->n++;
		return;
	}
	g = pol_diag(r->d, policy ? POL_P0211 : POL_P0210, d->name.span, "duplicate %s `%.*s`",
		     policy ? "policy" : "definition of", POL_STR_ARG(d->name.text));
	pol_diag_also(r->d, g, (*slot)->name.span, "first defined here, as %s%s",
		      (*slot)->kind == POL_DECL_ENDPOINT ? "an " : "a ",
		      pol_decl_kind_name((*slot)->kind));
	if (policy && !d->policy.subject_written)
		pol_diag_help(r->d, g, "give it a name of its own: `policy \"%.*s 2\" on %.*s`",
			      POL_STR_ARG(d->name.text), POL_STR_ARG(d->name.text));
}

/* ---- what is said about names that are not right ---------------------------------- */

#define KIND(k) (1u << (k))
#define PEER_KINDS (KIND(POL_DECL_ENDPOINT) | KIND(POL_DECL_CIDR) | KIND(POL_DECL_SERVICE))

struct wanted {
	unsigned kinds;
	const char *text; /* "endpoint or cidr" */
	enum pol_code unknown;
	const char *const *words; /* that are possible too */
};

static const char *const peer_words[] = { "any", "host", "nodes", "world", "public", "none", NULL };
static const char *const class_words[] = { "any", NULL };
static const char *const no_words[] = { NULL };
static const char *const proto_words[] = { "tcp", "udp", "sctp", "icmp", "icmp6", NULL };

static const struct wanted want_peer = { PEER_KINDS, "endpoint or cidr", POL_P0217, peer_words };
static const struct wanted want_class = { KIND(POL_DECL_ENDPOINT), "endpoint", POL_P0217,
					  class_words };
static const struct wanted want_cidr = { KIND(POL_DECL_CIDR), "cidr", POL_P0217, no_words };
static const struct wanted want_port = { KIND(POL_DECL_PORT), "port", POL_P0219, proto_words };

static const char *article(const char *word)
{
	return strchr("aeiou", word[0]) ? "an" : "a";
}

static void suggest(struct pol_resolve *r, struct pol_diag *g, const struct pol_name *n,
		    const struct wanted *want)
{
	const struct pol_decl *best = NULL;
	unsigned least = UINT32_MAX, distance;
	const char *word = NULL;
	struct pol_buf at = { 0 };

	for (const char *const *w = want->words; *w; w++)
		if (pol_similar(n->text, pol_str(*w), &distance) && 2 * distance < least) {
			least = 2 * distance;
			word = *w;
		}
	for (size_t i = 0; i < r->p->decls.n; i++) {
		const struct pol_decl *d = r->p->decls.v[i];

		if (!d->name.text.p || d->kind == POL_DECL_POLICY ||
		    !pol_similar(n->text, d->name.text, &distance))
			continue;
		distance = 2 * distance + !(KIND(d->kind) & want->kinds); /* the right kind first */
		if (distance < least) {
			least = distance;
			best = d;
		}
	}
	if (best) {
		pol_source_cite(&at, r->p->sources, best->name.span, false);
		if (KIND(best->kind) & want->kinds)
			pol_diag_help(r->d, g, "did you mean `%.*s`, defined at %s?",
				      POL_STR_ARG(best->name.text), at.p);
		else
			pol_diag_help(r->d, g, "there is %s %s `%.*s`, defined at %s",
				      article(pol_decl_kind_name(best->kind)),
				      pol_decl_kind_name(best->kind), POL_STR_ARG(best->name.text),
				      at.p);
		pol_buf_free(&at);
	} else if (word) {
		pol_diag_help(r->d, g, "did you mean `%s`?", word);
	}
}

static const struct known_port {
	const char *name, *text;
} known_ports[] = {
	{ "http", "tcp 80" },        { "https", "tcp 443" },         { "ssh", "tcp 22" },
	{ "dns", "udp 53, tcp 53" }, { "domain", "udp 53, tcp 53" }, { "ntp", "udp 123" },
	{ "smtp", "tcp 25" },        { "ldap", "tcp 389" },          { "postgres", "tcp 5432" },
	{ "mysql", "tcp 3306" },     { "redis", "tcp 6379" },
};

/* A name that cannot be a port may be an ICMP type, or a port that other systems know by name. */
static bool suggest_port(struct pol_resolve *r, struct pol_diag *g, struct pol_str name)
{
	if (pol_icmp_type(POL_PROTO_ICMP, name) >= 0 || pol_icmp_type(POL_PROTO_ICMP6, name) >= 0) {
		const char *proto = pol_icmp_type(POL_PROTO_ICMP, name) >= 0 ? "icmp" : "icmp6";

		pol_diag_help(r->d, g, "an ICMP type stands after its protocol: `%s %.*s`", proto,
			      POL_STR_ARG(name));
		return true;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(known_ports); i++)
		if (pol_str_is(name, known_ports[i].name)) {
			pol_diag_help(r->d, g,
				      "no port has a name by itself: define `port %.*s = %s;`",
				      POL_STR_ARG(name), known_ports[i].text);
			return true;
		}
	return false;
}

/* The definition may be there, but was not understood: one message for one mistake. */
static bool maybe_defined(const struct pol_resolve *r, struct pol_str name)
{
	for (size_t i = 0; r->p->syntax_errors && i < r->p->maybe.n; i++)
		if (r->p->maybe.v[i].p == name.p)
			return true;
	return false;
}

/* Nothing is like it: how it would be defined. */
static void define_it(struct pol_resolve *r, struct pol_diag *g, struct pol_str name,
		      const struct wanted *want)
{
	if (want == &want_peer && memchr(name.p, '.', name.n))
		pol_diag_help(r->d, g,
			      "names of DNS are not looked up: list the addresses in a cidr");
	else if (want == &want_peer || want == &want_class)
		pol_diag_help(r->d, g,
			      "define it by its labels: `endpoint %.*s = app == \"%.*s\";`",
			      POL_STR_ARG(name), POL_STR_ARG(name));
	else if (want == &want_cidr)
		pol_diag_help(r->d, g, "define it: `cidr %.*s = 192.0.2.0/24;`", POL_STR_ARG(name));
	else
		pol_diag_help(r->d, g, "define it: `port %.*s = tcp 8080;`", POL_STR_ARG(name));
}

static void unknown(struct pol_resolve *r, const struct pol_name *n, const struct wanted *want)
{
	const struct pol_decl *policy = find(r->p, n->text, true);
	struct pol_diag *g;

	if (!n->text.n || (pol_spend(r, r->p->maybe.n) && maybe_defined(r, n->text)))
		return;
	g = pol_diag(r->d, want->unknown, n->span, "unknown %s `%.*s`", want->text,
		     POL_STR_ARG(n->text));
	pol_diag_label(r->d, g, "not defined");
	if (g == &r->d->spare)
		return;
	if (want == &want_port && suggest_port(r, g, n->text))
		return;
	if (want == &want_cidr && pol_str_is(n->text, "dynamic")) {
		pol_diag_help(r->d, g, "`dynamic` stands after the name: `cidr NAME dynamic;`");
		return;
	}
	if (pol_spend(r, 50 * r->p->decls.n))
		suggest(r, g, n, want);
	if (!g->lines && policy && want != &want_port && !pol_span_is_none(policy->name.span) &&
	    policy->name.span.start != n->span.start)
		pol_diag_help(r->d, g, "`%.*s` is a policy; peers are endpoints and cidrs",
			      POL_STR_ARG(n->text));
	if (!g->lines)
		define_it(r, g, n->text, want);
}

static void bind(struct pol_resolve *r, struct pol_name *n, const struct wanted *want)
{
	struct pol_decl *d = find(r->p, n->text, false);
	const char *kind;
	struct pol_diag *g;

	if (!d) {
		unknown(r, n, want);
		return;
	}
	if (KIND(d->kind) & want->kinds) {
		n->decl = d;
		return;
	}
	kind = pol_decl_kind_name(d->kind);
	g = pol_diag(r->d, POL_P0218, n->span, "`%.*s` is %s %s, not %s %s", POL_STR_ARG(n->text),
		     article(kind), d->kind == POL_DECL_ENDPOINT ? "endpoint class" : kind,
		     article(want->text), want->text);
	pol_diag_also(r->d, g, d->name.span, "defined here");
	if (want == &want_class && d->kind == POL_DECL_CIDR)
		pol_diag_help(r->d, g, "a policy is for endpoints: define them by their labels");
}

/* ---- walking ------------------------------------------------------------------------- */

static void bind_peer(struct pol_resolve *r, struct pol_ast_peer *p, const struct wanted *want)
{
	if (!p)
		return;
	switch (p->kind) {
	case POL_AST_PEER_NAME:
		bind(r, &p->name, want);
		break;
	case POL_AST_PEER_UNION:
		for (struct pol_ast_peer *m = p->of.first; m; m = m->next)
			bind_peer(r, m, want);
		break;
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
		bind_peer(r, p->left, want);
		bind_peer(r, p->right, want);
		break;
	case POL_AST_PEER_AT:
		bind_peer(r, p->left, &want_class);
		break;
	case POL_AST_PEER_PREFIX:
	case POL_AST_PEER_SELECTOR:
	case POL_AST_PEER_ANY:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
		break;
	}
}

static void bind_ports(struct pol_resolve *r, struct pol_ports *ports)
{
	if (!ports)
		return;
	for (struct pol_port *p = ports->of.first; p; p = p->next)
		if (p->name.text.p)
			bind(r, &p->name, &want_port);
}

void pol_bind_flow(struct pol_resolve *r, struct pol_flow *f)
{
	bind_peer(r, f->from, &want_peer);
	bind_peer(r, f->to, &want_peer);
	bind_ports(r, f->on);
}

static void bind_policy(struct pol_resolve *r, struct pol_policy *p)
{
	bind_peer(r, p->subject, &want_class);
	for (struct pol_ast_rule *rule = p->rules.first; rule; rule = rule->next) {
		bind_peer(r, rule->peer, &want_peer);
		bind_ports(r, rule->on);
	}
}

static void bind_service(struct pol_resolve *r, struct pol_decl *d)
{
	for (struct pol_vip *v = d->service.vips.first; v; v = v->next)
		bind_ports(r, v->on);
	for (struct pol_backend *b = d->service.backends.first; b; b = b->next) {
		bind_peer(r, b->peer, &want_peer);
		bind_ports(r, b->on);
	}
}

static void bind_filter(struct pol_resolve *r, struct pol_decl *d)
{
	for (struct pol_filter_rule *f = d->filter.rules.first; f; f = f->next) {
		bind_peer(r, f->from, &want_peer);
		bind_peer(r, f->to, &want_peer);
		bind_ports(r, f->on);
	}
}

static void bind_declaration(struct pol_resolve *r, struct pol_decl *d)
{
	switch (d->kind) {
	case POL_DECL_CIDR:
		for (struct pol_cidr_item *i = d->cidr.items.first; i; i = i->next)
			if (i->kind == POL_CIDR_NAME)
				bind(r, &i->name, &want_cidr);
		break;
	case POL_DECL_PORT:
		bind_ports(r, d->port.ports);
		break;
	case POL_DECL_POLICY:
		bind_policy(r, &d->policy);
		break;
	case POL_DECL_SERVICE:
		bind_service(r, d);
		break;
	case POL_DECL_FILTER:
		bind_filter(r, d);
		break;
	case POL_DECL_ASSERT:
		pol_bind_flow(r, d->assertion.flow);
		break;
	case POL_DECL_IMPORT:
	case POL_DECL_DEFAULT:
	case POL_DECL_POOL:
	case POL_DECL_OPTION:
	case POL_DECL_ENDPOINT:
		break;
	}
}

void pol_pass_names(struct pol_resolve *r)
{
	table_make(r);
	for (size_t i = 0; i < r->p->decls.n; i++)
		if (r->p->decls.v[i]->name.text.p)
			define(r, r->p->decls.v[i]);
	for (size_t i = 0; i < r->p->decls.n; i++)
		bind_declaration(r, r->p->decls.v[i]);
}
