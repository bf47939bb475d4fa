/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses and prefixes as text: strict, and fast enough for lists of half a million lines. */
#include "base.h"

#include <stdio.h>

const char *pol_ip_error_text(enum pol_ip_error e)
{
	switch (e) {
	case POL_IP_OK:
		return "no error";
	case POL_IP_SYNTAX:
		return "malformed address or prefix";
	case POL_IP_LEADING_ZERO:
		return "leading zero in an address or prefix";
	case POL_IP_RANGE:
		return "number out of range in an address";
	case POL_IP_LENGTH:
		return "prefix length out of range";
	case POL_IP_HOST_BITS:
		return "bits set beyond the prefix length";
	case POL_IP_MAPPED:
		return "IPv4-mapped IPv6 address";
	}
	return "malformed address or prefix";
}

/* ---- parsing ------------------------------------------------------------------- */

/*
 * Errors in order of gravity: syntax stops, the others are remembered and the
 * rest is still read, so that a caller can say what was meant.
 */
struct reader {
	const char *p, *end;
	enum pol_ip_error error;
};

static void fault(struct reader *r, enum pol_ip_error e)
{
	if (r->error == POL_IP_OK || e == POL_IP_SYNTAX)
		r->error = e;
}

/* A decimal number, at most `max`; -1 if there is none. */
static int decimal(struct reader *r, int max, enum pol_ip_error too_large)
{
	const char *start = r->p;
	int n = 0;

	while (r->p < r->end && (unsigned)(*r->p - '0') < 10) {
		n = n * 10 + (*r->p++ - '0');
		if (n > 9999)
			n = 9999;
	}
	if (r->p == start)
		return -1;
	if (*start == '0' && r->p > start + 1)
		fault(r, POL_IP_LEADING_ZERO);
	if (n > max) {
		fault(r, too_large);
		n = max;
	}
	return n;
}

static bool ipv4(struct reader *r, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		int n;

		if (i && (r->p == r->end || *r->p++ != '.'))
			return false;
		n = decimal(r, 255, POL_IP_RANGE);
		if (n < 0)
			return false;
		*out = *out << 8 | (uint32_t)n;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One group of up to four digits; -1 if there is none or it is longer. */
static int group(struct reader *r)
{
	int n = 0, count = 0, d;

	while (r->p < r->end && (d = hex_digit(*r->p)) >= 0) {
		n = n << 4 | d;
		r->p++;
		if (++count > 4)
			return -1;
	}
	return count ? n : -1;
}

/* Is the next group the beginning of a dotted tail, as in ::ffff:192.0.2.1? */
static bool dotted(const struct reader *r)
{
	for (const char *p = r->p; p < r->end && *p != ':' && *p != '/'; p++)
		if (*p == '.')
			return true;
	return false;
}

/* The groups before and after `::`; *gap is where it stands, -1 if nowhere. */
static int groups(struct reader *r, uint16_t g[8], int *gap)
{
	int n = 0;

	*gap = -1;
	if (r->end - r->p >= 2 && r->p[0] == ':' && r->p[1] == ':') {
		*gap = 0;
		r->p += 2;
	}
	while (r->p < r->end && *r->p != '/') {
		uint32_t v4;
		int v;

		if (n == 8)
			return -1;
		if (dotted(r)) {
			if (n > 6 || !ipv4(r, &v4))
				return -1;
			g[n++] = (uint16_t)(v4 >> 16);
			g[n++] = (uint16_t)v4;
			return r->p == r->end || *r->p == '/' ? n : -1;
		}
		v = group(r);
		if (v < 0)
			return -1;
		g[n++] = (uint16_t)v;
		if (r->p == r->end || *r->p == '/')
			return n;
		if (*r->p++ != ':')
			return -1;
		if (r->p < r->end && *r->p == ':') {
			if (*gap >= 0)
				return -1;
			*gap = n;
			r->p++;
		} else if (r->p == r->end || *r->p == '/') {
			return -1; /* ends in a single colon */
		}
	}
	return n;
}

static bool ipv6(struct reader *r, struct pol_ip *ip)
{
	uint16_t g[8], full[8] = { 0 };
	int gap, n = groups(r, g, &gap);

	if (n < 0 || (gap < 0 ? n != 8 : n > 7))
		return false;
	for (int i = 0; i < n; i++)
		full[gap >= 0 && i >= gap ? 8 - n + i : i] = g[i];
	for (int i = 0; i < 4; i++) {
		ip->hi = ip->hi << 16 | full[i];
		ip->lo = ip->lo << 16 | full[4 + i];
	}
	return true;
}

static bool host_bits(const struct pol_prefix *p)
{
	unsigned free_bits = (p->addr.family == 4 ? 32u : 128u) - p->len;
	uint64_t low = free_bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << free_bits) - 1;
	uint64_t high = free_bits <= 64    ? 0
			: free_bits >= 128 ? ~(uint64_t)0
					   : ((uint64_t)1 << (free_bits - 64)) - 1;

	return (p->addr.lo & low) || (p->addr.hi & high);
}

static bool prefix(struct reader *r, struct pol_prefix *out)
{
	bool six = memchr(r->p, ':', (size_t)(r->end - r->p)) != NULL;
	int max = six ? 128 : 32, len = max;
	uint32_t v4;

	*out = (struct pol_prefix){ .addr.family = six ? 6 : 4, .len = (uint8_t)max };
	if (six) {
		if (!ipv6(r, &out->addr))
			return false;
	} else {
		if (!ipv4(r, &v4))
			return false;
		out->addr.lo = v4;
	}
	if (r->p < r->end) {
		if (*r->p++ != '/')
			return false;
		len = decimal(r, max, POL_IP_LENGTH);
		if (len < 0 || r->p != r->end)
			return false;
	}
	out->len = (uint8_t)len;
	return true;
}

enum pol_ip_error pol_prefix_parse(struct pol_str s, struct pol_prefix *out)
{
	struct reader r = { s.p, s.p + s.n, POL_IP_OK };

	if (!s.n || !prefix(&r, out))
		return POL_IP_SYNTAX;
	if (r.error == POL_IP_OK && out->addr.family == 6 && out->addr.hi == 0 &&
	    out->addr.lo >> 32 == 0xffff && out->len >= 96)
		r.error = POL_IP_MAPPED;
	if (r.error == POL_IP_OK && host_bits(out))
		r.error = POL_IP_HOST_BITS;
	return r.error;
}

/* ---- printing -------------------------------------------------------------------- */

/* The longest run of two or more zero groups, the first of equals. */
static int longest_zeros(const uint16_t g[8], int *len)
{
	int best = -1;

	*len = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !g[i + n])
			n++;
		if (n > *len) {
			*len = n;
			best = i;
		}
		i += n;
	}
	return best;
}

bool pol_ip_eq(struct pol_ip a, struct pol_ip b)
{
	return a.family == b.family && a.hi == b.hi && a.lo == b.lo;
}

const char *pol_ip_format(struct pol_ip ip, char out[POL_IP_TEXT])
{
	uint16_t g[8];
	char *p = out;
	int zeros, len;

	if (ip.family == 4) {
		snprintf(out, POL_IP_TEXT, "%u.%u.%u.%u", (unsigned)(ip.lo >> 24) & 255,
			 (unsigned)(ip.lo >> 16) & 255, (unsigned)(ip.lo >> 8) & 255,
			 (unsigned)ip.lo & 255);
		return out;
	}
	for (int i = 0; i < 4; i++) {
		g[i] = (uint16_t)(ip.hi >> (48 - 16 * i));
		g[4 + i] = (uint16_t)(ip.lo >> (48 - 16 * i));
	}
	zeros = longest_zeros(g, &len);
	for (int i = 0; i < 8; i++) {
		if (i == zeros) {
			p += sprintf(p, "::");
			i += len - 1;
			continue;
		}
		p += sprintf(p, i && i != zeros + len ? ":%x" : "%x", g[i]);
	}
	return out;
}

const char *pol_prefix_format(struct pol_prefix p, char out[POL_IP_TEXT])
{
	size_t n;

	pol_ip_format(p.addr, out);
	n = strlen(out);
	if (p.len != (p.addr.family == 4 ? 32 : 128))
		snprintf(out + n, POL_IP_TEXT - n, "/%u", p.len);
	return out;
}
