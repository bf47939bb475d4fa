/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpfelf.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>

#define SECTIONS_MAX 4096u

struct section {
	struct pol_str name;
	struct pol_str bytes; /* p == NULL: takes no room in the file */
	uint32_t type, link;
};

struct prt_elf {
	const char *path;
	char *data;
	size_t size;
	struct section *section;
	size_t n;
	const struct section *symbols; /* NULL: there are none */
};

/* No file is to blame for what libelf found no memory for. */
static void if_no_memory(void)
{
	if (errno == ENOMEM)
		pol_no_memory();
}

static int broken(const struct prt_elf *elf, struct pol_err *e, const char *what)
{
	int ret = pol_err(e, -ENOEXEC, "%s: broken object: %s", elf->path, what);

	pol_err_help(e, "compile the policy again; the file may be cut short or damaged");
	return ret;
}

/* The NUL-terminated string at an offset. */
static bool string_at(struct pol_str table, uint64_t offset, struct pol_str *out)
{
	const char *end;

	if (!table.p || offset >= table.n)
		return false;
	end = memchr(table.p + offset, '\0', table.n - offset);
	if (!end)
		return false;
	*out = (struct pol_str){ table.p + offset, (size_t)(end - (table.p + offset)) };
	return true;
}

static int not_an_object(const char *path, struct pol_err *e)
{
	pol_err_help(e, "a policy is compiled first: polc FILE.pol -o FILE.bpf.o");
	return pol_err(e, -ENOEXEC, "%s: not an object file of polc", path);
}

static int check_header(const struct prt_elf *elf, Elf *libelf, struct pol_err *e)
{
	GElf_Ehdr h;
	int ret;

	if (elf_kind(libelf) != ELF_K_ELF || !gelf_getehdr(libelf, &h))
		return not_an_object(elf->path, e);
	if (h.e_machine != EM_BPF || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_type != ET_REL)
		return pol_err(e, -ENOEXEC, "%s: an object file, but not one of polc for BPF",
			       elf->path);
	if (h.e_ident[EI_DATA] != ELFDATA2LSB) {
		ret = pol_err(e, -ENOEXEC, "%s: compiled for a big-endian machine", elf->path);
		pol_err_help(e, "compile the policy for this machine");
		return ret;
	}
	return 0;
}

static int read_section(struct prt_elf *elf, Elf *libelf, size_t i, uint32_t *name,
			struct pol_err *e)
{
	struct section *s = &elf->section[i];
	Elf_Scn *scn = elf_getscn(libelf, i);
	GElf_Shdr h;

	if (!scn || !gelf_getshdr(scn, &h)) {
		if_no_memory();
		return broken(elf, e, "a section header cannot be read");
	}
	s->type = h.sh_type;
	s->link = h.sh_link;
	*name = h.sh_name;
	if (h.sh_type == SHT_NULL || h.sh_type == SHT_NOBITS)
		return 0;
	if (h.sh_offset > elf->size || h.sh_size > elf->size - h.sh_offset)
		return broken(elf, e, "a section reaches beyond the end of the file");
	s->bytes = (struct pol_str){ elf->data + h.sh_offset, h.sh_size };
	return 0;
}

static int read_sections(struct prt_elf *elf, Elf *libelf, struct pol_arena *arena,
			 struct pol_err *e)
{
	size_t n, names;
	uint32_t *name;

	if (elf_getshdrnum(libelf, &n) || elf_getshdrstrndx(libelf, &names))
		return broken(elf, e, "the section headers cannot be read");
	if (!n || n > SECTIONS_MAX || names >= n)
		return broken(elf, e, "the number of sections makes no sense");
	elf->section = pol_arena_alloc(arena, n * sizeof(*elf->section));
	elf->n = n;
	name = pol_arena_alloc(arena, n * sizeof(*name));
	for (size_t i = 1; i < n; i++) {
		int ret = read_section(elf, libelf, i, &name[i], e);

		if (ret)
			return ret;
	}
	for (size_t i = 1; i < n; i++) {
		struct section *s = &elf->section[i];

		if (!string_at(elf->section[names].bytes, name[i], &s->name))
			return broken(elf, e, "a section has no name");
		if (s->type != SHT_SYMTAB)
			continue;
		if (elf->symbols || s->link >= n)
			return broken(elf, e, "the symbol table makes no sense");
		elf->symbols = s;
	}
	return 0;
}

int prt_elf_open(const char *path, char *data, size_t size, struct pol_arena *arena,
		 struct prt_elf **out, struct pol_err *e)
{
	struct prt_elf *elf = pol_arena_alloc(arena, sizeof(*elf));
	Elf *libelf;
	int ret;

	*elf = (struct prt_elf){ .path = path, .data = data, .size = size };
	if (size < sizeof(Elf64_Ehdr))
		return not_an_object(path, e);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return pol_err(e, -ENOSYS, "libelf: %s", elf_errmsg(-1));
	errno = 0;
	libelf = elf_memory(data, size);
	if (!libelf) {
		if_no_memory();
		return not_an_object(path, e);
	}
	ret = check_header(elf, libelf, e);
	if (!ret)
		ret = read_sections(elf, libelf, arena, e);
	elf_end(libelf);
	if (!ret)
		*out = elf;
	return ret;
}

int prt_elf_section(const struct prt_elf *elf, const char *name, struct pol_str *out,
		    struct pol_err *e)
{
	const struct section *found = NULL;

	for (size_t i = 1; i < elf->n; i++) {
		if (!pol_str_is(elf->section[i].name, name))
			continue;
		if (found)
			return pol_err(e, -ENOEXEC, "%s: broken object: two sections `%s`",
				       elf->path, name);
		found = &elf->section[i];
	}
	if (!found)
		return -ENOENT;
	if (!found->bytes.p)
		return pol_err(e, -ENOEXEC, "%s: broken object: section `%s` has no contents",
			       elf->path, name);
	*out = found->bytes;
	return 0;
}

static int symbol_bytes(const struct prt_elf *elf, const char *name, const Elf64_Sym *sym,
			struct pol_str *out, struct pol_err *e)
{
	struct pol_str bytes = { 0 };

	if (sym->st_shndx < elf->n)
		bytes = elf->section[sym->st_shndx].bytes;
	if (!bytes.p || sym->st_value > bytes.n || sym->st_size > bytes.n - sym->st_value)
		return pol_err(e, -ENOEXEC, "%s: broken object: `%s` lies outside its section",
			       elf->path, name);
	*out = (struct pol_str){ bytes.p + sym->st_value, sym->st_size };
	return 0;
}

int prt_elf_symbol(const struct prt_elf *elf, const char *name, size_t size, struct pol_str *out,
		   struct pol_err *e)
{
	struct pol_str table = elf->symbols ? elf->symbols->bytes : (struct pol_str){ 0 };
	struct pol_str found = { 0 }, symbol_name;
	int ret;

	for (size_t at = 0; table.n - at >= sizeof(Elf64_Sym); at += sizeof(Elf64_Sym)) {
		Elf64_Sym sym;

		memcpy(&sym, table.p + at, sizeof(sym));
		if (ELF64_ST_TYPE(sym.st_info) != STT_OBJECT ||
		    !string_at(elf->section[elf->symbols->link].bytes, sym.st_name, &symbol_name) ||
		    !pol_str_is(symbol_name, name))
			continue;
		if (found.p)
			return pol_err(e, -ENOEXEC, "%s: broken object: two symbols `%s`",
				       elf->path, name);
		ret = symbol_bytes(elf, name, &sym, &found, e);
		if (ret)
			return ret;
	}
	if (!found.p)
		return -ENOENT;
	if (size && found.n != size)
		return pol_err(e, -ENOEXEC, "%s: broken object: `%s` has %zu bytes, not %zu",
			       elf->path, name, found.n, size);
	*out = found;
	return 0;
}
