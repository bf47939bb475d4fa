/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters, the record of the last packet, and events. */
#ifndef POL_BPF_EVENT_H
#define POL_BPF_EVENT_H

#include "pkt.h"

/* Answers (RST, unreachable) a second and CPU. */
#define POL_RATE_NS 1000000ull
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

/* ---- readers ---------------------------------------------------------------- */

static __always_inline int pol_watch_net(const struct pol_watch_net *net, __u32 n,
					 const struct pol_addr *a)
{
	int hit = !n;

	for (__u32 i = 0; i < POL_WATCH_NETS; i++)
		if (i < n)
			hit |= (((a->d_be[0] & net[i].mask.d_be[0]) ^ net[i].addr.d_be[0]) |
				((a->d_be[1] & net[i].mask.d_be[1]) ^ net[i].addr.d_be[1])) == 0;
	return hit;
}

/* Is it what this reader asks for? */
static __always_inline int pol_watch_wants(const struct pol_watch *w, const struct pol_event *e)
{
	__u32 port = bpf_ntohs(e->dport_be), reason = e->reason & (POL_WATCH_REASONS - 1);

	if (!(w->kinds & 1u << (e->kind & 31)))
		return 0;
	if (w->has_proto && w->proto != e->proto)
		return 0;
	if (w->port_hi && (port < w->port_lo || port > w->port_hi))
		return 0;
	if (w->rule && (w->gen != e->gen || (w->rule - 1 != e->rule && w->rule - 1 != e->other)))
		return 0;
	if ((w->reasons[0] | w->reasons[1]) &&
	    !((reason < 64 ? w->reasons[0] : w->reasons[1]) >> (reason & 63) & 1))
		return 0;
	return pol_watch_net(w->src, w->nsrc, &e->src) && pol_watch_net(w->dst, w->ndst, &e->dst);
}

static __always_inline int pol_watch_token(struct pol_watch_lost *l, const struct pol_watch *w,
					   __u64 now)
{
	if (!w->ns_per_event)
		return 1;
	if (now - l->empty_at_ns > w->burst_ns)
		l->empty_at_ns = now - w->burst_ns;
	if (now - l->empty_at_ns < w->ns_per_event)
		return 0;
	l->empty_at_ns += w->ns_per_event;
	return 1;
}

/* To reader t->at: it gets the event, or one is lost. */
static __always_inline void pol_watch_tell(const struct pol_watch *w, struct pol_telling *t)
{
	struct pol_watch_lost *l = bpf_map_lookup_elem(&watch_lost, &t->at);
	__u32 kind;
	void *ring;

	if (!l)
		return;
	if (pol_watch_token(l, w, t->e.time_ns)) {
		ring = bpf_map_lookup_elem(&rings, &t->at);
		if (ring && !bpf_ringbuf_output(ring, &t->e, sizeof(t->e), 0))
			return;
	}
	/* looked at where it is used: what is kept on the stack has no bounds for verifiers before 6.3 */
	kind = t->e.kind;
	pol_opaque(kind);
	if (kind < POL_EVENT_KINDS)
		l->lost[kind]++;
}

/* ---- audit -------------------------------------------------------------------- */

/* A flow that `rule` would have denied in p->direction, had it been in force; p->reason says why. */
static __always_inline void pol_audit_key(const struct pol_pkt *p, __u32 rule,
					  struct pol_audit_key *k)
{
	__u32 dir = p->direction & 1;
	int icmp = p->proto == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	/* the other end, in the direction of the flow's originator */
	k->peer = (dir == POL_EGRESS) ^ !!p->rev ? p->dst : p->src;
	k->ep = p->judged_ep[dir];
	k->rule = rule;
	k->port = icmp ? p->type : bpf_ntohs(p->rev ? p->sport_be : p->dport_be);
	k->proto = p->proto;
	k->direction = dir;
	k->reason = p->reason;
	k->from_host = dir == POL_INGRESS && p->from_host;
}

static __always_inline void pol_audit(const struct pol_pkt *p, __u32 rule, struct pol_telling *t)
{
	struct pol_audit_seen *seen;
	__u64 *lost;

	pol_audit_key(p, rule, &t->key);
	t->fresh.first_ns = bpf_ktime_get_ns();
	t->zero = 0;
	seen = bpf_map_lookup_elem(&audited, &t->key);
	if (!seen) {
		bpf_map_update_elem(&audited, &t->key, &t->fresh, BPF_NOEXIST);
		seen = bpf_map_lookup_elem(&audited, &t->key);
	}
	if (seen) {
		__sync_fetch_and_add(&seen->flows, 1);
		seen->last_ns = t->fresh.first_ns;
	} else {
		lost = bpf_map_lookup_elem(&audit_lost, &t->zero);
		if (lost)
			++*lost;
	}
}

/* ---- events ------------------------------------------------------------------- */

/* Reader t->at gets t->e if it wants it. */
static __noinline int pol_tell_one(struct pol_watch_set *set, struct pol_telling *t)
{
	const struct pol_watch *w = &set->at[t->at & (POL_WATCHERS - 1)];

	if (pol_watch_wants(w, &t->e))
		pol_watch_tell(w, t);
	return 0;
}

/*
 * Whoever watches and wants it gets t->e.  The loop is one block, its body a call: of a
 * longer one clang may put the end before the head, and verifiers before Linux 6.8 refuse a
 * loop whose body falls back into its head without a jump (tests/tools/backedge.c).
 */
static __always_inline void pol_tell_all(struct pol_watch_set *set, struct pol_telling *t)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < POL_WATCHERS; i++) {
		t->at = i;
		pol_tell_one(set, t);
	}
}

/*
 * kind: enum pol_event_kind; rule: what decided.  What is audited is also kept; all in one
 * function, for the depth of calls is bounded (512 bytes of stack).
 */
__noinline int pol_event(struct __sk_buff *skb, struct pol_pkt *p, __u32 kind, __u32 rule)
{
	struct pol_watch_set *set;
	struct pol_telling *t;
	struct pol_event *e;
	__u32 zero = 0;

	set = bpf_map_lookup_elem(&watch, &zero);
	t = bpf_map_lookup_elem(&telling, &zero);
	if (!p || !set || !t)
		return 0;
	if (pol_unlikely(kind == POL_EVENT_AUDIT))
		pol_audit(p, rule, t);
	if (!(set->kinds & 1u << (kind & 31)))
		return 0;
	e = &t->e;
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
	e->other = kind == POL_EVENT_DROP ? POL_NO_RULE : p->rule[~p->direction & 1];
	e->ep = p->judged_ep[p->direction & 1] ?: p->ep;
	e->length = skb->len;
	e->ifindex = skb->ifindex;
	e->direction = p->direction;
	pol_tell_all(set, t);
	return 0;
}

/* ---- counters ------------------------------------------------------------------- */

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

static __always_inline int pol_shot(struct __sk_buff *skb, struct pol_pkt *p, int reason)
{
	p->reason = reason;
	return pol_drop(skb, p);
}

#endif
