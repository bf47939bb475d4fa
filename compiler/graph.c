/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/graph.h"

#include "compiler/layout.h"
#include "lang/diag.h"

/* What filters pass is no edge between two who talk. */
static bool drawn(const struct pol_list_pair *p)
{
	return p->kind != POL_LIST_FILTER;
}

/* ---- Graphviz ------------------------------------------------------------------ */

/* Only quotes and backslashes are special. */
static void dot_name(struct pol_buf *out, const struct pol_list_end *end)
{
	struct pol_buf name = { 0 };

	pol_list_name(&name, end);
	pol_buf_addc(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			pol_buf_addc(out, '\\');
		pol_buf_addc(out, name.p[i]);
	}
	pol_buf_addc(out, '"');
	pol_buf_free(&name);
}

/* Classes are rounded, what is outside stands as a box. */
static void dot_node(struct pol_buf *out, const struct pol_list_end *end)
{
	bool endpoint = end->kind == POL_PEER_ENDPOINT;

	pol_buf_addz(out, "\t");
	dot_name(out, end);
	pol_buf_printf(out, " [shape=box, style=\"%s\", fillcolor=\"%s\"];\n",
		       endpoint ? "rounded,filled" : "filled", endpoint ? "#e8f0fe" : "#f1f3f4");
}

void pol_graph_dot(const struct pol_list *l, struct pol_buf *out)
{
	pol_buf_addz(out, "digraph policy {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\"];\n"
			  "\tedge [fontname=\"sans-serif\", fontsize=10];\n");
	for (size_t i = 0; i < l->classes.n; i++)
		dot_node(out, &l->classes.v[i]);
	for (size_t i = 0; i < l->pairs.n; i++) {
		const struct pol_list_pair *p = &l->pairs.v[i];

		if (!drawn(p))
			continue;
		/* Said with each edge: Graphviz takes the same node for the same name. */
		if (p->from.kind != POL_PEER_ENDPOINT || p->from.family[0])
			dot_node(out, &p->from);
		if (p->to.kind != POL_PEER_ENDPOINT || p->to.family[0])
			dot_node(out, &p->to);
		pol_buf_addz(out, "\t");
		dot_name(out, &p->from);
		pol_buf_addz(out, " -> ");
		dot_name(out, &p->to);
		pol_buf_printf(out, " [label=\"%.*s\"];\n", POL_STR_ARG(p->text));
	}
	pol_buf_addz(out, "}\n");
}

/* ---- SVG: what is drawn ---------------------------------------------------------- */

#define MARGIN 24.0
#define CHAR_W 6.7 /* of the fixed-width font at 11 pixels */
#define LINE_H 14.0
#define NODE_H 34.0
#define LABEL_CHARS 30 /* of a line */
#define LABEL_LINES 5
#define NAME_CHARS 40
#define LEGEND_H 46.0

struct drawing {
	const struct pol_list *l;
	struct pol_arena *arena;
	struct pol_layout layout;
	const struct pol_list_end **end; /* by node */
	uint32_t *loop; /* by node: its edge to itself + 1 */
	uint32_t *pair; /* by edge of the layout */
	bool *both; /* likewise: the same is allowed the other way */
	struct pol_buf *out;
};

static bool same_end(const struct pol_list_end *a, const struct pol_list_end *b)
{
	return a->kind == b->kind && pol_str_eq(a->name, b->name) &&
	       strcmp(a->family, b->family) == 0;
}

/* Characters, not bytes: what is not UTF-8 is replaced before it is printed. */
static size_t characters(struct pol_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Text between tags or in an attribute, harmless (pol_buf_clean), cut after `max` characters. */
static void add_text(struct drawing *d, struct pol_str s, size_t max)
{
	struct pol_buf clean = { 0 };
	size_t n = 0;

	pol_buf_clean(&clean, s);
	for (size_t i = 0; i < clean.n; i++) {
		n += ((unsigned char)clean.p[i] & 0xc0) != 0x80;
		if (n > max) {
			pol_buf_addz(d->out, "...");
			break;
		}
		switch (clean.p[i]) {
		case '&':
			pol_buf_addz(d->out, "&amp;");
			break;
		case '<':
			pol_buf_addz(d->out, "&lt;");
			break;
		case '>':
			pol_buf_addz(d->out, "&gt;");
			break;
		case '"':
			pol_buf_addz(d->out, "&quot;");
			break;
		case '\'':
			pol_buf_addz(d->out, "&#39;");
			break;
		default:
			pol_buf_addc(d->out, clean.p[i] == '\t' ? ' ' : clean.p[i]);
		}
	}
	pol_buf_free(&clean);
}

/* ---- labels of several lines -------------------------------------------------------- */

struct lines {
	struct pol_str v[LABEL_LINES + 1];
	size_t n;
	bool more;
};

/* Broken behind commas. */
static struct lines break_lines(struct pol_str text)
{
	struct lines l = { .n = 0 };
	size_t from = 0, end = 0;

	while (from < text.n && l.n < LABEL_LINES) {
		for (size_t i = end = from; i <= text.n; i++) {
			bool may = i == text.n || (text.p[i] == ' ' && i && text.p[i - 1] == ',');

			if (may && (end == from || i - from <= LABEL_CHARS))
				end = i;
			if (i - from > LABEL_CHARS && end > from)
				break;
		}
		l.v[l.n++] = (struct pol_str){ text.p + from, end - from };
		from = end + (end < text.n);
	}
	l.more = from < text.n;
	if (l.more)
		l.v[l.n++] = POL_STR("...");
	return l;
}

static void measure(struct pol_str text, double *w, double *h)
{
	struct lines l = break_lines(text);
	size_t most = 0;

	for (size_t i = 0; i < l.n; i++)
		most = characters(l.v[i]) > most ? characters(l.v[i]) : most;
	if (most > LABEL_CHARS + 3)
		most = LABEL_CHARS + 3;
	*w = (double)most * CHAR_W + 10;
	*h = (double)l.n * LINE_H + 4;
}

/* ---- the graph ---------------------------------------------------------------------- */

static uint32_t node_of(struct drawing *d, const struct pol_list_end *end)
{
	struct pol_layout *g = &d->layout;
	size_t n = characters(end->name) + (end->family[0] ? 5 : 0);

	for (uint32_t i = 0; i < g->nnodes; i++)
		if (same_end(d->end[i], end))
			return i;
	d->end[g->nnodes] = end;
	g->node[g->nnodes] = (struct pol_layout_node){
		.w = (double)(n > NAME_CHARS ? NAME_CHARS + 3 : n) * CHAR_W * 13 / 11 + 28,
		.h = NODE_H,
	};
	return (uint32_t)g->nnodes++;
}

/* Is the same allowed the other way? Then that edge gets a second head. */
static bool merged(struct drawing *d, const struct pol_layout_edge *e,
		   const struct pol_list_pair *p)
{
	for (size_t i = 0; i < d->layout.nedges; i++) {
		const struct pol_layout_edge *other = &d->layout.edge[i];

		if (other->from == e->to && other->to == e->from &&
		    pol_str_eq(d->l->pairs.v[d->pair[i]].text, p->text))
			return d->both[i] = true;
	}
	return false;
}

static void make_graph(struct drawing *d)
{
	const struct pol_list *l = d->l;
	size_t most = l->classes.n + 2 * l->pairs.n + 1;
	struct pol_layout *g = &d->layout;
	uint32_t *in, *out;

	g->node = pol_arena_alloc(d->arena, most * sizeof(*g->node));
	g->edge = pol_arena_alloc(d->arena, (l->pairs.n + 1) * sizeof(*g->edge));
	d->end = pol_arena_alloc(d->arena, most * sizeof(*d->end));
	d->loop = pol_arena_alloc(d->arena, most * sizeof(*d->loop));
	d->pair = pol_arena_alloc(d->arena, (l->pairs.n + 1) * sizeof(*d->pair));
	d->both = pol_arena_alloc(d->arena, l->pairs.n + 1);
	in = pol_arena_alloc(d->arena, most * sizeof(*in));
	out = pol_arena_alloc(d->arena, most * sizeof(*out));
	for (size_t i = 0; i < l->classes.n; i++)
		node_of(d, &l->classes.v[i]);
	for (uint32_t i = 0; i < l->pairs.n; i++) {
		struct pol_layout_edge *e = &g->edge[g->nedges];

		if (!drawn(&l->pairs.v[i]))
			continue;
		e->from = node_of(d, &l->pairs.v[i].from);
		e->to = node_of(d, &l->pairs.v[i].to);
		if (e->from == e->to) {
			d->loop[e->from] = i + 1;
			continue;
		}
		if (merged(d, e, &l->pairs.v[i]))
			continue;
		out[e->from]++;
		in[e->to]++;
		measure(l->pairs.v[i].text, &e->w, &e->h);
		d->pair[g->nedges++] = i;
	}
	for (size_t i = 0; i < g->nnodes; i++) {
		uint32_t n = in[i] > out[i] ? in[i] : out[i];

		/* Room for the arrows, and for what members of the class may say to each other. */
		if (n * 9.0 > g->node[i].h)
			g->node[i].h = n * 9.0;
		if (d->loop[i])
			g->node[i].h += LINE_H;
		if (d->end[i]->kind != POL_PEER_ENDPOINT)
			g->node[i].side = out[i] ? -1 : 1;
	}
}

/* ---- elements -------------------------------------------------------------------------- */

static void draw_lines(struct drawing *d, struct pol_str text, double x, double y)
{
	struct lines l = break_lines(text);

	for (size_t i = 0; i < l.n; i++) {
		pol_buf_printf(d->out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">", x,
			       y - (double)l.n * LINE_H / 2 + LINE_H * (double)i + 11);
		add_text(d, l.v[i], LABEL_CHARS + 3);
		pol_buf_addz(d->out, "</text>\n");
	}
}

static void draw_edge(struct drawing *d, size_t i)
{
	const struct pol_layout_edge *e = &d->layout.edge[i];
	const struct pol_list_pair *p = &d->l->pairs.v[d->pair[i]];
	struct pol_buf name = { 0 };

	pol_list_name(&name, &p->from);
	pol_buf_addz(&name, d->both[i] ? " <=> " : " => ");
	pol_list_name(&name, &p->to);
	pol_buf_printf(&name, " : %.*s", POL_STR_ARG(p->text));
	pol_buf_addz(d->out, "<g><title>");
	add_text(d, pol_buf_str(&name), SIZE_MAX);
	pol_buf_printf(d->out, "</title>\n<path class=\"edge%s\"%s%s d=\"M%.1f %.1f",
		       p->on.http.n ? " http" : "",
		       d->both[i] || e->backward ? " marker-start=\"url(#arrow)\"" : "",
		       d->both[i] || !e->backward ? " marker-end=\"url(#arrow)\"" : "", e->way[0].x,
		       e->way[0].y);
	for (size_t k = 1; k < e->nway; k++) {
		struct pol_layout_point a = e->way[k - 1], b = e->way[k];
		double half = (b.x - a.x) / 2;

		if (k % 2) /* across a rank */
			pol_buf_printf(d->out, " L%.1f %.1f", b.x, b.y);
		else
			pol_buf_printf(d->out, " C%.1f %.1f %.1f %.1f %.1f %.1f", a.x + half, a.y,
				       b.x - half, b.y, b.x, b.y);
	}
	pol_buf_addz(d->out, "\"/>\n");
	pol_buf_printf(
		d->out,
		"<rect class=\"paper\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
		e->label.x - e->w / 2, e->label.y - e->h / 2, e->w, e->h);
	draw_lines(d, p->text, e->label.x, e->label.y);
	pol_buf_addz(d->out, "</g>\n");
	pol_buf_free(&name);
}

static const char *class_of(const struct pol_list_end *end)
{
	if (end->kind == POL_PEER_ENDPOINT)
		return "class";
	return end->kind == POL_PEER_HOST || pol_str_is(end->name, "world") ? "outside" : "set";
}

static void draw_node(struct drawing *d, size_t i)
{
	const struct pol_layout_node *n = &d->layout.node[i];
	const struct pol_list_end *end = d->end[i];
	struct pol_buf name = { 0 };

	pol_list_name(&name, end);
	pol_buf_addz(d->out, "<g><title>");
	add_text(d, pol_buf_str(&name), SIZE_MAX);
	if (d->loop[i]) {
		pol_buf_addz(d->out, " among themselves: ");
		add_text(d, d->l->pairs.v[d->loop[i] - 1].text, SIZE_MAX);
	}
	pol_buf_printf(
		d->out,
		"</title>\n<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%d\"/>\n",
		class_of(end), n->x - n->w / 2, n->y - n->h / 2, n->w, n->h,
		end->kind == POL_PEER_ENDPOINT ? 8 : 0);
	pol_buf_printf(d->out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">", n->x,
		       n->y + 5 - (d->loop[i] ? LINE_H / 2 : 0));
	add_text(d, pol_buf_str(&name), NAME_CHARS);
	pol_buf_addz(d->out, "</text>\n");
	if (d->loop[i]) {
		pol_buf_printf(d->out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">&#8635; ", n->x,
			       n->y + 5 + LINE_H / 2);
		add_text(d, d->l->pairs.v[d->loop[i] - 1].text, (size_t)(n->w / CHAR_W) - 3);
		pol_buf_addz(d->out, "</text>\n");
	}
	pol_buf_addz(d->out, "</g>\n");
	pol_buf_free(&name);
}

static const char style[] =
	"<style>\n"
	"text { font-family: ui-monospace, \"DejaVu Sans Mono\", Menlo, Consolas, monospace; text-anchor: middle; fill: #1f2328 }\n"
	".name { font-size: 13px; font-weight: 600 }\n"
	".label, .legend { font-size: 11px }\n"
	".legend { text-anchor: start }\n"
	".paper { fill: #ffffff }\n"
	".class { fill: #ddf0ff; stroke: #2f6fb2 }\n"
	".set { fill: #f3f3f3; stroke: #7a7f85 }\n"
	".outside { fill: #fff2d8; stroke: #a3700e; stroke-width: 2 }\n"
	".edge { fill: none; stroke: #59636e; stroke-width: 1.3 }\n"
	".http { stroke: #1a7f37; stroke-dasharray: 6 3 }\n"
	".head { fill: #59636e }\n"
	"@media (prefers-color-scheme: dark) {\n"
	"text { fill: #e6edf3 } .paper { fill: #0d1117 } .class { fill: #10304f; stroke: #58a6ff }\n"
	".set { fill: #22272e; stroke: #8b949e } .outside { fill: #40300f; stroke: #d29922 }\n"
	".edge { stroke: #9198a1 } .http { stroke: #3fb950 } .head { fill: #9198a1 }\n"
	"}\n"
	"</style>\n"
	"<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" "
	"orient=\"auto-start-reverse\"><path class=\"head\" d=\"M0 1 L10 5 L0 9 z\"/></marker></defs>\n";

static void legend(struct drawing *d, double y)
{
	static const struct {
		const char *class, *text;
		double x;
	} part[] = {
		{ "class", "class of endpoints", 0 },
		{ "set", "named addresses", 160 },
		{ "outside", "host, world", 300 },
	};

	for (size_t i = 0; i < POL_ARRAY_LEN(part); i++) {
		pol_buf_printf(
			d->out,
			"<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"12\" rx=\"%d\"/>",
			part[i].class, part[i].x, y, i ? 0 : 3);
		pol_buf_printf(d->out, "<text class=\"legend\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
			       part[i].x + 24, y + 10, part[i].text);
	}
	pol_buf_printf(d->out, "<path class=\"edge http\" d=\"M410 %.1f h26\"/>", y + 6);
	pol_buf_printf(d->out,
		       "<text class=\"legend\" x=\"442\" y=\"%.1f\">requests are judged</text>\n",
		       y + 10);
}

static struct pol_str policy_name(const struct pol_ir *ir)
{
	return ir->sources && ir->sources->all.n ? ir->sources->all.v[0]->name : POL_STR("policy");
}

static void head(struct drawing *d, double w, double h)
{
	struct pol_buf list = { 0 };

	pol_buf_printf(
		d->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
		"viewBox=\"%.0f %.0f %.0f %.0f\" role=\"img\" aria-labelledby=\"title desc\">\n"
		"<title id=\"title\">",
		w, h, -MARGIN, -MARGIN, w, h);
	add_text(d, policy_name(d->l->ir), SIZE_MAX);
	pol_buf_addz(d->out, ": who may reach whom</title>\n<desc id=\"desc\">");
	for (size_t i = 0; i < d->l->pairs.n; i++) {
		list.n = 0;
		if (!drawn(&d->l->pairs.v[i]))
			continue;
		pol_list_name(&list, &d->l->pairs.v[i].from);
		pol_buf_addz(&list, pol_list_arrow(&d->l->pairs.v[i]));
		pol_list_name(&list, &d->l->pairs.v[i].to);
		pol_buf_printf(&list, " : %.*s", POL_STR_ARG(d->l->pairs.v[i].text));
		add_text(d, pol_buf_str(&list), SIZE_MAX);
		pol_buf_addc(d->out, '\n');
	}
	pol_buf_addz(d->out, "</desc>\n");
	pol_buf_addz(d->out, style);
	pol_buf_printf(
		d->out,
		"<rect class=\"paper\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/>\n",
		-MARGIN, -MARGIN, w, h);
	pol_buf_free(&list);
}

void pol_graph_svg(const struct pol_list *l, struct pol_arena *a, struct pol_buf *out)
{
	struct drawing d = { .l = l, .arena = a, .out = out };
	double w;

	make_graph(&d);
	pol_layout(&d.layout, a);
	w = d.layout.width > 590 ? d.layout.width : 590; /* the legend */
	head(&d, w + 2 * MARGIN, d.layout.height + LEGEND_H + 2 * MARGIN);
	for (size_t i = 0; i < d.layout.nedges; i++)
		draw_edge(&d, i);
	for (size_t i = 0; i < d.layout.nnodes; i++)
		draw_node(&d, i);
	legend(&d, d.layout.height + LEGEND_H - 12);
	pol_buf_addz(out, "</svg>\n");
}
