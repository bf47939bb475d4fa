/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of `polc import`. Input is one stream of manifests; it is imported strictly and
 * with --lax. What imports must be in the canonical layout and be a policy without mistakes,
 * and what imports strictly must import with --lax to the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "compiler/import/import.h"
#include "lang/diag.h"
#include "lang/format.h"
#include "lang/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void die(const char *why, struct pol_str text)
{
	fprintf(stderr, "%s\n%.*s\n", why, POL_STR_ARG(text));
	abort();
}

static void check_layout(struct pol_str text)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_sources *s = pol_sources_new(a);
	struct pol_source *src =
		pol_source_add(s, POL_STR("i"), POL_STR("i"), pol_arena_str(a, text));
	struct pol_buf again = { 0 };
	struct pol_diags d;

	pol_diags_init(&d, a);
	if (pol_format(s, src, &d, &again) || !pol_str_eq(pol_buf_str(&again), text))
		die("not in the canonical layout", text);
	pol_buf_free(&again);
	pol_diags_free(&d);
	pol_sources_free(s);
	pol_arena_free(a);
}

/* What this version cannot enforce is no mistake. */
static void check_policy(struct pol_str text)
{
	struct pol_memory_file files[] = { { "i.pol", text }, { NULL, { NULL, 0 } } };
	struct pol_fs fs = pol_fs_memory(files);
	struct pol_arena *a = pol_arena_new();
	struct pol_diags d;
	struct pol_program *p;

	pol_diags_init(&d, a);
	p = pol_load("i.pol", &fs, a, &d);
	for (size_t i = 0; i < d.all.n; i++)
		if (d.all.v[i]->severity == POL_ERROR) {
			fprintf(stderr, "P%04d: %s\n", (int)d.all.v[i]->code,
				d.all.v[i]->message.p);
			die("a mistake in", text);
		}
	pol_program_free(p);
	pol_diags_free(&d);
	pol_arena_free(a);
}

static bool run(struct pol_str text, bool lax, struct pol_import_result *out)
{
	struct pol_import_options o = { .lax = lax };
	struct pol_err e = { 0 };

	if (pol_import_text("in.yaml", text, &o, out, &e)) {
		if (!e.text[0] || strncmp(e.text, "the imported text", 17) == 0)
			die(e.text, text);
		return false;
	}
	check_layout(pol_buf_str(&out->policy));
	check_policy(pol_buf_str(&out->policy));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pol_str text = { (const char *)data, n };
	struct pol_import_result strict = { 0 }, lax = { 0 };

	if (run(text, false, &strict) &&
	    (!run(text, true, &lax) ||
	     !pol_str_eq(pol_buf_str(&strict.policy), pol_buf_str(&lax.policy))))
		die("--lax makes a difference", text);
	else if (!strict.policy.n)
		run(text, true, &lax);
	pol_import_free(&strict);
	pol_import_free(&lax);
	return 0;
}
