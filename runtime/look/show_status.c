/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "runtime/generation/attach.h"
#include "runtime/generation/flows.h"
#include "runtime/generation/neighbours.h"
#include "runtime/change/proxy.h"
#include "runtime/change/keep.h"
#include "runtime/change/shadow.h"
#include "runtime/generation/store.h"
#include "show.h"
#include "runtime/host/lookup.h"
#include "runtime/host/sysctl.h"
#include "watch.h"
#include "runtime/generation/xdp.h"

#define POL_REASON_NAME(e, n, t) [POL_REASON_##e] = { n, t },
static const struct {
	const char *name, *meaning;
} reasons[POL_REASON_MAX] = { POL_REASONS(POL_REASON_NAME) };
#undef POL_REASON_NAME

struct status {
	struct prt_live l;
	size_t endpoints, remotes, hooks, hooks_there, flows;
	unsigned readers;
	POL_VEC(struct pol_str) missing;
	prt_links links;
	prt_ifindexes hooked;
	struct pol_arena *arena;
	/* Of the next boot, and since the last: boot.h */
	bool kept;
	char waiting[256];
	struct prt_guard_seen guard[PRT_GUARDS];
	char proxy[POL_PROXY_TEXT]; /* its counters as JSON; "": the policy needs none */
};

/* ---- gathering -------------------------------------------------------------------- */

static void missing(struct status *s, const char *what, const char *name, const char *why)
{
	*pol_vec_push(&s->missing) =
		pol_arena_printf(s->arena, "%s '%s': %s", what, prt_safe(name), why);
}

static const struct prt_link *link_of(const struct status *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->links.n; i++)
		if (s->links.v[i].ifindex == ifindex)
			return &s->links.v[i];
	return NULL;
}

static void look_at_xdp(struct status *s, const struct prt_uplink *u)
{
	const struct prt_link *link = link_of(s, u->ifindex);

	if (link && u->flags & POL_IF_XDP && !prt_xdp_attached(&s->l.shared, u->ifindex))
		missing(s, "uplink", link->name,
			"its XDP hook is not in place; `polload apply` puts it back");
}

static void look_at(struct status *s, uint32_t ifindex, enum pol_if_kind kind, bool out,
		    const struct prt_member *m)
{
	const struct prt_link *link = link_of(s, ifindex);
	const char *what = kind == POL_IF_UPLINK ? "uplink"
			   : kind == POL_IF_LO   ? "interface"
						 : "endpoint";
	const char *name = m ? m->info.name : link ? link->name : "?";
	int there = link ? prt_attached(&s->l.shared, ifindex, kind, out) : 0;
	struct pol_err why = { 0 };

	s->hooks++;
	*pol_vec_push(&s->hooked) = ifindex;
	if (!link)
		missing(s, what, name, "its interface is gone");
	else if (!there)
		missing(s, what, name,
			"its hooks are not in place; `polload apply` puts them back");
	else if (there < 0)
		missing(s, what, name,
			pol_arena_printf(
				s->arena,
				"whether its hooks are in place the kernel does not say: %s",
				strerror(-there))
				.p);
	else
		s->hooks_there++;
	if (link && prt_attach_check(link, kind, &why))
		missing(s, what, name, why.text);
	else if (link && link->bridge_port && m && !(m->if_flags & POL_IF_HAS_MAC))
		missing(s, what, name, "became a port of a bridge, and its `mac` is not known");
	else if (link && m && !link->master != !(m->if_flags & POL_IF_PORT))
		missing(s, what, name,
			"became a port of a bridge, or is none any more; apply again");
	if (kind == POL_IF_LO && prt_sysctl_differ())
		missing(s, "setting", prt_sysctl_name(prt_sysctl_differ()),
			"has been changed; `polload apply` changes it back");
}

static bool is_hooked(const struct status *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->hooked.n; i++)
		if (s->hooked.v[i] == ifindex)
			return true;
	return false;
}

/* A bridge is covered where its ports are; by one without ports nothing comes. */
static bool is_covered(const struct status *s, const struct prt_link *link)
{
	bool ports = false;

	for (size_t i = 0; i < s->links.n; i++) {
		if (s->links.v[i].master != link->ifindex)
			continue;
		ports = true;
		if (is_hooked(s, s->links.v[i].ifindex))
			return true;
	}
	return (!ports && !strcmp(link->kind, "bridge")) || is_hooked(s, link->ifindex);
}

/* Whatever comes by an interface without hooks can claim the address of an endpoint. */
static int look_beside(struct status *s, struct pol_err *e)
{
	prt_ifindexes routed = { 0 };
	int r = prt_net_routed(&routed, e);

	for (size_t i = 0; i < s->links.n && !r; i++) {
		const struct prt_link *link = &s->links.v[i];
		bool has = false;

		for (size_t k = 0; k < routed.n && !has; k++)
			has = routed.v[k] == link->ifindex;
		if (has && link->up && !link->loopback && !is_covered(s, link))
			missing(s, "interface", link->name,
				"it is up, has routes, and no hooks; name it in `uplinks`");
	}
	pol_vec_free(&routed);
	return r;
}

/* Who came after the policy: see neighbours.h. */
static void look_at_published(struct status *s)
{
	prt_published all = { 0 };
	struct pol_err unseen = { 0 };

	if (s->l.gen.info.flags & PRT_GEN_HOST_OPEN && prt_neighbours_published(&all, &unseen))
		*pol_vec_push(&s->missing) = pol_arena_str(s->arena, pol_str(unseen.text));
	for (size_t i = 0; all.n && i < s->l.world.member.n; i++) {
		const struct prt_member *m = &s->l.world.member.v[i];

		for (size_t k = 0; m->info.ifindex && k < m->addrs.n; k++) {
			struct pol_err why = { 0 };

			if (prt_neighbours_check_published(&all, m->info.name, &m->addrs.v[k].addr,
							   &why))
				*pol_vec_push(&s->missing) =
					pol_arena_str(s->arena, pol_str(why.text));
		}
	}
	pol_vec_free(&all);
}

/* With http rules in force and nobody to judge requests all their flows are dropped. */
static void look_at_proxy(const struct prt_env *env, struct status *s)
{
	struct pol_err why = { 0 };
	struct prt_proxy p;
	struct prt_way way;

	if (!prt_gen_uses_http(&s->l.gen))
		return;
	prt_proxy_init(&p);
	if (prt_proxy_open(env, false, NULL, &p, &why) || prt_proxy_status(&p, s->proxy, &why))
		missing(s, "proxy", "polproxy", "does not answer; `polload proxy` starts it");
	else if (!prt_proxy_knows(&p, s->l.gen.number))
		missing(s, "proxy", "polproxy",
			"does not know the policy; `polload proxy` tells it");
	prt_proxy_close(&p);
	if (!prt_net_way(&way))
		missing(s, "proxy", "polproxy",
			"has no rule and route to it; `polload proxy` makes them");
	if (!prt_lookup_attached(env))
		missing(s, "proxy", "polproxy",
			"has no program at sk_lookup, so a port that it closed cannot connect again at once; `polload proxy` attaches it");
}

/* What the next boot finds. */
static void look_at_kept(struct prt_env *env, struct status *s)
{
	struct prt_hostfile *h POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	struct prt_object *now POL_CLEANUP(prt_object_cleanup) = NULL;
	char path[sizeof(((struct prt_kept *)0)->folder) + 16];
	struct prt_kept k = { 0 };
	struct pol_err why = { 0 };
	int r = prt_keep_open(env, &k, &why);

	s->kept = r != -ENOENT || why.text[0];
	r = r ? r : prt_keep_check(&k, &why);
	if (r && s->kept)
		missing(s, "boot", "the last good policy", why.text);
	if (!r && !prt_store_get(env, s->l.gen.number, &now, &why) && !prt_keep_is(&k, now))
		missing(s, "boot", "the last good policy",
			"is not the one in force; apply keeps it again");
	snprintf(path, sizeof(path), "%s/host.yaml", k.folder);
	if (!r && k.has_host && !prt_hostfile_read(path, &h, &why))
		prt_boot_waiting(h, &s->l.world, s->waiting, sizeof(s->waiting));
	prt_kept_free(&k);
}

static void look_at_guards(struct status *s)
{
	struct pol_err why = { 0 };

	for (unsigned i = 0; i < PRT_GUARDS; i++)
		prt_guard_look((enum prt_guard)i, &s->guard[i], &why);
}

static int gather(struct prt_env *env, struct status *s, struct pol_err *e)
{
	prt_flows flows = { 0 };
	prt_gens gens = { 0 };
	struct pol_err why = { 0 };
	int r = prt_live_open(env, PRT_LOCK_SHARED, &s->l, e);

	if (r)
		return r;
	r = prt_net_links(&s->links, e);
	if (r)
		return r;
	for (size_t i = 0; i < s->l.world.uplink.n; i++) {
		look_at(s, s->l.world.uplink.v[i].ifindex, POL_IF_UPLINK,
			s->l.world.uplink.v[i].flags & POL_IF_OUT, NULL);
		look_at_xdp(s, &s->l.world.uplink.v[i]);
	}
	if (s->l.world.http)
		look_at(s, POL_LO_IFINDEX, POL_IF_LO, false, NULL);
	for (size_t i = 0; i < s->l.world.member.n; i++) {
		const struct prt_member *m = &s->l.world.member.v[i];

		if (m->info.managed == PRT_MANAGED_HALF)
			missing(s, "endpoint", m->info.name, "half made; any change cleans it up");
		else if (m->info.ifindex)
			look_at(s, m->info.ifindex, POL_IF_ENDPOINT, false, m);
		if (m->info.ifindex)
			s->endpoints++;
		else
			s->remotes++;
	}
	look_at_proxy(env, s);
	look_at_published(s);
	look_at_kept(env, s);
	look_at_guards(s);
	if (s->guard[PRT_LOCKDOWN].there)
		missing(s, "lockdown", "polc_lockdown",
			"containers are closed; polload apply or polload boot lifts it");
	r = look_beside(s, e);
	if (!r && prt_neighbours_check_rules(&why) == -EBUSY)
		*pol_vec_push(&s->missing) = pol_arena_str(s->arena, pol_str(why.text));
	r = r ? r : prt_flows_read(&s->l.shared, &flows, e);
	s->flows = flows.n;
	pol_vec_free(&flows);
	r = r ? r : prt_bpffs_gens(env, &gens, e);
	if (!r && gens.n > 1u + !!prt_shadow_of(&s->l.shared, s->l.gen.number))
		missing(s, "generation", "left over",
			"an apply did not end; the next one cleans it up");
	pol_vec_free(&gens);
	s->readers = prt_watch_count(env, &s->l.shared);
	return r;
}

static const char *mode(const struct status *s)
{
	return s->l.gen.info.flags & PRT_GEN_AUDIT ? "audit" : "enforcing";
}

static void when(char out[32], uint64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		out[0] = '\0';
}

/* ---- telling ------------------------------------------------------------------------- */

static void drops_text(const struct status *s, struct pol_buf *out)
{
	for (uint32_t i = 1; i < POL_REASON_MAX; i++) {
		uint64_t v[2];

		if (prt_show_percpu(s->l.shared.map[PRT_SHARED_DROPS], i, 2, v) || !v[0])
			continue;
		pol_buf_printf(out, "drops       %s: %" PRIu64 " packets, %" PRIu64 " bytes (%s)\n",
			       reasons[i].name, v[0], v[1], reasons[i].meaning);
	}
}

/* Seconds in which flows that lived before the first apply are still picked up. */
static uint32_t grace_left(const struct status *s)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u), end = s->l.shared.meta.grace_end;

	return end > now ? end - now : 0;
}

static void boot_text(const struct status *s, struct pol_buf *out)
{
	const struct prt_guard_seen *g = &s->guard[PRT_GUARD], *l = &s->guard[PRT_LOCKDOWN];

	if (l->there)
		pol_buf_printf(out, "LOCKDOWN    %s: %" PRIu64 " packets dropped\n",
			       l->everything ? "nothing is forwarded"
					     : "everything to and from containers is closed",
			       l->packets);
	pol_buf_printf(out, "boot        %s\n",
		       s->kept ? "this policy is kept for it" : "nothing is kept for it");
	if (g->there)
		pol_buf_printf(out,
			       "guard       closed where no hook is: %" PRIu64
			       " packets dropped%s%s\n",
			       g->packets,
			       g->no_bridges ? "; this kernel cannot see to bridges" : "",
			       g->no_spoofing ? "; this kernel cannot see to spoofed sources" : "");
	if (s->waiting[0])
		pol_buf_printf(out, "waiting for %s (polload boot takes it in)\n", s->waiting);
}

static void guard_json(const struct status *s, struct pol_buf *out)
{
	const struct prt_guard_seen *g = &s->guard[PRT_GUARD], *l = &s->guard[PRT_LOCKDOWN];

	pol_buf_printf(out, ", \"guard\": %s, \"guard_drops\": %" PRIu64,
		       g->there ? "true" : "false", g->packets);
	pol_buf_printf(out, ", \"lockdown\": %s, \"lockdown_drops\": %" PRIu64,
		       !l->there       ? "null"
		       : l->everything ? "\"everything\""
				       : "\"pool\"",
		       l->packets);
}

static void boot_json(const struct status *s, struct pol_buf *out)
{
	pol_buf_printf(out, ", \"kept\": %s, \"waiting\": ", s->kept ? "true" : "false");
	prt_show_json(out, s->waiting);
	guard_json(s, out);
}

static void xdp_text(const struct status *s, const struct prt_uplink *u, struct pol_buf *out)
{
	bool dispatcher = prt_xdp_dispatcher(u->ifindex);

	if (u->flags & POL_IF_XDP)
		pol_buf_printf(out, " (XDP %s%s)",
			       prt_xdp_mode_name(prt_xdp_attached(&s->l.shared, u->ifindex)),
			       dispatcher ? ", libxdp's dispatcher" : "");
	else if (dispatcher)
		pol_buf_addz(out, " (behind libxdp's dispatcher)");
}

static void text(const struct status *s, struct pol_buf *out)
{
	const struct prt_gen_info *i = &s->l.gen.info;
	char date[32], room[PRT_IFNAME];

	when(date, i->applied);
	pol_buf_printf(out, "policy      %s (%s)\n", prt_safe(i->policy), mode(s));
	if (i->flags & PRT_GEN_AUDIT)
		pol_buf_addz(
			out,
			"AUDIT       nothing is dropped by policy: what would be is told and passes; requests are not looked at;\n"
			"            spoofed, malformed and stateless packets are still dropped\n");
	pol_buf_printf(out, "object      %s, applied %s\n", prt_safe(i->object), date);
	pol_buf_printf(out, "generation  %" PRIu64, s->l.gen.number);
	if (i->prev)
		pol_buf_printf(out, ", rollback goes to %" PRIu64, i->prev);
	pol_buf_printf(out, "\nendpoints   %zu here, %zu elsewhere\n", s->endpoints, s->remotes);
	pol_buf_addz(out, "uplinks    ");
	for (size_t k = 0; k < s->l.world.uplink.n; k++) {
		const struct prt_uplink *u = &s->l.world.uplink.v[k];

		pol_buf_printf(out, " %s", prt_safe(prt_show_ifname(u->ifindex, room)));
		xdp_text(s, u, out);
	}
	pol_buf_printf(out, "%s\nhooks       %zu of %zu interfaces\n",
		       s->l.world.uplink.n ? "" : " none", s->hooks_there, s->hooks);
	pol_buf_printf(out, "tables      %u of %u pages, %u of %u verdicts\n", i->pages,
		       i->page_room, i->verdicts, i->verdict_room);
	pol_buf_printf(out, "flows       %zu live\n", s->flows);
	pol_buf_printf(out, "events      %u reader%s\n", s->readers, s->readers == 1 ? "" : "s");
	if (grace_left(s))
		pol_buf_printf(out,
			       "grace       %u s in which flows that lived before are picked up\n",
			       grace_left(s));
	if (prt_shadow_of(&s->l.shared, s->l.gen.number))
		pol_buf_printf(out,
			       "shadow      generation %" PRIu64
			       " judges beside; `polload shadow` tells what differs\n",
			       s->l.shared.meta.shadow);
	if (s->proxy[0])
		pol_buf_printf(out, "proxy       %s\n", prt_safe(s->proxy));
	boot_text(s, out);
	drops_text(s, out);
	for (size_t k = 0; k < s->missing.n; k++)
		pol_buf_printf(out, "MISSING     %s\n", s->missing.v[k].p);
}

static void drops_json(const struct status *s, struct pol_buf *out)
{
	bool first = true;

	pol_buf_addz(out, ", \"drops\": {");
	for (uint32_t i = 1; i < POL_REASON_MAX; i++) {
		uint64_t v[2];

		if (prt_show_percpu(s->l.shared.map[PRT_SHARED_DROPS], i, 2, v) || !v[0])
			continue;
		prt_show_key(out, first, reasons[i].name);
		pol_buf_printf(out, "{\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", v[0],
			       v[1]);
		first = false;
	}
	pol_buf_addc(out, '}');
}

static void xdp_json(const struct status *s, struct pol_buf *out)
{
	char room[PRT_IFNAME];
	bool first = true;

	for (size_t k = 0; k < s->l.world.uplink.n; k++) {
		const struct prt_uplink *u = &s->l.world.uplink.v[k];

		if (!(u->flags & POL_IF_XDP))
			continue;
		prt_show_key(out, first, prt_show_ifname(u->ifindex, room));
		pol_buf_printf(out, "\"%s\"",
			       prt_xdp_mode_name(prt_xdp_attached(&s->l.shared, u->ifindex)));
		first = false;
	}
}

static void dispatchers_json(const struct status *s, struct pol_buf *out)
{
	char room[PRT_IFNAME];
	bool first = true;

	for (size_t k = 0; k < s->l.world.uplink.n; k++) {
		const struct prt_uplink *u = &s->l.world.uplink.v[k];

		if (!prt_xdp_dispatcher(u->ifindex))
			continue;
		pol_buf_addz(out, first ? "" : ", ");
		prt_show_json(out, prt_show_ifname(u->ifindex, room));
		first = false;
	}
}

static void json(const struct status *s, struct pol_buf *out)
{
	const struct prt_gen_info *i = &s->l.gen.info;
	char room[PRT_IFNAME];

	pol_buf_addz(out, "{\"policy\": ");
	prt_show_json(out, i->policy);
	pol_buf_addz(out, ", \"object\": ");
	prt_show_json(out, i->object);
	pol_buf_printf(out,
		       ", \"mode\": \"%s\", \"generation\": %" PRIu64 ", \"previous\": %" PRIu64
		       ", \"applied\": %" PRIu64 ", \"endpoints\": %zu, \"remotes\": %zu",
		       mode(s), s->l.gen.number, i->prev, i->applied, s->endpoints, s->remotes);
	pol_buf_addz(out, ", \"uplinks\": [");
	for (size_t k = 0; k < s->l.world.uplink.n; k++) {
		pol_buf_addz(out, k ? ", " : "");
		prt_show_json(out, prt_show_ifname(s->l.world.uplink.v[k].ifindex, room));
	}
	pol_buf_addz(out, "], \"xdp\": {");
	xdp_json(s, out);
	pol_buf_addz(out, "}, \"xdp_dispatchers\": [");
	dispatchers_json(s, out);
	pol_buf_printf(out, "], \"hooked_interfaces\": %zu, \"wanted_interfaces\": %zu",
		       s->hooks_there, s->hooks);
	pol_buf_printf(
		out,
		", \"pages\": [%u, %u], \"verdicts\": [%u, %u], \"flows\": %zu, \"event_readers\": %u",
		i->pages, i->page_room, i->verdicts, i->verdict_room, s->flows, s->readers);
	pol_buf_printf(out, ", \"grace\": %u, \"shadow\": %" PRIu64, grace_left(s),
		       prt_shadow_of(&s->l.shared, s->l.gen.number));
	if (s->proxy[0])
		pol_buf_printf(out, ", \"proxy\": %s", s->proxy);
	boot_json(s, out);
	drops_json(s, out);
	pol_buf_addz(out, ", \"missing\": [");
	for (size_t k = 0; k < s->missing.n; k++) {
		pol_buf_addz(out, k ? ", " : "");
		pol_buf_json(out, s->missing.v[k]);
	}
	pol_buf_addz(out, "]}\n");
}

/* No policy, but not open either. */
static void closed_only(const struct prt_env *env, const struct status *s, struct pol_buf *out)
{
	const struct prt_guard_seen *g = &s->guard[PRT_GUARD], *l = &s->guard[PRT_LOCKDOWN];

	if (env->json) {
		pol_buf_addz(out, "{\"policy\": null");
		guard_json(s, out);
		pol_buf_addz(out, "}\n");
		return;
	}
	pol_buf_printf(out, "policy      none is in force\n");
	if (l->there)
		pol_buf_printf(out, "LOCKDOWN    %s: %" PRIu64 " packets dropped\n",
			       l->everything ? "nothing is forwarded"
					     : "everything to and from containers is closed",
			       l->packets);
	if (g->there)
		pol_buf_printf(out,
			       "guard       closed where no hook is: %" PRIu64 " packets dropped\n",
			       g->packets);
	pol_buf_addz(
		out,
		"next        polload boot says why; polload apply OBJECT -H HOST.yaml lifts it\n");
}

int prt_show_status(struct prt_env *env, struct pol_buf *out, bool *whole, struct pol_err *e)
{
	struct status s = { .arena = pol_arena_new() };
	int r;

	prt_live_init(&s.l);
	r = gather(env, &s, e);
	if (r == -ENOENT) {
		look_at_guards(&s);
		if (s.guard[PRT_LOCKDOWN].there || s.guard[PRT_GUARD].there) {
			closed_only(env, &s, out);
			prt_live_close(&s.l);
			pol_arena_free(s.arena);
			*whole = false;
			return 0;
		}
	}
	if (!r && env->json)
		json(&s, out);
	else if (!r)
		text(&s, out);
	*whole = !r && !s.missing.n;
	pol_vec_free(&s.missing);
	pol_vec_free(&s.links);
	pol_vec_free(&s.hooked);
	prt_live_close(&s.l);
	pol_arena_free(s.arena);
	return r;
}
