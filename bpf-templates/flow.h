/* SPDX-License-Identifier: GPL-2.0-only */
/* From a parsed packet to a reason: live flow, or the policy. */
#ifndef POL_BPF_FLOW_H
#define POL_BPF_FLOW_H

/* Is this flow's entry the word of the endpoint at hand, and of this generation? */
static __always_inline int pol_ct_current(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	return e->gen == (__u32)pol_generation && (e->ep == p->ep || e->flags & POL_CT_LOCAL);
}

static __always_inline int pol_ct_reply(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	return p->key.flipped != (e->flags & POL_CT_FLIPPED);
}

static __always_inline void pol_from_state(struct pol_pkt *p, const struct pol_ct_entry *e)
{
	p->rule[POL_INGRESS] = e->rule[POL_INGRESS];
	p->rule[POL_EGRESS] = e->rule[POL_EGRESS];
	p->local = e->flags & POL_CT_LOCAL;
	p->direction = e->rule[POL_INGRESS] == POL_NO_RULE ? POL_EGRESS : POL_INGRESS;
	p->action = POL_ALLOW;
	p->from_state = 1;
}

/* What an allowed new flow does to the connection table. */
enum pol_track { POL_TRACK_NOT, POL_TRACK_NEW, POL_TRACK_REPLACE };

/* Judged as a new connection; counted, charged, reported, entered. */
static __always_inline int pol_flow_open(struct __sk_buff *skb, struct pol_pkt *p,
					 enum pol_track track)
{
	int reason = pol_judge(skb, p);

	if (reason)
		return reason;
#if POL_LIMITS_LEN
	if (pol_limited(p)) {
		reason = pol_limit_take(p);
		if (reason)
			return reason;
	}
#endif
	if (track == POL_TRACK_REPLACE)
		pol_ct_remove(p->slot, &p->key);
	if (track != POL_TRACK_NOT) {
		reason = pol_ct_insert(p);
		if (reason)
			return reason;
	}
	p->is_new = 1;
#if POL_USES_LOG
	if (p->flags & POL_VF_LOG)
		pol_event(skb, p, POL_EVENT_NEW, p->rule[p->direction & 1]);
#endif
#if POL_USES_AUDIT
	if (p->audit_rule != POL_NO_RULE)
		pol_event(skb, p, POL_EVENT_AUDIT, p->audit_rule);
#endif
	return 0;
}

/* May this packet begin a flow? */
static __always_inline int pol_flow_begin(struct __sk_buff *skb, struct pol_pkt *p)
{
	if (p->msg == POL_MSG_ANSWER)
		return POL_REASON_CT_STATE;
	if (p->proto == IPPROTO_TCP &&
	    (p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK)) != POL_TCP_SYN)
		return POL_REASON_CT_STATE;
	return pol_flow_open(skb, p, POL_TRACK_NEW);
}

/* After an apply, or at a hook whose endpoint was not asked yet. */
static __always_inline int pol_flow_again(struct __sk_buff *skb, struct pol_pkt *p,
					  struct pol_ct_entry *e, int reply)
{
	__u8 host = p->from_host, type = p->type, flags;
	int reason;

	p->rev = reply;
	p->from_host = !!(e->flags & POL_CT_HOST);
	p->type = e->icmp_type;
	reason = pol_judge(skb, p);
	p->rev = 0;
	p->from_host = host;
	p->type = type;
	if (reason) {
		pol_ct_remove(p->slot, &p->key);
		return reason;
	}
	flags = e->flags & ~POL_CT_LOCAL;
	e->flags = flags | (p->local ? POL_CT_LOCAL : 0);
	e->rule[POL_INGRESS] = p->rule[POL_INGRESS];
	e->rule[POL_EGRESS] = p->rule[POL_EGRESS];
	e->ep = p->judged_ep[POL_EGRESS] ?: p->judged_ep[POL_INGRESS];
	e->gen = (__u32)pol_generation;
	return 0;
}

static __always_inline enum pol_step pol_other_step(struct pol_tcp *c, const struct pol_pkt *p,
						    const struct pol_ct_entry *e, int reply)
{
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		if (p->msg == POL_MSG_ANSWER &&
		    (!reply || p->type != pol_icmp_answer(e->icmp_type, p->v6)))
			return POL_STEP_DROP;
		if (p->msg == POL_MSG_PLAIN && (reply || p->type != e->icmp_type))
			return POL_STEP_OPEN;
	}
	if (reply) {
		c->state = POL_CT_REPLYING;
		c->flags |= POL_CT_REPLIED;
	}
	return POL_STEP_PASS;
}

/* A SYN from the other side of a live flow: allowed by itself, or not at all. */
static __always_inline int pol_flow_cross(struct __sk_buff *skb, struct pol_pkt *p,
					  struct pol_tcp *c)
{
	int reason = pol_flow_open(skb, p, POL_TRACK_NOT);

	if (!reason && c->state == POL_CT_SYN_SENT) {
		c->state = POL_CT_SYN_RECV;
		c->flags |= POL_CT_SIMUL | POL_CT_REPLIED;
	}
	return reason;
}

static __always_inline void pol_ct_store(struct pol_ct_entry *e, const struct pol_tcp *c, __u32 now)
{
	if (e->state != c->state)
		e->state = c->state;
	/* FIN and REPLIED only ever come: or them in, the other direction may do so too */
	if ((e->flags & c->flags) != c->flags)
		e->flags |= c->flags;
	if (e->seen != now)
		e->seen = now;
}

/* A packet whose flow is known. */
static __always_inline int pol_flow_known(struct __sk_buff *skb, struct pol_pkt *p,
					  struct pol_ct_entry *e, __u32 now)
{
	struct pol_tcp c = { .state = e->state, .flags = e->flags };
	int reply = pol_ct_reply(e, p), reason = 0;
	enum pol_step step;

	step = p->proto == IPPROTO_TCP ? pol_tcp_step(&c, p->tcp_flags, reply)
				       : pol_other_step(&c, p, e, reply);
	if (step == POL_STEP_DROP)
		return POL_REASON_CT_STATE;
	if (step == POL_STEP_OPEN)
		return pol_flow_open(skb, p, POL_TRACK_REPLACE);
	if (!pol_ct_current(e, p)) {
		reason = pol_flow_again(skb, p, e, reply);
		if (reason)
			return reason;
		c.flags = (c.flags & ~POL_CT_LOCAL) | (p->local ? POL_CT_LOCAL : 0);
	} else if (step != POL_STEP_CROSS) {
		pol_from_state(p, e);
	}
	if (step == POL_STEP_CROSS)
		reason = pol_flow_cross(skb, p, &c);
	if (!reason)
		pol_ct_store(e, &c, now);
	return reason;
}

/* Everything but the next packet of an established flow. */
__noinline int pol_flow_slow(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_ct_bucket *b;
	__u32 way, now;

	if (!p)
		return POL_REASON_INTERNAL;
	if (p->msg == POL_MSG_ALONE || p->group)
		return pol_flow_open(skb, p, POL_TRACK_NOT);
	if (!p->slot)
		return pol_flow_begin(skb, p);
	now = p->now;
	b = pol_ct_slot(p->slot, &way);
	if (!b)
		return POL_REASON_INTERNAL;
	if (!pol_ct_same(&b->entry[way], &p->key)) /* it went between finding and here */
		return pol_flow_begin(skb, p);
	if (pol_ct_expired(&b->entry[way], now)) {
		pol_ct_remove(p->slot, &p->key);
		return pol_flow_begin(skb, p);
	}
	return pol_flow_known(skb, p, &b->entry[way], now);
}

/* Nothing to decide: established, of this generation, and no flag that matters. */
static __always_inline int pol_flow_settled(const struct pol_ct_entry *e, const struct pol_pkt *p,
					    __u32 now)
{
	__u8 change = POL_TCP_SYN | POL_TCP_FIN | POL_TCP_RST;

	if (!pol_ct_current(e, p) || pol_ct_expired(e, now))
		return 0;
	if (p->proto == IPPROTO_TCP)
		return e->state == POL_CT_ESTABLISHED && !(p->tcp_flags & change);
	return p->proto == IPPROTO_UDP &&
	       (e->state == POL_CT_REPLYING || !pol_ct_reply(e, p));
}

/* Neither fragment nor error nor to a group: what a connection is made of. */
static __always_inline int pol_flow_tracked(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u32 now = p->now;
	struct pol_ct_entry *e;
	__u64 *at, tag;

	pol_ct_key_set(&p->key, &p->src, &p->dst, p->sport_be, p->dport_be, p->proto);
	e = pol_ct_find(p, &at, &tag);
	if (!e || pol_unlikely(!pol_flow_settled(e, p, now)))
		return pol_flow_slow(skb, p);
	pol_from_state(p, e);
	/* what was read was this flow's only if the slot has not changed hands */
	if (pol_unlikely(*(volatile __u64 *)at != tag))
		return POL_REASON_INTERNAL;
	if (e->seen != now)
		e->seen = now;
	return 0;
}

/* A reason; 0: it passes. */
static __always_inline int pol_flow(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (pol_unlikely(p->frag == POL_FRAG_LATER))
		return pol_frag_later(p);
	if (pol_unlikely(p->msg == POL_MSG_ERROR))
		reason = pol_icmp_error(skb, p);
	else if (pol_unlikely(p->msg == POL_MSG_ALONE || p->group))
		reason = pol_flow_slow(skb, p);
	else
		reason = pol_flow_tracked(skb, p);
	return pol_likely(!p->frag) ? reason : pol_frag_first(p, reason);
}

#endif
