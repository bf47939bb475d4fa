/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What people ask for on a command line, as words: a flow, written as polc writes it,
 *
 *	from PEER to PEER on PROTO PORT [METHOD "PATH"]
 *
 * or a filter of what monitor and flows show, in any order:
 *
 *	[new] [log] [drop] [audit] [http]		what happened; none: everything
 *	[allow] [deny] [reject] [refuse] [fail]		and how it was judged; none: anyhow
 *	[from PEER] [to PEER] [peer PEER]		peer: either end
 *	[on PROTO [PORT[-PORT]]] [reason NAME] [rule FILE:LINE]
 *
 * PEER: an endpoint's name, a class of the policy, an address or prefix, labels in brackets
 * ([app=web,tier=x]), NAME@ADDRESS or [LABELS]@ADDRESS, any, world, host, nodes.
 */
#ifndef POLC_RUNTIME_QUERY_H
#define POLC_RUNTIME_QUERY_H

#include "book.h"

/* What a filter lets through; an event or request is one of them. */
#define PRT_SEES(X) \
	X(NEW, "new", "allow") X(LOG, "log", "allow") X(DENY, "drop", "deny") \
	X(REJECT, "drop", "reject") X(DROP, "drop", "drop") X(AUDIT, "audit", "audit") \
	X(HTTP_ALLOW, "http", "allow") X(HTTP_DENY, "http", "deny") \
	X(HTTP_REFUSE, "http", "refuse") X(HTTP_FAIL, "http", "fail")
#define PRT_SEE_ENUM(e, k, v) PRT_SEE_##e,
enum prt_see { PRT_SEES(PRT_SEE_ENUM) PRT_SEE_MAX };
#undef PRT_SEE_ENUM

enum prt_peer_kind {
	PRT_PEER_ANY, PRT_PEER_WORLD, PRT_PEER_HOST, PRT_PEER_NODES, PRT_PEER_NET, PRT_PEER_NAME,
	PRT_PEER_LABELS,
};

struct prt_peer {
	enum prt_peer_kind kind;
	struct pol_str text;		/* as it was written */
	struct pol_str name;		/* NAME: of an endpoint or class */
	const struct prt_label *labels;	/* LABELS */
	size_t nlabels;
	bool has_net;			/* NET, and NAME or LABELS with `@` */
	struct pol_prefix net;
};

struct prt_query {
	uint32_t sees;			/* bits by enum prt_see */
	bool has_from, has_to, has_peer;
	struct prt_peer from, to, peer;
	bool has_proto, has_port;
	uint8_t proto;
	uint16_t port_lo, port_hi;	/* or ICMP type */
	uint64_t reasons[POL_WATCH_REASONS / 64];	/* all 0: any */
	bool has_rule;
	struct pol_str rule_file;
	uint32_t rule_line;
	struct pol_str method, path;	/* of a flow; n == 0: none */
};

/*
 * -EINVAL: a word is not understood, and which.  Memory is the arena's.  A flow has both peers, one
 * protocol and, where it has them, one port or type.
 */
int prt_query_parse(struct pol_arena *arena, char *const *words, size_t n, bool flow,
		     struct prt_query *out, struct pol_err *e);
/* Are its names those of endpoints or classes?  -EINVAL: one is of neither. */
int prt_query_check(const struct prt_query *f, const struct prt_book *b, struct pol_err *e);

/* What there is to compare. */
struct prt_seen {
	enum prt_see see;
	const struct pol_addr *src, *dst;
	uint8_t proto;
	uint16_t port;
	uint8_t reason;			/* enum pol_reason */
	const struct prt_rule *rule, *other;	/* NULL: none */
};
bool prt_query_match(const struct prt_query *f, const struct prt_book *b,
		      const struct prt_seen *s);
bool prt_peer_match(const struct prt_peer *p, const struct prt_book *b, const struct pol_addr *a);

/* As much of it as the data path can decide: it never leaves out what the filter lets through. */
void prt_query_watch(const struct prt_query *f, const struct prt_book *b, struct pol_watch *out);

const char *prt_see_kind(enum prt_see s);	/* "new", "drop", "http", ... */
const char *prt_see_verdict(enum prt_see s);	/* "allow", "deny", ... */
enum prt_see prt_see_of(const struct pol_event *v);

#endif
