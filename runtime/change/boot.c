/* SPDX-License-Identifier: GPL-2.0-only */
#include "boot.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/generation/attach.h"
#include "keep.h"
#include "runtime/generation/live.h"
#include "runtime/host/netlink.h"
#include "runtime/generation/store.h"
#include "tx.h"

/* ---- what is closed ------------------------------------------------------------------------- */

static void add_address(prt_ranges *out, struct pol_ip ip)
{
	*pol_vec_push(out) = (struct prt_pool_range){ ip, ip };
}

static void closed_by(const struct prt_manifest *m, const struct prt_hostfile *h,
		      const struct prt_world *w, prt_ranges *out)
{
	for (size_t i = 0; i < m->npool; i++)
		*pol_vec_push(out) = m->pool[i];
	for (size_t i = 0; h && i < h->nendpoints; i++)
		for (size_t k = 0; k < h->endpoints[i].naddrs; k++)
			add_address(out, h->endpoints[i].addrs[k]);
	for (size_t i = 0; !h && i < w->member.n; i++) {
		const struct prt_member *m2 = &w->member.v[i];

		if (!m2->info.ifindex || m2->info.managed != PRT_MANAGED_FILE)
			continue;
		for (size_t k = 0; k < m2->addrs.n; k++)
			add_address(out, prt_ip_of_addr(&m2->addrs.v[k].addr));
	}
}

static int hooked(const struct prt_shared *s, prt_devices *out, struct pol_err *e)
{
	prt_hooks all = { 0 };
	int r = prt_hooks_read(s->hooks, &all, e);

	for (size_t i = 0; i < all.n && !r; i++) {
		if (all.v[i].hook.kind != POL_IF_LO)
			*pol_vec_push(out) = all.v[i].ifindex;
	}
	pol_vec_free(&all);
	return r;
}

static int guard(const prt_ranges *closed, const struct prt_shared *s, struct pol_err *e)
{
	prt_devices devices = { 0 };
	int r = s ? hooked(s, &devices, e) : 0;

	r = r ? r : prt_guard_make(closed, &devices, e);
	pol_vec_free(&devices);
	return r;
}

/* Somebody wants all closed that has just been opened: before he looks, or beside the lock that he waits for. */
static int stay_locked(struct prt_tx *t, struct pol_err *e)
{
	static const struct prt_guard_id none;
	struct prt_guard_id now;
	int r = prt_guard_which(PRT_LOCKDOWN, &now, e);

	if (r || prt_guard_same(&now, &none))
		return r;
	prt_env_note(t->env, PRT_LOCKED_MEANWHILE);
	return prt_gen_close_endpoints(&t->shared, t->next.number, e);
}

int prt_boot_follow(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e)
{
	prt_ranges closed = { 0 };
	struct prt_guard_seen seen;
	struct pol_err why = { 0 };
	int r, kept;

	closed_by(&a->object->manifest, a->host, &t->world, &closed);
	r = prt_guard_look(PRT_GUARD, &seen, e);
	if (!r && seen.there)
		r = guard(&closed, &t->shared, e);
	r = r ? r : prt_guard_remove_that(PRT_LOCKDOWN, &t->lockdown, e);
	r = r ? r : stay_locked(t, e);
	kept = prt_keep_put(t->env, a, &closed, &why);
	if (!r && kept) {
		*e = why;
		r = kept;
	}
	pol_vec_free(&closed);
	return r;
}

/* ---- lockdown ---------------------------------------------------------------------------------- */

static bool has_range(const prt_ranges *all, const struct prt_pool_range *r)
{
	for (size_t i = 0; i < all->n; i++) {
		if (pol_ip_eq(all->v[i].first, r->first) && pol_ip_eq(all->v[i].last, r->last))
			return true;
	}
	return false;
}

/* What the last good policy closes. */
static void closed_kept(const struct prt_env *env, prt_ranges *out)
{
	struct prt_kept kept = { 0 };
	struct pol_err why = { 0 };

	if (!prt_keep_open(env, &kept, &why)) {
		for (size_t i = 0; i < kept.closed.n; i++)
			*pol_vec_push(out) = kept.closed.v[i];
	}
	prt_kept_free(&kept);
}

/* And what is in force.  True: that is more. */
static bool closed_live(const struct prt_env *env, const struct prt_live *l, prt_ranges *out)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct pol_err why = { 0 };
	prt_ranges live = { 0 };
	size_t before = out->n;

	if (!prt_store_get(env, l->gen.number, &o, &why))
		closed_by(&o->manifest, NULL, &l->world, &live);
	for (size_t i = 0; i < live.n; i++) {
		if (!has_range(out, &live.v[i]))
			*pol_vec_push(out) = live.v[i];
	}
	pol_vec_free(&live);
	return out->n > before;
}

/*
 * What one container gives to another past the stack, no rule of nf_tables sees (handover.h).  Without the lock
 * another generation may take force meanwhile.
 */
static int close_endpoints(const struct prt_env *env, struct pol_err *e)
{
	struct prt_shared s;
	uint64_t active;
	int r;

	prt_shared_init(&s);
	r = prt_shared_open(env, &s, e);
	if (r == -ENOENT && !e->text[0])
		return 0;
	while (!r) {
		active = prt_shared_active(&s);
		r = prt_gen_close_endpoints(&s, active, e);
		if (prt_shared_active(&s) == active)
			break;
	}
	prt_shared_close(&s);
	return r;
}

int prt_lockdown(struct prt_env *env, bool *everything, struct pol_err *e)
{
	prt_ranges closed = { 0 };
	struct pol_err why = { 0 };
	struct prt_live l;
	int r = 0, opened;
	bool made;

	prt_live_init(&l);
	closed_kept(env, &closed);
	made = closed.n;
	if (made)
		r = prt_guard_lockdown(&closed, e);
	opened = r ? r : prt_live_open(env, PRT_LOCK_EXCLUSIVE, &l, &why);
	if (!r && ((!opened && closed_live(env, &l, &closed)) || !made))
		r = prt_guard_lockdown(&closed, e);
	if (!r && opened == -EBUSY)
		prt_env_note(env, "%s; the lockdown did not wait for it any longer", why.text);
	*everything = !closed.n;
	r = r ? r : close_endpoints(env, e);
	prt_live_close(&l);
	pol_vec_free(&closed);
	return r;
}

/* ---- what is waited for ------------------------------------------------------------------------- */

struct waiting {
	char *text;
	size_t room;
	bool came;
};

static void wait_for(struct waiting *w, const char *interface, bool there)
{
	size_t n = strlen(w->text);

	w->came |= there;
	snprintf(w->text + n, w->room - n, "%s%s", n ? " " : "", prt_safe(interface));
}

static bool has_uplink(const struct prt_world *w, uint32_t ifindex)
{
	for (size_t i = 0; i < w->uplink.n; i++) {
		if (w->uplink.v[i].ifindex == ifindex)
			return true;
	}
	return false;
}

bool prt_boot_waiting(const struct prt_hostfile *h, const struct prt_world *w, char *text,
		      size_t room)
{
	struct waiting for_them = { .text = text, .room = room };
	struct prt_link link;

	text[0] = '\0';
	for (size_t i = 0; i < h->nuplinks; i++) {
		bool there = !prt_net_link_by_name(h->uplinks[i].p, &link, NULL);

		if (!there || !has_uplink(w, link.ifindex))
			wait_for(&for_them, h->uplinks[i].p, there);
	}
	for (size_t i = 0; i < h->nendpoints; i++) {
		const struct prt_member *m = prt_world_find(w, h->endpoints[i].name.p);
		bool there = !prt_net_link_by_name(h->endpoints[i].interface.p, &link, NULL);

		/* one that was added at run time under that name is where that says */
		if (m && (m->info.managed != PRT_MANAGED_FILE ||
			  (there && m->info.ifindex == link.ifindex)))
			continue;
		wait_for(&for_them, h->endpoints[i].interface.p, there);
	}
	return for_them.came;
}

/* ---- booting ------------------------------------------------------------------------------------- */

/* The last good one, as if it were given. */
struct good {
	struct prt_kept kept;
	struct prt_object *object;
	struct prt_hostfile *host;
};

static void good_free(struct good *g)
{
	prt_kept_free(&g->kept);
	prt_object_free(g->object);
	prt_hostfile_free(g->host);
}

static int good_read(const struct prt_env *env, struct good *g, struct pol_err *e)
{
	int r = prt_keep_open(env, &g->kept, e);

	if (r == -ENOENT && !e->text[0]) {
		pol_err_help(
			e,
			"polload apply OBJECT -H HOST.yaml; or, if this host is to boot without a policy, disable polload.service");
		return pol_err(e, r, "%s: no policy is kept for the boot", env->state);
	}
	return r ? r : prt_keep_admit_host(&g->kept, &g->host, e);
}

static int first_locked(struct prt_tx *t, const struct good *g, struct prt_booted *out,
			struct pol_err *e)
{
	const struct prt_apply a = { .object = g->object,
				     .host = g->host,
				     .audit = g->kept.audit,
				     .anybody_bpf = g->kept.anybody_bpf,
				     .late = true,
				     .no_import = true };
	int r = guard(&g->kept.closed, NULL, e);

	if (r)
		prt_tx_undo(t);
	r = r ? r : prt_tx_run(t, &a, &out->how, e);
	out->applied = !r;
	return r;
}

/* 1: somebody has put one in force meanwhile. */
static int first(struct prt_env *env, struct good *g, struct prt_booted *out, struct pol_err *e)
{
	struct prt_tx t;
	int r = prt_keep_admit(env, &g->kept, &g->object, e);

	prt_tx_init(&t, env);
	r = r || g->kept.anybody_bpf ? r : prt_env_unprivileged_bpf(e);
	r = r ? r : prt_tx_begin(&t, true, e);
	if (!r)
		r = t.fresh ? first_locked(&t, g, out, e) : 1;
	prt_tx_close(&t);
	return r;
}

/* again: even if nothing has come. */
static int take_in_locked(struct prt_tx *t, bool again, struct prt_booted *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_apply a = { .audit = t->old.info.flags & PRT_GEN_AUDIT,
			       .late = true,
			       .again = true };
	struct good g = { 0 };
	int r = good_read(t->env, &g, e);

	a.host = g.host;
	if (!r && g.host &&
	    prt_boot_waiting(g.host, &t->old_world, out->waiting, sizeof(out->waiting)))
		again = true;
	if (!r && again) {
		r = prt_store_get(t->env, t->old.number, &o, e);
		if (!r)
			o->path = pol_arena_str(o->arena, pol_str(t->old.info.object));
		a.object = o;
		r = r ? r : prt_tx_run(t, &a, &out->how, e);
		out->applied = !r;
	}
	good_free(&g);
	return r;
}

/*
 * What was left out and is there now: the policy in force once more, with the whole host file.  Whoever asks
 * has looked without the lock, so here all is read again, and if nothing is in force any more, nothing
 * takes force.  seen: the lockdown that he saw and lifts by this, if any; any other stays.
 */
static int take_in(struct prt_env *env, const struct prt_guard_id *seen, struct prt_booted *out,
		   struct pol_err *e)
{
	static const struct prt_guard_id none;
	struct prt_tx t;
	int r;

	prt_tx_init(&t, env);
	r = prt_tx_begin(&t, false, e);
	if (r == -ENOENT && !e->text[0])
		r = 0;
	else if (!r && !t.fresh && prt_guard_same(&t.lockdown, seen))
		r = take_in_locked(&t, !prt_guard_same(seen, &none), out, e);
	else if (!r && !t.fresh)
		prt_env_note(env, PRT_LOCKED_MEANWHILE);
	prt_tx_close(&t);
	return r;
}

/* Has anything come that take_in() would take in? */
static bool has_come(const struct good *g, const struct prt_live *l, struct prt_booted *out)
{
	return g->host && prt_boot_waiting(g->host, &l->world, out->waiting, sizeof(out->waiting));
}

/* With a policy in force: the guard, and what has come since. */
static int resume(struct prt_env *env, const struct good *g, struct prt_live *l,
		  struct prt_booted *out, struct pol_err *e)
{
	struct prt_guard_id locked = { 0 };
	struct prt_guard_seen seen;
	int r = prt_guard_look(PRT_GUARD, &seen, e);
	bool come;

	if (!r && !seen.there)
		r = guard(&g->kept.closed, &l->shared, e);
	else if (!r)
		r = prt_guard_tidy(e);
	r = r ? r : prt_guard_which(PRT_LOCKDOWN, &locked, e);
	come = has_come(g, l, out) || locked.handle[0];
	pol_cleanup_fd(&l->lock); /* the change takes it */
	return r || !come ? r : take_in(env, &locked, out, e);
}

static void look_who_waits(const struct prt_env *env, const struct good *g, struct prt_booted *out)
{
	struct pol_err why = { 0 };
	struct prt_live l;

	prt_live_init(&l);
	if (g->host && !prt_live_open(env, PRT_LOCK_SHARED, &l, &why))
		prt_boot_waiting(g->host, &l.world, out->waiting, sizeof(out->waiting));
	prt_live_close(&l);
}

static bool in_force(const struct prt_env *env)
{
	struct pol_err why = { 0 };
	struct prt_live l;
	bool yes;

	prt_live_init(&l);
	yes = !prt_live_open(env, PRT_LOCK_SHARED, &l, &why);
	prt_live_close(&l);
	return yes;
}

static void lock_down(struct prt_env *env, const prt_ranges *closed, struct prt_booted *out)
{
	struct pol_err why = { 0 };

	out->locked = !prt_guard_lockdown(closed, &why);
	if (!out->locked)
		prt_env_note(env, "and lockdown failed: NOTHING IS CLOSED: %s", why.text);
}

/* As it is found now; 1: it is otherwise by now. */
static int come_up(struct prt_env *env, struct good *g, struct prt_booted *out, struct pol_err *e)
{
	struct pol_err why = { 0 };
	struct prt_live l;
	int r;

	*out = (struct prt_booted){ 0 };
	prt_live_init(&l);
	out->already = !prt_live_open(env, PRT_LOCK_SHARED, &l, &why);
	r = good_read(env, g, e);
	if (!r)
		r = out->already ? resume(env, g, &l, out, e) : first(env, g, out, e);
	prt_live_close(&l);
	return r;
}

int prt_boot(struct prt_env *env, struct prt_booted *out, struct pol_err *e)
{
	struct good g = { 0 };
	int r;

	while ((r = come_up(env, &g, out, e)) == 1) {
		good_free(&g);
		g = (struct good){ 0 };
	}
	if (!r)
		look_who_waits(env, &g, out);
	else if (!in_force(env)) /* nor has somebody applied one meanwhile */
		lock_down(env, &g.kept.closed, out);
	good_free(&g);
	return r;
}

/* ---- watching ------------------------------------------------------------------------------------- */

/* Reads what there is; *came: an interface that was not there, or has another name. */
static int read_links(int fd, bool *came)
{
	char room[32768];
	ssize_t n;

	while ((n = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
		*came = true;
	if (n < 0 && errno == ENOBUFS)
		*came = true; /* some were lost: look at all */
	return n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS ? -errno : 0;
}

/* A lockdown is lifted by who is asked to, and what is not in force does not take force by this. */
static int look_again(struct prt_env *env, struct prt_booted *out, struct pol_err *e)
{
	static const struct prt_guard_id none;
	struct prt_guard_seen locked;
	struct good g = { 0 };
	struct pol_err why = { 0 };
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_guard_look(PRT_LOCKDOWN, &locked, e);
	if (!r && !locked.there && !prt_live_open(env, PRT_LOCK_SHARED, &l, &why)) {
		bool come;

		r = good_read(env, &g, e);
		come = !r && has_come(&g, &l, out);
		pol_cleanup_fd(&l.lock); /* the change takes it */
		if (come)
			r = take_in(env, &none, out, e);
		if (out->applied)
			look_who_waits(env, &g, out);
	}
	prt_live_close(&l);
	good_free(&g);
	return r;
}

int prt_boot_watch(struct prt_env *env, const volatile int *stop,
		   void (*say)(const struct prt_booted *b, int r, const struct pol_err *e),
		   struct pol_err *e)
{
	const struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd POL_CLEANUP(pol_cleanup_fd) = prt_netlink_open(NETLINK_ROUTE);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool came = true;
	int r = 0;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&group, sizeof(group)))
		return pol_err(e, fd < 0 ? fd : -errno, "cannot follow interfaces: %s",
			       strerror(fd < 0 ? -fd : errno));
	while (!*stop && !r) {
		struct prt_booted b = { .already = true };
		struct pol_err why = { 0 };

		if (came)
			say(&b, look_again(env, &b, &why), &why);
		came = false;
		if (!*stop && poll(&p, 1, 1000) > 0)
			r = read_links(fd, &came);
	}
	return r ? pol_err(e, r, "cannot follow interfaces: %s", strerror(-r)) : 0;
}
