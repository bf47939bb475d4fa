/* SPDX-License-Identifier: GPL-2.0-only */
/* Events and requests, named and filtered. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"
#include "runtime/change/proxy.h"

#define SYNC_NS 100000000ull /* names are looked at again so often, while something happens */
#define PROXY_NS 2000000000ull /* a proxy that was not there is tried again so often */

void prt_stream_init(struct prt_stream *s)
{
	memset(s, 0, sizeof(*s));
	prt_book_init(&s->book);
	prt_watch_init(&s->watch);
	s->proxy = -1;
}

void prt_stream_close(struct prt_stream *s)
{
	prt_watch_close(s->env, &s->watch);
	pol_cleanup_fd(&s->proxy);
	prt_book_close(&s->book);
	prt_stream_init(s);
}

/* ---- one of each ---------------------------------------------------------------------- */

enum prt_see prt_item_see(const struct prt_item *item)
{
	static const enum prt_see of[] = {
		[POL_PROXY_ALLOW] = PRT_SEE_HTTP_ALLOW,
		[POL_PROXY_DENY] = PRT_SEE_HTTP_DENY,
		[POL_PROXY_REFUSE] = PRT_SEE_HTTP_REFUSE,
		[POL_PROXY_FAIL] = PRT_SEE_HTTP_FAIL,
	};

	return item->q ? of[item->q->verdict & 3] : prt_see_of(&item->v);
}

static void pass_on(struct prt_stream *s, const struct prt_item *item)
{
	const struct pol_event *v = &item->v;
	const struct prt_seen seen = {
		.see = prt_item_see(item),
		.src = &v->src,
		.dst = &v->dst,
		.proto = v->proto,
		.port = ntohs(v->dport_be),
		.reason = item->q ? POL_REASON_NONE : v->reason,
		.rule = prt_book_rule(&s->book, v->gen, v->rule),
		.other = item->q ? NULL : prt_book_rule(&s->book, v->gen, v->other),
	};

	if (prt_query_match(s->filter, &s->book, &seen))
		s->take(s->ctx, item);
}

static void event(void *ctx, const struct pol_event *v)
{
	struct prt_item item = { .count = 1 };

	item.v = *v;
	pass_on(ctx, &item);
}

static bool sound(const struct pol_proxy_request *q, size_t n)
{
	size_t texts = offsetof(struct pol_proxy_request, text);

	return n >= texts && n - texts == (size_t)q->method + q->host + q->path + q->why;
}

static void request(struct prt_stream *s)
{
	const struct pol_proxy_request *q = &s->q;
	struct prt_item item = { .q = q, .count = 1 };

	s->proxy_lost += q->lost;
	item.v = (struct pol_event){ .time_ns = q->time_ns,
				     .src = q->src,
				     .dst = q->dst,
				     .sport_be = q->sport_be,
				     .dport_be = q->dport_be,
				     .proto = IPPROTO_TCP,
				     .gen = (uint32_t)q->gen,
				     .rule = q->rule,
				     .other = POL_NO_RULE,
				     .direction = q->direction };
	pass_on(s, &item);
}

/* ---- the proxy --------------------------------------------------------------------------- */

static bool wants_requests(const struct prt_stream *s)
{
	const uint32_t http = 1u << PRT_SEE_HTTP_ALLOW | 1u << PRT_SEE_HTTP_DENY |
			      1u << PRT_SEE_HTTP_REFUSE | 1u << PRT_SEE_HTTP_FAIL;

	return s->filter->sees & http && prt_gen_uses_http(&s->book.l.gen);
}

/* It may come later, and may be restarted; without it its flows are dropped, and that is shown. */
static void follow_proxy(struct prt_stream *s)
{
	uint64_t now = prt_env_now_ns();
	struct pol_err why = { 0 };
	struct prt_proxy p;

	if (s->proxy >= 0 || !wants_requests(s) ||
	    (s->proxy_tried_ns && now - s->proxy_tried_ns < PROXY_NS))
		return;
	s->proxy_tried_ns = now;
	prt_proxy_init(&p);
	if (!prt_proxy_open(s->env, false, NULL, &p, &why))
		prt_proxy_watch(&p, &s->proxy, &why);
	prt_proxy_close(&p);
}

static void read_proxy(struct prt_stream *s)
{
	while (s->proxy >= 0) {
		ssize_t n = recv(s->proxy, &s->q, sizeof(s->q), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			pol_cleanup_fd(&s->proxy);
		else if (sound(&s->q, (size_t)n))
			request(s);
	}
}

/* ---- opening and reading -------------------------------------------------------------------- */

static void want(struct prt_stream *s, struct pol_watch *out)
{
	prt_query_watch(s->filter, &s->book, out);
	if (s->rate) {
		out->ns_per_event = 1000000000ull / s->rate;
		out->burst_ns = 1000000000ull;
	}
}

int prt_stream_open(struct prt_env *env, const struct prt_query *f, uint32_t rate,
		    struct prt_stream *s, struct pol_err *e)
{
	int r;

	s->env = env;
	s->filter = f;
	s->rate = rate;
	r = prt_book_open(env, &s->book, e);
	r = r ? r : prt_query_check(f, &s->book, e);
	if (r)
		return r;
	want(s, &s->want);
	r = prt_watch_open(env, &s->book.l.shared, &s->want, event, s, &s->watch, e);
	if (!r)
		follow_proxy(s);
	s->synced_ns = prt_env_now_ns();
	return r;
}

/* Rules have other numbers in the next generation, and endpoints may have other addresses. */
static int sync_names(struct prt_stream *s, struct pol_err *e)
{
	uint64_t now = prt_env_now_ns();
	struct pol_watch next;
	int r;

	if (now - s->synced_ns < SYNC_NS)
		return 0;
	s->synced_ns = now;
	r = prt_book_sync(&s->book, e);
	if (r <= 0)
		return r == -EBUSY ? 0 : r;
	want(s, &next);
	if (memcmp(&next, &s->want, sizeof(next)))
		prt_watch_ask(&s->watch, &next);
	s->want = next;
	return 0;
}

int prt_stream_poll(struct prt_stream *s, int ms, struct pol_err *e)
{
	struct pollfd f[2] = { { .fd = prt_watch_fd(&s->watch), .events = POLLIN },
			       { .fd = s->proxy, .events = POLLIN } };
	int r;

	if (poll(f, 2, ms) < 0 && errno != EINTR)
		return pol_err(e, -errno, "cannot wait for events: %s", strerror(errno));
	r = sync_names(s, e);
	r = r ? r : prt_watch_poll(&s->watch, 0, e);
	if (r)
		return r;
	read_proxy(s);
	follow_proxy(s);
	return 0;
}

int prt_stream_stop(struct prt_stream *s, struct pol_err *e)
{
	int r = prt_watch_stop(&s->watch, e);

	r = r ? r : prt_watch_poll(&s->watch, 0, e);
	if (!r)
		read_proxy(s);
	return r;
}

int prt_stream_lost(const struct prt_stream *s, uint64_t lost[POL_EVENT_KINDS], struct pol_err *e)
{
	int r = prt_watch_lost(&s->watch, lost, e);

	lost[0] = s->proxy_lost;
	return r;
}
