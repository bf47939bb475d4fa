/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/chain.h"

static uint32_t *ids_new(size_t n)
{
	uint32_t *v = malloc((n + 1) * sizeof(*v));

	if (!v)
		pol_no_memory();
	return v;
}

struct pol_chain pol_chain_all(const struct pol_space *s, size_t ir, enum pol_direction dir)
{
	const struct pol_ir *x = s->ir[ir];
	struct pol_chain c = { .ir = ir, .judged = true, .rule = ids_new(x->by_order.n) };

	for (size_t i = 0; i < x->by_order.n; i++) {
		const struct pol_rule *r = &x->rules.v[x->by_order.v[i]];

		if (r->audit || r->direction != dir)
			continue;
		c.rule[c.n++] = r->id;
		c.actions |= POL_BIT(r->action);
	}
	return c;
}

struct pol_chain pol_chain_unjudged(size_t ir)
{
	return (struct pol_chain){ .ir = ir, .decided = true, .actions = POL_BIT(POL_ALLOW) };
}

/*
 * What a long chain asks of one box again and again: many rules share few sets of ports and few subjects.
 * Answers + 1, 0: not asked yet; NULL: a short chain, which is not worth it.
 */
struct answers {
	uint8_t *l4, *own;
};

#define LONG 1024u

static struct answers answers_new(const struct pol_space *s, const struct pol_chain *c)
{
	const struct pol_ir *x = s->ir[c->ir];
	struct answers out = { NULL, NULL };

	if (c->n < LONG)
		return out;
	out.l4 = calloc(x->l4sets.n + x->sels.n, 1);
	if (!out.l4)
		pol_no_memory();
	out.own = out.l4 + x->l4sets.n;
	return out;
}

/* Can the rule not match, by what it shares with others? */
static bool cannot(const struct pol_space *s, size_t ir, const struct pol_rule *r,
		   const struct pol_box *b, const struct answers *known)
{
	uint8_t *l4, *own;

	if (!known->l4)
		return false;
	l4 = &known->l4[r->l4];
	if (!*l4)
		*l4 = (uint8_t)(1 + pol_space_l4(s, ir, r->l4, b));
	if (*l4 == 1 + POL_NO)
		return true;
	own = &known->own[r->subject];
	if (!*own)
		*own = (uint8_t)(1 + pol_space_sel(s, ir, r->subject,
						   b->end[POL_OWN(r->direction)].labels));
	return *own == 1 + POL_NO;
}

/*
 * A skip that matches everything takes the rest of its stage away, and is of no
 * interest then.  Behind one that matches a part, a rule of its stage may be
 * passed over: it does not end the chain, though it match everything.
 */
struct pol_chain pol_chain_narrow(const struct pol_space *s, const struct pol_chain *c,
				  const struct pol_box *b, uint64_t *steps)
{
	struct pol_chain out = { .ir = c->ir, .judged = true };
	bool skipped[POL_STAGES] = { false }, maybe[POL_STAGES] = { false };
	struct answers known;

	if (!c->judged)
		return *c;
	memcpy(out.skip, c->skip, sizeof(out.skip));
	out.rule = ids_new(c->n);
	known = answers_new(s, c);
	for (size_t i = 0; i < c->n && *steps; i++) {
		const struct pol_rule *r = &s->ir[c->ir]->rules.v[c->rule[i]];
		enum pol_answer a;

		bool always = r->implicit == POL_IMPLICIT_DEFAULT;

		if (skipped[r->stage] && !always)
			continue;
		a = POL_NO;
		if (cannot(s, c->ir, r, b, &known)) {
			--*steps;
		} else {
			pol_steps_spend(steps, pol_space_rule_steps(s, c->ir, r));
			a = pol_space_rule(s, c->ir, r, b);
		}
		if (a == POL_NO)
			continue;
		if (a == POL_YES && r->action == POL_SKIP) {
			skipped[r->stage] = true;
			out.skip[r->stage] = r->id + 1;
			continue;
		}
		if (r->action == POL_SKIP)
			maybe[r->stage] = true;
		else
			out.actions |= POL_BIT(r->action);
		out.rule[out.n++] = r->id;
		if (a == POL_YES && (always || !maybe[r->stage])) {
			out.ended = true;
			out.decided = out.n == 1;
			break;
		}
	}
	free(known.l4);
	return out;
}

void pol_chain_free(struct pol_chain *c)
{
	free(c->rule);
	c->rule = NULL;
	c->n = 0;
}

const struct pol_rule *pol_chain_rule(const struct pol_space *s, const struct pol_chain *c)
{
	return c->judged && c->n ? &s->ir[c->ir]->rules.v[c->rule[0]] : NULL;
}

struct pol_cut pol_chain_cut(const struct pol_space *s, const struct pol_chain *c,
			     const struct pol_box *b)
{
	return pol_cut_rule(s, c->ir, pol_chain_rule(s, c), b);
}

/* ---- both directions ------------------------------------------------------------- */

struct pol_chains pol_chains_narrow(const struct pol_space *s, const struct pol_chains *c,
				    const struct pol_box *b, uint64_t *steps)
{
	struct pol_chains out;

	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		out.dir[d] = pol_chain_narrow(s, &c->dir[d], b, steps);
	return out;
}

void pol_chains_free(struct pol_chains *c)
{
	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		pol_chain_free(&c->dir[d]);
}

uint32_t pol_chains_actions(const struct pol_chains *c)
{
	uint32_t out = c->dir[POL_EGRESS].actions, in = c->dir[POL_INGRESS].actions;

	if (!(out & POL_BIT(POL_ALLOW)))
		return out;
	return (out & POL_BITS_DENY) | in;
}

const struct pol_chain *pol_chains_open(const struct pol_chains *c)
{
	const struct pol_chain *out = &c->dir[POL_EGRESS], *in = &c->dir[POL_INGRESS];

	if (!out->decided)
		return out;
	return out->actions != POL_BIT(POL_ALLOW) || in->decided ? NULL : in;
}

const struct pol_rule *pol_chains_rule(const struct pol_space *s, const struct pol_chains *c)
{
	const struct pol_chain *out = &c->dir[POL_EGRESS], *in = &c->dir[POL_INGRESS];

	if (out->actions == POL_BIT(POL_ALLOW) && in->judged)
		return pol_chain_rule(s, in);
	return pol_chain_rule(s, out);
}

/* ---- where to begin ---------------------------------------------------------------- */

#define OTHERS (POL_KIND_STRANGER | POL_PEER_HOST | POL_PEER_NODE)

struct pol_box pol_root_box(const struct pol_space *s, unsigned i)
{
	static const uint32_t kinds[][POL_ENDS] = {
		{ OTHERS, POL_PEER_ENDPOINT },
		{ POL_PEER_ENDPOINT, POL_PEER_ENDPOINT },
		{ POL_PEER_ENDPOINT, OTHERS },
	};

	return pol_box_all(s, i % 2 ? 6 : 4, kinds[i / 2][POL_SRC], kinds[i / 2][POL_DST]);
}

bool pol_root_judges(unsigned i, enum pol_direction dir)
{
	return dir == POL_EGRESS ? i / 2 >= 1 : i / 2 <= 1;
}
