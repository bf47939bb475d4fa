/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps behind services.h, for the files that are services: services.c (who serves),
 * services_fill.c, services_flows.c, services_state.c, services_change.c.
 */
#ifndef POLC_RUNTIME_SERVICES_MAPS_H
#define POLC_RUNTIME_SERVICES_MAPS_H

#include "services.h"

/* Of one generation; prt_svc_maps_close(). */
struct prt_svc_maps {
	int svc, ring, backends, self;
	uint16_t *place; /* mapped */
	struct pol_svc_backend *slot;
	uint32_t blocks, slots;
};
int prt_svc_maps_open(const struct prt_env *env, const struct prt_gen *g, struct prt_svc_maps *m,
		      struct pol_err *e);
void prt_svc_maps_close(struct prt_svc_maps *m);
/*
 * One map: of the object while it is being loaded (env is not needed then), else by its pin.  *fd
 * is the caller's.
 */
int prt_svc_map(const struct prt_env *env, const struct prt_gen *g, const char *name, int *fd,
		struct pol_err *e);

/* Everything of *s into the maps; sets their indices.  wait: the generation is in force. */
int prt_svc_fill(const struct prt_env *env, const struct prt_gen *g,
		 const struct prt_shared *shared, struct prt_services *s, bool wait,
		 struct pol_err *e);
/* Of what is in force, with rings as large as they were made.  Free both. */
int prt_svc_in_force(struct prt_env *env, const struct prt_live *l, struct prt_object **o,
		     struct prt_services *s, struct pol_err *e);

bool prt_svc_is_at(const struct pol_svc_backend *slot, const struct prt_svc_backend *b);
void prt_svc_state_key(struct pol_svc_state_key *k, struct pol_str service,
		       const struct pol_addr *addr, uint16_t port);
/* Writes what was said of it, b->state. */
int prt_svc_state_write(const struct prt_shared *shared, const struct prt_services *s,
			const struct prt_svc_backend *b, struct pol_err *e);
/* What was said of an endpoint that leaves, and is no backend of *s any more, goes. */
int prt_svc_state_leave(const struct prt_shared *shared, const struct prt_services *s,
			const struct prt_member *m, struct pol_err *e);
/* What was said of it, else as configured. */
uint32_t prt_svc_weight(const struct prt_svc_backend *b);

#endif
