/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A policy of several files in one input: a byte 0x1e cuts it into the root a.pol, then b.pol, c.pol and
 * the list l.txt, so that imports and lists are reached; nothing of the real file system is.
 */
#ifndef POLC_TESTS_FUZZ_TEXTS_H
#define POLC_TESTS_FUZZ_TEXTS_H

#include <string.h>

#include "lang/source.h"

#define FILES 4

/* files: for pol_fs_memory(); they point into p. */
static void cut(const char *p, size_t n, struct pol_memory_file files[FILES + 1])
{
	static const char *const names[FILES] = { "a.pol", "b.pol", "c.pol", "l.txt" };
	size_t count = 0;

	for (;;) {
		const char *end = count + 1 < FILES && n ? memchr(p, 0x1e, n) : NULL;
		size_t len = end ? (size_t)(end - p) : n;

		files[count].path = names[count];
		files[count].text = (struct pol_str){ p, len };
		count++;
		if (!end)
			break;
		p = end + 1;
		n -= len + 1;
	}
	files[count] = (struct pol_memory_file){ 0 };
}

#endif
