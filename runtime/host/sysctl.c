/* SPDX-License-Identifier: GPL-2.0-only */
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct {
	const char *name; /* below /proc/sys */
	char want; /* '0' or '1', and what it may be else */
} settings[] = {
	{ "net/ipv4/conf/lo/accept_local", '1' },
	{ "net/ipv4/conf/lo/src_valid_mark", '1' },
	{ "net/ipv4/tcp_early_demux", '0' },
};

static int open_one(size_t i, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/%s", settings[i].name);
	return open(path, flags | O_CLOEXEC);
}

/* What cannot be read differs. */
static char value(size_t i)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = open_one(i, O_RDONLY);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 ? c : '?';
}

uint8_t prt_sysctl_differ(void)
{
	uint8_t out = 0;

	for (size_t i = 0; i < POL_ARRAY_LEN(settings); i++)
		out |= (uint8_t)((value(i) != settings[i].want) << i);
	return out;
}

const char *prt_sysctl_name(uint8_t which)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(settings); i++) {
		if (which & 1u << i)
			return settings[i].name;
	}
	return NULL;
}

int prt_sysctl_set(uint8_t which, bool on, struct pol_err *e)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(settings); i++) {
		char to = on ? settings[i].want : (char)(settings[i].want ^ '0' ^ '1');
		int fd POL_CLEANUP(pol_cleanup_fd) = -1;

		if (!(which & 1u << i) || value(i) == to)
			continue;
		fd = open_one(i, O_WRONLY);
		if (fd < 0 || write(fd, &to, 1) != 1)
			return pol_err(e, -errno, "/proc/sys/%s: cannot write: %s",
				       settings[i].name, strerror(errno));
	}
	return 0;
}
