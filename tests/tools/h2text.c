/* SPDX-License-Identifier: GPL-2.0-only */
#include "h2text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

int h2_fd;
struct stream h2_streams[H2_STREAMS];
size_t h2_nstreams;
struct text h2_out, h2_events[H2_STREAMS];
const char *h2_record;
uint32_t h2_at_stream;

void h2_add(struct text *t, const void *p, size_t n)
{
	t->p = realloc(t->p, t->n + n + 1);
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void h2_addf(struct text *t, const char *form, ...)
{
	char line[512];
	va_list a;
	int n;

	va_start(a, form);
	n = vsnprintf(line, sizeof(line), form, a);
	va_end(a);
	h2_add(t, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void h2_add_escaped(struct text *t, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '\\')
			h2_addf(t, "\\x%02x", p[i]);
		else
			h2_add(t, &p[i], 1);
}

struct stream *h2_stream(uint32_t id)
{
	for (size_t i = 0; i < h2_nstreams; i++)
		if (h2_streams[i].id == id)
			return &h2_streams[i];
	if (h2_nstreams == H2_STREAMS)
		exit(98);
	h2_streams[h2_nstreams].id = id;
	return &h2_streams[h2_nstreams++];
}

struct text *h2_events_of(uint32_t id)
{
	return &h2_events[id ? (size_t)(h2_stream(id) - h2_streams) + 1 : 0];
}

/* ---- frames out --------------------------------------------------------------------- */

void h2_frame(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
	uint8_t head[9] = {
		(uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
		(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id
	};

	h2_add(&h2_out, head, sizeof(head));
	if (n)
		h2_add(&h2_out, p, n);
}

void h2_frame32(uint8_t type, uint8_t flags, uint32_t id, uint32_t value)
{
	uint32_t be = htonl(value);

	h2_frame(type, flags, id, &be, 4);
}

/* Prefixed integer (RFC 7541, 5.1). */
static void integer(struct text *t, uint8_t first, unsigned bits, size_t v)
{
	size_t max = (1u << bits) - 1;
	uint8_t b;

	if (v < max) {
		b = (uint8_t)(first | v);
		h2_add(t, &b, 1);
		return;
	}
	b = (uint8_t)(first | max);
	h2_add(t, &b, 1);
	for (v -= max; v >= 128; v >>= 7) {
		b = (uint8_t)(v | 128);
		h2_add(t, &b, 1);
	}
	b = (uint8_t)v;
	h2_add(t, &b, 1);
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
	h2_add(&f->name, name, n);
	h2_add(&f->value, value, m);
	head.n++;
}

void h2_fieldz(const char *name, const char *value)
{
	field(false, name, strlen(name), value, strlen(value));
}

static void note_sent(struct stream *s)
{
	s->ended = s->ended || head.end;
	if (h2_record || s->head.n) /* an answer; trailers */
		return;
	for (size_t i = 0; i < head.n; i++) {
		h2_add(&s->head, "  ", 2);
		h2_add_escaped(&s->head, (uint8_t *)head.field[i].name.p, head.field[i].name.n);
		h2_add(&s->head, ": ", 2);
		h2_add_escaped(&s->head, (uint8_t *)head.field[i].value.p, head.field[i].value.n);
		h2_add(&s->head, "\n", 1);
	}
}

void h2_flush_head(void)
{
	struct text block = { 0 };
	uint8_t flags, type = NGHTTP2_HEADERS;

	if (!head.is)
		return;
	note_sent(h2_stream(head.id));
	for (size_t i = 0; i < head.n; i++) { /* literal, without indexing, new name (6.2.2) */
		struct field *f = &head.field[i];

		h2_add(&block, "\0", 1);
		integer(&block, 0, 7, f->name.n);
		h2_add(&block, f->name.p, f->name.n);
		integer(&block, 0, 7, f->value.n);
		h2_add(&block, f->value.p, f->value.n);
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
		h2_frame(type, flags, head.id, block.p + at, n);
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

void h2_begin_head(uint32_t id, bool end)
{
	h2_flush_head();
	head.is = true;
	head.id = id;
	head.end = end;
	head.open = false;
	head.split = 0;
}

void h2_send_out(void)
{
	h2_flush_head();
	if (h2_fd < 0) /* `bytes` */
		return;
	for (size_t at = 0; at < h2_out.n;) {
		ssize_t n = send(h2_fd, h2_out.p + at, h2_out.n - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	h2_out.n = 0;
}

bool h2_head_is_open(void)
{
	return head.is;
}

/* ---- text to frames -------------------------------------------------------------------- */

/* {A*N}, then the escapes. */
static struct text unescape(const char *s)
{
	struct text t = { 0 };

	h2_add(&t, "", 0);
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
				h2_add(&t, one.p, one.n);
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
		h2_add(&t, &c, 1);
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

uint32_t h2_number(const char *s)
{
	return s && *s == '@' ? h2_at_stream : (uint32_t)strtoul(s ? s : "0", NULL, 0);
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

char *h2_word(char **s)
{
	char *w = strsep(s, " ");

	while (w && !*w && *s)
		w = strsep(s, " ");
	return w;
}

void h2_settings(char *rest)
{
	struct text t = { 0 };
	char *w;

	while ((w = h2_word(&rest)) && *w) {
		uint16_t id = htons((uint16_t)strtoul(w, NULL, 0));
		uint32_t v = htonl((uint32_t)strtoul(strchr(w, '=') + 1, NULL, 0));

		if (!strcmp(w, "ack")) {
			h2_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
			return;
		}
		h2_add(&t, &id, 2);
		h2_add(&t, &v, 4);
	}
	h2_frame(NGHTTP2_SETTINGS, 0, 0, t.p, t.n);
	free(t.p);
}

static bool is_end(char **rest)
{
	bool end = *rest && !strncmp(*rest, "end", 3) && (!(*rest)[3] || (*rest)[3] == ' ');

	if (end)
		h2_word(rest);
	return end;
}

static void line_data(char *rest)
{
	uint32_t id = h2_number(h2_word(&rest));
	bool end = is_end(&rest);
	uint8_t pad =
		rest && !strncmp(rest, "pad=", 4) ? (uint8_t)h2_number(h2_word(&rest) + 4) : 0;
	struct text t = unescape(rest ? rest : ""), padded = { 0 };
	struct stream *s = h2_stream(id);

	for (size_t at = 0; at < t.n || !t.n; at += 16384) {
		size_t n = t.n - at < 16384 ? t.n - at : 16384;
		bool last = at + n == t.n;
		uint8_t flags = end && last ? NGHTTP2_FLAG_END_STREAM : 0;

		if (pad) {
			padded.n = 0;
			h2_add(&padded, &pad, 1);
			h2_add(&padded, t.p + at, n);
			h2_add(&padded, (char[256]){ 0 }, pad);
			h2_frame(NGHTTP2_DATA, flags | NGHTTP2_FLAG_PADDED, id, padded.p, padded.n);
		} else {
			h2_frame(NGHTTP2_DATA, flags, id, t.p + at, n);
		}
		if (last)
			break;
	}
	h2_add(&s->body, t.p, t.n);
	s->ended = s->ended || end;
	free(padded.p);
	free(t.p);
}

static void line_request(char *rest, unsigned i)
{
	uint32_t id = h2_number(h2_word(&rest)) + 2 * i;
	char *method = h2_word(&rest), *path = h2_word(&rest);
	struct text t = unescape(path ? path : "");

	h2_begin_head(id, is_end(&rest));
	h2_fieldz(":method", method);
	h2_fieldz(":scheme", "http");
	h2_fieldz(":authority", "h");
	field(false, ":path", 5, t.p, t.n);
	free(t.p);
}

static void one(const char *line, unsigned i)
{
	static uint8_t bytes[65536];
	char copy[4096], *rest = copy, *w;
	uint32_t id;

	snprintf(copy, sizeof(copy), "%s", line);
	w = h2_word(&rest);
	if (!strcmp(w, "+") || !strcmp(w, "^")) {
		field_line(*w == '^', rest);
		return;
	}
	if (*w == '-') {
		take_away(w + 1);
		return;
	}
	if (!strcmp(w, "split") || !strcmp(w, "open")) {
		head.split = *w == 's' ? h2_number(rest) : head.split;
		head.open = head.open || *w == 'o';
		return;
	}
	h2_flush_head();
	if (!strcmp(w, "request")) {
		line_request(rest, i);
	} else if (!strcmp(w, "head")) {
		id = h2_number(h2_word(&rest));
		h2_begin_head(id, is_end(&rest));
	} else if (!strcmp(w, "status")) {
		id = h2_number(h2_word(&rest));
		w = h2_word(&rest);
		h2_begin_head(id, is_end(&rest));
		h2_fieldz(":status", w);
	} else if (!strcmp(w, "data")) {
		line_data(rest);
	} else if (!strcmp(w, "settings")) {
		h2_settings(rest);
	} else if (!strcmp(w, "ping")) {
		h2_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
	} else if (!strcmp(w, "rst")) {
		id = h2_number(h2_word(&rest)) + 2 * i;
		h2_frame32(NGHTTP2_RST_STREAM, 0, id, h2_number(rest));
	} else if (!strcmp(w, "window")) {
		id = h2_number(h2_word(&rest));
		h2_frame32(NGHTTP2_WINDOW_UPDATE, 0, id, h2_number(rest));
	} else if (!strcmp(w, "goaway")) {
		uint32_t two[2] = { 0, htonl(h2_number(rest)) };

		h2_frame(NGHTTP2_GOAWAY, 0, 0, two, 8);
	} else if (!strcmp(w, "frame")) {
		uint8_t type = (uint8_t)h2_number(h2_word(&rest)),
			flags = (uint8_t)h2_number(h2_word(&rest));

		id = h2_number(h2_word(&rest));
		h2_frame(type, flags, id, bytes, hex(rest ? rest : "", bytes));
	} else if (!strcmp(w, "raw")) {
		h2_add(&h2_out, bytes, hex(rest, bytes));
	} else if (!strcmp(w, "text")) {
		struct text t = unescape(rest);

		h2_add(&h2_out, t.p, t.n);
		free(t.p);
	} else if (!strcmp(w, "sleep")) {
		h2_send_out();
		if (h2_fd >= 0)
			h2_pause_ms(h2_number(rest));
	} else if (!strcmp(w, "stall")) {
		h2_send_out();
		poll(NULL, 0, (int)h2_number(rest));
	} else if (!strcmp(w, "until")) {
		h2_send_out();
		for (unsigned k = 0; h2_fd >= 0 && k < 3000 && access(rest, F_OK); k++)
			h2_pause_ms(20);
	} else if (!strcmp(w, "wait")) {
		h2_send_out();
		for (unsigned k = 0; h2_fd >= 0 && k < 500 && !h2_answered(h2_number(rest)); k++)
			h2_pause_ms(20);
	} else {
		fprintf(stderr, "h2: what is '%s'?\n", line);
		exit(99);
	}
}

void h2_frames_of(FILE *f)
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
	h2_send_out();
}
