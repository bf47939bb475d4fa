/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames for a balancer, and what stands around it; see services.sh.
 *
 *	balance hold OBJECT DEVICE drop|forward [TO-DEVICE FROM-MAC TO-MAC]
 *			a program at XDP of DEVICE that does no more than that; says "ready", until killed
 *	balance take DEVICE
 *			a veth without a program takes what XDP sends from its peer: GRO
 *	balance sink OBJECT DEVICE
 *			what comes in there is dropped; says "ready", and to each line on standard
 *			input how many there were. From "xdp" on they are dropped at XDP, which takes
 *			frames as they are; from "stack" on behind it, at TC
 *	balance run OBJECT DEVICE FROM-MAC TO-MAC VIP FLOWS COUNT [first]
 *			COUNT UDP packets of 60 bytes, 80 to a VIP of IPv6, to its port 80, in frames that no skb was made of
 *			(BPF_F_TEST_XDP_LIVE_FRAMES), over DEVICE; prints ns a packet, by the wall clock, of
 *			those that went while the core was ours (core.h): all of their way is walked on this CPU, behind each
 *			batch of 64. first: none was sent before, so with many more flows than packets each is
 *			the first of its flow
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define LO 1
#define RUN 512u /* packets between two looks at the core */

struct constants { /* `set` of balance.bpf.c, its .rodata */
	uint8_t from[6], to[6];
	uint32_t device, flows;
	uint32_t vip_be[4]; /* of IPv4 the first */
};

static int fail(const char *what, int code)
{
	fprintf(stderr, "balance: %s: %s\n", what, strerror(code < 0 ? -code : errno));
	return 1;
}

static int ready(void)
{
	puts("ready");
	fflush(stdout);
	return 0;
}

static bool read_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6;
}

static struct bpf_object *load(const char *path, const struct constants *c)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_map *m;

	if (!o)
		return NULL;
	bpf_object__for_each_map(m, o)
	{
		size_t n;

		if (strstr(bpf_map__name(m), ".rodata") && bpf_map__initial_value(m, &n) &&
		    (n < sizeof(*c) || bpf_map__set_initial_value(m, c, n)))
			return NULL;
	}
	return bpf_object__load(o) ? NULL : o;
}

static int program(struct bpf_object *o, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(o, name);

	return p ? bpf_program__fd(p) : -1;
}

static int hold(char **arg, const struct constants *c)
{
	struct bpf_object *o = load(arg[0], c);
	struct bpf_program *p = o ? bpf_object__find_program_by_name(o, arg[2]) : NULL;

	/* gone with this process */
	if (!p || !bpf_program__attach_xdp(p, (int)if_nametoindex(arg[1])))
		return fail(arg[1], 0);
	ready();
	for (;;)
		pause();
}

static int take(const char *device)
{
	struct ethtool_value v = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	r.ifr_data = (void *)&v;
	return fd < 0 || ioctl(fd, SIOCETHTOOL, &r) ? fail(device, 0) : 0;
}

/* .bss is `counts`. */
static uint64_t arrived(struct bpf_object *o)
{
	int fd = bpf_object__find_map_fd_by_name(o, ".bss");
	uint64_t bss[2] = { 0 };

	return fd < 0 || bpf_map_lookup_elem(fd, &(uint32_t){ 0 }, bss) ? 0 : bss[1];
}

static int sink(char **arg)
{
	struct constants none = { 0 };
	struct bpf_object *o = load(arg[0], &none);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(arg[1]),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = o ? program(o, "sink") : -1, .handle = 1,
		    .priority = 1);
	struct bpf_link *at_xdp = NULL;
	char line[16];
	int r = o ? bpf_tc_hook_create(&hook) : -EINVAL;

	r = r ? r : bpf_tc_attach(&hook, &opts);
	if (r)
		return fail(arg[1], r);
	ready();
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "xdp\n") && !at_xdp)
			at_xdp = bpf_program__attach_xdp(
				bpf_object__find_program_by_name(o, "swallow"), hook.ifindex);
		if (!strcmp(line, "stack\n")) {
			bpf_link__destroy(at_xdp);
			at_xdp = NULL;
		}
		printf("%llu\n", (unsigned long long)arrived(o));
		fflush(stdout);
	}
	return 0;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* So many frames; ns of each by the clock, or negative. */
static double send_frames(int generate, struct bpf_test_run_opts *o, uint32_t count)
{
	double ns;

	o->repeat = (int)count;
	ns = now_ns();
	return bpf_prog_test_run_opts(generate, o) ? -1 : (now_ns() - ns) / count;
}

/* All of COUNT are sent; those count that were sent on a core of ours. */
static double send_in_runs(int generate, struct bpf_test_run_opts *o, uint32_t count)
{
	static struct bench_core_runs runs;

	runs = (struct bench_core_runs){ .wanted = count / RUN };
	for (uint32_t i = 0; i < runs.wanted; i++) {
		double ns;

		bench_core_begin(&runs);
		ns = send_frames(generate, o, RUN);
		if (ns < 0)
			return ns;
		bench_core_took(&runs, ns);
	}
	return bench_core_mean(&runs);
}

static int run(char **arg, bool first, struct constants *c)
{
	uint32_t count = (uint32_t)strtoul(arg[6], NULL, 0);
	bool v6 = strchr(arg[4], ':');
	uint8_t frame[80] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = v6 ? 80 : 60,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	struct bpf_object *o;
	double ns;
	int generate;

	c->flows = (uint32_t)strtoul(arg[5], NULL, 0);
	if (count < RUN || !c->flows || c->flows & (c->flows - 1) ||
	    inet_pton(v6 ? AF_INET6 : AF_INET, arg[4], c->vip_be) != 1)
		return -1;
	o = load(arg[0], c);
	if (!o)
		return fail(arg[0], 0);
	generate = program(o, v6 ? "generate6" : "generate");
	/* what hangs somewhere is run without a grace period each time */
	if (bpf_xdp_attach(LO, generate, XDP_FLAGS_SKB_MODE, NULL))
		return fail("lo", 0);
	bench_core_take(2);
	/* each flow once before, so that none of the measured packets is a first one; or just the frames */
	ns = send_frames(generate, &opts, first ? 64 : 4 * c->flows);
	ns = ns < 0 ? ns : send_in_runs(generate, &opts, count);
	bpf_xdp_detach(LO, XDP_FLAGS_SKB_MODE, NULL);
	if (ns < 0)
		return fail("run", 0);
	printf("%.1f\n", ns);
	return 0;
}

int main(int argc, char **argv)
{
	struct constants c = { 0 };
	const char *verb = argc > 2 ? argv[1] : "";
	bool first = argc == 10 && !strcmp(argv[9], "first");
	int r = -1;

	argc -= first;
	if (argc == 3 && !strcmp(verb, "take"))
		r = take(argv[2]);
	if (argc == 4 && !strcmp(verb, "sink"))
		r = sink(argv + 2);
	if (argc == 5 && !strcmp(verb, "hold"))
		r = hold(argv + 2, &c);
	c.device = argc == 8 ? if_nametoindex(argv[5]) : argc == 9 ? if_nametoindex(argv[3]) : 0;
	if (argc == 8 && !strcmp(verb, "hold") && read_mac(argv[6], c.from) &&
	    read_mac(argv[7], c.to) && c.device)
		r = hold(argv + 2, &c);
	if (argc == 9 && !strcmp(verb, "run") && read_mac(argv[4], c.from) &&
	    read_mac(argv[5], c.to) && c.device)
		r = run(argv + 2, first, &c);
	if (r < 0)
		fputs("usage: balance hold OBJECT DEVICE drop|forward [TO-DEVICE MAC MAC]\n"
		      "       balance take DEVICE\n"
		      "       balance sink OBJECT DEVICE\n"
		      "       balance run OBJECT DEVICE MAC MAC VIP FLOWS COUNT [first]\n",
		      stderr);
	return r < 0 ? 2 : r;
}
