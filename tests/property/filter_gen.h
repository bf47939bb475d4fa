/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters as text, random ones and those of rule sets of others, and packets at the edges of what
 * they name; for the property test and the measurements.
 */
#ifndef POLC_TESTS_FILTER_GEN_H
#define POLC_TESTS_FILTER_GEN_H

#include "compiler/eval.h"

extern uint64_t fgen_state;	/* of the random numbers: the seed */
uint64_t fgen_random(void);
static inline unsigned fgen_below(unsigned n)
{
	return (unsigned)(fgen_random() % n);
}

#define FGEN_EACH 10 /* filters of an object: making one takes longer than asking it */
void fgen_prefix(struct pol_buf *b);
void fgen_filters(struct pol_buf *b);
/* A five-tuple set of ClassBench, in so many copies with other addresses; at most so many lines. */
int fgen_rules(struct pol_buf *b, const char *path, unsigned copies, unsigned most, struct pol_err *e);
/* A filter that drops what a list of addresses names. */
int fgen_list(struct pol_buf *b, const char *path, struct pol_err *e);

/* Near a random line of the filter. */
void fgen_packet(const struct pol_ir *ir, const struct pol_ir_filter *f, struct pol_eval_packet *p);
#define FGEN_FRAME 96
/* Returns its length; tags: now and then one. */
size_t fgen_frame(const struct pol_eval_packet *p, bool tags, uint8_t f[FGEN_FRAME]);

#endif
