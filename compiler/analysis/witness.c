/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/analysis/witness.h"

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
