/* SPDX-License-Identifier: GPL-2.0-only */
#include "guard.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "runtime/input/hostfile.h"
#include "netlink.h"
#include "nft.h"

static const char *const tables[PRT_GUARDS] = { "polc_guard", "polc_lockdown" };
#define MEANWHILE "polc_change"

/* What the kernel may lack; tried with all of it first. */
enum { WITH_BRIDGES = 1, WITH_FIB = 2, WITH_ALL = 3 };
/* Of a table, and in its name for whoever reads it: counters are called by what they tell. */
#define COUNT_CLOSED "closed"
#define COUNT_SPOOFED "spoofed"
#define COUNT_EVERYTHING "everything"

struct making {
	struct prt_nft n;
	const char *table;
	const prt_ranges *closed; /* sorted and disjoint; n == 0: everything */
	const prt_devices *hooked; /* NULL: in a lockdown nothing is */
	unsigned with;
};

/* ---- ranges ------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
	const struct prt_pool_range *x = a, *y = b;
	struct pol_addr p = prt_addr_of_ip(x->first), q = prt_addr_of_ip(y->first);

	if (x->first.family != y->first.family)
		return x->first.family < y->first.family ? -1 : 1;
	return memcmp(&p, &q, sizeof(p));
}

static bool before(struct pol_ip a, struct pol_ip b)
{
	struct pol_addr p = prt_addr_of_ip(a), q = prt_addr_of_ip(b);

	return memcmp(&p, &q, sizeof(p)) < 0;
}

/* The one behind; false: there is none. */
static bool next(struct pol_ip *a)
{
	if (a->family == 4)
		return ++a->lo <= UINT32_MAX;
	return ++a->lo || ++a->hi;
}

/* Sorted; what overlaps or touches is one: nf_tables takes no overlaps. */
static void merge(const prt_ranges *in, prt_ranges *out)
{
	for (size_t i = 0; i < in->n; i++)
		*pol_vec_push(out) = in->v[i];
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_first);
	for (size_t i = 1, n = out->n, at = 0; i < n; i++) {
		struct prt_pool_range *r = &out->v[at], *s = &out->v[i];
		struct pol_ip behind = r->last;
		bool more = next(&behind);

		if (r->first.family == s->first.family && (!more || !before(behind, s->first))) {
			if (before(r->last, s->last))
				r->last = s->last;
		} else {
			out->v[++at] = *s;
		}
		out->n = at + 1;
	}
}

/* ---- tables, sets, chains -------------------------------------------------------------------- */

static void table(struct prt_nft *n, uint16_t type, uint16_t flags)
{
	prt_nft_msg(n, type, flags);
	prt_nft_str(n, NFTA_TABLE_NAME, n->table);
}

static void counter(struct prt_nft *n, const char *name)
{
	prt_nft_msg(n, NFT_MSG_NEWOBJ, NLM_F_CREATE);
	prt_nft_str(n, NFTA_OBJ_TABLE, n->table);
	prt_nft_str(n, NFTA_OBJ_NAME, name);
	prt_nft_u32(n, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
	prt_nft_open(n, NFTA_OBJ_DATA);
	prt_nft_close(n);
}

/* type: as nft(8) prints it (its src/datatype.c). */
static void set(struct prt_nft *n, const char *name, uint32_t type, uint32_t len, bool ranges)
{
	/* libnftnl, udata.h: the key's byte order, four bytes: of the host */
	static const uint8_t host_order[] = { 0, 4, 1, 0, 0, 0 };

	prt_nft_msg(n, NFT_MSG_NEWSET, NLM_F_CREATE);
	prt_nft_str(n, NFTA_SET_TABLE, n->table);
	prt_nft_str(n, NFTA_SET_NAME, name);
	prt_nft_u32(n, NFTA_SET_FLAGS, ranges ? NFT_SET_INTERVAL : 0);
	prt_nft_u32(n, NFTA_SET_KEY_TYPE, type);
	prt_nft_u32(n, NFTA_SET_KEY_LEN, len);
	prt_nft_u32(n, NFTA_SET_ID, 1);
	if (!ranges)
		prt_nft_bytes(n, NFTA_SET_USERDATA, host_order, sizeof(host_order));
}

static void elements(struct prt_nft *n, uint16_t type, uint16_t flags, const char *name)
{
	prt_nft_msg(n, type, flags);
	prt_nft_str(n, NFTA_SET_ELEM_LIST_TABLE, n->table);
	prt_nft_str(n, NFTA_SET_ELEM_LIST_SET, name);
	prt_nft_open(n, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void element(struct prt_nft *n, const void *key, size_t len, uint32_t flags)
{
	prt_nft_open(n, NFTA_LIST_ELEM);
	prt_nft_open(n, NFTA_SET_ELEM_KEY);
	prt_nft_bytes(n, NFTA_DATA_VALUE, key, len);
	prt_nft_close(n);
	if (flags)
		prt_nft_u32(n, NFTA_SET_ELEM_FLAGS, flags);
	prt_nft_close(n);
}

static void bound(struct prt_nft *n, struct pol_ip ip, uint32_t flags)
{
	struct pol_addr a = prt_addr_of_ip(ip);

	element(n, ip.family == 4 ? a.b + 12 : a.b, ip.family == 4 ? 4 : 16, flags);
}

#define A_MESSAGE 256u /* elements: an attribute has at most 64 KiB */

static void fill_pool(struct making *m, unsigned family, const char *name)
{
	struct prt_nft *n = &m->n;
	unsigned count = 0;

	for (size_t i = 0; i < m->closed->n; i++) {
		struct prt_pool_range r = m->closed->v[i];

		if (r.first.family != family)
			continue;
		if (count && !(count % A_MESSAGE))
			prt_nft_close(n);
		if (!(count++ % A_MESSAGE))
			elements(n, NFT_MSG_NEWSETELEM, NLM_F_CREATE, name);
		bound(n, r.first, 0);
		if (next(&r.last))
			bound(n, r.last, NFT_SET_ELEM_INTERVAL_END);
	}
	if (count)
		prt_nft_close(n);
}

static void fill_devices(struct making *m)
{
	struct prt_nft *n = &m->n;

	for (size_t i = 0; i < m->hooked->n; i++) {
		if (!(i % A_MESSAGE))
			elements(n, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "hooked");
		element(n, &m->hooked->v[i], sizeof(m->hooked->v[i]), 0);
		if (i + 1 == m->hooked->n || !((i + 1) % A_MESSAGE))
			prt_nft_close(n);
	}
}

static void chain(struct prt_nft *n, const char *name, unsigned hook, int priority)
{
	n->chain = name;
	prt_nft_msg(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	prt_nft_str(n, NFTA_CHAIN_TABLE, n->table);
	prt_nft_str(n, NFTA_CHAIN_NAME, name);
	prt_nft_open(n, NFTA_CHAIN_HOOK);
	prt_nft_u32(n, NFTA_HOOK_HOOKNUM, hook);
	prt_nft_u32(n, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	prt_nft_close(n);
	prt_nft_str(n, NFTA_CHAIN_TYPE, "filter");
	prt_nft_u32(n, NFTA_CHAIN_POLICY, NF_ACCEPT);
}

/* ---- what rules ask ---------------------------------------------------------------------------- */

static void is_family(struct prt_nft *n, bool v6)
{
	const uint8_t inet = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	const uint16_t ether_be = htobe16(v6 ? ETH_P_IPV6 : ETH_P_IP);

	if (n->family == NFPROTO_INET)
		prt_nft_meta(n, NFT_META_NFPROTO, &inet, sizeof(inet));
	else
		prt_nft_meta(n, NFT_META_PROTOCOL, &ether_be, sizeof(ether_be));
}

static void is_ether(struct prt_nft *n, uint16_t type)
{
	const uint16_t type_be = htobe16(type);

	prt_nft_meta(n, NFT_META_PROTOCOL, &type_be, sizeof(type_be));
}

static uint32_t source_at(bool v6)
{
	return v6 ? 8 : 12;
}

static uint32_t destination_at(bool v6)
{
	return v6 ? 24 : 16;
}

static void end(struct prt_nft *n, const char *count)
{
	if (count)
		prt_nft_count(n, count);
	prt_nft_verdict(n, count ? NF_DROP : NF_ACCEPT);
	prt_nft_rule_end(n);
}

/* kind: of the device at hand, or NULL: whatever it is. */
static void begin(struct prt_nft *n, uint32_t key, const char *kind)
{
	prt_nft_rule(n);
	if (kind)
		prt_nft_kind(n, key, kind);
}

static void closed_at(struct prt_nft *n, uint32_t key, const char *kind, bool v6, uint32_t at)
{
	begin(n, key, kind);
	is_family(n, v6);
	prt_nft_payload_in(n, NFT_PAYLOAD_NETWORK_HEADER, at, v6 ? 16 : 4, v6 ? "pool6" : "pool4");
	end(n, COUNT_CLOSED);
}

/* What keeps a link going passes without a name, as at a hook (bpf-templates/link.h): neighbours, groups, */
static void neighbours(struct prt_nft *n, uint32_t key)
{
	static const uint8_t types[] = { 131, 132, 133, 135, 136, 143 }, icmp6 = IPPROTO_ICMPV6;

	for (size_t i = 0; i < sizeof(types); i++) {
		begin(n, key, "veth");
		is_family(n, true);
		prt_nft_meta(n, NFT_META_L4PROTO, &icmp6, 1);
		prt_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 0, &types[i], NULL, 1);
		end(n, NULL);
	}
}

/* and the question for an address. */
static void dhcp(struct prt_nft *n, uint32_t key)
{
	static const uint8_t udp = IPPROTO_UDP;

	for (int v6 = 0; v6 < 2; v6++) {
		const uint16_t port_be = htobe16(v6 ? 547 : 67);

		begin(n, key, "veth");
		is_family(n, v6);
		prt_nft_meta(n, NFT_META_L4PROTO, &udp, 1);
		prt_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 2, &port_be, NULL, 2);
		end(n, NULL);
	}
}

/* In whose name a neighbour speaks, ARP (RFC 826) and neighbour discovery (RFC 4861, 4.3 and 4.4). */
static void closed_neighbours(struct prt_nft *n)
{
	static const uint8_t types[] = { 135, 136 }, icmp6 = IPPROTO_ICMPV6;
	static const uint32_t arp[] = { 14, 24 };

	for (size_t i = 0; i < POL_ARRAY_LEN(arp) && n->family == NFPROTO_BRIDGE; i++) {
		prt_nft_rule(n);
		is_ether(n, ETH_P_ARP);
		prt_nft_payload_in(n, NFT_PAYLOAD_NETWORK_HEADER, arp[i], 4, "pool4");
		end(n, COUNT_CLOSED);
	}
	for (size_t i = 0; i < sizeof(types); i++) {
		prt_nft_rule(n);
		is_family(n, true);
		prt_nft_meta(n, NFT_META_L4PROTO, &icmp6, 1);
		prt_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 0, &types[i], NULL, 1);
		prt_nft_payload_in(n, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, "pool6");
		end(n, COUNT_CLOSED);
	}
}

/* From a veth, or to one: what has no address that could be closed. */
static void nameless(struct prt_nft *n, uint32_t key, bool out)
{
	static const uint8_t fe80[4] = { 0xfe, 0x80 }, mask[4] = { 0xff, 0xc0 }, zero[4];

	neighbours(n, key);
	if (!out)
		dhcp(n, key);
	begin(n, key, "veth");
	is_family(n, true);
	prt_nft_payload(n, NFT_PAYLOAD_NETWORK_HEADER, out ? destination_at(true) : source_at(true),
			fe80, mask, 4);
	end(n, COUNT_CLOSED);
	if (out)
		return;
	begin(n, key, "veth");
	is_family(n, false);
	prt_nft_payload(n, NFT_PAYLOAD_NETWORK_HEADER, source_at(false), zero, NULL, 4);
	end(n, COUNT_CLOSED);
}

/* A bridge's ports are looked at when the frame is a port's; behind it only the bridge is seen. */
static void let_known(struct making *m, bool out)
{
	static const char *const above[] = { "bridge", "vlan", "vrf" };
	static const uint32_t lo = POL_LO_IFINDEX;
	uint32_t key = out ? NFT_META_OIF : NFT_META_IIF;
	uint32_t kind = out ? NFT_META_OIFKIND : NFT_META_IIFKIND;
	struct prt_nft *n = &m->n;

	if (m->hooked) { /* first: what most packets are */
		prt_nft_rule(n);
		prt_nft_meta_in(n, key, "hooked");
		end(n, NULL);
	}
	if (n->family == NFPROTO_INET) {
		prt_nft_rule(n);
		prt_nft_meta(n, key, &lo, sizeof(lo));
		end(n, NULL);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(above); i++) {
		if (n->family != NFPROTO_INET || !(m->with & WITH_BRIDGES))
			break;
		begin(n, kind, above[i]);
		end(n, NULL);
	}
}

/* ---- the chains -------------------------------------------------------------------------------- */

#define FIRST (-400) /* before connections are tracked, and before what others have there usually */
#define FIRST_BRIDGE (-400)

static void chain_in(struct making *m)
{
	static const uint16_t known[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_ARP };
	struct prt_nft *n = &m->n;

	chain(n, "in", 0, n->family == NFPROTO_INET ? FIRST : FIRST_BRIDGE);
	let_known(m, false);
	for (int v6 = 0; v6 < 2; v6++) {
		closed_at(n, 0, NULL, v6, source_at(v6));
		closed_at(n, 0, NULL, v6, destination_at(v6));
	}
	closed_neighbours(n);
	nameless(n, NFT_META_IIFKIND, false);
	if (n->family != NFPROTO_BRIDGE)
		return;
	/* nothing else, or a bridge would learn from it where its other ports' MACs are */
	for (size_t i = 0; i < POL_ARRAY_LEN(known); i++) {
		prt_nft_rule(n);
		is_ether(n, known[i]);
		end(n, NULL);
	}
	begin(n, NFT_META_IIFKIND, "veth");
	end(n, COUNT_CLOSED);
}

static void chain_out(struct making *m)
{
	struct prt_nft *n = &m->n;

	chain(n, "out", 4, n->family == NFPROTO_INET ? FIRST : FIRST_BRIDGE);
	let_known(m, true);
	for (int v6 = 0; v6 < 2; v6++) {
		if (n->family ==
		    NFPROTO_BRIDGE) /* another port than a veth may lead to other hosts */
			closed_at(n, NFT_META_OIFKIND, "veth", v6, source_at(v6));
		closed_at(n, NFT_META_OIFKIND, n->family == NFPROTO_BRIDGE ? "veth" : NULL, v6,
			  destination_at(v6));
	}
	nameless(n, NFT_META_OIFKIND, true);
}

/* Where the kernel knows whether it is bridged, forwarded or for this host. */
static void chain_spoofed(struct making *m, const char *name, unsigned hook)
{
	static const char *const kinds[] = { "bridge", "veth" };
	static const uint32_t lo = POL_LO_IFINDEX;
	struct prt_nft *n = &m->n;

	chain(n, name, hook, FIRST);
	if (m->hooked) {
		prt_nft_rule(n);
		prt_nft_meta_in(n, NFT_META_IIF, "hooked");
		end(n, NULL);
	}
	prt_nft_rule(n);
	prt_nft_meta(n, NFT_META_IIF, &lo, sizeof(lo));
	end(n, NULL);
	/* bridged frames come here too, where br_netfilter is on; their ports were asked */
	begin(n, NFT_META_IIFKIND, "bridge");
	prt_nft_kind(n, NFT_META_OIFKIND, "bridge");
	end(n, NULL);
	if (hook == 1) { /* who has no address yet; beyond this host there is no such one */
		neighbours(n, NFT_META_IIFKIND);
		dhcp(n, NFT_META_IIFKIND);
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(kinds); i++) {
		begin(n, NFT_META_IIFKIND, kinds[i]);
		prt_nft_no_way_back(n);
		end(n, COUNT_SPOOFED);
	}
}

/* Not even the closed addresses are known. */
static void everything(struct making *m)
{
	struct prt_nft *n = &m->n;

	if (n->family == NFPROTO_INET) {
		chain(n, "forward", 2, FIRST);
		prt_nft_rule(n);
		end(n, COUNT_EVERYTHING);
		return;
	}
	chain(n, "in", 0, FIRST_BRIDGE);
	begin(n, NFT_META_IIFKIND, "veth");
	end(n, COUNT_EVERYTHING);
	chain(n, "out", 4, FIRST_BRIDGE);
	begin(n, NFT_META_OIFKIND, "veth");
	end(n, COUNT_EVERYTHING);
}

static void rules(struct making *m)
{
	struct prt_nft *n = &m->n;

	set(n, "pool4", 7, 4, true);
	set(n, "pool6", 8, 16, true);
	fill_pool(m, 4, "pool4");
	fill_pool(m, 6, "pool6");
	if (m->hooked) {
		set(n, "hooked", 20, sizeof(uint32_t), false);
		fill_devices(m);
	}
	counter(n, COUNT_CLOSED);
	if (n->family == NFPROTO_INET && m->with & WITH_FIB)
		counter(n, COUNT_SPOOFED);
	chain_in(m);
	chain_out(m);
	if (n->family == NFPROTO_INET && m->with & WITH_FIB) {
		chain_spoofed(m, "forward", 2);
		chain_spoofed(m, "host", 1);
	}
}

/* One family's table; what was there goes in the same instant. */
static void one_family(struct making *m, uint8_t family)
{
	struct prt_nft *n = &m->n;

	n->family = family;
	n->table = m->table;
	table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	table(n, NFT_MSG_DELTABLE, 0);
	table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	if (m->closed->n || m->hooked) {
		rules(m);
		return;
	}
	counter(n, COUNT_EVERYTHING);
	everything(m);
}

static int make(struct making *m)
{
	int r;

	one_family(m, NFPROTO_INET);
	if (m->with & WITH_BRIDGES)
		one_family(m, NFPROTO_BRIDGE);
	r = prt_nft_send(&m->n);
	prt_nft_free(&m->n);
	return r;
}

static const uint8_t families[] = { NFPROTO_INET, NFPROTO_BRIDGE };

/* What a kernel says that knows no such table, or no nf_tables at all. */
static bool absent(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT ||
	       r == -EINVAL;
}

/* Those of all families; what is not there is fine. */
static int drop_tables(const char *name)
{
	int r = 0;

	for (size_t i = 0; i < POL_ARRAY_LEN(families) && !r; i++) {
		struct prt_nft n = { .family = families[i], .table = name };

		table(&n, NFT_MSG_DELTABLE, 0);
		r = prt_nft_send(&n);
		prt_nft_free(&n);
		r = absent(r) ? 0 : r;
	}
	return r;
}

/*
 * Of two chains of one priority the newer is asked first (net/netfilter/core.c, nf_hook_entries_grow): a
 * packet could pass it before the change, and behind the change the older one.  So meanwhile there is
 * a third, under a name of its own.
 */
static int replace(struct making *m)
{
	const char *name = m->table;
	int r, dropped;

	m->table = MEANWHILE;
	r = make(m);
	m->table = name;
	r = r ? r : make(m);
	dropped = drop_tables(MEANWHILE); /* it would stay closed to who comes later */
	return r ? r : dropped;
}

static int make_all(enum prt_guard which, const prt_ranges *closed, const prt_devices *hooked,
		    struct pol_err *e)
{
	prt_ranges merged = { 0 };
	int r = -EOPNOTSUPP;

	if (closed)
		merge(closed, &merged);
	/* Of a kernel that does not know all of it less is wanted; no memory for once is no reason to close less. */
	for (unsigned lacks = 0, tries = WITH_ALL + 3;
	     r && r != -EPERM && lacks <= WITH_ALL && tries; tries--) {
		struct making m = { .table = tables[which],
				    .closed = &merged,
				    .hooked = hooked,
				    .with = WITH_ALL & ~lacks };

		r = replace(&m);
		lacks += absent(r);
	}
	pol_vec_free(&merged);
	if (r)
		pol_err_help(e, "it takes nf_tables with the inet family: CONFIG_NF_TABLES_INET");
	return r ? pol_err(e, r, "nf_tables: cannot make table '%s': %s", tables[which],
			   strerror(-r))
		 : 0;
}

int prt_guard_make(const prt_ranges *closed, const prt_devices *hooked, struct pol_err *e)
{
	return make_all(PRT_GUARD, closed, hooked, e);
}

int prt_guard_lockdown(const prt_ranges *closed, struct pol_err *e)
{
	return make_all(PRT_LOCKDOWN, closed, NULL, e);
}

/* ---- later --------------------------------------------------------------------------------------- */

int prt_guard_remove(enum prt_guard which, struct pol_err *e)
{
	int r = drop_tables(tables[which]);

	r = r ? r : drop_tables(MEANWHILE);
	return r ? pol_err(e, r, "nf_tables: cannot remove table '%s': %s", tables[which],
			   strerror(-r))
		 : 0;
}

static void take_handle(const struct nlmsghdr *h, void *ctx)
{
	const struct rtattr *first = (const void *)((const char *)NLMSG_DATA(h) + 4), *a;
	uint64_t *out = ctx;

	a = prt_netlink_find(first, (int)h->nlmsg_len - NLMSG_LENGTH(4), NFTA_TABLE_HANDLE);
	if (a && RTA_PAYLOAD(a) >= sizeof(*out)) {
		memcpy(out, RTA_DATA(a), sizeof(*out));
		*out = be64toh(*out);
	}
}

/* A question costs some microseconds; a change, also one that fails, waits for a grace period. */
static int ask_table(uint8_t in, const char *name, uint64_t *handle)
{
	struct prt_nft n = { .family = in, .table = name };
	int r;

	*handle = 0;
	table(&n, NFT_MSG_GETTABLE, NLM_F_ACK);
	r = prt_nft_ask(&n, take_handle, handle);
	prt_nft_free(&n);
	return r;
}

int prt_guard_which(enum prt_guard which, struct prt_guard_id *out, struct pol_err *e)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		int r = ask_table(families[i], tables[which], &out->handle[i]);

		if (r && !absent(r))
			return pol_err(e, r, "nf_tables: cannot ask for table '%s': %s",
				       tables[which], strerror(-r));
	}
	return 0;
}

bool prt_guard_same(const struct prt_guard_id *a, const struct prt_guard_id *b)
{
	return a->handle[0] == b->handle[0] && a->handle[1] == b->handle[1];
}

int prt_guard_remove_that(enum prt_guard which, const struct prt_guard_id *id, struct pol_err *e)
{
	int r = drop_tables(MEANWHILE);

	for (size_t i = 0; i < POL_ARRAY_LEN(families) && !r; i++) {
		struct prt_nft n = { .family = families[i] };
		const uint64_t handle_be = htobe64(id->handle[i]);

		if (!id->handle[i])
			continue;
		prt_nft_msg(&n, NFT_MSG_DELTABLE, 0);
		prt_nft_bytes(&n, NFTA_TABLE_HANDLE, &handle_be, sizeof(handle_be));
		r = prt_nft_send(&n);
		prt_nft_free(&n);
		r = absent(r) ? 0 : r;
	}
	return r ? pol_err(e, r, "nf_tables: cannot remove table '%s': %s", tables[which],
			   strerror(-r))
		 : 0;
}

int prt_guard_tidy(struct pol_err *e)
{
	bool there = false;
	uint64_t handle;
	int r;

	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++)
		there |= !absent(ask_table(families[i], MEANWHILE, &handle));
	r = there ? drop_tables(MEANWHILE) : 0;
	return r ? pol_err(e, r, "nf_tables: cannot remove table '%s': %s", MEANWHILE, strerror(-r))
		 : 0;
}

int prt_guard_device(uint32_t ifindex, bool hooked, struct pol_err *e)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		struct prt_nft n = { .family = families[i], .table = tables[PRT_GUARD] };
		uint64_t handle;
		int r = ask_table(families[i], tables[PRT_GUARD], &handle);

		if (r && absent(r))
			continue; /* who makes one holds the lock that we hold, and reads the hooks */
		elements(&n, hooked ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
			 hooked ? NLM_F_CREATE : 0, "hooked");
		element(&n, &ifindex, sizeof(ifindex), 0);
		prt_nft_close(&n);
		r = prt_nft_send(&n);
		prt_nft_free(&n);
		if (r && !absent(r))
			return pol_err(e, r,
				       "nf_tables: table '%s': cannot change interface %u: %s",
				       tables[PRT_GUARD], ifindex, strerror(-r));
	}
	return 0;
}

static void take_counter(const struct nlmsghdr *h, void *ctx)
{
	const struct rtattr *first = (const void *)((const char *)NLMSG_DATA(h) + 4), *name,
			    *packets;
	int left = (int)h->nlmsg_len - NLMSG_LENGTH(4);
	struct prt_guard_seen *out = ctx;
	uint64_t v_be;

	name = prt_netlink_find(first, left, NFTA_OBJ_NAME);
	packets = prt_netlink_nested(prt_netlink_find(first, left, NFTA_OBJ_DATA),
				     NFTA_COUNTER_PACKETS);
	if (!name || !packets || RTA_PAYLOAD(packets) < sizeof(v_be))
		return;
	memcpy(&v_be, RTA_DATA(packets), sizeof(v_be));
	out->packets += be64toh(v_be);
	out->everything |= !strcmp(RTA_DATA(name), COUNT_EVERYTHING);
	out->no_spoofing &= strcmp(RTA_DATA(name), COUNT_SPOOFED) != 0;
	out->there = true;
}

/* Of one family.  Whoever changes rules meanwhile, of whatever table, makes it be asked for again. */
static int look_at(uint8_t in, const char *name, struct prt_guard_seen *out)
{
	const struct prt_guard_seen before = *out;
	int r = -EINTR;

	for (int tries = 0; tries < 20 && r == -EINTR; tries++) {
		struct prt_nft n = { .family = in, .table = name };

		*out = before;
		prt_nft_msg(&n, NFT_MSG_GETOBJ, NLM_F_DUMP);
		prt_nft_str(&n, NFTA_OBJ_TABLE, name);
		r = prt_nft_ask(&n, take_counter, out);
		prt_nft_free(&n);
	}
	return r;
}

int prt_guard_look(enum prt_guard which, struct prt_guard_seen *out, struct pol_err *e)
{
	*out = (struct prt_guard_seen){ .no_spoofing = true };
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		bool inet = out->there;
		int r;

		out->there = false;
		r = look_at(families[i], tables[which], out);
		if (r && !absent(r))
			return pol_err(e, r, "nf_tables: cannot read table '%s': %s", tables[which],
				       strerror(-r));
		if (i)
			out->no_bridges = inet && !out->there;
		out->there |= inet;
	}
	return 0;
}
