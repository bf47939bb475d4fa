/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Falsifies a compiled object in one place after the other and asks verify about each.
 *
 *   mutants OBJ POLICY NUMBER SEED
 *
 * A mutant that nobody could tell from the object is not made: entries for classes that no
 * address or port has are left alone, and a class is exchanged only for one that some table or set
 * tells from it.  So each one must be caught: refused by the reader, or told to differ.
 * Prints a line for each that is not; the last line is "CAUGHT of MADE, REFUSED by the reader".
 */
#include <errno.h>
#include <polc/http.h>
#include <polc/manifest.h>
#include <stdio.h>

#include "compiler/lower.h"
#include "lang/resolve.h"
#include "runtime/input/bpfelf.h"
#include "tests/tools/genpolicy.h"
#include "verify/verify.h"

struct subject {
	const struct prt_object *o; /* as compiled */
	const struct pol_ir *ir;
	struct prt_elf *elf;
	struct pol_arena *arena;
	uint8_t *height; /* by page: of its tree; 0: none names it */
	POL_VEC(uint32_t) rows; /* every L4 tree */
	struct gen_rng rng;
	char what[256];
};

static uint32_t below(struct subject *s, size_t n)
{
	return gen_below(&s->rng, (uint32_t)n);
}

/* ---- what is there --------------------------------------------------------------- */

static void reach(struct subject *s, uint32_t page, unsigned height)
{
	if (!page || s->height[page])
		return;
	s->height[page] = (uint8_t)height;
	if (height == s->o->manifest.l4_levels)
		*pol_vec_push(&s->rows) = page;
	for (uint32_t i = 0; height > 1 && i < POL_PAGE; i++)
		reach(s, s->o->pages[page * POL_PAGE + i], height - 1);
}

static void reach_all(struct subject *s)
{
	const struct prt_manifest *m = &s->o->manifest;

	s->height = pol_arena_alloc(s->arena, m->pages_used);
	for (size_t i = 0; i < m->nblocks; i++) {
		reach(s, m->block[i].root, m->column_levels + m->l4_levels);
		reach(s, m->block[i].base, m->l4_levels);
		for (size_t k = 0; k < m->block[i].nrows; k++)
			reach(s, m->block[i].row[k].node, m->l4_levels);
	}
}

/* The bytes of a data object or section in a copy of the file. */
static char *symbol(struct subject *s, char *copy, const char *name, size_t *n)
{
	struct pol_err e = { 0 };
	struct pol_str at;

	if (prt_elf_symbol(s->elf, name, 0, &at, &e))
		return NULL;
	*n = at.n;
	return copy + (at.p - s->o->data);
}

static char *section(struct subject *s, char *copy, const char *name, struct pol_str *text)
{
	struct pol_err e = { 0 };

	if (prt_elf_section(s->elf, name, text, &e))
		return NULL;
	return copy + (text->p - s->o->data);
}

static uint32_t get(const struct subject *s, uint32_t node, unsigned height, unsigned leaf,
		    uint64_t key)
{
	for (; height > leaf; height--)
		node = s->o->pages[node * POL_PAGE +
				   (key >> (POL_PAGE_BITS * (height - leaf - 1)) & (POL_PAGE - 1))];
	return node;
}

/* Do tables or sets tell these two classes of addresses apart? */
static bool addresses_differ(const struct subject *s, uint32_t a, uint32_t b)
{
	const struct prt_manifest *m = &s->o->manifest;
	unsigned all = m->column_levels + m->l4_levels;

	for (size_t i = 0; i < m->nblocks; i++)
		for (uint32_t side = 0; side < 3; side++)
			if (get(s, m->block[i].root, all, m->l4_levels,
				side * m->classes_padded + a) != get(s, m->block[i].root, all,
								     m->l4_levels,
								     side * m->classes_padded + b))
				return true;
	for (size_t i = 0; i < m->nsets; i++) {
		bool in[2] = { false, false };

		for (size_t k = 0; k < m->set[i].n; k++) {
			in[0] = in[0] || (m->set[i].range[k].lo <= a && a <= m->set[i].range[k].hi);
			in[1] = in[1] || (m->set[i].range[k].lo <= b && b <= m->set[i].range[k].hi);
		}
		if (in[0] != in[1])
			return true;
	}
	return false;
}

static bool l4_differ(const struct subject *s, uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < s->rows.n; i++)
		if (get(s, s->rows.v[i], s->o->manifest.l4_levels, 0, a) !=
		    get(s, s->rows.v[i], s->o->manifest.l4_levels, 0, b))
			return true;
	return false;
}

/* ---- mutations: false if this object has nothing for them ---------------------------- */

static bool page_entry(struct subject *s, char *copy)
{
	const struct prt_manifest *m = &s->o->manifest;
	struct pol_str all;
	char *pages = section(s, copy, POL_SEC_PAGES, &all);
	uint32_t page = 1 + below(s, m->pages_used - 1), entry = below(s, POL_PAGE), value;
	uint32_t now = s->o->pages[page * POL_PAGE + entry];

	if (!s->height[page])
		return false;
	if (s->height[page] == 1) {
		value = below(s, m->verdicts_used);
	} else {
		value = below(s, m->pages_used);
		if (value && s->height[value] != s->height[page] - 1)
			return false;
	}
	if (value == now)
		return false;
	memcpy(pages + (page * POL_PAGE + entry) * sizeof(value), &value, sizeof(value));
	snprintf(s->what, sizeof(s->what), "page %u entry %u: %u instead of %u", page, entry, value,
		 now);
	return true;
}

static bool verdict(struct subject *s, char *copy)
{
	uint32_t i = 1 + below(s, s->o->manifest.verdicts_used - 1);
	struct pol_verdict v = s->o->verdicts[i];
	unsigned field = below(s, 6);
	struct pol_str all;
	char *at = section(s, copy, POL_SEC_VERDICTS, &all);

	switch (field) {
	case 0:
		v.action = (uint8_t)((v.action + 1 + below(s, 2)) % 3);
		break;
	case 1:
		v.rule = below(s, s->o->nrules);
		break;
	case 2:
		v.order += 1 + below(s, 3);
		break;
	case 3:
		v.flags ^= (uint8_t)(1u << below(s, 3));
		break;
	case 4:
		v.audit_rule = below(s, s->o->nrules);
		break;
	default:
		if (v.nlimits)
			v.nlimits--;
		else if (v.nhttp)
			v.nhttp--;
		else
			return false;
	}
	if (memcmp(&v, &s->o->verdicts[i], sizeof(v)) == 0)
		return false;
	memcpy(at + i * sizeof(v), &v, sizeof(v));
	snprintf(s->what, sizeof(s->what), "verdict %u, field %u", i, field);
	return true;
}

/* All verdicts of a rule become "no rule matched". */
static bool drop_rule(struct subject *s, char *copy)
{
	const struct prt_manifest *m = &s->o->manifest;
	uint32_t rule = below(s, s->o->nrules), none = POL_VERDICT_NONE, hits = 0;
	struct pol_str all;
	char *pages = section(s, copy, POL_SEC_PAGES, &all);

	for (uint32_t page = 1; page < m->pages_used; page++) {
		for (uint32_t i = 0; s->height[page] == 1 && i < POL_PAGE; i++) {
			uint32_t at = page * POL_PAGE + i, v = s->o->pages[at];

			if (v <= POL_VERDICT_NONE || s->o->verdicts[v].rule != rule)
				continue;
			memcpy(pages + at * sizeof(none), &none, sizeof(none));
			hits++;
		}
	}
	snprintf(s->what, sizeof(s->what), "rule %u dropped from the tables", rule);
	return hits > 0;
}

/* A place where an interval may begin. */
struct some_place {
	struct subject *s;
	uint64_t rest; /* bits of which not all may be 0 */
	uint32_t n;
	uint64_t first;
};

static void some_place(void *ctx, uint64_t first)
{
	struct some_place *p = ctx;

	if ((first & p->rest || !p->rest) && below(p->s, ++p->n) == 0)
		p->first = first;
}

static const struct pol_searched *searched(const struct subject *s, int family)
{
	return family == 4 ? &s->o->classes.v4 : &s->o->classes.v6;
}

static struct pol_ip address_at(int family, uint64_t first)
{
	return family == 4 ? (struct pol_ip){ 0, first, 4 } : (struct pol_ip){ first, 0, 6 };
}

/* Another class for an interval. */
static bool other_class(struct subject *s, char *copy, int family)
{
	const uint32_t *of = family == 4 ? s->o->classes.v4_class : s->o->classes.v6_class;
	uint32_t class = below(s, s->o->manifest.address_classes), at;
	struct some_place p = { .s = s };
	size_t size;
	char *to = symbol(s, copy, family == 4 ? "pol_v4_class" : "pol_v6_class", &size);

	pol_search_places(searched(s, family), some_place, &p);
	at = pol_search_find(searched(s, family), p.first);
	if (!to || of[at] & POL_V6_LOW || !addresses_differ(s, of[at], class))
		return false;
	memcpy(to + at * sizeof(class), &class, sizeof(class));
	snprintf(s->what, sizeof(s->what), "IPv%d class of interval %u: %u", family, at, class);
	return true;
}

static bool v4_class(struct subject *s, char *copy)
{
	return other_class(s, copy, 4);
}

static bool v6_class(struct subject *s, char *copy)
{
	return other_class(s, copy, 6);
}

/* The double that has the bound of a node, and what is one more of it there; NULL: it has none there. */
static const __u64 *bound_in(const struct pol_searched *v, size_t at, uint64_t bound, uint64_t *one)
{
	unsigned each = v->family == 4 ? POL_NODE4_BITS + 1 : 64;
	unsigned in_one = v->family == 4 ? 3 : 1;
	size_t doubles = pol_search_doubles(v->family);

	for (unsigned k = 0; k < in_one * (doubles - 1); k++) {
		const __u64 *d = v->node + at * doubles + k / in_one;
		unsigned bits = k % in_one * each;

		*one = 1ull << bits;
		if ((*d >> bits & UINT64_MAX >> (64 - each)) == bound)
			return d;
	}
	return NULL;
}

/* A bound moved by one address, or by one high half. */
static bool other_bound(struct subject *s, char *copy, int family)
{
	const struct pol_searched *v = searched(s, family);
	struct some_place p = { .s = s, .rest = (1ull << v->s.shift) - 1 };
	const __u64 *d = NULL;
	uint64_t moved, one = 0;
	size_t size, at;
	char *to = symbol(s, copy, family == 4 ? "pol_v4_node" : "pol_v6_node", &size);

	pol_search_places(v, some_place, &p);
	if (!to || !p.n ||
	    !addresses_differ(s, prt_address_class(s->o, address_at(family, p.first - 1)),
			      prt_address_class(s->o, address_at(family, p.first))))
		return false;
	at = v->top[p.first >> v->s.shift];
	for (unsigned l = 0; !d && l < v->s.levels; l++) {
		d = bound_in(v, at, p.first & p.rest, &one);
		at = family == 4 ? pol_search4_next(v->node + at * POL_NODE4_DOUBLES,
						    pol_search4_rest((uint32_t)p.first, v->s.shift))
				 : pol_search6_next(v->node + at * POL_NODE6_DOUBLES,
						    pol_search6_rest(p.first, v->s.shift));
	}
	if (!d)
		return false;
	moved = *d + one;
	memcpy(to + (size_t)(d - v->node) * sizeof(moved), &moved, sizeof(moved));
	snprintf(s->what, sizeof(s->what), "IPv%d bound %#llx moved by one", family,
		 (unsigned long long)p.first);
	return true;
}

static bool v4_bound(struct subject *s, char *copy)
{
	return other_bound(s, copy, 4);
}

static bool v6_bound(struct subject *s, char *copy)
{
	return other_bound(s, copy, 6);
}

static bool l4_class(struct subject *s, char *copy)
{
	static const uint8_t protos[] = { 6, 17, 132, 1, 58 };
	unsigned slot = below(s, 6);
	uint16_t value = (uint16_t)below(s, 65536),
		 class = (uint16_t)below(s, s->o->manifest.l4_classes);
	size_t size;
	char *at;

	if (slot == 5) { /* a protocol without ports */
		value &= 0xff;
		if (memchr(protos, (int)value, sizeof(protos)))
			return false;
		at = symbol(s, copy, "pol_proto_class", &size);
		if (!at || !l4_differ(s, s->o->proto_class[value], class))
			return false;
		memcpy(at + value * sizeof(class), &class, sizeof(class));
		snprintf(s->what, sizeof(s->what), "class of protocol %u: %u", value, class);
		return true;
	}
	if (slot >= 3)
		value &= 0xff;
	if (!l4_differ(s, prt_l4_class(s->o, protos[slot], value), class))
		return false;
	at = symbol(s, copy, "pol_l4_class", &size);
	if (!at)
		return false;
	memcpy(at + (s->o->l4_page[slot][value >> 8] * 256u + (value & 0xff)) * sizeof(class),
	       &class, sizeof(class));
	snprintf(s->what, sizeof(s->what), "class of protocol %u value %u: %u", protos[slot], value,
		 class);
	return true;
}

static bool limit(struct subject *s, char *copy)
{
	size_t size;
	char *at = symbol(s, copy, "pol_limits", &size);
	uint32_t n = s->o->manifest.nlimits, i;
	struct pol_limit l;

	if (!at || !n)
		return false;
	i = below(s, n);
	l = s->o->limits[i];
	if (below(s, 2))
		l.ns_per_token++;
	else
		l.burst_ns /= 2;
	memcpy(at + i * sizeof(l), &l, sizeof(l));
	snprintf(s->what, sizeof(s->what), "limit %u", i);
	return true;
}

static bool http_byte(struct subject *s, char *copy)
{
	struct pol_str all;
	char *at = section(s, copy, POL_SECTION_HTTP, &all);
	uint32_t i;

	if (!at || !all.n)
		return false;
	i = below(s, all.n);
	at[i] = (char)(at[i] ^ (1 << below(s, 8)));
	snprintf(s->what, sizeof(s->what), "http image, byte %u", i);
	return true;
}

/* One digit of the manifest, in the lines that say what endpoints get. */
static bool manifest_digit(struct subject *s, char *copy)
{
	static const char *const lines[] = { "\nselectors:", "\nclasses:", "\nsets:",
					     "\npredicates:", "\nblocks:" };
	const char *line;
	struct pol_str all;
	char *text = section(s, copy, POL_SECTION_MANIFEST, &all), *from, *end;
	size_t at;

	if (!text)
		return false;
	line = lines[below(s, 5)];
	from = memmem(text, all.n, line, strlen(line));
	end = from ? memmem(from, (size_t)(text + all.n - from), "\nlimits:", 8) : NULL;
	if (!from || !end)
		return false;
	at = below(s, (size_t)(end - from));
	if (from[at] < '0' || from[at] > '9')
		return false;
	from[at] = (char)('0' + (from[at] - '0' + 1 + (int)below(s, 9)) % 10);
	snprintf(s->what, sizeof(s->what), "manifest: ...%.*s...", 40,
		 from + (at > 20 ? at - 20 : 0));
	return true;
}

/* A word of the manifest for another of the same length. */
static bool manifest_word(struct subject *s, char *copy)
{
	static const char *const words[][2] = {
		{ "egress", "ingres" },           { "default: deny", "default: none" },
		{ "op: in,", "op: or," },         { "op: and", "op: not" },
		{ "stage: main", "stage: adm " }, { "audit: true", "audit: yes " },
	};
	struct pol_str all;
	char *text = section(s, copy, POL_SECTION_MANIFEST, &all), *at;
	unsigned i = below(s, POL_ARRAY_LEN(words));

	at = text ? memmem(text, all.n, words[i][0], strlen(words[i][0])) : NULL;
	if (!at)
		return false;
	memcpy(at, words[i][1], strlen(words[i][0]));
	snprintf(s->what, sizeof(s->what), "manifest: %s", words[i][1]);
	return true;
}

/* A letter of a rule's account. */
static bool rules_letter(struct subject *s, char *copy)
{
	struct pol_str all;
	char *text = section(s, copy, POL_SECTION_RULES, &all);
	uint32_t at;

	if (!text || !all.n)
		return false;
	at = below(s, all.n);
	if (text[at] < '0' || text[at] > 'y' || (text[at] > '9' && text[at] < 'a'))
		return false;
	text[at]++;
	snprintf(s->what, sizeof(s->what), "rules: ...%.*s...", 40, text + (at > 20 ? at - 20 : 0));
	return true;
}

static bool (*const mutations[])(struct subject *, char *) = {
	page_entry, page_entry, verdict, drop_rule, v4_class,       v4_bound,      v6_class,
	v6_bound,   l4_class,   limit,   http_byte, manifest_digit, manifest_word, rules_letter,
};

/* ---- asking -------------------------------------------------------------------------- */

enum answer { EQUAL, DIFFERS, REFUSED };

static enum answer ask(struct subject *s, char *copy, size_t size)
{
	struct prt_object *o = NULL;
	struct ver_report r = { .arena = pol_arena_new(), .ir = s->ir };
	struct pol_err e = { 0 };
	enum answer a = REFUSED;

	if (prt_object_parse("mutant", copy, size, &o, &e) == 0) {
		r.object = o;
		if (ver_tables(&r, &e) == 0)
			a = ver_equal(&r) ? EQUAL : DIFFERS;
	}
	prt_object_free(o);
	pol_arena_free(r.arena);
	return a;
}

static char *copy_of(const struct prt_object *o)
{
	char *copy = malloc(o->size);

	if (!copy)
		abort();
	memcpy(copy, o->data, o->size);
	return copy;
}

static int run(struct subject *s, unsigned number)
{
	unsigned made = 0, caught = 0, refused = 0, tries = 0;

	if (ask(s, copy_of(s->o), s->o->size) != EQUAL) {
		puts("the object as compiled does not pass");
		return 1;
	}
	while (made < number && tries++ < 1000 * number) {
		char *copy = copy_of(s->o);
		enum answer a;

		if (!mutations[tries % POL_ARRAY_LEN(mutations)](s, copy)) {
			free(copy);
			continue;
		}
		made++;
		a = ask(s, copy, s->o->size); /* takes the copy */
		caught += a != EQUAL;
		refused += a == REFUSED;
		if (a == EQUAL)
			printf("not caught: %s\n", s->what);
	}
	printf("%u of %u, %u by the reader\n", caught, made, refused);
	return caught < number;
}

int main(int argc, char **argv)
{
	struct subject s = { 0 };
	struct prt_object *o = NULL;
	struct pol_diags diags;
	struct pol_err e = { 0 };
	struct pol_program *program;
	int r = 99;

	if (argc != 5)
		return 99;
	s.arena = pol_arena_new();
	s.rng.state = strtoull(argv[4], NULL, 0);
	pol_diags_init(&diags, s.arena);
	program = pol_load(argv[2], NULL, s.arena, &diags);
	if (!diags.n_errors)
		s.ir = pol_lower(program, s.arena, &diags);
	if (!s.ir || prt_object_open(argv[1], &o, &e) ||
	    prt_elf_open(argv[1], o->data, o->size, s.arena, &s.elf, &e)) {
		printf("%s: %s\n", argv[1], e.text);
	} else {
		s.o = o;
		reach_all(&s);
		r = run(&s, (unsigned)atoi(argv[3]));
	}
	pol_vec_free(&s.rows);
	prt_object_free(o);
	pol_program_free(program);
	pol_diags_free(&diags);
	pol_arena_free(s.arena);
	return r;
}
