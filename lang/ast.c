/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of enumerators, protocols and ICMP types. */
#include "lang/ast.h"

#define CASE_NAME(id, text)                                                                        \
	case id:                                                                                   \
		return text;

const char *pol_sel_kind_name(enum pol_ast_sel_kind k)
{
	switch (k) {
		POL_AST_SEL_KINDS(CASE_NAME)
	}
	return "?";
}

const char *pol_peer_kind_name(enum pol_ast_peer_kind k)
{
	switch (k) {
		POL_AST_PEER_KINDS(CASE_NAME)
	}
	return "?";
}

const char *pol_action_name(enum pol_ast_action a)
{
	switch (a) {
		POL_AST_ACTIONS(CASE_NAME)
	}
	return "?";
}

const char *pol_decl_kind_name(enum pol_decl_kind k)
{
	switch (k) {
		POL_DECL_KINDS(CASE_NAME)
	}
	return "?";
}

bool pol_proto_has_ports(uint8_t proto)
{
	return proto == POL_PROTO_TCP || proto == POL_PROTO_UDP || proto == POL_PROTO_SCTP;
}

bool pol_proto_has_types(uint8_t proto)
{
	return proto == POL_PROTO_ICMP || proto == POL_PROTO_ICMP6;
}

const char *pol_proto_name(uint8_t proto)
{
	switch (proto) {
	case POL_PROTO_TCP:
		return "tcp";
	case POL_PROTO_UDP:
		return "udp";
	case POL_PROTO_SCTP:
		return "sctp";
	case POL_PROTO_ICMP:
		return "icmp";
	case POL_PROTO_ICMP6:
		return "icmp6";
	default:
		return NULL;
	}
}

/* Types in use, by the names of the registries; the first name of a number is the one printed. */
static const struct icmp_type {
	uint8_t proto, type;
	const char *name;
} icmp_types[] = {
	{ POL_PROTO_ICMP, 0, "echo-reply" },
	{ POL_PROTO_ICMP, 3, "destination-unreachable" },
	{ POL_PROTO_ICMP, 5, "redirect" },
	{ POL_PROTO_ICMP, 8, "echo-request" },
	{ POL_PROTO_ICMP, 8, "echo" },
	{ POL_PROTO_ICMP, 9, "router-advertisement" },
	{ POL_PROTO_ICMP, 10, "router-solicitation" },
	{ POL_PROTO_ICMP, 11, "time-exceeded" },
	{ POL_PROTO_ICMP, 12, "parameter-problem" },
	{ POL_PROTO_ICMP, 13, "timestamp" },
	{ POL_PROTO_ICMP, 13, "timestamp-request" },
	{ POL_PROTO_ICMP, 14, "timestamp-reply" },
	{ POL_PROTO_ICMP, 40, "photuris" },
	{ POL_PROTO_ICMP, 42, "extended-echo-request" },
	{ POL_PROTO_ICMP, 43, "extended-echo-reply" },
	{ POL_PROTO_ICMP6, 1, "destination-unreachable" },
	{ POL_PROTO_ICMP6, 2, "packet-too-big" },
	{ POL_PROTO_ICMP6, 3, "time-exceeded" },
	{ POL_PROTO_ICMP6, 4, "parameter-problem" },
	{ POL_PROTO_ICMP6, 128, "echo-request" },
	{ POL_PROTO_ICMP6, 128, "echo" },
	{ POL_PROTO_ICMP6, 129, "echo-reply" },
	{ POL_PROTO_ICMP6, 130, "listener-query" },
	{ POL_PROTO_ICMP6, 131, "listener-report" },
	{ POL_PROTO_ICMP6, 132, "listener-done" },
	{ POL_PROTO_ICMP6, 133, "router-solicitation" },
	{ POL_PROTO_ICMP6, 134, "router-advertisement" },
	{ POL_PROTO_ICMP6, 135, "neighbor-solicitation" },
	{ POL_PROTO_ICMP6, 136, "neighbor-advertisement" },
	{ POL_PROTO_ICMP6, 137, "redirect" },
	{ POL_PROTO_ICMP6, 143, "listener-report-v2" },
	{ POL_PROTO_ICMP6, 160, "extended-echo-request" },
	{ POL_PROTO_ICMP6, 161, "extended-echo-reply" },
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
