/* SPDX-License-Identifier: GPL-2.0-only */
#include "endpoints.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "runtime/generation/flows.h"
#include "runtime/generation/publish.h"
#include "runtime/host/guard.h"
#include "pool.h"
#include "runtime/services/services.h"
#include "settle.h"
#include "shadow.h"
#include "runtime/generation/store.h"

typedef int (*with_fn)(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e);

/* Does one thing to what is in force, opened and locked; changes begin with what a crash can have left. */
static int with_live(struct prt_env *env, enum prt_lock_kind kind, with_fn fn, void *ctx,
		     struct pol_err *e)
{
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, kind, &l, e);
	if (!r && kind == PRT_LOCK_EXCLUSIVE)
		r = prt_settle_quick(env, &l.shared, &l.gen, &l.world, e) ?: prt_guard_tidy(e);
	r = r ? r : fn(env, &l, ctx, e);
	prt_live_close(&l);
	return r;
}

static int find(struct prt_live *l, const char *name, struct prt_member **m, struct pol_err *e)
{
	*m = prt_world_find(&l->world, name);
	if (*m)
		return 0;
	pol_err_help(e, "`polload endpoints` lists them");
	return pol_err(e, -ENOENT, "there is no endpoint '%s'", prt_safe(name));
}

/* ---- this host's addresses ---------------------------------------------------------------- */

static bool has(const struct prt_fixed *v, size_t n, const struct prt_fixed *f)
{
	for (size_t i = 0; i < n; i++) {
		if (!memcmp(&v[i].addr, &f->addr, sizeof(f->addr)) && v[i].entity == f->entity &&
		    v[i].stated == f->stated)
			return true;
	}
	return false;
}

/* Is this host's no more; an endpoint may have it by now. */
static int leave_address(int fd, const struct pol_addr *a, struct pol_err *e)
{
	struct pol_owner now;
	int r = bpf_map_lookup_elem(fd, a, &now);

	if (!r && now.entity != POL_ENTITY_ENDPOINT)
		r = bpf_map_delete_elem(fd, a);
	if (r && errno != ENOENT)
		return pol_err(e, -errno, "map '%s': cannot take an address out: %s",
			       POL_MAP_EP_BY_ADDR, strerror(errno));
	return 0;
}

/* Interfaces come with containers, and addresses with interfaces: what changed since is written. */
static int sync_host(struct prt_live *l, struct pol_err *e)
{
	struct prt_world before = { 0 };
	int r = 0;

	for (size_t i = 0; i < l->world.fixed.n; i++)
		*pol_vec_push(&before.fixed) = l->world.fixed.v[i];
	r = prt_world_sync_host(&l->world, e);
	for (size_t i = 0; i < l->world.fixed.n && !r; i++) {
		if (!has(before.fixed.v, before.fixed.n, &l->world.fixed.v[i]))
			r = prt_fixed_write(&l->gen, &l->world.fixed.v[i], e);
	}
	for (size_t i = 0; i < before.fixed.n && !r; i++) {
		if (!has(l->world.fixed.v, l->world.fixed.n, &before.fixed.v[i]))
			r = leave_address(l->gen.fd[PRT_GEN_EP_BY_ADDR], &before.fixed.v[i].addr,
					  e);
	}
	prt_world_free(&before);
	return r;
}

/* ---- adding --------------------------------------------------------------------------------- */

int prt_place_last(struct prt_live *l, const struct prt_object *o, struct pol_err *e)
{
	struct prt_place *place POL_CLEANUP(prt_place_cleanup) = NULL;
	struct pol_arena *arena = pol_arena_new();
	struct prt_place_update update = { 0 };
	struct prt_place_ep *eps;
	int r = prt_publish_eps(arena, &l->world, &eps, e);

	if (!r) {
		place = prt_place_new(o);
		l->world.member.n--; /* the new one is not in force yet */
		r = prt_publish_adopt(&l->gen, &l->world, eps, place, e);
		l->world.member.n++;
	}
	r = r ? r : prt_place_add(place, &eps[l->world.member.n - 1], 1, &update, e);
	r = r ? r : prt_publish(&l->gen, &l->world, place, &update, e);
	prt_place_update_free(&update);
	pol_arena_free(arena);
	return r;
}

static int no_interface(const char *name, struct pol_err *e)
{
	pol_err_help(e, "`ip link` shows the interfaces of this network namespace");
	return pol_err(e, -ENODEV, "there is no interface '%s'", prt_safe(name));
}

static int add(struct prt_env *env, struct prt_live *l, const struct prt_endpoint *ep,
	       struct prt_member **m, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_link link = { 0 };
	int r = 0;

	if (ep->interface.n) {
		r = prt_net_link_by_name(ep->interface.p, &link, e);
		if (r == -ENODEV)
			return no_interface(ep->interface.p, e);
		r = r ? r : prt_attach_check(&link, POL_IF_ENDPOINT, e);
	}
	r = r ? r
	      : prt_world_add(&l->world, ep, ep->interface.n ? &link : NULL, PRT_MANAGED_HALF,
			      &l->shared.meta, m, e);
	r = r ? r : prt_shared_write_meta(&l->shared, e);
	r = r ? r : prt_member_write_info(&l->gen, *m, e);
	if (!r && ep->interface.n)
		r = prt_attach(&l->shared, &link, POL_IF_ENDPOINT, PRT_EGRESS_KEEP, e);
	r = r ? r : prt_store_get(env, l->gen.number, &o, e);
	r = r ? r : prt_place_last(l, o, e);
	r = r ? r : sync_host(l, e);
	r = r ? r : prt_member_write_addrs(&l->gen, *m, e);
	r = r ? r : prt_member_write_if(&l->gen, *m, e);
	if (r)
		return r;
	(*m)->info.managed = PRT_MANAGED_RUN;
	r = prt_services_again(env, l, e);
	r = r ? r : prt_member_write_info(&l->gen, *m, e);
	if (r)
		return r;
	prt_pool_note(env, &o->manifest, *m, 1);
	prt_shadow_add_endpoint(env, &l->shared, l->gen.number, *m);
	return 0;
}

static int add_or_erase(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	struct prt_member *m = NULL;
	struct pol_err why = { 0 };
	int r = add(env, l, ctx, &m, e);

	if (r && m && prt_settle_erase(&l->shared, &l->gen, m, &why))
		prt_env_note(env, "cleaning up failed too: %s", why.text);
	return r;
}

int prt_endpoint_add(struct prt_env *env, const struct prt_endpoint *ep, struct pol_err *e)
{
	return with_live(env, PRT_LOCK_EXCLUSIVE, add_or_erase, (void *)ep, e);
}

/* ---- removing --------------------------------------------------------------------------------- */

/* An interface that went meanwhile needs no hold. */
static int hold_if_there(struct prt_live *l, uint32_t ifindex, struct pol_err *e)
{
	struct prt_link link;
	struct pol_err gone = { 0 };
	int r = prt_net_link_by_index(ifindex, &link, &gone);

	r = r ? r : prt_hold(&l->shared, &link, &gone);
	if (r && r != -ENODEV)
		return pol_err(e, r, "%s", gone.text);
	return prt_settle_held(&l->shared, e);
}

struct removal {
	const char *name;
	bool keep;
};

static int del(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	const struct removal *x = ctx;
	struct prt_member *m;
	int r = find(l, x->name, &m, e);

	if (!r && x->keep && m->info.ifindex)
		r = hold_if_there(l, m->info.ifindex, e);
	r = r ? r : prt_services_leave(env, l, m, e);
	r = r ? r : prt_settle_erase(&l->shared, &l->gen, m, e);
	if (!r)
		prt_shadow_del_endpoint(env, &l->shared, l->gen.number, x->name);
	return r;
}

int prt_endpoint_del(struct prt_env *env, const char *name, bool hold, struct pol_err *e)
{
	struct removal x = { name, hold };

	return with_live(env, PRT_LOCK_EXCLUSIVE, del, &x, e);
}

/* ---- interfaces without one ---------------------------------------------------------------------- */

static bool is_uplink(const struct prt_world *w, uint32_t ifindex)
{
	for (size_t i = 0; i < w->uplink.n; i++) {
		if (w->uplink.v[i].ifindex == ifindex)
			return true;
	}
	return false;
}

/*
 * Nothing of ours hangs at the device, so it is not that of the endpoint which had one of this number: that is gone, and
 * with our hooks the new one would be who the old one was.  The endpoint keeps its name and its addresses, closed, until
 * somebody says otherwise of it, and has a number that no device is given.  From the packets' view first.
 */
static int leave_device(struct prt_live *l, struct prt_member *m, struct pol_err *e)
{
	int r = prt_member_clear_if(&l->gen, m, e);

	m->info.ifindex = (uint32_t)INT32_MAX - m->ep;
	r = r ? r : prt_member_write_addrs(&l->gen, m, e);
	r = r ? r : prt_flows_forget(&l->shared, m, e);
	r = r ? r : prt_member_write_if(&l->gen, m, e);
	return r ? r : prt_member_write_info(&l->gen, m, e);
}

static int leave_to_another(struct prt_live *l, const struct prt_link *link, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->world.member.n && !r; i++) {
		struct prt_member *m = &l->world.member.v[i];
		int any = m->info.ifindex == link->ifindex ? prt_attached_any(link->ifindex) : 1;

		if (any < 0)
			r = pol_err(e, any, "interface '%s': cannot ask for its hooks: %s",
				    prt_safe(link->name), strerror(-any));
		else if (!any)
			r = leave_device(l, m, e);
	}
	return r;
}

static int hold(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	const char *interface = ctx;
	struct prt_link link;
	int r = prt_net_link_by_name(interface, &link, e);

	(void)env;
	if (r == -ENODEV && !e->text[0])
		r = no_interface(interface, e);
	else if (!r && (link.loopback || is_uplink(&l->world, link.ifindex)))
		r = pol_err(e, -EEXIST, "interface '%s': is %s", link.name,
			    link.loopback ? "the host's own" : "an uplink");
	r = r ? r : leave_to_another(l, &link, e);
	r = r ? r : prt_hold(&l->shared, &link, e);
	return r ? r : prt_settle_held(&l->shared, e);
}

int prt_endpoint_hold(struct prt_env *env, const char *interface, struct pol_err *e)
{
	return with_live(env, PRT_LOCK_EXCLUSIVE, hold, (void *)interface, e);
}

static int sweep(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	int r = prt_settle_held(&l->shared, e);

	(void)env, (void)ctx;
	return r ? r : sync_host(l, e);
}

int prt_endpoint_sweep(struct prt_env *env, struct pol_err *e)
{
	return with_live(env, PRT_LOCK_EXCLUSIVE, sweep, NULL, e);
}

/* ---- what changes of one --------------------------------------------------------------------------- */

struct renaming {
	const char *from, *to;
};

static int rename_one(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	const struct renaming *x = ctx;
	struct prt_member *m;
	int r = find(l, x->from, &m, e);

	(void)env;
	if (!r && prt_world_find(&l->world, x->to))
		r = pol_err(e, -EEXIST, "endpoint '%s': there is one of that name",
			    prt_safe(x->to));
	if (r)
		return r;
	snprintf(m->info.name, sizeof(m->info.name), "%s", x->to);
	return prt_member_write_info(&l->gen, m, e);
}

int prt_endpoint_rename(struct prt_env *env, const char *from, const char *to, struct pol_err *e)
{
	struct renaming x = { from, to };

	return with_live(env, PRT_LOCK_EXCLUSIVE, rename_one, &x, e);
}

static int meet(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	const uint32_t *ifindex = ctx;
	int r = 0;

	(void)env;
	for (size_t i = 0; i < l->world.member.n && !r; i++) {
		struct prt_member *m = &l->world.member.v[i];

		if (m->info.ifindex != *ifindex || m->info.managed == PRT_MANAGED_HALF)
			continue;
		r = prt_world_meet(m, e);
		r = r ? r : prt_member_write_if(&l->gen, m, e);
	}
	return r;
}

int prt_endpoint_meet(struct prt_env *env, uint32_t ifindex, struct pol_err *e)
{
	return with_live(env, PRT_LOCK_EXCLUSIVE, meet, &ifindex, e);
}

/* ---- looking ------------------------------------------------------------------------------------------ */

struct hooked {
	uint32_t ifindex;
	bool yes;
};

static int look_hooked(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	struct hooked *x = ctx;
	int r = prt_attached(&l->shared, x->ifindex, POL_IF_ENDPOINT, false);

	(void)env;
	x->yes = r > 0;
	return r >= 0 ? 0
		      : pol_err(e, r, "interface %u: cannot ask for its hooks: %s", x->ifindex,
				strerror(-r));
}

int prt_endpoint_hooked(struct prt_env *env, uint32_t ifindex, bool *hooked, struct pol_err *e)
{
	struct hooked x = { .ifindex = ifindex };
	int r = with_live(env, PRT_LOCK_SHARED, look_hooked, &x, e);

	if (!r)
		*hooked = x.yes;
	return r;
}

struct each {
	prt_endpoint_fn fn;
	void *ctx;
	bool half; /* somebody's adding or removal did not come to its end: nobody was told of */
};

static int look_each(struct prt_env *env, struct prt_live *l, void *ctx, struct pol_err *e)
{
	struct each *x = ctx;

	(void)env, (void)e;
	x->half = false;
	for (size_t i = 0; i < l->world.member.n; i++)
		x->half |= l->world.member.v[i].info.managed == PRT_MANAGED_HALF;
	for (size_t i = 0; i < l->world.member.n && !x->half; i++) {
		const struct prt_member *m = &l->world.member.v[i];

		if (m->info.ifindex && x->fn(m, x->ctx))
			break;
	}
	return 0;
}

int prt_endpoint_each(struct prt_env *env, prt_endpoint_fn fn, void *ctx, struct pol_err *e)
{
	struct each x = { fn, ctx, false };
	int r = with_live(env, PRT_LOCK_SHARED, look_each, &x, e);

	/* Who asks is about to say of it that it is gone: so be it, by the change that finds it. */
	return !r && x.half ? with_live(env, PRT_LOCK_EXCLUSIVE, look_each, &x, e) : r;
}
