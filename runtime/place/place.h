/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Placement: from labels and addresses of endpoints to rows and columns of the
 * decision tables (HACKING.md "Blocks", polc/manifest.h).
 *
 * Two kinds of kind:
 *
 *   own kind     the set of blocks whose subject selects an endpoint; endpoints
 *                of one own kind share both roots
 *   peer kind    the set of predicates that hold for an endpoint's labels and
 *                the class of one of its addresses; addresses of one peer kind
 *                share a column.  An endpoint can have several (v4 and v6)
 *
 * The tree of an own kind has, at the columns of WORLD, HOST and NODE, what
 * its blocks' tables combine to; at the column of a peer kind what its blocks'
 * rows for that peer combine to; and is closed at every other column.
 *
 * A placement holds an image: the contents that pol_pages and pol_verdicts of
 * the generation shall have.  Only what a published tree reaches is in it, so
 * combining costs no room.  What the compiler filled stays where it was.
 *
 * No function here talks to the kernel.  Each change is a transaction: on
 * failure nothing has changed; on success the caller gets what is to be
 * written, and must have published it before he asks for the next change.
 */
#ifndef PRT_PLACE_H
#define PRT_PLACE_H

#include "runtime/input/hostfile.h"
#include "runtime/input/object.h"

struct prt_place;

/* An endpoint as the placement sees it; labels and addresses are copied or digested. */
struct prt_place_ep {
	uint32_t ep;		/* its number, 1 to POL_EP_MAX - 1 */
	bool local;		/* lives here: has rows, not only columns */
	const struct prt_label *labels;	/* keys unique, any order */
	size_t nlabels;
	const struct pol_ip *addrs;
	size_t naddrs;
};

/*
 * What to write, in this order:
 *
 *   0. if `grace`: wait until no packet is still walking trees that earlier
 *      changes replaced (membarrier(MEMBARRIER_CMD_GLOBAL) does), because
 *      pages and verdicts below are used again
 *   1. verdicts, then pages, at these numbers, from prt_place_verdicts and
 *      prt_place_pages; then a release barrier
 *   2. roots: ep_state[ep].root, one aligned 32-bit store each
 *   3. columns: addr_column[slot of that address]
 *   4. only now whatever makes new endpoints known: ep_by_addr, ep_by_if
 *
 * `roots` names new endpoints and every older one whose tree changed because
 * there is a new column.
 */
struct prt_place_root { uint32_t ep; uint32_t root[POL_DIRECTIONS]; };
struct prt_place_column { uint32_t ep; uint32_t address; /* index into addrs */ uint32_t column; };

struct prt_place_update {	/* zero-initialise; prt_place_update_free */
	bool grace;
	POL_VEC(uint32_t) verdicts;	/* numbers, ascending */
	POL_VEC(uint32_t) pages;	/* likewise */
	POL_VEC(struct prt_place_root) roots;	/* ascending by ep */
	POL_VEC(struct prt_place_column) columns; /* in order of the endpoints given */
};
void prt_place_update_free(struct prt_place_update *u);	/* leaves it zeroed */

/*
 * A placement without endpoints over what the object holds.  The object must
 * outlive it.  Never NULL; cheap: nothing is combined before it is needed.
 */
struct prt_place *prt_place_new(const struct prt_object *o);
void prt_place_free(struct prt_place *p);	/* NULL is fine */
void prt_place_cleanup(struct prt_place **p);

/* ---- taking up what is in force ---------------------------------------------------- */

/*
 * For a process that changes a generation which another one published: first
 * the live contents of pol_pages and pol_verdicts (o->max_pages * POL_PAGE and
 * o->max_verdicts elements, mapped or copied; referred to until prt_place_free
 * and never written to here) and how many columns of endpoints were ever in use
 * (prt_place_columns; 0: nobody knows), then each endpoint with its roots (local) and
 * the column of each address.  Without any table work; so adding an endpoint
 * of known kinds afterwards is only hashing.
 *
 * -ESTALE: the maps do not fit this object or these labels.  An endpoint whose
 * publication was cut off before its columns were written must not be adopted
 * but added again.  Roots that differ within one own kind (a publication was
 * cut off between two of them) are put right by the next prt_place_add.
 */
int prt_place_adopt(struct prt_place *p, const uint32_t *pages, const struct pol_verdict *verdicts,
		    uint32_t columns, struct pol_err *e);
int prt_place_adopt_ep(struct prt_place *p, const struct prt_place_ep *given,
		       const uint32_t root[POL_DIRECTIONS], const uint32_t *column,
		       struct pol_err *e);

/* ---- changes ------------------------------------------------------------------------- */

/*
 * Adds endpoints: all of a host at apply, or one later.  Nothing of known kinds
 * makes pages.  The same calls in the same order give the same numbers.
 *
 * -ENOSPC: pages, verdicts or columns ran out (which one is in the text, the
 * next step in the help); -E2BIG or -EMLINK: more than POL_VERDICT_LIMITS limits or
 * POL_VERDICT_HTTP http blocks on one flow; -EEXIST: the number is in use.  *u is written on success
 * only, and must be free of an earlier update.
 */
int prt_place_add(struct prt_place *p, const struct prt_place_ep *eps, size_t n,
		  struct prt_place_update *u, struct pol_err *e);

/*
 * Forgets an endpoint; -ENOENT if there is none.  Writes nothing: the caller
 * has cleared ep_by_if, ep_by_addr, addr_column and ep_state before.  Columns and pages
 * that nobody uses any more are used again only when fresh ones have run out
 * (and then with `grace`).
 */
int prt_place_del(struct prt_place *p, uint32_t number, struct pol_err *e);

/* ---- looking ---------------------------------------------------------------------------- */

/*
 * The image, o->max_pages * POL_PAGE and o->max_verdicts elements.  Beyond
 * prt_place_npages and prt_place_nverdicts all is zero.  After prt_place_adopt
 * only what updates name (and the compiler's) is to be read from it.
 */
const uint32_t *prt_place_pages(const struct prt_place *p);
/* Does a verdict below this root name http rules? */
bool prt_place_uses_http(const struct prt_place *p, uint32_t root);
const struct pol_verdict *prt_place_verdicts(const struct prt_place *p);
uint32_t prt_place_npages(const struct prt_place *p);
uint32_t prt_place_nverdicts(const struct prt_place *p);
/*
 * How many columns of endpoints are or were in use; whoever adopts this without knowing has to wait
 * for a grace period.
 */
uint32_t prt_place_columns(const struct prt_place *p);

/* -ENOENT: no such endpoint, or it is not local. */
int prt_place_get_root(const struct prt_place *p, uint32_t number, uint32_t root[POL_DIRECTIONS]);
/* 0: no such endpoint or address. */
uint32_t prt_place_get_column(const struct prt_place *p, uint32_t number, size_t address);

struct prt_place_stats {
	uint32_t endpoints, own_kinds, peer_kinds;
	uint32_t columns_used, columns_max;	/* of peer kinds */
	uint32_t pages_used, pages_max;
	uint32_t verdicts_used, verdicts_max;
};
void prt_place_stats(const struct prt_place *p, struct prt_place_stats *out);

/*
 * The verdict of one direction of a local endpoint, walked as the data path
 * walks it: for tests and `polload why`.  column: of the peer's address if it
 * is an endpoint (prt_place_get_column); addr: otherwise.
 */
struct prt_place_peer {
	enum pol_entity entity;
	struct pol_ip addr;
	uint32_t column;
};
int prt_place_verdict(const struct prt_place *p, uint32_t ep, enum pol_direction direction,
		      const struct prt_place_peer *peer, uint32_t l4_class,
		      struct pol_verdict *out);

/* Which selectors hold for labels: out is one bool for each of the manifest's. */
void prt_select(const struct prt_object *o, const struct prt_label *labels, size_t nlabels,
		bool *out);

#endif
