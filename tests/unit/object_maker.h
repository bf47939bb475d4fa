/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects for tests of the loader without a compiler: an ELF file from
 * contents in memory.  Only what the loader reads is in it.
 */
#ifndef OBJECT_MAKER_H
#define OBJECT_MAKER_H

#include <elf.h>
#include <polc/manifest.h>

#include "base/base.h"
#include "base/table.h"
#include "runtime/input/object.h"

struct part {
	const char *section;
	const char *symbol;	/* NULL: none */
	const void *bytes;
	size_t n;
};

#define MAKER_SECTIONS 32

static inline uint32_t maker_name(struct pol_buf *b, const char *z)
{
	uint32_t at;

	if (!b->n)
		pol_buf_addc(b, '\0');
	at = (uint32_t)b->n;
	pol_buf_add(b, (struct pol_str){ z, strlen(z) + 1 });
	return at;
}

static inline size_t maker_put(struct pol_buf *file, const void *bytes, size_t n)
{
	size_t at;

	while (file->n % 16)
		pol_buf_addc(file, '\0');
	at = file->n;
	pol_buf_add(file, (struct pol_str){ bytes, n });
	return at;
}

/* malloc'ed.  One section for each part; symbols where the part has one. */
static inline char *make_elf(const struct part *part, size_t n, size_t *size)
{
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			 .e_type = ET_REL, .e_machine = EM_BPF, .e_version = EV_CURRENT,
			 .e_ehsize = sizeof(h), .e_shentsize = sizeof(Elf64_Shdr) };
	Elf64_Shdr s[MAKER_SECTIONS] = { 0 };
	struct pol_buf file = { 0 }, names = { 0 }, strings = { 0 }, symbols = { 0 };
	Elf64_Sym none = { 0 };
	size_t at = 1;

	pol_buf_add(&file, (struct pol_str){ (const char *)&h, sizeof(h) });
	pol_buf_add(&symbols, (struct pol_str){ (const char *)&none, sizeof(none) });
	for (size_t i = 0; i < n; i++, at++) {
		Elf64_Sym sym = { .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
				  .st_shndx = (Elf64_Half)at, .st_size = part[i].n };

		s[at] = (Elf64_Shdr){ .sh_name = maker_name(&names, part[i].section),
				      .sh_type = SHT_PROGBITS, .sh_size = part[i].n,
				      .sh_offset = maker_put(&file, part[i].bytes, part[i].n) };
		if (!part[i].symbol)
			continue;
		sym.st_name = maker_name(&strings, part[i].symbol);
		pol_buf_add(&symbols, (struct pol_str){ (const char *)&sym, sizeof(sym) });
	}
	s[at] = (Elf64_Shdr){ .sh_name = maker_name(&names, ".symtab"), .sh_type = SHT_SYMTAB,
			      .sh_offset = maker_put(&file, symbols.p, symbols.n),
			      .sh_size = symbols.n, .sh_entsize = sizeof(Elf64_Sym),
			      .sh_link = (Elf64_Word)at + 1 };
	at++;
	s[at] = (Elf64_Shdr){ .sh_name = maker_name(&names, ".strtab"), .sh_type = SHT_STRTAB,
			      .sh_offset = maker_put(&file, strings.p ? strings.p : "", strings.n),
			      .sh_size = strings.n };
	at++;
	s[at].sh_name = maker_name(&names, ".shstrtab");
	s[at].sh_type = SHT_STRTAB;
	s[at].sh_offset = maker_put(&file, names.p, names.n);
	s[at].sh_size = names.n;
	h.e_shstrndx = (Elf64_Half)at++;
	h.e_shnum = (Elf64_Half)at;
	h.e_shoff = maker_put(&file, s, at * sizeof(s[0]));
	memcpy(file.p, &h, sizeof(h));
	pol_buf_free(&names);
	pol_buf_free(&strings);
	pol_buf_free(&symbols);
	*size = file.n;
	return file.p;
}

/*
 * Five address classes: 0 below 10.0.0.0, 1 in 10.0/16, 2 in 10.1/16, 3 above
 * that, 4 all of IPv6.  An L4 class is the low byte of port or type modulo
 * l4_classes; of other protocols the number modulo it.
 */
struct made_tables {
	struct pol_search v4_search, v6_search;
	uint16_t v4_top[1 << (32 - POL_NODE4_BITS)], v6_top[2];
	__u64 v4_node[4][POL_NODE4_DOUBLES], v6_node[1][POL_NODE6_DOUBLES];
	uint32_t v4_class[4], v6_class[1];
	struct pol_v6_low v6_low[1];
	uint16_t l4_page[POL_L4_SLOTS][256], l4_class[256], proto_class[256];
};
#define MADE_CLASSES 5

static inline void make_tables(struct made_tables *t, uint32_t l4_classes)
{
	memset(t, 0, sizeof(*t));
	t->v4_search = (struct pol_search){ POL_NODE4_BITS, 1 };
	t->v6_search = (struct pol_search){ POL_NODE6_BITS, 1 };
	for (uint32_t lead = 10u << 4; lead < POL_ARRAY_LEN(t->v4_top); lead++)
		t->v4_top[lead] = lead == 10u << 4 ? 1 : 2;
	for (unsigned i = 0; i < POL_ARRAY_LEN(t->v4_node); i++)
		for (unsigned k = 0; k + 1 < POL_NODE4_DOUBLES; k++)
			t->v4_node[i][k] = POL_NODE4_ABOVE;
	/* 10.1.0.0 and 10.2.0.0, where 10/12 begins with class 1 */
	t->v4_node[1][0] = 1u << 16 | 2ull << (16 + POL_NODE4_BITS + 1) |
			   1ull << (3 * POL_NODE4_BITS + 2);
	t->v4_node[1][3] = 1;
	t->v4_node[2][3] = 3;
	for (unsigned k = 0; k + 1 < POL_NODE6_DOUBLES; k++)
		t->v6_node[0][k] = 1ull << POL_NODE6_BITS;
	for (uint32_t i = 0; i < 4; i++)
		t->v4_class[i] = i;
	t->v6_class[0] = 4;
	for (uint32_t i = 0; i < 256; i++)
		t->l4_class[i] = t->proto_class[i] = (uint16_t)(i % l4_classes);
}

struct made {			/* what goes into an object beside the tables above */
	struct pol_str manifest, rules;
	const struct pol_table *table;
	uint32_t max_pages, max_verdicts;	/* powers of two */
	uint32_t l4_classes;
	const struct pol_limit *limits;
	size_t nlimits;
};

static inline char *make_object(const struct made *m, size_t *size)
{
	static const uint32_t none;
	size_t pages_n = m->max_pages * POL_PAGE * sizeof(uint32_t);
	size_t verdicts_n = m->max_verdicts * sizeof(struct pol_verdict);
	char *pages = calloc(1, pages_n), *verdicts = calloc(1, verdicts_n), *out;
	struct made_tables t;

	if (!pages || !verdicts)
		abort();
	memcpy(pages, pol_table_pages(m->table),
	       pol_table_npages(m->table) * POL_PAGE * sizeof(uint32_t));
	memcpy(verdicts, pol_table_verdicts(m->table),
	       pol_table_nverdicts(m->table) * sizeof(struct pol_verdict));
	make_tables(&t, m->l4_classes);
	const struct part part[] = {
		{ POL_SECTION_MANIFEST, NULL, m->manifest.p, m->manifest.n },
		{ POL_SECTION_RULES, NULL, m->rules.p, m->rules.n },
		{ POL_SEC_PAGES, "pol_pages", pages, pages_n },
		{ POL_SEC_VERDICTS, "pol_verdicts", verdicts, verdicts_n },
		{ ".rodata", "pol_v4_search", &t.v4_search, sizeof(t.v4_search) },
		{ ".rodata.a", "pol_v4_top", t.v4_top, sizeof(t.v4_top) },
		{ ".rodata.b", "pol_v4_node", t.v4_node, sizeof(t.v4_node) },
		{ ".rodata.c", "pol_v4_class", t.v4_class, sizeof(t.v4_class) },
		{ ".rodata.i", "pol_v6_search", &t.v6_search, sizeof(t.v6_search) },
		{ ".rodata.j", "pol_v6_top", t.v6_top, sizeof(t.v6_top) },
		{ ".rodata.k", "pol_v6_node", t.v6_node, sizeof(t.v6_node) },
		{ ".rodata.l", "pol_v6_class", t.v6_class, sizeof(t.v6_class) },
		{ ".rodata.h", "pol_v6_low", t.v6_low, sizeof(t.v6_low) },
		{ ".rodata.d", "pol_l4_page", t.l4_page, sizeof(t.l4_page) },
		{ ".rodata.e", "pol_l4_class", t.l4_class, sizeof(t.l4_class) },
		{ ".rodata.f", "pol_proto_class", t.proto_class, sizeof(t.proto_class) },
		{ ".rodata.g", m->nlimits ? "pol_limits" : NULL,
		  m->nlimits ? (const void *)m->limits : &none,
		  m->nlimits ? m->nlimits * sizeof(*m->limits) : sizeof(none) },
	};
	out = make_elf(part, POL_ARRAY_LEN(part), size);
	free(pages);
	free(verdicts);
	return out;
}

#endif
