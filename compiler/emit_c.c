/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>

#include "emit.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0.0"
#endif

/* ---- text of the policy inside C --------------------------------------------- */

/*
 * Into a comment.  Whatever the policy says, the comment ends where we end
 * it: no comment mark survives, and trigraphs, which could hide a backslash
 * before the end of the line, do not either.  Control characters and
 * bidirectional overrides are made visible by pol_buf_clean.
 */
static void add_comment(struct pol_buf *b, struct pol_str s)
{
	struct pol_buf clean = { 0 };
	struct pol_str c;

	pol_buf_clean(&clean, s);
	c = pol_buf_str(&clean);
	for (size_t i = 0; i < c.n; i++) {
		char prev = i ? c.p[i - 1] : ' ';

		if ((prev == '*' && c.p[i] == '/') || (prev == '/' && c.p[i] == '*') ||
		    (prev == '?' && c.p[i] == '?'))
			pol_buf_addc(b, ' ');
		pol_buf_addc(b, c.p[i] == '\n' || c.p[i] == '\t' ? ' ' : c.p[i]);
	}
	pol_buf_free(&clean);
}

/* Into a string literal: octal escapes have at most three digits, so nothing can follow into them. */
static void add_string(struct pol_buf *b, struct pol_str s)
{
	pol_buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '?')
			pol_buf_printf(b, "\\%03o", c);
		else
			pol_buf_addc(b, (char)c);
	}
	pol_buf_addc(b, '"');
}

static struct pol_str root_name(const struct pol_ir *ir)
{
	return ir->sources && ir->sources->all.n ? ir->sources->all.v[0]->name : POL_STR("policy");
}

/* ---- numbers --------------------------------------------------------------------- */

/* printf is too slow for millions of them. */
static void add_number(struct pol_buf *b, uint64_t v, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (base == 16) {
		digits[--at] = 'x';
		digits[--at] = '0';
	}
	pol_buf_add(b, (struct pol_str){ digits + at, sizeof(digits) - at });
}

/* Element i of n, `line` of them on a line. */
static void separate(struct pol_buf *b, size_t i, size_t n, size_t line)
{
	if (i + 1 == n || (i + 1) % line == 0)
		pol_buf_addz(b, ",\n");
	else
		pol_buf_addz(b, ", ");
	if (i + 1 < n && (i + 1) % line == 0)
		pol_buf_addc(b, '\t');
}

static void add_u32s(struct pol_buf *b, const uint32_t *v, size_t n, unsigned base, size_t line)
{
	pol_buf_addc(b, '\t');
	for (size_t i = 0; i < n; i++) {
		add_number(b, v[i], base);
		separate(b, i, n, line);
	}
}

static void add_u16s(struct pol_buf *b, const uint16_t *v, size_t n)
{
	pol_buf_addc(b, '\t');
	for (size_t i = 0; i < n; i++) {
		add_number(b, v[i], 10);
		separate(b, i, n, 16);
	}
}

/* ---- head ---------------------------------------------------------------------------- */

static void emit_banner(struct pol_buf *b, const struct pol_ir *ir)
{
	pol_buf_addz(b, "/* SPDX-License-Identifier: GPL-2.0-only */\n/*\n * ");
	add_comment(b, root_name(ir));
	pol_buf_addz(
		b,
		", compiled by polc " POLC_VERSION ".\n"
		" *\n"
		" * Made from the policy: change that instead.  What each table means is said in\n"
		" * <polc/tables.h>; the code that walks them is in the templates.\n"
		" */\n"
		"#include <linux/bpf.h>\n"
		"#include <bpf/bpf_helpers.h>\n"
		"#include <polc/abi.h>\n"
		"#include <polc/tables.h>\n\n");
}

static void define(struct pol_buf *b, const char *name, uint64_t value, const char *comment)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
	pol_buf_printf(b, "#define %-20s %-9s /* %s */\n", name, number, comment);
}

/* Something to do at XDP: see edge.h of the templates. */
static bool uses_edge(const struct pol_ir *ir)
{
	return ir->filters.n > 0 || ir->services.n > 0;
}

/* The shape of a search over n intervals; its tables have the next power of two. */
static void emit_search(struct pol_buf *b, int family, const struct pol_search_tables *s, size_t n)
{
	size_t nodes = s->node.n / pol_search_doubles(family);
	char name[32], text[96];

	snprintf(name, sizeof(name), "POL_V%d_SHIFT", family);
	define(b, name, s->s.shift, "bits behind those that name a root");
	snprintf(name, sizeof(name), "POL_V%d_LEVELS", family);
	define(b, name, s->s.levels, "levels of nodes");
	snprintf(name, sizeof(name), "POL_V%d_NODES", family);
	snprintf(text, sizeof(text), "%zu nodes", nodes);
	define(b, name, pol_power_of_two(nodes), text);
	snprintf(name, sizeof(name), "POL_V%d_CLASS_LEN", family);
	snprintf(text, sizeof(text), "%zu intervals of %s", n,
		 family == 4 ? "addresses" : "high halves");
	define(b, name, pol_power_of_two(n), text);
}

static void emit_constants(struct pol_buf *b, const struct pol_tables *t)
{
	const struct pol_ir *ir = t->ir;
	bool reject = false, audit = false;
	char text[128];

	for (size_t i = 0; i < ir->rules.n; i++) {
		reject = reject || ir->rules.v[i].action == POL_REJECT;
		audit = audit || ir->rules.v[i].audit;
	}
	emit_search(b, 4, &t->v4_search, t->v4.n);
	emit_search(b, 6, &t->v6_search, t->v6.n);
	define(b, "POL_V6_LOW_DEPTH", t->v6_low_depth,
	       "halvings of the largest group of low halves");
	define(b, "POL_V6_LOW_LEN", t->v6_low_len, "low halves");
	define(b, "POL_COLUMN_LEVELS", t->column_levels, "levels of pages for the column");
	snprintf(text, sizeof(text), "levels of pages for the L4 class, of which there are %u",
		 t->nl4);
	define(b, "POL_L4_LEVELS", t->l4_levels, text);
	snprintf(text, sizeof(text), "%u classes of addresses", t->nclasses);
	define(b, "POL_CLASSES_PADDED", t->nclasses_padded, text);
	define(b, "POL_USES_POOL", t->pool != NULL, "there is a `pool`");
	snprintf(text, sizeof(text), "%u pages are filled here, the rest by the loader",
		 pol_table_npages(t->table));
	define(b, "POL_PAGES_LEN", t->pages_len, text);
	snprintf(text, sizeof(text), "%u are filled here, the rest by the loader",
		 pol_table_nverdicts(t->table));
	define(b, "POL_VERDICTS_LEN", t->verdicts_len, text);
	define(b, "POL_L4_CLASS_LEN", t->l4_class_len, "pages of 256 ports or types");
	define(b, "POL_RULES_LEN", ir->rules.n + ir->nlines ? ir->rules.n + ir->nlines : 1,
	       "counters");
	define(b, "POL_LIMITS_LEN", ir->limits.n, "`limit` clauses");
	define(b, "POL_USES_REJECT", reject, "some rule answers");
	define(b, "POL_USES_AUDIT", audit, "some policy only audits");
	define(b, "POL_USES_HTTP", ir->https.n > 0, "some rule has an http block");
	if (uses_edge(ir))
		define(b, "POL_USES_FILTERS", ir->filters.n > 0, "there is a filter");
	pol_emit_services(ir, b);
}

/* ---- address and L4 classes -------------------------------------------------------------- */

/* Many that follow each other are often equal. */
static void emit_top(struct pol_buf *b, int family, const struct pol_search_tables *s)
{
	pol_buf_printf(b,
		       "\n/* Root by the leading bits. */\n"
		       "const __u16 pol_v%d_top[1 << (%d - POL_V%d_SHIFT)] = {\n",
		       family, family == 4 ? 32 : 64, family);
	for (size_t i = 0, end; i < s->top.n; i = end) {
		for (end = i + 1; end < s->top.n && s->top.v[end] == s->top.v[i];)
			end++;
		if (!s->top.v[i] && end - i > 1)
			continue; /* what is not said is 0 */
		pol_buf_addz(b, "\t[");
		add_number(b, i, 10);
		if (end - i > 1) {
			pol_buf_addz(b, " ... ");
			add_number(b, end - 1, 10);
		}
		pol_buf_addz(b, "] = ");
		add_number(b, s->top.v[i], 10);
		pol_buf_addz(b, ",\n");
	}
	pol_buf_addz(b, "};\n");
}

static void emit_nodes(struct pol_buf *b, int family, const struct pol_search_tables *s)
{
	size_t doubles = pol_search_doubles(family);

	pol_buf_printf(b,
		       "\n/* Bounds, and what lies below the first: node or interval. */\n"
		       "const __u64 pol_v%d_node[POL_V%d_NODES][%zu] "
		       "__attribute__((aligned(64))) = {\n",
		       family, family, doubles);
	for (size_t i = 0; i < s->node.n; i++) {
		pol_buf_addz(b, i % doubles ? " " : "\t{ ");
		add_number(b, s->node.v[i], (i + 1) % doubles ? 16 : 10);
		pol_buf_addz(b, (i + 1) % doubles ? "," : " },\n");
	}
	pol_buf_addz(b, "};\n");
}

static void emit_classes(struct pol_buf *b, int family, const pol_intervals *all)
{
	pol_buf_printf(b,
		       "\n/* Class by interval%s. */\n"
		       "const __u32 pol_v%d_class[POL_V%d_CLASS_LEN] = {\n\t",
		       family == 4 ? "" : ", or group of low halves", family, family);
	for (size_t i = 0; i < all->n; i++) {
		pol_buf_addz(b, all->v[i].value & POL_V6_LOW ? "POL_V6_LOW | " : "");
		add_number(b, all->v[i].value & ~POL_V6_LOW, 10);
		separate(b, i, all->n, 16);
	}
	pol_buf_addz(b, "};\n");
}

static void emit_family(struct pol_buf *b, int family, const struct pol_search_tables *s,
			const pol_intervals *all)
{
	pol_buf_printf(
		b,
		"\n/* %s */\n"
		"const struct pol_search pol_v%d_search = { POL_V%d_SHIFT, POL_V%d_LEVELS };\n",
		family == 4 ? "IPv4 addresses" : "High halves of IPv6 addresses", family, family,
		family);
	emit_top(b, family, s);
	emit_nodes(b, family, s);
	emit_classes(b, family, all);
}

static void emit_low(struct pol_buf *b, const struct pol_tables *t)
{
	pol_buf_addz(b,
		     "\n/* Low half, class from there on; at the first of a group, its length. */\n"
		     "const struct pol_v6_low pol_v6_low[POL_V6_LOW_LEN] = {\n\t");
	for (size_t i = 0; i < t->v6_low_len; i++) {
		pol_buf_addz(b, "{ ");
		add_number(b, t->v6_low[i].lo, 16);
		pol_buf_addz(b, ", ");
		add_number(b, t->v6_low[i].class, 10);
		pol_buf_addz(b, ", ");
		add_number(b, t->v6_low[i].n, 10);
		pol_buf_addz(b, " }");
		separate(b, i, t->v6_low_len, 2);
	}
	pol_buf_addz(b, "};\n");
}

static void emit_addresses(struct pol_buf *b, const struct pol_tables *t)
{
	emit_family(b, 4, &t->v4_search, &t->v4);
	emit_family(b, 6, &t->v6_search, &t->v6);
	emit_low(b, t);
	if (!t->pool)
		return;
	pol_buf_addz(b, "\n/* Bit by class: inside `pool`. */\n"
			"const __u32 pol_pool_class[POL_CLASSES_PADDED / 32] = {\n");
	add_u32s(b, t->pool, t->nclasses_padded / 32, 16, 8);
	pol_buf_addz(b, "};\n");
}

static void emit_l4(struct pol_buf *b, const struct pol_tables *t)
{
	static const char *const slot[] = {
		[POL_L4_TCP] = "POL_L4_TCP",       [POL_L4_UDP] = "POL_L4_UDP",
		[POL_L4_SCTP] = "POL_L4_SCTP",     [POL_L4_ICMP] = "POL_L4_ICMP",
		[POL_L4_ICMPV6] = "POL_L4_ICMPV6",
	};

	pol_buf_addz(b, "\n/* Page of pol_l4_class by the high byte of the port. */\n"
			"const __u16 pol_l4_page[POL_L4_SLOTS][256] = {\n");
	for (unsigned i = 0; i < POL_L4_SLOTS; i++) {
		pol_buf_printf(b, "\t[%s] = {\n", slot[i]);
		add_u16s(b, t->l4_page[i], 256);
		pol_buf_addz(b, "\t},\n");
	}
	pol_buf_addz(b, "};\n\n/* L4 class by page and low byte of the port, or ICMP type. */\n"
			"const __u16 pol_l4_class[POL_L4_CLASS_LEN] = {\n");
	for (uint32_t p = 0; p < t->l4_class_len; p += 256) {
		pol_buf_printf(b, "\t/* page %u */\n", p / 256);
		add_u16s(b, t->l4_class + p, 256);
	}
	pol_buf_addz(b, "};\n\n/* L4 class of the protocols without ports or types. */\n"
			"const __u16 pol_proto_class[256] = {\n");
	add_u16s(b, t->proto_class, 256);
	pol_buf_addz(b, "};\n");
}

/* ---- decisions ------------------------------------------------------------------------------ */

static void emit_pages(struct pol_buf *b, const struct pol_tables *t)
{
	const uint32_t *pages = pol_table_pages(t->table);

	pol_buf_addz(
		b,
		"\n/* Trees over (column, L4 class); entries are pages, at the last level verdicts. */\n"
		"__u32 pol_pages[POL_PAGES_LEN] SEC(POL_SEC_PAGES) = {\n");
	for (uint32_t p = 0; p < pol_table_npages(t->table); p++) {
		pol_buf_printf(b, "\t/* page %u */\n", p);
		add_u32s(b, pages + (size_t)p * POL_PAGE, POL_PAGE, 10, 16);
	}
	pol_buf_addz(b, "};\n");
}

/* The rule that an entry stands for: its place as #line, its own words as a comment. */
static void add_rule(struct pol_buf *b, const struct pol_ir *ir, uint32_t id)
{
	const struct pol_filter_line *l = pol_ir_line(ir, id);
	struct pol_span span = l ? l->span : ir->rules.v[id].span;
	struct pol_source *src = ir->sources ? pol_source_of(ir->sources, span) : NULL;

	if (src) {
		pol_buf_printf(b, "#line %u ", pol_source_place(src, span.start).line);
		add_string(b, src->name);
		pol_buf_addc(b, '\n');
	}
	pol_buf_addz(b, "\t/* ");
	add_comment(b, l ? l->text : ir->rules.v[id].text);
	pol_buf_addz(b, " */\n");
}

static void add_verdict(struct pol_buf *b, const struct pol_verdict *v)
{
	static const char *const action[] = {
		[POL_DENY] = "POL_DENY", [POL_REJECT] = "POL_REJECT", [POL_ALLOW] = "POL_ALLOW",
		[POL_SKIP] = "POL_SKIP", [POL_NONE] = "POL_NONE",
	};

	pol_buf_printf(b, "\t{ .order = %u, .rule = ", v->order);
	if (v->rule == POL_NO_RULE)
		pol_buf_addz(b, "POL_NO_RULE");
	else
		add_number(b, v->rule, 10);
	pol_buf_printf(b, ", .audit_rule = POL_NO_RULE, .action = %s", action[v->action]);
	if (v->flags)
		pol_buf_printf(b, ", .flags = %u", v->flags);
	if (v->nlimits)
		pol_buf_printf(b, ", .nlimits = %u, .limit = { ", v->nlimits);
	for (unsigned i = 0; i < v->nlimits; i++)
		pol_buf_printf(b, "%u%s", v->limit[i], i + 1 < v->nlimits ? ", " : " }");
	if (v->nhttp)
		pol_buf_printf(b, ", .nhttp = %u, .http = { ", v->nhttp);
	for (unsigned i = 0; i < v->nhttp; i++)
		pol_buf_printf(b, "%u%s", v->http[i], i + 1 < v->nhttp ? ", " : " }");
	pol_buf_addz(b, " },\n");
}

static void emit_verdicts(struct pol_buf *b, const struct pol_tables *t)
{
	const struct pol_verdict *v = pol_table_verdicts(t->table);

	pol_buf_addz(
		b,
		"\n/* Flags: 1 log, 2 limits, log and http add up with those of other allows, 4 without http. */\n"
		"struct pol_verdict pol_verdicts[POL_VERDICTS_LEN] SEC(POL_SEC_VERDICTS) = {\n"
		"\t/* closed: what nobody filled */\n");
	add_verdict(b, &v[0]);
	pol_buf_addz(b, "\t/* no rule matched */\n");
	add_verdict(b, &v[1]);
	for (uint32_t i = 2; i < pol_table_nverdicts(t->table); i++) {
		add_rule(b, t->ir, v[i].rule);
		add_verdict(b, &v[i]);
	}
	pol_buf_addz(b, "};\n");
}

static void emit_limits(struct pol_buf *b, const struct pol_tables *t)
{
	if (!t->ir->limits.n)
		return;
	pol_buf_addz(b, "\nconst struct pol_limit pol_limits[POL_LIMITS_LEN] = {\n");
	for (size_t i = 0; i < t->ir->limits.n; i++) {
		const struct pol_limit *l = &t->ir->limits.v[i];

		add_rule(b, t->ir, l->rule);
		pol_buf_printf(b, "\t{ .ns_per_token = %llu, .burst_ns = %llu, .rule = %u",
			       (unsigned long long)l->ns_per_token, (unsigned long long)l->burst_ns,
			       l->rule);
		if (l->per_source)
			pol_buf_printf(b, ", .per_source = 1, .len4 = %u, .len6 = %u", l->len4,
				       l->len6);
		pol_buf_addz(b, " },\n");
	}
	pol_buf_addz(b, "};\n");
}

/* ---- programs -------------------------------------------------------------------------------- */

/* Lines count as those of the C file again. */
static void end_of_policy(struct pol_buf *b, const struct pol_tables *t)
{
	struct pol_str name = root_name(t->ir);
	struct pol_buf file = { 0 };
	size_t lines = 2; /* the line after #line */

	for (size_t i = 0; i < b->n; i++)
		lines += b->p[i] == '\n';
	if (name.n > 4 && memcmp(name.p + name.n - 4, ".pol", 4) == 0)
		name.n -= 4;
	pol_buf_printf(&file, "%.*s.bpf.c", POL_STR_ARG(name));
	pol_buf_printf(b, "#line %zu ", lines);
	add_string(b, pol_buf_str(&file));
	pol_buf_addc(b, '\n');
	pol_buf_free(&file);
}

static void emit_programs(struct pol_buf *b, const struct pol_ir *ir)
{
	static const char *const hook[] = { "ep_out", "ep_in", "uplink_in", "lo_in", "uplink_out" };

	pol_buf_addz(b, "\n#include \"datapath.h\"\n");
	if (uses_edge(ir))
		pol_buf_addz(b, "#include \"edge.h\"\n");
	pol_buf_addc(b, '\n');
	for (size_t i = 0; i < POL_ARRAY_LEN(hook); i++)
		pol_buf_printf(
			b,
			"SEC(\"tc\") int pol_%s(struct __sk_buff *skb) { return pol_hook_%s(skb); }\n",
			hook[i], hook[i]);
	if (uses_edge(ir))
		pol_buf_addz(
			b,
			"SEC(\"xdp.frags\") int pol_xdp(struct xdp_md *ctx) { return pol_hook_xdp(ctx); }\n");
	pol_buf_addz(b, "\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n");
}

static void emit(const struct pol_tables *t, bool bare, struct pol_buf *out)
{
	emit_banner(out, t->ir);
	emit_constants(out, t);
	emit_addresses(out, t);
	emit_l4(out, t);
	if (bare) {
		pol_buf_addz(
			out,
			"\n__u32 pol_pages[POL_PAGES_LEN] SEC(POL_SEC_PAGES) = { 0 };\n"
			"struct pol_verdict pol_verdicts[POL_VERDICTS_LEN] SEC(POL_SEC_VERDICTS) = { { 0 } };\n");
	} else {
		emit_pages(out, t);
		emit_verdicts(out, t);
	}
	emit_limits(out, t);
	if (uses_edge(t->ir))
		pol_emit_filters(t, bare, out);
	end_of_policy(out, t);
	emit_programs(out, t->ir);
}

void pol_emit_c(const struct pol_tables *t, struct pol_buf *out)
{
	emit(t, false, out);
}

void pol_emit_c_bare(const struct pol_tables *t, struct pol_buf *out)
{
	emit(t, true, out);
}
