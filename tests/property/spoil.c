/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the test notice what is false? */
#include "run.h"

/* A way through the pages of a row, and one entry on it read as another value. */
struct walk {
	const uint32_t *pages;
	uint32_t npages;
	unsigned levels;
	uint64_t key;
	uint32_t root;
	uint32_t page, entry, value;
};

/* The verdict's number; *leaf: the page that it stands in. */
static uint32_t walk(const struct walk *w, uint32_t *leaf)
{
	uint32_t at = w->root;

	for (unsigned s = w->levels; s-- > 0;) {
		uint32_t i = (w->key >> (POL_PAGE_BITS * s)) & (POL_PAGE - 1);

		*leaf = at;
		if (at >= w->npages)
			return POL_VERDICT_CLOSED; /* as the kernel reads what nobody filled */
		at = at == w->page && i == w->entry ? w->value : w->pages[at * POL_PAGE + i];
	}
	return at;
}

/*
 * The page and entry in which the verdict of that side stands, and a number there by which
 * another rule decides.  Equal pages are one, also those of different levels: a page may lead
 * to itself, and what is written into its entry then changes the way to it, too.
 */
static bool leaf_of(const struct build *b, const struct world *w, const struct flow *f,
		    enum pol_direction dir, struct walk *out)
{
	const struct prt_manifest *m = &b->object->manifest;
	const struct pol_verdict *verdicts = prt_place_verdicts(b->place);
	struct pol_ip own = dir == POL_EGRESS ? f->src : f->dst;
	struct pol_ip far = dir == POL_EGRESS ? f->dst : f->src;
	struct prt_place_peer peer = world_place_peer(w, b->ir, b->place, far);
	uint32_t root[POL_DIRECTIONS], leaf, was, n = prt_place_nverdicts(b->place);
	uint64_t column;

	if (prt_place_get_root(b->place, world_owner(w, own)->number, root))
		return false;
	column = peer.entity == POL_ENTITY_ENDPOINT
			 ? peer.column
			 : prt_static_column(b->object, peer.entity, far);
	*out = (struct walk){
		.pages = prt_place_pages(b->place),
		.npages = prt_place_npages(b->place),
		.levels = m->column_levels + m->l4_levels,
		.key = column << (POL_PAGE_BITS * m->l4_levels) |
		       prt_l4_class(b->object, f->proto, f->value),
		.root = root[dir],
		.page = UINT32_MAX,
	};
	was = walk(out, &leaf);
	out->page = leaf;
	out->entry = out->key & (POL_PAGE - 1);
	for (out->value = POL_VERDICT_NONE + 1; out->value < n; out->value++) {
		uint32_t now_is = walk(out, &leaf);

		if (now_is < n && verdicts[now_is].rule != verdicts[was].rule)
			return true;
	}
	return false;
}

/* One page entry in the kernel falsified: the packet must differ. */
static void spoil_kernel(struct run *r, struct generation *g, const struct flow *f,
			 const struct pol_eval_flow *want)
{
	struct pol_buf why = { 0 };
	struct walk w;
	uint32_t was;

	if (!leaf_of(&r->build, &r->world, f, want->decided_by, &w))
		return;
	was = w.pages[w.page * POL_PAGE + w.entry];
	if (!generation_spoil(g, w.page, w.entry, w.value))
		return;
	r->stats->spoiled++;
	kernel_forget_flows(r->kernel);
	if (!run_new_agrees(r, g, f, want, &why))
		r->stats->noticed++;
	generation_spoil(g, w.page, w.entry, was);
	kernel_forget_flows(r->kernel);
	pol_buf_free(&why);
	why = (struct pol_buf){ 0 };
	if (!run_new_agrees(r, g, f, want, &why))
		run_report(r, &r->policy, f, why.p);
	pol_buf_free(&why);
}

/* The evaluator's deciding rule turned round: the tables must differ. */
static void spoil_evaluator(struct run *r, const struct flow *f, const struct pol_eval_flow *want)
{
	struct pol_rule *rule = &r->build.ir->rules.v[want->side[want->decided_by].rule];
	enum pol_action was = rule->action;
	struct pol_eval_flow false_one;
	struct pol_buf why = { 0 };

	rule->action = was == POL_ALLOW ? POL_DENY : POL_ALLOW;
	judge_expect(r->build.ir, &r->world, f, &false_one);
	r->stats->spoiled++;
	if (!check_tables(&r->build, &r->world, f, &false_one, &why))
		r->stats->noticed++;
	rule->action = was;
	pol_buf_free(&why);
}

void run_self_test(struct run *r)
{
	struct generation *g = NULL;
	struct pol_eval_flow want;

	if (r->kernel && !run_load_first(r, &g))
		return;
	for (unsigned i = 0; i < 20; i++) {
		struct flow f = world_flow(&r->world, &r->rng, &r->policy, i);

		judge_expect(r->build.ir, &r->world, &f, &want);
		spoil_evaluator(r, &f, &want);
		if (g)
			spoil_kernel(r, g, &f, &want);
	}
	generation_free(g);
}
