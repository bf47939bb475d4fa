/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker may still do when it reads its first byte: send and receive on the sockets that its
 * work needs, and nothing else.  Other system calls kill it.
 */
#ifndef POLC_PROXY_CONFINE_H
#define POLC_PROXY_CONFINE_H

/*
 * Becomes user and group (0: stays who it is), without any privilege but CAP_NET_RAW, and without a
 * way to get more.  0 or -errno.
 */
int px_confine_privileges(unsigned user, unsigned group);
/* For good.  0 or -errno. */
int px_confine_calls(void);

#endif
