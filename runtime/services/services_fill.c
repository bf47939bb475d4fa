/* SPDX-License-Identifier: GPL-2.0-only */
/* Rings, backends and what else the data path knows of services: the maps of a generation. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/maglev.h"
#include "services_maps.h"
#include "runtime/generation/store.h"

void prt_svc_maps_close(struct prt_svc_maps *m)
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
int prt_svc_map(const struct prt_env *env, const struct prt_gen *g, const char *name, int *fd,
		struct pol_err *e)
{
	struct bpf_map *m;

	if (!g->bpf)
		return prt_pin_get(env, g->number, "map", name, fd, e);
	m = bpf_object__find_map_by_name(g->bpf, name);
	*fd = m ? dup(bpf_map__fd(m)) : -1;
	return *fd < 0 ? pol_err(e, -ENOEXEC, "the object has no map '%s'", name) : 0;
}

int prt_svc_maps_open(const struct prt_env *env, const struct prt_gen *g, struct prt_svc_maps *m,
		      struct pol_err *e)
{
	int r;

	*m = (struct prt_svc_maps){ .svc = -1, .ring = -1, .backends = -1, .self = -1 };
	r = prt_svc_map(env, g, POL_MAP_SVC, &m->svc, e);
	r = r ? r : prt_svc_map(env, g, POL_MAP_SVC_RING, &m->ring, e);
	r = r ? r : prt_svc_map(env, g, POL_MAP_SVC_BACKENDS, &m->backends, e);
	r = r ? r : prt_svc_map(env, g, POL_MAP_SVC_SELF, &m->self, e);
	r = r ? r
	      : prt_map_array(m->ring, POL_MAP_SVC_RING, sizeof(struct pol_ring_block), &m->blocks,
			      (void **)&m->place, e);
	r = r ? r
	      : prt_map_array(m->backends, POL_MAP_SVC_BACKENDS, sizeof(struct pol_svc_backend),
			      &m->slots, (void **)&m->slot, e);
	if (r)
		prt_svc_maps_close(m);
	return r;
}

/* ---- indices -------------------------------------------------------------------------------- */

bool prt_svc_is_at(const struct pol_svc_backend *slot, const struct prt_svc_backend *b)
{
	return slot->port_be == htons(b->port) && slot->service == b->service &&
	       !memcmp(&slot->addr, &b->addr, sizeof(b->addr));
}

/* Who is known keeps his index; who is new gets one that nobody has.  taken: by slot. */
static int number(const struct prt_svc_maps *m, struct prt_services *s, bool *taken,
		  struct pol_err *e)
{
	uint32_t next = 0;

	for (size_t i = 0; i < s->backend.n; i++) {
		struct prt_svc_backend *b = &s->backend.v[i];

		b->index = UINT32_MAX;
		for (uint32_t k = 0; k < m->slots && b->index == UINT32_MAX; k++)
			if (prt_svc_is_at(&m->slot[k], b))
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

static int write_ring(const struct prt_svc_maps *m, struct prt_services *s, uint32_t number,
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
		pol_no_memory();
	for (uint32_t i = 0; i < ring->n; i++) {
		const struct prt_svc_backend *k = &s->backend.v[ring->first + i];

		b[i] = (struct pol_maglev){ identity(k), prt_svc_weight(k),
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
static int publish(const struct prt_svc_maps *m, struct prt_services *s, bool wait,
		   struct pol_err *e)
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

static int write_self(const struct prt_svc_maps *m, const struct prt_services *s, struct pol_err *e)
{
	struct pol_svc_self self = { 0 };

	for (size_t i = 0; i < s->backend.n; i++) {
		const struct prt_svc_backend *b = &s->backend.v[i];
		struct pol_addr *from = &self.from[prt_ip_of_addr(&b->addr).family == 6];
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

int prt_svc_fill(const struct prt_env *env, const struct prt_gen *g,
		 const struct prt_shared *shared, struct prt_services *s, bool wait,
		 struct pol_err *e)
{
	struct prt_svc_maps m;
	int r = prt_svc_maps_open(env, g, &m, e);

	if (r)
		return r;
	r = publish(&m, s, wait, e);
	r = r ? r : write_self(&m, s, e);
	r = r ? r : write_ports(shared, s, e);
	prt_svc_maps_close(&m);
	return r;
}

int prt_services_fill(const struct prt_gen *g, const struct prt_shared *shared,
		      struct prt_services *s, struct pol_err *e)
{
	return s->ring ? prt_svc_fill(NULL, g, shared, s, false, e) : 0;
}

static int write_sources(const struct prt_shared *shared, const struct prt_hostfile *h,
			 struct pol_err *e)
{
	int fd = shared->map[PRT_SHARED_SVC_SOURCE];

	/* made by a version that had none, and this policy sends no tunnels */
	for (uint32_t v6 = 0; v6 < 2 && fd >= 0; v6++) {
		const struct pol_prefix *p = &h->tunnel_source[v6];
		struct pol_svc_source o = { 0 };

		if (p->addr.family) {
			o.from = prt_addr_of_ip(p->addr);
			o.spread_be = htonl((1u << ((v6 ? 128 : 32) - p->len)) - 1);
		}
		if (bpf_map_update_elem(fd, &v6, &o, BPF_ANY))
			return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_SOURCE,
				       strerror(errno));
	}
	return 0;
}

static int write_balancers(const struct prt_shared *shared, const struct prt_hostfile *h,
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

int prt_services_tunnels(const struct prt_shared *shared, const struct prt_hostfile *h,
			 struct pol_err *e)
{
	int r = write_balancers(shared, h, e);

	return r ? r : write_sources(shared, h, e);
}
