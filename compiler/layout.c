/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/layout.h"

#define SWEEPS 24
#define GAP_X 44.0 /* between ranks */
#define GAP_Y 14.0 /* between nodes */
#define GAP_LINE 7.0 /* between edges */

/* A node, or where an edge crosses a rank between its ends. */
struct place {
	uint32_t rank;
	int64_t node, edge; /* -1: not that */
	double w, h, x, y;
	double wish; /* for its order, then for its place */
	size_t order; /* in its rank */
	POL_VEC(uint32_t) left, right; /* neighbours in the ranks beside it */
};

struct work {
	struct pol_layout *l;
	struct pol_arena *arena;
	uint32_t *rank; /* by node, even numbers; labels stand on odd ones */
	uint32_t nranks;
	POL_VEC(struct place) places;
	POL_VEC(uint32_t) * in_rank; /* places by rank, from above */
	double *width; /* by rank */
	uint32_t *
		first; /* by edge: its first place between, and as many as there are ranks between */
};

/* ---- ranks ------------------------------------------------------------------------ */

enum { NEW, OPEN, DONE };

struct search {
	struct work *w;
	uint8_t *state;
	uint32_t *out; /* edges by origin */
	uint32_t *first; /* by node: its edges begin there */
	uint32_t *order; /* nodes, those that lead to others last */
	size_t n;
};

/* An edge back to a node on the way to it is turned round. Depth is bounded by the number of nodes. */
static void visit(struct search *s, uint32_t node)
{
	struct pol_layout *l = s->w->l;

	s->state[node] = OPEN;
	for (uint32_t i = s->first[node]; i < s->first[node + 1]; i++) {
		struct pol_layout_edge *e = &l->edge[s->out[i]];

		if (s->state[e->to] == OPEN)
			e->backward = true;
		else if (s->state[e->to] == NEW)
			visit(s, e->to);
	}
	s->state[node] = DONE;
	s->order[s->n++] = node;
}

static void index_edges(struct search *s)
{
	struct pol_layout *l = s->w->l;
	uint32_t *fill;

	s->first = pol_arena_alloc(s->w->arena, (l->nnodes + 2) * sizeof(*s->first));
	s->out = pol_arena_alloc(s->w->arena, (l->nedges + 1) * sizeof(*s->out));
	fill = pol_arena_alloc(s->w->arena, (l->nnodes + 1) * sizeof(*fill));
	for (size_t i = 0; i < l->nedges; i++)
		s->first[l->edge[i].from + 1]++;
	for (size_t i = 0; i < l->nnodes; i++)
		s->first[i + 1] += s->first[i];
	for (uint32_t i = 0; i < l->nedges; i++) {
		uint32_t from = l->edge[i].from;

		s->out[s->first[from] + fill[from]++] = i;
	}
}

static void make_ranks(struct work *w)
{
	struct pol_layout *l = w->l;
	struct search s = { .w = w };
	bool *leads = pol_arena_alloc(w->arena, l->nnodes + 1);
	uint32_t last = 0;

	w->rank = pol_arena_alloc(w->arena, (l->nnodes + 1) * sizeof(*w->rank));
	s.state = pol_arena_alloc(w->arena, l->nnodes + 1);
	s.order = pol_arena_alloc(w->arena, (l->nnodes + 1) * sizeof(*s.order));
	index_edges(&s);
	/* Outside on the left begins: what comes back to it is drawn backwards. */
	for (int side = -1; side <= 1; side++)
		for (uint32_t i = 0; i < l->nnodes; i++)
			if (l->node[i].side == side && s.state[i] == NEW)
				visit(&s, i);
	for (size_t i = s.n; i-- > 0;) {
		uint32_t node = s.order[i];

		for (uint32_t k = s.first[node]; k < s.first[node + 1]; k++) {
			const struct pol_layout_edge *e = &l->edge[s.out[k]];

			leads[e->backward ? e->to : e->from] = true;
			if (!e->backward && w->rank[e->to] < w->rank[node] + 2)
				w->rank[e->to] = w->rank[node] + 2;
		}
	}
	/* Edges that were turned round lead forward too. */
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < l->nedges; i++) {
			const struct pol_layout_edge *e = &l->edge[i];
			uint32_t a = e->backward ? e->to : e->from,
				 b = e->backward ? e->from : e->to;

			if (w->rank[b] < w->rank[a] + 2) {
				w->rank[b] = w->rank[a] + 2;
				again = true;
			}
		}
	}
	for (size_t i = 0; i < l->nnodes; i++)
		last = w->rank[i] > last ? w->rank[i] : last;
	for (size_t i = 0; i < l->nnodes; i++)
		if (l->node[i].side > 0 && !leads[i] && w->rank[i])
			w->rank[i] = last;
	w->nranks = last + 1;
}

/* ---- pieces --------------------------------------------------------------------------- */

static uint32_t add_place(struct work *w, uint32_t rank, int64_t node, int64_t edge, double width,
			  double height)
{
	uint32_t n = (uint32_t)w->places.n;

	*pol_vec_push(&w->places) =
		(struct place){ .rank = rank, .node = node, .edge = edge, .w = width, .h = height };
	*pol_vec_push(&w->in_rank[rank]) = n;
	return n;
}

static void connect(struct work *w, uint32_t a, uint32_t b)
{
	*pol_vec_push(&w->places.v[a].right) = b;
	*pol_vec_push(&w->places.v[b].left) = a;
}

static void make_places(struct work *w)
{
	struct pol_layout *l = w->l;

	w->in_rank = calloc(w->nranks, sizeof(*w->in_rank));
	if (!w->in_rank)
		pol_no_memory();
	w->first = pol_arena_alloc(w->arena, (l->nedges + 1) * sizeof(*w->first));
	for (size_t i = 0; i < l->nnodes; i++)
		add_place(w, w->rank[i], (int64_t)i, -1, l->node[i].w, l->node[i].h);
	for (size_t i = 0; i < l->nedges; i++) {
		const struct pol_layout_edge *e = &l->edge[i];
		uint32_t from = e->backward ? e->to : e->from, to = e->backward ? e->from : e->to;
		/* The label stands beside the one who sends. */
		uint32_t label = e->backward ? w->rank[to] - 1 : w->rank[from] + 1, before = from;

		w->first[i] = (uint32_t)w->places.n;
		for (uint32_t r = w->rank[from] + 1; r < w->rank[to]; r++) {
			uint32_t at = add_place(w, r, -1, (int64_t)i, r == label ? e->w : 0,
						r == label ? e->h : 0);

			connect(w, before, at);
			before = at;
		}
		connect(w, before, to);
	}
}

/* ---- order ------------------------------------------------------------------------------ */

static int by_wish(const void *pa, const void *pb, void *ctx)
{
	const struct place *p = ctx, *a = &p[*(const uint32_t *)pa], *b = &p[*(const uint32_t *)pb];

	if (a->wish != b->wish)
		return a->wish < b->wish ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static void number_rank(struct work *w, uint32_t r)
{
	for (size_t i = 0; i < w->in_rank[r].n; i++)
		w->places.v[w->in_rank[r].v[i]].order = i;
}

static void order_rank(struct work *w, uint32_t r, bool by_left)
{
	for (size_t i = 0; i < w->in_rank[r].n; i++) {
		struct place *p = &w->places.v[w->in_rank[r].v[i]];
		const uint32_t *v = by_left ? p->left.v : p->right.v;
		size_t n = by_left ? p->left.n : p->right.n;
		double sum = 0;

		for (size_t k = 0; k < n; k++)
			sum += (double)w->places.v[v[k]].order /
			       (double)w->in_rank[w->places.v[v[k]].rank].n;
		p->wish = n ? sum / (double)n : (double)p->order / (double)w->in_rank[r].n;
	}
	qsort_r(w->in_rank[r].v, w->in_rank[r].n, sizeof(uint32_t), by_wish, w->places.v);
	number_rank(w, r);
}

static void make_order(struct work *w)
{
	for (uint32_t r = 0; r < w->nranks; r++)
		number_rank(w, r);
	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		for (uint32_t r = 1; r < w->nranks; r++)
			order_rank(w, r, true);
		for (uint32_t r = w->nranks - 1; r-- > 0;)
			order_rank(w, r, false);
	}
}

/* ---- places ------------------------------------------------------------------------------- */

static double between(const struct place *a, const struct place *b)
{
	double gap = a->node >= 0 && b->node >= 0 ? GAP_Y : GAP_LINE;

	return a->h / 2 + b->h / 2 + gap;
}

struct pool {
	double sum;
	size_t n;
};

/*
 * As near to their wishes as the order and the distances let them be: with distances taken off
 * it is isotonic regression, by pooling neighbours that are in each other's way (Ayer et al. 1955).
 */
static void settle_rank(struct work *w, uint32_t r)
{
	size_t n = w->in_rank[r].n, pools = 0, at = 0;
	const uint32_t *v = w->in_rank[r].v;
	struct pool *pool = calloc(n + 1, sizeof(*pool));
	double offset = 0;

	if (!pool)
		pol_no_memory();
	for (size_t i = 0; i < n; i++) {
		if (i)
			offset += between(&w->places.v[v[i - 1]], &w->places.v[v[i]]);
		pool[pools++] = (struct pool){ w->places.v[v[i]].wish - offset, 1 };
		while (pools > 1 && pool[pools - 2].sum / (double)pool[pools - 2].n >
					    pool[pools - 1].sum / (double)pool[pools - 1].n) {
			pool[pools - 2].sum += pool[pools - 1].sum;
			pool[pools - 2].n += pool[pools - 1].n;
			pools--;
		}
	}
	offset = 0;
	for (size_t p = 0; p < pools; p++) {
		for (size_t k = 0; k < pool[p].n; k++, at++) {
			if (at)
				offset += between(&w->places.v[v[at - 1]], &w->places.v[v[at]]);
			w->places.v[v[at]].y = pool[p].sum / (double)pool[p].n + offset;
		}
	}
	free(pool);
}

static void wish_rank(struct work *w, uint32_t r)
{
	for (size_t i = 0; i < w->in_rank[r].n; i++) {
		struct place *p = &w->places.v[w->in_rank[r].v[i]];
		double sum = 0;
		size_t n = p->left.n + p->right.n;

		for (size_t k = 0; k < p->left.n; k++)
			sum += w->places.v[p->left.v[k]].y;
		for (size_t k = 0; k < p->right.n; k++)
			sum += w->places.v[p->right.v[k]].y;
		p->wish = n ? sum / (double)n : p->y;
	}
}

static void place_ranks(struct work *w)
{
	struct pol_layout *l = w->l;
	double top = 0, x = 0;

	w->width = pol_arena_alloc(w->arena, w->nranks * sizeof(*w->width));
	for (int sweep = 0; sweep < 2 * SWEEPS; sweep++)
		for (uint32_t i = 0; i < w->nranks; i++) {
			uint32_t r = sweep & 1 ? w->nranks - 1 - i : i;

			if (sweep)
				wish_rank(w, r);
			settle_rank(w, r);
		}
	for (size_t i = 0; i < w->places.n; i++) {
		const struct place *p = &w->places.v[i];

		top = !i || p->y - p->h / 2 < top ? p->y - p->h / 2 : top;
	}
	for (size_t i = 0; i < w->places.n; i++) {
		struct place *p = &w->places.v[i];

		p->y -= top;
		l->height = p->y + p->h / 2 > l->height ? p->y + p->h / 2 : l->height;
	}
	for (uint32_t r = 0; r < w->nranks; r++) {
		double width = 0;

		for (size_t i = 0; i < w->in_rank[r].n; i++) {
			const struct place *p = &w->places.v[w->in_rank[r].v[i]];

			width = p->w > width ? p->w : width;
		}
		for (size_t i = 0; i < w->in_rank[r].n; i++)
			w->places.v[w->in_rank[r].v[i]].x = x + width / 2;
		w->width[r] = width;
		l->width = x + width;
		x += width + GAP_X;
	}
}

/* ---- results ----------------------------------------------------------------------------------- */

static int by_height(const void *pa, const void *pb, void *ctx)
{
	const struct place *p = ctx;
	double a = p[*(const uint32_t *)pa].y, b = p[*(const uint32_t *)pb].y;

	return (a > b) - (a < b);
}

/* Where on its side the i-th of n edges meets a node. */
static double meet(const struct place *p, size_t i, size_t n)
{
	return p->y - p->h / 2 + p->h * ((double)i + 1) / ((double)n + 1);
}

static size_t index_in(const uint32_t *v, size_t n, uint32_t x)
{
	size_t i = 0;

	while (i < n && v[i] != x)
		i++;
	return i;
}

static void step(struct pol_layout_edge *e, double x, double y)
{
	e->way[e->nway++] = (struct pol_layout_point){ x, y };
}

/* Straight across each rank from edge to edge, past whatever is wider there; curves between ranks. */
static void make_way(struct work *w, size_t i)
{
	struct pol_layout_edge *e = &w->l->edge[i];
	uint32_t a = e->backward ? e->to : e->from, b = e->backward ? e->from : e->to;
	const struct place *p = w->places.v, *from = &p[a], *to = &p[b];
	uint32_t n = to->rank - from->rank - 1, last = w->first[i] + n - 1;
	double y = meet(from, index_in(from->right.v, from->right.n, w->first[i]), from->right.n);

	e->way = pol_arena_alloc(w->arena, (2 * (size_t)n + 4) * sizeof(*e->way));
	step(e, from->x + from->w / 2, y);
	step(e, from->x + w->width[from->rank] / 2, y);
	for (uint32_t k = 0; k < n; k++) {
		const struct place *at = &p[w->first[i] + k];

		step(e, at->x - w->width[at->rank] / 2, at->y);
		step(e, at->x + w->width[at->rank] / 2, at->y);
		if (at->w > 0 || at->h > 0)
			e->label = (struct pol_layout_point){ at->x, at->y };
	}
	y = meet(to, index_in(to->left.v, to->left.n, last), to->left.n);
	step(e, to->x - w->width[to->rank] / 2, y);
	step(e, to->x - to->w / 2, y);
}

void pol_layout(struct pol_layout *l, struct pol_arena *a)
{
	struct work w = { .l = l, .arena = a };

	if (!l->nnodes)
		return;
	make_ranks(&w);
	make_places(&w);
	make_order(&w);
	place_ranks(&w);
	for (size_t i = 0; i < w.places.n; i++) {
		struct place *p = &w.places.v[i];

		if (p->left.n)
			qsort_r(p->left.v, p->left.n, sizeof(uint32_t), by_height, w.places.v);
		if (p->right.n)
			qsort_r(p->right.v, p->right.n, sizeof(uint32_t), by_height, w.places.v);
	}
	for (size_t i = 0; i < l->nnodes; i++) {
		l->node[i].x = w.places.v[i].x;
		l->node[i].y = w.places.v[i].y;
	}
	for (size_t i = 0; i < l->nedges; i++)
		make_way(&w, i);
	for (size_t i = 0; i < w.places.n; i++) {
		pol_vec_free(&w.places.v[i].left);
		pol_vec_free(&w.places.v[i].right);
	}
	for (uint32_t r = 0; r < w.nranks; r++)
		pol_vec_free(&w.in_rank[r]);
	free(w.in_rank);
	pol_vec_free(&w.places);
}
