/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the random policy of a seed, as the property test makes it: polgen SEED. */
#include <stdio.h>

#include "genpolicy.h"

int main(int argc, char **argv)
{
	struct gen_options o = { 0 };
	struct gen_policy p;
	struct pol_buf text = { 0 };

	if (argc != 2) {
		fputs("usage: polgen SEED\n", stderr);
		return 2;
	}
	gen_policy(&p, strtoull(argv[1], NULL, 0), &o);
	gen_policy_text(&p, &text);
	fputs(text.p, stdout);
	pol_buf_free(&text);
	gen_policy_free(&p);
	return 0;
}
