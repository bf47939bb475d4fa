/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Health checks, by the `check` clauses of the services in force: a TCP connection to each backend, or
 * an HTTP GET that is answered by 200 to 399.  One process, no threads: sockets that wait, and a
 * time for each backend at which it is asked again.
 *
 * What is found is said to the data path as a person would say it (services.h) and stays if this
 * process ends: a prober that dies takes nobody out.  A backend that nobody ever asked is up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services.h"

#define LOOK_MS 1000u /* how often what is in force is read again */
#define AT_ONCE 256u /* sockets */

struct probe {
	/* of whom */
	char service[POL_SVC_NAME];
	struct pol_addr addr;
	uint16_t port;
	/* how */
	uint32_t every, timeout, rise, fall; /* seconds and counts */
	char path[1024]; /* "": by connecting */
	/* and what came of it */
	bool seen, down;
	uint32_t good, bad; /* in a row */
	uint64_t due, until; /* milliseconds, CLOCK_MONOTONIC */
	int fd; /* -1: it is not being asked */
	bool asked; /* the request is sent */
	char answer[16];
	size_t n;
};

struct health {
	struct prt_env *env;
	prt_health_emit emit;
	void *ctx;
	POL_VEC(struct probe) probe;
	size_t open;
};

static uint64_t now_ms(void)
{
	return prt_env_now_ns() / 1000000u;
}

/* ---- what is in force ---------------------------------------------------------------------- */

static struct probe *find(struct health *h, const char *service, const struct prt_svc_backend *b)
{
	for (size_t i = 0; i < h->probe.n; i++) {
		struct probe *p = &h->probe.v[i];

		if (p->port == b->port && !memcmp(&p->addr, &b->addr, sizeof(b->addr)) &&
		    !strcmp(p->service, service))
			return p;
	}
	return NULL;
}

/* New ones are spread over their first second. */
static void take(struct health *h, const struct prt_service *v, const struct prt_svc_backend *b)
{
	struct probe *p = find(h, v->name.p, b);

	if (!p) {
		p = pol_vec_push(&h->probe);
		*p = (struct probe){ .addr = b->addr,
				     .port = b->port,
				     .fd = -1,
				     .due = now_ms() + h->probe.n * 7 % 1000 };
		snprintf(p->service, sizeof(p->service), "%s", v->name.p);
	}
	p->seen = true;
	p->down = b->state.down;
	p->every = v->every;
	p->timeout = v->timeout;
	p->rise = v->rise;
	p->fall = v->fall;
	snprintf(p->path, sizeof(p->path), "%s", v->path.n ? v->path.p : "");
}

static void stop_asking(struct health *h, struct probe *p)
{
	if (p->fd >= 0)
		h->open--;
	pol_cleanup_fd(&p->fd);
}

static int look(struct health *h, struct pol_err *e)
{
	struct prt_object *o POL_CLEANUP(prt_object_cleanup) = NULL;
	struct prt_services s = { 0 };
	struct prt_live l;
	int r;

	prt_live_init(&l);
	r = prt_services_read(h->env, &l, &o, &s, e);
	for (size_t i = 0; i < h->probe.n; i++)
		h->probe.v[i].seen = false;
	for (size_t i = 0; i < s.backend.n && !r; i++) {
		const struct prt_service *v = &s.m->service[s.backend.v[i].service / 2];

		if (v->checked)
			take(h, v, &s.backend.v[i]);
	}
	for (size_t i = 0; i < h->probe.n && (!r || r == -ENOENT);) {
		if (h->probe.v[i].seen) {
			i++;
			continue;
		}
		stop_asking(h, &h->probe.v[i]);
		h->probe.v[i] = h->probe.v[--h->probe.n];
	}
	prt_services_free(&s);
	prt_live_close(&l);
	return r == -ENOENT ? 0 : r;
}

/* ---- one answer ------------------------------------------------------------------------------ */

static void say(struct health *h, struct probe *p, bool up, const char *why)
{
	const struct prt_svc_change c = { .service = p->service,
					  .addr = p->addr,
					  .port = p->port,
					  .what = up ? PRT_SVC_UP : PRT_SVC_DOWN,
					  .why = why };
	struct pol_buf line = { 0 };
	struct pol_err e = { 0 };
	char ip[POL_IP_TEXT];
	int r = prt_services_change(h->env, &c, &e);

	/* it went meanwhile */
	if (r == -ENOENT)
		return;
	if (!r)
		p->down = !up;
	pol_buf_printf(&line, "service '%s': %s port %u is %s", prt_safe(p->service),
		       pol_ip_format(prt_ip_of_addr(&p->addr), ip), p->port, up ? "up" : "down");
	if (!up)
		pol_buf_printf(&line, ": %s", why);
	if (r)
		pol_buf_printf(&line, "; cannot say so: %s", e.text);
	pol_buf_addc(&line, '\n');
	h->emit(h->ctx, pol_buf_str(&line));
	h->emit(h->ctx, POL_STR("")); /* now */
	pol_buf_free(&line);
}

static void end(struct health *h, struct probe *p, const char *wrong)
{
	stop_asking(h, p);
	p->due = now_ms() + p->every * 1000u;
	p->good = wrong ? 0 : p->good + 1;
	p->bad = wrong ? p->bad + 1 : 0;
	if (p->down && p->good >= p->rise)
		say(h, p, true, NULL);
	else if (!p->down && p->bad >= p->fall)
		say(h, p, false, wrong);
}

static void begin(struct health *h, struct probe *p)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	int off = 0;

	memcpy(&to.sin6_addr, &p->addr, sizeof(p->addr));
	p->asked = false;
	p->n = 0;
	p->until = now_ms() + p->timeout * 1000u;
	p->fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return; /* out of descriptors: this is no fault of the backend */
	h->open++;
	setsockopt(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		end(h, p, strerror(errno));
}

static void ask(struct health *h, struct probe *p)
{
	bool v6 = prt_ip_of_addr(&p->addr).family == 6;
	char request[1400], ip[POL_IP_TEXT];
	int n, error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		end(h, p, strerror(error ? error : errno));
		return;
	}
	if (!p->path[0]) {
		end(h, p, NULL);
		return;
	}
	n = snprintf(
		request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: polload\r\nConnection: close\r\n\r\n",
		p->path, v6 ? "[" : "", pol_ip_format(prt_ip_of_addr(&p->addr), ip), v6 ? "]" : "",
		p->port);
	/* a socket that has just connected takes this at once */
	if (send(p->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
		end(h, p, "does not take a request");
		return;
	}
	p->asked = true;
	p->until = now_ms() + p->timeout * 1000u;
}

/* "HTTP/1.1 200" is all that counts. */
static void hear(struct health *h, struct probe *p)
{
	ssize_t got = recv(p->fd, p->answer + p->n, 12 - p->n, 0);
	char wrong[32];

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end(h, p, "closes without an answer");
		return;
	}
	p->n += (size_t)got;
	if (p->n < 12)
		return;
	if (memcmp(p->answer, "HTTP/1.", 7) || p->answer[8] != ' ') {
		end(h, p, "does not answer with HTTP");
		return;
	}
	if (p->answer[9] == '2' || p->answer[9] == '3') {
		end(h, p, NULL);
		return;
	}
	snprintf(wrong, sizeof(wrong), "answers with status %.3s",
		 prt_safe((char[]){ p->answer[9], p->answer[10], p->answer[11], 0 }));
	end(h, p, wrong);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* Who is late is told by a look that began later than that: it may be us who had no time. */
static int wait_for(struct health *h, uint64_t until)
{
	struct pollfd fds[AT_ONCE];
	size_t of[AT_ONCE];
	uint64_t now = now_ms();
	nfds_t n = 0;

	for (size_t i = 0; i < h->probe.n; i++) {
		struct probe *p = &h->probe.v[i];
		uint64_t at = p->fd >= 0 ? p->until : p->due;

		until = at < until ? at : until;
		if (p->fd < 0 || n == AT_ONCE)
			continue;
		fds[n] = (struct pollfd){ p->fd, p->asked ? POLLIN : POLLOUT, 0 };
		of[n++] = i;
	}
	/* one more turn when something is due that finds no room */
	if (poll(fds, n,
		 until > now    ? (int)(until - now)
		 : n == AT_ONCE ? 10
				: 0) < 0 &&
	    errno != EINTR)
		return -errno;
	for (nfds_t i = 0; i < n; i++) {
		struct probe *p = &h->probe.v[of[i]];

		if (p->fd != fds[i].fd)
			continue;
		if (fds[i].revents)
			(p->asked ? hear : ask)(h, p);
		else if (p->until <= now)
			end(h, p,
			    p->asked ? "does not answer in time" : "cannot be reached in time");
	}
	return 0;
}

static void turn(struct health *h)
{
	uint64_t now = now_ms();

	for (size_t i = 0; i < h->probe.n; i++) {
		struct probe *p = &h->probe.v[i];

		if (p->fd < 0 && p->due <= now && h->open < AT_ONCE)
			begin(h, p);
	}
}

int prt_health(struct prt_env *env, const volatile int *stop, prt_health_emit emit, void *ctx,
	       struct pol_err *e)
{
	struct health h = { .env = env, .emit = emit, .ctx = ctx };
	uint64_t next = 0;
	int r = 0;

	while (!*stop && !r) {
		if (now_ms() >= next) {
			r = look(&h, e);
			next = now_ms() + LOOK_MS;
		}
		if (r)
			break;
		turn(&h);
		r = wait_for(&h, next);
		if (r)
			pol_err(e, r, "cannot wait for backends: %s", strerror(-r));
	}
	for (size_t i = 0; i < h.probe.n; i++)
		stop_asking(&h, &h.probe.v[i]);
	pol_vec_free(&h.probe);
	return r;
}
