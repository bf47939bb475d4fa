/* SPDX-License-Identifier: GPL-2.0-only */
/* Filters inside the C file. */
#include "compiler/emit.h"

static void define(struct pol_buf *b, const char *name, uint64_t v)
{
	pol_buf_printf(b, "#define %-22s %llu\n", name, (unsigned long long)v);
}

static void emit_head(struct pol_buf *b, const struct pol_filter_head *h, struct pol_str name)
{
	pol_buf_printf(b,
		       "\t{ .limits = 0x%llx, .rule = %u, .last = %u, .special = %u, .limit = %u, "
		       ".nspecial = %u, .dynamic = %u }, /* %.*s */\n",
		       (unsigned long long)h->limits, h->rule, h->last, h->special, h->limit,
		       h->nspecial, h->dynamic, POL_STR_ARG(name));
}

static void emit_side(struct pol_buf *b, const struct pol_filter_side *s)
{
	pol_buf_printf(
		b,
		"\t\t  { .top = %u, .shift = %u, .elem = %u, .slot = %u, .low = %u, .row = %u, "
		".mask = %u, .most = %u },\n",
		s->top, s->shift, s->elem, s->slot, s->low, s->row, s->mask, s->most);
}

static void emit_half(struct pol_buf *b, const struct pol_filter_half *h)
{
	pol_buf_addz(b, "\t{ .side = {\n");
	for (int i = 0; i < 2; i++)
		emit_side(b, &h->side[i]);
	pol_buf_addz(b, "\t  }, .group = {\n");
	for (unsigned i = 0; i < POL_FILTER_GROUPS; i++)
		pol_buf_printf(
			b,
			"\t\t  { .mul = 0x%llx, .spread = %u, .shift = %u, .cell = %u, .cells = %u },\n",
			(unsigned long long)h->group[i].mul, h->group[i].spread, h->group[i].shift,
			h->group[i].cell, h->group[i].cells);
	pol_buf_printf(
		b,
		"\t  }, .ngroups = %u, .flags = %u, .pattern = %u, .l4_row = %u, .l4_page = %u, .l4_class = %u,\n"
		"\t  .sport_page = %u, .sport_class = %u, .flag_class = %u, .nsports = %u, .nflags = %u,\n"
		"\t  .kind = %u, .kind_mask = %u, .nkinds = %u },\n",
		h->ngroups, h->flags, h->pattern, h->l4_row, h->l4_page, h->l4_class, h->sport_page,
		h->sport_class, h->flag_class, h->nsports, h->nflags, h->kind, h->kind_mask,
		h->nkinds);
}

static void emit_data(struct pol_buf *b, const struct pol_filters *f)
{
	for (uint32_t i = 0; i < f->words; i++)
		pol_buf_printf(b, "%s%u,", i % 16 ? " " : "\n\t", f->data[i]);
}

static void emit_constants(struct pol_buf *b, const struct pol_tables *t)
{
	bool limits = false, log = false;
	uint64_t src = 0, dst = 0;

	for (size_t i = 0; i < t->ir->filters.n; i++) {
		const struct pol_ir_filter *f = &t->ir->filters.v[i];

		for (size_t k = 0; k < f->n; k++) {
			limits = limits || f->line[k].action == POL_FILTER_LIMIT;
			log = log || f->line[k].log;
			src |= f->line[k].src.dynamic;
			dst |= f->line[k].dst.dynamic;
		}
	}
	pol_buf_addz(b, "\n/* Filters: what the numbers are is said in <polc/tables.h>. */\n");
	define(b, "POL_FILTERS", t->filters.n);
	pol_buf_printf(b, "#define %-22s", "POL_EACH_FILTER(X)");
	for (size_t i = 0; i < t->filters.n; i++)
		pol_buf_printf(b, " X(%zu)", i);
	pol_buf_addz(b, "\n");
	define(b, "POL_FILTER_WORDS", t->filters.room - POL_FILTER_SLACK);
	define(b, "POL_DYNAMIC_SETS", t->ir->dynamics.n);
	pol_buf_printf(b, "#define %-22s 0x%llxull\n#define %-22s 0x%llxull\n", "POL_DYNAMIC_SRC",
		       (unsigned long long)src, "POL_DYNAMIC_DST", (unsigned long long)dst);
	define(b, "POL_USES_FILTER_LIMITS", limits);
	define(b, "POL_USES_FILTER_LOG", log);
}

void pol_emit_filters(const struct pol_tables *t, bool bare, struct pol_buf *out)
{
	if (!t->filters.n)
		return;
	emit_constants(out, t);
	pol_buf_addz(out, "\nconst struct pol_filter_head pol_filter_head[POL_FILTERS] = {\n");
	for (size_t i = 0; i < t->filters.n; i++)
		emit_head(out, &t->filters.head[i], t->ir->filters.v[i].name);
	pol_buf_addz(out,
		     "};\n\nconst struct pol_filter_half pol_filter_half[2 * POL_FILTERS] = {\n");
	for (size_t i = 0; i < 2 * t->filters.n; i++)
		emit_half(out, &t->filters.half[i]);
	pol_buf_addz(out,
		     "};\n\n/* volatile: the contents are not the compiler's to know. */\n"
		     "const volatile __u32 pol_filter_data[POL_FILTER_WORDS + POL_FILTER_SLACK] "
		     "SEC(POL_SEC_FILTER) __attribute__((aligned(64))) = {");
	if (bare)
		pol_buf_addz(out, " 0 ");
	else
		emit_data(out, &t->filters);
	pol_buf_addz(out, "};\n");
}
