// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* realpath, mkdtemp */
#endif
#include "subject.h"

#include "core.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define RUN 1024u /* packets between two looks at the core */
#define RUNS 32u /* of a step, on a core that is ours */

const char *const bench_step_names[STEPS] = {
	"empty", "headers", "parse", "identify", "tables", "judge", "new", "established",
};
static const char *const step_programs[STEPS] = {
	"bench_empty",  "bench_headers", "bench_parse", "bench_identify",
	"bench_tables", "bench_judge",   "bench_whole", "bench_whole",
};
const unsigned bench_families[2] = { 4, 6 };

/* ---- the host that the policy meets ------------------------------------------------- */

/* Endpoint i of each family: the first half lives here, the others elsewhere. */
static struct pol_ip endpoint_address(unsigned i, unsigned family)
{
	if (family == 4)
		return (struct pol_ip){ 0, BENCH_POOL4 + 256 + i * 7, 4 };
	return (struct pol_ip){ BENCH_POOL6, 256 + i * 7, 6 };
}

/* The number (i + 1) of the endpoint elsewhere that has the address, or 0. */
static unsigned remote_of(const struct bench_subject *s, struct pol_ip ip)
{
	uint64_t at = ip.lo - (ip.family == 4 ? BENCH_POOL4 : 0) - 256, i = at / 7;

	if ((ip.family == 6 && ip.hi != BENCH_POOL6) || at % 7)
		return 0;
	return i >= s->endpoints && i < 2ull * s->endpoints ? (unsigned)i + 1 : 0;
}

struct newcomer { /* an endpoint and what it points to */
	struct prt_label label;
	struct pol_ip addr[2];
	char app[16];
};

static int place(struct bench_subject *s, struct pol_err *e)
{
	unsigned n = 2 * s->endpoints;
	struct prt_place_ep *ep = calloc(n, sizeof(*ep));
	struct newcomer *who = calloc(n, sizeof(*who));
	struct prt_place_update u = { 0 };
	int r = ep && who ? 0 : pol_err(e, -ENOMEM, "no memory");

	for (unsigned i = 0; i < n && !r; i++) {
		snprintf(who[i].app, sizeof(who[i].app), "app-%u", i * 3 % bench_classes(s->size));
		who[i].label = (struct prt_label){ POL_STR("app"), pol_str(who[i].app) };
		who[i].addr[0] = endpoint_address(i, 4);
		who[i].addr[1] = endpoint_address(i, 6);
		ep[i] = (struct prt_place_ep){ i + 1, i < s->endpoints, &who[i].label,
					       1,     who[i].addr,      2 };
	}
	s->build.place = prt_place_new(s->build.object);
	if (!r)
		r = prt_place_add(s->build.place, ep, n, &u, e);
	prt_place_update_free(&u);
	free(ep);
	free(who);
	return r;
}

static int fill_endpoint(struct bench_subject *s, struct kernel *k, unsigned i)
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
			.ifindex = i < s->endpoints ? kernel_uplink(k) : 0,
			.entity = POL_ENTITY_ENDPOINT,
		};
		struct pol_addr key = prt_addr_of_ip(endpoint_address(i, bench_families[a]));

		r = bpf_map_update_elem(columns, &slot, &column, BPF_ANY);
		if (!r)
			r = bpf_map_update_elem(owners, &key, &owner, BPF_ANY);
	}
	if (r || i >= s->endpoints)
		return r;
	prt_place_get_root(s->build.place, number, state.root);
	return bpf_map_update_elem(states, &number, &state, BPF_ANY);
}

/* ---- the mix --------------------------------------------------------------------------- */

/* Half from prefixes that the policy names, a quarter endpoints elsewhere, the rest the world. */
static struct pol_ip source(struct bench_subject *s, struct gen_rng *r, unsigned family)
{
	struct pol_ip ip = { gen_next(r) >> 3 | 0x2000000000000000u, gen_next(r), 6 };
	uint32_t what = gen_below(r, 100);

	if (family == 4)
		ip = (struct pol_ip){ 0, 0x20000000 + gen_below(r, 0x40000000), 4 };
	if (what < 25)
		return endpoint_address(s->endpoints + gen_below(r, s->endpoints), family);
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

static bool allowed(const struct bench_subject *s, uint32_t ep, struct pol_ip src, unsigned remote,
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

static struct bench_flow one_flow(struct bench_subject *s, struct gen_rng *r, unsigned family,
				  unsigned i)
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
		ep = gen_below(r, s->endpoints);
		src = source(s, r, family);
		proto = gen_chance(r, 80) ? 6 : 17;
		port = (uint16_t)(usual[gen_below(r, 20)] +
				  (gen_chance(r, 25) ? gen_below(r, 1000) : 0));
	} while (!allowed(s, ep + 1, src, remote_of(s, src), family, proto, port) &&
		 ++tries < 3000);
	return (struct bench_flow){
		.src = prt_addr_of_ip(src),
		.dst = prt_addr_of_ip(endpoint_address(ep, family)),
		.sport_be = htons((uint16_t)(1024 + i % 60000)),
		.dport_be = htons(port),
		.proto = proto,
	};
}

/*
 * Of many flows, those behind the first BENCH_SEEDS differ from one of these only by the port of the
 * one who asks: the evaluator is not quick, and does not look at it.
 */
#define BENCH_SEEDS 65536u
static void make_flows(struct bench_subject *s, uint64_t seed)
{
	struct gen_rng r = { seed };

	for (unsigned f = 0; f < 2; f++) {
		s->flows[f] = calloc(s->nflows, sizeof(*s->flows[f]));
		for (unsigned i = 0; i < s->nflows; i++) {
			if (i < BENCH_SEEDS) {
				s->flows[f][i] = one_flow(s, &r, bench_families[f], i);
				continue;
			}
			s->flows[f][i] = s->flows[f][i % BENCH_SEEDS];
			s->flows[f][i].sport_be = htons((uint16_t)(1024 + gen_below(&r, 60000)));
		}
	}
}

/* ---- loading ------------------------------------------------------------------------------- */

static int map_flows(struct bench_subject *s, struct pol_err *e)
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

/*
 * A datapath.h of our own in front of the templates': sizes, the real one, and the programs
 * to measure.
 */
static int wrap_templates(const struct bench_subject *s, const struct bench_paths *paths,
			  char *path, size_t path_size, struct pol_err *e)
{
	struct pol_buf text = { 0 };
	char templates[PATH_MAX], programs[PATH_MAX];
	int r;

	if (!realpath(s->templates, templates) || !realpath(paths->programs, programs))
		return pol_err(e, -errno, "%s or %s: %s", s->templates, paths->programs,
			       strerror(errno));
	if (s->buckets)
		pol_buf_printf(&text, "#define POL_CT_BUCKETS %uu\n", s->buckets);
	pol_buf_printf(&text,
		       "#define BENCH_FLOWS %uu\n#define BENCH_ENDPOINTS %uu\n"
		       "#include \"%s/datapath.h\"\n#include \"%s/bench.bpf.h\"\n",
		       s->nflows, s->endpoints, templates, programs);
	snprintf(path, path_size, "%s/datapath.h", paths->scratch_dir);
	r = pol_write_file(path, text.p, text.n, e);
	pol_buf_free(&text);
	return r;
}

static int compile(struct bench_subject *s, const struct bench_paths *paths, uint64_t seed,
		   struct pol_err *e)
{
	struct build_paths build = { paths->clang, paths->scratch_dir, paths->include,
				     paths->scratch_dir };
	struct pol_buf text = { 0 }, messages = { 0 };
	char wrapper[PATH_MAX] = "";
	int r = wrap_templates(s, paths, wrapper, sizeof(wrapper), e);

	bench_policy(s->size, seed, &text, NULL, NULL, &s->prefixes);
	if (!r) {
		r = build_policy(&s->build, text.p, &build, &messages, e);
		if (r && messages.n)
			pol_err(e, r, "%s", messages.p);
	}
	unlink(wrapper);
	pol_buf_free(&text);
	pol_buf_free(&messages);
	return r;
}

int bench_load(struct bench_subject *s, struct kernel *k, const struct bench_paths *paths,
	       uint64_t number, uint64_t seed, struct pol_err *e)
{
	int r = compile(s, paths, seed, e);

	s->k = k;
	if (!r)
		r = place(s, e);
	if (!r)
		r = generation_load(k, s->build.object, s->build.place, number, &s->g, e);
	for (unsigned i = 0; i < 2 * s->endpoints && !r; i++)
		if (fill_endpoint(s, k, i))
			r = pol_err(e, -errno, "cannot fill the maps: %s", strerror(errno));
	if (!r)
		r = map_flows(s, e);
	if (!r)
		make_flows(s, seed);
	return r;
}

/* ---- measuring --------------------------------------------------------------------------------- */

/* A frame of the family; bench.bpf.h fills in addresses, ports and protocol. */
static void make_frame(struct frame *f, unsigned family, bool first)
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

/* Every flow is answered; returns how many there are. */
static unsigned establish(struct kernel *k)
{
	size_t n;
	struct pol_ct_bucket *b = kernel_flows(k, &n);
	unsigned live = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned w = 0; w < POL_CT_WAYS; w++) {
			struct pol_ct_entry *e = &b[i].entry[w];

			if (!(b[i].tag[w] & POL_TAG_USED))
				continue;
			live++;
			e->state = e->proto == 6 ? POL_CT_ESTABLISHED : POL_CT_REPLYING;
			e->flags |= POL_CT_REPLIED;
		}
	return live;
}

/* One packet of `times`, ns; negative: errno. */
static double run(struct bench_subject *s, enum bench_step step, unsigned f, unsigned times)
{
	struct __sk_buff ctx = { .ifindex = kernel_uplink(s->k),
				 .ingress_ifindex = kernel_uplink(s->k) };
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame.b, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = (int)times);
	struct bpf_program *p =
		bpf_object__find_program_by_name(generation_object(s->g), step_programs[step]);

	make_frame(&frame, bench_families[f], step != ESTABLISHED);
	o.data_size_in = (uint32_t)frame.n;
	if (!p || bpf_prog_test_run_opts(bpf_program__fd(p), &o))
		return -1;
	return (double)o.duration;
}

/* Once more; false: errno. */
static bool run_counted(struct bench_core_runs *runs, struct bench_subject *s, enum bench_step step,
			unsigned f, unsigned times)
{
	double ns;

	bench_core_begin(runs);
	ns = run(s, step, f, times);
	if (ns < 0)
		return false;
	bench_core_took(runs, ns);
	return true;
}

/* ns of a packet; negative: errno. */
static double run_often(struct bench_subject *s, enum bench_step step, unsigned f)
{
	static struct bench_core_runs runs;

	runs = (struct bench_core_runs){ .wanted = RUNS };
	while (bench_core_more(&runs))
		if (!run_counted(&runs, s, step, f, RUN))
			return -1;
	return bench_core_mean(&runs);
}

/*
 * All flows, once each.  After each eighth the others answer, as they would: a table in which all
 * are half open is one that the quotas defend.
 */
static double run_new(struct bench_subject *s, unsigned f, unsigned *live)
{
	unsigned part = s->nflows < RUN ? s->nflows : RUN;
	static struct bench_core_runs runs;

	runs = (struct bench_core_runs){ .wanted = s->nflows / part };
	for (unsigned i = 0; i < s->nflows; i += part) {
		if (!run_counted(&runs, s, NEW, f, part))
			return -1;
		if (s->nflows <= 8192 || (i + part) % (s->nflows / 8) == 0)
			*live = establish(s->k);
	}
	return bench_core_mean(&runs);
}

int bench_round(struct bench_subject *s, unsigned f)
{
	unsigned live = s->nflows;

	memcpy(s->live, s->flows[f], s->nflows * sizeof(*s->live));
	kernel_forget_flows(s->k);
	for (int step = 0; step < STEPS; step++) {
		double *ns = &s->ns[f][step];

		*ns = step == NEW ? run_new(s, f, &live) : run_often(s, (enum bench_step)step, f);
		if (*ns < 0)
			return -errno;
		if (live < s->nflows / 10 * 9)
			fprintf(stderr, "note: %u rules, v%u: only %u flows of %u are live\n",
				s->size.rules, bench_families[f], live, s->nflows);
	}
	return 0;
}

/* ---- where things are ------------------------------------------------------------------ */

const char *bench_env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

int bench_paths_open(struct bench_paths *p)
{
	static char dir[256];

	p->clang = bench_env("CLANG", "clang");
	p->include = bench_env("POLC_INCLUDE", "include");
	p->programs = bench_env("POLC_BENCH", "tests/bench");
	p->scratch_dir = dir;
	snprintf(dir, sizeof(dir), "%s/polc-bench.XXXXXX", bench_env("TMPDIR", "/tmp"));
	return mkdtemp(dir) ? 0 : -errno;
}
