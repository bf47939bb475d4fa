/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GATHERED (64u * 1024)

/*
 * A pipe takes PIPE_BUF bytes whole or not at all (write(2)), more of them in pieces, between which
 * the lines of other workers come: who asks for a long path could tear their lines.  So to
 * anything but a file a line is not longer, and its texts have so many bytes each, quotes and all.
 * REST is what else there is: time, ends, numbers and the keys.
 */
enum { METHOD = 100, HOST = 300, PATH = 1800, FILE_NAME = 200, TEXT = 500, REST = 1100 };
_Static_assert(METHOD + HOST + PATH + FILE_NAME + TEXT + REST <= PIPE_BUF, "a line is one write");
#define CUT_MARK "\xe2\x80\xa6\""

static void add_number(struct pol_buf *b, uint64_t n)
{
	char text[20], *p = text + sizeof(text);

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	pol_buf_add(b, (struct pol_str){ p, (size_t)(text + sizeof(text) - p) });
}

static void add_fraction(struct pol_buf *b, unsigned thousandths)
{
	char text[4] = { '.', (char)('0' + thousandths / 100), (char)('0' + thousandths / 10 % 10),
			 (char)('0' + thousandths % 10) };

	pol_buf_add(b, (struct pol_str){ text, sizeof(text) });
}

static void add_duration(struct pol_buf *b, const char *key, double seconds)
{
	uint64_t us = seconds > 0 ? (uint64_t)(seconds * 1e6 + 0.5) : 0;

	pol_buf_addz(b, key);
	add_number(b, us / 1000);
	add_fraction(b, (unsigned)(us % 1000));
}

/* The loop's time.  What changes once in a second is made once in a second. */
static void add_time(struct px_worker *w, struct pol_buf *b)
{
	double now = ev_now(w->loop);
	time_t second = (time_t)now;
	struct tm tm;

	if (second != w->book.second) {
		w->book.second = second;
		gmtime_r(&second, &tm);
		strftime(w->book.time, sizeof(w->book.time), "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
	}
	pol_buf_addz(b, w->book.time);
	add_fraction(b, (unsigned)((now - (double)second) * 1000));
	pol_buf_addz(b, "Z\"");
}

static void add_end(struct pol_buf *b, const struct pol_addr *a, __be16 port_be, const char *name)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(a->b, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, a->b + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, a->b, text, sizeof(text));
	pol_buf_printf(b, "{\"address\":\"%s\",\"port\":%u", text, ntohs(port_be));
	if (name[0]) {
		pol_buf_addz(b, ",\"name\":");
		pol_buf_json(b, pol_str(name));
	}
	pol_buf_addc(b, '}');
}

char *px_log_who(const struct pol_proxy_key *key, const char *source, const char *destination)
{
	struct pol_buf b = { 0 };

	pol_buf_addz(&b, ",\"source\":");
	add_end(&b, &key->src, key->sport_be, source);
	pol_buf_addz(&b, ",\"destination\":");
	add_end(&b, &key->dst, key->dport_be, destination);
	return b.p;
}

/* So much of n bytes of JSON text, which are more, as fits into `room` and ends between two characters. */
static size_t whole_characters(const char *p, size_t n, size_t room)
{
	for (size_t i = 0, step;; i += step) {
		if (p[i] == '\\')
			step = p[i + 1] == 'u' ? 6 : 2;
		else
			step = pol_utf8_len((const unsigned char *)p + i, n - i);
		if (i + step > room)
			return i;
	}
}

/* At most `most` bytes of it, if this is not a file. */
static void add_text(struct px_worker *w, const char *key, struct pol_str s, size_t most)
{
	struct pol_buf *b = &w->book.lines;
	size_t at;

	if (!s.p)
		return;
	pol_buf_addz(b, key);
	at = b->n;
	pol_buf_json(b, s);
	if (w->book.file || b->n - at <= most)
		return;
	b->n = at + whole_characters(b->p + at, b->n - at, most - strlen(CUT_MARK));
	pol_buf_addz(b, CUT_MARK);
	w->book.cut = true;
}

/* The line that decided; without one the rule's block had none that matches. */
static void add_rule(struct px_worker *w, const struct px_verdict *v)
{
	struct pol_buf *b = &w->book.lines;
	const struct pol_http_line_info *l;

	if (v->rule != POL_NO_RULE) {
		pol_buf_addz(b, v->direction == POL_EGRESS
					? ",\"direction\":\"egress\",\"rule\":"
					: ",\"direction\":\"ingress\",\"rule\":");
		add_number(b, v->rule);
	}
	if (!v->gen || !v->gen->image || v->line == POL_HTTP_NO_LINE)
		return;
	l = &v->gen->view.lines[v->line];
	add_text(w, ",\"file\":", pol_http_string(&v->gen->view, l->file), FILE_NAME);
	pol_buf_addz(b, ",\"line\":");
	add_number(b, l->line);
	add_text(w, ",\"text\":", pol_http_string(&v->gen->view, l->source), TEXT);
}

void px_log(struct px_worker *w, const struct px_record *r)
{
	struct pol_buf *b = &w->book.lines;

	px_taps_tell(&w->taps, r);
	if (w->log < 0)
		return;
	w->book.cut = false;
	add_time(w, b);
	if (r->who)
		pol_buf_addz(b, r->who);
	add_text(w, ",\"protocol\":", pol_str(r->protocol), REST);
	add_text(w, ",\"method\":", r->method, METHOD);
	add_text(w, ",\"host\":", r->host, HOST);
	add_text(w, ",\"path\":", r->path, PATH);
	add_text(w, ",\"verdict\":", pol_str(r->verdict), REST);
	if (r->why)
		add_text(w, ",\"reason\":", pol_str(r->why), REST);
	if (r->judged)
		add_rule(w, r->judged);
	if (w->book.cut)
		pol_buf_addz(b, ",\"cut\":true");
	pol_buf_addz(b, ",\"status\":");
	add_number(b, r->status);
	pol_buf_addz(b, ",\"sent\":");
	add_number(b, r->sent);
	pol_buf_addz(b, ",\"received\":");
	add_number(b, r->received);
	if (r->answered >= 0)
		add_duration(b, ",\"answer_ms\":", r->answered);
	add_duration(b, ",\"ms\":", r->seconds);
	pol_buf_addz(b, "}\n");
	if (b->n >= GATHERED || !w->book.file)
		px_log_flush(w);
}

static ssize_t put(const struct px_worker *w, const char *p, size_t n)
{
	return w->book.socket ? send(w->log, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
			      : write(w->log, p, n);
}

void px_log_flush(struct px_worker *w)
{
	struct pol_buf *b = &w->book.lines;
	ssize_t n = 0;

	if (!b->n)
		return;
	/* a line of which a part is out ends before another begins */
	if (w->book.torn)
		w->book.torn = put(w, "\n", 1) != 1;
	if (!w->book.torn)
		n = put(w, b->p, b->n);
	n = n > 0 ? n : 0;
	if (n)
		w->book.torn = b->p[n - 1] != '\n';
	for (const char *p = b->p + n; (p = memchr(p, '\n', (size_t)(b->p + b->n - p))); p++)
		w->count.log_lost++;
	b->n = 0;
}

/* ---- where they go ------------------------------------------------------------------ */

/*
 * Standard output is not ours alone: whoever has the same open file would find it changed if it did
 * not wait any more.  So what could make a writer wait (a pipe, a terminal) is opened once more.
 */
static int open_output(struct pol_err *e)
{
	char path[32];
	struct stat s;
	int fd;

	if (fstat(STDOUT_FILENO, &s))
		return pol_err(e, -errno, "standard output: %s", strerror(errno));
	if (S_ISREG(s.st_mode) || S_ISSOCK(s.st_mode))
		return STDOUT_FILENO;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", STDOUT_FILENO);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	pol_err_help(e, "a file: --log FILE");
	return pol_err(e, -errno,
		       "standard output cannot be opened anew (%s), and who reads it slowly would "
		       "stop every connection",
		       strerror(errno));
}

int px_log_open(const char *path, struct pol_err *e)
{
	int fd;

	if (!strcmp(path, "-"))
		return open_output(e);
	fd = open(path,
		  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		  0640);
	if (fd < 0 && errno == ENXIO)
		return pol_err(e, -errno, "%s: nobody reads this pipe", path);
	return fd < 0 ? pol_err(e, -errno, "%s: cannot open: %s", path, strerror(errno)) : fd;
}

void px_log_begin(struct px_worker *w)
{
	struct stat s;

	if (w->log < 0 || fstat(w->log, &s))
		return;
	w->book.file = S_ISREG(s.st_mode);
	w->book.socket = S_ISSOCK(s.st_mode);
}
