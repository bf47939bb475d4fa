/* SPDX-License-Identifier: GPL-2.0-only */
/* Decision tables against a flat array of the same cells. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <polc/tables.h>

#include "base/table.h"

#define HEIGHT 2u
#define CELLS (POL_PAGE * POL_PAGE)

/* ---- numbers that look random, the same in each run ------------------------------- */

static uint64_t state = 1;

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

/* A verdict of a main stage: denies first, then allows that add up, then closed. */
static struct pol_verdict main_verdict(uint32_t order)
{
	struct pol_verdict v = { .order = order, .rule = order, .audit_rule = POL_NO_RULE };

	v.action = order < 10   ? POL_DENY
		   : order < 15 ? POL_REJECT
		   : order < 40 ? POL_ALLOW
				: POL_DENY;
	if (v.action == POL_ALLOW)
		v.flags = POL_VF_ADDS | (order % 3 == 0 ? POL_VF_LOG : 0);
	if (v.action == POL_ALLOW && order % 4 == 0) {
		v.nhttp = 1;
		v.http[0] = (uint16_t)order;
	} else if (v.action == POL_ALLOW) {
		v.flags |= POL_VF_PLAIN;
	}
	if (v.action == POL_ALLOW && order % 5 == 0) {
		v.nlimits = 1;
		v.limit[0] = order;
	}
	return v;
}

/* A verdict of tiers: any action at any rank, nothing adds up. */
static struct pol_verdict tier_verdict(uint32_t order)
{
	static const uint8_t action[] = { POL_ALLOW, POL_DENY, POL_SKIP };
	struct pol_verdict v = { .order = order,
				 .rule = order,
				 .audit_rule = POL_NO_RULE,
				 .action = action[order % 3] };

	v.flags = order % 2 && v.action == POL_ALLOW ? POL_VF_LOG : 0;
	return v;
}

static uint32_t some_verdict(struct pol_table *t, bool tier)
{
	struct pol_verdict v = tier ? tier_verdict(1 + rnd(50)) : main_verdict(1 + rnd(50));

	return pol_table_verdict(t, &v);
}

/* ---- the same by hand ----------------------------------------------------------------- */

static struct pol_verdict combine_model(struct pol_verdict a, struct pol_verdict b)
{
	struct pol_verdict out = a.order <= b.order ? a : b;

	if (!(a.flags & b.flags & POL_VF_ADDS))
		return out;
	out.flags = a.flags | b.flags;
	out.nlimits = 0;
	memset(out.limit, 0, sizeof(out.limit));
	out.nhttp = 0;
	memset(out.http, 0, sizeof(out.http));
	for (uint16_t http = 0; http < 64; http++) {
		bool in = false;

		for (unsigned i = 0; i < a.nhttp; i++)
			in = in || a.http[i] == http;
		for (unsigned i = 0; i < b.nhttp; i++)
			in = in || b.http[i] == http;
		if (in)
			out.http[out.nhttp++] = http;
	}
	for (uint32_t limit = 0; limit < 64; limit++) {
		bool in = false;

		for (unsigned i = 0; i < a.nlimits; i++)
			in = in || a.limit[i] == limit;
		for (unsigned i = 0; i < b.nlimits; i++)
			in = in || b.limit[i] == limit;
		if (in)
			out.limit[out.nlimits++] = limit;
	}
	return out;
}

static struct pol_verdict resolve_model(struct pol_verdict a, struct pol_verdict b)
{
	return a.action == POL_SKIP || a.action == POL_NONE ? b : a;
}

static struct pol_verdict audit_model(struct pol_verdict a, struct pol_verdict b)
{
	if (a.action == POL_ALLOW && (b.action == POL_DENY || b.action == POL_REJECT))
		a.audit_rule = b.rule;
	return a;
}

struct both { /* a tree and what it should say */
	uint32_t node;
	struct pol_verdict cell[CELLS];
};

static void check(const struct pol_table *t, const struct both *x)
{
	for (uint32_t i = 0; i < CELLS; i++) {
		uint32_t v = pol_table_get(t, x->node, HEIGHT, 0, i);

		assert_memory_equal(&pol_table_verdicts(t)[v], &x->cell[i], sizeof(x->cell[i]));
	}
}

static void fill_both(struct pol_table *t, struct both *x, bool tier)
{
	x->node = pol_table_uniform(t, POL_VERDICT_NONE, 0, HEIGHT);
	for (uint32_t i = 0; i < CELLS; i++)
		x->cell[i] = pol_table_verdicts(t)[POL_VERDICT_NONE];
	for (unsigned k = 0; k < 12; k++) {
		uint32_t v = some_verdict(t, tier), lo = rnd(CELLS), hi = lo + rnd(CELLS - lo);

		if (rnd(4) == 0)
			lo = 0, hi = CELLS - 1;
		x->node = pol_table_combine_range(t, x->node, HEIGHT, lo, hi, v);
		for (uint32_t i = lo; i <= hi; i++)
			x->cell[i] = combine_model(x->cell[i], pol_table_verdicts(t)[v]);
	}
}

static void both_apply(struct pol_table *t, enum pol_table_op op, struct both *a,
		       const struct both *b)
{
	for (uint32_t i = 0; i < CELLS; i++)
		a->cell[i] = op == POL_OP_COMBINE   ? combine_model(a->cell[i], b->cell[i])
			     : op == POL_OP_RESOLVE ? resolve_model(a->cell[i], b->cell[i])
						    : audit_model(a->cell[i], b->cell[i]);
	a->node = pol_table_apply(t, op, a->node, b->node, HEIGHT);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void random_tables(void **unused)
{
	static struct both a, b, tier;

	(void)unused;
	for (unsigned round = 0; round < 200; round++) {
		struct pol_table *t = pol_table_new(1 << 20, 1 << 20);

		fill_both(t, &a, false);
		fill_both(t, &b, false);
		fill_both(t, &tier, true);
		check(t, &a);
		check(t, &tier);
		both_apply(t, POL_OP_COMBINE, &a, &b);
		check(t, &a);
		both_apply(t, POL_OP_RESOLVE, &tier, &a);
		check(t, &tier);
		both_apply(t, POL_OP_AUDIT, &tier, &b);
		check(t, &tier);
		assert_int_equal(pol_table_failed(t), 0);
		pol_table_free(t);
	}
}

/* The loader may fold blocks in any order, and one block more than once. */
static void combine_is_a_semilattice(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 2000; round++) {
		struct pol_table *t = pol_table_new(1 << 16, 1 << 16);
		bool tier = round % 2;
		uint32_t a = some_verdict(t, tier), b = some_verdict(t, tier),
			 c = some_verdict(t, tier);
		uint32_t ab = pol_table_apply(t, POL_OP_COMBINE, a, b, 0);
		uint32_t bc = pol_table_apply(t, POL_OP_COMBINE, b, c, 0);

		assert_int_equal(ab, pol_table_apply(t, POL_OP_COMBINE, b, a, 0));
		assert_int_equal(pol_table_apply(t, POL_OP_COMBINE, ab, c, 0),
				 pol_table_apply(t, POL_OP_COMBINE, a, bc, 0));
		assert_int_equal(pol_table_apply(t, POL_OP_COMBINE, ab, a, 0), ab);
		assert_int_equal(pol_table_apply(t, POL_OP_COMBINE, a, POL_VERDICT_NONE, 0), a);
		pol_table_free(t);
	}
}

static void equal_content_is_one_page(void **unused)
{
	struct pol_table *t = pol_table_new(1 << 16, 1 << 16);
	struct pol_verdict v = main_verdict(20);
	uint32_t n = pol_table_verdict(t, &v), none, left, right, pages;

	(void)unused;
	none = pol_table_uniform(t, POL_VERDICT_NONE, 0, HEIGHT);
	left = pol_table_combine_range(t, none, HEIGHT, 0, 99, n);
	left = pol_table_combine_range(t, left, HEIGHT, 100, CELLS - 1, n);
	right = pol_table_uniform(t, n, 0, HEIGHT);
	assert_int_equal(left, right);
	pages = pol_table_npages(t);
	assert_int_equal(pol_table_apply(t, POL_OP_COMBINE, left, none, HEIGHT), left);
	assert_int_equal(pol_table_npages(t), pages);
	pol_table_free(t);
}

static void set_and_get(void **unused)
{
	struct pol_table *t = pol_table_new(1 << 16, 1 << 16);
	uint32_t row = pol_table_uniform(t, POL_VERDICT_NONE, 0, 1), tree = 0;

	(void)unused;
	tree = pol_table_set(t, tree, 3, 1, 5 * POL_PAGE + 7, row);
	assert_int_equal(pol_table_get(t, tree, 3, 1, 5 * POL_PAGE + 7), row);
	assert_int_equal(pol_table_get(t, tree, 3, 1, 5 * POL_PAGE + 8), 0);
	assert_int_equal(pol_table_get(t, tree, 3, 0, (5 * POL_PAGE + 7) * POL_PAGE + 31),
			 POL_VERDICT_NONE);
	/* Outside: nothing happens. */
	assert_int_equal(pol_table_combine_range(t, row, 1, 32, 40, 0), row);
	assert_int_equal(pol_table_combine_range(t, row, 1, 3, 2, 0), row);
	pol_table_free(t);
}

static void import_takes_only_what_is_reached(void **unused)
{
	static struct both a, b;

	(void)unused;
	for (unsigned round = 0; round < 20; round++) {
		struct pol_table *from = pol_table_new(1 << 20, 1 << 20);
		struct pol_table *to = pol_table_new(1 << 20, 1 << 20);
		struct pol_table_ref ref[3];

		fill_both(from, &a, false);
		fill_both(from, &b, true);
		ref[0] = (struct pol_table_ref){ a.node, HEIGHT };
		ref[1] = (struct pol_table_ref){ b.node, HEIGHT };
		ref[2] = (struct pol_table_ref){ 0, HEIGHT };
		assert_int_equal(pol_table_import(to, from, ref, 3), 0);
		assert_int_equal(ref[2].node, 0);
		assert_true(pol_table_npages(to) <= 2 * (POL_PAGE + 1) + 1);
		assert_true(pol_table_npages(to) <= pol_table_npages(from));
		a.node = ref[0].node;
		b.node = ref[1].node;
		check(to, &a);
		check(to, &b);
		pol_table_free(from);
		pol_table_free(to);
	}
}

static void load_gives_the_same_table(void **unused)
{
	static struct both a;
	struct pol_table *t = pol_table_new(1 << 20, 1 << 20), *u = pol_table_new(1 << 20, 1 << 20);
	uint32_t *pages;
	size_t bytes;

	(void)unused;
	fill_both(t, &a, false);
	assert_int_equal(pol_table_load(u, pol_table_pages(t), pol_table_npages(t),
					pol_table_verdicts(t), pol_table_nverdicts(t)),
			 0);
	check(u, &a);
	pol_table_free(u);
	/* A page that is there twice is nothing that we wrote. */
	bytes = (size_t)(pol_table_npages(t) + 1) * POL_PAGE * sizeof(*pages);
	pages = calloc(1, bytes);
	memcpy(pages, pol_table_pages(t), bytes - POL_PAGE * sizeof(*pages));
	u = pol_table_new(1 << 20, 1 << 20);
	assert_int_equal(pol_table_load(u, pages, pol_table_npages(t) + 1, pol_table_verdicts(t),
					pol_table_nverdicts(t)),
			 -EINVAL);
	free(pages);
	pol_table_free(u);
	pol_table_free(t);
}

static void no_room_is_sticky(void **unused)
{
	struct pol_table *t = pol_table_new(3, 8);
	struct pol_verdict v = main_verdict(20);
	uint32_t n = pol_table_verdict(t, &v), tree = pol_table_uniform(t, POL_VERDICT_NONE, 0, 2);

	(void)unused;
	assert_int_equal(pol_table_failed(t), 0);
	tree = pol_table_combine_range(t, tree, 2, 3, 3, n);
	assert_int_equal(tree, 0);
	assert_int_equal(pol_table_failed(t), -ENOSPC);
	assert_int_equal(pol_table_uniform(t, n, 0, 1), 0);
	assert_int_equal(pol_table_apply(t, POL_OP_COMBINE, 1, 2, 2), 0);
	assert_int_equal(pol_table_set(t, 1, 2, 1, 0, 2), 0);
	assert_int_equal(pol_table_failed(t), -ENOSPC);
	pol_table_free(t);
}

static void too_many_http_rules(void **unused)
{
	struct pol_table *t = pol_table_new(16, 128);
	uint32_t sum = POL_VERDICT_NONE;

	(void)unused;
	for (uint16_t i = 0; i <= POL_VERDICT_HTTP; i++) {
		struct pol_verdict v = { .order = i + 1u,
					 .rule = i,
					 .audit_rule = POL_NO_RULE,
					 .action = POL_ALLOW,
					 .flags = POL_VF_ADDS,
					 .nhttp = 1,
					 .http = { i } };

		assert_int_equal(pol_table_failed(t), 0);
		sum = pol_table_apply(t, POL_OP_COMBINE, sum, pol_table_verdict(t, &v), 0);
		if (i + 1 == POL_VERDICT_HTTP)
			assert_int_equal(pol_table_verdicts(t)[sum].nhttp, POL_VERDICT_HTTP);
	}
	assert_int_equal(pol_table_failed(t), -EMLINK);
	pol_table_free(t);
}

static void too_many_limits(void **unused)
{
	struct pol_table *t = pol_table_new(16, 64);
	uint32_t sum = POL_VERDICT_NONE;

	(void)unused;
	for (uint32_t i = 0; i <= POL_VERDICT_LIMITS; i++) {
		struct pol_verdict v = { .order = i + 1,
					 .rule = i,
					 .audit_rule = POL_NO_RULE,
					 .action = POL_ALLOW,
					 .flags = POL_VF_ADDS,
					 .nlimits = 1,
					 .limit = { i } };

		assert_int_equal(pol_table_failed(t), 0);
		sum = pol_table_apply(t, POL_OP_COMBINE, sum, pol_table_verdict(t, &v), 0);
		if (i + 1 == POL_VERDICT_LIMITS)
			assert_int_equal(pol_table_verdicts(t)[sum].nlimits, POL_VERDICT_LIMITS);
	}
	assert_int_equal(sum, 0);
	assert_int_equal(pol_table_failed(t), -E2BIG);
	pol_table_free(t);
}

/* An object that was tampered with may name pages that are not there. */
static void hostile_numbers(void **unused)
{
	struct pol_verdict v = { .order = 7, .action = POL_ALLOW, .nlimits = 9 };
	uint32_t pages[2 * POL_PAGE] = { [POL_PAGE] = 99999 };
	struct pol_table_ref ref = { 1, 2 };
	struct pol_table *t, *u;

	(void)unused;
	for (unsigned how = 0; how < 3; how++) {
		t = pol_table_new(64, 64);
		u = pol_table_new(64, 64);
		assert_int_equal(pol_table_load(t, pages, 2, pol_table_verdicts(t), 2), 0);
		assert_int_equal(pol_table_get(t, 1, 3, 0, 0), 0);
		if (how == 0)
			pol_table_apply(t, POL_OP_COMBINE, 1, 0, 1);
		else if (how == 1)
			pol_table_apply(t, POL_OP_COMBINE, 1, 0, 2);
		else
			assert_int_equal(pol_table_import(u, t, &ref, 1), -EINVAL);
		assert_int_equal(pol_table_failed(how == 2 ? u : t), -EINVAL);
		pol_table_free(t);
		pol_table_free(u);
	}
	t = pol_table_new(64, 64);
	assert_int_equal(pol_table_verdict(t, &v), 0);
	assert_int_equal(pol_table_failed(t), -EINVAL);
	pol_table_free(t);
}

static void class_search(void **unused)
{
	/* bounds 10, 20, 30; 2^96 and, within 2^97, the low halves 3, 7 and 9 */
	static const uint16_t top4[1 << 12] = { [1 ... 4095] = 1 }, top6[2] = { 0, 1 };
	static const __u64 node4[][POL_NODE4_DOUBLES] = {
		{ 10 | 20ull << 21 | 30ull << 42, POL_NODE4_ABOVE, POL_NODE4_ABOVE, 0 },
		{ POL_NODE4_ABOVE, POL_NODE4_ABOVE, POL_NODE4_ABOVE, 3 },
	};
	__u64 node6[2][POL_NODE6_DOUBLES] = {
		{ 1ull << 32, 2ull << 32, (2ull << 32) + 1 },
		{ [7] = 3 },
	};
	static const uint32_t class4[] = { 0, 1, 2, 3 }, class6[] = { 4, 5, POL_V6_LOW | 1, 9 };
	static const struct pol_v6_low low[8] = {
		{ 0 }, { 0, 5, 4 }, { 3, 7, 0 }, { 7, 8, 0 }, { 9, 9, 0 }
	};
	struct pol_class_tables c = { .v4 = { 4, { 20, 1 }, top4, node4[0], 2, 4 },
				      .v6 = { 6, { 63, 1 }, top6, node6[0], 2, 4 },
				      .v4_class = class4,
				      .v6_class = class6,
				      .v6_low = low };
	static const struct {
		uint64_t hi, lo;
		uint32_t class;
	} v6[] = {
		{ 0, 0, 4 },
		{ (1ull << 32) - 1, ~0ull, 4 },
		{ 1ull << 32, 0, 5 },
		{ 1ull << 32, ~0ull, 5 },
		{ (2ull << 32) - 1, 1, 5 },
		{ 2ull << 32, 0, 5 },
		{ 2ull << 32, 2, 5 },
		{ 2ull << 32, 3, 7 },
		{ 2ull << 32, 6, 7 },
		{ 2ull << 32, 7, 8 },
		{ 2ull << 32, 8, 8 },
		{ 2ull << 32, 9, 9 },
		{ 2ull << 32, ~0ull, 9 },
		{ (2ull << 32) + 1, 0, 9 },
		{ ~0ull >> 1, ~0ull, 9 },
		{ ~0ull, ~0ull, 9 },
	};

	(void)unused;
	for (unsigned i = 3; i < 14; i++) /* those that are not there */
		node6[i / 7][i % 7] = 1ull << POL_NODE6_BITS;
	assert_true(pol_search_sound(&c.v4));
	assert_true(pol_search_sound(&c.v6));
	for (uint32_t a = 0; a < 40; a++)
		assert_int_equal(pol_class_of(&c, (struct pol_ip){ .lo = a, .family = 4 }),
				 a < 10   ? 0
				 : a < 20 ? 1
				 : a < 30 ? 2
					  : 3);
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		assert_int_equal(pol_class_of(&c, (struct pol_ip){ v6[i].hi, v6[i].lo, 6 }),
				 v6[i].class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables),
		cmocka_unit_test(combine_is_a_semilattice),
		cmocka_unit_test(equal_content_is_one_page),
		cmocka_unit_test(set_and_get),
		cmocka_unit_test(import_takes_only_what_is_reached),
		cmocka_unit_test(load_gives_the_same_table),
		cmocka_unit_test(no_room_is_sticky),
		cmocka_unit_test(too_many_limits),
		cmocka_unit_test(too_many_http_rules),
		cmocka_unit_test(hostile_numbers),
		cmocka_unit_test(class_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
