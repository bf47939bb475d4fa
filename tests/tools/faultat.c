/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that is killed, or whose system call fails, at a point that can be named again.
 *
 *   faultat kill N COMMAND [ARGUMENT...]
 *   faultat fail N [-f | -c] [-n NAME] [-o FILE] COMMAND [ARGUMENT...]
 *
 * kill counts the system calls that can leave something behind: of bpf(2) those that write to a map
 * or pin, files and folders that are made, renamed, written or removed, and what is sent to the
 * kernel by netlink.  At the entry of the Nth the command is killed, so of them N - 1 were
 * done; exit code 0.  N = 0, or more than there are: it runs to its end, and the number
 * of these calls is printed; exit code 1, or 2 if the command failed.
 *
 * fail counts faults: a system call and an errno that it may return (the table below, by section 2
 * of the manual), so a call with two of them counts twice.  The kernel never sees the Nth; the command
 * gets the errno, and goes on as it can.  The fault is printed; exit code: the command's own, or 128
 * and the number of its signal.  N = 0: all faults are printed.  -f: of its children, too; -c: of its
 * children alone.  -n: of calls of this name alone.
 * Not counted are calls of the dynamic linker, before a program has begun, and writes to the standard
 * streams (`>/dev/full` tries these).
 *
 * The command's standard output goes nowhere, or to FILE.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_KILLED = 0, EXIT_RAN = 1, EXIT_FAILED = 2, EXIT_BROKEN = 3 };

static _Noreturn void broken(const char *what)
{
	fprintf(stderr, "faultat: %s: %s\n", what, strerror(errno));
	exit(EXIT_BROKEN);
}

/* ---- which calls ------------------------------------------------------------------------ */

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

#define CALL(name, ...)                                                                            \
	{                                                                                          \
		SYS_##name, #name,                                                                 \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
static const struct call {
	long nr;
	const char *name;
	int error[3]; /* 0: no more */
} calls[] = {
	/* memory */
	CALL(mmap, ENOMEM),
	CALL(mremap, ENOMEM),
	CALL(mprotect, ENOMEM),
	/* files */
	CALL(openat, ENOMEM, EMFILE),
	CALL(read, EIO),
	CALL(pread64, EIO),
	CALL(write, ENOSPC, EIO),
	CALL(pwrite64, ENOSPC),
	CALL(writev, ENOSPC),
	CALL(lseek, EINVAL),
	CALL(fsync, EIO),
	CALL(fdatasync, EIO),
	CALL(ftruncate, ENOSPC),
	CALL(fstatfs, ENOMEM),
	CALL(statfs, ENOMEM),
	CALL(fstat, ENOMEM),
	CALL(newfstatat, ENOMEM),
	CALL(statx, ENOMEM),
	CALL(getdents64, EIO),
	CALL(readlinkat, EIO),
	CALL(mkdirat, ENOSPC),
	CALL(unlinkat, EIO),
	CALL(renameat2, EIO),
	CALL(symlinkat, ENOSPC),
	CALL(linkat, ENOSPC),
	CALL(fchmod, EIO),
	CALL(fchmodat, EIO),
	CALL(fchown, EIO),
	CALL(fchownat, EIO),
	CALL(flock, ENOLCK),
	CALL(fcntl, ENOMEM),
	CALL(ioctl, ENOMEM),
	CALL(dup, EMFILE),
	CALL(dup3, EMFILE),
	CALL(pipe2, EMFILE),
	CALL(chdir, EACCES),
	CALL(memfd_create, ENOMEM),
#ifdef SYS_open
	CALL(open, ENOMEM),
	CALL(stat, ENOMEM),
	CALL(lstat, ENOMEM),
	CALL(access, ENOMEM),
	CALL(readlink, EIO),
	CALL(mkdir, ENOSPC),
	CALL(rmdir, EIO),
	CALL(unlink, EIO),
	CALL(rename, EIO),
	CALL(symlink, ENOSPC),
	CALL(link, ENOSPC),
	CALL(chmod, EIO),
	CALL(chown, EIO),
	CALL(dup2, EMFILE),
	CALL(pipe, EMFILE),
	CALL(poll, ENOMEM),
	CALL(epoll_create, EMFILE),
	CALL(epoll_wait, EINTR),
	CALL(fork, EAGAIN),
	CALL(vfork, EAGAIN),
#endif
	/* sockets */
	CALL(socket, ENOMEM, EMFILE),
	CALL(socketpair, EMFILE),
	CALL(bind, EADDRINUSE),
	CALL(listen, ENOMEM),
	CALL(connect, EAGAIN),
	CALL(accept4, EMFILE),
	CALL(sendto, ENOBUFS, EPERM),
	CALL(sendmsg, ENOBUFS, EPERM),
	CALL(sendmmsg, ENOBUFS),
	CALL(recvfrom, ENOBUFS),
	CALL(recvmsg, ENOBUFS),
	CALL(setsockopt, ENOMEM),
	CALL(getsockopt, ENOMEM),
	CALL(getsockname, ENOBUFS),
	CALL(getpeername, ENOBUFS),
	/* the kernel's own */
	CALL(bpf, ENOMEM, EPERM),
	CALL(perf_event_open, ENOMEM),
	CALL(epoll_create1, EMFILE),
	CALL(epoll_ctl, ENOMEM),
	CALL(epoll_pwait, EINTR),
	CALL(ppoll, ENOMEM),
	CALL(timerfd_create, ENOMEM),
	CALL(timerfd_settime, EINVAL),
	CALL(signalfd4, ENOMEM),
	CALL(eventfd2, ENOMEM),
	CALL(inotify_init1, EMFILE),
	CALL(inotify_add_watch, ENOSPC),
	CALL(getrandom, ENOSYS),
	/* processes */
	CALL(clone, EAGAIN),
	CALL(execve, ENOMEM),
	CALL(wait4, EINTR),
	CALL(pidfd_open, ENOMEM),
	CALL(unshare, ENOMEM),
	CALL(setns, EPERM),
	CALL(prctl, EPERM),
	CALL(capget, EPERM),
	CALL(capset, EPERM),
	CALL(seccomp, ENOMEM),
	CALL(prlimit64, EPERM),
	CALL(setuid, EAGAIN),
	CALL(setgid, EPERM),
	CALL(setresuid, EAGAIN),
	CALL(setresgid, EPERM),
	CALL(setgroups, ENOMEM),
	CALL(setsid, EPERM),
};

/* Where the dynamic linker lies in what was executed last. */
static uint64_t linker_from, linker_to;

static void find_linker(pid_t pid)
{
	uint64_t pair[2], from, to;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	f = fopen(path, "re");
	if (!f)
		broken(path);
	while (fread(pair, sizeof(pair), 1, f) == 1)
		if (pair[0] == AT_BASE)
			linker_from = linker_to = pair[1];
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		broken(path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == linker_to)
			linker_to = to;
	fclose(f);
}

static const struct call *may_fail(const struct ptrace_syscall_info *i)
{
	uint64_t at = i->instruction_pointer;

	if (at >= linker_from && at < linker_to)
		return NULL;
	if ((i->entry.nr == SYS_write || i->entry.nr == SYS_writev) &&
	    (i->entry.args[0] == STDOUT_FILENO || i->entry.args[0] == STDERR_FILENO))
		return NULL;
	for (size_t k = 0; k < sizeof(calls) / sizeof(*calls); k++)
		if (calls[k].nr == (long)i->entry.nr)
			return &calls[k];
	return NULL;
}

/* ---- instead of the call ------------------------------------------------------------------ */

/* At the entry: the kernel gets a call that does not exist. */
static int skip_call(pid_t pid)
{
#if defined(__x86_64__)
	return (int)ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L);
#elif defined(__aarch64__)
	int none = -1;
	struct iovec v = { &none, sizeof(none) };

	return (int)ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &v);
#else
	(void)pid;
	errno = ENOSYS; /* not written for this processor */
	return -1;
#endif
}

/* At its exit: what it returns. */
static int answer(pid_t pid, int error)
{
#if defined(__x86_64__)
	return (int)ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), (long)-error);
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	struct iovec v = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v))
		return -1;
	regs.regs[0] = (uint64_t)-error;
	return (int)ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &v);
#else
	(void)pid;
	(void)error;
	return -1;
#endif
}

/* ---- following --------------------------------------------------------------------------------- */

struct run {
	pid_t main;
	bool kill, children, only_children;
	const char *only_name; /* NULL: all */
	unsigned long n, seen;
	pid_t failing; /* whose call is being skipped; 0: none */
	int error;
};

static void print_fault(const struct ptrace_syscall_info *i, const struct call *c, int error)
{
	printf("%s(%ld): %s\n", c->name, (long)i->entry.args[0], strerrorname_np(error));
	fflush(stdout);
}

/* The entry of a call of which some faults are counted. */
static void maybe_fail(struct run *r, pid_t pid, const struct ptrace_syscall_info *i)
{
	const struct call *c = may_fail(i);

	if (c && r->only_name && strcmp(c->name, r->only_name))
		return;
	for (size_t k = 0; c && k < 3 && c->error[k]; k++) {
		if (++r->seen != r->n) {
			if (!r->n)
				print_fault(i, c, c->error[k]);
			continue;
		}
		print_fault(i, c, c->error[k]);
		if (skip_call(pid))
			broken("cannot make a call fail");
		r->failing = pid;
		r->error = c->error[k];
	}
}

static void at_call(struct run *r, pid_t pid)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return; /* killed meanwhile */
	if (pid == r->failing && info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (answer(pid, r->error))
			broken("cannot make a call fail");
		r->failing = 0;
		return;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (!r->kill) {
		if (!r->only_children || pid != r->main)
			maybe_fail(r, pid, &info);
		return;
	}
	if (changes(&info) && ++r->seen == r->n) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		exit(EXIT_KILLED);
	}
}

/* The signal that a stopped process is to get. */
static int at_stop(struct run *r, pid_t pid, int status)
{
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80)) {
		at_call(r, pid);
		return 0;
	}
	if (status >> 16 == PTRACE_EVENT_EXEC)
		find_linker(pid);
	/* exec, an event, or a new child */
	return sig == SIGTRAP || status >> 16 || (sig == SIGSTOP && pid != r->main) ? 0 : sig;
}

/* Returns how the command ended, as wait(2) has it. */
static int follow(struct run *r)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	int status;

	if (r->children)
		options |= PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			   PTRACE_O_TRACECLONE;
	if (waitpid(r->main, &status, 0) != r->main || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, r->main, 0, options) || ptrace(PTRACE_SYSCALL, r->main, 0, 0))
		broken("ptrace");
	find_linker(r->main);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			broken("wait");
		if (!WIFSTOPPED(status)) {
			if (pid == r->main)
				return status;
			continue;
		}
		ptrace(PTRACE_SYSCALL, pid, 0, at_stop(r, pid, status));
	}
}

static pid_t start(char **argv, const char *out)
{
	pid_t pid = fork();

	if (pid < 0)
		broken("fork");
	if (!pid) {
		int to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (to < 0)
			broken(out);
		dup2(to, STDOUT_FILENO);
		close(to);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	struct run r = { .kill = argc > 1 && !strcmp(argv[1], "kill") };
	const char *out = "/dev/null";
	int status, at = 3;

	for (; argc > at && !r.kill && argv[at][0] == '-'; at++)
		if (!strcmp(argv[at], "-o") && argc > at + 1)
			out = argv[++at];
		else if (!strcmp(argv[at], "-n") && argc > at + 1)
			r.only_name = argv[++at];
		else if (!strcmp(argv[at], "-f"))
			r.children = true;
		else if (!strcmp(argv[at], "-c"))
			r.children = r.only_children = true;
		else
			break;
	if (argc <= at || (!r.kill && strcmp(argv[1], "fail"))) {
		fputs("usage: faultat kill N COMMAND [ARGUMENT...]\n"
		      "       faultat fail N [-f | -c] [-n NAME] [-o FILE] COMMAND [ARGUMENT...]\n",
		      stderr);
		return EXIT_BROKEN;
	}
	r.n = strtoul(argv[2], NULL, 10);
	r.main = start(argv + at, out);
	status = follow(&r);
	if (!r.kill)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("%lu\n", r.seen);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? EXIT_RAN : EXIT_FAILED;
}
