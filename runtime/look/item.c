/* SPDX-License-Identifier: GPL-2.0-only */
/* An event or a request as a line. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "monitor.h"

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = n,
static const char *const reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME

static const char *reason(uint8_t r)
{
	return r < POL_REASON_MAX ? reasons[r] : "?";
}

static bool icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static bool no_address(const struct pol_addr *a)
{
	static const struct pol_addr none;

	return !memcmp(a, &none, sizeof(none));
}

/* ---- requests --------------------------------------------------------------------------- */

struct texts {
	struct pol_str method, host, path, why;
};

static struct texts texts_of(const struct pol_proxy_request *q)
{
	const char *p = q->text;
	struct texts t;

	t.method = (struct pol_str){ p, q->method };
	t.host = (struct pol_str){ p += q->method, q->host };
	t.path = (struct pol_str){ p += q->host, q->path };
	t.why = (struct pol_str){ p + q->path, q->why };
	return t;
}

/* The http line that decided; NULL: none matched, or its generation is gone. */
static const struct pol_http_line_info *line_of(const struct prt_book *b,
						const struct pol_proxy_request *q,
						const struct pol_http_view **view)
{
	const struct prt_book_gen *g = prt_book_gen(b, (uint32_t)q->gen);

	if (!g || !g->object->http_image.n || q->line >= g->object->http.image->lines.n)
		return NULL;
	*view = &g->object->http;
	return &g->object->http.lines[q->line];
}

static void request_text(struct pol_buf *out, const struct prt_book *b,
			 const struct pol_proxy_request *q)
{
	const struct prt_rule *r = prt_book_rule(b, (uint32_t)q->gen, q->rule);
	const struct pol_http_view *view = NULL;
	const struct pol_http_line_info *l = line_of(b, q, &view);
	struct texts t = texts_of(q);

	if (t.method.n) {
		prt_show_word(out, t.method);
		pol_buf_addc(out, ' ');
		prt_show_word(out, t.path);
	}
	if (t.host.n) {
		pol_buf_addz(out, " host ");
		prt_show_word(out, t.host);
	}
	if (q->status)
		pol_buf_printf(out, " %u", q->status);
	if (t.why.n) {
		pol_buf_addz(out, " because ");
		prt_show_word(out, t.why);
	}
	if (l)
		pol_buf_printf(out, " by %s:%u: %s", prt_safe(pol_http_string(view, l->file).p),
			       l->line, prt_safe(pol_http_string(view, l->source).p));
	else if (r)
		pol_buf_printf(out, " by %s:%u, none of whose lines matches: %s",
			       prt_safe(r->file.p), r->line, prt_safe(r->text.p));
}

static void request_json(struct pol_buf *out, const struct prt_book *b,
			 const struct pol_proxy_request *q)
{
	const struct pol_http_view *view = NULL;
	const struct pol_http_line_info *l = line_of(b, q, &view);
	struct texts t = texts_of(q);

	prt_show_member(out, "method", t.method);
	prt_show_member(out, "host", t.host);
	prt_show_member(out, "path", t.path);
	prt_show_member(out, "why", t.why);
	pol_buf_printf(out,
		       ", \"status\": %u, \"sent\": %" PRIu64 ", \"received\": %" PRIu64
		       ", \"us\": %u",
		       q->status, (uint64_t)q->sent, (uint64_t)q->received, q->us);
	if (!l)
		return;
	pol_buf_addz(out, ", \"http_line\": {\"file\": ");
	pol_buf_json(out, pol_http_string(view, l->file));
	pol_buf_printf(out, ", \"line\": %u, \"text\": ", l->line);
	pol_buf_json(out, pol_http_string(view, l->source));
	pol_buf_addc(out, '}');
}

/* ---- packets ----------------------------------------------------------------------------- */

/* At whose device: where the addresses are not to be believed, that is what is known. */
static void place_text(struct pol_buf *out, const struct prt_book *b, const struct pol_event *v)
{
	const struct prt_member *m = prt_book_ep(b, v->ep);
	char ifname[PRT_IFNAME];

	if (!v->ifindex)
		return;
	pol_buf_addz(out, " at ");
	if (m)
		prt_show_word(out, pol_str(m->info.name));
	else
		prt_show_word(out, pol_str(prt_show_ifname(v->ifindex, ifname)));
}

static void packet_text(struct pol_buf *out, const struct prt_book *b, const struct pol_event *v)
{
	const struct prt_rule *r = prt_book_rule(b, v->gen, v->rule);
	bool dropped = v->kind == POL_EVENT_DROP || v->kind == POL_EVENT_AUDIT;

	if (dropped)
		pol_buf_addz(out, reason(v->reason));
	if (r)
		pol_buf_printf(out, "%s%s by %s:%u: %s%s", dropped ? " " : "",
			       v->direction == POL_EGRESS ? "out" : "in", prt_safe(r->file.p),
			       r->line, prt_safe(r->text.p), r->audit ? " (audit)" : "");
	else if (dropped)
		place_text(out, b, v);
	r = dropped ? NULL : prt_book_rule(b, v->gen, v->other);
	if (r)
		pol_buf_printf(out, "; %s by %s:%u", v->direction == POL_EGRESS ? "in" : "out",
			       prt_safe(r->file.p), r->line);
}

void prt_item_why(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item)
{
	if (item->q)
		request_text(out, b, item->q);
	else
		packet_text(out, b, &item->v);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void end_text(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item,
		     bool source)
{
	const struct pol_event *v = &item->v;
	uint16_t port = ntohs(source ? v->sport_be : v->dport_be);

	if (no_address(source ? &v->src : &v->dst))
		pol_buf_addz(out, item->count > 1 ? "many" : "?");
	else
		prt_show_end(out, b, source ? &v->src : &v->dst, port,
			     prt_show_has_ports(v->proto) && (!source || port));
}

static void type_text(struct pol_buf *out, const struct pol_event *v)
{
	uint16_t type = ntohs(v->dport_be);
	const char *name = icmp(v->proto) ? pol_icmp_type_name(v->proto, (uint8_t)type) : NULL;

	if (name)
		pol_buf_printf(out, " %s", name);
	else if (icmp(v->proto))
		pol_buf_printf(out, " type %u", type);
}

void prt_item_text(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item)
{
	const struct pol_event *v = &item->v;
	char room[8];

	prt_show_clock(out, v->time_ns, false);
	pol_buf_printf(out, " %-6s %-6s ", prt_see_verdict(prt_item_see(item)),
		       item->q ? "http" : prt_show_proto(v->proto, room));
	end_text(out, b, item, true);
	pol_buf_addz(out, " -> ");
	end_text(out, b, item, false);
	type_text(out, v);
	pol_buf_addz(out, "  ");
	prt_item_why(out, b, item);
	if (item->count > 1)
		pol_buf_printf(out, "  (%" PRIu64 " times)", item->count);
	pol_buf_addc(out, '\n');
}

void prt_item_json(struct pol_buf *out, const struct prt_book *b, const struct prt_item *item)
{
	const struct pol_event *v = &item->v;
	const struct prt_rule *r = prt_book_rule(b, v->gen, v->rule), *o;
	enum prt_see see = prt_item_see(item);
	char room[8], ifname[PRT_IFNAME];

	pol_buf_addz(out, "{\"time\": \"");
	prt_show_clock(out, v->time_ns, true);
	pol_buf_printf(out,
		       "\", \"time_ns\": %" PRIu64
		       ", \"event\": \"%s\", \"verdict\": \"%s\", \"count\": %" PRIu64
		       ", \"protocol\": \"%s\"",
		       (uint64_t)v->time_ns, prt_see_kind(see), prt_see_verdict(see), item->count,
		       prt_show_proto(v->proto, room));
	prt_show_end_json(out, "from", b, &v->src, ntohs(v->sport_be));
	prt_show_end_json(out, "to", b, &v->dst, ntohs(v->dport_be));
	pol_buf_printf(out, ", \"generation\": %u", v->gen);
	if (v->rule != POL_NO_RULE) {
		pol_buf_printf(out, ", \"rule\": {\"rule\": %u", v->rule);
		prt_show_rule_json(out, r);
		pol_buf_addc(out, '}');
	}
	if (item->q) {
		request_json(out, b, item->q);
		pol_buf_addz(out, "}\n");
		return;
	}
	pol_buf_printf(out, ", \"reason\": \"%s\", \"length\": %u", reason(v->reason), v->length);
	o = v->other == POL_NO_RULE ? NULL : prt_book_rule(b, v->gen, v->other);
	if (o) {
		pol_buf_printf(out, ", \"other_rule\": {\"rule\": %u", v->other);
		prt_show_rule_json(out, o);
		pol_buf_addc(out, '}');
	}
	prt_show_key(out, false, "interface");
	prt_show_json(out, prt_show_ifname(v->ifindex, ifname));
	if (prt_book_ep(b, v->ep)) {
		prt_show_key(out, false, "at");
		prt_show_json(out, prt_book_ep(b, v->ep)->info.name);
	}
	pol_buf_addz(out, "}\n");
}
