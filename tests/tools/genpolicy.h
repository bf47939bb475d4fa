/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random policies as text, for tests: the same seed gives the same text on
 * every machine.  A policy is kept as a list of statements and rules that can
 * be dropped one by one, so that a failure can be shrunk.
 */
#ifndef POLC_TESTS_GENPOLICY_H
#define POLC_TESTS_GENPOLICY_H

#include "base/base.h"

/* ---- random numbers: splitmix64, so that nothing depends on the C library ------ */

struct gen_rng { uint64_t state; };

uint64_t gen_next(struct gen_rng *r);
uint32_t gen_below(struct gen_rng *r, uint32_t n);	/* 0 .. n-1; 0 for n = 0 */
bool gen_chance(struct gen_rng *r, unsigned percent);

/* ---- policies --------------------------------------------------------------------- */

struct gen_rule { struct pol_buf text; bool dropped; };

struct gen_stmt {
	struct pol_buf head;		/* "default deny;" or "policy x on y" */
	POL_VEC(struct gen_rule) rules;	/* of a policy */
	bool block;			/* a policy: head { rules } */
	bool needed;			/* the text is nothing without it */
	bool dropped;
};

struct gen_ports { uint8_t proto; uint16_t lo, hi; };

struct gen_policy {
	POL_VEC(struct gen_stmt) stmts;
	POL_VEC(struct pol_prefix) prefixes;	/* every prefix written, boundaries to test */
	POL_VEC(struct gen_ports) ports;	/* every range of ports or types written, likewise */
};

struct gen_options {
	unsigned max_policies;		/* at least 2; 0: 9 */
	unsigned max_rules;		/* in each; 0: 6 */
	bool no_limits, no_audit, no_tiers;
};

void gen_policy(struct gen_policy *p, uint64_t seed, const struct gen_options *o);
void gen_policy_text(const struct gen_policy *p, struct pol_buf *out);	/* without what was dropped */
void gen_policy_free(struct gen_policy *p);

/* ---- label sets, of the keys and values that policies name, and some others --------- */

#define GEN_KEYS 4
struct gen_label { const char *key, *value; };
/* Each key at most once; returns how many. */
size_t gen_labels(struct gen_rng *r, struct gen_label out[GEN_KEYS]);

/* An address at the edge of a prefix of the policy (just outside, first, last), inside it, or anywhere. */
struct pol_ip gen_address(struct gen_rng *r, const struct gen_policy *p, int family);

#endif
