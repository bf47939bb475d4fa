/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/exchange.h"

#include <stdio.h>

#include "proxy/log.h"

static void keep(struct px_exchange *x, const struct px_worker *w, const struct pol_http_request *q)
{
	struct pol_str m = q->method, h = q->host, p = q->path;

	if (w->log < 0 && !px_taps_any(&w->taps))
		return;
	x->text = malloc(m.n + h.n + p.n + 1);
	if (!x->text)
		return;
	memcpy(x->text, m.p, m.n);
	memcpy(x->text + m.n, h.p, h.n);
	memcpy(x->text + m.n + h.n, p.p, p.n);
	x->method = (struct pol_str){ x->text, m.n };
	x->host = (struct pol_str){ x->text + m.n, h.n };
	x->path = (struct pol_str){ x->text + m.n + h.n, p.n };
}

enum px_answer px_exchange_judge(struct px_exchange *x, struct px_conn *c, const struct px_head *h)
{
	struct pol_http_request q = { .method = h->method,
				      .host = { h->host, h->nhost },
				      .path = h->path,
				      .query = { h->path.p + h->path.n, h->target.n - h->path.n },
				      .field = h->field,
				      .nfields = h->nfields,
				      .upgrade = h->upgrade };

	keep(x, c->w, &q);
	x->verdict = px_conn_judge(c, &q);
	x->judged = true;
	px_generation_hold(x->verdict.gen); /* the log wants its texts when it may be gone */
	return x->verdict.answer;
}

void px_exchange_free(struct px_exchange *x)
{
	px_generation_drop(x->verdict.gen);
	free(x->text);
	*x = (struct px_exchange){ 0 };
}

void px_exchange_end(struct px_exchange *x, const struct px_conn *c, const char *verdict,
		     const char *why)
{
	struct px_record r = { .key = c->key,
			       .who = c->who,
			       .protocol = c->protocol->name,
			       .method = x->method,
			       .host = x->host,
			       .path = x->path,
			       .verdict = verdict,
			       .why = why,
			       .judged = x->judged ? &x->verdict : NULL,
			       .status = x->status,
			       .sent = x->sent,
			       .received = x->received,
			       .seconds = ev_now(c->w->loop) - x->began,
			       .answered = x->answered > 0 ? x->answered - x->began : -1 };

	px_log(c->w, &r);
	px_exchange_free(x);
}

const char *px_phrase(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 417:
		return "Expectation Failed";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "HTTP Version Not Supported";
	}
}

void px_exchange_rule(const struct px_exchange *x, const struct px_worker *w, unsigned status,
		      char *out, size_t size)
{
	const struct px_verdict *v = &x->verdict;
	const struct pol_http_line_info *l;
	struct pol_str file;

	out[0] = '\0';
	if (status != 403 || !w->name_rules || !x->judged || !v->gen || !v->gen->image)
		return;
	if (v->line == POL_HTTP_NO_LINE) {
		snprintf(out, size, "none");
		return;
	}
	l = &v->gen->view.lines[v->line];
	file = pol_http_string(&v->gen->view, l->file);
	snprintf(out, size, "%.*s:%u", (int)(file.n < 128 ? file.n : 128), file.p, l->line);
	/* The name of a file is its author's: nothing in it may end the line. */
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}
