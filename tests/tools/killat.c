/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kills a program at a point that can be named again.
 *
 *   killat N COMMAND [ARGUMENT...]
 *
 * counts the system calls of the command that can leave something behind: of bpf(2) those that
 * write to a map or pin, files and folders that are made, renamed, written or removed, and what is
 * sent to the kernel by netlink.  At the entry of the Nth the command is killed, so of them
 * N - 1 were done; exit code 0.  N = 0, or more than there are: it runs to its end, and the number
 * of these calls is printed; exit code 1, or 2 if the command failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int broken(const char *what)
{
	fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
	return 3;
}

static bool changes(const struct ptrace_syscall_info *i)
{
	switch (i->entry.nr) {
	case SYS_bpf:
		return i->entry.args[0] == BPF_MAP_UPDATE_ELEM ||
		       i->entry.args[0] == BPF_MAP_DELETE_ELEM || i->entry.args[0] == BPF_OBJ_PIN;
	case SYS_openat:
		return i->entry.args[2] & O_CREAT;
#ifdef SYS_mkdir
	case SYS_mkdir:
	case SYS_rmdir:
	case SYS_unlink:
	case SYS_rename:
#endif
	case SYS_mkdirat:
	case SYS_unlinkat:
	case SYS_renameat2:
#ifdef SYS_renameat
	case SYS_renameat:
#endif
	case SYS_symlinkat:
	case SYS_write:
	case SYS_fsync:
	case SYS_sendto:
	case SYS_sendmsg:
		return true;
	default:
		return false;
	}
}

/* Runs to the next stop of the child; false when it has ended. */
static bool next_stop(pid_t pid, int signal_on, int *status)
{
	if (ptrace(PTRACE_SYSCALL, pid, 0, signal_on) || waitpid(pid, status, 0) != pid)
		exit(broken("ptrace"));
	return WIFSTOPPED(*status);
}

static int follow(pid_t pid, unsigned long n)
{
	struct ptrace_syscall_info info;
	unsigned long seen = 0;
	int status, pass = 0;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return broken("ptrace");
	while (next_stop(pid, pass, &status)) {
		pass = WSTOPSIG(status);
		if (pass == SIGTRAP) /* exec */
			pass = 0;
		if (pass != (SIGTRAP | 0x80))
			continue;
		pass = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
			return broken("ptrace");
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes(&info) || ++seen != n)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return 0;
	}
	printf("%lu\n", seen);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 1 : 2;
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 3) {
		fputs("usage: killat N COMMAND [ARGUMENT...]\n", stderr);
		return 3;
	}
	pid = fork();
	if (pid < 0)
		return broken("fork");
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	return follow(pid, strtoul(argv[1], NULL, 10));
}
