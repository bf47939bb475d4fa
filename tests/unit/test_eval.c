/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The meaning of the language, sentence by sentence (polc-policy(5)): everything
 * else is compared with the evaluator, so the evaluator is compared with the text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy_text.h"

#define CLASSES                                                                                    \
	"pool 10.1.0.0/16, fd00:1::/48;\n"                                                         \
	"cidr office = 192.0.2.0/24, 2001:db8:1::/48;\n"                                           \
	"cidr racks = 10.1.7.0/24;\n"                                                              \
	"endpoint web = app == \"web\";\n"                                                         \
	"endpoint api = app == \"api\";\n"                                                         \
	"endpoint db = app == \"db\";\n"
#define CLOSED "default deny;\n" CLASSES
#define OPEN "default allow;\n" CLASSES

/* ---- peers -------------------------------------------------------------------- */

static void a_class_is_its_members_wherever_they_are(void **state)
{
	struct policy p = policy_ok(CLOSED "policy api { allow from web; }");

	(void)state;
	/* web has no policy for egress, so `default deny` holds there: ask the other side alone. */
	expect(&p, "from [app=web] to api on tcp 1", POL_DENY, "default deny");
	policy_free(&p);
	p = policy_ok(OPEN "policy api { allow from web; }");
	allows(&p, "from web to api on tcp 1");
	allows(&p, "from [app=web]@10.1.2.3 to api on tcp 1");
	allows(&p, "from [app=web]@203.0.113.5 to api on tcp 1");
	allows(&p, "from [app=web,tier=canary] to api on tcp 1");
	denies(&p, "from db to api on tcp 1");
	denies(&p, "from [tier=web] to api on tcp 1");
	denies(&p, "from 10.1.2.3 to api on tcp 1");
	denies(&p, "from world to api on tcp 1");
	denies(&p, "from host to api on tcp 1");
	policy_free(&p);
}

static void any_is_everybody(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from any; }");

	(void)state;
	allows(&p, "from web to api on tcp 1");
	allows(&p, "from [] to api on tcp 1");
	allows(&p, "from 10.1.2.3 to api on tcp 1");
	allows(&p, "from 192.0.2.1 to api on tcp 1");
	allows(&p, "from 2001:db8::1 to api on tcp 1");
	allows(&p, "from world to api on tcp 1");
	allows(&p, "from host to api on tcp 1");
	allows(&p, "from nodes to api on tcp 1");
	policy_free(&p);
}

static void world_is_who_is_nothing_else(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from world; }");

	(void)state;
	allows(&p, "from world to api on tcp 1");
	allows(&p, "from 192.0.2.1 to api on tcp 1");
	allows(&p, "from 10.2.0.1 to api on tcp 1");
	allows(&p, "from 2001:db8::1 to api on tcp 1");
	denies(&p, "from web to api on tcp 1");
	denies(&p, "from [app=web]@192.0.2.1 to api on tcp 1");
	denies(&p, "from host to api on tcp 1");
	denies(&p, "from nodes to api on tcp 1");
	denies(&p, "from 10.1.2.3 to api on tcp 1");
	denies(&p, "from fd00:1::7 to api on tcp 1");
	denies(&p, "from 64:ff9b::a01:203 to api on tcp 1");
	policy_free(&p);
}

static void host_and_nodes_are_only_themselves(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from host; }\n"
					 "policy db { allow from nodes; }");

	(void)state;
	allows(&p, "from host to api on tcp 1");
	denies(&p, "from nodes to api on tcp 1");
	denies(&p, "from world to api on tcp 1");
	denies(&p, "from web to api on tcp 1");
	allows(&p, "from nodes to db on tcp 1");
	denies(&p, "from host to db on tcp 1");
	policy_free(&p);
}

static void public_is_world_without_special_addresses(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from public; }");
	static const char *const inside[] = {
		"8.8.8.8",         "192.0.0.9", "172.15.0.1",    "172.32.0.1",
		"223.255.255.255", "2600::1",   "2001:4:112::1", "64:ff9b::808:808",
	};
	static const char *const outside[] = {
		"0.1.2.3",     "10.2.0.1",       "100.64.0.1",   "127.0.0.1", "169.254.1.1",
		"172.16.0.1",  "172.31.255.255", "192.0.0.8",    "192.0.2.1", "192.168.1.1",
		"198.18.0.1",  "198.51.100.1",   "203.0.113.1",  "224.0.0.1", "255.255.255.255",
		"::1",         "64:ff9b::a02:1", "64:ff9b:1::1", "100::1",    "2001::1",
		"2001:db8::1", "2002::1",        "3fff::1",      "5f00::1",   "fc00::1",
		"fe80::1",     "ff02::1",
	};
	char flow[128];

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(inside); i++) {
		snprintf(flow, sizeof(flow), "from %s to api on tcp 1", inside[i]);
		allows(&p, flow);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(outside); i++) {
		snprintf(flow, sizeof(flow), "from %s to api on tcp 1", outside[i]);
		denies(&p, flow);
	}
	allows(&p, "from world to api on tcp 1");
	denies(&p, "from web to api on tcp 1");
	denies(&p, "from [app=web]@8.8.8.8 to api on tcp 1");
	policy_free(&p);
}

static void none_closes_and_opens_nothing(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow to none; }");

	(void)state;
	denies(&p, "from api to world on tcp 1");
	denies(&p, "from api to web on tcp 1");
	allows(&p, "from web to api on tcp 1");
	policy_free(&p);
	p = policy_ok(OPEN "policy api { allow to none; }\n"
			   "policy again on api { allow to web; }");
	allows(&p, "from api to web on tcp 1");
	denies(&p, "from api to db on tcp 1");
	policy_free(&p);
}

static void unions_except_and_in_are_set_algebra(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"policy u on api { allow from { web, office } on tcp 1; }\n"
		"policy e on api { allow from any except web on tcp 2; }\n"
		"policy i on api { allow from world in office on tcp 3; }\n"
		"policy l on api { allow from any except office in office on tcp 4; }\n"
		"policy r on api { allow from any except { office in 192.0.2.0/25 } on tcp 5; }\n"
		"policy c on api { allow from web in office on tcp 6; }\n"
		"policy d on api { allow from web except office on tcp 7; }");

	(void)state;
	allows(&p, "from web to api on tcp 1");
	allows(&p, "from 192.0.2.9 to api on tcp 1");
	denies(&p, "from db to api on tcp 1");
	denies(&p, "from world to api on tcp 1");

	denies(&p, "from web to api on tcp 2");
	allows(&p, "from db to api on tcp 2");
	allows(&p, "from world to api on tcp 2");
	allows(&p, "from 10.1.0.9 to api on tcp 2");

	allows(&p, "from 192.0.2.9 to api on tcp 3");
	denies(&p, "from 192.0.3.9 to api on tcp 3");
	denies(&p, "from [app=web]@192.0.2.9 to api on tcp 3");

	/* Left to right: (any except office) in office is nobody. */
	denies(&p, "from 192.0.2.9 to api on tcp 4");
	denies(&p, "from world to api on tcp 4");

	denies(&p, "from 192.0.2.9 to api on tcp 5");
	allows(&p, "from 192.0.2.200 to api on tcp 5");

	allows(&p, "from [app=web]@192.0.2.9 to api on tcp 6");
	denies(&p, "from web to api on tcp 6");
	denies(&p, "from [app=db]@192.0.2.9 to api on tcp 6");
	denies(&p, "from 192.0.2.9 to api on tcp 6");

	denies(&p, "from [app=web]@192.0.2.9 to api on tcp 7");
	allows(&p, "from web to api on tcp 7");
	allows(&p, "from [app=web]@192.0.3.9 to api on tcp 7");
	policy_free(&p);
}

static void a_prefix_matches_the_address_whoever_has_it(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from any; deny from 192.0.2.0/24; }");
	struct pol_eval_peer peer = { .kind = POL_PEER_HOST, .has_addr = true };
	struct pol_label app = { POL_STR("app"), POL_STR("api") };
	struct pol_eval_side side;

	(void)state;
	denies(&p, "from 192.0.2.9 to api on tcp 1");
	denies(&p, "from [app=web]@192.0.2.9 to api on tcp 1");
	allows(&p, "from [app=web]@192.0.3.9 to api on tcp 1");
	allows(&p, "from web to api on tcp 1");
	peer.addr = (struct pol_ip){ .family = 4, .lo = 0xc0000209 };
	for (unsigned kind = POL_PEER_WORLD; kind & POL_PEER_ALL; kind <<= 1) {
		peer.kind = kind;
		pol_eval_side(p.ir, (struct pol_labels){ &app, 1 }, POL_INGRESS, &peer,
			      POL_L4_KEY(6, 1), &side);
		assert_int_equal(side.action, POL_DENY);
	}
	policy_free(&p);
}

static void a_pool_address_without_endpoint_matches_prefixes_and_any(void **state)
{
	struct policy p =
		policy_ok(CLOSED "policy api {\n"
				 "allow from { world, public, host, nodes, web, [] } on tcp 1;\n"
				 "allow from any on tcp 2;\n"
				 "allow from racks on tcp 3;\n"
				 "allow from world in racks on tcp 4; }");

	(void)state;
	denies(&p, "from 10.1.7.7 to api on tcp 1");
	allows(&p, "from 10.1.7.7 to api on tcp 2");
	allows(&p, "from 10.1.7.7 to api on tcp 3");
	denies(&p, "from 10.1.6.7 to api on tcp 3");
	denies(&p, "from 10.1.7.7 to api on tcp 4");
	policy_free(&p);
}

static void negative_tests_are_true_for_a_missing_label(void **state)
{
	struct policy p =
		policy_ok(OPEN "endpoint a = tier != \"x\";\n"
			       "endpoint b = tier not in (\"x\", \"y\");\n"
			       "endpoint c = not (tier == \"x\");\n"
			       "endpoint d = tier == \"z\" or not has(tier);\n"
			       "policy db { allow from a on tcp 1; allow from b on tcp 2;\n"
			       "allow from c on tcp 3; allow from d on tcp 4; }");
	static const struct {
		const char *labels;
		bool ok[4];
	} cases[] = {
		{ "[]", { true, true, true, true } },
		{ "[tier=x]", { false, false, false, false } },
		{ "[tier=y]", { true, false, true, false } },
		{ "[tier=z]", { true, true, true, true } },
		{ "[app=x]", { true, true, true, true } },
	};
	char flow[128];

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		for (int k = 0; k < 4; k++) {
			snprintf(flow, sizeof(flow), "from %s to db on tcp %d", cases[i].labels,
				 k + 1);
			expect(&p, flow, cases[i].ok[k] ? POL_ALLOW : POL_DENY, NULL);
		}
	}
	policy_free(&p);
}

static void ipv4_prefixes_match_inside_the_translation_prefix(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from world; deny from office; }");

	(void)state;
	denies(&p, "from 192.0.2.9 to api on tcp 1");
	denies(&p, "from 64:ff9b::c000:209 to api on tcp 1");
	allows(&p, "from 64:ff9b::c000:309 to api on tcp 1");
	allows(&p, "from 64:ff9b:0:0:0:1:c000:209 to api on tcp 1");
	policy_free(&p);
}

/* "a class without an address stands for a member whose address no prefix of the policy names" */
static void an_unknown_address_is_in_no_prefix(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"policy api { deny from 8000::/1 on tcp 1; deny from 0.0.0.0/1 on tcp 2;\n"
		"allow from any except office on tcp 3; deny from { 0.0.0.0/0, ::/0 } on tcp 4;\n"
		"allow from any on tcp 1-2, tcp 4; }");

	(void)state;
	allows(&p, "from web to api on tcp 1");
	allows(&p, "from web to api on tcp 2");
	allows(&p, "from web to api on tcp 3");
	/* What names everything names it, too. */
	denies(&p, "from web to api on tcp 4");
	denies(&p, "from [app=web]@192.0.2.1 to api on tcp 3");
	policy_free(&p);
}

/* Where every address of a family is named, nobody is at one that is not: one answer for all, or none. */
static void without_an_unknown_address_all_must_agree(void **state)
{
	static const char *const apart[] = { "from web to api on tcp 1",
					     "from world to api on tcp 1",
					     "from web to api on tcp 2",
					     "from host to api on tcp 2" };
	struct policy p = policy_ok(
		OPEN "policy api { deny from ::/0 on tcp 1; deny from 0.0.0.0/1 on tcp 2;\n"
		     "deny from 128.0.0.0/1 on udp 1; deny from 0.0.0.0/1 on udp 1;\n"
		     "deny from world in 0.0.0.0/0 on tcp 3; allow from any; }");

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(apart); i++) {
		struct pol_flow *f = pol_flow_parse(p.program, pol_str(apart[i]), &p.diags);
		struct pol_explanation x;

		assert_non_null(f);
		assert_false(pol_explain(p.ir, p.program, f, p.arena, &p.diags, &x));
		assert_int_equal(p.diags.all.v[p.diags.all.n - 1]->code, POL_P0506);
	}
	denies(&p, "from [app=web]@2001:db8::1 to api on tcp 1");
	allows(&p, "from [app=web]@192.0.2.1 to api on tcp 1");
	denies(&p, "from 10.0.0.1 to api on tcp 2");
	allows(&p, "from web to api on tcp 3");
	denies(&p, "from 192.0.2.1 to api on tcp 3");
	allows(&p, "from 2001:db8::1 to api on tcp 3");
	allows(&p, "from world to api on tcp 4");
	policy_free(&p);
}

/* ---- one direction of one subject --------------------------------------------- */

static void both_sides_must_allow(void **state)
{
	struct policy p = policy_ok(
		CLOSED "policy web { allow to api on tcp 1; allow to api on tcp 2; }\n"
		       "policy api { allow from web on tcp 2; allow from web on tcp 3; }");

	(void)state;
	expect(&p, "from web to api on tcp 1", POL_DENY, "nothing in policy \"api\" allows it in");
	allows(&p, "from web to api on tcp 2");
	expect(&p, "from web to api on tcp 3", POL_DENY, "nothing in policy \"web\" allows it out");
	policy_free(&p);
}

static void without_a_rule_in_that_direction_default_decides(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { allow from web on tcp 1; }");

	(void)state;
	expect(&p, "from api to world on tcp 9", POL_ALLOW, "default allow");
	expect(&p, "from db to web on tcp 9", POL_ALLOW, "default allow");
	denies(&p, "from db to api on tcp 1");
	policy_free(&p);
	p = policy_ok(CLOSED "policy api { allow from world on tcp 1; }");
	expect(&p, "from api to world on tcp 9", POL_DENY, "default deny");
	expect(&p, "from world to db on tcp 1", POL_DENY, "default deny");
	allows(&p, "from world to api on tcp 1");
	policy_free(&p);
}

static void a_deny_alone_closes_too(void **state)
{
	struct policy p = policy_ok(OPEN "policy api { deny from db; }");

	(void)state;
	expect(&p, "from db to api on tcp 1", POL_DENY, "deny from db");
	expect(&p, "from web to api on tcp 1", POL_DENY, "nothing in policy \"api\" allows it in");
	allows(&p, "from api to web on tcp 1");
	policy_free(&p);
}

static void order_never_matters_and_policies_add_up(void **state)
{
	static const char *const texts[] = {
		OPEN "policy a on api { allow from web; deny from web on tcp 22; }\n"
		     "policy b on { api, db } { allow from db; }",
		OPEN "policy b on { api, db } { allow from db; }\n"
		     "policy a on api { deny from web on tcp 22; allow from web; }",
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(texts); i++) {
		struct policy p = policy_ok(texts[i]);

		expect(&p, "from web to api on tcp 22", POL_DENY, "deny from web on tcp 22");
		expect(&p, "from web to api on tcp 23", POL_ALLOW, "allow from web");
		expect(&p, "from db to api on tcp 22", POL_ALLOW, "allow from db");
		allows(&p, "from db to db on tcp 1");
		denies(&p, "from web to db on tcp 1");
		policy_free(&p);
	}
}

static void without_on_every_protocol_and_port(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"port dns = udp 53, tcp 53;\n"
		"policy web { allow to any; }\n"
		"policy api { allow from any on dns, tcp 100-200, icmp echo-request, proto 47, icmp6; }");

	(void)state;
	allows(&p, "from web to world on tcp 65535");
	allows(&p, "from web to world on icmp echo-request");
	allows(&p, "from web to world on proto 255");
	allows(&p, "from db to api on udp 53");
	allows(&p, "from db to api on tcp 53");
	denies(&p, "from db to api on sctp 53");
	denies(&p, "from db to api on tcp 99");
	allows(&p, "from db to api on tcp 100");
	allows(&p, "from db to api on tcp 200");
	denies(&p, "from db to api on tcp 201");
	allows(&p, "from db to api on icmp 8");
	denies(&p, "from db to api on icmp 0");
	allows(&p, "from db to api on icmp6 128");
	allows(&p, "from db to api on proto 47");
	denies(&p, "from db to api on proto 50");
	policy_free(&p);
}

static void a_subject_is_a_class_a_union_or_any(void **state)
{
	struct policy p =
		policy_ok(OPEN "policy one on any { deny from db on tcp 1; allow from any; }\n"
			       "policy two on { web, api } { deny from db on tcp 2; }");

	(void)state;
	denies(&p, "from db to [] on tcp 1");
	denies(&p, "from db to web on tcp 1");
	denies(&p, "from db to web on tcp 2");
	denies(&p, "from db to api on tcp 2");
	allows(&p, "from db to db on tcp 2");
	policy_free(&p);
}

static void deny_is_silent_before_reject_answers(void **state)
{
	struct policy p = policy_ok(
		OPEN "policy api { reject from web; deny from web on tcp 1; allow from web;\n"
		     "reject from any on tcp 2; }");

	(void)state;
	expect(&p, "from web to api on tcp 1", POL_DENY, "deny from web on tcp 1");
	expect(&p, "from web to api on tcp 2", POL_REJECT, "reject from web");
	expect(&p, "from db to api on tcp 2", POL_REJECT, "reject from any on tcp 2");
	expect(&p, "from db to api on tcp 3", POL_DENY, "nothing in policy \"api\" allows it in");
	policy_free(&p);
}

static void reports_name_the_first_rule_of_the_kind(void **state)
{
	struct policy p = policy_ok(
		OPEN "policy api { allow from web on tcp 1-9; allow from web on tcp 5; }\n"
		     "policy also on api { deny from web on tcp 7; deny from web on tcp 6-8; }");

	(void)state;
	expect(&p, "from web to api on tcp 5", POL_ALLOW, "allow from web on tcp 1-9");
	expect(&p, "from web to api on tcp 7", POL_DENY, "deny from web on tcp 7");
	expect(&p, "from web to api on tcp 6", POL_DENY, "deny from web on tcp 6-8");
	policy_free(&p);
}

static void only_sides_that_live_here_are_judged(void **state)
{
	struct policy p = policy_ok(CLOSED "policy api { allow from web; }");
	struct pol_label web = { POL_STR("app"), POL_STR("web") },
			 api = { POL_STR("app"), POL_STR("api") };
	struct pol_eval_peer src = { .kind = POL_PEER_ENDPOINT, .labels = { &web, 1 } };
	struct pol_eval_peer dst = { .kind = POL_PEER_ENDPOINT, .labels = { &api, 1 } };
	struct pol_eval_flow f;

	(void)state;
	pol_eval_flow(p.ir, &src, false, &dst, true, POL_L4_KEY(6, 1), &f);
	assert_int_equal(f.action, POL_ALLOW);
	assert_false(f.judged[POL_EGRESS]);
	assert_true(f.judged[POL_INGRESS]);
	pol_eval_flow(p.ir, &src, true, &dst, false, POL_L4_KEY(6, 1), &f);
	assert_int_equal(f.action, POL_DENY);
	assert_int_equal(f.decided_by, POL_EGRESS);
	policy_free(&p);
}

/* ---- attributes --------------------------------------------------------------- */

static struct pol_eval_side ingress(struct policy *p, const char *flow)
{
	return policy_explain(p, flow).flow.side[POL_INGRESS];
}

static void every_matching_limit_holds(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"policy a on api { allow from any limit 10/s burst 20;\n"
		"allow from web on tcp 1 limit 5/min burst 5 per source /24; allow from any; }\n"
		"policy b on api { allow from web limit 7/h burst 7 per source; deny from db; }");
	struct pol_eval_side s;

	(void)state;
	s = ingress(&p, "from web to api on tcp 1");
	assert_int_equal(s.nlimits, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(s.limit[i], i);
	s = ingress(&p, "from world to api on tcp 1");
	assert_int_equal(s.nlimits, 1);
	s = ingress(&p, "from db to api on tcp 1");
	assert_int_equal(s.nlimits, 0);
	assert_int_equal(p.ir->limits.v[0].ns_per_token, 100000000);
	assert_int_equal(p.ir->limits.v[0].burst_ns, 2000000000);
	assert_int_equal(p.ir->limits.v[0].per_source, 0);
	assert_int_equal(p.ir->limits.v[1].ns_per_token, 12000000000);
	assert_int_equal(p.ir->limits.v[1].len4, 24);
	assert_int_equal(p.ir->limits.v[2].ns_per_token, 3600000000000 / 7);
	assert_int_equal(p.ir->limits.v[2].len4, 32);
	assert_int_equal(p.ir->limits.v[2].len6, 64);
	policy_free(&p);
}

static void log_of_the_deciding_rule_or_of_any_allow(void **state)
{
	struct policy p = policy_ok(
		OPEN "policy api { allow from any; allow from web log; deny from db on tcp 1 log;\n"
		     "deny from db on tcp 1-2; reject from db on tcp 3; }");

	(void)state;
	assert_true(ingress(&p, "from web to api on tcp 1").log);
	assert_false(ingress(&p, "from world to api on tcp 1").log);
	assert_true(ingress(&p, "from db to api on tcp 1").log);
	assert_false(ingress(&p, "from db to api on tcp 2").log);
	assert_false(ingress(&p, "from db to api on tcp 3").log);
	policy_free(&p);
}

static void an_audit_policy_decides_nothing_and_tells_what_it_would_deny(void **state)
{
	struct policy p = policy_ok(
		OPEN "policy try on api audit { allow from web; deny from world on tcp 1; }\n"
		     "policy real on db { allow from any; deny from api; }\n"
		     "policy stricter on db audit { deny from web; allow from none; }");
	struct pol_eval_side s;

	(void)state;
	s = ingress(&p, "from web to api on tcp 1");
	assert_int_equal(s.action, POL_ALLOW);
	assert_int_equal(s.audit_rule, POL_NO_RULE);
	s = ingress(&p, "from db to api on tcp 1"); /* the audit policy would close */
	assert_int_equal(s.action, POL_ALLOW);
	assert_true(pol_str_is(p.ir->rules.v[s.rule].text, "default allow"));
	assert_int_equal(p.ir->rules.v[s.audit_rule].implicit, POL_IMPLICIT_CLOSED);
	s = ingress(&p, "from world to api on tcp 1");
	assert_true(pol_str_is(p.ir->rules.v[s.audit_rule].text, "deny from world on tcp 1"));
	/* What is in force adds up with it: `real` allows everybody, so nothing is closed. */
	s = ingress(&p, "from world to db on tcp 1");
	assert_int_equal(s.audit_rule, POL_NO_RULE);
	s = ingress(&p, "from web to db on tcp 1");
	assert_int_equal(s.action, POL_ALLOW);
	assert_true(pol_str_is(p.ir->rules.v[s.audit_rule].text, "deny from web"));
	/* Denied anyway: nothing to report. */
	s = ingress(&p, "from api to db on tcp 1");
	assert_int_equal(s.action, POL_DENY);
	assert_int_equal(s.audit_rule, POL_NO_RULE);
	policy_free(&p);
}

/* ---- tiers -------------------------------------------------------------------- */

static void tiers_are_first_match_lower_numbers_first(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"policy late on any tier admin 20 { allow from any on tcp 1-2; deny from web on tcp 3; }\n"
		"policy soon on any tier admin 10 { deny from web on tcp 1; allow from web on tcp 3;\n"
		"deny from any on tcp 3; }\n"
		"policy api { deny from any; }");

	(void)state;
	expect(&p, "from web to api on tcp 1", POL_DENY, "deny from web on tcp 1");
	expect(&p, "from web to api on tcp 2", POL_ALLOW, "allow from any on tcp 1-2");
	expect(&p, "from web to api on tcp 3", POL_ALLOW, "allow from web on tcp 3");
	expect(&p, "from db to api on tcp 3", POL_DENY, "deny from any on tcp 3");
	expect(&p, "from web to api on tcp 4", POL_DENY, "deny from any");
	policy_free(&p);
}

static void skip_leaves_it_to_ordinary_policies(void **state)
{
	struct policy p =
		policy_ok(OPEN "policy t on any tier admin 1 { skip from web; deny from any; }\n"
			       "policy t2 on any tier admin 2 { deny from web; }\n"
			       "policy api { allow from web on tcp 1; }");

	(void)state;
	expect(&p, "from web to api on tcp 1", POL_ALLOW, "allow from web on tcp 1");
	expect(&p, "from web to api on tcp 2", POL_DENY, "nothing in policy \"api\" allows it in");
	expect(&p, "from db to api on tcp 1", POL_DENY, "deny from any");
	expect(&p, "from web to db on tcp 2", POL_ALLOW, "default allow");
	policy_free(&p);
}

static void baseline_comes_after_ordinary_policies_and_before_default(void **state)
{
	struct policy p = policy_ok(
		OPEN
		"policy b on any tier baseline 5 { allow from db; skip from host; deny from any; }\n"
		"policy api { allow from web; }");

	(void)state;
	expect(&p, "from db to api on tcp 1", POL_DENY, "nothing in policy \"api\" allows it in");
	expect(&p, "from db to web on tcp 1", POL_ALLOW, "allow from db");
	expect(&p, "from api to web on tcp 1", POL_DENY, "deny from any");
	expect(&p, "from host to web on tcp 1", POL_ALLOW, "default allow");
	/* The other direction has no baseline rule. */
	expect(&p, "from web to world on tcp 1", POL_ALLOW, "default allow");
	policy_free(&p);
}

static void tier_rules_close_nothing(void **state)
{
	struct policy p =
		policy_ok(OPEN "policy t on api tier admin 1 { allow from web on tcp 1; }\n"
			       "policy b on api tier baseline 1 { allow from web on tcp 1; }");

	(void)state;
	expect(&p, "from db to api on tcp 1", POL_ALLOW, "default allow");
	policy_free(&p);
}

static void host_open_comes_before_everything(void **state)
{
	struct policy p = policy_ok(CLOSED "option host open;\n"
					   "policy t on any tier admin 0 { deny from any; }");

	(void)state;
	expect(&p, "from host to api on tcp 1", POL_ALLOW, "option host open");
	expect(&p, "from nodes to api on tcp 1", POL_DENY, "deny from any");
	expect(&p, "from api to host on tcp 1", POL_DENY, "default deny");
	policy_free(&p);
	p = policy_ok(CLOSED);
	denies(&p, "from host to api on tcp 1");
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_is_its_members_wherever_they_are),
		cmocka_unit_test(any_is_everybody),
		cmocka_unit_test(world_is_who_is_nothing_else),
		cmocka_unit_test(host_and_nodes_are_only_themselves),
		cmocka_unit_test(public_is_world_without_special_addresses),
		cmocka_unit_test(none_closes_and_opens_nothing),
		cmocka_unit_test(unions_except_and_in_are_set_algebra),
		cmocka_unit_test(a_prefix_matches_the_address_whoever_has_it),
		cmocka_unit_test(a_pool_address_without_endpoint_matches_prefixes_and_any),
		cmocka_unit_test(negative_tests_are_true_for_a_missing_label),
		cmocka_unit_test(ipv4_prefixes_match_inside_the_translation_prefix),
		cmocka_unit_test(an_unknown_address_is_in_no_prefix),
		cmocka_unit_test(without_an_unknown_address_all_must_agree),
		cmocka_unit_test(both_sides_must_allow),
		cmocka_unit_test(without_a_rule_in_that_direction_default_decides),
		cmocka_unit_test(a_deny_alone_closes_too),
		cmocka_unit_test(order_never_matters_and_policies_add_up),
		cmocka_unit_test(without_on_every_protocol_and_port),
		cmocka_unit_test(a_subject_is_a_class_a_union_or_any),
		cmocka_unit_test(deny_is_silent_before_reject_answers),
		cmocka_unit_test(reports_name_the_first_rule_of_the_kind),
		cmocka_unit_test(only_sides_that_live_here_are_judged),
		cmocka_unit_test(every_matching_limit_holds),
		cmocka_unit_test(log_of_the_deciding_rule_or_of_any_allow),
		cmocka_unit_test(an_audit_policy_decides_nothing_and_tells_what_it_would_deny),
		cmocka_unit_test(tiers_are_first_match_lower_numbers_first),
		cmocka_unit_test(skip_leaves_it_to_ordinary_policies),
		cmocka_unit_test(baseline_comes_after_ordinary_policies_and_before_default),
		cmocka_unit_test(tier_rules_close_nothing),
		cmocka_unit_test(host_open_comes_before_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
