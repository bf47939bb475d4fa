/* SPDX-License-Identifier: GPL-2.0-only */
#include "docker.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "call.h"
#include "labels.h"
#include "runtime/input/endpoint.h"
#include "runtime/input/env.h"
#include "runtime/host/net.h"

void cn_container_free(struct cn_container *c)
{
	pol_vec_free(&c->connections);
	pol_vec_free(&c->ep);
	pol_arena_free(c->arena);
	memset(c, 0, sizeof(*c));
}

/* ---- asking ------------------------------------------------------------------------------ */

/* Of an id, a name or a digest: it becomes a part of a path. */
static bool good_id(const char *id)
{
	size_t n = id ? strlen(id) : 0;

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)id[i]) && (!i || !strchr(":_.-", id[i])))
			return false;
	}
	return n > 0 && n <= 128;
}

static int get(struct cn_docker *d, const char *what, const char *id, json_t **out,
	       struct pol_err *e)
{
	char path[256];

	if (!good_id(id))
		return pol_err(e, -EINVAL, "the engine names something `%s`",
			       prt_safe(id ? id : ""));
	snprintf(path, sizeof(path), "/%s/%s/json", what, id);
	return cn_engine_get(d->engine, path, out, e);
}

static const char *text(const json_t *in, const char *key)
{
	const char *s = json_string_value(json_object_get(in, key));

	return s ? s : "";
}

/* ---- labels -------------------------------------------------------------------------------- */

/* Came with the image, as it is. */
static bool of_image(const json_t *image, const char *key, const json_t *value)
{
	const json_t *labels = json_object_get(json_object_get(image, "Config"), "Labels");

	return json_equal(json_object_get(labels, key), value);
}

/* Labels that count, without the facts. */
static int read_labels(struct cn_docker *d, json_t *labels, const char *image_id,
		       struct cn_labels *l, struct pol_err *e)
{
	json_t *image = NULL, *value;
	const char *key;
	int r = 0;

	if (!d->image_labels && json_object_size(labels)) {
		r = get(d, "images", image_id, &image, e);
		/* An image may be gone while its containers run: then all labels could be its. */
		if (r)
			return pol_err(e, r == -ENOENT ? -EINVAL : r,
				       "the labels of its image are not known");
	}
	json_object_foreach(labels, key, value)
	{
		if (r || !json_is_string(value) || (image && of_image(image, key, value)))
			continue;
		r = cn_labels_add(l, "a label", pol_str(key),
				  (struct pol_str){ json_string_value(value),
						    json_string_length(value) },
				  e);
	}
	json_decref(image);
	return r;
}

static int labels_of(struct cn_docker *d, const json_t *json, struct cn_labels *l,
		     struct pol_err *e)
{
	return read_labels(d, json_object_get(json_object_get(json, "Config"), "Labels"),
			   text(json, "Image"), l, e);
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static int add_address(struct cn_place *p, const char *address, struct pol_err *e)
{
	char why[PRT_WHY];
	const char *wrong;

	if (!*address)
		return 0;
	wrong = prt_check_address(pol_str(address), &p->ip[p->nips], why);
	if (wrong)
		return pol_err(e, -EINVAL, "%s", wrong);
	p->nips++;
	return 0;
}

static const struct prt_veth *pair_of(const prt_veths *pairs, const uint8_t mac[6])
{
	for (size_t i = 0; i < pairs->n; i++) {
		if (!memcmp(pairs->v[i].far.mac, mac, 6))
			return &pairs->v[i];
	}
	return NULL;
}

static int facts(const struct cn_place *p, struct cn_labels *l, struct pol_err *e)
{
	int r = p->by_option ? 0 : cn_labels_fact(l, "docker.container", p->container, e);

	r = r ? r : cn_labels_fact(l, "docker.endpoint", p->endpoint, e);
	return r ? r : cn_labels_fact(l, "docker.network", p->network, e);
}

/* The first bytes of a text, at most `room`, that end with a whole character. */
static int whole(const char *s, size_t room)
{
	size_t n = strlen(s);

	if (n <= room)
		return (int)n;
	for (n = room; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		;
	return (int)n;
}

/*
 * CONTAINER/NETWORK.  Where that is too long each gives some, and what stands between them tells those apart that
 * begin alike: a '~' is in no name of an engine.
 */
static struct pol_str name_of(struct pol_arena *arena, const char *container, const char *network)
{
	struct pol_str full = pol_arena_printf(arena, "%s/%s", container, network);
	size_t room = PRT_NAME_MAX - 1 - (1 + 8); /* without '/' and "~01234567" */
	int n, c;

	if (full.n <= PRT_NAME_MAX)
		return full;
	n = whole(network, room / 2);
	c = whole(container, room - (size_t)n);
	n = whole(network, room - (size_t)c);
	return pol_arena_printf(arena, "%.*s~%08x/%.*s", c, container,
				(unsigned)pol_hash(full.p, full.n, 0), n, network);
}

int cn_place_endpoint(struct pol_arena *arena, const struct cn_place *p, struct prt_endpoint *out,
		      struct pol_err *e)
{
	struct cn_labels l = { .arena = arena };
	struct prt_endpoint ep = { .has_mac = true, .naddrs = p->nips };
	struct prt_label *sorted;
	char why[PRT_WHY];
	const char *wrong = NULL;
	int r;

	for (size_t i = 0; i < p->labels->v.n; i++)
		*pol_vec_push(&l.v) = p->labels->v.v[i];
	r = facts(p, &l, e);
	ep.name = name_of(arena, p->name, p->network);
	if (!r)
		wrong = prt_check_labels(l.v.v, l.v.n, why);
	if (!wrong && !ep.naddrs)
		wrong = "it has no address";
	if (!wrong)
		wrong = prt_check_name(ep.name, why);
	if (!r && wrong)
		r = pol_err(e, -EINVAL, "network %s: %s", prt_safe(p->network), wrong);
	sorted = pol_arena_alloc(arena, (l.v.n + 1) * sizeof(*sorted));
	if (l.v.n)
		memcpy(sorted, l.v.v, l.v.n * sizeof(*sorted));
	ep.labels = sorted;
	ep.nlabels = l.v.n;
	ep.addrs = memcpy(pol_arena_alloc(arena, sizeof(p->ip)), p->ip, sizeof(p->ip));
	ep.interface = pol_arena_str(arena, pol_str(p->interface));
	memcpy(ep.mac, p->mac, sizeof(ep.mac));
	if (!r)
		*out = ep;
	cn_labels_free(&l);
	return r;
}

/* Labels by options of this endpoint stand for those of the container. */
static int place_labels(struct cn_place *p, const json_t *n, struct cn_labels *l, struct pol_err *e)
{
	int r = cn_option_labels(l, json_object_get(n, "DriverOpts"), &p->by_option, e);

	if (p->by_option)
		p->labels = l;
	return r;
}

/* One network of the container; none: it is not connected there (yet). */
static int one_network(struct cn_container *c, const char *network, const json_t *n,
		       const prt_veths *pairs, const struct cn_labels *given, struct pol_err *e)
{
	struct cn_labels options = { .arena = c->arena };
	struct cn_place p = { .container = c->id.p,
			      .name = c->name.p,
			      .network = network,
			      .endpoint = text(n, "EndpointID"),
			      .labels = given };
	const struct prt_veth *pair;
	struct prt_endpoint ep;
	char why[PRT_WHY];
	const char *wrong, *mac = text(n, "MacAddress");
	int r;

	if (!*mac)
		return 0;
	wrong = prt_check_mac(pol_str(mac), p.mac, why);
	if (wrong)
		return pol_err(e, -EINVAL, "network %s: %s", prt_safe(network), wrong);
	pair = pair_of(pairs, p.mac);
	if (!pair)
		return pol_err(
			e, -ENODEV,
			"network %s: the container has no veth there whose other end is on this host",
			prt_safe(network));
	p.interface = pair->here.name;
	r = add_address(&p, text(n, "IPAddress"), e);
	r = r ? r : add_address(&p, text(n, "GlobalIPv6Address"), e);
	r = r ? r : place_labels(&p, n, &options, e);
	r = r ? r : cn_place_endpoint(c->arena, &p, &ep, e);
	if (!r)
		*pol_vec_push(&c->ep) = ep;
	cn_labels_free(&options);
	return r;
}

/* Of a container that runs, as it is described. */
static int open_netns(const json_t *json, struct pol_err *e)
{
	int64_t pid = json_integer_value(json_object_get(json_object_get(json, "State"), "Pid"));
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return pol_err(e, errno == ENOENT || errno == ESRCH ? -ENODEV : -errno, "%s: %s", path,
		       strerror(errno));
}

static int networks(struct cn_container *c, const json_t *json, int netns,
		    const struct cn_labels *l, struct pol_err *e)
{
	json_t *all = json_object_get(json_object_get(json, "NetworkSettings"), "Networks"), *n;
	prt_veths pairs = { 0 };
	const char *name;
	int r = prt_net_veths(netns, &pairs, e);

	json_object_foreach(all, name, n)
	{
		if (!r)
			r = one_network(c, name, n, &pairs, l, e);
	}
	pol_vec_free(&pairs);
	return r;
}

/* ---- who shares a namespace ----------------------------------------------------------------- */

void cn_docker_forget(struct cn_docker *d)
{
	json_decref(d->list);
	d->list = NULL;
}

/* Of what lists and describes a container alike. */
static const char *shared_with(const json_t *json)
{
	static const char prefix[] = "container:";
	const char *mode = text(json_object_get(json, "HostConfig"), "NetworkMode");

	return strncmp(mode, prefix, sizeof(prefix) - 1) ? NULL : mode + sizeof(prefix) - 1;
}

/* Docker's list does; podman's has no mode, or "host", for all of them. */
static bool says_mode(const json_t *one)
{
	const json_t *networks =
		json_object_get(json_object_get(one, "NetworkSettings"), "Networks");
	const char *mode = text(json_object_get(one, "HostConfig"), "NetworkMode");

	return *mode && (strcmp(mode, "host") != 0 || json_object_get(networks, "host"));
}

static int complete(struct cn_docker *d, json_t *one, struct pol_err *e)
{
	json_t *json = NULL;
	int r = says_mode(one) ? 0 : get(d, "containers", text(one, "Id"), &json, e);

	if (json)
		json_object_set(one, "HostConfig", json_object_get(json, "HostConfig"));
	json_decref(json);
	return r == -ENOENT && !e->text[0] ? 0 : r; /* it has ended meanwhile */
}

/* d->list, with the modes of all. */
static int list_all(struct cn_docker *d, struct pol_err *e)
{
	json_t *list = NULL;
	int r = d->list ? 0 : cn_engine_get(d->engine, "/containers/json?all=1", &list, e);

	if (r == -ENOENT)
		r = pol_err(e, -EAGAIN, "the engine does not list its containers");
	for (size_t i = 0; i < json_array_size(list) && !r; i++)
		r = complete(d, json_array_get(list, i), e);
	if (!r && list)
		d->list = json_incref(list);
	json_decref(list);
	return r;
}

/* Also by the names that others have for it: "/NAME", "/OTHER/ALIAS". */
static bool is_named(const json_t *one, const char *name)
{
	const json_t *names = json_object_get(one, "Names");

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *is = json_string_value(json_array_get(names, i));

		if (is && !strcmp(is + (*is == '/'), name + (*name == '/')))
			return true;
	}
	return false;
}

/* As the engine looks for it: an id, a name, the beginning of an id. */
static const json_t *listed(const struct cn_docker *d, const char *what)
{
	const json_t *named = NULL, *begun = NULL;

	for (size_t i = 0; i < json_array_size(d->list); i++) {
		const json_t *one = json_array_get(d->list, i);

		if (!strcmp(text(one, "Id"), what))
			return one;
		if (is_named(one, what))
			named = one;
		else if (*what && !strncmp(text(one, "Id"), what, strlen(what)))
			begun = one;
	}
	return named ? named : begun;
}

/* Does this one belong into the namespace of the container `id`, by however many others? */
static bool leads_to(const struct cn_docker *d, const json_t *one, const char *id)
{
	for (size_t steps = 0; one && steps <= json_array_size(d->list); steps++) {
		const char *with = shared_with(one);

		one = with ? listed(d, with) : NULL;
		if (one && !strcmp(text(one, "Id"), id))
			return true;
	}
	return false;
}

static bool same_labels(const struct cn_labels *a, const struct cn_labels *b)
{
	size_t same = 0;

	for (size_t i = 0; i < a->v.n; i++) {
		for (size_t k = 0; k < b->v.n; k++)
			same += pol_str_eq(a->v.v[i].key, b->v.v[k].key) &&
				pol_str_eq(a->v.v[i].value, b->v.v[k].value);
	}
	return a->v.n == b->v.n && same == a->v.n;
}

/*
 * Something is not known of who shares a namespace.  Of an engine that is away that says nothing; if it
 * answers others, what it does not say of this one is as bad as another label.
 */
static int unclear(struct cn_docker *d, const char *name, const struct pol_err *why,
		   struct pol_err *e)
{
	struct pol_err nothing = { 0 };
	json_t *json = NULL;
	int r = cn_engine_get(d->engine, "/version", &json, &nothing);

	json_decref(json);
	if (r == -EAGAIN)
		return pol_err(e, r, "%s", why->text);
	return pol_err(e, -EPERM, "container %s belongs into its network namespace: %s",
		       prt_safe(name), why->text);
}

/* Has this one of the list, which belongs into the namespace of `c`, its labels? */
static int check_sharer(struct cn_docker *d, const struct cn_container *c, const json_t *one,
			const struct cn_labels *own, struct pol_err *e)
{
	const char *name = json_string_value(json_array_get(json_object_get(one, "Names"), 0));
	struct cn_labels l = { .arena = c->arena };
	struct pol_err why = { 0 };
	int r = read_labels(d, json_object_get(one, "Labels"), text(one, "ImageID"), &l, &why);

	name = name ? name + (*name == '/') : text(one, "Id");
	if (r)
		r = unclear(d, name, &why, e);
	else if (!same_labels(own, &l))
		r = pol_err(e, -EPERM,
			    "container %s with other labels belongs into its network namespace",
			    prt_safe(name));
	cn_labels_free(&l);
	return r;
}

/* One that has a process there. */
static int check_present(struct cn_docker *d, const struct cn_container *c, int netns,
			 const char *id, const struct cn_labels *own, struct pol_err *e)
{
	struct pol_err why = { 0 };
	const json_t *one = listed(d, id);
	cn_ids now = { 0 };
	int r = 0;

	if (!one) { /* it may have come since */
		cn_docker_forget(d);
		r = list_all(d, &why);
		one = listed(d, id);
	}
	if (r)
		return unclear(d, id, &why, e);
	if (one)
		return check_sharer(d, c, one, own, e);
	r = cn_present(netns, c->arena, &now, e);
	if (!r && cn_ids_have(&now, pol_str(id))) /* it has not ended meanwhile */
		r = pol_err(
			e, -EPERM,
			"container %s, which the engine does not know, is in its network namespace",
			id);
	pol_vec_free(&now);
	return r;
}

/* Also those that do not run: when one has started it is too late to look. */
static int check_sharers(struct cn_docker *d, const struct cn_container *c, int netns,
			 const struct cn_labels *own, struct pol_err *e)
{
	cn_ids there = { 0 };
	int r = cn_present(netns, c->arena, &there, e);

	for (size_t i = 0; i < there.n && !r; i++) {
		if (!pol_str_eq(there.v[i], c->id))
			r = check_present(d, c, netns, there.v[i].p, own, e);
	}
	pol_vec_free(&there);
	r = r ? r : list_all(d, e);
	for (size_t i = 0; i < json_array_size(d->list) && !r; i++) {
		const json_t *one = json_array_get(d->list, i);

		if (leads_to(d, one, c->id.p))
			r = check_sharer(d, c, one, own, e);
	}
	return r;
}

/* ---- a container -------------------------------------------------------------------------------- */

static void read_connections(struct cn_container *c, const json_t *json)
{
	json_t *all = json_object_get(json_object_get(json, "NetworkSettings"), "Networks"), *n;
	const char *name;

	json_object_foreach(all, name, n)
	{
		if (*text(n, "EndpointID"))
			*pol_vec_push(&c->connections) =
				pol_arena_str(c->arena, pol_str(text(n, "EndpointID")));
	}
}

static int read_container(struct cn_docker *d, struct cn_container *c, const json_t *json,
			  struct pol_err *e)
{
	const json_t *state = json_object_get(json, "State");
	const char *mode = text(json_object_get(json, "HostConfig"), "NetworkMode"), *with;
	struct cn_labels l = { .arena = c->arena };
	int r, netns POL_CLEANUP(pol_cleanup_fd) = -1;

	if (!good_id(text(json, "Id")))
		return pol_err(e, -EINVAL, "the engine describes a container without an id");
	c->id = pol_arena_str(c->arena, pol_str(text(json, "Id")));
	c->name =
		pol_arena_str(c->arena, pol_str(text(json, "Name") + (*text(json, "Name") == '/')));
	read_connections(c, json);
	c->running = json_is_true(json_object_get(state, "Running"));
	with = shared_with(json);
	if (with)
		c->shares = pol_arena_str(c->arena, pol_str(with)).p;
	if (!c->running || with || !strcmp(mode, "host") || !strcmp(mode, "none"))
		return 0;
	netns = open_netns(json, e);
	r = netns < 0 ? netns : labels_of(d, json, &l, e);
	r = r ? r : check_sharers(d, c, netns, &l, e);
	r = r ? r : networks(c, json, netns, &l, e);
	cn_labels_free(&l);
	return r;
}

int cn_docker_read(struct cn_docker *d, const char *id, struct cn_container *c, struct pol_err *e)
{
	json_t *json = NULL;
	int r;

	memset(c, 0, sizeof(*c));
	c->arena = pol_arena_new();
	c->id = pol_arena_str(c->arena, pol_str(id));
	c->name = c->id;
	r = get(d, "containers", id, &json, e);
	r = r ? r : read_container(d, c, json, e);
	json_decref(json);
	return r;
}

static int read_starting(struct cn_docker *d, const json_t *one, const char *id,
			 struct cn_labels *l, struct pol_str *name, struct pol_err *e)
{
	const char *first = json_string_value(json_array_get(json_object_get(one, "Names"), 0));

	if (strcmp(text(one, "Id"), id) != 0)
		return pol_err(e, -EBADMSG, "the engine lists another container");
	/* "/NAME"; what other containers call it has more slashes */
	*name = pol_arena_str(l->arena, pol_str(first && *first == '/' ? first + 1 : id));
	return read_labels(d, json_object_get(one, "Labels"), text(one, "ImageID"), l, e);
}

int cn_docker_starting(struct cn_docker *d, const char *id, struct cn_labels *l,
		       struct pol_str *name, struct pol_err *e)
{
	char path[256];
	json_t *list = NULL;
	int r;

	if (!good_id(id))
		return pol_err(e, -EINVAL, "`%s` is no container", prt_safe(id));
	snprintf(path, sizeof(path),
		 "/containers/json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%7D", id);
	r = cn_engine_get(d->engine, path, &list, e);
	if (!r && json_array_size(list) != 1)
		r = -ENOENT;
	r = r ? r : read_starting(d, json_array_get(list, 0), id, l, name, e);
	json_decref(list);
	return r;
}

int cn_docker_network(struct cn_docker *d, const char *id, char name[CN_ID], struct pol_err *e)
{
	char path[256];
	json_t *json = NULL;
	int r;

	if (!good_id(id))
		return pol_err(e, -EINVAL, "`%s` is no network", prt_safe(id));
	snprintf(path, sizeof(path), "/networks/%s", id);
	r = cn_engine_get(d->engine, path, &json, e);
	if (!r && (!*text(json, "Name") || strlen(text(json, "Name")) >= CN_ID ||
		   strchr(text(json, "Name"), ' ')))
		r = pol_err(e, -EINVAL, "network %s: its name is longer than %d bytes, or none", id,
			    CN_ID - 1);
	if (!r)
		strcpy(name, text(json, "Name"));
	json_decref(json);
	return r;
}

int cn_docker_running(struct cn_docker *d, struct pol_arena *arena, cn_ids *out, struct pol_err *e)
{
	json_t *list = NULL;
	int r = cn_engine_get(d->engine, "/containers/json", &list, e);

	if (r)
		return pol_err(e, r, "the engine does not list its containers");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = text(json_array_get(list, i), "Id");

		if (good_id(id))
			*pol_vec_push(out) = pol_arena_str(arena, pol_str(id));
	}
	json_decref(list);
	return 0;
}
