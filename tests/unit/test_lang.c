/* SPDX-License-Identifier: GPL-2.0-only */
/* The language: sources, diagnostics, parsing, names, lists, flows, layout, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "lang/ast.h"
#include "lang/diag.h"
#include "lang/format.h"
#include "lang/resolve.h"

/* ---- a policy set from memory ------------------------------------------------ */

struct loaded {
	struct pol_arena *arena;
	struct pol_diags diags;
	struct pol_program *p;
};

static struct loaded load_files(const struct pol_memory_file *files)
{
	struct loaded l = { .arena = pol_arena_new() };
	struct pol_fs fs = pol_fs_memory(files);

	pol_diags_init(&l.diags, l.arena);
	l.p = pol_load(files[0].path, &fs, l.arena, &l.diags);
	pol_diags_sort(&l.diags);
	return l;
}

static struct loaded load_text(const char *text)
{
	struct pol_memory_file files[] = { { "t.pol", pol_str(text) }, { 0 } };

	return load_files(files);
}

static void unload(struct loaded *l)
{
	pol_diags_free(&l->diags);
	pol_program_free(l->p);
	pol_arena_free(l->arena);
}

static void assert_clean(const struct loaded *l)
{
	struct pol_buf b = { 0 };

	pol_diags_render(&b, &l->diags, l->p->sources, &(struct pol_render){ 0 });
	if (l->diags.n_errors + l->diags.n_warnings)
		fail_msg("%s", b.p);
	pol_buf_free(&b);
}

/* The codes that a text gets, as "P0217 P0219". */
static void assert_codes(const char *text, const char *codes)
{
	struct loaded l = load_text(text);
	struct pol_buf b = { 0 };

	pol_buf_addz(&b, "");
	for (size_t i = 0; i < l.diags.all.n; i++)
		pol_buf_printf(&b, "%sP%04u", i ? " " : "", l.diags.all.v[i]->code);
	assert_string_equal(b.p, codes);
	pol_buf_free(&b);
	unload(&l);
}

/* ---- files of the tree ------------------------------------------------------- */

static const char *top(void)
{
	const char *t = getenv("top_srcdir");

	return t ? t : ".";
}

static struct pol_buf read_tree(const char *path)
{
	struct pol_buf b = { 0 }, full = { 0 };
	struct pol_err e = { 0 };
	char *text;
	size_t n;

	pol_buf_printf(&full, "%s/%s", top(), path);
	if (pol_read_file(full.p, 1 << 26, &text, &n, &e))
		fail_msg("%s", e.text);
	pol_buf_add(&b, (struct pol_str){ text, n });
	free(text);
	pol_buf_free(&full);
	return b;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static size_t each_file(const char *folder, const char *end, void (*f)(const char *path, void *ctx),
			void *ctx)
{
	struct pol_buf full = { 0 };
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	pol_buf_printf(&full, "%s/%s", top(), folder);
	d = opendir(full.p);
	if (!d)
		fail_msg("%s: cannot open", full.p);
	while ((entry = readdir(d))) {
		struct pol_buf path = { 0 };

		if (!ends_in(entry->d_name, end))
			continue;
		pol_buf_printf(&path, "%s/%s", folder, entry->d_name);
		f(path.p, ctx);
		pol_buf_free(&path);
		n++;
	}
	closedir(d);
	pol_buf_free(&full);
	return n;
}

/* ---- messages ---------------------------------------------------------------- */

static void append(const char *path, void *ctx)
{
	struct pol_buf text = read_tree(path);

	pol_buf_add(ctx, pol_buf_str(&text));
	pol_buf_free(&text);
}

/* What needs megabytes, many files or a command's flow is tried in this program, not by a golden. */
static bool tried_here(unsigned number)
{
	return number == 102 || number == 125 || number == 324;
}

static void every_message_has_a_text_and_a_golden(void **state)
{
	struct pol_buf all = { 0 };
	const struct pol_message *m;
	unsigned last = 0;

	(void)state;
	assert_true(each_file("tests/golden/lang", ".diag", append, &all) >= 60);
	for (size_t i = 0; (m = pol_message_at(i)); i++) {
		char code[16];

		assert_true(m->number > last);
		last = m->number;
		assert_true(strlen(m->title) > 5);
		assert_true(strlen(m->text) > 40);
		assert_int_equal(m->text[strlen(m->text) - 1], '\n');
		snprintf(code, sizeof(code), "[P%04u]", m->number);
		if (m->number < 500 && !tried_here(m->number) && !strstr(all.p, code))
			fail_msg("no golden case in tests/golden/lang shows %s", code);
	}
	pol_buf_free(&all);
}

static void messages_are_found_by_code(void **state)
{
	(void)state;
	assert_int_equal(pol_message_find("P0217")->number, 217);
	assert_int_equal(pol_message_find("p217")->number, 217);
	assert_int_equal(pol_message_find("0217")->number, 217);
	assert_int_equal(pol_message_find("P0401")->severity, POL_WARNING);
	assert_null(pol_message_find("P9999"));
	assert_null(pol_message_find("P"));
	assert_null(pol_message_find(""));
	assert_null(pol_message_find("P0217x"));
	assert_null(pol_message_find("-1"));
}

/* ---- sources and diagnostics ------------------------------------------------- */

static void places_count_characters(void **state)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_sources *s = pol_sources_new(a);
	struct pol_source *src =
		pol_source_add(s, POL_STR("x"), POL_STR("x"), POL_STR("a\n\t\xc3\xa9z\r\n\nq"));
	struct pol_place at;

	(void)state;
	at = pol_source_place(src, 0);
	assert_true(at.line == 1 && at.column == 1);
	at = pol_source_place(src, 5);
	assert_true(at.line == 2 && at.column == 3);
	at = pol_source_place(src, 9);
	assert_true(at.line == 4 && at.column == 1);
	at = pol_source_place(src, 1000);
	assert_true(at.line == 4 && at.column == 2);
	assert_true(pol_str_is(pol_source_line(src, 2), "\t\xc3\xa9z"));
	assert_int_equal(pol_source_line(src, 3).n, 0);
	assert_int_equal(pol_source_line(src, 99).n, 0);
	pol_sources_free(s);
	pol_arena_free(a);
}

static void text_for_terminals_is_harmless(void **state)
{
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_clean(&b, POL_STR("a\x1b[0m\tb\xff\xc3\xa9\x7f\xe2\x80\xae"));
	assert_string_equal(b.p, "a\\x1b[0m\tb\\xff\xc3\xa9\\x7f\\u{202e}");
	pol_buf_free(&b);
}

static void diagnostics_look_as_documented(void **state)
{
	struct pol_memory_file files[] = {
		{ "shop.pol",
		  POL_STR("default deny;\ncidr office = 192.0.2.0/24;\nendpoint api = true;\n"
			  "policy api {\n        allow from offcie on tcp 9090 log;\n}\n") },
		{ 0 }
	};
	struct loaded l = load_files(files);
	struct pol_buf b = { 0 };

	(void)state;
	pol_diags_render(&b, &l.diags, l.p->sources, &(struct pol_render){ 0 });
	assert_string_equal(b.p, "error[P0217]: unknown endpoint or cidr `offcie`\n"
				 " --> shop.pol:5:20\n"
				 "  |\n"
				 "5 |         allow from offcie on tcp 9090 log;\n"
				 "  |                    ^^^^^^ not defined\n"
				 "  |\n"
				 "  = help: did you mean `office`, defined at shop.pol:2?\n\n"
				 "1 error\n");
	b.n = 0;
	pol_diags_render(&b, &l.diags, l.p->sources, &(struct pol_render){ .json = true });
	assert_string_equal(
		b.p,
		"[\n{\"severity\":\"error\",\"code\":\"P0217\","
		"\"message\":\"unknown endpoint or cidr `offcie`\",\"span\":{\"file\":\"shop.pol\","
		"\"start\":{\"line\":5,\"column\":20,\"offset\":95},"
		"\"end\":{\"line\":5,\"column\":26,\"offset\":101},\"label\":\"not defined\"},"
		"\"also\":[],\"help\":[\"did you mean `office`, defined at shop.pol:2?\"],"
		"\"notes\":[]}\n]\n");
	pol_buf_free(&b);
	unload(&l);
}

static void many_diagnostics_are_counted(void **state)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_sources *s = pol_sources_new(a);
	struct pol_diags d;
	struct pol_buf b = { 0 };

	(void)state;
	pol_diags_init(&d, a);
	for (int i = 0; i < 5000; i++) {
		struct pol_diag *g = pol_diag(&d, POL_P0217, POL_NO_SPAN, "number %d", i);

		pol_diag_label(&d, g, "x");
		pol_diag_also(&d, g, POL_NO_SPAN, "x");
		pol_diag_help(&d, g, "x");
	}
	assert_int_equal(d.n_errors, 5000);
	assert_int_equal(d.all.n, POL_DIAG_KEEP);
	pol_diags_render(&b, &d, s, &(struct pol_render){ .max = 7 });
	assert_non_null(strstr(b.p, "number 6"));
	assert_null(strstr(b.p, "number 7"));
	assert_non_null(strstr(b.p, "... and 4993 more"));
	pol_buf_free(&b);
	pol_diags_free(&d);
	pol_sources_free(s);
	pol_arena_free(a);
}

static void similar_names(void **state)
{
	unsigned n;

	(void)state;
	assert_true(pol_similar(POL_STR("offcie"), POL_STR("office"), &n));
	assert_int_equal(n, 1);
	assert_true(pol_similar(POL_STR("fronted"), POL_STR("frontend"), &n));
	assert_false(pol_similar(POL_STR("ab"), POL_STR("ac"), &n));
	assert_false(pol_similar(POL_STR("frontend"), POL_STR("database"), &n));
	assert_false(pol_similar(POL_STR(""), POL_STR("a"), &n));
}

/* ---- parsing ----------------------------------------------------------------- */

static const struct pol_policy *policy_of(const struct loaded *l, const char *name)
{
	for (size_t i = 0; i < l->p->decls.n; i++)
		if (l->p->decls.v[i]->kind == POL_DECL_POLICY &&
		    pol_str_is(l->p->decls.v[i]->name.text, name))
			return &l->p->decls.v[i]->policy;
	fail_msg("no policy %s", name);
	return NULL;
}

static void a_rule_has_its_parts(void **state)
{
	struct loaded l = load_text(
		"default deny; endpoint a = app == \"a\";\n"
		"policy \"p\" on a tier admin 7 { skip to { a, 10.0.0.0/8 except 10.1.0.0/16 } on tcp 80, 443, "
		"8000-8100, icmp6 echo-request log name \"n\"; }\n"
		"policy a { allow from any limit 5/min burst 9 per source /24 /56; }\n");
	const struct pol_policy *p = policy_of(&l, "p");
	const struct pol_ast_rule *r = p->rules.first;
	const struct pol_port *port = r->on->of.first;

	(void)state;
	assert_clean(&l);
	assert_int_equal(p->stage, POL_AST_STAGE_ADMIN);
	assert_int_equal(p->tier, 7);
	assert_true(r->egress && r->log && pol_str_is(r->name.text, "n"));
	assert_int_equal(r->action, POL_AST_SKIP);
	assert_int_equal(r->peer->kind, POL_AST_PEER_UNION);
	assert_ptr_equal(r->peer->of.first->name.decl, pol_program_find(l.p, POL_STR("a")));
	assert_int_equal(r->peer->of.last->kind, POL_AST_PEER_EXCEPT);
	assert_int_equal(r->on->of.n, 4);
	port = port->next;
	assert_true(port->repeated && port->proto == POL_PROTO_TCP && port->lo == 443 &&
		    port->hi == 443);
	port = port->next;
	assert_true(port->proto == POL_PROTO_TCP && port->lo == 8000 && port->hi == 8100);
	port = port->next;
	assert_true(port->proto == POL_PROTO_ICMP6 && port->lo == 128 && port->hi == 128 &&
		    !port->all);
	r = policy_of(&l, "a")->rules.first;
	assert_true(r->limit->rate == 5 && r->limit->seconds == 60 && r->limit->burst == 9);
	assert_true(r->limit->per_source && r->limit->len4 == 24 && r->limit->len6 == 56);
	unload(&l);
}

static void selectors_keep_their_shape(void **state)
{
	struct loaded l = load_text(
		"default deny; endpoint e = a == \"1\" and b != \"2\" and (c in (\"3\", \"4\") or "
		"not has(d) or true) or e not in (\"5\");");
	struct pol_buf b = { 0 };

	(void)state;
	assert_clean(&l);
	pol_sel_dump(&b, pol_program_find(l.p, POL_STR("e"))->endpoint.selector);
	assert_string_equal(b.p,
			    "(or (and (== \"a\" \"1\") (!= \"b\" \"2\") (or (in \"c\" \"3\" \"4\") "
			    "(not (has \"d\")) (true))) (not in \"e\" \"5\"))");
	pol_buf_free(&b);
	unload(&l);
}

static void hostile_texts_end(void **state)
{
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_addz(&b, "default deny; endpoint a = ");
	for (int i = 0; i < 100000; i++)
		pol_buf_addz(&b, "not ");
	pol_buf_addz(&b, "true;");
	assert_codes(b.p, "P0105");
	b.n = 0;
	pol_buf_addz(&b, "default deny; policy a on any { allow from ");
	for (int i = 0; i < 100000; i++)
		pol_buf_addz(&b, "{");
	assert_codes(b.p, "P0105");
	b.n = 0;
	pol_buf_addz(&b, "default deny; endpoint a = true;");
	for (int i = 0; i < 100000; i++)
		pol_buf_addz(&b, "\npolicy a {");
	{
		struct loaded l = load_text(b.p);

		assert_true(l.diags.n_errors > 0 && l.diags.n_errors < 1000);
		unload(&l);
	}
	pol_buf_free(&b);
}

static void mistakes_do_not_multiply(void **state)
{
	(void)state;
	assert_codes("default deny;\nendpoint a = app = \"x\";\npolicy a { allow from a; }\n",
		     "P0110");
	assert_codes("default deny\nendpoint a = true\npolicy a { allow from any }\n",
		     "P0112 P0112 P0112");
	assert_codes("default deny;\npolicy x y { allow from a; deny from b; }\ncidr c = nope;\n",
		     "P0110 P0217");
	assert_codes("default deny; endpoint a = true; policy a { allow from any; };", "P0111");
	assert_codes(
		"default deny; endpoint a = true;\npolicy a {\n  allow from any;\n\nendpoint b = true;\n",
		"P0113");
	assert_codes("default deny;\npolicy a { allow from\n", "P0217 P0110");
}

/* ---- files and lists --------------------------------------------------------- */

static void imports_are_read_once(void **state)
{
	struct pol_memory_file files[] = {
		{ "d/a.pol", POL_STR("import \"x/b.pol\"; import \"x/c.pol\"; default deny;\n"
				     "policy p on e { allow from b; allow from c; }\n") },
		{ "d/x/b.pol", POL_STR("import \"c.pol\"; cidr b = c, 10.0.0.0/8;\n") },
		{ "d/x/c.pol", POL_STR("cidr c = file \"l.txt\"; endpoint e = true;\n") },
		{ "d/x/l.txt", POL_STR("192.0.2.0/24\n# c\n2001:db8::/32") },
		{ 0 }
	};
	struct loaded l = load_files(files);
	const struct pol_decl *b = pol_program_find(l.p, POL_STR("b"));

	(void)state;
	assert_clean(&l);
	assert_int_equal(l.p->files.n, 3);
	assert_int_equal(l.p->sources->all.n, 4);
	assert_true(pol_str_is(l.p->sources->all.v[3]->path, "d/x/l.txt"));
	assert_true(pol_str_is(l.p->sources->all.v[3]->name, "x/l.txt"));
	assert_int_equal(b->cidr.n_prefixes, 3);
	assert_int_equal(b->cidr.prefixes[2].len, 8);
	assert_int_equal(l.p->decls.n, 5);
	for (size_t i = 0; i < l.p->decls.n; i++)
		assert_int_equal(l.p->decls.v[i]->index, i);
	unload(&l);
}

static void a_long_list_is_read(void **state)
{
	struct pol_buf text = { 0 };
	struct pol_memory_file files[] = {
		{ "a.pol",
		  POL_STR("default deny; pool 10.0.0.0/8; cidr c = file \"l\"; endpoint e = true;\n"
			  "policy e { deny from c; }\n") },
		{ "l", { 0 } },
		{ 0 }
	};
	struct loaded l;

	(void)state;
	for (unsigned i = 0; i < 500000; i++)
		pol_buf_printf(&text, "%u.%u.%u.0/24\n", i >> 16 & 255, i >> 8 & 255, i & 255);
	files[1].text = pol_buf_str(&text);
	l = load_files(files);
	assert_clean(&l);
	assert_int_equal(pol_program_find(l.p, POL_STR("c"))->cidr.n_prefixes, 500000);
	unload(&l);
	pol_buf_free(&text);
}

static bool said(const struct loaded *l, enum pol_code code)
{
	for (size_t i = 0; i < l->diags.all.n; i++)
		if (l->diags.all.v[i]->code == code)
			return true;
	return false;
}

static void sizes_and_numbers_of_files_are_limited(void **state)
{
	static struct pol_memory_file files[POL_MAX_FILES + 3];
	static char path[POL_MAX_FILES + 2][16], text[POL_MAX_FILES + 2][64];
	size_t large = POL_MAX_POLICY + 1;
	struct loaded l;

	(void)state;
	files[0] = (struct pol_memory_file){ "a.pol", { calloc(1, large), large } };
	l = load_files(files);
	assert_true(said(&l, POL_P0102));
	unload(&l);
	free((char *)files[0].text.p);
	for (unsigned i = 0; i < POL_MAX_FILES + 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%u.pol", i);
		snprintf(text[i], sizeof(text[i]), "import \"%u.pol\"; %s", i + 1,
			 i ? "" : "default deny;");
		files[i] = (struct pol_memory_file){ path[i], pol_str(text[i]) };
	}
	l = load_files(files);
	assert_true(said(&l, POL_P0125));
	assert_int_equal(l.diags.n_errors, 1);
	unload(&l);
}

/* ---- flows ------------------------------------------------------------------- */

static void flow_is(struct loaded *l, const char *text, const char *from)
{
	size_t errors = l->diags.n_errors;
	struct pol_flow *f = pol_flow_parse(l->p, pol_str(text), &l->diags);
	struct pol_buf b = { 0 };

	if (!from) {
		assert_null(f);
		assert_true(l->diags.n_errors > errors);
		return;
	}
	if (!f) {
		pol_diags_render(&b, &l->diags, l->p->sources, &(struct pol_render){ 0 });
		fail_msg("%s", b.p);
	}
	pol_peer_dump(&b, f->from);
	assert_string_equal(b.p, from);
	pol_buf_free(&b);
}

static void flows_are_parsed_alone(void **state)
{
	struct loaded l =
		load_text("default deny; endpoint api = app == \"api\"; port web = tcp 80; "
			  "port dns = udp 53, tcp 53;");

	(void)state;
	flow_is(&l, "from api to world on tcp 80", "\"api\"");
	flow_is(&l, "from [app=frontend,tier=canary]@10.66.0.7 to api on web",
		"(@ (and (== \"app\" \"frontend\") (== \"tier\" \"canary\")) 10.66.0.7)");
	flow_is(&l, "from 192.0.2.7 to api on tcp 8080 GET \"/x\"", "192.0.2.7");
	flow_is(&l, "from [] to api on icmp echo-request", "(true)");
	flow_is(&l, "from api to any on proto 47", "\"api\"");
	flow_is(&l, "from api to any", NULL);
	flow_is(&l, "from api to any on dns", NULL);
	flow_is(&l, "from api to any on tcp 80-90", NULL);
	flow_is(&l, "from api to any on tcp", NULL);
	flow_is(&l, "from nobody to any on tcp 80", NULL);
	flow_is(&l, "from api to any on tcp 80;", NULL);
	flow_is(&l, "from api", NULL);
	flow_is(&l, "", NULL);
	flow_is(&l, "default allow;", NULL);
	flow_is(&l, "from none to api on tcp 80", NULL);
	flow_is(&l, "from api to any on udp 53 GET \"/\"", NULL);
	assert_true(said(&l, POL_P0324));
	unload(&l);
}

/* ---- layout ------------------------------------------------------------------ */

/* The layout of a text and its tree; false: it does not parse. */
static bool lay_out(struct pol_arena *a, struct pol_str text, struct pol_buf *layout,
		    struct pol_buf *tree)
{
	struct pol_program *p = pol_program_new(a);
	struct pol_source *src = pol_source_add(p->sources, POL_STR("x"), POL_STR("x"), text);
	struct pol_diags d;
	bool ok;

	pol_diags_init(&d, a);
	ok = pol_format(p->sources, src, &d, layout) == 0;
	if (ok)
		pol_ast_dump(tree, pol_parse_file(p, src, &d));
	pol_diags_free(&d);
	pol_program_free(p);
	return ok;
}

static void layout_keeps_the_meaning(const char *path, void *ctx)
{
	struct pol_buf text = read_tree(path), once = { 0 }, twice = { 0 }, tree = { 0 },
		       again = { 0 };
	struct pol_arena *a = pol_arena_new();

	if (lay_out(a, pol_arena_str(a, pol_buf_str(&text)), &once, &tree)) {
		if (!lay_out(a, pol_arena_str(a, pol_buf_str(&once)), &twice, &again))
			fail_msg("%s: its layout does not parse", path);
		assert_string_equal(tree.p, again.p);
		assert_true(pol_str_eq(pol_buf_str(&once), pol_buf_str(&twice)));
		if (ctx && !pol_str_eq(pol_buf_str(&once), pol_buf_str(&text)))
			fail_msg("%s: not in its layout", path);
	} else if (ctx) {
		fail_msg("%s: does not parse", path);
	}
	pol_buf_free(&text);
	pol_buf_free(&once);
	pol_buf_free(&twice);
	pol_buf_free(&tree);
	pol_buf_free(&again);
	pol_arena_free(a);
}

static void layout_keeps_every_meaning(void **state)
{
	(void)state;
	assert_true(each_file("tests/golden/lang", ".pol", layout_keeps_the_meaning, NULL) >= 60);
	assert_true(each_file("lang/examples", ".pol", layout_keeps_the_meaning, "laid out") >= 5);
	layout_keeps_the_meaning("lang/examples/full/shop.pol", "laid out");
	layout_keeps_the_meaning("lang/examples/full/common/networks.pol", "laid out");
}

/* ---- examples ---------------------------------------------------------------- */

static void example_is_clean(const char *path, void *ctx)
{
	struct pol_buf full = { 0 };
	struct loaded l = { .arena = pol_arena_new() };

	(void)ctx;
	pol_buf_printf(&full, "%s/%s", top(), path);
	pol_diags_init(&l.diags, l.arena);
	l.p = pol_load(full.p, NULL, l.arena, &l.diags);
	assert_clean(&l);
	unload(&l);
	pol_buf_free(&full);
}

static void examples_are_clean(void **state)
{
	(void)state;
	each_file("lang/examples", ".pol", example_is_clean, NULL);
	example_is_clean("lang/examples/full/shop.pol", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_has_a_text_and_a_golden),
		cmocka_unit_test(messages_are_found_by_code),
		cmocka_unit_test(places_count_characters),
		cmocka_unit_test(text_for_terminals_is_harmless),
		cmocka_unit_test(diagnostics_look_as_documented),
		cmocka_unit_test(many_diagnostics_are_counted),
		cmocka_unit_test(similar_names),
		cmocka_unit_test(a_rule_has_its_parts),
		cmocka_unit_test(selectors_keep_their_shape),
		cmocka_unit_test(hostile_texts_end),
		cmocka_unit_test(mistakes_do_not_multiply),
		cmocka_unit_test(imports_are_read_once),
		cmocka_unit_test(a_long_list_is_read),
		cmocka_unit_test(sizes_and_numbers_of_files_are_limited),
		cmocka_unit_test(flows_are_parsed_alone),
		cmocka_unit_test(layout_keeps_every_meaning),
		cmocka_unit_test(examples_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
