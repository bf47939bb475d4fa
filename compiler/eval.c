/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/eval.h"

/* ---- labels ------------------------------------------------------------------- */

static const struct pol_label *label_find(struct pol_labels labels, struct pol_str key)
{
	for (size_t i = 0; i < labels.n; i++)
		if (pol_str_eq(labels.v[i].key, key))
			return &labels.v[i];
	return NULL;
}

static bool value_listed(const struct pol_sel *s, struct pol_str value)
{
	for (size_t i = 0; i < s->n; i++)
		if (pol_str_eq(s->value[i], value))
			return true;
	return false;
}

/* The depth is bounded by the parser's and the size by lower_sel.c. */
bool pol_eval_sel(const struct pol_ir *ir, uint32_t sel, struct pol_labels labels)
{
	const struct pol_sel *s = &ir->sels.v[sel];
	const struct pol_label *label;

	switch (s->op) {
	case POL_SEL_TRUE:
		return true;
	case POL_SEL_IN:
		label = label_find(labels, s->key);
		return label && value_listed(s, label->value);
	case POL_SEL_HAS:
		return label_find(labels, s->key) != NULL;
	case POL_SEL_NOT:
		return !pol_eval_sel(ir, s->operand[0], labels);
	case POL_SEL_AND:
		for (size_t i = 0; i < s->n; i++)
			if (!pol_eval_sel(ir, s->operand[i], labels))
				return false;
		return true;
	case POL_SEL_OR:
		for (size_t i = 0; i < s->n; i++)
			if (pol_eval_sel(ir, s->operand[i], labels))
				return true;
		return false;
	}
	return false;
}

/* ---- addresses ---------------------------------------------------------------- */

/* Sorted and disjoint: the last range that begins at or below x is the only candidate. */
static bool in_ranges32(const struct pol_range32 *r, size_t n, uint32_t x)
{
	size_t lo = 0;

	while (n - lo > 1) {
		size_t mid = lo + (n - lo) / 2;

		if (r[mid].lo <= x)
			lo = mid;
		else
			n = mid;
	}
	return lo < n && r[lo].lo <= x && x <= r[lo].hi;
}

static bool in_ranges128(const struct pol_range128 *r, size_t n, pol_u128 x)
{
	size_t lo = 0;

	while (n - lo > 1) {
		size_t mid = lo + (n - lo) / 2;

		if (r[mid].lo <= x)
			lo = mid;
		else
			n = mid;
	}
	return lo < n && r[lo].lo <= x && x <= r[lo].hi;
}

static bool in_aset(const struct pol_aset *s, struct pol_ip ip)
{
	if (ip.family == 4)
		return in_ranges32(s->v4, s->n4, (uint32_t)ip.lo);
	return in_ranges128(s->v6, s->n6, (pol_u128)ip.hi << 64 | ip.lo);
}

/*
 * An address outside the last named set, which lower.c makes the union of all
 * prefixes that the policy names (its name is empty). False if they cover everything.
 */
static bool unnamed_address(const struct pol_ir *ir, struct pol_ip *out)
{
	const struct pol_aset *named;

	*out = (struct pol_ip){ .family = 4 };
	if (!ir->cidrs.n || ir->cidrs.v[ir->cidrs.n - 1].name.n)
		return true;
	named = &ir->asets.v[ir->cidrs.v[ir->cidrs.n - 1].aset];
	if (!named->n4 || named->v4[0].lo > 0)
		return true;
	if (named->v4[0].hi != UINT32_MAX) {
		out->lo = named->v4[0].hi + 1;
		return true;
	}
	out->family = 6;
	if (!named->n6 || named->v6[0].lo > 0)
		return true;
	if (named->v6[0].hi == ~(pol_u128)0)
		return false;
	out->hi = (uint64_t)((named->v6[0].hi + 1) >> 64);
	out->lo = (uint64_t)(named->v6[0].hi + 1);
	return true;
}

uint32_t pol_eval_kind(const struct pol_ir *ir, struct pol_ip addr)
{
	return in_aset(&ir->asets.v[ir->pool], addr) ? POL_PEER_POOL : POL_PEER_WORLD;
}

/* ---- peers -------------------------------------------------------------------- */

bool pol_eval_pred(const struct pol_ir *ir, uint32_t pred, const struct pol_eval_peer *peer)
{
	const struct pol_pred *p = &ir->preds.v[pred];
	struct pol_ip ip = peer->addr;
	bool known = peer->has_addr || unnamed_address(ir, &ip);

	for (size_t i = 0; i < p->n; i++) {
		const struct pol_term *t = &p->term[i];

		if (!(t->mask & peer->kind))
			continue;
		if (t->sel && !pol_eval_sel(ir, t->sel, peer->labels))
			continue;
		if (t->aset && !(known && in_aset(&ir->asets.v[t->aset], ip)))
			continue;
		return true;
	}
	return false;
}

/* ---- one side ----------------------------------------------------------------- */

/* What one side asks of every rule. */
struct question {
	const struct pol_ir *ir;
	struct pol_labels own;
	enum pol_direction dir;
	const struct pol_eval_peer *peer;
	uint32_t l4_key;
};

static bool matches(const struct question *q, const struct pol_rule *r)
{
	const struct pol_l4set *l4 = &q->ir->l4sets.v[r->l4];

	return r->direction == q->dir && pol_eval_sel(q->ir, r->subject, q->own) &&
	       in_ranges32(l4->range, l4->n, q->l4_key) && pol_eval_pred(q->ir, r->pred, q->peer);
}

/* The first rule that matches and decides. A skip ends its stage, but not the default. */
static const struct pol_rule *first_match(const struct question *q, bool with_audit)
{
	bool skipped[POL_STAGES] = { false };

	for (size_t i = 0; i < q->ir->by_order.n; i++) {
		const struct pol_rule *r = &q->ir->rules.v[q->ir->by_order.v[i]];

		if (r->audit && !with_audit)
			continue;
		if (skipped[r->stage] && r->implicit != POL_IMPLICIT_DEFAULT)
			continue;
		if (!matches(q, r))
			continue;
		if (r->action != POL_SKIP)
			return r;
		skipped[r->stage] = true;
	}
	return NULL;
}

static void limit_add(struct pol_eval_side *out, uint32_t limit)
{
	size_t at = out->nlimits;

	if (at == POL_VERDICT_LIMITS)
		return; /* the compiler refuses such a policy */
	for (; at > 0 && out->limit[at - 1] > limit; at--)
		out->limit[at] = out->limit[at - 1];
	out->limit[at] = limit;
	out->nlimits++;
}

static void http_add(struct pol_eval_side *out, uint16_t http)
{
	size_t at = out->nhttp;

	if (at == POL_VERDICT_HTTP)
		return; /* the compiler refuses such a policy */
	for (; at > 0 && out->http[at - 1] > http; at--)
		out->http[at] = out->http[at - 1];
	out->http[at] = http;
	out->nhttp++;
}

/* Allows of ordinary policies add up: every limit and http block holds, one `log` is enough. */
static void add_allows(const struct question *q, struct pol_eval_side *out)
{
	for (size_t i = 0; i < q->ir->rules.n; i++) {
		const struct pol_rule *r = &q->ir->rules.v[i];

		if (r->stage != POL_STAGE_MAIN || r->action != POL_ALLOW || r->audit ||
		    !matches(q, r))
			continue;
		out->log = out->log || r->log;
		if (r->limit >= 0)
			limit_add(out, (uint32_t)r->limit);
		if (r->http >= 0)
			http_add(out, (uint16_t)r->http);
		else
			out->plain = true;
	}
}

static bool denies(enum pol_action action)
{
	return action == POL_DENY || action == POL_REJECT;
}

void pol_eval_side(const struct pol_ir *ir, struct pol_labels own, enum pol_direction dir,
		   const struct pol_eval_peer *peer, uint32_t l4_key, struct pol_eval_side *out)
{
	struct question q = { ir, own, dir, peer, l4_key };
	const struct pol_rule *r = first_match(&q, false);
	const struct pol_rule *audit;

	*out = (struct pol_eval_side){ .action = POL_DENY,
				       .rule = POL_NO_RULE,
				       .audit_rule = POL_NO_RULE };
	if (!r)
		return;
	out->action = r->action;
	out->rule = r->id;
	out->log = r->log;
	if (r->action != POL_ALLOW)
		return;
	if (r->stage == POL_STAGE_MAIN)
		add_allows(&q, out);
	audit = first_match(&q, true);
	if (audit && denies(audit->action))
		out->audit_rule = audit->id;
}

struct pol_http_verdict pol_eval_request(const struct pol_ir *ir, const struct pol_eval_side *side,
					 const struct pol_http_request *request)
{
	if (side->action != POL_ALLOW)
		return (struct pol_http_verdict){ .line = POL_HTTP_NO_LINE };
	if (!side->nhttp)
		return (struct pol_http_verdict){ .allow = true, .line = POL_HTTP_NO_LINE };
	return pol_http_judge(&ir->http, side->http, side->nhttp, side->plain, request);
}

/* ---- both sides --------------------------------------------------------------- */

void pol_eval_flow(const struct pol_ir *ir, const struct pol_eval_peer *src, bool src_here,
		   const struct pol_eval_peer *dst, bool dst_here, uint32_t l4_key,
		   struct pol_eval_flow *out)
{
	*out = (struct pol_eval_flow){ .action = POL_ALLOW, .decided_by = POL_EGRESS };
	out->judged[POL_EGRESS] = src_here && src->kind == POL_PEER_ENDPOINT;
	out->judged[POL_INGRESS] = dst_here && dst->kind == POL_PEER_ENDPOINT;
	if (out->judged[POL_EGRESS])
		pol_eval_side(ir, src->labels, POL_EGRESS, dst, l4_key, &out->side[POL_EGRESS]);
	if (out->judged[POL_INGRESS])
		pol_eval_side(ir, dst->labels, POL_INGRESS, src, l4_key, &out->side[POL_INGRESS]);
	if (out->judged[POL_EGRESS])
		out->action = out->side[POL_EGRESS].action;
	if (out->action != POL_ALLOW || !out->judged[POL_INGRESS])
		return;
	out->action = out->side[POL_INGRESS].action;
	out->decided_by = POL_INGRESS;
}
