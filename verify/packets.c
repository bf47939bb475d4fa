/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets at the bounds of every rule, through the programs as the kernel runs them.
 *
 * A round is a world with an endpoint for each of some subjects, and for whom their rules name as
 * peers; its rules are asked from both sides of every bound of their addresses and ports, one
 * bound at a time.  This is testing, however strong: what is exact is in tables.c.
 */
#include <errno.h>
#include <stdio.h>

#include "compiler/analysis/witness.h"
#include "compiler/ranges.h"
#include "runtime/input/hostfile.h"
#include "verify/judge.h"
#include "verify/private.h"

#define ROUND_SUBJECTS 24 /* endpoints that live here, at most twice that with peers */
#define ROUND_LOCAL 40
#define BOUNDS 6 /* ranges of a set that are tried: the first and the last ones */
#define PEERS 128 /* addresses of one rule */
#define KEYS 64
#define FORGET_AFTER 512 /* flows, so that no source reaches its share of the connection table */
#define PACKETS_A_RULE 40 /* about */
#define RULE_STEPS                                                                                 \
	2000000000ull /* packets times rules: the evaluator walks an endpoint's for each */

typedef POL_VEC(uint32_t) rule_ids;

struct round {
	struct ver_report *r;
	struct world world;
	struct kernel *kernel;
	struct generation *generation;
	uint64_t number; /* of the generation */
	uint32_t serial; /* of the flow */
	uint32_t stride; /* every so many rules are asked */
	rule_ids of[WORLD_EPS]
		   [POL_DIRECTIONS]; /* by endpoint: the rules that select it, in their order */
	struct pol_ir few; /* those of the two ends of a flow */
	uint32_t since; /* flows in the connection table */
	struct flow bare[32]; /* those of them that nothing but addresses and protocol tell apart */
	size_t nbare;
};

/* ---- who is there ---------------------------------------------------------------- */

/* The next address from `from` on that can be an endpoint's; false at the end of all. */
static bool free_address(const struct world *w, struct pol_ip from, struct pol_ip *out)
{
	for (unsigned i = 0; i < 4096; i++) {
		struct pol_ip ip = from;

		ip.lo += i;
		if (ip.family == 4 && ip.lo > UINT32_MAX)
			return false;
		if (world_ordinary(ip) && !world_known(w, ip)) {
			*out = ip;
			return true;
		}
	}
	return false;
}

/* Where endpoints are expected: in the pool, outside what the policy names if it can be. */
static struct pol_ip home(struct round *d, uint8_t family)
{
	struct pol_ip fallback = { .family = family, .lo = 0x0ac80001 };
	const struct pol_ir *ir = d->r->ir;
	struct pol_eval_peer peer;

	if (family == 6)
		fallback = (struct pol_ip){ 0xfdc8000000000000u, 1, 6 };
	if (ir->pool &&
	    pol_witness_address(ir, &ir->asets.v[ir->pool], family, d->r->arena, &peer) &&
	    world_ordinary(peer.addr))
		return peer.addr;
	return fallback;
}

static struct world_ep *add_endpoint(struct round *d, struct pol_labels labels, bool here)
{
	struct world *w = &d->world;
	struct world_ep *ep = &w->ep[w->neps];
	struct pol_ip ip;

	if (w->neps == WORLD_EPS || labels.n > WORLD_LABELS)
		return NULL;
	*ep = (struct world_ep){ .here = here, .number = (uint32_t)w->neps + 1 };
	snprintf(ep->name, sizeof(ep->name), "%s-%zu", here ? "here" : "there", w->neps);
	if (labels.n)
		memcpy(ep->label, labels.v, labels.n * sizeof(*labels.v));
	ep->nlabels = labels.n;
	for (uint8_t family = 4; family <= 6; family += 2)
		if (free_address(w, home(d, family), &ip))
			ep->addr[ep->naddrs++] = ip;
	w->neps++;
	w->nlocal += here;
	return ep;
}

static const struct world_ep *endpoint_with(const struct round *d, uint32_t sel, bool here)
{
	for (size_t i = 0; i < (here ? d->world.nlocal : d->world.neps); i++)
		if (pol_eval_sel(d->r->ir, sel, world_labels(&d->world.ep[i])))
			return &d->world.ep[i];
	return NULL;
}

/* An endpoint that the selector selects, unless there is one. False: nobody can be it. */
static bool want_endpoint(struct round *d, uint32_t sel, bool here)
{
	struct pol_eval_peer peer;

	if (endpoint_with(d, sel, here))
		return true;
	return pol_witness_endpoint(d->r->ir, sel, d->r->arena, &peer) &&
	       add_endpoint(d, peer.labels, here);
}

static void add_others(struct round *d)
{
	struct world *w = &d->world;
	static const struct pol_ip host[] = { { 0, 0xc6336401, 4 }, { 0x20010db8fff00000u, 1, 6 } };
	static const struct pol_ip node[] = { { 0, 0xc6336402, 4 }, { 0x20010db8fff00000u, 2, 6 } };

	for (size_t i = 0; i < POL_ARRAY_LEN(host); i++) {
		if (free_address(w, host[i], &w->host[w->nhost]))
			w->nhost++;
		if (free_address(w, node[i], &w->node[w->nnode]))
			w->nnode++;
	}
}

/* Peers of a rule that are endpoints, and an address where one is asked for. */
static void want_peers(struct round *d, const struct pol_rule *rule)
{
	const struct pol_ir *ir = d->r->ir;
	const struct pol_pred *p = &ir->preds.v[rule->pred];

	for (size_t i = 0; i < p->n; i++) {
		const struct pol_term *t = &p->term[i];
		const struct pol_aset *s = &ir->asets.v[t->aset];
		const struct world_ep *found;
		struct world_ep *ep;
		struct pol_ip ip;

		if (!(t->mask & POL_PEER_ENDPOINT) || !want_endpoint(d, t->sel, false) || !t->aset)
			continue;
		found = endpoint_with(d, t->sel, false);
		ep = &d->world.ep[found - d->world.ep];
		if (ep->naddrs < WORLD_ADDRS && (s->n4 || s->n6) &&
		    free_address(&d->world,
				 s->n4 ? pol_ip_of(s->v4[0].lo, 4) : pol_ip_of(s->v6[0].lo, 6),
				 &ip))
			ep->addr[ep->naddrs++] = ip;
	}
}

static int take_endpoint(struct round *d, const struct prt_endpoint *from, bool here,
			 struct pol_err *e)
{
	struct pol_label label[WORLD_LABELS];
	struct world_ep *ep;

	if (from->nlabels > WORLD_LABELS || d->world.neps == WORLD_EPS)
		return pol_err(e, -E2BIG, "%s: more than %u endpoints, or more than %u labels",
			       from->name.p, WORLD_EPS, WORLD_LABELS);
	for (size_t i = 0; i < from->nlabels; i++)
		label[i] = (struct pol_label){ from->labels[i].key, from->labels[i].value };
	ep = &d->world.ep[d->world.neps++];
	*ep = (struct world_ep){ .here = here,
				 .number = (uint32_t)d->world.neps,
				 .nlabels = from->nlabels };
	if (from->nlabels)
		memcpy(ep->label, label, from->nlabels * sizeof(*label));
	snprintf(ep->name, sizeof(ep->name), "%s", from->name.p);
	for (size_t i = 0; i < from->naddrs && i < WORLD_ADDRS; i++)
		ep->addr[ep->naddrs++] = from->addrs[i];
	d->world.nlocal += here;
	return 0;
}

/* Labels are referred to: *file must stay. */
static int take_host(struct round *d, const char *path, struct prt_hostfile **file,
		     struct pol_err *e)
{
	struct prt_hostfile *h;
	int r = prt_hostfile_read(path, file, e);

	if (r)
		return r;
	h = *file;
	for (size_t i = 0; !r && i < h->nendpoints; i++)
		r = take_endpoint(d, &h->endpoints[i], true, e);
	for (size_t i = 0; !r && i < h->nremotes; i++)
		r = take_endpoint(d, &h->remotes[i], false, e);
	for (size_t i = 0; i < h->nhost_addrs && i < WORLD_OTHERS; i++)
		d->world.host[d->world.nhost++] = h->host_addrs[i];
	for (size_t i = 0; i < h->nnodes && i < WORLD_OTHERS; i++)
		d->world.node[d->world.nnode++] = h->nodes[i].addrs[0];
	return r;
}

/* ---- what is asked ------------------------------------------------------------------ */

struct questions {
	struct pol_ip peer[PEERS];
	uint32_t key[KEYS];
	size_t npeers, nkeys;
};

static void ask_address(struct questions *q, struct pol_ip ip)
{
	if (q->npeers < PEERS && world_ordinary(ip))
		q->peer[q->npeers++] = ip;
}

/* Both sides of both bounds; the arithmetic wraps, and what it makes is an address like others. */
static void ask_range(struct questions *q, pol_u128 lo, pol_u128 hi, uint8_t family)
{
	pol_u128 mask = family == 4 ? (pol_u128)UINT32_MAX : ~(pol_u128)0;

	ask_address(q, pol_ip_of(lo, family));
	ask_address(q, pol_ip_of(hi, family));
	ask_address(q, pol_ip_of((lo - 1) & mask, family));
	ask_address(q, pol_ip_of((hi + 1) & mask, family));
}

/* Of n ranges only the first and last ones are tried. */
static bool tried(size_t i, size_t n)
{
	return i < BOUNDS / 2 || i + BOUNDS / 2 >= n;
}

static void ask_set(struct questions *q, const struct pol_aset *s)
{
	for (size_t i = 0; i < s->n4; i++)
		if (tried(i, s->n4))
			ask_range(q, s->v4[i].lo, s->v4[i].hi, 4);
	for (size_t i = 0; i < s->n6; i++)
		if (tried(i, s->n6))
			ask_range(q, s->v6[i].lo, s->v6[i].hi, 6);
}

static void ask_endpoints(const struct round *d, struct questions *q, uint32_t sel)
{
	unsigned in = 0, out = 0;

	for (size_t i = 0; i < d->world.neps; i++) {
		const struct world_ep *ep = &d->world.ep[i];
		bool selected = pol_eval_sel(d->r->ir, sel, world_labels(ep));

		/* Two that it selects and one that it does not. */
		if (selected ? in++ < 2 : out++ < 1)
			for (size_t k = 0; k < ep->naddrs; k++)
				ask_address(q, ep->addr[k]);
	}
}

static void ask_peers(const struct round *d, struct questions *q, const struct pol_rule *rule)
{
	static const struct pol_ip anybody[] = { { 0, 0xcb00714d, 4 },
						 { 0x20010db800770000u, 1, 6 } };
	const struct pol_ir *ir = d->r->ir;
	const struct pol_pred *p = &ir->preds.v[rule->pred];

	for (size_t i = 0; i < p->n; i++) {
		const struct pol_term *t = &p->term[i];

		if (!tried(i, p->n))
			continue;
		if (t->mask & POL_PEER_ENDPOINT)
			ask_endpoints(d, q, t->sel);
		for (size_t k = 0; t->mask & POL_PEER_HOST && k < d->world.nhost; k++)
			ask_address(q, d->world.host[k]);
		for (size_t k = 0; t->mask & POL_PEER_NODE && k < d->world.nnode; k++)
			ask_address(q, d->world.node[k]);
		if (t->mask & POL_PEER_POOL)
			ask_set(q, &ir->asets.v[ir->pool]);
		if (t->aset)
			ask_set(q, &ir->asets.v[t->aset]);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(anybody); i++)
		ask_address(q, anybody[i]);
}

static void ask_keys(const struct round *d, struct questions *q, const struct pol_rule *rule)
{
	static const uint32_t usual[] = { POL_L4_KEY(6, 80), POL_L4_KEY(17, 53), POL_L4_KEY(1, 8),
					  POL_L4_KEY(58, 128), POL_L4_KEY(47, 0) };
	const struct pol_l4set *s = &d->r->ir->l4sets.v[rule->l4];

	for (size_t i = 0; i < s->n; i++) {
		if (!tried(i, s->n) || q->nkeys + 4 > KEYS)
			continue;
		q->key[q->nkeys++] = s->range[i].lo;
		q->key[q->nkeys++] = s->range[i].hi;
		q->key[q->nkeys++] = s->range[i].lo - 1;
		q->key[q->nkeys++] = s->range[i].hi + 1;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(usual) && q->nkeys < KEYS; i++)
		q->key[q->nkeys++] = usual[i];
}

/* ---- one packet ------------------------------------------------------------------------ */

/* ---- the evaluator, asked of no more rules than can matter ------------------------------- */

static void select_rules(struct round *d)
{
	const struct pol_ir *ir = d->r->ir;

	for (size_t k = 0; k < d->world.nlocal; k++) {
		d->of[k][POL_INGRESS].n = d->of[k][POL_EGRESS].n = 0;
		for (size_t i = 0; i < ir->by_order.n; i++) {
			const struct pol_rule *r = &ir->rules.v[ir->by_order.v[i]];

			if (pol_eval_sel(ir, r->subject, world_labels(&d->world.ep[k])))
				*pol_vec_push(&d->of[k][r->direction]) = r->id;
		}
	}
}

static void add_rules(struct round *d, struct pol_ip ip, enum pol_direction dir)
{
	const struct world_ep *ep = world_owner(&d->world, ip);
	const rule_ids *ids = ep && ep->here ? &d->of[ep->number - 1][dir] : NULL;

	for (size_t i = 0; ids && i < ids->n; i++) {
		*pol_vec_push(&d->few.by_order) = (uint32_t)d->few.rules.n;
		*pol_vec_push(&d->few.rules) = d->r->ir->rules.v[ids->v[i]];
	}
}

/* Directions do not compete, so the rules of both ends may stand one behind the other. */
static void expect(struct round *d, const struct flow *f, struct pol_eval_flow *out)
{
	d->few.rules.n = d->few.by_order.n = 0;
	add_rules(d, f->src, POL_EGRESS);
	add_rules(d, f->dst, POL_INGRESS);
	judge_expect(&d->few, &d->world, f, out);
}

/* What stands between a verdict and the flow: an empty bucket, and a proxy that is not here. */
static bool held_up(const struct seen *s, const struct pol_eval_flow *want)
{
	bool limited = false, http = false;

	for (unsigned i = 0; i < POL_DIRECTIONS; i++) {
		const struct pol_eval_side *side = &want->side[i];

		if (!want->judged[i])
			continue;
		if (s->scratch.rule[i] != POL_NO_RULE && s->scratch.rule[i] != side->rule)
			return false;
		limited = limited || side->nlimits;
		http = http || side->nhttp;
	}
	if (want->action != POL_ALLOW)
		return false;
	return (limited && s->scratch.reason == POL_REASON_LIMIT) ||
	       (http && (s->scratch.reason == POL_REASON_NO_PROXY ||
			 s->scratch.reason == POL_REASON_HTTP_NO_INGRESS));
}

static struct pol_str kept(struct round *d, struct pol_buf *b)
{
	struct pol_str s;

	while (b->n && b->p[b->n - 1] == '\n')
		b->p[--b->n] = '\0';
	s = pol_arena_str(d->r->arena, pol_buf_str(b));
	pol_buf_free(b);
	return s;
}

static void differ(struct round *d, const struct flow *f, const struct pol_eval_flow *want,
		   const struct seen *s, const struct pol_buf *why)
{
	const struct pol_eval_side *side = &want->side[want->decided_by];
	struct pol_verdict text = { .action = (uint8_t)side->action, .rule = side->rule };
	struct pol_verdict object = { .action = s->scratch.action,
				      .rule = s->scratch.rule[s->scratch.direction & 1] };
	struct pol_buf flow = { 0 }, found = { 0 };

	flow_print(&flow, f);
	d->r->first.flow = kept(d, &flow);
	d->r->first.text = ver_say(d->r, &text);
	pol_buf_add(&found, ver_say(d->r, &object));
	pol_buf_printf(&found, ", result %d", s->result);
	d->r->first.object = kept(d, &found);
	ver_differs(d->r, "packets", "%.*s", (int)strcspn(why->p, ":"), why->p);
}

static void forget(struct round *d)
{
	kernel_forget_flows(d->kernel);
	d->since = 0;
	d->nbare = 0;
}

/* False: the same flow was asked before. Its answers would be known, so those must be forgotten. */
static bool is_new(struct round *d, const struct flow *f)
{
	if (d->since == FORGET_AFTER)
		forget(d);
	if (f->proto == 6 || f->proto == 17 || f->proto == 132 ||
	    ((f->proto == 1 || f->proto == 58) && flow_tracked(f)))
		return true;
	for (size_t i = 0; i < d->nbare; i++) {
		const struct flow *b = &d->bare[i];

		if (b->proto != f->proto)
			continue;
		if (pol_ip_eq(b->src, f->src) && pol_ip_eq(b->dst, f->dst) && b->value == f->value)
			return false;
		if (pol_ip_eq(b->src, f->dst) && pol_ip_eq(b->dst, f->src)) {
			forget(d);
			break;
		}
	}
	if (d->nbare == POL_ARRAY_LEN(d->bare))
		forget(d);
	d->bare[d->nbare++] = *f;
	return true;
}

/* 0, 1: differs, -errno. */
static int run_flow(struct round *d, struct flow *f, struct pol_err *e)
{
	struct pol_eval_flow want;
	struct pol_buf why = { 0 };
	struct seen seen;
	int r;

	f->sport = (uint16_t)(1024 + d->serial++ % 64000);
	flow_fit(f);
	if (pol_ip_eq(f->src, f->dst) || !is_new(d, f))
		return 0;
	d->since++;
	d->r->packets++;
	expect(d, f, &want);
	r = generation_run(d->kernel, d->generation, &d->world, f, FRAME_FIRST, d->serial & 1,
			   &seen, e);
	if (r)
		return r;
	if (!held_up(&seen, &want) && !judge_new(&seen, f, &want, &why)) {
		differ(d, f, &want, &seen, &why);
		r = 1;
	}
	pol_buf_free(&why);
	return r;
}

/* ---- rules and rounds -------------------------------------------------------------------- */

static int run_pair(struct round *d, const struct pol_rule *rule, const struct world_ep *own,
		    struct pol_ip peer, uint32_t key, struct pol_err *e)
{
	struct flow f = { .proto = (uint8_t)(key >> 16), .value = (uint16_t)key };

	for (size_t i = 0; i < own->naddrs; i++) {
		if (own->addr[i].family != peer.family)
			continue;
		f.src = rule->direction == POL_EGRESS ? own->addr[i] : peer;
		f.dst = rule->direction == POL_EGRESS ? peer : own->addr[i];
		return run_flow(d, &f, e);
	}
	return 0;
}

/* One bound at a time: every peer at the first port, every port at the first peer of each family. */
static int run_rule(struct round *d, const struct pol_rule *rule, struct pol_err *e)
{
	const struct world_ep *own = endpoint_with(d, rule->subject, true);
	struct questions q = { .npeers = 0 };
	bool seen[2] = { false, false };
	int r = 0;

	if (!own)
		return 0; /* nobody here can be its subject */
	ask_peers(d, &q, rule);
	ask_keys(d, &q, rule);
	for (size_t i = 0; !r && i < q.npeers; i++) {
		bool *first = &seen[q.peer[i].family == 6];

		for (size_t k = 0; !r && k < (*first ? 1 : q.nkeys); k++)
			r = run_pair(d, rule, own, q.peer[i], q.key[k], e);
		*first = true;
	}
	return r;
}

static int run_world(struct round *d, const uint32_t *rule, size_t n, struct pol_err *e)
{
	struct prt_place *place = NULL;
	int r = world_place_all(&d->world, d->r->object, &place, e);

	if (!r)
		r = generation_load(d->kernel, d->r->object, place, ++d->number, &d->generation, e);
	if (!r)
		r = generation_fill(d->kernel, d->generation, place, &d->world, e);
	forget(d);
	select_rules(d);
	for (size_t i = 0; !r && i < n; i += d->stride)
		r = run_rule(d, &d->r->ir->rules.v[rule[i]], e);
	generation_free(d->generation);
	d->generation = NULL;
	prt_place_free(place);
	return r;
}

static int by_subject(const void *pa, const void *pb, void *ctx)
{
	const struct pol_ir *ir = ctx;
	const struct pol_rule *a = &ir->rules.v[*(const uint32_t *)pa];
	const struct pol_rule *b = &ir->rules.v[*(const uint32_t *)pb];

	if (a->subject != b->subject)
		return a->subject < b->subject ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* Rules from `at` on for which there is an endpoint in one world. */
static size_t fill_world(struct round *d, const uint32_t *rule, size_t n)
{
	const struct pol_ir *ir = d->r->ir;
	uint32_t last = UINT32_MAX;
	size_t end = 0, subjects = 0;

	memset(&d->world, 0, sizeof(d->world));
	add_others(d);
	/* Who lives here comes first. */
	for (; end < n; end++) {
		const struct pol_rule *r = &ir->rules.v[rule[end]];

		if (r->subject != last && subjects++ == ROUND_SUBJECTS)
			break;
		if (r->subject != last)
			want_endpoint(d, r->subject, true);
		last = r->subject;
	}
	for (size_t i = 0; i < end && d->world.nlocal < ROUND_LOCAL; i++) {
		const struct pol_pred *p = &ir->preds.v[ir->rules.v[rule[i]].pred];

		/* Peers live here too while there is room: then both sides are asked. */
		for (size_t k = 0; k < p->n && d->world.nlocal < ROUND_LOCAL; k++)
			if (p->term[k].mask == POL_PEER_ENDPOINT && i % 2)
				want_endpoint(d, p->term[k].sel, true);
	}
	for (size_t i = 0; i < end; i++)
		want_peers(d, &ir->rules.v[rule[i]]);
	return end;
}

static int run_rounds(struct round *d, const char *host, uint32_t *rule, struct pol_err *e)
{
	struct prt_hostfile *file POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	size_t n = d->r->ir->rules.n, took;
	int r = 0;

	if (host) {
		r = take_host(d, host, &file, e);
		return r ? r : run_world(d, rule, n, e);
	}
	for (size_t at = 0; !r && at < n; at += took) {
		took = fill_world(d, rule + at, n - at);
		r = run_world(d, rule + at, took, e);
	}
	return r;
}

/* How many rules must be left out so that it takes seconds, not minutes. */
static uint32_t stride_of(const struct pol_ir *ir, const uint32_t *rule)
{
	uint64_t steps = 0;
	size_t end;

	for (size_t at = 0; at < ir->rules.n; at = end) {
		for (end = at; end < ir->rules.n &&
			       ir->rules.v[rule[end]].subject == ir->rules.v[rule[at]].subject;
		     end++)
			;
		steps += (uint64_t)PACKETS_A_RULE * (end - at) * (end - at);
	}
	return (uint32_t)(1 + steps / RULE_STEPS);
}

int ver_packets(struct ver_report *r, const char *host, struct pol_err *e)
{
	const struct pol_ir *ir = r->ir;
	uint32_t *rule = pol_arena_alloc(r->arena, (ir->rules.n + 1) * sizeof(*rule));
	struct round *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		pol_no_memory();
	d->r = r;
	for (uint32_t i = 0; i < ir->rules.n; i++)
		rule[i] = i;
	qsort_r(rule, ir->rules.n, sizeof(*rule), by_subject, (void *)ir);
	d->stride = stride_of(ir, rule);
	d->few = *ir;
	memset(&d->few.rules, 0, sizeof(d->few.rules));
	memset(&d->few.by_order, 0, sizeof(d->few.by_order));
	ret = kernel_open(&d->kernel, WORLD_EPS, e);
	if (!ret)
		ret = run_rounds(d, host, rule, e);
	kernel_close(d->kernel);
	r->packets_checked = ret >= 0;
	r->rules_skipped = ir->rules.n - (ir->rules.n + d->stride - 1) / d->stride;
	for (size_t i = 0; i < WORLD_EPS; i++)
		for (unsigned k = 0; k < POL_DIRECTIONS; k++)
			pol_vec_free(&d->of[i][k]);
	pol_vec_free(&d->few.rules);
	pol_vec_free(&d->few.by_order);
	free(d);
	return ret < 0 ? ret : 0;
}
