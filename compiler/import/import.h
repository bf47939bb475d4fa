/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `polc import`: policies of Kubernetes and Cilium to a policy text.
 *
 * Reads manifests, writes a text that people can read and keep. What cannot be
 * said in the language is an error; with `lax` it is left out closed and warned
 * about, so that the result is never wider than what was meant.
 *
 * Labels of the result: a pod's own labels; `ns`, the namespace; "ns/KEY", a label of the
 * namespace; "port/PROTO/NAME", the number of a named port of the pod.
 */
#ifndef POLC_IMPORT_H
#define POLC_IMPORT_H

#include "base/base.h"

struct pol_import_options {
	bool lax;
};

/* Zero-initialise; free each. */
struct pol_import_result {
	struct pol_buf policy;	/* in the canonical layout */
	struct pol_buf host;	/* the workloads and their labels, as a host file */
	struct pol_buf said;	/* warnings, a line each */
};

/*
 * Files, and of folders all that end in .yaml, .yml or .json, in order of their names.
 * 0; -EINVAL: the input is wrong, e says where (PATH:LINE:COLUMN); or the system's -errno.
 */
int pol_import(char *const *path, size_t n, const struct pol_import_options *o,
	       struct pol_import_result *out, struct pol_err *e);

/* The same for one text from memory. */
int pol_import_text(const char *path, struct pol_str text, const struct pol_import_options *o,
		    struct pol_import_result *out, struct pol_err *e);

void pol_import_free(struct pol_import_result *r);

#endif
