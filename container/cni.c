/* SPDX-License-Identifier: GPL-2.0-only */
#include "cni.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/input/endpoint.h"
#include "runtime/change/endpoints.h"

/* ---- the container's link and addresses ------------------------------------------------- */

static enum cni_code find_link(const struct cni_request *q, struct prt_link *host, uint8_t mac[6],
			       struct pol_err *e)
{
	prt_veths pairs = { 0 };
	enum cni_code code = CNI_NO_LINK;
	int r, netns POL_CLEANUP(pol_cleanup_fd) = open(q->netns, O_RDONLY | O_CLOEXEC);

	if (netns < 0) {
		pol_err(e, -errno, "CNI_NETNS %s: cannot open: %s", prt_safe(q->netns),
			strerror(errno));
		return CNI_BAD_ENVIRONMENT;
	}
	r = prt_net_veths(netns, &pairs, e);
	for (size_t i = 0; i < pairs.n; i++) {
		if (strcmp(pairs.v[i].far.name, q->ifname) != 0)
			continue;
		*host = pairs.v[i].here;
		memcpy(mac, pairs.v[i].far.mac, sizeof(pairs.v[i].far.mac));
		code = CNI_OK;
	}
	if (!r && code) {
		pol_err_help(e, "the plugin before must make a veth pair, as bridge and ptp do");
		pol_err(e, -ENODEV,
			"'%s' of the container is no veth whose other end is on this host: it cannot be judged here",
			q->ifname);
	}
	pol_vec_free(&pairs);
	return code;
}

/* Does this element of `ips` belong to the interface that we are asked about? */
static bool ours(const struct cni_request *q, const json_t *interfaces, const json_t *ip)
{
	const json_t *index = json_object_get(ip, "interface"), *at;
	const char *name, *sandbox;

	if (!json_is_integer(index))
		return true;
	at = json_integer_value(index) < 0
		     ? NULL
		     : json_array_get(interfaces, (size_t)json_integer_value(index));
	name = json_string_value(json_object_get(at, "name"));
	sandbox = json_string_value(json_object_get(at, "sandbox"));
	return name && sandbox && *sandbox && !strcmp(name, q->ifname);
}

typedef POL_VEC(struct pol_ip) ips;

/* One address may come by several plugins: an endpoint has it once. */
static bool has(const ips *list, struct pol_ip ip)
{
	for (size_t i = 0; i < list->n; i++) {
		if (pol_ip_eq(list->v[i], ip))
			return true;
	}
	return false;
}

static enum cni_code read_addresses(const struct cni_request *q, ips *out, struct pol_err *e)
{
	const json_t *prev = json_object_get(q->config, "prevResult");
	const json_t *list = json_object_get(prev, "ips"), *one;
	const json_t *interfaces = json_object_get(prev, "interfaces");
	char why[PRT_WHY];
	size_t i;

	if (!json_is_object(prev)) {
		pol_err_help(
			e, "put polc-cni behind the plugin that makes the interface, in one list");
		pol_err(e, -EINVAL, "`prevResult` is missing: polc-cni makes no interface itself");
		return CNI_BAD_CONFIG;
	}
	for (i = 0; i < json_array_size(list); i++) {
		const char *text, *wrong;
		struct pol_ip ip;

		one = json_array_get(list, i);
		if (!ours(q, interfaces, one))
			continue;
		text = json_string_value(json_object_get(one, "address"));
		wrong = text ? prt_check_address((struct pol_str){ text, strcspn(text, "/") }, &ip,
						 why)
			     : "an element of `ips` has no address";
		if (!wrong && has(out, ip))
			continue;
		if (!wrong && out->n >= PRT_ADDRESSES_MAX)
			wrong = "too many addresses";
		if (wrong) {
			pol_err(e, -EINVAL, "prevResult: %s", wrong);
			return CNI_BAD_CONFIG;
		}
		*pol_vec_push(out) = ip;
	}
	if (out->n)
		return CNI_OK;
	pol_err(e, -EINVAL, "prevResult: interface '%s' has no address", prt_safe(q->ifname));
	return CNI_BAD_CONFIG;
}

/* ---- which endpoint ---------------------------------------------------------------------- */

/* As many bytes of the id as fit; who else has them is told apart by the label cni.container. */
static struct pol_str name_of(const struct cni_request *q, struct pol_arena *arena)
{
	size_t room = PRT_NAME_MAX - 1 - strlen(q->ifname);

	return pol_arena_printf(arena, "%.*s/%s", (int)room, q->container, q->ifname);
}

static bool is(const struct prt_member *m, const char *key, const char *value)
{
	return !strcmp(cn_label_of(m->info.labels, key), value);
}

struct found {
	const struct cni_request *q;
	bool there;
	char name[sizeof(((struct pol_ep_info *)0)->name)];
	uint32_t ifindex;
	POL_VEC(struct pol_addr) addrs;
};

static bool find_one(const struct prt_member *m, void *ctx)
{
	struct found *f = ctx;

	if (!is(m, "cni.network", f->q->network) || !is(m, "cni.container", f->q->container) ||
	    !is(m, "cni.interface", f->q->ifname))
		return false;
	f->there = true;
	f->ifindex = m->info.ifindex;
	memcpy(f->name, m->info.name, sizeof(f->name));
	f->name[sizeof(f->name) - 1] = '\0';
	for (size_t i = 0; i < m->addrs.n; i++)
		*pol_vec_push(&f->addrs) = m->addrs.v[i].addr;
	return true;
}

static enum cni_code failed(int r)
{
	return r == -ENOENT ? CNI_NO_POLICY : r == -EBUSY ? CNI_TRY_LATER : CNI_REFUSED;
}

/* ---- commands ------------------------------------------------------------------------------ */

static enum cni_code add_endpoint(struct cni_request *q, struct pol_arena *arena,
				  const struct prt_link *host, struct prt_endpoint *ep,
				  struct cn_labels *labels, struct pol_err *e)
{
	char why[PRT_WHY];
	const char *wrong = prt_check_labels(labels->v.v, labels->v.n, why);
	int r;

	if (wrong) {
		pol_err(e, -EINVAL, "%s", wrong);
		return CNI_BAD_LABELS;
	}
	ep->name = name_of(q, arena);
	ep->interface = pol_str(host->name);
	ep->labels = labels->v.v;
	ep->nlabels = labels->v.n;
	ep->has_mac = true;
	/* Closed first: where anything below fails, the runtime may take its time to undo ADD. */
	r = prt_env_privileges(e);
	r = r ? r : prt_endpoint_hold(&q->env, host->name, e);
	r = r ? r : prt_endpoint_add(&q->env, ep, e);
	return r ? failed(r) : CNI_OK;
}

static enum cni_code run_add(struct cni_request *q, struct pol_buf *out, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct cn_labels labels = { .arena = arena };
	struct prt_endpoint ep = { 0 };
	struct prt_link host;
	ips addrs = { 0 };
	enum cni_code code = read_addresses(q, &addrs, e);
	char *text;

	code = code ? code : find_link(q, &host, ep.mac, e);
	code = code ? code : cni_labels(q, &labels, e);
	ep.addrs = addrs.v;
	ep.naddrs = addrs.n;
	code = code ? code : add_endpoint(q, arena, &host, &ep, &labels, e);
	if (!code) {
		text = json_dumps(json_object_get(q->config, "prevResult"), JSON_COMPACT);
		pol_buf_printf(out, "%s\n", text ? text : "{}");
		free(text);
	}
	cn_labels_free(&labels);
	pol_vec_free(&addrs);
	pol_arena_free(arena);
	return code;
}

static enum cni_code run_del(struct cni_request *q, struct pol_err *e)
{
	struct pol_err nothing = { 0 };
	struct found f = { .q = q };
	int r = prt_endpoint_each(&q->env, find_one, &f, &nothing);

	pol_vec_free(&f.addrs);
	if (r == -ENOENT) /* no policy is in force, so nobody is an endpoint */
		return CNI_OK;
	if (r)
		*e = nothing;
	else if (f.there)
		r = prt_endpoint_del(&q->env, f.name, true, e);
	/* Somebody else was faster. */
	return !r || r == -ENOENT ? CNI_OK : failed(r);
}

static const char *difference(const struct found *f, const struct prt_link *host, const ips *addrs)
{
	if (!f->there)
		return "is no endpoint";
	if (f->ifindex != host->ifindex)
		return "is an endpoint at another interface";
	return prt_same_addresses(f->addrs.v, f->addrs.n, addrs->v, addrs->n)
		       ? NULL
		       : "has other addresses";
}

static enum cni_code run_check(struct cni_request *q, struct pol_err *e)
{
	struct found f = { .q = q };
	struct prt_link host;
	uint8_t mac[6];
	ips addrs = { 0 };
	const char *differs = NULL;
	bool hooked = false;
	enum cni_code code = read_addresses(q, &addrs, e);
	int r;

	code = code ? code : find_link(q, &host, mac, e);
	if (!code) {
		r = prt_endpoint_each(&q->env, find_one, &f, e);
		code = r ? failed(r) : CNI_OK;
	}
	if (!code) {
		r = prt_endpoint_hooked(&q->env, host.ifindex, &hooked, e);
		code = r ? failed(r) : CNI_OK;
	}
	if (!code)
		differs = difference(&f, &host, &addrs);
	if (!code && !differs && !hooked)
		differs = "has lost its hooks; `polload apply` puts them back";
	if (differs) {
		pol_err(e, -EINVAL, "container %s, interface %s: %s", q->container, q->ifname,
			differs);
		code = CNI_DIFFERS;
	}
	pol_vec_free(&addrs);
	pol_vec_free(&f.addrs);
	return code;
}

/* ---- GC and STATUS -------------------------------------------------------------------------- */

struct garbage {
	const struct cni_request *q;
	const json_t *valid;
	struct pol_arena *arena;
	POL_VEC(struct pol_str) names;
};

static bool collect(const struct prt_member *m, void *ctx)
{
	struct garbage *g = ctx;

	if (!is(m, "cni.network", g->q->network))
		return false;
	for (size_t i = 0; i < json_array_size(g->valid); i++) {
		const json_t *one = json_array_get(g->valid, i);
		const char *id = json_string_value(json_object_get(one, "containerID"));
		const char *ifname = json_string_value(json_object_get(one, "ifname"));

		if (id && ifname && is(m, "cni.container", id) && is(m, "cni.interface", ifname))
			return false;
	}
	*pol_vec_push(&g->names) = pol_arena_str(g->arena, pol_str(m->info.name));
	return false;
}

static enum cni_code run_gc(struct cni_request *q, struct pol_err *e)
{
	struct garbage g = { .q = q,
			     .valid = json_object_get(q->config, "cni.dev/valid-attachments") };
	int r;

	/* Without the list every endpoint of the network would be garbage. */
	if (!json_is_array(g.valid)) {
		pol_err(e, -EINVAL, "`cni.dev/valid-attachments` is missing or no list");
		return CNI_BAD_CONFIG;
	}
	g.arena = pol_arena_new();
	r = prt_endpoint_each(&q->env, collect, &g, e);
	if (r == -ENOENT) /* no policy is in force, so nobody is an endpoint */
		r = 0;
	for (size_t i = 0; i < g.names.n && !r; i++) {
		r = prt_endpoint_del(&q->env, g.names.v[i].p, true, e);
		if (r == -ENOENT) /* somebody else was faster */
			r = 0;
	}
	pol_vec_free(&g.names);
	pol_arena_free(g.arena);
	return r ? failed(r) : CNI_OK;
}

static bool none(const struct prt_member *m, void *ctx)
{
	(void)m, (void)ctx;
	return true;
}

static enum cni_code run_status(struct cni_request *q, struct pol_err *e)
{
	int r = prt_env_privileges(e);

	r = r ? r : prt_endpoint_each(&q->env, none, NULL, e);
	return r ? CNI_NOT_AVAILABLE : CNI_OK;
}

static enum cni_code run_version(const struct cni_request *q, struct pol_buf *out)
{
	pol_buf_printf(
		out,
		"{\"cniVersion\": \"%s\", \"supportedVersions\": [\"0.4.0\", \"1.0.0\", \"1.1.0\"]}\n",
		q->version);
	return CNI_OK;
}

enum cni_code cni_run(struct cni_request *q, struct pol_buf *out, struct pol_err *e)
{
	const char *c = q->command;

	if (!strcmp(c, "VERSION"))
		return run_version(q, out);
	if (!strcmp(c, "ADD"))
		return run_add(q, out, e);
	if (!strcmp(c, "DEL"))
		return run_del(q, e);
	if (!strcmp(c, "CHECK"))
		return run_check(q, e);
	if (!strcmp(c, "GC"))
		return run_gc(q, e);
	if (!strcmp(c, "STATUS"))
		return run_status(q, e);
	pol_err(e, -EINVAL, "CNI_COMMAND %s",
		*c ? "is none of ADD, DEL, CHECK, GC, STATUS, VERSION" : "is missing");
	return CNI_BAD_ENVIRONMENT;
}

void cni_error(const struct cni_request *q, enum cni_code code, const struct pol_err *e,
	       struct pol_buf *out)
{
	pol_buf_printf(out, "{\"cniVersion\": \"%s\", \"code\": %d, \"msg\": ", q->version, code);
	pol_buf_json(out, pol_str(e->text[0] ? e->text : "unknown failure"));
	pol_buf_addz(out, ", \"details\": ");
	pol_buf_json(out, pol_str(e->help));
	pol_buf_addz(out, "}\n");
}
