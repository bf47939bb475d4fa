/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services on this host: who their backends are, which of them are up, and the rings that
 * spread clients over them (polc/service.h, base/maglev.h).
 *
 * A generation's rings and backends are filled before it takes force, and changed in place afterwards:
 * by endpoints that come and go, by what is said at run time, by health checks.  A backend keeps its
 * index as long as the generation lives, and each place of a ring is stored by itself, so
 * whoever looks meanwhile finds the old backend or the new one.
 */
#ifndef POLC_RUNTIME_SERVICES_H
#define POLC_RUNTIME_SERVICES_H

#include <polc/service.h>

#include "runtime/generation/live.h"
#include "runtime/input/object.h"
#include "runtime/generation/world.h"

struct prt_svc_backend {
	uint32_t service; /* number in `svc`: 2n IPv4, 2n + 1 IPv6 */
	struct pol_addr addr;
	uint16_t port;
	bool local; /* lives on this host */
	const char *name; /* of the endpoint, or NULL: an address of the policy */
	uint32_t configured; /* weight as the policy says */
	struct pol_svc_state state; /* what was said at run time */
	uint32_t index; /* in svc_backends */
};

struct prt_svc_ring { /* of a number in `svc` */
	uint32_t first, n; /* its backends, in `backend` */
	uint32_t places, block; /* of its ring; first block in svc_ring */
	uint32_t up; /* that have a weight and are up */
};

struct prt_services { /* zero-initialise; prt_services_free */
	const struct prt_manifest *m;
	struct prt_svc_ring *ring; /* 2 * m->nservices */
	POL_VEC(struct prt_svc_backend) backend; /* by service */
	uint32_t blocks; /* of all rings */
};
void prt_services_free(struct prt_services *s); /* leaves it zeroed */

/*
 * Who serves what, by the world and what was said at run time.  The manifest and the world must outlive
 * it.  -E2BIG: too many backends.
 */
int prt_services_plan(const struct prt_manifest *m, const struct prt_world *w,
		      const struct prt_shared *s, struct prt_services *out, struct pol_err *e);
/* Room for them, and for some more, in a generation that is not loaded yet. */
void prt_services_room(const struct prt_services *s, struct prt_gen *g);
/* Fills the maps of a generation that was just loaded. */
int prt_services_fill(const struct prt_gen *g, const struct prt_shared *shared,
		      struct prt_services *s, struct pol_err *e);
/* By the host file: who may send encapsulated packets, and what those from here come from. */
int prt_services_tunnels(const struct prt_shared *shared, const struct prt_hostfile *h,
			   struct pol_err *e);

/* The generation in force again, after something changed.  Without services: nothing. */
int prt_services_again(struct prt_env *env, struct prt_live *l, struct pol_err *e);

/*
 * An endpoint is no backend any more: no client is sent there, what it served begins anew elsewhere, and what was said of
 * it is not for who has its address next.  It is PRT_MANAGED_HALF from here on.
 */
int prt_services_leave(struct prt_env *env, struct prt_live *l, struct prt_member *m,
		       struct pol_err *e);
/* As planned, but what was said of an endpoint `before` is not for another one that has its address now. */
void prt_services_succeed(struct prt_services *s, const struct prt_world *before);
/*
 * With *s in force: what was said of who is no backend of its services any more goes.  What another policy's services
 * were told stays, for a rollback, as long as there is room.
 */
int prt_services_tidy(const struct prt_shared *shared, const struct prt_services *s,
		      struct pol_err *e);

/*
 * A backend's entries go, so that their next packet is a new one: of UDP and half-open ones, or
 * all.  port 0: any.
 */
int prt_services_forget(const struct prt_shared *s, const struct pol_addr *backend, uint16_t port,
			bool all, struct pol_err *e);

/* ---- at run time ------------------------------------------------------------------------ */

enum prt_svc_what { PRT_SVC_DRAIN, PRT_SVC_UNDRAIN, PRT_SVC_WEIGHT, PRT_SVC_UP, PRT_SVC_DOWN };
struct prt_svc_change {
	const char *service;
	const char *
		backend; /* an endpoint's name, ADDRESS, or ADDRESS:PORT ([ADDRESS]:PORT); NULL: addr and port */
	struct pol_addr addr;
	uint16_t port;
	enum prt_svc_what what;
	uint32_t weight; /* 0: as the policy says */
	const char *why; /* of PRT_SVC_DOWN */
};
/* -ENOENT: there is no such service or backend. */
int prt_services_change(struct prt_env *env, const struct prt_svc_change *c, struct pol_err *e);

/*
 * Reads what is in force, for looking and for health checks.  *o holds the manifest; free both.  -ENOENT
 * with a text: no policy, or one without services.
 */
int prt_services_read(struct prt_env *env, struct prt_live *l, struct prt_object **o,
		      struct prt_services *out, struct pol_err *e);
struct prt_svc_count {
	uint64_t open; /* live connections */
	uint64_t half; /* not answered yet, or the answer not yet: what a flood of SYNs makes */
};
/* Of each backend of *s: count[i] for backend.v[i]. */
int prt_services_count(const struct prt_shared *shared, const struct prt_services *s,
		       struct prt_svc_count *count, struct pol_err *e);

/* A line; an empty one: what was said has to be seen now.  False: nobody listens. */
typedef bool (*prt_health_emit)(void *ctx, struct pol_str line);
/*
 * `polload health`: checks backends until *stop; returns then, or when it cannot go on.  emit: a
 * line for each change.
 */
int prt_health(struct prt_env *env, const volatile int *stop, prt_health_emit emit, void *ctx,
	       struct pol_err *e);

#endif
