/* SPDX-License-Identifier: GPL-2.0-only */
#include "monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define WINDOW_NS 1000000000ull
#define PAUSE_NS 20000000l /* after many at once: so a flood wakes us 50 times a second */
#define MANY 16u
#define TOP 20u /* kinds that are told one by one, as text */

struct monitor {
	const struct prt_monitor *m;
	struct prt_stream s;
	struct prt_heap *heap;
	struct pol_buf line;
	uint64_t window_ns; /* when it began */
	unsigned lines; /* told one by one in it */
	uint64_t batch, shown; /* since the last poll; in all */
	uint64_t lost[POL_EVENT_KINDS]; /* told */
	uint64_t pending; /* counted, not told yet */
	bool crowded, done;
};

static void tell(struct monitor *w)
{
	if (!w->done && w->line.n)
		w->done = !w->m->emit(w->m->ctx, pol_buf_str(&w->line));
	w->line.n = 0;
}

static void flush(struct monitor *w)
{
	if (!w->done)
		w->done = !w->m->emit(w->m->ctx, (struct pol_str){ "", 0 });
}

static void tell_item(struct monitor *w, const struct prt_item *item)
{
	if (w->s.env->json)
		prt_item_json(&w->line, &w->s.book, item);
	else
		prt_item_text(&w->line, &w->s.book, item);
	tell(w);
}

static bool one_by_one(const struct monitor *w)
{
	return w->m->mode == PRT_MONITOR_EACH ||
	       (w->m->mode == PRT_MONITOR_AUTO && !w->crowded && w->lines < PRT_MONITOR_LINES);
}

static void take(void *ctx, const struct prt_item *item)
{
	struct monitor *w = ctx;

	if (w->m->count && w->shown >= w->m->count)
		return;
	w->shown++;
	w->batch++;
	if (one_by_one(w)) {
		w->lines++;
		tell_item(w, item);
	} else {
		w->pending++;
		prt_heap_add(w->heap, item);
	}
}

/* ---- what is told at the end of a second ----------------------------------------------- */

static void tell_heap(struct monitor *w)
{
	uint64_t rest = 0;
	size_t n;
	const struct prt_item *const *v = prt_heap_sorted(w->heap, &n);

	for (size_t i = 0; i < n; i++) {
		if (i < TOP || w->s.env->json)
			tell_item(w, v[i]);
		else
			rest += v[i]->count;
	}
	if (rest) {
		pol_buf_printf(&w->line,
			       "             and %zu more of other kinds, %" PRIu64
			       " times in all\n",
			       n - TOP, rest);
		tell(w);
	}
	prt_heap_clear(w->heap);
	w->pending = 0;
}

static const char *const kinds[POL_EVENT_KINDS] = {
	"http",
	[POL_EVENT_NEW] = "new",
	[POL_EVENT_DROP] = "drop",
	[POL_EVENT_AUDIT] = "audit",
	[POL_EVENT_LOG] = "log",
};

static void counts_json(struct pol_buf *out, const uint64_t v[POL_EVENT_KINDS])
{
	uint64_t all = 0;

	for (unsigned k = 0; k < POL_EVENT_KINDS; k++) {
		pol_buf_printf(out, "\"%s\": %" PRIu64 ", ", kinds[k], v[k]);
		all += v[k];
	}
	pol_buf_printf(out, "\"all\": %" PRIu64, all);
}

static void lost_text(struct monitor *w, const uint64_t v[POL_EVENT_KINDS], uint64_t now)
{
	prt_show_clock(&w->line, now, false);
	pol_buf_addz(&w->line, " lost  ");
	for (unsigned k = 0; k < POL_EVENT_KINDS; k++)
		if (v[k])
			pol_buf_printf(&w->line, " %" PRIu64 " %s", v[k], kinds[k]);
	if (w->m->rate)
		pol_buf_printf(&w->line, "  (more than %u a second and processor)\n", w->m->rate);
	else
		pol_buf_addz(&w->line, "  (more than could be read)\n");
}

static int tell_lost(struct monitor *w, struct pol_err *e)
{
	uint64_t now[POL_EVENT_KINDS], more[POL_EVENT_KINDS], all = 0;
	int r = prt_stream_lost(&w->s, now, e);

	if (r)
		return r;
	for (unsigned k = 0; k < POL_EVENT_KINDS; k++) {
		more[k] = now[k] - w->lost[k];
		all += more[k];
		w->lost[k] = now[k];
	}
	if (!all)
		return 0;
	if (w->s.env->json) {
		pol_buf_addz(&w->line, "{\"event\": \"lost\", ");
		counts_json(&w->line, more);
		pol_buf_addz(&w->line, "}\n");
	} else {
		lost_text(w, more, prt_env_now_ns());
	}
	tell(w);
	return 0;
}

static int end_window(struct monitor *w, uint64_t now, struct pol_err *e)
{
	int r;

	w->crowded = w->m->mode == PRT_MONITOR_AUTO && w->pending + w->lines > PRT_MONITOR_LINES;
	tell_heap(w);
	r = tell_lost(w, e);
	w->window_ns = now;
	w->lines = 0;
	return r;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void begin(struct monitor *w)
{
	const struct prt_gen_info *i = &w->s.book.l.gen.info;

	if (w->s.env->json) {
		pol_buf_printf(&w->line,
			       "{\"event\": \"begin\", \"generation\": %" PRIu64 ", \"policy\": ",
			       w->s.book.l.gen.number);
		prt_show_json(&w->line, i->policy);
		pol_buf_addz(&w->line, "}\n");
	} else {
		pol_buf_printf(&w->line, "%-12s %-6s %-6s source -> destination  why\n", "time",
			       "verdict", "proto");
	}
	tell(w);
	flush(w);
}

static void end(struct monitor *w)
{
	uint64_t all = 0;

	for (unsigned k = 0; k < POL_EVENT_KINDS; k++)
		all += w->lost[k];
	if (w->s.env->json) {
		pol_buf_printf(&w->line, "{\"event\": \"end\", \"shown\": %" PRIu64 ", \"lost\": {",
			       w->shown);
		counts_json(&w->line, w->lost);
		pol_buf_addz(&w->line, "}}\n");
	} else {
		pol_buf_printf(&w->line, "%" PRIu64 " shown, %" PRIu64 " lost\n", w->shown, all);
	}
	tell(w);
	flush(w);
}

static bool enough(const struct monitor *w, uint64_t began)
{
	return w->done || *w->m->stop || (w->m->count && w->shown >= w->m->count) ||
	       (w->m->seconds && prt_env_now_ns() - began >= w->m->seconds * WINDOW_NS);
}

static int watch(struct monitor *w, struct pol_err *e)
{
	uint64_t began = prt_env_now_ns();
	int r = 0;

	w->window_ns = began;
	while (!r && !enough(w, began)) {
		uint64_t now;

		w->batch = 0;
		r = prt_stream_poll(&w->s, 200, e);
		now = prt_env_now_ns();
		if (!r && now - w->window_ns >= WINDOW_NS)
			r = end_window(w, now, e);
		flush(w);
		if (w->batch > MANY)
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
	return r;
}

int prt_monitor(struct prt_env *env, const struct prt_monitor *m, struct pol_err *e)
{
	struct monitor w = { .m = m, .heap = prt_heap_new() };
	int r;

	prt_stream_init(&w.s);
	w.s.take = take;
	w.s.ctx = &w;
	r = w.heap ? prt_stream_open(env, m->filter, m->rate, &w.s, e)
		   : pol_err(e, -ENOMEM, "no memory");
	if (!r) {
		begin(&w);
		r = watch(&w, e);
		r = r ? r : prt_stream_stop(&w.s, e);
		r = r ? r : end_window(&w, prt_env_now_ns(), e);
		if (!r)
			end(&w);
	}
	prt_stream_close(&w.s);
	prt_heap_free(w.heap);
	pol_buf_free(&w.line);
	return r;
}
