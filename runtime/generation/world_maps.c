/* SPDX-License-Identifier: GPL-2.0-only */
/* A world to and from the maps of a generation. */
#include <bpf/bpf.h>
#include <errno.h>

#include "world.h"

#define BATCH 512u

void prt_world_free(struct prt_world *w)
{
	for (size_t i = 0; i < w->member.n; i++)
		pol_vec_free(&w->member.v[i].addrs);
	pol_vec_free(&w->member);
	pol_vec_free(&w->uplink);
	pol_vec_free(&w->fixed);
}

/* ---- reading ------------------------------------------------------------------------ */

typedef void (*take_fn)(const void *key, const void *value, void *ctx);

static int unreadable(const char *name, struct pol_err *e)
{
	return pol_err(e, -errno, "map '%s': cannot read: %s", name, strerror(errno));
}

/* Every element of a hash, some hundred a system call. */
static int each(int fd, const char *name, size_t key_size, size_t value_size, take_fn take,
		void *ctx, struct pol_err *e)
{
	uint32_t batch = BATCH, next = 0;
	char *keys POL_CLEANUP(pol_cleanup_free) = malloc(batch * key_size);
	char *values POL_CLEANUP(pol_cleanup_free) = malloc(batch * value_size);
	bool first = true;

	for (;;) {
		uint32_t n = batch;
		int r, err;

		if (!keys || !values)
			return pol_err(e, -ENOMEM, "map '%s': no memory to read it", name);
		r = bpf_map_lookup_batch(fd, first ? NULL : &next, &next, keys, values, &n, NULL);
		err = errno;
		if (r && err == ENOSPC) { /* a bucket with more elements than we have room for */
			free(keys);
			free(values);
			batch *= 2;
			keys = malloc(batch * key_size);
			values = malloc(batch * value_size);
			continue;
		}
		if (r && err != ENOENT) {
			errno = err;
			return unreadable(name, e);
		}
		for (uint32_t i = 0; i < n; i++)
			take(keys + i * key_size, values + i * value_size, ctx);
		if (r)
			return 0;
		first = false;
	}
}

static void take_info(const void *key, const void *value, void *ctx)
{
	struct prt_world *w = ctx;
	struct prt_member *m = pol_vec_push(&w->member);

	memset(m, 0, sizeof(*m));
	memcpy(&m->ep, key, sizeof(m->ep));
	memcpy(&m->info, value, sizeof(m->info));
	m->info.name[POL_EP_NAME - 1] = '\0';
}

struct join {
	struct prt_world *w;
	uint32_t *member_of; /* endpoint number -> index + 1 */
};

static struct prt_member *joined(struct join *j, uint32_t ep)
{
	uint32_t at = ep < POL_EP_MAX ? j->member_of[ep] : 0;

	return at ? &j->w->member.v[at - 1] : NULL;
}

static void take_owner(const void *key, const void *value, void *ctx)
{
	const struct pol_owner *o = value;
	struct join *j = ctx;
	struct prt_member *m;

	if (o->entity != POL_ENTITY_ENDPOINT) {
		struct prt_fixed *f = pol_vec_push(&j->w->fixed);

		memcpy(&f->addr, key, sizeof(f->addr));
		f->entity = o->entity;
		f->stated = o->stated;
		return;
	}
	m = joined(j, o->ep);
	if (m) {
		struct prt_member_addr *a = pol_vec_push(&m->addrs);

		memcpy(&a->addr, key, sizeof(a->addr));
		a->slot = o->slot;
	}
}

static void take_if(const void *key, const void *value, void *ctx)
{
	const struct pol_if *f = value;
	struct join *j = ctx;
	struct prt_member *m = joined(j, f->ep);

	if (f->kind == POL_IF_UPLINK) {
		struct prt_uplink *u = pol_vec_push(&j->w->uplink);

		memcpy(&u->ifindex, key, sizeof(u->ifindex));
		u->flags = f->flags;
		u->filters = f->filters;
	} else if (m) {
		m->if_flags = f->flags;
		memcpy(m->mac, f->mac, sizeof(m->mac));
		memcpy(m->host_mac, f->host_mac, sizeof(m->host_mac));
	}
}

static int by_number(const void *a, const void *b)
{
	const struct prt_member *x = a, *y = b;

	return (x->ep > y->ep) - (x->ep < y->ep);
}

/* The kernel has the addresses in the order of its hash; ours must not change between two runs. */
static int by_slot(const void *a, const void *b)
{
	const struct prt_member_addr *x = a, *y = b;

	return (x->slot > y->slot) - (x->slot < y->slot);
}

int prt_world_read(const struct prt_gen *g, struct prt_world *out, struct pol_err *e)
{
	uint32_t *member_of POL_CLEANUP(pol_cleanup_free) = calloc(POL_EP_MAX, sizeof(*member_of));
	struct prt_world w = { .http = prt_gen_uses_http(g) };
	struct join j = { .w = &w, .member_of = member_of };
	int r;

	if (!member_of)
		return pol_err(e, -ENOMEM, "no memory for the endpoints");
	r = each(g->fd[PRT_GEN_EP_INFO], POL_MAP_EP_INFO, 4, sizeof(struct pol_ep_info), take_info,
		 &w, e);
	if (w.member.n)
		qsort(w.member.v, w.member.n, sizeof(*w.member.v), by_number);
	for (size_t i = 0; i < w.member.n; i++)
		member_of[w.member.v[i].ep % POL_EP_MAX] = (uint32_t)i + 1;
	r = r ? r
	      : each(g->fd[PRT_GEN_EP_BY_ADDR], POL_MAP_EP_BY_ADDR, sizeof(struct pol_addr),
		     sizeof(struct pol_owner), take_owner, &j, e);
	r = r ? r
	      : each(g->fd[PRT_GEN_EP_BY_IF], POL_MAP_EP_BY_IF, 4, sizeof(struct pol_if), take_if,
		     &j, e);
	for (size_t i = 0; i < w.member.n; i++) {
		if (w.member.v[i].addrs.n)
			qsort(w.member.v[i].addrs.v, w.member.v[i].addrs.n,
			      sizeof(*w.member.v[i].addrs.v), by_slot);
	}
	if (r)
		prt_world_free(&w);
	else
		*out = w;
	return r;
}

/* ---- writing -------------------------------------------------------------------------- */

static int put(int fd, const char *name, const void *key, const void *value, struct pol_err *e)
{
	if (!bpf_map_update_elem(fd, key, value, BPF_ANY))
		return 0;
	if (errno == E2BIG)
		return pol_err(e, -ENOSPC, "map '%s': is full", name);
	return pol_err(e, -errno, "map '%s': cannot write: %s", name, strerror(errno));
}

int prt_member_write_info(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e)
{
	return put(g->fd[PRT_GEN_EP_INFO], POL_MAP_EP_INFO, &m->ep, &m->info, e);
}

int prt_member_write_addrs(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->addrs.n && !r; i++) {
		struct pol_owner o = { .ep = m->ep,
				       .slot = m->addrs.v[i].slot,
				       .ifindex = m->info.ifindex,
				       .entity = POL_ENTITY_ENDPOINT };

		r = put(g->fd[PRT_GEN_EP_BY_ADDR], POL_MAP_EP_BY_ADDR, &m->addrs.v[i].addr, &o, e);
	}
	return r;
}

static bool is_v4(const struct pol_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

static int put_if(const struct prt_gen *g, const struct pol_if *f, struct pol_err *e)
{
	uint32_t near = f->ifindex % POL_IF_NEAR;
	struct pol_if other;
	int r = put(g->fd[PRT_GEN_EP_BY_IF], POL_MAP_EP_BY_IF, &f->ifindex, f, e);

	if (r)
		return r;
	/* Whoever has the place keeps it: it is never seen half one and half the other. */
	if (bpf_map_lookup_elem(g->fd[PRT_GEN_IF_NEAR], &near, &other) ||
	    (other.ifindex && other.ifindex != f->ifindex))
		return 0;
	return put(g->fd[PRT_GEN_IF_NEAR], POL_MAP_IF_NEAR, &near, f, e);
}

int prt_member_write_if(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e)
{
	struct pol_if f = { .ep = m->ep,
			    .kind = POL_IF_ENDPOINT,
			    .flags = m->if_flags,
			    .ifindex = m->info.ifindex };

	if (!f.ifindex)
		return 0;
	memcpy(f.mac, m->mac, sizeof(f.mac));
	memcpy(f.host_mac, m->host_mac, sizeof(f.host_mac));
	for (size_t i = m->addrs.n; i-- > 0;)
		f.addr[!is_v4(&m->addrs.v[i].addr)] = m->addrs.v[i].addr;
	return put_if(g, &f, e);
}

int prt_member_clear_if(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e)
{
	static const struct pol_if none;
	uint32_t near = m->info.ifindex % POL_IF_NEAR;
	struct pol_if f;
	int r = 0;

	if (!m->info.ifindex)
		return 0;
	if (bpf_map_lookup_elem(g->fd[PRT_GEN_IF_NEAR], &near, &f))
		return pol_err(e, -errno, "map '%s': cannot read: %s", POL_MAP_IF_NEAR,
			       strerror(errno));
	if (f.ifindex == m->info.ifindex)
		r = put(g->fd[PRT_GEN_IF_NEAR], POL_MAP_IF_NEAR, &near, &none, e);
	if (!r && bpf_map_delete_elem(g->fd[PRT_GEN_EP_BY_IF], &m->info.ifindex) && errno != ENOENT)
		r = pol_err(e, -errno, "map '%s': cannot delete: %s", POL_MAP_EP_BY_IF,
			    strerror(errno));
	return r;
}

struct leaving {
	int fd;
	uint32_t ep;
	int error;
};

static void drop(struct leaving *l, const void *key)
{
	if (bpf_map_delete_elem(l->fd, key) && errno != ENOENT)
		l->error = errno;
}

static void drop_bucket(const void *key, const void *value, void *ctx)
{
	const struct pol_limit_key *k = key;
	struct leaving *l = ctx;

	(void)value;
	if ((k->ep & (POL_EP_MAX - 1)) == l->ep)
		drop(l, key);
}

static void drop_audited(const void *key, const void *value, void *ctx)
{
	const struct pol_audit_key *k = key;
	struct leaving *l = ctx;

	(void)value;
	if (k->ep == l->ep)
		drop(l, key);
}

int prt_member_forget(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e)
{
	struct leaving l = { .fd = g->fd[PRT_GEN_LIMITS], .ep = m->ep };
	const char *name = POL_MAP_LIMITS;
	int r = each(l.fd, name, sizeof(struct pol_limit_key), sizeof(struct pol_limit_state),
		     drop_bucket, &l, e);

	if (!r && !l.error) {
		l.fd = g->fd[PRT_GEN_AUDITED];
		name = POL_MAP_AUDITED;
		r = each(l.fd, name, sizeof(struct pol_audit_key), sizeof(struct pol_audit_seen),
			 drop_audited, &l, e);
	}
	if (!r && l.error)
		r = pol_err(e, -l.error, "map '%s': cannot delete: %s", name, strerror(l.error));
	return r;
}

int prt_fixed_write(const struct prt_gen *g, const struct prt_fixed *f, struct pol_err *e)
{
	struct pol_owner o = { .entity = f->entity, .stated = f->stated };

	return put(g->fd[PRT_GEN_EP_BY_ADDR], POL_MAP_EP_BY_ADDR, &f->addr, &o, e);
}

int prt_world_write(const struct prt_gen *g, const struct prt_world *w, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < w->fixed.n && !r; i++)
		r = prt_fixed_write(g, &w->fixed.v[i], e);
	for (size_t i = 0; i < w->uplink.n && !r; i++) {
		const struct prt_uplink *u = &w->uplink.v[i];

		r = put_if(g,
			   &(struct pol_if){ .kind = POL_IF_UPLINK,
					     .flags = u->flags,
					     .ifindex = u->ifindex,
					     .filters = u->filters },
			   e);
	}
	for (size_t i = 0; i < w->member.n && !r; i++) {
		const struct prt_member *m = &w->member.v[i];

		r = prt_member_write_info(g, m, e);
		r = r ? r : prt_member_write_addrs(g, m, e);
		r = r ? r : prt_member_write_if(g, m, e);
	}
	return r;
}
