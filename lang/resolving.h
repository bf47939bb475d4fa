/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the passes behind pol_load: load, names, lists, checks. */
#ifndef POLC_RESOLVING_H
#define POLC_RESOLVING_H

#include "lang/resolve.h"
#include "lang/syntax.h"

#define POL_MAX_PREFIXES (4u << 20)	/* of all cidrs, those named twice counted twice */
#define POL_MAX_PORTS (1u << 14)	/* items of all port definitions, likewise */
#define POL_MAX_CHAIN 500		/* definitions that name definitions that name ... */

struct pol_loaded {
	struct pol_str id;		/* what pol_fs.identity said */
	struct pol_file *file;
	struct pol_span import;		/* where it was imported first */
	bool loading;
};

struct pol_list {
	struct pol_str path;
	struct pol_source *source;
	struct pol_prefix *prefixes;
	size_t n;
	bool bad;			/* has mistakes, which were reported */
};

struct pol_resolve {
	struct pol_program *p;
	struct pol_diags *d;
	const struct pol_fs *fs;
	POL_VEC(struct pol_loaded) loaded;
	POL_VEC(struct pol_list) lists;	/* list files read so far */
	size_t n_prefixes, n_ports;	/* so far, against the limits */
	bool too_many_prefixes, too_many_ports;	/* said */
	uint64_t spent;			/* on what is only helpful: suggestions and warnings */
	unsigned chain;
	bool in_flow;			/* an assert or a flow is being bound: ADDRESS@ is fine */
};

/* Help must not cost more than the work: false when enough was spent on it. */
bool pol_spend(struct pol_resolve *r, uint64_t steps);

/* lang/load.c: reads the root and what it imports; fills files and decls. */
void pol_pass_load(struct pol_resolve *r, const char *path);
/* The path that `written` means in the text src, as messages show it and relative to the root. */
struct pol_str pol_path_beside(struct pol_resolve *r, struct pol_str base, struct pol_str written);
/* Reads into a new source; NULL and a diagnostic at `at`; none if it is missing and may be. */
struct pol_source *pol_read_source(struct pol_resolve *r, struct pol_str path, struct pol_str name,
				   size_t max, struct pol_span at, bool missing_ok, bool *missing);

/* lang/names.c: fills the table; binds every name. */
void pol_pass_names(struct pol_resolve *r);
void pol_bind_flow(struct pol_resolve *r, struct pol_flow *f);

/* lang/lists.c: flattens cidrs and ports, reads list files. */
void pol_pass_lists(struct pol_resolve *r);
/* Puts an item list without names; ports that were not defined are left out. */
void pol_flatten_ports(struct pol_resolve *r, const struct pol_ports *ports,
		       const struct pol_port ***out,
		       size_t *n);

/* lang/check.c, lang/check_edge.c: what the grammar cannot say. */
void pol_pass_check(struct pol_resolve *r);
void pol_check_http(struct pol_resolve *r, const struct pol_http *h);
void pol_check_service(struct pol_resolve *r, const struct pol_decl *d);
void pol_check_filter(struct pol_resolve *r, const struct pol_decl *d);
void pol_check_flow(struct pol_resolve *r, const struct pol_flow *f);
/* Shape of a peer: braces, `none`, `@`. */
void pol_check_peer(struct pol_resolve *r, const struct pol_ast_peer *p, bool in_flow);
/* The items of a port list, those that its names stand for included. */
struct pol_flat_ports {
	const struct pol_port **v;
	size_t n;
};

/* Whether every port of narrow is in wide (NULL: every protocol and port). */
bool pol_ports_cover(struct pol_resolve *r, const struct pol_ports *wide,
		     const struct pol_ports *narrow);
struct pol_flat_ports pol_flat(struct pol_resolve *r, const struct pol_ports *ports);

#endif
