/* SPDX-License-Identifier: GPL-2.0-only */
#include "why.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "runtime/input/hostfile.h"

/* false: the address is nobody's in particular. */
static bool owner_of(const struct prt_gen *g, const struct pol_addr *a, struct pol_owner *out)
{
	return !bpf_map_lookup_elem(g->fd[PRT_GEN_EP_BY_ADDR], a, out);
}

/* 0: an endpoint that this generation does not know. */
static uint32_t column_of(const struct prt_gen *g, const struct prt_object *o,
			  const struct pol_addr *a, const struct pol_owner *owner, bool from_host)
{
	enum pol_entity entity = from_host ? POL_ENTITY_HOST
				 : owner   ? (enum pol_entity)owner->entity
					   : POL_ENTITY_WORLD;

	if (entity == POL_ENTITY_ENDPOINT)
		return owner->slot < POL_SLOT_MAX
			       ? __atomic_load_n(&g->slot[owner->slot].column, __ATOMIC_RELAXED)
			       : 0;
	return prt_static_column(o, entity, prt_ip_of_addr(a));
}

static const struct pol_verdict *walk(const struct prt_gen *g, const struct prt_object *o,
				      uint32_t root, uint32_t column, uint32_t l4)
{
	const struct prt_manifest *m = &o->manifest;
	uint64_t key = (uint64_t)column << (POL_PAGE_BITS * m->l4_levels) | l4;
	uint32_t at = root;

	for (unsigned levels = m->column_levels + m->l4_levels; levels-- > 0;) {
		uint32_t i = (uint32_t)(key >> (POL_PAGE_BITS * levels)) & (POL_PAGE - 1);
		const uint32_t *page = g->pages + (size_t)(at & (g->info.page_room - 1)) * POL_PAGE;

		at = __atomic_load_n(&page[i], __ATOMIC_RELAXED);
	}
	return &g->verdicts[at & (g->info.verdict_room - 1)];
}

struct end {
	const struct pol_addr *addr;
	struct pol_owner owner;
	bool known, from_host;
};

static void judge_side(const struct prt_gen *g, const struct prt_object *o, enum pol_direction dir,
		       uint32_t ep, const struct end *peer, uint32_t l4, struct prt_why_side *out)
{
	const struct pol_ep_state *st = &g->state[ep % POL_EP_MAX];
	uint32_t root = __atomic_load_n(&st->root[dir], __ATOMIC_ACQUIRE);
	uint32_t column =
		column_of(g, o, peer->addr, peer->known ? &peer->owner : NULL, peer->from_host);
	bool stranger = peer->known && !peer->from_host &&
			peer->owner.entity == POL_ENTITY_ENDPOINT && !column;

	*out = (struct prt_why_side){ .judged = true, .ep = ep, .reason = POL_REASON_NO_CLASS };
	out->verdict.rule = out->verdict.audit_rule = POL_NO_RULE;
	if (!root || stranger)
		return;
	out->verdict = *walk(g, o, root, column, l4);
	out->reason = out->verdict.action == POL_ALLOW    ? POL_REASON_NONE
		      : out->verdict.action == POL_REJECT ? POL_REASON_REJECT
							  : POL_REASON_POLICY;
	out->audited = st->flags & POL_EP_AUDIT;
}

int prt_why_judge(const struct prt_gen *g, const struct prt_object *o, const struct prt_why_flow *f,
		  struct prt_why *out, struct pol_err *e)
{
	struct end src = { .addr = &f->src, .from_host = f->from_host }, dst = { .addr = &f->dst };
	uint32_t l4 = prt_l4_class(o, f->proto, f->port);

	*out = (struct prt_why){ 0 };
	if (g->info.page_room != o->max_pages || g->info.verdict_room != o->max_verdicts)
		return pol_err(e, -ESTALE, "the tables in force are not those of %s", o->path.p);
	src.known = owner_of(g, src.addr, &src.owner);
	dst.known = owner_of(g, dst.addr, &dst.owner);
	if (src.known && !f->from_host && src.owner.entity == POL_ENTITY_ENDPOINT &&
	    src.owner.ifindex)
		judge_side(g, o, POL_EGRESS, src.owner.ep, &dst, l4, &out->side[POL_EGRESS]);
	if (dst.known && dst.owner.entity == POL_ENTITY_ENDPOINT && dst.owner.ifindex)
		judge_side(g, o, POL_INGRESS, dst.owner.ep, &src, l4, &out->side[POL_INGRESS]);
	if (!out->side[POL_EGRESS].judged && !out->side[POL_INGRESS].judged)
		return -ENOENT;
	for (int dir = POL_EGRESS; dir >= POL_INGRESS && !out->reason; dir--)
		if (!out->side[dir].audited || out->side[dir].reason == POL_REASON_NO_CLASS)
			out->reason = out->side[dir].reason;
	return 0;
}
