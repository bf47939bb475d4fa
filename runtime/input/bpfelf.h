/* SPDX-License-Identifier: GPL-2.0-only */
/* A BPF object's sections and data symbols, from memory, every offset checked. */
#ifndef PRT_BPFELF_H
#define PRT_BPFELF_H

#include "base/base.h"

struct prt_elf;

/* data must outlive the result.  -ENOEXEC unless 64-bit, little-endian, relocatable, for BPF. */
int prt_elf_open(const char *path, char *data, size_t size, struct pol_arena *arena,
		 struct prt_elf **out, struct pol_err *e);

/*
 * Contents of the one section of that name.  -ENOENT: there is none (no message);
 * -ENOEXEC: there are two, or it is not in the file.
 */
int prt_elf_section(const struct prt_elf *elf, const char *name, struct pol_str *out,
		    struct pol_err *e);
/* Contents of the data object of that name, of the given size (0: any); errors likewise. */
int prt_elf_symbol(const struct prt_elf *elf, const char *name, size_t size, struct pol_str *out,
		   struct pol_err *e);

#endif
