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

/*
 * Our programs are installed beside each other, and so they are where all were built. Without /proc that cannot
 * be told: then path is in /proc too, where nobody finds anything and a message says it.
 */
static void beside_us(char *path, size_t size, const char *name)
{
	ssize_t n = readlink("/proc/self/exe", path, size - strlen(name) - 1);
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

	if (slash)
		strcpy(slash + 1, name);
	else
		snprintf(path, size, "/proc/self/exe/../%s", name);
}

static void choose_proxy(struct command *c)
{
	beside_us(c->proxy, sizeof(c->proxy), "polproxy");
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
	struct pol_err e = { 0 };

	if (c) {
		setenv("POLC_BPFFS", c->env.bpffs, 1);
		setenv("POLC_STATE_DIR", c->env.state, 1);
		setenv("POLC_PROXY_SOCKET", c->env.proxy_socket, 1);
	}
	beside_us(path, sizeof(path), name);
	execv(path, argv);
	pol_err(&e, -errno, "%s: cannot run: %s", path, strerror(errno));
	pol_err_help(&e, "it is looked for beside polload, and /proc says where that is");
	return cmd_fail(&e, EXIT_SYSTEM);
}
