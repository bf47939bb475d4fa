/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `polc lsp`: what an editor asks about policies, by the Language Server Protocol 3.17.
 *
 * Diagnostics (those of `polc check` and `polc lint`) as the text is typed, definitions and
 * references of names, what a name means and which rules its endpoints get, names and words that
 * fit, symbols, and the layout of `polc fmt`.  Texts are those that the editor holds, saved or
 * not, also where one imports another; all else is read from disk.
 *
 * Everything that comes in is input from outside: lengths are bounded, a position beyond the
 * text is its end, and what is no request that is known gets an error and changes nothing.
 */
#ifndef POLC_LSP_H
#define POLC_LSP_H

#include "lang/source.h"

#define LSP_MESSAGE_MAX (64u << 20)	/* bytes of one message */
#define LSP_DOCUMENTS_MAX 1000		/* open at the same time */

struct lsp;

/* files: where texts come from that are not open; NULL: the disk. */
struct lsp *lsp_new(const struct pol_fs *files);
void lsp_free(struct lsp *s);	/* NULL is fine */

/*
 * One message without its header; answers, with theirs, are appended to out.  What follows from
 * a changed text may be left for lsp_settle.
 */
void lsp_message(struct lsp *s, struct pol_str text, struct pol_buf *out);
/* Nothing more came for now: diagnostics of what changed. */
void lsp_settle(struct lsp *s, struct pol_buf *out);
/* After `exit`: -1 before it, else the code to exit with. */
int lsp_over(const struct lsp *s);

/*
 * Reads messages from one descriptor and writes answers to the other until `exit` or the end.
 * The exit code of the program (0 after a proper shutdown, else 1), or -errno: input that is no
 * message.
 */
int lsp_serve(int in, int out, struct pol_err *e);

#endif
