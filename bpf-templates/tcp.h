/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a segment does to a connection.  Sequence numbers are not followed; what
 * is kept is that nobody opens, reopens or ends a connection by one packet:
 * only SYN-ACK answers a SYN, a RST only shortens the entry's life, a SYN of the
 * other side is a connection of its own and needs its own rule.
 */
#ifndef POL_BPF_TCP_H
#define POL_BPF_TCP_H

#include "transport.h"

enum pol_step {
	POL_STEP_PASS,
	POL_STEP_OPEN,		/* the tuple is used anew: judge as a new flow */
	POL_STEP_CROSS,		/* a SYN against a live flow: judge it by itself */
	POL_STEP_DROP,
};

struct pol_tcp {
	__u8 state, flags;	/* of the entry; changed by the step */
};

static __always_inline enum pol_step pol_tcp_syn(struct pol_tcp *c, int ack, int reply)
{
	int over = c->state == POL_CT_CLOSING || c->state == POL_CT_CLOSED ||
		   c->state == POL_CT_UNREPLIED;

	if (!ack) {
		if (over)
			return POL_STEP_OPEN;
		return reply ? POL_STEP_CROSS : POL_STEP_PASS;
	}
	if (!reply)
		return c->flags & POL_CT_SIMUL ? POL_STEP_PASS : POL_STEP_DROP;
	if (c->state == POL_CT_SYN_SENT) {
		c->state = POL_CT_SYN_RECV;
		c->flags |= POL_CT_REPLIED;
	}
	return POL_STEP_PASS;
}

/* Neither SYN nor RST: so it has ACK. */
static __always_inline enum pol_step pol_tcp_data(struct pol_tcp *c, int fin, int reply)
{
	const __u8 fins = POL_CT_FIN_ORIG | POL_CT_FIN_REPLY;

	/* picked up (flow.h) from who began it: a flow when who answers has spoken */
	if (c->state == POL_CT_UNREPLIED) {
		if (!reply)
			return POL_STEP_PASS;
		c->flags |= POL_CT_REPLIED;
	}
	if (!(c->flags & POL_CT_REPLIED))
		return POL_STEP_DROP;
	if (c->state == POL_CT_CLOSED && (c->flags & fins) == fins)
		return POL_STEP_PASS;
	if (c->state == POL_CT_SYN_RECV && reply && !(c->flags & POL_CT_SIMUL) && !fin)
		return POL_STEP_PASS;
	if (fin)
		c->flags |= reply ? POL_CT_FIN_REPLY : POL_CT_FIN_ORIG;
	if ((c->flags & fins) == fins && !fin)
		c->state = POL_CT_CLOSED;
	else
		c->state = c->flags & fins ? POL_CT_CLOSING : POL_CT_ESTABLISHED;
	return POL_STEP_PASS;
}

static __always_inline enum pol_step pol_tcp_step(struct pol_tcp *c, __u8 tcp, int reply)
{
	if (tcp & POL_TCP_RST) {
		c->state = POL_CT_CLOSED;
		return POL_STEP_PASS;
	}
	if (tcp & POL_TCP_SYN)
		return pol_tcp_syn(c, tcp & POL_TCP_ACK, reply);
	return pol_tcp_data(c, tcp & POL_TCP_FIN, reply);
}

#endif
