/* SPDX-License-Identifier: GPL-2.0-only */
#include "world.h"

#include <stdio.h>

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

bool world_same(struct pol_ip a, struct pol_ip b)
{
	return a.family == b.family && a.hi == b.hi && a.lo == b.lo;
}

static bool among(const struct pol_ip *v, size_t n, struct pol_ip ip)
{
	for (size_t i = 0; i < n; i++)
		if (world_same(v[i], ip))
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

static bool taken(const struct world *w, struct pol_ip ip)
{
	return world_owner(w, ip) || among(w->host, w->nhost, ip) || among(w->node, w->nnode, ip);
}

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
	} while (!world_ordinary(ip) || taken(w, ip));
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
	w->nlocal = 2 + gen_below(r, WORLD_LOCAL - 1);
	size_t neps = w->nlocal + gen_below(r, WORLD_REMOTE + 1);

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

bool flow_tracked(const struct flow *f)
{
	return (f->proto != 1 && f->proto != 58) || icmp_query(f);
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
	if (f->proto == 1 || f->proto == 58) {
		f->proto = f->src.family == 4 ? 1 : 58;
		f->value &= 0xff;
		if (!icmp_judged(f->proto, f->value))
			f->value = f->proto == 1 ? 8 : 128;
	} else if (f->proto != 6 && f->proto != 17 && f->proto != 132) {
		f->value = 0;
		if (f->proto == 51 && f->src.family == 6)
			f->proto = 50; /* an extension header there, no transport */
	}
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
	while (world_same(f.src, f.dst));
	if (gen_chance(r, 60)) {
		swap = f.src;
		f.src = f.dst;
		f.dst = swap;
	}
	choose_l4(&f, r, p);
	f.sport = (uint16_t)(1024 + serial % 64000);
	return f;
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

bool frame_backward(enum frame_kind kind)
{
	return kind == FRAME_ANSWER || kind == FRAME_BACK;
}

/* ---- frames -------------------------------------------------------------------------- */

static void put(struct frame *f, const void *p, size_t n)
{
	memcpy(f->b + f->n, p, n);
	f->n += n;
}

static void put8(struct frame *f, unsigned v)
{
	f->b[f->n++] = (uint8_t)v;
}

static void put16(struct frame *f, unsigned v)
{
	put8(f, v >> 8);
	put8(f, v & 0xff);
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v & 0xffff);
}

static void put_ip(struct frame *f, struct pol_ip ip)
{
	if (ip.family == 6) {
		put32(f, (uint32_t)(ip.hi >> 32));
		put32(f, (uint32_t)ip.hi);
		put32(f, (uint32_t)(ip.lo >> 32));
	}
	put32(f, (uint32_t)ip.lo);
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_tcp(struct frame *f, unsigned sport, unsigned dport, enum frame_kind kind)
{
	static const uint8_t flags[] = {
		[FRAME_FIRST] = 0x02,
		[FRAME_ANSWER] = 0x12,
		[FRAME_NEXT] = 0x10,
		[FRAME_BACK] = 0x10,
	};

	put16(f, sport);
	put16(f, dport);
	put32(f, 1);
	put32(f, kind == FRAME_FIRST ? 0 : 2);
	put8(f, 0x50);
	put8(f, flags[kind]);
	put16(f, 8192);
	put32(f, 0);
}

static void put_sctp(struct frame *f, unsigned sport, unsigned dport, enum frame_kind kind)
{
	static const uint8_t chunk[] = {
		[FRAME_FIRST] = 1,
		[FRAME_ANSWER] = 2,
		[FRAME_NEXT] = 10,
		[FRAME_BACK] = 11,
	};

	put16(f, sport);
	put16(f, dport);
	put32(f, kind == FRAME_FIRST ? 0 : 7); /* INIT carries tag 0 */
	put32(f, 0);
	put8(f, chunk[kind]);
	put8(f, 0);
	put16(f, 20);
	for (int i = 0; i < 4; i++)
		put32(f, 1);
}

static unsigned icmp_answer(unsigned proto, unsigned type)
{
	if (proto == 1)
		return type == 8 ? 0 : type + 1;
	return type + 1;
}

static void put_l4(struct frame *f, const struct flow *w, enum frame_kind kind)
{
	bool back = frame_backward(kind);
	unsigned sport = back ? w->value : w->sport, dport = back ? w->sport : w->value;

	switch (w->proto) {
	case 6:
		put_tcp(f, sport, dport, kind);
		break;
	case 17:
		put16(f, sport);
		put16(f, dport);
		put16(f, 12);
		put16(f, 0);
		put32(f, 0);
		break;
	case 132:
		put_sctp(f, sport, dport, kind);
		break;
	case 1:
	case 58:
		put8(f, back ? icmp_answer(w->proto, w->value) : w->value);
		put8(f, 0);
		put16(f, 0);
		put16(f, w->sport);
		put16(f, 1);
		for (int i = 0; i < 4; i++) /* room for the timestamps of type 13 */
			put32(f, 0);
		break;
	default:
		for (int i = 0; i < 4; i++)
			put32(f, 0);
	}
}

/* Checksum over the pseudo header and the rest; where it stands, by protocol. */
static void l4_checksum(struct frame *f, size_t l4, struct pol_ip src, struct pol_ip dst,
			unsigned proto)
{
	struct frame pseudo = { .n = 0 };
	size_t at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	uint32_t sum = 0;

	if (proto != 6 && proto != 17 && proto != 1 && proto != 58)
		return;
	if (proto != 1) {
		put_ip(&pseudo, src);
		put_ip(&pseudo, dst);
		put32(&pseudo, (uint32_t)(f->n - l4));
		put32(&pseudo, proto);
		sum = sum16(pseudo.b, pseudo.n, 0);
	}
	set16(f->b + l4 + at, fold(sum16(f->b + l4, f->n - l4, sum)));
}

static void put_ipv4(struct frame *f, struct pol_ip src, struct pol_ip dst, unsigned proto,
		     bool options)
{
	put8(f, options ? 0x47 : 0x45);
	put8(f, 0);
	put16(f, 0);
	put16(f, 1);
	put16(f, 0x4000);
	put8(f, 64);
	put8(f, proto);
	put16(f, 0);
	put_ip(f, src);
	put_ip(f, dst);
	if (options) {
		put32(f, 0x94040000); /* router alert */
		put32(f, 0x01010100); /* no-operation, end */
	}
}

static void put_ipv6(struct frame *f, struct pol_ip src, struct pol_ip dst, unsigned proto,
		     bool extension)
{
	static const uint8_t padding[] = { 1, 4, 0, 0, 0, 0 };

	put32(f, 0x60000000);
	put16(f, 0);
	put8(f, extension ? 60 : proto); /* destination options */
	put8(f, 64);
	put_ip(f, src);
	put_ip(f, dst);
	if (extension) {
		put8(f, proto);
		put8(f, 0);
		put(f, padding, sizeof(padding));
	}
}

void frame_build(struct frame *f, const struct flow *flow, enum frame_kind kind, bool decorated,
		 const uint8_t dst_mac[6], const uint8_t src_mac[6])
{
	bool back = frame_backward(kind);
	struct pol_ip src = back ? flow->dst : flow->src, dst = back ? flow->src : flow->dst;
	uint8_t *ip = f->b + 14;
	size_t l4;

	f->n = 0;
	put(f, dst_mac, 6);
	put(f, src_mac, 6);
	put16(f, src.family == 4 ? 0x0800 : 0x86dd);
	if (src.family == 4)
		put_ipv4(f, src, dst, flow->proto, decorated);
	else
		put_ipv6(f, src, dst, flow->proto, decorated);
	l4 = f->n;
	put_l4(f, flow, kind);
	l4_checksum(f, l4, src, dst, flow->proto);
	if (src.family == 4) {
		set16(ip + 2, (uint16_t)(f->n - 14));
		set16(ip + 10, fold(sum16(ip, l4 - 14, 0)));
	} else {
		set16(ip + 4, (uint16_t)(f->n - 14 - 40));
	}
}
