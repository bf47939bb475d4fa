/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nanoseconds per packet in the kernel, by BPF_PROG_TEST_RUN over a mix of
 * 65,536 headers (bench.bpf.h), for policies of 10 to 10,000 rules and 100,000 prefixes.
 *
 *	bench [--rounds N] [--seed S] [--csv FILE] [--size RULES[/PREFIXES]]...
 *
 * All objects are loaded at once; each round runs every program of every object
 * once, so that whatever else the machine does meets all of them.  Printed are medians
 * and, in brackets, the 10th and 90th percentile; differences are taken within a round.
 * The CSV has every single measurement.
 *
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, POLC_BENCH (the folder of bench.bpf.h), TMPDIR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* realpath, mkdtemp */
#endif
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../property/build.h"
#include "verify/kernel.h"
#include "bench_flow.h"
#include "benchpolicy.h"

#define MAX_SIZES 16
#define MAX_ROUNDS 200

/* What is run, in this order; NEW fills the connection table for ESTABLISHED. */
enum step { EMPTY, HEADERS, PARSE, IDENTIFY, TABLES, JUDGE, NEW, ESTABLISHED, STEPS };
static const char *const step_names[STEPS] = {
	"empty", "headers", "parse", "identify", "tables", "judge", "new", "established",
};
static const char *const step_programs[STEPS] = {
	"bench_empty",  "bench_headers", "bench_parse", "bench_identify",
	"bench_tables", "bench_judge",   "bench_whole", "bench_whole",
};

struct subject { /* one policy, loaded */
	struct bench_size size;
	struct build build;
	struct generation *g;
	bench_prefixes_ prefixes;
	struct bench_flow *flows[2]; /* v4, v6 */
	struct bench_flow *live; /* .data.bench, mapped */
	double ns[2][STEPS][MAX_ROUNDS];
};

static struct subject subjects[MAX_SIZES];
static unsigned nsubjects;
static const unsigned families[2] = { 4, 6 };

/* ---- the host that the policy meets ------------------------------------------------- */

/* Endpoint i of each family: those up to BENCH_ENDPOINTS live here, as many more elsewhere. */
static struct pol_ip endpoint_address(unsigned i, unsigned family)
{
	if (family == 4)
		return (struct pol_ip){ 0, BENCH_POOL4 + 256 + i * 7, 4 };
	return (struct pol_ip){ BENCH_POOL6, 256 + i * 7, 6 };
}

static int place(struct subject *s, struct pol_err *e)
{
	struct prt_place_update u = { 0 };
	struct prt_place_ep ep[2 * BENCH_ENDPOINTS];
	struct pol_ip addr[2 * BENCH_ENDPOINTS][2];
	struct prt_label label[2 * BENCH_ENDPOINTS];
	char app[2 * BENCH_ENDPOINTS][16];
	int r;

	for (unsigned i = 0; i < 2 * BENCH_ENDPOINTS; i++) {
		snprintf(app[i], sizeof(app[i]), "app-%u", i * 3 % bench_classes(s->size));
		label[i] = (struct prt_label){ POL_STR("app"), pol_str(app[i]) };
		addr[i][0] = endpoint_address(i, 4);
		addr[i][1] = endpoint_address(i, 6);
		ep[i] = (struct prt_place_ep){
			i + 1, i < BENCH_ENDPOINTS, &label[i], 1, addr[i], 2
		};
	}
	s->build.place = prt_place_new(s->build.object);
	r = prt_place_add(s->build.place, ep, 2 * BENCH_ENDPOINTS, &u, e);
	prt_place_update_free(&u);
	return r;
}

static int fill_endpoint(struct subject *s, struct kernel *k, unsigned i)
{
	struct bpf_object *o = generation_object(s->g);
	int owners = bpf_object__find_map_fd_by_name(o, POL_MAP_EP_BY_ADDR);
	int columns = bpf_object__find_map_fd_by_name(o, POL_MAP_ADDR_COLUMN);
	int states = bpf_object__find_map_fd_by_name(o, POL_MAP_EP_STATE);
	struct pol_ep_state state = { .incarnation = 1 };
	uint32_t number = i + 1;
	int r = 0;

	for (unsigned a = 0; a < 2 && !r; a++) {
		uint32_t slot = 1 + 2 * i + a,
			 column = prt_place_get_column(s->build.place, number, a);
		struct pol_owner owner = {
			.ep = number,
			.slot = slot,
			.ifindex = i < BENCH_ENDPOINTS ? kernel_uplink(k) : 0,
			.entity = POL_ENTITY_ENDPOINT,
		};
		struct pol_addr key = prt_addr_of_ip(endpoint_address(i, families[a]));

		r = bpf_map_update_elem(columns, &slot, &column, BPF_ANY);
		if (!r)
			r = bpf_map_update_elem(owners, &key, &owner, BPF_ANY);
	}
	if (r || i >= BENCH_ENDPOINTS)
		return r;
	prt_place_get_root(s->build.place, number, state.root);
	return bpf_map_update_elem(states, &number, &state, BPF_ANY);
}

/* ---- the mix --------------------------------------------------------------------------- */

/* Half from prefixes that the policy names, a quarter endpoints elsewhere, the rest the world. */
static struct pol_ip source(struct subject *s, struct gen_rng *r, unsigned family)
{
	struct pol_ip ip = { gen_next(r) >> 3 | 0x2000000000000000u, gen_next(r), 6 };
	uint32_t what = gen_below(r, 100);

	if (family == 4)
		ip = (struct pol_ip){ 0, 0x20000000 + gen_below(r, 0x40000000), 4 };
	if (what < 25)
		return endpoint_address(BENCH_ENDPOINTS + gen_below(r, BENCH_ENDPOINTS), family);
	for (unsigned tries = 0; what < 75 && tries < 16 && s->prefixes.n; tries++) {
		struct pol_prefix p = s->prefixes.v[gen_below(r, (uint32_t)s->prefixes.n)];

		if (p.addr.family != family)
			continue;
		if (family == 4)
			ip.lo = p.addr.lo | (p.len == 32 ? 0 : (uint32_t)gen_next(r) >> p.len);
		else if (p.len >= 64)
			ip = (struct pol_ip){ p.addr.hi, p.len == 128 ? p.addr.lo : gen_next(r),
					      6 };
		else
			ip.hi = p.addr.hi | gen_next(r) >> p.len;
		break;
	}
	return ip;
}

static bool allowed(const struct subject *s, uint32_t ep, struct pol_ip src, unsigned remote,
		    unsigned family, uint8_t proto, uint16_t port)
{
	struct prt_place_peer peer = { .entity = POL_ENTITY_WORLD, .addr = src };
	struct pol_verdict v;

	if (remote) {
		peer.entity = POL_ENTITY_ENDPOINT;
		peer.column = prt_place_get_column(s->build.place, remote, family == 6);
	}
	return prt_place_verdict(s->build.place, ep, POL_INGRESS, &peer,
				 prt_l4_class(s->build.object, proto, port), &v) == 0 &&
	       v.action == POL_ALLOW;
}

/* The endpoint elsewhere that has the address, or 0. */
static unsigned remote_of(struct pol_ip ip)
{
	for (unsigned i = BENCH_ENDPOINTS; i < 2 * BENCH_ENDPOINTS; i++)
		if (world_same(ip, endpoint_address(i, ip.family)))
			return i + 1;
	return 0;
}

static struct bench_flow one_flow(struct subject *s, struct gen_rng *r, unsigned family, unsigned i)
{
	static const uint16_t usual[] = {
		22,   53,   80,   443,  993,  1433, 3000, 3306, 4317, 5000,
		5432, 6379, 8000, 8080, 8443, 9000, 9090, 9092, 9200, 27017,
	};
	struct pol_ip src;
	uint16_t port;
	uint8_t proto;
	unsigned ep, tries = 0;

	do { /* such that every step is taken; after many tries the flow may be a denied one */
		ep = gen_below(r, BENCH_ENDPOINTS);
		src = source(s, r, family);
		proto = gen_chance(r, 80) ? 6 : 17;
		port = (uint16_t)(usual[gen_below(r, 20)] +
				  (gen_chance(r, 25) ? gen_below(r, 1000) : 0));
	} while (!allowed(s, ep + 1, src, remote_of(src), family, proto, port) && ++tries < 3000);
	return (struct bench_flow){
		.src = prt_addr_of_ip(src),
		.dst = prt_addr_of_ip(endpoint_address(ep, family)),
		.sport_be = htons((uint16_t)(1024 + i % 60000)),
		.dport_be = htons(port),
		.proto = proto,
	};
}

static void make_flows(struct subject *s, uint64_t seed)
{
	struct gen_rng r = { seed };

	for (unsigned f = 0; f < 2; f++) {
		s->flows[f] = calloc(BENCH_FLOWS, sizeof(*s->flows[f]));
		for (unsigned i = 0; i < BENCH_FLOWS; i++)
			s->flows[f][i] = one_flow(s, &r, families[f], i);
	}
}

/* ---- loading ------------------------------------------------------------------------------- */

static int map_flows(struct subject *s, struct pol_err *e)
{
	struct bpf_map *m = bpf_object__find_map_by_name(generation_object(s->g), ".data.bench");

	if (!m)
		return pol_err(e, -ENOENT, "the object has no .data.bench");
	s->live = mmap(NULL, bpf_map__value_size(m), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(m), 0);
	if (s->live == MAP_FAILED)
		return pol_err(e, -errno, ".data.bench cannot be mapped: %s", strerror(errno));
	return 0;
}

static int load(struct subject *s, struct kernel *k, const struct build_paths *paths, uint64_t seed,
		struct pol_err *e)
{
	struct pol_buf text = { 0 }, messages = { 0 };
	int r;

	bench_policy(s->size, seed, &text, NULL, NULL, &s->prefixes);
	r = build_policy(&s->build, text.p, paths, &messages, e);
	if (r && messages.n)
		pol_err(e, r, "%s", messages.p);
	if (!r)
		r = place(s, e);
	if (!r)
		r = generation_load(k, s->build.object, s->build.place, 1 + (uint64_t)(s - subjects), &s->g, e);
	for (unsigned i = 0; i < 2 * BENCH_ENDPOINTS && !r; i++)
		if (fill_endpoint(s, k, i))
			r = pol_err(e, -errno, "cannot fill the maps: %s", strerror(errno));
	if (!r)
		r = map_flows(s, e);
	if (!r)
		make_flows(s, seed);
	pol_buf_free(&text);
	pol_buf_free(&messages);
	return r;
}

/* ---- measuring --------------------------------------------------------------------------------- */

/* A frame of the family; bench.bpf.h fills in addresses, ports and protocol. */
static void frame(struct frame *f, unsigned family, bool first)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 1, 0 };
	struct flow flow = {
		endpoint_address(0, family), endpoint_address(1, family), 6, 1, 1,
	};
	size_t l4 = 14 + (family == 4 ? 20 : 40);

	frame_build(f, &flow, first ? FRAME_FIRST : FRAME_NEXT, false, mac, mac);
	f->b[l4 + 4] = 0; /* read as UDP: a length that is true */
	f->b[l4 + 5] = 20;
}

static double run(struct subject *s, struct kernel *k, enum step step, unsigned family)
{
	struct __sk_buff ctx = { .ifindex = kernel_uplink(k), .ingress_ifindex = kernel_uplink(k) };
	struct frame f;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f.b, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = BENCH_FLOWS);
	struct bpf_program *p =
		bpf_object__find_program_by_name(generation_object(s->g), step_programs[step]);

	frame(&f, family, step != ESTABLISHED);
	o.data_size_in = (uint32_t)f.n;
	if (!p || bpf_prog_test_run_opts(bpf_program__fd(p), &o))
		return -1;
	return o.duration;
}

/* What a handshake would have made of the table. */
static unsigned establish(struct kernel *k)
{
	size_t n;
	struct pol_ct_bucket *b = kernel_flows(k, &n);
	unsigned live = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned w = 0; w < POL_CT_WAYS; w++) {
			struct pol_ct_entry *e = &b[i].entry[w];

			if (!b[i].tag[w] || e->state == POL_CT_FREE)
				continue;
			live++;
			if (e->proto == 6) {
				e->state = POL_CT_ESTABLISHED;
				e->flags |= POL_CT_REPLIED;
			}
		}
	return live;
}

static int round_of(struct subject *s, struct kernel *k, unsigned f, unsigned round)
{
	memcpy(s->live, s->flows[f], BENCH_FLOWS * sizeof(*s->live));
	kernel_forget_flows(k);
	for (int step = 0; step < STEPS; step++) {
		if (step == ESTABLISHED) {
			unsigned live = establish(k);

			if (round == 0 && live < BENCH_FLOWS * 9 / 10)
				fprintf(stderr,
					"note: %u rules, v%u: only %u flows of %u are live\n",
					s->size.rules, families[f], live, BENCH_FLOWS);
		}
		s->ns[f][step][round] = run(s, k, (enum step)step, families[f]);
		if (s->ns[f][step][round] < 0)
			return -errno;
	}
	return 0;
}

/* ---- printing -------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median [10th, 90th percentile] of step, less `floor` in the same round (STEPS: nothing less). */
static void cell(const struct subject *s, unsigned f, enum step step, enum step floor,
		 unsigned rounds)
{
	double v[MAX_ROUNDS];

	for (unsigned i = 0; i < rounds; i++)
		v[i] = s->ns[f][step][i] - (floor == STEPS ? 0 : s->ns[f][floor][i]);
	qsort(v, rounds, sizeof(*v), ascending);
	printf(" %.0f [%.0f, %.0f] |", v[rounds / 2], v[rounds / 10], v[rounds - 1 - rounds / 10]);
}

static void row(const struct subject *s, unsigned f, unsigned rounds)
{
	const struct prt_manifest *m = &s->build.object->manifest;

	printf("| %u", s->size.rules);
	if (s->size.prefixes)
		printf(" + %u prefixes", s->size.prefixes);
	printf(" | v%u |", families[f]);
	cell(s, f, EMPTY, STEPS, rounds);
	cell(s, f, HEADERS, EMPTY, rounds);
	cell(s, f, PARSE, HEADERS, rounds);
	cell(s, f, TABLES, PARSE, rounds);
	cell(s, f, IDENTIFY, PARSE, rounds);
	cell(s, f, JUDGE, PARSE, rounds);
	cell(s, f, NEW, HEADERS, rounds);
	cell(s, f, ESTABLISHED, HEADERS, rounds);
	printf(" %u | %u | %u |\n", m->address_classes, m->l4_classes,
	       prt_place_npages(s->build.place));
}

static void print_table(unsigned rounds)
{
	printf("\nns per packet, median [10th, 90th percentile] of %u rounds of %u packets\n\n",
	       rounds, BENCH_FLOWS);
	printf("| rules | family | empty | + header written | + parsed | tables over parsed | "
	       "identities over parsed | classified over parsed | new flow | established flow | "
	       "address classes | L4 classes | pages |\n");
	printf("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned f = 0; f < 2; f++)
		for (unsigned i = 0; i < nsubjects; i++)
			row(&subjects[i], f, rounds);
	printf("\ntables: address class, L4 class and the walk to the verdict; identities: whose source and "
	       "destination are (two hash look-ups); classified: both, as every new flow is; new and "
	       "established flow: the whole program over the written header\n");
}

static int write_csv(const char *path, unsigned rounds)
{
	FILE *out = fopen(path, "w");

	if (!out) {
		perror(path);
		return 1;
	}
	fputs("rules,prefixes,family,step,round,ns\n", out);
	for (unsigned i = 0; i < nsubjects; i++)
		for (unsigned f = 0; f < 2; f++)
			for (unsigned step = 0; step < STEPS; step++)
				for (unsigned n = 0; n < rounds; n++)
					fprintf(out, "%u,%u,v%u,%s,%u,%.0f\n",
						subjects[i].size.rules, subjects[i].size.prefixes,
						families[f], step_names[step], n,
						subjects[i].ns[f][step][n]);
	return fclose(out) ? 1 : 0;
}

/* ---- the program -------------------------------------------------------------------------------------- */

static const char *env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

/* A datapath.h of our own in front of the templates': the real one, and the programs to measure. */
static int wrap_templates(const char *dir, const char *templates, const char *bench,
			  struct pol_err *e)
{
	struct pol_buf text = { 0 };
	char path[300], real_templates[PATH_MAX], real_bench[PATH_MAX];
	int r;

	if (!realpath(templates, real_templates) || !realpath(bench, real_bench))
		return pol_err(e, -errno, "%s or %s: %s", templates, bench, strerror(errno));
	pol_buf_printf(&text, "#include \"%s/datapath.h\"\n#include \"%s/bench.bpf.h\"\n",
		       real_templates, real_bench);
	snprintf(path, sizeof(path), "%s/datapath.h", dir);
	r = pol_write_file(path, text.p, text.n, e);
	pol_buf_free(&text);
	return r;
}

static int bench(const struct build_paths *paths, unsigned rounds, uint64_t seed, struct pol_err *e)
{
	struct kernel *k = NULL;
	int r = kernel_open(&k, RANDOM_LOCAL, e);

	for (unsigned i = 0; i < nsubjects && !r; i++)
		r = load(&subjects[i], k, paths, seed, e);
	for (unsigned n = 0; n < rounds && !r; n++)
		for (unsigned i = 0; i < nsubjects && !r; i++)
			for (unsigned f = 0; f < 2 && !r; f++)
				r = round_of(&subjects[i], k, f, n);
	if (r)
		pol_err(e, r, "BPF_PROG_TEST_RUN: %s", strerror(-r));
	for (unsigned i = 0; i < nsubjects; i++) {
		if (!r)
			continue;
		generation_free(subjects[i].g);
		subjects[i].g = NULL;
	}
	kernel_close(k);
	return r;
}

static const struct option long_options[] = {
	{ "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },
	{ "csv", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 },
};

static void add_size(const char *text)
{
	char *end;
	struct bench_size *s = &subjects[nsubjects++].size;

	s->rules = (unsigned)strtoul(text, &end, 0);
	s->prefixes = *end == '/' ? (unsigned)strtoul(end + 1, NULL, 0) : 0;
}

static bool parse_options(int argc, char **argv, unsigned *rounds, uint64_t *seed, const char **csv)
{
	static const char *const usual[] = { "10", "100", "1000", "10000", "100/100000" };
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (c) {
		case 'r':
			*rounds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			*seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			*csv = optarg;
			break;
		case 'n':
			if (nsubjects < MAX_SIZES)
				add_size(optarg);
			break;
		default:
			return false;
		}
	for (unsigned i = 0, some = nsubjects; !some && i < POL_ARRAY_LEN(usual); i++)
		add_size(usual[i]);
	return optind == argc && *rounds >= 1 && *rounds <= MAX_ROUNDS;
}

int main(int argc, char **argv)
{
	struct build_paths paths = { .clang = env("CLANG", "clang"),
				     .include = env("POLC_INCLUDE", "include") };
	unsigned rounds = 21;
	uint64_t seed = 1;
	const char *csv = NULL;
	struct pol_err e = { 0 };
	char dir[256], wrapper[300];
	int r;

	if (!parse_options(argc, argv, &rounds, &seed, &csv)) {
		fputs("usage: bench [--rounds N] [--seed S] [--csv FILE] [--size RULES[/PREFIXES]]...\n",
		      stderr);
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/polc-bench.XXXXXX", env("TMPDIR", "/tmp"));
	if (!mkdtemp(dir)) {
		perror("bench");
		return 1;
	}
	paths.scratch_dir = paths.templates = dir;
	r = wrap_templates(dir, env("POLC_TEMPLATES", "bpf-templates"),
			   env("POLC_BENCH", "tests/bench"), &e);
	if (!r)
		r = bench(&paths, rounds, seed, &e);
	snprintf(wrapper, sizeof(wrapper), "%s/datapath.h", dir);
	unlink(wrapper);
	rmdir(dir);
	if (r) {
		fprintf(stderr, "bench: %s\n", e.text);
		return 1;
	}
	print_table(rounds);
	return csv ? write_csv(csv, rounds) : 0;
}
