/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known about the packet in hand.  It lives on the stack of the entry
 * program; the out-of-line functions take a pointer to it.  These are global
 * functions on purpose: the verifier checks each once, not once a path.
 */
#ifndef POL_BPF_PKT_H
#define POL_BPF_PKT_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

enum pol_frag_kind { POL_FRAG_NONE, POL_FRAG_FIRST, POL_FRAG_LATER };

/* What a message is to the connection table. */
enum pol_msg {
	POL_MSG_PLAIN,		/* may begin a flow or belong to one */
	POL_MSG_ANSWER,		/* ICMP answer: needs the query */
	POL_MSG_ERROR,		/* ICMP error: needs the flow that it is about */
	POL_MSG_ALONE,		/* judged by itself, never tracked */
};

#define POL_PF_HTTP (1u << 8)	/* a verdict sends the flow to the proxy */
#define POL_PF_NEW (1u << 9)	/* to be counted as a connection */
#define POL_PF_FAR (1u << 10)	/* one end is neither this host nor lives on it */
#define POL_PF_AUDIT (1u << 11)	/* an end is only audited: told, and let pass */
#define POL_PF_AUDITED (1u << 12) /* and here is something to tell */
#define POL_PF_ASKED (1u << 13)	/* judged as a new flow: a shadow may have its say */
#define POL_PF_RECYCLE (1u << 14) /* room is to be made for it first: by what its source closed (ct_insert.h) */
#define POL_PF_DISPLACE (1u << 15) /* and by what is half open, of anybody outside */

/* What the proxy has to know before the packet; and what it says of itself. */
#define POL_TELL_FLOW (1u << 0)		/* how the flow was judged */
#define POL_TELL_REPLY (1u << 1)	/* ... of which the packet in hand is a reply */
#define POL_TELL_CREDIT (1u << 2)	/* it is new: one onward connection more */
#define POL_TELL_CLAIM (1u << 3)	/* says that it is the proxy, and will have to prove it */
#define POL_TELL_HAND (1u << 4)		/* the packet itself is for a socket of the proxy */

struct pol_ct_key {
	__u64 addr[4];		/* both addresses, the smaller one first */
	__u32 ports;		/* in the same order, as they stand in the packet */
	__u8 proto;
	__u8 flipped;		/* the packet's sender is the second */
	__u8 pad[2];
	__u64 hash;
};

struct pol_pkt {
	struct pol_addr src, dst;
	/* ICMP queries: sender (identifier, 0), answers (0, identifier) */
	__be16 sport_be, dport_be;
	__u8 proto;		/* transport, behind the extension headers */
	__u8 type;		/* ICMP type; else icmp_type of the flow's entry */
	__u8 tcp_flags;
	__u8 hook;		/* enum pol_hook */

	__u32 l3_off, l4_off;
	__u32 l3_len;		/* from l3_off on, as the header or GSO says */
	__u32 ep;		/* endpoint on whose behalf this hook runs */
	union {
		__u32 frag_id;	/* as it stands in the packet */
		__u32 mtu;	/* of SVC_TOO_BIG: what would fit */
		__be32 seq_be;	/* of a segment that was answered */
	};
	__u16 frag_off;		/* bytes; of a first fragment: how many it covers */
	__u8 frag_proto;	/* names the datagram together with the id */
	__u8 frag;		/* enum pol_frag_kind */

	__u8 v6;
	__u8 msg;		/* enum pol_msg */
	__u8 group;		/* to a multicast or broadcast address */
	__u8 ttl;
	__u8 reason;		/* enum pol_reason */
	__u8 action;		/* enum pol_action */
	__u8 direction;		/* enum pol_direction of the side that decided */
	__u8 rev;		/* judge the sender as the one who answers */

	__u8 from_host;		/* the originator is this host, whatever its address */
	__u8 from_state;
	__u8 local;		/* both ends live here */
	__u8 proxy;		/* POL_CT_PROXY, POL_CT_ONWARD or 0: which half of a proxied flow */
	__u8 served;		/* between a client here and a service's backend: the client's policy was asked of the VIP */
	__u8 ext_seen;		/* extension headers that stood already */
	__u8 tell;		/* POL_TELL_* */
	__be16 type_be;		/* ethertype, behind tags */
	__u16 to;		/* low bits of the number of the endpoint here that it goes to; 0: none */
	__u32 slot;		/* place in the connection table + 1; 0: none */

	__u32 rule[POL_DIRECTIONS];
	__u32 verdict[POL_DIRECTIONS];	/* index + 1; 0: side not judged */
	__u32 judged_ep[POL_DIRECTIONS];
	__u16 incarnation[POL_DIRECTIONS]; /* of those, low bits */
	__u32 audit_rule;
	__u8 audited[POL_DIRECTIONS];	/* enum pol_reason it would have been dropped for; 0: not */
	__u32 flags;		/* POL_VF_* of the verdicts, POL_PF_* */
	__u32 now;		/* CLOCK_MONOTONIC, seconds; 0: not looked at yet */
	union {
		struct pol_ct_key key;
		__u8 buf[40];	/* before that: a header that is not linear */
	};
};

/* Hide a value from the optimiser, which would turn the arithmetic into branches. */
#define pol_opaque(x) asm volatile("" : "+r"(x))
/*
 * i of a table of n, a power of two.  Hidden before it is masked: clang leaves out masks of what it knows
 * and makes an OR of a sum; verifiers before 6.10 have no bounds of an OR, nor of swapped bytes.
 */
#define pol_within(i, n) ({ __u32 pol_i = (i); pol_opaque(pol_i); pol_i & ((n) - 1); })

/* 1 if x, of which one bit at most is set, is not 0. */
static __always_inline __u64 pol_some(__u64 x)
{
	pol_opaque(x);
	return -x >> 63;
}

/*
 * Number of the lowest bit that is set; x is not 0.  No branch: each would double the verifier's
 * paths.
 */
static __always_inline __u32 pol_lowest64(__u64 x)
{
	__u32 n;

	x &= -x;
	n = pol_some(x & 0xaaaaaaaaaaaaaaaaull) | pol_some(x & 0xccccccccccccccccull) << 1 |
	    pol_some(x & 0xf0f0f0f0f0f0f0f0ull) << 2 | pol_some(x & 0xff00ff00ff00ff00ull) << 3 |
	    pol_some(x & 0xffff0000ffff0000ull) << 4 | pol_some(x & 0xffffffff00000000ull) << 5;
	return pol_within(n, 64);
}
/* An argument that nothing reads is left undefined by clang, and refused by the verifier. */
#define pol_used(x) asm volatile("" : : "r"(x))
#define pol_likely(x) __builtin_expect(!!(x), 1)
#define pol_unlikely(x) __builtin_expect(!!(x), 0)

/* The Internet checksum's sum, folded to 16 bits; not complemented. */
static __always_inline __u16 pol_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Sum of the pseudo header of `len` bytes of `proto` between the two, in either direction. */
static __always_inline __u64 pol_pseudo(const struct pol_addr *a, const struct pol_addr *b, int v6,
					__u8 proto, __u32 len)
{
	__u64 sum = bpf_htonl(len) + (__u64)bpf_htonl(proto);

#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++) {
		/* the ::ffff of an IPv4 address is not in its pseudo header */
		sum += i < 3 && !v6 ? 0 : a->w_be[i];
		sum += i < 3 && !v6 ? 0 : b->w_be[i];
	}
	return sum;
}

#define POL_V4_MAPPED_BE bpf_htonl(0x0000ffff)
#define POL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* 1 if x < k, without a branch: the borrow of x - k. */
static __always_inline __u64 pol_lt(__u64 x, __u64 k)
{
	pol_opaque(x);
	return ((~x & k) | ((~x | k) & (x - k))) >> 63;
}

/* One store of eight bytes: the lookups that follow read it as one. */
static __always_inline void pol_from_v4(struct pol_addr *a, __be32 addr_be)
{
	a->d_be[0] = 0;
	a->d_be[1] = bpf_cpu_to_be64(0xffff00000000ull | bpf_ntohl(addr_be));
}

/*
 * Likewise, of a header whose words are only four bytes aligned: two stores of four bytes cannot be
 * forwarded to a load of eight.
 */
static __always_inline void pol_from_v6(struct pol_addr *a, const __be32 *w_be)
{
	for (int i = 0; i < 2; i++) {
		__u64 hi = bpf_ntohl(w_be[2 * i]), lo = bpf_ntohl(w_be[2 * i + 1]);

		a->d_be[i] = bpf_cpu_to_be64(hi << 32 | lo);
	}
}

static __always_inline int pol_same_addr(const struct pol_addr *a, const struct pol_addr *b)
{
	return ((a->d_be[0] ^ b->d_be[0]) | (a->d_be[1] ^ b->d_be[1])) == 0;
}

/*
 * Seconds of CLOCK_MONOTONIC, read once a tick: the clock costs 14 ns and a division,
 * the tick counter nothing.  Both halves are one word, so no CPU sees them apart.
 */
static volatile __u64 pol_tick;

static __always_inline __u32 pol_seconds(void)
{
	__u64 tick = pol_tick, jiffies = (__u32)bpf_jiffies64();

	if (pol_unlikely((__u32)tick != jiffies || !tick)) {
		tick = (bpf_ktime_get_coarse_ns() / 1000000000ull) << 32 | jiffies;
		pol_tick = tick;
	}
	return tick >> 32;
}

/* The endpoint at an interface, or NULL. */
static __always_inline const struct pol_if *pol_if_of(__u32 ifindex)
{
	__u32 near = ifindex & (POL_IF_NEAR - 1);
	const struct pol_if *i = bpf_map_lookup_elem(&if_near, &near);

	if (pol_unlikely(!i || i->ifindex != ifindex))
		i = bpf_map_lookup_elem(&ep_by_if, &ifindex);
	return i && i->kind == POL_IF_ENDPOINT ? i : NULL;
}

/*
 * What is known of an address, or NULL.  Verifiers before 6.2 take no key out of what a global
 * function was given, so it is copied; where the packet is on the caller's own stack
 * pol_owner_here() spares that and 16 bytes of it.
 */
static __always_inline struct pol_owner *pol_owner_here(const struct pol_addr *a)
{
	return bpf_map_lookup_elem(&ep_by_addr, a);
}

static __always_inline struct pol_owner *pol_owner_of(const struct pol_addr *a)
{
	struct pol_addr key = *a;

	return pol_owner_here(&key);
}

/* The same if it is an endpoint on this host, or NULL. */
static __always_inline struct pol_owner *pol_local(struct pol_owner *o)
{
	return o && o->entity == POL_ENTITY_ENDPOINT && o->ifindex ? o : NULL;
}

static __always_inline struct pol_owner *pol_local_owner(const struct pol_addr *a)
{
	return pol_local(pol_owner_of(a));
}

static __always_inline int pol_owned_by(const struct pol_addr *a, __u32 ep)
{
	struct pol_owner *o = pol_local_owner(a);

	return o && o->ep == ep;
}

#endif
