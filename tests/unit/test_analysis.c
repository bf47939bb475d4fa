/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The analyses: on random policies every answer agrees with the reference
 * evaluator over flows at the bounds of what the policies mention.
 *
 * POLC_ANALYSIS_POLICIES sets how many, POLC_ANALYSIS_SEED where to begin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "policy_text.h"

#include "compiler/analysis/assertions.h"
#include "compiler/analysis/diff.h"
#include "compiler/analysis/lint.h"
#include "compiler/ranges.h"
#include "tests/tools/genpolicy.h"

#define FLOWS 1500 /* tried for each policy */

/* ---- flows at the bounds ------------------------------------------------------- */

struct trial {
	struct gen_rng rng;
	struct gen_policy gen;
	struct pol_label label[POL_ENDS][GEN_KEYS];
};

static struct pol_eval_peer random_peer(struct trial *t, unsigned end, int family)
{
	static const uint32_t kinds[] = { POL_PEER_ENDPOINT, POL_PEER_ENDPOINT, POL_PEER_ENDPOINT,
					  POL_PEER_WORLD,    POL_PEER_HOST,     POL_PEER_NODE };
	struct pol_eval_peer p = { .kind = kinds[gen_below(&t->rng, POL_ARRAY_LEN(kinds))] };
	struct gen_label l[GEN_KEYS];
	size_t n = gen_labels(&t->rng, l);

	for (size_t i = 0; i < n; i++)
		t->label[end][i] = (struct pol_label){ pol_str(l[i].key), pol_str(l[i].value) };
	if (p.kind == POL_PEER_ENDPOINT)
		p.labels = (struct pol_labels){ t->label[end], n };
	p.has_addr = true;
	p.addr = gen_address(&t->rng, &t->gen, family);
	if (gen_chance(&t->rng, 30)) /* in the pool */
		p.addr = family == 4
				 ? (struct pol_ip){ 0, 0x0a010000 + gen_below(&t->rng, 65536), 4 }
				 : (struct pol_ip){ 0xfd00000100000000, gen_below(&t->rng, 99), 6 };
	return p;
}

static uint32_t random_key(struct trial *t)
{
	static const uint8_t protos[] = { 1, 6, 6, 17, 47, 58, 132, 253 };
	struct gen_ports at = { protos[gen_below(&t->rng, 8)], 80, 80 };
	uint32_t value;

	if (t->gen.ports.n && gen_chance(&t->rng, 80))
		at = t->gen.ports.v[gen_below(&t->rng, (uint32_t)t->gen.ports.n)];
	value = gen_chance(&t->rng, 50) ? at.lo - gen_below(&t->rng, 2)
					: at.hi + gen_below(&t->rng, 2);
	if (pol_proto_has_types(at.proto))
		value &= 255;
	else if (!pol_proto_has_ports(at.proto))
		value = 0;
	return POL_L4_KEY(at.proto, value);
}

static struct pol_point random_flow(struct trial *t)
{
	int family = gen_chance(&t->rng, 60) ? 4 : 6;
	struct pol_point p = { .end = { random_peer(t, POL_SRC, family),
					random_peer(t, POL_DST, family) } };

	p.l4_key = random_key(t);
	return p;
}

static bool judged(const struct pol_point *p)
{
	return p->end[POL_SRC].kind == POL_PEER_ENDPOINT ||
	       p->end[POL_DST].kind == POL_PEER_ENDPOINT;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *set = getenv(name);

	return set ? strtoull(set, NULL, 0) : otherwise;
}

/* ---- assertions ------------------------------------------------------------------ */

static const char *const peers[] = {
	"ep0",
	"ep1",
	"ep2",
	"net0",
	"net1",
	"world",
	"any",
	"host",
	"public",
	"[app=\"db\"]",
	"{ ep3, nodes }",
	"world except net2",
	"ep4 except ep0",
	"10.1.0.0/16",
};
static const char *const ports[] = {
	"",         " on tcp 80", " on tcp 443",  " on udp 53",
	" on icmp", " on tcp",    " on proto 47", " on tcp 0-1024",
};

static void write_assertions(struct trial *t, struct pol_buf *out)
{
	for (unsigned i = 0; i < 6; i++)
		pol_buf_printf(out, "assert %s from %s to %s%s;\n", i % 2 ? "allow" : "deny",
			       peers[gen_below(&t->rng, POL_ARRAY_LEN(peers))],
			       peers[gen_below(&t->rng, POL_ARRAY_LEN(peers))],
			       ports[gen_below(&t->rng, POL_ARRAY_LEN(ports))]);
}

static bool expected(const struct pol_ir *ir, const struct pol_assertion *a,
		     const struct pol_eval_peer *p)
{
	if (!a->allow || p->kind & (POL_PEER_WORLD | POL_PEER_POOL))
		return true;
	if (p->kind == POL_PEER_ENDPOINT && !pol_aset_empty(ir->asets.v[ir->pool]))
		return pol_eval_kind(ir, p->addr) == POL_PEER_POOL;
	return !pol_aset_contains(ir->asets.v[ir->cidrs.v[ir->cidrs.n - 1].aset], p->addr);
}

static bool fits(const struct pol_ir *ir, const struct pol_assertion *a, const struct pol_point *p)
{
	for (unsigned end = 0; end < POL_ENDS; end++)
		if (!pol_eval_pred(ir, a->pred[end], &p->end[end]) ||
		    !expected(ir, a, &p->end[end]))
			return false;
	return judged(p) && pol_l4set_contains(ir->l4sets.v[a->l4], p->l4_key);
}

static bool breaks(const struct pol_ir *ir, const struct pol_assertion *a,
		   const struct pol_point *p)
{
	struct pol_eval_flow f;

	if (!fits(ir, a, p))
		return false;
	pol_point_judge(ir, p, &f);
	return (f.action == POL_ALLOW) != a->allow;
}

static void print_flow(const char *what, const struct pol_ir *ir, const struct pol_point *p)
{
	struct pol_buf text = { 0 };

	pol_point_print(&text, ir, p);
	fprintf(stderr, "# %s: %s\n%s\n", what, text.p, ir->sources->all.v[0]->text.p);
	pol_buf_free(&text);
}

static void assertions_of(struct trial *t, const struct pol_ir *ir, unsigned count[3])
{
	for (size_t i = 0; i < ir->assertions.n; i++) {
		const struct pol_assertion *a = &ir->assertions.v[i];
		struct pol_point found;
		enum pol_answer answer = pol_assertion_breaks(ir, a, ir->arena, &found);

		count[answer]++;
		if (answer == POL_YES && !breaks(ir, a, &found)) {
			struct pol_str what = pol_source_text(ir->sources, a->span);

			fprintf(stderr, "# %.*s: fits %d\n", POL_STR_ARG(what),
				fits(ir, a, &found));
			print_flow("no counterexample", ir, &found);
			fail();
		}
		for (unsigned n = 0; answer == POL_NO && n < FLOWS; n++) {
			struct pol_point p = random_flow(t);

			p = pol_point_for(ir, &p);
			if (breaks(ir, a, &p)) {
				print_flow("breaks what was proved", ir, &p);
				fail();
			}
		}
	}
}

static void assertions_agree_with_the_evaluator(void **state)
{
	uint64_t seed = setting("POLC_ANALYSIS_SEED", 1),
		 n = setting("POLC_ANALYSIS_POLICIES", 500);
	struct gen_options o = { .max_policies = 6 };
	unsigned count[3] = { 0 };

	(void)state;
	for (uint64_t i = seed; i < seed + n; i++) {
		struct trial t = { .rng = { i } };
		struct pol_buf text = { 0 };
		struct policy p;

		gen_policy(&t.gen, i, &o);
		gen_policy_text(&t.gen, &text);
		write_assertions(&t, &text);
		p = policy_read(text.p);
		if (p.ir)
			assertions_of(&t, p.ir, count);
		policy_free(&p);
		pol_buf_free(&text);
		gen_policy_free(&t.gen);
	}
	print_message("# %u hold, %u fail, %u undecided\n", count[POL_NO], count[POL_YES],
		      count[POL_UNDECIDED]);
	assert_true(count[POL_NO] > n && count[POL_YES] > n);
	assert_true(count[POL_UNDECIDED] <= n / 100);
}

/* ---- lint -------------------------------------------------------------------------- */

static bool goes(const struct pol_rule_life *life)
{
	return life->life == POL_LIFE_DEAD || life->life == POL_LIFE_REDUNDANT ||
	       life->life == POL_LIFE_VOID;
}

/* The policy without what lint would remove, and without one rule more. */
static struct pol_ir without(const struct pol_ir *ir, const struct pol_rule_life *life,
			     uint32_t more)
{
	struct pol_ir out = *ir;

	memset(&out.by_order, 0, sizeof(out.by_order));
	for (size_t i = 0; i < ir->by_order.n; i++)
		if (!goes(&life[ir->by_order.v[i]]) && ir->by_order.v[i] != more)
			*pol_vec_push(&out.by_order) = ir->by_order.v[i];
	return out;
}

static void same_verdict(const struct pol_ir *ir, const struct pol_ir *less,
			 const struct pol_rule_life *life, const struct pol_point *p)
{
	struct pol_eval_flow a, b;

	pol_point_judge(ir, p, &a);
	pol_point_judge(less, p, &b);
	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		if (!a.judged[d])
			continue;
		if (a.side[d].action != b.side[d].action ||
		    life[a.side[d].rule].life == POL_LIFE_DEAD ||
		    life[a.side[d].rule].life == POL_LIFE_VOID) {
			fprintf(stderr, "# rule %u\n", a.side[d].rule);
			print_flow("lint would change it", ir, p);
			fail();
		}
	}
}

/* The flow that shows that a rule lives: it has the rule's action, and only by the rule. */
static void shows_life(const struct pol_ir *ir, const struct pol_ir *less,
		       const struct pol_rule_life *life, const struct pol_rule *r)
{
	struct pol_ir gone = without(ir, life, r->id);
	const struct pol_point *p = &life[r->id].flow;
	struct pol_eval_flow a, b;

	pol_point_judge(less, p, &a);
	pol_point_judge(&gone, p, &b);
	if (r->action != POL_SKIP && (a.side[r->direction].action != r->action ||
				      (!r->log && r->limit < 0 && !r->name.n &&
				       a.side[r->direction].rule == b.side[r->direction].rule))) {
		fprintf(stderr, "# rule %u: %.*s; decided by %u, without it by %u\n", r->id,
			POL_STR_ARG(r->text), a.side[r->direction].rule, b.side[r->direction].rule);
		print_flow("does not show that it lives", ir, p);
		fail();
	}
	pol_vec_free(&gone.by_order);
}

static void shows_conflict(const struct pol_ir *ir, const struct pol_rule_life *life,
			   const struct pol_rule *r)
{
	struct pol_eval_flow f;

	if (life[r->id].conflict == POL_NO_RULE)
		return;
	pol_point_judge(ir, &life[r->id].conflict_flow, &f);
	assert_int_equal(f.side[r->direction].rule, life[r->id].conflict);
}

static void lint_of(struct trial *t, const struct pol_ir *ir, uint64_t steps, unsigned count[6])
{
	struct pol_space space;
	struct pol_rule_life *life;
	struct pol_ir less;

	pol_space_init(&space, ir->arena, &ir, 1);
	life = pol_lint_rules(&space, ir->arena, steps);
	less = without(ir, life, POL_NO_RULE);
	for (unsigned n = 0; n < FLOWS; n++) {
		struct pol_point p = random_flow(t);

		p = pol_point_for(ir, &p);
		same_verdict(ir, &less, life, &p);
	}
	for (size_t i = 0; i < ir->rules.n; i++) {
		count[life[i].life]++;
		if (life[i].life == POL_LIFE_LIVE) {
			shows_life(ir, &less, life, &ir->rules.v[i]);
			shows_conflict(ir, life, &ir->rules.v[i]);
		}
	}
	pol_vec_free(&less.by_order);
}

static void lint_agrees_with_the_evaluator(void **state)
{
	uint64_t seed = setting("POLC_ANALYSIS_SEED", 1),
		 n = setting("POLC_ANALYSIS_POLICIES", 500);
	struct gen_options o = { 0 };
	unsigned count[6] = { 0 };

	(void)state;
	for (uint64_t i = seed; i < seed + n; i++) {
		struct trial t = { .rng = { i } };
		struct pol_buf text = { 0 };
		struct policy p;

		gen_policy(&t.gen, i, &o);
		gen_policy_text(&t.gen, &text);
		p = policy_read(text.p);
		if (p.ir)
			lint_of(&t, p.ir, 0, count);
		policy_free(&p);
		pol_buf_free(&text);
		gen_policy_free(&t.gen);
	}
	print_message("# %u live, %u dead, %u redundant, %u for nobody, %u undecided\n",
		      count[POL_LIFE_LIVE], count[POL_LIFE_DEAD], count[POL_LIFE_REDUNDANT],
		      count[POL_LIFE_VOID], count[POL_LIFE_UNDECIDED]);
	assert_true(count[POL_LIFE_LIVE] > n && count[POL_LIFE_DEAD] > n / 2 &&
		    count[POL_LIFE_REDUNDANT] > n / 2);
	assert_true(count[POL_LIFE_UNDECIDED] <= n / 100);
}

/* ---- diff -------------------------------------------------------------------------- */

static bool listed(const struct pol_diff *d, const struct pol_eval_flow f[2])
{
	enum pol_change_kind kind = f[1].action == POL_ALLOW   ? POL_CHANGE_WIDENED
				    : f[0].action == POL_ALLOW ? POL_CHANGE_NARROWED
							       : POL_CHANGE_ANSWER;
	enum pol_direction dir = f[f[0].action == POL_ALLOW].decided_by;

	for (size_t i = 0; i < d->changes.n; i++) {
		const struct pol_change *x = &d->changes.v[i];

		if (x->kind != kind)
			continue;
		if (kind == POL_CHANGE_ANSWER && x->rule[0] == f[0].side[f[0].decided_by].rule &&
		    x->rule[1] == f[1].side[f[1].decided_by].rule)
			return true;
		if (kind != POL_CHANGE_ANSWER && x->rule[0] == f[0].side[dir].rule &&
		    x->rule[1] == f[1].side[dir].rule)
			return true;
	}
	return false;
}

static void diff_of(struct trial *t, const struct pol_ir *const ir[2], uint64_t steps,
		    unsigned count[2])
{
	struct pol_eval_flow f[2];
	struct pol_diff d;

	pol_diff_find(&d, ir, ir[0]->arena, steps);
	count[0] += (unsigned)d.changes.n;
	count[1] += d.undecided;
	for (size_t i = 0; i < d.changes.n; i++) {
		pol_point_judge(ir[0], &d.changes.v[i].flow, &f[0]);
		pol_point_judge(ir[1], &d.changes.v[i].flow, &f[1]);
		if (f[0].action == f[1].action || !listed(&d, f) ||
		    f[0].action != d.changes.v[i].action[0]) {
			print_flow("no change", ir[0], &d.changes.v[i].flow);
			fail();
		}
	}
	for (unsigned n = 0; !d.undecided && n < FLOWS; n++) {
		struct pol_point p = random_flow(t);

		if (!judged(&p))
			continue;
		pol_point_judge(ir[0], &p, &f[0]);
		pol_point_judge(ir[1], &p, &f[1]);
		if (f[0].action != f[1].action && !listed(&d, f)) {
			print_flow("a change that diff does not know", ir[0], &p);
			fail();
		}
	}
	pol_diff_free(&d);
}

/* Drops some rules, and half the time swaps the default. */
static void mutate(struct trial *t, struct pol_buf *out)
{
	for (size_t i = 0; i < t->gen.stmts.n; i++)
		for (size_t k = 0; k < t->gen.stmts.v[i].rules.n; k++)
			t->gen.stmts.v[i].rules.v[k].dropped = gen_chance(&t->rng, 12);
	gen_policy_text(&t->gen, out);
}

static void diff_agrees_with_the_evaluator(void **state)
{
	uint64_t seed = setting("POLC_ANALYSIS_SEED", 1),
		 n = setting("POLC_ANALYSIS_POLICIES", 500);
	struct gen_options o = { .max_policies = 5 };
	unsigned count[2] = { 0 };

	(void)state;
	for (uint64_t i = seed; i < seed + n; i++) {
		struct trial t = { .rng = { i } };
		struct pol_buf text[2] = { 0 };
		struct policy p[2];

		gen_policy(&t.gen, i, &o);
		gen_policy_text(&t.gen, &text[0]);
		mutate(&t, &text[1]);
		for (unsigned k = 0; k < 2; k++)
			p[k] = policy_read(text[k].p);
		if (p[0].ir && p[1].ir) {
			const struct pol_ir *ir[] = { p[0].ir, p[1].ir };

			diff_of(&t, ir, 0, count);
		}
		for (unsigned k = 0; k < 2; k++) {
			policy_free(&p[k]);
			pol_buf_free(&text[k]);
		}
		gen_policy_free(&t.gen);
	}
	print_message("# %u changes, %u undecided\n", count[0], count[1]);
	assert_true(count[0] > n);
	assert_true(count[1] <= n / 100);
}

/* ---- bounds ------------------------------------------------------------------------ */

/* With too few steps some answers are missing; those that are given are as right as ever. */
static void within_a_bound_nothing_is_guessed(void **state)
{
	uint64_t seed = setting("POLC_ANALYSIS_SEED", 1),
		 n = setting("POLC_ANALYSIS_POLICIES", 500) / 4;
	unsigned lint[6] = { 0 }, diff[2] = { 0 };

	(void)state;
	for (uint64_t i = seed; i < seed + n; i++) {
		struct trial t = { .rng = { i } };
		struct gen_options o = { .max_policies = 5 };
		struct pol_buf text[2] = { 0 };
		struct policy p[2];
		uint64_t steps;

		gen_policy(&t.gen, i, &o);
		gen_policy_text(&t.gen, &text[0]);
		mutate(&t, &text[1]);
		for (unsigned k = 0; k < 2; k++)
			p[k] = policy_read(text[k].p);
		steps = 1 + gen_below(&t.rng, 1u << gen_below(&t.rng, 12));
		if (p[0].ir)
			lint_of(&t, p[0].ir, steps, lint);
		if (p[0].ir && p[1].ir) {
			const struct pol_ir *ir[] = { p[0].ir, p[1].ir };

			diff_of(&t, ir, steps, diff);
		}
		for (unsigned k = 0; k < 2; k++) {
			policy_free(&p[k]);
			pol_buf_free(&text[k]);
		}
		gen_policy_free(&t.gen);
	}
	print_message("# %u rules undecided of %u live and %u others; %u diffs undecided\n",
		      lint[POL_LIFE_UNDECIDED], lint[POL_LIFE_LIVE],
		      lint[POL_LIFE_DEAD] + lint[POL_LIFE_REDUNDANT], diff[1]);
	assert_true(lint[POL_LIFE_UNDECIDED] > n / 4 && lint[POL_LIFE_LIVE] > n / 4);
	assert_true(diff[1] > n / 8 && diff[1] < n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diff_agrees_with_the_evaluator),
		cmocka_unit_test(lint_agrees_with_the_evaluator),
		cmocka_unit_test(assertions_agree_with_the_evaluator),
		cmocka_unit_test(within_a_bound_nothing_is_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
