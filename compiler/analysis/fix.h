/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `polc lint --fix`: takes out of a text what is redundant and nothing else.
 *
 * Rules that other rules make redundant, and prefixes that lie inside others of their list.
 * Not rules that never decide, or lines and peers that match nothing: somebody meant something by
 * them.  Not the last rule of a policy's direction, which closes it.  In the end
 * the whole is proved: no flow may be judged otherwise by the new text than by the old one.
 */
#ifndef POLC_FIX_H
#define POLC_FIX_H

#include "lang/resolve.h"

struct pol_fix {		/* zero-initialise */
	struct pol_buf text;	/* the new one; free it */
	unsigned rules, prefixes;	/* taken out */
	bool unproved;		/* that nothing changes could not be shown: the text is the old one */
};

/* Of the file at path alone, not of what it imports. -EINVAL: it has errors, which `polc check` tells. */
int pol_lint_fix(const char *path, struct pol_fix *out, struct pol_err *e);

#endif
