/* SPDX-License-Identifier: GPL-2.0-only */
#include "apply.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "edge.h"
#include "lock.h"
#include "neighbours.h"
#include "proxy.h"
#include "publish.h"
#include "settle.h"
#include "store.h"

struct tx {
	struct prt_env *env;
	int lock;
	bool fresh;		/* nothing is in force */
	struct prt_shared shared;
	struct prt_gen old, next;
	struct prt_world old_world, world;
	struct prt_proxy proxy;	/* of a policy with http rules */
	struct prt_way way;	/* to it, that we made; table 0: none */
	struct prt_way old_way;	/* that was there; likewise */
};

static void tx_init(struct tx *t, struct prt_env *env)
{
	memset(t, 0, sizeof(*t));
	t->env = env;
	t->lock = -1;
	prt_shared_init(&t->shared);
	prt_gen_init(&t->old);
	prt_gen_init(&t->next);
	prt_proxy_init(&t->proxy);
}

static void tx_close(struct tx *t)
{
	prt_world_free(&t->old_world);
	prt_world_free(&t->world);
	prt_gen_close(&t->old);
	prt_gen_close(&t->next);
	prt_shared_close(&t->shared);
	prt_proxy_close(&t->proxy);
	pol_cleanup_fd(&t->lock);
}

/* Step 1: the lock, and a state of affairs that is whole. */
static int begin(struct tx *t, bool create, struct pol_err *e)
{
	int r = prt_lock(t->env, PRT_LOCK_EXCLUSIVE, create, &t->lock, e);

	if (r)
		return r;
	r = prt_shared_open(t->env, &t->shared, e);
	if (r == -ENOENT && !e->text[0]) {
		t->fresh = true;
		return prt_settle_nothing(t->env, e);
	}
	r = r ? r : prt_gen_open(t->env, prt_shared_active(&t->shared), true, &t->old, e);
	r = r ? r : prt_world_read(&t->old, &t->old_world, e);
	return r ? r : prt_settle(t->env, &t->shared, &t->old, &t->old_world, e);
}

/* Whatever happened since `begin`: as it was. */
static void undo(struct tx *t)
{
	struct pol_err why = { 0 };
	int r;

	if (t->proxy.fd >= 0)
		prt_proxy_keep(&t->proxy, t->old.number, &why);
	if (t->way.table)
		prt_net_way_tidy(t->old_way.table ? &t->old_way : NULL, &why);
	prt_gen_close(&t->next);
	if (t->fresh) {
		r = prt_settle_nothing(t->env, &why);
		r = r ? r : prt_bpffs_remove(t->env, &why);
		if (!r)
			prt_store_remove(t->env, NULL);
	} else {
		r = prt_settle(t->env, &t->shared, &t->old, &t->old_world, &why);
	}
	if (r)
		prt_env_note(t->env, "cleaning up failed too: %s", why.text);
}

/* ---- the next generation ------------------------------------------------------------------ */

static int make_world(struct tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r = 0;

	if (a->host)
		r = prt_world_from_file(a->host, t->fresh ? NULL : &t->old_world, &t->shared.meta,
					&t->world, e);
	else if (!t->fresh)
		prt_world_copy(&t->old_world, &t->world);
	t->world.http = a->object->http_image.n > 0;
	return r ? r : prt_world_sync_host(&t->world, e);
}

/* All rows and columns; the object already holds what the compiler filled. */
static int fill_tables(struct tx *t, const struct prt_apply *a, struct pol_err *e)
{
	struct prt_place *place = prt_place_new(a->object);
	struct pol_arena *arena = pol_arena_new();
	struct prt_place_update update = { 0 };
	struct prt_place_ep *eps;
	int r = prt_publish_eps(arena, &t->world, &eps, e);

	r = r ? r : prt_place_add(place, eps, t->world.member.n, &update, e);
	r = r ? r : prt_publish(&t->next, &t->world, place, &update, e);
	prt_place_update_free(&update);
	pol_arena_free(arena);
	prt_place_free(place);
	return r;
}

static void describe(struct tx *t, const struct prt_apply *a)
{
	struct prt_gen_info *i = &t->next.info;

	i->prev = t->old.number;
	i->applied = (uint64_t)time(NULL);
	i->flags = (a->audit ? PRT_GEN_AUDIT : 0) |
		   (t->old.info.flags & PRT_GEN_AUDIT ? PRT_GEN_PREV_AUDIT : 0) |
		   (a->object->manifest.host_open ? PRT_GEN_HOST_OPEN : 0);
	snprintf(i->object, sizeof(i->object), "%.*s", POL_STR_ARG(a->object->path));
	snprintf(i->policy, sizeof(i->policy), "%.*s", POL_STR_ARG(a->object->manifest.policy));
}

/* As the host file says; without one as it is; else as it is usually. */
static struct prt_way choose_way(const struct prt_way *now, const struct prt_hostfile *host)
{
	struct prt_way way = *now;

	if (host)
		way = (struct prt_way){ host->proxy_table, host->proxy_priority };
	if (!way.table)
		way.table = PRT_WAY_TABLE;
	if (!way.priority)
		way.priority = PRT_WAY_PRIORITY;
	return way;
}

static int open_proxy(struct tx *t, const struct prt_apply *a, struct pol_err *e)
{
	if (!a->object->http_image.n)
		return 0;
	if (!prt_net_way(&t->old_way))
		t->old_way = (struct prt_way){ 0 };
	t->way = choose_way(&t->old_way, a->host);
	return prt_proxy_open(t->env, true, a->host, &t->proxy, e);
}

static int tell_proxy(struct tx *t, struct pol_err *e)
{
	int r;

	if (t->proxy.fd < 0)
		return 0;
	r = prt_proxy_load(&t->proxy, &t->next, t->shared.map[PRT_SHARED_PROXY_FLOWS],
			   t->shared.map[PRT_SHARED_PROXY_SELF], e);
	r = r ? r : prt_neighbours_check_way(&t->way, e);
	return r ? r : prt_net_way_make(&t->way, e);
}

/* Steps 2 and 3. */
static int prepare(struct tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r = prt_neighbours_check_rules(e);

	if (!r && t->fresh)
		r = prt_shared_make(&t->shared, e);
	r = r ? r : make_world(t, a, e);
	r = r ? r : prt_edge_bind(&a->object->manifest, a->audit, &t->world, e);
	r = r ? r : prt_world_sync_ports(&t->world, e);
	r = r ? r : open_proxy(t, a, e);
	r = r ? r : prt_gen_load(a->object, &t->shared, t->old.number + 1, &t->next, e);
	if (r)
		return r;
	describe(t, a);
	r = prt_world_write(&t->next, &t->world, e);
	r = r ? r : fill_tables(t, a, e);
	r = r ? r : tell_proxy(t, e);
	r = r ? r : prt_shared_make_stubs(&t->shared, e);
	return r ? r : prt_shared_write_meta(&t->shared, e);
}

/* Steps 4 to 7. */
static int commit(struct tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r = prt_store_put(t->env, t->next.number, a->object, e);

	if (!r && t->fresh)
		r = prt_shared_pin_all(t->env, &t->shared, e);
	else if (!r)
		r = prt_shared_pin_new(t->env, &t->shared, e);
	r = r ? r : prt_gen_pin(t->env, &t->next, e);
	r = r ? r : prt_settle_attach(t->env, &t->shared, &t->world, true, e);
	r = r ? r : prt_gen_enter_root(&t->next, &t->shared, e);
	if (!r)
		prt_shared_flip(&t->shared, t->next.number);
	return r;
}

/* The policy needs the proxy no more: it stays, with nothing to say. */
static int leave_proxy(struct tx *t, struct pol_err *e)
{
	int r = prt_proxy_open(t->env, false, NULL, &t->proxy, e);

	if (!r)
		r = prt_proxy_keep(&t->proxy, 0, e);
	else if (r == -ENOENT && !e->text[0])
		r = 0;
	return r ? r : prt_net_way_tidy(NULL, e);
}

/* Step 8: the policy is in force, so trouble here is a note. */
static void finish(struct tx *t, struct prt_applied *out)
{
	struct pol_err why = { 0 };
	int r = prt_grace(&why);

	r = r ? r : prt_settle(t->env, &t->shared, &t->next, &t->world, &why);
	if (!r && t->proxy.fd >= 0)
		r = prt_proxy_keep(&t->proxy, t->next.number, &why) ?: prt_net_way_tidy(&t->way, &why);
	else if (!r && !t->fresh && prt_gen_uses_http(&t->old))
		r = leave_proxy(t, &why);
	if (r)
		prt_env_note(t->env, "the policy is in force, but cleaning up failed: %s", why.text);
	*out = (struct prt_applied){ .generation = t->next.number, .previous = t->old.number,
				     .uplinks = t->world.uplink.n };
	for (size_t i = 0; i < t->world.member.n; i++) {
		if (t->world.member.v[i].info.ifindex)
			out->endpoints++;
		else
			out->remotes++;
	}
	snprintf(out->policy, sizeof(out->policy), "%s", t->next.info.policy);
}

static int transact(struct tx *t, const struct prt_apply *a, struct prt_applied *out,
		    struct pol_err *e)
{
	int r = prepare(t, a, e);

	r = r ? r : commit(t, a, e);
	if (r)
		undo(t);
	else
		finish(t, out);
	return r;
}

int prt_apply(struct prt_env *env, const struct prt_apply *a, struct prt_applied *out,
	      struct pol_err *e)
{
	struct tx t;
	int r;

	tx_init(&t, env);
	r = begin(&t, true, e);
	r = r ? r : transact(&t, a, out, e);
	tx_close(&t);
	return r;
}

int prt_rollback(struct prt_env *env, struct prt_applied *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_apply a = { 0 };
	struct tx t;
	int r;

	tx_init(&t, env);
	r = begin(&t, false, e);
	if ((r == -ENOENT && !e->text[0]) || (!r && (t.fresh || !t.old.info.prev)))
		r = pol_err(e, -ENOENT, "there is no policy to go back to");
	r = r ? r : prt_store_get(env, t.old.info.prev, &o, e);
	a.object = o;
	a.audit = t.old.info.flags & PRT_GEN_PREV_AUDIT;
	r = r ? r : transact(&t, &a, out, e);
	tx_close(&t);
	return r;
}

/* The proxy ends by itself; what it has under way it may finish. */
static int remove_proxy(struct prt_env *env, struct pol_err *e)
{
	struct prt_proxy p;
	struct pol_err why = { 0 };

	prt_proxy_init(&p);
	if (!prt_proxy_open(env, false, NULL, &p, &why))
		prt_proxy_drain(&p, &why);
	prt_proxy_close(&p);
	return prt_net_way_tidy(NULL, e);
}

int prt_proxy_again(struct prt_env *env, struct pol_err *e)
{
	struct tx t;
	int r;

	tx_init(&t, env);
	r = begin(&t, false, e);
	if ((r == -ENOENT && !e->text[0]) || (!r && t.fresh))
		r = pol_err(e, -ENOENT, "no policy is in force");
	if (!r && prt_gen_uses_http(&t.old)) {
		r = prt_proxy_open(env, true, NULL, &t.proxy, e);
		r = r ? r : prt_proxy_load(&t.proxy, &t.old, t.shared.map[PRT_SHARED_PROXY_FLOWS],
					    t.shared.map[PRT_SHARED_PROXY_SELF], e);
		r = r ? r : prt_proxy_keep(&t.proxy, t.old.number, e);
		t.way = prt_net_way(&t.old_way) ? t.old_way : choose_way(&t.way, NULL);
		r = r ? r : prt_net_way_make(&t.way, e);
	}
	tx_close(&t);
	return r;
}

int prt_remove(struct prt_env *env, bool *was_there, struct pol_err *e)
{
	int lock POL_CLEANUP(pol_cleanup_fd) = -1;
	struct prt_shared s;
	int r = prt_lock(env, PRT_LOCK_EXCLUSIVE, false, &lock, e);

	*was_there = r != -ENOENT || e->text[0];
	if (!*was_there)
		return prt_store_remove(env, e);
	if (r)
		return r;
	/* Only to see that these hooks are of our namespace: another version's pins are removed all the same. */
	prt_shared_init(&s);
	r = prt_shared_open(env, &s, e);
	prt_shared_close(&s);
	if (r == -EXDEV)
		return r;
	memset(e, 0, sizeof(*e));
	r = prt_settle_nothing(env, e);
	r = r ? r : remove_proxy(env, e);
	r = r ? r : prt_bpffs_remove(env, e);
	return r ? r : prt_store_remove(env, e);
}
