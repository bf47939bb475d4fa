/* SPDX-License-Identifier: GPL-2.0-only */
#include "verify/world.h"

bool frame_backward(enum frame_kind kind)
{
	return kind == FRAME_ANSWER || kind == FRAME_BACK;
}

/* ---- frames -------------------------------------------------------------------------- */

static void put(struct frame *f, const void *p, size_t n)
{
	memcpy(f->b + f->n, p, n);
	f->n += n;
}

static void put8(struct frame *f, unsigned v)
{
	f->b[f->n++] = (uint8_t)v;
}

static void put16(struct frame *f, unsigned v)
{
	put8(f, v >> 8);
	put8(f, v & 0xff);
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v & 0xffff);
}

static void put_ip(struct frame *f, struct pol_ip ip)
{
	if (ip.family == 6) {
		put32(f, (uint32_t)(ip.hi >> 32));
		put32(f, (uint32_t)ip.hi);
		put32(f, (uint32_t)(ip.lo >> 32));
	}
	put32(f, (uint32_t)ip.lo);
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_tcp(struct frame *f, unsigned sport, unsigned dport, enum frame_kind kind)
{
	static const uint8_t flags[] = {
		[FRAME_FIRST] = 0x02,
		[FRAME_ANSWER] = 0x12,
		[FRAME_NEXT] = 0x10,
		[FRAME_BACK] = 0x10,
	};

	put16(f, sport);
	put16(f, dport);
	put32(f, 1);
	put32(f, kind == FRAME_FIRST ? 0 : 2);
	put8(f, 0x50);
	put8(f, flags[kind]);
	put16(f, 8192);
	put32(f, 0);
}

static void put_sctp(struct frame *f, unsigned sport, unsigned dport, enum frame_kind kind)
{
	static const uint8_t chunk[] = {
		[FRAME_FIRST] = 1,
		[FRAME_ANSWER] = 2,
		[FRAME_NEXT] = 10,
		[FRAME_BACK] = 11,
	};

	put16(f, sport);
	put16(f, dport);
	put32(f, kind == FRAME_FIRST ? 0 : 7); /* INIT carries tag 0 */
	put32(f, 0);
	put8(f, chunk[kind]);
	put8(f, 0);
	put16(f, 20);
	for (int i = 0; i < 4; i++)
		put32(f, 1);
}

static unsigned icmp_answer(unsigned proto, unsigned type)
{
	if (proto == 1)
		return type == 8 ? 0 : type + 1;
	return type + 1;
}

static void put_l4(struct frame *f, const struct flow *w, enum frame_kind kind)
{
	bool back = frame_backward(kind);
	unsigned sport = back ? w->value : w->sport, dport = back ? w->sport : w->value;

	switch (w->proto) {
	case 6:
		put_tcp(f, sport, dport, kind);
		break;
	case 17:
		put16(f, sport);
		put16(f, dport);
		put16(f, 12);
		put16(f, 0);
		put32(f, 0);
		break;
	case 132:
		put_sctp(f, sport, dport, kind);
		break;
	case 1:
	case 58:
		put8(f, back ? icmp_answer(w->proto, w->value) : w->value);
		put8(f, 0);
		put16(f, 0);
		put16(f, w->sport);
		put16(f, 1);
		for (int i = 0; i < 4; i++) /* room for the timestamps of type 13 */
			put32(f, 0);
		break;
	default:
		for (int i = 0; i < 4; i++)
			put32(f, 0);
	}
}

/* Checksum over the pseudo header and the rest; where it stands, by protocol. */
static void l4_checksum(struct frame *f, size_t l4, struct pol_ip src, struct pol_ip dst,
			unsigned proto)
{
	struct frame pseudo = { .n = 0 };
	size_t at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	uint32_t sum = 0;

	if (proto != 6 && proto != 17 && proto != 1 && proto != 58)
		return;
	if (proto != 1) {
		put_ip(&pseudo, src);
		put_ip(&pseudo, dst);
		put32(&pseudo, (uint32_t)(f->n - l4));
		put32(&pseudo, proto);
		sum = sum16(pseudo.b, pseudo.n, 0);
	}
	set16(f->b + l4 + at, fold(sum16(f->b + l4, f->n - l4, sum)));
}

static void put_ipv4(struct frame *f, struct pol_ip src, struct pol_ip dst, unsigned proto,
		     bool options)
{
	put8(f, options ? 0x47 : 0x45);
	put8(f, 0);
	put16(f, 0);
	put16(f, 1);
	put16(f, 0x4000);
	put8(f, 64);
	put8(f, proto);
	put16(f, 0);
	put_ip(f, src);
	put_ip(f, dst);
	if (options) {
		put32(f, 0x94040000); /* router alert */
		put32(f, 0x01010100); /* no-operation, end */
	}
}

static void put_ipv6(struct frame *f, struct pol_ip src, struct pol_ip dst, unsigned proto,
		     bool extension)
{
	static const uint8_t padding[] = { 1, 4, 0, 0, 0, 0 };

	put32(f, 0x60000000);
	put16(f, 0);
	put8(f, extension ? 60 : proto); /* destination options */
	put8(f, 64);
	put_ip(f, src);
	put_ip(f, dst);
	if (extension) {
		put8(f, proto);
		put8(f, 0);
		put(f, padding, sizeof(padding));
	}
}

void frame_build(struct frame *f, const struct flow *flow, enum frame_kind kind, bool decorated,
		 const uint8_t dst_mac[6], const uint8_t src_mac[6])
{
	bool back = frame_backward(kind);
	struct pol_ip src = back ? flow->dst : flow->src, dst = back ? flow->src : flow->dst;
	uint8_t *ip = f->b + 14;
	size_t l4;

	f->n = 0;
	put(f, dst_mac, 6);
	put(f, src_mac, 6);
	put16(f, src.family == 4 ? 0x0800 : 0x86dd);
	if (src.family == 4)
		put_ipv4(f, src, dst, flow->proto, decorated);
	else
		put_ipv6(f, src, dst, flow->proto, decorated);
	l4 = f->n;
	put_l4(f, flow, kind);
	l4_checksum(f, l4, src, dst, flow->proto);
	if (src.family == 4) {
		set16(ip + 2, (uint16_t)(f->n - 14));
		set16(ip + 10, fold(sum16(ip, l4 - 14, 0)));
	} else {
		set16(ip + 4, (uint16_t)(f->n - 14 - 40));
	}
}
