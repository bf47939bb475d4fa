/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Special-purpose addresses: the IANA IPv4 and IPv6 Special-Purpose Address
 * Registries (RFC 6890, RFC 8190), every block that is not globally reachable,
 * multicast, and deprecated site-local addresses.  More specific blocks that
 * are reachable stay public.
 */
#include "compiler/lowering.h"

struct block {
	const char *prefix;
	bool reachable; /* an exception inside a larger block */
};

static const struct block blocks[] = {
	{ "0.0.0.0/8", false }, /* this network, RFC 791 */
	{ "10.0.0.0/8", false }, /* private, RFC 1918 */
	{ "100.64.0.0/10", false }, /* shared, RFC 6598 */
	{ "127.0.0.0/8", false }, /* loopback, RFC 1122 */
	{ "169.254.0.0/16", false }, /* link-local, RFC 3927 */
	{ "172.16.0.0/12", false }, /* private, RFC 1918 */
	{ "192.0.0.0/24", false }, /* IETF protocol assignments, RFC 6890 */
	{ "192.0.0.9/32", true }, /* Port Control Protocol anycast, RFC 7723 */
	{ "192.0.0.10/32", true }, /* TURN anycast, RFC 8155 */
	{ "192.0.2.0/24", false }, /* documentation, RFC 5737 */
	{ "192.88.99.0/24", false }, /* 6to4 relay anycast, deprecated, RFC 7526 */
	{ "192.168.0.0/16", false }, /* private, RFC 1918 */
	{ "198.18.0.0/15", false }, /* benchmarking, RFC 2544 */
	{ "198.51.100.0/24", false }, /* documentation, RFC 5737 */
	{ "203.0.113.0/24", false }, /* documentation, RFC 5737 */
	{ "224.0.0.0/4", false }, /* multicast, RFC 5771 */
	{ "240.0.0.0/4", false }, /* reserved and limited broadcast, RFC 1112, RFC 8190 */

	{ "::/127", false }, /* unspecified and loopback, RFC 4291 */
	{ "64:ff9b:1::/48", false }, /* local translation, RFC 8215 */
	{ "100::/64", false }, /* discard-only, RFC 6666 */
	{ "100:0:0:1::/64", false }, /* dummy prefix, RFC 9780 */
	{ "2001::/23", false }, /* IETF protocol assignments, Teredo, benchmarking, RFC 2928 */
	{ "2001:1::1/128", true }, /* Port Control Protocol anycast, RFC 7723 */
	{ "2001:1::2/128", true }, /* TURN anycast, RFC 8155 */
	{ "2001:1::3/128", true }, /* DNS-SD registration anycast, RFC 9665 */
	{ "2001:3::/32", true }, /* AMT, RFC 7450 */
	{ "2001:4:112::/48", true }, /* AS112, RFC 7535 */
	{ "2001:20::/28", true }, /* ORCHIDv2, RFC 7343 */
	{ "2001:30::/28", true }, /* drone remote identification, RFC 9374 */
	{ "2001:db8::/32", false }, /* documentation, RFC 3849 */
	{ "2002::/16", false }, /* 6to4: carries any IPv4 address, RFC 3056 */
	{ "3fff::/20", false }, /* documentation, RFC 9637 */
	{ "5f00::/16", false }, /* segment routing, RFC 9602 */
	{ "fc00::/7", false }, /* unique local, RFC 4193 */
	{ "fe80::/10", false }, /* link-local, RFC 4291 */
	{ "fec0::/10", false }, /* site-local, deprecated, RFC 3879 */
	{ "ff00::/8", false }, /* multicast, RFC 4291 */
};

/* ::ffff:0:0/96, RFC 4291: the parser refuses it, so it is not in the list above. */
static const struct pol_range128 mapped = {
	(pol_u128)0xffff << 32,
	(pol_u128)0xffff << 32 | 0xffffffff,
};

static struct pol_aset those(struct pol_arena *a, bool reachable)
{
	struct pol_prefix p[POL_ARRAY_LEN(blocks)];
	size_t n = 0;

	for (size_t i = 0; i < POL_ARRAY_LEN(blocks); i++)
		if (blocks[i].reachable == reachable &&
		    pol_prefix_parse(pol_str(blocks[i].prefix), &p[n]) == POL_IP_OK)
			n++;
	return pol_aset_of_prefixes(a, p, n);
}

struct pol_aset pol_special_purpose(struct pol_arena *a)
{
	struct pol_aset v = those(a, false);

	v = pol_aset_combine(a, POL_SET_SUBTRACT, v, those(a, true));
	return pol_aset_combine(a, POL_SET_UNION, v, pol_aset_of(a, NULL, 0, &mapped, 1));
}
