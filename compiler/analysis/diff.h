/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flows on which two policies differ, grouped by the rules that decide
 * them.  Exact, for every label set and address.
 */
#ifndef POLC_DIFF_H
#define POLC_DIFF_H

#include "compiler/analysis/packets.h"
#include "compiler/analysis/requests.h"
#include "compiler/analysis/space.h"

enum pol_change_kind {
	POL_CHANGE_WIDENED,	/* now allowed */
	POL_CHANGE_NARROWED,	/* no longer allowed */
	POL_CHANGE_ANSWER,	/* denied before and after; once silently, once with an answer */
	POL_CHANGE_KINDS,
};

struct pol_change {
	enum pol_change_kind kind;
	enum pol_direction dir;	/* of both rules */
	uint32_t rule[2];	/* that decide in the old and the new policy */
	enum pol_action action[2];
	struct pol_point flow;	/* one of them, as the old policy sees it */
	struct pol_request_witness request; /* method.p: only requests change, this one among them */
};

/* Of a service: NULL where a policy has none of the name. */
struct pol_service_change {
	const struct pol_ir_service *side[2];
};

/* Of a filter: NULL where a policy has none of the name. */
struct pol_filter_change {
	const struct pol_ir_filter *side[2];
	bool interfaces;	/* it is on others */
	bool widened, narrowed;	/* as a whole: it is gone, or new, for some interface */
	size_t npackets[POL_CHANGE_KINDS]; /* of `packets`, by kind */
	bool undecided;		/* the bound on steps ended it: more may change */
};

/* Packets that both policies' filter of a name treats differently: by these lines, this one among them. */
struct pol_packet_change {
	size_t filter;		/* in `filters` */
	enum pol_change_kind kind; /* ANSWER: passed before and after, by other limits */
	uint32_t line[2];
	struct pol_packets packet;
};

struct pol_diff {
	POL_VEC(struct pol_change) changes;
	POL_VEC(struct pol_service_change) services; /* what balances differs, whatever is allowed */
	POL_VEC(struct pol_filter_change) filters;
	POL_VEC(struct pol_packet_change) packets; /* by filter */
	bool undecided;		/* the bound on steps ended it: more may change */
	bool requests;		/* likewise of requests on flows that both allow */
	struct pol_space space;
};

/* ir: old, new. steps 0: the usual bound. */
void pol_diff_find(struct pol_diff *out, const struct pol_ir *const ir[2], struct pol_arena *a,
		   uint64_t steps);
void pol_diff_free(struct pol_diff *d);
/* Of flows and of filters: */
bool pol_diff_any(const struct pol_diff *d, enum pol_change_kind kind);
bool pol_diff_unclear(const struct pol_diff *d);
size_t pol_diff_count(const struct pol_diff *d, enum pol_change_kind kind);
/* Text, or one JSON object on one line. */
void pol_diff_print(const struct pol_diff *d, bool json, struct pol_buf *out);

#endif
