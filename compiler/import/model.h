/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of a cluster, as far as policies see them; and what all readers of
 * policies share. Everything is the arena's.
 */
#ifndef POLC_IMPORT_MODEL_H
#define POLC_IMPORT_MODEL_H

#include "base/yaml.h"
#include "compiler/import/import.h"

#define POL_IMPORT_KINDS(X)                                                                  \
	X(OTHER, "")                                                                         \
	X(NAMESPACE, "Namespace")                                                            \
	X(SERVICE, "Service")                                                                \
	X(ENDPOINTS, "Endpoints")                                                            \
	X(ENDPOINT_SLICE, "EndpointSlice")                                                   \
	X(POD, "Pod")                                                                        \
	X(DEPLOYMENT, "Deployment")                                                          \
	X(REPLICA_SET, "ReplicaSet")                                                         \
	X(STATEFUL_SET, "StatefulSet")                                                       \
	X(DAEMON_SET, "DaemonSet")                                                           \
	X(JOB, "Job")                                                                        \
	X(CRON_JOB, "CronJob")                                                               \
	X(REPLICATION_CONTROLLER, "ReplicationController")                                   \
	X(NETWORK_POLICY, "NetworkPolicy")                                                   \
	X(ADMIN, "AdminNetworkPolicy")                                                       \
	X(BASELINE, "BaselineAdminNetworkPolicy")                                            \
	X(CLUSTER, "ClusterNetworkPolicy")                                                   \
	X(CILIUM, "CiliumNetworkPolicy")                                                     \
	X(CILIUM_CLUSTERWIDE, "CiliumClusterwideNetworkPolicy")

#define POL_IMPORT_KIND(id, name) POL_IMPORT_##id,
enum pol_import_kind { POL_IMPORT_KINDS(POL_IMPORT_KIND) POL_IMPORT_KIND_MAX };
#undef POL_IMPORT_KIND

/* One document or item of a list. */
struct pol_import_object {
	enum pol_import_kind kind;
	const struct pol_yaml_doc *doc;
	const struct pol_yaml *root, *metadata;	/* metadata may be NULL */
	struct pol_str name, ns;	/* ns: "default" unless written */
};

struct pol_import_label {
	struct pol_str key, value;
};

typedef POL_VEC(struct pol_import_label) pol_import_labels;

struct pol_import_ns {
	struct pol_str name;
	pol_import_labels labels;	/* keys as in the result: "ns/KEY" */
};

struct pol_import_port {	/* a named port of a pod */
	uint8_t proto;
	struct pol_str name;
	uint16_t number;
};

/* Pods that no policy can tell apart: one owner, equal labels, equal named ports. */
struct pol_import_workload {
	const struct pol_import_object *object;
	struct pol_str ns, name, kind;	/* of the owner; kind Pod where a pod has none */
	pol_import_labels labels;	/* the pod's own; then ns, ns/KEY, port/PROTO/NAME */
	POL_VEC(struct pol_import_port) ports;
	POL_VEC(struct pol_str) addresses;
	bool of_node;			/* hostNetwork: its addresses are its node's */
};

struct pol_import_policy;

struct pol_import_closer {	/* a policy closes this direction of this subject */
	struct pol_str subject;
	bool egress;
};

struct pol_import_name {
	struct pol_str name;		/* as in the text */
	enum pol_import_kind kind;
};

struct pol_import {
	struct pol_arena *arena;
	const struct pol_import_options *o;
	struct pol_err *err;
	struct pol_import_result *result;
	POL_VEC(struct pol_import_object) objects;
	POL_VEC(struct pol_import_ns) namespaces;
	POL_VEC(struct pol_import_workload) workloads;
	POL_VEC(struct pol_import_name) names;	/* of policies that are written already */
	POL_VEC(struct pol_import_closer) closers;
	POL_VEC(struct pol_import_policy *) deferred;	/* written last, see open.c */
	struct pol_buf text;			/* the policy text so far */
	bool host_denied;			/* some denial is of the host too, see import.c */
};

/* ---- read.c: documents to objects ------------------------------------------------ */

int pol_import_read(struct pol_import *im, const char *path, struct pol_str text);
const char *pol_import_kind_name(enum pol_import_kind k);

/* ---- values.c: fields -------------------------------------------------------------- */

/* What stands under key, or NULL: missing, or null. Of no map: NULL. */
const struct pol_yaml *pol_import_get(const struct pol_yaml *map, const char *key);
bool pol_import_null(const struct pol_yaml *at);
/* A mapping or NULL; a list or NULL; else the error is set and returned. */
int pol_import_map(const struct pol_import_object *o, const struct pol_yaml *map, const char *key,
		   const struct pol_yaml **out);
int pol_import_list(const struct pol_import_object *o, const struct pol_yaml *map, const char *key,
		    const struct pol_yaml **out);
/* Empty where missing. */
int pol_import_text_of(const struct pol_import_object *o, const struct pol_yaml *map,
		       const char *key, struct pol_str *out);
/* Only these keys (NULL at the end), so that nothing that limits a policy is passed over. */
int pol_import_known(const struct pol_import_object *o, const struct pol_yaml *map,
		     const char *what, const char *const *key);
/* Label keys and values, names: the characters that Kubernetes has. */
bool pol_import_plain(struct pol_str s, const char *more);
/* A label key: one slash at most, so that none passes for "port/PROTO/NAME". */
bool pol_import_is_key(struct pol_str s, const char *more);
/* A prefix; bits beyond the length are dropped, as Kubernetes does. */
int pol_import_prefix(const struct pol_import_object *o, const struct pol_yaml *at,
		      struct pol_prefix *out);
/* TCP, UDP, SCTP; 0 if it is none of them. */
uint8_t pol_import_proto(struct pol_str s);

/* ---- warnings ------------------------------------------------------------------------ */

void pol_import_warn(struct pol_import *im, const struct pol_import_object *o,
		     const struct pol_yaml *at, const char *fmt, ...) POL_PRINTF(4, 5);
/* What cannot be carried: an error, with `lax` a warning and 0. */
int pol_import_cannot(struct pol_import *im, const struct pol_import_object *o,
		      const struct pol_yaml *at, const char *fmt, ...) POL_PRINTF(4, 5);

/* ---- model.c: namespaces and workloads ---------------------------------------------------- */

int pol_import_model(struct pol_import *im);

#endif
