/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of verify.h share. */
#ifndef POLC_VERIFY_PRIVATE_H
#define POLC_VERIFY_PRIVATE_H

#include "verify/verify.h"
#include "compiler/analysis/space.h"
#include "verify/cells.h"

/* The first difference; always false, for `return ver_differs(...)`. Later ones are not kept. */
bool ver_differs(struct ver_report *r, const char *where, const char *format, ...) POL_PRINTF(3, 4);
/* "deny by shop.pol:12 `deny to world`", by a verdict of the object's or one that the text asks for. */
struct pol_str ver_say(const struct ver_report *r, const struct pol_verdict *v);
struct pol_str ver_say_flow(const struct ver_report *r, const struct pol_point *p);

/* ---- names.c: what the object says of itself ------------------------------------------ */

/* Which of the IR's selectors each of the object's is; UINT32_MAX: none. False: it differs. */
bool ver_selectors(struct ver_report *r, uint32_t **sel_of);
/* Heads, rules, limits, http image. */
bool ver_names(struct ver_report *r, struct pol_err *e);

/* ---- preds.c ------------------------------------------------------------------------ */

/*
 * Predicates as they stand for endpoints: pairs of a selector of the IR and a set of address
 * classes.  What is asked alike has one number, whoever asks it.
 */
#define VER_NEVER UINT32_MAX		/* no endpoint can be meant */
#define VER_ALWAYS (UINT32_MAX - 1)	/* every one is */
struct ver_preds {
	uint32_t *of_ir;	/* by predicate of the IR; VER_NEVER too for those that no rule has */
	uint32_t *of_object;	/* by predicate of the object */
	uint32_t n;		/* numbers are below */
};
bool ver_predicates(struct ver_report *r, const uint32_t *sel_of, const bool *used,
		    const struct ver_cells *addresses, struct ver_preds *out);

/* ---- lists.c: rules that match together, in their order --------------------------------- */

struct ver_list { const uint32_t *rule; size_t n; };
struct ver_lists;
struct ver_lists *ver_lists_new(struct pol_arena *a);
void ver_lists_free(struct ver_lists *l);
/* Number of the list of these rules; sorts them by their order, drops repetitions. */
uint32_t ver_lists_get(struct ver_lists *l, const struct pol_ir *ir, uint32_t *rule, size_t n);
struct ver_list ver_lists_at(const struct ver_lists *l, uint32_t list);

/* The verdict of one block where these rules match, by the rules of the language alone. */
void ver_expect(const struct pol_ir *ir, struct ver_list matching, struct pol_verdict *out);

/* ---- a set of pairs of numbers ------------------------------------------------------------ */

struct ver_pairs { uint64_t *v; size_t n, cap; };
bool ver_pairs_add(struct ver_pairs *p, uint32_t a, uint32_t b);	/* false: it was there */

#endif
