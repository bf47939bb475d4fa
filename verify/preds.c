/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/private.h"

/* A predicate as numbers: for each term its selector, how many bounds, and the ranges of classes. */
typedef POL_VEC(uint32_t) numbers;

struct term {
	uint32_t sel;
	numbers ranges;
};

struct asked {
	numbers flat;
	uint32_t *number; /* where the answer goes */
	bool always;
};

struct gather {
	struct ver_report *r;
	const struct ver_cells *cells;
	POL_VEC(struct term) terms; /* of the one being made */
	POL_VEC(struct asked) all;
};

static int compare(const numbers *a, const numbers *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = n ? memcmp(a->v, b->v, n * sizeof(*a->v)) : 0;

	return c ? c : (a->n > b->n) - (a->n < b->n);
}

static int by_term(const void *pa, const void *pb)
{
	const struct term *a = pa, *b = pb;

	if (a->sel != b->sel)
		return a->sel < b->sel ? -1 : 1;
	return compare(&a->ranges, &b->ranges);
}

static int by_flat(const void *pa, const void *pb)
{
	return compare(&((const struct asked *)pa)->flat, &((const struct asked *)pb)->flat);
}

static void add_range(numbers *ranges, uint32_t lo, uint32_t hi)
{
	if (ranges->n && ranges->v[ranges->n - 1] + 1 == lo) {
		ranges->v[ranges->n - 1] = hi;
		return;
	}
	*pol_vec_push(ranges) = lo;
	*pol_vec_push(ranges) = hi;
}

/* Takes the terms and leaves none. */
static void ask(struct gather *g, uint32_t *number)
{
	uint32_t last = g->r->object->manifest.address_classes - 1;
	struct asked *a = pol_vec_push(&g->all);

	a->number = number;
	if (g->terms.n)
		qsort(g->terms.v, g->terms.n, sizeof(*g->terms.v), by_term);
	for (size_t i = 0; i < g->terms.n; i++) {
		const struct term *t = &g->terms.v[i];

		if (i && by_term(t, t - 1) == 0)
			continue;
		a->always = a->always || (t->sel == 0 && t->ranges.n == 2 && t->ranges.v[0] == 0 &&
					  t->ranges.v[1] == last);
		*pol_vec_push(&a->flat) = t->sel;
		*pol_vec_push(&a->flat) = (uint32_t)t->ranges.n;
		for (size_t k = 0; k < t->ranges.n; k++)
			*pol_vec_push(&a->flat) = t->ranges.v[k];
	}
	for (size_t i = 0; i < g->terms.n; i++)
		pol_vec_free(&g->terms.v[i].ranges);
	g->terms.n = 0;
}

/* ---- the two sides ------------------------------------------------------------------ */

static bool lies_in(const struct ver_cell *c, uint32_t set)
{
	for (size_t i = 0; i < c->nsets; i++)
		if (c->set[i] == set)
			return true;
	return false;
}

/* The classes of a set of the text; false if the object has no such set of classes. */
static bool classes_of(struct gather *g, uint32_t aset, numbers *ranges)
{
	char in_text[POL_IP_TEXT], out_text[POL_IP_TEXT];
	const struct ver_cells *cells = g->cells;

	if (!aset) {
		add_range(ranges, 0, g->r->object->manifest.address_classes - 1);
		return true;
	}
	for (size_t i = 0; i < cells->in[aset].n; i++) {
		uint32_t class = cells->in[aset].v[i];
		const struct ver_cell *in = NULL, *out = NULL;

		for (uint32_t k = cells->first[class]; k < cells->first[class + 1]; k++)
			*(lies_in(&cells->v.v[k], aset) ? &in : &out) = &cells->v.v[k];
		if (out)
			return ver_differs(
				g->r, "tables",
				"%s and %s are one class of addresses, but rules about endpoints tell them apart",
				pol_ip_format(in->addr, in_text),
				pol_ip_format(out->addr, out_text));
		add_range(ranges, class, class);
	}
	return true;
}

static bool ask_ir(struct gather *g, uint32_t pred, uint32_t *number)
{
	const struct pol_pred *p = &g->r->ir->preds.v[pred];

	for (size_t i = 0; i < p->n; i++) {
		struct term *t;

		if (!(p->term[i].mask & POL_PEER_ENDPOINT))
			continue;
		t = pol_vec_push(&g->terms);
		*t = (struct term){ .sel = p->term[i].sel };
		if (!classes_of(g, p->term[i].aset, &t->ranges))
			return false;
	}
	ask(g, number);
	return true;
}

static void ask_object(struct gather *g, uint32_t pred, const uint32_t *sel_of, uint32_t *number)
{
	const struct prt_manifest *m = &g->r->object->manifest;
	const struct prt_pred *p = &m->pred[pred];

	for (size_t i = 0; i < p->n; i++) {
		const struct prt_class_set *s = &m->set[p->term[i].set];
		struct term *t = pol_vec_push(&g->terms);

		*t = (struct term){ .sel = sel_of[p->term[i].selector] };
		for (size_t k = 0; k < s->n; k++)
			add_range(&t->ranges, s->range[k].lo, s->range[k].hi);
	}
	ask(g, number);
}

/* ---- the whole -------------------------------------------------------------------------- */

static void number(struct gather *g, struct ver_preds *out)
{
	const numbers *last = NULL;

	qsort(g->all.v, g->all.n, sizeof(*g->all.v), by_flat);
	for (size_t i = 0; i < g->all.n; i++) {
		struct asked *a = &g->all.v[i];

		if (!a->flat.n) {
			*a->number = VER_NEVER;
		} else if (a->always) {
			*a->number = VER_ALWAYS;
		} else {
			out->n += !last || compare(last, &a->flat) != 0;
			last = &a->flat;
			*a->number = out->n - 1;
		}
	}
}

bool ver_predicates(struct ver_report *r, const uint32_t *sel_of, const bool *used,
		    const struct ver_cells *addresses, struct ver_preds *out)
{
	struct gather g = { .r = r, .cells = addresses };
	size_t nir = r->ir->preds.n, nobject = r->object->manifest.npreds;
	bool right = true;

	*out = (struct ver_preds){
		.of_ir = pol_arena_alloc(r->arena, (nir + 1) * sizeof(*out->of_ir)),
		.of_object = pol_arena_alloc(r->arena, (nobject + 1) * sizeof(*out->of_object)),
	};
	memset(out->of_ir, 0xff, nir * sizeof(*out->of_ir)); /* VER_NEVER */
	for (uint32_t i = 0; right && i < nir; i++)
		if (used[i])
			right = ask_ir(&g, i, &out->of_ir[i]);
	for (uint32_t i = 0; right && i < nobject; i++)
		ask_object(&g, i, sel_of, &out->of_object[i]);
	if (right)
		number(&g, out);
	for (size_t i = 0; i < g.all.n; i++)
		pol_vec_free(&g.all.v[i].flat);
	for (size_t i = 0; i < g.terms.n; i++)
		pol_vec_free(&g.terms.v[i].ranges);
	pol_vec_free(&g.all);
	pol_vec_free(&g.terms);
	return right;
}
