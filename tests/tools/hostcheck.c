/* SPDX-License-Identifier: GPL-2.0-only */
/* hostcheck FILE...: are these host files, apart from the interfaces of this machine? */
#include <stdio.h>

#include "runtime/input/hostfile.h"

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		struct prt_hostfile *h = NULL;
		struct pol_err e = { 0 };

		if (prt_hostfile_read(argv[i], &h, &e)) {
			printf("%s\n", e.text);
			bad = 1;
		}
		prt_hostfile_free(h);
	}
	return bad;
}
