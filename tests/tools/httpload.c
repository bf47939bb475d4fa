/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two ends of HTTP connections that cost as little as they can, so that what is between them is measured.
 *
 *   httpload serve ADDR PORT
 *	one process; says "listening"; answers /bytes/N with so many bytes, every other path with 2,
 *	/never not at all; reads over bodies with Content-Length
 *   httpload load ADDR PORT PATH CONNECTIONS MILLISECONDS
 *	each connection asks again as soon as it is answered; one line: requests, requests a second,
 *	microseconds for 50, 90 and 99 percent of them and at most, answers that were not 200
 *   httpload pace ADDR PORT PATH CONNECTIONS N MILLISECONDS [MORE]
 *	asks N times a second, whatever becomes of the answers, on one connection after the other: how many were
 *	due, how many of them were answered with 200 by then or in so many milliseconds MORE, and from
 *	when they were due to the answer, microseconds for 50 and 99 percent of them and at most; what
 *	a connection gets instead, a line each
 *   httpload get ADDR PORT PATH			takes all of an answer without looking: bytes, seconds
 *   httpload put ADDR PORT PATH BYTES		sends a body: status, seconds
 *   httpload stall ADDR PORT PATH N		N connections ask and never read; says "asked", waits for a signal
 *   httpload open ADDR PORT N [TEXT]		N connections that say TEXT and no more; says how many, waits
 *   httpload storm ADDR PORT MILLISECONDS	connects, says half a request and resets, as fast as it can: how often
 *   httpload forget CONTROL GENERATION		makes a polproxy forget a generation
 *   httpload teach CONTROL GENERATION MAP...	tells a polproxy of one: pinned maps in the order of enum pol_proxy_fd
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <polc/proxy.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/message.h"
#include "ends.h"

#define FDS 65536
#define BLOCK (1 << 20)

static char block[BLOCK]; /* of zeros, and where what nobody wants goes */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void watch(int epoll, int how, int fd, unsigned events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, how, fd, &e))
		die("epoll_ctl");
}

/* ---- server ---------------------------------------------------------------------------- */

struct peer {
	char head[2048];
	size_t have;
	uint64_t body; /* still to be read */
	uint64_t left; /* still to be sent */
	bool blocked;
};
static struct peer *peers[FDS];

/* false: it has gone. */
static bool send_left(int epoll, int fd, struct peer *p)
{
	while (p->left) {
		ssize_t put = send(fd, block, p->left < BLOCK ? p->left : BLOCK,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno != EAGAIN)
			return false;
		if (put < 0) {
			if (!p->blocked)
				watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
			p->blocked = true;
			return true;
		}
		p->left -= (uint64_t)put;
	}
	if (p->blocked)
		watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
	p->blocked = false;
	return true;
}

/* Forgets so many bytes that were received. */
static void drop(struct peer *p, size_t n)
{
	memmove(p->head, p->head + n, p->have - n + 1);
	p->have -= n;
}

/* One whole head at the beginning of p->head. */
static bool take_head(int fd, struct peer *p, size_t n)
{
	static const char two[] =
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
	const char *length = strcasestr(p->head, "\ncontent-length:"), *path = strchr(p->head, ' ');
	bool never = path && !strncmp(path + 1, "/never", 6);
	size_t here;
	char text[128];
	int size;

	p->body = length && length < p->head + n ? strtoull(length + 16, NULL, 10) : 0;
	p->left = path && !strncmp(path + 1, "/bytes/", 7) ? strtoull(path + 8, NULL, 10) : 0;
	drop(p, n);
	here = p->have < p->body ? p->have : (size_t)p->body;
	p->body -= here;
	drop(p, here);
	if (never || p->body)
		return true;
	if (!p->left)
		return send(fd, two, sizeof(two) - 1, MSG_NOSIGNAL) == sizeof(two) - 1;
	size = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
			(unsigned long long)p->left);
	return send(fd, text, (size_t)size, MSG_NOSIGNAL) == size;
}

static bool serve_one(int epoll, int fd, struct peer *p)
{
	char *end;
	ssize_t n;

	if (p->left)
		return send_left(epoll, fd, p);
	if (p->body) {
		n = recv(fd, block, p->body < BLOCK ? p->body : BLOCK, MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		p->body -= (uint64_t)n;
		return p->body || send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38,
				       MSG_NOSIGNAL) == 38;
	}
	n = recv(fd, p->head + p->have, sizeof(p->head) - 1 - p->have, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	p->have += (size_t)n;
	p->head[p->have] = '\0';
	while (!p->left && !p->body && (end = memmem(p->head, p->have, "\r\n\r\n", 4)))
		if (!take_head(fd, p, (size_t)(end + 4 - p->head)))
			return false;
	return send_left(epoll, fd, p);
}

static int serve(const char *a, const char *port)
{
	struct epoll_event e[256];
	int listener = end_listen(a, port, SOCK_NONBLOCK), epoll = epoll_create1(0);

	watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
	for (;;) {
		int got = epoll_wait(epoll, e, 256, -1);

		for (int i = 0; i < got; i++) {
			int fd = e[i].data.fd;

			if (fd != listener) {
				if (serve_one(epoll, fd, peers[fd]))
					continue;
				free(peers[fd]);
				close(fd);
				continue;
			}
			while ((fd = end_accept(listener, 0, NULL)) >= 0) {
				if (fd >= FDS)
					exit(99);
				peers[fd] = calloc(1, sizeof(struct peer));
				watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
			}
		}
	}
}

/* ---- clients ------------------------------------------------------------------------------ */

static char request[1024];
static size_t nrequest;

/* As a browser would ask. */
static void make_request(const char *method, const char *path, const char *more)
{
	nrequest = (size_t)snprintf(
		request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: httpload/1\r\nAccept: application/json, */*;q=0.8\r\n"
		"Accept-Encoding: gzip, br\r\nAccept-Language: en\r\nX-Request-Id: 7f1c0a52e3\r\n%s\r\n",
		method, path, more);
}

#define BUCKETS 200000 /* of a microsecond */
static uint32_t took[BUCKETS];

static unsigned percentile(uint64_t all, double part)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		sum += took[i];
		if ((double)sum >= (double)all * part)
			return i;
	}
	return BUCKETS;
}

static int load(const char *a, const char *port, const char *path, int connections, double seconds)
{
	static double asked[FDS];
	struct epoll_event e[256];
	int epoll = epoll_create1(0);
	uint64_t all = 0, bad = 0;
	double begin, end, most = 0;

	make_request("GET", path, "");
	for (int i = 0; i < connections; i++) {
		int fd = end_dial(a, port);

		if (fd < 0)
			die("load");
		watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
		asked[fd] = now();
		send(fd, request, nrequest, MSG_NOSIGNAL);
	}
	begin = now();
	end = begin + seconds;
	while (now() < end) {
		int got = epoll_wait(epoll, e, 256, 200);

		for (int i = 0; i < got; i++) {
			int fd = e[i].data.fd;
			double t;
			ssize_t n = recv(fd, block, BLOCK, MSG_DONTWAIT);

			if (n <= 0) {
				bad++;
				close(fd);
				continue;
			}
			bad += n < 12 || memcmp(block + 9, "200", 3) != 0;
			t = now();
			if (t - asked[fd] > most)
				most = t - asked[fd];
			took[t - asked[fd] < 0.199 ? (unsigned)((t - asked[fd]) * 1e6)
						   : BUCKETS - 1]++;
			all++;
			asked[fd] = t;
			send(fd, request, nrequest, MSG_NOSIGNAL);
		}
	}
	printf("%llu %.0f %u %u %u %.0f %llu\n", (unsigned long long)all,
	       (double)all / (now() - begin), percentile(all, 0.5), percentile(all, 0.9),
	       percentile(all, 0.99), most * 1e6, (unsigned long long)bad);
	return 0;
}

/* One that is due while the one before on its connection waits for its answer comes after that. */
struct pace {
	int fd;
	uint64_t asked; /* of those that are due on it: the one under way, and all before */
	bool busy;
};

static double due(uint64_t i, double begin, double rate)
{
	return begin + (double)i / rate;
}

static void ask_due(struct pace *c, uint64_t index, uint64_t step, double begin, double rate,
		    uint64_t all)
{
	uint64_t next = index + c->asked * step;

	if (c->busy || next >= all || due(next, begin, rate) > now())
		return;
	send(c->fd, request, nrequest, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->asked++;
	c->busy = true;
}

static int pace(const char *a, const char *port, const char *path, int n, double rate,
		double seconds, double more)
{
	struct pace *c = calloc((size_t)n, sizeof(*c));
	struct epoll_event e[256];
	int epoll = epoll_create1(0);
	uint64_t good = 0, step = (uint64_t)n, all = (uint64_t)(rate * seconds);
	double begin, most = 0;

	make_request("GET", path, "");
	for (int i = 0; i < n; i++) {
		c[i].fd = end_dial(a, port);
		if (c[i].fd < 0)
			die("pace");
		e[0] = (struct epoll_event){ .events = EPOLLIN, .data.u32 = (uint32_t)i };
		epoll_ctl(epoll, EPOLL_CTL_ADD, c[i].fd, &e[0]);
	}
	begin = now();
	while (good < all && now() < begin + seconds + more) {
		int got =
			epoll_pwait2(epoll, e, 256, &(struct timespec){ .tv_nsec = 100000 }, NULL);

		for (int i = 0; i < got; i++) {
			uint64_t k = e[i].data.u32;
			ssize_t m = recv(c[k].fd, block, BLOCK, MSG_DONTWAIT);
			double t = now() - due(k + (c[k].asked - 1) * step, begin, rate);

			if (m < 12 || memcmp(block + 9, "200", 3) != 0) {
				/* that one asks no more */
				epoll_ctl(epoll, EPOLL_CTL_DEL, c[k].fd, NULL);
				if (m < 0)
					perror("pace");
				else
					fprintf(stderr, "pace: %.*s\n", m < 12 ? 0 : 12,
						(char *)block);
				continue;
			}
			good++;
			most = t > most ? t : most;
			took[t < 0.199 ? (unsigned)(t * 1e6) : BUCKETS - 1]++;
			c[k].busy = false;
		}
		for (int i = 0; i < n; i++)
			ask_due(&c[i], (uint64_t)i, step, begin, rate, all);
	}
	printf("%llu %llu %u %u %.0f\n", (unsigned long long)all, (unsigned long long)good,
	       percentile(good, 0.5), percentile(good, 0.99), most * 1e6);
	return 0;
}

static int get(const char *a, const char *port, const char *path)
{
	int fd = end_dial(a, port);
	uint64_t all = 0;
	double begin = now();
	ssize_t n;

	if (fd < 0)
		die("get");
	make_request("GET", path, "Connection: close\r\n");
	send(fd, request, nrequest, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, block, BLOCK, MSG_TRUNC)) > 0)
		all += (uint64_t)n;
	printf("%llu %.3f\n", (unsigned long long)all, now() - begin);
	return n < 0;
}

static int put(const char *a, const char *port, const char *path, uint64_t bytes)
{
	int fd = end_dial(a, port);
	double begin = now();
	char more[64];
	ssize_t n;

	if (fd < 0)
		die("put");
	snprintf(more, sizeof(more), "Content-Length: %llu\r\n", (unsigned long long)bytes);
	make_request("POST", path, more);
	send(fd, request, nrequest, MSG_NOSIGNAL);
	for (uint64_t left = bytes; left; left -= (uint64_t)n) {
		n = send(fd, block, left < BLOCK ? left : BLOCK, MSG_NOSIGNAL);
		if (n <= 0)
			break;
	}
	n = recv(fd, block, BLOCK - 1, 0);
	printf("%.3s %.3f\n", n > 12 ? block + 9 : "---", now() - begin);
	return 0;
}

static int hold(const char *a, const char *port, int n, const char *text, int small)
{
	int opened = 0;

	for (int i = 0; i < n; i++) {
		int fd = end_dial(a, port);

		if (fd < 0)
			break;
		if (small)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		opened += send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
	}
	printf("%d\n", opened);
	fflush(stdout);
	pause();
	return 0;
}

static int storm(const char *a, const char *port, double seconds)
{
	struct linger reset = { .l_onoff = 1 };
	double end = now() + seconds;
	unsigned long many = 0;

	while (now() < end) {
		int fd = end_dial_within(a, port, 50);

		if (fd < 0)
			continue;
		send(fd, "GET /x HTT", 10, MSG_NOSIGNAL);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		many++;
	}
	printf("%lu\n", many);
	return 0;
}

/* op: enum pol_proxy_op; fds: POL_PROXY_FDS of them or none. */
static int tell(const char *control, uint8_t op, uint64_t generation, const int *fds, size_t n)
{
	struct pol_proxy_msg m = { .version = POL_PROXY_VERSION, .op = op, .gen = generation };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), none[POL_PROXY_FDS];

	strncpy(to.sun_path, control, sizeof(to.sun_path) - 1);
	if (connect(fd, (void *)&to, sizeof(to)) || pol_message_send(fd, &m, fds, n) ||
	    pol_message_receive(fd, &m, none))
		die("tell");
	return m.status ? 1 : 0;
}

static int teach(const char *control, uint64_t generation, char **pins)
{
	int fd[POL_PROXY_FDS];

	for (size_t i = 0; i < POL_PROXY_FDS; i++) {
		union bpf_attr a = { .pathname = (uintptr_t)pins[i] };

		fd[i] = (int)syscall(SYS_bpf, BPF_OBJ_GET, &a, sizeof(a));
		if (fd[i] < 0)
			die(pins[i]);
	}
	return tell(control, POL_PROXY_LOAD, generation, fd, POL_PROXY_FDS);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 3 ? argv[1] : "";

	end_more_files();
	if (!strcmp(verb, "serve"))
		return serve(argv[2], argv[3]);
	if (!strcmp(verb, "load") && argc == 7)
		return load(argv[2], argv[3], argv[4], atoi(argv[5]), atof(argv[6]) / 1000);
	if (!strcmp(verb, "pace") && (argc == 8 || argc == 9))
		return pace(argv[2], argv[3], argv[4], atoi(argv[5]), atof(argv[6]),
			    atof(argv[7]) / 1000, argc == 9 ? atof(argv[8]) / 1000 : 0);
	if (!strcmp(verb, "get") && argc == 5)
		return get(argv[2], argv[3], argv[4]);
	if (!strcmp(verb, "put") && argc == 6)
		return put(argv[2], argv[3], argv[4], strtoull(argv[5], NULL, 10));
	if (!strcmp(verb, "stall") && argc == 6) {
		make_request("GET", argv[4], "");
		return hold(argv[2], argv[3], atoi(argv[5]), request, 4096);
	}
	if (!strcmp(verb, "open") && (argc == 5 || argc == 6))
		return hold(argv[2], argv[3], atoi(argv[4]), argc == 6 ? argv[5] : "", 0);
	if (!strcmp(verb, "storm") && argc == 5)
		return storm(argv[2], argv[3], atof(argv[4]) / 1000);
	if (!strcmp(verb, "forget") && argc == 4)
		return tell(argv[2], POL_PROXY_FORGET, strtoull(argv[3], NULL, 10), NULL, 0);
	if (!strcmp(verb, "teach") && argc == 4 + POL_PROXY_FDS)
		return teach(argv[2], strtoull(argv[3], NULL, 10), argv + 4);
	return 99;
}
