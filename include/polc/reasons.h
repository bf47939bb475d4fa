/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a packet was dropped.  One X-macro list: the data path counts by these
 * numbers, the loader and the tests print the names.  Numbers are part of the
 * ABI: append, never renumber.
 *
 * X(ENUMERATOR, "name_in_output", "what it means, for a person")
 */
#ifndef POLC_REASONS_H
#define POLC_REASONS_H

#define POL_REASONS(X)                                                         \
	X(NONE,            "none",            "not dropped")                   \
	X(POLICY,          "policy",          "a deny rule, or nothing allows it") \
	X(REJECT,          "reject",          "a reject rule answered it")     \
	X(LIMIT,           "limit",           "over the rate of a limit")      \
	X(NO_PROGRAM,      "no_program",      "no generation is in force at this hook") \
	X(NO_ENDPOINT,     "no_endpoint",     "the interface, or an address of `pool`, belongs to no known endpoint") \
	X(NO_CLASS,        "no_class",        "the endpoint has no row in this generation") \
	X(SPOOFED,         "spoofed",         "the source address is not the sender's own") \
	X(SPOOFED_MAC,     "spoofed_mac",     "the source MAC is not the endpoint's") \
	X(SPOOFED_ARP,     "spoofed_arp",     "ARP or ND names an address that is not the sender's") \
	X(DST_NOT_OWNER,   "dst_not_owner",   "delivered to an endpoint that does not own the address") \
	X(TRUNCATED,       "truncated",       "a header ends before its length") \
	X(BAD_VERSION,     "bad_version",     "IP version does not fit the ethertype") \
	X(BAD_LENGTH,      "bad_length",      "a header or total length that lies") \
	X(BAD_CHECKSUM,    "bad_checksum",    "IPv4 header checksum is wrong") \
	X(BAD_FLAGS,       "bad_flags",       "TCP flags that no connection has") \
	X(BAD_ADDRESS,     "bad_address",     "loopback, unspecified or multicast where none may be") \
	X(BAD_PROTOCOL,    "bad_protocol",    "a protocol that the IP version does not carry") \
	X(EXT_HEADER,      "ext_header",      "unknown, repeated or too many IPv6 extension headers") \
	X(ROUTING_HEADER,  "routing_header",  "IPv4 source route or IPv6 routing header") \
	X(ETHERTYPE,       "ethertype",       "an ethertype that cannot be judged") \
	X(VLAN,            "vlan",            "a VLAN tag where none is expected, or too many") \
	X(FRAG_UNKNOWN,    "frag_unknown",    "a later fragment whose first was not allowed") \
	X(FRAG_TINY,       "frag_tiny",       "a fragment that hides or overlaps the transport header") \
	X(FRAG_FULL,       "frag_full",       "no room to track the fragment") \
	X(CT_FULL,         "ct_full",         "no room in the connection table") \
	X(CT_STATE,        "no_state",        "not the start of a connection and none is known") \
	X(ICMP_RELATED,    "icmp_related",    "an ICMP error about no live flow") \
	X(LINK_CONTROL,    "link_control",    "router advertisement, redirect or DHCP answer from an endpoint") \
	X(REDIRECT_LOST,   "redirect_lost",   "marked for the proxy but not taken by it") \
	X(INTERNAL,        "internal",        "a helper failed; the packet could not be judged") \
	X(CT_QUOTA,        "ct_quota",        "its source holds its share of the connection table") \
	X(ICMP_RATE,       "icmp_rate",       "more ICMP errors for one endpoint than a second may bring") \
	X(NO_PROXY,        "no_proxy",        "the flow has HTTP rules and no proxy takes it") \
	X(PROXY_FULL,      "proxy_full",      "no room to tell the proxy of the flow") \
	X(PROXY_CREDIT,    "proxy_credit",    "an onward connection that no redirected flow asked for") \
	X(PROXY_FOREIGN,   "proxy_foreign",   "inside a connection of the proxy, but not between it and its peer") \
	X(HTTP_NO_INGRESS, "http_no_ingress", "HTTP rules, but it came past every place where the proxy can take it") \
	X(HTTP_FRAGMENT,   "http_fragment",   "a fragment of a flow with HTTP rules") \
	X(HTTP_GAINED,     "http_gained",     "a live connection that has come under HTTP rules") \
	X(FILTER,          "filter",          "a drop rule of a filter") \
	X(SVC_DOWN,        "svc_down",        "no backend of the service is up: answered with a RST or unreachable") \
	X(SVC_FULL,        "svc_full",        "no room in the services' connection table, or a client's port has that backend by another VIP") \
	X(SVC_STATE,       "svc_state",       "a RST to a service, of no known connection") \
	X(SVC_FRAGMENT,    "svc_fragment",    "a fragment to a service's address") \
	X(SVC_TUNNEL,      "svc_tunnel",      "from a balancer, but not for a service here; or no way to a backend") \
	X(SVC_TOO_BIG,     "svc_too_big",     "does not fit the tunnel to a backend: answered with too big")

#define POL_REASON_ENUM(e, n, t) POL_REASON_##e,
enum pol_reason { POL_REASONS(POL_REASON_ENUM) POL_REASON_MAX };
#undef POL_REASON_ENUM

#endif
