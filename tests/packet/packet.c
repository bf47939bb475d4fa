// SPDX-License-Identifier: GPL-2.0-only
#include "packet.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAYERS 24
#define MAX_KEYS 12

struct layer {
	char *kind, *value;
	int nkeys;
	char *key[MAX_KEYS], *val[MAX_KEYS];
};

struct ip { /* for pseudo headers */
	int v6;
	unsigned char src[16], dst[16];
};

struct build {
	struct layer layer[MAX_LAYERS];
	int nlayers;
	const struct packet_hint *hint;
	char *err;
};

static const char *const kinds[] = {
	"eth", "vlan", "qinq", "ipv4", "ipv6", "hbh",   "dopt", "rh",    "ah",      "frag6",
	"ext", "tcp",  "udp",  "sctp", "icmp", "icmp6", "arp",  "proto", "payload", "hex",
};

static int is_kind(const char *w)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(w, kinds[i]))
			return 1;
	return 0;
}

static const char *get(const struct layer *l, const char *key)
{
	for (int i = 0; i < l->nkeys; i++)
		if (!strcmp(l->key[i], key))
			return l->val[i];
	return NULL;
}

static unsigned long num(const struct layer *l, const char *key, unsigned long otherwise)
{
	const char *v = get(l, key);

	return v ? strtoul(v, NULL, 0) : otherwise;
}

static void put16(unsigned char *p, unsigned v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(unsigned char *p, unsigned long v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static size_t hex(const char *text, unsigned char *out)
{
	size_t n = 0;
	unsigned byte;

	while (text && sscanf(text, "%2x", &byte) == 1) {
		out[n++] = byte;
		text += 2;
	}
	return n;
}

int packet_mac(const char *text, unsigned char mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3,
		      mac + 4, mac + 5) == 6
		       ? 0
		       : -1;
}

static uint32_t sum(const unsigned char *p, size_t n, uint32_t s)
{
	for (; n > 1; p += 2, n -= 2)
		s += p[0] << 8 | p[1];
	return n ? s + (p[0] << 8) : s;
}

static unsigned fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static uint32_t pseudo(const struct ip *ip, unsigned proto, size_t len)
{
	size_t n = ip->v6 ? 16 : 4;

	return sum(ip->src, n, sum(ip->dst, n, proto + len));
}

static unsigned protocol(const struct layer *l)
{
	static const struct {
		const char *kind;
		unsigned number;
	} known[] = {
		{ "hbh", 0 },    { "dopt", 60 },  { "rh", 43 },  { "ah", 51 },
		{ "frag6", 44 }, { "tcp", 6 },    { "udp", 17 }, { "sctp", 132 },
		{ "icmp", 1 },   { "icmp6", 58 }, { "ipv4", 4 }, { "ipv6", 41 },
	};

	if (!l)
		return 59;
	if (!strcmp(l->kind, "proto") || !strcmp(l->kind, "ext"))
		return strtoul(l->value, NULL, 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(l->kind, known[i].kind))
			return known[i].number;
	return 59;
}

static size_t emit(struct build *b, int i, unsigned char *out, struct ip *ip);

static size_t emit_eth(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	struct layer *l = &b->layer[i], *next = i + 1 < b->nlayers ? l + 1 : NULL;
	size_t at = 0;

	if (!strcmp(l->kind, "eth")) {
		memcpy(out, b->hint->dst, 6);
		memcpy(out + 6, b->hint->src, 6);
		if (get(l, "dst"))
			packet_mac(get(l, "dst"), out);
		if (get(l, "src"))
			packet_mac(get(l, "src"), out + 6);
		at = 12;
	} else {
		put16(out, l->value ? strtoul(l->value, NULL, 0) : 1);
		at = 2;
	}
	put16(out + at, !next                         ? 0x88b5
			: !strcmp(next->kind, "vlan") ? 0x8100
			: !strcmp(next->kind, "qinq") ? 0x88a8
			: !strcmp(next->kind, "arp")  ? 0x0806
			: !strcmp(next->kind, "ipv6") ? 0x86dd
			: !strcmp(next->kind, "ipv4") ? 0x0800
						      : 0x88b5);
	if (get(l, "type"))
		put16(out + at, num(l, "type", 0));
	at += 2;
	return at + emit(b, i + 1, out + at, ip);
}

static size_t emit_ipv4(struct build *b, int i, unsigned char *out)
{
	struct layer *l = &b->layer[i];
	const char *frag = get(l, "frag");
	unsigned long off = frag ? strtoul(frag, NULL, 0) : 0;
	struct ip ip = { .v6 = 0 };
	size_t head = 20, len;

	memset(out, 0, 60);
	head += hex(get(l, "opts"), out + 20);
	head = (head + 3) & ~3ul;
	if (inet_pton(AF_INET, get(l, "src") ?: "", ip.src) != 1 ||
	    inet_pton(AF_INET, get(l, "dst") ?: "", ip.dst) != 1)
		snprintf(b->err, 128, "ipv4 wants src= and dst=");
	len = head + emit(b, i + 1, out + head, &ip);
	out[0] = num(l, "ver", 4) << 4 | (num(l, "ihl", head / 4) & 15);
	out[1] = num(l, "tos", 0);
	put16(out + 2, num(l, "len", len));
	put16(out + 4, num(l, "id", 7));
	put16(out + 6,
	      off / 8 | (frag && strchr(frag, '+') ? 0x2000 : 0) | (get(l, "df") ? 0x4000 : 0));
	out[8] = num(l, "ttl", 64);
	out[9] = protocol(i + 1 < b->nlayers ? l + 1 : NULL);
	memcpy(out + 12, ip.src, 4);
	memcpy(out + 16, ip.dst, 4);
	put16(out + 10, fold(sum(out, head, 0)));
	return len;
}

static size_t emit_ipv6(struct build *b, int i, unsigned char *out)
{
	struct layer *l = &b->layer[i];
	struct ip ip = { .v6 = 1 };
	size_t len;

	if (inet_pton(AF_INET6, get(l, "src") ?: "", ip.src) != 1 ||
	    inet_pton(AF_INET6, get(l, "dst") ?: "", ip.dst) != 1)
		snprintf(b->err, 128, "ipv6 wants src= and dst=");
	len = emit(b, i + 1, out + 40, &ip);
	memset(out, 0, 8);
	out[0] = num(l, "ver", 6) << 4 | num(l, "tc", 0) >> 4;
	out[1] = num(l, "tc", 0) << 4;
	put16(out + 4, num(l, "len", len));
	out[6] = num(l, "next", protocol(i + 1 < b->nlayers ? l + 1 : NULL));
	out[7] = num(l, "hlim", 64);
	memcpy(out + 8, ip.src, 16);
	memcpy(out + 24, ip.dst, 16);
	return 40 + len;
}

static size_t emit_ext(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	struct layer *l = &b->layer[i];
	const char *off = get(l, "off");
	size_t len = 8;

	memset(out, 0, 32);
	out[0] = num(l, "next", protocol(i + 1 < b->nlayers ? l + 1 : NULL));
	if (!strcmp(l->kind, "frag6")) {
		put16(out + 2,
		      (off ? strtoul(off, NULL, 0) : 0) | (off && strchr(off, '+') ? 1 : 0));
		put32(out + 4, num(l, "id", 7));
	} else if (!strcmp(l->kind, "ah")) {
		out[1] = 4;
		len = 24;
	} else {
		out[2] = 1; /* PadN */
		out[3] = 4;
	}
	out[1] = num(l, "size", out[1]);
	return len + emit(b, i + 1, out + len, ip);
}

static size_t emit_tcp(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	static const char letters[] = "FSRPAU";
	struct layer *l = &b->layer[i];
	const char *flags = get(l, "flags") ?: "S";
	size_t head, len;

	memset(out, 0, 60);
	head = (20 + hex(get(l, "opts"), out + 20) + 3) & ~3ul;
	len = head + emit(b, i + 1, out + head, ip);
	put16(out, num(l, "sport", 1000));
	put16(out + 2, num(l, "dport", 80));
	put32(out + 4, num(l, "seq", 100));
	put32(out + 8, num(l, "ack", 0));
	out[12] = num(l, "doff", head / 4) << 4;
	for (; *flags; flags++)
		if (strchr(letters, *flags))
			out[13] |= 1 << (strchr(letters, *flags) - letters);
	put16(out + 14, num(l, "win", 0));
	put16(out + 16, fold(sum(out, len, pseudo(ip, 6, len))));
	return len;
}

static size_t emit_udp(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	struct layer *l = &b->layer[i];
	size_t len = 8 + emit(b, i + 1, out + 8, ip);

	put16(out, num(l, "sport", 1000));
	put16(out + 2, num(l, "dport", 53));
	put16(out + 4, num(l, "len", len));
	put16(out + 6, 0);
	if (!get(l, "sum")) /* RFC 768: 0 says that there is none */
		put16(out + 6, fold(sum(out, len, pseudo(ip, 17, len))) ?: 0xffff);
	return len;
}

static size_t emit_icmp(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	struct layer *l = &b->layer[i];
	int v6 = !strcmp(l->kind, "icmp6");
	size_t head = 8, len;

	memset(out, 0, 24);
	out[0] = num(l, "type", v6 ? 128 : 8);
	out[1] = num(l, "code", 0);
	put16(out + 4, num(l, "id", 0));
	if (get(l, "mtu"))
		put16(out + 6, num(l, "mtu", 0));
	if (get(l, "target")) {
		inet_pton(AF_INET6, get(l, "target"), out + 8);
		head = 24;
	}
	len = head + emit(b, i + 1, out + head, ip);
	put16(out + 2, fold(sum(out, len, v6 ? pseudo(ip, 58, len) : 0)));
	return len;
}

static size_t emit_arp(struct build *b, int i, unsigned char *out)
{
	struct layer *l = &b->layer[i];

	put16(out, num(l, "htype", 1));
	put16(out + 2, 0x0800);
	out[4] = 6;
	out[5] = num(l, "plen", 4);
	put16(out + 6, num(l, "op", 1));
	memcpy(out + 8, b->hint->src, 6);
	if (get(l, "sha"))
		packet_mac(get(l, "sha"), out + 8);
	inet_pton(AF_INET, get(l, "spa") ?: "0.0.0.0", out + 14);
	memset(out + 18, 0, 6);
	inet_pton(AF_INET, get(l, "tpa") ?: "0.0.0.0", out + 24);
	return 28;
}

static size_t emit_bytes(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	struct layer *l = &b->layer[i];
	size_t len = 0;

	if (!strcmp(l->kind, "hex")) {
		len = hex(l->value, out);
	} else if (!strcmp(l->kind, "payload")) {
		len = strtoul(l->value ?: "0", NULL, 0);
		if (len > 2048)
			len = 2048;
		for (size_t n = 0; n < len; n++)
			out[n] = 'a' + n % 26;
	} else if (!strcmp(l->kind, "sctp")) {
		memset(out, 0, 12);
		put16(out, num(l, "sport", 1000));
		put16(out + 2, num(l, "dport", 80));
		len = 12;
	}
	return len + emit(b, i + 1, out + len, ip);
}

static size_t emit(struct build *b, int i, unsigned char *out, struct ip *ip)
{
	const char *k;

	if (i >= b->nlayers)
		return 0;
	k = b->layer[i].kind;
	if (!strcmp(k, "eth") || !strcmp(k, "vlan") || !strcmp(k, "qinq"))
		return emit_eth(b, i, out, ip);
	if (!strcmp(k, "ipv4"))
		return emit_ipv4(b, i, out);
	if (!strcmp(k, "ipv6"))
		return emit_ipv6(b, i, out);
	if (!strcmp(k, "tcp"))
		return emit_tcp(b, i, out, ip);
	if (!strcmp(k, "udp"))
		return emit_udp(b, i, out, ip);
	if (!strcmp(k, "icmp") || !strcmp(k, "icmp6"))
		return emit_icmp(b, i, out, ip);
	if (!strcmp(k, "arp"))
		return emit_arp(b, i, out);
	if (!strcmp(k, "payload") || !strcmp(k, "hex") || !strcmp(k, "sctp") || !strcmp(k, "proto"))
		return emit_bytes(b, i, out, ip);
	return emit_ext(b, i, out, ip);
}

/* Sorts a word into the layers; cut= and pad= are for the whole frame. */
static int take_word(struct build *b, char *word, long *cut, long *pad)
{
	char *value = strchr(word, '=');
	struct layer *l;

	if (value)
		*value++ = '\0';
	if (!strcmp(word, "cut") || !strcmp(word, "pad")) {
		*(*word == 'c' ? cut : pad) = strtol(value ?: "0", NULL, 0);
		return 0;
	}
	if (b->nlayers && value && strcmp(word, "payload") && strcmp(word, "hex") &&
	    strcmp(word, "proto") && strcmp(word, "ext") && strcmp(word, "vlan") &&
	    strcmp(word, "qinq")) {
		l = &b->layer[b->nlayers - 1];
		if (l->nkeys == MAX_KEYS)
			return -1;
		l->key[l->nkeys] = word;
		l->val[l->nkeys++] = value;
		return 0;
	}
	if (!is_kind(word) || b->nlayers == MAX_LAYERS)
		return -1;
	l = &b->layer[b->nlayers++];
	l->kind = word;
	l->value = value;
	return 0;
}

int packet_build(const char *text, const struct packet_hint *hint, struct packet *p, char *err)
{
	struct build b = { .hint = hint, .err = err };
	char *copy = strdup(text), *save = NULL;
	long cut = -1, pad = 0;

	*err = '\0';
	memset(p, 0, sizeof(*p));
	for (char *w = strtok_r(copy, " \t", &save); w && !*err; w = strtok_r(NULL, " \t", &save))
		if (take_word(&b, w, &cut, &pad))
			snprintf(err, 128, "`%s`: no such layer", w);
	if (!*err)
		p->len = emit(&b, 0, p->data, NULL) + pad;
	if (cut >= 0 && (size_t)cut < p->len)
		p->len = cut;
	free(copy);
	return *err ? -1 : 0;
}
