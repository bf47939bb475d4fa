/* SPDX-License-Identifier: GPL-2.0-only */
/* Services and their backends as samples. */
#include <errno.h>
#include <stdio.h>

#include "metrics.h"
#include "runtime/services/services_maps.h"

static void of_clients(struct prt_samples *out, const struct prt_seen_services *a)
{
	static const struct {
		const char *name, *unit, *help;
		size_t at;
	} counters[] = {
		{ "polc_service_packets", NULL, "Packets that clients sent to the service.",
		  offsetof(struct pol_svc_hits, packets) },
		{ "polc_service_bytes", "bytes", "Their bytes.",
		  offsetof(struct pol_svc_hits, bytes) },
		{ "polc_service_connections", NULL, "New connections to the service.",
		  offsetof(struct pol_svc_hits, connections) },
		{ "polc_service_refused", NULL, "New connections for which there was no backend.",
		  offsetof(struct pol_svc_hits, refused) },
	};

	for (size_t c = 0; c < POL_ARRAY_LEN(counters); c++) {
		prt_family(out, counters[c].name, "counter", counters[c].unit, counters[c].help);
		for (size_t i = 0; i < a->s.m->nservices; i++) {
			uint64_t v;

			memcpy(&v, (const char *)&a->hits[i] + counters[c].at, sizeof(v));
			prt_label(out, "service", a->s.m->service[i].name.p);
			prt_sample(out, v);
		}
	}
}

static uint64_t up(const struct prt_seen_services *a, size_t i)
{
	return !a->s.backend.v[i].state.down;
}

static uint64_t weight(const struct prt_seen_services *a, size_t i)
{
	return prt_svc_weight(&a->s.backend.v[i]);
}

static uint64_t open_ones(const struct prt_seen_services *a, size_t i)
{
	return a->count[i].open;
}

static uint64_t half_open(const struct prt_seen_services *a, size_t i)
{
	return a->count[i].half;
}

static void of_backends(struct prt_samples *out, const struct prt_seen_services *a)
{
	static const struct {
		const char *name, *help;
		uint64_t (*of)(const struct prt_seen_services *a, size_t i);
	} gauges[] = {
		{ "polc_backend_up", "0: its health check says that it is down.", up },
		{ "polc_backend_weight", "Its share of new connections; 0: drained.", weight },
		{ "polc_backend_connections", "Live connections to it.", open_ones },
		{ "polc_backend_half_open", "Connections to it that are not answered yet.",
		  half_open },
	};

	for (size_t g = 0; g < POL_ARRAY_LEN(gauges); g++) {
		prt_family(out, gauges[g].name, "gauge", NULL, gauges[g].help);
		for (size_t i = 0; i < a->s.backend.n; i++) {
			const struct prt_svc_backend *b = &a->s.backend.v[i];
			struct pol_buf place = { 0 };

			prt_show_addr_port(&place, &b->addr, b->port);
			prt_label(out, "service", a->s.m->service[b->service / 2].name.p);
			prt_label(out, "backend", place.p);
			prt_label(out, "endpoint", b->name ? b->name : "");
			prt_sample(out, gauges[g].of(a, i));
			pol_buf_free(&place);
		}
	}
}

int prt_metrics_services(struct prt_env *env, struct prt_samples *out, struct pol_err *e)
{
	struct prt_seen_services v;
	int r = prt_seen_services_open(env, &v, e);

	if (r == -ENOENT) { /* no services; or no policy any more, which the next scrape says */
		*e = (struct pol_err){ 0 };
		r = 0;
	} else if (!r) {
		of_clients(out, &v);
		of_backends(out, &v);
	}
	prt_seen_services_close(&v);
	return r;
}
