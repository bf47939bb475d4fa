/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/world.h"

/* ---- the world ----------------------------------------------------------------- */

bool world_ordinary(struct pol_ip ip)
{
	uint32_t v4 = (uint32_t)ip.lo;

	if (ip.family == 4)
		return v4 >> 24 != 0 && v4 >> 24 != 127 && v4 >> 28 < 0xe;
	if (ip.hi == 0 && (ip.lo <= 1 || ip.lo >> 32 == 0xffff))
		return false;
	return ip.hi >> 56 != 0xff && ip.hi >> 54 != 0xfe80 >> 6;
}

static bool among(const struct pol_ip *v, size_t n, struct pol_ip ip)
{
	for (size_t i = 0; i < n; i++)
		if (pol_ip_eq(v[i], ip))
			return true;
	return false;
}

const struct world_ep *world_owner(const struct world *w, struct pol_ip ip)
{
	for (size_t i = 0; i < w->neps; i++)
		if (among(w->ep[i].addr, w->ep[i].naddrs, ip))
			return &w->ep[i];
	return NULL;
}

bool world_known(const struct world *w, struct pol_ip ip)
{
	return world_owner(w, ip) || among(w->host, w->nhost, ip) || among(w->node, w->nnode, ip);
}

static void print_ips(struct pol_buf *out, const char *what, const struct pol_ip *v, size_t n)
{
	char text[POL_IP_TEXT];

	pol_buf_addz(out, what);
	for (size_t i = 0; i < n; i++)
		pol_buf_printf(out, " %s", pol_ip_format(v[i], text));
}

void world_print(struct pol_buf *out, const struct world *w)
{
	for (size_t i = 0; i < w->neps; i++) {
		const struct world_ep *ep = &w->ep[i];

		print_ips(out, ep->name, ep->addr, ep->naddrs);
		for (size_t j = 0; j < ep->nlabels; j++)
			pol_buf_printf(out, " %.*s=%.*s", POL_STR_ARG(ep->label[j].key),
				       POL_STR_ARG(ep->label[j].value));
		pol_buf_addc(out, '\n');
	}
	print_ips(out, "host", w->host, w->nhost);
	print_ips(out, "\nnodes", w->node, w->nnode);
	pol_buf_addc(out, '\n');
}

struct pol_labels world_labels(const struct world_ep *ep)
{
	return (struct pol_labels){ ep->label, ep->nlabels };
}

struct pol_eval_peer world_peer(const struct world *w, const struct pol_ir *ir, struct pol_ip ip)
{
	struct pol_eval_peer peer = { .has_addr = true, .addr = ip };
	const struct world_ep *ep = world_owner(w, ip);

	if (ep) {
		peer.kind = POL_PEER_ENDPOINT;
		peer.labels = world_labels(ep);
	} else if (among(w->host, w->nhost, ip)) {
		peer.kind = POL_PEER_HOST;
	} else if (among(w->node, w->nnode, ip)) {
		peer.kind = POL_PEER_NODE;
	} else {
		peer.kind = pol_eval_kind(ir, ip);
	}
	return peer;
}

enum world_place world_place(const struct world *w, struct pol_ip ip)
{
	const struct world_ep *ep = world_owner(w, ip);

	if (ep && ep->here)
		return PLACE_LOCAL;
	return among(w->host, w->nhost, ip) ? PLACE_HOST : PLACE_ELSEWHERE;
}

/* ---- in an object ------------------------------------------------------------- */

static int place_one(struct prt_place *p, const struct world_ep *ep, struct pol_err *e)
{
	struct prt_place_update u = { 0 };
	struct prt_label label[WORLD_LABELS];
	struct prt_place_ep given = {
		.ep = ep->number,
		.local = ep->here,
		.labels = label,
		.nlabels = ep->nlabels,
		.addrs = ep->addr,
		.naddrs = ep->naddrs,
	};
	int r;

	for (size_t i = 0; i < ep->nlabels; i++)
		label[i] = (struct prt_label){ ep->label[i].key, ep->label[i].value };
	r = prt_place_add(p, &given, 1, &u, e);
	prt_place_update_free(&u);
	return r;
}

int world_place_all(const struct world *w, const struct prt_object *o, struct prt_place **out,
		    struct pol_err *e)
{
	struct prt_place *p = prt_place_new(o);
	int r = 0;

	for (size_t i = 0; i < w->neps && !r; i++)
		r = place_one(p, &w->ep[i], e);
	if (r)
		prt_place_free(p);
	else
		*out = p;
	return r;
}

struct prt_place_peer world_place_peer(const struct world *w, const struct pol_ir *ir,
				       const struct prt_place *p, struct pol_ip ip)
{
	struct prt_place_peer peer = { .addr = ip };
	const struct world_ep *ep = world_owner(w, ip);

	if (!ep) {
		uint32_t kind = world_peer(w, ir, ip).kind;

		peer.entity = kind == POL_PEER_HOST   ? POL_ENTITY_HOST
			      : kind == POL_PEER_NODE ? POL_ENTITY_NODE
						      : POL_ENTITY_WORLD;
		return peer;
	}
	peer.entity = POL_ENTITY_ENDPOINT;
	for (size_t i = 0; i < ep->naddrs; i++)
		if (pol_ip_eq(ep->addr[i], ip))
			peer.column = prt_place_get_column(p, ep->number, i);
	return peer;
}

/* ---- flows ----------------------------------------------------------------------- */

static bool icmp_query(const struct flow *f)
{
	if (f->proto == 1)
		return f->value == 8 || f->value == 13 || f->value == 15 || f->value == 17;
	return f->value == 128 || f->value == 139;
}

/*
 * Does the policy judge the type?  Not errors and answers, which belong to a
 * flow or to nothing, and not what keeps a link going.
 */
static bool icmp_judged(unsigned proto, unsigned type)
{
	static const uint8_t never[] = { 0, 3, 4, 5, 9, 11, 12, 14, 16, 18 };

	if (proto == 58)
		return type == 128 || type == 138 || type == 139 || type >= 144;
	return type > 18 || !memchr(never, (int)type, sizeof(never));
}

void flow_fit(struct flow *f)
{
	/* IPv6 extension headers and "no next header" (RFC 8200, IANA's list). */
	static const uint8_t extension[] = { 0, 43, 44, 51, 59, 60, 135, 139, 140 };

	if (f->proto == 1 || f->proto == 58) {
		f->proto = f->src.family == 4 ? 1 : 58;
		f->value &= 0xff;
		if (!icmp_judged(f->proto, f->value))
			f->value = f->proto == 1 ? 8 : 128;
	} else if (f->proto != 6 && f->proto != 17 && f->proto != 132) {
		f->value = 0;
		if (f->src.family == 6 && memchr(extension, f->proto, sizeof(extension)))
			f->proto = 50; /* no transport there */
	}
}

bool flow_tracked(const struct flow *f)
{
	return (f->proto != 1 && f->proto != 58) || icmp_query(f);
}

uint32_t flow_key(const struct flow *f)
{
	return POL_L4_KEY(f->proto, f->value);
}

void flow_print(struct pol_buf *out, const struct flow *f)
{
	char a[POL_IP_TEXT], b[POL_IP_TEXT];

	pol_buf_printf(out, "%s > %s protocol %u port or type %u (source %u)",
		       pol_ip_format(f->src, a), pol_ip_format(f->dst, b), f->proto, f->value,
		       f->sport);
}
