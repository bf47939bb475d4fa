// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which loops of an object the verifiers of Linux before 6.8 refuse by their shape alone.
 *
 *	backedge OBJECT...	0: none; 1: one line for each
 *
 * Their check_cfg() (kernel/bpf/verifier.c) lets only a jump lead back to an instruction that is
 * still being visited.  Where clang puts the end of a loop's body before the head of the loop, the body
 * falls back into it without a jump: "back-edge from insn 678 to 679".  Newer kernels, on
 * which these tests run, do not mind.
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum state { UNSEEN, OPEN, DONE };

struct walk {
	const struct bpf_insn *insns;
	uint32_t n;
	const char *object, *function;
	unsigned char *state, *edge; /* of each instruction: enum state; which way out is next */
	uint32_t *path;
	int found;
};

static int ldimm64(const struct bpf_insn *i)
{
	return i->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static int is_jump(const struct bpf_insn *i)
{
	unsigned cls = BPF_CLASS(i->code), op = BPF_OP(i->code);

	return (cls == BPF_JMP || cls == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

/* The ways out of an instruction, in the order of the kernel: on first, then where it jumps. */
static int64_t way_out(const struct walk *w, uint32_t at, unsigned edge)
{
	const struct bpf_insn *i = &w->insns[at];
	int always = BPF_OP(i->code) == BPF_JA && is_jump(i);

	if (BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) == BPF_EXIT)
		return -1;
	if (edge == 0 && !always)
		return at + (ldimm64(i) ? 2 : 1);
	if (edge == (always ? 0 : 1) && is_jump(i))
		return (int64_t)at + 1 + i->off;
	return -1;
}

static void walk(struct walk *w)
{
	uint32_t depth = 0;

	w->path[depth++] = 0;
	w->state[0] = OPEN;
	while (depth) {
		uint32_t at = w->path[depth - 1];
		int64_t to = way_out(w, at, w->edge[at]++);

		if (to < 0 || to >= w->n) {
			w->state[at] = DONE;
			depth--;
		} else if (w->state[to] == UNSEEN) {
			w->state[to] = OPEN;
			w->path[depth++] = (uint32_t)to;
		} else if (w->state[to] == OPEN && !is_jump(&w->insns[at])) {
			printf("%s: %s: instruction %u falls back to %u\n", w->object, w->function,
			       at, (uint32_t)to);
			w->found++;
		}
	}
}

static int function(const char *object, const char *name, const Elf_Data *code,
		    const GElf_Sym *symbol)
{
	struct walk w = { .object = object, .function = name };

	if (symbol->st_value > code->d_size || symbol->st_size > code->d_size - symbol->st_value)
		errx(2, "%s: %s is not in its section", object, name);
	w.n = symbol->st_size / sizeof(struct bpf_insn);
	w.insns = (const void *)((const char *)code->d_buf + symbol->st_value);
	w.state = calloc(w.n + 1, 1);
	w.edge = calloc(w.n + 1, 1);
	w.path = calloc(w.n + 1, sizeof(*w.path));
	if (!w.state || !w.edge || !w.path)
		err(2, "%s", object);
	if (w.n)
		walk(&w);
	free(w.state);
	free(w.edge);
	free(w.path);
	return w.found;
}

static int symbols(const char *object, Elf *elf, Elf_Scn *table)
{
	Elf_Data *data = elf_getdata(table, NULL), *code;
	GElf_Shdr header, where;
	GElf_Sym symbol;
	int found = 0;

	if (!data || !gelf_getshdr(table, &header))
		errx(2, "%s: %s", object, elf_errmsg(-1));
	for (int i = 0; gelf_getsym(data, i, &symbol); i++) {
		Elf_Scn *section = elf_getscn(elf, symbol.st_shndx);

		if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || !section ||
		    !gelf_getshdr(section, &where) || !(where.sh_flags & SHF_EXECINSTR))
			continue;
		code = elf_getdata(section, NULL);
		if (code)
			found += function(object, elf_strptr(elf, header.sh_link, symbol.st_name),
					  code, &symbol);
	}
	return found;
}

static int object(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), found = 0, tables = 0;
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	GElf_Shdr header;

	if (!elf)
		err(2, "%s", path);
	for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));)
		if (gelf_getshdr(s, &header) && header.sh_type == SHT_SYMTAB) {
			found += symbols(path, elf, s);
			tables++;
		}
	if (!tables)
		errx(2, "%s: no symbols", path);
	elf_end(elf);
	close(fd);
	return found;
}

int main(int argc, char **argv)
{
	int found = 0;

	if (argc < 2)
		errx(2, "usage: backedge OBJECT...");
	elf_version(EV_CURRENT);
	for (int i = 1; i < argc; i++)
		found += object(argv[i]);
	return found ? 1 : 0;
}
