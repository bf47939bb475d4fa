/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services: which VIP a packet is for, which connection it belongs to, which backend a new one
 * gets.  What is done to packets is in service_edge.h (XDP), with its answers in service_answer.h, and
 * service_stack.h (TC).
 *
 *   to a VIP		at the uplink's XDP hook: the destination becomes the backend, or the packet
 *			goes to it encapsulated; the TC hook then judges what is for an endpoint here
 *   answers		where they leave the stack (or pass this host by XDP): the source becomes the VIP
 *
 * So policies and the kernel's connection tracking see client and backend, in both directions.
 */
#ifndef POL_BPF_SERVICE_H
#define POL_BPF_SERVICE_H

#include <polc/service.h>
#include "ct.h"
#include "transport.h"

#ifndef POL_SVC_CT_BUCKETS
#define POL_SVC_CT_BUCKETS (1u << 15) /* of POL_CT_WAYS entries; a power of two */
#endif
/* The loader sets what is larger, before the object is loaded. */
#define POL_SVC_RING_BLOCKS 512u
#define POL_SVC_BACKENDS 1u
#define POL_SVC_HOPS 1024u

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_SVC_CT_BUCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_svc_bucket);
} svc_ct SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_svc_ports);
} svc_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_SERVICES_LEN);
	__type(key, __u32);
	__type(value, struct pol_service);
} svc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_SVC_RING_BLOCKS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_ring_block);
} svc_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_SVC_BACKENDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_svc_backend);
} svc_backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_SERVICES_LEN);
	__type(key, __u32);
	__type(value, struct pol_svc_hits);
} svc_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_svc_self);
} svc_self SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct pol_svc_source);
} svc_source SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_SVC_BALANCERS_MAX);
	__type(key, struct pol_addr);
	__type(value, __u32);
} svc_balancers SEC(".maps");

/* A packet of a connection, as its client and whom he talks to see it; and what it comes to. */
struct pol_svc {
	struct pol_addr client, other;	/* other: the VIP; of an answer the backend */
	struct pol_addr to;		/* the backend; of an answer the VIP */
	__be16 cport_be, oport_be, to_port_be;
	__u8 proto;
	__u8 tcp_flags;
	__u8 reply;		/* from the backend */
	__u8 flags;		/* POL_SVC_* of the connection */
	__u8 fixed;		/* `to` is given: a balancer chose it */
	__u8 fresh;		/* a connection that was not known */
	__u32 service;		/* index into svc */
	__u32 now;
	__u32 slot;		/* place in svc_ct + 1; 0: none */
	__u64 hash;
};

/* ---- VIPs ---------------------------------------------------------------------------- */

/* The service at this address and port, or NULL; proto and port 0: is it a VIP's address at all? */
static __always_inline const struct pol_vip_slot *pol_vip(const struct pol_addr *a, __be16 port_be,
							  __u8 proto)
{
	__u32 at = pol_vip_hash(a, port_be, proto);

#pragma clang loop unroll(full)
	for (__u32 i = 0; i < POL_VIP_PROBES; i++) {
		const struct pol_vip_slot *v = &pol_vips[(at + i) & (POL_VIPS_LEN - 1)];

		if (!v->used)
			return NULL;
		if (pol_same_addr(&v->addr, a) && v->port_be == port_be && v->proto == proto)
			return v;
	}
	return NULL;
}

/* May a backend of some service answer from this port?  Host order. */
static __always_inline int pol_svc_port(__u32 port)
{
	__u32 zero = 0;
	const struct pol_svc_ports *p = bpf_map_lookup_elem(&svc_ports, &zero);

	return p && p->bit[pol_within(port >> 6, 1024)] >> (port & 63) & 1;
}

/* ---- the table ------------------------------------------------------------------------- */

/* Over the client alone, see struct pol_svc_entry; NH as in pol_ct_hash(). */
static __always_inline __u64 pol_svc_hash(const struct pol_svc *s)
{
	__u64 k0 = pol_hash_key[0], k1 = pol_hash_key[1], k4 = pol_hash_key[4];
	__u64 k5 = pol_hash_key[5], h;

	if (pol_unlikely(!k0 || !k1 || !k4 || !k5)) {
		pol_hash_spread();
		k0 = pol_hash_key[0], k1 = pol_hash_key[1], k4 = pol_hash_key[4];
		k5 = pol_hash_key[5];
	}
	h = pol_nh(s->client.d_be[0], k0) + pol_nh(s->client.d_be[1], k1) +
	    pol_nh((__u64)s->proto << 32 | s->cport_be, k4);
	h = (h ^ h >> 32) * k5;
	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 32;
}

static __always_inline __u32 pol_svc_bucket_no(__u64 hash, int second)
{
	__u32 first = hash & (POL_SVC_CT_BUCKETS - 1);
	__u32 other = (hash >> 32) & (POL_SVC_CT_BUCKETS - 1);

	return second ? other ^ (other == first) : first;
}

static __always_inline int pol_svc_same(const struct pol_svc_entry *e, const struct pol_svc *s)
{
	__u64 vip, backend, m = -(__u64)(s->reply & 1);

	vip = (e->vip.d_be[0] ^ s->other.d_be[0]) | (e->vip.d_be[1] ^ s->other.d_be[1]) |
	      (e->vport_be ^ s->oport_be);
	backend = (e->backend.d_be[0] ^ s->other.d_be[0]) | (e->backend.d_be[1] ^ s->other.d_be[1]) |
		  (e->bport_be ^ s->oport_be);
	/* without a branch: the verifier would follow every way through; half of it, where m is known */
	if (!__builtin_constant_p(m))
		pol_opaque(m);
	return ((e->client.d_be[0] ^ s->client.d_be[0]) | (e->client.d_be[1] ^ s->client.d_be[1]) |
		(e->cport_be ^ s->cport_be) | (e->proto ^ s->proto) | (backend & m) | (vip & ~m)) == 0;
}

/* The slot + 1 of the connection in its first or second bucket; 0: not there. */
__noinline int pol_svc_in(struct pol_svc *s, __u32 second)
{
	struct pol_svc_bucket *b;
	__u64 mask;
	__u32 no;

	if (!s)
		return 0;
	no = pol_svc_bucket_no(s->hash, second);
	b = bpf_map_lookup_elem(&svc_ct, &no);
	if (!b)
		return 0;
	mask = pol_tags_match(b->tag, POL_TAG_USED | pol_ct_sig(s->hash));
	/* one client port can talk to several VIPs */
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < POL_CT_WAYS && mask; tries++) {
		__u32 way = pol_lowest(mask);

		pol_opaque(way);
		way &= POL_CT_WAYS - 1;
		if (pol_svc_same(&b->entry[way], s))
			return no * POL_CT_WAYS + way + 1;
		mask &= mask - 1;
	}
	return 0;
}

static __always_inline struct pol_svc_bucket *pol_svc_slot(__u32 slot, __u32 *way)
{
	__u32 no = (slot - 1) / POL_CT_WAYS;

	*way = (slot - 1) & (POL_CT_WAYS - 1);
	return bpf_map_lookup_elem(&svc_ct, &no);
}

static __always_inline int pol_svc_expired(const struct pol_svc_entry *e, __u32 now)
{
	return (__s32)(now - e->seen) > (__s32)pol_ct_timeout(e->state);
}

static __always_inline int pol_svc_half(const struct pol_svc_entry *e)
{
	return pol_ct_is_half(e->state);
}

static __always_inline int pol_svc_over(const struct pol_svc_entry *e)
{
	return e->state == POL_CT_CLOSED || e->state == POL_CT_CLOSING;
}

/* What the packet makes of the connection's state. */
static __always_inline __u8 pol_svc_next(const struct pol_svc *s, __u8 state, __u8 *flags)
{
	if (s->reply)
		*flags |= POL_SVC_REPLIED;
	if (s->proto != IPPROTO_TCP) {
		/* the answers of a tunnel's end do not come by: its client is known by a second packet */
		return s->reply || *flags & POL_SVC_TUNNEL ? POL_CT_REPLYING : state;
	}
	if (s->tcp_flags & POL_TCP_FIN)
		*flags |= s->reply ? POL_SVC_FIN_BACKEND : POL_SVC_FIN_CLIENT;
	if (s->tcp_flags & POL_TCP_RST)
		return POL_CT_CLOSED;
	if (*flags & POL_SVC_FIN_BACKEND && *flags & POL_SVC_FIN_CLIENT)
		return POL_CT_CLOSING;
	if (*flags & POL_SVC_FIN_CLIENT && *flags & POL_SVC_TUNNEL)
		return POL_CT_CLOSING;
	if (s->tcp_flags & POL_TCP_SYN)
		return s->reply && state == POL_CT_SYN_SENT ? POL_CT_SYN_RECV : state;
	/* established by the client, once the backend has been heard; a RST that was forged is forgotten */
	if (s->reply)
		return state == POL_CT_CLOSED ? POL_CT_ESTABLISHED : state;
	return *flags & (POL_SVC_REPLIED | POL_SVC_TUNNEL) ? POL_CT_ESTABLISHED : state;
}

static __always_inline void pol_svc_touch(struct pol_svc_entry *e, const struct pol_svc *s)
{
	__u8 flags = e->flags, state = pol_svc_next(s, e->state, &flags);

	if (e->state != state)
		e->state = state;
	if (e->flags != flags)
		e->flags = flags;
	if (e->seen != s->now)
		e->seen = s->now;
}

/*
 * The connection of *s in its first bucket, as pol_flow_find() looks for one: *tag is what was
 * there before the key was compared.  NULL: it is elsewhere, or not known.
 */
static __always_inline struct pol_svc_entry *pol_svc_near(const struct pol_svc *s, __u64 **at, __u64 *tag)
{
	__u64 want = POL_TAG_USED | pol_ct_sig(s->hash), mask;
	__u32 no = pol_svc_bucket_no(s->hash, 0), way = pol_ct_home(s->hash);
	struct pol_svc_bucket *b = bpf_map_lookup_elem(&svc_ct, &no);

	if (!b)
		return NULL;
	*tag = *(volatile __u64 *)&b->tag[way];
	/* both at once: neither line is near */
	if (pol_unlikely(((*tag ^ want) >> POL_TAG_SHIFT) | !pol_svc_same(&b->entry[way], s))) {
		mask = pol_tags_match(b->tag, want);
		if (!mask)
			return NULL;
		way = pol_lowest(mask);
		pol_opaque(way);
		way &= POL_CT_WAYS - 1;
		*tag = *(volatile __u64 *)&b->tag[way];
		if (((*tag ^ want) >> POL_TAG_SHIFT) | !pol_svc_same(&b->entry[way], s))
			return NULL;
	}
	*at = &b->tag[way];
	return &b->entry[way];
}

/*
 * The next packet of a connection that is known and stays as it is: 1, and where it has to go.
 * No call, and of the table two lines at once.  All that is rarer is pol_svc_find()'s.
 */
static __always_inline int pol_svc_live(struct pol_svc *s)
{
	struct pol_svc_entry *e;
	__u64 *at, tag;
	__u8 flags;

	s->hash = pol_svc_hash(s);
	e = pol_svc_near(s, &at, &tag);
	if (!e || (s->proto == IPPROTO_TCP && s->tcp_flags & (POL_TCP_SYN | POL_TCP_FIN | POL_TCP_RST)))
		return 0;
	flags = e->flags;
	if (pol_svc_expired(e, s->now) || pol_svc_next(s, e->state, &flags) != e->state ||
	    flags != e->flags)
		return 0;
	if (s->fixed && (!pol_same_addr(&e->backend, &s->to) || e->bport_be != s->to_port_be))
		return 0;
	s->to = s->reply ? e->vip : e->backend;
	s->to_port_be = s->reply ? e->vport_be : e->bport_be;
	s->flags = flags;
	/* the slot did not change hands meanwhile */
	if (*(volatile __u64 *)at != tag)
		return 0;
	if (e->seen != s->now)
		e->seen = s->now;
	return 1;
}

/* Does this SYN begin anew where a connection was? */
static __always_inline int pol_svc_renews(const struct pol_svc_entry *e, const struct pol_svc *s)
{
	return !s->reply && s->proto == IPPROTO_TCP &&
	       (s->tcp_flags & (POL_TCP_SYN | POL_TCP_ACK)) == POL_TCP_SYN && pol_svc_over(e);
}

/*
 * Finds the connection of *s and where the packet has to go; s->slot is its place.  0: none is
 * known, or only one that is over, whose place is s->slot then.
 */
__noinline int pol_svc_find(struct pol_svc *s)
{
	struct pol_svc_bucket *b;
	struct pol_svc_entry *e;
	__u64 tag;
	__u32 way;

	if (!s)
		return 0;
	if (pol_svc_live(s))
		return 1;
	s->slot = pol_svc_in(s, 0);
	if (!s->slot)
		s->slot = pol_svc_in(s, 1);
	b = s->slot ? pol_svc_slot(s->slot, &way) : NULL;
	if (!b)
		return 0;
	tag = *(volatile __u64 *)&b->tag[way];
	e = &b->entry[way];
	if (!pol_svc_same(e, s) || pol_svc_expired(e, s->now) || pol_svc_renews(e, s))
		return 0;
	if (s->fixed && (!pol_same_addr(&e->backend, &s->to) || e->bport_be != s->to_port_be))
		return 0;
	s->to = s->reply ? e->vip : e->backend;
	s->to_port_be = s->reply ? e->vport_be : e->bport_be;
	s->flags = e->flags;
	/* the slot did not change hands meanwhile */
	if (*(volatile __u64 *)&b->tag[way] != tag || tag & POL_TAG_BUSY)
		return 0;
	pol_svc_touch(e, s);
	return 1;
}

__noinline int pol_svc_remove(struct pol_svc *s, __u32 slot)
{
	struct pol_svc_bucket *b;
	__u32 way;
	__u64 tag;

	b = s && slot ? pol_svc_slot(slot, &way) : NULL;
	if (!b)
		return 0;
	tag = *(volatile __u64 *)&b->tag[way];
	if ((tag & ~POL_TAG_VERSION) == (POL_TAG_USED | pol_ct_sig(s->hash)) &&
	    pol_svc_same(&b->entry[way], s))
		__sync_val_compare_and_swap(&b->tag[way], tag, (tag + 1) & POL_TAG_VERSION);
	return 0;
}

/*
 * How gladly a used slot is given up, 0 for never: dead; then what is half open or closed, the
 * longest silent first; last, for want of anything else, one whose backend answers past this
 * host: that it is established only its client says, and without an entry the ring has
 * the same backend for it.  So a flood of SYNs costs other SYNs their place, and what
 * has been answered is nobody's victim.
 */
__noinline __u64 pol_svc_worth(struct pol_svc *s, __u32 slot)
{
	struct pol_svc_bucket *b;
	struct pol_svc_entry *e;
	__u32 way, silent;

	b = s ? pol_svc_slot(slot, &way) : NULL;
	if (!b || *(volatile __u64 *)&b->tag[way] & POL_TAG_BUSY)
		return 0;
	e = &b->entry[way];
	silent = s->now - e->seen;
	if ((__s32)silent < 0)
		silent = 0;
	if (pol_svc_expired(e, s->now))
		return 3ull << 32 | silent;
	if (pol_svc_half(e) || e->state == POL_CT_CLOSED)
		return 2ull << 32 | silent;
	return e->flags & POL_SVC_TUNNEL ? 1ull << 32 | silent : 0;
}

__noinline int pol_svc_victim(struct pol_svc *s)
{
	__u64 best = 0;
	__u32 slot = 0;

	if (!s)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * POL_CT_WAYS; i++) {
		__u32 no = pol_svc_bucket_no(s->hash, i >= POL_CT_WAYS);
		__u32 at = no * POL_CT_WAYS + i % POL_CT_WAYS + 1;
		__u64 w = pol_svc_worth(s, at);

		if (w > best) {
			best = w;
			slot = at;
		}
	}
	return slot;
}

/* Free ways of a bucket, a bit for each. */
static __always_inline __u32 pol_svc_free(__u32 no)
{
	struct pol_svc_bucket *b = bpf_map_lookup_elem(&svc_ct, &no);

	return b ? pol_tags_match(b->tag, 0) : 0;
}

/*
 * A slot + 1: free in the first bucket, at home if that is free; or in the second, or given up by
 * another; 0.
 */
static __always_inline __u32 pol_svc_room(struct pol_svc *s)
{
	__u32 no = pol_svc_bucket_no(s->hash, 0), mask = pol_svc_free(no), way = pol_ct_home(s->hash);

	/* of a first bucket that is nearly full the last ways are left to those that have no choice */
	if (!(mask & (mask - 1))) {
		__u32 second = pol_svc_bucket_no(s->hash, 1), more = pol_svc_free(second);

		if (more)
			no = second, mask = more;
	}
	if (!mask)
		return pol_svc_victim(s);
	if (!(mask >> way & 1))
		way = pol_lowest(mask);
	return no * POL_CT_WAYS + way + 1;
}

static __always_inline void pol_svc_write(struct pol_svc_entry *e, const struct pol_svc *s)
{
	e->client = s->client;
	e->vip = s->other;
	e->backend = s->to;
	e->seen = s->now;
	e->cport_be = s->cport_be;
	e->vport_be = s->oport_be;
	e->bport_be = s->to_port_be;
	e->proto = s->proto;
	e->state = s->proto == IPPROTO_TCP ? POL_CT_SYN_SENT : POL_CT_UNREPLIED;
	e->flags = s->flags;
}

/* The number is copied, as pol_owner_of() has it. */
static __always_inline struct pol_svc_hits *pol_svc_hits_of(const struct pol_svc *s)
{
	__u32 service = s->service;

	return bpf_map_lookup_elem(&svc_hits, &service);
}

/* The entry, which is ours now, was another's: what of it was worth counting. */
static __always_inline void pol_svc_displaced(const struct pol_svc *s, const struct pol_svc_entry *e)
{
	struct pol_svc_hits *h = pol_svc_hits_of(s);

	if (!h || pol_svc_expired(e, s->now) || pol_svc_over(e))
		return;
	if (pol_svc_half(e))
		h->displaced++;
	else
		h->evicted++;
}

/* Enters the connection of *s; 0, or -1: there is no room. */
__noinline int pol_svc_insert(struct pol_svc *s)
{
	if (!s)
		return -1;
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 3; tries++) {
		__u32 way, slot = pol_svc_room(s), first, second;
		struct pol_svc_bucket *b = slot ? pol_svc_slot(slot, &way) : NULL;
		__u64 tag, next;

		if (!b)
			return -1;
		tag = *(volatile __u64 *)&b->tag[way];
		next = (tag + 1) & POL_TAG_VERSION;
		if (tag & POL_TAG_BUSY ||
		    __sync_val_compare_and_swap(&b->tag[way], tag, POL_TAG_BUSY | next) != tag)
			continue;
		if (tag & POL_TAG_USED)
			pol_svc_displaced(s, &b->entry[way]);
		pol_svc_write(&b->entry[way], s);
		__sync_lock_test_and_set(&b->tag[way], POL_TAG_USED | pol_ct_sig(s->hash) | next);
		/* two CPUs at once: the one in the lower slot stays, see pol_ct_twin() */
		first = pol_svc_in(s, 0), second = pol_svc_in(s, 1);
		if ((first && first < slot) || (second && second < slot))
			pol_svc_remove(s, slot);
		return 0;
	}
	return -1;
}

/* ---- who serves a new one ---------------------------------------------------------------- */

/* The same on every balancer, so that what one of them does not know another one decides alike. */
static __always_inline __u32 pol_svc_choice(const struct pol_svc *s, __u32 seed)
{
	__u64 x = pol_mix(bpf_be64_to_cpu(s->client.d_be[0]) ^ (__u64)seed << 32 ^ s->proto);

	x = pol_mix(x ^ bpf_be64_to_cpu(s->client.d_be[1]));
	return pol_mix(x ^ (__u64)bpf_ntohs(s->cport_be) << 16 ^ bpf_ntohs(s->oport_be)) >> 32;
}

/* The number is copied, as pol_owner_of() has it. */
static __always_inline const struct pol_service *pol_service_of(const struct pol_svc *s)
{
	__u32 service = s->service;

	return bpf_map_lookup_elem(&svc, &service);
}

/* A client that is a backend itself is not sent to itself: its own stack would refuse that. */
#define POL_SVC_OTHERS 16

/*
 * Has the client's port a connection to s->to by another VIP?  Both would have the same answers.  One that is over
 * gives way.
 */
__noinline int pol_svc_taken(struct pol_svc *s)
{
	struct pol_svc_bucket *b;
	struct pol_addr vip;
	__be16 port_be;
	__u32 way, slot;
	int taken = 0;

	if (!s || s->flags & POL_SVC_TUNNEL)
		return 0; /* who is at the tunnel's end answers as the VIP */
	vip = s->other;
	port_be = s->oport_be;
	s->other = s->to;
	s->oport_be = s->to_port_be;
	s->reply = 1;
	slot = pol_svc_in(s, 0) ?: pol_svc_in(s, 1);
	b = slot ? pol_svc_slot(slot, &way) : NULL;
	if (b && !pol_svc_expired(&b->entry[way], s->now) && !pol_svc_over(&b->entry[way]))
		taken = 1;
	else if (b)
		pol_svc_remove(s, slot);
	s->other = vip;
	s->oport_be = port_be;
	s->reply = 0;
	return taken;
}

/* The backend at place x of the ring: 0: it is s->to; 1, 2: not this one, as it is taken; -1: none is up. */
static __noinline int pol_svc_try(const struct pol_service *v, struct pol_svc *s, __u32 x)
{
	__u32 place = x % v->size, at = v->ring + place / POL_RING_BLOCK, index;
	const struct pol_ring_block *r = bpf_map_lookup_elem(&svc_ring, &at);
	const struct pol_svc_backend *b;

	if (!r)
		return -1;
	index = r->backend[place % POL_RING_BLOCK];
	b = bpf_map_lookup_elem(&svc_backends, &index);
	if (!b || !b->port_be)
		return -1;
	if (pol_same_addr(&b->addr, &s->client))
		return 1;
	s->to = b->addr;
	s->to_port_be = b->port_be;
	s->flags = (s->flags & POL_SVC_INSIDE) | (b->flags & POL_BACKEND_LOCAL ? POL_SVC_LOCAL :
						  v->flags & POL_SVC_DSR       ? POL_SVC_TUNNEL : 0);
	return pol_svc_taken(s) ? 2 : 0;
}

/*
 * s->to, s->flags; 0, or -1: no backend is up; 1: those that are have a connection of this client's port
 * already.  The body of the loop is a call: else its counter is kept on the stack, where the verifier of 6.1
 * loses it.
 */
__noinline int pol_svc_pick(struct pol_svc *s)
{
	const struct pol_service *v;
	int taken = -1;
	__u32 x;

	v = s ? pol_service_of(s) : NULL;
	if (!v || !v->size)
		return -1;
	x = v->flags & POL_SVC_RANDOM ? bpf_get_prandom_u32() : pol_svc_choice(s, v->seed);
#pragma clang loop unroll(disable)
	for (int tries = 0; tries < POL_SVC_OTHERS; tries++) {
		int r = pol_svc_try(v, s, x);

		if (r <= 0)
			return r;
		if (r > 1)
			taken = 1;
		x = pol_mix(x + 0x9e3779b97f4a7c15ull);
	}
	return taken;
}

static __always_inline int pol_svc_begins(const struct pol_svc *s)
{
	return s->proto != IPPROTO_TCP || !(s->tcp_flags & POL_TCP_RST);
}

/* Of a client's packet whose connection is not known: 0, or a reason. */
__noinline int pol_svc_new(struct pol_svc *s)
{
	int r;

	if (!s)
		return POL_REASON_INTERNAL;
	if (!pol_svc_begins(s))
		return POL_REASON_SVC_STATE;
	if (s->slot)
		pol_svc_remove(s, s->slot);
	r = s->fixed ? pol_svc_taken(s) : pol_svc_pick(s);
	if (r)
		return r < 0 ? POL_REASON_SVC_DOWN : POL_REASON_SVC_FULL;
	s->fresh = 1;
	/* a tunnel works without, as long as nothing changes; an answer could not be translated */
	if (pol_svc_insert(s) && !(s->flags & POL_SVC_TUNNEL))
		return POL_REASON_SVC_FULL;
	return 0;
}

static __always_inline void pol_svc_count(const struct pol_svc *s, __u32 bytes, int reason)
{
	struct pol_svc_hits *h = pol_svc_hits_of(s);

	if (!h)
		return;
	h->packets++;
	h->bytes += bytes;
	h->connections += s->fresh;
	h->refused += reason == POL_REASON_SVC_DOWN;
}

/* ---- checksums ------------------------------------------------------------------------------ */

/* What changes a sum when one address, and one port, take the place of others (RFC 1624). */
static __always_inline __u64 pol_svc_diff_addr(const struct pol_addr *old, const struct pol_addr *new,
					       int v6)
{
	__u64 d = (__u32)~old->w_be[3] + (__u64)new->w_be[3];

	if (v6)
#pragma clang loop unroll(full)
		for (int i = 0; i < 3; i++)
			d += (__u32)~old->w_be[i] + (__u64)new->w_be[i];
	return d;
}

static __always_inline __u64 pol_svc_diff_port(__be16 old, __be16 new)
{
	return (__u16)~old + (__u64)new;
}

/* HC' = ~(~HC + ~m + m') */
static __always_inline __u16 pol_svc_check(__u16 check, __u64 diff)
{
	return ~pol_fold((__u16)~check + diff);
}

/* ---- outer headers --------------------------------------------------------------------------- */

static __always_inline void pol_outer_v4(struct iphdr *ip, const struct pol_addr *from,
					 const struct pol_addr *to, __u32 inner, __u8 tos, __u8 proto)
{
	__u64 sum;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(inner + sizeof(*ip));
	ip->ttl = 64;
	ip->protocol = proto;
	ip->saddr = from->w_be[3];
	ip->daddr = to->w_be[3];
	/* a packet's identification may be 0: it says that it is not cut, or is cut by its size alone */
	sum = bpf_htons(0x4500 | tos) + (__u64)ip->tot_len + bpf_htons(64 << 8 | proto) + ip->saddr +
	      ip->daddr;
	ip->check = ~pol_fold(sum);
}

/* An IPv6 header, as it is written in the fewest stores. */
struct pol_outer_v6 {
	__be32 class_label, length_next_limit;
	struct pol_addr from, to;
};
_Static_assert(sizeof(struct pol_outer_v6) == sizeof(struct ipv6hdr), "an IPv6 header");

/* label: spreads tunnels over paths and queues (RFC 6438). */
static __always_inline void pol_outer_v6(struct pol_outer_v6 *ip, const struct pol_addr *from,
					 const struct pol_addr *to, __u32 inner, __u8 tos, __u8 proto,
					 __u32 label)
{
	ip->class_label = bpf_htonl(6u << 28 | (__u32)tos << 20 | (label & 0xfffff));
	ip->length_next_limit = bpf_htonl(inner << 16 | (__u32)proto << 8 | 64);
	ip->from = *from;
	ip->to = *to;
}

static __always_inline int pol_is_v6(const struct pol_addr *a)
{
	return a->d_be[0] || a->w_be[2] != POL_V4_MAPPED_BE;
}

/*
 * What all packets of a connection have in common and others have otherwise, for who spreads tunnels
 * over paths and queues.  Not the hash itself: nobody is to see which bucket that names.
 */
static __always_inline __u32 pol_svc_spread(const struct pol_svc *s)
{
	return s->hash * 0x9e3779b97f4a7c15ull >> 32;
}

/* The outer source; -1: this host has none. */
static __always_inline int pol_svc_from(const struct pol_svc *s, int v6, struct pol_addr *from)
{
	__u32 family = v6 & 1, zero = 0;
	const struct pol_svc_source *o = bpf_map_lookup_elem(&svc_source, &family);
	const struct pol_svc_self *self;

	if (o && o->from.d_be[1]) {
		*from = o->from;
		from->w_be[3] |= pol_svc_spread(s) & o->spread_be;
		return 0;
	}
	self = bpf_map_lookup_elem(&svc_self, &zero);
	if (!self)
		return -1;
	*from = self->from[pol_within(family, 2)];
	return from->d_be[1] ? 0 : -1;
}

#endif
