/* SPDX-License-Identifier: GPL-2.0-only */
/* The automata between an http block and the image; inside of compiler/http/ only. */
#ifndef POLC_AUTOMATON_H
#define POLC_AUTOMATON_H

#include "compiler/http/http.h"
#include "lang/regex.h"

/* ---- nondeterministic ---------------------------------------------------------------- */

enum pol_nfa_kind {
	POL_NFA_BYTES,	/* one byte of the set, then to[0] */
	POL_NFA_SPLIT,	/* to[0] or to[1], reading nothing */
	POL_NFA_ACCEPT,	/* the whole was read; it fits `mark` */
};

struct pol_nfa_state {
	enum pol_nfa_kind kind;
	uint32_t to[2];
	uint32_t set;		/* BYTES: index into sets */
	uint32_t mark;		/* ACCEPT */
};

#define POL_NFA_STATES_MAX (1u << 20)

struct pol_nfa {
	POL_VEC(struct pol_nfa_state) state;
	POL_VEC(struct pol_byteset) sets;	/* each once */
	POL_VEC(uint32_t) start;
	bool full;		/* more than POL_NFA_STATES_MAX were asked for; what there is means nothing */
};

void pol_nfa_free(struct pol_nfa *n);
/* METHOD SP host SP path as the line has it, accepted with that mark. */
void pol_nfa_line(struct pol_nfa *n, const struct pol_http_line *l, uint32_t mark);
/* A header's value; every byte can stand in it. */
void pol_nfa_value(struct pol_nfa *n, struct pol_str text, uint32_t mark);

/* ---- deterministic ------------------------------------------------------------------------ */

struct pol_dfa {
	uint32_t states, classes, start;
	uint8_t class[256];
	uint32_t *next;		/* states * classes; state 0 is dead */
	uint32_t *accept;	/* by state: index into marks, of a length and as many marks, ascending; 0: none */
	POL_VEC(uint32_t) marks;/* element 0 is 0 */
};

/* 0 or -E2BIG: more than max states. */
int pol_dfa_of(struct pol_dfa *d, const struct pol_nfa *n, uint32_t max);
void pol_dfa_minimise(struct pol_dfa *d);
void pol_dfa_free(struct pol_dfa *d);
/* Does it accept a text in which that reading has nothing to decode? */
bool pol_dfa_accepts_read(const struct pol_dfa *d, enum pol_http_reading how);

#endif
