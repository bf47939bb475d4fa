/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ends of HTTP/2 connections, for tests: frames of any kind, written as text.  Nothing but the
 * decompression of fields is libnghttp2's, so that what it would refuse to send can be sent.
 *
 *   h2 serve ADDR PORT [--record FILE] [--play FILE]
 *	says "listening"; records each request, answers by its path: .../play with the frames of FILE (read
 *	anew each time), /sink with how many bytes the body had, a gRPC call and a websocket by echo, the rest with
 *	the client's address
 *   h2 ask ADDR PORT [--want WORDS] [--timeout MS] [--streams IDS] [--sent FILE] [--bodies FILE]
 *	sends the frames on its input and says what comes, a word each, by stream: ID:STATUS,
 *	ID:grpc=N, ID:trailers, ID:bytes=N, ID:rst=CODE, ID:cut (neither ended nor reset), goaway=CODE, over (TCP has ended); waits ten
 *	seconds at most for WORDS to come and MS (20) more for what should not; --sent: what the server should record of
 *	the streams IDS (`3~`: of stream 3 the fields alone, since it does not arrive whole); --bodies: what all
 *	answers have in them
 *
 *   h2 talk
 *	serves the one connection that its input is
 *   h2 bytes [ID]
 *	writes the bytes of the frames on its input; `@` is ID
 *
 * Frames:
 *	bare				first: sends neither preface nor SETTINGS by itself
 *	request ID METHOD PATH [end]	HEADERS with :method, :scheme, :authority, :path
 *	head ID [end]			HEADERS without fields
 *	status ID CODE [end]		HEADERS with :status
 *	+ NAME: VALUE			one more field; `^` in front of all, `-NAME` takes away
 *	split N				a frame has at most N bytes of the section, CONTINUATION has the rest
 *	open				the section's last frame does not say that it is that
 *	data ID [end] [pad=N] [TEXT]
 *	settings [ack | ID=VALUE...]	ping	rst ID CODE	window ID N	goaway CODE
 *	frame TYPE FLAGS ID [HEX]	raw HEX		text TEXT
 *	repeat N			the next line, so many times; `request`: each on another stream
 *	wait ID				until there is an answer on that stream
 *	sleep MS			stall MS: without reading
 * ID `@` is the stream that is answered; TEXT, PATH and VALUE have \r \n \t \0 \\ \xHH, and {A*N} for N times A.
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

#define STREAMS 4096
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct text {
	char *p;
	size_t n;
};

struct stream {
	uint32_t id;
	struct text head, body; /* as recorded */
	char path[64], method[16], type[64];
	bool websocket, expects, ended, answered, done;
	size_t bytes; /* of a response */
};

static int fd;
static nghttp2_hd_inflater *inflater;
static struct stream streams[STREAMS];
static size_t nstreams;
static struct text out, events[STREAMS]; /* by stream; [0]: of the connection */
static const char *record, *play, *peer_name;
static uint32_t at_stream; /* @ */
static FILE *bodies;

static void add(struct text *t, const void *p, size_t n)
{
	t->p = realloc(t->p, t->n + n + 1);
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *t, const char *form, ...)
{
	char line[512];
	va_list a;
	int n;

	va_start(a, form);
	n = vsnprintf(line, sizeof(line), form, a);
	va_end(a);
	add(t, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void add_escaped(struct text *t, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '\\')
			addf(t, "\\x%02x", p[i]);
		else
			add(t, &p[i], 1);
}

static struct stream *stream(uint32_t id)
{
	for (size_t i = 0; i < nstreams; i++)
		if (streams[i].id == id)
			return &streams[i];
	if (nstreams == STREAMS)
		exit(98);
	streams[nstreams].id = id;
	return &streams[nstreams++];
}

static struct text *events_of(uint32_t id)
{
	return &events[id ? (size_t)(stream(id) - streams) + 1 : 0];
}

/* ---- frames out --------------------------------------------------------------------- */

static void frame(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
	uint8_t head[9] = {
		(uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
		(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id
	};

	add(&out, head, sizeof(head));
	if (n)
		add(&out, p, n);
}

static void frame32(uint8_t type, uint8_t flags, uint32_t id, uint32_t value)
{
	uint32_t be = htonl(value);

	frame(type, flags, id, &be, 4);
}

/* Prefixed integer (RFC 7541, 5.1). */
static void integer(struct text *t, uint8_t first, unsigned bits, size_t v)
{
	size_t max = (1u << bits) - 1;
	uint8_t b;

	if (v < max) {
		b = (uint8_t)(first | v);
		add(t, &b, 1);
		return;
	}
	b = (uint8_t)(first | max);
	add(t, &b, 1);
	for (v -= max; v >= 128; v >>= 7) {
		b = (uint8_t)(v | 128);
		add(t, &b, 1);
	}
	b = (uint8_t)v;
	add(t, &b, 1);
}

struct field {
	struct text name, value;
};

/* The HEADERS frame that is being put together. */
static struct {
	bool is, end, open;
	uint32_t id;
	size_t split, n;
	struct field field[4200];
} head;

static void field(bool first, const void *name, size_t n, const void *value, size_t m)
{
	struct field *f = &head.field[first ? 0 : head.n];

	if (first)
		memmove(head.field + 1, head.field, head.n * sizeof(*f));
	*f = (struct field){ 0 };
	add(&f->name, name, n);
	add(&f->value, value, m);
	head.n++;
}

static void fieldz(const char *name, const char *value)
{
	field(false, name, strlen(name), value, strlen(value));
}

static void note_sent(struct stream *s)
{
	s->ended = s->ended || head.end;
	if (record || s->head.n) /* an answer; trailers */
		return;
	for (size_t i = 0; i < head.n; i++) {
		add(&s->head, "  ", 2);
		add_escaped(&s->head, (uint8_t *)head.field[i].name.p, head.field[i].name.n);
		add(&s->head, ": ", 2);
		add_escaped(&s->head, (uint8_t *)head.field[i].value.p, head.field[i].value.n);
		add(&s->head, "\n", 1);
	}
}

static void flush_head(void)
{
	struct text block = { 0 };
	uint8_t flags, type = NGHTTP2_HEADERS;

	if (!head.is)
		return;
	note_sent(stream(head.id));
	for (size_t i = 0; i < head.n; i++) { /* literal, without indexing, new name (6.2.2) */
		struct field *f = &head.field[i];

		add(&block, "\0", 1);
		integer(&block, 0, 7, f->name.n);
		add(&block, f->name.p, f->name.n);
		integer(&block, 0, 7, f->value.n);
		add(&block, f->value.p, f->value.n);
		free(f->name.p);
		free(f->value.p);
	}
	flags = head.end ? NGHTTP2_FLAG_END_STREAM : 0;
	for (size_t at = 0; at < block.n || !block.n;) {
		size_t n = head.split && head.split < block.n - at ? head.split : block.n - at;

		if (!head.split && n > 16384)
			n = 16384;
		if (at + n == block.n && !head.open)
			flags |= NGHTTP2_FLAG_END_HEADERS;
		frame(type, flags, head.id, block.p + at, n);
		type = NGHTTP2_CONTINUATION;
		flags = 0;
		at += n;
		if (!block.n)
			break;
	}
	free(block.p);
	head.is = false;
	head.n = 0;
}

static void begin_head(uint32_t id, bool end)
{
	flush_head();
	head.is = true;
	head.id = id;
	head.end = end;
	head.open = false;
	head.split = 0;
}

static void send_out(void)
{
	flush_head();
	if (fd < 0) /* `bytes` */
		return;
	for (size_t at = 0; at < out.n;) {
		ssize_t n = send(fd, out.p + at, out.n - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	out.n = 0;
}

/* ---- text to frames -------------------------------------------------------------------- */

static bool answered(uint32_t id);
static void pause_ms(unsigned long ms);

/* {A*N}, then the escapes. */
static struct text unescape(const char *s)
{
	struct text t = { 0 };

	add(&t, "", 0);
	for (; *s; s++) {
		const char *star = *s == '{' ? strchr(s, '*') : NULL,
			   *close = star ? strchr(star, '}') : NULL;
		char *after = NULL, piece[256], c = *s;
		unsigned long n = close ? strtoul(star + 1, &after, 10) : 0;

		if (close && after == close) {
			struct text one;

			snprintf(piece, sizeof(piece), "%.*s", (int)(star - s - 1), s + 1);
			one = unescape(piece);
			while (n--)
				add(&t, one.p, one.n);
			free(one.p);
			s = close;
			continue;
		}
		if (c == '\\' && s[1]) {
			s++;
			c = *s == 'r'   ? '\r'
			    : *s == 'n' ? '\n'
			    : *s == 't' ? '\t'
			    : *s == '0' ? '\0'
					: *s;
			if (*s == 'x') {
				c = (char)strtoul((char[]){ s[1], s[2], '\0' }, NULL, 16);
				s += 2;
			}
		}
		add(&t, &c, 1);
	}
	return t;
}

static size_t hex(const char *s, uint8_t *to)
{
	size_t n = 0;

	for (; *s; s++)
		if (isxdigit((unsigned char)*s) && isxdigit((unsigned char)s[1])) {
			to[n++] = (uint8_t)strtoul((char[]){ s[0], s[1], '\0' }, NULL, 16);
			s++;
		}
	return n;
}

static uint32_t number(const char *s)
{
	return s && *s == '@' ? at_stream : (uint32_t)strtoul(s ? s : "0", NULL, 0);
}

/* NAME: VALUE; a name may begin with a colon. */
static void field_line(bool first, char *s)
{
	char *colon = strncmp(s, ": ", 2) ? strstr(s + 1, ": ") : s;
	struct text name, value;

	if (!colon)
		colon = s + strlen(s) - 1; /* NAME: and nothing */
	*colon = '\0';
	name = unescape(s);
	value = unescape(colon[1] ? colon + 2 : colon + 1);
	field(first, name.p, name.n, value.p, value.n);
	free(name.p);
	free(value.p);
}

static void take_away(const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < head.n; i++)
		if (strcmp(head.field[i].name.p, name) != 0)
			head.field[n++] = head.field[i];
	head.n = n;
}

static char *word(char **s)
{
	char *w = strsep(s, " ");

	while (w && !*w && *s)
		w = strsep(s, " ");
	return w;
}

static void settings(char *rest)
{
	struct text t = { 0 };
	char *w;

	while ((w = word(&rest)) && *w) {
		uint16_t id = htons((uint16_t)strtoul(w, NULL, 0));
		uint32_t v = htonl((uint32_t)strtoul(strchr(w, '=') + 1, NULL, 0));

		if (!strcmp(w, "ack")) {
			frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
			return;
		}
		add(&t, &id, 2);
		add(&t, &v, 4);
	}
	frame(NGHTTP2_SETTINGS, 0, 0, t.p, t.n);
	free(t.p);
}

static bool is_end(char **rest)
{
	bool end = *rest && !strncmp(*rest, "end", 3) && (!(*rest)[3] || (*rest)[3] == ' ');

	if (end)
		word(rest);
	return end;
}

static void line_data(char *rest)
{
	uint32_t id = number(word(&rest));
	bool end = is_end(&rest);
	uint8_t pad = rest && !strncmp(rest, "pad=", 4) ? (uint8_t)number(word(&rest) + 4) : 0;
	struct text t = unescape(rest ? rest : ""), padded = { 0 };
	struct stream *s = stream(id);

	for (size_t at = 0; at < t.n || !t.n; at += 16384) {
		size_t n = t.n - at < 16384 ? t.n - at : 16384;
		bool last = at + n == t.n;
		uint8_t flags = end && last ? NGHTTP2_FLAG_END_STREAM : 0;

		if (pad) {
			padded.n = 0;
			add(&padded, &pad, 1);
			add(&padded, t.p + at, n);
			add(&padded, (char[256]){ 0 }, pad);
			frame(NGHTTP2_DATA, flags | NGHTTP2_FLAG_PADDED, id, padded.p, padded.n);
		} else {
			frame(NGHTTP2_DATA, flags, id, t.p + at, n);
		}
		if (last)
			break;
	}
	add(&s->body, t.p, t.n);
	s->ended = s->ended || end;
	free(padded.p);
	free(t.p);
}

static void line_request(char *rest, unsigned i)
{
	uint32_t id = number(word(&rest)) + 2 * i;
	char *method = word(&rest), *path = word(&rest);
	struct text t = unescape(path ? path : "");

	begin_head(id, is_end(&rest));
	fieldz(":method", method);
	fieldz(":scheme", "http");
	fieldz(":authority", "h");
	field(false, ":path", 5, t.p, t.n);
	free(t.p);
}

static void one(const char *line, unsigned i)
{
	static uint8_t bytes[65536];
	char copy[4096], *rest = copy, *w;
	uint32_t id;

	snprintf(copy, sizeof(copy), "%s", line);
	w = word(&rest);
	if (!strcmp(w, "+") || !strcmp(w, "^")) {
		field_line(*w == '^', rest);
		return;
	}
	if (*w == '-') {
		take_away(w + 1);
		return;
	}
	if (!strcmp(w, "split") || !strcmp(w, "open")) {
		head.split = *w == 's' ? number(rest) : head.split;
		head.open = head.open || *w == 'o';
		return;
	}
	flush_head();
	if (!strcmp(w, "request")) {
		line_request(rest, i);
	} else if (!strcmp(w, "head")) {
		id = number(word(&rest));
		begin_head(id, is_end(&rest));
	} else if (!strcmp(w, "status")) {
		id = number(word(&rest));
		w = word(&rest);
		begin_head(id, is_end(&rest));
		fieldz(":status", w);
	} else if (!strcmp(w, "data")) {
		line_data(rest);
	} else if (!strcmp(w, "settings")) {
		settings(rest);
	} else if (!strcmp(w, "ping")) {
		frame(NGHTTP2_PING, 0, 0, "12345678", 8);
	} else if (!strcmp(w, "rst")) {
		id = number(word(&rest)) + 2 * i;
		frame32(NGHTTP2_RST_STREAM, 0, id, number(rest));
	} else if (!strcmp(w, "window")) {
		id = number(word(&rest));
		frame32(NGHTTP2_WINDOW_UPDATE, 0, id, number(rest));
	} else if (!strcmp(w, "goaway")) {
		uint32_t two[2] = { 0, htonl(number(rest)) };

		frame(NGHTTP2_GOAWAY, 0, 0, two, 8);
	} else if (!strcmp(w, "frame")) {
		uint8_t type = (uint8_t)number(word(&rest)), flags = (uint8_t)number(word(&rest));

		id = number(word(&rest));
		frame(type, flags, id, bytes, hex(rest ? rest : "", bytes));
	} else if (!strcmp(w, "raw")) {
		add(&out, bytes, hex(rest, bytes));
	} else if (!strcmp(w, "text")) {
		struct text t = unescape(rest);

		add(&out, t.p, t.n);
		free(t.p);
	} else if (!strcmp(w, "sleep")) {
		send_out();
		if (fd >= 0)
			pause_ms(number(rest));
	} else if (!strcmp(w, "stall")) {
		send_out();
		poll(NULL, 0, (int)number(rest));
	} else if (!strcmp(w, "wait")) {
		send_out();
		for (unsigned k = 0; fd >= 0 && k < 500 && !answered(number(rest)); k++)
			pause_ms(20);
	} else {
		fprintf(stderr, "h2: what is '%s'?\n", line);
		exit(99);
	}
}

static void frames_of(FILE *f)
{
	char line[4096];
	unsigned long times = 1;

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!line[0] || line[0] == '#' || !strcmp(line, "bare"))
			continue;
		if (!strncmp(line, "repeat ", 7)) {
			times = strtoul(line + 7, NULL, 0);
			continue;
		}
		for (unsigned i = 0; i < times; i++)
			one(line, i);
		times = 1;
	}
	send_out();
}

/* ---- frames in ---------------------------------------------------------------------------- */

static uint8_t in[1 << 20];
static size_t have;
static bool gone;

/* true: something came. */
static bool more(int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (gone || poll(&p, 1, ms) <= 0)
		return false;
	n = recv(fd, in + have, sizeof(in) - have, 0);
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
			if (record) {
				add(&s->head, "  ", 2);
				add_escaped(&s->head, nv.name, nv.namelen);
				add(&s->head, ": ", 2);
				add_escaped(&s->head, nv.value, nv.valuelen);
				add(&s->head, "\n", 1);
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
			frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
		} else if (type == NGHTTP2_PING && !(flags & NGHTTP2_FLAG_ACK)) {
			frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, p, n);
		} else if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) {
			if (type == NGHTTP2_HEADERS) {
				section.n = 0;
				section_flags = flags;
			}
			add(&section, p, n);
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
	if (!head.is)
		send_out();
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
	struct stream *s = id ? stream(id) : NULL;
	struct seen seen;

	switch (type) {
	case NGHTTP2_HEADERS:
		seen = decode(s, p, n);
		if (seen.status[0])
			addf(events_of(id), "%u:%s ", id, seen.status);
		else
			addf(events_of(id), "%u:trailers ", id);
		if (seen.grpc[0])
			addf(events_of(id), "%u:grpc=%s ", id, seen.grpc);
		s->answered = s->answered || seen.status[0] >= '2';
		break;
	case NGHTTP2_DATA:
		s->bytes += n;
		if (bodies)
			fwrite(p, 1, n, bodies);
		if (n) {
			frame32(NGHTTP2_WINDOW_UPDATE, 0, 0, (uint32_t)n);
			if (!(flags & NGHTTP2_FLAG_END_STREAM))
				frame32(NGHTTP2_WINDOW_UPDATE, 0, id, (uint32_t)n);
		}
		break;
	case NGHTTP2_RST_STREAM:
		addf(events_of(id), "%u:rst=%s ", id, code_name(be32(p)));
		s->answered = s->done = true;
		break;
	case NGHTTP2_GOAWAY:
		addf(&events[0], "goaway=%s ", code_name(be32(p + 4)));
		break;
	default:
		return;
	}
	if (type <= NGHTTP2_HEADERS && flags & NGHTTP2_FLAG_END_STREAM) {
		s->done = true;
		addf(events_of(id), "%u:bytes=%zu ", id, s->bytes);
	}
}

static bool answered(uint32_t id)
{
	return stream(id)->answered || gone;
}

static void pause_ms(unsigned long ms)
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
	add(&all, " ", 1);
	for (size_t i = 0; i <= nstreams; i++)
		if (events[i].n)
			add(&all, events[i].p, events[i].n);
	if (gone)
		add(&all, "over ", 5);
	while (yes && (w = word(&rest)) && *w) {
		char one_word[128], *at;

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

	while (f && (w = word(&ids)) && *w) {
		struct stream *s = stream((uint32_t)strtoul(w, NULL, 10));
		bool part = strchr(w, '~') || !s->ended;

		fprintf(f, "%s\n%s", part ? "part" : "whole", s->head.n ? s->head.p : "");
		if (!part && s->body.n) {
			struct text t = { 0 };

			add_escaped(&t, (uint8_t *)s->body.p, s->body.n);
			fprintf(f, "%s\n", t.p);
			free(t.p);
		}
	}
	if (f)
		fclose(f);
}

static int ask(char **arg)
{
	const char *want = "", *sent = NULL;
	char *ids = NULL, text[65536];
	unsigned long timeout = 20;
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);
	FILE *f;

	text[n] = '\0';
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
		add(&out, PREFACE, 24);
		frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	}
	f = fmemopen(text, n ? n : 1, "r");
	frames_of(f);
	if (sent)
		write_sent(sent, ids);
	for (int i = 0; i < 500 && !gone && !wanted(want); i++)
		pause_ms(20);
	pause_ms(timeout);
	for (size_t i = 0; i < nstreams; i++)
		if (streams[i].answered && !streams[i].done)
			addf(&events[i + 1], "%u:cut ", streams[i].id);
	for (size_t i = 1; i <= nstreams; i++)
		if (events[i].n)
			fputs(events[i].p, stdout);
	printf("%s%s\n", events[0].n ? events[0].p : "", gone ? "over " : "");
	return bodies ? fclose(bodies) : 0;
}

/* ---- server --------------------------------------------------------------------------------- */

static void keep(struct stream *s, bool whole)
{
	struct text t = { 0 };
	int to;

	if (!record || !s->head.n || s->done)
		return;
	s->done = true;
	addf(&t, "%s\n", whole ? "whole" : "part");
	add(&t, s->head.p, s->head.n);
	if (whole && s->body.n) {
		add_escaped(&t, (uint8_t *)s->body.p, s->body.n);
		add(&t, "\n", 1);
	}
	to = open(record, O_WRONLY | O_APPEND | O_CREAT, 0644);
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
	at_stream = s->id;
	if (play && strstr(s->path, "/play") && (f = fopen(play, "r"))) {
		frames_of(f);
		fclose(f);
		return;
	}
	snprintf(content, sizeof(content), "%s\n", peer_name);
	if (!strncmp(s->path, "/sink", 5))
		snprintf(content, sizeof(content), "%zu\n", s->bytes);
	begin_head(s->id, !strcmp(s->method, "HEAD"));
	fieldz(":status", "200");
	if (!strncmp(s->type, "application/grpc", 16)) {
		fieldz("content-type", s->type);
		flush_head();
		frame(NGHTTP2_DATA, 0, s->id, s->body.p, s->body.n);
		begin_head(s->id, true);
		fieldz("grpc-status", "0");
		return;
	}
	if (s->websocket) {
		flush_head();
		return;
	}
	fieldz("content-length", (char[]){ (char)('0' + strlen(content) / 10),
					   (char)('0' + strlen(content) % 10), 0 } +
					 (strlen(content) < 10));
	flush_head();
	if (strcmp(s->method, "HEAD") != 0)
		frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, s->id, content, strlen(content));
}

static void to_server(uint8_t type, uint8_t flags, uint32_t id, const uint8_t *p, size_t n)
{
	struct stream *s = id ? stream(id) : NULL;

	switch (type) {
	case NGHTTP2_HEADERS:
		decode(s, p, n);
		if (s->expects && !s->ended) {
			begin_head(id, false);
			fieldz(":status", "100");
			flush_head();
		}
		if (s->websocket || (play && strstr(s->path, "/play")))
			answer(s);
		break;
	case NGHTTP2_DATA:
		s->bytes += n;
		if (s->websocket) {
			frame(NGHTTP2_DATA, flags & NGHTTP2_FLAG_END_STREAM, id, p, n);
		} else if (strncmp(s->path, "/sink", 5) != 0) {
			add(&s->body, p, n);
		}
		if (n) {
			frame32(NGHTTP2_WINDOW_UPDATE, 0, 0, (uint32_t)n);
			if (!(flags & NGHTTP2_FLAG_END_STREAM))
				frame32(NGHTTP2_WINDOW_UPDATE, 0, id, (uint32_t)n);
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
		flush_head();
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
	settings((char[]){ "8=1" });
	do
		dispatch(to_server);
	while (more(-1) && !gone);
	for (size_t i = 0; i < nstreams; i++)
		keep(&streams[i], false);
	exit(0);
}

static int serve(const char *a, const char *port, char **arg)
{
	static char peer[INET6_ADDRSTRLEN];
	int l;

	for (; *arg; arg += 2) {
		if (!strcmp(*arg, "--record"))
			record = arg[1];
		else if (!strcmp(*arg, "--play"))
			play = arg[1];
	}
	signal(SIGCHLD, SIG_IGN);
	l = end_listen(a, port, 0);
	peer_name = peer;
	for (;;) {
		fd = end_accept(l, 0, peer);
		if (fd < 0)
			continue;
		if (!fork()) {
			close(l);
			talk();
		}
		close(fd);
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
		fd = -1;
		at_stream = argc > 2 ? number(argv[2]) : 0;
		frames_of(stdin);
		return fwrite(out.p, 1, out.n, stdout) == out.n ? 0 : 1;
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
	fd = end_dial(argv[2], argv[3]);
	return fd < 0 ? 1 : ask(argv + 4);
}
