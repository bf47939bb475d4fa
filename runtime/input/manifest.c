/* SPDX-License-Identifier: GPL-2.0-only */
#include "manifest.h"

#include <errno.h>
#include <polc/service.h>
#include <stdio.h>

#include "base/yaml.h"

#define CLASSES_MAX (1u << 24)
#define L4_CLASSES_MAX (1u << 16)
#define COUNT_MAX 0x7fffffffu

struct reader {
	struct pol_yaml_doc doc;
	struct pol_arena *arena;
	struct prt_manifest *m;
	/* While reading, IN selectors hold their values as text, by selector. */
	struct pol_str **values;
};

/* One array of the manifest from a list, an item at a time. */
#define READ_LIST(r, at, what, field, count, read)                                                 \
	({                                                                                         \
		int ret_ = pol_yaml_list(&(r)->doc, at, what);                                     \
		if (!ret_) {                                                                       \
			(r)->m->field =                                                            \
				pol_arena_alloc((r)->arena, (at)->n * sizeof(*(r)->m->field));     \
			for (size_t i_ = 0; !ret_ && i_ < (at)->n; i_++) {                         \
				ret_ = read(r, &(at)->item[i_], &(r)->m->field[i_]);               \
				(r)->m->count = i_ + 1;                                            \
			}                                                                          \
		}                                                                                  \
		ret_;                                                                              \
	})

/* An index below `end`: what it points to has been read already. */
static int read_index(struct reader *r, const struct pol_yaml *at, const char *what, size_t end,
		      uint32_t *out)
{
	if (!end)
		return pol_yaml_err(&r->doc, at, "%s, where there is none yet", what);
	return pol_yaml_u32(&r->doc, at, what, 0, (uint32_t)(end - 1), out);
}

/* ---- selectors and classes ----------------------------------------------- */

static int read_values(struct reader *r, const struct pol_yaml *at, struct prt_selector *s)
{
	struct pol_str *v;
	int ret = pol_yaml_list(&r->doc, at, "values");

	if (ret)
		return ret;
	if (!at->n)
		return pol_yaml_err(&r->doc, at, "values are empty");
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; !ret && i < at->n; i++)
		ret = pol_yaml_text(&r->doc, &at->item[i], "a value", &v[i]);
	r->values[s - r->m->selector] = v;
	s->n = at->n;
	return ret;
}

static int read_operands(struct reader *r, const struct pol_yaml *at, struct prt_selector *s)
{
	size_t id = (size_t)(s - r->m->selector);
	int ret = pol_yaml_list(&r->doc, at, "of");

	if (ret)
		return ret;
	if (!at->n || (s->op == PRT_SEL_NOT && at->n != 1))
		return pol_yaml_err(&r->doc, at, "the wrong number of operands");
	s->operand = pol_arena_alloc(r->arena, at->n * sizeof(*s->operand));
	s->n = at->n;
	for (size_t i = 0; !ret && i < at->n; i++)
		ret = read_index(r, &at->item[i], "an operand", id, &s->operand[i]);
	return ret;
}

static int read_selector(struct reader *r, const struct pol_yaml *at, struct prt_selector *s)
{
#define PRT_SEL_NAME(e, n) n,
	static const char *const op[] = { PRT_SEL_OPS(PRT_SEL_NAME) };
#undef PRT_SEL_NAME
	enum { OP, KEY, VALUES, OF, KEYS };
	static const char *const key[] = { "op", "key", "values", "of" };
	static const uint8_t needs[] = {
		/* one bit for each of KEYS */
		[PRT_SEL_TRUE] = 1 << OP,           [PRT_SEL_IN] = 1 << OP | 1 << KEY | 1 << VALUES,
		[PRT_SEL_HAS] = 1 << OP | 1 << KEY, [PRT_SEL_NOT] = 1 << OP | 1 << OF,
		[PRT_SEL_AND] = 1 << OP | 1 << OF,  [PRT_SEL_OR] = 1 << OP | 1 << OF,
	};
	const struct pol_yaml *v[KEYS];
	uint32_t which = 0;
	int ret = pol_yaml_map(&r->doc, at, "a selector", key, KEYS, v);

	if (ret)
		return ret;
	if (!v[OP])
		return pol_yaml_err(&r->doc, at, "a selector has no `op`");
	ret = pol_yaml_choice(&r->doc, v[OP], "op", op, POL_ARRAY_LEN(op), &which);
	if (ret)
		return ret;
	s->op = (enum prt_sel_op)which;
	for (unsigned i = 0; i < KEYS; i++)
		if (!!v[i] != (needs[s->op] >> i & 1))
			return pol_yaml_err(&r->doc, at, "a selector `%s` %s `%s`", op[s->op],
					    v[i] ? "cannot have" : "needs", key[i]);
	if (v[KEY])
		ret = pol_yaml_text(&r->doc, v[KEY], "key", &s->key);
	if (!ret && v[VALUES])
		ret = read_values(r, v[VALUES], s);
	if (!ret && v[OF])
		ret = read_operands(r, v[OF], s);
	return ret;
}

static int read_selectors(struct reader *r, const struct pol_yaml *at)
{
	int ret;

	r->values = pol_arena_alloc(r->arena,
				    (at->kind == POL_YAML_LIST ? at->n : 0) * sizeof(*r->values));
	ret = READ_LIST(r, at, "selectors", selector, nselectors, read_selector);
	if (!ret && (!at->n || r->m->selector[0].op != PRT_SEL_TRUE))
		return pol_yaml_err(&r->doc, at, "the first selector must be {op: true}");
	return ret;
}

static int read_class(struct reader *r, const struct pol_yaml *at, struct prt_class *c)
{
	static const char *const key[] = { "name", "selector" };
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	int ret = pol_yaml_map(&r->doc, at, "a class", key, POL_ARRAY_LEN(key), v);

	if (!ret && (!v[0] || !v[1]))
		return pol_yaml_err(&r->doc, at, "a class needs `name` and `selector`");
	if (!ret)
		ret = pol_yaml_text(&r->doc, v[0], "name", &c->name);
	if (!ret)
		ret = read_index(r, v[1], "selector", r->m->nselectors, &c->selector);
	return ret;
}

/* ---- label keys and values as numbers ------------------------------------ */

static int by_text(const void *a, const void *b)
{
	return pol_str_cmp(*(const struct pol_str *)a, *(const struct pol_str *)b);
}

static int by_atom(const void *a, const void *b)
{
	const struct prt_atom *x = a, *y = b;

	return x->key_id != y->key_id ? (x->key_id < y->key_id ? -1 : 1)
				      : pol_str_cmp(x->value, y->value);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t prt_key_find(const struct prt_manifest *m, struct pol_str key)
{
	const struct pol_str *at =
		m->nkeys ? bsearch(&key, m->key, m->nkeys, sizeof(*m->key), by_text) : NULL;

	return at ? (uint32_t)(at - m->key) : PRT_NONE;
}

uint32_t prt_atom_find(const struct prt_manifest *m, uint32_t key_id, struct pol_str value)
{
	struct prt_atom want = { key_id, value };
	const struct prt_atom *at =
		m->natoms ? bsearch(&want, m->atom, m->natoms, sizeof(*m->atom), by_atom) : NULL;

	return at ? (uint32_t)(at - m->atom) : PRT_NONE;
}

/* Sorts, then drops what equals its predecessor; how many remain. */
static size_t sort_unique(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	char *p = v;
	size_t kept = 0;

	if (n)
		qsort(v, n, size, cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || cmp(p + (kept - 1) * size, p + i * size) != 0) {
			if (kept != i)
				memcpy(p + kept * size, p + i * size, size);
			kept++;
		}
	return kept;
}

static void number_keys(struct reader *r)
{
	struct prt_manifest *m = r->m;
	size_t n = 0;

	m->key = pol_arena_alloc(r->arena, m->nselectors * sizeof(*m->key));
	for (size_t i = 0; i < m->nselectors; i++)
		if (m->selector[i].op == PRT_SEL_IN || m->selector[i].op == PRT_SEL_HAS)
			m->key[n++] = m->selector[i].key;
	m->nkeys = sort_unique(m->key, n, sizeof(*m->key), by_text);
	for (size_t i = 0; i < m->nselectors; i++)
		if (m->selector[i].op == PRT_SEL_IN || m->selector[i].op == PRT_SEL_HAS)
			m->selector[i].key_id = prt_key_find(m, m->selector[i].key);
}

static void number_values(struct reader *r)
{
	struct prt_manifest *m = r->m;
	size_t n = 0;

	for (size_t i = 0; i < m->nselectors; i++)
		n += m->selector[i].op == PRT_SEL_IN ? m->selector[i].n : 0;
	m->atom = pol_arena_alloc(r->arena, n * sizeof(*m->atom));
	n = 0;
	for (size_t i = 0; i < m->nselectors; i++)
		for (size_t j = 0; m->selector[i].op == PRT_SEL_IN && j < m->selector[i].n; j++)
			m->atom[n++] = (struct prt_atom){ m->selector[i].key_id, r->values[i][j] };
	m->natoms = sort_unique(m->atom, n, sizeof(*m->atom), by_atom);
	for (size_t i = 0; i < m->nselectors; i++) {
		struct prt_selector *s = &m->selector[i];

		if (s->op != PRT_SEL_IN)
			continue;
		s->atom = pol_arena_alloc(r->arena, s->n * sizeof(*s->atom));
		for (size_t j = 0; j < s->n; j++)
			s->atom[j] = prt_atom_find(m, s->key_id, r->values[i][j]);
		s->n = sort_unique(s->atom, s->n, sizeof(*s->atom), by_number);
	}
}

/* ---- sets and predicates ------------------------------------------------- */

/* "7" or "5-9". */
static int read_range(struct reader *r, const struct pol_yaml *at, struct prt_class_range *out)
{
	struct pol_str s, lo, hi;
	const char *dash;
	char q[POL_QUOTE];
	uint32_t end = r->m->address_classes - 1;
	int ret = pol_yaml_text(&r->doc, at, "a class", &s);

	if (ret)
		return ret;
	dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	lo = (struct pol_str){ s.p, dash ? (size_t)(dash - s.p) : s.n };
	hi = dash ? (struct pol_str){ dash + 1, s.n - lo.n - 1 } : lo;
	if (!pol_parse_u32(lo, end, &out->lo) || !pol_parse_u32(hi, end, &out->hi) ||
	    out->lo > out->hi)
		return pol_yaml_err(&r->doc, at,
				    "`%s` is not one or some of the %u address classes",
				    pol_quote(s, q), r->m->address_classes);
	return 0;
}

static int read_set(struct reader *r, const struct pol_yaml *at, struct prt_class_set *s)
{
	int ret = pol_yaml_list(&r->doc, at, "a set");

	if (ret)
		return ret;
	s->range = pol_arena_alloc(r->arena, at->n * sizeof(*s->range));
	s->n = at->n;
	for (size_t i = 0; i < at->n; i++) {
		ret = read_range(r, &at->item[i], &s->range[i]);
		if (ret)
			return ret;
		if (i && s->range[i].lo <= s->range[i - 1].hi)
			return pol_yaml_err(&r->doc, &at->item[i], "the classes do not ascend");
	}
	return 0;
}

static int read_term(struct reader *r, const struct pol_yaml *at, struct prt_term *t)
{
	static const char *const key[] = { "selector", "set" };
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	int ret = pol_yaml_map(&r->doc, at, "a term", key, POL_ARRAY_LEN(key), v);

	if (!ret && (!v[0] || !v[1]))
		return pol_yaml_err(&r->doc, at, "a term needs `selector` and `set`");
	if (!ret)
		ret = read_index(r, v[0], "selector", r->m->nselectors, &t->selector);
	if (!ret)
		ret = read_index(r, v[1], "set", r->m->nsets, &t->set);
	return ret;
}

static int read_pred(struct reader *r, const struct pol_yaml *at, struct prt_pred *p)
{
	int ret = pol_yaml_list(&r->doc, at, "a predicate");

	if (ret)
		return ret;
	p->term = pol_arena_alloc(r->arena, at->n * sizeof(*p->term));
	p->n = at->n;
	for (size_t i = 0; !ret && i < at->n; i++)
		ret = read_term(r, &at->item[i], &p->term[i]);
	return ret;
}

/* ---- blocks -------------------------------------------------------------- */

static int read_row(struct reader *r, const struct pol_yaml *at, struct prt_row *row)
{
	int ret = pol_yaml_list(&r->doc, at, "a row");

	if (!ret && at->n != 2)
		return pol_yaml_err(&r->doc, at, "a row is [predicate, page]");
	if (!ret)
		ret = read_index(r, &at->item[0], "a predicate", r->m->npreds, &row->pred);
	if (!ret)
		ret = read_index(r, &at->item[1], "a page", r->m->pages_used, &row->node);
	return ret;
}

static int read_rows(struct reader *r, const struct pol_yaml *at, struct prt_block *b)
{
	int ret = pol_yaml_list(&r->doc, at, "rows");

	if (ret)
		return ret;
	b->row = pol_arena_alloc(r->arena, at->n * sizeof(*b->row));
	b->nrows = at->n;
	for (size_t i = 0; !ret && i < at->n; i++)
		ret = read_row(r, &at->item[i], &b->row[i]);
	return ret;
}

static int read_block(struct reader *r, const struct pol_yaml *at, struct prt_block *b)
{
	enum { SUBJECT, DIRECTION, STAGE, AUDIT, ROOT, BASE, ROWS, KEYS };
	static const char *const key[] = { "subject", "direction", "stage", "audit",
					   "root",    "base",      "rows" };
	static const char *const direction[] = { "ingress", "egress" };
	static const char *const stage[] = { "admin", "main", "baseline" };
	const struct pol_yaml *v[KEYS];
	uint32_t d = 0, s = 0;
	int ret = pol_yaml_map(&r->doc, at, "a block", key, KEYS, v);

	if (ret)
		return ret;
	for (unsigned i = 0; i < KEYS; i++)
		if (!v[i])
			return pol_yaml_err(&r->doc, at, "a block needs `%s`", key[i]);
	ret = read_index(r, v[SUBJECT], "subject", r->m->nselectors, &b->subject);
	if (!ret)
		ret = pol_yaml_choice(&r->doc, v[DIRECTION], "direction", direction, 2, &d);
	if (!ret)
		ret = pol_yaml_choice(&r->doc, v[STAGE], "stage", stage, PRT_STAGES, &s);
	if (!ret)
		ret = pol_yaml_bool(&r->doc, v[AUDIT], "audit", &b->audit);
	if (!ret)
		ret = read_index(r, v[ROOT], "root", r->m->pages_used, &b->root);
	if (!ret)
		ret = read_index(r, v[BASE], "base", r->m->pages_used, &b->base);
	if (!ret)
		ret = read_rows(r, v[ROWS], b);
	b->direction = (enum pol_direction)d;
	b->stage = (enum prt_stage)s;
	return ret;
}

/* ---- the whole ----------------------------------------------------------- */

enum {
	POLC,
	ABI,
	POLICY,
	SOURCES,
	DEFAULT,
	HOST_OPEN,
	ADDRESS_CLASSES,
	L4_CLASSES,
	COLUMN_LEVELS,
	L4_LEVELS,
	PAGES_USED,
	VERDICTS_USED,
	SELECTORS,
	CLASSES,
	SETS,
	PREDICATES,
	BLOCKS,
	LIMITS,
	FILTERS,
	DYNAMIC,
	SERVICES,
	POOL,
	KEYS,
};
static const char *const root_key[] = {
	"polc",
	"abi",
	"policy",
	"sources",
	"default",
	"host_open",
	"address_classes",
	"l4_classes",
	"column_levels",
	"l4_levels",
	"pages_used",
	"verdicts_used",
	"selectors",
	"classes",
	"sets",
	"predicates",
	"blocks",
	"limits",
	"filters",
	"dynamic",
	"services",
	"pool",
};
#define KEYS_NEEDED FILTERS

static int read_filter(struct reader *r, const struct pol_yaml *at, struct prt_filter *f)
{
	enum { NAME, INTERFACES, N };
	static const char *const key[] = { "name", "interfaces" };
	const struct pol_yaml *v[N];
	int ret = pol_yaml_map(&r->doc, at, "a filter", key, N, v);

	if (!ret && (!v[NAME] || !v[INTERFACES]))
		return pol_yaml_err(&r->doc, at, "a filter has a name and interfaces");
	ret = ret ? ret : pol_yaml_text(&r->doc, v[NAME], "name", &f->name);
	ret = ret ? ret : pol_yaml_list(&r->doc, v[INTERFACES], "interfaces");
	if (ret)
		return ret;
	f->interface = pol_arena_alloc(r->arena, v[INTERFACES]->n * sizeof(*f->interface));
	f->ninterfaces = v[INTERFACES]->n;
	for (size_t i = 0; !ret && i < f->ninterfaces; i++)
		ret = pol_yaml_text(&r->doc, &v[INTERFACES]->item[i], "an interface",
				    &f->interface[i]);
	return ret;
}

static int read_dynamic(struct reader *r, const struct pol_yaml *at, struct pol_str *name)
{
	int ret = pol_yaml_text(&r->doc, at, "dynamic", name);

	if (!ret && (!name->n || name->n >= PRT_SET_NAME))
		ret = pol_yaml_err(&r->doc, at, "a name of %zu bytes", name->n);
	return ret;
}

/* "FIRST-LAST" */
static int read_pool(struct reader *r, const struct pol_yaml *at, struct prt_pool_range *out)
{
	struct pol_prefix first, last;
	struct pol_str s;
	const char *dash;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(&r->doc, at, "pool", &s);

	if (ret)
		return ret;
	dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	if (!dash || pol_prefix_parse((struct pol_str){ s.p, (size_t)(dash - s.p) }, &first) ||
	    pol_prefix_parse((struct pol_str){ dash + 1, s.n - (size_t)(dash - s.p) - 1 }, &last) ||
	    first.addr.family != last.addr.family || memchr(s.p, '/', s.n) ||
	    first.addr.hi > last.addr.hi ||
	    (first.addr.hi == last.addr.hi && first.addr.lo > last.addr.lo))
		return pol_yaml_err(&r->doc, at, "`%s` is no range of addresses", pol_quote(s, q));
	*out = (struct prt_pool_range){ first.addr, last.addr };
	return 0;
}

/* ---- services ---------------------------------------------------------------- */

static int read_ip(struct reader *r, const struct pol_yaml *at, struct pol_ip *out)
{
	struct pol_prefix p;
	struct pol_str s;
	char q[POL_QUOTE];
	int ret = pol_yaml_text(&r->doc, at, "address", &s);

	if (ret)
		return ret;
	if (pol_prefix_parse(s, &p) != POL_IP_OK || p.len != (p.addr.family == 4 ? 32 : 128))
		return pol_yaml_err(&r->doc, at, "`%s` is no address", pol_quote(s, q));
	*out = p.addr;
	return 0;
}

static int read_port(struct reader *r, const struct pol_yaml *at, uint16_t *out)
{
	uint32_t port = 0;
	int ret = pol_yaml_u32(&r->doc, at, "port", 1, 65535, &port);

	*out = (uint16_t)port;
	return ret;
}

static int read_vip(struct reader *r, const struct pol_yaml *at, struct prt_service_vip *v)
{
	static const char *const key[] = { "address", "port" };
	const struct pol_yaml *k[2];
	int ret = pol_yaml_map(&r->doc, at, "a VIP", key, 2, k);

	if (!ret && (!k[0] || !k[1]))
		return pol_yaml_err(&r->doc, at, "a VIP has an address and a port");
	ret = ret ? ret : read_ip(r, k[0], &v->addr);
	return ret ? ret : read_port(r, k[1], &v->port);
}

static int read_service_backend(struct reader *r, const struct pol_yaml *at,
				struct prt_service_backend *b)
{
	enum { SELECTOR, ADDRESS, PORT, WEIGHT, N };
	static const char *const key[] = { "selector", "address", "port", "weight" };
	const struct pol_yaml *k[N];
	int ret = pol_yaml_map(&r->doc, at, "a backend", key, N, k);

	if (!ret && (!k[SELECTOR] == !k[ADDRESS] || !k[PORT] || !k[WEIGHT]))
		return pol_yaml_err(&r->doc, at,
				    "a backend has a selector or an address, a port and a weight");
	if (!ret && k[SELECTOR])
		ret = read_index(r, k[SELECTOR], "selector", r->m->nselectors, &b->selector);
	else if (!ret)
		ret = read_ip(r, k[ADDRESS], &b->addr);
	b->by_class = !ret && k[SELECTOR];
	ret = ret ? ret : read_port(r, k[PORT], &b->port);
	return ret ? ret : pol_yaml_u32(&r->doc, k[WEIGHT], "weight", 1, 65535, &b->weight);
}

static int read_check(struct reader *r, const struct pol_yaml *at, struct prt_service *s)
{
	enum { EVERY, TIMEOUT, RISE, FALL, PATH, N };
	static const char *const key[] = { "every", "timeout", "rise", "fall", "path" };
	static const uint32_t most[] = { 3600, 60, 100, 100 };
	uint32_t *const to[] = { &s->every, &s->timeout, &s->rise, &s->fall };
	const struct pol_yaml *k[N];
	int ret = pol_yaml_map(&r->doc, at, "a check", key, N, k);

	for (unsigned i = 0; !ret && i < PATH; i++)
		ret = k[i] ? pol_yaml_u32(&r->doc, k[i], key[i], 1, most[i], to[i])
			   : pol_yaml_err(&r->doc, at, "a check needs `%s`", key[i]);
	if (!ret && k[PATH])
		ret = pol_yaml_text(&r->doc, k[PATH], "path", &s->path);
	/* it goes into a request as it is */
	for (size_t i = 0; !ret && i < s->path.n; i++)
		if (s->path.p[0] != '/' || s->path.p[i] <= ' ' || s->path.p[i] >= 0x7f)
			ret = pol_yaml_err(&r->doc, k[PATH],
					   "the path of a check cannot be asked for");
	s->checked = true;
	return ret;
}

/* Lists within a service; READ_LIST is for those of the manifest. */
#define READ_PART(r, at, what, s, field, count, read)                                              \
	({                                                                                         \
		int part_ = pol_yaml_list(&(r)->doc, at, what);                                    \
		if (!part_) {                                                                      \
			(s)->field = pol_arena_alloc((r)->arena, (at)->n * sizeof(*(s)->field));   \
			for (size_t i_ = 0; !part_ && i_ < (at)->n; i_++)                          \
				part_ = read(r, &(at)->item[i_], &(s)->field[i_]);                 \
			(s)->count = (at)->n;                                                      \
		}                                                                                  \
		part_;                                                                             \
	})

static int read_service(struct reader *r, const struct pol_yaml *at, struct prt_service *s)
{
	enum { NAME, PROTOCOL, BALANCE, MODE, VIPS, BACKENDS, CHECK, N };
	static const char *const key[] = { "name", "protocol", "balance", "mode",
					   "vips", "backends", "check" };
	static const char *const balance[] = { "maglev", "random" }, *const mode[] = { "nat",
										       "dsr" };
	const struct pol_yaml *k[N];
	uint32_t proto = 0, random = 0, dsr = 0;
	int ret = pol_yaml_map(&r->doc, at, "a service", key, N, k);

	for (unsigned i = 0; !ret && i < CHECK; i++)
		if (!k[i])
			ret = pol_yaml_err(&r->doc, at, "a service needs `%s`", key[i]);
	ret = ret ? ret : pol_yaml_text(&r->doc, k[NAME], "name", &s->name);
	if (!ret && s->name.n >= POL_SVC_NAME)
		ret = pol_yaml_err(&r->doc, k[NAME], "the name of a service is too long");
	ret = ret ? ret : pol_yaml_u32(&r->doc, k[PROTOCOL], "protocol", 0, 255, &proto);
	if (!ret && proto != 6 && proto != 17)
		ret = pol_yaml_err(&r->doc, k[PROTOCOL], "a service is on TCP (6) or UDP (17)");
	ret = ret ? ret : pol_yaml_choice(&r->doc, k[BALANCE], "balance", balance, 2, &random);
	ret = ret ? ret : pol_yaml_choice(&r->doc, k[MODE], "mode", mode, 2, &dsr);
	s->proto = (uint8_t)proto;
	s->random = random;
	s->dsr = dsr;
	ret = ret ? ret : READ_PART(r, k[VIPS], "vips", s, vip, nvips, read_vip);
	ret = ret ? ret
		  : READ_PART(r, k[BACKENDS], "backends", s, backend, nbackends,
			      read_service_backend);
	return !ret && k[CHECK] ? read_check(r, k[CHECK], s) : ret;
}

/* Before anything else is understood: another ABI may have other keys. */
static int check_abi(struct reader *r, const struct pol_yaml *root)
{
	struct pol_str polc = POL_STR("unknown");
	const struct pol_yaml *abi = NULL;
	char q[POL_QUOTE];
	int ret;

	for (size_t i = 0; root->kind == POL_YAML_MAP && i < root->n; i++) {
		const struct pol_yaml *k = &root->item[2 * i];

		if (pol_str_is(k->text, "abi"))
			abi = k + 1;
		else if (pol_str_is(k->text, "polc") && k[1].kind == POL_YAML_SCALAR)
			polc = k[1].text;
	}
	if (!abi)
		return pol_yaml_err(&r->doc, root, "there is no `abi`; not the manifest of polc");
	ret = pol_yaml_u32(&r->doc, abi, "abi", 0, COUNT_MAX, &r->m->abi);
	if (ret || r->m->abi == POL_ABI_VERSION)
		return ret;
	ret = pol_err(r->doc.err, -EPROTONOSUPPORT,
		      "%s: the object has ABI version %u (compiled by polc %s), this polload "
		      "understands version %u",
		      r->doc.path, r->m->abi, pol_quote(polc, q), POL_ABI_VERSION);
	pol_err_help(
		r->doc.err,
		r->m->abi < POL_ABI_VERSION
			? "compile the policy again with the polc that belongs to this polload"
			: "install the polload that belongs to this polc, or compile the policy "
			  "again with an older one");
	return ret;
}

static int read_numbers(struct reader *r, const struct pol_yaml *const v[KEYS])
{
	struct prt_manifest *m = r->m;
	uint32_t column_levels = 0, l4_levels = 0;
	const struct {
		unsigned key;
		uint32_t min, max, *out;
	} number[] = {
		{ ADDRESS_CLASSES, 1, CLASSES_MAX, &m->address_classes },
		{ L4_CLASSES, 1, L4_CLASSES_MAX, &m->l4_classes },
		{ COLUMN_LEVELS, 1, 5, &column_levels },
		{ L4_LEVELS, 1, 4, &l4_levels },
		{ PAGES_USED, 1, COUNT_MAX, &m->pages_used },
		{ VERDICTS_USED, 2, COUNT_MAX, &m->verdicts_used },
		{ LIMITS, 0, COUNT_MAX, &m->nlimits },
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < POL_ARRAY_LEN(number); i++)
		ret = pol_yaml_u32(&r->doc, v[number[i].key], root_key[number[i].key],
				   number[i].min, number[i].max, number[i].out);
	if (ret)
		return ret;
	m->column_levels = column_levels;
	m->l4_levels = l4_levels;
	m->columns = 1u << (POL_PAGE_BITS * column_levels);
	m->classes_padded = (m->address_classes + POL_PAGE - 1) & ~(POL_PAGE - 1);
	m->static_columns = POL_ENTITY_STATIC_MAX * m->classes_padded;
	if (m->static_columns > m->columns)
		return pol_yaml_err(&r->doc, v[COLUMN_LEVELS],
				    "%u levels are too few for %u "
				    "address classes",
				    column_levels, m->address_classes);
	if (m->l4_classes > 1u << (POL_PAGE_BITS * l4_levels))
		return pol_yaml_err(&r->doc, v[L4_LEVELS],
				    "%u levels are too few for %u L4 classes", l4_levels,
				    m->l4_classes);
	return 0;
}

static int read_head(struct reader *r, const struct pol_yaml *const v[KEYS])
{
	static const char *const actions[] = { "deny", "allow" };
	struct prt_manifest *m = r->m;
	uint32_t action = 0;
	int ret = pol_yaml_text(&r->doc, v[POLC], "polc", &m->polc);

	if (!ret)
		ret = pol_yaml_text(&r->doc, v[POLICY], "policy", &m->policy);
	if (!ret)
		ret = pol_yaml_text(&r->doc, v[SOURCES], "sources", &m->sources);
	if (!ret)
		ret = pol_yaml_choice(&r->doc, v[DEFAULT], "default", actions, 2, &action);
	if (!ret)
		ret = pol_yaml_bool(&r->doc, v[HOST_OPEN], "host_open", &m->host_open);
	m->default_allow = action == 1;
	return ret;
}

/* What id 0 is taken for without a look. */
static bool is_every_class(const struct prt_manifest *m)
{
	uint32_t next = 0;

	for (size_t i = 0; m->nsets && i < m->set[0].n && m->set[0].range[i].lo == next; i++)
		next = m->set[0].range[i].hi + 1;
	return next == m->address_classes;
}

static int read_body(struct reader *r, const struct pol_yaml *const v[KEYS])
{
	int ret = read_selectors(r, v[SELECTORS]);

	if (ret)
		return ret;
	number_keys(r);
	number_values(r);
	ret = READ_LIST(r, v[CLASSES], "classes", class, nclasses, read_class);
	if (!ret)
		ret = READ_LIST(r, v[SETS], "sets", set, nsets, read_set);
	if (!ret && !is_every_class(r->m))
		ret = pol_yaml_err(&r->doc, v[SETS], "the first set must be every class");
	if (!ret)
		ret = READ_LIST(r, v[PREDICATES], "predicates", pred, npreds, read_pred);
	if (!ret)
		ret = READ_LIST(r, v[BLOCKS], "blocks", block, nblocks, read_block);
	if (!ret && v[FILTERS])
		ret = READ_LIST(r, v[FILTERS], "filters", filter, nfilters, read_filter);
	if (!ret && r->m->nfilters > 64)
		ret = pol_yaml_err(&r->doc, v[FILTERS], "more than 64 filters");
	if (!ret && v[DYNAMIC])
		ret = READ_LIST(r, v[DYNAMIC], "dynamic", dynamic, ndynamic, read_dynamic);
	if (!ret && r->m->ndynamic > POL_SETS_MAX)
		ret = pol_yaml_err(&r->doc, v[DYNAMIC], "more than %u dynamic sets", POL_SETS_MAX);
	if (!ret && v[SERVICES])
		ret = READ_LIST(r, v[SERVICES], "services", service, nservices, read_service);
	if (!ret && r->m->nservices > POL_SERVICES_MAX / 2)
		ret = pol_yaml_err(&r->doc, v[SERVICES], "more than %u services",
				   POL_SERVICES_MAX / 2);
	if (!ret && v[POOL])
		ret = READ_LIST(r, v[POOL], "pool", pool, npool, read_pool);
	return ret;
}

int prt_manifest_parse(const char *path, struct pol_str text, struct pol_arena *arena,
		       struct prt_manifest *out, struct pol_err *e)
{
	static const struct pol_yaml_limits limits = {
		.depth = 6, .nodes = 32u << 20, .scalar = 4096, .keys = 64
	};
	struct pol_str where = pol_arena_printf(arena, "%s: manifest", path);
	struct reader r = { .arena = arena,
			    .m = out,
			    .doc = {
				    .path = where.p, .code = -ENOEXEC, .arena = arena, .err = e } };
	const struct pol_yaml *v[KEYS];
	struct pol_yaml root;
	int ret;

	*out = (struct prt_manifest){ 0 };
	ret = pol_yaml_parse(&r.doc, text, &limits, &root);
	if (!ret)
		ret = check_abi(&r, &root);
	if (!ret)
		ret = pol_yaml_map(&r.doc, &root, "the manifest", root_key, KEYS, v);
	for (unsigned i = 0; !ret && i < KEYS_NEEDED; i++)
		if (!v[i])
			ret = pol_yaml_err(&r.doc, &root, "there is no `%s`", root_key[i]);
	if (!ret)
		ret = read_head(&r, v);
	if (!ret)
		ret = read_numbers(&r, v);
	if (!ret)
		ret = read_body(&r, v);
	return ret;
}
