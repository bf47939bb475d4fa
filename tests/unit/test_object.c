/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects that are whole, cut short, damaged or hostile.  What is refused is
 * refused with a message; what is accepted can be placed and searched.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/place/place.h"
#include "object_maker.h"

/* ---- one small object ---------------------------------------------------- */

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define ABI TEXT_OF(POL_ABI_VERSION)
#define HEAD                                                                                       \
	"polc: \"0.9\"\nabi: " ABI "\npolicy: t.pol\nsources: 00ff\ndefault: deny\n"               \
	"host_open: false\naddress_classes: 5\nl4_classes: 3\ncolumn_levels: 2\nl4_levels: 1\n"
#define SELECTORS                                                                                  \
	"selectors:\n  - {op: true}\n  - {op: in, key: app, values: [web, api]}\n"                 \
	"  - {op: has, key: zone}\n  - {op: and, of: [1, 2]}\n  - {op: not, of: [3]}\n"
#define CLASSES "classes:\n  - {name: web, selector: 1}\n"
#define SETS "sets:\n  - [0-4]\n  - [0, 2-3]\n"
#define PREDS "predicates:\n  - [{selector: 1, set: 0}, {selector: 2, set: 1}]\n  - []\n"
#define LIMITS "limits: 1\n"
#define RULE                                                                                       \
	"- {file: t.pol, line: 3, policy: web, direction: ingress, action: allow, text: \"a\"}\n"
#define RULE_2                                                                                     \
	"- {file: t.pol, line: 4, policy: web, direction: egress, action: deny, "                  \
	"text: \"b\", implicit: closed, tier: \"admin 10\", audit: true, name: \"n\"}\n"

struct small {
	struct pol_table *table;
	struct pol_buf manifest;
	uint32_t root, base, allow;
};

static void small_new(struct small *s)
{
	struct pol_verdict allow = {
		.order = 1, .rule = 0, .audit_rule = POL_NO_RULE, .action = POL_ALLOW, .nlimits = 1
	};
	struct pol_verdict deny = { .order = 2, .rule = 1, .audit_rule = POL_NO_RULE };

	*s = (struct small){ .table = pol_table_new(1000, 1000) };
	s->allow = pol_table_verdict(s->table, &allow);
	s->base = pol_table_uniform(s->table, pol_table_verdict(s->table, &deny), 0, 1);
	s->root = pol_table_uniform(s->table, s->base, 1, 3);
	s->allow = pol_table_uniform(s->table, s->allow, 0, 1);
	pol_buf_printf(&s->manifest,
		       HEAD "pages_used: %u\nverdicts_used: %u\n" SELECTORS CLASSES SETS PREDS
			    "blocks:\n  - {subject: 0, direction: ingress, stage: main, "
			    "audit: false, root: %u, base: %u, rows: [[0, %u]]}\n" LIMITS,
		       pol_table_npages(s->table), pol_table_nverdicts(s->table), s->root, s->base,
		       s->allow);
}

static void small_free(struct small *s)
{
	pol_table_free(s->table);
	pol_buf_free(&s->manifest);
}

static char *small_object(const struct small *s, struct pol_str manifest, size_t *size)
{
	static const struct pol_limit limit[1];

	return make_object(&(struct made){ manifest, POL_STR(RULE RULE_2), s->table, 16, 16, 3,
					   limit, 1 },
			   size);
}

static int parse(char *data, size_t size, struct prt_object **out, struct pol_err *err)
{
	*err = (struct pol_err){ 0 };
	return prt_object_parse("t.bpf.o", data, size, out, err);
}

/* Places something, so that every number of an accepted object is used. */
static void use(const struct prt_object *o)
{
	struct prt_label labels[] = { { POL_STR("app"), POL_STR("web") },
				      { POL_STR("zone"), POL_STR("") } };
	struct pol_ip ip = { .family = 4, .lo = 10u << 24 | 1 };
	struct prt_place_ep ep = { 1, true, labels, 2, &ip, 1 };
	struct prt_place *place = prt_place_new(o);
	struct prt_place_update u = { 0 };
	struct pol_err err = { 0 };
	struct prt_rules rules = { 0 };
	int ret = prt_place_add(place, &ep, 1, &u, &err);

	assert_int_equal(ret != 0, err.text[0] != 0);
	prt_place_update_free(&u);
	prt_place_free(place);
	err = (struct pol_err){ 0 };
	ret = prt_rules_parse(o, &rules, &err);
	assert_int_equal(ret != 0, err.text[0] != 0);
	prt_rules_free(&rules);
}

static void try_bytes(char *data, size_t size)
{
	struct prt_object *o = NULL;
	struct pol_err err;

	if (parse(data, size, &o, &err)) {
		assert_null(o);
		assert_true(err.text[0]);
	} else {
		use(o);
		prt_object_free(o);
	}
}

/* ---- good ---------------------------------------------------------------- */

static void test_whole(void **state)
{
	struct prt_rules rules = { 0 };
	struct prt_object *o = NULL;
	struct pol_err err;
	struct small s;
	size_t size;
	char *data;

	(void)state;
	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	if (parse(data, size, &o, &err))
		fail_msg("%s", err.text);
	assert_int_equal(o->manifest.nselectors, 5);
	assert_int_equal(o->manifest.nblocks, 1);
	assert_int_equal(o->manifest.static_columns, 96);
	assert_int_equal(o->manifest.columns, 1024);
	assert_int_equal(o->nrules, 2);
	assert_int_equal(o->max_pages, 16);
	assert_int_equal(prt_address_class(o, (struct pol_ip){ .family = 4, .lo = 10u << 24 }), 1);
	assert_int_equal(prt_address_class(o, (struct pol_ip){ .family = 4, .lo = 1 }), 0);
	assert_int_equal(prt_address_class(o, (struct pol_ip){ .family = 6, .lo = 1 }), 4);
	assert_int_equal(prt_l4_class(o, 6, 0x1234), 0x34 % 3);
	assert_int_equal(prt_l4_class(o, 58, 128), 128 % 3);
	assert_int_equal(prt_l4_class(o, 47, 9), 47 % 3);
	assert_int_equal(prt_rules_parse(o, &rules, &err), 0);
	assert_int_equal(prt_rules_get(&rules, 1)->line, 4);
	assert_true(prt_rules_get(&rules, 1)->audit);
	assert_string_equal(prt_rules_get(&rules, 1)->tier.p, "admin 10");
	assert_null(prt_rules_get(&rules, 2));
	assert_null(prt_rules_get(&rules, POL_NO_RULE));
	prt_rules_free(&rules);
	use(o);
	prt_object_free(o);
	small_free(&s);
}

/* ---- damaged ------------------------------------------------------------- */

static void test_truncated(void **state)
{
	struct small s;
	size_t size;
	char *data;

	(void)state;
	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	for (size_t n = 0; n < size; n += n < 2000 || n + 2000 > size ? 1 : 61) {
		char *cut = malloc(n + 1);

		memcpy(cut, data, n);
		try_bytes(cut, n);
	}
	free(data);
	small_free(&s);
}

static void test_flipped(void **state)
{
	uint64_t rng = 88172645463325252u;
	struct small s;
	size_t size;
	char *data;

	(void)state;
	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	for (unsigned i = 0; i < 20000; i++) {
		char *copy = malloc(size);

		memcpy(copy, data, size);
		for (unsigned j = 0; j <= i % 3; j++) {
			rng ^= rng << 13;
			rng ^= rng >> 7;
			rng ^= rng << 17;
			/* Most of the file is empty pages: half of the flips go to texts. */
			size_t at = rng % (i % 2 ? size : 3000);

			copy[i % 4 < 2 ? at : size - 1 - at] ^= (char)(1u << (rng >> 32) % 8);
		}
		try_bytes(copy, size);
	}
	free(data);
	small_free(&s);
}

/* ---- hostile: one mistake each ------------------------------------------- */

struct wrong {
	const char *from, *to, *says;
};

static void refuse(const struct small *s, const struct wrong *w)
{
	struct pol_str m = pol_buf_str(&s->manifest);
	const char *at = strstr(m.p, w->from);
	struct prt_object *o = NULL;
	struct pol_buf b = { 0 };
	struct pol_err err;
	size_t size;
	int ret;

	assert_non_null(at);
	pol_buf_add(&b, (struct pol_str){ m.p, (size_t)(at - m.p) });
	pol_buf_addz(&b, w->to);
	pol_buf_addz(&b, at + strlen(w->from));
	char *data = small_object(s, pol_buf_str(&b), &size);
	ret = parse(data, size, &o, &err);
	if (!ret || !strstr(err.text, w->says))
		fail_msg("`%s` for `%s`: said `%s`, not `%s`", w->to, w->from, err.text, w->says);
	assert_null(o);
	pol_buf_free(&b);
}

static void test_hostile(void **state)
{
	static const struct wrong wrong[] = {
		{ "abi: " ABI "\n", "abi: 99\n",
		  "ABI version 99 (compiled by polc 0.9), this polload understands version " ABI },
		{ "abi: ", "abo: ", "no `abi`" },
		{ "polc: \"0.9\"", "polk: \"0.9\"", "unknown key `polk`" },
		{ "address_classes: 5", "address_classes: 4", "address classes" },
		{ "address_classes: 5", "address_classes: 400", "too few" },
		{ "address_classes: 5", "address_classes: 0", "from 1" },
		{ "l4_classes: 3", "l4_classes: 2", "class 2 of 2" },
		{ "l4_classes: 3", "l4_classes: 33", "too few" },
		{ "column_levels: 2", "column_levels: 6", "column_levels" },
		{ "pages_used: ", "pages_used: 9", "pages are used" },
		{ "verdicts_used: ", "verdicts_used: 9", "verdicts are used" },
		{ "  - {op: true}\n", "  - {op: has, key: a}\n", "first selector" },
		{ "of: [1, 2]", "of: [1, 3]", "an operand" },
		{ "of: [1, 2]", "of: []", "operands" },
		{ "of: [3]", "of: [3, 2]", "operands" },
		{ "op: not", "op: nand", "unknown op `nand`" },
		{ "op: has, key: zone", "op: has", "needs `key`" },
		{ "op: has, key: zone", "op: has, key: zone, of: [1]", "cannot have `of`" },
		{ "values: [web, api]", "values: []", "empty" },
		{ "selector: 1}\n", "selector: 5}\n", "selector" },
		{ "[0, 2-3]", "[0, 2-5]", "5 address classes" },
		{ "[0, 2-3]", "[2, 1]", "ascend" },
		{ "[0, 2-3]", "[3-2]", "`3-2`" },
		{ "set: 1", "set: 2", "set" },
		{ "subject: 0", "subject: 50", "subject" },
		{ "stage: main", "stage: last", "unknown stage" },
		{ "direction: ingress", "direction: up", "unknown direction" },
		{ "audit: false", "audit: no", "true or false" },
		{ "root: ", "root: 9", "root" },
		{ "rows: [[0, ", "rows: [[2, ", "a predicate" },
		{ "rows: [[0, ", "rows: [[0, 9", "a page" },
		{ "limits: 1", "limits: 0", "makes no sense" },
		{ "limits: 1", "limits: 2", "pol_limits" },
		{ "limits: 1", "limits: &a 1", "anchors" },
		{ "limits: 1", "limits: !!int 1", "tags" },
		{ "limits: 1", "limits: 1\nabi: 2", "already" },
		{ "limits: 1", "limits: 1\n--- 2", "second document" },
	};
	struct small s;

	(void)state;
	small_new(&s);
	for (size_t i = 0; i < POL_ARRAY_LEN(wrong); i++)
		refuse(&s, &wrong[i]);
	small_free(&s);
}

/* Numbers inside the binary tables. */
static void refuse_table(void (*spoil)(char *pages, char *verdicts), const char *says)
{
	struct prt_object *o = NULL;
	struct pol_err err;
	struct small s;
	size_t size;
	char *data, *pages, *verdicts;

	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	pages = memmem(data, size, pol_table_pages(s.table), pol_table_npages(s.table) * 128);
	verdicts =
		memmem(data, size, pol_table_verdicts(s.table), pol_table_nverdicts(s.table) * 64);
	assert_non_null(pages);
	assert_non_null(verdicts);
	spoil(pages, verdicts);
	assert_int_equal(parse(data, size, &o, &err), -ENOEXEC);
	if (!strstr(err.text, says))
		fail_msg("`%s`", err.text);
	small_free(&s);
}

static struct pol_verdict *nth(char *verdicts, unsigned i)
{
	return (struct pol_verdict *)(void *)verdicts + i;
}

static void spoil_page_0(char *p, char *v)
{
	(void)v;
	p[4] = 1;
}
static void spoil_leaf(char *p, char *v)
{
	(void)v;
	p[128 + 64] = 99;
}
static void spoil_inner(char *p, char *v)
{
	(void)v;
	p[2 * 128 + 5] = 99;
}
static void spoil_fixed(char *p, char *v)
{
	(void)p;
	nth(v, 0)->action = POL_ALLOW;
}
static void spoil_none(char *p, char *v)
{
	(void)p;
	nth(v, 1)->order = 7;
}
static void spoil_rule(char *p, char *v)
{
	(void)p;
	nth(v, 2)->rule = 2;
}
static void spoil_audit(char *p, char *v)
{
	(void)p;
	nth(v, 2)->audit_rule = 2;
}
static void spoil_action(char *p, char *v)
{
	(void)p;
	nth(v, 2)->action = 5;
}
static void spoil_limit(char *p, char *v)
{
	(void)p;
	nth(v, 2)->limit[0] = 1;
}
static void spoil_nlimits(char *p, char *v)
{
	(void)p;
	nth(v, 2)->nlimits = 9;
}
static void spoil_order(char *p, char *v)
{
	(void)p;
	nth(v, 2)->nlimits = 2;
}
static void spoil_deny(char *p, char *v)
{
	(void)p;
	nth(v, 3)->nlimits = 1;
}
static void spoil_spare(char *p, char *v)
{
	(void)p;
	nth(v, 2)->spare[2] = 1;
}

static void test_hostile_tables(void **state)
{
	(void)state;
	refuse_table(spoil_page_0, "the first page");
	refuse_table(spoil_leaf, "a decision tree");
	refuse_table(spoil_inner, "a decision tree");
	refuse_table(spoil_fixed, "fixed");
	refuse_table(spoil_none, "fixed");
	refuse_table(spoil_rule, "verdict 2");
	refuse_table(spoil_audit, "verdict 2");
	refuse_table(spoil_action, "verdict 2");
	refuse_table(spoil_limit, "verdict 2");
	refuse_table(spoil_nlimits, "verdict 2");
	refuse_table(spoil_order, "verdict 2");
	refuse_table(spoil_deny, "verdict 3");
	refuse_table(spoil_spare, "verdict 2");
}

/* Numbers of the search for addresses, wherever its first bytes are. */
static void refuse_search(const void *from, size_t n, size_t at, const void *to, size_t size_to,
			  const char *says)
{
	struct prt_object *o = NULL;
	struct pol_err err;
	struct small s;
	size_t size;
	char *data, *found;

	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	found = memmem(data, size, from, n);
	assert_non_null(found);
	memcpy(found + at, to, size_to);
	assert_int_equal(parse(data, size, &o, &err), -ENOEXEC);
	if (!strstr(err.text, says))
		fail_msg("`%s`", err.text);
	small_free(&s);
}

static void test_hostile_search(void **state)
{
	static const struct pol_v6_low group = { 0, 4, 1 };
	static const char whole[] = "does not hold together";
	struct made_tables t;
	struct {
		uint32_t class;
		char unused[12]; /* the tables of an object begin at multiples of 16 */
		struct pol_v6_low low;
	} grouped = { .class = POL_V6_LOW, .low = group };
	struct pol_search deep = { POL_NODE4_BITS, 2 };
	uint32_t class = 5;
	uint16_t root = 3;
	uint64_t base = 4;

	(void)state;
	make_tables(&t, 3);
	refuse_search(&t.v4_search, sizeof(t.v4_search), 0, &deep, sizeof(deep), whole);
	refuse_search(t.v4_top, sizeof(t.v4_top), 0, &root, sizeof(root), whole);
	root = 1; /* which has bounds, and is another's */
	refuse_search(t.v4_top, sizeof(t.v4_top), 4000, &root, sizeof(root), whole);
	refuse_search(t.v4_node, sizeof(t.v4_node), 2 * 32 + 24, &base, sizeof(base), whole);
	base = 0; /* bounds that do not ascend */
	refuse_search(t.v4_node, sizeof(t.v4_node), 32, &base, sizeof(base), whole);
	refuse_search(t.v4_class, sizeof(t.v4_class), 8, &class, sizeof(class), "class 5 of 5");
	class = POL_V6_LOW;
	refuse_search(t.v6_node, sizeof(t.v6_node), 64, &class, sizeof(class), "names group 0");
	refuse_search(t.v6_node, sizeof(t.v6_node), 64, &grouped, sizeof(grouped),
		      "more than one high half");
}

/* The same section or symbol twice, none, or not for BPF. */
static void test_hostile_elf(void **state)
{
	static const struct part twice[] = { { ".polc.manifest", NULL, "a: 1", 4 },
					     { ".polc.manifest", NULL, "a: 1", 4 } };
	static const struct part none[] = { { ".data", "x", "1", 1 } };
	struct prt_object *o = NULL;
	struct pol_err err;
	size_t size;
	char *data;

	(void)state;
	data = make_elf(twice, 2, &size);
	assert_int_equal(parse(data, size, &o, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "two sections"));
	data = make_elf(none, 1, &size);
	assert_int_equal(parse(data, size, &o, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "no section `.polc.manifest`"));
	data = make_elf(none, 1, &size);
	((Elf64_Ehdr *)(void *)data)->e_machine = EM_X86_64;
	assert_int_equal(parse(data, size, &o, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "not one of polc"));
	assert_int_equal(parse(NULL, 0, &o, &err), -ENOEXEC);
}

/* ---- rules --------------------------------------------------------------- */

static void refuse_rules(const char *text, const char *says)
{
	struct prt_object o = { .path = POL_STR("t.bpf.o"),
				.rules_text = pol_str(text),
				.nrules = 1 };
	struct prt_rules rules = { 0 };
	struct pol_err err = { 0 };

	assert_int_equal(prt_rules_parse(&o, &rules, &err), -ENOEXEC);
	assert_null(rules.v);
	if (!strstr(err.text, says))
		fail_msg("`%s`", err.text);
}

static void test_rules(void **state)
{
	(void)state;
	refuse_rules("", "there is nothing here");
	refuse_rules("- {}\n- {}\n", "2 rules, but 1");
	refuse_rules("- {file: a}\n", "needs `line`");
	refuse_rules("- {fiel: a}\n", "unknown key `fiel`");
	refuse_rules("- {file: [a]}\n", "single value");
	refuse_rules("- {file: *a}\n", "aliases");
	refuse_rules("- [", "t.bpf.o: rules:2:1: ");
}

/* ---- files --------------------------------------------------------------- */

static void test_files(void **state)
{
	char path[] = "/tmp/polload-object-XXXXXX", fifo[64];
	struct prt_object *o = NULL;
	struct pol_err err = { 0 };
	struct small s;
	size_t size;
	char *data;

	(void)state;
	small_new(&s);
	data = small_object(&s, pol_buf_str(&s.manifest), &size);
	close(mkstemp(path));
	assert_int_equal(pol_write_file(path, data, size, &err), 0);
	assert_int_equal(prt_object_open(path, &o, &err), 0);
	prt_object_free(o);
	o = NULL;
	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	err = (struct pol_err){ 0 };
	assert_int_equal(prt_object_open(fifo, &o, &err), -EINVAL);
	err = (struct pol_err){ 0 };
	assert_int_equal(prt_object_open("/tmp", &o, &err), -EINVAL);
	unlink(fifo);
	unlink(path);
	err = (struct pol_err){ 0 };
	assert_int_equal(prt_object_open(path, &o, &err), -ENOENT);
	assert_null(o);
	free(data);
	small_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),          cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),        cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_tables), cmocka_unit_test(test_hostile_elf),
		cmocka_unit_test(test_hostile_search), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
