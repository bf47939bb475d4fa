/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the compiler would write for the policy below, by hand and small, so that the
 * data path has its tests without the compiler.  ROW_* and COL_* are known to run.c
 * through fixture.h.
 *
 *	classes of addresses: 0 world, 1 198.51.100.0/24 and 2001:db8:5::/48 ("office"),
 *	2 10.7.0.0/16 and fd00:7::/48 (`pool`, of which no address is known)
 *	L4 classes: see fixture.h
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <polc/abi.h>
#include <polc/tables.h>
#include "fixture.h"

#define POL_V4_SHIFT 20
#define POL_V6_SHIFT 63
#define POL_V4_LEVELS 1
#define POL_V6_LEVELS 1
#define POL_V4_NODES 4
#define POL_V6_NODES 2
#define POL_V4_CLASS_LEN 8
#define POL_V6_CLASS_LEN 8
#define POL_V6_LOW_DEPTH 0
#define POL_V6_LOW_LEN 1
#define POL_COLUMN_LEVELS 2
#define POL_L4_LEVELS 1
#define POL_CLASSES_PADDED 32
#define POL_USES_POOL 1
#define POL_PAGES_LEN 2048
#define POL_VERDICTS_LEN 16
#define POL_L4_CLASS_LEN 2048
#define POL_RULES_LEN 16
#define POL_LIMITS_LEN 2
#define POL_USES_REJECT 1
#define POL_USES_AUDIT 1
#define POL_USES_HTTP 1

/* intervals from 0.0.0.0, 10.7.0.0, 10.8.0.0, 198.51.100.0, 198.51.101.0 */
#define BOUNDS4(a, b, c)                                                                           \
	((__u64)(a) | (__u64)(b) << (POL_NODE4_BITS + 1) | (__u64)(c) << 2 * (POL_NODE4_BITS + 1))
#define NONE4 (1 << POL_NODE4_BITS)
const struct pol_search pol_v4_search = { POL_V4_SHIFT, POL_V4_LEVELS };
const __u16 pol_v4_top[1 << (32 - POL_V4_SHIFT)] = { [0x0a0] = 1, [0xc63] = 2 };
const __u64 pol_v4_node[POL_V4_NODES][POL_NODE4_DOUBLES] __attribute__((aligned(64))) = {
	{ POL_NODE4_ABOVE, POL_NODE4_ABOVE, POL_NODE4_ABOVE, 0 },
	{ BOUNDS4(0x70000, 0x80000, NONE4), POL_NODE4_ABOVE, POL_NODE4_ABOVE, 0 },
	{ BOUNDS4(0x36400, 0x36500, NONE4), POL_NODE4_ABOVE, POL_NODE4_ABOVE, 2 },
};
const __u32 pol_v4_class[POL_V4_CLASS_LEN] = { 0, 2, 0, 1, 0 };

/* intervals from ::, 2001:db8:5::, 2001:db8:6::, fd00:7::, fd00:7:1:: */
#define NONE6 (1ull << POL_NODE6_BITS)
const struct pol_search pol_v6_search = { POL_V6_SHIFT, POL_V6_LEVELS };
const __u16 pol_v6_top[1 << (64 - POL_V6_SHIFT)] = { 0, 1 };
const __u64 pol_v6_node[POL_V6_NODES][POL_NODE6_DOUBLES] __attribute__((aligned(64))) = {
	{ 0x20010db800050000, 0x20010db800060000, NONE6, NONE6, NONE6, NONE6, NONE6, 0 },
	{ 0x7d00000700000000, 0x7d00000700010000, NONE6, NONE6, NONE6, NONE6, NONE6, 2 },
};
const __u32 pol_v6_class[POL_V6_CLASS_LEN] = { 0, 1, 0, 2, 0 };
const __u32 pol_pool_class[POL_CLASSES_PADDED / 32] = { 1 << 2 };
const struct pol_v6_low pol_v6_low[POL_V6_LOW_LEN] = { { 0, 0, 0 } };

/* page 0: everything else; 1: tcp 0-255; 2: tcp 0x1f00; 3: udp 0-255; 4: icmp; 5: icmpv6; 6: sctp */
const __u16 pol_l4_page[POL_L4_SLOTS][256] = {
	[POL_L4_TCP] = { [0] = 1, [0x1f] = 2 },
	[POL_L4_UDP] = { [0] = 3 },
	[POL_L4_SCTP] = { [0] = 6 },
	[POL_L4_ICMP] = { [0] = 4 },
	[POL_L4_ICMPV6] = { [0] = 5 },
};
const __u16 pol_l4_class[POL_L4_CLASS_LEN] = {
	[1 * 256 + 80] = L4_WEB,    [1 * 256 + 22] = L4_REJECT, [1 * 256 + 25] = L4_LIMIT,
	[1 * 256 + 26] = L4_LIMIT2, [1 * 256 + 99] = L4_LOG,    [1 * 256 + 98] = L4_AUDIT,
	[1 * 256 + 82] = L4_HTTP,   [2 * 256 + 0x90] = L4_WEB,  [3 * 256 + 53] = L4_WEB,
	[3 * 256 + 22] = L4_REJECT, [3 * 256 + 67] = L4_WEB,    [4 * 256 + 8] = L4_WEB,
	[4 * 256 + 13] = L4_WEB,    [4 * 256 + 15] = L4_REJECT, [5 * 256 + 128] = L4_WEB,
	[6 * 256 + 80] = L4_WEB,
};
const __u16 pol_proto_class[256] = { [47] = L4_WEB, [59] = L4_WEB, [89] = L4_REJECT };

/*
 * Row of an endpoint: column high digit -> page -> column low digit -> page -> L4.
 * Pages 1..4 roots, 8.. low digits, 16.. leaves.
 */
#define PAGE(p) (p) * POL_PAGE
__u32 pol_pages[POL_PAGES_LEN] SEC(POL_SEC_PAGES) = {
	/* ROW_A egress: endpoint columns and world are open by L4 */
	[PAGE(ROW_A_EGRESS) + 0] = 8,
	[PAGE(ROW_A_EGRESS) + 1] = 8,
	[PAGE(ROW_A_EGRESS) + 2] = 8,
	[PAGE(ROW_A_EGRESS) + 3] = 9,
	/* ROW_A ingress: office and host */
	[PAGE(ROW_A_INGRESS) + 0] = 10,
	[PAGE(ROW_A_INGRESS) + 1] = 8,
	[PAGE(ROW_A_INGRESS) + 3] = 9,
	/* ROW_B ingress: kind A only, and office; egress: A only */
	[PAGE(ROW_B_INGRESS) + 0] = 10,
	[PAGE(ROW_B_INGRESS) + 3] = 11,
	[PAGE(ROW_B_EGRESS) + 3] = 11,

	[PAGE(8) + 0] = 16,
	[PAGE(8) + 1] = 16, /* any class */
	[PAGE(9) + 0] = 16,
	[PAGE(9) + 1] = 16,
	[PAGE(9) + 2] = 16, /* any kind */
	[PAGE(10) + 1] = 17, /* class office */
	[PAGE(11) + (COL_A & 31)] = 18, /* kind A */

	/* leaves */
	[PAGE(16) + L4_WEB] = V_EGRESS,
	[PAGE(16) + L4_REJECT] = V_REJECT,
	[PAGE(16) + L4_LIMIT] = V_EGRESS,
	[PAGE(16) + L4_LIMIT2] = V_EGRESS,
	[PAGE(16) + L4_LOG] = V_EGRESS,
	[PAGE(16) + L4_AUDIT] = V_EGRESS,
	[PAGE(16) + L4_HTTP] = V_HTTP,
	[PAGE(17) + L4_HTTP] = V_HTTP,
	[PAGE(17) + L4_WEB] = V_OFFICE,
	[PAGE(17) + L4_REJECT] = V_REJECT,
	[PAGE(17) + L4_LIMIT] = V_LIMIT,
	[PAGE(17) + L4_LIMIT2] = V_LIMIT2,
	[PAGE(17) + L4_LOG] = V_LOG,
	[PAGE(17) + L4_AUDIT] = V_AUDIT,
	[PAGE(18) + L4_WEB] = V_INGRESS,
	[PAGE(18) + L4_REJECT] = V_REJECT,
	[PAGE(18) + L4_LIMIT] = V_LIMIT,
	[PAGE(18) + L4_LIMIT2] = V_LIMIT2,
	[PAGE(18) + L4_LOG] = V_LOG,
	[PAGE(18) + L4_AUDIT] = V_AUDIT,
};

#define NO_AUDIT .audit_rule = POL_NO_RULE
struct pol_verdict pol_verdicts[POL_VERDICTS_LEN] SEC(POL_SEC_VERDICTS) = {
	[V_CLOSED] = { .rule = 0, .action = POL_DENY, NO_AUDIT },
	[POL_VERDICT_NONE] = { .rule = POL_NO_RULE, .action = POL_NONE, NO_AUDIT },
	[V_EGRESS] = { .rule = 1, .action = POL_ALLOW, NO_AUDIT },
	[V_INGRESS] = { .rule = 2, .action = POL_ALLOW, NO_AUDIT },
	[V_OFFICE] = { .rule = 3, .action = POL_ALLOW, NO_AUDIT },
	[V_REJECT] = { .rule = 4, .action = POL_REJECT, NO_AUDIT },
	[V_LIMIT] = { .rule = 5, .action = POL_ALLOW, NO_AUDIT, .nlimits = 1, .limit = { 0 } },
	[V_LIMIT2] = { .rule = 6, .action = POL_ALLOW, NO_AUDIT, .nlimits = 2, .limit = { 0, 1 } },
	[V_LOG] = { .rule = 7, .action = POL_ALLOW, NO_AUDIT, .flags = POL_VF_LOG },
	[V_AUDIT] = { .rule = 8, .action = POL_ALLOW, .audit_rule = 9 },
	[V_HTTP] = { .rule = 10, .action = POL_ALLOW, NO_AUDIT, .nhttp = 1 },
};

/* one token an hour: a test never sees one come back */
const struct pol_limit pol_limits[POL_LIMITS_LEN] = {
	{ .ns_per_token = 3600000000000ull, .burst_ns = 3 * 3600000000000ull, .rule = 5 },
	{ .ns_per_token = 3600000000000ull,
	  .burst_ns = 3600000000000ull,
	  .rule = 6,
	  .per_source = 1,
	  .len4 = 32,
	  .len6 = 64 },
};

/* small, so that a case can fill it */
#define POL_CT_BUCKETS 16u
#define POL_LIMITS_MAX 4u
#define POL_FRAGS_MAX 16u
#define POL_PROXY_FLOWS_MAX 8u
#define POL_LIMIT_SOURCES 4u
#include "datapath.h"

/* BPF_PROG_TEST_RUN takes no tc_index and tells no tc_classid: they go by CASE_FOR. */
static __always_inline int case_judged(struct __sk_buff *skb, int verdict)
{
	__u32 passed = skb->tc_classid, sent = skb->tc_index;

	pol_opaque(passed); /* or the two loads become one of a computed place, which is refused */
	skb->cb[CASE_FOR] = verdict == TC_ACT_OK ? passed : sent;
	return verdict;
}

SEC("tc") int pol_ep_out(struct __sk_buff *skb)
{
	int verdict = pol_hook_ep_out(skb);

	return case_judged(skb, verdict);
}
SEC("tc") int pol_ep_in(struct __sk_buff *skb)
{
	skb->tc_index = skb->cb[CASE_FOR];
	return pol_hook_ep_in(skb);
}
SEC("tc") int pol_uplink_in(struct __sk_buff *skb)
{
	int verdict = pol_hook_uplink_in(skb);

	return case_judged(skb, verdict);
}
SEC("tc") int pol_lo_in(struct __sk_buff *skb)
{
	return pol_hook_lo_in(skb);
}
SEC("tc") int pol_uplink_out(struct __sk_buff *skb)
{
	return pol_hook_uplink_out(skb);
}

char _license[] SEC("license") = "GPL";
