/* SPDX-License-Identifier: GPL-2.0-only */
#include "settle.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "runtime/generation/flows.h"
#include "shadow.h"
#include "runtime/generation/store.h"
#include "runtime/generation/xdp.h"

/* ---- hooks ---------------------------------------------------------------------------- */

static enum pol_if_kind wanted_kind(const struct prt_world *w, uint32_t ifindex)
{
	for (size_t i = 0; i < w->uplink.n; i++) {
		if (w->uplink.v[i].ifindex == ifindex)
			return POL_IF_UPLINK;
	}
	for (size_t i = 0; i < w->member.n; i++) {
		if (w->member.v[i].info.ifindex == ifindex)
			return POL_IF_ENDPOINT;
	}
	if (w->http && ifindex == POL_LO_IFINDEX)
		return POL_IF_LO;
	return (enum pol_if_kind)0;
}

/* flags: POL_IF_* of an uplink; name: of an endpoint, for people, else NULL. */
static int attach_at(struct prt_env *env, const struct prt_shared *s, uint32_t ifindex,
		     enum pol_if_kind kind, unsigned flags, bool only_new, const char *name,
		     struct pol_err *e)
{
	enum prt_egress egress = flags & POL_IF_OUT ? PRT_EGRESS_ON
				 : only_new         ? PRT_EGRESS_KEEP
						    : PRT_EGRESS_OFF;
	struct prt_hook known;
	struct prt_link link;
	int r;

	if (only_new) {
		r = prt_hook_of(s->hooks, ifindex, &known, e);
		if (r || (known.kind && known.kind != kind))
			return r;
	}
	r = prt_net_link_by_index(ifindex, &link, e);
	r = r ? r : prt_attach(s, &link, kind, egress, e);
	if (!r && flags & POL_IF_XDP)
		r = prt_xdp_attach(env, s, &link, e);
	else if (!r && !only_new)
		r = prt_xdp_detach(s->hooks, ifindex, e);
	if (r != -ENODEV)
		return r;
	/*
	 * Its container ended, before or while we were at it.  The endpoint stays as it is: closed, and
	 * its address is nobody else's until somebody says so.
	 */
	*e = (struct pol_err){ 0 };
	if (name)
		prt_env_note(env, "the interface of endpoint '%s' is gone", prt_safe(name));
	else
		prt_env_note(env, "interface %u of an uplink is gone", ifindex);
	return 0;
}

int prt_settle_attach(struct prt_env *env, const struct prt_shared *s, const struct prt_world *w,
		      bool only_new, struct pol_err *e)
{
	int r = w->http ? attach_at(env, s, POL_LO_IFINDEX, POL_IF_LO, false, only_new, NULL, e)
			: 0;

	for (size_t i = 0; i < w->uplink.n && !r; i++)
		r = attach_at(env, s, w->uplink.v[i].ifindex, POL_IF_UPLINK, w->uplink.v[i].flags,
			      only_new, NULL, e);
	for (size_t i = 0; i < w->member.n && !r; i++) {
		const struct pol_ep_info *info = &w->member.v[i].info;

		if (info->ifindex)
			r = attach_at(env, s, info->ifindex, POL_IF_ENDPOINT, 0, only_new,
				      info->name, e);
	}
	return r;
}

/* Held and still there: with its hooks. */
static int keep_held(const struct prt_shared *s, uint32_t ifindex, struct pol_err *e)
{
	struct prt_link link;
	int r = prt_net_link_by_index(ifindex, &link, e);

	r = r ? r : prt_hold(s, &link, e);
	if (r != -ENODEV)
		return r;
	/* its container ended, before or while we were at it */
	*e = (struct pol_err){ 0 };
	return prt_detach(s->hooks, ifindex, e);
}

int prt_settle_held(const struct prt_shared *s, struct pol_err *e)
{
	prt_hooks all = { 0 };
	struct prt_link link;
	int r = prt_hooks_read(s->hooks, &all, e);

	for (size_t i = 0; i < all.n && !r; i++) {
		if (!all.v[i].hook.held)
			continue;
		r = prt_net_link_by_index(all.v[i].ifindex, &link, e);
		if (r == -ENODEV)
			r = prt_detach(s->hooks, all.v[i].ifindex, e);
	}
	pol_vec_free(&all);
	return r;
}

static int detach_others(const struct prt_shared *s, const struct prt_world *w, struct pol_err *e)
{
	prt_hooks all = { 0 };
	int r = prt_hooks_read(s->hooks, &all, e);

	for (size_t i = 0; i < all.n && !r; i++) {
		if (wanted_kind(w, all.v[i].ifindex))
			continue;
		r = all.v[i].hook.held ? keep_held(s, all.v[i].ifindex, e)
				       : prt_detach(s->hooks, all.v[i].ifindex, e);
	}
	pol_vec_free(&all);
	return r;
}

/* ---- endpoints ---------------------------------------------------------------------------- */

static int forget(int fd, const char *map, const void *key, struct pol_err *e)
{
	if (bpf_map_delete_elem(fd, key) && errno != ENOENT)
		return pol_err(e, -errno, "map '%s': cannot delete: %s", map, strerror(errno));
	return 0;
}

int prt_settle_erase(const struct prt_shared *s, struct prt_gen *g, struct prt_member *m,
		     struct pol_err *e)
{
	int r;

	m->info.managed = PRT_MANAGED_HALF;
	r = prt_member_write_info(g, m, e);
	if (r)
		return r;
	/*
	 * From here on its device passes nothing: it belongs to nobody, and if that cannot be written, to
	 * somebody without a verdict.  Before its addresses: an entry whose endpoint has its incarnation stands
	 * for them.
	 */
	r = prt_member_clear_if(g, m, e);
	memset(&g->state[m->ep % POL_EP_MAX], 0, sizeof(*g->state));
	for (size_t i = 0; i < m->addrs.n && !r; i++) {
		r = forget(g->fd[PRT_GEN_EP_BY_ADDR], POL_MAP_EP_BY_ADDR, &m->addrs.v[i].addr, e);
		__atomic_store_n(&g->slot[m->addrs.v[i].slot % POL_SLOT_MAX].column, 0,
				 __ATOMIC_RELEASE);
	}
	if (r)
		return r;
	r = prt_flows_forget(s, m, e);
	r = r ? r : prt_member_forget(g, m, e);
	if (!r && m->info.ifindex) {
		struct prt_hook h;

		r = prt_hook_of(s->hooks, m->info.ifindex, &h, e);
		if (!r && !h.held)
			r = prt_detach(s->hooks, m->info.ifindex, e);
	}
	return r ? r : forget(g->fd[PRT_GEN_EP_INFO], POL_MAP_EP_INFO, &m->ep, e);
}

static int erase_half(const struct prt_shared *s, struct prt_gen *g, struct prt_world *w,
		      struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < w->member.n && !r;) {
		struct prt_member *m = &w->member.v[i];

		if (m->info.managed != PRT_MANAGED_HALF) {
			i++;
			continue;
		}
		r = prt_settle_erase(s, g, m, e);
		pol_vec_free(&m->addrs);
		*m = w->member.v[--w->member.n];
	}
	return r;
}

/* ---- generations ---------------------------------------------------------------------------- */

static int drop_generations(const struct prt_env *env, uint64_t active, uint64_t shadow, bool *any,
			    struct pol_err *e)
{
	prt_gens gens = { 0 };
	int r = prt_bpffs_gens(env, &gens, e);

	for (size_t i = 0; i < gens.n && !r; i++) {
		if (gens.v[i] == active || gens.v[i] == shadow)
			continue;
		*any = true;
		r = prt_bpffs_gen_remove(env, gens.v[i], e);
	}
	pol_vec_free(&gens);
	return r;
}

static int prune(const struct prt_env *env, const struct prt_shared *s, const struct prt_gen *g,
		 struct pol_err *e)
{
	const uint64_t keep[] = { g->number, g->info.prev, s->meta.shadow };

	return prt_store_prune(env, keep, POL_ARRAY_LEN(keep), e);
}

int prt_settle(struct prt_env *env, struct prt_shared *s, struct prt_gen *g, struct prt_world *w,
	       struct pol_err *e)
{
	bool any = false;
	int r = erase_half(s, g, w, e);

	r = r ? r : detach_others(s, w, e);
	r = r ? r : prt_settle_attach(env, s, w, false, e);
	r = r ? r : prt_shadow_settle(env, s, g, e);
	r = r ? r : prt_gen_clear_root(s, g->number, e);
	r = r ? r : drop_generations(env, g->number, s->meta.shadow, &any, e);
	return r ? r : prune(env, s, g, e);
}

int prt_settle_quick(struct prt_env *env, struct prt_shared *s, struct prt_gen *g,
		     struct prt_world *w, struct pol_err *e)
{
	bool shadow = prt_shadow_of(s, g->number);
	prt_gens gens = { 0 };
	int r = prt_bpffs_gens(env, &gens, e);
	bool clean = gens.n == 1u + shadow && shadow == !!s->meta.shadow;

	pol_vec_free(&gens);
	if (r)
		return r;
	return clean ? erase_half(s, g, w, e) : prt_settle(env, s, g, w, e);
}

int prt_settle_nothing(const struct prt_env *env, struct pol_err *e)
{
	int hooks POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = prt_shared_open_hooks(env, &hooks, e);

	if (!r)
		r = prt_detach_all(hooks, e);
	else if (r == -ENOENT)
		r = 0;
	r = r ? r : prt_bpffs_clear(env, e);
	return r ? r : prt_store_prune(env, NULL, 0, e);
}
