/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages on two descriptors: a header, an empty line, and as many bytes as the header says. */
#include <errno.h>
#include <poll.h>
#include <strings.h>
#include <unistd.h>

#include "lsp/lsp.h"

#define HEADER_MAX 4096

struct stream {
	int fd;
	struct pol_buf in;
	size_t at; /* what is before was handled */
	bool end, done; /* no more comes; nothing is left to be done */
};

static int more(struct stream *s, struct pol_err *e)
{
	char bytes[65536];
	ssize_t n;

	do
		n = read(s->fd, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return pol_err(e, -errno, "cannot read: %s", strerror(errno));
	s->end = n == 0;
	pol_buf_add(&s->in, (struct pol_str){ bytes, (size_t)n });
	return 0;
}

static struct pol_str unread(const struct stream *s)
{
	return (struct pol_str){ s->in.p + s->at, s->in.n - s->at };
}

/* The length that a header gives, SIZE_MAX: none, or too much. */
static size_t length_of(struct pol_str header)
{
	static const char name[] = "content-length:";
	size_t length = SIZE_MAX;

	for (size_t i = 0; i < header.n;) {
		const char *line = header.p + i, *end = memchr(line, '\n', header.n - i);
		size_t n = end ? (size_t)(end - line) : header.n - i, k = sizeof(name) - 1;

		i += n + 1;
		if (n <= k || strncasecmp(line, name, k) != 0)
			continue;
		while (k < n && line[k] == ' ')
			k++;
		length = 0;
		for (; k < n && line[k] >= '0' && line[k] <= '9' && length <= LSP_MESSAGE_MAX; k++)
			length = 10 * length + (size_t)(line[k] - '0');
	}
	return length <= LSP_MESSAGE_MAX ? length : SIZE_MAX;
}

/* 1: a message; 0: none is whole yet; -EBADMSG. */
static int take(struct stream *s, struct pol_str *message, struct pol_err *e)
{
	struct pol_str have = unread(s);
	const char *end = have.n ? memmem(have.p, have.n, "\r\n\r\n", 4) : NULL;
	size_t header = end ? (size_t)(end - have.p) : 0, length;

	if (!end && have.n > HEADER_MAX)
		return pol_err(e, -EBADMSG, "a header of more than %d bytes", HEADER_MAX);
	if (!end)
		return 0;
	length = length_of((struct pol_str){ have.p, header });
	if (length == SIZE_MAX)
		return pol_err(e, -EBADMSG, "a message without a length, or of more than %u MiB",
			       LSP_MESSAGE_MAX >> 20);
	if (have.n - header - 4 < length)
		return 0;
	*message = (struct pol_str){ have.p + header + 4, length };
	s->at += header + 4 + length;
	return 1;
}

/* What was handled makes room once it is most of what there is. */
static void compact(struct stream *s)
{
	if (s->at < s->in.n / 2)
		return;
	memmove(s->in.p, s->in.p + s->at, s->in.n - s->at);
	s->in.n -= s->at;
	s->at = 0;
}

static int send_all(int fd, struct pol_buf *out, struct pol_err *e)
{
	for (size_t at = 0; at < out->n;) {
		ssize_t n = write(fd, out->p + at, out->n - at);

		if (n < 0 && errno != EINTR)
			return pol_err(e, -errno, "cannot write: %s", strerror(errno));
		at += n > 0 ? (size_t)n : 0;
	}
	out->n = 0;
	return 0;
}

static bool idle(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static int step(struct lsp *l, struct stream *s, int out_fd, struct pol_buf *out, struct pol_err *e)
{
	struct pol_str message;
	int r = take(s, &message, e);

	if (r < 0)
		return r;
	if (r) {
		lsp_message(l, message, out);
		return send_all(out_fd, out, e);
	}
	compact(s);
	/* While more changes are under way there is nothing to be said of this one. */
	if (s->end || idle(s)) {
		lsp_settle(l, out);
		r = send_all(out_fd, out, e);
	}
	s->done = s->end;
	return r || s->end ? r : more(s, e);
}

int lsp_serve(int in, int out_fd, struct pol_err *e)
{
	struct stream s = { .fd = in };
	struct pol_buf out = { 0 };
	struct lsp *l = lsp_new(NULL);
	int r = 0;

	while (!r && lsp_over(l) < 0 && !s.done)
		r = step(l, &s, out_fd, &out, e);
	if (!r)
		r = lsp_over(l) < 0 ? 1 : lsp_over(l);
	lsp_free(l);
	pol_buf_free(&out);
	pol_buf_free(&s.in);
	return r;
}
