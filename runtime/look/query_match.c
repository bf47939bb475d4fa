/* SPDX-License-Identifier: GPL-2.0-only */
/* A query against names, events, and what the data path can do of it. */
#include "query.h"

#include <errno.h>

/* ---- checking names ------------------------------------------------------------------------------ */

static const struct prt_class *class_of(const struct prt_book *b, struct pol_str name)
{
	const struct prt_manifest *m = &b->object->manifest;

	for (size_t i = 0; i < m->nclasses; i++)
		if (pol_str_eq(m->class[i].name, name))
			return &m->class[i];
	return NULL;
}

static int check_peer(const struct prt_peer *p, const struct prt_book *b, struct pol_err *e)
{
	if (p->kind != PRT_PEER_NAME || prt_world_find(&b->l.world, p->name.p) ||
	    class_of(b, p->name))
		return 0;
	pol_err_help(
		e,
		"`polload endpoints` lists endpoints, `polload inspect` the classes of an object");
	return pol_err(e, -EINVAL, "there is no endpoint or class `%s`", prt_safe(p->name.p));
}

int prt_query_check(const struct prt_query *f, const struct prt_book *b, struct pol_err *e)
{
	int r = check_peer(&f->from, b, e);

	r = r ? r : check_peer(&f->to, b, e);
	return r ? r : check_peer(&f->peer, b, e);
}

/* ---- matching ------------------------------------------------------------------------------------- */

static bool in_net(const struct pol_prefix *net, const struct pol_addr *a)
{
	struct pol_ip ip = prt_ip_of_addr(a);
	unsigned len = net->len;

	if (ip.family != net->addr.family)
		return false;
	if (ip.family == 4)
		return !len || (ip.lo ^ net->addr.lo) >> (32 - len) == 0;
	if (len <= 64)
		return !len || (ip.hi ^ net->addr.hi) >> (64 - len) == 0;
	return ip.hi == net->addr.hi && (ip.lo ^ net->addr.lo) >> (128 - len) == 0;
}

static bool has_labels(const struct prt_peer *p, const struct prt_member *m)
{
	struct pol_arena *arena = pol_arena_new();
	const struct prt_label *have = NULL;
	size_t n = 0, hits = 0;

	prt_labels_unpack(arena, m->info.labels, &have, &n);
	for (size_t i = 0; i < p->nlabels; i++)
		for (size_t k = 0; k < n; k++)
			hits += pol_str_eq(p->labels[i].key, have[k].key) &&
				pol_str_eq(p->labels[i].value, have[k].value);
	pol_arena_free(arena);
	return hits == p->nlabels;
}

bool prt_peer_match(const struct prt_peer *p, const struct prt_book *b, const struct pol_addr *a)
{
	const struct prt_member *m = prt_book_owner(b, a);
	const struct prt_class *c;

	if (p->has_net && !in_net(&p->net, a))
		return false;
	switch (p->kind) {
	case PRT_PEER_ANY:
	case PRT_PEER_NET:
		return true;
	case PRT_PEER_WORLD:
		return prt_book_entity(b, a) == POL_ENTITY_WORLD;
	case PRT_PEER_HOST:
		return prt_book_entity(b, a) == POL_ENTITY_HOST;
	case PRT_PEER_NODES:
		return prt_book_entity(b, a) == POL_ENTITY_NODE;
	case PRT_PEER_NAME:
		if (m && pol_str_is(p->name, m->info.name))
			return true;
		c = m ? class_of(b, p->name) : NULL;
		return c && prt_book_selects(b, m, c->selector);
	case PRT_PEER_LABELS:
		return m && has_labels(p, m);
	}
	return false;
}

static bool same_rule(const struct prt_query *f, const struct prt_rule *r)
{
	return r && r->line == f->rule_line &&
	       (!f->rule_file.n || pol_str_eq(r->file, f->rule_file));
}

bool prt_query_match(const struct prt_query *f, const struct prt_book *b, const struct prt_seen *s)
{
	if (!(f->sees >> s->see & 1))
		return false;
	if (f->has_proto && f->proto != s->proto)
		return false;
	if (f->has_port && (s->port < f->port_lo || s->port > f->port_hi))
		return false;
	if ((f->reasons[0] | f->reasons[1]) && !(f->reasons[s->reason / 64] >> s->reason % 64 & 1))
		return false;
	if (f->has_rule && !same_rule(f, s->rule) && !same_rule(f, s->other))
		return false;
	if (f->has_from && !prt_peer_match(&f->from, b, s->src))
		return false;
	if (f->has_to && !prt_peer_match(&f->to, b, s->dst))
		return false;
	return !f->has_peer || prt_peer_match(&f->peer, b, s->src) ||
	       prt_peer_match(&f->peer, b, s->dst);
}

/* ---- what the data path can do of it ------------------------------------------------------------------ */

static struct pol_watch_net net_of(struct pol_prefix p)
{
	struct pol_watch_net out = { .addr = prt_addr_of_ip(p.addr) };
	unsigned len = p.addr.family == 4 ? p.len + 96u : p.len;

	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = len >= 8 * (i + 1) ? 8 : len > 8 * i ? len - 8 * i : 0;

		out.mask.b[i] = (uint8_t)(0xff00u >> bits);
	}
	return out;
}

/* The addresses of an end, where they are known and few. */
static uint8_t nets_of(const struct prt_peer *p, const struct prt_book *b,
		       struct pol_watch_net out[POL_WATCH_NETS])
{
	const struct prt_member *m = NULL;

	if (p->has_net) {
		out[0] = net_of(p->net);
		return 1;
	}
	if (p->kind == PRT_PEER_NAME && !class_of(b, p->name))
		m = prt_world_find(&b->l.world, p->name.p);
	if (!m || !m->addrs.n || m->addrs.n > POL_WATCH_NETS)
		return 0;
	for (size_t i = 0; i < m->addrs.n; i++) {
		out[i].addr = m->addrs.v[i].addr;
		memset(&out[i].mask, 0xff, sizeof(out[i].mask));
	}
	return (uint8_t)m->addrs.n;
}

static bool sees_all(const struct prt_query *f, uint32_t mask)
{
	return (f->sees & mask) == mask;
}

static void watch_reasons(const struct prt_query *f, struct pol_watch *out)
{
	const uint32_t drops = 1u << PRT_SEE_DENY | 1u << PRT_SEE_REJECT | 1u << PRT_SEE_DROP;

	memcpy(out->reasons, f->reasons, sizeof(out->reasons));
	if (out->reasons[0] | out->reasons[1] || sees_all(f, drops) || !(f->sees & drops) ||
	    f->sees & 1u << PRT_SEE_AUDIT)
		return;
	out->reasons[0] = out->reasons[1] = ~0ull; /* new connections have none: bit 0 */
	if (!(f->sees & 1u << PRT_SEE_DENY))
		out->reasons[0] &= ~(1ull << POL_REASON_POLICY);
	if (!(f->sees & 1u << PRT_SEE_REJECT))
		out->reasons[0] &= ~(1ull << POL_REASON_REJECT);
	if (!(f->sees & 1u << PRT_SEE_DROP)) {
		out->reasons[0] &= 1ull | 1ull << POL_REASON_POLICY | 1ull << POL_REASON_REJECT;
		out->reasons[1] = 0;
	}
}

static void watch_rule(const struct prt_query *f, const struct prt_book *b, struct pol_watch *out)
{
	const struct prt_book_gen *g = prt_book_gen(b, (uint32_t)b->l.gen.number);
	size_t hits = 0;

	for (uint32_t i = 0; f->has_rule && g && i < g->rules.n; i++) {
		if (!same_rule(f, &g->rules.v[i]))
			continue;
		out->rule = i + 1;
		out->gen = g->gen;
		hits++;
	}
	if (hits != 1)
		out->rule = 0;
}

void prt_query_watch(const struct prt_query *f, const struct prt_book *b, struct pol_watch *out)
{
	*out = (struct pol_watch){ .has_proto = f->has_proto, .proto = f->proto };
	out->kinds = (f->sees >> PRT_SEE_NEW & 1) << POL_EVENT_NEW |
		     (f->sees >> PRT_SEE_LOG & 1) << POL_EVENT_LOG |
		     (f->sees >> PRT_SEE_AUDIT & 1) << POL_EVENT_AUDIT;
	if (f->sees & (1u << PRT_SEE_DENY | 1u << PRT_SEE_REJECT | 1u << PRT_SEE_DROP))
		out->kinds |= 1u << POL_EVENT_DROP;
	if (f->has_port && f->port_hi) { /* 0 would be any */
		out->port_lo = f->port_lo;
		out->port_hi = f->port_hi;
	}
	watch_reasons(f, out);
	watch_rule(f, b, out);
	if (f->has_from)
		out->nsrc = nets_of(&f->from, b, out->src);
	if (f->has_to)
		out->ndst = nets_of(&f->to, b, out->dst);
}
