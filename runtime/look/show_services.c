/* SPDX-License-Identifier: GPL-2.0-only */
/* `polload services`: who serves what, and how they are. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "runtime/services/services_maps.h"
#include "show.h"

static const char *state_of(const struct prt_svc_backend *b)
{
	return b->state.drained ? "drained" : b->state.down ? "down" : "up";
}

void prt_show_addr_port(struct pol_buf *out, const struct pol_addr *a, uint16_t port)
{
	bool v6 = prt_ip_of_addr(a).family == 6;

	pol_buf_addz(out, v6 ? "[" : "");
	prt_show_addr(out, a);
	pol_buf_printf(out, "%s:%u", v6 ? "]" : "", port);
}

/* What clients sent, over both families. */
static int hits_of(const struct prt_env *env, const struct prt_live *l, size_t n,
		   struct pol_svc_hits *hits, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = prt_pin_get(env, l->gen.number, "map", POL_MAP_SVC_HITS, &fd, e);

	memset(hits, 0, n * sizeof(*hits));
	for (uint32_t i = 0; i < 2 * n && !r; i++) {
		struct pol_svc_hits *sum = &hits[i / 2];
		uint64_t v[6] = { 0 };

		prt_show_percpu(fd, i, 6, v);
		sum->packets += v[0], sum->bytes += v[1];
		sum->connections += v[2], sum->refused += v[3];
		sum->displaced += v[4], sum->evicted += v[5];
	}
	return r;
}

/* ---- text ------------------------------------------------------------------------------ */

static void backend_text(struct pol_buf *out, const struct prt_svc_backend *b,
			 const struct prt_svc_count *count)
{
	struct pol_buf place = { 0 };

	prt_show_addr_port(&place, &b->addr, b->port);
	pol_buf_printf(out, "  %-8s %6u %12" PRIu64 " %10" PRIu64 "  %s", state_of(b),
		       prt_svc_weight(b), count->open, count->half, place.p);
	pol_buf_free(&place);
	if (b->name)
		pol_buf_printf(out, "  %s", prt_safe(b->name));
	if (!b->local)
		pol_buf_addz(out, "  (elsewhere)");
	if (b->state.down && b->state.why[0])
		pol_buf_printf(out, "  %s", prt_safe(b->state.why));
	pol_buf_addc(out, '\n');
}

static void service_text(struct pol_buf *out, const struct prt_services *s, uint32_t n,
			 const struct prt_svc_count *count, const struct pol_svc_hits *h)
{
	const struct prt_service *v = &s->m->service[n];

	pol_buf_printf(out, "%s  %s, %s, %s", prt_safe(v->name.p),
		       v->proto == IPPROTO_TCP ? "tcp" : "udp", v->random ? "random" : "maglev",
		       v->dsr ? "dsr" : "nat");
	if (v->checked)
		pol_buf_printf(out, ", check %s%s%s", v->path.n ? "http " : "tcp",
			       prt_safe(v->path.n ? v->path.p : ""), "");
	pol_buf_addz(out, "\n  vip ");
	for (size_t i = 0; i < v->nvips; i++) {
		struct pol_addr a = prt_addr_of_ip(v->vip[i].addr);

		pol_buf_addz(out, i ? ", " : " ");
		prt_show_addr_port(out, &a, v->vip[i].port);
	}
	pol_buf_printf(out,
		       "\n  %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
		       " connections, %" PRIu64 " refused\n",
		       (uint64_t)h->packets, (uint64_t)h->bytes, (uint64_t)h->connections,
		       (uint64_t)h->refused);
	if (h->displaced || h->evicted)
		pol_buf_printf(out,
			       "  the table was full: new connections took the place of %" PRIu64
			       " half open ones and of %" PRIu64 " tunnelled ones\n",
			       (uint64_t)h->displaced, (uint64_t)h->evicted);
	pol_buf_printf(out, "  %-8s %6s %12s %10s  %s\n", "state", "weight", "connections",
		       "half open", "backend");
	for (size_t i = 0; i < s->backend.n; i++)
		if (s->backend.v[i].service / 2 == n)
			backend_text(out, &s->backend.v[i], &count[i]);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void addr_json(struct pol_buf *out, const char *key, const struct pol_addr *a, uint16_t port)
{
	prt_show_key(out, true, key);
	pol_buf_addc(out, '"');
	prt_show_addr(out, a);
	pol_buf_printf(out, "\", \"port\": %u", port);
}

static void backend_json(struct pol_buf *out, const struct prt_svc_backend *b,
			 const struct prt_svc_count *count)
{
	pol_buf_addc(out, '{');
	addr_json(out, "address", &b->addr, b->port);
	if (b->name) {
		prt_show_key(out, false, "endpoint");
		prt_show_json(out, b->name);
	}
	pol_buf_printf(
		out,
		", \"local\": %s, \"state\": \"%s\", \"weight\": %u, \"connections\": %" PRIu64
		", \"half_open\": %" PRIu64,
		b->local ? "true" : "false", state_of(b), prt_svc_weight(b), count->open,
		count->half);
	if (b->state.down) {
		prt_show_key(out, false, "why");
		prt_show_json(out, b->state.why);
	}
	pol_buf_addc(out, '}');
}

static void service_json(struct pol_buf *out, const struct prt_services *s, uint32_t n,
			 const struct prt_svc_count *count, const struct pol_svc_hits *h)
{
	const struct prt_service *v = &s->m->service[n];
	bool first = true;

	pol_buf_addz(out, "{\"service\": ");
	pol_buf_json(out, v->name);
	pol_buf_printf(out,
		       ", \"protocol\": \"%s\", \"balance\": \"%s\", \"mode\": \"%s\", \"vips\": [",
		       v->proto == IPPROTO_TCP ? "tcp" : "udp", v->random ? "random" : "maglev",
		       v->dsr ? "dsr" : "nat");
	for (size_t i = 0; i < v->nvips; i++) {
		struct pol_addr a = prt_addr_of_ip(v->vip[i].addr);

		pol_buf_addz(out, i ? ", {" : "{");
		addr_json(out, "address", &a, v->vip[i].port);
		pol_buf_addc(out, '}');
	}
	pol_buf_printf(out,
		       "], \"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
		       ", \"connections\": %" PRIu64 ", \"refused\": %" PRIu64
		       ", \"displaced\": %" PRIu64 ", \"evicted\": %" PRIu64 ", \"backends\": [",
		       (uint64_t)h->packets, (uint64_t)h->bytes, (uint64_t)h->connections,
		       (uint64_t)h->refused, (uint64_t)h->displaced, (uint64_t)h->evicted);
	for (size_t i = 0; i < s->backend.n; i++) {
		if (s->backend.v[i].service / 2 != n)
			continue;
		pol_buf_addz(out, first ? "" : ", ");
		backend_json(out, &s->backend.v[i], &count[i]);
		first = false;
	}
	pol_buf_addz(out, "]}");
}

void prt_seen_services_close(struct prt_seen_services *v)
{
	free(v->hits);
	free(v->count);
	prt_services_free(&v->s);
	prt_object_free(v->o);
	prt_live_close(&v->l);
}

int prt_seen_services_open(struct prt_env *env, struct prt_seen_services *v, struct pol_err *e)
{
	int r;

	*v = (struct prt_seen_services){ .o = NULL };
	prt_live_init(&v->l);
	r = prt_services_read(env, &v->l, &v->o, &v->s, e);
	if (r)
		return r;
	v->count = calloc(v->s.backend.n + 1, sizeof(*v->count));
	v->hits = calloc(v->s.m->nservices + 1, sizeof(*v->hits));
	r = v->count && v->hits ? prt_services_count(&v->l.shared, &v->s, v->count, e)
				: pol_err(e, -ENOMEM, "no memory for the backends");
	return r ? r : hits_of(env, &v->l, v->s.m->nservices, v->hits, e);
}

int prt_show_services(struct prt_env *env, struct pol_buf *out, struct pol_err *e)
{
	struct prt_seen_services v;
	int r = prt_seen_services_open(env, &v, e);

	if (!r && env->json)
		pol_buf_addc(out, '[');
	for (uint32_t i = 0; !r && i < v.s.m->nservices; i++) {
		pol_buf_addz(out, i == 0 ? "" : env->json ? ",\n " : "\n");
		(env->json ? service_json : service_text)(out, &v.s, i, v.count, &v.hits[i]);
	}
	if (!r && env->json)
		pol_buf_addz(out, "]\n");
	prt_seen_services_close(&v);
	return r;
}
