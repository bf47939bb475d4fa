/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families of samples, written as they come: OpenMetrics text (OpenMetrics 1.0), or JSON,
 * [{name, type, unit, help, samples: [{name, labels, value}]}].
 */
#ifndef POLC_RUNTIME_SAMPLES_H
#define POLC_RUNTIME_SAMPLES_H

#include "base/base.h"

struct prt_samples {
	struct pol_buf *out;
	bool json;
	const char *name, *suffix; /* of the family and of its samples; NULL: no family yet */
	bool some; /* samples of this family */
	bool inside; /* of a sample, whose labels come */
	bool labelled;
};

void prt_samples_begin(struct prt_samples *s, struct pol_buf *out, bool json);
/* All texts are ours and live as long as the family; type is gauge, counter or info; unit may be NULL. */
void prt_family(struct prt_samples *s, const char *name, const char *type, const char *unit,
		const char *help);
/* A label of the next sample.  Its value may come from outside: it is made safe and escaped. */
void prt_label(struct prt_samples *s, const char *key, const char *value);
void prt_label_number(struct prt_samples *s, const char *key, uint64_t value);
void prt_sample(struct prt_samples *s, uint64_t value);
/* A family of type gauge with one sample. */
void prt_gauge(struct prt_samples *s, const char *name, const char *help, uint64_t value);
void prt_samples_end(struct prt_samples *s);

#endif
