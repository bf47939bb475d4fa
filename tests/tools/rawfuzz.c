// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that no honest host would send, and who got them.
 *
 *	rawfuzz send DEVICE SEED COUNT OWN_MAC PEER_MAC GATEWAY_MAC OWN4 PEER4 GATEWAY4 OWN6 PEER6 GATEWAY6
 *	rawfuzz sniff DEVICE SECONDS OWN_MAC OWN4 OWN6
 *
 * Every frame carries a mark in its payload.  The sender's last one, which it sends again until it is killed, is
 * to the peer's UDP port 53, which the policy must allow; the sniffer ends with it, and prints how
 * many marked frames came, "allowed N leaked M", and each leaked one in hex.  What may come without a
 * rule is ARP, neighbour discovery and group membership that speak of the sender's own addresses.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK "polcfuzz"
#define LAST "polclast"

enum { OWN, PEER, GATEWAY, ENDS };

struct ends {
	uint8_t mac[ENDS][6], v4[ENDS][4], v6[ENDS][16];
};

struct frame {
	uint8_t data[1400];
	size_t len;
};

static uint64_t state;

static uint32_t pick(uint32_t n) /* below n */
{
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static int chance(uint32_t percent)
{
	return pick(100) < percent;
}

static void add(struct frame *f, const void *p, size_t n)
{
	memcpy(f->data + f->len, p, n);
	f->len += n;
}

static void byte(struct frame *f, unsigned v)
{
	f->data[f->len++] = (uint8_t)v;
}

static void word(struct frame *f, unsigned v)
{
	byte(f, v >> 8);
	byte(f, v);
}

static void noise(struct frame *f, size_t n)
{
	while (n--)
		byte(f, pick(256));
}

static void payload(struct frame *f)
{
	for (int i = 0; i < 4; i++)
		add(f, MARK, 8);
}

static void mac(struct frame *f, const struct ends *e, int own)
{
	static const uint8_t group[3][6] = {
		{ 255, 255, 255, 255, 255, 255 },
		{ 1, 0, 0x5e, 0, 0, 1 },
		{ 0x33, 0x33, 0, 0, 0, 1 },
	};

	if (chance(own ? 80 : 5))
		add(f, e->mac[OWN], 6);
	else if (chance(20))
		add(f, group[pick(3)], 6);
	else if (chance(90))
		add(f, e->mac[1 + pick(2)], 6);
	else
		noise(f, 6);
}

static void address4(struct frame *f, const struct ends *e, int own)
{
	static const uint8_t odd[][4] = {
		{ 0 },
		{ 127, 0, 0, 1 },
		{ 255, 255, 255, 255 },
		{ 224, 0, 0, 1 },
		{ 224, 0, 0, 22 },
	};

	if (chance(own ? 70 : 5))
		add(f, e->v4[OWN], 4);
	else if (chance(75))
		add(f, e->v4[chance(80) ? PEER : GATEWAY], 4);
	else if (chance(80))
		add(f, odd[pick(5)], 4);
	else
		noise(f, 4);
}

static void address6(struct frame *f, const struct ends *e, int own)
{
	static const uint8_t odd[][16] = {
		{ 0 },
		{ [15] = 1 },
		{ 0xff, 2, [15] = 1 },
		{ 0xff, 2, [15] = 0x16 },
		{ 0xfe, 0x80, [15] = 1 },
		{ [10] = 0xff, 0xff, 127, 0, 0, 1 },
	};

	if (chance(own ? 70 : 5))
		add(f, e->v6[OWN], 16);
	else if (chance(75))
		add(f, e->v6[chance(80) ? PEER : GATEWAY], 16);
	else if (chance(80))
		add(f, odd[pick(6)], 16);
	else
		noise(f, 16);
}

static void transport(struct frame *f, const struct ends *e, unsigned proto, int v6)
{
	static const uint16_t port[] = { 54, 67, 68, 80, 546, 547, 5353, 7000 };
	static const uint8_t icmp[] = { 0, 3, 5, 8, 9, 11, 12, 13, 40 };
	static const uint8_t icmp6[] = { 1,   2,   3,   4,   128, 129, 130,
					 131, 133, 134, 135, 136, 137, 143 };

	switch (proto) {
	case 6:
	case 132:
		word(f, port[pick(8)]);
		word(f, port[pick(8)]);
		noise(f, 8);
		byte(f, chance(90) ? 0x50 : pick(256));
		byte(f, chance(60) ? 0x02 : pick(256));
		noise(f, 6);
		break;
	case 17:
		word(f, port[pick(8)]);
		word(f, port[pick(8)]);
		word(f, chance(90) ? 8 + 32 : pick(65536));
		word(f, 0);
		break;
	case 1:
	case 58:
		byte(f, proto == 58 ? icmp6[pick(14)] : icmp[pick(9)]);
		byte(f, chance(80) ? 0 : pick(8));
		noise(f, 6);
		if (chance(50))
			add(f, v6 ? e->v6[pick(ENDS)] : e->v4[pick(ENDS)], v6 ? 16 : 4);
		break;
	default:
		noise(f, pick(24));
	}
}

static unsigned protocol(void)
{
	static const uint8_t known[] = { 6, 17, 17, 1, 58, 2, 4, 41, 47, 132, 50, 51 };

	return chance(95) ? known[pick(12)] : pick(256);
}

static void ipv4(struct frame *f, const struct ends *e)
{
	size_t at = f->len;
	unsigned proto = protocol(), options = chance(10) ? 4 * pick(11) : 0, len;
	uint32_t sum = 0;

	byte(f, (chance(98) ? 0x40 : pick(256) & 0xf0) | (5 + options / 4));
	byte(f, 0);
	word(f, 0);
	word(f, pick(8));
	word(f, chance(80)   ? 0
		: chance(50) ? 0x2000
		: chance(30) ? 1 + pick(3)
			     : pick(65536) & 0x3fff);
	byte(f, chance(90) ? 64 : pick(256));
	byte(f, proto);
	word(f, 0);
	address4(f, e, 1);
	address4(f, e, 0);
	noise(f, options);
	transport(f, e, proto, 0);
	payload(f);
	len = chance(95) ? (unsigned)(f->len - at) : pick(65536);
	f->data[at + 2] = (uint8_t)(len >> 8), f->data[at + 3] = (uint8_t)len;
	for (size_t i = at; i < at + 20 + options; i += 2)
		sum += (uint32_t)f->data[i] << 8 | f->data[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f->data[at + 10] = (uint8_t)(sum >> 8), f->data[at + 11] = (uint8_t)sum;
}

static void ipv6(struct frame *f, const struct ends *e)
{
	static const uint8_t kinds[] = { 0, 60, 44, 43, 51, 135 };
	unsigned proto = protocol(), n = chance(30) ? 1 + pick(4) : 0, len;
	size_t at = f->len, next;

	byte(f, 0x60);
	noise(f, 3);
	word(f, 0);
	next = f->len;
	byte(f, 0);
	byte(f, chance(50) ? 255 : chance(50) ? 64 : 1);
	address6(f, e, 1);
	address6(f, e, 0);
	for (; n; n--) {
		f->data[next] = kinds[pick(6)];
		next = f->len;
		noise(f, 1);
		byte(f, 0);
		word(f, chance(60) ? 0 : pick(65536));
		noise(f, 4);
	}
	f->data[next] = (uint8_t)proto;
	transport(f, e, proto, 1);
	payload(f);
	len = chance(95) ? (unsigned)(f->len - at - 40) : pick(65536);
	f->data[at + 4] = (uint8_t)(len >> 8), f->data[at + 5] = (uint8_t)len;
}

static void arp(struct frame *f, const struct ends *e)
{
	word(f, 1);
	word(f, 0x0800);
	byte(f, 6);
	byte(f, 4);
	word(f, chance(90) ? 1 + pick(2) : pick(65536));
	add(f, e->mac[chance(70) ? OWN : pick(ENDS)], 6);
	add(f, e->v4[chance(50) ? OWN : pick(ENDS)], 4);
	add(f, e->mac[pick(ENDS)], 6);
	add(f, e->v4[pick(ENDS)], 4);
	payload(f);
}

static void make(struct frame *f, const struct ends *e)
{
	unsigned kind = pick(100);

	f->len = 0;
	mac(f, e, 0);
	mac(f, e, 1);
	for (unsigned tags = chance(8) ? 1 + pick(2) : 0; tags; tags--) {
		word(f, chance(50) ? 0x8100 : 0x88a8);
		word(f, pick(4096));
	}
	if (kind < 45) {
		word(f, chance(99) ? 0x0800 : 0x86dd);
		ipv4(f, e);
	} else if (kind < 85) {
		word(f, chance(99) ? 0x86dd : 0x0800);
		ipv6(f, e);
	} else if (kind < 95) {
		word(f, 0x0806);
		arp(f, e);
	} else {
		word(f, chance(50) ? 0x8847 : pick(65536));
		noise(f, pick(40));
		payload(f);
	}
	if (chance(5))
		f->data[14 + pick((uint32_t)f->len - 14)] ^= (uint8_t)(1 << pick(8));
}

/* What the policy allows: from own to peer, UDP 53. */
static void make_last(struct frame *f, const struct ends *e)
{
	static const uint8_t head[] = { 0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0, 0 };
	uint32_t sum = 0;

	f->len = 0;
	add(f, e->mac[GATEWAY], 6);
	add(f, e->mac[OWN], 6);
	word(f, 0x0800);
	add(f, head, sizeof(head));
	add(f, e->v4[OWN], 4);
	add(f, e->v4[PEER], 4);
	for (size_t i = 14; i < 34; i += 2)
		sum += (uint32_t)f->data[i] << 8 | f->data[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f->data[24] = (uint8_t)(sum >> 8), f->data[25] = (uint8_t)sum;
	word(f, 1000);
	word(f, 53);
	word(f, 16);
	word(f, 0);
	add(f, LAST, 8);
}

static int open_socket(const char *device, struct sockaddr_ll *at)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(0x0003));

	*at = (struct sockaddr_ll){ .sll_family = AF_PACKET,
				    .sll_protocol = htons(0x0003),
				    .sll_ifindex = (int)if_nametoindex(device) };
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at))) {
		perror(device);
		exit(2);
	}
	return fd;
}

static void read_mac(const char *text, uint8_t out[6])
{
	unsigned b[6] = { 0 };

	sscanf(text, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]);
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)b[i];
}

static _Noreturn void do_send(char **a)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	struct sockaddr_ll at;
	struct ends e;
	struct frame f;
	int fd = open_socket(a[0], &at);

	state = strtoull(a[1], NULL, 0) | 1ull << 40;
	for (int i = 0; i < ENDS; i++) {
		read_mac(a[3 + i], e.mac[i]);
		inet_pton(AF_INET, a[6 + i], e.v4[i]);
		inet_pton(AF_INET6, a[9 + i], e.v6[i]);
	}
	for (unsigned n = (unsigned)strtoul(a[2], NULL, 0); n; n--) {
		make(&f, &e);
		/* a refusal of the kernel's is as good as a drop */
		send(fd, f.data, f.len, 0);
	}
	make_last(&f, &e);
	for (;;) {
		send(fd, f.data, f.len, 0);
		nanosleep(&pause, NULL);
	}
}

/* May this marked frame come without a rule? */
static int harmless(const uint8_t *d, size_t n, const struct ends *e)
{
	unsigned type = d[12] << 8 | d[13];
	const uint8_t *t;

	if (type == 0x0806)
		return n >= 42 && !memcmp(d + 22, e->mac[OWN], 6) &&
		       (!memcmp(d + 28, e->v4[OWN], 4) ||
			(d[21] == 1 && !memcmp(d + 28, "\0\0\0\0", 4)));
	if (type == 0x0800) /* IGMP to a group */
		return n >= 34 && d[23] == 2 && (d[30] >> 4 == 14 || d[30] == 255);
	if (type != 0x86dd || n < 62)
		return 0;
	t = d + 54 + (d[20] == 0 ? 8 * (d[55] + 1) : 0);
	if (t >= d + n || (d[20] == 0 ? d[54] : d[20]) != 58)
		return 0;
	if (*t == 135 || *t == 136)
		return d[21] == 255 && (!memcmp(d + 22, e->v6[OWN], 16) || d[22] == 0xfe ||
					!memcmp(d + 22, e->v6[ENDS - 1], 16));
	return (*t == 131 || *t == 132 || *t == 143 || *t == 130) && d[21] == 1;
}

static int do_sniff(char **a)
{
	unsigned long allowed = 0, leaked = 0;
	struct sockaddr_ll at;
	struct ends e = { 0 };
	uint8_t d[4096];
	int fd = open_socket(a[0], &at), last = 0, size = 1 << 24;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	alarm((unsigned)strtoul(a[1], NULL, 0));
	read_mac(a[2], e.mac[OWN]);
	inet_pton(AF_INET, a[3], e.v4[OWN]);
	inet_pton(AF_INET6, a[4], e.v6[OWN]);
	while (!last) {
		socklen_t len = sizeof(at);
		ssize_t n = recvfrom(fd, d, sizeof(d), 0, (struct sockaddr *)&at, &len);

		if (n < 14 || at.sll_pkttype == PACKET_OUTGOING)
			continue;
		last = memmem(d, (size_t)n, LAST, 8) != NULL;
		if (!memmem(d, (size_t)n, MARK, 8))
			continue;
		if (harmless(d, (size_t)n, &e)) {
			allowed++;
			continue;
		}
		leaked++;
		for (ssize_t i = 0; i < n && leaked < 20; i++)
			printf("%02x%s", d[i], i + 1 == n ? "\n" : "");
	}
	printf("allowed %lu leaked %lu\n", allowed, leaked);
	return leaked != 0;
}

int main(int argc, char **argv)
{
	if (argc == 14 && !strcmp(argv[1], "send"))
		do_send(argv + 2);
	if (argc == 7 && !strcmp(argv[1], "sniff"))
		return do_sniff(argv + 2);
	fprintf(stderr, "usage: %s send DEVICE SEED COUNT MACS... | sniff DEVICE SECONDS ...\n",
		argv[0]);
	return 2;
}
