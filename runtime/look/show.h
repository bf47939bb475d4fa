/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the looking commands say, as text or JSON into a buffer.  Names from
 * outside are made safe for a terminal; in JSON they are escaped.
 */
#ifndef POLC_RUNTIME_SHOW_H
#define POLC_RUNTIME_SHOW_H

#include <polc/service.h>

#include "runtime/change/apply.h"
#include "book.h"
#include "runtime/change/boot.h"
#include "query.h"
#include "runtime/services/services.h"
#include "runtime/generation/live.h"
#include "runtime/change/shadow.h"

/* *whole: everything that should be in place is. */
int prt_show_status(struct prt_env *env, struct pol_buf *out, bool *whole, struct pol_err *e);
int prt_show_rules(struct prt_env *env, bool only_unused, struct pol_buf *out, struct pol_err *e);
int prt_show_flows(struct prt_env *env, const struct prt_query *filter, struct pol_buf *out,
		   struct pol_err *e);
/* *allow: the flow, and the request if there is one, would pass. */
int prt_show_why(const struct prt_env *env, const struct prt_query *query, bool *allow,
		 struct pol_buf *out, struct pol_err *e);
int prt_show_suggest(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_endpoints(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_services(struct prt_env *env, struct pol_buf *out, struct pol_err *e);
int prt_show_inspect(const struct prt_env *env, const char *path, struct pol_buf *out,
		     struct pol_err *e);
/* What the verifier made of a loaded object: instructions that it walked, of its million. */
void prt_show_checked(const struct prt_env *env, const char *path, const struct prt_gen *g,
		      struct pol_buf *out);
/* *differ: some flow was judged differently. */
int prt_show_shadow(struct prt_env *env, struct pol_buf *out, bool *differ, struct pol_err *e);
void prt_show_shadowed(const struct prt_env *env, const struct prt_shadowed *s, struct pol_buf *out);
void prt_show_booted(const struct prt_env *env, const struct prt_booted *b, struct pol_buf *out);
void prt_show_applied(const struct prt_env *env, const struct prt_applied *a, struct pol_buf *out);


/* ---- shared by the show files -------------------------------------------------- */

void prt_show_addr(struct pol_buf *out, const struct pol_addr *a);
/* "10.1.0.2:80", "[fd00::2]:80" */
void prt_show_addr_port(struct pol_buf *out, const struct pol_addr *a, uint16_t port);
/* "key":  or , "key":  */
void prt_show_key(struct pol_buf *out, bool first, const char *key);
void prt_show_json(struct pol_buf *out, const char *z);
const char *prt_show_ifname(uint32_t ifindex, char room[PRT_IFNAME]);	/* "" when it is gone */
const char *prt_show_proto(uint8_t proto, char room[8]);
/*
 * A name from outside as one word: in quotes and escaped unless it is plain.  In text
 * nothing of it can move a cursor or end a line.
 */
void prt_show_word(struct pol_buf *out, struct pol_str s);
/*
 * An end of a flow: "web-1 10.1.0.2:80", "host 10.1.0.1", "192.0.2.7:4242", "db-1 [fd00::2]:80",
 * "shop 198.51.100.1:80" for a service's VIP
 */
void prt_show_end(struct pol_buf *out, const struct prt_book *b, const struct pol_addr *a,
		  uint16_t port, bool ports);
/*
 * "from": {"address": "10.1.0.2", "port": 80, "is": "endpoint", "endpoint": "web-1", "classes":
 * ["frontend"]}
 */
void prt_show_end_json(struct pol_buf *out, const char *key, const struct prt_book *b,
		       const struct pol_addr *a, uint16_t port);
bool prt_show_has_ports(uint8_t proto);
/* "shop.pol:21", or "-" */
void prt_show_place(struct pol_buf *out, const struct prt_rule *r);
/* , "file": "shop.pol", "line": 21, "text": "allow from ..." and what else there is to say */
void prt_show_rule_json(struct pol_buf *out, const struct prt_rule *r);
/* , "key": "text", unless it is empty */
void prt_show_member(struct pol_buf *out, const char *key, struct pol_str s);
/* Of CLOCK_MONOTONIC, on the wall: 12:04:05.123, and 2026-11-26T12:04:05.123Z for JSON. */
void prt_show_clock(struct pol_buf *out, uint64_t ns, bool json);
/* The ends of a flow, the originator first. */
struct prt_ends { const struct pol_addr *src, *dst; uint16_t sport, dport; };
struct prt_ends prt_show_ends(const struct pol_ct_entry *f);
/* Counters of the first n rules; last_ns: when the latest packet was. */
int prt_show_hits(const struct prt_gen *g, size_t n, struct pol_rule_hits *out, struct pol_err *e);
/* Services as they are: count by backend, hits by service. */
struct prt_seen_services {
	struct prt_live l;
	struct prt_object *o;
	struct prt_services s;
	struct prt_svc_count *count;
	struct pol_svc_hits *hits;
};
/* Close in every case.  -ENOENT: no policy, or one without services. */
int prt_seen_services_open(struct prt_env *env, struct prt_seen_services *v, struct pol_err *e);
void prt_seen_services_close(struct prt_seen_services *v);
/* Room for an element of a per-CPU map, `bytes` for each of *cpus possible CPUs; free(3) it.  NULL: the error. */
void *prt_show_room(size_t bytes, int *cpus, struct pol_err *e);
/* Adds up a per-CPU element of 64-bit numbers. */
int prt_show_percpu(int fd, uint32_t key, size_t numbers, uint64_t *sum);

#endif
