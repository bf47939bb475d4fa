/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "filter_gen.h"

#include <arpa/inet.h>
#include <stdio.h>

uint64_t fgen_state;

uint64_t fgen_random(void)
{
	uint64_t z = (fgen_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static bool one_in(unsigned n)
{
	return fgen_below(n) == 0;
}

/* ---- random filters -------------------------------------------------------------- */

/* Few leading bytes and all lengths, so that prefixes nest, touch and overlap. */
void fgen_prefix(struct pol_buf *b)
{
	static const uint8_t top[] = { 10, 10, 10, 192, 203, 0, 255, 128 };
	static const char *const top6[] = { "2001:db8", "2001:db8", "64:ff9b", "fd00", "2a00:1" };

	if (!one_in(3)) {
		unsigned len = one_in(4) ? 32 : fgen_below(33);
		uint32_t a = (uint32_t)top[fgen_below(8)] << 24 | fgen_below(3) << 16 |
			     fgen_below(4) << 8 | fgen_below(6);

		a &= len ? ~0u << (32 - len) : 0;
		pol_buf_printf(b, "%u.%u.%u.%u/%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
			       len);
	} else {
		unsigned len = one_in(3) ? 128 : one_in(2) ? 64 : fgen_below(129);
		uint16_t w[8] = { 0 };
		char text[INET6_ADDRSTRLEN];
		struct in6_addr in;

		snprintf(text, sizeof(text), "%s::", top6[fgen_below(5)]);
		inet_pton(AF_INET6, text, &in);
		for (int i = 0; i < 8; i++)
			w[i] = (uint16_t)(in.s6_addr[2 * i] << 8 | in.s6_addr[2 * i + 1]);
		if (w[0] != 0x64) {
			w[2] = (uint16_t)fgen_below(3);
			w[3] = (uint16_t)fgen_below(4);
		}
		w[6] = (uint16_t)(one_in(2) ? 0 : 0xa00 + fgen_below(2));
		w[7] = (uint16_t)fgen_below(5);
		for (unsigned i = 0; i < 8; i++) {
			int keep = (int)len - 16 * (int)i;

			w[i] = keep <= 0    ? 0
			       : keep >= 16 ? w[i]
					    : (uint16_t)(w[i] & (0xffff << (16 - keep)));
			in.s6_addr[2 * i] = (uint8_t)(w[i] >> 8);
			in.s6_addr[2 * i + 1] = (uint8_t)w[i];
		}
		inet_ntop(AF_INET6, &in, text, sizeof(text));
		if (strncmp(text, "::ffff:", 7) == 0 || len == 0)
			snprintf(text, sizeof(text), "::"), len = 0;
		pol_buf_printf(b, "%s/%u", text, len);
	}
}

/* True: it is `any`. */
static bool add_peer(struct pol_buf *b)
{
	unsigned n = one_in(4) ? 2 + fgen_below(3) : 1;

	switch (fgen_below(8)) {
	case 0:
		pol_buf_addz(b, "any");
		return true;
	case 1:
		pol_buf_printf(b, "c%u", fgen_below(4));
		if (one_in(4)) {
			pol_buf_addz(b, ", dyn");
			pol_buf_printf(b, "%u", fgen_below(2));
		}
		return false;
	case 2:
		pol_buf_printf(b, "c%u except ", fgen_below(4));
		fgen_prefix(b);
		return false;
	default:
		break;
	}
	for (unsigned i = 0; i < n; i++) {
		pol_buf_addz(b, i ? ", " : "");
		fgen_prefix(b);
	}
	return false;
}

static void add_range(struct pol_buf *b)
{
	static const unsigned port[] = { 0, 1, 53, 80, 443, 1024, 8080, 32768, 65534, 65535 };
	unsigned lo = port[fgen_below(10)], hi = port[fgen_below(10)];

	if (lo >= hi)
		pol_buf_printf(b, "%u", lo);
	else
		pol_buf_printf(b, "%u-%u", lo, hi);
}

/* True: only protocols with ports. */
static bool add_ports(struct pol_buf *b)
{
	static const char *const flag[] = { "syn", "syn-ack", "ack", "fin", "rst", "psh", "urg" };
	static const char *const other[] = { "icmp",          "icmp 8",   "icmp 0-3", "icmp6",
					     "icmp6 128-137", "proto 47", "proto 50" };
	unsigned n = 1 + (one_in(3) ? fgen_below(3) : 0);
	bool ports = true;

	for (unsigned i = 0; i < n; i++) {
		pol_buf_addz(b, i ? ", " : "");
		if (one_in(4)) {
			pol_buf_addz(b, other[fgen_below(7)]);
			ports = false;
			continue;
		}
		pol_buf_addz(b, one_in(3) ? "udp" : one_in(8) ? "sctp" : "tcp");
		if (!one_in(3)) {
			pol_buf_addc(b, ' ');
			add_range(b);
		}
		if (b->p[b->n - 1] != ',' && one_in(4)) {
			/* a flag belongs to tcp */
			const char *at = b->p + b->n;

			while (at > b->p && strncmp(at, "tcp", 3) && strncmp(at, "udp", 3) &&
			       strncmp(at, "sctp", 4))
				at--;
			if (!strncmp(at, "tcp", 3))
				pol_buf_printf(b, " %s", flag[fgen_below(7)]);
		}
	}
	return ports;
}

static void add_line(struct pol_buf *b)
{
	static const char *const action[] = {
		"drop",
		"drop",
		"pass",
		"pass",
		"limit 1000000/s burst 100000000",
		"limit 1000000/s burst 100000000 per source /24 /56",
	};
	bool any = true;

	pol_buf_printf(b, "\t%s", action[one_in(4) ? fgen_below(6) : fgen_below(4)]);
	if (!one_in(4)) {
		pol_buf_addz(b, " from ");
		any &= add_peer(b);
	}
	if (one_in(2)) {
		pol_buf_addz(b, " to ");
		any &= add_peer(b);
	}
	if (any || !one_in(3)) {
		pol_buf_addz(b, " on ");
		if (add_ports(b) && one_in(2)) {
			pol_buf_addz(b, " sport ");
			add_range(b);
		}
	}
	pol_buf_addz(b, one_in(8) ? " log;\n" : ";\n");
}

void fgen_filters(struct pol_buf *b)
{
	pol_buf_addz(b, "default deny;\n");
	for (int i = 0; i < 4; i++) {
		unsigned k = 1 + fgen_below(6);

		pol_buf_printf(b, "cidr c%d = ", i);
		while (k--) {
			fgen_prefix(b);
			pol_buf_addz(b, k ? ", " : ";\n");
		}
	}
	pol_buf_addz(b, "cidr dyn0 dynamic;\ncidr dyn1 dynamic = ");
	fgen_prefix(b);
	pol_buf_addz(b, ";\n");
	for (int i = 0; i < FGEN_EACH; i++) {
		unsigned n = one_in(5) ? 100 + fgen_below(200) : 1 + fgen_below(30);

		pol_buf_printf(b, "filter f%d on eth0 {\n", i);
		while (n--)
			add_line(b);
		pol_buf_printf(b, "\t%s;\n}\n", one_in(2) ? "pass" : "drop");
	}
}

/* ---- rule sets of others ----------------------------------------------------------------- */

static void add_moved(struct pol_buf *b, const char *prefix, unsigned copy)
{
	unsigned a[4], len;
	uint32_t x;

	if (sscanf(prefix, "%u.%u.%u.%u/%u", &a[0], &a[1], &a[2], &a[3], &len) != 5)
		return;
	x = a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];
	x ^= copy * 0x2545f491u; /* keeps how prefixes nest */
	x &= len ? ~0u << (32 - len) : 0;
	pol_buf_printf(b, "%u.%u.%u.%u/%u", x >> 24, x >> 16 & 255, x >> 8 & 255, x & 255, len);
}

static void add_ends(struct pol_buf *b, unsigned lo, unsigned hi)
{
	if (lo == hi)
		pol_buf_printf(b, " %u", lo);
	else if (lo || hi < 65535)
		pol_buf_printf(b, " %u-%u", lo, hi);
}

/* One line of a set; what it says of flags that the language has no word for is left out. */
static void add_classbench(struct pol_buf *b, const char *line, unsigned copy, unsigned number)
{
	unsigned slo, shi, dlo, dhi, proto, pmask, flags, fmask;
	char src[32], dst[32];
	const char *flag = "";

	if (sscanf(line, "@%31s %31s %u : %u %u : %u %x/%x %x/%x", src, dst, &slo, &shi, &dlo, &dhi,
		   &proto, &pmask, &flags, &fmask) != 10)
		return;
	pol_buf_printf(b, "\t%s from ", number % 3 ? "drop" : "pass");
	add_moved(b, src, copy);
	pol_buf_addz(b, " to ");
	add_moved(b, dst, copy);
	if (flags == 0x0200 && fmask == 0x1200)
		flag = " syn";
	else if (fmask & flags & 0x1000)
		flag = " ack";
	if (pmask && (proto == 6 || proto == 17)) {
		pol_buf_printf(b, " on %s", proto == 6 ? "tcp" : "udp");
		add_ends(b, dlo, dhi);
		pol_buf_addz(b, proto == 6 ? flag : "");
		if (slo || shi < 65535) {
			pol_buf_addz(b, " sport");
			add_ends(b, slo, shi);
		}
	} else if (pmask) {
		pol_buf_printf(b, " on %s%.0u", proto == 1 ? "icmp" : "proto ",
			       proto == 1 ? 0 : proto);
	}
	pol_buf_addz(b, ";\n");
}

int fgen_rules(struct pol_buf *b, const char *path, unsigned copies, unsigned most,
	       struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n = 0;
	int r = pol_read_file(path, 64u << 20, &text, &n, e);

	if (r)
		return r;
	pol_buf_addz(b, "default deny;\nfilter f on eth0 {\n");
	for (unsigned c = 0; c < copies && most; c++) {
		unsigned number = 0;

		for (char *at = text, *end; *at && most; at = end) {
			end = strchr(at, '\n');
			end = end ? end + 1 : at + strlen(at);
			if (*at != '@')
				continue;
			add_classbench(b, at, c, number++);
			most--;
		}
	}
	pol_buf_addz(b, "\tpass;\n}\n");
	return 0;
}

/* One address or prefix a line; what stands behind white space or `#` is not looked at. */
int fgen_list(struct pol_buf *b, const char *path, struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL, *save = NULL;
	size_t n = 0;
	int r = pol_read_file(path, 64u << 20, &text, &n, e);

	if (r)
		return r;
	pol_buf_addz(b, "default deny;\ncidr bad = 192.0.2.1");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (*l >= '0' && *l <= '9')
			pol_buf_printf(b, ",\n\t%.*s", (int)strcspn(l, " \t\r#"), l);
	pol_buf_addz(b, ";\nfilter f on eth0 {\n\tpass on tcp 22;\n\tdrop from bad;\n"
			"\tdrop to bad on udp 53;\n\tpass;\n}\n");
	return 0;
}

/* ---- packets ---------------------------------------------------------------------------------- */

static struct pol_ip near(const struct pol_ir *ir, uint32_t aset, int family)
{
	const struct pol_aset *s = &ir->asets.v[aset];
	struct pol_ip ip = { .family = (uint8_t)family };
	pol_u128 x = (pol_u128)fgen_random() << 64 | fgen_random();

	if (family == 4 && s->n4 && aset) {
		const struct pol_range32 *r = &s->v4[fgen_random() % s->n4];

		ip.lo = one_in(2)   ? r->lo
			: one_in(2) ? r->hi
				    : r->lo + fgen_random() % ((uint64_t)r->hi - r->lo + 1);
		ip.lo += one_in(4) ? fgen_below(3) : 0;
		ip.lo -= one_in(4) ? fgen_below(3) : 0;
		ip.lo &= 0xffffffff;
		return ip;
	}
	if (family == 4) {
		ip.lo = (uint32_t)x;
		return ip;
	}
	if (s->n6 && aset) {
		const struct pol_range128 *r = &s->v6[fgen_random() % s->n6];

		x = one_in(2) ? r->lo : one_in(2) ? r->hi : r->lo + (x & (r->hi - r->lo));
		x += one_in(4) ? fgen_below(3) : 0;
		x -= one_in(4) ? fgen_below(3) : 0;
		if (one_in(16))
			x ^= (pol_u128)1 << 64;
	}
	ip.hi = (uint64_t)(x >> 64);
	ip.lo = (uint64_t)x;
	return ip;
}

static uint16_t near_port(const struct pol_ir *ir, uint32_t set, uint8_t proto)
{
	const struct pol_l4set *s = &ir->l4sets.v[set];
	uint32_t x = (uint32_t)fgen_random();

	if (set && s->n) {
		const struct pol_range32 *r = &s->range[fgen_random() % s->n];

		x = one_in(2) ? r->lo : r->hi;
		x += one_in(4) ? fgen_below(2) : 0;
		x -= one_in(4) ? fgen_below(2) : 0;
	}
	return proto == 1 || proto == 58 ? x & 255 : (uint16_t)x;
}

void fgen_packet(const struct pol_ir *ir, const struct pol_ir_filter *f, struct pol_eval_packet *p)
{
	static const uint8_t protos[] = { 6, 6, 6, 17, 17, 132, 1, 58, 47, 50, 4 };
	static const uint8_t flags[] = { 0, 2, 18, 16, 1, 4, 24, 48, 255, 17 };
	const struct pol_filter_line *l = &f->line[fgen_random() % f->n];
	const struct pol_filter_term *t = l->n ? &l->term[fgen_random() % l->n] : NULL;
	int family =
		!ir->asets.v[l->src.aset].n4 || !ir->asets.v[l->dst.aset].n4 || one_in(4) ? 6 : 4;

	memset(p, 0, sizeof(*p));
	p->src = near(ir, one_in(8) ? f->line[fgen_random() % f->n].src.aset : l->src.aset, family);
	p->dst = near(ir, one_in(8) ? f->line[fgen_random() % f->n].dst.aset : l->dst.aset, family);
	p->proto = protos[fgen_below(11)];
	if (t && t->l4 && !one_in(8)) {
		const struct pol_l4set *s = &ir->l4sets.v[t->l4];

		p->proto = (uint8_t)(s->range[fgen_random() % s->n].lo >> 16);
	}
	if ((p->proto == 1 && family == 6) || (p->proto == 58 && family == 4))
		p->proto = family == 6 ? 58 : 1;
	if (p->proto == 6 || p->proto == 17 || p->proto == 132 || p->proto == 1 || p->proto == 58)
		p->value = near_port(ir, t ? t->l4 : 0, p->proto);
	if (p->proto == 6 || p->proto == 17 || p->proto == 132)
		p->sport = near_port(ir, t ? t->sport : 0, p->proto);
	if (p->proto == 6)
		p->tcp_flags = one_in(4) ? (uint8_t)fgen_random() : flags[fgen_below(10)];
	if (one_in(2) && t && p->proto == 6)
		p->tcp_flags = (uint8_t)((p->tcp_flags | t->set) & ~t->clear);
	/* extension headers are parse.h's matter; here such a protocol would not be one */
	if (family == 6 &&
	    (p->proto == 0 || p->proto == 43 || p->proto == 44 || p->proto == 51 ||
	     p->proto == 60 || p->proto == 135 || p->proto == 139 || p->proto == 140))
		p->proto = 47;
}

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put_ip(uint8_t *at, struct pol_ip ip)
{
	for (int i = 0; i < 16; i++) {
		uint64_t half = i < 8 ? ip.hi : ip.lo;
		uint8_t byte = (uint8_t)(half >> (56 - 8 * (i % 8)));

		if (ip.family == 6)
			at[i] = byte;
		else if (i >= 12)
			at[i - 12] = byte;
	}
}

#define L4_BYTES 20

size_t fgen_frame(const struct pol_eval_packet *p, bool tags, uint8_t f[FGEN_FRAME])
{
	size_t l3 = 14, l4 = l3 + (p->src.family == 4 ? 20 : 40);

	memset(f, 0, FGEN_FRAME);
	f[0] = 2, f[6] = 2;
	if (tags && one_in(8)) { /* a tag */
		put16(f + 12, 0x8100);
		l3 += 4, l4 += 4;
	}
	put16(f + l3 - 2, p->src.family == 4 ? 0x0800 : 0x86dd);
	if (p->src.family == 4) {
		f[l3] = 0x45;
		put16(f + l3 + 2, 20 + L4_BYTES);
		f[l3 + 8] = 64;
		f[l3 + 9] = p->proto;
		put_ip(f + l3 + 12, p->src);
		put_ip(f + l3 + 16, p->dst);
	} else {
		f[l3] = 0x60;
		put16(f + l3 + 4, L4_BYTES);
		f[l3 + 6] = p->proto;
		f[l3 + 7] = 64;
		put_ip(f + l3 + 8, p->src);
		put_ip(f + l3 + 24, p->dst);
	}
	if (p->proto == 6 || p->proto == 17 || p->proto == 132) {
		put16(f + l4, p->sport);
		put16(f + l4 + 2, p->value);
	}
	if (p->proto == 6)
		f[l4 + 12] = 0x50, f[l4 + 13] = p->tcp_flags;
	if (p->proto == 17)
		put16(f + l4 + 4, L4_BYTES);
	if (p->proto == 1 || p->proto == 58)
		f[l4] = (uint8_t)p->value;
	return l4 + L4_BYTES;
}
