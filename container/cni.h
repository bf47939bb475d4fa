/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chained CNI plugin: it gives the container that the plugins before it have connected its
 * place in the policy in force.  Specification: CNI 1.1.0 (containernetworking/cni, SPEC.md), and
 * CONVENTIONS.md for labels.
 *
 *	ADD	the container's host-side interface becomes an endpoint with the addresses of
 *		prevResult; any failure refuses the container
 *	DEL	the endpoint goes, its interface stays closed until it is gone; there being
 *		none is fine
 *	CHECK	endpoint, interface and addresses are as ADD left them
 *	GC	endpoints of this network go that cni.dev/valid-attachments does not name
 *	STATUS	whether ADD can work: a policy is in force, and we may change it
 *	VERSION	what is spoken here
 *
 * What reaches us (environment, configuration, labels) comes from the runtime and, through it, from
 * whoever may start containers: texts are checked and bounded, and file names are made of
 * checked parts only.
 */
#ifndef CN_CNI_H
#define CN_CNI_H

#include <jansson.h>

#include "labels.h"
#include "runtime/input/env.h"

#define CNI_CONFIG_MAX (1u << 20)	/* bytes of the configuration on standard input */

/* Codes of the specification, and ours from 100 on. */
enum cni_code {
	CNI_OK = 0,
	CNI_INCOMPATIBLE = 1,	/* version */
	CNI_BAD_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_DECODE = 6,
	CNI_BAD_CONFIG = 7,
	CNI_TRY_LATER = 11,
	CNI_NOT_AVAILABLE = 50,	/* STATUS: no container can be added */
	CNI_NO_POLICY = 100,
	CNI_NO_LINK = 101,	/* no interface that can be judged */
	CNI_BAD_LABELS = 102,
	CNI_REFUSED = 103,	/* the endpoint cannot be added, or removed */
	CNI_DIFFERS = 104,	/* CHECK */
};

struct cni_request {
	/* environment; NULL where it is not set */
	const char *command, *container, *netns, *ifname, *args;
	/* configuration, owned */
	json_t *config;
	const char *version, *network, *label_dir;
	struct prt_env env;	/* bpffs, state and trust as the configuration says */
};

/*
 * Checks the environment and reads the configuration.  0, or the code with *e filled.
 * Free it with cni_request_free() either way.
 */
enum cni_code cni_request_read(struct cni_request *q, const char *text, size_t n, struct pol_err *e);
void cni_request_free(struct cni_request *q);

/* Labels of the container from all that names some, and the facts cni.* and k8s.*. */
enum cni_code cni_labels(const struct cni_request *q, struct cn_labels *l, struct pol_err *e);

/* Does the command; *out: what goes to standard output on success. */
enum cni_code cni_run(struct cni_request *q, struct pol_buf *out, struct pol_err *e);

/* {"cniVersion", "code", "msg", "details"} */
void cni_error(const struct cni_request *q, enum cni_code code, const struct pol_err *e,
	       struct pol_buf *out);

#endif
