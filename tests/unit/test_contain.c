/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs apart from the rest: it comes back with its answer, or it dies alone. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/input/contain.h"

static int survivor(void *ctx, struct pol_err *e)
{
	(void)e;
	*(int *)ctx = 7;
	free(malloc(50u << 20));
	return 0;
}

static int refuser(void *ctx, struct pol_err *e)
{
	(void)ctx;
	pol_err_help(e, "help\033[2J");
	return pol_err(e, -EPROTONOSUPPORT, "no\nway");
}

static int liar(void *ctx, struct pol_err *e)
{
	(void)ctx;
	memset(e, 'x', sizeof(*e)); /* no NUL in it */
	return 12345;
}

static int crasher(void *ctx, struct pol_err *e)
{
	volatile char *nowhere = NULL;

	(void)ctx;
	(void)e;
	raise(SIGSEGV); /* the sanitizers' way out of a bad access is another one */
	return *nowhere;
}

static int aborter(void *ctx, struct pol_err *e)
{
	(void)ctx;
	(void)e;
	abort();
}

static int leaver(void *ctx, struct pol_err *e)
{
	(void)ctx;
	(void)e;
	_exit(0);
}

static int slow(void *ctx, struct pol_err *e)
{
	(void)ctx;
	(void)e;
	raise(SIGXCPU); /* as the kernel does when the time is up */
	return 0;
}

static int glutton(void *ctx, struct pol_err *e)
{
	struct pol_arena *a = pol_arena_new();

	(void)ctx;
	(void)e;
	for (int i = 0; i < 64; i++)
		pol_arena_alloc(a, 256u << 20);
	return 0;
}

static int reader(void *ctx, struct pol_err *e)
{
	(void)ctx;
	return open("/etc/passwd", O_RDONLY) < 0 ? 0 : pol_err(e, -EIO, "it could read");
}

static int writer(void *ctx, struct pol_err *e)
{
	(void)ctx;
	if (write(2, "it could write\n", 15) >= 0)
		return pol_err(e, -EIO, "it could write");
	return write(1, "it could write\n", 15) < 0 ? 0 : pol_err(e, -EIO, "it could write");
}

static int networker(void *ctx, struct pol_err *e)
{
	(void)ctx;
	return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? 0 : pol_err(e, -EIO, "it has a socket");
}

static int forker(void *ctx, struct pol_err *e)
{
	(void)ctx;
	return fork() < 0 ? 0 : pol_err(e, -EIO, "it has a child");
}

static int programmer(void *ctx, struct pol_err *e)
{
	(void)ctx;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		return 0;
	return pol_err(e, -EIO, "it has room for code");
}

static int killer(void *ctx, struct pol_err *e)
{
	(void)ctx;
	kill(getppid(), SIGTERM);
	return pol_err(e, -EIO, "it can kill");
}

static void expect(int (*f)(void *ctx, struct pol_err *e), int want, const char *says)
{
	struct pol_err e = { 0 };
	int r = prt_contain("x.bpf.o", f, NULL, &e);

	if (r != want || !strstr(e.text, says))
		fail_msg("%d, `%s`; expected %d, `%s`", r, e.text, want, says);
	if (r && r != -EIO)
		assert_true(e.help[0]);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left */
}

static void test_answers(void **state)
{
	struct pol_err e = { 0 };
	int mine = 3;

	(void)state;
	assert_int_equal(prt_contain("x", survivor, &mine, &e), 0);
	assert_int_equal(mine, 3);
	assert_int_equal(prt_contain("x", refuser, NULL, &e), -EPROTONOSUPPORT);
	assert_string_equal(e.text, "no?way");
	assert_string_equal(e.help, "help?[2J");
	e = (struct pol_err){ 0 };
	assert_int_equal(prt_contain("x", liar, NULL, &e), -EIO);
}

static void test_deaths(void **state)
{
	(void)state;
	expect(aborter, -ENOEXEC, "x.bpf.o: broken: reading it fails with `Aborted`");
	expect(leaver, -ENOEXEC, "no answer");
	if (POL_SANITIZED)
		return;
	expect(slow, -ENOEXEC, "does not end within 30 s");
	expect(crasher, -ENOEXEC, "Segmentation fault");
	expect(glutton, -ENOMEM, "x.bpf.o: cannot be read: out of memory");
}

/* Not even these: the child dies of the attempt. */
static void test_walls(void **state)
{
	(void)state;
	if (POL_SANITIZED)
		return; /* such a build has no walls, contain.c says why; the other one has this test */
	expect(reader, 0, "");
	expect(writer, -ENOEXEC, "Bad system call");
	expect(networker, -ENOEXEC, "Bad system call");
	expect(forker, -ENOEXEC, "Bad system call");
	expect(programmer, -ENOEXEC, "Bad system call");
	expect(killer, -ENOEXEC, "Bad system call");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_walls),
	};

	return cmocka_run_group_tests_name("contain", tests, NULL, NULL);
}
