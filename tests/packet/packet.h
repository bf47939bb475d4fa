/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets from words.  A layer word starts a layer, key=value words say how it
 * differs from the obvious; lengths, next protocols and checksums follow by
 * themselves unless given.
 *
 *	eth [src= dst= type=]   vlan[=ID] qinq[=ID]
 *	ipv4 src= dst= [ttl= id= frag=OFFSET[+] df=1 tos= opts=HEX len= ver= ihl=]
 *	ipv6 src= dst= [hlim= len= ver= next= tc=]
 *	hbh dopt rh ah frag6 [off=OFFSET[+] id= next= size=]   ext=NUMBER
 *	tcp sport= dport= [flags=SAFRPU seq= ack= doff= opts=HEX]   udp sport= dport= [len= sum=0]
 *	sctp sport= dport=   icmp [type= code= id= mtu=]   icmp6 [type= code= id= mtu= target=]
 *	arp [op= sha= spa= tha= tpa= htype= plen=]
 *	proto=NUMBER   payload=BYTES   hex=BYTES
 *
 * ipv4 or ipv6 behind icmp or icmp6 is what an error quotes, behind another one what a tunnel
 * carries.  cut=N ends the frame after N bytes; pad=N appends zeros behind what the lengths say.
 */
#ifndef POL_PACKET_H
#define POL_PACKET_H

#include <stddef.h>

#define PACKET_MAX 4096

struct packet {
	unsigned char data[PACKET_MAX];
	size_t len;
};

struct packet_hint {		/* MACs where eth says none */
	unsigned char src[6], dst[6];
};

/* 0, or -1 with a message in err (of 128 bytes). */
int packet_build(const char *text, const struct packet_hint *hint, struct packet *p, char *err);

int packet_mac(const char *text, unsigned char mac[6]);

#endif
