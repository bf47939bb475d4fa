/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of metrics.c, which is ours line by line, as JSON. */
#include "metrics.h"

/* A line without its end, and the next one; NULL: there is none. */
static const char *next_line(const char *at, struct pol_str *line)
{
	const char *end = strchr(at, '\n');

	if (!end)
		return NULL;
	*line = (struct pol_str){ at, (size_t)(end - at) };
	return end + 1;
}

/* What is before the first of those bytes; *s is left with what is from there on. */
static struct pol_str cut(struct pol_str *s, const char *bytes)
{
	size_t n = 0;
	struct pol_str head;

	while (n < s->n && !strchr(bytes, s->p[n]))
		n++;
	head = (struct pol_str){ s->p, n };
	s->p += n;
	s->n -= n;
	return head;
}

static void skip(struct pol_str *s, size_t n)
{
	n = n < s->n ? n : s->n;
	s->p += n;
	s->n -= n;
}

/* How a family ends: its samples, if there were any. */
static void close_family(bool open, bool samples, struct pol_buf *out)
{
	if (open)
		pol_buf_addz(out, samples ? "]}" : ", \"samples\": []}");
}

/* TYPE begins a family; UNIT and HELP belong to it. */
static void comment(struct pol_str line, bool *open, bool *samples, struct pol_buf *out)
{
	struct pol_str what;

	skip(&line, 2);
	what = cut(&line, " ");
	skip(&line, 1);
	if (pol_str_is(what, "TYPE")) {
		close_family(*open, *samples, out);
		pol_buf_addz(out, *open ? ",\n {\"name\": " : " {\"name\": ");
		pol_buf_json(out, cut(&line, " "));
		skip(&line, 1);
		pol_buf_addz(out, ", \"type\": ");
		pol_buf_json(out, line);
		*open = true;
		*samples = false;
	} else if (pol_str_is(what, "UNIT") || pol_str_is(what, "HELP")) {
		cut(&line, " ");
		skip(&line, 1);
		pol_buf_addz(out, pol_str_is(what, "UNIT") ? ", \"unit\": " : ", \"help\": ");
		pol_buf_json(out, line);
	}
}

static void value_of_label(struct pol_str *line, struct pol_buf *out)
{
	struct pol_buf plain = { 0 };

	skip(line, 2); /* =" */
	while (line->n && *line->p != '"') {
		skip(line, *line->p == '\\');
		pol_buf_add(&plain, (struct pol_str){ line->p, line->n > 0 });
		skip(line, 1);
	}
	skip(line, 1);
	pol_buf_json(out, pol_buf_str(&plain));
	pol_buf_free(&plain);
}

static void sample(struct pol_str line, bool first, struct pol_buf *out)
{
	pol_buf_addz(out, first ? ", \"samples\": [\n  {\"name\": " : ",\n  {\"name\": ");
	pol_buf_json(out, cut(&line, "{ "));
	pol_buf_addz(out, ", \"labels\": {");
	for (bool more = line.n && *line.p == '{', any = false; more; any = true) {
		skip(&line, 1);
		pol_buf_addz(out, any ? ", " : "");
		pol_buf_json(out, cut(&line, "="));
		pol_buf_addz(out, ": ");
		value_of_label(&line, out);
		more = line.n && *line.p == ',';
	}
	cut(&line, " ");
	skip(&line, 1);
	pol_buf_printf(out, "}, \"value\": %.*s}", POL_STR_ARG(line));
}

void prt_metrics_json(const char *text, struct pol_buf *out)
{
	bool open = false, samples = false;
	struct pol_str line;

	pol_buf_addz(out, "[\n");
	for (const char *at = text; (at = next_line(at, &line));) {
		if (line.n && *line.p == '#') {
			comment(line, &open, &samples, out);
		} else if (line.n) {
			sample(line, !samples, out);
			samples = true;
		}
	}
	close_family(open, samples, out);
	pol_buf_addz(out, "\n]\n");
}
