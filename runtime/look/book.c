/* SPDX-License-Identifier: GPL-2.0-only */
#include "book.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "runtime/place/place.h"
#include "runtime/generation/store.h"

#define GENS_MAX 4u

struct prt_book_slot { /* open addressing; member 0: free */
	struct pol_addr addr;
	uint32_t member; /* index + 1, or FIXED */
	enum pol_entity entity;
};
#define FIXED UINT32_MAX

void prt_book_init(struct prt_book *b)
{
	memset(b, 0, sizeof(*b));
	prt_live_init(&b->l);
}

void prt_book_close(struct prt_book *b)
{
	pol_arena_free(b->arena);
	prt_live_close(&b->l);
	for (size_t i = 0; i < b->gens.n; i++) {
		prt_rules_free(&b->gens.v[i].rules);
		prt_object_free(b->gens.v[i].object);
	}
	pol_vec_free(&b->gens);
	prt_book_init(b);
}

/* ---- reading -------------------------------------------------------------------------- */

static struct prt_book_slot *slot_of(const struct prt_book *b, const struct pol_addr *a)
{
	size_t i = pol_hash(a, sizeof(*a), 0) & (b->nslots - 1);

	while (b->slot[i].member && memcmp(&b->slot[i].addr, a, sizeof(*a)))
		i = (i + 1) & (b->nslots - 1);
	return &b->slot[i];
}

static void enter(struct prt_book *b, const struct pol_addr *a, uint32_t member,
		  enum pol_entity entity)
{
	struct prt_book_slot *s = slot_of(b, a);

	if (!s->member)
		*s = (struct prt_book_slot){ .addr = *a, .member = member, .entity = entity };
}

static void index_world(struct prt_book *b)
{
	const struct prt_world *w = &b->l.world;
	size_t n = w->fixed.n;

	for (size_t i = 0; i < w->member.n; i++)
		n += w->member.v[i].addrs.n;
	for (b->nslots = 16; b->nslots < 2 * n;)
		b->nslots *= 2;
	b->slot = pol_arena_alloc(b->arena, b->nslots * sizeof(*b->slot));
	b->by_ep = pol_arena_alloc(b->arena, POL_EP_MAX * sizeof(*b->by_ep));
	for (size_t i = 0; i < w->member.n; i++) {
		const struct prt_member *m = &w->member.v[i];

		b->by_ep[m->ep % POL_EP_MAX] = m;
		for (size_t k = 0; k < m->addrs.n; k++)
			enter(b, &m->addrs.v[k].addr, (uint32_t)i + 1, POL_ENTITY_ENDPOINT);
	}
	for (size_t i = 0; i < w->fixed.n; i++)
		enter(b, &w->fixed.v[i].addr, FIXED, w->fixed.v[i].entity);
}

static void index_classes(struct prt_book *b)
{
	const struct prt_manifest *mf = &b->object->manifest;
	size_t n = b->l.world.member.n;

	b->classes = pol_arena_alloc(b->arena, (n + 1) * sizeof(*b->classes));
	b->selected = pol_arena_alloc(b->arena, (n * mf->nselectors + 1) * sizeof(*b->selected));
	for (size_t i = 0; i < n; i++) {
		bool *holds = b->selected + i * mf->nselectors;
		const struct prt_label *labels = NULL;
		struct pol_buf text = { 0 };
		size_t nlabels = 0;

		prt_labels_unpack(b->arena, b->l.world.member.v[i].info.labels, &labels, &nlabels);
		prt_select(b->object, labels, nlabels, holds);
		for (size_t c = 0; c < mf->nclasses; c++) {
			if (!holds[mf->class[c].selector])
				continue;
			pol_buf_addz(&text, text.n ? "," : "");
			pol_buf_add(&text, mf->class[c].name);
		}
		b->classes[i] = pol_arena_str(b->arena, pol_buf_str(&text));
		pol_buf_free(&text);
	}
}

static int read_object(struct prt_book *b, struct pol_err *e)
{
	uint32_t gen = (uint32_t)b->l.gen.number;
	struct prt_book_gen g = { .gen = gen };
	int r;

	for (size_t i = 0; i < b->gens.n; i++) {
		if (b->gens.v[i].gen != gen)
			continue;
		b->object = b->gens.v[i].object;
		return 0;
	}
	r = prt_store_get(b->env, b->l.gen.number, &g.object, e);
	r = r ? r : prt_rules_parse(g.object, &g.rules, e);
	if (r) {
		prt_object_free(g.object);
		return r;
	}
	if (b->gens.n == GENS_MAX) {
		prt_rules_free(&b->gens.v[0].rules);
		prt_object_free(b->gens.v[0].object);
		memmove(b->gens.v, b->gens.v + 1, --b->gens.n * sizeof(*b->gens.v));
	}
	*pol_vec_push(&b->gens) = g;
	b->object = g.object;
	return 0;
}

static int read_all(struct prt_book *b, struct pol_err *e)
{
	int r = prt_live_open(b->env, PRT_LOCK_SHARED, &b->l, e);

	b->incarnation = b->l.shared.meta.next_incarnation;
	r = r ? r : read_object(b, e);
	pol_cleanup_fd(&b->l.lock);
	if (r)
		return r;
	b->arena = pol_arena_new();
	index_world(b);
	index_classes(b);
	return 0;
}

int prt_book_open(const struct prt_env *env, struct prt_book *b, struct pol_err *e)
{
	b->env = env;
	return read_all(b, e);
}

int prt_book_sync(struct prt_book *b, struct pol_err *e)
{
	struct pol_arena *arena;
	struct prt_live old;
	struct prt_meta now;
	int r;

	if (prt_shared_active(&b->l.shared) == b->l.gen.number &&
	    !bpf_map_lookup_elem(b->l.shared.meta_fd, &(uint32_t){ 0 }, &now) &&
	    now.next_incarnation == b->incarnation)
		return 0;
	old = b->l;
	arena = b->arena;
	prt_live_init(&b->l);
	r = read_all(b, e);
	if (r) {
		prt_live_close(&b->l);
		b->l = old;
		return r;
	}
	prt_live_close(&old);
	pol_arena_free(arena);
	return 1;
}

/* ---- asking ------------------------------------------------------------------------------ */

const struct prt_member *prt_book_owner(const struct prt_book *b, const struct pol_addr *a)
{
	const struct prt_book_slot *s = slot_of(b, a);

	return s->member && s->member != FIXED ? &b->l.world.member.v[s->member - 1] : NULL;
}

const struct prt_member *prt_book_ep(const struct prt_book *b, uint32_t ep)
{
	return ep < POL_EP_MAX ? b->by_ep[ep] : NULL;
}

enum pol_entity prt_book_entity(const struct prt_book *b, const struct pol_addr *a)
{
	const struct prt_book_slot *s = slot_of(b, a);

	return s->member ? s->entity : POL_ENTITY_WORLD;
}

struct pol_str prt_book_service(const struct prt_book *b, const struct pol_addr *a, uint16_t port)
{
	const struct prt_manifest *m = &b->object->manifest;
	struct pol_str name = { "", 0 };

	for (size_t i = 0; i < m->nservices; i++) {
		const struct prt_service *s = &m->service[i];

		for (size_t k = 0; k < s->nvips; k++) {
			struct pol_addr vip = prt_addr_of_ip(s->vip[k].addr);

			if (memcmp(&vip, a, sizeof(vip)) || (port && s->vip[k].port != port))
				continue;
			if (name.n && !pol_str_eq(name, s->name))
				return (struct pol_str){ "", 0 };
			name = s->name;
		}
	}
	return name;
}

struct pol_str prt_book_classes(const struct prt_book *b, const struct prt_member *m)
{
	return b->classes[m - b->l.world.member.v];
}

bool prt_book_selects(const struct prt_book *b, const struct prt_member *m, uint32_t s)
{
	size_t n = b->object->manifest.nselectors;

	return s < n && b->selected[(size_t)(m - b->l.world.member.v) * n + s];
}

const struct prt_book_gen *prt_book_gen(const struct prt_book *b, uint32_t gen)
{
	for (size_t i = b->gens.n; i-- > 0;)
		if (b->gens.v[i].gen == gen)
			return &b->gens.v[i];
	return NULL;
}

const struct prt_rule *prt_book_rule(const struct prt_book *b, uint32_t gen, uint32_t rule)
{
	const struct prt_book_gen *g = prt_book_gen(b, gen);

	return g ? prt_rules_get(&g->rules, rule) : NULL;
}
