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
#include <time.h>

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
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		snprintf(room, 8, "%u", proto);
		return room;
	}
}

static bool plain(struct pol_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !strchr("-_./:*", c))
			return false;
	}
	return s.n;
}

void prt_show_word(struct pol_buf *out, struct pol_str s)
{
	if (plain(s))
		pol_buf_add(out, s);
	else
		pol_buf_json(out, s);
}

bool prt_show_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

void prt_show_end(struct pol_buf *out, const struct prt_book *b, const struct pol_addr *a,
		  uint16_t port, bool ports)
{
	const struct prt_member *m = prt_book_owner(b, a);
	enum pol_entity entity = prt_book_entity(b, a);
	struct pol_str service = prt_book_service(b, a, port);
	bool v6 = prt_ip_of_addr(a).family == 6;

	if (m)
		prt_show_word(out, pol_str(m->info.name));
	else if (service.n)
		prt_show_word(out, service);
	else if (entity != POL_ENTITY_WORLD)
		pol_buf_addz(out, entity == POL_ENTITY_HOST ? "host" : "node");
	pol_buf_addz(out, m || service.n || entity != POL_ENTITY_WORLD ? " " : "");
	pol_buf_addz(out, v6 && ports ? "[" : "");
	prt_show_addr(out, a);
	pol_buf_addz(out, v6 && ports ? "]" : "");
	if (ports)
		pol_buf_printf(out, ":%u", port);
}

static void classes_json(struct pol_buf *out, struct pol_str list)
{
	prt_show_key(out, false, "classes");
	pol_buf_addc(out, '[');
	while (list.n) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;

		pol_buf_json(out, (struct pol_str){ list.p, n });
		pol_buf_addz(out, comma ? ", " : "");
		list.p += n + !!comma;
		list.n -= n + !!comma;
	}
	pol_buf_addc(out, ']');
}

void prt_show_end_json(struct pol_buf *out, const char *key, const struct prt_book *b,
		       const struct pol_addr *a, uint16_t port)
{
	static const char *const is[] = { "world", "host", "node", "endpoint" };
	const struct prt_member *m = prt_book_owner(b, a);
	struct pol_str service = prt_book_service(b, a, port);

	prt_show_key(out, false, key);
	pol_buf_addz(out, "{\"address\": \"");
	prt_show_addr(out, a);
	pol_buf_printf(out, "\", \"port\": %u, \"is\": \"%s\"", port,
		       service.n && !m ? "service" : is[prt_book_entity(b, a) & 3]);
	prt_show_member(out, "service", service);
	if (m) {
		prt_show_key(out, false, "endpoint");
		prt_show_json(out, m->info.name);
		classes_json(out, prt_book_classes(b, m));
	}
	pol_buf_addc(out, '}');
}

void prt_show_place(struct pol_buf *out, const struct prt_rule *r)
{
	if (r)
		pol_buf_printf(out, "%s:%u", prt_safe(r->file.p), r->line);
	else
		pol_buf_addc(out, '-');
}

void prt_show_member(struct pol_buf *out, const char *key, struct pol_str s)
{
	if (!s.n)
		return;
	prt_show_key(out, false, key);
	pol_buf_json(out, s);
}

void prt_show_rule_json(struct pol_buf *out, const struct prt_rule *r)
{
	if (!r)
		return;
	prt_show_member(out, "file", r->file);
	pol_buf_printf(out, ", \"line\": %u", r->line);
	prt_show_member(out, "policy", r->policy);
	prt_show_member(out, "name", r->name);
	prt_show_member(out, "direction", r->direction);
	prt_show_member(out, "action", r->action);
	prt_show_member(out, "tier", r->tier);
	prt_show_member(out, "implicit", r->implicit);
	prt_show_member(out, "text", r->text);
	pol_buf_printf(out, ", \"audit\": %s", r->audit ? "true" : "false");
}

void prt_show_clock(struct pol_buf *out, uint64_t ns, bool json)
{
	struct timespec wall;
	uint64_t now = prt_env_now_ns(), at;
	time_t seconds;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &wall);
	at = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec - now + ns;
	seconds = (time_t)(at / 1000000000u);
	if (json)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
	pol_buf_printf(out, "%s.%03u%s", text, (unsigned)(at / 1000000 % 1000), json ? "Z" : "");
}

void *prt_show_room(size_t bytes, int *cpus, struct pol_err *e)
{
	void *room;

	*cpus = libbpf_num_possible_cpus();
	if (*cpus <= 0) {
		pol_err(e, *cpus, "cannot count the CPUs: %s", strerror(-*cpus));
		return NULL;
	}
	room = calloc((size_t)*cpus, bytes);
	if (!room)
		pol_err(e, -ENOMEM, "out of memory");
	return room;
}

int prt_show_percpu(int fd, uint32_t key, size_t numbers, uint64_t *sum)
{
	struct pol_err e;
	int cpus;
	uint64_t *v POL_CLEANUP(pol_cleanup_free) = prt_show_room(numbers * sizeof(*v), &cpus, &e);

	memset(sum, 0, numbers * sizeof(*sum));
	if (!v)
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
	return m->info.managed == PRT_MANAGED_FILE  ? "host file"
	       : m->info.managed == PRT_MANAGED_RUN ? "run time"
						    : "half made";
}

static void endpoint_text(struct pol_buf *out, const struct prt_member *m,
			  const struct prt_label *labels, size_t nlabels)
{
	char room[PRT_IFNAME];
	const char *dev = prt_show_ifname(m->info.ifindex, room);

	pol_buf_printf(out, "%-20s %-16s", prt_safe(m->info.name),
		       !m->info.ifindex ? "(elsewhere)"
		       : *dev           ? prt_safe(dev)
					: "(gone)");
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

static int by_name(const void *a, const void *b)
{
	const struct prt_member *x = a, *y = b;

	return strcmp(x->info.name, y->info.name);
}

int prt_show_endpoints(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_live_open(env, PRT_LOCK_SHARED, &l, e);
	if (!r && l.world.member.n)
		qsort(l.world.member.v, l.world.member.n, sizeof(*l.world.member.v), by_name);
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
		pol_buf_printf(
			out,
			"{\"generation\": %" PRIu64 ", \"previous\": %" PRIu64
			", \"endpoints\": %zu, \"remotes\": %zu, \"uplinks\": %zu, \"policy\": ",
			a->generation, a->previous, a->endpoints, a->remotes, a->uplinks);
		prt_show_json(out, a->policy);
		pol_buf_printf(
			out,
			", \"taken_over\": %zu, \"denied\": %zu, \"reset\": %zu, \"no_room\": %zu}\n",
			a->imported.entered - a->imported.http, a->imported.denied,
			a->imported.http, a->imported.full);
		return;
	}
	pol_buf_printf(out,
		       "%s is in force: generation %" PRIu64
		       ", %zu endpoint%s here, %zu elsewhere, %zu uplink%s\n",
		       prt_safe(a->policy), a->generation, a->endpoints,
		       a->endpoints == 1 ? "" : "s", a->remotes, a->uplinks,
		       a->uplinks == 1 ? "" : "s");
	if (!a->endpoints && !a->uplinks)
		pol_buf_addz(
			out,
			"nobody is under it yet: name endpoints and uplinks in a host file (-H), or add "
			"endpoints (polload endpoint add)\n");
	if (!a->imported.entered && !a->imported.denied && !a->imported.full)
		return;
	pol_buf_printf(out, "of the flows that lived: %zu taken over, %zu denied",
		       a->imported.entered - a->imported.http, a->imported.denied);
	if (a->imported.http)
		pol_buf_printf(out, ", %zu to be reset because HTTP rules hold", a->imported.http);
	if (a->imported.full)
		pol_buf_printf(out, ", %zu without room", a->imported.full);
	pol_buf_addc(out, '\n');
}

void prt_show_booted(const struct prt_env *env, const struct prt_booted *b, struct pol_buf *out)
{
	if (env->json) {
		pol_buf_printf(out, "{\"already\": %s, \"applied\": %s, \"waiting\": ",
			       b->already ? "true" : "false", b->applied ? "true" : "false");
		prt_show_json(out, b->waiting);
		pol_buf_addz(out, "}\n");
		return;
	}
	if (b->applied)
		prt_show_applied(env, &b->how, out);
	else
		pol_buf_addz(out, "a policy is in force already\n");
	if (b->waiting[0])
		pol_buf_printf(out, "not there yet, and closed until then: %s\n", b->waiting);
}
