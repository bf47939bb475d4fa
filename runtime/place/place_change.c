/* SPDX-License-Identifier: GPL-2.0-only */
/* Adding endpoints: one change of a placement, from kinds to pages. */
#include <errno.h>

#include "place_private.h"

/* Pages and verdicts of the table in which trees are combined: memory, not room in a map. */
#define WORK_PAGES (1u << 22)
#define WORK_VERDICTS (1u << 20)

static void *must(void *p)
{
	if (!p)
		pol_no_memory();
	return p;
}

/* ---- a change ------------------------------------------------------------ */

struct taken {
	uint32_t column, old;
}; /* column counted from the first of endpoints; old kind + 1 */

struct change {
	struct prt_place *p;
	POL_VEC(uint32_t) build; /* own kinds without roots, ascending */
	POL_VEC(uint32_t) patch; /* own kinds whose roots lack the new columns */
	POL_VEC(struct taken) taken; /* columns given to new peer kinds */
	size_t columns_before; /* p->column.n */
	bool grace;
	bool *is_new; /* by column, counted likewise: one of `taken` */
	bool *wanted; /* by block: of an own kind above */
	POL_VEC(uint32_t)
	columns; /* to fill: all that have a kind if there is something to
					 * build, else the new ones; ascending */
	uint32_t *node; /* [own kind above][direction][columns]: L4 trees */
	uint32_t (*root)[POL_DIRECTIONS]; /* by own kind above */
};

static void change_free(struct change *c)
{
	pol_vec_free(&c->build);
	pol_vec_free(&c->patch);
	pol_vec_free(&c->taken);
	pol_vec_free(&c->columns);
	free(c->is_new);
	free(c->wanted);
	free(c->node);
	free(c->root);
}

/* Takes back what take_column did. */
static void change_undo(struct change *c)
{
	struct prt_place *p = c->p;

	while (c->taken.n) {
		struct taken *t = &c->taken.v[--c->taken.n];

		p->peer.v[p->column.v[t->column] - 1].column = 0;
		p->column.v[t->column] = t->old;
		if (t->old)
			p->peer.v[t->old - 1].column = p->o->manifest.static_columns + t->column;
	}
	p->column.n = c->columns_before;
	prt_image_abort(p->image);
}

/* A column that never was in use; else one that nobody uses any more. */
static bool find_column(struct change *c, uint32_t *out)
{
	struct prt_place *p = c->p;

	if (p->column.n < prt_place_columns_max(p)) {
		*out = (uint32_t)p->column.n;
		return true;
	}
	for (uint32_t i = 0; i < p->column.n; i++)
		if (!p->column.v[i] || !p->peer.v[p->column.v[i] - 1].users) {
			c->grace = true;
			*out = i;
			return true;
		}
	return false;
}

static int take_column(struct change *c, uint32_t kind, struct pol_err *e)
{
	struct prt_place *p = c->p;
	uint32_t i, old;
	int ret;

	if (!find_column(c, &i)) {
		ret = pol_err(e, -ENOSPC,
			      "%s: no room for another kind of endpoint: all %u are in "
			      "use",
			      p->o->path.p, prt_place_columns_max(p));
		pol_err_help(e, "compile the policy again with a larger --endpoint-kinds and apply "
				"it");
		return ret;
	}
	old = prt_place_column_kind(p, i);
	*pol_vec_push(&c->taken) = (struct taken){ i, old };
	if (old)
		p->peer.v[old - 1].column = 0;
	prt_place_column_set(p, i, kind + 1);
	p->peer.v[kind].column = p->o->manifest.static_columns + i;
	return 0;
}

static int take_columns(struct change *c, const struct prt_place_ep *eps, size_t n,
			struct pol_err *e)
{
	struct prt_place *p = c->p;

	for (size_t i = 0; i < n; i++) {
		const struct ep *ep = &p->ep.v[eps[i].ep];

		for (uint32_t j = 0; j < ep->npeers; j++)
			if (!p->peer.v[ep->peer[j]].column) {
				int ret = take_column(c, ep->peer[j], e);

				if (ret)
					return ret;
			}
	}
	return 0;
}

static void want_blocks(struct change *c, uint32_t own)
{
	const struct prt_list *blocks = &c->p->kinds.own.list.v[own];

	for (uint32_t i = 0; i < blocks->n; i++)
		c->wanted[blocks->v[i]] = true;
}

/* Which own kinds and which columns are to be worked on. */
static void plan(struct change *c)
{
	struct prt_place *p = c->p;

	c->wanted = must(calloc(p->o->manifest.nblocks + 1, sizeof(*c->wanted)));
	c->is_new = must(calloc(p->column.n + 1, sizeof(*c->is_new)));
	for (size_t i = 0; i < c->taken.n; i++)
		c->is_new[c->taken.v[i].column] = true;
	for (uint32_t i = 0; i < p->own.n; i++) {
		if (!p->own.v[i].users || (p->own.v[i].placed && !c->taken.n))
			continue;
		if (p->own.v[i].placed)
			*pol_vec_push(&c->patch) = i;
		else
			*pol_vec_push(&c->build) = i;
		want_blocks(c, i);
	}
	for (uint32_t i = 0; i < p->column.n; i++)
		if (p->column.v[i] && (c->build.n || c->is_new[i]))
			*pol_vec_push(&c->columns) = i;
}

/* ---- combining ----------------------------------------------------------- */

/* What the stages decide together; what none decides is closed. */
static uint32_t resolve(struct pol_table *t, const uint32_t stage[PRT_STAGES],
			const bool has[PRT_STAGES], unsigned height)
{
	uint32_t node = 0;

	for (unsigned s = PRT_STAGES; s-- > 0;)
		if (has[s])
			node = pol_table_apply(t, POL_OP_RESOLVE, stage[s], node, height);
	return node;
}

/*
 * One direction of one own kind.  acc: by block, the L4 tree of the peer in
 * question; NULL: the blocks' tables over the static columns.
 */
static uint32_t fold(const struct prt_place *p, uint32_t own, enum pol_direction direction,
		     const uint32_t *acc)
{
	const struct prt_manifest *m = &p->o->manifest;
	const struct prt_list *blocks = &p->kinds.own.list.v[own];
	unsigned height = m->l4_levels + (acc ? 0 : m->column_levels);
	uint32_t node[2][PRT_STAGES] = { 0 }, plain; /* [0]: in force; [1]: and what audits add */
	bool has[2][PRT_STAGES] = { 0 }, audits = false;

	for (uint32_t i = 0; i < blocks->n; i++) {
		const struct prt_block *b = &m->block[blocks->v[i]];
		uint32_t add = acc ? acc[blocks->v[i]] : b->root;

		if (b->direction != direction)
			continue;
		audits |= b->audit;
		for (unsigned with = b->audit; with < 1u + p->audits; with++) {
			uint32_t *at = &node[with][b->stage];

			*at = has[with][b->stage]
				      ? pol_table_apply(p->work, POL_OP_COMBINE, *at, add, height)
				      : add;
			has[with][b->stage] = true;
		}
	}
	plain = resolve(p->work, node[0], has[0], height);
	if (!audits)
		return plain;
	return pol_table_apply(p->work, POL_OP_AUDIT, plain,
			       resolve(p->work, node[1], has[1], height), height);
}

/* Rows by predicate, of the blocks that are wanted. */
struct by_pred {
	uint32_t *first; /* by predicate, and one more: index into row */
	struct {
		uint32_t block, node;
	} * row;
};

static void by_pred_make(struct by_pred *x, const struct prt_manifest *m, const bool *wanted)
{
	uint32_t total = 0;

	x->first = must(calloc(m->npreds + 2, sizeof(*x->first)));
	for (size_t i = 0; i < m->nblocks; i++)
		for (size_t j = 0; wanted[i] && j < m->block[i].nrows; j++, total++)
			x->first[m->block[i].row[j].pred + 2]++;
	for (size_t i = 2; i < m->npreds + 2; i++)
		x->first[i] += x->first[i - 1];
	x->row = must(calloc(total + 1, sizeof(*x->row)));
	for (uint32_t i = 0; i < m->nblocks; i++)
		for (size_t j = 0; wanted[i] && j < m->block[i].nrows; j++) {
			const struct prt_row *row = &m->block[i].row[j];
			uint32_t at = x->first[row->pred + 1]++;

			x->row[at].block = i;
			x->row[at].node = row->node;
		}
}

/* Every wanted block's L4 tree for one peer kind: its base, and the rows of what holds. */
static void fill_acc(const struct prt_place *p, const struct change *c, const struct by_pred *x,
		     uint32_t peer, uint32_t *acc)
{
	const struct prt_manifest *m = &p->o->manifest;
	const struct prt_list *preds = &p->kinds.peer.list.v[peer];

	for (size_t i = 0; i < m->nblocks; i++)
		acc[i] = c->wanted[i] ? m->block[i].base : 0;
	for (uint32_t i = 0; i < preds->n; i++)
		for (uint32_t j = x->first[preds->v[i]]; j < x->first[preds->v[i] + 1]; j++)
			acc[x->row[j].block] =
				pol_table_apply(p->work, POL_OP_COMBINE, acc[x->row[j].block],
						x->row[j].node, m->l4_levels);
}

static uint32_t *node_at(const struct change *c, size_t own, enum pol_direction d, size_t column)
{
	return &c->node[(own * POL_DIRECTIONS + d) * c->columns.n + column];
}

/* The L4 trees of all own kinds of the change at one column. */
static void fill_column(struct change *c, const struct by_pred *x, size_t column, uint32_t *acc)
{
	struct prt_place *p = c->p;
	uint32_t i = c->columns.v[column];

	fill_acc(p, c, x, p->column.v[i] - 1, acc);
	for (enum pol_direction d = 0; d < POL_DIRECTIONS; d++) {
		for (size_t k = 0; k < c->build.n; k++)
			*node_at(c, k, d, column) = fold(p, c->build.v[k], d, acc);
		for (size_t k = 0; c->is_new[i] && k < c->patch.n; k++)
			*node_at(c, c->build.n + k, d, column) = fold(p, c->patch.v[k], d, acc);
	}
}

static void fill_columns(struct change *c)
{
	const struct prt_manifest *m = &c->p->o->manifest;
	uint32_t *acc POL_CLEANUP(pol_cleanup_free) = must(calloc(m->nblocks + 1, sizeof(*acc)));
	struct by_pred x;

	c->node = must(calloc((c->build.n + c->patch.n) * POL_DIRECTIONS * c->columns.n + 1,
			      sizeof(*c->node)));
	by_pred_make(&x, m, c->wanted);
	for (size_t i = 0; i < c->columns.n; i++)
		fill_column(c, &x, i, acc);
	free(x.first);
	free(x.row);
}

/* ---- into the image ------------------------------------------------------ */

static size_t columns_of(const struct change *c, size_t own, enum pol_direction d, bool only_new,
			 struct prt_image_column *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->columns.n; i++)
		if (!only_new || c->is_new[c->columns.v[i]])
			out[n++] = (struct prt_image_column){ c->p->o->manifest.static_columns +
								      c->columns.v[i],
							      *node_at(c, own, d, i) };
	return n;
}

static void make_roots(struct change *c)
{
	struct prt_place *p = c->p;
	struct prt_image_column *list POL_CLEANUP(pol_cleanup_free) =
		must(calloc(c->columns.n + 1, sizeof(*list)));
	size_t n, at = 0;

	c->root = must(calloc(c->build.n + c->patch.n + 1, sizeof(*c->root)));
	for (size_t k = 0; k < c->build.n; k++, at++)
		for (enum pol_direction d = 0; d < POL_DIRECTIONS; d++) {
			uint32_t node = fold(p, c->build.v[k], d, NULL);

			if (pol_table_failed(p->work))
				return;
			n = columns_of(c, at, d, false, list);
			c->root[at][d] = prt_image_build(p->image, p->work, node, list, n);
		}
	for (size_t k = 0; k < c->patch.n; k++, at++)
		for (enum pol_direction d = 0; d < POL_DIRECTIONS; d++) {
			n = columns_of(c, at, d, true, list);
			c->root[at][d] = prt_image_patch(p->image, p->work,
							 p->own.v[c->patch.v[k]].root[d], list, n);
		}
}

static int need_work(struct prt_place *p, struct pol_err *e)
{
	const struct prt_manifest *m = &p->o->manifest;
	int ret;

	if (p->work && !pol_table_failed(p->work))
		return 0;
	pol_table_free(p->work);
	prt_image_forget_table(p->image);
	p->work = pol_table_new(WORK_PAGES, WORK_VERDICTS);
	ret = pol_table_load(p->work, p->o->pages, m->pages_used, p->o->verdicts, m->verdicts_used);
	if (!ret)
		return 0;
	pol_table_free(p->work);
	p->work = NULL;
	return pol_err(e, ret == -ENOSPC ? ret : -ENOEXEC, "%s: %s", p->o->path.p,
		       ret == -ENOSPC ? "too many pages or verdicts"
				      : "broken object: a page or verdict is there twice");
}

static int work_failed(const struct prt_place *p, struct pol_err *e)
{
	int ret = pol_table_failed(p->work);

	if (ret == -E2BIG) {
		pol_err(e, ret, "%s: with these labels one flow would have more than %u limits",
			p->o->path.p, POL_VERDICT_LIMITS);
		pol_err_help(e, "have fewer `limit` rules select the same endpoint");
	} else if (ret == -EMLINK) {
		pol_err(e, ret,
			"%s: with these labels one flow would have more than %u http blocks",
			p->o->path.p, POL_VERDICT_HTTP);
		pol_err_help(e, "have fewer rules with `http` select the same endpoint");
	} else {
		pol_err(e, ret,
			"%s: combining the rules of these endpoints takes more than %u "
			"pages",
			p->o->path.p, WORK_PAGES);
		pol_err_help(e, "use fewer kinds of endpoints, or fewer policies that overlap");
	}
	return ret;
}

/* Every root that is in force, as the image must keep it. */
static bool mark_image(struct prt_place *p)
{
	POL_VEC(uint32_t) roots = { 0 };
	bool ok;

	for (size_t i = 0; i < p->own.n; i++)
		for (unsigned d = 0; p->own.v[i].placed && d < POL_DIRECTIONS; d++)
			*pol_vec_push(&roots) = p->own.v[i].root[d];
	for (size_t i = 0; i < p->torn.n; i++)
		*pol_vec_push(&roots) = p->torn.v[i];
	ok = prt_image_mark(p->image, roots.v, roots.n);
	pol_vec_free(&roots);
	return ok;
}

static int image_full(const struct prt_place *p, const char *what, struct pol_err *e)
{
	bool pages = what[0] == 'p';
	int ret = pol_err(e, -ENOSPC,
			  "%s: the rules of these endpoints take more than the %u %s "
			  "that there is room for",
			  p->o->path.p, pages ? p->o->max_pages : p->o->max_verdicts, what);

	pol_err_help(e, "compile the policy again with a larger --endpoint-kinds and apply it");
	return ret;
}

/* 0, an error, or 1: pages ran out, but giving up old ones may help. */
static int make_trees(struct change *c, bool last, struct pol_err *e)
{
	struct prt_place *p = c->p;
	const char *full;
	int ret = need_work(p, e);

	if (ret)
		return ret;
	prt_image_begin(p->image);
	free(POL_TAKE_PTR(c->node));
	free(POL_TAKE_PTR(c->root));
	fill_columns(c);
	if (!pol_table_failed(p->work))
		make_roots(c);
	if (pol_table_failed(p->work))
		return work_failed(p, e);
	full = prt_image_changed(p->image).full;
	if (!full)
		return 0;
	return last ? image_full(p, full, e) : 1;
}

static int make_room_and_trees(struct change *c, struct pol_err *e)
{
	struct prt_place *p = c->p;
	int ret;

	if (p->adopted && !mark_image(p))
		return pol_err(e, -ESTALE, "%s: the tables in force are not of this object",
			       p->o->path.p);
	p->adopted = false;
	ret = make_trees(c, false, e);
	if (ret == 1) {
		prt_image_abort(p->image);
		mark_image(p);
		ret = make_trees(c, true, e);
	}
	return ret;
}

/* ---- reporting a change -------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

#define COPY_SORTED(vec, from, count)                                                              \
	do {                                                                                       \
		for (size_t i_ = 0; i_ < (count); i_++)                                            \
			*pol_vec_push(vec) = (from)[i_];                                           \
		if (count)                                                                         \
			qsort((vec)->v, (vec)->n, sizeof((vec)->v[0]), by_number);                 \
	} while (0)

static void report_columns(const struct prt_place *p, const struct prt_place_ep *eps, size_t n,
			   struct prt_place_update *u)
{
	for (size_t i = 0; i < n; i++) {
		const struct ep *ep = &p->ep.v[eps[i].ep];

		for (uint32_t j = 0; j < ep->npeers; j++)
			*pol_vec_push(&u->columns) =
				(struct prt_place_column){ eps[i].ep, j,
							   p->peer.v[ep->peer[j]].column };
	}
}

/* moved: by own kind; is_new: by endpoint. */
static void report_roots(const struct prt_place *p, const bool *moved, const bool *is_new,
			 struct prt_place_update *u)
{
	for (uint32_t i = 0; i < p->ep.n; i++) {
		const struct ep *ep = &p->ep.v[i];

		if (ep->known && ep->local && (moved[ep->own] || is_new[i])) {
			struct prt_place_root *r = pol_vec_push(&u->roots);

			r->ep = i;
			memcpy(r->root, p->own.v[ep->own].root, sizeof(r->root));
		}
	}
}

static void commit(struct change *c, const struct prt_place_ep *eps, size_t n,
		   struct prt_place_update *u)
{
	struct prt_place *p = c->p;
	struct prt_image_change ch = prt_image_changed(p->image);
	bool *moved POL_CLEANUP(pol_cleanup_free) = must(calloc(p->own.n + 1, sizeof(*moved)));
	bool *is_new POL_CLEANUP(pol_cleanup_free) = must(calloc(p->ep.n + 1, sizeof(*is_new)));

	for (size_t i = 0; i < c->build.n + c->patch.n; i++) {
		uint32_t kind = i < c->build.n ? c->build.v[i] : c->patch.v[i - c->build.n];
		struct own *own = &p->own.v[kind];

		moved[kind] = !own->placed || memcmp(own->root, c->root[i], sizeof(own->root)) != 0;
		memcpy(own->root, c->root[i], sizeof(own->root));
		own->placed = true;
	}
	for (size_t i = 0; i < n; i++)
		is_new[eps[i].ep] = true;
	p->torn.n = 0;
	u->grace = c->grace || ch.grace;
	COPY_SORTED(&u->verdicts, ch.verdicts, ch.nverdicts);
	COPY_SORTED(&u->pages, ch.pages, ch.npages);
	report_roots(p, moved, is_new, u);
	report_columns(p, eps, n, u);
}

int prt_place_add(struct prt_place *p, const struct prt_place_ep *eps, size_t n,
		  struct prt_place_update *u, struct pol_err *e)
{
	struct change c = { .p = p, .columns_before = p->column.n };
	size_t entered = 0;
	int ret = 0;

	prt_image_begin(p->image);
	while (!ret && entered < n) {
		ret = prt_place_enter(p, &eps[entered], e);
		entered += !ret;
	}
	if (!ret)
		ret = take_columns(&c, eps, n, e);
	if (!ret) {
		plan(&c);
		if (c.build.n || c.patch.n)
			ret = make_room_and_trees(&c, e);
	}
	if (!ret) {
		commit(&c, eps, n, u);
	} else {
		change_undo(&c);
		while (entered > 0)
			prt_place_leave(p, eps[--entered].ep);
	}
	change_free(&c);
	return ret;
}
