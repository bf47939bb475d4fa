/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules that decide nothing.
 *
 * From the last rule to the first: put it behind all others that could take
 * its place and look for a flow that still reaches it. What does not is taken
 * out before the next is asked, so all of them can go together.
 *
 * Most rules miss each other for sure: the hull of a rule is the smallest box
 * around what it matches, and only rules whose hulls meet are looked at.
 */
#include "compiler/analysis/chain.h"
#include "compiler/analysis/lint.h"
#include "compiler/ranges.h"

#define STEPS (1u << 22) /* for one rule */
#define MAX_DEPTH 4000u
#define MAX_CONFLICTS 64u /* rules tried */

struct hull {
	uint32_t rule, kinds, l4_lo, l4_hi;
	pol_u128 lo[2], hi[2]; /* by family: 4, 6; lo > hi: none */
};

struct slot { /* of an index: where a hull stands */
	uint64_t bucket;
	uint32_t at;
};

struct group { /* rules of one direction and subject */
	enum pol_direction dir;
	uint32_t subject;
	uint64_t *labels; /* hull of the subject; NULL: nobody */
	POL_VEC(struct hull) rules; /* first match first */
	POL_VEC(struct slot) index; /* by bucket, then place */
	POL_VEC(uint32_t) meets; /* groups whose subjects may overlap */
};

struct linting {
	const struct pol_space *s;
	const struct pol_ir *ir;
	struct pol_arena *arena;
	struct pol_rule_life *life;
	POL_VEC(struct group) groups;
	uint32_t *group_of; /* by rule */
	struct hull *hull; /* by rule */
	const struct pol_rule *x; /* the rule in question */
	uint64_t steps, max_steps;
	bool probed;
	POL_VEC(uint32_t) blockers;
};

/* ---- hulls ---------------------------------------------------------------------- */

static void hull_sel(const struct pol_space *s, uint32_t sel, bool negated, uint64_t *out)
{
	const struct pol_sel *x = &s->ir[0]->sels.v[sel];
	const struct pol_space_sel *m = &s->sel[0][sel];
	bool meet = (x->op == POL_SEL_AND) != negated;
	uint64_t *part;

	memcpy(out, s->any, s->words * sizeof(*out));
	switch (x->op) {
	case POL_SEL_TRUE:
		return;
	case POL_SEL_IN:
	case POL_SEL_HAS:
		for (uint32_t i = 0; i < s->key[m->key].words; i++)
			out[s->key[m->key].word + i] &= negated ? ~m->bits[i] : m->bits[i];
		return;
	case POL_SEL_NOT:
		hull_sel(s, x->operand[0], !negated, out);
		return;
	case POL_SEL_AND:
	case POL_SEL_OR:
		break;
	}
	part = calloc(s->words + 1, sizeof(*part));
	if (!part)
		pol_no_memory();
	if (!meet)
		memset(out, 0, s->words * sizeof(*out));
	for (size_t i = 0; i < x->n; i++) {
		hull_sel(s, x->operand[i], negated, part);
		for (size_t w = 0; w < s->words; w++)
			out[w] = meet ? out[w] & part[w] : out[w] | part[w];
	}
	free(part);
}

/* A key without any value left: no label set at all. */
static bool has_labels(const struct pol_space *s, const uint64_t *labels)
{
	for (size_t i = 0; i < s->n_keys; i++) {
		uint64_t any = 0;

		for (uint32_t w = 0; w < s->key[i].words; w++)
			any |= labels[s->key[i].word + w];
		if (!any)
			return false;
	}
	return true;
}

static void widen(struct hull *h, unsigned family, pol_u128 lo, pol_u128 hi)
{
	if (lo < h->lo[family])
		h->lo[family] = lo;
	if (hi > h->hi[family])
		h->hi[family] = hi;
}

static struct hull hull_of(const struct linting *l, const struct pol_rule *r)
{
	const struct pol_l4set *l4 = &l->s->l4[0][r->l4];
	const struct pol_pred *p = &l->ir->preds.v[r->pred];
	struct hull h = { .rule = r->id, .lo = { 1, 1 }, .l4_lo = 1 };

	h.lo[0] = h.lo[1] = ~(pol_u128)0;
	if (l4->n) {
		h.l4_lo = l4->range[0].lo;
		h.l4_hi = l4->range[l4->n - 1].hi;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct pol_aset *a = &l->ir->asets.v[p->term[i].aset];

		h.kinds |= p->term[i].mask;
		if (a->n4)
			widen(&h, 0, a->v4[0].lo, a->v4[a->n4 - 1].hi);
		if (a->n6)
			widen(&h, 1, a->v6[0].lo, a->v6[a->n6 - 1].hi);
	}
	if (h.kinds & POL_PEER_POOL)
		h.kinds = (h.kinds & ~POL_PEER_POOL) | POL_KIND_STRANGER;
	return h;
}

static bool hulls_meet(const struct hull *a, const struct hull *b)
{
	return a->l4_lo <= b->l4_hi && b->l4_lo <= a->l4_hi && (a->kinds & b->kinds) &&
	       ((a->lo[0] <= b->hi[0] && b->lo[0] <= a->hi[0]) ||
		(a->lo[1] <= b->hi[1] && b->lo[1] <= a->hi[1]));
}

/*
 * Rules whose peer lies within one /16, or one /32 of IPv6, never meet those
 * within another. 0: wide, meets any. An IPv4 prefix has its copy in 64:ff9b::/96,
 * so IPv6 rules there are wide.
 */
static uint64_t bucket_of(const struct hull *h)
{
	bool four = h->lo[0] <= h->hi[0], six = h->lo[1] <= h->hi[1];
	pol_u128 nat64 = POL_NAT64_PREFIX;
	bool copy = h->lo[1] >> 32 == nat64 >> 32 && h->hi[1] >> 32 == nat64 >> 32;

	if (four)
		return h->lo[0] >> 16 == h->hi[0] >> 16 && (!six || copy)
			       ? 1 + (uint64_t)(h->lo[0] >> 16)
			       : 0;
	if (!six || h->lo[1] >> 96 != h->hi[1] >> 96 || h->lo[1] >> 96 == nat64 >> 96)
		return 0;
	return (uint64_t)1 << 32 | (uint64_t)(h->lo[1] >> 96);
}

static int slot_cmp(const void *pa, const void *pb)
{
	const struct slot *a = pa, *b = pb;

	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static void make_index(struct group *g)
{
	for (size_t i = 0; i < g->rules.n; i++)
		*pol_vec_push(&g->index) = (struct slot){ bucket_of(&g->rules.v[i]), (uint32_t)i };
	qsort(g->index.v, g->index.n, sizeof(*g->index.v), slot_cmp);
}

/* The first slot of the bucket or of a later one. */
static size_t slot_find(const struct group *g, uint64_t bucket)
{
	size_t lo = 0, n = g->index.n;

	while (n) {
		size_t half = n / 2;

		if (g->index.v[lo + half].bucket < bucket) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return lo;
}

/* ---- groups ------------------------------------------------------------------------ */

static uint32_t group_find(struct linting *l, uint32_t *first, const struct pol_rule *r)
{
	uint32_t *at = &first[r->subject * POL_DIRECTIONS + r->direction];
	struct group *g;

	if (*at)
		return *at - 1;
	g = pol_vec_push(&l->groups);
	*at = (uint32_t)l->groups.n;
	*g = (struct group){ .dir = r->direction, .subject = r->subject };
	g->labels = pol_arena_alloc(l->arena, (l->s->words + 1) * sizeof(*g->labels));
	hull_sel(l->s, r->subject, false, g->labels);
	if (!has_labels(l->s, g->labels))
		g->labels = NULL;
	return *at - 1;
}

static void gather(struct linting *l)
{
	uint32_t *first = calloc(l->ir->sels.n * POL_DIRECTIONS + 1, sizeof(*first));

	if (!first)
		pol_no_memory();
	for (size_t i = 0; i < l->ir->by_order.n; i++) {
		const struct pol_rule *r = &l->ir->rules.v[l->ir->by_order.v[i]];

		l->hull[r->id] = hull_of(l, r);
		if (r->audit)
			continue;
		l->group_of[r->id] = group_find(l, first, r);
		*pol_vec_push(&l->groups.v[l->group_of[r->id]].rules) = l->hull[r->id];
	}
	free(first);
	for (size_t i = 0; i < l->groups.n; i++) {
		struct group *g = &l->groups.v[i];

		make_index(g);
		for (size_t k = 0; k < l->groups.n; k++)
			if (g->labels && l->groups.v[k].dir == g->dir &&
			    pol_space_sel(l->s, 0, l->groups.v[k].subject, g->labels) != POL_NO)
				*pol_vec_push(&g->meets) = (uint32_t)k;
	}
}

/* ---- who may stand before the rule ---------------------------------------------------- */

static bool same_place(const struct pol_rule *a, const struct pol_rule *b)
{
	return a->stage == POL_STAGE_MAIN && b->stage == POL_STAGE_MAIN && !b->implicit &&
	       a->action == b->action;
}

/*
 * Without b, would x say the same of what both match? Limits, log lines and http blocks are more
 * than a verdict.
 */
static bool may_block(const struct pol_rule *x, const struct pol_rule *b)
{
	bool more = x->log || x->limit >= 0 || x->name.n || x->http >= 0;

	if (x == b)
		return false;
	/* an allow beside an http block opens what that restricts; lines of two blocks add up */
	if (same_place(x, b) && b->http >= 0)
		return false;
	if (same_place(x, b))
		return !more || (x->action != POL_ALLOW && b->order < x->order);
	return b->order < x->order;
}

static int by_order(const void *pa, const void *pb, void *ctx)
{
	const struct pol_rule *rules = ctx;
	uint32_t a = rules[*(const uint32_t *)pa].order, b = rules[*(const uint32_t *)pb].order;

	return (a > b) - (a < b);
}

typedef POL_VEC(uint32_t) ids_vec;

static void add_candidates(const struct linting *l, const struct group *g, uint64_t bucket,
			   bool all, ids_vec *ids)
{
	const struct hull *h = &l->hull[l->x->id];

	for (size_t i = all ? 0 : slot_find(g, bucket); i < g->index.n; i++) {
		const struct hull *o = &g->rules.v[g->index.v[i].at];
		enum pol_life life = l->life[o->rule].life;

		if (!all && g->index.v[i].bucket != bucket)
			return;
		if (hulls_meet(h, o) && may_block(l->x, &l->ir->rules.v[o->rule]) &&
		    (life == POL_LIFE_LIVE || life == POL_LIFE_UNASKED ||
		     life == POL_LIFE_UNDECIDED))
			*pol_vec_push(ids) = o->rule;
	}
}

static struct pol_chain candidates(struct linting *l)
{
	const struct group *own = &l->groups.v[l->group_of[l->x->id]];
	uint64_t bucket = bucket_of(&l->hull[l->x->id]);
	ids_vec ids = { 0 };

	for (size_t i = 0; i < own->meets.n; i++) {
		const struct group *g = &l->groups.v[own->meets.v[i]];

		add_candidates(l, g, 0, bucket == 0, &ids);
		if (bucket)
			add_candidates(l, g, bucket, false, &ids);
	}
	if (ids.n)
		qsort_r(ids.v, ids.n, sizeof(*ids.v), by_order, l->ir->rules.v);
	return (struct pol_chain){ .rule = ids.v, .n = ids.n, .judged = true };
}

/* ---- is there a flow left? -------------------------------------------------------------- */

static bool is_blocker(const struct linting *l, uint32_t rule)
{
	for (size_t i = 0; i < l->blockers.n; i++)
		if (l->blockers.v[i] == rule)
			return true;
	return false;
}

static void block(struct linting *l, uint32_t rule, const struct pol_box *b)
{
	if (is_blocker(l, rule))
		return;
	if (!l->blockers.n)
		l->life[l->x->id].flow = pol_box_point(l->s, b);
	*pol_vec_push(&l->blockers) = rule;
}

/* What keeps every flow of the box from the rule; POL_NO_RULE: nothing alone. */
static uint32_t in_the_way(const struct linting *l, const struct pol_chain *c)
{
	if (c->skip[l->x->stage])
		return c->skip[l->x->stage] - 1;
	return c->ended ? c->rule[c->n - 1] : POL_NO_RULE;
}

static void look(struct linting *l, const struct pol_rule *r)
{
	pol_steps_spend(&l->steps, pol_space_rule_steps(l->s, 0, r));
}

static struct pol_box part_of(struct linting *l, const struct pol_box *b, const struct pol_cut *cut,
			      bool second)
{
	pol_steps_spend(&l->steps, pol_box_part_steps(l->s, cut));
	return pol_box_part(l->s, b, cut, second);
}

/* One flow of a box that the rule matches whole: most rules that live show it at once. */
static bool probe(struct linting *l, const struct pol_box *b, const struct pol_chain *c,
		  unsigned nth)
{
	unsigned peer = POL_PEER(l->x->direction);
	struct pol_box one = *b;
	struct pol_end *e = &one.end[peer];
	uint32_t kinds[] = { POL_KIND_STRANGER, POL_PEER_ENDPOINT, POL_PEER_HOST };

	one.l4_lo = one.l4_hi = nth & 1 ? b->l4_lo : b->l4_hi;
	e->lo = e->hi = nth & 2 ? b->end[peer].lo : b->end[peer].hi;
	if (e->kinds & kinds[nth % 3])
		e->kinds = kinds[nth % 3];
	for (size_t i = 0; i < c->n; i++) {
		look(l, &l->ir->rules.v[c->rule[i]]);
		if (!l->steps ||
		    pol_space_rule(l->s, 0, &l->ir->rules.v[c->rule[i]], &one) != POL_NO)
			return false;
	}
	l->life[l->x->id].flow = pol_box_point(l->s, &one);
	return true;
}

static enum pol_answer reached(struct linting *l, const struct pol_box *b,
			       const struct pol_chain *outer, unsigned depth);

/* First where the rule in the way is out of it. */
static bool second_first(struct linting *l, const struct pol_box *b, const struct pol_cut *cut,
			 const struct pol_rule *away)
{
	struct pol_box part;
	bool out;

	if (!away)
		return false;
	part = part_of(l, b, cut, true);
	out = pol_space_rule(l->s, 0, away, &part) == POL_NO;
	pol_box_drop(&part, cut);
	return out;
}

/* Nothing that the second part could say matters once the steps are spent on the first. */
static enum pol_answer reached_in_parts(struct linting *l, const struct pol_box *b,
					const struct pol_chain *c, const struct pol_cut *cut,
					const struct pol_rule *away, unsigned depth)
{
	bool first = second_first(l, b, cut, away);
	enum pol_answer all = POL_NO, a;

	for (unsigned i = 0; i < 2 && all != POL_YES && l->steps; i++) {
		struct pol_box part = part_of(l, b, cut, i ^ first);

		a = reached(l, &part, c, depth + 1);
		pol_box_drop(&part, cut);
		if (a != POL_NO)
			all = a;
	}
	return l->steps || all == POL_YES ? all : POL_UNDECIDED;
}

static bool probed(struct linting *l, const struct pol_box *b, const struct pol_chain *c)
{
	bool found = false;

	for (unsigned i = 0; !l->probed && i < 6 && !found; i++)
		found = probe(l, b, c, i);
	l->probed = true;
	return found;
}

static enum pol_answer reached_here(struct linting *l, const struct pol_box *b,
				    const struct pol_chain *c, enum pol_answer matches,
				    unsigned depth)
{
	uint32_t end = in_the_way(l, c);
	const struct pol_rule *away = NULL;
	struct pol_cut cut;

	if (end != POL_NO_RULE && (matches == POL_YES || is_blocker(l, end))) {
		block(l, end, b);
		return POL_NO;
	}
	if (matches == POL_YES && !c->n) {
		l->life[l->x->id].flow = pol_box_point(l->s, b);
		return POL_YES;
	}
	if (matches == POL_YES && probed(l, b, c))
		return POL_YES;
	if (matches == POL_YES)
		away = &l->ir->rules.v[c->rule[0]];
	look(l, away ? away : l->x);
	cut = pol_cut_rule(l->s, 0, away ? away : l->x, b);
	return reached_in_parts(l, b, c, &cut, away, depth);
}

/* What is too deep ends the search: there is more of it beside, and no answer from there but "too many cases". */
static enum pol_answer reached(struct linting *l, const struct pol_box *b,
			       const struct pol_chain *outer, unsigned depth)
{
	enum pol_answer a;
	struct pol_chain c;

	look(l, l->x);
	if (depth > MAX_DEPTH)
		l->steps = 0;
	if (!l->steps)
		return POL_UNDECIDED;
	a = pol_space_rule(l->s, 0, l->x, b);
	if (a == POL_NO)
		return a;
	c = pol_chain_narrow(l->s, outer, b, &l->steps);
	a = l->steps ? reached_here(l, b, &c, a, depth) : POL_UNDECIDED;
	pol_chain_free(&c);
	return a;
}

/* The box around the rule in one family; false: nothing of it there. */
static bool hull_box(const struct linting *l, const struct pol_rule *r, unsigned family,
		     struct pol_box *b)
{
	const struct hull *h = &l->hull[r->id];
	const struct group *g = &l->groups.v[l->group_of[r->id]];
	unsigned own = POL_OWN(r->direction), peer = POL_PEER(r->direction);

	if (!g->labels || h->l4_lo > h->l4_hi || !h->kinds || h->lo[family] > h->hi[family])
		return false;
	*b = pol_box_all(l->s, family ? 6 : 4, POL_PEER_ENDPOINT, POL_PEER_ENDPOINT);
	b->end[own].labels = g->labels;
	b->end[peer].kinds = h->kinds;
	b->end[peer].lo = h->lo[family];
	b->end[peer].hi = h->hi[family];
	b->l4_lo = h->l4_lo;
	b->l4_hi = h->l4_hi;
	return true;
}

/* ---- a deny of somebody else in an allow --------------------------------------------------- */

static enum pol_answer overlap(struct linting *l, const struct pol_box *b, const struct pol_rule *x,
			       const struct pol_rule *y, struct pol_point *found)
{
	enum pol_answer ax, ay, a = POL_NO;
	struct pol_cut cut;

	look(l, x);
	look(l, y);
	if (!l->steps)
		return POL_UNDECIDED;
	ax = pol_space_rule(l->s, 0, x, b);
	ay = pol_space_rule(l->s, 0, y, b);
	if (ax == POL_NO || ay == POL_NO)
		return POL_NO;
	if (ax == POL_YES && ay == POL_YES) {
		*found = pol_box_point(l->s, b);
		return POL_YES;
	}
	cut = pol_cut_rule(l->s, 0, ax == POL_YES ? y : x, b);
	for (unsigned i = 0; i < 2 && a == POL_NO; i++) {
		struct pol_box part = part_of(l, b, &cut, i);

		a = overlap(l, &part, x, y, found);
		pol_box_drop(&part, &cut);
	}
	return a;
}

/* Is the flow denied by that rule, and not before? */
static bool decides(const struct linting *l, const struct pol_rule *r, const struct pol_point *p)
{
	struct pol_eval_flow f;

	pol_point_judge(l->ir, p, &f);
	return f.side[r->direction].rule == r->id;
}

static void find_conflict(struct linting *l, const struct pol_chain *c, struct pol_rule_life *life)
{
	unsigned tried = 0;

	l->steps = l->max_steps; /* for all of them */
	for (size_t i = 0; i < c->n && tried < MAX_CONFLICTS; i++) {
		const struct pol_rule *r = &l->ir->rules.v[c->rule[i]];

		if (r->stage != POL_STAGE_MAIN || r->implicit || r->action == POL_ALLOW ||
		    pol_str_eq(r->policy, l->x->policy))
			continue;
		tried++;
		for (unsigned family = 0; family < 2; family++) {
			struct pol_box b;

			if (!hull_box(l, l->x, family, &b) ||
			    overlap(l, &b, l->x, r, &life->conflict_flow) != POL_YES ||
			    !decides(l, r, &life->conflict_flow))
				continue;
			life->conflict = r->id;
			return;
		}
	}
}

/* ---- one rule after the other ----------------------------------------------------------------- */

static enum pol_life life_of(struct linting *l, enum pol_answer a, bool empty)
{
	bool other = false;

	if (a == POL_YES)
		return POL_LIFE_LIVE;
	if (a == POL_UNDECIDED)
		return POL_LIFE_UNDECIDED;
	if (empty || !l->blockers.n)
		return POL_LIFE_VOID;
	for (size_t i = 0; i < l->blockers.n; i++) {
		const struct pol_rule *b = &l->ir->rules.v[l->blockers.v[i]];

		/* One that comes later takes the rule's place: it is not before it. */
		if (b->order > l->x->order)
			return POL_LIFE_REDUNDANT;
		other = other || b->action != l->x->action;
	}
	return other ? POL_LIFE_DEAD : POL_LIFE_REDUNDANT;
}

static void lint_rule(struct linting *l, const struct pol_rule *r)
{
	struct pol_rule_life *life = &l->life[r->id];
	enum pol_answer all = POL_NO;
	struct pol_chain c;
	bool empty = true;

	l->x = r;
	l->probed = false;
	l->blockers.n = 0;
	c = candidates(l);
	for (unsigned family = 0; family < 2 && all == POL_NO; family++) {
		struct pol_box b;

		if (!hull_box(l, r, family, &b))
			continue;
		empty = false;
		l->steps = l->max_steps;
		all = reached(l, &b, &c, 0);
	}
	life->life = life_of(l, all, empty);
	life->blocker = pol_arena_alloc(l->arena, (l->blockers.n + 1) * sizeof(*life->blocker));
	life->n_blockers = l->blockers.n;
	if (l->blockers.n)
		memcpy(life->blocker, l->blockers.v, l->blockers.n * sizeof(*life->blocker));
	if (life->life == POL_LIFE_LIVE && r->action == POL_ALLOW && r->stage == POL_STAGE_MAIN)
		find_conflict(l, &c, life);
	pol_chain_free(&c);
}

static void release(struct linting *l)
{
	for (size_t i = 0; i < l->groups.n; i++) {
		pol_vec_free(&l->groups.v[i].rules);
		pol_vec_free(&l->groups.v[i].index);
		pol_vec_free(&l->groups.v[i].meets);
	}
	pol_vec_free(&l->groups);
	pol_vec_free(&l->blockers);
	free(l->hull);
	free(l->group_of);
}

struct pol_rule_life *pol_lint_rules(const struct pol_space *s, struct pol_arena *a, uint64_t steps)
{
	const struct pol_ir *ir = s->ir[0];
	struct linting l = { .s = s, .ir = ir, .arena = a, .max_steps = steps ? steps : STEPS };

	l.life = pol_arena_alloc(a, (ir->rules.n + 1) * sizeof(*l.life));
	l.hull = aligned_alloc(_Alignof(struct hull), (ir->rules.n + 1) * sizeof(*l.hull));
	l.group_of = calloc(ir->rules.n + 1, sizeof(*l.group_of));
	if (!l.hull || !l.group_of)
		pol_no_memory();
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_rule *r = &ir->rules.v[i];

		l.life[i].life = r->audit || r->implicit ? POL_LIFE_UNASKED : POL_LIFE_LIVE;
		l.life[i].conflict = POL_NO_RULE;
	}
	gather(&l);
	for (size_t i = ir->by_order.n; i-- > 0;)
		if (l.life[ir->by_order.v[i]].life != POL_LIFE_UNASKED)
			lint_rule(&l, &ir->rules.v[ir->by_order.v[i]]);
	release(&l);
	return l.life;
}
