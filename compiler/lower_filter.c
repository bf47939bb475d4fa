/* SPDX-License-Identifier: GPL-2.0-only */
/* Filters: ordered lines over addresses, ports and flags. */
#include "compiler/lowering.h"

/* ---- addresses ------------------------------------------------------------------ */

static const struct pol_filter_end nobody = { .aset = POL_ASET_NONE };

static uint32_t note(struct pol_lowering *l, uint32_t aset)
{
	*pol_vec_push(&l->noted) = aset;
	return aset;
}

/* The bit of a dynamic set, which gets a number when a filter first names it. */
static uint64_t dynamic_bit(struct pol_lowering *l, const struct pol_decl *d,
			    const struct pol_ast_peer *p)
{
	struct pol_diag *g;

	for (size_t i = 0; i < l->ir->dynamics.n; i++)
		if (pol_str_eq(l->ir->dynamics.v[i].name, d->name.text))
			return 1ull << i;
	if (l->ir->dynamics.n == POL_DYNAMIC_MAX) {
		g = pol_diag(l->diags, POL_P0503, p->span,
			     "more than %d sets that change at run time", POL_DYNAMIC_MAX);
		pol_diag_help(l->diags, g, "put what changes together into one set");
		return 0;
	}
	*pol_vec_push(&l->ir->dynamics) =
		(struct pol_dynamic_set){ d->name.text, pol_lower_cidr(l, d), d->name.span };
	return 1ull << (l->ir->dynamics.n - 1);
}

static struct pol_filter_end lower_end(struct pol_lowering *l, const struct pol_ast_peer *p);

static struct pol_filter_end lower_name(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	const struct pol_decl *d = p->name.decl;
	struct pol_filter_end e = nobody;

	if (!d)
		return e;
	if (d->kind == POL_DECL_SERVICE) {
		const struct pol_prefix *vips;
		size_t n = pol_lower_vips(l, d, &vips);

		e.aset = note(l, pol_lower_prefixes(l, vips, n));
		return e;
	}
	if (d->kind != POL_DECL_CIDR)
		return e;
	e.aset = note(l, pol_lower_cidr(l, d));
	if (d->cidr.dynamic)
		e.dynamic = dynamic_bit(l, d, p);
	return e;
}

static struct pol_filter_end lower_union(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	POL_VEC(struct pol_prefix) written = { 0 };
	POL_VEC(uint32_t) parts = { 0 };
	struct pol_filter_end all = nobody, one;

	for (const struct pol_ast_peer *o = p->of.first; o; o = o->next) {
		if (o->kind == POL_AST_PEER_PREFIX) {
			*pol_vec_push(&written) = o->prefix;
			continue;
		}
		one = lower_end(l, o);
		*pol_vec_push(&parts) = one.aset;
		all.dynamic |= one.dynamic;
	}
	if (written.n)
		*pol_vec_push(&parts) = note(l, pol_lower_prefixes(l, written.v, written.n));
	all.aset = pol_ir_aset_union(&l->b, parts.v, parts.n);
	pol_vec_free(&written);
	pol_vec_free(&parts);
	return all;
}

/* What is in a dynamic set is not known here, so nothing can be taken away from it or it from anything. */
static struct pol_filter_end lower_pair(struct pol_lowering *l, const struct pol_ast_peer *p,
					enum pol_set_op op)
{
	struct pol_filter_end a = lower_end(l, p->left), b = lower_end(l, p->right);

	if (a.dynamic | b.dynamic)
		pol_lower_refuse(l, p->span,
				 "`in` or `except` with a set that changes at run time");
	a.aset = pol_ir_aset_op(&l->b, op, a.aset, b.aset);
	a.dynamic = 0;
	return a;
}

static struct pol_filter_end lower_end(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	switch (p->kind) {
	case POL_AST_PEER_ANY:
		return (struct pol_filter_end){ .aset = POL_ASET_ALL };
	case POL_AST_PEER_PREFIX:
		return (struct pol_filter_end){
			.aset = note(l, pol_lower_prefixes(l, &p->prefix, 1)),
		};
	case POL_AST_PEER_NAME:
		return lower_name(l, p);
	case POL_AST_PEER_UNION:
		return lower_union(l, p);
	case POL_AST_PEER_EXCEPT:
		return lower_pair(l, p, POL_SET_SUBTRACT);
	case POL_AST_PEER_IN:
		return lower_pair(l, p, POL_SET_INTERSECT);
	case POL_AST_PEER_SELECTOR: /* refused by check_edge.c */
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_AT:
		break;
	}
	return nobody;
}

static struct pol_filter_end end_of(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	struct pol_filter_end e = { .aset = POL_ASET_ALL };

	if (!p)
		return e;
	l->noted.n = 0;
	e = lower_end(l, p);
	e.nnamed = l->noted.n;
	e.named = pol_arena_alloc(l->arena, (e.nnamed + 1) * sizeof(*e.named));
	for (size_t i = 0; i < e.nnamed; i++)
		e.named[i] = l->noted.v[i];
	pol_lower_check_overflow(l, p->span, "this set of addresses");
	if (e.aset == POL_ASET_ALL)
		e.dynamic = 0;
	return e;
}

/* ---- what stands behind IP ---------------------------------------------------------- */

typedef POL_VEC(const struct pol_port *) port_list;

static void flatten(const struct pol_ports *ports, port_list *out)
{
	for (const struct pol_port *p = ports->of.first; p; p = p->next) {
		const struct pol_decl *d = p->name.text.p ? p->name.decl : NULL;

		if (!p->name.text.p)
			*pol_vec_push(out) = p;
		for (size_t i = 0; d && i < d->port.n_flat; i++)
			*pol_vec_push(out) = d->port.flat[i];
	}
}

static bool same_flags(const struct pol_port *a, const struct pol_port *b)
{
	return a->flags.set == b->flags.set && a->flags.clear == b->flags.clear;
}

static struct pol_range32 keys_of(const struct pol_port *p)
{
	bool whole = p->all || !(pol_proto_has_ports(p->proto) || pol_proto_has_types(p->proto));

	return (struct pol_range32){ POL_L4_KEY(p->proto, whole ? 0 : p->lo),
				     POL_L4_KEY(p->proto, whole ? 65535 : p->hi) };
}

static uint32_t source_ports(struct pol_lowering *l, const struct pol_ports *sport)
{
	POL_VEC(struct pol_range32) ranges = { 0 };
	uint32_t id;

	if (!sport)
		return 0;
	for (const struct pol_port *p = sport->of.first; p; p = p->next)
		*pol_vec_push(&ranges) = (struct pol_range32){ p->lo, p->hi };
	id = pol_ir_l4set(&l->b, pol_l4set_of(l->arena, ranges.v, ranges.n));
	pol_vec_free(&ranges);
	return id;
}

/* One term for each pair of flags that some item asks for. */
static void lower_terms(struct pol_lowering *l, const struct pol_filter_rule *from,
			struct pol_filter_line *to)
{
	POL_VEC(struct pol_range32) ranges = { 0 };
	port_list ports = { 0 };
	uint32_t sport = source_ports(l, from->sport);

	if (from->on)
		flatten(from->on, &ports);
	to->term = pol_arena_alloc(l->arena, (ports.n + 1) * sizeof(*to->term));
	for (size_t i = 0; i < ports.n; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = same_flags(ports.v[i], ports.v[k]);
		if (seen)
			continue;
		ranges.n = 0;
		for (size_t k = i; k < ports.n; k++)
			if (same_flags(ports.v[i], ports.v[k]))
				*pol_vec_push(&ranges) = keys_of(ports.v[k]);
		to->term[to->n++] = (struct pol_filter_term){
			.l4 = pol_ir_l4set(&l->b, pol_l4set_of(l->arena, ranges.v, ranges.n)),
			.sport = sport,
			.set = ports.v[i]->flags.set,
			.clear = ports.v[i]->flags.clear,
		};
	}
	pol_vec_free(&ranges);
	pol_vec_free(&ports);
}

/* ---- lines and filters ------------------------------------------------------------------ */

static enum pol_filter_action action_of(enum pol_ast_action a)
{
	return a == POL_AST_PASS    ? POL_FILTER_PASS
	       : a == POL_AST_LIMIT ? POL_FILTER_LIMIT
				    : POL_FILTER_DROP;
}

static void lower_line(struct pol_lowering *l, const struct pol_filter_rule *from,
		       struct pol_filter_line *to)
{
	to->rule = (uint32_t)l->ir->rules.n + l->ir->nlines++;
	to->action = action_of(from->action);
	to->log = from->log;
	to->limit = from->limit ? pol_lower_limit(l, from->limit, to->rule) : -1;
	to->src = end_of(l, from->from);
	to->dst = end_of(l, from->to);
	lower_terms(l, from, to);
	to->name = from->name.text;
	to->text = pol_lower_text(l, from->span);
	to->span = from->span;
}

static bool is_special(const struct pol_filter_line *l)
{
	return l->action == POL_FILTER_LIMIT || l->src.dynamic || l->dst.dynamic;
}

static void check_special(struct pol_lowering *l, const struct pol_ir_filter *f)
{
	size_t n = 0;
	struct pol_diag *g;

	for (size_t i = 0; i < f->n; i++) {
		if (!is_special(&f->line[i]) || ++n <= POL_FILTER_SPECIAL)
			continue;
		g = pol_diag(
			l->diags, POL_P0503, f->line[i].span,
			"filter `%.*s` has more than %d lines that limit or name a set that changes at run time",
			POL_STR_ARG(f->name), POL_FILTER_SPECIAL);
		pol_diag_help(l->diags, g, "join some of them, or split the filter");
		return;
	}
}

static void lower_filter(struct pol_lowering *l, const struct pol_decl *d)
{
	struct pol_ir_filter to = { .name = d->name.text, .span = d->head };

	to.interface =
		pol_arena_alloc(l->arena, (d->filter.interfaces.n + 1) * sizeof(*to.interface));
	for (const struct pol_label_value *v = d->filter.interfaces.first; v; v = v->next)
		to.interface[to.ninterfaces++] = v->value.text;
	to.line = pol_arena_alloc(l->arena, (d->filter.rules.n + 1) * sizeof(*to.line));
	for (const struct pol_filter_rule *r = d->filter.rules.first; r; r = r->next)
		lower_line(l, r, &to.line[to.n++]);
	check_special(l, &to);
	*pol_vec_push(&l->ir->filters) = to;
}

void pol_lower_filters(struct pol_lowering *l)
{
	struct pol_diag *g;

	l->asserting = true; /* what a filter names is not named by a rule of a policy */
	for (size_t i = 0; i < l->program->decls.n; i++) {
		const struct pol_decl *d = l->program->decls.v[i];

		if (d->kind != POL_DECL_FILTER)
			continue;
		if (l->ir->filters.n == POL_FILTERS_MAX) {
			g = pol_diag(l->diags, POL_P0503, d->head, "more than %d filters",
				     POL_FILTERS_MAX);
			pol_diag_help(l->diags, g, "one filter can be on several interfaces");
			break;
		}
		lower_filter(l, d);
	}
	l->asserting = false;
}
