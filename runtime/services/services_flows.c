/* SPDX-License-Identifier: GPL-2.0-only */
/* Live connections of services: svc_ct, mapped. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>

#include "runtime/generation/flows.h"
#include "services_maps.h"

struct table {
	struct pol_svc_bucket *bucket;
	uint32_t n;
};

static int table_open(const struct prt_shared *s, struct table *t, struct pol_err *e)
{
	return prt_map_array(s->map[PRT_SHARED_SVC_CT], POL_MAP_SVC_CT,
			     sizeof(struct pol_svc_bucket), &t->n, (void **)&t->bucket, e);
}

static void table_close(struct table *t)
{
	munmap(t->bucket, t->n * sizeof(*t->bucket));
}

static bool is_half(const struct pol_svc_entry *f)
{
	return f->state == POL_CT_SYN_SENT || f->state == POL_CT_SYN_RECV ||
	       f->state == POL_CT_UNREPLIED;
}

int prt_services_forget(const struct prt_shared *s, const struct pol_addr *backend, uint16_t port,
			bool all, struct pol_err *e)
{
	struct table t;
	int r = table_open(s, &t, e);

	for (uint32_t i = 0; i < t.n && !r; i++)
		for (unsigned k = 0; k < POL_CT_WAYS; k++) {
			struct pol_svc_bucket *b = &t.bucket[i];
			__u64 tag = __atomic_load_n(&b->tag[k], __ATOMIC_ACQUIRE);
			const struct pol_svc_entry *f = &b->entry[k];
			bool half = f->proto != IPPROTO_TCP || is_half(f);

			if (!(tag & POL_TAG_USED) ||
			    memcmp(&f->backend, backend, sizeof(*backend)) ||
			    (port && f->bport_be != htons(port)) || (!all && !half))
				continue;
			/* the version moves on, as when the data path frees it; who was faster wins */
			__atomic_compare_exchange_n(&b->tag[k], &tag,
						    (tag + 1) & POL_SVC_TAG_VERSION, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
		}
	if (!r)
		table_close(&t);
	return r;
}

/*
 * Backends by what an entry says of them, chained: a look at a full table must not take all of them
 * each time.
 */
struct by_place {
	uint32_t *head, *next; /* index + 1 */
	uint32_t mask;
};

static uint32_t place_of(const struct by_place *p, const struct pol_addr *a, uint16_t port_be,
			 uint8_t proto)
{
	return pol_vip_hash(a, port_be, proto) & p->mask;
}

static int by_place(const struct prt_services *s, struct by_place *p, struct pol_err *e)
{
	p->mask = 1;
	while (p->mask < 2 * s->backend.n)
		p->mask *= 2;
	p->head = calloc(p->mask, sizeof(*p->head));
	p->next = calloc(s->backend.n + 1, sizeof(*p->next));
	p->mask--;
	if (!p->head || !p->next)
		return pol_err(e, -ENOMEM, "no memory for the backends");
	for (uint32_t i = 0; i < s->backend.n; i++) {
		const struct prt_svc_backend *b = &s->backend.v[i];
		uint32_t at =
			place_of(p, &b->addr, htons(b->port), s->m->service[b->service / 2].proto);

		p->next[i] = p->head[at];
		p->head[at] = i + 1;
	}
	return 0;
}

static void count_one(const struct pol_svc_entry *f, const struct prt_services *s,
		      const struct by_place *p, struct prt_svc_count *count)
{
	uint32_t at = p->head[place_of(p, &f->backend, f->bport_be, f->proto)];

	for (; at; at = p->next[at - 1]) {
		const struct prt_svc_backend *b = &s->backend.v[at - 1];

		if (f->proto != s->m->service[b->service / 2].proto ||
		    f->bport_be != htons(b->port) || memcmp(&f->backend, &b->addr, sizeof(b->addr)))
			continue;
		*(is_half(f) ? &count[at - 1].half : &count[at - 1].open) += 1;
	}
}

int prt_services_count(const struct prt_shared *shared, const struct prt_services *s,
		       struct prt_svc_count *count, struct pol_err *e)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u);
	struct by_place p = { 0 };
	struct table t = { 0 };
	int r = by_place(s, &p, e);

	memset(count, 0, s->backend.n * sizeof(*count));
	r = r ? r : table_open(shared, &t, e);
	for (uint32_t i = 0; i < t.n && !r; i++)
		for (unsigned k = 0; k < POL_CT_WAYS; k++) {
			const struct pol_svc_entry f = t.bucket[i].entry[k];
			uint64_t tag = __atomic_load_n(&t.bucket[i].tag[k], __ATOMIC_ACQUIRE);

			if (tag & POL_TAG_USED && f.state != POL_CT_CLOSED &&
			    (int32_t)(now - f.seen) <= (int32_t)prt_flow_timeout(f.state))
				count_one(&f, s, &p, count);
		}
	if (!r)
		table_close(&t);
	free(p.head);
	free(p.next);
	return r;
}
