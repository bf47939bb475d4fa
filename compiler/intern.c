/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/intern.h"

/* ---- a hash set of ids -------------------------------------------------------- */

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		pol_no_memory();
	return p;
}

static void id_grow(struct pol_id_index *x)
{
	struct pol_id_index bigger = { .cap = x->cap ? 2 * x->cap : 64, .n = x->n };

	if (2 * (x->n + 1) <= x->cap)
		return;
	bigger.slot = zeroed(bigger.cap, sizeof(*bigger.slot));
	bigger.hash = zeroed(bigger.cap, sizeof(*bigger.hash));
	for (size_t i = 0; i < x->cap; i++) {
		size_t at = x->hash[i] & (bigger.cap - 1);

		if (!x->slot[i])
			continue;
		while (bigger.slot[at])
			at = (at + 1) & (bigger.cap - 1);
		bigger.slot[at] = x->slot[i];
		bigger.hash[at] = x->hash[i];
	}
	free(x->slot);
	free(x->hash);
	*x = bigger;
}

uint32_t *pol_id_find(struct pol_id_index *x, uint64_t hash, const struct pol_ir *ir,
		      bool (*equal)(const struct pol_ir *ir, uint32_t id, const void *want),
		      const void *want)
{
	size_t at;

	id_grow(x);
	at = hash & (x->cap - 1);
	while (x->slot[at] && !(x->hash[at] == hash && equal(ir, x->slot[at] - 1, want)))
		at = (at + 1) & (x->cap - 1);
	return &x->slot[at];
}

void pol_id_put(struct pol_id_index *x, uint32_t *slot, uint64_t hash, uint32_t id)
{
	*slot = id + 1;
	x->hash[slot - x->slot] = hash;
	x->n++;
}

static void id_free(struct pol_id_index *x)
{
	free(x->slot);
	free(x->hash);
}

/* ---- L4 sets ------------------------------------------------------------------ */

static bool l4set_is(const struct pol_ir *ir, uint32_t id, const void *want)
{
	return pol_l4set_equal(ir->l4sets.v[id], *(const struct pol_l4set *)want);
}

uint32_t pol_ir_l4set(struct pol_builder *b, struct pol_l4set s)
{
	uint64_t hash = pol_l4set_hash(s);
	uint32_t *slot = pol_id_find(&b->l4sets, hash, b->ir, l4set_is, &s);

	if (!*slot) {
		pol_id_put(&b->l4sets, slot, hash, (uint32_t)b->ir->l4sets.n);
		*pol_vec_push(&b->ir->l4sets) = s;
	}
	return *slot - 1;
}

/* ---- address sets ------------------------------------------------------------- */

static bool aset_is(const struct pol_ir *ir, uint32_t id, const void *want)
{
	return pol_aset_equal(ir->asets.v[id], *(const struct pol_aset *)want);
}

uint32_t pol_ir_aset(struct pol_builder *b, struct pol_aset s)
{
	uint64_t hash = pol_aset_hash(s);
	uint32_t *slot = pol_id_find(&b->asets, hash, b->ir, aset_is, &s);

	if (!*slot) {
		pol_id_put(&b->asets, slot, hash, (uint32_t)b->ir->asets.n);
		*pol_vec_push(&b->ir->asets) = s;
	}
	return *slot - 1;
}

static struct pol_aset_memo *memo_at(struct pol_aset_memo *memo, size_t cap, uint64_t key)
{
	size_t at = pol_hash(&key, sizeof(key), 7) & (cap - 1);

	while (memo[at].key && memo[at].key != key)
		at = (at + 1) & (cap - 1);
	return &memo[at];
}

static void memo_put(struct pol_builder *b, uint64_t key, uint32_t result)
{
	if (2 * (b->memo_n + 1) > b->memo_cap) {
		size_t cap = b->memo_cap ? 2 * b->memo_cap : 64;
		struct pol_aset_memo *memo = zeroed(cap, sizeof(*memo));

		for (size_t i = 0; i < b->memo_cap; i++)
			if (b->memo[i].key)
				*memo_at(memo, cap, b->memo[i].key) = b->memo[i];
		free(b->memo);
		b->memo = memo;
		b->memo_cap = cap;
	}
	*memo_at(b->memo, b->memo_cap, key) = (struct pol_aset_memo){ key, result };
	b->memo_n++;
}

/* What needs no look at the ranges; true if *out is the answer. */
static bool aset_trivial(enum pol_set_op op, uint32_t x, uint32_t y, uint32_t *out)
{
	uint32_t neutral = op == POL_SET_UNION ? POL_ASET_NONE : POL_ASET_ALL;
	uint32_t absorbing = op == POL_SET_UNION ? POL_ASET_ALL : POL_ASET_NONE;

	if (op == POL_SET_SUBTRACT) {
		*out = y == POL_ASET_NONE ? x : POL_ASET_NONE;
		return x == y || x == POL_ASET_NONE || y == POL_ASET_NONE || y == POL_ASET_ALL;
	}
	if (x == y || y == neutral)
		*out = x;
	else if (x == neutral)
		*out = y;
	else if (x == absorbing || y == absorbing)
		*out = absorbing;
	else
		return false;
	return true;
}

#define TOO_MANY_RANGES "the address sets of all peers together have too many ranges"

bool pol_ir_exhausted(const struct pol_builder *b)
{
	return b->n_made > POL_MAX_RANGES || b->n_walked > POL_MAX_WALKED;
}

uint32_t pol_ir_aset_op(struct pol_builder *b, enum pol_set_op op, uint32_t x, uint32_t y)
{
	const struct pol_aset *v = b->ir->asets.v;
	struct pol_aset made;
	uint32_t out;
	uint64_t key;

	if (b->overflow)
		return POL_ASET_NONE;
	if (aset_trivial(op, x, y, &out))
		return out;
	if (op != POL_SET_SUBTRACT && x > y) {
		uint32_t swap = x;

		x = y;
		y = swap;
	}
	key = ((uint64_t)op + 1) << 62 | (uint64_t)x << 31 | y;
	if (b->memo_cap && memo_at(b->memo, b->memo_cap, key)->key)
		return memo_at(b->memo, b->memo_cap, key)->result;
	b->n_walked += v[x].n4 + v[x].n6 + v[y].n4 + v[y].n6;
	if (pol_ir_exhausted(b)) {
		b->overflow = TOO_MANY_RANGES;
		return POL_ASET_NONE;
	}
	made = pol_aset_combine(b->arena, op, v[x], v[y]);
	b->n_made += made.n4 + made.n6;
	out = pol_ir_aset(b, made);
	memo_put(b, key, out);
	return out;
}

/* ---- unions of many ----------------------------------------------------------- */

static int aset_id_cmp(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

/* Sorted, unique, without those that add nothing; only ALL, if that is among them. */
static size_t operands_settle(uint32_t *id, size_t n)
{
	size_t out = 0;

	if (n)
		qsort(id, n, sizeof(*id), aset_id_cmp);
	if (n && id[0] == POL_ASET_ALL)
		return 1;
	for (size_t i = 0; i < n; i++)
		if (id[i] != POL_ASET_NONE && (!out || id[out - 1] != id[i]))
			id[out++] = id[i];
	return out;
}

struct union_wanted {
	const struct pol_builder *b;
	const uint32_t *id;
	size_t n;
};

static bool union_is(const struct pol_ir *ir, uint32_t at, const void *want)
{
	const struct union_wanted *w = want;
	const struct pol_union_memo *m = &w->b->union_memo.v[at];

	(void)ir;
	return m->n == w->n && memcmp(m->id, w->id, w->n * sizeof(*w->id)) == 0;
}

static uint32_t union_make(struct pol_builder *b, const uint32_t *id, size_t n)
{
	const struct pol_aset *v = b->ir->asets.v;
	struct pol_aset made;

	for (size_t i = 0; i < n; i++)
		b->n_walked += v[id[i]].n4 + v[id[i]].n6;
	if (pol_ir_exhausted(b)) {
		b->overflow = TOO_MANY_RANGES;
		return POL_ASET_NONE;
	}
	made = pol_aset_union(b->arena, v, id, n);
	b->n_made += made.n4 + made.n6;
	return pol_ir_aset(b, made);
}

uint32_t pol_ir_aset_union(struct pol_builder *b, uint32_t *id, size_t n)
{
	struct union_wanted want = { b, id, operands_settle(id, n) };
	struct pol_union_memo *m;
	uint64_t hash;
	uint32_t *slot, out;

	if (b->overflow || !want.n)
		return POL_ASET_NONE;
	if (want.n <= 2)
		return pol_ir_aset_op(b, POL_SET_UNION, id[0], id[want.n - 1]);
	hash = pol_hash(id, want.n * sizeof(*id), 11);
	slot = pol_id_find(&b->unions, hash, b->ir, union_is, &want);
	if (*slot)
		return b->union_memo.v[*slot - 1].result;
	out = union_make(b, id, want.n);
	if (b->overflow)
		return out;
	pol_id_put(&b->unions, slot, hash, (uint32_t)b->union_memo.n);
	m = pol_vec_push(&b->union_memo);
	*m = (struct pol_union_memo){ pol_arena_alloc(b->arena, want.n * sizeof(*id)), want.n,
				      out };
	memcpy(m->id, id, want.n * sizeof(*id));
	return out;
}

/* ---- predicates --------------------------------------------------------------- */

struct terms {
	const struct pol_term *v;
	size_t n;
};

static bool pred_is(const struct pol_ir *ir, uint32_t id, const void *want)
{
	const struct pol_pred *p = &ir->preds.v[id];
	const struct terms *w = want;

	return p->n == w->n && (!w->n || memcmp(p->term, w->v, w->n * sizeof(*w->v)) == 0);
}

static int term_cmp(const void *pa, const void *pb)
{
	const struct pol_term *a = pa, *b = pb;

	if (a->mask != b->mask)
		return a->mask < b->mask ? 1 : -1; /* the widest first */
	if (a->sel != b->sel)
		return a->sel < b->sel ? -1 : 1;
	return (a->aset > b->aset) - (a->aset < b->aset);
}

uint32_t pol_ir_pred(struct pol_builder *b, struct pol_term *term, size_t n)
{
	struct terms want = { term, n };
	struct pol_pred *p;
	uint64_t hash;
	uint32_t *slot;

	if (n)
		qsort(term, n, sizeof(*term), term_cmp);
	hash = pol_hash(term, n * sizeof(*term), 3);
	slot = pol_id_find(&b->preds, hash, b->ir, pred_is, &want);
	if (*slot)
		return *slot - 1;
	pol_id_put(&b->preds, slot, hash, (uint32_t)b->ir->preds.n);
	p = pol_vec_push(&b->ir->preds);
	p->n = n;
	if (n) {
		p->term = pol_arena_alloc(b->arena, n * sizeof(*term));
		memcpy(p->term, term, n * sizeof(*term));
	}
	return *slot - 1;
}

/* ---- life --------------------------------------------------------------------- */

void pol_builder_init(struct pol_builder *b, struct pol_ir *ir)
{
	struct pol_term any = { .mask = POL_PEER_ALL };

	*b = (struct pol_builder){ .ir = ir, .arena = ir->arena };
	pol_ir_l4set(b, pol_l4set_all(b->arena));
	pol_ir_aset(b, pol_aset_all(b->arena));
	pol_ir_aset(b, (struct pol_aset){ 0 });
	pol_ir_sel_join(b, POL_SEL_AND, NULL, 0);
	pol_ir_pred(b, &any, 1);
}

void pol_builder_free(struct pol_builder *b)
{
	id_free(&b->l4sets);
	id_free(&b->asets);
	id_free(&b->sels);
	id_free(&b->preds);
	id_free(&b->unions);
	pol_vec_free(&b->union_memo);
	pol_vec_free(&b->sel_size);
	free(b->memo);
}
