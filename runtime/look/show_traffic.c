/* SPDX-License-Identifier: GPL-2.0-only */
/* What counts: rules and flows. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "query.h"
#include "runtime/generation/flows.h"
#include "show.h"

/* ---- rules ----------------------------------------------------------------------------- */

/* Counters of all processors together; last_ns: the latest of them. */
static void hits_of(const struct prt_gen *g, uint32_t rule, struct pol_rule_hits *v, int cpus,
		    struct pol_rule_hits *out)
{
	*out = (struct pol_rule_hits){ 0 };
	if (bpf_map_lookup_elem(g->fd[PRT_GEN_RULE_HITS], &rule, v))
		return;
	for (int c = 0; c < cpus; c++) {
		out->packets += v[c].packets;
		out->bytes += v[c].bytes;
		out->connections += v[c].connections;
		if (v[c].last_ns > out->last_ns)
			out->last_ns = v[c].last_ns;
	}
}

int prt_show_hits(const struct prt_gen *g, size_t n, struct pol_rule_hits *out, struct pol_err *e)
{
	int cpus;
	struct pol_rule_hits *v POL_CLEANUP(pol_cleanup_free) = prt_show_room(sizeof(*v), &cpus, e);

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		hits_of(g, i, v, cpus, &out[i]);
	return 0;
}

/* "12s ago", or "never" */
static void ago(struct pol_buf *out, uint64_t last_ns)
{
	uint64_t now = prt_env_now_ns(), s = now > last_ns ? (now - last_ns) / 1000000000u : 0;

	if (!last_ns)
		pol_buf_addz(out, "   never");
	else if (s < 120)
		pol_buf_printf(out, "%3" PRIu64 "s ago", s);
	else if (s < 7200)
		pol_buf_printf(out, "%3" PRIu64 "m ago", s / 60);
	else if (s < 172800)
		pol_buf_printf(out, "%3" PRIu64 "h ago", s / 3600);
	else
		pol_buf_printf(out, "%3" PRIu64 "d ago", s / 86400);
}

static void rule_text(struct pol_buf *out, const struct prt_rule *r, const struct pol_rule_hits *h)
{
	pol_buf_printf(out, "%12" PRIu64 " %14" PRIu64 " %12" PRIu64 " ", (uint64_t)h->packets,
		       (uint64_t)h->bytes, (uint64_t)h->connections);
	ago(out, h->last_ns);
	pol_buf_printf(out, "  %s:%u  %s%s", prt_safe(r->file.p), r->line, prt_safe(r->text.p),
		       r->audit ? " (audit)" : "");
	if (r->implicit.n)
		pol_buf_printf(out, " (%s)", prt_safe(r->implicit.p));
	pol_buf_addc(out, '\n');
}

static void rule_json(struct pol_buf *out, uint32_t id, const struct prt_rule *r,
		      const struct pol_rule_hits *h)
{
	pol_buf_printf(out, "{\"rule\": %u", id);
	prt_show_rule_json(out, r);
	pol_buf_printf(out,
		       ", \"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
		       ", \"connections\": %" PRIu64,
		       (uint64_t)h->packets, (uint64_t)h->bytes, (uint64_t)h->connections);
	if (h->last_ns) {
		pol_buf_addz(out, ", \"last\": \"");
		prt_show_clock(out, h->last_ns, true);
		pol_buf_addc(out, '"');
	}
	pol_buf_addc(out, '}');
}

/*
 * Of what somebody wrote: "closed" and "default" are nobody's to remove.  Rules of an audit policy
 * decide nothing, so they never have hits.
 */
static bool unused(const struct prt_rule *r, const struct pol_rule_hits *h)
{
	return !h->packets && !r->audit && !r->implicit.n;
}

int prt_show_rules(struct prt_env *env, bool only_unused, struct pol_buf *out, struct pol_err *e)
{
	struct pol_rule_hits *hits POL_CLEANUP(pol_cleanup_free) = NULL;
	const struct prt_rules *rules = NULL;
	struct prt_book b;
	bool first = true;
	int r;

	prt_book_init(&b);
	r = prt_book_open(env, &b, e);
	if (!r) {
		rules = &prt_book_gen(&b, (uint32_t)b.l.gen.number)->rules;
		hits = calloc(rules->n + 1, sizeof(*hits));
		r = hits ? prt_show_hits(&b.l.gen, rules->n, hits, e)
			 : pol_err(e, -ENOMEM, "no memory");
	}
	if (!r && env->json)
		pol_buf_addc(out, '[');
	else if (!r)
		pol_buf_printf(out, "%12s %14s %12s %8s  %s\n", "packets", "bytes", "connections",
			       "last", "rule");
	for (uint32_t i = 0; !r && i < rules->n; i++) {
		if (only_unused && !unused(&rules->v[i], &hits[i]))
			continue;
		if (env->json) {
			pol_buf_addz(out, first ? "" : ",\n ");
			rule_json(out, i, &rules->v[i], &hits[i]);
		} else {
			rule_text(out, &rules->v[i], &hits[i]);
		}
		first = false;
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	prt_book_close(&b);
	return r;
}

/* ---- flows -------------------------------------------------------------------------------- */

struct prt_ends prt_show_ends(const struct pol_ct_entry *f)
{
	int from = f->flags & POL_CT_FLIPPED ? 1 : 0;

	return (struct prt_ends){ &f->addr[from], &f->addr[!from], ntohs(f->port_be[from]),
				  ntohs(f->port_be[!from]) };
}

static const char *by_proxy(const struct pol_ct_entry *f)
{
	return f->proto != IPPROTO_TCP        ? NULL
	       : f->icmp_type & POL_CT_PROXY  ? "client"
	       : f->icmp_type & POL_CT_ONWARD ? "server"
					      : NULL;
}

static void flow_text(struct pol_buf *out, const struct prt_book *b, const struct pol_ct_entry *f,
		      uint32_t now)
{
	bool ports = prt_show_has_ports(f->proto);
	struct prt_ends end = prt_show_ends(f);
	char room[8];

	pol_buf_printf(out, "%-7s %-12s ", prt_show_proto(f->proto, room),
		       prt_flow_state_name(f->state));
	prt_show_end(out, b, end.src, end.sport, ports);
	pol_buf_addz(out, " -> ");
	prt_show_end(out, b, end.dst, end.dport, ports);
	for (int d = 0; d < POL_DIRECTIONS; d++) {
		if (f->rule[d] == POL_NO_RULE)
			continue;
		pol_buf_addz(out, d == POL_INGRESS ? "  in by " : "  out by ");
		prt_show_place(out, prt_book_rule(b, f->gen, f->rule[d]));
	}
	if (by_proxy(f))
		pol_buf_printf(out, "  (proxy's %s)", by_proxy(f));
	pol_buf_printf(out, "  %us ago%s\n", now > f->seen ? now - f->seen : 0,
		       f->gen == (uint32_t)b->l.gen.number ? "" : " (to be judged again)");
}

static void flow_json(struct pol_buf *out, const struct prt_book *b, const struct pol_ct_entry *f,
		      uint32_t now)
{
	static const char *const by[POL_DIRECTIONS] = {
		[POL_INGRESS] = "ingress_rule", [POL_EGRESS] = "egress_rule"
	};
	struct prt_ends end = prt_show_ends(f);
	char room[8];

	pol_buf_printf(out, "{\"protocol\": \"%s\", \"state\": \"%s\"",
		       prt_show_proto(f->proto, room), prt_flow_state_name(f->state));
	prt_show_end_json(out, "from", b, end.src, end.sport);
	prt_show_end_json(out, "to", b, end.dst, end.dport);
	for (int d = 0; d < POL_DIRECTIONS; d++) {
		if (f->rule[d] == POL_NO_RULE)
			continue;
		prt_show_key(out, false, by[d]);
		pol_buf_printf(out, "{\"rule\": %u", f->rule[d]);
		prt_show_rule_json(out, prt_book_rule(b, f->gen, f->rule[d]));
		pol_buf_addc(out, '}');
	}
	if (by_proxy(f))
		pol_buf_printf(out, ", \"proxy\": \"%s\"", by_proxy(f));
	pol_buf_printf(out, ", \"seconds\": %u, \"generation\": %u}",
		       now > f->seen ? now - f->seen : 0, f->gen);
}

static bool flow_wanted(const struct prt_query *filter, const struct prt_book *b,
			const struct pol_ct_entry *f)
{
	struct prt_ends end = prt_show_ends(f);
	const struct prt_seen seen = {
		.see = PRT_SEE_NEW,
		.src = end.src,
		.dst = end.dst,
		.proto = f->proto,
		.port = end.dport,
		.rule = prt_book_rule(b, f->gen, f->rule[POL_INGRESS]),
		.other = prt_book_rule(b, f->gen, f->rule[POL_EGRESS]),
	};

	return prt_query_match(filter, b, &seen);
}

int prt_show_flows(struct prt_env *env, const struct prt_query *filter, struct pol_buf *out,
		   struct pol_err *e)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u);
	prt_flows flows = { 0 };
	struct prt_book b;
	bool first = true;
	int r;

	prt_book_init(&b);
	r = prt_book_open(env, &b, e);
	r = r ? r : prt_query_check(filter, &b, e);
	r = r ? r : prt_flows_read(&b.l.shared, &flows, e);
	if (!r && env->json)
		pol_buf_addc(out, '[');
	for (size_t i = 0; !r && i < flows.n; i++) {
		if (!flow_wanted(filter, &b, &flows.v[i]))
			continue;
		if (env->json) {
			pol_buf_addz(out, first ? "" : ",\n ");
			flow_json(out, &b, &flows.v[i], now);
		} else {
			flow_text(out, &b, &flows.v[i], now);
		}
		first = false;
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	pol_vec_free(&flows);
	prt_book_close(&b);
	return r;
}
