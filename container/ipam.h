/* SPDX-License-Identifier: GPL-2.0-only */
/* The IPAM half of the driver: each answers a call, or refuses it (NULL and *e). */
#ifndef CN_IPAM_H
#define CN_IPAM_H

#include "driver.h"

json_t *cn_request_pool(struct cn_driver *d, const struct cn_call *c, struct pol_err *e);
json_t *cn_release_pool(struct cn_driver *d, const struct cn_call *c);
json_t *cn_request_address(struct cn_driver *d, const struct cn_call *c, struct pol_err *e);
json_t *cn_release_address(struct cn_driver *d, const struct cn_call *c);

#endif
