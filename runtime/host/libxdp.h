/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libxdp of this host: several XDP programs on one interface, behind a dispatcher that runs them in
 * the order of their priorities and goes on after those that pass.  Its protocol is in
 * xdp-tools, lib/libxdp/protocol.org: each change builds a new dispatcher, in which the
 * programs of the old one are extensions (BPF_PROG_TYPE_EXT, pinned below /sys/fs/bpf/xdp, or
 * $LIBXDP_BPFFS/xdp), and puts it in the old one's place at one instant.
 *
 * Dispatchers have versions, which only a library that is as new may change.  So the one that this
 * host's other programs use is the one to ask; it is loaded at the first call, and a host without
 * dispatchers needs none.
 */
#ifndef POLC_RUNTIME_LIBXDP_H
#define POLC_RUNTIME_LIBXDP_H

#include "base/base.h"

/*
 * Puts a program, BPF_PROG_TYPE_EXT and loaded, into the dispatcher that hangs at the
 * interface, where its BTF says (section .xdp_run_config).  -EOPNOTSUPP: no libxdp here; what
 * hangs there is no dispatcher of one; or kernel and libxdp do not let such a program in.
 */
int prt_libxdp_attach(uint32_t ifindex, const char *name, uint32_t prog_id, struct pol_err *e);
/* Takes it out again, and the dispatcher away if it was the last. */
int prt_libxdp_detach(uint32_t ifindex, const char *name, uint32_t prog_id, struct pol_err *e);

#endif
