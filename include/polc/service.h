/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services: the contract between the data path (service*.h of the templates), the compiler and the
 * loader.  Compiles as BPF C and as host C; byte order and padding as in abi.h.
 *
 * The compiler writes the VIPs as a table of constants; who the backends are is known on the
 * host: the loader fills services, rings and backends, and changes them at run time.
 * Connections are in a table that outlives generations, with addresses and no numbers: so
 * what a live connection got, it keeps, whatever is applied.
 */
#ifndef POLC_SERVICE_H
#define POLC_SERVICE_H

#include <polc/abi.h>

/* ---- VIPs ---------------------------------------------------------------------- */

/*
 * pol_vips[POL_VIPS_LEN], a hash table in .rodata: at the place that pol_vip_hash() says or at one
 * of the POL_VIP_PROBES - 1 behind it, around the end.  Each address stands a second
 * time with protocol and port 0: "a VIP has this address".
 */
struct pol_vip_slot {
	struct pol_addr addr;
	__be16 port_be;
	__u8 proto;		/* TCP or UDP; 0: the address alone */
	__u8 used;
	__u32 service;		/* index into svc */
	__u64 zero;
};
#define POL_VIP_PROBES 4u
#define POL_VIPS_MAX 65536u	/* VIPs of one object */

/* Not secret: who chooses an address chooses a place, of which there are POL_VIP_PROBES to look at. */
static inline __u32 pol_vip_hash(const struct pol_addr *a, __be16 port_be, __u8 proto)
{
	__u64 x = (a->d_be[0] ^ (__u64)proto << 16 ^ port_be) * 0x9e3779b97f4a7c15ull ^ a->d_be[1];

	/*
	 * an IPv4 address is in the upper half, whose bits would not reach the lower ones of what
	 * is returned
	 */
	x ^= x >> 32;
	x *= 0xbf58476d1ce4e5b9ull;
	return x >> 32;
}

/* ---- services, rings, backends: of one generation -------------------------------- */

#define POL_SERVICES_MAX 8192u	/* of one object: each twice, once for each family of VIPs */

#define POL_SVC_DSR (1u << 0)	/* to other hosts by encapsulation, answered from there */
#define POL_SVC_RANDOM (1u << 1) /* a new flow goes to any place of the ring */

/* svc: number 2n is service n of the manifest for IPv4 VIPs, 2n + 1 for IPv6. */
struct pol_service {
	__u32 ring;		/* first block in svc_ring */
	__u32 size;		/* places of its ring, a prime; 0: no backend is up, which is said to the client */
	__u32 flags;		/* POL_SVC_* */
	__u32 seed;		/* of the hash that chooses: the same on every balancer */
	__u32 places;		/* of its ring, also while no backend is up */
	__u32 zero;
};

/* svc_ring: places hold indices into svc_backends. */
#define POL_RING_BLOCK 32u
struct pol_ring_block {
	__u16 backend[POL_RING_BLOCK];
};

#define POL_BACKENDS_MAX 65535u
#define POL_BACKEND_LOCAL (1u << 0)	/* an endpoint on this host */
struct pol_svc_backend {
	struct pol_addr addr;
	__be16 port_be;		/* 0: there is none at this index */
	__u16 flags;		/* POL_BACKEND_* */
	__u32 service;		/* index into svc */
};

/* svc_self, one element: what encapsulated packets come from; and what may unpack here. */
struct pol_svc_self {
	struct pol_addr from[2];	/* IPv4, IPv6; zero: this host has none, and sends none */
};

/*
 * svc_source, IPv4 and IPv6: what encapsulated packets come from instead, if the host file says so.
 * Connections differ in the bits that may, so that the queues of who receives them share the work.
 */
struct pol_svc_source {
	struct pol_addr from;	/* zero: not said */
	__be32 spread_be;	/* of its last word: the bits that may differ, at most POL_SVC_SPREAD */
	__u32 zero;
};
#define POL_SVC_SPREAD 8u

/* svc_balancers: source address of a listed balancer -> 1. */
#define POL_SVC_BALANCERS_MAX 1024u

/* svc_hits, per CPU, by service. */
struct pol_svc_hits {
	__u64 packets, bytes;	/* of clients */
	__u64 connections;
	__u64 refused;		/* answered because no backend is up */
	__u64 displaced;	/* half-open connections that gave their place to one of these */
	__u64 evicted;		/* likewise open ones, of tunnels: the last resort */
};

/* ---- connections: shared by all generations --------------------------------------- */

/*
 * Buckets of a line of tags and eight entries, as the connection table of abi.h.  Both directions
 * hash over the client's address, port and protocol alone, so a packet to the VIP and
 * the backend's answer find one entry in one place.
 */
#define POL_SVC_LOCAL (1u << 0)		/* the backend is an endpoint here */
#define POL_SVC_TUNNEL (1u << 1)	/* goes to it encapsulated; answers do not come by here */
#define POL_SVC_UNPACKED (1u << 2)	/* came encapsulated from a balancer */
#define POL_SVC_REPLIED (1u << 3)
#define POL_SVC_FIN_CLIENT (1u << 4)
#define POL_SVC_FIN_BACKEND (1u << 5)
#define POL_SVC_INSIDE (1u << 6)	/* the client is an endpoint here */
#define POL_SVC_OUTER6 (1u << 7)	/* of one that came encapsulated: in IPv6 */

struct pol_svc_entry {		/* 64 bytes: one cache line */
	struct pol_addr client, vip, backend;
	__u32 seen;		/* seconds, CLOCK_MONOTONIC, of the last packet */
	__be16 cport_be, vport_be, bport_be;
	__u8 proto;
	__u8 state;		/* enum pol_ct_state */
	__u8 flags;		/* POL_SVC_LOCAL ... */
	__u8 pad[3];
};

#define POL_SVC_TAG_VERSION ((1ull << 22) - 1)	/* of a tag: outlives the entry */
struct pol_svc_bucket {
	__u64 tag[POL_CT_WAYS];
	struct pol_svc_entry entry[POL_CT_WAYS];
};

/*
 * svc_ports, one element: bit p, in the order of words and then of bits, for each port p (host order)
 * that a backend of a live connection may have.  Set by the loader, never cleared while there are
 * services: it only saves the look-up for answers of others.
 */
struct pol_svc_ports {
	__u64 bit[1024];
};

/*
 * svc_state, the loader's own: what was said of a backend at run time.  Keyed by name and address, so
 * it outlives generations.
 */
#define POL_SVC_NAME 256
struct pol_svc_state_key {
	char service[POL_SVC_NAME];	/* NUL-padded */
	struct pol_addr addr;
	__be16 port_be;
	__u8 zero[6];
};
struct pol_svc_state {
	__u32 weight;		/* 0: as the policy says */
	__u8 drained;
	__u8 down;		/* by a health check */
	__u8 zero[2];
	__u64 since;		/* seconds since 1970 of the last change of `down` */
	char why[48];		/* of the last failed check, NUL-terminated */
};

#define POL_MAP_SVC "svc"			/* ARRAY struct pol_service */
#define POL_MAP_SVC_RING "svc_ring"		/* ARRAY struct pol_ring_block, mmapable */
#define POL_MAP_SVC_BACKENDS "svc_backends"	/* ARRAY struct pol_svc_backend, mmapable */
#define POL_MAP_SVC_HITS "svc_hits"		/* PERCPU_ARRAY struct pol_svc_hits */
#define POL_MAP_SVC_SELF "svc_self"		/* ARRAY[1] struct pol_svc_self */
#define POL_MAP_SVC_SOURCE "svc_source"		/* ARRAY[2] struct pol_svc_source; shared */
#define POL_MAP_SVC_BALANCERS "svc_balancers"	/* HASH struct pol_addr -> u32 */
#define POL_MAP_SVC_CT "svc_ct"			/* ARRAY[2^n] struct pol_svc_bucket, mmapable; shared */
#define POL_MAP_SVC_PORTS "svc_ports"		/* ARRAY[1] struct pol_svc_ports; shared */
#define POL_MAP_SVC_STATE "svc_state"		/* HASH struct pol_svc_state_key -> struct pol_svc_state; shared, the loader's */

POL_ASSERT_SIZE(struct pol_vip_slot, 32);
POL_ASSERT_SIZE(struct pol_service, 24);
POL_ASSERT_SIZE(struct pol_ring_block, 64);
POL_ASSERT_SIZE(struct pol_svc_backend, 24);
POL_ASSERT_SIZE(struct pol_svc_self, 32);
POL_ASSERT_SIZE(struct pol_svc_source, 24);
POL_ASSERT_SIZE(struct pol_svc_hits, 48);
POL_ASSERT_SIZE(struct pol_svc_entry, 64);
POL_ASSERT_SIZE(struct pol_svc_bucket, 576);
POL_ASSERT_SIZE(struct pol_svc_ports, 8192);
POL_ASSERT_SIZE(struct pol_svc_state_key, 280);
POL_ASSERT_SIZE(struct pol_svc_state, 64);

#endif
