/* SPDX-License-Identifier: GPL-2.0-only */
#include "tx.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/host/lock.h"
#include "runtime/host/lookup.h"
#include "runtime/generation/publish.h"
#include "settle.h"
#include "runtime/generation/store.h"

void prt_tx_init(struct prt_tx *t, struct prt_env *env)
{
	memset(t, 0, sizeof(*t));
	t->env = env;
	t->lock = -1;
	prt_shared_init(&t->shared);
	prt_gen_init(&t->old);
	prt_gen_init(&t->next);
	prt_proxy_init(&t->proxy);
}

void prt_tx_close(struct prt_tx *t)
{
	prt_services_free(&t->services);
	prt_world_free(&t->old_world);
	prt_world_free(&t->world);
	prt_gen_close(&t->old);
	prt_gen_close(&t->next);
	prt_shared_close(&t->shared);
	prt_proxy_close(&t->proxy);
	pol_cleanup_fd(&t->lock);
}

/* What is there, or that nothing is; made whole. */
static int take_up(struct prt_tx *t, struct pol_err *e)
{
	int r = prt_shared_open(t->env, &t->shared, e);

	if (r == -ENOENT && !e->text[0]) {
		t->fresh = true;
		return prt_settle_nothing(t->env, e);
	}
	t->shared.meta.removed = 0; /* a removal that did not come to its instant */
	r = r ? r : prt_gen_open(t->env, prt_shared_active(&t->shared), true, &t->old, e);
	r = r ? r : prt_world_read(&t->old, &t->old_world, e);
	return r ? r : prt_settle(t->env, &t->shared, &t->old, &t->old_world, e);
}

/* Step 1: the lock, and a state of affairs that is whole. */
int prt_tx_begin(struct prt_tx *t, bool create, struct pol_err *e)
{
	int r = prt_guard_which(PRT_LOCKDOWN, &t->lockdown, e);

	r = r ? r : prt_lock(t->env, PRT_LOCK_EXCLUSIVE, create, &t->lock, e);
	if (r)
		return r;
	r = take_up(t, e);
	if (r)
		rmdir(t->env->bpffs); /* if it is empty, we made it */
	return r;
}

/* Whatever happened since `begin`: as it was. */
void prt_tx_undo(struct prt_tx *t)
{
	struct pol_err why = { 0 };
	int r;

	if (t->proxy.fd >= 0)
		prt_proxy_keep(&t->proxy, t->old.number, &why);
	if (t->way.table)
		prt_net_way_tidy(t->old_way.table ? &t->old_way : NULL, &why);
	if (t->way.table && (t->fresh || !prt_gen_uses_http(&t->old)))
		prt_lookup_detach(t->env, &why);
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

int prt_tx_make_world(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r = 0;

	if (a->world)
		prt_world_copy(a->world, &t->world);
	else if (a->host)
		r = prt_world_from_file(a->host, t->fresh ? NULL : &t->old_world, &t->shared.meta,
					a->late, &t->world, e);
	else if (!t->fresh)
		prt_world_copy(&t->old_world, &t->world);
	t->world.http = a->object->http_image.n > 0;
	return r ? r : prt_world_sync_host(&t->world, e);
}

/* All rows and columns; the object already holds what the compiler filled. */
static int fill_tables(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
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

static void describe(struct prt_tx *t, const struct prt_apply *a)
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

int prt_tx_fill(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r;

	describe(t, a);
	r = prt_world_write(&t->next, &t->world, e);
	r = r ? r : fill_tables(t, a, e);
	return r ? r : prt_services_fill(&t->next, &t->shared, &t->services, e);
}
