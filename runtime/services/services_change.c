/* SPDX-License-Identifier: GPL-2.0-only */
/* The services in force: read, filled again, and what is said of their backends at run time. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/yaml.h"
#include "services_maps.h"
#include "runtime/generation/store.h"

/* ---- what is in force ------------------------------------------------------------------------------ */

/* Rings have the size and place that the generation was loaded with. */
static int take_sizes(const struct prt_env *env, const struct prt_gen *g, struct prt_services *s,
		      struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = prt_svc_map(env, g, POL_MAP_SVC, &fd, e);

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

int prt_svc_in_force(struct prt_env *env, const struct prt_live *l, struct prt_object **o,
		     struct prt_services *s, struct pol_err *e)
{
	int r = prt_store_get(env, l->gen.number, o, e);

	r = r ? r : prt_services_plan(&(*o)->manifest, &l->world, &l->shared, s, e);
	return r || !s->ring ? r : take_sizes(env, &l->gen, s, e);
}

/* leaving: NULL, or who is no backend any more. */
static int again(struct prt_env *env, struct prt_live *l, const struct prt_member *leaving,
		 struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_services s = { 0 };
	int probe POL_CLEANUP(pol_cleanup_fd) = -1;
	struct pol_err none = { 0 };
	int r = 0;

	if (!prt_pin_get(env, l->gen.number, "map", POL_MAP_SVC, &probe, &none)) {
		r = prt_svc_in_force(env, l, &o, &s, e);
		if (!r && s.ring)
			r = prt_svc_fill(env, &l->gen, &l->shared, &s, true, e);
	}
	if (!r && leaving)
		r = prt_svc_state_leave(&l->shared, &s, leaving, e);
	prt_services_free(&s);
	return r;
}

int prt_services_again(struct prt_env *env, struct prt_live *l, struct pol_err *e)
{
	return again(env, l, NULL, e);
}

int prt_services_leave(struct prt_env *env, struct prt_live *l, struct prt_member *m,
		       struct pol_err *e)
{
	int r;

	m->info.managed = PRT_MANAGED_HALF;
	r = again(env, l, m, e);
	for (size_t i = 0; i < m->addrs.n && !r && l->shared.map[PRT_SHARED_SVC_CT] >= 0; i++)
		r = prt_services_forget(&l->shared, &m->addrs.v[i].addr, 0, true, e);
	return r;
}

int prt_services_read(struct prt_env *env, struct prt_live *l, struct prt_object **o,
		      struct prt_services *out, struct pol_err *e)
{
	int r = prt_live_open(env, PRT_LOCK_SHARED, l, e);
	struct prt_svc_maps m;
	bool *taken;

	r = r ? r : prt_svc_in_force(env, l, o, out, e);
	if (!r && !out->ring)
		return pol_err(e, -ENOENT, "the policy in force has no services");
	r = r ? r : prt_svc_maps_open(env, &l->gen, &m, e);
	if (r)
		return r;
	/* looks only: what has no index yet gets none */
	taken = calloc(m.slots + 1, sizeof(*taken));
	for (size_t i = 0; taken && i < out->backend.n; i++) {
		struct prt_svc_backend *b = &out->backend.v[i];

		b->index = UINT32_MAX;
		for (uint32_t k = 0; k < m.slots; k++)
			if (prt_svc_is_at(&m.slot[k], b))
				b->index = k;
		out->ring[b->service].up += !b->state.drained && !b->state.down;
	}
	free(taken);
	prt_svc_maps_close(&m);
	return 0;
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
		r = prt_svc_state_write(&l->shared, s, b, e);
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
	r = r ? r : prt_svc_in_force(env, &l, &o, &s, e);
	if (!r && !s.ring)
		r = pol_err(e, -ENOENT, "the policy in force has no services");
	r = r ? r : change_all(&l, &s, c, &found, e);
	if (!r && !found)
		r = no_such(&s, c, e);
	r = r ? r : prt_svc_fill(env, &l.gen, &l.shared, &s, true, e);
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
