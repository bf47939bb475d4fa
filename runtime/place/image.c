/* SPDX-License-Identifier: GPL-2.0-only */
#include "image.h"

enum state {
	FRESH, /* all zero since the map was made */
	USED,
	DIRTY, /* given up: some packet may still be walking it */
	UNKNOWN, /* of a live map, not looked at: FRESH or DIRTY */
};

/* Items of one size, numbered: the pages, and the verdicts. */
struct store {
	const char *what;
	size_t size;
	char *item; /* max items */
	const char *live; /* of the map that was adopted, or NULL */
	uint8_t *state;
	uint32_t max, fixed; /* fixed: the compiler's, always in use */
	uint32_t fresh, dirty; /* no item below is FRESH (or UNKNOWN), no item below is DIRTY */
	uint32_t top, used; /* one more than the highest in use; how many are */
	uint32_t *slot; /* hash set of the items in use: number + 1 */
	uint32_t cap; /* 0: to be made */
	/* of the change */
	POL_VEC(uint32_t) written;
	POL_VEC(uint8_t) before; /* their states */
	bool grace, full;
};

struct memo {
	uint64_t key;
	uint32_t result;
	bool set;
};

struct prt_image {
	const struct prt_object *o;
	struct store pages, verdicts;
	struct memo *memo; /* (node of the table, height) -> page here */
	uint32_t memo_cap, memo_n;
};

static void *must(void *p)
{
	if (!p)
		pol_no_memory();
	return p;
}

/* ---- stores -------------------------------------------------------------- */

static char *item(const struct store *s, uint32_t n)
{
	return s->item + (size_t)n * s->size;
}

static uint32_t *store_slot(const struct store *s, const void *want)
{
	uint32_t at = (uint32_t)pol_hash(want, s->size, 0) & (s->cap - 1);

	while (s->slot[at] && memcmp(item(s, s->slot[at] - 1), want, s->size) != 0)
		at = (at + 1) & (s->cap - 1);
	return &s->slot[at];
}

static void store_reindex(struct store *s, uint32_t cap)
{
	free(s->slot);
	s->slot = must(calloc(cap, sizeof(*s->slot)));
	s->cap = cap;
	for (uint32_t i = 0; i < s->top; i++)
		if (s->state[i] == USED)
			*store_slot(s, item(s, i)) = i + 1;
}

/* Room in the index for one more. */
static void store_room(struct store *s)
{
	uint32_t cap = s->cap ? s->cap : 1024;

	while (cap < 2 * (s->used + 1))
		cap *= 2;
	if (cap > s->cap)
		store_reindex(s, cap);
}

static void store_init(struct store *s, const char *what, size_t size, uint32_t max,
		       const void *fixed, uint32_t nfixed)
{
	*s = (struct store){ .what = what,
			     .size = size,
			     .max = max,
			     .fixed = nfixed,
			     .fresh = nfixed,
			     .dirty = nfixed,
			     .top = nfixed,
			     .used = nfixed };
	s->item = must(calloc(max, size));
	s->state = must(calloc(max, 1));
	memcpy(s->item, fixed, nfixed * size);
	memset(s->state, USED, nfixed);
	/* The index is made when something is added: often nothing is. */
}

static void store_free(struct store *s)
{
	free(s->item);
	free(s->state);
	free(s->slot);
	pol_vec_free(&s->written);
	pol_vec_free(&s->before);
}

static bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* A number that nobody uses: one that never was in use, if there is one. */
static uint32_t store_take(struct store *s)
{
	for (; s->fresh < s->max; s->fresh++) {
		uint32_t n = s->fresh;

		if (s->state[n] == UNKNOWN)
			s->state[n] =
				is_zero(s->live + (size_t)n * s->size, s->size) ? FRESH : DIRTY;
		if (s->state[n] == FRESH)
			return n;
	}
	for (; s->dirty < s->max; s->dirty++)
		if (s->state[s->dirty] == DIRTY) {
			s->grace = true;
			return s->dirty;
		}
	s->full = true;
	return 0;
}

static uint32_t store_add(struct store *s, const void *want)
{
	uint32_t *slot, n;

	store_room(s);
	slot = store_slot(s, want);
	if (*slot)
		return *slot - 1;
	n = s->full ? 0 : store_take(s);
	if (s->full)
		return 0;
	*pol_vec_push(&s->written) = n;
	*pol_vec_push(&s->before) = s->state[n];
	s->state[n] = USED;
	memcpy(item(s, n), want, s->size);
	*slot = n + 1;
	s->used++;
	if (n >= s->top)
		s->top = n + 1;
	return n;
}

static void store_begin(struct store *s)
{
	s->written.n = s->before.n = 0;
	s->grace = s->full = false;
}

static void store_abort(struct store *s)
{
	for (size_t i = 0; i < s->written.n; i++) {
		uint32_t n = s->written.v[i];

		s->state[n] = s->before.v[i];
		memset(item(s, n), 0, s->size);
		if (s->state[n] == FRESH && n < s->fresh)
			s->fresh = n;
		if (s->state[n] == DIRTY && n < s->dirty)
			s->dirty = n;
		s->used--;
	}
	while (s->top > s->fixed && s->state[s->top - 1] != USED)
		s->top--;
	if (s->written.n)
		store_reindex(s, s->cap);
	store_begin(s);
}

/* keep: what is in use, beside the fixed ones. */
static void store_keep(struct store *s, const uint16_t *keep)
{
	s->top = s->used = s->fixed;
	s->dirty = s->fixed;
	for (uint32_t i = s->fixed; i < s->max; i++) {
		if (keep[i]) {
			if (s->live && s->state[i] == UNKNOWN)
				memcpy(item(s, i), s->live + (size_t)i * s->size, s->size);
			s->state[i] = USED;
			s->top = i + 1;
			s->used++;
		} else if (s->state[i] == USED) {
			s->state[i] = DIRTY;
			memset(item(s, i), 0, s->size);
		}
	}
	/* From scratch, when something is added. */
	s->cap = 0;
}

/* ---- life ---------------------------------------------------------------- */

struct prt_image *prt_image_new(const struct prt_object *o)
{
	struct prt_image *m = must(calloc(1, sizeof(*m)));

	m->o = o;
	store_init(&m->pages, "pages", POL_PAGE * sizeof(uint32_t), o->max_pages, o->pages,
		   o->manifest.pages_used);
	store_init(&m->verdicts, "verdicts", sizeof(struct pol_verdict), o->max_verdicts,
		   o->verdicts, o->manifest.verdicts_used);
	return m;
}

void prt_image_free(struct prt_image *m)
{
	if (!m)
		return;
	store_free(&m->pages);
	store_free(&m->verdicts);
	free(m->memo);
	free(m);
}

static void store_adopt(struct store *s, const void *live)
{
	s->live = live;
	memset(s->state + s->fixed, UNKNOWN, s->max - s->fixed);
}

void prt_image_adopt(struct prt_image *m, const uint32_t *pages, const struct pol_verdict *verdicts)
{
	store_adopt(&m->pages, pages);
	store_adopt(&m->verdicts, verdicts);
}

void prt_image_forget_table(struct prt_image *m)
{
	free(m->memo);
	m->memo = NULL;
	m->memo_cap = m->memo_n = 0;
}

void prt_image_begin(struct prt_image *m)
{
	store_begin(&m->pages);
	store_begin(&m->verdicts);
}

void prt_image_abort(struct prt_image *m)
{
	store_abort(&m->pages);
	store_abort(&m->verdicts);
	prt_image_forget_table(m); /* it names pages that are gone */
}

struct prt_image_change prt_image_changed(const struct prt_image *m)
{
	const struct store *p = &m->pages, *v = &m->verdicts;

	return (struct prt_image_change){
		.pages = p->written.v,
		.npages = p->written.n,
		.verdicts = v->written.v,
		.nverdicts = v->written.n,
		.grace = p->grace || v->grace,
		.full = v->full   ? v->what
			: p->full ? p->what
				  : NULL,
	};
}

/* ---- what is in use ------------------------------------------------------ */

struct marks { /* by number; of pages one bit for each height */
	uint16_t *page, *verdict;
};

static const void *in_force(const struct store *s, uint32_t n)
{
	const char *from = s->state[n] == UNKNOWN ? s->live : s->item;

	return from + (size_t)n * s->size;
}

const uint32_t *prt_image_page(const struct prt_image *m, uint32_t n)
{
	return in_force(&m->pages, n);
}

const struct pol_verdict *prt_image_verdict(const struct prt_image *m, uint32_t n)
{
	return in_force(&m->verdicts, n);
}

static bool mark(const struct prt_image *m, const struct marks *seen, uint32_t n, unsigned height)
{
	const uint32_t *entry;

	if (n >= m->pages.max)
		return false;
	if (seen->page[n] >> height & 1)
		return true;
	seen->page[n] |= (uint16_t)(1u << height);
	entry = prt_image_page(m, n);
	for (unsigned i = 0; i < POL_PAGE; i++) {
		if (height > 1) {
			if (!mark(m, seen, entry[i], height - 1))
				return false;
		} else if (entry[i] >= m->verdicts.max) {
			return false;
		} else {
			seen->verdict[entry[i]] = 1;
		}
	}
	return true;
}

bool prt_image_mark(struct prt_image *m, const uint32_t *root, size_t n)
{
	uint16_t *pages POL_CLEANUP(pol_cleanup_free) = must(calloc(m->pages.max, sizeof(*pages)));
	uint16_t *verdicts POL_CLEANUP(pol_cleanup_free) =
		must(calloc(m->verdicts.max, sizeof(*verdicts)));
	struct marks seen = { pages, verdicts };
	unsigned height = m->o->manifest.column_levels + m->o->manifest.l4_levels;

	for (size_t i = 0; i < n; i++)
		if (!mark(m, &seen, root[i], height))
			return false;
	store_keep(&m->pages, pages);
	store_keep(&m->verdicts, verdicts);
	prt_image_forget_table(m);
	return true;
}

/* ---- trees --------------------------------------------------------------- */

static struct memo *memo_at(struct memo *memo, uint32_t cap, uint64_t key)
{
	uint32_t at = (uint32_t)pol_hash(&key, sizeof(key), 0) & (cap - 1);

	while (memo[at].set && memo[at].key != key)
		at = (at + 1) & (cap - 1);
	return &memo[at];
}

static void memo_put(struct prt_image *m, uint64_t key, uint32_t result)
{
	if (2 * (m->memo_n + 1) > m->memo_cap) {
		uint32_t cap = m->memo_cap ? m->memo_cap * 2 : 1024;
		struct memo *memo = must(calloc(cap, sizeof(*memo)));

		for (uint32_t i = 0; i < m->memo_cap; i++)
			if (m->memo[i].set)
				*memo_at(memo, cap, m->memo[i].key) = m->memo[i];
		free(m->memo);
		m->memo = memo;
		m->memo_cap = cap;
	}
	*memo_at(m->memo, m->memo_cap, key) = (struct memo){ key, result, true };
	m->memo_n++;
}

static bool full(const struct prt_image *m)
{
	return m->pages.full || m->verdicts.full;
}

/* The same tree here; height 0: a verdict. */
static uint32_t import(struct prt_image *m, const struct pol_table *t, uint32_t node,
		       unsigned height)
{
	uint64_t key = (uint64_t)node << 8 | height;
	uint32_t entry[POL_PAGE], result;

	if (height && !node)
		return 0; /* the closed page, at every height */
	if (m->memo_cap) {
		const struct memo *known = memo_at(m->memo, m->memo_cap, key);

		if (known->set)
			return known->result;
	}
	if (!height) {
		result = store_add(&m->verdicts, &pol_table_verdicts(t)[node]);
	} else {
		const uint32_t *from = &pol_table_pages(t)[(size_t)node * POL_PAGE];

		for (unsigned i = 0; i < POL_PAGE; i++)
			entry[i] = import(m, t, from[i], height - 1);
		result = store_add(&m->pages, entry);
	}
	if (full(m))
		return 0;
	memo_put(m, key, result);
	return result;
}

/* One walk over the column levels. */
struct walk {
	struct prt_image *m;
	const struct pol_table *t;
	const struct prt_image_column *column; /* those not reached yet */
	size_t n;
	bool patch; /* nodes on the way are the image's, not the table's */
};

/* levels: of columns, below this node; lo: its first column. */
static uint32_t weave(struct walk *w, uint32_t node, unsigned levels, uint64_t lo)
{
	const struct prt_manifest *mf = &w->m->o->manifest;
	uint64_t span = 1ull << (POL_PAGE_BITS * levels), child = span >> POL_PAGE_BITS;
	bool any = w->n && w->column->column < lo + span;
	uint32_t entry[POL_PAGE];
	const uint32_t *from;

	if (!any && w->patch)
		return node;
	if (!any && lo + span <= mf->static_columns)
		return import(w->m, w->t, node, levels + mf->l4_levels);
	if (!any && lo >= mf->static_columns)
		return 0;
	if (!levels) {
		w->n--;
		return import(w->m, w->t, (w->column++)->node, mf->l4_levels);
	}
	from = w->patch ? prt_image_pages(w->m) : pol_table_pages(w->t);
	memcpy(entry, &from[(size_t)node * POL_PAGE], sizeof(entry));
	for (unsigned i = 0; i < POL_PAGE; i++)
		entry[i] = weave(w, entry[i], levels - 1, lo + i * child);
	return store_add(&w->m->pages, entry);
}

uint32_t prt_image_build(struct prt_image *m, const struct pol_table *t, uint32_t node,
			 const struct prt_image_column *column, size_t n)
{
	struct walk w = { .m = m, .t = t, .column = column, .n = n };

	return weave(&w, node, m->o->manifest.column_levels, 0);
}

uint32_t prt_image_patch(struct prt_image *m, const struct pol_table *t, uint32_t root,
			 const struct prt_image_column *column, size_t n)
{
	struct walk w = { .m = m, .t = t, .column = column, .n = n, .patch = true };

	return weave(&w, root, m->o->manifest.column_levels, 0);
}

/* ---- looking ------------------------------------------------------------- */

const uint32_t *prt_image_pages(const struct prt_image *m)
{
	return (const uint32_t *)(const void *)m->pages.item;
}

const struct pol_verdict *prt_image_verdicts(const struct prt_image *m)
{
	return (const struct pol_verdict *)(const void *)m->verdicts.item;
}

uint32_t prt_image_npages(const struct prt_image *m)
{
	return m->pages.top;
}

uint32_t prt_image_nverdicts(const struct prt_image *m)
{
	return m->verdicts.top;
}

uint32_t prt_image_pages_used(const struct prt_image *m)
{
	return m->pages.used;
}

uint32_t prt_image_verdicts_used(const struct prt_image *m)
{
	return m->verdicts.used;
}
