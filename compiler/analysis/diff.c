/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Both policies are walked together.  Where the same rules are left in the
 * same order nothing can differ, so only what touches rules that were added,
 * removed or moved is cut further: first by these rules.
 */
#include "compiler/analysis/diffing.h"
#include "compiler/ranges.h"

#define STEPS ((uint64_t)1 << 30)
#define MAX_CHANGES 10000u

/* ---- what rules say ---------------------------------------------------------------- */

struct sign pol_diff_sign(const void *data, size_t n)
{
	static const char nothing[1];
	const void *p = n ? data : nothing;

	return (struct sign){ pol_hash(p, n, 11), pol_hash(p, n, 0x9e3779b97f4a7c15) };
}

/* In no particular order: of sets whose parts are numbered differently in each policy. */
static void mix(struct sign *to, struct sign part)
{
	to->a += part.a;
	to->b += part.b;
}

struct sign pol_diff_sign_aset(const struct pol_aset *x)
{
	struct sign s[] = { pol_diff_sign(x->v4, x->n4 * sizeof(*x->v4)),
			    pol_diff_sign(x->v6, x->n6 * sizeof(*x->v6)) };

	return pol_diff_sign(s, sizeof(s));
}

static struct sign sign_str(struct pol_str s)
{
	return pol_diff_sign(s.p, s.n);
}

/* Operands stand before their users. */
static struct sign sign_sel(const struct pol_sel *x, const struct sign *before)
{
	struct sign s[] = { sign_str(x->key), { 0, 0 }, { x->op, x->n } };

	for (size_t i = 0; i < x->n && x->op == POL_SEL_IN; i++)
		mix(&s[1], sign_str(x->value[i]));
	for (size_t i = 0; x->operand && i < x->n; i++)
		mix(&s[1], before[x->operand[i]]);
	return pol_diff_sign(s, sizeof(s));
}

static struct sign sign_pred(const struct pol_ir *ir, const struct pol_pred *p,
			     const struct sign *sels)
{
	uint32_t both = POL_PEER_WORLD | POL_PEER_POOL;
	struct sign sum = { 0, 0 };

	for (size_t i = 0; i < p->n; i++) {
		const struct pol_term *t = &p->term[i];
		bool pool = (t->mask & both) && (t->mask & both) != both;
		struct sign s[] = { { t->mask, pool },
				    sels[t->sel],
				    pol_diff_sign_aset(&ir->asets.v[t->aset]),
				    { 0, 0 } };

		if (pool)
			s[3] = pol_diff_sign_aset(&ir->asets.v[ir->pool]);
		mix(&sum, pol_diff_sign(s, sizeof(s)));
	}
	return sum;
}

/* The lines of an http block as they are written, in any order. */
static struct sign sign_http(const struct pol_ir *ir, const struct pol_rule *r)
{
	struct sign sum = { r->http >= 0, 0 };
	const struct pol_http_rule *h;

	if (r->http < 0)
		return sum;
	h = &ir->http.rules[r->http];
	for (uint32_t i = 0; i < h->nlines; i++)
		mix(&sum, sign_str(pol_http_string(&ir->http, ir->http.lines[h->line + i].source)));
	return sum;
}

static struct sign sign_rule(const struct pol_ir *ir, const struct pol_rule *r,
			     const struct sign *sels, const struct sign *preds,
			     const struct pol_l4set *l4)
{
	struct sign s[] = {
		{ r->implicit * 64u + r->stage * 8u + r->direction, r->action },
		{ (uint32_t)r->priority, r->audit },
		sels[r->subject],
		preds[r->pred],
		pol_diff_sign(l4->range, l4->n * sizeof(*l4->range)),
		sign_http(ir, r),
	};

	return pol_diff_sign(s, sizeof(s));
}

static struct sign *sign_rules(const struct pol_ir *ir, struct pol_arena *a)
{
	struct sign *sels = pol_arena_alloc(a, ir->sels.n * sizeof(*sels));
	struct sign *preds = pol_arena_alloc(a, ir->preds.n * sizeof(*preds));
	struct sign *rules = pol_arena_alloc(a, ir->rules.n * sizeof(*rules));

	for (size_t i = 0; i < ir->sels.n; i++)
		sels[i] = sign_sel(&ir->sels.v[i], sels);
	for (size_t i = 0; i < ir->preds.n; i++)
		preds[i] = sign_pred(ir, &ir->preds.v[i], sels);
	for (size_t i = 0; i < ir->rules.n; i++)
		rules[i] = sign_rule(ir, &ir->rules.v[i], sels, preds,
				     &ir->l4sets.v[ir->rules.v[i].l4]);
	return rules;
}

static bool sign_eq(const struct sign *x, const struct sign *y)
{
	return x->a == y->a && x->b == y->b;
}

/* Where it stands in the table of `cap` places, or could: a sign is hash enough.  Entries are index + 1. */
static uint32_t *sign_place(uint32_t *table, size_t cap, const struct sign *all,
			    const struct sign *want)
{
	size_t at = want->a & (cap - 1);

	while (table[at] && !sign_eq(&all[table[at] - 1], want))
		at = (at + 1) & (cap - 1);
	return &table[at];
}

/* Rules that the other policy does not have. */
bool *pol_diff_changed(const struct sign *x, size_t nx, const struct sign *y, size_t ny,
		       struct pol_arena *a)
{
	bool *out = pol_arena_alloc(a, nx + 1);
	size_t cap = 16;
	uint32_t *table;

	while (cap < 2 * ny)
		cap *= 2;
	table = pol_arena_alloc(a, cap * sizeof(*table));
	for (size_t i = 0; i < ny; i++)
		*sign_place(table, cap, y, &y[i]) = (uint32_t)i + 1;
	for (size_t i = 0; i < nx; i++)
		out[i] = !*sign_place(table, cap, y, &x[i]);
	return out;
}

/* The rules in force of one policy that the other has too; false past the last. */
static bool next_kept(const struct diffing *d, unsigned i, size_t *at)
{
	const struct pol_ir *ir = d->s->ir[i];

	while (*at < ir->by_order.n &&
	       (d->changed[i][ir->by_order.v[*at]] || ir->rules.v[ir->by_order.v[*at]].audit))
		++*at;
	return *at < ir->by_order.n;
}

static bool same_order(const struct diffing *d)
{
	size_t at[2] = { 0, 0 };

	for (;; at[0]++, at[1]++) {
		bool more[2] = { next_kept(d, 0, &at[0]), next_kept(d, 1, &at[1]) };

		if (more[0] != more[1])
			return false;
		if (!more[0])
			return true;
		if (!sign_eq(&d->sign[0][d->s->ir[0]->by_order.v[at[0]]],
			     &d->sign[1][d->s->ir[1]->by_order.v[at[1]]]))
			return false;
	}
}

static void find_few(struct diffing *d)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < d->s->ir[i]->rules.n; k++) {
			const struct pol_rule *r = &d->s->ir[i]->rules.v[k];

			if (!d->changed[i][k] || r->audit)
				continue;
			if (d->n_these == DIFF_FEW)
				return;
			d->these[d->n_these].ir = i;
			d->these[d->n_these++].rule = r;
		}
	d->few = same_order(d);
}

/* ---- the walk ------------------------------------------------------------------------- */

static bool same_chain(const struct diffing *d, const struct pol_chain *x,
		       const struct pol_chain *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (!sign_eq(&d->sign[0][x->rule[i]], &d->sign[1][y->rule[i]]))
			return false;
	return true;
}

static bool same(const struct diffing *d, const struct pol_chains c[2], uint32_t may[2])
{
	bool all = true;

	for (unsigned dir = 0; dir < POL_DIRECTIONS; dir++)
		all = all && same_chain(d, &c[0].dir[dir], &c[1].dir[dir]);
	/* One verdict is possible, and it is the same. */
	return all || (may[0] == may[1] && !(may[0] & (may[0] - 1)));
}

static enum pol_action action_of(uint32_t may)
{
	return may == POL_BIT(POL_ALLOW)  ? POL_ALLOW
	       : may == POL_BIT(POL_DENY) ? POL_DENY
					  : POL_REJECT;
}

/* The side that says no; it is where the change shows. */
static enum pol_direction side_of(const struct pol_chains *no)
{
	return no->dir[POL_EGRESS].judged && no->dir[POL_EGRESS].actions != POL_BIT(POL_ALLOW)
		       ? POL_EGRESS
		       : POL_INGRESS;
}

static bool is_known(const struct diffing *d, const struct pol_change *x)
{
	for (size_t i = 0; i < d->out->changes.n; i++) {
		const struct pol_change *y = &d->out->changes.v[i];

		if (y->rule[0] == x->rule[0] && y->rule[1] == x->rule[1] && y->kind == x->kind &&
		    !y->request.method.p == !x->request.method.p)
			return true;
	}
	return false;
}

void pol_diff_report(struct diffing *d, const struct pol_box *b, const struct pol_change *x)
{
	if (is_known(d, x))
		return;
	if (d->out->changes.n == MAX_CHANGES) {
		d->out->undecided = true;
		d->steps = 0;
		return;
	}
	*pol_vec_push(&d->out->changes) = *x;
	d->out->changes.v[d->out->changes.n - 1].flow = pol_box_point(d->s, b);
}

static enum pol_change_kind kind_of(const enum pol_action action[2])
{
	return action[1] == POL_ALLOW   ? POL_CHANGE_WIDENED
	       : action[0] == POL_ALLOW ? POL_CHANGE_NARROWED
					: POL_CHANGE_ANSWER;
}

static void report(struct diffing *d, const struct pol_box *b, const struct pol_chains c[2],
		   const uint32_t may[2])
{
	struct pol_change x = { .action = { action_of(may[0]), action_of(may[1]) } };
	enum pol_direction side[2];

	x.kind = kind_of(x.action);
	x.dir = side_of(&c[x.action[0] == POL_ALLOW]);
	for (unsigned i = 0; i < 2; i++) {
		side[i] = x.kind == POL_CHANGE_ANSWER ? side_of(&c[i]) : x.dir;
		x.rule[i] = c[i].dir[side[i]].rule[0];
	}
	pol_diff_report(d, b, &x);
}

/*
 * Receivers' rules differ and are decided, senders' do not differ: whatever the senders' say, nothing can
 * change here but what is known already, and is not looked for in each class of senders again.
 */
static bool nothing_new(const struct diffing *d, const struct pol_chains c[2])
{
	const struct pol_chain *in[2] = { &c[0].dir[POL_INGRESS], &c[1].dir[POL_INGRESS] };
	struct pol_change x = { .dir = POL_INGRESS };

	if (!in[0]->judged || !in[0]->decided || !in[1]->decided ||
	    !same_chain(d, &c[0].dir[POL_EGRESS], &c[1].dir[POL_EGRESS]))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		x.action[i] = action_of(in[i]->actions);
		x.rule[i] = in[i]->rule[0];
	}
	x.kind = kind_of(x.action);
	return x.action[0] == x.action[1] || is_known(d, &x);
}

/* What must be known next: first of the side where the policies differ. */
static const struct pol_chain *next_open(const struct diffing *d, const struct pol_chains c[2])
{
	const struct pol_chain *in[2] = { &c[0].dir[POL_INGRESS], &c[1].dir[POL_INGRESS] };
	const struct pol_chain *open = pol_chains_open(&c[0]);

	if (same_chain(d, &c[0].dir[POL_EGRESS], &c[1].dir[POL_EGRESS]))
		for (unsigned i = 0; i < 2; i++)
			if (!in[i]->decided)
				return in[i];
	return open ? open : pol_chains_open(&c[1]);
}

/* By a rule that changed, if one cuts the box; else by what must be known next. */
static struct pol_cut next_cut(const struct diffing *d, const struct pol_chains c[2],
			       const struct pol_box *b)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned dir = 0; dir < POL_DIRECTIONS; dir++)
			for (size_t k = 0; k < c[i].dir[dir].n; k++) {
				uint32_t id = c[i].dir[dir].rule[k];
				const struct pol_rule *r = &d->s->ir[i]->rules.v[id];

				if (d->changed[i][id] &&
				    pol_space_rule(d->s, i, r, b) == POL_UNDECIDED)
					return pol_cut_rule(d->s, i, r, b);
			}
	return pol_chain_cut(d->s, next_open(d, c), b);
}

/* Of the changed rules the first that cuts the box; none may match: *any is false then. */
static bool cut_by_these(const struct diffing *d, const struct pol_box *b, struct pol_cut *cut,
			 bool *any)
{
	*any = false;
	for (size_t i = 0; i < d->n_these; i++) {
		const struct pol_rule *r = d->these[i].rule;
		unsigned own = POL_OWN(r->direction);
		enum pol_answer a = POL_NO;

		if (b->end[own].kinds == POL_PEER_ENDPOINT)
			a = pol_space_rule(d->s, d->these[i].ir, r, b);
		*any = *any || a != POL_NO;
		if (a != POL_UNDECIDED)
			continue;
		*cut = pol_cut_rule(d->s, d->these[i].ir, r, b);
		return true;
	}
	return false;
}

static void walk(struct diffing *d, const struct pol_box *b, const struct pol_chains outer[2],
		 unsigned depth);

static void walk_parts(struct diffing *d, const struct pol_box *b, const struct pol_cut *cut,
		       const struct pol_chains outer[2], unsigned depth)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pol_box part = pol_box_part(d->s, b, cut, i);

		walk(d, &part, outer, depth + 1);
		pol_box_drop(&part, cut);
	}
}

static void walk(struct diffing *d, const struct pol_box *b, const struct pol_chains outer[2],
		 unsigned depth)
{
	struct pol_chains c[2];
	struct pol_cut cut;
	uint32_t may[2];
	bool any = true;

	if (!d->steps || depth > DIFF_DEPTH) {
		d->out->undecided = true;
		return;
	}
	if (d->few && cut_by_these(d, b, &cut, &any)) {
		walk_parts(d, b, &cut, outer, depth);
		return;
	}
	if (!any)
		return;
	for (unsigned i = 0; i < 2; i++) {
		c[i] = pol_chains_narrow(d->s, &outer[i], b, &d->steps);
		may[i] = pol_chains_actions(&c[i]);
	}
	if (!d->steps) {
		d->out->undecided = true;
	} else if (!same(d, c, may) && !nothing_new(d, c)) {
		if (!pol_chains_open(&c[0]) && !pol_chains_open(&c[1])) {
			report(d, b, c, may);
		} else {
			cut = next_cut(d, c, b);
			walk_parts(d, b, &cut, c, depth);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		pol_chains_free(&c[i]);
}

static int change_cmp(const void *pa, const void *pb)
{
	const struct pol_change *a = pa, *b = pb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->rule[0] != b->rule[0])
		return a->rule[0] < b->rule[0] ? -1 : 1;
	return (a->rule[1] > b->rule[1]) - (a->rule[1] < b->rule[1]);
}

/* An ordinary allow that differs and is, or may meet on one flow, one with an http block. */
static bool touches_requests(const struct diffing *d, unsigned i, const struct pol_rule *r)
{
	if (!d->changed[i][r->id] || r->audit || r->stage != POL_STAGE_MAIN ||
	    r->action != POL_ALLOW)
		return false;
	if (r->http >= 0)
		return true;
	for (unsigned k = 0; k < 2; k++)
		for (size_t h = 0; h < d->s->ir[k]->https.n; h++) {
			const struct pol_rule *x =
				&d->s->ir[k]->rules.v[d->s->ir[k]->https.v[h].rule];

			if (x->direction == r->direction &&
			    pol_l4set_overlap(d->s->ir[i]->l4sets.v[r->l4],
					      d->s->ir[k]->l4sets.v[x->l4]))
				return true;
		}
	return false;
}

void pol_diff_find(struct pol_diff *out, const struct pol_ir *const ir[2], struct pol_arena *a,
		   uint64_t steps)
{
	struct diffing d = { .out = out, .s = &out->space, .steps = steps ? steps : STEPS };
	struct pol_chains all[2];

	*out = (struct pol_diff){ 0 };
	pol_space_init(&out->space, a, ir, 2);
	pol_diff_services(out, ir);
	pol_diff_filters(out, ir, a);
	for (unsigned i = 0; i < 2; i++) {
		d.sign[i] = sign_rules(ir[i], a);
		for (unsigned dir = 0; dir < POL_DIRECTIONS; dir++)
			all[i].dir[dir] = pol_chain_all(&out->space, i, dir);
	}
	for (unsigned i = 0; i < 2; i++)
		d.changed[i] =
			pol_diff_changed(d.sign[i], ir[i]->rules.n, d.sign[!i], ir[!i]->rules.n, a);
	for (unsigned i = 0; i < 2; i++)
		for (size_t r = 0; r < ir[i]->rules.n; r++)
			if (touches_requests(&d, i, &ir[i]->rules.v[r]))
				*pol_vec_push(&d.touching) =
					(struct diff_rule){ i, &ir[i]->rules.v[r] };
	find_few(&d);
	for (unsigned i = 0; i < POL_ROOTS; i++) {
		struct pol_box b = pol_root_box(&out->space, i);
		struct pol_chains root[2] = { all[0], all[1] };

		for (unsigned k = 0; k < 2; k++)
			for (unsigned dir = 0; dir < POL_DIRECTIONS; dir++)
				if (!pol_root_judges(i, dir))
					root[k].dir[dir] = pol_chain_unjudged(k);
		walk(&d, &b, root, 0);
		if (d.touching.n)
			pol_diff_requests(&d, &b, root, 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pol_chains_free(&all[i]);
	pol_vec_free(&d.touching);
	pol_vec_free(&d.compared);
	if (out->changes.n)
		qsort(out->changes.v, out->changes.n, sizeof(*out->changes.v), change_cmp);
}

void pol_diff_free(struct pol_diff *d)
{
	pol_vec_free(&d->changes);
	pol_vec_free(&d->services);
	pol_vec_free(&d->filters);
	pol_vec_free(&d->packets);
}

size_t pol_diff_count(const struct pol_diff *d, enum pol_change_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < d->changes.n; i++)
		n += d->changes.v[i].kind == kind;
	return n;
}

bool pol_diff_any(const struct pol_diff *d, enum pol_change_kind kind)
{
	bool any = pol_diff_count(d, kind) > 0;

	for (size_t i = 0; i < d->filters.n; i++) {
		const struct pol_filter_change *f = &d->filters.v[i];

		any = any || f->npackets[kind] || (kind == POL_CHANGE_WIDENED && f->widened) ||
		      (kind == POL_CHANGE_NARROWED && f->narrowed);
	}
	return any;
}

bool pol_diff_unclear(const struct pol_diff *d)
{
	bool any = d->undecided || d->requests;

	for (size_t i = 0; i < d->filters.n; i++)
		any = any || d->filters.v[i].undecided;
	return any;
}
