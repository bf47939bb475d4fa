/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters that two policies have, by name, and the packets that they treat differently.
 *
 * Both lists of lines are walked together, inside the hulls of the lines that changed: what meets
 * none of these is treated as before, as long as the others stand in the same order.
 */
#include "compiler/analysis/diffing.h"
#include "compiler/analysis/packets.h"

#define STEPS (1u << 27) /* answers, for one filter */
#define FEW 256u /* changed lines; for more all packets are looked at */
#define MOST 1000u /* changes reported of a filter */

struct list {
	uint32_t *line; /* that may match, in order; nothing behind one that takes all */
	size_t n;
	size_t open; /* the first that need not match, or n */
};

struct walking {
	struct pol_diff *out;
	const struct pol_space *s;
	struct pol_filter_change *change;
	size_t number; /* of the change */
	const struct pol_filter_line *line[2]; /* dynamic sets numbered alike */
	size_t n[2];
	struct sign *sign[2];
	bool *changed[2];
	uint64_t steps;
};

/* ---- what lines say ------------------------------------------------------------------- */

static struct sign sign_end(const struct pol_ir *ir, const struct pol_filter_end *e)
{
	struct sign s[] = { pol_diff_sign_aset(&ir->asets.v[e->aset]), { e->dynamic, 0 } };

	return pol_diff_sign(s, sizeof(s));
}

static struct sign sign_l4(const struct pol_ir *ir, uint32_t set)
{
	const struct pol_l4set *x = &ir->l4sets.v[set];

	return set ? pol_diff_sign(x->range, x->n * sizeof(*x->range)) : (struct sign){ 0, 0 };
}

/* What it does to packets; logging apart. */
static struct sign sign_line(const struct pol_ir *ir, const struct pol_filter_line *l)
{
	struct sign s[] = {
		sign_end(ir, &l->src), sign_end(ir, &l->dst), { l->action, 0 }, { 0, 0 }, { 0, 0 }
	};

	for (size_t i = 0; i < l->n; i++) {
		const struct pol_filter_term *t = &l->term[i];
		struct sign one[] = {
			sign_l4(ir, t->l4), sign_l4(ir, t->sport), { t->set, t->clear }, { i, 0 }
		};
		struct sign sum = pol_diff_sign(one, sizeof(one));

		s[3].a += sum.a;
		s[3].b += sum.b;
	}
	if (l->limit >= 0) {
		const struct pol_limit *m = &ir->limits.v[l->limit];
		uint64_t v[] = { m->ns_per_token, m->burst_ns, m->per_source, m->len4, m->len6 };

		s[4] = pol_diff_sign(v, sizeof(v));
	}
	return pol_diff_sign(s, sizeof(s));
}

static bool same_sign(const struct sign *a, const struct sign *b)
{
	return a->a == b->a && a->b == b->b;
}

/* ---- names of dynamic sets ---------------------------------------------------------------- */

static uint64_t renumber(uint64_t bits, const uint8_t to[POL_DYNAMIC_MAX])
{
	uint64_t out = 0;

	for (unsigned i = 0; i < POL_DYNAMIC_MAX; i++)
		if (bits >> i & 1)
			out |= 1ull << to[i];
	return out;
}

/* The lines of the new policy with the old one's numbers; false: more than there are bits. */
static bool copy_lines(struct walking *w, const struct pol_ir_filter *f, struct pol_arena *a)
{
	struct pol_filter_line *copy = pol_arena_alloc(a, (f->n + 1) * sizeof(*copy));
	const struct pol_ir *was = w->s->ir[0], *is = w->s->ir[1];
	uint8_t to[POL_DYNAMIC_MAX] = { 0 };
	size_t next = was->dynamics.n;

	for (size_t i = 0; i < is->dynamics.n; i++) {
		size_t k = 0;

		while (k < was->dynamics.n &&
		       !pol_str_eq(was->dynamics.v[k].name, is->dynamics.v[i].name))
			k++;
		k = k < was->dynamics.n ? k : next++;
		if (k >= POL_DYNAMIC_MAX)
			return false;
		to[i] = (uint8_t)k;
	}
	for (size_t i = 0; i < f->n; i++) {
		copy[i] = f->line[i];
		copy[i].src.dynamic = renumber(copy[i].src.dynamic, to);
		copy[i].dst.dynamic = renumber(copy[i].dst.dynamic, to);
	}
	w->line[1] = copy;
	return true;
}

/* ---- which lines changed --------------------------------------------------------------------- */

static void find_changed(struct walking *w, struct pol_arena *a)
{
	for (unsigned i = 0; i < 2; i++) {
		w->sign[i] = pol_arena_alloc(a, (w->n[i] + 1) * sizeof(*w->sign[i]));
		for (size_t k = 0; k < w->n[i]; k++)
			w->sign[i][k] = sign_line(w->s->ir[i], &w->line[i][k]);
	}
	for (unsigned i = 0; i < 2; i++)
		w->changed[i] = pol_diff_changed(w->sign[i], w->n[i], w->sign[!i], w->n[!i], a);
}

/* Those that both have stand in the same order. */
static bool same_order(const struct walking *w)
{
	size_t i = 0, k = 0;

	for (;; i++, k++) {
		while (i < w->n[0] && w->changed[0][i])
			i++;
		while (k < w->n[1] && w->changed[1][k])
			k++;
		if (i == w->n[0] || k == w->n[1])
			return i == w->n[0] && k == w->n[1];
		if (!same_sign(&w->sign[0][i], &w->sign[1][k]))
			return false;
	}
}

static size_t count_changed(const struct walking *w)
{
	size_t n = 0;

	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->n[i]; k++)
			n += w->changed[i][k];
	return n;
}

/* ---- the walk ------------------------------------------------------------------------------------ */

/* Lines that may match in the box.  To be freed. */
static struct list narrow(struct walking *w, unsigned side, const struct list *outer,
			  const struct pol_packets *b)
{
	struct list in = { .line = malloc((outer->n + 1) * sizeof(*in.line)), .open = SIZE_MAX };

	if (!in.line)
		pol_no_memory();
	w->steps -= w->steps < outer->n ? w->steps : outer->n;
	for (size_t i = 0; i < outer->n; i++) {
		const struct pol_filter_line *l = &w->line[side][outer->line[i]];
		enum pol_answer a = pol_packets_line(w->s, side, l, b);

		if (a == POL_NO)
			continue;
		if (a == POL_UNDECIDED && in.open == SIZE_MAX)
			in.open = in.n;
		in.line[in.n++] = outer->line[i];
		if (a == POL_YES && l->action != POL_FILTER_LIMIT)
			break;
	}
	in.open = in.open < in.n ? in.open : in.n;
	return in;
}

static const struct pol_filter_line *nth(const struct walking *w, unsigned side,
					 const struct list *l, size_t n)
{
	return &w->line[side][l->line[n]];
}

static bool known(const struct walking *w, const uint32_t line[2])
{
	for (size_t i = w->out->packets.n; i-- > 0;) {
		const struct pol_packet_change *c = &w->out->packets.v[i];

		if (c->filter != w->number)
			return false;
		if (c->line[0] == line[0] && c->line[1] == line[1])
			return true;
	}
	return false;
}

/*
 * Nothing new in this box: the lists say the same, or differ in one line each, of which it is
 * known that they treat packets differently; or every line in both has one action.
 */
static bool settled(const struct walking *w, const struct list in[2])
{
	size_t at = 0;
	enum pol_filter_action action = w->line[0][in[0].line[0]].action;
	bool one = action != POL_FILTER_LIMIT;

	while (at < in[0].n && at < in[1].n &&
	       same_sign(&w->sign[0][in[0].line[at]], &w->sign[1][in[1].line[at]]))
		at++;
	if (at == in[0].n && at == in[1].n)
		return true;
	if (at + 1 == in[0].n && at + 1 == in[1].n) {
		uint32_t pair[] = { in[0].line[at], in[1].line[at] };

		if (known(w, pair))
			return true;
	}
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < in[i].n && one; k++)
			one = nth(w, i, &in[i], k)->action == action;
	return one;
}

/* All lines of both lists match: what differs is told by the first that does. */
static void compare(struct walking *w, const struct list in[2], const struct pol_packets *b)
{
	const struct pol_filter_line *last[2] = { nth(w, 0, &in[0], in[0].n - 1),
						  nth(w, 1, &in[1], in[1].n - 1) };
	struct pol_packet_change c = { .filter = w->number, .packet = *b };
	size_t at = 0;

	while (at + 1 < in[0].n && at + 1 < in[1].n &&
	       same_sign(&w->sign[0][in[0].line[at]], &w->sign[1][in[1].line[at]]))
		at++;
	if (last[0]->action != last[1]->action) {
		c.kind = last[1]->action == POL_FILTER_PASS ? POL_CHANGE_WIDENED
							    : POL_CHANGE_NARROWED;
		for (unsigned i = 0; i < 2; i++)
			c.line[i] = in[i].line[in[i].n - 1];
	} else {
		/* Limits before a line that drops change nothing. */
		if (last[0]->action == POL_FILTER_DROP || (at + 1 == in[0].n && at + 1 == in[1].n))
			return;
		c.kind = POL_CHANGE_ANSWER;
		for (unsigned i = 0; i < 2; i++)
			c.line[i] = in[i].line[at];
	}
	if (known(w, c.line))
		return;
	if (w->change->npackets[0] + w->change->npackets[1] + w->change->npackets[2] == MOST) {
		w->steps = 0;
		return;
	}
	w->change->npackets[c.kind]++;
	*pol_vec_push(&w->out->packets) = c;
}

/* A changed line that cuts the box, or else any that does. */
static void cut(struct walking *w, const struct list in[2], const struct pol_packets *b,
		struct pol_packets part[2])
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = in[i].open; k < in[i].n; k++)
			if (w->changed[i][in[i].line[k]] &&
			    pol_packets_line(w->s, i, nth(w, i, &in[i], k), b) == POL_UNDECIDED) {
				pol_packets_cut(w->s, i, nth(w, i, &in[i], k), b, part);
				return;
			}
	for (unsigned i = 0; i < 2; i++)
		if (in[i].open < in[i].n) {
			pol_packets_cut(w->s, i, nth(w, i, &in[i], in[i].open), b, part);
			return;
		}
}

static void walk(struct walking *w, const struct pol_packets *b, const struct list outer[2],
		 unsigned depth)
{
	struct list in[2] = { narrow(w, 0, &outer[0], b), narrow(w, 1, &outer[1], b) };
	struct pol_packets part[2];

	if (!w->steps || depth > DIFF_DEPTH) {
		w->change->undecided = true;
	} else if (!settled(w, in)) {
		if (in[0].open == in[0].n && in[1].open == in[1].n) {
			compare(w, in, b);
		} else {
			cut(w, in, b, part);
			walk(w, &part[0], in, depth + 1);
			walk(w, &part[1], in, depth + 1);
		}
	}
	free(in[0].line);
	free(in[1].line);
}

/* Inside the hulls of changed lines, if these are few and nothing else moved. */
static void walk_all(struct walking *w)
{
	bool few = count_changed(w) <= FEW && same_order(w);
	struct list all[2];

	for (unsigned i = 0; i < 2; i++) {
		all[i].n = w->n[i];
		all[i].line = malloc((w->n[i] + 1) * sizeof(*all[i].line));
		if (!all[i].line)
			pol_no_memory();
		for (uint32_t k = 0; k < w->n[i]; k++)
			all[i].line[k] = k;
	}
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct pol_packets b = pol_packets_all(w->s, family);

		if (!few)
			walk(w, &b, all, 0);
		for (unsigned i = 0; i < 2 && few; i++)
			for (size_t k = 0; k < w->n[i]; k++)
				if (w->changed[i][k] &&
				    pol_packets_hull(w->s, i, &w->line[i][k], family, &b))
					walk(w, &b, all, 0);
	}
	free(all[0].line);
	free(all[1].line);
}

/* ---- filters by name -------------------------------------------------------------------------------- */

static const struct pol_ir_filter *named(const struct pol_ir *ir, struct pol_str name)
{
	for (size_t i = 0; i < ir->filters.n; i++)
		if (pol_str_eq(ir->filters.v[i].name, name))
			return &ir->filters.v[i];
	return NULL;
}

/* Every interface of a is one of b. */
static bool within(const struct pol_ir_filter *a, const struct pol_ir_filter *b)
{
	for (size_t i = 0; i < a->ninterfaces; i++) {
		size_t k = 0;

		while (k < b->ninterfaces && !pol_str_eq(a->interface[i], b->interface[k]))
			k++;
		if (k == b->ninterfaces)
			return false;
	}
	return true;
}

static bool only_passes(const struct pol_ir_filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->line[i].action != POL_FILTER_PASS)
			return false;
	return true;
}

static bool same_lines(const struct walking *w)
{
	for (size_t i = 0; i < w->n[0] && i < w->n[1]; i++)
		if (!same_sign(&w->sign[0][i], &w->sign[1][i]) ||
		    w->line[0][i].log != w->line[1][i].log)
			return false;
	return w->n[0] == w->n[1];
}

static void compare_filters(struct pol_diff *d, const struct pol_ir_filter *was,
			    const struct pol_ir_filter *is, struct pol_arena *a)
{
	struct pol_filter_change change = { .side = { was, is } };
	struct walking w = { .out = d,
			     .s = &d->space,
			     .change = &change,
			     .number = d->filters.n,
			     .line = { was->line },
			     .n = { was->n, is->n },
			     .steps = STEPS };

	change.widened = !only_passes(was) && !within(was, is);
	change.narrowed = !only_passes(is) && !within(is, was);
	change.interfaces = !within(was, is) || !within(is, was);
	change.undecided = !copy_lines(&w, is, a);
	if (!change.undecided) {
		find_changed(&w, a);
		if (!same_lines(&w))
			walk_all(&w);
		else if (!change.interfaces)
			return;
	}
	*pol_vec_push(&d->filters) = change;
}

void pol_diff_filters(struct pol_diff *d, const struct pol_ir *const ir[2], struct pol_arena *a)
{
	for (size_t i = 0; i < ir[0]->filters.n; i++) {
		const struct pol_ir_filter *was = &ir[0]->filters.v[i];
		const struct pol_ir_filter *is = named(ir[1], was->name);

		if (is)
			compare_filters(d, was, is, a);
		else
			*pol_vec_push(&d->filters) =
				(struct pol_filter_change){ .side = { was, NULL },
							    .widened = !only_passes(was) };
	}
	for (size_t i = 0; i < ir[1]->filters.n; i++) {
		const struct pol_ir_filter *is = &ir[1]->filters.v[i];

		if (!named(ir[0], is->name))
			*pol_vec_push(&d->filters) =
				(struct pol_filter_change){ .side = { NULL, is },
							    .narrowed = !only_passes(is) };
	}
}
