/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was said of backends at run time, the map svc_state: by service and address, so that it outlives
 * generations.  Of an endpoint it goes with the endpoint: who has its address next is another one.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>

#include "services_maps.h"

void prt_svc_state_key(struct pol_svc_state_key *k, struct pol_str service,
		       const struct pol_addr *addr, uint16_t port)
{
	memset(k, 0, sizeof(*k));
	memcpy(k->service, service.p,
	       service.n < sizeof(k->service) ? service.n : sizeof(k->service) - 1);
	k->addr = *addr;
	k->port_be = htons(port);
}

static bool of_member(const struct prt_member *m, const struct pol_addr *a)
{
	for (size_t i = 0; i < m->addrs.n; i++) {
		if (!memcmp(&m->addrs.v[i].addr, a, sizeof(*a)))
			return true;
	}
	return false;
}

static int cannot_write(struct pol_err *e)
{
	return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_SVC_STATE, strerror(errno));
}

/* ---- what may go --------------------------------------------------------------------------------- */

struct sieve {
	const struct prt_services *s;
	const struct prt_member *leaving; /* what is said of it goes, */
	bool all; /* else of whatever is no backend of *s; true: of services that *s does not have, too */
};

static bool has_service(const struct sieve *x, const char *name)
{
	for (size_t i = 0; x->s->ring && i < x->s->m->nservices; i++) {
		if (pol_str_is(x->s->m->service[i].name, name))
			return true;
	}
	return false;
}

static const struct prt_svc_backend *find(const struct prt_services *s,
					  const struct pol_svc_state_key *k)
{
	for (uint32_t i = 0; s->ring && i < 2 * s->m->nservices; i++) {
		const struct prt_svc_ring *ring = &s->ring[i];

		if (!pol_str_is(s->m->service[i / 2].name, k->service))
			continue;
		for (uint32_t n = 0; n < ring->n; n++) {
			const struct prt_svc_backend *b = &s->backend.v[ring->first + n];

			if (b->port == ntohs(k->port_be) &&
			    !memcmp(&b->addr, &k->addr, sizeof(b->addr)))
				return b;
		}
	}
	return NULL;
}

static bool says_nothing(const struct pol_svc_state *st)
{
	return !st->weight && !st->drained && !st->down;
}

static bool may_go(const struct sieve *x, const struct pol_svc_state_key *k)
{
	const struct prt_svc_backend *b;

	if (x->leaving && !of_member(x->leaving, &k->addr))
		return false;
	/* with a name it would be the one that leaves; an address that the policy names stays what it is */
	b = find(x->s, k);
	if (b)
		return !x->leaving && says_nothing(&b->state);
	return x->leaving || x->all || has_service(x, k->service);
}

static int sift(int fd, const struct sieve *x, struct pol_err *e)
{
	struct pol_svc_state_key key, next;
	int more = bpf_map_get_next_key(fd, NULL, &key);

	while (!more) {
		more = bpf_map_get_next_key(fd, &key, &next); /* before the key may go */
		if (may_go(x, &key) && bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			return cannot_write(e);
		key = next;
	}
	return 0;
}

int prt_svc_state_leave(const struct prt_shared *shared, const struct prt_services *s,
			const struct prt_member *m, struct pol_err *e)
{
	const struct sieve x = { .s = s, .leaving = m };
	int fd = shared->map[PRT_SHARED_SVC_STATE];

	return fd < 0 ? 0 : sift(fd, &x, e);
}

int prt_services_tidy(const struct prt_shared *shared, const struct prt_services *s,
		      struct pol_err *e)
{
	const struct sieve x = { .s = s };
	int fd = shared->map[PRT_SHARED_SVC_STATE];

	return fd < 0 ? 0 : sift(fd, &x, e);
}

/* ---- who was at that address before --------------------------------------------------------------- */

static const char *name_at(const struct prt_world *w, const struct pol_addr *a)
{
	for (size_t i = 0; i < w->member.n; i++) {
		if (of_member(&w->member.v[i], a))
			return w->member.v[i].info.name;
	}
	return NULL;
}

void prt_services_succeed(struct prt_services *s, const struct prt_world *before)
{
	static const struct pol_svc_state usual;

	for (size_t i = 0; i < s->backend.n; i++) {
		struct prt_svc_backend *b = &s->backend.v[i];
		const char *was;

		if (!b->name || says_nothing(&b->state))
			continue;
		was = name_at(before, &b->addr);
		if (was && strcmp(was, b->name))
			b->state = usual;
	}
}

/* ---- what is said --------------------------------------------------------------------------------- */

int prt_svc_state_write(const struct prt_shared *shared, const struct prt_services *s,
			const struct prt_svc_backend *b, struct pol_err *e)
{
	const struct sieve x = { .s = s, .all = true };
	int fd = shared->map[PRT_SHARED_SVC_STATE], r;
	struct pol_svc_state_key key;

	prt_svc_state_key(&key, s->m->service[b->service / 2].name, &b->addr, b->port);
	if (says_nothing(&b->state))
		return bpf_map_delete_elem(fd, &key) && errno != ENOENT ? cannot_write(e) : 0;
	if (!bpf_map_update_elem(fd, &key, &b->state, BPF_ANY))
		return 0;
	if (errno != E2BIG)
		return cannot_write(e);
	/* room for what counts now */
	r = sift(fd, &x, e);
	return r || !bpf_map_update_elem(fd, &key, &b->state, BPF_ANY) ? r : cannot_write(e);
}
