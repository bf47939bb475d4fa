/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow space as exact sets: what an analysis splits, until every rule
 * either matches all of a part or none of it.
 *
 * A box is a product: one address family; at each end some kinds of peer, a
 * range of addresses and, for endpoints, for every label key that a policy
 * mentions a set of values ("missing", the values mentioned, "some other"); a
 * range of L4 keys.  Boxes are never empty and no two flows of a box that no
 * cut has told apart differ for any rule, so an answer about a box holds for
 * endpoints that do not exist yet.  Nothing here is sampled or approximated.
 *
 * One space serves several policies at once, for comparing them.
 */
#ifndef POLC_SPACE_H
#define POLC_SPACE_H

#include "compiler/eval.h"
#include "compiler/analysis/solve.h"

#define POL_SPACE_POLICIES 2

/* An address that is no endpoint, host or node: WORLD or POOL, as each policy's `pool` says. */
#define POL_KIND_STRANGER POL_PEER_WORLD

struct pol_space_key {
	struct pol_str name;
	struct pol_str *value;	/* sorted, unique */
	uint32_t n;
	uint32_t word, words;	/* where its bits stand: 0 missing, 1..n the values, n + 1 others */
};

struct pol_space_sel {		/* a selector with its key's number and values as bits */
	uint32_t key;
	uint64_t *bits;		/* IN, HAS; words of the key */
	uint32_t size;		/* of any: what there is to look at, nodes and words */
};

struct pol_space {
	struct pol_arena *arena;
	const struct pol_ir *ir[POL_SPACE_POLICIES];
	size_t n_ir;
	struct pol_space_key *key;	/* sorted by name */
	size_t n_keys, words;
	struct pol_space_sel *sel[POL_SPACE_POLICIES];
	struct pol_l4set *l4[POL_SPACE_POLICIES];	/* keys that no packet has go with the last one */
	uint64_t *any;			/* every label set */
};

struct pol_end {
	uint32_t kinds;		/* of enum pol_peer_kind without POOL */
	pol_u128 lo, hi;
	const uint64_t *labels;	/* words of the space; of endpoints */
};

enum { POL_SRC, POL_DST, POL_ENDS };

struct pol_box {
	struct pol_end end[POL_ENDS];
	uint32_t l4_lo, l4_hi;
	uint8_t family;
};

/* Which end is the subject's, and which the peer's, in that direction. */
#define POL_OWN(dir) ((dir) == POL_EGRESS ? POL_SRC : POL_DST)
#define POL_PEER(dir) ((dir) == POL_EGRESS ? POL_DST : POL_SRC)

void pol_space_init(struct pol_space *s, struct pol_arena *a, const struct pol_ir *const *ir,
		    size_t n);
/* All addresses of a family, every L4 key, these kinds at the ends. */
struct pol_box pol_box_all(const struct pol_space *s, uint8_t family, uint32_t src, uint32_t dst);

/*
 * Does it hold for every flow of the box (YES), for none (NO), or must the
 * box be cut to tell (UNDECIDED)?  Of the policy number ir.
 */
enum pol_answer pol_space_sel(const struct pol_space *s, size_t ir, uint32_t sel,
			      const uint64_t *labels);
enum pol_answer pol_space_aset(const struct pol_aset *set, const struct pol_box *b, unsigned end);
enum pol_answer pol_space_l4(const struct pol_space *s, size_t ir, uint32_t l4,
			     const struct pol_box *b);
enum pol_answer pol_space_pred(const struct pol_space *s, size_t ir, uint32_t pred,
			       const struct pol_box *b, unsigned end);
/* The subject's end must be of kind ENDPOINT alone. */
enum pol_answer pol_space_rule(const struct pol_space *s, size_t ir, const struct pol_rule *r,
			       const struct pol_box *b);

/*
 * What bounds a search counts work: a look at a rule is one step, or more where its selectors are
 * long, and labels that are copied for a part count too.  Spending more than is left leaves 0.
 */
uint64_t pol_space_term_steps(const struct pol_space *s, size_t ir, const struct pol_term *t);
uint64_t pol_space_pred_steps(const struct pol_space *s, size_t ir, uint32_t pred);
uint64_t pol_space_rule_steps(const struct pol_space *s, size_t ir, const struct pol_rule *r);
void pol_steps_spend(uint64_t *steps, uint64_t n);

/* ---- cutting --------------------------------------------------------------- */

enum pol_cut_kind { POL_CUT_KINDS, POL_CUT_ADDRESS, POL_CUT_L4, POL_CUT_LABEL };

struct pol_cut {
	enum pol_cut_kind kind;
	unsigned end;
	uint32_t kinds;		/* KINDS: what goes to the first part */
	pol_u128 at;		/* ADDRESS, L4: where the second part begins */
	uint32_t key;		/* LABEL */
	const uint64_t *bits;	/* LABEL: values of the first part */
};

/* For what is UNDECIDED: a cut that leaves both parts non-empty and brings an answer nearer. */
struct pol_cut pol_cut_term(const struct pol_space *s, size_t ir, const struct pol_term *t,
			    const struct pol_box *b, unsigned end);
struct pol_cut pol_cut_pred(const struct pol_space *s, size_t ir, uint32_t pred,
			    const struct pol_box *b, unsigned end);
struct pol_cut pol_cut_l4(const struct pol_space *s, size_t ir, uint32_t l4,
			  const struct pol_box *b);
struct pol_cut pol_cut_aset(const struct pol_aset *set, const struct pol_box *b, unsigned end);
struct pol_cut pol_cut_rule(const struct pol_space *s, size_t ir, const struct pol_rule *r,
			    const struct pol_box *b);

/* The part; of a LABEL cut its labels are malloc'ed, and freed by pol_box_drop. */
struct pol_box pol_box_part(const struct pol_space *s, const struct pol_box *b,
			    const struct pol_cut *c, bool second);
void pol_box_drop(struct pol_box *part, const struct pol_cut *c);
uint64_t pol_box_part_steps(const struct pol_space *s, const struct pol_cut *c);

/* ---- flows ------------------------------------------------------------------- */

struct pol_point {
	struct pol_eval_peer end[POL_ENDS];	/* kinds as the evaluator wants them, for policy 0 */
	uint32_t l4_key;
};

/* Any flow of the box: one that people recognise, with few labels. Memory: the space's arena. */
struct pol_point pol_box_point(const struct pol_space *s, const struct pol_box *b);
/* The same flow as that policy sees its addresses. */
struct pol_point pol_point_for(const struct pol_ir *ir, const struct pol_point *p);
/* As `polc explain` takes it: "from [app=web] to 192.0.2.1 on tcp 80". */
void pol_point_print(struct pol_buf *out, const struct pol_ir *ir, const struct pol_point *p);
/* The same for a flow of two policies. */
void pol_point_print_both(struct pol_buf *out, const struct pol_ir *ir, const struct pol_ir *other,
			  const struct pol_point *p);
void pol_point_judge(const struct pol_ir *ir, const struct pol_point *p, struct pol_eval_flow *out);

#endif
