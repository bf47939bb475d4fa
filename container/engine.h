/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a container engine with Docker's API says (Docker Engine API, version 1.30 and later), asked
 * over its Unix socket by libcurl.
 *
 * Answers are data from outside: bounded in size, parsed by jansson, and every text in
 * them is checked where it is used.
 */
#ifndef CN_ENGINE_H
#define CN_ENGINE_H

#include <curl/curl.h>
#include <jansson.h>

#include "../base/base.h"

#define CN_ANSWER_MAX (16u << 20)	/* bytes of an answer */
#define CN_EVENT_MAX (256u << 10)	/* bytes of one event */

struct cn_engine {
	const char *socket;	/* path, the caller's */
	long patience_ms;	/* for one answer; the caller may change it */
	CURL *asking;		/* one request at a time; its connection is kept */
	CURLM *multi;		/* the stream of events */
	CURL *events;		/* NULL: not connected */
	struct pol_buf line;	/* of an event that has not ended yet */
	bool overflow;		/* an event was larger than CN_EVENT_MAX: something is not known */
	void (*take)(void *ctx, const json_t *event);
	void *ctx;
};

int cn_engine_open(struct cn_engine *g, const char *socket, struct pol_err *e);
void cn_engine_close(struct cn_engine *g);	/* zeroed is fine */

/*
 * *out: what GET says, for json_decref.  -ENOENT without an error text: 404.  -EAGAIN: the engine is away or
 * ends, fails, takes too long, says what is no JSON or too much of it: nothing is known of what was
 * asked about, not even that it is gone.
 */
int cn_engine_get(struct cn_engine *g, const char *path, json_t **out, struct pol_err *e);

/*
 * Begins to follow the events of containers and networks; each goes to take(ctx, event) from
 * within cn_engine_turn().
 */
int cn_engine_follow(struct cn_engine *g, void (*take)(void *, const json_t *), void *ctx,
		     struct pol_err *e);
/* What has come; false: the stream has ended, or an event was lost: follow again, and look at everything. */
bool cn_engine_turn(struct cn_engine *g);

#endif
