/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Diagnostics: what is wrong with a policy, as data; and the one renderer.
 *
 * Passes append, nothing is printed here. A code decides the severity; codes
 * and their long texts are in lang/messages.def and never change meaning.
 *
 *	struct pol_diag *g = pol_diag(d, POL_P0217, at, "unknown endpoint or cidr `%.*s`", ...);
 *	pol_diag_label(d, g, "not defined");
 *	pol_diag_help(d, g, "did you mean `%.*s`?", ...);
 */
#ifndef POLC_DIAG_H
#define POLC_DIAG_H

#include "lang/source.h"

enum pol_severity { POL_ERROR, POL_WARNING, POL_NOTE };

/* Enumerators are POL_P0217; their value is the number, 217. */
enum pol_code {
#define POL_MESSAGE(number, severity, title, text) POL_P##number = 1##number - 10000,
#include "lang/messages.def"
#undef POL_MESSAGE
};

struct pol_message {
	uint16_t number;
	enum pol_severity severity;
	const char *title;	/* one line */
	const char *text;	/* paragraphs, ends in a newline */
};

/* "P0217", "p0217" or "217"; NULL if there is no such code. */
const struct pol_message *pol_message_find(const char *code);
/* i-th in ascending order of number, NULL past the end. */
const struct pol_message *pol_message_at(size_t i);

struct pol_diag_label {
	struct pol_diag_label *next;
	struct pol_span at;
	struct pol_str text;	/* may be empty */
};

struct pol_diag_line {		/* "= help: ..." or "= note: ..." */
	struct pol_diag_line *next;
	bool note;
	struct pol_str text;
};

struct pol_diag {
	enum pol_severity severity;
	enum pol_code code;
	struct pol_str message;		/* lower case, no full stop */
	struct pol_diag_label primary;	/* primary.at may be POL_NO_SPAN: no source is shown */
	struct pol_diag_label *also, *last_also;
	struct pol_diag_line *lines, *last_line;
};

#define POL_DIAG_KEEP 1000	/* more than this are counted, not kept */

struct pol_diags {
	struct pol_arena *arena;	/* all texts are copied into it */
	POL_VEC(struct pol_diag *) all;
	size_t n_errors, n_warnings;	/* also of those not kept */
	struct pol_diag spare;		/* what callers fill when nothing more is kept */
};

void pol_diags_init(struct pol_diags *d, struct pol_arena *a);
void pol_diags_free(struct pol_diags *d);	/* the vector; the rest is the arena's */

/* Never NULL; the result lives as long as the arena. */
struct pol_diag *pol_diag(struct pol_diags *d, enum pol_code code, struct pol_span at,
			  const char *fmt, ...) POL_PRINTF(4, 5);
void pol_diag_label(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...) POL_PRINTF(3, 4);
void pol_diag_also(struct pol_diags *d, struct pol_diag *g, struct pol_span at, const char *fmt,
		   ...)
	POL_PRINTF(4, 5);
void pol_diag_help(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...) POL_PRINTF(3, 4);
void pol_diag_note(struct pol_diags *d, struct pol_diag *g, const char *fmt, ...) POL_PRINTF(3, 4);

/* Stable order for printing: by source in order of loading, then by offset. */
void pol_diags_sort(struct pol_diags *d);

struct pol_render {
	bool json;	/* one array, one object a line */
	bool colour;	/* text only */
	size_t max;	/* errors and warnings printed before "... and N more"; 0: 100 */
};

void pol_diags_render(struct pol_buf *out, const struct pol_diags *d, const struct pol_sources *s,
		      const struct pol_render *how);
/* One of them, as text or as one JSON object. */
void pol_diag_render(struct pol_buf *out, const struct pol_diag *g, const struct pol_sources *s,
		     const struct pol_render *how);

/*
 * Text that came from outside, made harmless for a terminal: control
 * characters, escapes, bidirectional overrides and bad UTF-8 as \x1b; a tab stays.
 */
void pol_buf_clean(struct pol_buf *b, struct pol_str s);

/* "did you mean": an edit distance, small enough to be worth saying? */
bool pol_similar(struct pol_str a, struct pol_str b, unsigned *distance);

#endif
