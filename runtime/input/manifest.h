/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Label keys and values of the selectors as numbers, so that selecting an
 * endpoint compares numbers (object.h, prt_manifest.key and .atom).
 */
#ifndef PRT_MANIFEST_H
#define PRT_MANIFEST_H

#include "object.h"

#define PRT_NONE 0xffffffffu
uint32_t prt_key_find(const struct prt_manifest *m, struct pol_str key);	/* or PRT_NONE */
uint32_t prt_atom_find(const struct prt_manifest *m, uint32_t key_id, struct pol_str value);

#endif
