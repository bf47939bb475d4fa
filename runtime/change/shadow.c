/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>

#include "runtime/generation/ask.h"
#include "endpoints.h"
#include "runtime/generation/flows.h"
#include "runtime/host/guard.h"
#include "settle.h"
#include "runtime/generation/store.h"
#include "tx.h"

#define BESIDE 2u /* an apply beside it makes generation N + 1 */

uint64_t prt_shadow_of(const struct prt_shared *s, uint64_t active)
{
	return s->meta.shadow_on && s->meta.shadow_beside == active ? s->meta.shadow : 0;
}

/* ---- ending ---------------------------------------------------------------------------- */

static int end(const struct prt_env *env, struct prt_shared *s, struct prt_gen *g,
	       struct pol_err *e)
{
	uint64_t number = s->meta.shadow;
	int r;

	s->meta.shadow_on = 0;
	r = prt_shared_write_meta(s, e);
	r = r ? r : prt_gen_open_programs(env, g, e);
	r = r ? r : prt_gen_enter_tc(g, PRT_PROG_EP_OUT, s, e);
	if (!r && bpf_map_delete_elem(s->map[PRT_SHARED_SHADOW], &(uint32_t){ 0 }) &&
	    errno != ENOENT)
		r = pol_err(e, -errno, "map '%s': cannot clear: %s", POL_MAP_SHADOW,
			    strerror(errno));
	r = r ? r : prt_grace(e);
	if (!r && number != g->number)
		r = prt_bpffs_gen_remove(env, number, e);
	if (r)
		return r;
	s->meta.shadow = s->meta.shadow_beside = 0;
	return prt_shared_write_meta(s, e);
}

int prt_shadow_settle(const struct prt_env *env, struct prt_shared *s, struct prt_gen *g,
		      struct pol_err *e)
{
	return s->meta.shadow && !prt_shadow_of(s, g->number) ? end(env, s, g, e) : 0;
}

/* ---- beginning ----------------------------------------------------------------------------- */

/* As N judges it, and then as the shadow does. */
static int ask_both(const struct prt_gen *now, const struct prt_gen *shadow,
		    const struct pol_ct_entry *f, struct pol_err *e)
{
	unsigned first = f->flags & POL_CT_FLIPPED ? 1 : 0, other = !first;
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	struct pol_asked a = {
		.src = f->addr[first],
		.dst = f->addr[other],
		.sport_be = f->port_be[first],
		.dport_be = f->port_be[other],
		.proto = f->proto,
		.type = icmp ? f->icmp_type : 0,
		.from_host = !!(f->flags & POL_CT_HOST),
		.v6 = prt_ip_of_addr(&f->addr[0]).family == 6,
		.hook = POL_HOOK_UPLINK_IN,
	};
	int r = prt_ask(now, &a, e);

	a.was = a.is;
	a.note = 1;
	return r ? r : prt_ask(shadow, &a, e);
}

static int ask_live(const struct prt_shared *s, const struct prt_gen *now,
		    const struct prt_gen *shadow, struct pol_err *e)
{
	prt_flows flows = { 0 };
	int r = prt_flows_read(s, &flows, e);

	for (size_t i = 0; i < flows.n && !r; i++) {
		const struct pol_ct_entry *f = &flows.v[i];

		/* the proxy's half is told of by the client's */
		if (f->proto != IPPROTO_TCP || !(f->icmp_type & POL_CT_ONWARD))
			r = ask_both(now, shadow, f, e);
	}
	pol_vec_free(&flows);
	return r;
}

/* Everything that can be refused, with nothing done yet. */
static int prepare(struct prt_tx *t, const struct prt_apply *a, struct prt_gen *watched,
		   struct pol_err *e)
{
	struct prt_object *now POL_CLEANUP(prt_object_cleanup) = NULL;
	int r = prt_tx_make_world(t, a, e);

	r = r ? r
	      : prt_gen_load(a->object, &t->shared, t->old.number + BESIDE,
			     PRT_LOAD_SHADOW | PRT_LOAD_ASK, &t->next, e);
	r = r ? r : prt_tx_fill(t, a, e);
	r = r ? r : prt_store_get(t->env, t->old.number, &now, e);
	return r ? r
		 : prt_gen_load_over(t->env, now, &t->shared, t->old.number,
				     PRT_LOAD_WATCHED | PRT_LOAD_ASK, watched, e);
}

static int start(struct prt_tx *t, const struct prt_apply *a, const struct prt_gen *watched,
		 struct pol_err *e)
{
	struct prt_shared *s = &t->shared;
	int r;

	s->meta.shadow = t->next.number;
	s->meta.shadow_beside = t->old.number;
	s->meta.shadow_on = 0;
	r = prt_shared_write_meta(s, e);
	r = r ? r : prt_store_put(t->env, t->next.number, a->object, e);
	if (!r && a->host)
		r = prt_store_put_host(t->env, t->next.number, a->host->text, e);
	r = r ? r : prt_shared_pin_new(t->env, s, e);
	r = r ? r : prt_gen_pin(t->env, &t->next, e);
	if (!r && bpf_map_update_elem(s->map[PRT_SHARED_SHADOW], &(uint32_t){ 0 },
				      &t->next.prog[PRT_PROG_SHADOW], BPF_ANY))
		r = pol_err(e, -errno, "map '%s': cannot enter the program: %s", POL_MAP_SHADOW,
			    strerror(errno));
	r = r ? r : prt_gen_enter_tc(watched, PRT_PROG_WATCHED, s, e);
	r = r ? r : ask_live(s, watched, &t->next, e);
	if (r)
		return r;
	s->meta.shadow_on = 1;
	return prt_shared_write_meta(s, e);
}

/* The lock, and a shadow or not: -ENOENT with an error text if it should be there. */
/* With its programs those of the generation in force come back, which a lockdown took away. */
static int refuse_locked(struct pol_err *e)
{
	struct prt_guard_seen locked;
	int r = prt_guard_look(PRT_LOCKDOWN, &locked, e);

	if (r || !locked.there)
		return r;
	pol_err_help(e, "polload boot, or polload apply OBJECT, lifts it");
	return pol_err(e, -EBUSY, "not in a lockdown");
}

static int begin(struct prt_tx *t, bool wanted, struct pol_err *e)
{
	int r = refuse_locked(e);

	r = r ? r : prt_tx_begin(t, false, e);

	if ((r == -ENOENT && !e->text[0]) || (!r && t->fresh)) {
		pol_err_help(e, "polload apply OBJECT puts one in force");
		return pol_err(e, -ENOENT, "no policy is in force");
	}
	if (!r && wanted && !prt_shadow_of(&t->shared, t->old.number)) {
		pol_err_help(e, "polload apply --shadow OBJECT makes one");
		return pol_err(e, -ENOENT, "there is no shadow");
	}
	return r;
}

int prt_shadow_begin(struct prt_env *env, const struct prt_apply *a, struct prt_shadowed *out,
		     struct pol_err *e)
{
	struct prt_gen watched;
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	prt_gen_init(&watched);
	r = begin(&t, false, e);
	if (!r && t.shared.meta.shadow)
		r = end(env, &t.shared, &t.old, e);
	r = r ? r : prepare(&t, a, &watched, e);
	if (!r) {
		r = start(&t, a, &watched, e);
		if (r)
			prt_tx_undo(&t);
	}
	if (!r) {
		*out = (struct prt_shadowed){ .beside = t.old.number };
		memcpy(out->policy, t.next.info.policy, sizeof(out->policy));
		bpf_map_lookup_elem(t.next.fd[PRT_GEN_DIFF_SUMS], &(uint32_t){ 0 }, &out->sums);
	}
	prt_gen_close(&watched);
	prt_tx_close(&t);
	return r;
}

int prt_shadow_drop(struct prt_env *env, struct pol_err *e)
{
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	r = begin(&t, true, e);
	r = r ? r : end(env, &t.shared, &t.old, e);
	r = r ? r : prt_settle(env, &t.shared, &t.old, &t.old_world, e);
	prt_tx_close(&t);
	return r;
}

int prt_shadow_commit(struct prt_env *env, struct prt_applied *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_world world = { 0 };
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	struct prt_apply a = { .world = &world, .again = true };
	struct prt_gen g;
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	prt_gen_init(&g);
	r = begin(&t, true, e);
	r = r ? r : prt_gen_open(env, t.shared.meta.shadow, false, &g, e);
	r = r ? r : prt_world_read(&g, &world, e);
	r = r ? r : prt_store_get(env, t.shared.meta.shadow, &o, e);
	if (!r)
		o->path = pol_arena_str(o->arena, pol_str(g.info.object));
	a.object = o;
	r = r ? r : prt_store_get_host(env, t.shared.meta.shadow, &text, &a.host_text.n, e);
	a.host_text.p = text;
	r = r ? r : prt_tx_run(&t, &a, out, e);
	prt_world_free(&world);
	prt_gen_close(&g);
	prt_tx_close(&t);
	return r;
}

/* ---- endpoints that come and go ---------------------------------------------------------------- */

/* Opens it as if it were in force; `shared` is lent. */
static int open_shadow(const struct prt_env *env, struct prt_shared *s, uint64_t active,
		       struct prt_live *l, struct pol_err *e)
{
	uint64_t number = prt_shadow_of(s, active);
	int r;

	prt_live_init(l);
	if (!number)
		return -ENOENT;
	r = prt_gen_open(env, number, true, &l->gen, e);
	return r ? r : prt_world_read(&l->gen, &l->world, e);
}

static void tell(struct prt_env *env, const char *name, int r, const struct pol_err *why)
{
	if (r && (r != -ENOENT || why->text[0]))
		prt_env_note(env, "the shadow does not follow endpoint '%s': %s", prt_safe(name),
			     why->text);
}

void prt_shadow_add_endpoint(struct prt_env *env, struct prt_shared *s, uint64_t active,
			     const struct prt_member *m)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err why = { 0 };
	struct prt_live l;
	int r = open_shadow(env, s, active, &l, &why);

	if (!r && prt_world_find(&l.world, m->info.name))
		r = -ENOENT; /* its host file has it */
	r = r ? r : prt_store_get(env, l.gen.number, &o, &why);
	if (!r) {
		prt_member_copy(&l.world, m);
		r = prt_place_last(&l, o, &why);
	}
	r = r ? r : prt_member_write_info(&l.gen, m, &why);
	r = r ? r : prt_member_write_addrs(&l.gen, m, &why);
	r = r ? r : prt_member_write_if(&l.gen, m, &why);
	tell(env, m->info.name, r, &why);
	prt_live_close(&l);
}

void prt_shadow_del_endpoint(struct prt_env *env, struct prt_shared *s, uint64_t active,
			     const char *name)
{
	struct pol_err why = { 0 };
	struct prt_member *m = NULL;
	struct prt_live l;
	int r = open_shadow(env, s, active, &l, &why);

	m = r ? NULL : prt_world_find(&l.world, name);
	if (m)
		r = prt_member_clear_if(&l.gen, m, &why);
	if (m && !r) {
		m->info.ifindex = 0; /* its hooks are not the shadow's */
		r = prt_settle_erase(s, &l.gen, m, &why);
	}
	tell(env, name, r, &why);
	prt_live_close(&l);
}
