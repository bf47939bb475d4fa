/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/log.h"

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

static void add_time(struct pol_buf *b)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	pol_buf_printf(b, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void add_address(struct pol_buf *b, const struct pol_addr *a, __be16 port_be)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(a->b, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, a->b + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, a->b, text, sizeof(text));
	pol_buf_printf(b, "{\"address\":\"%s\",\"port\":%u", text, ntohs(port_be));
}

static void add_name(struct pol_buf *b, const char *name)
{
	if (name[0]) {
		pol_buf_addz(b, ",\"name\":");
		pol_buf_json(b, pol_str(name));
	}
	pol_buf_addc(b, '}');
}

static void add_text(struct pol_buf *b, const char *key, struct pol_str s)
{
	if (!s.p)
		return;
	pol_buf_printf(b, ",\"%s\":", key);
	pol_buf_json(b, s);
}

/* The line that decided; without one the rule's block had none that matches. */
static void add_rule(struct pol_buf *b, const struct px_verdict *v)
{
	const struct pol_http_line_info *l;

	if (v->rule != POL_NO_RULE)
		pol_buf_printf(b, ",\"direction\":\"%s\",\"rule\":%u",
			       v->direction == POL_EGRESS ? "egress" : "ingress", v->rule);
	if (!v->gen || !v->gen->image || v->line == POL_HTTP_NO_LINE)
		return;
	l = &v->gen->view.lines[v->line];
	add_text(b, "file", pol_http_string(&v->gen->view, l->file));
	pol_buf_printf(b, ",\"line\":%u", l->line);
	add_text(b, "text", pol_http_string(&v->gen->view, l->source));
}

void px_log(struct px_worker *w, const struct px_record *r)
{
	struct pol_buf b = { 0 };

	px_taps_tell(&w->taps, r);
	if (w->log < 0)
		return;
	add_time(&b);
	pol_buf_addz(&b, ",\"source\":");
	add_address(&b, &r->key.src, r->key.sport_be);
	add_name(&b, r->source);
	pol_buf_addz(&b, ",\"destination\":");
	add_address(&b, &r->key.dst, r->key.dport_be);
	add_name(&b, r->destination);
	pol_buf_printf(&b, ",\"protocol\":\"%s\"", r->protocol);
	add_text(&b, "method", r->method);
	add_text(&b, "host", r->host);
	add_text(&b, "path", r->path);
	pol_buf_printf(&b, ",\"verdict\":\"%s\"", r->verdict);
	if (r->why)
		add_text(&b, "reason", pol_str(r->why));
	if (r->judged)
		add_rule(&b, r->judged);
	pol_buf_printf(&b, ",\"status\":%u,\"sent\":%llu,\"received\":%llu,\"ms\":%.1f}\n",
		       r->status, (unsigned long long)r->sent, (unsigned long long)r->received,
		       r->seconds * 1e3);
	/* one write a line, so that lines of several workers do not mix; a full pipe loses lines */
	if (write(w->log, b.p, b.n) != (ssize_t)b.n)
		w->count.log_lost++;
	pol_buf_free(&b);
}
