/* SPDX-License-Identifier: GPL-2.0-only */
#include "top.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "runtime/generation/flows.h"

#define PAIRS_MAX 4096u /* kinds of connections that are told apart */

/* Alike connections: all but the source port is the same. */
struct pair {
	struct pol_addr src, dst;
	uint16_t port;
	uint8_t proto, proxy;
	uint32_t zero;
	uint64_t n;
};

static void take(void *ctx, const struct prt_item *item)
{
	struct prt_top *t = ctx;

	t->n[prt_item_see(item)]++;
	if (item->q)
		prt_heap_add(t->requests, item);
	else if (item->v.kind == POL_EVENT_DROP || item->v.kind == POL_EVENT_AUDIT)
		prt_heap_add(t->drops, item);
}

void prt_top_init(struct prt_top *t)
{
	*t = (struct prt_top){ 0 };
	prt_stream_init(&t->s);
}

void prt_top_close(struct prt_top *t)
{
	prt_stream_close(&t->s);
	prt_heap_free(t->drops);
	prt_heap_free(t->requests);
	prt_top_init(t);
}

int prt_top_open(struct prt_env *env, const struct prt_query *q, struct prt_top *t,
		 struct pol_err *e)
{
	t->drops = prt_heap_new();
	t->requests = prt_heap_new();
	if (!t->drops || !t->requests)
		return pol_err(e, -ENOMEM, "no memory");
	t->s.take = take;
	t->s.ctx = t;
	t->began_ns = prt_env_now_ns();
	return prt_stream_open(env, q, PRT_WATCH_RATE, &t->s, e);
}

int prt_top_wait(struct prt_top *t, int ms, struct pol_err *e)
{
	return prt_stream_poll(&t->s, ms, e);
}

/* ---- connections ------------------------------------------------------------------------------ */

static int by_ends(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct pair, n));
}

static int by_count(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : by_ends(a, b);
}

/* Sorted, most first; *n of them. */
static struct pair *pairs_of(const prt_flows *flows, size_t *n)
{
	struct pair *v = calloc(flows->n + 1, sizeof(*v));
	size_t k = 0;

	if (!v)
		pol_no_memory();
	for (size_t i = 0; i < flows->n; i++) {
		struct prt_ends end = prt_show_ends(&flows->v[i]);

		v[i] = (struct pair){ .src = *end.src,
				      .dst = *end.dst,
				      .port = end.dport,
				      .proto = flows->v[i].proto,
				      .n = 1 };
	}
	qsort(v, flows->n, sizeof(*v), by_ends);
	for (size_t i = 0; i < flows->n; i++) {
		if (k && !by_ends(&v[k - 1], &v[i]))
			v[k - 1].n++;
		else
			v[k++] = v[i];
	}
	qsort(v, k, sizeof(*v), by_count);
	*n = k;
	return v;
}

/* ---- text --------------------------------------------------------------------------------------- */

struct page {
	struct pol_buf *out;
	unsigned rows, columns; /* left; of each line.  0 columns: no bound */
};

/* One line, cut to the screen: by characters, none in two. */
static void put(struct page *p, const struct pol_buf *line)
{
	size_t n = 0, at = 0;

	if (!p->rows)
		return;
	p->rows--;
	while (at < line->n && line->p[at] != '\n' && (!p->columns || n < p->columns)) {
		do
			at++;
		while (at < line->n && ((unsigned char)line->p[at] & 0xc0) == 0x80);
		n++;
	}
	pol_buf_add(p->out, (struct pol_str){ line->p, at });
	pol_buf_addc(p->out, '\n');
}

POL_PRINTF(2, 3) static void put_text(struct page *p, const char *fmt, ...)
{
	struct pol_buf line = { 0 };
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pol_buf_addz(&line, text);
	put(p, &line);
	pol_buf_free(&line);
}

static void head(const struct prt_top *t, struct page *p, size_t flows, double seconds)
{
	const struct prt_gen_info *i = &t->s.book.l.gen.info;
	const uint64_t *n = t->n;
	uint64_t lost = 0;

	for (unsigned k = 0; k < POL_EVENT_KINDS; k++)
		lost += t->lost[k];
	put_text(p, "%s, generation %" PRIu64 "%s", prt_safe(i->policy), t->s.book.l.gen.number,
		 i->flags & PRT_GEN_AUDIT ? "  AUDIT: nothing is dropped by policy" : "");
	put_text(p,
		 "%zu live connections; a second: %.1f new, %.1f dropped, %.1f requests; %" PRIu64
		 " events not seen",
		 flows, (double)(n[PRT_SEE_NEW] + n[PRT_SEE_LOG]) / seconds,
		 (double)(n[PRT_SEE_DENY] + n[PRT_SEE_REJECT] + n[PRT_SEE_DROP]) / seconds,
		 (double)(n[PRT_SEE_HTTP_ALLOW] + n[PRT_SEE_HTTP_DENY] + n[PRT_SEE_HTTP_REFUSE] +
			  n[PRT_SEE_HTTP_FAIL]) /
			 seconds,
		 lost);
}

static void flows_text(const struct prt_top *t, struct page *p, unsigned rows, const struct pair *v,
		       size_t n)
{
	struct pol_buf line = { 0 };
	char room[8];

	put_text(p, "CONNECTIONS  proto   source -> destination");
	for (size_t i = 0; i < n && i < rows; i++) {
		bool ports = prt_show_has_ports(v[i].proto);

		line.n = 0;
		pol_buf_printf(&line, "%11" PRIu64 "  %-7s ", v[i].n,
			       prt_show_proto(v[i].proto, room));
		prt_show_end(&line, &t->s.book, &v[i].src, 0, false);
		pol_buf_addz(&line, " -> ");
		prt_show_end(&line, &t->s.book, &v[i].dst, v[i].port, ports);
		put(p, &line);
	}
	pol_buf_free(&line);
}

static void heap_text(const struct prt_top *t, struct page *p, unsigned rows, struct prt_heap *h,
		      const char *title)
{
	struct pol_buf line = { 0 };
	size_t n;
	const struct prt_item *const *v = prt_heap_sorted(h, &n);

	put_text(p, "%11s  time         verdict proto  source -> destination  why", title);
	for (size_t i = 0; i < n && i < rows; i++) {
		line.n = 0;
		pol_buf_printf(&line, "%11" PRIu64 "  ", v[i]->count);
		prt_item_text(&line, &t->s.book, v[i]);
		put(p, &line);
	}
	pol_buf_free(&line);
}

static void frame_text(const struct prt_top *t, enum prt_top_pane pane, struct page *p,
		       const struct pair *v, size_t n, size_t flows, double seconds)
{
	unsigned rows = p->rows > 8 ? p->rows - 5 : 3, each = pane == PRT_TOP_ALL ? rows / 3 : rows;

	head(t, p, flows, seconds);
	if (pane == PRT_TOP_ALL || pane == PRT_TOP_FLOWS)
		flows_text(t, p, each, v, n);
	if (pane == PRT_TOP_ALL || pane == PRT_TOP_DROPS)
		heap_text(t, p, each, t->drops, "DROPS");
	if (pane == PRT_TOP_ALL || pane == PRT_TOP_REQUESTS)
		heap_text(t, p, each, t->requests, "REQUESTS");
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void heap_json(const struct prt_top *t, struct pol_buf *out, struct prt_heap *h,
		      const char *key)
{
	size_t n;
	const struct prt_item *const *v = prt_heap_sorted(h, &n);

	prt_show_key(out, false, key);
	pol_buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		pol_buf_addz(out, i ? ", " : "");
		prt_item_json(out, &t->s.book, v[i]);
	}
	pol_buf_addc(out, ']');
}

static void frame_json(const struct prt_top *t, struct pol_buf *out, const struct pair *v, size_t n,
		       size_t flows, double seconds)
{
	char room[8];

	pol_buf_printf(out, "{\"seconds\": %.3f, \"live\": %zu, \"connections\": [", seconds,
		       flows);
	for (size_t i = 0; i < n && i < PAIRS_MAX; i++) {
		pol_buf_printf(out, "%s{\"count\": %" PRIu64 ", \"protocol\": \"%s\"",
			       i ? ",\n " : "", v[i].n, prt_show_proto(v[i].proto, room));
		prt_show_end_json(out, "from", &t->s.book, &v[i].src, 0);
		prt_show_end_json(out, "to", &t->s.book, &v[i].dst, v[i].port);
		pol_buf_addc(out, '}');
	}
	pol_buf_addc(out, ']');
	heap_json(t, out, t->drops, "drops");
	heap_json(t, out, t->requests, "requests");
	pol_buf_addz(out, "}\n");
}

int prt_top_frame(struct prt_top *t, enum prt_top_pane pane, unsigned rows, unsigned columns,
		  struct pol_buf *out, struct pol_err *e)
{
	uint64_t now = prt_env_now_ns();
	double seconds = (double)(now - t->began_ns + 1) / 1e9;
	struct page p = { .out = out, .rows = rows ? rows : 1000000, .columns = columns };
	prt_flows flows = { 0 };
	struct pair *v = NULL;
	size_t n = 0;
	int r = prt_flows_read(&t->s.book.l.shared, &flows, e);

	r = r ? r : prt_stream_lost(&t->s, t->lost, e);
	if (!r) {
		v = pairs_of(&flows, &n);
		if (t->s.env->json)
			frame_json(t, out, v, n, flows.n, seconds);
		else
			frame_text(t, pane, &p, v, n, flows.n, seconds);
	}
	free(v);
	pol_vec_free(&flows);
	prt_heap_clear(t->drops);
	prt_heap_clear(t->requests);
	memset(t->n, 0, sizeof(t->n));
	t->began_ns = now;
	return r;
}
