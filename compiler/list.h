/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POLC_LIST_H
#define POLC_LIST_H

#include "compiler/listing.h"

/*
 * Who may reach whom: each pair of endpoint definitions, `world`, `host` and
 * named sets of which one side at least is an endpoint, with the protocols and
 * ports that both sides allow, as the evaluator judges typical members
 * (witness.h). Definitions that
 * nobody can satisfy have no line. Scratch memory is taken from a.
 */
struct pol_list_end {
	struct pol_str name;
	const char *family;	/* as in pol_list_member */
	uint32_t kind;		/* POL_PEER_*: ENDPOINT, HOST, or WORLD, of which sets are part too */
};

struct pol_list_pair {
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
void pol_list_free(struct pol_list *l);	/* what is not the arena's */
/* A line a pair, or a JSON array. */
void pol_list_print(const struct pol_list *l, bool json, struct pol_buf *out);
/* With the family behind it, where that is needed. */
void pol_list_name(struct pol_buf *out, const struct pol_list_end *end);

#endif
