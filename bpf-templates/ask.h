/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a policy says of flows that it does not enforce, or not yet.
 *
 *	pol_ask		the loader asks, by BPF_PROG_TEST_RUN, about a flow that lives: on the first
 *			apply to enter it, for a shadow to compare
 *	pol_shadow	of a generation that is not in force.  Where a shadow is watched the
 *			programs in force are replaced by their _watched twins, over the same maps;
 *			these jump here behind each flow that they judged, with all of the
 *			packet done but the return.  What they would have returned lies in
 *			cb[0] of the packet and is returned, whatever is found here; a jump
 *			that misses returns it likewise
 *
 * So a shadow cannot change a verdict, and without one there is not one instruction of it in the way.
 */
#ifndef POL_BPF_ASK_H
#define POL_BPF_ASK_H

#include "ct_insert.h"
#include "judge.h"

/* ---- the generation in force --------------------------------------------- */

__noinline int pol_asked_about(struct pol_pkt *p)
{
	__u32 zero = 0;
	struct pol_asked *a = bpf_map_lookup_elem(&asked, &zero);

	if (!p || !a)
		return -1;
	__builtin_memset(a, 0, sizeof(*a));
	a->src = p->src;
	a->dst = p->dst;
	a->sport_be = p->sport_be;
	a->dport_be = p->dport_be;
	a->proto = p->proto;
	a->type = p->type;
	a->from_host = p->from_host;
	a->group = p->group;
	a->hook = p->hook;
	a->v6 = p->v6;
	a->ep = p->ep;
	a->was.rule[POL_INGRESS] = p->rule[POL_INGRESS];
	a->was.rule[POL_EGRESS] = p->rule[POL_EGRESS];
	a->was.action = p->action;
	a->was.direction = p->direction;
	a->was.http = !!(p->flags & POL_PF_HTTP);
	return 0;
}

static __always_inline int pol_watch(struct __sk_buff *skb, struct pol_pkt *p, int ret)
{
	if (pol_asked_about(p))
		return ret;
	skb->cb[0] = ret;
	bpf_tail_call(skb, &shadow, 0);
	return ret;
}

/* ---- the one that is asked -------------------------------------------------- */

static __always_inline int pol_asked_judge(struct pol_asked *a, struct pol_pkt *p)
{
	int reason;

	__builtin_memset(p, 0, sizeof(*p));
	p->hook = a->hook;
	p->rule[POL_INGRESS] = p->rule[POL_EGRESS] = p->audit_rule = POL_NO_RULE;
	p->src = a->src;
	p->dst = a->dst;
	p->sport_be = a->sport_be;
	p->dport_be = a->dport_be;
	p->proto = a->proto;
	p->type = a->type;
	p->from_host = a->from_host;
	p->group = a->group;
	p->v6 = a->v6;
	p->ep = a->ep;
	reason = pol_judge(p);
	a->is.rule[POL_INGRESS] = p->rule[POL_INGRESS];
	a->is.rule[POL_EGRESS] = p->rule[POL_EGRESS];
	a->is.action = p->action;
	a->is.direction = p->direction;
	a->is.http = !!(p->flags & POL_PF_HTTP);
	a->is.reason = reason;
	return reason;
}

static __always_inline __u8 pol_shadow_action(const struct pol_opinion *o)
{
	return o->action | (o->action == POL_ALLOW && o->http ? POL_SHADOW_HTTP : 0);
}

/* Counts a flow that was judged twice, and keeps it where the two differ. */
__noinline int pol_shadow_note(struct pol_asked *a, __u32 live)
{
	struct pol_shadow_key k = {};
	struct pol_shadow_diff first = {}, *d;
	struct pol_shadow_sums *s;
	__u32 zero = 0;

	s = bpf_map_lookup_elem(&diff_sums, &zero);
	if (!a || !s)
		return 0;
	__sync_fetch_and_add(live ? &s->live : &s->fresh, 1);
	k.was = pol_shadow_action(&a->was);
	k.is = pol_shadow_action(&a->is);
	if (k.was == k.is)
		return 0;
	__sync_fetch_and_add(&s->differ, 1);
	k.was_rule = a->was.rule[a->was.direction & 1];
	k.is_rule = a->is.rule[a->is.direction & 1];
	k.live = live;
	d = bpf_map_lookup_elem(&diffs, &k);
	if (!d) {
		first.sample = *a;
		bpf_map_update_elem(&diffs, &k, &first, BPF_NOEXIST);
		d = bpf_map_lookup_elem(&diffs, &k);
	}
	if (!d) {
		__sync_fetch_and_add(&s->lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&d->flows, 1);
	d->seen = pol_seconds();
	return 0;
}

static __always_inline int pol_beside(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct pol_asked *a = bpf_map_lookup_elem(&asked, &zero);
	struct pol_pkt p;

	if (a) {
		pol_asked_judge(a, &p);
		pol_shadow_note(a, 0);
	}
	return skb->cb[0];
}

/*
 * A flow that lived before the first apply, in the state that the kernel says.  One with http
 * rules is entered as judged by nobody: its next packet is judged again, and resets it.
 */
static __always_inline int pol_asked_enter(struct pol_pkt *p, const struct pol_asked *a)
{
	struct pol_ct_entry *e;
	int reason;

	if (!p->local || p->flags & POL_PF_HTTP)
		p->type = 0;
	p->now = pol_seconds();
	pol_ct_key_of(p, &p->src, &p->dst, (__u32)p->sport_be << 16 | p->dport_be, p->proto);
	if (pol_ct_seek(p))
		return 0;
	reason = pol_ct_insert(p);
	e = reason ? NULL : pol_ct_entry(p);
	if (!e)
		return reason;
	e->state = a->enter;
	if (a->enter != POL_CT_SYN_SENT && a->enter != POL_CT_UNREPLIED)
		e->flags |= POL_CT_REPLIED;
	if (p->flags & POL_PF_HTTP)
		e->gen = 0;
	return 0;
}

static __always_inline int pol_ask_enter(struct __sk_buff *skb)
{
	__u32 one = 1;
	struct pol_asked *a = bpf_map_lookup_elem(&asked, &one);
	struct pol_pkt p;

	if (!a || bpf_skb_load_bytes(skb, sizeof(struct ethhdr), a, sizeof(*a)))
		return TC_ACT_SHOT;
	if (!pol_asked_judge(a, &p) && a->enter)
		a->is.reason = pol_asked_enter(&p, a);
	if (a->note)
		pol_shadow_note(a, 1);
	bpf_skb_store_bytes(skb, sizeof(struct ethhdr), a, sizeof(*a), 0);
	return TC_ACT_OK;
}

#endif
