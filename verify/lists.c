/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/private.h"

/* ---- lists ---------------------------------------------------------------------- */

struct ver_lists {
	struct pol_arena *arena;
	POL_VEC(struct ver_list) v;
	uint32_t *slot; /* hash of the rules: number + 1 */
	size_t cap;
};

struct ver_lists *ver_lists_new(struct pol_arena *a)
{
	struct ver_lists *l = pol_arena_alloc(a, sizeof(*l));

	l->arena = a;
	return l;
}

void ver_lists_free(struct ver_lists *l)
{
	pol_vec_free(&l->v);
	free(l->slot);
}

struct ver_list ver_lists_at(const struct ver_lists *l, uint32_t list)
{
	return l->v.v[list];
}

static size_t slot_of(const struct ver_lists *l, struct ver_list x)
{
	size_t at = pol_hash(x.rule, x.n * sizeof(*x.rule), 3) & (l->cap - 1);

	while (l->slot[at]) {
		struct ver_list y = l->v.v[l->slot[at] - 1];

		if (x.n == y.n && (!x.n || memcmp(x.rule, y.rule, x.n * sizeof(*x.rule)) == 0))
			break;
		at = (at + 1) & (l->cap - 1);
	}
	return at;
}

static void grow(struct ver_lists *l)
{
	free(l->slot);
	l->cap = l->cap ? 2 * l->cap : 256;
	l->slot = calloc(l->cap, sizeof(*l->slot));
	if (!l->slot)
		pol_no_memory();
	for (size_t i = 0; i < l->v.n; i++)
		l->slot[slot_of(l, l->v.v[i])] = (uint32_t)i + 1;
}

static int by_order(const void *pa, const void *pb, void *ctx)
{
	const struct pol_ir *ir = ctx;
	uint32_t a = ir->rules.v[*(const uint32_t *)pa].order;
	uint32_t b = ir->rules.v[*(const uint32_t *)pb].order;

	return (a > b) - (a < b);
}

uint32_t ver_lists_get(struct ver_lists *l, const struct pol_ir *ir, uint32_t *rule, size_t n)
{
	struct ver_list x = { rule, 0 };
	uint32_t *keep;
	size_t at;

	if (n)
		qsort_r(rule, n, sizeof(*rule), by_order, (void *)ir);
	for (size_t i = 0; i < n; i++)
		if (!i || rule[i] != rule[i - 1])
			rule[x.n++] = rule[i];
	if (2 * l->v.n >= l->cap)
		grow(l);
	at = slot_of(l, x);
	if (l->slot[at])
		return l->slot[at] - 1;
	keep = pol_arena_alloc(l->arena, (x.n + 1) * sizeof(*keep));
	if (x.n)
		memcpy(keep, rule, x.n * sizeof(*keep));
	*pol_vec_push(&l->v) = (struct ver_list){ keep, x.n };
	l->slot[at] = (uint32_t)l->v.n;
	return (uint32_t)l->v.n - 1;
}

/* ---- verdicts --------------------------------------------------------------------- */

static void take_limit(struct pol_verdict *v, uint32_t limit)
{
	unsigned at = v->nlimits;

	if (at == POL_VERDICT_LIMITS)
		return; /* the compiler refuses such a policy */
	for (; at && v->limit[at - 1] > limit; at--)
		v->limit[at] = v->limit[at - 1];
	v->limit[at] = limit;
	v->nlimits++;
}

static void take_http(struct pol_verdict *v, uint16_t http)
{
	uint32_t at = v->nhttp;

	if (at == POL_VERDICT_HTTP)
		return;
	for (; at && v->http[at - 1] > http; at--)
		v->http[at] = v->http[at - 1];
	v->http[at] = http;
	v->nhttp++;
}

static void take(const struct pol_ir *ir, const struct pol_rule *r, bool adds,
		 struct pol_verdict *v)
{
	if (r->log)
		v->flags |= POL_VF_LOG;
	if (r->action != POL_ALLOW)
		return;
	if (r->limit >= 0)
		take_limit(v, (uint32_t)r->limit);
	if (r->http >= 0)
		take_http(v, (uint16_t)r->http);
	else if (adds && ir->https.n)
		v->flags |= POL_VF_PLAIN;
}

static bool adds_up(const struct pol_rule *r)
{
	return r->stage == POL_STAGE_MAIN && r->action == POL_ALLOW;
}

/* What a skip in the last tiers leaves: the default of that direction, asked nothing. */
static const struct pol_rule *after_skip(const struct pol_ir *ir, const struct pol_rule *skip)
{
	for (size_t i = 0; i < ir->rules.n; i++)
		if (ir->rules.v[i].implicit == POL_IMPLICIT_DEFAULT &&
		    ir->rules.v[i].direction == skip->direction)
			return &ir->rules.v[i];
	return skip;
}

/*
 * The first rule decides.  Of ordinary allows all that match count, with limits, http blocks
 * and `log`: what one of them asks for is not forgotten because another comes first.
 */
void ver_expect(const struct pol_ir *ir, struct ver_list matching, struct pol_verdict *out)
{
	const struct pol_rule *first, *says;

	*out = (struct pol_verdict){ .order = UINT32_MAX,
				     .rule = POL_NO_RULE,
				     .audit_rule = POL_NO_RULE,
				     .action = POL_NONE };
	if (!matching.n)
		return;
	first = says = &ir->rules.v[matching.rule[0]];
	if (first->stage == POL_STAGE_BASELINE && first->action == POL_SKIP)
		says = after_skip(ir, first);
	*out = (struct pol_verdict){ .order = first->order + 1,
				     .rule = says->id,
				     .audit_rule = POL_NO_RULE,
				     .action = (uint8_t)says->action };
	if (adds_up(first))
		out->flags |= POL_VF_ADDS;
	take(ir, says, adds_up(first), out);
	for (size_t i = 1; adds_up(first) && i < matching.n; i++)
		if (adds_up(&ir->rules.v[matching.rule[i]]))
			take(ir, &ir->rules.v[matching.rule[i]], true, out);
}

/* ---- pairs -------------------------------------------------------------------------- */

static size_t pair_slot(const struct ver_pairs *p, uint64_t x)
{
	size_t at = pol_hash(&x, sizeof(x), 7) & (p->cap - 1);

	while (p->v[at] && p->v[at] != x)
		at = (at + 1) & (p->cap - 1);
	return at;
}

bool ver_pairs_add(struct ver_pairs *p, uint32_t a, uint32_t b)
{
	uint64_t x = ((uint64_t)a << 32 | b) + 1; /* 0: free */
	uint64_t *old = p->v;
	size_t n = p->cap, at;

	if (2 * p->n >= p->cap) {
		p->cap = n ? 2 * n : 1024;
		p->v = calloc(p->cap, sizeof(*p->v));
		if (!p->v)
			pol_no_memory();
		for (size_t i = 0; i < n; i++)
			if (old[i])
				p->v[pair_slot(p, old[i])] = old[i];
		free(old);
	}
	at = pair_slot(p, x);
	if (p->v[at])
		return false;
	p->v[at] = x;
	p->n++;
	return true;
}
