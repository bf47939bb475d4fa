/* SPDX-License-Identifier: GPL-2.0-only */
#include "place.h"

#include <errno.h>

#include "place_private.h"

static void *must(void *p)
{
	if (!p)
		pol_no_memory();
	return p;
}

/* ---- life ---------------------------------------------------------------- */

struct prt_place *prt_place_new(const struct prt_object *o)
{
	struct prt_place *p = must(calloc(1, sizeof(*p)));

	p->o = o;
	prt_kinds_init(&p->kinds, &o->manifest);
	p->image = prt_image_new(o);
	for (size_t i = 0; i < o->manifest.nblocks; i++)
		p->audits |= o->manifest.block[i].audit;
	return p;
}

void prt_place_free(struct prt_place *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->ep.n; i++)
		free(p->ep.v[i].peer);
	pol_vec_free(&p->ep);
	pol_vec_free(&p->own);
	pol_vec_free(&p->peer);
	pol_vec_free(&p->column);
	pol_vec_free(&p->torn);
	prt_kinds_free(&p->kinds);
	prt_image_free(p->image);
	pol_table_free(p->work);
	free(p);
}

void prt_place_cleanup(struct prt_place **p)
{
	prt_place_free(*p);
}

void prt_place_update_free(struct prt_place_update *u)
{
	pol_vec_free(&u->verdicts);
	pol_vec_free(&u->pages);
	pol_vec_free(&u->roots);
	pol_vec_free(&u->columns);
	u->grace = false;
}

/* ---- endpoints ----------------------------------------------------------- */

static struct own *own_at(struct prt_place *p, uint32_t kind)
{
	while (p->own.n <= kind)
		pol_vec_push(&p->own);
	return &p->own.v[kind];
}

static struct peer *peer_at(struct prt_place *p, uint32_t kind)
{
	while (p->peer.n <= kind)
		pol_vec_push(&p->peer);
	return &p->peer.v[kind];
}

static struct ep *ep_find(const struct prt_place *p, uint32_t number)
{
	return number < p->ep.n && p->ep.v[number].known ? &p->ep.v[number] : NULL;
}

int prt_place_enter(struct prt_place *p, const struct prt_place_ep *given, struct pol_err *e)
{
	uint32_t labels;
	struct ep *ep;

	if (!given->ep || given->ep >= POL_EP_MAX)
		return pol_err(e, -EINVAL, "endpoint number %u is out of range", given->ep);
	if (ep_find(p, given->ep))
		return pol_err(e, -EEXIST, "endpoint number %u is in use", given->ep);
	while (p->ep.n <= given->ep)
		pol_vec_push(&p->ep);
	labels = prt_kinds_labels(&p->kinds, given->labels, given->nlabels);
	ep = &p->ep.v[given->ep];
	*ep = (struct ep){ .known = true,
			   .local = given->local,
			   .own = prt_kinds_own(&p->kinds, labels),
			   .npeers = (uint32_t)given->naddrs,
			   .peer = must(calloc(given->naddrs + 1, sizeof(*ep->peer))) };
	if (given->local)
		own_at(p, ep->own)->users++;
	for (size_t i = 0; i < given->naddrs; i++) {
		ep->peer[i] =
			prt_kinds_peer(&p->kinds, labels, prt_address_class(p->o, given->addrs[i]));
		peer_at(p, ep->peer[i])->users++;
	}
	p->endpoints++;
	return 0;
}

void prt_place_leave(struct prt_place *p, uint32_t number)
{
	struct ep *ep = &p->ep.v[number];

	if (ep->local)
		p->own.v[ep->own].users--;
	for (uint32_t i = 0; i < ep->npeers; i++)
		p->peer.v[ep->peer[i]].users--;
	free(ep->peer);
	*ep = (struct ep){ 0 };
	p->endpoints--;
}

int prt_place_del(struct prt_place *p, uint32_t number, struct pol_err *e)
{
	struct ep *ep = ep_find(p, number);
	struct own *own;

	if (!ep)
		return pol_err(e, -ENOENT, "there is no endpoint number %u", number);
	own = ep->local ? &p->own.v[ep->own] : NULL;
	prt_place_leave(p, number);
	/* Trees that nobody uses are not kept true when columns come; they are made anew. */
	if (own && !own->users)
		own->placed = false;
	return 0;
}

/* ---- columns ------------------------------------------------------------- */

uint32_t prt_place_columns_max(const struct prt_place *p)
{
	return p->o->manifest.columns - p->o->manifest.static_columns;
}

uint32_t prt_place_column_kind(const struct prt_place *p, uint32_t i)
{
	return i < p->column.n ? p->column.v[i] : 0;
}

void prt_place_column_set(struct prt_place *p, uint32_t i, uint32_t kind_plus_1)
{
	while (p->column.n <= i)
		pol_vec_push(&p->column);
	p->column.v[i] = kind_plus_1;
}

/* ---- taking up what is in force ------------------------------------------ */

int prt_place_adopt(struct prt_place *p, const uint32_t *pages, const struct pol_verdict *verdicts,
		    uint32_t columns, struct pol_err *e)
{
	const struct prt_manifest *m = &p->o->manifest;

	if (columns > prt_place_columns_max(p) ||
	    memcmp(pages, p->o->pages, (size_t)m->pages_used * POL_PAGE * sizeof(*pages)) != 0 ||
	    memcmp(verdicts, p->o->verdicts, m->verdicts_used * sizeof(*verdicts)) != 0)
		return pol_err(e, -ESTALE, "%s: the tables in force are not of this object",
			       p->o->path.p);
	prt_image_adopt(p->image, pages, verdicts);
	p->adopted = true;
	if (!columns)
		columns = prt_place_columns_max(p);
	while (p->column.n < columns)
		pol_vec_push(&p->column);
	return 0;
}

static int adopt_column(struct prt_place *p, uint32_t kind, uint32_t column, struct pol_err *e)
{
	uint32_t first = p->o->manifest.static_columns, i = column - first;
	struct peer *peer = &p->peer.v[kind];

	if (peer->column == column)
		return 0;
	if (column < first || column >= p->o->manifest.columns || peer->column ||
	    prt_place_column_kind(p, i))
		return pol_err(e, -ESTALE, "%s: column %u in force does not fit these labels",
			       p->o->path.p, column);
	peer->column = column;
	prt_place_column_set(p, i, kind + 1);
	return 0;
}

static int adopt_root(struct prt_place *p, uint32_t kind, const uint32_t root[POL_DIRECTIONS],
		      struct pol_err *e)
{
	struct own *own = &p->own.v[kind];

	if (root[POL_INGRESS] >= p->o->max_pages || root[POL_EGRESS] >= p->o->max_pages)
		return pol_err(e, -ESTALE, "%s: a tree in force lies outside the tables",
			       p->o->path.p);
	if (own->placed && memcmp(own->root, root, sizeof(own->root)) == 0)
		return 0;
	if (own->users == 1) {
		memcpy(own->root, root, sizeof(own->root));
		own->placed = true;
		return 0;
	}
	/* A publication was cut off here: all of them stay until the kind is made anew. */
	for (unsigned d = 0; d < POL_DIRECTIONS; d++) {
		*pol_vec_push(&p->torn) = root[d];
		if (own->placed)
			*pol_vec_push(&p->torn) = own->root[d];
	}
	own->placed = false;
	return 0;
}

int prt_place_adopt_ep(struct prt_place *p, const struct prt_place_ep *given,
		       const uint32_t root[POL_DIRECTIONS], const uint32_t *column,
		       struct pol_err *e)
{
	struct ep *ep;
	int ret = prt_place_enter(p, given, e);

	if (ret)
		return ret;
	ep = &p->ep.v[given->ep];
	if (ep->local)
		ret = adopt_root(p, ep->own, root, e);
	for (uint32_t i = 0; !ret && i < ep->npeers; i++)
		ret = adopt_column(p, ep->peer[i], column[i], e);
	if (ret)
		prt_place_leave(p, given->ep);
	return ret;
}

/* ---- looking ------------------------------------------------------------- */

const uint32_t *prt_place_pages(const struct prt_place *p)
{
	return prt_image_pages(p->image);
}

/* Equal subtrees are one page, met at several heights: `seen` has a bit for each. */
static bool leads_to_http(const struct prt_place *p, uint16_t *seen, uint32_t page, unsigned height)
{
	const uint32_t *entry;

	if (seen[page] >> height & 1)
		return false;
	seen[page] |= (uint16_t)(1u << height);
	entry = prt_image_page(p->image, page);
	for (unsigned i = 0; i < POL_PAGE; i++)
		if (height == 1 ? prt_image_verdict(p->image, entry[i])->nhttp != 0
				: leads_to_http(p, seen, entry[i], height - 1))
			return true;
	return false;
}

bool prt_place_uses_http(const struct prt_place *p, uint32_t root)
{
	const struct prt_manifest *m = &p->o->manifest;
	uint16_t *seen POL_CLEANUP(pol_cleanup_free) = NULL;

	if (!p->o->http_image.n || !root)
		return false;
	seen = calloc(p->o->max_pages, sizeof(*seen));
	return !seen || leads_to_http(p, seen, root, m->column_levels + m->l4_levels);
}

const struct pol_verdict *prt_place_verdicts(const struct prt_place *p)
{
	return prt_image_verdicts(p->image);
}

uint32_t prt_place_npages(const struct prt_place *p)
{
	return prt_image_npages(p->image);
}

uint32_t prt_place_columns(const struct prt_place *p)
{
	return (uint32_t)p->column.n;
}

uint32_t prt_place_nverdicts(const struct prt_place *p)
{
	return prt_image_nverdicts(p->image);
}

int prt_place_get_root(const struct prt_place *p, uint32_t number, uint32_t root[POL_DIRECTIONS])
{
	const struct ep *ep = ep_find(p, number);

	if (!ep || !ep->local || !p->own.v[ep->own].placed)
		return -ENOENT;
	memcpy(root, p->own.v[ep->own].root, sizeof(p->own.v[ep->own].root));
	return 0;
}

uint32_t prt_place_get_column(const struct prt_place *p, uint32_t number, size_t address)
{
	const struct ep *ep = ep_find(p, number);

	return ep && address < ep->npeers ? p->peer.v[ep->peer[address]].column : 0;
}

void prt_place_stats(const struct prt_place *p, struct prt_place_stats *out)
{
	*out = (struct prt_place_stats){
		.endpoints = p->endpoints,
		.columns_max = prt_place_columns_max(p),
		.pages_used = prt_image_pages_used(p->image),
		.pages_max = p->o->max_pages,
		.verdicts_used = prt_image_verdicts_used(p->image),
		.verdicts_max = p->o->max_verdicts,
	};
	for (size_t i = 0; i < p->own.n; i++)
		out->own_kinds += p->own.v[i].users != 0;
	for (size_t i = 0; i < p->peer.n; i++)
		out->peer_kinds += p->peer.v[i].users != 0;
	for (size_t i = 0; i < p->column.n; i++)
		out->columns_used += p->column.v[i] != 0;
}

int prt_place_verdict(const struct prt_place *p, uint32_t ep, enum pol_direction direction,
		      const struct prt_place_peer *peer, uint32_t l4_class, struct pol_verdict *out)
{
	const struct prt_manifest *m = &p->o->manifest;
	unsigned levels = m->column_levels + m->l4_levels;
	uint32_t root[POL_DIRECTIONS], node, column = peer->column;
	uint64_t key;
	int ret = prt_place_get_root(p, ep, root);

	if (ret)
		return ret;
	if (peer->entity != POL_ENTITY_ENDPOINT)
		column = prt_static_column(p->o, peer->entity, peer->addr);
	else if (!column) /* the data path: nothing known of this address yet */
		return *out = p->o->verdicts[POL_VERDICT_CLOSED], 0;
	key = (uint64_t)column << (POL_PAGE_BITS * m->l4_levels) | l4_class;
	node = root[direction];
	while (levels-- > 0) {
		uint32_t i = (uint32_t)(key >> (POL_PAGE_BITS * levels)) & (POL_PAGE - 1);

		node = prt_image_page(p->image, node & (p->o->max_pages - 1))[i];
	}
	*out = *prt_image_verdict(p->image, node & (p->o->max_verdicts - 1));
	return 0;
}
