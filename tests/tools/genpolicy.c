/* SPDX-License-Identifier: GPL-2.0-only */
#include "genpolicy.h"

#define N_CLASSES 5 /* endpoint ep0 .. */
#define N_CIDRS 5 /* cidr net0 .. */
#define N_PORTS 3 /* port svc0 .. */
#define MAX_LIMITS 6 /* below POL_VERDICT_LIMITS: all of them may meet in one flow */

struct gen {
	struct gen_rng rng;
	struct gen_policy *p;
	const struct gen_options *o;
	struct pol_buf *out; /* what is being written */
	unsigned limits, rule_names;
};

/* ---- random numbers ------------------------------------------------------------ */

uint64_t gen_next(struct gen_rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t gen_below(struct gen_rng *r, uint32_t n)
{
	return n ? (uint32_t)((gen_next(r) >> 32) * n >> 32) : 0;
}

bool gen_chance(struct gen_rng *r, unsigned percent)
{
	return gen_below(r, 100) < percent;
}

static uint32_t below(struct gen *g, uint32_t n)
{
	return gen_below(&g->rng, n);
}

static bool chance(struct gen *g, unsigned percent)
{
	return gen_chance(&g->rng, percent);
}

/* Index by weight. */
static unsigned pick(struct gen *g, const uint8_t *weight, unsigned n)
{
	unsigned sum = 0, i, at;

	for (i = 0; i < n; i++)
		sum += weight[i];
	at = below(g, sum);
	for (i = 0; at >= weight[i]; i++)
		at -= weight[i];
	return i;
}

/* ---- labels ------------------------------------------------------------------------- */

static const char *const keys[GEN_KEYS] = { "app", "tier", "zone", "env" };
static const char *const values[GEN_KEYS][4] = {
	{ "frontend", "api", "db", "cache" },
	{ "gold", "silver", "canary", "gold" },
	{ "a", "b", "c", "" },
	{ "prod", "dev", "prod", "test" },
};
static const char *const strange[] = { "other", "Api", "fronten", "frontend2" };

size_t gen_labels(struct gen_rng *r, struct gen_label out[GEN_KEYS])
{
	size_t n = 0;

	for (unsigned k = 0; k < GEN_KEYS; k++) {
		if (!gen_chance(r, k == 0 ? 90 : 55))
			continue;
		out[n++] = (struct gen_label){
			keys[k],
			gen_chance(r, 8) ? strange[gen_below(r, 4)] : values[k][gen_below(r, 4)],
		};
	}
	return n;
}

static void value_list(struct gen *g, unsigned k)
{
	unsigned n = 1 + below(g, 3);

	pol_buf_addc(g->out, '(');
	for (unsigned i = 0; i < n; i++)
		pol_buf_printf(g->out, "%s\"%s\"", i ? ", " : "", values[k][below(g, 4)]);
	pol_buf_addc(g->out, ')');
}

static void label_test(struct gen *g)
{
	static const uint8_t weight[] = { 45, 15, 15, 10, 15 };
	unsigned k = chance(g, 50) ? 0 : below(g, GEN_KEYS);

	switch (pick(g, weight, POL_ARRAY_LEN(weight))) {
	case 0:
		pol_buf_printf(g->out, "%s == \"%s\"", keys[k], values[k][below(g, 4)]);
		break;
	case 1:
		pol_buf_printf(g->out, "%s != \"%s\"", keys[k], values[k][below(g, 4)]);
		break;
	case 2:
		pol_buf_printf(g->out, "%s in ", keys[k]);
		value_list(g, k);
		break;
	case 3:
		pol_buf_printf(g->out, "%s not in ", keys[k]);
		value_list(g, k);
		break;
	default:
		pol_buf_printf(g->out, "has(%s)", keys[k]);
	}
}

static void selector(struct gen *g, unsigned depth)
{
	static const uint8_t weight[] = { 60, 16, 14, 10 };
	unsigned what = depth ? pick(g, weight, POL_ARRAY_LEN(weight)) : 0;

	switch (what) {
	case 0:
		label_test(g);
		break;
	case 1:
	case 2:
		pol_buf_addc(g->out, '(');
		selector(g, depth - 1);
		pol_buf_addz(g->out, what == 1 ? " and " : " or ");
		selector(g, depth - 1);
		pol_buf_addc(g->out, ')');
		break;
	default:
		pol_buf_addz(g->out, "not (");
		selector(g, depth - 1);
		pol_buf_addc(g->out, ')');
	}
}

/* ---- prefixes --------------------------------------------------------------------------- */

#define FD00_1 0xfd00000100000000u /* fd00:1::, of the pool */
#define DB8 0x20010db800000000u /* 2001:db8:: */
#define NAT64 0x0064ff9b00000000u /* 64:ff9b:: */

static const struct pol_prefix anchors[] = {
	{ { 0, 0x0a010000, 4 }, 16 }, /* the pool */
	{ { 0, 0x0a010000, 4 }, 16 },
	{ { 0, 0xc0000200, 4 }, 24 },
	{ { 0, 0xc6336400, 4 }, 24 },
	{ { 0, 0x08080000, 4 }, 16 },
	{ { 0, 0x64400000, 4 }, 10 },
	{ { 0, 0xac100000, 4 }, 12 },
	{ { 0, 0x0a000000, 4 }, 8 },
	{ { 0, 0, 4 }, 0 },
	{ { FD00_1, 0, 6 }, 48 },
	{ { FD00_1, 0, 6 }, 48 },
	{ { DB8, 0, 6 }, 32 },
	{ { 0x2600000100000000u, 0, 6 }, 32 },
	{ { NAT64, 0, 6 }, 96 },
	{ { NAT64, 0x0a010000, 6 }, 112 },
	{ { NAT64, 0xc0000200, 6 }, 120 },
	{ { 0, 0, 6 }, 0 },
};

static unsigned bits_of(struct pol_ip a)
{
	return a.family == 4 ? 32 : 128;
}

/* The two halves of an address as one number, so that arithmetic is plain. */
typedef unsigned __int128 u128;

static u128 number(struct pol_ip a)
{
	return (u128)a.hi << 64 | a.lo;
}

static struct pol_ip address(u128 n, unsigned family)
{
	if (family == 4)
		return (struct pol_ip){ 0, (uint32_t)n, 4 };
	return (struct pol_ip){ (uint64_t)(n >> 64), (uint64_t)n, 6 };
}

/* The addresses that a prefix leaves open, as a mask. */
static u128 host_mask(struct pol_prefix p)
{
	unsigned open = bits_of(p.addr) - p.len;

	return open == 128 ? ~(u128)0 : ((u128)1 << open) - 1;
}

static bool mapped(struct pol_ip a)
{
	return a.family == 6 && a.hi == 0 && a.lo >> 32 == 0xffff;
}

/* One that nests in, holds, touches or equals a prefix seen before. */
static struct pol_prefix relative(struct gen *g, struct pol_prefix p)
{
	unsigned bits = bits_of(p.addr), room = bits - p.len, longer;
	u128 n = number(p.addr);

	switch (below(g, 8)) {
	case 0: /* equal */
		break;
	case 1: /* the neighbour */
		if (p.len)
			n ^= (u128)1 << room;
		break;
	case 2: /* around */
		p.len -= below(g, (p.len < 6 ? p.len : 6) + 1u);
		break;
	case 3: /* a single address */
		n |= ((u128)gen_next(&g->rng) << 64 | gen_next(&g->rng)) & host_mask(p);
		p.len = (uint8_t)bits;
		break;
	default: /* inside */
		longer = below(g, (room < 12 ? room : 12) + 1);
		n |= ((u128)gen_next(&g->rng) << 64 | gen_next(&g->rng)) & host_mask(p);
		p.len = (uint8_t)(p.len + longer);
	}
	p.addr = address(n, p.addr.family);
	p.addr = address(n & ~host_mask(p), p.addr.family);
	return p;
}

static struct pol_prefix new_prefix(struct gen *g)
{
	struct pol_prefix p;

	do {
		if (g->p->prefixes.n && chance(g, 55))
			p = g->p->prefixes.v[below(g, (uint32_t)g->p->prefixes.n)];
		else
			p = anchors[below(g, POL_ARRAY_LEN(anchors))];
		p = relative(g, p);
	} while (mapped(p.addr) || (p.len < 4 && !chance(g, 20)));
	*pol_vec_push(&g->p->prefixes) = p;
	return p;
}

static void write_prefix(struct gen *g)
{
	char text[POL_IP_TEXT];

	pol_buf_addz(g->out, pol_prefix_format(new_prefix(g), text));
}

struct pol_ip gen_address(struct gen_rng *r, const struct gen_policy *p, int family)
{
	struct pol_prefix at = anchors[family == 4 ? gen_below(r, 8) : 9 + gen_below(r, 7)];
	u128 n, rnd = (u128)gen_next(r) << 64 | gen_next(r);

	for (int tries = 0; tries < 8 && p->prefixes.n; tries++) {
		struct pol_prefix c = p->prefixes.v[gen_below(r, (uint32_t)p->prefixes.n)];

		if (c.addr.family == family) {
			at = c;
			break;
		}
	}
	n = number(at.addr);
	switch (gen_below(r, 6)) {
	case 0:
		n -= 1;
		break;
	case 1:
		break;
	case 2:
		n |= host_mask(at);
		break;
	case 3:
		n = (n | host_mask(at)) + 1;
		break;
	default:
		n |= rnd & host_mask(at);
	}
	return address(n, (unsigned)family);
}

/* ---- peers ---------------------------------------------------------------------------------- */

static void peer(struct gen *g, unsigned depth);

static void simple_peer(struct gen *g)
{
	static const uint8_t weight[] = { 25, 18, 14, 16, 7, 5, 12, 5, 9 };

	switch (pick(g, weight, POL_ARRAY_LEN(weight))) {
	case 0:
		pol_buf_printf(g->out, "ep%u", below(g, N_CLASSES));
		break;
	case 1:
		pol_buf_printf(g->out, "net%u", below(g, N_CIDRS));
		break;
	case 2:
		write_prefix(g);
		break;
	case 3:
		pol_buf_addz(g->out, "any");
		break;
	case 4:
		pol_buf_addz(g->out, "host");
		break;
	case 5:
		pol_buf_addz(g->out, "nodes");
		break;
	case 6:
		pol_buf_addz(g->out, "world");
		break;
	case 7:
		pol_buf_addz(g->out, "public");
		break;
	default:
		pol_buf_addc(g->out, '[');
		selector(g, 1);
		pol_buf_addc(g->out, ']');
	}
}

static void union_of(struct gen *g, unsigned depth)
{
	unsigned n = 1 + below(g, 3);

	pol_buf_addz(g->out, "{ ");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			pol_buf_addz(g->out, ", ");
		peer(g, depth - 1);
	}
	pol_buf_addz(g->out, " }");
}

/* What may stand beside `except` and `in`. */
static void operand(struct gen *g, unsigned depth)
{
	if (depth && chance(g, 30))
		union_of(g, depth);
	else
		simple_peer(g);
}

static void peer(struct gen *g, unsigned depth)
{
	static const uint8_t weight[] = { 62, 14, 14, 10 };
	unsigned what = depth ? pick(g, weight, POL_ARRAY_LEN(weight)) : 0;

	switch (what) {
	case 0:
		simple_peer(g);
		break;
	case 1:
		union_of(g, depth);
		break;
	default:
		operand(g, depth - 1);
		do {
			pol_buf_addz(g->out, chance(g, 58) ? " except " : " in ");
			operand(g, depth - 1);
		} while (chance(g, 20));
	}
}

/* ---- ports ------------------------------------------------------------------------------------ */

static const uint16_t usual_ports[] = { 0, 1, 22, 53, 80, 443, 255, 256, 8080, 8443, 32767, 65535 };
static const uint8_t query4[] = { 8, 13, 17, 0 }, query6[] = { 128, 144, 129 };

static uint16_t port(struct gen *g)
{
	if (chance(g, 75))
		return usual_ports[below(g, POL_ARRAY_LEN(usual_ports))];
	return (uint16_t)below(g, 65536);
}

static void note_ports(struct gen *g, unsigned proto, unsigned lo, unsigned hi)
{
	*pol_vec_push(&g->p->ports) =
		(struct gen_ports){ (uint8_t)proto, (uint16_t)lo, (uint16_t)hi };
}

static void transport(struct gen *g, const char *name, unsigned proto)
{
	unsigned lo = port(g), hi = port(g), swap;

	if (chance(g, 20)) {
		pol_buf_addz(g->out, name);
		note_ports(g, proto, 0, 65535);
		return;
	}
	if (lo > hi)
		swap = lo, lo = hi, hi = swap;
	if (chance(g, 60))
		hi = lo;
	if (hi == lo)
		pol_buf_printf(g->out, "%s %u", name, lo);
	else
		pol_buf_printf(g->out, "%s %u-%u", name, lo, hi);
	note_ports(g, proto, lo, hi);
}

static void icmp(struct gen *g, bool v6)
{
	const char *name = v6 ? "icmp6" : "icmp";
	unsigned type, proto = v6 ? 58 : 1;

	if (chance(g, 25)) {
		pol_buf_addz(g->out, name);
		note_ports(g, proto, 0, 255);
		return;
	}
	if (chance(g, 35)) {
		pol_buf_printf(g->out, "%s echo-request", name);
		note_ports(g, proto, v6 ? 128 : 8, v6 ? 128 : 8);
		return;
	}
	type = v6 ? query6[below(g, sizeof(query6))] : query4[below(g, sizeof(query4))];
	if (chance(g, 20))
		type = below(g, 256);
	pol_buf_printf(g->out, "%s %u", name, type);
	note_ports(g, proto, type, type);
}

static void one_l4(struct gen *g, bool named)
{
	static const uint8_t weight[] = { 45, 20, 8, 9, 7, 6 };
	static const uint8_t others[] = { 47, 50, 51, 89, 112, 2, 253 };
	unsigned what = pick(g, weight, POL_ARRAY_LEN(weight)), proto;

	if (named && chance(g, 20)) {
		pol_buf_printf(g->out, "svc%u", below(g, N_PORTS));
		return;
	}
	switch (what) {
	case 0:
		transport(g, "tcp", 6);
		break;
	case 1:
		transport(g, "udp", 17);
		break;
	case 2:
		transport(g, "sctp", 132);
		break;
	case 3:
		icmp(g, false);
		break;
	case 4:
		icmp(g, true);
		break;
	default:
		proto = others[below(g, sizeof(others))];
		pol_buf_printf(g->out, "proto %u", proto);
		note_ports(g, proto, 0, 0);
	}
}

static void l4_list(struct gen *g, bool named)
{
	unsigned n = chance(g, 60) ? 1 : 1 + below(g, 4);

	for (unsigned i = 0; i < n; i++) {
		if (i)
			pol_buf_addz(g->out, ", ");
		one_l4(g, named);
	}
}

/* ---- rules -------------------------------------------------------------------------------------- */

struct policy_kind {
	bool admin, baseline, audit;
};

static void limit(struct gen *g)
{
	if (g->o->no_limits || g->limits == MAX_LIMITS || !chance(g, 8))
		return;
	g->limits++;
	/* So much that no bucket of a test is ever empty. */
	pol_buf_addz(g->out, " limit 4000000/s burst 4000000");
	if (chance(g, 50))
		pol_buf_addz(g->out, " per source");
}

static const char *action(struct gen *g, struct policy_kind k)
{
	static const uint8_t ordinary[] = { 60, 20, 20 }, tier[] = { 40, 34, 26 };

	if (k.admin || k.baseline) {
		switch (pick(g, tier, 3)) {
		case 0:
			return "allow";
		case 1:
			return "deny";
		default:
			return "skip";
		}
	}
	switch (pick(g, ordinary, 3)) {
	case 0:
		return "allow";
	case 1:
		return "deny";
	default:
		return "reject";
	}
}

static void rule(struct gen *g, struct gen_rule *r, struct policy_kind k)
{
	const char *act = action(g, k);

	g->out = &r->text;
	pol_buf_printf(g->out, "%s %s ", act, chance(g, 60) ? "from" : "to");
	/* `none` stands alone, where it closes a direction. */
	if (strcmp(act, "allow") == 0 && !k.admin && !k.baseline && chance(g, 3)) {
		pol_buf_addz(g->out, "none;");
		return;
	}
	peer(g, 2);
	if (chance(g, 62)) {
		pol_buf_addz(g->out, " on ");
		l4_list(g, true);
	}
	if (chance(g, 15))
		pol_buf_addz(g->out, " log");
	if (chance(g, 10))
		pol_buf_printf(g->out, " name \"rule %u\"", ++g->rule_names);
	if (strcmp(act, "allow") == 0 && !k.admin && !k.baseline && !k.audit)
		limit(g);
	pol_buf_addc(g->out, ';');
}

static void subject(struct gen *g)
{
	static const uint8_t weight[] = { 40, 28, 17, 15 };

	switch (pick(g, weight, POL_ARRAY_LEN(weight))) {
	case 0:
		pol_buf_printf(g->out, "ep%u", below(g, N_CLASSES));
		break;
	case 1:
		pol_buf_addz(g->out, "any");
		break;
	case 2:
		pol_buf_printf(g->out, "{ ep%u, ep%u }", below(g, N_CLASSES), below(g, N_CLASSES));
		break;
	default:
		pol_buf_addc(g->out, '[');
		selector(g, 1);
		pol_buf_addc(g->out, ']');
	}
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static struct gen_stmt *stmt(struct gen *g)
{
	struct gen_stmt *s = pol_vec_push(&g->p->stmts);

	g->out = &s->head;
	return s;
}

static void policy(struct gen *g, unsigned number)
{
	struct gen_stmt *s = stmt(g);
	struct policy_kind k = { 0 };
	unsigned n = 1 + below(g, g->o->max_rules ? g->o->max_rules : 6);

	s->block = true;
	pol_buf_printf(g->out, "policy \"p%u\" on ", number);
	subject(g);
	if (!g->o->no_tiers && chance(g, 25)) {
		k.admin = chance(g, 60);
		k.baseline = !k.admin;
		/* Different numbers: equal ones on overlapping subjects are an error. */
		pol_buf_printf(g->out, " tier %s %u", k.admin ? "admin" : "baseline",
			       10 * below(g, 5) + number);
	}
	if (!g->o->no_audit && chance(g, 12)) {
		k.audit = true;
		pol_buf_addz(g->out, " audit");
	}
	pol_vec_reserve(&s->rules, n);
	for (unsigned i = 0; i < n; i++)
		rule(g, pol_vec_push(&s->rules), k);
}

static void declarations(struct gen *g)
{
	for (unsigned i = 0; i < N_CLASSES; i++) {
		stmt(g);
		pol_buf_printf(g->out, "endpoint ep%u = ", i);
		selector(g, 2);
		pol_buf_addc(g->out, ';');
	}
	for (unsigned i = 0; i < N_CIDRS; i++) {
		unsigned n = 1 + below(g, 4);

		stmt(g);
		pol_buf_printf(g->out, "cidr net%u = ", i);
		for (unsigned j = 0; j < n; j++) {
			pol_buf_addz(g->out, j ? ", " : "");
			if (i && chance(g, 12))
				pol_buf_printf(g->out, "net%u", below(g, i));
			else
				write_prefix(g);
		}
		pol_buf_addc(g->out, ';');
	}
	for (unsigned i = 0; i < N_PORTS; i++) {
		stmt(g);
		pol_buf_printf(g->out, "port svc%u = ", i);
		l4_list(g, false);
		pol_buf_addc(g->out, ';');
	}
}

void gen_policy(struct gen_policy *p, uint64_t seed, const struct gen_options *o)
{
	struct gen g = { .rng = { seed }, .p = p, .o = o };
	unsigned n;

	memset(p, 0, sizeof(*p));
	stmt(&g)->needed = true;
	pol_buf_printf(g.out, "default %s;", chance(&g, 65) ? "deny" : "allow");
	if (chance(&g, 75)) {
		stmt(&g);
		pol_buf_addz(g.out, "pool 10.1.0.0/16, fd00:1::/48;");
	}
	if (chance(&g, 20)) {
		stmt(&g);
		pol_buf_addz(g.out, "option host open;");
	}
	declarations(&g);
	n = 2 + below(&g, o->max_policies ? o->max_policies - 1 : 8);
	for (unsigned i = 0; i < n; i++)
		policy(&g, i);
}

void gen_policy_text(const struct gen_policy *p, struct pol_buf *out)
{
	for (size_t i = 0; i < p->stmts.n; i++) {
		const struct gen_stmt *s = &p->stmts.v[i];

		if (s->dropped)
			continue;
		pol_buf_add(out, pol_buf_str(&s->head));
		pol_buf_addz(out, s->block ? " {\n" : "\n");
		for (size_t j = 0; j < s->rules.n; j++)
			if (!s->rules.v[j].dropped)
				pol_buf_printf(out, "\t%s\n", s->rules.v[j].text.p);
		if (s->block)
			pol_buf_addz(out, "}\n");
	}
}

void gen_policy_free(struct gen_policy *p)
{
	for (size_t i = 0; i < p->stmts.n; i++) {
		struct gen_stmt *s = &p->stmts.v[i];

		for (size_t j = 0; j < s->rules.n; j++)
			pol_buf_free(&s->rules.v[j].text);
		pol_vec_free(&s->rules);
		pol_buf_free(&s->head);
	}
	pol_vec_free(&p->stmts);
	pol_vec_free(&p->prefixes);
	pol_vec_free(&p->ports);
}
