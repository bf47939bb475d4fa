/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/solve.h"

#include <stdlib.h>

/* A key, the values that are told apart, and the choice: -1 open, 0 missing, i is value[i - 1]. */
struct key {
	struct pol_str name;
	POL_VEC(struct pol_str) values;
	int32_t choice;
};

struct search {
	const struct pol_ir *ir;
	const struct pol_want *want;
	size_t n;
	struct key *key;
	size_t n_keys, keys_cap;
	uint64_t *steps;
};

/* ---- keys --------------------------------------------------------------------- */

static bool spend(struct search *s, uint64_t steps)
{
	*s->steps = *s->steps > steps ? *s->steps - steps : 0;
	return *s->steps > 0;
}

static struct key *key_add(struct search *s, struct pol_str name)
{
	struct key *k;

	for (size_t i = 0; i < s->n_keys; i++)
		if (pol_str_eq(s->key[i].name, name))
			return &s->key[i];
	pol_vec_grow((void **)&s->key, &s->keys_cap, s->n_keys + 1, sizeof(*s->key));
	k = &s->key[s->n_keys++];
	k->name = name;
	k->choice = -1;
	return k;
}

static bool gather(struct search *s, uint32_t sel)
{
	const struct pol_sel *x = &s->ir->sels.v[sel];
	struct key *k;

	if (!spend(s, 1 + s->n_keys / 16))
		return false;
	for (size_t i = 0; x->operand && i < x->n; i++)
		if (!gather(s, x->operand[i]))
			return false;
	if (x->op != POL_SEL_IN && x->op != POL_SEL_HAS)
		return true;
	k = key_add(s, x->key);
	for (size_t i = 0; x->op == POL_SEL_IN && i < x->n; i++)
		*pol_vec_push(&k->values) = x->value[i];
	return true;
}

static int str_cmp(const void *a, const void *b)
{
	return pol_str_cmp(*(const struct pol_str *)a, *(const struct pol_str *)b);
}

static int key_cmp(const void *a, const void *b)
{
	return pol_str_cmp(((const struct key *)a)->name, ((const struct key *)b)->name);
}

static bool listed(const struct key *k, struct pol_str value)
{
	return k->values.n && bsearch(&value, k->values.v, k->values.n, sizeof(value), str_cmp);
}

/* Values sorted and unique, then one that no selector mentions. */
static void key_settle(struct key *k, struct pol_arena *a)
{
	struct pol_str other = POL_STR("other");
	size_t out = 0;

	if (k->values.n)
		qsort(k->values.v, k->values.n, sizeof(*k->values.v), str_cmp);
	for (size_t i = 0; i < k->values.n; i++)
		if (!out || !pol_str_eq(k->values.v[out - 1], k->values.v[i]))
			k->values.v[out++] = k->values.v[i];
	k->values.n = out;
	for (unsigned i = 2; listed(k, other); i++)
		other = pol_arena_printf(a, "other-%u", i);
	*pol_vec_push(&k->values) = other;
}

/* ---- three-valued tests ------------------------------------------------------- */

static struct key *key_find(const struct search *s, struct pol_str name)
{
	struct key want = { .name = name };

	return bsearch(&want, s->key, s->n_keys, sizeof(*s->key), key_cmp);
}

static enum pol_answer not(enum pol_answer a) {
	return a == POL_UNDECIDED ? a
	       : a == POL_YES     ? POL_NO
				  : POL_YES;
}

static enum pol_answer test_value(const struct pol_sel *x, const struct key *k)
{
	if (k->choice < 0)
		return POL_UNDECIDED;
	if (k->choice == 0)
		return POL_NO;
	if (x->op == POL_SEL_HAS)
		return POL_YES;
	return bsearch(&k->values.v[k->choice - 1], x->value, x->n, sizeof(*x->value), str_cmp)
		       ? POL_YES
		       : POL_NO;
}

/* With the choices so far; UNDECIDED also when nothing is left to spend. */
static enum pol_answer test(struct search *s, uint32_t sel)
{
	const struct pol_sel *x = &s->ir->sels.v[sel];
	enum pol_answer end = x->op == POL_SEL_AND ? POL_NO : POL_YES, all = not(end), a;

	if (!spend(s, 1))
		return POL_UNDECIDED;
	switch (x->op) {
	case POL_SEL_TRUE:
		return POL_YES;
	case POL_SEL_IN:
	case POL_SEL_HAS:
		return test_value(x, key_find(s, x->key));
	case POL_SEL_NOT:
		return not(test(s, x->operand[0]));
	case POL_SEL_AND:
	case POL_SEL_OR:
		for (size_t i = 0; i < x->n; i++) {
			a = test(s, x->operand[i]);
			if (a == end)
				return end;
			if (a == POL_UNDECIDED)
				all = a;
		}
		return all;
	}
	return POL_UNDECIDED;
}

static enum pol_answer test_all(struct search *s)
{
	enum pol_answer all = POL_YES, a;

	for (size_t i = 0; i < s->n; i++) {
		a = test(s, s->want[i].sel);
		if (!s->want[i].value)
			a = not(a);
		if (a == POL_NO)
			return POL_NO;
		if (a == POL_UNDECIDED)
			all = a;
	}
	return all;
}

/* ---- search ------------------------------------------------------------------- */

/* With at most `room` more labels, keys from `at` on being open. */
static enum pol_answer search(struct search *s, size_t at, size_t room)
{
	enum pol_answer a = test_all(s);
	struct key *k;

	if (a != POL_UNDECIDED)
		return a;
	if (*s->steps == 0 || at == s->n_keys)
		return POL_UNDECIDED;
	k = &s->key[at];
	for (size_t c = 0; c <= (room ? k->values.n : 0); c++) {
		k->choice = (int32_t)c;
		a = search(s, at + 1, room - (c > 0));
		if (a != POL_NO)
			return a;
	}
	k->choice = -1;
	return POL_NO;
}

static void answer(struct search *s, struct pol_arena *a, struct pol_labels *found)
{
	struct pol_label *v = pol_arena_alloc(a, (s->n_keys + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < s->n_keys; i++)
		if (s->key[i].choice > 0)
			v[n++] = (struct pol_label){ s->key[i].name,
						     s->key[i].values.v[s->key[i].choice - 1] };
	*found = (struct pol_labels){ v, n };
}

enum pol_answer pol_solve(const struct pol_ir *ir, const struct pol_want *want, size_t n,
			  uint64_t *steps, struct pol_arena *a, struct pol_labels *found)
{
	struct search s = { .ir = ir, .want = want, .n = n, .steps = steps };
	enum pol_answer result = POL_NO;
	bool gathered = true;

	for (size_t i = 0; i < n && gathered; i++)
		gathered = gather(&s, want[i].sel);
	if (s.n_keys)
		qsort(s.key, s.n_keys, sizeof(*s.key), key_cmp);
	for (size_t i = 0; i < s.n_keys; i++)
		key_settle(&s.key[i], a);
	/* Fewest labels: first none, then one, and so on; without a witness, any number at once. */
	for (size_t room = found ? 0 : s.n_keys; gathered && result == POL_NO && room <= s.n_keys;
	     room++)
		result = search(&s, 0, room);
	if (!gathered)
		result = POL_UNDECIDED;
	if (result == POL_YES && found)
		answer(&s, a, found);
	for (size_t i = 0; i < s.n_keys; i++)
		pol_vec_free(&s.key[i].values);
	free(s.key);
	return result;
}
