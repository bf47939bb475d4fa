/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The intermediate representation: a policy set as ordered decisions over a
 * flow space.  Everything that names an address, a port or a label has become
 * a set; equal sets are one object, so sets are compared by number.
 *
 * Built by lower.h from the resolved AST; read by the evaluator, the analyses
 * and the table builder; never changed after that.  All memory is the arena's.
 */
#ifndef POLC_IR_H
#define POLC_IR_H

#include <polc/abi.h>
#include <polc/tables.h>

#include "base/base.h"
#include "base/http.h"
#include "compiler/http/http.h"
#include "lang/ast.h"
#include "lang/source.h"

/* ---- L4: which protocol and destination port ------------------------------- */

/*
 * One key for TCP, UDP and SCTP ports, ICMP and ICMPv6 types, and for every
 * other protocol by its number alone (value 0): protocol << 16 | value.
 */
#define POL_L4_KEY(proto, value) ((uint32_t)(proto) << 16 | (uint16_t)(value))
#define POL_L4_KEY_MAX POL_L4_KEY(255, 65535)

struct pol_range32 { uint32_t lo, hi; };	/* inclusive */

struct pol_l4set {		/* sorted, disjoint, not adjacent; id 0 is everything */
	struct pol_range32 *range;
	size_t n;
};

/* ---- addresses --------------------------------------------------------------- */

typedef unsigned __int128 pol_u128;
struct pol_range128 { pol_u128 lo, hi; };	/* inclusive, host order */

/*
 * Sorted, disjoint, not adjacent.  An IPv4 prefix also stands in v6 as
 * 64:ff9b::/96 with the address in the low bits (RFC 6052).  id 0 is every
 * address, and what an unknown address ("no prefix names it") belongs to.
 */
struct pol_aset {
	struct pol_range32 *v4;
	size_t n4;
	struct pol_range128 *v6;
	size_t n6;
};

/* ---- selectors ----------------------------------------------------------------- */

enum pol_sel_op { POL_SEL_TRUE, POL_SEL_IN, POL_SEL_HAS, POL_SEL_NOT, POL_SEL_AND, POL_SEL_OR };

/* Interned and normalised: operands sorted, values sorted and unique, operands before users. id 0 is TRUE. */
struct pol_sel {
	enum pol_sel_op op;
	struct pol_str key;		/* IN, HAS */
	struct pol_str *value;		/* IN */
	uint32_t *operand;		/* NOT (1), AND, OR (2 or more): selector ids */
	size_t n;			/* values or operands */
};

/* ---- predicates over a peer ------------------------------------------------------ */

/* Entities as a mask.  In the IR an address in `pool` that nobody owns is an entity of its own. */
enum pol_peer_kind {
	POL_PEER_WORLD = 1 << 0,
	POL_PEER_POOL = 1 << 1,		/* inside `pool`, no known endpoint */
	POL_PEER_HOST = 1 << 2,
	POL_PEER_NODE = 1 << 3,
	POL_PEER_ENDPOINT = 1 << 4,
	POL_PEER_ALL = (1 << 5) - 1,
};

/* entity in mask, and labels satisfy sel, and address in aset.  sel is 0 unless mask is ENDPOINT alone. */
struct pol_term {
	uint32_t mask;
	uint32_t sel;
	uint32_t aset;
};

/* A union of terms; sorted; interned. No term: never. id 0 is { ALL, 0, 0 }: `any`. */
struct pol_pred {
	struct pol_term *term;
	size_t n;
};

/* ---- rules -------------------------------------------------------------------------- */

enum pol_stage { POL_STAGE_ADMIN, POL_STAGE_MAIN, POL_STAGE_BASELINE, POL_STAGES };

enum pol_implicit {
	POL_EXPLICIT,		/* written as a rule */
	POL_IMPLICIT_CLOSED,	/* "nothing in this policy's direction allows it"; span: the policy's name */
	POL_IMPLICIT_DEFAULT,	/* the `default` statement */
	POL_IMPLICIT_HOST,	/* option host open */
};

struct pol_rule {
	uint32_t id;		/* index in pol_ir.rules: order of the text; closed and default come last */
	uint32_t order;		/* rank in the one first-match order, dense, 0 first, unique */
	enum pol_implicit implicit;
	enum pol_stage stage;
	int32_t priority;	/* tier number, 0 elsewhere */
	enum pol_direction direction;
	enum pol_action action;	/* POL_SKIP only in tiers */
	uint32_t subject;	/* selector */
	uint32_t pred;		/* over the peer */
	uint32_t l4;		/* pol_l4set */
	bool audit;		/* of an audit policy: decides nothing */
	bool log;
	int32_t limit;		/* index into pol_ir.limits, or -1 */
	int32_t http;		/* index into pol_ir.https, or -1 */
	struct pol_str policy;	/* name */
	struct pol_str name;	/* attribute, or empty */
	struct pol_str text;	/* one line of source, white space folded */
	struct pol_span span;
};

/* Orders rules by block: 0 for two of one subject, direction and stage, both audit or neither. */
static inline int pol_rule_block_cmp(const struct pol_rule *a, const struct pol_rule *b)
{
	if (a->subject != b->subject)
		return a->subject < b->subject ? -1 : 1;
	if (a->direction != b->direction)
		return a->direction < b->direction ? -1 : 1;
	if (a->stage != b->stage)
		return a->stage < b->stage ? -1 : 1;
	return (a->audit > b->audit) - (a->audit < b->audit);
}

/* ---- the whole ------------------------------------------------------------------------ */

struct pol_class {		/* endpoint NAME = selector; in order of the text */
	struct pol_str name;
	uint32_t sel;
	struct pol_span span;
};

struct pol_named_set {		/* cidr NAME; in order of the text */
	struct pol_str name;
	uint32_t aset;
	struct pol_span span;
};

/*
 * assert allow | deny: of every flow that fits, or none.  Nothing in it counts as
 * "named by the policy", and tables know nothing of it.
 */
struct pol_assertion {
	bool allow;
	uint32_t pred[2];	/* source, destination */
	bool exact[2];		/* the address is given (`@`): it need not be in `pool` */
	uint32_t l4;
	struct pol_str method, path;	/* of a request; p NULL: about every request, or none */
	struct pol_span span;	/* the statement */
};

/* The http block of an allow; its index is what verdicts name. */
struct pol_ir_http {
	uint32_t rule;
	uint32_t group;		/* of rules that share an automaton */
	const struct pol_http *block;
};

/*
 * What a filter's line asks of the headers behind IP: any term holds.  `flags` are asked of TCP
 * alone; a term with flags or source ports has only protocols that have them.
 */
struct pol_filter_term {
	uint32_t l4;		/* l4set: protocol, and destination port or ICMP type */
	uint32_t sport;		/* l4set over source ports (protocol 0); 0: any */
	uint8_t set, clear;	/* TCP flags that are set, that are not */
};

/* cidr NAME dynamic: what is written is an aset, what is added at run time is not known here. */
struct pol_dynamic_set {
	struct pol_str name;
	uint32_t aset;
	struct pol_span span;
};

struct pol_filter_end {		/* source or destination: in the aset, or in a dynamic set */
	uint32_t aset;
	uint64_t dynamic;	/* bit n: pol_ir.dynamics[n] */
	uint32_t *named;	/* asets: all that the text names, what it leaves out too */
	size_t nnamed;
};

struct pol_filter_line {
	uint32_t rule;		/* number in reports: behind those of pol_ir.rules */
	enum pol_filter_action action;
	bool log;
	int32_t limit;		/* of LIMIT: index into pol_ir.limits */
	struct pol_filter_end src, dst;
	struct pol_filter_term *term;	/* n == 0: whatever stands behind IP */
	size_t n;
	struct pol_str name, text;
	struct pol_span span;
};

/* filter NAME on INTERFACES; in order of the text.  The last line is unconditional. */
struct pol_ir_filter {
	struct pol_str name;
	struct pol_str *interface;
	size_t ninterfaces;
	struct pol_filter_line *line;
	size_t n;
	struct pol_span span;
};

struct pol_ir_vip {
	struct pol_ip addr;
	uint16_t port;
	struct pol_span span;
};

struct pol_ir_backend {
	bool by_class;
	uint32_t sel;			/* by_class: every endpoint that it selects */
	struct pol_ip addr;		/* else this address */
	uint16_t port;
	uint32_t weight;
	struct pol_str text;		/* as written */
};

/* service NAME; in order of the text. */
struct pol_ir_service {
	struct pol_str name;
	uint8_t proto;			/* TCP or UDP */
	bool random, dsr;
	bool checked;			/* by `polload health`, with: */
	struct pol_str path;		/* n == 0: by connecting */
	uint32_t check[POL_CHECK_MARK_MAX];
	struct pol_ir_vip *vip;
	size_t nvips;
	struct pol_ir_backend *backend;
	size_t nbackends;
	struct pol_span span;
};

struct pol_ir {
	struct pol_arena *arena;
	const struct pol_sources *sources;
	enum pol_action default_action;
	bool host_open;
	uint32_t pool;		/* aset: id of the union of `pool`; an empty set where none is declared */
	POL_VEC(struct pol_sel) sels;
	POL_VEC(struct pol_l4set) l4sets;
	POL_VEC(struct pol_aset) asets;
	POL_VEC(struct pol_pred) preds;
	POL_VEC(struct pol_rule) rules;		/* by id */
	POL_VEC(uint32_t) by_order;		/* rule ids, first match first */
	POL_VEC(struct pol_limit) limits;
	POL_VEC(struct pol_class) classes;
	POL_VEC(struct pol_named_set) cidrs;
	POL_VEC(struct pol_assertion) assertions;
	POL_VEC(struct pol_ir_filter) filters;
	uint32_t nlines;			/* of all filters: their rules follow those of `rules` */
	POL_VEC(struct pol_dynamic_set) dynamics;
	POL_VEC(struct pol_ir_service) services;
	POL_VEC(struct pol_ir_http) https;	/* in order of the text */
	struct pol_str http_image;		/* of all of them (polc/http.h); n == 0: there are none */
	struct pol_http_view http;		/* into it */
	struct pol_http_stats http_stats;
};

/* The line of a filter that has this number in reports; NULL: it is a rule of a policy, or nothing. */
static inline const struct pol_filter_line *pol_ir_line(const struct pol_ir *ir, uint32_t rule)
{
	for (size_t i = 0; i < ir->filters.n; i++) {
		const struct pol_ir_filter *f = &ir->filters.v[i];

		if (f->n && rule >= f->line[0].rule && rule - f->line[0].rule < f->n)
			return &f->line[rule - f->line[0].rule];
	}
	return NULL;
}

/*
 * The first-match order, lowest first (polc-policy(5) POLICIES,
 * "Order"); ties by position in the text:
 *
 *	option host open                 ingress from host, action allow, stage admin
 *	stage admin, by priority, then text
 *	stage main: deny, reject, allow, then closed
 *	stage baseline, by priority, then text
 *	default                          both directions, subject 0, pred 0, l4 0, stage baseline
 *
 * One closed rule for every (policy, direction) with a rule of stage main.
 * Audit policies' rules have their places in the same order; what is in force
 * is decided without them, what they would deny with them.
 */

#endif
