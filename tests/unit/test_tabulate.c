/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables against the evaluator: random policies as IR, the loader's part done
 * here as polc/manifest.h tells it, every answer compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "compiler/emit.h"
#include "judge.h"

/* ---- numbers that look random -------------------------------------------------- */

static uint64_t state = 88172645463325252u;

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

static bool chance(uint32_t percent)
{
	return rnd(100) < percent;
}

/* ---- a random policy ----------------------------------------------------------------- */

static const struct {
	uint8_t proto;
	uint16_t max;
} protos[] = {
	{ 6, 65535 }, { 17, 65535 }, { 132, 65535 }, { 1, 255 }, { 58, 255 }, { 47, 0 }, { 255, 0 },
};

static uint32_t some_key(void)
{
	unsigned p = rnd(POL_ARRAY_LEN(protos));
	uint32_t v = chance(50) ? rnd(12) * 100 : rnd(65536);

	return POL_L4_KEY(protos[p].proto, v > protos[p].max ? v % (protos[p].max + 1u) : v);
}

static struct pol_l4set some_l4set(struct pol_arena *a)
{
	struct pol_range32 r[6];
	size_t n = 1 + rnd(5);

	for (size_t i = 0; i < n; i++) {
		r[i].lo = some_key();
		r[i].hi =
			chance(50) ? r[i].lo : (r[i].lo & 0xff0000) | (r[i].lo % 65536 + rnd(300));
		if (r[i].hi < r[i].lo || r[i].hi >> 16 != r[i].lo >> 16)
			r[i].hi = r[i].lo;
	}
	if (chance(10))
		return pol_l4set_combine(a, POL_SET_SUBTRACT, pol_l4set_all(a),
					 pol_l4set_of(a, r, n));
	return pol_l4set_of(a, r, n);
}

/* Few bits, so that prefixes meet. */
static struct pol_ip some_ip(void)
{
	struct pol_ip ip = { .family = chance(60) ? 4 : 6 };

	if (ip.family == 4) {
		ip.lo = 0x0a000000u | rnd(16) << 20 | rnd(4) << 8 | rnd(4);
		if (chance(10))
			ip.lo = chance(50) ? 0 : 0xffffffffu;
	} else if (chance(30)) {
		ip.hi = (uint64_t)(POL_NAT64_PREFIX >> 64);
		ip.lo = 0x0a000000u | rnd(16) << 20 | rnd(4) << 8 | rnd(4);
	} else {
		ip.hi = 0x20010db800000000u | rnd(16) << 8 | rnd(4);
		ip.lo = chance(50) ? rnd(4) : (uint64_t)rnd(4) << 62;
		if (chance(10))
			ip.hi = ip.lo = chance(50) ? 0 : ~0ull;
	}
	return ip;
}

static struct pol_aset some_aset(struct pol_arena *a)
{
	struct pol_prefix p[5];
	size_t n = 1 + rnd(4);
	struct pol_aset s;

	for (size_t i = 0; i < n; i++) {
		p[i].addr = some_ip();
		p[i].len = p[i].addr.family == 4 ? (uint8_t)(chance(30) ? 32 : 4 + rnd(28))
						 : (uint8_t)(chance(30) ? 128 : 32 + rnd(96));
		if (chance(3))
			p[i].len = 0;
	}
	s = pol_aset_of_prefixes(a, p, n);
	return chance(20) ? pol_aset_combine(a, POL_SET_SUBTRACT, pol_aset_all(a), s) : s;
}

static void make_sets(struct pol_ir *ir)
{
	struct pol_arena *a = ir->arena;

	*pol_vec_push(&ir->l4sets) = pol_l4set_all(a);
	for (unsigned i = rnd(8); i > 0; i--)
		*pol_vec_push(&ir->l4sets) = some_l4set(a);
	*pol_vec_push(&ir->asets) = pol_aset_all(a);
	*pol_vec_push(&ir->asets) = pol_aset_of(a, NULL, 0, NULL, 0);
	for (unsigned i = rnd(8); i > 0; i--)
		*pol_vec_push(&ir->asets) = some_aset(a);
	ir->pool = 1 + rnd((uint32_t)ir->asets.n - 1);
}

static struct pol_sel sel_in(struct pol_arena *a, const char *key, const char *value)
{
	struct pol_sel s = { .op = POL_SEL_IN, .key = pol_str(key), .n = 1 };

	s.value = pol_arena_alloc(a, sizeof(*s.value));
	s.value[0] = pol_str(value);
	return s;
}

static struct pol_sel sel_of(struct pol_arena *a, enum pol_sel_op op, uint32_t x, uint32_t y)
{
	struct pol_sel s = { .op = op, .n = op == POL_SEL_NOT ? 1 : 2 };

	s.operand = pol_arena_alloc(a, 2 * sizeof(*s.operand));
	s.operand[0] = x;
	s.operand[1] = y;
	return s;
}

static void make_selectors(struct pol_ir *ir)
{
	struct pol_arena *a = ir->arena;

	*pol_vec_push(&ir->sels) = (struct pol_sel){ .op = POL_SEL_TRUE };
	*pol_vec_push(&ir->sels) = sel_in(a, "app", "a");
	*pol_vec_push(&ir->sels) = sel_in(a, "app", "b");
	*pol_vec_push(&ir->sels) = sel_of(a, POL_SEL_OR, 1, 2);
	*pol_vec_push(&ir->sels) = (struct pol_sel){ .op = POL_SEL_HAS, .key = POL_STR("zone") };
	*pol_vec_push(&ir->sels) = sel_of(a, POL_SEL_NOT, 1, 0);
	*pol_vec_push(&ir->sels) = sel_of(a, POL_SEL_AND, 2, 4);
}

static void make_preds(struct pol_ir *ir)
{
	struct pol_arena *a = ir->arena;

	for (unsigned i = 0; i < 1 + rnd(12); i++) {
		struct pol_pred p = { .n = i ? rnd(4) : 1 };

		p.term = pol_arena_alloc(a, (p.n + 1) * sizeof(*p.term));
		for (size_t k = 0; k < p.n; k++) {
			p.term[k].mask = chance(40) ? POL_PEER_ALL : 1 + rnd(POL_PEER_ALL);
			p.term[k].aset = chance(40) ? 0 : rnd((uint32_t)ir->asets.n);
			if (chance(40)) {
				p.term[k].mask = POL_PEER_ENDPOINT;
				p.term[k].sel = rnd((uint32_t)ir->sels.n);
			}
		}
		if (!i)
			p.term[0] = (struct pol_term){ POL_PEER_ALL, 0, 0 };
		*pol_vec_push(&ir->preds) = p;
	}
}

static struct pol_rule *add_rule(struct pol_ir *ir, enum pol_stage stage, enum pol_action action,
				 enum pol_direction d)
{
	struct pol_rule *r = pol_vec_push(&ir->rules);

	*r = (struct pol_rule){ .id = (uint32_t)ir->rules.n - 1,
				.stage = stage,
				.action = action,
				.direction = d,
				.limit = -1,
				.http = -1,
				.span = POL_NO_SPAN };
	return r;
}

static void add_random_rule(struct pol_ir *ir)
{
	static const enum pol_action tier[] = { POL_ALLOW, POL_DENY, POL_SKIP };
	static const enum pol_action main_[] = { POL_ALLOW, POL_ALLOW, POL_ALLOW, POL_DENY,
						 POL_REJECT };
	enum pol_stage stage = chance(60)   ? POL_STAGE_MAIN
			       : chance(50) ? POL_STAGE_ADMIN
					    : POL_STAGE_BASELINE;
	struct pol_rule *r =
		add_rule(ir, stage, stage == POL_STAGE_MAIN ? main_[rnd(5)] : tier[rnd(3)],
			 chance(50) ? POL_INGRESS : POL_EGRESS);

	r->priority = (int32_t)rnd(3);
	r->subject = rnd((uint32_t)ir->sels.n);
	r->pred = rnd((uint32_t)ir->preds.n);
	r->l4 = rnd((uint32_t)ir->l4sets.n);
	r->audit = chance(15);
	r->log = chance(20);
	if (stage == POL_STAGE_MAIN && r->action == POL_ALLOW && chance(30) && ir->limits.n < 8) {
		r->limit = (int32_t)ir->limits.n;
		*pol_vec_push(&ir->limits) = (struct pol_limit){ .rule = r->id };
	}
	if (stage == POL_STAGE_MAIN && r->action == POL_ALLOW && chance(30)) {
		r->http = (int32_t)ir->https.n;
		*pol_vec_push(&ir->https) = (struct pol_ir_http){ .rule = r->id };
	}
}

/* One closed rule for each subject, direction and kind of policy that has a rule. */
static void add_closed(struct pol_ir *ir)
{
	size_t n = ir->rules.n;

	for (uint32_t key = 0; key < 4 * ir->sels.n; key++) {
		struct pol_rule want = { .subject = key / 4,
					 .direction = key & 1,
					 .audit = key & 2 };
		bool any = false;

		for (size_t i = 0; i < n; i++) {
			const struct pol_rule *r = &ir->rules.v[i];

			any = any || (r->stage == POL_STAGE_MAIN && r->subject == want.subject &&
				      r->direction == want.direction && r->audit == want.audit);
		}
		if (any) {
			struct pol_rule *r = add_rule(ir, POL_STAGE_MAIN, POL_DENY, want.direction);

			r->implicit = POL_IMPLICIT_CLOSED;
			r->subject = want.subject;
			r->audit = want.audit;
		}
	}
}

static uint64_t place(const struct pol_rule *r)
{
	static const uint64_t of_action[] = { [POL_DENY] = 0, [POL_REJECT] = 1, [POL_ALLOW] = 2 };
	uint64_t in = (uint64_t)r->priority;

	if (r->implicit == POL_IMPLICIT_HOST)
		return 0;
	if (r->implicit == POL_IMPLICIT_DEFAULT)
		return 4ull << 60 | r->id;
	if (r->stage == POL_STAGE_MAIN)
		in = r->implicit == POL_IMPLICIT_CLOSED ? 3 : of_action[r->action];
	return (uint64_t)(r->stage + 1) << 60 | in << 32 | r->id;
}

static void order_rules(struct pol_ir *ir)
{
	for (size_t i = 0; i < ir->rules.n; i++)
		*pol_vec_push(&ir->by_order) = (uint32_t)i;
	for (size_t i = 1; i < ir->by_order.n; i++)
		for (size_t k = i; k > 0 && place(&ir->rules.v[ir->by_order.v[k]]) <
						    place(&ir->rules.v[ir->by_order.v[k - 1]]);
		     k--) {
			uint32_t swap = ir->by_order.v[k];

			ir->by_order.v[k] = ir->by_order.v[k - 1];
			ir->by_order.v[k - 1] = swap;
		}
	for (size_t i = 0; i < ir->by_order.n; i++)
		ir->rules.v[ir->by_order.v[i]].order = (uint32_t)i;
}

static struct pol_ir *random_ir(unsigned rules)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_ir *ir = pol_arena_alloc(a, sizeof(*ir));

	ir->arena = a;
	ir->default_action = chance(50) ? POL_ALLOW : POL_DENY;
	make_sets(ir);
	make_selectors(ir);
	make_preds(ir);
	for (unsigned i = 0; i < rules; i++)
		add_random_rule(ir);
	if (chance(30)) {
		uint32_t pred = (uint32_t)ir->preds.n;
		struct pol_pred *p = pol_vec_push(&ir->preds);
		struct pol_rule *r = add_rule(ir, POL_STAGE_ADMIN, POL_ALLOW, POL_INGRESS);

		p->term = pol_arena_alloc(a, sizeof(*p->term));
		p->term[0] = (struct pol_term){ .mask = POL_PEER_HOST };
		p->n = 1;
		r->pred = pred;
		r->implicit = POL_IMPLICIT_HOST;
	}
	add_closed(ir);
	add_rule(ir, POL_STAGE_BASELINE, ir->default_action, POL_INGRESS)->implicit =
		POL_IMPLICIT_DEFAULT;
	add_rule(ir, POL_STAGE_BASELINE, ir->default_action, POL_EGRESS)->implicit =
		POL_IMPLICIT_DEFAULT;
	order_rules(ir);
	return ir;
}

static void free_ir(struct pol_ir *ir)
{
	pol_vec_free(&ir->sels);
	pol_vec_free(&ir->l4sets);
	pol_vec_free(&ir->asets);
	pol_vec_free(&ir->preds);
	pol_vec_free(&ir->rules);
	pol_vec_free(&ir->by_order);
	pol_vec_free(&ir->limits);
	pol_vec_free(&ir->https);
	pol_arena_free(ir->arena);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static void compare(const struct pol_tables *t, uint32_t row, struct pol_labels own,
		    enum pol_direction d, const struct pol_eval_peer *peer, uint32_t key)
{
	const char *what = judge_differs(t, row, own, d, peer, key);

	if (what)
		fail_msg("%s: not what the evaluator says", what);
}

static struct pol_labels some_labels(struct pol_label out[2])
{
	struct pol_labels l = { out, 0 };

	if (chance(80))
		out[l.n++] = (struct pol_label){ POL_STR("app"), chance(45)   ? POL_STR("a")
								 : chance(80) ? POL_STR("b")
									      : POL_STR("c") };
	if (chance(50))
		out[l.n++] = (struct pol_label){ POL_STR("zone"), POL_STR("x") };
	return l;
}

static uint32_t boundary_key(const struct pol_ir *ir)
{
	const struct pol_l4set *s = &ir->l4sets.v[rnd((uint32_t)ir->l4sets.n)];
	uint32_t key;

	if (!s->n || chance(30))
		return some_key();
	key = chance(50) ? s->range[rnd((uint32_t)s->n)].lo : s->range[rnd((uint32_t)s->n)].hi;
	key += chance(50) ? 0 : rnd(3) - 1;
	for (size_t i = 0; i < POL_ARRAY_LEN(protos); i++)
		if (protos[i].proto == key >> 16 && (key & 0xffff) <= protos[i].max)
			return key;
	return some_key();
}

static struct pol_tables *tabulate(const struct pol_ir *ir)
{
	struct pol_diags diags;
	struct pol_tables *t;

	pol_diags_init(&diags, ir->arena);
	t = pol_tabulate(ir, NULL, &diags);
	assert_non_null(t);
	assert_int_equal(diags.n_errors, 0);
	pol_diags_free(&diags);
	return t;
}

static void one_policy(unsigned rules)
{
	struct pol_ir *ir = random_ir(rules);
	struct pol_tables *t = tabulate(ir);

	for (unsigned i = 0; i < 60; i++) {
		struct pol_label own_labels[2], peer_labels[2];
		struct pol_labels own = some_labels(own_labels);
		enum pol_direction d = chance(50) ? POL_INGRESS : POL_EGRESS;
		struct pol_ip addr = some_ip();
		unsigned which = rnd(4);
		struct pol_eval_peer peer = judge_peer(ir, which, addr, some_labels(peer_labels));
		uint32_t row = judge(t, own, d, &peer);

		assert_int_equal(pol_table_failed(t->table), 0);
		for (unsigned k = 0; k < 12; k++)
			compare(t, row, own, d, &peer, boundary_key(ir));
	}
	pol_tables_free(t);
	free_ir(ir);
}

static void tables_say_what_the_evaluator_says(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 400; i++)
		one_policy(rnd(i % 10 ? 12 : 80));
}

/* ---- classes -------------------------------------------------------------------------------- */

static void classes_tell_sets_apart(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 100; round++) {
		struct pol_ir *ir = random_ir(30);
		struct pol_tables *t = tabulate(ir);
		struct pol_class_tables c = classes_of(t);

		for (unsigned i = 0; i < 200; i++) {
			struct pol_ip ip = some_ip();
			uint32_t class = pol_class_of(&c, ip);

			assert_true(class < t->nclasses);
			for (size_t s = 1; s < t->sets.n; s++)
				assert_int_equal(in_runs(t->set_classes[s], class),
						 pol_aset_contains(ir->asets.v[t->sets.v[s]], ip));
		}
		pol_tables_free(t);
		free_ir(ir);
	}
}

static void same_intervals(const pol_intervals *a, const pol_intervals *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_int_equal(a->v[i].first, b->v[i].first);
		assert_int_equal(a->v[i].value, b->v[i].value);
	}
}

/* Same meaning, other order of definition: the same tables. */
static void numbering_ignores_definition_order(void **unused)
{
	struct pol_ir *ir = random_ir(0);
	struct pol_tables *t, *u;
	uint32_t x, y;

	(void)unused;
	while (ir->asets.n < 4) {
		free_ir(ir);
		ir = random_ir(0);
	}
	x = (uint32_t)ir->preds.n;
	for (uint32_t i = 2; i < 4; i++) {
		struct pol_pred *p = pol_vec_push(&ir->preds);

		p->term = pol_arena_alloc(ir->arena, sizeof(*p->term));
		p->term[0] = (struct pol_term){ POL_PEER_ALL, 0, i };
		p->n = 1;
	}
	y = x + 1;
	ir->rules.v[0].pred = x;
	ir->rules.v[1].pred = y;
	t = tabulate(ir);
	{
		struct pol_aset swap = ir->asets.v[2];

		ir->asets.v[2] = ir->asets.v[3];
		ir->asets.v[3] = swap;
		if (ir->pool == 2 || ir->pool == 3)
			ir->pool = 5 - ir->pool;
		ir->rules.v[0].pred = y;
		ir->rules.v[1].pred = x;
	}
	u = tabulate(ir);
	assert_int_equal(t->nclasses, u->nclasses);
	same_intervals(&t->v4, &u->v4);
	same_intervals(&t->v6, &u->v6);
	assert_int_equal(t->v6_low_len, u->v6_low_len);
	assert_memory_equal(t->v6_low, u->v6_low, sizeof(*t->v6_low) * t->v6_low_len);
	assert_int_equal(pol_table_npages(t->table), pol_table_npages(u->table));
	assert_memory_equal(pol_table_pages(t->table), pol_table_pages(u->table),
			    pol_table_npages(t->table) * 128);
	pol_tables_free(t);
	pol_tables_free(u);
	free_ir(ir);
}

static void sets_are_exact(void **unused)
{
	struct pol_sets *s = pol_sets_new();
	uint32_t set = 0, other = 0;
	static const uint32_t element[] = { 0, 7, 0xffffffff, 0x80000000, 8, 1, 1024, 6 };

	(void)unused;
	for (size_t i = 0; i < POL_ARRAY_LEN(element); i++)
		set = pol_sets_toggle(s, set, element[i]);
	for (size_t i = POL_ARRAY_LEN(element); i-- > 0;)
		other = pol_sets_toggle(s, other, element[i]);
	assert_int_equal(set, other);
	assert_int_not_equal(pol_sets_toggle(s, set, 9), set);
	for (size_t i = 0; i < POL_ARRAY_LEN(element); i++)
		set = pol_sets_toggle(s, set, element[(i * 3) % POL_ARRAY_LEN(element)]);
	assert_int_equal(set, 0);
	pol_sets_free(s);
}

/* ---- capacity ------------------------------------------------------------------- */

static void refused(struct pol_ir *ir, uint32_t max_pages, enum pol_code code)
{
	struct pol_capacity cap = POL_CAPACITY_DEFAULT;
	struct pol_diags diags;

	cap.max_pages = max_pages ? max_pages : cap.max_pages;
	order_rules(ir);
	pol_diags_init(&diags, ir->arena);
	assert_null(pol_tabulate(ir, &cap, &diags));
	assert_int_equal(diags.n_errors, 1);
	assert_int_equal(diags.all.v[0]->code, code);
	pol_diags_free(&diags);
	free_ir(ir);
}

/* An IR with `any` alone, and as many allows on single ports as asked for. */
static struct pol_ir *ports_ir(uint32_t rules)
{
	struct pol_arena *a = pol_arena_new();
	struct pol_ir *ir = pol_arena_alloc(a, sizeof(*ir));
	struct pol_pred any = { .n = 1 };

	ir->arena = a;
	make_selectors(ir);
	any.term = pol_arena_alloc(a, sizeof(*any.term));
	any.term[0] = (struct pol_term){ POL_PEER_ALL, 0, 0 };
	*pol_vec_push(&ir->preds) = any;
	*pol_vec_push(&ir->asets) = pol_aset_all(a);
	*pol_vec_push(&ir->asets) = pol_aset_of(a, NULL, 0, NULL, 0);
	ir->pool = 1;
	*pol_vec_push(&ir->l4sets) = pol_l4set_all(a);
	for (uint32_t i = 0; i < rules; i++) {
		uint32_t key = POL_L4_KEY(i < 60000 ? 6 : 17, i % 60000);

		*pol_vec_push(&ir->l4sets) = pol_l4set_of(a, &(struct pol_range32){ key, key }, 1);
		add_rule(ir, POL_STAGE_MAIN, POL_ALLOW, POL_INGRESS)->l4 = i + 1;
	}
	return ir;
}

static void capacity_is_checked(void **unused)
{
	struct pol_ir *ir = ports_ir(20);

	(void)unused;
	for (int32_t i = 0; i < 9; i++) {
		*pol_vec_push(&ir->limits) = (struct pol_limit){ .rule = (uint32_t)i };
		ir->rules.v[i].limit = i;
		ir->rules.v[i].l4 = 0;
	}
	refused(ir, 0, POL_P0514);
	ir = ports_ir(40);
	for (int32_t i = 0; i <= POL_VERDICT_HTTP; i++) {
		*pol_vec_push(&ir->https) = (struct pol_ir_http){ .rule = (uint32_t)i };
		ir->rules.v[i].http = i;
		ir->rules.v[i].l4 = 0;
	}
	refused(ir, 0, POL_P0516);
	refused(ports_ir(3000), 64, POL_P0513);
	refused(ports_ir(3000), 2, POL_P0513);
	refused(ports_ir(66000), 0, POL_P0512);
}

/* ---- C ---------------------------------------------------------------------------- */

/* What a policy says cannot get out of a comment or a string. */
static void text_stays_text(void **unused)
{
	static const char *const evil[] = {
		"x */ int evil; /* y", "*/",    "/*/ evil", "a ?\?/", "b \\",
		"\n#error evil\n",     "*\x01/"
	};
	struct pol_ir *ir = ports_ir(POL_ARRAY_LEN(evil));
	struct pol_sources *sources = pol_sources_new(ir->arena);
	struct pol_buf out = { 0 };
	struct pol_tables *t;

	(void)unused;
	pol_source_add(sources, POL_STR("/a/p.pol"), POL_STR("a\"b\\c\n?\?/*/.pol"),
		       POL_STR("line one\nline two\n"));
	ir->sources = sources;
	for (size_t i = 0; i < ir->rules.n; i++) {
		ir->rules.v[i].text = pol_str(evil[i]);
		ir->rules.v[i].span = (struct pol_span){ 0, 10, 14 };
	}
	order_rules(ir);
	t = tabulate(ir);
	pol_emit_c(t, &out);
	assert_null(strstr(out.p, "x */"));
	assert_null(strstr(out.p, "evil; /*"));
	assert_null(strstr(out.p, "??"));
	assert_null(strstr(out.p, "\n#error"));
	assert_null(strstr(out.p, "\\\n"));
	assert_non_null(strstr(out.p, "\n#line 2 \"a\\042b\\134c\\012\\077\\077/*/.pol\"\n"));
	/* NEL ends a line in YAML, though not in JSON. */
	ir->rules.v[0].text = POL_STR("a\xc2\x85 \"b\" \xe2\x80\xa8");
	out.n = 0;
	pol_emit_rules(t, &out);
	assert_non_null(strstr(out.p, "text: \"a\\u0085 \\\"b\\\" \\u2028\"}"));
	pol_buf_free(&out);
	pol_tables_free(t);
	pol_sources_free(sources);
	free_ir(ir);
}

/* ---- ranges ------------------------------------------------------------------------------------ */

static void range_algebra(void **unused)
{
	struct pol_arena *a = pol_arena_new();

	(void)unused;
	for (unsigned round = 0; round < 300; round++) {
		struct pol_aset x = some_aset(a), y = some_aset(a);
		struct pol_aset u = pol_aset_combine(a, POL_SET_UNION, x, y);
		struct pol_aset i = pol_aset_combine(a, POL_SET_INTERSECT, x, y);
		struct pol_aset d = pol_aset_combine(a, POL_SET_SUBTRACT, x, y);

		for (unsigned k = 0; k < 40; k++) {
			struct pol_ip ip = some_ip();
			bool in_x = pol_aset_contains(x, ip), in_y = pol_aset_contains(y, ip);

			assert_int_equal(pol_aset_contains(u, ip), in_x || in_y);
			assert_int_equal(pol_aset_contains(i, ip), in_x && in_y);
			assert_int_equal(pol_aset_contains(d, ip), in_x && !in_y);
		}
		assert_true(pol_aset_equal(pol_aset_combine(a, POL_SET_UNION, i, d), x));
		assert_true(pol_aset_subset(i, y) && pol_aset_subset(x, u));
		assert_int_equal(pol_aset_overlap(x, y), !pol_aset_empty(i));
		assert_false(pol_aset_overlap(d, y));
	}
	pol_arena_free(a);
}

int main(void)
{
	const char *seed = getenv("POL_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_algebra),
		cmocka_unit_test(sets_are_exact),
		cmocka_unit_test(classes_tell_sets_apart),
		cmocka_unit_test(numbering_ignores_definition_order),
		cmocka_unit_test(tables_say_what_the_evaluator_says),
		cmocka_unit_test(capacity_is_checked),
		cmocka_unit_test(text_stays_text),
	};

	if (seed)
		state = strtoull(seed, NULL, 0) | 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
