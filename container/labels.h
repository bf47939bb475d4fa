/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The labels of one container, gathered from several sources.
 *
 * What a source says is data from outside: every key and value is checked as in the host
 * file, and no source may contradict another: which of the two would be meant decides what the
 * container may do, so it is refused and not guessed.
 *
 * Keys that begin with "cni.", "docker." or "k8s." are facts, set by polc alone: what network and what
 * pod a container belongs to.  No source may name one.
 */
#ifndef CN_LABELS_H
#define CN_LABELS_H

#include <jansson.h>

#include "runtime/input/hostfile.h"

struct cn_labels {
	struct pol_arena *arena;	/* the caller's; keys and values live there */
	POL_VEC(struct prt_label) v;
};

void cn_labels_free(struct cn_labels *l);	/* zeroed is fine; leaves the arena */

/* -EINVAL: bad, reserved, or another value than before; `source` says where it stands. */
int cn_labels_add(struct cn_labels *l, const char *source, struct pol_str key, struct pol_str value,
		  struct pol_err *e);
/* A fact of ours, with a reserved key; an empty value adds nothing. */
int cn_labels_fact(struct cn_labels *l, const char *key, const char *value, struct pol_err *e);
/* {"app": "web"}, or [{"key": "app", "value": "web"}]; NULL and null: none. */
int cn_labels_json(struct cn_labels *l, const char *source, const json_t *labels, struct pol_err *e);
/*
 * An object of JSON in a file that nobody but root and we can have written (runtime/input/input.h).
 * -ENOENT without an error text: no such file.
 */
int cn_labels_file(struct cn_labels *l, const char *path, struct pol_err *e);

/* Of a label as it stands in the maps; "": there is none. */
const char *cn_label_of(const char packed[POL_EP_LABELS], const char *key);

#endif
