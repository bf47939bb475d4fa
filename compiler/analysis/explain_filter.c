/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What filters say of a flow.  They know packets, not flows: asked is about the first one that
 * comes in by an uplink, with a source port as clients have them and the flags of TCP's handshake.
 */
#include "compiler/analysis/explain.h"
#include "compiler/ranges.h"
#include "compiler/analysis/witness.h"
#include "lang/diag.h"

#define SHOWN 8 /* lines that missed, of one filter, as text */
#define CLIENT_PORT 49152 /* the first of the dynamic ports (RFC 6335) */
#define ICMP_REPLY(proto) ((proto) == POL_PROTO_ICMP ? 0 : 129)
#define ICMP_REQUEST(proto) ((proto) == POL_PROTO_ICMP ? 8 : 128)
#define SYN 0x02
#define ACK 0x10

/* ---- the packet --------------------------------------------------------------------- */

static bool is_here(const struct pol_eval_peer *p)
{
	return p->kind == POL_PEER_ENDPOINT || p->kind == POL_PEER_HOST;
}

/* All but its addresses.  False: none need come in. */
static bool first_packet(const struct pol_explanation *x, struct pol_eval_packet *p)
{
	bool ports;

	*p = (struct pol_eval_packet){ .proto = (uint8_t)(x->l4_key >> 16),
				       .value = (uint16_t)x->l4_key };
	ports = pol_proto_has_ports(p->proto);
	p->sport = ports ? CLIENT_PORT : 0;
	p->tcp_flags = p->proto == POL_PROTO_TCP ? SYN : 0;
	if (!x->replies)
		return !is_here(&x->src);
	if (is_here(&x->dst) || x->service)
		return false;
	p->tcp_flags |= p->proto == POL_PROTO_TCP ? ACK : 0;
	if (ports) {
		p->sport = p->value;
		p->value = CLIENT_PORT;
	} else if (pol_proto_has_types(p->proto)) {
		if (p->value != ICMP_REQUEST(p->proto))
			return false;
		p->value = ICMP_REPLY(p->proto);
	}
	return true;
}

static void ask_filters(const struct pol_ir *ir, struct pol_arena *a, struct pol_explanation *x)
{
	x->filter = pol_arena_alloc(a, (ir->filters.n + 1) * sizeof(*x->filter));
	x->dropped = x->nfilters = ir->filters.n;
	for (size_t i = 0; i < ir->filters.n; i++) {
		x->filter[i].filter = &ir->filters.v[i];
		pol_eval_filter(ir, &ir->filters.v[i], &x->packet, &x->filter[i].eval);
		if (i < x->dropped && x->filter[i].eval.action == POL_FILTER_DROP)
			x->dropped = i;
	}
	/* What is sent without an answer, as much of UDP is, gets where it should. */
	if (x->replies && x->packet.proto != POL_PROTO_TCP)
		x->dropped = x->nfilters;
	if (x->dropped < x->nfilters && x->action == POL_ALLOW)
		x->action = POL_DENY;
}

static bool same_answers(const struct pol_ir *ir, const struct pol_explanation *x,
			 const struct pol_eval_packet *p)
{
	for (size_t i = 0; i < x->nfilters; i++) {
		const struct pol_eval_filter *was = &x->filter[i].eval;
		struct pol_eval_filter is;

		pol_eval_filter(ir, x->filter[i].filter, p, &is);
		if (is.line != was->line || is.nlimits != was->nlimits ||
		    memcmp(is.limited, was->limited, is.nlimits * sizeof(*is.limited)) != 0)
			return false;
	}
	return true;
}

struct ends { /* of the packet, and who stands for them */
	const struct pol_eval_peer *src, *dst;
	pol_stand_in_vec all_src, all_dst;
};

/* Is there such a packet?  Addresses that were given are taken as they are. */
static bool is_packet(const struct ends *e, const struct pol_eval_packet *p)
{
	if (p->src.family != p->dst.family)
		return false;
	return e->src->has_addr || e->dst->has_addr ||
	       p->proto != (p->src.family == 4 ? POL_PROTO_ICMP6 : POL_PROTO_ICMP);
}

/* The end whose members get different answers; NULL: neither. */
static const struct pol_eval_peer *ask_all(const struct pol_ir *ir, struct pol_arena *a,
					   const struct ends *e, struct pol_eval_packet p,
					   struct pol_explanation *x)
{
	size_t first = SIZE_MAX;

	for (size_t i = 0; i < e->all_src.n; i++)
		for (size_t k = 0; k < e->all_dst.n; k++) {
			p.src = e->all_src.v[i].peer.addr;
			p.dst = e->all_dst.v[k].peer.addr;
			if (!is_packet(e, &p))
				continue;
			if (first == SIZE_MAX) {
				first = i;
				x->packet = p;
				ask_filters(ir, a, x);
			} else if (!same_answers(ir, x, &p)) {
				return first != i ? e->src : e->dst;
			}
		}
	/* `pool` leaves them no family in common: who has no address is in no set. */
	if (first == SIZE_MAX && !(e->src->has_addr && e->dst->has_addr)) {
		x->packet = p;
		x->packet.src = e->src->addr;
		x->packet.dst = e->dst->addr;
		ask_filters(ir, a, x);
	}
	return NULL;
}

const struct pol_eval_peer *pol_explain_filters(const struct pol_ir *ir, struct pol_arena *a,
						const struct pol_eval_peer *from,
						const struct pol_eval_peer *to,
						struct pol_explanation *x)
{
	struct pol_filter_view view = { ir->filters.v, ir->filters.n, false };
	const struct pol_eval_peer *differs;
	struct pol_eval_packet p;
	struct ends e = { 0 };

	x->replies = is_here(from);
	if (!ir->filters.n || !first_packet(x, &p))
		return NULL;
	e.src = x->replies ? to : from;
	e.dst = x->replies ? from : to;
	pol_witness_packet(ir, &view, e.src, a, &e.all_src);
	view.dst = true;
	pol_witness_packet(ir, &view, e.dst, a, &e.all_dst);
	differs = ask_all(ir, a, &e, p, x);
	pol_vec_free(&e.all_src);
	pol_vec_free(&e.all_dst);
	return differs;
}

struct pol_str pol_explain_filter_edit(const struct pol_explanation *x, struct pol_arena *a)
{
	const struct pol_ast_peer *end[] = { x->asked->from, x->asked->to };
	struct pol_str on = pol_source_text(x->program->sources, x->asked->on->span), kept;
	struct pol_buf b = { 0 };

	pol_buf_addz(&b, "pass");
	for (unsigned i = 0; i < 2; i++) {
		const struct pol_ast_peer *p = end[i ^ x->replies];
		bool set = p->kind == POL_AST_PEER_PREFIX ||
			   (p->kind == POL_AST_PEER_NAME && p->name.decl &&
			    p->name.decl->kind != POL_DECL_ENDPOINT);

		p = p->kind == POL_AST_PEER_AT ? p->right : p;
		if (set || p->kind == POL_AST_PEER_PREFIX)
			pol_buf_printf(&b, " %s %.*s", i ? "to" : "from",
				       POL_STR_ARG(pol_source_text(x->program->sources, p->span)));
	}
	if (x->replies)
		pol_buf_printf(&b, " on tcp ack sport %u;", x->packet.sport);
	else
		pol_buf_printf(&b, " %s%.*s;", on.n > 2 && !memcmp(on.p, "on ", 3) ? "" : "on ",
			       POL_STR_ARG(on));
	kept = pol_arena_str(a, pol_buf_str(&b));
	pol_buf_free(&b);
	return kept;
}

/* ---- why a line missed ---------------------------------------------------------------- */

/* In the order of a line's text. */
#define MISSES(X)                                                                                  \
	X(MISS_SOURCE, "source")                                                                   \
	X(MISS_DESTINATION, "destination")                                                         \
	X(MISS_PROTOCOL, "protocol")                                                               \
	X(MISS_PORT, "port")                                                                       \
	X(MISS_SPORT, "source port")                                                               \
	X(MISS_FLAGS, "flags")                                                                     \
	X(MISS_DYNAMIC, "dynamic") /* unless its dynamic set holds the address at run time */

#define MISS_ITEM(id, name) id,
enum miss { MISSES(MISS_ITEM) MISS_MAX };
#undef MISS_ITEM
#define MISS_ITEM(id, name) name,
static const char *const miss_names[] = { MISSES(MISS_ITEM) };
#undef MISS_ITEM

static uint32_t end_misses(const struct pol_ir *ir, const struct pol_filter_end *e,
			   struct pol_ip ip, enum miss which)
{
	if (!e->aset || (ip.family && pol_aset_contains(ir->asets.v[e->aset], ip)))
		return 0;
	return 1u << which | (e->dynamic ? 1u << MISS_DYNAMIC : 0);
}

/* The best of the terms: what stands behind IP misses on that. */
static uint32_t term_misses(const struct pol_ir *ir, const struct pol_filter_line *l,
			    const struct pol_eval_packet *p)
{
	struct pol_range32 any = { POL_L4_KEY(p->proto, 0), POL_L4_KEY(p->proto, 65535) };
	enum miss best = MISS_PROTOCOL;

	for (size_t i = 0; i < l->n; i++) {
		const struct pol_filter_term *t = &l->term[i];
		const struct pol_l4set *l4 = &ir->l4sets.v[t->l4];
		enum miss m = MISS_FLAGS;

		if (t->l4 && !pol_l4set_overlap(*l4, (struct pol_l4set){ &any, 1 }))
			m = MISS_PROTOCOL;
		else if (t->l4 && !pol_l4set_contains(*l4, POL_L4_KEY(p->proto, p->value)))
			m = MISS_PORT;
		else if (t->sport && !pol_l4set_contains(ir->l4sets.v[t->sport], p->sport))
			m = MISS_SPORT;
		else if ((p->tcp_flags & t->set) == t->set && !(p->tcp_flags & t->clear))
			return 0;
		best = m > best ? m : best;
	}
	return l->n ? 1u << best : 0;
}

static uint32_t misses_of(const struct pol_ir *ir, const struct pol_filter_line *l,
			  const struct pol_eval_packet *p)
{
	return end_misses(ir, &l->src, p->src, MISS_SOURCE) |
	       end_misses(ir, &l->dst, p->dst, MISS_DESTINATION) | term_misses(ir, l, p);
}

/* ---- words ------------------------------------------------------------------------------- */

static const char *action_name(enum pol_filter_action a)
{
	return a == POL_FILTER_PASS ? "pass" : a == POL_FILTER_LIMIT ? "limit" : "drop";
}

static void text_line(const struct pol_ir *ir, const char *name, const char *what,
		      const struct pol_filter_line *l, struct pol_buf *out)
{
	pol_buf_printf(out, "  %-8s %-7s ", name, what);
	pol_source_cite(out, ir->sources, l->span, false);
	pol_buf_addz(out, "  ");
	pol_buf_clean(out, l->text);
}

static void add_filter_name(const struct pol_ir_filter *f, struct pol_buf *out)
{
	pol_buf_addz(out, "  (");
	pol_buf_clean(out, f->name);
	for (size_t i = 0; i < f->ninterfaces; i++) {
		pol_buf_addz(out, i ? ", " : " on ");
		pol_buf_clean(out, f->interface[i]);
	}
	pol_buf_addz(out, ")\n");
}

/* Nearest first. */
static void text_missed(const struct pol_ir *ir, const struct pol_explanation *x,
			const struct pol_filter_answer *f, struct pol_buf *out)
{
	size_t n = 0;

	for (size_t i = f->eval.line; i-- > 0;) {
		const struct pol_filter_line *l = &f->filter->line[i];
		uint32_t misses = misses_of(ir, l, &x->packet);
		const char *sep = "  (";

		if (!misses || n++ >= SHOWN)
			continue;
		text_line(ir, "", "missed", l, out);
		for (unsigned m = 0; m < MISS_DYNAMIC; m++) {
			if (!(misses >> m & 1))
				continue;
			pol_buf_printf(out, "%s%s", sep, miss_names[m]);
			sep = ", ";
		}
		pol_buf_printf(out, ")%s\n",
			       misses >> MISS_DYNAMIC ? ", unless added at run time" : "");
	}
	if (n > SHOWN)
		pol_buf_printf(out, "  %-8s ... and %zu more\n", "", n - SHOWN);
}

void pol_explain_filters_text(const struct pol_ir *ir, const struct pol_explanation *x,
			      struct pol_buf *out)
{
	for (size_t i = 0; i < x->nfilters; i++) {
		const struct pol_filter_answer *f = &x->filter[i];

		text_line(ir, x->replies ? "replies" : "filter", action_name(f->eval.action),
			  &f->filter->line[f->eval.line], out);
		add_filter_name(f->filter, out);
		for (size_t k = 0; k < f->eval.nlimits; k++) {
			text_line(ir, "", "limit", &f->filter->line[f->eval.limited[k]], out);
			pol_buf_addz(out, "  drops what exceeds it\n");
		}
		text_missed(ir, x, f, out);
	}
}

static void json_line(const struct pol_ir *ir, const struct pol_filter_line *l, struct pol_buf *out)
{
	struct pol_buf cite = { 0 };

	pol_buf_addz(out, "\"at\":");
	pol_source_cite(&cite, ir->sources, l->span, false);
	pol_buf_json(out, pol_buf_str(&cite));
	pol_buf_free(&cite);
	pol_buf_addz(out, ",\"text\":");
	pol_buf_json(out, l->text);
}

static void json_missed(const struct pol_ir *ir, const struct pol_explanation *x,
			const struct pol_filter_answer *f, struct pol_buf *out)
{
	bool first = true;

	pol_buf_addz(out, ",\"missed\":[");
	for (size_t i = f->eval.line; i-- > 0;) {
		const struct pol_filter_line *l = &f->filter->line[i];
		uint32_t misses = misses_of(ir, l, &x->packet);
		const char *sep = "";

		if (!misses)
			continue;
		pol_buf_addz(out, first ? "{" : ",{");
		first = false;
		json_line(ir, l, out);
		pol_buf_addz(out, ",\"on\":[");
		for (unsigned m = 0; m < MISS_MAX; m++) {
			if (!(misses >> m & 1))
				continue;
			pol_buf_printf(out, "%s\"%s\"", sep, miss_names[m]);
			sep = ",";
		}
		pol_buf_addz(out, "]}");
	}
	pol_buf_addc(out, ']');
}

static void json_filter(const struct pol_ir *ir, const struct pol_explanation *x,
			const struct pol_filter_answer *f, struct pol_buf *out)
{
	const struct pol_filter_line *l = &f->filter->line[f->eval.line];

	pol_buf_addz(out, "{\"filter\":");
	pol_buf_json(out, f->filter->name);
	pol_buf_addz(out, ",\"interfaces\":[");
	for (size_t i = 0; i < f->filter->ninterfaces; i++) {
		pol_buf_addz(out, i ? "," : "");
		pol_buf_json(out, f->filter->interface[i]);
	}
	pol_buf_printf(out, "],\"action\":\"%s\",\"rule\":%u,", action_name(f->eval.action),
		       l->rule);
	json_line(ir, l, out);
	pol_buf_addz(out, ",\"limits\":[");
	for (size_t k = 0; k < f->eval.nlimits; k++) {
		pol_buf_addz(out, k ? ",{" : "{");
		json_line(ir, &f->filter->line[f->eval.limited[k]], out);
		pol_buf_addc(out, '}');
	}
	pol_buf_addc(out, ']');
	json_missed(ir, x, f, out);
	pol_buf_addc(out, '}');
}

void pol_explain_filters_json(const struct pol_ir *ir, const struct pol_explanation *x,
			      struct pol_buf *out)
{
	if (!x->nfilters)
		return;
	pol_buf_printf(out, ",\"%s\":[", x->replies ? "reply_filters" : "filters");
	for (size_t i = 0; i < x->nfilters; i++) {
		pol_buf_addz(out, i ? "," : "");
		json_filter(ir, x, &x->filter[i], out);
	}
	pol_buf_addc(out, ']');
}
