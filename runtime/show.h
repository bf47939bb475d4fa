/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the looking commands say, as text or JSON into a buffer.  Names from
 * outside are made safe for a terminal; in JSON they are escaped.
 */
#ifndef POLC_RUNTIME_SHOW_H
#define POLC_RUNTIME_SHOW_H

#include "apply.h"
#include "live.h"

/* *whole: everything that should be in place is. */
int prt_show_status(struct prt_env *env, struct pol_buf *out, bool *whole, struct pol_err *e);
int prt_show_rules(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_flows(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_endpoints(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_inspect(const struct prt_env *env, const char *path, struct pol_buf *out,
		     struct pol_err *e);
/* What the verifier made of a loaded object: instructions that it walked, of its million. */
void prt_show_checked(const struct prt_env *env, const char *path, const struct prt_gen *g,
		      struct pol_buf *out);
void prt_show_applied(const struct prt_env *env, const struct prt_applied *a, struct pol_buf *out);

/*
 * Events as they happen, a line each, until emit says false or *stop is set
 * (by a signal handler).
 */
typedef bool (*prt_emit_fn)(void *ctx, struct pol_str line);
int prt_monitor(struct prt_env *env, const volatile int *stop, prt_emit_fn emit, void *ctx,
		struct pol_err *e);

/* ---- shared by the show files -------------------------------------------------- */

void prt_show_addr(struct pol_buf *out, const struct pol_addr *a);
/* "key":  or , "key":  */
void prt_show_key(struct pol_buf *out, bool first, const char *key);
void prt_show_json(struct pol_buf *out, const char *z);
const char *prt_show_ifname(uint32_t ifindex, char room[PRT_IFNAME]);	/* "" when it is gone */
const char *prt_show_proto(uint8_t proto, char room[8]);
/* "shop.pol:21", or "-" */
void prt_show_rule_place(struct pol_buf *out, const struct prt_rules *rules, uint32_t rule);
/* Adds up a per-CPU element of 64-bit numbers. */
int prt_show_percpu(int fd, uint32_t key, size_t numbers, uint64_t *sum);

#endif
