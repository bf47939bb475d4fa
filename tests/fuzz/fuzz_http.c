/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of http rules: from patterns to the image, and of who reads an image. Input is what stands
 * between the braces of an http block. What compiles must open, and be the same bytes a
 * second time; then bytes of it are changed at places that the input decides, and what still opens is asked.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "compiler/http/http.h"
#include "lang/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define STATES_MAX 300 /* small, so that groups are cut and rules refused */

static void die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	abort();
}

static bool compile(struct pol_str text, struct pol_buf *image)
{
	struct pol_memory_file files[] = { { "f.pol", text }, { NULL, { NULL, 0 } } };
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_arena *a = pol_arena_new();
	POL_VEC(struct pol_http_source) source = { 0 };
	struct pol_program *p;
	struct pol_diags d;

	pol_diags_init(&d, a);
	p = pol_load("f.pol", &fs, a, &d);
	for (size_t i = 0; !d.n_errors && i < p->decls.n; i++)
		if (p->decls.v[i]->kind == POL_DECL_POLICY)
			for (const struct pol_ast_rule *r = p->decls.v[i]->policy.rules.first; r;
			     r = r->next)
				if (r->http)
					*pol_vec_push(&source) =
						(struct pol_http_source){ .block = r->http };
	if (source.n &&
	    pol_http_compile(source.v, source.n, p->sources, &d, STATES_MAX, image, NULL) &&
	    !d.n_errors)
		die("refused without a word");
	pol_vec_free(&source);
	pol_program_free(p);
	pol_diags_free(&d);
	pol_arena_free(a);
	return image->n > 0;
}

static void ask(const struct pol_http_view *v, struct pol_str path)
{
	static const struct pol_http_field field[] = {
		{ { "x-a", 3 }, { "1", 1 } },
		{ { "b", 1 }, { "xx", 2 } },
	};
	struct pol_http_request r = { .method = POL_STR("GET"),
				      .host = POL_STR("a"),
				      .path = path,
				      .field = field,
				      .nfields = 2 };
	__u16 all[32];
	size_t n = 0;

	while (n < v->image->rules.n && n < 32) {
		all[n] = (__u16)n;
		n++;
	}
	pol_http_judge(v, all, n, true, &r);
	pol_http_path_fault(path);
}

static void spoil(struct pol_buf *image, struct pol_str with)
{
	for (size_t i = 0; i + 2 < with.n && i < 400; i += 3) {
		size_t at = pol_hash(with.p + i, 2, i) % image->n;
		struct pol_http_view v;
		struct pol_err e = { 0 };
		char was = image->p[at];

		image->p[at] = with.p[i + 2];
		if (!pol_http_open(&v, image->p, image->n, &e))
			ask(&v, with);
		else if (!e.text[0])
			die("refused without a word");
		image->p[at] = was;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_str lines = { (const char *)data, n };
	struct pol_buf text = { 0 }, image = { 0 }, again = { 0 };
	struct pol_http_view v;
	struct pol_err e = { 0 };

	if (n > 4096)
		return 0;
	pol_buf_addz(&text, "default deny;\npolicy p on any {\nallow from any on tcp 80 http {\n");
	pol_buf_add(&text, lines);
	pol_buf_addz(&text, "\n}\n}\n");
	if (compile(pol_buf_str(&text), &image)) {
		if (pol_http_open(&v, image.p, image.n, &e))
			die(e.text);
		compile(pol_buf_str(&text), &again);
		if (!pol_str_eq(pol_buf_str(&image), pol_buf_str(&again)))
			die("not the same bytes a second time");
		ask(&v, lines);
		spoil(&image, lines);
	}
	pol_buf_free(&text);
	pol_buf_free(&image);
	pol_buf_free(&again);
	return 0;
}
