/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in force as OpenMetrics text (OpenMetrics 1.0), once or on a socket of this host.
 */
#ifndef POLC_RUNTIME_METRICS_H
#define POLC_RUNTIME_METRICS_H

#include "show.h"

#define PRT_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prt_metrics {		/* what is kept from one scrape to the next; zero: nothing */
	struct prt_book book;
	bool open;
};

/*
 * *in_force: a policy is; if none is, the text says just that.  out ends in "# EOF".
 */
int prt_metrics(struct prt_env *env, struct prt_metrics *m, struct pol_buf *out, bool *in_force,
		struct pol_err *e);
void prt_metrics_close(struct prt_metrics *m);
/* That text as [{name, type, unit, help, samples: [{name, labels, value}]}]. */
void prt_metrics_json(const char *text, struct pol_buf *out);

/*
 * Serves GET /metrics at "unix:PATH" (mode 0600), "127.0.0.1:PORT" or "[::1]:PORT" until *stop is
 * set.  -EINVAL: another address: rules and names are nobody's business outside of this host.
 */
int prt_metrics_serve(struct prt_env *env, const char *at, const volatile int *stop,
		      struct pol_err *e);

#endif
