/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/tap.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/log.h"

void px_taps_init(struct px_taps *t)
{
	for (size_t i = 0; i < POL_PROXY_READERS; i++)
		t->v[i] = (struct px_tap){ .fd = -1 };
}

int px_taps_add(struct px_taps *t, int fd)
{
	px_taps_prune(t);
	for (size_t i = 0; i < POL_PROXY_READERS; i++)
		if (t->v[i].fd < 0) {
			t->v[i] = (struct px_tap){ .fd = fd };
			return 0;
		}
	pol_cleanup_fd(&fd);
	return -EUSERS;
}

void px_taps_prune(struct px_taps *t)
{
	for (size_t i = 0; i < POL_PROXY_READERS; i++) {
		struct pollfd f = { .fd = t->v[i].fd };

		if (f.fd >= 0 && poll(&f, 1, 0) > 0 && f.revents & (POLLHUP | POLLERR | POLLNVAL))
			pol_cleanup_fd(&t->v[i].fd);
	}
}

bool px_taps_any(const struct px_taps *t)
{
	bool any = false;

	for (size_t i = 0; i < POL_PROXY_READERS; i++)
		any = any || t->v[i].fd >= 0;
	return any;
}

/* Appends as much of a text as fits; returns how much. */
static uint16_t add(struct pol_proxy_request *q, size_t *at, struct pol_str s, size_t most)
{
	size_t room = POL_PROXY_REQUEST_TEXT - *at, n = s.p ? s.n : 0;

	n = n < most ? n : most;
	n = n < room ? n : room;
	if (n)
		memcpy(q->text + *at, s.p, n);
	*at += n;
	return (uint16_t)n;
}

static enum pol_proxy_verdict verdict_of(const char *word)
{
	switch (word[0]) {
	case 'a':
		return POL_PROXY_ALLOW;
	case 'd':
		return POL_PROXY_DENY;
	case 'r':
		return POL_PROXY_REFUSE;
	default:
		return POL_PROXY_FAIL;
	}
}

/* More than an hour has no place there: the longest that has. */
static uint32_t microseconds(double seconds)
{
	double us = seconds * 1e6;

	if (us >= UINT32_MAX)
		return UINT32_MAX;
	return us > 0 ? (uint32_t)us : 0;
}

static size_t make(struct pol_proxy_request *q, const struct px_record *r)
{
	const struct px_verdict *v = r->judged;
	struct timespec now;
	size_t at = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	*q = (struct pol_proxy_request){
		.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.gen = v && v->gen ? v->gen->number : 0,
		.sent = r->sent,
		.received = r->received,
		.src = r->key.src,
		.dst = r->key.dst,
		.sport_be = r->key.sport_be,
		.dport_be = r->key.dport_be,
		.us = microseconds(r->seconds),
		.rule = v ? v->rule : POL_NO_RULE,
		.line = v ? v->line : POL_HTTP_NO_LINE,
		.status = (uint16_t)r->status,
		.verdict = (uint8_t)verdict_of(r->verdict),
		.direction = v ? (uint8_t)v->direction : 0,
	};
	q->method = add(q, &at, r->method, 32);
	q->host = add(q, &at, r->host, 256);
	q->path = add(q, &at, r->path, 1024);
	q->why = r->why ? add(q, &at, pol_str(r->why), 80) : 0;
	return offsetof(struct pol_proxy_request, text) + at;
}

void px_taps_tell(struct px_taps *t, const struct px_record *r)
{
	struct pol_proxy_request q;
	size_t n = 0;

	for (size_t i = 0; i < POL_PROXY_READERS; i++) {
		struct px_tap *tap = &t->v[i];

		if (tap->fd < 0)
			continue;
		n = n ? n : make(&q, r);
		q.lost = tap->lost;
		if (send(tap->fd, &q, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n)
			tap->lost = 0;
		else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			tap->lost++;
		else
			pol_cleanup_fd(&tap->fd); /* it has gone */
	}
}
