/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies to text.
 *
 * A named port is another number on every pod. Endpoints therefore carry their
 * named ports as labels ("port/tcp/NAME"), and a rule with a named port is written
 * once for every number that a workload of the input has: in egress with that label in
 * the peer, in ingress in a block of its own whose subject has that label.
 */
#include "compiler/import/rule.h"

#define POLICY_NAME_MAX 255 /* bytes, of the language */

struct block {
	struct pol_import *im;
	const struct pol_import_policy *p;
	const struct pol_import_workload *ports; /* whose named ports hold in ingress, or NULL */
	bool only_named; /* the other rules stand elsewhere */
	const struct pol_import_port *only; /* this one alone, or NULL */
	size_t lines[2]; /* written, by direction */
};

static const char *proto_word(uint8_t proto)
{
	return proto == 6 ? "tcp" : proto == 17 ? "udp" : "sctp";
}

static bool port_matches(const struct pol_import_l4 *l4, const struct pol_import_port *p)
{
	return l4->name.n && pol_str_eq(l4->name, p->name) &&
	       (!l4->proto || strcmp(l4->proto, proto_word(p->proto)) == 0);
}

/* ---- lines --------------------------------------------------------------------------- */

static void comma(struct pol_buf *b)
{
	if (b->n)
		pol_buf_addz(b, ", ");
}

static void put_l4(struct pol_buf *b, const struct pol_import_l4 *l4)
{
	comma(b);
	pol_buf_addz(b, l4->proto);
	if (!l4->all)
		pol_buf_printf(b, " %u", l4->lo);
	if (!l4->all && l4->hi != l4->lo)
		pol_buf_printf(b, "-%u", l4->hi);
}

/* What stands behind `on` for every peer; empty where nothing does. */
static void put_on(const struct block *k, const struct pol_import_rule *r, struct pol_buf *b)
{
	for (size_t i = 0; i < r->on.n; i++) {
		const struct pol_import_l4 *l4 = &r->on.v[i];

		if (!l4->name.n && !k->only_named)
			put_l4(b, l4);
		for (size_t n = 0; l4->name.n && !r->egress && k->ports && n < k->ports->ports.n;
		     n++) {
			const struct pol_import_port *p = &k->ports->ports.v[n];

			if (!port_matches(l4, p) ||
			    (k->only &&
			     (p->proto != k->only->proto || !pol_str_eq(p->name, k->only->name))))
				continue;
			comma(b);
			pol_buf_printf(b, "%s %u", proto_word(p->proto), p->number);
		}
	}
}

static void put_line(struct block *k, const struct pol_import_rule *r, struct pol_str peer,
		     struct pol_str on)
{
	struct pol_buf *b = &k->im->text;

	pol_buf_printf(b, "%s %s %.*s", r->action, r->egress ? "to" : "from", POL_STR_ARG(peer));
	if (on.n)
		pol_buf_printf(b, " on %.*s", POL_STR_ARG(on));
	if (r->name.n)
		pol_buf_printf(b, " name \"%.*s\"", POL_STR_ARG(r->name));
	if (r->http.p)
		pol_buf_printf(b, " http {\n%.*s}\n", POL_STR_ARG(r->http));
	else
		pol_buf_addz(b, ";\n");
	k->lines[r->egress]++;
}

static void put_peers(struct block *k, const struct pol_import_rule *r, struct pol_str on)
{
	if (r->any_peer)
		put_line(k, r, POL_STR("any"), on);
	for (size_t i = 0; i < r->peers.n; i++) {
		const struct pol_import_peer *peer = &r->peers.v[i];

		if (peer->text.n)
			put_line(k, r, peer->text, on);
		else
			put_line(k, r, pol_arena_printf(k->im->arena, "[%s]", peer->sel.p), on);
	}
}

/* ---- named ports of peers -------------------------------------------------------------- */

/* Is this the first workload that has the port by that number? */
static bool first_with(const struct pol_import *im, size_t at, const struct pol_import_port *p)
{
	for (size_t i = 0; i < at; i++) {
		const struct pol_import_workload *w = &im->workloads.v[i];

		for (size_t k = 0; k < w->ports.n; k++)
			if (w->ports.v[k].number == p->number && w->ports.v[k].proto == p->proto &&
			    pol_str_eq(w->ports.v[k].name, p->name))
				return false;
	}
	return true;
}

static void put_named_peer(struct block *k, const struct pol_import_rule *r,
			   const struct pol_import_port *p)
{
	struct pol_str on =
		pol_arena_printf(k->im->arena, "%s %u", proto_word(p->proto), p->number);
	struct pol_str term = pol_arena_printf(k->im->arena, "\"port/%s/%s\" == \"%u\"",
					       proto_word(p->proto), p->name.p, p->number);

	if (r->any_holder) {
		put_peers(k, r, on);
		return;
	}
	if (r->any_peer)
		put_line(k, r, pol_arena_printf(k->im->arena, "[%s]", term.p), on);
	for (size_t i = 0; i < r->peers.n; i++)
		if (r->peers.v[i].sel.n)
			put_line(k, r,
				 pol_arena_printf(k->im->arena, "[%s and %s]", r->peers.v[i].sel.p,
						  term.p),
				 on);
}

static bool has_loose(const struct pol_import_rule *r)
{
	for (size_t i = 0; i < r->peers.n; i++)
		if (!r->peers.v[i].sel.n)
			return true;
	return false;
}

static void put_named_egress(struct block *k, const struct pol_import_rule *r)
{
	const struct pol_import *im = k->im;

	for (size_t i = 0; i < r->on.n; i++) {
		size_t found = 0;

		if (!r->on.v[i].name.n)
			continue;
		if (!r->any_holder && has_loose(r))
			pol_import_warn(
				k->im, k->p->object, r->at,
				"only pods have a port `%s`: of other peers it matches nothing",
				r->on.v[i].name.p);
		for (size_t w = 0; w < im->workloads.n; w++)
			for (size_t n = 0; n < im->workloads.v[w].ports.n; n++) {
				const struct pol_import_port *p = &im->workloads.v[w].ports.v[n];

				if (!port_matches(&r->on.v[i], p))
					continue;
				found++;
				if (first_with(im, w, p))
					put_named_peer(k, r, p);
			}
		if (!found)
			pol_import_warn(k->im, k->p->object, r->at,
					"no workload has a port `%s`: it matches nothing",
					r->on.v[i].name.p);
	}
}

/* ---- blocks ---------------------------------------------------------------------------- */

static void put_rule(struct block *k, const struct pol_import_rule *r)
{
	struct pol_buf on = { 0 };

	if (r->any_l4) {
		if (!k->only_named)
			put_peers(k, r, POL_STR(""));
		return;
	}
	put_on(k, r, &on);
	if (on.n)
		put_peers(k, r, pol_buf_str(&on));
	pol_buf_free(&on);
	if (r->egress && !k->only_named)
		put_named_egress(k, r);
}

static void put_block(struct block *k, struct pol_str name, struct pol_str subject)
{
	struct pol_buf *b = &k->im->text;

	name = pol_import_short(k->im, name, POLICY_NAME_MAX);
	pol_buf_printf(b, "policy \"%.*s\" on [%.*s] %.*s {\n", POL_STR_ARG(name),
		       POL_STR_ARG(subject), POL_STR_ARG(k->p->tier));
	if (k->im->host_denied && k->p->closed[0] && !k->only_named) {
		pol_buf_addz(b, "allow from host;\n");
		k->lines[0]++;
	}
	for (size_t i = 0; i < k->p->rules.n; i++)
		put_rule(k, &k->p->rules.v[i]);
	for (int dir = 0; dir < 2 && !k->only_named; dir++)
		if (k->p->closed[dir] && !k->lines[dir])
			pol_buf_printf(b, "allow %s none;\n", dir ? "to" : "from");
	pol_buf_addz(b, "}\n\n");
}

/* A policy with a direction more: one block for each number of each name. */
static void put_named_blocks(struct pol_import *im, const struct pol_import_policy *p,
			     const struct pol_import_l4 *l4)
{
	size_t found = 0;

	for (size_t w = 0; w < im->workloads.n; w++)
		for (size_t n = 0; n < im->workloads.v[w].ports.n; n++) {
			const struct pol_import_port *port = &im->workloads.v[w].ports.v[n];
			struct block k = { im, p, &im->workloads.v[w], true, port, { 0 } };

			if (!port_matches(l4, port))
				continue;
			found++;
			if (!first_with(im, w, port))
				continue;
			put_block(&k,
				  pol_arena_printf(im->arena, "%s port %s %s=%u", p->name.p,
						   proto_word(port->proto), port->name.p,
						   port->number),
				  pol_arena_printf(im->arena, "%s and \"port/%s/%s\" == \"%u\"",
						   p->subject.p, proto_word(port->proto),
						   port->name.p, port->number));
		}
	if (!found)
		pol_import_warn(im, p->object, p->object->root,
				"no workload has a port `%s`: it matches nothing", l4->name.p);
}

static bool same_l4_name(const struct pol_import_l4 *a, const struct pol_import_l4 *b)
{
	return pol_str_eq(a->name, b->name) &&
	       (a->proto == b->proto || (a->proto && b->proto && !strcmp(a->proto, b->proto)));
}

/* The named ports of ingress rules, each once. */
static struct pol_import_l4 *named(struct pol_import *im, const struct pol_import_policy *p,
				   size_t *n)
{
	POL_VEC(struct pol_import_l4) all = { 0 };
	struct pol_import_l4 *copy;

	for (size_t i = 0; i < p->rules.n; i++)
		for (size_t k = 0; !p->rules.v[i].egress && k < p->rules.v[i].on.n; k++) {
			const struct pol_import_l4 *l4 = &p->rules.v[i].on.v[k];
			size_t j = 0;

			while (l4->name.n && j < all.n && !same_l4_name(&all.v[j], l4))
				j++;
			if (l4->name.n && j == all.n)
				*pol_vec_push(&all) = *l4;
		}
	*n = all.n;
	copy = pol_arena_alloc(im->arena, (all.n + 1) * sizeof(*copy));
	if (all.n)
		memcpy(copy, all.v, all.n * sizeof(*copy));
	pol_vec_free(&all);
	return copy;
}

/* ---- tiers: in order, so every block has every rule ------------------------------------------ */

/* What tells the subjects apart that have these ports as w has; empty if it has none of them. */
static struct pol_str tuple(struct pol_import *im, const struct pol_import_workload *w,
			    const struct pol_import_l4 *l4, size_t n)
{
	static const uint8_t protos[] = { 6, 17, 132 };
	struct pol_buf b = { 0 };
	bool any = false;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < POL_ARRAY_LEN(protos); k++) {
			const char *word = proto_word(protos[k]);
			size_t j = 0;

			if (l4[i].proto && strcmp(l4[i].proto, word) != 0)
				continue;
			while (j < w->ports.n && !(port_matches(&l4[i], &w->ports.v[j]) &&
						   w->ports.v[j].proto == protos[k]))
				j++;
			if (j < w->ports.n)
				pol_import_term(&b, "\"port/%s/%s\" == \"%u\"", word, l4[i].name.p,
						w->ports.v[j].number);
			else
				pol_import_term(&b, "not has(\"port/%s/%s\")", word, l4[i].name.p);
			any |= j < w->ports.n;
		}
	if (!any)
		pol_buf_free(&b);
	return any ? pol_import_take(im, &b) : (struct pol_str){ "", 0 };
}

static void put_tier(struct pol_import *im, const struct pol_import_policy *p)
{
	size_t n, blocks = 0;
	const struct pol_import_l4 *l4 = named(im, p, &n);
	POL_VEC(struct pol_str) seen = { 0 };
	struct pol_buf rest = { 0 };
	struct block k = { im, p, NULL, false, NULL, { 0 } };

	pol_buf_add(&rest, p->subject);
	for (size_t w = 0; n && w < im->workloads.n; w++) {
		struct pol_str t = tuple(im, &im->workloads.v[w], l4, n);
		struct block one = { im, p, &im->workloads.v[w], false, NULL, { 0 } };
		size_t j = 0;

		while (j < seen.n && !pol_str_eq(seen.v[j], t))
			j++;
		if (!t.n || j < seen.n)
			continue;
		*pol_vec_push(&seen) = t;
		pol_buf_printf(&rest, " and not (%s)", t.p);
		put_block(&one, pol_arena_printf(im->arena, "%s ports %zu", p->name.p, ++blocks),
			  pol_arena_printf(im->arena, "%s and %s", p->subject.p, t.p));
	}
	if (n && !blocks)
		pol_import_warn(im, p->object, p->object->root,
				"no workload has a port `%s`: it matches nothing", l4[0].name.p);
	put_block(&k, p->name, pol_buf_str(&rest));
	pol_buf_free(&rest);
	pol_vec_free(&seen);
}

static int check_name(struct pol_import *im, struct pol_import_policy *p)
{
	const char *kind = pol_import_kind_name(p->object->kind);
	bool other = false;

	for (size_t i = 0; i < im->names.n; i++) {
		const struct pol_import_name *n = &im->names.v[i];

		if (!pol_str_eq(n->name, p->name))
			continue;
		if (n->kind == p->object->kind)
			return pol_yaml_err(p->object->doc, p->object->root,
					    "%s `%s` is there already", kind, p->name.p);
		other = true;
	}
	*pol_vec_push(&im->names) = (struct pol_import_name){ p->name, p->object->kind };
	/* A namespace may be called `admin` or `cilium`. */
	if (other)
		p->name = pol_arena_printf(im->arena, "%s %s", kind, p->name.p);
	return 0;
}

void pol_import_put(struct pol_import *im, const struct pol_import_policy *p)
{
	struct block k = { im, p, NULL, false, NULL, { 0 } };
	const struct pol_import_l4 *l4;
	char q[POL_QUOTE];
	size_t n;

	pol_buf_printf(&im->text, "# %s %s, %s:%u\n", pol_import_kind_name(p->object->kind),
		       p->name.p, pol_quote(pol_str(p->object->doc->path), q),
		       p->object->root->line);
	if (p->tier.n) {
		put_tier(im, p);
		return;
	}
	put_block(&k, p->name, p->subject);
	l4 = named(im, p, &n);
	for (size_t i = 0; i < n; i++)
		put_named_blocks(im, p, &l4[i]);
}

int pol_import_write(struct pol_import *im, struct pol_import_policy *p)
{
	int ret = check_name(im, p);

	for (int dir = 0; dir < 2; dir++)
		if (p->closed[dir])
			*pol_vec_push(&im->closers) = (struct pol_import_closer){ p->subject, dir };
	if (!ret && (p->open[0] || p->open[1]))
		return pol_import_defer(im, p);
	if (!ret)
		pol_import_put(im, p);
	pol_import_policy_free(p);
	return ret;
}
