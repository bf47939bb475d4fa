/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/lowering.h"

static uint32_t lower_in(struct pol_lowering *l, const struct pol_ast_sel *s)
{
	POL_VEC(struct pol_str) values = { 0 };
	uint32_t id;

	for (const struct pol_label_value *v = s->values.first; v; v = v->next)
		*pol_vec_push(&values) = v->value.text;
	id = pol_ir_sel_in(&l->b, s->key.text, values.v, values.n);
	pol_vec_free(&values);
	return id;
}

static uint32_t lower_join(struct pol_lowering *l, const struct pol_ast_sel *s, enum pol_sel_op op)
{
	POL_VEC(uint32_t) ids = { 0 };
	uint32_t id;

	for (const struct pol_ast_sel *o = s->of.first; o; o = o->next) {
		id = pol_lower_sel(l, o);
		*pol_vec_push(&ids) = id;
	}
	id = pol_ir_sel_join(&l->b, op, ids.v, ids.n);
	pol_vec_free(&ids);
	return id;
}

/* The parser bounds the depth (POL_MAX_DEPTH). */
uint32_t pol_lower_sel(struct pol_lowering *l, const struct pol_ast_sel *s)
{
	switch (s->kind) {
	case POL_AST_SEL_TRUE:
		return POL_SEL_ID_TRUE;
	case POL_AST_SEL_EQ:
	case POL_AST_SEL_IN:
		return lower_in(l, s);
	case POL_AST_SEL_NE:
	case POL_AST_SEL_NOT_IN:
		return pol_ir_sel_not(&l->b, lower_in(l, s));
	case POL_AST_SEL_HAS:
		return pol_ir_sel_has(&l->b, s->key.text);
	case POL_AST_SEL_NOT:
		return pol_ir_sel_not(&l->b, pol_lower_sel(l, s->of.first));
	case POL_AST_SEL_AND:
		return lower_join(l, s, POL_SEL_AND);
	case POL_AST_SEL_OR:
		return lower_join(l, s, POL_SEL_OR);
	}
	return POL_SEL_ID_TRUE;
}

uint32_t pol_lower_endpoint(struct pol_lowering *l, const struct pol_decl *d)
{
	if (l->decl_id[d->index] == POL_UNSET) {
		l->decl_id[d->index] = pol_lower_sel(l, d->endpoint.selector);
		pol_lower_check_overflow(l, d->head, "this selector");
	}
	return l->decl_id[d->index];
}

static uint32_t subject_union(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	POL_VEC(uint32_t) ids = { 0 };
	uint32_t id;

	for (const struct pol_ast_peer *o = p->of.first; o; o = o->next) {
		id = pol_lower_subject(l, o);
		*pol_vec_push(&ids) = id;
	}
	id = pol_ir_sel_join(&l->b, POL_SEL_OR, ids.v, ids.n);
	pol_vec_free(&ids);
	return id;
}

uint32_t pol_lower_subject(struct pol_lowering *l, const struct pol_ast_peer *p)
{
	switch (p->kind) {
	case POL_AST_PEER_ANY:
		return POL_SEL_ID_TRUE;
	case POL_AST_PEER_SELECTOR:
		return pol_lower_sel(l, p->selector);
	case POL_AST_PEER_UNION:
		return subject_union(l, p);
	case POL_AST_PEER_NAME:
		if (p->name.decl && p->name.decl->kind == POL_DECL_ENDPOINT)
			return pol_lower_endpoint(l, p->name.decl);
		break;
	case POL_AST_PEER_PREFIX:
	case POL_AST_PEER_HOST:
	case POL_AST_PEER_NODES:
	case POL_AST_PEER_WORLD:
	case POL_AST_PEER_PUBLIC:
	case POL_AST_PEER_NONE:
	case POL_AST_PEER_EXCEPT:
	case POL_AST_PEER_IN:
	case POL_AST_PEER_AT:
		break;
	}
	/* Resolving has refused it already; if not, it must not pass in silence. */
	pol_lower_refuse(l, p->span, "a subject that is not an endpoint");
	return POL_SEL_ID_TRUE;
}
