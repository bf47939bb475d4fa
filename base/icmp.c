/* SPDX-License-Identifier: GPL-2.0-only */
#include "base.h"

enum { ICMP = 1, ICMP6 = 58 }; /* protocol numbers */

/* Types in use, by the names of the registries; the first name of a number is the one printed. */
static const struct icmp_type {
	uint8_t proto, type;
	const char *name;
} icmp_types[] = {
	{ ICMP, 0, "echo-reply" },
	{ ICMP, 3, "destination-unreachable" },
	{ ICMP, 5, "redirect" },
	{ ICMP, 8, "echo-request" },
	{ ICMP, 8, "echo" },
	{ ICMP, 9, "router-advertisement" },
	{ ICMP, 10, "router-solicitation" },
	{ ICMP, 11, "time-exceeded" },
	{ ICMP, 12, "parameter-problem" },
	{ ICMP, 13, "timestamp" },
	{ ICMP, 13, "timestamp-request" },
	{ ICMP, 14, "timestamp-reply" },
	{ ICMP, 40, "photuris" },
	{ ICMP, 42, "extended-echo-request" },
	{ ICMP, 43, "extended-echo-reply" },
	{ ICMP6, 1, "destination-unreachable" },
	{ ICMP6, 2, "packet-too-big" },
	{ ICMP6, 3, "time-exceeded" },
	{ ICMP6, 4, "parameter-problem" },
	{ ICMP6, 128, "echo-request" },
	{ ICMP6, 128, "echo" },
	{ ICMP6, 129, "echo-reply" },
	{ ICMP6, 130, "listener-query" },
	{ ICMP6, 131, "listener-report" },
	{ ICMP6, 132, "listener-done" },
	{ ICMP6, 133, "router-solicitation" },
	{ ICMP6, 134, "router-advertisement" },
	{ ICMP6, 135, "neighbor-solicitation" },
	{ ICMP6, 136, "neighbor-advertisement" },
	{ ICMP6, 137, "redirect" },
	{ ICMP6, 143, "listener-report-v2" },
	{ ICMP6, 160, "extended-echo-request" },
	{ ICMP6, 161, "extended-echo-reply" },
};

int pol_icmp_type(uint8_t proto, struct pol_str name)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(icmp_types); i++)
		if (icmp_types[i].proto == proto && pol_str_is(name, icmp_types[i].name))
			return icmp_types[i].type;
	return -1;
}

const char *pol_icmp_type_name(uint8_t proto, uint8_t type)
{
	for (size_t i = 0; i < POL_ARRAY_LEN(icmp_types); i++)
		if (icmp_types[i].proto == proto && icmp_types[i].type == type)
			return icmp_types[i].name;
	return NULL;
}
