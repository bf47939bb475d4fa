/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small random world around one host: endpoints here and elsewhere, the
 * host's and the nodes' addresses; and the flows that can be seen from it.
 */
#ifndef POLC_TESTS_WORLD_H
#define POLC_TESTS_WORLD_H

#include "../tools/genpolicy.h"
#include "compiler/eval.h"

#define WORLD_LOCAL 6		/* endpoints at most; the harness has a device for each */
#define WORLD_REMOTE 6
#define WORLD_ADDRS 3		/* of one endpoint */
#define WORLD_OTHERS 3		/* addresses of the host, and of nodes */

struct world_ep {
	char name[32];
	bool here;
	uint32_t number;			/* endpoint number, from 1 */
	struct pol_label label[GEN_KEYS];
	size_t nlabels;
	struct pol_ip addr[WORLD_ADDRS];
	size_t naddrs;
};

struct world {
	struct world_ep ep[WORLD_LOCAL + WORLD_REMOTE];	/* those here come first */
	size_t nlocal, neps;
	struct pol_ip host[WORLD_OTHERS], node[WORLD_OTHERS];
	size_t nhost, nnode;
};

void world_random(struct world *w, struct gen_rng *r, const struct gen_policy *p);
/* New labels for everybody, nothing else: what a relabelled host looks like. */
void world_relabel(struct world *w, struct gen_rng *r);
void world_print(struct pol_buf *out, const struct world *w);

/* The endpoint that owns an address, or NULL. */
const struct world_ep *world_owner(const struct world *w, struct pol_ip ip);
bool world_same(struct pol_ip a, struct pol_ip b);
/* May the address stand in any packet?  Multicast, loopback and unspecified are judged by other rules. */
bool world_ordinary(struct pol_ip ip);
/* What the evaluator is told of an address. */
struct pol_eval_peer world_peer(const struct world *w, const struct pol_ir *ir, struct pol_ip ip);
struct pol_labels world_labels(const struct world_ep *ep);

/* ---- flows --------------------------------------------------------------------- */

enum world_place { PLACE_LOCAL, PLACE_HOST, PLACE_ELSEWHERE };	/* who sends, as seen from the hooks */

struct flow {
	struct pol_ip src, dst;
	uint8_t proto;
	uint16_t sport;		/* ICMP: the identifier */
	uint16_t value;		/* destination port, ICMP type, 0 for other protocols */
};

enum world_place world_place(const struct world *w, struct pol_ip ip);

/*
 * A random flow that one of the hooks judges: from a local endpoint to
 * anybody, or from anybody to a local endpoint, at the edges of what the
 * policy names.  `serial` makes it a flow of its own.
 */
struct flow world_flow(const struct world *w, struct gen_rng *r, const struct gen_policy *p,
		       uint32_t serial);
bool flow_tracked(const struct flow *f);	/* has packets that pass because it is known */
uint32_t flow_key(const struct flow *f);	/* POL_L4_KEY */
void flow_print(struct pol_buf *out, const struct flow *f);

/* ---- frames ---------------------------------------------------------------------- */

#define FRAME_MAX 256
struct frame { uint8_t b[FRAME_MAX]; size_t n; };

enum frame_kind {
	FRAME_FIRST,	/* the packet that opens the flow */
	FRAME_ANSWER,	/* the first of the other side */
	FRAME_NEXT,	/* one more of the originator, as in an established flow */
	FRAME_BACK,	/* one more of the other side */
};

bool frame_backward(enum frame_kind kind);
/* `decorated`: with IPv4 options or an IPv6 extension header, which change nothing. */
void frame_build(struct frame *f, const struct flow *flow, enum frame_kind kind, bool decorated,
		 const uint8_t dst_mac[6], const uint8_t src_mac[6]);

#endif
