/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/h2.h"

#define PURSE 1000.0 /* coins; what a burst may cost */
#define PER_SECOND 100.0
#define BLOCK_MAX 65536u /* compressed bytes of a field section with its CONTINUATIONs */
#define PREFACE 24

/* Of types (RFC 9113, 6) that move nothing by themselves; a frame with END_STREAM moves a request. */
static double price(const struct px_purse *p)
{
	switch (p->head[3]) {
	case NGHTTP2_DATA:
		return p->left || p->head[4] & NGHTTP2_FLAG_END_STREAM ? 0 : 2;
	case NGHTTP2_HEADERS:
		return 0;
	case NGHTTP2_RST_STREAM:
		return 3; /* a request was judged, and perhaps submitted */
	case NGHTTP2_SETTINGS:
		return 3;
	case NGHTTP2_PUSH_PROMISE:
	case NGHTTP2_GOAWAY:
		return 10;
	default: /* PING, WINDOW_UPDATE, PRIORITY, CONTINUATION, what is not known */
		return 1;
	}
}

void px_purse_begin(struct px_purse *p, double now, bool client)
{
	*p = (struct px_purse){ .coins = PURSE, .when = now, .preface = client ? PREFACE : 0 };
}

void px_purse_pay(struct px_purse *p, double coins)
{
	p->coins -= coins;
}

void px_purse_earn(struct px_purse *p, double coins)
{
	p->coins = p->coins + coins < PURSE ? p->coins + coins : PURSE;
}

/* A frame begins. */
static bool frame(struct px_purse *p)
{
	uint8_t type = p->head[3];

	p->left = (uint32_t)p->head[0] << 16 | (uint32_t)p->head[1] << 8 | p->head[2];
	px_purse_pay(p, price(p));
	if (type == NGHTTP2_HEADERS)
		p->block = 0;
	if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION)
		p->block += p->left;
	return p->coins > 0 && p->block <= BLOCK_MAX;
}

bool px_purse_take(struct px_purse *p, double now, const char *bytes, size_t n)
{
	px_purse_earn(p, (now - p->when) * PER_SECOND);
	p->when = now;
	while (n) {
		size_t skip = p->preface ? p->preface : p->left;

		if (skip) {
			skip = skip < n ? skip : n;
			if (p->preface)
				p->preface = (uint8_t)(p->preface - skip);
			else
				p->left -= (uint32_t)skip;
			bytes += skip;
			n -= skip;
			continue;
		}
		p->head[p->have++] = (uint8_t)*bytes++;
		n--;
		if (p->have == sizeof(p->head)) {
			p->have = 0;
			if (!frame(p))
				return false;
		}
	}
	return true;
}
