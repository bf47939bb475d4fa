/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that decides what this host lets through, read once.  Whose it is, what
 * it is signed with and what is in it is all said of the same bytes: nobody opens
 * the name again.
 */
#ifndef PRT_INPUT_H
#define PRT_INPUT_H

#include <sys/types.h>

#include "base/base.h"

struct prt_input {
	const char *path;	/* as given, the caller's */
	char *data;		/* malloc'ed, a NUL behind it */
	size_t size;
	char *real;		/* where the open file lies; NULL: it has no name (a pipe) */
	uid_t uid;		/* of the open file */
	mode_t mode;
};

enum prt_input_kind {
	PRT_INPUT_REGULAR,	/* nothing else will do */
	PRT_INPUT_ANY,		/* a pipe too: -H <(command) */
};

/* At most `max` bytes.  *out is written on success only. */
int prt_input_read(const char *path, enum prt_input_kind kind, size_t max, struct prt_input *out,
		   struct pol_err *e);
void prt_input_free(struct prt_input *in);	/* zeroed is fine; leaves it zeroed */

/*
 * -EPERM unless nobody but root and the user who runs this could have written the
 * bytes that were read, or have put another file in its place:
 *
 * - the file, as it was open, belongs to one of them and is not writable by group or others;
 * - so are all folders above it, by the name given and where it really is, except that
 *   sticky ones (/tmp) may be writable; and symbolic links on the way are theirs.
 *
 * The file alone would not do: who can rename in a folder could put an older, laxer
 * policy of root's there, and no signature tells old from new.
 */
int prt_input_owner_check(const struct prt_input *in, struct pol_err *e);

/*
 * The same of a folder and those above it, whether or not it is there: -EPERM if
 * others could have put something there, or have taken it away.
 */
int prt_folder_owner_check(const char *path, struct pol_err *e);

#endif
