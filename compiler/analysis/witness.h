/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Typical members: who stands for a name where one flow has to be judged.
 */
#ifndef POLC_WITNESS_H
#define POLC_WITNESS_H

#include "compiler/eval.h"

/*
 * An endpoint that satisfies sel and, where that is possible, none of the other
 * endpoint definitions, with the fewest labels. Its address is one that no prefix names.
 * False if no endpoint can satisfy sel, or the search was given up.
 */
bool pol_witness_endpoint(const struct pol_ir *ir, uint32_t sel, struct pol_arena *a,
			  struct pol_eval_peer *out);

/*
 * An address of that family in the set and, where that is possible, in none of the other named
 * sets that do not contain all of it. False if the set has none.
 */
bool pol_witness_address(const struct pol_ir *ir, const struct pol_aset *s, uint8_t family,
			 struct pol_arena *a, struct pol_eval_peer *out);

/*
 * Who stands for a peer whose address is not given: one, at an address that no prefix names.  Where
 * rules name every address of a family there is no such one; then, in each family, one for each of
 * the sets of addresses that they tell apart: of endpoints inside `pool`, of the world outside it,
 * and beyond the named sets, who stand for themselves.
 */
struct pol_stand_in {
	struct pol_eval_peer peer;
	const char *where;	/* "", "v4", "v6", or of one family that is told apart, "10.0.0.0/8" */
};
typedef POL_VEC(struct pol_stand_in) pol_stand_in_vec;
void pol_witness_anywhere(const struct pol_ir *ir, const struct pol_eval_peer *peer,
			  struct pol_arena *a, pol_stand_in_vec *out);

/*
 * The same for one end of the packets that filters see, by what they name at that end: source or
 * destination.  Packets have addresses, so in each family one that they do not name stands for the
 * peer, or, where they name all that it may have, one for each set that they tell apart.
 */
struct pol_filter_view {
	const struct pol_ir_filter *filter;
	size_t n;
	bool dst;
};
void pol_witness_packet(const struct pol_ir *ir, const struct pol_filter_view *view,
			const struct pol_eval_peer *peer, struct pol_arena *a,
			pol_stand_in_vec *out);

#endif
