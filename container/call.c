/* SPDX-License-Identifier: GPL-2.0-only */
#include "call.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "runtime/input/endpoint.h"
#include "runtime/input/env.h"

static const char *const paths[CN_METHODS] = {
	[CN_ACTIVATE] = "/Plugin.Activate",
	[CN_CAPABILITIES] = "/NetworkDriver.GetCapabilities",
	[CN_CREATE_NETWORK] = "/NetworkDriver.CreateNetwork",
	[CN_DELETE_NETWORK] = "/NetworkDriver.DeleteNetwork",
	[CN_CREATE_ENDPOINT] = "/NetworkDriver.CreateEndpoint",
	[CN_DELETE_ENDPOINT] = "/NetworkDriver.DeleteEndpoint",
	[CN_ENDPOINT_INFO] = "/NetworkDriver.EndpointOperInfo",
	[CN_JOIN] = "/NetworkDriver.Join",
	[CN_LEAVE] = "/NetworkDriver.Leave",
	[CN_PROGRAM] = "/NetworkDriver.ProgramExternalConnectivity",
	[CN_REVOKE] = "/NetworkDriver.RevokeExternalConnectivity",
	[CN_DISCOVER_NEW] = "/NetworkDriver.DiscoverNew",
	[CN_DISCOVER_DELETE] = "/NetworkDriver.DiscoverDelete",
	[CN_IPAM_CAPABILITIES] = "/IpamDriver.GetCapabilities",
	[CN_IPAM_SPACES] = "/IpamDriver.GetDefaultAddressSpaces",
	[CN_REQUEST_POOL] = "/IpamDriver.RequestPool",
	[CN_RELEASE_POOL] = "/IpamDriver.ReleasePool",
	[CN_REQUEST_ADDRESS] = "/IpamDriver.RequestAddress",
	[CN_RELEASE_ADDRESS] = "/IpamDriver.ReleaseAddress",
};

enum cn_method cn_method_of(const char *path)
{
	enum cn_method m = 0;

	while (m < CN_METHODS && strcmp(paths[m], path) != 0)
		m++;
	return m;
}

bool cn_good_id(const char *id)
{
	size_t n = id ? strlen(id) : 0;

	for (size_t i = 0; i < n; i++) {
		if (!isxdigit((unsigned char)id[i]) || isupper((unsigned char)id[i]))
			return false;
	}
	return n >= 16 && n < CN_ID;
}

/* ---- parts ------------------------------------------------------------------------------------ */

static const char *text(const json_t *in, const char *key)
{
	const char *s = json_string_value(json_object_get(in, key));

	return s ? s : "";
}

static int read_id(const json_t *in, const char *key, char out[CN_ID], struct pol_err *e)
{
	const char *id = text(in, key);

	if (!cn_good_id(id))
		return pol_err(e, -EINVAL, "%s `%s` is no id", key, prt_safe(id));
	strcpy(out, id);
	return 0;
}

/* ADDRESS/LENGTH of a family (0: any); "" is none. */
static int read_addr(const char *what, const char *s, unsigned family, struct cn_addr *out,
		     struct pol_err *e)
{
	const char *slash = strchr(s, '/');
	char why[PRT_WHY], *end;
	struct cn_addr a = { 0 };
	unsigned long len;
	const char *wrong;

	memset(out, 0, sizeof(*out));
	if (!*s)
		return 0;
	wrong = prt_check_address((struct pol_str){ s, slash ? (size_t)(slash - s) : strlen(s) },
				  &a.ip, why);
	if (wrong)
		return pol_err(e, -EINVAL, "%s: %s", what, wrong);
	len = slash && isdigit((unsigned char)slash[1]) ? strtoul(slash + 1, &end, 10) : 999;
	if (len > (a.ip.family == 4 ? 32 : 128) || *end)
		return pol_err(e, -EINVAL, "%s: `%s` is no address with a length", what,
			       prt_safe(s));
	if (family && a.ip.family != family)
		return pol_err(e, -EINVAL, "%s: `%s` is not of IPv%u", what, prt_safe(s), family);
	a.len = (uint8_t)len;
	*out = a;
	return 0;
}

/* A subnet that has room for a gateway and a container. */
static int check_subnet(const char *what, struct cn_addr a, struct pol_err *e)
{
	char t[POL_IP_TEXT];

	if (!pol_ip_eq(cn_subnet_of(a), a.ip))
		return pol_err(e, -EINVAL, "%s: %s has bits of a host", what, cn_addr_format(a, t));
	if (a.ip.family == 4 ? a.len < 8 || a.len > 30 : a.len < 32 || a.len > 126)
		return pol_err(
			e, -EINVAL,
			"%s: %s: a subnet has a length of 8 to 30 (IPv4) or 32 to 126 (IPv6)", what,
			cn_addr_format(a, t));
	return 0;
}

int cn_option_labels(struct cn_labels *l, const json_t *options, bool *any, struct pol_err *e)
{
	static const char prefix[] = "polc.label.";
	json_t *map = (json_t *)options,
	       *value; /* the iterators of jansson 2.13 want it writable */
	const char *key;
	int r = 0;

	json_object_foreach(map, key, value)
	{
		if (r || strncmp(key, "polc.", 5))
			continue;
		if (strncmp(key, prefix, sizeof(prefix) - 1) || !json_is_string(value)) {
			pol_err_help(e, "polc.label.KEY=VALUE is known");
			return pol_err(e, -EINVAL, "option `%s` is not known", prt_safe(key));
		}
		r = cn_labels_add(l, "driver options", pol_str(key + sizeof(prefix) - 1),
				  (struct pol_str){ json_string_value(value),
						    json_string_length(value) },
				  e);
		*any = true;
	}
	return r;
}

/* ---- networks ------------------------------------------------------------------------------------ */

static int read_mtu(const json_t *value, uint32_t *out, struct pol_err *e)
{
	const char *s = json_string_value(value);
	char *end = NULL;
	unsigned long n = s && isdigit((unsigned char)*s) ? strtoul(s, &end, 10) : 0;

	if (!end || *end || n < 1280 || n > 65535)
		return pol_err(e, -EINVAL,
			       "com.docker.network.driver.mtu is no number from 1280 to 65535");
	*out = (uint32_t)n;
	return 0;
}

static int read_network_options(struct cn_call *c, const json_t *options, struct pol_err *e)
{
	json_t *generic = json_object_get(options, "com.docker.network.generic"), *value;
	const char *key;
	int r = 0;

	/* Without the engine's own rules that would be a promise which nobody keeps. */
	if (json_is_true(json_object_get(options, "com.docker.network.internal"))) {
		pol_err_help(e, "leave --internal away: the policy says who may reach what");
		return pol_err(e, -EINVAL, "--internal is not for networks of polc");
	}
	json_object_foreach(generic, key, value)
	{
		if (r)
			break;
		if (!strcmp(key, "com.docker.network.driver.mtu")) {
			r = read_mtu(value, &c->mtu, e);
		} else {
			pol_err_help(e, "com.docker.network.driver.mtu is known");
			r = pol_err(e, -EINVAL, "option `%s` is not known to networks of polc",
				    prt_safe(key));
		}
	}
	return r;
}

static int read_subnet(struct cn_call *c, unsigned family, const json_t *list, struct pol_err *e)
{
	struct cn_addr *out = &c->addr[family == 4 ? CN_V4 : CN_V6], gateway;
	const json_t *one = json_array_get(list, 0);
	char t[POL_IP_TEXT];
	int r;

	if (!one)
		return 0;
	if (json_array_size(list) > 1)
		return pol_err(e, -EINVAL, "a network of polc has one subnet of IPv%u", family);
	if (json_object_size(json_object_get(one, "AuxAddresses")))
		return pol_err(e, -EINVAL, "auxiliary addresses are not for networks of polc");
	r = read_addr("subnet", text(one, "Pool"), family, out, e);
	if (!r && !out->ip.family) /* as --ipam-driver null has it */
		r = pol_err(e, -EINVAL, "a network of polc needs a subnet");
	r = r ? r : check_subnet("subnet", *out, e);
	r = r ? r : read_addr("gateway", text(one, "Gateway"), family, &gateway, e);
	if (r || !gateway.ip.family || pol_ip_eq(gateway.ip, cn_gateway_of(*out)))
		return r;
	pol_err_help(e, "leave --gateway away, or say %s", pol_ip_format(cn_gateway_of(*out), t));
	return pol_err(e, -EINVAL,
		       "the gateway of a network of polc is the first address of its subnet");
}

static int read_create_network(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	int r = read_network_options(c, json_object_get(in, "Options"), e);

	r = r ? r : read_subnet(c, 4, json_object_get(in, "IPv4Data"), e);
	r = r ? r : read_subnet(c, 6, json_object_get(in, "IPv6Data"), e);
	if (!r && !c->addr[CN_V4].ip.family && !c->addr[CN_V6].ip.family)
		r = pol_err(e, -EINVAL, "a network of polc needs a subnet");
	return r;
}

static int read_create_endpoint(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	const json_t *at = json_object_get(in, "Interface"),
		     *options = json_object_get(in, "Options");
	const char *mac = text(at, "MacAddress"), *wrong = NULL;
	char why[PRT_WHY];
	bool any = false;
	int r = read_addr("Address", text(at, "Address"), 4, &c->addr[CN_V4], e);

	r = r ? r : read_addr("AddressIPv6", text(at, "AddressIPv6"), 6, &c->addr[CN_V6], e);
	if (!r && !c->addr[CN_V4].ip.family && !c->addr[CN_V6].ip.family)
		r = pol_err(e, -EINVAL, "an endpoint needs an address");
	if (!r && *mac) {
		wrong = prt_check_mac(pol_str(mac), c->mac, why);
		c->has_mac = true;
	}
	if (wrong)
		r = pol_err(e, -EINVAL, "MacAddress: %s", wrong);
	/* Somebody has to translate for them, and that is the engine's own driver. */
	if (!r && json_array_size(json_object_get(options, "com.docker.network.portmap"))) {
		pol_err_help(
			e,
			"let a service of the policy stand for it (polc-policy(5)), or publish on a bridge network");
		r = pol_err(e, -EINVAL, "ports cannot be published on a network of polc");
	}
	return r ? r : cn_option_labels(&c->labels, options, &any, e);
}

/* ---- IPAM -------------------------------------------------------------------------------------------- */

void cn_pool_id(struct cn_addr pool, struct cn_addr range, char out[CN_POOL_ID])
{
	char t[POL_IP_TEXT];

	snprintf(out, CN_POOL_ID, "%s", cn_addr_format(pool, t));
	if (range.ip.family)
		snprintf(out + strlen(out), CN_POOL_ID - strlen(out), ",%s",
			 cn_addr_format(range, t));
}

static bool inside(struct cn_addr range, struct cn_addr pool)
{
	struct cn_addr outer = { range.ip, pool.len };

	return range.ip.family == pool.ip.family && range.len >= pool.len &&
	       pol_ip_eq(cn_subnet_of(outer), pool.ip);
}

static int read_pool(struct cn_call *c, const char *pool, const char *range, struct pol_err *e)
{
	char t[POL_IP_TEXT];
	int r = read_addr("pool", pool, 0, &c->pool, e);

	r = r ? r : read_addr("range", range, 0, &c->range, e);
	if (!r && c->pool.ip.family)
		r = check_subnet("pool", c->pool, e);
	if (r || !c->range.ip.family)
		return r;
	if (!inside(c->range, c->pool) || !pol_ip_eq(cn_subnet_of(c->range), c->range.ip))
		return pol_err(e, -EINVAL, "range: %s is no part of the pool",
			       cn_addr_format(c->range, t));
	return 0;
}

static int read_request_pool(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	int r = read_pool(c, text(in, "Pool"), text(in, "SubPool"), e);

	c->v6 = json_is_true(json_object_get(in, "V6"));
	if (!r && c->pool.ip.family && (c->pool.ip.family == 6) != c->v6)
		r = pol_err(e, -EINVAL, "pool: is of the other family");
	return r;
}

static int read_pool_id(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	const char *id = text(in, "PoolID"), *comma = strchrnul(id, ',');
	char pool[CN_POOL_ID];
	int r;

	if (strlen(id) >= sizeof(pool))
		return pol_err(e, -EINVAL, "PoolID is none of ours");
	snprintf(pool, sizeof(pool), "%.*s", (int)(comma - id), id);
	r = read_pool(c, pool, *comma ? comma + 1 : "", e);
	if (!r && !c->pool.ip.family)
		r = pol_err(e, -EINVAL, "PoolID is none of ours");
	return r;
}

static int read_address(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	const char *address = text(in, "Address"), *wrong = NULL;
	const char *type = text(json_object_get(in, "Options"), "RequestAddressType");
	struct cn_addr at = { .len = 0 };
	char why[PRT_WHY];
	int r = read_pool_id(c, in, e);

	c->gateway = !strcmp(type, "com.docker.network.gateway");
	if (r || !*address)
		return r;
	wrong = prt_check_address((struct pol_str){ address, strcspn(address, "/") }, &c->ip, why);
	if (wrong)
		return pol_err(e, -EINVAL, "address: %s", wrong);
	at = (struct cn_addr){ c->ip, c->ip.family == 4 ? 32 : 128 };
	return inside(at, c->pool)
		       ? 0
		       : pol_err(e, -EINVAL, "address: `%s` is not of the pool", prt_safe(address));
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static int read_object(struct cn_call *c, const json_t *in, struct pol_err *e)
{
	int r = 0;

	if (c->method >= CN_CREATE_NETWORK && c->method <= CN_REVOKE)
		r = read_id(in, "NetworkID", c->network, e);
	if (!r && c->method >= CN_CREATE_ENDPOINT && c->method <= CN_REVOKE)
		r = read_id(in, "EndpointID", c->endpoint, e);
	if (r)
		return r;
	switch (c->method) {
	case CN_CREATE_NETWORK:
		return read_create_network(c, in, e);
	case CN_CREATE_ENDPOINT:
		return read_create_endpoint(c, in, e);
	case CN_REQUEST_POOL:
		return read_request_pool(c, in, e);
	case CN_RELEASE_POOL:
		return read_pool_id(c, in, e);
	case CN_REQUEST_ADDRESS:
	case CN_RELEASE_ADDRESS:
		return read_address(c, in, e);
	case CN_ACTIVATE:
	case CN_CAPABILITIES:
	case CN_DELETE_NETWORK:
	case CN_DELETE_ENDPOINT:
	case CN_ENDPOINT_INFO:
	case CN_JOIN:
	case CN_LEAVE:
	case CN_PROGRAM:
	case CN_REVOKE:
	case CN_DISCOVER_NEW:
	case CN_DISCOVER_DELETE:
	case CN_IPAM_CAPABILITIES:
	case CN_IPAM_SPACES:
	case CN_METHODS:
		break;
	}
	return 0;
}

int cn_call_read(struct cn_call *c, enum cn_method method, const char *bytes, size_t n,
		 struct pol_err *e)
{
	json_error_t wrong;
	json_t *in = NULL;
	int r = 0;

	memset(c, 0, sizeof(*c));
	c->method = method;
	c->arena = pol_arena_new();
	c->labels.arena = c->arena;
	if (n) { /* some calls have nothing to say */
		in = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
		if (!json_is_object(in) && !json_is_null(in))
			r = pol_err(e, -EBADMSG, "a call is a JSON object");
	}
	r = r ? r : read_object(c, in, e);
	json_decref(in);
	return r;
}

void cn_call_free(struct cn_call *c)
{
	cn_labels_free(&c->labels);
	pol_arena_free(c->arena);
	memset(c, 0, sizeof(*c));
}
