/* SPDX-License-Identifier: GPL-2.0-only */
#include "whose.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID (CN_ID - 1)

bool cn_cgroup_id(const char *line, char id[CN_ID])
{
	for (const char *p = line; *p && *p != '\n';) {
		size_t n = strspn(p, "0123456789abcdef");

		/* docker/ID, docker-ID.scope: a name of its own, not a part of a longer one */
		if (n == ID && !isalnum((unsigned char)p[n]) && p > line && strchr("/-:", p[-1])) {
			snprintf(id, CN_ID, "%.*s", ID, p);
			return true;
		}
		p += n ? n : 1;
	}
	return false;
}

bool cn_process_id(const char *pid, char id[CN_ID])
{
	char path[64], line[4096];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = cn_cgroup_id(line, id);
	if (f)
		fclose(f);
	return found;
}

/* Namespaces that were asked about: most processes share a few. */
struct seen {
	POL_VEC(ino_t) others;
	ino_t wanted;
};

static bool is_in(struct seen *s, const char *pid, int32_t netns)
{
	char path[64];
	struct stat st;
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	if (stat(path, &st))
		return false;
	if (s->wanted)
		return st.st_ino == s->wanted;
	for (size_t i = 0; i < s->others.n; i++) {
		if (s->others.v[i] == st.st_ino)
			return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return false;
	if (prt_net_netns_id(fd) != netns) {
		*pol_vec_push(&s->others) = st.st_ino;
		return false;
	}
	s->wanted = st.st_ino;
	return true;
}

int cn_whose(int32_t netns, char id[CN_ID], struct pol_err *e)
{
	struct seen seen = { .wanted = 0 };
	char one[CN_ID];
	struct dirent *f;
	DIR *d = opendir("/proc");
	int r = -ENOENT, end = 0;

	if (!d)
		return pol_err(e, -errno, "/proc: %s", strerror(errno));
	while (r != -EEXIST && (f = pol_readdir(d, "/proc", &end, e))) {
		if (!isdigit((unsigned char)f->d_name[0]) || !is_in(&seen, f->d_name, netns) ||
		    !cn_process_id(f->d_name, one))
			continue;
		if (!r && strcmp(one, id) != 0)
			r = pol_err(e, -EEXIST, "processes of several containers are there");
		if (r == -ENOENT) {
			strcpy(id, one);
			r = 0;
		}
	}
	closedir(d);
	pol_vec_free(&seen.others);
	return end ? end : r; /* of several, one may not have been seen */
}
