/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps that outlive generations.
 *
 *   made by the loader	active, root, root_xdp, and three that only the loader reads: meta
 *			(struct prt_meta), hooks (ifindex -> struct prt_hook) and set_names
 *   made by the first object that has them, then reused by each later one
 *			ct, frags, watch, rings, watch_lost, drops, scratch, asked, shadow; with http rules
 *			also proxy_flows, proxy_onward, proxy_self, proxy_again, proxy_listeners; with dynamic sets: sets; with
 *			services svc_ct, svc_ports
 *	likewise, but made by the loader, because the host file fills them or it alone reads them
 *			svc_balancers, svc_source, svc_state
 *
 * `ep_by_if`, `ep_by_addr` and `ep_info` are not among them: each generation
 * has its own, so who lives where changes at the same instant as what is
 * allowed, and a crash leaves no half of either.
 */
#ifndef POLC_RUNTIME_SHARED_H
#define POLC_RUNTIME_SHARED_H

#include <polc/abi.h>
#include <polc/service.h>

#include "runtime/host/bpffs.h"

struct bpf_map;
struct bpf_object;

#define PRT_SHARED(X) \
	X(CT, POL_MAP_CT) X(FRAGS, POL_MAP_FRAGS) X(WATCH, POL_MAP_WATCH) X(RINGS, POL_MAP_RINGS) \
	X(WATCH_LOST, POL_MAP_WATCH_LOST) X(DROPS, POL_MAP_DROPS) X(SCRATCH, POL_MAP_SCRATCH) \
	X(ASKED, POL_MAP_ASKED) X(SHADOW, POL_MAP_SHADOW) \
	X(PROXY_FLOWS, POL_MAP_PROXY_FLOWS) X(PROXY_ONWARD, POL_MAP_PROXY_ONWARD) \
	X(PROXY_SELF, POL_MAP_PROXY_SELF) X(PROXY_AGAIN, POL_MAP_PROXY_AGAIN) \
	X(PROXY_LISTENERS, POL_MAP_PROXY_LISTENERS) X(SETS, POL_MAP_SETS) \
	X(SVC_CT, POL_MAP_SVC_CT) X(SVC_PORTS, POL_MAP_SVC_PORTS) \
	X(SVC_BALANCERS, POL_MAP_SVC_BALANCERS) X(SVC_SOURCE, POL_MAP_SVC_SOURCE) X(SVC_STATE, POL_MAP_SVC_STATE)
#define PRT_SHARED_ENUM(e, n) PRT_SHARED_##e,
enum prt_shared_map { PRT_SHARED(PRT_SHARED_ENUM) PRT_SHARED_MAX };
#undef PRT_SHARED_ENUM

/*
 * Of all that one polload leaves and the next one reads: meta, hooks, the folder and its names, the
 * connection table and its hash, the maps of a generation and their values.  With the same number
 * versions take over from each other under traffic, whatever their POL_ABI_VERSION, which is about
 * objects; whoever changes any of it changes the number, or live connections are misread.
 */
#define PRT_LAYOUT 4u
/*
 * As 4, but its XDP programs are of another kind (expected_attach_type BPF_XDP) than a dispatcher of
 * libxdp lets jump to them, so it goes on with that kind and joins none (dispatcher.h).
 */
#define PRT_LAYOUT_NO_JOINING 3u

struct prt_meta {
	uint32_t abi, layout;
	uint64_t seed[2];	/* of the connection table's hash: as long as the table lives */
	struct prt_netns netns;	/* the hooks' */
	/*
	 * Numbers of endpoints go round before one is used again, and each new
	 * endpoint has an incarnation of its own: what a flow or a bucket
	 * remembers of an endpoint never fits its successor.
	 */
	uint32_t next_ep, next_slot, next_incarnation;
	uint32_t grace_end;	/* of the first apply: seconds, CLOCK_MONOTONIC; 0: there was none */
	/*
	 * The shadow, shadow.h.  It counts while `shadow_on` and while the generation that it
	 * stands beside is in force; else its number says what has to be cleaned up.
	 */
	uint64_t shadow, shadow_beside;	/* generations; 0: none */
	uint32_t shadow_on, pad;
	uint64_t removed;	/* as soon as this number is `active`, nothing is in force; see prt_remove() */
};

struct prt_hook {	/* written before anything is attached, so that a crash leaves a trace */
	uint8_t kind;		/* enum pol_if_kind */
	uint8_t made_qdisc;	/* the clsact qdisc is ours: remove it with the hooks */
	uint8_t xdp;		/* enum prt_xdp_mode (xdp.h) of our stub there */
	uint8_t held;		/* the hooks stay as long as the interface, whoever is there (attach.h) */
	uint8_t sysctl;		/* settings that we changed (sysctl.h); of lo alone */
	uint8_t pad[3];
};

struct prt_shared {
	int active, root, root_xdp, meta_fd, hooks, set_names;
	int map[PRT_SHARED_MAX];	/* -1: no object had it yet */
	bool pinned[PRT_SHARED_MAX];
	int stub[POL_HOOKS];
	int joiner;			/* the stub of XDP behind dispatchers (dispatcher.h); -1: none was met */
	int xdp_pass;			/* for generations without filters and services (stub.h) */
	uint64_t *word;			/* `active`, mapped */
	struct prt_meta meta;
};

void prt_shared_init(struct prt_shared *s);
void prt_shared_close(struct prt_shared *s);	/* after init; leaves it as init does */

/*
 * Opens what is pinned.  -ENOENT without an error text: nothing, or only what a first apply
 * or a removal that did not end left behind.  -EPROTONOSUPPORT: made by another version;
 * -EXDEV: it serves another network namespace.
 */
int prt_shared_open(const struct prt_env *env, struct prt_shared *s, struct pol_err *e);
/* Opens `hooks` alone, for cleaning up; the same answers. */
int prt_shared_open_hooks(const struct prt_env *env, int *hooks, struct pol_err *e);

/* The loader's own maps, not pinned yet. */
int prt_shared_make(struct prt_shared *s, struct pol_err *e);
/* Loads the stubs once `drops` is there. */
int prt_shared_make_stubs(struct prt_shared *s, struct pol_err *e);
/* Pins everything, `active` last: with it the folder counts. */
int prt_shared_pin_all(const struct prt_env *env, struct prt_shared *s, struct pol_err *e);
/* Pins shared maps that a later object was the first to have. */
int prt_shared_pin_new(const struct prt_env *env, struct prt_shared *s, struct pol_err *e);

/* Before an object is loaded: shared maps that exist are used by it, after their shape was compared. */
int prt_shared_reuse(const struct prt_shared *s, struct bpf_object *o, struct pol_err *e);
/* After: takes up those that it was the first to have. */
int prt_shared_take(struct prt_shared *s, const struct bpf_object *o, struct pol_err *e);

/* May its XDP programs be jumped to from a dispatcher of libxdp? */
bool prt_shared_xdp_joins(const struct prt_shared *s);

/* 0: none in force. */
uint64_t prt_shared_active(const struct prt_shared *s);
/* The instant at which a generation takes force: one store of one word. */
void prt_shared_flip(struct prt_shared *s, uint64_t gen);
int prt_shared_write_meta(struct prt_shared *s, struct pol_err *e);
/*
 * Maps an mmapable array of such values, written and read; *n: how many.  munmap() *n * value bytes.
 * -EPROTONOSUPPORT: it is of another kind or size.
 */
int prt_map_array(int fd, const char *name, size_t value, uint32_t *n, void **out,
		  struct pol_err *e);

/*
 * Returns when every program that ran at the call has ended, so that nothing
 * walks what was replaced before.  Updating a map of maps waits for an RCU
 * grace period before it returns (kernel/bpf/syscall.c, maybe_wait_bpf_programs),
 * precisely for this use; TC programs run inside an RCU read-side section.
 * membarrier(2) is not enough: on a single CPU it returns at once.
 */
int prt_grace(struct pol_err *e);

#endif
