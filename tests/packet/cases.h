/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all files of packet cases have in common: a line that starts with a blank continues the one
 * before, # begins a line of comment, and `let NAME WORDS` makes $NAME stand for the words from
 * there on.
 */
#ifndef POL_PACKET_CASES_H
#define POL_PACKET_CASES_H

#define CASE_LINE 4096

struct cases { /* zero-initialise */
	const char *file;
	int line; /* that is being done, for messages */
	struct {
		char *name, *text;
	} let[64];
	int nlets;
};

/*
 * Each line, whole and with its names replaced, to `one`, which may write into it.  How many of
 * these calls did not return 0; -1: the file cannot be opened, or a `let` is none.
 */
int cases_read(struct cases *c, const char *path, int (*one)(void *arg, char *line), void *arg);

#endif
