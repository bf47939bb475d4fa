/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nanoseconds per packet of filters at XDP, by BPF_PROG_TEST_RUN over a mix of 65,536 packets, half
 * of them at the edges of what the rules name; as lines of lib.sh's CSV on the standard output.
 *
 *	filters [--rounds N] SET[:COPIES[:LINES]]...
 *
 * SET is a five-tuple set of ClassBench.  A program that writes the next packet's headers jumps to
 * what is measured: one that drops (peer `empty`), ours with no filter bound to the uplink
 * (`parse`), and with the filter (`polc`).  All objects are loaded at once and every round runs
 * each.
 *
 * Headers come in two ways, each an experiment.  `filters`: through a ring of 4,096, as a NIC
 * and its driver have frames in flight; it is filled again outside of the time that is taken, and
 * nothing of it is in a cache then.  `filters-streamed`: all 65,536 lie one behind the other, so
 * that 4 MiB go through the caches which no NIC would send there, in place of tables.
 *
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, TMPDIR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/property/build.h"
#include "tests/property/filter_gen.h"
#include "core.h"

#define MIX 65536u
#define RING 4096u
#define PASSES 4u /* of the mix */
#define RUN 1024u /* packets between two looks at the core */
#define FRAME 64u
#define LO 1u

static const char generator[] =
	"#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
	"#define HEADERS(name, n) struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, n);\\\n"
	"__uint(map_flags, BPF_F_MMAPABLE); __uint(key_size, 4); __uint(value_size, 64); } name SEC(\".maps\");\n"
	"HEADERS(mix, 65536)\nHEADERS(ring, 4096)\n"
	"struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1);\n"
	"__uint(key_size, 4); __uint(value_size, 4); } next SEC(\".maps\");\n"
	"static __u32 at;\n"
	"static __always_inline int generate(struct xdp_md *ctx, void *from, __u32 n) {\n"
	"__u64 *d = (void *)(long)ctx->data; __u32 k = at++ & (n - 1);\n"
	"__u64 *h = bpf_map_lookup_elem(from, &k);\n"
	"if (!h || (void *)(d + 8) > (void *)(long)ctx->data_end) return XDP_ABORTED;\n"
	"for (int i = 0; i < 8; i++) d[i] = h[i];\n"
	"bpf_tail_call(ctx, &next, 0); return XDP_ABORTED; }\n"
	"SEC(\"xdp.frags\") int streamed(struct xdp_md *ctx) { return generate(ctx, &mix, 65536); }\n"
	"SEC(\"xdp.frags\") int ringed(struct xdp_md *ctx) { return generate(ctx, &ring, 4096); }\n"
	"SEC(\"xdp.frags\") int empty(struct xdp_md *ctx) { return XDP_DROP; }\n"
	"char LICENSE[] SEC(\"license\") = \"GPL\";\n";

struct subject {
	char name[64];
	struct build b;
	struct bpf_object *o;
	int prog, near;
	uint64_t (*mix)[FRAME / 8];
};

static struct bpf_object *gen;
static int empty, next;
static uint32_t position; /* the generator's, in either way */

/* How headers come: `n` of them lie in `live`. */
static struct feed {
	const char *experiment, *program, *map;
	const char *device;
	uint32_t n;
	int prog;
	uint64_t (*live)[FRAME / 8];
} feeds[] = {
	{ .experiment = "filters",
	  .program = "ringed",
	  .map = "ring",
	  .device = "polc0",
	  .n = RING },
	{ .experiment = "filters-streamed",
	  .program = "streamed",
	  .map = "mix",
	  .device = "polc1",
	  .n = MIX },
};

static int fail(const char *what, int code)
{
	fprintf(stderr, "filters: %s: %s\n", what, strerror(code < 0 ? -code : errno));
	return 1;
}

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

/* An attached program is run without a grace period each time. */
static int open_feed(struct feed *f)
{
	f->prog = bpf_program__fd(bpf_object__find_program_by_name(gen, f->program));
	f->live = mmap(NULL, f->n * FRAME, PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_object__find_map_fd_by_name(gen, f->map), 0);
	if (f->live == MAP_FAILED ||
	    bpf_xdp_attach((int)if_nametoindex(f->device), f->prog, 0, NULL))
		return fail(f->program, 0);
	return 0;
}

static int open_generator(const struct build_paths *p)
{
	char c[300], o[300], command[1200];
	FILE *f;

	if (unshare(CLONE_NEWNET) ||
	    system("ip link add polc0 type veth peer name polc1 && ip link set polc0 up && ip link set polc1 up"))
		return fail("a network namespace", 0);
	snprintf(c, sizeof(c), "%s/gen.c", p->scratch_dir);
	snprintf(o, sizeof(o), "%s/gen.o", p->scratch_dir);
	snprintf(
		command, sizeof(command),
		"%s -O2 -g -mcpu=v3 -target bpf -idirafter /usr/include/$(uname -m)-linux-gnu -c -o %s %s",
		p->clang, o, c);
	f = fopen(c, "w");
	if (!f || fputs(generator, f) < 0 || fclose(f) || system(command))
		return fail("the generator", 0);
	gen = bpf_object__open(o);
	if (!gen || bpf_object__load(gen))
		return fail("the generator", 0);
	empty = bpf_program__fd(bpf_object__find_program_by_name(gen, "empty"));
	next = bpf_object__find_map_fd_by_name(gen, "next");
	unlink(c);
	unlink(o);
	for (unsigned i = 0; i < POL_ARRAY_LEN(feeds); i++)
		if (open_feed(&feeds[i]))
			return 1;
	return 0;
}

/* Only IPv4 fits the table: eight doubles hold an Ethernet, an IPv4 and a TCP header. */
static void make_mix(struct subject *s)
{
	const struct pol_ir_filter *f = &s->b.ir->filters.v[0];

	s->mix = aligned_alloc(FRAME, MIX * FRAME);
	if (!s->mix)
		abort();
	for (uint32_t i = 0; i < MIX;) {
		struct pol_eval_packet p;
		uint8_t frame[FGEN_FRAME];

		fgen_packet(s->b.ir, f, &p);
		if (p.src.family != 4)
			continue;
		if (i & 1) { /* and whatever comes along */
			p.src.lo = (uint32_t)fgen_random();
			p.dst.lo = (uint32_t)fgen_random();
		}
		fgen_frame(&p, false, frame);
		memcpy(s->mix[i++], frame, FRAME);
	}
}

static int load(struct subject *s)
{
	struct bpf_program *p;

	s->o = bpf_object__open_mem(s->b.object->data, s->b.object->size, NULL);
	if (!s->o)
		return fail(s->name, 0);
	bpf_object__for_each_program(p, s->o)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), POL_PROG_XDP));
	if (bpf_object__load(s->o))
		return fail(s->name, 0);
	s->prog = bpf_program__fd(bpf_object__find_program_by_name(s->o, POL_PROG_XDP));
	s->near = bpf_object__find_map_fd_by_name(s->o, POL_MAP_IF_NEAR);
	return 0;
}

static int prepare(struct subject *s, const char *arg, const struct build_paths *paths)
{
	unsigned copies = 1, lines = UINT32_MAX;
	struct pol_buf text = { 0 }, messages = { 0 };
	struct pol_err e = { 0 };
	char path[256];
	int r;

	if (sscanf(arg, "%255[^:]:%u:%u", path, &copies, &lines) < 1)
		return fail(arg, -EINVAL);
	r = fgen_rules(&text, path, copies, lines, &e);
	r = r ? r : build_policy(&s->b, text.p, paths, &messages, &e);
	if (r) {
		fprintf(stderr, "%s%s\n", messages.n ? messages.p : "", e.text);
		return fail(arg, r);
	}
	snprintf(s->name, sizeof(s->name), "set=%.40s lines=%zu",
		 strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
		 lines < UINT32_MAX ? (size_t)lines : s->b.ir->filters.v[0].n - 1);
	pol_buf_free(&text);
	make_mix(s);
	return load(s);
}

/* As a device writes: neither what is written is in a cache of the CPU then, nor where it came from. */
static void refill(uint64_t (*ring)[FRAME / 8], const uint64_t (*from)[FRAME / 8], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		memcpy(ring[i], from[i], FRAME);
#ifdef __x86_64__
		_mm_clflush(ring[i]);
		_mm_clflush(from[i]);
#endif
	}
}

/* Returns the nanoseconds that a packet took, or less than 0. */
static double once(const struct feed *f, const struct subject *s, int prog)
{
	uint8_t frame[FRAME] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME,
		    .repeat = RUN);
	static struct bench_core_runs runs;
	int r = bpf_map_update_elem(next, &(uint32_t){ 0 }, &prog, BPF_ANY);

	runs = (struct bench_core_runs){ .wanted = PASSES * MIX / RUN };
	if (f->n == MIX)
		memcpy(f->live, s->mix, MIX * FRAME);
	/* the generator goes on where it was: position 0 when nothing ran before, and all runs are as long */
	for (; !r && bench_core_more(&runs); position += RUN) {
		if (f->n < MIX)
			refill(&f->live[position % f->n], (const void *)&s->mix[position % MIX],
			       RUN);
		bench_core_begin(&runs);
		r = bpf_prog_test_run_opts(f->prog, &opts);
		bench_core_took(&runs, opts.duration);
	}
	return r ? -fail("run", r) : bench_core_mean(&runs);
}

static int measure(const struct feed *f, const struct subject *s, const char *peer, int prog,
		   unsigned round)
{
	double ns = once(f, s, prog);

	if (ns < 0)
		return 1;
	printf("%s,%s,%s,packet,ns,%u,%.1f\n", f->experiment, s->name, peer, round, ns);
	return 0;
}

static int run_round(const struct feed *f, struct subject *s, unsigned round)
{
	struct pol_if uplink = { .kind = POL_IF_UPLINK, .ifindex = LO };
	int r = measure(f, s, "empty", empty, round);

	for (int filter = 0; filter < 2 && !r; filter++) {
		uplink.filters = (uint64_t)filter;
		r = bpf_map_update_elem(s->near, &(uint32_t){ LO }, &uplink, BPF_ANY);
		r = r ? r : measure(f, s, filter ? "polc" : "parse", s->prog, round);
	}
	fflush(stdout);
	return r;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	static struct subject subjects[16];
	unsigned rounds = 11, n = 0;
	char dir[200];
	struct build_paths paths = { .clang = getenv("CLANG") ? getenv("CLANG") : "clang",
				     .templates = getenv("POLC_TEMPLATES"),
				     .include = getenv("POLC_INCLUDE"),
				     .scratch_dir = dir };
	int first = 1, r = 0;

	if (argc > 2 && !strcmp(argv[1], "--rounds")) {
		rounds = (unsigned)strtoul(argv[2], NULL, 0);
		first = 3;
	}
	if (!rounds || argc - first > 16 || argc == first) {
		fprintf(stderr, "usage: filters [--rounds N] SET[:COPIES[:LINES]]...\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/polc-filters-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	libbpf_set_print(silent);
	fgen_state = 1;
	if (!mkdtemp(dir) || open_generator(&paths))
		return 1;
	for (int i = first; i < argc && !r; i++)
		r = prepare(&subjects[n++], argv[i], &paths);
	bench_core_take(240);
	for (unsigned k = 1; k <= rounds && !r; k++)
		for (unsigned i = 0; i < n * POL_ARRAY_LEN(feeds) && !r; i++)
			r = run_round(&feeds[i % POL_ARRAY_LEN(feeds)],
				      &subjects[i / POL_ARRAY_LEN(feeds)], k);
	rmdir(dir);
	return r;
}
