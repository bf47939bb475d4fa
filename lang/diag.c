/* SPDX-License-Identifier: GPL-2.0-only */
#include "lang/diag.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the registry -------------------------------------------------------------- */

static const struct pol_message messages[] = {
#define POL_MESSAGE(number, severity, title, text) { 1##number - 10000, severity, title, text },
#include "lang/messages.def"
#undef POL_MESSAGE
};

const struct pol_message *pol_message_at(size_t i)
{
	return i < POL_ARRAY_LEN(messages) ? &messages[i] : NULL;
}

const struct pol_message *pol_message_find(const char *code)
{
	char *end;
	unsigned long n;

	if (*code == 'P' || *code == 'p')
		code++;
	if (!isdigit((unsigned char)*code))
		return NULL;
	n = strtoul(code, &end, 10);
	for (size_t i = 0; !*end && i < POL_ARRAY_LEN(messages); i++)
		if (messages[i].number == n)
			return &messages[i];
	return NULL;
}

static enum pol_severity severity_of(enum pol_code code)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(messages); i++)
		if (messages[i].number == (uint16_t)code)
			return messages[i].severity;
	return POL_ERROR;
}

/* ---- appending --------------------------------------------------------------------- */

void pol_diags_init(struct pol_diags *d, struct pol_arena *a)
{
	*d = (struct pol_diags){ .arena = a };
}

void pol_diags_free(struct pol_diags *d)
{
	pol_vec_free(&d->all);
}

static struct pol_str vprint(struct pol_diags *d, const char *fmt, va_list ap)
{
	char text[1024];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		n = 0;
	return pol_arena_str(d->arena,
			     (struct pol_str){ text, (size_t)n < sizeof(text) ? (size_t)n
									      : sizeof(text) - 1 });
}

struct pol_diag *pol_diag(struct pol_diags *d, enum pol_code code, struct pol_span at,
			  const char *fmt, ...)
{
	enum pol_severity severity = severity_of(code);
	struct pol_diag *g = &d->spare;
	va_list ap;

	if (severity == POL_ERROR)
		d->n_errors++;
	else if (severity == POL_WARNING)
		d->n_warnings++;
	if (d->all.n < POL_DIAG_KEEP) {
		g = pol_arena_alloc(d->arena, sizeof(*g));
		*pol_vec_push(&d->all) = g;
	}
	*g = (struct pol_diag){ .severity = severity, .code = code, .primary.at = at };
	if (g == &d->spare)
		return g;
	va_start(ap, fmt);
	g->message = vprint(d, fmt, ap);
	va_end(ap);
	return g;
}

void pol_diag_label(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...)
{
	va_list ap;

	if (g == &d->spare)
		return;
	va_start(ap, fmt);
	g->primary.text = vprint(d, fmt, ap);
	va_end(ap);
}

void pol_diag_also(struct pol_diags *d, struct pol_diag *g, struct pol_span at, const char *fmt,
		   ...)
{
	struct pol_diag_label *l;
	va_list ap;

	if (g == &d->spare || pol_span_is_none(at))
		return;
	l = pol_arena_alloc(d->arena, sizeof(*l));
	l->at = at;
	va_start(ap, fmt);
	l->text = vprint(d, fmt, ap);
	va_end(ap);
	if (g->last_also)
		g->last_also->next = l;
	else
		g->also = l;
	g->last_also = l;
}

static void add_line(struct pol_diags *d, struct pol_diag *g, bool note, const char *fmt,
		     va_list ap)
{
	struct pol_diag_line *l;

	if (g == &d->spare)
		return;
	l = pol_arena_alloc(d->arena, sizeof(*l));
	l->note = note;
	l->text = vprint(d, fmt, ap);
	if (g->last_line)
		g->last_line->next = l;
	else
		g->lines = l;
	g->last_line = l;
}

void pol_diag_help(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(d, g, false, fmt, ap);
	va_end(ap);
}

void pol_diag_note(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(d, g, true, fmt, ap);
	va_end(ap);
}

static int by_place(const void *a, const void *b)
{
	const struct pol_diag *x = *(struct pol_diag *const *)a, *y = *(struct pol_diag *const *)b;
	struct pol_span p = x->primary.at, q = y->primary.at;

	/* What has no place comes last: it is about the whole. */
	if (p.file != q.file)
		return p.file < q.file ? -1 : 1;
	if (p.start != q.start)
		return p.start < q.start ? -1 : 1;
	return (int)x->code - (int)y->code;
}

void pol_diags_sort(struct pol_diags *d)
{
	if (d->all.n)
		qsort(d->all.v, d->all.n, sizeof(*d->all.v), by_place);
}

/* ---- did you mean -------------------------------------------------------------------- */

#define SIMILAR_MAX 40 /* longer names are not compared */

/* Edit distance with transpositions of neighbours. */
static unsigned edit_distance(struct pol_str a, struct pol_str b)
{
	unsigned row[3][SIMILAR_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned best = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			best = up[j] + 1 < best ? up[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				best = upup[j - 2] + 1 < best ? upup[j - 2] + 1 : best;
			now[j] = best;
		}
	}
	return row[a.n % 3][b.n];
}

bool pol_similar(struct pol_str a, struct pol_str b, unsigned *distance)
{
	size_t longer = a.n > b.n ? a.n : b.n;
	size_t allowed = longer <= 2 ? 0 : longer <= 4 ? 1 : longer <= 8 ? 2 : 3;

	if (!a.n || !b.n || longer > SIMILAR_MAX || (a.n > b.n ? a.n - b.n : b.n - a.n) > allowed)
		return false;
	*distance = edit_distance(a, b);
	return *distance <= allowed;
}
