/* SPDX-License-Identifier: GPL-2.0-only */
/* What counts: rules and flows. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "flows.h"
#include "show.h"
#include "store.h"

/* The rules of the object in force; without it only numbers can be said. */
static int rules_in_force(const struct prt_env *env, const struct prt_live *l,
			  struct prt_rules *out, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	int r = prt_store_get(env, l->gen.number, &o, e);

	return r ? r : prt_rules_parse(o, out, e);
}

/* ---- rules ----------------------------------------------------------------------------- */

static void rule_text(struct pol_buf *out, const struct prt_rule *r, const struct pol_rule_hits *h)
{
	pol_buf_printf(out, "%12" PRIu64 " %14" PRIu64 " %12" PRIu64 "  %s:%u  %s%s", (uint64_t)h->packets,
		       (uint64_t)h->bytes, (uint64_t)h->connections, prt_safe(r->file.p), r->line,
		       prt_safe(r->text.p), r->audit ? " (audit)" : "");
	if (r->implicit.n)
		pol_buf_printf(out, " (%s)", prt_safe(r->implicit.p));
	pol_buf_addc(out, '\n');
}

static void string_member(struct pol_buf *out, const char *key, struct pol_str s)
{
	if (!s.n)
		return;
	prt_show_key(out, false, key);
	pol_buf_json(out, s);
}

static void rule_json(struct pol_buf *out, uint32_t id, const struct prt_rule *r,
		      const struct pol_rule_hits *h)
{
	pol_buf_printf(out, "{\"rule\": %u", id);
	string_member(out, "file", r->file);
	pol_buf_printf(out, ", \"line\": %u", r->line);
	string_member(out, "policy", r->policy);
	string_member(out, "name", r->name);
	string_member(out, "direction", r->direction);
	string_member(out, "action", r->action);
	string_member(out, "tier", r->tier);
	string_member(out, "implicit", r->implicit);
	string_member(out, "text", r->text);
	pol_buf_printf(out, ", \"audit\": %s, \"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
		       ", \"connections\": %" PRIu64 "}", r->audit ? "true" : "false",
		       (uint64_t)h->packets, (uint64_t)h->bytes, (uint64_t)h->connections);
}

int prt_show_rules(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	struct prt_rules rules = { 0 };
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_SHARED, &l, e);
	r = r ? r : rules_in_force(env, &l, &rules, e);
	if (!r && env->json)
		pol_buf_addc(out, '[');
	else if (!r)
		pol_buf_printf(out, "%12s %14s %12s  %s\n", "packets", "bytes", "connections", "rule");
	for (uint32_t i = 0; !r && i < rules.n; i++) {
		/* last_ns is not a sum, so it is not shown. */
		uint64_t sum[4] = { 0 };
		struct pol_rule_hits h;

		prt_show_percpu(l.gen.fd[PRT_GEN_RULE_HITS], i, 4, sum);
		h = (struct pol_rule_hits){ .packets = sum[0], .bytes = sum[1],
					    .connections = sum[2] };
		if (env->json) {
			pol_buf_addz(out, i ? ",\n " : "");
			rule_json(out, i, &rules.v[i], &h);
		} else {
			rule_text(out, &rules.v[i], &h);
		}
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	prt_rules_free(&rules);
	prt_live_close(&l);
	return r;
}

/* ---- flows -------------------------------------------------------------------------------- */

/* An end of a flow, the originator being side 0. */
struct end {
	const struct pol_addr *addr;
	uint16_t port;
	const struct prt_member *owner;
};

static void ends_of(const struct prt_live *l, const struct pol_ct_entry *f, struct end end[2])
{
	for (int i = 0; i < 2; i++) {
		int at = f->flags & POL_CT_FLIPPED ? !i : i;

		end[i] = (struct end){ &f->addr[at], ntohs(f->port_be[at]),
				       prt_live_owner(l, &f->addr[at]) };
	}
}

static void end_text(struct pol_buf *out, const struct end *e, bool ports)
{
	bool v6 = prt_ip_of_addr(e->addr).family == 6;

	pol_buf_addz(out, v6 && ports ? "[" : "");
	prt_show_addr(out, e->addr);
	pol_buf_addz(out, v6 && ports ? "]" : "");
	if (ports)
		pol_buf_printf(out, ":%u", e->port);
	if (e->owner)
		pol_buf_printf(out, " (%s)", prt_safe(e->owner->info.name));
}

static void end_json(struct pol_buf *out, const char *key, const struct end *e)
{
	prt_show_key(out, false, key);
	pol_buf_addz(out, "{\"address\": \"");
	prt_show_addr(out, e->addr);
	pol_buf_printf(out, "\", \"port\": %u", e->port);
	if (e->owner) {
		prt_show_key(out, false, "endpoint");
		prt_show_json(out, e->owner->info.name);
	}
	pol_buf_addc(out, '}');
}

static void flow_text(struct pol_buf *out, const struct prt_live *l, const struct prt_rules *rules,
		      const struct pol_ct_entry *f, uint32_t now)
{
	bool ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_SCTP;
	struct end end[2];
	char room[8];

	ends_of(l, f, end);
	pol_buf_printf(out, "%-7s %-12s ", prt_show_proto(f->proto, room),
		       prt_flow_state_name(f->state));
	end_text(out, &end[0], ports);
	pol_buf_addz(out, " -> ");
	end_text(out, &end[1], ports);
	for (int d = 0; d < POL_DIRECTIONS; d++) {
		if (f->rule[d] == POL_NO_RULE)
			continue;
		pol_buf_addz(out, d == POL_INGRESS ? "  in by " : "  out by ");
		prt_show_rule_place(out, rules, f->rule[d]);
	}
	pol_buf_printf(out, "  %us ago%s\n", now > f->seen ? now - f->seen : 0,
		       f->gen == (uint32_t)l->gen.number ? "" : " (to be judged again)");
}

static void flow_json(struct pol_buf *out, const struct prt_live *l, const struct prt_rules *rules,
		      const struct pol_ct_entry *f, uint32_t now)
{
	static const char *const by[POL_DIRECTIONS] = { [POL_INGRESS] = "ingress_rule",
							[POL_EGRESS] = "egress_rule" };
	struct end end[2];
	char room[8];

	ends_of(l, f, end);
	pol_buf_printf(out, "{\"protocol\": \"%s\", \"state\": \"%s\"", prt_show_proto(f->proto, room),
		       prt_flow_state_name(f->state));
	end_json(out, "from", &end[0]);
	end_json(out, "to", &end[1]);
	for (int d = 0; d < POL_DIRECTIONS; d++) {
		const struct prt_rule *r = prt_rules_get(rules, f->rule[d]);

		if (f->rule[d] == POL_NO_RULE)
			continue;
		prt_show_key(out, false, by[d]);
		pol_buf_printf(out, "{\"rule\": %u", f->rule[d]);
		if (r) {
			string_member(out, "file", r->file);
			pol_buf_printf(out, ", \"line\": %u", r->line);
		}
		pol_buf_addc(out, '}');
	}
	pol_buf_printf(out, ", \"seconds\": %u, \"generation\": %u}",
		       now > f->seen ? now - f->seen : 0, f->gen);
}

int prt_show_flows(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u);
	struct prt_rules rules = { 0 };
	prt_flows flows = { 0 };
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_SHARED, &l, e);
	r = r ? r : rules_in_force(env, &l, &rules, e);
	r = r ? r : prt_flows_read(&l.shared, &flows, e);
	if (!r && env->json)
		pol_buf_addc(out, '[');
	for (size_t i = 0; !r && i < flows.n; i++) {
		if (env->json) {
			pol_buf_addz(out, i ? ",\n " : "");
			flow_json(out, &l, &rules, &flows.v[i], now);
		} else {
			flow_text(out, &l, &rules, &flows.v[i], now);
		}
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	pol_vec_free(&flows);
	prt_rules_free(&rules);
	prt_live_close(&l);
	return r;
}
