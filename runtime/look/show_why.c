/* SPDX-License-Identifier: GPL-2.0-only */
/* polload why: a flow by name, the maps' answer, the rules by place. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include "show.h"
#include "why.h"

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = { n, t },
static const struct {
	const char *name, *meaning;
} reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME

struct http {
	void *image; /* mapped */
	size_t size;
	struct pol_http_view view;
};

struct asked {
	const struct prt_query *q;
	struct prt_book book;
	struct prt_gen gen; /* the same, with its tables */
	struct http http;
};

/* ---- from words to addresses ------------------------------------------------------------- */

/* An address of that family; false: it has none. */
static bool address_of(const struct prt_member *m, uint8_t family, struct pol_addr *out)
{
	for (size_t i = 0; i < m->addrs.n; i++) {
		if (prt_ip_of_addr(&m->addrs.v[i].addr).family != family)
			continue;
		*out = m->addrs.v[i].addr;
		return true;
	}
	return false;
}

static bool fixed_of(const struct prt_book *b, enum pol_entity entity, uint8_t family,
		     struct pol_addr *out)
{
	for (size_t i = 0; i < b->l.world.fixed.n; i++) {
		const struct prt_fixed *f = &b->l.world.fixed.v[i];

		if (f->entity != entity || prt_ip_of_addr(&f->addr).family != family)
			continue;
		*out = f->addr;
		return true;
	}
	return false;
}

/* Of the endpoints that a name or labels fit, those of this host first. */
static bool member_of(const struct prt_book *b, const struct prt_peer *p, uint8_t family,
		      struct pol_addr *out)
{
	for (int here = 1; here >= 0; here--) {
		for (size_t i = 0; i < b->l.world.member.n; i++) {
			const struct prt_member *m = &b->l.world.member.v[i];

			if (!!m->info.ifindex == here && address_of(m, family, out) &&
			    prt_peer_match(p, b, out))
				return true;
		}
	}
	return false;
}

static bool end_of(const struct prt_book *b, const struct prt_peer *p, uint8_t family,
		   struct pol_addr *out)
{
	switch (p->kind) {
	case PRT_PEER_HOST:
		return fixed_of(b, POL_ENTITY_HOST, family, out);
	case PRT_PEER_NODES:
		return fixed_of(b, POL_ENTITY_NODE, family, out);
	case PRT_PEER_NAME:
	case PRT_PEER_LABELS:
		return member_of(b, p, family, out);
	case PRT_PEER_NET:
		*out = prt_addr_of_ip(p->net.addr);
		return p->net.addr.family == family;
	case PRT_PEER_ANY:
	case PRT_PEER_WORLD:
		return false;
	}
	return false;
}

static int check_end(const struct prt_peer *p, struct pol_err *e)
{
	unsigned whole = p->net.addr.family == 4 ? 32 : 128;

	if (p->kind == PRT_PEER_ANY || p->kind == PRT_PEER_WORLD) {
		pol_err_help(
			e,
			"name an endpoint, or write an address: which rule decides may depend on it");
		return pol_err(e, -EINVAL, "`%s` is not one end", prt_safe(p->text.p));
	}
	if (p->kind == PRT_PEER_NET && p->net.len != whole) {
		pol_err_help(e, "`polc explain` answers for all of a prefix");
		return pol_err(e, -EINVAL, "`%s`: one address is asked about", prt_safe(p->text.p));
	}
	return 0;
}

static int resolve(const struct asked *a, struct prt_why_flow *f, struct pol_err *e)
{
	const struct prt_query *q = a->q;
	bool only4 = q->proto == IPPROTO_ICMP, only6 = q->proto == IPPROTO_ICMPV6;
	int r = check_end(&q->from, e);

	r = r ? r : check_end(&q->to, e);
	if (r)
		return r;
	*f = (struct prt_why_flow){ .from_host = q->from.kind == PRT_PEER_HOST,
				    .proto = q->proto,
				    .port = q->port_lo };
	for (int family = only6 ? 6 : 4; family <= (only4 ? 4 : 6); family += 2)
		if (end_of(&a->book, &q->from, family, &f->src) &&
		    end_of(&a->book, &q->to, family, &f->dst)) {
			f->from_host |= prt_book_entity(&a->book, &f->src) == POL_ENTITY_HOST;
			return 0;
		}
	pol_err_help(e, "`polload endpoints` lists who is known");
	return pol_err(e, -EINVAL,
		       "`%s` and `%s`: nobody known is both, with addresses of one family",
		       prt_safe(q->from.text.p), prt_safe(q->to.text.p));
}

/* ---- requests -------------------------------------------------------------------------------- */

static int open_http(struct asked *a, struct pol_err *e)
{
	uint32_t size = a->book.object->http_image.n ? (uint32_t)a->book.object->http_image.n : 0;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	if (!size)
		return 0;
	a->http.size = (size + page - 1) / page * page;
	p = mmap(NULL, a->http.size, PROT_READ, MAP_SHARED, a->gen.fd[PRT_GEN_HTTP], 0);
	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", POL_MAP_HTTP,
			       strerror(errno));
	a->http.image = p;
	return pol_http_open(&a->http.view, p, size, e);
}

static struct pol_http_verdict judge_request(const struct asked *a, const struct pol_verdict *v)
{
	const struct pol_http_request r = { .method = a->q->method, .path = a->q->path };

	return pol_http_judge(&a->http.view, v->http, v->nhttp, v->flags & POL_VF_PLAIN, &r);
}

/* ---- saying ------------------------------------------------------------------------------------ */

struct answer {
	struct prt_why_flow f;
	struct prt_why w;
	bool nobody; /* neither end lives here */
	bool http; /* the proxy has the flow */
	bool request; /* and a request was asked about */
	struct pol_http_verdict line[POL_DIRECTIONS];
	const char *fault; /* the path is not one that any server may get */
};

static const char *action_of(const struct prt_why_side *s)
{
	return s->reason == POL_REASON_NONE     ? "allow"
	       : s->reason == POL_REASON_REJECT ? "reject"
						: "deny";
}

static bool allowed(const struct answer *a)
{
	if (a->nobody)
		return true;
	if (a->w.reason || a->fault)
		return false;
	for (int d = 0; d < POL_DIRECTIONS && a->request; d++)
		if (a->w.side[d].judged && a->w.side[d].verdict.nhttp && !a->line[d].allow)
			return false;
	return true;
}

static const char *verdict_of(const struct answer *a)
{
	return allowed(a) ? "allow" : a->w.reason == POL_REASON_REJECT ? "reject" : "deny";
}

static void line_text(struct pol_buf *out, const struct asked *q, const struct pol_http_verdict *v)
{
	const struct pol_http_line_info *l;

	pol_buf_printf(out, "           %-7s ", v->allow ? "allow" : "deny");
	if (v->line == POL_HTTP_NO_LINE) {
		pol_buf_addz(out, v->allow ? "no line denies it\n"
					   : "no line of the http block matches\n");
		return;
	}
	l = &q->http.view.lines[v->line];
	pol_buf_printf(out, "%s:%u  %s\n", prt_safe(pol_http_string(&q->http.view, l->file).p),
		       l->line, prt_safe(pol_http_string(&q->http.view, l->source).p));
}

static void side_text(struct pol_buf *out, const struct asked *q, const struct answer *a, int dir)
{
	const struct prt_why_side *s = &a->w.side[dir];
	const struct prt_rule *r =
		prt_book_rule(&q->book, (uint32_t)q->gen.number, s->verdict.rule);
	const struct prt_rule *audit =
		prt_book_rule(&q->book, (uint32_t)q->gen.number, s->verdict.audit_rule);

	pol_buf_printf(out, "  %-8s ", dir == POL_EGRESS ? "egress" : "ingress");
	if (!s->judged) {
		pol_buf_addz(out, "no endpoint here, not judged\n");
		return;
	}
	pol_buf_printf(out, "%-7s ", action_of(s));
	if (r)
		pol_buf_printf(out, "%s:%u  %s", prt_safe(r->file.p), r->line, prt_safe(r->text.p));
	else
		pol_buf_addz(out, reasons[s->reason].meaning);
	pol_buf_addz(out, s->reason && s->audited ? "  (audit: told, and let pass)\n" : "\n");
	if (s->verdict.nlimits)
		pol_buf_printf(out, "           within %u limit%s\n", s->verdict.nlimits,
			       s->verdict.nlimits == 1 ? "" : "s");
	if (audit)
		pol_buf_printf(out, "           audit   %s:%u  would deny: %s\n",
			       prt_safe(audit->file.p), audit->line, prt_safe(audit->text.p));
	if (a->request && s->verdict.nhttp && !a->fault)
		line_text(out, q, &a->line[dir]);
}

static void flow_words(struct pol_buf *out, const struct asked *q, const struct answer *a)
{
	const char *name = NULL;
	char room[8];

	pol_buf_addz(out, "from ");
	prt_show_end(out, &q->book, &a->f.src, 0, false);
	pol_buf_addz(out, " to ");
	prt_show_end(out, &q->book, &a->f.dst, 0, false);
	pol_buf_printf(out, " on %s", prt_show_proto(a->f.proto, room));
	if (a->f.proto == IPPROTO_ICMP || a->f.proto == IPPROTO_ICMPV6)
		name = pol_icmp_type_name(a->f.proto, (uint8_t)a->f.port);
	if (name)
		pol_buf_printf(out, " %s", name);
	else if (q->q->has_port)
		pol_buf_printf(out, " %u", a->f.port);
	if (a->request) {
		pol_buf_addc(out, ' ');
		prt_show_word(out, q->q->method);
		pol_buf_addc(out, ' ');
		pol_buf_json(out, q->q->path);
	}
}

static void answer_text(struct pol_buf *out, const struct asked *q, const struct answer *a)
{
	pol_buf_printf(out, "%s: ", verdict_of(a));
	flow_words(out, q, a);
	pol_buf_addc(out, '\n');
	if (a->nobody) {
		pol_buf_addz(out, "  neither end lives on this host, so nobody here is asked\n");
		return;
	}
	side_text(out, q, a, POL_EGRESS);
	side_text(out, q, a, POL_INGRESS);
	if (a->fault)
		pol_buf_printf(out, "  http     refuse  %s\n", a->fault);
	else if (a->http && !a->request && !a->w.reason)
		pol_buf_addz(
			out,
			"  http     each request is judged: add METHOD \"PATH\" to ask about one\n");
}

static void side_json(struct pol_buf *out, const struct asked *q, const struct answer *a, int dir)
{
	const struct prt_why_side *s = &a->w.side[dir];
	const struct prt_member *m = prt_book_ep(&q->book, s->ep);
	const struct pol_http_verdict *v = &a->line[dir];

	prt_show_key(out, false, dir == POL_EGRESS ? "egress" : "ingress");
	if (!s->judged) {
		pol_buf_addz(out, "null");
		return;
	}
	pol_buf_printf(out, "{\"action\": \"%s\", \"reason\": \"%s\", \"audited\": %s",
		       action_of(s), reasons[s->reason].name,
		       s->reason && s->audited ? "true" : "false");
	if (m) {
		prt_show_key(out, false, "endpoint");
		prt_show_json(out, m->info.name);
	}
	if (s->verdict.rule != POL_NO_RULE) {
		pol_buf_printf(out, ", \"rule\": {\"rule\": %u", s->verdict.rule);
		prt_show_rule_json(out, prt_book_rule(&q->book, (uint32_t)q->gen.number,
						      s->verdict.rule));
		pol_buf_addc(out, '}');
	}
	if (s->verdict.audit_rule != POL_NO_RULE)
		pol_buf_printf(out, ", \"audit_rule\": %u", s->verdict.audit_rule);
	pol_buf_printf(out, ", \"limits\": %u, \"http\": %s", s->verdict.nlimits,
		       s->verdict.nhttp ? "true" : "false");
	if (a->request && s->verdict.nhttp) {
		pol_buf_printf(out, ", \"request\": {\"action\": \"%s\"",
			       v->allow ? "allow" : "deny");
		if (v->line != POL_HTTP_NO_LINE) {
			const struct pol_http_line_info *l = &q->http.view.lines[v->line];

			prt_show_member(out, "file", pol_http_string(&q->http.view, l->file));
			pol_buf_printf(out, ", \"line\": %u", l->line);
			prt_show_member(out, "text", pol_http_string(&q->http.view, l->source));
		}
		pol_buf_addc(out, '}');
	}
	pol_buf_addc(out, '}');
}

static void answer_json(struct pol_buf *out, const struct asked *q, const struct answer *a)
{
	struct pol_buf flow = { 0 };
	char room[8];

	flow_words(&flow, q, a);
	pol_buf_printf(
		out,
		"{\"verdict\": \"%s\", \"reason\": \"%s\", \"judged\": %s, \"protocol\": \"%s\", \"flow\": ",
		verdict_of(a), reasons[a->w.reason].name, a->nobody ? "false" : "true",
		prt_show_proto(a->f.proto, room));
	pol_buf_json(out, pol_buf_str(&flow));
	pol_buf_free(&flow);
	prt_show_end_json(out, "from", &q->book, &a->f.src, 0);
	prt_show_end_json(out, "to", &q->book, &a->f.dst, a->f.port);
	side_json(out, q, a, POL_EGRESS);
	side_json(out, q, a, POL_INGRESS);
	if (a->fault)
		prt_show_member(out, "refused", pol_str(a->fault));
	pol_buf_addz(out, "}\n");
}

/* ---- asking ------------------------------------------------------------------------------------- */

static int open_maps(const struct prt_env *env, struct asked *q, struct pol_err *e)
{
	int r = prt_book_open(env, &q->book, e);

	r = r ? r : prt_gen_open(env, q->book.l.gen.number, true, &q->gen, e);
	if (r == -ENOENT && !e->text[0])
		r = pol_err(e, -EAGAIN, "another policy was applied just now; ask again");
	return r ? r : open_http(q, e);
}

static int ask(struct asked *q, struct answer *a, struct pol_err *e)
{
	int r = prt_query_check(q->q, &q->book, e);

	r = r ? r : resolve(q, &a->f, e);
	r = r ? r : prt_why_judge(&q->gen, q->book.object, &a->f, &a->w, e);
	a->nobody = r == -ENOENT && !e->text[0];
	if (r)
		return a->nobody ? 0 : r;
	for (int d = 0; d < POL_DIRECTIONS; d++)
		a->http |=
			a->w.side[d].judged && !a->w.side[d].audited && a->w.side[d].verdict.nhttp;
	a->request = q->q->method.n;
	for (int d = 0; d < POL_DIRECTIONS && a->request && a->http; d++)
		if (a->w.side[d].judged && a->w.side[d].verdict.nhttp)
			a->line[d] = judge_request(q, &a->w.side[d].verdict);
	if (a->request && a->http)
		a->fault = pol_http_path_fault(q->q->path);
	return 0;
}

int prt_show_why(const struct prt_env *env, const struct prt_query *query, bool *allow,
		 struct pol_buf *out, struct pol_err *e)
{
	struct asked q = { .q = query };
	struct answer a = { 0 };
	int r;

	prt_book_init(&q.book);
	prt_gen_init(&q.gen);
	r = open_maps(env, &q, e);
	r = r ? r : ask(&q, &a, e);
	if (!r && env->json)
		answer_json(out, &q, &a);
	else if (!r)
		answer_text(out, &q, &a);
	*allow = !r && allowed(&a);
	if (q.http.image)
		munmap(q.http.image, q.http.size);
	prt_gen_close(&q.gen);
	prt_book_close(&q.book);
	return r;
}
