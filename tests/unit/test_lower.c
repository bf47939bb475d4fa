/* SPDX-License-Identifier: GPL-2.0-only */
/* Syntax tree to IR: normal forms, set algebra, order, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler/intern.h"
#include "compiler/lowering.h"
#include "compiler/analysis/solve.h"
#include "policy_text.h"

#define HEAD                                                                                       \
	"default deny;\npool 10.1.0.0/16;\n"                                                       \
	"endpoint a = k == \"a\";\nendpoint b = k == \"b\";\n"                                     \
	"endpoint red = colour == \"red\";\n"

/* ---- selectors ---------------------------------------------------------------- */

static uint32_t class_sel(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->ir->classes.n; i++)
		if (pol_str_is(p->ir->classes.v[i].name, name))
			return p->ir->classes.v[i].sel;
	fail_msg("no class %s", name);
	return 0;
}

static void equal_selectors_are_one(void **state)
{
	struct policy p = policy_ok(
		"default deny;\n"
		"endpoint a1 = app == \"x\" and tier != \"y\" and has(z);\n"
		"endpoint a2 = has(z) and (not (tier in (\"y\")) and app in (\"x\", \"x\"));\n"
		"endpoint b1 = app in (\"p\", \"q\", \"r\");\n"
		"endpoint b2 = app == \"r\" or app in (\"q\", \"p\") or app == \"p\";\n"
		"endpoint c1 = app == \"p\";\n"
		"endpoint c2 = app in (\"p\", \"q\") and app in (\"p\", \"r\") and has(app);\n"
		"endpoint d1 = has(app);\n"
		"endpoint d2 = has(app) or app == \"p\";\n"
		"endpoint e1 = app == \"p\" and app == \"q\";\n"
		"endpoint e2 = has(z) and not has(z);\n"
		"endpoint f1 = true;\n"
		"endpoint f2 = has(z) or not has(z);\n");
	static const char *const pairs[][2] = {
		{ "a1", "a2" }, { "b1", "b2" }, { "c1", "c2" },
		{ "d1", "d2" }, { "e1", "e2" }, { "f1", "f2" },
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(pairs); i++)
		assert_int_equal(class_sel(&p, pairs[i][0]), class_sel(&p, pairs[i][1]));
	assert_int_equal(class_sel(&p, "f1"), 0);
	assert_true(pol_ir_sel_is_false(p.ir, class_sel(&p, "e1")));
	policy_free(&p);
}

static void selectors_are_in_normal_form(void **state)
{
	struct policy p = policy_ok(
		"default deny;\n"
		"endpoint x = b == \"1\" or (a in (\"3\", \"2\") and c != \"4\" and (d == \"5\" and has(e)));\n");

	(void)state;
	assert_int_equal(p.ir->sels.v[0].op, POL_SEL_TRUE);
	for (size_t i = 0; i < p.ir->sels.n; i++) {
		const struct pol_sel *s = &p.ir->sels.v[i];

		for (size_t k = 0; s->operand && k < s->n; k++) {
			assert_true(s->operand[k] < i);
			if (k)
				assert_true(s->operand[k - 1] < s->operand[k]);
			if (s->op == POL_SEL_AND || s->op == POL_SEL_OR)
				assert_int_not_equal(p.ir->sels.v[s->operand[k]].op, s->op);
		}
		for (size_t k = 1; s->op == POL_SEL_IN && k < s->n; k++)
			assert_true(pol_str_cmp(s->value[k - 1], s->value[k]) < 0);
	}
	policy_free(&p);
}

/* ---- peers, against the tree itself ------------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void random_peer(struct pol_buf *b, unsigned depth)
{
	static const char *const leaves[] = {
		"any",
		"host",
		"nodes",
		"world",
		"public",
		"a",
		"b",
		"red",
		"[k != \"a\" and has(colour)]",
		"10.1.0.0/24",
		"10.0.0.0/8",
		"192.0.2.0/24",
		"2001:db8::/32",
		"mixed",
		"[]",
		"0.0.0.0/0",
	};

	if (!depth || below(4) == 0) {
		pol_buf_addz(b, leaves[below(POL_ARRAY_LEN(leaves))]);
		return;
	}
	if (below(3) == 0) {
		pol_buf_addz(b, "{ ");
		for (uint32_t n = 1 + below(3), i = 0; i < n; i++) {
			pol_buf_addz(b, i ? ", " : "");
			random_peer(b, depth - 1);
		}
		pol_buf_addz(b, " }");
		return;
	}
	pol_buf_addz(b, "{ ");
	random_peer(b, depth - 1);
	pol_buf_addz(b, below(2) ? " } except { " : " } in { ");
	random_peer(b, depth - 1);
	pol_buf_addz(b, " }");
}

static bool in_prefix(struct pol_prefix p, struct pol_ip ip)
{
	struct pol_range128 r = pol_prefix_range(p);
	pol_u128 x = pol_u128_of(ip);

	if (p.addr.family == 4 && ip.family == 6) {
		if (x >> 32 != POL_NAT64_PREFIX >> 32)
			return false;
		x &= 0xffffffff;
	} else if (p.addr.family != ip.family) {
		return false;
	}
	return r.lo <= x && x <= r.hi;
}

static bool sel_holds(const struct pol_ast_sel *s, struct pol_labels labels)
{
	const struct pol_label *l = NULL;
	bool found = false;

	for (size_t i = 0;
	     i < labels.n && s->kind != POL_AST_SEL_AND && s->kind != POL_AST_SEL_TRUE; i++)
		if (pol_str_eq(labels.v[i].key, s->key.text))
			l = &labels.v[i];
	switch (s->kind) {
	case POL_AST_SEL_TRUE:
		return true;
	case POL_AST_SEL_HAS:
		return l;
	case POL_AST_SEL_EQ:
	case POL_AST_SEL_NE:
		found = l && pol_str_eq(l->value, s->values.first->value.text);
		return s->kind == POL_AST_SEL_EQ ? found : !found;
	case POL_AST_SEL_AND:
		for (const struct pol_ast_sel *o = s->of.first; o; o = o->next)
			if (!sel_holds(o, labels))
				return false;
		return true;
	case POL_AST_SEL_IN:
	case POL_AST_SEL_NOT_IN:
	case POL_AST_SEL_NOT:
	case POL_AST_SEL_OR:
		break;
	}
	fail_msg("the generator makes no such selector");
	return false;
}

static bool peer_holds(const struct pol_ast_peer *p, const struct pol_eval_peer *x)
{
	static struct pol_arena *special_arena;
	static struct pol_aset special;

	switch (p->kind) {
	case POL_AST_PEER_ANY:
		return true;
	case POL_AST_PEER_HOST:
		return x->kind == POL_PEER_HOST;
	case POL_AST_PEER_NODES:
		return x->kind == POL_PEER_NODE;
	case POL_AST_PEER_WORLD:
		return x->kind == POL_PEER_WORLD;
	case POL_AST_PEER_PUBLIC:
		if (!special_arena) {
			special_arena = pol_arena_new();
			special = pol_special_purpose(special_arena);
		}
		return x->kind == POL_PEER_WORLD && !pol_aset_contains(special, x->addr);
	case POL_AST_PEER_NONE:
		return false;
	case POL_AST_PEER_SELECTOR:
		return x->kind == POL_PEER_ENDPOINT && sel_holds(p->selector, x->labels);
	case POL_AST_PEER_PREFIX:
		return in_prefix(p->prefix, x->addr);
	case POL_AST_PEER_NAME:
		if (p->name.decl->kind == POL_DECL_ENDPOINT)
			return x->kind == POL_PEER_ENDPOINT &&
			       sel_holds(p->name.decl->endpoint.selector, x->labels);
		for (size_t i = 0; i < p->name.decl->cidr.n_prefixes; i++)
			if (in_prefix(p->name.decl->cidr.prefixes[i], x->addr))
				return true;
		return false;
	case POL_AST_PEER_UNION:
		for (const struct pol_ast_peer *o = p->of.first; o; o = o->next)
			if (peer_holds(o, x))
				return true;
		return false;
	case POL_AST_PEER_EXCEPT:
		return peer_holds(p->left, x) && !peer_holds(p->right, x);
	case POL_AST_PEER_IN:
		return peer_holds(p->left, x) && peer_holds(p->right, x);
	case POL_AST_PEER_AT:
		break;
	}
	fail_msg("no such peer in a rule");
	return false;
}

static const struct pol_ast_rule *first_rule(const struct policy *p)
{
	for (size_t i = 0; i < p->program->decls.n; i++)
		if (p->program->decls.v[i]->kind == POL_DECL_POLICY)
			return p->program->decls.v[i]->policy.rules.first;
	return NULL;
}

static void compare_peer(struct policy *p, const char *text)
{
	static const char *const addresses[] = {
		"10.1.0.7",       "10.1.9.7",          "10.7.0.1",         "192.0.2.5",
		"192.0.3.5",      "8.8.8.8",           "2001:db8::5",      "2600::1",
		"64:ff9b::a01:7", "64:ff9b::c000:205", "64:ff9b::808:808", "fe80::1",
	};
	static const struct pol_label sets[][2] = {
		{ { { "k", 1 }, { "a", 1 } }, { { "colour", 6 }, { "red", 3 } } },
		{ { { "k", 1 }, { "b", 1 } }, { { "colour", 6 }, { "blue", 4 } } },
		{ { { "x", 1 }, { "a", 1 } }, { { "colour", 6 }, { "red", 3 } } },
	};
	const struct pol_ast_rule *r = first_rule(p);

	for (size_t i = 0; i < POL_ARRAY_LEN(addresses); i++) {
		struct pol_prefix addr;

		assert_int_equal(pol_prefix_parse(pol_str(addresses[i]), &addr), POL_IP_OK);
		for (unsigned k = 0; k < 4 + 3 * POL_ARRAY_LEN(sets); k++) {
			struct pol_eval_peer x = { .kind = POL_PEER_ENDPOINT,
						   .has_addr = true,
						   .addr = addr.addr };

			if (k < 4)
				x.kind = 1u << k;
			else
				x.labels = (struct pol_labels){ sets[(k - 4) / 3], (k - 4) % 3 };
			if (x.kind & (POL_PEER_WORLD | POL_PEER_POOL))
				x.kind = pol_eval_kind(p->ir, x.addr);
			if (pol_eval_pred(p->ir, p->ir->rules.v[0].pred, &x) !=
			    peer_holds(r->peer, &x))
				fail_msg("%s: wrong for kind %u, %s, %zu labels", text, x.kind,
					 addresses[i], x.labels.n);
		}
	}
}

static void check_pred(const struct pol_ir *ir, uint32_t pred)
{
	const struct pol_pred *p = &ir->preds.v[pred];

	for (size_t i = 0; i < p->n; i++) {
		if (p->term[i].mask != POL_PEER_ENDPOINT)
			assert_int_equal(p->term[i].sel, 0);
		assert_int_not_equal(p->term[i].aset, POL_ASET_NONE);
	}
}

static void peers_mean_what_their_trees_say(void **state)
{
	(void)state;
	seed = 20261122;
	for (int i = 0; i < 600; i++) {
		struct pol_buf b = { 0 };
		struct policy p;

		pol_buf_addz(
			&b, HEAD
			"cidr mixed = 10.1.0.0/25, 192.0.0.0/14, 2001:db8::/33;\npolicy x on any { deny from { ");
		random_peer(&b, 4);
		pol_buf_addz(&b, " }; }");
		p = policy_ok(b.p);
		compare_peer(&p, b.p);
		check_pred(p.ir, p.ir->rules.v[0].pred);
		policy_free(&p);
		pol_buf_free(&b);
	}
}

static uint32_t pred_of(struct policy *p, size_t rule)
{
	return p->ir->rules.v[rule].pred;
}

static void equal_predicates_are_one(void **state)
{
	struct policy p =
		policy_ok(HEAD "policy x on any {\n"
			       "deny from { a, b, 10.0.0.0/8 };\n"
			       "deny from { 10.0.0.0/9, 10.128.0.0/9, [k in (\"b\", \"a\")] };\n"
			       "deny from any;\n"
			       "deny from { 0.0.0.0/0, ::/0 };\n"
			       "deny from { any, a };\n"
			       "deny from any except any;\n"
			       "deny from a in b;\n"
			       "deny from any except a;\n"
			       "deny from any except { a in any }; }");

	(void)state;
	assert_int_equal(pred_of(&p, 0), pred_of(&p, 1));
	for (size_t i = 2; i <= 4; i++)
		assert_int_equal(pred_of(&p, i), 0);
	assert_int_equal(pred_of(&p, 5), pred_of(&p, 6));
	assert_int_equal(p.ir->preds.v[pred_of(&p, 5)].n, 0);
	assert_int_equal(pred_of(&p, 7), pred_of(&p, 8));
	policy_free(&p);
}

/* ---- bounds ------------------------------------------------------------------- */

/* Nine sets that cut each other: each of 512 parts has another selector. */
static void products_are_bounded(void **state)
{
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_addz(&b, HEAD);
	for (int bit = 0; bit < 9; bit++) {
		pol_buf_printf(&b, "cidr s%d = 192.0.2.0/24", bit);
		for (int i = 0; i < 512; i++)
			if (i >> bit & 1)
				pol_buf_printf(&b, ", 10.%d.%d.0/24", i / 256, i % 256);
		pol_buf_addz(&b, ";\n");
	}
	pol_buf_addz(&b, "policy x on any { deny from any except {");
	for (int bit = 0; bit < 9; bit++)
		pol_buf_printf(&b, "%s { [k%d == \"x\"] in s%d }", bit ? "," : "", bit, bit);
	pol_buf_addz(&b, " }; }");
	policy_refused(b.p, POL_P0503, "too complex");
	pol_buf_free(&b);
}

/* 20 levels; for an address in all the prefixes each has the level below 16 times in its selector. */
static void selectors_are_bounded(void **state)
{
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_addz(&b, HEAD "policy x on any { deny from ");
	for (int level = 0; level < 20; level++)
		pol_buf_addz(&b, "{ any except { ");
	pol_buf_addz(&b, "a");
	for (int level = 0; level < 20; level++) {
		pol_buf_addz(&b, " } in {");
		for (int i = 0; i < 16; i++)
			pol_buf_printf(&b, "%s { [l%d_%d == \"x\"] in 10.0.0.0/%d }", i ? "," : "",
				       level, i, i + 8);
		pol_buf_addz(&b, " } }");
	}
	pol_buf_addz(&b, "; }");
	policy_refused(b.p, POL_P0503, "too complex");
	pol_buf_free(&b);
}

static void thousands_of_classes_in_one_peer_are_one_term(void **state)
{
	struct pol_buf b = { 0 };
	struct policy p;

	(void)state;
	pol_buf_addz(&b, "default deny;\npolicy x on any { deny from {");
	for (int i = 0; i < 3000; i++)
		pol_buf_printf(&b, "%s [k == \"v%d\"], 10.%d.%d.0/24", i ? "," : "", i, i / 256,
			       i % 256);
	pol_buf_addz(&b, " }; }");
	p = policy_ok(b.p);
	assert_int_equal(p.ir->preds.v[pred_of(&p, 0)].n, 2);
	policy_free(&p);
	pol_buf_free(&b);
}

/* ---- order -------------------------------------------------------------------- */

static void rules_stand_in_first_match_order(void **state)
{
	struct policy p = policy_ok(
		HEAD
		"option host open;\n"
		"policy m on a { allow from any; reject from any; deny from any; deny to b; }\n"
		"policy base on any tier baseline 2 { allow from any; }\n"
		"policy adm9 on a tier admin 9 { allow from any; skip from b; }\n"
		"policy adm1 on any tier admin 1 { deny from any; }\n"
		"policy base1 on a tier baseline 1 { deny from any; }\n"
		"policy m2 on a { deny from any; }");
	static const char *const order[] = {
		"option host open",
		"deny from any",
		"allow from any",
		"skip from b",
		"deny from any",
		"deny to b",
		"deny from any",
		"reject from any",
		"allow from any",
		"nothing in policy \"m\" allows it in",
		"nothing in policy \"m\" allows it out",
		"nothing in policy \"m2\" allows it in",
		"deny from any",
		"allow from any",
		"default deny",
		"default deny",
	};

	(void)state;
	assert_int_equal(p.ir->by_order.n, POL_ARRAY_LEN(order));
	for (size_t i = 0; i < POL_ARRAY_LEN(order); i++) {
		const struct pol_rule *r = &p.ir->rules.v[p.ir->by_order.v[i]];

		assert_int_equal(r->order, i);
		assert_int_equal(&p.ir->rules.v[r->id] == r, 1);
		if (!pol_str_is(r->text, order[i]))
			fail_msg("at %zu: %.*s", i, POL_STR_ARG(r->text));
	}
	policy_free(&p);
}

static void the_text_of_a_rule_is_one_line(void **state)
{
	struct policy p = policy_ok(
		HEAD
		"policy m on a {\n\tallow  from # who\n\t\ta\n\t\ton tcp 80,\n\ttcp 81 name \"a  # \\\" b\";\n}");

	(void)state;
	assert_string_equal(p.ir->rules.v[0].text.p,
			    "allow from a on tcp 80, tcp 81 name \"a  # \\\" b\"");
	assert_true(pol_str_is(p.ir->rules.v[0].name, "a  # \" b"));
	assert_true(pol_str_is(p.ir->rules.v[0].policy, "m"));
	policy_free(&p);
}

/* ---- what is refused ---------------------------------------------------------- */

static void services_are_lowered(void **state)
{
	struct policy p =
		policy_ok(HEAD "service s { vip 198.51.100.10, 2001:db8::10 on tcp 80;\n"
			       "backend a on tcp 8080; backend 10.7.0.9 on tcp 81 weight 3;\n"
			       "check http \"/up\" every 1; }\n"
			       "policy m on a { allow to s on tcp 80; }");
	const struct pol_ir_service *s = p.ir->services.v;
	const struct pol_term *to = p.ir->preds.v[p.ir->rules.v[0].pred].term;

	(void)state;
	assert_int_equal(p.ir->services.n, 1);
	assert_int_equal(s->proto, 6);
	assert_int_equal(s->nvips, 2);
	assert_int_equal(s->vip[1].addr.family, 6);
	assert_int_equal(s->nbackends, 2);
	assert_true(s->backend[0].by_class && s->backend[0].port == 8080 &&
		    s->backend[0].weight == 1);
	assert_true(!s->backend[1].by_class && s->backend[1].addr.lo == 0x0a070009 &&
		    s->backend[1].weight == 3);
	assert_true(s->checked && s->check[POL_CHECK_EVERY] == 1 &&
		    s->check[POL_CHECK_TIMEOUT] == 1 && s->check[POL_CHECK_RISE] == 2 &&
		    s->check[POL_CHECK_FALL] == 3);
	/* its name is its VIPs: both addresses, whoever has them */
	assert_int_equal(to->mask, POL_PEER_ALL);
	assert_int_equal(p.ir->asets.v[to->aset].v4[0].lo, 0xc633640a);
	policy_free(&p);
	policy_refused(
		HEAD
		"service s { vip 192.0.2.1 on tcp 80; vip 192.0.2.1 on tcp 80; backend a on tcp 80; }",
		POL_P0334, "already");
	policy_refused(HEAD "service s { vip 2001:db8::1 on tcp 80; backend 10.0.0.1 on tcp 80; }",
		       POL_P0316, "IPv6");
}

static void equal_tiers_must_not_overlap(void **state)
{
	struct policy p;

	(void)state;
	policy_refused(HEAD "policy m on a tier admin 5 { deny from any; }\n"
			    "policy n on red tier admin 5 { deny from any; }",
		       POL_P0502, "select the same");
	policy_refused(HEAD "policy m on any tier baseline 5 { deny from any; }\n"
			    "policy n on red tier baseline 5 { deny from any; }",
		       POL_P0502, "select the same");
	p = policy_ok(HEAD "policy m on a tier admin 5 { deny from any; }\n"
			   "policy n on b tier admin 5 { deny from any; }\n"
			   "policy o on [k not in (\"a\", \"b\")] tier admin 5 { deny from any; }\n"
			   "policy q on any tier admin 6 { deny from any; }\n"
			   "policy r on any tier baseline 5 { deny from any; }");
	policy_free(&p);
}

static void limits_stay_in_range(void **state)
{
	(void)state;
	policy_refused(HEAD "policy m on a { allow from any limit 4000000000/s burst 1; }",
		       POL_P0504, "range");
	policy_refused(HEAD "policy m on a { allow from any limit 1/h burst 4000000000; }",
		       POL_P0504, "range");
}

static void every_special_block_is_a_prefix(void **state)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_aset s = pol_special_purpose(a);
	struct pol_prefix p;

	(void)state;
	assert_int_equal(pol_prefix_parse(POL_STR("ff02::1"), &p), POL_IP_OK);
	assert_true(pol_aset_contains(s, p.addr));
	assert_true(pol_aset_contains(s, (struct pol_ip){ .family = 6, .lo = 0xffff01020304 }));
	/* 15 blocks, one with a hole, two adjacent: a typing mistake in the table changes the count. */
	assert_int_equal(s.n4, 15);
	pol_arena_free(a);
}

/* ---- witnesses ---------------------------------------------------------------- */

static void the_solver_finds_the_fewest_labels(void **state)
{
	struct policy p = policy_ok(
		"default deny;\n"
		"endpoint x = (a == \"1\" and b == \"2\" and c == \"3\") or (z != \"q\" and has(z));\n"
		"endpoint y = has(z) and z in (\"q\", \"r\");\n"
		"endpoint never = (a == \"1\" or b == \"1\") and a != \"1\" and not has(b);\n");
	struct pol_want want[] = { { class_sel(&p, "x"), true }, { class_sel(&p, "y"), false } };
	struct pol_want none = { class_sel(&p, "never"), true };
	struct pol_labels found;
	uint64_t steps = 100000;

	(void)state;
	assert_int_equal(pol_solve(p.ir, want, 2, &steps, p.arena, &found), POL_YES);
	assert_int_equal(found.n, 1);
	assert_true(pol_str_is(found.v[0].key, "z"));
	assert_true(pol_str_is(found.v[0].value, "other"));
	assert_int_equal(pol_solve(p.ir, &none, 1, &steps, p.arena, &found), POL_NO);
	steps = 3;
	assert_int_equal(pol_solve(p.ir, want, 2, &steps, p.arena, &found), POL_UNDECIDED);
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_selectors_are_one),
		cmocka_unit_test(selectors_are_in_normal_form),
		cmocka_unit_test(peers_mean_what_their_trees_say),
		cmocka_unit_test(equal_predicates_are_one),
		cmocka_unit_test(products_are_bounded),
		cmocka_unit_test(selectors_are_bounded),
		cmocka_unit_test(thousands_of_classes_in_one_peer_are_one_term),
		cmocka_unit_test(rules_stand_in_first_match_order),
		cmocka_unit_test(the_text_of_a_rule_is_one_line),
		cmocka_unit_test(services_are_lowered),
		cmocka_unit_test(equal_tiers_must_not_overlap),
		cmocka_unit_test(limits_stay_in_range),
		cmocka_unit_test(every_special_block_is_a_prefix),
		cmocka_unit_test(the_solver_finds_the_fewest_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
