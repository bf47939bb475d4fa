/* SPDX-License-Identifier: GPL-2.0-only */
#include "kinds.h"

#include "runtime/input/manifest.h"
#include "place.h"

static void *must(void *p)
{
	if (!p)
		pol_no_memory();
	return p;
}

/* ---- lists --------------------------------------------------------------- */

static uint32_t *list_slot(const struct prt_lists *l, uint32_t *slot, uint32_t cap,
			   const uint32_t *v, uint32_t n)
{
	uint32_t at = (uint32_t)pol_hash(v, n * sizeof(*v), n) & (cap - 1);

	for (; slot[at]; at = (at + 1) & (cap - 1)) {
		const struct prt_list *have = &l->list.v[slot[at] - 1];

		if (have->n == n && (!n || memcmp(have->v, v, n * sizeof(*v)) == 0))
			break;
	}
	return &slot[at];
}

static void lists_grow(struct prt_lists *l)
{
	uint32_t cap = l->cap ? l->cap * 2 : 64;
	uint32_t *slot;

	if (2 * (l->list.n + 1) <= l->cap)
		return;
	slot = must(calloc(cap, sizeof(*slot)));
	for (uint32_t i = 0; i < l->list.n; i++)
		*list_slot(l, slot, cap, l->list.v[i].v, l->list.v[i].n) = i + 1;
	free(l->slot);
	l->slot = slot;
	l->cap = cap;
}

uint32_t prt_lists_add(struct prt_lists *l, const uint32_t *v, uint32_t n)
{
	uint32_t *slot;
	struct prt_list *new;

	lists_grow(l);
	slot = list_slot(l, l->slot, l->cap, v, n);
	if (*slot)
		return *slot - 1;
	new = pol_vec_push(&l->list);
	new->n = n;
	new->v = must(malloc(n ? n * sizeof(*v) : 1));
	if (n)
		memcpy(new->v, v, n * sizeof(*v));
	*slot = (uint32_t)l->list.n;
	return *slot - 1;
}

void prt_lists_free(struct prt_lists *l)
{
	for (size_t i = 0; i < l->list.n; i++)
		free(l->list.v[i].v);
	pol_vec_free(&l->list);
	free(l->slot);
	*l = (struct prt_lists){ 0 };
}

/* ---- selectors ----------------------------------------------------------- */

static bool all_hold(const struct prt_selector *s, const bool *holds)
{
	for (size_t i = 0; i < s->n; i++)
		if (!holds[s->operand[i]])
			return false;
	return true;
}

static bool any_holds(const struct prt_selector *s, const bool *holds)
{
	for (size_t i = 0; i < s->n; i++)
		if (holds[s->operand[i]])
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* key_value: by key, atom + 1 or 0 where the label is missing. */
static bool select_one(const struct prt_selector *s, const uint32_t *key_value, const bool *holds)
{
	uint32_t atom;

	switch (s->op) {
	case PRT_SEL_TRUE:
		return true;
	case PRT_SEL_IN:
		atom = key_value[s->key_id] - 1; /* missing: PRT_NONE, in no list */
		return bsearch(&atom, s->atom, s->n, sizeof(atom), by_number) != NULL;
	case PRT_SEL_HAS:
		return key_value[s->key_id] != 0;
	case PRT_SEL_NOT:
		return !holds[s->operand[0]];
	case PRT_SEL_AND:
		return all_hold(s, holds);
	case PRT_SEL_OR:
		return any_holds(s, holds);
	case PRT_SEL_OP_MAX:
		break;
	}
	return false;
}

/* A value that no selector names is still a value. */
#define OTHER_VALUE 0xfffffffeu

static int by_pair(const void *a, const void *b)
{
	return memcmp(a, b, 2 * sizeof(uint32_t));
}

/* Labels as pairs (key, atom) of what selectors can see, in one order; how many. */
static uint32_t project(const struct prt_manifest *m, const bool *key_has,
			const struct prt_label *labels, size_t n, uint32_t *out)
{
	uint32_t pairs = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t key = prt_key_find(m, labels[i].key), atom;

		if (key == PRT_NONE)
			continue;
		atom = prt_atom_find(m, key, labels[i].value);
		if (atom == PRT_NONE && !key_has[key])
			continue;
		out[2 * pairs] = key;
		out[2 * pairs + 1] = atom == PRT_NONE ? OTHER_VALUE : atom;
		pairs++;
	}
	if (pairs)
		qsort(out, pairs, 2 * sizeof(*out), by_pair);
	return pairs;
}

static void select_all(const struct prt_manifest *m, const uint32_t *pair, uint32_t pairs,
		       uint32_t *key_value, bool *out)
{
	for (uint32_t i = 0; i < pairs; i++)
		key_value[pair[2 * i]] = pair[2 * i + 1] + 1;
	for (size_t i = 0; i < m->nselectors; i++)
		out[i] = select_one(&m->selector[i], key_value, out);
	for (uint32_t i = 0; i < pairs; i++)
		key_value[pair[2 * i]] = 0;
}

void prt_select(const struct prt_object *o, const struct prt_label *labels, size_t nlabels,
		bool *out)
{
	struct prt_kinds k;
	uint32_t kind;

	prt_kinds_init(&k, &o->manifest);
	kind = prt_kinds_labels(&k, labels, nlabels);
	memcpy(out, k.label_kind.v[kind].holds, o->manifest.nselectors * sizeof(*out));
	prt_kinds_free(&k);
}

/* ---- kinds --------------------------------------------------------------- */

void prt_kinds_init(struct prt_kinds *k, const struct prt_manifest *m)
{
	size_t most = m->nblocks > m->npreds ? m->nblocks : m->npreds;

	*k = (struct prt_kinds){ .m = m };
	k->key_has = must(calloc(m->nkeys + 1, sizeof(*k->key_has)));
	k->key_value = must(calloc(m->nkeys + 1, sizeof(*k->key_value)));
	k->scratch = must(calloc(most + 1, sizeof(*k->scratch)));
	for (size_t i = 0; i < m->nselectors; i++)
		if (m->selector[i].op == PRT_SEL_HAS)
			k->key_has[m->selector[i].key_id] = true;
}

void prt_kinds_free(struct prt_kinds *k)
{
	for (size_t i = 0; i < k->label_kind.n; i++)
		free(k->label_kind.v[i].holds);
	pol_vec_free(&k->label_kind);
	pol_vec_free(&k->peer_kind);
	prt_lists_free(&k->labels);
	prt_lists_free(&k->own);
	prt_lists_free(&k->peer);
	prt_lists_free(&k->peer_of);
	free(k->key_has);
	free(k->key_value);
	free(k->scratch);
}

static uint32_t own_of(struct prt_kinds *k, const bool *holds)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->m->nblocks; i++)
		if (holds[k->m->block[i].subject])
			k->scratch[n++] = i;
	return prt_lists_add(&k->own, k->scratch, n);
}

uint32_t prt_kinds_labels(struct prt_kinds *k, const struct prt_label *labels, size_t n)
{
	uint32_t *pair POL_CLEANUP(pol_cleanup_free) = must(malloc((2 * n + 1) * sizeof(*pair)));
	uint32_t pairs = project(k->m, k->key_has, labels, n, pair);
	uint32_t kind = prt_lists_add(&k->labels, pair, 2 * pairs);
	struct prt_label_kind *new;

	if (kind < k->label_kind.n)
		return kind;
	new = pol_vec_push(&k->label_kind);
	new->holds = must(calloc(k->m->nselectors, sizeof(*new->holds)));
	select_all(k->m, pair, pairs, k->key_value, new->holds);
	new->own = own_of(k, new->holds);
	return kind;
}

uint32_t prt_kinds_own(const struct prt_kinds *k, uint32_t label_kind)
{
	return k->label_kind.v[label_kind].own;
}

static bool in_set(const struct prt_class_set *s, uint32_t class)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->range[mid].hi < class)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->range[lo].lo <= class;
}

static bool pred_holds(const struct prt_manifest *m, const struct prt_pred *p, const bool *holds,
		       uint32_t class)
{
	for (size_t i = 0; i < p->n; i++)
		if (holds[p->term[i].selector] &&
		    (!p->term[i].set || in_set(&m->set[p->term[i].set], class)))
			return true;
	return false;
}

uint32_t prt_kinds_peer(struct prt_kinds *k, uint32_t label_kind, uint32_t address_class)
{
	uint32_t pair[2] = { label_kind, address_class }, n = 0;
	uint32_t at = prt_lists_add(&k->peer_of, pair, 2);

	if (at < k->peer_kind.n)
		return k->peer_kind.v[at];
	for (uint32_t i = 0; i < k->m->npreds; i++)
		if (pred_holds(k->m, &k->m->pred[i], k->label_kind.v[label_kind].holds,
			       address_class))
			k->scratch[n++] = i;
	*pol_vec_push(&k->peer_kind) = prt_lists_add(&k->peer, k->scratch, n);
	return k->peer_kind.v[at];
}
