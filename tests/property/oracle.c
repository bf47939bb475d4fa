/* SPDX-License-Identifier: GPL-2.0-only */
#include "oracle.h"

/* ---- labels ------------------------------------------------------------------------ */

static const struct pol_label *find(struct pol_labels labels, struct pol_str key)
{
	for (size_t i = 0; i < labels.n; i++)
		if (pol_str_eq(labels.v[i].key, key))
			return &labels.v[i];
	return NULL;
}

static bool has_value(const struct pol_ast_sel *s, struct pol_labels labels)
{
	const struct pol_label *l = find(labels, s->key.text);

	for (const struct pol_label_value *v = s->values.first; l && v; v = v->next)
		if (pol_str_eq(v->value.text, l->value))
			return true;
	return false;
}

static bool holds(const struct pol_ast_sel *s, struct pol_labels labels)
{
	const struct pol_ast_sel *o;

	switch (s->kind) {
	case POL_AST_SEL_TRUE:
		return true;
	case POL_AST_SEL_EQ:
	case POL_AST_SEL_IN:
		return has_value(s, labels);
	case POL_AST_SEL_NE:
	case POL_AST_SEL_NOT_IN:
		return !has_value(s, labels);
	case POL_AST_SEL_HAS:
		return find(labels, s->key.text) != NULL;
	case POL_AST_SEL_NOT:
		return !holds(s->of.first, labels);
	case POL_AST_SEL_AND:
		for (o = s->of.first; o; o = o->next)
			if (!holds(o, labels))
				return false;
		return true;
	case POL_AST_SEL_OR:
		for (o = s->of.first; o; o = o->next)
			if (holds(o, labels))
				return true;
		return false;
	}
	return false;
}

/* ---- addresses ------------------------------------------------------------------------ */

static bool in_prefix(struct pol_prefix p, struct pol_ip ip)
{
	unsigned bits = p.addr.family == 4 ? 32 : 128;
	unsigned __int128 a = (unsigned __int128)p.addr.hi << 64 | p.addr.lo;
	unsigned __int128 b = (unsigned __int128)ip.hi << 64 | ip.lo;

	if (p.addr.family == 4 && ip.family == 6 && ip.hi == 0x0064ff9b00000000u &&
	    ip.lo >> 32 == 0)
		ip.family = 4, b = ip.lo; /* an IPv4 address in 64:ff9b::/96 */
	if (p.addr.family != ip.family)
		return false;
	return p.len == 0 || a >> (bits - p.len) == b >> (bits - p.len);
}

struct registry {
	struct pol_prefix v[32];
	size_t n;
};

static void registry_fill(struct registry *r, const char *const *text, size_t n)
{
	for (r->n = 0; r->n < n; r->n++)
		if (pol_prefix_parse(pol_str(text[r->n]), &r->v[r->n]) != POL_IP_OK)
			abort();
}

static bool in_registry(const struct registry *r, struct pol_ip ip)
{
	for (size_t i = 0; i < r->n; i++)
		if (in_prefix(r->v[i], ip))
			return true;
	return false;
}

/* Not globally reachable in the IANA special-purpose registries, or multicast. */
static bool special(struct pol_ip ip)
{
	static const char *const closed_text[] = {
		"0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/3",    "::/127",        "64:ff9b:1::/48",
		"100::/63",       "2001::/23",      "2001:db8::/32", "2002::/16",
		"3fff::/20",      "5f00::/16",      "fc00::/7",      "fe80::/9",
		"ff00::/8",
	};
	static const char *const open_text[] = {
		"192.0.0.9",   "192.0.0.10",      "2001:1::1",    "2001:1::2",    "2001:1::3",
		"2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28",
	};
	static struct registry closed, open;

	if (!closed.n) {
		registry_fill(&open, open_text, POL_ARRAY_LEN(open_text));
		registry_fill(&closed, closed_text, POL_ARRAY_LEN(closed_text));
	}
	return in_registry(&closed, ip) && !in_registry(&open, ip);
}

/* ---- peers ------------------------------------------------------------------------------- */

struct question {
	const struct pol_program *program;
	struct pol_labels own;
	const struct pol_eval_peer *peer;
	uint8_t proto;
	uint16_t value;
	bool egress, with_audit;
};

static bool in_pool(const struct question *q)
{
	for (size_t i = 0; i < q->program->pool.n; i++)
		if (in_prefix(q->program->pool.v[i], q->peer->addr))
			return true;
	return false;
}

static bool is_world(const struct question *q)
{
	return q->peer->kind & (POL_PEER_WORLD | POL_PEER_POOL) && !in_pool(q);
}

static bool in_cidr(const struct pol_decl *d, struct pol_ip ip)
{
	for (size_t i = 0; i < d->cidr.n_prefixes; i++)
		if (in_prefix(d->cidr.prefixes[i], ip))
			return true;
	return false;
}

static bool named_peer(const struct question *q, const struct pol_decl *d)
{
	if (d->kind == POL_DECL_ENDPOINT)
		return q->peer->kind == POL_PEER_ENDPOINT &&
		       holds(d->endpoint.selector, q->peer->labels);
	return d->kind == POL_DECL_CIDR && in_cidr(d, q->peer->addr);
}

static bool is_peer(const struct question *q, const struct pol_ast_peer *p)
{
	switch (p->kind) {
	case POL_AST_PEER_NAME:
		return named_peer(q, p->name.decl);
	case POL_AST_PEER_PREFIX:
		return in_prefix(p->prefix, q->peer->addr);
	case POL_AST_PEER_SELECTOR:
		return q->peer->kind == POL_PEER_ENDPOINT && holds(p->selector, q->peer->labels);
	case POL_AST_PEER_ANY:
		return true;
	case POL_AST_PEER_HOST:
		return q->peer->kind == POL_PEER_HOST;
	case POL_AST_PEER_NODES:
		return q->peer->kind == POL_PEER_NODE;
	case POL_AST_PEER_WORLD:
		return is_world(q);
	case POL_AST_PEER_PUBLIC:
		return is_world(q) && !special(q->peer->addr);
	case POL_AST_PEER_NONE:
		return false;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *o = p->of.first; o; o = o->next)
			if (is_peer(q, o))
				return true;
		return false;
	case POL_AST_PEER_EXCEPT:
		return is_peer(q, p->left) && !is_peer(q, p->right);
	case POL_AST_PEER_IN:
		return is_peer(q, p->left) && is_peer(q, p->right);
	case POL_AST_PEER_AT:
		return false;
	}
	return false;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static bool is_port(const struct question *q, const struct pol_port *p)
{
	if (p->name.text.p) {
		for (const struct pol_port *o = p->name.decl->port.ports->of.first; o; o = o->next)
			if (is_port(q, o))
				return true;
		return false;
	}
	return p->proto == q->proto &&
	       (p->all || p->by_number || (p->lo <= q->value && q->value <= p->hi));
}

static bool matches(const struct question *q, const struct pol_ast_rule *r)
{
	if (r->egress != q->egress || !is_peer(q, r->peer))
		return false;
	for (const struct pol_port *p = r->on ? r->on->of.first : NULL; p; p = p->next)
		if (is_port(q, p))
			return true;
	return !r->on;
}

static bool is_subject(const struct pol_ast_peer *p, struct pol_labels own)
{
	if (p->kind == POL_AST_PEER_NAME)
		return holds(p->name.decl->endpoint.selector, own);
	if (p->kind == POL_AST_PEER_SELECTOR)
		return holds(p->selector, own);
	if (p->kind == POL_AST_PEER_UNION)
		for (const struct pol_ast_peer *o = p->of.first; o; o = o->next)
			if (is_subject(o, own))
				return true;
	return p->kind == POL_AST_PEER_ANY;
}

/* The policies that say something of the subject in that stage, in order of the text. */
static bool applies(const struct question *q, const struct pol_decl *d, enum pol_ast_stage stage)
{
	return d->kind == POL_DECL_POLICY && d->policy.stage == stage &&
	       (!d->policy.audit || q->with_audit) && is_subject(d->policy.subject, q->own);
}

static const struct pol_ast_rule *first_of(const struct question *q, const struct pol_decl *d)
{
	for (const struct pol_ast_rule *r = d->policy.rules.first; r; r = r->next)
		if (matches(q, r))
			return r;
	return NULL;
}

/* The tier of the lowest number has the first word; the next is asked where no rule matched. */
static const struct pol_ast_rule *tiers(const struct question *q, enum pol_ast_stage stage)
{
	uint64_t from = 0;

	for (;;) {
		uint64_t next = UINT64_MAX;

		for (size_t i = 0; i < q->program->decls.n; i++) {
			const struct pol_decl *d = q->program->decls.v[i];

			if (applies(q, d, stage) && d->policy.tier >= from && d->policy.tier < next)
				next = d->policy.tier;
		}
		if (next == UINT64_MAX)
			return NULL;
		for (size_t i = 0; i < q->program->decls.n; i++) {
			const struct pol_decl *d = q->program->decls.v[i];
			const struct pol_ast_rule *r;

			if (applies(q, d, stage) && d->policy.tier == next && (r = first_of(q, d)))
				return r;
		}
		from = next + 1;
	}
}

/* The first matching rule of that action in the ordinary policies. */
static const struct pol_ast_rule *ordinary(const struct question *q, enum pol_ast_action action,
					   bool *any)
{
	for (size_t i = 0; i < q->program->decls.n; i++) {
		const struct pol_decl *d = q->program->decls.v[i];

		if (!applies(q, d, POL_AST_STAGE_MAIN))
			continue;
		for (const struct pol_ast_rule *r = d->policy.rules.first; r; r = r->next) {
			*any |= r->egress == q->egress;
			if (r->action == action && matches(q, r))
				return r;
		}
	}
	return NULL;
}

static bool answer(struct oracle_answer *out, const struct pol_ast_rule *r)
{
	if (!r || r->action == POL_AST_SKIP)
		return false;
	out->action = r->action == POL_AST_ALLOW    ? POL_ALLOW
		      : r->action == POL_AST_REJECT ? POL_REJECT
						    : POL_DENY;
	out->span = r->span;
	return true;
}

static void decide(const struct question *q, struct oracle_answer *out)
{
	bool any = false;

	*out = (struct oracle_answer){ .action = POL_ALLOW, .span = POL_NO_SPAN };
	if (q->program->host_open && !q->egress && q->peer->kind == POL_PEER_HOST)
		return;
	if (answer(out, tiers(q, POL_AST_STAGE_ADMIN)) ||
	    answer(out, ordinary(q, POL_AST_DENY, &any)) ||
	    answer(out, ordinary(q, POL_AST_REJECT, &any)) ||
	    answer(out, ordinary(q, POL_AST_ALLOW, &any)))
		return;
	out->action = POL_DENY;
	if (any || answer(out, tiers(q, POL_AST_STAGE_BASELINE)))
		return;
	out->action = q->program->default_allow ? POL_ALLOW : POL_DENY;
}

void oracle_side(const struct pol_program *program, struct pol_labels own, enum pol_direction dir,
		 const struct pol_eval_peer *peer, uint8_t proto, uint16_t value,
		 struct oracle_answer *out)
{
	struct question q = {
		.program = program,
		.own = own,
		.peer = peer,
		.proto = proto,
		.value = value,
		.egress = dir == POL_EGRESS,
	};
	struct oracle_answer with_audit;

	decide(&q, out);
	q.with_audit = true;
	decide(&q, &with_audit);
	out->audited = out->action == POL_ALLOW && with_audit.action != POL_ALLOW;
}
