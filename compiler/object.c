/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <polc/manifest.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"

/* ---- files in memory: clang's input, output and messages ------------------------ */

/* Not below 3, where dup2() in the child would find it in the place of a closed stdin. */
static int memory_file(const char *name, struct pol_err *e)
{
	int low POL_CLEANUP(pol_cleanup_fd) = memfd_create(name, MFD_CLOEXEC);
	int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return pol_err(e, -errno, "cannot make a file in memory: %s", strerror(errno));
	return fd;
}

static int fill(int fd, struct pol_str s, struct pol_err *e)
{
	while (s.n) {
		ssize_t put = write(fd, s.p, s.n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return pol_err(e, -errno, "cannot hand the C text to clang: %s",
				       strerror(errno));
		s.p += put;
		s.n -= (size_t)put;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? pol_err(e, -errno, "cannot rewind: %s", strerror(errno))
					  : 0;
}

/* From its beginning. */
static int drain(int fd, size_t n, struct pol_buf *out, struct pol_err *e)
{
	char block[65536];

	for (size_t at = 0; at < n;) {
		size_t want = n - at < sizeof(block) ? n - at : sizeof(block);
		ssize_t got = pread(fd, block, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return pol_err(e, got ? -errno : -EIO, "cannot read what clang wrote: %s",
				       got ? strerror(errno) : "too short");
		pol_buf_add(out, (struct pol_str){ block, (size_t)got });
		at += (size_t)got;
	}
	return 0;
}

static size_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size;
}

/* ---- clang ------------------------------------------------------------------------- */

struct run {
	POL_VEC(char *) argv;
	int in, out, messages;
	const char *dir; /* where clang runs */
};

static void arg(struct run *r, struct pol_arena *a, const char *z)
{
	*pol_vec_push(&r->argv) = (char *)pol_arena_str(a, pol_str(z)).p;
}

/* Debian keeps <asm/types.h> in a folder by architecture, which clang for BPF does not look into. */
static void arch_headers(struct run *r, struct pol_arena *a)
{
	struct utsname u;
	char path[128];

	if (uname(&u) < 0)
		return;
	snprintf(path, sizeof(path), "/usr/include/%.64s-linux-gnu", u.machine);
	if (access(path, X_OK) < 0)
		return;
	arg(r, a, "-idirafter");
	arg(r, a, path);
}

/*
 * No path of this machine may get into the object: the C text comes without a
 * name, and headers are found by links in the folder that clang runs in.  (Renaming
 * them by -fdebug-prefix-map is not enough: for the source lines in BTF clang opens files
 * by their new names, so what is found there would depend on where polc is started.)
 */
static void arguments(struct run *r, struct pol_arena *a, const struct pol_object_options *o)
{
	char *clang POL_CLEANUP(pol_cleanup_free) =
		strchr(o->clang, '/') ? realpath(o->clang, NULL) : NULL;

	/* If it is not there, execvp says so. */
	arg(r, a, clang ? clang : o->clang);
	arg(r, a, "-target");
	arg(r, a, "bpf");
	arg(r, a, "-mcpu=v3");
	arg(r, a, "-std=gnu11");
	arg(r, a, "-O2");
	arg(r, a, "-g"); /* BTF comes of it */
	/*
	 * a fifth of the time and a quarter of the object are the lines of what is inlined, which
	 * is nearly all
	 */
	arg(r, a, "-gno-inline-line-tables");
	arg(r, a, "-fdebug-compilation-dir=.");
	arg(r, a, "-Itemplates");
	arg(r, a, "-Iinclude");
	arch_headers(r, a);
	arg(r, a, "-x");
	arg(r, a, "c");
	arg(r, a, "-c");
	arg(r, a, "-");
	arg(r, a, "-o");
	arg(r, a, "-");
	*pol_vec_push(&r->argv) = NULL;
}

static void child(const struct run *r, int failure, pid_t parent)
{
	static const char *const drop[] = {
		"CPATH",         "C_INCLUDE_PATH",    "CCC_OVERRIDE_OPTIONS",
		"COMPILER_PATH", "SOURCE_DATE_EPOCH",
	};
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	for (size_t i = 0; i < POL_ARRAY_LEN(drop); i++)
		unsetenv(drop[i]);
	setenv("LC_ALL", "C", 1);
	if (chdir(r->dir) == 0 && dup2(r->in, 0) == 0 && dup2(r->out, 1) == 1 &&
	    dup2(r->messages, 2) == 2)
		execvp(r->argv.v[0], r->argv.v);
	code = errno;
	if (write(failure, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static int wait_for(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int not_started(const struct run *r, int code, struct pol_err *e)
{
	pol_err_help(
		e,
		code == ENOENT
			? "install clang (Debian: apt install clang), or name it with --clang=PATH"
			: "check that it is a program that you may run, or name another with --clang=PATH");
	return pol_err(e, -code, "%s: cannot start the C compiler: %s", r->argv.v[0],
		       strerror(code));
}

/* What clang says goes into the error: the first lines that fit. */
static int refused(const struct run *r, int status, struct pol_err *e)
{
	struct pol_buf said = { 0 };
	struct pol_str s;

	drain(r->messages, size_of(r->messages) < 65536 ? size_of(r->messages) : 65536, &said,
	      NULL);
	s = pol_buf_str(&said);
	if (s.n > 400)
		s.n = 400;
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' '))
		s.n--;
	if (WIFSIGNALED(status))
		pol_err(e, -EIO, "%s: ended by signal %d%s%.*s", r->argv.v[0], WTERMSIG(status),
			s.n ? ": " : "", POL_STR_ARG(s));
	else
		pol_err(e, -EIO, "%s: exit code %d%s%.*s", r->argv.v[0], WEXITSTATUS(status),
			s.n ? ": " : "", POL_STR_ARG(s));
	pol_err_help(
		e,
		memmem(s.p, s.n, "bpf/bpf_helpers.h", 17)
			? "install the headers of libbpf (Debian: apt install libbpf-dev)"
		: memmem(s.p, s.n, "file not found", 14)
			? "install libbpf-dev and linux-libc-dev, or reinstall polc's templates"
			: "look at the C text with -S; clang 14 or newer with the BPF target is needed");
	pol_buf_free(&said);
	return -EIO;
}

static int run_clang(const struct run *r, struct pol_err *e)
{
	int failure[2], status = 0, code = 0;
	pid_t parent = getpid(), pid;
	ssize_t got;

	if (pipe2(failure, O_CLOEXEC) < 0)
		return pol_err(e, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		child(r, failure[1], parent);
	code = pid < 0 ? errno : 0;
	close(failure[1]);
	if (pid < 0) {
		close(failure[0]);
		return not_started(r, code, e);
	}
	got = read(failure[0], &code, sizeof(code));
	close(failure[0]);
	if (wait_for(pid, &status) < 0)
		return pol_err(e, -errno, "%s: cannot wait for it: %s", r->argv.v[0],
			       strerror(errno));
	if (got == sizeof(code))
		return not_started(r, code, e);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : refused(r, status, e);
}

/* ---- where clang runs: a folder of its own, with links to the headers ------------------ */

static const char *const links[] = { "templates", "include" };

static void workplace_remove(const char *dir)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < POL_ARRAY_LEN(links); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, links[i]);
		unlink(path);
	}
	rmdir(dir);
}

static int workplace_link(const char *dir, const char *name, const char *target, struct pol_err *e)
{
	char *real POL_CLEANUP(pol_cleanup_free) = realpath(target, NULL);
	char path[PATH_MAX];

	if (!real) {
		pol_err_help(e, "reinstall polc, or say where they are with --%s=DIR", name);
		return pol_err(e, -errno, "%s: cannot find the headers: %s", target,
			       strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (symlink(real, path) < 0)
		return pol_err(e, -errno, "%s: cannot make a link: %s", path, strerror(errno));
	return 0;
}

static int workplace_make(char dir[PATH_MAX], const struct pol_object_options *o, struct pol_err *e)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	snprintf(dir, PATH_MAX, "%s/polc-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return pol_err(e, -errno, "%s: cannot make a folder for clang: %s", dir,
			       strerror(errno));
	r = workplace_link(dir, links[0], o->templates, e);
	r = r ? r : workplace_link(dir, links[1], o->include, e);
	if (r)
		workplace_remove(dir);
	return r;
}

/* The ELF file of the C text, in memory; the file descriptor, or an error. */
static int compile(const struct pol_tables *t, const struct pol_object_options *o,
		   struct pol_err *e)
{
	struct pol_buf text = { 0 };
	int in POL_CLEANUP(pol_cleanup_fd) = memory_file("polc.c", e);
	int out POL_CLEANUP(pol_cleanup_fd) = memory_file("polc.o", e);
	int messages POL_CLEANUP(pol_cleanup_fd) = memory_file("polc.messages", e);
	struct pol_arena *a;
	char dir[PATH_MAX];
	struct run r = { .in = in, .out = out, .messages = messages, .dir = dir };
	int ret;

	if (in < 0 || out < 0 || messages < 0)
		return e && e->code ? e->code : -ENFILE;
	pol_emit_c_bare(t, &text);
	ret = fill(in, pol_buf_str(&text), e);
	pol_buf_free(&text);
	if (ret)
		return ret;
	a = pol_arena_new();
	arguments(&r, a, o); /* memory may run out, and the folder would stay */
	ret = workplace_make(dir, o, e);
	if (!ret) {
		ret = run_clang(&r, e);
		workplace_remove(dir);
	}
	pol_vec_free(&r.argv);
	pol_arena_free(a);
	return ret ? ret : POL_TAKE_FD(out);
}

/* ---- sections ------------------------------------------------------------------------- */

/* bad: of elf_errno(); -1: the last.  What libelf finds no memory for it may call by another name. */
static int elf_trouble(const char *what, int bad, struct pol_err *e)
{
	if (errno == ENOMEM)
		return pol_err(e, -ENOMEM, "object: cannot %s: out of memory", what);
	return pol_err(e, -EIO, "object: cannot %s: %s", what, elf_errmsg(bad));
}

static Elf_Scn *find_section(Elf *elf, size_t names, const char *want)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr h;
		const char *name = gelf_getshdr(scn, &h) ? elf_strptr(elf, names, h.sh_name) : NULL;

		if (name && strcmp(name, want) == 0)
			return scn;
	}
	return NULL;
}

/* The contents of an array that was left empty in the C text, from its beginning. */
static int put_data(Elf *elf, size_t names, const char *section, const void *bytes, size_t n,
		    size_t whole, struct pol_err *e)
{
	Elf_Scn *scn;
	Elf_Data *d;
	int bad;

	elf_errno(); /* what was before counts no more */
	scn = find_section(elf, names, section);
	d = scn ? elf_getdata(scn, NULL) : NULL;
	bad = elf_errno();
	if (bad)
		return elf_trouble("read a section", bad, e);
	if (!d || !d->d_buf || d->d_size != whole || n > whole)
		return pol_err(e, -EIO, "object: section %s is not what the C text asks for",
			       section);
	memcpy(d->d_buf, bytes, n);
	elf_flagdata(d, ELF_C_SET, ELF_F_DIRTY);
	return 0;
}

static int put_tables(Elf *elf, size_t names, const struct pol_tables *t, struct pol_err *e)
{
	int r = put_data(elf, names, POL_SEC_PAGES, pol_table_pages(t->table),
			 pol_table_npages(t->table) * (size_t)POL_PAGE * sizeof(uint32_t),
			 t->pages_len * sizeof(uint32_t), e);

	if (!r && t->filters.n)
		r = put_data(elf, names, POL_SEC_FILTER, t->filters.data,
			     t->filters.words * sizeof(uint32_t),
			     t->filters.room * sizeof(uint32_t), e);
	return r ? r
		 : put_data(elf, names, POL_SEC_VERDICTS, pol_table_verdicts(t->table),
			    pol_table_nverdicts(t->table) * sizeof(struct pol_verdict),
			    t->verdicts_len * sizeof(struct pol_verdict), e);
}

/*
 * DWARF has done its work once BTF is made of it: the loader does not look at
 * it, and it would be most of a small object.  The sections stay, empty, so
 * that no number of a section or symbol changes.
 */
static int drop_dwarf(Elf *elf, size_t names, struct pol_err *e)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr h;
		const char *name;
		Elf_Data *d;

		if (!gelf_getshdr(scn, &h))
			return elf_trouble("read a section", -1, e);
		name = elf_strptr(elf, names, h.sh_name);
		if (!name || (strncmp(name, ".debug_", 7) && strncmp(name, ".rel.debug_", 11)))
			continue;
		d = elf_getdata(scn, NULL);
		if (!d && h.sh_size)
			return elf_trouble("read a section", -1, e);
		if (!d)
			continue;
		d->d_size = 0;
		elf_flagdata(d, ELF_C_SET, ELF_F_DIRTY);
	}
	return 0;
}

/* Appends a name to the section of names; its offset there. */
static int add_name(Elf *elf, size_t names, const char *name, size_t *at, struct pol_err *e)
{
	Elf_Scn *scn = elf_getscn(elf, names);
	GElf_Shdr h;
	Elf_Data *d;

	if (!scn || !gelf_getshdr(scn, &h))
		return elf_trouble("find the names of sections", -1, e);
	d = elf_newdata(scn);
	if (!d)
		return elf_trouble("add a name", -1, e);
	*at = h.sh_size;
	*d = (Elf_Data){ .d_buf = (void *)name,
			 .d_type = ELF_T_BYTE,
			 .d_size = strlen(name) + 1,
			 .d_off = (int64_t)h.sh_size,
			 .d_align = 1,
			 .d_version = EV_CURRENT };
	h.sh_size += d->d_size;
	if (!gelf_update_shdr(scn, &h))
		return elf_trouble("add a name", -1, e);
	return 0;
}

static int add_section(Elf *elf, size_t names, const char *name, struct pol_str bytes,
		       struct pol_err *e)
{
	Elf_Scn *scn;
	GElf_Shdr h;
	Elf_Data *d;
	size_t at = 0;
	int r = add_name(elf, names, name, &at, e), bad;

	if (r)
		return r;
	elf_errno(); /* what was before counts no more */
	scn = elf_newscn(elf);
	bad = elf_errno();
	/* Without memory libelf (0.188) returns half a section, and elf_newdata() trips over it. */
	if (bad)
		return elf_trouble("add a section", bad, e);
	d = scn ? elf_newdata(scn) : NULL;
	if (!d || !gelf_getshdr(scn, &h))
		return elf_trouble("add a section", -1, e);
	*d = (Elf_Data){ .d_buf = (void *)bytes.p,
			 .d_type = ELF_T_BYTE,
			 .d_size = bytes.n,
			 .d_align = 1,
			 .d_version = EV_CURRENT };
	h.sh_name = (GElf_Word)at;
	h.sh_type = SHT_PROGBITS;
	h.sh_flags = 0;
	h.sh_addralign = 1;
	if (!gelf_update_shdr(scn, &h))
		return elf_trouble("add a section", -1, e);
	return 0;
}

/* Returns the size of the finished file. */
static int64_t finish(const struct pol_tables *t, int fd, struct pol_err *e)
{
	struct pol_buf manifest = { 0 }, rules = { 0 };
	int64_t size = -EIO;
	size_t names;
	Elf *elf;

	elf_version(EV_CURRENT);
	errno = 0; /* as elf_trouble() asks for */
	elf = elf_begin(fd, ELF_C_RDWR, NULL);
	if (!elf)
		return elf_trouble("open it", -1, e);
	pol_emit_manifest(t, &manifest);
	pol_emit_rules(t, &rules);
	if (elf_getshdrstrndx(elf, &names) < 0)
		elf_trouble("find the names of sections", -1, e);
	else if (!drop_dwarf(elf, names, e) && !put_tables(elf, names, t, e) &&
		 !add_section(elf, names, POL_SECTION_MANIFEST, pol_buf_str(&manifest), e) &&
		 !add_section(elf, names, POL_SECTION_RULES, pol_buf_str(&rules), e) &&
		 (!t->ir->http_image.n ||
		  !add_section(elf, names, POL_SECTION_HTTP, t->ir->http_image, e))) {
		size = elf_update(elf, ELF_C_WRITE);
		if (size < 0)
			size = elf_trouble("write it", -1, e);
	}
	elf_end(elf);
	pol_buf_free(&manifest);
	pol_buf_free(&rules);
	return size;
}

int pol_object_write(const struct pol_tables *t, const struct pol_object_options *o,
		     const char *path, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = compile(t, o, e);
	struct pol_buf object = { 0 };
	int64_t size;
	int r;

	if (fd < 0)
		return fd;
	size = finish(t, fd, e);
	if (size < 0)
		return (int)size;
	r = drain(fd, (size_t)size, &object, e);
	if (!r)
		r = pol_write_file(path, object.p, object.n, e);
	pol_buf_free(&object);
	return r;
}
