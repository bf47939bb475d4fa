/* SPDX-License-Identifier: GPL-2.0-only */
/* The access log: nobody waits for its reader, what is lost is counted, lines stay apart. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/log.h"

#define LONG 7992u /* bytes of a path, of whole characters: more than a pipe takes as a whole */
#define SECONDS 20 /* none of this takes as long, or somebody waits */

static struct px_worker worker;
static unsigned logged;

static void begin(int fd)
{
	worker = (struct px_worker){ .log = fd };
	worker.loop = ev_loop_new(EVBACKEND_SELECT);
	px_taps_init(&worker.taps);
	logged = 0;
	px_log_begin(&worker);
}

static void finish(void)
{
	pol_buf_free(&worker.book.lines);
	ev_loop_destroy(worker.loop);
}

static void log_one(size_t n)
{
	static char path[LONG];
	struct px_record r = { .protocol = "HTTP/1",
			       .method = pol_str("GET"),
			       .host = pol_str("h"),
			       .path = { path, n },
			       .verdict = "deny",
			       .status = 403,
			       .answered = -1 };

	memset(path, 'a', sizeof(path));
	px_log(&worker, &r);
	px_log_flush(&worker);
	logged++;
}

/* What there is to read, until there is nothing more: whole lines. */
static unsigned whole_lines(int fd, unsigned *torn)
{
	static char all[1 << 22];
	unsigned whole = 0;
	size_t n = 0;
	ssize_t got;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((got = read(fd, all + n, sizeof(all) - 1 - n)) > 0)
		n += (size_t)got;
	all[n] = '\0';
	for (char *line = all, *end; (end = strchr(line, '\n')); line = end + 1) {
		bool begins = !strncmp(line, "{\"time\"", 7);

		*end = '\0';
		if (begins && end[-1] == '}' && !strstr(line + 1, "{\"time\""))
			whole++;
		else
			++*torn;
	}
	return whole;
}

/* Logs to `to` until some is lost, which nobody reads at `from` meanwhile; then goes on. */
static int fill(int from, int to)
{
	struct pol_err e = { 0 };
	int flags = fcntl(to, F_GETFL), fd;
	unsigned torn = 0, whole;

	alarm(SECONDS);
	dup2(to, STDOUT_FILENO);
	fd = px_log_open("-", &e);
	if (fd < 0)
		return 1;
	begin(fd);
	for (unsigned i = 0; i < 100000 && worker.count.log_lost < 3; i++)
		log_one(i % 2 ? 100 : LONG);
	if (worker.count.log_lost < 3)
		return 2;
	whole = whole_lines(from, &torn);
	log_one(100);
	whole += whole_lines(from, &torn);
	if (torn)
		return 3;
	if (whole + worker.count.log_lost != logged)
		return 4;
	/* what others have open waits as before */
	return fcntl(to, F_GETFL) == flags ? 0 : 5;
}

/* Standard output is taken, so each has a process of its own. */
static int result(int from, int to, int (*what)(int, int))
{
	pid_t pid = fork();
	int how;

	if (!pid)
		_exit(what(from, to));
	waitpid(pid, &how, 0);
	return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static void pipes(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(result(fd[0], fd[1], fill), 0);
}

static void sockets(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(result(fd[0], fd[1], fill), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	assert_int_equal(result(fd[0], fd[1], fill), 0);
}

/* ^S */
static int stopped(int from, int to)
{
	struct pol_err e = { 0 };
	int fd;

	(void)from;
	alarm(SECONDS);
	dup2(to, STDOUT_FILENO);
	fd = px_log_open("-", &e);
	if (fd < 0 || tcflow(to, TCOOFF))
		return 1;
	begin(fd);
	for (unsigned i = 0; i < 100; i++)
		log_one(1000);
	return worker.count.log_lost == logged ? 0 : 2;
}

static void terminals(void **state)
{
	int from, to;

	(void)state;
	if (openpty(&from, &to, NULL, NULL, NULL)) {
		puts("# no terminals here");
		return;
	}
	assert_int_equal(result(from, to, stopped), 0);
}

static void names(void **state)
{
	char folder[] = "/tmp/polc-log.XXXXXX", path[64];
	struct pol_err e = { 0 };
	int reader, fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(SECONDS);
	assert_int_equal(px_log_open(path, &e), -ENXIO);
	assert_non_null(strstr(e.text, "nobody reads this pipe"));
	reader = open(path, O_RDONLY | O_NONBLOCK);
	fd = px_log_open(path, &e);
	assert_true(fd >= 0);
	begin(fd);
	while (!worker.count.log_lost)
		log_one(100);
	alarm(0);
	finish();
	close(fd);
	close(reader);
	unlink(path);
	rmdir(folder);
}

/* The one line of a request with long texts, whose path is made of this. */
static void long_texts(int to, int from, const char *piece, char line[1 << 17])
{
	static char path[LONG], host[1000], method[500];
	struct px_record r = { .protocol = "HTTP/1.1",
			       .method = { method, sizeof(method) },
			       .host = { host, sizeof(host) },
			       .path = { path, sizeof(path) },
			       .verdict = "refuse",
			       .why = "the request line is too long",
			       .status = 414,
			       .answered = -1 };
	ssize_t n;

	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = piece[i % strlen(piece)];
	memset(host, '"', sizeof(host));
	memset(method, '\1', sizeof(method));
	begin(to);
	px_log(&worker, &r);
	px_log_flush(&worker);
	assert_int_equal(worker.count.log_lost, 0);
	n = read(from, line, (1 << 17) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_int_equal(strcspn(line, "\n"), n - 1);
	finish();
}

/* The path as the line has it, without its quotes. */
static size_t path_of(const char *line, const char **end)
{
	const char *path = strstr(line, "\"path\":\"");

	assert_non_null(path);
	path += strlen("\"path\":\"");
	*end = strstr(path, "\",\"verdict\"");
	assert_non_null(*end);
	return (size_t)(*end - path);
}

/* To a pipe a line is one write that is whole; a text that is cut is cut between characters. */
static void cut(void **state)
{
	static const struct {
		const char *piece;
		size_t bytes; /* of JSON, of each character */
	} texts[] = { { "a", 1 },
		      { "\"", 2 },
		      { "\1", 6 },
		      { "\303\251", 2 },
		      { "\xe2\x82\xac", 3 },
		      { "\xff", 6 },
		      { "\xf0\x9f\x90\x9d", 4 } };
	static char line[1 << 17];
	const char *end;
	size_t n;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		long_texts(fd[1], fd[0], texts[i].piece, line);
		assert_true(strlen(line) <= PIPE_BUF);
		n = path_of(line, &end);
		assert_true(n > 1700 && n <= 1800);
		assert_memory_equal(end - 3, "\xe2\x80\xa6", 3);
		assert_int_equal((n - 3) % texts[i].bytes, 0);
		assert_non_null(strstr(line, ",\"cut\":true,"));
	}
	/* a file takes any line */
	fd[0] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	assert_true(fd[0] >= 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char again[32];

		snprintf(again, sizeof(again), "/proc/self/fd/%d", fd[0]);
		fd[1] = open(again, O_RDONLY);
		assert_true(fd[1] >= 0);
		assert_int_equal(ftruncate(fd[0], 0), 0);
		assert_int_equal(lseek(fd[0], 0, SEEK_SET), 0);
		long_texts(fd[0], fd[1], texts[i].piece, line);
		assert_int_equal(path_of(line, &end),
				 LONG / strlen(texts[i].piece) * texts[i].bytes);
		assert_null(strstr(line, "\"cut\""));
		close(fd[1]);
	}
	close(fd[0]);
}

/* What a reader of requests gets has 32 bits for the time: 71 minutes. */
static void long_ones(void **state)
{
	struct px_record r = { .protocol = "HTTP/1", .verdict = "allow" };
	struct pol_proxy_request q;
	int fd[2];

	(void)state;
	begin(-1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	assert_int_equal(px_taps_add(&worker.taps, fd[1]), 0);
	r.seconds = 4000;
	px_log(&worker, &r);
	assert_true(read(fd[0], &q, sizeof(q)) > 0);
	assert_int_equal(q.us, 4000000000u);
	r.seconds = 5000;
	px_log(&worker, &r);
	assert_true(read(fd[0], &q, sizeof(q)) > 0);
	assert_int_equal(q.us, UINT32_MAX);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipes), cmocka_unit_test(sockets), cmocka_unit_test(terminals),
		cmocka_unit_test(names), cmocka_unit_test(cut),     cmocka_unit_test(long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
