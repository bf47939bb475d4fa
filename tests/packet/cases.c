// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cases.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int let(struct cases *c, char *text)
{
	char *blank = strpbrk(text, " \t");

	if (!blank || c->nlets == 64) {
		printf("not ok - %s:%d: want let NAME WORDS\n", c->file, c->line);
		return -1;
	}
	*blank = '\0';
	c->let[c->nlets].name = strdup(text);
	c->let[c->nlets++].text = strdup(blank + 1);
	return 0;
}

/* $NAME -> its words. */
static void expand(const struct cases *c, const char *in, char *out, size_t size)
{
	size_t n = 0;

	while (*in && n + 1 < size) {
		size_t len = *in == '$' ? strcspn(in + 1, " \t:$=") : 0;
		int i;

		for (i = 0; len && i < c->nlets; i++)
			if (strlen(c->let[i].name) == len && !strncmp(c->let[i].name, in + 1, len))
				break;
		if (len && i < c->nlets) {
			n += snprintf(out + n, size - n, "%s", c->let[i].text);
			in += len + 1;
		} else {
			out[n++] = *in++;
		}
	}
	out[n < size ? n : size - 1] = '\0';
}

static int whole(struct cases *c, const char *raw, int (*one)(void *arg, char *line), void *arg)
{
	char line[CASE_LINE];

	expand(c, raw, line, sizeof(line));
	return strncmp(line, "let ", 4) ? one(arg, line) : let(c, line + 4);
}

int cases_read(struct cases *c, const char *path, int (*one)(void *arg, char *line), void *arg)
{
	char *line = NULL, joined[CASE_LINE] = "";
	FILE *f = fopen(path, "r");
	size_t cap = 0;
	bool more;
	int bad = 0, n = 0;

	*c = (struct cases){ .file = path };
	if (!f) {
		printf("not ok - %s: cannot open: %s\n", path, strerror(errno));
		return -1;
	}
	do {
		more = getline(&line, &cap, f) >= 0;
		if (more)
			line[strcspn(line, "\n")] = '\0';
		n++;
		if (more && (line[0] == ' ' || line[0] == '\t')) {
			strncat(joined, line, sizeof(joined) - strlen(joined) - 1);
			continue;
		}
		if (*joined)
			bad += whole(c, joined, one, arg) != 0;
		snprintf(joined, sizeof(joined), "%s", more && *line != '#' ? line : "");
		c->line = n;
	} while (more);
	free(line);
	fclose(f);
	while (c->nlets) {
		free(c->let[--c->nlets].name);
		free(c->let[c->nlets].text);
	}
	return bad;
}
