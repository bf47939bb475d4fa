/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables against the evaluator, without a kernel: the loader's part done as polc/manifest.h tells it, in
 * a few lines, and one answer compared.
 */
#ifndef POLC_TESTS_JUDGE_H
#define POLC_TESTS_JUDGE_H

#include "compiler/eval.h"
#include "compiler/tabulate.h"

/* Someone at an address: 0 this host, 1 a node, 2 whoever has it, else an endpoint with these labels. */
static struct pol_eval_peer judge_peer(const struct pol_ir *ir, unsigned which, struct pol_ip addr,
				       struct pol_labels labels)
{
	struct pol_eval_peer p = { .has_addr = true, .addr = addr };

	switch (which) {
	case 0:
		p.kind = POL_PEER_HOST;
		break;
	case 1:
		p.kind = POL_PEER_NODE;
		break;
	case 2:
		p.kind = pol_eval_kind(ir, addr);
		break;
	default:
		p.kind = POL_PEER_ENDPOINT;
		p.labels = labels;
		break;
	}
	return p;
}

/* The tables that are emitted: class by interval, in the arena. */
static struct pol_searched searched_of(const struct pol_tables *t, int family,
				       const struct pol_search_tables *s, const pol_intervals *all,
				       const uint32_t **class)
{
	uint32_t *v = pol_arena_alloc(t->arena, all->n * sizeof(*v));

	for (size_t i = 0; i < all->n; i++)
		v[i] = all->v[i].value;
	*class = v;
	return (struct pol_searched){ family,
				      s->s,
				      s->top.v,
				      s->node.v,
				      s->node.n / pol_search_doubles(family),
				      all->n };
}

static struct pol_class_tables classes_of(const struct pol_tables *t)
{
	struct pol_class_tables c = { .v6_low = t->v6_low };

	c.v4 = searched_of(t, 4, &t->v4_search, &t->v4, &c.v4_class);
	c.v6 = searched_of(t, 6, &t->v6_search, &t->v6, &c.v6_class);
	return c;
}

static bool in_runs(struct pol_runs r, uint32_t v)
{
	for (size_t i = 0; i < r.n; i++)
		if (r.run[i].lo <= v && v <= r.run[i].hi)
			return true;
	return false;
}

static bool peer_holds(const struct pol_tables *t, uint32_t pred, struct pol_labels labels,
		       uint32_t class)
{
	const struct pol_peer_pred *p = &t->preds.v[pred];

	for (size_t i = 0; i < p->n; i++)
		if (pol_eval_sel(t->ir, p->term[i].sel, labels) &&
		    in_runs(t->set_classes[p->term[i].set], class))
			return true;
	return false;
}

/* Trees of one direction of an endpoint: rows NULL: over columns, else the L4 trees for that peer. */
static uint32_t fold(const struct pol_tables *t, struct pol_labels own, enum pol_direction d,
		     bool audit, const struct pol_eval_peer *peer, uint32_t class)
{
	unsigned height = t->l4_levels + (peer ? 0 : t->column_levels);
	uint32_t stage[POL_STAGES];

	for (unsigned i = 0; i < POL_STAGES; i++)
		stage[i] = pol_table_uniform(t->table, POL_VERDICT_NONE, 0, height);
	for (size_t i = 0; i < t->blocks.n; i++) {
		const struct pol_block *b = &t->blocks.v[i];
		uint32_t node = peer ? b->base : b->root;

		if (b->direction != d || (b->audit && !audit) ||
		    !pol_eval_sel(t->ir, b->subject, own))
			continue;
		for (size_t k = 0; peer && k < b->rows.n; k++)
			if (peer_holds(t, b->rows.v[k].pred, peer->labels, class))
				node = pol_table_apply(t->table, POL_OP_COMBINE, node,
						       b->rows.v[k].node, height);
		stage[b->stage] =
			pol_table_apply(t->table, POL_OP_COMBINE, stage[b->stage], node, height);
	}
	stage[1] = pol_table_apply(t->table, POL_OP_RESOLVE, stage[1], stage[2], height);
	return pol_table_apply(t->table, POL_OP_RESOLVE, stage[0], stage[1], height);
}

/* The L4 tree for that peer.  pol_table_failed() tells if there was no room. */
static uint32_t judge(const struct pol_tables *t, struct pol_labels own, enum pol_direction d,
		      const struct pol_eval_peer *peer)
{
	struct pol_class_tables c = classes_of(t);
	uint32_t class = pol_class_of(&c, peer->addr);
	bool endpoint = peer->kind == POL_PEER_ENDPOINT;
	const struct pol_eval_peer *row = endpoint ? peer : NULL;
	unsigned height = t->l4_levels + (endpoint ? 0 : t->column_levels);
	uint32_t tree = pol_table_apply(t->table, POL_OP_AUDIT, fold(t, own, d, false, row, class),
					fold(t, own, d, true, row, class), height);
	uint32_t entity = peer->kind == POL_PEER_HOST   ? POL_ENTITY_HOST
			  : peer->kind == POL_PEER_NODE ? POL_ENTITY_NODE
							: POL_ENTITY_WORLD;

	if (endpoint)
		return tree;
	return pol_table_get(t->table, tree, height, t->l4_levels,
			     (uint64_t)entity * t->nclasses_padded + class);
}

static uint32_t l4_class(const struct pol_tables *t, uint32_t key)
{
	static const struct {
		uint8_t proto, slot;
	} slots[] = {
		{ 6, POL_L4_TCP },  { 17, POL_L4_UDP },    { 132, POL_L4_SCTP },
		{ 1, POL_L4_ICMP }, { 58, POL_L4_ICMPV6 },
	};

	for (size_t i = 0; i < POL_ARRAY_LEN(slots); i++)
		if (slots[i].proto == key >> 16)
			return t->l4_class[t->l4_page[slots[i].slot][key >> 8 & 255] * 256u +
					   (key & 255)];
	return t->proto_class[key >> 16];
}

/* What is not as the evaluator has it; NULL: it is. */
static const char *judge_differs(const struct pol_tables *t, uint32_t row, struct pol_labels own,
				 enum pol_direction d, const struct pol_eval_peer *peer, uint32_t key)
{
	const struct pol_verdict *v = &pol_table_verdicts(
		t->table)[pol_table_get(t->table, row, t->l4_levels, 0, l4_class(t, key))];
	struct pol_eval_side want;

	pol_eval_side(t->ir, own, d, peer, key, &want);
	if (v->action != want.action)
		return "action";
	if (v->rule != want.rule)
		return "rule";
	if (v->audit_rule != want.audit_rule)
		return "audit rule";
	if (want.action != POL_ALLOW)
		return NULL;
	if (!!(v->flags & POL_VF_LOG) != want.log)
		return "log";
	if (v->nlimits != want.nlimits ||
	    memcmp(v->limit, want.limit, want.nlimits * sizeof(*want.limit)) != 0)
		return "limits";
	if (v->nhttp != want.nhttp ||
	    memcmp(v->http, want.http, want.nhttp * sizeof(*want.http)) != 0)
		return "http rules";
	if (want.nhttp && !!(v->flags & POL_VF_PLAIN) != want.plain)
		return "plain";
	return NULL;
}

#endif
