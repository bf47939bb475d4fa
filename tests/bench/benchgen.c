/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes a policy for measurements into a folder: benchgen RULES PREFIXES SEED FOLDER. */
#include <errno.h>
#include <stdio.h>

#include "benchpolicy.h"

static int save(const char *folder, const char *name, const struct pol_buf *b)
{
	char path[512];
	struct pol_err e = { 0 };

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (pol_write_file(path, b->p ? b->p : "", b->n, &e)) {
		fprintf(stderr, "benchgen: %s\n", e.text);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct pol_buf text = { 0 }, list = { 0 };
	bench_prefixes_ used = { 0 };
	struct bench_size size;
	int r;

	if (argc != 5) {
		fputs("usage: benchgen RULES PREFIXES SEED FOLDER\n", stderr);
		return 2;
	}
	size.rules = (unsigned)strtoul(argv[1], NULL, 0);
	size.prefixes = (unsigned)strtoul(argv[2], NULL, 0);
	bench_policy(size, strtoull(argv[3], NULL, 0), &text, &list, "list.txt", &used);
	r = save(argv[4], "bench.pol", &text) || save(argv[4], "list.txt", &list);
	pol_buf_free(&text);
	pol_buf_free(&list);
	pol_vec_free(&used);
	return r;
}
