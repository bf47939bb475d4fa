/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A generation: the programs of one object, its tables and all maps that are
 * its own.  It is loaded and filled while another one is in force, and
 * never seen by a packet before `active` names it.
 */
#ifndef POLC_RUNTIME_GEN_H
#define POLC_RUNTIME_GEN_H

#include <polc/abi.h>
#include <polc/service.h>

#include "runtime/input/object.h"
#include "shared.h"

/* Its maps that the loader reads or writes; the name is the pin's too. */
#define PRT_GEN_MAPS(X) \
	X(EP_BY_IF, POL_MAP_EP_BY_IF, POL_MAP_EP_BY_IF) \
	X(IF_NEAR, POL_MAP_IF_NEAR, POL_MAP_IF_NEAR) \
	X(EP_BY_ADDR, POL_MAP_EP_BY_ADDR, POL_MAP_EP_BY_ADDR) \
	X(EP_STATE, POL_MAP_EP_STATE, POL_MAP_EP_STATE) \
	X(ADDR_COLUMN, POL_MAP_ADDR_COLUMN, POL_MAP_ADDR_COLUMN) \
	X(RULE_HITS, POL_MAP_RULE_HITS, POL_MAP_RULE_HITS) \
	X(AUDITED, POL_MAP_AUDITED, POL_MAP_AUDITED) \
	X(AUDIT_LOST, POL_MAP_AUDIT_LOST, POL_MAP_AUDIT_LOST) \
	X(LIMITS, POL_MAP_LIMITS, POL_MAP_LIMITS) \
	X(PAGES, POL_SEC_PAGES, "data_pages") \
	X(VERDICTS, POL_SEC_VERDICTS, "data_verdicts") \
	X(DIFFS, POL_MAP_DIFFS, POL_MAP_DIFFS) \
	X(DIFF_SUMS, POL_MAP_DIFF_SUMS, POL_MAP_DIFF_SUMS) \
	/* made by the loader, in no object */ \
	X(EP_INFO, "", POL_MAP_EP_INFO) \
	X(HTTP, "", POL_MAP_HTTP) \
	X(INFO, "", "info")
#define PRT_GEN_ENUM(e, n, p) PRT_GEN_##e,
enum prt_gen_map { PRT_GEN_MAPS(PRT_GEN_ENUM) PRT_GEN_MAP_MAX };
#undef PRT_GEN_ENUM

/* Its programs; the first are by enum pol_hook, and so are their twins (bpf-templates/ask.h). */
#define PRT_GEN_PROGS(X) \
	X(EP_OUT, POL_PROG_EP_OUT) \
	X(EP_IN, POL_PROG_EP_IN) \
	X(UPLINK_IN, POL_PROG_UPLINK_IN) \
	X(LO_IN, POL_PROG_LO_IN) \
	X(UPLINK_OUT, POL_PROG_UPLINK_OUT) \
	X(XDP, POL_PROG_XDP) \
	X(EP_OUT_WATCHED, POL_PROG_EP_OUT POL_PROG_WATCHED) \
	X(EP_IN_WATCHED, POL_PROG_EP_IN POL_PROG_WATCHED) \
	X(UPLINK_IN_WATCHED, POL_PROG_UPLINK_IN POL_PROG_WATCHED) \
	X(SHADOW, POL_PROG_SHADOW) \
	X(ASK, POL_PROG_ASK) \
	X(LISTENER, POL_PROG_LISTENER)
#define PRT_GEN_ENUM(e, n) PRT_PROG_##e,
enum prt_prog { PRT_GEN_PROGS(PRT_GEN_ENUM) PRT_PROG_MAX };
#undef PRT_GEN_ENUM
#define PRT_PROG_WATCHED PRT_PROG_EP_OUT_WATCHED	/* + hook */

#define PRT_LOAD_HOOKS (63u << PRT_PROG_EP_OUT | 1u << PRT_PROG_LISTENER)
#define PRT_LOAD_WATCHED (7u << PRT_PROG_WATCHED)
#define PRT_LOAD_SHADOW (1u << PRT_PROG_SHADOW)
#define PRT_LOAD_ASK (1u << PRT_PROG_ASK)
#define PRT_LOAD_ALL ((1u << PRT_PROG_MAX) - 1)

#define PRT_GEN_AUDIT (1u << 0)		/* apply --audit: report, let pass */
#define PRT_GEN_PREV_AUDIT (1u << 1)	/* so was the one before */
#define PRT_GEN_HOST_OPEN (1u << 2)	/* option host open */

struct prt_gen_info {	/* map `info`: one element */
	uint64_t prev;		/* generation that `rollback` returns to, 0: none */
	uint64_t applied;	/* seconds since 1970 */
	uint32_t flags;		/* PRT_GEN_* */
	uint32_t pages, page_room, verdicts, verdict_room; /* for `status` */
	uint32_t columns; /* of endpoints that were ever in use, 0: not known */
	char object[256];	/* as it was given, NUL-terminated */
	char policy[128];
};

/* An array map puts its elements at multiples of eight bytes (kernel/bpf/arraymap.c, elem_size). */
struct prt_column {
	uint32_t column, gap;
};

struct prt_gen {
	uint64_t number;
	struct prt_gen_info info;
	int fd[PRT_GEN_MAP_MAX];
	uint32_t svc_blocks, svc_backends; /* before loading: room for services; 0: as the object says */
	int prog[PRT_PROG_MAX];	/* -1: not loaded, or the object has none */
	struct bpf_object *bpf;	/* while it is being loaded; NULL when opened from its pins */
	/* Mapped; lengths of pages and verdicts as in info. */
	struct pol_ep_state *state;	/* POL_EP_MAX */
	struct prt_column *slot;	/* POL_SLOT_MAX */
	uint32_t *pages;		/* page_room * POL_PAGE */
	struct pol_verdict *verdicts;	/* verdict_room */
};

void prt_gen_init(struct prt_gen *g);
void prt_gen_close(struct prt_gen *g);	/* after init; leaves it as init does */

/*
 * Loads an object into the kernel; nothing is pinned, so closing it undoes
 * everything.  With `s`: as generation `number`, using the shared maps that there are, and
 * taking up in `s` those that it is the first to have.  Without: for the
 * verifier's opinion only.  programs: PRT_LOAD_*.  -ENOEXEC: it lacks something; -EACCES,
 * -EINVAL, ...: the verifier refused it, and why.
 */
int prt_gen_load(const struct prt_object *o, struct prt_shared *s, uint64_t number,
		 uint32_t programs, struct prt_gen *g, struct pol_err *e);
/*
 * More programs of a pinned generation, over its own maps; o: the object that it was loaded from.
 * *g has the programs alone, nothing of it is pinned.
 */
int prt_gen_load_over(const struct prt_env *env, const struct prt_object *o, struct prt_shared *s,
		      uint64_t number, uint32_t programs, struct prt_gen *g, struct pol_err *e);
int prt_gen_write_info(struct prt_gen *g, struct pol_err *e);
/* Pins its maps and programs, each of them: a PROG_ARRAY without a pin or fd forgets its programs. */
int prt_gen_pin(const struct prt_env *env, const struct prt_gen *g, struct pol_err *e);
/* Opens a pinned one.  write: maps its tables too. */
int prt_gen_open(const struct prt_env *env, uint64_t number, bool write, struct prt_gen *g,
		 struct pol_err *e);

/* Does it have http rules? */
bool prt_gen_uses_http(const struct prt_gen *g);
const char *prt_gen_program_name(enum prt_prog p);
/* Opens the programs of a pinned one that are pinned too. */
int prt_gen_open_programs(const struct prt_env *env, struct prt_gen *g, struct pol_err *e);

/* Puts its programs into the slots that its parity owns; nobody looks there yet. */
int prt_gen_enter_root(const struct prt_gen *g, const struct prt_shared *s, struct pol_err *e);
/*
 * The same with the TC hooks alone: PRT_PROG_EP_OUT, or PRT_PROG_WATCHED for the twins of those
 * that have one.
 */
int prt_gen_enter_tc(const struct prt_gen *g, enum prt_prog first, const struct prt_shared *s,
		     struct pol_err *e);
/* Puts programs that pass everything on into the slots of the parity of `number`. */
int prt_gen_enter_pass(const struct prt_shared *s, uint64_t number, struct pol_err *e);
/* Lockdown: what hangs at endpoints drops everything, until the next generation takes force. */
int prt_gen_close_endpoints(const struct prt_shared *s, uint64_t active, struct pol_err *e);
/* Empties the slots of the parity that is not in force. */
int prt_gen_clear_root(const struct prt_shared *s, uint64_t active, struct pol_err *e);

#endif
