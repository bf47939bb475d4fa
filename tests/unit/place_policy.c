/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "place_policy.h"

uint64_t rng_state;

uint32_t rnd(uint32_t n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)((rng_state * 0x2545f4914f6cdd1du) >> 33) % n;
}

const char *const key_name[KEYS] = { "app", "tier", "zone", "x" };
const char *const value_name[VALUES] = { "a", "b", "" };

/* Orders are unique by rule and stage, as the compiler's are. */
static uint32_t random_verdict(struct policy *p, uint32_t stage, bool audit)
{
	uint32_t rule = rnd(RULES), action = rnd(stage == PRT_STAGE_MAIN ? 3 : 4);
	struct pol_verdict v = { .rule = rule, .audit_rule = POL_NO_RULE };

	if (rnd(3) == 0)
		return POL_VERDICT_NONE;
	rule = v.rule = (rule & ~15u) | action << 2 | (uint32_t)audit << 1 | (rule & 1);
	v.action = (uint8_t)action;
	v.order = (stage << 16) + (action == POL_ALLOW ? 1000 : 0) + rule;
	if (action == POL_ALLOW && stage == PRT_STAGE_MAIN) {
		v.flags = POL_VF_ADDS | (rnd(8) ? 0 : POL_VF_LOG);
		v.nlimits = !rnd(8);
		v.limit[0] = v.nlimits ? rnd(4) : 0;
	}
	return pol_table_verdict(p->table, &v);
}

static void random_l4(struct policy *p, const struct block *b, uint32_t out[L4])
{
	for (unsigned i = 0; i < L4; i++)
		out[i] = i && rnd(2) ? out[i - 1] : random_verdict(p, b->stage, b->audit);
}

static uint32_t l4_tree(struct policy *p, const uint32_t v[L4])
{
	uint32_t node = pol_table_uniform(p->table, POL_VERDICT_NONE, 0, 1);

	for (unsigned i = 0; i < L4; i++)
		node = pol_table_combine_range(p->table, node, 1, i, i, v[i]);
	return node;
}

static void random_selector(struct policy *p, uint32_t id)
{
	struct sel *s = &p->sel[id];

	s->op = id == 0 ? PRT_SEL_TRUE : id < 4 ? PRT_SEL_IN + rnd(2) : PRT_SEL_IN + rnd(5);
	s->key = rnd(KEYS - 1); /* no selector asks for the last key */
	s->values = 1 + rnd((1 << VALUES) - 1);
	s->a = id ? rnd(id) : 0;
	s->b = id ? rnd(id) : 0;
}

static void random_block(struct policy *p, struct block *b)
{
	b->subject = rnd(SELS);
	b->direction = rnd(POL_DIRECTIONS);
	b->stage = rnd(PRT_STAGES);
	b->audit = !rnd(5);
	for (unsigned e = 0; e < POL_ENTITY_STATIC_MAX; e++)
		for (unsigned c = 0; c < MADE_CLASSES; c++)
			random_l4(p, b, b->fixed[e][c]);
	random_l4(p, b, b->base);
	for (unsigned i = 0; i < PREDS; i++) {
		b->has_row[i] = rnd(2);
		random_l4(p, b, b->row[i]);
	}
}

static void put_selector(const struct sel *s, struct pol_buf *out)
{
	static const char *const name[] = { "true", "in", "has", "not", "and", "or" };
	const char *sep = "";

	pol_buf_printf(out, "  - {op: %s", name[s->op]);
	if (s->op == PRT_SEL_IN || s->op == PRT_SEL_HAS)
		pol_buf_printf(out, ", key: %s", key_name[s->key]);
	if (s->op == PRT_SEL_IN) {
		pol_buf_addz(out, ", values: [");
		for (unsigned i = 0; i < VALUES; i++)
			if (s->values >> i & 1) {
				pol_buf_printf(out, "%s\"%s\"", sep, value_name[i]);
				sep = ", ";
			}
		pol_buf_addz(out, "]");
	}
	if (s->op == PRT_SEL_NOT)
		pol_buf_printf(out, ", of: [%u]", s->a);
	if (s->op == PRT_SEL_AND || s->op == PRT_SEL_OR)
		pol_buf_printf(out, ", of: [%u, %u]", s->a, s->b);
	pol_buf_addz(out, "}\n");
}

static uint32_t block_root(struct policy *p, const struct block *b, unsigned levels)
{
	uint32_t node = pol_table_uniform(p->table, POL_VERDICT_NONE, 0, levels + 1);

	for (unsigned e = 0; e < POL_ENTITY_STATIC_MAX; e++)
		for (unsigned c = 0; c < MADE_CLASSES; c++)
			node = pol_table_set(p->table, node, levels + 1, 1, e * POL_PAGE + c,
					     l4_tree(p, b->fixed[e][c]));
	return node;
}

static void put_block(struct policy *p, const struct block *b, unsigned levels, struct pol_buf *out)
{
	static const char *const stage[] = { "admin", "main", "baseline" };
	const char *sep = "";

	pol_buf_printf(out,
		       "  - {subject: %u, direction: %s, stage: %s, audit: %s, root: %u, "
		       "base: %u, rows: [",
		       b->subject, b->direction ? "egress" : "ingress", stage[b->stage],
		       b->audit ? "true" : "false", block_root(p, b, levels), l4_tree(p, b->base));
	for (unsigned i = 0; i < PREDS; i++)
		if (b->has_row[i]) {
			pol_buf_printf(out, "%s[%u, %u]", sep, i, l4_tree(p, b->row[i]));
			sep = ", ";
		}
	pol_buf_addz(out, "]}\n");
}

static void put_sets_and_preds(const struct policy *p, struct pol_buf *out)
{
	pol_buf_addz(out, "sets:\n");
	for (unsigned i = 0; i < SETS; i++) {
		const char *sep = "";

		pol_buf_addz(out, "  - [");
		for (unsigned c = 0; c < MADE_CLASSES; c++)
			if (p->set[i][c]) {
				pol_buf_printf(out, "%s%u", sep, c);
				sep = ", ";
			}
		pol_buf_addz(out, "]\n");
	}
	pol_buf_addz(out, "predicates:\n");
	for (unsigned i = 0; i < PREDS; i++) {
		pol_buf_addz(out, "  - [");
		for (unsigned j = 0; j < p->pred[i].n; j++)
			pol_buf_printf(out, "%s{selector: %u, set: %u}", j ? ", " : "",
				       p->pred[i].sel[j], p->pred[i].set[j]);
		pol_buf_addz(out, "]\n");
	}
}

static void random_parts(struct policy *p)
{
	for (uint32_t i = 0; i < SELS; i++)
		random_selector(p, i);
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned c = 0; c < MADE_CLASSES; c++)
			p->set[i][c] = !i || rnd(2);
	for (unsigned i = 0; i < PREDS; i++) {
		p->pred[i].n = rnd(4);
		for (unsigned j = 0; j < p->pred[i].n; j++) {
			p->pred[i].sel[j] = rnd(SELS);
			p->pred[i].set[j] = rnd(SETS);
		}
	}
	p->nblocks = 1 + rnd(BLOCKS);
	for (unsigned i = 0; i < p->nblocks; i++)
		random_block(p, &p->block[i]);
}

void policy_new(struct policy *p, uint32_t max_pages, unsigned levels)
{
	struct pol_buf body = { 0 }, head = { 0 }, rules = { 0 };
	static const struct pol_limit limits[4];
	struct pol_err err = { 0 };
	size_t size;
	char *data;

	memset(p, 0, sizeof(*p));
	p->table = pol_table_new(1u << 20, 1u << 16);
	random_parts(p);
	pol_buf_addz(&body, "selectors:\n");
	for (unsigned i = 0; i < SELS; i++)
		put_selector(&p->sel[i], &body);
	pol_buf_addz(&body, "classes: [{name: one, selector: 1}]\n");
	put_sets_and_preds(p, &body);
	pol_buf_addz(&body, "blocks:\n");
	for (unsigned i = 0; i < p->nblocks; i++)
		put_block(p, &p->block[i], levels, &body);
	assert_int_equal(pol_table_failed(p->table), 0);
	pol_buf_printf(&head,
		       "polc: \"0.1.0\"\nabi: %u\npolicy: t.pol\nsources: 00\ndefault: deny\n"
		       "host_open: false\naddress_classes: %u\nl4_classes: %u\ncolumn_levels: %u\n"
		       "l4_levels: 1\npages_used: %u\nverdicts_used: %u\nlimits: 4\n",
		       POL_ABI_VERSION, MADE_CLASSES, L4, levels, pol_table_npages(p->table),
		       pol_table_nverdicts(p->table));
	pol_buf_add(&head, pol_buf_str(&body));
	for (unsigned i = 0; i < RULES; i++)
		pol_buf_printf(&rules,
			       "- {file: t.pol, line: %u, policy: p, direction: ingress, "
			       "action: allow, text: \"rule\"}\n",
			       i + 1);
	while (max_pages < pol_table_npages(p->table))
		max_pages *= 2;
	data = make_object(&(struct made){ pol_buf_str(&head), pol_buf_str(&rules), p->table,
					   max_pages, 1u << 16, L4, limits, 4 },
			   &size);
	if (prt_object_parse("t.bpf.o", data, size, &p->object, &err))
		fail_msg("%s", err.text);
	pol_buf_free(&body);
	pol_buf_free(&head);
	pol_buf_free(&rules);
}

void policy_free(struct policy *p)
{
	prt_object_free(p->object);
	pol_table_free(p->table);
}

/* ---- the reference ------------------------------------------------------- */

static bool holds(const struct policy *p, uint32_t id, const struct thing *t)
{
	const struct sel *s = &p->sel[id];
	uint32_t v = t->value[s->key];

	switch (s->op) {
	case PRT_SEL_TRUE:
		return true;
	case PRT_SEL_IN:
		return v < VALUES && s->values >> v & 1;
	case PRT_SEL_HAS:
		return v != VALUES;
	case PRT_SEL_NOT:
		return !holds(p, s->a, t);
	case PRT_SEL_AND:
		return holds(p, s->a, t) && holds(p, s->b, t);
	case PRT_SEL_OR:
		return holds(p, s->a, t) || holds(p, s->b, t);
	case PRT_SEL_OP_MAX:
		break;
	}
	return false;
}

uint32_t class_of(struct pol_ip ip)
{
	return ip.family == 6                  ? 4
	       : ip.lo < 10u << 24             ? 0
	       : ip.lo < (10u << 24 | 1 << 16) ? 1
	       : ip.lo < (10u << 24 | 2 << 16) ? 2
					       : 3;
}

static bool satisfies(const struct policy *p, uint32_t pred, const struct thing *t, uint32_t class)
{
	for (unsigned i = 0; i < p->pred[pred].n; i++)
		if (holds(p, p->pred[pred].sel[i], t) && p->set[p->pred[pred].set[i]][class])
			return true;
	return false;
}

struct outcome {
	struct pol_verdict v;
	bool any;
};

static void meet(struct outcome *o, const struct pol_verdict *v)
{
	uint32_t limits = 0;

	if (v->action == POL_NONE)
		return;
	if (!o->any) {
		*o = (struct outcome){ *v, true };
		return;
	}
	if (o->v.flags & v->flags & POL_VF_ADDS) {
		uint8_t flags = o->v.flags | v->flags;

		for (unsigned i = 0; i < o->v.nlimits; i++)
			limits |= 1u << o->v.limit[i];
		for (unsigned i = 0; i < v->nlimits; i++)
			limits |= 1u << v->limit[i];
		if (v->order < o->v.order)
			o->v = *v;
		o->v.flags = flags;
		o->v.nlimits = 0;
		memset(o->v.limit, 0, sizeof(o->v.limit));
		for (unsigned i = 0; i < 32; i++)
			if (limits >> i & 1)
				o->v.limit[o->v.nlimits++] = i;
	} else if (v->order < o->v.order) {
		o->v = *v;
	}
}

/* peer NULL: entity and class say who. */
static struct pol_verdict judge(const struct policy *p, const struct thing *own, uint32_t direction,
				const struct thing *peer, uint32_t entity, uint32_t class,
				uint32_t l4, bool with_audit)
{
	const struct pol_verdict *table = pol_table_verdicts(p->table);
	struct outcome stage[PRT_STAGES] = { 0 };

	for (unsigned i = 0; i < p->nblocks; i++) {
		const struct block *b = &p->block[i];
		struct outcome *o = &stage[b->stage];

		if (b->direction != direction || (b->audit && !with_audit) ||
		    !holds(p, b->subject, own))
			continue;
		if (!peer) {
			meet(o, &table[b->fixed[entity][class][l4]]);
			continue;
		}
		meet(o, &table[b->base[l4]]);
		for (unsigned j = 0; j < PREDS; j++)
			if (b->has_row[j] && satisfies(p, j, peer, class))
				meet(o, &table[b->row[j][l4]]);
	}
	for (unsigned s = 0; s < PRT_STAGES; s++)
		if (stage[s].any && stage[s].v.action != POL_SKIP)
			return stage[s].v;
	return table[POL_VERDICT_CLOSED];
}

struct pol_verdict reference(const struct policy *p, const struct thing *own, uint32_t direction,
			     const struct thing *peer, uint32_t entity, uint32_t class, uint32_t l4)
{
	struct pol_verdict v = judge(p, own, direction, peer, entity, class, l4, false);
	struct pol_verdict a = judge(p, own, direction, peer, entity, class, l4, true);

	if (v.action == POL_ALLOW && (a.action == POL_DENY || a.action == POL_REJECT))
		v.audit_rule = a.rule;
	return v;
}
