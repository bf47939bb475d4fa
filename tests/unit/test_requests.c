/* SPDX-License-Identifier: GPL-2.0-only */
/* The search for requests, against trying them one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler/analysis/diff.h"
#include "policy_text.h"

static uint64_t seed = 20261124;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

static const char *const methods[] = { "GET", "POST", "HEAD", "PUT" };
static const char *const hosts[] = { "a", "b.example", "c" };
static const char *const paths[] = { "/",    "/x",  "/x/",  "/x/y",   "/x/y/z", "/y",
				     "/y/1", "/zz", "/x/@", "/x/%40", "/x/%20" };
static const char *const patterns[] = { "\"/x\"",   "\"/x/**\"",  "\"/*\"",    "\"/**\"",
					"\"/y/*\"", "~\"/[xy]\"", "~\"/.*z\"", "\"/x/y/\"",
					"\"/x/@\"", "~\"/x/...\"" };

static void lines(struct pol_buf *b, unsigned n)
{
	while (n--) {
		pol_buf_addz(b, rnd(3) ? "\tallow " : "\tdeny ");
		if (rnd(4))
			pol_buf_printf(b, "%s ", methods[rnd(4)]);
		else
			pol_buf_addz(b, "* ");
		pol_buf_addz(b, patterns[rnd(POL_ARRAY_LEN(patterns))]);
		if (!rnd(3))
			pol_buf_printf(b, " where host == \"%s\"", hosts[rnd(3)]);
		pol_buf_addz(b, ";\n");
	}
}

static bool passes(const struct pol_ir *ir, const struct pol_eval_flow *f, const char *m,
		   const char *h, const char *p)
{
	struct pol_http_request r = { .method = pol_str(m),
				      .host = pol_str(h),
				      .path = pol_str(p) };

	for (unsigned d = 0; d < POL_DIRECTIONS; d++)
		if (f->judged[d] && !pol_eval_request(ir, &f->side[d], &r).allow)
			return false;
	return true;
}

static void try_all(const struct pol_ir *ir, const struct pol_eval_flow *f, bool allowed,
		    struct pol_arena *a)
{
	struct pol_requests q = { .ir = ir,
				  .side = { &f->side[0], &f->side[1] },
				  .allowed = allowed };
	struct pol_request_witness w;
	uint64_t steps = 1u << 20;
	enum pol_answer any = pol_requests_find(&q, &steps, a, &w);
	bool seen = false;

	assert_int_not_equal(any, POL_UNDECIDED);
	if (any == POL_YES)
		assert_int_equal(passes(ir, f, w.method.p, w.host.p, w.path.p), allowed);
	for (size_t m = 0; m < 4; m++)
		for (size_t p = 0; p < POL_ARRAY_LEN(paths); p++) {
			bool one = false;

			for (size_t h = 0; h < 3; h++)
				one |= passes(ir, f, methods[m], hosts[h], paths[p]) == allowed;
			seen |= one;
			/* hosts that no line names are all alike; "zz" stands for them */
			one |= passes(ir, f, methods[m], "zz", paths[p]) == allowed;
			q.method = pol_str(methods[m]);
			q.path = pol_str(paths[p]);
			assert_int_equal(pol_requests_find(&q, &steps, a, &w),
					 one ? POL_YES : POL_NO);
		}
	if (seen)
		assert_int_equal(any, POL_YES);
}

static void random_text(struct pol_buf *text)
{
	pol_buf_addz(text, "default deny;\nendpoint a = app == \"a\";\nendpoint b = app == \"b\";\n"
			   "policy a { allow to b on tcp 80");
	if (rnd(2)) {
		pol_buf_addz(text, " http {\n");
		lines(text, 1 + rnd(3));
		pol_buf_addc(text, '}');
	}
	pol_buf_addz(text, "; }\npolicy b {\nallow from a on tcp 80 http {\n");
	lines(text, rnd(4));
	pol_buf_addz(text, "}\nallow from any on tcp 80 http {\n");
	lines(text, rnd(3));
	pol_buf_printf(text, "}\n%s}\n", rnd(5) ? "" : "allow from a on tcp;\n");
	/* a block ends without a semicolon */
	for (char *at; (at = strstr(text->p, "}; }"));)
		memcpy(at, "}  }", 4);
}

static void as_many_as_by_hand(void **state)
{
	unsigned yes = 0, no = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct pol_buf text = { 0 };
		struct pol_explanation x;
		struct policy p;

		random_text(&text);
		p = policy_ok(text.p);
		x = policy_explain(&p, "from a to b on tcp 80");
		assert_int_equal(x.flow.action, POL_ALLOW);
		try_all(p.ir, &x.flow, true, p.arena);
		try_all(p.ir, &x.flow, false, p.arena);
		if (passes(p.ir, &x.flow, "GET", "a", "/x"))
			yes++;
		else
			no++;
		policy_free(&p);
		pol_buf_free(&text);
	}
	assert_true(yes > 20 && no > 20);
}

/* ---- between two policies -------------------------------------------------------------- */

/* Of the requests that we try, does one pass by x and not by y? */
static bool one_differs(const struct policy p[2], const struct pol_eval_flow f[2], unsigned x)
{
	static const char *const all[] = { "a", "b.example", "c", "zz" };

	for (size_t m = 0; m < 4; m++)
		for (size_t k = 0; k < POL_ARRAY_LEN(paths); k++)
			for (size_t h = 0; h < 4; h++)
				if (passes(p[x].ir, &f[x], methods[m], all[h], paths[k]) &&
				    !passes(p[!x].ir, &f[!x], methods[m], all[h], paths[k]))
					return true;
	return false;
}

static void check_diff(struct policy p[2], unsigned seen[2])
{
	const struct pol_ir *ir[] = { p[0].ir, p[1].ir };
	bool told[2] = { false, false };
	struct pol_eval_flow f[2];
	struct pol_diff d;

	for (unsigned i = 0; i < 2; i++)
		f[i] = policy_explain(&p[i], "from a to b on tcp 80").flow;
	pol_diff_find(&d, ir, p[0].arena, 0);
	assert_false(d.undecided || d.requests); /* no line asks for headers */
	for (size_t i = 0; i < d.changes.n; i++) {
		const struct pol_change *x = &d.changes.v[i];
		unsigned by = x->kind == POL_CHANGE_WIDENED; /* whom it passes by */
		struct pol_eval_flow g[2];

		if (!x->request.method.p)
			continue;
		for (unsigned k = 0; k < 2; k++) {
			struct pol_point q = pol_point_for(ir[k], &x->flow);

			pol_point_judge(ir[k], &q, &g[k]);
			assert_int_equal(passes(ir[k], &g[k], x->request.method.p,
						x->request.host.p, x->request.path.p),
					 k == by);
		}
		told[by] = true;
		seen[by]++;
	}
	for (unsigned i = 0; i < 2; i++)
		if (one_differs(p, f, i))
			assert_true(told[i]);
	pol_diff_free(&d);
}

static void diff_finds_the_requests(void **state)
{
	unsigned seen[2] = { 0, 0 };

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct pol_buf text[2] = { { 0 } };
		struct policy p[2];

		for (unsigned k = 0; k < 2; k++) {
			random_text(&text[k]);
			p[k] = policy_ok(text[k].p);
		}
		check_diff(p, seen);
		for (unsigned k = 0; k < 2; k++) {
			policy_free(&p[k]);
			pol_buf_free(&text[k]);
		}
	}
	assert_true(seen[0] > 50 && seen[1] > 50);
}

/* A policy and itself, its lines and blocks in another order, and with what makes no difference. */
static void same_requests_are_no_change(void **state)
{
	static const char *const text[] = {
		"default deny;\nendpoint a = app == \"a\";\npolicy s on [app == \"s\"] {\n"
		"allow from a on tcp 80 http { allow GET \"/x/**\"; deny * \"/x/y\"; allow POST \"/z\" where header \"k\" == \"1\"; }\n}\n",
		"default deny;\nendpoint a = app == \"a\";\npolicy s on [app == \"s\"] {\n"
		"allow from a on tcp 80 http { allow GET \"/x/**\"; allow GET \"/x/q\"; deny * \"/x/y\"; }\n"
		"allow from a on tcp 80 http { allow POST \"/z\" where header \"k\" == \"1\"; }\n}\n",
	};
	struct policy p[2] = { policy_ok(text[0]), policy_ok(text[1]) };
	const struct pol_ir *ir[] = { p[0].ir, p[1].ir };
	struct pol_diff d;

	(void)state;
	pol_diff_find(&d, ir, p[0].arena, 0);
	assert_int_equal(d.changes.n, 0);
	assert_false(d.undecided || d.requests);
	pol_diff_free(&d);
	policy_free(&p[0]);
	policy_free(&p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_many_as_by_hand),
					    cmocka_unit_test(diff_finds_the_requests),
					    cmocka_unit_test(same_requests_are_no_change) };

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
