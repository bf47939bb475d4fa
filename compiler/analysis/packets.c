/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/packets.h"

#include "compiler/ranges.h"

#define TCP 6

struct pol_packets pol_packets_all(const struct pol_space *s, uint8_t family)
{
	return (struct pol_packets){
		.box = pol_box_all(s, family, POL_KIND_STRANGER, POL_KIND_STRANGER),
		.sport_hi = 65535,
	};
}

/* ---- hulls ---------------------------------------------------------------------------- */

static bool hull_end(const struct pol_ir *ir, const struct pol_filter_end *e, uint8_t family,
		     struct pol_end *out)
{
	const struct pol_aset *a = &ir->asets.v[e->aset];

	if (e->dynamic)
		return true;
	if (family == 4 && a->n4) {
		out->lo = a->v4[0].lo;
		out->hi = a->v4[a->n4 - 1].hi;
	} else if (family == 6 && a->n6) {
		out->lo = a->v6[0].lo;
		out->hi = a->v6[a->n6 - 1].hi;
	} else {
		return false;
	}
	return true;
}

bool pol_packets_hull(const struct pol_space *s, size_t ir, const struct pol_filter_line *l,
		      uint8_t family, struct pol_packets *out)
{
	uint32_t lo = POL_L4_KEY_MAX, hi = 0;

	*out = pol_packets_all(s, family);
	if (!hull_end(s->ir[ir], &l->src, family, &out->box.end[POL_SRC]) ||
	    !hull_end(s->ir[ir], &l->dst, family, &out->box.end[POL_DST]))
		return false;
	for (size_t i = 0; i < l->n; i++) {
		const struct pol_l4set *x = &s->l4[ir][l->term[i].l4];

		if (!x->n)
			continue;
		lo = x->range[0].lo < lo ? x->range[0].lo : lo;
		hi = x->range[x->n - 1].hi > hi ? x->range[x->n - 1].hi : hi;
	}
	if (l->n) {
		out->box.l4_lo = lo;
		out->box.l4_hi = hi;
	}
	return out->box.l4_lo <= out->box.l4_hi;
}

bool pol_packets_meet(const struct pol_packets *a, const struct pol_packets *b)
{
	if (a->box.l4_lo > b->box.l4_hi || b->box.l4_lo > a->box.l4_hi)
		return false;
	for (unsigned e = 0; e < POL_ENDS; e++)
		if (a->box.end[e].lo > b->box.end[e].hi || b->box.end[e].lo > a->box.end[e].hi)
			return false;
	return true;
}

/* ---- answers --------------------------------------------------------------------------- */

static enum pol_answer both(enum pol_answer a, enum pol_answer b)
{
	if (a == POL_NO || b == POL_NO)
		return POL_NO;
	return a == POL_YES && b == POL_YES ? POL_YES : POL_UNDECIDED;
}

static enum pol_answer end_answer(const struct pol_ir *ir, const struct pol_filter_end *e,
				  const struct pol_packets *b, unsigned end)
{
	enum pol_answer a = e->aset ? pol_space_aset(&ir->asets.v[e->aset], &b->box, end) : POL_YES;

	if (a == POL_YES || e->dynamic & b->in[end])
		return POL_YES;
	return e->dynamic & ~b->out[end] ? POL_UNDECIDED : a;
}

static enum pol_answer sport_answer(const struct pol_l4set *set, const struct pol_packets *b)
{
	enum pol_answer any = POL_NO;

	for (size_t i = 0; i < set->n; i++) {
		if (set->range[i].lo > b->sport_hi || set->range[i].hi < b->sport_lo)
			continue;
		if (set->range[i].lo <= b->sport_lo && set->range[i].hi >= b->sport_hi)
			return POL_YES;
		any = POL_UNDECIDED;
	}
	return any;
}

/* Where it is asked the protocol has them: lang checked that. */
static enum pol_answer flags_answer(const struct pol_filter_term *t, const struct pol_packets *b)
{
	if (t->set & b->clear || t->clear & b->set)
		return POL_NO;
	return t->set & ~b->set || t->clear & ~b->clear ? POL_UNDECIDED : POL_YES;
}

static enum pol_answer term_answer(const struct pol_space *s, size_t ir,
				   const struct pol_filter_term *t, const struct pol_packets *b)
{
	enum pol_answer a = t->l4 ? pol_space_l4(s, ir, t->l4, &b->box) : POL_YES;

	if (t->sport)
		a = both(a, sport_answer(&s->ir[ir]->l4sets.v[t->sport], b));
	return both(a, flags_answer(t, b));
}

enum pol_answer pol_packets_line(const struct pol_space *s, size_t ir,
				 const struct pol_filter_line *l, const struct pol_packets *b)
{
	enum pol_answer a = end_answer(s->ir[ir], &l->src, b, POL_SRC), any = POL_NO;

	if (a != POL_NO)
		a = both(a, end_answer(s->ir[ir], &l->dst, b, POL_DST));
	for (size_t i = 0; i < l->n && a != POL_NO && any != POL_YES; i++) {
		enum pol_answer t = term_answer(s, ir, &l->term[i], b);

		any = t == POL_NO ? any : t;
	}
	return l->n ? both(a, any) : a;
}

/* ---- cuts -------------------------------------------------------------------------------- */

static bool cut_end(const struct pol_space *s, size_t ir, const struct pol_filter_end *e,
		    const struct pol_packets *b, unsigned end, struct pol_packets part[2])
{
	const struct pol_aset *set = &s->ir[ir]->asets.v[e->aset];
	uint64_t open = e->dynamic & ~b->out[end];
	struct pol_cut cut;

	if (end_answer(s->ir[ir], e, b, end) != POL_UNDECIDED)
		return false;
	if (open) {
		open &= -open;
		part[0].in[end] |= open;
		part[1].out[end] |= open;
		return true;
	}
	cut = pol_cut_aset(set, &b->box, end);
	for (unsigned i = 0; i < 2; i++)
		part[i].box = pol_box_part(s, &b->box, &cut, i);
	return true;
}

/* A bound of the set inside the ports of the box. */
static void cut_sport(const struct pol_l4set *set, const struct pol_packets *b,
		      struct pol_packets part[2])
{
	uint32_t at = 0;

	for (size_t i = 0; i < set->n && !at; i++) {
		if (set->range[i].lo > b->sport_lo && set->range[i].lo <= b->sport_hi)
			at = set->range[i].lo;
		else if (set->range[i].hi >= b->sport_lo && set->range[i].hi < b->sport_hi)
			at = set->range[i].hi + 1;
	}
	part[0].sport_hi = at - 1;
	part[1].sport_lo = at;
}

static void cut_flags(const struct pol_filter_term *t, const struct pol_packets *b,
		      struct pol_packets part[2])
{
	uint8_t open = (uint8_t)((t->set | t->clear) & ~(b->set | b->clear));

	open &= (uint8_t)-open;
	part[0].set |= open;
	part[1].clear |= open;
}

static void cut_term(const struct pol_space *s, size_t ir, const struct pol_filter_term *t,
		     const struct pol_packets *b, struct pol_packets part[2])
{
	const struct pol_l4set *sports = &s->ir[ir]->l4sets.v[t->sport];

	if (t->l4 && pol_space_l4(s, ir, t->l4, &b->box) == POL_UNDECIDED) {
		struct pol_cut cut = pol_cut_l4(s, ir, t->l4, &b->box);

		for (unsigned i = 0; i < 2; i++)
			part[i].box = pol_box_part(s, &b->box, &cut, i);
	} else if (t->sport && sport_answer(sports, b) == POL_UNDECIDED) {
		cut_sport(sports, b, part);
	} else {
		cut_flags(t, b, part);
	}
}

void pol_packets_cut(const struct pol_space *s, size_t ir, const struct pol_filter_line *l,
		     const struct pol_packets *b, struct pol_packets part[2])
{
	part[0] = part[1] = *b;
	if (cut_end(s, ir, &l->src, b, POL_SRC, part) || cut_end(s, ir, &l->dst, b, POL_DST, part))
		return;
	for (size_t i = 0; i < l->n; i++)
		if (term_answer(s, ir, &l->term[i], b) == POL_UNDECIDED) {
			cut_term(s, ir, &l->term[i], b, part);
			return;
		}
}

/* ---- one line within another ---------------------------------------------------------------- */

static bool end_within(const struct pol_ir *ir, const struct pol_filter_end *x,
		       const struct pol_filter_end *y)
{
	if (!y->aset)
		return true;
	return !(x->dynamic & ~y->dynamic) &&
	       (x->aset == y->aset || pol_aset_subset(ir->asets.v[x->aset], ir->asets.v[y->aset]));
}

static bool term_within(const struct pol_ir *ir, const struct pol_filter_term *x,
			const struct pol_filter_term *y)
{
	return (!y->l4 || pol_l4set_subset(ir->l4sets.v[x->l4], ir->l4sets.v[y->l4])) &&
	       (!y->sport ||
		(x->sport && pol_l4set_subset(ir->l4sets.v[x->sport], ir->l4sets.v[y->sport]))) &&
	       !(y->set & ~x->set) && !(y->clear & ~x->clear);
}

bool pol_packets_within(const struct pol_ir *ir, const struct pol_filter_line *x,
			const struct pol_filter_line *y)
{
	if ((y->n && !x->n) || !end_within(ir, &x->src, &y->src) ||
	    !end_within(ir, &x->dst, &y->dst))
		return false;
	for (size_t i = 0; y->n && i < x->n; i++) {
		bool found = false;

		for (size_t k = 0; k < y->n && !found; k++)
			found = term_within(ir, &x->term[i], &y->term[k]);
		if (!found)
			return false;
	}
	return true;
}

/* ---- words --------------------------------------------------------------------------------- */

void pol_packets_print(struct pol_buf *out, const struct pol_space *s, const struct pol_packets *b)
{
	static const char *const flag[] = {
		"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"
	};
	struct pol_point p = pol_box_point(s, &b->box);

	pol_point_print(out, s->ir[0], &p);
	for (unsigned i = 0; i < 8 && p.l4_key >> 16 == TCP; i++)
		if (b->set >> i & 1)
			pol_buf_printf(out, " %s", flag[i]);
	if (b->sport_lo || b->sport_hi < 65535)
		pol_buf_printf(out, " sport %u", b->sport_lo);
}
