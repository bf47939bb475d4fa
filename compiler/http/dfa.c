/* SPDX-License-Identifier: GPL-2.0-only */
/* Subsets of the nondeterministic automaton's states become states. */
#include "compiler/http/automaton.h"

#include <errno.h>

/* ---- lists of numbers, each once ---------------------------------------------------- */

struct lists {
	POL_VEC(uint32_t) pool; /* length, elements, length, elements ... */
	POL_VEC(uint32_t) at; /* by list: where it begins in pool */
	uint32_t *slot; /* hash table of list numbers plus 1 */
	size_t nslots;
};

static void lists_free(struct lists *l)
{
	pol_vec_free(&l->pool);
	pol_vec_free(&l->at);
	free(l->slot);
}

static bool lists_same(const struct lists *l, uint32_t no, const uint32_t *v, size_t n)
{
	const uint32_t *have = l->pool.v + l->at.v[no];

	return have[0] == n && (!n || memcmp(have + 1, v, n * sizeof(*v)) == 0);
}

static size_t lists_slot(const struct lists *l, const uint32_t *v, size_t n)
{
	size_t i = pol_hash(v, n * sizeof(*v), 0) & (l->nslots - 1);

	while (l->slot[i] && !lists_same(l, l->slot[i] - 1, v, n))
		i = (i + 1) & (l->nslots - 1);
	return i;
}

static void lists_grow(struct lists *l)
{
	l->nslots = l->nslots ? l->nslots * 2 : 1024;
	free(l->slot);
	l->slot = NULL;
	size_t cap = 0;

	pol_vec_grow((void **)&l->slot, &cap, l->nslots, sizeof(*l->slot));
	for (size_t i = 0; i < l->at.n; i++) {
		const uint32_t *have = l->pool.v + l->at.v[i];

		l->slot[lists_slot(l, have + 1, have[0])] = (uint32_t)i + 1;
	}
}

/* The number of the list with these elements. */
static uint32_t lists_number(struct lists *l, const uint32_t *v, size_t n)
{
	size_t i;

	if (l->at.n * 2 >= l->nslots)
		lists_grow(l);
	i = lists_slot(l, v, n);
	if (!l->slot[i]) {
		*pol_vec_push(&l->at) = (uint32_t)l->pool.n;
		*pol_vec_push(&l->pool) = (uint32_t)n;
		for (size_t k = 0; k < n; k++)
			*pol_vec_push(&l->pool) = v[k];
		l->slot[i] = (uint32_t)l->at.n;
	}
	return l->slot[i] - 1;
}

/* ---- classes of bytes ------------------------------------------------------------------ */

/* Bytes that lie in the same sets are one class. */
static void classes_of(struct pol_dfa *d, const struct pol_nfa *n)
{
	d->classes = 1;
	for (size_t s = 0; s < n->sets.n && d->classes < 256; s++) {
		uint16_t moved[256];

		memset(moved, 0xff, sizeof(moved));
		/* who is in the set leaves its class, unless the whole class does */
		for (unsigned c = 0; c < 256; c++) {
			uint8_t old = d->class[c];
			bool all = true;

			if (!pol_byteset_has(&n->sets.v[s], (unsigned char)c))
				continue;
			if (moved[old] == 0xffff) {
				for (unsigned o = 0; o < 256 && all; o++)
					all = d->class[o] != old ||
					      pol_byteset_has(&n->sets.v[s], (unsigned char)o);
				moved[old] = all ? old : (uint16_t)d->classes++;
			}
			d->class[c] = (uint8_t)moved[old];
		}
	}
}

/* ---- the construction --------------------------------------------------------------------- */

struct work {
	const struct pol_nfa *n;
	struct pol_dfa *d;
	struct lists subsets; /* by state of d: what it stands for; list 0 is empty */
	struct lists marks;
	POL_VEC(uint32_t) next;
	POL_VEC(uint32_t) accept; /* list of marks, by state */
	POL_VEC(uint32_t) * bucket; /* by class: where the bytes of it lead */
	POL_VEC(uint8_t) * set_class; /* by set: its classes */
	POL_VEC(uint32_t) subset, stack;
	uint32_t *stamp, now; /* by state of n: seen in this closure */
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void reach(struct work *w, uint32_t s)
{
	if (w->stamp[s] == w->now)
		return;
	w->stamp[s] = w->now;
	*pol_vec_push(&w->stack) = s;
}

/* w->subset: all that is reached from there without reading, but for the splits. */
static void close_over(struct work *w, const uint32_t *from, size_t n)
{
	w->now++;
	w->subset.n = 0;
	for (size_t i = 0; i < n; i++)
		reach(w, from[i]);
	while (w->stack.n) {
		uint32_t s = w->stack.v[--w->stack.n];
		const struct pol_nfa_state *q = &w->n->state.v[s];

		if (q->kind == POL_NFA_SPLIT) {
			reach(w, q->to[0]);
			reach(w, q->to[1]);
		} else {
			*pol_vec_push(&w->subset) = s;
		}
	}
	if (w->subset.n)
		qsort(w->subset.v, w->subset.n, sizeof(*w->subset.v), by_number);
}

static uint32_t accept_of(struct work *w)
{
	POL_VEC(uint32_t) marks = { 0 };
	size_t kept = 0;
	uint32_t no;

	for (size_t i = 0; i < w->subset.n; i++)
		if (w->n->state.v[w->subset.v[i]].kind == POL_NFA_ACCEPT)
			*pol_vec_push(&marks) = w->n->state.v[w->subset.v[i]].mark;
	if (marks.n)
		qsort(marks.v, marks.n, sizeof(*marks.v), by_number);
	for (size_t i = 0; i < marks.n; i++)
		if (!i || marks.v[i] != marks.v[i - 1])
			marks.v[kept++] = marks.v[i];
	no = lists_number(&w->marks, marks.v, kept);
	pol_vec_free(&marks);
	return no;
}

/* The state of w->subset. */
static uint32_t state_of(struct work *w)
{
	uint32_t no = lists_number(&w->subsets, w->subset.v, w->subset.n);

	if (no >= w->accept.n)
		*pol_vec_push(&w->accept) = accept_of(w);
	return no;
}

static void expand(struct work *w, uint32_t state)
{
	const uint32_t *list = w->subsets.pool.v + w->subsets.at.v[state];

	for (uint32_t i = 0; i < list[0]; i++) {
		const struct pol_nfa_state *q = &w->n->state.v[list[1 + i]];

		if (q->kind != POL_NFA_BYTES)
			continue;
		for (size_t k = 0; k < w->set_class[q->set].n; k++)
			*pol_vec_push(&w->bucket[w->set_class[q->set].v[k]]) = q->to[0];
	}
	for (uint32_t c = 0; c < w->d->classes; c++) {
		close_over(w, w->bucket[c].v, w->bucket[c].n);
		w->bucket[c].n = 0;
		*pol_vec_push(&w->next) = state_of(w);
	}
}

static void *zeroed(size_t n, size_t size)
{
	void *p = NULL;
	size_t cap = 0;

	pol_vec_grow(&p, &cap, n ? n : 1, size);
	return p;
}

static void work_begin(struct work *w)
{
	w->bucket = zeroed(256, sizeof(*w->bucket));
	w->set_class = zeroed(w->n->sets.n, sizeof(*w->set_class));
	w->stamp = zeroed(w->n->state.n, sizeof(*w->stamp));
	for (size_t s = 0; s < w->n->sets.n; s++) {
		bool has[256] = { false };

		for (unsigned c = 0; c < 256; c++)
			if (pol_byteset_has(&w->n->sets.v[s], (unsigned char)c) &&
			    !has[w->d->class[c]]) {
				has[w->d->class[c]] = true;
				*pol_vec_push(&w->set_class[s]) = w->d->class[c];
			}
	}
}

static void work_end(struct work *w)
{
	for (unsigned c = 0; c < 256; c++)
		pol_vec_free(&w->bucket[c]);
	for (size_t s = 0; s < w->n->sets.n; s++)
		pol_vec_free(&w->set_class[s]);
	free(w->bucket);
	free(w->set_class);
	free(w->stamp);
	lists_free(&w->subsets);
	lists_free(&w->marks);
	pol_vec_free(&w->next);
	pol_vec_free(&w->accept);
	pol_vec_free(&w->subset);
	pol_vec_free(&w->stack);
}

static void hand_over(struct work *w)
{
	struct pol_dfa *d = w->d;

	d->states = (uint32_t)w->subsets.at.n;
	d->next = POL_TAKE_PTR(w->next.v);
	d->accept = POL_TAKE_PTR(w->accept.v);
	for (uint32_t i = 0; i < d->states; i++)
		d->accept[i] = w->marks.at.v[d->accept[i]];
	d->marks.v = POL_TAKE_PTR(w->marks.pool.v);
	d->marks.n = w->marks.pool.n;
	d->marks.cap = w->marks.pool.cap;
}

int pol_dfa_of(struct pol_dfa *d, const struct pol_nfa *n, uint32_t max)
{
	struct work w = { .n = n, .d = d };
	uint32_t state;

	*d = (struct pol_dfa){ 0 };
	if (n->full)
		return -E2BIG;
	classes_of(d, n);
	work_begin(&w);
	state_of(&w); /* the empty subset is state 0, the empty list of marks list 0 */
	close_over(&w, n->start.v, n->start.n);
	d->start = state_of(&w);
	for (state = 0; state < w.subsets.at.n && w.subsets.at.n <= max; state++)
		expand(&w, state);
	if (w.subsets.at.n <= max)
		hand_over(&w);
	work_end(&w);
	return d->next ? 0 : -E2BIG;
}

void pol_dfa_free(struct pol_dfa *d)
{
	free(d->next);
	free(d->accept);
	pol_vec_free(&d->marks);
	*d = (struct pol_dfa){ 0 };
}
