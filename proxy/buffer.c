/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 8 /* of a pipe in one event, so that others get their turn */

/* ---- copied ------------------------------------------------------------------------- */

static void empty(struct px_buffer *b)
{
	if (!b->lent)
		free(b->p);
	b->p = NULL;
	b->lent = false;
	b->at = b->ok = b->n = 0;
}

static void tidy(struct px_buffer *b)
{
	if (b->at == b->n) {
		empty(b);
	} else if (b->at && b->at == b->ok) {
		memmove(b->p, b->p + b->at, b->n - b->at);
		b->n -= b->at;
		b->at = b->ok = 0;
	}
}

void px_buffer_lend(struct px_buffer *b, char *p)
{
	empty(b);
	b->p = p;
	b->lent = true;
}

enum px_moved px_buffer_fill(struct px_buffer *b, char *lend, int fd, size_t *got)
{
	ssize_t n;

	*got = 0;
	if (!b->p)
		px_buffer_lend(b, lend);
	n = recv(fd, b->p + b->n, PX_BUFFER - b->n, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? PX_MOVED : PX_FROM_BROKE;
	b->eof = !n;
	b->n += (size_t)n;
	*got = (size_t)n;
	return PX_MOVED;
}

/* true: the pipe is empty, or the socket takes no more; false: it failed. */
static bool pipe_out(struct px_buffer *b, int fd)
{
	ssize_t put;

	do
		put = splice(b->pipe.out, NULL, fd, NULL, b->piped,
			     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (put < 0 && errno == EINTR);
	if (put < 0)
		return errno == EAGAIN;
	b->piped -= (size_t)put;
	return true;
}

enum px_moved px_buffer_flush(struct px_buffer *b, int fd)
{
	if (b->piped && !pipe_out(b, fd))
		return PX_TO_BROKE;
	while (b->at < b->ok) {
		ssize_t put = send(fd, b->p + b->at, b->ok - b->at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN ? PX_MOVED : PX_TO_BROKE;
		b->at += (size_t)put;
	}
	tidy(b);
	return PX_MOVED;
}

bool px_buffer_keep(struct px_buffer *b)
{
	char *own;

	tidy(b);
	if (!b->lent)
		return true;
	own = malloc(PX_BUFFER);
	if (own)
		memcpy(own + b->at, b->p + b->at, b->n - b->at);
	b->p = own;
	b->lent = false;
	if (!own)
		b->at = b->ok = b->n = 0;
	return own;
}

void px_buffer_drop(struct px_buffer *b, size_t n)
{
	memmove(b->p + b->ok, b->p + b->ok + n, b->n - b->ok - n);
	b->n -= n;
}

/* ---- spliced ------------------------------------------------------------------------ */

static bool take_pipe(struct px_pipes *pool, struct px_pipe *p)
{
	int fd[2];

	if (pool->nspare) {
		*p = pool->spare[--pool->nspare];
		return true;
	}
	if (pool->used == PX_PIPES || pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return false;
	/* what an unprivileged user may have in pipes is limited: then it stays smaller */
	fcntl(fd[1], F_SETPIPE_SZ, PX_PIPE);
	pool->used++;
	*p = (struct px_pipe){ .out = fd[0], .in = fd[1] };
	return true;
}

static void give_pipe(struct px_buffer *b, struct px_pipes *pool)
{
	if (!b->piping)
		return;
	if (b->piped) { /* what is in it belongs to nobody else */
		close(b->pipe.out);
		close(b->pipe.in);
		pool->used--;
	} else {
		pool->spare[pool->nspare++] = b->pipe;
	}
	b->piping = false;
	b->piped = 0;
}

void px_buffer_free(struct px_buffer *b, struct px_pipes *pool)
{
	give_pipe(b, pool);
	empty(b);
}

void px_buffer_pipe(struct px_buffer *b, struct px_pipes *pool, const struct px_body *body)
{
	uint64_t left = px_body_opaque(body);

	if (!b->piping && !b->n && !b->eof && left >= PX_SPLICE_LEAST)
		b->piping = take_pipe(pool, &b->pipe);
	else if (b->piping && !b->piped && (!left || b->eof))
		give_pipe(b, pool);
}

/* 1: something came; 0: nothing now, or no more; -1: the socket failed. */
static int pipe_in(struct px_buffer *b, int fd, struct px_body *body)
{
	uint64_t left = px_body_opaque(body);
	ssize_t got;

	do
		got = splice(fd, NULL, b->pipe.in, NULL, left < PX_PIPE ? (size_t)left : PX_PIPE,
			     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	b->eof = !got;
	b->piped = (size_t)got;
	px_body_skip(body, (uint64_t)got);
	return got > 0;
}

enum px_moved px_buffer_splice(struct px_buffer *b, int from, int to, struct px_body *body,
			       size_t *got)
{
	*got = 0;
	for (int i = 0; i < ROUNDS; i++) {
		if (!b->piped && px_body_opaque(body)) {
			int came = pipe_in(b, from, body);

			if (came < 0)
				return PX_FROM_BROKE;
			if (!came)
				break;
			*got += b->piped;
		}
		if (b->piped && !pipe_out(b, to))
			return PX_TO_BROKE;
		if (b->piped || !px_body_opaque(body))
			break;
	}
	return PX_MOVED;
}
