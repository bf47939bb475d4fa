/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Networks of polc: a network and IPAM driver for Docker's libnetwork (call.h), with routed veths (link.h).
 *
 *	CreateEndpoint	the veth is made and held: closed both ways.  With labels by options it is an
 *			endpoint at once
 *	Join		the engine is told which device it is, and its routes
 *	the veth's other end comes into the container's namespace, before the container's first
 *			instruction: the kernel says whose namespace it is, the list of the engine
 *			what labels that has, and the held device becomes the endpoint
 *	DeleteEndpoint	the endpoint goes, then the device
 *
 * Where a step fails the container is refused, or stays closed; what the agent (agent.h) finds later
 * may still open it.  Nothing is kept but in the kernel: the devices say which networks,
 * endpoints and addresses there are.  What is remembered here are addresses and subnets that were
 * given a moment ago and are nobody's yet.
 *
 * It runs in a process of its own.  The engine waits for us within calls, and to ask it something then
 * may be to wait for ourselves; so nothing here asks what can wait.  While it starts it answers
 * nobody and starts containers: those stay closed until it can be asked.
 */
#ifndef CN_DRIVER_H
#define CN_DRIVER_H

#include "call.h"
#include "docker.h"
#include "pins.h"
#include "runtime/input/env.h"

struct cn_given {	/* an address (full length) or a subnet that nobody has yet */
	struct cn_addr what;
	uint64_t until;	/* prt_env_now_ns() */
	bool named;	/* by who asked for it */
};

struct cn_joining {	/* a pair whose end has moved, and is to be bound */
	struct cn_pair pair;
	struct prt_link link;
	uint64_t since, next;	/* prt_env_now_ns(): noticed; tried again */
};

struct cn_waiting {	/* a pair whose end has not moved yet */
	uint32_t ifindex;
	uint64_t since;
};

struct cn_driver {
	struct prt_env env;
	struct cn_engine engine;
	struct cn_docker docker;
	int links;		/* netlink, subscribed to links */
	POL_VEC(struct cn_given) given;
	POL_VEC(struct pol_ip) last;	/* given last, of each pool */
	POL_VEC(struct cn_joining) joining;
	POL_VEC(uint32_t) bound;	/* interfaces that were seen to, */
	struct cn_pins pins;		/* ... with these pins */
	POL_VEC(struct cn_waiting) waiting;
	uint64_t next_look;	/* at all pairs */
	uint64_t silent_until;	/* the engine does not answer, as while it starts: it is not asked before */
	void (*say)(int level, const char *fmt, ...);
};

int cn_driver_open(struct cn_driver *d, const char *engine_socket, struct pol_err *e);
void cn_driver_close(struct cn_driver *d);

/* The answer to a call, for json_decref; NULL and *e: it is refused. */
json_t *cn_driver_call(struct cn_driver *d, const struct cn_call *c, struct pol_err *e);

/*
 * What came about interfaces, and what is due by now; milliseconds until it should be called again
 * at the latest.
 */
int cn_driver_turn(struct cn_driver *d);

/* The socket where it is served, with its folders; who listened unlinks it. */
int cn_driver_listen(const char *at, int *fd, struct pol_err *e);
/* Serves there, and takes it, until *stop. */
int cn_driver_serve(struct cn_driver *d, int fd, const volatile int *stop, struct pol_err *e);

#endif
