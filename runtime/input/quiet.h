/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What libbpf would print, kept: it goes into error messages in a form that a
 * person can use, and to standard error only with -v.
 */
#ifndef POLC_RUNTIME_QUIET_H
#define POLC_RUNTIME_QUIET_H

#include "base/base.h"

void prt_quiet_init(bool everything);	/* everything: debug messages too */
/* What was said so far; valid until the next call of libbpf. */
const char *prt_quiet_text(void);
void prt_quiet_forget(void);

/* By errno, why libbpf did not open an object that prt_object_parse() has read: the error. */
int prt_quiet_unread(const char *path, struct pol_err *e);

/*
 * The line that says why the verifier refused, and the source line it stood
 * at, out of a load's messages: "invalid access to packet (at `...`)".  Empty if there is none.
 */
void prt_quiet_reason(char *out, size_t n);

#endif
