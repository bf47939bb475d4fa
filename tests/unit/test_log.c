/* SPDX-License-Identifier: GPL-2.0-only */
/* The access log: nobody waits for its reader, what is lost is counted, lines stay apart. */
#include <errno.h>
#include <fcntl.h>
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

#define LONG 6000u /* bytes of a path: more than a pipe takes as a whole */
#define SECONDS 20 /* none of this takes as long, or somebody waits */

static struct px_worker worker;
static unsigned logged;

static void begin(int fd)
{
	worker = (struct px_worker){ .log = fd };
	worker.loop = ev_loop_new(EVBACKEND_SELECT);
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
	if (torn > 1)
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

/* What a reader of requests gets has 32 bits for the time: 71 minutes. */
static void long_ones(void **state)
{
	struct px_record r = { .protocol = "HTTP/1", .verdict = "allow" };
	struct pol_proxy_request q;
	int fd[2];

	(void)state;
	begin(-1);
	px_taps_init(&worker.taps);
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
		cmocka_unit_test(pipes), cmocka_unit_test(sockets),   cmocka_unit_test(terminals),
		cmocka_unit_test(names), cmocka_unit_test(long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
