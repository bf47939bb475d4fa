/* SPDX-License-Identifier: GPL-2.0-only */
#include "agent.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "labels.h"
#include "runtime/input/endpoint.h"
#include "runtime/change/endpoints.h"
#include "runtime/host/net.h"

#define RETRY_MS 1000
#define AGAIN_MAX_S 600
#define STEPS_MAX 16 /* from who shares a namespace to whose it is; more: all are looked at */

int cn_agent_open(struct cn_agent *a, const char *socket_path, struct pol_err *e)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	const int room = 4 << 20;

	a->all_due = true;
	a->docker.engine = &a->engine;
	a->links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (a->links < 0 || bind(a->links, (void *)&local, sizeof(local)))
		return pol_err(e, -errno, "netlink: cannot follow the interfaces: %s",
			       strerror(errno));
	setsockopt(a->links, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return cn_engine_open(&a->engine, socket_path, e);
}

void cn_agent_close(struct cn_agent *a)
{
	pol_cleanup_fd(&a->links);
	cn_docker_forget(&a->docker);
	cn_engine_close(&a->engine);
	for (size_t i = 0; i < a->due.n; i++)
		free(a->due.v[i]);
	pol_vec_free(&a->due);
	pol_vec_free(&a->held);
	pol_buf_free(&a->env.notes);
}

/* ---- interfaces ---------------------------------------------------------------------------- */

static bool is_held(struct cn_agent *a, uint32_t ifindex, bool forget)
{
	for (size_t i = 0; i < a->held.n; i++) {
		if (a->held.v[i] != ifindex)
			continue;
		if (forget)
			a->held.v[i] = a->held.v[--a->held.n];
		return true;
	}
	return false;
}

/* Nobody's yet, or an endpoint's: its hooks are there from now on for as long as it is. */
static void hold(struct cn_agent *a, const struct prt_link *link)
{
	struct pol_err e = { 0 };
	int r;

	if (strcmp(link->kind, "veth") || fnmatch(a->hold, link->name, 0) ||
	    is_held(a, link->ifindex, false))
		return;
	r = prt_endpoint_hold(&a->env, link->name, &e);
	if (!r) {
		*pol_vec_push(&a->held) = link->ifindex;
	} else if (r == -ENOENT) {
		a->all_due = true; /* no policy is in force: tried again */
	} else if (r != -ENODEV) {
		a->refused = true;
		a->say(LOG_ERR, "interface %s cannot be held: %s", prt_safe(link->name), e.text);
	}
}

static void hold_all(struct cn_agent *a)
{
	prt_links links = { 0 };
	struct pol_err e = { 0 };

	if (prt_net_links(&links, &e)) {
		a->refused = true;
		a->say(LOG_ERR, "%s", e.text);
	}
	for (size_t i = 0; i < links.n; i++) {
		/* A pair with both ends here may be anybody's; that of a container to be shows itself. */
		if (links.v[i].peer_netns >= 0)
			hold(a, &links.v[i]);
	}
	pol_vec_free(&links);
}

static void one_link(struct cn_agent *a, const struct nlmsghdr *h)
{
	struct prt_link link;
	struct pol_err e = { 0 };

	if (h->nlmsg_type == RTM_NEWLINK && prt_net_link_of(h, &link)) {
		hold(a, &link);
	} else if (h->nlmsg_type == RTM_DELLINK && prt_net_link_of(h, &link) &&
		   is_held(a, link.ifindex, true)) {
		if (prt_endpoint_sweep(&a->env, &e) && e.code != -ENOENT) {
			a->refused = true;
			a->say(LOG_ERR, "interface %s is gone: %s", prt_safe(link.name), e.text);
		}
	}
}

/* What came about interfaces; where the kernel had to drop some of it, all are looked at. */
static void turn_links(struct cn_agent *a)
{
	static char room[65536];
	ssize_t n;

	for (;;) {
		n = recv(a->links, room, sizeof(room), 0);
		if (n < 0 && errno == ENOBUFS) {
			a->all_due = true;
			continue;
		}
		if (n <= 0)
			return;
		for (const struct nlmsghdr *h = (const void *)room; NLMSG_OK(h, n);
		     h = NLMSG_NEXT(h, n))
			one_link(a, h);
	}
}

/* ---- containers ------------------------------------------------------------------------------ */

struct known_ep {
	struct pol_str name, id, endpoint, network;
	uint32_t ifindex;
	POL_VEC(struct pol_addr) addrs;
	bool wanted;
};

struct known { /* endpoints of containers, as the maps have them */
	const struct cn_container *of; /* NULL: of all */
	struct pol_arena *arena;
	POL_VEC(struct known_ep) ep;
};

static struct pol_str label_of(struct known *k, const struct prt_member *m, const char *key)
{
	return pol_arena_str(k->arena, pol_str(cn_label_of(m->info.labels, key)));
}

static bool remember(const struct prt_member *m, void *ctx)
{
	struct known *k = ctx;
	struct known_ep one = { .ifindex = m->info.ifindex }, *ep;

	one.id = label_of(k, m, "docker.container");
	one.endpoint = label_of(k, m, "docker.endpoint");
	if (!one.id.n && !one.endpoint.n)
		return false;
	/* Labels by options come before anybody knows whose they are: then the connection says it. */
	if (k->of && !(one.id.n ? pol_str_eq(one.id, k->of->id)
				: cn_ids_have(&k->of->connections, one.endpoint)))
		return false;
	one.name = pol_arena_str(k->arena, pol_str(m->info.name));
	one.network = label_of(k, m, "docker.network");
	for (size_t i = 0; i < m->addrs.n; i++)
		*pol_vec_push(&one.addrs) = m->addrs.v[i].addr;
	ep = pol_vec_push(&k->ep);
	*ep = one;
	return false;
}

static void forget(struct known *k)
{
	for (size_t i = 0; i < k->ep.n; i++)
		pol_vec_free(&k->ep.v[i].addrs);
	pol_vec_free(&k->ep);
	pol_arena_free(k->arena);
}

static int known_of(struct cn_agent *a, const struct cn_container *c, struct known *k,
		    struct pol_err *e)
{
	*k = (struct known){ .of = c, .arena = pol_arena_new() };
	return prt_endpoint_each(&a->env, remember, k, e);
}

static void take_away(struct cn_agent *a, const struct known_ep *ep, const char *why)
{
	struct pol_err e = { 0 };
	int r = prt_endpoint_del(&a->env, ep->name.p, true, &e);

	if (r && r != -ENOENT) {
		a->refused = true;
		a->say(LOG_ERR, "endpoint %s cannot be removed: %s", prt_safe(ep->name.p), e.text);
	} else {
		a->say(LOG_INFO, "endpoint %s removed: %s", prt_safe(ep->name.p), why);
	}
}

static const struct prt_link *link_named(const prt_links *links, struct pol_str name)
{
	for (size_t i = 0; i < links->n; i++) {
		if (pol_str_is(name, links->v[i].name))
			return &links->v[i];
	}
	return NULL;
}

/* The same place and addresses: labels of a container never change, and its name is only a name. */
static bool same(const struct known_ep *k, const struct prt_endpoint *ep, const prt_links *links)
{
	const struct prt_link *link = link_named(links, ep->interface);

	return link && link->ifindex == k->ifindex &&
	       prt_same_addresses(k->addrs.v, k->addrs.n, ep->addrs, ep->naddrs);
}

static struct pol_str fact(const struct prt_endpoint *ep, const char *key)
{
	for (size_t i = 0; i < ep->nlabels; i++) {
		if (pol_str_is(ep->labels[i].key, key))
			return ep->labels[i].value;
	}
	return (struct pol_str){ "", 0 };
}

/* The one that is there for this connection; with an engine that numbers none, for this network. */
static struct known_ep *known_as(struct known *k, const struct prt_endpoint *ep)
{
	struct pol_str endpoint = fact(ep, "docker.endpoint");
	struct pol_str network = fact(ep, "docker.network");

	for (size_t i = 0; i < k->ep.n; i++) {
		const struct known_ep *was = &k->ep.v[i];

		if (endpoint.n && was->endpoint.n ? pol_str_eq(was->endpoint, endpoint)
						  : pol_str_eq(was->network, network))
			return &k->ep.v[i];
	}
	return NULL;
}

/* Was somebody faster (driver.h)? */
static bool there_by_now(struct cn_agent *a, const struct cn_container *c,
			 const struct prt_endpoint *ep, const prt_links *links)
{
	struct pol_err e = { 0 };
	struct known k = { 0 };
	const struct known_ep *now = known_of(a, c, &k, &e) ? NULL : known_as(&k, ep);
	bool yes = now && same(now, ep, links);

	forget(&k);
	return yes;
}

static void add(struct cn_agent *a, const struct cn_container *c, const struct prt_endpoint *ep,
		const prt_links *links)
{
	uint64_t begun = prt_env_now_ns();
	struct pol_err e = { 0 };
	int r = prt_endpoint_add(&a->env, ep, &e);

	if (r == -EEXIST && there_by_now(a, c, ep, links))
		return;
	if (r) {
		a->refused = true;
		a->say(LOG_ERR,
		       "container's endpoint %s refused, its interface %s stays closed: %s",
		       prt_safe(ep->name.p), prt_safe(ep->interface.p), e.text);
	} else {
		a->say(LOG_INFO, "endpoint %s at %s, in %lu us", prt_safe(ep->name.p),
		       prt_safe(ep->interface.p),
		       (unsigned long)((prt_env_now_ns() - begun) / 1000));
	}
}

static void change(struct cn_agent *a, const struct cn_container *c, struct known *k)
{
	prt_links links = { 0 };
	struct pol_err e = { 0 };

	if (prt_net_links(&links, &e)) {
		a->refused = true;
		a->say(LOG_ERR, "%s", e.text);
	}
	for (size_t i = 0; i < c->ep.n; i++) {
		const struct prt_endpoint *ep = &c->ep.v[i];
		struct known_ep *was = known_as(k, ep);

		if (was && same(was, ep, &links)) {
			was->wanted = true;
			if (!pol_str_eq(was->name, ep->name) &&
			    prt_endpoint_rename(&a->env, was->name.p, ep->name.p, &e)) {
				a->refused = true;
				a->say(LOG_ERR, "%s", e.text);
			}
			continue;
		}
		if (was) {
			take_away(a, was, "it moved");
			was->wanted = true; /* gone already */
		}
		add(a, c, ep, &links);
	}
	pol_vec_free(&links);
}

/* Does what came of reading a container say what it should have?  No container is an answer, too. */
static bool is_told(int r, const struct pol_err *e)
{
	return !r || r == -EINVAL || r == -ENODEV || r == -EPERM || (r == -ENOENT && !e->text[0]);
}

/*
 * One container: as it should be, or closed; then those whose namespace it shares (or did), one by the
 * other, as many as `steps` allows: they may be alone there now.  0: all are looked at, none of them from here.
 * -ENOENT: there is no such container.
 */
static int look_at(struct cn_agent *a, const char *id, unsigned steps)
{
	struct cn_container c = { 0 };
	struct pol_err e = { 0 }, mine = { 0 };
	struct known k = { 0 };
	const char *why = "its container has ended";
	int r = cn_docker_read(&a->docker, id, &c, &e);

	if (!is_told(r, &e)) {
		/* Nobody has answered: whoever ran runs on, what is in force stays, and is asked again. */
		pol_err(&a->unanswered, r, "container %s: %s", prt_safe(c.name.p), e.text);
		a->refused = true;
		cn_container_free(&c);
		return r;
	}
	if (r && r != -ENOENT) {
		a->say(LOG_ERR, "container %s: %s; it gets no endpoint", prt_safe(c.name.p),
		       e.text);
		c.ep.n = 0;
		a->refused = true;
		a->shut |= r == -EPERM;
		why = "it cannot be judged";
	}
	if (!r && c.running)
		why = "it has left the network";
	if (known_of(a, &c, &k, &mine)) {
		a->all_due = true;
	} else {
		change(a, &c, &k);
		for (size_t i = 0; i < k.ep.n; i++) {
			if (!k.ep.v[i].wanted)
				take_away(a, &k.ep.v[i], why);
		}
	}
	forget(&k);
	/* Where the way ends in the middle, or others came by one that nobody lists, it may be anybody's. */
	if (steps && (r == -EPERM ||
		      (c.shares && (steps == 1 || look_at(a, c.shares, steps - 1) == -ENOENT))))
		a->all_due = true;
	cn_container_free(&c);
	return r;
}

/*
 * One that does not run may be just starting (driver.h): to describe it the engine waits until
 * it has.  Without a container there is only the interface to ask.
 */
static void look_if_ended(struct cn_agent *a, const struct known_ep *ep, const cn_ids *running)
{
	struct prt_link link;
	struct pol_err e = { 0 };

	if (ep->id.n && !cn_ids_have(running, ep->id))
		look_at(a, ep->id.p, 0);
	else if (!ep->id.n && prt_net_link_by_index(ep->ifindex, &link, &e) == -ENODEV)
		take_away(a, ep, "its interface is gone");
}

/* Engine and maps, whole.  false: one of the two could not be read. */
static bool look_at_all(struct cn_agent *a, struct pol_err *e)
{
	struct pol_arena *arena = pol_arena_new();
	struct known k = { 0 };
	cn_ids ids = { 0 };
	bool good;

	a->all_due = a->shut = false;
	a->held.n = 0;
	good = !known_of(a, NULL, &k, e);
	if (good)
		hold_all(a);
	good = good && !cn_docker_running(&a->docker, arena, &ids, e);
	/* Those that have ended first: others may have their addresses by now. */
	for (size_t i = 0; i < k.ep.n && good; i++)
		look_if_ended(a, &k.ep.v[i], &ids);
	for (size_t i = 0; i < ids.n && good; i++)
		look_at(a, ids.v[i].p, 0);
	if (good && prt_endpoint_sweep(&a->env, e))
		good = false;
	forget(&k);
	pol_vec_free(&ids);
	pol_arena_free(arena);
	a->all_due |= !good;
	return good;
}

/* What is there already; what comes is followed since cn_agent_open(). */
static void hold_first(struct cn_agent *a)
{
	struct known k = { 0 };
	struct pol_err e = { 0 };

	if (!known_of(a, NULL, &k, &e))
		hold_all(a);
	forget(&k);
}

/* ---- events ------------------------------------------------------------------------------------ */

static void take_event(void *ctx, const json_t *event)
{
	static const char *const matter[] = { "create", "start",   "die",        "destroy",
					      "rename", "connect", "disconnect", "update" };
	struct cn_agent *a = ctx;
	const json_t *actor = json_object_get(event, "Actor");
	const char *type = json_string_value(json_object_get(event, "Type"));
	const char *action = json_string_value(json_object_get(event, "Action"));
	const char *id = json_string_value(json_object_get(actor, "ID"));
	bool any = false;

	for (size_t i = 0; action && i < POL_ARRAY_LEN(matter); i++)
		any |= !strcmp(action, matter[i]);
	/* An event of a network names the container beside it. */
	if (type && !strcmp(type, "network"))
		id = json_string_value(
			json_object_get(json_object_get(actor, "Attributes"), "container"));
	if (!any || !type || !id)
		return;
	/* Who it shut cannot be asked of one that is no more. */
	if (a->shut && !strcmp(action, "destroy"))
		a->all_due = true;
	for (size_t i = 0; i < a->due.n; i++) {
		if (!strcmp(a->due.v[i], id))
			return;
	}
	*pol_vec_push(&a->due) = strdup(id);
}

static void look_at_due(struct cn_agent *a)
{
	for (size_t i = 0; i < a->due.n; i++) {
		if (a->due.v[i])
			look_at(a, a->due.v[i], STEPS_MAX);
		free(a->due.v[i]);
	}
	a->due.n = 0;
}

/* whole: everything was looked at; news: something that has happened was. */
static void plan_again(struct cn_agent *a, bool whole, bool news)
{
	if (a->refused) {
		a->again_s = whole && !news && a->again_s ? a->again_s * 2 : 1;
		if (a->again_s > AGAIN_MAX_S)
			a->again_s = AGAIN_MAX_S;
		a->again_at = prt_env_now_ns() + a->again_s * UINT64_C(1000000000);
	} else if (whole) {
		a->again_at = a->again_s = 0;
	}
	a->refused = false;
}

static void say_notes(struct cn_agent *a)
{
	char *rest = a->env.notes.p, *line;

	while (a->env.notes.n && (line = strsep(&rest, "\n")))
		if (*line)
			a->say(LOG_NOTICE, "%s", line);
	a->env.notes.n = 0;
}

static void wait_for_something(struct cn_agent *a, int ms)
{
	struct curl_waitfd more = { .fd = a->links, .events = CURL_WAIT_POLLIN };

	curl_multi_poll(a->engine.multi, &more, 1, ms, NULL);
}

int cn_agent_run(struct cn_agent *a, const volatile int *stop, volatile int *again,
		 void (*ready)(void), struct pol_err *e)
{
	char last[sizeof(e->text)] = "";
	bool settled = false, whole, news;
	int r = 0;

	hold_first(a);
	ready();
	while (!*stop && !r) {
		memset(&a->unanswered, 0, sizeof(a->unanswered));
		cn_docker_forget(&a->docker);
		turn_links(a);
		/* Followed before it is looked at: nothing can happen between the two. */
		if (!cn_engine_turn(&a->engine)) {
			a->all_due = true;
			r = cn_engine_follow(&a->engine, take_event, a, e);
			cn_engine_turn(&a->engine);
		}
		/* Where the pins are others, nothing hangs any more on what was held and added. */
		if (*again || cn_pins_changed(&a->pins, &a->env) ||
		    (a->again_at && prt_env_now_ns() >= a->again_at)) {
			*again = 0;
			a->all_due = true;
		}
		news = a->due.n > 0;
		look_at_due(a);
		whole = a->all_due;
		if (a->all_due && look_at_all(a, &a->unanswered) && !a->unanswered.code &&
		    !settled) {
			settled = true;
			a->say(LOG_INFO, "all containers are as the policy has them");
		}
		if (a->unanswered.text[0] && strcmp(a->unanswered.text, last) != 0)
			a->say(LOG_WARNING, "%s; trying again", a->unanswered.text);
		memcpy(last, a->unanswered.text, sizeof(last));
		turn_links(a);
		plan_again(a, whole, news);
		say_notes(a);
		if (!*stop)
			wait_for_something(a, RETRY_MS);
	}
	return r;
}
