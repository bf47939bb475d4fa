/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of filters that decide nothing: those before them take every packet that they match.
 *
 * Each line is asked in turn against the earlier ones whose hulls meet its own, which an index by
 * leading bits of source and of destination finds.  Lines found dead leave it.
 */
#include "compiler/analysis/lint.h"
#include "compiler/analysis/packets.h"

#define STEPS (1u << 20) /* answers, for one line */
#define ALL_STEPS (1ull << 32) /* hulls looked at and answers, for all */
#define MAX_DEPTH 4000u
#define SHOWN 4u
#define FEW 16u /* blockers of which those are looked for that are not needed */

struct slot {
	uint32_t bucket, line;
};

struct family {
	uint8_t is; /* 4 or 6 */
	struct pol_packets *hull; /* by line */
	bool *any; /* by line: it can match in this family */
	POL_VEC(struct slot) index[POL_ENDS]; /* by bucket, then line */
};

struct linting {
	const struct pol_ir *ir;
	const struct pol_space *s;
	const struct pol_ir_filter *f;
	struct pol_diags *diags;
	struct family family[2];
	bool *off; /* by line: dead, or it does not end the filter */
	const struct pol_filter_line *x; /* the line in question */
	uint64_t steps, all_steps;
	POL_VEC(uint32_t) some; /* lines whose hulls meet that of x */
	POL_VEC(uint32_t) blockers;
};

/* ---- the index ----------------------------------------------------------------------------- */

#define COPIES 0x0064ff9bu /* 64:ff9b::/32, where IPv4 has its copies */

/*
 * Addresses within one /16, or one /32 of IPv6, but where IPv4's copies are one /112, which is a /16 of
 * those; 0: wide.  What has different numbers, none of them 0, does not meet; the same: may.
 */
static uint32_t bucket_of(const struct pol_packets *hull, unsigned end)
{
	const struct pol_end *e = &hull->box.end[end];
	unsigned shift = hull->box.family == 4 || e->lo >> 96 == COPIES ? 16 : 96;

	return e->lo >> shift == e->hi >> shift ? ((uint32_t)(e->lo >> shift) & INT32_MAX) + 1 : 0;
}

static int slot_cmp(const void *pa, const void *pb)
{
	const struct slot *a = pa, *b = pb;

	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

static void index_family(struct linting *l, struct family *y)
{
	size_t n = l->f->n;

	y->hull = calloc(n, sizeof(*y->hull));
	y->any = calloc(n, sizeof(*y->any));
	if (!y->hull || !y->any)
		pol_no_memory();
	for (uint32_t i = 0; i < n; i++) {
		y->any[i] = pol_packets_hull(l->s, 0, &l->f->line[i], y->is, &y->hull[i]);
		for (unsigned e = 0; y->any[i] && e < POL_ENDS; e++)
			*pol_vec_push(&y->index[e]) = (struct slot){ bucket_of(&y->hull[i], e), i };
	}
	for (unsigned e = 0; e < POL_ENDS; e++)
		if (y->index[e].n)
			qsort(y->index[e].v, y->index[e].n, sizeof(*y->index[e].v), slot_cmp);
}

static void family_free(struct family *y)
{
	free(y->hull);
	free(y->any);
	for (unsigned e = 0; e < POL_ENDS; e++)
		pol_vec_free(&y->index[e]);
}

/* Where the bucket begins. */
static size_t seek(const struct family *y, unsigned end, uint64_t bucket)
{
	size_t lo = 0, hi = y->index[end].n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (y->index[end].v[mid].bucket < bucket)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void take(struct linting *l, const struct family *y, unsigned end, size_t from, size_t to,
		 uint32_t x)
{
	const struct slot *v = y->index[end].v;
	bool one = from < to && v[from].bucket == v[to - 1].bucket;

	for (size_t i = from; i < to && l->all_steps; i++) {
		uint32_t line = v[i].line;

		if (one && line >= x)
			break;
		l->all_steps--;
		if (line < x && !l->off[line] && pol_packets_meet(&y->hull[x], &y->hull[line]))
			*pol_vec_push(&l->some) = line;
	}
}

/* Earlier lines that may take packets of x: by the end that leaves fewer. */
static void gather(struct linting *l, const struct family *y, uint32_t x)
{
	size_t n = l->f->n, from[POL_ENDS], to[POL_ENDS], wide[POL_ENDS];
	unsigned e;

	l->some.n = 0;
	for (e = 0; e < POL_ENDS; e++) {
		uint64_t bucket = bucket_of(&y->hull[x], e);

		from[e] = bucket ? seek(y, e, bucket) : 0;
		to[e] = bucket ? seek(y, e, bucket + 1) : n;
		wide[e] = bucket ? seek(y, e, 1) : 0;
		to[e] = to[e] > y->index[e].n ? y->index[e].n : to[e];
	}
	e = to[1] - from[1] + wide[1] < to[0] - from[0] + wide[0];
	take(l, y, e, 0, wide[e], x);
	take(l, y, e, from[e], to[e], x);
}

/* ---- is a line needed? ------------------------------------------------------------------------ */

static void note(struct linting *l, uint32_t line)
{
	for (size_t i = 0; i < l->blockers.n; i++)
		if (l->blockers.v[i] == line)
			return;
	*pol_vec_push(&l->blockers) = line;
}

/* Do these lines together match all of the box that x matches? */
static enum pol_answer covered(struct linting *l, const struct pol_packets *b, const uint32_t *some,
			       size_t n, unsigned depth)
{
	enum pol_answer x = pol_packets_line(l->s, 0, l->x, b), all = POL_YES;
	struct pol_packets part[2];
	uint32_t *left;
	size_t nleft = 0;

	if (x == POL_NO)
		return POL_YES;
	if (!n)
		return POL_NO;
	if (l->steps < n || depth > MAX_DEPTH) {
		l->steps = 0;
		return POL_UNDECIDED;
	}
	l->steps -= n;
	left = malloc(n * sizeof(*left));
	if (!left)
		pol_no_memory();
	for (size_t i = 0; i < n; i++) {
		enum pol_answer a = pol_packets_line(l->s, 0, &l->f->line[some[i]], b);

		if (a == POL_UNDECIDED)
			left[nleft++] = some[i];
		if (a != POL_YES)
			continue;
		note(l, some[i]);
		free(left);
		return POL_YES;
	}
	if (!nleft) {
		free(left);
		return POL_NO;
	}
	pol_packets_cut(l->s, 0, x == POL_YES ? &l->f->line[left[0]] : l->x, b, part);
	for (unsigned i = 0; i < 2 && all == POL_YES; i++)
		all = covered(l, &part[i], left, nleft, depth + 1);
	free(left);
	return all;
}

/* One line that does it alone is a better answer than several, and cheaper to find. */
static bool one_covers(struct linting *l)
{
	for (size_t i = 0; i < l->some.n; i++)
		if (pol_packets_within(l->ir, l->x, &l->f->line[l->some.v[i]])) {
			note(l, l->some.v[i]);
			return true;
		}
	return false;
}

static enum pol_answer in_family(struct linting *l, const struct family *y, uint32_t x)
{
	if (!y->any[x])
		return POL_YES;
	gather(l, y, x);
	if (one_covers(l))
		return POL_YES;
	return covered(l, &y->hull[x], l->some.v, l->some.n, 0);
}

static enum pol_answer is_dead(struct linting *l, uint32_t x)
{
	enum pol_answer a;

	l->x = &l->f->line[x];
	l->blockers.n = 0;
	l->steps = STEPS;
	a = in_family(l, &l->family[0], x);
	if (a == POL_YES)
		a = in_family(l, &l->family[1], x);
	if (!l->all_steps && a != POL_NO)
		a = POL_UNDECIDED;
	return a;
}

static int by_number(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static bool covered_by(struct linting *l, uint32_t x, const uint32_t *some, size_t n)
{
	l->steps = STEPS;
	for (unsigned i = 0; i < 2; i++)
		if (l->family[i].any[x] && covered(l, &l->family[i].hull[x], some, n, 0) != POL_YES)
			return false;
	return true;
}

/* What the search met on its way may be more than it takes. */
static void fewest_blockers(struct linting *l, uint32_t x)
{
	uint32_t all[FEW], fewer[FEW];
	size_t n = l->blockers.n;

	if (n)
		qsort(l->blockers.v, n, sizeof(*l->blockers.v), by_number);
	if (n < 2 || n > FEW)
		return;
	memcpy(all, l->blockers.v, n * sizeof(*all));
	for (size_t i = 0; i < n && n > 1;) {
		memcpy(fewer, all, i * sizeof(*all));
		memcpy(fewer + i, all + i + 1, (n - i - 1) * sizeof(*all));
		if (covered_by(l, x, fewer, n - 1))
			memcpy(all, fewer, --n * sizeof(*all));
		else
			i++;
	}
	l->blockers.n = n;
	memcpy(l->blockers.v, all, n * sizeof(*all));
}

/* ---- words -------------------------------------------------------------------------------------- */

static void say_blockers(struct linting *l, struct pol_diag *g)
{
	for (size_t i = 0; i < l->blockers.n && i < SHOWN; i++) {
		const struct pol_filter_line *b = &l->f->line[l->blockers.v[i]];

		pol_diag_also(l->diags, g, b->span, "%s by this%s",
			      b->action == POL_FILTER_PASS ? "passed" : "dropped",
			      b->action == l->x->action ? " already" : "");
	}
	if (l->blockers.n > SHOWN)
		pol_diag_note(l->diags, g, "and by %zu more lines", l->blockers.n - SHOWN);
}

static void say_dead(struct linting *l)
{
	bool same = true;
	struct pol_diag *g;

	for (size_t i = 0; i < l->blockers.n; i++)
		same = same && l->f->line[l->blockers.v[i]].action == l->x->action;
	if (!l->blockers.n) {
		g = pol_diag(l->diags, POL_P0616, l->x->span, "this line matches no packet");
		pol_diag_label(l->diags, g, "its source or destination is nobody");
		return;
	}
	g = pol_diag(l->diags, same ? POL_P0612 : POL_P0611, l->x->span,
		     same ? "this line changes nothing" : "this line never decides");
	pol_diag_label(l->diags, g, same ? "redundant" : "all that it matches is decided before");
	say_blockers(l, g);
	pol_diag_help(l->diags, g,
		      same ? "remove it"
			   : "remove it, or write it before them: the first match wins");
}

static void lint_line(struct linting *l, uint32_t i)
{
	enum pol_answer a = is_dead(l, i);

	if (a == POL_YES) {
		fewest_blockers(l, i);
		say_dead(l);
	} else if (a == POL_UNDECIDED) {
		pol_diag_label(l->diags,
			       pol_diag(l->diags, POL_P0618, l->x->span,
					"cannot tell whether this line ever decides"),
			       "too many cases");
	}
	l->off[i] = a == POL_YES || l->x->action == POL_FILTER_LIMIT;
}

static void lint_filter(const struct pol_ir *ir, const struct pol_space *s,
			const struct pol_ir_filter *f, struct pol_diags *diags)
{
	struct linting l = { .ir = ir,
			     .s = s,
			     .f = f,
			     .diags = diags,
			     .family = { { .is = 4 }, { .is = 6 } },
			     .all_steps = ALL_STEPS };

	l.off = calloc(f->n + 1, sizeof(*l.off));
	if (!l.off)
		pol_no_memory();
	for (unsigned i = 0; i < 2; i++)
		index_family(&l, &l.family[i]);
	/* The last line has to be there. */
	for (uint32_t i = 0; i + 1 < f->n; i++)
		lint_line(&l, i);
	for (unsigned i = 0; i < 2; i++)
		family_free(&l.family[i]);
	free(l.off);
	pol_vec_free(&l.some);
	pol_vec_free(&l.blockers);
}

void pol_lint_filters(const struct pol_ir *ir, const struct pol_space *s, struct pol_diags *diags)
{
	for (size_t i = 0; i < ir->filters.n; i++)
		if (ir->filters.v[i].n)
			lint_filter(ir, s, &ir->filters.v[i], diags);
}
