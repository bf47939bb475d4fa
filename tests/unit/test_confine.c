/* SPDX-License-Identifier: GPL-2.0-only */
/* What a worker of the proxy can still do: each forbidden call ends a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "proxy/confine.h"

#define NOBODY 65534u

/* ---- each is one thing that somebody who took a worker over would like ---------------- */

static void open_file(void)
{
	open("/etc/hostname", O_RDONLY);
}
static void start_program(void)
{
	char *const argv[] = { "/bin/true", NULL };

	execve(argv[0], argv, NULL);
}
static void make_process(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static void raw_socket(void)
{
	socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
}
static void packet_socket(void)
{
	socket(AF_PACKET, SOCK_DGRAM, 0);
}
static void datagram_socket(void)
{
	socket(AF_INET6, SOCK_DGRAM, 0);
}
static void unix_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
}
static void netlink_socket(void)
{
	socket(AF_NETLINK, SOCK_RAW, 0);
}
static void trace_parent(void)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}
static void kill_parent(void)
{
	kill(getppid(), 0);
}
static void become_root(void)
{
	syscall(SYS_setresuid, 0, 0, 0);
}
static void more_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct cap[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	syscall(SYS_capset, &head, cap);
}
static void new_namespace(void)
{
	unshare(CLONE_NEWUSER);
}
static void map_code(void)
{
	(void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
}
static void make_code(void)
{
	mprotect((void *)((uintptr_t)make_code & ~4095ul), 4096,
		 PROT_READ | PROT_WRITE | PROT_EXEC);
}
static void load_program(void)
{
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER };

	syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
}
static void write_map(void)
{
	union bpf_attr a = { .map_fd = 0 };

	syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &a, sizeof(a));
}
static void raise_limit(void)
{
	struct rlimit l = { 1, 1 };

	setrlimit(RLIMIT_NOFILE, &l);
}

/* What its work needs. */
static void work(void)
{
	char byte = 'x';
	int fd[2], s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), mark = 0x300;
	struct linger now = { .l_onoff = 1 };

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) || pipe2(fd, O_NONBLOCK) ||
	    write(fd[1], &byte, 1) != 1 || read(fd[0], &byte, 1) != 1)
		_exit(1);
	close(s);
}

/* ---- in a process of its own ------------------------------------------------------------- */

static int confined(void (*act)(void))
{
	pid_t pid = fork();
	int how = 0;

	if (!pid) {
		struct rlimit core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &core);
		if (px_confine_privileges(NOBODY, NOBODY) || px_confine_calls())
			_exit(2);
		act();
		_exit(0);
	}
	waitpid(pid, &how, 0);
	return how;
}

static void calls(void **state)
{
	static const struct {
		const char *what;
		void (*act)(void);
	} forbidden[] = {
		{ "open a file", open_file },         { "start a program", start_program },
		{ "make a process", make_process },   { "a raw socket", raw_socket },
		{ "a packet socket", packet_socket }, { "a datagram socket", datagram_socket },
		{ "a unix socket", unix_socket },     { "a netlink socket", netlink_socket },
		{ "trace the parent", trace_parent }, { "signal the parent", kill_parent },
		{ "become root", become_root },       { "more capabilities", more_capabilities },
		{ "a namespace", new_namespace },     { "map code", map_code },
		{ "make code writable", make_code },  { "load a program", load_program },
		{ "write a map", write_map },         { "raise a limit", raise_limit },
	};
	int how;

	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
		how = confined(forbidden[i].act);
		if (!WIFSIGNALED(how) || WTERMSIG(how) != SIGSYS)
			fail_msg("%s: not killed (%#x)", forbidden[i].what, (unsigned)how);
	}
	if (POL_SANITIZED)
		return; /* the sanitizer's runtime has calls of its own to make */
	how = confined(work);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 0);
}

static void privileges(void **state)
{
	pid_t pid = fork();
	int how = 0;

	(void)state;
	if (!pid) {
		struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct cap[2] = { 0 };
		uid_t r, e, s;

		if (px_confine_privileges(NOBODY, NOBODY) || syscall(SYS_capget, &head, cap))
			_exit(1);
		if (cap[0].effective != 1u << CAP_NET_RAW ||
		    cap[0].permitted != 1u << CAP_NET_RAW || cap[0].inheritable ||
		    cap[1].effective || cap[1].permitted)
			_exit(2);
		if (getresuid(&r, &e, &s) || r != NOBODY || e != NOBODY || s != NOBODY ||
		    getgid() != NOBODY || getgroups(0, NULL))
			_exit(3);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
			_exit(4);
		if (!setresuid(0, 0, 0) || !setgroups(0, NULL))
			_exit(5);
		_exit(0);
	}
	waitpid(pid, &how, 0);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(privileges),
		cmocka_unit_test(calls),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return getenv("POLC_NO_SKIP") ? 1 : 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
