/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes what polload pinned look as if another version had done it.
 *
 *   repin FOLDER abi|layout N       in the pinned `meta` (runtime/generation/shared.h)
 *   repin FOLDER sets N             all places of dynamic sets but N have a name
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/generation/shared.h"
#include "runtime/input/object.h"

static int name_sets(const char *folder, uint32_t free)
{
	char path[4096], name[PRT_SET_NAME] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/set_names", folder);
	fd = bpf_obj_get(path);
	for (uint32_t i = 0; i + free < POL_SETS_MAX; i++) {
		snprintf(name, sizeof(name), "set%u", i);
		if (fd < 0 || bpf_map_update_elem(fd, &i, name, BPF_ANY))
			return perror(path), 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct prt_meta meta;
	uint32_t zero = 0, n;
	char path[4096];
	int fd;

	if (argc != 4) {
		fputs("usage: repin FOLDER abi|layout|sets N\n", stderr);
		return 2;
	}
	n = (uint32_t)strtoul(argv[3], NULL, 10);
	if (!strcmp(argv[2], "sets"))
		return name_sets(argv[1], n);
	snprintf(path, sizeof(path), "%s/meta", argv[1]);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &meta)) {
		perror(path);
		return 1;
	}
	if (!strcmp(argv[2], "abi"))
		meta.abi = n;
	else
		meta.layout = n;
	return bpf_map_update_elem(fd, &zero, &meta, BPF_ANY) ? perror(path), 1 : 0;
}
