/* SPDX-License-Identifier: GPL-2.0-only */
/* The access log: one JSON object a line and request, everything from outside quoted. */
#ifndef POLC_PROXY_LOG_H
#define POLC_PROXY_LOG_H

#include "proxy/conn.h"

struct px_record {
	struct pol_proxy_key key;
	const char *source, *destination;	/* names of the endpoints, or "" */
	const char *protocol;
	struct pol_str method, host, path;
	const char *verdict;		/* allow, deny, refuse (not clean HTTP), fail */
	const char *why;		/* of refuse and fail; NULL */
	const struct px_verdict *judged;	/* NULL: it was not */
	unsigned status;		/* answered; 0: none */
	uint64_t sent, received;	/* bytes to the server and from it */
	double seconds;
};

void px_log(struct px_worker *w, const struct px_record *r);

#endif
