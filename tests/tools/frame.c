/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sends IPv4 frames of one kind by a packet socket, as a container could.
 *
 *	frame DEVICE TO-MAC SOURCE DESTINATION PORT KIND COUNT [RATE]
 *
 * KIND: udp, syn; fragment: a later one whose first never was; truncated: ends inside of its TCP
 * header.  RATE: a second; as fast as it can without one.  With `spread` before KIND the source ports
 * differ from frame to frame.  Prints how many were sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

struct frame {
	struct mac_header {
		uint8_t to[6], from[6];
		uint16_t type;
	} __attribute__((packed)) eth;
	struct iphdr ip;
	uint8_t l4[40];
} __attribute__((packed));

static uint16_t sum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t s = 0;

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

/* The length of the frame; 0: no such kind. */
static size_t build(struct frame *f, const char *kind, uint16_t port)
{
	struct tcphdr tcp = { .source = htons(40000),
			      .dest = htons(port),
			      .doff = 5,
			      .syn = 1,
			      .window = htons(1024) };
	struct udphdr udp = { .source = htons(40000), .dest = htons(port), .len = htons(16) };
	size_t l4 = 20;

	f->ip.protocol = IPPROTO_TCP;
	memcpy(f->l4, &tcp, sizeof(tcp));
	if (!strcmp(kind, "udp") || !strcmp(kind, "fragment")) {
		f->ip.protocol = IPPROTO_UDP;
		memcpy(f->l4, &udp, sizeof(udp));
		l4 = 16;
		if (kind[0] == 'f')
			f->ip.frag_off = htons(185); /* 1480 bytes in */
	} else if (!strcmp(kind, "truncated")) {
		l4 = 12;
	} else if (strcmp(kind, "syn")) {
		return 0;
	}
	f->ip.tot_len = htons((uint16_t)(sizeof(f->ip) + l4));
	f->ip.check = sum(&f->ip, sizeof(f->ip));
	return sizeof(f->eth) + sizeof(f->ip) + l4;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* With a rate: not before its time. */
static void pace(uint64_t began, unsigned long sent, unsigned long rate)
{
	uint64_t due = rate ? began + sent * 1000000000ull / rate : 0, now = now_ns();

	if (due > now)
		nanosleep(&(struct timespec){ .tv_sec = (time_t)((due - now) / 1000000000u),
					      .tv_nsec = (long)((due - now) % 1000000000u) },
			  NULL);
}

static unsigned long send_all(int fd, const struct sockaddr_ll *to, const struct frame *f, size_t n,
			      unsigned long count, unsigned long rate, bool spread)
{
	static struct frame copy[BATCH];
	struct iovec v[BATCH];
	struct mmsghdr m[BATCH];
	uint64_t began = now_ns();
	unsigned long sent = 0;

	for (size_t i = 0; i < BATCH; i++) {
		copy[i] = *f;
		v[i] = (struct iovec){ &copy[i], n };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &v[i],
						      .msg_iovlen = 1,
						      .msg_name = (void *)to,
						      .msg_namelen = sizeof(*to) } };
	}
	while (sent < count) {
		unsigned long left = count - sent;
		unsigned batch = left < BATCH ? (unsigned)left : BATCH;
		int done;

		for (unsigned i = 0; i < batch && spread; i++) {
			uint16_t port = htons((uint16_t)(1024 + (sent + i) % 60000));

			memcpy(copy[i].l4, &port, sizeof(port));
		}
		done = sendmmsg(fd, m, batch, 0);
		if (done < 0 && (errno == ENOBUFS || errno == EAGAIN || errno == EINTR))
			continue;
		if (done < 0)
			break;
		sent += (unsigned long)done;
		pace(began, sent, rate);
	}
	return sent;
}

int main(int argc, char **argv)
{
	bool spread = argc > 6 && !strcmp(argv[6], "spread");
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	struct frame f = { .ip = { .version = 4, .ihl = 5, .ttl = 64 } };
	struct ifreq r = { 0 };
	unsigned long count, rate, sent;
	unsigned mac[6];
	size_t n;
	int fd;

	if (spread)
		memmove(&argv[6], &argv[7], (size_t)(argc-- - 6) * sizeof(*argv));
	if (argc < 8 || argc > 9 ||
	    sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6 ||
	    inet_pton(AF_INET, argv[3], &f.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[4], &f.ip.daddr) != 1)
		return fputs("usage: frame DEVICE TO-MAC SOURCE DESTINATION PORT [spread] KIND COUNT [RATE]\n",
			     stderr),
		       2;
	count = strtoul(argv[7], NULL, 10);
	rate = argc > 8 ? strtoul(argv[8], NULL, 10) : 0;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", argv[1]);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r))
		return perror("frame"), 2;
	f.eth.type = htons(ETHERTYPE_IP);
	memcpy(f.eth.from, r.ifr_hwaddr.sa_data, 6);
	for (int i = 0; i < 6; i++)
		f.eth.to[i] = to.sll_addr[i] = (uint8_t)mac[i];
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	to.sll_protocol = htons(ETHERTYPE_IP);
	n = build(&f, argv[6], (uint16_t)strtoul(argv[5], NULL, 10));
	if (!n)
		return fputs("frame: no such kind\n", stderr), 2;
	sent = send_all(fd, &to, &f, n, count, rate, spread);
	printf("%lu\n", sent);
	close(fd);
	return sent == count ? 0 : 1;
}
