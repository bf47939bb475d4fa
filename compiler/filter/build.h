/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the classifier of filters: what its files share. */
#ifndef POLC_FILTER_BUILD_H
#define POLC_FILTER_BUILD_H

#include "compiler/filter/filter.h"
#include "compiler/partition.h"
#include "compiler/ranges.h"
#include "compiler/search.h"

/* ---- lists of numbers, one of each (lists.c) ------------------------------------- */

/* List 0 is the empty one. */
struct pol_lists {
	POL_VEC(uint32_t) words;
	POL_VEC(uint32_t) at;		/* by list: where it begins; one more than there are lists */
	uint32_t *slot;			/* hash: list + 1 */
	size_t cap;
};
void pol_lists_init(struct pol_lists *l);
void pol_lists_free(struct pol_lists *l);
uint32_t pol_lists_get(struct pol_lists *l, const uint32_t *v, size_t n);
static inline uint32_t pol_lists_count(const struct pol_lists *l)
{
	return (uint32_t)l->at.n - 1;
}
static inline size_t pol_lists_len(const struct pol_lists *l, uint32_t list)
{
	return l->at.v[list + 1] - l->at.v[list];
}
static inline const uint32_t *pol_lists_at(const struct pol_lists *l, uint32_t list)
{
	return l->words.v + l->at.v[list];
}

/* ---- the array ------------------------------------------------------------------------ */

struct pol_words {
	POL_VEC(uint32_t) w;
	bool full;			/* past POL_FILTER_WORDS_MAX; what is added is dropped then */
};
/* Room for `words`, at a multiple of `align` words: where it begins.  Zeroed; NULL-safe only by `full`. */
uint32_t pol_words_room(struct pol_words *w, size_t words, size_t align);
static inline void pol_words_put64(struct pol_words *w, size_t at, uint64_t v)
{
	w->w.v[at] = (uint32_t)v;	/* the lower word first, as the machines that BPF runs on read it */
	w->w.v[at + 1] = (uint32_t)(v >> 32);
}

static inline void pol_words_put16(struct pol_words *w, size_t half, uint32_t v)
{
	uint32_t *word = &w->w.v[half / 2];

	*word = half & 1 ? (*word & 0xffff) | v << 16 : (*word & 0xffff0000) | (v & 0xffff);
}
static inline void pol_words_put8(struct pol_words *w, size_t byte, uint32_t v)
{
	unsigned shift = byte % 4 * 8;

	w->w.v[byte / 4] = (w->w.v[byte / 4] & ~(0xffu << shift)) | (v & 0xff) << shift;
}

/* ---- one family of one filter ------------------------------------------------------------ */

struct half_line {
	uint32_t line;			/* in the filter */
	uint32_t says;			/* POL_FILTER_SAYS */
	uint32_t set[2];		/* of each side, index into side.aset */
	uint32_t pred;
	bool special;
	unsigned bit;			/* of special */
};

struct half_side {
	POL_VEC(uint32_t) aset;		/* that lines name; by index */
	POL_VEC(uint64_t) mask;		/* by index: special lines that it satisfies */
	POL_VEC(pol_u128) size;		/* by index: addresses, about */
	/* Of the partition: which asets hold an interval, as lists of indices. */
	struct pol_lists sets;
	pol_bounds32 v4;		/* `set` is a list of `sets` */
	pol_bounds128 v6;
	/* Records: (class in each group, mask). */
	POL_VEC(uint32_t) record_of;	/* by list of `sets` */
	struct pol_lists records;	/* words of one */
	/* Of the group in hand: list of asets by class, classes by aset. */
	struct pol_lists class[POL_FILTER_GROUPS];
};

/* Of a filter that is refused: a line that makes much of it. */
#define POL_FILTER_HEAVY 4u
struct heavy_line {
	uint32_t line;		/* in the filter */
	uint32_t classes[2];	/* of source and destination: their product are its cells */
	uint32_t patterns;	/* not 0: that many have what it asks of ports and flags, and that is what is too much */
};

struct half {
	const struct pol_ir *ir;
	const struct pol_ir_filter *f;
	int family;			/* 4 or 6 */
	POL_VEC(struct half_line) lines;	/* that can match, the last one left out */
	unsigned nspecial;			/* of the filter, those that cannot match in this family too */
	struct half_side side[2];
	struct pol_lists preds;		/* words of terms: l4, sport, set, clear; 0: all */
	POL_VEC(uint64_t) pred_mask;	/* by pred: special lines that ask for it */
	struct pol_words *out;
	struct pol_filter_half *head;
	struct pol_filter_stats *stats;
	unsigned wide[2];		/* the split in hand, in the end the one that was chosen: see stats */
	uint8_t number[POL_FILTER_GROUPS];	/* of a group: by source is wide, destination is wide << 1 */
	/* kinds.c */
	struct pol_lists kinds;		/* preds that hold, by kind */
	const char *refused;		/* why it cannot be done */
	struct heavy_line heavy[POL_FILTER_HEAVY]; /* heaviest first */
	size_t nheavy;
	bool patterns;			/* refused for them: no line has too many cells */
};

/* address.c: partitions of both sides; after groups are known, records and search. */
void pol_half_partition(struct half *h);
void pol_half_records(struct half *h);
void pol_half_write_addresses(struct half *h);
/* kinds.c */
bool pol_half_kinds(struct half *h);
/* cells.c: chooses the groups, and writes their cells */
bool pol_half_cells(struct half *h);
/* After a refusal for cells: which lines multiply, by the split that would make the fewest. */
void pol_half_heavy(struct half *h);
unsigned pol_half_group(const struct half *h, const struct half_line *l);

#endif
