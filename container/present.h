/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which containers are in a network namespace by now, whatever an engine says of them: who has come
 * there by way of a third one that is gone is not told by any list.
 */
#ifndef CN_PRESENT_H
#define CN_PRESENT_H

#include "../base/base.h"

typedef POL_VEC(struct pol_str) cn_ids;

/* Ids of all that have a process in the namespace open as netns, each once; they live in the arena. */
int cn_present(int netns, struct pol_arena *arena, cn_ids *out, struct pol_err *e);

static inline bool cn_ids_have(const cn_ids *ids, struct pol_str id)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (pol_str_eq(ids->v[i], id))
			return true;
	}
	return false;
}

#endif
