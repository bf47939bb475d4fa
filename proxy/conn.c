/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"

/* ---- the end ------------------------------------------------------------------------ */

void px_conn_free(struct px_conn *c, const char *why)
{
	ev_io_stop(c->w->loop, &c->on_client);
	ev_io_stop(c->w->loop, &c->on_server);
	ev_timer_stop(c->w->loop, &c->timer);
	if (c->protocol)
		c->protocol->free(c, why);
	pol_cleanup_fd(&c->client);
	pol_cleanup_fd(&c->server);
	free(c->who);
	if (c->placed)
		c->w->places.n[c->place]--;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->w->count.open--;
	free(c);
}

void px_conn_abort(int fd)
{
	struct linger now = { .l_onoff = 1 };

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void px_conn_kill(struct px_conn *c, const char *why)
{
	c->w->count.failed++;
	px_conn_abort(c->client);
	px_conn_abort(c->server);
	px_conn_free(c, why);
}

void px_conn_drop_server(struct px_conn *c)
{
	if (c->server < 0)
		return;
	ev_io_stop(c->w->loop, &c->on_server);
	px_conn_abort(c->server);
	pol_cleanup_fd(&c->server);
	c->connecting = false;
}

/* ---- events --------------------------------------------------------------------------- */

/* One that goes off too early is set again: moving it at each event would cost more. */
void px_conn_timer(struct px_conn *c, double seconds)
{
	c->deadline = ev_now(c->w->loop) + seconds;
	if (ev_is_active(&c->timer) && c->fires <= c->deadline)
		return;
	c->fires = c->deadline;
	ev_timer_stop(c->w->loop, &c->timer);
	ev_timer_set(&c->timer, seconds, 0);
	ev_timer_start(c->w->loop, &c->timer);
}

void px_conn_watch(struct px_conn *c, ev_io *io, int fd, bool read, bool write)
{
	int events = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);

	if (fd < 0 || (ev_is_active(io) && (io->events & (EV_READ | EV_WRITE)) == events))
		return;
	ev_io_stop(c->w->loop, io);
	if (!events)
		return;
	ev_io_set(io, fd, events);
	ev_io_start(c->w->loop, io);
}

/*
 * The first bytes choose: HTTP/2's preface (RFC 9113, 3.4), or HTTP/1.  What has come of a preface
 * need not be kept.
 */
static void first_bytes(struct px_conn *c)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	const size_t whole = sizeof(preface) - 1;
	char *p = c->w->from_client;
	ssize_t got;
	size_t n;

	memcpy(p, preface, c->seen);
	got = recv(c->client, p + c->seen, sizeof(c->w->from_client) - c->seen, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0) {
		px_conn_kill(c, NULL);
		return;
	}
	n = c->seen + (size_t)got;
	if (got && n < whole && !memcmp(p, preface, n)) {
		if (!c->seen)
			px_conn_timer(c, c->w->limit.head);
		c->seen = (uint8_t)n;
		return;
	}
	if (!got) {
		px_conn_free(c, NULL);
		return;
	}
	c->protocol = n >= whole && !memcmp(p, preface, whole) ? &px_http2 : &px_http1;
	c->protocol->begin(c, p, n);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
	struct px_conn *c = io->data;

	(void)loop;
	if (c->protocol)
		c->protocol->client(c, events);
	else
		first_bytes(c);
}

static void on_server(struct ev_loop *loop, ev_io *io, int events)
{
	struct px_conn *c = io->data;
	socklen_t n = sizeof(int);
	int error = 0;

	(void)loop;
	if (!c->connecting) {
		c->protocol->server(c, events);
		return;
	}
	getsockopt(c->server, SOL_SOCKET, SO_ERROR, &error, &n);
	c->connecting = false;
	if (error)
		px_conn_drop_server(c);
	c->protocol->connected(c, !error);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct px_conn *c = t->data;
	double left = c->deadline - ev_now(loop);

	(void)events;
	if (left > 0.001) {
		c->fires = c->deadline;
		ev_timer_set(t, left, 0);
		ev_timer_start(loop, t);
	} else if (c->protocol) {
		c->protocol->timeout(c);
	} else {
		px_conn_free(c, NULL);
	}
}

/* ---- onward ---------------------------------------------------------------------------------- */

static socklen_t to_sockaddr(const struct pol_addr *a, __be16 port_be, struct sockaddr_storage *s)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in *v4 = (void *)s;
	struct sockaddr_in6 *v6 = (void *)s;

	memset(s, 0, sizeof(*s));
	if (!memcmp(a->b, mapped, sizeof(mapped))) {
		v4->sin_family = AF_INET;
		v4->sin_port = port_be;
		memcpy(&v4->sin_addr, a->b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port_be;
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}

void px_conn_options(int fd)
{
	int one = 1, unsent = PX_UNSENT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

static int onward_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	uint32_t mark = POL_MARK_ONWARD;

	if (fd < 0)
		return -1;
	px_conn_options(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    (family == AF_INET ? setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one))
			       : setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &one, sizeof(one)))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * A port below those that clients choose by themselves (Linux: 32768 and up), and of none of
 * this client's redirected connections: to the data path the tuples of both halves must differ.
 */
static __be16 onward_port(const struct px_conn *c)
{
	struct pol_proxy_key k = c->key;
	struct pol_proxy_flow f;
	uint16_t r;

	for (int tries = 0; tries < 8; tries++) {
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			break;
		k.sport_be = htons((uint16_t)(1024 + r % (32768 - 1024)));
		if (px_policy_flow(&c->w->policy, &k, &f))
			return k.sport_be;
	}
	return 0;
}

bool px_conn_onward(struct px_conn *c)
{
	struct sockaddr_storage from, to;
	socklen_t n = to_sockaddr(&c->key.dst, c->key.dport_be, &to);

	for (int tries = 0; tries < 16; tries++) {
		__be16 port_be = onward_port(c);
		int fd = port_be ? onward_socket(to.ss_family) : -1;

		if (fd < 0)
			return false;
		to_sockaddr(&c->key.src, port_be, &from);
		if (!bind(fd, (void *)&from, n) &&
		    (!connect(fd, (void *)&to, n) || errno == EINPROGRESS)) {
			c->server = fd;
			c->connecting = true;
			px_conn_timer(c, c->w->limit.connect);
			px_conn_watch(c, &c->on_server, fd, false, true);
			return true;
		}
		close(fd);
		if (errno != EADDRINUSE && errno != EADDRNOTAVAIL)
			return false;
	}
	return false;
}

/* ---- verdicts --------------------------------------------------------------------------------- */

struct px_verdict px_conn_judge(struct px_conn *c, const struct pol_http_request *r)
{
	struct px_verdict v = { .answer = PX_UNKNOWN,
				.rule = POL_NO_RULE,
				.line = POL_HTTP_NO_LINE };

	/*
	 * After a flip the data path judges the flow again, with the packets of this request at the
	 * latest; while a newer generation is loaded than the one that judged it, that may be any moment.
	 */
	if ((c->epoch != c->w->epoch || c->flow.gen != px_policy_newest(&c->w->policy)) &&
	    !px_policy_flow(&c->w->policy, &c->key, &c->flow))
		c->epoch = c->w->epoch;
	if (c->epoch == c->w->epoch)
		v = px_policy_judge(&c->w->policy, &c->flow, r);
	/* a tunnel to wherever: no line can allow it, and none is needed to deny it */
	if (pol_str_is(r->method, "CONNECT") && v.answer == PX_ALLOW)
		v.answer = PX_DENY;
	return v;
}

/* ---- the beginning ------------------------------------------------------------------------------------------ */

static bool from_sockaddr(const struct sockaddr_storage *s, struct pol_addr *a, __be16 *port_be)
{
	const struct sockaddr_in *v4 = (const void *)s;
	const struct sockaddr_in6 *v6 = (const void *)s;

	if (s->ss_family == AF_INET) {
		memset(a, 0, sizeof(*a));
		a->b[10] = a->b[11] = 0xff;
		memcpy(a->b + 12, &v4->sin_addr, 4);
		*port_be = v4->sin_port;
		return (ntohl(v4->sin_addr.s_addr) >> 24) != 127;
	}
	memcpy(a->b, &v6->sin6_addr, 16);
	*port_be = v6->sin6_port;
	return s->ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) &&
	       !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
}

void px_conn_begin(struct px_worker *w, uint64_t files)
{
	uint64_t other = 2 * PX_PIPES + 64; /* pipes, listeners, maps of a few generations */

	w->places.most = (uint32_t)((files > other + 64 ? files - other : 64) / 2 / 2);
	if (getrandom(&w->places.key, sizeof(w->places.key), 0) != sizeof(w->places.key))
		w->places.key = (uintptr_t)w;
}

/* One client that opens and opens leaves room for the others. */
static bool take_place(struct px_conn *c)
{
	struct px_places *p = &c->w->places;
	uint64_t a, b;

	memcpy(&a, c->key.src.b, sizeof(a));
	memcpy(&b, c->key.src.b + 8, sizeof(b));
	a = (a ^ p->key) * 0x9e3779b97f4a7c15u;
	a = ((a ^ a >> 29) + b) * 0xbf58476d1ce4e5b9u ^ p->key;
	c->place = (uint32_t)((a ^ a >> 32) * 0x9e3779b97f4a7c15u >> 40) % PX_PLACES;
	if (p->n[c->place] >= p->most)
		return false;
	p->n[c->place]++;
	c->placed = true;
	return true;
}

/*
 * Who it is stands in the entry that the redirect wrote, and nowhere else: who dials the listener
 * itself has none, and comes to a loopback address besides.
 */
static bool identify(struct px_conn *c, const struct sockaddr_storage *peer)
{
	char source[POL_EP_NAME], destination[POL_EP_NAME];
	struct sockaddr_storage name;
	socklen_t n = sizeof(name);

	if (getsockname(c->client, (void *)&name, &n) ||
	    !from_sockaddr(peer, &c->key.src, &c->key.sport_be) ||
	    !from_sockaddr(&name, &c->key.dst, &c->key.dport_be) ||
	    px_policy_flow(&c->w->policy, &c->key, &c->flow) ||
	    px_policy_is_host(&c->w->policy, &c->key.dst))
		return false;
	c->epoch = c->w->epoch;
	if (!take_place(c)) {
		c->w->count.turned_away++;
		return false;
	}
	if (c->w->log < 0)
		return true;
	px_policy_name(&c->w->policy, c->flow.gen, c->flow.ep[POL_EGRESS], source);
	px_policy_name(&c->w->policy, c->flow.gen, c->flow.ep[POL_INGRESS], destination);
	c->who = px_log_who(&c->key, source, destination);
	return c->who;
}

void px_conn_accept(struct px_worker *w, int fd, const struct sockaddr_storage *peer)
{
	struct px_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->w = w;
	c->client = fd;
	c->server = -1;
	c->next = w->first;
	c->link = &w->first;
	if (c->next)
		c->next->link = &c->next;
	w->first = c;
	w->count.open++;
	ev_init(&c->on_client, on_client);
	ev_init(&c->on_server, on_server);
	ev_init(&c->timer, on_timer);
	c->on_client.data = c->on_server.data = c->timer.data = c;
	if (!identify(c, peer)) {
		w->count.failed++;
		px_conn_abort(fd);
		px_conn_free(c, NULL);
		return;
	}
	w->count.connections++;
	px_conn_timer(c, w->limit.idle);
	px_conn_watch(c, &c->on_client, fd, true, false);
}

void px_conn_drain(struct px_worker *w)
{
	struct px_conn *next;

	w->draining = true;
	for (struct px_conn *c = w->first; c; c = next) {
		next = c->next;
		if (c->protocol)
			c->protocol->drain(c);
		else if (!c->seen)
			px_conn_free(c, NULL);
	}
}
