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
