/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/dump.h"

#include "compiler/describe.h"
#include "compiler/emit.h"

#define SHOWN 32 /* ranges of one address set */

struct pass {
	const char *name, *what;
};
#define PASS_ITEM(id, name, what) [id] = { name, what },
static const struct pass passes[] = { POL_PASSES(PASS_ITEM) };

enum pol_pass pol_pass_find(const char *name)
{
	size_t i = 0;

	while (i < POL_PASS_MAX && strcmp(passes[i].name, name) != 0)
		i++;
	return (enum pol_pass)i;
}

void pol_pass_help(struct pol_buf *out)
{
	for (size_t i = 0; i < POL_PASS_MAX; i++)
		pol_buf_printf(out, "  %-10s %s\n", passes[i].name, passes[i].what);
}

void pol_dump_ast(const struct pol_program *p, struct pol_buf *out)
{
	for (size_t i = 0; i < p->files.n; i++) {
		pol_buf_addz(out, "# ");
		pol_buf_clean(out, p->files.v[i]->source->name);
		pol_buf_addc(out, '\n');
		pol_ast_dump(out, p->files.v[i]);
	}
}

/* ---- ir ----------------------------------------------------------------------- */

static void dump_sets(const struct pol_ir *ir, struct pol_buf *out)
{
	for (size_t i = 0; i < ir->l4sets.n; i++) {
		pol_buf_printf(out, "l4 %zu: ", i);
		pol_describe_l4(out, ir->l4sets.v[i]);
		pol_buf_addc(out, '\n');
	}
	for (size_t i = 0; i < ir->asets.n; i++) {
		pol_buf_printf(out, "aset %zu: ", i);
		pol_describe_aset(out, &ir->asets.v[i], SHOWN);
		pol_buf_addc(out, '\n');
	}
	for (size_t i = 0; i < ir->sels.n; i++) {
		pol_buf_printf(out, "sel %zu: ", i);
		pol_describe_sel(out, ir, (uint32_t)i);
		pol_buf_addc(out, '\n');
	}
	for (size_t i = 0; i < ir->preds.n; i++) {
		pol_buf_printf(out, "pred %zu: ", i);
		pol_describe_pred(out, ir, (uint32_t)i);
		pol_buf_addc(out, '\n');
	}
}

static void dump_names(const struct pol_ir *ir, struct pol_buf *out)
{
	pol_buf_printf(out, "pool: aset %u\n", ir->pool);
	for (size_t i = 0; i < ir->classes.n; i++)
		pol_buf_printf(out, "endpoint %.*s: sel %u\n", POL_STR_ARG(ir->classes.v[i].name),
			       ir->classes.v[i].sel);
	for (size_t i = 0; i < ir->cidrs.n; i++)
		pol_buf_printf(out, "cidr %.*s: aset %u\n",
			       POL_STR_ARG(ir->cidrs.v[i].name.n ? ir->cidrs.v[i].name
								 : POL_STR("(every prefix named)")),
			       ir->cidrs.v[i].aset);
}

/* ---- decisions ---------------------------------------------------------------- */

static void dump_rule(const struct pol_ir *ir, const struct pol_rule *r, struct pol_buf *out)
{
	pol_buf_printf(out, "%u: rule %u %s", r->order, r->id, pol_describe_stage(r->stage));
	if (r->stage != POL_STAGE_MAIN && r->implicit == POL_EXPLICIT)
		pol_buf_printf(out, " %d", r->priority);
	pol_buf_printf(out, "%s %s [", r->audit ? " audit" : "",
		       pol_describe_direction(r->direction));
	pol_describe_sel(out, ir, r->subject);
	pol_buf_printf(out, "] %s ", pol_describe_action(r->action));
	pol_describe_pred(out, ir, r->pred);
	pol_buf_addz(out, " on ");
	pol_describe_l4(out, ir->l4sets.v[r->l4]);
	if (r->log)
		pol_buf_addz(out, " log");
	if (r->limit >= 0)
		pol_buf_printf(out, " limit %d", r->limit);
	pol_buf_addz(out, "  # ");
	pol_source_cite(out, ir->sources, r->span, false);
	pol_buf_addz(out, ": ");
	pol_buf_clean(out, r->text);
	pol_buf_addc(out, '\n');
}

void pol_dump_ir(const struct pol_ir *ir, enum pol_pass pass, struct pol_buf *out)
{
	if (pass == POL_PASS_IR) {
		dump_sets(ir, out);
		dump_names(ir, out);
		return;
	}
	for (size_t i = 0; i < ir->by_order.n; i++)
		dump_rule(ir, &ir->rules.v[ir->by_order.v[i]], out);
}

/* ---- classes ------------------------------------------------------------------ */

static void dump_v4(const pol_intervals *all, struct pol_buf *out)
{
	char text[POL_IP_TEXT];

	for (size_t i = 0; i < all->n; i++)
		pol_buf_printf(out, "v4 from %s: class %u\n",
			       pol_ip_format((struct pol_ip){ 0, all->v[i].first, 4 }, text),
			       all->v[i].value);
}

/* A group repeats what is below it, and what is above a group its last. */
static void v6_from(struct pol_buf *out, uint64_t hi, uint64_t lo, uint32_t class, uint32_t *last)
{
	char text[POL_IP_TEXT];

	if (class == *last)
		return;
	*last = class;
	pol_buf_printf(out, "v6 from %s: class %u\n",
		       pol_ip_format((struct pol_ip){ hi, lo, 6 }, text), class);
}

static void dump_v6(const struct pol_tables *t, struct pol_buf *out)
{
	uint32_t last = UINT32_MAX;

	for (size_t i = 0; i < t->v6.n; i++) {
		const struct pol_interval *v = &t->v6.v[i];
		const struct pol_v6_low *low = &t->v6_low[v->value & ~POL_V6_LOW];

		if (!(v->value & POL_V6_LOW)) {
			v6_from(out, v->first, 0, v->value, &last);
			continue;
		}
		for (uint32_t k = 0; k < low->n; k++)
			v6_from(out, v->first, low[k].lo, low[k].class, &last);
	}
}

static uint16_t l4_class_at(const struct pol_tables *t, enum pol_l4_slot slot, uint32_t value)
{
	return t->l4_class[(uint32_t)t->l4_page[slot][value >> 8] * 256 + (value & 0xff)];
}

static void dump_l4(const struct pol_tables *t, enum pol_l4_slot slot, const char *name,
		    uint32_t last, struct pol_buf *out)
{
	for (uint32_t v = 0, from = 0; v <= last; v++) {
		uint16_t class = l4_class_at(t, slot, v);

		if (v < last && l4_class_at(t, slot, v + 1) == class)
			continue;
		pol_buf_printf(out, "%s %u-%u: class %u\n", name, from, v, class);
		from = v + 1;
	}
}

static void dump_classes(const struct pol_tables *t, struct pol_buf *out)
{
	dump_v4(&t->v4, out);
	dump_v6(t, out);
	dump_l4(t, POL_L4_TCP, "tcp", 65535, out);
	dump_l4(t, POL_L4_UDP, "udp", 65535, out);
	dump_l4(t, POL_L4_SCTP, "sctp", 65535, out);
	dump_l4(t, POL_L4_ICMP, "icmp", 255, out);
	dump_l4(t, POL_L4_ICMPV6, "icmp6", 255, out);
	for (uint32_t p = 0; p < 256; p++)
		if (t->proto_class[p])
			pol_buf_printf(out, "proto %u: class %u\n", p, t->proto_class[p]);
}

/* ---- tables ------------------------------------------------------------------- */

static void dump_verdict(const struct pol_verdict *v, uint32_t number, struct pol_buf *out)
{
	pol_buf_printf(out, "verdict %u: %s", number,
		       pol_describe_action((enum pol_action)v->action));
	if (v->rule != POL_NO_RULE)
		pol_buf_printf(out, " rule %u order %u", v->rule, v->order);
	if (v->audit_rule != POL_NO_RULE)
		pol_buf_printf(out, " audit %u", v->audit_rule);
	if (v->flags & POL_VF_LOG)
		pol_buf_addz(out, " log");
	for (unsigned i = 0; i < v->nlimits; i++)
		pol_buf_printf(out, " limit %u", v->limit[i]);
	pol_buf_addc(out, '\n');
}

static void dump_blocks(const struct pol_tables *t, struct pol_buf *out)
{
	const struct pol_verdict *v = pol_table_verdicts(t->table);

	pol_buf_printf(out, "levels: column %u, l4 %u\npages: %u\n", t->column_levels, t->l4_levels,
		       pol_table_npages(t->table));
	for (uint32_t i = 0; i < pol_table_nverdicts(t->table); i++)
		dump_verdict(&v[i], i, out);
	for (size_t i = 0; i < t->blocks.n; i++) {
		const struct pol_block *b = &t->blocks.v[i];

		pol_buf_printf(out, "block %zu: [", i);
		pol_describe_sel(out, t->ir, b->subject);
		pol_buf_printf(out, "] %s %s%s root %u base %u",
			       pol_describe_direction(b->direction), pol_describe_stage(b->stage),
			       b->audit ? " audit" : "", b->root, b->base);
		for (size_t k = 0; k < b->rows.n; k++)
			pol_buf_printf(out, " (pred %u: %u)", b->rows.v[k].pred, b->rows.v[k].node);
		pol_buf_addc(out, '\n');
	}
}

void pol_dump_tables(const struct pol_tables *t, enum pol_pass pass, struct pol_buf *out)
{
	switch (pass) {
	case POL_PASS_CLASSES:
		dump_classes(t, out);
		return;
	case POL_PASS_TABLES:
		dump_blocks(t, out);
		return;
	case POL_PASS_C:
		pol_emit_c(t, out);
		return;
	case POL_PASS_MANIFEST:
		pol_emit_manifest(t, out);
		pol_buf_addz(out, "---\n");
		pol_emit_rules(t, out);
		return;
	case POL_PASS_AST:
	case POL_PASS_IR:
	case POL_PASS_DECISIONS:
	case POL_PASS_MAX:
		return;
	}
}
