/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to diff.c, diff_http.c, diff_filter.c and diff_service.c. */
#ifndef POLC_DIFFING_H
#define POLC_DIFFING_H

#include "compiler/analysis/chain.h"
#include "compiler/analysis/diff.h"

#define DIFF_DEPTH 4000u
#define DIFF_FEW 64u

/* What a rule says, whatever its number: 128 bits, so that equal means equal. */
struct sign {
	uint64_t a, b;
};

struct diff_rule {
	unsigned ir;
	const struct pol_rule *rule;
};

struct sign pol_diff_sign(const void *data, size_t n);
struct sign pol_diff_sign_aset(const struct pol_aset *x);
/* By element of x: it is none of y. */
bool *pol_diff_changed(const struct sign *x, size_t nx, const struct sign *y, size_t ny,
		       struct pol_arena *a);

void pol_diff_services(struct pol_diff *d, const struct pol_ir *const ir[2]);
void pol_diff_filters(struct pol_diff *d, const struct pol_ir *const ir[2], struct pol_arena *a);

struct diffing {
	struct pol_diff *out;
	const struct pol_space *s;
	struct sign *sign[2]; /* by rule */
	bool *changed[2]; /* no such rule in the other policy */
	uint64_t steps;
	/*
	 * Few rules changed, and the others stand in the same order: only where these match can
	 * anything differ.
	 */
	bool few;
	struct diff_rule these[DIFF_FEW];
	size_t n_these;
	POL_VEC(struct diff_rule) touching; /* those that may change what requests pass */
	POL_VEC(struct sign) compared; /* sets of http blocks, old and new, by twos */
};

/* A change on the flows of the box, unless its like is known. */
void pol_diff_report(struct diffing *d, const struct pol_box *b, const struct pol_change *x);

/* diff_http.c: where both allow a flow of the box, which requests on it pass by one policy alone. */
void pol_diff_requests(struct diffing *d, const struct pol_box *b,
		       const struct pol_chains outer[2], unsigned depth);

#endif
