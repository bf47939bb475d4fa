/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call of the engine to a network or IPAM plugin, read and checked: Docker's libnetwork,
 * docs/remote.md and docs/ipam.md.
 *
 * What stands in it comes from the engine and, through it, from whoever may start
 * containers.  All that is checked is checked here, and nothing here touches the host.
 */
#ifndef CN_CALL_H
#define CN_CALL_H

#include <jansson.h>

#include "labels.h"
#include "link.h"

#define CN_CALL_MAX (256u << 10) /* bytes of a call */
#define CN_POOL_ID 128

enum cn_method {
	CN_ACTIVATE,
	CN_CAPABILITIES, CN_CREATE_NETWORK, CN_DELETE_NETWORK, CN_CREATE_ENDPOINT, CN_DELETE_ENDPOINT,
	CN_ENDPOINT_INFO, CN_JOIN, CN_LEAVE, CN_PROGRAM, CN_REVOKE, CN_DISCOVER_NEW, CN_DISCOVER_DELETE,
	CN_IPAM_CAPABILITIES, CN_IPAM_SPACES, CN_REQUEST_POOL, CN_RELEASE_POOL, CN_REQUEST_ADDRESS,
	CN_RELEASE_ADDRESS,
	CN_METHODS
};

struct cn_call {
	enum cn_method method;
	struct pol_arena *arena;	/* owns the labels */
	char network[CN_ID], endpoint[CN_ID];
	/* CREATE_NETWORK: subnets, their gateways; CREATE_ENDPOINT: what it has got */
	struct cn_addr addr[CN_FAMILIES];
	uint32_t mtu;			/* 0: not said */
	bool has_mac;
	uint8_t mac[6];
	struct cn_labels labels;	/* by polc.label.KEY=VALUE */
	/* IPAM */
	bool v6, gateway;
	struct cn_addr pool, range;	/* family 0: not said; an address with no bits of the host */
	struct pol_ip ip;		/* family 0: any */
};

/* "/Plugin.Activate" and so on; CN_METHODS: no such. */
enum cn_method cn_method_of(const char *path);

/* -EBADMSG: no JSON object; -EINVAL: what it says cannot be.  Free it with cn_call_free() either way. */
int cn_call_read(struct cn_call *c, enum cn_method method, const char *bytes, size_t n,
		 struct pol_err *e);
void cn_call_free(struct cn_call *c);

/* An id of the engine: hexadecimal, long enough to name devices after. */
bool cn_good_id(const char *id);

/*
 * The option polc.label.KEY of an endpoint as a label; others that begin with polc. are mistakes.
 * *any is set if there was one.  `options`: an object of texts (and of whatever else), or NULL.
 */
int cn_option_labels(struct cn_labels *l, const json_t *options, bool *any, struct pol_err *e);

/* A pool is known by what it is: nothing has to be kept of it. */
void cn_pool_id(struct cn_addr pool, struct cn_addr range, char out[CN_POOL_ID]);

#endif
