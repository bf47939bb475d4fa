/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdarg.h>
#include <stdio.h>

#include "compiler/describe.h"
#include "compiler/emit.h"
#include "verify/private.h"

bool ver_differs(struct ver_report *r, const char *where, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (r->first.where)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->first.where = where;
	r->first.what = pol_arena_str(r->arena, pol_str(text));
	return false;
}

/* ---- selectors ------------------------------------------------------------------ */

/* The same numbers in both, so that one list names the operations. */
_Static_assert(PRT_SEL_TRUE == (int)POL_SEL_TRUE && PRT_SEL_IN == (int)POL_SEL_IN &&
		       PRT_SEL_HAS == (int)POL_SEL_HAS && PRT_SEL_NOT == (int)POL_SEL_NOT &&
		       PRT_SEL_AND == (int)POL_SEL_AND && PRT_SEL_OR == (int)POL_SEL_OR,
	       "operations are numbered alike");

static bool among(const uint32_t *v, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

static bool same_selector(const struct prt_manifest *m, const struct prt_selector *p,
			  const struct pol_sel *s, const uint32_t *sel_of)
{
	if ((int)p->op != (int)s->op || p->n != s->n)
		return false;
	if ((s->op == POL_SEL_IN || s->op == POL_SEL_HAS) && !pol_str_eq(p->key, s->key))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		if (s->op == POL_SEL_IN ? !pol_str_eq(m->atom[p->atom[i]].value, s->value[i])
					: !among(s->operand, s->n, sel_of[p->operand[i]]))
			return false;
		if (s->op != POL_SEL_IN && among(p->operand, i, p->operand[i]))
			return false; /* twice the same would leave one out */
	}
	return true;
}

bool ver_selectors(struct ver_report *r, uint32_t **out)
{
	const struct prt_manifest *m = &r->object->manifest;
	const struct pol_ir *ir = r->ir;
	uint32_t *sel_of = pol_arena_alloc(r->arena, (m->nselectors + 1) * sizeof(*sel_of));

	*out = sel_of;
	for (uint32_t i = 0; i < m->nselectors; i++) {
		uint32_t k = i;

		/* As a rule they are numbered alike. */
		if (k >= ir->sels.n || !same_selector(m, &m->selector[i], &ir->sels.v[k], sel_of))
			for (k = 0; k < ir->sels.n; k++)
				if (same_selector(m, &m->selector[i], &ir->sels.v[k], sel_of))
					break;
		if (k == ir->sels.n)
			return ver_differs(r, "manifest",
					   "selector %u of the object is none of the policy's", i);
		sel_of[i] = k;
	}
	if (m->nclasses != ir->classes.n)
		return ver_differs(r, "manifest", "%zu endpoint definitions, the policy has %zu",
				   m->nclasses, ir->classes.n);
	for (size_t i = 0; i < m->nclasses; i++)
		if (!pol_str_eq(m->class[i].name, ir->classes.v[i].name) ||
		    sel_of[m->class[i].selector] != ir->classes.v[i].sel)
			return ver_differs(r, "manifest", "endpoint definition %zu, %.*s, differs",
					   i, POL_STR_ARG(ir->classes.v[i].name));
	return true;
}

/* ---- head, rules, limits ------------------------------------------------------------ */

static bool head(struct ver_report *r)
{
	const struct prt_manifest *m = &r->object->manifest;
	struct pol_buf hash = { 0 };
	bool same;

	pol_emit_sources_hash(&hash, r->ir->sources);
	same = pol_str_eq(pol_buf_str(&hash), m->sources);
	pol_buf_free(&hash);
	if (!same)
		return ver_differs(r, "manifest",
				   "the object was compiled from another text than this one");
	if (m->default_allow != (r->ir->default_action == POL_ALLOW))
		return ver_differs(r, "manifest", "its default is %s, the policy's is %s",
				   m->default_allow ? "allow" : "deny",
				   m->default_allow ? "deny" : "allow");
	if (m->host_open != r->ir->host_open)
		return ver_differs(r, "manifest", "`option host open` differs");
	return true;
}

/* As the manifest has it: "admin 20"; empty for all but rules of tiers. */
static bool same_tier(const struct pol_rule *want, struct pol_str got)
{
	char text[32] = "";

	if (want->stage != POL_STAGE_MAIN && want->implicit == POL_EXPLICIT)
		snprintf(text, sizeof(text), "%s %d",
			 want->stage == POL_STAGE_ADMIN ? "admin" : "baseline", want->priority);
	return pol_str_is(got, text);
}

static bool same_rule(const struct pol_ir *ir, const struct pol_rule *want,
		      const struct prt_rule *got)
{
	static const char *const implicit[] = { "", "closed", "default", "host" };
	struct pol_source *src = ir->sources ? pol_source_of(ir->sources, want->span) : NULL;

	return pol_str_eq(got->file, src ? src->name : POL_STR("")) &&
	       got->line == (src ? pol_source_place(src, want->span.start).line : 0) &&
	       pol_str_eq(got->policy, want->policy) && pol_str_eq(got->text, want->text) &&
	       pol_str_eq(got->name, want->name) &&
	       pol_str_is(got->direction, pol_describe_direction(want->direction)) &&
	       pol_str_is(got->action, pol_describe_action(want->action)) &&
	       pol_str_is(got->implicit, implicit[want->implicit]) && same_tier(want, got->tier) &&
	       got->audit == want->audit;
}

/* `policy` is the filter's name; tiers, audits and what is implicit are of rules alone. */
static bool same_line(const struct pol_ir *ir, const struct pol_ir_filter *f,
		      const struct pol_filter_line *want, const struct prt_rule *got)
{
	static const char *const action[] = {
		[POL_FILTER_DROP] = "drop",
		[POL_FILTER_PASS] = "pass",
		[POL_FILTER_LIMIT] = "limit",
	};
	struct pol_source *src = ir->sources ? pol_source_of(ir->sources, want->span) : NULL;

	return pol_str_eq(got->file, src ? src->name : POL_STR("")) &&
	       got->line == (src ? pol_source_place(src, want->span.start).line : 0) &&
	       pol_str_eq(got->policy, f->name) && pol_str_eq(got->text, want->text) &&
	       pol_str_eq(got->name, want->name) && pol_str_is(got->direction, "filter") &&
	       pol_str_is(got->action, action[want->action]) && !got->implicit.n && !got->tier.n &&
	       !got->audit;
}

/* The first rule that is not the policy's, of as many as it has; `all->n`: none. */
static size_t first_other(const struct pol_ir *ir, const struct prt_rules *all)
{
	size_t n = 0;

	for (; n < ir->rules.n; n++)
		if (!same_rule(ir, &ir->rules.v[n], &all->v[n]))
			return n;
	for (size_t i = 0; i < ir->filters.n; i++)
		for (size_t k = 0; k < ir->filters.v[i].n; k++, n++)
			if (!same_line(ir, &ir->filters.v[i], &ir->filters.v[i].line[k],
				       &all->v[n]))
				return n;
	return n;
}

static bool rules(struct ver_report *r, struct pol_err *e)
{
	struct prt_rules all = { 0 };
	bool same = true;
	size_t other;

	if (prt_rules_parse(r->object, &all, e))
		return false;
	if (all.n != r->ir->rules.n + r->ir->nlines)
		same = ver_differs(r, "rules", "it has %zu rules, the policy has %zu", all.n,
				   r->ir->rules.n + r->ir->nlines);
	other = same ? first_other(r->ir, &all) : all.n;
	if (other < all.n)
		same = ver_differs(
			r, "rules",
			"rule %zu says %.*s:%u `%.*s`, which is not that rule of the policy", other,
			POL_STR_ARG(all.v[other].file), all.v[other].line,
			POL_STR_ARG(all.v[other].text));
	prt_rules_free(&all);
	return same;
}

static bool limits(struct ver_report *r)
{
	const struct prt_object *o = r->object;

	if (o->manifest.nlimits != r->ir->limits.n)
		return ver_differs(r, "limits", "it has %u limits, the policy has %zu",
				   o->manifest.nlimits, r->ir->limits.n);
	for (size_t i = 0; i < r->ir->limits.n; i++) {
		const struct pol_limit *want = &r->ir->limits.v[i], *got = &o->limits[i];

		if (want->ns_per_token != got->ns_per_token || want->burst_ns != got->burst_ns ||
		    want->rule != got->rule || want->per_source != got->per_source ||
		    (want->per_source && (want->len4 != got->len4 || want->len6 != got->len6)))
			return ver_differs(r, "limits", "limit %zu is not the one of `%.*s`", i,
					   POL_STR_ARG(
						   pol_ir_line(r->ir, want->rule)
							   ? pol_ir_line(r->ir, want->rule)->text
							   : r->ir->rules.v[want->rule].text));
	}
	return true;
}

static bool same_filter(const struct pol_ir_filter *want, const struct prt_filter *got)
{
	bool same = pol_str_eq(want->name, got->name) && want->ninterfaces == got->ninterfaces;

	for (size_t i = 0; same && i < want->ninterfaces; i++)
		same = pol_str_eq(want->interface[i], got->interface[i]);
	return same;
}

static bool same_bytes(struct pol_str got, const void *want, size_t n)
{
	return got.n >= n && (!n || !memcmp(got.p, want, n));
}

/* The same text gives the same tables, byte for byte; tests/property/filters.c says what they mean. */
static bool filter_tables(const struct ver_report *r, struct pol_arena *a)
{
	const struct prt_object *o = r->object;
	struct pol_filters want;
	struct pol_diags diags;
	bool same;

	pol_diags_init(&diags, a);
	same = pol_filters_build(r->ir, a, &want, &diags) &&
	       same_bytes(o->filter_head, want.head, want.n * sizeof(*want.head)) &&
	       same_bytes(o->filter_half, want.half, 2 * want.n * sizeof(*want.half)) &&
	       o->filter_data.n == want.room * sizeof(*want.data) &&
	       same_bytes(o->filter_data, want.data, want.words * sizeof(*want.data));
	pol_diags_free(&diags);
	return same;
}

static bool filters(struct ver_report *r)
{
	const struct prt_manifest *m = &r->object->manifest;
	struct pol_arena *a;
	bool same = m->nfilters == r->ir->filters.n && m->ndynamic == r->ir->dynamics.n;

	for (size_t i = 0; same && i < m->nfilters; i++)
		same = same_filter(&r->ir->filters.v[i], &m->filter[i]);
	for (size_t i = 0; same && i < m->ndynamic; i++)
		same = pol_str_eq(m->dynamic[i], r->ir->dynamics.v[i].name);
	if (!same)
		return ver_differs(
			r, "filters",
			"filters, their interfaces or dynamic sets are not the policy's");
	if (!m->nfilters)
		return true;
	a = pol_arena_new();
	same = filter_tables(r, a);
	pol_arena_free(a);
	return same || ver_differs(r, "filters", "the tables of filters are not the policy's");
}

bool ver_names(struct ver_report *r, struct pol_err *e)
{
	const struct prt_object *o = r->object;

	if (!head(r) || !rules(r, e) || !limits(r) || !filters(r))
		return false;
	/* One layout for one set of lines (compiler/http/image.c): equal automata are equal bytes. */
	if (!pol_str_eq(o->http_image, r->ir->http_image))
		return ver_differs(r, "http",
				   "the automata of http blocks differ from the policy's");
	return true;
}
