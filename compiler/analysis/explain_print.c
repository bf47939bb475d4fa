/* SPDX-License-Identifier: GPL-2.0-only */
/* What `polc explain` prints. */
#include "compiler/describe.h"
#include "compiler/analysis/explain.h"
#include "compiler/analysis/why.h"

#define SHOWN 20 /* rules that missed, of one side, as text */

/* ---- the two sides ---------------------------------------------------------------- */

static struct pol_side_question question(const struct pol_ir *ir, const struct pol_explanation *x,
					 enum pol_direction dir)
{
	const struct pol_eval_peer *own = dir == POL_EGRESS ? &x->src : &x->dst;

	return (struct pol_side_question){ ir,        own->labels,
					   dir,       dir == POL_EGRESS ? &x->dst : &x->src,
					   x->l4_key, x->flow.side[dir].rule };
}

/* As a rule would name it: a member at an address is not one. */
static struct pol_str peer_text(const struct pol_explanation *x, const struct pol_ast_peer *p,
				struct pol_arena *a)
{
	const struct pol_sources *s = x->program->sources;

	if (p->kind != POL_AST_PEER_AT)
		return pol_source_text(s, p->span);
	return pol_arena_printf(a, "%.*s in %.*s", POL_STR_ARG(pol_source_text(s, p->left->span)),
				POL_STR_ARG(pol_source_text(s, p->right->span)));
}

void pol_explain_edits(const struct pol_ir *ir, const struct pol_explanation *x,
		       struct pol_arena *a, pol_edit_vec *out)
{
	struct pol_str on = pol_source_text(x->program->sources, x->asked->on->span);
	const struct pol_ast_peer *ends[] = { x->asked->from, x->asked->to };

	if (on.n < 3 || memcmp(on.p, "on ", 3) != 0)
		on = pol_arena_printf(a, "on %.*s", POL_STR_ARG(on));
	for (unsigned d = POL_DIRECTIONS; d-- > 0;) {
		struct pol_side_question q = question(ir, x, d);
		const struct pol_ast_peer *own = ends[d == POL_INGRESS],
					  *peer = ends[d == POL_EGRESS];

		/* A subject has no address. */
		if (own->kind == POL_AST_PEER_AT)
			own = own->left;
		if (x->flow.judged[d] && x->flow.side[d].action != POL_ALLOW &&
		    !pol_why_edits(&q, x->program, peer_text(x, own, a), peer_text(x, peer, a), on,
				   a, out)) {
			out->n = 0; /* the others alone would not allow it */
			return;
		}
	}
}

/* ---- the answer --------------------------------------------------------------- */

static const struct pol_rule *rule_of(const struct pol_ir *ir, const struct pol_explanation *x,
				      enum pol_direction dir)
{
	uint32_t id = x->flow.judged[dir] ? x->flow.side[dir].rule : POL_NO_RULE;

	return id == POL_NO_RULE ? NULL : &ir->rules.v[id];
}

static void json_place(const struct pol_ir *ir, struct pol_span at, struct pol_buf *out)
{
	struct pol_buf cite = { 0 };

	pol_source_cite(&cite, ir->sources, at, false);
	pol_buf_json(out, pol_buf_str(&cite));
	pol_buf_free(&cite);
}

static void json_missed(const struct pol_ir *ir, const struct pol_explanation *x,
			enum pol_direction dir, struct pol_buf *out)
{
	struct pol_side_question q = question(ir, x, dir);
	pol_missed_vec missed = { 0 };

	pol_why_missed(&q, &missed);
	pol_buf_addz(out, ",\"missed\":[");
	for (size_t i = 0; i < missed.n; i++) {
		const struct pol_rule *r = &ir->rules.v[missed.v[i].rule];
		bool first = true;

		pol_buf_addz(out, i ? ",{\"at\":" : "{\"at\":");
		json_place(ir, r->span, out);
		pol_buf_addz(out, ",\"text\":");
		pol_buf_json(out, r->text);
		pol_buf_addz(out, ",\"on\":[");
		for (unsigned m = 0; m < POL_MISS_MAX; m++) {
			if (!(missed.v[i].fields & 1u << m))
				continue;
			pol_buf_printf(out, "%s\"%s\"", first ? "" : ",", pol_miss_name(m));
			first = false;
		}
		pol_buf_addz(out, "]}");
	}
	pol_buf_addc(out, ']');
	pol_vec_free(&missed);
}

static void json_line(const struct pol_ir *ir, const struct pol_http_line_info *l,
		      struct pol_buf *out)
{
	struct pol_buf at = { 0 };

	pol_buf_printf(&at, "%s:%u", pol_http_string(&ir->http, l->file).p, l->line);
	pol_buf_json(out, pol_buf_str(&at));
	pol_buf_free(&at);
}

/* The line by which a request is allowed or denied; NULL: none, then the rule is to be named. */
static const struct pol_http_line_info *deciding_line(const struct pol_ir *ir,
						      const struct pol_explanation *x)
{
	const struct pol_http_line_info *found = NULL;

	if (!x->request || x->flow.action != POL_ALLOW)
		return NULL;
	for (unsigned d = POL_DIRECTIONS; d-- > 0;) {
		uint32_t line = x->line[d].line;

		if (!x->line[d].allow)
			return line == POL_HTTP_NO_LINE ? NULL : &ir->http.lines[line];
		if (line != POL_HTTP_NO_LINE)
			found = &ir->http.lines[line];
	}
	return found;
}

static void json_http(const struct pol_ir *ir, const struct pol_explanation *x,
		      enum pol_direction dir, struct pol_buf *out)
{
	const struct pol_eval_side *s = &x->flow.side[dir];
	const struct pol_http_line_info *l;

	if (s->action != POL_ALLOW || !s->nhttp)
		return;
	pol_buf_printf(out, ",\"http\":{\"blocks\":%zu", s->nhttp);
	if (x->request)
		pol_buf_printf(out, ",\"action\":\"%s\"", x->line[dir].allow ? "allow" : "deny");
	if (x->request && x->line[dir].line != POL_HTTP_NO_LINE) {
		l = &ir->http.lines[x->line[dir].line];
		pol_buf_addz(out, ",\"at\":");
		json_line(ir, l, out);
		pol_buf_addz(out, ",\"text\":");
		pol_buf_json(out, pol_http_string(&ir->http, l->source));
	}
	if (x->request && x->line[dir].decoded)
		pol_buf_addz(out, ",\"decoded\":true");
	pol_buf_addc(out, '}');
}

static void json_side(const struct pol_ir *ir, const struct pol_explanation *x,
		      enum pol_direction dir, struct pol_buf *out)
{
	const struct pol_rule *r = rule_of(ir, x, dir);

	if (!r) {
		pol_buf_addz(out, "null");
		return;
	}
	pol_buf_printf(out, "{\"action\":\"%s\",\"rule\":%u,\"at\":",
		       pol_describe_action(x->flow.side[dir].action), r->id);
	json_place(ir, r->span, out);
	pol_buf_addz(out, ",\"policy\":");
	pol_buf_json(out, r->policy);
	pol_buf_addz(out, ",\"text\":");
	pol_buf_json(out, r->text);
	if (x->flow.side[dir].audit_rule != POL_NO_RULE) {
		pol_buf_addz(out, ",\"audit_at\":");
		json_place(ir, ir->rules.v[x->flow.side[dir].audit_rule].span, out);
	}
	json_http(ir, x, dir, out);
	json_missed(ir, x, dir, out);
	pol_buf_addc(out, '}');
}

static void json_service(const struct pol_ir *ir, const struct pol_explanation *x,
			 struct pol_buf *out)
{
	pol_buf_addz(out, ",\"service\":{\"name\":");
	pol_buf_json(out, x->service->name);
	pol_buf_addz(out, ",\"at\":");
	json_place(ir, x->service->span, out);
	pol_buf_addz(out, ",\"backends\":[");
	for (size_t i = 0; i < x->nbackends; i++) {
		pol_buf_addz(out, i ? ",{\"backend\":" : "{\"backend\":");
		pol_buf_json(out, x->backend[i].text);
		pol_buf_printf(out, ",\"port\":%u,\"ingress\":", x->backend[i].l4_key & 0xffff);
		json_side(ir, &x->backend[i], POL_INGRESS, out);
		pol_buf_addc(out, '}');
	}
	pol_buf_addz(out, "]}");
}

/* The line of a filter that makes the answer a no, or NULL. */
static const struct pol_filter_line *dropped_by(const struct pol_explanation *x)
{
	const struct pol_filter_answer *f;

	if (x->dropped >= x->nfilters)
		return NULL;
	f = &x->filter[x->dropped];
	return &f->filter->line[f->eval.line];
}

static void json_filter_edit(const struct pol_ir *ir, const struct pol_explanation *x, bool first,
			     struct pol_arena *a, struct pol_buf *out)
{
	pol_buf_printf(out, "%s{\"do\":\"insert\",\"at\":", first ? "" : ",");
	json_place(ir, dropped_by(x)->span, out);
	pol_buf_addz(out, ",\"filter\":");
	pol_buf_json(out, x->filter[x->dropped].filter->name);
	pol_buf_addz(out, ",\"text\":");
	pol_buf_json(out, pol_explain_filter_edit(x, a));
	pol_buf_addc(out, '}');
}

static void json_edits(const struct pol_ir *ir, const struct pol_explanation *x,
		       struct pol_arena *a, struct pol_buf *out)
{
	pol_edit_vec v = { 0 };

	pol_explain_edits(ir, x, a, &v);
	pol_buf_addz(out, ",\"edits\":[");
	for (size_t i = 0; i < v.n; i++) {
		pol_buf_printf(out, "%s{\"do\":\"%s\",\"at\":", i ? "," : "",
			       v.v[i].replaces ? "replace" : "add");
		if (pol_span_is_none(v.v[i].at))
			pol_buf_addz(out, "null");
		else
			json_place(ir, v.v[i].at, out);
		pol_buf_addz(out, ",\"policy\":");
		pol_buf_json(out, v.v[i].policy);
		pol_buf_addz(out, ",\"text\":");
		pol_buf_json(out, v.v[i].text);
		pol_buf_addc(out, '}');
	}
	if (dropped_by(x))
		json_filter_edit(ir, x, !v.n, a, out);
	pol_buf_addc(out, ']');
	pol_vec_free(&v);
}

/* Whose rule is the answer: to a VIP a backend's, if the sender's own side allows it. */
static const struct pol_explanation *decider(const struct pol_explanation *x)
{
	if (!x->service || x->flow.action != POL_ALLOW)
		return x;
	for (size_t i = 0; i < x->nbackends; i++)
		if (x->backend[i].action == x->action)
			return &x->backend[i];
	return x;
}

static void print_json(const struct pol_ir *ir, const struct pol_explanation *x,
		       struct pol_arena *a, struct pol_buf *out)
{
	const struct pol_explanation *d = decider(x);
	const struct pol_rule *r = rule_of(ir, d, d->flow.decided_by);

	pol_buf_printf(out, "{\"verdict\":\"%s\",\"rule_at\":", pol_describe_action(x->action));
	if (dropped_by(x))
		json_place(ir, dropped_by(x)->span, out);
	else if (deciding_line(ir, d))
		json_line(ir, deciding_line(ir, d), out);
	else if (r)
		json_place(ir, r->span, out);
	else
		pol_buf_addz(out, "null");
	pol_buf_addz(out, ",\"flow\":");
	pol_buf_json(out, x->text);
	pol_explain_filters_json(ir, x, out);
	pol_buf_addz(out, ",\"egress\":");
	json_side(ir, x, POL_EGRESS, out);
	pol_buf_addz(out, ",\"ingress\":");
	json_side(ir, x, POL_INGRESS, out);
	if (x->service)
		json_service(ir, x, out);
	json_edits(ir, x, a, out);
	pol_buf_addz(out, "}\n");
}

static void text_missed(const struct pol_ir *ir, const struct pol_explanation *x,
			enum pol_direction dir, struct pol_buf *out)
{
	struct pol_side_question q = question(ir, x, dir);
	pol_missed_vec missed = { 0 };

	pol_why_missed(&q, &missed);
	for (size_t i = 0; i < missed.n && i < SHOWN; i++) {
		const struct pol_rule *r = &ir->rules.v[missed.v[i].rule];
		const char *sep = "  (";

		pol_buf_printf(out, "  %-8s %-7s ", "", "missed");
		pol_source_cite(out, ir->sources, r->span, false);
		pol_buf_addz(out, "  ");
		pol_buf_clean(out, r->text);
		for (unsigned m = 0; m < POL_MISS_MAX; m++) {
			if (!(missed.v[i].fields & 1u << m))
				continue;
			pol_buf_printf(out, "%s%s", sep, pol_miss_name(m));
			sep = ", ";
		}
		pol_buf_addz(out, ")\n");
	}
	if (missed.n > SHOWN)
		pol_buf_printf(out, "  %-8s ... and %zu more\n", "", missed.n - SHOWN);
	pol_vec_free(&missed);
}

static void text_edits(const struct pol_ir *ir, const struct pol_explanation *x,
		       struct pol_arena *a, struct pol_buf *out)
{
	pol_edit_vec v = { 0 };

	pol_explain_edits(ir, x, a, &v);
	if (v.n || dropped_by(x))
		pol_buf_addz(out, "to allow it:\n");
	if (dropped_by(x)) {
		pol_buf_addz(out, "  ");
		pol_source_cite(out, ir->sources, dropped_by(x)->span, false);
		pol_buf_addz(out, "  add before this line:\n      ");
		pol_buf_clean(out, pol_explain_filter_edit(x, a));
		pol_buf_addc(out, '\n');
	}
	for (size_t i = 0; i < v.n; i++) {
		const struct pol_edit *e = &v.v[i];

		pol_buf_addz(out, "  ");
		if (pol_span_is_none(e->at)) {
			pol_buf_addz(out, "add");
		} else {
			pol_source_cite(out, ir->sources, e->at, false);
			pol_buf_addz(out,
				     e->replaces ? "  instead of the rule" : "  add to policy \"");
			if (!e->replaces) {
				pol_buf_clean(out, e->policy);
				pol_buf_addc(out, '"');
			}
		}
		pol_buf_addz(out, ":\n      ");
		pol_buf_clean(out, e->text);
		pol_buf_addc(out, '\n');
	}
	pol_vec_free(&v);
}

/*
 * What a line that allows this path would say.  Where the path has another reading, or a `*`, no pattern
 * means it, but an expression does.
 */
static void text_path(struct pol_str path, struct pol_buf *out)
{
	const char *mark = memchr(path.p, '?', path.n);
	bool regex = memchr(path.p, '*', path.n) != NULL;
	struct pol_buf b = { 0 };
	char one[3];

	if (mark)
		path.n = (size_t)(mark - path.p);
	for (size_t i = 0; i < path.n; i++) {
		struct pol_str sent = { path.p + i, path.p[i] == '%' && path.n - i > 2 ? 3 : 1 };
		struct pol_str read = pol_http_read(sent, POL_HTTP_READ_PATH, one);
		bool both = !pol_str_eq(read, sent), quoted = strchr("$()*+.", read.p[0]);

		pol_buf_printf(&b, "%s%s%.*s", both ? "(" : "", quoted ? "\\" : "",
			       POL_STR_ARG(read));
		if (both)
			pol_buf_printf(&b, "|%.*s)", POL_STR_ARG(sent));
		regex |= both;
		i += sent.n - 1;
	}
	pol_buf_addz(out, regex ? " ~\"" : " \"");
	pol_buf_clean(out, regex ? pol_buf_str(&b) : path);
	pol_buf_addz(out, "\";\n");
	pol_buf_free(&b);
}

static void text_no_line(const struct pol_explanation *x, enum pol_direction dir,
			 struct pol_buf *out)
{
	if (x->line[dir].allow) {
		pol_buf_addz(out, "no line denies it\n");
		return;
	}
	pol_buf_printf(out, "no line allows it%s; this one would: allow ",
		       x->line[dir].decoded ? " decoded" : "");
	pol_buf_clean(out, x->asked->method.text);
	text_path(x->asked->path.text, out);
}

/* The http block's answer: a line of it, or that none matches; to a connection, that requests are judged. */
static void text_http(const struct pol_ir *ir, const struct pol_explanation *x,
		      enum pol_direction dir, struct pol_buf *out)
{
	const struct pol_eval_side *s = &x->flow.side[dir];
	const struct pol_http_line_info *l;

	if (s->action != POL_ALLOW || !s->nhttp)
		return;
	pol_buf_printf(out, "  %-8s %-7s ", "", "http");
	if (!x->request) {
		pol_buf_printf(out, "each request is judged by %zu block%s\n", s->nhttp,
			       s->nhttp == 1 ? "" : "s");
	} else if (x->line[dir].line == POL_HTTP_NO_LINE) {
		text_no_line(x, dir, out);
	} else {
		l = &ir->http.lines[x->line[dir].line];
		pol_buf_clean(out, pol_http_string(&ir->http, l->file));
		pol_buf_printf(out, ":%u  ", l->line);
		pol_buf_clean(out, pol_http_string(&ir->http, l->source));
		pol_buf_addz(out, x->line[dir].decoded ? "  matches it decoded\n" : "\n");
	}
}

static void text_side(const struct pol_ir *ir, const struct pol_explanation *x,
		      enum pol_direction dir, struct pol_buf *out)
{
	const struct pol_rule *r = rule_of(ir, x, dir);
	const char *name = dir == POL_EGRESS ? "egress" : "ingress";
	uint32_t audit = x->flow.side[dir].audit_rule;

	if (!r) {
		pol_buf_printf(out, "  %-8s no endpoint here, not judged\n", name);
		return;
	}
	pol_buf_printf(out, "  %-8s %-7s ", name, pol_describe_action(x->flow.side[dir].action));
	pol_source_cite(out, ir->sources, r->span, false);
	pol_buf_addz(out, "  ");
	pol_buf_clean(out, r->text);
	pol_buf_addc(out, '\n');
	if (audit != POL_NO_RULE) {
		pol_buf_printf(out, "  %-8s %-7s ", "", "audit");
		pol_source_cite(out, ir->sources, ir->rules.v[audit].span, false);
		pol_buf_addz(out, "  would deny it\n");
	}
	text_http(ir, x, dir, out);
	text_missed(ir, x, dir, out);
}

static void text_service(const struct pol_ir *ir, const struct pol_explanation *x,
			 struct pol_buf *out)
{
	const struct pol_ir_service *s = x->service;

	pol_buf_addz(out, "  service  ");
	pol_source_cite(out, ir->sources, s->span, false);
	pol_buf_addz(out, "  ");
	pol_buf_clean(out, s->name);
	pol_buf_printf(out, ": %zu backend%s, whose own policy decides\n", x->nbackends,
		       x->nbackends == 1 ? "" : "s");
	for (size_t i = 0; i < x->nbackends; i++) {
		pol_buf_addz(out, "  backend  ");
		pol_buf_clean(out, x->backend[i].text);
		pol_buf_printf(out, " on %s %u\n", s->proto == 6 ? "tcp" : "udp",
			       x->backend[i].l4_key & 0xffff);
		text_side(ir, &x->backend[i], POL_INGRESS, out);
	}
}

void pol_explain_print(const struct pol_ir *ir, const struct pol_explanation *x, bool json,
		       struct pol_arena *a, struct pol_buf *out)
{
	if (json) {
		print_json(ir, x, a, out);
		return;
	}
	pol_buf_printf(out, "%s: ", pol_describe_action(x->action));
	pol_buf_clean(out, x->text);
	pol_buf_addc(out, '\n');
	if (!x->replies)
		pol_explain_filters_text(ir, x, out);
	text_side(ir, x, POL_EGRESS, out);
	if (x->replies)
		pol_explain_filters_text(ir, x, out);
	if (x->service)
		text_service(ir, x, out);
	else
		text_side(ir, x, POL_INGRESS, out);
	text_edits(ir, x, a, out);
}
