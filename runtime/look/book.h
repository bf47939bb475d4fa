/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the numbers and addresses of the data path are called: endpoints by
 * address and number, their classes, rules by generation.  For looking commands; holds no
 * lock, so an apply never waits for somebody who watches.
 */
#ifndef POLC_RUNTIME_BOOK_H
#define POLC_RUNTIME_BOOK_H

#include "runtime/generation/live.h"
#include "runtime/input/object.h"

struct prt_book_gen {		/* rules of a generation that was in force once */
	uint32_t gen;		/* low bits, as events and flows say it */
	struct prt_object *object;
	struct prt_rules rules;
};

struct prt_book {
	const struct prt_env *env;
	struct prt_live l;
	uint32_t incarnation;		/* meta.next_incarnation when it was read */
	struct prt_object *object;	/* of the generation in force; owned by gens */
	POL_VEC(struct prt_book_gen) gens;	/* the last few; the one in force is the last */
	struct pol_arena *arena;	/* of what is below */
	struct prt_book_slot *slot;	/* by address */
	size_t nslots;
	const struct prt_member **by_ep; /* POL_EP_MAX */
	struct pol_str *classes;	/* by member: "frontend", "a,b", or "" */
	bool *selected;			/* by member and selector */
};

void prt_book_init(struct prt_book *b);
void prt_book_close(struct prt_book *b);	/* after init */

/* Reads what is in force.  -ENOENT: no policy is. */
int prt_book_open(const struct prt_env *env, struct prt_book *b, struct pol_err *e);
/*
 * Again, if another generation is in force or endpoints came since: 1, and pointers that the
 * functions below gave have ended.  -ENOENT: the policy was removed; after any failure what was
 * read before stands.
 */
int prt_book_sync(struct prt_book *b, struct pol_err *e);

/* NULL: no endpoint's. */
const struct prt_member *prt_book_owner(const struct prt_book *b, const struct pol_addr *a);
const struct prt_member *prt_book_ep(const struct prt_book *b, uint32_t ep);
enum pol_entity prt_book_entity(const struct prt_book *b, const struct pol_addr *a);
/* Whose VIP it is, by name; port 0: any.  "" if it is none, or of several. */
struct pol_str prt_book_service(const struct prt_book *b, const struct pol_addr *a, uint16_t port);
/* The classes that select it, as the policy names them; "" if none does. */
struct pol_str prt_book_classes(const struct prt_book *b, const struct prt_member *m);
/* Does selector `s` of the object in force hold for it? */
bool prt_book_selects(const struct prt_book *b, const struct prt_member *m, uint32_t s);
/* NULL for POL_NO_RULE and what is not known any more. */
const struct prt_rule *prt_book_rule(const struct prt_book *b, uint32_t gen, uint32_t rule);
const struct prt_book_gen *prt_book_gen(const struct prt_book *b, uint32_t gen);

#endif
