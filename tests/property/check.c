/* SPDX-License-Identifier: GPL-2.0-only */
#include "check.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <stdio.h>

#include "oracle.h"

static const char *const actions[] = {
	[POL_DENY] = "deny", [POL_REJECT] = "reject", [POL_ALLOW] = "allow",
	[POL_SKIP] = "skip", [POL_NONE] = "none",
};
static const char *const directions[] = { [POL_INGRESS] = "ingress", [POL_EGRESS] = "egress" };
static const enum pol_direction order[] = { POL_EGRESS, POL_INGRESS }; /* as they are asked */

static const char *action_name(unsigned a)
{
	return a < POL_ARRAY_LEN(actions) ? actions[a] : "?";
}

void check_expect(const struct build *b, const struct world *w, const struct flow *f,
		  struct pol_eval_flow *out)
{
	struct pol_eval_peer src = world_peer(w, b->ir, f->src), dst = world_peer(w, b->ir, f->dst);

	pol_eval_flow(b->ir, &src, world_place(w, f->src) == PLACE_LOCAL, &dst,
		      world_place(w, f->dst) == PLACE_LOCAL, flow_key(f), out);
}

void check_tally(struct tally *t, const struct build *b, const struct pol_eval_flow *f)
{
	const struct pol_eval_side *s = &f->side[f->decided_by];

	t->action[f->action]++;
	t->both_sides += f->judged[POL_INGRESS] && f->judged[POL_EGRESS];
	t->audited += s->audit_rule != POL_NO_RULE;
	t->limited += s->nlimits > 0;
	if (s->rule < b->ir->rules.n)
		t->implicit[b->ir->rules.v[s->rule].implicit]++;
}

/* ---- user space ------------------------------------------------------------------ */

static void say_side(struct pol_buf *why, const char *who, unsigned action, uint32_t rule,
		     uint32_t audit, bool log, size_t nlimits)
{
	pol_buf_printf(why, "  %-9s %s by rule %d, audit %d%s, %zu limits\n", who,
		       action_name(action), (int)rule, (int)audit, log ? ", log" : "", nlimits);
}

static bool same_side(const struct pol_eval_side *want, const struct pol_verdict *got)
{
	if (want->action != got->action || want->rule != got->rule ||
	    want->audit_rule != got->audit_rule || want->nlimits != got->nlimits ||
	    want->log != !!(got->flags & POL_VF_LOG))
		return false;
	for (size_t i = 0; i < want->nlimits; i++)
		if (want->limit[i] != got->limit[i])
			return false;
	return true;
}

/* ---- against the text ------------------------------------------------------------- */

/* The place of the rule, where it is one that was written. */
static struct pol_span written(const struct build *b, uint32_t rule)
{
	if (rule >= b->ir->rules.n || b->ir->rules.v[rule].implicit != POL_EXPLICIT)
		return POL_NO_SPAN;
	return b->ir->rules.v[rule].span;
}

static bool lowered_side(const struct build *b, const struct world *w, enum pol_direction dir,
			 struct pol_ip own, struct pol_ip other, const struct flow *f,
			 const struct pol_eval_side *got, struct pol_buf *why)
{
	struct pol_eval_peer peer = world_peer(w, b->ir, other);
	struct pol_span at = written(b, got->rule);
	struct oracle_answer want;

	oracle_side(b->program, world_labels(world_owner(w, own)), dir, &peer, f->proto, f->value,
		    &want);
	if (want.action == got->action && want.span.file == at.file &&
	    want.span.start == at.start && want.audited == (got->audit_rule != POL_NO_RULE))
		return true;
	pol_buf_printf(why, "the evaluator differs from the text, %s side:\n", directions[dir]);
	say_side(why, "evaluator", got->action, got->rule, got->audit_rule, got->log, got->nlimits);
	pol_buf_printf(why, "  text      %s by `", action_name(want.action));
	if (!pol_span_is_none(want.span))
		pol_buf_add(why, pol_source_text(b->program->sources, want.span));
	pol_buf_printf(why, "`%s\n", want.audited ? ", an audit policy would deny it" : "");
	return false;
}

bool check_lowering(const struct build *b, const struct world *w, const struct flow *f,
		    const struct pol_eval_flow *expect, struct pol_buf *why)
{
	if (expect->judged[POL_EGRESS] &&
	    !lowered_side(b, w, POL_EGRESS, f->src, f->dst, f, &expect->side[POL_EGRESS], why))
		return false;
	return !expect->judged[POL_INGRESS] ||
	       lowered_side(b, w, POL_INGRESS, f->dst, f->src, f, &expect->side[POL_INGRESS], why);
}

/* ---- against the tables ------------------------------------------------------------- */

static bool check_side(const struct build *b, const struct world *w, enum pol_direction dir,
		       struct pol_ip own, struct pol_ip other, const struct flow *f,
		       const struct pol_eval_side *want, struct pol_buf *why)
{
	struct prt_place_peer peer = build_peer(b, w, other);
	uint32_t l4 = prt_l4_class(b->object, f->proto, f->value);
	struct pol_verdict got = { 0 };
	int r = prt_place_verdict(b->place, world_owner(w, own)->number, dir, &peer, l4, &got);

	if (!r && same_side(want, &got))
		return true;
	pol_buf_printf(why, "tables differ from the evaluator, %s side:\n", directions[dir]);
	say_side(why, "evaluator", want->action, want->rule, want->audit_rule, want->log,
		 want->nlimits);
	if (r)
		pol_buf_printf(why, "  tables    error %d\n", r);
	else
		say_side(why, "tables", got.action, got.rule, got.audit_rule,
			 got.flags & POL_VF_LOG, got.nlimits);
	return false;
}

bool check_tables(const struct build *b, const struct world *w, const struct flow *f,
		  const struct pol_eval_flow *expect, struct pol_buf *why)
{
	if (expect->judged[POL_EGRESS] &&
	    !check_side(b, w, POL_EGRESS, f->src, f->dst, f, &expect->side[POL_EGRESS], why))
		return false;
	return !expect->judged[POL_INGRESS] ||
	       check_side(b, w, POL_INGRESS, f->dst, f->src, f, &expect->side[POL_INGRESS], why);
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
		       what, s->result, action_name(s->scratch.action),
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
			say_side(why, directions[order[i]], want->side[order[i]].action,
				 want->side[order[i]].rule, want->side[order[i]].audit_rule,
				 want->side[order[i]].log, want->side[order[i]].nlimits);
	pol_buf_printf(why, "  evaluator %s by the %s side\n", action_name(want->action),
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

bool check_judged(const struct seen *s, const struct flow *f, const struct pol_eval_flow *want,
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

bool check_passed(const struct seen *s, struct pol_buf *why)
{
	if (s->result == TC_ACT_SHOT || s->scratch.reason != POL_REASON_NONE ||
	    !s->scratch.from_state)
		return say(why, "a packet of a live flow did not pass by it", s);
	return true;
}

bool check_again(const struct seen *s, const struct pol_eval_flow *want, struct pol_buf *why)
{
	if (!same_outcome(s, want) || !same_rules(s, want))
		return say_flow(why, "a live flow judged again differs from the evaluator", s,
				want);
	return true;
}
