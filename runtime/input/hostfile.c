/* SPDX-License-Identifier: GPL-2.0-only */
#include "hostfile.h"

#include <polc/service.h>
#include <polc/proxy.h>

#include <errno.h>

#include "endpoint.h"
#include "input.h"
#include "base/yaml.h"

/* ---- what must not be there twice ---------------------------------------- */

/*
 * Names, interfaces and addresses as "KIND:bytes" -> line where they stand.
 * A hash set, because a host file may have some ten thousand of them.
 */
struct claim {
	struct pol_str key; /* n == 0: free */
	uint32_t line;
};

struct reader {
	struct pol_yaml_doc doc;
	struct pol_arena *arena;
	struct prt_hostfile *host;
	struct claim *claim;
	size_t claim_cap, claim_n; /* cap: a power of two */
};

static struct claim *claim_slot(struct claim *v, size_t cap, struct pol_str key)
{
	size_t i = pol_hash(key.p, key.n, 0) & (cap - 1);

	while (v[i].key.n && !pol_str_eq(v[i].key, key))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static void claim_grow(struct reader *r)
{
	size_t cap = r->claim_cap ? r->claim_cap * 2 : 256;
	struct claim *v;

	if (2 * (r->claim_n + 1) <= r->claim_cap)
		return;
	v = pol_arena_alloc(r->arena, cap * sizeof(*v));
	for (size_t i = 0; i < r->claim_cap; i++)
		if (r->claim[i].key.n)
			*claim_slot(v, cap, r->claim[i].key) = r->claim[i];
	r->claim = v;
	r->claim_cap = cap;
}

static int claim(struct reader *r, const struct pol_yaml *at, const char *what, struct pol_str key,
		 struct pol_str shown)
{
	struct pol_str full = pol_arena_printf(r->arena, "%s:%.*s", what, POL_STR_ARG(key));
	struct claim *c;
	char q[POL_QUOTE];

	claim_grow(r);
	c = claim_slot(r->claim, r->claim_cap, full);
	if (c->key.n)
		return pol_yaml_err(&r->doc, at, "%s `%s` is already used on line %u", what,
				    pol_quote(shown, q), c->line);
	*c = (struct claim){ full, at->line };
	r->claim_n++;
	return 0;
}

/* ---- single values ------------------------------------------------------- */

static int read_name(struct reader *r, const struct pol_yaml *at, const char *what,
		     struct pol_str *out)
{
	char why[PRT_WHY];
	const char *w;
	struct pol_str s;
	int ret = pol_yaml_text(&r->doc, at, what, &s);

	if (ret)
		return ret;
	w = prt_check_name(s, why);
	if (w)
		return pol_yaml_err(&r->doc, at, "%s", w);
	*out = s;
	return 0;
}

static int read_interface(struct reader *r, const struct pol_yaml *at, struct pol_str *out)
{
	char why[PRT_WHY];
	const char *w;
	struct pol_str s;
	int ret = pol_yaml_text(&r->doc, at, "an interface", &s);

	if (ret)
		return ret;
	w = prt_check_interface(s, why);
	if (w)
		return pol_yaml_err(&r->doc, at, "%s", w);
	*out = s;
	return claim(r, at, "interface", s, s);
}

static int read_address(struct reader *r, const struct pol_yaml *at, struct pol_ip *out)
{
	char why[PRT_WHY], text[POL_IP_TEXT];
	const char *w;
	struct pol_str s;
	int ret = pol_yaml_text(&r->doc, at, "an address", &s);

	if (ret)
		return ret;
	w = prt_check_address(s, out, why);
	if (w)
		return pol_yaml_err(&r->doc, at, "%s", w);
	return claim(r, at, "address", pol_str(pol_ip_format(*out, text)), s);
}

static int read_addresses(struct reader *r, const struct pol_yaml *at, size_t min,
			  const struct pol_ip **out, size_t *n)
{
	struct pol_ip *v;
	int ret = pol_yaml_list(&r->doc, at, "addresses");

	if (ret)
		return ret;
	if (at->n < min)
		return pol_yaml_err(&r->doc, at, "at least one address is needed");
	if (at->n > PRT_ADDRESSES_MAX)
		return pol_yaml_err(&r->doc, at, "more than %u addresses", PRT_ADDRESSES_MAX);
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		ret = read_address(r, &at->item[i], &v[i]);
		if (ret)
			return ret;
	}
	*out = v;
	*n = at->n;
	return 0;
}

static int read_label(struct reader *r, const struct pol_yaml *key, struct prt_label *out)
{
	const struct pol_yaml *value = key + 1;
	char why[PRT_WHY], q[POL_QUOTE];
	const char *w;
	int ret;

	out->key = key->text;
	if (value->kind == POL_YAML_SCALAR && !value->text.n && !value->quoted)
		return pol_yaml_err(&r->doc, key,
				    "label `%s` has no value; write \"\" for an empty "
				    "one",
				    pol_quote(key->text, q));
	ret = pol_yaml_text(&r->doc, value, "the value of a label", &out->value);
	if (ret)
		return ret;
	w = prt_check_label(out->key, out->value, why);
	return w ? pol_yaml_err(&r->doc, key, "%s", w) : 0;
}

static int read_labels(struct reader *r, const struct pol_yaml *at, struct prt_endpoint *ep)
{
	struct prt_label *v;
	char why[PRT_WHY];
	const char *w;

	if (at->kind != POL_YAML_MAP)
		return pol_yaml_err(&r->doc, at, "labels must be a mapping: {key: value}");
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		int ret = read_label(r, &at->item[2 * i], &v[i]);

		if (ret)
			return ret;
	}
	w = prt_check_labels(v, at->n, why);
	if (w)
		return pol_yaml_err(&r->doc, at, "%s", w);
	ep->labels = v;
	ep->nlabels = at->n;
	return 0;
}

static int read_mac(struct reader *r, const struct pol_yaml *at, struct prt_endpoint *ep)
{
	char why[PRT_WHY];
	const char *w;
	struct pol_str s;
	int ret = pol_yaml_text(&r->doc, at, "a MAC", &s);

	if (ret)
		return ret;
	w = prt_check_mac(s, ep->mac, why);
	if (w)
		return pol_yaml_err(&r->doc, at, "%s", w);
	ep->has_mac = true;
	return 0;
}

/* ---- endpoints, remotes, nodes ------------------------------------------- */

static int missing(struct reader *r, const struct pol_yaml *at, const char *what, const char *key)
{
	return pol_yaml_err(&r->doc, at, "%s has no `%s`", what, key);
}

/* The name of a remote that has none: its first address, which is unique as names must be. */
static struct pol_str name_by_address(struct reader *r, struct pol_ip ip)
{
	char text[POL_IP_TEXT];

	return pol_arena_str(r->arena, pol_str(pol_ip_format(ip, text)));
}

static int read_endpoint(struct reader *r, const struct pol_yaml *at, bool local,
			 struct prt_endpoint *ep)
{
	enum { NAME, ADDRESSES, LABELS, INTERFACE, MAC, KEYS };
	static const char *const key[] = { "name", "addresses", "labels", "interface", "mac" };
	const char *what = local ? "an endpoint" : "a remote endpoint";
	const struct pol_yaml *v[KEYS] = { 0 }, *named;
	int ret = pol_yaml_map(&r->doc, at, what, key, local ? KEYS : INTERFACE, v);

	if (ret)
		return ret;
	if (local && !v[NAME])
		return missing(r, at, what, "name");
	if (local && !v[INTERFACE])
		return missing(r, at, what, "interface");
	if (!v[ADDRESSES])
		return missing(r, at, what, "addresses");
	named = v[NAME] ? v[NAME] : at;
	ep->line = named->line;
	ep->column = named->column;
	if (v[NAME])
		ret = read_name(r, v[NAME], "the name", &ep->name);
	if (!ret && v[INTERFACE])
		ret = read_interface(r, v[INTERFACE], &ep->interface);
	if (!ret)
		ret = read_addresses(r, v[ADDRESSES], 1, &ep->addrs, &ep->naddrs);
	if (!ret && v[LABELS])
		ret = read_labels(r, v[LABELS], ep);
	if (!ret && v[MAC])
		ret = read_mac(r, v[MAC], ep);
	if (ret)
		return ret;
	if (!ep->name.n)
		ep->name = name_by_address(r, ep->addrs[0]);
	return claim(r, named, "name", ep->name, ep->name);
}

static int read_endpoints(struct reader *r, const struct pol_yaml *at, bool local,
			  const struct prt_endpoint **out, size_t *n)
{
	struct prt_endpoint *v;
	int ret = pol_yaml_list(&r->doc, at, local ? "endpoints" : "remote");

	if (ret)
		return ret;
	if (at->n >= POL_EP_MAX)
		return pol_yaml_err(&r->doc, at, "more than %u endpoints", POL_EP_MAX - 1);
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		ret = read_endpoint(r, &at->item[i], local, &v[i]);
		if (ret)
			return ret;
	}
	*out = v;
	*n = at->n;
	return 0;
}

static int read_node(struct reader *r, const struct pol_yaml *at, struct prt_node *node)
{
	static const char *const key[] = { "name", "addresses" };
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	int ret = pol_yaml_map(&r->doc, at, "a node", key, POL_ARRAY_LEN(key), v);

	if (ret)
		return ret;
	if (!v[0] || !v[1])
		return missing(r, at, "a node", v[0] ? key[1] : key[0]);
	node->line = v[0]->line;
	node->column = v[0]->column;
	ret = read_name(r, v[0], "the name", &node->name);
	if (!ret)
		ret = claim(r, v[0], "node", node->name, node->name);
	if (!ret)
		ret = read_addresses(r, v[1], 1, &node->addrs, &node->naddrs);
	return ret;
}

static int read_nodes(struct reader *r, const struct pol_yaml *at)
{
	struct prt_node *v;
	int ret = pol_yaml_list(&r->doc, at, "nodes");

	if (ret)
		return ret;
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		ret = read_node(r, &at->item[i], &v[i]);
		if (ret)
			return ret;
	}
	r->host->nodes = v;
	r->host->nnodes = at->n;
	return 0;
}

/* An address, or a prefix of at most 1 << POL_SVC_SPREAD. */
static int read_few(struct reader *r, const struct pol_yaml *at, struct pol_prefix *out)
{
	char why[PRT_WHY], q[POL_QUOTE];
	enum pol_ip_error err;
	struct pol_str s;
	const char *w;
	int ret = pol_yaml_text(&r->doc, at, "an address or a prefix", &s);

	if (ret)
		return ret;
	if (!memchr(s.p, '/', s.n)) {
		w = prt_check_address(s, &out->addr, why);
		out->len = out->addr.family == 4 ? 32 : 128;
		return w ? pol_yaml_err(&r->doc, at, "%s", w) : 0;
	}
	err = pol_prefix_parse(s, out);
	if (err != POL_IP_OK)
		return pol_yaml_err(&r->doc, at, "prefix `%s`: %s", pol_quote(s, q),
				    pol_ip_error_text(err));
	if ((out->addr.family == 4 ? 32u : 128u) - out->len > POL_SVC_SPREAD)
		return pol_yaml_err(&r->doc, at, "prefix `%s` has more than %u addresses",
				    pol_quote(s, q), 1u << POL_SVC_SPREAD);
	return 0;
}

/* They may be nodes, or anybody else: nothing is claimed. */
static int read_balancers(struct reader *r, const struct pol_yaml *at)
{
	struct pol_ip *v;
	size_t n = 0;
	int ret = pol_yaml_list(&r->doc, at, "balancers");

	if (ret)
		return ret;
	v = pol_arena_alloc(r->arena, POL_SVC_BALANCERS_MAX * sizeof(*v));
	for (size_t i = 0; i < at->n && !ret; i++) {
		struct pol_prefix p;
		uint32_t many;

		ret = read_few(r, &at->item[i], &p);
		many = ret ? 0 : 1u << ((p.addr.family == 4 ? 32 : 128) - p.len);
		if (n + many > POL_SVC_BALANCERS_MAX)
			ret = pol_yaml_err(&r->doc, at, "more than %u balancers",
					   POL_SVC_BALANCERS_MAX);
		for (; many && !ret; many--, p.addr.lo++)
			v[n++] = p.addr;
	}
	r->host->balancers = v;
	r->host->nbalancers = n;
	return ret;
}

static int read_sources(struct reader *r, const struct pol_yaml *at)
{
	struct pol_prefix p, *to;
	int ret = pol_yaml_list(&r->doc, at, "tunnel_source");

	for (size_t i = 0; !ret && i < at->n; i++) {
		ret = read_few(r, &at->item[i], &p);
		to = &r->host->tunnel_source[!ret && p.addr.family == 6];
		if (!ret && to->addr.family)
			ret = pol_yaml_err(&r->doc, &at->item[i], "a second one of IPv%u",
					   p.addr.family);
		if (!ret)
			*to = p;
	}
	return ret;
}

static int read_uplinks(struct reader *r, const struct pol_yaml *at)
{
	struct pol_str *v;
	int ret = pol_yaml_list(&r->doc, at, "uplinks");

	if (ret)
		return ret;
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n; i++) {
		ret = read_interface(r, &at->item[i], &v[i]);
		if (ret)
			return ret;
	}
	r->host->uplinks = v;
	r->host->nuplinks = at->n;
	return 0;
}

/* Each is one of the uplinks, which are read before. */
static int read_direct(struct reader *r, const struct pol_yaml *at)
{
	struct prt_hostfile *h = r->host;
	struct pol_str *v;
	int ret = pol_yaml_list(&r->doc, at, "direct");

	if (ret)
		return ret;
	v = pol_arena_alloc(r->arena, at->n * sizeof(*v));
	for (size_t i = 0; i < at->n && !ret; i++) {
		size_t k = 0;

		ret = pol_yaml_text(&r->doc, &at->item[i], "an interface", &v[i]);
		while (!ret && k < h->nuplinks && !pol_str_eq(h->uplinks[k], v[i]))
			k++;
		if (!ret && k == h->nuplinks)
			ret = pol_yaml_err(&r->doc, &at->item[i], "not one of `uplinks`");
	}
	h->direct = v;
	h->ndirect = at->n;
	return ret;
}

const char *const prt_proxy_timeout[PRT_PROXY_TIMEOUTS] = { "head", "body", "idle", "connect" };

static int read_timeouts(struct reader *r, const struct pol_yaml *at)
{
	const struct pol_yaml *v[PRT_PROXY_TIMEOUTS];
	int ret = pol_yaml_map(&r->doc, at, "timeout", prt_proxy_timeout, PRT_PROXY_TIMEOUTS, v);

	for (size_t i = 0; !ret && i < PRT_PROXY_TIMEOUTS; i++)
		if (v[i])
			ret = pol_yaml_u32(&r->doc, v[i], prt_proxy_timeout[i], 1, 86400,
					   &r->host->proxy_timeout[i]);
	return ret;
}

static int read_proxy(struct reader *r, const struct pol_yaml *at)
{
	static const char *const key[] = { "workers",  "port",       "table",  "priority",
					   "body_max", "name_rules", "timeout" };
	const struct {
		uint32_t min, max, *out;
	} number[] = {
		{ 1, POL_PROXY_WORKERS_MAX, &r->host->proxy_workers },
		{ 1, 65535 - POL_PROXY_WORKERS_MAX, &r->host->proxy_port },
		/* below are the kernel's, or those that somebody named in /etc/iproute2 */
		{ 256, UINT32_MAX, &r->host->proxy_table },
		{ 1, 32765, &r->host->proxy_priority }, /* `main` has 32766 */
		{ 1, UINT32_MAX, &r->host->proxy_body_max },
	};
	const size_t n = POL_ARRAY_LEN(number);
	const struct pol_yaml *v[POL_ARRAY_LEN(key)];
	int ret = pol_yaml_map(&r->doc, at, "proxy", key, POL_ARRAY_LEN(key), v);

	for (size_t i = 0; !ret && i < n; i++)
		if (v[i])
			ret = pol_yaml_u32(&r->doc, v[i], key[i], number[i].min, number[i].max,
					   number[i].out);
	if (!ret && v[n])
		ret = pol_yaml_bool(&r->doc, v[n], key[n], &r->host->proxy_name_rules);
	if (!ret && v[n + 1])
		ret = read_timeouts(r, v[n + 1]);
	return ret;
}

/* ---- the whole ----------------------------------------------------------- */

static int read_root(struct reader *r, const struct pol_yaml *root)
{
	enum {
		HOST,
		HOST_ADDRESSES,
		UPLINKS,
		DIRECT,
		ENDPOINTS,
		REMOTE,
		NODES,
		BALANCERS,
		TUNNEL_SOURCE,
		PROXY,
		KEYS
	};
	static const char *const key[] = { "host",   "host_addresses", "uplinks",
					   "direct", "endpoints",      "remote",
					   "nodes",  "balancers",      "tunnel_source",
					   "proxy" };
	struct prt_hostfile *h = r->host;
	const struct pol_yaml *v[KEYS];
	int ret = pol_yaml_map(&r->doc, root, "the host file", key, KEYS, v);

	if (!ret && v[HOST])
		ret = read_name(r, v[HOST], "host", &h->host);
	if (!ret && v[HOST_ADDRESSES])
		ret = read_addresses(r, v[HOST_ADDRESSES], 0, &h->host_addrs, &h->nhost_addrs);
	if (!ret && v[UPLINKS])
		ret = read_uplinks(r, v[UPLINKS]);
	if (!ret && v[DIRECT])
		ret = read_direct(r, v[DIRECT]);
	if (!ret && v[ENDPOINTS])
		ret = read_endpoints(r, v[ENDPOINTS], true, &h->endpoints, &h->nendpoints);
	if (!ret && v[REMOTE])
		ret = read_endpoints(r, v[REMOTE], false, &h->remotes, &h->nremotes);
	if (!ret && v[NODES])
		ret = read_nodes(r, v[NODES]);
	if (!ret && v[BALANCERS])
		ret = read_balancers(r, v[BALANCERS]);
	if (!ret && v[TUNNEL_SOURCE])
		ret = read_sources(r, v[TUNNEL_SOURCE]);
	if (!ret && v[PROXY])
		ret = read_proxy(r, v[PROXY]);
	if (!ret && h->nendpoints + h->nremotes >= POL_EP_MAX)
		ret = pol_yaml_err(&r->doc, v[REMOTE],
				   "more than %u endpoints together with the "
				   "local ones",
				   POL_EP_MAX - 1);
	return ret;
}

int prt_hostfile_parse(const char *path, struct pol_str text, struct prt_hostfile **out,
		       struct pol_err *e)
{
	static const struct pol_yaml_limits limits = {
		.depth = 6, .nodes = 4u << 20, .scalar = 4096, .keys = 256
	};
	struct pol_arena *arena = pol_arena_new();
	struct prt_hostfile *h = pol_arena_alloc(arena, sizeof(*h));
	struct reader r = { .arena = arena,
			    .host = h,
			    .doc = { .path = path, .code = -EINVAL, .arena = arena, .err = e } };
	struct pol_yaml root;
	int ret;

	h->arena = arena;
	h->path = pol_arena_str(arena, pol_str(path));
	h->text = pol_arena_str(arena, text);
	ret = pol_yaml_parse(&r.doc, text, &limits, &root);
	if (!ret)
		ret = read_root(&r, &root);
	if (ret)
		pol_arena_free(arena);
	else
		*out = h;
	return ret;
}

int prt_hostfile_read(const char *path, struct prt_hostfile **out, struct pol_err *e)
{
	struct prt_input in = { 0 };
	int ret = prt_input_read(path, PRT_INPUT_ANY, PRT_HOSTFILE_MAX, &in, e);

	if (!ret)
		ret = prt_hostfile_parse(path, (struct pol_str){ in.data, in.size }, out, e);
	prt_input_free(&in);
	return ret;
}

void prt_hostfile_free(struct prt_hostfile *h)
{
	if (h)
		pol_arena_free(h->arena);
}

void prt_hostfile_cleanup(struct prt_hostfile **h)
{
	prt_hostfile_free(*h);
}
