/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests on flows that both policies allow.  A box is cut until it is known which ordinary
 * allows match it; where their http blocks differ, the product of the automata of both
 * policies tells which request passes by one alone.
 */
#include "compiler/analysis/diffing.h"

#define REQUEST_STEPS ((uint64_t)1 << 20) /* product states, for one pair of sets of blocks */

static int sign_equal(struct sign a, struct sign b)
{
	return a.a == b.a && a.b == b.b;
}

/* ---- where anything can differ ------------------------------------------------------- */

/* False: no rule that touches requests matches here. *cut is to be made first if `*open`. */
static bool touched(const struct diffing *d, const struct pol_box *b, struct pol_cut *cut,
		    bool *open)
{
	bool any = false;

	*open = false;
	for (size_t i = 0; i < d->touching.n; i++) {
		const struct pol_rule *r = d->touching.v[i].rule;
		enum pol_answer a = POL_NO;

		if (b->end[POL_OWN(r->direction)].kinds == POL_PEER_ENDPOINT)
			a = pol_space_rule(d->s, d->touching.v[i].ir, r, b);
		any = any || a != POL_NO;
		if (a != POL_UNDECIDED)
			continue;
		*cut = pol_cut_rule(d->s, d->touching.v[i].ir, r, b);
		*open = true;
		return true;
	}
	return any;
}

/* ---- one side --------------------------------------------------------------------------- */

struct blocks {
	struct pol_eval_side side;
	struct sign sign; /* of the http blocks and of what stands beside them */
	bool judged;
};

/*
 * The allows that add up on the box. False: one of them does not match the whole of it or none
 * of it, and is in *open.
 */
static bool side_of(struct diffing *d, unsigned i, enum pol_direction dir, const struct pol_box *b,
		    const struct pol_chain *c, struct blocks *out, const struct pol_rule **open)
{
	const struct pol_ir *ir = d->s->ir[i];
	const struct pol_rule *first = pol_chain_rule(d->s, c);

	*out = (struct blocks){ .side = { .action = POL_ALLOW }, .judged = c->judged };
	if (!first || first->stage != POL_STAGE_MAIN)
		return true;
	for (size_t k = 0; k < ir->rules.n && d->steps; k++) {
		const struct pol_rule *r = &ir->rules.v[k];
		enum pol_answer a;

		if (r->direction != dir || r->stage != POL_STAGE_MAIN || r->audit ||
		    r->action != POL_ALLOW)
			continue;
		d->steps--;
		a = pol_space_rule(d->s, i, r, b);
		if (a == POL_UNDECIDED) {
			*open = r;
			return false;
		}
		if (a == POL_NO)
			continue;
		if (r->http < 0) {
			out->side.plain = true;
		} else if (out->side.nhttp < POL_VERDICT_HTTP) {
			out->side.http[out->side.nhttp++] = (uint16_t)r->http;
			out->sign.a += d->sign[i][r->id].a;
			out->sign.b += d->sign[i][r->id].b;
		}
	}
	/* Without a block all requests pass, whatever allows there are. */
	if (out->side.nhttp)
		out->sign.a += out->side.plain;
	return true;
}

/* ---- the comparison ------------------------------------------------------------------------ */

static bool compared(struct diffing *d, const struct sign pair[2])
{
	for (size_t i = 0; i + 1 < d->compared.n; i += 2)
		if (sign_equal(d->compared.v[i], pair[0]) &&
		    sign_equal(d->compared.v[i + 1], pair[1]))
			return true;
	*pol_vec_push(&d->compared) = pair[0];
	*pol_vec_push(&d->compared) = pair[1];
	return false;
}

static void compare(struct diffing *d, const struct pol_box *b, const struct pol_chains c[2],
		    struct blocks side[2][POL_DIRECTIONS])
{
	struct pol_requests q[2] = { { .allowed = true }, { .allowed = true } };
	struct sign pair[2] = { { 0, 0 }, { 0, 0 } };
	enum pol_direction dir = POL_INGRESS;

	for (unsigned i = 0; i < 2; i++) {
		q[i].ir = d->s->ir[i];
		q[i].but = &q[!i];
		for (unsigned k = 0; k < POL_DIRECTIONS; k++) {
			if (side[i][k].judged)
				q[i].side[k] = &side[i][k].side;
			pair[i].a += side[i][k].sign.a * (k + 1);
			pair[i].b += side[i][k].sign.b * (k + 1);
			if (!sign_equal(side[0][k].sign, side[1][k].sign))
				dir = (enum pol_direction)k;
		}
	}
	if (sign_equal(pair[0], pair[1]) || compared(d, pair))
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct pol_change x = { .kind = i ? POL_CHANGE_WIDENED : POL_CHANGE_NARROWED,
					.dir = dir };
		uint64_t steps = REQUEST_STEPS;
		enum pol_answer a = pol_requests_find(&q[i], &steps, d->s->arena, &x.request);

		if (a == POL_UNDECIDED)
			d->out->requests = true;
		if (a != POL_YES)
			continue;
		for (unsigned k = 0; k < 2; k++) {
			x.rule[k] = c[k].dir[dir].rule[0];
			x.action[k] = k == i ? POL_ALLOW : POL_DENY;
		}
		pol_diff_report(d, b, &x);
	}
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void parts(struct diffing *d, const struct pol_box *b, const struct pol_cut *cut,
		  const struct pol_chains outer[2], unsigned depth)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pol_box part = pol_box_part(d->s, b, cut, i);

		pol_diff_requests(d, &part, outer, depth + 1);
		pol_box_drop(&part, cut);
	}
}

/* Both policies decide alike for the whole box: which blocks hold? */
static void look(struct diffing *d, const struct pol_box *b, const struct pol_chains c[2],
		 unsigned depth)
{
	struct blocks side[2][POL_DIRECTIONS];
	const struct pol_rule *open = NULL;
	struct pol_cut cut;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < POL_DIRECTIONS; k++) {
			if (side_of(d, i, (enum pol_direction)k, b, &c[i].dir[k], &side[i][k],
				    &open))
				continue;
			cut = pol_cut_rule(d->s, i, open, b);
			parts(d, b, &cut, c, depth);
			return;
		}
	if (d->steps)
		compare(d, b, c, side);
}

void pol_diff_requests(struct diffing *d, const struct pol_box *b, const struct pol_chains outer[2],
		       unsigned depth)
{
	const struct pol_chain *open;
	struct pol_chains c[2];
	struct pol_cut cut;
	uint32_t may[2];
	bool first;

	if (!d->steps || depth > DIFF_DEPTH) {
		d->out->requests = true;
		return;
	}
	if (!touched(d, b, &cut, &first))
		return;
	if (first) {
		parts(d, b, &cut, outer, depth);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		c[i] = pol_chains_narrow(d->s, &outer[i], b, &d->steps);
		may[i] = pol_chains_actions(&c[i]);
	}
	if (!d->steps) {
		d->out->requests = true;
	} else if (may[0] & may[1] & POL_BIT(POL_ALLOW)) {
		open = pol_chains_open(&c[0]);
		open = open ? open : pol_chains_open(&c[1]);
		if (open) {
			cut = pol_chain_cut(d->s, open, b);
			parts(d, b, &cut, c, depth);
		} else {
			look(d, b, c, depth);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		pol_chains_free(&c[i]);
}
