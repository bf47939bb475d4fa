/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `polc explain` would have one write: on random policies, made as it says, the flow is
 * allowed, and not with fewer of the changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "policy_text.h"

#include "tests/tools/genpolicy.h"

#define POLICIES 300
#define FLOWS 40

struct trial {
	struct gen_rng rng;
	struct policy policy;
	struct pol_buf text;
	struct pol_buf flow;
	unsigned denied, changed, untold;
};

/* ---- flows as people write them --------------------------------------------------- */

static struct pol_str random_name(struct trial *t, bool endpoint)
{
	static const char *const others[] = { "world",          "host",        "192.0.2.7",
					      "10.1.2.3",       "2001:db8::7", "[app=a]",
					      "[tier=x,zone=y]" };
	const struct pol_program *p = t->policy.program;

	for (unsigned tries = 0; tries < 50 && p->decls.n; tries++) {
		const struct pol_decl *d = p->decls.v[gen_below(&t->rng, (uint32_t)p->decls.n)];

		if (d->kind == POL_DECL_ENDPOINT || (!endpoint && d->kind == POL_DECL_CIDR))
			return d->name.text;
	}
	return pol_str(others[endpoint ? 5 : gen_below(&t->rng, POL_ARRAY_LEN(others))]);
}

static void random_flow(struct trial *t)
{
	static const char *const ports[] = { "tcp 80",   "tcp 443",  "udp 53", "icmp echo-request",
					     "tcp 8080", "proto 47", "sctp 7" };
	bool out = gen_chance(&t->rng, 50);
	struct pol_str own = random_name(t, true), peer = random_name(t, gen_chance(&t->rng, 50));

	t->flow.n = 0;
	pol_buf_printf(&t->flow, "from %.*s to %.*s on %s", POL_STR_ARG(out ? own : peer),
		       POL_STR_ARG(out ? peer : own),
		       ports[gen_below(&t->rng, POL_ARRAY_LEN(ports))]);
}

/* ---- asking, and doing what the answer says ------------------------------------------- */

static bool ask(struct policy *p, const char *flow, struct pol_explanation *x)
{
	struct pol_diags diags;
	struct pol_flow *f;
	bool right;

	pol_diags_init(&diags, p->arena);
	f = pol_flow_parse(p->program, pol_arena_str(p->arena, pol_str(flow)), &diags);
	right = f && pol_explain(p->ir, p->program, f, p->arena, &diags, x);
	pol_diags_free(&diags);
	return right;
}

struct change {
	uint32_t at, end;
	struct pol_str text;
};

/* Where a policy's last brace stands. */
static uint32_t end_of_policy(const struct policy *p, struct pol_span at)
{
	for (size_t i = 0; i < p->program->decls.n; i++) {
		const struct pol_decl *d = p->program->decls.v[i];

		if (d->kind == POL_DECL_POLICY && d->span.file == at.file &&
		    d->span.start <= at.start && at.start < d->span.end)
			return d->span.end - 1;
	}
	fail_msg("no policy where the change belongs");
	return 0;
}

static int from_behind(const void *pa, const void *pb)
{
	const struct change *a = pa, *b = pb;

	return (a->at < b->at) - (a->at > b->at);
}

/* All changes but one; skip == n: all. */
static void make(const struct trial *t, const pol_edit_vec *v, size_t skip, struct pol_buf *out)
{
	struct change c[16];
	size_t n = 0;

	assert_in_range(v->n, 1, POL_ARRAY_LEN(c));
	for (size_t i = 0; i < v->n; i++) {
		const struct pol_edit *e = &v->v[i];
		uint32_t end = (uint32_t)t->text.n;

		if (i == skip)
			continue;
		if (e->replaces)
			c[n] = (struct change){ e->at.start, e->at.end, e->text };
		else if (pol_span_is_none(e->at))
			c[n] = (struct change){ end, end, e->text };
		else
			c[n].at = c[n].end = end_of_policy(&t->policy, e->at), c[n].text = e->text;
		n++;
	}
	qsort(c, n, sizeof(*c), from_behind);
	out->n = 0;
	pol_buf_add(out, pol_buf_str(&t->text));
	for (size_t i = 0; i < n; i++) {
		struct pol_buf next = { 0 };
		bool statement = c[i].at != c[i].end;

		pol_buf_add(&next, (struct pol_str){ out->p, c[i].at });
		pol_buf_addc(&next, '\n');
		/* A rule's span is without its semicolon, which stays. */
		pol_buf_add(&next, c[i].text);
		if (statement && next.n && next.p[next.n - 1] == ';')
			next.n--;
		pol_buf_addc(&next, '\n');
		pol_buf_add(&next, (struct pol_str){ out->p + c[i].end, out->n - c[i].end });
		pol_buf_free(out);
		*out = next;
	}
}

#define UNTOLD (-1)

/* UNTOLD: it has an answer for each of some addresses, where it had one for all. */
static int after(const struct trial *t, const char *text)
{
	struct policy p = policy_ok(text);
	struct pol_explanation x;
	bool told;

	told = ask(&p, t->flow.p, &x);
	policy_free(&p);
	return told ? (int)x.action : UNTOLD;
}

static void try_flow(struct trial *t)
{
	struct pol_explanation x;
	struct pol_buf text = { 0 };
	pol_edit_vec v = { 0 };

	random_flow(t);
	if (!ask(&t->policy, t->flow.p, &x) || x.action == POL_ALLOW)
		return;
	t->denied++;
	pol_explain_edits(t->policy.ir, &x, t->policy.arena, &v);
	if (v.n) {
		int action;

		t->changed++;
		make(t, &v, v.n, &text);
		action = after(t, text.p);
		t->untold += action == UNTOLD;
		if (action != POL_ALLOW && action != UNTOLD) {
			fprintf(stderr, "%s\n---- became\n%s", t->text.p, text.p);
			fail_msg("still denied: %s", t->flow.p);
		}
		for (size_t i = 0; i < v.n && v.n > 1; i++) {
			make(t, &v, i, &text);
			if (after(t, text.p) != POL_ALLOW)
				continue;
			fprintf(stderr, "%s\n---- became\n%s", t->text.p, text.p);
			fail_msg("allowed without change %zu: %s", i, t->flow.p);
		}
	}
	pol_vec_free(&v);
	pol_buf_free(&text);
}

static void edits_allow_the_flow(void **state)
{
	const char *seed = getenv("POLC_ANALYSIS_SEED");
	unsigned denied = 0, changed = 0, untold = 0;

	(void)state;
	for (unsigned i = 0; i < POLICIES; i++) {
		struct trial t = { .rng.state = (seed ? strtoull(seed, NULL, 0) : 4711) + i };
		struct gen_options o = { 0 };
		struct gen_policy g;

		gen_policy(&g, t.rng.state, &o);
		gen_policy_text(&g, &t.text);
		t.policy = policy_read(t.text.p);
		for (unsigned k = 0; t.policy.ir && k < FLOWS; k++)
			try_flow(&t);
		denied += t.denied;
		changed += t.changed;
		untold += t.untold;
		policy_free(&t.policy);
		pol_buf_free(&t.text);
		pol_buf_free(&t.flow);
		gen_policy_free(&g);
	}
	print_message("%u flows denied, changes for %u of them\n", denied, changed);
	assert_in_range(denied, 1000, POLICIES * FLOWS);
	/* An answer is missing only where the policy cannot say it. */
	assert_true(changed > denied * 9 / 10);
	assert_true(untold < changed / 100);
}

/* ---- what is left of names and numbers ------------------------------------------------ */

/* The first change's text; done as it says, the policy is right and allows the flow. */
static void expect_edit(const char *policy, const char *flow, const char *wanted)
{
	struct trial t = { .policy = policy_ok(policy) };
	struct pol_explanation x;
	struct pol_buf text = { 0 };
	pol_edit_vec v = { 0 };

	pol_buf_addz(&t.text, policy);
	pol_buf_addz(&t.flow, flow);
	assert_true(ask(&t.policy, flow, &x));
	assert_int_not_equal(x.action, POL_ALLOW);
	pol_explain_edits(t.policy.ir, &x, t.policy.arena, &v);
	assert_int_equal(v.n, wanted != NULL);
	if (wanted) {
		assert_string_equal(v.v[0].text.p, wanted);
		make(&t, &v, v.n, &text);
		assert_int_equal(after(&t, text.p), POL_ALLOW);
	}
	pol_vec_free(&v);
	pol_buf_free(&text);
	pol_buf_free(&t.text);
	pol_buf_free(&t.flow);
	policy_free(&t.policy);
}

#define WEB "default deny; endpoint web = app == \"web\";\n"

static void new_policies_have_free_names_and_numbers(void **state)
{
	(void)state;
	expect_edit(WEB, "from world to web on tcp 3",
		    "policy \"new ingress\" on web tier baseline 0 { allow from world on tcp 3; }");
	expect_edit(
		WEB "policy \"new ingress\" on web tier baseline 65535 { allow from host; }",
		"from world to web on tcp 3",
		"policy \"new ingress 2\" on web tier baseline 65534 { allow from world on tcp 3; }");
	expect_edit(
		WEB "policy \"new ingress\" on web tier baseline 65535 { }"
		    "policy \"new ingress 2\" on web tier baseline 65534 { deny from world; }"
		    "policy \"new egress\" on web tier baseline 7 { }",
		"from world to web on tcp 3",
		"policy \"new ingress 3\" on web tier baseline 65533 { allow from world on tcp 3; }");
	/* a policy without rules has its number, too */
	expect_edit(WEB "policy a on web tier baseline 3 { }", "from world to web on tcp 3",
		    "policy \"new ingress\" on web tier baseline 4 { allow from world on tcp 3; }");
}

static void without_a_number_nothing_is_said(void **state)
{
	struct pol_buf text = { 0 };

	(void)state;
	pol_buf_addz(&text, WEB);
	for (unsigned i = 0; i < 65536; i++)
		pol_buf_printf(&text, "policy \"%u\" on web tier baseline %u { }\n", i, i);
	expect_edit(text.p, "from world to web on tcp 3", NULL);
	pol_buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_allow_the_flow),
		cmocka_unit_test(new_policies_have_free_names_and_numbers),
		cmocka_unit_test(without_a_number_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
