/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One direction of an HTTP/1 connection: bytes on their way from one socket to the other.
 *
 * What is received lies in memory that the worker lends for the event at hand; only what cannot be
 * passed on at once is kept, so an idle connection holds nothing and a blocked one PX_BUFFER bytes.
 * Only bytes that have been judged (ok) are ever written.
 *
 * Large bodies take the other way, splice(2) through a pipe, and are never copied.  The pipe is
 * filled with no more than the framing says is body (px_body_opaque), and again only when it is empty.
 */
#ifndef POLC_PROXY_BUFFER_H
#define POLC_PROXY_BUFFER_H

#include "proxy/http1.h"

#define PX_BUFFER PX_HEAD_MAX
#define PX_PIPE (256u * 1024) /* bytes that a pipe holds at most */
#define PX_PIPES 64u /* of a worker; bodies beyond are copied */
#define PX_SPLICE_LEAST (64u * 1024) /* bytes of a body for which a pipe is worth its price */

struct px_pipe {
	int out, in;
};

/* Of a worker: those that nobody uses now. */
struct px_pipes {
	struct px_pipe spare[PX_PIPES];
	unsigned nspare, used;
};

struct px_buffer {
	char *p; /* PX_BUFFER bytes while there is something in it; else NULL */
	bool lent; /* p is the worker's, until px_buffer_keep */
	bool eof; /* no more will come */
	bool piping; /* what comes goes through the pipe */
	size_t at, ok, n; /* at: written so far; ok: up to here it may be; n: what there is */
	size_t seen; /* of a head behind ok */
	size_t piped; /* bytes in the pipe; then there is nothing in p */
	struct px_pipe pipe; /* if piping */
};

enum px_moved {
	PX_MOVED, /* all that could be moved now */
	PX_FROM_BROKE, /* the socket that sends failed */
	PX_TO_BROKE, /* the one that receives */
};

/* Is there anything that has still to be written? */
static inline bool px_buffer_waits(const struct px_buffer *b)
{
	return b->at < b->ok || b->piped;
}

static inline bool px_buffer_empty(const struct px_buffer *b)
{
	return !b->n && !b->piped;
}

static inline bool px_buffer_room(const struct px_buffer *b)
{
	return !b->eof && (b->piping ? !b->piped : b->n < PX_BUFFER);
}

/* Memory of the worker for an empty buffer, PX_BUFFER bytes. */
void px_buffer_lend(struct px_buffer *b, char *p);

/* Receives once, into `lend` if there is nothing in it; how much came is in *got. */
enum px_moved px_buffer_fill(struct px_buffer *b, char *lend, int fd, size_t *got);
/* Writes what may be written. */
enum px_moved px_buffer_flush(struct px_buffer *b, int fd);
/* The end of an event.  false: no memory for what has to wait. */
bool px_buffer_keep(struct px_buffer *b);
/* Forgets n bytes behind ok: they go nowhere. */
void px_buffer_drop(struct px_buffer *b, size_t n);
void px_buffer_free(struct px_buffer *b, struct px_pipes *pool);

/*
 * Begins to splice if the body that is under way makes it worth it and everything before is written;
 * gives the pipe back when there is nothing more for it.
 */
void px_buffer_pipe(struct px_buffer *b, struct px_pipes *pool, const struct px_body *body);
/* Moves as much of the body as both sockets take; how much came is in *got. */
enum px_moved px_buffer_splice(struct px_buffer *b, int from, int to, struct px_body *body,
			       size_t *got);

#endif
