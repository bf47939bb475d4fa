/* SPDX-License-Identifier: GPL-2.0-only */
#include "stats.h"

#include "describe.h"

#define MOST_BLOCKS 5

static void size_line(struct pol_buf *b, const char *what, uint64_t used, uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB" };
	double v = (double)bytes;
	size_t u = 0;

	for (; v >= 1024 && u + 1 < POL_ARRAY_LEN(unit); u++)
		v /= 1024;
	pol_buf_printf(b, "  %-22s %10llu  %7.*f %s\n", what, (unsigned long long)used, u ? 1 : 0,
		       v, unit[u]);
}

static uint64_t search_bytes(const struct pol_search_tables *s, int family, size_t intervals)
{
	uint64_t node = pol_search_doubles(family) * sizeof(uint64_t);

	return s->top.n * sizeof(uint16_t) + pol_power_of_two(s->node.n * 8 / node) * node +
	       pol_power_of_two(intervals) * sizeof(uint32_t);
}

static void sizes(struct pol_buf *b, const struct pol_tables *t)
{
	uint64_t l4 = sizeof(*t->l4_page) * POL_L4_SLOTS + t->l4_class_len * 2ull + 512;

	pol_buf_addz(b, "tables                       used     size\n");
	size_line(b, "IPv4 intervals", t->v4.n, search_bytes(&t->v4_search, 4, t->v4.n));
	size_line(b, "IPv6 high halves", t->v6.n, search_bytes(&t->v6_search, 6, t->v6.n));
	size_line(b, "IPv6 low halves", t->v6_lows, t->v6_low_len * sizeof(*t->v6_low));
	size_line(b, "port pages", t->l4_class_len / 256, l4);
	size_line(b, "decision pages", pol_table_npages(t->table),
		  pol_table_npages(t->table) * 128ull);
	size_line(b, "  with loader's room", t->pages_len / POL_PAGE, t->pages_len * 4ull);
	size_line(b, "verdicts", pol_table_nverdicts(t->table),
		  pol_table_nverdicts(t->table) * sizeof(struct pol_verdict));
	size_line(b, "  with loader's room", t->verdicts_len,
		  t->verdicts_len * sizeof(struct pol_verdict));
}

static void classes(struct pol_buf *b, const struct pol_tables *t)
{
	pol_buf_printf(
		b, "\nclasses\n  addresses %u, ports and protocols %u, endpoint predicates %zu\n",
		t->nclasses, t->nl4, t->preds.n);
	pol_buf_printf(b, "  rules %zu in %zu blocks (subject, direction, stage)\n", t->ir->rules.n,
		       t->blocks.n);
}

/* Loads depend on each other: what counts is how many there are and whether they stay in cache. */
static void cost(struct pol_buf *b, const struct pol_tables *t)
{
	unsigned walk = t->column_levels + t->l4_levels;
	/* root by the leading bits, nodes, class */
	unsigned v4 = t->v4_search.s.levels + 2, v6 = t->v6_search.s.levels + 2;

	pol_buf_addz(b, "\nloads for one side of a new flow\n");
	pol_buf_printf(
		b,
		"  address class         %2u IPv4, %2u IPv6 (endpoints: one hash lookup instead)\n",
		v4, v6);
	pol_buf_addz(b, "  port class             2\n");
	pol_buf_printf(b,
		       "  decision              %2u (%u for the column, %u for the port class)\n",
		       walk, t->column_levels, t->l4_levels);
	pol_buf_addz(b, "  verdict                1\n");
	pol_buf_printf(b, "  together              %2u IPv4, %2u IPv6\n", v4 + walk + 3,
		       v6 + walk + 3);
}

static void dearest(struct pol_buf *b, const struct pol_tables *t)
{
	const struct pol_block **order = calloc(t->blocks.n + 1, sizeof(struct pol_block *));

	if (!order)
		pol_no_memory();
	for (size_t i = 0; i < t->blocks.n; i++)
		order[i] = &t->blocks.v[i];
	qsort(order, t->blocks.n, sizeof(*order), pol_block_by_cost);
	pol_buf_addz(b, "\nlargest blocks\n");
	for (size_t i = 0; i < t->blocks.n && i < MOST_BLOCKS; i++) {
		const struct pol_rule *r = &t->ir->rules.v[order[i]->first_rule];

		pol_buf_printf(b, "  %8u pages  %6u rules  %s %s%s, first rule at ",
			       order[i]->npages, order[i]->nrules,
			       pol_describe_stage(order[i]->stage),
			       pol_describe_direction(order[i]->direction),
			       order[i]->audit ? " (audit)" : "");
		if (t->ir->sources)
			pol_source_cite(b, t->ir->sources, r->span, false);
		pol_buf_addc(b, '\n');
	}
	free(order);
}

/* How each filter came out: the split of its lines, and what is looked at for a packet. */
static void filters(struct pol_buf *b, const struct pol_tables *t)
{
	pol_buf_printf(b, "\nfilters\n  tables %.1f MiB\n", t->filters.words / 262144.0);
	for (size_t i = 0; i < 2 * t->filters.n; i++) {
		const struct pol_filter_stats *s = &t->filters.stats[i];

		pol_buf_printf(b, "  %.*s, %s: %u lines", POL_STR_ARG(t->ir->filters.v[i / 2].name),
			       i & 1 ? "IPv6" : "IPv4", s->lines);
		if (s->special)
			pol_buf_printf(b, ", %u that limit or name a dynamic set", s->special);
		pol_buf_printf(b, "; intervals %u and %u, records %u and %u, kinds %u\n",
			       s->intervals[0], s->intervals[1], s->records[0], s->records[1],
			       s->kinds);
		if (!s->lines)
			continue;
		if (s->wide[0] || s->wide[1])
			pol_buf_printf(b, "    %u groups: prefixes shorter than /%u and /%u apart",
				       s->groups, s->wide[0], s->wide[1]);
		else
			pol_buf_addz(b, "    one group");
		pol_buf_printf(b, "; cells %u, patterns %u, %.1f MiB\n", s->cells, s->patterns,
			       s->words / 262144.0);
	}
}

void pol_stats(const struct pol_tables *t, struct pol_buf *out)
{
	sizes(out, t);
	classes(out, t);
	cost(out, t);
	dearest(out, t);
	if (t->filters.n)
		filters(out, t);
}
