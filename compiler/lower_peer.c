/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Peers to predicates.  An expression is lowered bottom up to a peer_set: for
 * each entity without labels one address set, for endpoints a union of
 * products (selector and address set).  Union, `in` and `except` are plain set
 * algebra on that; a predicate is its normal form written as terms.
 */
#include "compiler/lowering.h"

static const uint32_t unlabelled[] = {
	POL_PEER_WORLD,
	POL_PEER_POOL,
	POL_PEER_HOST,
	POL_PEER_NODE,
};
#define UNLABELLED POL_ARRAY_LEN(unlabelled)
#define MAX_RAW 65536u /* products before equal parts are joined */

struct product {
	uint32_t sel, aset;
};
struct products {
	struct product *v;
	size_t n, cap;
};

struct peer_set {
	uint32_t other[UNLABELLED]; /* asets, in the order of `unlabelled` */
	struct products ep; /* to be freed */
};

static struct peer_set lower(struct pol_lowering *l, const struct pol_ast_peer *p);

/* ---- products ----------------------------------------------------------------- */

static void product_add(struct pol_lowering *l, struct products *p, uint32_t sel, uint32_t aset)
{
	if (aset == POL_ASET_NONE || pol_ir_sel_is_false(l->ir, sel) || l->b.overflow)
		return;
	if (p->n == MAX_RAW) {
		l->b.overflow = "it has too many parts";
		return;
	}
	*pol_vec_push(p) = (struct product){ sel, aset };
}

static int by_aset(const void *pa, const void *pb)
{
	const struct product *a = pa, *b = pb;

	if (a->aset != b->aset)
		return a->aset < b->aset ? -1 : 1;
	return (a->sel > b->sel) - (a->sel < b->sel);
}

static int by_sel(const void *pa, const void *pb)
{
	const struct product *a = pa, *b = pb;

	if (a->sel != b->sel)
		return a->sel < b->sel ? -1 : 1;
	return (a->aset > b->aset) - (a->aset < b->aset);
}

/* (s1, x) and (s2, x) are (s1 or s2, x). */
static void join_selectors(struct pol_lowering *l, struct products *p)
{
	POL_VEC(uint32_t) ids = { 0 };
	size_t out = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_aset);
	for (size_t i = 0; i < p->n;) {
		uint32_t aset = p->v[i].aset;

		for (ids.n = 0; i < p->n && p->v[i].aset == aset; i++)
			*pol_vec_push(&ids) = p->v[i].sel;
		p->v[out++] =
			(struct product){ pol_ir_sel_join(&l->b, POL_SEL_OR, ids.v, ids.n), aset };
	}
	p->n = out;
	pol_vec_free(&ids);
}

/* (s, x1) and (s, x2) are (s, x1 union x2). */
static void join_asets(struct pol_lowering *l, struct products *p)
{
	POL_VEC(uint32_t) ids = { 0 };
	size_t out = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_sel);
	for (size_t i = 0; i < p->n;) {
		uint32_t sel = p->v[i].sel;

		for (ids.n = 0; i < p->n && p->v[i].sel == sel; i++)
			*pol_vec_push(&ids) = p->v[i].aset;
		p->v[out++] = (struct product){ sel, pol_ir_aset_union(&l->b, ids.v, ids.n) };
	}
	p->n = out;
	pol_vec_free(&ids);
}

/* What is true for every address makes the same test with fewer addresses void. */
static void products_settle(struct pol_lowering *l, struct products *p)
{
	join_selectors(l, p);
	join_asets(l, p);
	join_selectors(l, p);
	if (p->n && p->v[0].aset == POL_ASET_ALL && p->v[0].sel == POL_SEL_ID_TRUE)
		p->n = 1;
	if (p->n > POL_MAX_TERMS)
		l->b.overflow = "it has too many parts";
}

/* ---- leaves ------------------------------------------------------------------- */

static struct peer_set nobody(void)
{
	return (struct peer_set){ .other = { POL_ASET_NONE, POL_ASET_NONE, POL_ASET_NONE,
					     POL_ASET_NONE } };
}

/* The entities of mask, with addresses in aset. */
static struct peer_set entities(struct pol_lowering *l, uint32_t mask, uint32_t aset)
{
	struct peer_set s = nobody();

	for (size_t i = 0; i < UNLABELLED; i++)
		if (mask & unlabelled[i])
			s.other[i] = aset;
	if (mask & POL_PEER_ENDPOINT)
		product_add(l, &s.ep, POL_SEL_ID_TRUE, aset);
	return s;
}

static struct peer_set endpoints(struct pol_lowering *l, uint32_t sel)
{
	struct peer_set s = nobody();

	product_add(l, &s.ep, sel, POL_ASET_ALL);
	return s;
}

/* A set of everything names no address: it is `any` written otherwise. */
uint32_t pol_lower_prefixes(struct pol_lowering *l, const struct pol_prefix *p, size_t n)
{
	uint32_t id = pol_ir_aset(&l->b, pol_aset_of_prefixes(l->arena, p, n));

	for (size_t i = 0; id != POL_ASET_ALL && !l->asserting && i < n; i++)
		*pol_vec_push(&l->named) = p[i];
	return id;
}

uint32_t pol_lower_cidr(struct pol_lowering *l, const struct pol_decl *d)
{
	if (l->decl_id[d->index] == POL_UNSET)
		l->decl_id[d->index] = pol_lower_prefixes(l, d->cidr.prefixes, d->cidr.n_prefixes);
	return l->decl_id[d->index];
}

static struct peer_set lower_name(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	const struct pol_decl *d = p->name.decl;

	if (d && d->kind == POL_DECL_ENDPOINT)
		return endpoints(l, pol_lower_endpoint(l, d));
	if (d && d->kind == POL_DECL_CIDR && d->cidr.dynamic) {
		pol_lower_refuse(l, p->span, "a set that changes at run time, in a policy,");
		return nobody();
	}
	if (d && d->kind == POL_DECL_CIDR)
		return entities(l, POL_PEER_ALL, pol_lower_cidr(l, d));
	if (d && d->kind == POL_DECL_SERVICE) {
		const struct pol_prefix *vips;
		size_t n = pol_lower_vips(l, d, &vips);

		return entities(l, POL_PEER_ALL, pol_lower_prefixes(l, vips, n));
	}
	return nobody();
}

static struct peer_set lower_public(struct pol_lowering *l)
{
	uint32_t special = pol_ir_aset(&l->b, pol_special_purpose(l->arena));

	l->uses_public = l->uses_public || !l->asserting;
	return entities(l, POL_PEER_WORLD,
			pol_ir_aset_op(&l->b, POL_SET_SUBTRACT, POL_ASET_ALL, special));
}

/* ---- algebra ------------------------------------------------------------------ */

static void others(struct pol_lowering *l, enum pol_set_op op, struct peer_set *a,
		   const struct peer_set *b)
{
	for (size_t i = 0; i < UNLABELLED; i++)
		a->other[i] = pol_ir_aset_op(&l->b, op, a->other[i], b->other[i]);
}

/* A union's parts, by entity: joined at the end, since thousands must not be thousands of unions. */
struct parts {
	POL_VEC(uint32_t) other[UNLABELLED];
	struct products ep;
};

static void part_add(struct pol_lowering *l, struct parts *all, struct peer_set one)
{
	for (size_t i = 0; i < UNLABELLED; i++)
		*pol_vec_push(&all->other[i]) = one.other[i];
	for (size_t i = 0; i < one.ep.n; i++)
		product_add(l, &all->ep, one.ep.v[i].sel, one.ep.v[i].aset);
	pol_vec_free(&one.ep);
}

/* Prefixes written in the union are one set, and one part. */
static struct peer_set lower_union(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	struct peer_set all;
	struct parts parts = { 0 };
	POL_VEC(struct pol_prefix) written = { 0 };

	for (const struct pol_ast_peer *o = p->of.first; o; o = o->next) {
		if (o->kind == POL_AST_PEER_PREFIX)
			*pol_vec_push(&written) = o->prefix;
		else
			part_add(l, &parts, lower(l, o));
	}
	if (written.n)
		part_add(l, &parts,
			 entities(l, POL_PEER_ALL, pol_lower_prefixes(l, written.v, written.n)));
	pol_vec_free(&written);
	for (size_t i = 0; i < UNLABELLED; i++) {
		all.other[i] = pol_ir_aset_union(&l->b, parts.other[i].v, parts.other[i].n);
		pol_vec_free(&parts.other[i]);
	}
	all.ep = parts.ep;
	products_settle(l, &all.ep);
	return all;
}

static uint32_t both(struct pol_lowering *l, uint32_t a, uint32_t b)
{
	uint32_t pair[] = { a, b };

	return pol_ir_sel_join(&l->b, POL_SEL_AND, pair, 2);
}

/* Union over all pairs of (s and t, x and y). */
static void intersect(struct pol_lowering *l, struct peer_set *a, struct peer_set *b)
{
	struct products out = { 0 };

	others(l, POL_SET_INTERSECT, a, b);
	for (size_t i = 0; i < a->ep.n; i++)
		for (size_t k = 0; k < b->ep.n; k++)
			product_add(l, &out, both(l, a->ep.v[i].sel, b->ep.v[k].sel),
				    pol_ir_aset_op(&l->b, POL_SET_INTERSECT, a->ep.v[i].aset,
						   b->ep.v[k].aset));
	products_settle(l, &out);
	pol_vec_free(&a->ep);
	pol_vec_free(&b->ep);
	a->ep = out;
}

/* (s, x) without (t, y): (s, x - y) and (s and not t, x and y). */
static void subtract_one(struct pol_lowering *l, struct products *a, struct product b)
{
	struct products out = { 0 };

	for (size_t i = 0; i < a->n; i++) {
		product_add(l, &out, a->v[i].sel,
			    pol_ir_aset_op(&l->b, POL_SET_SUBTRACT, a->v[i].aset, b.aset));
		if (b.sel != POL_SEL_ID_TRUE)
			product_add(l, &out, both(l, a->v[i].sel, pol_ir_sel_not(&l->b, b.sel)),
				    pol_ir_aset_op(&l->b, POL_SET_INTERSECT, a->v[i].aset, b.aset));
	}
	products_settle(l, &out);
	pol_vec_free(a);
	*a = out;
}

static void subtract(struct pol_lowering *l, struct peer_set *a, struct peer_set *b)
{
	others(l, POL_SET_SUBTRACT, a, b);
	for (size_t i = 0; i < b->ep.n && !l->b.overflow; i++)
		subtract_one(l, &a->ep, b->ep.v[i]);
	pol_vec_free(&b->ep);
}

/* The parser bounds the depth (POL_MAX_DEPTH). */
static struct peer_set lower(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	struct peer_set left, right;

	switch (p->kind) {
	case POL_AST_PEER_NAME:
		return lower_name(l, p);
	case POL_AST_PEER_PREFIX:
		return entities(l, POL_PEER_ALL, pol_lower_prefixes(l, &p->prefix, 1));
	case POL_AST_PEER_SELECTOR:
		return endpoints(l, pol_lower_sel(l, p->selector));
	case POL_AST_PEER_ANY:
		return entities(l, POL_PEER_ALL, POL_ASET_ALL);
	case POL_AST_PEER_HOST:
		return entities(l, POL_PEER_HOST, POL_ASET_ALL);
	case POL_AST_PEER_NODES:
		return entities(l, POL_PEER_NODE, POL_ASET_ALL);
	case POL_AST_PEER_WORLD:
		return entities(l, POL_PEER_WORLD, POL_ASET_ALL);
	case POL_AST_PEER_PUBLIC:
		return lower_public(l);
	case POL_AST_PEER_NONE:
		return nobody();
	case POL_AST_PEER_UNION:
		return lower_union(l, p);
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
	case POL_AST_PEER_AT:
		left = lower(l, p->left);
		right = lower(l, p->right);
		if (p->kind == POL_AST_PEER_EXCEPT)
			subtract(l, &left, &right);
		else
			intersect(l, &left, &right);
		return left;
	}
	return nobody();
}

/* ---- predicates --------------------------------------------------------------- */

/* Entities with one address set are one term; endpoints join where no selector holds them back. */
static uint32_t predicate(struct pol_lowering *l, const struct peer_set *s)
{
	POL_VEC(struct pol_term) terms = { 0 };
	uint32_t id;

	for (size_t i = 0; i < UNLABELLED + s->ep.n; i++) {
		bool ep = i >= UNLABELLED;
		struct pol_term t = {
			.mask = ep ? POL_PEER_ENDPOINT : unlabelled[i],
			.sel = ep ? s->ep.v[i - UNLABELLED].sel : POL_SEL_ID_TRUE,
			.aset = ep ? s->ep.v[i - UNLABELLED].aset : s->other[i],
		};
		size_t k = 0;

		if (t.aset == POL_ASET_NONE)
			continue;
		while (k < terms.n && (terms.v[k].aset != t.aset || terms.v[k].sel || t.sel))
			k++;
		if (k == terms.n)
			*pol_vec_push(&terms) = t;
		else
			terms.v[k].mask |= t.mask;
	}
	id = pol_ir_pred(&l->b, terms.v, terms.n);
	pol_vec_free(&terms);
	return id;
}

uint32_t pol_lower_peer(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	struct peer_set s = lower(l, p);
	uint32_t id = predicate(l, &s);

	pol_vec_free(&s.ep);
	pol_lower_check_overflow(l, p->span, "this peer");
	return id;
}
