/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container as the engine describes it, made into the endpoints that it should have.
 *
 * One endpoint a network, named CONTAINER/NETWORK (of a name that is too long, the beginnings of both
 * and a hash), at the host side of the veth whose other end
 * has that network's MAC in the container's namespace.  Labels are those that were given to
 * the container; what its image brings along decides nothing unless the agent is told so:
 * who builds an image does not say what it may reach.  Facts: docker.container (its id),
 * docker.network and docker.endpoint (the engine's id of the connection).
 *
 * Where options polc.label.KEY=VALUE were given with a connection, its labels are those alone, and
 * there is no docker.container: it is in place before anybody knows whose it is.
 *
 * A container that runs in another's network namespace has no endpoint of its own, by however many
 * others it came there.  If its labels differ, both get none (-EPERM), from when the second has been
 * made and before it starts: which of the two a packet is from, nobody can tell.  The engine's list
 * says who is to be there, the kernel who is (present.h): a list does not name a way whose middle is gone.
 */
#ifndef CN_DOCKER_H
#define CN_DOCKER_H

#include "engine.h"
#include "labels.h"
#include "link.h"
#include "present.h"
#include "runtime/input/hostfile.h"

struct cn_docker {
	struct cn_engine *engine;
	bool image_labels;	/* labels of images count */
	json_t *list;		/* of all containers, once it was asked for; see cn_docker_forget() */
};

struct cn_container {
	struct pol_arena *arena;	/* owns what stands below */
	cn_ids connections;		/* the engine's ids of its endpoints, whatever becomes of it */
	struct pol_str id, name;
	const char *shares;		/* id or name of the container whose namespace it shares; NULL: its own */
	bool running;
	POL_VEC(struct prt_endpoint) ep;	/* of a running one with a namespace of its own */
};

void cn_container_free(struct cn_container *c);	/* zeroed is fine */

/* The list of containers is asked for anew when it is needed: something may have happened. */
void cn_docker_forget(struct cn_docker *d);

/*
 * -ENOENT without an error text: there is none.  -EINVAL, -ENODEV, -EPERM: it runs and cannot have
 * the endpoints that it should have, and e says why; c->id and c->name are set.  Anything else: the
 * engine (engine.h) or this host did not answer, which says nothing of the container.
 */
int cn_docker_read(struct cn_docker *d, const char *id, struct cn_container *c, struct pol_err *e);

/*
 * All that makes an endpoint.  by_option: its labels are those of its own options, whoever's
 * container it is.
 */
struct cn_place {
	const char *container, *name;	/* "": the container is not known yet; a name there must be */
	const char *network, *endpoint, *interface;
	uint8_t mac[6];
	struct pol_ip ip[CN_FAMILIES];
	size_t nips;
	const struct cn_labels *labels;
	bool by_option;
};
/* *out lives in the arena. */
int cn_place_endpoint(struct pol_arena *arena, const struct cn_place *p, struct prt_endpoint *out,
		      struct pol_err *e);

/*
 * Labels and name of a container that is being started.  To describe it the engine would wait for
 * the start to end, and that may wait for us; the list of containers waits for nobody.
 * -ENOENT without an error text: there is none.
 */
int cn_docker_starting(struct cn_docker *d, const char *id, struct cn_labels *l,
		       struct pol_str *name, struct pol_err *e);
/* -ENOENT without an error text: there is none. */
int cn_docker_network(struct cn_docker *d, const char *id, char name[CN_ID], struct pol_err *e);

/* Ids of all that run. */
int cn_docker_running(struct cn_docker *d, struct pol_arena *arena, cn_ids *out, struct pol_err *e);

#endif
