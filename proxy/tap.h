/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readers of requests (polc/proxy.h, WATCH): each has a socket of its own, to which a worker
 * writes without ever waiting.  Nobody there: nothing is made.
 */
#ifndef POLC_PROXY_TAP_H
#define POLC_PROXY_TAP_H

#include <polc/proxy.h>

#include "base/base.h"

struct px_record;

struct px_taps {
	struct px_tap {
		int fd;		/* -1: free */
		uint32_t lost;	/* since the last that it got */
	} v[POL_PROXY_READERS];
};

void px_taps_init(struct px_taps *t);
/* Takes fd over.  -EUSERS: there are as many as there may be. */
int px_taps_add(struct px_taps *t, int fd);
/* Forgets those who have gone. */
void px_taps_prune(struct px_taps *t);
bool px_taps_any(const struct px_taps *t);
void px_taps_tell(struct px_taps *t, const struct px_record *r);

#endif
