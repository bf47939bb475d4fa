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
	return h->number[g];
}

/* Groups that have lines come first, so that only they are looked at. */
static void number_groups(struct half *h)
{
	bool used[POL_FILTER_GROUPS] = { false };
	uint8_t n = 0;

	for (uint8_t g = 0; g < POL_FILTER_GROUPS; g++)
		h->number[g] = g;
	for (size_t i = 0; i < h->lines.n; i++)
		if (!h->lines.v[i].special)
			used[pol_half_group(h, &h->lines.v[i])] = true;
	for (unsigned g = 0; g < POL_FILTER_GROUPS; g++)
		if (used[g])
			h->number[g] = n++;
	h->head->ngroups = n;
	h->stats->groups = n;
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
		pol_no_memory();
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
		pol_no_memory();
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
static int cost_of(struct half *h, size_t max, size_t *cells)
{
	uint64_t bytes = 0;
	int cost = 0;
	struct cells c = { 0 };

	number_groups(h);
	pol_half_records(h);
	for (unsigned g = 0; g < h->head->ngroups && cost >= 0; g++) {
		cost = gather(h, g, max, &c) ? cost + 7 : -1;
		bytes += 40ull * c.cell.n + 8ull * c.node.n;
		*cells += c.cell.n;
		cells_free(&c);
	}
	for (bytes >>= 17; cost >= 0 && bytes; bytes >>= 1)
		cost += 5;
	return cost;
}

#define SPLITS 7

static const uint8_t *split_of(const struct half *h, size_t i)
{
	static const uint8_t v4[SPLITS][2] = {
		{ 0, 0 }, { 8, 8 }, { 16, 16 }, { 4, 4 }, { 24, 24 }, { 16, 0 }, { 0, 16 },
	};
	/* What an IPv4 prefix means inside 64:ff9b::/96 has 96 bits more. */
	static const uint8_t v6[SPLITS][2] = {
		{ 0, 0 },   { 104, 104 }, { 32, 32 }, { 112, 112 },
		{ 48, 48 }, { 16, 16 },   { 64, 64 },
	};

	return h->family == 4 ? v4[i] : v6[i];
}

static void take_split(struct half *h, size_t i)
{
	h->wide[0] = split_of(h, i)[0];
	h->wide[1] = split_of(h, i)[1];
}

static bool choose(struct half *h)
{
	size_t few = 4 * h->lines.n + 65536, fewest = SIZE_MAX, max = 16 * h->lines.n + (1u << 20);
	int best = -1, least = 0;

	/*
	 * The best of what costs little to try; else the first that has about as many cells as
	 * lines; or any.
	 */
	for (bool first = true; fewest > few && max <= LINES_MAX * 8ull; max *= 8, first = false) {
		for (size_t i = 0; i < SPLITS && (first || fewest > few); i++) {
			size_t cells = 0;
			int cost;

			take_split(h, i);
			cost = cost_of(h, max < LINES_MAX ? max : LINES_MAX, &cells);
			if (cost >= 0 && (best < 0 || cost < least)) {
				best = (int)i;
				least = cost;
				fewest = cells;
			}
		}
	}
	if (best < 0)
		return false;
	take_split(h, (size_t)best);
	return true;
}

/* ---- which lines multiply ------------------------------------------------------------------- */

static uint64_t weight(const struct heavy_line *x)
{
	return x->patterns ? x->patterns : (uint64_t)x->classes[0] * x->classes[1];
}

static void keep_heavy(struct half *h, struct heavy_line x)
{
	size_t at = h->nheavy;

	while (at && weight(&h->heavy[at - 1]) < weight(&x))
		at--;
	if (at == POL_FILTER_HEAVY)
		return;
	if (h->nheavy < POL_FILTER_HEAVY)
		h->nheavy++;
	for (size_t i = h->nheavy - 1; i > at; i--)
		h->heavy[i] = h->heavy[i - 1];
	h->heavy[at] = x;
}

/* Cells of all lines with the split in hand; the lines that have most of them are kept. */
static uint64_t weigh(struct half *h)
{
	struct classes_of of[2];
	uint64_t all = 0;

	h->nheavy = 0;
	number_groups(h);
	pol_half_records(h);
	for (unsigned g = 0; g < h->head->ngroups; g++) {
		classes_of(&h->side[0], g, &of[0]);
		classes_of(&h->side[1], g, &of[1]);
		for (uint32_t k = 0; k < h->lines.n; k++) {
			const struct half_line *l = &h->lines.v[k];
			struct heavy_line x = { .line = l->line };

			if (l->special || pol_half_group(h, l) != g)
				continue;
			for (unsigned i = 0; i < 2; i++)
				x.classes[i] = of[i].at[l->set[i] + 1] - of[i].at[l->set[i]];
			all += weight(&x);
			keep_heavy(h, x);
		}
		for (unsigned i = 0; i < 2; i++) {
			free(of[i].at);
			free(of[i].v);
		}
	}
	return all;
}

void pol_half_heavy(struct half *h)
{
	uint64_t least = UINT64_MAX;
	size_t best = 0;

	for (size_t i = 0; i < SPLITS; i++) {
		uint64_t all;

		take_split(h, i);
		all = weigh(h);
		if (all < least) {
			least = all;
			best = i;
		}
	}
	take_split(h, best);
	weigh(h);
}

/* ---- writing ------------------------------------------------------------------------------------ */

struct value {
	uint32_t pattern; /* its number */
	uint64_t says; /* as in the table, of a list its number */
};

struct writing {
	struct half *h;
	struct pol_lists patterns; /* of preds */
	struct pol_lists lists; /* of what lines say; 0: the empty one */
	POL_VEC(struct value) val; /* by cell */
};

/* What lines of a cell say, as its second double; a list has 0 before all. */
static uint64_t says_of(struct writing *w, const uint32_t *says, size_t n)
{
	uint64_t v = 0;
	bool fits = n <= POL_FILTER_CELL_LINES + 1;

	for (size_t i = 1; i < n && fits; i++) {
		fits = !(says[i] >> POL_FILTER_LINE_BITS);
		v |= (uint64_t)says[i] << (63 - i * POL_FILTER_LINE_BITS);
	}
	return fits ? v : POL_FILTER_LIST | pol_lists_get(&w->lists, says, n);
}

static struct value value_of(struct writing *w, const struct cells *c, const struct cell *cell)
{
	POL_VEC(uint32_t) preds = { 0 };
	POL_VEC(uint32_t) says = { 0 };
	struct value v;

	*pol_vec_push(&says) = 0;
	for (uint32_t n = cell->first; n; n = c->node.v[n - 1].next) {
		const struct half_line *l = &w->h->lines.v[c->node.v[n - 1].line];

		*pol_vec_push(&preds) = l->pred;
		*pol_vec_push(&says) = l->says + 1;
	}
	v.pattern = pol_lists_get(&w->patterns, preds.v, preds.n);
	v.says = says_of(w, says.v, says.n);
	pol_vec_free(&preds);
	pol_vec_free(&says);
	return v;
}

/* ---- a perfect hash ------------------------------------------------------------------------------ */

#define BUCKET 4 /* keys of one, on average */
#define SEEDS 32

struct hash {
	uint64_t mul;
	unsigned shift; /* to get the bucket */
	uint32_t cells; /* places: some more than there are keys, or the last ones find none */
	uint16_t *spread; /* by bucket */
	uint64_t *hashed; /* by key */
	uint32_t *place; /* likewise */
	/* While it is made: keys by bucket, buckets by how many they have. */
	uint32_t *first, *key; /* of bucket b: key[first[b]..first[b + 1]) */
	uint32_t *order;
	uint8_t *taken;
};

static size_t buckets_of(const struct hash *p)
{
	return (size_t)1 << (64 - p->shift);
}

static uint32_t place_of(const struct hash *p, uint64_t hashed, uint32_t spread)
{
	return (uint32_t)((uint64_t)((uint32_t)(hashed >> 24) * spread) * p->cells >> 32);
}

static uint64_t key_of(const struct cell *c)
{
	return POL_FILTER_KEY(c->key >> 32, (uint32_t)c->key);
}

static void by_bucket(struct hash *p, const struct cells *c)
{
	size_t nb = buckets_of(p), n = c->cell.n, at = 0, most = 0;

	memset(p->first, 0, (nb + 2) * sizeof(*p->first));
	for (size_t i = 0; i < n; i++) {
		p->hashed[i] = key_of(&c->cell.v[i]) * p->mul;
		p->first[(p->hashed[i] >> p->shift) + 2]++;
	}
	for (size_t b = 0; b < nb; b++) {
		most = p->first[b + 2] > most ? p->first[b + 2] : most;
		p->first[b + 2] += p->first[b + 1];
	}
	for (size_t i = 0; i < n; i++)
		p->key[p->first[(p->hashed[i] >> p->shift) + 1]++] = (uint32_t)i;
	for (; most; most--)
		for (uint32_t b = 0; b < nb; b++)
			if (p->first[b + 1] - p->first[b] == most)
				p->order[at++] = b;
	if (at < nb)
		p->order[at] = UINT32_MAX; /* the others are empty */
}

/* Places for all keys of a bucket; what was taken is given back where one of them finds none. */
static bool spread_bucket(struct hash *p, uint32_t bucket, uint32_t spread)
{
	for (uint32_t i = p->first[bucket]; i < p->first[bucket + 1]; i++) {
		uint32_t at = place_of(p, p->hashed[p->key[i]], spread);

		if (p->taken[at]) {
			while (i-- > p->first[bucket])
				p->taken[p->place[p->key[i]]] = 0;
			return false;
		}
		p->taken[at] = 1;
		p->place[p->key[i]] = at;
	}
	p->spread[bucket] = (uint16_t)spread;
	return true;
}

static bool try_seed(struct hash *p, const struct cells *c, uint64_t seed)
{
	size_t nb = buckets_of(p);

	p->mul = mix(seed) | 1;
	by_bucket(p, c);
	memset(p->taken, 0, p->cells);
	for (size_t i = 0; i < nb && p->order[i] != UINT32_MAX; i++) {
		uint32_t spread = 1;

		while (spread < 65536 && !spread_bucket(p, p->order[i], spread))
			spread += 2;
		if (spread > 65535)
			return false;
	}
	return true;
}

static void hash_free(struct hash *p)
{
	free(p->spread);
	free(p->hashed);
	free(p->place);
	free(p->first);
	free(p->key);
	free(p->order);
	free(p->taken);
}

/* False: no seed does, of which there is next to no chance. */
static bool find_hash(const struct cells *c, struct hash *p)
{
	size_t n = c->cell.n, nb;

	*p = (struct hash){ .shift = 63, .cells = (uint32_t)(n + n / 8 + 1) };
	while (buckets_of(p) * BUCKET < n)
		p->shift--;
	nb = buckets_of(p);
	p->spread = calloc(nb, sizeof(*p->spread));
	p->hashed = calloc(n + 1, sizeof(*p->hashed));
	p->place = calloc(n + 1, sizeof(*p->place));
	p->first = calloc(nb + 2, sizeof(*p->first));
	p->key = calloc(n + 1, sizeof(*p->key));
	p->order = calloc(nb, sizeof(*p->order));
	p->taken = calloc(p->cells, 1);
	if (!p->spread || !p->hashed || !p->place || !p->first || !p->key || !p->order || !p->taken)
		pol_no_memory();
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		if (try_seed(p, c, seed))
			return true;
	return false;
}

static bool write_hash(struct writing *w, const struct cells *c, unsigned g)
{
	struct pol_filter_group *to = &w->h->head->group[g];
	struct pol_words *out = w->h->out;
	struct hash p;
	bool found = find_hash(c, &p);

	to->mul = p.mul;
	to->shift = p.shift;
	to->cells = p.cells;
	to->spread = pol_words_room(out, buckets_of(&p) / 2, 1) * 2;
	to->cell = pol_words_room(out, 4 * (size_t)p.cells, 4) / 2;
	for (size_t b = 0; b < buckets_of(&p) && !out->full; b++)
		out->w.v[to->spread / 2 + b / 2] |= (uint32_t)p.spread[b] << (b & 1 ? 16 : 0);
	for (size_t i = 0; i < c->cell.n && !out->full; i++) {
		size_t at = 2 * ((size_t)to->cell + 2 * (size_t)p.place[i]);
		const struct value *v = &w->val.v[i];

		pol_words_put64(out, at,
				(uint64_t)v->pattern << POL_FILTER_KEY_BITS |
					key_of(&c->cell.v[i]));
		pol_words_put64(out, at + 2, v->says);
	}
	hash_free(&p);
	return found;
}

static bool write_group(struct writing *w, unsigned g)
{
	struct half *h = w->h;
	struct cells c = { 0 };
	bool ok = gather(h, g, LINES_MAX, &c);

	w->val.n = 0;
	for (size_t i = 0; i < c.cell.n; i++)
		*pol_vec_push(&w->val) = value_of(w, &c, &c.cell.v[i]);
	h->stats->cells += (uint32_t)c.cell.n;
	ok = ok && write_hash(w, &c, g);
	cells_free(&c);
	return ok;
}

/* The first pred of each pattern that holds, by kind; 0: none. */
static void write_patterns(struct writing *w)
{
	struct half *h = w->h;
	uint32_t nkinds = pol_lists_count(&h->kinds), npreds = pol_lists_count(&h->preds);
	uint32_t n = pol_lists_count(&w->patterns);
	bool big = h->head->flags & POL_FILTER_LONG;
	uint32_t at =
		pol_words_room(h->out, ((size_t)n * nkinds + 3) / (big ? 2 : 4), 1) * (big ? 2 : 4);
	uint8_t *holds = calloc(npreds, 1);

	if (!holds)
		pol_no_memory();
	h->head->pattern = at;
	h->stats->patterns = n;
	for (uint32_t k = 0; k < nkinds && !h->out->full; k++) {
		memset(holds, 0, npreds);
		holds[0] = 1;
		for (size_t i = 0; i < pol_lists_len(&h->kinds, k); i++)
			holds[pol_lists_at(&h->kinds, k)[i]] = 1;
		for (uint32_t p = 0; p < n; p++) {
			const uint32_t *v = pol_lists_at(&w->patterns, p);
			size_t len = pol_lists_len(&w->patterns, p), i = 0;
			size_t to = at + (size_t)p * nkinds + k;

			while (i < len && !holds[v[i]])
				i++;
			if (i < len && big)
				pol_words_put16(h->out, to, (uint32_t)i + 1);
			else if (i < len)
				pol_words_put8(h->out, to, (uint32_t)i + 1);
		}
	}
	free(holds);
}

static uint32_t write_lists(struct writing *w)
{
	uint32_t at = pol_words_room(w->h->out, w->lists.words.n, 1);

	if (w->lists.words.n && !w->h->out->full)
		memcpy(&w->h->out->w.v[at], w->lists.words.v,
		       w->lists.words.n * sizeof(*w->lists.words.v));
	return at;
}

/* Numbers of lists become places. */
static void settle(struct writing *w, const struct pol_filter_group *g, uint32_t lists)
{
	for (size_t i = 0; i < g->cells; i++) {
		uint32_t *says = &w->h->out->w.v[2 * (g->cell + 2 * i) + 2];

		if (says[1] >> 31)
			says[0] = lists + w->lists.at.v[says[0]];
	}
}

/* What lines ask that stands in most patterns; each told by the first line that does. */
static void heavy_preds(struct writing *w)
{
	struct half *h = w->h;
	uint32_t *in = calloc(pol_lists_count(&h->preds), sizeof(*in));

	if (!in)
		pol_no_memory();
	for (size_t i = 0; i < w->patterns.words.n; i++)
		in[w->patterns.words.v[i]]++;
	h->nheavy = 0;
	for (size_t i = 0; i < h->lines.n; i++) {
		const struct half_line *l = &h->lines.v[i];

		if (!l->special && in[l->pred] > 1)
			keep_heavy(h,
				   (struct heavy_line){ .line = l->line, .patterns = in[l->pred] });
		in[l->pred] = 0;
	}
	free(in);
}

static bool too_many_patterns(struct writing *w)
{
	uint32_t n = pol_lists_count(&w->patterns), nkinds = pol_lists_count(&w->h->kinds);
	bool is = (uint64_t)n * nkinds > POL_FILTER_WORDS_MAX || n >> (64 - POL_FILTER_KEY_BITS);

	for (uint32_t p = 0; p < n && !is; p++) {
		is = pol_lists_len(&w->patterns, p) > 65534;
		if (pol_lists_len(&w->patterns, p) > 255)
			w->h->head->flags |= POL_FILTER_LONG;
	}
	if (!is)
		return false;
	w->h->refused =
		pol_arena_printf(
			w->h->ir->arena,
			"it tells %u kinds of packets apart by ports and flags, in %u combinations of lines",
			nkinds, n)
			.p;
	w->h->patterns = true;
	heavy_preds(w);
	return true;
}

static bool write_all(struct writing *w)
{
	struct half *h = w->h;
	uint32_t lists;

	for (unsigned g = 0; g < h->head->ngroups; g++)
		if (!write_group(w, g))
			return false;
	if (too_many_patterns(w))
		return false;
	write_patterns(w);
	lists = write_lists(w);
	for (unsigned g = 0; g < h->head->ngroups && !h->out->full; g++)
		settle(w, &h->head->group[g], lists);
	return true;
}

/* A class has its number in a cell; 0 is one too. */
static bool classes_fit(const struct half *h)
{
	bool fit = true;

	for (unsigned g = 0; g < POL_FILTER_GROUPS; g++)
		for (int i = 0; i < 2; i++)
			fit = fit &&
			      pol_lists_count(&h->side[i].class[g]) <= 1u << POL_FILTER_CLASS_BITS;
	return fit;
}

bool pol_half_cells(struct half *h)
{
	struct writing w = { .h = h };
	bool ok = choose(h);

	if (ok) {
		number_groups(h);
		pol_half_records(h);
		pol_lists_init(&w.patterns);
		pol_lists_init(&w.lists);
		ok = classes_fit(h) && write_all(&w);
		pol_lists_free(&w.patterns);
		pol_lists_free(&w.lists);
		pol_vec_free(&w.val);
	}
	if (!ok && !h->refused)
		h->refused = "its sources and destinations cross in too many ways";
	h->stats->wide[0] = h->wide[0];
	h->stats->wide[1] = h->wide[1];
	return ok;
}
