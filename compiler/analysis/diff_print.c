/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/describe.h"
#include "compiler/analysis/diff.h"
#include "lang/diag.h"

static const char *const names[] = {
	[POL_CHANGE_WIDENED] = "widened",
	[POL_CHANGE_NARROWED] = "narrowed",
	[POL_CHANGE_ANSWER] = "answered differently",
};

static const char *const keys[] = {
	[POL_CHANGE_WIDENED] = "widened",
	[POL_CHANGE_NARROWED] = "narrowed",
	[POL_CHANGE_ANSWER] = "answer",
};

static const struct pol_rule *rule_of(const struct pol_diff *d, const struct pol_change *x,
				      unsigned i)
{
	return &d->space.ir[i]->rules.v[x->rule[i]];
}

static void flow(struct pol_buf *out, const struct pol_diff *d, const struct pol_change *x)
{
	pol_point_print_both(out, d->space.ir[0], d->space.ir[1], &x->flow);
	if (!x->request.method.p)
		return;
	/* As `polc explain` takes it; its host stands behind it. */
	pol_buf_addc(out, ' ');
	pol_buf_clean(out, x->request.method);
	pol_buf_addz(out, " \"");
	pol_buf_clean(out, x->request.path);
	pol_buf_addz(out, "\"");
	if (x->request.host.n) {
		pol_buf_addz(out, " (host ");
		pol_buf_clean(out, x->request.host);
		pol_buf_addc(out, ')');
	}
}

static void text_change(struct pol_buf *out, const struct pol_diff *d, const struct pol_change *x)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct pol_rule *r = rule_of(d, x, i);

		pol_buf_printf(out, "  %s %-6s ", i ? "->" : "  ",
			       pol_describe_action(x->action[i]));
		pol_source_cite(out, d->space.ir[i]->sources, r->span, false);
		pol_buf_addz(out, "  ");
		pol_buf_clean(out, r->text);
		pol_buf_addc(out, '\n');
	}
	pol_buf_addz(out, "     for example: ");
	flow(out, d, x);
	pol_buf_addc(out, '\n');
}

static const char *service_word(const struct pol_service_change *c)
{
	return !c->side[0] ? "added" : !c->side[1] ? "removed" : "changed";
}

static void cite_service(const struct pol_diff *d, const struct pol_service_change *c,
			 struct pol_buf *out)
{
	unsigned side = c->side[1] != NULL;

	pol_source_cite(out, d->space.ir[side]->sources, c->side[side]->span, false);
}

static struct pol_str service_name(const struct pol_service_change *c)
{
	return c->side[c->side[1] != NULL]->name;
}

static void print_text(struct pol_buf *out, const struct pol_diff *d)
{
	for (unsigned kind = 0; kind < POL_CHANGE_KINDS; kind++) {
		size_t n = pol_diff_count(d, kind);

		if (n)
			pol_buf_printf(out, "%s: %zu\n", names[kind], n);
		for (size_t i = 0; i < d->changes.n; i++)
			if (d->changes.v[i].kind == kind)
				text_change(out, d, &d->changes.v[i]);
	}
	if (d->undecided)
		pol_buf_addz(out, "undecided: too many cases, other flows may change too\n");
	if (d->requests)
		pol_buf_addz(
			out,
			"undecided: header tests of http blocks differ, or there are too many cases: other requests may change too\n");
	for (size_t i = 0; i < d->services.n; i++) {
		pol_buf_printf(out, "service %s: ", service_word(&d->services.v[i]));
		cite_service(d, &d->services.v[i], out);
		pol_buf_addz(out, "  ");
		pol_buf_clean(out, service_name(&d->services.v[i]));
		pol_buf_addc(out, '\n');
	}
	if (!d->undecided && !d->requests && !d->changes.n)
		pol_buf_addz(out, "no flow changes\n");
}

static void json_change(struct pol_buf *out, const struct pol_diff *d, const struct pol_change *x)
{
	struct pol_buf text = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		const struct pol_rule *r = rule_of(d, x, i);

		pol_buf_printf(out, "%s\"%s\":{\"action\":\"%s\",\"at\":", i ? "," : "{",
			       i ? "new" : "old", pol_describe_action(x->action[i]));
		text.n = 0;
		pol_source_cite(&text, d->space.ir[i]->sources, r->span, false);
		pol_buf_json(out, pol_buf_str(&text));
		pol_buf_addz(out, ",\"text\":");
		pol_buf_json(out, r->text);
		pol_buf_addc(out, '}');
	}
	text.n = 0;
	flow(&text, d, x);
	pol_buf_addz(out, ",\"flow\":");
	pol_buf_json(out, pol_buf_str(&text));
	pol_buf_printf(out, ",\"requests\":%s}", x->request.method.p ? "true" : "false");
	pol_buf_free(&text);
}

static void print_json(struct pol_buf *out, const struct pol_diff *d)
{
	for (unsigned kind = 0; kind < POL_CHANGE_KINDS; kind++) {
		bool first = true;

		pol_buf_printf(out, "%s\"%s\":[", kind ? "," : "{", keys[kind]);
		for (size_t i = 0; i < d->changes.n; i++) {
			if (d->changes.v[i].kind != kind)
				continue;
			pol_buf_addz(out, first ? "" : ",");
			json_change(out, d, &d->changes.v[i]);
			first = false;
		}
		pol_buf_addc(out, ']');
	}
	pol_buf_addz(out, ",\"services\":[");
	for (size_t i = 0; i < d->services.n; i++) {
		struct pol_buf at = { 0 };

		cite_service(d, &d->services.v[i], &at);
		pol_buf_printf(out, "%s{\"change\":\"%s\",\"name\":", i ? "," : "",
			       service_word(&d->services.v[i]));
		pol_buf_json(out, service_name(&d->services.v[i]));
		pol_buf_addz(out, ",\"at\":");
		pol_buf_json(out, pol_buf_str(&at));
		pol_buf_addc(out, '}');
		pol_buf_free(&at);
	}
	pol_buf_addc(out, ']');
	pol_buf_printf(out, ",\"undecided\":%s,\"requests_undecided\":%s}\n",
		       d->undecided ? "true" : "false", d->requests ? "true" : "false");
}

void pol_diff_print(const struct pol_diff *d, bool json, struct pol_buf *out)
{
	if (json)
		print_json(out, d);
	else
		print_text(out, d);
}
