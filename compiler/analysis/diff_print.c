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

/* ---- filters ------------------------------------------------------------------------ */

static const char *filter_word(const struct pol_filter_change *c)
{
	return !c->side[0] ? "added" : !c->side[1] ? "removed" : "changed";
}

static const char *line_word(const struct pol_filter_line *l)
{
	return l->action == POL_FILTER_PASS    ? "pass"
	       : l->action == POL_FILTER_LIMIT ? "limit"
					       : "drop";
}

static void cite_filter(const struct pol_diff *d, const struct pol_filter_change *c,
			struct pol_buf *out)
{
	unsigned side = c->side[1] != NULL;

	pol_source_cite(out, d->space.ir[side]->sources, c->side[side]->span, false);
}

static const struct pol_filter_line *line_of(const struct pol_diff *d,
					     const struct pol_packet_change *x, unsigned i)
{
	return &d->filters.v[x->filter].side[i]->line[x->line[i]];
}

static void text_packets(struct pol_buf *out, const struct pol_diff *d,
			 const struct pol_packet_change *x)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct pol_filter_line *l = line_of(d, x, i);

		pol_buf_printf(out, "  %s %-6s ", i ? "->" : "  ", line_word(l));
		pol_source_cite(out, d->space.ir[i]->sources, l->span, false);
		pol_buf_addz(out, "  ");
		pol_buf_clean(out, l->text);
		pol_buf_addc(out, '\n');
	}
	pol_buf_addz(out, "     for example: ");
	pol_packets_print(out, &d->space, &x->packet);
	pol_buf_addc(out, '\n');
}

static void text_filter(struct pol_buf *out, const struct pol_diff *d, size_t number)
{
	const struct pol_filter_change *c = &d->filters.v[number];
	bool any = false;

	pol_buf_printf(out, "filter %s: ", filter_word(c));
	cite_filter(d, c, out);
	pol_buf_addz(out, "  ");
	pol_buf_clean(out, c->side[c->side[1] != NULL]->name);
	pol_buf_addz(out, c->interfaces ? ", on other interfaces\n" : "\n");
	for (unsigned kind = 0; kind < POL_CHANGE_KINDS; kind++) {
		if (c->npackets[kind])
			pol_buf_printf(out, "%s: %zu\n",
				       kind == POL_CHANGE_ANSWER ? "limited differently"
								 : names[kind],
				       c->npackets[kind]);
		for (size_t i = 0; i < d->packets.n; i++)
			if (d->packets.v[i].filter == number && d->packets.v[i].kind == kind)
				text_packets(out, d, &d->packets.v[i]);
		any = any || c->npackets[kind];
	}
	if (c->undecided)
		pol_buf_addz(out, "undecided: too many cases, other packets may change too\n");
	else if (!any && c->side[0] && c->side[1])
		pol_buf_addz(out, "no packet is treated differently\n");
}

static void json_packets(struct pol_buf *out, const struct pol_diff *d,
			 const struct pol_packet_change *x)
{
	struct pol_buf text = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		const struct pol_filter_line *l = line_of(d, x, i);

		pol_buf_printf(out, "%s\"%s\":{\"action\":\"%s\",\"at\":", i ? "," : "{",
			       i ? "new" : "old", line_word(l));
		text.n = 0;
		pol_source_cite(&text, d->space.ir[i]->sources, l->span, false);
		pol_buf_json(out, pol_buf_str(&text));
		pol_buf_addz(out, ",\"text\":");
		pol_buf_json(out, l->text);
		pol_buf_addc(out, '}');
	}
	text.n = 0;
	pol_packets_print(&text, &d->space, &x->packet);
	pol_buf_addz(out, ",\"packet\":");
	pol_buf_json(out, pol_buf_str(&text));
	pol_buf_addc(out, '}');
	pol_buf_free(&text);
}

static void json_filter(struct pol_buf *out, const struct pol_diff *d, size_t number)
{
	static const char *const key[] = { "widened", "narrowed", "limits" };
	const struct pol_filter_change *c = &d->filters.v[number];
	struct pol_buf at = { 0 };

	cite_filter(d, c, &at);
	pol_buf_printf(out, "{\"change\":\"%s\",\"name\":", filter_word(c));
	pol_buf_json(out, c->side[c->side[1] != NULL]->name);
	pol_buf_addz(out, ",\"at\":");
	pol_buf_json(out, pol_buf_str(&at));
	pol_buf_printf(out, ",\"interfaces\":%s", c->interfaces ? "true" : "false");
	for (unsigned kind = 0; kind < POL_CHANGE_KINDS; kind++) {
		bool first = true;

		pol_buf_printf(out, ",\"%s\":[", key[kind]);
		for (size_t i = 0; i < d->packets.n; i++) {
			if (d->packets.v[i].filter != number || d->packets.v[i].kind != kind)
				continue;
			pol_buf_addz(out, first ? "" : ",");
			json_packets(out, d, &d->packets.v[i]);
			first = false;
		}
		pol_buf_addc(out, ']');
	}
	pol_buf_printf(out, ",\"undecided\":%s}", c->undecided ? "true" : "false");
	pol_buf_free(&at);
}

/* ---- everything --------------------------------------------------------------------- */

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
	for (size_t i = 0; i < d->filters.n; i++)
		text_filter(out, d, i);
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
	pol_buf_addz(out, "],\"filters\":[");
	for (size_t i = 0; i < d->filters.n; i++) {
		pol_buf_addz(out, i ? "," : "");
		json_filter(out, d, i);
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
