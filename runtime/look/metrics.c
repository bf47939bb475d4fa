/* SPDX-License-Identifier: GPL-2.0-only */
#include "metrics.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "runtime/generation/flows.h"
#include "runtime/change/proxy.h"
#include "watch.h"

#ifndef POLC_VERSION
#define POLC_VERSION "0.0"
#endif

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = n,
static const char *const reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME

/* ---- the policy ----------------------------------------------------------------------------- */

static void policy(const struct prt_book *b, struct prt_samples *s)
{
	const struct prt_gen_info *i = &b->l.gen.info;
	size_t here = 0;

	prt_family(s, "polc_policy", "info", NULL, "The policy in force.");
	prt_label(s, "policy", i->policy);
	prt_label(s, "object", i->object);
	prt_label(s, "version", POLC_VERSION);
	prt_sample(s, 1);
	prt_gauge(s, "polc_generation", "Number of the generation in force.", b->l.gen.number);
	prt_family(s, "polc_applied_timestamp_seconds", "gauge", "seconds", "When it was applied.");
	prt_sample(s, i->applied);
	prt_gauge(s, "polc_audit_mode", "1: nothing is dropped by policy, only told.",
		  !!(i->flags & PRT_GEN_AUDIT));
	for (size_t k = 0; k < b->l.world.member.n; k++)
		here += !!b->l.world.member.v[k].info.ifindex;
	prt_family(s, "polc_endpoints", "gauge", NULL, "Endpoints, here and on other hosts.");
	prt_label(s, "where", "here");
	prt_sample(s, here);
	prt_label(s, "where", "elsewhere");
	prt_sample(s, b->l.world.member.n - here);
}

static void rule_labels(struct prt_samples *s, uint32_t id, const struct prt_rule *r)
{
	prt_label_number(s, "rule", id);
	prt_label(s, "file", r->file.p);
	prt_label_number(s, "line", r->line);
	prt_label(s, "policy", r->policy.p);
	prt_label(s, "direction", r->direction.p);
	prt_label(s, "action", r->action.p);
}

struct counter {
	const char *name, *unit, *help;
	uint64_t (*of)(const struct pol_rule_hits *h);
};

static uint64_t packets(const struct pol_rule_hits *h)
{
	return h->packets;
}

static uint64_t bytes(const struct pol_rule_hits *h)
{
	return h->bytes;
}

static uint64_t connections(const struct pol_rule_hits *h)
{
	return h->connections;
}

static int rules(const struct prt_book *b, struct prt_samples *s, struct pol_err *e)
{
	static const struct counter counters[] = {
		{ "polc_rule_packets", NULL, "Packets that the rule decided, those it dropped too.",
		  packets },
		{ "polc_rule_bytes", "bytes", "Their bytes.", bytes },
		{ "polc_rule_connections", NULL, "New connections that the rule let through.",
		  connections },
	};
	const struct prt_rules *rs = &prt_book_gen(b, (uint32_t)b->l.gen.number)->rules;
	struct pol_rule_hits *h POL_CLEANUP(pol_cleanup_free) = calloc(rs->n + 1, sizeof(*h));
	int r = h ? prt_show_hits(&b->l.gen, rs->n, h, e) : pol_err(e, -ENOMEM, "no memory");
	uint64_t now = prt_env_now_ns();

	for (size_t c = 0; c < POL_ARRAY_LEN(counters) && !r; c++) {
		prt_family(s, counters[c].name, "counter", counters[c].unit, counters[c].help);
		for (uint32_t i = 0; i < rs->n; i++) {
			rule_labels(s, i, &rs->v[i]);
			prt_sample(s, counters[c].of(&h[i]));
		}
	}
	if (r)
		return r;
	prt_family(s, "polc_rule_idle_seconds", "gauge", "seconds",
		   "Since the last packet; none: there was none.");
	for (uint32_t i = 0; i < rs->n; i++) {
		if (!h[i].last_ns)
			continue;
		rule_labels(s, i, &rs->v[i]);
		prt_sample(s, now > h[i].last_ns ? (now - h[i].last_ns) / 1000000000u : 0);
	}
	return 0;
}

/* ---- traffic ----------------------------------------------------------------------------------- */

static void drops(const struct prt_book *b, struct prt_samples *s)
{
	static const char *const name[] = { "polc_drops_packets", "polc_drops_bytes" };

	for (size_t n = 0; n < 2; n++) {
		prt_family(s, name[n], "counter", n ? "bytes" : NULL,
			   n ? "Bytes dropped, by reason." : "Packets dropped, by reason.");
		for (uint32_t i = 1; i < POL_REASON_MAX; i++) {
			uint64_t v[2];

			if (prt_show_percpu(b->l.shared.map[PRT_SHARED_DROPS], i, 2, v))
				continue;
			prt_label(s, "reason", reasons[i]);
			prt_sample(s, v[n]);
		}
	}
}

static int flows(const struct prt_book *b, struct prt_samples *s, struct pol_err *e)
{
	uint64_t n[POL_CT_STATE_MAX] = { 0 };
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	prt_flows v = { 0 };
	int r = prt_flows_read(&b->l.shared, &v, e);

	for (size_t i = 0; i < v.n; i++)
		n[v.v[i].state]++;
	pol_vec_free(&v);
	if (r)
		return r;
	prt_family(s, "polc_flows", "gauge", NULL, "Live connections, by state.");
	for (unsigned state = POL_CT_FREE + 1; state < POL_CT_STATE_MAX; state++) {
		prt_label(s, "state", prt_flow_state_name((uint8_t)state));
		prt_sample(s, n[state]);
	}
	if (b->l.shared.map[PRT_SHARED_CT] >= 0 &&
	    !bpf_obj_get_info_by_fd(b->l.shared.map[PRT_SHARED_CT], &info, &len))
		prt_gauge(s, "polc_flows_room", "Connections for which there is room.",
			  (uint64_t)info.max_entries * POL_CT_WAYS);
	return 0;
}

static void audited(const struct prt_book *b, struct prt_samples *s)
{
	struct pol_audit_key k, *at = NULL;
	struct pol_audit_seen seen;
	uint64_t n = 0, lost = 0;
	int fd = b->l.gen.fd[PRT_GEN_AUDITED];

	while (!bpf_map_get_next_key(fd, at, &k)) {
		at = &k;
		if (!bpf_map_lookup_elem(fd, &k, &seen))
			n += seen.flows;
	}
	prt_show_percpu(b->l.gen.fd[PRT_GEN_AUDIT_LOST], 0, 1, &lost);
	prt_family(s, "polc_audited", "counter", NULL,
		   "Sides of flows that audit would have denied.");
	prt_sample(s, n + lost);
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* A number of the proxy's JSON, which is flat and our own. */
static uint64_t counted(const char *json, const char *key)
{
	char word[40];
	const char *at;

	snprintf(word, sizeof(word), "\"%s\":", key);
	at = strstr(json, word);
	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void requests(const struct prt_env *env, const struct prt_book *b, struct prt_samples *s)
{
	static const struct {
		const char *key, *verdict;
	} of[] = {
		{ "allowed", "allow" },
		{ "denied", "deny" },
		{ "refused", "refuse" },
		{ "failed", "fail" },
	};
	char text[POL_PROXY_TEXT] = "";
	struct pol_err why = { 0 };
	struct prt_proxy p;
	bool up;

	if (!prt_gen_uses_http(&b->l.gen))
		return;
	prt_proxy_init(&p);
	up = !prt_proxy_open(env, false, NULL, &p, &why) && !prt_proxy_status(&p, text, &why) &&
	     prt_proxy_knows(&p, b->l.gen.number);
	prt_proxy_close(&p);
	prt_gauge(s, "polc_proxy_up", "1: the proxy answers and knows the policy.", up);
	if (!text[0])
		return;
	prt_family(s, "polc_proxy_requests", "counter", NULL, "HTTP requests, by verdict.");
	for (size_t i = 0; i < POL_ARRAY_LEN(of); i++) {
		prt_label(s, "verdict", of[i].verdict);
		prt_sample(s, counted(text, of[i].key));
	}
	prt_family(s, "polc_proxy_connections", "counter", NULL,
		   "Connections that the proxy took.");
	prt_sample(s, counted(text, "connections"));
	prt_gauge(s, "polc_proxy_open", "Connections of the proxy that are open.",
		  counted(text, "open"));
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

/* What `status` finds missing makes its exit code 1. */
static int whole(struct prt_env *env, struct prt_samples *s, struct pol_err *e)
{
	struct pol_buf text = { 0 };
	bool is = false;
	int r = prt_show_status(env, &text, &is, e);

	pol_buf_free(&text);
	if (!r)
		prt_gauge(s, "polc_whole",
			  "1: everything that should be in place is; see polload status.", is);
	return r;
}

static int follow(struct prt_env *env, struct prt_metrics *m, struct pol_err *e)
{
	int r;

	if (m->open) {
		r = prt_book_sync(&m->book, e);
		return r > 0 ? 0 : r;
	}
	prt_book_init(&m->book);
	r = prt_book_open(env, &m->book, e);
	m->open = !r;
	if (r)
		prt_book_close(&m->book);
	return r;
}

void prt_metrics_close(struct prt_metrics *m)
{
	if (m->open)
		prt_book_close(&m->book);
	m->open = false;
}

static int fill(struct prt_env *env, const struct prt_book *b, struct prt_samples *s,
		struct pol_err *e)
{
	int r;

	prt_gauge(s, "polc_in_force", "1: a policy is in force.", 1);
	policy(b, s);
	r = whole(env, s, e);
	drops(b, s);
	audited(b, s);
	r = r ? r : rules(b, s, e);
	r = r ? r : flows(b, s, e);
	prt_gauge(s, "polc_event_readers", "Who reads events: monitor, top.",
		  prt_watch_count(env, &b->l.shared));
	requests(env, b, s);
	return r ? r : prt_metrics_services(env, s, e);
}

int prt_metrics(struct prt_env *env, struct prt_metrics *m, struct pol_buf *out, bool *in_force,
		struct pol_err *e)
{
	int r = follow(env, m, e);
	struct prt_samples s;

	prt_samples_begin(&s, out, env->json);
	r = r ? r : fill(env, &m->book, &s, e);
	*in_force = !r;
	if (r == -ENOENT) {
		prt_metrics_close(m); /* what is pinned later are other maps */
		*e = (struct pol_err){ 0 };
		out->n = 0;
		prt_samples_begin(&s, out, env->json);
		prt_gauge(&s, "polc_in_force", "1: a policy is in force.", 0);
		r = 0;
	}
	prt_samples_end(&s);
	return r;
}
