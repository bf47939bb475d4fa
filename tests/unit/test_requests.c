/* SPDX-License-Identifier: GPL-2.0-only */
/* The search for requests, against trying them one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compiler/analysis/requests.h"
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
static const char *const paths[] = { "/", "/x", "/x/", "/x/y", "/x/y/z", "/y", "/y/1", "/zz" };
static const char *const patterns[] = { "\"/x\"",     "\"/x/**\"",  "\"/*\"",	 "\"/**\"", "\"/y/*\"",
					"~\"/[xy]\"", "~\"/.*z\"", "\"/x/y/\"" };

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
	struct pol_http_request r = { .method = pol_str(m), .host = pol_str(h), .path = pol_str(p) };

	return pol_eval_request(ir, &f->side[0], &r).allow &&
	       pol_eval_request(ir, &f->side[1], &r).allow;
}

static void try_all(const struct pol_ir *ir, const struct pol_eval_flow *f, bool allowed,
		    struct pol_arena *a)
{
	struct pol_requests q = { .ir = ir, .side = { &f->side[0], &f->side[1] }, .allowed = allowed };
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
			assert_int_equal(pol_requests_find(&q, &steps, a, &w), one ? POL_YES : POL_NO);
		}
	if (seen)
		assert_int_equal(any, POL_YES);
}

static void as_many_as_by_hand(void **state)
{
	unsigned yes = 0, no = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct pol_buf text = { 0 };
		struct pol_explanation x;
		struct policy p;

		pol_buf_addz(&text, "default deny;\nendpoint a = app == \"a\";\nendpoint b = app == \"b\";\n"
				    "policy a { allow to b on tcp 80");
		if (rnd(2)) {
			pol_buf_addz(&text, " http {\n");
			lines(&text, 1 + rnd(3));
			pol_buf_addc(&text, '}');
		}
		pol_buf_addz(&text, "; }\npolicy b {\nallow from a on tcp 80 http {\n");
		lines(&text, rnd(4));
		pol_buf_addz(&text, "}\nallow from any on tcp 80 http {\n");
		lines(&text, rnd(3));
		pol_buf_printf(&text, "}\n%s}\n", rnd(5) ? "" : "allow from a on tcp;\n");
		/* a block ends without a semicolon */
		for (char *at; (at = strstr(text.p, "}; }"));)
			memcpy(at, "}  }", 4);
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_many_as_by_hand) };

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
