/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small traffic helper for tests and the demo: it tries one flow and says in
 * one word what came of it.
 *
 *   probe listen  tcp|udp ADDR PORT                      echo server, runs until killed
 *   probe connect tcp|udp ADDR PORT [OPTION...]          open | late | refused | unreachable | timeout
 *   probe stream  ADDR PORT [OPTION...]                  a connection that asks and awaits echoes
 *   probe repeat  tcp|udp ADDR PORT [OPTION...]          connect, again and again; what came of them
 *   probe flood   ADDR PORT [OPTION...]                  UDP datagrams, as fast as they go
 *   probe spray   tcp|udp ADDR [OPTION...]               new flows to all ports, as fast as they go
 *   probe ping    ADDR [OPTION...]                       open | unreachable | timeout
 *
 *   --timeout MS    give up after that long (1000); for stream: without an echo
 *   --source ADDR   bind to that address
 *   --sport PORT    and port
 *   --foreign ADDR  bind to that address, which need not be ours (IP_TRANSPARENT)
 *   --mark N        of the socket (SO_MARK)
 *   --interval MS   stream, repeat: between two messages or connections (20)
 *   --for MS        stream, repeat, flood, spray: how long (until SIGTERM); once at least
 *   --size BYTES    payload of one message (16)
 *   --proto udp     stream: datagrams from one socket, sent again each 100 ms until one is echoed
 *   --count FILE    stream: keeps the number of echoes in it
 *
 * connect says `open` when TCP connected at its first SYN (`late`: only when that was sent again, however long
 * the answer took) or when UDP was echoed, with our own bytes; so it may be given much patience.  What has come by
 * the time that it looks is no timeout.  A stream that gets SIGUSR1 has a second of patience from then on.  listen
 * prints `listening` when it is ready.  Exit codes: 0 open, 1 refused, 2 unreachable, 3 timeout or late, 4
 * usage or a local failure.  A stream prints the number of echoes and how it ended: `37 open`, `12
 * timeout`, `12 refused` (a reset).  repeat prints `37 open 0 refused 2 unreachable 0 timeout`,
 * flood `70000 sent 12 answered`, spray `70000 begun`; all three exit with 0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CLIENTS 256
#define MAX_SIZE 60000
#define HURRY_MS 1000
#define LOOK_MS 200
#define BACKLOG 4096 /* a server that gets no time refuses nobody */

enum outcome { OPEN, REFUSED, UNREACHABLE, TIMEOUT, BROKEN, LATE };
static const char *const words[] = {
	"open", "refused", "unreachable", "timeout", "broken", "late"
};

struct options {
	int timeout, interval, run_for, size;
	unsigned mark;
	bool foreign, udp;
	const char *source, *sport, *count;
};

union sock {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage any;
};

static volatile sig_atomic_t stopped, hurried;
static char message[MAX_SIZE], answer[MAX_SIZE + 64];

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void hurry(int sig)
{
	(void)sig;
	hurried = 1;
}

static int usage(void)
{
	fputs("usage: probe listen tcp|udp ADDR PORT\n"
	      "       probe connect tcp|udp ADDR PORT [--timeout MS] [--source ADDR] [--sport PORT]\n"
	      "       probe stream ADDR PORT [--interval MS] [--for MS] [--size N] [--timeout MS]\n"
	      "       probe repeat tcp|udp ADDR PORT [--interval MS] [--for MS] [--timeout MS]\n"
	      "       probe flood ADDR PORT [--for MS]\n"
	      "       probe spray tcp|udp ADDR [--for MS]\n"
	      "       probe ping ADDR [--timeout MS] [--source ADDR]\n",
	      stderr);
	return BROKEN;
}

static int broken(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	return BROKEN;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Length of the address, 0 when it is none. */
static socklen_t parse(const char *addr, const char *port, union sock *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, addr, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons((uint16_t)atoi(port));
		return sizeof(out->v4);
	}
	if (inet_pton(AF_INET6, addr, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons((uint16_t)atoi(port));
		return sizeof(out->v6);
	}
	fprintf(stderr, "probe: not an address: %s\n", addr);
	return 0;
}

static enum outcome outcome_of(int err)
{
	switch (err) {
	case 0:
		return OPEN;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES: /* ICMPv6 "administratively prohibited" */
	case EPERM:
	case ENOPROTOOPT:
	case EPROTO:
	case EHOSTDOWN:
		return UNREACHABLE;
	case ETIMEDOUT:
	case EAGAIN:
	case EINPROGRESS:
		return TIMEOUT;
	default:
		return BROKEN;
	}
}

static int verdict(enum outcome o)
{
	puts(words[o]);
	return o == LATE ? TIMEOUT : (int)o;
}

/* Once it is seen that a signal came there is no more than a second from then. */
static long long hurry_up(long long deadline, bool *knows)
{
	long long soon = now_ms() + HURRY_MS;

	if (!hurried || *knows)
		return deadline;
	*knows = true;
	return deadline < soon ? deadline : soon;
}

/*
 * Waits for an event until the deadline; false when there was none.  Who looks late looks once more; and now and
 * then, for a signal that came just before.
 */
static bool wait_for(int fd, short events, long long deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	bool knows = false;

	while (!stopped) {
		long long left;
		int n;

		deadline = hurry_up(deadline, &knows);
		left = deadline > now_ms() ? deadline - now_ms() : 0;
		n = poll(&p, 1, left < LOOK_MS ? (int)left : LOOK_MS);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (!n && !left)
			return false;
	}
	return false;
}

static int bind_source(int fd, const struct options *o, int family)
{
	union sock s;
	socklen_t n;
	int one = 1;

	if (o->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &o->mark, sizeof(o->mark)))
		return broken("SO_MARK");
	if (o->foreign &&
	    setsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6,
		       family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof(one)))
		return broken("IP_TRANSPARENT");
	if (!o->source && !o->sport)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	n = parse(o->source           ? o->source
		  : family == AF_INET ? "0.0.0.0"
				      : "::",
		  o->sport ? o->sport : "0", &s);
	if (!n)
		return BROKEN;
	return bind(fd, &s.sa, n) ? broken("bind") : 0;
}

/* ---- listen ------------------------------------------------------------------ */

static _Noreturn void serve_udp(int fd)
{
	for (;;) {
		union sock from;
		socklen_t n = sizeof(from);
		ssize_t got = recvfrom(fd, answer, sizeof(answer), 0, &from.sa, &n);

		if (got >= 0)
			sendto(fd, answer, (size_t)got, MSG_NOSIGNAL, &from.sa, n);
	}
}

/* Blocking sends: a client that never reads only harms its own test. */
static bool echo_once(int fd)
{
	ssize_t got = recv(fd, answer, sizeof(answer), 0), sent = 0;

	while (got > 0 && sent < got) {
		ssize_t n = send(fd, answer + sent, (size_t)(got - sent), MSG_NOSIGNAL);

		if (n < 0)
			return false;
		sent += n;
	}
	return got > 0;
}

static _Noreturn void serve_tcp(int fd)
{
	struct pollfd p[MAX_CLIENTS + 1] = { { .fd = fd, .events = POLLIN } };
	nfds_t n = 1;

	for (;;) {
		if (poll(p, n, -1) < 0)
			continue;
		for (nfds_t i = n; i-- > 1;) {
			if (p[i].revents && !echo_once(p[i].fd)) {
				close(p[i].fd);
				p[i] = p[--n];
			}
		}
		if (p[0].revents && n <= MAX_CLIENTS) {
			int c = accept(fd, NULL, NULL);

			if (c >= 0)
				p[n++] = (struct pollfd){ .fd = c, .events = POLLIN };
		}
	}
}

static int listen_on(const char *proto, const char *addr, const char *port)
{
	bool tcp = !strcmp(proto, "tcp");
	union sock s;
	socklen_t n = parse(addr, port, &s);
	int one = 1, fd;

	if (!n)
		return BROKEN;
	fd = socket(s.sa.sa_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (fd < 0)
		return broken("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &s.sa, n))
		return broken("bind");
	if (tcp && listen(fd, BACKLOG))
		return broken("listen");
	puts("listening");
	fflush(stdout);
	if (tcp)
		serve_tcp(fd);
	serve_udp(fd);
}

/* ---- connect ----------------------------------------------------------------- */

static enum outcome tcp_open(int fd, const union sock *to, socklen_t n, long long deadline)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (!connect(fd, &to->sa, n))
		return OPEN;
	if (errno != EINPROGRESS)
		return outcome_of(errno);
	if (!wait_for(fd, POLLOUT, deadline))
		return TIMEOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return outcome_of(err);
}

static bool sent_again(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) && info.tcpi_total_retrans;
}

/* Sends one message and awaits all of it; a datagram may be echoed in one piece only. */
static enum outcome ask(int fd, size_t size, bool datagram, long long deadline)
{
	size_t sent = 0, got = 0;

	while (got < size) {
		ssize_t n;

		if (sent < size) {
			n = send(fd, message + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				return outcome_of(errno);
			sent += n > 0 ? (size_t)n : 0;
		}
		if (!wait_for(fd, (short)(POLLIN | (sent < size ? POLLOUT : 0)), deadline))
			return TIMEOUT;
		n = recv(fd, answer + got, sizeof(answer) - got, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return outcome_of(errno);
		if (n == 0 && !datagram)
			return REFUSED;
		got += n > 0 ? (size_t)n : 0;
	}
	return memcmp(message, answer, size) ? BROKEN : OPEN;
}

static enum outcome try_once(bool tcp, const union sock *s, socklen_t n, const struct options *o)
{
	long long deadline = now_ms() + o->timeout;
	enum outcome r;
	int fd = socket(s->sa.sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		broken("socket");
		return BROKEN;
	}
	r = bind_source(fd, o, s->sa.sa_family) ? BROKEN : tcp_open(fd, s, n, deadline);
	if (r == OPEN && tcp && sent_again(fd))
		r = LATE;
	if (r == OPEN && !tcp)
		r = ask(fd, (size_t)o->size, true, deadline);
	close(fd);
	return r;
}

static int connect_to(const char *proto, const char *addr, const char *port,
		      const struct options *o)
{
	union sock s;
	socklen_t n = parse(addr, port, &s);
	enum outcome r = n ? try_once(!strcmp(proto, "tcp"), &s, n, o) : BROKEN;

	return r == BROKEN ? BROKEN : verdict(r);
}

static int repeat_to(const char *proto, const char *addr, const char *port, const struct options *o)
{
	long long end = o->run_for ? now_ms() + o->run_for : 0;
	unsigned long count[BROKEN + 1] = { 0 };
	union sock s;
	socklen_t n = parse(addr, port, &s);

	if (!n)
		return BROKEN;
	while (!stopped && !count[BROKEN]) {
		enum outcome r = try_once(!strcmp(proto, "tcp"), &s, n, o);

		r = r == LATE ? OPEN : r;
		if (!stopped || r == OPEN) /* told to go in the middle of one */
			count[r]++;
		if (end && now_ms() >= end)
			break;
		poll(NULL, 0, o->interval);
	}
	printf("%lu open %lu refused %lu unreachable %lu timeout\n", count[OPEN], count[REFUSED],
	       count[UNREACHABLE], count[TIMEOUT]);
	return count[BROKEN] ? BROKEN : 0;
}

/* What is denied stays a new flow, so each datagram of it is judged. */
static int flood_to(const char *addr, const char *port, const struct options *o)
{
	long long end = o->run_for ? now_ms() + o->run_for : 0;
	unsigned long sent = 0, answered = 0;
	union sock s;
	socklen_t n = parse(addr, port, &s);
	int fd;

	if (!n)
		return BROKEN;
	fd = socket(s.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, &s.sa, n))
		return broken("socket");
	while (!stopped && (!end || now_ms() < end)) {
		sent += send(fd, message, (size_t)o->size, 0) > 0;
		answered += recv(fd, answer, sizeof(answer), 0) > 0;
	}
	poll(NULL, 0, 200);
	while (recv(fd, answer, sizeof(answer), 0) > 0)
		answered++;
	printf("%lu sent %lu answered\n", sent, answered);
	return 0;
}

static enum outcome exchange(int fd, const struct options *o)
{
	long long deadline = now_ms() + o->timeout, soon;
	enum outcome r = TIMEOUT;
	bool knows = false;

	if (!o->udp)
		return ask(fd, (size_t)o->size, false, deadline);
	while (r == TIMEOUT && !stopped && now_ms() < deadline) {
		deadline = hurry_up(deadline, &knows);
		soon = now_ms() + 100;
		r = ask(fd, (size_t)o->size, true, soon < deadline ? soon : deadline);
	}
	return r;
}

static void tell_count(int file, unsigned long done)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%-20lu\n", done);

	if (file >= 0 && pwrite(file, text, (size_t)n, 0) != n)
		broken("--count");
}

static int stream_to(const char *addr, const char *port, const struct options *o)
{
	long long end = o->run_for ? now_ms() + o->run_for : 0;
	union sock s;
	socklen_t n = parse(addr, port, &s);
	unsigned long done = 0;
	enum outcome r;
	int fd, file = -1;

	if (!n)
		return BROKEN;
	if (o->count)
		file = open(o->count, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fd = socket(s.sa.sa_family, (o->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	if (fd < 0 || (o->count && file < 0))
		return broken("socket");
	if (bind_source(fd, o, s.sa.sa_family))
		return BROKEN;
	r = tcp_open(fd, &s, n, now_ms() + o->timeout);
	while (r == OPEN && !stopped && (!done || !end || now_ms() < end)) {
		r = exchange(fd, o);
		done += r == OPEN;
		tell_count(file, done);
		if (r == OPEN)
			poll(NULL, 0, o->interval);
	}
	if (stopped && r == TIMEOUT)
		r = OPEN; /* told to go in the middle of an exchange */
	close(fd);
	printf("%lu ", done);
	return verdict(r);
}

/* From any port of ours to all of theirs: a SYN or a datagram each, and nothing more. */
static int spray(const char *proto, const char *addr, const struct options *o)
{
	int type = (!strcmp(proto, "tcp") ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK;
	long long end = o->run_for ? now_ms() + o->run_for : 0;
	unsigned long begun = 0;
	union sock s;
	socklen_t n = parse(addr, "1", &s);

	if (!n)
		return BROKEN;
	for (unsigned port = 0; !stopped && (!end || now_ms() < end); port = (port + 1) & 0xffff) {
		int fd = socket(s.sa.sa_family, type, 0);

		if (fd < 0)
			return broken("socket");
		/* the port is at the same place in both families */
		s.v4.sin_port = htons((uint16_t)(port ? port : 1));
		begun +=
			!connect(fd, &s.sa, n) ? send(fd, message, 1, 0) > 0 : errno == EINPROGRESS;
		close(fd);
	}
	printf("%lu begun\n", begun);
	return 0;
}

/* ---- ping -------------------------------------------------------------------- */

static uint16_t checksum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (n & 1)
		sum += (uint32_t)b[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

struct echo {
	uint8_t type, code;
	uint16_t sum, id, seq;
	char data[8];
};

/* Is this the answer to our request, with or without an IPv4 header before it? */
static enum outcome answer_is(const char *p, size_t n, bool v6, const struct echo *sent)
{
	const struct echo *e = (const void *)p;

	if (!v6 && n && ((uint8_t)p[0] >> 4) == 4 && n > 20)
		e = (const void *)(p + ((uint8_t)p[0] & 15) * 4);
	if ((const char *)(e + 1) > p + n)
		return TIMEOUT;
	if (e->type == (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY))
		return memcmp(e->data, sent->data, sizeof(e->data)) ? TIMEOUT : OPEN;
	if (e->type == (v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH))
		return UNREACHABLE;
	return TIMEOUT;
}

static int ping(const char *addr, const struct options *o)
{
	long long deadline = now_ms() + o->timeout;
	struct echo e = { .id = htons((uint16_t)getpid()), .seq = htons(1) };
	union sock s;
	socklen_t n = parse(addr, "0", &s);
	bool v6 = s.sa.sa_family == AF_INET6;
	enum outcome r = TIMEOUT;
	int fd;

	if (!n)
		return BROKEN;
	fd = socket(s.sa.sa_family, SOCK_RAW | SOCK_NONBLOCK, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd < 0)
		fd = socket(s.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK,
			    v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd < 0)
		return broken("socket");
	if (bind_source(fd, o, s.sa.sa_family) || connect(fd, &s.sa, n))
		return errno == ENETUNREACH ? verdict(UNREACHABLE) : broken("connect");
	e.type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
	snprintf(e.data, sizeof(e.data), "%07u", (unsigned)getpid() % 10000000u);
	e.sum = v6 ? 0 : checksum(&e, sizeof(e)); /* the kernel fills in ICMPv6's */
	if (send(fd, &e, sizeof(e), 0) < 0)
		return verdict(outcome_of(errno));
	while (r == TIMEOUT && wait_for(fd, POLLIN, deadline)) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);

		r = got < 0 ? outcome_of(errno) : answer_is(answer, (size_t)got, v6, &e);
	}
	close(fd);
	return verdict(r);
}

/* ---- command line ---------------------------------------------------------------- */

static bool take_options(int argc, char **argv, struct options *o)
{
	for (int i = 0; i < argc; i += 2) {
		const char *k = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;

		if (!v)
			return false;
		if (!strcmp(k, "--timeout"))
			o->timeout = atoi(v);
		else if (!strcmp(k, "--interval"))
			o->interval = atoi(v);
		else if (!strcmp(k, "--for"))
			o->run_for = atoi(v);
		else if (!strcmp(k, "--size"))
			o->size = atoi(v);
		else if (!strcmp(k, "--source"))
			o->source = v;
		else if (!strcmp(k, "--sport"))
			o->sport = v;
		else if (!strcmp(k, "--mark"))
			o->mark = (unsigned)strtoul(v, NULL, 0);
		else if (!strcmp(k, "--proto"))
			o->udp = !strcmp(v, "udp");
		else if (!strcmp(k, "--count"))
			o->count = v;
		else if (!strcmp(k, "--foreign"))
			o->source = v, o->foreign = true;
		else
			return false;
	}
	return o->timeout > 0 && o->size > 0 && o->size <= MAX_SIZE;
}

static bool is_proto(const char *s)
{
	return !strcmp(s, "tcp") || !strcmp(s, "udp");
}

int main(int argc, char **argv)
{
	struct options o = { .timeout = 1000, .interval = 20, .size = 16 };
	const char *verb = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(verb, "stream") || !strcmp(verb, "repeat") || !strcmp(verb, "flood") ||
	    !strcmp(verb, "spray")) {
		sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
		sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
		sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = hurry }, NULL);
	}
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (char)(i * 31 + 7);
	if (!strcmp(verb, "listen") && argc == 5 && is_proto(argv[2]))
		return listen_on(argv[2], argv[3], argv[4]);
	if (!strcmp(verb, "connect") && argc >= 5 && is_proto(argv[2]) &&
	    take_options(argc - 5, argv + 5, &o))
		return connect_to(argv[2], argv[3], argv[4], &o);
	if (!strcmp(verb, "ping") && argc >= 3 && take_options(argc - 3, argv + 3, &o))
		return ping(argv[2], &o);
	if (!strcmp(verb, "stream") && argc >= 4 && take_options(argc - 4, argv + 4, &o))
		return stream_to(argv[2], argv[3], &o);
	if (!strcmp(verb, "repeat") && argc >= 5 && is_proto(argv[2]) &&
	    take_options(argc - 5, argv + 5, &o))
		return repeat_to(argv[2], argv[3], argv[4], &o);
	if (!strcmp(verb, "flood") && argc >= 4 && take_options(argc - 4, argv + 4, &o))
		return flood_to(argv[2], argv[3], &o);
	if (!strcmp(verb, "spray") && argc >= 4 && is_proto(argv[2]) &&
	    take_options(argc - 4, argv + 4, &o))
		return spray(argv[2], argv[3], &o);
	return usage();
}
