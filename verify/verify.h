/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does an object do what its text says?  Translation validation (Pnueli, Siegel and
 * Singerman 1998): not the compiler is proved, but each of its results checked.
 *
 * Two ways, and both must hold:
 *
 *   tables    exact.  The bytes of the object, read as the loader reads them, against the
 *             rules of the text: for every set of rules with one subject, every kind of
 *             peer, every address and every port the verdict that stands in the tables is
 *             the one that the rules in their order give.  Nothing is sampled: addresses
 *             and ports are taken by the intervals in which neither the object nor the text
 *             tells them apart.
 *   packets   the programs, loaded into the kernel with the maps as the loader fills them,
 *             against the reference evaluator: packets at every bound of every rule.
 *
 * What an endpoint gets is the combination of the tables of all rules that select it
 * (base/table.h), made on the host; the first way checks what is combined, the second the result.
 *
 * Functions return 0 or -errno with e set; what differs is no error but report->first.
 */
#ifndef POLC_VERIFY_H
#define POLC_VERIFY_H

#include "compiler/ir.h"
#include "runtime/input/object.h"

struct ver_difference {		/* what == empty: there is none */
	const char *where;	/* "manifest", "rules", "limits", "http", "tables" or "packets" */
	struct pol_str what;	/* a sentence */
	struct pol_str flow;	/* as `polc explain` takes it; may be empty */
	struct pol_str text;	/* what the text says of it: verdict and rule with its place */
	struct pol_str object;	/* what the object says of it */
};

struct ver_report {		/* zero-initialise, but for these three */
	struct pol_arena *arena;
	const struct pol_ir *ir;
	const struct prt_object *object;

	struct ver_difference first;
	uint64_t blocks, columns, verdicts;	/* compared */
	uint64_t packets;
	uint64_t rules_skipped;		/* that no packet was made for, there being too many */
	bool tables_checked, packets_checked;
};

/* The object's own account: selectors, predicates, rules, limits, http image; then the tables. */
int ver_tables(struct ver_report *r, struct pol_err *e);

/*
 * The programs.  host: path of a host file whose endpoints are taken, NULL: endpoints are made
 * up, some for each selector of the policy.  -EPERM: the kernel refuses to load programs.
 */
int ver_packets(struct ver_report *r, const char *host, struct pol_err *e);

bool ver_equal(const struct ver_report *r);
void ver_print(const struct ver_report *r, bool json, struct pol_buf *out);

#endif
