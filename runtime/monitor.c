/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events from the ring buffer, one line each.  The lock is given back before
 * the first one: watching must not keep an apply waiting.  Names are those of the
 * moment at which watching began.
 */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "show.h"
#include "store.h"

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = n,
static const char *const reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME

struct watch {
	const struct prt_env *env;
	struct prt_live l;
	struct prt_rules rules;
	prt_emit_fn emit;
	void *ctx;
	struct pol_buf line;
	bool done;
};

static const char *kind(uint8_t k)
{
	return k == POL_EVENT_NEW ? "new" : k == POL_EVENT_DROP ? "drop" :
	       k == POL_EVENT_AUDIT ? "audit" : "?";
}

static const char *reason(uint8_t r)
{
	return r < POL_REASON_MAX ? reasons[r] : "?";
}

static void end_text(struct watch *w, const struct pol_addr *a, uint16_t port)
{
	const struct prt_member *m = prt_live_owner(&w->l, a);

	prt_show_addr(&w->line, a);
	if (port)
		pol_buf_printf(&w->line, " %u", port);
	if (m)
		pol_buf_printf(&w->line, " (%s)", prt_safe(m->info.name));
}

static void event_text(struct watch *w, const struct pol_event *v)
{
	char room[8], ifname[PRT_IFNAME];

	pol_buf_printf(&w->line, "%" PRIu64 ".%06" PRIu64 " %-5s %s ", (uint64_t)v->time_ns / 1000000000u,
		       (uint64_t)v->time_ns / 1000 % 1000000, kind(v->kind), prt_show_proto(v->proto, room));
	end_text(w, &v->src, ntohs(v->sport_be));
	pol_buf_addz(&w->line, " -> ");
	end_text(w, &v->dst, ntohs(v->dport_be));
	pol_buf_printf(&w->line, " len %u dev %s", v->length,
		       prt_safe(prt_show_ifname(v->ifindex, ifname)));
	if (v->kind == POL_EVENT_DROP)
		pol_buf_printf(&w->line, " reason %s", reason(v->reason));
	if (v->rule != POL_NO_RULE) {
		pol_buf_addz(&w->line, " by ");
		prt_show_rule_place(&w->line, &w->rules, v->rule);
	}
	pol_buf_addc(&w->line, '\n');
}

static void event_json(struct watch *w, const struct pol_event *v)
{
	struct pol_buf *b = &w->line;
	char room[8], ifname[PRT_IFNAME];

	pol_buf_printf(b, "{\"time_ns\": %" PRIu64 ", \"event\": \"%s\", \"protocol\": \"%s\"",
		       (uint64_t)v->time_ns, kind(v->kind), prt_show_proto(v->proto, room));
	pol_buf_addz(b, ", \"from\": \"");
	prt_show_addr(b, &v->src);
	pol_buf_printf(b, "\", \"sport\": %u, \"to\": \"", ntohs(v->sport_be));
	prt_show_addr(b, &v->dst);
	pol_buf_printf(b, "\", \"dport\": %u, \"length\": %u, \"reason\": \"%s\", \"generation\": %u",
		       ntohs(v->dport_be), v->length, reason(v->reason), v->gen);
	if (v->rule != POL_NO_RULE)
		pol_buf_printf(b, ", \"rule\": %u", v->rule);
	prt_show_key(b, false, "interface");
	prt_show_json(b, prt_show_ifname(v->ifindex, ifname));
	pol_buf_addz(b, "}\n");
}

static int take(void *ctx, void *data, size_t size)
{
	struct watch *w = ctx;
	struct pol_event v;

	if (size < sizeof(v) || w->done)
		return 0;
	memcpy(&v, data, sizeof(v));
	w->line.n = 0;
	if (w->env->json)
		event_json(w, &v);
	else
		event_text(w, &v);
	w->done = !w->emit(w->ctx, pol_buf_str(&w->line));
	return 0;
}

static int open_watch(struct prt_env *env, struct watch *w, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	int r = prt_live_open(env, PRT_LOCK_SHARED, &w->l, e);

	r = r ? r : prt_store_get(env, w->l.gen.number, &o, e);
	r = r ? r : prt_rules_parse(o, &w->rules, e);
	if (!r && w->l.shared.map[PRT_SHARED_EVENTS] < 0)
		r = pol_err(e, -ENOENT, "the policy in force reports no events");
	pol_cleanup_fd(&w->l.lock);
	w->l.lock = -1;
	return r;
}

int prt_monitor(struct prt_env *env, const volatile int *stop, prt_emit_fn emit, void *ctx,
		struct pol_err *e)
{
	struct watch w = { .env = env, .emit = emit, .ctx = ctx };
	struct ring_buffer *ring = NULL;
	int r;

	prt_live_init(&w.l);
	r = open_watch(env, &w, e);
	if (!r) {
		ring = ring_buffer__new(w.l.shared.map[PRT_SHARED_EVENTS], take, &w, NULL);
		if (!ring)
			r = pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_EVENTS,
				    strerror(errno));
	}
	while (!r && !*stop && !w.done) {
		int n = ring_buffer__poll(ring, 200);

		if (n < 0 && n != -EINTR)
			r = pol_err(e, n, "map '%s': cannot read: %s", POL_MAP_EVENTS, strerror(-n));
	}
	ring_buffer__free(ring);
	prt_rules_free(&w.rules);
	pol_buf_free(&w.line);
	prt_live_close(&w.l);
	return r;
}
