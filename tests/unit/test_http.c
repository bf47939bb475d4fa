/* SPDX-License-Identifier: GPL-2.0-only */
/* Judging requests by the image of http rules; hostile images; canonical paths; regular expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compiler/http/http.h"
#include "lang/regex.h"
#include "lang/resolve.h"

/* ---- from a policy to an image -------------------------------------------------------- */

struct made {
	struct pol_arena *arena;
	struct pol_buf image;
	struct pol_http_view view;
	struct pol_http_stats stats;
	size_t rules;
};

/* Blocks of the text, one rule each; all in one group. */
static int make(struct made *m, const char *blocks, uint32_t max_states, struct pol_buf *said)
{
	struct pol_render how = { .json = false };
	POL_VEC(struct pol_http_source) source = { 0 };
	struct pol_memory_file files[2] = { { "t.pol", { NULL, 0 } }, { NULL, { NULL, 0 } } };
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_buf text = { 0 };
	struct pol_program *p;
	struct pol_diags d;
	int ret = -1;

	*m = (struct made){ .arena = pol_arena_new() };
	pol_buf_printf(&text, "default deny;\npolicy p on any {\n%s\n}\n", blocks);
	files[0].text = pol_buf_str(&text);
	pol_diags_init(&d, m->arena);
	p = pol_load("t.pol", &fs, m->arena, &d);
	for (size_t i = 0; i < p->decls.n; i++)
		if (p->decls.v[i]->kind == POL_DECL_POLICY)
			for (const struct pol_ast_rule *r = p->decls.v[i]->policy.rules.first; r;
			     r = r->next) {
				struct pol_http_source one = { .rule = 10 + (uint32_t)source.n,
							       .block = r->http };

				*pol_vec_push(&source) = one;
			}
	if (!d.n_errors)
		ret = pol_http_compile(source.v, source.n, p->sources, &d, max_states, &m->image,
				       &m->stats);
	m->rules = source.n;
	pol_diags_render(said, &d, p->sources, &how);
	pol_vec_free(&source);
	pol_diags_free(&d);
	pol_program_free(p);
	pol_buf_free(&text);
	return ret;
}

static void made_free(struct made *m)
{
	pol_buf_free(&m->image);
	pol_arena_free(m->arena);
}

static void must_make(struct made *m, const char *blocks)
{
	struct pol_buf said = { 0 };
	struct pol_err e = { 0 };

	if (make(m, blocks, POL_HTTP_STATES_MAX, &said))
		fail_msg("%s", said.p);
	pol_buf_free(&said);
	if (pol_http_open(&m->view, m->image.p, m->image.n, &e))
		fail_msg("%s", e.text);
}

struct ask {
	const char *method, *host, *path; /* a query belongs to it */
	struct pol_http_field field[4];
	bool upgrade, plain;
	bool allow;
	int line; /* in the policy; 0: none decides */
};

static struct pol_http_request request(const struct ask *a)
{
	struct pol_http_request r = { .method = pol_str(a->method),
				      .host = pol_str(a->host),
				      .path = pol_str(a->path),
				      .field = a->field,
				      .upgrade = a->upgrade };

	if (strchr(a->path, '?')) {
		r.query = pol_str(strchr(a->path, '?'));
		r.path.n -= r.query.n;
	}
	while (r.nfields < 4 && a->field[r.nfields].name.p)
		r.nfields++;
	return r;
}

static void check(const struct made *m, const __u16 *rule, size_t n, const struct ask *a)
{
	struct pol_http_request r = request(a);
	struct pol_http_verdict v = pol_http_judge(&m->view, rule, n, a->plain, &r);
	int line = v.line == POL_HTTP_NO_LINE ? 0 : (int)m->view.lines[v.line].line;

	if (v.allow != a->allow || line != a->line)
		fail_msg("%s %s%s: %s by line %d", a->method, a->host, a->path,
			 v.allow ? "allowed" : "denied", line);
}

#define FIELD(n, v)                                                                                \
	{                                                                                          \
		{ (n), sizeof(n) - 1 },                                                            \
		{                                                                                  \
			(v), sizeof(v) - 1                                                         \
		}                                                                                  \
	}

static void test_judge(void **state)
{
	static const __u16 all[] = { 0, 1 }, first[] = { 0 }, second[] = { 1 },
			   unknown[] = { 0, 2 };
	static const struct ask both[] = {
		{ "GET", "h", "/products", .allow = true, .line = 4 },
		{ "GET", "h", "/products/", .allow = true, .line = 4 },
		{ "HEAD", "h", "/products/7/x", .allow = true, .line = 4 },
		{ "get", "h", "/products", .allow = false },
		{ "GET", "h", "/product", .allow = false },
		{ "GET", "h", "/productss", .allow = false },
		{ "POST", "h", "/orders", .allow = false },
		{ "POST",
		  "h",
		  "/orders",
		  { FIELD("content-type", "application/json") },
		  .allow = true,
		  .line = 5 },
		{ "POST",
		  "h",
		  "/orders",
		  { FIELD("content-type", "application/jsonx") },
		  .allow = false },
		/* a test on an allow needs exactly one such line */
		{ "POST",
		  "h",
		  "/orders",
		  { FIELD("content-type", "application/json"),
		    FIELD("content-type", "application/json") },
		  .allow = false },
		{ "GET", "api.shop.example", "/v12/status", .allow = true, .line = 6 },
		{ "GET", "api.shop.examplex", "/v12/status", .allow = false },
		{ "GET", "api.shop.example", "/v/status", .allow = false },
		{ "GET", "h", "/live", .upgrade = true, .allow = true, .line = 7 },
		{ "GET", "h", "/live", .allow = true, .line = 7 },
		{ "GET", "h", "/products", .upgrade = true, .allow = false },
		{ "GET", "h", "/products/admin/x", .allow = false, .line = 8 },
		{ "GET", "h", "/a/b/c", .allow = true, .line = 11 },
		{ "GET", "h", "/a//c", .allow = false },
		{ "GET", "h", "/a/b/c/", .allow = false },
		/* a deny line needs any */
		{ "GET",
		  "h",
		  "/a/b/c",
		  { FIELD("x-debug", "0"), FIELD("x-debug", "12") },
		  .allow = false,
		  .line = 12 },
		{ "GET", "h", "/a/b/c", { FIELD("x-debug", "0") }, .allow = true, .line = 11 },
	};
	static const struct ask plain[] = {
		{ "GET", "h", "/other", .plain = true, .allow = true },
		{ "GET", "h", "/products/admin/x", .plain = true, .allow = false, .line = 8 },
		{ "GET", "h", "/other", .plain = true, .upgrade = true, .allow = false },
	};
	static const struct ask rest[] = { { "GET", "h", "/products", .allow = false } };
	struct made m;

	(void)state;
	must_make(
		&m,
		"allow from any on tcp 80 http {\n"
		"	allow GET, HEAD \"/products/**\";\n"
		"	allow POST \"/orders\" where header \"Content-Type\" == \"application/json\";\n"
		"	allow GET ~\"/v[0-9]+/status\" where host == \"api.shop.example\";\n"
		"	allow GET \"/live\" websocket;\n"
		"	deny * \"/products/admin/**\";\n"
		"}\n"
		"allow from any on tcp 81 http {\n"
		"	allow GET \"/a/*/c\";\n"
		"	deny * \"/**\" where header \"x-debug\" ~\"[1-9][0-9]*\";\n"
		"}");
	for (size_t i = 0; i < POL_ARRAY_LEN(both); i++)
		check(&m, all, 2, &both[i]);
	for (size_t i = 0; i < POL_ARRAY_LEN(plain); i++)
		check(&m, first, 1, &plain[i]);
	/* only rules of the flow count, and none denies, as does one that is not there */
	check(&m, second, 1, &rest[0]);
	check(&m, all, 0, &rest[0]);
	check(&m, unknown, 2, &rest[0]);
	assert_int_equal(m.view.rules[0].automaton, m.view.rules[1].automaton);
	assert_int_equal(m.view.rules[1].rule, 11);
	made_free(&m);
}

/* Every method, host and path lies between the two spaces: nothing reaches over them. */
static void test_parts(void **state)
{
	static const __u16 all[] = { 0 };
	static const struct ask asks[] = {
		{ "GET", "a", "/x", .allow = true, .line = 4 },
		{ "GET", "a b", "/x", .allow = false },
		{ "GET a", "", "/x", .allow = false },
		{ "GET", "", "/x", .allow = true, .line = 4 },
		{ "GET", "a", "/x y", .allow = false },
		{ "", "a", "/x", .allow = false },
	};
	struct made m;

	(void)state;
	must_make(&m, "allow from any on tcp 80 http {\n	allow GET ~\"[^b]*x[^b]*\";\n}");
	for (size_t i = 0; i < POL_ARRAY_LEN(asks); i++)
		check(&m, all, 1, &asks[i]);
	made_free(&m);
}

/* An automaton over the cap: groups are cut, a rule by itself is refused by name. */
static void test_cap(void **state)
{
	static const char blocks[] =
		"allow from any on tcp 80 http { allow GET ~\"/.*abc.*def.*ghi\"; }\n"
		"allow from any on tcp 81 http { allow GET ~\"/.*jkl.*mno.*pqr\"; }";
	struct pol_buf said = { 0 };
	struct made m;

	(void)state;
	assert_int_equal(make(&m, blocks, 65535, &said), 0);
	assert_int_equal(m.stats.automata, 1);
	made_free(&m);
	assert_int_equal(make(&m, blocks, 40, &said), 0);
	assert_int_equal(m.stats.automata, 2);
	assert_int_equal(m.stats.split, 1);
	made_free(&m);
	assert_null(said.p && said.n ? said.p : NULL);
	assert_int_equal(make(&m, blocks, 10, &said), -22);
	assert_non_null(strstr(said.p, "P0515"));
	assert_non_null(strstr(said.p, "t.pol:3:"));
	made_free(&m);
	said.n = 0;
	/* what would take more than memory: stopped while it grows */
	assert_int_equal(make(&m,
			      "allow from any on tcp 80 http {\n"
			      "	allow GET ~\"/((a{1000}){1000}){1000}\"; }",
			      65535, &said),
			 -22);
	made_free(&m);
	assert_int_equal(make(&m,
			      "allow from any on tcp 80 http {\n"
			      "	allow GET ~\"/.*a.{40}\"; }",
			      65535, &said),
			 -22);
	made_free(&m);
	pol_buf_free(&said);
}

/* Each byte of an image changed: refused, or judged without going astray (the sanitizers look on). */
static void test_hostile_image(void **state)
{
	static const struct ask asks[] = {
		{ "GET", "h", "/a/b", { FIELD("x", "1") }, .allow = true }
	};
	struct pol_http_request r = request(&asks[0]);
	static const __u16 all[] = { 0 };
	struct made m;
	size_t refused = 0;

	(void)state;
	must_make(&m, "allow from any on tcp 80 http {\n"
		      "	allow GET \"/a/*\" where header \"x\" ~\"1+\";\n	deny * \"/b\";\n}");
	for (size_t n = 0; n < m.image.n; n++) {
		struct pol_http_view v;
		struct pol_err e = { 0 };

		assert_int_not_equal(pol_http_open(&v, m.image.p, n, &e), 0);
		assert_true(e.text[0]);
	}
	for (size_t i = 0; i < m.image.n; i++)
		for (int k = 0; k < 4; k++) {
			static const char with[] = { 0x01, (char)0x80, (char)0xff, 0x20 };
			struct pol_http_view v;
			struct pol_err e = { 0 };

			m.image.p[i] = (char)(m.image.p[i] ^ with[k]);
			if (pol_http_open(&v, m.image.p, m.image.n, &e)) {
				refused++;
				assert_true(e.text[0]);
			} else if (v.image->rules.n) {
				pol_http_judge(&v, all, 1, false, &r);
			}
			m.image.p[i] = (char)(m.image.p[i] ^ with[k]);
		}
	assert_true(refused > 1000);
	made_free(&m);
}

/* ---- readings --------------------------------------------------------------------------------- */

static void test_read(void **state)
{
	static const struct {
		enum pol_http_reading how;
		const char *text, *read;
	} cases[] = {
		{ POL_HTTP_AS_SENT, "/%40%3a%C3%A9", "/%40%3a%C3%A9" },
		{ POL_HTTP_READ_PATH, "", "" },
		{ POL_HTTP_READ_PATH, "/a/b", "/a/b" },
		{ POL_HTTP_READ_PATH, "/%21%24%26%27%28%29%2A%2B%2C%3A%3D%40", "/!$&'()*+,:=@" },
		/* no segment, no dots, nothing that could be decoded again */
		{ POL_HTTP_READ_PATH, "/%2F%2E%5C%3B%25%20%22%C3%A9%3F%23%5B",
		  "/%2F%2E%5C%3B%25%20%22%C3%A9%3F%23%5B" },
		{ POL_HTTP_READ_PATH, "/%2540", "/%2540" },
		{ POL_HTTP_READ_FIELDS, "?%61%2D%2f%3F%5b%5D%40=", "?a-/?[]@=" },
		{ POL_HTTP_READ_FIELDS, "?%26%3d%2B%3B", "?%26%3D%2B%3B" },
		{ POL_HTTP_READ_QUERY, "?%26%3d%2B%3B", "?&=+;" },
		{ POL_HTTP_READ_QUERY, "?%20%23%25%c3%a9%00", "?%20%23%25%C3%A9%00" },
		{ POL_HTTP_READ_QUERY, "?%2564%25", "?%2564%25" },
		/* what is no encoded byte: the proxy refuses it, and nothing here makes one of it */
		{ POL_HTTP_READ_QUERY, "?%", "?%" },
		{ POL_HTTP_READ_QUERY, "?%6", "?%6" },
		{ POL_HTTP_READ_QUERY, "?%zz%", "?%zz%" },
		{ POL_HTTP_READ_QUERY, "?%%36%34", "?%64" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		struct pol_str r = pol_http_read(pol_str(cases[i].text), cases[i].how, out);

		if (!pol_str_is(r, cases[i].read))
			fail_msg("%s: %.*s", cases[i].text, POL_STR_ARG(r));
	}
	/* of a path that is canonical the other reading is, too */
	for (unsigned c = 1; c < 256; c++) {
		char path[8];
		struct pol_str r;

		snprintf(path, sizeof(path), "/.%%%02X.", c);
		r = pol_http_read(pol_str(path), POL_HTTP_READ_PATH, out);
		if (!pol_http_path_fault(pol_str(path)))
			assert_null(pol_http_path_fault(r));
		else
			assert_true(pol_str_is(r, path));
	}
}

static void test_readings(void **state)
{
	static const __u16 all[] = { 0 };
	static const struct ask asks[] = {
		{ "GET", "h", "/ok/a%40b", .allow = true, .line = 4 },
		{ "GET", "h", "/ok/@me", .line = 5 },
		{ "GET", "h", "/ok/%40me", .line = 5 },
		{ "GET", "h", "/ok/x?%64ebug", .line = 6 },
		{ "GET", "h", "/ok/x?%2564ebug", .allow = true, .line = 4 },
		{ "GET", "h", "/ok/%40me?%64ebug", .line = 6 },
		/* each reading of the path with each of the query */
		{ "GET", "h", "/ok/a:b?x=%26", .line = 7 },
		{ "GET", "h", "/ok/a%3Ab?x=1", .line = 7 },
		{ "GET", "h", "/ok/a%3Ab?x=%26", .line = 7 },
		{ "GET", "h", "/ok/a%3Ab?%78=%26", .line = 7 },
		{ "GET", "h", "/ok/a%3Ab?%79=%26", .allow = true, .line = 4 },
		/* what parts fields is decoded for deny lines alone */
		{ "GET", "h", "/ok/x?R%26D", .line = 8 },
		{ "GET", "h", "/one?q=R%26D", .allow = true, .line = 9 },
		{ "GET", "h", "/one?q=R&D", .allow = false },
		/* an allow holds in each */
		{ "GET", "h", "/@me", .allow = true, .line = 10 },
		{ "GET", "h", "/%40me", .allow = false },
		{ "GET", "h", "/both%40me", .allow = true, .line = 11 },
		{ "GET", "h", "/both@me", .allow = true, .line = 11 },
		{ "GET", "h", "/id?i=1", .allow = true, .line = 12 },
		{ "GET", "h", "/id?%69=1", .allow = false },
		{ "GET", "h", "/id?i%3D1", .allow = false },
		/* an allow of each spelling; the line as sent is named */
		{ "GET", "h", "/two/:%3A", .allow = true, .line = 13 },
		{ "GET", "h", "/none", .allow = true, .line = 15 },
		{ "GET", "h", "/none%3F", .allow = false },
		{ "GET", "h", "/none?", .allow = false },
		/* beside a plain allow there is nothing that could lack */
		{ "GET", "h", "/other%40", .plain = true, .allow = true },
		{ "GET", "h", "/ok/%40me", .plain = true, .line = 5 },
		{ "GET", "h", "/other%40", .plain = true, .upgrade = true, .allow = false },
	};
	struct made m;

	(void)state;
	must_make(&m, "allow from any on tcp 80 http {\n"
		      "	allow * \"/ok/**\";\n"
		      "	deny * \"/ok/@me\";\n"
		      "	deny * \"/**\" where query ~\".*debug.*\";\n"
		      "	deny * \"/ok/a:b\" where query ~\"x=[^&]+\";\n"
		      "	deny * \"/ok/**\" where query == \"R&D\";\n"
		      "	allow * \"/one\" where query ~\"q=[^&]*\";\n"
		      "	allow * \"/@me\";\n"
		      "	allow * ~\"/both(@|%40)me\";\n"
		      "	allow * \"/id\" where query == \"i=1\";\n"
		      "	allow * ~\"/two/:%3A|/nix\";\n"
		      "	allow * \"/two/::\";\n"
		      "	allow * \"/none\" where not query;\n"
		      "}");
	for (size_t i = 0; i < POL_ARRAY_LEN(asks); i++)
		check(&m, all, 1, &asks[i]);
	made_free(&m);
}

/* Expressions that want what no request has in its last reading. */
static void test_spellings(void **state)
{
	static const struct {
		const char *line;
		bool taken;
	} cases[] = {
		{ "allow GET ~\"/%40me\"", false },
		{ "deny GET ~\"/.*%3A.*\"", false },
		{ "allow GET ~\"/.*%40[a-z]+|/x%3D\"", false },
		{ "allow GET ~\"/(@|%40)me\"", true },
		{ "allow GET ~\"/%C3%A9\"", true },
		{ "allow GET ~\"/%c3%a9\"", false },
		{ "allow GET ~\"/[a-z%0-9A-F]*\"", true },
		{ "deny GET \"/\" where query ~\".*%2F.*\"", false },
		{ "deny GET \"/\" where query ~\".*(%2F|/).*\"", true },
		{ "deny GET \"/\" where query ~\".*%26.*\"", true },
		{ "deny GET \"/\" where query ~\"%6[1-9]\"", false },
		{ "deny GET \"/\" where header \"x\" ~\"%40\"", true },
		{ "allow GET \"/%40me\"", false },
		{ "allow GET \"/%22/*\"", true },
		{ "allow GET \"/\" where query == \"a=%40\"", false },
		{ "allow GET \"/\" where query == \"a=%c3\"", false },
		{ "allow GET \"/\" where query == \"a=%26%C3%A9\"", true },
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		struct pol_buf said = { 0 };
		char text[256];
		struct made m;

		snprintf(text, sizeof(text), "allow from any on tcp 80 http { %s; }",
			 cases[i].line);
		make(&m, text, POL_HTTP_STATES_MAX, &said);
		if (cases[i].taken != !said.n || (said.n && !strstr(said.p, "P0335")))
			fail_msg("%s: %s", cases[i].line, said.n ? said.p : "taken");
		made_free(&m);
		pol_buf_free(&said);
	}
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void test_paths(void **state)
{
	static const char *const good[] = {
		"/",
		"/a",
		"/a/",
		"/a/b.c",
		"/~x/-_.",
		"/a:b@c!$&'()*+,=d",
		"/%C3%A9",
		"/%E2%82%AC/x",
		"/%F0%9F%98%80",
		"/...",
		"/.a",
		"/a..",
		"/a%20b",
		"/a%3Fb",
		"/%22",
		"/%5B%5D",
		"/%F4%8F%BF%BF",
	};
	static const char *const bad[] = {
		"",
		"a",
		"*",
		"//",
		"/a//b",
		"/a//",
		"/.",
		"/..",
		"/./a",
		"/a/.",
		"/a/..",
		"/a/../b",
		"/a;b",
		"/;",
		"/a#b",
		"/a\\b",
		"/a b",
		"/a\tb",
		"/a\"b",
		"/a<b",
		"/a|b",
		"/a^b",
		"/a`b",
		"/a{b",
		"/a\x7f",
		"/\xc3\xa9",
		"/a?b",
		"/[a]",
		"/%",
		"/%4",
		"/%zz",
		"/%c3%a9",
		"/%2f",
		"/%2F",
		"/%2E",
		"/%2e%2e/",
		"/%00",
		"/%5C",
		"/%3B",
		"/%25",
		"/%252e",
		"/%41",
		"/%7E",
		"/%0A",
		"/%1F",
		"/%7F",
		"/%80",
		"/%C3",
		"/%C3a",
		"/%C3%28",
		"/%C0%AE",
		"/%C1%81",
		"/%E0%80%AF",
		"/%ED%A0%80",
		"/%F4%90%80%80",
		"/%F5%80%80%80",
		"/%FF",
		"/%C3/%A9",
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(good); i++)
		if (pol_http_path_fault(pol_str(good[i])))
			fail_msg("%s: %s", good[i], pol_http_path_fault(pol_str(good[i])));
	for (size_t i = 0; i < POL_ARRAY_LEN(bad); i++)
		if (!pol_http_path_fault(pol_str(bad[i])))
			fail_msg("%s is taken", bad[i]);
	assert_non_null(pol_http_path_fault((struct pol_str){ "/a\0b", 4 }));
}

/* ---- expressions -------------------------------------------------------------------------------- */

static void test_regex_faults(void **state)
{
	static const struct {
		const char *text, *what;
		size_t at;
	} cases[] = {
		{ "", "is empty", 0 },
		{ "a(b", "unclosed `(`", 1 },
		{ "a)b", "`)` too many", 1 },
		{ "a[b", "unclosed `[`", 1 },
		{ "a[]", "unclosed `[`", 1 },
		{ "(a)\\1", "back-reference", 3 },
		{ "a(?=b)", "look-around", 1 },
		{ "(?i)a", "look-around", 0 },
		{ "(*UTF)a", "a verb", 0 },
		{ "a\\bb", "test of a position", 1 },
		{ "a\\pL", "not regular or not known", 1 },
		{ "a\\", "ends in a backslash", 1 },
		{ "a\\xg", "two hexadecimal", 1 },
		{ "*a", "repeats nothing", 0 },
		{ "a|+", "repeats nothing", 2 },
		{ "a**", "repeats a repeat", 1 },
		{ "a++", "possessive", 1 },
		{ "a{2}{3}", "repeats a repeat", 1 },
		{ "a{3,2}", "{m,n}", 1 },
		{ "a{1001}", "{m,n}", 1 },
		{ "a{,2}", "{m,n}", 1 },
		{ "{2}", "`{` that repeats nothing", 0 },
		{ "a^b", "anchor inside", 1 },
		{ "(^a)", "anchor inside", 1 },
		{ "a$b", "anchor inside", 1 },
		{ "[b-a]", "range", 1 },
		{ "[a-\\d]", "range from or to a class", 1 },
		{ "[[:nix:]]", "unknown name", 1 },
	};
	static const char *const good[] = {
		"a",    "^a$",    "^a|b$",    "(a|)",  "()",
		"a{0}", "a{2,}?", "[]a]",     "[^]a]", "[a-]",
		"[-a]", "\\.",    "[\\]\\-]", "\\x2f", "[[:alpha:][:digit:]_]",
		"a}b",  "(?:a)",  ".*",
	};

	(void)state;
	for (size_t i = 0; i < POL_ARRAY_LEN(cases); i++) {
		struct pol_arena *a = pol_arena_new();
		struct pol_regex_fault f;

		if (pol_regex_parse(a, pol_str(cases[i].text), &f))
			fail_msg("%s is taken", cases[i].text);
		if (!strstr(f.what, cases[i].what) || f.at != cases[i].at)
			fail_msg("%s: %s at %zu", cases[i].text, f.what, f.at);
		pol_arena_free(a);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(good); i++) {
		struct pol_arena *a = pol_arena_new();
		struct pol_regex_fault f;

		if (!pol_regex_parse(a, pol_str(good[i]), &f))
			fail_msg("%s %s", good[i], f.what);
		pol_arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),        cmocka_unit_test(test_parts),
		cmocka_unit_test(test_cap),          cmocka_unit_test(test_hostile_image),
		cmocka_unit_test(test_read),         cmocka_unit_test(test_readings),
		cmocka_unit_test(test_spellings),    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_regex_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
