/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small world around one host: endpoints here and elsewhere, the host's and the nodes'
 * addresses; and the flows and frames that can be seen from it.
 */
#ifndef POLC_VERIFY_WORLD_H
#define POLC_VERIFY_WORLD_H

#include "compiler/eval.h"
#include "runtime/place/place.h"

#define WORLD_EPS 64		/* endpoints at most */
#define WORLD_LABELS 16		/* of one of them */
#define WORLD_ADDRS 3
#define WORLD_OTHERS 3		/* addresses of the host, and of nodes */

struct world_ep {
	char name[32];
	bool here;
	uint32_t number;			/* endpoint number, from 1 */
	struct pol_label label[WORLD_LABELS];
	size_t nlabels;
	struct pol_ip addr[WORLD_ADDRS];
	size_t naddrs;
};

struct world {
	struct world_ep ep[WORLD_EPS];		/* those here come first */
	size_t nlocal, neps;
	struct pol_ip host[WORLD_OTHERS], node[WORLD_OTHERS];
	size_t nhost, nnode;
};

void world_print(struct pol_buf *out, const struct world *w);

/* The endpoint that owns an address, or NULL. */
const struct world_ep *world_owner(const struct world *w, struct pol_ip ip);
/* Is it an endpoint's, the host's or a node's? */
bool world_known(const struct world *w, struct pol_ip ip);
/* May the address stand in any packet?  Multicast, loopback and unspecified are judged by other rules. */
bool world_ordinary(struct pol_ip ip);
/* What the evaluator is told of an address. */
struct pol_eval_peer world_peer(const struct world *w, const struct pol_ir *ir, struct pol_ip ip);
struct pol_labels world_labels(const struct world_ep *ep);

/*
 * Its endpoints placed in an object as the loader does it, one by one, as `endpoint add`
 * does: later endpoints change the trees of earlier ones.  Free with prt_place_free.
 */
int world_place_all(const struct world *w, const struct prt_object *o, struct prt_place **out,
		    struct pol_err *e);
/* A peer as the placement sees it. */
struct prt_place_peer world_place_peer(const struct world *w, const struct pol_ir *ir,
				       const struct prt_place *p, struct pol_ip ip);

/* ---- flows --------------------------------------------------------------------- */

enum world_place { PLACE_LOCAL, PLACE_HOST, PLACE_ELSEWHERE };	/* who sends, as seen from the hooks */

struct flow {
	struct pol_ip src, dst;
	uint8_t proto;
	uint16_t sport;		/* ICMP: the identifier */
	uint16_t value;		/* destination port, ICMP type, 0 for other protocols */
};

enum world_place world_place(const struct world *w, struct pol_ip ip);
/* Makes it one that rules judge: ICMP of the family, a type that asks, no value where there is none. */
void flow_fit(struct flow *f);
bool flow_tracked(const struct flow *f);	/* has packets that pass because it is known */
uint32_t flow_key(const struct flow *f);	/* POL_L4_KEY */
void flow_print(struct pol_buf *out, const struct flow *f);

/* ---- frames (frame.c) ------------------------------------------------------------ */

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
