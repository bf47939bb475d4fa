/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters: the program in the kernel and the evaluator always say the same, verdict and line.
 *
 *	filters [--objects N] [--packets N] [--seed S] [--only I] [--seconds T]
 *		[--rules FILE [--copies N]] [--list FILE] [--self-test]
 *
 * For each filter of N random objects: packets at the edges of what it names through BPF_PROG_TEST_RUN.
 * --rules: one filter from a five-tuple rule set of ClassBench, in so many copies with other
 * addresses; --list: one that drops what an address list names.  A difference prints the filter (if
 * it is short), the packet and both verdicts.  --self-test falsifies the tables and fails unless that is noticed.
 *
 * Exit: 0 no difference; 1 differences; 77 the kernel's part could not run.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "compiler/eval.h"
#include "runtime/sets.h"

struct options {
	unsigned objects, packets, seconds, copies;
	uint64_t seed;
	long only;
	const char *rules, *list;
	bool self_test;
};

static uint64_t rng_state;

static uint64_t rnd(void)
{
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
	return (unsigned)(rnd() % n);
}

static bool one_in(unsigned n)
{
	return below(n) == 0;
}

/* ---- random filters -------------------------------------------------------------- */

/* Few leading bytes and all lengths, so that prefixes nest, touch and overlap. */
static void add_prefix(struct pol_buf *b)
{
	static const uint8_t top[] = { 10, 10, 10, 192, 203, 0, 255, 128 };
	static const char *const top6[] = { "2001:db8", "2001:db8", "64:ff9b", "fd00", "2a00:1" };

	if (!one_in(3)) {
		unsigned len = one_in(4) ? 32 : below(33);
		uint32_t a = (uint32_t)top[below(8)] << 24 | below(3) << 16 | below(4) << 8 | below(6);

		a &= len ? ~0u << (32 - len) : 0;
		pol_buf_printf(b, "%u.%u.%u.%u/%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, len);
	} else {
		unsigned len = one_in(3) ? 128 : one_in(2) ? 64 : below(129);
		uint16_t w[8] = { 0 };
		char text[INET6_ADDRSTRLEN];
		struct in6_addr in;

		snprintf(text, sizeof(text), "%s::", top6[below(5)]);
		inet_pton(AF_INET6, text, &in);
		for (int i = 0; i < 8; i++)
			w[i] = (uint16_t)(in.s6_addr[2 * i] << 8 | in.s6_addr[2 * i + 1]);
		if (w[0] != 0x64) {
			w[2] = (uint16_t)below(3);
			w[3] = (uint16_t)below(4);
		}
		w[6] = (uint16_t)(one_in(2) ? 0 : 0xa00 + below(2));
		w[7] = (uint16_t)below(5);
		for (unsigned i = 0; i < 8; i++) {
			int keep = (int)len - 16 * (int)i;

			w[i] = keep <= 0 ? 0 : keep >= 16 ? w[i] : (uint16_t)(w[i] & (0xffff << (16 - keep)));
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
	unsigned n = one_in(4) ? 2 + below(3) : 1;

	switch (below(8)) {
	case 0:
		pol_buf_addz(b, "any");
		return true;
	case 1:
		pol_buf_printf(b, "c%u", below(4));
		if (one_in(4)) {
			pol_buf_addz(b, ", dyn");
			pol_buf_printf(b, "%u", below(2));
		}
		return false;
	case 2:
		pol_buf_printf(b, "c%u except ", below(4));
		add_prefix(b);
		return false;
	default:
		break;
	}
	for (unsigned i = 0; i < n; i++) {
		pol_buf_addz(b, i ? ", " : "");
		add_prefix(b);
	}
	return false;
}

static void add_range(struct pol_buf *b)
{
	static const unsigned port[] = { 0, 1, 53, 80, 443, 1024, 8080, 32768, 65534, 65535 };
	unsigned lo = port[below(10)], hi = port[below(10)];

	if (lo >= hi)
		pol_buf_printf(b, "%u", lo);
	else
		pol_buf_printf(b, "%u-%u", lo, hi);
}

/* True: only protocols with ports. */
static bool add_ports(struct pol_buf *b)
{
	static const char *const flag[] = { "syn", "syn-ack", "ack", "fin", "rst", "psh", "urg" };
	static const char *const other[] = { "icmp", "icmp 8", "icmp 0-3", "icmp6", "icmp6 128-137",
					     "proto 47", "proto 50" };
	unsigned n = 1 + (one_in(3) ? below(3) : 0);
	bool ports = true;

	for (unsigned i = 0; i < n; i++) {
		pol_buf_addz(b, i ? ", " : "");
		if (one_in(4)) {
			pol_buf_addz(b, other[below(7)]);
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
				pol_buf_printf(b, " %s", flag[below(7)]);
		}
	}
	return ports;
}

static void add_line(struct pol_buf *b)
{
	static const char *const action[] = {
		"drop", "drop", "pass", "pass", "limit 1000000/s burst 100000000",
		"limit 1000000/s burst 100000000 per source /24 /56",
	};
	bool any = true;

	pol_buf_printf(b, "\t%s", action[one_in(4) ? below(6) : below(4)]);
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

#define EACH 10 /* filters of an object: making one takes longer than asking it */

static void random_filters(struct pol_buf *b)
{
	pol_buf_addz(b, "default deny;\n");
	for (int i = 0; i < 4; i++) {
		unsigned k = 1 + below(6);

		pol_buf_printf(b, "cidr c%d = ", i);
		while (k--) {
			add_prefix(b);
			pol_buf_addz(b, k ? ", " : ";\n");
		}
	}
	pol_buf_addz(b, "cidr dyn0 dynamic;\ncidr dyn1 dynamic = ");
	add_prefix(b);
	pol_buf_addz(b, ";\n");
	for (int i = 0; i < EACH; i++) {
		unsigned n = one_in(5) ? 100 + below(200) : 1 + below(30);

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
		pol_buf_printf(b, " on %s%.0u", proto == 1 ? "icmp" : "proto ", proto == 1 ? 0 : proto);
	}
	pol_buf_addz(b, ";\n");
}

static int read_rules(const struct options *o, struct pol_buf *b, struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n = 0;
	int r = pol_read_file(o->rules, 64u << 20, &text, &n, e);

	if (r)
		return r;
	pol_buf_addz(b, "default deny;\nfilter f on eth0 {\n");
	for (unsigned c = 0; c < o->copies; c++) {
		unsigned number = 0;

		for (char *at = text, *end; *at; at = end) {
			end = strchr(at, '\n');
			end = end ? end + 1 : at + strlen(at);
			if (*at == '@')
				add_classbench(b, at, c, number++);
		}
	}
	pol_buf_addz(b, "\tpass;\n}\n");
	return 0;
}

/* One address or prefix a line; what stands behind white space or `#` is not looked at. */
static int read_list(const struct options *o, struct pol_buf *b, struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL, *save = NULL;
	size_t n = 0;
	int r = pol_read_file(o->list, 64u << 20, &text, &n, e);

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
	pol_u128 x = (pol_u128)rnd() << 64 | rnd();

	if (family == 4 && s->n4 && aset) {
		const struct pol_range32 *r = &s->v4[rnd() % s->n4];

		ip.lo = one_in(2) ? r->lo : one_in(2) ? r->hi : r->lo + rnd() % ((uint64_t)r->hi - r->lo + 1);
		ip.lo += one_in(4) ? below(3) : 0;
		ip.lo -= one_in(4) ? below(3) : 0;
		ip.lo &= 0xffffffff;
		return ip;
	}
	if (family == 4) {
		ip.lo = (uint32_t)x;
		return ip;
	}
	if (s->n6 && aset) {
		const struct pol_range128 *r = &s->v6[rnd() % s->n6];

		x = one_in(2) ? r->lo : one_in(2) ? r->hi : r->lo + (x & (r->hi - r->lo));
		x += one_in(4) ? below(3) : 0;
		x -= one_in(4) ? below(3) : 0;
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
	uint32_t x = (uint32_t)rnd();

	if (set && s->n) {
		const struct pol_range32 *r = &s->range[rnd() % s->n];

		x = one_in(2) ? r->lo : r->hi;
		x += one_in(4) ? below(2) : 0;
		x -= one_in(4) ? below(2) : 0;
	}
	return proto == 1 || proto == 58 ? x & 255 : (uint16_t)x;
}

static void random_packet(const struct pol_ir *ir, const struct pol_ir_filter *f,
			  struct pol_eval_packet *p)
{
	static const uint8_t protos[] = { 6, 6, 6, 17, 17, 132, 1, 58, 47, 50, 4 };
	static const uint8_t flags[] = { 0, 2, 18, 16, 1, 4, 24, 48, 255, 17 };
	const struct pol_filter_line *l = &f->line[rnd() % f->n];
	const struct pol_filter_term *t = l->n ? &l->term[rnd() % l->n] : NULL;
	int family = !ir->asets.v[l->src.aset].n4 || !ir->asets.v[l->dst.aset].n4 || one_in(4) ? 6 : 4;

	memset(p, 0, sizeof(*p));
	p->src = near(ir, one_in(8) ? f->line[rnd() % f->n].src.aset : l->src.aset, family);
	p->dst = near(ir, one_in(8) ? f->line[rnd() % f->n].dst.aset : l->dst.aset, family);
	p->proto = protos[below(11)];
	if (t && t->l4 && !one_in(8)) {
		const struct pol_l4set *s = &ir->l4sets.v[t->l4];

		p->proto = (uint8_t)(s->range[rnd() % s->n].lo >> 16);
	}
	if ((p->proto == 1 && family == 6) || (p->proto == 58 && family == 4))
		p->proto = family == 6 ? 58 : 1;
	if (p->proto == 6 || p->proto == 17 || p->proto == 132 || p->proto == 1 || p->proto == 58)
		p->value = near_port(ir, t ? t->l4 : 0, p->proto);
	if (p->proto == 6 || p->proto == 17 || p->proto == 132)
		p->sport = near_port(ir, t ? t->sport : 0, p->proto);
	if (p->proto == 6)
		p->tcp_flags = one_in(4) ? (uint8_t)rnd() : flags[below(10)];
	if (one_in(2) && t && p->proto == 6)
		p->tcp_flags = (uint8_t)((p->tcp_flags | t->set) & ~t->clear);
	/* extension headers are parse.h's matter; here such a protocol would not be one */
	if (family == 6 && (p->proto == 0 || p->proto == 43 || p->proto == 44 || p->proto == 51 ||
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

static size_t frame_of(const struct pol_eval_packet *p, uint8_t f[96])
{
	size_t l3 = 14, l4 = l3 + (p->src.family == 4 ? 20 : 40);

	memset(f, 0, 96);
	f[0] = 2, f[6] = 2;
	if (one_in(8)) { /* a tag */
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

/* ---- the kernel -------------------------------------------------------------------------------- */

struct loaded {
	struct bpf_object *o;
	int prog, scratch, near;
	unsigned cpus;
	struct pol_scratch *per_cpu;
};

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && getenv("VERBOSE"))
		return vfprintf(stderr, fmt, ap);
	return 0;
}

/* TEST_RUN without a device says that packets come by lo. */
#define LO 1u

/* An attached program is run without a grace period each time. */
static unsigned veth;

static int namespace(void)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	if (system("ip link add polc0 type veth peer name polc1 && ip link set polc0 up && ip link set polc1 up"))
		return -ENODEV;
	veth = if_nametoindex("polc0");
	return veth ? 0 : -ENODEV;
}

static void unload(struct loaded *l)
{
	if (l->o)
		bpf_xdp_detach((int)veth, 0, NULL);
	bpf_object__close(l->o);
	free(l->per_cpu);
	memset(l, 0, sizeof(*l));
}

static void spoil(struct bpf_object *o);

/* As the loader does: set n has place n. */
static void number_sets(struct bpf_object *o)
{
	const struct btf *btf = bpf_object__btf(o);
	const struct btf_type *sec =
		btf__type_by_id(btf, (uint32_t)btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC));
	struct bpf_map *m = bpf_object__find_map_by_name(o, ".rodata");
	size_t n = 0;
	const char *was = bpf_map__initial_value(m, &n);
	char *now = malloc(n);

	if (!now)
		abort();
	memcpy(now, was, n);
	for (unsigned i = 0; i < btf_vlen(sec); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(sec)[i];
		const struct btf_type *t = btf__type_by_id(btf, v->type);

		if (!strcmp(btf__name_by_offset(btf, t->name_off), POL_VAR_SET_SLOT))
			for (uint32_t k = 0; k < POL_SETS_MAX; k++)
				memcpy(now + v->offset + 4 * k, &k, 4);
	}
	bpf_map__set_initial_value(m, now, n);
	free(now);
}

static int load(const struct build *b, bool wrong, struct loaded *l, struct pol_err *e)
{
	struct bpf_program *p;
	int r;

	memset(l, 0, sizeof(*l));
	l->o = bpf_object__open_mem(b->object->data, b->object->size, NULL);
	if (!l->o)
		return pol_err(e, -errno, "cannot open the object");
	bpf_object__for_each_program(p, l->o)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), POL_PROG_XDP));
	number_sets(l->o);
	if (wrong)
		spoil(l->o);
	r = bpf_object__load(l->o);
	if (r)
		return pol_err(e, r, "cannot load the object: %s", strerror(-r));
	l->prog = bpf_program__fd(bpf_object__find_program_by_name(l->o, POL_PROG_XDP));
	l->scratch = bpf_object__find_map_fd_by_name(l->o, POL_MAP_SCRATCH);
	l->near = bpf_object__find_map_fd_by_name(l->o, POL_MAP_IF_NEAR);
	r = bpf_xdp_attach((int)veth, l->prog, 0, NULL);
	if (r)
		return pol_err(e, r, "cannot attach: %s", strerror(-r));
	l->cpus = (unsigned)libbpf_num_possible_cpus();
	l->per_cpu = calloc(l->cpus, sizeof(*l->per_cpu));
	return l->per_cpu ? 0 : -ENOMEM;
}

/* Every entry of the lists of lines one more, which is another action or another line. */
static void spoil(struct bpf_object *o)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o, POL_SEC_FILTER);
	size_t n = 0;
	const uint32_t *was = m ? bpf_map__initial_value(m, &n) : NULL;
	uint32_t *now = was ? malloc(n) : NULL;

	if (!now)
		return;
	memcpy(now, was, n);
	for (size_t i = n / sizeof(*now) / 16; i < n / sizeof(*now); i += 7)
		now[i] ^= 1;
	bpf_map__set_initial_value(m, now, n);
	free(now);
}

/* XDP_DROP or XDP_PASS, and by which rule. */
static int ask(struct loaded *l, const uint8_t *frame, size_t n, uint32_t *rule, struct pol_err *e)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)n, .repeat = 1);
	uint32_t zero = 0;
	int cpu = sched_getcpu(), r = bpf_prog_test_run_opts(l->prog, &opts);

	if (r)
		return pol_err(e, r, "cannot run the program: %s", strerror(-r));
	if (bpf_map_lookup_elem(l->scratch, &zero, l->per_cpu))
		return pol_err(e, -errno, "cannot read what it says");
	*rule = l->per_cpu[cpu].rule[POL_INGRESS];
	return (int)opts.retval;
}

/* What is added at run time: prefixes from the same few bytes as those of the text. */
static prt_prefixes added[POL_SETS_MAX];

static int fill_sets(const struct build *b, struct loaded *l, struct pol_err *e)
{
	int sets = bpf_object__find_map_fd_by_name(l->o, POL_MAP_SETS), r = 0;

	for (uint32_t d = 0; d < b->ir->dynamics.n && !r; d++) {
		struct pol_buf one = { 0 };

		added[d].n = 0;
		for (unsigned i = below(60); i > 0; i--) {
			one.n = 0;
			add_prefix(&one);
			pol_prefix_parse(pol_buf_str(&one), pol_vec_push(&added[d]));
		}
		pol_buf_free(&one);
		r = prt_sets_put(sets, d, &added[d], e);
	}
	return r;
}

static bool inside(struct pol_prefix p, struct pol_ip ip)
{
	pol_u128 x = (pol_u128)ip.hi << 64 | ip.lo, y = (pol_u128)p.addr.hi << 64 | p.addr.lo;
	unsigned width = ip.family == 4 ? 32 : 128;

	return p.addr.family == ip.family && (!p.len || x >> (width - p.len) == y >> (width - p.len));
}

static uint64_t in_sets(const struct pol_ir *ir, struct pol_ip ip)
{
	uint64_t in = 0;

	for (size_t d = 0; d < ir->dynamics.n; d++)
		for (size_t i = 0; i < added[d].n; i++)
			in |= (uint64_t)inside(added[d].v[i], ip) << d;
	return in;
}

/* Half of the addresses at the edges of what was added. */
static void near_added(const struct pol_ir *ir, struct pol_ip *ip)
{
	const prt_prefixes *of = &added[below((unsigned)ir->dynamics.n)];
	struct pol_prefix p;

	if (!of->n)
		return;
	p = of->v[rnd() % of->n];
	if (p.addr.family != ip->family)
		return;
	*ip = p.addr;
	if (ip->family == 4 && p.len && one_in(2))
		ip->lo += (1ull << (32 - p.len)) - below(2);
	else if (ip->family == 6 && p.len > 64 && one_in(2))
		ip->lo += (1ull << (128 - p.len)) - below(2);
	else if (ip->family == 6 && p.len && p.len < 64 && one_in(2))
		ip->hi += (1ull << (64 - p.len)) - below(2);
	else
		ip->lo -= one_in(3);
	ip->lo &= ip->family == 4 ? 0xffffffff : ~0ull;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static uint64_t total, differences;
static bool silent;

static void report(const struct pol_ir_filter *f, const char *text, const struct pol_eval_packet *p, int got,
		   uint32_t rule, const struct pol_eval_filter *want)
{
	char src[POL_IP_TEXT], dst[POL_IP_TEXT];

	differences++;
	if (differences > 5 || silent)
		return;
	if (strlen(text) < 6000)
		printf("%s", text);
	printf("%s -> %s proto %u sport %u value %u flags 0x%x: program %s by rule %u, evaluator %s by %u (%.*s)\n",
	       pol_ip_format(p->src, src), pol_ip_format(p->dst, dst), p->proto, p->sport, p->value,
	       p->tcp_flags, got == 2 ? "passes" : got == 1 ? "drops" : "?", rule,
	       want->action == POL_FILTER_PASS ? "passes" : "drops", f->line[want->line].rule,
	       POL_STR_ARG(f->line[want->line].text));
}

static int compare(const struct build *b, const char *text, struct loaded *l, unsigned filter,
		   unsigned packets, struct pol_err *e)
{
	const struct pol_ir_filter *f = &b->ir->filters.v[filter];
	struct pol_if uplink = { .kind = POL_IF_UPLINK, .flags = POL_IF_XDP, .ifindex = LO,
				 .filters = 1ull << filter };

	if (bpf_map_update_elem(l->near, &(uint32_t){ LO % POL_IF_NEAR }, &uplink, BPF_ANY))
		return pol_err(e, -errno, "cannot write if_near");
	for (unsigned i = 0; i < packets; i++) {
		struct pol_eval_packet p;
		struct pol_eval_filter want;
		uint32_t rule = 0;
		uint8_t frame[96];
		int got;

		random_packet(b->ir, f, &p);
		if (b->ir->dynamics.n && one_in(2))
			near_added(b->ir, one_in(2) ? &p.src : &p.dst);
		p.dynamic_src = in_sets(b->ir, p.src);
		p.dynamic_dst = in_sets(b->ir, p.dst);
		pol_eval_filter(b->ir, f, &p, &want);
		got = ask(l, frame, frame_of(&p, frame), &rule, e);
		if (got < 0)
			return got;
		total++;
		if (got != (want.action == POL_FILTER_PASS ? 2 : 1) || rule != f->line[want.line].rule)
			report(f, text, &p, got, rule, &want);
	}
	return 0;
}

static int one(const struct options *o, const char *text, const struct build_paths *paths, bool wrong,
	       struct pol_err *e)
{
	struct pol_buf messages = { 0 };
	struct loaded l = { 0 };
	struct build b;
	int r = build_policy(&b, text, paths, &messages, e);

	if (r == -EINVAL && messages.n) {
		printf("%s\n%s", strlen(text) < 6000 ? text : "", messages.p);
		pol_err(e, r, "a filter was refused");
	}
	r = r ? r : load(&b, wrong, &l, e);
	r = r ? r : fill_sets(&b, &l, e);
	for (unsigned i = 0; !r && i < b.ir->filters.n; i++)
		r = compare(&b, text, &l, i, o->packets, e);
	unload(&l);
	build_free(&b);
	pol_buf_free(&messages);
	return r;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int random_ones(const struct options *o, const struct build_paths *paths, struct pol_err *e)
{
	double until = now() + o->seconds;
	int r = 0;

	for (unsigned i = 0; i < o->objects && !r; i++) {
		struct pol_buf text = { 0 };

		if (o->seconds && now() > until)
			break;
		rng_state = o->seed * 1000003 + i;
		random_filters(&text);
		if (o->only < 0 || o->only == (long)i) {
			uint64_t before = differences;

			r = one(o, text.p, paths, false, e);
			if (differences > before)
				printf("# --seed %llu --only %u\n", (unsigned long long)o->seed, i);
		}
		pol_buf_free(&text);
	}
	return r;
}

static int self_test(const struct options *o, const struct build_paths *paths, struct pol_err *e)
{
	struct pol_buf text = { 0 };
	int r;

	rng_state = 7;
	random_filters(&text);
	silent = true;
	r = one(o, text.p, paths, true, e);
	pol_buf_free(&text);
	if (!r && !differences)
		return pol_err(e, -EPROTO, "wrong tables were not noticed");
	differences = 0;
	return r;
}

static void usage(void)
{
	fprintf(stderr, "usage: filters [--objects N] [--packets N] [--seed S] [--only I] [--seconds T] "
			"[--rules FILE] [--copies N] [--list FILE] [--self-test]\n");
	exit(2);
}

static void options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "objects", 1, NULL, 'f' }, { "packets", 1, NULL, 'p' }, { "seed", 1, NULL, 's' },
		{ "only", 1, NULL, 'o' },    { "seconds", 1, NULL, 't' }, { "rules", 1, NULL, 'r' },
		{ "copies", 1, NULL, 'c' },  { "list", 1, NULL, 'l' },	  { "self-test", 0, NULL, 'x' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'f': o->objects = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'p': o->packets = (unsigned)strtoul(optarg, NULL, 0); break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'o': o->only = strtol(optarg, NULL, 0); break;
		case 't': o->seconds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'r': o->rules = optarg; break;
		case 'c': o->copies = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'l': o->list = optarg; break;
		case 'x': o->self_test = true; break;
		default: usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = { .objects = 4, .packets = 500, .copies = 1, .only = -1,
			     .seed = (uint64_t)time(NULL) };
	const char *tmp = getenv("TMPDIR");
	struct pol_buf text = { 0 };
	struct pol_err e = { 0 };
	char dir[256];
	struct build_paths paths = { .clang = getenv("CLANG") ? getenv("CLANG") : "clang",
				     .templates = getenv("POLC_TEMPLATES"),
				     .include = getenv("POLC_INCLUDE"), .scratch_dir = dir };
	int r;

	options(argc, argv, &o);
	libbpf_set_print(quiet);
	snprintf(dir, sizeof(dir), "%s/polc-filters-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	r = namespace();
	if (r || !mkdtemp(dir)) {
		printf("needs root, network namespaces and BPF: %s\n", strerror(r ? -r : errno));
		return 77;
	}
	printf("# seed %llu\n", (unsigned long long)o.seed);
	rng_state = o.seed;
	if (o.self_test)
		r = self_test(&o, &paths, &e);
	else if (o.rules)
		r = read_rules(&o, &text, &e);
	else if (o.list)
		r = read_list(&o, &text, &e);
	else
		r = random_ones(&o, &paths, &e);
	if (!r && text.n)
		r = one(&o, text.p, &paths, false, &e);
	rmdir(dir);
	pol_buf_free(&text);
	printf("%llu packets, %llu differences\n", (unsigned long long)total,
	       (unsigned long long)differences);
	if (r)
		printf("%s\n", e.text);
	return r == -EPERM ? 77 : r || differences ? 1 : 0;
}
