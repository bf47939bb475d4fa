/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The search of polc/search.h over intervals of all kinds: what the compiler makes is sound, finds
 * what a look at one interval after the other finds, and knows its bounds.  Whatever else is taken
 * for sound finds no interval that is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/search.h"
#include "compiler/search.h"
#include "tests/tools/genpolicy.h"

static struct gen_rng rng = { 20261127 };

static uint64_t last_of(int family)
{
	return family == 4 ? UINT32_MAX : UINT64_MAX;
}

static int by_value(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

/* About n intervals of so many values: bounds anywhere, below one prefix of `bits`, or side by side. */
static pol_intervals intervals(int family, size_t n, unsigned bits, bool close, uint32_t values)
{
	uint64_t *first = calloc(n + 2, sizeof(*first));
	uint64_t mask = bits ? last_of(family) >> bits : last_of(family);
	uint64_t base = gen_next(&rng) & last_of(family) & ~mask;
	pol_intervals all = { 0 };

	assert_non_null(first);
	for (size_t i = 1; i <= n; i++)
		first[i] = base |
			   ((close ? first[i - 1] + gen_below(&rng, 3) : gen_next(&rng)) & mask);
	if (gen_below(&rng, 2))
		first[n + 1] = last_of(family);
	qsort(first, n + 2, sizeof(*first), by_value);
	for (size_t i = 0; i < n + 2; i++)
		if (!i || first[i] != first[i - 1])
			*pol_vec_push(&all) =
				(struct pol_interval){ first[i], gen_below(&rng, values) };
	free(first);
	return all;
}

static struct pol_searched searched(int family, const struct pol_search_tables *t, size_t intervals)
{
	return (struct pol_searched){
		family, t->s, t->top.v, t->node.v, t->node.n / pol_search_doubles(family), intervals
	};
}

typedef POL_VEC(uint64_t) places;

static void meet(void *ctx, uint64_t first)
{
	*pol_vec_push((places *)ctx) = first;
}

static void finds(const struct pol_searched *v, const pol_intervals *all, uint64_t x, size_t want)
{
	uint32_t at = pol_search_find(v, x);

	assert_true(at < all->n);
	assert_int_equal(all->v[at].value, all->v[want].value);
}

static void check(int family, const pol_intervals *all)
{
	struct pol_search_tables t;
	struct pol_searched v;

	pol_search_make(&t, family, all);
	v = searched(family, &t, all->n);
	assert_true(pol_search_sound(&v));
	for (size_t i = 0; i < all->n; i++) {
		uint64_t first = all->v[i].first;
		uint64_t last = i + 1 < all->n ? all->v[i + 1].first - 1 : last_of(family);

		finds(&v, all, first, i);
		finds(&v, all, last, i);
		finds(&v, all, first + gen_next(&rng) % (last - first + 1 ? last - first + 1 : 1),
		      i);
	}
	pol_search_free(&t);
}

static void finds_what_is_there(void **unused)
{
	static const size_t sizes[] = { 0, 1, 8, 9, 10, 11, 99, 100, 101, 1000, 5000, 60000 };

	(void)unused;
	for (int family = 4; family <= 6; family += 2)
		for (size_t i = 0; i < POL_ARRAY_LEN(sizes); i++)
			for (unsigned bits = 0; bits <= 48; bits += 8)
				for (int close = 0; close < 2; close++) {
					uint32_t values = 1 + gen_below(&rng, 40);
					pol_intervals all;

					if (family == 4 && bits > 24)
						continue;
					all = intervals(family, sizes[i], bits, close, values);
					check(family, &all);
					pol_vec_free(&all);
				}
}

/* ---- places ------------------------------------------------------------------------- */

static void knows_its_places(void **unused)
{
	(void)unused;
	for (int family = 4; family <= 6; family += 2)
		for (unsigned round = 0; round < 60; round++) {
			pol_intervals all = intervals(family, gen_below(&rng, 400),
						      gen_below(&rng, 3) * 8, false, 1);
			places p = { 0 };
			struct pol_search_tables t;
			struct pol_searched v;

			/* none like its neighbour, or the two were one; small, as a table is made for each below */
			for (size_t i = 0; i < all.n; i++)
				all.v[i].value = (uint32_t)i;
			pol_search_make(&t, family, &all);
			v = searched(family, &t, all.n);
			pol_search_places(&v, meet, &p);
			qsort(p.v, p.n, sizeof(*p.v), by_value);
			for (size_t i = 0; i < all.n; i++)
				assert_non_null(
					bsearch(&all.v[i].first, p.v, p.n, sizeof(*p.v), by_value));
			pol_vec_free(&p);
			pol_search_free(&t);
			pol_vec_free(&all);
		}
}

/* ---- what comes from outside ----------------------------------------------------------------- */

static void stays_inside(const struct pol_searched *v)
{
	if (!pol_search_sound(v))
		return;
	for (unsigned i = 0; i < 200; i++)
		assert_true(pol_search_find(v, gen_next(&rng) & last_of(v->family)) < v->intervals);
}

static void refuses_what_points_outside(void **unused)
{
	(void)unused;
	for (int family = 4; family <= 6; family += 2)
		for (unsigned round = 0; round < 6; round++) {
			pol_intervals all =
				intervals(family, 1 + gen_below(&rng, 300), 12, false, 9);
			struct pol_search_tables t;
			struct pol_searched v;
			size_t doubles = pol_search_doubles(family), n, at;

			pol_search_make(&t, family, &all);
			v = searched(family, &t, all.n);
			n = v.nodes;
			assert_true(pol_search_sound(&v));
			v.nodes = n - 1; /* a node less than it names */
			assert_false(pol_search_sound(&v));
			v.nodes = n;
			v.intervals = all.n - 1; /* unless the last one shares another's place */
			stays_inside(&v);
			v.intervals = all.n;
			at = (gen_below(&rng, (uint32_t)n) + 1) * doubles - 1;
			t.node.v[at] += all.n + n;
			assert_false(pol_search_sound(&v));
			t.node.v[at] -= all.n + n;
			for (unsigned i = 0; i < 60; i++) { /* any bit */
				__u64 *d = &t.node.v[gen_below(&rng, (uint32_t)t.node.n)];
				uint16_t *lead = &t.top.v[gen_below(&rng, (uint32_t)t.top.n)];
				uint64_t bit = 1ull << gen_below(&rng, 64);

				*d ^= bit;
				stays_inside(&v);
				*d ^= bit;
				*lead ^= (uint16_t)bit;
				stays_inside(&v);
				*lead ^= (uint16_t)bit;
			}
			for (unsigned k = 0; k < 2; k++) { /* levels, leading bits */
				uint32_t *s = k ? &v.s.levels : &v.s.shift, was = *s;

				*s = k ? 0 : 64;
				assert_false(pol_search_sound(&v));
				*s = k ? was + 1 : UINT32_MAX;
				assert_false(pol_search_sound(&v));
				*s = was;
			}
			pol_search_free(&t);
			pol_vec_free(&all);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_there),
		cmocka_unit_test(knows_its_places),
		cmocka_unit_test(refuses_what_points_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
