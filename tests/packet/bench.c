// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a packet costs by BPF_PROG_TEST_RUN: lowest mean of many short runs, one warm
 * packet repeated.  A figure to compare two versions by, not a promise; built like
 * run.c, with bench.c in its place:  ./bench fixture.bpf.o
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define ROUNDS 200
#define REPEAT 5000

static const struct {
	const char *name;
	enum pol_hook hook;
	const char *place, *open[3], *answer_place[3], *packet;
	unsigned mark, iif;
} cases[] = {
	{ "empty", POL_HOOK_MAX, "a", {}, {}, "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp", 0, 0 },
	{ "ep_out established tcp4",
	  POL_HOOK_EP_OUT,
	  "a",
	  { "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp flags=S",
	    "eth ipv4 src=10.1.0.2 dst=10.1.0.1 tcp sport=80 dport=1000 flags=SA",
	    "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp flags=A" },
	  { "a", "b", "a" },
	  "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp flags=PA payload=100",
	  0,
	  0 },
	{ "ep_out established tcp6",
	  POL_HOOK_EP_OUT,
	  "a",
	  { "eth ipv6 src=fd00:1::1 dst=fd00:1::2 tcp flags=S",
	    "eth ipv6 src=fd00:1::2 dst=fd00:1::1 tcp sport=80 dport=1000 flags=SA",
	    "eth ipv6 src=fd00:1::1 dst=fd00:1::2 tcp flags=A" },
	  { "a", "b", "a" },
	  "eth ipv6 src=fd00:1::1 dst=fd00:1::2 tcp flags=PA payload=100",
	  0,
	  0 },
	{ "ep_in marked",
	  POL_HOOK_EP_IN,
	  "b",
	  {},
	  {},
	  "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp flags=PA payload=100",
	  0x100,
	  1 },
	{ "uplink_in, not ours",
	  POL_HOOK_UPLINK_IN,
	  "up",
	  {},
	  {},
	  "eth ipv4 src=203.0.113.1 dst=203.0.113.2 tcp flags=PA payload=100",
	  0,
	  0 },
	{ "ep_out policy drop",
	  POL_HOOK_EP_OUT,
	  "a",
	  {},
	  {},
	  "eth ipv4 src=10.1.0.1 dst=10.1.0.2 tcp dport=81 flags=S",
	  0,
	  0 },
	{ "ep_out bad version (parsed no further)",
	  POL_HOOK_EP_OUT,
	  "a",
	  {},
	  {},
	  "eth ipv4 src=10.1.0.1 dst=10.1.0.2 ver=5 tcp dport=81 flags=S",
	  0,
	  0 },
	{ "ep_out group (judged each time)",
	  POL_HOOK_EP_OUT,
	  "a",
	  {},
	  {},
	  "eth ipv4 src=10.1.0.1 dst=224.0.0.5 udp dport=53",
	  0,
	  0 },
};

static int empty_prog(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", insns, 2, NULL);
}

static void prepare(struct world *w, const char *place, const char *text, struct shot *s,
		    enum pol_hook hook)
{
	struct packet_hint hint = { .dst = { 2, 0, 0, 0, 0, 0xfe } };
	char err[128];

	memset(s, 0, sizeof(*s));
	memcpy(hint.src, world_place(place)->mac, 6);
	packet_build(text, &hint, &s->in, err);
	s->hook = hook;
	s->ifindex = s->iif = world_place(place)->ifindex;
	(void)w;
}

static double measure(int prog, struct shot *s)
{
	double best = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		struct __sk_buff ctx = { .mark = s->mark,
					 .ifindex = s->ifindex,
					 .ingress_ifindex = s->iif };
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = s->in.data, .data_size_in = s->in.len,
			    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = REPEAT);

		if (bpf_prog_test_run_opts(prog, &o))
			return -1;
		if (o.duration < best)
			best = o.duration;
	}
	return best;
}

int main(int argc, char **argv)
{
	static struct world w;
	double floor = 0;

	if (argc < 2 || world_open(&w, argv[1]))
		return 77;
	for (size_t i = 0; i < (getenv("BENCH1") ? 2 : sizeof(cases) / sizeof(cases[0])); i++) {
		struct shot s;
		double ns;

		for (int j = 0; j < 3 && cases[i].open[j]; j++) {
			prepare(&w, cases[i].answer_place[j], cases[i].open[j], &s,
				POL_HOOK_EP_OUT);
			world_shoot(&w, &s);
			if (s.verdict)
				printf("# %s: not opened\n", cases[i].name);
		}
		prepare(&w, cases[i].place, cases[i].packet, &s, cases[i].hook);
		s.mark = cases[i].mark;
		ns = measure(cases[i].hook == POL_HOOK_MAX ? empty_prog()
							   : w.prog[0][cases[i].hook],
			     &s);
		if (!i)
			floor = ns;
		printf("%-42s %6.0f ns  (+%.0f)\n", cases[i].name, ns, ns - floor);
	}
	return 0;
}
