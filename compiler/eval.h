/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference evaluator: what a policy says of one flow, by walking the
 * rules in order.  Slow and obviously right; tables, BPF programs and analyses
 * are checked against it, so it shares no code with the table builder.
 */
#ifndef POLC_EVAL_H
#define POLC_EVAL_H

#include "ir.h"

struct pol_label { struct pol_str key, value; };
struct pol_labels { const struct pol_label *v; size_t n; };	/* any order, unique keys */

bool pol_eval_sel(const struct pol_ir *ir, uint32_t sel, struct pol_labels labels);

/* One end of a flow. */
struct pol_eval_peer {
	uint32_t kind;		/* one bit of enum pol_peer_kind; WORLD and POOL are told apart by
				 * pol_eval_kind where only the address is known */
	struct pol_labels labels;	/* of an endpoint */
	bool has_addr;		/* false: an address that no prefix of the policy names; where all of IPv4
				 * is named, of IPv6; where both are, in no set: ask pol_witness_anywhere */
	struct pol_ip addr;
};

/* WORLD or POOL, for an address that is no endpoint, host or node. */
uint32_t pol_eval_kind(const struct pol_ir *ir, struct pol_ip addr);

bool pol_eval_pred(const struct pol_ir *ir, uint32_t pred, const struct pol_eval_peer *peer);

/* The verdict of one direction of the endpoint with labels `own`. */
struct pol_eval_side {
	enum pol_action action;	/* ALLOW, DENY or REJECT */
	uint32_t rule;		/* deciding rule's id */
	uint32_t audit_rule;	/* what audit policies would deny it by, or POL_NO_RULE */
	bool log;
	uint32_t limit[POL_VERDICT_LIMITS];	/* of all matching allows, ascending */
	size_t nlimits;
	uint16_t http[POL_VERDICT_HTTP];	/* of all matching allows: indices into pol_ir.https, ascending */
	size_t nhttp;
	bool plain;		/* a matching allow has no http block: only deny lines count */
};
void pol_eval_side(const struct pol_ir *ir, struct pol_labels own, enum pol_direction dir,
		   const struct pol_eval_peer *peer, uint32_t l4_key, struct pol_eval_side *out);

/* One request on a connection that this side allows. */
struct pol_http_verdict pol_eval_request(const struct pol_ir *ir, const struct pol_eval_side *side,
					 const struct pol_http_request *request);

/*
 * Both sides.  A side whose endpoint lives elsewhere is not judged by this
 * host: `judged` tells which were.  Denied if either denies; egress is asked first.
 */
struct pol_eval_flow {
	bool judged[POL_DIRECTIONS];
	struct pol_eval_side side[POL_DIRECTIONS];
	enum pol_action action;
	enum pol_direction decided_by;	/* the side that `action` comes from */
};
void pol_eval_flow(const struct pol_ir *ir, const struct pol_eval_peer *src, bool src_here,
		   const struct pol_eval_peer *dst, bool dst_here, uint32_t l4_key,
		   struct pol_eval_flow *out);

/* ---- filters (eval_filter.c) ------------------------------------------------------ */

/* A whole packet, or the first fragment of one, as an uplink gets it. */
struct pol_eval_packet {
	struct pol_ip src, dst;		/* of one family */
	uint64_t dynamic_src, dynamic_dst; /* dynamic sets that hold them at run time, bit by number */
	uint8_t proto, tcp_flags;
	uint16_t sport;			/* 0 where the protocol has none */
	uint16_t value;			/* destination port or ICMP type; 0 for other protocols */
};

bool pol_eval_line(const struct pol_ir *ir, const struct pol_filter_line *l,
		   const struct pol_eval_packet *p);

struct pol_eval_filter {
	enum pol_filter_action action;	/* DROP or PASS, if every limit has a token */
	size_t line;			/* that decides; pol_ir_filter.n if none does: checked text has none such */
	uint32_t limited[POL_FILTER_SPECIAL];	/* `limit` lines before it that match, in order */
	size_t nlimits;
};
void pol_eval_filter(const struct pol_ir *ir, const struct pol_ir_filter *f,
		     const struct pol_eval_packet *p, struct pol_eval_filter *out);

#endif
