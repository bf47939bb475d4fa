/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A rehearsal: something that reads hostile bytes runs first in a child with
 * nothing else in reach, and only if it comes back does it run here.
 *
 * The child has no capability, no file but the pipe that it answers by and empty ones that it
 * cannot write, may ask the kernel for memory and its own end and nothing else (seccomp), and gets so much
 * memory and time.  A file that crashes a parser, fills the memory or never ends is
 * thus refused like any other broken one, before the lock is taken and before anything
 * of BPF is open: nothing is left to clean up.  It costs about a millisecond.
 *
 * Why not let the child alone parse, and take a checked result from it?  Because
 * libbpf reads the same ELF file in the process that loads it, so one of two doors
 * would still be open, and the result would be a third format to get wrong.  A file
 * that takes a parser over, instead of crashing it, could behave in the rehearsal and
 * strike afterwards; what stands against that is whose the file is and who signed it
 * (input.h, trust.h), both found out without parsing, and the fuzzers.
 *
 * Objects in the state folder are not rehearsed again: they were, only root can
 * have touched them since, and `endpoint add` is to be quick.
 */
#ifndef PRT_CONTAIN_H
#define PRT_CONTAIN_H

#include "base/base.h"

#define PRT_CONTAIN_MEMORY (3ull << 30)	/* bytes of address space */
#define PRT_CONTAIN_SECONDS 30u		/* of processor time */

/*
 * Runs f(ctx, e) in the child; what it writes to memory is lost.  Returns what it returned,
 * with its message, -ENOMEM if its memory ran out, or -ENOEXEC if it did not return: `path` is the file to blame.
 * Only for a process without threads.
 */
int prt_contain(const char *path, int (*f)(void *ctx, struct pol_err *e), void *ctx,
		struct pol_err *e);

#endif
