/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The little world of the packet cases: devices, endpoints, and two generations of
 * the fixture that share their maps as the loader's do.
 */
#ifndef POL_PACKET_WORLD_H
#define POL_PACKET_WORLD_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <polc/abi.h>

#include "packet.h"

#define WORLD_GENS 2

struct place {
	const char *name, *device;
	unsigned char mac[6];
	int has_mac;
	unsigned ep;		/* 0: no endpoint */
	unsigned ifindex, peer;
};

struct world {
	struct bpf_object *obj[WORLD_GENS];
	int gen;		/* index of the one in force */
	int prog[WORLD_GENS][POL_HOOK_MAX];
	int cpu;
	int sock;		/* AF_PACKET: for frames that BPF_PROG_TEST_RUN refuses */
	struct ring_buffer *ring;
	unsigned events[POL_EVENT_KINDS];	/* by enum pol_event_kind, since the last run */
	struct pol_event last;
};

struct shot {			/* one packet through one program */
	enum pol_hook hook;
	unsigned ifindex, iif, mark, gso_segs, gso_size, vlan;
	unsigned judged_for;	/* in: tc_index, in an endpoint's number; out: what the judge says */
	struct packet in, out;
	int verdict;
	unsigned mark_out;
	struct pol_scratch scratch;
	unsigned long long dropped[POL_REASON_MAX]; /* counters that moved */
};

struct place *world_place(const char *name);
/* 0; or -errno where this machine cannot (the reason is on stderr). */
int world_open(struct world *w, const char *object);
void world_reset(struct world *w);
int world_state(struct world *w, unsigned ep, const struct pol_ep_state *state);
/* Everything in the connection table becomes that much older. */
void world_age(struct world *w, unsigned seconds);
/*
 * Frames that BPF_PROG_TEST_RUN refuses (an ethertype of IP, but shorter than its
 * header) are sent for real, through the first generation's programs at the devices.
 * -EINVAL: shorter than Ethernet's header, nothing delivers that.
 */
int world_shoot(struct world *w, struct shot *s);
int world_map(struct world *w, const char *name);

#endif
