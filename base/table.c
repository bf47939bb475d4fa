/* SPDX-License-Identifier: GPL-2.0-only */
#include "table.h"

#include <errno.h>
#include <polc/tables.h>

/* ---- a hash set of numbers, by the content that they stand for ---------------- */

struct slot {
	uint32_t n; /* number + 1; 0 is free */
	uint32_t tag; /* low half of the hash: most misses need no look at the content */
};

struct index {
	struct slot *slot;
	uint32_t cap, n; /* cap: a power of two */
};

struct memo { /* of pol_table_apply */
	uint64_t key;
	uint32_t result;
	uint8_t op_height; /* op << 4 | height; 0xff: free */
};

#define MAX_HEIGHT 9u /* POL_COLUMN_LEVELS 5 and POL_L4_LEVELS 4 */
#define MEMO_MAX (1u << 22) /* a cache: thrown away when it has grown to 128 MiB */

struct pol_table {
	POL_VEC(uint32_t) pages;
	POL_VEC(struct pol_verdict) verdicts;
	struct index page_index, verdict_index;
	struct memo *memo;
	uint32_t memo_cap, memo_n;
	uint32_t max_pages, max_verdicts;
	/* Trees that are POL_VERDICT_NONE everywhere, by height; those of less than none_n exist. */
	uint32_t none[MAX_HEIGHT + 1];
	unsigned none_n;
	int failed;
};

#define PAGE_BYTES (POL_PAGE * sizeof(uint32_t))

static uint32_t fail(struct pol_table *t, int code)
{
	if (!t->failed)
		t->failed = code;
	return 0;
}

static void index_grow(struct index *x)
{
	uint32_t cap = x->cap ? x->cap * 2 : 1024;
	struct slot *slot;

	if (2 * (uint64_t)(x->n + 1) <= x->cap)
		return;
	slot = calloc(cap, sizeof(*slot));
	if (!slot)
		pol_no_memory();
	for (uint32_t i = 0; i < x->cap; i++) {
		uint32_t at = x->slot[i].tag & (cap - 1);

		if (!x->slot[i].n)
			continue;
		while (slot[at].n)
			at = (at + 1) & (cap - 1);
		slot[at] = x->slot[i];
	}
	free(x->slot);
	x->slot = slot;
	x->cap = cap;
}

/* The slot of equal content, or the free one where it belongs, with its tag set. */
static struct slot *index_find(struct index *x, const void *base, size_t size, const void *want)
{
	uint32_t tag = (uint32_t)pol_hash(want, size, 1), at;

	index_grow(x);
	at = tag & (x->cap - 1);
	while (x->slot[at].n &&
	       (x->slot[at].tag != tag ||
		memcmp((const char *)base + (size_t)(x->slot[at].n - 1) * size, want, size) != 0))
		at = (at + 1) & (x->cap - 1);
	x->slot[at].tag = tag;
	return &x->slot[at];
}

/* Is the new page n the next of the trees that decide nothing? */
static void note_none(struct pol_table *t, const uint32_t entry[POL_PAGE], uint32_t n)
{
	if (t->none_n > MAX_HEIGHT)
		return;
	for (unsigned i = 0; i < POL_PAGE; i++)
		if (entry[i] != t->none[t->none_n - 1])
			return;
	/* If it is page 1, which names 1 throughout, it is that tree at every height. */
	do
		t->none[t->none_n++] = n;
	while (entry[0] == n && t->none_n <= MAX_HEIGHT);
}

static uint32_t page(struct pol_table *t, const uint32_t entry[POL_PAGE])
{
	struct slot *slot = index_find(&t->page_index, t->pages.v, PAGE_BYTES, entry);
	uint32_t n = (uint32_t)(t->pages.n / POL_PAGE);

	if (slot->n)
		return slot->n - 1;
	if (t->failed || n >= t->max_pages)
		return fail(t, -ENOSPC);
	pol_vec_reserve(&t->pages, t->pages.n + POL_PAGE);
	memcpy(&t->pages.v[t->pages.n], entry, PAGE_BYTES);
	t->pages.n += POL_PAGE;
	slot->n = n + 1;
	t->page_index.n++;
	note_none(t, entry, n);
	return n;
}

/* Entries of a page; of page 0 after a failure, and for a number that is no page. */
static const uint32_t *entries(struct pol_table *t, uint32_t n)
{
	if (n >= t->pages.n / POL_PAGE)
		n = fail(t, -EINVAL);
	return &t->pages.v[(size_t)n * POL_PAGE];
}

static bool is_none(const struct pol_table *t, uint32_t node, unsigned height)
{
	return height < t->none_n && node == t->none[height];
}

/* ---- life ---------------------------------------------------------------------- */

struct pol_table *pol_table_new(uint32_t max_pages, uint32_t max_verdicts)
{
	struct pol_table *t = calloc(1, sizeof(*t));
	static const uint32_t zero[POL_PAGE];
	struct pol_verdict closed = {
		.order = 0, .rule = POL_NO_RULE, .audit_rule = POL_NO_RULE, .action = POL_DENY
	};
	struct pol_verdict none = { .order = 0xffffffffu,
				    .rule = POL_NO_RULE,
				    .audit_rule = POL_NO_RULE,
				    .action = POL_NONE };

	if (!t)
		pol_no_memory();
	t->max_pages = max_pages;
	t->max_verdicts = max_verdicts;
	pol_table_verdict(t, &closed);
	pol_table_verdict(t, &none);
	t->none[0] = POL_VERDICT_NONE;
	t->none_n = 1;
	page(t, zero);
	return t;
}

int pol_table_load(struct pol_table *t, const uint32_t *pages, uint32_t npages,
		   const struct pol_verdict *verdicts, uint32_t nverdicts)
{
	if (npages < 1 || npages > t->max_pages || nverdicts < 2 || nverdicts > t->max_verdicts)
		return -EINVAL;
	for (uint32_t i = 0; i < nverdicts; i++)
		if (pol_table_verdict(t, &verdicts[i]) != i)
			return -EINVAL;
	for (uint32_t i = 0; i < npages; i++)
		if (page(t, pages + (size_t)i * POL_PAGE) != i)
			return -EINVAL;
	return t->failed;
}

void pol_table_free(struct pol_table *t)
{
	if (!t)
		return;
	pol_vec_free(&t->pages);
	pol_vec_free(&t->verdicts);
	free(t->page_index.slot);
	free(t->verdict_index.slot);
	free(t->memo);
	free(t);
}

uint32_t pol_table_npages(const struct pol_table *t)
{
	return (uint32_t)(t->pages.n / POL_PAGE);
}

uint32_t pol_table_nverdicts(const struct pol_table *t)
{
	return (uint32_t)t->verdicts.n;
}

const uint32_t *pol_table_pages(const struct pol_table *t)
{
	return t->pages.v;
}

const struct pol_verdict *pol_table_verdicts(const struct pol_table *t)
{
	return t->verdicts.v;
}

int pol_table_failed(const struct pol_table *t)
{
	return t->failed;
}

/* ---- verdicts --------------------------------------------------------------- */

uint32_t pol_table_verdict(struct pol_table *t, const struct pol_verdict *given)
{
	struct pol_verdict v = *given;
	struct slot *slot;

	if (v.nlimits > POL_VERDICT_LIMITS || v.nhttp > POL_VERDICT_HTTP)
		return fail(t, -EINVAL);
	if (v.action != POL_ALLOW) {
		v.nlimits = 0;
		memset(v.limit, 0, sizeof(v.limit));
		v.nhttp = 0;
		memset(v.http, 0, sizeof(v.http));
	}
	slot = index_find(&t->verdict_index, t->verdicts.v, sizeof(v), &v);
	if (slot->n)
		return slot->n - 1;
	if (t->failed || t->verdicts.n >= t->max_verdicts)
		return fail(t, -ENOSPC);
	slot->n = (uint32_t)t->verdicts.n + 1;
	t->verdict_index.n++;
	*pol_vec_push(&t->verdicts) = v;
	return (uint32_t)t->verdicts.n - 1;
}

/* Union of two ascending lists; false if it does not fit. */
static bool limits_union(struct pol_verdict *out, const struct pol_verdict *a,
			 const struct pol_verdict *b)
{
	unsigned i = 0, j = 0, n = 0;
	uint32_t merged[2 * POL_VERDICT_LIMITS];

	while (i < a->nlimits || j < b->nlimits) {
		if (j == b->nlimits || (i < a->nlimits && a->limit[i] < b->limit[j]))
			merged[n++] = a->limit[i++];
		else if (i == a->nlimits || b->limit[j] < a->limit[i])
			merged[n++] = b->limit[j++];
		else
			merged[n++] = a->limit[i++], j++;
	}
	if (n > POL_VERDICT_LIMITS)
		return false;
	out->nlimits = (uint16_t)n;
	memset(out->limit, 0, sizeof(out->limit));
	memcpy(out->limit, merged, n * sizeof(merged[0]));
	return true;
}

static bool http_union(struct pol_verdict *out, const struct pol_verdict *a,
		       const struct pol_verdict *b)
{
	uint32_t i = 0, j = 0, n = 0;
	uint16_t merged[2 * POL_VERDICT_HTTP];

	while (i < a->nhttp || j < b->nhttp) {
		if (j == b->nhttp || (i < a->nhttp && a->http[i] < b->http[j]))
			merged[n++] = a->http[i++];
		else if (i == a->nhttp || b->http[j] < a->http[i])
			merged[n++] = b->http[j++];
		else
			merged[n++] = a->http[i++], j++;
	}
	if (n > POL_VERDICT_HTTP)
		return false;
	out->nhttp = n;
	memset(out->http, 0, sizeof(out->http));
	memcpy(out->http, merged, n * sizeof(merged[0]));
	return true;
}

/*
 * Limits and http blocks of all matching allows of ordinary policies hold,
 * whichever of them is first; and one `log` among them is enough.  A deny or reject drops them,
 * in any order of combining, because its rank is lower than any such allow's.
 */
static uint32_t combine(struct pol_table *t, uint32_t a, uint32_t b)
{
	const struct pol_verdict *va = &t->verdicts.v[a], *vb = &t->verdicts.v[b];
	struct pol_verdict out;

	if (va->order > vb->order) {
		const struct pol_verdict *swap = va;

		va = vb;
		vb = swap;
		a = b;
	}
	if (va->action != POL_ALLOW || vb->action != POL_ALLOW ||
	    !(va->flags & vb->flags & POL_VF_ADDS))
		return a;
	if (!vb->nlimits && !vb->nhttp && (va->flags | vb->flags) == va->flags)
		return a;
	out = *va;
	out.flags |= vb->flags;
	if (!limits_union(&out, va, vb))
		return fail(t, -E2BIG);
	if (!http_union(&out, va, vb))
		return fail(t, -EMLINK);
	return pol_table_verdict(t, &out);
}

static uint32_t audit(struct pol_table *t, uint32_t a, uint32_t b)
{
	struct pol_verdict va = t->verdicts.v[a];
	const struct pol_verdict *vb = &t->verdicts.v[b];

	if (va.action != POL_ALLOW || (vb->action != POL_DENY && vb->action != POL_REJECT))
		return a;
	va.audit_rule = vb->rule;
	return pol_table_verdict(t, &va);
}

static uint32_t leaf(struct pol_table *t, enum pol_table_op op, uint32_t a, uint32_t b)
{
	uint8_t action;

	if (a >= t->verdicts.n || b >= t->verdicts.n)
		return fail(t, -EINVAL);
	switch (op) {
	case POL_OP_COMBINE:
		return combine(t, a, b);
	case POL_OP_RESOLVE:
		action = t->verdicts.v[a].action;
		return action == POL_NONE || action == POL_SKIP ? b : a;
	case POL_OP_AUDIT:
		return audit(t, a, b);
	}
	return 0;
}

/* ---- trees ------------------------------------------------------------------- */

static struct memo *memo_at(struct memo *memo, uint32_t cap, uint64_t key, uint8_t op_height)
{
	uint32_t at = (uint32_t)pol_hash(&key, sizeof(key), op_height) & (cap - 1);

	while (memo[at].op_height != 0xff &&
	       (memo[at].key != key || memo[at].op_height != op_height))
		at = (at + 1) & (cap - 1);
	return &memo[at];
}

static void memo_grow(struct pol_table *t)
{
	uint32_t cap = t->memo_cap ? t->memo_cap * 2 : 1024;
	struct memo *memo;

	if (2 * (uint64_t)(t->memo_n + 1) <= t->memo_cap)
		return;
	if (t->memo_n >= MEMO_MAX) {
		memset(t->memo, 0xff, t->memo_cap * sizeof(*t->memo));
		t->memo_n = 0;
		return;
	}
	memo = malloc(cap * sizeof(*memo));
	if (!memo)
		pol_no_memory();
	memset(memo, 0xff, cap * sizeof(*memo));
	for (uint32_t i = 0; i < t->memo_cap; i++)
		if (t->memo[i].op_height != 0xff)
			*memo_at(memo, cap, t->memo[i].key, t->memo[i].op_height) = t->memo[i];
	free(t->memo);
	t->memo = memo;
	t->memo_cap = cap;
}

/* NULL: not known.  The pointer is good until the memo changes. */
static const struct memo *memo_find(struct pol_table *t, uint64_t key, uint8_t op_height)
{
	const struct memo *m;

	if (!t->memo_cap)
		return NULL;
	m = memo_at(t->memo, t->memo_cap, key, op_height);
	return m->op_height == 0xff ? NULL : m;
}

static void memo_add(struct pol_table *t, uint64_t key, uint8_t op_height, uint32_t result)
{
	memo_grow(t);
	*memo_at(t->memo, t->memo_cap, key, op_height) =
		(struct memo){ .key = key, .result = result, .op_height = op_height };
	t->memo_n++;
}

/* What needs no look inside; false: it does. */
static bool apply_trivial(const struct pol_table *t, enum pol_table_op op, uint32_t a, uint32_t b,
			  unsigned height, uint32_t *result)
{
	*result = a;
	if (a == b || (op != POL_OP_RESOLVE && is_none(t, b, height)))
		return true;
	*result = b;
	return op != POL_OP_AUDIT && is_none(t, a, height);
}

uint32_t pol_table_apply(struct pol_table *t, enum pol_table_op op, uint32_t a, uint32_t b,
			 unsigned height)
{
	uint32_t entry[POL_PAGE], result;
	uint8_t op_height = (uint8_t)((unsigned)op << 4 | height);
	const struct memo *m;
	uint64_t key;

	if (t->failed)
		return 0;
	if (apply_trivial(t, op, a, b, height, &result))
		return result;
	if (height == 0) {
		result = leaf(t, op, a, b);
		return t->failed ? 0 : result;
	}
	key = op == POL_OP_COMBINE && a > b ? (uint64_t)b << 32 | a : (uint64_t)a << 32 | b;
	m = memo_find(t, key, op_height);
	if (m)
		return m->result;
	for (unsigned i = 0; i < POL_PAGE; i++) {
		/* The array may move while the children are made. */
		uint32_t ea = entries(t, a)[i], eb = entries(t, b)[i];

		entry[i] = pol_table_apply(t, op, ea, eb, height - 1);
	}
	result = t->failed ? 0 : page(t, entry);
	if (t->failed)
		return 0;
	memo_add(t, key, op_height, result);
	return result;
}

uint32_t pol_table_uniform(struct pol_table *t, uint32_t node, unsigned leaf_height,
			   unsigned height)
{
	uint32_t entry[POL_PAGE];

	for (; leaf_height < height; leaf_height++) {
		for (unsigned i = 0; i < POL_PAGE; i++)
			entry[i] = node;
		node = page(t, entry);
	}
	return t->failed ? 0 : node;
}

uint32_t pol_table_page(struct pol_table *t, const uint32_t child[POL_PAGE])
{
	return t->failed ? 0 : page(t, child);
}

uint32_t pol_table_combine_range(struct pol_table *t, uint32_t a, unsigned height, uint64_t lo,
				 uint64_t hi, uint32_t verdict)
{
	uint64_t span = 1ull << (POL_PAGE_BITS * height);
	uint64_t child = span >> POL_PAGE_BITS;
	uint32_t entry[POL_PAGE];

	if (t->failed)
		return 0;
	if (lo > hi || lo >= span)
		return a;
	if (lo == 0 && hi >= span - 1)
		return pol_table_apply(t, POL_OP_COMBINE, a,
				       pol_table_uniform(t, verdict, 0, height), height);
	memcpy(entry, entries(t, a), PAGE_BYTES);
	for (uint64_t i = lo / child; i <= hi / child && i < POL_PAGE; i++) {
		uint64_t first = i * child, last = first + child - 1;

		entry[i] = pol_table_combine_range(t, entry[i], height - 1,
						   (lo > first ? lo : first) - first,
						   (hi < last ? hi : last) - first, verdict);
	}
	return t->failed ? 0 : page(t, entry);
}

uint32_t pol_table_set(struct pol_table *t, uint32_t a, unsigned height, unsigned leaf_height,
		       uint64_t key, uint32_t node)
{
	uint32_t entry[POL_PAGE];
	unsigned shift;
	uint32_t i;

	if (t->failed)
		return 0;
	if (height == leaf_height)
		return node;
	shift = POL_PAGE_BITS * (height - leaf_height - 1);
	i = (uint32_t)(key >> shift) & (POL_PAGE - 1);
	memcpy(entry, entries(t, a), PAGE_BYTES);
	entry[i] = pol_table_set(t, entry[i], height - 1, leaf_height, key, node);
	return t->failed ? 0 : page(t, entry);
}

uint32_t pol_table_get(const struct pol_table *t, uint32_t a, unsigned height, unsigned leaf_height,
		       uint64_t key)
{
	while (height > leaf_height) {
		unsigned shift = POL_PAGE_BITS * (--height - leaf_height);

		if (a >= t->pages.n / POL_PAGE)
			return 0;
		a = t->pages.v[(size_t)a * POL_PAGE + ((key >> shift) & (POL_PAGE - 1))];
	}
	return a;
}

/* ---- from another table -------------------------------------------------------- */

/* By height, because the numbers of a page mean pages or verdicts by where it stands. */
struct copied {
	uint32_t *page[MAX_HEIGHT + 1]; /* number in the new table + 1; 0: not yet */
	uint32_t *verdict;
};

static uint32_t import(struct pol_table *t, const struct pol_table *from, uint32_t node,
		       unsigned height, struct copied *done)
{
	uint32_t entry[POL_PAGE], **map = height ? &done->page[height] : &done->verdict;
	size_t n = height ? from->pages.n / POL_PAGE : from->verdicts.n;

	if (node >= n)
		return fail(t, -EINVAL);
	if (!*map) {
		*map = calloc(n, sizeof(**map));
		if (!*map)
			pol_no_memory();
	}
	if ((*map)[node])
		return (*map)[node] - 1;
	if (!height) {
		(*map)[node] = pol_table_verdict(t, &from->verdicts.v[node]) + 1;
		return (*map)[node] - 1;
	}
	for (unsigned i = 0; i < POL_PAGE && !t->failed; i++)
		entry[i] = import(t, from, from->pages.v[(size_t)node * POL_PAGE + i], height - 1,
				  done);
	if (t->failed)
		return 0;
	(*map)[node] = page(t, entry) + 1;
	return (*map)[node] - 1;
}

int pol_table_import(struct pol_table *t, const struct pol_table *from, struct pol_table_ref *ref,
		     size_t n)
{
	struct copied done = { .verdict = NULL };

	for (size_t i = 0; i < n; i++)
		ref[i].node = ref[i].height > MAX_HEIGHT
				      ? fail(t, -EINVAL)
				      : import(t, from, ref[i].node, ref[i].height, &done);
	free(done.verdict);
	for (unsigned h = 0; h <= MAX_HEIGHT; h++)
		free(done.page[h]);
	return t->failed;
}

/* ---- addresses ------------------------------------------------------------------ */

uint32_t pol_class_of(const struct pol_class_tables *c, struct pol_ip ip)
{
	const struct pol_v6_low *low;
	uint32_t at;

	if (ip.family == 4)
		return c->v4_class[pol_search_find(&c->v4, ip.lo)];
	at = c->v6_class[pol_search_find(&c->v6, ip.hi)];
	if (!(at & POL_V6_LOW))
		return at;
	low = &c->v6_low[at & ~POL_V6_LOW];
	for (uint32_t n = low->n; n > 1; n -= n / 2)
		if (low[n / 2].lo <= ip.lo)
			low += n / 2;
	return low->class;
}
