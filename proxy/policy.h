/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What polload told of the generations, and what the data path tells of each flow.
 */
#ifndef POLC_PROXY_POLICY_H
#define POLC_PROXY_POLICY_H

#include <polc/abi.h>
#include <polc/proxy.h>

#include "base/http.h"

/*
 * Seconds that requests are judged by a generation after it was forgotten: those that had come, and been
 * judged by the data path, before another took its place.  Of what comes after that the data
 * path says another generation.
 */
#define PX_POLICY_LATE 5

struct px_generation {
	uint64_t number;
	double forgotten;		/* when; 0: it is not */
	unsigned held;			/* by the policy, and by requests under way that it judged */
	void *image;			/* mapped; NULL: no http rules */
	size_t size;
	struct pol_http_view view;
	int flows, ep_info, ep_by_addr;	/* owned descriptors */
};

struct px_policy {
	POL_VEC(struct px_generation *) gens;
};

/* Takes fds (enum pol_proxy_fd) over, also on failure.  -EEXIST is not one: loading twice is fine. */
int px_policy_load(struct px_policy *p, uint64_t number, int fd[POL_PROXY_FDS], struct pol_err *e);
void px_policy_forget(struct px_policy *p, uint64_t number, double now);
/* Drops those whose time is over; false: there is none left to wait for. */
bool px_policy_expire(struct px_policy *p, double now);
void px_policy_free(struct px_policy *p);

/* What a verdict names stays readable until it is dropped, also when it is forgotten.  NULL is fine. */
const struct px_generation *px_generation_hold(const struct px_generation *g);
void px_generation_drop(const struct px_generation *g);

/* The highest number that is loaded; 0: none is. */
uint64_t px_policy_newest(const struct px_policy *p);
/* What is known of the client's connection; -ENOENT: nothing, so nobody redirected it. */
int px_policy_flow(const struct px_policy *p, const struct pol_proxy_key *key,
		   struct pol_proxy_flow *out);
/* Whether the address is one of this host's, which no onward connection may go to. */
bool px_policy_is_host(const struct px_policy *p, const struct pol_addr *a);
/* Name of an endpoint of that generation, or "". */
void px_policy_name(const struct px_policy *p, uint64_t gen, uint32_t ep, char out[POL_EP_NAME]);

enum px_answer {
	PX_ALLOW,
	PX_DENY,
	PX_UNKNOWN,	/* the generation is not loaded: it cannot be judged */
};
struct px_verdict {
	enum px_answer answer;
	enum pol_direction direction;	/* that decided */
	uint32_t rule;			/* of that direction */
	const struct px_generation *gen;
	uint32_t line;			/* of its image, or POL_HTTP_NO_LINE */
};
/* Both directions must allow. */
struct px_verdict px_policy_judge(const struct px_policy *p, const struct pol_proxy_flow *flow,
				  const struct pol_http_request *request);

#endif
