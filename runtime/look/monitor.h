/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verdicts and requests as they happen.
 *
 * While there are few, each is a line.  When more than PRT_MONITOR_LINES come within a second,
 * what is alike but for its source port becomes one line with a count at the end of that second; what
 * the data path or the proxy could not hand over is counted, exactly: shown + lost = happened.
 */
#ifndef POLC_RUNTIME_MONITOR_H
#define POLC_RUNTIME_MONITOR_H

#include <polc/proxy.h>

#include "query.h"
#include "show.h"
#include "watch.h"

#define PRT_MONITOR_LINES 50u

enum prt_monitor_mode { PRT_MONITOR_AUTO, PRT_MONITOR_EACH, PRT_MONITOR_AGGREGATE };

/* An event of the data path or a request of the proxy; times it happened alike. */
struct prt_item {
	const struct pol_proxy_request *q; /* of a request, else NULL */
	uint64_t count;
	struct pol_event v;		/* of a request: time, ends, rule and generation too */
};

/*
 * Where both come from.  Whoever shows them otherwise (`top`) uses this too: a reader of its own, the
 * book of names, and what was lost.
 */
struct prt_stream {
	struct prt_env *env;
	const struct prt_query *filter;
	struct prt_book book;
	struct prt_watch watch;
	struct pol_watch want;
	uint32_t rate;
	int proxy;			/* socket of requests; -1 */
	uint64_t proxy_lost, proxy_tried_ns, synced_ns;
	struct pol_proxy_request q;
	void (*take)(void *ctx, const struct prt_item *item);
	void *ctx;
};

void prt_stream_init(struct prt_stream *s);
/* rate: events a second and CPU, 0: all. */
int prt_stream_open(struct prt_env *env, const struct prt_query *f, uint32_t rate,
		    struct prt_stream *s, struct pol_err *e);
/* Waits up to ms, gives what passes the filter to take.  -ENOENT: the policy was removed. */
int prt_stream_poll(struct prt_stream *s, int ms, struct pol_err *e);
/* No more comes; what came until now is given to take. */
int prt_stream_stop(struct prt_stream *s, struct pol_err *e);
/* Lost since it was opened, by enum pol_event_kind; [0]: requests. */
int prt_stream_lost(const struct prt_stream *s, uint64_t lost[POL_EVENT_KINDS], struct pol_err *e);
void prt_stream_close(struct prt_stream *s);	/* after init */

enum prt_see prt_item_see(const struct prt_item *item);
/* One line, with its end, as text or JSON. */
void prt_item_text(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item);
void prt_item_json(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item);
/* What it was about: `by shop.pol:3: deny to any`, a reason, a request. */
void prt_item_why(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item);

/* Alike items, counted; more than there is room for lose their source, then all but the reason. */
struct prt_heap;
struct prt_heap *prt_heap_new(void);
void prt_heap_free(struct prt_heap *h);		/* NULL is fine */
void prt_heap_add(struct prt_heap *h, const struct prt_item *item);
/* By count, most first; good until the next call.  Empties it when `clear`. */
const struct prt_item *const *prt_heap_sorted(struct prt_heap *h, size_t *n);
void prt_heap_clear(struct prt_heap *h);

struct prt_monitor {
	const struct prt_query *filter;
	enum prt_monitor_mode mode;
	uint32_t rate;			/* events a second and CPU; 0: all of them */
	uint64_t count;			/* end after so many; 0: never */
	uint64_t seconds;		/* end after so long; 0: never */
	const volatile int *stop;	/* end when it is set (by a signal handler) */
	/* A line, or an empty one: flush.  false: nobody reads any more. */
	bool (*emit)(void *ctx, struct pol_str line);
	void *ctx;
};
int prt_monitor(struct prt_env *env, const struct prt_monitor *m, struct pol_err *e);

#endif
