/* SPDX-License-Identifier: GPL-2.0-only */
#include "samples.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/input/env.h"

void prt_samples_begin(struct prt_samples *s, struct pol_buf *out, bool json)
{
	*s = (struct prt_samples){ .out = out, .json = json };
	if (json)
		pol_buf_addz(out, "[");
}

static void close_family(struct prt_samples *s)
{
	if (s->json && s->name)
		pol_buf_addz(s->out, s->some ? "\n ]}" : "]}");
}

static void family_json(struct prt_samples *s, const char *type, const char *unit, const char *help)
{
	pol_buf_printf(s->out, " {\"name\": \"%s\", \"type\": \"%s\"", s->name, type);
	if (unit)
		pol_buf_printf(s->out, ", \"unit\": \"%s\"", unit);
	pol_buf_addz(s->out, ", \"help\": ");
	pol_buf_json(s->out, pol_str(help));
	pol_buf_addz(s->out, ", \"samples\": [");
}

void prt_family(struct prt_samples *s, const char *name, const char *type, const char *unit,
		const char *help)
{
	close_family(s);
	if (s->json)
		pol_buf_addz(s->out, s->name ? ",\n" : "\n");
	s->name = name;
	s->suffix = !strcmp(type, "counter") ? "_total" : !strcmp(type, "info") ? "_info" : "";
	s->some = false;
	if (s->json) {
		family_json(s, type, unit, help);
		return;
	}
	pol_buf_printf(s->out, "# TYPE %s %s\n", name, type);
	if (unit)
		pol_buf_printf(s->out, "# UNIT %s %s\n", name, unit);
	pol_buf_printf(s->out, "# HELP %s %s\n", name, help);
}

static void enter(struct prt_samples *s)
{
	if (s->inside)
		return;
	s->inside = true;
	s->labelled = false;
	if (s->json)
		pol_buf_printf(s->out, "%s\n  {\"name\": \"%s%s\", \"labels\": {",
			       s->some ? "," : "", s->name, s->suffix);
	else
		pol_buf_printf(s->out, "%s%s", s->name, s->suffix);
	s->some = true;
}

void prt_label(struct prt_samples *s, const char *key, const char *value)
{
	const char *safe = prt_safe(value);

	enter(s);
	if (s->json) {
		pol_buf_printf(s->out, "%s\"%s\": ", s->labelled ? ", " : "", key);
		pol_buf_json(s->out, pol_str(safe));
	} else {
		pol_buf_printf(s->out, "%s%s=\"", s->labelled ? "," : "{", key);
		for (const char *p = safe; *p; p++) {
			if (*p == '"' || *p == '\\')
				pol_buf_addc(s->out, '\\');
			pol_buf_addc(s->out, *p);
		}
		pol_buf_addc(s->out, '"');
	}
	s->labelled = true;
}

void prt_label_number(struct prt_samples *s, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	prt_label(s, key, text);
}

void prt_sample(struct prt_samples *s, uint64_t value)
{
	enter(s);
	if (s->json)
		pol_buf_printf(s->out, "}, \"value\": %" PRIu64 "}", value);
	else
		pol_buf_printf(s->out, "%s %" PRIu64 "\n", s->labelled ? "}" : "", value);
	s->inside = false;
}

void prt_gauge(struct prt_samples *s, const char *name, const char *help, uint64_t value)
{
	prt_family(s, name, "gauge", NULL, help);
	prt_sample(s, value);
}

void prt_samples_end(struct prt_samples *s)
{
	close_family(s);
	pol_buf_addz(s->out, s->json ? "\n]\n" : "# EOF\n");
}
