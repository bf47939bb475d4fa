/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ends of HTTP/2 connections, for tests: frames of any kind, written as text (h2text.h).
 *
 *   h2 serve ADDR PORT [--record FILE] [--play FILE] [--settings "ID=VALUE..."]
 *	says "listening"; says SETTINGS (8=1) first; records each request, answers by its path: .../play with the frames of FILE (read
 *	anew each time), /sink with how many bytes the body had, a gRPC call and a websocket by echo, the rest with
 *	the client's address
 *   h2 ask ADDR PORT [--want WORDS] [--timeout MS] [--streams IDS] [--sent FILE] [--bodies FILE]
 *	sends the frames on its input and says what comes, a word each, by stream: ID:STATUS,
 *	ID:grpc=N, ID:trailers, ID:bytes=N, ID:rst=CODE, ID:cut (neither ended nor reset), goaway=CODE, over (TCP has ended); waits ten
 *	seconds at most for WORDS (ID:*: any status) to come and MS (20) more for what should not; --sent: what the server should record of
 *	the streams IDS (`3~`: of stream 3 the fields alone, since it does not arrive whole); --bodies: what all
 *	answers have in them
 *
 *   h2 talk
 *	serves the one connection that its input is
 *   h2 bytes [ID]
 *	writes the bytes of the frames on its input; `@` is ID
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "h2text.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static nghttp2_hd_inflater *inflater;
static const char *play, *peer_name;
static char websockets[] = "8=1", *settings = websockets;
static FILE *bodies;

/* ---- frames in ---------------------------------------------------------------------------- */

static uint8_t in[1 << 20];
static size_t have;
static bool gone;

/* true: something came. */
static bool more(int ms)
{
	struct pollfd p = { .fd = h2_fd, .events = POLLIN };
	ssize_t n;

	if (gone || poll(&p, 1, ms) <= 0)
		return false;
	n = recv(h2_fd, in + have, sizeof(in) - have, 0);
	if (n <= 0) {
		gone = true;
		return true;
	}
	have += (size_t)n;
	return true;
}

struct seen {
	char status[8], grpc[8];
	bool any_pseudo;
};

/* A field section, recorded and looked at. */
static struct seen decode(struct stream *s, const uint8_t *p, size_t n)
{
	struct seen seen = { 0 };
	nghttp2_nv nv;
	int flags = 0;

	for (;;) {
		ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, p, n, 1);

		if (used < 0)
			exit(97);
		p += used;
		n -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			const char *name = (char *)nv.name, *value = (char *)nv.value;

#define IS(z) (nv.namelen == sizeof(z) - 1 && !memcmp(name, z, nv.namelen))
#define KEEP(to) snprintf(to, sizeof(to), "%.*s", (int)nv.valuelen, value)
			if (h2_record) {
				h2_add(&s->head, "  ", 2);
				h2_add_escaped(&s->head, nv.name, nv.namelen);
				h2_add(&s->head, ": ", 2);
				h2_add_escaped(&s->head, nv.value, nv.valuelen);
				h2_add(&s->head, "\n", 1);
			}
			if (IS(":path"))
				KEEP(s->path);
			if (IS(":method"))
				KEEP(s->method);
			if (IS("content-type"))
				KEEP(s->type);
			if (IS(":status"))
				KEEP(seen.status);
			if (IS("grpc-status"))
				KEEP(seen.grpc);
			s->websocket = s->websocket || IS(":protocol");
			s->expects = s->expects || IS("expect");
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !n)
			break;
	}
	nghttp2_hd_inflate_end_headers(inflater);
	return seen;
}

/* What both ends do with a frame; then `handle` gets HEADERS (as a whole), DATA, RST_STREAM, GOAWAY. */
typedef void handler(uint8_t type, uint8_t flags, uint32_t id, const uint8_t *p, size_t n);

static void dispatch(handler *handle)
{
	static struct text section;
	static uint8_t section_flags;
	size_t at = 0;

	while (have - at >= 9) {
		size_t n = (size_t)in[at] << 16 | (size_t)in[at + 1] << 8 | in[at + 2];
		uint8_t type = in[at + 3], flags = in[at + 4], *p = in + at + 9;
		uint32_t id;

		memcpy(&id, in + at + 5, 4);
		id = ntohl(id) & 0x7fffffff;
		if (have - at < 9 + n)
			break;
		at += 9 + n;
		if (type == NGHTTP2_SETTINGS && !(flags & NGHTTP2_FLAG_ACK)) {
			h2_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
		} else if (type == NGHTTP2_PING && !(flags & NGHTTP2_FLAG_ACK)) {
			h2_frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, p, n);
		} else if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) {
			if (type == NGHTTP2_HEADERS) {
				section.n = 0;
				section_flags = flags;
			}
			h2_add(&section, p, n);
			if (flags & NGHTTP2_FLAG_END_HEADERS)
				handle(NGHTTP2_HEADERS, section_flags, id, (uint8_t *)section.p,
				       section.n);
		} else {
			handle(type, flags, id, p, n);
		}
	}
	memmove(in, in + at, have - at);
	have -= at;
	/* what is being put together is not for here */
	if (!h2_head_is_open())
		h2_send_out();
}

/* ---- client --------------------------------------------------------------------------------- */

static const char *code_name(uint32_t code)
{
	static char other[16];

	if (code <= NGHTTP2_HTTP_1_1_REQUIRED)
		return nghttp2_http2_strerror(code);
	snprintf(other, sizeof(other), "%u", code);
	return other;
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static void to_client(uint8_t type, uint8_t flags, uint32_t id, const uint8_t *p, size_t n)
{
	struct stream *s = id ? h2_stream(id) : NULL;
	struct seen seen;

	switch (type) {
	case NGHTTP2_HEADERS:
		seen = decode(s, p, n);
		if (seen.status[0])
			h2_addf(h2_events_of(id), "%u:%s ", id, seen.status);
		else
			h2_addf(h2_events_of(id), "%u:trailers ", id);
		if (seen.grpc[0])
			h2_addf(h2_events_of(id), "%u:grpc=%s ", id, seen.grpc);
		s->answered = s->answered || seen.status[0] >= '2';
		break;
	case NGHTTP2_DATA:
		s->bytes += n;
		if (bodies)
			fwrite(p, 1, n, bodies);
		if (n) {
			h2_frame32(NGHTTP2_WINDOW_UPDATE, 0, 0, (uint32_t)n);
			if (!(flags & NGHTTP2_FLAG_END_STREAM))
				h2_frame32(NGHTTP2_WINDOW_UPDATE, 0, id, (uint32_t)n);
		}
		break;
	case NGHTTP2_RST_STREAM:
		h2_addf(h2_events_of(id), "%u:rst=%s ", id, code_name(be32(p)));
		s->answered = s->done = true;
		break;
	case NGHTTP2_GOAWAY:
		h2_addf(&h2_events[0], "goaway=%s ", code_name(be32(p + 4)));
		break;
	default:
		return;
	}
	if (type <= NGHTTP2_HEADERS && flags & NGHTTP2_FLAG_END_STREAM) {
		s->done = true;
		h2_addf(h2_events_of(id), "%u:bytes=%zu ", id, s->bytes);
	}
}

bool h2_answered(uint32_t id)
{
	return h2_stream(id)->answered || gone;
}

void h2_pause_ms(unsigned long ms)
{
	struct timespec end, t;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	end.tv_sec += (time_t)(ms / 1000) + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	for (;;) {
		long left;

		clock_gettime(CLOCK_MONOTONIC, &t);
		left = (end.tv_sec - t.tv_sec) * 1000 + (end.tv_nsec - t.tv_nsec) / 1000000;
		if (left <= 0 || gone)
			return;
		if (more((int)left))
			dispatch(to_client);
	}
}

static bool wanted(const char *want)
{
	char copy[1024], *rest = copy, *w;
	struct text all = { 0 };
	bool yes = true;

	snprintf(copy, sizeof(copy), "%s", want);
	h2_add(&all, " ", 1);
	for (size_t i = 0; i <= h2_nstreams; i++)
		if (h2_events[i].n)
			h2_add(&all, h2_events[i].p, h2_events[i].n);
	if (gone)
		h2_add(&all, "over ", 5);
	while (yes && (w = h2_word(&rest)) && *w) {
		char one_word[128], *at;

		if (strstr(w, ":*")) {
			yes = h2_stream((uint32_t)strtoul(w, NULL, 10))->answered;
			continue;
		}
		snprintf(one_word, sizeof(one_word), " %s", w);
		at = strstr(all.p, one_word);
		while (at && !strchr(" =", at[strlen(one_word)]))
			at = strstr(at + 1, one_word);
		yes = at || strstr(w, ":cut") || !strcmp(w, "any");
	}
	free(all.p);
	return yes;
}

/* What the server should have recorded. */
static void write_sent(const char *file, char *ids)
{
	FILE *f = fopen(file, "w");
	char *w;

	while (f && (w = h2_word(&ids)) && *w) {
		struct stream *s = h2_stream((uint32_t)strtoul(w, NULL, 10));
		bool part = strchr(w, '~') || !s->ended;

		fprintf(f, "%s\n%s", part ? "part" : "whole", s->head.n ? s->head.p : "");
		if (!part && s->body.n) {
			struct text t = { 0 };

			h2_add_escaped(&t, (uint8_t *)s->body.p, s->body.n);
			fprintf(f, "%s\n", t.p);
			free(t.p);
		}
	}
	if (f)
		fclose(f);
}

static int ask(const char *a, const char *port, char **arg)
{
	const char *want = "", *sent = NULL;
	char *ids = NULL, text[65536];
	unsigned long timeout = 20;
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);
	FILE *f;

	text[n] = '\0';
	h2_fd = end_dial(a, port); /* who answers may have no patience */
	if (h2_fd < 0)
		return 1;
	for (; *arg; arg += 2) {
		if (!strcmp(*arg, "--want"))
			want = arg[1];
		else if (!strcmp(*arg, "--timeout"))
			timeout = strtoul(arg[1], NULL, 10);
		else if (!strcmp(*arg, "--streams"))
			ids = arg[1];
		else if (!strcmp(*arg, "--sent"))
			sent = arg[1];
		else if (!strcmp(*arg, "--bodies"))
			bodies = fopen(arg[1], "w");
	}
	if (strncmp(text, "bare\n", 5) != 0) {
		h2_add(&h2_out, PREFACE, 24);
		h2_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	}
	f = fmemopen(text, n ? n : 1, "r");
	h2_frames_of(f);
	if (sent)
		write_sent(sent, ids);
	for (int i = 0; i < 500 && !gone && !wanted(want); i++)
		h2_pause_ms(20);
	h2_pause_ms(timeout);
	for (size_t i = 0; i < h2_nstreams; i++)
		if (h2_streams[i].answered && !h2_streams[i].done)
			h2_addf(&h2_events[i + 1], "%u:cut ", h2_streams[i].id);
	for (size_t i = 1; i <= h2_nstreams; i++)
		if (h2_events[i].n)
			fputs(h2_events[i].p, stdout);
	printf("%s%s\n", h2_events[0].n ? h2_events[0].p : "", gone ? "over " : "");
	return bodies ? fclose(bodies) : 0;
}

/* ---- server --------------------------------------------------------------------------------- */

static void keep(struct stream *s, bool whole)
{
	struct text t = { 0 };
	int to;

	if (!h2_record || !s->head.n || s->done)
		return;
	s->done = true;
	h2_addf(&t, "%s\n", whole ? "whole" : "part");
	h2_add(&t, s->head.p, s->head.n);
	if (whole && s->body.n) {
		h2_add_escaped(&t, (uint8_t *)s->body.p, s->body.n);
		h2_add(&t, "\n", 1);
	}
	to = open(h2_record, O_WRONLY | O_APPEND | O_CREAT, 0644);
	if (write(to, t.p, t.n) != (ssize_t)t.n)
		exit(96);
	close(to);
	free(t.p);
}

static void answer(struct stream *s)
{
	char content[128];
	FILE *f;

	s->answered = true;
	h2_at_stream = s->id;
	if (play && strstr(s->path, "/play") && (f = fopen(play, "r"))) {
		h2_frames_of(f);
		fclose(f);
		return;
	}
	snprintf(content, sizeof(content), "%s\n", peer_name);
	if (!strncmp(s->path, "/sink", 5))
		snprintf(content, sizeof(content), "%zu\n", s->bytes);
	h2_begin_head(s->id, !strcmp(s->method, "HEAD"));
	h2_fieldz(":status", "200");
	if (!strncmp(s->type, "application/grpc", 16)) {
		h2_fieldz("content-type", s->type);
		h2_flush_head();
		h2_frame(NGHTTP2_DATA, 0, s->id, s->body.p, s->body.n);
		h2_begin_head(s->id, true);
		h2_fieldz("grpc-status", "0");
		return;
	}
	if (s->websocket) {
		h2_flush_head();
		return;
	}
	h2_fieldz("content-length", (char[]){ (char)('0' + strlen(content) / 10),
					      (char)('0' + strlen(content) % 10), 0 } +
					    (strlen(content) < 10));
	h2_flush_head();
	if (strcmp(s->method, "HEAD") != 0)
		h2_frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, s->id, content, strlen(content));
}

static void to_server(uint8_t type, uint8_t flags, uint32_t id, const uint8_t *p, size_t n)
{
	struct stream *s = id ? h2_stream(id) : NULL;

	switch (type) {
	case NGHTTP2_HEADERS:
		decode(s, p, n);
		if (s->expects && !s->ended) {
			h2_begin_head(id, false);
			h2_fieldz(":status", "100");
			h2_flush_head();
		}
		if (s->websocket || (play && strstr(s->path, "/play")))
			answer(s);
		break;
	case NGHTTP2_DATA:
		s->bytes += n;
		if (s->websocket) {
			h2_frame(NGHTTP2_DATA, flags & NGHTTP2_FLAG_END_STREAM, id, p, n);
		} else if (strncmp(s->path, "/sink", 5) != 0) {
			h2_add(&s->body, p, n);
		}
		if (n) {
			h2_frame32(NGHTTP2_WINDOW_UPDATE, 0, 0, (uint32_t)n);
			if (!(flags & NGHTTP2_FLAG_END_STREAM))
				h2_frame32(NGHTTP2_WINDOW_UPDATE, 0, id, (uint32_t)n);
		}
		break;
	case NGHTTP2_RST_STREAM:
		keep(s, false);
		s->answered = true;
		return;
	default:
		return;
	}
	if (flags & NGHTTP2_FLAG_END_STREAM) {
		s->ended = true;
		keep(s, true);
		if (!s->answered)
			answer(s);
		h2_flush_head();
	}
}

static _Noreturn void talk(void)
{
	while (have < 24 && more(-1) && !gone)
		;
	if (have < 24 || memcmp(in, PREFACE, 24) != 0)
		exit(1);
	have -= 24;
	memmove(in, in + 24, have);
	h2_settings(settings);
	do
		dispatch(to_server);
	while (more(-1) && !gone);
	for (size_t i = 0; i < h2_nstreams; i++)
		keep(&h2_streams[i], false);
	exit(0);
}

static int serve(const char *a, const char *port, char **arg)
{
	static char peer[INET6_ADDRSTRLEN];
	int l;

	for (; *arg; arg += 2) {
		if (!strcmp(*arg, "--record"))
			h2_record = arg[1];
		else if (!strcmp(*arg, "--play"))
			play = arg[1];
		else if (!strcmp(*arg, "--settings"))
			settings = arg[1];
	}
	signal(SIGCHLD, SIG_IGN);
	l = end_listen(a, port, 0);
	peer_name = peer;
	for (;;) {
		h2_fd = end_accept(l, 0, peer);
		if (h2_fd < 0)
			continue;
		if (!fork()) {
			close(l);
			talk();
		}
		close(h2_fd);
	}
}

/* The connection that is our input. */
static int talk_input(void)
{
	static char peer[INET6_ADDRSTRLEN];
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);

	if (getpeername(0, (void *)&from, &n))
		return 1;
	end_name(&from, peer);
	peer_name = peer;
	talk();
}

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "bytes")) {
		h2_fd = -1;
		h2_at_stream = argc > 2 ? h2_number(argv[2]) : 0;
		h2_frames_of(stdin);
		return fwrite(h2_out.p, 1, h2_out.n, stdout) == h2_out.n ? 0 : 1;
	}
	if (nghttp2_hd_inflate_new(&inflater))
		return 99;
	if (argc == 2 && !strcmp(argv[1], "talk"))
		return talk_input();
	if (argc < 4)
		return 99;
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(argv[1], "serve"))
		return serve(argv[2], argv[3], argv + 4);
	if (strcmp(argv[1], "ask") != 0)
		return 99;
	return ask(argv[2], argv[3], argv + 4);
}
