/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parent: keeps the listeners, the control socket and the generations; starts workers, and
 * starts one again that has died.  It reads nothing that comes from a client.
 */
#ifndef POLC_PROXY_CONTROL_H
#define POLC_PROXY_CONTROL_H

#include "proxy/worker.h"

struct px_options {
	const char *control;	/* path of the socket */
	unsigned workers;
	uint16_t port;		/* of the first worker */
	int log;
	unsigned user, group;
	struct px_limits limit;
	uint64_t body_max;	/* bytes of a request's body; 0: any */
	bool name_rules;	/* a 403 says which line it is by */
	bool replace;		/* one that serves already gives way */
	void (*ready)(void);	/* called when we can be asked */
	void (*note)(const char *text);	/* something that a person should know, one line */
};

/* Serves until SIGTERM, or DRAIN, and the last connection's end.  0 or -errno. */
int px_control_run(const struct px_options *o, struct pol_err *e);

#endif
