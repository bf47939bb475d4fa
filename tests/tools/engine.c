/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of a container engine as polc-agent asks, so that faults and clocks can be tried without one.
 *
 *	engine SOCKET FOLDER
 *
 * GET of a path answers with the file of that name in FOLDER, slashes as underscores and without what follows a
 * question mark (_containers_json), or with 404.  Where that name has one with .status behind it the answer
 * is that status (500 Internal Server Error); without a word in it the connection ends in the middle of the
 * answer, as that of an engine that is killed.  /events says nothing and stays open: SIGHUP makes the
 * agent look again.  One process a connection; says "listening", runs until killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *folder;

static void say(int fd, const char *text, size_t n)
{
	if (write(fd, text, n) != (ssize_t)n)
		_exit(0);
}

/* Bytes of FOLDER/path and what is behind it; -1: no such file. */
static ssize_t read_file(const char *path, const char *behind, char *out, size_t max)
{
	char file[4096 + 512];
	ssize_t n = -1;
	int in;

	snprintf(file, sizeof(file), "%.511s/%s%s", folder, path, behind);
	in = open(file, O_RDONLY | O_CLOEXEC);
	if (in >= 0) {
		n = read(in, out, max);
		close(in);
	}
	return n;
}

static void answer(int fd, char *path)
{
	static char body[20 << 20];
	char status[64] = "200 OK", head[128];
	ssize_t n, said;

	path[strcspn(path, " ?\r\n")] = '\0';
	for (char *p = path; *p; p++)
		*p = *p == '/' ? '_' : *p;
	n = read_file(path, "", body, sizeof(body));
	said = read_file(path, ".status", status, sizeof(status) - 1);
	if (said >= 0)
		status[said] = '\0';
	status[strcspn(status, "\n")] = '\0';
	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zd\r\n\r\n",
		 n < 0 ? "404 Not Found" : status, n < 0 ? 0 : n);
	if (!*status)
		_exit(0);
	say(fd, head, strlen(head));
	say(fd, body, n < 0 ? 0 : (size_t)n);
}

static _Noreturn void serve(int fd)
{
	static const char events[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	char request[4096];
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, request + have, sizeof(request) - 1 - have)) > 0) {
		have += (size_t)n;
		request[have] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		have = 0;
		if (!strncmp(request, "GET /events", 11))
			say(fd, events, sizeof(events) - 1);
		else if (!strncmp(request, "GET /", 5))
			answer(fd, request + 4);
		else
			break;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3 || strlen(argv[1]) >= sizeof(at.sun_path)) {
		fputs("usage: engine SOCKET FOLDER\n", stderr);
		return 2;
	}
	folder = argv[2];
	strcpy(at.sun_path, argv[1]);
	signal(SIGCHLD, SIG_IGN);
	if (s < 0 || bind(s, (void *)&at, sizeof(at)) || listen(s, 16))
		return perror(argv[1]), 1;
	puts("listening");
	fflush(stdout);
	for (;;) {
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			continue;
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(s);
			serve(fd);
		}
		close(fd);
	}
}
