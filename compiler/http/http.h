/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From http blocks to the image of polc/http.h.
 *
 *	lines --nfa.c--> one nondeterministic automaton a group (Thompson 1968)
 *	      --dfa.c--> deterministic, over classes of bytes (Rabin, Scott 1959)
 *	      --minimise.c--> the smallest (Hopcroft 1971)
 *	      --image.c--> bytes
 *
 * readings.c refuses expressions that no request is judged by in all its readings.
 *
 * Rules that may meet on one flow are of one group and share an automaton, so that a
 * request is read once.  A group whose automaton would be too large is cut in two,
 * and again; what is lost is only a second reading.  A single rule that
 * is too large is an error.
 */
#ifndef POLC_COMPILER_HTTP_H
#define POLC_COMPILER_HTTP_H

#include "base/http.h"
#include "lang/ast.h"
#include "lang/diag.h"

#define POL_HTTP_STATES_MAX 65535u	/* of one automaton: states are 16 bits in the image */

struct pol_http_source {
	uint32_t rule;		/* number of the policy's rule */
	uint32_t group;
	const struct pol_http *block;
};

struct pol_http_stats {
	uint32_t automata, states, largest;	/* states in all, and of the largest */
	uint32_t split;				/* groups that were cut */
};

/*
 * The image of these rules, in their order: their index is what verdicts name.  Appended to
 * out, which must be empty.  0; -EINVAL: diagnostics say what is too large (P0515)
 * or wants a spelling that is decoded (P0335).
 */
int pol_http_compile(const struct pol_http_source *source, size_t n,
		     const struct pol_sources *sources, struct pol_diags *d, uint32_t max_states,
		     struct pol_buf *out, struct pol_http_stats *stats);

#endif
