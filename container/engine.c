/* SPDX-License-Identifier: GPL-2.0-only */
#include "engine.h"

#include <errno.h>
#include <stdio.h>

#define PATIENCE_MS 10000L

/* What is asked does not matter: a Unix socket has one engine behind it. */
#define BASE "http://engine"

/* docker events --filter type=container --filter type=network, percent-encoded */
#define EVENTS "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"

static int no_curl(struct pol_err *e)
{
	return pol_err(e, -ENOMEM, "libcurl: cannot be set up: out of memory");
}

int cn_engine_open(struct cn_engine *g, const char *socket, struct pol_err *e)
{
	memset(g, 0, sizeof(*g));
	g->socket = socket;
	g->patience_ms = PATIENCE_MS;
	g->asking = curl_easy_init();
	g->multi = curl_multi_init();
	return g->asking && g->multi ? 0 : no_curl(e);
}

static void stop_following(struct cn_engine *g)
{
	if (g->events) {
		curl_multi_remove_handle(g->multi, g->events);
		curl_easy_cleanup(g->events);
	}
	g->events = NULL;
	pol_buf_free(&g->line);
	g->line = (struct pol_buf){ 0 };
}

void cn_engine_close(struct cn_engine *g)
{
	stop_following(g);
	if (g->asking)
		curl_easy_cleanup(g->asking);
	if (g->multi)
		curl_multi_cleanup(g->multi);
	memset(g, 0, sizeof(*g));
}

/* ---- one answer ------------------------------------------------------------------------ */

static size_t take_answer(char *p, size_t size, size_t n, void *ctx)
{
	struct pol_buf *answer = ctx;

	if (answer->n + size * n > CN_ANSWER_MAX)
		return 0;
	pol_buf_add(answer, (struct pol_str){ p, size * n });
	return size * n;
}

static int parse(const char *path, const struct pol_buf *answer, long status, json_t **out,
		 struct pol_err *e)
{
	json_error_t wrong;

	if (status == 404)
		return -ENOENT;
	if (status != 200)
		return pol_err(e, -EAGAIN, "the engine answers %s with status %ld", path, status);
	*out = json_loadb(answer->n ? answer->p : "", answer->n, 0, &wrong);
	return *out ? 0 : pol_err(e, -EAGAIN, "the engine's answer to %s is no JSON", path);
}

int cn_engine_get(struct cn_engine *g, const char *path, json_t **out, struct pol_err *e)
{
	struct pol_buf answer = { 0 }, url = { 0 };
	long status = 0;
	CURLcode code;
	int r;

	pol_buf_printf(&url, BASE "%s", path);
	curl_easy_reset(g->asking);
	curl_easy_setopt(g->asking, CURLOPT_UNIX_SOCKET_PATH, g->socket);
	curl_easy_setopt(g->asking, CURLOPT_URL, url.p);
	curl_easy_setopt(g->asking, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(g->asking, CURLOPT_TIMEOUT_MS, g->patience_ms);
	curl_easy_setopt(g->asking, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(g->asking, CURLOPT_WRITEDATA, &answer);
	code = curl_easy_perform(g->asking);
	curl_easy_getinfo(g->asking, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK)
		r = parse(path, &answer, status, out, e);
	else
		r = pol_err(e, -EAGAIN, "%s: %s", g->socket, curl_easy_strerror(code));
	pol_buf_free(&answer);
	pol_buf_free(&url);
	return r;
}

/* ---- events ------------------------------------------------------------------------------ */

static void end_of_line(struct cn_engine *g)
{
	json_t *event = g->line.n ? json_loadb(g->line.p, g->line.n, 0, NULL) : NULL;

	if (event)
		g->take(g->ctx, event);
	json_decref(event);
	g->line.n = 0;
}

/* One event a line, in pieces of any size. */
static size_t take_events(char *p, size_t size, size_t n, void *ctx)
{
	struct cn_engine *g = ctx;
	const char *end = p + size * n;

	for (const char *at = p; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t piece = (size_t)((stop ? stop : end) - at);

		if (g->line.n + piece > CN_EVENT_MAX) {
			g->overflow = true;
			return 0;
		}
		pol_buf_add(&g->line, (struct pol_str){ at, piece });
		if (stop)
			end_of_line(g);
		at += piece + (stop ? 1 : 0);
	}
	return size * n;
}

int cn_engine_follow(struct cn_engine *g, void (*take)(void *, const json_t *), void *ctx,
		     struct pol_err *e)
{
	stop_following(g);
	g->take = take;
	g->ctx = ctx;
	g->overflow = false;
	g->events = curl_easy_init();
	if (!g->events)
		return no_curl(e);
	curl_easy_setopt(g->events, CURLOPT_UNIX_SOCKET_PATH, g->socket);
	curl_easy_setopt(g->events, CURLOPT_URL, BASE EVENTS);
	curl_easy_setopt(g->events, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(g->events, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(g->events, CURLOPT_WRITEFUNCTION, take_events);
	curl_easy_setopt(g->events, CURLOPT_WRITEDATA, g);
	if (curl_multi_add_handle(g->multi, g->events) == CURLM_OK)
		return 0;
	stop_following(g);
	return no_curl(e);
}

bool cn_engine_turn(struct cn_engine *g)
{
	int running = 0, left;
	CURLMsg *m;

	if (!g->events)
		return false;
	if (curl_multi_perform(g->multi, &running) == CURLM_OK && running)
		return true;
	while ((m = curl_multi_info_read(g->multi, &left)))
		; /* how it ended does not matter: it is begun again */
	stop_following(g);
	return false;
}
