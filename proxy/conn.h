/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One connection of a client, and the one onward connection that it has.
 *
 * Requests are taken one after the other: what is pipelined behind one waits in the buffer until
 * that one is answered, so answers are in order and what a server sends belongs to one request.
 * Each direction has one buffer, only while it holds something; only bytes that have been judged
 * (ok) are ever written.
 */
#ifndef POLC_PROXY_CONN_H
#define POLC_PROXY_CONN_H

#include <ev.h>

#include "proxy/http1.h"
#include "proxy/policy.h"

struct px_counters {
	uint64_t connections, requests, allowed, denied, refused, failed, tunnels;
	uint64_t open;			/* connections now */
	uint64_t log_lost;		/* lines that could not be written */
};

struct px_limits {			/* seconds */
	double head;			/* from the first byte of a head to its last */
	double idle;			/* between requests, and without progress inside of one */
	double connect;
};
#define PX_LIMITS_DEFAULT { .head = 10, .idle = 75, .connect = 5 }

struct px_conn;

struct px_worker {
	struct ev_loop *loop;
	struct px_policy policy;
	uint64_t epoch;			/* of the policy: what was looked up before counts no more */
	struct px_counters count;
	struct px_limits limit;
	bool name_rules;	/* a 403 says which line it is by */
	struct px_conn *first;		/* all connections */
	int log;			/* descriptor; -1: no log */
	bool draining;			/* accept no more; each connection ends after its request */
	struct px_head request, response; /* of the connection at hand: parsing keeps nothing else */
};

/* Takes the accepted, non-blocking socket over. */
void px_conn_accept(struct px_worker *w, int fd);
/* Idle connections end at once, the others after their request. */
void px_conn_drain(struct px_worker *w);

#endif
