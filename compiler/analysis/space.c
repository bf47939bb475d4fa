/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/space.h"

#include "compiler/ranges.h"
#include "lang/ast.h"

#define BITS 64u

/* ---- the keys and values that selectors tell apart ------------------------------ */

static int str_cmp(const void *a, const void *b)
{
	return pol_str_cmp(*(const struct pol_str *)a, *(const struct pol_str *)b);
}

static int key_cmp(const void *a, const void *b)
{
	return pol_str_cmp(((const struct pol_space_key *)a)->name,
			   ((const struct pol_space_key *)b)->name);
}

static size_t unique(struct pol_str *v, size_t n)
{
	size_t out = 0;

	if (n)
		qsort(v, n, sizeof(*v), str_cmp);
	for (size_t i = 0; i < n; i++)
		if (!out || !pol_str_eq(v[out - 1], v[i]))
			v[out++] = v[i];
	return out;
}

struct mention {
	struct pol_str key, value;
	bool has_value;
};

static int mention_cmp(const void *pa, const void *pb)
{
	const struct mention *a = pa, *b = pb;
	int c = pol_str_cmp(a->key, b->key);

	return c ? c : (int)a->has_value - (int)b->has_value;
}

struct mentions {
	struct mention *v;
	size_t n, cap;
};

static void gather(struct mentions *m, const struct pol_ir *ir)
{
	for (size_t i = 0; i < ir->sels.n; i++) {
		const struct pol_sel *x = &ir->sels.v[i];

		if (x->op != POL_SEL_IN && x->op != POL_SEL_HAS)
			continue;
		*pol_vec_push(m) = (struct mention){ .key = x->key };
		for (size_t k = 0; x->op == POL_SEL_IN && k < x->n; k++)
			*pol_vec_push(m) = (struct mention){ x->key, x->value[k], true };
	}
}

static void make_keys(struct pol_space *s, struct mentions *m)
{
	s->key = pol_arena_alloc(s->arena, (m->n + 1) * sizeof(*s->key));
	if (m->n)
		qsort(m->v, m->n, sizeof(*m->v), mention_cmp);
	for (size_t i = 0; i < m->n;) {
		struct pol_space_key *k = &s->key[s->n_keys++];
		size_t end = i;

		while (end < m->n && pol_str_eq(m->v[end].key, m->v[i].key))
			end++;
		k->name = m->v[i].key;
		k->value = pol_arena_alloc(s->arena, (end - i + 1) * sizeof(*k->value));
		for (; i < end; i++)
			if (m->v[i].has_value)
				k->value[k->n++] = m->v[i].value;
		k->n = (uint32_t)unique(k->value, k->n);
		k->word = (uint32_t)s->words;
		k->words = (k->n + 2 + BITS - 1) / BITS;
		s->words += k->words;
	}
}

static void bit_set(uint64_t *v, uint32_t bit)
{
	v[bit / BITS] |= (uint64_t)1 << (bit % BITS);
}

static void make_sel(struct pol_space *s, size_t ir, uint32_t id)
{
	const struct pol_sel *x = &s->ir[ir]->sels.v[id];
	struct pol_space_sel *to = &s->sel[ir][id];
	struct pol_space_key want = { .name = x->key };
	const struct pol_space_key *k;
	uint64_t size = 1;

	/* Operands come before users. */
	for (size_t i = 0; x->operand && i < x->n; i++)
		size += s->sel[ir][x->operand[i]].size;
	to->size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	if (x->op != POL_SEL_IN && x->op != POL_SEL_HAS)
		return;
	k = bsearch(&want, s->key, s->n_keys, sizeof(*s->key), key_cmp);
	to->key = (uint32_t)(k - s->key);
	to->size = k->words;
	to->bits = pol_arena_alloc(s->arena, k->words * sizeof(*to->bits));
	for (uint32_t i = 1; x->op == POL_SEL_HAS && i < k->n + 2; i++)
		bit_set(to->bits, i);
	for (size_t i = 0; x->op == POL_SEL_IN && i < x->n; i++) {
		struct pol_str *v =
			bsearch(&x->value[i], k->value, k->n, sizeof(*k->value), str_cmp);

		bit_set(to->bits, (uint32_t)(v - k->value) + 1);
	}
}

/* ICMP types end at 255: a range that holds the last one also gets the keys behind it. */
static struct pol_l4set real_keys(struct pol_arena *a, struct pol_l4set x)
{
	static const uint32_t icmp[] = { POL_PROTO_ICMP, POL_PROTO_ICMP6 };
	struct pol_range32 *r = pol_arena_alloc(a, (x.n + 1) * sizeof(*r));

	if (x.n)
		memcpy(r, x.range, x.n * sizeof(*r));
	for (size_t i = 0; i < x.n; i++)
		for (size_t k = 0; k < POL_ARRAY_LEN(icmp); k++)
			if (r[i].hi == POL_L4_KEY(icmp[k], 255))
				r[i].hi = POL_L4_KEY(icmp[k], 65535);
	return pol_l4set_of(a, r, x.n);
}

void pol_space_init(struct pol_space *s, struct pol_arena *a, const struct pol_ir *const *ir,
		    size_t n)
{
	struct mentions m = { 0 };

	*s = (struct pol_space){ .arena = a, .n_ir = n };
	for (size_t i = 0; i < n; i++)
		gather(&m, s->ir[i] = ir[i]);
	make_keys(s, &m);
	pol_vec_free(&m);
	s->any = pol_arena_alloc(a, (s->words + 1) * sizeof(*s->any));
	for (size_t i = 0; i < s->n_keys; i++)
		for (uint32_t bit = 0; bit < s->key[i].n + 2; bit++)
			bit_set(s->any + s->key[i].word, bit);
	for (size_t i = 0; i < n; i++) {
		s->sel[i] = pol_arena_alloc(a, ir[i]->sels.n * sizeof(*s->sel[i]));
		for (uint32_t id = 0; id < ir[i]->sels.n; id++)
			make_sel(s, i, id);
		s->l4[i] = pol_arena_alloc(a, ir[i]->l4sets.n * sizeof(*s->l4[i]));
		for (uint32_t id = 0; id < ir[i]->l4sets.n; id++)
			s->l4[i][id] = real_keys(a, ir[i]->l4sets.v[id]);
	}
}

struct pol_box pol_box_all(const struct pol_space *s, uint8_t family, uint32_t src, uint32_t dst)
{
	pol_u128 last = family == 4 ? UINT32_MAX : ~(pol_u128)0;

	return (struct pol_box){
		.end = { { src, 0, last, s->any }, { dst, 0, last, s->any } },
		.l4_lo = 0,
		.l4_hi = POL_L4_KEY_MAX,
		.family = family,
	};
}

/* ---- tests --------------------------------------------------------------------------- */

static enum pol_answer negate(enum pol_answer a)
{
	return a == POL_UNDECIDED ? a : a == POL_YES ? POL_NO : POL_YES;
}

static enum pol_answer test_bits(const uint64_t *have, const uint64_t *want, uint32_t words)
{
	bool in = false, out = false;

	for (uint32_t i = 0; i < words; i++) {
		in = in || (have[i] & want[i]);
		out = out || (have[i] & ~want[i]);
	}
	return !out ? POL_YES : in ? POL_UNDECIDED : POL_NO;
}

enum pol_answer pol_space_sel(const struct pol_space *s, size_t ir, uint32_t sel,
			      const uint64_t *labels)
{
	const struct pol_sel *x = &s->ir[ir]->sels.v[sel];
	const struct pol_space_sel *m = &s->sel[ir][sel];
	enum pol_answer end = x->op == POL_SEL_AND ? POL_NO : POL_YES, all = negate(end), a;

	switch (x->op) {
	case POL_SEL_TRUE:
		return POL_YES;
	case POL_SEL_IN:
	case POL_SEL_HAS:
		return test_bits(labels + s->key[m->key].word, m->bits, s->key[m->key].words);
	case POL_SEL_NOT:
		return negate(pol_space_sel(s, ir, x->operand[0], labels));
	case POL_SEL_AND:
	case POL_SEL_OR:
		break;
	}
	for (size_t i = 0; i < x->n; i++) {
		a = pol_space_sel(s, ir, x->operand[i], labels);
		if (a == end)
			return end;
		if (a == POL_UNDECIDED)
			all = a;
	}
	return all;
}

/* Index of the first range that ends at lo or later. */
#define SEEK(ranges, count, v)                                                                     \
	({                                                                                         \
		size_t at_ = 0, left_ = (count);                                                   \
		while (left_) {                                                                    \
			size_t half_ = left_ / 2;                                                  \
			if ((ranges)[at_ + half_].hi < (v)) {                                      \
				at_ += half_ + 1;                                                  \
				left_ -= half_ + 1;                                                \
			} else {                                                                   \
				left_ = half_;                                                     \
			}                                                                          \
		}                                                                                  \
		at_;                                                                               \
	})

static enum pol_answer test_range(bool found, pol_u128 rlo, pol_u128 rhi, pol_u128 lo, pol_u128 hi)
{
	if (!found || rlo > hi)
		return POL_NO;
	return rlo <= lo && rhi >= hi ? POL_YES : POL_UNDECIDED;
}

enum pol_answer pol_space_aset(const struct pol_aset *set, const struct pol_box *b, unsigned end)
{
	pol_u128 lo = b->end[end].lo, hi = b->end[end].hi;
	size_t i;

	if (b->family == 4) {
		i = SEEK(set->v4, set->n4, lo);
		return i == set->n4 ? POL_NO
				    : test_range(true, set->v4[i].lo, set->v4[i].hi, lo, hi);
	}
	i = SEEK(set->v6, set->n6, lo);
	return i == set->n6 ? POL_NO : test_range(true, set->v6[i].lo, set->v6[i].hi, lo, hi);
}

enum pol_answer pol_space_l4(const struct pol_space *s, size_t ir, uint32_t l4,
			     const struct pol_box *b)
{
	const struct pol_l4set *x = &s->l4[ir][l4];
	size_t i = SEEK(x->range, x->n, b->l4_lo);

	return i == x->n ? POL_NO
			 : test_range(true, x->range[i].lo, x->range[i].hi, b->l4_lo, b->l4_hi);
}

/* Is every stranger of the box in the mask, as this policy tells world from pool? */
static enum pol_answer test_stranger(const struct pol_ir *ir, uint32_t mask,
				     const struct pol_box *b, unsigned end)
{
	bool world = mask & POL_PEER_WORLD, pool = mask & POL_PEER_POOL;

	if (world == pool)
		return world ? POL_YES : POL_NO;
	return world ? negate(pol_space_aset(&ir->asets.v[ir->pool], b, end))
		     : pol_space_aset(&ir->asets.v[ir->pool], b, end);
}

static enum pol_answer test_kinds(const struct pol_ir *ir, uint32_t mask, const struct pol_box *b,
				  unsigned end)
{
	uint32_t kinds = b->end[end].kinds, known = kinds & ~POL_KIND_STRANGER;
	enum pol_answer others = (known & mask) == known ? POL_YES
				 : known & mask          ? POL_UNDECIDED
							 : POL_NO;
	enum pol_answer stranger;

	if (!(kinds & POL_KIND_STRANGER))
		return others;
	stranger = test_stranger(ir, mask, b, end);
	return !known || stranger == others ? stranger : POL_UNDECIDED;
}

static enum pol_answer test_term(const struct pol_space *s, size_t ir, const struct pol_term *t,
				 const struct pol_box *b, unsigned end)
{
	enum pol_answer all = test_kinds(s->ir[ir], t->mask, b, end), a;

	if (all == POL_NO)
		return all;
	if (t->sel) {
		a = pol_space_sel(s, ir, t->sel, b->end[end].labels);
		if (a == POL_NO)
			return a;
		all = a == POL_UNDECIDED ? a : all;
	}
	if (t->aset) {
		a = pol_space_aset(&s->ir[ir]->asets.v[t->aset], b, end);
		if (a == POL_NO)
			return a;
		all = a == POL_UNDECIDED ? a : all;
	}
	return all;
}

enum pol_answer pol_space_pred(const struct pol_space *s, size_t ir, uint32_t pred,
			       const struct pol_box *b, unsigned end)
{
	const struct pol_pred *p = &s->ir[ir]->preds.v[pred];
	enum pol_answer any = POL_NO;

	for (size_t i = 0; i < p->n; i++) {
		enum pol_answer a = test_term(s, ir, &p->term[i], b, end);

		if (a == POL_YES)
			return a;
		if (a == POL_UNDECIDED)
			any = a;
	}
	return any;
}

enum pol_answer pol_space_rule(const struct pol_space *s, size_t ir, const struct pol_rule *r,
			       const struct pol_box *b)
{
	enum pol_answer l4 = pol_space_l4(s, ir, r->l4, b), own, peer;

	if (l4 == POL_NO)
		return l4;
	own = pol_space_sel(s, ir, r->subject, b->end[POL_OWN(r->direction)].labels);
	if (own == POL_NO)
		return own;
	peer = pol_space_pred(s, ir, r->pred, b, POL_PEER(r->direction));
	if (peer == POL_NO)
		return peer;
	return l4 == POL_YES && own == POL_YES && peer == POL_YES ? POL_YES : POL_UNDECIDED;
}

/* ---- steps ----------------------------------------------------------------------------- */

#define NODES_A_STEP 16u /* of selectors */
#define WORDS_A_STEP 8u /* of labels */

static uint64_t term_nodes(const struct pol_space *s, size_t ir, const struct pol_term *t)
{
	return 1 + (t->sel ? s->sel[ir][t->sel].size : 0);
}

static uint64_t pred_nodes(const struct pol_space *s, size_t ir, uint32_t pred)
{
	const struct pol_pred *p = &s->ir[ir]->preds.v[pred];
	uint64_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += term_nodes(s, ir, &p->term[i]);
	return n;
}

uint64_t pol_space_term_steps(const struct pol_space *s, size_t ir, const struct pol_term *t)
{
	return 1 + term_nodes(s, ir, t) / NODES_A_STEP;
}

uint64_t pol_space_pred_steps(const struct pol_space *s, size_t ir, uint32_t pred)
{
	return 1 + pred_nodes(s, ir, pred) / NODES_A_STEP;
}

uint64_t pol_space_rule_steps(const struct pol_space *s, size_t ir, const struct pol_rule *r)
{
	return 1 + (s->sel[ir][r->subject].size + pred_nodes(s, ir, r->pred)) / NODES_A_STEP;
}

uint64_t pol_box_part_steps(const struct pol_space *s, const struct pol_cut *c)
{
	return c->kind == POL_CUT_LABEL ? s->words / WORDS_A_STEP : 0;
}

void pol_steps_spend(uint64_t *steps, uint64_t n)
{
	*steps -= n < *steps ? n : *steps;
}

/* ---- cuts ------------------------------------------------------------------------------ */

/* The middle one of the bounds of the ranges inside (lo, hi]. */
#define MIDDLE(ranges, count, lo_, hi_)                                                            \
	({                                                                                         \
		size_t first_ = SEEK(ranges, count, lo_), last_ = first_, mid_;                    \
		size_t left_n_ = (count)-first_;                                                   \
		/* The last range that begins at hi or before. */                                  \
		while (left_n_ > 1) {                                                              \
			size_t half_n_ = left_n_ / 2;                                              \
			if ((ranges)[last_ + half_n_].lo <= (hi_)) {                               \
				last_ += half_n_;                                                  \
				left_n_ -= half_n_;                                                \
			} else {                                                                   \
				left_n_ = half_n_;                                                 \
			}                                                                          \
		}                                                                                  \
		mid_ = first_ + (last_ - first_ + 1) / 2;                                          \
		(ranges)[mid_].lo > (lo_) ? (pol_u128)(ranges)[mid_].lo                            \
					  : (pol_u128)(ranges)[mid_].hi + 1;                       \
	})

struct pol_cut pol_cut_aset(const struct pol_aset *set, const struct pol_box *b, unsigned end)
{
	pol_u128 lo = b->end[end].lo, hi = b->end[end].hi;
	pol_u128 at = b->family == 4 ? MIDDLE(set->v4, set->n4, lo, hi)
				     : MIDDLE(set->v6, set->n6, lo, hi);

	return (struct pol_cut){ .kind = POL_CUT_ADDRESS, .end = end, .at = at };
}

struct pol_cut pol_cut_l4(const struct pol_space *s, size_t ir, uint32_t l4,
			  const struct pol_box *b)
{
	const struct pol_l4set *x = &s->l4[ir][l4];

	return (struct pol_cut){ .kind = POL_CUT_L4,
				 .at = MIDDLE(x->range, x->n, b->l4_lo, b->l4_hi) };
}

static struct pol_cut cut_sel(const struct pol_space *s, size_t ir, uint32_t sel,
			      const struct pol_box *b, unsigned end)
{
	const struct pol_sel *x = &s->ir[ir]->sels.v[sel];
	const struct pol_space_sel *m = &s->sel[ir][sel];

	while (x->op != POL_SEL_IN && x->op != POL_SEL_HAS) {
		size_t i = 0;

		while (i + 1 < x->n &&
		       pol_space_sel(s, ir, x->operand[i], b->end[end].labels) != POL_UNDECIDED)
			i++;
		m = &s->sel[ir][x->operand[i]];
		x = &s->ir[ir]->sels.v[x->operand[i]];
	}
	return (struct pol_cut){
		.kind = POL_CUT_LABEL, .end = end, .key = m->key, .bits = m->bits
	};
}

static struct pol_cut cut_kinds(const struct pol_ir *ir, uint32_t mask, const struct pol_box *b,
				unsigned end)
{
	uint32_t kinds = b->end[end].kinds, known = kinds & ~POL_KIND_STRANGER;

	if (known & mask && known & ~mask)
		return (struct pol_cut){ .kind = POL_CUT_KINDS, .end = end, .kinds = known & mask };
	if (known && kinds != known)
		return (struct pol_cut){ .kind = POL_CUT_KINDS, .end = end, .kinds = known };
	return pol_cut_aset(&ir->asets.v[ir->pool], b, end);
}

struct pol_cut pol_cut_term(const struct pol_space *s, size_t ir, const struct pol_term *t,
			    const struct pol_box *b, unsigned end)
{
	if (test_kinds(s->ir[ir], t->mask, b, end) == POL_UNDECIDED)
		return cut_kinds(s->ir[ir], t->mask, b, end);
	if (t->sel && pol_space_sel(s, ir, t->sel, b->end[end].labels) == POL_UNDECIDED)
		return cut_sel(s, ir, t->sel, b, end);
	return pol_cut_aset(&s->ir[ir]->asets.v[t->aset], b, end);
}

struct pol_cut pol_cut_pred(const struct pol_space *s, size_t ir, uint32_t pred,
			    const struct pol_box *b, unsigned end)
{
	const struct pol_pred *p = &s->ir[ir]->preds.v[pred];
	size_t i = 0;

	while (i + 1 < p->n && test_term(s, ir, &p->term[i], b, end) != POL_UNDECIDED)
		i++;
	return pol_cut_term(s, ir, &p->term[i], b, end);
}

struct pol_cut pol_cut_rule(const struct pol_space *s, size_t ir, const struct pol_rule *r,
			    const struct pol_box *b)
{
	unsigned own = POL_OWN(r->direction), peer = POL_PEER(r->direction);

	if (pol_space_l4(s, ir, r->l4, b) == POL_UNDECIDED)
		return pol_cut_l4(s, ir, r->l4, b);
	if (pol_space_sel(s, ir, r->subject, b->end[own].labels) == POL_UNDECIDED)
		return cut_sel(s, ir, r->subject, b, own);
	return pol_cut_pred(s, ir, r->pred, b, peer);
}

static const uint64_t *part_labels(const struct pol_space *s, const struct pol_box *b,
				   const struct pol_cut *c, bool second)
{
	const struct pol_space_key *k = &s->key[c->key];
	uint64_t *v = malloc(s->words * sizeof(*v));

	if (!v)
		pol_no_memory();
	memcpy(v, b->end[c->end].labels, s->words * sizeof(*v));
	for (uint32_t i = 0; i < k->words; i++)
		v[k->word + i] &= second ? ~c->bits[i] : c->bits[i];
	return v;
}

struct pol_box pol_box_part(const struct pol_space *s, const struct pol_box *b,
			    const struct pol_cut *c, bool second)
{
	struct pol_box part = *b;
	struct pol_end *end = &part.end[c->end];

	switch (c->kind) {
	case POL_CUT_KINDS:
		end->kinds = second ? end->kinds & ~c->kinds : c->kinds;
		break;
	case POL_CUT_ADDRESS:
		if (second)
			end->lo = c->at;
		else
			end->hi = c->at - 1;
		break;
	case POL_CUT_L4:
		if (second)
			part.l4_lo = (uint32_t)c->at;
		else
			part.l4_hi = (uint32_t)c->at - 1;
		break;
	case POL_CUT_LABEL:
		end->labels = part_labels(s, b, c, second);
		break;
	}
	return part;
}

void pol_box_drop(struct pol_box *part, const struct pol_cut *c)
{
	if (c->kind == POL_CUT_LABEL)
		free((uint64_t *)part->end[c->end].labels);
}
