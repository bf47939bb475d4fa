/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Alike items, counted.  An attacker chooses addresses, ports and paths, so there is a bound
 * to how many kinds are told apart: behind it the source and the path go, then everything but
 * verdict and reason.  No item is ever left out of the counts.
 */
#include "monitor.h"

#define SLOTS 8192u /* of the hash; more than there are entries */
#define WHOLE_MAX 1024u /* entries with all that is known */
#define SOURCELESS_MAX 2048u
#define ENTRIES_MAX 4096u /* the rest has at most verdicts * reasons: some hundreds */

struct key {
	struct pol_addr src, dst;
	uint64_t path; /* hash of method and path */
	uint32_t gen, rule, line;
	uint16_t dport, status;
	uint8_t see, proto, reason, direction;
	uint32_t zero;
};

struct entry {
	struct key key;
	struct prt_item item;
	struct pol_proxy_request *q; /* its own copy, NULL */
};

struct prt_heap {
	uint32_t slot[SLOTS]; /* entry + 1; 0: free */
	struct entry entry[ENTRIES_MAX];
	const struct prt_item *sorted[ENTRIES_MAX];
	size_t n;
};

struct prt_heap *prt_heap_new(void)
{
	return calloc(1, sizeof(struct prt_heap));
}

void prt_heap_clear(struct prt_heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->entry[i].q);
	memset(h->slot, 0, sizeof(h->slot));
	h->n = 0;
}

void prt_heap_free(struct prt_heap *h)
{
	if (h)
		prt_heap_clear(h);
	free(h);
}

/* What of an item is told apart while there are n entries; the rest is zeroed in *item too. */
static struct key reduce(struct prt_item *item, size_t n)
{
	const struct pol_proxy_request *q = item->q;
	struct pol_event *v = &item->v;
	struct key k = { .see = (uint8_t)prt_item_see(item) };

	v->sport_be = 0;
	v->other = POL_NO_RULE;
	if (n >= SOURCELESS_MAX) {
		*v = (struct pol_event){ .time_ns = v->time_ns,
					 .kind = v->kind,
					 .reason = v->reason,
					 .rule = POL_NO_RULE,
					 .other = POL_NO_RULE };
	} else if (n >= WHOLE_MAX) {
		v->src = (struct pol_addr){ 0 };
	}
	if (q && n < SOURCELESS_MAX) {
		k.line = q->line;
		k.status = q->status;
		if (n < WHOLE_MAX)
			k.path = pol_hash(q->text, (size_t)q->method + q->host + q->path, 1);
	}
	k.src = v->src;
	k.dst = v->dst;
	k.gen = v->gen;
	k.rule = v->rule;
	k.dport = v->dport_be;
	k.proto = v->proto;
	k.reason = v->reason;
	k.direction = v->direction;
	return k;
}

static struct pol_proxy_request *copy_of(const struct pol_proxy_request *q, size_t n)
{
	struct pol_proxy_request *c = malloc(sizeof(*c));

	if (!c)
		pol_no_memory();
	*c = *q;
	if (n >= WHOLE_MAX) /* told apart by no path: it would be one of many */
		c->method = c->host = c->path = 0;
	if (n >= SOURCELESS_MAX) {
		c->line = UINT32_MAX;
		c->rule = POL_NO_RULE;
		c->status = c->why = 0;
	}
	return c;
}

void prt_heap_add(struct prt_heap *h, const struct prt_item *item)
{
	struct prt_item mine = *item;
	struct key k = reduce(&mine, h->n);
	size_t at = pol_hash(&k, sizeof(k), 0) % SLOTS;
	struct entry *e;

	for (; h->slot[at]; at = (at + 1) % SLOTS) {
		e = &h->entry[h->slot[at] - 1];
		if (memcmp(&e->key, &k, sizeof(k)))
			continue;
		e->item.count += item->count;
		e->item.v.time_ns = item->v.time_ns;
		return;
	}
	if (h->n == ENTRIES_MAX)
		abort(); /* more verdicts and reasons than there are */
	e = &h->entry[h->n++];
	h->slot[at] = (uint32_t)h->n;
	*e = (struct entry){ .key = k,
			     .item = mine,
			     .q = item->q ? copy_of(item->q, h->n - 1) : NULL };
	e->item.q = e->q;
}

static int by_count(const void *a, const void *b)
{
	const struct prt_item *x = *(const struct prt_item *const *)a;
	const struct prt_item *y = *(const struct prt_item *const *)b;

	return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
				    : (x > y) - (x < y);
}

const struct prt_item *const *prt_heap_sorted(struct prt_heap *h, size_t *n)
{
	for (size_t i = 0; i < h->n; i++)
		h->sorted[i] = &h->entry[i].item;
	qsort(h->sorted, h->n, sizeof(h->sorted[0]), by_count);
	*n = h->n;
	return h->sorted;
}
