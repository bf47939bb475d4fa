/* SPDX-License-Identifier: GPL-2.0-only */
/* From a parsed packet to a reason: live flow, or the policy. */
#ifndef POL_BPF_FLOW_H
#define POL_BPF_FLOW_H

#include "ct_insert.h"
#include "event.h"
#include "frag.h"
#include "icmp.h"
#include "judge.h"
#include "limit.h"
#include "proxy.h"
#include "tcp.h"

static __always_inline int pol_ct_reply(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	return p->key.flipped != (e->flags & POL_CT_FLIPPED);
}

/* Valid, and the endpoint at hand was asked. */
static __always_inline int pol_ct_current(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	/* what leaves an endpoint was asked of its sender, all else of its receiver */
	__u32 side = pol_ct_reply(e, p) ^ (p->hook == POL_HOOK_EP_OUT);

	return e->ep[side & 1] == p->ep && pol_ct_valid(e);
}

/* ICMP is never handed over: nobody waits for its speed, and icmp_type is taken. */
static __always_inline int pol_not_icmp(const struct pol_pkt *p)
{
	return p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6;
}

/*
 * May the packet of this flow go by pol_handover()?  What of a direct flow reaches a
 * receiver's device unjudged was translated on its way, and so must be what answers it.
 */
static __always_inline void pol_flow_direct(struct pol_pkt *p, struct pol_ct_entry *e)
{
	if (!(e->flags & POL_CT_LOCAL) || !pol_not_icmp(p))
		return;
	if ((p->hook != POL_HOOK_EP_OUT || p->flags & POL_PF_HTTP) && e->icmp_type == POL_CT_DIRECT)
		e->icmp_type = 0;
	p->type = e->icmp_type;
}

static __always_inline void pol_from_state(struct pol_pkt *p, const struct pol_ct_entry *e)
{
	p->rule[POL_INGRESS] = e->rule[POL_INGRESS];
	p->rule[POL_EGRESS] = e->rule[POL_EGRESS];
	p->local = e->flags & POL_CT_LOCAL;
	p->to = e->ep[pol_ct_reply(e, p) ? POL_EGRESS : POL_INGRESS];
	p->direction = e->rule[POL_INGRESS] == POL_NO_RULE ? POL_EGRESS : POL_INGRESS;
	p->action = POL_ALLOW;
	p->from_state = 1;
}

/* What an allowed new flow does to the connection table. */
enum pol_track { POL_TRACK_NOT, POL_TRACK_NEW, POL_TRACK_REPLACE, POL_TRACK_PICKED };

/* Judged as a new connection; counted, charged, reported, entered. */
__noinline int pol_flow_open(struct __sk_buff *skb, struct pol_pkt *p,
			     enum pol_track track)
{
	int reason = 0;

	if (!p)
		return POL_REASON_INTERNAL;
	pol_used(skb);
#if POL_USES_HTTP
	p->proxy = 0;
	p->tell &= ~POL_TELL_HAND;
	if (p->tell & POL_TELL_CLAIM) {
		reason = pol_proxy_sent(skb) ? pol_proxy_spend(p, 0) : POL_REASON_PROXY_CREDIT;
		if (reason)
			return reason;
		p->proxy = POL_CT_ONWARD;
	}
#endif
	reason = pol_judge(p);
	if (p->proxy != POL_CT_ONWARD)
		p->flags |= POL_PF_ASKED;
	if (reason)
		return reason;
#if POL_USES_HTTP
	/* what has been said was not looked at, so the rest cannot be understood */
	if (track == POL_TRACK_PICKED && p->flags & POL_PF_HTTP)
		return POL_REASON_HTTP_GAINED;
	reason = pol_proxy_begin(p, track != POL_TRACK_NOT);
	if (reason)
		return reason;
#endif
#if POL_LIMITS_LEN
	if (p->proxy != POL_CT_ONWARD && pol_limited(p)) {
		reason = pol_limit_take(p);
		if (reason && !(p->flags & POL_PF_AUDIT))
			return reason;
		if (reason) {
			p->flags |= POL_PF_AUDITED;
			p->audited[p->direction & 1] = reason;
		}
	}
#endif
	if (track == POL_TRACK_REPLACE)
		pol_ct_remove(p, p->slot);
	if (track != POL_TRACK_NOT) {
		/* of what is picked up nobody saw whether it is translated on its way */
		if (p->hook == POL_HOOK_EP_OUT && p->local && pol_not_icmp(p) &&
		    track != POL_TRACK_PICKED && !(p->flags & POL_PF_HTTP))
			p->type = POL_CT_DIRECT;
#if POL_USES_HTTP
		if (p->proxy)
			p->type = p->proxy | pol_proxy_late(p);
#endif
		reason = pol_ct_insert(p);
		if (reason)
			return reason;
	}
	if (p->proxy == POL_CT_ONWARD)
		return 0; /* counted and told with the client's half */
	p->flags |= POL_PF_NEW;
	return 0;
}

#if POL_USES_HTTP
/*
 * The first packet that a hook sees of the proxy's connection to a server that is no endpoint here
 * is the answer: at the uplink, or at the client's device if it was translated.  It opens the entry
 * if the proxy waits for just that answer and has a credit.
 */
__noinline int pol_flow_answered(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	if (pol_steer_connection(skb, p) <= 0)
		return POL_REASON_CT_STATE;
	reason = pol_proxy_spend(p, 1);
	if (reason)
		return reason;
	p->rev = 1;
	reason = pol_judge(p);
	p->rev = 0;
	if (reason)
		return reason;
	p->proxy = POL_CT_ONWARD;
	p->tell = POL_TELL_HAND;
	p->type = POL_CT_ONWARD | pol_proxy_late(p);
	p->key.flipped ^= 1;
	reason = pol_ct_insert(p);
	p->key.flipped ^= 1;
	return reason;
}
#endif

/*
 * The grace after a first apply.  Flows that lived before it are entered from the kernel's own
 * tables (pol_ask); those that it does not know announce themselves.  Until pol_grace_end, which
 * the loader writes into the first generation and the pinned state, and never moves:
 *
 *   - any packet of who may begin the flow enters it, charged to quotas and limits as a new one,
 *     and half open until an answer is seen: so nobody gains what a SYN would not give him
 *   - a packet of who would answer passes and leaves no trace.  Who never asked is thus reachable
 *     from his servers' ports for that minute and no longer
 *
 * A flow with http rules is reset.  0, or the reason why it does not pass.  Who came at run time had
 * no flows before: what names him is his address's predecessor's, and he inherits nothing.
 */
__noinline int pol_came_late(struct pol_addr *a)
{
	const struct pol_ep_state *st;
	const struct pol_owner *o;
	__u32 ep;

	o = a ? pol_local_owner(a) : NULL;
	if (!o)
		return 0;
	ep = o->ep;
	st = bpf_map_lookup_elem(&ep_state, &ep);
	return !st || st->flags & POL_EP_LATE;
}

static __always_inline int pol_grace(struct pol_pkt *p)
{
	return p->now < pol_grace_end && !pol_came_late(&p->src) && !pol_came_late(&p->dst);
}

__noinline int pol_flow_answering(struct pol_pkt *p)
{
	const struct pol_owner *to;
	__u8 host;
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	to = pol_owner_of(&p->dst);
	host = p->from_host;
	p->rev = 1;
	p->from_host = to && to->entity == POL_ENTITY_HOST;
	reason = pol_judge(p);
	p->rev = 0;
	p->from_host = host;
	if (!reason) {
		p->reason = 0;
		return p->flags & POL_PF_HTTP ? POL_REASON_HTTP_GAINED : 0;
	}
	/* counted and reported as what it would have been otherwise */
	return pol_judge(p) ?: POL_REASON_CT_STATE;
}

static __always_inline int pol_flow_pick_up(struct __sk_buff *skb, struct pol_pkt *p)
{
	int over = p->tcp_flags & (POL_TCP_SYN | POL_TCP_RST);
	int reason = pol_flow_open(skb, p, over ? POL_TRACK_NOT : POL_TRACK_PICKED);

	return reason == POL_REASON_POLICY || reason == POL_REASON_REJECT
		       ? pol_flow_answering(p) : reason;
}

/* May this packet begin a flow? */
static __always_inline int pol_flow_begin(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (p->msg == POL_MSG_ANSWER)
		return POL_REASON_CT_STATE;
#if POL_USES_HTTP
	if (p->hook != POL_HOOK_EP_OUT && !p->from_host && p->proto == IPPROTO_TCP && !p->frag &&
	    (p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK | POL_TCP_RST | POL_TCP_FIN)) ==
		    (POL_TCP_SYN | POL_TCP_ACK))
		return pol_flow_answered(skb, p);
#endif
	if (p->proto == IPPROTO_TCP &&
	    (p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK)) != POL_TCP_SYN)
		return pol_grace(p) && !p->frag ? pol_flow_pick_up(skb, p) : POL_REASON_CT_STATE;
	reason = pol_flow_open(skb, p, POL_TRACK_NEW);
	if (p->proto == IPPROTO_UDP && pol_grace(p) &&
	    (reason == POL_REASON_POLICY || reason == POL_REASON_REJECT))
		reason = pol_flow_answering(p);
	return reason;
}

/* After an apply, or at a hook whose endpoint was not asked yet. */
__noinline int pol_flow_again(struct pol_pkt *p, struct pol_ct_entry *e,
			      int reply)
{
	__u8 host, type, flags;
	int reason;

	if (!p || !e)
		return POL_REASON_INTERNAL;
	host = p->from_host;
	type = p->type;
	p->rev = reply;
	p->from_host = !!(e->flags & POL_CT_HOST);
	p->type = e->icmp_type;
	reason = pol_judge(p);
	p->rev = 0;
	p->from_host = host;
	p->type = type;
#if POL_USES_HTTP
	if (!reason && p->proxy == POL_CT_PROXY)
		p->tell |= POL_TELL_FLOW | (reply ? POL_TELL_REPLY : 0);
	/* what has been said was not looked at, so the rest cannot be understood */
	if (!reason && !p->proxy && p->flags & POL_PF_HTTP)
		reason = POL_REASON_HTTP_GAINED;
#endif
	/* another flow may have got the place meanwhile: what this one came to is not to be its */
	if (!pol_ct_same(e, &p->key))
		return reason;
	/* kept for a while, stale as it is: the other side is to get its reset too */
	if (reason == POL_REASON_HTTP_GAINED) {
		e->state = POL_CT_CLOSED;
		e->seen = p->now;
		return reason;
	}
	if (reason) {
		pol_ct_remove(p, p->slot);
		return reason;
	}
	flags = e->flags & ~(POL_CT_LOCAL | POL_CT_FAR);
	e->flags = flags | (p->local ? POL_CT_LOCAL : 0) | (p->flags & POL_PF_FAR ? POL_CT_FAR : 0);
	e->rule[POL_INGRESS] = p->rule[POL_INGRESS];
	e->rule[POL_EGRESS] = p->rule[POL_EGRESS];
	pol_ct_asked(e, p);
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

/*
 * Of who is asked for a connection that he already has (RFC 9293, 3.5.1): it says so by an ACK, the
 * other end answers with a RST, and its next SYN is taken.  Without data: nothing else comes before SYN-ACK.
 */
__noinline int pol_tcp_bare_ack(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u8 words;

	if (!p || p->proto != IPPROTO_TCP || p->frag ||
	    (p->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK | POL_TCP_RST | POL_TCP_FIN)) != POL_TCP_ACK ||
	    bpf_skb_load_bytes(skb, p->l4_off + 12, &words, 1))
		return 0;
	return p->l4_off + (words >> 4) * 4 >= p->l3_off + p->l3_len;
}

static __always_inline void pol_ct_store(struct pol_ct_entry *e, const struct pol_tcp *c, __u32 now)
{
	if (e->state != c->state)
		e->state = c->state;
	/* FIN and REPLIED only ever come: or them in, the other direction may do so too */
	if ((e->flags & c->flags) != c->flags)
		e->flags |= c->flags;
	/* but with a new answer */
	if (c->state == POL_CT_SYN_RECV && e->flags & ~c->flags & POL_CT_FINS)
		e->flags &= ~POL_CT_FINS;
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

#if POL_USES_HTTP
	p->proxy = pol_proxied(e);
	if (p->proxy && !pol_proxy_place(p, e, reply))
		return pol_proxy_anew(skb, p, e, reply) ? pol_flow_open(skb, p, POL_TRACK_REPLACE) :
						       POL_REASON_PROXY_FOREIGN;
	if (p->proxy && pol_proxy_one_sided(p)) {
		c.state = pol_proxy_state(skb, p, c.state);
		step = c.state == POL_CT_FREE ? POL_STEP_OPEN : POL_STEP_PASS;
	} else
#endif
	step = p->proto == IPPROTO_TCP ? pol_tcp_step(&c, p->tcp_flags, reply)
				       : pol_other_step(&c, p, e, reply);
#if POL_USES_HTTP
	/* what is the proxy's has to be tracked, and its sockets know what is over (pol_proxy_anew) */
	if (p->proxy && step == POL_STEP_CROSS && !reply)
		step = c.state == POL_CT_ESTABLISHED ? POL_STEP_PASS : POL_STEP_OPEN;
#endif
	if (step == POL_STEP_DROP && (!reply || c.state != POL_CT_SYN_SENT || !pol_tcp_bare_ack(skb, p)))
		return POL_REASON_CT_STATE;
	if (step == POL_STEP_OPEN)
		return pol_flow_open(skb, p, POL_TRACK_REPLACE);
	if (!pol_ct_current(e, p)) {
		reason = pol_flow_again(p, e, reply);
		if (reason)
			return reason;
		c.flags &= ~(POL_CT_LOCAL | POL_CT_FAR); /* pol_flow_again() has set them */
	} else if (step != POL_STEP_CROSS) {
		pol_from_state(p, e);
	}
	if (step == POL_STEP_CROSS)
		reason = pol_flow_cross(skb, p, &c);
	/* another flow may have got the place meanwhile */
	if (!reason && pol_ct_same(e, &p->key)) {
		pol_ct_store(e, &c, now);
		pol_flow_direct(p, e);
	}
	return reason;
}

/* The sender of what came in by an uplink can be neither this host nor live on it. */
static __always_inline int pol_flow_spoofed(const struct pol_pkt *p)
{
	return p->hook == POL_HOOK_UPLINK_IN &&
	       pol_is_here(pol_owner_of(&p->src));
}

/* A packet that may open, belong to or change a flow. */
__noinline int pol_flow_slow(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_ct_bucket *b;
	__u32 way;

	if (!p)
		return POL_REASON_INTERNAL;
	if (p->msg == POL_MSG_ALONE || p->group)
		return pol_flow_open(skb, p, POL_TRACK_NOT);
	if (p->frag || p->msg) { /* else pol_flow_live() has looked for it a moment ago */
		pol_ct_key_of(p, &p->src, &p->dst, (__u32)p->sport_be << 16 | p->dport_be,
			      p->proto);
		pol_ct_seek(p);
	}
	if (!p->slot)
		return pol_flow_begin(skb, p);
	b = pol_ct_slot(p->slot, &way);
	if (!b)
		return POL_REASON_INTERNAL;
	if (!pol_ct_same(&b->entry[way], &p->key)) /* it went between finding and here */
		return pol_flow_begin(skb, p);
	if (pol_ct_gone(&b->entry[way], p->now)) {
		pol_ct_remove(p, p->slot);
		return pol_flow_begin(skb, p);
	}
	return pol_flow_known(skb, p, &b->entry[way], p->now);
}

/* Everything but the next packet of an established flow. */
static __always_inline int pol_flow_rest(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (pol_flow_spoofed(p))
		return POL_REASON_SPOOFED;
	if (p->frag == POL_FRAG_LATER)
		return pol_frag_later(p);
	reason = p->msg == POL_MSG_ERROR ? pol_icmp_error(skb, p) : pol_flow_slow(skb, p);
	return p->frag ? pol_frag_first(p, reason) : reason;
}

/* Nothing to decide: established, of this generation, and no flag that matters. */
static __always_inline int pol_flow_settled(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	__u8 change = POL_TCP_SYN | POL_TCP_FIN | POL_TCP_RST;

	if (!pol_ct_current(e, p))
		return 0;
	if (p->proto == IPPROTO_TCP)
		return e->state == POL_CT_ESTABLISHED && !(p->tcp_flags & change) &&
		       (__s32)(p->now - e->seen) <= (__s32)POL_CT_T_ESTABLISHED;
	if (p->proto != IPPROTO_UDP)
		return 0;
	if (e->state == POL_CT_REPLYING)
		return (__s32)(p->now - e->seen) <= (__s32)POL_CT_T_REPLYING;
	return !pol_ct_reply(e, p) && !pol_ct_expired(e, p->now);
}

/*
 * Whose packet it is at an uplink, without asking ep_by_addr: the flow was judged as one from
 * afar to the endpoint that the entry names, and the addresses of an endpoint are the same as
 * long as generation and incarnation are.  Otherwise 0, as where the receiver does not live here.
 */
static __always_inline __u32 pol_flow_receiver(const struct pol_ct_entry *e, const struct pol_pkt *p)
{
	return e->flags & POL_CT_FAR ? e->ep[pol_ct_reply(e, p) ? POL_EGRESS : POL_INGRESS] : 0;
}

/*
 * The place of p->key into p->slot: NULL, or its bucket, the way in it and the tag as it was before
 * the key was compared.
 */
static __always_inline struct pol_ct_bucket *pol_flow_find(struct pol_pkt *p, __u32 *way, __u64 *tag)
{
	__u32 no = pol_ct_bucket_no(p->key.hash, 0);
	struct pol_ct_bucket *b = bpf_map_lookup_elem(&ct, &no);

	if (!b)
		return NULL;
	*way = pol_ct_home(p->key.hash);
	*tag = *(volatile __u64 *)&b->tag[*way];
	/* both at once, so that the entry is on its way, for whoever writes it, if it is free */
	if (pol_unlikely(((*tag ^ (POL_TAG_USED | pol_ct_sig(p->key.hash))) >> POL_TAG_SHIFT) |
			 !pol_ct_same(&b->entry[*way], &p->key))) {
		*way = pol_ct_way(b, &p->key, tag);
		if (*way == POL_CT_WAYS) {
			p->slot = pol_ct_in(p, 1);
			if (!p->slot)
				return NULL;
			b = pol_ct_slot(p->slot, way);
			if (!b)
				return NULL;
			*tag = *(volatile __u64 *)&b->tag[*way];
			return *tag & POL_TAG_USED && pol_ct_same(&b->entry[*way], &p->key) ? b : NULL;
		}
		pol_opaque(*way);
		*way &= POL_CT_WAYS - 1;
	}
	p->slot = no * POL_CT_WAYS + *way + 1;
	return b;
}

static __always_inline int pol_flow_next(struct pol_pkt *p)
{
	struct pol_ct_bucket *b;
	struct pol_ct_entry *e;
	__u64 tag;
	__u32 way;

	pol_ct_key_set(&p->key, &p->src, &p->dst, p->sport_be, p->dport_be, p->proto);
	b = pol_flow_find(p, &way, &tag);
	if (!b)
		return 0;
	e = &b->entry[way];
	if (p->hook == POL_HOOK_UPLINK_IN) {
		p->ep = pol_flow_receiver(e, p);
		if (!p->ep)
			return 0;
	}
	if (!pol_flow_settled(e, p))
		return 0;
#if POL_USES_HTTP
	p->proxy = pol_proxied(e);
	if (p->proxy && !pol_proxy_place(p, e, pol_ct_reply(e, p)))
		return 0;
#endif
	pol_from_state(p, e);
	/* what was read was this flow's only if the slot has not changed hands */
	if (pol_unlikely(*(volatile __u64 *)&b->tag[way] != tag)) {
		p->from_state = 0;
		p->tell &= ~POL_TELL_HAND;
		return 0;
	}
	pol_flow_direct(p, e);
	if (e->seen != p->now)
		e->seen = p->now;
	return 1;
}

/* The rule that would have denied on one side, and p->reason; POL_NO_RULE: none. */
static __always_inline __u32 pol_audit_rule(struct pol_pkt *p, __u32 dir)
{
	p->reason = p->audited[dir & 1];
	if (p->reason)
		return p->rule[dir & 1];
#if POL_USES_AUDIT
	if (p->flags & POL_PF_NEW && p->verdict[dir & 1]) {
		__u32 v = p->verdict[dir & 1] - 1;

		p->reason = POL_REASON_POLICY;
		return pol_verdicts[v & (POL_VERDICTS_LEN - 1)].audit_rule;
	}
#endif
	return POL_NO_RULE;
}

/*
 * What there is to report of a packet that passes.  Here, and not where it was found out, because
 * nothing else is on the stack by now.
 */
__noinline int pol_flow_told(struct __sk_buff *skb, struct pol_pkt *p)
{
	__u32 rule;
	__u8 dir;

	if (!p)
		return 0;
	dir = p->direction;
	p->direction = POL_EGRESS;
	rule = pol_audit_rule(p, POL_EGRESS);
	if (rule != POL_NO_RULE)
		pol_event(skb, p, POL_EVENT_AUDIT, rule);
	p->direction = POL_INGRESS;
	rule = pol_audit_rule(p, POL_INGRESS);
	if (rule != POL_NO_RULE)
		pol_event(skb, p, POL_EVENT_AUDIT, rule);
	p->direction = dir;
	p->reason = 0;
	if (p->flags & POL_PF_NEW)
		pol_event(skb, p, p->flags & POL_VF_LOG ? POL_EVENT_LOG : POL_EVENT_NEW,
			  p->rule[dir & 1]);
	return 0;
}

static __always_inline int pol_flow_passes(struct __sk_buff *skb, const struct pol_pkt *p)
{
	if (p->proxy != POL_CT_ONWARD)
		pol_hits(skb, p);
	pol_scratch(p);
	return 0;
}

/*
 * The next packet of an established flow: 1 if that is what it was; it passes, and was counted.
 * Everything that is rarer is left to pol_flow(), which has to be asked if not.
 */
__noinline int pol_flow_live(struct __sk_buff *skb, struct pol_pkt *p)
{
	if (!p)
		return 0;
	p->now = pol_seconds();
	if (pol_unlikely(p->frag || p->msg || p->group) || pol_unlikely(!pol_flow_next(p)))
		return 0;
	pol_flow_passes(skb, p);
	return 1;
}

/* Of what pol_flow_live() did not know: a reason; 0: it passes, and was counted. */
__noinline int pol_flow(struct __sk_buff *skb, struct pol_pkt *p)
{
	int reason;

	if (!p)
		return POL_REASON_INTERNAL;
	reason = pol_flow_rest(skb, p);
#if POL_USES_HTTP
	if (!reason && p->tell & POL_TELL_FLOW)
		reason = pol_proxy_tell(p, skb->ifindex);
#endif
	if (reason)
		return reason;
	if (p->flags & (POL_PF_NEW | POL_PF_AUDITED))
		pol_flow_told(skb, p);
	return pol_flow_passes(skb, p);
}

#endif
