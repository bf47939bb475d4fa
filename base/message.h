/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What polload, polproxy and its workers say to each other: packets of polc/proxy.h with
 * descriptors, over a SOCK_SEQPACKET socket.
 */
#ifndef POLC_MESSAGE_H
#define POLC_MESSAGE_H

#include <polc/proxy.h>

#include "base.h"

/* 0 or -errno. */
int pol_message_send(int fd, const struct pol_proxy_msg *m, const int *fds, size_t n);
/*
 * 0; -EAGAIN; -EPIPE: the other side has closed; -EPROTO: no such message.  fds: POL_PROXY_FDS
 * places, -1 where none came; the caller closes them.
 */
int pol_message_receive(int fd, struct pol_proxy_msg *m, int fds[POL_PROXY_FDS]);

#endif
