/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Placement against a reference that has no tables: random policies of blocks,
 * random endpoints that come and go, and after every change the maps as the
 * caller would have written them are walked for every pair and L4 class.
 *
 * PLACE_SEED=N chooses the seed, PLACE_ROUNDS=N how many policies.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "place_policy.h"

/* ---- the maps, as a caller writes them ----------------------------------- */

enum { THINGS = 40 };

struct maps {
	const struct policy *p;
	uint32_t *pages;
	struct pol_verdict *verdicts;
	uint32_t root[THINGS + 1][POL_DIRECTIONS];
	uint32_t column[THINGS + 1][3];
	struct thing thing[THINGS + 1];
	uint32_t graces, columns;
};

static void maps_new(struct maps *m, const struct policy *p)
{
	const struct prt_object *o = p->object;

	memset(m, 0, sizeof(*m));
	m->p = p;
	m->pages = calloc(o->max_pages, POL_PAGE * sizeof(uint32_t));
	m->verdicts = calloc(o->max_verdicts, sizeof(*m->verdicts));
	assert_non_null(m->pages);
	assert_non_null(m->verdicts);
	memcpy(m->pages, o->pages, o->manifest.pages_used * POL_PAGE * sizeof(uint32_t));
	memcpy(m->verdicts, o->verdicts, o->manifest.verdicts_used * sizeof(*m->verdicts));
}

static void maps_free(struct maps *m)
{
	free(m->pages);
	free(m->verdicts);
}

static void mark(const struct maps *m, bool *page, bool *verdict, uint32_t n, unsigned height)
{
	if (!height) {
		verdict[n] = true;
		return;
	}
	page[n] = true;
	for (unsigned i = 0; n && i < POL_PAGE; i++)
		mark(m, page, verdict, m->pages[(size_t)n * POL_PAGE + i], height - 1);
}

/* Nothing that a packet may be walking is written to. */
static void check_untouched(const struct maps *m, const struct prt_place_update *u)
{
	const struct prt_object *o = m->p->object;
	bool *page = calloc(o->max_pages, 1), *verdict = calloc(o->max_verdicts, 1);

	assert_non_null(page);
	assert_non_null(verdict);
	for (unsigned i = 1; i <= THINGS; i++)
		for (unsigned d = 0; d < POL_DIRECTIONS; d++)
			mark(m, page, verdict, m->root[i][d],
			     o->manifest.column_levels + o->manifest.l4_levels);
	for (size_t i = 0; i < u->pages.n; i++) {
		assert_false(page[u->pages.v[i]]);
		assert_true(u->pages.v[i] >= o->manifest.pages_used);
	}
	for (size_t i = 0; i < u->verdicts.n; i++)
		assert_false(verdict[u->verdicts.v[i]]);
	free(page);
	free(verdict);
}

static void publish(struct maps *m, const struct prt_place *place, struct prt_place_update *u)
{
	const size_t page = POL_PAGE * sizeof(uint32_t);

	check_untouched(m, u);
	m->graces += u->grace;
	m->columns = prt_place_columns(place);
	for (size_t i = 0; i < u->verdicts.n; i++)
		m->verdicts[u->verdicts.v[i]] = prt_place_verdicts(place)[u->verdicts.v[i]];
	for (size_t i = 0; i < u->pages.n; i++)
		memcpy((char *)m->pages + u->pages.v[i] * page,
		       (const char *)prt_place_pages(place) + u->pages.v[i] * page, page);
	for (size_t i = 0; i < u->roots.n; i++)
		memcpy(m->root[u->roots.v[i].ep], u->roots.v[i].root, sizeof(m->root[0]));
	for (size_t i = 0; i < u->columns.n; i++)
		m->column[u->columns.v[i].ep][u->columns.v[i].address] = u->columns.v[i].column;
	prt_place_update_free(u);
}

static const struct pol_verdict *walk(const struct maps *m, uint32_t root, uint32_t column,
				      uint32_t l4)
{
	unsigned levels = m->p->object->manifest.column_levels + 1;
	uint64_t key = (uint64_t)column << POL_PAGE_BITS | l4;

	while (levels-- > 0)
		root = m->pages[(size_t)root * POL_PAGE +
				((key >> (POL_PAGE_BITS * levels)) & (POL_PAGE - 1))];
	return &m->verdicts[root];
}

static void same(const struct pol_verdict *got, const struct pol_verdict *want)
{
	if (memcmp(got, want, sizeof(*got)) != 0)
		fail_msg("got action %u rule %u audit %u limits %u, want %u %u %u %u", got->action,
			 got->rule, got->audit_rule, got->nlimits, want->action, want->rule,
			 want->audit_rule, want->nlimits);
}

static void check_own(const struct maps *m, const struct prt_place *place, uint32_t ep, unsigned d)
{
	static const struct pol_ip of_class[] = { { .family = 4, .lo = 1 },
						  { .family = 4, .lo = 10u << 24 },
						  { .family = 4, .lo = 10u << 24 | 1 << 16 },
						  { .family = 4, .lo = 0xfffffffe },
						  { .family = 6, .lo = 9 } };
	const struct thing *own = &m->thing[ep];
	struct pol_verdict want, got;

	for (uint32_t l4 = 0; l4 < L4; l4++) {
		for (uint32_t e = 0; e < POL_ENTITY_STATIC_MAX; e++)
			for (uint32_t c = 0; c < MADE_CLASSES; c++) {
				struct prt_place_peer peer = { e, of_class[c], 0 };

				want = reference(m->p, own, d, NULL, e, c, l4);
				same(walk(m, m->root[ep][d], e * POL_PAGE + c, l4), &want);
				assert_int_equal(prt_place_verdict(place, ep, d, &peer, l4, &got),
						 0);
				same(&got, &want);
			}
		for (uint32_t i = 1; i <= THINGS; i++)
			for (uint32_t j = 0; m->thing[i].known && j < m->thing[i].naddrs; j++) {
				struct prt_place_peer peer = { .entity = POL_ENTITY_ENDPOINT,
							       .column = m->column[i][j] };

				want = reference(m->p, own, d, &m->thing[i], 0,
						 class_of(m->thing[i].addr[j]), l4);
				same(walk(m, m->root[ep][d], m->column[i][j], l4), &want);
				assert_int_equal(prt_place_verdict(place, ep, d, &peer, l4, &got),
						 0);
				same(&got, &want);
			}
	}
}

static void check_all(const struct maps *m, const struct prt_place *place)
{
	for (uint32_t i = 1; i <= THINGS; i++)
		for (unsigned d = 0; d < POL_DIRECTIONS; d++)
			if (m->thing[i].known && m->thing[i].local)
				check_own(m, place, i, d);
}

/* ---- endpoints that come and go ------------------------------------------ */

static void random_thing(struct thing *t)
{
	*t = (struct thing){ .known = true, .local = rnd(4) != 0, .naddrs = 1 + rnd(3) };
	for (unsigned i = 0; i < KEYS; i++)
		t->value[i] = rnd(VALUES + 2);
	for (unsigned i = 0; i < t->naddrs; i++) {
		t->addr[i].family = rnd(3) ? 4 : 6;
		t->addr[i].lo = t->addr[i].family == 4
					? (9u << 24) + rnd(4) * (1u << 23) + rnd(9) * 65536
					: rnd(100);
	}
}

struct view {
	struct prt_label label[KEYS];
	char other[KEYS][8];
	struct prt_place_ep ep;
};

static void view_of(struct view *v, const struct thing *t, uint32_t number)
{
	size_t n = 0;

	for (unsigned i = KEYS; i-- > 0;) {
		if (t->value[i] == VALUES)
			continue;
		snprintf(v->other[i], sizeof(v->other[i]), "o%u", number);
		v->label[n++] = (struct prt_label){
			pol_str(key_name[i]),
			pol_str(t->value[i] < VALUES ? value_name[t->value[i]] : v->other[i])
		};
	}
	v->ep = (struct prt_place_ep){ number, t->local, v->label, n, t->addr, t->naddrs };
}

static int add_some(struct maps *m, struct prt_place *place, uint32_t count)
{
	struct prt_place_update u = { 0 };
	struct view view[THINGS];
	struct prt_place_ep eps[THINGS];
	struct pol_err err = { 0 };
	uint32_t n = 0;
	int ret;

	for (uint32_t i = 1; i <= THINGS && n < count; i++)
		if (!m->thing[i].known) {
			random_thing(&m->thing[i]);
			view_of(&view[n], &m->thing[i], i);
			eps[n] = view[n].ep;
			n++;
		}
	ret = prt_place_add(place, eps, n, &u, &err);
	if (!ret) {
		publish(m, place, &u);
		return 0;
	}
	assert_int_equal(ret, -ENOSPC);
	assert_true(err.text[0] && err.help[0]);
	for (uint32_t i = 0; i < n; i++)
		m->thing[eps[i].ep].known = false;
	return ret;
}

static void delete_some(struct maps *m, struct prt_place *place, uint32_t one_in)
{
	struct pol_err err = { 0 };

	for (uint32_t i = 1; i <= THINGS; i++)
		if (m->thing[i].known && !rnd(one_in)) {
			assert_int_equal(prt_place_del(place, i, &err), 0);
			m->thing[i].known = false;
			memset(m->root[i], 0, sizeof(m->root[i]));
			memset(m->column[i], 0, sizeof(m->column[i]));
		}
}

static struct prt_place *adopt(const struct maps *m)
{
	struct prt_place *place = prt_place_new(m->p->object);
	struct pol_err err = { 0 };

	if (prt_place_adopt(place, m->pages, m->verdicts, m->columns, &err))
		fail_msg("%s", err.text);
	for (uint32_t i = 1; i <= THINGS; i++) {
		struct view v;

		if (!m->thing[i].known)
			continue;
		view_of(&v, &m->thing[i], i);
		if (prt_place_adopt_ep(place, &v.ep, m->root[i], m->column[i], &err))
			fail_msg("%s", err.text);
	}
	return place;
}

static void live(uint32_t max_pages, unsigned levels, uint32_t *graces, uint32_t *full)
{
	struct policy p;
	struct maps m;
	struct prt_place *place;

	policy_new(&p, max_pages, levels);
	maps_new(&m, &p);
	place = prt_place_new(p.object);
	for (unsigned step = 0; step < 12; step++) {
		*full += add_some(&m, place, rnd(step ? 6 : 20)) != 0;
		check_all(&m, place);
		delete_some(&m, place, 3);
		if (!rnd(3)) {
			prt_place_free(place);
			place = adopt(&m);
			check_all(&m, place);
		}
	}
	*graces += m.graces;
	prt_place_free(place);
	maps_free(&m);
	policy_free(&p);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
	const char *z = getenv(name);

	return z ? (unsigned)strtoul(z, NULL, 0) : otherwise;
}

static void test_random(void **state)
{
	unsigned rounds = number_from("PLACE_ROUNDS", 30);
	uint32_t graces = 0, full = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++)
		live(1u << 14, 2, &graces, &full);
	assert_int_equal(full, 0);
	live(1u << 16, 3, &graces, &full);
}

/* Room for little: pages are used again, and a change that does not fit changes nothing. */
static void test_tight(void **state)
{
	unsigned rounds = number_from("PLACE_ROUNDS", 30);
	uint32_t graces = 0, full = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++)
		live(1, 2, &graces, &full);
	assert_true(graces > 0);
	assert_true(full > 0);
}

/* ---- single cases -------------------------------------------------------- */

static void test_deterministic(void **state)
{
	struct policy p;
	struct maps a, b;
	struct prt_place *pa, *pb;
	uint64_t seed;

	(void)state;
	policy_new(&p, 1u << 14, 2);
	maps_new(&a, &p);
	maps_new(&b, &p);
	pa = prt_place_new(p.object);
	pb = prt_place_new(p.object);
	seed = rng_state;
	add_some(&a, pa, 20);
	add_some(&a, pa, 5);
	rng_state = seed;
	add_some(&b, pb, 20);
	add_some(&b, pb, 5);
	assert_int_equal(prt_place_npages(pa), prt_place_npages(pb));
	assert_memory_equal(a.pages, b.pages, p.object->max_pages * POL_PAGE * sizeof(uint32_t));
	assert_memory_equal(a.root, b.root, sizeof(a.root));
	assert_memory_equal(a.column, b.column, sizeof(a.column));
	prt_place_free(pa);
	prt_place_free(pb);
	maps_free(&a);
	maps_free(&b);
	policy_free(&p);
}

/* An endpoint of known kinds makes nothing new, also for a process that adopted what is there. */
static void test_known_kind(void **state)
{
	struct prt_place_update u = { 0 };
	struct pol_err err = { 0 };
	struct prt_place *place;
	struct policy p;
	struct maps m;
	struct view v;

	(void)state;
	policy_new(&p, 1u << 14, 2);
	maps_new(&m, &p);
	place = prt_place_new(p.object);
	add_some(&m, place, 20);
	prt_place_free(place);
	place = adopt(&m);
	m.thing[30] = m.thing[1];
	m.thing[30].local = m.thing[1].local;
	view_of(&v, &m.thing[30], 30);
	assert_int_equal(prt_place_add(place, &v.ep, 1, &u, &err), 0);
	assert_int_equal(u.pages.n, 0);
	assert_int_equal(u.verdicts.n, 0);
	assert_int_equal(u.roots.n, m.thing[30].local);
	assert_int_equal(u.columns.n, m.thing[30].naddrs);
	assert_false(u.grace);
	publish(&m, place, &u);
	check_all(&m, place);
	assert_int_equal(prt_place_add(place, &v.ep, 1, &u, &err), -EEXIST);
	assert_int_equal(prt_place_del(place, 39, &err), -ENOENT);
	prt_place_free(place);
	maps_free(&m);
	policy_free(&p);
}

/* A publication that was cut off between two roots of one own kind is put right. */
static void test_torn(void **state)
{
	struct policy p;
	struct maps m;
	struct prt_place *place;

	(void)state;
	policy_new(&p, 1u << 14, 2);
	maps_new(&m, &p);
	place = prt_place_new(p.object);
	add_some(&m, place, 10);
	m.thing[20] = m.thing[1];
	m.thing[20].local = m.thing[1].local = true;
	prt_place_free(place);
	memset(m.root, 0, sizeof(m.root));
	memset(m.column, 0, sizeof(m.column));
	place = prt_place_new(p.object);
	for (uint32_t i = 1; i <= 20; i++) {
		struct prt_place_update u = { 0 };
		struct pol_err err = { 0 };
		struct view v;
		uint32_t old[2];

		if (!m.thing[i].known)
			continue;
		memcpy(old, m.root[1], sizeof(old));
		view_of(&v, &m.thing[i], i);
		assert_int_equal(prt_place_add(place, &v.ep, 1, &u, &err), 0);
		publish(&m, place, &u);
		if (i == 20) /* as if thing 20 had the tree of before thing 10 */
			break;
		if (i == 9)
			memcpy(m.root[21], old, sizeof(old));
	}
	memcpy(m.root[20], m.root[21], sizeof(m.root[20]));
	memset(m.root[21], 0, sizeof(m.root[21]));
	prt_place_free(place);
	place = adopt(&m);
	add_some(&m, place, 1);
	check_all(&m, place);
	assert_memory_equal(m.root[20], m.root[1], sizeof(m.root[1]));
	prt_place_free(place);
	maps_free(&m);
	policy_free(&p);
}

/* ---- columns ------------------------------------------------------------- */

enum { MANY = 70, COLUMNS = 64, WIDE = 320 }; /* 1024 - 3 * 320 columns are left */

/* One block that allows value vN of label k by rule N. */
static struct prt_object *wide_object(void)
{
	struct pol_table *t = pol_table_new(1u << 16, 1u << 12);
	struct pol_buf b = { 0 }, rules = { 0 };
	struct prt_object *o = NULL;
	struct pol_err err = { 0 };
	uint32_t row[MANY];
	size_t size;
	char *data;

	for (uint32_t i = 0; i < MANY; i++) {
		struct pol_verdict v = { .order = i,
					 .rule = i,
					 .audit_rule = POL_NO_RULE,
					 .action = POL_ALLOW,
					 .flags = POL_VF_ADDS };

		row[i] = pol_table_uniform(t, pol_table_verdict(t, &v), 0, 1);
		pol_buf_addz(&rules, "- {file: t.pol, line: 1, policy: p, direction: ingress, "
				     "action: allow, text: \"r\"}\n");
	}
	uint32_t none = pol_table_uniform(t, POL_VERDICT_NONE, 0, 1);
	uint32_t root = pol_table_uniform(t, none, 1, 3);

	pol_buf_printf(&b,
		       "polc: \"0\"\nabi: %u\npolicy: t.pol\nsources: 00\ndefault: deny\n"
		       "host_open: true\naddress_classes: %u\nl4_classes: 1\ncolumn_levels: 2\n"
		       "l4_levels: 1\npages_used: %u\nverdicts_used: %u\nlimits: 0\nclasses: []\n"
		       "sets:\n  - [0-%u]\nselectors:\n  - {op: true}\n",
		       POL_ABI_VERSION, WIDE, pol_table_npages(t), pol_table_nverdicts(t),
		       WIDE - 1);
	for (unsigned i = 0; i < MANY; i++)
		pol_buf_printf(&b, "  - {op: in, key: k, values: [v%u]}\n", i);
	pol_buf_addz(&b, "predicates:\n");
	for (unsigned i = 0; i < MANY; i++)
		pol_buf_printf(&b, "  - [{selector: %u, set: 0}]\n", i + 1);
	pol_buf_printf(&b,
		       "blocks:\n  - {subject: 0, direction: ingress, stage: main, audit: false, "
		       "root: %u, base: %u, rows: [",
		       root, none);
	for (unsigned i = 0; i < MANY; i++)
		pol_buf_printf(&b, "%s[%u, %u]", i ? ", " : "", i, row[i]);
	pol_buf_addz(&b, "]}\n");
	data = make_object(&(struct made){ pol_buf_str(&b), pol_buf_str(&rules), t, 1u << 10,
					   1u << 10, 1, NULL, 0 },
			   &size);
	if (prt_object_parse("wide.bpf.o", data, size, &o, &err))
		fail_msg("%s", err.text);
	pol_buf_free(&b);
	pol_buf_free(&rules);
	pol_table_free(t);
	return o;
}

struct valued {
	struct pol_ip ip;
	char text[16];
	struct prt_label label;
	struct prt_place_ep ep;
};

static void valued(struct valued *v, uint32_t value, uint32_t number)
{
	*v = (struct valued){ .ip = { .family = 4, .lo = number } };
	v->label = (struct prt_label){ POL_STR("k"), { v->text, 0 } };
	v->label.value.n = (size_t)snprintf(v->text, sizeof(v->text), "v%u", value);
	v->ep = (struct prt_place_ep){ number, true, &v->label, 1, &v->ip, 1 };
}

static int add_value(struct prt_place *place, uint32_t value, uint32_t number,
		     struct prt_place_update *u, struct pol_err *err)
{
	struct valued v;

	valued(&v, value, number);
	prt_place_update_free(u);
	*err = (struct pol_err){ 0 };
	return prt_place_add(place, &v.ep, 1, u, err);
}

static uint32_t rule_for(const struct prt_place *place, uint32_t ep, uint32_t peer)
{
	struct prt_place_peer from = { .entity = POL_ENTITY_ENDPOINT,
				       .column = prt_place_get_column(place, peer, 0) };
	struct pol_verdict v;

	assert_int_equal(prt_place_verdict(place, ep, POL_INGRESS, &from, 0, &v), 0);
	return v.action == POL_ALLOW ? v.rule : POL_NO_RULE;
}

/* Columns run out, are given up, and are used again by another kind. */
static void test_columns(void **state)
{
	struct prt_object *o = wide_object();
	struct prt_place *place = prt_place_new(o);
	struct prt_place_update u = { 0 };
	struct prt_place_stats before, after;
	struct pol_err err;
	uint32_t column;

	(void)state;
	for (uint32_t i = 0; i < COLUMNS; i++) {
		assert_int_equal(add_value(place, i, i + 1, &u, &err), 0);
		assert_int_equal(u.roots.n, i + 1); /* one own kind: everybody's tree has grown */
	}
	prt_place_stats(place, &before);
	assert_int_equal(before.columns_used, COLUMNS);
	assert_int_equal(add_value(place, 64, 100, &u, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "64"));
	assert_non_null(strstr(err.help, "--endpoint-kinds"));
	prt_place_stats(place, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	column = prt_place_get_column(place, 5, 0);
	assert_int_equal(prt_place_del(place, 5, &err), 0);
	assert_int_equal(add_value(place, 65, 101, &u, &err), 0);
	assert_true(u.grace);
	assert_int_equal(prt_place_get_column(place, 101, 0), column);
	assert_int_equal(rule_for(place, 7, 101), 65);
	assert_int_equal(rule_for(place, 101, 7), 6);
	assert_int_equal(add_value(place, 4, 102, &u, &err), -ENOSPC);
	assert_int_equal(add_value(place, 65, 103, &u, &err), 0);
	assert_int_equal(u.pages.n, 0);
	prt_place_update_free(&u);
	prt_place_free(place);
	prt_object_free(o);
}

/* What another process has of endpoint `number` of `from`; columns: as prt_place_adopt has it. */
static struct prt_place *adopt_value(struct prt_object *o, const struct prt_place *from,
				     uint32_t value, uint32_t number, uint32_t columns)
{
	struct prt_place *place = prt_place_new(o);
	uint32_t root[POL_DIRECTIONS], column = prt_place_get_column(from, number, 0);
	struct pol_err err = { 0 };
	struct valued v;

	valued(&v, value, number);
	assert_int_equal(prt_place_get_root(from, number, root), 0);
	assert_int_equal(prt_place_adopt(place, prt_place_pages(from), prt_place_verdicts(from),
					 columns, &err),
			 0);
	assert_int_equal(prt_place_adopt_ep(place, &v.ep, root, &column, &err), 0);
	return place;
}

/* A column that somebody had is not fresh for the next process; one that nobody had is, if that is known. */
static void test_fresh(void **state)
{
	struct prt_object *o = wide_object();
	struct prt_place *first = prt_place_new(o), *place;
	struct prt_place_update u = { 0 };
	struct pol_err err;
	uint32_t gone;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(add_value(first, i, i + 1, &u, &err), 0);
	assert_int_equal(prt_place_columns(first), 3);
	gone = prt_place_get_column(first, 2, 0);
	assert_int_equal(prt_place_del(first, 2, &err), 0);
	assert_int_equal(prt_place_columns(first), 3);

	place = adopt_value(o, first, 0, 1, prt_place_columns(first));
	for (uint32_t i = 3; i < COLUMNS; i++) {
		assert_int_equal(add_value(place, i, i + 1, &u, &err), 0);
		assert_false(u.grace);
		assert_true(prt_place_get_column(place, i + 1, 0) != gone);
	}
	assert_int_equal(prt_place_columns(place), COLUMNS);
	assert_int_equal(add_value(place, 65, 100, &u, &err), 0);
	assert_true(u.grace);
	assert_int_equal(rule_for(place, 1, 100), 65);
	prt_place_free(place);

	place = adopt_value(o, first, 0, 1, 0);
	assert_int_equal(add_value(place, 65, 100, &u, &err), 0);
	assert_true(u.grace);
	assert_int_equal(rule_for(place, 1, 100), 65);
	prt_place_free(place);

	place = prt_place_new(o);
	assert_int_equal(prt_place_adopt(place, prt_place_pages(first), prt_place_verdicts(first),
					 COLUMNS + 1, &err),
			 -ESTALE);
	prt_place_free(place);
	prt_place_update_free(&u);
	prt_place_free(first);
	prt_object_free(o);
}

static void test_stale(void **state)
{
	struct pol_err err = { 0 };
	struct prt_place *place;
	struct policy p;
	struct maps m;
	struct view v;
	uint32_t bad[3] = { 5, 5, 5 }, root[2] = { 0, 0 };

	(void)state;
	policy_new(&p, 1u << 14, 2);
	maps_new(&m, &p);
	place = prt_place_new(p.object);
	random_thing(&m.thing[1]);
	m.thing[1].local = true;
	view_of(&v, &m.thing[1], 1);
	assert_int_equal(prt_place_adopt_ep(place, &v.ep, root, bad, &err), -ESTALE);
	root[0] = p.object->max_pages;
	assert_int_equal(prt_place_adopt_ep(place, &v.ep, root, bad, &err), -ESTALE);
	m.pages[POL_PAGE] ^= 1;
	assert_int_equal(prt_place_adopt(place, m.pages, m.verdicts, 0, &err), -ESTALE);
	prt_place_free(place);
	maps_free(&m);
	policy_free(&p);
}

static int setup(void **state)
{
	(void)state;
	rng_state = number_from("PLACE_SEED", 20260101) * 0x9e3779b97f4a7c15u | 1;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_tight, setup),
		cmocka_unit_test_setup(test_deterministic, setup),
		cmocka_unit_test_setup(test_known_kind, setup),
		cmocka_unit_test_setup(test_torn, setup),
		cmocka_unit_test_setup(test_columns, setup),
		cmocka_unit_test_setup(test_fresh, setup),
		cmocka_unit_test_setup(test_stale, setup),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
