/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cells: which lines both addresses of a packet satisfy, by their two classes.
 *
 * How many there are depends on how lines with wide and with narrow prefixes are kept apart;
 * the splits of a ladder are tried, and the cheapest is taken.
 */
#include "compiler/filter/build.h"

#define LINES_MAX (48u << 20) /* in all cells of a split */
#define SHORT 32 /* of a cell: that far a line is looked for that makes the next one void */

unsigned pol_half_group(const struct half *h, const struct half_line *l)
{
	unsigned g = 0;

	for (unsigned i = 0; i < 2; i++)
		if (h->wide[i] && h->side[i].size.v[l->set[i]] >
					  (pol_u128)1 << ((h->family == 4 ? 32 : 128) - h->wide[i]))
			g |= 1u << i;
	return g;
}

/* ---- the cells of one group -------------------------------------------------------------- */

struct cell {
	uint64_t key; /* source class << 32 | destination class */
	uint32_t first, last; /* nodes + 1 */
	bool closed; /* its last line holds for every packet */
};
struct node {
	uint32_t line, next; /* index into half.lines; node + 1 */
};

struct cells {
	POL_VEC(struct cell) cell;
	POL_VEC(struct node) node;
	uint32_t *slot; /* cell + 1 */
	size_t cap;
};

/* Low bits that depend on both classes of a key. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static void cells_grow(struct cells *c)
{
	c->cap = c->cap ? c->cap * 2 : 1024;
	free(c->slot);
	c->slot = calloc(c->cap, sizeof(*c->slot));
	if (!c->slot)
		abort();
	for (uint32_t i = 0; i < c->cell.n; i++) {
		size_t at = mix(c->cell.v[i].key) & (c->cap - 1);

		while (c->slot[at])
			at = (at + 1) & (c->cap - 1);
		c->slot[at] = i + 1;
	}
}

static struct cell *cell_of(struct cells *c, uint64_t key)
{
	size_t at;

	if (2 * c->cell.n >= c->cap)
		cells_grow(c);
	for (at = mix(key) & (c->cap - 1); c->slot[at]; at = (at + 1) & (c->cap - 1))
		if (c->cell.v[c->slot[at] - 1].key == key)
			return &c->cell.v[c->slot[at] - 1];
	*pol_vec_push(&c->cell) = (struct cell){ .key = key };
	c->slot[at] = (uint32_t)c->cell.n;
	return &c->cell.v[c->cell.n - 1];
}

/* A line behind one that asks the same, or nothing, of the packet can never be the first. */
static void add_line(const struct half *h, struct cells *c, struct cell *to, uint32_t line)
{
	uint32_t pred = h->lines.v[line].pred, seen = 0;

	if (to->closed)
		return;
	for (uint32_t n = to->first; n && seen < SHORT; n = c->node.v[n - 1].next, seen++)
		if (h->lines.v[c->node.v[n - 1].line].pred == pred)
			return;
	*pol_vec_push(&c->node) = (struct node){ .line = line };
	if (to->last)
		c->node.v[to->last - 1].next = (uint32_t)c->node.n;
	else
		to->first = (uint32_t)c->node.n;
	to->last = (uint32_t)c->node.n;
	to->closed = pred == 0;
}

static void cells_free(struct cells *c)
{
	pol_vec_free(&c->cell);
	pol_vec_free(&c->node);
	free(c->slot);
	*c = (struct cells){ 0 };
}

/* By aset: the classes that it is part of. */
struct classes_of {
	uint32_t *at, *v; /* of aset i: v[at[i]..at[i + 1]) */
};

static void classes_of(const struct half_side *side, unsigned g, struct classes_of *out)
{
	const struct pol_lists *l = &side->class[g];
	uint32_t *fill = calloc(side->aset.n + 2, sizeof(*fill));

	out->at = calloc(side->aset.n + 2, sizeof(*out->at));
	out->v = calloc(l->words.n + 1, sizeof(*out->v));
	if (!fill || !out->at || !out->v)
		abort();
	for (size_t i = 0; i < l->words.n; i++)
		out->at[l->words.v[i] + 1]++;
	for (size_t i = 0; i < side->aset.n; i++)
		out->at[i + 1] += out->at[i];
	for (uint32_t c = 0; c < pol_lists_count(l); c++)
		for (size_t i = 0; i < pol_lists_len(l, c); i++) {
			uint32_t e = pol_lists_at(l, c)[i];

			out->v[out->at[e] + fill[e]++] = c;
		}
	free(fill);
}

/* False: more than `max` lines. */
static bool gather(const struct half *h, unsigned g, size_t max, struct cells *out)
{
	struct classes_of src, dst;
	bool fits = true;
	size_t work = 0;

	classes_of(&h->side[0], g, &src);
	classes_of(&h->side[1], g, &dst);
	for (uint32_t k = 0; k < h->lines.n && fits; k++) {
		const struct half_line *l = &h->lines.v[k];

		if (l->special || pol_half_group(h, l) != g)
			continue;
		work += (size_t)(src.at[l->set[0] + 1] - src.at[l->set[0]]) *
			(dst.at[l->set[1] + 1] - dst.at[l->set[1]]);
		fits = work <= max;
		for (uint32_t i = src.at[l->set[0]]; fits && i < src.at[l->set[0] + 1]; i++)
			for (uint32_t j = dst.at[l->set[1]]; j < dst.at[l->set[1] + 1]; j++)
				add_line(h, out, cell_of(out, (uint64_t)src.v[i] << 32 | dst.v[j]),
					 k);
	}
	free(src.at);
	free(src.v);
	free(dst.at);
	free(dst.v);
	return fits;
}

/* ---- which split ------------------------------------------------------------------------------ */

/*
 * About nanoseconds a packet: some for each group, more as the cells leave one cache after the other.
 * Where it does not fit at all, -1.
 */
static int cost_of(struct half *h, size_t max)
{
	uint64_t bytes = 0;
	int cost = 0;
	struct cells c = { 0 };

	pol_half_records(h);
	for (unsigned g = 0; g < POL_FILTER_GROUPS && cost >= 0; g++) {
		if (!gather(h, g, max, &c)) {
			cost = -1;
		} else if (c.cell.n) {
			bytes += 100ull * c.cell.n + 12ull * c.node.n;
			cost += 7;
		}
		cells_free(&c);
	}
	for (bytes >>= 17; cost >= 0 && bytes; bytes >>= 1)
		cost += 5;
	return cost;
}

static bool choose(struct half *h)
{
	static const uint8_t v4[][2] = {
		{ 0, 0 }, { 8, 8 }, { 16, 16 }, { 4, 4 }, { 24, 24 }, { 16, 0 }, { 0, 16 },
	};
	/* What an IPv4 prefix means inside 64:ff9b::/96 has 96 bits more. */
	static const uint8_t v6[][2] = {
		{ 0, 0 },   { 104, 104 }, { 32, 32 }, { 112, 112 },
		{ 48, 48 }, { 16, 16 },   { 64, 64 },
	};
	const uint8_t(*ladder)[2] = h->family == 4 ? v4 : v6;
	size_t max = 16 * h->lines.n + (1u << 20);
	int best = -1, least = 0;

	/* First what costs little to try; then whatever fits at all. */
	for (; best < 0 && max <= LINES_MAX * 8ull; max *= 8) {
		for (size_t i = 0; i < POL_ARRAY_LEN(v4); i++) {
			int cost;

			h->wide[0] = ladder[i][0];
			h->wide[1] = ladder[i][1];
			cost = cost_of(h, max < LINES_MAX ? max : LINES_MAX);
			if (cost >= 0 && (best < 0 || cost < least)) {
				best = (int)i;
				least = cost;
			}
		}
	}
	if (best < 0)
		return false;
	h->wide[0] = ladder[best][0];
	h->wide[1] = ladder[best][1];
	return true;
}

/* ---- writing ------------------------------------------------------------------------------------ */

struct writing {
	struct half *h;
	struct pol_lists patterns; /* of preds */
	struct pol_lists lists; /* of what lines say; 0: the empty one */
	POL_VEC(uint64_t) val; /* by cell: pattern << 32 | list, as numbers */
};

static uint64_t value_of(struct writing *w, const struct cells *c, const struct cell *cell)
{
	POL_VEC(uint32_t) preds = { 0 };
	POL_VEC(uint32_t) says = { 0 };
	uint64_t v;

	*pol_vec_push(&says) = POL_FILTER_NONE;
	for (uint32_t n = cell->first; n; n = c->node.v[n - 1].next) {
		const struct half_line *l = &w->h->lines.v[c->node.v[n - 1].line];

		*pol_vec_push(&preds) = l->pred;
		*pol_vec_push(&says) = l->says;
	}
	v = (uint64_t)pol_lists_get(&w->patterns, preds.v, preds.n) << 32 |
	    pol_lists_get(&w->lists, says.v, says.n);
	pol_vec_free(&preds);
	pol_vec_free(&says);
	return v;
}

/* Every key in its bucket, or the hash is tried with another factor, then with more buckets. */
static bool place(const struct cells *c, uint64_t mul, uint32_t buckets, uint8_t *used,
		  uint32_t *at)
{
	memset(used, 0, buckets);
	for (size_t i = 0; i < c->cell.n; i++) {
		uint32_t b = (uint32_t)(c->cell.v[i].key * mul >> 40) & (buckets - 1);

		if (used[b] == POL_FILTER_WAYS)
			return false;
		at[i] = b * POL_FILTER_WAYS + used[b]++;
	}
	return true;
}

static bool find_hash(const struct cells *c, uint64_t *mul, uint32_t *buckets, uint32_t *at)
{
	uint32_t n = 1;
	uint8_t *used;

	while ((uint64_t)n * 2 < c->cell.n)
		n *= 2;
	for (; n <= 1u << 21; n *= 2) {
		used = calloc(n, 1);
		if (!used)
			abort();
		for (uint64_t seed = 1; seed <= 24; seed++) {
			*mul = mix(seed) | 1;
			if (place(c, *mul, n, used, at)) {
				*buckets = n;
				free(used);
				return true;
			}
		}
		free(used);
	}
	return false;
}

static bool write_hash(struct writing *w, const struct cells *c, struct pol_filter_group *to)
{
	struct pol_words *out = w->h->out;
	uint32_t *at = calloc(c->cell.n, sizeof(*at)), buckets = 0;
	uint64_t mul = 0;
	bool found;

	if (!at)
		abort();
	found = find_hash(c, &mul, &buckets, at);
	if (found) {
		size_t n = (size_t)buckets * POL_FILTER_WAYS;

		to->mul = mul;
		to->buckets = buckets;
		to->keys = pol_words_room(out, 2 * n, 16) / 2;
		to->vals = pol_words_room(out, 2 * n, 16) / 2;
		w->h->stats->buckets += buckets;
		for (size_t i = 0; i < c->cell.n && !out->full; i++) {
			pol_words_put64(out, ((size_t)to->keys + at[i]) * 2, c->cell.v[i].key);
			pol_words_put64(out, ((size_t)to->vals + at[i]) * 2, w->val.v[i]);
		}
	}
	free(at);
	return found;
}

static void write_direct(struct writing *w, const struct cells *c, size_t nsrc, size_t ndst,
			 struct pol_filter_group *to)
{
	struct pol_words *out = w->h->out;

	to->buckets = 0;
	to->width = (uint32_t)ndst;
	to->vals = pol_words_room(out, 2 * nsrc * ndst, 2) / 2;
	for (size_t i = 0; i < c->cell.n && !out->full; i++) {
		size_t at = (c->cell.v[i].key >> 32) * ndst + (uint32_t)c->cell.v[i].key;

		pol_words_put64(out, ((size_t)to->vals + at) * 2, w->val.v[i]);
	}
}

static bool write_group(struct writing *w, unsigned g, struct pol_filter_group *to)
{
	struct half *h = w->h;
	size_t nsrc = pol_lists_count(&h->side[0].class[g]),
	       ndst = pol_lists_count(&h->side[1].class[g]);
	struct cells c = { 0 };
	bool ok = gather(h, g, LINES_MAX, &c);

	w->val.n = 0;
	for (size_t i = 0; i < c.cell.n; i++)
		*pol_vec_push(&w->val) = value_of(w, &c, &c.cell.v[i]);
	h->stats->cells += (uint32_t)c.cell.n;
	/* direct: 8 bytes a pair of classes; hash: 128 bytes for some two cells */
	if (ok && c.cell.n) {
		h->stats->groups++;
		if (nsrc * ndst <= 1024 || nsrc * ndst <= 6 * c.cell.n)
			write_direct(w, &c, nsrc, ndst, to);
		else
			ok = write_hash(w, &c, to);
	} else if (ok) {
		write_direct(w, &c, 1, 1, to);
	}
	cells_free(&c);
	return ok;
}

/* The first pred of each pattern that holds, by kind; 0: none. */
static uint32_t write_patterns(struct writing *w)
{
	struct half *h = w->h;
	uint32_t nkinds = pol_lists_count(&h->kinds), npreds = pol_lists_count(&h->preds);
	uint32_t n = pol_lists_count(&w->patterns);
	uint32_t at = pol_words_room(h->out, ((size_t)n * nkinds + 1) / 2, 1) * 2;
	uint8_t *holds = calloc(npreds, 1);

	if (!holds)
		abort();
	h->stats->patterns = n;
	for (uint32_t k = 0; k < nkinds && !h->out->full; k++) {
		memset(holds, 0, npreds);
		holds[0] = 1;
		for (size_t i = 0; i < pol_lists_len(&h->kinds, k); i++)
			holds[pol_lists_at(&h->kinds, k)[i]] = 1;
		for (uint32_t p = 0; p < n; p++) {
			const uint32_t *v = pol_lists_at(&w->patterns, p);
			size_t len = pol_lists_len(&w->patterns, p), i = 0;
			size_t half = at + (size_t)p * nkinds + k;

			while (i < len && !holds[v[i]])
				i++;
			if (i < len)
				h->out->w.v[half / 2] |= (uint32_t)(i + 1) << (half & 1 ? 16 : 0);
		}
	}
	free(holds);
	return at;
}

static uint32_t write_lists(struct writing *w)
{
	uint32_t at = pol_words_room(w->h->out, w->lists.words.n + 1, 1);

	/* the empty list, of cells without lines, says that none holds */
	if (w->h->out->full)
		return 0;
	w->h->out->w.v[at] = POL_FILTER_NONE;
	if (w->lists.words.n)
		memcpy(&w->h->out->w.v[at + 1], w->lists.words.v,
		       w->lists.words.n * sizeof(*w->lists.words.v));
	return at;
}

/* Numbers of patterns and lists become places. */
static void settle(struct writing *w, const struct pol_filter_group *g, size_t n, uint32_t patterns,
		   uint32_t lists)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t *v = &w->h->out->w.v[((size_t)g->vals + i) * 2];

		v[0] = lists + (v[0] ? 1 + w->lists.at.v[v[0]] : 0);
		v[1] = patterns + v[1] * pol_lists_count(&w->h->kinds);
	}
}

static bool too_long(const struct pol_lists *patterns)
{
	for (uint32_t p = 0; p < pol_lists_count(patterns); p++)
		if (pol_lists_len(patterns, p) > 65534)
			return true;
	return false;
}

static bool write_all(struct writing *w)
{
	struct half *h = w->h;
	size_t n[POL_FILTER_GROUPS] = { 0 };
	uint32_t patterns, lists;

	for (unsigned g = 0; g < POL_FILTER_GROUPS; g++) {
		struct pol_filter_group *to = &h->head->group[g];

		if (!write_group(w, g, to))
			return false;
		n[g] = to->buckets ? (size_t)to->buckets * POL_FILTER_WAYS
				   : (size_t)to->width *
					     (to->width > 1 ? pol_lists_count(&h->side[0].class[g])
							    : 1);
	}
	if (too_long(&w->patterns) ||
	    (uint64_t)pol_lists_count(&w->patterns) * pol_lists_count(&h->kinds) >
		    POL_FILTER_WORDS_MAX)
		return false;
	patterns = write_patterns(w);
	lists = write_lists(w);
	for (unsigned g = 0; g < POL_FILTER_GROUPS && !h->out->full; g++)
		settle(w, &h->head->group[g], n[g], patterns, lists);
	return true;
}

bool pol_half_cells(struct half *h)
{
	struct writing w = { .h = h };
	bool ok = choose(h);

	if (ok) {
		pol_half_records(h);
		pol_lists_init(&w.patterns);
		pol_lists_init(&w.lists);
		ok = write_all(&w);
		pol_lists_free(&w.patterns);
		pol_lists_free(&w.lists);
		pol_vec_free(&w.val);
	}
	if (!ok)
		h->refused = "its sources and destinations cross in too many ways";
	h->stats->wide[0] = h->wide[0];
	h->stats->wide[1] = h->wide[1];
	return ok;
}
