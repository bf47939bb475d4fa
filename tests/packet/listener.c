/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom pol_listener (bpf-templates/timewait.h) names a listener to: only look-ups for which there
 * is a fresh leave, once.  By BPF_PROG_TEST_RUN, which tells the cookie of the socket that it named.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <polc/abi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

static int prog, again, listeners;
static __u64 cookie[2]; /* of the listeners that stand at 2 and 3 */
static __u64 left_at; /* ns */
static unsigned tests, failures;

static void is(const char *what, __u64 want, __u64 got)
{
	tests++;
	failures += want != got;
	printf("%sok %u - %s\n", want == got ? "" : "not ", tests, what);
	if (want != got)
		printf("# expected socket %llu, got %llu\n", (unsigned long long)want,
		       (unsigned long long)got);
}

static __u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * SECOND + (__u64)t.tv_nsec;
}

/* 10.66.1.2:40001 or fd66::1:2 asks for port 80 of 10.66.2.2 or fd66::2:2. */
static struct bpf_sk_lookup lookup(bool v6)
{
	struct bpf_sk_lookup l = { .family = v6 ? AF_INET6 : AF_INET,
				   .protocol = IPPROTO_TCP,
				   .local_port = 80,
				   .remote_port = htons(40001) };

	if (v6) {
		inet_pton(AF_INET6, "fd66::1:2", l.remote_ip6);
		inet_pton(AF_INET6, "fd66::2:2", l.local_ip6);
	} else {
		l.remote_ip4 = htonl(0x0a420102);
		l.local_ip4 = htonl(0x0a420202);
	}
	return l;
}

/* What the data path writes for the SYN of that. */
static void leave(bool v6, __u32 listener, __u64 age)
{
	struct pol_proxy_again a = { .at_ns = now() - age, .listener = listener };
	struct pol_proxy_key k = { .sport_be = htons(40001), .dport_be = htons(80) };
	struct bpf_sk_lookup l = lookup(v6);

	if (v6) {
		memcpy(&k.src, l.remote_ip6, 16);
		memcpy(&k.dst, l.local_ip6, 16);
	} else {
		k.src.w_be[2] = k.dst.w_be[2] = htonl(0xffff);
		k.src.w_be[3] = l.remote_ip4;
		k.dst.w_be[3] = l.local_ip4;
	}
	if (bpf_map_update_elem(again, &k, &a, BPF_ANY))
		perror("# proxy_again");
	left_at = a.at_ns;
}

/* Was what has been asked since the last leave() asked while that held?  A machine may stand still in between. */
static bool in_time(void)
{
	return now() - left_at < POL_AGAIN_NS;
}

/* 0: the look-up goes on as without us. */
static __u64 ask(struct bpf_sk_lookup l)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = &l, .ctx_size_in = sizeof(l), .ctx_out = &l,
		    .ctx_size_out = sizeof(l));

	if (bpf_prog_test_run_opts(prog, &o) || o.retval != SK_PASS)
		return ~0ull;
	return l.cookie;
}

static void others(bool v6)
{
	struct bpf_sk_lookup l;
	__u64 got;

	leave(v6, 2 + v6, 0);
	l = lookup(v6);
	l.remote_port = htons(40002);
	is("a leave is none for another port of the client", 0, ask(l));
	l = lookup(v6);
	l.local_port = 8080;
	is("nor for another port of the server", 0, ask(l));
	l = lookup(v6);
	(v6 ? l.remote_ip6 : &l.remote_ip4)[v6 ? 3 : 0] ^= htonl(1);
	is("nor for another client", 0, ask(l));
	l = lookup(v6);
	(v6 ? l.local_ip6 : &l.local_ip4)[v6 ? 3 : 0] ^= htonl(1);
	is("nor for another server", 0, ask(l));
	l = lookup(v6);
	l.protocol = IPPROTO_UDP;
	is("nor for UDP", 0, ask(l));
	is("nor for the other family", 0, ask(lookup(!v6)));
	do {
		leave(v6, 2 + v6, 0);
		got = ask(lookup(v6));
	} while (!in_time());
	is("whose it is gets the listener", cookie[v6], got);
	is("once", 0, ask(lookup(v6)));
}

static void both(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		printf("# IPv%d\n", v6 ? 6 : 4);
		is("nobody has a leave: the look-up goes on as without us", 0, ask(lookup(v6)));
		others(v6);
		leave(v6, 2 + v6, 2 * SECOND);
		is("a leave of two seconds ago is none", 0, ask(lookup(v6)));
		leave(v6, 4 + v6, 0);
		is("without a listener there: as without us", 0, ask(lookup(v6)));
		leave(v6, POL_AGAIN_LISTENERS, 0);
		is("beyond the listeners: as without us", 0, ask(lookup(v6)));
		leave(v6, 3 - v6, 0);
		is("one of the other family: as without us", 0, ask(lookup(v6)));
	}
}

static int load(const char *path)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *p;

	if (!o)
		return -errno;
	bpf_object__for_each_program(p, o)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), POL_PROG_LISTENER));
	if (bpf_object__load(o))
		return -errno;
	prog = bpf_program__fd(bpf_object__find_program_by_name(o, POL_PROG_LISTENER));
	again = bpf_object__find_map_fd_by_name(o, POL_MAP_PROXY_AGAIN);
	listeners = bpf_object__find_map_fd_by_name(o, POL_MAP_PROXY_LISTENERS);
	return prog < 0 || again < 0 || listeners < 0 ? -ENOENT : 0;
}

static int listen_at(bool v6)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f000001) } };
	socklen_t n = sizeof(cookie[v6]);
	__u32 place = 2 + v6;
	__u64 value;

	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (fd < 0 || bind(fd, v6 ? (void *)&at6 : (void *)&at, v6 ? sizeof(at6) : sizeof(at)) ||
	    listen(fd, 1) || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie[v6], &n))
		return -errno;
	value = (__u64)fd;
	return bpf_map_update_elem(listeners, &place, &value, BPF_ANY) ? -errno : 0;
}

int main(void)
{
	const char *build = getenv("top_builddir");
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/tests/packet/fixture.bpf.o", build ? build : ".");
	r = load(path);
	if (r == -EPERM) {
		puts("1..0 # SKIP loading BPF needs root");
		return 77;
	}
	r = r ? r : listen_at(false);
	r = r ? r : listen_at(true);
	if (r) {
		printf("Bail out! %s: %s\n", path, strerror(-r));
		return 99;
	}
	both();
	printf("1..%u\n", tests);
	return failures != 0;
}
