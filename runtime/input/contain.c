/* SPDX-License-Identifier: GPL-2.0-only */
#include "contain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

/* Behind the filter only empty ones can be made; libbpf wants one for each map. */
#if defined(ARCH) && !POL_SANITIZED
#define FILES_MAX 1024
#else
#define FILES_MAX 0
#endif

/* ---- what the child may ask the kernel for ------------------------------------ */

#define FILTER_MAX 96

struct filter {
	struct sock_filter v[FILTER_MAX];
	unsigned short n;
};

#define NR offsetof(struct seccomp_data, nr)
/* The low half, which is all that the kernel takes of an int; this machine is little-endian. */
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i))

static void load(struct filter *f, size_t offset)
{
	f->v[f->n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static void test(struct filter *f, uint16_t how, uint32_t k, uint8_t yes, uint8_t no)
{
	f->v[f->n++] = (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | how | BPF_K), k, yes, no);
}

static void end(struct filter *f, uint32_t action)
{
	f->v[f->n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

static void answer(struct filter *f, long nr, uint32_t action)
{
	test(f, BPF_JEQ, (uint32_t)nr, 0, 1);
	end(f, action);
}

static void allow_if(struct filter *f, long nr, unsigned arg, uint32_t value)
{
	test(f, BPF_JEQ, (uint32_t)nr, 0, 4);
	load(f, ARG(arg));
	test(f, BPF_JEQ, value, 0, 1);
	end(f, SECCOMP_RET_ALLOW);
	end(f, SECCOMP_RET_KILL_PROCESS);
}

/* Memory that is no file and no program. */
static void allow_memory(struct filter *f)
{
	test(f, BPF_JEQ, SYS_mmap, 0, 6);
	load(f, ARG(2));
	test(f, BPF_JSET, PROT_EXEC, 3, 0);
	load(f, ARG(4));
	test(f, BPF_JEQ, (uint32_t)-1, 0, 1);
	end(f, SECCOMP_RET_ALLOW);
	end(f, SECCOMP_RET_KILL_PROCESS);
	test(f, BPF_JEQ, SYS_mprotect, 0, 4);
	load(f, ARG(2));
	test(f, BPF_JSET, PROT_EXEC, 1, 0);
	end(f, SECCOMP_RET_ALLOW);
	end(f, SECCOMP_RET_KILL_PROCESS);
}

static void write_filter(struct filter *f, int pipe_end, pid_t self, uint32_t arch)
{
	static const long allowed[] = {
		SYS_brk,
		SYS_munmap,
		SYS_mremap,
		SYS_madvise,
		SYS_exit_group,
		/* libbpf asks for the kernel's version; abort() is a signal to oneself. */
		SYS_uname,
		SYS_getpid,
		SYS_gettid,
		SYS_rt_sigprocmask,
		SYS_clock_gettime,
		/* libbpf from 1.4 on keeps a place for each map with an empty file, that nobody can write. */
		SYS_memfd_create,
		SYS_close,
		/*
		 * The C library's own: locks, qsort() asking how much memory there is, the
		 * hardening of malloc().
		 */
		SYS_futex,
		SYS_sched_yield,
		SYS_sysinfo,
		SYS_getrandom,
		/* The kernel's own, after a stop. */
		SYS_restart_syscall,
		SYS_rt_sigreturn,
	};
	/* libbpf looks for the version in /proc too, and takes no for an answer. */
	static const long refused[] = {
#ifdef SYS_access
		SYS_access,
#endif
		SYS_openat,
		SYS_faccessat,
		SYS_faccessat2,
	};

	load(f, offsetof(struct seccomp_data, arch));
	test(f, BPF_JEQ, arch, 1, 0);
	end(f, SECCOMP_RET_KILL_PROCESS);
	load(f, NR);
	for (size_t i = 0; i < POL_ARRAY_LEN(allowed); i++)
		answer(f, allowed[i], SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < POL_ARRAY_LEN(refused); i++)
		answer(f, refused[i], SECCOMP_RET_ERRNO | EACCES);
	allow_if(f, SYS_write, 0, (uint32_t)pipe_end);
	allow_if(f, SYS_tgkill, 0, (uint32_t)self);
	allow_if(f, SYS_fcntl, 1, F_DUPFD_CLOEXEC); /* of such a place, to another number */
	allow_memory(f);
	end(f, SECCOMP_RET_KILL_PROCESS);
}

static int shut_kernel(int pipe_end)
{
#ifdef ARCH
	struct filter f = { .n = 0 };
	struct sock_fprog program = { .filter = f.v };

	write_filter(&f, pipe_end, getpid(), ARCH);
	program.len = f.n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
#else
	(void)pipe_end;
	return 0; /* the other walls stand */
#endif
}

/* ---- the child -------------------------------------------------------------------- */

/* Only ever down: to raise a limit that somebody set takes a capability that we may not have. */
static int limit(int what, uint64_t value)
{
	/* A second more before the kernel is rude, so that the parent can tell which limit it was. */
	struct rlimit l = { value, value + (what == RLIMIT_CPU) }, now;

	if (getrlimit(what, &now))
		return -errno;
	if (l.rlim_max > now.rlim_max)
		l.rlim_max = now.rlim_max;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	return setrlimit(what, &l) ? -errno : 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &head, none))
		return -errno;
	return 0;
}

static int close_others(int pipe_end)
{
	unsigned from = POL_SANITIZED ? 3 : 0, to = (unsigned)pipe_end;

	if ((to > from && syscall(SYS_close_range, from, to - 1, 0)) ||
	    syscall(SYS_close_range, to + 1, ~0u, 0))
		return -errno;
	return 0;
}

/* The walls, in an order in which each can still be built.  A build with sanitizers does without some. */
static int wall_in(int pipe_end)
{
	int r = close_others(pipe_end);

	r = r ? r : limit(RLIMIT_CORE, 0);
	r = r ? r : limit(RLIMIT_FSIZE, 0);
	r = r ? r : limit(RLIMIT_NOFILE, FILES_MAX);
	r = r ? r : limit(RLIMIT_CPU, PRT_CONTAIN_SECONDS);
	r = r || POL_SANITIZED ? r : limit(RLIMIT_AS, PRT_CONTAIN_MEMORY);
	r = r ? r : drop_capabilities();
	return r || POL_SANITIZED ? r : shut_kernel(pipe_end);
}

/* What comes back; the parent believes nothing of it that it does not check. */
struct report {
	uint32_t walled;
	int32_t code;
	struct pol_err err;
};

static void child(int pipe_end, int (*f)(void *ctx, struct pol_err *e), void *ctx)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGXCPU };
	struct report r = { .walled = 0 };
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < POL_ARRAY_LEN(deadly); i++)
		signal(deadly[i], SIG_DFL); /* nobody's handler runs on what a crash left */
	pol_no_memory_fd = pipe_end; /* instead of a report */
	r.code = wall_in(pipe_end);
	r.walled = !r.code;
	if (r.walled)
		r.code = f(ctx, &r.err);
	n = write(pipe_end, &r, sizeof(r));
	_exit(n != (ssize_t)sizeof(r));
}

/* ---- the parent --------------------------------------------------------------------- */

static int died(const char *path, int status, struct pol_err *e)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig == SIGXCPU) {
		pol_err_help(
			e,
			"nobody needs such a file; do not use it before you know where it is from");
		return pol_err(e, -ENOEXEC, "%s: broken: reading it does not end within %u s", path,
			       PRT_CONTAIN_SECONDS);
	}
	pol_err_help(
		e,
		"do not use it before you know where it is from; the parser's bug is ours, please report it with the file");
	return pol_err(e, -ENOEXEC, "%s: broken: reading it fails with `%s`; nothing was done",
		       path, sig ? strsignal(sig) : "no answer");
}

static int no_memory(const char *path, struct pol_err *e)
{
	pol_err_help(
		e,
		"reading it may use %llu GiB, and a file that polc made needs little of that: free memory, or do not use it before you know where it is from",
		PRT_CONTAIN_MEMORY >> 30);
	return pol_err(e, -ENOMEM, "%s: cannot be read: out of memory; nothing was done", path);
}

static int believe(const char *path, struct report *r, struct pol_err *e)
{
	if (!r->walled)
		return pol_err(e, -EPERM, "%s: cannot be read apart from the rest: %s", path,
			       strerror(r->code < 0 && r->code > -4096 ? -r->code : EIO));
	if (!r->code)
		return 0;
	r->err.text[sizeof(r->err.text) - 1] = '\0';
	r->err.help[sizeof(r->err.help) - 1] = '\0';
	if (r->err.help[0])
		pol_err_help(e, "%s", prt_safe(r->err.help));
	return pol_err(e, r->code < 0 && r->code > -4096 ? r->code : -EIO, "%s",
		       r->err.text[0] ? prt_safe(r->err.text) : "refused without a word");
}

static size_t read_report(int fd, struct report *r)
{
	size_t n = 0;

	while (n < sizeof(*r)) {
		ssize_t got = read(fd, (char *)r + n, sizeof(*r) - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

int prt_contain(const char *path, int (*f)(void *ctx, struct pol_err *e), void *ctx,
		struct pol_err *e)
{
	int from POL_CLEANUP(pol_cleanup_fd) = -1, to POL_CLEANUP(pol_cleanup_fd) = -1;
	int ends[2], status = 0;
	struct report r;
	size_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return pol_err(e, -errno, "%s: cannot make a pipe: %s", path, strerror(errno));
	from = ends[0];
	to = ends[1];
	pid = fork();
	if (pid < 0)
		return pol_err(e, -errno, "%s: cannot fork: %s", path, strerror(errno));
	if (!pid)
		child(to, f, ctx);
	close(to);
	to = -1;
	n = read_report(from, &r);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == strlen(POL_NO_MEMORY) && !memcmp(&r, POL_NO_MEMORY, n))
		return no_memory(path, e);
	if (n != sizeof(r) || !WIFEXITED(status) || WEXITSTATUS(status))
		return died(path, status, e);
	return believe(path, &r, e);
}
