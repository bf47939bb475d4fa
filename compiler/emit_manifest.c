/* SPDX-License-Identifier: GPL-2.0-only */
#include <polc/manifest.h>
#include <sodium.h>

#include "describe.h"
#include "emit.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0.0"
#endif

/* Every string is double-quoted with JSON escapes, which YAML 1.1 reads the same. */

/* Length of the UTF-8 sequence if it is one that JSON lets stand and YAML does not; c: what it is. */
static size_t yaml_special(const unsigned char *p, size_t n, unsigned *c)
{
	if (n >= 2 && p[0] == 0xc2 && p[1] < 0xa0) { /* C1 controls; NEL is a line break */
		*c = p[1];
		return 2;
	}
	if (n < 3 || p[0] < 0xe0 || p[0] > 0xef)
		return 0;
	*c = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	return *c == 0x2028 || *c == 0x2029 || *c == 0xfeff || *c >= 0xfffe ? 3 : 0;
}

static void add_text(struct pol_buf *b, struct pol_str s)
{
	struct pol_buf json = { 0 };
	unsigned c = 0;

	pol_buf_json(&json, s);
	for (size_t i = 0; i < json.n;) {
		size_t n = yaml_special((const unsigned char *)json.p + i, json.n - i, &c);

		if (n)
			pol_buf_printf(b, "\\u%04x", c);
		else
			pol_buf_addc(b, json.p[i]);
		i += n ? n : 1;
	}
	pol_buf_free(&json);
}

static const char *bool_name(bool v)
{
	return v ? "true" : "false";
}

/* ---- head ---------------------------------------------------------------------- */

void pol_emit_sources_hash(struct pol_buf *b, const struct pol_sources *s)
{
	crypto_hash_sha256_state state;
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; s && i < s->all.n; i++)
		crypto_hash_sha256_update(&state, (const unsigned char *)s->all.v[i]->text.p,
					  s->all.v[i]->text.n);
	crypto_hash_sha256_final(&state, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		pol_buf_printf(b, "%02x", hash[i]);
}

static void emit_head(struct pol_buf *b, const struct pol_tables *t)
{
	const struct pol_ir *ir = t->ir;

	pol_buf_printf(b, "polc: \"%s\"\nabi: %d\npolicy: ", POLC_VERSION, POL_ABI_VERSION);
	add_text(b, ir->sources && ir->sources->all.n ? ir->sources->all.v[0]->name
						      : POL_STR("policy"));
	pol_buf_addz(b, "\nsources: \"");
	pol_emit_sources_hash(b, ir->sources);
	pol_buf_printf(b, "\"\ndefault: %s\nhost_open: %s\n",
		       ir->default_action == POL_ALLOW ? "allow" : "deny",
		       bool_name(ir->host_open));
	pol_buf_printf(b, "address_classes: %u\nl4_classes: %u\ncolumn_levels: %u\nl4_levels: %u\n",
		       t->nclasses, t->nl4, t->column_levels, t->l4_levels);
	pol_buf_printf(b, "pages_used: %u\nverdicts_used: %u\n", pol_table_npages(t->table),
		       pol_table_nverdicts(t->table));
}

/* ---- lists ------------------------------------------------------------------------ */

static void begin_list(struct pol_buf *b, const char *name, size_t n)
{
	pol_buf_printf(b, "%s:%s\n", name, n ? "" : " []");
}

static void add_operands(struct pol_buf *b, const struct pol_sel *s)
{
	pol_buf_addz(b, ", of: [");
	for (size_t i = 0; i < s->n; i++)
		pol_buf_printf(b, "%s%u", i ? ", " : "", s->operand[i]);
	pol_buf_addz(b, "]");
}

static void add_selector(struct pol_buf *b, const struct pol_sel *s)
{
	switch (s->op) {
	case POL_SEL_TRUE:
		pol_buf_addz(b, "op: \"true\"");
		break;
	case POL_SEL_IN:
		pol_buf_addz(b, "op: in, key: ");
		add_text(b, s->key);
		pol_buf_addz(b, ", values: [");
		for (size_t i = 0; i < s->n; i++) {
			pol_buf_addz(b, i ? ", " : "");
			add_text(b, s->value[i]);
		}
		pol_buf_addz(b, "]");
		break;
	case POL_SEL_HAS:
		pol_buf_addz(b, "op: has, key: ");
		add_text(b, s->key);
		break;
	case POL_SEL_NOT:
		pol_buf_addz(b, "op: not");
		add_operands(b, s);
		break;
	case POL_SEL_AND:
		pol_buf_addz(b, "op: and");
		add_operands(b, s);
		break;
	case POL_SEL_OR:
		pol_buf_addz(b, "op: or");
		add_operands(b, s);
		break;
	}
}

static void emit_selectors(struct pol_buf *b, const struct pol_ir *ir)
{
	begin_list(b, "selectors", ir->sels.n);
	for (size_t i = 0; i < ir->sels.n; i++) {
		pol_buf_addz(b, "  - {");
		add_selector(b, &ir->sels.v[i]);
		pol_buf_addz(b, "}\n");
	}
	begin_list(b, "classes", ir->classes.n);
	for (size_t i = 0; i < ir->classes.n; i++) {
		pol_buf_addz(b, "  - {name: ");
		add_text(b, ir->classes.v[i].name);
		pol_buf_printf(b, ", selector: %u}\n", ir->classes.v[i].sel);
	}
}

static void emit_sets(struct pol_buf *b, const struct pol_tables *t)
{
	begin_list(b, "sets", t->sets.n);
	for (size_t i = 0; i < t->sets.n; i++) {
		pol_buf_addz(b, "  - [");
		for (size_t k = 0; k < t->set_classes[i].n; k++) {
			struct pol_range32 r = t->set_classes[i].run[k];

			pol_buf_printf(b, "%s%u", k ? ", " : "", r.lo);
			if (r.hi != r.lo)
				pol_buf_printf(b, "-%u", r.hi);
		}
		pol_buf_addz(b, "]\n");
	}
}

static void emit_predicates(struct pol_buf *b, const struct pol_tables *t)
{
	begin_list(b, "predicates", t->preds.n);
	for (size_t i = 0; i < t->preds.n; i++) {
		const struct pol_peer_pred *p = &t->preds.v[i];

		pol_buf_addz(b, "  - [");
		for (size_t k = 0; k < p->n; k++)
			pol_buf_printf(b, "%s{selector: %u, set: %u}", k ? ", " : "",
				       p->term[k].sel, p->term[k].set);
		pol_buf_addz(b, "]\n");
	}
}

static void emit_blocks(struct pol_buf *b, const struct pol_tables *t)
{
	begin_list(b, "blocks", t->blocks.n);
	for (size_t i = 0; i < t->blocks.n; i++) {
		const struct pol_block *k = &t->blocks.v[i];

		pol_buf_printf(
			b,
			"  - {subject: %u, direction: %s, stage: %s, audit: %s, root: %u, base: %u, rows: [",
			k->subject, pol_describe_direction(k->direction),
			pol_describe_stage(k->stage), bool_name(k->audit), k->root, k->base);
		for (size_t j = 0; j < k->rows.n; j++)
			pol_buf_printf(b, "%s[%u, %u]", j ? ", " : "", k->rows.v[j].pred,
				       k->rows.v[j].node);
		pol_buf_addz(b, "]}\n");
	}
}

static void emit_filters(struct pol_buf *b, const struct pol_ir *ir)
{
	if (ir->filters.n)
		begin_list(b, "filters", ir->filters.n);
	for (size_t i = 0; i < ir->filters.n; i++) {
		const struct pol_ir_filter *f = &ir->filters.v[i];

		pol_buf_addz(b, "  - {name: ");
		add_text(b, f->name);
		pol_buf_addz(b, ", interfaces: [");
		for (size_t k = 0; k < f->ninterfaces; k++) {
			pol_buf_addz(b, k ? ", " : "");
			add_text(b, f->interface[k]);
		}
		pol_buf_addz(b, "]}\n");
	}
	for (size_t i = 0; i < ir->dynamics.n; i++) {
		pol_buf_addz(b, i ? ", " : "dynamic: [");
		add_text(b, ir->dynamics.v[i].name);
	}
	if (ir->dynamics.n)
		pol_buf_addz(b, "]\n");
}

static void add_ip(struct pol_buf *b, struct pol_ip ip)
{
	char text[POL_IP_TEXT];

	pol_buf_printf(b, "\"%s\"", pol_ip_format(ip, text));
}

static void add_backend(struct pol_buf *b, const struct pol_ir_backend *k)
{
	if (k->by_class) {
		pol_buf_printf(b, "{selector: %u", k->sel);
	} else {
		pol_buf_addz(b, "{address: ");
		add_ip(b, k->addr);
	}
	pol_buf_printf(b, ", port: %u, weight: %u}", k->port, k->weight);
}

static void add_service(struct pol_buf *b, const struct pol_ir_service *s)
{
	pol_buf_addz(b, "  - {name: ");
	add_text(b, s->name);
	pol_buf_printf(b, ", protocol: %u, balance: %s, mode: %s, vips: [", s->proto,
		       s->random ? "random" : "maglev", s->dsr ? "dsr" : "nat");
	for (size_t i = 0; i < s->nvips; i++) {
		pol_buf_addz(b, i ? ", {address: " : "{address: ");
		add_ip(b, s->vip[i].addr);
		pol_buf_printf(b, ", port: %u}", s->vip[i].port);
	}
	pol_buf_addz(b, "], backends: [");
	for (size_t i = 0; i < s->nbackends; i++) {
		pol_buf_addz(b, i ? ", " : "");
		add_backend(b, &s->backend[i]);
	}
	pol_buf_addz(b, "]");
	if (s->checked) {
		pol_buf_printf(b, ", check: {every: %u, timeout: %u, rise: %u, fall: %u",
			       s->check[POL_CHECK_EVERY], s->check[POL_CHECK_TIMEOUT],
			       s->check[POL_CHECK_RISE], s->check[POL_CHECK_FALL]);
		if (s->path.n) {
			pol_buf_addz(b, ", path: ");
			add_text(b, s->path);
		}
		pol_buf_addz(b, "}");
	}
	pol_buf_addz(b, "}\n");
}

static void emit_services(struct pol_buf *b, const struct pol_ir *ir)
{
	if (ir->services.n)
		begin_list(b, "services", ir->services.n);
	for (size_t i = 0; i < ir->services.n; i++)
		add_service(b, &ir->services.v[i]);
}

static void add_address(struct pol_buf *b, unsigned family, pol_u128 v)
{
	struct pol_ip ip = { .hi = (uint64_t)(v >> 64),
			     .lo = (uint64_t)v,
			     .family = (uint8_t)family };
	char text[POL_IP_TEXT];

	pol_buf_addz(b, pol_ip_format(ip, text));
}

/* As ranges: so the set is kept, and so whoever closes it wants it. */
static void emit_pool(struct pol_buf *b, const struct pol_ir *ir)
{
	const struct pol_aset *s = &ir->asets.v[ir->pool];

	if (s->n4 + s->n6)
		begin_list(b, "pool", s->n4 + s->n6);
	for (size_t i = 0; i < s->n4 + s->n6; i++) {
		bool v6 = i >= s->n4;

		pol_buf_addz(b, "  - \"");
		add_address(b, v6 ? 6 : 4, v6 ? s->v6[i - s->n4].lo : s->v4[i].lo);
		pol_buf_addc(b, '-');
		add_address(b, v6 ? 6 : 4, v6 ? s->v6[i - s->n4].hi : s->v4[i].hi);
		pol_buf_addz(b, "\"\n");
	}
}

void pol_emit_manifest(const struct pol_tables *t, struct pol_buf *out)
{
	emit_head(out, t);
	emit_selectors(out, t->ir);
	emit_sets(out, t);
	emit_predicates(out, t);
	emit_blocks(out, t);
	pol_buf_printf(out, "limits: %zu\n", t->ir->limits.n);
	emit_filters(out, t->ir);
	emit_services(out, t->ir);
	emit_pool(out, t->ir);
}

/* ---- rules ---------------------------------------------------------------------------- */

static void add_place(struct pol_buf *b, const struct pol_ir *ir, struct pol_span at)
{
	struct pol_source *src = ir->sources ? pol_source_of(ir->sources, at) : NULL;

	pol_buf_addz(b, "file: ");
	add_text(b, src ? src->name : POL_STR(""));
	pol_buf_printf(b, ", line: %u", src ? pol_source_place(src, at.start).line : 0);
}

static void add_rule(struct pol_buf *b, const struct pol_ir *ir, const struct pol_rule *r)
{
	static const char *const implicit[] = {
		[POL_IMPLICIT_CLOSED] = "closed",
		[POL_IMPLICIT_DEFAULT] = "default",
		[POL_IMPLICIT_HOST] = "host",
	};

	pol_buf_addz(b, "- {");
	add_place(b, ir, r->span);
	pol_buf_addz(b, ", policy: ");
	add_text(b, r->policy);
	pol_buf_printf(b,
		       ", direction: %s, action: %s, text: ", pol_describe_direction(r->direction),
		       pol_describe_action(r->action));
	add_text(b, r->text);
	if (r->name.n) {
		pol_buf_addz(b, ", name: ");
		add_text(b, r->name);
	}
	if (r->implicit != POL_EXPLICIT)
		pol_buf_printf(b, ", implicit: %s", implicit[r->implicit]);
	if (r->stage != POL_STAGE_MAIN && r->implicit == POL_EXPLICIT)
		pol_buf_printf(b, ", tier: \"%s %d\"", pol_describe_stage(r->stage), r->priority);
	if (r->audit)
		pol_buf_addz(b, ", audit: true");
	pol_buf_addz(b, "}\n");
}

/* A line of a filter: `policy` is the filter's name. */
static void add_line(struct pol_buf *b, const struct pol_ir *ir, const struct pol_ir_filter *f,
		     const struct pol_filter_line *l)
{
	static const char *const action[] = {
		[POL_FILTER_DROP] = "drop",
		[POL_FILTER_PASS] = "pass",
		[POL_FILTER_LIMIT] = "limit",
	};

	pol_buf_addz(b, "- {");
	add_place(b, ir, l->span);
	pol_buf_addz(b, ", policy: ");
	add_text(b, f->name);
	pol_buf_printf(b, ", direction: filter, action: %s, text: ", action[l->action]);
	add_text(b, l->text);
	if (l->name.n) {
		pol_buf_addz(b, ", name: ");
		add_text(b, l->name);
	}
	pol_buf_addz(b, "}\n");
}

void pol_emit_rules(const struct pol_tables *t, struct pol_buf *out)
{
	if (!t->ir->rules.n && !t->ir->nlines)
		pol_buf_addz(out, "[]\n");
	for (size_t i = 0; i < t->ir->rules.n; i++)
		add_rule(out, t->ir, &t->ir->rules.v[i]);
	for (size_t i = 0; i < t->ir->filters.n; i++)
		for (size_t k = 0; k < t->ir->filters.v[i].n; k++)
			add_line(out, t->ir, &t->ir->filters.v[i], &t->ir->filters.v[i].line[k]);
}
