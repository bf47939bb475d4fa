/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The image of pol_pages and pol_verdicts (place.h): the finished trees, apart
 * from the table in which they are combined.  Equal pages are one page.  What
 * the compiler filled keeps its numbers and is never given up.
 */
#ifndef PRT_IMAGE_H
#define PRT_IMAGE_H

#include "runtime/input/object.h"

struct prt_image;

struct prt_image *prt_image_new(const struct prt_object *o);
void prt_image_free(struct prt_image *m);

/* Takes what is live for what is there; nothing is read before prt_image_mark. */
void prt_image_adopt(struct prt_image *m, const uint32_t *pages,
		     const struct pol_verdict *verdicts);

/*
 * What the trees of these roots reach is in use, and nothing else beyond what
 * the compiler filled: the rest can be used again, after a grace period.
 * False: a tree points outside.
 */
bool prt_image_mark(struct prt_image *m, const uint32_t *root, size_t n);

/* Begins a change; ends it: kept, or as if it had never been. */
void prt_image_begin(struct prt_image *m);
void prt_image_abort(struct prt_image *m);

/* Since prt_image_begin. */
struct prt_image_change {
	const uint32_t *pages, *verdicts;	/* numbers written, in no order */
	size_t npages, nverdicts;
	bool grace;		/* some of them have been in use before */
	const char *full;	/* what ran out: "pages" or "verdicts"; NULL: nothing */
};
struct prt_image_change prt_image_changed(const struct prt_image *m);

struct prt_image_column { uint32_t column, node; };	/* node: L4 tree in the table */

/*
 * A finished tree from `node` of the table t (whole height) at the static
 * columns, and the given ones, ascending; closed elsewhere.
 */
uint32_t prt_image_build(struct prt_image *m, const struct pol_table *t, uint32_t node,
			 const struct prt_image_column *column, size_t n);
/* The finished tree `root` of this image with other L4 trees at the given columns. */
uint32_t prt_image_patch(struct prt_image *m, const struct pol_table *t, uint32_t root,
			 const struct prt_image_column *column, size_t n);
/* Before another table is given to the two functions above. */
void prt_image_forget_table(struct prt_image *m);

/* One page or verdict as it is in force, also of a live map; n must be in range. */
const uint32_t *prt_image_page(const struct prt_image *m, uint32_t n);
const struct pol_verdict *prt_image_verdict(const struct prt_image *m, uint32_t n);

const uint32_t *prt_image_pages(const struct prt_image *m);
const struct pol_verdict *prt_image_verdicts(const struct prt_image *m);
uint32_t prt_image_npages(const struct prt_image *m);	/* one more than the highest in use */
uint32_t prt_image_nverdicts(const struct prt_image *m);
uint32_t prt_image_pages_used(const struct prt_image *m);
uint32_t prt_image_verdicts_used(const struct prt_image *m);

#endif
