// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the verifier of this kernel says of each program of an object, with the constants that the
 * object was compiled with.
 *
 *	verified [-v] OBJECT...		as root; 1 if one is refused
 *
 * One line a program: "OBJECT PROGRAM LOADED-INSTRUCTIONS VERIFIED-INSTRUCTIONS STACK", the second
 * being what the verifier went through (its limit is 1,000,000), or "refused" and why.  STACK is that of the
 * deepest chain of calls as Linux 6.1 counts it, each frame in steps of 32 bytes; more than 512
 * is refused there, while newer kernels with a JIT count in steps of 16.
 * -v: also the end of the verifier's log of those refused.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_SIZE = 16 << 20, TAIL = 6000 };

static char *verifier_log;

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* The last lines are what it stumbled on and its counts. */
static const char *tail(size_t most)
{
	size_t n = strlen(verifier_log);

	return n > most ? verifier_log + n - most : verifier_log;
}

/* Why: the line before the counts. */
static void print_reason(void)
{
	char *counts = strstr(tail(TAIL), "\nprocessed "), *line;

	if (!counts)
		return;
	*counts = '\0';
	line = strrchr(tail(TAIL), '\n');
	printf(": %s", line ? line + 1 : tail(TAIL));
	*counts = '\n';
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- stack, as check_max_stack_depth() of Linux 6.1 has it ------------------------------- */

struct code {
	const struct bpf_insn *insns;
	size_t n;
	unsigned *
		depth; /* of the deepest chain from the function that begins here; 0: not known yet */
};

static int is_call(const struct bpf_insn *i)
{
	return i->code == (BPF_JMP | BPF_CALL) && i->src_reg == BPF_PSEUDO_CALL;
}

/* What a function's own frame needs: r10 - n, directly or by a register that was made of it. */
static unsigned frame(const struct bpf_insn *i, unsigned most, unsigned *from_r10)
{
	unsigned cls = BPF_CLASS(i->code);
	int below = 0;

	if (cls == BPF_LDX && i->src_reg == BPF_REG_10)
		below = -i->off;
	else if ((cls == BPF_ST || cls == BPF_STX) && i->dst_reg == BPF_REG_10)
		below = -i->off;
	else if (i->code == (BPF_ALU64 | BPF_MOV | BPF_X) && i->src_reg == BPF_REG_10)
		*from_r10 |= 1u << i->dst_reg;
	else if (i->code == (BPF_ALU64 | BPF_ADD | BPF_K) && *from_r10 & 1u << i->dst_reg) {
		*from_r10 &= ~(1u << i->dst_reg);
		below = -i->imm;
	}
	return below > (int)most ? (unsigned)below : most;
}

/* Functions stand one behind the other; the next begins where some call leads. */
static unsigned deepest(struct code *c, const unsigned char *begins, size_t at)
{
	unsigned own = 0, called = 0, from_r10 = 0;

	if (c->depth[at])
		return c->depth[at];
	c->depth[at] = 1; /* the verifier knows no recursion */
	for (size_t i = at; i < c->n && (i == at || !begins[i]); i++) {
		own = frame(&c->insns[i], own, &from_r10);
		if (is_call(&c->insns[i])) {
			unsigned d = deepest(c, begins, i + 1 + (size_t)(long)c->insns[i].imm);

			if (d > called)
				called = d;
		}
	}
	return c->depth[at] = ((own ? own : 1) + 31) / 32 * 32 + called;
}

static unsigned stack_of(const struct bpf_program *p)
{
	struct code c = { .insns = bpf_program__insns(p), .n = bpf_program__insn_cnt(p) };
	unsigned char *begins = calloc(c.n + 1, 1);
	unsigned depth;

	c.depth = calloc(c.n + 1, sizeof(*c.depth));
	if (!begins || !c.depth)
		err(2, "%s", bpf_program__name(p));
	for (size_t i = 0; i < c.n; i++)
		if (is_call(&c.insns[i])) {
			size_t to = i + 1 + (size_t)(long)c.insns[i].imm;

			if (to >= c.n)
				errx(2, "%s: a call leads out of it", bpf_program__name(p));
			begins[to] = 1;
		}
	depth = deepest(&c, begins, 0);
	free(begins);
	free(c.depth);
	return depth;
}

static void print_counts(const char *path, const struct bpf_program *p)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size))
		err(2, "%s: %s: what is known of it", path, bpf_program__name(p));
	printf("%s %s %zu %u %u\n", base_name(path), bpf_program__name(p),
	       info.xlated_prog_len / sizeof(struct bpf_insn), info.verified_insns, stack_of(p));
}

/* Of an object of which something is refused: this program alone, with the verifier's log. */
static int one_program(const char *path, const char *name, int verbose)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = verifier_log,
		    .kernel_log_size = LOG_SIZE, .kernel_log_level = 1);
	struct bpf_object *o = bpf_object__open_file(path, &opts);
	struct bpf_program *p, *wanted = NULL;
	int r;

	if (!o)
		err(2, "%s", path);
	bpf_object__for_each_program(p, o)
	{
		int is = strcmp(bpf_program__name(p), name) == 0;

		bpf_program__set_autoload(p, is);
		if (is)
			wanted = p;
	}
	verifier_log[0] = '\0';
	r = bpf_object__load(o);
	if (!r) {
		print_counts(path, wanted);
	} else {
		printf("%s %s refused: %s", base_name(path), name, strerror(-r));
		print_reason();
		printf("\n");
		if (verbose)
			printf("%s\n", tail(TAIL));
	}
	bpf_object__close(o);
	return r != 0;
}

static int object(const char *path, int verbose)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *p;
	int r, refused = 0;

	if (!o)
		err(2, "%s", path);
	bpf_object__for_each_program(p, o)
		bpf_program__set_autoload(p, true); /* those too that are loaded only when needed */
	r = bpf_object__load(o);
	bpf_object__for_each_program(p, o)
	{
		if (r)
			refused += one_program(path, bpf_program__name(p), verbose);
		else
			print_counts(path, p);
		fflush(stdout);
	}
	bpf_object__close(o);
	return refused;
}

int main(int argc, char **argv)
{
	int at = 1, verbose = argc > 1 && strcmp(argv[1], "-v") == 0, refused = 0;

	at += verbose;
	if (at == argc)
		errx(2, "usage: verified [-v] OBJECT...");
	verifier_log = calloc(1, LOG_SIZE);
	if (!verifier_log)
		err(2, "the verifier's log");
	libbpf_set_print(quiet);
	for (; at < argc; at++)
		refused += object(argv[at], verbose);
	return refused ? 1 : 0;
}
