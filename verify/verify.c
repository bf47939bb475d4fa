/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/verify.h"

bool ver_equal(const struct ver_report *r)
{
	return !r->first.where;
}

static void line(struct pol_buf *b, const char *name, struct pol_str value)
{
	if (!value.n)
		return;
	pol_buf_printf(b, "  %-8s ", name);
	pol_buf_clean(b, value);
	pol_buf_addc(b, '\n');
}

static void print_text(const struct ver_report *r, struct pol_buf *b)
{
	struct pol_buf path = { 0 };

	pol_buf_clean(&path, r->object->path);
	if (!ver_equal(r)) {
		pol_buf_printf(b, "%s: differs (%s): %.*s\n", path.p, r->first.where,
			       POL_STR_ARG(r->first.what));
		line(b, "flow", r->first.flow);
		line(b, "text", r->first.text);
		line(b, "object", r->first.object);
	} else {
		pol_buf_printf(b, "%s: does what its text says\n", path.p);
		pol_buf_printf(
			b,
			"  tables   exact: %llu tables, %llu kinds of peers and %llu verdicts compared\n",
			(unsigned long long)r->blocks, (unsigned long long)r->columns,
			(unsigned long long)r->verdicts);
		if (r->packets_checked)
			pol_buf_printf(b, "  packets  %llu through the programs in the kernel",
				       (unsigned long long)r->packets);
		if (r->packets_checked && r->rules_skipped)
			pol_buf_printf(b, "; %llu of %zu rules were not asked",
				       (unsigned long long)r->rules_skipped, r->ir->rules.n);
		if (r->packets_checked)
			pol_buf_addc(b, '\n');
		else
			pol_buf_addz(b, "  packets  none: the programs were not run\n");
	}
	pol_buf_free(&path);
}

static void member(struct pol_buf *b, const char *name, struct pol_str value)
{
	if (!value.n)
		return;
	pol_buf_printf(b, ",\"%s\":", name);
	pol_buf_json(b, value);
}

static void print_json(const struct ver_report *r, struct pol_buf *b)
{
	pol_buf_addz(b, "{\"object\":");
	pol_buf_json(b, r->object->path);
	pol_buf_printf(b, ",\"equal\":%s,\"tables\":%llu,\"peers\":%llu,\"verdicts\":%llu",
		       ver_equal(r) ? "true" : "false", (unsigned long long)r->blocks,
		       (unsigned long long)r->columns, (unsigned long long)r->verdicts);
	if (r->packets_checked)
		pol_buf_printf(b, ",\"packets\":%llu,\"rules_not_asked\":%llu",
			       (unsigned long long)r->packets,
			       (unsigned long long)r->rules_skipped);
	if (!ver_equal(r)) {
		pol_buf_printf(b, ",\"difference\":{\"where\":\"%s\"", r->first.where);
		member(b, "what", r->first.what);
		member(b, "flow", r->first.flow);
		member(b, "text", r->first.text);
		member(b, "object", r->first.object);
		pol_buf_addc(b, '}');
	}
	pol_buf_addz(b, "}\n");
}

void ver_print(const struct ver_report *r, bool json, struct pol_buf *out)
{
	if (json)
		print_json(r, out);
	else
		print_text(r, out);
}
