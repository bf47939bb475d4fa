/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traffic over real devices, and what it costs; see wire.sh.
 *
 *	wire frames DEVICE SOURCE-MAC DESTINATION-MAC ADDRESS RULES COUNT SALT
 *		COUNT UDP frames to ADDRESS, each of a flow of its own, spread evenly over
 *		the prefixes and ports of RULES rules (rule_source() and rule_port()); prints ns a frame.
 *		The same SALT gives the same flows.
 *	wire answers DEVICE SOURCE-MAC DESTINATION-MAC ADDRESS RULES COUNT SALT
 *		what ADDRESS answers to these
 *	wire datagrams ADDRESS COUNT	a connected socket's, of 16 bytes: ns each
 *	wire serve ADDRESS		TCP port 7: gives back single bytes, swallows the rest; until killed
 *	wire bulk ADDRESS MS		a stream for so long: Gbit/s, ns of this machine's time per KiB
 *	wire turns ADDRESS COUNT	one byte to and fro: median microseconds of a turn
 *	wire connects ADDRESS MS	opened and reset, one after the other, for so long: how many a second
 *
 * Where ns are printed they are CPU time, of the sender: it does the whole work of veth, router and
 * receiving stack in its own context (softirq), so what others do on the machine does not
 * count, unless by the caches.  With CONFIG_IRQ_TIME_ACCOUNTING it would not be so.  They go 64 at
 * a time, and those count that went while the core was ours (core.h).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sendmmsg */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define PAYLOAD 16u
#define BATCH 64u
#define BULK (1u << 20)
#define MAX_TURNS 1000000u

union sock {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	return 1;
}

static double clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static socklen_t address(const char *text, uint16_t port, union sock *s)
{
	memset(s, 0, sizeof(*s));
	if (inet_pton(AF_INET, text, &s->v4.sin_addr) == 1) {
		s->v4.sin_family = AF_INET;
		s->v4.sin_port = htons(port);
		return sizeof(s->v4);
	}
	if (inet_pton(AF_INET6, text, &s->v6.sin6_addr) != 1) {
		fprintf(stderr, "wire: '%s' is no address\n", text);
		exit(2);
	}
	s->v6.sin6_family = AF_INET6;
	s->v6.sin6_port = htons(port);
	return sizeof(s->v6);
}

/* ---- frames ---------------------------------------------------------------------- */

struct frames { /* of an order on the command line */
	const char *device;
	uint8_t from[6], to[6];
	union sock peer;
	uint32_t rules, count, salt;
	bool answers;
};

struct frame {
	uint8_t b[14 + 40 + 8 + PAYLOAD];
	uint32_t n;
};

/* lib.sh writes the rules: number i is for 32.0.0.0/24 + i and 2001:db8:4000::/64 + i, port 1000 + i % 50. */
static void rule_source(uint32_t rule, uint32_t host, bool v6, uint8_t out[16])
{
	static const uint8_t prefix[4] = { 0x20, 0x01, 0x0d, 0xb8 };
	uint32_t v4 = htonl(0x20000000u + (rule << 8) + 1 + host % 250);
	uint32_t subnet = htonl(0x40000000u + rule);
	uint16_t last = htons((uint16_t)(1 + host % 250));

	memset(out, 0, 16);
	if (!v6) {
		memcpy(out, &v4, 4);
		return;
	}
	memcpy(out, prefix, 4);
	memcpy(out + 4, &subnet, 4);
	memcpy(out + 14, &last, 2);
}

static uint16_t rule_port(uint32_t rule)
{
	return (uint16_t)(1000 + rule % 50);
}

static uint32_t sum16(const void *p, size_t n, uint32_t sum)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void write_ip(struct frame *f, bool v6, const uint8_t *src, const uint8_t *dst)
{
	if (v6) {
		struct ip6_hdr h = { 0 };

		h.ip6_flow = htonl(6u << 28);
		h.ip6_plen = htons(8 + PAYLOAD);
		h.ip6_nxt = IPPROTO_UDP;
		h.ip6_hlim = 64;
		memcpy(&h.ip6_src, src, 16);
		memcpy(&h.ip6_dst, dst, 16);
		memcpy(f->b + 14, &h, sizeof(h));
	} else {
		struct iphdr h = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP };

		h.tot_len = htons(20 + 8 + PAYLOAD);
		memcpy(&h.saddr, src, 4);
		memcpy(&h.daddr, dst, 4);
		h.check = folded(sum16(&h, sizeof(h), 0));
		memcpy(f->b + 14, &h, sizeof(h));
	}
}

static void write_frame(struct frame *f, const struct frames *o, uint32_t i)
{
	bool v6 = o->peer.sa.sa_family == AF_INET6;
	/* neighbours in time are not neighbours in the table of rules */
	uint32_t rule = (uint32_t)(((uint64_t)i * 2654435761u >> 7) % o->rules);
	uint8_t far[16], near[16] = { 0 };
	const uint8_t *src = o->answers ? near : far, *dst = o->answers ? far : near;
	size_t l3 = v6 ? 40 : 20, len = v6 ? 16 : 4;
	uint16_t sport = htons((uint16_t)(2000 + (i / 250 + o->salt * 997u) % 60000)),
		 dport = htons(rule_port(rule));
	struct udphdr udp = { .source = o->answers ? dport : sport,
			      .dest = o->answers ? sport : dport,
			      .len = htons(8 + PAYLOAD) };
	uint16_t type = htons(v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	uint32_t sum;

	rule_source(rule, i, v6, far);
	memcpy(near, v6 ? (const void *)&o->peer.v6.sin6_addr : &o->peer.v4.sin_addr, len);
	memset(f->b, 0, sizeof(f->b));
	memcpy(f->b, o->to, 6);
	memcpy(f->b + 6, o->from, 6);
	memcpy(f->b + 12, &type, 2);
	write_ip(f, v6, src, dst);
	sum = sum16(src, len, sum16(dst, len, IPPROTO_UDP + 8 + PAYLOAD));
	udp.check = folded(sum16(&udp, sizeof(udp), sum));
	memcpy(f->b + 14 + l3, &udp, sizeof(udp));
	f->n = (uint32_t)(14 + l3 + 8 + PAYLOAD);
}

/* Up to BATCH of them at once; how many went, or -1. */
static int send_batch(int fd, struct sockaddr_ll *to, struct frame *f, uint32_t n)
{
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	int sent;

	for (uint32_t k = 0; k < n; k++) {
		v[k] = (struct iovec){ f[k].b, f[k].n };
		m[k].msg_hdr = (struct msghdr){ .msg_name = to,
						.msg_namelen = sizeof(*to),
						.msg_iov = &v[k],
						.msg_iovlen = 1 };
	}
	sent = sendmmsg(fd, m, n, 0);
	return sent < 0 && errno == ENOBUFS ? 0 : sent;
}

static int send_frames(const struct frames *o)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct frame *f = calloc(o->count, sizeof(*f));
	static struct bench_core_runs runs;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	to.sll_ifindex = (int)if_nametoindex(o->device);
	if (!f || fd < 0 || !to.sll_ifindex)
		return fail(o->device);
	for (uint32_t i = 0; i < o->count; i++)
		write_frame(&f[i], o, i);
	runs.wanted = (o->count + BATCH - 1) / BATCH;
	for (uint32_t i = 0; i < o->count;) {
		double ns;
		int sent;

		bench_core_begin(&runs);
		ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		sent = send_batch(fd, &to, &f[i], o->count - i < BATCH ? o->count - i : BATCH);
		if (sent < 0)
			return fail("sendmmsg");
		ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
		if (sent)
			bench_core_took(&runs, ns / sent);
		i += (uint32_t)sent;
	}
	printf("%.1f\n", bench_core_mean(&runs));
	free(f);
	close(fd);
	return 0;
}

static bool read_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6;
}

static int frames(int argc, char **argv)
{
	struct frames o = { 0 };

	if (argc != 9 || !read_mac(argv[3], o.from) || !read_mac(argv[4], o.to))
		return -1;
	o.answers = strcmp(argv[1], "answers") == 0;
	o.device = argv[2];
	address(argv[5], 0, &o.peer);
	o.rules = (uint32_t)strtoul(argv[6], NULL, 0);
	o.count = (uint32_t)strtoul(argv[7], NULL, 0);
	o.salt = (uint32_t)strtoul(argv[8], NULL, 0);
	bench_core_learn(0);
	return o.rules && o.count ? send_frames(&o) : -1;
}

/* ---- sockets ----------------------------------------------------------------------- */

static int datagrams(const char *to, uint32_t count)
{
	union sock peer;
	socklen_t len = address(to, 9, &peer);
	int fd = socket(peer.sa.sa_family, SOCK_DGRAM, 0);
	static struct bench_core_runs runs;
	char b[PAYLOAD] = { 0 };

	if (fd < 0 || connect(fd, &peer.sa, len))
		return fail(to);
	for (uint32_t i = 0; i < 100; i++) /* neighbours are found, the flow is open */
		(void)!send(fd, b, sizeof(b), 0);
	bench_core_learn(0);
	runs.wanted = count / BATCH;
	for (uint32_t i = 0; i < runs.wanted; i++) {
		double ns;

		bench_core_begin(&runs);
		ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (uint32_t k = 0; k < BATCH; k++)
			if (send(fd, b, sizeof(b), 0) < 0 && errno != ENOBUFS &&
			    errno != ECONNREFUSED)
				return fail("send");
		bench_core_took(&runs, (clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns) / BATCH);
	}
	printf("%.1f\n", bench_core_mean(&runs));
	return 0;
}

static void serve_one(int fd)
{
	static char b[BULK];
	ssize_t n;

	while ((n = read(fd, b, sizeof(b))) > 0)
		if (n == 1 && write(fd, b, 1) != 1)
			break;
	close(fd);
}

static int serve(const char *at)
{
	union sock here;
	socklen_t len = address(at, 7, &here);
	int fd = socket(here.sa.sa_family, SOCK_STREAM, 0), one = 1, peer;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, &here.sa, len) || listen(fd, 1024))
		return fail(at);
	while ((peer = accept(fd, NULL, NULL)) >= 0) {
		setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve_one(peer);
	}
	return fail("accept");
}

static int dial(const char *to)
{
	union sock peer;
	socklen_t len = address(to, 7, &peer);
	int fd = socket(peer.sa.sa_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, &peer.sa, len))
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int bulk(const char *to, uint32_t ms)
{
	static char b[BULK];
	double start, cpu, bytes = 0, passed;
	int fd = dial(to);

	if (fd < 0)
		return fail(to);
	start = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (clock_ns(CLOCK_MONOTONIC) - start < (double)ms * 1e6) {
		ssize_t n = write(fd, b, sizeof(b));

		if (n < 0)
			return fail("write");
		bytes += (double)n;
	}
	passed = clock_ns(CLOCK_MONOTONIC) - start;
	printf("%.2f %.1f\n", bytes * 8 / passed,
	       (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / bytes * 1024);
	return 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int turns(const char *to, uint32_t count)
{
	double *v = calloc(count, sizeof(*v));
	int fd = dial(to);
	char c = 'x';

	if (fd < 0 || !v)
		return fail(to);
	for (uint32_t i = 0; i < count; i++) {
		v[i] = clock_ns(CLOCK_MONOTONIC);
		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			return fail("one byte to and fro");
		v[i] = clock_ns(CLOCK_MONOTONIC) - v[i];
	}
	qsort(v, count, sizeof(*v), ascending);
	printf("%.2f\n", v[count / 2] / 1000);
	free(v);
	return 0;
}

/* Reset, so that neither end keeps the port for a minute. */
static int connects(const char *to, uint32_t ms)
{
	struct linger reset = { .l_onoff = 1 };
	double start = clock_ns(CLOCK_MONOTONIC), passed = 0;
	uint32_t n = 0;

	while (passed < (double)ms * 1e6) {
		int fd = dial(to);

		if (fd < 0)
			return fail(to);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		n++;
		passed = clock_ns(CLOCK_MONOTONIC) - start;
	}
	printf("%.0f\n", n * 1e9 / passed);
	return 0;
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int r = -1;

	if (!strcmp(verb, "frames") || !strcmp(verb, "answers"))
		r = frames(argc, argv);
	else if (!strcmp(verb, "serve") && argc == 3)
		r = serve(argv[2]);
	else if (argc != 4 || !number(argv[3]) || number(argv[3]) > MAX_TURNS)
		r = -1;
	else if (!strcmp(verb, "datagrams"))
		r = datagrams(argv[2], number(argv[3]));
	else if (!strcmp(verb, "bulk"))
		r = bulk(argv[2], number(argv[3]));
	else if (!strcmp(verb, "turns"))
		r = turns(argv[2], number(argv[3]));
	else if (!strcmp(verb, "connects"))
		r = connects(argv[2], number(argv[3]));
	if (r < 0)
		fputs("usage: wire frames|answers DEVICE MAC MAC ADDRESS RULES COUNT SALT\n"
		      "       wire datagrams|turns ADDRESS COUNT | bulk|connects ADDRESS MS | serve ADDRESS\n",
		      stderr);
	return r < 0 ? 2 : r;
}
