/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one layout of a policy text (`polc fmt`).
 *
 * The formatter moves tokens and comments and changes neither: what it
 * returns parses to the same tree. format(format(x)) equals format(x).
 */
#ifndef POLC_FORMAT_H
#define POLC_FORMAT_H

#include "lang/ast.h"
#include "lang/diag.h"

/*
 * Appends the text of src in its layout to out. 0; -EINVAL: it does not
 * parse, d says why, out is untouched.
 */
int pol_format(struct pol_sources *s, struct pol_source *src, struct pol_diags *d,
	       struct pol_buf *out);

/* `polc fmt PATH`: the layout in out, or diagnostics in said. *same: nothing to change. */
int pol_format_file(const char *path, const struct pol_fs *fs, const struct pol_render *how,
		    struct pol_buf *out,
		    bool *same, struct pol_buf *said);

#endif
