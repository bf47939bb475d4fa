/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The evaluator, the tables as the loader places them, and the programs in the
 * kernel always say the same: verdict, deciding rules, audit rule, limits; and what the
 * text says (oracle.h).
 *
 *	property [--policies N] [--packets N] [--flows N] [--seed S] [--only I]
 *		 [--seconds T] [--jobs J] [--no-kernel] [--self-test]
 *
 * For each random policy: a random world around it; --flows flows at the edges of
 * what it names through the placed tables in user space, --packets of them through
 * BPF_PROG_TEST_RUN at the hook where they would be met; then answers and later packets
 * of the flows that were let through, and both again after a generation with other labels.
 *
 * The seed is printed; --seed S --only I runs one policy of that run again.  A
 * difference prints policy, world, flow and both verdicts, after the policy has been
 * shrunk as far as it still differs.  --self-test falsifies tables, programs and the
 * evaluator's rules, and fails unless each is noticed.
 *
 * Exit: 0 no difference; 1 differences; 77 the kernel's part could not run.
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE (folders in the source tree), TMPDIR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkdtemp and the rest with -std=c11 */
#endif
#include <errno.h>
#include <getopt.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "runtime/look/why.h"

#define MAX_JOBS 16
#define MAX_REPORTS 5 /* differences printed by one process */
#define SHRINK_SECONDS 60 /* spent by one process on making policies small */

struct options {
	unsigned policies, packets, flows, seconds, jobs;
	uint64_t seed;
	long only; /* -1: all */
	bool kernel, self_test;
};

struct stats { /* of one process, in memory shared with the parent */
	uint64_t policies, refused, flows, packets, later, again, differences, spoiled, noticed;
	uint64_t unknown[2]; /* by uplink, to nobody here: passed on, dropped */
	struct tally tally;
	bool kernel_ran;
	char skipped[600]; /* why the kernel's part did not run */
};

/* One policy being tested. */
struct run {
	const struct options *o;
	const struct build_paths *paths;
	struct kernel *kernel; /* NULL: not to be had */
	struct stats *stats;
	struct gen_rng rng;
	uint64_t seed; /* of this policy alone */
	unsigned index;
	struct gen_policy policy;
	struct world world;
	struct build build;
	unsigned reports;
	double shrink_until; /* 0: nothing shrunk yet */
};

/* ---- reports -------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(const struct pol_buf *b)
{
	fwrite(b->p, 1, b->n, stdout);
	fflush(stdout);
}

static void report(struct run *r, const struct gen_policy *p, const struct flow *f, const char *why)
{
	struct pol_buf out = { 0 };

	r->stats->differences++;
	if (r->reports++ >= MAX_REPORTS)
		return;
	pol_buf_printf(&out, "\nFAILED: --seed %llu --only %u\n", (unsigned long long)r->o->seed,
		       r->index);
	pol_buf_addz(&out, why);
	if (f) {
		pol_buf_addz(&out, "flow: ");
		flow_print(&out, f);
		pol_buf_addz(&out, "\nworld:\n");
		world_print(&out, &r->world);
	}
	pol_buf_addz(&out, "policy:\n");
	gen_policy_text(p, &out);
	print(&out);
	pol_buf_free(&out);
}

/* An error that is no difference but keeps a policy from being tested. */
static void broken(struct run *r, const char *what, const char *detail)
{
	struct pol_buf why = { 0 };

	r->stats->refused++;
	pol_buf_printf(&why, "%s: %s\n", what, detail);
	report(r, &r->policy, NULL, why.p);
	pol_buf_free(&why);
}

/* ---- the kernel's part ---------------------------------------------------------------- */

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

static bool new_flow_agrees(struct run *r, struct generation *g, const struct flow *f,
			    const struct pol_eval_flow *want, struct pol_buf *why)
{
	struct seen s;

	return send(r, g, f, FRAME_FIRST, &s, why) && judge_new(&s, f, want, why) &&
	       why_agrees(r, g, f, &s, why);
}

static int load(struct run *r, uint64_t number, struct generation **g, struct pol_err *e)
{
	int code = generation_load(r->kernel, r->build.object, r->build.place, number, g, e);

	if (!code) {
		code = generation_fill(r->kernel, *g, r->build.place, &r->world, e);
		if (code)
			generation_free(*g);
	}
	return code;
}

static bool user_space_agrees(struct run *r, const struct flow *f, const struct pol_eval_flow *want,
			      struct pol_buf *why)
{
	return check_lowering(&r->build, &r->world, f, want, why) &&
	       check_tables(&r->build, &r->world, f, want, why);
}

/* ---- shrinking ------------------------------------------------------------------------- */

/* Does the policy as it is now still differ on this flow?  Refused policies do not. */
static bool differs(struct run *r, const struct gen_policy *p, const struct flow *f, bool in_kernel)
{
	struct pol_buf text = { 0 }, messages = { 0 }, why = { 0 };
	struct run t = *r;
	struct generation *g = NULL;
	struct pol_eval_flow want;
	struct pol_err e = { 0 };
	bool different = false;

	gen_policy_text(p, &text);
	if (!build_policy(&t.build, text.p, r->paths, &messages, &e) &&
	    !build_place(&t.build, &t.world, &e)) {
		judge_expect(t.build.ir, &t.world, f, &want);
		if (!in_kernel) {
			different = !user_space_agrees(&t, f, &want, &why);
		} else if (!load(&t, 1, &g, &e)) {
			kernel_forget_flows(r->kernel);
			different = !new_flow_agrees(&t, g, f, &want, &why);
			generation_free(g);
		}
	}
	build_free(&t.build);
	pol_buf_free(&text);
	pol_buf_free(&messages);
	pol_buf_free(&why);
	return different;
}

/* Tries the policy without one part; keeps it out if the difference stays. */
static bool drop(struct run *r, struct gen_policy *p, bool *dropped, const struct flow *f,
		 bool in_kernel)
{
	if (*dropped || now() > r->shrink_until)
		return false;
	*dropped = true;
	if (differs(r, p, f, in_kernel))
		return true;
	*dropped = false;
	return false;
}

static void shrink(struct run *r, struct gen_policy *p, const struct flow *f, bool in_kernel)
{
	bool again = true;

	if (r->shrink_until == 0)
		r->shrink_until = now() + SHRINK_SECONDS;
	while (again && now() < r->shrink_until) {
		again = false;
		for (size_t i = p->stmts.n; i-- > 0;) {
			struct gen_stmt *s = &p->stmts.v[i];

			if (!s->needed)
				again |= drop(r, p, &s->dropped, f, in_kernel);
			for (size_t j = 0; j < s->rules.n && !s->dropped; j++)
				again |= drop(r, p, &s->rules.v[j].dropped, f, in_kernel);
		}
	}
}

static void undrop(struct gen_policy *p)
{
	for (size_t i = 0; i < p->stmts.n; i++) {
		p->stmts.v[i].dropped = false;
		for (size_t j = 0; j < p->stmts.v[i].rules.n; j++)
			p->stmts.v[i].rules.v[j].dropped = false;
	}
}

static void report_shrunk(struct run *r, const struct flow *f, bool in_kernel, const char *why)
{
	if (r->reports < MAX_REPORTS && differs(r, &r->policy, f, in_kernel))
		shrink(r, &r->policy, f, in_kernel);
	report(r, &r->policy, f, why);
	undrop(&r->policy);
}

/* ---- one policy ----------------------------------------------------------------------------- */

/* In user space: cheap, so many. Stops at the first difference, it is enough. */
static bool compare_tables(struct run *r)
{
	struct pol_buf why = { 0 };
	struct pol_eval_flow want;
	bool good = true;

	for (unsigned i = 0; i < r->o->flows && good; i++) {
		struct flow f = world_flow(&r->world, &r->rng, &r->policy, i);

		judge_expect(r->build.ir, &r->world, &f, &want);
		good = user_space_agrees(r, &f, &want, &why);
		r->stats->flows++;
		if (!good)
			report_shrunk(r, &f, false, why.p);
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
		report(r, &r->policy, NULL, why.p);
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
		    ((world_same(v[i].f.src, f->src) && world_same(v[i].f.dst, f->dst)) ||
		     (world_same(v[i].f.src, f->dst) && world_same(v[i].f.dst, f->src))))
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
		good = new_flow_agrees(r, g, &f, &want, &why);
		r->stats->packets++;
		if (!good)
			report_shrunk(r, &f, true, why.p);
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
		return new_flow_agrees(r, g, &l->f, &want, why);
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
			report(r, &r->policy, &live[i].f, why.p);
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
			report(r, &r->policy, f, why.p);
	}
	pol_buf_free(&why);
	return good;
}

/* The first object of all may find that this process may load none: then it is not tried again. */
static bool load_first(struct run *r, struct generation **g)
{
	struct pol_err e = { 0 };
	int code = load(r, 1, g, &e);

	if (!code) {
		r->stats->kernel_ran = true;
		return true;
	}
	if ((code == -EPERM || code == -ENOSYS) && !r->stats->kernel_ran) {
		snprintf(r->stats->skipped, sizeof(r->stats->skipped), "%s", e.text);
		kernel_close(r->kernel);
		r->kernel = NULL;
	} else {
		broken(r, "generation 1", e.text);
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
		report(r, &r->policy, f, why.p);
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

static void compare_kernel(struct run *r)
{
	struct live *live = calloc(r->o->packets + 1u, sizeof(*live));
	struct generation *g = NULL;
	struct pol_err e = { 0 };
	bool good;

	kernel_forget_flows(r->kernel);
	if (!load_first(r, &g)) {
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
		if (build_place(&r->build, &r->world, &e) || load(r, 2, &g, &e)) {
			broken(r, "generation 2", e.text);
		} else {
			compare_again_all(r, g, live);
			generation_free(g);
		}
	}
	free(live);
}

/* ---- does the test notice? ---------------------------------------------------------------------- */

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
	if (!new_flow_agrees(r, g, f, want, &why))
		r->stats->noticed++;
	generation_spoil(g, w.page, w.entry, was);
	kernel_forget_flows(r->kernel);
	pol_buf_free(&why);
	why = (struct pol_buf){ 0 };
	if (!new_flow_agrees(r, g, f, want, &why))
		report(r, &r->policy, f, why.p);
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

static void self_test(struct run *r)
{
	struct generation *g = NULL;
	struct pol_eval_flow want;

	if (r->kernel && !load_first(r, &g))
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

/* ---- all policies ------------------------------------------------------------------------------------ */

static void test_policy(struct run *r)
{
	static const struct gen_options plain;
	struct pol_buf text = { 0 }, messages = { 0 };
	struct pol_err e = { 0 };

	gen_policy(&r->policy, r->seed, &plain);
	r->rng.state = r->seed ^ 0x5eed;
	world_random(&r->world, &r->rng, &r->policy);
	gen_policy_text(&r->policy, &text);
	if (build_policy(&r->build, text.p, r->paths, &messages, &e)) {
		broken(r, "the policy was refused", messages.n ? messages.p : e.text);
	} else if (build_place(&r->build, &r->world, &e)) {
		broken(r, "the endpoints could not be placed", e.text);
	} else if (r->o->self_test) {
		self_test(r);
	} else if (compare_tables(r) && r->kernel) {
		compare_kernel(r);
	}
	r->stats->policies++;
	build_free(&r->build);
	gen_policy_free(&r->policy);
	pol_buf_free(&text);
	pol_buf_free(&messages);
}

static void work(const struct options *o, const struct build_paths *paths, unsigned job,
		 struct stats *stats)
{
	struct run r = { .o = o, .paths = paths, .stats = stats };
	struct pol_err e = { 0 };
	double end = now() + o->seconds;

	if (!o->kernel)
		snprintf(stats->skipped, sizeof(stats->skipped), "not asked for");
	else if (kernel_open(&r.kernel, RANDOM_LOCAL, &e))
		snprintf(stats->skipped, sizeof(stats->skipped), "%s", e.text);
	for (unsigned i = job; o->seconds ? now() < end : i < o->policies; i += o->jobs) {
		struct gen_rng mix;

		if (o->only >= 0)
			i = (unsigned)o->only;
		mix.state = o->seed + i;
		r.index = i;
		r.seed = gen_next(&mix);
		test_policy(&r);
		if (o->only >= 0)
			break;
	}
	kernel_close(r.kernel);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: property [--policies N] [--packets N] [--flows N] [--seed S] [--only I]\n"
	      "                [--seconds T] [--jobs J] [--no-kernel] [--self-test]\n",
	      stderr);
	return 2;
}

static const struct option long_options[] = {
	{ "policies", required_argument, NULL, 'p' }, { "packets", required_argument, NULL, 'n' },
	{ "flows", required_argument, NULL, 'f' },    { "seed", required_argument, NULL, 's' },
	{ "only", required_argument, NULL, 'o' },     { "seconds", required_argument, NULL, 't' },
	{ "jobs", required_argument, NULL, 'j' },     { "no-kernel", no_argument, NULL, 'k' },
	{ "self-test", no_argument, NULL, 'm' },      { NULL, 0, NULL, 0 },
};

static bool parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		unsigned long long value = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'p':
			o->policies = (unsigned)value;
			break;
		case 'n':
			o->packets = (unsigned)value;
			break;
		case 'f':
			o->flows = (unsigned)value;
			break;
		case 's':
			o->seed = value;
			break;
		case 'o':
			o->only = (long)value;
			break;
		case 't':
			o->seconds = (unsigned)value;
			break;
		case 'j':
			o->jobs = (unsigned)value;
			break;
		case 'k':
			o->kernel = false;
			break;
		case 'm':
			o->self_test = true;
			break;
		default:
			return false;
		}
	}
	if (o->only >= 0)
		o->jobs = 1;
	return optind == argc && o->jobs >= 1 && o->jobs <= MAX_JOBS && o->packets <= 60000;
}

static void add(struct stats *sum, const struct stats *s)
{
	sum->policies += s->policies;
	sum->refused += s->refused;
	sum->flows += s->flows;
	sum->packets += s->packets;
	sum->later += s->later;
	sum->again += s->again;
	sum->differences += s->differences;
	sum->spoiled += s->spoiled;
	sum->noticed += s->noticed;
	sum->unknown[0] += s->unknown[0];
	sum->unknown[1] += s->unknown[1];
	sum->kernel_ran |= s->kernel_ran;
	for (unsigned i = 0; i <= POL_ALLOW; i++)
		sum->tally.action[i] += s->tally.action[i];
	for (unsigned i = 0; i <= POL_IMPLICIT_HOST; i++)
		sum->tally.implicit[i] += s->tally.implicit[i];
	sum->tally.audited += s->tally.audited;
	sum->tally.limited += s->tally.limited;
	sum->tally.both_sides += s->tally.both_sides;
	if (s->skipped[0])
		memcpy(sum->skipped, s->skipped, sizeof(sum->skipped));
}

static int conclude(const struct options *o, const struct stats *s, bool died)
{
	const struct tally *t = &s->tally;

	printf("%llu policies, %llu flows through the tables, %llu packets through the programs\n"
	       "(allow %llu, deny %llu, reject %llu; decided by rules %llu, closed %llu, default %llu, host %llu;\n"
	       " both ends here %llu, audited %llu, limited %llu; later packets of %llu flows, judged again %llu;\n"
	       " by an uplink to nobody here: passed on %llu, of the pool %llu)\n",
	       (unsigned long long)s->policies, (unsigned long long)s->flows,
	       (unsigned long long)s->packets, (unsigned long long)t->action[POL_ALLOW],
	       (unsigned long long)t->action[POL_DENY], (unsigned long long)t->action[POL_REJECT],
	       (unsigned long long)t->implicit[POL_EXPLICIT],
	       (unsigned long long)t->implicit[POL_IMPLICIT_CLOSED],
	       (unsigned long long)t->implicit[POL_IMPLICIT_DEFAULT],
	       (unsigned long long)t->implicit[POL_IMPLICIT_HOST],
	       (unsigned long long)t->both_sides, (unsigned long long)t->audited,
	       (unsigned long long)t->limited, (unsigned long long)s->later,
	       (unsigned long long)s->again, (unsigned long long)s->unknown[0],
	       (unsigned long long)s->unknown[1]);
	if (o->self_test)
		printf("%llu falsified, %llu noticed\n", (unsigned long long)s->spoiled,
		       (unsigned long long)s->noticed);
	printf("%llu differences, %llu policies not tested\n", (unsigned long long)s->differences,
	       (unsigned long long)s->refused);
	if (s->differences || s->refused || died || !s->policies)
		return 1;
	if (o->self_test && (s->noticed != s->spoiled || !s->spoiled))
		return 1;
	if (o->kernel && !s->kernel_ran) {
		printf("SKIP: the programs could not be run: %s\n", s->skipped);
		return 77;
	}
	return 0;
}

static bool run_jobs(const struct options *o, const struct build_paths *paths, struct stats *stats)
{
	bool died = false;
	int status;

	for (unsigned j = 0; j < o->jobs; j++) {
		char own[300];
		struct build_paths mine = *paths;

		fflush(stdout);
		if (fork() != 0)
			continue;
		snprintf(own, sizeof(own), "%s/%u", paths->scratch_dir, j);
		mine.scratch_dir = own;
		if (mkdir(own, 0700))
			_exit(1);
		work(o, &mine, j, &stats[j]);
		rmdir(own);
		exit(0);
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			printf("FAILED: a process died (status 0x%x)\n", (unsigned)status);
			died = true;
		}
	return died;
}

static const char *env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

static unsigned cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_JOBS ? MAX_JOBS : (unsigned)n;
}

int main(int argc, char **argv)
{
	struct options o = {
		.policies = 300,
		.packets = 2000,
		.flows = 20000,
		.jobs = cpus(),
		.only = -1,
		.kernel = true,
		.seed = (uint64_t)time(NULL),
	};
	struct build_paths paths = {
		.clang = env("CLANG", "clang"),
		.templates = env("POLC_TEMPLATES", "bpf-templates"),
		.include = env("POLC_INCLUDE", "include"),
	};
	struct stats *stats, sum = { 0 };
	char dir[256];
	bool died;

	if (!parse_options(argc, argv, &o))
		return usage();
	snprintf(dir, sizeof(dir), "%s/polc-property.XXXXXX", env("TMPDIR", "/tmp"));
	stats = mmap(NULL, MAX_JOBS * sizeof(*stats), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED || !mkdtemp(dir)) {
		perror("property");
		return 1;
	}
	paths.scratch_dir = dir;
	printf("seed %llu\n", (unsigned long long)o.seed);
	died = run_jobs(&o, &paths, stats);
	rmdir(dir);
	for (unsigned j = 0; j < o.jobs; j++)
		add(&sum, &stats[j]);
	return conclude(&o, &sum, died);
}
