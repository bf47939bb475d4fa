/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who lives where, in one generation: its endpoints with their numbers and
 * slots, its uplinks, and the addresses of this host and of other nodes.
 * Read from the maps of a generation, or made from the host file and the
 * generation before, and written to the maps of the next.
 */
#ifndef POLC_RUNTIME_WORLD_H
#define POLC_RUNTIME_WORLD_H

#include "gen.h"
#include "runtime/input/hostfile.h"
#include "runtime/host/net.h"

#define PRT_MANAGED_HALF 0u	/* being added or removed: whoever finds it finishes the removal */
#define PRT_MANAGED_FILE 1u	/* of the host file: goes when the file no longer has it */
#define PRT_MANAGED_RUN 2u	/* added at run time: stays until it is removed */

struct prt_member_addr {
	struct pol_addr addr;
	uint32_t slot;
};

struct prt_member {
	uint32_t ep;
	struct pol_ep_info info;
	uint8_t if_flags;	/* POL_IF_* */
	uint8_t mac[6], host_mac[6];
	POL_VEC(struct prt_member_addr) addrs;
};

struct prt_fixed {		/* an address of this host or of a node */
	struct pol_addr addr;
	uint8_t entity, stated;
};

struct prt_uplink {
	uint32_t ifindex;
	uint8_t flags;		/* POL_IF_*: DIRECT by the host file or edge.h, PORT by the kernel, else by edge.h */
	uint64_t filters;	/* likewise: as in struct pol_if */
};

struct prt_world {
	POL_VEC(struct prt_member) member;
	POL_VEC(struct prt_uplink) uplink;
	POL_VEC(struct prt_fixed) fixed;
	bool http;		/* its policy has http rules: lo is hooked too */
};

void prt_world_free(struct prt_world *w);	/* zeroed is fine; leaves it zeroed */

int prt_world_read(const struct prt_gen *g, struct prt_world *out, struct pol_err *e);
/* Fills the maps of a generation that nobody uses yet. */
int prt_world_write(const struct prt_gen *g, const struct prt_world *w, struct pol_err *e);

/*
 * What the host file says, and of `old` what was added at run time.  Endpoints
 * that were there before (same name, same interface) keep their number, addresses of theirs
 * their slot.  -EINVAL, -ENODEV: a mistake in the file, at PATH:LINE:COLUMN.  late: what is on
 * interfaces that are not there is left out.
 */
int prt_world_from_file(const struct prt_hostfile *h, const struct prt_world *old,
			struct prt_meta *meta, bool late, struct prt_world *out,
			struct pol_err *e);
/* One more, the same in all. */
void prt_member_copy(struct prt_world *w, const struct prt_member *m);
/* As before. */
void prt_world_copy(const struct prt_world *old, struct prt_world *out);

/* Takes the host's addresses from the kernel; what the file stated stays, what an endpoint owns is left out. */
int prt_world_sync_host(struct prt_world *w, struct pol_err *e);

/* Which endpoints and uplinks are ports of something: POL_IF_PORT, from the kernel. */
int prt_world_sync_ports(struct prt_world *w, struct pol_err *e);

/*
 * One more endpoint, on `link` (NULL: elsewhere), with new numbers.  -EEXIST: name, interface
 * or address is taken, and by whom.  The pointer is good until the next change.
 */
int prt_world_add(struct prt_world *w, const struct prt_endpoint *ep, const struct prt_link *link,
		  uint8_t managed, struct prt_meta *meta, struct prt_member **out,
		  struct pol_err *e);

/* Where its veth leads by now; that the interface is gone is fine. */
int prt_world_meet(struct prt_member *m, struct pol_err *e);

/* NULL: none. */
struct prt_member *prt_world_find(const struct prt_world *w, const char *name);

/* One endpoint's entries in the maps of a live generation. */
int prt_member_write_info(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e);
int prt_member_write_addrs(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e);
int prt_member_write_if(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e);
/* Nobody is at its device any more: what comes from there or goes there is dropped. */
int prt_member_clear_if(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e);
/*
 * What packets wrote of it: buckets of limits, and what audit saw.  No packet of it comes any more.  Else
 * containers that come and go would fill these maps, and who comes then would be refused.
 */
int prt_member_forget(const struct prt_gen *g, const struct prt_member *m, struct pol_err *e);
int prt_fixed_write(const struct prt_gen *g, const struct prt_fixed *f, struct pol_err *e);

#endif
