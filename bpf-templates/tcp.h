/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a segment does to a connection.  Sequence numbers are not followed; what
 * is kept is that nobody opens, reopens or ends a connection by one packet:
 * only SYN-ACK answers a SYN, a RST only shortens the entry's life, a SYN of the
 * other side is a connection of its own and needs its own rule.  Nor by several that one
 * side sends, or who forges what it sends: what has been answered is used anew when
 * both sides have ended it.  Until then a SYN of who began it is judged and charged as a new
 * connection (RFC 9293, 3.5.1: the other end may have lost it, or never have seen the RST), and
 * the entry lives on.
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

#define POL_CT_FINS (POL_CT_FIN_ORIG | POL_CT_FIN_REPLY)

struct pol_tcp {
	__u8 state, flags;	/* of the entry; changed by the step */
};

static __always_inline enum pol_step pol_tcp_syn(struct pol_tcp *c, int ack, int reply)
{
	int ended = (c->flags & POL_CT_FINS) == POL_CT_FINS;
	int over = c->state == POL_CT_CLOSING || c->state == POL_CT_CLOSED ||
		   c->state == POL_CT_UNREPLIED;

	if (!ack) {
		if (over && (reply || ended || !(c->flags & POL_CT_REPLIED)))
			return POL_STEP_OPEN;
		return reply || over || c->state == POL_CT_ESTABLISHED ? POL_STEP_CROSS :
									POL_STEP_PASS;
	}
	if (!reply)
		return c->flags & POL_CT_SIMUL ? POL_STEP_PASS : POL_STEP_DROP;
	if (c->state == POL_CT_SYN_SENT ||
	    (over && !ended && c->state != POL_CT_UNREPLIED)) {
		c->state = POL_CT_SYN_RECV;
		c->flags |= POL_CT_REPLIED;
		c->flags &= ~POL_CT_FINS;
	}
	return POL_STEP_PASS;
}

/* Neither SYN nor RST: so it has ACK. */
static __always_inline enum pol_step pol_tcp_data(struct pol_tcp *c, int fin, int reply)
{
	/* picked up (flow.h) from who began it: a flow when who answers has spoken */
	if (c->state == POL_CT_UNREPLIED) {
		if (!reply)
			return POL_STEP_PASS;
		c->flags |= POL_CT_REPLIED;
	}
	if (!(c->flags & POL_CT_REPLIED))
		return POL_STEP_DROP;
	if (c->state == POL_CT_CLOSED && (c->flags & POL_CT_FINS) == POL_CT_FINS)
		return POL_STEP_PASS;
	if (c->state == POL_CT_SYN_RECV && reply && !(c->flags & POL_CT_SIMUL) && !fin)
		return POL_STEP_PASS;
	if (fin)
		c->flags |= reply ? POL_CT_FIN_REPLY : POL_CT_FIN_ORIG;
	if ((c->flags & POL_CT_FINS) == POL_CT_FINS && !fin)
		c->state = POL_CT_CLOSED;
	else
		c->state = c->flags & POL_CT_FINS ? POL_CT_CLOSING : POL_CT_ESTABLISHED;
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
