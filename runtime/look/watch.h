/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reader of events: a ring of its own among POL_WATCHERS places (polc/abi.h), so that
 * readers take nothing from each other, and exact counts of what it did not get.
 *
 * A place is held by a lock on the folder FOLDER/reader_N, which ends with the process
 * whatever ends it; the next reader takes the place over.
 */
#ifndef POLC_RUNTIME_WATCH_H
#define POLC_RUNTIME_WATCH_H

#include "runtime/generation/shared.h"

#define PRT_WATCH_RING (1u << 20)	/* bytes: some 11,000 events */
#define PRT_WATCH_RATE 1000u		/* events a second and CPU, if not asked otherwise */

struct ring_buffer;

typedef void (*prt_event_fn)(void *ctx, const struct pol_event *v);

struct prt_watch {
	int lock;			/* -1: none */
	unsigned at;
	int rings, lost_fd, ring_fd;
	struct pol_watch_set *set;	/* mapped */
	struct ring_buffer *ring;
	uint64_t before[POL_EVENT_KINDS]; /* lost by who was here earlier */
	prt_event_fn take;
	void *ctx;
};

void prt_watch_init(struct prt_watch *w);
/*
 * From when it returns, what `want` asks for comes in.  -EBUSY: all places are taken; -ENOENT: the
 * policy in force reports no events.  The descriptors are its own: `s` may be closed.
 */
int prt_watch_open(const struct prt_env *env, const struct prt_shared *s,
		   const struct pol_watch *want, prt_event_fn take, void *ctx, struct prt_watch *w,
		   struct pol_err *e);
/* Gives what there is to `take`, after waiting up to so many ms for the first. */
int prt_watch_poll(struct prt_watch *w, int ms, struct pol_err *e);
/* Asks for something else from now on. */
void prt_watch_ask(struct prt_watch *w, const struct pol_watch *want);
int prt_watch_fd(const struct prt_watch *w);	/* to poll(2) for POLLIN; then prt_watch_poll(w, 0) */
/* Events asked for and not got since it was opened, by kind. */
int prt_watch_lost(const struct prt_watch *w, uint64_t lost[POL_EVENT_KINDS], struct pol_err *e);
/*
 * No more events: those that were made until now have come, or are counted as lost, when
 * the next prt_watch_poll() and prt_watch_lost() have returned.
 */
int prt_watch_stop(struct prt_watch *w, struct pol_err *e);
void prt_watch_close(const struct prt_env *env, struct prt_watch *w);	/* after init */

/* How many readers there are that are told by now. */
unsigned prt_watch_count(const struct prt_env *env, const struct prt_shared *s);

#endif
