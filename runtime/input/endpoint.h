/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a name, an interface, an address, a MAC and a label must look like:
 * the same for the host file and for a command line.
 *
 * Each returns NULL, or what is wrong, for a message that says where: a text
 * in `why`.  Outputs are written on success only.
 */
#ifndef PRT_ENDPOINT_H
#define PRT_ENDPOINT_H

#include "hostfile.h"

#define PRT_WHY 192
const char *prt_check_name(struct pol_str s, char why[PRT_WHY]);
const char *prt_check_interface(struct pol_str s, char why[PRT_WHY]);
const char *prt_check_address(struct pol_str s, struct pol_ip *out, char why[PRT_WHY]);
const char *prt_check_mac(struct pol_str s, uint8_t out[6], char why[PRT_WHY]);
const char *prt_check_label(struct pol_str key, struct pol_str value, char why[PRT_WHY]);
/* The same addresses, in any order; neither list has one twice. */
bool prt_same_addresses(const struct pol_addr *a, size_t na, const struct pol_ip *b, size_t nb);
/* All labels of one endpoint together; sorts them by key. A key that is there twice is an error. */
const char *prt_check_labels(struct prt_label *labels, size_t n, char why[PRT_WHY]);

#endif
