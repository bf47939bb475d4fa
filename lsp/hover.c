/* SPDX-License-Identifier: GPL-2.0-only */
/* What a name means, and which rules the endpoints of a class get, in the order that decides. */
#include "compiler/analysis/witness.h"
#include "compiler/describe.h"
#include "compiler/eval.h"
#include "lsp/private.h"

#define TEXT_MAX 1500 /* bytes of a declaration that are shown */
#define RULES_MAX 30
#define PREFIXES_MAX 12

static void code(struct pol_buf *b, struct pol_str text)
{
	bool cut = text.n > TEXT_MAX;

	pol_buf_addz(b, "```polc\n");
	pol_buf_add(b, (struct pol_str){ text.p, cut ? TEXT_MAX : text.n });
	pol_buf_addz(b, cut ? "\n...\n```\n" : "\n```\n");
}

/* Backquotes would end the span. */
static void inline_code(struct pol_buf *b, struct pol_str text)
{
	pol_buf_addc(b, '`');
	for (size_t i = 0; i < text.n; i++)
		pol_buf_addc(b, text.p[i] == '`' ? '\'' : text.p[i]);
	pol_buf_addc(b, '`');
}

/* Short: the reader is in the same folder. */
static void cite(struct pol_buf *b, const struct pol_sources *s, struct pol_span at)
{
	struct pol_source *src = pol_source_of(s, at);

	if (!src)
		return;
	pol_buf_add(b, src->name);
	pol_buf_printf(b, ":%u", pol_source_place(src, at.start).line);
}

static void rule_line(struct pol_buf *b, const struct pol_ir *ir, const struct pol_rule *r)
{
	pol_buf_addz(b, "1. ");
	inline_code(b, r->text);
	pol_buf_addc(b, ' ');
	cite(b, ir->sources, r->span);
	if (r->audit)
		pol_buf_addz(b, ", audit only");
	pol_buf_addc(b, '\n');
}

/* All of one direction that select such an endpoint; the first that matches decides. */
static void effective(struct pol_buf *b, const struct pol_ir *ir, struct pol_labels labels,
		      enum pol_direction dir)
{
	unsigned n = 0;

	pol_buf_printf(b, "\n**%s**, the first that matches decides:\n\n",
		       dir == POL_INGRESS ? "in" : "out");
	for (size_t i = 0; i < ir->by_order.n; i++) {
		const struct pol_rule *r = &ir->rules.v[ir->by_order.v[i]];

		if (r->direction != dir || !pol_eval_sel(ir, r->subject, labels))
			continue;
		if (n++ < RULES_MAX)
			rule_line(b, ir, r);
	}
	if (n > RULES_MAX)
		pol_buf_printf(b, "1. ... and %u more\n", n - RULES_MAX);
}

static void endpoint(struct pol_buf *b, struct lsp_doc *doc, const struct pol_decl *d)
{
	const struct pol_ir *ir = doc->ir;
	struct pol_eval_peer one;

	for (size_t i = 0; ir && i < ir->classes.n; i++) {
		if (!pol_str_eq(ir->classes.v[i].name, d->name.text))
			continue;
		if (!pol_witness_endpoint(ir, ir->classes.v[i].sel, doc->arena, &one)) {
			pol_buf_addz(b, "\nNo endpoint can be one.\n");
			return;
		}
		pol_buf_addz(b, "\nRules for an endpoint with");
		for (size_t k = 0; k < one.labels.n; k++) {
			pol_buf_addz(b, k ? ", " : " ");
			inline_code(b, one.labels.v[k].key);
			pol_buf_addz(b, " = ");
			inline_code(b, one.labels.v[k].value);
		}
		pol_buf_addz(b, one.labels.n ? ":\n" : " no labels:\n");
		effective(b, ir, one.labels, POL_INGRESS);
		effective(b, ir, one.labels, POL_EGRESS);
		return;
	}
	if (!ir)
		pol_buf_addz(b, "\nIts rules are shown once the policy has no errors.\n");
}

static void cidr(struct pol_buf *b, const struct pol_decl *d)
{
	char text[POL_IP_TEXT];

	pol_buf_printf(b, "\n%zu prefix%s%s", d->cidr.n_prefixes,
		       d->cidr.n_prefixes == 1 ? "" : "es", d->cidr.n_prefixes ? ": " : "");
	for (size_t i = 0; i < d->cidr.n_prefixes && i < PREFIXES_MAX; i++)
		pol_buf_printf(b, "%s`%s`", i ? ", " : "",
			       pol_prefix_format(d->cidr.prefixes[i], text));
	pol_buf_addz(b, d->cidr.n_prefixes > PREFIXES_MAX ? ", ...\n" : "\n");
}

static void about(struct pol_buf *b, struct lsp_doc *doc, const struct lsp_name *at)
{
	const struct pol_decl *d = at->decl;

	if (at->source) {
		pol_buf_printf(b, "%zu bytes, %s\n", at->source->text.n,
			       at->source->list ? "a list of prefixes" : "a policy");
		return;
	}
	/* A policy is long, and stands there: its head is enough. */
	code(b, pol_source_text(doc->program->sources,
				d->kind == POL_DECL_POLICY ? d->head : d->span));
	if (d->kind == POL_DECL_ENDPOINT)
		endpoint(b, doc, d);
	else if (d->kind == POL_DECL_CIDR)
		cidr(b, d);
}

/* Where a rule stands among those of its subject: what comes before it, and what it can only be. */
static const struct pol_rule *rule_at(const struct lsp_doc *doc, uint32_t offset)
{
	const struct pol_rule *best = NULL;

	for (size_t i = 0; doc->ir && i < doc->ir->rules.n; i++) {
		const struct pol_rule *r = &doc->ir->rules.v[i];

		if (r->implicit == POL_EXPLICIT && r->span.file == 0 && r->span.start <= offset &&
		    offset <= r->span.end)
			best = r;
	}
	return best;
}

static void about_rule(struct pol_buf *b, const struct pol_ir *ir, const struct pol_rule *r)
{
	static const char *const stage[] = { "a tier before all policies", "policies",
					     "a tier after all policies" };
	unsigned before = 0, all = 0;

	for (size_t i = 0; i < ir->by_order.n; i++) {
		const struct pol_rule *other = &ir->rules.v[ir->by_order.v[i]];

		if (other->direction != r->direction || other->subject != r->subject)
			continue;
		before += other->order < r->order;
		all++;
	}
	pol_buf_printf(b, "%s of ", r->direction == POL_INGRESS ? "In" : "Out");
	pol_describe_sel(b, ir, r->subject);
	pol_buf_printf(b, ", %s: number %u of %u rules with this subject%s.\n", stage[r->stage],
		       before + 1, all, r->audit ? "; it only audits" : "");
	pol_buf_addz(b, "\npeer: ");
	pol_describe_pred(b, ir, r->pred);
	pol_buf_addz(b, "\n\non: ");
	pol_describe_l4(b, ir->l4sets.v[r->l4]);
	pol_buf_addc(b, '\n');
}

json_t *lsp_hover(struct lsp_doc *doc, const json_t *position)
{
	uint32_t offset = lsp_offset(pol_buf_str(&doc->text), position);
	const struct pol_rule *rule;
	struct pol_span span;
	struct pol_buf b = { 0 };
	struct lsp_name at;
	json_t *answer;

	if (lsp_name_at(doc->program, offset, &at) && (at.decl || at.source)) {
		about(&b, doc, &at);
		span = at.span;
	} else if ((rule = rule_at(doc, offset))) {
		about_rule(&b, doc->ir, rule);
		span = rule->span;
	} else {
		return json_null();
	}
	answer = json_pack("{s:{s:s, s:o}, s:o}", "contents", "kind", "markdown", "value",
			   lsp_string(pol_buf_str(&b)), "range",
			   lsp_range(doc->program->sources->all.v[0], span));
	pol_buf_free(&b);
	return answer;
}
