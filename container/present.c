/* SPDX-License-Identifier: GPL-2.0-only */
#include "present.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "whose.h"

static bool is_there(const char *pid, const struct stat *netns)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return !stat(path, &st) && st.st_ino == netns->st_ino && st.st_dev == netns->st_dev;
}

int cn_present(int netns, struct pol_arena *arena, cn_ids *out, struct pol_err *e)
{
	struct dirent *f;
	struct stat st;
	char id[CN_ID];
	DIR *d = opendir("/proc");
	int r = 0;

	if (!d || fstat(netns, &st)) {
		r = pol_err(e, -errno, "/proc: %s", strerror(errno));
		if (d)
			closedir(d);
		return r;
	}
	while ((f = pol_readdir(d, "/proc", &r, e))) {
		if (isdigit((unsigned char)f->d_name[0]) && is_there(f->d_name, &st) &&
		    cn_process_id(f->d_name, id) && !cn_ids_have(out, pol_str(id)))
			*pol_vec_push(out) = pol_arena_str(arena, pol_str(id));
	}
	closedir(d);
	return r;
}
