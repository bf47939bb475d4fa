/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A policy in the kernel: devices in a network namespace of its own, the object's programs
 * loaded with the maps filled as the loader fills them, and packets run through them one by one.
 */
#ifndef POLC_VERIFY_KERNEL_H
#define POLC_VERIFY_KERNEL_H

#include "runtime/generation/gen.h"
#include "verify/world.h"

struct kernel;		/* of one process: devices, and maps that all policies share */
struct generation;	/* one loaded object */

/*
 * With devices for so many local endpoints, WORLD_EPS at most. -EPERM, -ENOSYS and the like: BPF or
 * namespaces are not to be had here.
 */
int kernel_open(struct kernel **out, unsigned endpoints, struct pol_err *e);
void kernel_close(struct kernel *k);

/* Loads the object with that placement as generation `number`. */
int generation_load(struct kernel *k, const struct prt_object *o, const struct prt_place *p,
		    uint64_t number, struct generation **out, struct pol_err *e);
void generation_free(struct generation *g);
/* Writes roots, columns, owners and devices of w: what apply does last. */
int generation_fill(struct kernel *k, struct generation *g, const struct prt_place *p,
		    const struct world *w, struct pol_err *e);
/* Changes one entry of the page tables behind everybody's back; false if there is no such entry. */
bool generation_spoil(struct generation *g, uint32_t page, uint32_t entry, uint32_t value);

/* As the loader opens it, for functions that read tables in force; g's own.  NULL: cannot be mapped. */
const struct prt_gen *generation_view(struct kernel *k, struct generation *g,
				      const struct prt_object *o);

struct seen {
	int result;			/* of the program: TC_ACT_* */
	struct pol_scratch scratch;
};
/* The packet at the hook where this host would meet it. */
int generation_run(struct kernel *k, struct generation *g, const struct world *w,
		   const struct flow *f, enum frame_kind kind, bool decorated, struct seen *out,
		   struct pol_err *e);
/* Of all CPUs together, but for last_ns. */
int generation_hits(struct generation *g, uint32_t rule, struct pol_rule_hits *out, struct pol_err *e);
void kernel_forget_flows(struct kernel *k);	/* an empty connection table */

/* For the measurements, which fill and run an object themselves. */
struct bpf_object;
struct bpf_object *generation_object(struct generation *g);
struct pol_ct_bucket *kernel_flows(struct kernel *k, size_t *buckets);	/* the live table */
unsigned kernel_uplink(const struct kernel *k);		/* ifindex */

#endif
