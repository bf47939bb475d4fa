/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in force as samples (samples.h), once or as text on a socket of this host.
 */
#ifndef POLC_RUNTIME_METRICS_H
#define POLC_RUNTIME_METRICS_H

#include "samples.h"
#include "show.h"

#define PRT_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prt_metrics {		/* what is kept from one scrape to the next; zero: nothing */
	struct prt_book book;
	bool open;
};

/*
 * Text, or JSON as env says.  *in_force: a policy is; if none is, the samples say just that.
 */
int prt_metrics(struct prt_env *env, struct prt_metrics *m, struct pol_buf *out, bool *in_force,
		struct pol_err *e);
void prt_metrics_close(struct prt_metrics *m);
/* What of it tells of services and their backends; nothing if the policy has none. */
int prt_metrics_services(struct prt_env *env, struct prt_samples *out, struct pol_err *e);

#endif
