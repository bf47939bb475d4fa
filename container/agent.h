/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps the endpoints of a host true to its containers.
 *
 *	a veth appears	held: nothing passes there until somebody says whose it is
 *	a container starts, connects to a network, is renamed
 *			its endpoints are added or changed
 *	it ends, leaves a network, or cannot be understood
 *			its endpoints go, their interfaces stay held as long as they are there
 *
 * What was refused (no memory, somebody else's address) stays closed and is tried again, a second later, then each time twice
 * as late: it may be for a moment or for good.  Where the engine has not said what becomes of a container (it is away, it
 * fails, its answer is none) what is in force stays so, too: only what it says closes one that was open.
 *
 * The kernel's maps and the engine are the only state.  Whatever was missed (the agent or the
 * engine restarted, an event was lost) is made up for by looking at all of both.  Without the
 * agent what is in force stays in force, and what is new stays closed.
 */
#ifndef CN_AGENT_H
#define CN_AGENT_H

#include "docker.h"
#include "pins.h"
#include "runtime/input/env.h"

struct cn_agent {
	struct prt_env env;
	struct cn_engine engine;
	struct cn_docker docker;
	struct cn_pins pins;
	const char *hold;	/* pattern (fnmatch) of interfaces that are containers'; "": none */
	int links;		/* netlink, subscribed to links */
	POL_VEC(uint32_t) held;	/* interfaces that were held since they came */
	POL_VEC(char *) due;	/* ids to look at */
	bool all_due;		/* everything is to be looked at */
	bool shut;		/* some container is closed because of another one (docker.h) */
	bool refused;		/* some container has not what it should have */
	struct pol_err unanswered;	/* of this turn: what the engine, or this host, did not say */
	uint64_t again_at;	/* then everything is looked at for that, ns as prt_env_now_ns(); 0: no need */
	unsigned again_s;	/* seconds from the last look to then */
	/* A line for people: an event and what came of it.  level: as syslog has it. */
	void (*say)(int level, const char *fmt, ...);
};

int cn_agent_open(struct cn_agent *a, const char *socket, struct pol_err *e);
void cn_agent_close(struct cn_agent *a);

/*
 * Works until *stop; *again: look at everything.  Both are set by signals.  Calls ready() when
 * no container can be open that nobody has spoken for: before the engine is asked, because at
 * boot that waits for us.
 */
int cn_agent_run(struct cn_agent *a, const volatile int *stop, volatile int *again, void (*ready)(void),
		 struct pol_err *e);

#endif
