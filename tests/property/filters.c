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
 * it is short), the packet and both verdicts.  --self-test falsifies the tables and fails unless
 * that is noticed.
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
#include "filter_gen.h"
#include "runtime/generation/sets.h"

struct options {
	unsigned objects, packets, seconds, copies;
	uint64_t seed;
	long only;
	const char *rules, *list;
	bool self_test;
};

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

/* Set n has place n, as the loader would write; and `scratch` tells which line decided. */
static void set_constants(struct bpf_object *o)
{
	const struct btf *btf = bpf_object__btf(o);
	const struct btf_type *sec =
		btf__type_by_id(btf,
				(uint32_t)btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC));
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
		if (!strcmp(btf__name_by_offset(btf, t->name_off), POL_VAR_EDGE_TRACE))
			now[v->offset] = 1;
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
	set_constants(l->o);
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
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)n,
		    .repeat = 1);
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
		for (unsigned i = fgen_below(60); i > 0; i--) {
			one.n = 0;
			fgen_prefix(&one);
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

	return p.addr.family == ip.family &&
	       (!p.len || x >> (width - p.len) == y >> (width - p.len));
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
	const prt_prefixes *of = &added[fgen_below((unsigned)ir->dynamics.n)];
	struct pol_prefix p;

	if (!of->n)
		return;
	p = of->v[fgen_random() % of->n];
	if (p.addr.family != ip->family)
		return;
	*ip = p.addr;
	if (ip->family == 4 && p.len && !fgen_below(2))
		ip->lo += (1ull << (32 - p.len)) - fgen_below(2);
	else if (ip->family == 6 && p.len > 64 && !fgen_below(2))
		ip->lo += (1ull << (128 - p.len)) - fgen_below(2);
	else if (ip->family == 6 && p.len && p.len < 64 && !fgen_below(2))
		ip->hi += (1ull << (64 - p.len)) - fgen_below(2);
	else
		ip->lo -= !fgen_below(3);
	ip->lo &= ip->family == 4 ? 0xffffffff : ~0ull;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static uint64_t total, differences;
static bool silent;

static void report(const struct pol_ir_filter *f, const char *text, const struct pol_eval_packet *p,
		   int got, uint32_t rule, const struct pol_eval_filter *want)
{
	char src[POL_IP_TEXT], dst[POL_IP_TEXT];

	differences++;
	if (differences > 5 || silent)
		return;
	if (strlen(text) < 6000)
		printf("%s", text);
	printf("%s -> %s proto %u sport %u value %u flags 0x%x: program %s by rule %u, evaluator %s by %u (%.*s)\n",
	       pol_ip_format(p->src, src), pol_ip_format(p->dst, dst), p->proto, p->sport, p->value,
	       p->tcp_flags,
	       got == 2   ? "passes"
	       : got == 1 ? "drops"
			  : "?",
	       rule, want->action == POL_FILTER_PASS ? "passes" : "drops", f->line[want->line].rule,
	       POL_STR_ARG(f->line[want->line].text));
}

static int compare(const struct build *b, const char *text, struct loaded *l, unsigned filter,
		   unsigned packets, struct pol_err *e)
{
	const struct pol_ir_filter *f = &b->ir->filters.v[filter];
	struct pol_if uplink = {
		.kind = POL_IF_UPLINK, .flags = POL_IF_XDP, .ifindex = LO, .filters = 1ull << filter
	};

	if (bpf_map_update_elem(l->near, &(uint32_t){ LO % POL_IF_NEAR }, &uplink, BPF_ANY))
		return pol_err(e, -errno, "cannot write if_near");
	for (unsigned i = 0; i < packets; i++) {
		struct pol_eval_packet p;
		struct pol_eval_filter want;
		uint32_t rule = 0;
		uint8_t frame[FGEN_FRAME];
		int got;

		fgen_packet(b->ir, f, &p);
		if (b->ir->dynamics.n && !fgen_below(2))
			near_added(b->ir, !fgen_below(2) ? &p.src : &p.dst);
		p.dynamic_src = in_sets(b->ir, p.src);
		p.dynamic_dst = in_sets(b->ir, p.dst);
		pol_eval_filter(b->ir, f, &p, &want);
		got = ask(l, frame, fgen_frame(&p, true, frame), &rule, e);
		if (got < 0)
			return got;
		total++;
		if (got != (want.action == POL_FILTER_PASS ? 2 : 1) ||
		    rule != f->line[want.line].rule)
			report(f, text, &p, got, rule, &want);
	}
	return 0;
}

static int one(const struct options *o, const char *text, const struct build_paths *paths,
	       bool wrong, struct pol_err *e)
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
		fgen_state = o->seed * 1000003 + i;
		fgen_filters(&text);
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

	fgen_state = 7;
	fgen_filters(&text);
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
	fprintf(stderr,
		"usage: filters [--objects N] [--packets N] [--seed S] [--only I] [--seconds T] "
		"[--rules FILE] [--copies N] [--list FILE] [--self-test]\n");
	exit(2);
}

static void options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "objects", 1, NULL, 'f' },   { "packets", 1, NULL, 'p' },
		{ "seed", 1, NULL, 's' },      { "only", 1, NULL, 'o' },
		{ "seconds", 1, NULL, 't' },   { "rules", 1, NULL, 'r' },
		{ "copies", 1, NULL, 'c' },    { "list", 1, NULL, 'l' },
		{ "self-test", 0, NULL, 'x' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->objects = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'p':
			o->packets = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			o->only = strtol(optarg, NULL, 0);
			break;
		case 't':
			o->seconds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o->rules = optarg;
			break;
		case 'c':
			o->copies = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'l':
			o->list = optarg;
			break;
		case 'x':
			o->self_test = true;
			break;
		default:
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.objects = 4, .packets = 500, .copies = 1, .only = -1, .seed = (uint64_t)time(NULL)
	};
	const char *tmp = getenv("TMPDIR");
	struct pol_buf text = { 0 };
	struct pol_err e = { 0 };
	char dir[256];
	struct build_paths paths = { .clang = getenv("CLANG") ? getenv("CLANG") : "clang",
				     .templates = getenv("POLC_TEMPLATES"),
				     .include = getenv("POLC_INCLUDE"),
				     .scratch_dir = dir };
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
	fgen_state = o.seed;
	if (o.self_test)
		r = self_test(&o, &paths, &e);
	else if (o.rules)
		r = fgen_rules(&text, o.rules, o.copies, UINT32_MAX, &e);
	else if (o.list)
		r = fgen_list(&text, o.list, &e);
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
