/* SPDX-License-Identifier: GPL-2.0-only */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/input/endpoint.h"
#include "runtime/input/env.h"
#include "runtime/host/netlink.h"

#define PROTOCOL 113u /* of our routes; of no routing daemon (linux/rtnetlink.h) */

/* ---- addresses ------------------------------------------------------------------------------ */

struct pol_ip cn_ip_next(struct pol_ip ip)
{
	ip.lo++;
	if (ip.family == 4)
		ip.lo &= UINT32_MAX;
	else if (!ip.lo)
		ip.hi++;
	return ip;
}

static uint64_t ones(unsigned n) /* n <= 64, from the top */
{
	return n ? ~0ull << (64 - n) : 0;
}

struct pol_ip cn_subnet_of(struct cn_addr a)
{
	if (a.ip.family == 4) {
		a.ip.lo &= ones(a.len + 32u) & UINT32_MAX;
		return a.ip;
	}
	a.ip.hi &= ones(a.len < 64 ? a.len : 64);
	a.ip.lo &= ones(a.len > 64 ? a.len - 64u : 0);
	return a.ip;
}

struct pol_ip cn_gateway_of(struct cn_addr a)
{
	return cn_ip_next(cn_subnet_of(a));
}

const char *cn_addr_format(struct cn_addr a, char out[POL_IP_TEXT])
{
	pol_ip_format(a.ip, out);
	snprintf(out + strlen(out), POL_IP_TEXT - strlen(out), "/%u", a.len);
	return out;
}

const char *cn_mac_format(const uint8_t mac[6], char out[CN_MAC])
{
	snprintf(out, CN_MAC, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return out;
}

/* In network order; how many bytes. */
static size_t bytes_of(struct pol_ip ip, uint8_t out[16])
{
	struct pol_addr a = prt_addr_of_ip(ip);

	if (ip.family == 4) {
		memcpy(out, a.b + 12, 4);
		return 4;
	}
	memcpy(out, a.b, 16);
	return 16;
}

static uint8_t full(struct pol_ip ip)
{
	return ip.family == 4 ? 32 : 128;
}

static uint8_t family(struct pol_ip ip)
{
	return ip.family == 4 ? AF_INET : AF_INET6;
}

/* ---- messages ---------------------------------------------------------------------------------- */

struct message {
	struct nlmsghdr head;
	char room[1024];
};

static void begin(struct message *m, uint16_t type, uint16_t flags, const void *fixed, size_t n)
{
	memset(m, 0, sizeof(*m));
	m->head = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(n),
				     .nlmsg_type = type,
				     .nlmsg_flags = NLM_F_REQUEST | flags };
	memcpy(NLMSG_DATA(&m->head), fixed, n);
}

static struct rtattr *add(struct message *m, uint16_t type, const void *value, size_t n)
{
	struct rtattr *a = (void *)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), value, n);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void add_u32(struct message *m, uint16_t type, uint32_t value)
{
	add(m, type, &value, sizeof(value));
}

static void add_text(struct message *m, uint16_t type, const char *text)
{
	add(m, type, text, strlen(text) + 1);
}

/* What is added until end() lies inside. */
static struct rtattr *nest(struct message *m, uint16_t type)
{
	return add(m, type, NULL, 0);
}

static void end(struct message *m, struct rtattr *a)
{
	a->rta_len = (uint16_t)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len) - (char *)a);
}

static void ignore(const struct nlmsghdr *h, void *ctx)
{
	(void)h, (void)ctx;
}

static int ask(const struct message *m, prt_netlink_take take, void *ctx)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = prt_netlink_open(NETLINK_ROUTE);

	return fd < 0 ? fd : prt_netlink_ask(fd, &m->head, take, ctx);
}

static int order(const struct message *m, const char *what, const char *of, struct pol_err *e)
{
	int r = ask(m, ignore, NULL);

	return r ? pol_err(e, r, "%s: cannot %s: %s", of, what, strerror(-r)) : 0;
}

/* ---- devices -------------------------------------------------------------------------------------- */

void cn_device_name(enum cn_device kind, const char *id, char out[PRT_IFNAME])
{
	static const char *const prefixes[] = { [CN_DEVICE_NETWORK] = "polcn",
						[CN_DEVICE_HOST] = "polc",
						[CN_DEVICE_CONTAINER] = "polcp" };

	snprintf(out, PRT_IFNAME, "%s%.10s", prefixes[kind], id);
}

struct device {
	struct prt_link link;
	char alias[CN_ALIAS];
	uint32_t mtu;
	bool there;
};

void cn_alias_of(const struct nlmsghdr *h, char out[CN_ALIAS])
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct rtattr *a = prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_IFALIAS);

	snprintf(out, CN_ALIAS, "%.*s", a ? (int)RTA_PAYLOAD(a) : 0,
		 a ? (const char *)RTA_DATA(a) : "");
}

static void take_device(const struct nlmsghdr *h, void *ctx)
{
	struct device *d = ctx;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct rtattr *mtu;

	if (!prt_net_link_of(h, &d->link))
		return;
	cn_alias_of(h, d->alias);
	mtu = prt_netlink_find(IFLA_RTA(m), (int)IFLA_PAYLOAD(h), IFLA_MTU);
	if (mtu && RTA_PAYLOAD(mtu) >= sizeof(d->mtu))
		memcpy(&d->mtu, RTA_DATA(mtu), sizeof(d->mtu));
	d->there = true;
}

static int find(const char *name, struct device *d, struct pol_err *e)
{
	const struct ifinfomsg none = { 0 };
	struct message m;
	int r;

	memset(d, 0, sizeof(*d));
	begin(&m, RTM_GETLINK, NLM_F_ACK, &none, sizeof(none));
	add_text(&m, IFLA_IFNAME, name);
	r = ask(&m, take_device, d);
	if (r == -ENODEV || (!r && !d->there))
		return -ENODEV;
	return r ? pol_err(e, r, "interface %s: cannot be looked at: %s", name, strerror(-r)) : 0;
}

int cn_device_delete(uint32_t ifindex, struct pol_err *e)
{
	const struct ifinfomsg which = { .ifi_index = (int)ifindex };
	struct message m;
	int r;

	begin(&m, RTM_DELLINK, NLM_F_ACK, &which, sizeof(which));
	r = ask(&m, ignore, NULL);
	return r && r != -ENODEV
		       ? pol_err(e, r, "interface %u: cannot be removed: %s", ifindex, strerror(-r))
		       : 0;
}

/* One of ours.  Without an alias and down it was never finished, its maker was killed or failed: it goes. */
static int find_ours(const char *name, struct device *d, struct pol_err *e)
{
	int r = find(name, d, e);

	if (r || d->alias[0] || d->link.up)
		return r;
	r = cn_device_delete(d->link.ifindex, e);
	return r ? r : -ENODEV;
}

/* The alias, and up. */
static int set(uint32_t ifindex, const char *name, const char *alias, bool up, struct pol_err *e)
{
	const struct ifinfomsg which = { .ifi_index = (int)ifindex,
					 .ifi_flags = up ? IFF_UP : 0,
					 .ifi_change = up ? IFF_UP : 0 };
	struct rtattr *spec, *v6;
	const uint8_t no_address = IN6_ADDR_GEN_MODE_NONE;
	struct message m;

	begin(&m, RTM_NEWLINK, NLM_F_ACK, &which, sizeof(which));
	if (alias)
		add(&m, IFLA_IFALIAS, alias, strlen(alias));
	/* No link-local address: it would be tentative when the first packet comes. */
	spec = nest(&m, IFLA_AF_SPEC);
	v6 = nest(&m, AF_INET6);
	add(&m, IFLA_INET6_ADDR_GEN_MODE, &no_address, sizeof(no_address));
	end(&m, v6);
	end(&m, spec);
	return order(&m, "be set up", name, e);
}

static int add_address(uint32_t ifindex, const char *name, struct cn_addr a, bool subnet,
		       struct pol_err *e)
{
	const struct ifaddrmsg which = { .ifa_family = family(a.ip),
					 .ifa_prefixlen = subnet ? a.len : full(a.ip),
					 .ifa_index = ifindex };
	uint8_t b[16];
	size_t n = bytes_of(a.ip, b);
	struct message m;

	begin(&m, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &which, sizeof(which));
	add(&m, IFA_LOCAL, b, n);
	add(&m, IFA_ADDRESS, b, n);
	add_u32(&m, IFA_FLAGS, IFA_F_NODAD | (subnet ? 0 : IFA_F_NOPREFIXROUTE));
	return order(&m, "take the gateway's address", name, e);
}

/* ---- networks ---------------------------------------------------------------------------------------- */

/* A word, and what is behind it. */
static const char *word(const char *from, char *out, size_t room)
{
	size_t n = strcspn(from, " ");

	snprintf(out, room, "%.*s", (int)n, from);
	return from + n + (from[n] == ' ');
}

int cn_network_find(const char *id, struct cn_network *out, uint32_t *ifindex, struct pol_err *e)
{
	char name[PRT_IFNAME], mark[8];
	struct device d;
	int r;

	cn_device_name(CN_DEVICE_NETWORK, id, name);
	r = find_ours(name, &d, e);
	if (r)
		return r;
	memset(out, 0, sizeof(*out));
	word(word(word(d.alias, mark, sizeof(mark)), out->id, sizeof(out->id)), out->name,
	     sizeof(out->name));
	if (strcmp(mark, "polcnet") || strcmp(out->id, id))
		return pol_err(e, -EEXIST, "interface %s is there and not of this network", name);
	out->mtu = d.mtu;
	*ifindex = d.link.ifindex;
	return 0;
}

static int make_bridge(const char *name, uint32_t mtu, struct pol_err *e)
{
	const struct ifinfomsg none = { 0 };
	struct rtattr *info;
	struct message m;
	int r;

	begin(&m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
	add_text(&m, IFLA_IFNAME, name);
	if (mtu)
		add_u32(&m, IFLA_MTU, mtu);
	info = nest(&m, IFLA_LINKINFO);
	add_text(&m, IFLA_INFO_KIND, "bridge");
	end(&m, info);
	r = ask(&m, ignore, NULL);
	return r && r != -EEXIST ? pol_err(e, r, "%s: cannot be made: %s", name, strerror(-r)) : 0;
}

int cn_network_make(const struct cn_network *n, struct pol_err *e)
{
	char name[PRT_IFNAME], alias[CN_ALIAS];
	struct device d;
	int r;

	cn_device_name(CN_DEVICE_NETWORK, n->id, name);
	snprintf(alias, sizeof(alias), "polcnet %s %s", n->id, n->name);
	r = make_bridge(name, n->mtu, e);
	r = r ? r : find(name, &d, e);
	for (size_t i = 0; i < CN_FAMILIES && !r; i++) {
		if (n->gateway[i].ip.family)
			r = add_address(d.link.ifindex, name, n->gateway[i], true, e);
	}
	/* last: what has an alias is whole */
	return r ? r : set(d.link.ifindex, name, alias, true, e);
}

/* ---- pairs --------------------------------------------------------------------------------------------- */

static bool read_addr(const char *text, struct cn_addr *out)
{
	char why[PRT_WHY];
	const char *slash = strchr(text, '/');

	memset(out, 0, sizeof(*out));
	if (!strcmp(text, "-"))
		return true;
	if (!slash ||
	    prt_check_address((struct pol_str){ text, (size_t)(slash - text) }, &out->ip, why))
		return false;
	out->len = (uint8_t)strtoul(slash + 1, NULL, 10);
	return true;
}

bool cn_pair_of(const char *alias, struct cn_pair *out)
{
	char mark[8], mac[CN_MAC], v4[POL_IP_TEXT + 4], v6[POL_IP_TEXT + 4], why[PRT_WHY];
	const char *at = word(alias, mark, sizeof(mark));

	memset(out, 0, sizeof(*out));
	at = word(at, out->id, sizeof(out->id));
	at = word(at, out->network, sizeof(out->network));
	at = word(at, mac, sizeof(mac));
	at = word(at, v4, sizeof(v4));
	word(at, v6, sizeof(v6));
	out->by_option = !strcmp(mark, "polcop");
	return (out->by_option || !strcmp(mark, "polcep")) &&
	       !prt_check_mac(pol_str(mac), out->mac, why) && read_addr(v4, &out->addr[CN_V4]) &&
	       read_addr(v6, &out->addr[CN_V6]);
}

int cn_pair_find(const char *id, struct cn_pair *out, struct prt_link *link, struct pol_err *e)
{
	char name[PRT_IFNAME];
	struct device d;
	int r;

	cn_device_name(CN_DEVICE_HOST, id, name);
	r = find_ours(name, &d, e);
	if (r)
		return r;
	if (!cn_pair_of(d.alias, out) || strcmp(out->id, id))
		return pol_err(e, -EEXIST, "interface %s is there and not of this endpoint", name);
	*link = d.link;
	return 0;
}

struct pairs {
	POL_VEC(struct cn_pair) pair;
	POL_VEC(struct prt_link) link;
};

static void take_pair(const struct nlmsghdr *h, void *ctx)
{
	struct pairs *all = ctx;
	struct prt_link link;
	struct cn_pair pair;
	char alias[CN_ALIAS];

	if (!prt_net_link_of(h, &link))
		return;
	cn_alias_of(h, alias);
	if (!cn_pair_of(alias, &pair))
		return;
	*pol_vec_push(&all->pair) = pair;
	*pol_vec_push(&all->link) = link;
}

int cn_pairs_each(cn_pair_fn fn, void *ctx, struct pol_err *e)
{
	const struct ifinfomsg none = { 0 };
	struct pairs all = { 0 };
	struct message m;
	int r = -EINTR;

	begin(&m, RTM_GETLINK, NLM_F_DUMP, &none, sizeof(none));
	for (int tries = 0; tries < 20 && r == -EINTR; tries++) {
		all.pair.n = all.link.n = 0;
		r = ask(&m, take_pair, &all);
	}
	for (size_t i = 0; i < all.pair.n && !r; i++)
		fn(&all.pair.v[i], &all.link.v[i], ctx);
	pol_vec_free(&all.pair);
	pol_vec_free(&all.link);
	return r ? pol_err(e, r, "the interfaces cannot be looked at: %s", strerror(-r)) : 0;
}

int cn_pair_make(const struct cn_pair *p, uint32_t mtu, struct prt_link *host, struct pol_err *e)
{
	const struct ifinfomsg none = { 0 };
	char name[PRT_IFNAME], far[PRT_IFNAME], alias[CN_ALIAS], text[2][POL_IP_TEXT], mac[CN_MAC];
	struct rtattr *info, *data, *peer;
	struct message m;
	struct device d;
	int r;

	cn_device_name(CN_DEVICE_HOST, p->id, name);
	cn_device_name(CN_DEVICE_CONTAINER, p->id, far);
	begin(&m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
	add_text(&m, IFLA_IFNAME, name);
	if (mtu)
		add_u32(&m, IFLA_MTU, mtu);
	info = nest(&m, IFLA_LINKINFO);
	add_text(&m, IFLA_INFO_KIND, "veth");
	data = nest(&m, IFLA_INFO_DATA);
	peer = nest(&m, VETH_INFO_PEER);
	m.head.nlmsg_len += (uint32_t)NLMSG_ALIGN(sizeof(none)); /* its ifinfomsg, zeros */
	add_text(&m, IFLA_IFNAME, far);
	add(&m, IFLA_ADDRESS, p->mac, sizeof(p->mac));
	if (mtu)
		add_u32(&m, IFLA_MTU, mtu);
	end(&m, peer);
	end(&m, data);
	end(&m, info);
	for (size_t i = 0; i < CN_FAMILIES; i++) {
		if (p->addr[i].ip.family)
			cn_addr_format(p->addr[i], text[i]);
		else
			strcpy(text[i], "-");
	}
	cn_mac_format(p->mac, mac);
	snprintf(alias, sizeof(alias), "%s %s %s %s %s %s", p->by_option ? "polcop" : "polcep",
		 p->id, p->network, mac, text[CN_V4], text[CN_V6]);
	r = order(&m, "be made", name, e);
	r = r ? r : find(name, &d, e);
	r = r ? r : set(d.link.ifindex, name, alias, false, e);
	if (!r)
		*host = d.link;
	return r;
}

static int add_route(uint32_t ifindex, const char *name, struct pol_ip to, struct pol_err *e)
{
	const struct rtmsg which = { .rtm_family = family(to),
				     .rtm_dst_len = full(to),
				     .rtm_table = RT_TABLE_MAIN,
				     .rtm_protocol = PROTOCOL,
				     .rtm_scope = RT_SCOPE_LINK,
				     .rtm_type = RTN_UNICAST };
	uint8_t b[16];
	size_t n = bytes_of(to, b);
	struct message m;

	begin(&m, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &which, sizeof(which));
	add(&m, RTA_DST, b, n);
	add_u32(&m, RTA_OIF, ifindex);
	return order(&m, "route to the container's address", name, e);
}

/* Said once and for all: nobody is asked, so nobody can answer in the container's place. */
static int add_neighbour(uint32_t ifindex, const char *name, struct pol_ip ip, const uint8_t mac[6],
			 struct pol_err *e)
{
	const struct ndmsg which = { .ndm_family = family(ip),
				     .ndm_ifindex = (int)ifindex,
				     .ndm_state = NUD_PERMANENT };
	uint8_t b[16];
	size_t n = bytes_of(ip, b);
	struct message m;

	begin(&m, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &which, sizeof(which));
	add(&m, NDA_DST, b, n);
	add(&m, NDA_LLADDR, mac, 6);
	return order(&m, "name the container's MAC", name, e);
}

int cn_pair_raise(const struct cn_pair *p, uint32_t ifindex, struct pol_err *e)
{
	char name[PRT_IFNAME];
	int r;

	cn_device_name(CN_DEVICE_HOST, p->id, name);
	r = set(ifindex, name, NULL, true, e);
	for (size_t i = 0; i < CN_FAMILIES && !r; i++) {
		struct cn_addr gateway = p->addr[i];

		if (!gateway.ip.family)
			continue;
		gateway.ip = cn_gateway_of(p->addr[i]);
		r = add_address(ifindex, name, gateway, false, e);
		r = r ? r : add_route(ifindex, name, p->addr[i].ip, e);
		r = r ? r : add_neighbour(ifindex, name, p->addr[i].ip, p->mac, e);
	}
	return r;
}

/* ---- what others have ------------------------------------------------------------------------------------- */

struct best {
	uint8_t len;
	bool seen;
};

static void take_best(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct best *b = ctx;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	b->len = m->rtm_dst_len;
	b->seen = true;
}

int cn_address_taken(struct pol_ip ip, bool *taken, struct pol_err *e)
{
	/* The entry that matches, not what it would mean for one packet. */
	const struct rtmsg which = { .rtm_family = family(ip),
				     .rtm_dst_len = full(ip),
				     .rtm_flags = RTM_F_FIB_MATCH };
	struct best best = { 0 };
	uint8_t b[16];
	size_t n = bytes_of(ip, b);
	struct message m;
	int r;

	begin(&m, RTM_GETROUTE, NLM_F_ACK, &which, sizeof(which));
	add(&m, RTA_DST, b, n);
	r = ask(&m, take_best, &best);
	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -ESRCH)
		r = 0; /* no way there, so nobody is there */
	*taken = best.seen && best.len == full(ip);
	return r ? pol_err(e, r, "the routes cannot be looked at: %s", strerror(-r)) : 0;
}

struct overlap {
	struct cn_addr subnet;
	bool direct, found;
};

static struct pol_ip ip_of(const struct rtattr *a, uint8_t af)
{
	struct pol_addr addr = { .b = { [10] = 0xff, [11] = 0xff } };

	if (af == AF_INET)
		memcpy(addr.b + 12, RTA_DATA(a), 4);
	else
		memcpy(addr.b, RTA_DATA(a), 16);
	return prt_ip_of_addr(&addr);
}

static void take_overlap(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct overlap *o = ctx;
	struct cn_addr there = { .len = m->rtm_dst_len }, here = o->subnet;
	const struct rtattr *dst = prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_DST);

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    m->rtm_family != family(here.ip) || m->rtm_type != RTN_UNICAST || !m->rtm_dst_len ||
	    !dst || RTA_PAYLOAD(dst) != full(here.ip) / 8u ||
	    (o->direct && prt_netlink_find(RTM_RTA(m), (int)RTM_PAYLOAD(h), RTA_GATEWAY)))
		return;
	there.ip = ip_of(dst, m->rtm_family);
	here.len = there.len = here.len < there.len ? here.len : there.len;
	o->found |= pol_ip_eq(cn_subnet_of(here), cn_subnet_of(there));
}

int cn_subnet_taken(struct cn_addr subnet, bool direct, bool *taken, struct pol_err *e)
{
	const struct rtmsg which = { .rtm_family = family(subnet.ip) };
	struct overlap o = { .subnet = subnet, .direct = direct };
	struct message m;
	int r = -EINTR;

	begin(&m, RTM_GETROUTE, NLM_F_DUMP, &which, sizeof(which));
	for (int tries = 0; tries < 20 && r == -EINTR; tries++)
		r = ask(&m, take_overlap, &o);
	*taken = o.found;
	return r ? pol_err(e, r, "the routes cannot be looked at: %s", strerror(-r)) : 0;
}
