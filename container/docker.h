/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container as the engine describes it, made into the endpoints that it should have.
 *
 * One endpoint a network, named CONTAINER/NETWORK, at the host side of the veth whose other end
 * has that network's MAC in the container's namespace.  Labels are those that were given to
 * the container; what its image brings along decides nothing unless the agent is told so:
 * who builds an image does not say what it may reach.  Facts: docker.container (its id) and
 * docker.network.
 *
 * A container that runs in another's network namespace has no endpoint of its own.  If its labels
 * differ, both get none (-EPERM): which of the two a packet is from, nobody can tell.
 */
#ifndef CN_DOCKER_H
#define CN_DOCKER_H

#include "engine.h"
#include "runtime/hostfile.h"

struct cn_docker {
	struct cn_engine *engine;
	bool image_labels;	/* labels of images count */
};

struct cn_container {
	struct pol_arena *arena;	/* owns what stands below */
	struct pol_str id, name;
	const char *shares;		/* id of the container whose namespace it runs in; NULL: its own */
	bool running;
	POL_VEC(struct prt_endpoint) ep;	/* of a running one with a namespace of its own */
};

void cn_container_free(struct cn_container *c);	/* zeroed is fine */

/*
 * -ENOENT without an error text: there is none.  -EINVAL, -ENODEV, -EPERM: it runs and cannot have
 * the endpoints that it should have, and e says why; c->id and c->name are set.
 */
int cn_docker_read(struct cn_docker *d, const char *id, struct cn_container *c, struct pol_err *e);

/* Ids of all that run. */
typedef POL_VEC(struct pol_str) cn_ids;
int cn_docker_running(struct cn_docker *d, struct pol_arena *arena, cn_ids *out, struct pol_err *e);

#endif
