/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames of HTTP/2 written as text, for tests: nothing but the decompression of fields is libnghttp2's, so that
 * what it would refuse to send can be sent.
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
 *	until FILE			until there is such a file, for a minute at most
 * ID `@` is the stream that is answered; TEXT, PATH and VALUE have \r \n \t \0 \\ \xHH, and {A*N}
 * for N times A.
 *
 * One connection a process.
 */
#ifndef POLC_TESTS_H2TEXT_H
#define POLC_TESTS_H2TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define H2_STREAMS 4096

struct text {			/* NUL-terminated as well; empty: {} */
	char *p;
	size_t n;
};

struct stream {
	uint32_t id;
	struct text head, body;	/* as recorded */
	char path[64], method[16], type[64];
	bool websocket, expects, ended, answered, done;
	size_t bytes;		/* of a response */
};

extern int h2_fd;		/* -1: frames are only put together */
extern struct stream h2_streams[H2_STREAMS];
extern size_t h2_nstreams;
extern struct text h2_out;	/* what has still to be sent */
extern struct text h2_events[H2_STREAMS]; /* by stream; [0]: of the connection */
extern const char *h2_record;	/* a server's; NULL: what is sent is noted in the streams */
extern uint32_t h2_at_stream;	/* @ */

void h2_add(struct text *t, const void *p, size_t n);
__attribute__((format(printf, 2, 3))) void h2_addf(struct text *t, const char *form, ...);
/* What is not printable as \xHH. */
void h2_add_escaped(struct text *t, const uint8_t *p, size_t n);

/* Made if there is none. */
struct stream *h2_stream(uint32_t id);
struct text *h2_events_of(uint32_t id);

void h2_frame(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n);
/* With a value as its payload. */
void h2_frame32(uint8_t type, uint8_t flags, uint32_t id, uint32_t value);
/* A HEADERS frame is put together: begun, filled, and flushed by whatever is sent next. */
void h2_begin_head(uint32_t id, bool end);
void h2_fieldz(const char *name, const char *value);
void h2_flush_head(void);
bool h2_head_is_open(void);
/* SETTINGS: `ack`, or ID=VALUE... */
void h2_settings(char *rest);
void h2_send_out(void);

/* Reads lines and sends what they say. */
void h2_frames_of(FILE *f);
/* Of a line: the next word, and the ID it is. */
char *h2_word(char **s);
uint32_t h2_number(const char *s);

/* ---- of who includes this: what `wait` and `sleep` need ---- */

bool h2_answered(uint32_t id);
/* Takes in what comes meanwhile. */
void h2_pause_ms(unsigned long ms);

#endif
