/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A Unix socket to be asked at, for root and nobody else.
 */
#ifndef PRT_LISTEN_H
#define PRT_LISTEN_H

#include "base/base.h"

/*
 * One that was left over is replaced.  -EADDRINUSE: somebody answers there; -EINVAL: no path for a
 * socket.  Who listened unlinks it.
 */
int prt_listen_unix(const char *path, int *fd, struct pol_err *e);

#endif
