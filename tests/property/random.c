/* SPDX-License-Identifier: GPL-2.0-only */
#include "random.h"

#include <stdio.h>

/* ---- the world ----------------------------------------------------------------- */

/* Half of the addresses are in the usual pool, half anywhere that the policy makes interesting. */
static struct pol_ip new_address(const struct world *w, struct gen_rng *r,
				 const struct gen_policy *p, unsigned family)
{
	struct pol_ip ip;

	do {
		ip = gen_address(r, p, (int)family);
		if (gen_chance(r, 50) && family == 4)
			ip.lo = 0x0a010000 + gen_below(r, 65536);
		else if (gen_chance(r, 50) && family == 6)
			ip.hi = 0xfd00000100000000u + gen_below(r, 65536);
	} while (!world_ordinary(ip) || world_known(w, ip));
	return ip;
}

static void label(struct world_ep *ep, struct gen_rng *r)
{
	struct gen_label l[GEN_KEYS];

	ep->nlabels = gen_labels(r, l);
	for (size_t i = 0; i < ep->nlabels; i++)
		ep->label[i] = (struct pol_label){ pol_str(l[i].key), pol_str(l[i].value) };
}

void world_relabel(struct world *w, struct gen_rng *r)
{
	for (size_t i = 0; i < w->neps; i++)
		label(&w->ep[i], r);
}

void world_random(struct world *w, struct gen_rng *r, const struct gen_policy *p)
{
	memset(w, 0, sizeof(*w));
	w->nlocal = 2 + gen_below(r, RANDOM_LOCAL - 1);
	size_t neps = w->nlocal + gen_below(r, RANDOM_REMOTE + 1);

	for (size_t i = 0; i < neps; i++) {
		struct world_ep *ep = &w->ep[w->neps++];

		ep->here = i < w->nlocal;
		ep->number = (uint32_t)i + 1;
		snprintf(ep->name, sizeof(ep->name), "%s-%zu", ep->here ? "here" : "there", i);
		label(ep, r);
		/* One of each family, so that every pair of endpoints can talk; sometimes one more. */
		ep->addr[ep->naddrs++] = new_address(w, r, p, 4);
		ep->addr[ep->naddrs++] = new_address(w, r, p, 6);
		if (gen_chance(r, 25))
			ep->addr[ep->naddrs++] = new_address(w, r, p, gen_chance(r, 50) ? 4 : 6);
	}
	for (unsigned i = 0; i < WORLD_OTHERS; i++) {
		w->host[w->nhost++] = new_address(w, r, p, i & 1 ? 6 : 4);
		w->node[w->nnode++] = new_address(w, r, p, i & 1 ? 6 : 4);
	}
}

/* ---- flows ----------------------------------------------------------------------- */

/* Of that family, of that endpoint; it has one. */
static struct pol_ip ep_address(const struct world_ep *ep, struct gen_rng *r, unsigned family)
{
	struct pol_ip ip;

	do
		ip = ep->addr[gen_below(r, (uint32_t)ep->naddrs)];
	while (ip.family != family);
	return ip;
}

static struct pol_ip other_address(const struct pol_ip *v, size_t n, struct gen_rng *r,
				   unsigned family)
{
	struct pol_ip ip;

	do
		ip = v[gen_below(r, (uint32_t)n)];
	while (ip.family != family);
	return ip;
}

/* The other end: an endpoint, a node, the host, or any address at an edge. */
static struct pol_ip peer_address(const struct world *w, struct gen_rng *r,
				  const struct gen_policy *p, unsigned family)
{
	struct pol_ip ip;
	uint32_t what = gen_below(r, 100);

	if (what < 40)
		return ep_address(&w->ep[gen_below(r, (uint32_t)w->neps)], r, family);
	if (what < 48)
		return other_address(w->host, w->nhost, r, family);
	if (what < 56)
		return other_address(w->node, w->nnode, r, family);
	do
		ip = gen_address(r, p, (int)family);
	while (!world_ordinary(ip));
	return ip;
}

static void choose_l4(struct flow *f, struct gen_rng *r, const struct gen_policy *p)
{
	static const struct gen_ports usual[] = {
		{ 6, 80, 80 },    { 17, 53, 53 }, { 132, 7, 7 },   { 1, 8, 8 },
		{ 58, 128, 128 }, { 47, 0, 0 },   { 6, 0, 65535 }, { 17, 0, 65535 },
	};
	struct gen_ports at = usual[gen_below(r, POL_ARRAY_LEN(usual))];

	if (p->ports.n && !gen_chance(r, 15))
		at = p->ports.v[gen_below(r, (uint32_t)p->ports.n)];
	f->proto = at.proto;
	switch (gen_below(r, 6)) {
	case 0:
		f->value = at.lo - 1;
		break;
	case 1:
		f->value = at.lo;
		break;
	case 2:
		f->value = at.hi;
		break;
	case 3:
		f->value = at.hi + 1;
		break;
	default:
		f->value = (uint16_t)(at.lo + gen_below(r, at.hi - at.lo + 1u));
	}
	/* Also the same port of another protocol. */
	if ((f->proto == 6 || f->proto == 17 || f->proto == 132) && gen_chance(r, 10))
		f->proto = gen_chance(r, 50) ? 6 : gen_chance(r, 50) ? 17 : 132;
	flow_fit(f);
}

struct flow world_flow(const struct world *w, struct gen_rng *r, const struct gen_policy *p,
		       uint32_t serial)
{
	struct flow f = { 0 };
	unsigned family = gen_chance(r, 50) ? 4 : 6;
	const struct world_ep *own = &w->ep[gen_below(r, (uint32_t)w->nlocal)];
	struct pol_ip swap;

	f.src = ep_address(own, r, family);
	do
		f.dst = peer_address(w, r, p, family);
	while (pol_ip_eq(f.src, f.dst));
	if (gen_chance(r, 60)) {
		swap = f.src;
		f.src = f.dst;
		f.dst = swap;
	}
	choose_l4(&f, r, p);
	f.sport = (uint16_t)(1024 + serial % 64000);
	return f;
}
