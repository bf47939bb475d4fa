/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What rtnetlink tells of this network namespace.
 */
#ifndef POLC_RUNTIME_NET_H
#define POLC_RUNTIME_NET_H

#include <polc/abi.h>

#include "base/base.h"

#define PRT_IFNAME 16	/* with its NUL */

struct prt_link {
	uint32_t ifindex;
	char name[PRT_IFNAME];
	char kind[PRT_IFNAME];	/* "veth", "macvlan", ...; "" for hardware */
	bool up, loopback;
	bool bridge_port;
	uint32_t master;	/* the interface that this one belongs to; 0: none */
	uint32_t xdp;		/* id of the XDP program that hangs there; 0: none */
	uint8_t mac[6];
	uint32_t peer;		/* of a veth: ifindex of the other end, in ... */
	int32_t peer_netns;	/* ... this namespace as netlink numbers it; -1: here, or none */
};
typedef POL_VEC(struct prt_link) prt_links;
typedef POL_VEC(struct pol_addr) prt_addrs;

/* -ENODEV without an error text: there is none of that name. */
int prt_net_link_by_name(const char *name, struct prt_link *out, struct pol_err *e);
/* The same by number. */
int prt_net_link_by_index(uint32_t ifindex, struct prt_link *out, struct pol_err *e);
/*
 * The MAC of the other end of a veth that lies in another namespace.  -ENODEV without an
 * error text: there is none, or it cannot be asked.
 */
int prt_net_peer_mac(const struct prt_link *link, uint8_t mac[6]);
struct prt_veth {
	struct prt_link here, far;
};
typedef POL_VEC(struct prt_veth) prt_veths;
/*
 * The veth pairs between this namespace and the one open as netns.  Both ends name each other:
 * what one alone says could be any interface's number.
 */
int prt_net_veths(int netns, prt_veths *out, struct pol_err *e);
/* The number that netlink has here for the network namespace behind fd, or -1. */
int32_t prt_net_netns_id(int netns);
int prt_net_links(prt_links *out, struct pol_err *e);
struct nlmsghdr;
/* Of an RTM_NEWLINK or RTM_DELLINK that the kernel sent; false: it is none. */
bool prt_net_link_of(const struct nlmsghdr *h, struct prt_link *out);
/* All addresses of all interfaces, and the two loopback addresses, which always mean this host. */
int prt_net_addresses(prt_addrs *out, struct pol_err *e);
/* Interfaces by which some unicast route beyond the link leads, each as often as there are such routes. */
typedef POL_VEC(uint32_t) prt_ifindexes;
int prt_net_routed(prt_ifindexes *out, struct pol_err *e);
/* By which interface this host sends to the address; 0: it has no route. */
int prt_net_route(const struct pol_addr *to, uint32_t *ifindex, struct pol_err *e);

struct prt_ip_rule {		/* of policy routing */
	int family;		/* AF_INET or AF_INET6 */
	uint32_t priority, table;
	uint32_t mark, mask;	/* mask 0: it does not ask for a mark */
	bool ours;		/* made by prt_net_way_make() */
};
typedef POL_VEC(struct prt_ip_rule) prt_ip_rules;
int prt_net_rules(prt_ip_rules *out, struct pol_err *e);

/*
 * The way to the proxy: what carries POL_MARK_PROXY is for this host, whatever its address, by a
 * rule and a local route, IPv4 and IPv6.  They are known by their protocol (rtnetlink(7)), so
 * whoever comes later, or after a crash, finds them wherever they are.
 */
#define PRT_WAY_PROTOCOL 112u	/* of no routing daemon (include/uapi/linux/rtnetlink.h) */
#define PRT_WAY_PRIORITY 9u	/* behind `local`, before all that users make */
#define PRT_WAY_TABLE 2004u
struct prt_way {
	uint32_t table, priority;
};
/* The one that is there; false: none. */
bool prt_net_way(struct prt_way *out);
/* That it is there already is fine. */
int prt_net_way_make(const struct prt_way *way, struct pol_err *e);
/* Removes all but that one (NULL: all). */
int prt_net_way_tidy(const struct prt_way *keep, struct pol_err *e);
/* How many routes of others a table has, IPv4 and IPv6. */
int prt_net_foreign_routes(uint32_t table, unsigned *count, struct pol_err *e);

/*
 * Kind of the qdisc that holds ingress filters: "clsact", "ingress"; "" if there is none.  Reads
 * those of all interfaces.
 */
int prt_net_ingress_qdisc(uint32_t ifindex, char kind[PRT_IFNAME], struct pol_err *e);
/* How many filters hang at both sides of the clsact qdisc. */
int prt_net_filters(uint32_t ifindex, unsigned *count, struct pol_err *e);

#endif
