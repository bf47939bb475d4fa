/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all stages of the edge (edge.h) say of a packet: where it came in, that it was dropped, and
 * to whoever watches, what became of it.
 */
#ifndef POL_BPF_EDGE_EVENT_H
#define POL_BPF_EDGE_EVENT_H

#include "edge_parse.h"
#include "event.h"

static __always_inline int pol_edge_is_ip(const struct pol_edge *p)
{
	return p->type_be == POL_ETH_V4 || p->type_be == POL_ETH_V6;
}

/* What people call the ports; for ICMP the type stands for the destination's. */
static __always_inline __be16 pol_edge_dport(const struct pol_edge *p)
{
	return bpf_htons(p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6 ? p->icmp_type
										: p->dport);
}

/* kind: enum pol_event_kind; as pol_event(). */
__noinline int pol_edge_event(struct pol_edge *p, __u32 kind, __u32 reason)
{
	struct pol_watch_set *set;
	struct pol_telling *t;
	struct pol_event *e;
	__u32 zero = 0;

	set = bpf_map_lookup_elem(&watch, &zero);
	t = bpf_map_lookup_elem(&telling, &zero);
	if (!p || !set || !t || !(set->kinds & 1u << (kind & 31)))
		return 0;
	e = &t->e;
	e->time_ns = bpf_ktime_get_ns();
	e->src = p->src;
	e->dst = p->dst;
	e->sport_be = bpf_htons(p->sport);
	e->dport_be = pol_edge_dport(p);
	e->proto = p->proto;
	e->kind = kind;
	e->reason = reason;
	e->hook = POL_HOOK_XDP;
	e->gen = (__u32)pol_generation;
	e->rule = p->rule;
	e->other = POL_NO_RULE;
	e->ep = 0;
	e->length = p->len;
	e->ifindex = p->ifindex;
	e->direction = POL_INGRESS;
	pol_tell_all(set, t);
	return 0;
}

/* Set by tests before the object is loaded; else the verifier leaves out what stands behind it. */
const volatile __u32 pol_edge_trace = 0;

/* The last packet that a filter judged. */
static __always_inline void pol_edge_scratch(const struct pol_edge *p, __u32 reason)
{
	__u32 zero = 0;
	struct pol_scratch *s = pol_edge_trace ? bpf_map_lookup_elem(&scratch, &zero) : NULL;

	if (!s)
		return;
	s->proto = p->proto;
	s->reason = reason;
	s->action = reason ? POL_DENY : POL_ALLOW;
	s->direction = POL_INGRESS;
	s->rule[POL_INGRESS] = p->rule;
	s->rule[POL_EGRESS] = POL_NO_RULE;
}

/* What the loader says of this uplink; NULL: it is none, which is an accident. */
static __always_inline const struct pol_if *pol_uplink_of(__u32 ifindex)
{
	__u32 near = ifindex & (POL_IF_NEAR - 1);
	const struct pol_if *i = bpf_map_lookup_elem(&if_near, &near);

	if (pol_unlikely(!i || i->ifindex != ifindex))
		i = bpf_map_lookup_elem(&ep_by_if, &ifindex);
	return i && i->kind == POL_IF_UPLINK ? i : NULL;
}

/* Counts; the caller returns what this returns. */
static __always_inline int pol_edge_count_drop(const struct pol_edge *p, __u32 reason)
{
	struct pol_count *c = bpf_map_lookup_elem(&drops, &reason);

	if (c) {
		c->packets++;
		c->bytes += p->len;
	}
	return XDP_DROP;
}

/* And tells, of what no line of a filter decided: those tell for themselves, if they are to. */
static __always_inline int pol_edge_drop(struct pol_edge *p, __u32 reason)
{
	p->rule = POL_NO_RULE;
	pol_edge_event(p, POL_EVENT_DROP, reason);
	return pol_edge_count_drop(p, reason);
}

#endif
