/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The verdict of a new flow by the maps in force: what the data path would find in them, found
 * in the same order (bpf-templates/judge.h).  Nothing is sent, counted or charged.
 */
#ifndef POLC_RUNTIME_WHY_H
#define POLC_RUNTIME_WHY_H

#include "runtime/generation/gen.h"
#include "runtime/input/object.h"

struct prt_why_flow {
	struct pol_addr src, dst;
	bool from_host;			/* this host sends it, whatever the address */
	uint8_t proto;
	uint16_t port;			/* destination port, or ICMP type */
};

struct prt_why_side {
	bool judged;			/* that end lives here */
	uint32_t ep;
	uint8_t reason;			/* enum pol_reason that this side drops for; 0: it allows */
	bool audited;			/* apply --audit: told, and let pass */
	struct pol_verdict verdict;	/* rule POL_NO_RULE where none was found */
};

struct prt_why {
	/* what happens: of the first side that does not allow, egress before ingress */
	uint8_t reason;
	struct prt_why_side side[POL_DIRECTIONS];
};

/*
 * g: opened with its tables mapped; o: the object that it was loaded from.  -ENOENT without an error
 * text: neither end lives here, so nothing is asked.
 */
int prt_why_judge(const struct prt_gen *g, const struct prt_object *o, const struct prt_why_flow *f,
		  struct prt_why *out, struct pol_err *e);

#endif
