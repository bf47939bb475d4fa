/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request and its answer: what the log says of them, and what of an answer of our own is the same
 * in every version of HTTP.
 */
#ifndef POLC_PROXY_EXCHANGE_H
#define POLC_PROXY_EXCHANGE_H

#include "proxy/conn.h"

struct px_exchange {
	struct pol_str method, host, path;	/* in text */
	char *text;
	struct px_verdict verdict;
	bool judged;
	unsigned status;		/* answered; 0: nothing yet */
	uint64_t sent, received;	/* bytes to the server and from it */
	double began, answered;		/* by the loop's clock; answered: the head of the answer; 0: none */
};

/*
 * Judges a request by its head (px_conn_judge).  What the log wants of it after the buffers have moved on is
 * kept; without a log nothing is.
 */
enum px_answer px_exchange_judge(struct px_exchange *x, struct px_conn *c, const struct px_head *h);
/* One line of the log; the exchange is empty again.  verdict, why: as in struct px_record. */
void px_exchange_end(struct px_exchange *x, const struct px_conn *c, const char *verdict,
		     const char *why);
/* Without a line. */
void px_exchange_free(struct px_exchange *x);

const char *px_phrase(unsigned status);
/*
 * Which line it was is for the log, and for the client only where that was asked for: then
 * "FILE:LINE" or "none", printable, as X-Policy-Rule; else "".
 */
void px_exchange_rule(const struct px_exchange *x, const struct px_worker *w, unsigned status,
		      char *out, size_t size);

#endif
