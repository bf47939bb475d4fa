/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker: one process, one loop, its own listeners.  It has no file, no privilege but
 * CAP_NET_RAW (a client's address, SO_MARK), and no system call that its work does not need.
 */
#ifndef POLC_PROXY_WORKER_H
#define POLC_PROXY_WORKER_H

#include "proxy/conn.h"

struct px_start {
	int listener[2];	/* IPv4, IPv6; -1: none */
	int control;		/* SOCK_SEQPACKET to the parent */
	int log;		/* -1: none */
	unsigned user, group;	/* 0: stay what we are (tests) */
	struct px_limits limit;
	uint64_t body_max;	/* bytes of a request's body; 0: any */
	bool name_rules;	/* a 403 says which line it is by */
	void (*note)(const char *text);
};

/* Does not return. */
_Noreturn void px_worker_run(const struct px_start *s);

#endif
