/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For every part of the flow space that is judged, look for a flow that fits
 * the assertion and has the other verdict: cut the space until a part has none
 * for sure, or only such flows.
 */
#include "compiler/analysis/assertions.h"

#include "compiler/analysis/chain.h"
#include "compiler/analysis/requests.h"
#include "compiler/describe.h"

#define STEPS (1u << 25) /* for one assertion */

struct asserting {
	struct pol_space space;
	const struct pol_assertion *a;
	uint64_t steps;
	struct pol_point found;
	struct pol_request_witness request; /* of the flow found, if requests are what differs */
};

/* ---- what the assertion ranges over ------------------------------------------------ */

/* A condition on a box and the cut that brings it nearer. */
struct test {
	enum pol_answer answer;
	struct pol_cut cut;
};

static struct test certain(enum pol_answer a)
{
	return (struct test){ .answer = a };
}

static struct test in_set(const struct pol_aset *set, const struct pol_box *b, unsigned end,
			  bool inside)
{
	struct test t = certain(pol_space_aset(set, b, end));

	if (t.answer == POL_UNDECIDED)
		t.cut = pol_cut_aset(set, b, end);
	else if (!inside)
		t.answer = t.answer == POL_YES ? POL_NO : POL_YES;
	return t;
}

/* `assert allow`: endpoints in `pool`; without one, and for hosts, addresses that no prefix names. */
static struct test expected_address(const struct asserting *x, const struct pol_box *b,
				    unsigned end)
{
	const struct pol_ir *ir = x->space.ir[0];
	const struct pol_aset *pool = &ir->asets.v[ir->pool];
	uint32_t kinds = b->end[end].kinds, hosts = POL_PEER_HOST | POL_PEER_NODE;
	bool has_pool = pool->n4 || pool->n6;

	if (!x->a->allow || x->a->exact[end] || kinds == POL_KIND_STRANGER)
		return certain(POL_YES);
	if (kinds & POL_KIND_STRANGER)
		return (struct test){
			POL_UNDECIDED, { .kind = POL_CUT_KINDS, .end = end, .kinds = kinds & hosts }
		};
	if (kinds == POL_PEER_ENDPOINT && has_pool)
		return in_set(pool, b, end, true);
	return in_set(&ir->asets.v[ir->cidrs.v[ir->cidrs.n - 1].aset], b, end, false);
}

static struct test peer_fits(const struct asserting *x, const struct pol_box *b, unsigned end)
{
	struct test t = certain(pol_space_pred(&x->space, 0, x->a->pred[end], b, end));

	if (t.answer == POL_UNDECIDED)
		t.cut = pol_cut_pred(&x->space, 0, x->a->pred[end], b, end);
	return t.answer == POL_YES ? expected_address(x, b, end) : t;
}

/* Of the ends in the mask only. */
static struct test fits(const struct asserting *x, const struct pol_box *b, unsigned ends)
{
	struct test all = certain(pol_space_l4(&x->space, 0, x->a->l4, b)), t;

	if (all.answer == POL_UNDECIDED)
		all.cut = pol_cut_l4(&x->space, 0, x->a->l4, b);
	for (unsigned end = 0; end < POL_ENDS && all.answer != POL_NO; end++) {
		if (!(ends & 1u << end))
			continue;
		t = peer_fits(x, b, end);
		if (t.answer == POL_NO || all.answer == POL_YES)
			all = t;
	}
	return all;
}

/* What `fits` costs. */
static void spend(struct asserting *x)
{
	for (unsigned end = 0; end < POL_ENDS; end++)
		pol_steps_spend(&x->steps, pol_space_pred_steps(&x->space, 0, x->a->pred[end]));
}

static struct pol_box part_of(struct asserting *x, const struct pol_box *b,
			      const struct pol_cut *cut, bool second)
{
	pol_steps_spend(&x->steps, pol_box_part_steps(&x->space, cut));
	return pol_box_part(&x->space, b, cut, second);
}

static enum pol_answer any_fits(struct asserting *x, const struct pol_box *b, unsigned ends)
{
	enum pol_answer a;
	struct test t;

	spend(x);
	if (!x->steps)
		return POL_UNDECIDED;
	t = fits(x, b, ends);
	a = t.answer;
	if (a != POL_UNDECIDED)
		return a;
	a = POL_NO;
	for (unsigned i = 0; i < 2 && a == POL_NO; i++) {
		struct pol_box part = part_of(x, b, &t.cut, i);

		a = any_fits(x, &part, ends);
		pol_box_drop(&part, &t.cut);
	}
	return a;
}

/* ---- the search ---------------------------------------------------------------------- */

/* ---- requests ------------------------------------------------------------------------ */

/*
 * Every allow of ordinary policies counts, not only the one that decides: a rule that matches a
 * part of the box gives the cut.
 */
static bool side_of(struct asserting *x, const struct pol_box *b, enum pol_direction d,
		    struct pol_eval_side *out, struct pol_cut *cut)
{
	const struct pol_ir *ir = x->space.ir[0];

	*out = (struct pol_eval_side){ .action = POL_ALLOW };
	for (size_t i = 0; i < ir->rules.n; i++) {
		const struct pol_rule *r = &ir->rules.v[i];
		enum pol_answer a;

		if (r->direction != d || r->stage != POL_STAGE_MAIN || r->action != POL_ALLOW ||
		    r->audit)
			continue;
		pol_steps_spend(&x->steps, pol_space_rule_steps(&x->space, 0, r));
		a = pol_space_rule(&x->space, 0, r, b);
		if (a == POL_UNDECIDED) {
			*cut = pol_cut_rule(&x->space, 0, r, b);
			return false;
		}
		if (a == POL_NO)
			continue;
		if (r->http < 0)
			out->plain = true;
		else if (out->nhttp < POL_VERDICT_HTTP)
			out->http[out->nhttp++] = (uint16_t)r->http;
	}
	return true;
}

/*
 * A box whose flows are all allowed: is one of their requests what the assertion rules out?
 * *cut is set if it must be cut to tell; then the answer is UNDECIDED.
 */
static enum pol_answer requests_break(struct asserting *x, const struct pol_box *b,
				      const struct pol_chains *c, bool *must_cut,
				      struct pol_cut *cut)
{
	struct pol_eval_side side[POL_DIRECTIONS];
	struct pol_requests q = { .ir = x->space.ir[0],
				  .method = x->a->method,
				  .path = x->a->path,
				  .allowed = !x->a->allow };
	struct pol_request_witness w;
	enum pol_answer a;

	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		if (!c->dir[d].judged)
			continue;
		if (!c->dir[d].decided) { /* by an allow, but by which? */
			*cut = pol_chain_cut(&x->space, &c->dir[d], b);
			*must_cut = true;
			return POL_UNDECIDED;
		}
		if (pol_chain_rule(&x->space, &c->dir[d])->stage != POL_STAGE_MAIN)
			continue;
		if (!side_of(x, b, d, &side[d], cut)) {
			*must_cut = true;
			return POL_UNDECIDED;
		}
		if (side[d].nhttp)
			q.side[d] = &side[d];
	}
	a = pol_requests_find(&q, &x->steps, x->space.arena, &w);
	if (a == POL_YES) {
		x->found = pol_box_point(&x->space, b);
		x->request = w;
	}
	return a;
}

/* Is there a flow of the box with the verdict that the assertion rules out? */
static enum pol_answer breaks(struct asserting *x, const struct pol_box *b,
			      const struct pol_chains *outer)
{
	struct test t;
	uint32_t wrong = x->a->allow ? POL_BITS_DENY : POL_BIT(POL_ALLOW), may;
	const struct pol_chain *open;
	struct pol_chains c;
	enum pol_answer a;
	bool must_cut = false, requests;

	spend(x);
	if (!x->steps)
		return POL_UNDECIDED;
	t = fits(x, b, 3);
	if (t.answer == POL_NO)
		return POL_NO;
	c = pol_chains_narrow(&x->space, outer, b, &x->steps);
	may = pol_chains_actions(&c);
	open = pol_chains_open(&c);
	/* with http blocks an allowed flow may have requests of either kind */
	requests = x->space.ir[0]->https.n && may & POL_BIT(POL_ALLOW);
	a = !x->steps ? POL_UNDECIDED : !(may & wrong) && !requests ? POL_NO : POL_YES;
	if (a == POL_YES && t.answer == POL_YES && !open && requests) {
		a = requests_break(x, b, &c, &must_cut, &t.cut);
	} else if (a == POL_YES && t.answer == POL_YES && !(may & ~wrong) && !requests) {
		x->found = pol_box_point(&x->space, b);
	} else if (a == POL_YES) {
		if (t.answer == POL_YES)
			t.cut = pol_chain_cut(&x->space, open, b);
		must_cut = true;
	}
	if (must_cut) {
		a = POL_NO;
		for (unsigned i = 0; i < 2 && a == POL_NO; i++) {
			struct pol_box part = part_of(x, b, &t.cut, i);

			a = breaks(x, &part, &c);
			pol_box_drop(&part, &t.cut);
		}
	}
	pol_chains_free(&c);
	return a;
}

static enum pol_answer search(struct asserting *x, const struct pol_chains *all)
{
	enum pol_answer a = POL_NO;

	x->steps = STEPS;
	for (unsigned i = 0; i < POL_ROOTS && a == POL_NO; i++) {
		struct pol_box b = pol_root_box(&x->space, i);
		struct pol_chains c = *all;

		for (unsigned d = 0; d < POL_DIRECTIONS; d++)
			if (!pol_root_judges(i, d))
				c.dir[d] = pol_chain_unjudged(0);
		a = breaks(x, &b, &c);
	}
	return a;
}

/* ---- what is said ---------------------------------------------------------------------- */

static void say_failure(struct asserting *x, struct pol_diags *diags)
{
	const struct pol_ir *ir = x->space.ir[0];
	struct pol_buf flow = { 0 };
	struct pol_eval_flow f;
	struct pol_diag *g;

	pol_point_judge(ir, &x->found, &f);
	pol_point_print(&flow, ir, &x->found);
	g = pol_diag(diags, POL_P0601, x->a->span, "assertion fails: a %s is %s",
		     x->request.path.p ? "request" : "flow",
		     x->request.path.p && x->a->allow ? "denied"
		     : f.action == POL_ALLOW          ? "allowed"
		     : f.action == POL_DENY           ? "denied"
						      : "rejected");
	pol_diag_label(diags, g, "does not hold");
	for (unsigned d = POL_DIRECTIONS; d-- > 0;) {
		const struct pol_eval_side *side = &f.side[d];

		if (!f.judged[d] || side->action != f.action)
			continue;
		pol_diag_also(diags, g, ir->rules.v[side->rule].span, "%s: %s by this",
			      d == POL_EGRESS ? "egress" : "ingress",
			      side->action == POL_ALLOW  ? "allowed"
			      : side->action == POL_DENY ? "denied"
							 : "rejected");
	}
	if (x->request.path.p)
		pol_diag_note(diags, g, "the request: %.*s %.*s to the host %.*s",
			      POL_STR_ARG(x->request.method), POL_STR_ARG(x->request.path),
			      POL_STR_ARG(x->request.host));
	pol_diag_note(diags, g, "the flow: %s", flow.p);
	pol_buf_free(&flow);
}

static bool some_flow(struct asserting *x, unsigned ends)
{
	enum pol_answer a = POL_NO;

	x->steps = STEPS;
	for (unsigned i = 0; i < POL_ROOTS && a == POL_NO; i++) {
		struct pol_box b = pol_root_box(&x->space, i);

		a = any_fits(x, &b, ends);
	}
	return a != POL_NO;
}

/* True if there is one; else says why not. */
static bool check_empty(struct asserting *x, struct pol_diags *diags)
{
	struct pol_diag *g;

	if (some_flow(x, 3))
		return true;
	g = pol_diag(diags, POL_P0603, x->a->span, "no flow fits this assertion");
	if (!some_flow(x, 1 << POL_SRC))
		pol_diag_label(diags, g, "nobody can be its source");
	else if (!some_flow(x, 1 << POL_DST))
		pol_diag_label(diags, g, "nobody can be its destination");
	else
		pol_diag_label(diags, g,
			       "neither side is an endpoint, or they share no address family");
	return false;
}

static void say_no_pool(const struct asserting *x, struct pol_diags *diags)
{
	const struct pol_ir *ir = x->space.ir[0];
	const struct pol_aset *pool = &ir->asets.v[ir->pool];

	if (!x->a->allow || pool->n4 || pool->n6 || (x->a->exact[0] && x->a->exact[1]))
		return;
	pol_diag_label(diags,
		       pol_diag(diags, POL_P0604, x->a->span,
				"without a `pool` this holds for addresses that no prefix names"),
		       "checked for these alone");
}

static void check(struct asserting *x, const struct pol_chains *all, struct pol_diags *diags)
{
	enum pol_answer a;

	if (!check_empty(x, diags))
		return;
	a = search(x, all);
	if (a == POL_YES)
		say_failure(x, diags);
	else if (a == POL_UNDECIDED)
		pol_diag_label(diags,
			       pol_diag(diags, POL_P0602, x->a->span,
					"cannot tell whether this assertion holds"),
			       "too many cases");
	else
		say_no_pool(x, diags);
}

static struct pol_chains begin(struct asserting *x, const struct pol_ir *ir, struct pol_arena *a)
{
	struct pol_chains all;

	*x = (struct asserting){ 0 };
	pol_space_init(&x->space, a, &ir, 1);
	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		all.dir[d] = pol_chain_all(&x->space, 0, d);
	return all;
}

enum pol_answer pol_assertion_breaks(const struct pol_ir *ir, const struct pol_assertion *assertion,
				     struct pol_arena *a, struct pol_point *flow)
{
	struct asserting x;
	struct pol_chains all = begin(&x, ir, a);
	enum pol_answer answer;

	x.a = assertion;
	answer = search(&x, &all);
	*flow = x.found;
	pol_chains_free(&all);
	return answer;
}

void pol_check_assertions(const struct pol_ir *ir, struct pol_arena *a, struct pol_diags *diags)
{
	struct asserting x;
	struct pol_chains all;

	if (!ir->assertions.n)
		return;
	all = begin(&x, ir, a);
	for (size_t i = 0; i < ir->assertions.n; i++) {
		x.a = &ir->assertions.v[i];
		x.request = (struct pol_request_witness){ 0 };
		check(&x, &all, diags);
	}
	pol_chains_free(&all);
}

bool pol_only_assertions_fail(const struct pol_diags *diags)
{
	bool only = diags->n_errors > 0;

	for (size_t i = 0; i < diags->all.n; i++)
		if (diags->all.v[i]->severity == POL_ERROR && diags->all.v[i]->code != POL_P0601 &&
		    diags->all.v[i]->code != POL_P0602)
			only = false;
	return only;
}
