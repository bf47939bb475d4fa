/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The access log: one JSON object a line and request, everything from outside quoted.
 *
 * Lines are gathered while the worker has other things to do and written before it sleeps: one write
 * for all of them to a file, one for each to anything else, where long texts are cut so that it is of
 * one piece (PIPE_BUF): those of several workers do not mix.  What cannot be written at once is lost
 * and counted; nobody waits for a log.  Of a line of which a part could be written (a disk that is
 * full), that part stands alone.
 */
#ifndef POLC_PROXY_LOG_H
#define POLC_PROXY_LOG_H

#include "proxy/conn.h"

struct px_record {
	struct pol_proxy_key key;
	const char *who;		/* of px_log_who; NULL: nothing is known */
	const char *protocol;		/* HTTP/1.1 or HTTP/2 */
	struct pol_str method, host, path;
	const char *verdict;		/* allow, deny, refuse (not clean HTTP), fail */
	const char *why;		/* of refuse and fail; NULL */
	const struct px_verdict *judged;	/* NULL: it was not */
	unsigned status;		/* answered; 0: none */
	uint64_t sent, received;	/* bytes to the server and from it */
	double seconds;			/* from the first byte of the request to the last of the answer */
	double answered;		/* to the end of the answer's head; negative: there was none */
};

/* The part of all lines of a connection, for free(); NULL: no memory. */
char *px_log_who(const struct pol_proxy_key *key, const char *source, const char *destination);
/*
 * Where lines go, "-" being standard output: a descriptor, or -errno.  What is written to it never
 * waits for a reader.
 */
int px_log_open(const char *path, struct pol_err *e);
/* Once, before the worker is confined. */
void px_log_begin(struct px_worker *w);
void px_log(struct px_worker *w, const struct px_record *r);
/* Before the worker sleeps. */
void px_log_flush(struct px_worker *w);

#endif
