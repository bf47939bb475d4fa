/* SPDX-License-Identifier: GPL-2.0-only */
#include "apply.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/generation/ask.h"
#include "boot.h"
#include "runtime/generation/edge.h"
#include "keep.h"
#include "runtime/host/lock.h"
#include "runtime/host/lookup.h"
#include "runtime/generation/neighbours.h"
#include "pool.h"
#include "settle.h"
#include "runtime/generation/store.h"
#include "tx.h"

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

static int open_proxy(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	if (!a->object->http_image.n)
		return 0;
	if (!prt_net_way(&t->old_way))
		t->old_way = (struct prt_way){ 0 };
	t->way = choose_way(&t->old_way, a->host);
	return prt_proxy_open(t->env, true, a->host, &t->proxy, e);
}

static int tell_proxy(struct prt_tx *t, struct pol_err *e)
{
	int r;

	if (t->proxy.fd < 0)
		return 0;
	r = prt_proxy_load(&t->proxy, &t->next, &t->shared, e);
	r = r ? r : prt_neighbours_check_way(&t->way, e);
	r = r ? r : prt_net_way_make(&t->way, e);
	return r ? r : prt_lookup_attach(t->env, t->next.prog[PRT_PROG_LISTENER], e);
}

/* Steps 2 and 3. */
static int prepare(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	bool take_over = t->fresh && !a->no_import;
	int r = prt_neighbours_check_rules(e);

	if (!r && t->fresh)
		r = prt_shared_make(&t->shared, e);
	if (!r && t->fresh && a->grace)
		t->shared.meta.grace_end = (uint32_t)(prt_env_now_ns() / 1000000000u) + a->grace;
	r = r ? r : prt_tx_make_world(t, a, e);
	r = r ? r : prt_edge_bind(&a->object->manifest, a->audit, a->late, &t->world, e);
	r = r ? r : prt_world_sync_ports(&t->world, e);
	r = r ? r : open_proxy(t, a, e);
	r = r ? r : prt_services_plan(&a->object->manifest, &t->world, &t->shared, &t->services, e);
	if (!r) {
		prt_services_succeed(&t->services, &t->old_world);
		prt_services_room(&t->services, &t->next);
	}
	r = r ? r
	      : prt_gen_load(a->object, &t->shared, t->old.number + 1,
			     PRT_LOAD_HOOKS | (take_over ? PRT_LOAD_ASK : 0), &t->next, e);
	r = r ? r : prt_tx_fill(t, a, e);
	if (!r && take_over)
		r = prt_import(&t->next, &t->world, &t->imported, e);
	pol_cleanup_fd(&t->next.prog[PRT_PROG_ASK]); /* has answered, and need not be pinned */
	r = r ? r : tell_proxy(t, e);
	r = r ? r : prt_shared_make_stubs(&t->shared, e);
	return r ? r : prt_shared_write_meta(&t->shared, e);
}

/* Steps 4 to 7. */
static int commit(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	int r = prt_store_put(t->env, t->next.number, a->object, e);

	if (!r && t->fresh)
		r = prt_shared_pin_all(t->env, &t->shared, e);
	else if (!r)
		r = prt_shared_pin_new(t->env, &t->shared, e);
	r = r ? r : prt_gen_pin(t->env, &t->next, e);
	r = r ? r : prt_settle_attach(t->env, &t->shared, &t->world, true, e);
	r = r ? r : prt_gen_enter_root(&t->next, &t->shared, e);
	if (!r && a->host)
		r = prt_services_tunnels(&t->shared, a->host, e);
	if (!r)
		prt_shared_flip(&t->shared, t->next.number);
	return r;
}

/* The policy needs the proxy no more: it stays, with nothing to say. */
static int leave_proxy(struct prt_tx *t, struct pol_err *e)
{
	int r = prt_proxy_open(t->env, false, NULL, &t->proxy, e);

	if (!r)
		r = prt_proxy_keep(&t->proxy, 0, e);
	else if (r == -ENOENT && !e->text[0])
		r = 0;
	r = r ? r : prt_lookup_detach(t->env, e);
	return r ? r : prt_net_way_tidy(NULL, e);
}

/* Step 8: the policy is in force, so trouble here is a note. */
static void finish(struct prt_tx *t, const struct prt_apply *a, struct prt_applied *out)
{
	struct pol_err why = { 0 };
	int r;

	pol_no_memory_note = "the policy is in force; what cleaning up is left the next run does\n";
	r = prt_grace(&why);
	r = r ? r : prt_settle(t->env, &t->shared, &t->next, &t->world, &why);
	if (!r && t->proxy.fd >= 0)
		r = prt_proxy_keep(&t->proxy, t->next.number, &why)
			    ?: prt_net_way_tidy(&t->way, &why);
	else if (!r && !t->fresh && prt_gen_uses_http(&t->old))
		r = leave_proxy(t, &why);
	r = r ? r : prt_services_tidy(&t->shared, &t->services, &why);
	if (r)
		prt_env_note(t->env, "the policy is in force, but cleaning up failed: %s",
			     why.text);
	why = (struct pol_err){ 0 };
	if (prt_boot_follow(t, a, &why))
		prt_env_note(t->env,
			     "the policy is in force, but not as the next boot finds it: %s",
			     why.text);
	prt_pool_note(t->env, &a->object->manifest, t->world.member.v, t->world.member.n);
	*out = (struct prt_applied){ .generation = t->next.number,
				     .previous = t->old.number,
				     .uplinks = t->world.uplink.n,
				     .imported = t->imported };
	for (size_t i = 0; i < t->world.member.n; i++) {
		if (t->world.member.v[i].info.ifindex)
			out->endpoints++;
		else
			out->remotes++;
	}
	snprintf(out->policy, sizeof(out->policy), "%s", t->next.info.policy);
}

int prt_tx_run(struct prt_tx *t, const struct prt_apply *a, struct prt_applied *out,
	       struct pol_err *e)
{
	int r = prepare(t, a, e);

	r = r ? r : commit(t, a, e);
	if (r)
		prt_tx_undo(t);
	else
		finish(t, a, out);
	return r;
}

int prt_apply(struct prt_env *env, const struct prt_apply *a, struct prt_applied *out,
	      struct pol_err *e)
{
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	r = prt_tx_begin(&t, true, e);
	r = r ? r : prt_tx_run(&t, a, out, e);
	prt_tx_close(&t);
	return r;
}

int prt_rollback(struct prt_env *env, struct prt_applied *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_apply a = { .again = true };
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	r = prt_tx_begin(&t, false, e);
	if ((r == -ENOENT && !e->text[0]) || (!r && (t.fresh || !t.old.info.prev)))
		r = pol_err(e, -ENOENT, "there is no policy to go back to");
	r = r ? r : prt_store_get(env, t.old.info.prev, &o, e);
	a.object = o;
	a.audit = t.old.info.flags & PRT_GEN_PREV_AUDIT;
	r = r ? r : prt_tx_run(&t, &a, out, e);
	prt_tx_close(&t);
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
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	r = prt_tx_begin(&t, false, e);
	if ((r == -ENOENT && !e->text[0]) || (!r && t.fresh))
		r = pol_err(e, -ENOENT, "no policy is in force");
	if (!r && prt_gen_uses_http(&t.old)) {
		r = prt_proxy_open(env, true, NULL, &t.proxy, e);
		r = r ? r : prt_proxy_load(&t.proxy, &t.old, &t.shared, e);
		r = r ? r : prt_proxy_keep(&t.proxy, t.old.number, e);
		t.way = prt_net_way(&t.old_way) ? t.old_way : choose_way(&t.way, NULL);
		r = r ? r : prt_net_way_make(&t.way, e);
		r = r ? r : prt_gen_open_programs(env, &t.old, e);
		r = r ? r : prt_lookup_attach(env, t.old.prog[PRT_PROG_LISTENER], e);
	}
	prt_tx_close(&t);
	return r;
}

/*
 * One store as for an apply, to a generation that passes everything on: hooks that go one after the
 * other, or stay because we were killed, enforce nothing any more, and no half of a policy.
 */
static int let_go(struct prt_shared *s, struct pol_err *e)
{
	uint64_t next = prt_shared_active(s) + 1;
	int r = prt_gen_enter_pass(s, next, e);

	s->meta.removed = next;
	r = r ? r : prt_shared_write_meta(s, e);
	if (r)
		return r;
	prt_shared_flip(s, next);
	return prt_grace(e);
}

/* What is there beside hooks and pins: for the next boot, and since the last. */
static int forget(struct prt_env *env, const struct prt_guard_id *lockdown, struct pol_err *e)
{
	struct prt_guard_id now;
	int r = prt_guard_remove(PRT_GUARD, e);

	r = r ? r : prt_guard_remove_that(PRT_LOCKDOWN, lockdown, e);
	r = r ? r : prt_keep_forget(env, e);
	r = r ? r : prt_store_remove(env, e);
	if (!r && !prt_guard_which(PRT_LOCKDOWN, &now, e) && now.handle[0])
		prt_env_note(env, PRT_LOCKED_MEANWHILE);
	return r;
}

int prt_remove(struct prt_env *env, bool *was_there, struct pol_err *e)
{
	int lock POL_CLEANUP(pol_cleanup_fd) = -1;
	struct prt_guard_id lockdown;
	struct prt_shared s;
	int r = prt_guard_which(PRT_LOCKDOWN, &lockdown, e);

	*was_there = true;
	if (r)
		return r;
	r = prt_lock(env, PRT_LOCK_EXCLUSIVE, false, &lock, e);
	*was_there = r != -ENOENT || e->text[0];
	if (!*was_there)
		return forget(env, &lockdown, e);
	if (r)
		return r;
	/* Another version's pins are removed all the same, but not another namespace's hooks. */
	prt_shared_init(&s);
	r = prt_shared_open(env, &s, e);
	if (!r && let_go(&s, e))
		prt_env_note(env, "the hooks go one by one: %s", e->text);
	prt_shared_close(&s);
	if (r == -EXDEV)
		return r;
	memset(e, 0, sizeof(*e));
	/* Before the hooks: a guard takes whoever has none for a stranger. */
	r = prt_guard_remove(PRT_GUARD, e);
	r = r ? r : prt_settle_nothing(env, e);
	r = r ? r : remove_proxy(env, e);
	r = r ? r : prt_bpffs_remove(env, e);
	return r ? r : forget(env, &lockdown, e);
}
