/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/judge.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <stdio.h>

static const char *const actions[] = {
	[POL_DENY] = "deny", [POL_REJECT] = "reject", [POL_ALLOW] = "allow",
	[POL_SKIP] = "skip", [POL_NONE] = "none",
};
static const char *const directions[] = { [POL_INGRESS] = "ingress", [POL_EGRESS] = "egress" };
static const enum pol_direction order[] = { POL_EGRESS, POL_INGRESS }; /* as they are asked */

const char *judge_action(unsigned a)
{
	return a < POL_ARRAY_LEN(actions) ? actions[a] : "?";
}

const char *judge_direction(enum pol_direction d)
{
	return directions[d];
}

void judge_say_side(struct pol_buf *why, const char *who, unsigned action, uint32_t rule,
		    uint32_t audit, bool log, size_t nlimits)
{
	pol_buf_printf(why, "  %-9s %s by rule %d, audit %d%s, %zu limits\n", who,
		       judge_action(action), (int)rule, (int)audit, log ? ", log" : "", nlimits);
}

void judge_expect(const struct pol_ir *ir, const struct world *w, const struct flow *f,
		  struct pol_eval_flow *out)
{
	struct pol_eval_peer src = world_peer(w, ir, f->src), dst = world_peer(w, ir, f->dst);

	pol_eval_flow(ir, &src, world_place(w, f->src) == PLACE_LOCAL, &dst,
		      world_place(w, f->dst) == PLACE_LOCAL, flow_key(f), out);
}

/* ---- the kernel ----------------------------------------------------------------------- */

static const char *reason_name(unsigned reason)
{
#define REASON_NAME(e, n, t) [POL_REASON_##e] = n,
	static const char *const names[] = { POL_REASONS(REASON_NAME) };
#undef REASON_NAME

	return reason < POL_ARRAY_LEN(names) ? names[reason] : "?";
}

static bool say(struct pol_buf *why, const char *what, const struct seen *s)
{
	pol_buf_printf(why,
		       "%s:\n  kernel    result %d, %s, reason %s, %s side, rules %d/%d "
		       "(egress/ingress), audit %d%s\n",
		       what, s->result, judge_action(s->scratch.action),
		       reason_name(s->scratch.reason), directions[s->scratch.direction & 1],
		       (int)s->scratch.rule[POL_EGRESS], (int)s->scratch.rule[POL_INGRESS],
		       (int)s->scratch.audit_rule, s->scratch.from_state ? ", by a live flow" : "");
	return false;
}

static bool say_flow(struct pol_buf *why, const char *what, const struct seen *s,
		     const struct pol_eval_flow *want)
{
	say(why, what, s);
	for (unsigned i = 0; i < POL_DIRECTIONS; i++)
		if (want->judged[order[i]])
			judge_say_side(why, directions[order[i]], want->side[order[i]].action,
				       want->side[order[i]].rule, want->side[order[i]].audit_rule,
				       want->side[order[i]].log, want->side[order[i]].nlimits);
	pol_buf_printf(why, "  evaluator %s by the %s side\n", judge_action(want->action),
		       directions[want->decided_by]);
	return false;
}

/* Is the record in scratch of this very packet? */
static bool record_of(const struct seen *s, const struct flow *f)
{
	struct pol_addr src = prt_addr_of_ip(f->src), dst = prt_addr_of_ip(f->dst);
	bool ports = f->proto == 6 || f->proto == 17 || f->proto == 132;
	bool types = f->proto == 1 || f->proto == 58;

	return memcmp(&s->scratch.src, &src, sizeof(src)) == 0 &&
	       memcmp(&s->scratch.dst, &dst, sizeof(dst)) == 0 && s->scratch.proto == f->proto &&
	       (!ports || ntohs(s->scratch.sport_be) == f->sport) &&
	       (!(ports || types) || ntohs(s->scratch.dport_be) == f->value);
}

/* Verdict, and on a drop its reason. */
static bool same_outcome(const struct seen *s, const struct pol_eval_flow *want)
{
	if (s->scratch.action != want->action || s->scratch.direction != want->decided_by)
		return false;
	if (want->action == POL_ALLOW)
		return s->scratch.reason == POL_REASON_NONE && s->result != TC_ACT_SHOT;
	if (want->action ==
	    POL_REJECT) /* the answer may leave by a redirect: the packet never passes */
		return s->scratch.reason == POL_REASON_REJECT && s->result != TC_ACT_OK &&
		       s->result != TC_ACT_UNSPEC;
	return s->scratch.reason == POL_REASON_POLICY && s->result == TC_ACT_SHOT;
}

/* Sides are asked in order, and nobody after the one that denies. */
static bool same_rules(const struct seen *s, const struct pol_eval_flow *want)
{
	uint32_t audit = POL_NO_RULE;
	bool asked = true;

	for (unsigned i = 0; i < POL_DIRECTIONS; i++) {
		enum pol_direction d = order[i];
		bool here = asked && want->judged[d];

		if (s->scratch.rule[d] != (here ? want->side[d].rule : POL_NO_RULE))
			return false;
		if (here && audit == POL_NO_RULE)
			audit = want->side[d].audit_rule;
		if (here && want->side[d].action != POL_ALLOW)
			asked = false;
	}
	return s->scratch.audit_rule == audit;
}

bool judge_new(const struct seen *s, const struct flow *f, const struct pol_eval_flow *want,
	       struct pol_buf *why)
{
	if (!record_of(s, f))
		return say(why, "the record in scratch is of another packet", s);
	if (s->scratch.from_state)
		return say(why, "a new flow passed as a known one", s);
	if (!same_outcome(s, want))
		return say_flow(why, "the kernel differs from the evaluator", s, want);
	if (!same_rules(s, want))
		return say_flow(why, "the kernel names other rules than the evaluator", s, want);
	return true;
}

bool judge_known(const struct seen *s, struct pol_buf *why)
{
	if (s->result == TC_ACT_SHOT || s->scratch.reason != POL_REASON_NONE ||
	    !s->scratch.from_state)
		return say(why, "a packet of a live flow did not pass by it", s);
	return true;
}

bool judge_again(const struct seen *s, const struct pol_eval_flow *want, struct pol_buf *why)
{
	if (!same_outcome(s, want) || !same_rules(s, want))
		return say_flow(why, "a live flow judged again differs from the evaluator", s,
				want);
	return true;
}
