/* SPDX-License-Identifier: GPL-2.0-only */
#include "services.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>

#include "base/maglev.h"
#include "runtime/place/kinds.h"
#include "services_maps.h"

#define SPARE 64u /* backends that may come while the generation lives */

void prt_services_free(struct prt_services *s)
{
	free(s->ring);
	pol_vec_free(&s->backend);
	memset(s, 0, sizeof(*s));
}

/* ---- who serves ------------------------------------------------------------------------ */

static bool is_v6(const struct pol_addr *a)
{
	return prt_ip_of_addr(a).family == 6;
}

/* This host's own, or an endpoint's that lives here. */
static bool lives_here(const struct prt_world *w, const struct pol_addr *a)
{
	for (size_t i = 0; i < w->member.n; i++)
		for (size_t k = 0; k < w->member.v[i].addrs.n; k++)
			if (!memcmp(&w->member.v[i].addrs.v[k].addr, a, sizeof(*a)))
				return w->member.v[i].info.ifindex != 0;
	for (size_t i = 0; i < w->fixed.n; i++)
		if (w->fixed.v[i].entity == POL_ENTITY_HOST &&
		    !memcmp(&w->fixed.v[i].addr, a, sizeof(*a)))
			return true;
	return false;
}

struct planning {
	const struct prt_manifest *m;
	const struct prt_world *w;
	const struct prt_shared *shared;
	struct prt_services *s;
	struct prt_kinds kinds;
	uint32_t *kind; /* of each member's labels */
};

/* The first line that names it counts. */
static void add_backend(struct planning *p, uint32_t service, const struct prt_service_backend *b,
			const struct pol_addr *addr, const char *name, bool local)
{
	const struct prt_service *v = &p->m->service[service / 2];
	struct prt_svc_ring *ring = &p->s->ring[service];
	struct prt_svc_backend *to;
	struct pol_svc_state_key key;

	for (size_t i = ring->first; i < p->s->backend.n; i++) {
		const struct prt_svc_backend *o = &p->s->backend.v[i];

		if (o->port == b->port && !memcmp(&o->addr, addr, sizeof(*addr)))
			return;
	}
	to = pol_vec_push(&p->s->backend);
	*to = (struct prt_svc_backend){ .service = service,
					.addr = *addr,
					.port = b->port,
					.local = local,
					.name = name,
					.configured = b->weight };
	ring->n++;
	prt_svc_state_key(&key, v->name, addr, b->port);
	if (p->shared->map[PRT_SHARED_SVC_STATE] < 0 ||
	    bpf_map_lookup_elem(p->shared->map[PRT_SHARED_SVC_STATE], &key, &to->state))
		memset(&to->state, 0, sizeof(to->state));
	/* nobody would say that it is back */
	if (!v->checked)
		to->state.down = 0;
	to->state.why[sizeof(to->state.why) - 1] = '\0';
}

/*
 * Of an endpoint one address serves: of the VIP's family, or, where a tunnel leads to it, of the other.
 */
static void add_member(struct planning *p, uint32_t service, const struct prt_service_backend *b,
		       const struct prt_member *m)
{
	bool dsr = p->m->service[service / 2].dsr;

	for (int other = 0; other < 2; other++) {
		for (size_t k = 0; k < m->addrs.n; k++) {
			const struct pol_addr *a = &m->addrs.v[k].addr;

			if (is_v6(a) != ((service ^ (uint32_t)other) & 1))
				continue;
			add_backend(p, service, b, a, m->info.name, m->info.ifindex != 0);
			return;
		}
		if (!dsr || m->info.ifindex)
			return;
	}
}

static void add_line(struct planning *p, uint32_t service, const struct prt_service_backend *b)
{
	bool dsr = p->m->service[service / 2].dsr;

	if (!b->by_class) {
		struct pol_addr a = prt_addr_of_ip(b->addr);
		bool here = lives_here(p->w, &a);

		if (is_v6(&a) == (service & 1) || (dsr && !here))
			add_backend(p, service, b, &a, NULL, here);
		return;
	}
	for (size_t i = 0; i < p->w->member.n; i++) {
		const struct prt_member *m = &p->w->member.v[i];

		if (m->info.managed != PRT_MANAGED_HALF &&
		    p->kinds.label_kind.v[p->kind[i]].holds[b->selector])
			add_member(p, service, b, m);
	}
}

static bool has_vip(const struct prt_service *v, int family)
{
	for (size_t i = 0; i < v->nvips; i++)
		if (v->vip[i].addr.family == family)
			return true;
	return false;
}

uint32_t prt_svc_weight(const struct prt_svc_backend *b)
{
	return b->state.weight ? b->state.weight : b->configured;
}

/* Places of its ring, for these backends and their configured weights. */
static void size_ring(struct prt_services *s, struct prt_svc_ring *ring)
{
	struct pol_maglev *b = calloc(ring->n + 1, sizeof(*b));

	if (!b)
		pol_no_memory();
	for (uint32_t i = 0; i < ring->n; i++)
		b[i].weight = prt_svc_weight(&s->backend.v[ring->first + i]);
	ring->places = pol_maglev_size(b, ring->n);
	ring->block = s->blocks;
	s->blocks += (ring->places + POL_RING_BLOCK - 1) / POL_RING_BLOCK;
	free(b);
}

static void number_kinds(struct planning *p, struct pol_arena *arena)
{
	prt_kinds_init(&p->kinds, p->m);
	p->kind = pol_arena_alloc(arena, (p->w->member.n + 1) * sizeof(*p->kind));
	for (size_t i = 0; i < p->w->member.n; i++) {
		const struct prt_label *labels = NULL;
		size_t n = 0;

		if (prt_labels_unpack(arena, p->w->member.v[i].info.labels, &labels, &n))
			n = 0;
		p->kind[i] = prt_kinds_labels(&p->kinds, labels, n);
	}
}

int prt_services_plan(const struct prt_manifest *m, const struct prt_world *w,
		      const struct prt_shared *shared, struct prt_services *out, struct pol_err *e)
{
	struct prt_services s = { .m = m };
	struct planning p = { .m = m, .w = w, .shared = shared, .s = &s };
	struct pol_arena *arena;
	int r = 0;

	if (!m->nservices) {
		*out = s;
		return 0;
	}
	s.ring = calloc(2 * m->nservices, sizeof(*s.ring));
	if (!s.ring)
		return pol_err(e, -ENOMEM, "no memory for the services");
	arena = pol_arena_new();
	number_kinds(&p, arena);
	for (uint32_t i = 0; i < 2 * m->nservices && !r; i++) {
		const struct prt_service *v = &m->service[i / 2];

		s.ring[i].first = (uint32_t)s.backend.n;
		if (!has_vip(v, i & 1 ? 6 : 4))
			continue;
		for (size_t k = 0; k < v->nbackends; k++)
			add_line(&p, i, &v->backend[k]);
		if (s.ring[i].n >= POL_MAGLEV_BACKENDS || s.backend.n + SPARE >= POL_BACKENDS_MAX)
			r = pol_err(e, -E2BIG, "service '%s': more than %u backends",
				    prt_safe(v->name.p), POL_MAGLEV_BACKENDS - 1);
		size_ring(&s, &s.ring[i]);
	}
	prt_kinds_free(&p.kinds);
	pol_arena_free(arena);
	if (r)
		prt_services_free(&s);
	else
		*out = s;
	return r;
}

void prt_services_room(const struct prt_services *s, struct prt_gen *g)
{
	if (!s->ring)
		return;
	g->svc_blocks = s->blocks ? s->blocks : 1;
	g->svc_backends = (uint32_t)(s->backend.n + s->backend.n / 4 + SPARE);
	if (g->svc_backends > POL_BACKENDS_MAX)
		g->svc_backends = POL_BACKENDS_MAX;
}
