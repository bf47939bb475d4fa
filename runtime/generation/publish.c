/* SPDX-License-Identifier: GPL-2.0-only */
#include "publish.h"

#include <errno.h>

#include "neighbours.h"
#include "runtime/host/net.h"

int prt_publish_eps(struct pol_arena *arena, const struct prt_world *w, struct prt_place_ep **out,
		    struct pol_err *e)
{
	struct prt_place_ep *eps = pol_arena_alloc(arena, (w->member.n + 1) * sizeof(*eps));

	for (size_t i = 0; i < w->member.n; i++) {
		const struct prt_member *m = &w->member.v[i];
		struct pol_ip *ips = pol_arena_alloc(arena, (m->addrs.n + 1) * sizeof(*ips));

		for (size_t k = 0; k < m->addrs.n; k++)
			ips[k] = prt_ip_of_addr(&m->addrs.v[k].addr);
		eps[i] = (struct prt_place_ep){
			.ep = m->ep, .local = m->info.ifindex, .addrs = ips, .naddrs = m->addrs.n
		};
		if (prt_labels_unpack(arena, m->info.labels, &eps[i].labels, &eps[i].nlabels))
			return pol_err(e, -ESTALE, "endpoint '%s': its labels cannot be read back",
				       prt_safe(m->info.name));
	}
	*out = eps;
	return 0;
}

/* Endpoint number -> member, for many look-ups. */
static const struct prt_member **index_of(const struct prt_world *w)
{
	const struct prt_member **at = calloc(POL_EP_MAX, sizeof(*at));

	for (size_t i = 0; at && i < w->member.n; i++)
		at[w->member.v[i].ep % POL_EP_MAX] = &w->member.v[i];
	return at;
}

static void write_tables(struct prt_gen *g, const struct prt_place *p,
			 const struct prt_place_update *u)
{
	const struct pol_verdict *verdicts = prt_place_verdicts(p);
	const uint32_t *pages = prt_place_pages(p);

	for (size_t i = 0; i < u->verdicts.n; i++)
		g->verdicts[u->verdicts.v[i]] = verdicts[u->verdicts.v[i]];
	for (size_t i = 0; i < u->pages.n; i++) {
		size_t at = (size_t)u->pages.v[i] * POL_PAGE;

		memcpy(&g->pages[at], &pages[at], POL_PAGE * sizeof(*pages));
	}
	/* What is written above is seen before anything that points to it. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_root(struct prt_gen *g, const struct prt_member *m,
		       const struct prt_place_root *r)
{
	struct pol_ep_state *s = &g->state[m->ep];
	uint32_t flags = (g->info.flags & PRT_GEN_AUDIT ? POL_EP_AUDIT : 0) |
			 (m->info.late || m->info.managed != PRT_MANAGED_FILE ? POL_EP_LATE : 0);

	__atomic_store_n(&s->incarnation, m->info.incarnation, __ATOMIC_RELAXED);
	__atomic_store_n(&s->flags, flags, __ATOMIC_RELAXED);
	for (size_t d = 0; d < POL_DIRECTIONS; d++)
		__atomic_store_n(&s->root[d], r->root[d], __ATOMIC_RELEASE);
}

/* Does this host send to the address by the bridge itself, or by a VLAN on it? */
static bool routed_by(uint32_t master, const struct pol_addr *a)
{
	struct prt_link out;
	uint32_t oif;

	if (prt_net_route(a, &oif, NULL) || !oif)
		return false;
	return oif == master || (!prt_net_link_by_index(oif, &out, NULL) && out.peer == master);
}

static int check_addresses(const struct prt_member *m, const struct prt_link *port,
			   struct pol_err *e)
{
	struct prt_link bridge;
	char text[POL_IP_TEXT];

	for (size_t i = 0; i < m->addrs.n; i++) {
		const struct pol_addr *a = &m->addrs.v[i].addr;

		if (routed_by(port->master, a) ||
		    prt_net_link_by_index(port->master, &bridge, NULL))
			continue;
		pol_err_help(
			e,
			"the proxy connects from this host: give '%s' an address of that network, or let no rule with `http` select the endpoint",
			prt_safe(bridge.name));
		return pol_err(
			e, -EINVAL,
			"endpoint '%s': HTTP rules hold for it, and this host does not reach its address %s by the bridge '%s'",
			prt_safe(m->info.name), pol_ip_format(prt_ip_of_addr(a), text),
			prt_safe(bridge.name));
	}
	return 0;
}

/*
 * On a bridge that has no address this host is no part of, and so nor is the proxy: better said now
 * than dropped later.
 */
static int check_bridged(const struct prt_member *const *at, const struct prt_place *p,
			 const struct prt_place_update *u, struct pol_err *e)
{
	for (size_t i = 0; i < u->roots.n; i++) {
		const struct prt_place_root *r = &u->roots.v[i];
		const struct prt_member *m = at[r->ep];
		struct prt_link link;
		int bad;

		if (!m || !m->info.ifindex ||
		    (!prt_place_uses_http(p, r->root[POL_INGRESS]) &&
		     !prt_place_uses_http(p, r->root[POL_EGRESS])) ||
		    prt_net_link_by_index(m->info.ifindex, &link, NULL) || !link.bridge_port)
			continue;
		bad = check_addresses(m, &link, e);
		if (bad)
			return bad;
	}
	return 0;
}

/* Who is behind docker-proxy nobody sees: that host is not this host. */
static int check_published(const struct prt_member *const *at, const struct prt_place_update *u,
			   struct pol_err *e)
{
	prt_published all = { 0 };
	int r = prt_neighbours_published(&all, e);

	for (size_t i = 0; i < u->roots.n && !r; i++) {
		const struct prt_member *m = at[u->roots.v[i].ep];

		for (size_t k = 0; m && m->info.ifindex && k < m->addrs.n && !r; k++)
			r = prt_neighbours_check_published(&all, m->info.name, &m->addrs.v[k].addr,
							   e);
	}
	pol_vec_free(&all);
	return r;
}

int prt_publish(struct prt_gen *g, const struct prt_world *w, const struct prt_place *p,
		const struct prt_place_update *u, struct pol_err *e)
{
	const struct prt_member **at POL_CLEANUP(pol_cleanup_free) = index_of(w);
	int r = at ? 0 : pol_err(e, -ENOMEM, "no memory for the endpoints");

	r = r ? r : check_bridged(at, p, u, e);
	if (!r && g->info.flags & PRT_GEN_HOST_OPEN)
		r = check_published(at, u, e);
	if (!r && u->grace)
		r = prt_grace(e);
	if (r)
		return r;
	/*
	 * Before anything is in use by it: whoever comes after a run that is cut off here takes no
	 * column for fresh.
	 */
	g->info.pages = prt_place_npages(p);
	g->info.verdicts = prt_place_nverdicts(p);
	g->info.columns = prt_place_columns(p);
	r = prt_gen_write_info(g, e);
	if (r)
		return r;
	write_tables(g, p, u);
	for (size_t i = 0; i < u->roots.n; i++)
		write_root(g, at[u->roots.v[i].ep], &u->roots.v[i]);
	for (size_t i = 0; i < u->columns.n; i++) {
		const struct prt_place_column *c = &u->columns.v[i];
		const struct prt_member *m = at[c->ep];

		__atomic_store_n(&g->slot[m->addrs.v[c->address].slot].column, c->column,
				 __ATOMIC_RELEASE);
	}
	return 0;
}

int prt_publish_adopt(const struct prt_gen *g, const struct prt_world *w,
		      const struct prt_place_ep *eps, struct prt_place *p, struct pol_err *e)
{
	int r = prt_place_adopt(p, g->pages, g->verdicts, g->info.columns, e);

	for (size_t i = 0; i < w->member.n && !r; i++) {
		const struct prt_member *m = &w->member.v[i];
		uint32_t *column POL_CLEANUP(pol_cleanup_free) =
			calloc(m->addrs.n + 1, sizeof(*column));

		if (!column)
			return pol_err(e, -ENOMEM, "no memory for the endpoints");
		for (size_t k = 0; k < m->addrs.n; k++)
			column[k] = g->slot[m->addrs.v[k].slot % POL_SLOT_MAX].column;
		r = prt_place_adopt_ep(p, &eps[i], g->state[m->ep % POL_EP_MAX].root, column, e);
	}
	if (r == -ESTALE)
		pol_err_help(e, "apply the policy again");
	return r;
}
