/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The syntax tree of a policy set.
 *
 * Built by the parser (actions build nodes and nothing else), completed by
 * resolve.h: fields marked "resolved" are NULL or 0 before that. All memory is
 * the arena's. Lists are singly linked in source order. Names and strings are
 * interned: equal texts have equal pointers p.
 *
 * Enumerators and their printed names come from one list each. What would
 * collide with compiler/ir.h or polc/abi.h (selectors, peers, rules, limits, actions,
 * stages) is named pol_ast_*, POL_AST_*: lower.c sees both.
 */
#ifndef POLC_AST_H
#define POLC_AST_H

#include "lang/source.h"

/* Nesting of peers and selectors; deeper is a diagnostic, never a deep tree. */
#define POL_MAX_DEPTH 100

#define POL_ENUM_ITEM(id, text) id,
/* struct pol_peers POL_LIST(struct pol_ast_peer); */
#define POL_LIST(type) { type *first, *last; size_t n; }

struct pol_decl;

/* A name where it is defined or used. */
struct pol_name {
	struct pol_str text;
	struct pol_span span;
	struct pol_decl *decl;	/* resolved: what it names */
};

/* A quoted string: the value, without quotes and escapes; the span has the quotes. */
struct pol_string {
	struct pol_str text;
	struct pol_span span;
};

/* ---- selectors: tests over labels ---------------------------------------------- */

#define POL_AST_SEL_KINDS(X)								\
	X(POL_AST_SEL_TRUE, "true")		/* `true`, also an empty [ ] */		\
	X(POL_AST_SEL_EQ, "==")		/* key == value; [key=value] */			\
	X(POL_AST_SEL_NE, "!=")		/* true for a missing label */			\
	X(POL_AST_SEL_IN, "in")								\
	X(POL_AST_SEL_NOT_IN, "not in")	/* true for a missing label */			\
	X(POL_AST_SEL_HAS, "has")							\
	X(POL_AST_SEL_NOT, "not")							\
	X(POL_AST_SEL_AND, "and")							\
	X(POL_AST_SEL_OR, "or")

enum pol_ast_sel_kind { POL_AST_SEL_KINDS(POL_ENUM_ITEM) };

struct pol_label_value {
	struct pol_label_value *next;
	struct pol_string value;
};

struct pol_ast_sel;
struct pol_label_values POL_LIST(struct pol_label_value);
struct pol_sels POL_LIST(struct pol_ast_sel);

struct pol_ast_sel {
	enum pol_ast_sel_kind kind;
	struct pol_span span;
	struct pol_ast_sel *next;		/* sibling under AND and OR */
	uint32_t depth;			/* of the tree below, <= POL_MAX_DEPTH */
	union {
		struct {		/* EQ NE IN NOT_IN HAS */
			struct pol_string key;		/* written bare or quoted */
			struct pol_label_values values;	/* EQ NE: one; HAS: none; IN NOT_IN: any */
		};
		struct pol_sels of;		/* AND OR: two or more; NOT: one */
	};
};

/* ---- peers ------------------------------------------------------------------------ */

#define POL_AST_PEER_KINDS(X)								\
	X(POL_AST_PEER_NAME, "name")	/* an endpoint, cidr or service */		\
	X(POL_AST_PEER_PREFIX, "prefix")						\
	X(POL_AST_PEER_SELECTOR, "selector") /* [app == "x"], [app=x,tier=y] */		\
	X(POL_AST_PEER_ANY, "any")							\
	X(POL_AST_PEER_HOST, "host")							\
	X(POL_AST_PEER_NODES, "nodes")							\
	X(POL_AST_PEER_WORLD, "world")							\
	X(POL_AST_PEER_PUBLIC, "public")						\
	X(POL_AST_PEER_NONE, "none")							\
	X(POL_AST_PEER_UNION, "union")	/* { a, b }; one element is possible */		\
	X(POL_AST_PEER_EXCEPT, "except")	/* left without right */		\
	X(POL_AST_PEER_IN, "in")		/* left and right */			\
	X(POL_AST_PEER_AT, "@")		/* left @ address: flows and asserts only */

enum pol_ast_peer_kind { POL_AST_PEER_KINDS(POL_ENUM_ITEM) };

struct pol_ast_peer;
struct pol_peers POL_LIST(struct pol_ast_peer);

struct pol_ast_peer {
	enum pol_ast_peer_kind kind;
	struct pol_span span;
	struct pol_ast_peer *next;		/* sibling in a union or list */
	uint32_t depth;
	union {
		struct pol_name name;			/* NAME; name.decl resolved */
		struct pol_prefix prefix;		/* PREFIX */
		struct pol_ast_sel *selector;		/* SELECTOR */
		struct {				/* UNION */
			struct pol_peers of;
			bool braces;			/* written { a, b } and not a, b */
		};
		struct {				/* EXCEPT IN AT */
			struct pol_ast_peer *left;
			struct pol_ast_peer *right;	/* AT: a PREFIX of full length */
		};
	};
};

/* ---- protocols and ports ------------------------------------------------------------- */

#define POL_PROTO_ICMP 1
#define POL_PROTO_TCP 6
#define POL_PROTO_UDP 17
#define POL_PROTO_ICMP6 58
#define POL_PROTO_SCTP 132

/* TCP flags that a filter can ask for: those of `set` are set, those of `clear` are not. */
struct pol_tcp_flags {
	uint8_t set, clear;	/* as on the wire: FIN 1 SYN 2 RST 4 PSH 8 ACK 16 URG 32 */
};

/* One element of `on tcp 80, dns, icmp echo-request`. */
struct pol_port {
	struct pol_port *next;
	struct pol_span span;
	struct pol_name name;	/* a named port, if name.text.p: the rest is void then */
	uint8_t proto;		/* a bare number repeats the protocol: filled in here too */
	bool repeated;		/* the protocol was not written again */
	bool by_number;		/* written `proto 47` */
	bool all;		/* every port or type: lo 0, hi 65535 (255 for ICMP) */
	uint16_t lo, hi;	/* ports or ICMP types, inclusive; 0..65535 for others */
	struct pol_str type;	/* the ICMP type's name as written, or empty */
	struct pol_tcp_flags flags;	/* filters only */
};

struct pol_port_list POL_LIST(struct pol_port);

struct pol_ports {
	struct pol_span span;
	struct pol_port_list of;
};

/* Does the protocol have ports (tcp, udp, sctp)? Types (icmp, icmp6)? */
bool pol_proto_has_ports(uint8_t proto);
bool pol_proto_has_types(uint8_t proto);
/* "tcp", "icmp6", or NULL for one without a word of its own. */
const char *pol_proto_name(uint8_t proto);

/* ---- rules ---------------------------------------------------------------------------- */

/* `limit 200/s burst 400 per source /24` */
struct pol_ast_limit {
	struct pol_span span;
	uint32_t rate;		/* > 0 */
	uint32_t seconds;	/* the rate's unit: 1, 60 or 3600 */
	uint32_t burst;		/* > 0 */
	bool per_source;
	uint8_t len4, len6;	/* per source: prefix lengths, 32 and 64 unless written */
};

#define POL_AST_ACTIONS(X)								\
	X(POL_AST_ALLOW, "allow")							\
	X(POL_AST_DENY, "deny")								\
	X(POL_AST_REJECT, "reject")							\
	X(POL_AST_SKIP, "skip")								\
	X(POL_AST_DROP, "drop")	/* filters: drop, pass, limit */			\
	X(POL_AST_PASS, "pass")								\
	X(POL_AST_LIMIT, "limit")

enum pol_ast_action { POL_AST_ACTIONS(POL_ENUM_ITEM) };

enum pol_cond_test { POL_COND_PRESENT, POL_COND_EQ, POL_COND_MATCH, POL_COND_ABSENT };

struct pol_cond {		/* of an HTTP line: host == "x", header "n" ~"re", header "n", not query */
	struct pol_cond *next;
	struct pol_span span;
	bool host, query;	/* else a header */
	struct pol_string header;
	enum pol_cond_test test;
	struct pol_string value;	/* EQ: the text, MATCH: the regular expression */
};

struct pol_conds POL_LIST(struct pol_cond);

struct pol_method {
	struct pol_method *next;
	struct pol_string name;
};

struct pol_methods POL_LIST(struct pol_method);

struct pol_http_line {
	struct pol_http_line *next;
	struct pol_span span;
	enum pol_ast_action action;		/* ALLOW or DENY */
	struct pol_methods methods;	/* empty: * */
	bool regex;			/* path is ~"re" */
	struct pol_string path;
	struct pol_conds where;	/* all must hold */
	bool websocket;
};

struct pol_http_lines POL_LIST(struct pol_http_line);

struct pol_http {
	struct pol_span span;		/* from `http` to its } */
	struct pol_http_lines lines;
};

/* A rule of a policy. */
struct pol_ast_rule {
	struct pol_ast_rule *next;
	struct pol_span span;		/* the statement, without ; */
	enum pol_ast_action action;		/* ALLOW DENY REJECT SKIP */
	struct pol_span action_span;
	bool egress;			/* `to`; else `from` */
	struct pol_ast_peer *peer;
	struct pol_ports *on;		/* NULL: every protocol and port */
	bool log;
	struct pol_string name;		/* name.text.p NULL: none */
	struct pol_ast_limit *limit;	/* NULL: none */
	struct pol_http *http;		/* NULL: none */
	struct pol_span log_span;
};

struct pol_rules POL_LIST(struct pol_ast_rule);

/* A line of a filter. */
struct pol_filter_rule {
	struct pol_filter_rule *next;
	struct pol_span span;
	enum pol_ast_action action;		/* DROP PASS LIMIT */
	struct pol_ast_peer *from, *to;	/* NULL: any */
	struct pol_ports *on;		/* NULL: every protocol; may carry TCP flags */
	struct pol_ports *sport;	/* NULL: every source port; items have proto 0 */
	struct pol_ast_limit *limit;	/* of LIMIT */
	bool log;
	struct pol_span log_span;
	struct pol_string name;
};

struct pol_filter_rules POL_LIST(struct pol_filter_rule);

/* ---- services ---------------------------------------------------------------------------- */

struct pol_vip {
	struct pol_vip *next;
	struct pol_span span;
	struct pol_peers addresses;		/* PREFIX of full length */
	struct pol_ports *on;
};

struct pol_vips POL_LIST(struct pol_vip);

struct pol_backend {
	struct pol_backend *next;
	struct pol_span span;
	struct pol_ast_peer *peer;
	struct pol_ports *on;
	uint32_t weight;		/* 1 unless written */
};

struct pol_backends POL_LIST(struct pol_backend);

/* A number as written. */
struct pol_number {
	uint32_t value;
	struct pol_span span;
};

#define POL_CHECK_MARKS(X)								\
	X(POL_CHECK_EVERY, "every")		/* seconds */				\
	X(POL_CHECK_TIMEOUT, "timeout")		/* seconds */				\
	X(POL_CHECK_RISE, "rise")		/* good ones in a row, and it is up */	\
	X(POL_CHECK_FALL, "fall")		/* bad ones in a row, and it is down */

enum pol_check_mark { POL_CHECK_MARKS(POL_ENUM_ITEM) POL_CHECK_MARK_MAX };

/* How a backend is known to be there. */
struct pol_check {
	struct pol_span span;		/* POL_NO_SPAN: not written, backends count as up */
	struct pol_string path;		/* of an HTTP GET; text.p NULL: a TCP connection is enough */
	struct pol_number mark[POL_CHECK_MARK_MAX];	/* value 0: not written */
};

/* ---- flows ---------------------------------------------------------------------------------- */

/* from PEER to PEER [on PORTS] [METHOD ["PATH"]] */
struct pol_flow {
	struct pol_span span;
	struct pol_ast_peer *from, *to;
	struct pol_ports *on;		/* NULL: every protocol and port (asserts only) */
	struct pol_string method;	/* text.p NULL: none */
	struct pol_string path;		/* text.p NULL: none; always set with a method */
};

/* ---- definitions ---------------------------------------------------------------------------- */

#define POL_DECL_KINDS(X)								\
	X(POL_DECL_IMPORT, "import")							\
	X(POL_DECL_DEFAULT, "default")							\
	X(POL_DECL_POOL, "pool")							\
	X(POL_DECL_OPTION, "option")							\
	X(POL_DECL_CIDR, "cidr")							\
	X(POL_DECL_PORT, "port")							\
	X(POL_DECL_ENDPOINT, "endpoint")						\
	X(POL_DECL_POLICY, "policy")							\
	X(POL_DECL_SERVICE, "service")							\
	X(POL_DECL_FILTER, "filter")							\
	X(POL_DECL_ASSERT, "assert")

enum pol_decl_kind { POL_DECL_KINDS(POL_ENUM_ITEM) };

struct pol_cidr_item {
	struct pol_cidr_item *next;
	struct pol_span span;
	enum { POL_CIDR_PREFIX, POL_CIDR_NAME, POL_CIDR_FILE } kind;
	union {
		struct pol_prefix prefix;
		struct pol_name name;			/* another cidr; name.decl resolved */
		struct {
			struct pol_string path;		/* as written; relative to this text */
			bool or_none;
			struct pol_source *source;	/* resolved; NULL: none */
		} file;
	};
};

struct pol_cidr_items POL_LIST(struct pol_cidr_item);

enum pol_ast_stage { POL_AST_STAGE_ADMIN, POL_AST_STAGE_MAIN, POL_AST_STAGE_BASELINE };

struct pol_policy {
	struct pol_ast_peer *subject;	/* NAME (endpoint), SELECTOR, ANY, or a UNION; never NULL */
	bool subject_written;		/* false: `policy api { }`, subject is the name */
	enum pol_ast_stage stage;
	uint32_t tier;			/* of ADMIN and BASELINE, lower first */
	struct pol_span tier_span;
	bool audit;
	struct pol_rules rules;
};

struct pol_decl {
	enum pol_decl_kind kind;
	struct pol_span span;		/* from the keyword to ; or } */
	struct pol_span head;		/* without a block */
	struct pol_decl *next;		/* in its file */
	struct pol_name name;		/* name.text.p NULL: has none */
	uint32_t index;			/* resolved: position in pol_program.decls */
	union {
		struct {				/* IMPORT */
			struct pol_string path;
			struct pol_file *file;		/* resolved */
		} import;
		struct {				/* DEFAULT */
			bool allow;
		} dflt;
		struct {				/* POOL */
			struct pol_peers prefixes;		/* PREFIX nodes */
		} pool;
		struct {				/* OPTION: `option host open;` */
			bool host_open;
		} option;
		struct {				/* CIDR */
			bool dynamic;			/* the set may change at run time */
			struct pol_cidr_items items;
			struct pol_prefix *prefixes;	/* resolved: names and files included; */
			size_t n_prefixes;		/* neither sorted nor merged */
			const struct pol_prefix *in_pool;	/* resolve's own, with: */
			bool pool_known;
			uint8_t mark;			/* resolve's own */
		} cidr;
		struct {				/* PORT */
			struct pol_ports *ports;	/* as written; may name other ports */
			const struct pol_port **flat;	/* resolved: without names */
			size_t n_flat;
			uint8_t mark;			/* resolve's own */
		} port;
		struct {				/* ENDPOINT */
			struct pol_ast_sel *selector;
		} endpoint;
		struct pol_policy policy;		/* POLICY */
		struct {				/* SERVICE */
			struct pol_vips vips;
			struct pol_backends backends;
			bool random;			/* balance random; else maglev */
			bool dsr;			/* mode dsr; else nat */
			struct pol_span balance_span;	/* POL_NO_SPAN: not written */
			struct pol_span mode_span;	/* likewise */
			struct pol_check check;
		} service;
		struct {				/* FILTER */
			struct pol_label_values interfaces;
			struct pol_filter_rules rules;
		} filter;
		struct {				/* ASSERT */
			bool allow;
			struct pol_flow *flow;
		} assertion;
	};
};

struct pol_decls POL_LIST(struct pol_decl);

/* One policy text. */
struct pol_file {
	struct pol_source *source;
	struct pol_decls decls;
	uint8_t mark;		/* resolve's own */
};

/* ---- names of enumerators, and the tree as text ---------------------------------------------- */

const char *pol_sel_kind_name(enum pol_ast_sel_kind k);
const char *pol_peer_kind_name(enum pol_ast_peer_kind k);
const char *pol_action_name(enum pol_ast_action a);
const char *pol_decl_kind_name(enum pol_decl_kind k);

/* The tree without places, one declaration a line: equal texts mean the same policy. */
void pol_ast_dump(struct pol_buf *b, const struct pol_file *f);
void pol_peer_dump(struct pol_buf *b, const struct pol_ast_peer *p);
void pol_sel_dump(struct pol_buf *b, const struct pol_ast_sel *s);

#endif
