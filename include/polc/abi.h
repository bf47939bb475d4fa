/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between the data path (bpf-templates/), the object writer
 * (compiler/) and the loader (runtime/): map keys, values and names.
 *
 * Compiles as BPF C and as host C.  All integers are in host byte order unless
 * the name ends in _be; addresses are in network byte order.  Every struct is
 * free of padding (checked below), so that a key can be compared as bytes.
 * A change of any layout here is a new POL_ABI_VERSION; of a map that outlives a run of polload
 * also a new PRT_LAYOUT (runtime/generation/shared.h).
 */
#ifndef POLC_ABI_H
#define POLC_ABI_H

#include <linux/types.h>
#include <polc/reasons.h>

#define POL_ABI_VERSION 7

/* ---- identity ----------------------------------------------------------- */

/* IPv4 is kept as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct pol_addr {
	union {
		__u8 b[16];
		__be32 w_be[4];
		__be64 d_be[2];
	};
};

/*
 * What an address is, beyond its bits.  WORLD covers also the addresses inside
 * `pool` that no endpoint owns: which of the two an address is, is known when
 * the policy is compiled, so both are columns by address class.
 */
enum pol_entity {
	POL_ENTITY_WORLD = 0,	/* no endpoint, no node, not this host */
	POL_ENTITY_HOST = 1,	/* this machine itself */
	POL_ENTITY_NODE = 2,	/* another machine of the host file */
	POL_ENTITY_ENDPOINT = 3,/* a container, here or elsewhere */
	POL_ENTITY_STATIC_MAX = 3,
};

/* ---- the decision tables ------------------------------------------------- */

/*
 * A verdict is found by walking a tree of pages: POL_PAGE entries of u32 each,
 * page p at pages[p * POL_PAGE].  The key is (column, l4 class), POL_PAGE_BITS
 * a level, column first; inner entries are page numbers, entries of the last
 * level are verdict numbers.  Page 0 is all zero and verdict 0 denies, so what
 * nobody filled is closed.
 *
 * Columns: entity * addr_classes_padded + address class for WORLD, HOST and
 * NODE; behind them (from 3 * addr_classes_padded on) one for each kind of
 * endpoint, numbered by the loader.
 */
#define POL_PAGE_BITS 5
#define POL_PAGE (1u << POL_PAGE_BITS)

enum pol_direction { POL_INGRESS = 0, POL_EGRESS = 1, POL_DIRECTIONS = 2 };

enum pol_action {
	POL_DENY = 0,
	POL_REJECT = 1,
	POL_ALLOW = 2,
	POL_SKIP = 3,		/* tier rules only; never in a final table */
	POL_NONE = 4,		/* no rule matched; never in a final table */
};

#define POL_VERDICT_CLOSED 0u	/* the verdict of what nobody filled */
#define POL_VERDICT_NONE 1u	/* "no rule matched", neutral when verdicts are combined */
#define POL_VERDICT_LIMITS 8	/* limits that one verdict can name */

#define POL_VF_LOG (1u << 0)	/* report each new connection */
/*
 * Of an allow: its limits and its `log` hold together with those of other such
 * allows, whichever comes first.  So it is in ordinary policies; in tiers, which
 * are first-match, one rule alone decides and combining would not be associative
 * if its log were kept for the rules before it.
 */
#define POL_VF_ADDS (1u << 1)
#define POL_VF_PLAIN (1u << 2)	/* beside `http`: a plain allow matched too, only deny lines count */

#define POL_NO_RULE 0xffffffffu

#define POL_VERDICT_HTTP 32	/* http rules that one verdict can name */

/* Two cache lines; the data path reads the first. */
struct pol_verdict {
	__u32 order;		/* rank of the deciding rule in first-match order, lowest wins */
	__u32 rule;		/* deciding rule, index into the manifest's rules */
	__u32 audit_rule;	/* what an audit policy would have denied by, or POL_NO_RULE */
	__u8 action;		/* enum pol_action */
	__u8 flags;		/* POL_VF_* */
	__u16 nlimits;
	__u32 limit[POL_VERDICT_LIMITS]; /* indices into the limits table, ascending */
	__u32 nhttp;		/* of an ALLOW: not 0, and the flow goes to the proxy */
	__u32 spare[3];
	__u16 http[POL_VERDICT_HTTP]; /* rules of the image (polc/http.h), ascending */
};

/* One `limit` clause; a table in .rodata. */
struct pol_limit {
	__u64 ns_per_token;	/* 10^9 / rate */
	__u64 burst_ns;		/* burst * ns_per_token: the depth of the bucket */
	__u32 rule;
	__u8 per_source;	/* 0: one bucket for the endpoint */
	__u8 len4, len6;	/* prefix length that names a source */
	__u8 pad;
};

struct pol_limit_key {
	struct pol_addr source;	/* masked to the length; zero for the shared bucket */
	__u32 limit;
	__u32 ep;		/* number, and above it 16 bits of its incarnation */
};

/* Generic cell rate: full when `empty_at` <= now - burst_ns. */
struct pol_limit_state {
	__u64 lock_and_pad;	/* a struct bpf_spin_lock lives here in BPF C */
	__u64 empty_at_ns;	/* CLOCK_MONOTONIC */
};

/* ---- endpoints ------------------------------------------------------------ */

#define POL_EP_MAX 65536u	/* endpoint numbers are below; 0 is never one */
#define POL_SLOT_MAX 131072u	/* address slots, likewise */

/* ep_by_if: ifindex -> what hangs there */
enum pol_if_kind { POL_IF_ENDPOINT = 1, POL_IF_UPLINK = 2, POL_IF_LO = 3 };
#define POL_IF_HAS_MAC (1u << 0) /* frames must carry mac as their source */
/*
 * A veth that is no port of anything and has its peer in another namespace; mac and host_mac
 * are both known.  What is local may be handed to it without the stack.
 */
#define POL_IF_PEER (1u << 1)
#define POL_IF_XDP (1u << 2)	/* of an uplink: its packets meet filters or services */
#define POL_IF_DIRECT (1u << 5)	/* likewise: it sends what XDP gives it */
#define POL_IF_SOFT (1u << 7)	/* likewise: of software, frames that come in may have half-made checksums */
#define POL_IF_OUT (1u << 6)	/* likewise: answers of backends leave by it, and become the VIP's */
#define POL_IF_AUDIT (1u << 3)	/* likewise: report what a filter would drop, and pass it */
/*
 * A port of a bridge or the like, which takes its frames before the stack sees them: what is
 * for the proxy goes by lo.
 */
#define POL_IF_PORT (1u << 4)
#define POL_LO_IFINDEX 1u	/* in every network namespace (LOOPBACK_IFINDEX, include/net/flow.h) */
struct pol_if {
	__u32 ep;		/* 0 for an uplink */
	__u8 kind;		/* enum pol_if_kind */
	__u8 flags;		/* POL_IF_* */
	__u8 mac[6];		/* the MAC inside the container; zero: not known */
	__u32 ifindex;		/* whose this is: see if_near */
	/*
	 * An IPv4 and an IPv6 address of the endpoint, so that most packets need no lookup in
	 * ep_by_addr to prove their source; zero, or not the packet's: ep_by_addr decides.
	 */
	struct pol_addr addr[2];
	__u8 host_mac[6];	/* of the device itself; of a port: its bridge's, zero if it is no bridge */
	__u8 zero[2];
	__u64 filters;		/* of an uplink: bit n, its packets meet filter n of the object */
};

/*
 * if_near: the values of ep_by_if once more, at [ifindex % POL_IF_NEAR], for the lookup that
 * every packet makes.  Only a copy: a place that another interface has, or none, sends
 * the packet to ep_by_if.  Written after ep_by_if, cleared before it.
 */
#define POL_IF_NEAR 4096u

/* ep_by_addr: address -> whose it is.  Not in the map: WORLD. */
struct pol_owner {
	__u32 ep;		/* 0 for host and nodes */
	__u32 slot;		/* index into addr_column; 0 for host and nodes */
	__u32 ifindex;		/* device of a local endpoint; 0: lives elsewhere */
	__u8 entity;		/* enum pol_entity */
	__u8 stated;		/* of host and nodes: 1, the host file says so; 0, found on an interface */
	__u8 pad[2];
};

/* ep_state, one array a generation: endpoint -> its rows.  Zero: closed. */
struct pol_ep_state {
	__u32 root[POL_DIRECTIONS];	/* page number of its tree */
	__u32 incarnation;	/* of the endpoint number, so that a reuse inherits nothing */
	__u32 flags;		/* POL_EP_* */
};
#define POL_EP_AUDIT (1u << 0)	/* report what would be dropped, and pass it */
#define POL_EP_LATE (1u << 1)	/* nothing of it lived before the first apply: it has no part in the grace of flow.h */

/* addr_column, one array a generation: slot -> column of that endpoint's address; 0 = none. */

/* ep_info, user space only: what the loader needs to rebuild its view. */
#define POL_EP_NAME 64
#define POL_EP_LABELS 1984
struct pol_ep_info {
	char name[POL_EP_NAME];		/* NUL-terminated */
	char labels[POL_EP_LABELS];	/* "key\0value\0..." ended by an empty key */
	__u32 incarnation;
	__u32 ifindex;			/* 0: remote */
	__u8 managed;			/* 1: from the host file, 2: added at run time */
	__u8 late;			/* came after the first apply: POL_EP_LATE */
	__u8 pad[6];
};

/* ---- connection tracking --------------------------------------------------- */

/*
 * A table of our own in an array of buckets (a line of tags, eight entries).
 * The addresses of an entry stand in sorted order, so that both directions of
 * a flow hash and compare alike; POL_CT_FLIPPED tells that the originator is
 * the second.  For ICMP and ICMPv6 queries the ports are (identifier, 0) on
 * both sides and `type` is in the state byte's neighbour.
 */
#define POL_CT_WAYS 8
#define POL_CT_FLIPPED (1u << 0)
#define POL_CT_REPLIED (1u << 1)	/* seen in both directions */
#define POL_CT_FIN_ORIG (1u << 2)
#define POL_CT_FIN_REPLY (1u << 3)
#define POL_CT_LOCAL (1u << 4)		/* both ends live on this host */
#define POL_CT_SIMUL (1u << 5)		/* TCP: both sides sent a SYN, both were allowed */
#define POL_CT_HOST (1u << 6)		/* the originator is this host, whatever its address */
#define POL_CT_FAR (1u << 7)		/* one end is neither this host nor lives on it */
/*
 * In icmp_type of what is not ICMP: the originator's own device saw the packet that began it,
 * with these addresses.  Nothing translates it, so either end may be handed what the other sends.
 */
#define POL_CT_DIRECT 1u
/* Likewise: the client's half of a flow that the proxy answers, and the proxy's onward half. */
#define POL_CT_PROXY 2u
#define POL_CT_ONWARD 4u
#define POL_CT_LATE 8u	/* with one of these: what the proxy gets of it comes past an endpoint's device, and goes by lo */

enum pol_ct_state {
	POL_CT_FREE = 0,
	POL_CT_SYN_SENT,
	POL_CT_SYN_RECV,
	POL_CT_ESTABLISHED,
	POL_CT_CLOSING,
	POL_CT_CLOSED,		/* RST seen, or both FINs acknowledged */
	POL_CT_UNREPLIED,	/* not TCP, one direction seen */
	POL_CT_REPLYING,	/* not TCP, both seen */
	POL_CT_STATE_MAX,
};

/* Seconds without a packet; Linux: net/netfilter/nf_conntrack_proto_tcp.c and _udp.c. */
#define POL_CT_T_SYN_SENT 30u	/* Linux 120; a SYN is repeated after 1, 2, 4, 8 s */
#define POL_CT_T_SYN_RECV 60u	/* Linux 60 */
#define POL_CT_T_ESTABLISHED 21600u /* Linux 5 days; RFC 5382 asks for 2 h 4 min or more */
#define POL_CT_T_CLOSING 120u	/* Linux: FIN_WAIT and TIME_WAIT 120 */
#define POL_CT_T_CLOSED 10u	/* Linux: CLOSE 10 */
#define POL_CT_T_UNREPLIED 30u	/* Linux: UDP 30, ICMP 30 */
#define POL_CT_T_REPLYING 180u	/* Linux 120 (was 180) */

/* Of a tag: its entry counts; a writer holds it, and what it says may be half written. */
#define POL_TAG_USED (1ull << 63)
#define POL_TAG_BUSY (1ull << 62)

struct pol_ct_entry {		/* 64 bytes: one cache line */
	struct pol_addr addr[2];
	__be16 port_be[2];
	__u8 proto;
	__u8 state;		/* enum pol_ct_state */
	__u8 flags;		/* POL_CT_* */
	__u8 icmp_type;		/* of the query that began it; not ICMP: POL_CT_DIRECT, _PROXY, _ONWARD or 0 */
	__u32 gen;		/* generation that judged it last (low 32 bits) */
	__u32 rule[POL_DIRECTIONS]; /* by which rules; POL_NO_RULE where that end is not local */
	__u32 seen;		/* seconds, CLOCK_MONOTONIC, of the last packet */
	/*
	 * The endpoints that were asked: [POL_EGRESS] the originator, [POL_INGRESS] the one who
	 * answers; 0: not local.  An entry counts only while both still are who they were.
	 */
	__u16 ep[POL_DIRECTIONS];
	__u16 incarnation[POL_DIRECTIONS]; /* low bits */
};

struct pol_ct_bucket {
	__u64 tag[POL_CT_WAYS];
	struct pol_ct_entry entry[POL_CT_WAYS];
};

/* ---- fragments -------------------------------------------------------------- */

struct pol_frag_key {
	struct pol_addr src, dst;
	__be32 id_be;		/* IPv4: 16 bits in the low half, in network order */
	__u8 proto;
	__u8 whose;		/* POL_FRAG_ANSWER: of a backend; POL_FRAG_GROUP + hook: of a group, at this endpoint's device; else 0 */
	__u16 ep;		/* low bits of its number, or 0 */
};
#define POL_FRAG_ANSWER 1u
#define POL_FRAG_GROUP 2u
struct pol_frag {
	__u64 seen_ns;
	__be16 sport_be, dport_be;
	__u16 next_offset;	/* bytes: what the first one covered; lower offsets overlap */
	__u8 pass;		/* the first fragment was let through */
	__u8 pad[1];
	__u32 gen;
	__u16 to;		/* both ends live on this host: low bits of the receiver's number; else 0 */
	__u16 spare;
};

/* ---- flows of the proxy --------------------------------------------------------- */

/*
 * proxy_flows: what the data path handed to the proxy; the proxy's only source of
 * identity and rules.  Keyed as the client sees the flow: the proxy's accepted
 * socket has src:sport as its peer and dst:dport as its own name.
 */
struct pol_proxy_key {
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	__u32 zero;
};
/*
 * What the verdict of one direction asks of requests.  A copy, not its number: numbers are used
 * again when endpoints come and go.
 */
struct pol_proxy_side {
	__u32 rule;			/* that decided */
	__u16 nhttp;			/* 0: every request passes */
	__u8 judged;			/* 0: that end does not live here, nothing is asked */
	__u8 plain;			/* POL_VF_PLAIN */
	__u16 http[POL_VERDICT_HTTP];
};
struct pol_proxy_flow {
	__u64 gen;			/* generation that judged it last; its image */
	__u32 ep[POL_DIRECTIONS];	/* [POL_EGRESS] the client's endpoint, [POL_INGRESS] the server's; 0: none here */
	__u32 incarnation[POL_DIRECTIONS];
	__u32 seen;			/* seconds, CLOCK_MONOTONIC */
	__u32 ifindex;			/* by which device the client's packets came */
	struct pol_proxy_side side[POL_DIRECTIONS];
};

/*
 * proxy_onward: one-shot leave for the proxy's onward connection, written with the
 * redirect.  Keyed without source port: the proxy connects from the client's
 * address by a port of its own.
 */
/* proxy_self: who the proxy is.  Written by the loader whenever it speaks to the proxy. */
struct pol_proxy_self {
	__u64 cgroup;			/* id of its cgroup (v2); 0: not known, and not asked */
	__u32 uid;			/* of its workers */
	__u16 port, workers;		/* of the first listener; 0 workers: there is none */
};

struct pol_onward_key {
	struct pol_addr src, dst;
	__be16 dport_be;
	__u16 zero[3];
};
struct pol_onward {
	__u32 credits;			/* SYNs that may pass; one is taken atomically by each */
	__u32 seen;			/* seconds, CLOCK_MONOTONIC, of the last redirect */
	__u32 host;			/* 1: the client is this host, whatever its address */
};
/*
 * proxy_again: leave for a client's SYN to open a connection where the one before it is still in
 * TIME_WAIT on the proxy's side (bpf-templates/timewait.h).  proxy_listeners: the sockets that they
 * open at.
 */
struct pol_proxy_again {
	__u64 at_ns;			/* CLOCK_MONOTONIC */
	__u32 listener;			/* index into proxy_listeners */
	__u32 zero;
};
#define POL_AGAIN_NS 1000000000ull	/* that it lasts: the kernel asks within the same run */
#define POL_AGAIN_MAX 4096u
#define POL_AGAIN_LISTENER(worker, v6) ((worker) % (POL_AGAIN_LISTENERS / 2) * 2 + !!(v6))
#define POL_AGAIN_LISTENERS 128u	/* two for each worker that there may be (polc/proxy.h) */

#define POL_ONWARD_MAX 65535u		/* credits of one key, about */
#define POL_ONWARD_SECONDS 120		/* that a credit lasts */

/* ---- dynamic sets ---------------------------------------------------------------- */

/*
 * sets: place -> an array of lines, the image of a set; an empty place is an empty set.  Made whole by
 * the loader, and never changed once it is there.  Line 0 is struct pol_set_half of IPv4 and of
 * IPv6; line 1 struct pol_set_raw, for the loader.  Places count doubles (u64) from the beginning.
 */
#define POL_SETS_MAX 64u	/* of a host */

struct pol_set_line { __u64 d[8]; };

struct pol_set_half {
	__u64 base;		/* first bound: of IPv6 its high half */
	__u32 shift, buckets;	/* (address - base) >> shift: which bucket; behind the last: behind all bounds */
	__u32 bucket;		/* place: bounds before << 32 | bounds inside, a bucket each */
	__u32 bound;		/* place: IPv4 two a double, the lower word first; IPv6 high half, low half */
	__u64 n;		/* bounds: where ranges begin and end, in turn */
};

struct pol_set_raw {		/* the prefixes as they were given, sorted */
	__u32 v4, v6;		/* places: address << 8 | length; high half, low half, length */
	__u64 n4, n6;
	__u64 spare[5];
};

/* ---- counters and events ------------------------------------------------------ */

struct pol_count { __u64 packets, bytes; };	/* drops: per CPU, by enum pol_reason */

struct pol_rule_hits {			/* rule_hits: per CPU, by rule; one map a generation */
	__u64 packets, bytes;		/* packets count GSO segments */
	__u64 connections;
	__u64 last_ns;			/* CLOCK_MONOTONIC */
};

enum pol_event_kind {
	POL_EVENT_NEW = 1,	/* a new connection */
	POL_EVENT_DROP = 2,
	POL_EVENT_AUDIT = 3,	/* would have been dropped */
	POL_EVENT_LOG = 4,	/* a new connection by a rule with `log` */
	POL_EVENT_KINDS = 5,
};

struct pol_event {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	struct pol_addr src, dst;
	__be16 sport_be, dport_be; /* ICMP: dport is the type, in network order */
	__u8 proto;
	__u8 kind;		/* enum pol_event_kind */
	__u8 reason;		/* enum pol_reason; of AUDIT: what it would have been */
	__u8 hook;		/* enum pol_hook */
	__u32 gen;
	__u32 rule;		/* that decided; POL_NO_RULE where none did */
	__u32 other;		/* of what passes: the other end's rule, or POL_NO_RULE */
	__u32 ep;		/* the endpoint judged; 0 if none */
	__u32 length;		/* bytes of the packet */
	__u32 ifindex;
	__u8 direction;		/* enum pol_direction of the rule */
	__u8 pad[3];
};

/*
 * Readers of events.  Each has a place of its own: a ring buffer in `rings`, what it asks for
 * in `watch`, and what it did not get in `watch_lost`.  So no reader takes from
 * another, and what is lost is what this reader asked for.  Nobody there: nothing is made.
 *
 * A place belongs to whoever holds the lock on its folder (runtime/look/watch.h).
 */
#define POL_WATCHERS 8
#define POL_WATCH_NETS 2	/* addresses of an end: an IPv4 and an IPv6 one */
#define POL_WATCH_REASONS 128

struct pol_watch_net { struct pol_addr addr, mask; };

struct pol_watch {		/* 0 everywhere but in `kinds`: everything, without a rate */
	__u32 kinds;		/* 1 << enum pol_event_kind; 0: nobody is here */
	__u32 rule;		/* number + 1; of generation `gen` */
	__u32 gen;
	__u16 port_lo, port_hi;	/* destination port or ICMP type; port_hi 0: any */
	__u8 proto, has_proto;
	__u8 nsrc, ndst;	/* 0: any */
	__u32 pad;
	__u64 reasons[POL_WATCH_REASONS / 64]; /* bits by enum pol_reason; all 0: any */
	__u64 ns_per_event;	/* 0: as many as there are; else on each CPU */
	__u64 burst_ns;
	struct pol_watch_net src[POL_WATCH_NETS], dst[POL_WATCH_NETS];
};
struct pol_watch_set {
	__u32 kinds;		/* what somebody asks for */
	__u32 pad;
	struct pol_watch at[POL_WATCHERS];
};
struct pol_watch_lost {		/* per CPU */
	__u64 empty_at_ns;	/* of the rate; see struct pol_limit_state */
	__u64 lost[POL_EVENT_KINDS]; /* over the rate, or the ring was full; only ever grows */
};

/*
 * audited: what audit saw, for `polload suggest`; one map a generation.  What finds no room is
 * counted in audit_lost.
 */
struct pol_audit_key {
	struct pol_addr peer;	/* the other end */
	__u32 ep;		/* whose rules were asked */
	__u32 rule;		/* that would have denied, or POL_NO_RULE */
	__u16 port;		/* destination port, or ICMP type */
	__u8 proto;
	__u8 direction;		/* enum pol_direction */
	__u8 reason;		/* enum pol_reason it would have been dropped for */
	__u8 from_host;		/* the peer is this host, whatever its address */
	__u8 pad[2];
};
struct pol_audit_seen {
	__u64 flows;		/* times that it was judged */
	__u64 first_ns, last_ns; /* CLOCK_MONOTONIC */
};

/*
 * scratch: per CPU, one element; the last packet that this CPU judged.  Written
 * by every program, read by the packet and property tests and by `polload why`.
 */
struct pol_scratch {
	struct pol_addr src, dst;
	__be16 sport_be, dport_be;
	__u8 proto;
	__u8 reason;		/* enum pol_reason */
	__u8 action;		/* enum pol_action as judged: of the side that decided */
	__u8 direction;		/* enum pol_direction of the side that decided */
	__u32 rule[POL_DIRECTIONS]; /* rule of each side, POL_NO_RULE where not judged */
	__u32 audit_rule;
	__u32 from_state;	/* 1: passed by a live flow, no rule asked */
};

/* ---- flows that are asked about ----------------------------------------------- */

/* What the policy of one generation says of a flow. */
struct pol_opinion {
	__u32 rule[POL_DIRECTIONS]; /* of each side; POL_NO_RULE where it was not judged */
	__u8 action;		/* enum pol_action of the side that decided */
	__u8 direction;		/* enum pol_direction of it */
	__u8 http;		/* allowed, and http rules hold */
	__u8 reason;		/* enum pol_reason; 0: allowed */
};

/*
 * A flow without a packet in hand.  In the map `asked`, per CPU: [0] is the flow that the packet
 * at hand begins, written by the generation in force for pol_shadow; [1] is pol_ask's, which gets
 * it from the loader behind the Ethernet header of a BPF_PROG_TEST_RUN and returns it there.
 */
struct pol_asked {
	struct pol_addr src, dst;	/* src began it */
	__be16 sport_be, dport_be;	/* ICMP: identifier, 0 */
	__u8 proto;
	__u8 type;		/* of an ICMP query; else POL_CT_DIRECT or 0 */
	__u8 from_host;		/* this host began it, whatever its address */
	__u8 group;		/* multicast or broadcast: judged for `ep` at `hook` alone */
	__u8 hook;		/* enum pol_hook */
	__u8 v6;
	__u8 enter;		/* pol_ask: enum pol_ct_state to enter it in the table; 0: do not */
	__u8 note;		/* pol_ask: count it, and in `diffs` if `was` and `is` differ */
	__u32 ep;
	struct pol_opinion was, is;	/* of the generation in force, and of the one that is asked */
};

/* diffs: flows that two generations judge differently, by the rules; of the one that is asked. */
struct pol_shadow_key {
	__u32 was_rule, is_rule;	/* of the side that decided */
	__u8 was, is;			/* enum pol_action, and POL_SHADOW_HTTP */
	__u8 live;			/* 1: it was there when the shadow began */
	__u8 pad;
};
#define POL_SHADOW_HTTP 0x80u
struct pol_shadow_diff {
	__u64 flows;
	struct pol_asked sample;	/* the first */
	__u32 seen;			/* seconds, CLOCK_MONOTONIC, of the last */
	__u32 spare;
};
#define POL_SHADOW_DIFFS 4096u		/* pairs of rules */

/* diff_sums: ARRAY[1] */
struct pol_shadow_sums {
	__u64 fresh, live;		/* flows that were judged twice */
	__u64 differ;			/* of those */
	__u64 lost;			/* of those, without a place in `diffs` */
};

/* ---- hooks and names ------------------------------------------------------------ */

enum pol_hook {
	POL_HOOK_EP_OUT = 0,	/* TC ingress of a container's host-side device: what it sends */
	POL_HOOK_EP_IN = 1,	/* TC egress of the same device: what is delivered to it */
	POL_HOOK_UPLINK_IN = 2,	/* TC ingress of an uplink */
	POL_HOOK_LO_IN = 3,	/* TC ingress of lo: what carries POL_MARK_PROXY; attached with http rules */
	POL_HOOK_UPLINK_OUT = 4,/* TC egress of an uplink; there only if there are services */
	POL_HOOK_MAX,		/* of the TC hooks, for which every object has a program */
	POL_HOOK_XDP = POL_HOOK_MAX, /* XDP of an uplink; objects with filters or services have one */
	POL_HOOKS,
};

/* root (PROG_ARRAY): slot of a TC hook in the generation that `active` names. */
#define POL_ROOT_SLOT(hook, gen) ((hook) * 2 + ((gen) & 1))
/*
 * root_xdp (PROG_ARRAY; programs of two types cannot share one).  A generation without filters and
 * services has a program there that passes everything on: an empty slot is always an accident.
 */
#define POL_ROOT_XDP_SLOT(gen) ((gen) & 1)

/* Programs of an object, by hook: function names, in section "tc" or, of XDP, "xdp.frags". */
#define POL_PROG_EP_OUT "pol_ep_out"
#define POL_PROG_EP_IN "pol_ep_in"
#define POL_PROG_UPLINK_IN "pol_uplink_in"
#define POL_PROG_UPLINK_OUT "pol_uplink_out"
#define POL_PROG_XDP "pol_xdp"
#define POL_PROG_LO_IN "pol_lo_in"
/*
 * Not loaded unless asked for: the same with a look at a shadow; what a shadow says to them (by
 * `shadow`); and what the loader asks.
 */
#define POL_PROG_WATCHED "_watched"	/* behind each name above */
#define POL_PROG_SHADOW "pol_shadow"
#define POL_PROG_ASK "pol_ask"
/* Of objects with http rules, in section "sk_lookup": bpf-templates/timewait.h. */
#define POL_PROG_LISTENER "pol_listener"

/*
 * Mark of a packet that was judged and may be delivered.  It counts only
 * together with a non-zero skb->ingress_ifindex (what this host itself sends
 * has none, whatever SO_MARK it sets), only for the address that the
 * delivering device's endpoint owns, and only if skb->tc_index names that endpoint (its number, 16 bits):
 * a packet that the host translated to another one's address after it was judged is judged anew.
 * The judge sets tc_classid, which the kernel makes tc_index of what passes (tcx_action_code(), tc_run()).
 * Unlike a mark, tc_index crosses namespaces, so a container can choose it: alone it says nothing.
 */
#define POL_MARK_JUDGED 0x00000100u
/*
 * Our own answer (RST, unreachable) to what this host sent to an endpoint, on its
 * way back through the endpoint's device.  A container cannot set it: a mark does
 * not survive the crossing of a namespace.
 */
#define POL_MARK_ANSWER 0x00000400u
/*
 * To a socket of the proxy on this host, by a rule and a local route.  Authorises nothing: an
 * endpoint's device drops what carries it.
 */
#define POL_MARK_PROXY 0x00000200u
/*
 * Of the proxy's sockets: listeners (accepted sockets inherit it) and onward connections.  No
 * rule routes by it.  It tells whose a socket is, and asks for a credit of proxy_onward.
 */
#define POL_MARK_ONWARD 0x00000300u
#define POL_MARK_MASK 0x00000f00u

/* Maps that outlive a generation; pinned under the bpffs folder by these names. */
#define POL_MAP_ACTIVE "active"		/* ARRAY[1] u64, mmapable: generation in force, 0 = none */
#define POL_MAP_ROOT "root"		/* PROG_ARRAY[POL_HOOK_MAX * 2] */
#define POL_MAP_ROOT_XDP "root_xdp"	/* PROG_ARRAY[2] */
#define POL_MAP_SETS "sets"		/* ARRAY_OF_MAPS[POL_SETS_MAX] of ARRAY struct pol_set_line */
#define POL_MAP_CT "ct"			/* ARRAY[2^n] struct pol_ct_bucket, mmapable */
#define POL_MAP_FRAGS "frags"		/* LRU_HASH struct pol_frag_key -> struct pol_frag */
#define POL_MAP_WATCH "watch"		/* ARRAY[1] struct pol_watch_set, mmapable */
#define POL_MAP_RINGS "rings"		/* ARRAY_OF_MAPS[POL_WATCHERS] RINGBUF struct pol_event */
#define POL_MAP_WATCH_LOST "watch_lost"	/* PERCPU_ARRAY[POL_WATCHERS] struct pol_watch_lost */
#define POL_MAP_DROPS "drops"		/* PERCPU_ARRAY[POL_REASON_MAX] struct pol_count */
#define POL_MAP_PROXY_FLOWS "proxy_flows" /* LRU_HASH struct pol_proxy_key -> struct pol_proxy_flow */
#define POL_MAP_PROXY_ONWARD "proxy_onward" /* LRU_HASH struct pol_onward_key -> struct pol_onward */
#define POL_MAP_PROXY_SELF "proxy_self" /* ARRAY[1] struct pol_proxy_self */
#define POL_MAP_PROXY_AGAIN "proxy_again" /* LRU_HASH struct pol_proxy_key -> struct pol_proxy_again */
#define POL_MAP_PROXY_LISTENERS "proxy_listeners" /* SOCKMAP[POL_AGAIN_LISTENERS]; filled by the proxy (polc/proxy.h) */
#define POL_MAP_SCRATCH "scratch"	/* PERCPU_ARRAY[1] struct pol_scratch */
#define POL_MAP_ASKED "asked"		/* PERCPU_ARRAY[2] struct pol_asked */
#define POL_MAP_SHADOW "shadow"		/* PROG_ARRAY[1]: pol_shadow of the generation that judges beside */

/*
 * Maps of one generation, so that identity and policy change with the same
 * store.  Mapped into user space, elements of an ARRAY lie a multiple of 8 bytes apart.
 */
#define POL_MAP_EP_BY_IF "ep_by_if"	/* HASH u32 -> struct pol_if */
#define POL_MAP_IF_NEAR "if_near"	/* ARRAY[POL_IF_NEAR] struct pol_if */
#define POL_MAP_EP_BY_ADDR "ep_by_addr"	/* HASH struct pol_addr -> struct pol_owner */
#define POL_MAP_EP_INFO "ep_info"	/* HASH u32 -> struct pol_ep_info; made by the loader, in no object */
#define POL_MAP_EP_STATE "ep_state"	/* ARRAY[POL_EP_MAX] struct pol_ep_state, mmapable */
#define POL_MAP_ADDR_COLUMN "addr_column" /* ARRAY[POL_SLOT_MAX] u32, mmapable */
#define POL_MAP_RULE_HITS "rule_hits"	/* PERCPU_ARRAY[rules] struct pol_rule_hits */
#define POL_MAP_AUDITED "audited"	/* HASH struct pol_audit_key -> struct pol_audit_seen */
#define POL_MAP_AUDIT_LOST "audit_lost"	/* PERCPU_ARRAY[1] u64 */
#define POL_MAP_DIFFS "diffs"		/* HASH struct pol_shadow_key -> struct pol_shadow_diff */
#define POL_MAP_DIFF_SUMS "diff_sums"	/* ARRAY[1] struct pol_shadow_sums */
#define POL_MAP_LIMITS "limits"		/* HASH struct pol_limit_key -> struct pol_limit_state: the shared ones */
#define POL_SEC_FILTER ".rodata.filter"	/* u32 pol_filter_data[]: tables of the filters */
#define POL_SEC_PAGES ".data.pages"	/* u32 pages[]: the compiler's, then the loader's */
#define POL_MAP_HTTP "http"		/* ARRAY[1], mmapable, frozen: the image of polc/http.h; made by the loader, in no object */
#define POL_SEC_VERDICTS ".data.verdicts" /* struct pol_verdict verdicts[], likewise */

/* Set by the loader in .rodata before the object is loaded (libbpf skeleton-less). */
#define POL_VAR_GENERATION "pol_generation"	/* const volatile __u64 */
#define POL_VAR_SET_SLOT "pol_set_slot"	/* const volatile __u32[POL_SETS_MAX]: place in `sets`, by dynamic set */
#define POL_VAR_GRACE_END "pol_grace_end" /* const volatile __u32: until then flows are picked up, see flow.h; 0: never */
#define POL_VAR_EDGE_TRACE "pol_edge_trace"	/* const volatile __u32: not 0, XDP writes `scratch`; for tests */
#define POL_VAR_HASH_SEED "pol_hash_seed"	/* const volatile __u64[2]: ct hash key, the host's secret */

#define POL_ASSERT_SIZE(t, n) _Static_assert(sizeof(t) == (n), #t " changed size")
POL_ASSERT_SIZE(struct pol_addr, 16);
POL_ASSERT_SIZE(struct pol_verdict, 128);
POL_ASSERT_SIZE(struct pol_limit, 24);
POL_ASSERT_SIZE(struct pol_limit_key, 24);
POL_ASSERT_SIZE(struct pol_if, 64);
POL_ASSERT_SIZE(struct pol_owner, 16);
POL_ASSERT_SIZE(struct pol_ep_state, 16);
POL_ASSERT_SIZE(struct pol_ep_info, 2064);
POL_ASSERT_SIZE(struct pol_ct_entry, 64);
POL_ASSERT_SIZE(struct pol_ct_bucket, 576);
POL_ASSERT_SIZE(struct pol_frag_key, 40);
POL_ASSERT_SIZE(struct pol_frag, 24);
POL_ASSERT_SIZE(struct pol_proxy_key, 40);
POL_ASSERT_SIZE(struct pol_proxy_side, 72);
POL_ASSERT_SIZE(struct pol_proxy_flow, 176);
POL_ASSERT_SIZE(struct pol_onward_key, 40);
POL_ASSERT_SIZE(struct pol_onward, 12);
POL_ASSERT_SIZE(struct pol_proxy_self, 16);
POL_ASSERT_SIZE(struct pol_proxy_again, 16);
POL_ASSERT_SIZE(struct pol_set_line, 64);
POL_ASSERT_SIZE(struct pol_set_half, 32);
POL_ASSERT_SIZE(struct pol_set_raw, 64);
POL_ASSERT_SIZE(struct pol_event, 80);
POL_ASSERT_SIZE(struct pol_watch, 184);
POL_ASSERT_SIZE(struct pol_watch_lost, 48);
POL_ASSERT_SIZE(struct pol_audit_key, 32);
POL_ASSERT_SIZE(struct pol_scratch, 56);
POL_ASSERT_SIZE(struct pol_opinion, 12);
POL_ASSERT_SIZE(struct pol_asked, 72);
POL_ASSERT_SIZE(struct pol_shadow_key, 12);
POL_ASSERT_SIZE(struct pol_shadow_diff, 88);
POL_ASSERT_SIZE(struct pol_shadow_sums, 32);

#endif
