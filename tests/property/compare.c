/* SPDX-License-Identifier: GPL-2.0-only */
/* Evaluator, tables and programs, compared. */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdio.h>

#include "run.h"
#include "runtime/look/why.h"

/* ---- one flow ---------------------------------------------------------------- */

/* One packet of a flow, at its hook; a system error counts as a difference. */
static bool send(struct run *r, struct generation *g, const struct flow *f, enum frame_kind kind,
		 struct seen *s, struct pol_buf *why)
{
	struct pol_err e = { 0 };
	bool decorated = f->sport % 16 == 3;

	if (generation_run(r->kernel, g, &r->world, f, kind, decorated, s, &e) == 0)
		return true;
	pol_buf_printf(why, "%s\n", e.text);
	return false;
}

/* What `polload why` says of the flow, from the maps that the programs read. */
static bool why_agrees(struct run *r, struct generation *g, const struct flow *f,
		       const struct seen *s, struct pol_buf *why)
{
	const struct prt_gen *view = generation_view(r->kernel, g, r->build.object);
	const struct prt_why_flow asked = { .src = prt_addr_of_ip(f->src),
					    .dst = prt_addr_of_ip(f->dst),
					    .from_host =
						    world_place(&r->world, f->src) == PLACE_HOST,
					    .proto = f->proto,
					    .port = f->value };
	const struct pol_scratch *p = &s->scratch;
	struct pol_err e = { 0 };
	struct prt_why w;

	if (p->from_state || p->reason == POL_REASON_LIMIT)
		return true; /* not asked, or by more than the tables */
	if (!view || prt_why_judge(view, r->build.object, &asked, &w, &e)) {
		pol_buf_printf(why, "why: no answer: %s\n", e.text);
		return false;
	}
	for (int d = 0; d < POL_DIRECTIONS; d++)
		if (p->rule[d] != POL_NO_RULE && p->rule[d] != w.side[d].verdict.rule)
			pol_buf_printf(why, "why: rule %u, data path: %u\n", w.side[d].verdict.rule,
				       p->rule[d]);
	if (p->reason != w.reason)
		pol_buf_printf(why, "why: reason %u, data path: %u\n", w.reason, p->reason);
	return !why->n;
}

bool run_new_agrees(struct run *r, struct generation *g, const struct flow *f,
		    const struct pol_eval_flow *want, struct pol_buf *why)
{
	struct seen s;

	return send(r, g, f, FRAME_FIRST, &s, why) && judge_new(&s, f, want, why) &&
	       why_agrees(r, g, f, &s, why);
}

int run_load(struct run *r, uint64_t number, struct generation **g, struct pol_err *e)
{
	int code = generation_load(r->kernel, r->build.object, r->build.place, number, g, e);

	if (!code) {
		code = generation_fill(r->kernel, *g, r->build.place, &r->world, e);
		if (code)
			generation_free(*g);
	}
	return code;
}

bool run_tables_agree(struct run *r, const struct flow *f, const struct pol_eval_flow *want,
		      struct pol_buf *why)
{
	return check_lowering(&r->build, &r->world, f, want, why) &&
	       check_tables(&r->build, &r->world, f, want, why);
}
/* ---- one policy ----------------------------------------------------------------------------- */

/* Cheap, so many. */
bool run_compare_tables(struct run *r)
{
	struct pol_buf why = { 0 };
	struct pol_eval_flow want;
	bool good = true;

	for (unsigned i = 0; i < r->o->flows && good; i++) {
		struct flow f = world_flow(&r->world, &r->rng, &r->policy, i);

		judge_expect(r->build.ir, &r->world, &f, &want);
		good = run_tables_agree(r, &f, &want, &why);
		r->stats->flows++;
		if (!good)
			run_report_shrunk(r, &f, false, why.p);
	}
	pol_buf_free(&why);
	return good;
}

struct live { /* a flow that has been judged */
	struct flow f;
	bool allowed;
};

/* What rule_hits must have counted after the new flows. */
struct hits {
	uint64_t packets, connections;
};

static void expect_hits(struct hits *h, const struct pol_eval_flow *want)
{
	static const enum pol_direction order[] = { POL_EGRESS, POL_INGRESS };

	for (unsigned i = 0; i < POL_DIRECTIONS; i++) {
		enum pol_direction d = order[i];

		if (!want->judged[d])
			continue;
		h[want->side[d].rule].packets++;
		h[want->side[d].rule].connections += want->action == POL_ALLOW;
		if (want->side[d].action != POL_ALLOW)
			return;
	}
}

static bool compare_hits(struct run *r, struct generation *g, const struct hits *want)
{
	struct pol_buf why = { 0 };
	struct pol_rule_hits got;
	struct pol_err e = { 0 };
	bool good = true;

	for (uint32_t i = 0; i < r->build.ir->rules.n && good; i++) {
		if (generation_hits(g, i, &got, &e))
			pol_buf_printf(&why, "%s\n", e.text);
		else if (got.packets != want[i].packets || got.connections != want[i].connections)
			pol_buf_printf(
				&why,
				"rule %u counted %llu packets and %llu connections, not %llu and %llu\n",
				i, (unsigned long long)got.packets,
				(unsigned long long)got.connections,
				(unsigned long long)want[i].packets,
				(unsigned long long)want[i].connections);
		good = !why.n;
	}
	if (!good)
		run_report(r, &r->policy, NULL, why.p);
	pol_buf_free(&why);
	return good;
}

/* Protocols without ports have one flow for each pair: has it been used? */
static bool used_before(const struct live *v, size_t n, const struct flow *f)
{
	bool ported = f->proto == 6 || f->proto == 17 || f->proto == 132 || f->proto == 1 ||
		      f->proto == 58;

	for (size_t i = 0; i < n && !ported; i++)
		if (v[i].f.proto == f->proto &&
		    ((pol_ip_eq(v[i].f.src, f->src) && pol_ip_eq(v[i].f.dst, f->dst)) ||
		     (pol_ip_eq(v[i].f.src, f->dst) && pol_ip_eq(v[i].f.dst, f->src))))
			return true;
	return false;
}

static bool compare_new(struct run *r, struct generation *g, struct live *live)
{
	struct hits *hits = calloc(r->build.ir->rules.n + 1, sizeof(*hits));
	struct pol_buf why = { 0 };
	struct pol_eval_flow want;
	bool good = true;
	uint32_t serial = 0;

	for (unsigned i = 0; i < r->o->packets && good; i++) {
		struct flow f;

		do
			f = world_flow(&r->world, &r->rng, &r->policy, serial++);
		while (used_before(live, i, &f));
		judge_expect(r->build.ir, &r->world, &f, &want);
		check_tally(&r->stats->tally, &r->build, &want);
		live[i] = (struct live){ f, want.action == POL_ALLOW };
		expect_hits(hits, &want);
		good = run_new_agrees(r, g, &f, &want, &why);
		r->stats->packets++;
		if (!good)
			run_report_shrunk(r, &f, true, why.p);
	}
	good = good && compare_hits(r, g, hits);
	free(hits);
	pol_buf_free(&why);
	return good;
}

/* Answers and later packets pass by the flow; what was denied left nothing behind. */
static bool compare_later(struct run *r, struct generation *g, const struct live *l,
			  struct pol_buf *why)
{
	static const enum frame_kind later[] = { FRAME_ANSWER, FRAME_NEXT, FRAME_BACK };
	struct pol_eval_flow want;
	struct seen s;

	r->stats->later++;
	if (!l->allowed) {
		judge_expect(r->build.ir, &r->world, &l->f, &want);
		return run_new_agrees(r, g, &l->f, &want, why);
	}
	if (!flow_tracked(&l->f))
		return true;
	for (unsigned i = 0; i < POL_ARRAY_LEN(later); i++)
		if (!send(r, g, &l->f, later[i], &s, why) || !judge_known(&s, why))
			return false;
	return true;
}

static bool compare_later_all(struct run *r, struct generation *g, const struct live *live)
{
	struct pol_buf why = { 0 };
	bool good = true;

	for (unsigned i = 0; i < r->o->packets && good; i++) {
		if (i % 3)
			continue;
		good = compare_later(r, g, &live[i], &why);
		if (!good)
			run_report(r, &r->policy, &live[i].f, why.p);
	}
	pol_buf_free(&why);
	return good;
}

/* Flows of the generation before, of which i % 3 == 0 are established. */
static bool compare_again_all(struct run *r, struct generation *g, const struct live *live)
{
	struct pol_buf why = { 0 };
	struct pol_eval_flow want;
	struct seen s;
	bool good = true;

	for (unsigned i = 0; i < r->o->packets && good; i += 3) {
		const struct flow *f = &live[i].f;
		enum frame_kind kind = i & 1 ? FRAME_BACK : FRAME_NEXT;

		if (!live[i].allowed || !flow_tracked(f))
			continue;
		judge_expect(r->build.ir, &r->world, f, &want);
		good = send(r, g, f, kind, &s, &why) && judge_again(&s, &want, &why);
		r->stats->again++;
		if (!good)
			run_report(r, &r->policy, f, why.p);
	}
	pol_buf_free(&why);
	return good;
}

/* The first object of all may find that this process may load none: then it is not tried again. */
bool run_load_first(struct run *r, struct generation **g)
{
	struct pol_err e = { 0 };
	int code = run_load(r, 1, g, &e);

	if (!code) {
		r->stats->kernel_ran = true;
		return true;
	}
	if ((code == -EPERM || code == -ENOSYS) && !r->stats->kernel_ran) {
		snprintf(r->stats->skipped, sizeof(r->stats->skipped), "%s", e.text);
		kernel_close(r->kernel);
		r->kernel = NULL;
	} else {
		run_broken(r, "generation 1", e.text);
	}
	return false;
}

/*
 * What comes by an uplink for an address that is no endpoint's here: the stack's, unless it lies in
 * `pool` and nobody is known to have it.
 */
static bool unknown_agrees(struct run *r, struct generation *g, struct flow *f)
{
	bool closed = !world_known(&r->world, f->dst) &&
		      pol_eval_kind(r->build.ir, f->dst) == POL_PEER_POOL;
	struct pol_buf why = { 0 };
	struct seen s;

	f->sport &= 0xfff8; /* met at the uplink (generation_run) */
	if (!send(r, g, f, FRAME_FIRST, &s, &why) || (s.result == TC_ACT_SHOT) != closed)
		pol_buf_printf(&why, "an address that no endpoint here has: %s, but %s\n",
			       closed ? "in the pool and unknown" : "the stack's",
			       s.result == TC_ACT_SHOT ? "dropped" : "passed");
	if (why.n)
		run_report(r, &r->policy, f, why.p);
	pol_buf_free(&why);
	r->stats->unknown[closed]++;
	return !why.n;
}

static void compare_unknown(struct run *r, struct generation *g)
{
	static const struct pol_ip from[] = { { .family = 4, .lo = 0xcb00714d }, /* 203.0.113.77 */
					      { .family = 6, .hi = 0x20010db8ffff0000, .lo = 77 } };
	bool good = true;

	for (unsigned i = 0; i < r->o->packets / 4 && good; i++) {
		struct flow f = world_flow(&r->world, &r->rng, &r->policy, i);

		if (world_place(&r->world, f.dst) == PLACE_LOCAL)
			f.dst = f.src;
		f.src = from[f.dst.family == 6];
		if (world_known(&r->world, f.src) ||
		    world_place(&r->world, f.dst) != PLACE_ELSEWHERE)
			continue;
		good = unknown_agrees(r, g, &f);
	}
}

void run_compare_kernel(struct run *r)
{
	struct live *live = calloc(r->o->packets + 1u, sizeof(*live));
	struct generation *g = NULL;
	struct pol_err e = { 0 };
	bool good;

	kernel_forget_flows(r->kernel);
	if (!run_load_first(r, &g)) {
		free(live);
		return;
	}
	good = compare_new(r, g, live) && compare_later_all(r, g, live);
	if (good)
		compare_unknown(r, g);
	generation_free(g);
	/* The second generation costs another pass of the verifier: one policy in three. */
	if (good && r->index % 3 == 0) {
		world_relabel(&r->world, &r->rng);
		if (build_place(&r->build, &r->world, &e) || run_load(r, 2, &g, &e)) {
			run_broken(r, "generation 2", e.text);
		} else {
			compare_again_all(r, g, live);
			generation_free(g);
		}
	}
	free(live);
}
