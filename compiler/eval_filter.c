/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/eval.h"

static bool in_aset(const struct pol_aset *s, struct pol_ip ip)
{
	pol_u128 x = (pol_u128)ip.hi << 64 | ip.lo;

	for (size_t i = 0; ip.family == 4 && i < s->n4; i++)
		if (s->v4[i].lo <= ip.lo && ip.lo <= s->v4[i].hi)
			return true;
	for (size_t i = 0; ip.family == 6 && i < s->n6; i++)
		if (s->v6[i].lo <= x && x <= s->v6[i].hi)
			return true;
	return false;
}

static bool in_l4set(const struct pol_l4set *s, uint32_t key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->range[i].lo <= key && key <= s->range[i].hi)
			return true;
	return false;
}

static bool end_holds(const struct pol_ir *ir, const struct pol_filter_end *e, struct pol_ip ip,
		      uint64_t dynamic)
{
	return e->aset == 0 || (e->dynamic & dynamic) || in_aset(&ir->asets.v[e->aset], ip);
}

static bool term_holds(const struct pol_ir *ir, const struct pol_filter_term *t,
		       const struct pol_eval_packet *p)
{
	uint8_t flags = p->proto == 6 ? p->tcp_flags : 0;

	if (t->l4 && !in_l4set(&ir->l4sets.v[t->l4], POL_L4_KEY(p->proto, p->value)))
		return false;
	if (t->sport && !in_l4set(&ir->l4sets.v[t->sport], p->sport))
		return false;
	return (flags & t->set) == t->set && !(flags & t->clear);
}

bool pol_eval_line(const struct pol_ir *ir, const struct pol_filter_line *l,
		   const struct pol_eval_packet *p)
{
	if (!end_holds(ir, &l->src, p->src, p->dynamic_src) ||
	    !end_holds(ir, &l->dst, p->dst, p->dynamic_dst))
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (term_holds(ir, &l->term[i], p))
			return true;
	return !l->n;
}

void pol_eval_filter(const struct pol_ir *ir, const struct pol_ir_filter *f,
		     const struct pol_eval_packet *p, struct pol_eval_filter *out)
{
	*out = (struct pol_eval_filter){ .action = POL_FILTER_DROP, .line = f->n };
	for (size_t i = 0; i < f->n; i++) {
		const struct pol_filter_line *l = &f->line[i];

		if (!pol_eval_line(ir, l, p))
			continue;
		if (l->action == POL_FILTER_LIMIT) {
			out->limited[out->nlimits++] = (uint32_t)i;
			continue;
		}
		out->action = l->action;
		out->line = i;
		return;
	}
}
