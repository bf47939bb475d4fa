/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/witness.h"

#include "compiler/describe.h"
#include "compiler/partition.h"
#include "compiler/ranges.h"
#include "compiler/analysis/solve.h"

#define STEPS 1000000u /* for one class */

bool pol_witness_endpoint(const struct pol_ir *ir, uint32_t sel, struct pol_arena *a,
			  struct pol_eval_peer *out)
{
	POL_VEC(struct pol_want) want = { 0 };
	uint64_t steps = STEPS;
	bool found;

	*out = (struct pol_eval_peer){ .kind = POL_PEER_ENDPOINT };
	*pol_vec_push(&want) = (struct pol_want){ sel, true };
	found = pol_solve(ir, want.v, want.n, &steps, a, &out->labels) == POL_YES;
	/* Greedy, in order of the text: as many of the others as can be kept out. */
	for (size_t i = 0; found && i < ir->classes.n && steps; i++) {
		struct pol_labels labels;

		if (ir->classes.v[i].sel == sel)
			continue;
		*pol_vec_push(&want) = (struct pol_want){ ir->classes.v[i].sel, false };
		if (pol_eval_sel(ir, ir->classes.v[i].sel, out->labels) &&
		    pol_solve(ir, want.v, want.n, &steps, a, &labels) != POL_YES)
			want.n--;
		else if (pol_eval_sel(ir, ir->classes.v[i].sel, out->labels))
			out->labels = labels;
	}
	pol_vec_free(&want);
	return found;
}

static bool has_family(const struct pol_aset *s, uint8_t family)
{
	return family == 4 ? s->n4 > 0 : s->n6 > 0;
}

bool pol_witness_address(const struct pol_ir *ir, const struct pol_aset *s, uint8_t family,
			 struct pol_arena *a, struct pol_eval_peer *out)
{
	struct pol_aset rest = *s;

	if (!has_family(s, family))
		return false;
	for (size_t i = 0; i < ir->cidrs.n; i++) {
		const struct pol_aset *other = &ir->asets.v[ir->cidrs.v[i].aset];
		struct pol_aset less;

		/* The set of all prefixes has no name: leaving it out would leave nothing. */
		if (!ir->cidrs.v[i].name.n || pol_aset_subset(*s, *other))
			continue;
		less = pol_aset_combine(a, POL_SET_SUBTRACT, rest, *other);
		if (has_family(&less, family))
			rest = less;
	}
	*out = (struct pol_eval_peer){ .has_addr = true };
	out->addr = family == 4 ? pol_ip_of(rest.v4[0].lo, 4) : pol_ip_of(rest.v6[0].lo, 6);
	out->kind = pol_eval_kind(ir, out->addr);
	return true;
}

/* ---- who may be anywhere -------------------------------------------------------------- */

struct part { /* addresses that lie in the same sets of rules */
	uint32_t set;
	pol_u128 lo, hi; /* the first of its ranges */
	size_t more; /* ranges behind it */
};

struct anywhere {
	const struct pol_ir *ir;
	struct pol_arena *arena;
	const struct pol_eval_peer *peer;
	const struct pol_aset *named; /* every prefix that rules name, or filters */
	bool *used; /* by aset: they ask this kind of peer for it */
	pol_stand_in_vec *out;
};

static struct pol_aset of_family(struct pol_arena *a, const struct pol_aset *s, uint8_t family)
{
	return family == 4 ? pol_aset_of(a, s->v4, s->n4, NULL, 0)
			   : pol_aset_of(a, NULL, 0, s->v6, s->n6);
}

static struct pol_aset less(struct anywhere *w, struct pol_aset s, struct pol_aset by)
{
	return pol_aset_combine(w->arena, POL_SET_SUBTRACT, s, by);
}

/* The same, unless that leaves nothing. */
static struct pol_aset rather_less(struct anywhere *w, struct pol_aset s, struct pol_aset by)
{
	struct pol_aset rest = less(w, s, by);

	return pol_aset_empty(rest) ? s : rest;
}

/* An IPv4 prefix has its place in IPv6 too; nobody is there who is not in IPv4. */
static struct pol_aset nat64(struct anywhere *w)
{
	struct pol_range128 all = { POL_NAT64_PREFIX, POL_NAT64_PREFIX | 0xffffffff };

	return pol_aset_of(w->arena, NULL, 0, &all, 1);
}

/* Where such a peer may be; empty: nowhere in that family. */
static struct pol_aset home(struct anywhere *w, uint8_t family)
{
	struct pol_aset all = of_family(w->arena, &w->ir->asets.v[0], family);
	const struct pol_aset *pool = &w->ir->asets.v[w->ir->pool];
	struct pol_aset own = less(w, *pool, nat64(w));

	if (w->peer->kind == POL_PEER_WORLD)
		return rather_less(w, less(w, all, *pool), nat64(w));
	if (w->peer->kind == POL_PEER_ENDPOINT && !pol_aset_empty(own))
		return of_family(w->arena, &own, family);
	return rather_less(w, all, nat64(w));
}

static bool all_named(const struct anywhere *w, uint8_t family)
{
	if (family == 4)
		return w->named->n4 == 1 && !w->named->v4[0].lo && w->named->v4[0].hi == UINT32_MAX;
	return w->named->n6 == 1 && !w->named->v6[0].lo && w->named->v6[0].hi == ~(pol_u128)0;
}

/* Named sets stand for themselves. */
static struct pol_aset beyond_sets(struct anywhere *w, struct pol_aset s)
{
	for (size_t i = 0; i < w->ir->cidrs.n; i++)
		if (w->ir->cidrs.v[i].name.n)
			s = rather_less(w, s, w->ir->asets.v[w->ir->cidrs.v[i].aset]);
	return s;
}

/* As ranges of one width, whatever the family. */
static size_t ranges_of(struct pol_arena *a, const struct pol_aset *s, uint8_t family,
			struct pol_range128 **out)
{
	size_t n = family == 4 ? s->n4 : s->n6;

	*out = pol_arena_alloc(a, (n + 1) * sizeof(**out));
	for (size_t i = 0; i < n; i++)
		(*out)[i] =
			family == 4 ? (struct pol_range128){ s->v4[i].lo, s->v4[i].hi } : s->v6[i];
	return n;
}

static void sweep(struct anywhere *w, uint8_t family, struct pol_sets *sets, pol_bounds128 *out)
{
	pol_events128 events = { 0 };
	struct pol_range128 *r;

	for (uint32_t i = 1; i < w->ir->asets.n; i++) {
		size_t n;

		if (!w->used[i])
			continue;
		n = ranges_of(w->arena, &w->ir->asets.v[i], family, &r);
		pol_events128_add(&events, i, r, n);
	}
	pol_sweep128(&events, sets, out);
	pol_vec_free(&events);
}

struct parts {
	struct part *v;
	size_t n, cap;
};

static void add_part(struct parts *all, uint32_t set, pol_u128 lo, pol_u128 hi)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].set == set) {
			all->v[i].more++;
			return;
		}
	*pol_vec_push(all) = (struct part){ set, lo, hi, 0 };
}

/* Both ascend: what lies between two bounds, of each range. */
static void find_parts(const pol_bounds128 *b, const struct pol_range128 *r, size_t n,
		       struct parts *out)
{
	size_t at = 0; /* bounds before */

	for (size_t i = 0; i < n; i++)
		for (pol_u128 lo = r[i].lo, hi;; lo = hi + 1) {
			while (at < b->n && b->v[at].first <= lo)
				at++;
			hi = at < b->n && b->v[at].first <= r[i].hi ? b->v[at].first - 1 : r[i].hi;
			add_part(out, at ? b->v[at - 1].set : 0, lo, hi);
			if (hi == r[i].hi)
				break;
		}
}

static const char *part_text(struct anywhere *w, const struct part *p, uint8_t family)
{
	struct pol_range32 four = { (uint32_t)p->lo, (uint32_t)p->hi };
	struct pol_range128 six = { p->lo, p->hi };
	struct pol_aset s = family == 4 ? pol_aset_of(w->arena, &four, 1, NULL, 0)
					: pol_aset_of(w->arena, NULL, 0, &six, 1);
	struct pol_buf b = { 0 };
	struct pol_str kept;

	pol_describe_aset(&b, &s, 1);
	if (p->more)
		pol_buf_printf(&b, " and %zu more", p->more);
	kept = pol_arena_str(w->arena, pol_buf_str(&b));
	pol_buf_free(&b);
	return kept.p;
}

static void stand_in(struct anywhere *w, const char *where, pol_u128 addr, uint8_t family)
{
	struct pol_stand_in *s = pol_vec_push(w->out);

	*s = (struct pol_stand_in){ *w->peer, where };
	s->peer.has_addr = true;
	s->peer.addr = pol_ip_of(addr, family);
}

static const char *family_name(uint8_t family)
{
	return family == 4 ? "v4" : "v6";
}

/* At the first address of that family, which the set has. */
static void unnamed(struct anywhere *w, const struct pol_aset *s, uint8_t family)
{
	stand_in(w, family_name(family), family == 4 ? s->v4[0].lo : s->v6[0].lo, family);
}

static void tell_apart(struct anywhere *w, struct pol_aset where, uint8_t family)
{
	pol_bounds128 bounds = { 0 };
	struct parts parts = { 0 };
	struct pol_range128 *r;
	struct pol_sets *sets;
	size_t n;

	where = beyond_sets(w, where);
	n = ranges_of(w->arena, &where, family, &r);
	sets = pol_sets_new();
	sweep(w, family, sets, &bounds);
	find_parts(&bounds, r, n, &parts);
	for (size_t i = 0; i < parts.n; i++)
		stand_in(w, parts.n == 1 ? family_name(family) : part_text(w, &parts.v[i], family),
			 parts.v[i].lo, family);
	pol_sets_free(sets);
	pol_vec_free(&bounds);
	pol_vec_free(&parts);
}

static void in_family(struct anywhere *w, uint8_t family)
{
	struct pol_aset where = home(w, family), all;

	if (pol_aset_empty(where))
		return;
	if (all_named(w, family)) {
		tell_apart(w, where, family);
		return;
	}
	all = of_family(w->arena, &w->ir->asets.v[0], family);
	all = less(w, all, *w->named);
	unnamed(w, &all, family);
}

static void find_used(struct anywhere *w)
{
	w->used = pol_arena_alloc(w->arena, w->ir->asets.n * sizeof(*w->used));
	for (size_t i = 0; i < w->ir->rules.n; i++) {
		const struct pol_pred *p = &w->ir->preds.v[w->ir->rules.v[i].pred];

		for (size_t k = 0; k < p->n; k++)
			if (p->term[k].mask & w->peer->kind)
				w->used[p->term[k].aset] = true;
	}
}

void pol_witness_anywhere(const struct pol_ir *ir, const struct pol_eval_peer *peer,
			  struct pol_arena *a, pol_stand_in_vec *out)
{
	const struct pol_named_set *last = ir->cidrs.n ? &ir->cidrs.v[ir->cidrs.n - 1] : NULL;
	struct anywhere w = { .ir = ir, .arena = a, .peer = peer, .out = out };

	/* lower.c puts the set of all prefixes last, without a name. */
	w.named = last && !last->name.n ? &ir->asets.v[last->aset] : NULL;
	if (!w.named || (!all_named(&w, 4) && !all_named(&w, 6))) {
		*pol_vec_push(out) = (struct pol_stand_in){ *peer, "" };
		return;
	}
	find_used(&w);
	in_family(&w, 4);
	in_family(&w, 6);
}

/* ---- what filters see ----------------------------------------------------------------- */

/* What lines ask for at that end goes to w->used; what they name is returned. */
static struct pol_aset find_named(struct anywhere *w, const struct pol_filter_view *view)
{
	bool *named = pol_arena_alloc(w->arena, w->ir->asets.n * sizeof(*named));
	uint32_t *id = pol_arena_alloc(w->arena, w->ir->asets.n * sizeof(*id));
	size_t n = 0;

	w->used = pol_arena_alloc(w->arena, w->ir->asets.n * sizeof(*w->used));
	for (size_t i = 0; i < view->n; i++)
		for (size_t k = 0; k < view->filter[i].n; k++) {
			const struct pol_filter_line *l = &view->filter[i].line[k];
			const struct pol_filter_end *e = view->dst ? &l->dst : &l->src;

			w->used[e->aset] = true;
			for (size_t j = 0; j < e->nnamed; j++)
				named[e->named[j]] = true;
		}
	for (uint32_t i = 1; i < w->ir->asets.n; i++)
		if (named[i])
			id[n++] = i;
	return pol_aset_union(w->arena, w->ir->asets.v, id, n);
}

void pol_witness_packet(const struct pol_ir *ir, const struct pol_filter_view *view,
			const struct pol_eval_peer *peer, struct pol_arena *a,
			pol_stand_in_vec *out)
{
	struct anywhere w = { .ir = ir, .arena = a, .peer = peer, .out = out };
	struct pol_aset named;

	if (peer->has_addr) {
		*pol_vec_push(out) = (struct pol_stand_in){ *peer, "" };
		return;
	}
	named = find_named(&w, view);
	w.named = &named;
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct pol_aset where = home(&w, family), rest = less(&w, where, named);

		if (!pol_aset_empty(rest))
			unnamed(&w, &rest, family);
		else if (!pol_aset_empty(where))
			tell_apart(&w, where, family);
	}
}
