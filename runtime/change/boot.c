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

int prt_boot_follow(const struct prt_env *env, const struct prt_apply *a, const struct prt_world *w,
		    const struct prt_shared *s, struct pol_err *e)
{
	prt_ranges closed = { 0 };
	struct prt_guard_seen seen;
	struct pol_err why = { 0 };
	int r, kept;

	closed_by(&a->object->manifest, a->host, w, &closed);
	r = prt_guard_look(PRT_GUARD, &seen, e);
	if (!r && seen.there)
		r = guard(&closed, s, e);
	r = r ? r : prt_guard_remove(PRT_LOCKDOWN, e);
	kept = prt_keep_put(env, a, &closed, &why);
	if (!r && kept) {
		*e = why;
		r = kept;
	}
	pol_vec_free(&closed);
	return r;
}

/* ---- lockdown ---------------------------------------------------------------------------------- */

/* The addresses of what is in force, else those of the last good policy. */
static void find_closed(const struct prt_env *env, prt_ranges *out)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_kept kept = { 0 };
	struct pol_err why = { 0 };
	struct prt_live l;

	prt_live_init(&l);
	if (!prt_live_open(env, PRT_LOCK_SHARED, &l, &why) &&
	    !prt_store_get(env, l.gen.number, &o, &why))
		closed_by(&o->manifest, NULL, &l.world, out);
	prt_live_close(&l);
	why = (struct pol_err){ 0 };
	if (!prt_keep_open(env, &kept, &why)) {
		for (size_t i = 0; i < kept.closed.n; i++)
			*pol_vec_push(out) = kept.closed.v[i];
	}
	prt_kept_free(&kept);
}

/* What one container gives to another past the stack, no rule of nf_tables sees (handover.h). */
static int close_endpoints(const struct prt_env *env, struct pol_err *e)
{
	struct prt_live l;
	struct pol_err why = { 0 };
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_EXCLUSIVE, &l, &why);
	if (!r)
		r = prt_gen_close_endpoints(&l.shared, l.gen.number, e);
	else if (r == -ENOENT)
		r = 0;
	else
		pol_err(e, r, "%s", why.text);
	prt_live_close(&l);
	return r;
}

int prt_lockdown(struct prt_env *env, bool *everything, struct pol_err *e)
{
	prt_ranges closed = { 0 };
	int r;

	find_closed(env, &closed);
	*everything = !closed.n;
	r = prt_guard_lockdown(&closed, e);
	pol_vec_free(&closed);
	return r ? r : close_endpoints(env, e);
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

static int first(struct prt_env *env, const struct good *g, struct prt_booted *out,
		 struct pol_err *e)
{
	const struct prt_apply a = { .object = g->object,
				     .host = g->host,
				     .audit = g->kept.audit,
				     .anybody_bpf = g->kept.anybody_bpf,
				     .late = true,
				     .no_import = true };
	int r = g->kept.anybody_bpf ? 0 : prt_env_unprivileged_bpf(e);

	r = r ? r : guard(&g->kept.closed, NULL, e);
	r = r ? r : prt_apply(env, &a, &out->how, e);
	out->applied = !r;
	return r;
}

/* What was left out and is there now: the policy in force once more, with the whole host file. */
static int complete(struct prt_env *env, const struct good *g, const struct prt_live *l,
		    struct prt_booted *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_apply a = { .host = g->host,
			       .audit = l->gen.info.flags & PRT_GEN_AUDIT,
			       .late = true,
			       .again = true };
	int r = prt_store_get(env, l->gen.number, &o, e);

	if (!r)
		o->path = pol_arena_str(o->arena, pol_str(l->gen.info.object));
	a.object = o;
	r = r ? r : prt_apply(env, &a, &out->how, e);
	out->applied = !r;
	return r;
}

/* again: even if nothing has come. */
static int take_in(struct prt_env *env, const struct good *g, struct prt_live *l, bool again,
		   struct prt_booted *out, struct pol_err *e)
{
	pol_cleanup_fd(&l->lock); /* the apply takes it */
	if (g->host && prt_boot_waiting(g->host, &l->world, out->waiting, sizeof(out->waiting)))
		again = true;
	return again ? complete(env, g, l, out, e) : 0;
}

/* With a policy in force: the guard, and what has come since. */
static int resume(struct prt_env *env, const struct good *g, struct prt_live *l,
		  struct prt_booted *out, struct pol_err *e)
{
	struct prt_guard_seen seen, locked = { 0 };
	int r = prt_guard_look(PRT_GUARD, &seen, e);

	if (!r && !seen.there)
		r = guard(&g->kept.closed, &l->shared, e);
	else if (!r)
		r = prt_guard_tidy(e);
	r = r ? r : prt_guard_look(PRT_LOCKDOWN, &locked, e);
	return r ? r : take_in(env, g, l, locked.there, out, e);
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

int prt_boot(struct prt_env *env, struct prt_booted *out, struct pol_err *e)
{
	struct good g = { 0 };
	struct pol_err why = { 0 };
	struct prt_live l;
	int r;

	*out = (struct prt_booted){ 0 };
	prt_live_init(&l);
	out->already = !prt_live_open(env, PRT_LOCK_SHARED, &l, &why);
	r = good_read(env, &g, e);
	if (!r && out->already) {
		r = resume(env, &g, &l, out, e);
	} else if (!r) {
		r = prt_keep_admit(env, &g.kept, &g.object, e);
		r = r ? r : first(env, &g, out, e);
	}
	prt_live_close(&l);
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
	struct prt_guard_seen locked;
	struct good g = { 0 };
	struct pol_err why = { 0 };
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_guard_look(PRT_LOCKDOWN, &locked, e);
	if (!r && !locked.there && !prt_live_open(env, PRT_LOCK_SHARED, &l, &why)) {
		r = good_read(env, &g, e);
		r = r ? r : take_in(env, &g, &l, false, out, e);
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
