/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/filter/build.h"

void pol_lists_init(struct pol_lists *l)
{
	*l = (struct pol_lists){ .cap = 256 };
	l->slot = calloc(l->cap, sizeof(*l->slot));
	if (!l->slot)
		pol_no_memory();
	*pol_vec_push(&l->at) = 0;
	pol_vec_reserve(&l->words, 1); /* the empty list is somewhere, too */
	pol_lists_get(l, NULL, 0);
}

void pol_lists_free(struct pol_lists *l)
{
	pol_vec_free(&l->words);
	pol_vec_free(&l->at);
	free(l->slot);
	*l = (struct pol_lists){ 0 };
}

static uint64_t hash_of(const uint32_t *v, size_t n)
{
	return pol_hash(v, n * sizeof(*v), n);
}

static void grow(struct pol_lists *l)
{
	free(l->slot);
	l->cap *= 2;
	l->slot = calloc(l->cap, sizeof(*l->slot));
	if (!l->slot)
		pol_no_memory();
	for (uint32_t i = 0; i < pol_lists_count(l); i++) {
		size_t at = hash_of(pol_lists_at(l, i), pol_lists_len(l, i)) & (l->cap - 1);

		while (l->slot[at])
			at = (at + 1) & (l->cap - 1);
		l->slot[at] = i + 1;
	}
}

uint32_t pol_lists_get(struct pol_lists *l, const uint32_t *v, size_t n)
{
	size_t at = hash_of(v, n) & (l->cap - 1);
	uint32_t id;

	for (; l->slot[at]; at = (at + 1) & (l->cap - 1)) {
		id = l->slot[at] - 1;
		if (pol_lists_len(l, id) == n &&
		    (!n || !memcmp(pol_lists_at(l, id), v, n * sizeof(*v))))
			return id;
	}
	id = pol_lists_count(l);
	for (size_t i = 0; i < n; i++)
		*pol_vec_push(&l->words) = v[i];
	*pol_vec_push(&l->at) = (uint32_t)l->words.n;
	l->slot[at] = id + 1;
	if (2 * (size_t)id > l->cap)
		grow(l);
	return id;
}

uint32_t pol_words_room(struct pol_words *w, size_t words, size_t align)
{
	size_t at = (w->w.n + align - 1) / align * align;

	if (w->full || words > POL_FILTER_WORDS_MAX || at + words > POL_FILTER_WORDS_MAX) {
		w->full = true;
		return 0;
	}
	pol_vec_reserve(&w->w, at + words);
	w->w.n = at + words;
	return (uint32_t)at;
}
