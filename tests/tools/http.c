/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two ends of HTTP connections, for tests: a server that keeps every byte that it receives, and
 * a client that sends any bytes.
 *
 *   http serve ADDR PORT [--record FILE] [--raw DIR] [--peers FILE] [--h2 PROGRAM]
 *	says "listening"; --peers: keeps the address of each client; answers 200 with the client's address as body; /raw/NAME with the bytes of DIR/NAME, and then
 *	closes: if there is a file DIR/NAME.then when DIR/NAME.now is there, and with its bytes first
 *	(with a header X-Early before it reads the body);
 *	/sink reads and says how many bytes the body had
 *	--h2 PROGRAM: a connection of HTTP/2 is given to it, as `PROGRAM talk`
 *   http hold ADDR PORT N
 *	opens N connections, has one request answered on each, says how many and waits for a signal
 *   http ask ADDR PORT [--timeout MS] [--answers N] [--bytes N] [--close] [--port N]
 *	sends what stands on its input, prints what comes, until the other side closes or nothing
 *	comes for that long (1000); --answers, --bytes: waits for so many status lines or bytes up to
 *	ten seconds, whatever the machine is doing, and only then that long for what should not come;
 *	--close: says that no more follows; --port: from that port; exit code 1: cannot connect, 2: reset
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ends.h"

static const char *record, *raw, *peers, *h2;
static int timeout_ms = 1000;
static size_t want_answers, want_bytes;
static bool half_close;

static void put(int fd, const void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t w = write(fd, (const char *)p + at, n - at);

		if (w < 0)
			exit(2);
		at += (size_t)w;
	}
}

/* ---- server ---------------------------------------------------------------------------- */

static char buffer[1 << 20];
static size_t have;

static bool more(int fd)
{
	ssize_t n = read(fd, buffer + have, sizeof(buffer) - 1 - have);
	int keep;

	if (n <= 0)
		return false;
	if (record) {
		keep = open(record, O_WRONLY | O_APPEND | O_CREAT, 0644);
		put(keep, buffer + have, (size_t)n);
		close(keep);
	}
	have += (size_t)n;
	buffer[have] = '\0';
	return true;
}

static void drop(size_t n)
{
	memmove(buffer, buffer + n, have - n);
	have -= n;
	buffer[have] = '\0';
}

/* Reads over a body; its length. */
static size_t body(int fd, const char *head)
{
	const char *length = strcasestr(head, "\ncontent-length:");
	size_t left = length ? strtoul(length + 16, NULL, 10) : 0, all = left;
	char *end;

	if (strcasestr(head, "\ntransfer-encoding: chunked")) {
		while (!(end = strstr(buffer, "0\r\n\r\n")))
			if (!more(fd))
				return 0;
		all = (size_t)(end - buffer);
		drop(all + 5);
		return all;
	}
	while (left) {
		size_t n = have < left ? have : left;

		drop(n);
		left -= n;
		if (left && !more(fd))
			break;
	}
	return all;
}

static void put_file(int fd, const char *name, const char *suffix)
{
	char path[256], bytes[65536];
	int from;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%.*s%s", raw ? raw : ".", (int)strcspn(name, " ?"), name,
		 suffix);
	from = open(path, O_RDONLY);
	while (from >= 0 && (n = read(from, bytes, sizeof(bytes))) > 0)
		put(fd, bytes, (size_t)n);
	if (from >= 0)
		close(from);
}

static _Noreturn void answer_raw(int fd, const char *name)
{
	char path[256];

	put_file(fd, name, "");
	snprintf(path, sizeof(path), "%s/%.*s.then", raw ? raw : ".", (int)strcspn(name, " ?"),
		 name);
	if (!access(path, F_OK)) {
		memcpy(path + strlen(path) - 4, "now", 4);
		for (int i = 0; i < 6000 && access(path, F_OK); i++)
			usleep(10000);
		put_file(fd, name, ".then");
	}
	exit(0);
}

static void answer(int fd, const char *head, size_t received, const char *peer)
{
	const char *path = strchr(head, ' ');
	char text[512], content[128];

	if (path && !strncmp(path + 1, "/raw/", 5))
		answer_raw(fd, path + 6);
	if (path && !strncmp(path + 1, "/sink", 5))
		snprintf(content, sizeof(content), "%zu\n", received);
	else
		snprintf(content, sizeof(content), "%s\n", peer);
	if (strcasestr(head, "\nupgrade: websocket")) {
		snprintf(text, sizeof(text),
			 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\n\r\n");
		put(fd, text, strlen(text));
		for (;;) { /* echo */
			if (have)
				put(fd, buffer, have), drop(have);
			if (!more(fd))
				exit(0);
		}
	}
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(content), strncmp(head, "HEAD ", 5) ? content : "");
	put(fd, text, strlen(text));
}

static void talk(int fd, const char *peer)
{
	char head[20000], *end;

	for (;;) {
		size_t n;

		while (!(end = strstr(buffer, "\r\n\r\n")))
			if (!more(fd))
				return;
		n = (size_t)(end + 4 - buffer);
		snprintf(head, sizeof(head), "%.*s", (int)n, buffer);
		drop(n);
		if (strcasestr(head, "\nexpect: 100-continue"))
			put(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		if (strcasestr(head, "\nx-early:") && strstr(head, " /raw/"))
			answer_raw(fd, strstr(head, " /raw/") + 6);
		n = body(fd, head);
		answer(fd, head, n, peer);
		if (strcasestr(head, "\nconnection: close"))
			return;
	}
}

static void note_peer(const char *peer)
{
	int fd = peers ? open(peers, O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s\n", peer);
	close(fd);
}

/* Does it begin with the preface (RFC 9113, 3.4)? */
static bool is_h2(int fd)
{
	char first[3]; /* no method of HTTP/1 begins so */

	return recv(fd, first, sizeof(first), MSG_PEEK | MSG_WAITALL) == sizeof(first) &&
	       !memcmp(first, "PRI", sizeof(first));
}

static int serve(const char *a, const char *port)
{
	int fd = end_listen(a, port, 0);

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		char peer[INET6_ADDRSTRLEN];
		int c = end_accept(fd, 0, peer);

		if (c < 0)
			continue;
		if (!fork()) {
			note_peer(peer);
			if (h2 && is_h2(c)) {
				dup2(c, 0);
				execl(h2, h2, "talk", (char *)NULL);
			}
			talk(c, peer);
			exit(0);
		}
		close(c);
	}
}

/* ---- client ----------------------------------------------------------------------------------- */

/* Counts the status lines in N more bytes of a stream; AT: how much of one the last bytes were. */
static size_t status_lines(const char *bytes, size_t n, size_t *at)
{
	static const char start[] = "HTTP/1.";
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		*at = bytes[i] == start[*at] ? *at + 1 : bytes[i] == start[0];
		if (*at == sizeof(start) - 1)
			*at = 0, found++;
	}
	return found;
}

/* All of it, for a minute at most; who has answered already may not want the rest. */
static bool say(int fd, const char *bytes, size_t n)
{
	for (int idle = 0; n && idle < 600; idle++) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t sent = send(fd, bytes, n, MSG_DONTWAIT);
		bool answered;

		if (sent >= 0) {
			bytes += sent;
			n -= (size_t)sent;
			idle = 0;
			continue;
		}
		if (errno != EAGAIN)
			return false;
		answered = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) > 0;
		if (poll(&p, 1, answered ? timeout_ms : 100) > 0)
			continue;
		if (answered)
			return false;
	}
	return !n;
}

static int ask(const char *a, const char *port)
{
	char bytes[65536];
	size_t answers = 0, all = 0, at_start = 0;
	bool reset = false;
	/* who answers may have no patience: what is there is said at once */
	ssize_t got = read(0, bytes, sizeof(bytes));
	int fd = end_dial(a, port);

	if (fd < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	for (; got > 0; got = read(0, bytes, sizeof(bytes)))
		if (!say(fd, bytes, (size_t)got)) {
			reset = true; /* by now nothing would tell it any more */
			break;
		}
	if (half_close)
		shutdown(fd, SHUT_WR);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		bool enough = answers >= want_answers && all >= want_bytes;

		if (poll(&p, 1, enough ? timeout_ms : 10000) <= 0)
			return 0;
		got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			return got < 0 || reset ? 2 : 0;
		put(1, bytes, (size_t)got);
		all += (size_t)got;
		answers += status_lines(bytes, (size_t)got, &at_start);
	}
}

/* ---- many clients that do nothing ---------------------------------------------------------------- */

static int hold(const char *a, const char *port, int n)
{
	static const char request[] = "GET /hit/7 HTTP/1.1\r\nHost: h\r\n\r\n";
	int answered = 0;
	char bytes[4096];

	end_more_files();
	for (int i = 0; i < n; i++) {
		int fd = end_dial(a, port);

		if (fd < 0)
			break;
		put(fd, request, strlen(request));
		answered += read(fd, bytes, sizeof(bytes)) > 12 && !memcmp(bytes + 9, "200", 3);
	}
	printf("%d\n", answered);
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 99;
	if (!strcmp(argv[1], "hold"))
		return argc == 5 ? hold(argv[2], argv[3], atoi(argv[4])) : 99;
	for (int i = 4; i < argc; i++) {
		if (!strcmp(argv[i], "--record") && i + 1 < argc)
			record = argv[++i];
		else if (!strcmp(argv[i], "--peers") && i + 1 < argc)
			peers = argv[++i];
		else if (!strcmp(argv[i], "--h2") && i + 1 < argc)
			h2 = argv[++i];
		else if (!strcmp(argv[i], "--raw") && i + 1 < argc)
			raw = argv[++i];
		else if (!strcmp(argv[i], "--timeout") && i + 1 < argc)
			timeout_ms = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--answers") && i + 1 < argc)
			want_answers = (size_t)atol(argv[++i]);
		else if (!strcmp(argv[i], "--bytes") && i + 1 < argc)
			want_bytes = (size_t)atol(argv[++i]);
		else if (!strcmp(argv[i], "--close"))
			half_close = true;
		else if (!strcmp(argv[i], "--port") && i + 1 < argc)
			end_port = (in_port_t)atoi(argv[++i]);
		else
			return 99;
	}
	return !strcmp(argv[1], "serve") ? serve(argv[2], argv[3]) : ask(argv[2], argv[3]);
}
