/* SPDX-License-Identifier: GPL-2.0-only */
/* What the show files share, and the endpoints. */
#include "show.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

void prt_show_addr(struct pol_buf *out, const struct pol_addr *a)
{
	char text[POL_IP_TEXT];

	pol_buf_addz(out, pol_ip_format(prt_ip_of_addr(a), text));
}

void prt_show_json(struct pol_buf *out, const char *z)
{
	pol_buf_json(out, pol_str(z));
}

void prt_show_key(struct pol_buf *out, bool first, const char *key)
{
	if (!first)
		pol_buf_addz(out, ", ");
	prt_show_json(out, key);
	pol_buf_addz(out, ": ");
}

const char *prt_show_ifname(uint32_t ifindex, char room[PRT_IFNAME])
{
	room[0] = '\0';
	return if_indextoname(ifindex, room) ? room : "";
}

const char *prt_show_proto(uint8_t proto, char room[8])
{
	switch (proto) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_SCTP: return "sctp";
	case IPPROTO_ICMP: return "icmp";
	case IPPROTO_ICMPV6: return "icmpv6";
	default:
		snprintf(room, 8, "%u", proto);
		return room;
	}
}

void prt_show_rule_place(struct pol_buf *out, const struct prt_rules *rules, uint32_t rule)
{
	const struct prt_rule *r = prt_rules_get(rules, rule);

	if (r)
		pol_buf_printf(out, "%s:%u", prt_safe(r->file.p), r->line);
	else
		pol_buf_addc(out, '-');
}

int prt_show_percpu(int fd, uint32_t key, size_t numbers, uint64_t *sum)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *v POL_CLEANUP(pol_cleanup_free) =
		calloc((size_t)(cpus > 0 ? cpus : 1) * numbers, sizeof(*v));

	memset(sum, 0, numbers * sizeof(*sum));
	if (cpus <= 0 || !v)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &key, v))
		return -errno;
	for (size_t c = 0; c < (size_t)cpus; c++) {
		for (size_t i = 0; i < numbers; i++)
			sum[i] += v[c * numbers + i];
	}
	return 0;
}

/* ---- endpoints ------------------------------------------------------------------------- */

static const char *origin(const struct prt_member *m)
{
	return m->info.managed == PRT_MANAGED_FILE ? "host file" :
	       m->info.managed == PRT_MANAGED_RUN ? "run time" : "half made";
}

static void endpoint_text(struct pol_buf *out, const struct prt_member *m,
			  const struct prt_label *labels, size_t nlabels)
{
	char room[PRT_IFNAME];
	const char *dev = prt_show_ifname(m->info.ifindex, room);

	pol_buf_printf(out, "%-20s %-16s", prt_safe(m->info.name),
		       !m->info.ifindex ? "(elsewhere)" : *dev ? prt_safe(dev) : "(gone)");
	for (size_t i = 0; i < m->addrs.n; i++) {
		pol_buf_addc(out, i ? ',' : ' ');
		prt_show_addr(out, &m->addrs.v[i].addr);
	}
	pol_buf_addz(out, " [");
	for (size_t i = 0; i < nlabels; i++)
		pol_buf_printf(out, "%s%s=%s", i ? "," : "", prt_safe(labels[i].key.p),
			       prt_safe(labels[i].value.p));
	pol_buf_printf(out, "] %s\n", origin(m));
}

static void endpoint_json(struct pol_buf *out, const struct prt_member *m,
			  const struct prt_label *labels, size_t nlabels)
{
	char room[PRT_IFNAME];

	pol_buf_addz(out, "{\"name\": ");
	prt_show_json(out, m->info.name);
	pol_buf_printf(out, ", \"endpoint\": %u, \"incarnation\": %u, \"local\": %s", m->ep,
		       m->info.incarnation, m->info.ifindex ? "true" : "false");
	if (m->info.ifindex) {
		prt_show_key(out, false, "interface");
		prt_show_json(out, prt_show_ifname(m->info.ifindex, room));
	}
	pol_buf_addz(out, ", \"addresses\": [");
	for (size_t i = 0; i < m->addrs.n; i++) {
		pol_buf_addz(out, i ? ", \"" : "\"");
		prt_show_addr(out, &m->addrs.v[i].addr);
		pol_buf_addc(out, '"');
	}
	pol_buf_addz(out, "], \"labels\": {");
	for (size_t i = 0; i < nlabels; i++) {
		prt_show_key(out, !i, labels[i].key.p);
		prt_show_json(out, labels[i].value.p);
	}
	pol_buf_addz(out, "}, \"from\": ");
	prt_show_json(out, origin(m));
	pol_buf_addc(out, '}');
}

int prt_show_endpoints(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_SHARED, &l, e);
	if (!r && env->json)
		pol_buf_addc(out, '[');
	for (size_t i = 0; !r && i < l.world.member.n; i++) {
		const struct prt_member *m = &l.world.member.v[i];
		const struct prt_label *labels = NULL;
		size_t n = 0;

		prt_labels_unpack(arena, m->info.labels, &labels, &n);
		if (env->json) {
			pol_buf_addz(out, i ? ",\n " : "");
			endpoint_json(out, m, labels, n);
		} else {
			endpoint_text(out, m, labels, n);
		}
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	prt_live_close(&l);
	pol_arena_free(arena);
	return r;
}

/* ---- an apply ------------------------------------------------------------------------------ */

void prt_show_applied(const struct prt_env *env, const struct prt_applied *a, struct pol_buf *out)
{
	if (env->json) {
		pol_buf_printf(out, "{\"generation\": %" PRIu64 ", \"previous\": %" PRIu64
			       ", \"endpoints\": %zu, \"remotes\": %zu, \"uplinks\": %zu, \"policy\": ",
			       a->generation, a->previous, a->endpoints, a->remotes, a->uplinks);
		prt_show_json(out, a->policy);
		pol_buf_addz(out, "}\n");
		return;
	}
	pol_buf_printf(out, "%s is in force: generation %" PRIu64 ", %zu endpoint%s here, %zu elsewhere, %zu uplink%s\n",
		       prt_safe(a->policy), a->generation, a->endpoints,
		       a->endpoints == 1 ? "" : "s", a->remotes, a->uplinks,
		       a->uplinks == 1 ? "" : "s");
}
