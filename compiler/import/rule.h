/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules on their way from a foreign policy to the text: what all dialects have in common.
 */
#ifndef POLC_IMPORT_RULE_H
#define POLC_IMPORT_RULE_H

#include "compiler/import/model.h"

/* One element of `on`. A named port has a number only where it is known which pod is asked. */
struct pol_import_l4 {
	const char *proto;	/* "tcp", "icmp6"; for a named port NULL: any */
	struct pol_str name;	/* of a named port */
	bool all;
	uint16_t lo, hi;	/* ports or ICMP types */
};

/* sel: of an endpoint the selector's text; else empty, and `text` is the peer as written. */
struct pol_import_peer {
	struct pol_str sel, text;
	bool loose;		/* text has except or in: braces in a list */
};

struct pol_import_rule {
	const struct pol_yaml *at;
	const char *action;	/* allow, deny, skip */
	bool egress;
	POL_VEC(struct pol_import_peer) peers;
	bool any_peer;
	POL_VEC(struct pol_import_l4) on;
	bool any_l4;
	bool any_holder;	/* egress: a named port is its numbers, whichever peer has them */
	struct pol_str name;	/* or empty */
	struct pol_str http;	/* lines of a block, or p NULL: none */
};

struct pol_import_policy {
	const struct pol_import_object *object;
	struct pol_str name;	/* as in the text */
	struct pol_str subject;	/* a selector's text */
	struct pol_str tier;	/* "tier admin 7", or empty */
	POL_VEC(struct pol_import_rule) rules;
	bool closed[2];		/* ordinary policies: this direction is closed, even without a rule */
	bool open[2];		/* and this one is not, whatever rules there are */
};

/* ---- selector.c --------------------------------------------------------------------------- */

enum pol_import_scope {
	POL_IMPORT_SCOPE_POD,
	POL_IMPORT_SCOPE_NS,
	POL_IMPORT_SCOPE_CILIUM,
};

/*
 * Appends the terms of a LabelSelector (NULL: none), joined by `and`, to what b has. A
 * selector without terms appends nothing.
 */
int pol_import_selector(const struct pol_import_object *o, const struct pol_yaml *sel,
			enum pol_import_scope scope, struct pol_buf *b);
void pol_import_term(struct pol_buf *b, const char *fmt, ...) POL_PRINTF(2, 3);
/* What has a namespace is a pod: says so where the terms so far do not. */
void pol_import_only_pods(struct pol_buf *b);
/* A label key, bare or in quotes as it must be. */
void pol_import_key(struct pol_buf *b, struct pol_str key);
/* A name of at most so many bytes: the end of one that is longer is its hash. */
struct pol_str pol_import_short(struct pol_import *im, struct pol_str name, size_t max);
/* Moves the text into the arena. */
struct pol_str pol_import_take(struct pol_import *im, struct pol_buf *b);

/* ---- rule.c ------------------------------------------------------------------------------- */

struct pol_import_rule *pol_import_rule_new(struct pol_import_policy *p, const struct pol_yaml *at,
					    const char *action, bool egress);
void pol_import_add_sel(struct pol_import_rule *r, struct pol_str sel);
void pol_import_add_text(struct pol_import_rule *r, struct pol_str text, bool loose);
/* `world in PREFIX except { ... }`, of a mapping { cidr, except }. */
int pol_import_block(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *cidr, const struct pol_yaml *except,
		     struct pol_str *text);
/* Of an IntOrString: a number, or a name. end may be NULL. */
int pol_import_port_of(const struct pol_import_object *o, const struct pol_yaml *port,
		       const struct pol_yaml *end, struct pol_import_l4 *out);
void pol_import_policy_free(struct pol_import_policy *p);

/* Writes it, once for each number that its named ports have; frees it. */
int pol_import_write(struct pol_import *im, struct pol_import_policy *p);

/* Its text alone; p stays as it is. */
void pol_import_put(struct pol_import *im, const struct pol_import_policy *p);

/* ---- open.c ------------------------------------------------------------------------------- */

/* Keeps p, which then belongs to im, and writes it when all others are known. */
int pol_import_defer(struct pol_import *im, struct pol_import_policy *p);
int pol_import_deferred(struct pol_import *im);

/* ---- dialects ------------------------------------------------------------------------------- */

int pol_import_netpol(struct pol_import *im, const struct pol_import_object *o);
int pol_import_tier(struct pol_import *im, const struct pol_import_object *o);
int pol_import_cilium(struct pol_import *im, const struct pol_import_object *o);
/* May a denial of this policy be one of the host? */
bool pol_cilium_denies_host(const struct pol_import_object *o);

/* ---- workload.c: classes, and the host file ---------------------------------------------------- */

void pol_import_classes(struct pol_import *im);
void pol_import_host(struct pol_import *im);

#endif
