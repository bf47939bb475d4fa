/* SPDX-License-Identifier: GPL-2.0-only */
#include "services.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/maglev.h"
#include "base/yaml.h"
#include "kinds.h"
#include "store.h"

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

static void state_key(struct pol_svc_state_key *k, struct pol_str service,
		      const struct pol_addr *addr, uint16_t port)
{
	memset(k, 0, sizeof(*k));
	memcpy(k->service, service.p,
	       service.n < sizeof(k->service) ? service.n : sizeof(k->service) - 1);
	k->addr = *addr;
	k->port_be = htons(port);
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
	state_key(&key, v->name, addr, b->port);
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

static uint32_t weight_of(const struct prt_svc_backend *b)
{
	return b->state.weight ? b->state.weight : b->configured;
}

/* Places of its ring, for these backends and their configured weights. */
static void size_ring(struct prt_services *s, struct prt_svc_ring *ring)
{
	struct pol_maglev *b = calloc(ring->n + 1, sizeof(*b));

	if (!b)
		abort();
	for (uint32_t i = 0; i < ring->n; i++)
		b[i].weight = weight_of(&s->backend.v[ring->first + i]);
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

/* ---- the maps of a generation ------------------------------------------------------------- */

struct maps {
	int svc, ring, backends, self;
	uint16_t *place; /* mapped */
	struct pol_svc_backend *slot;
	uint32_t blocks, slots;
};

static void maps_close(struct maps *m)
{
	if (m->place)
		munmap(m->place, m->blocks * sizeof(struct pol_ring_block));
	if (m->slot)
		munmap(m->slot, m->slots * sizeof(struct pol_svc_backend));
	pol_cleanup_fd(&m->svc);
	pol_cleanup_fd(&m->ring);
	pol_cleanup_fd(&m->backends);
	pol_cleanup_fd(&m->self);
}

/* Of the object while it is being loaded, else by its pin. */
static int map_of(const struct prt_env *env, const struct prt_gen *g, const char *name, int *fd,
		  struct pol_err *e)
{
	struct bpf_map *m;

	if (!g->bpf)
		return prt_pin_get(env, g->number, "map", name, fd, e);
	m = bpf_object__find_map_by_name(g->bpf, name);
	*fd = m ? dup(bpf_map__fd(m)) : -1;
	return *fd < 0 ? pol_err(e, -ENOEXEC, "the object has no map '%s'", name) : 0;
}

static int map_array(int fd, const char *name, size_t value, uint32_t *n, void **out,
		     struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	void *p;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", name, strerror(errno));
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != value ||
	    !(info.map_flags & BPF_F_MMAPABLE))
		return pol_err(e, -ENOEXEC, "map '%s': of another kind than it has to be", name);
	p = mmap(NULL, info.max_entries * value, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", name,
			       strerror(errno));
	*n = info.max_entries;
	*out = p;
	return 0;
}

static int maps_open(const struct prt_env *env, const struct prt_gen *g, struct maps *m,
		     struct pol_err *e)
{
	int r;

	*m = (struct maps){ .svc = -1, .ring = -1, .backends = -1, .self = -1 };
	r = map_of(env, g, POL_MAP_SVC, &m->svc, e);
	r = r ? r : map_of(env, g, POL_MAP_SVC_RING, &m->ring, e);
	r = r ? r : map_of(env, g, POL_MAP_SVC_BACKENDS, &m->backends, e);
	r = r ? r : map_of(env, g, POL_MAP_SVC_SELF, &m->self, e);
	r = r ? r
	      : map_array(m->ring, POL_MAP_SVC_RING, sizeof(struct pol_ring_block), &m->blocks,
			  (void **)&m->place, e);
	r = r ? r
	      : map_array(m->backends, POL_MAP_SVC_BACKENDS, sizeof(struct pol_svc_backend),
			  &m->slots, (void **)&m->slot, e);
	if (r)
		maps_close(m);
	return r;
}

/* ---- indices -------------------------------------------------------------------------------- */

static bool is_at(const struct pol_svc_backend *slot, const struct prt_svc_backend *b)
{
	return slot->port_be == htons(b->port) && slot->service == b->service &&
	       !memcmp(&slot->addr, &b->addr, sizeof(b->addr));
}

/* Who is known keeps his index; who is new gets one that nobody has.  taken: by slot. */
static int number(const struct maps *m, struct prt_services *s, bool *taken, struct pol_err *e)
{
	uint32_t next = 0;

	for (size_t i = 0; i < s->backend.n; i++) {
		struct prt_svc_backend *b = &s->backend.v[i];

		b->index = UINT32_MAX;
		for (uint32_t k = 0; k < m->slots && b->index == UINT32_MAX; k++)
			if (is_at(&m->slot[k], b))
				taken[b->index = k] = true;
	}
	for (size_t i = 0; i < s->backend.n; i++) {
		struct prt_svc_backend *b = &s->backend.v[i];
		struct pol_svc_backend *slot;

		if (b->index != UINT32_MAX)
			continue;
		while (next < m->slots && (taken[next] || m->slot[next].port_be))
			next++;
		if (next == m->slots) {
			pol_err_help(
				e, "apply the policy again: it makes room for all that there are");
			return pol_err(e, -ENOSPC, "no room for more than %u backends", m->slots);
		}
		taken[b->index = next] = true;
		slot = &m->slot[next];
		slot->addr = b->addr;
		slot->service = b->service;
		slot->flags = b->local ? POL_BACKEND_LOCAL : 0;
		/* with the port it is there */
		__atomic_store_n(&slot->port_be, htons(b->port), __ATOMIC_RELEASE);
	}
	return 0;
}

static uint64_t identity(const struct prt_svc_backend *b)
{
	struct {
		struct pol_addr addr;
		uint16_t port;
	} id = { b->addr, b->port };

	return pol_hash(&id, sizeof(id.addr) + sizeof(id.port), 0x73657276u);
}

static int write_ring(const struct maps *m, struct prt_services *s, uint32_t number,
		      struct pol_err *e)
{
	const struct prt_service *v = &s->m->service[number / 2];
	struct prt_svc_ring *ring = &s->ring[number];
	struct pol_maglev *b = calloc(ring->n + 1, sizeof(*b));
	uint16_t *places = malloc((ring->places + 1) * sizeof(*places));
	uint16_t *to = m->place + (size_t)ring->block * POL_RING_BLOCK;
	struct pol_service is = { .ring = ring->block,
				  .places = ring->places,
				  .flags = (v->dsr ? POL_SVC_DSR : 0) |
					   (v->random ? POL_SVC_RANDOM : 0),
				  .seed = (uint32_t)pol_hash(v->name.p, v->name.n, 0) };

	if (!b || !places)
		abort();
	for (uint32_t i = 0; i < ring->n; i++) {
		const struct prt_svc_backend *k = &s->backend.v[ring->first + i];

		b[i] = (struct pol_maglev){ identity(k), weight_of(k),
					    !k->state.drained && !k->state.down };
	}
	ring->up = (uint32_t)pol_maglev_fill(b, ring->n, places, ring->places);
	for (uint32_t i = 0; ring->up && i < ring->places; i++)
		__atomic_store_n(&to[i], (uint16_t)s->backend.v[ring->first + places[i]].index,
				 __ATOMIC_RELAXED);
	free(b);
	free(places);
	is.size = ring->up ? ring->places : 0;
	if (bpf_map_update_elem(m->svc, &number, &is, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC,
			       strerror(errno));
	return 0;
}

/* Rings first, then nobody finds those that are gone; their slots are free after that. */
static int publish(const struct maps *m, struct prt_services *s, bool wait, struct pol_err *e)
{
	bool *taken POL_CLEANUP(pol_cleanup_free) = calloc(m->slots + 1, sizeof(*taken)),
		    gone = false;
	int r = taken ? number(m, s, taken, e) : pol_err(e, -ENOMEM, "no memory for the services");

	for (uint32_t i = 0; i < 2 * s->m->nservices && !r; i++)
		if (s->ring[i].places)
			r = write_ring(m, s, i, e);
	for (uint32_t i = 0; i < m->slots && !r; i++)
		gone = gone || (m->slot[i].port_be && !taken[i]);
	if (!r && gone && wait)
		r = prt_grace(e);
	for (uint32_t i = 0; i < m->slots && !r; i++)
		if (!taken[i])
			__atomic_store_n(&m->slot[i].port_be, 0, __ATOMIC_RELAXED);
	return r;
}

/* ---- the rest of what they need -------------------------------------------------------------- */

/* The address that this host itself would use towards `to`; zero: it knows no way. */
static struct pol_addr source_for(const struct pol_addr *to)
{
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = htons(9) }, me = { 0 };
	struct pol_addr none = { 0 }, from;
	socklen_t len = sizeof(me);
	/* IPv4 as ::ffff:a.b.c.d, which one socket does too */
	int fd POL_CLEANUP(pol_cleanup_fd) = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	       off = 0;

	memcpy(&peer.sin6_addr, to, sizeof(*to));
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    connect(fd, (struct sockaddr *)&peer, sizeof(peer)) ||
	    getsockname(fd, (struct sockaddr *)&me, &len))
		return none;
	memcpy(&from, &me.sin6_addr, sizeof(from));
	return from;
}

static int write_self(const struct maps *m, const struct prt_services *s, struct pol_err *e)
{
	struct pol_svc_self self = { 0 };

	for (size_t i = 0; i < s->backend.n; i++) {
		const struct prt_svc_backend *b = &s->backend.v[i];
		struct pol_addr *from = &self.from[is_v6(&b->addr)];
		static const struct pol_addr none;

		if (s->m->service[b->service / 2].dsr && !b->local &&
		    !memcmp(from, &none, sizeof(none)))
			*from = source_for(&b->addr);
	}
	if (bpf_map_update_elem(m->self, &(uint32_t){ 0 }, &self, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_SELF,
			       strerror(errno));
	return 0;
}

static int write_ports(const struct prt_shared *shared, const struct prt_services *s,
		       struct pol_err *e)
{
	int fd = shared->map[PRT_SHARED_SVC_PORTS];
	struct pol_svc_ports p;

	if (bpf_map_lookup_elem(fd, &(uint32_t){ 0 }, &p))
		return pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_SVC_PORTS,
			       strerror(errno));
	for (size_t i = 0; i < s->backend.n; i++)
		p.bit[s->backend.v[i].port / 64] |= 1ull << s->backend.v[i].port % 64;
	/* what a tunnel brings has the VIP's port */
	for (size_t i = 0; i < s->m->nservices; i++)
		for (size_t k = 0; k < s->m->service[i].nvips; k++)
			p.bit[s->m->service[i].vip[k].port / 64] |=
				1ull << s->m->service[i].vip[k].port % 64;
	if (bpf_map_update_elem(fd, &(uint32_t){ 0 }, &p, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_PORTS,
			       strerror(errno));
	return 0;
}

static int fill(const struct prt_env *env, const struct prt_gen *g, const struct prt_shared *shared,
		struct prt_services *s, bool wait, struct pol_err *e)
{
	struct maps m;
	int r = maps_open(env, g, &m, e);

	if (r)
		return r;
	r = publish(&m, s, wait, e);
	r = r ? r : write_self(&m, s, e);
	r = r ? r : write_ports(shared, s, e);
	maps_close(&m);
	return r;
}

int prt_services_fill(const struct prt_gen *g, const struct prt_shared *shared,
		      struct prt_services *s, struct pol_err *e)
{
	return s->ring ? fill(NULL, g, shared, s, false, e) : 0;
}

int prt_services_balancers(const struct prt_shared *shared, const struct prt_hostfile *h,
			   struct pol_err *e)
{
	int fd = shared->map[PRT_SHARED_SVC_BALANCERS];
	struct pol_addr key, *last = NULL, next;

	for (size_t i = 0; i < h->nbalancers; i++) {
		struct pol_addr a = prt_addr_of_ip(h->balancers[i]);

		if (bpf_map_update_elem(fd, &a, &(uint32_t){ 1 }, BPF_ANY))
			return pol_err(e, -errno, "map '%s': cannot write: %s",
				       POL_MAP_SVC_BALANCERS, strerror(errno));
	}
	while (!bpf_map_get_next_key(fd, last, &next)) {
		bool listed = false;

		for (size_t i = 0; i < h->nbalancers && !listed; i++) {
			struct pol_addr a = prt_addr_of_ip(h->balancers[i]);

			listed = !memcmp(&a, &next, sizeof(a));
		}
		if (listed) {
			key = next;
			last = &key;
		} else if (bpf_map_delete_elem(fd, &next)) {
			return pol_err(e, -errno, "map '%s': cannot write: %s",
				       POL_MAP_SVC_BALANCERS, strerror(errno));
		}
	}
	return 0;
}

/* ---- what is in force ------------------------------------------------------------------------------ */

/* Rings have the size and place that the generation was loaded with. */
static int take_sizes(const struct prt_env *env, const struct prt_gen *g, struct prt_services *s,
		      struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = map_of(env, g, POL_MAP_SVC, &fd, e);

	for (uint32_t i = 0; i < 2 * s->m->nservices && !r; i++) {
		struct pol_service is;

		if (!s->ring[i].places)
			continue;
		if (bpf_map_lookup_elem(fd, &i, &is))
			return pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_SVC,
				       strerror(errno));
		s->ring[i].places = is.places;
		s->ring[i].block = is.ring;
	}
	return r;
}

static int read_in_force(struct prt_env *env, const struct prt_live *l, struct prt_object **o,
			 struct prt_services *s, struct pol_err *e)
{
	int r = prt_store_get(env, l->gen.number, o, e);

	r = r ? r : prt_services_plan(&(*o)->manifest, &l->world, &l->shared, s, e);
	return r || !s->ring ? r : take_sizes(env, &l->gen, s, e);
}

int prt_services_again(struct prt_env *env, struct prt_live *l, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_services s = { 0 };
	int probe POL_CLEANUP(pol_cleanup_fd) = -1;
	struct pol_err none = { 0 };
	int r;

	if (prt_pin_get(env, l->gen.number, "map", POL_MAP_SVC, &probe, &none))
		return 0;
	r = read_in_force(env, l, &o, &s, e);
	if (!r && s.ring)
		r = fill(env, &l->gen, &l->shared, &s, true, e);
	prt_services_free(&s);
	return r;
}

int prt_services_read(struct prt_env *env, struct prt_live *l, struct prt_object **o,
		      struct prt_services *out, struct pol_err *e)
{
	int r = prt_live_open(env, PRT_LOCK_SHARED, l, e);
	struct maps m;
	bool *taken;

	r = r ? r : read_in_force(env, l, o, out, e);
	if (!r && !out->ring)
		return pol_err(e, -ENOENT, "the policy in force has no services");
	r = r ? r : maps_open(env, &l->gen, &m, e);
	if (r)
		return r;
	/* looks only: what has no index yet gets none */
	taken = calloc(m.slots + 1, sizeof(*taken));
	for (size_t i = 0; taken && i < out->backend.n; i++) {
		struct prt_svc_backend *b = &out->backend.v[i];

		b->index = UINT32_MAX;
		for (uint32_t k = 0; k < m.slots; k++)
			if (is_at(&m.slot[k], b))
				b->index = k;
		out->ring[b->service].up += !b->state.drained && !b->state.down;
	}
	free(taken);
	maps_close(&m);
	return 0;
}

/* ---- connections ---------------------------------------------------------------------------------- */

struct table {
	struct pol_svc_bucket *bucket;
	uint32_t n;
};

static int table_open(const struct prt_shared *s, struct table *t, struct pol_err *e)
{
	return map_array(s->map[PRT_SHARED_SVC_CT], POL_MAP_SVC_CT, sizeof(struct pol_svc_bucket),
			 &t->n, (void **)&t->bucket, e);
}

static void table_close(struct table *t)
{
	munmap(t->bucket, t->n * sizeof(*t->bucket));
}

static uint32_t timeout_of(uint8_t state)
{
	static const uint32_t seconds[POL_CT_STATE_MAX] = {
		[POL_CT_SYN_SENT] = POL_CT_T_SYN_SENT,
		[POL_CT_SYN_RECV] = POL_CT_T_SYN_RECV,
		[POL_CT_ESTABLISHED] = POL_CT_T_ESTABLISHED,
		[POL_CT_CLOSING] = POL_CT_T_CLOSING,
		[POL_CT_CLOSED] = POL_CT_T_CLOSED,
		[POL_CT_UNREPLIED] = POL_CT_T_UNREPLIED,
		[POL_CT_REPLYING] = POL_CT_T_REPLYING,
	};

	return state < POL_CT_STATE_MAX ? seconds[state] : 0;
}

int prt_services_forget(const struct prt_shared *s, const struct pol_addr *backend, uint16_t port,
			bool all, struct pol_err *e)
{
	struct table t;
	int r = table_open(s, &t, e);

	for (uint32_t i = 0; i < t.n && !r; i++)
		for (unsigned k = 0; k < POL_CT_WAYS; k++) {
			struct pol_svc_bucket *b = &t.bucket[i];
			uint64_t tag = __atomic_load_n(&b->tag[k], __ATOMIC_ACQUIRE);
			const struct pol_svc_entry *f = &b->entry[k];
			bool half = f->proto != IPPROTO_TCP || f->state == POL_CT_SYN_SENT ||
				    f->state == POL_CT_SYN_RECV;

			if (!(tag & POL_TAG_USED) ||
			    memcmp(&f->backend, backend, sizeof(*backend)) ||
			    (port && f->bport_be != htons(port)) || (!all && !half))
				continue;
			/* the version moves on, as when the data path frees it; who was faster wins */
			__atomic_compare_exchange_n(&b->tag[k], &tag,
						    (tag + 1) & POL_SVC_TAG_VERSION, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
		}
	if (!r)
		table_close(&t);
	return r;
}

int prt_services_count(const struct prt_shared *shared, const struct prt_services *s,
		       uint64_t *count, struct pol_err *e)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u);
	struct table t;
	int r = table_open(shared, &t, e);

	memset(count, 0, s->backend.n * sizeof(*count));
	for (uint32_t i = 0; i < t.n && !r; i++)
		for (unsigned k = 0; k < POL_CT_WAYS; k++) {
			const struct pol_svc_entry f = t.bucket[i].entry[k];
			uint64_t tag = __atomic_load_n(&t.bucket[i].tag[k], __ATOMIC_ACQUIRE);

			if (!(tag & POL_TAG_USED) || f.state == POL_CT_CLOSED ||
			    (int32_t)(now - f.seen) > (int32_t)timeout_of(f.state))
				continue;
			for (size_t b = 0; b < s->backend.n; b++) {
				const struct prt_svc_backend *o = &s->backend.v[b];
				const struct prt_service *v = &s->m->service[o->service / 2];

				if (f.proto == v->proto && f.bport_be == htons(o->port) &&
				    !memcmp(&f.backend, &o->addr, sizeof(o->addr)))
					count[b]++;
			}
		}
	if (!r)
		table_close(&t);
	return r;
}

/* ---- what is said at run time -------------------------------------------------------------------------- */

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; port 0: none is named. */
static bool parse_backend(const char *text, struct pol_addr *addr, uint32_t *port)
{
	struct pol_str s = pol_str(text);
	struct pol_prefix p;
	const char *colon = strrchr(text, ':');

	*port = 0;
	if (pol_prefix_parse(s, &p) != POL_IP_OK) {
		if (!colon || !pol_parse_u32(pol_str(colon + 1), 65535, port) || !*port)
			return false;
		s.n = (size_t)(colon - text);
		if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
			s.p++;
			s.n -= 2;
		} else if (memchr(s.p, ':', s.n)) {
			return false;
		}
		if (pol_prefix_parse(s, &p) != POL_IP_OK)
			return false;
	}
	if (p.len != (p.addr.family == 4 ? 32 : 128))
		return false;
	*addr = prt_addr_of_ip(p.addr);
	return true;
}

static bool is_named(const struct prt_svc_change *c, const struct prt_svc_backend *b)
{
	struct pol_addr addr;
	uint32_t port;

	if (!c->backend)
		return b->port == c->port && !memcmp(&b->addr, &c->addr, sizeof(c->addr));
	if (b->name && !strcmp(b->name, c->backend))
		return true;
	return parse_backend(c->backend, &addr, &port) && !memcmp(&addr, &b->addr, sizeof(addr)) &&
	       (!port || port == b->port);
}

static void change_state(const struct prt_svc_change *c, struct pol_svc_state *st)
{
	switch (c->what) {
	case PRT_SVC_DRAIN:
	case PRT_SVC_UNDRAIN:
		st->drained = c->what == PRT_SVC_DRAIN;
		break;
	case PRT_SVC_WEIGHT:
		st->weight = c->weight;
		break;
	case PRT_SVC_UP:
	case PRT_SVC_DOWN:
		st->down = c->what == PRT_SVC_DOWN;
		st->since = (uint64_t)time(NULL);
		memset(st->why, 0, sizeof(st->why));
		if (st->down && c->why)
			snprintf(st->why, sizeof(st->why), "%s", c->why);
		break;
	}
}

static int write_state(const struct prt_live *l, const struct prt_services *s,
		       const struct prt_svc_backend *b, struct pol_err *e)
{
	static const struct pol_svc_state usual;
	struct pol_svc_state_key key;
	int fd = l->shared.map[PRT_SHARED_SVC_STATE];
	bool plain = !b->state.weight && !b->state.drained && !b->state.down && !b->state.since;

	state_key(&key, s->m->service[b->service / 2].name, &b->addr, b->port);
	if (plain && !memcmp(&b->state, &usual, offsetof(struct pol_svc_state, since))) {
		if (bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_STATE,
				       strerror(errno));
		return 0;
	}
	if (bpf_map_update_elem(fd, &key, &b->state, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_STATE,
			       strerror(errno));
	return 0;
}

/* Of each family that has it; *found: how many that were. */
static int change_all(const struct prt_live *l, struct prt_services *s,
		      const struct prt_svc_change *c, size_t *found, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < s->backend.n && !r; i++) {
		struct prt_svc_backend *b = &s->backend.v[i];

		if (!pol_str_is(s->m->service[b->service / 2].name, c->service) || !is_named(c, b))
			continue;
		++*found;
		change_state(c, &b->state);
		r = write_state(l, s, b, e);
	}
	return r;
}

static int no_such(const struct prt_services *s, const struct prt_svc_change *c, struct pol_err *e)
{
	for (size_t i = 0; i < s->m->nservices; i++)
		if (pol_str_is(s->m->service[i].name, c->service)) {
			pol_err_help(e, "`polload services` lists them");
			return pol_err(e, -ENOENT, "service '%s' has no backend '%s'",
				       prt_safe(c->service),
				       prt_safe(c->backend ? c->backend : "?"));
		}
	pol_err_help(e, "`polload services` lists them");
	return pol_err(e, -ENOENT, "there is no service '%s'", prt_safe(c->service));
}

int prt_services_change(struct prt_env *env, const struct prt_svc_change *c, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_services s = { 0 };
	struct prt_live l;
	size_t found = 0;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_EXCLUSIVE, &l, e);
	r = r ? r : read_in_force(env, &l, &o, &s, e);
	if (!r && !s.ring)
		r = pol_err(e, -ENOENT, "the policy in force has no services");
	r = r ? r : change_all(&l, &s, c, &found, e);
	if (!r && !found)
		r = no_such(&s, c, e);
	r = r ? r : fill(env, &l.gen, &l.shared, &s, true, e);
	/* what has no connection to lose goes elsewhere with its next packet */
	for (size_t i = 0; i < s.backend.n && !r && c->what == PRT_SVC_DOWN; i++)
		if (pol_str_is(s.m->service[s.backend.v[i].service / 2].name, c->service) &&
		    is_named(c, &s.backend.v[i]))
			r = prt_services_forget(&l.shared, &s.backend.v[i].addr,
						s.backend.v[i].port, false, e);
	prt_services_free(&s);
	prt_live_close(&l);
	return r;
}
