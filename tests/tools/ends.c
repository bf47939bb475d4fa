/* SPDX-License-Identifier: GPL-2.0-only */
#include "ends.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

in_port_t end_port;

socklen_t end_address(const char *a, const char *port, struct sockaddr_storage *s)
{
	struct sockaddr_in *v4 = (void *)s;
	struct sockaddr_in6 *v6 = (void *)s;

	memset(s, 0, sizeof(*s));
	if (inet_pton(AF_INET, a, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, a, &v6->sin6_addr) != 1)
		exit(99);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	return sizeof(*v6);
}

static void at_once(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int from_port(int fd, sa_family_t family)
{
	struct sockaddr_in6 any = { .sin6_family = family, .sin6_port = htons(end_port) };
	socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(any);

	/* the port stands in the same place in both */
	return end_port ? bind(fd, (void *)&any, n) : 0;
}

int end_dial(const char *a, const char *port)
{
	return end_dial_within(a, port, 0);
}

int end_dial_within(const char *a, const char *port, unsigned ms)
{
	const struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct sockaddr_storage to;
	socklen_t n = end_address(a, port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), why;

	if (fd < 0)
		return -1;
	at_once(fd);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!from_port(fd, to.ss_family) && !connect(fd, (void *)&to, n))
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

int end_listen(const char *a, const char *port, int flags)
{
	struct sockaddr_storage at;
	socklen_t n = end_address(a, port, &at);
	int one = 1, fd = socket(at.ss_family, SOCK_STREAM | flags, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (void *)&at, n) || listen(fd, 4096)) {
		perror("listen");
		exit(99);
	}
	puts("listening");
	fflush(stdout);
	return fd;
}

int end_accept(int listener, int flags, char peer[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	int fd = accept4(listener, (void *)&from, &n, flags);

	if (fd < 0)
		return -1;
	at_once(fd);
	if (peer)
		end_name(&from, peer);
	return fd;
}

void end_name(const struct sockaddr_storage *s, char out[INET6_ADDRSTRLEN])
{
	inet_ntop(s->ss_family,
		  s->ss_family == AF_INET
			  ? (const void *)&((const struct sockaddr_in *)s)->sin_addr
			  : (const void *)&((const struct sockaddr_in6 *)s)->sin6_addr,
		  out, INET6_ADDRSTRLEN);
}

void end_more_files(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}
