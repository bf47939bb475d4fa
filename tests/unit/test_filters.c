/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lint and diff say of filters agrees with the reference evaluator: on random filters, and on
 * the same with lines taken out, doubled and moved.
 *
 * POLC_FILTERS_POLICIES sets how many, POLC_FILTERS_SEED where to begin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy_text.h"

#include "compiler/analysis/diff.h"
#include "compiler/analysis/lint.h"
#include "tests/property/filter_gen.h"

#define PACKETS 3000 /* tried for each filter */

static unsigned number_of(const char *name, unsigned otherwise)
{
	const char *v = getenv(name);

	return v ? (unsigned)strtoul(v, NULL, 10) : otherwise;
}

static void some_sets(const struct pol_ir *ir, struct pol_eval_packet *p)
{
	uint64_t all = ir->dynamics.n ? (1ull << ir->dynamics.n) - 1 : 0;

	p->dynamic_src = fgen_random() & all;
	p->dynamic_dst = fgen_random() & all;
}

/* ---- lint ------------------------------------------------------------------------- */

static bool said(const struct policy *p, const struct pol_filter_line *l)
{
	for (size_t i = 0; i < p->diags.all.n; i++) {
		const struct pol_diag *g = p->diags.all.v[i];

		if ((g->code == POL_P0611 || g->code == POL_P0612 || g->code == POL_P0616) &&
		    g->primary.at.start == l->span.start)
			return true;
	}
	return false;
}

static unsigned check_lint(struct policy *p)
{
	struct pol_space space;
	unsigned dead = 0;

	pol_space_init(&space, p->arena, &(const struct pol_ir *){ p->ir }, 1);
	pol_lint_filters(p->ir, &space, &p->diags);
	for (size_t i = 0; i < p->ir->filters.n; i++) {
		const struct pol_ir_filter *f = &p->ir->filters.v[i];
		bool *is = calloc(f->n, sizeof(*is));

		assert_non_null(is);
		for (size_t k = 0; k < f->n; k++)
			dead += is[k] = said(p, &f->line[k]);
		for (unsigned n = 0; n < PACKETS; n++) {
			struct pol_eval_packet at;
			struct pol_eval_filter x;

			fgen_packet(p->ir, f, &at);
			some_sets(p->ir, &at);
			pol_eval_filter(p->ir, f, &at, &x);
			if (is[x.line])
				fail_msg("decides: %.*s", POL_STR_ARG(f->line[x.line].text));
			for (size_t k = 0; k < x.nlimits; k++)
				if (is[x.limited[k]])
					fail_msg("limits: %.*s",
						 POL_STR_ARG(f->line[x.limited[k]].text));
		}
		free(is);
	}
	return dead;
}

static void test_lint(void **state)
{
	unsigned n = number_of("POLC_FILTERS_POLICIES", 12), dead = 0;

	(void)state;
	fgen_state = number_of("POLC_FILTERS_SEED", 1);
	for (unsigned i = 0; i < n; i++) {
		struct pol_buf text = { 0 };
		struct policy p;

		fgen_filters(&text);
		p = policy_ok(text.p);
		dead += check_lint(&p);
		policy_free(&p);
		pol_buf_free(&text);
	}
	/* random lines often lie behind wide ones */
	assert_true(dead > n);
}

/* ---- diff ------------------------------------------------------------------------- */

static const char *after_line(const char *at)
{
	return strchr(at, '\n') + 1;
}

static void add_text(struct pol_buf *out, const char *from, const char *to)
{
	pol_buf_add(out, (struct pol_str){ from, (size_t)(to - from) });
}

/* Some lines are taken out, change places with the next, or stand twice; never the last of a filter. */
static void change_text(const char *from, struct pol_buf *out)
{
	while (*from) {
		const char *end = after_line(from), *next = *end ? after_line(end) : end;
		bool inner = *from == '\t' && *end == '\t';
		unsigned what = inner ? fgen_below(60) : 60;

		if (what == 1 && *next == '\t') {
			add_text(out, end, next);
			end = next;
			add_text(out, from, after_line(from));
		} else if (what) {
			add_text(out, from, end);
		}
		if (what == 2)
			add_text(out, from, end);
		from = end;
	}
}

/* Dynamic sets by name: each policy numbers those that it uses. */
static uint64_t renumber(const struct pol_ir *from, const struct pol_ir *to, uint64_t bits)
{
	uint64_t out = 0;

	for (size_t i = 0; i < from->dynamics.n; i++)
		for (size_t k = 0; k < to->dynamics.n; k++)
			if (bits >> i & 1 &&
			    pol_str_eq(from->dynamics.v[i].name, to->dynamics.v[k].name))
				out |= 1ull << k;
	return out;
}

/* The packet is as policy 0 sees it. */
static void ask_both(const struct pol_ir *const ir[2], const struct pol_ir_filter *const f[2],
		     struct pol_eval_packet p, struct pol_eval_filter x[2])
{
	pol_eval_filter(ir[0], f[0], &p, &x[0]);
	p.dynamic_src = renumber(ir[0], ir[1], p.dynamic_src);
	p.dynamic_dst = renumber(ir[0], ir[1], p.dynamic_dst);
	pol_eval_filter(ir[1], f[1], &p, &x[1]);
}

static struct pol_eval_packet packet_of(const struct pol_space *s, const struct pol_packets *b)
{
	struct pol_point p = pol_box_point(s, &b->box);
	struct pol_eval_packet out = { .src = p.end[POL_SRC].addr,
				       .dst = p.end[POL_DST].addr,
				       .dynamic_src = b->in[POL_SRC],
				       .dynamic_dst = b->in[POL_DST],
				       .proto = (uint8_t)(p.l4_key >> 16),
				       .value = (uint16_t)p.l4_key,
				       .sport = (uint16_t)b->sport_lo,
				       .tcp_flags = b->set };

	return out;
}

static void check_witness(const struct pol_diff *d, const struct pol_packet_change *c)
{
	struct pol_eval_packet p = packet_of(&d->space, &c->packet);
	struct pol_eval_filter x[2];

	ask_both(d->space.ir, d->filters.v[c->filter].side, p, x);
	if (c->kind == POL_CHANGE_ANSWER) {
		assert_int_equal(x[0].action, POL_FILTER_PASS);
		assert_int_equal(x[1].action, POL_FILTER_PASS);
		return;
	}
	assert_int_equal(x[0].action,
			 c->kind == POL_CHANGE_WIDENED ? POL_FILTER_DROP : POL_FILTER_PASS);
	assert_int_not_equal(x[0].action, x[1].action);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(x[i].line, c->line[i]);
}

static bool reported(const struct pol_diff *d, size_t filter, const struct pol_eval_filter x[2])
{
	for (size_t i = 0; i < d->packets.n; i++) {
		const struct pol_packet_change *c = &d->packets.v[i];

		if (c->filter == filter && c->kind != POL_CHANGE_ANSWER &&
		    c->line[0] == x[0].line && c->line[1] == x[1].line)
			return true;
	}
	return false;
}

static void check_pair(const struct pol_diff *d, const struct pol_ir *const ir[2], size_t number)
{
	const struct pol_ir_filter *f[] = { &ir[0]->filters.v[number], &ir[1]->filters.v[number] };
	size_t change = 0;

	while (change < d->filters.n && d->filters.v[change].side[0] != f[0])
		change++;
	for (unsigned n = 0; n < PACKETS; n++) {
		struct pol_eval_packet p;
		struct pol_eval_filter x[2];
		unsigned near = n & 1;

		fgen_packet(ir[near], f[near], &p);
		some_sets(ir[0], &p);
		ask_both(ir, f, p, x);
		if (x[0].action != x[1].action &&
		    (change == d->filters.n || !reported(d, change, x)))
			fail_msg("not reported: %.*s -> %.*s",
				 POL_STR_ARG(f[0]->line[x[0].line].text),
				 POL_STR_ARG(f[1]->line[x[1].line].text));
	}
}

static void test_diff(void **state)
{
	unsigned n = number_of("POLC_FILTERS_POLICIES", 12);
	size_t changes = 0;

	(void)state;
	fgen_state = number_of("POLC_FILTERS_SEED", 1);
	for (unsigned i = 0; i < n; i++) {
		struct pol_buf text = { 0 }, other = { 0 };
		struct policy p[2];
		struct pol_diff d;

		fgen_filters(&text);
		change_text(text.p, &other);
		p[0] = policy_ok(text.p);
		p[1] = policy_ok(other.p);
		const struct pol_ir *ir[] = { p[0].ir, p[1].ir };

		pol_diff_find(&d, ir, p[0].arena, 0);
		for (size_t k = 0; k < d.filters.n; k++)
			assert_false(d.filters.v[k].undecided);
		for (size_t k = 0; k < d.packets.n; k++)
			check_witness(&d, &d.packets.v[k]);
		for (size_t k = 0; k < ir[0]->filters.n; k++)
			check_pair(&d, ir, k);
		changes += d.packets.n;
		pol_diff_free(&d);
		for (unsigned k = 0; k < 2; k++)
			policy_free(&p[k]);
		pol_buf_free(&text);
		pol_buf_free(&other);
	}
	assert_true(changes > n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
