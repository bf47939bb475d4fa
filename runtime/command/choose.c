/* SPDX-License-Identifier: GPL-2.0-only */
/* What is there without being said: folders, sockets, and the programs beside this one. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "polc/proxy.h"

static const char *or_env(const char *given, const char *name, const char *otherwise)
{
	const char *v = given ? NULL : getenv(name);

	return given ? given : v && *v ? v : otherwise;
}

/* Two folders of pins must not share one folder of objects: another one has its own below ours. */
static void choose_folders(struct command *c)
{
	c->env.bpffs = or_env(c->text[OPT_BPFFS], "POLC_BPFFS", PRT_BPFFS_DEFAULT);
	c->env.state = or_env(c->text[OPT_STATE], "POLC_STATE_DIR", NULL);
	if (c->env.state)
		return;
	if (!strcmp(c->env.bpffs, PRT_BPFFS_DEFAULT)) {
		c->env.state = PRT_STATE_DEFAULT;
		return;
	}
	snprintf(c->state, sizeof(c->state), "%s/%s", PRT_STATE_DEFAULT, c->env.bpffs);
	for (char *p = c->state + sizeof(PRT_STATE_DEFAULT); *p; p++) {
		if (*p == '/')
			*p = '-';
	}
	c->env.state = c->state;
}

/* polproxy is installed beside us, and so it is where both were built. */
static void choose_proxy(struct command *c)
{
	ssize_t n = readlink("/proc/self/exe", c->proxy, sizeof(c->proxy) - 16);
	char *slash;

	c->proxy[n < 0 ? 0 : n] = '\0';
	slash = strrchr(c->proxy, '/');
	strcpy(slash ? slash + 1 : c->proxy, "polproxy");
	c->env.proxy = or_env(NULL, "POLPROXY", c->proxy);
	c->env.proxy_log = or_env(NULL, "POLC_PROXY_LOG", NULL);
	c->env.proxy_socket = or_env(c->text[OPT_SOCKET], "POLC_PROXY_SOCKET", NULL);
	if (c->env.proxy_socket)
		return;
	c->env.proxy_socket = POL_PROXY_CONTROL;
	if (!strcmp(c->env.bpffs, PRT_BPFFS_DEFAULT))
		return;
	snprintf(c->socket, sizeof(c->socket), "%s/proxy.sock", c->env.state);
	c->env.proxy_socket = c->socket;
}

void cmd_choose(struct command *c)
{
	choose_folders(c);
	choose_proxy(c);
}

int cmd_become(const struct command *c, const char *name, char **argv)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - strlen(name) - 1);
	char *end = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
	struct pol_err e = { 0 };

	if (c) {
		setenv("POLC_BPFFS", c->env.bpffs, 1);
		setenv("POLC_STATE_DIR", c->env.state, 1);
		setenv("POLC_PROXY_SOCKET", c->env.proxy_socket, 1);
	}
	if (end) {
		strcpy(end + 1, name);
		execv(path, argv);
	}
	pol_err(&e, -errno, "%s: cannot run: %s", end ? path : name, strerror(errno));
	return cmd_fail(&e, EXIT_SYSTEM);
}
