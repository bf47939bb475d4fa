/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Selectors in normal form: values sorted and unique, nested and/or flattened,
 * tests of one key merged, operands sorted, constants folded.  Not canonical
 * (that would be a decision diagram); equal texts and simple permutations meet.
 */
#include "compiler/intern.h"

/* ---- interning ---------------------------------------------------------------- */

static uint64_t sel_hash(const struct pol_sel *s)
{
	uint64_t h = pol_hash(s->key.p, s->key.n, s->op);

	if (s->op != POL_SEL_IN)
		return pol_hash(s->operand, s->n * sizeof(*s->operand), h);
	for (size_t i = 0; i < s->n; i++)
		h = pol_hash(s->value[i].p, s->value[i].n, h);
	return h;
}

static bool sel_is(const struct pol_ir *ir, uint32_t id, const void *want)
{
	const struct pol_sel *a = &ir->sels.v[id], *b = want;

	if (a->op != b->op || a->n != b->n || !pol_str_eq(a->key, b->key))
		return false;
	if (a->op != POL_SEL_IN)
		return !a->n || memcmp(a->operand, b->operand, a->n * sizeof(*a->operand)) == 0;
	for (size_t i = 0; i < a->n; i++)
		if (!pol_str_eq(a->value[i], b->value[i]))
			return false;
	return true;
}

/* Saturates: sizes only have to be compared with the bound. */
static uint32_t tree_size(const struct pol_builder *b, const struct pol_sel *s)
{
	uint64_t size = 1;

	for (size_t i = 0; s->operand && i < s->n; i++)
		size += b->sel_size.v[s->operand[i]];
	return size > POL_MAX_SEL_SIZE ? POL_MAX_SEL_SIZE + 1 : (uint32_t)size;
}

/* The operands or values of s are copied only if it is new. */
static uint32_t sel_id(struct pol_builder *b, const struct pol_sel *s)
{
	uint64_t hash = sel_hash(s);
	uint32_t size = tree_size(b, s);
	uint32_t *slot;
	struct pol_sel *made;

	if (size > POL_MAX_SEL_SIZE) {
		b->overflow = "its selector becomes too large";
		return POL_SEL_ID_TRUE;
	}
	slot = pol_id_find(&b->sels, hash, b->ir, sel_is, s);
	if (*slot)
		return *slot - 1;
	pol_id_put(&b->sels, slot, hash, (uint32_t)b->ir->sels.n);
	*pol_vec_push(&b->sel_size) = size;
	made = pol_vec_push(&b->ir->sels);
	*made = *s;
	if (s->operand) {
		made->operand = pol_arena_alloc(b->arena, s->n * sizeof(*s->operand));
		memcpy(made->operand, s->operand, s->n * sizeof(*s->operand));
	}
	if (s->value) {
		made->value = pol_arena_alloc(b->arena, s->n * sizeof(*s->value));
		memcpy(made->value, s->value, s->n * sizeof(*s->value));
	}
	return *slot - 1;
}

/* ---- single tests ------------------------------------------------------------- */

bool pol_ir_sel_is_false(const struct pol_ir *ir, uint32_t s)
{
	return ir->sels.v[s].op == POL_SEL_NOT && ir->sels.v[s].operand[0] == POL_SEL_ID_TRUE;
}

uint32_t pol_ir_sel_not(struct pol_builder *b, uint32_t s)
{
	const struct pol_sel *of = &b->ir->sels.v[s];

	if (of->op == POL_SEL_NOT)
		return of->operand[0];
	return sel_id(b, &(struct pol_sel){ .op = POL_SEL_NOT, .operand = &s, .n = 1 });
}

static int value_cmp(const void *a, const void *b)
{
	return pol_str_cmp(*(const struct pol_str *)a, *(const struct pol_str *)b);
}

static size_t values_unique(struct pol_str *v, size_t n)
{
	size_t out = 0;

	if (n)
		qsort(v, n, sizeof(*v), value_cmp);
	for (size_t i = 0; i < n; i++)
		if (!out || !pol_str_eq(v[out - 1], v[i]))
			v[out++] = v[i];
	return out;
}

uint32_t pol_ir_sel_in(struct pol_builder *b, struct pol_str key, struct pol_str *value, size_t n)
{
	n = values_unique(value, n);
	if (!n)
		return pol_ir_sel_not(b, POL_SEL_ID_TRUE);
	return sel_id(b, &(struct pol_sel){ .op = POL_SEL_IN, .key = key, .value = value, .n = n });
}

uint32_t pol_ir_sel_has(struct pol_builder *b, struct pol_str key)
{
	return sel_id(b, &(struct pol_sel){ .op = POL_SEL_HAS, .key = key });
}

/* ---- and, or ------------------------------------------------------------------ */

struct operands {
	uint32_t *v;
	size_t n, cap;
};

/*
 * Operands of op, nested ones of the same op in place of themselves, without
 * the neutral constant; false if the absorbing one is among them.
 */
static bool flatten(struct pol_builder *b, enum pol_sel_op op, const uint32_t *operand, size_t n,
		    struct operands *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct pol_sel *s = &b->ir->sels.v[operand[i]];
		bool is_true = s->op == POL_SEL_TRUE,
		     is_false = pol_ir_sel_is_false(b->ir, operand[i]);

		if (op == POL_SEL_AND ? is_false : is_true)
			return false;
		if (is_true || is_false)
			continue;
		/* What is interned is flat already, so this is one level deep. */
		for (size_t k = 0; s->op == op && k < s->n; k++)
			*pol_vec_push(out) = s->operand[k];
		if (s->op != op)
			*pol_vec_push(out) = operand[i];
		if (out->n > POL_MAX_SEL_SIZE) {
			b->overflow = "its selector becomes too large";
			return false;
		}
	}
	return true;
}

static const struct pol_ir *sorting; /* qsort has no context; lowering has one thread */

/* Tests of one key stand together: by key, IN before HAS; all else behind, by id. */
static int by_key(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct pol_sel *x = &sorting->sels.v[a], *y = &sorting->sels.v[b];
	int c;

	if (!x->key.p != !y->key.p)
		return x->key.p ? -1 : 1;
	c = x->key.p ? pol_str_cmp(x->key, y->key) : 0;
	if (!c && x->op != y->op)
		c = x->op < y->op ? -1 : 1;
	return c ? c : (a > b) - (a < b);
}

/* Keeps in v[0..n) what is in s, too; both are sorted. */
static size_t values_both(struct pol_str *v, size_t n, const struct pol_sel *s)
{
	size_t out = 0, k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < s->n && pol_str_cmp(s->value[k], v[i]) < 0)
			k++;
		if (k < s->n && pol_str_eq(s->value[k], v[i]))
			v[out++] = v[i];
	}
	return out;
}

/* One test for the IN tests id[0..n) of one key. */
static uint32_t merge_in(struct pol_builder *b, enum pol_sel_op op, const uint32_t *id, size_t n)
{
	struct pol_str key = b->ir->sels.v[id[0]].key;
	POL_VEC(struct pol_str) values = { 0 };
	uint32_t out;

	for (size_t i = 0; i < n; i++) {
		const struct pol_sel *s = &b->ir->sels.v[id[i]];

		if (op == POL_SEL_AND && i)
			values.n = values_both(values.v, values.n, s);
		for (size_t k = 0; (op == POL_SEL_OR || !i) && k < s->n; k++)
			*pol_vec_push(&values) = s->value[k];
	}
	out = pol_ir_sel_in(b, key, values.v, values.n);
	pol_vec_free(&values);
	return out;
}

/* IN(k) is within HAS(k): of an AND the first remains, of an OR the second. */
static void merge_key(struct pol_builder *b, enum pol_sel_op op, const uint32_t *id, size_t n,
		      bool has, struct operands *out)
{
	if (n && !(has && op == POL_SEL_OR))
		*pol_vec_push(out) = n > 1 ? merge_in(b, op, id, n) : id[0];
	if (has && !(n && op == POL_SEL_AND))
		*pol_vec_push(out) = pol_ir_sel_has(b, b->ir->sels.v[id[0]].key);
}

static void merge_keys(struct pol_builder *b, enum pol_sel_op op, struct operands *in,
		       struct operands *out)
{
	size_t i = 0;

	sorting = b->ir;
	if (in->n)
		qsort(in->v, in->n, sizeof(*in->v), by_key);
	while (i < in->n && b->ir->sels.v[in->v[i]].key.p) {
		struct pol_str key = b->ir->sels.v[in->v[i]].key;
		size_t first = i, n_in;

		while (i < in->n && b->ir->sels.v[in->v[i]].op == POL_SEL_IN &&
		       pol_str_eq(b->ir->sels.v[in->v[i]].key, key))
			i++;
		n_in = i - first;
		while (i < in->n && b->ir->sels.v[in->v[i]].key.p &&
		       pol_str_eq(b->ir->sels.v[in->v[i]].key, key))
			i++;
		merge_key(b, op, in->v + first, n_in, i > first + n_in, out);
	}
	for (; i < in->n; i++)
		*pol_vec_push(out) = in->v[i];
}

static int id_cmp(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

/* Sorted and unique; false if both s and not s are there, or what two tests of a key left is never true. */
static bool settle(struct pol_builder *b, struct operands *x)
{
	size_t out = 0;

	if (x->n)
		qsort(x->v, x->n, sizeof(*x->v), id_cmp);
	for (size_t i = 0; i < x->n; i++)
		if (!out || x->v[out - 1] != x->v[i])
			x->v[out++] = x->v[i];
	x->n = out;
	for (size_t i = 0; i < x->n; i++) {
		const struct pol_sel *s = &b->ir->sels.v[x->v[i]];

		if (pol_ir_sel_is_false(b->ir, x->v[i]))
			return false;
		if (s->op == POL_SEL_NOT && bsearch(s->operand, x->v, x->n, sizeof(*x->v), id_cmp))
			return false;
	}
	return true;
}

/* The constant that op makes of nothing (neutral), or of a contradiction. */
static uint32_t constant(struct pol_builder *b, bool value)
{
	uint32_t id = sel_id(b, &(struct pol_sel){ .op = POL_SEL_TRUE });

	return value ? id : pol_ir_sel_not(b, id);
}

uint32_t pol_ir_sel_join(struct pol_builder *b, enum pol_sel_op op, const uint32_t *operand,
			 size_t n)
{
	struct operands flat = { 0 }, merged = { 0 };
	uint32_t out;

	if (b->overflow)
		return POL_SEL_ID_TRUE;
	if (flatten(b, op, operand, n, &flat)) {
		merge_keys(b, op, &flat, &merged);
		if (!settle(b, &merged))
			out = constant(b, op == POL_SEL_OR);
		else if (merged.n == 0)
			out = constant(b, op == POL_SEL_AND);
		else if (merged.n == 1)
			out = merged.v[0];
		else
			out = sel_id(b, &(struct pol_sel){
						.op = op, .operand = merged.v, .n = merged.n });
	} else {
		out = constant(b, op == POL_SEL_OR);
	}
	pol_vec_free(&flat);
	pol_vec_free(&merged);
	return out;
}
