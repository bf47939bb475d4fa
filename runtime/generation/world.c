/* SPDX-License-Identifier: GPL-2.0-only */
#include "world.h"

#include <errno.h>
#include <stdio.h>

#include "attach.h"

/* ---- numbers -------------------------------------------------------------------------- */

/* What is in use; numbers go round, so that one is used again as late as can be. */
struct numbers {
	uint8_t ep[POL_EP_MAX / 8], slot[POL_SLOT_MAX / 8];
};

static void mark(uint8_t *map, uint32_t n)
{
	map[n / 8] |= (uint8_t)(1u << (n % 8));
}

static struct numbers *numbers_of(const struct prt_world *w)
{
	struct numbers *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	mark(u->ep, 0);
	mark(u->slot, 0);
	for (size_t i = 0; w && i < w->member.n; i++) {
		mark(u->ep, w->member.v[i].ep % POL_EP_MAX);
		for (size_t k = 0; k < w->member.v[i].addrs.n; k++)
			mark(u->slot, w->member.v[i].addrs.v[k].slot % POL_SLOT_MAX);
	}
	return u;
}

/* The next free one from *next on; 0: none. */
static uint32_t take(uint8_t *map, uint32_t max, uint32_t *next)
{
	for (uint32_t i = 0; i < max; i++) {
		uint32_t n = (*next + i) % max;

		if (map[n / 8] & (1u << (n % 8)))
			continue;
		mark(map, n);
		*next = (n + 1) % max;
		return n;
	}
	return 0;
}

/* ---- looking ---------------------------------------------------------------------------- */

struct prt_member *prt_world_find(const struct prt_world *w, const char *name)
{
	for (size_t i = 0; i < w->member.n; i++) {
		if (!strcmp(w->member.v[i].info.name, name))
			return &w->member.v[i];
	}
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct prt_member *const *)a)->info.name,
		      (*(struct prt_member *const *)b)->info.name);
}

typedef POL_VEC(struct prt_member *) members;

static void sort_by_name(const struct prt_world *w, members *out)
{
	for (size_t i = 0; w && i < w->member.n; i++)
		*pol_vec_push(out) = &w->member.v[i];
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
}

static struct prt_member *named(const members *sorted, const char *name)
{
	struct prt_member key, *pk = &key, **hit;

	snprintf(key.info.name, sizeof(key.info.name), "%s", name);
	hit = sorted->n ? bsearch(&pk, sorted->v, sorted->n, sizeof(*sorted->v), by_name) : NULL;
	return hit ? *hit : NULL;
}

static const struct prt_member_addr *address_of(const struct prt_member *m,
						const struct pol_addr *a)
{
	for (size_t i = 0; m && i < m->addrs.n; i++) {
		if (!memcmp(&m->addrs.v[i].addr, a, sizeof(*a)))
			return &m->addrs.v[i];
	}
	return NULL;
}

/* ---- one endpoint ------------------------------------------------------------------------ */

struct making {
	struct prt_meta *meta;
	struct numbers *used;
	const members *old; /* by name; NULL: all are new */
	bool late;
	bool fresh; /* a first apply: whoever is there may have lived before */
};

static int exhausted(const char *what, struct pol_err *e)
{
	return pol_err(e, -ENOSPC, "no %s left: remove some endpoints first", what);
}

static int give_addresses(struct making *mk, const struct prt_endpoint *ep,
			  const struct prt_member *before, struct prt_member *m, struct pol_err *e)
{
	for (size_t i = 0; i < ep->naddrs; i++) {
		struct pol_addr a = prt_addr_of_ip(ep->addrs[i]);
		const struct prt_member_addr *had = address_of(before, &a);
		uint32_t slot =
			had ? had->slot : take(mk->used->slot, POL_SLOT_MAX, &mk->meta->next_slot);

		if (!slot)
			return exhausted("address slots", e);
		*pol_vec_push(&m->addrs) = (struct prt_member_addr){ a, slot };
	}
	return 0;
}

static int give_numbers(struct making *mk, const struct prt_member *before, struct prt_member *m,
			struct pol_err *e)
{
	if (before) {
		m->ep = before->ep;
		m->info.incarnation = before->info.incarnation;
		m->info.late = before->info.late;
		return 0;
	}
	m->ep = take(mk->used->ep, POL_EP_MAX, &mk->meta->next_ep);
	if (!m->ep)
		return exhausted("endpoint numbers", e);
	m->info.incarnation = mk->meta->next_incarnation++;
	m->info.late = !mk->fresh;
	if (!mk->meta->next_incarnation) /* 0 would look like "none" */
		mk->meta->next_incarnation = 1;
	return 0;
}

/*
 * A bridge learns from what its ports send.  A container there that may send with any
 * source address can take what is sent to its neighbours.
 */
static int check_mac(const struct prt_endpoint *ep, const struct prt_link *l, struct pol_err *e)
{
	if (!l || !l->bridge_port || ep->has_mac)
		return 0;
	pol_err_help(
		e,
		"`cat /sys/class/net/eth0/address` inside the container; then `mac: 02:00:00:00:00:01`");
	return pol_err(
		e, -EINVAL,
		"endpoint '%s': its interface '%s' is a port of a bridge, so its `mac` has to be said",
		prt_safe(ep->name.p), prt_safe(l->name));
}

/* To which MAC are frames that the host takes from its bridge? */
static void find_bridge(struct prt_member *m, const struct prt_link *link)
{
	struct prt_link bridge;

	if (link->bridge_port && !prt_net_link_by_index(link->master, &bridge, NULL))
		memcpy(m->host_mac, bridge.mac, sizeof(m->host_mac));
}

/*
 * Can the data path hand packets to the container itself?  The MAC of the host file is the one
 * that its frames carry; else the kernel is asked.
 */
static void find_peer(struct prt_member *m, const struct prt_link *link)
{
	uint8_t mac[6];

	if (link->master || prt_net_peer_mac(link, mac))
		return;
	if (!(m->if_flags & POL_IF_HAS_MAC))
		memcpy(m->mac, mac, sizeof(m->mac));
	memcpy(m->host_mac, link->mac, sizeof(m->host_mac));
	m->if_flags |= POL_IF_PEER;
}

int prt_world_meet(struct prt_member *m, struct pol_err *e)
{
	struct prt_link link;
	int r = prt_net_link_by_index(m->info.ifindex, &link, e);

	if (!r)
		find_peer(m, &link);
	return r == -ENODEV ? 0 : r;
}

static int add(struct making *mk, struct prt_world *w, const struct prt_endpoint *ep,
	       const struct prt_link *link, uint8_t managed, struct pol_err *e)
{
	uint32_t ifindex = link ? link->ifindex : 0;
	struct prt_member *m = pol_vec_push(&w->member), *before;
	int r = check_mac(ep, link, e);

	memset(m, 0, sizeof(*m));
	if (r)
		return r;
	/* The same name on another interface is another container. */
	before = mk->old ? named(mk->old, ep->name.p) : NULL;
	if (before && before->info.ifindex != ifindex)
		before = NULL;
	snprintf(m->info.name, sizeof(m->info.name), "%s", ep->name.p);
	prt_labels_pack(ep, m->info.labels);
	m->info.ifindex = ifindex;
	m->info.managed = managed;
	m->if_flags = ep->has_mac ? POL_IF_HAS_MAC : 0;
	memcpy(m->mac, ep->mac, sizeof(m->mac));
	if (link && link->master)
		m->if_flags |= POL_IF_PORT;
	if (link) {
		find_peer(m, link);
		find_bridge(m, link);
	}
	r = give_numbers(mk, before, m, e);
	return r ? r : give_addresses(mk, ep, before, m, e);
}

/* ---- at run time ---------------------------------------------------------------------------- */

static int check_free(const struct prt_world *w, const struct prt_endpoint *ep,
		      const struct prt_link *link, struct pol_err *e)
{
	const struct prt_member *m = prt_world_find(w, ep->name.p);

	if (m)
		return pol_err(e, -EEXIST, "endpoint '%s': there is one of that name",
			       prt_safe(ep->name.p));
	for (size_t i = 0; link && i < w->uplink.n; i++) {
		if (w->uplink.v[i].ifindex == link->ifindex)
			return pol_err(e, -EEXIST, "interface '%s': is an uplink",
				       prt_safe(link->name));
	}
	for (size_t i = 0; i < w->member.n; i++) {
		m = &w->member.v[i];
		if (link && m->info.ifindex == link->ifindex)
			return pol_err(e, -EEXIST, "interface '%s': belongs to endpoint '%s'",
				       prt_safe(link->name), prt_safe(m->info.name));
		for (size_t k = 0; k < ep->naddrs; k++) {
			struct pol_addr a = prt_addr_of_ip(ep->addrs[k]);
			char text[POL_IP_TEXT];

			if (address_of(m, &a))
				return pol_err(e, -EEXIST, "address %s: belongs to endpoint '%s'",
					       pol_ip_format(ep->addrs[k], text),
					       prt_safe(m->info.name));
		}
	}
	return 0;
}

int prt_world_add(struct prt_world *w, const struct prt_endpoint *ep, const struct prt_link *link,
		  uint8_t managed, struct prt_meta *meta, struct prt_member **out,
		  struct pol_err *e)
{
	struct numbers *used POL_CLEANUP(pol_cleanup_free) = numbers_of(w);
	struct making mk = { .meta = meta, .used = used };
	int r = check_free(w, ep, link, e);

	if (!used)
		return pol_err(e, -ENOMEM, "no memory for the endpoints");
	if (r) {
		pol_err_help(
			e,
			"`polload endpoints` shows who has what, `polload endpoint del` removes one");
		return r;
	}
	r = add(&mk, w, ep, link, managed, e);
	if (r) {
		pol_vec_free(&w->member.v[w->member.n - 1].addrs);
		w->member.n--;
		return r;
	}
	*out = &w->member.v[w->member.n - 1];
	return 0;
}

/* ---- from the host file ------------------------------------------------------------------------ */

static const struct prt_link *link_named(const prt_links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++) {
		if (!strcmp(links->v[i].name, name))
			return &links->v[i];
	}
	return NULL;
}

static int no_interface(const struct prt_hostfile *h, uint32_t line, uint32_t column,
			const char *name, struct pol_err *e)
{
	pol_err_help(e, "`ip link` shows the interfaces of this network namespace");
	if (!line)
		return pol_err(e, -ENODEV, "%s: there is no interface '%s'", prt_safe(h->path.p),
			       prt_safe(name));
	return pol_err(e, -ENODEV, "%s:%u:%u: there is no interface '%s'", prt_safe(h->path.p),
		       line, column, prt_safe(name));
}

static int at_line(const struct prt_hostfile *h, const struct prt_endpoint *ep, int r,
		   struct pol_err *e)
{
	struct pol_err inner = *e;

	if (!r)
		return 0;
	snprintf(e->text, sizeof(e->text), "%.200s:%u:%u: %.280s", prt_safe(h->path.p), ep->line,
		 ep->column, inner.text);
	return r;
}

static int add_local(const struct prt_hostfile *h, const prt_links *links, struct making *mk,
		     struct prt_world *w, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < h->nendpoints && !r; i++) {
		const struct prt_endpoint *ep = &h->endpoints[i];
		const struct prt_link *l = link_named(links, ep->interface.p);

		if (!l && mk->late)
			continue;
		if (!l)
			return no_interface(h, ep->line, ep->column, ep->interface.p, e);
		r = prt_attach_check(l, POL_IF_ENDPOINT, e);
		r = r ? r : add(mk, w, ep, l, PRT_MANAGED_FILE, e);
		r = at_line(h, ep, r, e);
	}
	return r;
}

static bool is_direct(const struct prt_hostfile *h, struct pol_str uplink)
{
	for (size_t i = 0; i < h->ndirect; i++)
		if (pol_str_eq(h->direct[i], uplink))
			return true;
	return false;
}

static int add_uplinks(const struct prt_hostfile *h, const prt_links *links, bool late,
		       struct prt_world *w, struct pol_err *e)
{
	for (size_t i = 0; i < h->nuplinks; i++) {
		const struct prt_link *l = link_named(links, h->uplinks[i].p);
		int r;

		if (!l && late)
			continue;
		r = l ? prt_attach_check(l, POL_IF_UPLINK, e)
		      : no_interface(h, 0, 0, h->uplinks[i].p, e);

		if (r)
			return r;
		*pol_vec_push(&w->uplink) =
			(struct prt_uplink){ .ifindex = l->ifindex,
					     .flags = is_direct(h, h->uplinks[i]) ? POL_IF_DIRECT
										  : 0 };
	}
	return 0;
}

static void add_fixed(struct prt_world *w, struct pol_ip ip, enum pol_entity entity)
{
	*pol_vec_push(&w->fixed) = (struct prt_fixed){ .addr = prt_addr_of_ip(ip),
						       .entity = (uint8_t)entity,
						       .stated = 1 };
}

void prt_member_copy(struct prt_world *w, const struct prt_member *m)
{
	struct prt_member *n = pol_vec_push(&w->member);

	*n = *m;
	memset(&n->addrs, 0, sizeof(n->addrs));
	for (size_t i = 0; i < m->addrs.n; i++)
		*pol_vec_push(&n->addrs) = m->addrs.v[i];
}

/* What was added at run time stays, unless the file now says otherwise of its name, interface or address. */
static int keep_added(const struct prt_hostfile *h, const struct prt_world *old,
		      struct prt_world *w, struct pol_err *e)
{
	for (size_t i = 0; old && i < old->member.n; i++) {
		const struct prt_member *m = &old->member.v[i];
		struct prt_endpoint as = { .name = pol_str(m->info.name) };
		struct prt_link link = { .ifindex = m->info.ifindex };
		struct pol_ip *ips POL_CLEANUP(pol_cleanup_free) = NULL;
		struct pol_err why = { 0 };

		if (m->info.managed != PRT_MANAGED_RUN)
			continue;
		ips = calloc(m->addrs.n + 1, sizeof(*ips));
		if (!ips)
			return pol_err(e, -ENOMEM, "no memory for the endpoints");
		for (size_t k = 0; k < m->addrs.n; k++)
			ips[k] = prt_ip_of_addr(&m->addrs.v[k].addr);
		as.addrs = ips;
		as.naddrs = m->addrs.n;
		if (check_free(w, &as, link.ifindex ? &link : NULL, &why)) {
			pol_err_help(e, "remove it first: polload endpoint del %s",
				     prt_safe(m->info.name));
			return pol_err(e, -EEXIST,
				       "%s: endpoint '%s', added at run time, clashes with it: %s",
				       prt_safe(h->path.p), prt_safe(m->info.name), why.text);
		}
		prt_member_copy(w, m);
	}
	return 0;
}

static int from_file(const struct prt_hostfile *h, const struct prt_world *old,
		     struct prt_meta *meta, const prt_links *links, bool late, struct prt_world *w,
		     struct pol_err *e)
{
	struct numbers *used POL_CLEANUP(pol_cleanup_free) = numbers_of(old);
	members sorted = { 0 };
	struct making mk = {
		.meta = meta, .used = used, .old = &sorted, .late = late, .fresh = !old
	};
	int r;

	if (!used)
		return pol_err(e, -ENOMEM, "no memory for the endpoints");
	sort_by_name(old, &sorted);
	r = add_uplinks(h, links, late, w, e);
	r = r ? r : add_local(h, links, &mk, w, e);
	for (size_t i = 0; i < h->nremotes && !r; i++)
		r = add(&mk, w, &h->remotes[i], NULL, PRT_MANAGED_FILE, e);
	pol_vec_free(&sorted);
	for (size_t i = 0; i < h->nhost_addrs; i++)
		add_fixed(w, h->host_addrs[i], POL_ENTITY_HOST);
	for (size_t i = 0; i < h->nnodes; i++) {
		for (size_t k = 0; k < h->nodes[i].naddrs; k++)
			add_fixed(w, h->nodes[i].addrs[k], POL_ENTITY_NODE);
	}
	return r ? r : keep_added(h, old, w, e);
}

int prt_world_from_file(const struct prt_hostfile *h, const struct prt_world *old,
			struct prt_meta *meta, bool late, struct prt_world *out, struct pol_err *e)
{
	struct prt_world w = { 0 };
	prt_links links = { 0 };
	int r = prt_net_links(&links, e);

	r = r ? r : from_file(h, old, meta, &links, late, &w, e);
	pol_vec_free(&links);
	if (r)
		prt_world_free(&w);
	else
		*out = w;
	return r;
}

void prt_world_copy(const struct prt_world *old, struct prt_world *out)
{
	for (size_t i = 0; i < old->member.n; i++) {
		if (old->member.v[i].info.managed != PRT_MANAGED_HALF)
			prt_member_copy(out, &old->member.v[i]);
	}
	for (size_t i = 0; i < old->uplink.n; i++)
		*pol_vec_push(&out->uplink) = old->uplink.v[i];
	for (size_t i = 0; i < old->fixed.n; i++)
		*pol_vec_push(&out->fixed) = old->fixed.v[i];
}

/* ---- this host's own addresses --------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pol_addr));
}

static bool among(const prt_addrs *sorted, const struct pol_addr *a)
{
	return sorted->n && bsearch(a, sorted->v, sorted->n, sizeof(*a), by_bytes);
}

static void sort_addrs(prt_addrs *v)
{
	size_t n = 0;

	if (!v->n)
		return;
	qsort(v->v, v->n, sizeof(*v->v), by_bytes);
	for (size_t i = 0; i < v->n; i++) {
		if (!i || by_bytes(&v->v[i], &v->v[n - 1]))
			v->v[n++] = v->v[i];
	}
	v->n = n;
}

/* An endpoint on the host's own address owns it; a node that has our address is us. */
int prt_world_sync_host(struct prt_world *w, struct pol_err *e)
{
	prt_addrs kernel = { 0 }, owned = { 0 }, stated = { 0 };
	int r = prt_net_addresses(&kernel, e);
	size_t n = 0;

	for (size_t i = 0; i < w->member.n; i++) {
		for (size_t k = 0; k < w->member.v[i].addrs.n; k++)
			*pol_vec_push(&owned) = w->member.v[i].addrs.v[k].addr;
	}
	sort_addrs(&kernel);
	sort_addrs(&owned);
	for (size_t i = 0; i < w->fixed.n && !r; i++) {
		const struct prt_fixed *f = &w->fixed.v[i];

		if (!f->stated || among(&owned, &f->addr) ||
		    (f->entity == POL_ENTITY_NODE && among(&kernel, &f->addr)))
			continue;
		w->fixed.v[n++] = *f;
		*pol_vec_push(&stated) = f->addr;
	}
	if (!r)
		w->fixed.n = n;
	sort_addrs(&stated);
	for (size_t i = 0; i < kernel.n && !r; i++) {
		if (!among(&owned, &kernel.v[i]) && !among(&stated, &kernel.v[i]))
			*pol_vec_push(&w->fixed) = (struct prt_fixed){ .addr = kernel.v[i],
								       .entity = POL_ENTITY_HOST };
	}
	pol_vec_free(&stated);
	pol_vec_free(&kernel);
	pol_vec_free(&owned);
	return r;
}

/* ---- ports ------------------------------------------------------------------------------------------ */

static bool has_master(const prt_links *links, uint32_t ifindex)
{
	for (size_t i = 0; i < links->n; i++) {
		if (links->v[i].ifindex == ifindex)
			return links->v[i].master != 0;
	}
	return false;
}

static void set_port(uint8_t *flags, bool port)
{
	*flags = (uint8_t)((*flags & ~POL_IF_PORT) | (port ? POL_IF_PORT : 0));
}

int prt_world_sync_ports(struct prt_world *w, struct pol_err *e)
{
	prt_links links = { 0 };
	int r = prt_net_links(&links, e);

	for (size_t i = 0; i < w->member.n && !r; i++) {
		struct prt_member *m = &w->member.v[i];
		bool port = has_master(&links, m->info.ifindex);

		/* its bridge's MAC is asked for at the next apply; unknown is the safe side */
		if (port && !(m->if_flags & POL_IF_PORT)) {
			m->if_flags &= (uint8_t)~POL_IF_PEER;
			memset(m->host_mac, 0, sizeof(m->host_mac));
		}
		set_port(&m->if_flags, port);
	}
	for (size_t i = 0; i < w->uplink.n && !r; i++)
		set_port(&w->uplink.v[i].flags, has_master(&links, w->uplink.v[i].ifindex));
	pol_vec_free(&links);
	return r;
}
