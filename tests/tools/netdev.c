/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of tunnels and of XDP over veth need of a network device.
 *
 *	netdev sums DEVICE on|off	whether checksums are left to the device; off: the stack completes them
 *	netdev seen DEVICE ADDRESS	how many packets to ADDRESS, bare or in a tunnel, came in there that
 *					the stack was given; says "ready", runs until SIGTERM
 *	netdev tunnel DEVICE		the far end of IPIP and IP6IP6 in all four mixes, as the kernel's own
 *					devices are where it has them: what comes unwrapped comes in by the TUN
 *					DEVICE, which this makes; says "ready", runs until killed
 *
 *	netdev wrap FROM TO CLIENT VIP PORT	one SYN to VIP in an IPIP packet, as a balancer would send it
 *
 * Nothing in it is shared with the data path: it is a second opinion about what a tunnel carries.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "netdev: %s: %s\n", what, strerror(errno));
	return 1;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static int sums(const char *device, bool on)
{
	struct ethtool_value v = { .cmd = ETHTOOL_STXCSUM, .data = on };
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	r.ifr_data = (void *)&v;
	return fd < 0 || ioctl(fd, SIOCETHTOOL, &r) ? fail(device) : 0;
}

/* ---- seen ------------------------------------------------------------------------ */

/* Where the packet in it begins, if it is a tunnel's; else 0. */
static size_t inner(const uint8_t *b, size_t n)
{
	if (n >= 20 && b[0] >> 4 == 4 && (b[9] == IPPROTO_IPIP || b[9] == IPPROTO_IPV6))
		return (size_t)(b[0] & 15) * 4;
	if (n >= 40 && b[0] >> 4 == 6 && (b[6] == IPPROTO_IPIP || b[6] == IPPROTO_IPV6))
		return 40;
	return 0;
}

static bool is_to(const uint8_t *b, size_t n, int family, const uint8_t *addr)
{
	size_t in = inner(b, n);

	if (in && in < n && is_to(b + in, n - in, family, addr))
		return true;
	if (family == AF_INET)
		return n >= 20 && b[0] >> 4 == 4 && !memcmp(b + 16, addr, 4);
	return n >= 40 && b[0] >> 4 == 6 && !memcmp(b + 24, addr, 16);
}

static int seen(const char *device, const char *address)
{
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(device) };
	struct sigaction act = { .sa_handler = stop };
	uint8_t addr[16], b[128];
	unsigned long count = 0;
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0);

	if (inet_pton(family, address, addr) != 1 || !at.sll_ifindex || fd < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return fail(device);
	sigaction(SIGTERM, &act, NULL);
	ready();
	for (;;) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, b, sizeof(b), stopped ? MSG_DONTWAIT : 0,
				     (struct sockaddr *)&from, &len);

		if (n < 0 && stopped)
			break;
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING &&
		    is_to(b, (size_t)n, family, addr))
			count++;
	}
	printf("%lu\n", count);
	return 0;
}

/* ---- tunnel ---------------------------------------------------------------------- */

static int open_tun(const char *device)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR), s = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	if (fd < 0 || s < 0 || ioctl(fd, TUNSETIFF, &r) || ioctl(s, SIOCGIFFLAGS, &r))
		return -1;
	r.ifr_flags |= IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &r))
		return -1;
	close(s);
	return fd;
}

static uint32_t sum16(const uint8_t *b, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * A packet that no hardware has sent can have the sum of its pseudo header alone, which a raw socket does
 * not say: what a device would have added is added here.
 */
static void complete(uint8_t *b, size_t n)
{
	bool v6 = b[0] >> 4 == 6;
	size_t l4 = v6 ? 40 : (size_t)(b[0] & 15) * 4, at;
	uint8_t proto = b[v6 ? 6 : 9], addrs = v6 ? 8 : 12, len = v6 ? 32 : 8;
	uint32_t sum;

	if (n < l4 + 8 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return;
	at = l4 + (proto == IPPROTO_TCP ? 16 : 6);
	sum = sum16(b + addrs, len, (uint32_t)(n - l4) + proto);
	if (at + 2 > n || ((uint32_t)b[at] << 8 | b[at + 1]) != sum)
		return;
	sum = ~sum16(b + l4, n - l4, 0) & 0xffff;
	b[at] = (uint8_t)(sum >> 8);
	b[at + 1] = (uint8_t)sum;
}

static int tunnel(const char *device)
{
	static const struct {
		int family, protocol;
	} outer[] = {
		{ AF_INET, IPPROTO_IPIP },
		{ AF_INET, IPPROTO_IPV6 },
		{ AF_INET6, IPPROTO_IPIP },
		{ AF_INET6, IPPROTO_IPV6 },
	};
	static uint8_t b[65536];
	struct pollfd p[4];
	int tun = open_tun(device);

	if (tun < 0)
		return fail("TUN");
	for (int i = 0; i < 4; i++) {
		p[i].fd = socket(outer[i].family, SOCK_RAW, outer[i].protocol);
		p[i].events = POLLIN;
		if (p[i].fd < 0)
			return fail("a raw socket");
	}
	ready();
	for (;;) {
		if (poll(p, 4, -1) < 0)
			return fail("poll");
		for (int i = 0; i < 4; i++) {
			ssize_t n = p[i].revents & POLLIN ? recv(p[i].fd, b, sizeof(b), 0) : 0;
			/* a raw socket of IPv4 gives the outer header too, one of IPv6 does not */
			size_t skip = outer[i].family == AF_INET ? (size_t)(b[0] & 15) * 4 : 0;

			if (n < (ssize_t)skip + 20)
				continue;
			complete(b + skip, (size_t)n - skip);
			if (write(tun, b + skip, (size_t)n - skip) < 0)
				fprintf(stderr, "netdev: a packet the kernel does not take\n");
		}
	}
}

static int wrap(char **arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = to;
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} p = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP },
		.tcp = { .source = htons(40000), .doff = 5, .syn = 1, .window = htons(1024) } };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_IPIP);

	if (inet_pton(AF_INET, arg[0], &from.sin_addr) != 1 ||
	    inet_pton(AF_INET, arg[1], &to.sin_addr) != 1 ||
	    inet_pton(AF_INET, arg[2], &p.ip.saddr) != 1 ||
	    inet_pton(AF_INET, arg[3], &p.ip.daddr) != 1)
		return fail("an address");
	p.tcp.dest = htons((uint16_t)atoi(arg[4]));
	p.ip.tot_len = htons(sizeof(p));
	p.ip.check = htons((uint16_t)~sum16((uint8_t *)&p.ip, sizeof(p.ip), 0));
	p.tcp.check = htons((uint16_t)~sum16((uint8_t *)&p.ip.saddr, 8,
					     sum16((uint8_t *)&p.tcp, sizeof(p.tcp),
						   IPPROTO_TCP + sizeof(p.tcp))));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    sendto(fd, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail(arg[1]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "sums"))
		return sums(argv[2], !strcmp(argv[3], "on"));
	if (argc == 4 && !strcmp(argv[1], "seen"))
		return seen(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "tunnel"))
		return tunnel(argv[2]);
	if (argc == 7 && !strcmp(argv[1], "wrap"))
		return wrap(argv + 2);
	fputs("usage: netdev sums DEVICE on|off | seen DEVICE ADDRESS | tunnel DEVICE | wrap FROM TO CLIENT VIP PORT\n",
	      stderr);
	return 2;
}
