/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the IPv4 and IPv6 packets to a TCP or UDP port that come in by a device.
 *
 *	sniff DEVICE PORT FILE
 *
 * FILE has the number from the beginning on, rewritten in place with each packet; runs until killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the ports are; 0: there are none. */
static size_t l4(const uint8_t *p, size_t n, uint16_t type)
{
	size_t at = type == ETH_P_IP ? (size_t)(p[0] & 15) * 4 : 40;
	uint8_t proto = type == ETH_P_IP ? p[9] : p[6];

	return at + 4 <= n && (proto == IPPROTO_TCP || proto == IPPROTO_UDP) ? at : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll from, at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int s = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL)), fd;
	unsigned long count = 0;
	uint8_t p[128];
	char text[24];

	if (argc != 4 || s < 0 || !(at.sll_ifindex = (int)if_nametoindex(argv[1])) ||
	    bind(s, (void *)&at, sizeof(at)) ||
	    (fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644)) < 0)
		return 4;
	for (;;) {
		socklen_t len = sizeof(from);
		int digits = snprintf(text, sizeof(text), "%lu\n", count);
		ssize_t n;
		size_t ports;
		uint16_t type;

		if (pwrite(fd, text, (size_t)digits, 0) != digits)
			return 4;
		do {
			len = sizeof(from);
			n = recvfrom(s, p, sizeof(p), 0, (void *)&from, &len);
			type = ntohs(from.sll_protocol);
			ports = n >= 40 && from.sll_pkttype != PACKET_OUTGOING &&
						(type == ETH_P_IP || type == ETH_P_IPV6)
					? l4(p, (size_t)n, type)
					: 0;
		} while (!ports || (p[ports + 2] << 8 | p[ports + 3]) != atoi(argv[2]));
		count++;
	}
}
