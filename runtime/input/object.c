/* SPDX-License-Identifier: GPL-2.0-only */
#include "object.h"

#include <errno.h>
#include <netinet/in.h>
#include <polc/manifest.h>
#include <stdio.h>

#include "bpfelf.h"
#include "input.h"

struct reader {
	const char *path;
	struct prt_object *o;
	struct prt_elf *elf;
	struct pol_err *err;
};

POL_PRINTF(2, 3) static int broken(struct reader *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ret = pol_err(r->err, -ENOEXEC, "%s: broken object: %s", r->path, text);
	pol_err_help(r->err, "compile the policy again; the file may be damaged");
	return ret;
}

/* ---- tables out of the file ---------------------------------------------- */

static int symbol(struct reader *r, const char *name, size_t size, struct pol_str *out)
{
	int ret = prt_elf_symbol(r->elf, name, size, out, r->err);

	return ret == -ENOENT ? broken(r, "there is no `%s`", name) : ret;
}

static bool power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

/* An aligned copy: in the file a table may stand at any offset. */
static const void *copy(struct reader *r, struct pol_str bytes)
{
	return memcpy(pol_arena_alloc(r->o->arena, bytes.n), bytes.p, bytes.n);
}

static int read_pages(struct reader *r)
{
	const struct prt_manifest *m = &r->o->manifest;
	const size_t page = POL_PAGE * sizeof(uint32_t);
	struct pol_str bytes;
	int ret = symbol(r, "pol_pages", 0, &bytes);

	if (ret)
		return ret;
	if (bytes.n < page || !power_of_two(bytes.n))
		return broken(r, "`pol_pages` has %zu bytes", bytes.n);
	if (bytes.n / page < m->pages_used)
		return broken(r, "%u pages are used, but there are %zu", m->pages_used,
			      bytes.n / page);
	r->o->max_pages = (uint32_t)(bytes.n / page);
	bytes.n = m->pages_used * page;
	r->o->pages = copy(r, bytes);
	return 0;
}

static int read_verdicts(struct reader *r)
{
	const struct prt_manifest *m = &r->o->manifest;
	struct pol_str bytes;
	int ret = symbol(r, "pol_verdicts", 0, &bytes);

	if (ret)
		return ret;
	if (!power_of_two(bytes.n) || bytes.n < 2 * sizeof(struct pol_verdict))
		return broken(r, "`pol_verdicts` has %zu bytes", bytes.n);
	if (bytes.n / sizeof(struct pol_verdict) < m->verdicts_used)
		return broken(r, "%u verdicts are used, but there are %zu", m->verdicts_used,
			      bytes.n / sizeof(struct pol_verdict));
	r->o->max_verdicts = (uint32_t)(bytes.n / sizeof(struct pol_verdict));
	bytes.n = m->verdicts_used * sizeof(struct pol_verdict);
	r->o->verdicts = copy(r, bytes);
	return 0;
}

/* Numbers of a table that must be below a bound. */
static int check_below32(struct reader *r, const char *name, const uint32_t *v, size_t n,
			 uint32_t end)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] >= end)
			return broken(r, "`%s` names class %u of %u", name, v[i], end);
	return 0;
}

static int check_below16(struct reader *r, const char *name, const uint16_t *v, size_t n,
			 uint32_t end)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] >= end)
			return broken(r, "`%s` names class %u of %u", name, v[i], end);
	return 0;
}

/* A table of a family's search, whose length is for it to say. */
static int search_table(struct reader *r, int family, const char *what, size_t width,
			const void **out, size_t *n)
{
	struct pol_str bytes;
	char name[24];
	int ret;

	snprintf(name, sizeof(name), "pol_v%d_%s", family, what);
	ret = symbol(r, name, 0, &bytes);
	if (ret)
		return ret;
	*n = bytes.n / width;
	if (bytes.n % width || !power_of_two(*n))
		return broken(r, "`%s` has %zu bytes", name, bytes.n);
	*out = copy(r, bytes);
	return 0;
}

/* Its classes are for the caller to check. */
static int read_search(struct reader *r, int family, struct pol_searched *v, const uint32_t **class)
{
	const size_t node = pol_search_doubles(family) * sizeof(*v->node);
	const void *top, *nodes, *classes;
	struct pol_str bytes;
	size_t tops = 0;
	int ret = symbol(r, family == 4 ? "pol_v4_search" : "pol_v6_search", sizeof(v->s), &bytes);

	ret = ret ? ret : search_table(r, family, "top", sizeof(*v->top), &top, &tops);
	ret = ret ? ret : search_table(r, family, "node", node, &nodes, &v->nodes);
	ret = ret ? ret
		  : search_table(r, family, "class", sizeof(**class), &classes, &v->intervals);
	if (ret)
		return ret;
	v->family = family;
	memcpy(&v->s, bytes.p, sizeof(v->s));
	v->top = top;
	v->node = nodes;
	*class = classes;
	/* first of all what says how much of `top` is looked at */
	if (pol_search_lead(family, v->s) > POL_SEARCH_LEAD ||
	    tops != (size_t)1 << pol_search_lead(family, v->s) || !pol_search_sound(v))
		return broken(r, "the search for IPv%d addresses does not hold together", family);
	return 0;
}

static int read_v4(struct reader *r, struct pol_class_tables *c)
{
	int ret = read_search(r, 4, &c->v4, &c->v4_class);

	return ret ? ret
		   : check_below32(r, "pol_v4_class", c->v4_class, c->v4.intervals,
				   r->o->manifest.address_classes);
}

/* A class, or a group that lies within the low halves and begins at 0. */
static int check_v6_class(struct reader *r, const struct pol_class_tables *c, size_t nlow,
			  uint32_t class)
{
	uint32_t at = class & ~POL_V6_LOW;

	if (!(class & POL_V6_LOW))
		return check_below32(r, "pol_v6_class", &class, 1, r->o->manifest.address_classes);
	if (at >= nlow || !c->v6_low[at].n || c->v6_low[at].n > nlow - at || c->v6_low[at].lo)
		return broken(r, "`pol_v6_class` names group %u", at);
	return 0;
}

/* A place where an interval may begin: if it has a group, it is that one high half. */
struct lone_groups {
	const struct pol_class_tables *c;
	bool wide;
};

static void check_group(void *ctx, uint64_t first)
{
	struct lone_groups *g = ctx;
	const struct pol_searched *v = &g->c->v6;
	uint32_t here = pol_search_find(v, first);

	if (!(g->c->v6_class[here] & POL_V6_LOW))
		return;
	g->wide = g->wide || (first && pol_search_find(v, first - 1) == here) ||
		  (first != UINT64_MAX && pol_search_find(v, first + 1) == here);
}

static int read_v6(struct reader *r, struct pol_class_tables *c)
{
	struct lone_groups groups = { .c = c };
	const void *low = NULL;
	size_t nlow = 0;
	int ret = read_search(r, 6, &c->v6, &c->v6_class);

	ret = ret ? ret : search_table(r, 6, "low", sizeof(*c->v6_low), &low, &nlow);
	c->v6_low = low;
	for (size_t i = 0; !ret && i < nlow; i++)
		ret = check_below32(r, "pol_v6_low", &c->v6_low[i].class, 1,
				    r->o->manifest.address_classes);
	for (size_t i = 0; !ret && i < c->v6.intervals; i++)
		ret = check_v6_class(r, c, nlow, c->v6_class[i]);
	if (ret)
		return ret;
	pol_search_places(&c->v6, check_group, &groups);
	return groups.wide ? broken(r, "`pol_v6_class` has a group for more than one high half")
			   : 0;
}

static int read_classes(struct reader *r)
{
	int ret = read_v4(r, &r->o->classes);

	return ret ? ret : read_v6(r, &r->o->classes);
}

static int read_l4(struct reader *r)
{
	const uint32_t end = r->o->manifest.l4_classes;
	const uint16_t *page;
	struct pol_str bytes;
	size_t n;
	int ret = symbol(r, "pol_l4_class", 0, &bytes);

	if (ret)
		return ret;
	n = bytes.n / sizeof(uint16_t);
	if (!power_of_two(bytes.n) || n < 256)
		return broken(r, "`pol_l4_class` has %zu bytes", bytes.n);
	r->o->l4_class = copy(r, bytes);
	ret = check_below16(r, "pol_l4_class", r->o->l4_class, n, end);
	if (!ret)
		ret = symbol(r, "pol_l4_page", POL_L4_SLOTS * 256 * sizeof(uint16_t), &bytes);
	if (ret)
		return ret;
	page = copy(r, bytes);
	r->o->l4_page = (const uint16_t(*)[256])page;
	for (size_t i = 0; i < POL_L4_SLOTS * 256; i++)
		if (page[i] >= n / 256)
			return broken(r, "`pol_l4_page` names page %u of %zu", page[i], n / 256);
	ret = symbol(r, "pol_proto_class", 256 * sizeof(uint16_t), &bytes);
	if (ret)
		return ret;
	r->o->proto_class = copy(r, bytes);
	return check_below16(r, "pol_proto_class", r->o->proto_class, 256, end);
}

static int read_limits(struct reader *r)
{
	struct pol_str bytes;
	int ret;

	if (!r->o->manifest.nlimits)
		return 0;
	ret = symbol(r, "pol_limits", r->o->manifest.nlimits * sizeof(struct pol_limit), &bytes);
	if (!ret)
		r->o->limits = copy(r, bytes);
	return ret;
}

static int read_filters(struct reader *r)
{
	size_t n = r->o->manifest.nfilters;
	int ret;

	if (!n)
		return 0;
	ret = symbol(r, "pol_filter_head", n * sizeof(struct pol_filter_head), &r->o->filter_head);
	ret = ret ? ret
		  : symbol(r, "pol_filter_half", 2 * n * sizeof(struct pol_filter_half),
			   &r->o->filter_half);
	return ret ? ret : symbol(r, "pol_filter_data", 0, &r->o->filter_data);
}

/* The section is there if and only if the policy has http blocks. */
static int read_http(struct reader *r)
{
	struct prt_object *o = r->o;
	struct pol_err why = { 0 };
	struct pol_str bytes;
	int ret = prt_elf_section(r->elf, POL_SECTION_HTTP, &bytes, &why);

	if (ret)
		return ret == -ENOENT ? 0 : broken(r, "%s", why.text);
	o->http_image = (struct pol_str){ copy(r, bytes), bytes.n };
	if (pol_http_open(&o->http, o->http_image.p, o->http_image.n, &why))
		return broken(r, "http rules: %s", why.text);
	for (uint32_t i = 0; i < o->http.image->rules.n; i++)
		if (o->http.rules[i].rule >= o->nrules)
			return broken(r, "http rule %u is rule %u of %u", i, o->http.rules[i].rule,
				      o->nrules);
	return 0;
}

/* ---- rules and verdicts -------------------------------------------------- */

/* One rule a line (polc/manifest.h); prt_rules_parse holds the text to this count. */
static uint32_t count_rules(struct pol_str text)
{
	uint32_t n = 0;
	bool start = true;

	for (size_t i = 0; i < text.n; i++) {
		n += start && text.p[i] == '-' && i + 1 < text.n && text.p[i + 1] == ' ';
		start = text.p[i] == '\n';
	}
	return n;
}

static bool rule_ok(const struct reader *r, uint32_t rule)
{
	return rule == POL_NO_RULE || rule < r->o->nrules;
}

/* Ascending, of the image, of an allow; and nothing where there may be nothing. */
static bool http_ok(const struct reader *r, const struct pol_verdict *v)
{
	static const struct pol_verdict none;

	if (v->nhttp > POL_VERDICT_HTTP || (v->nhttp && v->action != POL_ALLOW) ||
	    memcmp(v->spare, none.spare, sizeof(none.spare)) != 0)
		return false;
	for (unsigned i = 0; i < POL_VERDICT_HTTP; i++) {
		if (i >= v->nhttp ? v->http[i] != 0
				  : !r->o->http_image.n || v->http[i] >= r->o->http.image->rules.n)
			return false;
		if (i && i < v->nhttp && v->http[i] <= v->http[i - 1])
			return false;
	}
	return true;
}

static bool limits_ok(const struct reader *r, const struct pol_verdict *v)
{
	if (v->nlimits > POL_VERDICT_LIMITS || (v->nlimits && v->action != POL_ALLOW))
		return false;
	for (unsigned i = 0; i < POL_VERDICT_LIMITS; i++) {
		if (i >= v->nlimits ? v->limit[i] != 0 : v->limit[i] >= r->o->manifest.nlimits)
			return false;
		if (i && i < v->nlimits && v->limit[i] <= v->limit[i - 1])
			return false;
	}
	return true;
}

static int check_verdicts(struct reader *r)
{
	static const struct pol_verdict fixed[] = {
		[POL_VERDICT_CLOSED] = { .order = 0,
					 .rule = POL_NO_RULE,
					 .audit_rule = POL_NO_RULE,
					 .action = POL_DENY },
		[POL_VERDICT_NONE] = { .order = 0xffffffffu,
				       .rule = POL_NO_RULE,
				       .audit_rule = POL_NO_RULE,
				       .action = POL_NONE },
	};
	const struct pol_verdict *v = r->o->verdicts;

	if (memcmp(v, fixed, sizeof(fixed)) != 0)
		return broken(r, "the first two verdicts are not the fixed ones");
	for (uint32_t i = 0; i < r->o->manifest.verdicts_used; i++)
		if (!rule_ok(r, v[i].rule) || !rule_ok(r, v[i].audit_rule) ||
		    v[i].action > POL_NONE ||
		    v[i].flags & ~(POL_VF_LOG | POL_VF_ADDS | POL_VF_PLAIN) ||
		    !limits_ok(r, &v[i]) || !http_ok(r, &v[i]))
			return broken(r, "verdict %u makes no sense", i);
	return 0;
}

/* ---- trees --------------------------------------------------------------- */

/*
 * Pages do not say how high they stand, and equal subtrees are one page: a page
 * is walked once for each height at which it is met (`seen`, a bit for each).
 */
static bool tree_ok(const struct prt_object *o, uint16_t *seen, uint32_t page, unsigned height)
{
	const uint32_t *entry;

	if (page >= o->manifest.pages_used)
		return false;
	if (seen[page] >> height & 1)
		return true;
	seen[page] |= (uint16_t)(1u << height);
	entry = &o->pages[(size_t)page * POL_PAGE];
	for (unsigned i = 0; i < POL_PAGE; i++)
		if (height == 1 ? entry[i] >= o->manifest.verdicts_used
				: !tree_ok(o, seen, entry[i], height - 1))
			return false;
	return true;
}

static int check_trees(struct reader *r)
{
	static const uint32_t zero[POL_PAGE];
	const struct prt_manifest *m = &r->o->manifest;
	uint16_t *seen POL_CLEANUP(pol_cleanup_free) = calloc(m->pages_used, sizeof(*seen));
	bool ok = true;

	if (!seen)
		return pol_err(r->err, -ENOMEM, "%s: out of memory", r->path);
	if (memcmp(r->o->pages, zero, sizeof(zero)) != 0)
		return broken(r, "the first page is not closed");
	for (size_t i = 0; ok && i < m->nblocks; i++) {
		const struct prt_block *b = &m->block[i];

		ok = tree_ok(r->o, seen, b->root, m->column_levels + m->l4_levels) &&
		     tree_ok(r->o, seen, b->base, m->l4_levels);
		for (size_t j = 0; ok && j < b->nrows; j++)
			ok = tree_ok(r->o, seen, b->row[j].node, m->l4_levels);
	}
	return ok ? 0 : broken(r, "a decision tree points outside the tables");
}

/* ---- the whole ----------------------------------------------------------- */

static int not_polc(struct reader *r, const char *name, int ret)
{
	if (ret != -ENOENT)
		return ret;
	return pol_err(r->err, -ENOEXEC, "%s: not an object of polc: there is no section `%s`",
		       r->path, name);
}

static int read_object(struct reader *r)
{
	struct prt_object *o = r->o;
	struct pol_str manifest;
	int ret = prt_elf_open(r->path, o->data, o->size, o->arena, &r->elf, r->err);

	if (ret)
		return ret;
	ret = not_polc(r, POL_SECTION_MANIFEST,
		       prt_elf_section(r->elf, POL_SECTION_MANIFEST, &manifest, r->err));
	if (!ret)
		ret = prt_manifest_parse(r->path, manifest, o->arena, &o->manifest, r->err);
	if (!ret)
		ret = not_polc(r, POL_SECTION_RULES,
			       prt_elf_section(r->elf, POL_SECTION_RULES, &o->rules_text, r->err));
	if (ret)
		return ret;
	o->nrules = count_rules(o->rules_text);
	ret = read_pages(r);
	if (!ret)
		ret = read_verdicts(r);
	if (!ret)
		ret = read_classes(r);
	if (!ret)
		ret = read_l4(r);
	if (!ret)
		ret = read_limits(r);
	if (!ret)
		ret = read_filters(r);
	if (!ret)
		ret = read_http(r);
	if (!ret)
		ret = check_verdicts(r);
	if (!ret)
		ret = check_trees(r);
	return ret;
}

int prt_object_parse(const char *path, char *data, size_t size, struct prt_object **out,
		     struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct prt_object *o = pol_arena_alloc(arena, sizeof(*o));
	struct reader r = { .path = path, .o = o, .err = e };
	int ret;

	o->arena = arena;
	o->path = pol_arena_str(arena, pol_str(path));
	o->data = data;
	o->size = size;
	ret = read_object(&r);
	if (ret)
		prt_object_free(o);
	else
		*out = o;
	return ret;
}

int prt_object_open(const char *path, struct prt_object **out, struct pol_err *e)
{
	struct prt_input in = { 0 };
	int ret = prt_input_read(path, PRT_INPUT_REGULAR, PRT_OBJECT_MAX, &in, e);

	if (!ret)
		ret = prt_object_parse(path, POL_TAKE_PTR(in.data), in.size, out, e);
	prt_input_free(&in);
	return ret;
}

void prt_object_free(struct prt_object *o)
{
	if (!o)
		return;
	free(o->data);
	pol_arena_free(o->arena);
}

void prt_object_cleanup(struct prt_object **o)
{
	prt_object_free(*o);
}

/* ---- classes and columns ------------------------------------------------- */

uint32_t prt_l4_class(const struct prt_object *o, uint8_t proto, uint16_t value)
{
	enum pol_l4_slot slot;

	switch (proto) {
	case IPPROTO_TCP:
		slot = POL_L4_TCP;
		break;
	case IPPROTO_UDP:
		slot = POL_L4_UDP;
		break;
	case IPPROTO_SCTP:
		slot = POL_L4_SCTP;
		break;
	case IPPROTO_ICMP:
		slot = POL_L4_ICMP;
		break;
	case IPPROTO_ICMPV6:
		slot = POL_L4_ICMPV6;
		break;
	default:
		return o->proto_class[proto];
	}
	return o->l4_class[o->l4_page[slot][value >> 8] * 256u + (value & 0xff)];
}

uint32_t prt_address_class(const struct prt_object *o, struct pol_ip ip)
{
	return pol_class_of(&o->classes, ip);
}

uint32_t prt_static_column(const struct prt_object *o, enum pol_entity entity, struct pol_ip ip)
{
	return (uint32_t)entity * o->manifest.classes_padded + prt_address_class(o, ip);
}
