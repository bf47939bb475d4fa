/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_LIST_H
#define POLC_LIST_H

#include "compiler/listing.h"

/*
 * Who may reach whom: each pair of endpoint definitions, `world`, `host` and
 * named sets of which one side at least is an endpoint, with the protocols and
 * ports that both sides allow, as the evaluator judges typical members
 * (witness.h): who has no address given is at one that no prefix names.  Where rules name every
 * address of a family, all those stand for the name that they tell apart, and the line says for
 * which addresses it holds, unless for all. Definitions that
 * nobody can satisfy have no line. Then who may reach the VIP of each service and where it sends
 * them, and what each filter passes, where only the sources that it names itself count. Scratch
 * memory is taken from a.
 */
struct pol_list_end {
	struct pol_str name;
	const char *family;	/* as in pol_list_member */
	uint32_t kind;		/* POL_PEER_*: ENDPOINT, HOST, or WORLD, of which sets are part too */
};

enum pol_list_kind {
	POL_LIST_ALLOWED,	/* both sides allow it */
	POL_LIST_VIP,		/* to a service: the sender's side does, and so many of its backends */
	POL_LIST_BACKEND,	/* from a service: where it sends whom it is asked by */
	POL_LIST_FILTER,	/* from outside: new flows that a filter passes, to any destination */
};

struct pol_list_pair {
	enum pol_list_kind kind;
	struct pol_list_end from, to;
	struct pol_list_ports on;
	struct pol_str text;	/* "udp 53, tcp 8080 (http)" */
};

struct pol_list {
	const struct pol_ir *ir;
	POL_VEC(struct pol_list_pair) pairs;
	POL_VEC(struct pol_list_end) classes;	/* all of them, in order of the text */
};

void pol_list_make(const struct pol_ir *ir, struct pol_arena *a, struct pol_list *out);
/* list_edge.c: the part of it about services and filters. */
void pol_list_edge(const struct pol_ir *ir, struct pol_arena *a, const struct pol_list_member *member,
		   size_t n, struct pol_list *out);
void pol_list_free(struct pol_list *l);	/* what is not the arena's */
/* A line a pair, or a JSON array. */
void pol_list_print(const struct pol_list *l, bool json, struct pol_buf *out);
const char *pol_list_arrow(const struct pol_list_pair *p); /* " => " */
/* With the family behind it, where that is needed. */
void pol_list_name(struct pol_buf *out, const struct pol_list_end *end);

#endif
