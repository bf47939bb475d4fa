/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map of the data path.  Shared maps are reused by fd by the loader, so a
 * size is a macro that the host's build may override, the same for all objects.
 */
#ifndef POL_BPF_MAPS_H
#define POL_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <polc/abi.h>
#include <polc/tables.h>

#ifndef POL_CT_BUCKETS
#define POL_CT_BUCKETS (1u << 15) /* of POL_CT_WAYS entries; a power of two */
#endif
#ifndef POL_IF_MAX
#define POL_IF_MAX 65536u
#endif
#ifndef POL_FRAGS_MAX
#define POL_FRAGS_MAX 8192u
#endif
#ifndef POL_AUDITED_MAX
#define POL_AUDITED_MAX 16384u
#endif
#ifndef POL_LIMITS_MAX
#define POL_LIMITS_MAX 65536u
#endif
#ifndef POL_LIMIT_SOURCES
#define POL_LIMIT_SOURCES 65536u /* buckets of single sources; a power of two */
#endif
#if !POL_LIMITS_LEN
#undef POL_LIMITS_MAX
#define POL_LIMITS_MAX 1u
#undef POL_LIMIT_SOURCES
#define POL_LIMIT_SOURCES 4u
#endif

_Static_assert((POL_CT_BUCKETS & (POL_CT_BUCKETS - 1)) == 0, "POL_CT_BUCKETS: a power of two");

/* ---- shared by all generations ------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_CT_BUCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_ct_bucket);
} ct SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, POL_FRAGS_MAX);
	__type(key, struct pol_frag_key);
	__type(value, struct pol_frag);
} frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_watch_set);
} watch SEC(".maps");

struct pol_ring {	/* a reader's own may be larger */
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1u << 12);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POL_WATCHERS);
	__type(key, __u32);
	__array(values, struct pol_ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_WATCHERS);
	__type(key, __u32);
	__type(value, struct pol_watch_lost);
} watch_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_REASON_MAX);
	__type(key, __u32);
	__type(value, struct pol_count);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_scratch);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct pol_asked);
} asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} shadow SEC(".maps");

#if POL_USES_HTTP
#ifndef POL_PROXY_FLOWS_MAX
#define POL_PROXY_FLOWS_MAX 131072u
#endif
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, POL_PROXY_FLOWS_MAX);
	__type(key, struct pol_proxy_key);
	__type(value, struct pol_proxy_flow);
} proxy_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, POL_PROXY_FLOWS_MAX);
	__type(key, struct pol_onward_key);
	__type(value, struct pol_onward);
} proxy_onward SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_proxy_self);
} proxy_self SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, POL_AGAIN_MAX);
	__type(key, struct pol_proxy_key);
	__type(value, struct pol_proxy_again);
} proxy_again SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, POL_AGAIN_LISTENERS);
	__type(key, __u32);
	__type(value, __u64);
} proxy_listeners SEC(".maps");

/* Too large for the stack; private to the data path. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_proxy_flow);
} proxy_scratch SEC(".maps");
#endif

/* ---- of one generation ---------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_IF_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct pol_if);
} ep_by_if SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_IF_NEAR);
	__type(key, __u32);
	__type(value, struct pol_if);
} if_near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_SLOT_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pol_addr);
	__type(value, struct pol_owner);
} ep_by_addr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_EP_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pol_ep_state);
} ep_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_SLOT_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} addr_column SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_RULES_LEN);
	__type(key, __u32);
	__type(value, struct pol_rule_hits);
} rule_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_AUDITED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pol_audit_key);
	__type(value, struct pol_audit_seen);
} audited SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} audit_lost SEC(".maps");

/* What is told, made; it would be too much for the stack.  Private to the data path. */
struct pol_telling {
	struct pol_event e;
	struct pol_audit_key key;
	struct pol_audit_seen fresh;
	__u32 at, zero;			/* keys: of the reader at hand; 0 */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_telling);
} telling SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_SHADOW_DIFFS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pol_shadow_key);
	__type(value, struct pol_shadow_diff);
} diffs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pol_shadow_sums);
} diff_sums SEC(".maps");

/* struct pol_limit_state with the lock that user space sees as opaque bytes. */
struct pol_limit_cell {
	struct bpf_spin_lock lock;
	__u32 pad;
	__u64 empty_at_ns;
};
POL_ASSERT_SIZE(struct pol_limit_cell, sizeof(struct pol_limit_state));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POL_LIMITS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pol_limit_key);
	__type(value, struct pol_limit_cell);
} limits SEC(".maps");

/*
 * Buckets of single sources, in sets of four.  One that is full again says nothing that a new
 * one would not, so its place is free for another source, and nobody has to tidy up; whoever
 * finds no place uses the shared bucket, which `limits` has and no flood of sources can take.
 */
#define POL_LIMIT_WAYS 4u
struct pol_limit_place {	/* begins like struct pol_limit_cell */
	struct bpf_spin_lock lock;
	__u32 pad;
	__u64 empty_at_ns;
	struct pol_limit_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_LIMIT_SOURCES);
	__type(key, __u32);
	__type(value, struct pol_limit_place);
} limit_sources SEC(".maps");

/* How many answers each CPU may send; private to the data path. */
enum pol_rate { POL_RATE_ANSWER, POL_RATE_MAX };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POL_RATE_MAX);
	__type(key, __u32);
	__type(value, __u64);
} rates SEC(".maps");

/* ICMP errors to each endpoint, see icmp.h; private to the data path.  Word: second, count. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POL_EP_MAX);
	__type(key, __u32);
	__type(value, __u64);
} icmp_rates SEC(".maps");

/* Set by the loader before the object is loaded. */
const volatile __u64 pol_generation = 0;
const volatile __u64 pol_hash_seed[2] = { 0, 0 };
const volatile __u32 pol_grace_end = 0;

#endif
