/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The smallest automaton of the same language (Hopcroft 1971), then equal
 * columns are one class.  Blocks of states that differ in nothing found so far
 * are split by who leads into one block by one class, the smaller half first.
 */
#include "compiler/http/automaton.h"

struct blocks {
	uint32_t *state; /* permutation: the states of a block lie together */
	uint32_t *where; /* by state: its place in `state` */
	uint32_t *block; /* by state */
	uint32_t *first, *end; /* by block: places */
	uint32_t *moved; /* by block: states at its front that are being split off */
	uint32_t n;
};

struct inverse { /* who leads to a state by a class */
	uint32_t *at; /* [class * (states + 1) + state] */
	uint32_t *from; /* [class * states + ...] */
};

static uint32_t *numbers(size_t n)
{
	void *p = NULL;
	size_t cap = 0;

	pol_vec_grow(&p, &cap, n ? n : 1, sizeof(uint32_t));
	return p;
}

static void invert(struct inverse *v, const struct pol_dfa *d)
{
	size_t n = d->states;

	v->at = numbers(d->classes * (n + 1));
	v->from = numbers(d->classes * n);
	for (uint32_t c = 0; c < d->classes; c++) {
		uint32_t *at = v->at + c * (n + 1), *from = v->from + c * n;

		for (size_t s = 0; s < n; s++)
			at[d->next[s * d->classes + c] + 1]++;
		for (size_t s = 0; s < n; s++)
			at[s + 1] += at[s];
		for (size_t s = n; s-- > 0;)
			from[--at[d->next[s * d->classes + c] + 1]] = (uint32_t)s;
		/* at[s + 1] is where s begins now: one to the left again */
		memmove(at, at + 1, n * sizeof(*at));
		at[n] = (uint32_t)n;
	}
}

static void swap_to(struct blocks *b, uint32_t s, uint32_t place)
{
	uint32_t other = b->state[place], from = b->where[s];

	b->state[place] = s;
	b->where[s] = place;
	b->state[from] = other;
	b->where[other] = from;
}

struct by_accept {
	uint32_t accept, state;
};

static int compare_accept(const void *a, const void *b)
{
	const struct by_accept *x = a, *y = b;

	if (x->accept != y->accept)
		return x->accept < y->accept ? -1 : 1;
	return (x->state > y->state) - (x->state < y->state);
}

static void begin(struct blocks *b, const struct pol_dfa *d)
{
	struct by_accept *all = malloc(d->states * sizeof(*all));

	b->state = numbers(d->states);
	b->where = numbers(d->states);
	b->block = numbers(d->states);
	b->first = numbers(d->states);
	b->end = numbers(d->states);
	b->moved = numbers(d->states);
	if (!all)
		pol_no_memory();
	for (uint32_t s = 0; s < d->states; s++)
		all[s] = (struct by_accept){ d->accept[s], s };
	qsort(all, d->states, sizeof(*all), compare_accept);
	for (uint32_t i = 0; i < d->states; i++) {
		if (!i || all[i].accept != all[i - 1].accept)
			b->first[b->n++] = i;
		b->state[i] = all[i].state;
		b->where[all[i].state] = i;
		b->block[all[i].state] = b->n - 1;
		b->end[b->n - 1] = i + 1;
	}
	free(all);
}

struct queue {
	POL_VEC(uint32_t) todo; /* blocks */
	bool *in;
};

static void enqueue(struct queue *q, uint32_t block)
{
	if (!q->in[block]) {
		q->in[block] = true;
		*pol_vec_push(&q->todo) = block;
	}
}

/* Splits every block by who is in `hit`, the states that lead into the splitter. */
static void split(struct blocks *b, struct queue *q, const uint32_t *hit, size_t n)
{
	POL_VEC(uint32_t) touched = { 0 };

	for (size_t i = 0; i < n; i++) {
		uint32_t k = b->block[hit[i]];

		if (!b->moved[k])
			*pol_vec_push(&touched) = k;
		swap_to(b, hit[i], b->first[k] + b->moved[k]++);
	}
	for (size_t i = 0; i < touched.n; i++) {
		uint32_t k = touched.v[i], mid = b->first[k] + b->moved[k], new = b->n;

		b->moved[k] = 0;
		if (mid == b->end[k])
			continue;
		b->n++;
		b->first[new] = b->first[k];
		b->end[new] = mid;
		b->first[k] = mid;
		for (uint32_t p = b->first[new]; p < mid; p++)
			b->block[b->state[p]] = new;
		if (q->in[k] || mid - b->first[new] <= b->end[k] - mid)
			enqueue(q, new);
		else
			enqueue(q, k);
	}
	pol_vec_free(&touched);
}

static void refine(struct blocks *b, const struct pol_dfa *d)
{
	POL_VEC(uint32_t) hit = { 0 }, splitter = { 0 };
	struct inverse v;
	struct queue q = { .in = NULL };

	q.in = calloc(d->states, sizeof(*q.in));
	if (!q.in)
		pol_no_memory();
	invert(&v, d);
	for (uint32_t k = 0; k < b->n; k++)
		enqueue(&q, k);
	while (q.todo.n) {
		uint32_t k = q.todo.v[--q.todo.n];

		q.in[k] = false;
		/* what the block holds now: it may itself be split below */
		splitter.n = 0;
		for (uint32_t p = b->first[k]; p < b->end[k]; p++)
			*pol_vec_push(&splitter) = b->state[p];
		for (uint32_t c = 0; c < d->classes; c++) {
			const uint32_t *at = v.at + c * ((size_t)d->states + 1);
			const uint32_t *from = v.from + c * (size_t)d->states;

			hit.n = 0;
			for (size_t i = 0; i < splitter.n; i++)
				for (uint32_t j = at[splitter.v[i]]; j < at[splitter.v[i] + 1]; j++)
					*pol_vec_push(&hit) = from[j];
			split(b, &q, hit.v, hit.n);
		}
	}
	free(q.in);
	free(v.at);
	free(v.from);
	pol_vec_free(&q.todo);
	pol_vec_free(&hit);
	pol_vec_free(&splitter);
}

/*
 * New numbers in the order in which the states are met from the start, so that equal
 * languages give equal bytes; the dead one is 0.
 */
static void renumber(struct pol_dfa *d, const struct blocks *b)
{
	uint32_t *number = numbers(b->n), *order = numbers(b->n), *next, *accept, n = 1;

	memset(number, 0xff, b->n * sizeof(*number));
	number[b->block[0]] = 0;
	order[0] = 0;
	if (number[b->block[d->start]]) {
		number[b->block[d->start]] = n;
		order[n++] = d->start;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; c < d->classes; c++) {
			uint32_t to = d->next[(size_t)order[i] * d->classes + c];

			if (number[b->block[to]] == UINT32_MAX) {
				number[b->block[to]] = n;
				order[n++] = to;
			}
		}
	next = numbers((size_t)n * d->classes);
	accept = numbers(n);
	for (uint32_t i = 0; i < n; i++) {
		accept[i] = d->accept[order[i]];
		for (uint32_t c = 0; c < d->classes; c++)
			next[(size_t)i * d->classes + c] =
				number[b->block[d->next[(size_t)order[i] * d->classes + c]]];
	}
	d->start = number[b->block[d->start]];
	free(d->next);
	free(d->accept);
	d->next = next;
	d->accept = accept;
	d->states = n;
	free(number);
	free(order);
}

static bool same_column(const struct pol_dfa *d, uint32_t a, uint32_t b)
{
	for (uint32_t s = 0; s < d->states; s++)
		if (d->next[(size_t)s * d->classes + a] != d->next[(size_t)s * d->classes + b])
			return false;
	return true;
}

/* Classes that lead to the same states everywhere are one. */
static void join_classes(struct pol_dfa *d)
{
	uint32_t to[256], keep[256], n = 0, *next;

	for (uint32_t c = 0; c < d->classes; c++) {
		uint32_t k = 0;

		while (k < n && !same_column(d, keep[k], c))
			k++;
		if (k == n)
			keep[n++] = c;
		to[c] = k;
	}
	next = numbers((size_t)d->states * n);
	for (uint32_t s = 0; s < d->states; s++)
		for (uint32_t k = 0; k < n; k++)
			next[(size_t)s * n + k] = d->next[(size_t)s * d->classes + keep[k]];
	for (unsigned c = 0; c < 256; c++)
		d->class[c] = (uint8_t)to[d->class[c]];
	free(d->next);
	d->next = next;
	d->classes = n;
}

void pol_dfa_minimise(struct pol_dfa *d)
{
	struct blocks b = { .n = 0 };

	begin(&b, d);
	refine(&b, d);
	renumber(d, &b);
	join_classes(d);
	free(b.state);
	free(b.where);
	free(b.block);
	free(b.first);
	free(b.end);
	free(b.moved);
}
