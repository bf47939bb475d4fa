/* SPDX-License-Identifier: GPL-2.0-only */
#include "benchpolicy.h"

struct gen {
	struct gen_rng rng;
	struct pol_buf *text, *list;
	bench_prefixes_ *used;
	unsigned classes;
};

unsigned bench_classes(struct bench_size s)
{
	unsigned n = s.rules / 25;

	return n < 4 ? 4 : n > 250 ? 250 : n;
}

/* Lengths as they are in routing tables and block lists: mostly /24 and hosts, /48 and /64. */
static struct pol_prefix prefix(struct gen *g)
{
	static const uint8_t len4[] = { 16, 20, 22, 24, 24, 24, 24, 28, 32, 32, 32, 32 };
	static const uint8_t len6[] = { 32, 40, 48, 48, 48, 56, 64, 64, 64, 128 };
	struct pol_prefix p = { { 0, 0, 4 }, 0 };
	uint64_t r = gen_next(&g->rng);

	if (r & 1) {
		p.len = len4[gen_below(&g->rng, sizeof(len4))];
		p.addr.lo = (uint32_t)(r >> 32) & (uint32_t)(~0ull << (32 - p.len));
		p.addr.lo |= 0x20000000; /* not in 0/8, 10/8 or 127/8 */
		p.addr.lo &= 0x5fffffff;
	} else {
		p.addr.family = 6;
		p.len = len6[gen_below(&g->rng, sizeof(len6))];
		p.addr.hi = 0x2000000000000000u | (gen_next(&g->rng) >> 3);
		if (p.len < 64)
			p.addr.hi &= ~0ull << (64 - p.len);
		p.addr.lo = p.len == 128 ? gen_next(&g->rng) : 0;
	}
	*pol_vec_push(g->used) = p;
	return p;
}

static void write_prefix(struct gen *g, struct pol_buf *out)
{
	char text[POL_IP_TEXT];

	pol_buf_addz(out, pol_prefix_format(prefix(g), text));
}

static void peer(struct gen *g, bool sets)
{
	uint32_t what = gen_below(&g->rng, 100);

	if (what < 45)
		pol_buf_printf(g->text, "c%u", gen_below(&g->rng, g->classes));
	else if (what < 80)
		write_prefix(g, g->text);
	else if (what < 90 && sets)
		pol_buf_printf(g->text, "set%u", gen_below(&g->rng, 10));
	else if (what < 95)
		pol_buf_printf(g->text, "{ c%u, c%u }", gen_below(&g->rng, g->classes),
			       gen_below(&g->rng, g->classes));
	else
		pol_buf_addz(g->text, "world");
}

static void ports(struct gen *g)
{
	static const uint16_t usual[] = {
		22,   53,   80,   443,  993,  1433, 3000, 3306, 4317, 5000,
		5432, 6379, 8000, 8080, 8443, 9000, 9090, 9092, 9200, 27017,
	};
	uint32_t what = gen_below(&g->rng, 100),
		 lo = usual[gen_below(&g->rng, POL_ARRAY_LEN(usual))];
	const char *proto = gen_chance(&g->rng, 80) ? "tcp" : "udp";

	if (what < 10)
		return;
	pol_buf_addz(g->text, " on ");
	if (what < 65)
		pol_buf_printf(g->text, "%s %u", proto, lo);
	else if (what < 80)
		pol_buf_printf(g->text, "%s %u, %u", proto, lo, usual[gen_below(&g->rng, 20)] + 1u);
	else if (what < 95)
		pol_buf_printf(g->text, "%s %u-%u", proto, lo, lo + 1 + gen_below(&g->rng, 1000));
	else
		pol_buf_addz(g->text, "icmp echo-request, icmp6 echo-request");
}

static void rule(struct gen *g, bool sets)
{
	bool deny = gen_chance(&g->rng, 12);

	pol_buf_printf(g->text, "\t%s %s ", deny ? "deny" : "allow",
		       gen_chance(&g->rng, 75) ? "from" : "to");
	if (deny) {
		if (sets && gen_chance(&g->rng, 50))
			pol_buf_printf(g->text, "set%u", gen_below(&g->rng, 10));
		else
			write_prefix(g, g->text);
	} else {
		peer(g, sets);
		ports(g);
	}
	pol_buf_addz(g->text, ";\n");
}

/* The prefixes go to ten sets, the first of which is the long block list. */
static void sets(struct gen *g, unsigned prefixes, const char *list_name)
{
	for (unsigned s = 0; s < 10; s++) {
		unsigned n = s ? prefixes / 20 : prefixes - 9 * (prefixes / 20);

		pol_buf_printf(g->text, "cidr set%u = ", s);
		if (!s && g->list)
			pol_buf_printf(g->text, "file \"%s\"", list_name);
		for (unsigned i = 0; i < n; i++) {
			if (!s && g->list) {
				write_prefix(g, g->list);
				pol_buf_addc(g->list, '\n');
				continue;
			}
			if (i)
				pol_buf_addz(g->text, i % 8 ? ", " : ",\n\t");
			write_prefix(g, g->text);
		}
		pol_buf_addz(g->text, ";\n");
	}
}

void bench_policy(struct bench_size s, uint64_t seed, struct pol_buf *text, struct pol_buf *list,
		  const char *list_name, bench_prefixes_ *used)
{
	struct gen g = { { seed }, text, list, used, bench_classes(s) };

	pol_buf_addz(text, "default deny;\npool 10.0.0.0/12, fd00:1::/48;\n");
	for (unsigned i = 0; i < g.classes; i++)
		pol_buf_printf(text, "endpoint c%u = app == \"app-%u\";\n", i, i);
	if (s.prefixes)
		sets(&g, s.prefixes, list_name);
	for (unsigned i = 0; i < g.classes; i++) {
		unsigned n = s.rules / g.classes + (i < s.rules % g.classes);

		if (!n)
			continue;
		pol_buf_printf(text, "policy \"p%u\" on c%u {\n", i, i);
		while (n--)
			rule(&g, s.prefixes != 0);
		pol_buf_addz(text, "}\n");
	}
}
