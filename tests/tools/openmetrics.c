/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads OpenMetrics text (OpenMetrics 1.0) on standard input and says what is wrong with it; else
 * prints the names of its families. For gauges, counters and infos, which are all that we have.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 200000

static char family[256], type[32], unit[64];
static bool has_sample;
static char *seen_families[4096], *series[LINES_MAX];
static size_t nfamilies, nseries, line_no;

static int wrong(const char *what, const char *line)
{
	fprintf(stderr, "openmetrics: line %zu: %s: %s\n", line_no, what, line);
	exit(1);
}

static size_t name_length(const char *p, bool label)
{
	size_t n = 0;

	while (isalpha((unsigned char)p[n]) || p[n] == '_' || (!label && p[n] == ':') ||
	       (n && isdigit((unsigned char)p[n])))
		n++;
	return n;
}

static void open_family(const char *line, const char *name, size_t n)
{
	if (n >= sizeof(family))
		wrong("a name that long", line);
	memcpy(family, name, n);
	family[n] = '\0';
	type[0] = unit[0] = '\0';
	has_sample = false;
	for (size_t i = 0; i < nfamilies; i++)
		if (!strcmp(seen_families[i], family))
			wrong("a family that was there already", line);
	seen_families[nfamilies++] = strdup(family);
}

static void metadata(const char *line)
{
	static const char *const words[] = { "# TYPE ", "# UNIT ", "# HELP " };
	size_t k, n;
	const char *p;

	for (k = 0; k < 3 && strncmp(line, words[k], 7); k++)
		;
	if (k == 3)
		wrong("neither TYPE, UNIT, HELP nor EOF", line);
	p = line + 7;
	n = name_length(p, false);
	if (!n || p[n] != ' ')
		wrong("no name", line);
	if (strncmp(p, family, n) || family[n])
		open_family(line, p, n);
	if (has_sample)
		wrong("metadata behind samples", line);
	p += n + 1;
	if (k == 0) {
		if (type[0] || (strcmp(p, "gauge") && strcmp(p, "counter") && strcmp(p, "info")))
			wrong("a second or unknown type", line);
		strcpy(type, p);
	} else if (k == 1) {
		size_t f = strlen(family), u = strlen(p);

		if (f <= u + 1 || family[f - u - 1] != '_' || strcmp(family + f - u, p))
			wrong("the family's name does not end in its unit", line);
	} else {
		for (; *p; p++)
			if (*p == '\\' && *++p != '\\' && *p != 'n' && *p != '"')
				wrong("a bad escape", line);
	}
}

/* Behind the labels; NULL-terminated names are unique. */
static const char *labels(const char *line, const char *p)
{
	char *names[64];
	size_t count = 0;

	for (p++; *p != '}';) {
		size_t n = name_length(p, true);

		if (!n || p[n] != '=' || p[n + 1] != '"')
			wrong("no label", line);
		if (count == 64)
			wrong("too many labels", line);
		names[count] = strndup(p, n);
		for (size_t i = 0; i < count; i++)
			if (!strcmp(names[i], names[count]))
				wrong("a label twice", line);
		count++;
		for (p += n + 2; *p != '"'; p++) {
			if (!*p || (unsigned char)*p < 0x20)
				wrong("a value without end", line);
			if (*p == '\\' && *++p != '\\' && *p != '"' && *p != 'n')
				wrong("a bad escape", line);
		}
		p++;
		if (*p == ',' && p[1] != '}')
			p++;
		else if (*p != '}')
			wrong("neither a comma nor the end of the labels", line);
	}
	while (count)
		free(names[--count]);
	return p + 1;
}

static void sample(const char *line)
{
	size_t n = name_length(line, false), f = strlen(family);
	const char *p = line + n, *suffix = line + f;
	char *end;
	double v;

	if (!n || !f || strncmp(line, family, f) || n < f)
		wrong("a sample outside of its family", line);
	if (!type[0])
		wrong("a sample without a type", line);
	if (strncmp(suffix,
		    !strcmp(type, "counter") ? "_total"
		    : !strcmp(type, "info")  ? "_info"
					     : "",
		    n - f) ||
	    n - f != (!strcmp(type, "counter") ? 6
		      : !strcmp(type, "info")  ? 5
					       : 0))
		wrong("a suffix that does not fit the type", line);
	if (*p == '{')
		p = labels(line, p);
	series[nseries] = strndup(line, (size_t)(p - line));
	for (size_t i = 0; i < nseries; i++)
		if (!strcmp(series[i], series[nseries]))
			wrong("a series twice", line);
	if (++nseries == LINES_MAX)
		wrong("too many", line);
	if (*p != ' ')
		wrong("no value", line);
	v = strtod(p + 1, &end);
	if (end == p + 1 || *end || p[1] == ' ')
		wrong("no number", line);
	if ((!strcmp(type, "counter") && !(v >= 0)) || (!strcmp(type, "info") && v != 1))
		wrong("a value that the type does not have", line);
	has_sample = true;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool eof = false;

	while ((n = getline(&line, &room, stdin)) > 0) {
		line_no++;
		if (eof)
			wrong("something behind EOF", line);
		if (line[n - 1] != '\n' || strlen(line) != (size_t)n)
			wrong("no end of line, or a NUL", line);
		line[n - 1] = '\0';
		if (!strcmp(line, "# EOF"))
			eof = true;
		else if (line[0] == '#')
			metadata(line);
		else
			sample(line);
	}
	if (!eof)
		wrong("no EOF", "");
	for (size_t i = 0; i < nfamilies; i++)
		puts(seen_families[i]);
	return 0;
}
