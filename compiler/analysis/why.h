/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a side of a flow got its verdict, and what would turn a no into a yes. */
#ifndef POLC_WHY_H
#define POLC_WHY_H

#include "compiler/eval.h"
#include "lang/resolve.h"

struct pol_side_question {
	const struct pol_ir *ir;
	struct pol_labels own;
	enum pol_direction dir;
	const struct pol_eval_peer *peer;
	uint32_t l4_key;
	uint32_t rule;		/* that decided */
};

/* Fields on which a rule missed, in the order of a rule's text. */
#define POL_MISSES(X)						\
	X(POL_MISS_PEER, "peer")	/* world, host ... */	\
	X(POL_MISS_LABELS, "labels")				\
	X(POL_MISS_ADDRESS, "address")				\
	X(POL_MISS_PROTOCOL, "protocol")			\
	X(POL_MISS_PORT, "port")				\
	X(POL_MISS_SKIPPED, "skipped")	/* it matches, but a `skip` came before it */

#define POL_MISS_ITEM(id, name) id,
enum pol_miss { POL_MISSES(POL_MISS_ITEM) POL_MISS_MAX };
#undef POL_MISS_ITEM

struct pol_missed {
	uint32_t rule;
	uint32_t fields;	/* 1 << enum pol_miss; for SKIPPED that alone */
};
typedef POL_VEC(struct pol_missed) pol_missed_vec;

const char *pol_miss_name(enum pol_miss m);
/* The written rules for this endpoint that were asked before the one that decided: nearest first. */
void pol_why_missed(const struct pol_side_question *q, pol_missed_vec *out);

/* A change of the policy's text. */
struct pol_edit {
	enum pol_direction dir;
	bool replaces;		/* the rule at `at` becomes `text`; else text is added: */
	struct pol_span at;	/* to the policy there; POL_NO_SPAN: at the end of the file */
	struct pol_str policy;	/* its name */
	struct pol_str text;
	int32_t tier;		/* of an added policy: its number */
};
typedef POL_VEC(struct pol_edit) pol_edit_vec;

/*
 * The fewest edits that make the side allow this flow; who: the peer as the question names it.
 * False: there are none, since no number of a tier is left; what is in out then is no answer.
 */
bool pol_why_edits(const struct pol_side_question *q, const struct pol_program *program,
		   struct pol_str own_text, struct pol_str who, struct pol_str on,
		   struct pol_arena *a, pol_edit_vec *out);

#endif
