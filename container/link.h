/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices of networks of ours, by rtnetlink(7).
 *
 * A network is a bridge without ports, polcnID, that has the gateway's addresses: it keeps the
 * subnet from whoever comes later, and it is the network's record.  An endpoint is a veth
 * pair, polcID here and polcpID for the container, with the gateway's addresses again (who
 * asks for an IPv6 neighbour is answered only by the device that has it), a route to each address
 * of the container and its MAC.  Containers see no other container as a neighbour: all goes by the
 * gateway, so all of it passes the hooks of the veth.
 *
 * ID is the beginning of the engine's.  The whole id, and what else has to be known, is in the
 * device's alias, which the kernel keeps as long as the device: no file says what is there.
 */
#ifndef CN_LINK_H
#define CN_LINK_H

#include "../base/base.h"
#include "runtime/host/net.h"

#define CN_ID 65	/* an id of the engine, with its NUL */
#define CN_ALIAS 256	/* as IFALIASZ, with its NUL */

struct cn_addr {	/* an address in its subnet */
	struct pol_ip ip; /* family 0: none */
	uint8_t len;
};

/* Address families, as they are counted here. */
enum { CN_V4, CN_V6, CN_FAMILIES };

struct cn_network {
	char id[CN_ID];
	char name[CN_ID];	/* "": not known */
	uint32_t mtu;		/* 0: the kernel's */
	struct cn_addr gateway[CN_FAMILIES];
};

struct cn_pair {
	char id[CN_ID], network[CN_ID];
	uint8_t mac[6];		/* the container's */
	struct cn_addr addr[CN_FAMILIES];
	bool by_option;		/* its labels are those of its own options (docker.h) */
};

/* The first address of a subnet is its gateway: nothing else has to be kept of it. */
struct pol_ip cn_gateway_of(struct cn_addr a);
/* The address without the bits of the host. */
struct pol_ip cn_subnet_of(struct cn_addr a);
struct pol_ip cn_ip_next(struct pol_ip ip);
/* "10.1.0.2/24" */
const char *cn_addr_format(struct cn_addr a, char out[POL_IP_TEXT]);

#define CN_MAC 18	/* 02:00:00:00:00:01, with its NUL */
const char *cn_mac_format(const uint8_t mac[6], char out[CN_MAC]);

enum cn_device { CN_DEVICE_NETWORK, CN_DEVICE_HOST, CN_DEVICE_CONTAINER };
void cn_device_name(enum cn_device kind, const char *id, char out[PRT_IFNAME]);

/* -ENODEV without an error text: there is none; what was begun and never finished is removed. */
int cn_network_find(const char *id, struct cn_network *out, uint32_t *ifindex, struct pol_err *e);
/* Makes or completes it. */
int cn_network_make(const struct cn_network *n, struct pol_err *e);
int cn_pair_find(const char *id, struct cn_pair *out, struct prt_link *link, struct pol_err *e);
/* What an alias says; false: it is not of an endpoint of ours. */
bool cn_pair_of(const char *alias, struct cn_pair *out);
/* Calls fn with each pair of ours and its host side. */
typedef void (*cn_pair_fn)(const struct cn_pair *p, const struct prt_link *host, void *ctx);
int cn_pairs_each(cn_pair_fn fn, void *ctx, struct pol_err *e);
/* Alias of the interface that a message is about; "": none. */
void cn_alias_of(const struct nlmsghdr *h, char out[CN_ALIAS]);

/* Both ends, down, without addresses: nothing goes there. */
int cn_pair_make(const struct cn_pair *p, uint32_t mtu, struct prt_link *host, struct pol_err *e);
/* Addresses, routes and neighbours; then it is up. */
int cn_pair_raise(const struct cn_pair *p, uint32_t ifindex, struct pol_err *e);
/* That it is gone is fine. */
int cn_device_delete(uint32_t ifindex, struct pol_err *e);

/* Has somebody this one address: this host, or a container that is routed to? */
int cn_address_taken(struct pol_ip ip, bool *taken, struct pol_err *e);
/* Does a route other than the default one lead into, or around, this subnet?  direct: one without a gateway. */
int cn_subnet_taken(struct cn_addr subnet, bool direct, bool *taken, struct pol_err *e);

#endif
