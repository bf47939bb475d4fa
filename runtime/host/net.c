/* SPDX-License-Identifier: GPL-2.0-only */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct tcmsg tc;
		struct rtmsg route;
		struct fib_rule_hdr rule;
		struct rtgenmsg generic;
	};
	char room[64];
};

static int failed(int code, const char *what, struct pol_err *e)
{
	return pol_err(e, code, "cannot read %s from the kernel: %s", what, strerror(-code));
}

static void add(struct request *q, uint16_t type, const void *value, size_t n)
{
	struct rtattr *a = (void *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), value, n);
	q->head.nlmsg_len = NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static int ask(struct request *q, prt_netlink_take take, void *ctx)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = prt_netlink_open(NETLINK_ROUTE);

	return fd < 0 ? fd : prt_netlink_ask(fd, &q->head, take, ctx);
}

/* A dump that a change came between is asked for again; each answer begins with an empty list. */
static int ask_whole(struct request *q, prt_netlink_take take, void *ctx, size_t *n)
{
	size_t before = *n;
	int r = -EINTR;

	for (int tries = 0; tries < 20 && r == -EINTR; tries++) {
		*n = before;
		r = ask(q, take, ctx);
	}
	return r;
}

static void copy_text(char out[PRT_IFNAME], const struct rtattr *a)
{
	if (a)
		snprintf(out, PRT_IFNAME, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

/* ---- links ------------------------------------------------------------------------- */

static uint32_t number(const struct rtattr *a)
{
	uint32_t v = 0;

	if (a && RTA_PAYLOAD(a) >= sizeof(v))
		memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

bool prt_net_link_of(const struct nlmsghdr *h, struct prt_link *out)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	char master_kind[PRT_IFNAME] = "";
	const struct rtattr *info, *mac, *netns;

	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return false;
	*out = (struct prt_link){ .ifindex = (uint32_t)m->ifi_index,
				  .up = m->ifi_flags & IFF_UP,
				  .loopback = m->ifi_flags & IFF_LOOPBACK,
				  .peer_netns = -1 };
	copy_text(out->name, prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_IFNAME));
	out->peer = number(prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_LINK));
	netns = prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_LINK_NETNSID);
	if (netns)
		out->peer_netns = (int32_t)number(netns);
	mac = prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_ADDRESS);
	if (mac && RTA_PAYLOAD(mac) == sizeof(out->mac))
		memcpy(out->mac, RTA_DATA(mac), sizeof(out->mac));
	info = prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_LINKINFO);
	copy_text(out->kind, prt_netlink_nested(info, IFLA_INFO_KIND));
	copy_text(master_kind, prt_netlink_nested(info, IFLA_INFO_SLAVE_KIND));
	out->bridge_port = !strcmp(master_kind, "bridge");
	out->master = number(prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_MASTER));
	out->xdp = number(
		prt_netlink_nested(prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_XDP),
				   IFLA_XDP_PROG_ID));
	return true;
}

static void take_link(const struct nlmsghdr *h, void *ctx)
{
	prt_links *out = ctx;
	struct prt_link l;

	if (prt_net_link_of(h, &l))
		*pol_vec_push(out) = l;
}

int prt_net_links(prt_links *out, struct pol_err *e)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
				       .nlmsg_type = RTM_GETLINK,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	int r = ask_whole(&q, take_link, out, &out->n);

	return r ? failed(r, "the interfaces", e) : 0;
}

static void take_one_link(const struct nlmsghdr *h, void *ctx)
{
	prt_net_link_of(h, ctx);
}

static int one_link(struct request *q, struct prt_link *out, struct pol_err *e)
{
	struct prt_link l = { 0 };
	int r = ask(q, take_one_link, &l);

	if (r == -ENODEV || (!r && !l.ifindex))
		return -ENODEV;
	if (r)
		return failed(r, "an interface", e);
	*out = l;
	return 0;
}

int prt_net_link_by_name(const char *name, struct prt_link *out, struct pol_err *e)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
				       .nlmsg_type = RTM_GETLINK,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };

	if (strlen(name) >= PRT_IFNAME)
		return -ENODEV;
	add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	return one_link(&q, out, e);
}

int prt_net_link_by_index(uint32_t ifindex, struct prt_link *out, struct pol_err *e)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
				       .nlmsg_type = RTM_GETLINK,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
			     .link = { .ifi_index = (int)ifindex } };

	return one_link(&q, out, e);
}

int prt_net_peer_mac(const struct prt_link *link, uint8_t mac[6])
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
				       .nlmsg_type = RTM_GETLINK,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
			     .link = { .ifi_index = (int)link->peer } };
	struct prt_link far = { 0 };

	if (strcmp(link->kind, "veth") || link->peer_netns < 0 || !link->peer)
		return -ENODEV;
	add(&q, IFLA_TARGET_NETNSID, &link->peer_netns, sizeof(link->peer_netns));
	if (ask(&q, take_one_link, &far) || far.ifindex != link->peer)
		return -ENODEV;
	memcpy(mac, far.mac, sizeof(far.mac));
	return 0;
}

/* ---- the other end ----------------------------------------------------------------- */

static void take_netns_id(const struct nlmsghdr *h, void *ctx)
{
	const struct rtattr *a =
		(const void *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct rtgenmsg)));
	int left = (int)NLMSG_PAYLOAD(h, NLMSG_ALIGN(sizeof(struct rtgenmsg)));

	if (h->nlmsg_type == RTM_NEWNSID)
		*(int32_t *)ctx = (int32_t)number(prt_netlink_find(a, left, NETNSA_NSID));
}

/* A namespace has a number here from when the first pair of interfaces joined the two; else -1. */
static int netns_id(int netns, int32_t *id)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.generic)),
				       .nlmsg_type = RTM_GETNSID,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };

	*id = -1;
	add(&q, NETNSA_FD, &netns, sizeof(netns));
	return ask(&q, take_netns_id, id);
}

int32_t prt_net_netns_id(int netns)
{
	int32_t id;

	return netns_id(netns, &id) ? -1 : id;
}

static int links_of(int32_t id, prt_links *out)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
				       .nlmsg_type = RTM_GETLINK,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };

	add(&q, IFLA_TARGET_NETNSID, &id, sizeof(id));
	return ask_whole(&q, take_link, out, &out->n);
}

static const struct prt_link *other_end(const prt_links *far, const struct prt_link *here)
{
	for (size_t i = 0; i < far->n; i++) {
		const struct prt_link *f = &far->v[i];

		if (f->ifindex == here->peer && f->peer == here->ifindex &&
		    !strcmp(f->kind, "veth"))
			return f;
	}
	return NULL;
}

int prt_net_veths(int netns, prt_veths *out, struct pol_err *e)
{
	prt_links here = { 0 }, far = { 0 };
	int32_t id;
	int r = netns_id(netns, &id);

	if (!r && id >= 0)
		r = links_of(id, &far);
	if (r)
		r = failed(r, "the interfaces of the container", e);
	else if (id >= 0)
		r = prt_net_links(&here, e);
	for (size_t i = 0; i < here.n && !r; i++) {
		const struct prt_link *l = &here.v[i], *f;

		if (strcmp(l->kind, "veth") || l->peer_netns != id)
			continue;
		f = other_end(&far, l);
		if (f)
			*pol_vec_push(out) = (struct prt_veth){ *l, *f };
	}
	pol_vec_free(&here);
	pol_vec_free(&far);
	return r;
}

/* ---- addresses ------------------------------------------------------------------------ */

static struct pol_addr v4_addr(const void *be)
{
	struct pol_addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(&a.b[12], be, 4);
	return a;
}

static void take_address(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	prt_addrs *out = ctx;
	const struct rtattr *a;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	/* IFA_LOCAL is ours and IFA_ADDRESS the far end where there are two. */
	a = prt_netlink_find(IFA_RTA(m), (int)IFA_PAYLOAD(h), IFA_LOCAL);
	if (!a)
		a = prt_netlink_find(IFA_RTA(m), (int)IFA_PAYLOAD(h), IFA_ADDRESS);
	if (a && m->ifa_family == AF_INET && RTA_PAYLOAD(a) == 4)
		*pol_vec_push(out) = v4_addr(RTA_DATA(a));
	else if (a && m->ifa_family == AF_INET6 && RTA_PAYLOAD(a) == 16)
		memcpy(pol_vec_push(out), RTA_DATA(a), 16);
}

int prt_net_addresses(prt_addrs *out, struct pol_err *e)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.addr)),
				       .nlmsg_type = RTM_GETADDR,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	int r = ask_whole(&q, take_address, out, &out->n);

	if (r)
		return failed(r, "the addresses", e);
	*pol_vec_push(out) = v4_addr((const uint8_t[]){ 127, 0, 0, 1 });
	*pol_vec_push(out) = (struct pol_addr){ .b = { [15] = 1 } };
	return 0;
}

/* ---- routes and rules ------------------------------------------------------------------- */

/* An IPv6 route of every link's own: link-local and multicast destinations. */
static bool of_the_link(const struct rtmsg *m, const struct rtattr *dst)
{
	const uint8_t *b = dst ? RTA_DATA(dst) : NULL;

	return m->rtm_family == AF_INET6 && b && RTA_PAYLOAD(dst) == 16 &&
	       (b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80));
}

static void take_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	prt_ifindexes *out = ctx;
	const struct rtattr *oif;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->rtm_type != RTN_UNICAST || m->rtm_flags & RTM_F_CLONED ||
	    of_the_link(m, prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_DST)))
		return;
	oif = prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_OIF);
	if (oif)
		*pol_vec_push(out) = number(oif);
	oif = prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_MULTIPATH);
	if (oif) {
		const struct rtnexthop *hop = RTA_DATA(oif);
		int left = (int)RTA_PAYLOAD(oif);

		for (; RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
			*pol_vec_push(out) = (uint32_t)hop->rtnh_ifindex;
	}
}

static const uint8_t families[] = { AF_INET, AF_INET6 };

int prt_net_routed(prt_ifindexes *out, struct pol_err *e)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.route)),
					       .nlmsg_type = RTM_GETROUTE,
					       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
				     .route = { .rtm_family = families[i] } };
		int r = ask_whole(&q, take_route, out, &out->n);

		if (r)
			return failed(r, "the routes", e);
	}
	return 0;
}

static bool is_v4(const struct pol_addr *a)
{
	const struct pol_addr v4 = v4_addr(&a->b[12]);

	return !memcmp(&v4, a, sizeof(v4));
}

static void take_way(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	uint32_t *out = ctx;

	if (h->nlmsg_type == RTM_NEWROUTE && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*m)) &&
	    m->rtm_type == RTN_UNICAST)
		*out = number(prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_OIF));
}

int prt_net_route(const struct pol_addr *to, uint32_t *ifindex, struct pol_err *e)
{
	bool v4 = is_v4(to);
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.route)),
				       .nlmsg_type = RTM_GETROUTE,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
			     .route = { .rtm_family = v4 ? AF_INET : AF_INET6,
					.rtm_dst_len = v4 ? 32 : 128 } };
	int r;

	*ifindex = 0;
	add(&q, RTA_DST, v4 ? &to->b[12] : to->b, v4 ? 4 : 16);
	r = ask(&q, take_way, ifindex);
	/* the kernel answers "unreachable" with one of many codes */
	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL ||
	    r == -ENETDOWN)
		r = 0;
	return r ? failed(r, "a route", e) : 0;
}

static void take_rule(const struct nlmsghdr *h, void *ctx)
{
	const struct fib_rule_hdr *m = NLMSG_DATA(h);
	const struct rtattr *first = (const void *)((const char *)m + NLMSG_ALIGN(sizeof(*m)));
	int left = (int)NLMSG_PAYLOAD(h, sizeof(*m));
	const struct rtattr *mark = prt_netlink_find(first, left, FRA_FWMARK),
			    *mask = prt_netlink_find(first, left, FRA_FWMASK),
			    *table = prt_netlink_find(first, left, FRA_TABLE),
			    *protocol = prt_netlink_find(first, left, FRA_PROTOCOL);
	prt_ip_rules *out = ctx;

	if (h->nlmsg_type != RTM_NEWRULE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	*pol_vec_push(out) = (struct prt_ip_rule){
		.family = m->family,
		.priority = number(prt_netlink_find(first, left, FRA_PRIORITY)),
		.mark = number(mark),
		.mask = !mark  ? 0
			: mask ? number(mask)
			       : UINT32_MAX,
		.ours = protocol && *(const uint8_t *)RTA_DATA(protocol) == PRT_WAY_PROTOCOL,
		.table = table ? number(table) : m->table,
	};
}

int prt_net_rules(prt_ip_rules *out, struct pol_err *e)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.rule)),
					       .nlmsg_type = RTM_GETRULE,
					       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
				     .rule = { .family = families[i] } };
		int r = ask_whole(&q, take_rule, out, &out->n);

		/* a kernel without policy routing has none */
		if (r && r != -EOPNOTSUPP && r != -EAFNOSUPPORT)
			return failed(r, "the routing rules", e);
	}
	return 0;
}

/* ---- the way to the proxy -------------------------------------------------------------- */

static void add_u32(struct request *q, uint16_t type, uint32_t v)
{
	add(q, type, &v, sizeof(v));
}

static void ignore(const struct nlmsghdr *h, void *ctx)
{
	(void)h;
	(void)ctx;
}

static int way_rule(int family, const struct prt_way *way, bool on)
{
	const uint8_t protocol = PRT_WAY_PROTOCOL;
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.rule)),
				       .nlmsg_type = on ? RTM_NEWRULE : RTM_DELRULE,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
						      (on ? NLM_F_CREATE | NLM_F_EXCL : 0) },
			     .rule = { .family = (uint8_t)family, .action = FR_ACT_TO_TBL } };

	add_u32(&q, FRA_PRIORITY, way->priority);
	add_u32(&q, FRA_FWMARK, POL_MARK_PROXY);
	add_u32(&q, FRA_FWMASK, POL_MARK_MASK);
	add_u32(&q, FRA_TABLE, way->table);
	add(&q, FRA_PROTOCOL, &protocol, sizeof(protocol));
	return ask(&q, ignore, NULL);
}

static int way_route(int family, uint32_t table, bool on)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.route)),
				       .nlmsg_type = on ? RTM_NEWROUTE : RTM_DELROUTE,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
						      (on ? NLM_F_CREATE | NLM_F_REPLACE : 0) },
			     .route = { .rtm_family = (uint8_t)family,
					.rtm_type = RTN_LOCAL,
					.rtm_protocol = PRT_WAY_PROTOCOL,
					.rtm_scope = family == AF_INET ? RT_SCOPE_HOST
								       : RT_SCOPE_UNIVERSE } };

	add_u32(&q, RTA_TABLE, table);
	add_u32(&q, RTA_OIF, POL_LO_IFINDEX);
	return ask(&q, ignore, NULL);
}

/* On or off already is fine; and a host without IPv6 has no such flows. */
static int way_result(int r, int family, bool on, struct pol_err *e)
{
	if (!r || r == -EEXIST || r == -ENOENT || r == -ESRCH)
		return 0;
	if (family == AF_INET6 && (r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EACCES))
		return 0;
	return pol_err(e, r, "cannot %s the route to the proxy: %s", on ? "make" : "remove",
		       strerror(-r));
}

bool prt_net_way(struct prt_way *out)
{
	prt_ip_rules all = { 0 };
	bool found = false;
	int r = prt_net_rules(&all, NULL);

	for (size_t i = 0; i < all.n && !r && !found; i++) {
		found = all.v[i].ours;
		*out = (struct prt_way){ .table = all.v[i].table, .priority = all.v[i].priority };
	}
	pol_vec_free(&all);
	return found;
}

int prt_net_way_make(const struct prt_way *way, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < POL_ARRAY_LEN(families) && !r; i++) {
		r = way_result(way_route(families[i], way->table, true), families[i], true, e);
		if (!r)
			r = way_result(way_rule(families[i], way, true), families[i], true, e);
	}
	return r;
}

int prt_net_way_tidy(const struct prt_way *keep, struct pol_err *e)
{
	prt_ip_rules all = { 0 };
	int r = prt_net_rules(&all, e);

	for (size_t i = 0; i < all.n && !r; i++) {
		const struct prt_ip_rule *rule = &all.v[i];
		const struct prt_way way = { .table = rule->table, .priority = rule->priority };

		if (!rule->ours ||
		    (keep && keep->table == way.table && keep->priority == way.priority))
			continue;
		r = way_result(way_rule(rule->family, &way, false), rule->family, false, e);
		if (!r && (!keep || keep->table != way.table))
			r = way_result(way_route(rule->family, way.table, false), rule->family,
				       false, e);
	}
	pol_vec_free(&all);
	return r;
}

struct table_search {
	uint32_t table;
	size_t count;
};

static void take_foreign(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct table_search *s = ctx;
	const struct rtattr *table;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->rtm_flags & RTM_F_CLONED)
		return;
	table = prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_TABLE);
	if ((table ? number(table) : m->rtm_table) == s->table &&
	    m->rtm_protocol != PRT_WAY_PROTOCOL)
		s->count++;
}

int prt_net_foreign_routes(uint32_t table, unsigned *count, struct pol_err *e)
{
	*count = 0;
	for (size_t i = 0; i < POL_ARRAY_LEN(families); i++) {
		struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.route)),
					       .nlmsg_type = RTM_GETROUTE,
					       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
				     .route = { .rtm_family = families[i] } };
		struct table_search s = { .table = table };
		int r = ask_whole(&q, take_foreign, &s, &s.count);

		if (r)
			return failed(r, "the routes", e);
		*count += (unsigned)s.count;
	}
	return 0;
}

/* ---- traffic control -------------------------------------------------------------------- */

struct qdisc_search {
	uint32_t ifindex;
	size_t found;
	char kind[PRT_IFNAME];
};

static void take_qdisc(const struct nlmsghdr *h, void *ctx)
{
	const struct tcmsg *m = NLMSG_DATA(h);
	struct qdisc_search *s = ctx;

	if (h->nlmsg_type == RTM_NEWQDISC && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*m)) &&
	    (uint32_t)m->tcm_ifindex == s->ifindex && m->tcm_parent == TC_H_CLSACT) {
		copy_text(s->kind, prt_netlink_find(TCA_RTA(m), (int)TCA_PAYLOAD(h), TCA_KIND));
		s->found++;
	}
}

int prt_net_ingress_qdisc(uint32_t ifindex, char kind[PRT_IFNAME], struct pol_err *e)
{
	/* Asked for one by its parent, kernels differ in what they answer; a dump is always right. */
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.tc)),
				       .nlmsg_type = RTM_GETQDISC,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
			     .tc = { .tcm_ifindex = (int)ifindex } };
	struct qdisc_search s = { .ifindex = ifindex };
	int r = ask_whole(&q, take_qdisc, &s, &s.found);

	if (r)
		return failed(r, "the queueing disciplines", e);
	memcpy(kind, s.found ? s.kind : "", s.found ? PRT_IFNAME : 1);
	return 0;
}

static void take_filter(const struct nlmsghdr *h, void *ctx)
{
	const struct tcmsg *m = NLMSG_DATA(h);
	size_t *count = ctx;

	/* Each filter comes twice: once for its chain with handle 0, once for itself. */
	if (h->nlmsg_type == RTM_NEWTFILTER && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*m)) &&
	    m->tcm_handle)
		++*count;
}

int prt_net_filters(uint32_t ifindex, unsigned *count, struct pol_err *e)
{
	static const uint32_t sides[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	size_t n = 0;

	for (size_t i = 0; i < POL_ARRAY_LEN(sides); i++) {
		struct request q = {
			.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.tc)),
				  .nlmsg_type = RTM_GETTFILTER,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
			.tc = { .tcm_ifindex = (int)ifindex,
				.tcm_parent = TC_H_MAKE(TC_H_CLSACT, sides[i]) },
		};
		int r = ask_whole(&q, take_filter, &n, &n);

		if (r)
			return failed(r, "the filters of an interface", e);
	}
	*count = (unsigned)n;
	return 0;
}
