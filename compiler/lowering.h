/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to lowering: what its files share.
 *
 * Every function may add diagnostics; they return something harmless then, and
 * pol_lower gives up at the end.
 */
#ifndef POLC_LOWERING_H
#define POLC_LOWERING_H

#include "compiler/intern.h"
#include "compiler/lower.h"
#include "compiler/ranges.h"

#define POL_UNSET UINT32_MAX

struct pol_lowering {
	struct pol_program *program;
	struct pol_diags *diags;
	struct pol_arena *arena;
	struct pol_ir *ir;
	struct pol_builder b;
	uint32_t *decl_id;		/* by declaration: selector or aset, or POL_UNSET */
	POL_VEC(struct pol_prefix) named; /* every prefix that a peer names */
	POL_VEC(uint32_t) noted;	/* asets that the end of a filter's line names */
	bool uses_public;
	bool asserting;			/* what it names is not named by a rule */
	bool exhausted;			/* said so: pol_ir_exhausted concerns all peers that follow */
};

/* lower_sel.c */
uint32_t pol_lower_sel(struct pol_lowering *l, const struct pol_ast_sel *s);
uint32_t pol_lower_endpoint(struct pol_lowering *l, const struct pol_decl *d);
/* NAME of an endpoint, SELECTOR, ANY or a UNION of these. */
uint32_t pol_lower_subject(struct pol_lowering *l, const struct pol_ast_peer *p);

/* lower_peer.c */
uint32_t pol_lower_cidr(struct pol_lowering *l, const struct pol_decl *d);
uint32_t pol_lower_peer(struct pol_lowering *l, const struct pol_ast_peer *p);

/* lower_filter.c: all filters, behind the rules of policies */
void pol_lower_filters(struct pol_lowering *l);
uint32_t pol_lower_prefixes(struct pol_lowering *l, const struct pol_prefix *p, size_t n);	/* lower_peer.c */
/* lower.c; rule: whose it is */
int32_t pol_lower_limit(struct pol_lowering *l, const struct pol_ast_limit *from, uint32_t rule);
struct pol_str pol_lower_text(struct pol_lowering *l, struct pol_span at);	/* on one line */

/* lower_l4.c */
uint32_t pol_lower_ports(struct pol_lowering *l, const struct pol_ports *ports);	/* NULL: all */

/* special.c: the addresses that `public` leaves out of `world` */
struct pol_aset pol_special_purpose(struct pol_arena *a);

/* lower_http.c: one block; its index in pol_ir.https. Then, once all are there, the image. */
int32_t pol_lower_http(struct pol_lowering *l, const struct pol_http *block, uint32_t rule);
void pol_lower_http_image(struct pol_lowering *l);

/* lower_service.c: a service; and its VIPs, which is what its name means as a peer; how many. */
void pol_lower_service(struct pol_lowering *l, const struct pol_decl *d);
size_t pol_lower_vips(struct pol_lowering *l, const struct pol_decl *d, const struct pol_prefix **out);

/* lower_tiers.c: equal tiers whose subjects overlap */
void pol_lower_check_tiers(struct pol_lowering *l);

/* Says what this version cannot enforce. */
void pol_lower_refuse(struct pol_lowering *l, struct pol_span at, const char *what);
/* Says that `what` at `at` is too complex, if the builder overflowed. */
void pol_lower_check_overflow(struct pol_lowering *l, struct pol_span at, const char *what);

#endif
