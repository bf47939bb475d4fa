/* SPDX-License-Identifier: GPL-2.0-only */
/* What `polc list` says, drawn. Names and texts are policy text: all are quoted or escaped. */
#ifndef POLC_GRAPH_H
#define POLC_GRAPH_H

#include "compiler/list.h"

/* In the language of Graphviz. */
void pol_graph_dot(const struct pol_list *l, struct pol_buf *out);

/*
 * An SVG 1.1 document that needs nothing else, and runs nothing: light and dark by the reader's
 * preference, a title on each part, the list itself as its description.
 */
void pol_graph_svg(const struct pol_list *l, struct pol_arena *a, struct pol_buf *out);

#endif
