/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A random policy as the loader gets one, blocks over selectors and sets, and what it means by its parts
 * alone, without a table.
 */
#ifndef POLC_TESTS_PLACE_POLICY_H
#define POLC_TESTS_PLACE_POLICY_H

#include "object_maker.h"
#include "runtime/place/place.h"

extern uint64_t rng_state;
uint32_t rnd(uint32_t n); /* below n */

enum { KEYS = 4, VALUES = 3, SELS = 24, SETS = 4, PREDS = 10, BLOCKS = 24, L4 = 7, RULES = 64 };


extern const char *const key_name[KEYS];
extern const char *const value_name[VALUES];

struct sel {
	enum prt_sel_op op;
	uint32_t key, values, a, b;
};
struct pred {
	uint32_t n, sel[3], set[3];
};
struct block {
	uint32_t subject, direction, stage, audit;
	uint32_t fixed[POL_ENTITY_STATIC_MAX][MADE_CLASSES][L4]; /* verdict numbers of the table */
	uint32_t base[L4], row[PREDS][L4];
	bool has_row[PREDS];
};
struct policy {
	struct sel sel[SELS];
	bool set[SETS][MADE_CLASSES];
	struct pred pred[PREDS];
	struct block block[BLOCKS];
	uint32_t nblocks;
	struct pol_table *table;
	struct prt_object *object;
	uint32_t columns_levels;
};

struct thing { /* an endpoint; value: VALUES is "none", VALUES + 1 "other" */
	bool known, local;
	uint32_t value[KEYS];
	uint32_t naddrs;
	struct pol_ip addr[3];
};

/* At least max_pages of room; levels: of columns.  Fails the test that runs. */
void policy_new(struct policy *p, uint32_t max_pages, unsigned levels);
void policy_free(struct policy *p);

/* The address class of ip in every such policy. */
uint32_t class_of(struct pol_ip ip);
/* The verdict that own has in that direction over a peer: a thing, or an entity with an address class. */
struct pol_verdict reference(const struct policy *p, const struct thing *own, uint32_t direction,
			     const struct thing *peer, uint32_t entity, uint32_t class, uint32_t l4);

#endif
