/* SPDX-License-Identifier: GPL-2.0-only */
#include "driver.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "ipam.h"
#include "runtime/change/endpoints.h"
#include "runtime/host/netlink.h"
#include "whose.h"

#define LOOK_NS 30000000000ull /* all pairs are looked at */
#define STALE_NS                                                                                   \
	300000000000ull /* the engine does not come back for a pair that it has not taken */
#define AGAIN_NS 5000000ull /* a process that is about to appear */
#define PATIENCE_NS 10000000000ull /* then it is left to the agent */
#define ANSWER_MS 500L /* what the driver is asked by the engine may wait for that */
#define SILENCE_NS 1000000000ull /* how long an engine that has not answered is left alone */

int cn_driver_open(struct cn_driver *d, const char *engine_socket, struct pol_err *e)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	const int room = 4 << 20;

	d->docker.engine = &d->engine;
	d->links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (d->links < 0 || bind(d->links, (void *)&local, sizeof(local)))
		return pol_err(e, -errno, "netlink: cannot follow the interfaces: %s",
			       strerror(errno));
	setsockopt(d->links, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (cn_engine_open(&d->engine, engine_socket, e))
		return e->code;
	d->engine.patience_ms = ANSWER_MS;
	return 0;
}

void cn_driver_close(struct cn_driver *d)
{
	pol_cleanup_fd(&d->links);
	cn_engine_close(&d->engine);
	pol_vec_free(&d->given);
	pol_vec_free(&d->last);
	pol_vec_free(&d->joining);
	pol_vec_free(&d->bound);
	pol_vec_free(&d->waiting);
	pol_buf_free(&d->env.notes);
}

static unsigned long us_since(uint64_t then)
{
	return (unsigned long)((prt_env_now_ns() - then) / 1000);
}

/* ---- endpoints ---------------------------------------------------------------------------------- */

struct found {
	const char *endpoint; /* the engine's id; NULL: */
	uint32_t ifindex;
	struct pol_arena *arena;
	POL_VEC(struct pol_str) names;
};

static bool find_one(const struct prt_member *m, void *ctx)
{
	struct found *f = ctx;

	if (f->endpoint ? !strcmp(cn_label_of(m->info.labels, "docker.endpoint"), f->endpoint)
			: m->info.ifindex == f->ifindex)
		*pol_vec_push(&f->names) = pol_arena_str(f->arena, pol_str(m->info.name));
	return false;
}

/* Endpoint and device; neither there is fine.  In this order: it is never open. */
static int take_away(struct cn_driver *d, const char *id, struct pol_err *e)
{
	struct found f = { .endpoint = id, .arena = pol_arena_new() };
	struct cn_pair pair;
	struct prt_link link;
	int r = prt_endpoint_each(&d->env, find_one, &f, e), k;

	if (r == -ENOENT) { /* no policy is in force, so nobody is an endpoint */
		memset(e, 0, sizeof(*e));
		r = 0;
	}
	for (size_t i = 0; i < f.names.n && !r; i++) {
		k = prt_endpoint_del(&d->env, f.names.v[i].p, true, e);
		r = k == -ENOENT ? 0 : k; /* the agent was faster */
	}
	k = r ? r : cn_pair_find(id, &pair, &link, e);
	if (!k)
		r = cn_device_delete(link.ifindex, e);
	else if (k != -ENODEV)
		r = k;
	if (!r && prt_endpoint_sweep(&d->env, e) && e->code != -ENOENT)
		r = e->code;
	pol_vec_free(&f.names);
	pol_arena_free(f.arena);
	return r;
}

static int add_endpoint(struct cn_driver *d, const struct cn_pair *p, const char *interface,
			struct cn_place *place, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct prt_endpoint ep;
	int r;

	place->endpoint = p->id;
	place->interface = interface;
	memcpy(place->mac, p->mac, sizeof(place->mac));
	for (size_t i = 0; i < CN_FAMILIES; i++) {
		if (p->addr[i].ip.family)
			place->ip[place->nips++] = p->addr[i].ip;
	}
	r = cn_place_endpoint(arena, place, &ep, e);
	r = r ? r : prt_endpoint_add(&d->env, &ep, e);
	pol_arena_free(arena);
	return r;
}

static int silent(struct cn_driver *d, struct pol_err *e)
{
	return prt_env_now_ns() < d->silent_until
		       ? pol_err(e, -EAGAIN, "the engine does not answer")
		       : 0;
}

/* What came of a question. */
static int answered(struct cn_driver *d, int r)
{
	if (r == -EAGAIN)
		d->silent_until = prt_env_now_ns() + SILENCE_NS;
	return r;
}

/* The network's name, which calls do not say: the engine's, kept in the alias of its device. */
static int network_name(struct cn_driver *d, const char *id, char name[CN_ID], struct pol_err *e)
{
	struct cn_network n;
	uint32_t ifindex;
	int r = cn_network_find(id, &n, &ifindex, e);

	if (!r && !n.name[0]) {
		r = silent(d, e);
		r = r ? r : answered(d, cn_docker_network(&d->docker, id, n.name, e));
		r = r ? r : cn_network_make(&n, e);
	}
	if (!r)
		strcpy(name, n.name);
	return r;
}

/* ---- networks -------------------------------------------------------------------------------------- */

static int check_forwarding(const char *path, const char *sysctl, struct pol_err *e)
{
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;

	if (!pol_read_file(path, 16, &text, &n, NULL) && text[0] != '0')
		return 0;
	pol_err_help(e, "sysctl -w %s=1", sysctl);
	return pol_err(e, -ENETUNREACH,
		       "this host does not forward: its containers would reach nobody");
}

/* Whole or not at all: the engine forgets a network that it was refused, and its subnet would stay taken. */
static int make_network(const struct cn_network *n, struct pol_err *e)
{
	struct pol_err nothing = { 0 };
	struct cn_network there;
	uint32_t ifindex;
	int r = cn_network_make(n, e);

	if (r && !cn_network_find(n->id, &there, &ifindex, &nothing))
		cn_device_delete(ifindex, &nothing);
	return r;
}

static json_t *create_network(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	struct cn_network n = { .mtu = c->mtu }, there;
	char t[POL_IP_TEXT];
	uint32_t ifindex;
	bool taken = false;
	int r = cn_network_find(c->network, &there, &ifindex, e);

	(void)d;
	if (!r) /* a call that is made again */
		return json_object();
	if (r != -ENODEV)
		return NULL;
	strcpy(n.id, c->network);
	r = c->addr[CN_V4].ip.family
		    ? check_forwarding("/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward", e)
		    : 0;
	if (!r && c->addr[CN_V6].ip.family)
		r = check_forwarding("/proc/sys/net/ipv6/conf/all/forwarding",
				     "net.ipv6.conf.all.forwarding", e);
	for (size_t i = 0; i < CN_FAMILIES && !r; i++) {
		if (!c->addr[i].ip.family)
			continue;
		r = cn_subnet_taken(c->addr[i], true, &taken, e);
		if (!r && taken)
			r = pol_err(e, -EEXIST, "subnet %s: a network of this host overlaps it",
				    cn_addr_format(c->addr[i], t));
		n.gateway[i] = (struct cn_addr){ cn_gateway_of(c->addr[i]), c->addr[i].len };
	}
	r = r ? r : make_network(&n, e);
	return r ? NULL : json_object();
}

static json_t *delete_network(const struct cn_call *c, struct pol_err *e)
{
	struct cn_network n;
	uint32_t ifindex;
	int r = cn_network_find(c->network, &n, &ifindex, e);

	if (!r)
		r = cn_device_delete(ifindex, e);
	return r && r != -ENODEV ? NULL : json_object();
}

/* The device of the network; after a reboot the engine has it and the kernel has not. */
static int ensure_network(const struct cn_call *c, struct cn_network *n, struct pol_err *e)
{
	uint32_t ifindex;
	int r = cn_network_find(c->network, n, &ifindex, e);

	if (r != -ENODEV)
		return r;
	memset(n, 0, sizeof(*n));
	strcpy(n->id, c->network);
	for (size_t i = 0; i < CN_FAMILIES; i++) {
		if (c->addr[i].ip.family)
			n->gateway[i] =
				(struct cn_addr){ cn_gateway_of(c->addr[i]), c->addr[i].len };
	}
	return make_network(n, e);
}

/* ---- connections -------------------------------------------------------------------------------------- */

/* Locally administered, and as good as random: an id is. */
static void default_mac(const char *id, uint8_t mac[6])
{
	uint64_t h = pol_hash(id, strlen(id), 0);

	memcpy(mac, &h, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

static int check_addresses(const struct cn_call *c, struct pol_err *e)
{
	char t[POL_IP_TEXT];
	bool taken = false;
	int r = 0;

	for (size_t i = 0; i < CN_FAMILIES && !r; i++) {
		if (!c->addr[i].ip.family)
			continue;
		r = cn_address_taken(c->addr[i].ip, &taken, e);
		if (!r && taken)
			r = pol_err(e, -EADDRINUSE, "address %s is taken",
				    pol_ip_format(c->addr[i].ip, t));
	}
	return r;
}

/* Closed, and then with its addresses: whatever fails later, nothing was open. */
static int make_pair(struct cn_driver *d, const struct cn_pair *p, uint32_t mtu,
		     struct prt_link *link, struct pol_err *e)
{
	int r = cn_pair_make(p, mtu, link, e);

	r = r ? r : prt_endpoint_hold(&d->env, link->name, e);
	return r ? r : cn_pair_raise(p, link->ifindex, e);
}

/* Labels by options: an endpoint before the engine is answered. */
static int add_by_option(struct cn_driver *d, const struct cn_call *c, const struct cn_pair *p,
			 const struct prt_link *link, bool *in_place, struct pol_err *e)
{
	char network[CN_ID], name[16];
	struct cn_place place = {
		.name = name, .network = network, .labels = &c->labels, .by_option = true
	};
	struct pol_err why = { 0 };

	if (!p->by_option)
		return 0;
	/* As while the engine starts: closed, until the agent sees to it. */
	if (network_name(d, p->network, network, &why))
		return 0;
	*in_place = true;
	snprintf(name, sizeof(name), "%.12s", p->id);
	return add_endpoint(d, p, link->name, &place, e);
}

static json_t *create_endpoint(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	uint64_t begun = prt_env_now_ns();
	struct pol_err nothing = { 0 };
	struct cn_pair pair = { 0 };
	struct prt_link link;
	struct cn_network n;
	char mac[CN_MAC];
	bool in_place = false;
	int r = ensure_network(c, &n, e);

	/* What a call that is made again has left. */
	r = r ? r : take_away(d, c->endpoint, e);
	r = r ? r : check_addresses(c, e);
	if (r)
		return NULL;
	strcpy(pair.id, c->endpoint);
	strcpy(pair.network, c->network);
	memcpy(pair.addr, c->addr, sizeof(pair.addr));
	memcpy(pair.mac, c->mac, sizeof(pair.mac));
	pair.by_option = c->labels.v.n > 0;
	if (!c->has_mac)
		default_mac(c->endpoint, pair.mac);
	r = make_pair(d, &pair, n.mtu, &link, e);
	r = r ? r : add_by_option(d, c, &pair, &link, &in_place, e);
	if (r) {
		take_away(d, c->endpoint, &nothing);
		return NULL;
	}
	d->say(LOG_INFO, "endpoint %.12s: %s is %s, in %lu us", pair.id, link.name,
	       in_place ? "in place" : "closed", us_since(begun));
	if (c->has_mac)
		return json_pack("{s:{}}", "Interface");
	return json_pack("{s:{s:s}}", "Interface", "MacAddress", cn_mac_format(pair.mac, mac));
}

static int find_pair(const struct cn_call *c, struct cn_pair *p, struct prt_link *link,
		     struct pol_err *e)
{
	int r = cn_pair_find(c->endpoint, p, link, e);

	if (r == -ENODEV && !e->text[0])
		return pol_err(e, r, "endpoint %.12s is none of ours", c->endpoint);
	if (!r && strcmp(p->network, c->network) != 0)
		return pol_err(e, -EINVAL, "endpoint %.12s is of another network", c->endpoint);
	return r;
}

/*
 * Everything by the gateway, neighbours too: the gateway itself is on the link, and the two halves
 * of the subnet are nearer than the whole, which the container's address brings along.
 */
static void add_routes(json_t *routes, struct cn_addr a)
{
	struct cn_addr half = { cn_subnet_of(a), (uint8_t)(a.len + 1) };
	char gateway[POL_IP_TEXT], t[POL_IP_TEXT];

	pol_ip_format(cn_gateway_of(a), gateway);
	cn_addr_format((struct cn_addr){ cn_gateway_of(a), a.ip.family == 4 ? 32 : 128 }, t);
	json_array_append_new(routes, json_pack("{s:s, s:i}", "Destination", t, "RouteType", 1));
	for (int i = 0; i < 2; i++) {
		json_array_append_new(routes, json_pack("{s:s, s:i, s:s}", "Destination",
							cn_addr_format(half, t), "RouteType", 0,
							"NextHop", gateway));
		if (a.ip.family == 4)
			half.ip.lo |= 1ull << (31 - a.len);
		else if (a.len < 64)
			half.ip.hi |= 1ull << (63 - a.len);
		else
			half.ip.lo |= 1ull << (127 - a.len);
	}
}

static json_t *join(const struct cn_call *c, struct pol_err *e)
{
	static const char *const gateways[] = { "Gateway", "GatewayIPv6" };
	char name[PRT_IFNAME], t[POL_IP_TEXT];
	struct cn_pair p;
	struct prt_link link;
	json_t *routes, *out;

	if (find_pair(c, &p, &link, e))
		return NULL;
	cn_device_name(CN_DEVICE_CONTAINER, p.id, name);
	routes = json_array();
	out = json_pack("{s:{s:s, s:s}, s:b}", "InterfaceName", "SrcName", name, "DstPrefix", "eth",
			"DisableGatewayService", 1);
	for (size_t i = 0; i < CN_FAMILIES; i++) {
		if (!p.addr[i].ip.family)
			continue;
		add_routes(routes, p.addr[i]);
		json_object_set_new(out, gateways[i],
				    json_string(pol_ip_format(cn_gateway_of(p.addr[i]), t)));
	}
	json_object_set_new(out, "StaticRoutes", routes);
	return out;
}

static json_t *endpoint_info(const struct cn_call *c, struct pol_err *e)
{
	struct cn_pair p;
	struct prt_link link;

	if (find_pair(c, &p, &link, e))
		return NULL;
	return json_pack("{s:{s:s}}", "Value", "org.polc.interface", link.name);
}

json_t *cn_driver_call(struct cn_driver *d, const struct cn_call *c, struct pol_err *e)
{
	switch (c->method) {
	case CN_ACTIVATE:
		return json_pack("{s:[s, s]}", "Implements", "NetworkDriver", "IpamDriver");
	case CN_CAPABILITIES:
		return json_pack("{s:s, s:s}", "Scope", "local", "ConnectivityScope", "local");
	case CN_CREATE_NETWORK:
		return create_network(d, c, e);
	case CN_DELETE_NETWORK:
		return delete_network(c, e);
	case CN_CREATE_ENDPOINT:
		return create_endpoint(d, c, e);
	case CN_DELETE_ENDPOINT:
		return take_away(d, c->endpoint, e) ? NULL : json_object();
	case CN_ENDPOINT_INFO:
		return endpoint_info(c, e);
	case CN_JOIN:
		return join(c, e);
	case CN_IPAM_CAPABILITIES:
		return json_pack("{s:b, s:b}", "RequiresMACAddress", 0, "RequiresRequestReplay", 0);
	case CN_IPAM_SPACES:
		return json_pack("{s:s, s:s}", "LocalDefaultAddressSpace", "polc",
				 "GlobalDefaultAddressSpace", "polc-global");
	case CN_REQUEST_POOL:
		return cn_request_pool(d, c, e);
	case CN_RELEASE_POOL:
		return cn_release_pool(d, c);
	case CN_REQUEST_ADDRESS:
		return cn_request_address(d, c, e);
	case CN_RELEASE_ADDRESS:
		return cn_release_address(d, c);
	case CN_LEAVE: /* the device stays closed or the endpoint's until DeleteEndpoint */
	case CN_PROGRAM: /* nothing is translated */
	case CN_REVOKE:
	case CN_DISCOVER_NEW: /* of other hosts */
	case CN_DISCOVER_DELETE:
	case CN_METHODS:
		break;
	}
	return json_object();
}

/* ---- whose it is ------------------------------------------------------------------------------------- */

static bool is_bound(struct cn_driver *d, uint32_t ifindex, bool forget)
{
	for (size_t i = 0; i < d->bound.n; i++) {
		if (d->bound.v[i] != ifindex)
			continue;
		if (forget)
			d->bound.v[i] = d->bound.v[--d->bound.n];
		return true;
	}
	return false;
}

/*
 * Whose namespace the other end is in.  The number of a namespace may be another one's once it has
 * gone, so both are asked: while the end is there the number stays.
 */
static int owner_of(struct cn_joining *j, char id[CN_ID], struct pol_err *e)
{
	struct prt_link after;
	int r = prt_net_link_by_index(j->link.ifindex, &j->link, e);

	if (!r && j->link.peer_netns < 0)
		return -ENODEV;
	r = r ? r : cn_whose(j->link.peer_netns, id, e);
	r = r ? r : prt_net_link_by_index(j->link.ifindex, &after, e);
	return !r && after.peer_netns != j->link.peer_netns ? -ENODEV : r;
}

/*
 * -ENOENT without an error text: the process that it is for is not there yet; -ENODEV: the other
 * end has left again.
 */
static int bind_to_owner(struct cn_driver *d, struct cn_joining *j, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct cn_labels labels = { .arena = arena };
	char network[CN_ID], id[CN_ID] = "";
	struct cn_place place = { .network = network, .labels = &labels, .container = id };
	struct pol_str name;
	uint64_t asked, waited;
	int r = owner_of(j, id, e);

	asked = prt_env_now_ns();
	r = r ? r : network_name(d, j->pair.network, network, e);
	r = r ? r : silent(d, e);
	r = r ? r : answered(d, cn_docker_starting(&d->docker, id, &labels, &name, e));
	waited = prt_env_now_ns() - asked;
	if (!r) {
		place.name = name.p;
		r = add_endpoint(d, &j->pair, j->link.name, &place, e);
	}
	if (!r)
		d->say(LOG_INFO, "endpoint %s/%s at %s, in %lu us and %lu us of the engine",
		       prt_safe(name.p), network, j->link.name,
		       us_since(j->since) - (unsigned long)(waited / 1000),
		       (unsigned long)(waited / 1000));
	cn_labels_free(&labels);
	pol_arena_free(arena);
	return r;
}

/* 1, 0, or what is wrong. */
static int is_endpoint(struct cn_driver *d, uint32_t ifindex, struct pol_err *e)
{
	struct found f = { .ifindex = ifindex, .arena = pol_arena_new() };
	int r = prt_endpoint_each(&d->env, find_one, &f, e);

	r = r ? r : f.names.n > 0;
	pol_vec_free(&f.names);
	pol_arena_free(f.arena);
	return r;
}

/* true: done, or left to the agent. */
static bool bind_one(struct cn_driver *d, struct cn_joining *j)
{
	struct pol_err e = { 0 }, nothing = { 0 };
	uint64_t now;
	int r = is_endpoint(d, j->link.ifindex, &e), there = r > 0;

	r = there ? 0 : r;
	if (there)
		r = prt_endpoint_meet(&d->env, j->link.ifindex, &e);
	else if (!r && j->pair.by_option)
		return true; /* options are known to who can describe the container: the agent */
	else if (!r)
		r = bind_to_owner(d, j, &e);
	/* EEXIST: the agent was faster; ENODEV: there is nothing to bind any more */
	if (!r || r == -ENODEV || (r == -EEXIST && is_endpoint(d, j->link.ifindex, &nothing) > 0))
		return true;
	now = prt_env_now_ns();
	if (now - j->since < PATIENCE_NS && (r == -ENOENT || r == -EBUSY || r == -EAGAIN)) {
		j->next = now < d->silent_until ? d->silent_until : now + AGAIN_NS;
		return false;
	}
	d->say(LOG_WARNING, "endpoint %.12s stays closed for now: %s", j->pair.id,
	       e.text[0] ? e.text : "no container is there");
	return true;
}

/* Has it been waiting? */
static bool waits_no_longer(struct cn_driver *d, uint32_t ifindex)
{
	for (size_t i = 0; i < d->waiting.n; i++) {
		if (d->waiting.v[i].ifindex == ifindex) {
			d->waiting.v[i] = d->waiting.v[--d->waiting.n];
			return true;
		}
	}
	return false;
}

/* A pair that nobody has taken is held all the same: what is known of its hooks goes with it. */
static void sweep(struct cn_driver *d)
{
	struct pol_err e = { 0 };

	if (prt_endpoint_sweep(&d->env, &e) && e.code != -ENOENT)
		d->say(LOG_ERR, "%s", e.text);
}

static void noticed(const struct cn_pair *p, const struct prt_link *link, void *ctx)
{
	struct cn_driver *d = ctx;
	uint64_t now = prt_env_now_ns();

	if (link->peer_netns < 0) {
		for (size_t i = 0; i < d->waiting.n; i++) {
			if (d->waiting.v[i].ifindex == link->ifindex)
				return;
		}
		*pol_vec_push(&d->waiting) = (struct cn_waiting){ link->ifindex, now };
		return;
	}
	waits_no_longer(d, link->ifindex);
	if (is_bound(d, link->ifindex, false))
		return;
	*pol_vec_push(&d->bound) = link->ifindex;
	*pol_vec_push(&d->joining) = (struct cn_joining){ *p, *link, now, now };
}

static void gone(struct cn_driver *d, uint32_t ifindex)
{
	is_bound(d, ifindex, true);
	for (size_t i = 0; i < d->joining.n; i++) {
		if (d->joining.v[i].link.ifindex == ifindex)
			d->joining.v[i--] = d->joining.v[--d->joining.n];
	}
	if (waits_no_longer(d, ifindex))
		sweep(d);
}

static void one_link(struct cn_driver *d, const struct nlmsghdr *h)
{
	char alias[CN_ALIAS];
	struct cn_pair pair;
	struct prt_link link;

	if (!prt_net_link_of(h, &link))
		return;
	if (h->nlmsg_type == RTM_DELLINK) {
		gone(d, link.ifindex);
		return;
	}
	cn_alias_of(h, alias);
	if (cn_pair_of(alias, &pair))
		noticed(&pair, &link, d);
}

static void turn_links(struct cn_driver *d)
{
	static char room[65536];
	ssize_t n;

	for (;;) {
		n = recv(d->links, room, sizeof(room), 0);
		if (n < 0 && errno == ENOBUFS) {
			d->next_look = 0; /* the kernel had to drop some */
			continue;
		}
		if (n <= 0)
			return;
		for (const struct nlmsghdr *h = (const void *)room; NLMSG_OK(h, n);
		     h = NLMSG_NEXT(h, n))
			one_link(d, h);
	}
}

/* A pair that the engine made and has not taken: it has given up, or was killed. */
static void remove_stale(struct cn_driver *d)
{
	uint64_t now = prt_env_now_ns();

	for (size_t i = 0; i < d->waiting.n; i++) {
		struct prt_link link;
		struct pol_err e = { 0 };
		uint32_t ifindex = d->waiting.v[i].ifindex;

		if (now - d->waiting.v[i].since < STALE_NS)
			continue;
		d->waiting.v[i--] = d->waiting.v[--d->waiting.n];
		if (prt_net_link_by_index(ifindex, &link, &e) || link.peer_netns >= 0)
			continue;
		d->say(LOG_WARNING, "interface %s was never taken: it goes", prt_safe(link.name));
		if (cn_device_delete(ifindex, &e))
			d->say(LOG_ERR, "%s", e.text);
		else
			sweep(d);
	}
}

static void turn_joining(struct cn_driver *d)
{
	for (size_t i = 0; i < d->joining.n; i++) {
		if (d->joining.v[i].next > prt_env_now_ns())
			continue;
		if (bind_one(d, &d->joining.v[i]))
			d->joining.v[i--] = d->joining.v[--d->joining.n];
	}
}

static void hold_again(const struct cn_pair *p, const struct prt_link *link, void *ctx)
{
	struct cn_driver *d = ctx;
	struct pol_err e = { 0 };
	int r = prt_endpoint_hold(&d->env, link->name, &e);

	(void)p;
	if (r && r != -ENODEV && r != -ENOENT)
		d->say(LOG_ERR, "interface %s cannot be held: %s", link->name, e.text);
}

/* Other pins: what was made and bound has lost its hooks.  All is closed first, then seen to again. */
static void begin_again(struct cn_driver *d)
{
	struct pol_err e = { 0 };

	d->bound.n = 0;
	d->next_look = 0;
	if (cn_pairs_each(hold_again, d, &e))
		d->say(LOG_ERR, "%s", e.text);
}

int cn_driver_turn(struct cn_driver *d)
{
	struct pol_err e = { 0 };

	if (cn_pins_changed(&d->pins, &d->env) && d->pins.ino)
		begin_again(d);
	turn_links(d);
	if (prt_env_now_ns() >= d->next_look) {
		d->next_look = prt_env_now_ns() + LOOK_NS;
		if (cn_pairs_each(noticed, d, &e))
			d->say(LOG_ERR, "%s", e.text);
		remove_stale(d);
	}
	turn_joining(d);
	return d->joining.n && prt_env_now_ns() >= d->silent_until ? (int)(AGAIN_NS / 1000000)
								   : 1000;
}
