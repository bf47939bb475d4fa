/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters, the record of the last packet, and events. */
#ifndef POL_BPF_EVENT_H
#define POL_BPF_EVENT_H

/* Events a second and CPU, each kind for itself; what is over is counted as lost. */
#ifndef POL_EVENT_RATE
#define POL_EVENT_RATE 1000ull
#endif
#define POL_RATE_NS (1000000000ull / POL_EVENT_RATE)
#define POL_RATE_BURST_NS 1000000000ull

/* A token bucket of this CPU; see struct pol_limit_state for the arithmetic. */
static __always_inline int pol_rate_take(__u32 kind)
{
	__u64 *empty_at = bpf_map_lookup_elem(&rates, &kind), now = bpf_ktime_get_ns();

	if (!empty_at)
		return 0;
	if (now - *empty_at > POL_RATE_BURST_NS)
		*empty_at = now - POL_RATE_BURST_NS;
	if (now - *empty_at < POL_RATE_NS)
		return 0;
	*empty_at += POL_RATE_NS;
	return 1;
}

/* What people call the ports; for ICMP the type stands for the destination's. */
static __always_inline void pol_shown_ports(const struct pol_pkt *p, __be16 *sport, __be16 *dport)
{
	int icmp = p->proto == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	*sport = icmp ? 0 : p->sport_be;
	*dport = icmp ? bpf_htons(p->type) : p->dport_be;
}

static __always_inline void pol_event_lost(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&events_lost, &zero);

	if (lost)
		++*lost;
}

/* kind: enum pol_event_kind; rule: what decided. */
__noinline int pol_event(struct __sk_buff *skb, struct pol_pkt *p, __u32 kind, __u32 rule)
{
	struct pol_event *e = NULL;

	if (!p)
		return 0;
	if (pol_rate_take(kind == POL_EVENT_DROP ? POL_RATE_DROP : POL_RATE_LOG))
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		pol_event_lost();
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->src = p->src;
	e->dst = p->dst;
	pol_shown_ports(p, &e->sport_be, &e->dport_be);
	e->proto = p->proto;
	e->kind = kind;
	e->reason = p->reason;
	e->hook = p->hook;
	e->gen = (__u32)pol_generation;
	e->rule = rule;
	e->ep = p->judged_ep[p->direction & 1] ?: p->ep;
	e->length = skb->len;
	e->ifindex = skb->ifindex;
	e->direction = p->direction;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline void pol_scratch(const struct pol_pkt *p)
{
	__u32 zero = 0;
	struct pol_scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return;
	s->src = p->src;
	s->dst = p->dst;
	pol_shown_ports(p, &s->sport_be, &s->dport_be);
	s->proto = p->proto;
	s->reason = p->reason;
	s->action = p->action;
	s->direction = p->direction;
	s->rule[POL_INGRESS] = p->rule[POL_INGRESS];
	s->rule[POL_EGRESS] = p->rule[POL_EGRESS];
	s->audit_rule = p->audit_rule;
	s->from_state = p->from_state;
}

static __always_inline void pol_hit(struct __sk_buff *skb, const struct pol_pkt *p, __u32 rule)
{
	struct pol_rule_hits *h;

	if (rule == POL_NO_RULE)
		return;
	h = bpf_map_lookup_elem(&rule_hits, &rule);
	if (!h)
		return;
	h->packets += skb->gso_segs ?: 1;
	h->bytes += skb->len;
	h->connections += !!(p->flags & POL_PF_NEW);
	h->last_ns = p->now * 1000000000ull; /* to the second, see pol_seconds() */
}

static __always_inline void pol_hits(struct __sk_buff *skb, const struct pol_pkt *p)
{
	pol_hit(skb, p, p->rule[POL_EGRESS]);
	pol_hit(skb, p, p->rule[POL_INGRESS]);
}

/* The way out for what passes and was judged. */
__noinline int pol_passed(struct __sk_buff *skb, struct pol_pkt *p)
{
	if (!p)
		return 0;
	pol_hits(skb, p);
	pol_scratch(p);
	return 0;
}

/* The one way out for what does not pass. */
__noinline int pol_drop(struct __sk_buff *skb, struct pol_pkt *p)
{
	struct pol_count *c;
	__u32 reason;

	if (!p)
		return TC_ACT_SHOT;
	reason = p->reason;
	p->flags &= ~POL_PF_NEW;
	c = bpf_map_lookup_elem(&drops, &reason);
	if (c) {
		c->packets += skb->gso_segs ?: 1;
		c->bytes += skb->len;
	}
	pol_passed(skb, p);
	pol_event(skb, p, POL_EVENT_DROP, p->rule[p->direction & 1]);
	return TC_ACT_SHOT;
}

#endif
