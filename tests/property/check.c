/* SPDX-License-Identifier: GPL-2.0-only */
#include "check.h"

#include "oracle.h"

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
	pol_buf_printf(why, "the evaluator differs from the text, %s side:\n",
		       judge_direction(dir));
	judge_say_side(why, "evaluator", got->action, got->rule, got->audit_rule, got->log,
		       got->nlimits);
	pol_buf_printf(why, "  text      %s by `", judge_action(want.action));
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
	struct prt_place_peer peer = world_place_peer(w, b->ir, b->place, other);
	uint32_t l4 = prt_l4_class(b->object, f->proto, f->value);
	struct pol_verdict got = { 0 };
	int r = prt_place_verdict(b->place, world_owner(w, own)->number, dir, &peer, l4, &got);

	if (!r && same_side(want, &got))
		return true;
	pol_buf_printf(why, "tables differ from the evaluator, %s side:\n", judge_direction(dir));
	judge_say_side(why, "evaluator", want->action, want->rule, want->audit_rule, want->log,
		       want->nlimits);
	if (r)
		pol_buf_printf(why, "  tables    error %d\n", r);
	else
		judge_say_side(why, "tables", got.action, got.rule, got.audit_rule,
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
