/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of everything that reads an object before the kernel does.
 *
 * Input is text: the manifest; after a byte 0x1e the rules; after another one
 * what follows is laid over the binary: six bytes each, an offset (32 bits),
 * and 16 bits to add there.  What begins like an ELF file is taken as it is.
 *
 * What is accepted is placed: two endpoints, then a third by another process.
 */
#include <stddef.h>
#include <stdint.h>

#include "runtime/place/place.h"
#include "tests/unit/object_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

extern unsigned long fuzz_object_accepted, fuzz_object_placed; /* for tests/unit/test_flips.c */
unsigned long fuzz_object_accepted; /* inputs that were good objects */
unsigned long fuzz_object_placed; /* and had a place for three endpoints */

#define L4 3
#define PAGES 64
#define VERDICTS 16

/*
 * Verdicts 2 to 5; pages 1 to 4: L4 trees of NONE and one of them; 6, 8, 10 and 12: trees of these over the two
 * column levels.  No page may be as another one, at whatever height: so the first four have two verdicts.
 */
static struct pol_table *make_trees(void)
{
	struct pol_table *t = pol_table_new(PAGES, VERDICTS);

	for (uint32_t i = 0; i < 4; i++) {
		struct pol_verdict v = {
			.order = i, .rule = i % 2, .audit_rule = POL_NO_RULE, .action = (uint8_t)i
		};

		if (v.action == POL_ALLOW) {
			v.flags = POL_VF_ADDS;
			v.nlimits = 1;
		}
		pol_table_verdict(t, &v);
	}
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t row[POL_PAGE] = { POL_VERDICT_NONE };

		for (uint32_t k = 1; k < POL_PAGE; k++)
			row[k] = i + 2;
		pol_table_page(t, row);
	}
	for (uint32_t i = 0; i < 4; i++)
		if (pol_table_uniform(t, i + 1, 1, 3) != 2 * i + 6)
			abort();
	return t;
}

static struct pol_str cut(struct pol_str *rest)
{
	const char *end = rest->n ? memchr(rest->p, 0x1e, rest->n) : NULL;
	struct pol_str first = { rest->p, end ? (size_t)(end - rest->p) : rest->n };

	rest->p += first.n + (end != NULL);
	rest->n -= first.n + (end != NULL);
	return first;
}

static void lay_over(char *file, size_t size, struct pol_str over)
{
	for (; over.n >= 6; over.p += 6, over.n -= 6) {
		uint32_t at;
		uint16_t add, was;

		memcpy(&at, over.p, sizeof(at));
		memcpy(&add, over.p + 4, sizeof(add));
		at %= (uint32_t)(size - sizeof(was));
		memcpy(&was, file + at, sizeof(was));
		was = (uint16_t)(was + add);
		memcpy(file + at, &was, sizeof(was));
	}
}

static char *build(struct pol_str text, size_t *size)
{
	static const struct pol_limit limit[1];
	struct pol_table *t = make_trees();
	struct pol_str manifest = cut(&text), rules = cut(&text);
	char *file;

	if (!rules.n)
		rules = POL_STR("- {file: a, line: 1, policy: p, direction: ingress, action: deny, "
				"text: a}\n"
				"- {file: a, line: 2, policy: p, direction: egress, action: deny, "
				"text: b}\n");
	file = make_object(&(struct made){ manifest, rules, t, PAGES, VERDICTS, L4, limit, 1 },
			   size);
	pol_table_free(t);
	lay_over(file, *size, text);
	return file;
}

static struct prt_label labels[] = { { { "app", 3 }, { "web", 3 } }, { { "zone", 4 }, { "", 0 } } };
static struct pol_ip ips[] = { { .family = 4, .lo = 10u << 24 }, { .family = 6, .lo = 1 } };
static const struct prt_place_ep eps[] = {
	{ 1, true, labels, 2, ips, 2 },
	{ 2, false, labels, 1, ips, 1 },
	{ 3, true, labels, 0, ips, 2 },
};

static void check_verdicts(const struct prt_object *o, const struct prt_place *p, uint32_t ep)
{
	for (uint32_t l4 = 0; l4 < o->manifest.l4_classes; l4++)
		for (unsigned e = 0; e <= POL_ENTITY_ENDPOINT; e++) {
			struct prt_place_peer peer = { e, ips[l4 % 2],
						       prt_place_get_column(p, 1 + l4 % 3, 0) };
			struct pol_verdict v;

			if (prt_place_verdict(p, ep, l4 % 2, &peer, l4, &v) || v.action > POL_ALLOW)
				abort();
		}
}

static void place(const struct prt_object *o)
{
	struct prt_place *p = prt_place_new(o), *q;
	struct prt_place_update u = { 0 };
	struct pol_err err = { 0 };
	uint32_t root[POL_DIRECTIONS], column[2];

	if (prt_place_add(p, eps, 2, &u, &err)) {
		if (!err.text[0])
			abort();
		prt_place_free(p);
		return;
	}
	check_verdicts(o, p, 1);
	prt_place_update_free(&u);
	q = prt_place_new(o);
	column[0] = prt_place_get_column(p, 1, 0);
	column[1] = prt_place_get_column(p, 1, 1);
	if (prt_place_adopt(q, prt_place_pages(p), prt_place_verdicts(p), prt_place_columns(p),
			    &err) ||
	    prt_place_get_root(p, 1, root) || prt_place_adopt_ep(q, &eps[0], root, column, &err))
		abort();
	if (!prt_place_add(q, &eps[2], 1, &u, &err)) {
		check_verdicts(o, q, 3);
		fuzz_object_placed++;
	} else if (!err.text[0]) {
		abort();
	}
	prt_place_update_free(&u);
	prt_place_free(q);
	prt_place_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_str text = { (const char *)data, n };
	struct prt_object *o = NULL;
	struct prt_rules rules = { 0 };
	struct pol_err err = { 0 };
	size_t size = n;
	char *file;

	if (n >= 4 && memcmp(data,
			     "\x7f"
			     "ELF",
			     4) == 0) {
		file = malloc(n);
		if (!file)
			return 0;
		memcpy(file, data, n);
	} else {
		file = build(text, &size);
	}
	if (prt_object_parse("t.bpf.o", file, size, &o, &err)) {
		if (o || !err.text[0])
			abort();
		return 0;
	}
	if (prt_rules_parse(o, &rules, &err) && !err.text[0])
		abort();
	place(o);
	fuzz_object_accepted++;
	prt_rules_free(&rules);
	prt_object_free(o);
	return 0;
}
